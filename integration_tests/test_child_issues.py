"""`issues.childIssueSummary`: it comes with the list, costs no request, and is as old as the parent's row."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from integration_tests.emulator import Emulator
from integration_tests.harness import Destination, Sync, differences, sync

STREAMS = ["issues", "issue_comments", "issue_attachments", "related_issues"]
SUMMARY = ("expand[]", "childIssueSummary")


def listed(result: Sync) -> list[Any]:
    """The requests for pages of issues that ask for more than one row."""
    pages = [request for request in result.requests if request.path.endswith("/issues")]
    return [request for request in pages if ("count", "1") not in request.query]


def test_it_is_that_of_the_space_and_shared_by_all_streams() -> None:
    with Emulator(seed=12, projects=3, issues=330) as emulator:
        parent = emulator.space.project("WEB").issues[0]
        for _ in range(4):
            child = emulator.space.create_issue("WEB", "子課題", parent=parent)
        emulator.space.update_issue(child, status=4)
        result = sync(emulator, STREAMS)
        assert not differences(emulator, "issues", {(row["id"],): row for row in result.rows["issues"]})
        (row,) = (row for row in result.rows["issues"] if row["id"] == parent.id)
        assert row["childIssueSummary"] == {"total": 4, "closed": 1}
        assert all(SUMMARY in request.query for request in listed(result))
        counts = [request for request in result.requests if request.path.endswith("/issues/count")]
        assert counts and not any(SUMMARY in request.query for request in counts)
        pages = Counter((request.path, tuple(request.query)) for request in listed(result))
        assert max(pages.values()) == 1, "several streams, one answer"


@pytest.mark.parametrize("ties", ["stable", "random"])
def test_a_server_that_does_not_know_it_costs_one_request_and_one_warning(ties: str) -> None:
    quirks = {"child_issue_summary": "refused", "ties": ties}
    with Emulator(seed=12, projects=3, issues=330, quirks=quirks) as emulator:
        first = sync(emulator, STREAMS, num_workers=8)
        assert not differences(emulator, "issues", {(row["id"],): row for row in first.rows["issues"]})
        assert {row.get("childIssueSummary") for row in first.rows["issues"]} == {None}
        project = emulator.space.project("WEB")
        emulator.space.link_shared_file(project.issues[0], emulator.space.add_shared_file(project, "/図.png", 1))
        later = sync(emulator, STREAMS, first.state, num_workers=8)
        assert project.issues[0].id in {row["id"] for row in later.rows["issues"]}
        for result in (first, later):
            refused = [request for request in result.requests if request.status == 400]
            assert [request.path for request in refused] == ["/api/v2/issues"]
            assert [request for request in listed(result) if SUMMARY in request.query] == refused
            said = [text for text in result.warnings() if "childIssueSummary" in text]
            assert said == ["Backlog does not tell how many children an issue has: childIssueSummary is null."]
        emulator.space.quirks.child_issue_summary = "counted"
        assert len(sync(emulator, STREAMS, first.state).requests) == len(later.requests) - 1


def test_a_server_that_ignores_it_leaves_the_column_empty() -> None:
    with Emulator(seed=12, projects=1, issues=20, quirks={"child_issue_summary": "left out"}) as emulator:
        result = sync(emulator, ["issues"])
        assert not differences(emulator, "issues", {(row["id"],): row for row in result.rows["issues"]})
        assert not result.warnings()


@pytest.mark.parametrize("streams", [["issues"], ["issues", "issue_comments"]])
def test_a_project_that_is_refused_is_no_parameter_that_is_refused(streams: list[str]) -> None:
    with Emulator(seed=12, projects=2, issues=20) as emulator:
        emulator.faults.add("/api/v2/issues$", status=404, body={"errors": [{"code": 6, "message": "No project."}]})
        result = sync(emulator, streams)
        assert all(SUMMARY in request.query for request in listed(result))
        assert not [text for text in result.warnings() if "childIssueSummary" in text]


def test_it_is_as_old_as_the_row_of_the_parent() -> None:
    with Emulator(seed=12, projects=1, issues=20) as emulator:
        space, destination = emulator.space, Destination()
        parent = space.create_issue("WEB", "親課題")
        space.advance(5 * 86_400)
        children = [space.create_issue("WEB", "子課題", parent=parent) for _ in range(2)]
        first = sync(emulator, ["issues"])
        destination.load(first)
        assert not differences(emulator, "issues", destination.tables["issues"])
        space.advance(86_400)
        space.update_issue(children[0], status=4)
        second = sync(emulator, ["issues"], first.state)
        destination.load(second)
        assert parent.id not in {row["id"] for row in second.rows["issues"]}
        assert destination.tables["issues"][parent.id,]["childIssueSummary"] == {"total": 2, "closed": 0}
        # The remedy of the pages: the children themselves have arrived.
        rows = [row for row in destination.tables["issues"].values() if row.get("parentIssueId") == parent.id]
        assert sorted(row["status"]["id"] for row in rows) == [1, 4]
        space.update_issue(parent, summary="親課題を変更")
        destination.load(sync(emulator, ["issues"], second.state))
        assert destination.tables["issues"][parent.id,]["childIssueSummary"] == {"total": 2, "closed": 1}
        assert not differences(emulator, "issues", destination.tables["issues"])
