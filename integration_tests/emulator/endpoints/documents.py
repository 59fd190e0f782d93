"""Documents: section 4.5 of the API reference."""

from __future__ import annotations

from typing import Any

import orjson

from ..api import BY_OFFSET, ORDER, Binary, Call, choice, get, integer, invalid, text_value
from ..entities import Document, Project

SORTS = {"created": lambda document: document.created, "updated": lambda document: document.updated}


def shape(call: Call, document: Document) -> dict[str, Any]:
    shown = document.shape()
    if call.space.settings.document_json_as_object:
        shown["json"] = orjson.loads(document.json)
    return shown


@get(
    "/documents",
    params={**BY_OFFSET, **ORDER, "projectId[]": integer(), "keyword": text_value, "sort": choice(*SORTS)},
)
def documents(call: Call) -> Any:
    """Documents of projects that the user has not joined, or that have documents off, are left out silently."""
    if "offset" not in call.values:
        raise invalid("offset", "error.required")
    wanted, word = call.value("projectId[]"), call.value("keyword", "")
    rows = [
        document
        for project in call.space.visible_projects(call.user, contents=True)
        if project.use_document and (wanted is None or project.id in wanted)
        for document in project.documents.values()
        if (document.status_id == 1 or call.space.settings.list_trashed_documents)
        and (word in document.title or word in document.plain)
    ]
    ties = call.ties()
    rows.sort(key=lambda document: ties(int(document.id[-8:], 16)))
    rows.sort(key=SORTS[call.value("sort", "created")], reverse=call.value("order") != "asc")
    page = [shape(call, document) for document in call.window(rows)]
    if not call.space.quirks.document_list_details:
        for shown in page:
            del shown["attachments"], shown["json"]
    return page


def required_project(call: Call) -> Project:
    if "projectIdOrKey" not in call.values:
        raise invalid("projectIdOrKey", "error.required")
    project = call.find_project(call.values["projectIdOrKey"])
    call.feature(project, "document")
    return project


@get("/documents/count", params={"projectIdOrKey": text_value})
def document_count(call: Call) -> Any:
    return {"count": sum(1 for each in required_project(call).documents.values() if each.status_id == 1)}


@get("/documents/tree", params={"projectIdOrKey": text_value})
def tree(call: Call) -> Any:
    project = required_project(call)
    below: dict[tuple[int, str | None], list[Document]] = {}
    for document in project.documents.values():
        parent = document.parent
        above = parent.id if parent is not None and parent.status_id == document.status_id else None
        below.setdefault((document.status_id, above), []).append(document)

    def children(status: int, above: str | None) -> list[dict[str, Any]]:
        return [each.node(children(status, each.id)) for each in below.get((status, above), ())]

    trees = {"projectId": project.id, "activeTree": {"id": "Active", "children": children(1, None)}}
    match call.space.quirks.trash_tree:
        case "full":
            trees["trashTree"] = {"id": "Trash", "children": children(2, None)}
        case "null":
            trees["trashTree"] = None
        case "empty":
            trees["trashTree"] = {}
    return trees


@get("/documents/{document}")
def document(call: Call) -> Any:
    return shape(call, call.document())


@get("/documents/{document}/comments", role="unrestricted")
def comments(call: Call) -> Any:
    return call.document().comments


@get("/documents/{document}/attachments/{attachment}")
def attachment(call: Call) -> Any:
    found = call.part(call.document().attachments, "attachment", "attachment")
    return Binary(found.content(), found.name)
