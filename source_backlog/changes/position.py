"""How far a stream has come in a partition: typed, and what of it is saved between two syncs.

A position is what `Checkpoints` keeps per project (or for the space), as JSON under `cursor`. Each kind of stream has
its own class; each field says what it means, who moves it, and what is lost without it. Positions are frozen: whoever
moves one makes a new one (`Place.move`).

The names in the JSON are a contract: connections hold a state for years. What is in it that a class does not know, of a
later version perhaps, is kept and given back.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Generic, Self, TypeVar

from source_backlog.changes.ids import are_runs
from source_backlog.values import STAMP, Row, as_instant

Saved = dict[str, Any]

# Whose turn it is among the projects of which the feed is silent: see `ObjectsPosition.turn`.
FIRST, ALWAYS = "first", "always"


class NotUnderstood(ValueError):
    """A saved position holds under a known name what this connector has never written; the text names it."""


def _is_instant(value: Any) -> bool:
    # A stamp of the far future would hide everything until then; a day is left for clocks that differ.
    limit = (datetime.now(UTC) + timedelta(days=1)).strftime(STAMP)
    return isinstance(value, str) and as_instant(value) == value and value <= limit


def _is_any_instant(value: Any) -> bool:
    # Of Backlog's clock, which may go before ours.
    return isinstance(value, str) and as_instant(value) == value


def _is_instant_or_null(value: Any) -> bool:
    return value is None or _is_instant(value)


def is_id(value: Any) -> bool:
    """Whether a value can be an id of Backlog."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_turn(value: Any) -> bool:
    return value in (FIRST, ALWAYS)


def _is_true(value: Any) -> bool:
    return value is True


def _are_scalars(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, int | str) for one in value)


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and all(is_id(number) for number in value)


def _is_pair_of_ids(value: Any) -> bool:
    return _are_ids(value) and len(value) == 2


def _are_ids_of_users(value: Any) -> bool:
    return isinstance(value, dict) and all(is_id(last) for last in value.values())


def _are_pairs(value: Any) -> bool:
    return isinstance(value, list) and all(_are_scalars(one) and len(one) == 2 for one in value)


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) and "id" in one for one in value)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _saved(shape: Callable[[Any], bool], read: Callable[[Any], Any] | None = None) -> Any:
    """A field that is saved under its own name if it is set; `shape` tells a value that a version has written."""
    return field(default=None, metadata={"shape": shape, "read": read})


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Position):
        return value.saved()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


def _pairs(value: list[list[Any]]) -> tuple[tuple[Any, Any], ...]:
    return tuple((one, other) for one, other in value)


@dataclass(frozen=True, kw_only=True)
class Position:
    """What all positions have in common: they are read from JSON, and written."""

    # Where the order of the fields is not that in which they have always been written.
    ORDER: ClassVar[tuple[str, ...]] = ()

    unknown: Mapping[str, Any] = field(default_factory=dict)
    """What was saved under other names: it is not understood, and given back."""

    @classmethod
    def parse(cls, saved: Mapping[str, Any]) -> Self:
        """The position that was saved; raises `NotUnderstood`."""
        known = {one.name: one.metadata for one in fields(cls) if "shape" in one.metadata}
        values: Saved = {}
        for name, value in saved.items():
            if name not in known:
                continue
            if not known[name]["shape"](value):
                raise NotUnderstood(name)
            read = known[name]["read"] or (tuple if isinstance(value, list) else None)
            values[name] = read(value) if read else value
        return cls(**values, unknown={name: value for name, value in saved.items() if name not in known})

    def saved(self) -> Saved:
        """The position as JSON."""
        names = self.ORDER or tuple(one.name for one in fields(self) if "shape" in one.metadata)
        known = {name: _plain(getattr(self, name)) for name in names if self.is_set(name)}
        return {**known, **self.unknown}

    def is_set(self, name: str) -> bool:
        """Whether a field is saved."""
        return getattr(self, name) is not None

    def __bool__(self) -> bool:
        """Whether anything is known: not so on a first sync."""
        return bool(self.saved())


