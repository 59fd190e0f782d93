"""What `sync_coverage` says of a sync: which rows, which numbers, and for whatever is left out the right reason."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from airbyte_cdk.models import Type

from integration_tests.commands import quickly
from integration_tests.emulator import Emulator
from integration_tests.emulator.generator import generate
from integration_tests.harness import Sync, configured, joined_projects, sync
from source_backlog import SourceBacklog
from source_backlog.streams import issues
from source_backlog.streams.coverage import Coverage

NAME = "sync_coverage"
COUNTED = ["issues", "wikis", "documents", "pull_requests"]
STREAMS = [*COUNTED, "issue_comments", "statuses", "webhooks", "users", "activities", "notifications", "watchings"]
STREAMS += ["user_stars"]
FEATURES = {"wikis": "useWiki", "documents": "useDocument", "pull_requests": "useGit"}

Row = dict[str, Any]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return quickly(monkeypatch)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(space=generate(seed=2, projects=2, issues=24, comments_per_issue=1)) as emulator:
        yield emulator


def covered(emulator: Emulator, streams: list[str], *arguments: Any, **options: Any) -> tuple[Sync, dict[Any, Row]]:
    """A sync with `sync_coverage`, and its rows by stream and project key (None: the space)."""
    result = sync(emulator, [*streams, NAME], *arguments, num_workers=2, **options)
    rows = {(row["stream"], row.get("projectKey")): row for row in result.rows[NAME]}
    assert len(rows) == len({(row["stream"], row["projectId"]) for row in result.rows[NAME]}) == len(result.rows[NAME])
    assert {row["stream"] for row in rows.values()} == set(streams)
    for row in rows.values():
        assert row["complete"] == (row.get("reason") is None), row
    return result, rows


def reasons(rows: dict[Any, Row]) -> dict[Any, str]:
    """The places that are not complete, with the reason."""
    return {place: row["reason"] for place, row in rows.items() if not row["complete"]}


def passed_over(result: Sync) -> list[str]:
    """The parts of the state that name what is to be asked for again."""
    saved = json.dumps([vars(message.stream.stream_state) for message in result.state])
    return re.findall(r'"(?:skipped|missed)": \[[^]]', saved)


def issue_in(emulator: Emulator, key: str) -> Any:
    """An issue that has comments."""
    return next(one for one in emulator.space.issues.values() if one.project.key == key and one.comments)


def test_nothing_is_wrong(emulator: Emulator) -> None:
    projects = joined_projects(emulator)
    off = {
        (stream, project["projectKey"]): "feature_off"
        for project in projects
        for stream, flag in FEATURES.items()
        if not project[flag]
    }
    assert off
    first, rows = covered(emulator, STREAMS)
    assert reasons(rows) == off
    for (stream, key), row in rows.items():
        truth = [each for each in emulator.truth(stream) if key is None or each["projectId"] == row["projectId"]]
        assert row["rows"] == len(truth), stream
        has_number = stream in COUNTED or (key is None and stream not in ("users", "activities"))
        assert row.get("total") == (len(truth) if has_number and (stream, key) not in off else None), stream
        assert row["skipped"] == []
        assert (row["projectId"] == 0) == (key is None)
        if stream in COUNTED and truth:
            assert row["seenUntil"] == max(each["updated"] for each in truth)
    again, later = covered(emulator, STREAMS, first.state)
    assert reasons(later) == off
    assert {place: row.get("total") for place, row in later.items()} == {
        place: row.get("total") for place, row in rows.items()
    }
    for place, row in later.items():
        given = [each for each in again.rows[place[0]] if place[1] is None or each["projectId"] == row["projectId"]]
        assert row["rows"] == len(given)
        assert row["readAt"] >= rows[place]["readAt"]


def test_it_comes_last_and_as_a_stream_that_is_read_whole(emulator: Emulator) -> None:
    catalog, config = configured([NAME, "issues", "statuses"]), emulator.config()
    source = SourceBacklog(catalog=catalog, config=config, state=[])
    output = list(source.read(logging.getLogger("airbyte"), config, catalog, []))
    told = [message for message in output if message.type in (Type.RECORD, Type.STATE, Type.TRACE)]
    names = [
        message.record.stream
        if message.record
        else (message.state.stream if message.state else message.trace.stream_status).stream_descriptor.name
        for message in told
    ]
    own = [message for message, name in zip(told, names, strict=True) if name == NAME]
    assert own == told[-len(own) :]
    kinds = [message.trace.stream_status.status.value if message.trace else message.type.value for message in own]
    assert kinds == ["STARTED", "RUNNING", *["RECORD"] * (len(own) - 4), "STATE", "COMPLETE"]
    assert vars(own[-2].state.stream.stream_state) == {"__ab_no_cursor_state_message": True}


def test_numbers_are_asked_for_only_if_it_is_selected_and_only_of_what_is(emulator: Emulator) -> None:
    without = sync(emulator, STREAMS, num_workers=2)
    first, _ = covered(emulator, STREAMS)
    later, _ = covered(emulator, STREAMS, first.state)
    quiet = sync(emulator, STREAMS, without.state, num_workers=2)
    numbers = [path for path in later.paths() if path.endswith("/count")]
    projects = joined_projects(emulator)
    of_issues = numbers.count("issues/count"), numbers.count("wikis/count"), numbers.count("documents/count")
    using = [sum(project[flag] for project in projects) for flag in ("useWiki", "useDocument")]
    assert of_issues == (len(projects), *using)
    repositories = len(emulator.truth("git_repositories"))
    users = len(emulator.truth("users"))
    assert len(numbers) == sum(of_issues) + repositories + users + 2
    assert sorted(path for path in later.paths() if path not in numbers) == sorted(quiet.paths())
    only, rows = covered(emulator, ["statuses", "issue_comments"])
    assert {path for path in only.paths() if path.endswith("/count")} <= {"issues/count"}
    assert {row.get("total") for row in rows.values()} == {None}


def test_an_object_that_is_refused_or_fails_is_named(emulator: Emulator) -> None:
    refused, failing = issue_in(emulator, "WEB"), issue_in(emulator, "APP")
    emulator.faults.add(f"issues/{refused.id}/comments$", status=404, times=None)
    emulator.faults.add(f"issues/{failing.id}/comments$", status=500, times=None)
    first, rows = covered(emulator, ["issues", "issue_comments"], fails=True)
    assert reasons(rows) == {("issue_comments", "WEB"): "refused", ("issue_comments", "APP"): "failed"}
    assert rows["issue_comments", "WEB"]["skipped"] == [str(refused.id)]
    assert rows["issue_comments", "APP"]["skipped"] == [str(failing.id)]
    emulator.faults.clear()
    _, rows = covered(emulator, ["issues", "issue_comments"], first.state)
    assert reasons(rows) == {}
    assert not any(row["skipped"] for row in rows.values())


@pytest.mark.parametrize(
    ("stream", "path", "query", "status", "reason"),
    [
        ("statuses", "projects/{id}/statuses$", None, 500, "failed"),
        ("issues", "api/v2/issues$", "{id}", 500, "failed"),
        ("webhooks", "projects/{id}/webhooks$", None, 403, "role"),
        ("webhooks", "projects/{id}/webhooks$", None, 402, "plan"),
        ("documents", "api/v2/documents$", "{id}", 404, "feature_off"),
        ("documents", "api/v2/documents$", "{id}", 402, "plan"),
        ("issues", "api/v2/issues$", "{id}", 404, "refused"),
        ("pull_requests", "projects/{id}/git/repositories$", None, 403, "role"),
    ],
)
def test_a_list_that_is_not_given_has_its_reason(
    emulator: Emulator, stream: str, path: str, query: str | None, status: int, reason: str
) -> None:
    number = str(next(project["id"] for project in joined_projects(emulator) if project["projectKey"] == "WEB"))
    query = query.format(id=number) if query else None
    emulator.faults.add(path.format(id=number), query=query, status=status, times=None)
    _, rows = covered(emulator, ["issue_types", stream], fails=status == 500)
    expected = {("pull_requests", "OLD"): "feature_off"} if stream == "pull_requests" else {}
    assert reasons(rows) == {(stream, "WEB"): reason} | expected
    assert rows[stream, "WEB"]["rows"] == 0


def test_what_a_role_may_not_read(emulator: Emulator) -> None:
    streams = ["users", "user_stars", "teams", "webhooks", "pull_requests", "issues", "space_disk_usage"]
    _, rows = covered(emulator, streams, config=emulator.config(user="viewer"))
    keys = {key for _, key in rows} - {None}
    expected = {(stream, None): "role" for stream in ("users", "user_stars", "teams", "space_disk_usage")}
    expected |= {("webhooks", key): "role" for key in keys}
    off = {project.key for project in emulator.space.projects.values() if not project.use_git}
    expected |= {("pull_requests", key): "feature_off" if key in off else "role" for key in keys}
    assert reasons(rows) == expected
    # The people of the visible projects came instead.
    assert rows["users", None]["rows"] > 0


def test_a_project_that_is_hidden(emulator: Emulator) -> None:
    space = emulator.space
    first, rows = covered(emulator, ["issues", "statuses", "activities"])
    assert reasons(rows) == {}
    hidden = rows["issues", "APP"]["projectId"]
    space.remove_member("APP", space.user(None))
    again, rows = covered(emulator, ["issues", "statuses", "activities"], first.state)
    gone = {place: row for place, row in rows.items() if row["projectId"] == hidden}
    assert set(gone) == {("issues", None), ("statuses", None)}
    assert {row["reason"] for row in gone.values()} == {"refused"}
    assert set(reasons(rows)) == set(gone)
    # How far it had come stays.
    assert rows["issues", None]["seenUntil"]
    space.add_member("APP", space.user(None))
    _, rows = covered(emulator, ["issues", "statuses", "activities"], again.state)
    assert reasons(rows) == {}


def test_a_project_that_is_hidden_while_it_is_read(emulator: Emulator) -> None:
    space = emulator.space
    project = space.project("APP")

    def hide(request: Any) -> None:
        if request.path.endswith("/api/v2/issues") and str(project.id) in str(request.query):
            with space.lock:
                if space.user(None) in project.all_members():
                    space.remove_member(project, space.user(None))

    emulator.before_request(hide)
    _, rows = covered(emulator, ["issues", "projects"])
    assert reasons(rows) == {("issues", "APP"): "refused"}


def test_a_page_that_is_dropped(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list ends early without a word, and nothing that reads it sees it: only the number tells."""
    whole = issues.by_offset
    monkeypatch.setattr(issues, "by_offset", lambda *given, **named: list(whole(*given, **named))[3:])
    monkeypatch.setattr(issues.ChangedIssues, "_left_out", lambda *_: iter(()))
    first, rows = covered(emulator, ["issues", "issue_types"])
    short = {place: row for place, row in rows.items() if not row["complete"]}
    assert {stream for stream, _ in short} == {"issues"}
    for row in short.values():
        assert row["reason"] == "refused"
        assert row["rows"] == max(0, row["total"] - 3)
    assert reasons(rows)
    # Later it is for the tables to say: an incremental sync gives what has changed.
    _, rows = covered(emulator, ["issues", "issue_types"], first.state)
    assert reasons(rows) == {}
    assert rows["issues", "WEB"]["total"] == short["issues", "WEB"]["total"]


