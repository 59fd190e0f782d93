"""Projects come into sight, are renamed, archived, deleted; objects are refused. No row is lost, nothing else stops."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from airbyte_cdk.models import SyncMode

from integration_tests.emulator import Emulator
from integration_tests.emulator.generator import generate
from integration_tests.harness import Destination, catalog_streams, differences, sync
from integration_tests.histories import SHOWS

DAY = 86_400
INCREMENTAL = sorted(
    name
    for name, stream in catalog_streams().items()
    if SyncMode.incremental in (stream.supported_sync_modes or [])
    and name != "deletions"
    and not name.endswith(("_files", "_contents"))
)
# What the key's user or other users own, in whatever project.
OF_PEOPLE = {"notifications", "watchings", "user_stars"}
OF_PROJECTS = [name for name in INCREMENTAL if name not in OF_PEOPLE]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Two joined projects, one archived, and one that the key's user has not joined, each with everything in it."""
    space = generate(seed=3, projects=2, archived_projects=1, foreign_projects=1, issues=60)
    space.set_project_administrator("APP", "member")
    for project in space.projects.values():
        space.update_project(project, use_wiki=True, use_git=True, use_document=True, use_file_sharing=True)
        fill(space, project)
    space.advance(5 * DAY)
    with Emulator(space=space) as emulator:
        yield emulator


def fill(space: Any, project: Any) -> None:
    """Rows of every incremental stream."""
    by = next(user for user in project.all_members() if user is not space.user(None))
    file = space.add_shared_file(project, f"/設計/図 {len(project.files)}.png", by=by)
    version = space.create_version(project, f"1.{len(project.versions)}", by=by)
    category = space.create_category(project, "画面")
    issue = space.create_issue(
        project, "課題", by=by, attachments=[("a.png", 1)], versions=[version], milestones=[version],
        categories=[category], notify=[None],
    )  # fmt: skip
    for field in project.custom_fields:
        if field.type_id == 1:
            space.update_issue(issue, custom_fields={field: "値"}, by=by)
    space.relate_issues(issue, project.issues[0], by=by)
    space.link_shared_file(issue, file, by=by)
    space.add_external_link(issue, "https://drive.example.com/a", "設計書", by=by)
    space.add_star(issue, by=by)
    space.watch(issue)
    space.add_star(space.add_comment(issue, "コメント", by=by, notify=["member", None]), by=by)
    page = space.create_wiki(project, "ページ", "本文", tags=["設計"], by=by)
    space.attach_file_to_wiki(page, "a.png", by=by)
    space.link_shared_file_to_wiki(page, file)
    space.add_star(page, by=by)
    document = space.create_document(project, "文書", "本文", tags=["設計"], by=by)
    space.attach_file_to_document(document, "a.png", by=by)
    space.reply_to_document_comment(space.comment_document(document, "コメント", by=by), "返信", by=by)
    repository = space.create_repository(project, f"core-{project.id}-{len(project.repositories)}", by=by)
    space.push(repository, ["最初のコミット"], by=by)
    space.commit_to_subversion(project, "最初のコミット", by=by)
    request = space.create_pull_request(repository, "変更", attachments=[("a.log", 1)], by=by)
    space.add_star(request, by=by)
    space.update_pull_request(request, summary="別の変更", by=by)
    comment = space.comment_pull_request(request, "レビュー", notify=["member"], by=by)
    space.add_star(comment, by=by)


def wrong(emulator: Emulator, destination: Destination, streams: list[str], **view: Any) -> list[str]:
    return [
        line
        for stream in streams
        for line in differences(emulator, stream, destination.tables[stream], **view)
        if not any(f": {column} is " in line for column in SHOWS.get(stream, ()))
    ]


def foreign(emulator: Emulator) -> Any:
    """The project that the key's user does not see."""
    me = emulator.space.user(None)
    return next(project for project in emulator.space.projects.values() if me not in project.all_members())


