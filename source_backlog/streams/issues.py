"""Issues and everything that hangs below an issue."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.types import StreamSlice

from source_backlog.changes.feed import ISSUE_CHANGED, ISSUE_COMMENTED, ISSUE_DELETED, Touched, feed_of, touched_ids
from source_backlog.changes.paging import PAGE_SIZE, Unreadable, by_id, by_offset, rows_of
from source_backlog.streams.custom_fields import with_columns
from source_backlog.streams.retriever import BacklogRetriever, Skipped
from source_backlog.streams.rows import MAKE
from source_backlog.values import Position, Row, as_instant, day_before, later, not_in_the_future, under

# How often a project whose issues take a request each saves its place.
CHECKPOINT_SECONDS = 30.0


@dataclass
class IssueRetriever(BacklogRetriever):
    """Issues that have changed, or the rows inside them (`make`, a name of `rows.MAKE`).

    An issue has changed when its `updated` has moved, or when an activity says so: linking a shared file, for one,
    leaves an activity but does not move `updated` (backlog-api.md, 6.2).

    Pages are sorted by creation, so that an issue that is updated while they are read keeps its place; the window
    `updatedSince` begins a day before the last known `updated` and has no end.
    """

    make: str = "itself"

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The rows of one project."""
        position = self.position(stream_slice)
        gone: list[Row] = []
        if self.make == "itself":
            gone += self.tombstones(position, stream_slice["projectId"], ISSUE_DELETED)
        for issue in self.changed(stream_slice, position):
            if self.make == "itself" and self.config.get("issue_custom_fields") == "columns":
                with_columns(issue)
            yield from MAKE[self.make](issue)
        yield from gone
        self.advance(stream_slice, position)

    def changed(self, stream_slice: StreamSlice, position: Position) -> Iterator[Row]:
        """Changed issues of the project; moves `position` along, from the old one to that after the last issue."""
        project_id = stream_slice["projectId"]
        feed = feed_of(self.api_budget)
        feed.head(self.requester)
        touched = self.touched(project_id, position)
        witness = None
        for issue in self.updated(project_id, position):
            witness = issue["id"]
            touched.pop(witness, None)
            yield issue
        yield from self.by_ids(list(touched), project_id, witness)
        feed.mark(self.requester, project_id, position)

    def touched(self, project_id: Any, position: Position) -> dict[Any, Touched]:
        """The issues that the feed names since the last sync, by id."""
        return touched_ids(self.api_budget, self.requester, project_id, position, ISSUE_CHANGED)

    def updated(self, project_id: Any, position: Position, **filters: str) -> Iterator[Row]:
        """The project's issues from a day before `position["updated"]` on; moves it to the latest one seen.

        Raises `Unreadable` when the project is no longer readable.
        """
        since = position.get("updated")
        start = None if since else as_instant(self.config.get("start_date"))
        params = {"projectId[]": project_id, "sort": "created", "order": "asc"}
        window: dict[str, Any] = dict(filters)
        if since or start:
            window["updatedSince"] = day_before(since or start or "")

        def is_empty() -> bool:
            # An empty window is never believed: it is made to reach back until it has to show an issue, which it does
            # only of a project that is readable.
            if window.pop("createdSince", None):
                return False
            newest = self.newest(project_id)
            if newest is None:
                # Should that be wrong, the next sync reads the project from its beginning.
                position.pop("updated", None)
                return True
            bound, stamp = window.pop("updatedSince", None), as_instant(newest.get("updated"))
            if bound and stamp:
                window["updatedSince"] = min(bound, day_before(stamp))
                position["updated"] = min(position.get("updated", stamp), stamp)
            return False

        pages = by_offset(
            lambda page: self.requester.get_json("issues", {**params, **window, **page}),
            # The issue that the position was taken from is in the window, unless it was deleted.
            not_empty=bool(since or filters),
            is_empty=is_empty,
        )
        for issue in pages:
            stamp = as_instant(issue.get("updated"))
            if start and stamp and stamp < start:
                continue
            if stamp:
                position["updated"] = later(position.get("updated"), not_in_the_future(stamp))
            yield issue

    def newest(self, project_id: Any) -> Row | None:
        """The project's last updated issue at this moment, or None when it has no issues.

        Raises `Unreadable` when the project is not readable.
        """
        found = rows_of(
            self.requester.look("issues", {"projectId[]": project_id, "sort": "updated", "order": "desc", "count": 1})
        )
        if not found and not self.readable(project_id):
            raise Unreadable
        return found[0] if found else None

    def by_ids(self, ids: list[Any], project_id: Any, witness: Any) -> Iterator[Row]:
        """Issues of a project by id, some hundred per request; those that are gone or moved away are left out.

        Of a project that the user has just lost, all issues look gone. So each request asks for an issue too that is
        there: `witness`, one that was just listed (None: the newest one). Raises `Unreadable` when it shows none.
        """
        if ids and witness is None:
            newest = self.newest(project_id)
            if newest is None:
                return
            witness = newest["id"]
        for first in range(0, len(ids), PAGE_SIZE - 1):
            some = ids[first : first + PAGE_SIZE - 1]
            page = rows_of(self.requester.get_json("issues", {"id[]": [*some, witness], "count": PAGE_SIZE}))
            there = [issue for issue in page if issue.get("projectId") in (project_id, None)]
            if not there:
                raise Unreadable
            yield from (issue for issue in there if issue["id"] in some)


