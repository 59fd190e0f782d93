"""The activity feed as the other streams use it: what happened since the last sync, and to which object."""

import logging
import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from source_backlog.api.requester import BacklogRequester
from source_backlog.changes.backlog import Backlog
from source_backlog.changes.ids import ToldIds
from source_backlog.changes.paging import LOOK_AGAIN, Unreadable, belongs_to, by_id, rows_of
from source_backlog.changes.position import ActivitiesPosition
from source_backlog.changes.progress import Walk
from source_backlog.space import Space
from source_backlog.values import Row, as_instant

LOGGER = logging.getLogger("airbyte.source_backlog")

# Which activities say that an object of a family may have changed; the deletions are not among them. 34: a status was
# deleted, which gives its issues another one but no comment and no new stamp.
ISSUE_CHANGED = frozenset([1, 2, 14, 34, 35, 47])
ISSUE_COMMENTED = (ISSUE_CHANGED - {34}) | {3, 17}
WIKI_CHANGED = frozenset([5, 6])
DOCUMENT_COMMENTED = frozenset([36, 38, 39, 40, 41, 42, 43, 44, 45, 46, 48, 49])
PULL_REQUEST_CHANGED = frozenset([18, 19, 20, 21])

ISSUE_DELETED = frozenset([4])
WIKI_DELETED = frozenset([7])
DOCUMENT_DELETED = frozenset([37])
PULL_REQUEST_DELETED = frozenset([21])

# The families whose changes are logged by comments, of which the feed tells ids.
LOGGED = (ISSUE_COMMENTED, PULL_REQUEST_CHANGED)

UPDATED, COMMENTED = 2, 3
USER_JOINED, TEAM_JOINED = 15, 25


@dataclass(frozen=True)
class Touched:
    """One object that an activity names: its id, the number that its key is made of, if it has one, and when."""

    activity: int
    type: int
    id: Any
    key_id: Any
    created: str | None


class FeedTrimmed(Exception):
    """Backlog no longer holds the activities that follow the one the last sync ended with."""


