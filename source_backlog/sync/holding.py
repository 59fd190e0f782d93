"""One run at a time per dataset: what is held from the first connection to the end."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from source_backlog.sync.destinations import Destination
from source_backlog.sync.errors import SyncError, explained

CONNECT_SECONDS = 10


@contextlib.contextmanager
def held(destination: Destination) -> Iterator[Any]:
    """A connection that keeps other runs out, or None; raises `SyncError` where there is one, or none can be made.

    DuckDB locks its file, PostgreSQL knows advisory locks; both hold against any machine. For the others a file is
    locked that only this machine knows.
    """
    if destination.kind == "duckdb":
        with _duckdb(Path(destination.settings["path"])) as connection:
            yield connection
    elif destination.kind == "postgres":
        with contextlib.closing(postgres_connection(destination)) as connection:
            _lock(connection, destination)
            yield connection
    else:
        with _alone_on_this_machine(destination):
            yield None


@contextlib.contextmanager
def _duckdb(path: Path) -> Iterator[Any]:
    import duckdb

    is_new = not path.exists()
    try:
        connection = duckdb.connect(str(path))
    except duckdb.Error as error:
        raise explained(error) from error
    try:
        yield connection
        if is_new:
            with contextlib.suppress(duckdb.Error):
                _leave_room(connection)
    finally:
        unused = False
        with contextlib.suppress(duckdb.Error):
            unused = is_new and not connection.execute("SELECT 1 FROM duckdb_tables() LIMIT 1").fetchall()
        connection.close()
        if unused:
            path.unlink()


def _leave_room(connection: Any) -> None:
    """Have the file hold the list of its tables, columns and blocks twice, as it does from the second sync on.

    Why: DuckDB writes it to another place whenever anything changes, before it frees the old one. The next sync would
    make a small file a quarter larger although there was nothing to write. The two changes leave nothing behind.
    """
    connection.execute("CHECKPOINT")
    connection.execute("BEGIN; CREATE SCHEMA backlog_sync_room; DROP SCHEMA backlog_sync_room; COMMIT; CHECKPOINT")


def postgres_connection(destination: Destination) -> Any:
    """A connection of its own, in which each statement counts at once. Raises `SyncError` where none can be made."""
    import psycopg2

    settings = dict(destination.settings)
    try:
        connection = psycopg2.connect(
            host=settings["host"],
            port=settings["port"],
            dbname=settings["database"],
            user=settings["username"],
            password=settings["password"],
            connect_timeout=CONNECT_SECONDS,
        )
    except psycopg2.Error as error:
        raise explained(error) from error
    connection.autocommit = True
    return connection


def _lock(connection: Any, destination: Destination) -> None:
    import psycopg2

    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(hashtext('backlog-sync'), hashtext(%s))", [destination.dataset])
            (free,) = cursor.fetchone() or (False,)
    except psycopg2.Error as error:
        raise explained(error) from error
    if not free:
        raise _busy(destination)


@contextlib.contextmanager
def _alone_on_this_machine(destination: Destination) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:
        # Windows has other locks.
        yield
        return
    name = f"{destination.kind} {os.path.abspath(destination.shown)} {destination.dataset}"
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"backlog-sync-{os.getuid()}-{digest}.lock"
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The one that held it may have removed it.
            if os.fstat(file.fileno()).st_ino != path.stat().st_ino:
                raise OSError
        except OSError as error:
            raise _busy(destination) from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _busy(destination: Destination) -> SyncError:
    return SyncError(
        f"Another run of backlog-sync writes to {destination.shown} at this moment. Wait until it has ended."
    )