def _is_place(value: Any) -> bool:
    if not isinstance(value, dict) or "after" not in value:
        return False
    try:
        Resume.parse(value)
    except NotUnderstood:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class Resume(Position):
    """Where to go on with a walk over a project's issues, in the order of their creation, that was interrupted."""

    after: str | None = _saved(_is_instant)
    """The creation stamp of the last issue that was finished. What was created then or later is still to be read."""

    activity: int | None = _saved(is_id)
    """The head of the feed when the walk first began. Without it, what changed behind the walk would be lost."""

    updated: str | None = _saved(_is_instant)
    """The latest `updated` of what the walk has passed. Without it the next window would begin too early: cost."""

    sure: str | None = _saved(_is_any_instant)
    """Up to which stamp the list was complete when the walk first began (`Walk.over`). Without it, what changed behind
    the walk and is not in the feed could be lost."""


@dataclass(frozen=True, kw_only=True)
class ObjectsPosition(Position):
    """Of the streams of changing objects, project by project: issues, wiki pages, documents, pull requests."""

    updated: str | None = _saved(_is_instant)
    """The latest `updated` of an object that was listed. The finder moves it. Without it everything is read again."""

    activity: int | None = _saved(is_id)
    """The head of the feed before the project was read. `Feed.mark` moves it. Without it, what the feed names, such as
    a comment that moved no stamp, would be lost; so without it everything is read again."""

    again: tuple[int, int] | None = _saved(_is_pair_of_ids)
    """`(after, seen)`: so many activities of the project were seen between `after` and `activity`. `Feed.mark` moves
    it. Without it an activity that becomes visible behind a higher id would be lost."""

    settled: bool | None = _saved(_is_true)
    """Whether an earlier sync too has seen the stamp `updated`, where the list alone tells what is new. Without it
    what bears this stamp costs a request at every sync."""

    sure: str | None = _saved(_is_any_instant)
    """Up to which stamp all changes are known, if not up to `updated`: what bears a later one is read once more.
    `Walk.note_sure` moves it. Without it, what changed within the second in which it was read, and is not in the feed,
    would be lost."""

    looked: str | None = _saved(_is_any_instant)
    """When the project was last asked, on Backlog's clock. `Walk.note_look` moves this and the next two. Without it the
    project is asked at once."""

    archived: bool | None = _saved(_is_true)
    """Whether the project was archived then. Without it, what happened before it was archived could be passed over
    where archived projects are not shown."""

    turn: str | None = _saved(_is_turn)
    """Whether the project is asked before others although the feed is silent: `first` after something was new, or
    nothing there yet; `always` after something was new of which the feed showed nothing. Without it, what a list shows
    later than the feed, or what the feed never shows, would come a day later."""

    skipped: tuple[Any, ...] | None = _saved(_are_scalars)
    """The objects whose own request was refused or failed. `Skipped` moves it. Without it they would be lost."""

    resume: Resume | None = _saved(_is_place, Resume.parse)  # noqa: RUF009 (a `field`)
    """Where an interrupted walk goes on. `ResumableWalk` moves it. Without it the walk begins anew: cost."""

    names: Mapping[str, Any] | None = _saved(are_runs)
    """Which ids the names in change logs have stood for. `ExactIds` moves this and the next. Without it, rows that are
    read again would lose the ids that they had."""

    untold: int | None = _saved(is_id)
    """Where an interrupted walk had begun to look for ids, 0 for the beginning of the feed, if `activity` is past that.
    Without it, what the walk has not asked for would stay without ids."""


@dataclass(frozen=True, kw_only=True)
class FilesPosition(ObjectsPosition):
    """Of the streams that transfer files: what is known of the objects, and which files were fetched."""

    files: str | None = _saved(_is_instant_or_null)
    """The latest stamp of a fetched file: of objects read before, all files up to it were fetched. `FileProgress` moves
    this and the next two. Without it every file is fetched again."""

    recent: tuple[tuple[Any, Any], ...] | None = _saved(_are_pairs, _pairs)
    """Id and stamp of the fetched files that may be listed again. Without it they are fetched again."""

    missed: tuple[Row, ...] | None = _saved(_are_rows)
    """The rows of the files that could not be fetched. Without it they would be lost."""

    number: int | None = _saved(is_id)
    """The highest number (`keyId`) that an issue of the project has had. Without it the old files of an issue that is
    moved into the project would be lost."""

    trash: tuple[Any, ...] | None = _saved(_are_scalars)
    """The documents in the trash. Without it the old files of a document that is taken out of it would be lost."""

    @property
    def began(self) -> bool:
        """Whether files of the project were fetched before, be it none."""
        return self.recent is not None

    def is_set(self, name: str) -> bool:
        """Whether a field is saved; `files` is null as long as there was no file."""
        return self.began if name == "files" else super().is_set(name)


