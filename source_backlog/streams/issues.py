"""Issues: which have changed, and what takes a request of its own per issue."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from source_backlog.api.errors import RejectedRequest, warn_once
from source_backlog.changes.backlog import Backlog
from source_backlog.changes.feed import ISSUE_CHANGED, ISSUE_DELETED, Touched, head_of
from source_backlog.changes.paging import PAGE_SIZE, Unreadable, by_offset, rows_of
from source_backlog.changes.progress import ResumableWalk
from source_backlog.streams.finder import Finder, Reader
from source_backlog.values import Row, as_instant, day_before

# In which the list is read again when rows are missing: first those with the fewest equal values.
ORDERS = (
    {"sort": "summary", "order": "asc"},
    {"sort": "updated", "order": "desc"},
    {"sort": "created", "order": "desc"},
)

# What of an issue is needed to ask for what it has, and to make rows of that.
NEEDED = ("id", "projectId", "issueKey", "created", "updated")


# https://developer.nulab.com/docs/backlog/api/2/get-issue-list: each issue then tells how many children it has.
WITH_CHILDREN = {"expand[]": "childIssueSummary"}


def page_of(backlog: Backlog, params: Row, *, fresh: bool = False) -> Any:
    """A page of `GET /issues` with `childIssueSummary` in each issue, where Backlog knows it; None when refused.

    All finders ask alike, so that their streams share the answers. A server that rejects the parameter is asked again
    without it.
    """
    ask = backlog.look if fresh else backlog.get
    try:
        return backlog.if_accepted("expand[]", lambda: ask("issues", {**params, **WITH_CHILDREN}))
    except RejectedRequest:
        page = ask("issues", params)
    warn_once(backlog.space, "Backlog does not tell how many children an issue has: childIssueSummary is null.")
    return page


class ChangedIssues(Finder):
    """Issues that have changed.

    An issue has changed when its `updated` has moved, or when an activity says so: linking a shared file, for one,
    leaves an activity but does not move `updated` (backlog-api.md, 6.2).

    Pages are sorted by creation, so that an issue that is updated while they are read keeps its place; the window
    `updatedSince` begins a day before the last known `updated` and has no end.
    """

    path = "issues/{id}"
    named_by = ISSUE_CHANGED
    deleted_by = ISSUE_DELETED

    def changed(self) -> Iterator[Row]:
        """Those that the list shows, then those that only the feed names."""
        head_of(self.backlog)
        touched = self.touched()
        witness = None
        for issue in self.updated({}):
            witness = issue["id"]
            touched.pop(witness, None)
            yield issue
        yield from self.by_ids(list(touched), witness)
        self.mark()

    def has(self, owner: Row) -> bool:
        """Whether the issue is still there, and in this project: it may be in one that the user does not see."""
        return any(self.by_ids([owner["id"]], None, fresh=True))

    def updated(self, filters: dict[str, str]) -> Iterator[Row]:
        """The project's issues from a day before the last known `updated` on; moves it to the latest one seen."""
        since = self.walk.now.updated
        start = None if since else self.backlog.start
        params = {"projectId[]": self.project_id, "sort": "created", "order": "asc"}
        window: dict[str, Any] = dict(filters)
        if since or start:
            window["updatedSince"] = day_before(since or start or "")
        moved: list[bool] = []
        pages = by_offset(
            lambda page: page_of(self.backlog, {**params, **window, **page}),
            anew=lambda page: page_of(self.backlog, {**params, **window, **page}, fresh=True),
            # The issue that the position was taken from is in the window, unless it was deleted.
            not_empty=bool(since or filters),
            is_empty=self._widen(window),
            on_move=lambda: moved.append(True),
        )
        seen: set[Any] = set()
        for issue in itertools.chain(pages, self._left_out(params, window, seen, moved)):
            seen.add(issue["id"])
            stamp = as_instant(issue.get("updated"))
            if start and stamp and stamp < start:
                continue
            self.walk.see(stamp)
            yield issue

    def _left_out(self, params: Row, window: Row, seen: set[Any], moved: list[bool]) -> Iterator[Row]:
        """The issues that the list counts and has not shown; `seen` are the ids of those that it has.

        Counted is a first load, and what took several pages: one request. See `Backlog.not_shown`.
        """
        if self.walk.origin.updated and len(seen) < PAGE_SIZE:
            return
        filters = {name: value for name, value in {**params, **window}.items() if name not in ("sort", "order")}
        look = partial(page_of, self.backlog, fresh=True)
        found, number = self.backlog.not_shown("issues", look, filters, seen, ORDERS, moved=bool(moved))
        if number:
            self.backlog.left_out.collect(
                "Backlog counts issues that its list does not show, in whatever order: ",
                f"projects/{self.project_id}",
                ". They are read when they change.",
                f"of {number} issues it shows {len(seen) + len(found)}",
            )
        yield from found

    def _widen(self, window: dict[str, Any]) -> Callable[[], bool]:
        def is_empty() -> bool:
            # An empty window is never believed: it is made to reach back until it has to show an issue, which it does
            # only of a project that is readable.
            if window.pop("createdSince", None):
                return False
            newest = self.newest()
            if newest is None:
                # Should that be wrong, the next sync reads the project from its beginning.
                self.walk.move(updated=None)
                return True
            bound, stamp = window.pop("updatedSince", None), as_instant(newest.get("updated"))
            if bound and stamp:
                window["updatedSince"] = min(bound, day_before(stamp))
                self.walk.move(updated=min(self.walk.now.updated or stamp, stamp))
            return False

        return is_empty

    def newest(self) -> Row | None:
        """The project's last updated issue at this moment, or None when it has no issues.

        Raises `Unreadable` when the project is not readable.
        """
        params = {"projectId[]": self.project_id, "sort": "updated", "order": "desc", "count": 1}
        found = rows_of(self.backlog.look("issues", params))
        if not found and not self.backlog.is_readable(self.project_id):
            raise Unreadable
        return found[0] if found else None

    def by_ids(self, ids: list[Any], witness: Any, *, fresh: bool = False) -> Iterator[Row]:
        """Issues of the project by id, some hundred per request; those that are gone or moved away are left out.

        Of a project that the user has just lost, all issues look gone. So each request asks for an issue too that is
        there: `witness`, one that was just listed (None: the newest one). Raises `Unreadable` when it shows none.
        """
        if ids and witness is None:
            newest = self.newest()
            if newest is None:
                return
            witness = newest["id"]
        for first in range(0, len(ids), PAGE_SIZE - 1):
            some = ids[first : first + PAGE_SIZE - 1]
            page = rows_of(page_of(self.backlog, {"id[]": [*some, witness], "count": PAGE_SIZE}, fresh=fresh))
            there = [issue for issue in page if issue.get("projectId") in (self.project_id, None)]
            if not there:
                raise Unreadable
            yield from (issue for issue in there if issue["id"] in some)


