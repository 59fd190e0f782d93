"""Times, days and texts: Backlog's values as the rows and the positions hold them."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_backlog.values import (
    as_date,
    as_instant,
    as_text,
    day_before,
    later,
    not_in_the_future,
    under,
)

STAMP = "%Y-%m-%dT%H:%M:%SZ"


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2026-01-31T09:00:00Z", "2026-01-31T09:00:00Z"),
        (1_769_850_000, "2026-01-31T09:00:00Z"),
        (1_769_850_000.9, "2026-01-31T09:00:00Z"),
        (1_769_850_000_000, "2026-01-31T09:00:00Z"),
        (1_769_850_000_999, "2026-01-31T09:00:00Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-86_400, "1969-12-31T00:00:00Z"),
        ("2026-01-31T18:00:00+09:00", "2026-01-31T09:00:00Z"),
        ("2026-01-31T18:00:00+0900", "2026-01-31T09:00:00Z"),
        ("2026-01-30T23:30:00-09:30", "2026-01-31T09:00:00Z"),
        ("2026-01-31T09:00:00.123Z", "2026-01-31T09:00:00Z"),
        ("2026-01-31T09:00:00.123456+00:00", "2026-01-31T09:00:00Z"),
        ("2026-01-31T09:00:00", "2026-01-31T09:00:00Z"),
        ("2026-01-31 09:00:00", "2026-01-31T09:00:00Z"),
        ("2026-01-31", "2026-01-31T00:00:00Z"),
        ("2026/01/31", "2026-01-31T00:00:00Z"),
        ("2026/01/31 18:00:00+09:00", "2026-01-31T09:00:00Z"),
        ("0999-01-31", "0999-01-31T00:00:00Z"),
        ("2024-W01-1T09:00:00Z", "2024-01-01T09:00:00Z"),
    ],
)
def test_a_time_of_any_form_becomes_an_instant_in_utc(value: Any, instant: str) -> None:
    assert as_instant(value) == instant


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "yesterday",
        "31/01/2026",
        "2026/13/01",
        "2026/1/31",
        "0000-00-00T00:00:00Z",
        "0000-00-00",
        "0000/00/00",
        "2026-02-30",
        "2026-02-30T00:00:00Z",
        "2026-13-45T99:99:99Z",
        "xxxx-xx-xxTxx:xx:xxZ",
        "2026-13-01T00:00:00+09:00",
        "0001-01-01T00:00:00+09:00",
        True,
        False,
        [],
        {},
        [2026],
        {"id": 1},
        math.nan,
        math.inf,
        -math.inf,
        1e30,
        10**30,
        b"2026-01-31",
    ],
)
def test_what_is_no_time_is_none(value: Any) -> None:
    assert as_instant(value) is None


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("2018-08-17", "2018-08-17"),
        ("2018/08/17", "2018-08-17"),
        ("2018-08-17T00:00:00Z", "2018-08-17"),
        ("2018-08-17T23:30:00+09:00", "2018-08-17"),
        ("2018-08-17T01:30:00+09:00", "2018-08-17"),
        ("20180817", "2018-08-17"),
        (1_534_464_000, "2018-08-17"),
        (1_534_464_000_000, "2018-08-17"),
        ("0000-00-00T00:00:00Z", None),
        ("", None),
        ("17/08/2018", None),
        ("2018-02-30", None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_a_date_of_any_form_becomes_a_date(value: Any, date: str | None) -> None:
    def zone() -> None:
        raise AssertionError("the time zone of the space is asked for, which is a request")

    assert as_date(value, zone) == date


@pytest.mark.parametrize(
    ("value", "zone", "date"),
    [
        ("2026-01-30T15:00:00Z", "Asia/Tokyo", "2026-01-31"),
        ("2026-01-30T15:00:00.000+00:00", "Asia/Tokyo", "2026-01-31"),
        (1_769_785_200, "Asia/Tokyo", "2026-01-31"),
        ("2026-01-31T05:00:00Z", "America/New_York", "2026-01-31"),
        ("2026-07-31T04:00:00Z", "America/New_York", "2026-07-31"),
        ("2026-01-30T15:00:00Z", "America/New_York", "2026-01-31"),
        ("2026-01-30T11:00:00Z", "Asia/Tokyo", "2026-01-31"),
        ("2026-01-30T15:00:00Z", None, "2026-01-31"),
        ("2026-01-31T05:00:00Z", None, "2026-01-31"),
        ("2026-01-30T11:00:00Z", None, "2026-01-31"),
        ("2026-01-31T10:00:00Z", None, "2026-01-31"),
        ("9999-12-31T15:00:00Z", "Asia/Tokyo", "9999-12-31"),
        ("9999-12-31T15:00:00Z", None, "9999-12-31"),
        ("0001-01-01T03:00:00Z", "America/New_York", "0001-01-01"),
    ],
)
def test_a_time_is_the_day_that_it_is_in_the_time_zone_of_the_space(value: Any, zone: str | None, date: str) -> None:
    assert as_date(value, lambda: ZoneInfo(zone) if zone else None) == date


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_instants_sort_as_text_and_are_stable(moment: datetime) -> None:
    instant = as_instant(moment.isoformat())
    assert instant == moment.strftime(STAMP)
    assert as_instant(instant) == instant


@given(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.lists(st.integers())
    | st.dictionaries(st.text(), st.none())
)
def test_nothing_makes_it_fail(value: Any) -> None:
    assert isinstance(as_instant(value), str | None)


@pytest.mark.parametrize(
    ("one", "other", "latest"),
    [
        (None, None, None),
        ("2026-01-01T00:00:00Z", None, "2026-01-01T00:00:00Z"),
        (None, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"),
        ("2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("", None, None),
    ],
)
def test_none_is_earlier_than_all(one: Any, other: Any, latest: Any) -> None:
    assert later(one, other) == latest


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2026-01-31T09:00:00Z", "2026-01-30"),
        ("2026-01-31T00:00:00Z", "2026-01-30"),
        ("2026-01-31T23:59:59Z", "2026-01-30"),
        ("2026-01-01T00:00:00Z", "2025-12-31"),
        ("2024-03-01T12:00:00Z", "2024-02-29"),
    ],
)
def test_the_day_before_is_a_whole_day_before(instant: str, day: str) -> None:
    assert day_before(instant) == day


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.integers(-12, 14))
def test_the_day_before_covers_the_day_of_every_time_zone(moment: datetime, offset: int) -> None:
    """The space cuts its days in its own zone: the day of the instant there is never before the day that is sent."""
    assert day_before(moment.strftime(STAMP)) <= (moment + timedelta(hours=offset)).strftime("%Y-%m-%d")


def test_a_stamp_of_the_future_is_none() -> None:
    for hours, kept in ((-24, True), (-1, True), (1, False), (24, False)):
        stamp = (datetime.now(UTC) + timedelta(hours=hours)).strftime(STAMP)
        assert not_in_the_future(stamp) == (stamp if kept else None)
    assert not_in_the_future("2999-01-01T00:00:00Z") is None
    assert not_in_the_future(None) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", ""),
        ("課題", "課題"),
        (0, "0"),
        (1.5, "1.5"),
        (True, "true"),
        ([], "[]"),
        ({"type": "doc", "課": [1, None]}, '{"type":"doc","課":[1,null]}'),
    ],
)
def test_a_value_of_any_shape_becomes_text(value: Any, text: Any) -> None:
    assert as_text(value) == text


def test_the_columns_of_parents_replace_no_value_of_backlog() -> None:
    row = {"id": 1, "projectId": 0, "name": "", "issueKey": None}
    assert under(row, projectId=7, name="x", issueKey="WEB-1", extra=None) == {
        "id": 1,
        "projectId": 0,
        "name": "",
        "issueKey": "WEB-1",
        "extra": None,
    }
