"""The activity feed: what happened in the space, in the order in which it happened."""

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.types import StreamSlice

from source_backlog.components.paging import PAGE_SIZE, by_id, rows_of
from source_backlog.components.projects import selected_projects
from source_backlog.components.requester import BacklogRequester
from source_backlog.components.retriever import BacklogRetriever
from source_backlog.components.space import Space
from source_backlog.components.values import Row, as_instant

LOGGER = logging.getLogger("airbyte.source_backlog")

# https://developer.nulab.com/docs/backlog/api/2/get-recent-updates; 34, 35 and 47 from nulab/backlog-js. The pages
# call 21 "deleted", the SDKs "merged".
TYPE_NAMES = {
    1: "Issue Created",
    2: "Issue Updated",
    3: "Issue Commented",
    4: "Issue Deleted",
    5: "Wiki Created",
    6: "Wiki Updated",
    7: "Wiki Deleted",
    8: "File Added",
    9: "File Updated",
    10: "File Deleted",
    11: "SVN Committed",
    12: "Git Pushed",
    13: "Git Repository Created",
    14: "Issues Bulk Updated",
    15: "Project User Added",
    16: "Project User Removed",
    17: "Comment Notification Added",
    18: "Pull Request Created",
    19: "Pull Request Updated",
    20: "Pull Request Commented",
    21: "Pull Request Deleted or Merged",
    22: "Milestone Created",
    23: "Milestone Updated",
    24: "Milestone Deleted",
    25: "Project Team Added",
    26: "Project Team Removed",
    34: "Status Deleted",
    35: "Issue Dates Updated",
    36: "Document Created",
    37: "Document Deleted",
    38: "Document Title Changed",
    39: "Document Updated",
    40: "Document Comment Created",
    41: "Document Comment Updated",
    42: "Document Comment Deleted",
    43: "Document Comment Reply Created",
    44: "Document Comment Reply Updated",
    45: "Document Comment Reply Deleted",
    46: "Document Attachment Added",
    47: "Issues Bulk Created",
    48: "Documents Bulk Created",
    49: "Mentioned in Document",
}

# Which activities say that an object of a family may have changed; the deletions are not among them.
ISSUE_CHANGED = frozenset([1, 2, 14, 35, 47])
ISSUE_COMMENTED = ISSUE_CHANGED | {3, 17}
WIKI_CHANGED = frozenset([5, 6])
DOCUMENT_COMMENTED = frozenset([36, 38, 39, 40, 41, 42, 43, 44, 45, 46, 48, 49])
PULL_REQUEST_CHANGED = frozenset([18, 19, 20, 21])


@dataclass(frozen=True)
class Touched:
    """One object that an activity names: its id, and the number that its key is made of, if it has one."""

    activity: int
    type: int
    id: Any
    key_id: Any


class FeedTrimmed(Exception):
    """Backlog no longer holds the activities that follow the one the last sync ended with."""


