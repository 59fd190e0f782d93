"""A sync costs what has changed: quiet projects are not asked, and still nothing of them is lost.

The clock of the answers is the virtual one: hours and days pass between the syncs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from integration_tests.emulator import Emulator
from integration_tests.harness import Destination, Sync, differences, sync
from integration_tests.histories import untold
from source_backlog.changes import quiet

HOUR, DAY = 3_600, 86_400
CORE = ["issues", "issue_comments", "activities"]
OBJECTS = ["issues", "issue_comments", "wikis", "documents", "pull_requests", "pull_request_comments"]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a space of four projects, one of those of which the feed is silent is looked at in each sync."""
    monkeypatch.setattr(quiet, "FEW", 0)
    monkeypatch.setattr(quiet, "SEARCHES", 1)


@pytest.fixture
def emulator(few: None) -> Iterator[Emulator]:
    with Emulator(seed=4, projects=4, archived_projects=0, issues=60, virtual_dates=True) as emulator:
        for project in emulator.space.projects.values():
            emulator.space.update_project(project, use_wiki=True, use_git=True, use_document=True)
        emulator.space.advance(5 * DAY)
        yield emulator


class Reader:
    """Syncs one after the other into a destination, an hour between them."""

    def __init__(self, emulator: Emulator, streams: list[str]) -> None:
        self.emulator, self.streams = emulator, streams
        self.destination = Destination()
        self.state: Any = None

    def sync(self, hours: float = 1, **options: Any) -> Sync:
        self.emulator.space.advance(int(hours * HOUR))
        result = sync(self.emulator, self.streams, self.state, num_workers=8, **options)
        self.destination.load(result)
        self.state = result.state
        return result

    def wrong(self) -> list[str]:
        return [
            line
            for stream in self.streams
            for line in differences(self.emulator, stream, self.destination.tables[stream])
        ]

    def until_looked_at(self, project: Any) -> int:
        """Hourly syncs until the project is asked; how many it took."""
        for number in range(1, 30):
            if project.id in asked(self.sync()):
                return number
        raise AssertionError(f"{project.key} is not looked at")


def asked(result: Sync) -> Counter[int]:
    """How many lists of issues each project was asked for."""
    projects = [request.value("projectId[]") for request in result.requests if request.path == "/api/v2/issues"]
    return Counter(int(project) for project in projects if project)


def mine(emulator: Emulator) -> list[Any]:
    return emulator.space.visible_projects(emulator.space.user(None))


def test_nothing_changed_in_many_projects_costs_65_requests() -> None:
    with Emulator(seed=1, projects=90, issues=180, virtual_dates=True) as emulator:
        reader = Reader(emulator, CORE)
        reader.sync()
        for _ in range(2):
            assert len(reader.sync().requests) <= 65
        changed = [project for project in mine(emulator) if len(project.issues) > 1][:5]
        for project in changed:
            emulator.space.update_issue(project.issues[0], summary="概要")
            emulator.space.add_comment(project.issues[1], "コメント")
        assert len(reader.sync().requests) <= 65 + len(changed) + 2 * len(changed)
        assert not reader.wrong()
        assert len(reader.sync().requests) <= 65, "what has just changed is looked at once more, in turn"


def test_a_quiet_project_is_asked_for_nothing(emulator: Emulator) -> None:
    reader = Reader(emulator, OBJECTS)
    reader.sync()
    for _ in range(2):
        result = reader.sync()
        looked_at = set(asked(result))
        assert len(looked_at) == 1
        (key,) = looked_at
        others = {str(project.id) for project in mine(emulator)} - {str(key)}
        for request in result.requests:
            of = {request.value("projectId[]"), request.value("projectIdOrKey"), *request.path.split("/projects/")[1:]}
            assert not {str(each).split("/")[0] for each in of} & others, request.path
    assert not reader.wrong()


def test_projects_are_looked_at_in_turn_and_each_within_a_day(emulator: Emulator) -> None:
    reader = Reader(emulator, ["issues"])
    reader.sync()
    turns = [set(asked(reader.sync())) for _ in range(8)]
    assert all(len(turn) == 1 for turn in turns)
    assert set.union(*turns[:4]) == set.union(*turns[4:]) == {project.id for project in mine(emulator)}
    assert set(asked(reader.sync(hours=24))) == {project.id for project in mine(emulator)}


def test_all_families_look_at_the_same_projects(emulator: Emulator) -> None:
    reader = Reader(emulator, OBJECTS)
    reader.sync()
    result = reader.sync()
    (project,) = asked(result)
    assert [request.value("projectIdOrKey") for request in result.requests if request.path == "/api/v2/wikis"] == [
        str(project)
    ]
    assert f"projects/{project}/git/repositories" in result.paths()


