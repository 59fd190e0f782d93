"""The rows inside an object, for every name that a stream of the manifest may use (`rows.MAKE`)."""

from typing import Any

import pytest

from source_backlog.streams.rows import MAKE

Row = dict[str, Any]

ISSUE = {"id": 100, "projectId": 1, "issueKey": "WEB-1", "updated": "2026-01-10T00:00:00Z"}
OF_ISSUE = {"projectId": 1, "issueId": 100, "issueKey": "WEB-1", "issueUpdated": "2026-01-10T00:00:00Z"}

COMMENT = {
    "id": 7,
    "projectId": 1,
    "issueId": 100,
    "issueKey": "WEB-1",
    "created": "2026-01-10T00:00:00Z",
    "updated": "2026-01-11T00:00:00Z",
    "createdUser": {"id": 5, "name": "Hanako"},
}
OF_COMMENT = {
    "projectId": 1,
    "issueId": 100,
    "issueKey": "WEB-1",
    "commentId": 7,
    "commentUpdated": "2026-01-11T00:00:00Z",
}

PULL_REQUEST_COMMENT = {
    **{name: COMMENT[name] for name in ("id", "projectId", "created", "updated", "createdUser")},
    "repositoryId": 3,
    "pullRequestId": 30,
    "pullRequestNumber": 2,
}
OF_PULL_REQUEST_COMMENT = {
    "projectId": 1,
    "repositoryId": 3,
    "pullRequestId": 30,
    "pullRequestNumber": 2,
    "commentId": 7,
    "commentUpdated": "2026-01-11T00:00:00Z",
}

WIKI = {"id": 40, "projectId": 1, "name": "Home", "updated": "2026-01-12T00:00:00Z"}
OF_WIKI = {"projectId": 1, "wikiId": 40, "wikiName": "Home", "wikiUpdated": "2026-01-12T00:00:00Z"}

DOCUMENT = {"id": "d" * 32, "projectId": 1, "title": "Plan", "updated": "2026-01-13T00:00:00Z"}
OF_DOCUMENT = {
    "projectId": 1,
    "documentId": "d" * 32,
    "documentTitle": "Plan",
    "documentUpdated": "2026-01-13T00:00:00Z",
}

PULL_REQUEST = {"id": 30, "projectId": 1, "repositoryId": 3, "number": 2, "updated": "2026-01-14T00:00:00Z"}
OF_PULL_REQUEST = {
    "projectId": 1,
    "repositoryId": 3,
    "pullRequestId": 30,
    "pullRequestNumber": 2,
    "pullRequestUpdated": "2026-01-14T00:00:00Z",
}

# name -> (object, list that holds the rows, columns of the object on each row)
EMBEDDED = {
    "issue.attachments": (ISSUE, "attachments", OF_ISSUE),
    "issue.sharedFiles": (ISSUE, "sharedFiles", OF_ISSUE),
    "issue.externalFileLinks": (ISSUE, "externalFileLinks", OF_ISSUE),
    "issue.stars": (ISSUE, "stars", OF_ISSUE),
    "issue.category": (ISSUE, "category", OF_ISSUE),
    "issue.versions": (ISSUE, "versions", OF_ISSUE),
    "issue.milestone": (ISSUE, "milestone", OF_ISSUE),
    "comment.notifications": (COMMENT, "notifications", OF_COMMENT),
    "comment.stars": (COMMENT, "stars", OF_COMMENT),
    "wiki.tags": (WIKI, "tags", OF_WIKI),
    "wiki.attachments": (WIKI, "attachments", OF_WIKI),
    "wiki.sharedFiles": (WIKI, "sharedFiles", OF_WIKI),
    "wiki.stars": (WIKI, "stars", OF_WIKI),
    "document.attachments": (DOCUMENT, "attachments", OF_DOCUMENT),
    "document.tags": (DOCUMENT, "tags", OF_DOCUMENT),
    "pullRequest.attachments": (PULL_REQUEST, "attachments", OF_PULL_REQUEST),
    "pullRequest.stars": (PULL_REQUEST, "stars", OF_PULL_REQUEST),
    "pullRequestComment.notifications": (PULL_REQUEST_COMMENT, "notifications", OF_PULL_REQUEST_COMMENT),
    "pullRequestComment.stars": (PULL_REQUEST_COMMENT, "stars", OF_PULL_REQUEST_COMMENT),
}
# name -> field that holds the rows, for those with rows of their own shape
SHAPED = {
    "issue.customFields": "customFields",
    "issue.relatedIssues": "relatedIssues",
    "issue.participants": "participants",
    "comment.changeLog": "changeLog",
    "pullRequestComment.changeLog": "changeLog",
}


