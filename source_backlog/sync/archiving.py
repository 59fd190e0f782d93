"""`--archive`: the tables of a destination as a folder of pages. Nothing is asked of Backlog."""

import contextlib
import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from source_backlog.sync.destinations import Destination
from source_backlog.sync.errors import USAGE, SyncError, explained
from source_backlog.sync.holding import postgres_connection

NEEDS = ("jinja2", "markdown_it", "nh3")


def archive(destination: Destination, folder: Path, files: Path | None) -> None:
    """Write the archive of the tables in `destination` into `folder`, linked to the files in `files`.

    Prints what was written. Raises `SyncError` for another destination than DuckDB and PostgreSQL, where a module is
    missing, where there are no tables or no room, and for what the database says.
    """
    if destination.kind not in ("duckdb", "postgres"):
        raise SyncError("An archive is made of the tables in DuckDB or PostgreSQL; --to names something else.", USAGE)
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise SyncError(
            f"What writes an archive is not installed ({', '.join(missing)}): "
            "pip install 'airbyte-source-backlog[archive]'",
            USAGE,
        )
    # Here and not above: what it imports may be missing.
    from source_backlog.archive import ArchiveError, write

    began = time.monotonic()
    try:
        with _reading(destination) as ask:
            written = write(ask, folder, files, schema=destination.dataset, note=print)
    except ArchiveError as error:
        raise SyncError(str(error), USAGE) from error
    except OSError as error:
        raise SyncError(f"The archive cannot be written: {error.strerror or error}.", USAGE) from error
    megabytes = written.bytes / 1_000_000
    seconds, largest = time.monotonic() - began, written.largest / 1000
    print(f"Written: {written.pages:,} pages, {megabytes:,.1f} MB, the largest {largest:.0f} kB, in {seconds:,.0f} s.")
    if written.missing_files:
        print(f"Files: {written.files:,} linked, {written.missing_files:,} not found.")
    print(f"Open {folder / 'index.html'} in a browser.")


@contextlib.contextmanager
def _reading(destination: Destination) -> Iterator[Any]:
    """Something that runs a query on the tables as they were when it began."""
    errors: tuple[type[Exception], ...]
    connect: Callable[[], Any]
    if destination.kind == "duckdb":
        import duckdb

        path = Path(destination.settings["path"])
        if not path.exists():
            raise SyncError(f"There is no file {path}: run a sync first.", USAGE)
        errors, connect = (duckdb.Error,), lambda: duckdb.connect(str(path), read_only=True)
    else:
        import psycopg2

        errors, connect = (psycopg2.Error,), lambda: _postgres(destination)
    try:
        with contextlib.closing(connect()) as connection:
            cursor = connection.cursor()

            def ask(query: str) -> list[Any]:
                cursor.execute(query)
                return list(cursor.fetchall())

            yield ask
    except errors as error:
        meaning = explained(error)
        raise meaning if meaning.of_all else SyncError("The tables cannot be read.") from error


def _postgres(destination: Destination) -> Any:
    connection = postgres_connection(destination)
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
    return connection
