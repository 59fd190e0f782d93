"""Where a sync writes to: `--to`, and the credentials of the database from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from source_backlog.sync.errors import USAGE, SyncError

FORMS = (
    "duckdb:///PATH, postgresql://USER@HOST:PORT/DATABASE?schema=SCHEMA or "
    "snowflake://USER@ACCOUNT/DATABASE/SCHEMA?warehouse=WAREHOUSE&role=ROLE"
)
# The tables of PostgreSQL and Snowflake go here unless `--to` names a schema; DuckDB's go into its `main`.
SCHEMA = "backlog"


@dataclass(frozen=True)
class Destination:
    """A database: its kind (`duckdb`, `postgresql`, `snowflake`) and the settings of PyAirbyte's cache for it.

    `name` is what the user may see of it; it holds no secret.
    """

    kind: str
    name: str
    settings: Mapping[str, Any] = field(repr=False)


def destination_of(url: str, environment: Mapping[str, str] = os.environ) -> Destination:
    """The destination that `--to` names.

    Raises `SyncError` (usage) for anything else than one of `FORMS`, above all for a password within it: what
    stands on a command line can be read by every user of the machine.
    """
    parts = urlsplit(url)
    if parts.password is not None or "password" in parse_qs(parts.query):
        variable = "SNOWFLAKE_PASSWORD" if parts.scheme == "snowflake" else "PGPASSWORD"
        raise SyncError(
            "--to must not contain a password, because every user of this machine can read the command line. "
            f"Leave it out there and set the environment variable {variable}.",
            USAGE,
        )
    if parts.scheme == "duckdb":
        return _duckdb(url)
    if parts.scheme in ("postgresql", "postgres"):
        return _postgresql(url, environment)
    if parts.scheme == "snowflake":
        return _snowflake(url, environment)
    raise SyncError(f"--to {url!r} names no database that can be written to. It is one of {FORMS}.", USAGE)


def _duckdb(url: str) -> Destination:
    parts = urlsplit(url)
    # As in SQLAlchemy: three slashes before a relative path, four before an absolute one.
    path = unquote(parts.path).removeprefix("/")
    if parts.netloc or parts.query or not path:
        raise SyncError(
            f"--to {url!r} names no file. It is duckdb:///backlog.duckdb, or duckdb:////data/backlog.duckdb.", USAGE
        )
    return Destination("duckdb", path, {"db_path": path, "schema_name": "main"})


def _postgresql(url: str, environment: Mapping[str, str]) -> Destination:
    parts = urlsplit(url)
    database = unquote(parts.path).strip("/")
    options = _options(url, {"schema"})
    if not parts.username or not parts.hostname or not database:
        raise SyncError(
            f"--to {url!r} lacks a user, a host or a database: postgresql://USER@HOST:PORT/DATABASE.", USAGE
        )
    schema, port = options.get("schema", SCHEMA), parts.port or 5432
    return Destination(
        "postgresql",
        f"{parts.hostname}:{port}/{database}, schema {schema}",
        {
            "host": parts.hostname,
            "port": port,
            "database": database,
            # PyAirbyte puts both into a URL as they are. An empty password lets libpq look into ~/.pgpass.
            "username": quote(unquote(parts.username), safe=""),
            "password": quote(environment.get("PGPASSWORD", ""), safe=""),
            "schema_name": schema,
        },
    )


def _snowflake(url: str, environment: Mapping[str, str]) -> Destination:
    parts = urlsplit(url)
    options = _options(url, {"warehouse", "role"})
    path = [unquote(part) for part in parts.path.strip("/").split("/") if part]
    if not parts.username or not parts.hostname or len(path) not in (1, 2) or len(options) != 2:
        raise SyncError(
            f"--to {url!r} lacks a part: snowflake://USER@ACCOUNT/DATABASE/SCHEMA?warehouse=WAREHOUSE&role=ROLE.", USAGE
        )
    credentials = {
        "private_key_path": environment.get("SNOWFLAKE_PRIVATE_KEY_PATH"),
        "private_key": environment.get("SNOWFLAKE_PRIVATE_KEY"),
        "password": environment.get("SNOWFLAKE_PASSWORD"),
    }
    given = {name: value for name, value in credentials.items() if value}
    if len(given) != 1:
        raise SyncError(
            "Snowflake needs one of the environment variables SNOWFLAKE_PRIVATE_KEY_PATH (a file in PEM format), "
            "SNOWFLAKE_PRIVATE_KEY (its contents) and SNOWFLAKE_PASSWORD; "
            f"{'none is' if not given else 'more than one is'} set.",
            USAGE,
        )
    passphrase = environment.get("SNOWFLAKE_PRIVATE_KEY_PASSPHRASE")
    if passphrase and "password" not in given:
        given["private_key_passphrase"] = passphrase
    # `hostname` is in small letters; an account is not case-sensitive.
    account, database, schema = parts.hostname, path[0], path[1] if len(path) == 2 else SCHEMA
    return Destination(
        "snowflake",
        f"{account}/{database}/{schema}",
        {
            "account": account,
            "username": unquote(parts.username),
            "database": database,
            "schema_name": schema,
            "warehouse": options["warehouse"],
            "role": options["role"],
            **given,
        },
    )


def _options(url: str, known: set[str]) -> dict[str, str]:
    options = {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}
    if unknown := sorted(options.keys() - known):
        raise SyncError(
            f"--to {url!r} has the unknown option {unknown[0]!r}. Known are: {', '.join(sorted(known))}.", USAGE
        )
    return options
