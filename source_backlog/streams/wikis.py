"""Wiki pages: which have changed, their text and their versions."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from source_backlog.changes.backlog import Backlog
from source_backlog.changes.feed import WIKI_CHANGED, WIKI_DELETED, head_of
from source_backlog.changes.paging import Unreadable, by_id, rows_of
from source_backlog.changes.progress import OrderedWalk
from source_backlog.streams.finder import Finder
from source_backlog.values import Row, as_instant, under


class ChangedWikis(Finder):
    """Wiki pages that have changed, by stamp or by activity: their entries in the project's list.

    The list (one search request) has the stamps but not the text.
    """

    path = "wikis/{id}"
    walks = OrderedWalk
    walk: OrderedWalk[Any]
    named_by = WIKI_CHANGED
    deleted_by = WIKI_DELETED

    def changed(self) -> Iterator[Row]:
        """The entries in the order of their stamps."""
        head_of(self.backlog)
        touched = self.touched()
        is_new = self.walk.is_new(self.backlog.start)
        changed = []
        for page in self._pages(self.backlog.get):
            stamp = as_instant(page.get("updated"))
            if is_new(stamp) or page["id"] in touched or page["id"] in self.walk.skipped.before:
                changed.append(page)
            self.walk.see(stamp)
        self.walk.settle()
        self.mark()
        yield from self.walk.in_order(changed)

    def has(self, owner: Row) -> bool:
        """Whether the list still shows the page."""
        return any(page["id"] == owner["id"] for page in self._pages(self.backlog.look))

    def _pages(self, ask: Callable[[str, Row], Any]) -> list[Row]:
        pages = ask("wikis", {"projectIdOrKey": self.project_id})
        if pages is None:
            raise Unreadable
        return rows_of(pages)


def page(backlog: Backlog, entry: Row) -> list[Row] | None:
    """The page with its text; None when it is gone."""
    body = backlog.get(f"wikis/{entry['id']}")
    return [under(body, projectId=entry.get("projectId"))] if isinstance(body, dict) else None


def versions(backlog: Backlog, entry: Row) -> list[Row] | None:
    """All versions of a page, oldest first; None when it is gone.

    The versions have no id of their own: `minId` is taken to bound the version number, and a list that does not
    move on is reported (`by_id`).
    """
    path = f"wikis/{entry['id']}/history"
    try:
        stuck = partial(backlog.note_stuck, path)
        found = list(by_id(lambda params: backlog.get(path, params), key="version", stuck=stuck))
    except Unreadable:
        return None
    return [under(version, projectId=entry.get("projectId"), pageId=entry["id"]) for version in found]
