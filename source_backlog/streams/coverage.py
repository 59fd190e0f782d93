"""What a sync has covered: for each stream and project what was given, what Backlog counts, and what is left out."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.streams.concurrent.partitions.partition import Partition
from airbyte_cdk.sources.types import Record, StreamSlice
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.limits import limits_of
from source_backlog.changes.backlog import Backlog
from source_backlog.changes.checkpoints import Checkpoints
from source_backlog.changes.feed import head_of
from source_backlog.changes.paging import rows_of
from source_backlog.changes.position import (
    ActivitiesPosition,
    FilesPosition,
    NotificationsPosition,
    ObjectsPosition,
    Position,
    WatchingsPosition,
)
from source_backlog.left_out import Cause, left_out_of
from source_backlog.space import Space
from source_backlog.streams.people import everyone
from source_backlog.streams.retriever import BacklogRetriever
from source_backlog.values import Row, instant_at

NAME = "sync_coverage"
# The `projectId` of what belongs to the space, as in `space_disk_usage`.
WHOLE_SPACE = 0
# Of more objects that were left out only the first are named.
MOST_IDS = 100

LASTING = {Cause.ROLE: "role", Cause.PLAN: "plan", Cause.OFF: "feature_off"}
REFUSED, FAILED, NOT_SELECTED = "refused", "failed", "not_selected_project"

# Lists of all projects, filtered by one: of a project that the user does not see they are empty.
EMPTY_IF_HIDDEN = frozenset(["issues", "documents"])

# A stream, and the id of a project or `WHOLE_SPACE`.
Place = tuple[str, Any]
# How many objects Backlog has, in a project; None when it does not tell.
Count = Callable[[Backlog, Any], int | None]


def _number(backlog: Backlog, path: str, params: Mapping[str, Any] | None = None) -> int | None:
    body = backlog.look(path, params, probe=True)
    number = body.get("count") if isinstance(body, dict) else None
    return number if isinstance(number, int) else None


def _sum(numbers: Iterable[int | None]) -> int | None:
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total


def _pull_requests(backlog: Backlog, project_id: Any) -> int | None:
    # The list of the repositories is kept for the streams: none may be older than what they take for the feed's head.
    head_of(backlog)
    path = f"projects/{project_id}/git/repositories"
    repositories = backlog.get(path, probe=True)
    if repositories is None:
        return None
    return _sum(_number(backlog, f"{path}/{one.get('id')}/pullRequests/count") for one in rows_of(repositories))


def _watchings(backlog: Backlog, _: Any) -> int | None:
    return _number(backlog, f"users/{backlog.get('users/myself')['id']}/watchings/count")


def _stars(backlog: Backlog, _: Any) -> int | None:
    return _sum(_number(backlog, f"users/{user['id']}/stars/count") for user in everyone(backlog, "users"))


# The streams of which a project has a number that can be compared with their rows.
COMPARABLE: dict[str, Count] = {
    "issues": lambda backlog, project_id: _number(backlog, "issues/count", {"projectId[]": project_id}),
    "wikis": lambda backlog, project_id: _number(backlog, "wikis/count", {"projectIdOrKey": project_id}),
    "documents": lambda backlog, project_id: _number(backlog, "documents/count", {"projectIdOrKey": project_id}),
    "pull_requests": _pull_requests,
}
COUNTS: dict[str, Count] = {
    **COMPARABLE,
    # It may count what lies in projects that the user does not see, which its list leaves out.
    "notifications": lambda backlog, _: _number(backlog, "notifications/count"),
    "watchings": _watchings,
    "user_stars": _stars,
}


class Coverage:
    """Collects, while a sync reads, what it gives and how each part of it ends; `rows_of` sums that up at the end.

    Why: what was left out is said in the log, which no warehouse has, and the end of a stream is told to the platform
    alone.

    Numbers are asked for just before what they count is read: what is made meanwhile can only make the rows more, and
    what is deleted meanwhile has a later stamp than `readAt`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given: Counter[Place] = Counter()
        self._read_at: dict[Place, str] = {}
        self._totals: dict[Place, int | None] = {}
        self._ended: set[Place] = set()
        self._failed: set[Place] = set()
        # The streams whose numbers Backlog does not give: they are not asked for again.
        self._uncounted: set[str] = set()

    def given(self, stream: str, row: Mapping[str, Any]) -> None:
        """Note a row that has left for the destination; a tombstone, which has no project, does not count."""
        project_id = row.get("projectId")
        # What Backlog sends there may be anything.
        self._given[stream, project_id if isinstance(project_id, int) else None] += 1

    def begin(self, backlog: Backlog, streams: Iterable[str], project_id: Any) -> None:
        """Note that streams are now read in a project (or `WHOLE_SPACE`), and ask for their numbers."""
        for stream in streams:
            moment = instant_at(limits_of(backlog.space).now())
            total = self._count(backlog, stream, project_id)
            with self._lock:
                self._read_at[stream, project_id], self._totals[stream, project_id] = moment, total

    def end(self, streams: Iterable[str], project_id: Any) -> None:
        """Note that streams were read without a failure; what was refused on the way is known to `LeftOut`."""
        with self._lock:
            self._ended.update((stream, project_id) for stream in streams)

    def fail(self, streams: Iterable[str], project_id: Any) -> None:
        """Note that streams could not be read to their end because a request has failed for good."""
        with self._lock:
            self._failed.update((stream, project_id) for stream in streams)

    def rows(self, backlog: Backlog, selected: Collection[str]) -> Iterator[Row]:
        """The rows of `sync_coverage` for the `selected` streams, in their order; asks nothing but in doubt."""
        space = backlog.space
        routers = {stream: space.routers.get(stream) for stream in selected if stream != NAME}
        chosen = {project["id"] for project in space.memory.get("projects") or ()}
        visible: list[Row] | None = space.memory.get("visible projects") if "projects" in space.memory else None
        gone = self._gone(routers.values(), visible or ())
        for stream, router in routers.items():
            if router is None or router.by == "space":
                yield self._row(backlog, stream, {"id": WHOLE_SPACE}, self._reason(backlog, stream, None))
            elif visible is None:
                # Nobody knows of which projects there is nothing.
                yield self._row(backlog, stream, {"id": WHOLE_SPACE}, FAILED)
            else:
                for project in visible:
                    left = project["id"] not in chosen
                    reason = NOT_SELECTED if left else self._reason(backlog, stream, project)
                    yield self._row(backlog, stream, project, reason)
                for project_id in gone:
                    yield self._row(backlog, stream, {"id": project_id}, REFUSED)

    @staticmethod
    def _gone(routers: Iterable[Checkpoints | None], visible: Iterable[Row]) -> list[Any]:
        # The projects that an earlier sync has read, and that the user does not see any more.
        known = {dict(key).get("projectId") for router in routers if router for key in router.partitions()}
        return sorted(known - {project["id"] for project in visible} - {None})

    def _row(self, backlog: Backlog, stream: str, project: Row, reason: str | None) -> Row:
        place = (stream, project["id"])
        total = self._totals.get(place)
        if reason is None and (self._is_short(backlog, place, total) or self._is_hidden(backlog, place)):
            reason = REFUSED
        return {
            "stream": stream,
            "projectId": project["id"],
            "projectKey": project.get("projectKey"),
            "readAt": self._read_at.get(place) or instant_at(limits_of(backlog.space).now()),
            "rows": self._given_at(place),
            "total": total,
            "complete": reason is None,
            "skipped": [str(one) for one in self._skipped(backlog.space, place)][:MOST_IDS],
            "reason": reason,
            "seenUntil": seen_until(self._position(backlog.space, place)) if stream in backlog.space.cursors else None,
        }

    def _is_short(self, backlog: Backlog, place: Place, total: int | None) -> bool:
        """Whether a first read, which gives all that there is, has given less than there was.

        Unless it was deleted after it had been counted. Of a project that the user has lost meanwhile, nothing counts.
        """
        stream, project_id = place
        given = self._given_at(place)
        if stream not in COMPARABLE or total is None or given >= total or self._began(backlog.space, place):
            return False
        return given < (self._count(backlog, stream, project_id) or 0) or not self._is_readable(backlog, project_id)

    def _is_hidden(self, backlog: Backlog, place: Place) -> bool:
        """Whether nothing was ever seen because Backlog shows nothing: instead of refusing it, some lists are empty."""
        position = self._position(backlog.space, place)
        if not isinstance(position, ObjectsPosition) or position.updated or self._given_at(place):
            return False
        by_filter = left_out_of(backlog.space).endpoints(place[0]) & EMPTY_IF_HIDDEN
        return bool(by_filter) and not self._is_readable(backlog, place[1])

    @staticmethod
    def _is_readable(backlog: Backlog, project_id: Any) -> bool:
        def ask() -> bool:
            try:
                return backlog.is_readable(project_id)
            except AirbyteTracedException:
                return False

        return backlog.space.once(f"project {project_id} is readable at the end", ask)

    def _reason(self, backlog: Backlog, stream: str, project: Row | None) -> str | None:
        """Why a stream was not read to its end; None if it was."""
        project_id = WHOLE_SPACE if project is None else project["id"]
        place = (stream, project_id)
        router = backlog.space.routers.get(stream)
        if project is not None and router and router.feature and project.get(router.feature) is False:
            return LASTING[Cause.OFF]
        if place in self._failed:
            return FAILED
        left_out = left_out_of(backlog.space)
        key = None if project is None else project_id
        causes = left_out.causes(stream, key)
        lasting = next((name for cause, name in LASTING.items() if cause in causes), None)
        if left_out.is_refused_whole(stream, key):
            return lasting or REFUSED
        if left_out.is_lost(stream, key) or self._skipped(backlog.space, place):
            return lasting or REFUSED
        return None if place in self._ended else FAILED

    def _count(self, backlog: Backlog, stream: str, project_id: Any) -> int | None:
        if stream not in COUNTS or (stream in COMPARABLE and backlog.start):
            # What is older than the start date is left out, and numbers by date are of whole days.
            return None
        first: list[int | None] = []
        # The first of a stream finds out whether Backlog counts, while the others wait.
        backlog.space.once(f"a number of {stream}", lambda: first.append(self._ask(backlog, stream, project_id)))
        return first[0] if first else self._ask(backlog, stream, project_id)

    def _ask(self, backlog: Backlog, stream: str, project_id: Any) -> int | None:
        if stream in self._uncounted:
            return None
        try:
            return COUNTS[stream](backlog, project_id)
        except AirbyteTracedException:
            # What only compares must not stop what it compares; if it is more than this, the streams say so.
            self._uncounted.add(stream)
            return None

    def _given_at(self, place: Place) -> int:
        stream, project_id = place
        if project_id != WHOLE_SPACE:
            return self._given[place]
        return sum(number for (name, _), number in self._given.items() if name == stream)

    @staticmethod
    def _began(space: Space, place: Place) -> Position | None:
        router = space.routers.get(place[0])
        return router.began_at(_key(place)) if router else None

    @staticmethod
    def _position(space: Space, place: Place) -> Position | None:
        router = space.routers.get(place[0])
        return router.position_at(_key(place)) if router else None

    def _skipped(self, space: Space, place: Place) -> list[Any]:
        # The ids of the objects that were refused, or whose request failed, and of the files.
        position = self._position(space, place)
        if not isinstance(position, ObjectsPosition):
            return left_out_of(space).objects(place[0]) if place[1] == WHOLE_SPACE else []
        missed = position.missed if isinstance(position, FilesPosition) else None
        return [*(position.skipped or ()), *(row["id"] for row in missed or ())]


