"""Pages over lists that change while they are read: nothing that stays in the list is lost or given twice.

`LiveList` is a list as Backlog keeps it. Between two requests anything may happen to it, which is what the scripts
of changes are for: one entry per request, drawn by hypothesis or written out for the cases that once were bugs.
"""

import random
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_backlog.changes.paging import Unreadable, belongs_to, by_id, by_offset, not_shown, rows_of

Change = Callable[["LiveList"], None]


class LiveList:
    """Rows in the order of the list; before each request but the first the next change of the script happens."""

    def __init__(self, size: int, script: list[list[Change]] | None = None) -> None:
        self.ids = list(range(size))
        self.asked: list[dict[str, Any]] = []
        self._script: Iterator[list[Change]] = chain(script or [], repeat([]))
        self._new = 10_000

    def insert(self, place: int) -> None:
        self.ids.insert(place % (len(self.ids) + 1), self._new)
        self._new += 1

    def delete(self, place: int) -> None:
        if self.ids:
            del self.ids[place % len(self.ids)]

    def to_front(self, place: int) -> None:
        """An update, in a list that is sorted by it, the newest first."""
        if self.ids:
            self.ids.insert(0, self.ids.pop(place % len(self.ids)))

    def fetch(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        if self.asked:
            for change in next(self._script):
                change(self)
        self.asked.append(params)
        assert len(self.asked) < 1000, "the reading does not end"
        return [{"id": one} for one in self.ids[params["offset"] :][: params["count"]]]


def read(live: LiveList, page_size: int) -> list[int]:
    return [row["id"] for row in by_offset(live.fetch, page_size)]


def delete(place: int) -> Change:
    return lambda live: live.delete(place)


def insert(place: int) -> Change:
    return lambda live: live.insert(place)


def to_front(place: int) -> Change:
    return lambda live: live.to_front(place)


@pytest.mark.parametrize("size", [0, 1, 4, 5, 6, 8, 9, 10, 11, 50])
def test_a_still_list_is_read_once_and_in_order(size: int) -> None:
    assert read(LiveList(size), 5) == list(range(size))


def test_pages_overlap_by_one_row() -> None:
    live = LiveList(12)
    read(live, 5)
    assert [params["offset"] for params in live.asked] == [0, 4, 8]
    assert {params["count"] for params in live.asked} == {5}


def test_a_short_list_costs_one_request() -> None:
    live = LiveList(99)
    assert len(read(live, 100)) == 99
    assert len(live.asked) == 1


@pytest.mark.parametrize("deleted", range(1, 12))
def test_rows_deleted_before_the_window_lose_nothing(deleted: int) -> None:
    """A plain offset would skip as many rows as were deleted."""
    live = LiveList(30, [[delete(0)] * deleted])
    assert set(range(deleted, 30)) <= set(read(live, 5))


def test_rows_deleted_before_every_page_lose_nothing() -> None:
    live = LiveList(40, [[delete(0)]] * 10)
    there = read(live, 5)
    assert set(live.ids) <= set(there)
    assert len(there) == len(set(there))


def test_the_rest_of_the_list_may_go_while_it_is_read() -> None:
    live = LiveList(30, [[delete(-1)] * 28])
    assert read(live, 5) == [0, 1, 2, 3, 4]


def test_the_whole_list_may_go_while_it_is_read() -> None:
    live = LiveList(30, [[delete(0)] * 30])
    assert read(live, 5) == [0, 1, 2, 3, 4]
    assert len(live.asked) <= 6


def test_rows_inserted_before_the_window_are_given_once() -> None:
    live = LiveList(30, [[insert(0)] * 3])
    there = read(live, 5)
    assert there == list(range(30)), "the inserted rows lie before the window, the others come twice and are given once"


def test_inserts_and_deletes_that_cancel_out_lose_nothing() -> None:
    live = LiveList(30, [[insert(0), delete(4), insert(2), delete(1)]] * 8)
    there = read(live, 5)
    assert set(live.ids) & set(range(30)) <= set(there)
    assert len(there) == len(set(there))


def test_a_list_that_is_refused_is_not_taken_for_an_empty_one() -> None:
    with pytest.raises(Unreadable):
        list(by_offset(lambda params: None))


def test_a_list_that_is_refused_on_the_way_is_not_taken_for_its_end() -> None:
    pages: list[Any] = [[{"id": 1}, {"id": 2}], None]
    there = []
    with pytest.raises(Unreadable):
        there.extend(row["id"] for row in by_offset(lambda params: pages.pop(0), 2))
    assert pages == []


@pytest.mark.parametrize(("not_empty", "asked"), [(False, 0), (True, 1)])
def test_an_empty_list_is_doubted_only_if_it_held_something(not_empty: bool, asked: int) -> None:
    doubts: list[int] = []

    def is_empty() -> bool:
        doubts.append(1)
        return True

    assert list(by_offset(LiveList(0).fetch, 5, not_empty=not_empty, is_empty=is_empty)) == []
    assert len(doubts) == asked


def test_a_list_that_stays_empty_although_it_is_not_has_not_ended() -> None:
    live = LiveList(30, [[delete(0)] * 30])
    there: list[int] = []
    doubts: list[int] = []
    with pytest.raises(Unreadable):
        there.extend(row["id"] for row in by_offset(live.fetch, 5, is_empty=lambda: bool(doubts.append(1))))
    assert there == [0, 1, 2, 3, 4]
    assert len(doubts) < 10, "it is not asked for ever"


def test_a_list_that_was_empty_for_a_moment_is_read_on() -> None:
    """The user had lost the project while some pages were answered; then all its rows come."""
    live = LiveList(3)
    empty = [1, 1]

    def fetch(params: dict[str, Any]) -> Any:
        return [] if empty and empty.pop() else live.fetch(params)

    assert [row["id"] for row in by_offset(fetch, 5, not_empty=True, is_empty=lambda: False)] == [0, 1, 2]


def test_a_server_that_ignores_the_offset_does_not_keep_it_going() -> None:
    asked: list[dict[str, Any]] = []
    there: list[int] = []

    def fetch(params: dict[str, Any]) -> list[dict[str, Any]]:
        asked.append(params)
        assert len(asked) < 10_000, "the reading does not end"
        return [{"id": number} for number in range(params["count"])]

    with pytest.raises(Unreadable):
        there.extend(row["id"] for row in by_offset(fetch, 5))
    assert there == [0, 1, 2, 3, 4], "what there was is given, and the place does not move"


def test_a_page_that_is_always_empty_does_not_keep_it_going() -> None:
    asked: list[dict[str, Any]] = []

    def fetch(params: dict[str, Any]) -> list[dict[str, Any]]:
        asked.append(params)
        assert len(asked) < 10_000, "the reading does not end"
        return [] if params["offset"] else [{"id": number} for number in range(params["count"])]

    with pytest.raises(Unreadable):
        list(by_offset(fetch, 5))


def test_rows_may_have_another_key() -> None:
    live = [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    fetch = lambda params: live[params["offset"] :][: params["count"]]  # noqa: E731
    assert list(by_offset(fetch, 2, key="name")) == live


@pytest.mark.parametrize("body", [None, {}, {"errors": []}, "text", 7, [1, None, "x", []]])
def test_what_is_no_list_of_objects_has_no_rows(body: Any) -> None:
    assert rows_of(body) == []


CHANGES = st.lists(
    st.lists(
        st.builds(lambda make, place: make(place), st.sampled_from([insert, delete]), st.integers(0, 60)), max_size=6
    ),
    max_size=15,
)
UPDATES = st.lists(st.lists(st.builds(to_front, st.integers(0, 60)), max_size=3), max_size=15)


@settings(max_examples=300, deadline=None)
@given(size=st.integers(0, 60), page_size=st.integers(2, 12), script=CHANGES)
def test_no_row_that_stays_is_lost_and_none_comes_twice(size: int, page_size: int, script: list[list[Change]]) -> None:
    live = LiveList(size, script)
    there = read(live, page_size)
    stayed = set(live.ids) & set(range(size))
    assert stayed <= set(there)
    assert len(there) == len(set(there))


@settings(max_examples=200, deadline=None)
@given(size=st.integers(0, 60), page_size=st.integers(2, 12), script=UPDATES)
def test_updates_that_move_rows_to_the_front_lose_no_row_that_was_not_updated(
    size: int, page_size: int, script: list[list[Change]]
) -> None:
    """A row that is updated before it is read comes with the next sync, whose window it opens."""
    live = LiveList(size, script)
    moved: set[int] = set()
    at_front = live.to_front

    def noted(place: int) -> None:
        if live.ids:
            moved.add(live.ids[place % len(live.ids)])
        at_front(place)

    live.to_front = noted  # type: ignore[method-assign]
    there = read(live, page_size)
    assert set(live.ids) - moved <= set(there)
    assert len(there) == len(set(there))


@settings(max_examples=200, deadline=None)
@given(size=st.integers(0, 130), page_size=st.integers(20, 40), script=CHANGES)
def test_answers_that_are_kept_for_other_streams_neither_lose_rows_nor_keep_it_going(
    size: int, page_size: int, script: list[list[Change]]
) -> None:
    """`SharedResponses` gives the first answer to a request again, however old it is."""
    live = LiveList(size, script)
    kept: dict[tuple[int, int], list[dict[str, Any]]] = {}
    replayed = 0

    def fetch(params: dict[str, Any]) -> list[dict[str, Any]]:
        nonlocal replayed
        key = (params["offset"], params["count"])
        if key not in kept:
            kept[key] = live.fetch(params)
        else:
            replayed += 1
            assert replayed < 1000, "the reading does not end"
        return kept[key]

    there = [row["id"] for row in by_offset(fetch, page_size)]
    assert set(live.ids) & set(range(size)) <= set(there)
    assert len(there) == len(set(there))


def read_ties(seed: int, *, anew: bool) -> set[int]:
    """What is read of twenty rows that stand in another order with each answer, where answers are kept by request."""
    orders, kept = random.Random(seed), dict[tuple[int, int], list[dict[str, Any]]]()

    def look(params: dict[str, Any]) -> list[dict[str, Any]]:
        rows = [{"id": number} for number in orders.sample(range(20), 20)]
        return rows[params["offset"] :][: params["count"]]

    def fetch(params: dict[str, Any]) -> list[dict[str, Any]]:
        return kept.setdefault((params["offset"], params["count"]), look(params))

    return {row["id"] for row in by_offset(fetch, 6, anew=look if anew else None)}


def test_rows_in_another_order_with_each_answer_are_asked_for_anew() -> None:
    """Kept answers of several orders may lead in a circle, and the list would count as one that cannot be read."""

    def is_unreadable(seed: int) -> bool:
        try:
            read_ties(seed, anew=False)
        except Unreadable:
            return True
        return False

    circles = [seed for seed in range(200) if is_unreadable(seed)]
    assert circles
    for seed in circles:
        # What the order hides is counted: `not_shown`.
        assert len(read_ties(seed, anew=True)) > 6


class Growing:
    """A list that only grows at its end, by id, as the feed, the comments and the stars do."""

    def __init__(self, ids: list[int], inclusive: bool) -> None:
        self.ids = sorted(ids)
        self.inclusive = inclusive
        self.asked: list[dict[str, Any]] = []

    def fetch(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        self.asked.append(params)
        assert len(self.asked) < 1000, "the reading does not end"
        assert set(params) <= {"order", "count", "minId"}, "Backlog rejects unknown parameters"
        assert params["order"] == "asc", "without it the newest page comes first"
        bound = params.get("minId")
        kept = [one for one in self.ids if bound is None or one > bound or (self.inclusive and one == bound)]
        return [{"id": one} for one in kept[: params["count"]]]


@pytest.mark.parametrize("inclusive", [True, False])
@settings(max_examples=150, deadline=None)
@given(
    ids=st.lists(st.integers(1, 300), unique=True, max_size=60),
    after=st.none() | st.integers(0, 310),
    page_size=st.integers(2, 12),
)
def test_every_row_above_the_bound_comes_once_and_in_order(
    inclusive: bool, ids: list[int], after: int | None, page_size: int
) -> None:
    growing = Growing(ids, inclusive)
    there = [row["id"] for row in by_id(growing.fetch, after, page_size)]
    assert there == [one for one in growing.ids if after is None or one > after]


@pytest.mark.parametrize("inclusive", [True, False])
def test_rows_that_go_while_they_are_read_take_none_with_them(inclusive: bool) -> None:
    growing = Growing(list(range(1, 41)), inclusive)
    there = []
    for row in by_id(growing.fetch, page_size=5):
        there.append(row["id"])
        growing.ids.remove(row["id"])
    assert there == list(range(1, 41))


def test_the_bound_is_the_last_known_id_itself() -> None:
    """`last + 1` would lose a row if the server took the bound as exclusive."""
    growing = Growing(list(range(1, 12)), inclusive=True)
    list(by_id(growing.fetch, after=3, page_size=5))
    assert [params["minId"] for params in growing.asked] == [3, 7, 11]


def test_without_a_bound_none_is_sent() -> None:
    growing = Growing([1, 2], inclusive=True)
    list(by_id(growing.fetch))
    assert growing.asked == [{"order": "asc", "count": 100}]


def test_rows_come_as_they_are_read() -> None:
    growing = Growing(list(range(1, 40)), inclusive=True)
    next(by_id(growing.fetch, page_size=5))
    assert len(growing.asked) == 1


def test_a_list_that_does_not_move_on_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    page = [{"id": 1}, {"id": 2}]
    assert list(by_id(lambda params: page, page_size=2)) == page
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == "A list does not move on after id 2: what comes behind it was not read."


def test_a_list_by_id_that_is_refused_is_not_taken_for_an_empty_one() -> None:
    with pytest.raises(Unreadable):
        list(by_id(lambda params: None))


@pytest.mark.parametrize(
    ("last", "newest", "belongs"), [(10, 10, True), (10, 5, True), (10, 4, False), (10, None, True), (10, 999, True)]
)
def test_an_id_that_is_far_too_high_comes_from_another_list(last: int, newest: int | None, belongs: bool) -> None:
    rows = [] if newest is None else [{"id": newest}]
    assert belongs_to(lambda params: rows[: params["count"]], last, []) is belongs


def test_an_id_that_something_follows_needs_no_question() -> None:
    def never(params: dict[str, Any]) -> Any:
        raise AssertionError("asked")

    assert belongs_to(never, 10, [{"id": 11}])


def test_what_a_list_has_not_shown_is_looked_for_in_other_orders() -> None:
    orders = [[{"id": 1}, {"id": 3}], [{"id": 4}], [{"id": 5}]]
    assert list(not_shown(2, {1, 2}, map(iter, orders))) == []
    assert list(not_shown(4, {1, 2}, map(iter, orders))) == [3, 4]
    # One of those that were shown is gone: the number agrees, and one is missing all the same.
    assert list(not_shown(2, {1, 2}, map(iter, orders), moved=True)) == [3, 4, 5]
    assert list(not_shown(2, {1, 2}, map(iter, [[{"id": 1}], [{"id": 3}]]), moved=True)) == []
