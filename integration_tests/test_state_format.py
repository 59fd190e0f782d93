"""The saved state is a format: what a version wrote, later ones must read; what nobody wrote must lose nothing.

`states/` has the state of each incremental stream, written by hand as 0.1.0 writes it; the files named `again` are of
0.1.1 and, for streams that are newer, of 0.2.0, and so are those named `names`, `looked` and `started`. A change of the
format needs new files beside them, not other contents.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import (
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStreamState,
    StreamDescriptor,
    SyncMode,
)

from integration_tests.emulator import Emulator, Space
from integration_tests.harness import Destination, Sync, catalog_streams, files_of, primary_key, sync
from integration_tests.test_projects_come_and_go import fill, wrong
from source_backlog import SourceBacklog

HERE = Path(__file__).parent
FILES = sorted((HERE / "states").glob("*.json"))
DAY = 86_400
INCREMENTAL = {
    name for name, stream in catalog_streams().items() if SyncMode.incremental in stream.supported_sync_modes
}
# Their rows are not made from what is there: test_deletions.py and test_files.py.
OTHERS = {name for name in INCREMENTAL if name == "deletions" or name.endswith(("_files", "_contents"))}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A space with the ids of the files in `states/`: what they know of, and what came ten days later."""
    space = Space()
    for kind, last in {"user": 900, "project": 6_999, "activity": 0, "star": 0, "notification": 0}.items():
        space.ids._last[kind] = last
    space.add_user("admin", "管理者", role_type=1, persona="administrator")
    space.ids._last["user"] = 903
    space.add_user("member", "一般", persona="member")
    project = space.create_project("PIN", "固定")
    space.create_custom_field(project, "備考", 1)
    space.add_member(project, "member")
    for issue in range(2):
        space.create_issue(project, f"最初の課題 {issue}", by="member")
    space.advance(-30 * DAY)
    fill(space, project)
    space.advance(30 * DAY)
    fill(space, project)
    for kind, last in {"activity": 600_000, "star": 600_000, "notification": 600_000}.items():
        assert space.ids._last[kind] < last, "the files stand between what was and what came"
        space.ids._last[kind] = last
    with Emulator(space=space) as emulator:
        yield emulator


def message(stream: str, state: Any) -> AirbyteStateMessage:
    return AirbyteStateMessage(
        type=AirbyteStateType.STREAM,
        stream=AirbyteStreamState(
            stream_descriptor=StreamDescriptor(name=stream), stream_state=AirbyteStateBlob(copy.deepcopy(state))
        ),
    )


