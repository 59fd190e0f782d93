"""The ids beside the names in change logs, as far as the feed tells them."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any

from source_backlog.changes.feed import PULL_REQUEST_CHANGED, FeedTrimmed, feed_of, past_told
from source_backlog.changes.ids import TOLD_FIELDS, Names, Told, ToldIds
from source_backlog.streams.finder import Finder
from source_backlog.streams.rows import children
from source_backlog.values import Row

# The statuses up to this id are the same in every project.
LAST_BUILT_IN_STATUS = 4
# What the change log names when an issue comes from another project. Not documented.
MOVED = "issueKey"


class ExactIds:
    """Gives the changed fields of one walk over a project the columns `newId` and `originalId`.

    Why: Backlog logs names, and a name may have stood for several statuses. The feed tells the ids of statuses and
    resolutions, by the comment that logs the change: the part of it that the walk has asked for, and in a first load
    the past that the streams of the feed read too (`past_told`).

    A row comes again whenever its object changes, when its activity is long past. So what was told is kept in the
    position (`Names`). What the walk itself has learned it does not use: the order of objects must not matter.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._known, self._learned = Names(finder.walk.now.names), Names(finder.walk.now.names)
        self._of_pull_requests = finder.named_by == PULL_REQUEST_CHANGED
        # The comment with which the object at hand came from another project.
        self._moved = 0

    def begin(self, comments: list[Row]) -> None:
        """Take up the next object, with all its comments."""
        self._moved = 0
        for comment in comments:
            for change in children(comment, "changeLog"):
                if change.get("field") == MOVED and not change.get("attributeInfo"):
                    self._moved = max(self._moved, comment["id"])

    def added(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The changed fields of a comment of that object, with their ids."""
        for row in rows:
            if row.get("field") in TOLD_FIELDS and row.get("customFieldId") is None:
                self._add(row)
            yield row

    def keep(self, *, finished: bool) -> None:
        """Put into the position of the walk what was told and, in the middle of it, where to look for the rest."""
        self._finder.walk.move(names=self._learned.saved(), untold=None if finished else self._begins)

    def _add(self, row: Row) -> None:
        field, comment = row["field"], row["commentId"]
        project_id, told = self._told(comment) or (None, {})
        new, old = told.get(field, (None, None))
        for column, name, number in (("newId", "newValue", new), ("originalId", "originalValue", old)):
            row[column] = self._remembered(field, row.get(name), comment) if number is None else number
            if project_id == self._finder.project_id:
                self._learned.learn(field, row.get(name), number, comment)

    def _told(self, comment: int) -> Told | None:
        found = (source.of(comment, after) for source, after in self._sources)
        return next((told for told in found if told), None)

    @property
    def _begins(self) -> int | None:
        # The activity behind which to look: 0 for the whole feed. Known when the first object is at hand.
        walk = self._finder.walk
        if walk.origin.activity is None:
            return 0
        untold: int | None = walk.before.untold
        return walk.after if untold is None else untold

    @cached_property
    def _sources(self) -> list[tuple[ToldIds, int]]:
        # What is told, each with the activity behind which: another stream may have asked for more of the feed.
        walk, backlog, types = self._finder.walk, self._finder.backlog, self._finder.named_by
        found = []
        after = self._begins or walk.after
        if after is not None:
            # The feed says so when it does not reach back that far.
            with suppress(FeedTrimmed):
                found.append((feed_of(backlog.space).told(backlog.requester, types, after), after))
        if self._begins == 0:
            found += [(told[types], 0) for told in past_told(backlog, self._finder.project_id)]
        return found

    def _remembered(self, field: str, name: Any, comment: int) -> int | None:
        fixed = field != "status" or self._of_pull_requests
        number = self._known.id_of(field, name, comment, fixed=fixed)
        # In the project where it was before, a status of this name may have been another one.
        elsewhere = not fixed and comment < self._moved
        return None if elsewhere and (number or 0) > LAST_BUILT_IN_STATUS else number