@dataclass
class PerIssueRetriever(IssueRetriever):
    """What takes a request of its own per changed issue: participants, related issues.

    `endpoint` is the last part of the path; the objects found there go under that name into the issue, from where
    `make` takes its rows. The requests of one project overlap (`Space.ahead`), and the place is saved every half
    minute: a large project takes hours, because Backlog allows ten such requests a second.
    """

    endpoint: str = ""

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The rows of one project."""
        position, project_id = self.position(stream_slice), stream_slice["projectId"]
        skipped = Skipped(position)
        progress = Progress(position)
        saved = time.monotonic()
        issues = self.parents(stream_slice, position, progress, skipped)
        for issue, found in self.api_budget.ahead(self.read, issues):
            if found is None:
                skipped.add(issue["id"])
            else:
                skipped.given(issue["id"])
                yield from self.of_one(issue, found)
            progress.done(issue)
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                saved = time.monotonic()
                self.checkpoint(stream_slice, skipped.noted(progress.position(), self, project_id, finished=False))
        self.advance(stream_slice, skipped.noted(progress.finished(position), self, project_id))

    def parents(
        self, stream_slice: StreamSlice, position: Position, progress: "Progress", skipped: Skipped
    ) -> Iterator[Row]:
        """The issues to ask for: those that the list shows as changed, then those that only the feed names."""
        project = stream_slice.extra_fields["project"]
        feed = feed_of(self.api_budget)
        progress.head = feed.head(self.requester)
        touched = progress.touched(self, project["id"], position)
        since, again = position.get("updated"), set(skipped.before)
        witness = None
        for issue in self.updated(project["id"], position, **progress.filters()):
            witness = issue["id"]
            stamp = as_instant(issue.get("updated"))
            # The issues of the last day come again with every sync. One of them needs a request only if it has
            # changed since, which the feed tells even within the same second.
            changed = not since or not stamp or stamp > since
            if (changed and progress.still_ahead(issue)) or issue["id"] in touched or issue["id"] in again:
                touched.pop(issue["id"], None)
                again.discard(issue["id"])
                yield issue
        yield from self.unlisted(project, touched, witness)
        yield from self.by_ids(sorted(again - touched.keys()), project["id"], witness)
        feed.mark(self.requester, project["id"], position)

    types = ISSUE_CHANGED

    def unlisted(self, project: Row, touched: dict[Any, Touched], witness: Any) -> Iterator[Row]:
        """The issues that only the feed names; for `witness` see `by_ids`."""
        return self.by_ids(list(touched), project["id"], witness)

    def read(self, issue: Row) -> list[Row] | None:
        """The objects that one issue has under the endpoint; None when it is gone."""
        found = self.requester.get_json(f"issues/{issue['id']}/{self.endpoint}")
        return None if found is None else rows_of(found)

    def of_one(self, issue: Row, found: list[Row]) -> Iterable[Row]:
        """The rows of one issue."""
        return MAKE[self.make]({**issue, self.endpoint: found})


@dataclass
class CommentRetriever(PerIssueRetriever):
    """Comments of issues that have changed or were commented on, or the rows inside the comments.

    A plain comment does not move `issue.updated`, so commented issues come from the activity feed too. The whole
    comment list of such an issue is read: an edited comment of it is found in passing.
    """

    types = ISSUE_COMMENTED

    def unlisted(self, project: Row, touched: dict[Any, Touched], witness: Any) -> Iterator[Row]:
        """The issues that only the feed names; their ids and keys are all that comments need."""
        for issue_id, named in touched.items():
            key = f"{project.get('projectKey')}-{named.key_id}"
            yield {"id": issue_id, "projectId": project["id"], "issueKey": key}

    def read(self, issue: Row) -> list[Row] | None:
        """All comments of one issue, oldest first; None when the issue is gone."""
        try:
            return list(by_id(lambda page: self.requester.get_json(f"issues/{issue['id']}/comments", page)))
        except Unreadable:
            return None

    def of_one(self, issue: Row, found: list[Row]) -> Iterable[Row]:
        """The rows of one issue's comments; none when it has moved to another project, whose feed names it too."""
        for comment in found:
            under(comment, projectId=issue.get("projectId"), issueId=issue["id"], issueKey=issue.get("issueKey"))
            if comment.get("projectId") == issue.get("projectId"):
                yield from MAKE[self.make](comment)


