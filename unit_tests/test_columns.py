"""What leaves the connector in a column of dates is a date."""

import logging
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from source_backlog.columns import DateColumns, date_columns

Row = dict[str, Any]

SCHEMA = {
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "created": {"type": ["null", "string"], "format": "date-time"},
        "updated": {"type": ["null", "string"], "format": "date-time"},
        "day": {"type": ["null", "string"], "format": "date"},
    }
}


@pytest.fixture
def dates() -> DateColumns:
    keys: dict[str, str | list[str]] = {"issues": "id", "bridge": ["issueId", "id"]}
    return DateColumns(lambda stream: date_columns(SCHEMA), keys, lambda: ZoneInfo("Asia/Tokyo"))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def mended(dates: DateColumns, row: Row, stream: str = "issues") -> Row:
    dates.mend(stream, row)
    return row


def test_dates_are_brought_into_one_form(dates: DateColumns, caplog: pytest.LogCaptureFixture) -> None:
    row = {"id": 1, "name": "2018/08/17", "created": "2018/08/17", "updated": 1_534_464_000, "day": "2018/08/17"}
    assert mended(dates, row) == {
        "id": 1,
        "name": "2018/08/17",
        "created": "2018-08-17T00:00:00Z",
        "updated": "2018-08-17T00:00:00Z",
        "day": "2018-08-17",
    }
    row = {"id": 2, "created": "2018-08-17T09:00:00+09:00", "updated": "2018-08-17T00:00:00Z", "day": None}
    assert mended(dates, dict(row)) == {**row, "created": "2018-08-17T00:00:00Z"}
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0000-00-00T00:00:00Z", "0000-00-00T00:00:00Z"),
        ("", ""),
        ("soon\n", "soon "),
        ("x" * 100, "x" * 40),
        (True, "true"),
        ({"date": 1}, '{"date":1}'),
        (1e30, "1e+30"),
    ],
)
def test_what_is_no_date_is_null_and_named_once(
    dates: DateColumns, caplog: pytest.LogCaptureFixture, value: Any, shown: str
) -> None:
    for number in (7, 8):
        row = mended(dates, {"id": number, "created": value, "updated": "2018-08-17T00:00:00Z", "day": value})
        assert row == {"id": number, "created": None, "updated": "2018-08-17T00:00:00Z", "day": None}
    said = "which cannot be read as a date. It is null, and so are others like it in this column."
    assert warnings(caplog) == [
        f"issues: created of id 7 is '{shown}', {said}",
        f"issues: day of id 7 is '{shown}', {said}",
    ]
    mended(dates, {"issueId": 1, "id": 9, "created": value}, "bridge")
    assert warnings(caplog)[2] == f"bridge: created of issueId 1, id 9 is '{shown}', {said}"


def test_midnight_in_the_time_zone_of_the_space_is_the_day_there(dates: DateColumns) -> None:
    stamp = "2018-08-16T15:00:00Z"
    assert mended(dates, {"id": 1, "created": stamp, "day": stamp}) == {"id": 1, "created": stamp, "day": "2018-08-17"}


@pytest.mark.parametrize("schema", [{}, {"properties": None}, {"properties": {"id": {"type": "integer"}}}])
def test_a_schema_without_dates_changes_nothing(schema: Row) -> None:
    assert date_columns(schema) == {}
