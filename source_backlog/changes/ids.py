"""The ids of statuses and resolutions: the activity feed tells them, where the change logs of comments have names."""

import copy
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any, TypeGuard

# The fields that `content.changes[]` gives by ids, as text; all others have names there too. Source:
# https://developer.nulab.com/docs/backlog/api/2/get-recent-updates, and answers recorded in 2015 and 2017.
TOLD_FIELDS = ("status", "resolution")

# What the feed tells of one change: the project and, by field, the new and the old id.
Told = tuple[Any, dict[str, tuple[int | None, int | None]]]


# What fits into an array, and into the numbers of a saved state.
_TOO_LARGE = 2**63


def as_id(value: Any) -> int | None:
    """An id that is written as text; None when it is none."""
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20 else -1
    return number if _is_id(number) else None


def _is_id(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < _TOO_LARGE


class ToldIds:
    """What a part of the feed tells of changed statuses and resolutions, by the comment that logs the change.

    Some twenty bytes a change: a large space has a hundred thousand of them. Comments of issues and those of pull
    requests have ids of their own, so an instance holds what activities of certain `types` tell.
    """

    def __init__(self, types: frozenset[int]) -> None:
        self._types = types
        # Sorted by comment; of each also its activity, and where in `_kinds` its ids are.
        self._comments, self._activities, self._places = array("q"), array("q"), array("q")
        self._kinds: list[Told] = []
        self._known: dict[Any, int] = {}

    def add(self, activity: Mapping[str, Any]) -> None:
        """Note what an activity tells."""
        content = activity.get("content") if activity.get("type") in self._types else None
        changes = content.get("changes") if isinstance(content, Mapping) else None
        ids = {
            change["field"]: (as_id(change.get("new_value")), as_id(change.get("old_value")))
            for change in (changes if isinstance(changes, list) else ())
            if isinstance(change, Mapping) and change.get("field") in TOLD_FIELDS
        }
        if not ids or not isinstance(content, Mapping) or not _is_id(activity["id"]):
            return
        told = ((activity.get("project") or {}).get("id"), ids)
        place = self._known.setdefault(repr(told), len(self._kinds))
        if place == len(self._kinds):
            self._kinds.append(told)
        links = content.get("link")
        for one in (content, *(links if isinstance(links, list) else ())):
            comment = one.get("comment") if isinstance(one, Mapping) else None
            number = comment.get("id") if isinstance(comment, Mapping) else None
            if _is_id(number):
                # Almost always at the end: comments come in the order of their activities.
                at = bisect_right(self._comments, number)
                self._comments.insert(at, number)
                self._activities.insert(at, activity["id"])
                self._places.insert(at, place)

    def of(self, comment: int, after: int = 0) -> Told | None:
        """What an activity behind `after` tells of the change that a comment logs."""
        at = bisect_left(self._comments, comment)
        if at == len(self._comments) or self._comments[at] != comment or self._activities[at] <= after:
            return None
        return self._kinds[self._places[at]]


# By field and name, in the order of the comments: the id, the first comment and the last one.
Runs = dict[str, dict[str, list[list[int]]]]


def are_runs(value: Any) -> bool:
    """Whether a value is such as `Names.saved` gives it."""
    return isinstance(value, dict) and all(
        isinstance(names, dict) and all(isinstance(runs, list) and all(map(_is_run, runs)) for runs in names.values())
        for names in value.values()
    )


def _is_run(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(isinstance(one, int) and one >= 0 for one in value)


class Names:
    """Which id each name of a status or resolution has stood for in a project, and from which comment to which.

    Why: a comment is read again whenever its issue changes, and its rows replace those that a destination has. What
    the feed told of an old change is not in the part of it that is read then, so without a memory its ids would be
    lost. A memory of each change would be too large for a state. But names change seldom: it is enough to know, for
    each, through which comments it stood for the same id. Whatever was learned, `id_of` gives back.
    """

    def __init__(self, runs: Mapping[str, Any] | None = None) -> None:
        self._runs: Runs = copy.deepcopy(dict(runs or {}))

    def saved(self) -> Runs | None:
        """The runs as JSON; None when there are none."""
        return copy.deepcopy(self._runs) or None

    def id_of(self, field: str, name: Any, comment: int, *, fixed: bool = False) -> int | None:
        """The id that the name, a text, stood for when the comment was written; None when that is not known.

        `fixed`: nobody can rename such a thing, so whatever the name has stood for, it always did.
        """
        runs = self._runs.get(field, {}).get(name, []) if isinstance(name, str) else []
        if fixed and len({number for number, _, _ in runs}) == 1:
            return runs[0][0]
        at = bisect_right(runs, comment, key=lambda run: run[1]) - 1
        return runs[at][0] if at >= 0 and comment <= runs[at][2] else None

    def learn(self, field: str, name: Any, number: int | None, comment: int) -> None:
        """Note that the name, a text, stood for the id `number` when the comment was written."""
        if not isinstance(name, str) or not name or number is None:
            return
        runs = self._runs.setdefault(field, {}).setdefault(name, [])
        at = bisect_right(runs, comment, key=lambda run: run[1])
        before = runs[at - 1] if at else None
        if before and comment <= before[2]:
            if before[0] != number:
                parts = [[before[0], before[1], comment - 1], [number, comment, comment]]
                parts.append([before[0], comment + 1, before[2]])
                runs[at - 1 : at] = [run for run in parts if run[1] <= run[2]]
        elif before and before[0] == number:
            before[2] = comment
        elif at < len(runs) and runs[at][0] == number:
            runs[at][1] = comment
        else:
            runs.insert(at, [number, comment, comment])


def merged(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> Runs | None:
    """The runs of two positions that one sync has left: what one lacks, the other has."""
    names = Names(one)
    for field, by_name in (other or {}).items():
        for name, runs in by_name.items():
            for number, first, last in runs:
                names.learn(field, name, number, first)
                names.learn(field, name, number, last)
    return names.saved()
