"""Which projects a sync does not ask: those of which the feed is silent, but for some that are looked at in turn."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from source_backlog.api.limits import limits_of
from source_backlog.changes import quiet
from source_backlog.changes.backlog import Backlog
from source_backlog.changes.checkpoints import Checkpoints
from source_backlog.changes.position import FilesPosition, ObjectsPosition
from source_backlog.changes.progress import OrderedWalk, Walk
from source_backlog.changes.quiet import resting
from source_backlog.space import Space
from source_backlog.values import instant_at

Row = dict[str, Any]

NOW = 1_782_810_000.0
HOUR = 3_600
READ = {"updated": "2026-06-01T00:00:00Z", "activity": 50, "looked": instant_at(NOW - HOUR)}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two quiet projects are all looked at, of more as many as one search request allows."""
    monkeypatch.setattr(quiet, "FEW", 2)
    monkeypatch.setattr(quiet, "SEARCHES", 1)


@pytest.fixture
def asked(
    few: None, config: Row, space: Space, fake: Callable[..., Any], served: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """`asked({stream: {project: position}}, activities)`: what `resting` decides."""

    def decide(
        positions: dict[str, dict[int, Row]],
        activities: Iterable[tuple[int, int]] = (),
        projects: list[Row] | None = None,
        then: list[Row] | None = None,
        kind: type[ObjectsPosition] = ObjectsPosition,
    ) -> tuple[Any, Any]:
        monkeypatch.setattr(limits_of(space), "now", lambda: NOW)
        projects = projects or [{"id": number} for number in range(1, 7)]
        lists = iter([projects, *([then if then is not None else projects] * 2)])
        feed = [
            {"id": number, "project": {"id": of}, "type": 2, "content": {}} for number, of in [(50, 99), *activities]
        ]
        requester = fake({"projects": lambda _: next(lists), "space/activities": served(feed)})
        for name, places in positions.items():
            stream = Checkpoints(config, {}, requester, space, name=name, cursor_field="updated")
            stream.named, stream.kind = True, kind
            stream._positions = {(("projectId", of),): kind.parse(place) for of, place in places.items()}
        return resting(Backlog(config, requester, space, "issues")), requester

    return decide


def rested(decision: Any, *streams: str) -> list[int]:
    return [number for number in range(1, 7) if decision.rests(number, streams or ("issues",))]


def looked(hours: float, **more: Any) -> Row:
    return {**READ, "looked": instant_at(NOW - hours * HOUR), **more}


def test_a_project_of_which_the_feed_is_silent_rests_and_the_one_looked_at_longest_ago_does_not(asked: Any) -> None:
    places = {number: looked(number) for number in range(1, 7)}
    decision, requester = asked({"issues": places}, [(51, 2)])
    assert rested(decision) == [1, 3, 4, 5]
    assert len(requester.asked("projects")) == 2, "the list is asked once more after the feed"


def test_few_projects_are_all_asked_at_no_cost(asked: Any) -> None:
    decision, requester = asked({"issues": {1: READ, 2: READ}}, projects=[{"id": 1}, {"id": 2}])
    assert not rested(decision)
    assert requester.paths() == ["projects"]


def test_of_few_quiet_projects_all_are_looked_at(asked: Any) -> None:
    decision, requester = asked({"issues": dict.fromkeys(range(1, 7), READ)}, [(50 + of, of) for of in range(1, 5)])
    assert not rested(decision)
    assert len(requester.asked("projects")) == 1


def test_a_look_that_is_a_day_old_is_due(asked: Any) -> None:
    hours = {1: 19.9, 2: 20, 3: 30, 4: 1, 5: -1, 6: 2}
    decision, _ = asked({"issues": {number: looked(age) for number, age in hours.items()}})
    assert rested(decision) == [1, 4, 6], "nor is a look of the future believed"


def test_where_something_was_new_is_looked_at_before_others(asked: Any) -> None:
    decision, _ = asked({"issues": {**{number: looked(3) for number in range(1, 6)}, 6: looked(1, turn="first")}})
    assert rested(decision) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"updated": READ["updated"], "activity": 50},
        {**READ, "skipped": [7]},
        {**READ, "resume": {"after": READ["updated"]}},
        {**READ, "turn": "always"},
        {**READ, "archived": True},
        {**READ, "activity": 49},
    ],
    ids=["never read", "of an older version", "an object waits", "interrupted", "untold", "archived", "feed trimmed"],
)
def test_what_the_feed_cannot_know_is_asked(asked: Any, odd: Row) -> None:
    decision, _ = asked({"issues": {**dict.fromkeys(range(1, 6), READ), 6: odd}})
    assert rested(decision) == [2, 3, 4, 5]