def test_what_is_deleted_between_the_number_and_the_list_is_no_loss(emulator: Emulator) -> None:
    space, deleted = emulator.space, []

    def delete(request: Any) -> None:
        if request.path.endswith("/api/v2/issues") and not deleted:
            with space.lock:
                deleted.append(next(one for one in space.issues.values() if one.project.key == "WEB"))
                space.delete_issue(deleted[0])

    emulator.before_request(delete)
    _, rows = covered(emulator, ["issues"])
    assert deleted
    assert reasons(rows) == {}
    assert rows["issues", "WEB"]["rows"] == rows["issues", "WEB"]["total"] - 1


def test_an_issue_that_was_commented_on_and_then_deleted_is_no_loss(emulator: Emulator) -> None:
    first, _ = covered(emulator, ["issue_comments"])
    emulator.space.advance(60)
    issue = issue_in(emulator, "WEB")
    emulator.space.add_comment(issue, "最後の言葉")
    emulator.space.delete_issue(issue)
    result, rows = covered(emulator, ["issue_comments"], first.state)
    assert reasons(rows) == {}
    assert not result.warnings()
    assert f"issues/{issue.id}/comments" not in result.paths()


@pytest.mark.parametrize("number", [1, 6])
def test_issues_that_were_commented_on_and_then_moved_out_of_sight_are_no_loss(emulator: Emulator, number: int) -> None:
    first, _ = covered(emulator, ["issue_comments"])
    space = emulator.space
    space.advance(60)
    hidden = space.create_project("HIDDEN", "見えない")
    space.remove_member(hidden, space.user(None))
    moved = [one for one in space.issues.values() if one.project.key == "WEB"][:number]
    assert len(moved) == number
    for issue in moved:
        space.add_comment(issue, "移動します")
        space.move_issue(issue, hidden)
    result, rows = covered(emulator, ["issue_comments"], first.state)
    assert {f"issues/{issue.id}/comments" for issue in moved} <= set(result.paths())
    assert reasons(rows) == {}
    assert not result.warnings()
    assert not passed_over(result)


