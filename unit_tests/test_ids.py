"""What the feed tells of ids, and what is kept of it."""

import itertools
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_backlog.changes.ids import Names, ToldIds, are_runs, as_id, merged

Row = dict[str, Any]

TYPES = frozenset([2, 3, 14])


def activity(number: int, comment: Any, *changes: tuple[str, Any, Any], kind: int = 2, project: int = 1) -> Row:
    told = [{"field": field, "new_value": new, "old_value": old} for field, new, old in changes]
    return {"id": number, "type": kind, "project": {"id": project}, "content": {"comment": comment, "changes": told}}


def told(*activities: Row) -> ToldIds:
    made = ToldIds(TYPES)
    for each in activities:
        made.add(each)
    return made


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("0", 0),
        ("3", 3),
        ("", None),
        (None, None),
        (3, None),
        ("³", None),
        (str(2**63 - 1), 2**63 - 1),
        (str(2**63), None),
        ("9" * 5000, None),
    ],
)
def test_an_id_is_digits_in_a_text(value: Any, number: Any) -> None:
    assert as_id(value) == number


def test_the_ids_of_a_change_are_found_by_its_comment() -> None:
    made = told(
        activity(100, {"id": 7}, ("status", "3", "1"), ("resolution", "0", ""), ("assigner", "A", "")),
        activity(101, {"id": 9}, ("status", "1", "3"), project=2),
    )
    assert made.of(7) == (1, {"status": (3, 1), "resolution": (0, None)})
    assert made.of(9) == (2, {"status": (1, 3)})
    assert made.of(8) is None
    assert made.of(10) is None


def test_what_lies_before_a_place_in_the_feed_is_not_looked_at() -> None:
    made = told(activity(100, {"id": 7}, ("status", "3", "1")))
    assert made.of(7, 99)
    assert made.of(7, 100) is None


def test_comments_may_come_in_another_order_than_their_activities() -> None:
    numbers = [5, 3, 9, 1, 7]
    made = told(*(activity(100 + n, {"id": number}, ("status", str(number), "1")) for n, number in enumerate(numbers)))
    for number in numbers:
        assert made.of(number) == (1, {"status": (number, 1)})


def test_a_bulk_update_tells_of_the_comment_of_each_issue() -> None:
    link = [{"id": 1, "comment": {"id": 7}}, {"id": 2}, None, {"id": 3, "comment": {"id": 8}}]
    change = {"field": "status", "new_value": "3", "type": "standard"}
    made = told({"id": 100, "type": 14, "project": {"id": 1}, "content": {"link": link, "changes": [change]}})
    assert made.of(7) == made.of(8) == (1, {"status": (3, None)})


@pytest.mark.parametrize(
    "strange",
    [
        {"id": 1, "type": 2},
        {"id": 1, "type": 2, "content": []},
        {"id": 1, "type": 2, "content": {"comment": {"id": 7}, "changes": {"field": "status"}}},
        {"id": 1, "type": 2, "content": {"comment": {"id": 7}, "changes": [None, "status", {"field": None}]}},
        activity(1, None, ("status", "3", "1")),
        activity(1, "text", ("status", "3", "1")),
        activity(1, {"id": "7"}, ("status", "3", "1")),
        activity(1, {"id": 2**63}, ("status", "3", "1")),
        activity(1, {"id": True}, ("status", "3", "1")),
        activity(2**63, {"id": 7}, ("status", "3", "1")),
        activity(1, {"id": 7}, ("assigner", "3", "1")),
        activity(1, {"id": 7}, ("status", "3", "1"), kind=19),
    ],
)
def test_what_tells_nothing_is_left_out(strange: Row) -> None:
    assert told(strange).of(7) is None


odd = st.one_of(
    st.sampled_from([None, True, 0, 3, -1, 2**63, 2**70, 1.5, "", "3", "Open", "9" * 30, "status", "\u0000"]),
    st.lists(st.none() | st.integers(), max_size=1),
    st.dictionaries(st.just("id"), st.integers(), max_size=1),
)


