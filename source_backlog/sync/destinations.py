"""Where a sync writes to: `--to`, and the credentials of the database from the environment."""

import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from source_backlog.sync.errors import USAGE, SyncError

FORMS = (
    "duckdb:///PATH",
    "postgresql://USER@HOST:PORT/DATABASE?schema=SCHEMA",
    "snowflake://USER@ACCOUNT/DATABASE/SCHEMA?warehouse=WAREHOUSE&role=ROLE",
    "file:///FOLDER, s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or az://CONTAINER/FOLDER, with ?format=parquet or jsonl",
    "motherduck, bigquery, redshift, databricks, clickhouse or mssql, with dlt's secrets.toml or environment",
)
ONE_OF = "It is one of " + "; ".join(FORMS) + "."
# The tables go into this schema unless another one is named; those of DuckDB go into its `main`.
SCHEMA = "backlog"
# By dlt's name of the destination: the modules that it needs, and the extra of this package that installs them.
NEEDS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "duckdb": (("duckdb",), "duckdb"),
    "postgres": (("psycopg2", "adbc_driver_postgresql"), "postgres"),
    "snowflake": (("snowflake.connector",), "snowflake"),
    "motherduck": (("duckdb",), "motherduck"),
    "bigquery": (("google.cloud.bigquery",), "bigquery"),
    "redshift": (("psycopg2",), "redshift"),
    "databricks": (("databricks.sql",), "databricks"),
    "clickhouse": (("clickhouse_driver", "clickhouse_connect"), "clickhouse"),
    "mssql": (("pyodbc",), "mssql"),
    "file": ((), "files"),
    "s3": (("s3fs",), "s3"),
    "gs": (("gcsfs",), "gs"),
    "az": (("adlfs",), "az"),
}


@dataclass(frozen=True)
class Destination:
    """A destination of dlt: its name there, the settings that `--to` gives, the dataset (a schema, or a folder).

    `shown` is what the user may see of it; it holds no secret. `file_format` is None where dlt's own is right.
    """

    kind: str
    shown: str
    dataset: str
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    file_format: str | None = None

    @property
    def takes_arrow(self) -> bool:
        """Whether it is given Arrow tables; the others would make texts of JSON of them."""
        return self.file_format == "parquet"

    @property
    def is_files(self) -> bool:
        """Whether it is a folder of files, in which nothing is merged."""
        return self.kind == "filesystem"

    def raise_if_files(self) -> None:
        """Raise `SyncError` (usage) where what was asked for needs tables that can be read."""
        if self.is_files:
            raise SyncError("The tables are files, which backlog-sync does not read: give --to a database.", USAGE)


def destination_of(url: str, dataset: str | None = None, environment: Mapping[str, str] = os.environ) -> Destination:
    """The destination that `--to` and `--dataset` name.

    Raises `SyncError` (usage) for anything else than one of `FORMS`, for a folder that does not exist, and where a
    module is missing; above all for a password within it: what stands on a command line can be read by every user of
    the machine. No message repeats `url`, which may hold one where nobody expects it.
    """
    parts = _split(url)
    if parts.scheme == "duckdb":
        found = _duckdb(parts)
    elif parts.scheme in ("postgresql", "postgres"):
        found = _postgres(parts, environment)
    elif parts.scheme == "snowflake":
        found = _snowflake(parts, environment)
    elif parts.scheme in ("file", "s3", "gs", "az"):
        found = _files(parts)
    elif url in NEEDS and url not in ("duckdb", "postgres", "snowflake", "file", "s3", "gs", "az"):
        found = Destination(url, url, SCHEMA, file_format="parquet" if url == "motherduck" else None)
    else:
        raise SyncError(f"--to names nothing that can be written to. {ONE_OF}", USAGE)
    _installed(parts.scheme if found.is_files else found.kind)
    return _with_dataset(found, dataset or found.dataset)


def folder_of_files(address: str) -> Path | str:
    """The folder that `--files` names: one of this machine, or an address in an object store.

    Raises `SyncError` (usage) for anything else, for a password within it, and where a module is missing.
    """
    if not address.strip():
        raise SyncError("--files names no folder.", USAGE)
    if "://" not in address:
        return Path(address)
    parts = _split(address, "--files", "give it as docs/warehouse.md says, under Files")
    where = unquote(parts.path)
    if parts.scheme == "file" and where and not parts.netloc:
        return Path(where)
    if parts.scheme not in ("s3", "gs", "az") or not parts.netloc or parts.query:
        raise SyncError("--files is a folder, or one of s3://BUCKET/FOLDER, gs://… and az://…", USAGE)
    _installed(parts.scheme)
    return f"{parts.scheme}://{parts.netloc}{where.rstrip('/')}"


def _split(
    url: str, option: str = "--to", instead: str = "set the environment variable PGPASSWORD or SNOWFLAKE_PASSWORD"
) -> SplitResult:
    # Also one with a slash or # in it, which ends up in the path or in a port.
    if re.match(r"(?!duckdb|file)\w+://[^@]*:.*@", url) or "password=" in url.lower():
        raise SyncError(
            f"{option} must not contain a password, because every user of this machine can read the command line. "
            f"Leave it out there and {instead}.",
            USAGE,
        )
    try:
        parts = urlsplit(url)
        if parts.port == 0 or parts.fragment:
            raise ValueError
    except ValueError as error:
        raise SyncError(
            f"{option} cannot be read: the port is a number up to 65535, and @, :, /, # and ? within a name are "
            "written as %40, %3A, %2F, %23 and %3F.",
            USAGE,
        ) from error
    return parts


