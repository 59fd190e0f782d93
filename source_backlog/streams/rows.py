"""The rows that lie inside an object: its attachments, stars, changed fields, custom-field values …

Each function takes an object of the API, which `under` has given its parents' columns, and gives the rows of one
stream. What an object has no list for gives no rows: older servers and smaller plans leave fields out.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from source_backlog.values import Row, under

Make = Callable[[Row], Iterable[Row]]

# customFields[].fieldTypeId: https://developer.nulab.com/docs/backlog/api/2/get-custom-field-list
TEXT, SENTENCE, NUMBER, DATE = 1, 2, 3, 4


def itself(parent: Row) -> Iterator[Row]:
    """The object is the row."""
    yield parent


def children(parent: Row, field: str) -> list[Row]:
    """The objects in a list of the parent."""
    entries = parent.get(field)
    return [dict(entry) for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def embedded(field: str, parents: Callable[[Row], Row]) -> Make:
    """Rows of the list `field`, with the columns that `parents` takes from the object that holds it."""

    def make(parent: Row) -> Iterator[Row]:
        columns = parents(parent)
        for child in children(parent, field):
            yield under(child, **columns)

    return make


def of_issue_itself(issue: Row) -> Row:
    """The columns that name an issue."""
    return {"projectId": issue.get("projectId"), "issueId": issue.get("id"), "issueKey": issue.get("issueKey")}


def of_issue(issue: Row) -> Row:
    """The columns that every row inside an issue carries."""
    return {**of_issue_itself(issue), "issueUpdated": issue.get("updated")}


def as_number(value: Any) -> float | int | None:
    """A number that may have been written as text; None when it is none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def custom_field_values(issue: Row) -> Iterator[Row]:
    """One row per custom field and chosen item; an empty value is one row of nulls at position 0.

    The value of the API has five shapes (text, number, time stamp, item, list of items); each gets its own column.
    """
    columns = of_issue(issue)
    for field in children(issue, "customFields"):
        kind, value = field.get("fieldTypeId"), field.get("value")
        chosen = value if isinstance(value, list) else [value]
        for position, one in enumerate(chosen or [None]):
            item = one if isinstance(one, dict) else {}
            scalar = None if isinstance(one, dict | list) else one
            yield {
                **columns,
                "customFieldId": field.get("id"),
                "name": field.get("name"),
                "fieldTypeId": kind,
                "position": position,
                "textValue": _text(scalar) if kind not in (NUMBER, DATE) else None,
                "numberValue": as_number(scalar) if kind == NUMBER else None,
                "dateValue": scalar if kind == DATE else None,
                "itemId": item.get("id"),
                "itemName": item.get("name"),
                "otherValue": field.get("otherValue"),
            }


def related(issue: Row) -> Iterator[Row]:
    """The links of an issue to other issues, which the retriever puts under `relatedIssues`."""
    columns = of_issue(issue)
    for other in children(issue, "relatedIssues"):
        yield {
            **columns,
            "relatedIssueId": other.get("id"),
            "relatedIssueKey": other.get("issueKey"),
            "relatedProjectId": other.get("projectId"),
            "relatedSummary": other.get("summary"),
            "type": other.get("type"),
        }


def of_comment(*owner: str) -> Callable[[Row], Row]:
    """The columns that every row inside a comment carries; `owner` are those of the issue or pull request."""

    def columns(comment: Row) -> Row:
        return {
            "projectId": comment.get("projectId"),
            **{name: comment.get(name) for name in owner},
            "commentId": comment.get("id"),
            "commentUpdated": comment.get("updated") or comment.get("created"),
        }

    return columns


def changed_fields(*owner: str) -> Make:
    """One row per changed field of a comment: who, when, which field, old value, new value.

    The ids of the values, which a comment does not tell, are added by `ExactIds`.
    """
    parents = of_comment(*owner)

    def make(comment: Row) -> Iterator[Row]:
        columns = parents(comment)
        author = comment.get("createdUser") or {}
        for position, change in enumerate(children(comment, "changeLog")):
            attribute = change.get("attributeInfo") or {}
            yield {
                **change,
                **columns,
                "position": position,
                "newId": None,
                "originalId": None,
                "created": comment.get("created"),
                "createdUser": comment.get("createdUser"),
                "createdUserId": author.get("id"),
                "createdUserName": author.get("name"),
                "customFieldId": _integer(attribute.get("id")),
                "customFieldTypeId": _integer(attribute.get("typeId")),
                "attachmentId": (change.get("attachmentInfo") or {}).get("id"),
                "notificationType": (change.get("notificationInfo") or {}).get("type"),
            }

    return make


def of_wiki(wiki: Row) -> Row:
    """The columns that every row inside a wiki page carries."""
    return {
        "projectId": wiki.get("projectId"),
        "wikiId": wiki.get("id"),
        "wikiName": wiki.get("name"),
        "wikiUpdated": wiki.get("updated"),
    }


def of_document(document: Row) -> Row:
    """The columns that every row inside a document carries."""
    return {
        "projectId": document.get("projectId"),
        "documentId": document.get("id"),
        "documentTitle": document.get("title"),
        "documentUpdated": document.get("updated"),
    }


def of_pull_request(pull_request: Row) -> Row:
    """The columns that every row inside a pull request carries."""
    return {
        "projectId": pull_request.get("projectId"),
        "repositoryId": pull_request.get("repositoryId"),
        "pullRequestId": pull_request.get("id"),
        "pullRequestNumber": pull_request.get("number"),
        "pullRequestUpdated": pull_request.get("updated"),
    }


_ISSUE = ("issueId", "issueKey")
_PULL_REQUEST = ("repositoryId", "pullRequestId", "pullRequestNumber")

MAKE: dict[str, Make] = {
    "itself": itself,
    "issue.attachments": embedded("attachments", of_issue),
    "issue.sharedFiles": embedded("sharedFiles", of_issue),
    "issue.externalFileLinks": embedded("externalFileLinks", of_issue),
    "issue.stars": embedded("stars", of_issue),
    "issue.category": embedded("category", of_issue),
    "issue.versions": embedded("versions", of_issue),
    "issue.milestone": embedded("milestone", of_issue),
    "issue.customFields": custom_field_values,
    "issue.relatedIssues": related,
    "issue.participants": embedded("participants", of_issue_itself),
    "comment.changeLog": changed_fields(*_ISSUE),
    "comment.notifications": embedded("notifications", of_comment(*_ISSUE)),
    "comment.stars": embedded("stars", of_comment(*_ISSUE)),
    "wiki.tags": embedded("tags", of_wiki),
    "wiki.attachments": embedded("attachments", of_wiki),
    "wiki.sharedFiles": embedded("sharedFiles", of_wiki),
    "wiki.stars": embedded("stars", of_wiki),
    "document.attachments": embedded("attachments", of_document),
    "document.tags": embedded("tags", of_document),
    "pullRequest.attachments": embedded("attachments", of_pull_request),
    "pullRequest.stars": embedded("stars", of_pull_request),
    "pullRequestComment.changeLog": changed_fields(*_PULL_REQUEST),
    "pullRequestComment.notifications": embedded("notifications", of_comment(*_PULL_REQUEST)),
    "pullRequestComment.stars": embedded("stars", of_comment(*_PULL_REQUEST)),
}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _integer(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
