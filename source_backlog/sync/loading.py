"""Runs the connector under PyAirbyte and loads what it reads, with what PyAirbyte 0.71 leaves to be desired mended.

Verified on PyAirbyte 0.71.3; the methods with a leading underscore are not public, so pyproject.toml pins the line.
"""

import contextlib
import gzip
import io
import json
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pandas
import sqlalchemy
import sqlalchemy.exc
from airbyte._executors.local import PathExecutor
from airbyte._message_iterators import AirbyteMessageIterator
from airbyte.caches import CacheBase, DuckDBCache, PostgresCache, SnowflakeCache
from airbyte.exceptions import AirbyteConnectorFailedError, PyAirbyteError
from airbyte.shared.catalog_providers import CatalogProvider
from airbyte.shared.sql_processor import SqlProcessorBase, SQLRuntimeError
from airbyte.sources.base import Source
from airbyte.strategies import WriteMethod, WriteStrategy
from airbyte_protocol.models import (
    AirbyteMessage,
    AirbyteStreamStatus,
    SyncMode,
    TraceType,
    Type,
)

from source_backlog.sync.destinations import Destination
from source_backlog.sync.errors import FAILED, USAGE, SyncError
from source_backlog.sync.progress import Progress

# How much reading a killed sync may lose; a sync shorter than this is written once, at its end.
CHECKPOINT_SECONDS = 60.0
# Bytes of files have no place in a table.
FILE_STREAMS = {
    "issue_attachment_files",
    "wiki_attachment_files",
    "document_attachment_files",
    "pull_request_attachment_files",
    "shared_file_contents",
}