@pytest.mark.parametrize("by_team", [False, True], ids=["joined", "joined with a team"])
def test_a_project_that_becomes_visible_is_read_from_its_beginning(emulator: Emulator, by_team: bool) -> None:
    space, project = emulator.space, foreign(emulator)
    destination = Destination()
    first = sync(emulator, INCREMENTAL)
    destination.load(first)
    space.advance(DAY)
    space.update_issue(space.project("WEB").issues[0], summary="ずっと後で")
    second = sync(emulator, INCREMENTAL, first.state)
    destination.load(second)
    for stream in OF_PROJECTS:
        assert project.id not in {row.get("projectId") for row in destination.tables[stream].values()}
    if by_team:
        space.add_project_team(project, space.create_team("後から", [None]))
    else:
        space.add_member(project, None, by="outsider")
    space.advance(DAY)
    third = sync(emulator, INCREMENTAL, second.state)
    destination.load(third)
    for stream in OF_PROJECTS:
        assert [row for row in third.rows[stream] if row.get("projectId") == project.id], f"{stream}: no history"
    assert not wrong(emulator, destination, INCREMENTAL)


def test_a_project_that_comes_back_has_what_happened_meanwhile(emulator: Emulator) -> None:
    space, project = emulator.space, emulator.space.project("APP")
    destination = Destination()
    first = sync(emulator, INCREMENTAL)
    destination.load(first)
    space.remove_member(project, None, by="outsider")
    space.advance(DAY)
    space.add_comment(project.issues[0], "見えない間に", by="member", notify=[None])
    space.update_issue(space.project("WEB").issues[0], summary="別のプロジェクト", by="member")
    space.add_comment(space.project("WEB").issues[0], "別のプロジェクト", by="member", notify=[None])
    fill(space, project)
    second = sync(emulator, INCREMENTAL, first.state)
    destination.load(second)
    gone = [text for text in second.warnings() if "no longer visible to the key" in text]
    assert gone == [
        f"Projects no longer visible to the key, or not selected: {project.id}. Their rows stay as they are."
    ]
    space.add_member(project, None, by="outsider")
    space.advance(DAY)
    third = sync(emulator, INCREMENTAL, second.state)
    destination.load(third)
    assert not wrong(emulator, destination, INCREMENTAL)


def test_a_project_added_to_the_option_is_read_from_its_beginning(emulator: Emulator) -> None:
    destination = Destination()
    first = sync(emulator, INCREMENTAL, projects=["WEB"])
    destination.load(first)
    assert not wrong(emulator, destination, INCREMENTAL, projects=["WEB"])
    emulator.space.advance(DAY)
    app = emulator.space.project("APP").id
    second = sync(emulator, INCREMENTAL, first.state, projects=["WEB", str(app)])
    destination.load(second)
    assert not wrong(emulator, destination, INCREMENTAL, projects=["WEB", app])


def test_with_projects_set_every_stream_holds_only_their_rows(emulator: Emulator) -> None:
    names = [name for name in catalog_streams() if not name.endswith(("_files", "_contents"))]
    web = emulator.space.project("WEB").id
    result = sync(emulator, names, projects=["web"])
    columns = {"projects": "id"}
    checked = 0
    for stream in names:
        if stream in OF_PEOPLE or stream.startswith("recently_") or stream == "space_disk_usage":
            # Of the user, or of the space as a whole.
            continue
        for row in result.rows[stream]:
            if (found := row.get(columns.get(stream, "projectId"))) is not None:
                if stream == "sync_coverage" and found != web:
                    # The space as a whole, and that the other projects are left out.
                    assert found == 0 or row["reason"] == "not_selected_project"
                    continue
                assert found == web, stream
                checked += 1
    assert checked > 200
    assert not [
        path for path in result.paths() if path.startswith("projects/") and not path.startswith(f"projects/{web}/")
    ]


def test_a_renamed_key_changes_nothing(emulator: Emulator) -> None:
    first = sync(emulator, INCREMENTAL)
    emulator.space.rename_project_key("WEB", "RENAMED")
    emulator.space.advance(DAY)
    second = sync(emulator, INCREMENTAL, first.state)
    project = emulator.space.project("RENAMED")
    assert len([row for row in second.rows["issues"] if row["projectId"] == project.id]) < len(project.issues)
    assert not second.warnings()
    emulator.space.add_comment(project.issues[0], "新しい名前")
    third = sync(emulator, INCREMENTAL, second.state)
    assert {row["issueKey"] for row in third.rows["issue_comments"]} == {project.issues[0].key}


