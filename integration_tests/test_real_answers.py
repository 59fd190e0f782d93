"""What real servers answer and version 0.1.1 was not built for, fact by fact of the emulator's README.

Each test fails on 0.1.1. Broken texts, empty answers, odd dates and machines are tested in test_hostile_input.py,
test_faults.py and test_check.py; comments that move `updated`, ties and ids in the feed also run through the random
histories (test_histories.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from integration_tests.commands import quickly
from integration_tests.emulator import Emulator, Space
from integration_tests.emulator.entities import PullRequest
from integration_tests.emulator.generator import generate
from integration_tests.harness import Destination, differences, sync
from integration_tests.histories import Reader
from source_backlog.api.client import HOPELESS_AFTER
from source_backlog.streams import objects

Row = dict[str, Any]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return quickly(monkeypatch)


def space(**options: Any) -> Space:
    sizes = {"projects": 1, "archived_projects": 0, "foreign_projects": 0, "issues": 40, "wikis": 12, "documents": 12}
    return generate(seed=5, **{**sizes, **options})


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(space=space()) as emulator:
        yield emulator


class Copy:
    """A destination that is brought up to date by sync after sync."""

    def __init__(self, emulator: Emulator, streams: list[str]) -> None:
        self.emulator, self.streams = emulator, streams
        self.destination = Destination()
        self.state: Any = None

    def sync(self, **options: Any) -> Any:
        self.emulator.clear_requests()
        result = sync(self.emulator, self.streams, self.state, **options)
        self.destination.load(result)
        self.state = result.state
        return result

    def differences(self, stream: str) -> list[str]:
        return differences(self.emulator, stream, self.destination.tables[stream])


# Fact 1: a comment that carries a file is an activity of type 3.


def test_a_file_that_came_with_a_comment_arrives(emulator: Emulator) -> None:
    copy = Copy(emulator, ["issues", "issue_attachments"])
    copy.sync()
    emulator.space.advance(3 * 86_400)
    issue = min(emulator.space.issues.values(), key=lambda issue: issue.updated)
    updated = issue.updated
    emulator.space.add_comment(issue, "図を付けました", attachments=[("構成図.png", 1200)])
    assert issue.updated == updated
    copy.sync()
    assert "構成図.png" in {row["name"] for row in copy.destination.tables["issue_attachments"].values()}
    assert not copy.differences("issues") + copy.differences("issue_attachments")


# Fact 5: what was deleted from the comments of a document is not named.


def test_a_deleted_comment_of_a_document_is_reported_by_a_warning_that_names_the_remedy(emulator: Emulator) -> None:
    copy = Copy(emulator, ["deletions", "document_comments"])
    copy.sync()
    document = next(one for one in emulator.space.documents.values() if one.comments)
    emulator.space.delete_document_comment(document.comments[0])
    result = copy.sync()
    (warning,) = [text for text in result.warnings() if "does not say which" in text]
    assert "document_comments" in warning, "the remedy"


# Fact 8: shared files come in pages of 100, whatever is asked for.


@pytest.mark.parametrize("reading", ["cap", "refuse", "allow"])
def test_a_folder_of_many_files_is_read_whole(reading: str) -> None:
    with Emulator(space=space(issues=1), quirks={"shared_files_count": reading}) as emulator:
        project = next(each for each in emulator.space.projects.values() if each.use_file_sharing)
        for number in range(230):
            emulator.space.add_shared_file(project, f"/資料/議事録 {number}.txt")
        copy = Copy(emulator, ["shared_files"])
        assert not copy.sync().warnings()
        assert not copy.differences("shared_files")


# Fact 10: one object answers 500 at every try, for weeks.

BROKEN = {
    "issue_comments": lambda rows: f"/issues/{rows[-1]['issueId']}/comments$",
    "issue_participants": lambda rows: f"/issues/{rows[-1]['issueId']}/participants$",
    "wikis": lambda rows: f"/wikis/{rows[-1]['id']}$",
    "wiki_history": lambda rows: f"/wikis/{rows[-1]['pageId']}/history$",
    "document_comments": lambda rows: f"/documents/{rows[-1]['documentId']}/comments$",
    "pull_request_comments": lambda rows: (
        f"/repositories/{rows[-1]['repositoryId']}/pullRequests/{rows[-1]['pullRequestNumber']}/comments$"
    ),
}


@pytest.mark.parametrize("kind", ["status", "html"])
@pytest.mark.parametrize("stream", BROKEN)
def test_an_object_that_always_fails_costs_only_itself(emulator: Emulator, stream: str, kind: str) -> None:
    copy = Copy(emulator, [stream, "statuses"])
    path = BROKEN[stream](emulator.truth(stream))
    emulator.faults.add(path, kind=kind, status=500 if kind == "status" else 200, times=None)
    first = copy.sync(fails=True)
    assert first.statuses[stream][-1] == "INCOMPLETE"
    assert first.statuses["statuses"][-1] == "COMPLETE"
    (message,) = {error.trace.error.message for error in first.errors if error.trace.error.stream_descriptor}
    assert "whose request failed at every try" in message
    assert path.rstrip("$").lstrip("/") in message, "it names the object"
    lacking = copy.differences(stream)
    assert lacking
    # It is asked for again as long as it fails, and the others are not, if the stream is incremental.
    second = copy.sync(fails=True)
    pattern = re.compile(path.replace(str(emulator.truth(stream)[-1].get("id")), r"\d+"))
    if stream != "issue_participants":
        assert len({each for each in second.paths() if pattern.search("/" + each)}) <= 2
    emulator.faults.clear()
    copy.sync()
    assert not copy.differences(stream)


def test_an_endpoint_that_is_down_is_not_asked_for_every_object(emulator: Emulator) -> None:
    emulator.faults.add("/comments$", status=500, times=None)
    result = sync(emulator, ["issue_comments"], fails=True)
    assert not result.rows["issue_comments"]
    asked = {path for path in result.paths() if path.endswith("/comments")}
    assert len(asked) <= HOPELESS_AFTER + 10 < len(emulator.space.issues)
    emulator.faults.clear()
    copy = Copy(emulator, ["issue_comments"])
    copy.state = result.state
    copy.sync()
    assert not copy.differences("issue_comments")


def test_stars_of_a_user_whose_list_always_fails_cost_only_themselves(emulator: Emulator) -> None:
    copy = Copy(emulator, ["user_stars"])
    broken = emulator.truth("user_stars")[0]["userId"]
    emulator.faults.add(f"/users/{broken}/stars$", status=500, times=None)
    copy.sync(fails=True)
    there = {row["userId"] for row in copy.destination.tables["user_stars"].values()}
    assert there == {row["userId"] for row in emulator.truth("user_stars")} - {broken}
    emulator.faults.clear()
    copy.sync()
    assert not copy.differences("user_stars")


# Fact 11: a list may answer 400 where a plan does not have it.


def test_deletions_do_without_a_list_that_is_refused() -> None:
    with Emulator(space=space()) as emulator:
        copy = Copy(emulator, ["deletions", "teams", "users"])
        copy.sync()
        emulator.space.quirks.set(teams_refused=True)
        emulator.space.delete_issue(next(iter(emulator.space.issues.values())))
        result = copy.sync(fails=True)
        assert [row["entity"] for row in result.rows["deletions"]] == ["issue"], "no team is taken for deleted"
        assert result.statuses["deletions"][-1] == "COMPLETE"
        emulator.space.quirks.set(teams_refused=False)
        assert not copy.sync().rows["deletions"]


# Fact 12: rows with equal stamps come in another order with each request.


@pytest.mark.parametrize("streams", [["issues"], ["issues", "issue_comments", "issue_attachments"]], ids=len)
def test_issues_of_one_second_are_all_there_after_the_first_sync(streams: list[str]) -> None:
    with Emulator(space=space(issues=2), quirks={"ties": "random"}) as emulator:
        project = next(iter(emulator.space.projects.values()))
        for issue in emulator.space.bulk_create_issues(project, [f"一括登録 {number}" for number in range(450)]):
            emulator.space.add_comment(issue, "確認済み")
        copy = Copy(emulator, streams)
        result = copy.sync()
        for stream in streams:
            assert not copy.differences(stream)
        assert not result.warnings()


def test_a_kill_in_the_middle_passes_over_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that come late must be known before the place is saved behind them."""
    monkeypatch.setattr(objects, "CHECKPOINT_SECONDS", 0.0)
    for part in (0.7, 0.78):
        with Emulator(space=space(issues=2), quirks={"ties": "random"}) as emulator:
            project = next(iter(emulator.space.projects.values()))
            for issue in emulator.space.bulk_create_issues(project, [f"一括登録 {number}" for number in range(450)]):
                emulator.space.add_comment(issue, "確認済み")
            for number in range(80):
                emulator.space.advance(6_000)
                emulator.space.add_comment(emulator.space.create_issue(project, f"その後 {number}"), "確認済み")
            emulator.space.advance(2 * 86_400)
            reader = Reader(emulator, ["issue_comments"])
            reader.sync(part)
            reader.sync()
            there = reader.tables["issue_comments"]
            assert not [row for row in emulator.truth("issue_comments") if (row["id"],) not in there]


