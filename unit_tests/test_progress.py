"""A walk over changed objects: what is new, what a position holds in its middle and at its end, where it goes on."""

from functools import partial
from typing import Any

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.changes.paging import Unreadable
from source_backlog.changes.position import ObjectsPosition
from source_backlog.changes.progress import OrderedWalk, ResumableWalk, Walk
from source_backlog.changes.skipped import FAILURES, REFUSALS, Skipped, attempt

Row = dict[str, Any]

LAST = "2026-01-10T09:00:00Z"


def walk(position: Row, readable: bool = True) -> Walk[ObjectsPosition]:
    return Walk(ObjectsPosition.parse(position), lambda: readable)


def resumable(position: Row) -> ResumableWalk[ObjectsPosition]:
    return ResumableWalk(ObjectsPosition.parse(position), lambda: True)


# What is new


@pytest.mark.parametrize(
    ("stamp", "new", "once_more"),
    [
        ("2026-01-10T09:00:01Z", True, True),
        (LAST, False, True),
        ("2026-01-10T08:59:59Z", False, False),
        (None, True, True),
        ("", True, True),
    ],
)
def test_what_bears_the_last_stamp_is_new_once_more(stamp: Any, new: bool, once_more: bool) -> None:
    assert walk({"updated": LAST, "settled": True}).is_new(None)(stamp) is new
    assert walk({"updated": LAST}).is_new(None)(stamp) is once_more
    assert walk({"updated": LAST, "sure": LAST}).is_new(None)(stamp) is once_more


def test_the_start_date_bounds_only_the_first_sync() -> None:
    start = "2026-01-01T00:00:00Z"
    first = walk({}).is_new(start)
    assert (first("2025-12-31T23:59:59Z"), first("2026-01-01T00:00:00Z")) == (False, True)
    later_on = walk({"updated": "2025-06-01T00:00:00Z", "settled": True}).is_new(start)
    assert later_on("2025-07-01T00:00:00Z")
    assert walk({}).is_new(None)("1970-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("before", "seen", "after"),
    [
        ({"updated": "2026-01-09T00:00:00Z"}, LAST, {"updated": LAST}),
        ({"updated": LAST}, LAST, {"updated": LAST, "settled": True}),
        ({"updated": LAST, "settled": True}, "2026-01-11T00:00:00Z", {"updated": "2026-01-11T00:00:00Z"}),
        ({}, None, {}),
        ({}, LAST, {"updated": LAST}),
    ],
)
def test_a_stamp_is_settled_when_two_syncs_have_seen_it(before: Row, seen: Any, after: Row) -> None:
    made = walk(before)
    made.see(seen)
    made.settle()
    assert made.finished().saved() == after


@pytest.mark.parametrize(
    ("over", "after"),
    [
        (LAST, {}),
        ("2026-01-10T08:59:59Z", {"sure": "2026-01-10T08:59:59Z"}),
        ("2026-01-09T09:00:00Z", {"sure": "2026-01-09T09:00:00Z"}),
        ("2026-01-09T08:59:59Z", {}),
    ],
)
def test_of_seconds_that_were_not_over_more_may_have_changed(over: str, after: Row) -> None:
    """By a clock that is not a day behind the stamps."""
    made = walk({"updated": "2026-01-08T00:00:00Z", "settled": True})
    made.over = over
    made.see(LAST)
    made.settle()
    assert made.finished().saved() == {"updated": LAST, **after}


def test_what_bears_a_later_stamp_than_is_sure_is_new_once_more() -> None:
    is_new = walk({"updated": LAST, "sure": "2026-01-10T08:59:57Z"}).is_new(None)
    stamps = ("2026-01-10T08:59:57Z", "2026-01-10T08:59:58Z", LAST, "2026-01-10T09:00:01Z", None)
    assert [is_new(stamp) for stamp in stamps] == [False, True, True, True, True]


def test_a_walk_never_goes_back_and_not_into_the_future() -> None:
    made = walk({"updated": LAST})
    for stamp in ("2026-01-09T00:00:00Z", None, "2999-01-01T00:00:00Z"):
        made.see(stamp)
        assert made.now.updated == LAST


def test_what_begins_anew_has_no_position() -> None:
    made = walk({"updated": LAST, "settled": True, "activity": 7, "again": [3, 1]})
    made.begin_anew()
    assert made.activity is None
    assert made.is_new(None)("1970-01-01T00:00:00Z")
    assert made.finished().saved() == {}
    assert made.before.updated == LAST, "what was saved is still known"


# What was skipped