def test_what_leaves_an_activity_arrives_in_the_next_sync(emulator: Emulator) -> None:
    space = emulator.space
    reader = Reader(emulator, OBJECTS)
    reader.sync()
    for _ in range(2):
        for project in mine(emulator):
            reader.sync()
            space.update_issue(project.issues[0], summary="概要")
            space.add_comment(project.issues[1], "コメント")
            space.create_wiki(project, f"ページ {space.clock}", "本文")
            space.create_document(project, "文書", "本文")
            if project.repositories:
                space.create_pull_request(project.repositories[0], "変更")
            result = reader.sync()
            assert project.id in asked(result)
            assert not reader.wrong()


def test_what_leaves_no_activity_arrives_with_the_next_look(emulator: Emulator) -> None:
    space = emulator.space
    reader = Reader(emulator, ["issues"])
    reader.sync()
    (first,) = asked(reader.sync())
    project = space.project(first)
    untold(space, lambda: space.update_issue(project.issues[0], summary="誰も見ない"))
    assert reader.until_looked_at(project) == 4
    assert not reader.wrong()
    # The feed is not believed any more, until it names the project.
    for _ in range(3):
        assert project.id in asked(reader.sync())
    untold(space, lambda: space.update_issue(project.issues[1], summary="誰も見ない"))
    reader.sync()
    assert not reader.wrong()
    space.update_issue(project.issues[0], summary="皆が見る")
    reader.sync()
    assert project.id in asked(reader.sync()), "once more, in turn"
    assert project.id not in asked(reader.sync())


def test_a_list_that_lags_behind_the_feed_is_looked_at_once_more(emulator: Emulator) -> None:
    space = emulator.space
    reader = Reader(emulator, ["issues"])
    reader.sync()
    project = mine(emulator)[2]
    issue = project.issues[0]
    old = issue.summary, issue.updated
    space.update_issue(issue, summary="遅れて見える")
    new = issue.summary, issue.updated
    issue.summary, issue.updated = old
    space.version += 1
    reader.sync()
    issue.summary, issue.updated = new
    space.version += 1
    reader.sync()
    assert not reader.wrong()


def test_an_archived_project_is_asked_when_it_becomes_one_and_when_it_is_none_any_more(emulator: Emulator) -> None:
    space = emulator.space
    space.settings.archived_readable = False
    reader = Reader(emulator, ["issues", "issue_comments"])
    reader.sync()
    project = mine(emulator)[0]
    reader.until_looked_at(project)
    space.add_comment(project.issues[0], "書庫に入る前")
    space.archive_project(project, True)
    # More than the next sync counts again.
    for number in range(120):
        space.add_comment(mine(emulator)[1].issues[0], f"コメント {number}")
    for _ in range(3):
        assert project.id in asked(reader.sync())
    space.archive_project(project, False)
    reader.sync()
    assert not reader.wrong()


def test_a_readable_archived_project_rests(emulator: Emulator) -> None:
    space = emulator.space
    reader = Reader(emulator, ["issues"])
    reader.sync()
    project = mine(emulator)[0]
    space.archive_project(project, True)
    assert project.id in asked(reader.sync())
    assert reader.until_looked_at(project) > 1


def test_a_project_that_the_user_loses_while_the_feed_is_read_is_not_passed_over(emulator: Emulator) -> None:
    space = emulator.space
    reader = Reader(emulator, ["issue_comments"])
    reader.sync()
    project = mine(emulator)[3]
    space.add_comment(project.issues[0], "コメント")
    for number in range(120):
        space.add_comment(mine(emulator)[1].issues[0], f"コメント {number}")
    me = space.user(None)

    def lose(request: Any) -> None:
        if request.path == "/api/v2/space/activities" and me in project.all_members():
            untold(space, lambda: space.remove_member(project, me))

    end = emulator.before_request(lose)
    reader.sync()
    end()
    untold(space, lambda: space.add_member(project, me))
    reader.sync()
    assert not reader.wrong()


def test_a_project_that_comes_back_is_read(emulator: Emulator) -> None:
    space = emulator.space
    project, me = mine(emulator)[0], space.user(None)
    reader = Reader(emulator, OBJECTS)
    reader.sync()
    space.remove_member(project, me)
    reader.sync()
    untold(space, lambda: space.update_issue(project.issues[0], summary="いない間に"))
    space.add_member(project, me)
    reader.sync()
    assert not reader.wrong()


def test_an_object_that_was_refused_is_asked_for_again(emulator: Emulator) -> None:
    space = emulator.space
    reader = Reader(emulator, ["issue_comments"])
    reader.sync()
    project = mine(emulator)[0]
    issue = project.issues[0]
    space.add_comment(issue, "コメント")
    space.add_comment(project.issues[1], "コメント")
    emulator.faults.add(rf"/issues/{issue.id}/comments", status=403, times=None)
    reader.sync()
    for _ in range(3):
        assert project.id in asked(reader.sync())
    emulator.faults.clear()
    reader.sync()
    assert not reader.wrong()