def _with_dataset(found: Destination, dataset: str) -> Destination:
    # Snowflake folds names to capitals by itself.
    name = dataset.lower() if found.kind == "snowflake" else dataset
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,54}", name):
        shown = "".join(letter if letter.isprintable() else " " for letter in dataset[:60])
        raise SyncError(
            f"The schema or dataset '{shown}' cannot be used: it is made of the small letters a to z, digits and _, at "
            "most 55 of them and no digit first.",
            USAGE,
        )
    if name.startswith("pg_") or name == "information_schema":
        raise SyncError(f"The schema or dataset '{name}' cannot be used: it is one of the database's own.", USAGE)
    if name.endswith("_staging"):
        raise SyncError(
            f"The schema or dataset '{name}' cannot be used: in one of that name lie the rows on their way into "
            f"'{name.removesuffix('_staging')}', and it is emptied.",
            USAGE,
        )
    if found.kind == "duckdb" and Path(found.settings["path"]).name.split(".")[0].lower() == name != "main":
        raise SyncError(
            f"The dataset '{name}' cannot be called as its file is, since DuckDB could not tell one from the other. "
            "Name another one with --dataset, or leave it out.",
            USAGE,
        )
    return replace(found, dataset=name)


def _duckdb(parts: SplitResult) -> Destination:
    # As in SQLAlchemy: three slashes before a relative path, four before an absolute one.
    path = unquote(parts.path).removeprefix("/")
    if parts.netloc or parts.query or not path:
        raise SyncError("--to names no file. It is duckdb:///backlog.duckdb, or duckdb:////data/backlog.duckdb.", USAGE)
    _folder(Path(path).absolute().parent)
    if Path(path).is_dir():
        raise SyncError(f"{path} is a folder, not a DuckDB file.", USAGE)
    if _is_something_else(Path(path)):
        raise SyncError(f"{path} is there already, and is no DuckDB file. Name another one.", USAGE)
    return Destination("duckdb", path, "main", {"path": path}, "parquet")


def _is_something_else(file: Path) -> bool:
    """Whether a file is there that is no DuckDB file: https://duckdb.org/docs/stable/internals/storage

    Why: a CSV, JSON or Parquet file DuckDB would show in a database in memory, with which the rows would be gone, and
    for one of SQLite it would fetch an extension.
    """
    try:
        with file.open("rb") as opened:
            return opened.read(12)[8:] != b"DUCK"
    except OSError:
        return False


def _postgres(parts: SplitResult, environment: Mapping[str, str]) -> Destination:
    database = unquote(parts.path).strip("/")
    options = _options(parts, {"schema"})
    if not parts.username or not parts.hostname or not database:
        raise SyncError("--to lacks a user, a host or a database: postgresql://USER@HOST:PORT/DATABASE.", USAGE)
    schema, port = options.get("schema", SCHEMA), parts.port or 5432
    settings: dict[str, Any] = {
        "host": parts.hostname,
        "port": port,
        "database": database,
        "username": unquote(parts.username),
        # With an empty one, libpq looks into ~/.pgpass.
        "password": environment.get("PGPASSWORD", ""),
    }
    shown = f"{parts.hostname}:{port}/{database}, schema {schema}"
    # dlt hands the password on within an address in which blanks stay blanks; ADBC, which reads Parquet, refuses these.
    file_format = None if " " in settings["password"] else "parquet"
    return Destination("postgres", shown, schema, settings, file_format)


def _snowflake(parts: SplitResult, environment: Mapping[str, str]) -> Destination:
    options = _options(parts, {"warehouse", "role"})
    path = [unquote(part) for part in parts.path.strip("/").split("/") if part]
    if not parts.username or not parts.hostname or len(path) not in (1, 2) or len(options) != 2:
        raise SyncError(
            "--to lacks a part: snowflake://USER@ACCOUNT/DATABASE/SCHEMA?warehouse=WAREHOUSE&role=ROLE.", USAGE
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
    settings = {"host": account, "username": unquote(parts.username), "database": database, **options, **given}
    return Destination("snowflake", f"{account}/{database}/{schema}", schema, settings)


def _files(parts: SplitResult) -> Destination:
    options = _options(parts, {"format"})
    file_format = options.get("format", "parquet")
    where = unquote(parts.path) if parts.scheme == "file" else f"{parts.netloc}{unquote(parts.path)}"
    if file_format not in ("parquet", "jsonl") or not where.strip("/") or (parts.scheme == "file" and parts.netloc):
        raise SyncError("--to names no folder, or another format than parquet and jsonl: file:///data/backlog.", USAGE)
    if parts.scheme == "file":
        _folder(Path(where))
    return Destination(
        "filesystem", f"{parts.scheme}://{where}", SCHEMA, {"bucket_url": f"{parts.scheme}://{where}"}, file_format
    )


def _folder(folder: Path) -> None:
    if not folder.is_dir():
        raise SyncError(f"The folder {folder} does not exist.", USAGE)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SyncError(f"The folder {folder} cannot be written to.", USAGE)


def _options(parts: SplitResult, known: set[str]) -> dict[str, str]:
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if options.keys() - known:
        raise SyncError(f"--to has an unknown option. Known are: {', '.join(sorted(known))}.", USAGE)
    return options


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _installed(name: str) -> None:
    """Raise `SyncError` (usage) where a module is missing that a key of `NEEDS` needs."""
    modules, extra = NEEDS[name]
    missing = [each for each in ("dlt", "pyarrow", *modules) if not _is_there(each)]
    if missing:
        raise SyncError(
            f"What writes to {extra} is not installed ({', '.join(missing)}): "
            f"pip install 'airbyte-source-backlog[{extra}]'",
            USAGE,
        )
