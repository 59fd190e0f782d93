"""The tables of `backlog-sync`, read with plain SQL: what is there, and rows with the names of their columns."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

Ask = Callable[[str], Iterable[Sequence[Any]]]
"""Runs a query and gives its rows."""
Row = dict[str, Any]

# By table, in small letters as the tables have them: what the pages are made of.
COLUMNS: Mapping[str, str] = {
    "space": "spacekey name lang timezone textformattingrule",
    "projects": "id projectkey name textformattingrule archived joined usewiki usedocument",
    "issues": "id projectid keyid issuekey issuetype summary description resolution priority status assignee category "
    "versions milestone startdate duedate estimatedhours actualhours parentissueid createduser created updateduser "
    "updated customfields attachments sharedfiles externalfilelinks stars",
    "issue_comments": "id issueid content changelog createduser created updated stars",
    "related_issues": "issueid relatedissueid relatedissuekey relatedsummary type issueupdated",
    "statuses": "projectid id name color displayorder",
    "versions": "projectid id name startdate releaseduedate archived displayorder",
    "wikis": "id projectid name content tags attachments sharedfiles stars createduser created updateduser updated",
    "documents": "id projectid title plain json emoji attachments tags createduser created updateduser updated",
    "document_tree": "projectid id parentid depth position trashed",
    "document_comments": "id documentid commentid content plain createduser created updated",
    "deletions": "entity entityid entitykey entityname deletedat reason",
}
READ_AT = "_airbyte_extracted_at"


class Tables:
    """The tables of one schema. A table or a column that is not there gives no rows, or None."""

    def __init__(self, ask: Ask, schema: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_]+", schema):
            raise ValueError(f"not the name of a schema: {schema!r}")
        self._ask, self._schema = ask, schema
        self._columns: dict[str, set[str]] = {}
        known = (
            "SELECT table_name, column_name FROM information_schema.columns "
            f"WHERE table_schema = '{schema}' AND table_catalog = current_database()"
        )
        for table, column in ask(known):
            self._columns.setdefault(table, set()).add(column)

    def has(self, table: str) -> bool:
        """Whether the table is there."""
        return table in self._columns

    def rows(self, table: str, where: str = "", order: str = "id", only: str = "") -> list[Row]:
        """The rows of a table with the columns of `COLUMNS`, or of `only`; `order` is a column of numbers."""
        if not self.has(table):
            return []
        names = [name for name in (only or COLUMNS[table]).split() if name in self._columns[table]]
        listed = ", ".join(f'"{name}"' for name in names)
        ordered = f' ORDER BY "{order}"' if order else ""
        query = f"SELECT {listed} FROM {self.name(table)}{f' WHERE {where}' if where else ''}{ordered}"
        missing = dict.fromkeys(set((only or COLUMNS[table]).split()) - set(names))
        return [{**missing, **dict(zip(names, row, strict=True))} for row in self._ask(query)]

    def distinct(self, table: str, column: str) -> list[Row]:
        """The values of a column, each once."""
        if column not in self._columns.get(table, ()):
            return []
        return [{column: value} for (value,) in self._ask(f'SELECT DISTINCT "{column}" FROM {self.name(table)}')]

    def counted(self, table: str) -> tuple[int, datetime | None]:
        """How many rows a table has, and when the newest of them was read."""
        newest = f'max("{READ_AT}")' if READ_AT in self._columns[table] else "NULL"
        ((count, read_at),) = self._ask(f"SELECT count(*), {newest} FROM {self.name(table)}")
        return int(count), moment(read_at)

    def name(self, table: str) -> str:
        """The name of a table within a query."""
        return f'"{self._schema}"."{table}"'


def decoded(value: Any) -> Any:
    """A column of JSON: DuckDB gives it as text."""
    if not isinstance(value, str | bytes):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        return None


def object_of(value: Any) -> Row:
    """A JSON object; empty for anything else."""
    found = decoded(value)
    return found if isinstance(found, dict) else {}


def list_of(value: Any) -> list[Row]:
    """The objects in a JSON array."""
    found = decoded(value)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def name_of(value: Any) -> str:
    """The name of a JSON object, such as a user."""
    return str(object_of(value).get("name") or "")


def moment(value: Any) -> datetime | None:
    """A point in time out of a column or of JSON; what names no zone is UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None


def day(value: Any) -> str:
    """A day as Backlog gives it, whose zone means nothing."""
    found = moment(value)
    return found.date().isoformat() if found else str(value or "")


def zone_of(name: Any) -> tuple[tzinfo, str]:
    """The time zone of the space, and its name; UTC where there is none, or one that this system does not know."""
    try:
        return ZoneInfo(str(name)), str(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC, "UTC"