class Feed:
    """The part of the space's activity feed that is newer than the last sync, read once for all streams.

    Why: the feed tells of what no time stamp shows (a plain comment does not move `issue.updated`), and every family
    of streams asks it. One instance per sync, see `feed_of`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._touched: dict[Any, list[Touched]] = {}
        self._from: int | None = None
        self._head: int | None = None
        self._trimmed: set[int] = set()

    def head(self, requester: BacklogRequester) -> int:
        """The id of the newest activity when it was first asked for in this sync; 0 for an empty feed.

        What a stream has read after this moment holds everything up to this id.
        """
        with self._lock:
            if self._head is None:
                newest = rows_of(requester.get_json("space/activities", {"count": 1, "order": "desc"}))
                self._head = newest[0]["id"] if newest else 0
            return self._head

    def touched(
        self, requester: BacklogRequester, project_id: Any, after: int, types: frozenset[int]
    ) -> dict[Any, Touched]:
        """The objects of a project that activities of `types` newer than `after` name, each once.

        Raises `FeedTrimmed` when the feed does not reach back to `after`.
        """
        with self._lock:
            self._load(requester, after)
            return {
                touched.id: touched
                for touched in self._touched.get(project_id, ())
                if touched.type in types and touched.activity > after
            }

    def _load(self, requester: BacklogRequester, after: int) -> None:
        if after in self._trimmed:
            raise FeedTrimmed
        if self._from is not None and after >= self._from:
            return
        first: list[int] = []

        def fetch(page: Mapping[str, Any]) -> Any:
            body = requester.get_json("space/activities", page)
            if not first:
                first.extend(row["id"] for row in rows_of(body)[:1])
            return body

        found: dict[Any, list[Touched]] = {}
        for activity in by_id(fetch, after):
            for touched in named_objects(activity):
                found.setdefault((activity.get("project") or {}).get("id"), []).append(touched)
        # The bound itself comes first when it is still there (and the server counts it in): the usual case.
        if after and first[:1] != [after] and not self._reaches_back_to(requester, after):
            self._trimmed.add(after)
            raise FeedTrimmed
        self._touched, self._from = found, after

    def _reaches_back_to(self, requester: BacklogRequester, activity_id: int) -> bool:
        oldest = rows_of(requester.get_json("space/activities", {"count": 1, "order": "asc"}))
        reaches = bool(oldest) and oldest[0]["id"] <= activity_id
        if not reaches:
            LOGGER.warning(
                f"Backlog no longer holds the activities since the last sync (after {activity_id}). Everything that "
                "they could have pointed to is read again."
            )
        return reaches


def feed_of(space: Space) -> Feed:
    """The feed that all streams of a sync share."""
    return space.once("feed", Feed)


def touched_ids(
    space: Space, requester: BacklogRequester, project_id: Any, position: dict[str, Any], types: frozenset[int]
) -> dict[Any, Touched]:
    """The objects of a project that the feed names since the last sync (`position["activity"]`), by id.

    When the feed does not reach back that far, the position is cleared: all objects are read again.
    """
    if "activity" not in position:
        return {}
    try:
        return feed_of(space).touched(requester, project_id, position["activity"], types)
    except FeedTrimmed:
        position.clear()
        return {}


def named_objects(activity: Mapping[str, Any]) -> Iterator[Touched]:
    """The objects that an activity names: `content.id`, and for bulk activities every entry of its list."""
    content = activity.get("content")
    if not isinstance(content, Mapping):
        return
    number, kind = activity["id"], activity.get("type") or 0
    if content.get("id") is not None:
        yield Touched(number, kind, content["id"], content.get("key_id", content.get("number")))
    for several in ("link", "documents"):
        entries = content.get(several)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, Mapping) and entry.get("id") is not None:
                yield Touched(number, kind, entry["id"], entry.get("key_id"))


def flat(activity: Row) -> Row:
    """An activity with its type's name and the project's and creator's columns beside the whole content."""
    kind = activity.get("type")
    project = activity.get("project") or {}
    creator = activity.get("createdUser") or {}
    account = creator.get("nulabAccount") or {}
    activity["typeName"] = TYPE_NAMES.get(kind or 0, f"Unknown ({kind})")
    activity["projectId"] = project.get("id")
    activity["projectKey"] = project.get("projectKey")
    activity["projectName"] = project.get("name")
    activity["createdUserId"] = creator.get("id")
    activity["createdUserName"] = creator.get("name")
    activity["createdUserMailAddress"] = creator.get("mailAddress")
    activity["createdUserNulabId"] = account.get("nulabId")
    activity["createdUserUniqueId"] = account.get("uniqueId")
    return activity


@dataclass
class ActivityRetriever(BacklogRetriever):
    """Reads the feed from the last id on, and the whole feed of every project that has become visible since.

    Why: a plain cursor on the id would never see what happened in a project before the key's user joined it,
    because those ids lie below the cursor. State: `{"activity": <last id>, "projects": [<ids read so far>]}`.
    """

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """Activities of the selected projects, oldest first."""
        selected = [project["id"] for project in selected_projects(self.requester, self.config, self.api_budget)]
        start = as_instant(self.config.get("start_date"))
        for activity in self.activities(stream_slice, selected):
            if not start or (as_instant(activity.get("created")) or start) >= start:
                yield flat(activity)

    def activities(self, stream_slice: StreamSlice, selected: list[Any]) -> Iterator[Row]:
        """The raw activities that are new to the stream, oldest first; checkpoints after every page of them."""
        position = self.position(stream_slice)
        last, known = position.get("activity"), set(position.get("projects") or [])
        if last is not None:
            for project_id in selected:
                if project_id not in known:
                    path = f"projects/{project_id}/activities"
                    for activity in by_id(lambda page, path=path: self.requester.get_json(path, page)):  # type: ignore[misc]
                        if activity["id"] <= last:
                            yield activity
        everything = not self.config.get("projects") and self.config.get("include_archived_projects", True)
        feed = by_id(lambda page: self.requester.get_json("space/activities", page), last)
        for count, activity in enumerate(feed, start=1):
            if everything or (activity.get("project") or {}).get("id") in selected:
                yield activity
            last = activity["id"]
            if count % PAGE_SIZE == 0:
                self.checkpoint(stream_slice, {"activity": last, "projects": selected})
        self.advance(stream_slice, {"activity": last or 0, "projects": selected})
