"""The objects that a sync could not read although it could read their list."""

from collections.abc import Callable, Iterable
from typing import Any

from source_backlog.changes.paging import Unreadable

# When so many objects of a partition are refused and none is given, it is not the objects.
REFUSALS = 5


class Skipped:
    """The objects of a partition whose own request was refused (403, 404): deleted meanwhile, or not readable now.

    They must neither stop the partition nor be forgotten with it, for a user who has lost a project for a moment gets
    the same answers. So they go into the position (`skipped`), and the next sync asks for those it still finds.

    `readable` says whether the project is.
    """

    def __init__(self, before: Iterable[Any], readable: Callable[[], bool]) -> None:
        self.before: frozenset[Any] = frozenset(before)
        self._readable = readable
        self._waiting = set(self.before)
        self._now: list[Any] = []
        self._unconfirmed = 0
        self._given = False

    def given(self, object_id: Any) -> None:
        """Note that an object was read."""
        self._given = True
        self._waiting.discard(object_id)

    def add(self, object_id: Any) -> None:
        """Note that an object was refused; raises `Unreadable` when all are."""
        self._now.append(object_id)
        self._waiting.discard(object_id)
        self._unconfirmed += 1
        if not self._given and self._unconfirmed >= REFUSALS:
            raise Unreadable

    def noted(self, waiting: Iterable[Any] | None = None) -> tuple[Any, ...] | None:
        """What to save: the refused objects; or None.

        In the middle of a partition also those that wait since the last sync, and `waiting`, others that the position
        passes over. Raises `Unreadable` when there are new ones because the project is no longer readable.
        """
        if self._unconfirmed and not self._readable():
            raise Unreadable
        self._unconfirmed = 0
        found = dict.fromkeys(self._now)
        if waiting is not None:
            found |= dict.fromkeys([*sorted(self._waiting), *waiting])
        return tuple(found) or None
