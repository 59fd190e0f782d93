"""How far a walk over the changed objects of a project has come."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from source_backlog.changes.position import ALWAYS, FIRST, ObjectsPosition, Place, Resume
from source_backlog.changes.skipped import Skipped
from source_backlog.values import Row, as_instant, day_after, day_before, later, not_in_the_future

P = TypeVar("P", bound=ObjectsPosition)


class Walk(Place[P]):
    """A walk over the objects of a project that have changed since the last sync.

    `origin` is what it builds on: the saved position, or an empty one once it has begun anew. `looked` is what
    `Feed.look` saw, for `Feed.mark`, and `after` the activity behind which it has looked (None when it has not); `told`
    is whether the feed shows anything of the project since. `over` is the last second that was over, on Backlog's
    clock, before anything was asked: no later change can bear it.
    """

    def __init__(self, before: P, readable: Callable[[], bool]) -> None:
        super().__init__(before)
        self.skipped = Skipped(before.skipped or (), readable)
        self.origin = self.now = replace(before, skipped=None, resume=None)
        self.looked: tuple[int, int] | None = None
        self.after: int | None = None
        self.told = False
        self.over = ""

    @property
    def activity(self) -> int | None:
        """The activity behind which the feed may name an object that is to be read; None when all objects are."""
        return self.now.activity

    def begin_anew(self) -> None:
        """Forget the position, but not what is known of names: everything is read again."""
        self.origin = self.now = type(self.now)(names=self.now.names)
        self.looked = None

    def see(self, stamp: str | None) -> None:
        """Note that an object with this `updated` was listed; one of the future would hide what changes until then."""
        if not self.now.updated or (stamp and stamp > self.now.updated):
            self.move(updated=later(self.now.updated, not_in_the_future(stamp)))

    def is_new(self, start: str | None) -> Callable[[str | None], bool]:
        """A test for stamps: is what bears this `updated` new since the last sync, or since the date `start`?

        Stamps count seconds, and within a second that was not over more may have changed after the look. So what bears
        such a stamp counts as new once more (`settle`).
        """
        last, known = self.origin.updated, self.known
        settled = bool(last and (self.origin.settled or known != last))
        bound = known or start or ""
        return lambda stamp: not stamp or stamp > bound or (stamp == bound and not settled)

    def settle(self) -> None:
        """Note whether the stamp was there at the last sync already, and up to which one all changes are known."""
        self.move(settled=True if self.origin.updated and self.now.updated == self.origin.updated else None)
        self.note_sure()

    @property
    def known(self) -> str | None:
        """The stamp up to which the last sync has seen all changes; None before the first one."""
        last, sure = self.origin.updated, self.origin.sure
        return min(last, sure) if last and sure else last

    def note_sure(self, since: str | None = None) -> None:
        """Note up to which stamp all changes are known: those of the seconds that were over.

        `since` is what was over when a walk first began that was interrupted. A clock that lies days behind the stamps
        is not Backlog's.
        """
        last, over = self.now.updated, self.over
        sure = min(since or over, over) if last and over and last <= day_after(over) else None
        self.move(sure=sure if last and sure and sure < last else None)

    def note_look(self, moment: str, *, archived: bool) -> None:
        """Note that the project was asked, when, and whether it was archived.

        A project whose changes the feed has not shown is taken for one of which it never shows any, until it does. One
        whose first list is empty may have been lost for a moment.
        """
        is_first = self.origin.activity is None
        untold = self.origin.turn == ALWAYS or (not is_first and self.now.updated != self.origin.updated)
        again = self.told or (is_first and self.now.updated is None)
        turn = FIRST if again else ALWAYS if untold else None
        self.move(looked=moment, archived=archived or None, turn=turn)

    def done(self, owner: Row) -> None:
        """Note that all rows of an object are out."""

    def unfinished(self) -> P | None:
        """The position to save in the middle of the walk; None when there is no better one than the old."""
        return None

    def finished(self) -> P:
        """The position to save at the end of the walk; raises `Unreadable` as `Skipped.noted` does."""
        return replace(self.now, skipped=self.skipped.noted())


class OrderedWalk(Walk[P]):
    """A walk over objects of which all that have changed are known before the first is asked for.

    They are asked for in the order of their `updated`, so that the last one that was finished says how far the walk
    has come: what has changed later has a later stamp, or is in the feed. What the stamp would pass over waits in
    `skipped`.
    """

    def __init__(self, before: P, readable: Callable[[], bool]) -> None:
        super().__init__(before, readable)
        self._waiting: dict[Any, str] = {}
        self._last: str | None = None

    def in_order(self, changed: list[Row]) -> list[Row]:
        """The changed objects in the order of the walk, which is at the end of their list and of the feed."""
        stamps = {each["id"]: as_instant(each.get("updated")) or "" for each in changed}
        self._waiting = stamps
        return sorted(changed, key=lambda each: stamps[each["id"]])

    def done(self, owner: Row) -> None:
        """Note that all rows of an object are out."""
        self._last = later(self._last, self._waiting.pop(owner["id"], None))

    def unfinished(self) -> P | None:
        """The position to save in the middle of the walk."""
        updated = later(self.origin.updated, not_in_the_future(self._last))
        if updated is None:
            return None
        waiting = [number for number, stamp in self._waiting.items() if stamp <= updated]
        passed_over = self.skipped.noted(waiting)
        # What has not been reached yet may be in the list alone: the project counts as not looked at.
        sure = self.over if "" < self.over < updated else None
        return replace(self.now, updated=updated, settled=None, sure=sure, looked=None, skipped=passed_over)


class ResumableWalk(Walk[P]):
    """A walk over a project's issues, in the order of their creation, that goes on where it was interrupted.

    Its place is saved as `resume`: the walk goes on behind the last issue it had finished (`after`, the creation
    stamp). What changed before that place in the meantime is in the feed, from where the interrupted walk had begun
    (`activity`).
    """

    def __init__(self, before: P, readable: Callable[[], bool]) -> None:
        super().__init__(before, readable)
        self._resume = before.resume or Resume()
        self._last = self._resume.after
        self.head: int | None = None

    @property
    def activity(self) -> int | None:
        """The same; for a first walk that was interrupted, where it had begun."""
        return self._resume.activity if self.now.activity is None else self.now.activity

    def begin_anew(self) -> None:
        """Forget the position and the place: everything is read again."""
        super().begin_anew()
        self._resume, self._last = Resume(), None

    @property
    def filters(self) -> dict[str, str]:
        """The parameters that leave out what the interrupted walk had passed."""
        return {"createdSince": day_before(self._resume.after)} if self._resume.after else {}

    def is_ahead(self, issue: Row) -> bool:
        """Whether the interrupted walk had not yet passed the issue."""
        created = as_instant(issue.get("created"))
        return not self._resume.after or not created or created >= self._resume.after

    def done(self, owner: Row) -> None:
        """Note that all rows of an issue are out."""
        self._last = later(self._last, as_instant(owner.get("created")))

    def unfinished(self) -> P:
        """The position to save in the middle of the walk."""
        position: P = replace(self.origin, skipped=self.skipped.noted(()), names=self.now.names)
        if self._last is None:
            return position
        activity = self.head if self._resume.activity is None else self._resume.activity
        updated = later(self._resume.updated, self.now.updated)
        sure = self._sure or self.over or None
        return replace(position, resume=Resume(after=self._last, activity=activity, updated=updated, sure=sure))

    @property
    def _sure(self) -> str | None:
        # What was over when the walk first began; versions that did not save it have saved the last stamp.
        return self._resume.sure or self._resume.updated

    def note_sure(self, since: str | None = None) -> None:
        """The same; what changed behind an interrupted walk, and is not in the feed, has a stamp from then on."""
        self.move(updated=later(self.now.updated, self._resume.updated))
        super().note_sure(since or self._sure)
