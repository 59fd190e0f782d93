"""Backlog as a source for dlt (https://dlthub.com): the connector's own code, with its state, limits and messages.

    import dlt
    from source_backlog.dlt import backlog

    dlt.pipeline("backlog", destination="duckdb").run(backlog(streams=["issues", "projects"]))

A row comes once per primary key, as it was read last, with the columns of the stream's schema in small letters, and two
more: `_airbyte_raw_id`, a digest of its contents, and `_airbyte_extracted_at`, when it was read.
"""

import hashlib
import json
import logging
import math
import re
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import dlt
import orjson
import pyarrow as pa
from airbyte_cdk.models import AirbyteMessage, AirbyteStateBlob, AirbyteStream, AirbyteStreamStatus

from source_backlog.embedded import Connector, Failure, is_incremental
from source_backlog.selection import SUGGESTED_STREAMS, brings_files
from source_backlog.streams.coverage import NAME as COVERAGE
from source_backlog.values import TOMBSTONE, as_text

LOGGER = logging.getLogger("airbyte.source_backlog")

# Of the state of a resource.
STATE = "state"
RAW_ID, EXTRACTED_AT = "_airbyte_raw_id", "_airbyte_extracted_at"
# What is held in memory of a table before it goes to the disk: rows, and bytes of them as JSON.
ROWS, BYTES = 5_000, 4 * 1024 * 1024
# dlt's and the databases' own: 38 digits, 9 of them behind the point.
PLACES, LIMIT = Decimal("1e-9"), Decimal(10) ** 29
# What no database takes in a text: U+0000, and halves of surrogate pairs.
UNREADABLE = re.compile("[\x00\ud800-\udfff]")