# What is asked for by itself, and how it may be gone by then.
READ_ONE_BY_ONE = {
    "issue_comments": (r"/issues/(\d+)/comments$", "delete_issue"),
    "issue_participants": (r"/issues/(\d+)/participants$", "delete_issue"),
    "issue_attachment_files": (r"/issues/(\d+)/attachments/\d+$", "delete_issue"),
    "shared_file_contents": (r"/projects/\d+/files/(\d+)$", "delete_shared_file"),
    "wikis": (r"/wikis/(\d+)$", "delete_wiki"),
    "wiki_history": (r"/wikis/(\d+)/history$", "delete_wiki"),
    "document_comments": (r"/documents/(\w+)/comments$", "delete_document"),
    "pull_requests": (r"/repositories/(\d+)/pullRequests$", "delete_repository"),
    "pull_request_comments": (r"/repositories/(\d+)/pullRequests/\d+/comments$", "delete_repository"),
}


@pytest.mark.parametrize("stream", READ_ONE_BY_ONE)
def test_what_is_deleted_between_its_list_and_its_own_request_is_no_loss(emulator: Emulator, stream: str) -> None:
    path, delete = READ_ONE_BY_ONE[stream]
    deleted: list[str] = []

    def hook(request: Any) -> None:
        if not deleted and (found := re.search(path, request.path)):
            deleted.append(found[1])
            with emulator.space.lock:
                getattr(emulator.space, delete)(int(found[1]) if found[1].isdecimal() else found[1])

    emulator.before_request(hook)
    result, rows = covered(emulator, [stream])
    assert deleted
    assert 404 in [request.status for request in result.requests if re.search(path, request.path)]
    assert {reason for reason in reasons(rows).values() if reason != "feature_off"} == set()
    assert not result.warnings()
    assert not passed_over(result)


