"""Documents, their comments and the tree they stand in."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from airbyte_cdk.sources.types import StreamSlice
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.changes.backlog import Backlog
from source_backlog.changes.feed import DOCUMENT_COMMENTED, DOCUMENT_DELETED, head_of
from source_backlog.changes.paging import PAGE_SIZE, Unreadable, by_offset, rows_of
from source_backlog.changes.progress import OrderedWalk
from source_backlog.changes.skipped import attempt
from source_backlog.streams.finder import Finder, completed
from source_backlog.streams.retriever import BacklogRetriever
from source_backlog.streams.rows import children
from source_backlog.values import Row, as_instant, as_text, under

# statusId of a document; those in the trash have another one.
ACTIVE = 1


class ChangedDocuments(Finder):
    """Documents that have changed.

    The list has no filter by date but can be sorted by `updated`: it is read from the newest on, until a document
    is older than the last sync. An update while pages are read moves a document to the front, where the next sync
    finds it.
    """

    path = "documents/{id}"
    named_by = DOCUMENT_COMMENTED
    deleted_by = DOCUMENT_DELETED

    def changed(self) -> Iterator[Row]:
        """Those that the list shows, then those that only the feed names, or that were skipped last time."""
        head_of(self.backlog)
        return self.found(self.touched())

    def found(self, touched: Iterable[Any]) -> Iterator[Row]:
        """The same, `touched` being the ids that the feed names."""
        known = self.walk.origin.updated
        bound = known or self.backlog.start or ""
        named = dict.fromkeys([*touched, *self.walk.skipped.before])
        in_tree: list[Any] = []
        seen: set[Any] = set()
        for document in self.newest_first(bound, not_empty=known is not None):
            seen.add(document["id"])
            self.walk.see(as_instant(document.get("updated")))
            yield _with_json_text(document)
        if known is None and len(seen) >= PAGE_SIZE:
            # Documents of one second may come in another order with each page, so that some are on none of them.
            # Later the feed names what has changed.
            in_tree = sorted(self.in_tree("activeTree") - named.keys(), key=str)
        refused: list[Any] = []
        for document_id in [each for each in [*named, *in_tree] if each not in seen]:
            answer = attempt(partial(self.backlog.get, f"documents/{document_id}"))
            if isinstance(answer, AirbyteTracedException):
                self.walk.skipped.failed(document_id, answer)
            elif not isinstance(answer, dict):
                refused.append(document_id)
            elif (as_instant(answer.get("updated")) or bound) >= bound or document_id in named:
                yield _with_json_text(answer)
        there = self.in_tree() if refused else set()
        for document_id in refused:
            if document_id in there:
                self.walk.skipped.add(document_id)
        self.walk.settle()
        self.mark()

    def has(self, owner: Row) -> bool:
        """Whether the document is in the tree, or in its trash."""
        return self._shows(owner["id"], self.in_tree)

    def is_gone(self, object_id: Any) -> bool:
        """Whether the document is gone or in the trash: it may have been taken out of there again."""
        document = self.backlog.get(f"documents/{object_id}", probe=True)
        return not isinstance(document, dict) or document.get("statusId") != ACTIVE

    def newest_first(self, bound: str, *, not_empty: bool) -> Iterator[Row]:
        """The documents of the project back to the stamp `bound`, the most recently updated first."""
        return self.listed(self.backlog.get, bound, not_empty=not_empty)

    def listed(self, ask: Callable[[str, Row], Any], bound: str, *, not_empty: bool) -> Iterator[Row]:
        """The same with the answers of `ask`; see `by_offset` for `not_empty`."""
        params = {"projectId[]": self.project_id, "sort": "updated", "order": "desc"}
        documents = by_offset(
            lambda page: ask("documents", {**params, **page}),
            anew=lambda page: self.backlog.look("documents", {**params, **page}),
            not_empty=not_empty,
            is_empty=lambda: not self.in_tree("activeTree"),
        )
        for document in documents:
            stamp = as_instant(document.get("updated"))
            if stamp and stamp < bound:
                return
            yield document

    def in_tree(self, *trees: str) -> set[Any]:
        """The ids of all documents that the project has at this moment, in the trash too unless `trees` says otherwise.

        Why: of a project that the user has just lost, the list is empty and every document looks gone; its tree is
        refused. Raises `Unreadable` then.
        """
        body = self.backlog.look("documents/tree", {"projectIdOrKey": self.project_id})
        if not isinstance(body, dict):
            raise Unreadable
        return ids_in(body, *trees)


class CommentedDocuments(ChangedDocuments):
    """Documents that have changed or were commented on, as far as their comments need them."""

    walks = OrderedWalk
    walk: OrderedWalk[Any]

    def found(self, touched: Iterable[Any]) -> Iterator[Row]:
        """In the order of their stamps, without those that are listed only because they bear the last known one."""
        named = {*touched, *self.walk.skipped.before}
        is_new = self.walk.is_new(self.backlog.start)
        changed = [
            {name: document.get(name) for name in ("id", "projectId", "updated")}
            for document in super().found(touched)
            if is_new(as_instant(document.get("updated"))) or document["id"] in named
        ]
        yield from self.walk.in_order(changed)


class DocumentsWithFiles(ChangedDocuments):
    """Documents that have changed, such that none is missed because it moves to the front of the list.

    Why: a document that is updated while several pages are read may have been on none of them. The next sync finds it
    at the front, but would take its older files for fetched: so the front is looked at again.
    """

    def newest_first(self, bound: str, *, not_empty: bool) -> Iterator[Row]:
        """The documents of the project back to the stamp `bound`, the most recently updated first."""
        read: dict[Any, Any] = {}
        pages = 0
        ask = self.backlog.get

        def counted(path: str, params: Row) -> Any:
            nonlocal pages
            pages += 1
            return ask(path, params)

        while True:
            newest, pages, news = bound, 0, False
            for document in self.listed(counted, bound, not_empty=not_empty):
                newest = max(newest, as_instant(document.get("updated")) or "")
                if document["id"] not in read or read[document["id"]] != document.get("updated"):
                    read[document["id"]], news = document.get("updated"), True
                    yield document
            if pages < 2 or not news:
                return
            bound, ask = newest, self.backlog.look


def whole(backlog: Backlog, document: Row) -> list[Row] | None:
    """The document with its attachments, which not every server gives in lists; None when it is gone."""
    return completed(backlog, document, f"documents/{document['id']}", _with_json_text)


def comments(backlog: Backlog, document: Row) -> list[Row] | None:
    """The comments of one document, each followed by its replies; None when it is gone or may not be read."""
    found = backlog.get(f"documents/{document['id']}/comments")
    if found is None:
        return None
    return [row for comment in rows_of(found) for row in _with_replies(comment, document)]


def _with_replies(comment: Row, document: Row) -> Iterator[Row]:
    # A reply names its comment in `commentId`.
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
            head_of(self.backlog)
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
