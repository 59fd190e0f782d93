"""Promise 1, by columns: a field that Backlog sends is named in the schema, at every depth, and arrives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
import pytest
from jsonschema import Draft7Validator

from integration_tests.emulator import Emulator, Request
from integration_tests.harness import FILES_OF, Row, Sync, catalog_streams, sync
from unit_tests.test_docs import anonymous, code, documented, manifest_streams

# The rows of `deletions` are made of what happened, and those of files of bytes.
STREAMS = sorted(set(catalog_streams()) - {"deletions", "sync_coverage"} - set(FILES_OF))

# Stream -> the field of an answer's objects that holds its own. What is asked for each issue is the answer itself.
HELD_IN = {
    "custom_field_items": "items",
    "team_members": "members",
    **{
        name: stream["make"].partition(".")[2]
        for name, stream in manifest_streams().items()
        if "make" in stream and stream.get("reader") not in ("issue participants", "related issues")
    },
}
# Fields that become rows, or columns of another name.
NO_COLUMN = {
    "activity_changes": {"field_text", "new_value", "old_value"},
    "document_comments": {"replies"},
    "document_tree": {"children"},
    "git_push_revisions": {"rev"},
    "issue_custom_field_values": {"id", "value"},
    "space_disk_usage": {"details"},
    "svn_commits": {"rev"},
}
# A related issue is a row of `issues`; the relation repeats only what names it, in columns of its own.
ONLY_COLUMN = {"related_issues": {"type"}}


def unnamed(value: Any, schema: Row, path: str = "") -> Iterator[str]:
    """The fields of a value that its schema does not name; an object without `properties` is open on purpose."""
    if isinstance(value, dict) and "properties" in schema:
        for name, field in value.items():
            here = f"{path}.{name}".lstrip(".")
            if name in schema["properties"]:
                yield from unnamed(field, schema["properties"][name], here)
            else:
                yield here
    elif isinstance(value, list) and "items" in schema:
        for entry in value:
            yield from unnamed(entry, schema["items"], f"{path}[]")


def nested(nodes: Iterable[Row], field: str) -> Iterator[Row]:
    """The nodes and, in their list `field`, those below them."""
    for node in nodes:
        yield node
        yield from nested(node.get(field) or [], field)


def objects(stream: str, body: Any) -> Iterable[Row]:
    """The objects in an answer that become rows of the stream."""
    if stream == "rate_limit":
        return list(body["rateLimit"].values())
    if stream == "space_disk_usage":
        return [body, *body["details"]]
    if stream == "document_tree":
        return nested([*body["activeTree"]["children"], *body["trashTree"]["children"]], "children")
    if stream == "document_comments":
        return nested(body, "replies")
    if stream == "svn_commits":
        return [each["content"] for each in body if each["type"] == 11]
    if stream in ("activity_changes", "git_push_revisions"):
        return [one for each in body for one in each["content"].get(HELD_IN[stream]) or []]
    there = body if isinstance(body, list) else [body]
    held = HELD_IN.get(stream)
    return [each for one in there for each in one.get(held) or []] if held else there


class Space:
    """A space with something of everything, what it sent by endpoint, and what the connector made of it."""

    def __init__(self, emulator: Emulator) -> None:
        self.sent: dict[str, list[Any]] = defaultdict(list)
        self._give_everything(emulator)
        answer = emulator.server.answer

        def recorded(request: Request, raw_path: str) -> Any:
            given = answer(request, raw_path)
            if given.status == 200:
                self.sent[anonymous(request.pattern.removeprefix("/api/v2/"))].append(orjson.loads(given.body))
            return given

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(emulator.server, "answer", recorded)
            self.result: Sync = sync(emulator, STREAMS)

    def _give_everything(self, emulator: Emulator) -> None:
        """What the generator does not make: the administrator is told of a reply, a mention and a review."""
        space = emulator.space
        reader = space.user(None)
        project = next(place for place in space.visible_projects(reader, contents=True) if place.documents)
        document = next(iter(project.documents.values()))
        comment = space.comment_document(document, "ご確認ください", by=reader)
        space.reply_to_document_comment(comment, "確認しました", by="member")
        space.mention_in_document(document, reader, by="member")
        request = next(request for place in project.repositories for request in place.pull_requests)
        space.comment_pull_request(request, "行についてのコメント", notify=[reader], by="member")

    def objects(self, stream: str) -> list[Row]:
        """The objects of a stream, as they were sent."""
        endpoint = anonymous(code(documented()[stream]["Endpoint"])[-1])
        return [each for body in self.sent[endpoint] for each in objects(stream, body)]


@pytest.fixture(scope="module")
def space() -> Iterator[Space]:
    with Emulator(seed=7, projects=5, issues=260) as emulator:
        yield Space(emulator)


@pytest.mark.parametrize("stream", STREAMS)
def test_every_field_that_is_sent_is_in_the_schema(space: Space, stream: str) -> None:
    sent, schema = space.objects(stream), catalog_streams()[stream].json_schema
    assert sent, "nothing was sent"
    if stream in ONLY_COLUMN:
        sent = [{name: each[name] for name in ONLY_COLUMN[stream]} for each in sent]
    missing = {field for each in sent for field in unnamed(each, schema)} - NO_COLUMN.get(stream, set())
    assert not sorted(missing), f"source_backlog/schemas/{stream}.json lacks fields that Backlog sends"


@pytest.mark.parametrize("stream", STREAMS)
def test_every_field_that_is_sent_arrives(space: Space, stream: str) -> None:
    sent = {name for each in space.objects(stream) for name, value in each.items() if value is not None}
    given = {name for row in space.result.rows[stream] for name in row}
    lost = (sent & ONLY_COLUMN.get(stream, sent)) - given - NO_COLUMN.get(stream, set())
    assert not sorted(lost), f"rows of {stream} lack fields that Backlog sends"


@pytest.mark.parametrize("stream", STREAMS)
def test_every_field_of_a_row_is_in_the_schema(space: Space, stream: str) -> None:
    schema = catalog_streams()[stream].json_schema
    missing = {field for row in space.result.rows[stream] for field in unnamed(row, schema)}
    assert not sorted(missing), f"source_backlog/schemas/{stream}.json lacks columns that its rows have"


def test_a_notification_may_be_about_anything(space: Space) -> None:
    about = {name for each in space.objects("notifications") for name, value in each.items() if value is not None}
    assert {
        "issue",
        "comment",
        "pullRequest",
        "pullRequestComment",
        "document",
        "documentComment",
        "documentCommentReply",
    } <= about


# What recorded answers, the API's pages and the official SDKs show.

USER = {
    "id": 1,
    "userId": "yamada",
    "name": "山田",
    "roleType": 1,
    "lang": None,
    "mailAddress": "yamada@example.com",
    "nulabAccount": {"nulabId": None, "name": None, "uniqueId": None, "iconUrl": None},
    "keyword": "山田 yamada",
    "lastLoginTime": "2022-09-01T06:35:39Z",
}
# Of a member who joined or left, in an activity.
MEMBER = {"id": 2, "userId": "suzuki", "name": "鈴木", "roleType": 2, "lang": "ja", "mailAddress": "suzuki@example.com"}
PROJECT = {
    "id": 10,
    "projectKey": "WEB",
    "name": "Web",
    "chartEnabled": False,
    "subtaskingEnabled": True,
    "projectLeaderCanEditProjectLeader": False,
    "useWikiTreeView": True,
    "textFormattingRule": None,
    "archived": False,
    "displayOrder": 2147483646,
}
ATTACHMENT = {"id": 3, "name": "図.png", "size": 1024, "createdUser": USER, "created": "2024-05-01T00:00:00Z"}
DOCUMENT = {
    "id": "01939983409c79d5a06a49859789e38f",
    "projectId": 10,
    "title": "議事録",
    "plain": "本文",
    "json": "{}",
    "statusId": 1,
    "emoji": "",
    "attachments": [ATTACHMENT],
    "tags": [{"id": 4, "name": "会議"}],
    "createdUser": USER,
    "created": "2024-05-01T00:00:00Z",
    "updatedUser": None,
    "updated": "2024-05-02T00:00:00Z",
    "childDocumentIds": ["01939983409c79d5a06a49859789e390"],
}
STATUS = {"id": 1, "projectId": 10, "name": "未対応", "color": "#ed8077", "displayOrder": 1000}
VERSION = {
    "id": 5,
    "projectId": 10,
    "name": "1.0",
    "description": None,
    "startDate": None,
    "releaseDueDate": "2024-06-01T00:00:00Z",
    "archived": False,
    "displayOrder": -1,
}
ISSUE = {
    "id": 20,
    "projectId": 10,
    "issueKey": "WEB-1",
    "keyId": 1,
    "issueType": {"id": 6, "projectId": 10, "name": "バグ", "color": "#990000", "displayOrder": 0},
    "summary": "件名",
    "description": "",
    "resolution": {"id": 0, "name": "対応済み"},
    "priority": {"id": 3, "name": "中"},
    "status": STATUS,
    "assignee": USER,
    "category": [{"id": 7, "projectId": 10, "name": "画面", "displayOrder": 0}],
    "versions": [VERSION],
    "milestone": [VERSION],
    "startDate": None,
    "dueDate": "2024-06-01T00:00:00Z",
    "estimatedHours": 1.5,
    "actualHours": None,
    "parentIssueId": None,
    "createdUser": USER,
    "created": "2024-05-01T00:00:00Z",
    "updatedUser": USER,
    "updated": "2024-05-02T00:00:00Z",
    "customFields": [],
    "attachments": [ATTACHMENT],
    "sharedFiles": [],
    "externalFileLinks": [],
    "stars": [],
}
PULL_REQUEST = {
    "id": 30,
    "projectId": 10,
    "repositoryId": 31,
    "number": 1,
    "summary": "件名",
    "description": "",
    "base": "main",
    "branch": "topic",
    "status": {"id": 1, "name": "Open"},
    "assignee": None,
    "issue": ISSUE,
    "baseCommit": None,
    "branchCommit": None,
    "mergeCommit": None,
    "closeAt": None,
    "mergeAt": None,
    "createdUser": USER,
    "created": "2024-05-01T00:00:00Z",
    "updatedUser": USER,
    "updated": "2024-05-02T00:00:00Z",
    "attachments": [ATTACHMENT],
    "stars": [{"id": 8, "comment": None, "url": "https://acme.backlog.jp/git/WEB/app/pullRequests/1", "title": "件名"}],
}
COMMENT = {
    "id": 40,
    "projectId": 10,
    "issueId": 20,
    "content": None,
    "changeLog": [
        {
            "field": "assigner",
            "newValue": "山田",
            "originalValue": "",
            "attachmentInfo": None,
            "attributeInfo": None,
            "notificationInfo": None,
        },
        {"field": "limitDate", "newValue": None, "originalValue": "2017-07-23", "attachmentInfo": None},
        {
            "field": "notification",
            "newValue": None,
            "originalValue": None,
            "notificationInfo": {"type": "issue.create"},
        },
        {
            "field": "attachment",
            "newValue": "図.png",
            "originalValue": None,
            "attachmentInfo": {"id": 3, "name": "図.png"},
        },
        {"field": "環境", "newValue": "本番", "originalValue": "", "attributeInfo": {"id": "9", "typeId": "1"}},
    ],
    "createdUser": USER,
    "created": "2024-05-01T00:00:00Z",
    "updated": "2024-05-01T00:00:00Z",
    "stars": [],
    "notifications": [{"id": 41, "alreadyRead": True, "reason": 2, "user": USER, "resourceAlreadyRead": False}],
}
DOCUMENT_USER = {
    "id": 1,
    "userId": "yamada",
    "uniqueId": None,
    "name": "山田",
    "mailAddress": "yamada@example.com",
    "roleType": 255,
    "lang": "ja",
    "icon": None,
}
DOCUMENT_REPLY = {
    "id": "01939983409c79d5a06a49859789e392",
    "documentId": DOCUMENT["id"],
    "commentId": "01939983409c79d5a06a49859789e391",
    "content": "{}",
    "plain": "返信",
    "createdUserId": 1,
    "created": "2024-05-01T00:00:00Z",
    "updatedUserId": 1,
    "updated": "2024-05-01T00:00:00Z",
    "createdUser": DOCUMENT_USER,
}
DOCUMENT_COMMENT = {
    "id": "01939983409c79d5a06a49859789e391",
    "documentId": DOCUMENT["id"],
    "statusId": 1,
    "content": "{}",
    "plain": "コメント",
    "commentType": "comment",
    "createdUserId": 1,
    "created": "2024-05-01T00:00:00Z",
    "updatedUserId": None,
    "updated": "2024-05-01T00:00:00Z",
    "createdUser": DOCUMENT_USER,
}


def notification(**about: Any) -> Row:
    """A notification of the key's user."""
    told = {"id": 50, "alreadyRead": False, "reason": 14, "resourceAlreadyRead": False, "sender": USER}
    return {**told, "project": PROJECT, "created": "2024-05-01T00:00:00Z", **about}


