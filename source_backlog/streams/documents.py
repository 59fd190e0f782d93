"""Documents, their comments and the tree they stand in."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.types import StreamSlice

from source_backlog.changes.feed import DOCUMENT_COMMENTED, DOCUMENT_DELETED, feed_of, touched_ids
from source_backlog.changes.paging import Unreadable, by_offset, rows_of
from source_backlog.streams.retriever import BacklogRetriever, Skipped
from source_backlog.streams.rows import MAKE, children
from source_backlog.values import (
    Position,
    Row,
    as_instant,
    as_text,
    later,
    not_in_the_future,
    settle,
    since,
    under,
)

# statusId of a document; those in the trash have another one.
ACTIVE = 1


@dataclass
class DocumentRetriever(BacklogRetriever):
    """Documents that have changed, or the rows inside them (`make`, a name of `rows.MAKE`).

    The list has no filter by date but can be sorted by `updated`: it is read from the newest on, until a document
    is older than the last sync. An update while pages are read moves a document to the front, where the next sync
    finds it.
    """

    make: str = "itself"

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The rows of one project."""
        position, project_id = self.position(stream_slice), stream_slice["projectId"]
        gone: list[Row] = []
        if self.make == "itself":
            gone += self.tombstones(position, project_id, DOCUMENT_DELETED)
        touched = touched_ids(self.api_budget, self.requester, project_id, position, DOCUMENT_COMMENTED)
        skipped = Skipped(position)
        for document in self.changed(project_id, position, touched, skipped):
            yield from MAKE[self.make](document)
        yield from gone
        self.advance(stream_slice, skipped.noted(position, self, project_id))

    def changed(self, project_id: Any, position: Position, touched: Iterable[Any], skipped: Skipped) -> Iterator[Row]:
        """Documents changed since the last sync, or `touched` by an activity; moves `position` along."""
        feed = feed_of(self.api_budget)
        feed.head(self.requester)
        known = position.get("updated")
        bound = known or as_instant(self.config.get("start_date")) or ""
        named = dict.fromkeys([*touched, *skipped.before])
        for document in self.newest_first(project_id, bound, not_empty=known is not None):
            stamp = as_instant(document.get("updated"))
            position["updated"] = later(position.get("updated"), not_in_the_future(stamp))
            named.pop(document["id"], None)
            yield _with_json_text(document)
        refused = []
        for document_id in named:
            document = self.requester.get_json(f"documents/{document_id}")
            if isinstance(document, dict):
                yield _with_json_text(document)
            else:
                refused.append(document_id)
        there = self.in_tree(project_id) if refused else set()
        for document_id in refused:
            if document_id in there:
                skipped.add(document_id)
        settle(position, known)
        feed.mark(self.requester, project_id, position)

    def is_gone(self, object_id: Any) -> bool:
        """Whether the document is gone or in the trash: it may have been taken out of there again."""
        path = f"documents/{object_id}"
        self.api_budget.probed.add(path)
        document = self.requester.get_json(path)
        return not isinstance(document, dict) or document.get("statusId") != ACTIVE

    def newest_first(self, project_id: Any, bound: str, *, not_empty: bool) -> Iterator[Row]:
        """The documents of a project back to the stamp `bound`, the most recently updated first."""
        return self.listed(self.requester.get_json, project_id, bound, not_empty=not_empty)

    def listed(self, ask: Callable[[str, Row], Any], project_id: Any, bound: str, *, not_empty: bool) -> Iterator[Row]:
        """The same with the answers of `ask`; see `by_offset` for `not_empty`."""
        params = {"projectId[]": project_id, "sort": "updated", "order": "desc"}
        documents = by_offset(
            lambda page: ask("documents", {**params, **page}),
            not_empty=not_empty,
            is_empty=lambda: not self.in_tree(project_id, "activeTree"),
        )
        for document in documents:
            stamp = as_instant(document.get("updated"))
            if stamp and stamp < bound:
                return
            yield document

    def in_tree(self, project_id: Any, *trees: str) -> set[Any]:
        """The ids of all documents that the project has at this moment, in the trash too unless `trees` says otherwise.

        Why: of a project that the user has just lost, the list is empty and every document looks gone; its tree is
        refused. Raises `Unreadable` then.
        """
        body = self.requester.look("documents/tree", {"projectIdOrKey": project_id})
        if not isinstance(body, dict):
            raise Unreadable
        return ids_in(body, *trees)