@pytest.mark.parametrize("readable", [True, False])
def test_an_archived_project_stays_readable_or_is_taken_up_again(emulator: Emulator, readable: bool) -> None:
    """Some spaces may refuse the contents of archived projects: their rows stay, and nothing is missed later."""
    space, project = emulator.space, emulator.space.project("APP")
    space.settings.archived_readable = readable
    destination = Destination()
    first = sync(emulator, INCREMENTAL)
    destination.load(first)
    space.archive_project(project)
    space.advance(DAY)
    fill(space, project)
    second = sync(emulator, INCREMENTAL, first.state)
    destination.load(second)
    if readable:
        assert not wrong(emulator, destination, INCREMENTAL)
    else:
        (line,) = [text for text in second.warnings() if ": 1 project left out (APP): " in text]
        assert line.endswith("The next sync tries again.")
    fill(space, project)
    space.archive_project(project, False)
    space.advance(1)
    third = sync(emulator, INCREMENTAL, second.state)
    destination.load(third)
    assert not wrong(emulator, destination, INCREMENTAL)


def test_a_deleted_project_is_reported_and_stops_nothing(emulator: Emulator) -> None:
    space = emulator.space
    first = sync(emulator, INCREMENTAL)
    gone = space.project("APP").id
    space.delete_project("APP")
    space.advance(DAY)
    fill(space, space.project("WEB"))
    destination = Destination()
    destination.load(first)
    second = sync(emulator, INCREMENTAL, first.state)
    destination.load(second)
    # Once for all streams.
    (line,) = second.warnings()
    assert f"not selected: {gone}." in line
    missing = [line for line in wrong(emulator, destination, INCREMENTAL) if "should not be there" not in line]
    assert not missing


@pytest.mark.parametrize(
    ("path", "streams"),
    [
        (r"/issues$", ["issues", "issue_stars", "issue_comments"]),
        (r"/issues/\d+/comments$", ["issue_comments"]),
        (r"/wikis$", ["wikis", "wiki_history"]),
        (r"/wikis/\d+$", ["wikis"]),
        (r"/documents$", ["documents", "document_comments"]),
        (r"/documents/\w+/comments$", ["document_comments"]),
        (r"/repositories$", ["pull_requests", "pull_request_comments"]),
        (r"/pullRequests$", ["pull_requests"]),
        (r"/space/activities$", ["activities", "issues"]),
        (r"/notifications$", ["notifications"]),
    ],
)
@pytest.mark.parametrize("back_at_once", [False, True])
def test_a_project_that_vanishes_while_it_is_read_is_taken_up_again(
    emulator: Emulator, path: str, streams: list[str], back_at_once: bool
) -> None:
    """Its lists are then empty, and its objects not found: as if it had no rows."""
    space, project = emulator.space, emulator.space.project("APP")
    seen = 0

    def hook(request: Any) -> None:
        nonlocal seen
        if seen or re.search(path, request.path):
            seen += 1
        if seen == 1:
            space.remove_member(project, None, by="outsider")
        if seen == 3 and back_at_once:
            space.add_member(project, None, by="outsider")

    destination = Destination()
    result = None
    for first in (True, False):
        if not first:
            space.advance(DAY)
            space.add_comment(project.issues[0], "見えない間に", by="member", notify=[None])
            fill(space, project)
        seen = 0
        end = emulator.before_request(hook)
        result = sync(emulator, streams, result and result.state)
        end()
        destination.load(result)
        assert seen
        space.advance(1)
        space.add_member(project, None, by="outsider")
    result = sync(emulator, streams, result.state)
    destination.load(result)
    assert not wrong(emulator, destination, streams)


SETTINGS = ["projects", "statuses", "versions", "git_repositories", "deletions"]