def rows(name: str, parent: Row) -> list[Row]:
    return list(MAKE[name](parent))


def test_every_name_has_a_test_here() -> None:
    assert set(MAKE) == {"itself", *EMBEDDED, *SHAPED}


def test_an_object_may_be_its_own_row() -> None:
    assert rows("itself", ISSUE) == [ISSUE]


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_objects_come_whole_with_the_columns_of_their_parent(name: str) -> None:
    parent, field, columns = EMBEDDED[name]
    inside = [{"id": 1, "unknown": {"a": 1}}, {"id": 2}]
    assert rows(name, {**parent, field: inside}) == [
        {**columns, "id": 1, "unknown": {"a": 1}},
        {**columns, "id": 2},
    ]


@pytest.mark.parametrize("name", EMBEDDED)
def test_what_an_embedded_object_says_itself_stays(name: str) -> None:
    parent, field, _ = EMBEDDED[name]
    (row,) = rows(name, {**parent, field: [{"id": 1, "projectId": 99}]})
    assert row["projectId"] == 99


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_parent_is_not_changed(name: str) -> None:
    parent, field, _ = EMBEDDED[name]
    whole: Row = {**parent, field: [{"id": 1}]}
    rows(name, whole)
    assert whole == {**parent, field: [{"id": 1}]}


@pytest.mark.parametrize("name", [*EMBEDDED, *SHAPED])
@pytest.mark.parametrize("held", [None, [], {}, "none", 7, [None, 1, "x", []]])
def test_a_list_of_any_other_shape_has_no_rows(name: str, held: Any) -> None:
    field = EMBEDDED[name][1] if name in EMBEDDED else SHAPED[name]
    assert rows(name, {**ISSUE, field: held}) == []


@pytest.mark.parametrize("name", [*EMBEDDED, *SHAPED])
def test_a_list_that_is_left_out_has_no_rows(name: str) -> None:
    assert rows(name, {"id": 1}) == []


@pytest.mark.parametrize("name", [*EMBEDDED, *SHAPED])
def test_a_parent_that_is_all_nulls_has_rows_of_nulls(name: str) -> None:
    field = EMBEDDED[name][1] if name in EMBEDDED else SHAPED[name]
    parent: Row = dict.fromkeys(("id", "projectId", "issueKey", "updated", "created", "createdUser"))
    (row,) = rows(name, {**parent, field: [{}]})
    assert set(row.values()) <= {None, 0}, "0 is the place in the list"


def test_a_comment_that_was_never_edited_is_as_old_as_it_was_made() -> None:
    (row,) = rows("comment.stars", {**COMMENT, "updated": None, "stars": [{"id": 1}]})
    assert row["commentUpdated"] == COMMENT["created"]


# Participants and relations


def test_participants_carry_their_issue_but_not_its_stamp() -> None:
    (row,) = rows("issue.participants", {**ISSUE, "participants": [{"id": 5, "name": "Hanako"}]})
    assert {name: value for name, value in row.items() if value is not None} == {
        "id": 5,
        "name": "Hanako",
        "projectId": 1,
        "issueId": 100,
        "issueKey": "WEB-1",
    }


def test_a_relation_names_both_issues() -> None:
    other = {"id": 200, "issueKey": "APP-2", "projectId": 2, "summary": "Other", "type": "blocks", "more": 1}
    assert rows("issue.relatedIssues", {**ISSUE, "relatedIssues": [other]}) == [
        {
            **OF_ISSUE,
            "relatedIssueId": 200,
            "relatedIssueKey": "APP-2",
            "relatedProjectId": 2,
            "relatedSummary": "Other",
            "type": "blocks",
        }
    ]


# Changed fields


@pytest.mark.parametrize(
    ("name", "comment", "columns"),
    [
        ("comment.changeLog", COMMENT, OF_COMMENT),
        ("pullRequestComment.changeLog", PULL_REQUEST_COMMENT, OF_PULL_REQUEST_COMMENT),
    ],
)
def test_a_changed_field_says_who_when_and_what(name: str, comment: Row, columns: Row) -> None:
    changes = [
        {"field": "status", "newValue": "Closed", "originalValue": "Open", "attributeInfo": None},
        {
            "field": "priority",
            "newValue": "High",
            "originalValue": None,
            "attributeInfo": {"id": "12", "typeId": "5"},
            "attachmentInfo": {"id": 3, "name": "a.png"},
            "notificationInfo": {"type": "issue.create"},
        },
    ]
    first, second = rows(name, {**comment, "changeLog": changes})
    common = {
        **columns,
        "created": "2026-01-10T00:00:00Z",
        "createdUser": {"id": 5, "name": "Hanako"},
        "createdUserId": 5,
        "createdUserName": "Hanako",
        # Not told by a comment.
        "newId": None,
        "originalId": None,
    }
    nothing = {"customFieldId": None, "customFieldTypeId": None, "attachmentId": None, "notificationType": None}
    assert first == {**common, **nothing, **changes[0], "position": 0}
    assert second == {
        **common,
        **changes[1],
        "position": 1,
        "customFieldId": 12,
        "customFieldTypeId": 5,
        "attachmentId": 3,
        "notificationType": "issue.create",
    }