@dataclass(frozen=True, kw_only=True)
class ProjectsPosition(Position):
    """Of the streams of the whole space that show more when the user joins a project."""

    projects: tuple[Any, ...] | None = _saved(_are_scalars)
    """The projects whose past was read. Without it the past of a project that becomes visible would be lost."""

    archived: tuple[Any, ...] | None = _saved(_are_scalars)
    """The same of archived projects, which some spaces do not show whole: out of the archive they count as new."""

    def new(self, projects: list[Row]) -> list[Any]:
        """The ids of the projects whose past has not been read yet."""
        read = set(self.projects or ())
        closed = read | set(self.archived or ())
        return [one["id"] for one in projects if one["id"] not in (closed if one.get("archived") else read)]

    def noted(self, projects: list[Row], without: Iterable[Any] = ()) -> Self:
        """The position after the past of all `projects` but those `without` was read."""
        left = [project for project in projects if project["id"] not in without]
        return replace(
            self,
            projects=tuple(project["id"] for project in left if not project.get("archived")),
            archived=tuple(project["id"] for project in left if project.get("archived")) or None,
        )


@dataclass(frozen=True, kw_only=True)
class ActivitiesPosition(ProjectsPosition):
    """Of the stream of activities."""

    ORDER: ClassVar[tuple[str, ...]] = ("activity", "seen", "projects", "archived", "narrowed")

    activity: int | None = _saved(is_id)
    """The highest id that was read. `Recent` moves it. Without it everything is read again."""

    seen: tuple[int, ...] | None = _saved(_are_ids)
    """The ids of the last activities, the one before them first. `Recent` moves it. Without it an activity that becomes
    visible behind a higher id would be lost."""

    narrowed: bool | None = _saved(_is_true)
    """Whether the option Projects left out what belongs to no project. Without it that would be lost when the option
    is emptied."""


@dataclass(frozen=True, kw_only=True)
class DeletionsPosition(ActivitiesPosition):
    """Of the stream of deletions, which is made from activities and from lists."""

    ORDER: ClassVar[tuple[str, ...]] = ("known", "projects", "archived", "narrowed", "activity", "seen")

    known: Mapping[str, Any] | None = _saved(_is_object)
    """What the compared lists held. `Comparison` moves it. Without it a deletion that leaves no activity is lost."""


@dataclass(frozen=True, kw_only=True)
class NotificationsPosition(ProjectsPosition):
    """Of the notifications of the key's user."""

    ORDER: ClassVar[tuple[str, ...]] = ("id", "seen", "projects", "archived")

    id: int | None = _saved(is_id)
    """The highest id that was read. `Recent` moves it. Without it everything is read again."""

    seen: tuple[int, ...] | None = _saved(_are_ids)
    """The ids of the last notifications, as in `ActivitiesPosition`."""


@dataclass(frozen=True, kw_only=True)
class WatchingsPosition(Position):
    """Of the watchings of the key's user, which are read whole."""

    updated: str | None = _saved(_is_instant)
    """The latest stamp. Nothing is lost without it: destinations expect a cursor to move."""


@dataclass(frozen=True, kw_only=True)
class StarsPosition(Position):
    """Of the stars that users have received."""

    users: Mapping[str, int] | None = _saved(_are_ids_of_users)
    """The last star of each user, by the user's id as text. Without it all stars are read again."""


P = TypeVar("P", bound=Position)


class Place(Generic[P]):
    """Where one read of a partition stands; it belongs to one call.

    `before` is the saved position, `now` the one that has been reached.
    """

    def __init__(self, before: P) -> None:
        self.before = before
        self.now = before

    def move(self, **moved: Any) -> None:
        """Give `now` other values in some fields."""
        self.now = replace(self.now, **moved)
