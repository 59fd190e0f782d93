"""Which projects a sync need not ask, because the activity feed shows nothing of them.

Why: with nothing changed, a list per project is all that a sync costs, and Nulab asks for a second between two search
requests. The feed names what has changed, for all projects at once.

What leaves no activity has to arrive too. So a project of which the feed is silent is looked at all the same when its
last look is a day old, and in turn: all of them where there are few.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from source_backlog.api.limits import limits_of
from source_backlog.changes.backlog import Backlog
from source_backlog.changes.checkpoints import Checkpoints
from source_backlog.changes.feed import FeedTrimmed, feed_of
from source_backlog.changes.paging import rows_of
from source_backlog.changes.position import ALWAYS, FIRST, FilesPosition, ObjectsPosition
from source_backlog.changes.progress import Walk
from source_backlog.changes.projects import selected_projects
from source_backlog.space import Space
from source_backlog.values import Row, instant_at

# So many quiet projects are all looked at. Of more, as many as so many search requests allow: with the lists of the
# projects and the feed, a sync in which nothing changed stays within 65 requests.
FEW, SEARCHES = 60, 50
# A look that is so old is due: with syncs every few hours, or once a day, none becomes older than a day.
DUE_HOURS = 20
# The lists of a project that are search requests; the other lists are looked at together with them.
SEARCHED = ("issues", "wikis")


@dataclass
class Quiet:
    """A project of which the feed is silent, and the streams that could do without asking it."""

    looked: str
    first: bool = False
    """Whether it is looked at before others."""
    streams: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Resting:
    """What a sync does not ask: by project, the streams that keep what they have."""

    streams: dict[Any, Quiet]
    all: frozenset[str]
    """The names of the streams whose projects may rest."""

    def rests(self, project_id: Any, streams: Collection[str]) -> bool:
        """Whether all of `streams` do without asking the project."""
        quiet = self.streams.get(project_id)
        return quiet is not None and quiet.streams.issuperset(streams)

    def is_unasked(self, project_id: Any) -> bool:
        """Whether no stream asks the project for its objects."""
        return self.rests(project_id, self.all)


def resting(backlog: Backlog) -> Resting:
    """What this sync does not ask: decided once, before the first project is asked, for all streams alike."""
    return backlog.space.once("resting", lambda: _decide(backlog))


def _decide(backlog: Backlog) -> Resting:
    space = backlog.space
    streams = [stream for stream in space.cursors.values() if stream.named]
    projects = selected_projects(backlog.requester, backlog.config, space)
    found = _silent(backlog, streams, projects) if len(projects) > FEW else {}
    for project_id in _to_look_at(found, space):
        del found[project_id]
    if found:
        # The feed hides what is in a project that the user has lost since the list was read.
        there = {_state_of(project) for project in rows_of(backlog.look("projects"))}
        found = {
            project["id"]: found[project["id"]]
            for project in projects
            if project["id"] in found and _state_of(project) in there
        }
    return Resting(found, frozenset(stream.name for stream in streams))


def _state_of(project: Row) -> tuple[Any, bool]:
    return project["id"], bool(project.get("archived"))


def _silent(backlog: Backlog, streams: list[Checkpoints], projects: list[Row]) -> dict[Any, Quiet]:
    # The projects, by id, of which the feed shows nothing since a stream has read them.
    found: dict[Any, Quiet] = {}
    for stream, project, position in sorted(_known(streams, projects), key=_since):
        if _is_silent(backlog, project["id"], position):
            looked = position.looked or ""
            quiet = found.setdefault(project["id"], Quiet(looked))
            quiet.looked = min(quiet.looked, looked)
            quiet.first = quiet.first or position.turn == FIRST
            quiet.streams.add(stream.name)
    return found


def _known(streams: list[Checkpoints], projects: list[Row]) -> Iterator[tuple[Checkpoints, Row, ObjectsPosition]]:
    # Where nothing waits that the feed does not know of.
    for stream in streams:
        for project in projects:
            position = stream.position_at((("projectId", project["id"]),))
            if not isinstance(position, ObjectsPosition) or position.activity is None or position.looked is None:
                continue
            waiting = position.skipped or position.resume or (isinstance(position, FilesPosition) and position.missed)
            same = bool(position.archived) == bool(project.get("archived"))
            if same and not waiting and position.turn != ALWAYS:
                yield stream, project, position


def _since(known: tuple[Checkpoints, Row, ObjectsPosition]) -> int:
    # Those that need the longest part of the feed first: it is then loaded once.
    position = known[-1]
    return min(position.again[0] if position.again else position.activity or 0, position.activity or 0)


def _is_silent(backlog: Backlog, project_id: Any, position: ObjectsPosition) -> bool:
    walk = Walk(position, lambda: True)
    try:
        feed_of(backlog.space).look(backlog.requester, project_id, walk)
    except FeedTrimmed:
        return False
    return not walk.told


def _to_look_at(silent: dict[Any, Quiet], space: Space) -> list[Any]:
    # The projects that are asked all the same.
    if len(silent) <= FEW:
        return list(silent)
    moment = limits_of(space).now()
    due, now = instant_at(moment - DUE_HOURS * 3600), instant_at(moment)
    families = sum(space.is_read(endpoint) for endpoint in SEARCHED)
    in_turn = sorted(silent, key=lambda project_id: (not silent[project_id].first, silent[project_id].looked))
    first = in_turn[: max(1, SEARCHES // max(1, families))]
    # A look of the future is one of a clock that was wrong.
    late = [project_id for project_id in in_turn if not due < silent[project_id].looked <= now]
    return list(dict.fromkeys([*first, *late]))