class Progress:
    """How far a walk over a project's issues, in the order of their creation, has come.

    Its place is saved as `resume`: the walk goes on behind the last issue it had finished (`after`, the creation
    stamp). What changed before that place in the meantime is in the feed, from where the interrupted walk had begun
    (`activity`).
    """

    def __init__(self, position: Position) -> None:
        resume = position.pop("resume", None) or {}
        self.head: int | None = None
        self._after: str | None = resume.get("after")
        self._activity: int | None = resume.get("activity")
        self._updated: str | None = resume.get("updated")
        self._old = dict(position)
        self._live = position
        self._last = self._after

    def touched(self, retriever: PerIssueRetriever, project_id: Any, position: Position) -> dict[Any, Touched]:
        """What the feed names since the last sync, or since the first walk began that was interrupted.

        When the feed cannot tell, the walk begins anew.
        """
        look = position if "activity" in position or self._activity is None else {"activity": self._activity}
        asked = bool(look)
        touched = touched_ids(retriever.api_budget, retriever.requester, project_id, look, retriever.types)
        if "looked" in look:
            position["looked"] = look["looked"]
        if asked and not look:
            position.clear()
            self._after = self._activity = self._updated = self._last = None
            self._old = {}
        return touched

    def filters(self) -> dict[str, str]:
        """The parameters that leave out what the interrupted walk had passed."""
        return {"createdSince": day_before(self._after)} if self._after else {}

    def still_ahead(self, issue: Row) -> bool:
        """Whether the interrupted walk had not yet passed the issue."""
        created = as_instant(issue.get("created"))
        return not self._after or not created or created >= self._after

    def done(self, issue: Row) -> None:
        """Note that all rows of the issue are out."""
        self._last = later(self._last, as_instant(issue.get("created")))

    def position(self) -> Position:
        """The position to save in the middle of the walk."""
        if self._last is None:
            return self._old
        activity = self.head if self._activity is None else self._activity
        resume = {"after": self._last, "activity": activity, "updated": later(self._updated, self._live.get("updated"))}
        return {**self._old, "resume": {name: value for name, value in resume.items() if value is not None}}

    def finished(self, position: Position) -> Position:
        """The position to save at the end of the walk."""
        updated = later(position.get("updated"), self._updated)
        return {**position, "updated": updated} if updated else position