def test_states_of_older_versions_are_looked_at_at_once(emulator: Emulator) -> None:
    reader = Reader(emulator, ["issues"])
    reader.sync()
    (state,) = reader.state
    for entry in state.stream.stream_state.states:
        del entry["cursor"]["looked"]
    everything = {project.id for project in mine(emulator)}
    assert set(asked(reader.sync())) == everything
    assert len(asked(reader.sync())) == 1


def test_a_trimmed_feed_reads_all_as_before(emulator: Emulator) -> None:
    space = emulator.space
    reader = Reader(emulator, ["issues"])
    reader.sync()
    space.update_issue(mine(emulator)[0].issues[0], summary="概要")
    space.trim_activities(keep=1)
    assert set(asked(reader.sync())) == {project.id for project in mine(emulator)}


def test_a_deleted_status_is_an_activity_although_no_issue_has_a_new_stamp(emulator: Emulator) -> None:
    space = emulator.space
    project = mine(emulator)[0]
    status = space.create_status(project, "確認待ち")
    for issue in project.issues[:3]:
        space.update_issue(issue, status=status)
    reader = Reader(emulator, ["issues"])
    reader.sync()
    while project.id in asked(reader.sync()):
        pass
    space.delete_status(project, status, project.statuses[0])
    assert project.id in asked(reader.sync())
    assert not reader.wrong()


def test_a_deleted_custom_field_costs_nothing_and_spoils_nothing(emulator: Emulator) -> None:
    """Neither the feed nor a stamp tells of it: with the next change of an issue its values are gone."""
    space = emulator.space
    project = next(project for project in mine(emulator) if project.custom_fields and len(project.issues) > 1)
    field = project.custom_fields[0]
    reader = Reader(emulator, ["issues", "issue_custom_field_values", "custom_fields"])
    reader.sync()
    space.delete_custom_field(project, field)
    reader.sync()
    assert field.id not in {row["id"] for row in reader.destination.tables["custom_fields"].values()}
    for issue in project.issues:
        space.update_issue(issue, summary="概要")
    result = reader.sync()
    assert project.id in asked(result)
    changed = [row for row in result.rows["issue_custom_field_values"] if row["projectId"] == project.id]
    assert field.id not in {row["customFieldId"] for row in changed}
    assert not differences(emulator, "issues", reader.destination.tables["issues"])


def test_a_feed_that_is_refused_for_a_while_passes_nothing_over(emulator: Emulator) -> None:
    """Without the feed nobody knows what is quiet: the sync fails, and the next one brings what it could not tell."""
    space = emulator.space
    reader = Reader(emulator, CORE)
    reader.sync()
    for project in mine(emulator):
        space.update_issue(project.issues[0], summary="概要")
        space.add_comment(project.issues[1], "コメント")
    emulator.faults.add("/space/activities", status=403, times=None)
    refused = reader.sync(fails=True)
    assert refused.errors
    assert any("space/activities" in error.trace.error.message for error in refused.errors if error.trace)
    emulator.faults.clear()
    reader.sync()
    assert not reader.wrong()


def test_a_stream_that_is_selected_later_reads_all(emulator: Emulator) -> None:
    reader = Reader(emulator, ["issues"])
    reader.sync()
    reader.streams = ["issues", "issue_comments"]
    assert set(asked(reader.sync())) == {project.id for project in mine(emulator)}
    assert len(asked(reader.sync())) == 1
    assert not reader.wrong()


def test_deletions_compare_the_wiki_pages_of_those_that_are_asked(emulator: Emulator) -> None:
    space = emulator.space
    reader = Reader(emulator, ["wikis", "deletions"])
    reader.sync()
    reader.sync()
    project = mine(emulator)[0]
    gone = next(iter(project.wikis.values()))
    space.delete_wiki(gone)
    result = reader.sync()
    assert Counter(result.paths())["wikis"] == 2
    assert [row["entityId"] for row in result.rows["deletions"]] == [str(gone.id)]
    assert not [row for _ in range(4) for row in reader.sync().rows["deletions"]]


def test_a_whole_day_of_hourly_syncs_brings_everything(emulator: Emulator) -> None:
    space = emulator.space
    reader = Reader(emulator, OBJECTS)
    reader.sync()
    unseen: set[str] = set()
    for hour in range(24):
        project = mine(emulator)[hour % 4]
        if hour % 3 == 0:
            space.create_issue(project, f"課題 {hour}")
        if hour % 5 == 0:
            issue = project.issues[0]
            untold(space, lambda issue=issue: space.update_issue(issue, summary="誰も見ない"))
            unseen |= {str(each.id) for each in (issue, *issue.comments)}
        reader.sync()
        assert not [line for line in reader.wrong() if not any(issue in line for issue in unseen)]
    reader.sync(hours=20)
    assert not reader.wrong()
