"""Issues and everything that hangs below an issue."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.types import StreamSlice

from source_backlog.components.checkpoints import Position
from source_backlog.components.custom_fields import with_columns
from source_backlog.components.feed import ISSUE_CHANGED, ISSUE_COMMENTED, ISSUE_DELETED, Touched, feed_of, touched_ids
from source_backlog.components.paging import PAGE_SIZE, by_id, by_offset, rows_of
from source_backlog.components.retriever import BacklogRetriever
from source_backlog.components.rows import MAKE
from source_backlog.components.values import Row, as_instant, day_before, later, not_in_the_future, under

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
        head = feed.head(self.requester)
        touched = touched_ids(self.api_budget, self.requester, project_id, position, ISSUE_CHANGED)
        for issue in self.updated(project_id, position):
            touched.pop(issue["id"], None)
            yield issue
        for issue in self.by_ids(list(touched)):
            if issue.get("projectId") == project_id:
                yield issue
        position["activity"] = head

    def updated(self, project_id: Any, position: Position, **filters: str) -> Iterator[Row]:
        """The project's issues from a day before `position["updated"]` on; moves it to the latest one seen."""
        since = position.get("updated")
        start = None if since else as_instant(self.config.get("start_date"))
        params: dict[str, Any] = {"projectId[]": project_id, "sort": "created", "order": "asc", **filters}
        if since or start:
            params["updatedSince"] = day_before(since or start or "")
        for issue in by_offset(lambda page: self.requester.get_json("issues", {**params, **page})):
            stamp = as_instant(issue.get("updated"))
            if start and stamp and stamp < start:
                continue
            if stamp:
                position["updated"] = later(position.get("updated"), not_in_the_future(stamp))
            yield issue

    def by_ids(self, ids: list[Any]) -> Iterator[Row]:
        """Issues by id, a hundred per request; those that are gone are left out."""
        for first in range(0, len(ids), PAGE_SIZE):
            some = ids[first : first + PAGE_SIZE]
            yield from rows_of(self.requester.get_json("issues", {"id[]": some, "count": PAGE_SIZE}))


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
        position = self.position(stream_slice)
        progress = Progress(position)
        saved = time.monotonic()
        for issue, found in self.api_budget.ahead(self.read, self.parents(stream_slice, position, progress)):
            yield from self.of_one(issue, found)
            progress.done(issue)
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                saved = time.monotonic()
                self.checkpoint(stream_slice, progress.position())
        self.advance(stream_slice, progress.finished(position))

    def parents(self, stream_slice: StreamSlice, position: Position, progress: "Progress") -> Iterator[Row]:
        """The issues to ask for, those with `updated` later than the last sync's first, then those of the feed."""
        project = stream_slice.extra_fields["project"]
        head = feed_of(self.api_budget).head(self.requester)
        progress.head = head
        touched = touched_ids(self.api_budget, self.requester, project["id"], position, self.types)
        since = position.get("updated")
        filters = {"createdSince": day_before(progress.after)} if progress.after else {}
        for issue in self.updated(project["id"], position, **filters):
            stamp = as_instant(issue.get("updated"))
            in_feed = issue["id"] in touched
            touched.pop(issue["id"], None)
            # The issues of the last day come again with every sync. One of them needs a request only if it has
            # changed since, which the feed tells even within the same second.
            if (in_feed or not since or not stamp or stamp > since) and progress.still_ahead(issue):
                yield issue
        yield from self.unlisted(project, touched)
        position["activity"] = head

    types = ISSUE_CHANGED

    def unlisted(self, project: Row, touched: dict[Any, Touched]) -> Iterator[Row]:
        """The issues that only the feed names."""
        for issue in self.by_ids(list(touched)):
            if issue.get("projectId") == project["id"]:
                yield issue

    def read(self, issue: Row) -> list[Row]:
        """The objects that one issue has under the endpoint; none when the issue is gone."""
        return rows_of(self.requester.get_json(f"issues/{issue['id']}/{self.endpoint}"))

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

    def unlisted(self, project: Row, touched: dict[Any, Touched]) -> Iterator[Row]:
        """The issues that only the feed names; their ids and keys are all that comments need."""
        for issue_id, named in touched.items():
            key = f"{project.get('projectKey')}-{named.key_id}"
            yield {"id": issue_id, "projectId": project["id"], "issueKey": key}

    def read(self, issue: Row) -> list[Row]:
        """All comments of one issue, oldest first; none when the issue is gone."""
        return list(by_id(lambda page: self.requester.get_json(f"issues/{issue['id']}/comments", page)))

    def of_one(self, issue: Row, found: list[Row]) -> Iterable[Row]:
        """The rows of one issue's comments."""
        for comment in found:
            under(comment, projectId=issue["projectId"], issueId=issue["id"], issueKey=issue.get("issueKey"))
            yield from MAKE[self.make](comment)


class Progress:
    """How far a walk over a project's issues, in the order of their creation, has come.

    A walk that was interrupted goes on behind the last issue it had finished (`resume.after`, the creation stamp).
    What has changed before that place in the meantime is found by the next sync, because the finished position is
    then that of the interrupted walk: `updated` and `activity` as they were when its place was saved first.
    """

    def __init__(self, position: Position) -> None:
        self._resume = position.pop("resume", None)
        self._old = dict(position)
        self._live = position
        self.head: int | None = None
        self.after: str | None = (self._resume or {}).get("after")
        self._last = self.after

    def still_ahead(self, issue: Row) -> bool:
        """Whether the interrupted walk had not yet passed the issue."""
        created = as_instant(issue.get("created"))
        return not self.after or not created or created >= self.after

    def done(self, issue: Row) -> None:
        """Note that all rows of the issue are out."""
        self._last = later(self._last, as_instant(issue.get("created")))

    def position(self) -> Position:
        """The position to save in the middle of the walk."""
        if self._last is None:
            return self._old
        seen = self._resume or {"updated": self._live.get("updated"), "activity": self.head}
        return {**self._old, "resume": {**seen, "after": self._last}}

    def finished(self, position: Position) -> Position:
        """The position to save at the end of the walk."""
        if not self._resume:
            return position
        found = {name: self._resume.get(name) for name in ("updated", "activity")}
        return {**position, **{name: value for name, value in found.items() if value is not None}}
