"""The stream of activities: what happened in the space, in the order in which it happened."""

import itertools
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.types import StreamSlice

from source_backlog.changes.feed import FeedTrimmed, feed_of, is_joined_by_myself, newer_than
from source_backlog.changes.paging import PAGE_SIZE, Recent, Unreadable, by_id
from source_backlog.changes.projects import new_projects, note_projects, selected_projects
from source_backlog.streams.retriever import BacklogRetriever
from source_backlog.values import Position, Row, as_instant

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
    because those ids lie below the cursor. State: `{"activity": <last id>, "projects": [<ids read so far>]}`, with
    archived projects under `archived`, and `narrowed` as long as the option Projects leaves out what has no project.
    """

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """Activities of the selected projects, oldest first."""
        selected = [project["id"] for project in selected_projects(self.requester, self.config, self.api_budget)]
        start = as_instant(self.config.get("start_date"))
        position = self.position(stream_slice)
        for activity in self.activities(stream_slice, selected, position):
            if not start or (as_instant(activity.get("created")) or start) >= start:
                yield flat(activity)
        self.advance(stream_slice, position)

    def activities(self, stream_slice: StreamSlice, selected: list[Any], position: Position) -> Iterator[Row]:
        """The raw activities that are new to the stream, oldest first; moves `position`, a checkpoint per page."""
        projects = [
            project
            for project in selected_projects(self.requester, self.config, self.api_budget)
            if project["id"] in selected
        ]
        last = position.get("activity")
        began = feed_of(self.api_budget).head(self.requester)
        recent = Recent(last, position.get("seen"))
        unread: list[Any] = []
        if last is not None:
            for project_id in new_projects(position, projects):
                yield from self.history(project_id, last, unread)
        note_projects(position, projects, without=unread)
        unfiltered = not self.config.get("projects")
        if position.pop("narrowed", False) and unfiltered and last is not None:
            yield from (each for each in self.up_to("space/activities", last) if not each.get("project"))
        if not unfiltered:
            position["narrowed"] = True
        everything = unfiltered and self.config.get("include_archived_projects", True)
        for count, activity in enumerate(self.newest(recent), start=1):
            project_id = (activity.get("project") or {}).get("id")
            joined_since = last is not None or activity["id"] > began
            if joined_since and is_joined_by_myself(self.requester, activity):
                # While the user was not a member, other activities may have been passed over.
                unread.append(project_id)
                note_projects(position, projects, without=unread)
            if everything or project_id in selected or (unfiltered and project_id is None):
                yield activity
            if count % PAGE_SIZE == 0:
                recent.note(position, "activity")
                self.checkpoint(stream_slice, dict(position))
        again, unread = set(unread) & set(selected), []
        for project_id in sorted(again):
            yield from self.history(project_id, began if last is None else last, unread)
        note_projects(position, projects, without=unread)
        recent.note(position, "activity")

    def history(self, project_id: Any, until: int, unread: list[Any]) -> Iterator[Row]:
        """The activities of a project up to `until`, where the last sync ended; refused, it goes into `unread`."""
        try:
            yield from self.up_to(f"projects/{project_id}/activities", until)
        except Unreadable:
            unread.append(project_id)

    def up_to(self, path: str, until: int) -> Iterator[Row]:
        """The activities of a feed up to the one where the last sync ended; raises `Unreadable` when refused."""
        for activity in by_id(lambda page: self.requester.get_json(path, page)):
            if activity["id"] > until:
                return
            yield activity

    def newest(self, recent: Recent) -> Iterator[Row]:
        """The activities after the last known one; what Backlog no longer holds is reported."""
        for after in dict.fromkeys((recent.after, recent.last)):
            try:
                rows = self.behind(after, recent.last)
                if after != recent.after:
                    # The last one is held, but less than was to be looked at again: then all that is.
                    recent.after, rows = 0, self.behind(0, recent.last)
            except FeedTrimmed:
                continue
            yield from recent.new(rows)
            return
        LOGGER.warning(
            f"{self.name}: Backlog no longer holds the activities that followed {recent.last}. Those between it and "
            "the oldest one still held are lost; sync more often."
        )
        recent.after = recent.last = None
        yield from recent.new(self.behind(None, None))

    def behind(self, after: int | None, last: int | None) -> Iterator[Row]:
        """The activities behind `after`; raises `FeedTrimmed` at once when the feed does not reach back to `last`."""
        rows = newer_than(self.requester, after)
        first = next(rows, None)
        if after == 0 and last and (first is None or first["id"] > last):
            raise FeedTrimmed
        return itertools.chain([] if first is None else [first], rows)
