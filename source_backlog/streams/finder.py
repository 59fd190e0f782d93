"""What a finder is: the part of a retriever that knows how a family of objects shows its changes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Set
from typing import Any, ClassVar

from source_backlog.api.errors import warn_once
from source_backlog.api.limits import limits_of
from source_backlog.changes.backlog import Backlog
from source_backlog.changes.feed import Touched, feed_of, touched_ids
from source_backlog.changes.progress import Walk
from source_backlog.values import Row, instant_at

# What a retriever asks for each changed object, and gets the objects of whose parts `rows.MAKE` makes rows; None when
# the object is gone or refused.
Reader = Callable[[Backlog, Row], list[Row] | None]


# How far ahead of Backlog's clock `limits.now` may be, and the clocks of its servers apart.
CLOCKS_DIFFER_SECONDS = 5


class Finder(ABC):
    """Finds what has changed in one project since the last sync. An instance belongs to one read of the project.

    `path` is where an object is asked for. `named_by` are the types of the activities that say that an object has
    changed, `deleted_by` those that say that one was deleted; `walk` is how far the read has come, of the class
    `walks`. `dated` says whether the start date leaves objects out.
    """

    path: ClassVar[str]
    named_by: ClassVar[frozenset[int]] = frozenset()
    deleted_by: ClassVar[frozenset[int]] = frozenset()
    dated: ClassVar[bool] = True
    walks: ClassVar[type[Walk[Any]]] = Walk

    def __init__(self, backlog: Backlog, project: Row, walk: Walk[Any]) -> None:
        self.backlog = backlog
        self.project = project
        self.project_id: Any = project["id"]
        self.walk = walk
        self._shown: Set[Any] = frozenset()
        # Before anything was asked, so that it holds for answers that were kept for other streams too.
        walk.over = instant_at(self._moment - CLOCKS_DIFFER_SECONDS)

    @abstractmethod
    def changed(self) -> Iterator[Row]:
        """The changed objects; moves the walk to where it stands after the last of them.

        Raises `Unreadable` when the project cannot be read, or not to its end.
        """

    def touched(self) -> dict[Any, Touched]:
        """The objects that the feed names as changed since the last sync, by id."""
        return touched_ids(self.backlog, self.project_id, self.walk, self.named_by)

    def mark(self) -> None:
        """Note that the project was asked and read up to the head of the feed."""
        self.rest()
        self.walk.note_look(instant_at(self._moment), archived=bool(self.project.get("archived")))

    @property
    def _moment(self) -> float:
        # Of all projects the same, so that those of one sync are taken in the order of their list.
        space = self.backlog.space
        return space.once("now", lambda: limits_of(space).now())

    def rest(self) -> None:
        """Note that the feed was read up to its head."""
        feed_of(self.backlog.space).mark(self.backlog.requester, self.project_id, self.walk)

    def has(self, owner: Row) -> bool:
        """Whether an object whose own request was refused is in the project at this moment; in doubt it is.

        Why: one that was deleted or moved away while it was on its way is no loss. Raises `Unreadable` when the project
        is not readable.
        """
        return True

    def _shows(self, what: Any, look: Callable[[], Set[Any]]) -> bool:
        """Whether `look` shows `what`; what it has shown once is not looked for again.

        Why: to a user without a right, one object after the other is refused.
        """
        if what not in self._shown:
            self._shown = look()
        return what in self._shown

    def is_gone(self, object_id: Any) -> bool:
        """Whether what an activity reports as deleted is gone; asked after the walk."""
        return True


def completed(
    backlog: Backlog, listed: Row, path: str, edit: Callable[[Row], Row], fields: tuple[str, ...] = ("attachments",)
) -> list[Row] | None:
    """An object of a list, asked for by itself (`path`, then `edit`) if the list leaves out some of its `fields`.

    Why: the pages show lists of pull requests without `attachments` and `stars`, recordings show them with both; one
    SDK knows documents in lists without `attachments` and `json`. None when the object is gone.
    """
    if all(field in listed for field in fields):
        return [listed]
    found = backlog.get(path)
    if not isinstance(found, dict):
        return None
    for field in fields:
        if field not in found:
            warn_once(backlog.space, f"{backlog.stream}: Backlog does not tell which {field} an object has.")
    return [edit(found)]
