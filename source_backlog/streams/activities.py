"""The streams of the activity feed: what happened in the space, in the order in which it happened."""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.types import StreamSlice

from source_backlog.changes.backlog import Backlog
from source_backlog.changes.feed import FeedTrimmed, head_of, is_joined_by_myself, newer_than
from source_backlog.changes.paging import PAGE_SIZE, Recent, Unreadable, by_id
from source_backlog.changes.position import ActivitiesPosition, Place
from source_backlog.changes.projects import selected_projects
from source_backlog.streams.activity_rows import MAKE
from source_backlog.streams.retriever import BacklogRetriever
from source_backlog.values import Row, as_instant

LOGGER = logging.getLogger("airbyte.source_backlog")


@dataclass
class ActivityRetriever(BacklogRetriever):
    """Activities of the selected projects, oldest first, or the rows inside them (`make`, a name of `MAKE`)."""

    make: str = "activity"

    kind = ActivitiesPosition
    dated = True

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The rows of the activities that are new to the stream and not older than the start date."""
        start = self.backlog.start
        place: Place[ActivitiesPosition] = Place(self.position(stream_slice))
        new = NewActivities(self.backlog, place, lambda: self.checkpoint(stream_slice, place.now))
        for activity in new.rows():
            if not start or (as_instant(activity.get("created")) or start) >= start:
                yield from MAKE[self.make](activity)
        self.advance(stream_slice, place.now)


class NewActivities:
    """Reads the feed from the last id on, and the whole feed of every project that has become visible since.

    Why: a plain cursor on the id would never see what happened in a project before the key's user joined it,
    because those ids lie below the cursor.

    `place` is moved along; `save` is called once per page, when all activities up to the place were taken.
    """

    def __init__(self, backlog: Backlog, place: Place[Any], save: Callable[[], None]) -> None:
        self.backlog = backlog
        self.place = place
        self.save = save
        self.projects = selected_projects(backlog.requester, backlog.config, backlog.space)
        self.selected = {project["id"] for project in self.projects}
        # What belongs to no project is left out by the option Projects alone.
        self.unfiltered = not backlog.config.get("projects")
        self._last: int | None = place.before.activity
        self._recent = Recent(self._last, place.before.seen)
        # The projects whose past is still to be read.
        self._unread: list[Any] = []

    def rows(self) -> Iterator[Row]:
        """The raw activities of the selected projects, those of new projects first, each part oldest first."""
        began = head_of(self.backlog)
        if self._last is not None:
            yield from self._past(self.place.before.new(self.projects), self._last)
            if self.place.before.narrowed and self.unfiltered:
                yield from (each for each in self._up_to("space/activities", self._last) if not each.get("project"))
        self.place.move(narrowed=None if self.unfiltered else True)
        self._note_projects()
        yield from self._new(began)
        joined, self._unread = set(self._unread) & self.selected, []
        yield from self._past(sorted(joined), began if self._last is None else self._last)
        self._note_projects()
        self.place.move(**self._recent.noted("activity"))

    def _new(self, began: int) -> Iterator[Row]:
        everything = self.unfiltered and self.backlog.config.get("include_archived_projects", True)
        for count, activity in enumerate(self._newest(), start=1):
            project_id = (activity.get("project") or {}).get("id")
            joined_since = self._last is not None or activity["id"] > began
            if joined_since and is_joined_by_myself(self.backlog.requester, activity):
                # While the user was not a member, other activities may have been passed over.
                self._unread.append(project_id)
                self._note_projects()
            if everything or project_id in self.selected or (self.unfiltered and project_id is None):
                yield activity
            if count % PAGE_SIZE == 0:
                self.place.move(**self._recent.noted("activity"))
                self.save()

    def _note_projects(self) -> None:
        self.place.now = self.place.now.noted(self.projects, without=self._unread)

    def _past(self, projects: Iterable[Any], until: int) -> Iterator[Row]:
        # Up to the activity `until`, where the last sync ended.
        for project_id in projects:
            try:
                yield from self._up_to(f"projects/{project_id}/activities", until)
            except Unreadable:
                self._unread.append(project_id)

    def _up_to(self, path: str, until: int) -> Iterator[Row]:
        for activity in by_id(lambda page: self.backlog.get(path, page)):
            if activity["id"] > until:
                return
            yield activity

    def _newest(self) -> Iterator[Row]:
        # What follows the last known activity; what Backlog no longer holds is reported.
        recent = self._recent
        for after in dict.fromkeys((recent.after, recent.last)):
            try:
                rows = self._behind(after, recent.last)
                if after != recent.after:
                    # The last one is held, but less than was to be looked at again: then all that is.
                    recent.after, rows = 0, self._behind(0, recent.last)
            except FeedTrimmed:
                continue
            yield from recent.new(rows)
            return
        LOGGER.warning(
            f"{self.backlog.stream}: Backlog no longer holds the activities that followed {recent.last}. Those between "
            "it and the oldest one still held are lost; sync more often."
        )
        recent.after = recent.last = None
        yield from recent.new(self._behind(None, None))

    def _behind(self, after: int | None, last: int | None) -> Iterator[Row]:
        # Raises `FeedTrimmed` at once when the feed does not reach back to `last`.
        rows = newer_than(self.backlog.requester, after)
        first = next(rows, None)
        if after == 0 and last and (first is None or first["id"] > last):
            raise FeedTrimmed
        return itertools.chain([] if first is None else [first], rows)