def _bigint(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool) or number != value or not -(2**63) <= number < 2**63:
        raise ValueError
    return number


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    number = Decimal(repr(value)).quantize(PLACES, ROUND_HALF_EVEN)
    if abs(number) >= LIMIT:
        raise ValueError
    return number


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _timestamp(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()


@dataclass(frozen=True)
class Kind:
    """A type of column: in Arrow, as dlt's hint, and what makes a value of it; `fit` raises where there is none.

    Values that are all of the class `usual`, or None, Arrow fits by itself, on the way through the type `via`.
    """

    arrow: pa.DataType
    hint: Mapping[str, Any]
    fit: Callable[[Any], Any]
    usual: type | None = None
    via: pa.DataType | None = None

    def column(self, values: Sequence[Any]) -> pa.Array:
        """The values as they are; raises one of `UNFIT` when one of them is no usual one."""
        if not {type(value) for value in values} <= {self.usual, type(None)}:
            raise TypeError
        if self.via is None:
            return pa.array(values, self.arrow)
        return pa.array(values, pa.string()).cast(self.via).cast(self.arrow)


UNFIT = (ValueError, TypeError, OverflowError, InvalidOperation)
TEXT = Kind(pa.string(), {"data_type": "text"}, as_text, str)
JSON = Kind(pa.string(), {"data_type": "json"}, _json)
TIMESTAMP = Kind(
    pa.timestamp("us"), {"data_type": "timestamp", "timezone": False}, _timestamp, str, pa.timestamp("us", "UTC")
)
KINDS = {
    "integer": Kind(pa.int64(), {"data_type": "bigint"}, _bigint, int),
    "number": Kind(pa.decimal128(38, 9), {"data_type": "decimal"}, _decimal),
    "boolean": Kind(pa.bool_(), {"data_type": "bool"}, _bool, bool),
    "string": TEXT,
    "date-time": TIMESTAMP,
    "date": Kind(pa.date32(), {"data_type": "date"}, date.fromisoformat, str, pa.date32()),
}


def kind_of(column: Mapping[str, Any]) -> Kind:
    """The type of a column by its JSON schema; what is no plain value is JSON."""
    types = column.get("type", [])
    plain = [name for name in ([types] if isinstance(types, str) else types) if name != "null"]
    if len(plain) != 1:
        return JSON
    return KINDS.get(column.get("format", "") if plain == ["string"] else "", KINDS.get(plain[0], JSON))


class Table:
    """The table of a stream: its columns, its key, and whether rows are merged or, also if `afresh`, replace it."""

    def __init__(self, stream: AirbyteStream, afresh: bool = False) -> None:
        self.stream = stream
        self.name: str = stream.name
        self.columns = {name: kind_of(column) for name, column in stream.json_schema["properties"].items()}
        self.keys = [path[0] for path in stream.source_defined_primary_key or []]
        self.merged = is_incremental(stream) and not afresh
        kinds = {name.lower(): kind for name, kind in self.columns.items()}
        self.kinds = {**kinds, RAW_ID: TEXT, EXTRACTED_AT: TIMESTAMP}
        self.arrow = pa.schema([(name, kind.arrow) for name, kind in self.kinds.items()])

    def resource(self, rows: Iterator[Any], disposition: Any = None) -> Any:
        """The dlt resource that gives `rows`, Arrow tables or lists of rows, of this table."""
        columns: dict[str, Any] = {name: {"name": name, **kind.hint} for name, kind in self.kinds.items()}
        if TOMBSTONE in columns:
            columns[TOMBSTONE]["hard_delete"] = True
        return dlt.resource(
            rows,
            name=self.name,
            primary_key=[key.lower() for key in self.keys],
            columns=columns,
            write_disposition=disposition or ("merge" if self.merged else "replace"),
            max_table_nesting=0,
        )


class Spool:
    """Rows of one table, on the disk in `folder` until they are loaded; each key comes out once, as it came last.

    Values that do not fit their column, and characters that no database takes, are left out with a warning per column.
    """

    def __init__(self, table: Table, folder: Path) -> None:
        self.table = table
        self.count = 0
        self.ids: dict[int, str] = {}
        self._folder, self._bytes = folder, 0
        self._last: dict[Any, int] = {}
        # Rows, their digests, and when they were read.
        self._held: list[tuple[dict[str, Any], str, int]] = []
        self._files: list[Path] = []
        self._warned: set[str] = set()

    def add(self, row: dict[str, Any], emitted_at: int) -> None:
        """Take in a row, which is not to be changed any more; `emitted_at` is in milliseconds."""
        dumped = self._readable(row)
        key = tuple(row.get(name) for name in self.table.keys) or self.count
        with suppress(KeyError):
            del self.ids[self._last[key]]
        self._last[key] = self.count
        self.ids[self.count] = digest = hashlib.blake2b(dumped, digest_size=16).hexdigest()
        self._held.append((row, digest, emitted_at))
        self.count += 1
        self._bytes += len(dumped)
        if len(self._held) >= ROWS or self._bytes >= BYTES:
            self._flush()

    def leave_out(self, unchanged: Collection[str]) -> int:
        """Give no rows with these digests; returns how many there were."""
        left_out = [position for position, digest in self.ids.items() if digest in unchanged]
        for position in left_out:
            del self.ids[position]
        return len(left_out)

    def tables(self) -> Iterator[pa.Table]:
        """The rows, as Arrow tables; one without rows if there are none."""
        self._flush()
        yield self.table.arrow.empty_table()
        position = 0
        for file in self._files:
            with pa.ipc.open_file(file) as batches:
                table = batches.read_all()
            kept = [place in self.ids for place in range(position, position + table.num_rows)]
            position += table.num_rows
            if any(kept):
                yield table if all(kept) else table.filter(pa.array(kept))

    def rows(self) -> Iterator[list[dict[str, Any]]]:
        """The rows, as dlt takes them where Arrow would make texts of JSON."""
        nested = [name for name, kind in self.table.kinds.items() if kind is JSON]
        for table in self.tables():
            rows = table.to_pylist()
            if not rows and self.ids:
                continue
            for row in rows:
                row.update({name: json.loads(row[name]) for name in nested if row[name] is not None})
            yield rows

    def remove(self) -> None:
        """Remove the files."""
        for file in self._files:
            file.unlink()

    def _readable(self, row: dict[str, Any]) -> bytes:
        with suppress(TypeError):
            dumped = orjson.dumps(row, option=orjson.OPT_SORT_KEYS, default=str)
            # A text may also hold these six characters themselves.
            if b"\\u0000" not in dumped or _mended(row) == row:
                return dumped
        for name, value in row.items():
            if (mended := _mended(value)) != value:
                self._warn(row, name, "holds characters that databases do not take: they are replaced by U+FFFD.")
                row[name] = mended
        return orjson.dumps(row, option=orjson.OPT_SORT_KEYS, default=str)

    def _warn(self, row: Mapping[str, Any], column: str, what: str) -> None:
        if column not in self._warned:
            self._warned.add(column)
            which = ", ".join(f"{name} {row.get(name)}" for name in self.table.keys)
            LOGGER.warning(f"{self.table.name}: {column} of {which} {what} Others like it in this column, too.")

    def _flush(self) -> None:
        if not self._held:
            return
        rows, digests, moments = zip(*self._held, strict=True)
        columns = [self._column(name, kind, rows) for name, kind in self.table.columns.items()]
        columns.append(pa.array(digests, TEXT.arrow))
        columns.append(pa.array(moments, pa.timestamp("ms")).cast(TIMESTAMP.arrow))
        table = pa.Table.from_arrays(columns, schema=self.table.arrow)
        file = self._folder / f"{self.table.name}-{id(self)}-{len(self._files)}.arrow"
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        self._files.append(file)
        self._held = []
        self._bytes = 0

    def _column(self, name: str, kind: Kind, rows: Sequence[dict[str, Any]]) -> pa.Array:
        values = [row.get(name) for row in rows]
        with suppress(*UNFIT):
            return kind.column(values)
        for place, value in enumerate(values):
            if value is not None:
                try:
                    values[place] = kind.fit(value)
                except UNFIT:
                    self._warn(rows[place], name, "is no value of its type. The row arrives without it.")
                    values[place] = None
        return pa.array(values, kind.arrow)


@dataclass
class Batch:
    """What was read at once: the rows by stream, and the states that they bring the streams to."""

    spools: dict[str, Spool] = field(default_factory=dict)
    states: dict[str, Any] = field(default_factory=dict)


class Reading:
    """A read of `tables` that goes on from `states`, in batches that may be loaded one by one.

    `heard` is told of each message.
    """

    def __init__(
        self,
        connector: Connector,
        tables: Sequence[Table],
        states: Mapping[str, Any],
        folder: Path,
        heard: Callable[[AirbyteMessage], None] = lambda message: None,
    ) -> None:
        self.complete: set[str] = set()
        self._connector, self._states, self._folder, self._heard = connector, states, folder, heard
        self._tables = {table.name: table for table in tables}
        self._rows: dict[str, Spool] = {}
        self._new: dict[str, Any] = {}

    def batches(self, seconds: float = math.inf) -> Iterator[Batch]:
        """The rows in batches: one with the first state after so many seconds, and one at the end.

        A table that is replaced comes when it was read to its end, and never if that fails.
        """
        streams = [table.stream for table in self._tables.values()]
        due = time.monotonic() + seconds
        for message in self._connector.read(streams, self._states):
            self._heard(message)
            if message.record is not None:
                self._spool(message.record.stream).add(dict(message.record.data), message.record.emitted_at)
            elif message.state is not None and message.state.stream is not None:
                name = message.state.stream.stream_descriptor.name
                self._new[name] = _plain(message.state.stream.stream_state)
                if time.monotonic() > due:
                    yield self._batch()
                    due = time.monotonic() + seconds
            elif name := completed(message):
                self.complete.add(name)
                self._spool(name)
        yield self._batch()

    def _spool(self, name: str) -> Spool:
        if name not in self._rows:
            self._rows[name] = Spool(self._tables[name], self._folder)
        return self._rows[name]

    def _batch(self) -> Batch:
        ready = {name for name in self._rows if self._tables[name].merged or name in self.complete}
        batch = Batch({name: self._rows.pop(name) for name in ready})
        for name in list(self._new):
            table = self._tables[name]
            if is_incremental(table.stream) and (table.merged or name in self.complete):
                batch.states[name] = self._new.pop(name)
        return batch


@dlt.source(name="backlog", section="backlog", max_table_nesting=0)
def backlog(
    domain: str = dlt.config.value,
    api_key: str = dlt.secrets.value,
    streams: Sequence[str] | None = None,
    start_date: str | None = None,
    projects: Sequence[str] | None = None,
    include_archived_projects: bool | None = None,
    num_workers: int | None = None,
    request_share_percent: int | None = None,
    deleted_records: str | None = None,
    issue_custom_fields: str | None = None,
) -> Any:
    """The streams of a Backlog space, one resource each; all are read in one walk when the first one is asked for.

    The options are those of the connector's config, and what is None has its default. `streams`: those that most
    reports are made of, unless some are named. Incremental streams are merged, the others replace their table; how far
    each has come is kept in dlt's state, with its rows. A stream that fails leaves an error in the log of Python
    (`airbyte.source_backlog`) and is tried again by the next run; the others are loaded. Raises `RuntimeError` if
    nothing can be read, and `ValueError` for a stream that does not exist.
    """
    options: dict[str, Any] = {
        "start_date": start_date,
        "projects": _several(projects) if projects else None,
        "include_archived_projects": include_archived_projects,
        "num_workers": num_workers,
        "request_share_percent": request_share_percent,
        "deleted_records": deleted_records,
        "issue_custom_fields": issue_custom_fields,
    }
    config = {name: value for name, value in options.items() if value is not None}
    config |= {"domain": domain, "credentials": {"auth_type": "api_key", "api_key": api_key}}
    names = _several(streams or SUGGESTED_STREAMS)
    if files := [name for name in names if brings_files(name)]:
        raise ValueError(f"The stream {files[0]!r} brings the contents of files, which have no place in a table.")
    connector = Connector(config)
    tables = [Table(stream) for stream in connector.streams(names)]
    _raise(connector.failures)
    if unknown := set(names) - {table.name for table in tables}:
        raise ValueError(f"There is no stream {min(unknown)!r}.")
    once = _Once(connector, tables)
    return [table.resource(once.rows(table.name)) for table in tables]


def _several(names: Sequence[str]) -> list[str]:
    # A text is a sequence, too: of letters.
    return [names] if isinstance(names, str) else list(names)


class _Once:
    """One read for all resources of a source."""

    def __init__(self, connector: Connector, tables: Sequence[Table]) -> None:
        self._connector, self._tables = connector, tables
        self._lock = threading.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._batch = Batch()

    def rows(self, name: str) -> Iterator[Any]:
        # Where dlt has the state of a resource, and loses it when its table is to be replaced or dropped.
        saved = dlt.current.source_state().get("resources", {})
        states = {stream: saved[stream][STATE] for stream in saved if STATE in saved[stream]}
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="backlog-")
                reading = Reading(self._connector, self._tables, states, Path(self._folder.name))
                (self._batch,) = reading.batches()
                if not reading.complete - {COVERAGE}:
                    _raise(self._connector.failures)
                for failure in self._connector.failures:
                    LOGGER.error(f"{failure.stream or 'backlog'}: {failure.message}")
        spool = self._batch.spools.get(name)
        if spool is not None:
            yield from spool.rows()
        if name in self._batch.states:
            dlt.current.resource_state(name)[STATE] = self._batch.states[name]


def completed(message: AirbyteMessage) -> str | None:
    """The stream that the message says to be read to its end, if it does."""
    status = message.trace.stream_status if message.trace else None
    is_end = status is not None and status.status == AirbyteStreamStatus.COMPLETE
    return status.stream_descriptor.name if status and is_end else None


def _raise(failures: Sequence[Failure]) -> None:
    if failures:
        raise RuntimeError(failures[0].message)


def _plain(state: AirbyteStateBlob | None) -> Any:
    return json.loads(orjson.dumps(vars(state) if state is not None else {}, default=vars))


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return UNREADABLE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {_mended(name): _mended(inner) for name, inner in value.items()}
    return [_mended(inner) for inner in value] if isinstance(value, list) else value
