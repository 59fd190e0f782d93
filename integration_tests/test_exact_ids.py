"""The ids beside the names in change logs: those that the feed tells, at no request, and never lost again.

What an id really was is the emulator's own record of each change (`Change.ids`); that no row of any table ever has
another one is what `differences` checks everywhere.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from integration_tests.emulator import Emulator, Space
from integration_tests.emulator.generator import generate
from integration_tests.harness import Destination, Sync, differences, primary_key, sync
from integration_tests.histories import Reader
from source_backlog.streams import objects

Row = dict[str, Any]
Ids = tuple[Any, Any]

LOGS = ["issue_changelogs", "pull_request_changelogs"]
FEEDS = ["activities", "activity_changes", "git_push_revisions", "svn_commits", "deletions"]
OTHERS = ["issues", "issue_comments", "pull_requests", "statuses"]
DAY = 86_400


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(space=generate(seed=61, projects=2, issues=60, foreign_projects=0, pull_requests=12)) as emulator:
        live(emulator.space, random.Random(1), 40)
        yield emulator


def live(space: Space, chance: random.Random, number: int) -> None:
    """People change statuses and resolutions one by one, in bulk and with pull requests; time passes."""
    projects = space.visible_projects(space.user(None), contents=True)
    for _ in range(number):
        space.advance(chance.choice([1, 60, 3_600]))
        project = chance.choice([project for project in projects if len(project.issues) > 2])
        issue, kind = chance.choice(project.issues), chance.randrange(5)
        if kind == 0:
            space.bulk_update_issues(chance.sample(project.issues, 2), status=chance.choice(project.statuses))
        elif kind == 1 and project.repositories:
            request = space.create_pull_request(chance.choice(project.repositories), "変更")
            space.close_pull_request(request, merge=chance.random() < 0.5)
        elif kind == 2:
            space.add_comment(issue, "コメント")
        else:
            resolution = chance.choice([None, *space.resolutions])
            space.update_issue(issue, status=chance.choice(project.statuses), resolution=resolution)


def told(space: Space) -> dict[tuple[str, int, str], Ids]:
    """What the feed tells: by stream, comment and field, the new and the old id."""
    found: dict[tuple[str, int, str], Ids] = {}
    for activity in space.activities:
        content = json.loads(activity.content)
        stream = LOGS[1] if activity.type in (18, 19, 20, 21) else LOGS[0]
        for one in [content, *content.get("link", [])]:
            for change in content.get("changes", []):
                if change["field"] in ("status", "resolution") and isinstance(one.get("comment"), dict):
                    ids = [int(text) if text else None for text in (change["new_value"], change.get("old_value"))]
                    found[stream, one["comment"].get("id"), change["field"]] = (ids[0], ids[1])
    return found


def ids_of(rows: Any, stream: str) -> dict[tuple[str, int, str], Ids]:
    """The ids of rows of changed statuses and resolutions, by the same."""
    return {
        (stream, row["commentId"], row["field"]): (row.get("newId"), row.get("originalId"))
        for row in rows
        if row["field"] in ("status", "resolution") and not row.get("customFieldId")
    }


def every(result: Sync | Destination) -> dict[tuple[str, int, str], Ids]:
    tables = {name: result.rows[name] if isinstance(result, Sync) else result.tables[name].values() for name in LOGS}
    return {key: ids for name, rows in tables.items() for key, ids in ids_of(rows, name).items()}


def lost(before: dict[Any, Ids], after: dict[Any, Ids]) -> list[Any]:
    """The changes of which an id was known that is not any more, or is another one."""
    return [
        (key, ids, after.get(key))
        for key, ids in before.items()
        if any(old is not None and old != new for old, new in zip(ids, after.get(key, (None, None)), strict=True))
    ]


def unlike_the_feed(space: Space, found: dict[tuple[str, int, str], Ids]) -> list[Any]:
    """The changes whose ids are not those that the feed tells; of a bulk update the old one is not told."""
    expected = told(space)
    return [
        (key, ids, expected[key])
        for key, ids in found.items()
        if key in expected and any(one is not None and one != got for one, got in zip(expected[key], ids, strict=True))
    ]


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("workers", [2, 8])
def test_beside_a_stream_of_the_feed_a_first_load_has_all_that_the_feed_tells(
    emulator: Emulator, feed: str, order: int, workers: int
) -> None:
    result = sync(emulator, [feed, *OTHERS, *LOGS][::order], num_workers=workers)
    found = every(result)
    assert found.keys() == told(emulator.space).keys() & found.keys()
    assert len(found) > 60
    assert not unlike_the_feed(emulator.space, found)
    for stream in LOGS:
        table = {tuple(row.get(name) for name in primary_key(stream)): row for row in result.rows[stream]}
        assert not differences(emulator, stream, table)


def test_it_costs_no_request(emulator: Emulator) -> None:
    """Neither in a first load nor later: the requests are those of the streams without their change logs' ids."""
    streams = ["activities", "issue_comments", "pull_request_comments"]

    def costs(selected: list[str]) -> list[list[str]]:
        first = sync(emulator, selected)
        return [sorted(first.paths()), sorted(sync(emulator, selected, first.state).paths())]

    assert costs([*streams, *LOGS]) == costs(streams)
    assert costs(LOGS) == costs(["issue_comments", "pull_request_comments"])


