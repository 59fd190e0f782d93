"""Columns of dates, where the rows leave the connector: they hold dates, and nothing else."""

import logging
from collections.abc import Callable, Mapping
from datetime import tzinfo
from functools import partial
from typing import Any

from source_backlog.values import Row, as_date, as_instant, as_text

LOGGER = logging.getLogger("airbyte.source_backlog")

Reader = Callable[[Any], str | None]


def date_columns(schema: Mapping[str, Any]) -> dict[str, str]:
    """The top-level columns that a JSON schema declares as `date` or `date-time`, with which of the two."""
    formats = {name: column.get("format") for name, column in (schema.get("properties") or {}).items()}
    return {name: kind for name, kind in formats.items() if kind in ("date", "date-time")}


class DateColumns:
    """Brings the dates of all rows of a sync into one form; what cannot be read as a date becomes null.

    Why: a date such as `0000-00-00T00:00:00Z`, or an empty text, stops the load of a whole table. The CDK transforms
    values by the type of their column, not by its format.

    `columns_of` gives the columns of a stream, `keys` its primary key, `zone` the time zone of the space.
    """

    def __init__(
        self,
        columns_of: Callable[[str], Mapping[str, str]],
        keys: Mapping[str, str | list[str]],
        zone: Callable[[], tzinfo | None],
    ) -> None:
        self._columns_of = columns_of
        self._keys = keys
        self._readers: dict[str, Reader] = {"date-time": as_instant, "date": partial(as_date, zone=zone)}
        self._columns: dict[str, list[tuple[str, Reader]]] = {}
        self._warned: set[tuple[str, str]] = set()

    def mend(self, stream: str, row: Row) -> None:
        """Edit a row of `stream` in place; of each column the first value that cannot be read leaves a warning."""
        columns = self._columns.get(stream)
        if columns is None:
            columns = [(name, self._readers[kind]) for name, kind in self._columns_of(stream).items()]
            self._columns[stream] = columns
        for column, read in columns:
            value = row.get(column)
            if value is None:
                continue
            readable = read(value)
            if readable is None:
                self._warn(stream, row, column, value)
            row[column] = readable

    def _warn(self, stream: str, row: Row, column: str, value: Any) -> None:
        if (stream, column) in self._warned:
            return
        self._warned.add((stream, column))
        key = self._keys.get(stream) or []
        names = [key] if isinstance(key, str) else key
        which = ", ".join(f"{name} {row.get(name)}" for name in names)
        shown = "".join(letter if letter.isprintable() else " " for letter in (as_text(value) or "")[:40])
        LOGGER.warning(
            f"{stream}: {column} of {which} is '{shown}', which cannot be read as a date. It is null, and so are "
            "others like it in this column."
        )
