"""The rows inside an activity: changed fields, pushed revisions, commits."""

from typing import Any

import pytest

from source_backlog.streams.activity_rows import MAKE

Row = dict[str, Any]

PROJECT = {"id": 1, "projectKey": "WEB", "name": "Web site"}
OF_ACTIVITY = {
    "activityId": 9,
    "projectId": 1,
    "projectKey": "WEB",
    "projectName": "Web site",
    "created": "2026-01-10T00:00:00Z",
    "createdUserId": 5,
    "createdUserName": "Hanako",
}
STATUS = {"field": "status", "new_value": "3", "old_value": "1", "type": "standard"}
EMPTY = {"fieldText": None, "type": None, "newId": None, "originalId": None, "customFieldId": None}


def activity(kind: Any, content: Any) -> Row:
    user = {"id": 5, "name": "Hanako"}
    made = {"id": 9, "type": kind, "project": PROJECT, "content": content, "createdUser": user}
    return {**made, "created": "2026-01-10T00:00:00Z"}


def rows(name: str, kind: Any, content: Any) -> list[Row]:
    return list(MAKE[name](activity(kind, content)))


def changes(kind: Any, content: Any) -> list[Row]:
    return rows("activity.changes", kind, content)


@pytest.mark.parametrize("name", ["activity.changes", "activity.revisions", "activity.rev"])
@pytest.mark.parametrize("kind", [2, 11, 12, 99, None])
@pytest.mark.parametrize("content", [None, [], "text", {}, {"changes": None, "revisions": "none", "link": 7}])
def test_a_content_of_any_other_shape_names_nothing(name: str, kind: Any, content: Any) -> None:
    found = rows(name, kind, content)
    # A commit is a row whatever it says.
    assert [row["revision"] for row in found] == ([None] if name == "activity.rev" and kind == 11 else [])


def test_the_activity_is_not_changed() -> None:
    given = activity(2, {"id": 7, "key_id": 3, "changes": [STATUS]})
    for name in ("activity.changes", "activity.revisions", "activity.rev"):
        list(MAKE[name](given))
    assert given == activity(2, {"id": 7, "key_id": 3, "changes": [STATUS]})


def test_each_changed_field_is_a_row_with_its_object_and_its_comment() -> None:
    content = {
        "id": 7,
        "key_id": 3,
        "summary": "Summary",
        "comment": {"id": 70, "content": ""},
        "changes": [
            STATUS,
            {"field": "milestone", "field_text": "Milestone", "new_value": " 1.0", "old_value": "", "type": "standard"},
            {"field": "attribute_12", "new_value": "3", "old_value": None, "type": "custom"},
        ],
    }
    common = {
        **OF_ACTIVITY,
        "activityTypeId": 2,
        "activityTypeName": "Issue Updated",
        "entity": "issue",
        "entityId": "7",
        "entityKey": "WEB-3",
        "entityName": "Summary",
        "commentId": 70,
    }
    status, milestone, custom = changes(2, content)
    assert status == {
        **common,
        **EMPTY,
        "position": 0,
        "field": "status",
        "type": "standard",
        "newValue": "3",
        "originalValue": "1",
        "newId": 3,
        "originalId": 1,
    }
    assert milestone == {
        **common,
        **EMPTY,
        "position": 1,
        "field": "milestone",
        "fieldText": "Milestone",
        "type": "standard",
        "newValue": " 1.0",
        "originalValue": "",
    }
    assert (custom["customFieldId"], custom["newValue"], custom["newId"]) == (12, "3", None)


def test_of_several_issues_each_has_a_row_per_field() -> None:
    link = [{"id": 7, "key_id": 3, "title": "One", "comment": {"id": 70}}, {"id": 8, "key_id": 4, "title": "Two"}]
    fields = [{"field": "status", "new_value": "3"}, {"field": "assigner", "new_value": "Hanako"}]
    found = changes(14, {"tx_id": 70, "comment": {"content": "all"}, "link": link, "changes": fields})
    assert [(row["position"], row["entityKey"], row["commentId"], row["field"], row["newId"]) for row in found] == [
        (0, "WEB-3", 70, "status", 3),
        (1, "WEB-3", 70, "assigner", None),
        (2, "WEB-4", None, "status", 3),
        (3, "WEB-4", None, "assigner", None),
    ]
    assert {row["originalValue"] for row in found} == {None}
    assert [row["entityName"] for row in found] == ["One", "One", "Two", "Two"]


def test_a_deleted_status_gives_its_issues_another_one_by_its_name() -> None:
    link = [{"id": 7, "key_id": 3, "title": "One"}]
    change = {"field": "status", "new_value": "4", "type": "standard"}
    (row,) = changes(34, {"deletedStatus": {"name": "Gone"}, "link": link, "change": change})
    assert (row["entityKey"], row["newValue"], row["newId"]) == ("WEB-3", "4", None)


@pytest.mark.parametrize(
    ("kind", "content", "entity", "key"),
    [
        (19, {"id": 30, "number": 2, "summary": "Pull"}, "pull_request", "2"),
        (23, {"id": 40, "name": "1.0"}, "version", None),
        (35, {"id": 7, "key_id": 3}, "issue", "WEB-3"),
        (33, {"id": 1}, None, None),
        (None, {}, None, None),
    ],
)
def test_the_object_goes_by_the_names_of_deletions(kind: Any, content: Row, entity: Any, key: Any) -> None:
    (row,) = changes(kind, {**content, "changes": [STATUS]})
    assert (row["entity"], row["entityKey"]) == (entity, key)
    assert row["entityId"] == (str(content["id"]) if content else None)


@pytest.mark.parametrize("value", ["", None, "三", "-1", "1.5", "対応済み", [], {}])
def test_what_is_no_id_is_null(value: Any) -> None:
    (row,) = changes(2, {"id": 7, "changes": [{"field": "resolution", "new_value": value, "old_value": "0"}]})
    assert (row["newId"], row["originalId"]) == (None, 0)


@pytest.mark.parametrize(
    ("ref", "branch"),
    [
        ("refs/heads/main", "main"),
        ("refs/heads/feature/1", "feature/1"),
        ("refs/tags/v1", None),
        (None, None),
        (7, None),
    ],
)
def test_each_pushed_revision_is_a_row(ref: Any, branch: Any) -> None:
    content = {
        "repository": {"id": 3, "name": "app", "description": None},
        "change_type": "update",
        "revision_type": "commit",
        "ref": ref,
        "revision_count": 5,
        "revisions": [{"rev": "a1", "comment": "First"}, {"rev": "b2", "comment": None}],
    }
    first, second = rows("activity.revisions", 12, content)
    common = {
        **OF_ACTIVITY,
        "activityTypeId": 12,
        "activityTypeName": "Git Pushed",
        "repositoryId": 3,
        "repositoryName": "app",
        "ref": ref,
        "branch": branch,
        "changeType": "update",
        "revisionType": "commit",
        "revisionCount": 5,
    }
    assert first == {**common, "position": 0, "revision": "a1", "comment": "First"}
    assert second == {**common, "position": 1, "revision": "b2", "comment": None}


@pytest.mark.parametrize(("rev", "revision"), [(120, "120"), ("120", "120"), (None, None)])
def test_a_commit_is_a_row_whose_number_is_text(rev: Any, revision: Any) -> None:
    assert rows("activity.rev", 11, {"rev": rev, "comment": "Message"}) == [
        {
            **OF_ACTIVITY,
            "activityTypeId": 11,
            "activityTypeName": "SVN Committed",
            "revision": revision,
            "comment": "Message",
        }
    ]