def sync(
    config: dict[str, Any],
    config_path: Path | None,
    destination: Destination,
    streams: list[str] | None,
    full_refresh: bool,
    folder: Path,
    progress: Progress,
) -> dict[str, int]:
    """Read `streams` (all of them if None) into `destination`; returns the rows now in each stream's table.

    `folder` takes the files on the way. New OAuth tokens are written back to `config_path`.
    Raises `SyncError` with what the user has to know.
    """
    # PyAirbyte prints to both; the user reads what `progress` says instead.
    chatter = io.StringIO()
    with contextlib.redirect_stdout(chatter), contextlib.redirect_stderr(chatter):
        source = BacklogSource(config, config_path, progress)
        try:
            progress.phase("asking the connector for its streams")
            selected = _selected(streams, source.get_available_streams())
            progress.phase("connecting to the database")
            with contextlib.closing(_cache(destination, folder)) as cache:
                cache.bind(progress)
                source.select_streams(selected)
                progress.phase("reading", selected)
                source.read(cache, force_full_refresh=full_refresh, skip_validation=True)
                return {name: len(cache[name]) for name in selected}
        except (PyAirbyteError, SQLRuntimeError, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
            raise source.explained(error) from error


class BacklogSource(Source):  # type: ignore[misc]
    """The installed connector; its log lines and its errors go to `progress`, its new tokens to the config file.

    Why: PyAirbyte writes the log lines to a file of its own, and ends a failed read without the connector's sentence.
    """

    def __init__(self, config: dict[str, Any], config_path: Path | None, progress: Progress) -> None:
        program = Path(sys.executable).with_name("source-backlog")
        if not program.is_file():
            raise SyncError(f"The connector {program} is missing: install this package again.", USAGE)
        self._progress = progress
        self._error: SyncError | None = None
        super().__init__(
            executor=PathExecutor("source-backlog", path=program),
            name="source-backlog",
            config=config,
            config_change_callback=lambda changed: _save_tokens(changed, config_path),
        )

    def _peek_airbyte_message(self, message: AirbyteMessage, *, raise_on_error: bool = True) -> None:
        if message.type == Type.LOG:
            self._progress.log(message.log.level.value, message.log.message)
        elif message.type == Type.TRACE and message.trace.type == TraceType.ERROR:
            error = message.trace.error
            mendable = error.failure_type is not None and error.failure_type.value == "config_error"
            # The first one is the cause; others follow from it, and the last one only says that there were some.
            self._error = self._error or SyncError(str(error.message), USAGE if mendable else FAILED)
        super()._peek_airbyte_message(message, raise_on_error=raise_on_error)

    def explained(self, error: Exception) -> SyncError:
        """The connector's own sentence if it has said one, else what went wrong around it."""
        if self._error is not None:
            return self._error
        if isinstance(error, AirbyteConnectorFailedError) and "exit_code" in (error.context or {}):
            return SyncError(
                f"The connector ended with exit status {error.context['exit_code']} and did not say why. "
                "`source-backlog check --config FILE` may."
            )
        if isinstance(error, PyAirbyteError):
            return SyncError(error.get_message())
        text = str(error).strip()
        if "Could not set lock on file" in text:
            return SyncError(
                "The DuckDB file is in use by another process; close it there, or wait for the other sync."
            )
        if isinstance(error, sqlalchemy.exc.OperationalError):
            return SyncError(f"The database cannot be reached or refuses the login: {error.orig}", USAGE)
        # Without the statement and its parameters, which hold rows.
        reason = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else text
        return SyncError(f"The database refuses what PyAirbyte does: {reason}")


class Catalog(CatalogProvider):  # type: ignore[misc]
    """How each stream is written: what is read whole replaces its table, the rest is merged by primary key.

    Why: PyAirbyte merges every stream that has a primary key, so that a member who has left a project, or a status
    that was deleted, would stay in the table for ever.
    """

    def is_whole(self, stream: str) -> bool:
        """Whether this run reads `stream` from its beginning to its end."""
        configured = self.get_configured_stream_info(stream)
        modes = configured.stream.supported_sync_modes
        return configured.sync_mode == SyncMode.full_refresh or SyncMode.incremental not in modes

    def resolve_write_method(self, stream_name: str, write_strategy: WriteStrategy) -> WriteMethod:
        """Replace or merge; `write_strategy` is not asked."""
        return WriteMethod.REPLACE if self.is_whole(stream_name) else WriteMethod.MERGE


class Loading(SqlProcessorBase):  # type: ignore[misc]
    """What PyAirbyte's SQL processors lack: rows once per key, and tables that are replaced in place.

    Why: PyAirbyte loads a row twice if a sync reads it twice, as any sync does when the row changes meanwhile; and
    it replaces a table by renaming another one over it, which PostgreSQL refuses as soon as a view depends on it,
    which leaves no table in Snowflake if the run is killed then, which loses the grants on it, and which is not done at
    all when there are no rows. So the old rows are deleted and PyAirbyte appends the new ones, in one transaction: that
    is the one statement that is not PyAirbyte's. It also asks the database for all keys, constraints and comments of
    every table, where the columns are enough: most of the time of a small sync.
    """

    _transaction: sqlalchemy.Connection | None = None

    @contextlib.contextmanager
    def get_sql_connection(self) -> Iterator[sqlalchemy.Connection]:
        """A connection in a transaction: the one that is open, or one of its own."""
        if self._transaction is not None:
            yield self._transaction
            return
        with super().get_sql_connection() as connection:
            yield connection

    def _get_table_by_name(
        self, table_name: str, *, force_refresh: bool = False, shallow_okay: bool = False
    ) -> sqlalchemy.Table:
        if force_refresh or table_name not in self._cached_table_definitions:
            schema = self.sql_config.schema_name
            found = sqlalchemy.inspect(self.get_sql_engine()).get_columns(table_name, schema=schema)
            columns = [sqlalchemy.Column(each["name"], each["type"]) for each in found]
            table = sqlalchemy.Table(table_name, sqlalchemy.MetaData(schema=schema), *columns)
            self._cached_table_definitions[table_name] = table
        return self._cached_table_definitions[table_name]

    def _write_files_to_new_table(self, files: list[Path], stream_name: str, batch_id: str) -> str:
        keys = self.catalog_provider.get_primary_keys(stream_name)
        _keep_last_of_each_key(files, keys)
        name: str = super()._write_files_to_new_table(files, stream_name, batch_id)
        return name

    def _swap_temp_table_with_final_table(self, stream_name: str, temp_table_name: str, final_table_name: str) -> None:
        self._ensure_compatible_table_schema(stream_name, final_table_name)
        final = sqlalchemy.table(final_table_name, schema=self.sql_config.schema_name)
        with self.get_sql_connection() as self._transaction:
            try:
                self._transaction.execute(final.delete())
                self._append_temp_table_to_final_table(temp_table_name, final_table_name, stream_name)
            finally:
                self._transaction = None

    def empty(self, stream: str) -> None:
        """Replace the table of `stream`, which was read whole and has no rows."""
        table = self._ensure_final_table_exists(stream)
        nothing = self._create_table_for_loading(stream, f"empty{time.time_ns()}")
        try:
            self._swap_temp_table_with_final_table(stream, nothing, table)
        finally:
            self._drop_temp_table(nothing)


class DuckDBLoading(Loading, DuckDBCache._sql_processor_class):  # type: ignore[misc]
    """Loading into DuckDB."""


class SnowflakeLoading(Loading, SnowflakeCache._sql_processor_class):  # type: ignore[misc]
    """Loading into Snowflake."""


class _PostgresFiles(PostgresCache._sql_processor_class):  # type: ignore[misc]
    """Loads rows into PostgreSQL as they are.

    Why: PyAirbyte reads the rows with `pandas.read_json`, which turns a column of texts that look like numbers into
    numbers (a key `007` arrives as `7`), and large integers beside nulls into floats; and it stores a missing
    object as the JSON value `null`, which is not SQL's NULL.
    """

    def _write_files_to_new_table(self, files: list[Path], stream_name: str, batch_id: str) -> str:
        name: str = self._create_table_for_loading(stream_name, batch_id)
        types = {
            column: sqlalchemy.JSON(none_as_null=True) if isinstance(kind, sqlalchemy.JSON) else kind
            for column, kind in self._get_sql_column_definitions(stream_name).items()
        }
        for file in files:
            rows = [orjson.loads(line) for line in _lines(file)]
            frame = pandas.DataFrame(rows, columns=list(types), dtype=object)
            frame.to_sql(
                name,
                self.get_sql_engine(),
                schema=self.sql_config.schema_name,
                if_exists="append",
                index=False,
                dtype=types,
                chunksize=1000,
            )
        return name


class PostgresLoading(Loading, _PostgresFiles):
    """Loading into PostgreSQL."""


class Checkpointing(CacheBase):  # type: ignore[misc]
    """Writes rows and state while the sync runs, and what was read when it fails.

    Why: PyAirbyte holds everything back until the connector has finished, and throws it away if the connector
    fails, so that a first load of hours would begin again each time.
    """

    _progress: Progress

    def bind(self, progress: Progress) -> None:
        """Tell `progress` of every row and stream."""
        self._progress = progress

    def _write_airbyte_message_stream(
        self,
        stdin: Iterable[AirbyteMessage],
        *,
        catalog_provider: CatalogProvider,
        write_strategy: WriteStrategy,
        state_writer: Any = None,
        progress_tracker: Any,
    ) -> None:
        catalog = Catalog(catalog_provider.configured_catalog)
        processor = self.get_record_processor(self.name, catalog, state_writer)

        def write(stream: str) -> None:
            processor.write_stream_data(stream, write_strategy=write_strategy, progress_tracker=progress_tracker)

        messages = self._written_on_the_way(stdin, catalog, processor, write)
        processor.process_airbyte_messages(
            AirbyteMessageIterator(messages), write_strategy=write_strategy, progress_tracker=progress_tracker
        )
        progress_tracker.log_cache_processing_complete()

    def _written_on_the_way(
        self, messages: Iterable[AirbyteMessage], catalog: Catalog, processor: Any, write: Any
    ) -> Iterator[AirbyteMessage]:
        whole = {name for name in catalog.stream_names if catalog.is_whole(name)}
        complete: set[str] = set()
        filled: set[str] = set()
        written = dict.fromkeys(catalog.stream_names, time.monotonic())
        failures: list[Exception] = []
        for message in _until_failure(messages, failures):
            # PyAirbyte has taken the message in when it asks for the next one.
            yield message
            if message.type == Type.RECORD:
                filled.add(message.record.stream)
                self._progress.record(message.record.stream)
            elif message.type == Type.TRACE and message.trace.stream_status is not None:
                if message.trace.stream_status.status == AirbyteStreamStatus.COMPLETE:
                    stream = message.trace.stream_status.stream_descriptor.name
                    complete.add(stream)
                    self._progress.finished(stream)
            elif message.type == Type.STATE and message.state.stream is not None:
                stream = message.state.stream.stream_descriptor.name
                if stream not in whole and time.monotonic() - written[stream] > CHECKPOINT_SECONDS:
                    write(stream)
                    written[stream] = time.monotonic()
        self._progress.phase("writing")
        for stream in sorted(whole & complete - filled):
            processor.empty(stream)
        # PyAirbyte takes a connector that somebody has stopped for one that has finished.
        if not failures and (missing := set(catalog.stream_names) - complete):
            failures.append(SyncStopped(sorted(missing)))
        if failures:
            # Half of a stream that is read whole would replace the table; half of the others is progress.
            for stream in sorted(set(catalog.stream_names) - (whole - complete)):
                write(stream)
            raise failures[0]


def _until_failure(messages: Iterable[AirbyteMessage], failures: list[Exception]) -> Iterator[AirbyteMessage]:
    """The messages until the connector fails; how it has failed is added to `failures`."""
    try:
        yield from messages
    except PyAirbyteError as error:
        failures.append(error)


class SyncStopped(PyAirbyteError):  # type: ignore[misc]
    """The connector has ended without having finished its streams."""

    def __init__(self, streams: list[str]) -> None:
        super().__init__(message=f"The connector was stopped before it had read: {', '.join(streams)}.")


class BacklogDuckDB(Checkpointing, DuckDBCache):  # type: ignore[misc]
    """A DuckDB file."""

    _sql_processor_class: ClassVar[type] = DuckDBLoading


class BacklogPostgres(Checkpointing, PostgresCache):  # type: ignore[misc]
    """A schema of a PostgreSQL database."""

    _sql_processor_class: ClassVar[type] = PostgresLoading


class BacklogSnowflake(Checkpointing, SnowflakeCache):  # type: ignore[misc]
    """A schema of a Snowflake database."""

    _sql_processor_class: ClassVar[type] = SnowflakeLoading


CACHES: Mapping[str, type[Checkpointing]] = {
    "duckdb": BacklogDuckDB,
    "postgresql": BacklogPostgres,
    "snowflake": BacklogSnowflake,
}


def _cache(destination: Destination, folder: Path) -> Any:
    return CACHES[destination.kind](**destination.settings, cache_dir=folder)


def _selected(streams: list[str] | None, available: list[str]) -> list[str]:
    if streams is None:
        return [name for name in available if name not in FILE_STREAMS]
    if unknown := [name for name in streams if name not in available]:
        raise SyncError(f"There is no stream {unknown[0]!r}. There are: {', '.join(sorted(available))}.", USAGE)
    if files := [name for name in streams if name in FILE_STREAMS]:
        raise SyncError(f"The stream {files[0]!r} brings the contents of files, which have no place in a table.", USAGE)
    return streams


def _lines(file: Path) -> Iterator[bytes]:
    with gzip.open(file, "rb") as lines:
        yield from lines


def _keep_last_of_each_key(files: list[Path], keys: list[str]) -> None:
    """Rewrite the gzipped JSON lines in `files` (in order of reading) so that each key stands there once, last wins."""
    last: dict[Any, tuple[int, int]] = {}
    rows = 0
    for number, file in enumerate(files):
        for position, line in enumerate(_lines(file)):
            row = orjson.loads(line)
            last[tuple(row.get(key) for key in keys)] = number, position
            rows += 1
    if not keys or len(last) == rows:
        return
    kept = set(last.values())
    for number, file in enumerate(files):
        lines = [line for position, line in enumerate(_lines(file)) if (number, position) in kept]
        with gzip.open(file, "wb") as output:
            output.writelines(lines)


def _save_tokens(changed: Mapping[str, Any], path: Path | None) -> None:
    """Put the credentials of the changed config into the file, so that it always holds the current refresh token."""
    if path is None:
        return
    config = json.loads(path.read_text(encoding="utf-8")) | {"credentials": changed["credentials"]}
    target = path.resolve()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=target.name)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
        os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
    os.replace(name, target)
