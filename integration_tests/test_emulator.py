"""The emulator does what the API reference says: parameters, windows, dates, roles, limits, tokens, faults, history."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any

import grimp
import pytest
import requests

from integration_tests.emulator import STREAMS, Emulator, Space, broken
from integration_tests.emulator.entities import Issue
from integration_tests.emulator.truth import DAYS

STRICT = [
    "/issues",
    "/issues/count",
    "/space/activities",
    "/projects/WEB/activities",
    "/users/{admin}/activities",
    "/users/{admin}/stars/count",
    "/users/{admin}/watchings",
]
TOLERANT = [
    "/projects",
    "/teams",
    "/issues/{issue}/comments",
    "/notifications",
    "/notifications/count",
    "/users/{admin}/stars",
    "/users/{admin}/watchings/count",
    "/wikis/{wiki}/history",
    "/projects/WEB/files/metadata/",
    "/users/myself/recentlyViewedIssues",
    "/users/myself/recentlyViewedProjects",
    "/users/myself/recentlyViewedWikis",
]


class Client:
    """Asks the emulator as one user."""

    def __init__(self, emulator: Emulator, user: str = "administrator") -> None:
        self.emulator = emulator
        self.session = requests.Session()
        self.session.headers["Backlog-API-Key"] = emulator.api_key(user)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.session.get(f"{self.emulator.url}/api/v2{path}", params=params, timeout=10)

    def json(self, path: str, **params: Any) -> Any:
        response = self.get(path, **params)
        assert response.status_code == 200, response.text
        return response.json()

    def error(self, path: str, **params: Any) -> tuple[int, int, str]:
        response = self.get(path, **params)
        error = response.json()["errors"][0]
        assert set(error) == {"message", "code", "moreInfo"}
        return response.status_code, error["code"], error["message"]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(seed=3, projects=4, issues=80) as running:
        yield running


@pytest.fixture
def client(emulator: Emulator) -> Client:
    return Client(emulator)


@pytest.fixture
def space(emulator: Emulator) -> Space:
    return emulator.space


def some_issue(space: Space) -> Issue:
    return space.project("WEB").issues[0]


def filled(space: Space, path: str) -> str:
    return path.format(
        admin=space.user(None).id, issue=some_issue(space).id, wiki=next(iter(space.project("WEB").wikis))
    )


def epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


# --- authentication and roles ----------------------------------------------------------------------------------------


def test_key_in_header_or_query(emulator: Emulator, client: Client) -> None:
    assert client.json("/users/myself")["userId"] == "admin"
    url, key = f"{emulator.url}/api/v2/users/myself", emulator.api_key("member")
    assert requests.get(url, params={"apiKey": key}, timeout=10).json()["userId"] == "member"
    # A key is no parameter of the endpoint, not even of a strict one.
    assert requests.get(f"{emulator.url}/api/v2/issues", params={"apiKey": key}, timeout=10).status_code == 200


def test_wrong_key(emulator: Emulator) -> None:
    response = requests.get(f"{emulator.url}/api/v2/space", headers={"Backlog-API-Key": "no"}, timeout=10)
    assert response.status_code == 401
    assert response.json() == {"errors": [{"message": "Authentication failure.", "code": 11, "moreInfo": ""}]}


def test_key_of_a_removed_user_dies(emulator: Emulator, space: Space) -> None:
    member = Client(emulator, "member")
    member.json("/users/myself")
    space.remove_user("member")
    assert member.error("/users/myself")[:2] == (401, 11)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/space/diskUsage", {"administrator"}),
        ("/projects/WEB/diskUsage", {"administrator"}),
        ("/users", {"administrator", "project_administrator"}),
        ("/teams", {"administrator", "project_administrator"}),
        ("/projects/WEB/webhooks", {"administrator", "project_administrator"}),
        ("/projects/WEB/files/metadata/", {"administrator", "project_administrator", "member", "guest"}),
        ("/projects/WEB/git/repositories", {"administrator", "project_administrator", "member", "guest"}),
        ("/space/licence", {"administrator", "project_administrator", "member", "guest", "reporter", "viewer"}),
        ("/issues", {"administrator", "project_administrator", "member", "guest", "reporter", "viewer"}),
        (
            "/wikis?projectIdOrKey=WEB",
            {"administrator", "project_administrator", "member", "guest", "reporter", "viewer"},
        ),
    ],
)
def test_roles(emulator: Emulator, path: str, allowed: set[str]) -> None:
    for persona in ("administrator", "project_administrator", "member", "guest", "reporter", "viewer"):
        response = Client(emulator, persona).get(path)
        assert response.status_code == (200 if persona in allowed else 403), persona
        if response.status_code == 403:
            assert response.json()["errors"][0]["code"] == 5


def test_status_of_missing_rights_is_configurable(emulator: Emulator, space: Space) -> None:
    space.settings.role_error_status = 401
    assert Client(emulator, "member").error("/users")[:2] == (401, 5)


def test_project_administrator_of_another_project_sees_no_webhooks(emulator: Emulator, space: Space) -> None:
    space.set_project_administrator("WEB", "project_administrator", False)
    leader = Client(emulator, "project_administrator")
    assert leader.error("/projects/WEB/webhooks")[:2] == (403, 5)
    assert leader.get("/projects/APP/webhooks").status_code == 200


def test_visibility_follows_membership(emulator: Emulator, space: Space) -> None:
    guest = Client(emulator, "guest")
    assert [project["projectKey"] for project in guest.json("/projects")] == ["WEB"]
    assert {issue["projectId"] for issue in guest.json("/issues", count=100)} == {space.project("WEB").id}
    assert guest.error("/projects/APP/statuses") == (404, 6, "No project.")
    hidden = space.project("APP").issues[0]
    assert guest.error(f"/issues/{hidden.id}") == (404, 6, "No issue.")
    assert {
        activity["project"] and activity["project"]["projectKey"]
        for activity in guest.json("/space/activities", count=100)
    } <= {"WEB", None}
    space.add_member("APP", "guest")
    assert guest.json(f"/issues/{hidden.key}")["id"] == hidden.id


def test_a_team_brings_its_members(emulator: Emulator, space: Space, client: Client) -> None:
    guest = Client(emulator, "guest")
    team = space.create_team("新チーム", ["guest"])
    space.add_project_team("APP", team)
    assert len(guest.json("/projects")) == 2
    ids = {user["id"] for user in client.json("/projects/APP/users")}
    direct = {user["id"] for user in client.json("/projects/APP/users", excludeGroupMembers="true")}
    assert space.user("guest").id in ids - direct


def test_all_projects_are_for_administrators(emulator: Emulator, client: Client) -> None:
    joined = {project["projectKey"] for project in client.json("/projects")}
    everything = {project["projectKey"] for project in client.json("/projects", all="true")}
    assert everything - joined == {"SECRET"}
    assert client.error("/projects/SECRET/statuses") == (404, 6, "No project.")
    member = Client(emulator, "member")
    assert member.json("/projects", all="true") == member.json("/projects")
    emulator.space.quirks.all_projects = "refused to others"
    assert len(client.json("/projects", all="true")) == len(everything)
    assert member.error("/projects", all="true")[:2] == (403, 5)
    emulator.space.quirks.all_projects = "ignored"
    assert client.json("/projects", all="true") == client.json("/projects")
    emulator.space.quirks.all_projects = "refused"
    assert client.error("/projects", all="true")[:2] == (400, 7)


def test_archived_projects(client: Client, space: Space) -> None:
    def keys(**params: Any) -> set[str]:
        return {project["projectKey"] for project in client.json("/projects", **params)}

    assert keys(archived="true") == {"OLD"}
    assert keys(archived="false") | {"OLD"} == keys()
    assert client.get("/projects/OLD/statuses").status_code == 200
    space.settings.archived_readable = False
    assert client.error("/projects/OLD/statuses") == (404, 6, "No project.")
    assert "OLD" in keys()
    assert space.project("OLD").id not in {issue["projectId"] for issue in client.json("/issues", count=100)}


@pytest.mark.parametrize(("status", "code"), [(404, 6), (403, 2)])
def test_features_switched_off(client: Client, space: Space, status: int, code: int) -> None:
    space.settings.feature_off_status = status
    space.update_project("WEB", use_wiki=False, use_git=False, use_file_sharing=False, use_document=False)
    document = next(iter(space.project("WEB").documents))
    for path in (
        "/wikis?projectIdOrKey=WEB",
        filled(space, "/wikis/{wiki}"),
        "/projects/WEB/git/repositories",
        "/projects/WEB/files/metadata/",
        "/documents/tree?projectIdOrKey=WEB",
        f"/documents/{document}",
    ):
        assert client.error(path)[:2] == (status, code), path
    assert space.project("WEB").id not in {each["projectId"] for each in client.json("/documents", offset=0, count=100)}


# --- parameters and errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", STRICT)
def test_unknown_parameters_are_rejected(client: Client, space: Space, path: str) -> None:
    assert client.error(filled(space, path), test=1) == (400, 7, "error.unknownParameter : test")


@pytest.mark.parametrize("path", TOLERANT)
def test_unknown_parameters_are_ignored(client: Client, space: Space, path: str) -> None:
    assert client.json(filled(space, path), test=1) == client.json(filled(space, path))


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/issues", {"count": 0}),
        ("/issues", {"count": 101}),
        ("/issues", {"count": "many"}),
        ("/issues", {"offset": -1}),
        ("/issues", {"sort": "keyId"}),
        ("/issues", {"order": "down"}),
        ("/issues", {"updatedSince": "2026-06-01T00:00:00Z"}),
        ("/issues", {"updatedSince": "2026-02-30"}),
        ("/issues", {"updatedSince": "20260601"}),
        ("/issues", {"hasDueDate": "true"}),
        ("/issues", {"parentChild": 11}),
        ("/issues", {"projectId[]": "WEB"}),
        ("/issues/{issue}/comments", {"count": 101}),
        ("/space/activities", {"activityTypeId[]": 50}),
        ("/projects/WEB/files/metadata/", {"count": 1001}),
        ("/documents", {}),
        ("/documents/tree", {}),
        ("/documents/count", {}),
        ("/users/{admin}/stars/count", {"since": "yesterday"}),
    ],
)
def test_wrong_values(client: Client, space: Space, path: str, params: dict[str, Any]) -> None:
    assert client.error(filled(space, path), **params)[:2] == (400, 7)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/projects/NONE", "No project."),
        ("/projects/999/versions", "No project."),
        ("/issues/WEB-99999", "No issue."),
        ("/issues/1", "No issue."),
        ("/wikis/1", "No wiki page."),
        ("/documents/" + "0" * 32, "No document."),
        ("/users/1", "No user."),
        ("/activities/1", "No activity."),
        ("/projects/WEB/git/repositories/none", "No Git repository."),
        ("/projects/WEB/files/metadata/nowhere", "No directory."),
    ],
)
def test_missing_things(client: Client, path: str, message: str) -> None:
    assert client.error(path) == (404, 6, message)


def test_defaults(client: Client) -> None:
    assert len(client.json("/issues")) == 20
    assert len(client.json("/space/activities")) == 20
    created = [issue["created"] for issue in client.json("/issues", count=100)]
    assert created == sorted(created, reverse=True)


# --- windows ---------------------------------------------------------------------------------------------------------


def page(client: Client, offset: int, **params: Any) -> list[int]:
    return [issue["id"] for issue in client.json("/issues", offset=offset, count=10, **params)]


def test_offset_pages_cover_everything_once(client: Client, emulator: Emulator) -> None:
    for sort in ("created", "updated", "summary", "dueDate"):
        ids = [i for offset in range(0, 100, 10) for i in page(client, offset, sort=sort, order="asc")]
        assert sorted(ids) == sorted(row["id"] for row in emulator.truth("issues"))


def test_an_update_during_the_read_skips_a_row_in_ascending_order_of_updates(client: Client, space: Space) -> None:
    everything = page(client, 0, sort="updated", order="asc") + page(client, 10, sort="updated", order="asc")
    first = page(client, 0, sort="updated", order="asc")
    space.update_issue(first[0], summary="動いた課題")
    second = page(client, 10, sort="updated", order="asc")
    assert everything[10] not in first + second


def test_an_update_does_not_move_rows_in_order_of_creation(client: Client, space: Space) -> None:
    before = page(client, 10, sort="created", order="asc")
    space.update_issue(page(client, 0, sort="created", order="asc")[0], summary="動かない課題")
    assert page(client, 10, sort="created", order="asc") == before
    space.delete_issue(page(client, 0, sort="created", order="asc")[0])
    assert page(client, 9, sort="created", order="asc") == before


def test_equal_stamps_are_in_a_stable_order_that_is_not_by_id(client: Client, space: Space) -> None:
    made = [issue.id for issue in space.bulk_create_issues("WEB", [f"同時 {n}" for n in range(30)])]
    ids = page(client, 0, sort="created", order="desc") + page(client, 10, sort="created", order="desc")
    assert set(ids) < set(made)
    assert ids not in (sorted(ids), sorted(ids, reverse=True))
    assert ids[:10] == page(client, 0, sort="created", order="desc")


def test_hook_changes_data_between_pages(emulator: Emulator, client: Client, space: Space) -> None:
    issue = some_issue(space)

    def change(request: Any) -> None:
        if request.value("offset") == "10":
            space.update_issue(issue, summary="割り込み")

    stop = emulator.before_request(change)
    page(client, 0)
    assert issue.summary != "割り込み"
    page(client, 10)
    assert issue.summary == "割り込み"
    stop()
    assert not emulator.server.hooks


def activity_ids(client: Client, **params: Any) -> list[int]:
    return [activity["id"] for activity in client.json("/space/activities", **params)]


def test_id_windows_are_inclusive(client: Client, space: Space) -> None:
    ids = activity_ids(client, count=100, order="asc")
    assert ids == sorted(ids)
    assert activity_ids(client, minId=ids[3], maxId=ids[6], order="asc") == ids[3:7]
    space.settings.inclusive_ids = False
    assert activity_ids(client, minId=ids[3], maxId=ids[6], order="asc") == ids[4:6]


def test_min_id_in_descending_order_gives_the_newest_page(client: Client) -> None:
    newest = activity_ids(client, count=5)
    oldest = activity_ids(client, count=1, order="asc")[0]
    assert activity_ids(client, count=5, minId=oldest) == newest
    assert activity_ids(client, count=5, minId=oldest, order="asc")[0] == oldest


def test_walking_the_comments_by_id(client: Client, space: Space) -> None:
    issue = max(space.project("WEB").issues, key=lambda each: len(each.comments))
    for number in range(5):
        space.add_comment(issue, f"コメント {number}")
    found: list[int] = []
    while True:
        window = {"minId": found[-1]} if found else {}
        rows = [row["id"] for row in client.json(f"/issues/{issue.id}/comments", order="asc", count=3, **window)]
        new = [identity for identity in rows if identity not in found]
        if not new:
            break
        found += new
    assert found == [comment.id for comment in issue.comments]


def test_wiki_history_is_paged_by_version(client: Client, space: Space) -> None:
    wiki = space.create_wiki("WEB", "版の多いページ", "1")
    for number in range(2, 6):
        space.update_wiki(wiki, content=str(number))
    rows = client.json(f"/wikis/{wiki.id}/history", minId=2, maxId=4, order="asc")
    assert [(row["pageId"], row["version"], row["content"]) for row in rows] == [
        (wiki.id, 2, "2"),
        (wiki.id, 3, "3"),
        (wiki.id, 4, "4"),
    ]


def test_shared_files_are_listed_directory_by_directory(client: Client, space: Space) -> None:
    found, queue = [], [""]
    while queue:
        path = queue.pop()
        rows = client.json("/projects/WEB/files/metadata/" + requests.utils.quote(path), order="asc")
        assert {row["dir"] for row in rows} <= {f"/{path}/" if path else "/"}
        found += rows
        queue += [(row["dir"] + row["name"]).strip("/") for row in rows if row["type"] == "directory"]
    assert {row["id"] for row in found} == set(space.project("WEB").files)
    assert any(row["dir"].count("/") > 3 for row in found)


# --- dates -----------------------------------------------------------------------------------------------------------


def test_days_are_cut_at_midnight_of_the_space(client: Client, space: Space) -> None:
    space.set_now(datetime(2026, 7, 1, 14, 59, 59, tzinfo=UTC))
    before = space.create_issue("WEB", "23:59:59 JST").id
    space.advance(1)
    after = space.create_issue("WEB", "0:00:00 JST").id

    def ids(**params: Any) -> set[int]:
        return {issue["id"] for issue in client.json("/issues", count=100, **params)} & {before, after}

    assert ids(updatedSince="2026-07-01") == {before, after}
    assert ids(updatedSince="2026-07-02") == {after}
    assert ids(updatedUntil="2026-07-01") == {before}
    assert ids(createdSince="2026-07-02", createdUntil="2026-07-02") == {after}
    assert client.json("/issues/count", updatedSince="2026-07-01") == {"count": 2}


def test_another_time_zone() -> None:
    with Emulator(seed=1, projects=1, issues=0, timezone="America/New_York") as emulator:
        space, client = emulator.space, Client(emulator)
        assert client.json("/space")["timezone"] == "America/New_York"
        space.set_now(datetime(2026, 7, 2, 3, 59, 59, tzinfo=UTC))
        space.create_issue("WEB", "still the first")
        assert client.json("/issues/count", updatedSince="2026-07-02") == {"count": 0}
        space.advance(1)
        space.create_issue("WEB", "the second")
        assert client.json("/issues/count", updatedSince="2026-07-02") == {"count": 1}


def test_calendar_days_are_midnight_utc(client: Client, space: Space) -> None:
    issue = space.create_issue("WEB", "期限", start_date="2026-07-01", due_date="2026-07-15")
    row = client.json(f"/issues/{issue.id}")
    assert (row["startDate"], row["dueDate"]) == ("2026-07-01T00:00:00Z", "2026-07-15T00:00:00Z")
    assert issue.id in {
        row["id"] for row in client.json("/issues", dueDateSince="2026-07-15", dueDateUntil="2026-07-15")
    }


# --- rate limits -----------------------------------------------------------------------------------------------------


def test_rate_limits_by_category() -> None:
    with Emulator(projects=1, issues=0, rate_limit={"read": 5, "search": 2}) as emulator:
        client = Client(emulator)
        now = time.time()
        first = client.get("/issues")
        assert first.headers["X-RateLimit-Limit"] == "2"
        assert first.headers["X-RateLimit-Remaining"] == "1"
        assert now <= int(first.headers["X-RateLimit-Reset"]) <= now + 61
        assert client.get("/wikis").headers["X-RateLimit-Remaining"] == "0"
        refused = client.get("/issues/count")
        assert refused.status_code == 429
        assert refused.json()["errors"][0]["code"] == 13
        assert refused.headers["X-RateLimit-Remaining"] == "0"
        # Documents and the rate limit itself are reads.
        assert client.get("/documents", offset=0).headers["X-RateLimit-Remaining"] == "4"
        assert client.json("/rateLimit")["rateLimit"]["read"] == {
            "limit": 5,
            "remaining": 3,
            "reset": int(client.get("/space").headers["X-RateLimit-Reset"]),
        }
        assert client.get("/space/image").headers["X-RateLimit-Limit"] == "1000000"
        assert emulator.limits.refused == 1


def test_rate_limits_are_of_the_user_and_shared_with_other_programs() -> None:
    with Emulator(projects=1, issues=0, rate_limit={"read": 5}) as emulator:
        emulator.consume("read", 4)
        client = Client(emulator)
        assert client.get("/space").headers["X-RateLimit-Remaining"] == "0"
        assert client.get("/space").status_code == 429
        assert Client(emulator, "member").get("/space").headers["X-RateLimit-Remaining"] == "4"
        emulator.limits.set(read=10)
        assert client.get("/space").headers["X-RateLimit-Remaining"] == "4"


def test_windows_end_at_their_reset() -> None:
    with Emulator(projects=1, issues=0, rate_limit={"read": 1}, window_seconds=1) as emulator:
        client = Client(emulator)
        reset = int(client.get("/space").headers["X-RateLimit-Reset"])
        time.sleep(max(0.0, reset - time.time()) + 0.01)
        assert client.get("/space").status_code == 200


def test_headers_are_on_errors_too(client: Client) -> None:
    for path in ("/projects/NONE", "/issues?test=1", "/nothing"):
        response = client.get(path)
        assert response.status_code >= 400
        assert int(response.headers["X-RateLimit-Remaining"]) > 0
    assert abs(parsedate_to_datetime(client.get("/space").headers["Date"]).timestamp() - time.time()) < 5


# --- OAuth -----------------------------------------------------------------------------------------------------------


def token(emulator: Emulator, **form: str) -> requests.Response:
    credentials = {"client_id": "emulator-client", "client_secret": "emulator-secret"}
    return requests.post(f"{emulator.url}/api/v2/oauth2/token", data={**credentials, **form}, timeout=10)


def ask(emulator: Emulator, access_token: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {access_token}"}
    return requests.get(f"{emulator.url}/api/v2/users/myself", headers=headers, timeout=10)


def test_authorization_code_and_rotating_refresh_tokens(emulator: Emulator) -> None:
    code = emulator.oauth.authorize("member")
    first = token(emulator, grant_type="authorization_code", code=code, redirect_uri="https://example.com").json()
    assert first["token_type"] == "Bearer" and first["expires_in"] == 3600
    assert ask(emulator, first["access_token"]).json()["userId"] == "member"
    second = token(emulator, grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert ask(emulator, second["access_token"]).json()["userId"] == "member"
    for form in (
        {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]},
        {"grant_type": "authorization_code", "code": code},
    ):
        refused = token(emulator, **form)
        assert refused.status_code == 400
        assert refused.json()["error"] == "invalid_grant" and refused.json()["error_description"]
    assert token(emulator, grant_type="refresh_token", refresh_token=second["refresh_token"]).status_code == 200


def test_wrong_client_and_grant_type(emulator: Emulator) -> None:
    assert token(emulator, grant_type="refresh_token", client_secret="no").json()["error"] == "invalid_client"
    assert token(emulator, grant_type="password").json()["error"] == "unsupported_grant_type"


def test_access_tokens_expire_on_the_clock_of_the_space(emulator: Emulator, space: Space) -> None:
    tokens = emulator.oauth.issue()
    space.advance(3599)
    assert ask(emulator, tokens["access_token"]).status_code == 200
    space.advance(1)
    expired = ask(emulator, tokens["access_token"])
    assert expired.status_code == 401
    assert b"errors" not in expired.content
    challenge = 'Bearer error="invalid_token", error_description="The access token expired"'
    assert expired.headers["WWW-Authenticate"] == challenge
    assert "is invalid" in ask(emulator, "nonsense").headers["WWW-Authenticate"]


# --- what actions do and do not do -----------------------------------------------------------------------------------


def test_what_moves_updated_and_what_leaves_activities(client: Client, space: Space) -> None:
    issue = space.create_issue("WEB", "観察する課題")
    file = space.add_shared_file("WEB", "/観察.txt", 5)
    comment = space.add_comment(issue, "最初")
    actions = {
        "field": (lambda: space.update_issue(issue, summary="変更"), True, [2]),
        "field with comment": (lambda: space.update_issue(issue, comment="そして", status=2), True, [2]),
        "same value": (lambda: space.update_issue(issue, status=2), False, []),
        "plain comment": (lambda: space.add_comment(issue, "コメント"), False, [3]),
        "comment edited": (lambda: space.edit_comment(comment, "編集"), False, []),
        "notification added": (lambda: space.add_comment_notification(comment, ["member"]), False, [17]),
        "star": (lambda: space.add_star(issue, by="member"), False, []),
        "attachment": (lambda: space.attach_file(issue, "a.txt"), True, [2]),
        "file linked": (lambda: space.link_shared_file(issue, file), False, [2]),
        "file unlinked": (lambda: space.unlink_shared_file(issue, file), False, []),
        "file linked through the API": (lambda: space.link_shared_file(issue, file, through_api=True), False, []),
        "bulk": (lambda: space.bulk_update_issues([issue], priority=2), True, [14]),
        "dates": (lambda: space.update_issue_dates([issue], start_date="2026-07-01", due_date=None), True, [35]),
        "comment deleted": (lambda: space.delete_comment(comment), False, []),
    }
    for name, (act, moves, types) in actions.items():
        before = client.json(f"/issues/{issue.id}")["updated"]
        last = activity_ids(client, count=1)[0]
        space.advance(60)
        act()
        assert (client.json(f"/issues/{issue.id}")["updated"] != before) is moves, name
        new = client.json("/space/activities", minId=last + 1, count=100)
        assert [activity["type"] for activity in new] == types, name


def test_setting_for_comments_that_bump(client: Client, space: Space) -> None:
    space.settings.comment_bumps_updated = True
    issue = some_issue(space)
    space.advance(60)
    space.add_comment(issue, "動かす")
    assert epoch(client.json(f"/issues/{issue.id}")["updated"]) == space.clock


def test_other_activities(client: Client, space: Space) -> None:
    last = activity_ids(client, count=1)[0]
    space.delete_issue(space.create_issue("WEB", "一つ目"))
    space.delete_wiki(space.create_wiki("WEB", "頁", "最後の内容"))
    document = space.create_document("WEB", "文書")
    comment = space.comment_document(document, "コメント")
    space.delete_document_reply(space.reply_to_document_comment(comment, "返信"))
    space.delete_document_comment(comment)
    space.trash_document(document)
    space.delete_shared_file(space.add_shared_file("WEB", "/消す.txt"))
    space.delete_pull_request(space.create_pull_request(space.project("WEB").repositories[0], "PR"))
    space.delete_version("WEB", space.create_version("WEB", "版"))
    space.delete_status("WEB", space.create_status("WEB", "状態"))
    space.add_member("WEB", space.add_user("new", "新人"))
    space.remove_member("WEB", "new")
    space.bulk_create_issues("WEB", ["一", "二"])
    new = client.json("/space/activities", minId=last + 1, order="asc", count=100)
    types = [1, 4, 5, 7, 36, 40, 43, 45, 42, 37, 8, 10, 18, 21, 22, 24, 34, 15, 16, 47]
    assert [activity["type"] for activity in new] == types
    content = {activity["type"]: activity["content"] for activity in new}
    assert set(content[4]) == {"id", "key_id"}
    assert content[7]["content"] == "最後の内容"
    assert content[37] == {"id": document.id, "title": "文書"}
    assert [each["title"] for each in content[47]["link"]] == ["一", "二"]
    assert all(activity["notifications"] == [] for activity in new)


def test_notifications_show_in_the_single_activity_only(client: Client, space: Space) -> None:
    comment = space.add_comment(some_issue(space), "お知らせ", notify=["member"])
    listed = client.json("/space/activities", count=1)[0]
    assert listed["notifications"] == []
    single = client.json(f"/activities/{listed['id']}")
    assert [each["user"]["userId"] for each in single["notifications"]] == ["member"]
    row = client.json(f"/issues/{comment.issue.id}/comments", count=1)[0]
    assert [each["user"]["userId"] for each in row["notifications"]] == ["member"]


def test_creation_with_notified_people_leaves_a_pseudo_comment(client: Client, space: Space) -> None:
    issue = space.create_issue("WEB", "知らせる課題", notify=["member"])
    (comment,) = client.json(f"/issues/{issue.id}/comments")
    assert comment["changeLog"][0]["field"] == "notification"
    assert comment["changeLog"][0]["notificationInfo"] == {"type": "issue.create"}


def test_trimmed_feed(client: Client, space: Space) -> None:
    ids = activity_ids(client, count=100)
    assert space.trim_activities(keep=10) > 0
    left = activity_ids(client, count=100)
    assert left == [identity for identity in ids[:10] if identity in left]
    assert activity_ids(client, order="asc", minId=1, count=100) == sorted(left)


def test_moved_and_renamed_issues_keep_their_ids(client: Client, space: Space) -> None:
    issue = some_issue(space)
    old = issue.key
    space.move_issue(issue, "APP")
    assert client.error(f"/issues/{old}")[:2] == (404, 6)
    row = client.json(f"/issues/{issue.id}")
    assert row["issueKey"].startswith("APP-") and row["projectId"] == space.project("APP").id
    assert {each["projectId"] for each in client.json(f"/issues/{issue.id}/comments")} == {row["projectId"]}
    space.rename_project_key("APP", "APP2")
    assert client.json(f"/issues/{issue.id}")["issueKey"].startswith("APP2-")
    assert client.json(f"/issues/{issue.id}")["updated"] == row["updated"]


def test_shared_objects_change_inside_issues(client: Client, space: Space) -> None:
    issue = some_issue(space)
    client.json(f"/issues/{issue.id}")
    space.update_status("WEB", issue.status, name="新しい名前")
    space.update_user(issue.updated_user, name="新 姓名")
    row = client.json(f"/issues/{issue.id}")
    assert row["status"]["name"] == "新しい名前" and row["updatedUser"]["name"] == "新 姓名"


def test_documents_in_the_trash(client: Client, space: Space) -> None:
    parent = space.create_document("WEB", "親")
    child = space.create_document("WEB", "子", parent=parent)
    space.trash_document(parent)

    def listed() -> set[str]:
        return {row["id"] for row in client.json("/documents", offset=0, count=100, sort="updated")}

    assert not listed() & {parent.id, child.id}
    tree = client.json("/documents/tree", projectIdOrKey="WEB")
    node = next(each for each in tree["trashTree"]["children"] if each["id"] == parent.id)
    assert [each["id"] for each in node["children"]] == [child.id]
    assert client.json(f"/documents/{child.id}")["statusId"] == 2
    space.settings.list_trashed_documents = True
    assert listed() >= {parent.id, child.id}


# --- what real servers were seen to do -------------------------------------------------------------------------------


def newest(client: Client, number: int = 1) -> Any:
    """The newest activity, or the last few, oldest first."""
    rows = client.json("/space/activities", count=number)[::-1]
    return rows[0] if number == 1 else rows


def test_a_comment_with_a_file_is_a_comment(client: Client, space: Space) -> None:
    issue = some_issue(space)
    space.advance(60)
    before = client.json(f"/issues/{issue.id}")
    comment = space.add_comment(issue, "添付します", attachments=[("図.png", 12)])
    after = client.json(f"/issues/{issue.id}")
    file = after["attachments"][-1]
    assert after["updated"] == before["updated"] and len(after["attachments"]) == len(before["attachments"]) + 1
    activity = newest(client)
    assert activity["type"] == 3
    content = activity["content"]
    assert content["comment"] == {"id": comment.id, "content": "添付します"}
    assert content["changes"] == [{"field": "attachment", "new_value": "図.png", "old_value": "", "type": "standard"}]
    assert content["attachments"] == [{"id": file["id"], "name": "図.png", "size": 12}]
    row = client.json(f"/issues/{issue.id}/comments/{comment.id}")
    assert row["changeLog"][0]["attachmentInfo"] == {"id": file["id"], "name": "図.png"}
    assert client.get(f"/issues/{issue.id}/attachments/{file['id']}").content
    space.attach_file(issue, "図2.png", 12)
    assert newest(client)["type"] == 2
    space.settings.comment_bumps_updated = True
    space.advance(60)
    space.add_comment(issue, "もう一つ", attachments=[("図3.png", 12)])
    assert epoch(client.json(f"/issues/{issue.id}")["updated"]) == space.clock


def test_a_file_on_a_wiki_page_moves_nothing(client: Client, space: Space) -> None:
    wiki = space.create_wiki("WEB", "添付のあるページ", "本文")
    assert newest(client)["content"]["version"] is None
    before = client.json(f"/wikis/{wiki.id}")
    space.advance(60)
    file = space.attach_file_to_wiki(wiki, "図.png", 12)
    activity = newest(client)
    assert activity["type"] == 6
    assert activity["content"]["attachments"] == [{"id": file.id, "name": "図.png", "size": 12}]
    assert activity["content"]["version"] is None and activity["content"]["diff"] is None
    assert [each["id"] for each in client.json(f"/wikis/{wiki.id}")["attachments"]] == [file.id]
    space.remove_wiki_attachment(wiki, file)
    assert newest(client)["id"] == activity["id"]
    assert client.json(f"/wikis/{wiki.id}") == before
    assert len(client.json(f"/wikis/{wiki.id}/history")) == 1


def test_the_feed_gives_ids_and_the_comment_names(client: Client, space: Space) -> None:
    web = space.project("WEB")
    issue = space.create_issue("WEB", "変更を見る", categories=[], assignee="member")
    version, category = web.versions[0], web.categories[0]
    fields: dict[str, Any] = {
        "status": 4,
        "resolution": 0,
        "assignee": "administrator",
        "milestones": [version],
        "versions": [version],
        "categories": [category],
        "due_date": "2026-07-23",
    }
    comment = space.update_issue(issue, **fields)
    assert comment is not None
    content = newest(client)["content"]
    assert content["comment"]["id"] == comment.id
    member, administrator = space.user("member").name, space.user(None).name
    assert {each["field"]: (each["new_value"], each["old_value"]) for each in content["changes"]} == {
        "status": ("4", "1"),
        "resolution": ("0", ""),
        "assigner": (administrator, member),
        "milestone": (f" {version.name}", ""),
        "version": (f" {version.name}", ""),
        "component": (f" {category.name}", ""),
        "limitDate": ("2026-07-23", ""),
    }
    assert {frozenset(each) for each in content["changes"]} == {frozenset({"field", "new_value", "old_value", "type"})}
    log = client.json(f"/issues/{issue.id}/comments/{comment.id}")["changeLog"]
    assert {each["field"]: (each["newValue"], each["originalValue"]) for each in log} == {
        "status": ("完了", "未対応"),
        "resolution": ("対応済み", None),
        "assigner": (administrator, member),
        "milestone": (version.name, None),
        "version": (version.name, None),
        "component": (category.name, None),
        "limitDate": ("2026-07-23", None),
    }
    space.quirks.field_text = True
    space.update_issue(issue, status=1)
    assert newest(client)["content"]["changes"][0]["field_text"] == "lbl.changelog.status"
    space.bulk_update_issues([issue], status=3, resolution=1, milestones=[web.versions[1]], due_date="2017-07-23")
    activity = newest(client)
    assert activity["type"] == 14
    assert {each["field"]: each["new_value"] for each in activity["content"]["changes"]} == {
        "status": "3",
        "resolution": "1",
        "milestone": web.versions[1].name,
        "limitDate": "2017/07/23",
    }


def test_the_feed_gives_ids_of_pull_requests_too(client: Client, space: Space) -> None:
    request = space.create_pull_request(space.project("WEB").repositories[0], "PR")
    comment = space.close_pull_request(request)
    assert comment is not None
    activity = newest(client)
    assert activity["type"] == 19 and activity["content"]["comment"]["id"] == comment.id
    assert activity["content"]["changes"] == [{"field": "status", "new_value": "3", "old_value": "1"}]
    path = f"/projects/WEB/git/repositories/{request.repository.id}/pullRequests/{request.number}/comments"
    assert client.json(path)[-1]["changeLog"] == [{"field": "status", "newValue": "Merged", "originalValue": "Open"}]


@pytest.mark.parametrize("named", [False, True])
def test_deleted_document_comments_may_not_be_named(client: Client, space: Space, named: bool) -> None:
    space.quirks.document_comment_deletion_ids = named
    page = space.create_document("WEB", "文書")
    comment = space.comment_document(page, "コメント")
    reply = space.reply_to_document_comment(comment, "返信")
    space.delete_document_reply(reply)
    space.delete_document_comment(comment)
    document = {"id": page.id, "title": "文書"}
    about = {"comment": {"id": comment.id, "content": "コメント"}}
    last = {"reply": {"id": reply.id, "content": "返信"}}
    assert [(each["type"], each["content"]) for each in newest(client, 2)] == [
        (45, document | about | last if named else document),
        (42, document | about if named else document),
    ]


def test_what_is_old_has_empty_texts_and_notifications_in_lists(client: Client, space: Space) -> None:
    """Each for itself in one space: what is fixed when it happens stays as it was."""
    for day, old in (("2026-07-01", True), ("", False)):
        space.quirks.old_until = day
        issue = space.create_issue("WEB", "いつの課題", notify=["member"])
        listed = newest(client)
        assert [each["user"]["userId"] for each in listed["notifications"]] == (["member"] if old else [])
        assert client.json(f"/activities/{listed['id']}")["notifications"]
        space.update_issue(issue, assignee="member", due_date="2026-07-23")
        told, changed = client.json(f"/issues/{issue.id}/comments", order="asc")
        assert [each["originalValue"] for each in changed["changeLog"]] == ([""] * 2 if old else [None] * 2)
        assert told["changeLog"][0]["newValue"] is None
        assert told["changeLog"][0]["notificationInfo"] == {"type": "issue.create"}


def test_half_of_the_generated_past_is_old(emulator: Emulator) -> None:
    def kinds(emulator: Emulator) -> tuple[set[str], bool]:
        originals = {repr(row["originalValue"]) for row in emulator.truth("issue_changelogs")}
        return originals & {"''", "None"}, any(row["notifications"] for row in emulator.truth("activities"))

    assert kinds(emulator) == ({"''", "None"}, True)
    assert kinds(Emulator(seed=3, projects=4, issues=80, quirks={"old_until": ""})) == ({"None"}, False)


@pytest.mark.parametrize(("limit", "expected"), [("cap", 100), ("refuse", 400), ("allow", 130)])
def test_pages_of_shared_files(client: Client, space: Space, limit: str, expected: int) -> None:
    space.quirks.shared_files_count = limit
    for number in range(130):
        space.add_shared_file("WEB", f"/多い/{number}.txt", 1)
    response = client.get("/projects/WEB/files/metadata/多い", count=1000)
    assert (len(response.json()) if response.status_code == 200 else response.status_code) == expected
    first = client.json("/projects/WEB/files/metadata/多い", count=100, order="asc")
    second = client.json("/projects/WEB/files/metadata/多い", count=100, order="asc", offset=100)
    assert len({each["id"] for each in first + second}) == 130


@pytest.mark.parametrize(
    ("kind", "on_the_wire"),
    [
        ("half_surrogate", b"cut \\ud83c!"),
        ("control", b"cut \x0b!"),
        ("cesu_8", b"cut \xed\xa0\xbc\xed\xbe\x89!"),
        ("byte", b"cut \xff!"),
        ("bom", b"cut !"),
    ],
)
def test_broken_texts(emulator: Emulator, client: Client, space: Space, kind: str, on_the_wire: bytes) -> None:
    issue = space.create_issue("WEB", f"cut {broken.PIECES[kind]}!")
    for path in (f"/issues/{issue.id}", "/issues", "/space/activities"):
        body = client.get(path).content
        assert on_the_wire in body, path
        assert body.startswith(b"\xef\xbb\xbf") == (kind == "bom")
    assert client.get("/priorities").content.isascii() is False and client.json("/priorities")
    row = next(row for row in emulator.truth("issues") if row["id"] == issue.id)
    assert row["summary"] == ("cut !" if kind == "bom" else "cut \ufffd!")


def test_one_object_may_fail_for_ever_and_a_list_be_refused(emulator: Emulator, client: Client, space: Space) -> None:
    issue = some_issue(space)
    emulator.faults.add(rf"^/api/v2/issues/{issue.id}/comments$", status=500, times=None)
    assert [client.get(f"/issues/{issue.id}/comments").status_code for _ in range(9)] == [500] * 9
    assert client.json(f"/issues/{space.project('WEB').issues[1].id}/comments") is not None
    assert client.json("/groups") == client.json("/teams")
    space.quirks.teams_refused = True
    assert client.error("/teams")[:2] == client.error("/groups")[:2] == (400, 7)
    assert emulator.truth("teams") == emulator.truth("team_members") == []
    assert emulator.truth("project_teams")


def test_ties_may_come_in_another_order_each_time(client: Client, space: Space) -> None:
    space.advance(60)
    made = {issue.id for issue in space.bulk_create_issues("WEB", [f"同時 {n}" for n in range(10)])}
    for number in range(10):
        space.create_document("WEB", f"同時 {number}")
        space.watch(some_issue(space))
    lists: dict[str, dict[str, Any]] = {
        "/issues": {"sort": "created", "order": "desc"},
        "/documents": {"offset": 0},
        filled(space, "/users/{admin}/watchings"): {"sort": "created"},
    }

    def orders(path: str) -> set[tuple[Any, ...]]:
        return {tuple(row["id"] for row in client.json(path, count=10, **lists[path])) for _ in range(5)}

    for path in lists:
        space.quirks.ties = "stable"
        assert len(orders(path)) == 1, path
        space.quirks.ties = "random"
        assert len(orders(path)) > 1, path
    assert all(set(order) == made for order in orders("/issues"))
    # What is not equal stays in order.
    created = [row["created"] for row in client.json("/issues", count=100, sort="created", order="asc")]
    assert created == sorted(created)


def test_lists_may_leave_fields_out(emulator: Emulator, client: Client, space: Space) -> None:
    repository = space.project("WEB").repositories[0]
    root = f"/projects/WEB/git/repositories/{repository.id}/pullRequests"
    request = space.create_pull_request(repository, "PR", attachments=[("差分.png", 5)])
    single = client.json(f"{root}/{request.number}")
    details = {"attachments", "stars"}
    assert set(single) - set(client.json(root)[0]) == details
    assert client.get(f"{root}/{request.number}/attachments/{single['attachments'][0]['id']}").content == (
        request.attachments[0].content()
    )
    space.quirks.pull_request_list_details = True
    assert client.json(root)[0] == single
    page = space.create_document("WEB", "文書", "本文")
    space.attach_file_to_document(page, "資料.pdf", 5)
    single = client.json(f"/documents/{page.id}")
    assert client.json("/documents", offset=0)[0] == single
    space.quirks.document_list_details = False
    assert set(single) - set(client.json("/documents", offset=0)[0]) == {"attachments", "json"}
    assert next(row for row in emulator.truth("documents") if row["id"] == page.id)["attachments"]


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        ("object", 200, b'{"content":null,"updated":null}'),
        ("204", 204, b""),
        ("empty", 200, b""),
        ("null", 200, b"null"),
    ],
)
def test_no_notice(kind: str, status: int, body: bytes) -> None:
    with Emulator(projects=1, issues=0, quirks={"no_notice": kind}) as emulator:
        client = Client(emulator)
        response = client.get("/space/notification")
        assert (response.status_code, response.content) == (status, body)
        assert len(emulator.truth("space_notification")) == (kind == "object")
        emulator.space.set_space_notification("お知らせ")
        assert client.json("/space/notification")["content"] == "お知らせ"
        assert len(emulator.truth("space_notification")) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [("0000-00-00", "0000-00-00T00:00:00Z"), ("", ""), ("2018/08/17", "2018/08/17")],
)
def test_odd_dates(emulator: Emulator, client: Client, space: Space, text: str, shown: str) -> None:
    web = space.project("WEB")
    field = next(each for each in web.custom_fields if each.type_id == 4)
    issue = space.create_issue("WEB", "日付", due_date=text, custom_fields={field: text})
    version = space.create_version("WEB", "日付", release_due_date=text, start_date="2026-07-01")
    row = client.json(f"/issues/{issue.id}")
    assert row["dueDate"] == shown
    assert next(each["value"] for each in row["customFields"] if each["id"] == field.id) == shown
    listed = next(each for each in client.json("/projects/WEB/versions") if each["id"] == version.id)
    assert (listed["startDate"], listed["releaseDueDate"]) == ("2026-07-01T00:00:00Z", shown)

    def expected(stream: str, **having: Any) -> Any:
        return next(row for row in emulator.truth(stream) if having.items() <= row.items())

    assert expected("issues", id=issue.id)["dueDate"] is None
    assert expected("versions", id=version.id)["releaseDueDate"] is None
    assert expected("versions", id=version.id)["startDate"] == "2026-07-01"
    assert expected("issue_custom_field_values", issueId=issue.id, customFieldId=field.id)["dateValue"] is None


def test_only_another_value_than_the_items(emulator: Emulator, client: Client, space: Space) -> None:
    web = space.project("WEB")
    choices = {each.type_id: each for each in web.custom_fields if each.type_id >= 5}
    issue = space.create_issue(
        "WEB", "その他だけ", other_values={field: f"その他 {kind}" for kind, field in choices.items()}
    )
    values = {each["fieldTypeId"]: each for each in client.json(f"/issues/{issue.id}")["customFields"]}
    for kind, field in choices.items():
        assert values[kind]["value"] is None and values[kind]["otherValue"] == f"その他 {kind}"
        rows = [
            row
            for row in emulator.truth("issue_custom_field_values")
            if (row["issueId"], row["customFieldId"]) == (issue.id, field.id)
        ]
        assert [(row["position"], row["itemId"], row["otherValue"]) for row in rows] == [(0, None, f"その他 {kind}")]


def test_fields_that_only_recordings_have(client: Client, space: Space) -> None:
    web = space.project("WEB")
    parent = space.create_document("WEB", "親", emoji="📗")
    child = space.create_document("WEB", "子", parent=parent)
    assert client.json(f"/documents/{parent.id}")["childDocumentIds"] == [child.id]
    space.mention_in_document(parent, "administrator", by="member")
    assert client.json("/notifications", count=1)[0]["document"] == client.json(f"/documents/{parent.id}")

    def node(tree: Any) -> Any:
        return next(each for each in tree["activeTree"]["children"] if each["id"] == parent.id)

    above = node(client.json("/documents/tree", projectIdOrKey="WEB"))
    below = above["children"][0]
    assert set(above) == {"id", "name", "emoji", "emojiType", "statusId", "updated", "children"}
    assert (above["emoji"], below["emoji"], above["statusId"]) == ("📗", "", 1)
    assert all("version" in each for each in client.json("/projects/WEB/customFields"))
    assert "useWikiTreeView" in newest(client)["project"]
    assert {each["hookUrl"] for each in client.json("/projects/WEB/git/repositories")} > {None}
    guest = next(each for each in client.json("/users") if each["userId"] is None)
    assert guest["nulabAccount"] == {"nulabId": None, "name": None, "uniqueId": None, "iconUrl": None}
    assert any(each["customFields"] == [] for each in client.json("/issues", count=100))

    joined = space.add_user("new", "新人", mail_address="new@example.com", lang="en")
    space.add_member("WEB", joined)
    space.remove_member("WEB", joined)
    person = {
        "id": joined.id,
        "userId": "new",
        "name": "新人",
        "roleType": 2,
        "lang": "en",
        "mailAddress": "new@example.com",
        "nulabAccount": None,
    }
    assert [(each["type"], each["content"]["users"]) for each in newest(client, 2)] == [(15, [person]), (16, [person])]
    space.delete_status("WEB", space.create_status("WEB", "状態"))
    assert set(newest(client)["content"]["change"]) == {"field", "new_value", "type"}
    version = space.create_version("WEB", "版", start_date="2026-07-01")
    space.update_version("WEB", version, name="新しい版", start_date="2026-07-11", release_due_date="2026-08-01")
    assert newest(client)["content"]["changes"] == [
        {"field": "name", "new_value": "新しい版", "old_value": "版"},
        {"field": "startDate", "new_value": "2026-07-11", "old_value": "2026-07-01"},
        {"field": "referenceDate", "new_value": "2026-08-01", "old_value": ""},
    ]
    details = client.json("/space/diskUsage")["details"]
    assert next(each for each in details if each["projectId"] == web.id)["document"] == web.usage["document"] > 0


@pytest.mark.parametrize(("quirk", "shown"), [("missing", "nothing"), ("null", None), ("empty", {})])
def test_a_tree_without_trash(emulator: Emulator, client: Client, space: Space, quirk: str, shown: Any) -> None:
    space.trash_document(space.create_document("WEB", "捨てる"))
    assert client.json("/documents/tree", projectIdOrKey="WEB")["trashTree"]["children"]
    assert any(row["trashed"] for row in emulator.truth("document_tree"))
    space.quirks.trash_tree = quirk
    assert client.json("/documents/tree", projectIdOrKey="WEB").get("trashTree", "nothing") == shown
    assert not any(row["trashed"] for row in emulator.truth("document_tree"))


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("図.png", "image/png"),
        ("手順.html", "text/html"),
        ("一覧.csv", "text/csv"),
        ("LICENSE", "application/octet-stream"),
    ],
)
def test_files_have_their_own_content_type(client: Client, space: Space, name: str, content_type: str) -> None:
    file = space.attach_file(some_issue(space), name, 5)
    response = client.get(f"/issues/{some_issue(space).id}/attachments/{file.id}")
    assert response.headers["Content-Type"] == content_type


def test_a_token_may_have_less_than_an_hour_left(emulator: Emulator, space: Space) -> None:
    space.quirks.token_seconds = 40
    tokens = emulator.oauth.issue()
    assert tokens["expires_in"] == 40
    space.advance(39)
    assert ask(emulator, tokens["access_token"]).status_code == 200
    space.advance(1)
    assert ask(emulator, tokens["access_token"]).status_code == 401


@pytest.mark.parametrize("path", ["/issues", "/issues/count"])
def test_a_project_that_is_not_joined_in_a_filter(client: Client, space: Space, path: str) -> None:
    ids = [space.project("WEB").id, space.project("SECRET").id]
    assert client.json(path, **{"projectId[]": ids}) == client.json(path, **{"projectId[]": ids[:1]})
    space.quirks.unjoined_projects = "404"
    assert client.error(path, **{"projectId[]": ids}) == (404, 6, "No project.")
    assert client.json(path, **{"projectId[]": ids[:1]})


def test_child_issues_are_summed_up_on_request(client: Client, space: Space) -> None:
    parent = space.create_issue("WEB", "親")
    children = [space.create_issue("WEB", "子", parent=parent) for _ in range(3)]
    space.update_issue(children[0], status=4)
    rows = client.json("/issues", **{"expand[]": "childIssueSummary", "id[]": [parent.id, children[0].id]})
    assert {row["id"]: row["childIssueSummary"] for row in rows} == {
        parent.id: {"total": 3, "closed": 1},
        children[0].id: {"total": 0, "closed": 0},
    }
    assert client.json(f"/issues/{parent.id}", **{"expand[]": "childIssueSummary"}) in rows
    assert "childIssueSummary" not in client.json("/issues", count=1)[0]
    space.quirks.child_issue_summary = "left out"
    assert "childIssueSummary" not in client.json("/issues", **{"expand[]": "childIssueSummary"})[0]
    space.quirks.child_issue_summary = "refused"
    assert client.error("/issues", **{"expand[]": "childIssueSummary"})[:2] == (400, 7)
    assert client.json("/issues", count=1)


def test_counts_follow_the_filters_of_the_list(client: Client, space: Space) -> None:
    web = space.project("WEB").id
    for filters in (
        {},
        {"projectId[]": web},
        {"statusId[]": 4},
        {"attachment": "true"},
        {"createdSince": "2026-01-01"},
    ):
        assert client.json("/issues/count", **filters) == {"count": len(client.json("/issues", count=100, **filters))}


def test_quirks_that_are_not_known(space: Space) -> None:
    with pytest.raises(ValueError, match="no quirk tie"):
        space.quirks.set(tie="random")
    with pytest.raises(ValueError, match="one of"):
        space.quirks.ties = "sometimes"
    with pytest.raises(ValueError, match="bool"):
        space.quirks.field_text = "yes"  # type: ignore[assignment]


# --- downloads and faults --------------------------------------------------------------------------------------------


def test_downloads(client: Client, space: Space) -> None:
    attachment = space.attach_file(some_issue(space), "構成 図.png", 1234)
    response = client.get(f"/issues/{some_issue(space).id}/attachments/{attachment.id}")
    assert response.content == attachment.content() and len(response.content) == 1234
    assert response.headers["Content-Disposition"] == (
        "attachment; filename*=UTF-8''%E6%A7%8B%E6%88%90%20%E5%9B%B3.png"
    )
    file = space.add_shared_file("WEB", "/資料/空.txt", 0)
    assert client.get(f"/projects/WEB/files/{file.id}").content == b""
    page = space.create_wiki("WEB", "添付", "")
    picture = space.attach_file_to_wiki(page, "図.png", 10)
    assert client.get(f"/wikis/{page.id}/attachments/{picture.id}").content == picture.content()


def test_faults(emulator: Emulator, client: Client) -> None:
    emulator.faults.add(r"^/api/v2/issues$", status=503, times=2, after=1)
    emulator.faults.add("/space$", kind="html", status=502)
    emulator.faults.add("/projects$", kind="invalid_json")
    emulator.faults.add("/priorities$", kind="empty")
    emulator.faults.add("/wikis$", body={"errors": []}, status=500, query="projectIdOrKey=WEB")
    assert [client.get("/issues").status_code for _ in range(4)] == [200, 503, 503, 200]
    page = client.get("/space")
    assert page.status_code == 502 and page.headers["Content-Type"].startswith("text/html")
    with pytest.raises(ValueError):
        client.get("/projects").json()
    assert client.get("/priorities").content == b""
    assert client.get("/wikis").status_code == 200
    assert client.get("/wikis", projectIdOrKey="WEB").json() == {"errors": []}
    assert [request.fault for request in emulator.requests if request.fault] == ["status"] * 2 + [
        "html",
        "invalid_json",
        "empty",
        "status",
    ]


def test_broken_connections(emulator: Emulator, client: Client) -> None:
    emulator.faults.add("/issues$", kind="reset")
    with pytest.raises(requests.ConnectionError):
        client.get("/issues")
    emulator.faults.add("/issues$", kind="truncate")
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        client.get("/issues")
    emulator.faults.add("/issues$", kind="slow", seconds=0.3)
    start = time.monotonic()
    assert client.get("/issues").status_code == 200
    assert time.monotonic() - start >= 0.3
    assert [request.status for request in emulator.requests] == [0, 200, 200]


# --- the generated space ---------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_space() -> None:
    with Emulator(seed=5, issues=40) as one, Emulator(seed=5, issues=40) as two, Emulator(seed=6, issues=40) as other:
        for stream in STREAMS:
            if stream not in ("space_notification", "licence", "rate_limit"):
                assert one.truth(stream) == two.truth(stream), stream
        assert one.truth("issues") != other.truth("issues")


@pytest.mark.parametrize("issues", [12, 60, 700])
def test_sizes(issues: int) -> None:
    emulator = Emulator(seed=1, issues=issues)
    assert len(emulator.space.issues) == issues
    assert all(rows for rows in map(emulator.truth, STREAMS))


DISPLAYED = {
    "summary": lambda row: row["summary"],
    "status": lambda row: row["status"]["name"],
    "assigner": lambda row: row["assignee"] and row["assignee"]["name"],
    "resolution": lambda row: row["resolution"] and row["resolution"]["name"],
    "limitDate": lambda row: row["dueDate"] and row["dueDate"][:10],
    "startDate": lambda row: row["startDate"] and row["startDate"][:10],
    "milestone": lambda row: ", ".join(each["name"] for each in row["milestone"]) or None,
    "actualHours": lambda row: None if row["actualHours"] is None else str(row["actualHours"]),
}


def test_values_agree_with_the_history() -> None:
    """The last change of a field is its value, and the change before ends where the next begins."""
    emulator = Emulator(seed=9, projects=3, issues=400)
    rows = {row["id"]: row for row in emulator.truth("issues")}
    log: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for change in sorted(emulator.truth("issue_changelogs"), key=lambda each: each["commentId"]):
        log.setdefault((change["issueId"], change["field"]), []).append(change)
    checked = 0
    for (identity, field), changes in log.items():
        if field not in DISPLAYED or any(change["newValue"] == "廃止する状態" for change in changes):
            # The showcase deletes this status, which no change log tells.
            continue
        assert DISPLAYED[field](rows[identity]) == changes[-1]["newValue"]
        for earlier, later in pairwise(changes):
            assert earlier["newValue"] == (later["originalValue"] or None)
        checked += 1
    assert checked > 200


def test_every_shape_is_there() -> None:
    emulator = Emulator(seed=2, issues=12)
    issues = emulator.truth("issues")
    values = [value for row in issues for value in row["customFields"]]
    assert {value["fieldTypeId"] for value in values} == set(range(1, 9))
    for kind in range(1, 9):
        shown = [value["value"] for value in values if value["fieldTypeId"] == kind]
        assert any(shown) and not all(shown)
    assert any(value.get("otherValue") for value in values)
    for name in ("assignee", "resolution", "dueDate", "parentIssueId", "estimatedHours", "description", "priority"):
        assert any(row[name] is None for row in issues), name
    assert any(row["createdUser"] is None for row in issues)
    assert any(row["resolution"] and row["resolution"]["id"] == 0 for row in issues)
    assert all(row["id"] > 2**30 for row in issues)
    types = {row["type"] for row in emulator.truth("activities")}
    assert types >= {*range(1, 27), 33, 34, 35, *range(36, 50)}
    assert any(row["project"] is None for row in emulator.truth("activities"))
    assert any("nulabAccount" not in row["createdUser"] for row in emulator.truth("activities"))
    comments = emulator.truth("issue_comments")
    assert {type(row["changeLog"]) for row in comments} == {list, type(None)}
    assert any(row["updated"] > row["created"] for row in comments)
    assert any(row["filePath"] for row in emulator.truth("pull_request_comments"))
    assert {row["trashed"] for row in emulator.truth("document_tree")} == {True, False}
    assert max(row["depth"] for row in emulator.truth("document_tree")) >= 2
    assert any(row["size"] is None for row in emulator.truth("shared_files"))
    files = {row["attachmentInfo"]["id"] for row in emulator.truth("issue_changelogs") if row["attachmentInfo"]}
    assert {row["id"] for row in emulator.truth("issue_attachments")} & files
    kinds = {type(row["attributeInfo"]["typeId"]) for row in emulator.truth("issue_changelogs") if row["attributeInfo"]}
    assert kinds == {int, str}


# --- truth and the interface tell the same ---------------------------------------------------------------------------


def test_truth_is_what_the_interface_shows(client: Client, emulator: Emulator) -> None:
    def same(stream: str, rows: list[dict[str, Any]]) -> None:
        expected = {row["id"]: row for row in emulator.truth(stream)}
        assert {row["id"] for row in rows} == set(expected), stream
        for row in rows:
            days = {name: row[name] and row[name][:10] for name in DAYS if name in row}
            assert {**row, **days}.items() <= expected[row["id"]].items(), stream

    issues = client.json("/issues", count=100)
    same("issues", issues)
    same("issue_comments", [row for each in issues for row in client.json(f"/issues/{each['id']}/comments", count=100)])
    same("users", client.json("/users"))
    same("projects", client.json("/projects", all="true"))
    same("documents", client.json("/documents", offset=0, count=100))
    same("wikis", [client.json(f"/wikis/{row['id']}") for row in client.json("/wikis")])
    same("notifications", client.json("/notifications", count=100))
    projects = client.json("/projects")
    for stream, path in {"versions": "versions", "issue_types": "issueTypes", "categories": "categories"}.items():
        same(stream, [row for each in projects for row in client.json(f"/projects/{each['id']}/{path}")])
    activities, minimum = [], 0
    while rows := client.json("/space/activities", order="asc", minId=minimum, count=100):
        activities += rows
        minimum = rows[-1]["id"] + 1
    same("activities", activities)


def test_truth_of_a_guest_and_of_chosen_projects(emulator: Emulator, space: Space) -> None:
    web = space.project("WEB")
    assert {row["projectId"] for row in emulator.truth("issues", user="guest")} == {web.id}
    assert emulator.truth("users", user="member") == []
    assert emulator.truth("git_repositories", user="viewer") == []
    chosen = emulator.truth("issue_comments", projects=["WEB"])
    assert {row["projectId"] for row in chosen} == {web.id}
    assert "OLD" not in {row["projectKey"] for row in emulator.truth("projects", archived=False)}


# --- other processes -------------------------------------------------------------------------------------------------


def test_command_line_and_control_interface() -> None:
    command = [sys.executable, "-m", "integration_tests.emulator", "--port", "0", "--issues", "20", "--projects", "2"]
    options = ["--rate-limit", "read=600", "--quirk", "no_notice=204", "--quirk", "token_seconds=60"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        control = f"http://{address}/_control"
        config = requests.get(f"{control}/config", timeout=10).json()
        assert config["domain"] == address
        api = requests.Session()
        api.headers["Backlog-API-Key"] = config["credentials"]["api_key"]
        made = requests.post(
            f"{control}/change/create_issue", json={"project": "WEB", "summary": "外から"}, timeout=10
        ).json()
        assert api.get(f"http://{address}/api/v2/issues/{made['id']}", timeout=10).json()["summary"] == "外から"
        comment = requests.post(
            f"{control}/change/add_comment", json={"issue": made["id"], "content": "外から"}, timeout=10
        ).json()
        requests.post(f"{control}/clock", json={"advance": 60}, timeout=10)
        edited = requests.post(
            f"{control}/change/edit_comment", json={"comment": comment["id"], "content": "編集"}, timeout=10
        ).json()
        assert edited["content"] == "編集" and edited["updated"] > comment["updated"]
        star = requests.post(f"{control}/change/add_star", json={"target": {"wiki": None}}, timeout=10)
        assert star.status_code == 400
        star = requests.post(f"{control}/change/add_star", json={"target": {"comment": comment["id"]}}, timeout=10)
        assert f"comment-{comment['id']}" in star.json()["url"]
        truth = requests.get(f"{control}/truth/issues", timeout=10).json()
        assert made["id"] in {row["id"] for row in truth}
        requests.post(f"{control}/faults", json={"path": "/space$", "status": 500}, timeout=10)
        quirks = requests.post(f"{control}/quirks", json={"ties": "random"}, timeout=10).json()
        assert (quirks["ties"], quirks["no_notice"], quirks["token_seconds"]) == ("random", "204", 60)
        assert requests.post(f"{control}/quirks", json={"ties": "never"}, timeout=10).status_code == 400
        assert requests.get(f"{control}/broken", timeout=10).json() == broken.PIECES
        assert api.get(f"http://{address}/api/v2/space", timeout=10).status_code == 500
        stats = requests.get(f"{control}/stats", timeout=10).json()
        assert stats["by_pattern"] == {"GET /api/v2/issues/{issue}": 1, "GET /api/v2/space": 1}
        last = requests.get(f"{control}/requests", params={"last": 1}, timeout=10).json()
        assert [request["path"] for request in last] == ["/api/v2/space"]
    finally:
        process.terminate()
        assert process.wait(10) == 0


# --- its modules -----------------------------------------------------------------------------------------------------


def test_no_module_imports_itself_over_others() -> None:
    """Imports inside functions and under ``TYPE_CHECKING`` count: who reads a module must know what stands below it."""
    package = "integration_tests.emulator"
    graph = grimp.build_graph("integration_tests", cache_dir=None)
    modules = sorted(module for module in graph.modules if module.startswith(f"{package}."))
    assert len(modules) > 30
    chains = (
        (importer, *graph.find_shortest_chain(imported, importer))
        for importer in modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if imported.startswith(package) and graph.chain_exists(importer=imported, imported=importer)
    )
    circles = {frozenset(chain): " → ".join(each.removeprefix(f"{package}.") for each in chain) for chain in chains}
    assert not circles, "\n".join(circles.values())