def test_an_archived_project_rests_when_it_was_read_as_one(asked: Any) -> None:
    projects = [{"id": number, "archived": number > 3} for number in range(1, 7)]
    places = {**dict.fromkeys(range(1, 6), READ), 5: {**READ, "archived": True}, 6: {**READ, "archived": True}}
    decision, _ = asked({"issues": places}, projects=projects)
    assert rested(decision) == [2, 3, 5, 6]


def test_files_that_were_missed_are_asked_for(asked: Any) -> None:
    files = {**READ, "files": None, "recent": [], "missed": []}
    places = {**dict.fromkeys(range(1, 6), files), 6: {**files, "missed": [{"id": 9}]}}
    decision, _ = asked({"issues": places}, kind=FilesPosition)
    assert rested(decision) == [2, 3, 4, 5]


def test_an_activity_that_turns_up_behind_the_last_one_is_news(asked: Any) -> None:
    places = {number: {**READ, "activity": 60, "again": [50, 0]} for number in range(1, 7)}
    decision, _ = asked({"issues": places}, [(55, 6), (60, 99)])
    assert rested(decision) == [2, 3, 4, 5]


def test_each_stream_stands_where_it_stands(asked: Any) -> None:
    """One that was selected later asks; the project is looked at by all alike."""
    places = {number: looked(number) for number in range(1, 7)}
    decision, _ = asked({"issues": places, "issue_comments": {**places, 4: {}}})
    assert rested(decision) == [1, 2, 3, 4, 5]
    assert rested(decision, "issue_comments") == rested(decision, "issues", "issue_comments") == [1, 2, 3, 5]
    assert [number for number in range(1, 7) if decision.is_unasked(number)] == [1, 2, 3, 5]


def test_a_project_that_is_gone_or_archived_since_the_list_is_asked(asked: Any) -> None:
    """The feed hides what is in it: else the position would pass over that."""
    then = [{"id": 1}, {"id": 2, "archived": True}, {"id": 3}, {"id": 5}, {"id": 6}]
    decision, _ = asked({"issues": dict.fromkeys(range(1, 7), READ)}, then=then)
    assert rested(decision) == [3, 5, 6]


def test_with_wiki_pages_half_as_many_are_looked_at(asked: Any, space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "SEARCHES", 4)
    space.read_by(["issues", "wikis"])
    decision, _ = asked({"issues": dict.fromkeys(range(1, 7), READ)})
    assert rested(decision) == [3, 4, 5, 6]


MOMENT, LATER = "2026-06-02T00:00:00Z", "2026-06-03T00:00:00Z"


@pytest.mark.parametrize(
    ("before", "told", "updated", "turn"),
    [
        ({}, False, MOMENT, None),
        ({}, False, None, "first"),
        (READ, False, READ["updated"], None),
        (READ, True, MOMENT, "first"),
        (READ, False, MOMENT, "always"),
        ({**READ, "turn": "first"}, False, READ["updated"], None),
        ({**READ, "turn": "always"}, False, READ["updated"], "always"),
        ({**READ, "turn": "always"}, True, READ["updated"], "first"),
        ({"activity": 50}, False, None, None),
    ],
)
def test_a_look_says_whose_turn_it_is(before: Row, told: bool, updated: str | None, turn: str | None) -> None:
    walk = Walk(ObjectsPosition.parse(before), lambda: True)
    walk.told = told
    walk.move(updated=updated, activity=60)
    walk.note_look(LATER, archived=False)
    assert (walk.finished().looked, walk.finished().turn) == (LATER, turn)


def test_a_walk_that_is_interrupted_has_not_looked() -> None:
    walk = OrderedWalk(ObjectsPosition.parse(READ), lambda: True)
    walk.note_look(LATER, archived=False)
    first, *_ = walk.in_order([{"id": 1, "updated": MOMENT}, {"id": 2, "updated": LATER}])
    walk.done(first)
    position = walk.unfinished()
    assert position is not None
    assert position.looked is None