def test_projects_that_the_options_leave_out(emulator: Emulator) -> None:
    _, rows = covered(emulator, ["issues", "statuses", "activities"], projects=["WEB"])
    assert {key for _, key in rows} == {"WEB", "APP", "OLD", None}
    assert reasons(rows) == {
        (stream, key): "not_selected_project" for stream in ("issues", "statuses") for key in ("APP", "OLD")
    }


def test_a_sync_that_is_killed_says_nothing_and_the_next_one_everything(emulator: Emulator) -> None:
    catalog, config = configured(["issues", "issue_comments", NAME]), emulator.config()
    source = SourceBacklog(catalog=catalog, config=config, state=[])
    state = []
    messages = source.read(logging.getLogger("airbyte"), config, catalog, [])
    for message in messages:
        assert message.record is None or message.record.stream != NAME
        if message.state is not None:
            state = [message.state]
        elif message.record is not None and message.record.stream == "issue_comments":
            break
    messages.close()
    result, rows = covered(emulator, ["issues", "issue_comments"], state)
    assert reasons(rows) == {}
    assert sum(row["rows"] for (stream, _), row in rows.items() if stream == "issue_comments") == len(
        emulator.truth("issue_comments")
    )
    assert result.statuses[NAME] == ["STARTED", "RUNNING", "COMPLETE"]


