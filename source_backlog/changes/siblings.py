"""Streams that are made from the same answers move together: one walk over a project gives the rows of all of them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from source_backlog.changes.ids import merged
from source_backlog.changes.position import ObjectsPosition, Resume

if TYPE_CHECKING:
    from source_backlog.changes.checkpoints import Checkpoints


@dataclass
class Team:
    """The streams whose rows one walk over a project gives, and where they all stand.

    The first of them that the CDK begins with is the `leader`, who walks. `failure` is what has ended the walk early:
    the others did not get their rows either.
    """

    members: list["Checkpoints"]
    position: Any
    leader: "Checkpoints | None" = None
    failure: Exception | None = None


def siblings_of(streams: Iterable["Checkpoints"], stream: "Checkpoints") -> list["Checkpoints"]:
    """Those of the selected `streams` that are made from the same answers as `stream`, with itself."""
    siblings = [one for one in streams if one.group and one.group == stream.group]
    return siblings if stream in siblings else [stream]


def walking_together(streams: Iterable["Checkpoints"]) -> dict[str, str]:
    """The group of each stream that walks through every known partition together with all its siblings."""
    streams = list(streams)
    groups = {stream.group: siblings_of(streams, stream) for stream in streams if stream.group}
    return {
        sibling.name: group
        for group, siblings in groups.items()
        if all(len(teams(siblings, key)[siblings[0].name].members) == len(siblings) for key in _partitions(siblings))
        for sibling in siblings
    }


def _partitions(streams: list["Checkpoints"]) -> set[Any]:
    return {key for stream in streams for key in stream.partitions()}


def teams(streams: Iterable["Checkpoints"], key: Any) -> dict[str, Team]:
    """The teams for the partition `key`, by the names of the streams; `streams` are all made from the same answers.

    Streams that stand elsewhere, such as one that was selected later, walk for themselves.
    """
    found: dict[Any, Team] = {}
    for stream in streams:
        position = stream.position_at(key)
        if not isinstance(position, ObjectsPosition):
            found[stream.name] = Team([stream], position)
            continue
        base = (type(position), position.activity, position.again)
        if base in found:
            found[base].members.append(stream)
            found[base].position = least(found[base].position, position)
        else:
            found[base] = Team([stream], position)
    return {member.name: team for team in found.values() for member in team.members}


def least(one: ObjectsPosition, other: ObjectsPosition) -> ObjectsPosition:
    """A position from which one walk serves two streams that the same sync has left, one a checkpoint further on."""
    if one == other:
        return one
    return replace(
        one,
        updated=min(one.updated or "", other.updated or "") or None,
        settled=True if one.settled and other.settled else None,
        sure=_least_sure(one, other),
        looked=min(one.looked or "", other.looked or "") or None,
        archived=True if one.archived and other.archived else None,
        turn=min(filter(None, (one.turn, other.turn)), default=None),
        skipped=tuple(dict.fromkeys([*(one.skipped or ()), *(other.skipped or ())])) or None,
        resume=_least_resume(one.resume, other.resume),
        # One of them has no ids, and knows neither.
        names=merged(one.names, other.names),
        untold=min((each.untold for each in (one, other) if each.untold is not None), default=None),
    )


def _least_sure(*positions: ObjectsPosition | Resume) -> str | None:
    if not any(each.sure for each in positions):
        return None
    return min(each.sure or each.updated or "" for each in positions) or None


def _least_resume(one: Resume | None, other: Resume | None) -> Resume | None:
    if one is None or other is None:
        return None
    first = min(one, other, key=lambda each: each.after or "")
    began = [each.activity for each in (one, other) if each.activity is not None]
    return replace(first, activity=min(began, default=None), sure=_least_sure(one, other))
