"""Wiki pages and everything that hangs below a page."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from airbyte_cdk.sources.types import StreamSlice

from source_backlog.components.checkpoints import Position
from source_backlog.components.feed import WIKI_CHANGED, WIKI_DELETED, feed_of, touched_ids
from source_backlog.components.paging import by_id, rows_of
from source_backlog.components.retriever import BacklogRetriever
from source_backlog.components.rows import MAKE
from source_backlog.components.values import Row, as_instant, later, not_in_the_future, under


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
        changed = self.changed(stream_slice, position)
        for _, pages in self.api_budget.ahead(self.read, changed):
            for page in pages:
                yield from MAKE[self.make](page)
        yield from gone
        self.advance(stream_slice, position)

    def changed(self, stream_slice: StreamSlice, position: Position) -> list[Row]:
        """The list entries of the changed pages; moves `position` to where the list stands."""
        project_id = stream_slice["projectId"]
        head = feed_of(self.api_budget).head(self.requester)
        touched = touched_ids(self.api_budget, self.requester, project_id, position, WIKI_CHANGED)
        since = position.get("updated") or as_instant(self.config.get("start_date")) or ""
        pages = rows_of(self.requester.get_json("wikis", {"projectIdOrKey": project_id}))
        changed = []
        for page in pages:
            stamp = as_instant(page.get("updated"))
            if not stamp or stamp > since or page["id"] in touched:
                changed.append(page)
            position["updated"] = later(position.get("updated"), not_in_the_future(stamp))
        position["activity"] = head
        return changed

    def read(self, page: Row) -> list[Row]:
        """The page with its text; none when it is gone."""
        body = self.requester.get_json(f"wikis/{page['id']}")
        return [under(body, projectId=page.get("projectId"))] if isinstance(body, dict) else []


@dataclass
class WikiHistoryRetriever(WikiRetriever):
    """All versions of the wiki pages that have changed.

    The versions have no id of their own: `minId` is taken to bound the version number, and a list that does not
    move on is reported (`by_id`).
    """

    def read(self, page: Row) -> list[Row]:
        """All versions of a page, oldest first; none when it is gone."""
        return list(self.versions(page))

    def versions(self, page: Row) -> Iterator[Row]:
        """The versions with the columns of the page."""
        path = f"wikis/{page['id']}/history"
        for version in by_id(lambda params: self.requester.get_json(path, params), key="version"):
            yield under(version, projectId=page.get("projectId"), pageId=page["id"])