@pytest.mark.parametrize("stream", ["documents", "document_attachments", "document_comments"])
def test_documents_of_one_second_are_all_there_after_the_first_sync(stream: str) -> None:
    with Emulator(space=space(issues=2), quirks={"ties": "random"}) as emulator:
        project = next(each for each in emulator.space.projects.values() if each.use_document)
        for page in emulator.space.bulk_create_documents(project, [f"一括文書 {number}" for number in range(450)]):
            emulator.space.attach_file_to_document(page, "図.png")
            emulator.space.comment_document(page, "確認済み")
        emulator.space.advance(86_400)
        copy = Copy(emulator, [stream])
        copy.sync()
        assert not copy.differences(stream)


def test_watchings_of_one_second_are_all_there() -> None:
    with Emulator(space=space(issues=2), quirks={"ties": "random"}) as emulator:
        project = next(iter(emulator.space.projects.values()))
        for issue in emulator.space.bulk_create_issues(project, [f"一括登録 {number}" for number in range(450)]):
            emulator.space.watch(issue)
        copy = Copy(emulator, ["watchings"])
        assert not copy.sync().warnings()
        assert not copy.differences("watchings")


def test_what_a_list_counts_and_never_shows_is_said(emulator: Emulator) -> None:
    emulator.faults.add("/issues/count$", status=200, body={"count": 1000}, times=None)
    result = sync(emulator, ["issues"])
    number = len(result.rows["issues"])
    (warning,) = result.warnings()
    assert "1000 issues" in warning
    assert f"shows {number}" in warning


