"""Projects that the key's user has not joined: an administrator sees that they are there, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from integration_tests.commands import command
from integration_tests.emulator import Emulator, Space
from integration_tests.harness import Destination, Sync, catalog_streams, differences, sync

# Servers on which an administrator gets the list of all projects, and those on which it does not.
LISTING = ["administrators", "refused to others"]
NOT_LISTING = ["ignored", "refused"]

ALL = [("all", "true")]
NO_FILES = [name for name in catalog_streams() if not name.endswith(("_files", "_contents"))]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Two projects and an archived one that the administrator has joined, one and an archived one that it has not."""
    with Emulator(seed=31, projects=2, archived_projects=1, foreign_projects=1, issues=40) as emulator:
        project = emulator.space.create_project("GONE", "Archived and not joined", by="outsider")
        emulator.space.archive_project(project)
        yield emulator


def joined(result: Sync) -> dict[str, bool]:
    """The keys of the projects, and whether they were joined."""
    return {row["projectKey"]: row["joined"] for row in result.rows["projects"]}


def deleted(result: Sync) -> dict[str, str]:
    """The keys of the projects that have gone, and why."""
    return {row["entityKey"]: row["reason"] for row in result.rows["deletions"] if row["entity"] == "project"}


def asked_for_all(result: Sync) -> int:
    return sum(request.path.endswith("/projects") and request.query == ALL for request in result.requests)


@pytest.mark.parametrize("server", LISTING)
def test_an_administrator_gets_them_and_their_contents_are_not_asked_for(emulator: Emulator, server: str) -> None:
    emulator.space.quirks.all_projects = server
    result = sync(emulator, NO_FILES)
    assert joined(result) == {"WEB": True, "APP": True, "OLD": True, "SECRET": False, "GONE": False}
    assert not differences(emulator, "projects", {(row["id"],): row for row in result.rows["projects"]})
    others = {row["id"] for row in result.rows["projects"] if not row["joined"]}
    for request in result.requests:
        named = {text for _, text in request.query} | set(request.path.split("/"))
        assert not named & {str(number) for number in others}, request.path
    for stream in set(NO_FILES) - {"space_disk_usage"}:
        assert not others & {row.get("projectId") for row in result.rows[stream]}, stream
    assert asked_for_all(result) == 1
    assert not [text for text in result.warnings() if "SECRET" in text or "GONE" in text]


@pytest.mark.parametrize("server", NOT_LISTING)
def test_a_server_that_does_not_list_them_gives_the_joined_ones(emulator: Emulator, server: str) -> None:
    emulator.space.quirks.all_projects = server
    result = sync(emulator, ["projects", "statuses"])
    assert joined(result) == {"WEB": True, "APP": True, "OLD": True}
    assert not differences(emulator, "projects", {(row["id"],): row for row in result.rows["projects"]})
    assert result.rows["statuses"] and not result.warnings()


@pytest.mark.parametrize("server", LISTING + NOT_LISTING)
@pytest.mark.parametrize("status", [403, 401])
def test_others_get_the_joined_ones_whatever_the_server_answers(emulator: Emulator, server: str, status: int) -> None:
    emulator.space.quirks.all_projects = server
    emulator.space.settings.role_error_status = status
    result = sync(emulator, ["projects", "statuses"], user="member")
    assert set(joined(result).values()) == {True}
    table = {(row["id"],): row for row in result.rows["projects"]}
    assert not differences(emulator, "projects", table, user="member")
    assert result.rows["statuses"] and not result.warnings()


def test_only_the_stream_of_projects_asks_for_them(emulator: Emulator) -> None:
    for streams in (["statuses", "issues", "activities", "deletions"], ["users", "notifications"]):
        first = sync(emulator, streams)
        assert not asked_for_all(first) + asked_for_all(sync(emulator, streams, first.state))
        with_projects = sync(emulator, [*streams, "projects"], first.state)
        assert len(with_projects.requests) == len(sync(emulator, streams, first.state).requests) + 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include_archived_projects": False}, {"WEB": True, "APP": True, "SECRET": False}),
        ({"projects": ["web", "secret"]}, {"WEB": True, "SECRET": False}),
        ({"projects": ["WEB"]}, {"WEB": True}),
        ({"projects": ["OLD", "GONE"], "include_archived_projects": True}, {"OLD": True, "GONE": False}),
        ({"projects": ["WEB", "GONE"], "include_archived_projects": False}, {"WEB": True}),
    ],
)
def test_the_options_select_among_them(emulator: Emulator, options: dict[str, Any], expected: dict[str, bool]) -> None:
    result = sync(emulator, ["projects", "statuses"], **options)
    assert joined(result) == expected
    view = {
        "projects": [name.upper() for name in options["projects"]] if "projects" in options else None,
        "archived": options.get("include_archived_projects", True),
    }
    assert not differences(emulator, "projects", {(row["id"],): row for row in result.rows["projects"]}, **view)
    assert {row["projectKey"] for row in result.rows["statuses"]} == {
        key for key, is_mine in expected.items() if is_mine
    }
    # What is named and was not joined cannot be read: that is said as before.
    unread = [name.upper() for name in options.get("projects", []) if not expected.get(name.upper())]
    missing = [text for text in result.warnings() if "The option Projects names what the key cannot see" in text]
    assert bool(missing) == bool(unread)
    assert all(name in missing[0].upper() for name in unread)


