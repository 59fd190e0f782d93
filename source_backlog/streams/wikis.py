"""Wiki pages and everything that hangs below a page."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from airbyte_cdk.sources.types import StreamSlice

from source_backlog.changes.feed import WIKI_CHANGED, WIKI_DELETED, feed_of, touched_ids
from source_backlog.changes.paging import Unreadable, by_id, rows_of
from source_backlog.streams.retriever import BacklogRetriever, Skipped
from source_backlog.streams.rows import MAKE
from source_backlog.values import Position, Row, as_instant, later, not_in_the_future, settle, since, under


@dataclass
class WikiRetriever(BacklogRetriever):
    """Wiki pages that have changed, with their text, or the rows inside them (`make`, a name of `rows.MAKE`).

    The list of a project (one search request) has the stamps but not the text; the pages that changed since the
    last sync, by stamp or by activity, are requested one by one.
    """

    make: str = "itself"

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The rows of one project."""
        position = self.position(stream_slice)
        gone: list[Row] = []
        if self.name == "wikis":
            gone += self.tombstones(position, stream_slice["projectId"], WIKI_DELETED)
        skipped = Skipped(position)
        changed = self.changed(stream_slice, position, skipped)
        for page, found in self.api_budget.ahead(self.read, changed):
            if found is None:
                skipped.add(page["id"])
                continue
            skipped.given(page["id"])
            for row in found:
                yield from MAKE[self.make](row)
        yield from gone
        self.advance(stream_slice, skipped.noted(position, self, stream_slice["projectId"]))

    def changed(self, stream_slice: StreamSlice, position: Position, skipped: Skipped) -> list[Row]:
        """The list entries of the changed pages; moves `position` to where the list stands.

        Raises `Unreadable` when the list is refused.
        """
        project_id = stream_slice["projectId"]
        feed = feed_of(self.api_budget)
        feed.head(self.requester)
        touched = touched_ids(self.api_budget, self.requester, project_id, position, WIKI_CHANGED)
        known, is_new = position.get("updated"), since(position, self.config)
        pages = self.requester.get_json("wikis", {"projectIdOrKey": project_id})
        if pages is None:
            raise Unreadable
        changed = []
        for page in rows_of(pages):
            stamp = as_instant(page.get("updated"))
            if is_new(stamp) or page["id"] in touched or page["id"] in skipped.before:
                changed.append(page)
            position["updated"] = later(position.get("updated"), not_in_the_future(stamp))
        settle(position, known)
        feed.mark(self.requester, project_id, position)
        return changed

    def read(self, page: Row) -> list[Row] | None:
        """The page with its text; None when it is gone."""
        body = self.requester.get_json(f"wikis/{page['id']}")
        return [under(body, projectId=page.get("projectId"))] if isinstance(body, dict) else None


@dataclass
class WikiHistoryRetriever(WikiRetriever):
    """All versions of the wiki pages that have changed.

    The versions have no id of their own: `minId` is taken to bound the version number, and a list that does not
    move on is reported (`by_id`).
    """

    def read(self, page: Row) -> list[Row] | None:
        """All versions of a page, oldest first; None when it is gone."""
        try:
            return list(self.versions(page))
        except Unreadable:
            return None

    def versions(self, page: Row) -> Iterator[Row]:
        """The versions with the columns of the page."""
        path = f"wikis/{page['id']}/history"
        for version in by_id(lambda params: self.requester.get_json(path, params), key="version"):
            yield under(version, projectId=page.get("projectId"), pageId=page["id"])
