"""Issues and what hangs below them: which are read again, which cost a request of their own, where a walk goes on."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.errors import RejectedRequest
from source_backlog.changes.paging import Unreadable
from source_backlog.streams import objects as module
from source_backlog.streams.objects import ObjectRetriever

Row = dict[str, Any]

IssueRetriever = partial(ObjectRetriever, finder="issues")
PerIssueRetriever = partial(ObjectRetriever, finder="issues to ask", reader="issue participants")
CommentRetriever = partial(ObjectRetriever, finder="commented issues", reader="issue comments")

WITH_CHILDREN = {"expand[]": "childIssueSummary"}
WEB = {"id": 1, "projectKey": "WEB"}
APP = {"id": 2, "projectKey": "APP"}


def issue(number: int, updated: str = "2026-01-10T00:00:00Z", project: Row = WEB, **more: Any) -> Row:
    """Issue 100 + number, created on day `number` of 2025."""
    created = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=number - 1)
    return {
        "id": 100 + number,
        "projectId": project["id"],
        "issueKey": f"{project['projectKey']}-{number}",
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "updated": updated,
        **more,
    }


def activity(number: int, kind: int, of: Row) -> Row:
    content = {"id": of["id"], "key_id": int(of["issueKey"].split("-")[1])}
    return {"id": number, "type": kind, "project": {"id": of["projectId"]}, "content": content}


class Backlog:
    """A space with issues, their comments and participants, and a feed; answers as Backlog does."""

    def __init__(self, issues: list[Row], feed: list[Row], served: Any) -> None:
        self.issues, self.feed = issues, feed
        self.answers: Row = {"issues": self.list_issues, "space/activities": served(feed), "projects/1/statuses": []}
        for one in issues:
            comments = [{"id": one["id"] * 1000 + number, "content": "…"} for number in (1, 2)]
            self.answers[f"issues/{one['id']}/comments"] = served(comments)
            self.answers[f"issues/{one['id']}/participants"] = [{"id": 9, "name": "Hanako"}]

    def list_issues(self, params: Row) -> list[Row]:
        known = {"id[]", "projectId[]", "sort", "order", "updatedSince", "createdSince", "offset", "count", "expand[]"}
        assert set(params) <= known, "Backlog rejects unknown parameters, and an upper bound is never sent"
        ids, project = params.get("id[]"), params.get("projectId[]")
        kept = [
            one
            for one in sorted(
                self.issues, key=lambda one: one[params.get("sort", "created")], reverse=params.get("order") != "asc"
            )
            if (ids is None or one["id"] in ids)
            and (project is None or one["projectId"] == project)
            and one["updated"][:10] >= params.get("updatedSince", "")
            and one["created"][:10] >= params.get("createdSince", "")
        ]
        return kept[params.get("offset", 0) :][: params.get("count", 20)]


@pytest.fixture
def backlog(served: Any, fake: Any, build: Any) -> Callable[..., Any]:
    """`backlog(Retriever, issues, feed, position, **options)`: the retriever of project WEB over such a space."""

    def make(
        kind: Any,
        issues: list[Row],
        feed: list[Row] | None = None,
        position: Row | None = None,
        **options: Any,
    ) -> Any:
        space = Backlog(issues, feed or [], served)
        return build(kind, fake(space.answers), copy.deepcopy(position), project=WEB, **options)

    return make


def read(retriever: Any) -> list[Row]:
    return list(retriever.rows(retriever.slice))


def position_after(retriever: Any) -> Row:
    """The saved position, but for when the project was looked at and whose turn it is: test_quiet.py."""
    retriever.partition_router.checkpoint(retriever.slice)
    position: Row = retriever.position(retriever.slice).saved()
    return {name: value for name, value in position.items() if name not in ("looked", "turn")}


def asked_for(retriever: Any, endpoint: str) -> list[int]:
    """The numbers of the issues that cost a request of their own; of several threads, none waits for another one."""
    return sorted(int(path.split("/")[1]) - 100 for path in retriever.requester.paths(f"/{endpoint}"))


# Issues


def rejecting(answer: Any, name: str, others: str = "") -> Any:
    """`answer` of a server that does not know the parameter `name`, or (`others`: what it says) no request at all."""

    def ask(params: Row) -> Any:
        if name in params:
            raise RejectedRequest(message=f"error.unknownParameter : {name}")
        if others:
            raise RejectedRequest(message=others)
        return answer(params)

    return ask


def test_a_server_that_does_not_know_the_children_is_asked_without_them_and_once_with_them(
    backlog: Any, caplog: Any
) -> None:
    retriever = backlog(IssueRetriever, [issue(number) for number in range(1, 151)])
    retriever.requester.answers["issues"] = rejecting(retriever.requester.answers["issues"], "expand[]")
    assert len(read(retriever)) == 150
    asked = retriever.requester.asked("issues")
    assert ["expand[]" in params for params in asked] == [True, False, False]
    assert {**asked[1], **WITH_CHILDREN} == asked[0]
    assert [record.message for record in caplog.records if "children" in record.message] == [
        "Backlog does not tell how many children an issue has: childIssueSummary is null."
    ]
    read(retriever)
    assert not any("expand[]" in params for params in retriever.requester.asked("issues")[3:])


def test_what_a_server_does_not_know_keeps_no_page_in_memory(backlog: Any) -> None:
    retriever = backlog(IssueRetriever, [issue(number) for number in range(1, 351)])
    retriever.requester.answers["issues"] = rejecting(retriever.requester.answers["issues"], "expand[]")
    assert len(read(retriever)) == 350
    kept = [value for value in retriever.api_budget.memory.values() if isinstance(value, BaseException)]
    assert not kept, "an exception that is raised again holds the frames of everyone who has met it"


def test_a_request_that_is_rejected_without_the_parameter_too_is_a_failure(backlog: Any, caplog: Any) -> None:
    retriever = backlog(IssueRetriever, [issue(1)])
    retriever.requester.answers["issues"] = rejecting(None, "expand[]", "error.number : projectId[]")
    with pytest.raises(RejectedRequest, match="projectId"):
        read(retriever)
    assert not [record for record in caplog.records if "children" in record.message]


def test_other_failures_say_nothing_about_the_parameter(backlog: Any) -> None:
    retriever = backlog(IssueRetriever, [issue(1)])
    answer = retriever.requester.answers["issues"]

    def overloaded(params: Row) -> Any:
        raise AirbyteTracedException(message="status 503")

    retriever.requester.answers["issues"] = overloaded
    with pytest.raises(AirbyteTracedException, match="503"):
        read(retriever)
    retriever.requester.answers["issues"] = answer
    assert [row["id"] for row in read(retriever)] == [101]
    assert all("expand[]" in params for params in retriever.requester.asked("issues"))


def test_the_first_sync_reads_all_issues_of_the_project(backlog: Any) -> None:
    retriever = backlog(IssueRetriever, [issue(1), issue(2, project=APP), issue(3, "2026-01-12T00:00:00Z")])
    assert [row["id"] for row in read(retriever)] == [101, 103]
    assert retriever.requester.asked("issues") == [
        {"projectId[]": 1, "sort": "created", "order": "asc", "offset": 0, "count": 100, **WITH_CHILDREN}
    ]
    assert position_after(retriever) == {"updated": "2026-01-12T00:00:00Z", "activity": 0}


def test_the_next_sync_begins_a_day_before_the_last_update_and_has_no_end(backlog: Any) -> None:
    issues = [issue(1, "2026-01-08T23:59:59Z"), issue(2, "2026-01-09T00:00:00Z"), issue(3, "2026-01-11T00:00:00Z")]
    retriever = backlog(IssueRetriever, issues, position={"updated": "2026-01-10T09:00:00Z", "activity": 0})
    assert [row["id"] for row in read(retriever)] == [102, 103]
    assert [params["updatedSince"] for params in retriever.requester.asked("issues")] == ["2026-01-09"]
    assert position_after(retriever) == {"updated": "2026-01-11T00:00:00Z", "activity": 0}


def test_a_sync_in_which_nothing_changed_keeps_its_place(backlog: Any) -> None:
    position = {"updated": "2026-01-10T09:00:00Z", "activity": 4}
    retriever = backlog(IssueRetriever, [issue(1)], [activity(4, 2, issue(1))], position)
    read(retriever)
    assert position_after(retriever) == position
    assert [path for path, _ in retriever.requester.calls].count("issues") == 1


def test_an_issue_that_only_the_feed_names_is_read_by_its_id(backlog: Any) -> None:
    old = issue(1, "2025-06-01T00:00:00Z")
    feed = [activity(4, 2, issue(2)), activity(6, 2, old), activity(7, 3, issue(3, "2025-06-01T00:00:00Z"))]
    issues = [old, issue(2), issue(3, "2025-06-01T00:00:00Z")]
    retriever = backlog(IssueRetriever, issues, feed, {"updated": "2026-01-10T00:00:00Z", "activity": 4})
    assert [row["id"] for row in read(retriever)] == [102, 101], "a plain comment does not change the issue"
    assert retriever.requester.asked("issues")[-1] == {"id[]": [101, 102], "count": 100, **WITH_CHILDREN}, (
        "102 shows that it is readable"
    )
    assert position_after(retriever)["activity"] == 7


def test_many_named_issues_are_read_a_hundred_at_a_time(backlog: Any) -> None:
    issues = [issue(number, "2025-06-01T00:00:00Z") for number in range(1, 251)]
    feed = [activity(1000, 2, issue(1))] + [activity(1000 + n, 14, one) for n, one in enumerate(issues, start=1)]
    recent = issue(0)
    position = {"updated": recent["updated"], "activity": 1000}
    retriever = backlog(IssueRetriever, [recent, *issues], feed, position)
    assert sorted(row["id"] for row in read(retriever)) == list(range(100, 351))
    asked = [params["id[]"] for params in retriever.requester.asked("issues") if "id[]" in params]
    assert [len(ids) for ids in asked] == [100, 100, 53], "99 of them, and one that shows that the project is readable"
    assert all(recent["id"] in ids for ids in asked)


def test_an_issue_that_has_moved_to_another_project_is_not_a_row_of_this_one(backlog: Any) -> None:
    feed = [activity(4, 2, issue(2)), activity(5, 2, issue(1))]
    moved = issue(1, "2025-06-01T00:00:00Z", APP)
    retriever = backlog(IssueRetriever, [moved], feed, {"updated": "2026-01-10T00:00:00Z", "activity": 4})
    assert read(retriever) == []


def test_issues_before_the_start_date_are_left_out_of_the_first_sync(backlog: Any) -> None:
    issues = [issue(1, "2026-01-04T11:59:59Z"), issue(2, "2026-01-04T12:00:00Z"), issue(3, "2026-01-05T00:00:00Z")]
    retriever = backlog(IssueRetriever, issues)
    retriever.config["start_date"] = "2026-01-04T12:00:00Z"
    assert [row["id"] for row in read(retriever)] == [102, 103]
    assert retriever.requester.asked("issues")[0]["updatedSince"] == "2026-01-03"


def test_the_start_date_is_no_filter_of_later_syncs(backlog: Any) -> None:
    retriever = backlog(IssueRetriever, [issue(1)], position={"updated": "2026-01-10T09:00:00Z", "activity": 0})
    retriever.config["start_date"] = "2026-06-01T00:00:00Z"
    assert [row["id"] for row in read(retriever)] == [101]


def test_a_stamp_of_the_future_does_not_move_the_place(backlog: Any) -> None:
    """It would hide what changes until then."""
    retriever = backlog(IssueRetriever, [issue(1, "2199-01-01T00:00:00Z"), issue(2)])
    assert len(read(retriever)) == 2
    assert position_after(retriever)["updated"] == "2026-01-10T00:00:00Z"


@pytest.mark.parametrize("stamp", [None, "", "yesterday"])
def test_an_issue_without_a_stamp_is_a_row_all_the_same(backlog: Any, fake: Any, stamp: Any) -> None:
    retriever = backlog(IssueRetriever, [])
    retriever.requester.answers["issues"] = [{**issue(1), "updated": stamp}]
    assert [row["id"] for row in read(retriever)] == [101]
    assert "updated" not in position_after(retriever)


def test_rows_inside_issues_are_made_by_name(backlog: Any) -> None:
    held = issue(1, attachments=[{"id": 7, "name": "a.png"}])
    retriever = backlog(IssueRetriever, [held, issue(2)], make="issue.attachments")
    (row,) = read(retriever)
    assert (row["id"], row["issueId"], row["issueKey"], row["projectId"]) == (7, 101, "WEB-1", 1)
    assert position_after(retriever)["updated"] == "2026-01-10T00:00:00Z", "issue 2 moves the place without a row"


def test_a_trimmed_feed_reads_all_issues_again(backlog: Any) -> None:
    issues = [issue(1, "2025-06-01T00:00:00Z"), issue(2)]
    feed = [activity(50, 2, issue(2))]
    retriever = backlog(IssueRetriever, issues, feed, {"updated": "2026-01-10T00:00:00Z", "activity": 7})
    assert [row["id"] for row in read(retriever)] == [101, 102]
    assert position_after(retriever) == {"updated": "2026-01-10T00:00:00Z", "activity": 50}


def test_tombstones_name_the_deleted_issues_if_they_are_asked_for(backlog: Any) -> None:
    gone = {**activity(5, 4, issue(3)), "created": "2026-01-11T00:00:00Z"}
    feed = [activity(4, 2, issue(1)), gone]
    for option, tombstones in (("deletions_stream", []), ("tombstones", [103])):
        position = {"updated": "2026-01-10T00:00:00Z", "activity": 4}
        retriever = backlog(IssueRetriever, [issue(1)], feed, position, with_tombstones=True)
        retriever.config["deleted_records"] = option
        retriever.api_budget.memory.clear()
        rows = read(retriever)
        assert [row["id"] for row in rows if "_ab_cdc_deleted_at" in row] == tombstones
    assert rows[-1] == {"id": 103, "updated": "2026-01-11T00:00:00Z", "_ab_cdc_deleted_at": "2026-01-11T00:00:00Z"}


# What looks empty


def in_turn(answers: list[Any], then: Callable[[Row], Any]) -> Callable[[Row], Any]:
    """The answers of the first requests, and then those of `then`; None stands for one of `then`."""

    def answer(params: Row) -> Any:
        told = answers.pop(0) if answers else None
        return then(params) if told is None else told

    return answer


def test_a_window_without_rows_reaches_back_to_the_newest_issue_that_there_is(backlog: Any) -> None:
    """The issue that the position was taken from was deleted."""
    retriever = backlog(IssueRetriever, [issue(1), issue(2)], position={"updated": "2026-03-01T00:00:00Z"})
    assert [row["id"] for row in read(retriever)] == [101, 102]
    assert [(params["sort"], params.get("updatedSince")) for params in retriever.requester.asked("issues")] == [
        ("created", "2026-02-28"),
        ("updated", None),
        ("created", "2026-01-09"),
    ]
    assert position_after(retriever)["updated"] == "2026-01-10T00:00:00Z", "the next sync need not look back again"


def test_a_newest_issue_without_a_stamp_makes_the_window_reach_back_to_the_beginning(backlog: Any) -> None:
    retriever = backlog(IssueRetriever, [issue(1)], position={"updated": "2026-03-01T00:00:00Z"})
    every_issue = retriever.requester.answers["issues"]
    retriever.requester.answers["issues"] = lambda params: [{**row, "updated": None} for row in every_issue(params)]
    assert [row["id"] for row in read(retriever)] == [101]
    assert [params.get("updatedSince") for params in retriever.requester.asked("issues")] == ["2026-02-28", None, None]


@pytest.mark.parametrize("empty", [1, 2])
def test_a_list_that_was_empty_for_a_moment_is_asked_again(backlog: Any, empty: int) -> None:
    position = {"updated": "2026-01-10T00:00:00Z", "activity": 0}
    retriever = backlog(IssueRetriever, [issue(1)], position=position)
    # Between the empty answers it says that there is an issue.
    retriever.requester.answers["issues"] = in_turn([[], None] * empty, retriever.requester.answers["issues"])
    assert [row["id"] for row in read(retriever)] == [101]


def test_a_list_that_stays_empty_though_there_are_issues_does_not_move_the_place(backlog: Any) -> None:
    position = {"updated": "2026-01-10T00:00:00Z", "activity": 0}
    retriever = backlog(IssueRetriever, [issue(1)], position=position)
    retriever.requester.answers["issues"] = in_turn([[], None] * 9, retriever.requester.answers["issues"])
    with pytest.raises(Unreadable):
        read(retriever)
    assert position_after(retriever) == position


def test_a_project_that_seems_to_have_no_issues_is_read_from_its_beginning_next_time(backlog: Any) -> None:
    retriever = backlog(IssueRetriever, [], position={"updated": "2026-01-10T00:00:00Z", "activity": 0})
    assert read(retriever) == []
    assert position_after(retriever) == {"activity": 0}


@pytest.mark.parametrize("listed", [True, False])
def test_named_issues_are_not_gone_because_nothing_of_the_project_is_there(backlog: Any, listed: bool) -> None:
    """The answer to a request by ids is empty, and so it would be for a user who has lost the project."""
    old, recent = issue(1, "2025-06-01T00:00:00Z"), issue(2)
    feed = [activity(4, 2, recent), activity(5, 2, old)]
    position = {"updated": recent["updated"], "activity": 4}
    retriever = backlog(IssueRetriever, [old, recent] if listed else [old], feed, position)
    every_issue = retriever.requester.answers["issues"]
    retriever.requester.answers["issues"] = lambda params: [] if "id[]" in params else every_issue(params)
    if listed:
        with pytest.raises(Unreadable):
            read(retriever)
        assert position_after(retriever) == position
    else:
        # The window reaches back to it, so that it need not be asked for by its id.
        assert [row["id"] for row in read(retriever)] == [101]


def test_named_issues_that_do_not_say_their_project_are_read(backlog: Any) -> None:
    old, recent = issue(1, "2025-06-01T00:00:00Z"), issue(2)
    feed = [activity(4, 2, recent), activity(5, 2, old)]
    retriever = backlog(IssueRetriever, [old, recent], feed, {"updated": recent["updated"], "activity": 4})
    every_issue = retriever.requester.answers["issues"]
    retriever.requester.answers["issues"] = lambda params: [{**row, "projectId": None} for row in every_issue(params)]
    assert [row["id"] for row in read(retriever)] == [102, 101]


def test_a_named_issue_that_is_missing_beside_one_that_is_there_is_gone(backlog: Any) -> None:
    recent = issue(2)
    feed = [activity(4, 2, recent), activity(5, 1, issue(9))]
    retriever = backlog(IssueRetriever, [recent], feed, {"updated": recent["updated"], "activity": 4})
    assert [row["id"] for row in read(retriever)] == [102]
    assert position_after(retriever)["activity"] == 5


def test_an_interrupted_walk_whose_rest_seems_empty_looks_at_all_issues_again(backlog: Any) -> None:
    """Its place was behind issues that were deleted since, or the user had lost the project for a moment."""
    resume = {"updated": "2026-01-10T00:00:00Z", "activity": 3, "after": "2025-06-01T00:00:00Z"}
    issues = [issue(1), issue(2)]
    retriever = backlog(CommentRetriever, issues, [activity(3, 1, issues[0])], {"resume": resume})
    assert read(retriever) == [], "they were read before"
    assert [params.get("createdSince") for params in retriever.requester.asked("issues")] == ["2025-05-31", None]
    assert "resume" not in position_after(retriever)


# A request per issue


def test_the_first_sync_asks_for_every_issue(backlog: Any) -> None:
    retriever = backlog(PerIssueRetriever, [issue(1), issue(2)], make="issue.participants")
    rows = read(retriever)
    assert [(row["issueId"], row["id"], row["name"]) for row in rows] == [(101, 9, "Hanako"), (102, 9, "Hanako")]
    assert asked_for(retriever, "participants") == [1, 2]
    assert position_after(retriever) == {"updated": "2026-01-10T00:00:00Z", "activity": 0}


def test_of_the_last_day_only_what_has_changed_since_costs_a_request(backlog: Any) -> None:
    since = "2026-01-10T09:00:00Z"
    issues = [
        issue(1, "2026-01-09T10:00:00Z"),
        issue(2, since),
        issue(3, "2026-01-10T09:00:01Z"),
        issue(4, since),
        issue(5, "2025-06-01T00:00:00Z"),
        issue(6, "2025-06-01T00:00:00Z"),
    ]
    feed = [activity(7, 2, issues[1]), activity(8, 2, issues[3]), activity(9, 2, issues[4]), activity(10, 3, issues[5])]
    options = {"make": "issue.participants"}
    retriever = backlog(PerIssueRetriever, issues, feed, {"updated": since, "activity": 7}, **options)
    read(retriever)
    assert asked_for(retriever, "participants") == [3, 4, 5], "3 is newer, 4 and 5 are in the feed"
    assert position_after(retriever) == {
        "updated": "2026-01-10T09:00:01Z",
        "activity": 10,
        "again": [7, 3],
    }


def test_an_issue_that_is_gone_by_now_has_no_rows(backlog: Any) -> None:
    retriever = backlog(PerIssueRetriever, [issue(1), issue(2)], make="issue.participants")
    del retriever.requester.answers["issues/101/participants"]
    assert [row["issueId"] for row in read(retriever)] == [102]
    assert position_after(retriever)["skipped"] == [101], "the next sync asks again, if it still finds the issue"


def test_an_issue_that_was_skipped_is_asked_for_again(backlog: Any) -> None:
    position = {"updated": "2026-01-10T00:00:00Z", "activity": 0, "skipped": [101]}
    options = {"make": "issue.participants"}
    issues = [issue(1, "2025-06-01T00:00:00Z"), issue(2, "2025-06-01T00:00:00Z")]
    retriever = backlog(PerIssueRetriever, issues, position=position, **options)
    assert [row["issueId"] for row in read(retriever)] == [101]
    assert "skipped" not in position_after(retriever)


def test_a_project_that_is_not_readable_any_more_does_not_move_the_place(backlog: Any) -> None:
    """Backlog answers with empty lists, and with 404 for what lies in the project."""
    position = {"updated": "2026-01-10T00:00:00Z", "activity": 0}
    for kind, options in ((IssueRetriever, {}), (PerIssueRetriever, {})):
        retriever = backlog(kind, [], position=position, **options)
        del retriever.requester.answers["projects/1/statuses"]
        with pytest.raises(Unreadable):
            read(retriever)
        assert position_after(retriever) == position


# Comments


def test_comments_carry_their_issue(backlog: Any) -> None:
    retriever = backlog(CommentRetriever, [issue(1)])
    assert [(row["id"], row["issueId"], row["issueKey"], row["projectId"]) for row in read(retriever)] == [
        (101001, 101, "WEB-1", 1),
        (101002, 101, "WEB-1", 1),
    ]


def test_a_plain_comment_is_found_through_the_feed_alone(backlog: Any) -> None:
    """It does not move `updated` of the issue, and needs no request for the issue either."""
    old = issue(1, "2025-06-01T00:00:00Z")
    feed = [activity(6, 2, issue(9)), activity(7, 3, old)]
    retriever = backlog(CommentRetriever, [old], feed, {"updated": "2026-01-10T00:00:00Z", "activity": 6})
    assert [(row["id"], row["issueId"], row["issueKey"], row["projectId"]) for row in read(retriever)] == [
        (101001, 101, "WEB-1", 1),
        (101002, 101, "WEB-1", 1),
    ]
    assert asked_for(retriever, "comments") == [1]
    assert not any("id[]" in params for params in retriever.requester.asked("issues"))
    assert position_after(retriever)["activity"] == 7


@pytest.mark.parametrize("there", [False, True])
def test_comments_of_an_issue_that_the_feed_reports_as_deleted_are_asked_for_only_if_it_is_there(
    backlog: Any, there: bool
) -> None:
    """Else they would be refused, and the issue would count as left out."""
    old, gone = issue(1, "2025-06-01T00:00:00Z"), issue(2, "2025-06-01T00:00:00Z")
    feed = [activity(6, 2, issue(9)), activity(7, 3, gone), activity(8, 4, gone), activity(9, 3, old)]
    issues = [old, gone, issue(3)] if there else [old, issue(3)]
    retriever = backlog(CommentRetriever, issues, feed, {"updated": "2026-01-10T00:00:00Z", "activity": 6})
    read(retriever)
    assert asked_for(retriever, "comments") == [1, 2][: 1 + there]
    assert [params["id[]"] for params in retriever.requester.asked("issues") if "id[]" in params] == [[102, 103]]
    assert "skipped" not in position_after(retriever)


@pytest.mark.parametrize("there", [False, True])
def test_an_issue_whose_comments_are_refused_was_left_out_only_if_it_is_there(backlog: Any, there: bool) -> None:
    """It may be in a project that the user does not see: the feed names what was done before it was moved."""
    old = issue(1, "2025-06-01T00:00:00Z")
    feed = [activity(6, 2, issue(9)), activity(7, 3, old)]
    issues = [old, issue(2)] if there else [issue(2)]
    retriever = backlog(CommentRetriever, issues, feed, {"updated": "2026-01-10T00:00:00Z", "activity": 6})
    retriever.requester.answers.pop("issues/101/comments", None)
    assert read(retriever) == []
    assert [params["id[]"] for params in retriever.requester.asked("issues") if "id[]" in params] == [[101, 102]]
    assert position_after(retriever).get("skipped") == ([101] if there else None)


def test_no_refused_issue_counts_as_gone_when_the_project_is_lost(backlog: Any) -> None:
    old = issue(1, "2025-06-01T00:00:00Z")
    feed = [activity(6, 2, issue(9)), activity(7, 3, old)]
    position = {"updated": "2026-01-10T00:00:00Z", "activity": 6}
    retriever = backlog(CommentRetriever, [issue(2)], feed, position)
    lists = retriever.requester.answers["issues"]
    retriever.requester.answers["issues"] = lambda params: [] if "id[]" in params else lists(params)
    with pytest.raises(Unreadable):
        read(retriever)
    assert position_after(retriever) == position


def test_only_commented_or_changed_issues_cost_a_request_for_comments(backlog: Any) -> None:
    since = "2026-01-10T09:00:00Z"
    issues = [issue(1, since), issue(2, since), issue(3, "2026-01-11T00:00:00Z"), issue(4, "2025-06-01T00:00:00Z")]
    feed = [activity(7, 3, issues[0]), activity(8, 17, issues[1]), activity(9, 1, issue(8, project=APP))]
    retriever = backlog(CommentRetriever, issues, feed, {"updated": since, "activity": 7})
    read(retriever)
    assert asked_for(retriever, "comments") == [2, 3]


def test_what_changed_in_the_seconds_of_the_last_sync_is_asked_for_once_more(backlog: Any, clock: Any) -> None:
    """Within such a second it may have changed again, which moves no stamp, and may leave no activity."""
    clock.now = datetime(2026, 1, 10, 9, 0, 10, tzinfo=UTC).timestamp()
    stamps = ("2026-01-10T09:00:04Z", "2026-01-10T09:00:05Z", "2026-01-10T09:00:06Z", "2026-01-10T09:00:12Z")
    issues = [issue(number, stamp) for number, stamp in enumerate(stamps, 1)]
    feed = [activity(7, 3, issues[0])]
    first = backlog(CommentRetriever, issues, feed)
    read(first)
    position = position_after(first)
    assert position == {"updated": stamps[-1], "sure": stamps[1], "activity": 7}
    clock.now += 60
    first.api_budget.memory.clear()
    second = backlog(CommentRetriever, issues, feed, position)
    read(second)
    assert asked_for(second, "comments") == [3, 4]
    assert position_after(second) == {"updated": stamps[-1], "activity": 7}


def test_a_sync_in_which_nothing_changed_costs_no_request_for_comments(backlog: Any) -> None:
    position = {"updated": "2026-01-10T00:00:00Z", "activity": 7}
    retriever = backlog(CommentRetriever, [issue(1), issue(2)], [activity(7, 3, issue(1))], position)
    assert read(retriever) == []
    assert asked_for(retriever, "comments") == []
    assert retriever.requester.paths().count("space/activities") <= 2
    assert position_after(retriever) == position


def test_comments_are_read_oldest_first_and_page_by_page(backlog: Any, served: Any) -> None:
    retriever = backlog(CommentRetriever, [issue(1)])
    many = [{"id": number} for number in range(1, 251)]
    retriever.requester.answers["issues/101/comments"] = served(many)
    assert [row["id"] for row in read(retriever)] == list(range(1, 251))
    assert [params.get("minId") for params in retriever.requester.asked("issues/101/comments")] == [None, 100, 199]


# Where a walk goes on


@pytest.fixture
def checkpoint_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", -1.0)


def walk(retriever: Any, issues: int) -> list[int]:
    """Reads the comments of so many issues, then is killed; gives the ids of the rows that are out."""
    rows, there = retriever.rows(retriever.slice), []
    while len({row // 1000 for row in there}) <= issues:
        there.append(next(rows)["id"])
    rows.close()
    return there[:-1]


def test_the_place_is_saved_in_the_middle_of_a_walk(backlog: Any, checkpoint_always: None, clock: Any) -> None:
    clock.now = datetime(2026, 1, 10, 0, 0, 7, tzinfo=UTC).timestamp()
    issues = [issue(number) for number in range(1, 8)]
    retriever = backlog(CommentRetriever, issues, [activity(3, 1, issues[0])])
    walk(retriever, 4)
    assert retriever.position(retriever.slice).saved() == {
        "resume": {
            "updated": "2026-01-10T00:00:00Z",
            "activity": 3,
            "after": issues[3]["created"],
            "sure": "2026-01-10T00:00:02Z",
        }
    }


def test_the_place_is_not_saved_more_often_than_every_half_minute(backlog: Any) -> None:
    retriever = backlog(CommentRetriever, [issue(number) for number in range(1, 8)])
    walk(retriever, 4)
    assert retriever.position(retriever.slice).saved() == {}
    assert module.CHECKPOINT_SECONDS == 30


@pytest.mark.parametrize("read_before", range(1, 7))
def test_an_interrupted_walk_goes_on_behind_what_it_had_finished(
    backlog: Any, checkpoint_always: None, read_before: int
) -> None:
    issues = [issue(number) for number in range(1, 8)]
    killed = backlog(CommentRetriever, issues)
    there = walk(killed, read_before)
    saved = killed.position(killed.slice).saved()
    killed.api_budget.memory.clear()
    again = backlog(CommentRetriever, issues, position=saved)
    there += [row["id"] for row in read(again)]
    assert set(there) == {one["id"] * 1000 + number for one in issues for number in (1, 2)}
    assert asked_for(again, "comments") == list(range(read_before, 8)), "the last finished one may come again"
    assert "resume" not in position_after(again)


def test_a_resumed_walk_asks_only_for_what_was_created_since(backlog: Any) -> None:
    resume = {"updated": "2026-01-10T00:00:00Z", "activity": 3, "after": "2025-01-05T00:00:00Z"}
    issues = [issue(number) for number in range(1, 9)]
    retriever = backlog(CommentRetriever, issues, [activity(3, 1, issues[0])], {"resume": resume})
    read(retriever)
    assert [params["createdSince"] for params in retriever.requester.asked("issues")] == ["2025-01-04"]
    assert asked_for(retriever, "comments") == [5, 6, 7, 8]


def test_what_changed_behind_an_interrupted_walk_is_found_when_it_goes_on(
    backlog: Any, checkpoint_always: None
) -> None:
    issues = [issue(number) for number in range(1, 8)]
    feed = [activity(3, 1, issues[0])]
    killed = backlog(CommentRetriever, issues, feed)
    walk(killed, 4)
    saved = killed.position(killed.slice).saved()
    feed += [activity(4, 3, issues[0]), activity(5, 3, issues[6])]
    killed.api_budget.memory.clear()
    resumed = backlog(CommentRetriever, issues, feed, saved)
    read(resumed)
    assert asked_for(resumed, "comments") == [1, 4, 5, 6, 7]
    assert position_after(resumed) == {
        "updated": "2026-01-10T00:00:00Z",
        "activity": 5,
        "again": [3, 2],
    }


def test_an_interrupted_walk_begins_anew_when_the_feed_no_longer_tells_what_changed_behind_it(
    backlog: Any, checkpoint_always: None
) -> None:
    issues = [issue(number) for number in range(1, 8)]
    resume = {"updated": "2026-01-10T00:00:00Z", "activity": 3, "after": issues[4]["created"]}
    retriever = backlog(CommentRetriever, issues, [activity(90, 2, issues[6])], {"resume": resume})
    read(retriever)
    assert asked_for(retriever, "comments") == [1, 2, 3, 4, 5, 6, 7]
    assert position_after(retriever) == {"updated": "2026-01-10T00:00:00Z", "activity": 90}


def test_an_interrupted_later_sync_keeps_its_old_place_until_it_is_finished(
    backlog: Any, checkpoint_always: None, clock: Any
) -> None:
    clock.now = datetime(2026, 1, 10, 0, 0, 7, tzinfo=UTC).timestamp()
    old = {"updated": "2026-01-09T00:00:00Z", "activity": 3}
    issues = [issue(number) for number in range(1, 8)]
    feed = [activity(3, 1, issues[0]), activity(9, 3, issues[6])]
    killed = backlog(CommentRetriever, issues, feed, old)
    walk(killed, 2)
    saved = killed.position(killed.slice).saved()
    assert saved == {
        **old,
        "resume": {
            "updated": "2026-01-10T00:00:00Z",
            "activity": 9,
            "after": issues[1]["created"],
            "sure": "2026-01-10T00:00:02Z",
        },
    }
    killed.api_budget.memory.clear()
    resumed = backlog(CommentRetriever, issues, feed, saved)
    read(resumed)
    assert asked_for(resumed, "comments") == [2, 3, 4, 5, 6, 7]
    assert position_after(resumed) == {
        "updated": "2026-01-10T00:00:00Z",
        "activity": 9,
        "again": [3, 1],
    }
