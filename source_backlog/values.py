"""Backlog's values as a warehouse wants them: instants, days, texts of values with several shapes."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any

import orjson

STAMP = "%Y-%m-%dT%H:%M:%SZ"

# The column that tells a destination that the row was deleted at the source (Airbyte's CDC convention).
TOMBSTONE = "_ab_cdc_deleted_at"

Row = dict[str, Any]


def as_instant(value: Any) -> str | None:
    """A time stamp in Backlog's own format, `2026-01-31T09:00:00Z`, or None when `value` is not a time.

    Backlog sends that format; numbers are taken as epoch seconds or, above 1e11, as milliseconds, and any other
    ISO 8601 text is brought to UTC. In a date of an activity slashes may stand: `2018/08/17`.
    """
    if isinstance(value, bool) or value is None:
        return None
    try:
        if isinstance(value, int | float):
            seconds = value / 1000 if abs(value) > 1e11 else value
            return _stamp(datetime.fromtimestamp(seconds, UTC))
        text = _with_hyphens(str(value))
        moment = datetime.fromisoformat(text)
        if len(text) == 20 and text[4] == text[7] == "-" and text[10] == "T" and text[19] == "Z":
            return text
        return _stamp((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC))
    except (ValueError, OverflowError, OSError):
        return None


def as_written_day(value: Any) -> str | None:
    """The day that stands in a date, `2026-01-31`: in one at midnight, or with an offset. None where none does."""
    instant = as_instant(value)
    if instant is None:
        return None
    written = datetime.fromisoformat(_with_hyphens(value) if isinstance(value, str) else instant)
    return written.date().isoformat() if written.time() == time.min or written.utcoffset() else None


def as_date(value: Any, zone: Callable[[], tzinfo | None]) -> str | None:
    """A date without a time, `2026-01-31`, or None when `value` is none.

    A time that is not midnight in UTC is midnight somewhere: old spaces answer with `2026-01-30T15:00:00Z` for the 31st
    in Tokyo. `zone`, asked only then, is the space's. Where it is not known, or where it is not midnight there either,
    it was midnight in some zone from 10 hours behind UTC to 13 ahead.
    """
    instant, day = as_instant(value), as_written_day(value)
    if instant is None or day is not None:
        return day
    moment = datetime.fromisoformat(instant)
    try:
        where = zone()
        there = moment.astimezone(where) if where else moment
        return (there if there.time() == time.min else moment + timedelta(hours=13)).date().isoformat()
    except OverflowError:
        # The first or last day that there is.
        return instant[:10]


def _with_hyphens(text: str) -> str:
    return f"{text[:4]}-{text[5:7]}-{text[8:]}" if text[4:5] == text[7:8] == "/" else text


def _stamp(moment: datetime) -> str:
    # Not strftime, which writes the year 999 with three digits.
    return moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def later(one: str | None, other: str | None) -> str | None:
    """The later of two instants; None is earlier than all."""
    return max(one or "", other or "") or None


def day_before(instant: str) -> str:
    """The day (`yyyy-MM-dd`) that lies a whole day before `instant`, for Backlog's day-granular filters.

    Days are cut in the time zone of the space, which no page of the API names: a day back covers every zone, and
    rows whose stamps come late (https://developer.nulab.com/docs/backlog/api/2/get-issue-list).
    """
    return (datetime.strptime(instant, STAMP) - timedelta(days=1)).strftime("%Y-%m-%d")


def day_after(instant: str) -> str:
    """The instant a whole day after `instant`."""
    return (datetime.strptime(instant, STAMP) + timedelta(days=1)).strftime(STAMP)


def instant_at(seconds: float) -> str:
    """The instant that lies so many seconds behind the epoch."""
    return datetime.fromtimestamp(seconds, UTC).strftime(STAMP)


def not_in_the_future(instant: str | None) -> str | None:
    """`instant`, or None when it is later than now: a stamp of the future would hide what changes until then."""
    return instant if instant and instant <= datetime.now(UTC).strftime(STAMP) else None


def as_text(value: Any) -> str | None:
    """A value of any shape as text: text as it is, everything else as compact JSON, None as None."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def under(row: Row, **parents: Any) -> Row:
    """`row` with the parents' columns, which never replace a value that Backlog gave."""
    for name, value in parents.items():
        if row.get(name) is None:
            row[name] = value
    return row