def test_what_was_skipped_is_noted_and_what_was_given_is_not() -> None:
    made = walk({"updated": LAST, "skipped": [1, 2]})
    made.skipped.add(2)
    made.skipped.given(1)
    made.skipped.given(3)
    assert made.finished().saved() == {"updated": LAST, "skipped": [2]}


def test_before_the_end_what_still_waits_is_noted_too() -> None:
    skipped = Skipped((1, 2, 3), lambda: True)
    skipped.given(2)
    skipped.add(9)
    assert skipped.noted(()) == (9, 1, 3)
    assert skipped.noted() == (9,)
    assert skipped.noted([7, 3]) == (9, 1, 3, 7)


def test_what_is_refused_because_the_project_is_gone_is_not_noted() -> None:
    made = walk({}, readable=False)
    made.skipped.given(1)
    made.skipped.add(2)
    with pytest.raises(Unreadable):
        made.finished()


def test_when_all_are_refused_it_is_not_the_objects() -> None:
    skipped = Skipped((), lambda: True)
    for number in range(1, REFUSALS):
        skipped.add(number)
    with pytest.raises(Unreadable):
        skipped.add(REFUSALS)


# Where a walk over issues goes on


def test_nothing_is_saved_before_the_first_issue_is_finished() -> None:
    made = resumable({"updated": "2026-01-01T00:00:00Z", "activity": 3})
    made.see("2026-01-05T00:00:00Z")
    assert made.unfinished().saved() == {"updated": "2026-01-01T00:00:00Z", "activity": 3}


def test_the_resume_is_none_of_the_position_that_is_built_upon() -> None:
    made = resumable({"activity": 3, "resume": {"after": "2025-01-05T00:00:00Z"}})
    assert made.now.saved() == {"activity": 3}
    assert made.filters == {"createdSince": "2025-01-04"}
    assert resumable({}).filters == {}


@pytest.mark.parametrize(
    ("created", "ahead"),
    [
        ("2025-01-04T23:59:59Z", False),
        ("2025-01-05T00:00:00Z", True),
        ("2025-01-06T00:00:00Z", True),
        (None, True),
        ("long ago", True),
    ],
)
def test_an_issue_created_in_the_same_second_is_still_ahead(created: Any, ahead: bool) -> None:
    made = resumable({"resume": {"after": "2025-01-05T00:00:00Z"}})
    assert made.is_ahead({"created": created}) is ahead
    assert resumable({}).is_ahead({"created": created})


def test_the_place_never_goes_back() -> None:
    made = resumable({"resume": {"activity": 3, "after": "2025-01-05T00:00:00Z"}})
    for created in ("2025-01-07T00:00:00Z", "2025-01-06T00:00:00Z", None):
        made.done({"created": created})
    assert made.unfinished().saved()["resume"]["after"] == "2025-01-07T00:00:00Z"


def test_a_finished_walk_that_was_never_interrupted_ends_where_it_is() -> None:
    made = resumable({})
    made.done({"created": "2025-01-01T00:00:00Z"})
    made.move(updated="2026-01-10T00:00:00Z", activity=9)
    assert made.finished().saved() == {"updated": "2026-01-10T00:00:00Z", "activity": 9}


@pytest.mark.parametrize(
    ("place", "second", "end"),
    [
        ({"updated": "2026-01-05T00:00:00Z"}, "2026-01-10T00:00:00Z", {"sure": "2026-01-05T00:00:00Z"}),
        ({"updated": "2026-01-10T00:00:00Z"}, "2026-01-05T00:00:00Z", {}),
        ({"updated": "2026-01-10T00:00:00Z", "sure": "2026-01-09T00:00:00Z"}, None, {"sure": "2026-01-09T00:00:00Z"}),
        ({"updated": "2026-01-10T00:00:00Z", "sure": "2026-01-11T00:00:00Z"}, None, {}),
    ],
)
def test_a_finished_walk_that_was_interrupted_keeps_the_latest_update_of_both_parts(
    place: Row, second: Any, end: Row
) -> None:
    """And what changed behind it without an activity has a stamp from its first beginning on."""
    made = resumable({"resume": {"activity": 3, "after": "2025-01-05T00:00:00Z", **place}})
    made.over = "2026-01-12T00:00:00Z"
    made.move(updated=second, activity=9)
    made.note_sure()
    assert made.finished().saved() == {"updated": "2026-01-10T00:00:00Z", "activity": 9, **end}