class IssuesToAsk(ChangedIssues):
    """Issues that have changed, each of which takes a request of its own: participants, related issues.

    The place is saved while they are asked for: a large project takes hours, because Backlog allows ten such requests a
    second.
    """

    walks = ResumableWalk
    walk: ResumableWalk[Any]

    def changed(self) -> Iterator[Row]:
        """Those that the list shows as changed, then those that only the feed names, then those skipped last time."""
        self.walk.head = head_of(self.backlog)
        touched = self.touched()
        again = set(self.walk.skipped.before)
        # The issues of the last day come again with every sync. One of them needs a request only if it has changed
        # since, which the feed tells even within the same second, if it tells of it.
        since = self.walk.known
        witness = None
        for issue in self._whole_list():
            witness = issue["id"]
            stamp = as_instant(issue.get("updated"))
            changed = not since or not stamp or stamp > since
            if (changed and self.walk.is_ahead(issue)) or issue["id"] in touched or issue["id"] in again:
                touched.pop(issue["id"], None)
                again.discard(issue["id"])
                yield issue
        yield from self.unlisted(touched, witness)
        yield from self.by_ids(sorted(again - touched.keys()), witness)
        self.mark()
        self.walk.note_sure()

    def _whole_list(self) -> list[Row]:
        # What the list leaves out is known at its end only. So all of it is read before the first issue is asked for:
        # else the place, saved in the middle, would pass over issues that come late.
        listed = [{name: issue.get(name) for name in NEEDED} for issue in self.updated(self.walk.filters)]
        return sorted(listed, key=lambda issue: as_instant(issue["created"]) or "")

    def unlisted(self, touched: dict[Any, Touched], witness: Any) -> Iterator[Row]:
        """The issues that only the feed names; for `witness` see `by_ids`."""
        return self.by_ids(list(touched), witness)


def list_of(endpoint: str) -> Reader:
    """A reader of the objects that an issue has under `endpoint`; they go under that name into the issue."""

    def read(backlog: Backlog, issue: Row) -> list[Row] | None:
        found = backlog.get(f"issues/{issue['id']}/{endpoint}")
        return None if found is None else [{**issue, endpoint: rows_of(found)}]

    return read