def _key(place: Place) -> Any:
    return () if place[1] == WHOLE_SPACE else (("projectId", place[1]),)


def seen_until(position: Position | None) -> str | None:
    """How far a stream has come, as text: a stamp, or the id of the last activity or notification."""
    if isinstance(position, ObjectsPosition | WatchingsPosition):
        return position.updated
    last = None
    if isinstance(position, ActivitiesPosition):
        last = position.activity
    elif isinstance(position, NotificationsPosition):
        last = position.id
    return None if last is None else str(last)


def coverage_of(space: Space) -> Coverage:
    """The coverage of the sync, of all streams."""
    return space.once("coverage", Coverage)


class CoveredPartition(Partition):
    """A partition of a stream whose begin and end are noted, for all streams that are read with it (`Team`).

    Why: how a partition ends, the CDK tells nobody but its own cursors.
    """

    def __init__(self, partition: Partition, backlog: Backlog) -> None:
        self._partition, self._backlog = partition, backlog

    def read(self) -> Iterable[Record]:
        """The records."""
        slice_: Mapping[str, Any] = self.to_slice() or {}
        project_id = slice_.get("projectId", WHOLE_SPACE)
        coverage, streams = coverage_of(self._backlog.space), self._streams(slice_)
        coverage.begin(self._backlog, streams, project_id)
        try:
            yield from self._partition.read()
        except Exception:
            coverage.fail(streams, project_id)
            raise
        coverage.end(streams, project_id)

    def _streams(self, slice_: Mapping[str, Any]) -> list[str]:
        cursor = self._backlog.space.cursors.get(self.stream_name())
        if cursor is None or not slice_:
            return [self.stream_name()]
        partition = slice_.partition if isinstance(slice_, StreamSlice) else slice_
        return [member.name for member in cursor.team(partition).members]

    def to_slice(self) -> Mapping[str, Any] | None:
        """The slice."""
        return self._partition.to_slice()

    def stream_name(self) -> str:
        """The name of the stream."""
        return self._partition.stream_name()

    def __hash__(self) -> int:
        """The same as that of the partition."""
        return hash(self._partition)


@dataclass
class CoverageRetriever(BacklogRetriever):
    """The rows of `sync_coverage`. `SourceBacklog` reads it when all other streams have ended, whatever failed."""

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """One row per selected stream and project."""
        return coverage_of(self.api_budget).rows(self.backlog, self.api_budget.selected)