class Feed:
    """The part of the space's activity feed that is newer than the last sync, read once for all streams.

    Why: the feed tells of what no time stamp shows (a plain comment does not move `issue.updated`), and every family
    of streams asks it. One instance per sync, see `feed_of`.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._touched: dict[Any, list[Touched]] = {}
        self._joined: dict[Any, list[Mapping[str, Any]]] = {}
        self._told: dict[frozenset[int], ToldIds] = {}
        self._ids: dict[Any, list[int]] = {}
        self._from: int | None = None
        # The first activity that is held if the feed was loaded from its beginning, else where it was loaded from.
        self._reaches_back_to = 0.0
        self._newest: list[Row] | None = None
        self._trimmed: set[int] = set()
        self._reported = False

    def head(self, requester: BacklogRequester) -> int:
        """The id of the newest activity when it was first asked for in this sync; 0 for an empty feed.

        What a stream has read after this moment holds everything up to this id.
        """
        with self._lock:
            if self._newest is None:
                page = {"count": LOOK_AGAIN + 1, "order": "desc"}
                self._newest = rows_of(requester.get_json("space/activities", page))
            return self._newest[0]["id"] if self._newest else 0

    def look(self, requester: BacklogRequester, project_id: Any, walk: Walk[Any]) -> int:
        """The activity behind which to look: the last one known, or an earlier one if others have turned up since.

        Why: an id is given before its activity can be seen, so that a higher one may be seen first; and of a project
        that the user lost for a moment the feed shows nothing. Either would be passed over for good.

        Raises `FeedTrimmed` when the feed does not reach back that far.
        """
        last = walk.activity or 0
        after, seen = walk.now.again or (last, 0)
        with self._lock:
            self._load_or_say(requester, min(after, last))
            walk.looked = self._seen(requester, project_id)
            turned_up = len(self._between(project_id, after, last)) > seen
            walk.told = turned_up or any(number > last for number in self._ids.get(project_id, ()))
        return after if turned_up else last

    def mark(self, requester: BacklogRequester, project_id: Any, walk: Walk[Any]) -> None:
        """Note that the project was read up to the head of the feed, and what `look` saw there.

        `again`, `(after, seen)`, is what the next sync compares: so many activities of the project lay between `after`
        and the head.
        """
        head = self.head(requester)
        with self._lock:
            looked = walk.looked or self._seen(requester, project_id)
        walk.move(activity=head, again=looked if looked[0] < head else None)

    def _seen(self, requester: BacklogRequester, project_id: Any) -> tuple[int, int]:
        head, newest = self.head(requester), self._newest or []
        after = newest[-1]["id"] if newest else 0
        if self._from is None:
            # On a first sync nobody asks what has happened since.
            seen = [each for each in newest if each["id"] > after and _project_of(each) == project_id]
            return after, len(seen)
        after = max(after, self._from)
        return after, len(self._between(project_id, after, head))

    def _between(self, project_id: Any, after: int, last: int) -> list[int]:
        return [number for number in self._ids.get(project_id, ()) if after < number <= last]

    def touched(
        self, requester: BacklogRequester, project_id: Any, after: int, types: frozenset[int]
    ) -> dict[Any, Touched]:
        """The objects of a project that activities of `types` newer than `after` name, each once.

        Raises `FeedTrimmed` when the feed does not reach back to `after`.
        """
        with self._lock:
            self._load_or_say(requester, after)
            return {
                touched.id: touched
                for touched in self._touched.get(project_id, ())
                if touched.type in types and touched.activity > after
            }

    def joined(self, requester: BacklogRequester, project_id: Any, after: int) -> bool:
        """Whether the key's user was added to the project after the activity `after`.

        Raises `FeedTrimmed` when the feed does not reach back to `after`.
        """
        with self._lock:
            self._load_or_say(requester, after)
            joins = [activity for activity in self._joined.get(project_id, ()) if activity["id"] > after]
        return any(is_joined_by_myself(requester, activity) for activity in joins)

    def told(self, requester: BacklogRequester, types: frozenset[int], after: int) -> ToldIds:
        """What the activities of `types`, one of `LOGGED`, tell of changed fields; some may lie before `after`.

        Raises `FeedTrimmed` when the feed does not reach back to `after`.
        """
        with self._lock:
            self._load_or_say(requester, after)
            return self._told[types]

    def _load_or_say(self, requester: BacklogRequester, after: int) -> None:
        try:
            self._load(requester, after)
        except FeedTrimmed:
            if not self._reported:
                self._reported = True
                LOGGER.warning(
                    f"Backlog no longer holds the activities since the last sync (after {after}). Everything that they "
                    "could have pointed to is read again."
                )
            raise

    def _load(self, requester: BacklogRequester, after: int) -> None:
        if after in self._trimmed:
            raise FeedTrimmed
        if self._from is not None and after >= self._from:
            if after and after < self._reaches_back_to:
                self._trimmed.add(after)
                raise FeedTrimmed
            return
        self.head(requester)
        found: dict[Any, list[Touched]] = {}
        joined: dict[Any, list[Mapping[str, Any]]] = {}
        ids: dict[Any, list[int]] = {}
        told = told_in(())
        try:
            for activity in newer_than(requester, after):
                project_id = _project_of(activity)
                ids.setdefault(project_id, []).append(activity["id"])
                for touched in named_objects(activity):
                    found.setdefault(project_id, []).append(touched)
                for each in told.values():
                    each.add(activity)
                if activity.get("type") in (USER_JOINED, TEAM_JOINED):
                    joined.setdefault(project_id, []).append(activity)
        except FeedTrimmed:
            self._trimmed.add(after)
            raise
        self._touched, self._joined, self._told, self._ids, self._from = found, joined, told, ids, after
        self._reaches_back_to = after or min((numbers[0] for numbers in ids.values()), default=math.inf)


def told_in(activities: Iterable[Row]) -> dict[frozenset[int], ToldIds]:
    """What the activities tell of changed fields, by family (`LOGGED`)."""
    told = {types: ToldIds(types) for types in LOGGED}
    for activity in activities:
        for each in told.values():
            each.add(activity)
    return told


def _project_of(activity: Row) -> Any:
    return (activity.get("project") or {}).get("id")


def feed_of(space: Space) -> Feed:
    """The feed that all streams of a sync share."""
    return space.once("feed", Feed)


def head_of(backlog: Backlog) -> int:
    """The head of the feed; see `Feed.head`."""
    return feed_of(backlog.space).head(backlog.requester)


def newer_than(requester: BacklogRequester, last: int | None) -> Iterator[Row]:
    """The activities of the space after `last`, oldest first.

    Ask for the head of the feed first (`Feed.head`): pages are kept for all streams (`SharedResponses`), and one that
    is older than the head would hide what lies between the two.

    Raises `FeedTrimmed` before the first of them when Backlog no longer holds all of them, or when `last` cannot come
    from this feed.
    """

    def ask(page: Mapping[str, Any]) -> Any:
        return requester.get_json("space/activities", page)

    asked = False

    def fetch(page: Mapping[str, Any]) -> Any:
        nonlocal asked
        body = ask(page)
        # The bound itself comes first when it is still there (and the server counts it in): the usual case.
        usual = asked or not last or [row["id"] for row in rows_of(body)[:1]] == [last]
        asked = True
        if not usual and not (belongs_to(ask, last or 0, rows_of(body)) and _reaches_back_to(requester, last or 0)):
            raise FeedTrimmed
        return body

    return by_id(fetch, last)


def _reaches_back_to(requester: BacklogRequester, activity_id: int) -> bool:
    oldest = rows_of(requester.get_json("space/activities", {"count": 1, "order": "asc"}))
    return bool(oldest) and oldest[0]["id"] <= activity_id


def is_joined_by_myself(requester: BacklogRequester, activity: Mapping[str, Any]) -> bool:
    """Whether an activity says that the key's own user was added to the project, or a team that it is in."""
    content = activity.get("content") or {}
    if activity.get("type") not in (USER_JOINED, TEAM_JOINED):
        return False
    myself = requester.get_json("users/myself")["id"]
    if activity["type"] == USER_JOINED:
        return any(user.get("id") == myself for user in rows_of(content.get("users")))
    joined = {party.get("id") for party in rows_of(content.get("parties"))}
    teams = rows_of(requester.get_json(f"projects/{(activity.get('project') or {}).get('id')}/teams"))
    return any(
        team.get("id") in joined and any(member.get("id") == myself for member in rows_of(team.get("members")))
        for team in teams
    )