@pytest.mark.parametrize("path", ["/issues$", "/activities$"])
@pytest.mark.parametrize("back_after", [1, 3, None])
@pytest.mark.parametrize("beside", [[], SETTINGS], ids=["alone", "beside settings"])
def test_a_project_that_is_lost_without_a_trace_is_taken_up_again(
    emulator: Emulator, path: str, back_after: int | None, beside: list[str]
) -> None:
    """The user leaves a team and comes back to it: no activity tells of either, and lists look empty in between."""
    streams = ["issues", "issue_comments", "activities"]
    space, project = emulator.space, emulator.space.project("APP")
    team = space.create_team("鍵の持ち主", [None])
    for other in list(project.teams):
        space.remove_project_team(project, other)
    space.add_project_team(project, team)
    space.remove_member(project, None)
    old, recent = project.issues[:2]
    space.advance(30 * DAY)
    space.update_issue(recent, summary="最近", by="member")
    destination = Destination()
    first = sync(emulator, [*beside, *streams])
    destination.load(first)
    space.advance(DAY)
    # Neither moves the stamp of the issue.
    space.add_comment(old, "コメントだけ", by="member")
    space.link_shared_file(old, space.add_shared_file(project, "/図.png", by="member"), by="member")
    seen = 0

    def hook(request: Any) -> None:
        nonlocal seen
        if seen or re.search(path, request.path):
            seen += 1
        if seen == 1:
            space.update_team(team, remove=[None])
        if seen == (back_after or 0) + 1 > 1:
            space.update_team(team, add=[None])

    end = emulator.before_request(hook)
    second = sync(emulator, [*beside, *streams], first.state)
    end()
    destination.load(second)
    assert back_after or space.user(None) not in project.all_members()
    space.update_team(team, add=[None])
    # Later changes must not make the position of the next sync later than what was missed.
    space.advance(5 * DAY)
    space.update_issue(recent, summary="その後", by="member")
    third = sync(emulator, [*beside, *streams], second.state)
    destination.load(third)
    assert not wrong(emulator, destination, streams)


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize(
    ("stream", "path"),
    [
        ("issue_comments", "issues/{}/comments"),
        ("related_issues", "issues/{}/relatedIssues"),
        ("wikis", "wikis/{}"),
        ("wiki_history", "wikis/{}/history"),
        ("document_comments", "documents/{}/comments"),
    ],
)
def test_one_refused_object_is_skipped_and_asked_for_again(
    emulator: Emulator, stream: str, path: str, status: int
) -> None:
    space, project = emulator.space, emulator.space.project("WEB")
    things = {"i": project.issues, "w": list(project.wikis.values()), "d": list(project.documents.values())}[path[0]]
    space.add_comment(project.issues[-1], "あり")
    thing = things[-1]
    emulator.faults.add(f"/{path.format(thing.id)}$", status=status, times=None)
    destination = Destination()
    first = sync(emulator, [stream])
    destination.load(first)
    (line,) = first.warnings()
    shown = thing.key if path.startswith("issues") else thing.id
    assert f"{stream}: 1 " in line and f" left out ({shown}): " in line
    of_thing = [
        row
        for row in emulator.truth(stream)
        if thing.id in [row.get(name) for name in ("issueId", "id", "pageId", "documentId")]
    ]
    missing = wrong(emulator, destination, [stream])
    assert 0 < len(missing) == len(of_thing), "what is missing is of the refused object alone"
    state = json.dumps([message.stream.stream_state.__dict__ for message in first.state])
    assert state.count('"activity"') == len(first.state[0].stream.stream_state.__dict__["states"]) > 1
    emulator.faults.clear()
    space.advance(DAY)
    second = sync(emulator, [stream], first.state)
    destination.load(second)
    assert not wrong(emulator, destination, [stream])
    third = sync(emulator, [stream], second.state)
    assert "skipped" not in json.dumps([message.stream.stream_state.__dict__ for message in third.state])


def test_an_object_deleted_between_list_and_child_is_no_obstacle(emulator: Emulator) -> None:
    space, doomed = emulator.space, emulator.space.project("WEB").issues[3]

    def hook(request: Any) -> None:
        if request.path.endswith("/comments") and doomed.id in space.issues:
            space.delete_issue(doomed)

    emulator.before_request(hook)
    first = sync(emulator, ["issue_comments"])
    destination = Destination()
    destination.load(first)
    missing = [line for line in wrong(emulator, destination, ["issue_comments"]) if "missing" in line]
    assert not missing
    space.advance(DAY)
    second = sync(emulator, ["issue_comments"], first.state)
    assert not [path for path in second.paths() if path == f"issues/{doomed.id}/comments"]