def keys(stream: str, rows: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    return {tuple(row.get(name) for name in primary_key(stream)) for row in rows}


def not_understood(result: Sync, stream: str) -> list[str]:
    return [text for text in result.warnings() if text.startswith(f"{stream}: ") and "not understood" in text]


def test_every_incremental_stream_has_a_file() -> None:
    assert {path.name.split(".")[0] for path in FILES} == INCREMENTAL


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_state_of_every_version_is_understood(emulator: Emulator, path: Path) -> None:
    stream = path.name.split(".")[0]
    space = emulator.space
    project = space.project("PIN")
    known = keys(stream, emulator.truth(stream)) if stream not in OTHERS else set()
    space.advance(10 * DAY)
    fill(space, project)
    result = sync(emulator, [stream], [message(stream, json.loads(path.read_text()))])
    assert not not_understood(result, stream)
    if stream in OTHERS:
        return
    there = keys(stream, emulator.truth(stream))
    given = keys(stream, result.rows[stream])
    assert there - known
    assert there - known <= given, "what came later is missing"
    if stream != "watchings":
        assert known - given, "everything was read again"


def test_what_is_written_has_the_shape_of_the_files(emulator: Emulator) -> None:
    names = sorted(INCREMENTAL - {"deletions"})
    result = sync(emulator, names)
    for state in result.state:
        stream = state.stream.stream_descriptor.name
        versions = [HERE / "states" / f"{stream}{version}.json" for version in (".looked", ".again", "")]
        pinned = json.loads(next(path for path in versions if path in FILES).read_text())
        written = json.loads(json.dumps(state.stream.stream_state.__dict__))
        assert written.keys() == pinned.keys() == {"states"}
        for entries in (written["states"], pinned["states"]):
            assert all(entry.keys() == {"partition", "cursor"} for entry in entries)
            assert all(entry["partition"] in ({"projectId": 7_000}, {}) for entry in entries)
        cursors = [
            {name: type(value) for name, value in each["states"][0]["cursor"].items()} for each in (written, pinned)
        ]
        assert cursors[0] == cursors[1], stream


def test_the_sample_state_is_read(emulator: Emulator) -> None:
    state = SourceBacklog.read_state(str(HERE / "sample_state.json"))
    names = [each.stream.stream_descriptor.name for each in state]
    result = sync(emulator, names, state)
    assert not [text for name in names for text in not_understood(result, name)]


def test_an_abnormal_state_loses_nothing(emulator: Emulator) -> None:
    """It counts as none, stream by stream, and each says so."""
    state = SourceBacklog.read_state(str(HERE / "abnormal_state.json"))
    names = [each.stream.stream_descriptor.name for each in state]
    assert set(names) == INCREMENTAL - OTHERS
    result = sync(emulator, names, state)
    destination = Destination()
    destination.load(result)
    assert not wrong(emulator, destination, names)
    second = sync(emulator, names, result.state)
    assert not [text for name in names for text in not_understood(second, name)]


PROJECT = {"projectId": 7_000}
ODD: list[tuple[str, Any]] = [
    ("issues", {"updated": "2026-06-30T09:00:00Z"}),
    ("issues", {"state": {"updated": "2026-06-30T09:00:00Z"}, "use_global_cursor": True}),
    ("issues", {"states": "none"}),
    ("issues", {"states": ["none", None, 7]}),
    ("issues", {"states": [{"partition": PROJECT}]}),
    ("issues", {"states": [{"partition": [7_000], "cursor": {}}]}),
    ("issues", {"states": [{"partition": {"projectId": "7000"}, "cursor": {"updated": "2026-06-30T09:00:00Z"}}]}),
    ("issues", {"states": [{"partition": PROJECT, "cursor": {"updated": "2999-12-31T00:00:00Z", "activity": 3}}]}),
    ("issues", {"states": [{"partition": PROJECT, "cursor": {"updated": 1782810000, "activity": 3}}]}),
    ("issues", {"states": [{"partition": PROJECT, "cursor": {"updated": "yesterday", "activity": 3}}]}),
    ("issues", {"states": [{"partition": PROJECT, "cursor": {"updated": None, "activity": None}}]}),
    ("issues", {"states": [{"partition": PROJECT, "cursor": {"updated": "2026-06-30T09:00:00Z", "activity": "3"}}]}),
    ("issue_comments", {"states": [{"partition": PROJECT, "cursor": {"resume": "somewhere"}}]}),
    ("issue_comments", {"states": [{"partition": PROJECT, "cursor": {"resume": {"after": "2999-12-31T00:00:00Z"}}}]}),
    ("issue_comments", {"states": [{"partition": PROJECT, "cursor": {"skipped": {"1": 2}}}]}),
    ("issue_changelogs", {"states": [{"partition": PROJECT, "cursor": {"names": {"status": {"未対応": [[1, 2]]}}}}]}),
    ("issue_changelogs", {"states": [{"partition": PROJECT, "cursor": {"names": {"status": ["未対応"]}}}]}),
    ("issue_changelogs", {"states": [{"partition": PROJECT, "cursor": {"names": {"status": {"": [[1, "2", 3]]}}}}]}),
    ("user_stars", {"states": [{"partition": {}, "cursor": {"users": [1, 2]}}]}),
    ("user_stars", {"states": [{"partition": {}, "cursor": {"users": {"901": "5"}}}]}),
    ("notifications", {"states": [{"partition": {}, "cursor": {"id": -1, "projects": [7_000]}}]}),
    ("notifications", {"states": [{"partition": PROJECT, "cursor": {"id": 5}}]}),
    ("activities", {"states": [{"partition": {}, "cursor": {"activity": 1.5, "projects": [7_000]}}]}),
    ("activities", {"states": [{"partition": {}, "cursor": {"activity": 5, "projects": "all"}}]}),
    ("activities", {"states": [{"partition": {}, "cursor": {"activity": 5, "seen": [1, "2"], "projects": [7_000]}}]}),
    ("issues", {"states": [{"partition": PROJECT, "cursor": {"activity": 5, "again": {"after": 1}}}]}),
    ("issues", {"states": [{"partition": PROJECT, "cursor": {"activity": 5, "looked": "yesterday"}}]}),
    ("issues", {"states": [{"partition": PROJECT, "cursor": {"activity": 5, "turn": "last"}}]}),
]


@pytest.mark.parametrize(("stream", "state"), ODD, ids=lambda value: json.dumps(value)[:60])
def test_what_nobody_wrote_counts_as_no_state(emulator: Emulator, stream: str, state: Any) -> None:
    result = sync(emulator, [stream], [message(stream, state)])
    assert not_understood(result, stream)
    destination = Destination()
    destination.load(result)
    assert not wrong(emulator, destination, [stream])


@pytest.mark.parametrize(
    ("stream", "position"),
    [
        ("issue_attachment_files", {"files": "2999-12-31T00:00:00Z"}),
        ("issue_attachment_files", {"number": "12"}),
        ("wiki_attachment_files", {"recent": [7, [8]]}),
        ("document_attachment_files", {"trash": "all"}),
        ("shared_file_contents", {"missed": {"id": 9}}),
    ],
)
def test_a_position_of_files_that_nobody_wrote_counts_as_none(
    emulator: Emulator, stream: str, position: dict[str, Any]
) -> None:
    result = sync(emulator, [stream], [message(stream, {"states": [{"partition": PROJECT, "cursor": position}]})])
    assert not_understood(result, stream)
    assert {row["id"] for row in result.rows[stream]} == set(files_of(emulator.space)[stream]) != set()


FAR = 10**15


@pytest.mark.parametrize(
    ("stream", "partition", "cursor"),
    [
        ("issue_comments", PROJECT, {"updated": "2026-06-30T09:00:00Z", "activity": FAR}),
        ("wikis", PROJECT, {"updated": "2026-06-30T09:00:00Z", "activity": FAR}),
        ("activities", {}, {"activity": FAR, "projects": [7_000]}),
        ("activities", {}, {"activity": FAR, "seen": [FAR - 9, FAR], "projects": [7_000]}),
        ("documents", PROJECT, {"activity": FAR, "again": [FAR - 9, 9]}),
        ("notifications", {}, {"id": FAR, "seen": [FAR - 9, FAR], "projects": [7_000]}),
        ("notifications", {}, {"id": FAR, "projects": [7_000]}),
        ("user_stars", {}, {"users": {"901": FAR, "904": FAR}}),
    ],
)
def test_an_id_that_this_space_cannot_have_given_hides_nothing(
    emulator: Emulator, stream: str, partition: Any, cursor: Any
) -> None:
    result = sync(emulator, [stream], [message(stream, {"states": [{"partition": partition, "cursor": cursor}]})])
    assert result.warnings()
    destination = Destination()
    destination.load(result)
    assert not wrong(emulator, destination, [stream])
