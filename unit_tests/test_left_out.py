"""What is left out is said in one line per cause, with names, and with hope only where there is some."""

from typing import Any

import pytest

from source_backlog.api.requester import BacklogRequester
from source_backlog.left_out import MOST_NAMES, Cause, LeftOut, left_out_of, project_of, subject_of
from source_backlog.space import Space, endpoint_of, streams_by_endpoint
from unit_tests.conftest import BASE

DOCUMENT = "0123456789abcdef0123456789abcdef"
REFUSED = {"errors": [{"message": "No.", "code": 5}]}
GONE = {"errors": [{"message": "No such thing.", "code": 6}]}
AGAIN = "it could not be read, or not to its end. The next sync tries again."


@pytest.fixture
def left_out(space: Space) -> LeftOut:
    """Of a sync of four streams in a space of thirty projects, of which Backlog has told the keys."""
    found = left_out_of(space)
    found.read_by(
        {
            "projects/{}/webhooks": ["webhooks"],
            "projects/{}/git/repositories": ["git_repositories", "pull_requests"],
            "documents/{}/comments": ["document_comments"],
            "users": ["users", "user_stars"],
        }
    )
    for number in range(1, 31):
        found.know(f"projects/{number}", f"P{number:02}")
    return found


def lines(left_out: LeftOut, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    left_out.report()
    assert {record.levelname for record in caplog.records} <= {"WARNING"}
    return [record.getMessage() for record in caplog.records]


def test_many_projects_are_one_line(left_out: LeftOut, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        for number in range(30, 0, -1):
            left_out.refuse(f"projects/{number}/webhooks", str(number), Cause.ROLE, "")
    names = ", ".join(f"P{number:02}" for number in range(1, MOST_NAMES + 1))
    assert lines(left_out, caplog) == [
        f"webhooks: 30 projects left out ({names} and 20 more): the user of the key does not have the permission. It "
        "takes an administrator of the space or of the project."
    ]
    assert lines(left_out, caplog) == [], "once"


def test_each_cause_has_its_line(left_out: LeftOut, caplog: pytest.LogCaptureFixture) -> None:
    left_out.refuse("projects/1/git/repositories", "1", Cause.PLAN, "")
    left_out.refuse("projects/2/git/repositories", "2", Cause.OFF, "")
    left_out.refuse("projects/3/git/repositories", "3", Cause.LOST, "")
    left_out.refuse("projects/4/versions", "4", Cause.PLAN, "")
    both = "git_repositories, pull_requests: 1 project left out"
    assert lines(left_out, caplog) == [
        f"{both} (P01): the plan of the space does not include it.",
        f"{both} (P02): Backlog has no such list although the project is there: the feature is switched off.",
        "versions: 1 project left out (P04): the plan of the space does not include it.",
        f"{both} (P03): {AGAIN}",
    ]


def test_what_is_gone_is_forgotten_and_a_missing_right_is_not(
    left_out: LeftOut, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        left_out.refuse(f"issues/{number}/comments", None, Cause.GONE, "No issue.")
    left_out.refuse("issues/1/participants", None, Cause.GONE, "No issue.")
    left_out.refuse("projects/3/files/1", "3", Cause.ROLE, "")
    for subject in ("issues/1", "projects/3/files/1", "issues/9"):
        left_out.forget(subject)
    assert lines(left_out, caplog) == [
        "issues/comments: 1 issue left out (2): No issue.",
        "files: 1 file left out (P03/files/1): the user of the key does not have the permission. It takes a user who "
        "may do more than add or view issues.",
    ]


def test_what_stands_in_for_a_refused_list_is_said(left_out: LeftOut, caplog: pytest.LogCaptureFixture) -> None:
    left_out.refuse("users", None, Cause.ROLE, "")
    assert lines(left_out, caplog) == [
        "users, user_stars: the user of the key does not have the permission. It takes an administrator of the space "
        "or of a project. The members of the visible projects are read instead."
    ]


def test_hope_is_given_only_where_there_is_some(left_out: LeftOut, caplog: pytest.LogCaptureFixture) -> None:
    """A stream that could not be read because of a right will not be read by the next sync."""
    left_out.refuse("projects/1/git/repositories", "1", Cause.ROLE, "")
    left_out.lose(["pull_requests"], 1)
    left_out.lose(["pull_requests"], 2)
    left_out.lose(["notifications"], None)
    refused, in_project, in_space = lines(left_out, caplog)
    assert "next sync" not in refused
    assert in_project == f"pull_requests: 1 project left out (P02): {AGAIN}"
    assert in_space == f"notifications: left out: {AGAIN}"


@pytest.mark.parametrize("cause", [Cause.ROLE, Cause.GONE])
def test_the_right_to_the_objects_of_a_project_counts_for_the_project(
    left_out: LeftOut, caplog: pytest.LogCaptureFixture, cause: Cause
) -> None:
    left_out.know(f"documents/{DOCUMENT}", None, 1)
    left_out.refuse(f"documents/{DOCUMENT}/comments", None, cause, "It was deleted.")
    left_out.lose(["document_comments"], 1)
    left_out.lose(["document_comments"], 2)
    first, second = lines(left_out, caplog)
    assert first.startswith(f"document_comments: 1 document left out ({DOCUMENT}): ")
    lost = "1 project left out (P02)" if cause is Cause.ROLE else "2 projects left out (P01, P02)"
    assert second == f"document_comments: {lost}: {AGAIN}"


def test_projects_that_were_lost_alike_share_a_line(left_out: LeftOut, caplog: pytest.LogCaptureFixture) -> None:
    for project in (1, 2):
        for stream in ("issues", "wikis"):
            left_out.lose([stream], project)
    assert lines(left_out, caplog) == [f"issues, wikis: 2 projects left out (P01, P02): {AGAIN}"]


def test_objects_are_named_as_people_know_them(left_out: LeftOut, caplog: pytest.LogCaptureFixture) -> None:
    left_out.know("issues/7", "WEB-1", 1)
    left_out.know("projects/1/git/repositories/5", "P01/core", 1)
    for path in ("issues/7/comments", "issues/8/comments"):
        left_out.refuse(path, None, Cause.GONE, "Backlog answers 'No.'. It was deleted or is no longer visible.")
    left_out.refuse("projects/1/git/repositories/5/pullRequests/6/comments", "1", Cause.GONE, "Gone.")
    left_out.refuse("projects/1/files/metadata/docs/a", "1", Cause.GONE, "Gone.")
    assert lines(left_out, caplog) == [
        "issues/comments: 2 issues left out (8, WEB-1): Backlog answers 'No.'. It was deleted or is no longer visible.",
        "git/repositories/pullRequests/comments: 1 pull request left out (P01/core/pullRequests/6): Gone.",
        "files/metadata: 1 folder left out (P01/files/metadata/docs/a): Gone.",
    ]


def test_many_objects_are_named_by_their_projects(left_out: LeftOut, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(20):
        left_out.know(f"issues/{number}", None, number % 2 + 1)
        left_out.refuse(f"issues/{number}/comments", None, Cause.ROLE, "")
    (line,) = lines(left_out, caplog)
    assert line.startswith("issues/comments: 20 issues left out (of P01, P02): ")


def test_what_is_collected_is_one_line(left_out: LeftOut, caplog: pytest.LogCaptureFixture) -> None:
    left_out.collect("Not compared: ", "projects/1/versions", ". A.")
    left_out.collect("Not compared: ", "projects/2/versions", ". B.", "1 {}")
    left_out.collect("Other: ", "projects/3", ".")
    assert lines(left_out, caplog) == [
        "Not compared: P01/versions, P02/versions (1 {}). A.",
        "Other: P03.",
    ]


@pytest.mark.parametrize(
    ("path", "params", "project", "subject"),
    [
        ("projects/1/webhooks", {}, "1", "projects/1"),
        ("projects/1/git/repositories/2/pullRequests", {}, "1", "projects/1/git/repositories/2"),
        ("projects/1/files/metadata", {}, "1", "projects/1"),
        ("projects/1/files/metadata/2024", {}, "1", "projects/1/files/metadata/2024"),
        ("issues", {"projectId[]": 1}, "1", "projects/1"),
        ("documents/tree", {"projectIdOrKey": 1}, "1", "projects/1"),
        ("issues/7/comments", {"count": 100}, None, "issues/7"),
        (f"documents/{DOCUMENT}", {}, None, f"documents/{DOCUMENT}"),
        ("users", {}, None, ""),
        ("space/diskUsage", {}, None, ""),
    ],
)
def test_a_request_is_about_an_object(path: str, params: Any, project: str | None, subject: str) -> None:
    assert project_of(path, params) == project
    assert subject_of(path, project) == subject


def test_streams_are_known_by_what_they_read() -> None:
    streams = [
        {"name": "issues", "$parameters": {"path": "issues"}},
        {"name": "files", "$parameters": {"path": "issues", "download": "issues/{issueId}/attachments/{id}"}},
        {"name": "comments", "$parameters": {"reads": ["issues", "issues/{}/comments"]}},
        {"name": "wikis", "$parameters": {"path": "wikis"}},
    ]
    assert streams_by_endpoint(streams, ["issues", "files", "comments"]) == {
        "issues": ["issues", "files", "comments"],
        endpoint_of("issues/1/attachments/2"): ["files"],
        "issues/{}/comments": ["comments"],
    }


# What the client notes


@pytest.fixture
def backlog(requests_mock: Any) -> Any:
    """The API, which has told its limits."""
    requests_mock.get(f"{BASE}rateLimit", json={})
    return requests_mock


def test_a_refusal_is_noted_and_a_probe_is_not(
    requester: BacklogRequester, space: Space, backlog: Any, caplog: pytest.LogCaptureFixture
) -> None:
    space.read_by(["issues/{}/comments"] * 2)
    backlog.get(f"{BASE}issues/1/comments", status_code=403, json=REFUSED)
    assert requester.get_json("issues/1/comments", probe=True) is None
    assert not requester.exists("issues/1/comments")
    assert lines(left_out_of(space), caplog) == []
    # The answer to the probe was kept for all who ask.
    assert requester.get_json("issues/1/comments") is None
    assert backlog.call_count == 3, "with the look at the rate limit"
    (line,) = lines(left_out_of(space), caplog)
    assert line.endswith("1 issue left out (1): the user of the key does not have the permission.")


@pytest.mark.parametrize(
    ("statuses", "cause"), [({"json": []}, Cause.OFF), ({"status_code": 404, "json": GONE}, Cause.LOST)]
)
def test_a_feature_that_is_off_is_told_from_a_project_that_is_lost(
    requester: BacklogRequester,
    space: Space,
    left_out: LeftOut,
    backlog: Any,
    caplog: pytest.LogCaptureFixture,
    statuses: Any,
    cause: Cause,
) -> None:
    look = backlog.get(f"{BASE}projects/1/statuses", **statuses)
    for path in ("projects/1/git/repositories", "projects/1/webhooks"):
        backlog.get(f"{BASE}{path}", status_code=404, json=GONE)
        assert requester.get_json(path) is None
    assert look.call_count == 1, "once per project"
    found = lines(left_out, caplog)
    assert all(line.endswith(cause.value) and "1 project left out (P01)" in line for line in found)


def test_every_project_has_issues(
    requester: BacklogRequester, space: Space, left_out: LeftOut, backlog: Any, caplog: pytest.LogCaptureFixture
) -> None:
    backlog.get(f"{BASE}issues", status_code=404, json=GONE)
    assert requester.get_json("issues", {"projectId[]": 1}) is None
    assert lines(left_out, caplog) == [f"issues: 1 project left out (P01): {AGAIN}"]


def test_a_file_that_is_refused_is_noted(
    requester: BacklogRequester, space: Space, backlog: Any, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    backlog.get(f"{BASE}issues/1/attachments/2", status_code=404, json=GONE)
    assert requester.download("issues/1/attachments/2", tmp_path / "file") is None
    (line,) = lines(left_out_of(space), caplog)
    assert line == (
        "issues/attachments: 1 file left out (issues/1/attachments/2): Backlog answers 'No such thing'. It was deleted "
        "or is no longer visible."
    )


def test_nobody_can_tell_of_what_may_not_be_read(
    requester: BacklogRequester, space: Space, backlog: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        backlog.get(f"{BASE}projects/1/pullRequests/{number}", status_code=403, json=REFUSED)
        assert not requester.is_missing(f"projects/1/pullRequests/{number}")
    assert lines(left_out_of(space), caplog) == [
        "Cannot tell whether these were deleted: projects/1/pullRequests/1, projects/1/pullRequests/2. The user of the "
        "key may not read them."
    ]
