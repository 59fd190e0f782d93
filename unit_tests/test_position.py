"""What is saved between two syncs: read and written to the letter, and nothing believed that nobody has written."""

import json
from pathlib import Path
from typing import Any

import pytest

from source_backlog import SourceBacklog
from source_backlog.changes import position as module
from source_backlog.changes.position import (
    ActivitiesPosition,
    DeletionsPosition,
    FilesPosition,
    NotificationsPosition,
    NotUnderstood,
    ObjectsPosition,
    Place,
    Position,
    ProjectsPosition,
    StarsPosition,
    WatchingsPosition,
)

STATES = sorted((Path(__file__).parents[1] / "integration_tests" / "states").glob("*.json"))
STAMP = "2026-01-10T09:00:00Z"


@pytest.fixture(scope="module")
def kinds() -> dict[str, type[Position]]:
    """The class of the positions of each incremental stream, as the manifest's retrievers set it."""
    config = {"domain": "acme.backlog.jp", "credentials": {"auth_type": "api_key", "api_key": "key"}}
    source = SourceBacklog(config=config)
    source.streams(config)
    return {name: checkpoints.kind for name, checkpoints in source.space.cursors.items()}


@pytest.mark.parametrize("path", STATES, ids=lambda path: path.stem)
def test_a_saved_state_is_written_as_it_was_read_byte_for_byte(path: Path, kinds: dict[str, type[Position]]) -> None:
    kind = kinds[path.name.split(".")[0]]
    for entry in json.loads(path.read_text())["states"]:
        position = kind.parse(entry["cursor"])
        assert not position.unknown, "each name of the state has a field"
        assert json.dumps(position.saved()) == json.dumps(entry["cursor"])
        assert kind.parse(position.saved()) == position


@pytest.mark.parametrize(
    ("kind", "saved"),
    [
        (ObjectsPosition, {"updated": "yesterday"}),
        (ObjectsPosition, {"updated": "2999-12-31T00:00:00Z"}),
        (ObjectsPosition, {"updated": None}),
        (ObjectsPosition, {"activity": "3"}),
        (ObjectsPosition, {"activity": -1}),
        (ObjectsPosition, {"activity": True}),
        (ObjectsPosition, {"again": [1]}),
        (ObjectsPosition, {"again": [1, "2"]}),
        (ObjectsPosition, {"settled": False}),
        (ObjectsPosition, {"looked": "yesterday"}),
        (ObjectsPosition, {"looked": 1782810000}),
        (ObjectsPosition, {"archived": "yes"}),
        (ObjectsPosition, {"turn": "last"}),
        (ObjectsPosition, {"skipped": {"1": 2}}),
        (ObjectsPosition, {"names": ["status"]}),
        (ObjectsPosition, {"names": {"status": {"Open": [[1, 5]]}}}),
        (ObjectsPosition, {"names": {"status": {"Open": [[1, 5, -7]]}}}),
        (ObjectsPosition, {"resume": "somewhere"}),
        (ObjectsPosition, {"resume": {"activity": 3}}),
        (ObjectsPosition, {"resume": {"after": STAMP, "activity": "3"}}),
        (FilesPosition, {"files": "yesterday"}),
        (FilesPosition, {"recent": [7, [8]]}),
        (FilesPosition, {"missed": {"id": 9}}),
        (FilesPosition, {"number": "12"}),
        (FilesPosition, {"trash": "all"}),
        (ActivitiesPosition, {"activity": 1.5}),
        (ActivitiesPosition, {"seen": [1, "2"]}),
        (ActivitiesPosition, {"projects": "all"}),
        (ActivitiesPosition, {"archived": [[1]]}),
        (ActivitiesPosition, {"narrowed": "yes"}),
        (DeletionsPosition, {"known": []}),
        (NotificationsPosition, {"id": -1}),
        (WatchingsPosition, {"updated": 1782810000}),
        (StarsPosition, {"users": [1]}),
        (StarsPosition, {"users": {"901": "5"}}),
    ],
)
def test_what_nobody_wrote_is_not_understood(kind: type[Position], saved: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood) as error:
        kind.parse(saved)
    assert str(error.value) == next(iter(saved))


def test_what_a_later_version_wrote_is_given_back() -> None:
    saved = {"updated": STAMP, "activity": 3, "depth": {"of": [1, 2]}}
    position = ObjectsPosition.parse(saved)
    assert (position.updated, position.unknown) == (STAMP, {"depth": {"of": [1, 2]}})
    assert position.saved() == saved


def test_a_position_is_true_when_something_is_known() -> None:
    assert not ObjectsPosition()
    assert ObjectsPosition(activity=0)
    assert FilesPosition(recent=())


def test_no_file_was_fetched_is_something_else_than_no_sync() -> None:
    position = FilesPosition.parse({"files": None, "recent": [], "missed": []})
    assert position.began
    assert position.saved() == {"files": None, "recent": [], "missed": []}
    assert not FilesPosition().began


def test_a_place_moves_and_what_was_saved_stays() -> None:
    place = Place(ObjectsPosition(activity=3))
    place.move(activity=4, updated=STAMP)
    assert place.before == ObjectsPosition(activity=3)
    assert place.now == ObjectsPosition(activity=4, updated=STAMP)


def test_an_archived_project_counts_as_new_when_it_is_none_any_more() -> None:
    projects = [{"id": 1}, {"id": 2, "archived": True}]
    position = ProjectsPosition().noted(projects)
    assert position.saved() == {"projects": [1], "archived": [2]}
    assert position.new(projects) == []
    assert position.new([{"id": 1, "archived": True}, {"id": 2}, {"id": 3}]) == [2, 3]
    assert position.noted(projects, without=[1]).saved() == {"projects": [], "archived": [2]}


def test_each_field_of_each_position_says_what_it_is() -> None:
    text = Path(str(module.__file__)).read_text()
    for line, following in zip(text.splitlines(), text.splitlines()[1:], strict=False):
        if "= _saved(" in line:
            assert following.strip().startswith('"""'), line