@dataclass
class DocumentCommentRetriever(DocumentRetriever):
    """Comments of documents that have changed or were commented on; each reply is a row of its own."""

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The rows of one project."""
        position = self.position(stream_slice)
        project_id = stream_slice["projectId"]
        touched = touched_ids(self.api_budget, self.requester, project_id, position, DOCUMENT_COMMENTED)
        skipped, is_new = Skipped(position), since(position, self.config)
        changed = (
            document
            for document in self.changed(project_id, position, touched, skipped)
            if is_new(as_instant(document.get("updated")))
            or document["id"] in touched
            or document["id"] in skipped.before
        )
        for document, comments in self.api_budget.ahead(self.read, changed):
            if comments is None:
                skipped.add(document["id"])
                continue
            skipped.given(document["id"])
            for comment in comments:
                yield from self.with_replies(comment, document)
        self.advance(stream_slice, skipped.noted(position, self, project_id))

    def read(self, document: Row) -> list[Row] | None:
        """The comments of one document; None when it is gone or the user may not read them."""
        found = self.requester.get_json(f"documents/{document['id']}/comments")
        return None if found is None else rows_of(found)

    def with_replies(self, comment: Row, document: Row) -> Iterator[Row]:
        """The comment and its replies as rows; a reply names its comment in `commentId`."""
        columns = {"projectId": document.get("projectId"), "documentId": document["id"]}
        replies = children(comment, "replies")
        comment.pop("replies", None)
        for row in [comment, *(under(reply, commentId=comment.get("id")) for reply in replies)]:
            row["content"] = as_text(row.get("content"))
            yield under(row, commentId=None, **columns)


@dataclass
class DocumentTreeRetriever(BacklogRetriever):
    """One row per node of a project's document tree, of the active one and of the trash.

    Why: nodes are nested to any depth, and a row needs its parent, its path and its place among its siblings.
    """

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The nodes of one project, parents before children."""
        project = stream_slice.extra_fields["project"]
        if self.api_budget.is_read("documents"):
            # Else the tree, which is kept for other streams, might be older than what they take for the feed's head.
            feed_of(self.api_budget).head(self.requester)
        body = self.requester.get_json("documents/tree", {"projectIdOrKey": project["id"]})
        for tree, trashed in (("activeTree", False), ("trashTree", True)):
            root = body.get(tree) if isinstance(body, dict) else None
            columns = {"projectId": project["id"], "projectKey": project.get("projectKey"), "trashed": trashed}
            yield from _nodes(root if isinstance(root, dict) else {}, columns)


def ids_in(body: Row, *trees: str) -> set[Any]:
    """The ids of the documents in some of the two trees, by default in both."""
    waiting = [body.get(tree) for tree in trees or ("activeTree", "trashTree")]
    found = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            below = children(node, "children")
            found |= {each.get("id") for each in below}
            waiting += below
    return found


def _nodes(root: Row, columns: Row) -> Iterator[Row]:
    # A stack instead of recursion: the depth of the tree is the user's.
    waiting = [(node, place, None, "", 0) for place, node in reversed(list(enumerate(children(root, "children"))))]
    while waiting:
        node, place, parent, above, depth = waiting.pop()
        below = children(node, "children")
        node.pop("children", None)
        path = f"{above}/{node.get('name') or ''}" if depth else str(node.get("name") or "")
        yield {**node, **columns, "parentId": parent, "path": path, "depth": depth, "position": place}
        waiting += [(child, at, node.get("id"), path, depth + 1) for at, child in reversed(list(enumerate(below)))]


def _with_json_text(document: Row) -> Row:
    # The pages show a text that holds JSON; servers that send the object itself were seen too.
    if "json" in document:
        document["json"] = as_text(document["json"])
    return document