@given(st.lists(st.tuples(st.integers(1, 2**70), odd, odd, odd, odd), max_size=4))
def test_odd_values_are_as_good_as_none_and_what_is_kept_can_be_saved(many: list[tuple[Any, ...]]) -> None:
    names = Names()
    made = told(
        *(
            activity(number, {"id": comment}, ("status", new, old), ("resolution", old, name))
            for number, comment, new, old, name in many
        )
    )
    for number, comment, _, _, name in many:
        of_comment = made.of(comment if type(comment) is int else number)
        for field, ids in (of_comment[1] if of_comment else {}).items():
            names.learn(field, name, ids[0], comment)
            names.id_of(field, name, comment)
    saved = names.saved()
    assert saved is None or are_runs(orjson.loads(orjson.dumps(saved)))


# What is kept

told_names = st.lists(
    st.tuples(st.sampled_from(["Open", "Done"]), st.integers(1, 3), st.integers(1, 12)), max_size=25
).map(lambda some: {(name, comment): number for name, number, comment in some})


@given(told_names, st.randoms())
def test_whatever_was_learned_is_given_back(facts: dict[tuple[str, int], int], chance: Any) -> None:
    """In whatever order it came, and after it was saved."""
    order = list(facts.items())
    chance.shuffle(order)
    names = Names()
    for (name, comment), number in order:
        names.learn("status", name, number, comment)
        names = Names(json.loads(json.dumps(names.saved())))
    for (name, comment), number in facts.items():
        assert names.id_of("status", name, comment) == number
    saved = names.saved() or {}
    assert are_runs(saved)
    for runs in saved.get("status", {}).values():
        for (_, _, end), (_, begin, _) in itertools.pairwise(runs):
            assert end < begin


def test_between_two_changes_a_name_stood_for_what_it_stood_for_in_both() -> None:
    names = Names()
    for number, comment in ((1, 10), (1, 20), (2, 30)):
        names.learn("status", "Open", number, comment)
    assert names.saved() == {"status": {"Open": [[1, 10, 20], [2, 30, 30]]}}
    found = {comment: names.id_of("status", "Open", comment) for comment in (9, 10, 15, 20, 25, 30, 31)}
    assert found == {9: None, 10: 1, 15: 1, 20: 1, 25: None, 30: 2, 31: None}
    assert names.id_of("status", "Done", 15) is None
    assert names.id_of("resolution", "Open", 15) is None
    assert names.id_of("status", None, 15) is None


def test_what_nobody_can_rename_has_always_been_the_same() -> None:
    names = Names({"resolution": {"Fixed": [[0, 10, 10]], "Other": [[1, 10, 10], [2, 20, 20]]}})
    assert names.id_of("resolution", "Fixed", 99, fixed=True) == 0
    assert names.id_of("resolution", "Other", 99, fixed=True) is None, "it was two"
    assert names.id_of("resolution", "Other", 20, fixed=True) == 2


def test_the_memory_grows_with_the_names_and_not_with_the_changes() -> None:
    names = Names()
    for comment in range(10_000):
        names.learn("status", f"name {comment % 3}", comment % 3, comment)
    assert len(json.dumps(names.saved())) < 200


@pytest.mark.parametrize("nothing", [("", 1), (None, 1), ("Open", None), (3, 1), ({"id": 1}, 1), ([], 1)])
def test_no_name_and_no_id_are_not_learned(nothing: tuple[Any, Any]) -> None:
    names = Names()
    names.learn("status", *nothing, 5)
    assert names.saved() is None
    assert names.id_of("status", nothing[0], 5) is None


def test_what_two_positions_know_is_known_of_both() -> None:
    one = {"status": {"Open": [[1, 10, 20]]}}
    other = {"status": {"Open": [[1, 10, 40]], "Done": [[4, 30, 30]]}, "resolution": {"Fixed": [[0, 30, 30]]}}
    assert merged(one, other) == merged(other, one) == other
    assert merged(None, None) is None
    assert merged(one, None) == one
