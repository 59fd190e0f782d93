"""Killed at any moment (SIGKILL), the next run goes on from the last state on the output and loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import Type

from integration_tests.emulator import Emulator, Space
from integration_tests.emulator.generator import generate
from integration_tests.harness import configured, primary_key
from integration_tests.histories import Reader, messages, quick, untold
from source_backlog.streams import objects

Row = dict[str, Any]
ROOT = Path(__file__).parent.parent
STREAMS = ["issues", "issue_comments", "issue_changelogs", "wikis", "documents", "activities"]


def files(folder: Path, emulator: Emulator, streams: list[str], state: list[Row]) -> list[str]:
    """The arguments of a read."""
    names = {
        "config": emulator.config(num_workers=2),
        "catalog": {
            "streams": [
                {
                    "stream": {
                        "name": each.stream.name,
                        "json_schema": {},
                        "supported_sync_modes": [mode.value for mode in each.stream.supported_sync_modes],
                        "source_defined_cursor": True,
                    },
                    "sync_mode": each.sync_mode.value,
                    "destination_sync_mode": each.destination_sync_mode.value,
                }
                for each in configured(streams).streams
            ]
        },
        "state": state,
    }
    arguments = []
    for name, content in names.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
        arguments += [f"--{name}", str(folder / f"{name}.json")]
    return arguments


class Killed:
    """Runs of the connector as a process of its own; what arrived before each was killed."""

    def __init__(self, emulator: Emulator, folder: Path, streams: list[str]) -> None:
        self.emulator, self.folder, self.streams = emulator, folder, streams
        self.tables: dict[str, dict[Any, Row]] = {stream: {} for stream in streams}
        self.state: dict[str, Row] = {}

    def run(self, lines: int | None = None) -> bool:
        """One read, killed after so many lines of records and states; True when it came to its end before."""
        arguments = files(self.folder, self.emulator, self.streams, list(self.state.values()))
        command = [sys.executable, "-m", "source_backlog", "read", *arguments]
        with (self.folder / "errors").open("w") as errors:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT)
        assert process.stdout is not None
        arrived = 0
        for line in process.stdout:
            message = json.loads(line)
            if message["type"] == "RECORD":
                row = message["record"]["data"]
                stream = message["record"]["stream"]
                self.tables[stream][tuple(row.get(name) for name in primary_key(stream))] = row
            elif message["type"] == "STATE":
                self.state[message["state"]["stream"]["stream_descriptor"]["name"]] = message["state"]
            else:
                assert message["type"] != "TRACE" or message["trace"]["type"] != "ERROR", message
                continue
            arrived += 1
            if lines is not None and arrived >= lines:
                process.kill()
                process.stdout.close()
                break
        return process.wait() == 0

    def missing(self) -> list[str]:
        """What the space has and has not arrived, in one run or another."""
        found = []
        for stream in self.streams:
            key = primary_key(stream)
            for row in self.emulator.truth(stream):
                if tuple(row.get(name) for name in key) not in self.tables[stream]:
                    found.append(f"{stream}: {row}")
        return found


def space_of_projects(projects: int, issues: int) -> Space:
    return generate(
        seed=8, projects=projects, archived_projects=0, foreign_projects=0, issues=issues, wikis=20, documents=20
    )


@pytest.mark.slow
def test_killed_again_and_again_nothing_is_lost(tmp_path: Path) -> None:
    with Emulator(space=space_of_projects(6, 120), latency=0.002) as emulator:
        killed = Killed(emulator, tmp_path, STREAMS)
        kills = 0
        # At the first line, in the middle of a page, between two projects: wherever these numbers fall.
        for lines in (1, 7, 40, 95, 150, 333):
            if killed.run(lines):
                break
            kills += 1
            emulator.space.advance(60)
            emulator.space.add_comment(next(iter(emulator.space.issues.values())), "その間に")
        assert kills >= 5
        assert killed.run()
        assert not killed.missing()


@pytest.mark.slow
def test_a_first_load_does_not_repeat_what_a_checkpoint_covers(tmp_path: Path) -> None:
    """Counted in requests for comments, which are nearly all of a first load."""
    with Emulator(space=space_of_projects(12, 160), latency=0.01) as emulator:
        killed = Killed(emulator, tmp_path, ["issue_comments"])
        sizes = sorted(len(project.issues) for project in emulator.space.projects.values())
        figures = []
        before: set[int] = set()
        for lines in (150, 200, None):
            entries = killed.state.get("issue_comments", {}).get("stream", {}).get("stream_state", {}).get("states", [])
            done = {entry["partition"]["projectId"] for entry in entries}
            emulator.clear_requests()
            killed.run(lines)
            paths = [request.path for request in emulator.requests if request.path.endswith("/comments")]
            asked = {int(path.split("/")[4]) for path in paths}
            assert not {emulator.space.issues[each].project.id for each in asked} & done
            # Two projects are under way at a time, and a checkpoint may wait for an eighth of a second (12 projects).
            assert len(asked & before) <= sizes[-1] + sizes[-2] + 15
            figures.append((len(done), len(asked), len(asked & before)))
            before |= asked
        assert figures[1][0] >= 1 and figures[2][0] > figures[1][0], "the kills left projects behind them"
        assert before == set(emulator.space.issues)
        assert not killed.missing()
        for done, asked, again in figures:
            print(f"{done} projects done before; {asked} issues asked for, {again} of them again; sizes {sizes[::-1]}")


@pytest.fixture
def one_project() -> Iterator[tuple[Emulator, Any]]:
    """One large project, and a checkpoint after every tenth of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "CHECKPOINT_SECONDS", 0.1)
        with Emulator(space=space_of_projects(1, 300), latency=0.002, virtual_dates=True) as emulator:
            yield emulator, emulator.space


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_a_single_large_project_is_taken_up_in_its_middle(one_project: tuple[Emulator, Any], part: float) -> None:
    emulator, space = one_project
    reader = Reader(emulator, ["issue_comments"])
    reader.sync(part)
    position = reader.state["issue_comments"].stream.stream_state.__dict__["states"][0]["cursor"]
    assert position.keys() == {"resume"}
    behind = [issue for issue in space.issues.values() if _stamp(issue.created) < position["resume"]["after"]]
    # Meanwhile, before and behind that place.
    space.advance(86_400)
    space.add_comment(behind[0], "もう通り過ぎた")
    space.add_comment(max(space.issues.values(), key=lambda issue: issue.created), "まだ読んでいない")
    emulator.clear_requests()
    reader.sync()
    asked = {int(request.path.split("/")[4]) for request in emulator.requests if request.path.endswith("/comments")}
    again = asked & {issue.id for issue in behind}
    assert again == {behind[0].id}, "only what the feed names is read again"
    assert {(row["id"],) for row in emulator.truth("issue_comments")} <= reader.tables["issue_comments"].keys()


