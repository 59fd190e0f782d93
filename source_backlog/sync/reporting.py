"""`--report`: the page of what the tables tell, made by the dbt package and `source_backlog.report`."""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from source_backlog.report import write
from source_backlog.report.data import Ask
from source_backlog.sync.destinations import Destination
from source_backlog.sync.errors import USAGE, SyncError, explained, meaning_of
from source_backlog.sync.holding import held, postgres_connection
from source_backlog.sync.progress import Progress

# Without the first there is no space; the others, of which the last is the past, are not there before a row has come.
TABLES = ("projects", "statuses", "issues", "issue_changelogs")
# The models that the page shows, with all that they are made of.
SHOWN = [
    "burndown",
    "coverage",
    "flow",
    "hours_monthly",
    "lead_times",
    "milestone_enhanced",
    "overdue",
    "project_enhanced",
]
DBT = "from dbt.cli.main import cli; cli()"
# The modules of dbt for a destination.
ADAPTERS = {"duckdb": "dbt.adapters.duckdb", "postgres": "dbt.adapters.postgres"}


def report(destination: Destination, folder: Path, progress: Progress) -> Path:
    """Make the page of the tables in `destination`, as `index.html` in `folder`, which is made if it is missing.

    What the page is made of is built by dbt in a schema of its own beside the tables, `DATASET_report`. Backlog is not
    asked. Raises `SyncError` with what the user has to know.
    """
    _can_be_made(destination, folder)
    own = replace(destination, dataset=f"{destination.dataset}_report")
    # DuckDB's file is locked by whoever has it open, and so by dbt itself.
    with held(own) if destination.kind == "postgres" else contextlib.nullcontext():
        with _asking(destination) as ask:
            known = {name for (name,) in ask(THERE.format(destination.dataset))}
        missing = [name for name in TABLES if name not in known]
        if TABLES[0] in missing:
            raise SyncError(
                f"There is no table {TABLES[0]} in {destination.shown}: sync the stream {TABLES[0]} first.", USAGE
            )
        if missing:
            progress.note(f"There is no table {', '.join(missing)}: what the page would show of it is missing.")
        progress.phase("building the tables of the page")
        _build(destination, own.dataset)
        page = folder / "index.html"
        try:
            folder.mkdir(exist_ok=True)
            with _asking(destination) as ask:
                write(ask, page, schema=own.dataset)
        except OSError as error:
            raise SyncError(f"{page} cannot be written: {error.strerror}.", USAGE) from error
    return page


THERE = "SELECT table_name FROM information_schema.tables WHERE table_schema = '{}'"


def package() -> Path:
    """The dbt package: in the wheel it lies within this package, in a checkout beside it."""
    places = (folder / "models" for folder in Path(__file__).parents[1:3])
    return next(folder for folder in places if (folder / "dbt_project.yml").is_file())


def _can_be_made(destination: Destination, folder: Path) -> None:
    if destination.kind not in ADAPTERS:
        raise SyncError("--report makes a page of what is in DuckDB or PostgreSQL.", USAGE)
    if not _is_there(ADAPTERS[destination.kind]):
        raise SyncError(
            "What builds the tables of the page is not installed (dbt, for Python 3.11 and 3.12): "
            f"pip install 'airbyte-source-backlog[{destination.kind},report]'",
            USAGE,
        )
    if not folder.absolute().parent.is_dir() or (folder.exists() and not folder.is_dir()):
        raise SyncError(f"{folder} is no folder, and cannot be made one.", USAGE)
    if destination.kind == "duckdb" and not Path(destination.settings["path"]).is_file():
        raise SyncError(f"There is no file {destination.shown}. Read the space into it first.", USAGE)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@contextlib.contextmanager
def _asking(destination: Destination) -> Iterator[Ask]:
    """What runs a query in the destination and gives its rows."""
    with contextlib.closing(_connected(destination)) as connection:

        def ask(query: str) -> Any:
            cursor = connection.cursor()
            try:
                cursor.execute(query)
                return cursor.fetchall()
            except Exception as error:
                raise explained(error) from error

        yield ask


def _connected(destination: Destination) -> Any:
    if destination.kind == "postgres":
        return postgres_connection(destination)
    import duckdb

    try:
        return duckdb.connect(destination.settings["path"], read_only=True)
    except duckdb.Error as error:
        raise explained(error) from error


def _build(destination: Destination, schema: str) -> None:
    with tempfile.TemporaryDirectory(prefix="backlog-sync-") as temporary:
        profile = {"target": "page", "outputs": {"page": _profile(destination, schema)}}
        # JSON is YAML.
        Path(temporary, "profiles.yml").write_text(json.dumps({"backlog": profile}), encoding="utf-8")
        variables = json.dumps({"backlog_schema": destination.dataset})
        options = ["--no-use-colors", "--quiet", "--no-version-check", "--no-partial-parse"]
        selected = ["--select", *(f"+{model}" for model in SHOWN)]
        folders = ["--project-dir", str(package()), "--profiles-dir", temporary]
        built = subprocess.run(
            [sys.executable, "-c", DBT, *options, "run", *folders, "--vars", variables, *selected],
            cwd=temporary,
            env=os.environ
            | {
                "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
                "DBT_TARGET_PATH": temporary,
                "DBT_LOG_PATH": temporary,
                "BACKLOG_PASSWORD": str(destination.settings.get("password", "")),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if built.returncode:
        raise meaning_of(built.stdout) or SyncError(
            "dbt could not build the tables of the page. Run it by itself to see why: docs/warehouse.md, under "
            "'From rows to answers'."
        )


def _profile(destination: Destination, schema: str) -> dict[str, Any]:
    """The connection, as dbt takes it; the password goes by the environment."""
    settings = destination.settings
    if destination.kind == "duckdb":
        # As in models/profiles.yml, which says why.
        rare = {"checkpoint_threshold": "1GB"}
        path = str(Path(settings["path"]).absolute())
        return {"type": "duckdb", "path": path, "schema": schema, "threads": 2, "settings": rare}
    return {
        "type": "postgres",
        "host": settings["host"],
        "port": settings["port"],
        "user": settings["username"],
        "password": "{{ env_var('BACKLOG_PASSWORD') }}",
        "dbname": settings["database"],
        "schema": schema,
        "threads": 4,
    }