def test_without_a_stream_of_the_feed_the_past_is_not_asked_for(emulator: Emulator) -> None:
    space, destination = emulator.space, Destination()
    first = sync(emulator, LOGS)
    destination.load(first)
    assert first.paths().count("space/activities") == 1, "its newest entries"
    assert set(every(first).values()) == {(None, None)}
    past = every(first).keys()
    live(space, random.Random(2), 40)
    destination.load(sync(emulator, LOGS, first.state))
    new = {key: ids for key, ids in every(destination).items() if key not in past}
    assert len(new) > 20
    assert not unlike_the_feed(space, new)


@pytest.mark.parametrize("streams", [LOGS, [*LOGS, "activities"], [*LOGS, *OTHERS, *FEEDS]], ids=len)
def test_rows_that_come_again_keep_their_ids(emulator: Emulator, streams: list[str]) -> None:
    space, chance, destination, state = emulator.space, random.Random(3), Destination(), None
    came_again = 0
    for _ in range(6):
        result = sync(emulator, streams, state)
        state, before = result.state, every(destination)
        destination.load(result)
        came_again += sum(any(ids) for key, ids in before.items() if key in every(result))
        assert not lost(before, every(destination))
        for stream in LOGS:
            assert not differences(emulator, stream, destination.tables[stream])
        live(space, chance, 25)
        # Every issue is read again, long after its changes.
        for issue in space.issues.values():
            space.add_comment(issue, "もう一度")
        for request in space.pull_requests.values():
            space.comment_pull_request(request, "もう一度")
        space.advance(3 * DAY)
    assert came_again > 100
    assert sum(any(ids) for ids in every(destination).values()) > 100