def test_a_server_without_a_count_is_read_as_before(emulator: Emulator) -> None:
    for status in (400, 403, 500):
        emulator.faults.clear()
        emulator.faults.add("/issues/count$", status=status, times=None)
        copy = Copy(emulator, ["issues"])
        assert not copy.sync().warnings()
        assert not copy.differences("issues")


# Fact 13: lists that leave `attachments` out.


@pytest.mark.parametrize("details", [True, False])
def test_what_a_list_leaves_out_is_asked_for(details: bool) -> None:
    quirks = {"pull_request_list_details": details, "document_list_details": details}
    streams = ["pull_requests", "pull_request_attachments", "pull_request_stars", "documents", "document_attachments"]
    with Emulator(space=space(), quirks=quirks) as emulator:
        copy = Copy(emulator, streams)
        first = copy.sync()
        for stream in streams:
            assert not copy.differences(stream)
        singles = [path for path in first.paths() if path.split("/")[-2:-1] in (["pullRequests"], ["documents"])]
        singles = [path for path in singles if not path.endswith("tree")]
        assert len(singles) == (0 if details else len(set(singles)))
        emulator.space.advance(3 * 86_400)
        second = copy.sync()
        assert len(second.paths()) <= len(first.paths()) + 1, "the feed since the last sync"


def test_stars_that_a_list_of_pull_requests_leaves_out_are_asked_for(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has seen a list with attachments and without stars; absent is not empty."""

    def with_attachments(request: PullRequest) -> dict[str, Any]:
        return {name: value for name, value in request.shape().items() if name != "stars"}

    monkeypatch.setattr(PullRequest, "list_shape", with_attachments)
    copy = Copy(emulator, ["pull_request_stars", "pull_request_attachments"])
    assert not copy.sync().warnings()
    assert copy.destination.tables["pull_request_stars"]
    for stream in copy.streams:
        assert not copy.differences(stream)


# Fact 17: a tree that does not show what is in the trash.


@pytest.mark.parametrize("tree", ["full", "missing", "null", "empty"])
def test_the_old_files_of_a_document_that_is_taken_out_of_the_trash_arrive(tree: str) -> None:
    with Emulator(space=space(issues=2, documents=2), quirks={"trash_tree": tree}) as emulator:
        project = next(each for each in emulator.space.projects.values() if each.use_document)
        page = emulator.space.create_document(project, "戻す文書")
        emulator.space.attach_file_to_document(page, "古い図.png")
        emulator.space.trash_document(page)
        emulator.space.advance(3 * 86_400)
        emulator.space.attach_file_to_document(emulator.space.create_document(project, "ほかの文書"), "新しい図.png")
        stream = "document_attachment_files"
        first = sync(emulator, [stream])
        emulator.space.advance(86_400)
        emulator.space.restore_document(page)
        second = sync(emulator, [stream], first.state)
        assert "古い図.png" in [row["name"] for row in second.rows[stream]]


# Fact 16: only `otherValue` is filled.


def test_what_was_typed_in_under_other_is_in_the_column(emulator: Emulator) -> None:
    project = next(iter(emulator.space.projects.values()))
    field = emulator.space.create_custom_field(project, "原因", 8, items=["設計", "実装"])
    issue = emulator.space.create_issue(project, "その他の原因", other_values={field.id: "天候"})
    result = sync(emulator, ["issues"], issue_custom_fields="columns")
    (row,) = [row for row in result.rows["issues"] if row["id"] == issue.id]
    assert row[f"cf_{field.id}"] == "天候"