def test_what_the_feed_never_shows_is_found_behind_the_place_of_an_interrupted_walk(
    one_project: tuple[Emulator, Any],
) -> None:
    emulator, space = one_project
    reader = Reader(emulator, ["issue_comments"])
    reader.sync(0.5)
    first, last = (each(space.issues.values(), key=lambda issue: issue.created) for each in (min, max))
    space.advance(60)
    untold(space, lambda: space.add_comment(first, "誰も見ない"))
    first.updated = space.clock
    space.advance(60)
    space.update_issue(last, summary="新しい")
    for _ in range(2):
        space.advance(60)
        reader.sync()
    assert {(row["id"],) for row in emulator.truth("issue_comments")} <= reader.tables["issue_comments"].keys()


def test_a_walk_that_breaks_off_still_knows_what_an_earlier_sync_skipped() -> None:
    with quick(), Emulator(space=space_of_projects(1, 40)) as emulator:
        space = emulator.space
        refused, *others = sorted(space.issues.values(), key=lambda issue: issue.updated)
        space.add_comment(refused, "あり")
        reader = Reader(emulator, ["issue_comments"])

        def position() -> Row:
            return reader.state["issue_comments"].stream.stream_state.__dict__["states"][0]["cursor"]

        emulator.faults.add(f"/issues/{refused.id}/comments$", status=404, times=None)
        reader.sync()
        assert position()["skipped"] == [refused.id]
        emulator.faults.clear()
        space.advance(10 * 86_400)
        for issue in others:
            space.update_issue(issue, summary="変わった")
        reader.sync(0.5)
        assert "resume" in position()
        assert position()["skipped"] == [refused.id]
        reader.sync()
        assert "skipped" not in position()
        assert {(row["id"],) for row in emulator.truth("issue_comments")} <= reader.tables["issue_comments"].keys()


def _stamp(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def test_a_state_follows_each_project_and_never_comes_before_its_rows() -> None:
    with Emulator(space=space_of_projects(10, 60)) as emulator:
        output = messages(emulator, ["issues"], [])
    given: set[int] = set()
    states = 0
    for message in output:
        if message.type == Type.RECORD:
            given.add(message.record.data["id"])
        elif message.type == Type.STATE:
            states += 1
            for entry in message.state.stream.stream_state.__dict__["states"]:
                project = emulator.space.projects[entry["partition"]["projectId"]]
                assert {issue.id for issue in project.issues} <= given
    # With ten projects at most one every tenth of a second, and the last one.
    assert states >= 2


def size_of_state(projects: int, number: int, streams: list[str]) -> dict[str, int]:
    """Bytes of each stream's state, without blanks, after a sync.

    What is known of the names of statuses is left out: see test_exact_ids.py.
    """
    with Emulator(space=space_of_projects(projects, number)) as emulator:
        output = messages(emulator, streams, [])
    last = {}
    for message in output:
        if message.type == Type.STATE:
            content = json.loads(json.dumps(message.state.stream.stream_state.__dict__))
            for entry in content["states"]:
                entry["cursor"].pop("names", None)
            last[message.state.stream.stream_descriptor.name] = len(json.dumps(content, separators=(",", ":")))
    return last


def test_the_state_grows_with_the_projects_and_not_with_the_issues() -> None:
    few, many = size_of_state(2, 40, STREAMS), size_of_state(2, 400, STREAMS)
    more = size_of_state(12, 40, STREAMS)
    for stream in STREAMS:
        assert abs(many[stream] - few[stream]) < 40, f"{stream}: the state grows with the issues"
        each = (more[stream] - few[stream]) / 10
        assert each < 170, f"{stream}: {each} bytes per project"
        print(f"{stream}: {few[stream]} bytes for 2 projects, {each:.0f} for each further one")
