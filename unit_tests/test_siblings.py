"""Which streams walk together through a project, and from where."""

from collections.abc import Callable
from typing import Any

import pytest

from source_backlog.changes.checkpoints import Checkpoints
from source_backlog.changes.position import ObjectsPosition
from source_backlog.changes.siblings import least, siblings_of, teams, walking_together
from source_backlog.space import Space, readers_of

Row = dict[str, Any]

ONE, TWO, THREE = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"
KEY = (("projectId", 1),)


@pytest.fixture
def streams(config: Row, space: Space, fake: Callable[..., Any]) -> Callable[..., dict[str, Checkpoints]]:
    """`streams(issues=position, …)`: streams of one group that stand at these positions in project 1."""

    def make(group: str = "made alike", **positions: Row) -> dict[str, Checkpoints]:
        for name, position in positions.items():
            made = Checkpoints(config, {}, fake({}), space, name=name, cursor_field="updated")
            made.group = group
            if position:
                made._positions[KEY] = ObjectsPosition.parse(position)
        return dict(space.cursors)

    return make


def together(streams: dict[str, Checkpoints]) -> set[frozenset[str]]:
    found = teams(streams.values(), KEY)
    return {frozenset(member.name for member in team.members) for team in found.values()}


def test_streams_that_stand_at_the_same_place_walk_together(streams: Any) -> None:
    position = {"updated": ONE, "activity": 7, "again": [3, 2]}
    made = streams(comments=position, logs=position, stars=position)
    assert together(made) == {frozenset(["comments", "logs", "stars"])}
    assert teams(made.values(), KEY)["logs"].position.saved() == position


def test_on_a_first_sync_all_walk_together(streams: Any) -> None:
    assert together(streams(comments={}, logs={})) == {frozenset(["comments", "logs"])}


def test_a_stream_that_was_selected_later_walks_for_itself(streams: Any) -> None:
    position = {"updated": ONE, "activity": 7}
    assert together(streams(comments=position, logs={}, stars=position)) == {
        frozenset(["comments", "stars"]),
        frozenset(["logs"]),
    }


def test_a_stream_without_a_group_is_alone(streams: Any) -> None:
    files = streams(group="", files={}, others={})
    assert siblings_of(files.values(), files["files"]) == [files["files"]]
    assert walking_together(files.values()) == {}


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ({"updated": ONE, "activity": 7}, {"updated": TWO, "activity": 7}, {"updated": ONE, "activity": 7}),
        (
            {"updated": ONE, "activity": 7, "settled": True},
            {"updated": ONE, "activity": 7},
            {"updated": ONE, "activity": 7},
        ),
        (
            {"updated": TWO, "sure": ONE, "activity": 7},
            {"updated": TWO, "settled": True, "activity": 7},
            {"updated": TWO, "sure": ONE, "activity": 7},
        ),
        (
            {"updated": TWO, "sure": THREE, "activity": 7},
            {"updated": ONE, "settled": True, "activity": 7},
            {"updated": ONE, "sure": ONE, "activity": 7},
        ),
        (
            {"activity": 7, "skipped": [1, 2]},
            {"activity": 7, "skipped": [2, 3]},
            {"activity": 7, "skipped": [1, 2, 3]},
        ),
        ({"resume": {"after": TWO, "activity": 9}}, {}, {}),
        (
            {"resume": {"after": TWO, "activity": 9, "updated": TWO}},
            {"resume": {"after": ONE, "activity": 12, "updated": ONE}},
            {"resume": {"after": ONE, "activity": 9, "updated": ONE}},
        ),
        (
            {"resume": {"after": TWO, "activity": 9, "updated": TWO, "sure": ONE}},
            {"resume": {"after": THREE, "activity": 9, "updated": THREE}},
            {"resume": {"after": TWO, "activity": 9, "updated": TWO, "sure": ONE}},
        ),
        (
            {"activity": 7, "names": {"status": {"Open": [[1, 10, 20]]}}, "untold": 3},
            {"activity": 7},
            {"activity": 7, "names": {"status": {"Open": [[1, 10, 20]]}}, "untold": 3},
        ),
    ],
)
def test_what_a_kill_has_left_apart_meets_at_the_earlier_place(one: Row, other: Row, meet: Row) -> None:
    first, second = ObjectsPosition.parse(one), ObjectsPosition.parse(other)
    assert least(first, second).saved() == meet
    assert least(second, first).saved().keys() == meet.keys()


def test_of_a_team_the_stream_that_is_begun_with_gets_the_partition(streams: Any, fake: Any, space: Space) -> None:
    made = streams(comments={}, logs={})
    for stream in made.values():
        stream.requester = fake({"projects": [{"id": 1, "projectKey": "WEB"}]})
    assert [one.partition for one in made["logs"].stream_slices()] == [{"projectId": 1}]
    assert list(made["comments"].stream_slices()) == []


def test_a_walk_that_failed_has_failed_for_the_whole_team(streams: Any, fake: Any) -> None:
    made = streams(comments={}, logs={})
    for stream in made.values():
        stream.requester = fake({"projects": [{"id": 1, "projectKey": "WEB"}]})
    (walked,) = made["comments"].stream_slices()
    made["comments"].team(walked.partition).failure = ValueError("broken off")
    with pytest.raises(ValueError, match="broken off"):
        list(made["logs"].stream_slices())


def test_a_team_counts_as_one_reader(streams: Any) -> None:
    manifest = [
        {"name": name, "$parameters": {"reads": ["issues", "issues/{}/comments"]}} for name in ("comments", "logs")
    ]
    made = streams(comments={}, logs={})
    assert walking_together(made.values()) == {"comments": "made alike", "logs": "made alike"}
    space = Space(endpoints=readers_of(manifest, ["comments", "logs"], walking_together(made.values())))
    assert not space.has_several_readers("issues/5/comments")
    assert Space(endpoints=readers_of(manifest, ["comments", "logs"])).has_several_readers("issues/5/comments")