def test_a_key_that_is_not_accepted_fails_everything(emulator: Emulator) -> None:
    config = emulator.config()
    config["credentials"]["api_key"] = "wrong"
    result, rows = covered(emulator, ["issues", "statuses", "users"], fails=True, config=config)
    assert reasons(rows) == {(stream, None): "failed" for stream in ("issues", "statuses", "users")}
    assert {row["projectId"] for row in rows.values()} == {0}
    assert len(result.errors) > 1
    assert not [path for path in result.paths() if path.endswith("/count")]


@pytest.mark.parametrize("status", [403, 500, 400])
def test_a_number_that_is_not_given_keeps_nothing_from_being_read(
    emulator: Emulator, pauses: list[float], status: int
) -> None:
    fault = emulator.faults.add("wikis/count$", status=status, times=None)
    result, rows = covered(emulator, ["wikis", "documents"])
    assert fault.struck
    assert {row.get("total") for (stream, _), row in rows.items() if stream == "wikis"} == {None}
    assert rows["wikis", "WEB"]["complete"]
    assert rows["documents", "WEB"]["total"] == rows["documents", "WEB"]["rows"] > 0
    # One that fails is not asked for again.
    assert result.paths().count("wikis/count") == {403: 2, 500: 7, 400: 1}[status]
    assert not [line for line in result.warnings() if "count" in line]


def test_with_a_start_date_nothing_can_be_compared(emulator: Emulator) -> None:
    result, rows = covered(emulator, ["issues", "notifications"], start_date="2026-06-01T00:00:00Z")
    assert reasons(rows) == {}
    assert rows["issues", "WEB"]["rows"] < len([row for row in emulator.truth("issues") if row["projectId"]])
    assert {row.get("total") for (stream, _), row in rows.items() if stream == "issues"} == {None}
    assert rows["notifications", None]["total"] == rows["notifications", None]["rows"]
    assert "issues/count" not in result.paths() or rows["issues", "WEB"].get("total") is None


def test_tombstones_are_no_rows(emulator: Emulator) -> None:
    first, _ = covered(emulator, ["issues"], deleted_records="tombstones")
    emulator.space.advance(3 * 86_400)
    emulator.space.delete_issue(issue_in(emulator, "WEB"))
    result, rows = covered(emulator, ["issues"], first.state, deleted_records="tombstones")
    assert [row for row in result.rows["issues"] if "_ab_cdc_deleted_at" in row]
    live = [row for row in result.rows["issues"] if "_ab_cdc_deleted_at" not in row]
    assert sum(row["rows"] for row in rows.values()) == len(live)
    assert reasons(rows) == {}


def test_a_project_id_of_any_shape_counts_nowhere() -> None:
    coverage = Coverage()
    for odd in ([1], {"id": 1}, "1", None):
        coverage.given("issues", {"id": 1, "projectId": odd})
    coverage.given("issues", {"id": 2, "projectId": 7})
    assert coverage._given_at(("issues", 7)) == 1
    # Of a stream of the space every row counts.
    assert coverage._given_at(("issues", 0)) == 5