def test_to_name_nothing_but_them_is_refused_as_before(emulator: Emulator) -> None:
    checked = command("check", emulator.config(projects=["SECRET"]))
    assert checked.connection[0] == "FAILED"
    assert "The option Projects names what the key cannot see: SECRET." in checked.connection[1]
    error = command("read", emulator.config(projects=["SECRET"]), streams=["projects"]).errors[0]
    assert "The option Projects names what the key cannot see: SECRET." in error["message"]


def test_to_join_and_to_leave_changes_the_row(emulator: Emulator) -> None:
    space = emulator.space
    destination = Destination()
    streams = ["projects", "issues", "deletions"]
    first = sync(emulator, streams)
    destination.load(first)
    space.add_member("SECRET", None, by="outsider")
    space.remove_member("APP", None, by="member")
    second = sync(emulator, streams, first.state)
    destination.load(second)
    assert joined(second) == {"WEB": True, "APP": False, "OLD": True, "SECRET": True, "GONE": False}
    assert deleted(second) == {"APP": "access_lost"}
    assert asked_for_all(second) == 1, "both streams share the list"
    assert not differences(emulator, "projects", destination.tables["projects"])
    assert {row["projectId"] for row in second.rows["issues"]} >= {space.project("SECRET").id}
    third = sync(emulator, streams, second.state)
    assert not deleted(third)


@pytest.mark.parametrize("streams", [["deletions"], ["deletions", "projects"]])
def test_what_was_never_joined_or_left_before_is_no_deletion(emulator: Emulator, streams: list[str]) -> None:
    space = emulator.space
    destination = Destination()
    state = sync(emulator, streams).state
    space.remove_member("APP", None, by="member")
    left = sync(emulator, streams, state)
    assert deleted(left) == {"APP": "access_lost"}
    for key in ("SECRET", "APP"):
        space.delete_project(key)
    last = sync(emulator, streams, left.state)
    destination.load(last)
    assert not last.rows["deletions"]
    if "projects" in streams:
        assert set(joined(last)) == {"WEB", "OLD", "GONE"}
        assert not differences(emulator, "projects", destination.tables["projects"])


def leave_and_delete(space: Space) -> None:
    space.remove_member("APP", None, by="member")
    space.delete_project("OLD")


@pytest.mark.parametrize("streams", [["deletions"], ["deletions", "projects"]])
@pytest.mark.parametrize("server", NOT_LISTING)
def test_without_a_list_of_all_projects_only_what_is_sure_is_said(
    emulator: Emulator, server: str, streams: list[str]
) -> None:
    emulator.space.quirks.all_projects = server
    first = sync(emulator, streams)
    leave_and_delete(emulator.space)
    second = sync(emulator, streams, first.state)
    # The disk usage still has the project that was left.
    assert deleted(second) == {"APP": "deleted_or_access_lost", "OLD": "deleted"}
    assert not second.warnings() or not [text for text in second.warnings() if "diskUsage" in text]


def test_an_administrator_who_has_joined_all_projects_sees_which_was_deleted() -> None:
    with Emulator(seed=32, projects=2, archived_projects=1, foreign_projects=0, issues=20) as emulator:
        first = sync(emulator, ["deletions"])
        emulator.space.delete_project("OLD")
        second = sync(emulator, ["deletions"], first.state)
        assert deleted(second) == {"OLD": "deleted"}
        emulator.space.remove_member("APP", None, by="member")
        assert deleted(sync(emulator, ["deletions"], second.state)) == {"APP": "access_lost"}


def test_disk_usage_that_cannot_be_read_leaves_it_open() -> None:
    with Emulator(seed=32, projects=2, archived_projects=1, foreign_projects=0, issues=20) as emulator:
        first = sync(emulator, ["deletions"])
        emulator.space.delete_project("OLD")
        emulator.faults.add("/space/diskUsage$", status=403, body={"errors": [{"code": 5, "message": "No."}]})
        second = sync(emulator, ["deletions"], first.state)
        assert deleted(second) == {"OLD": "deleted_or_access_lost"}
        assert not [text for text in second.warnings() if "disk" in text.lower()]


def test_check_counts_what_can_be_read_and_asks_for_nothing_else(emulator: Emulator) -> None:
    output = command("check", emulator.config())
    assert [line for line in output.logs("INFO") if "it sees 3 projects, and all are synced" in line]
    assert not [request for request in emulator.requests if request.query == ALL]