def touched_ids(backlog: Backlog, project_id: Any, walk: Walk[Any], types: frozenset[int]) -> dict[Any, Touched]:
    """The objects of a project that the feed names since the last sync (`Walk.activity`), by id.

    The walk begins anew, so that all objects are read, when the feed does not reach back that far, and when the key's
    user has joined the project since: what happened while it was not a member may have been passed over.
    """
    if walk.activity is None:
        return {}
    feed = feed_of(backlog.space)
    try:
        after = walk.after = feed.look(backlog.requester, project_id, walk)
        if not feed.joined(backlog.requester, project_id, after):
            return feed.touched(backlog.requester, project_id, after, types)
        LOGGER.info(f"The user of the key has joined project {project_id} again: it is read from its beginning.")
    except FeedTrimmed:
        # The feed has said so.
        pass
    walk.begin_anew()
    return {}


def named_objects(activity: Mapping[str, Any]) -> Iterator[Touched]:
    """The objects that an activity names: `content.id`, and for bulk activities every entry of its list."""
    content = activity.get("content")
    if not isinstance(content, Mapping):
        return
    number, kind, created = activity["id"], activity.get("type") or 0, as_instant(activity.get("created"))
    if kind == COMMENTED and (content.get("attachments") or content.get("changes")):
        # A comment that carries a file, or changes the issue on the way, is no activity of type 2 (recorded in 2017).
        kind = UPDATED
    if content.get("id") is not None:
        yield Touched(number, kind, content["id"], content.get("key_id", content.get("number")), created)
    for several in ("link", "documents"):
        entries = content.get(several)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, Mapping) and entry.get("id") is not None:
                yield Touched(number, kind, entry["id"], entry.get("key_id"), created)


def past_told(backlog: Backlog, project_id: Any) -> list[dict[frozenset[int], ToldIds]]:
    """What the whole feed tells of changed fields, by family (`LOGGED`), beside a stream that is made from activities.

    Nothing without such a stream. In its first sync it reads the whole feed, and its answers are shared. Later the feed
    of the project is asked for, which it reads too if the project is new to it. Where the stream stood is taken from
    the beginning of the sync: what is told must not depend on how far it is now.
    """
    cursors = backlog.space.cursors.values()
    began = [cursor.began_at(()) for cursor in cursors if issubclass(cursor.kind, ActivitiesPosition)]
    if any(position.activity is None for position in began):
        head_of(backlog)
        return [backlog.space.once("told by the feed", lambda: told_in(newer_than(backlog.requester, None)))]
    if not began:
        return []
    path = f"projects/{project_id}/activities"
    try:
        return [told_in(by_id(lambda page: backlog.get(path, page)))]
    except Unreadable:
        return []
