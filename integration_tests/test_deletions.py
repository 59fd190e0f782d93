"""The stream `deletions`: which row arrives for every kind of deletion, from the feed and by comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from integration_tests.emulator import Emulator, Request, Space
from integration_tests.harness import Row, Sync, catalog_streams, sync
from source_backlog.streams.deletions import COMPARED, PULL_REQUESTS

# Streams that read a list which `deletions` compares.
LISTS = [
    "issue_types",
    "categories",
    "custom_fields",
    "webhooks",
    "git_repositories",
    "statuses",
    "versions",
    "project_users",
    "project_teams",
    "wikis",
    "users",
    "teams",
]
COLUMNS = set(catalog_streams()["deletions"].json_schema["properties"])


# Without a repr: that of an emulated space is endless, and pytest shows it when a test fails.
@dataclass(repr=False)
class Scenario:
    """What was deleted between two syncs, and the rows that the second one gave."""

    emulator: Emulator
    syncs: list[Sync] = field(default_factory=list)
    expected: dict[str, Row] = field(default_factory=dict)
    document: str = ""
    """The id of the document whose comments and replies were deleted."""

    def rows(self) -> dict[str, Row]:
        """The rows of the second sync by entity."""
        return {row["entity"]: row for row in self.syncs[1].rows["deletions"]}


def of_feed(identifier: Any, activity_type: int, name: str | None = None, key: str | None = None) -> Row:
    """What a row must hold when an activity reports the deletion."""
    return {
        "entityId": str(identifier),
        "entityKey": key,
        "entityName": name,
        "activityTypeId": activity_type,
        "method": "activity",
        "reason": "deleted",
    }


def by_comparison(identifier: Any, name: str | None, **more: Any) -> Row:
    """What a row must hold when a list shows the deletion."""
    return {
        "entityId": str(identifier),
        "entityKey": None,
        "entityName": name,
        "activityTypeId": None,
        "activityId": 0,
        "deletedByUserId": None,
        "deletedByUserName": None,
        "method": "comparison",
        "reason": "deleted",
        **more,
    }


@pytest.fixture(scope="module", params=[True, False], ids=["comments named", "comments not named"])
def scenario(request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """Everything that can be deleted is made, synced, deleted, synced and synced again.

    Whether the activities 42 and 45 name the comment of a document that is gone is not known.
    """
    quirks = {"document_comment_deletion_ids": request.param}
    with Emulator(seed=21, projects=2, issues=24, quirks=quirks) as emulator:
        space = emulator.space
        project = next(iter(space.projects.values()))
        repository = space.create_repository(project, "消える倉庫")
        kept_repository = project.repositories[0]
        issue = space.create_issue(project, "消す課題")
        wiki = space.create_wiki(project, "消すページ", "最後の内容")
        file = space.add_shared_file(project, "/設計/図面/消す図.png", 10)
        document = space.create_document(project, "消す文書", "本文")
        kept_document = space.create_document(project, "残す文書", "本文")
        comment = space.comment_document(kept_document, "消すコメント")
        kept_comment = space.comment_document(kept_document, "残すコメント")
        reply = space.reply_to_document_comment(kept_comment, "消す返信")
        deleted = space.create_pull_request(kept_repository, "消すPR")
        merged = space.create_pull_request(kept_repository, "取り込むPR")
        version = space.create_version(project, "消すマイルストーン")
        status = space.create_status(project, "消す状態")
        person = space.add_user("leaver", "去る 人")
        space.add_member(project, person)
        lost = space.add_user("lost", "消える 人")
        team, lost_team = space.create_team("去るチーム"), space.create_team("消えるチーム")
        space.add_project_team(project, team)
        kind = space.create_issue_type(project, "消す種別")
        category = space.create_category(project, "消すカテゴリー")
        custom_field = space.create_custom_field(project, "消す項目", 1)
        webhook = space.create_webhook(project, "消すフック")
        found = Scenario(emulator, document=kept_document.id)
        found.syncs.append(sync(emulator, ["deletions", "pull_requests", *LISTS]))

        space.advance(3600)
        by = space.user("member")
        space.delete_issue(issue, by=by)
        space.delete_wiki(wiki, by=by)
        space.delete_shared_file(file, by=by)
        space.delete_document(document, by=by)
        space.delete_document_comment(comment, by=by)
        space.delete_document_reply(reply, by=by)
        space.delete_pull_request(deleted, by=by)
        space.close_pull_request(merged, by=by)
        space.record(project, 21, merged.activity_content(comment=None), by)
        space.delete_version(project, version, by=by)
        space.delete_status(project, status, by=by)
        space.remove_member(project, person, by=by)
        space.remove_project_team(project, team, by=by)
        space.delete_issue_type(project, kind, project.issue_types[0])
        space.delete_category(project, category)
        space.delete_custom_field(project, custom_field)
        space.delete_webhook(project, webhook)
        space.delete_repository(repository)
        space.remove_user(lost)
        space.delete_team(lost_team)
        found.syncs.append(sync(emulator, ["deletions", "pull_requests", *LISTS], found.syncs[-1].state))
        found.syncs.append(sync(emulator, ["deletions", "pull_requests", *LISTS], found.syncs[-1].state))

        space_wide = {"projectId": None, "projectKey": None, "projectName": None}
        found.expected = {
            "issue": of_feed(issue.id, 4, key=issue.key),
            "wiki": of_feed(wiki.id, 7, "消すページ"),
            "shared_file": of_feed(file.id, 10, "/設計/図面/消す図.png"),
            "project_member": of_feed(person.id, 16, "去る 人"),
            "pull_request": of_feed(deleted.id, 21, "消すPR", str(deleted.number)),
            "version": of_feed(version.id, 24, "消すマイルストーン"),
            "project_team": of_feed(team.id, 26, "去るチーム"),
            "status": of_feed(status.id, 34, "消す状態"),
            "document": of_feed(document.id, 37, "消す文書"),
            "document_comment": of_feed(comment.id, 42),
            "document_comment_reply": of_feed(reply.id, 45),
            "issue_type": by_comparison(kind.id, "消す種別"),
            "category": by_comparison(category.id, "消すカテゴリー"),
            "custom_field": by_comparison(custom_field.id, "消す項目"),
            "webhook": by_comparison(webhook.id, "消すフック"),
            "git_repository": by_comparison(repository.id, "消える倉庫"),
            "user": by_comparison(lost.id, "消える 人", **space_wide),
            "team": by_comparison(lost_team.id, "消えるチーム", **space_wide),
        }
        where = {"projectId": project.id, "projectKey": project.key, "projectName": project.name}
        who = {"deletedByUserId": by.id, "deletedByUserName": by.name, "deletedAt": f"{space.now:%Y-%m-%dT%H:%M:%SZ}"}
        for entity, row in found.expected.items():
            found.expected[entity] = {**where, **(who if row["method"] == "activity" else {}), **row}
        if not request.param:
            for entity in OF_DOCUMENTS:
                del found.expected[entity]
        yield found


OF_DOCUMENTS = {"document_comment": 42, "document_comment_reply": 45}
ENTITIES = [
    "issue",
    "wiki",
    "shared_file",
    "project_member",
    "pull_request",
    "version",
    "project_team",
    "status",
    "document",
    "document_comment",
    "document_comment_reply",
    "issue_type",
    "category",
    "custom_field",
    "webhook",
    "git_repository",
    "user",
    "team",
]


@pytest.mark.parametrize("entity", ENTITIES)
def test_the_row_of_a_deletion(scenario: Scenario, entity: str) -> None:
    if entity not in scenario.expected:
        assert entity in OF_DOCUMENTS and entity not in scenario.rows()
        return
    row = scenario.rows()[entity]
    expected = scenario.expected[entity]
    assert {name: row.get(name) for name in expected} == expected
    assert row["deletedAt"]
    assert (row["activityId"] > 0) == (expected["method"] == "activity")
    assert set(row) <= COLUMNS
    assert Draft7Validator(catalog_streams()["deletions"].json_schema).is_valid(row)


def test_one_row_per_deleted_object_and_none_for_a_merged_pull_request(scenario: Scenario) -> None:
    found = sorted(row["entity"] for row in scenario.syncs[1].rows["deletions"])
    assert found == sorted(scenario.expected)
    assert set(ENTITIES) - set(found) in (set(), set(OF_DOCUMENTS))


def test_a_comment_that_no_activity_names_is_a_warning_with_the_document(scenario: Scenario) -> None:
    unnamed = set(ENTITIES) - set(scenario.expected)
    expected = [f"Backlog does not say which comments of these documents were deleted: {scenario.document}."]
    given = [text for text in scenario.syncs[1].warnings() if "does not say which" in text]
    assert given == (expected if unnamed else []), "one line for the comment and for the reply"
    assert not scenario.syncs[2].warnings()


def test_where_comments_were_read_before_the_warning_tells_the_remedy() -> None:
    with Emulator(seed=21, projects=1, issues=2, quirks={"document_comment_deletion_ids": False}) as emulator:
        space = emulator.space
        document = space.create_document(next(iter(space.projects.values())), "残す文書", "本文")
        comments = [space.comment_document(document, text) for text in ("消す", "次に消す", "残す")]
        unnamed = f"Backlog does not say which comments of these documents were deleted: {document.id}."
        remedy = (
            " All of their comments are read again in this sync: rows of theirs in document_comments that do not come "
            "again are gone."
        )
        streams, state = ["deletions", "document_comments"], None
        for comment, said in zip(comments, (unnamed, unnamed + remedy), strict=False):
            space.advance(3600)
            space.delete_document_comment(comment)
            result = sync(emulator, streams, state)
            state = result.state
            assert [text for text in result.warnings() if document.id in text] == [said]
        assert {row["id"] for row in result.rows["document_comments"]} == {comments[-1].id}


def test_nothing_comes_twice(scenario: Scenario) -> None:
    assert scenario.syncs[2].rows["deletions"] == []


def test_the_comparison_costs_no_request(scenario: Scenario) -> None:
    """The third sync reads the lists for their streams; `deletions` is answered from these."""
    paths = [(request.path, tuple(request.query)) for request in scenario.syncs[2].requests]
    assert len(paths) == len(set(paths))


def test_what_is_compared_is_what_the_manifest_says() -> None:
    with open("source_backlog/manifest.yaml", encoding="utf-8") as file:
        streams = yaml.safe_load(file)["streams"]
    compares = next(s["$parameters"]["compares"] for s in streams if s["$parameters"]["name"] == "deletions")
    assert sorted(compares) == sorted([*COMPARED, PULL_REQUESTS])


def test_without_the_lists_only_the_feed_and_the_projects_speak() -> None:
    with Emulator(seed=22, projects=1, issues=8) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        category = space.create_category(project, "消すカテゴリー")
        status = space.create_status(project, "消す状態")
        first = sync(emulator, ["deletions"])
        space.delete_category(project, category)
        space.delete_status(project, status)
        second = sync(emulator, ["deletions"], first.state)
        # The activity of a deleted status holds its name only.
        assert [(row["entity"], row["entityId"]) for row in second.rows["deletions"]] == [("status", "消す状態")]
        assert {path.split("?")[0] for path in second.paths()} <= {"rateLimit", "projects", "space/activities"}


# --- pull requests: activity 21 means "deleted" in the pages and "merged" in the SDKs ---


@pytest.mark.parametrize("details", [True, False], ids=["whole list", "list without attachments"])
@pytest.mark.parametrize("streams", [["deletions"], ["deletions", "pull_requests"]])
def test_a_pull_request_is_deleted_only_if_it_no_longer_answers(streams: list[str], details: bool) -> None:
    with Emulator(seed=23, projects=1, issues=8, quirks={"pull_request_list_details": details}) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        requests = [space.create_pull_request(project.repositories[0], f"PR {number}") for number in range(8)]
        first = sync(emulator, streams)
        for number, request in enumerate(requests):
            if number % 4:
                space.close_pull_request(request)
                space.record(project, 21, request.activity_content(comment=None), space.user("member"))
            else:
                space.delete_pull_request(request)
        second = sync(emulator, streams, first.state)
        found = [row["entityId"] for row in second.rows["deletions"]]
        assert found == [str(requests[0].id), str(requests[4].id)]
        asked = [path for path in second.paths() if path.rpartition("/")[2].isdigit()]
        # The list of another stream answers for those that are there; what it leaves out costs a request per row.
        completed = 0 if details else len(second.rows["pull_requests"])
        assert len(asked) == (2 + completed if "pull_requests" in streams else 8)
        assert not second.warnings()


def test_a_refused_pull_request_is_not_called_deleted() -> None:
    with Emulator(seed=24, projects=1, issues=8) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        space.add_member(project, "reporter")
        first = sync(emulator, ["deletions"], user="reporter")
        request = space.create_pull_request(project.repositories[0], "PR")
        space.close_pull_request(request)
        space.record(project, 21, request.activity_content(comment=None), space.user("member"))
        second = sync(emulator, ["deletions"], first.state, user="reporter")
        assert not second.rows["deletions"]
        assert [text for text in second.warnings() if "Cannot tell whether" in text]


def test_a_pull_request_of_a_project_with_git_switched_off_is_not_called_deleted() -> None:
    with Emulator(seed=25, projects=1, issues=8) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        first = sync(emulator, ["deletions", "git_repositories"])
        request = space.create_pull_request(project.repositories[0], "PR")
        space.close_pull_request(request)
        space.record(project, 21, request.activity_content(comment=None), space.user("member"))
        space.update_project(project, use_git=False)
        second = sync(emulator, ["deletions", "git_repositories"], first.state)
        assert not second.rows["deletions"]


# --- projects: deleted, archived, access lost ---


def change_projects(space: Space) -> dict[str, Any]:
    """Make four projects for the administrator and the member; the return value ends them, one in each way."""
    projects = {name: space.create_project(name.upper(), f"Project {name}") for name in ("del", "arc", "lost", "stay")}
    for project in projects.values():
        space.add_member(project, "member")
    return projects


def end_projects(space: Space, projects: dict[str, Any]) -> None:
    """One project is deleted, one archived, one left by both users."""
    space.delete_project(projects["del"])
    space.archive_project(projects["arc"])
    for user in ("administrator", "member"):
        space.remove_member(projects["lost"], user)


@pytest.mark.parametrize(
    ("user", "deleted", "lost"),
    [
        ("administrator", "deleted", "access_lost"),
        ("member", "deleted_or_access_lost", "deleted_or_access_lost"),
    ],
)
def test_deleted_archived_and_lost_projects_are_told_apart(user: str, deleted: str, lost: str) -> None:
    with Emulator(seed=26, projects=1, issues=8) as emulator:
        projects = change_projects(emulator.space)
        options = {"user": user, "include_archived_projects": False}
        first = sync(emulator, ["deletions"], **options)
        end_projects(emulator.space, projects)
        second = sync(emulator, ["deletions"], first.state, **options)
        found = {row["entityKey"]: row for row in second.rows["deletions"] if row["entity"] == "project"}
        assert {key: row["reason"] for key, row in found.items()} == {"DEL": deleted, "ARC": "archived", "LOST": lost}
        for name in ("del", "arc", "lost"):
            row = found[name.upper()]
            assert (row["entityId"], row["projectId"]) == (str(projects[name].id), projects[name].id)
            assert (row["method"], row["projectKey"]) == ("comparison", name.upper())
        assert not sync(emulator, ["deletions"], second.state, **options).rows["deletions"]


def test_an_archived_project_that_is_still_synced_has_not_gone() -> None:
    with Emulator(seed=27, projects=1, issues=8) as emulator:
        projects = change_projects(emulator.space)
        first = sync(emulator, ["deletions"])
        emulator.space.archive_project(projects["arc"])
        assert not sync(emulator, ["deletions"], first.state).rows["deletions"]


def test_a_project_that_is_not_selected_any_more_has_not_gone() -> None:
    with Emulator(seed=27, projects=1, issues=8) as emulator:
        projects = change_projects(emulator.space)
        first = sync(emulator, ["deletions"], projects=["DEL", "ARC", "STAY"], include_archived_projects=False)
        emulator.space.archive_project(projects["arc"])
        second = sync(emulator, ["deletions"], first.state, projects=["STAY"], include_archived_projects=False)
        assert not second.rows["deletions"]


# --- which projects, from when on ---


def test_only_deletions_in_the_selected_projects_arrive() -> None:
    with Emulator(seed=28, projects=3, issues=24) as emulator:
        space = emulator.space
        one, other, *_ = space.projects.values()
        options = {"projects": [one.key]}
        categories = [space.create_category(project, "消す") for project in (one, other)]
        first = sync(emulator, ["deletions", "categories"], **options)
        assert {row["projectId"] for row in first.rows["deletions"]} <= {one.id}
        gone = [space.create_issue(project, "消す") for project in (one, other)]
        for issue, project, category in zip(gone, (one, other), categories, strict=True):
            space.delete_issue(issue)
            space.delete_category(project, category)
        second = sync(emulator, ["deletions", "categories"], first.state, **options)
        found = {(row["entity"], row["entityId"]) for row in second.rows["deletions"]}
        assert found == {("issue", str(gone[0].id)), ("category", str(categories[0].id))}


def test_deletions_of_a_project_that_is_joined_later_arrive() -> None:
    with Emulator(seed=29, projects=1, issues=8) as emulator:
        space = emulator.space
        hidden = space.create_project("HIDDEN", "Not yet joined", by="outsider")
        before = space.create_issue(hidden, "Deleted before anybody looked", by="outsider")
        space.delete_issue(before, by="outsider")
        first = sync(emulator, ["deletions"])
        assert str(before.id) not in {row["entityId"] for row in first.rows["deletions"]}
        space.add_member(hidden, "administrator", by="outsider")
        second = sync(emulator, ["deletions"], first.state)
        assert [row["entityId"] for row in second.rows["deletions"]] == [str(before.id)]
        assert not sync(emulator, ["deletions"], second.state).rows["deletions"]


def test_nothing_older_than_the_start_date_arrives() -> None:
    with Emulator(seed=30, projects=1, issues=8) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        assert sync(emulator, ["deletions"]).rows["deletions"]
        start = f"{space.now:%Y-%m-%dT%H:%M:%SZ}"
        space.advance(60)
        issue = space.create_issue(project, "消す")
        space.delete_issue(issue)
        rows = sync(emulator, ["deletions"], start_date=start).rows["deletions"]
        assert [row["entityId"] for row in rows] == [str(issue.id)]


# --- lists that change, break off or are refused while they are read ---


def delete_at(emulator: Emulator, number: int, change: Callable[[], None]) -> Callable[[], None]:
    """Run `change` just before the request with this number is answered; the return value ends it."""
    count = 0

    def hook(request: Request) -> None:
        nonlocal count
        count += 1
        if count == number:
            change()

    return emulator.before_request(hook)


LISTS_FIRST = ["deletions", "versions", "statuses", "project_users", "issues"]
FEED_FIRST = ["issues", "deletions", "versions", "statuses", "project_users"]


@pytest.mark.parametrize(
    ("streams", "number"),
    [*((LISTS_FIRST, number) for number in range(1, 12, 2)), *((FEED_FIRST, number) for number in range(4, 12, 2))],
)
def test_a_deletion_in_the_middle_of_a_sync_comes_once(streams: list[str], number: int) -> None:
    """At any request of a sync: between the lists, the feed and what other streams have read of both."""
    with Emulator(seed=31, projects=1, issues=8) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        version, status = space.create_version(project, "消す版"), space.create_status(project, "消す状態")
        person = space.add_user("leaver", "去る 人")
        space.add_member(project, person)
        state = sync(emulator, streams).state

        def change() -> None:
            space.delete_version(project, version)
            space.delete_status(project, status)
            space.remove_member(project, person)

        end = delete_at(emulator, number, change)
        rows = []
        for _ in range(3):
            result = sync(emulator, streams, state)
            state = result.state
            rows += result.rows["deletions"]
        end()
        found = sorted((row["entity"], row["entityId"]) for row in rows)
        expected = [("project_member", person.id), ("status", status.id), ("version", version.id)]
        assert found == [(entity, str(identifier)) for entity, identifier in expected]


def test_a_sync_that_breaks_off_goes_on_from_its_last_page() -> None:
    with Emulator(seed=32, projects=1, issues=8) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        streams = ["deletions", "versions"]
        versions = [space.create_version(project, f"版 {number}") for number in range(350)]
        first = sync(emulator, streams)
        for version in versions:
            space.delete_version(project, version)
        emulator.faults.add("/space/activities", status=401, after=3, times=None)
        broken = sync(emulator, streams, first.state, fails=True)
        emulator.faults.clear()
        rest = sync(emulator, streams, broken.state)
        # Rows behind the last checkpoint come again, at most a page of them, as the same rows.
        rows = [*broken.rows["deletions"], *rest.rows["deletions"]]
        keys = {(row["entity"], row["entityId"], row["activityId"]) for row in rows}
        assert sorted(entity_id for _, entity_id, _ in keys) == sorted(str(version.id) for version in versions)
        assert len(broken.rows["deletions"]) > 100 and len(rows) - len(keys) <= 100
        assert not sync(emulator, streams, rest.state).rows["deletions"]


def test_a_list_that_is_refused_for_once_deletes_nothing() -> None:
    with Emulator(seed=33, projects=1, issues=8) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        category = space.create_category(project, "消す")
        streams = ["deletions", "categories"]
        first = sync(emulator, streams)
        emulator.faults.add("/categories", status=403, times=1)
        second = sync(emulator, streams, first.state)
        assert not second.rows["deletions"]
        assert any("categories" in text for text in second.warnings())
        space.delete_category(project, category)
        third = sync(emulator, streams, second.state)
        assert [row["entityId"] for row in third.rows["deletions"]] == [str(category.id)]


def test_members_who_go_without_an_activity_are_found_by_comparison() -> None:
    """Whoever leaves the space, or was a member only through a team, leaves no activity of his own."""
    with Emulator(seed=34, projects=1, issues=8) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        leaver, of_team = space.add_user("leaver", "去る 人"), space.add_user("teammate", "班 員")
        space.add_member(project, leaver)
        team = space.create_team("班", [of_team])
        space.add_project_team(project, team)
        first = sync(emulator, ["deletions", "project_users"])
        space.remove_user(leaver)
        space.remove_project_team(project, team)
        second = sync(emulator, ["deletions", "project_users"], first.state)
        found = {(row["entity"], row["entityId"], row["method"]) for row in second.rows["deletions"]}
        assert found == {
            ("project_member", str(leaver.id), "comparison"),
            ("project_member", str(of_team.id), "comparison"),
            ("project_team", str(team.id), "activity"),
        }


def test_what_the_feed_has_forgotten_is_found_where_a_complete_list_was_read() -> None:
    with Emulator(seed=35, projects=1, issues=8) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        version, wiki = space.create_version(project, "消す版"), space.create_wiki(project, "消すページ", "内容")
        status = space.create_status(project, "消す状態")
        streams = ["deletions", "versions", "wikis", "statuses"]
        first = sync(emulator, streams)
        space.delete_version(project, version)
        space.delete_wiki(wiki)
        space.delete_status(project, status)
        space.create_issue(project, "Later")
        space.trim_activities(keep=1)
        second = sync(emulator, streams, first.state)
        found = {(row["entity"], row["entityId"], row["method"]) for row in second.rows["deletions"]}
        assert found == {
            ("version", str(version.id), "comparison"),
            ("wiki", str(wiki.id), "comparison"),
            ("status", str(status.id), "comparison"),
        }
        assert any("no longer holds the activities" in text for text in second.warnings())


def test_nothing_reports_a_deleted_comment_or_attachment() -> None:
    """What the documentation says: comments and attachments show no deletion; an attachment's issue is read again."""
    with Emulator(seed=36, projects=1, issues=8) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        issue = space.create_issue(project, "課題", attachments=[("図.png", 10)])
        comment = space.add_comment(issue, "消すコメント")
        streams = ["deletions", "issues", "issue_comments", "issue_attachments"]
        first = sync(emulator, streams)
        space.advance(60)
        space.delete_comment(comment)
        second = sync(emulator, streams, first.state)
        assert not second.rows["deletions"]
        space.advance(60)
        space.remove_attachment(issue, issue.attachments[0])
        third = sync(emulator, streams, second.state)
        assert not third.rows["deletions"]
        again = [row for row in third.rows["issues"] if row["id"] == issue.id]
        assert again and again[-1]["attachments"] == []