def activity(kind: int, content: Row, **more: Any) -> Row:
    """An entry of the feed."""
    return {
        "id": 60,
        "project": PROJECT,
        "type": kind,
        "content": content,
        "notifications": [],
        "createdUser": USER,
        "created": "2024-05-01T00:00:00Z",
        **more,
    }


CHANGE = {"field": "status", "field_text": "状態", "new_value": "3", "old_value": "1", "type": "standard"}
STATUS_CHANGE = {"field": "status", "new_value": "1", "type": "standard"}
RECORDED = [
    ("documents", DOCUMENT),
    ("documents", {name: value for name, value in DOCUMENT.items() if name not in ("json", "attachments")}),
    ("document_comments", DOCUMENT_COMMENT),
    ("document_comments", DOCUMENT_REPLY),
    ("document_tree", {"id": DOCUMENT["id"], "name": "議事録", "emoji": ""}),
    (
        "document_tree",
        {
            "id": DOCUMENT["id"],
            "name": "議事録",
            "statusId": 1,
            "emojiType": "emoji",
            "updated": "2024-05-02T00:00:00Z",
        },
    ),
    ("notifications", notification(issue=ISSUE, comment=COMMENT)),
    (
        "notifications",
        notification(pullRequest=PULL_REQUEST, repository={"id": 31, "name": "app", "description": None}),
    ),
    (
        "notifications",
        notification(document=DOCUMENT, documentComment={**DOCUMENT_COMMENT, "replies": [DOCUMENT_REPLY]}),
    ),
    ("notifications", notification(document=DOCUMENT, documentCommentReply=DOCUMENT_REPLY)),
    ("custom_fields", {"id": 9, "typeId": 1, "name": "環境", "version": 1, "description": "", "required": False}),
    ("git_repositories", {"id": 31, "name": "app", "description": None, "hookUrl": "https://hooks.example.com/"}),
    ("pull_requests", PULL_REQUEST),
    ("issues", ISSUE),
    ("issue_comments", COMMENT),
    ("users", USER),
    ("space_disk_usage", {"projectId": 10, "issue": 1, "wiki": 1, "document": 1, "file": 1, "git": 1, "gitLFS": 1}),
    ("activities", activity(2, {"id": 20, "key_id": 1, "changes": [CHANGE]}, notifications=COMMENT["notifications"])),
    ("activities", activity(5, {"id": 70, "name": "Home", "content": "", "diff": None, "version": None})),
    ("activities", activity(15, {"users": [MEMBER], "group_project_activities": [], "comment": ""})),
    ("activities", activity(16, {"users": [MEMBER], "group_project_activities": [{"id": 61, "type": 16}]})),
    ("activities", activity(23, {"id": 5, "name": "1.0", "startDate": None, "changes": []})),
    ("activities", activity(34, {"deletedStatus": {"name": "保留"}, "link": [], "change": STATUS_CHANGE})),
]


@pytest.mark.parametrize(("stream", "sent"), RECORDED, ids=[stream for stream, _ in RECORDED])
def test_what_was_recorded_fits_the_schema(stream: str, sent: Row) -> None:
    schema = catalog_streams()[stream].json_schema
    assert not list(unnamed(sent, schema)), f"source_backlog/schemas/{stream}.json lacks recorded fields"
    assert not [f"{error.json_path}: {error.message}" for error in Draft7Validator(schema).iter_errors(sent)]