@pytest.mark.parametrize("number", [None, "", "x", [], {}])
def test_a_custom_field_without_a_number_is_none(number: Any) -> None:
    (row,) = rows("comment.changeLog", {**COMMENT, "changeLog": [{"attributeInfo": {"id": number, "typeId": number}}]})
    assert row["customFieldId"] is None
    assert row["customFieldTypeId"] is None


# Values of custom fields

ITEM_A, ITEM_B = {"id": 1, "name": "A", "displayOrder": 0}, {"id": 2, "name": "B", "displayOrder": 1}
EMPTY = {"textValue": None, "numberValue": None, "dateValue": None, "itemId": None, "itemName": None}


@pytest.mark.parametrize(
    ("kind", "value", "filled"),
    [
        (1, "text", [{"textValue": "text"}]),
        (1, "", [{"textValue": ""}]),
        (1, None, [{}]),
        (2, "line\nline", [{"textValue": "line\nline"}]),
        (3, 7, [{"numberValue": 7}]),
        (3, 0, [{"numberValue": 0}]),
        (3, 1.5, [{"numberValue": 1.5}]),
        (3, "2.5", [{"numberValue": 2.5}]),
        (3, None, [{}]),
        (4, "2026-01-31T00:00:00Z", [{"dateValue": "2026-01-31T00:00:00Z"}]),
        (4, 1_769_817_600, [{"dateValue": 1_769_817_600}]),
        (4, None, [{}]),
        (5, ITEM_A, [{"itemId": 1, "itemName": "A"}]),
        (5, None, [{}]),
        (6, [ITEM_A, ITEM_B], [{"itemId": 1, "itemName": "A"}, {"itemId": 2, "itemName": "B"}]),
        (6, [], [{}]),
        (6, None, [{}]),
        (7, [ITEM_B], [{"itemId": 2, "itemName": "B"}]),
        (7, [None, ITEM_A], [{}, {"itemId": 1, "itemName": "A"}]),
        (8, {"id": None, "name": None}, [{}]),
        (99, "of a later version", [{"textValue": "of a later version"}]),
        (None, None, [{}]),
    ],
)
def test_every_shape_of_value_has_its_column(kind: Any, value: Any, filled: list[Row]) -> None:
    field = {"id": 12, "fieldTypeId": kind, "name": "Field", "value": value}
    common = {**OF_ISSUE, **EMPTY, "customFieldId": 12, "name": "Field", "fieldTypeId": kind, "otherValue": None}
    assert rows("issue.customFields", {**ISSUE, "customFields": [field]}) == [
        {**common, "position": position, **columns} for position, columns in enumerate(filled)
    ]


def test_the_text_beside_a_choice_is_kept() -> None:
    field = {"id": 12, "fieldTypeId": 5, "name": "Field", "value": ITEM_A, "otherValue": "as well"}
    (row,) = rows("issue.customFields", {**ISSUE, "customFields": [field]})
    assert row["otherValue"] == "as well"


def test_all_fields_of_an_issue_have_rows_with_a_key_each() -> None:
    fields = [
        {"id": 12, "fieldTypeId": 6, "name": "Many", "value": [ITEM_A, ITEM_B]},
        {"id": 13, "fieldTypeId": 1, "name": "Text", "value": None},
        {"id": 14, "fieldTypeId": 3, "name": "Number", "value": 1},
    ]
    made = rows("issue.customFields", {**ISSUE, "customFields": fields})
    keys = [(row["issueId"], row["customFieldId"], row["position"]) for row in made]
    assert keys == [(100, 12, 0), (100, 12, 1), (100, 13, 0), (100, 14, 0)]


@pytest.mark.parametrize("value", ["many", "", True, [], {}])
def test_a_number_that_is_none_is_null(value: Any) -> None:
    field = {"id": 12, "fieldTypeId": 3, "name": "Number", "value": value}
    (row,) = rows("issue.customFields", {**ISSUE, "customFields": [field]})
    assert row["numberValue"] is None