def test_two_statuses_of_one_name_are_told_apart(emulator: Emulator) -> None:
    """One is renamed, another takes its name: the rows keep the ids of then, also when they come again."""
    space, destination = emulator.space, Destination()
    project = next(iter(space.projects.values()))
    one = space.create_status(project, "確認中")
    first_issue, second_issue = project.issues[:2]

    def set_status(issue: Any, status: Any) -> int:
        space.advance(60)
        return space.update_issue(issue, status=status).id

    changed = {set_status(first_issue, one): one.id}
    space.update_status(project, one, name="確認済み")
    other = space.create_status(project, "確認中")
    changed[set_status(second_issue, other)] = other.id
    changed[set_status(first_issue, other)] = other.id
    streams = ["issue_changelogs", "activities"]
    state = None
    for _ in range(3):
        result = sync(emulator, streams, state)
        state = result.state
        destination.load(result)
        rows = destination.tables["issue_changelogs"].values()
        logged = [row for row in rows if row["commentId"] in changed and row["field"] == "status"]
        assert {row["newValue"] for row in logged} == {"確認中"}
        assert {row["commentId"]: row["newId"] for row in logged} == changed
        space.advance(DAY)
        for issue in (first_issue, second_issue):
            space.update_issue(issue, description=f"触れた {space.clock}")


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_a_killed_first_load_loses_none(emulator: Emulator, part: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream of the feed may have come to its end, and the change logs not."""
    monkeypatch.setattr(objects, "CHECKPOINT_SECONDS", 0.0)
    reader = Reader(emulator, [*LOGS, "activities"])

    def known() -> dict[tuple[str, int, str], Ids]:
        return {key: ids for name in LOGS for key, ids in ids_of(reader.tables[name].values(), name).items()}

    reader.sync(part)
    before = known()
    assert 0 < len(before) < len(told(emulator.space))
    reader.sync()
    assert not lost(before, known())
    issues = {key: ids for key, ids in known().items() if key[0] == LOGS[0]}
    assert not unlike_the_feed(emulator.space, issues)


def test_change_logs_that_are_selected_later_or_refreshed_have_their_ids(emulator: Emulator) -> None:
    first = sync(emulator, ["activities"])
    second = sync(emulator, ["activities", *LOGS], first.state)
    assert not unlike_the_feed(emulator.space, every(second))
    # What the page says that it costs: the feed of each project.
    own = [path for path in second.paths() if path.endswith("/activities") and path != "space/activities"]
    assert {path.count("/") for path in own} == {2}
    assert len(own) <= sum(1 + len(project.activities) // 99 for project in emulator.space.projects.values())
    refreshed = [each for each in second.state if each.stream.stream_descriptor.name == "activities"]
    assert every(sync(emulator, ["activities", *LOGS], refreshed)) == every(second)


def test_a_project_that_is_joined_later_has_its_ids(emulator: Emulator) -> None:
    space, destination = emulator.space, Destination()
    first = sync(emulator, [*LOGS, *FEEDS])
    destination.load(first)
    project = space.create_project("LATER", "後から", by="outsider")
    issues = [space.create_issue(project, f"課題 {number}") for number in range(5)]
    for number in range(120):
        space.advance(60)
        space.update_issue(issues[number % 5], status=1 + number % 4)
    space.add_member(project, None)
    second = sync(emulator, [*LOGS, *FEEDS], first.state)
    destination.load(second)
    found = {key: ids for key, ids in every(destination).items() if key not in every(first)}
    assert len(found) > 90
    assert not unlike_the_feed(space, found)
    # Six streams read its feed, and each page is asked for once.
    own = [request for request in second.requests if request.path.endswith(f"projects/{project.id}/activities")]
    assert len({str(request.query) for request in own}) == len(own) == 2
    for issue in issues:
        space.add_comment(issue, "もう一度")
    before = every(destination)
    destination.load(sync(emulator, [*LOGS, *FEEDS], second.state))
    assert not lost(before, every(destination))


def test_a_feed_that_was_cut_costs_none_of_the_ids_that_were_known(emulator: Emulator) -> None:
    """Everything is read again then, and nothing tells the old ids any more."""
    space, destination = emulator.space, Destination()
    first = sync(emulator, [*LOGS, "activities"])
    destination.load(first)
    live(space, random.Random(4), 10)
    space.trim_activities(keep=3)
    before = every(destination)
    second = sync(emulator, [*LOGS, "activities"], first.state)
    destination.load(second)
    assert len(every(second)) >= len(before), "everything came again"
    assert not lost(before, every(destination))
    for stream in LOGS:
        assert not differences(emulator, stream, destination.tables[stream])


def test_an_issue_that_is_moved_never_gets_ids_of_the_other_project(emulator: Emulator) -> None:
    """Both projects have a status of the same name; what all projects share is kept."""
    space, destination = emulator.space, Destination()
    here, there = [project for project in space.projects.values() if project.issues][:2]
    issue = here.issues[0]
    custom = next(status for status in here.statuses if status.id > 4)
    namesake = next(status for status in there.statuses if status.name == custom.name)
    assert namesake.id != custom.id
    for status in (custom, here.statuses[0], custom):
        space.advance(60)
        space.update_issue(issue, status=status)
    for status in (namesake, there.statuses[0], namesake):
        space.advance(60)
        space.update_issue(there.issues[0], status=status)
    first = sync(emulator, [*LOGS, "activities"])
    destination.load(first)
    space.advance(DAY)
    space.move_issue(issue, there)
    state = first.state
    for _ in range(2):
        result = sync(emulator, [*LOGS, "activities"], state)
        state = result.state
        destination.load(result)
        rows = [row for row in result.rows["issue_changelogs"] if row["issueId"] == issue.id]
        assert {row["projectId"] for row in rows} == {there.id}
        assert 1 in {row.get("newId") for row in rows}
        assert not differences(emulator, "issue_changelogs", destination.tables["issue_changelogs"])
        space.add_comment(issue, "もう一度")


def test_what_the_state_holds_grows_with_the_names_and_not_with_the_changes() -> None:
    def names(number: int) -> list[Row]:
        with Emulator(
            space=generate(seed=62, projects=1, archived_projects=0, foreign_projects=0, issues=10)
        ) as emulator:
            space, (project,) = emulator.space, emulator.space.projects.values()
            for step in range(number):
                space.advance(60)
                status, resolution = project.statuses[step % 6], space.resolutions[step % 5]
                space.update_issue(project.issues[step % 7], status=status, resolution=resolution)
            states = {
                each.stream.stream_descriptor.name: each for each in sync(emulator, [*LOGS, *OTHERS, *FEEDS]).state
            }
            found = [
                entry["cursor"].get("names", {})
                for name, state in states.items()
                for entry in state.stream.stream_state.__dict__.get("states", [])
                if name == "issue_changelogs" or not entry["cursor"].get("names")
            ]
            return [each for each in found if each]

    (few,), (many,) = names(60), names(600)
    assert {field: set(runs) for field, runs in few.items()} == {field: set(runs) for field, runs in many.items()}
    assert len(json.dumps(many)) - len(json.dumps(few)) < 60
    assert len(json.dumps(many, ensure_ascii=False)) < 60 * sum(len(runs) for runs in many.values())