def test_a_walk_interrupted_twice_still_reads_the_feed_from_where_it_first_began() -> None:
    made = resumable({"resume": {"updated": "2026-01-05T00:00:00Z", "activity": 3, "after": "2025-01-05T00:00:00Z"}})
    assert made.activity == 3
    made.head = 20
    made.see("2026-01-10T00:00:00Z")
    made.done({"created": "2025-03-01T00:00:00Z"})
    assert made.unfinished().saved() == {
        "resume": {
            "updated": "2026-01-10T00:00:00Z",
            "activity": 3,
            "after": "2025-03-01T00:00:00Z",
            "sure": "2026-01-05T00:00:00Z",
        }
    }


def test_a_walk_that_begins_anew_forgets_its_place() -> None:
    made = resumable({"resume": {"activity": 3, "after": "2025-01-05T00:00:00Z"}})
    made.begin_anew()
    assert (made.activity, made.filters) == (None, {})
    assert made.unfinished().saved() == {}


# A walk in the order of the stamps


def ordered(position: Row) -> OrderedWalk[ObjectsPosition]:
    return OrderedWalk(ObjectsPosition.parse(position), lambda: True)


def page(number: int, updated: str | None) -> Row:
    return {"id": number, "updated": updated}


def test_the_last_stamp_that_was_finished_says_how_far_the_walk_has_come() -> None:
    made = ordered({})
    pages = [page(3, "2026-01-03T00:00:00Z"), page(1, "2026-01-01T00:00:00Z"), page(2, "2026-01-02T00:00:00Z")]
    made.move(updated="2026-01-03T00:00:00Z", activity=9, again=(3, 1))
    first, second, third = made.in_order(pages)
    assert [each["id"] for each in (first, second, third)] == [1, 2, 3]
    assert made.unfinished() is None
    made.done(first)
    made.done(second)
    for over, sure in (
        ("", {}),
        ("2026-01-02T00:00:00Z", {}),
        ("2026-01-01T00:00:00Z", {"sure": "2026-01-01T00:00:00Z"}),
    ):
        made.over = over
        saved = made.unfinished()
        assert saved is not None
        assert saved.saved() == {"updated": "2026-01-02T00:00:00Z", **sure, "activity": 9, "again": [3, 1]}
    made.done(third)
    assert made.finished().saved() == {"updated": "2026-01-03T00:00:00Z", "activity": 9, "again": [3, 1]}


def test_what_the_stamp_would_pass_over_waits_among_the_skipped() -> None:
    """What the feed names may be older than the last sync; what bears no stamp, or the same one, is not told by it."""
    made = ordered({"updated": LAST, "settled": True, "activity": 3})
    pages = [page(1, None), page(2, "2025-01-01T00:00:00Z"), page(3, LAST), page(4, "2026-02-01T00:00:00Z")]
    made.move(activity=9)
    assert [each["id"] for each in made.in_order(pages)] == [1, 2, 3, 4]
    made.done(pages[0])
    saved = made.unfinished()
    assert saved is not None
    assert saved.saved() == {"updated": LAST, "activity": 9, "skipped": [2, 3]}


# What failed


def failure(kind: FailureType = FailureType.transient_error) -> AirbyteTracedException:
    return AirbyteTracedException(message="Backlog answered wikis/7 with status 500.", failure_type=kind)


def test_what_failed_is_skipped_and_reported_at_the_end() -> None:
    made = walk({"updated": LAST})
    made.skipped.failed(7, failure())
    made.skipped.given(8)
    assert made.finished().saved() == {"updated": LAST, "skipped": [7]}
    with pytest.raises(AirbyteTracedException) as error:
        made.skipped.failures.report()
    assert str(error.value.message) == (
        "All was read but 1 object, whose request failed at every try; the next sync asks again. "
        "Backlog answered wikis/7 with status 500."
    )
    walk({}).skipped.failures.report()


def test_when_one_after_the_other_fails_it_is_not_the_objects() -> None:
    skipped = Skipped((), lambda: True)
    for number in range(1, FAILURES):
        skipped.failed(number, failure())
    skipped.given(0)
    for number in range(1, FAILURES):
        skipped.failed(number, failure())
    with pytest.raises(AirbyteTracedException, match="wikis/7"):
        skipped.failed(FAILURES, failure())


def ask(error: AirbyteTracedException) -> Any:
    raise error


def test_a_key_that_is_no_longer_accepted_is_no_failure_of_an_object() -> None:
    with pytest.raises(AirbyteTracedException, match="wikis/7"):
        attempt(partial(ask, failure(FailureType.config_error)))


def test_a_request_that_failed_for_good_is_given_to_whoever_goes_on() -> None:
    failed = failure()
    assert attempt(partial(ask, failed)) is failed
    assert attempt(lambda: [1]) == [1]
