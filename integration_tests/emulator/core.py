"""What every change rests on: who and what is in the space, the clock, the ids, who sees what, the feed.

Tests may read any attribute, but change things only through the methods of ``changes/``. Every method takes the space's
lock, so tests may change data while the server answers requests.

The clock is virtual: it stands still until ``advance()`` or ``set_now()`` moves it.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from .entities import (
    Activity,
    Attachment,
    CustomField,
    Document,
    Issue,
    Named,
    Notification,
    Project,
    PullRequest,
    Repository,
    SharedFile,
    Star,
    Tag,
    Team,
    User,
    Watching,
    Wiki,
    compact,
    stamp,
)
from .quirks import Quirks

START = datetime(2026, 6, 30, 9, 0, 0, tzinfo=UTC)
"""Where the clock stands in a freshly generated space."""


@dataclass
class Settings:
    """Readings of what the API reference leaves open. The defaults are the ones that hurt a careless client most."""

    inclusive_ids: bool = True
    """``minId`` and ``maxId`` include the id itself."""
    comment_bumps_updated: bool = False
    """A plain comment moves the issue's ``updated``."""
    role_error_status: int = 403
    """HTTP status of an UnauthorizedOperationError (code 5): 403 or 401."""
    feature_off_status: int = 404
    """Answer of wiki, git, file and document endpoints of a project that has them off: 404 (code 6) or 403 (code 2)."""
    archived_readable: bool = True
    """The contents of archived projects can be read; otherwise they answer as if not joined."""
    list_trashed_documents: bool = False
    """``GET /documents`` also lists documents in the trash."""
    document_json_as_object: bool = False
    """The ``json`` of documents is an object and not text."""
    pull_request_order: str = "desc"
    """Order of pull requests by number."""


class Ids:
    """Increasing ids with gaps, because the counters of the real service are shared by all spaces."""

    BASES: ClassVar[dict[str, int]] = {
        "activity": 1_409_000_000,
        "comment": 1_245_000_000,
        "issue": 1_115_000_000,
        "notification": 1_313_000_000,
        "star": 1_099_000_000,
    }
    DEFAULT_BASE = 1_073_741_824

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"ids {seed}")
        self._last: dict[str, int] = {}

    def next(self, kind: str) -> int:
        last = self._last.get(kind)
        if last is None:
            last = self.BASES.get(kind, self.DEFAULT_BASE)
        self._last[kind] = last = last + 1 + (int(self._random.random() * 4) if last % 3 else 0)
        return last

    def hexadecimal(self, seconds: int) -> str:
        """A UUIDv7 without dashes."""
        milliseconds = seconds * 1000 + self._random.randrange(1000)
        tail = self._random.getrandbits(74)
        number = milliseconds << 80 | 0x7 << 76 | (tail >> 62) << 64 | 0b10 << 62 | tail & (1 << 62) - 1
        return f"{number:032x}"


class Core:
    """A space in which nothing can happen yet. ``model.Space`` adds the changes."""

    def __init__(
        self, *, key: str = "emulator", seed: int = 1, timezone: str = "Asia/Tokyo", now: datetime = START
    ) -> None:
        self.lock = threading.RLock()
        self.key = key
        self.name = "エミュレーター株式会社"
        self.lang = "ja"
        self.timezone = timezone
        self.zone = ZoneInfo(timezone)
        self.settings = Settings()
        self.quirks = Quirks()
        self.ids = Ids(seed)
        self.lots = random.Random(f"lots {seed}")
        self.version = 0
        self._now = int(now.timestamp())
        self.created = self._now
        self.updated = self._now
        self.notification_content: str | None = None
        self.notification_updated: int | None = None
        self.users: dict[int, User] = {}
        self.personas: dict[str, User] = {}
        self.teams: dict[int, Team] = {}
        self.projects: dict[int, Project] = {}
        self.issues: dict[int, Issue] = {}
        self.wikis: dict[int, Wiki] = {}
        self.documents: dict[str, Document] = {}
        self.repositories: dict[int, Repository] = {}
        self.pull_requests: dict[int, PullRequest] = {}
        self.stars: dict[int, Star] = {}
        self.wiki_tags: dict[str, Tag] = {}
        self.document_tags: dict[str, Tag] = {}
        self.svn_revisions: dict[int, int] = {}
        self.watchings_by_issue: dict[int, list[Watching]] = {}
        self.activities: list[Activity] = []
        self.priorities = [Named(2, "高"), Named(3, "中"), Named(4, "低")]
        self.resolutions = [
            Named(0, "対応済み"),
            Named(1, "対応しない"),
            Named(2, "無効"),
            Named(3, "重複"),
            Named(4, "再現しない"),
        ]
        self.licence: dict[str, Any] = {}
        self.capacity = 107_374_182_400
        self.kept: dict[Any, tuple[Any, Any]] = {}
        self._visible: dict[tuple[int, bool], tuple[Any, frozenset[int]]] = {}

    # --- clock ---

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self._now, UTC)

    @property
    def clock(self) -> int:
        """The present moment in epoch seconds."""
        return self._now

    @property
    def long_ago(self) -> bool:
        """Whether the present moment is in the years that ``Quirks.old_until`` ends."""
        return str(stamp(self._now)) < self.quirks.old_until

    def advance(self, seconds: int) -> datetime:
        """Move the clock forward."""
        with self.lock:
            self._now += int(seconds)
            return self.now

    def set_now(self, moment: datetime | int) -> datetime:
        """Put the clock to a moment (aware datetime or epoch seconds)."""
        with self.lock:
            self._now = moment if isinstance(moment, int) else int(moment.timestamp())
            return self.now

    def day_bounds(self, text: str) -> tuple[int, int]:
        """First and one-past-last epoch second of a ``yyyy-MM-dd`` day in the space's time zone."""
        start = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=self.zone)
        end = datetime.fromordinal(start.toordinal() + 1).replace(tzinfo=self.zone)
        return int(start.timestamp()), int(end.timestamp())

    # --- finding things: every reference may be the object itself, its id, or the key or name that people use ---

    def user(self, reference: User | int | str | None) -> User:
        """A user by object, id, login id or persona; None is the administrator."""
        if isinstance(reference, User):
            return reference
        if reference is None:
            return self.personas["administrator"]
        if isinstance(reference, int):
            return self.users[reference]
        if reference in self.personas:
            return self.personas[reference]
        for user in self.users.values():
            if user.user_id == reference:
                return user
        raise KeyError(f"no user {reference!r}")

    def project(self, reference: Project | int | str) -> Project:
        if isinstance(reference, Project):
            return reference
        if isinstance(reference, int):
            return self.projects[reference]
        for project in self.projects.values():
            if project.key == reference:
                return project
        raise KeyError(f"no project {reference!r}")

    def issue(self, reference: Issue | int | str) -> Issue:
        if isinstance(reference, Issue):
            return reference
        if isinstance(reference, int):
            return self.issues[reference]
        key, _, number = reference.rpartition("-")
        return self.project(key).numbers[int(number)]

    def one(self, items: Iterable[Any], reference: Any) -> Any:
        """The item that is ``reference``, or has it as id or name."""
        for item in items:
            if item is reference or item.id == reference or getattr(item, "name", None) == reference:
                return item
        raise KeyError(f"nothing known as {reference!r}")

    def shared_file(self, reference: SharedFile | int) -> SharedFile:
        if isinstance(reference, SharedFile):
            return reference
        return next(project.files[reference] for project in self.projects.values() if reference in project.files)

    def star(self, reference: Star | int) -> Star:
        return reference if isinstance(reference, Star) else self.stars[reference]

    def wiki(self, reference: Wiki | int) -> Wiki:
        return reference if isinstance(reference, Wiki) else self.wikis[reference]

    def document(self, reference: Document | str) -> Document:
        return reference if isinstance(reference, Document) else self.documents[reference]

    def repository(self, reference: Repository | int) -> Repository:
        return reference if isinstance(reference, Repository) else self.repositories[reference]

    def pull_request(self, reference: PullRequest | int) -> PullRequest:
        return reference if isinstance(reference, PullRequest) else self.pull_requests[reference]

    def custom_field(self, project: Project, reference: CustomField | int | str) -> CustomField:
        return self.one(project.custom_fields, reference)

    # --- who sees what ---

    @property
    def state(self) -> tuple[int, bool]:
        """Stays the same as long as every answer stays the same."""
        return self.version, self.settings.archived_readable

    def visible_projects(self, user: User, *, contents: bool = False) -> list[Project]:
        """Projects that the user has joined, directly or through a team, in the order of their ids.

        With ``contents``, only those whose contents can be read (see ``Settings.archived_readable``).
        """
        ids = self._visible_ids(user, contents)
        return [project for project in self.projects.values() if project.id in ids]

    def sees(self, user: User, project: Project, *, contents: bool = False) -> bool:
        return project.id in self._visible_ids(user, contents)

    def _visible_ids(self, user: User, contents: bool) -> frozenset[int]:
        known = self._visible.get((user.id, contents))
        if known is None or known[0] != self.state:
            ids = frozenset(
                project.id
                for project in self.projects.values()
                if user in project.all_members()
                and (not contents or self.settings.archived_readable or not project.archived)
            )
            known = self._visible[user.id, contents] = (self.state, ids)
        return known[1]

    def administers_any_project(self, user: User) -> bool:
        return any(user in project.administrators for project in self.projects.values())

    # --- shared by all changes ---

    def shared_change(self) -> None:
        """An object that stands inside many others changed: the kept bytes of all issues are stale."""
        Issue.epoch[0] += 1

    def record(
        self,
        project: Project | None,
        kind: int,
        content: dict[str, Any],
        by: User,
        *,
        notifications: tuple[Notification, ...] = (),
    ) -> Activity:
        """Leave an activity in the feeds of the space, the project and the user."""
        activity = Activity(
            id=self.ids.next("activity"),
            project=project,
            type=kind,
            content=compact(content),
            created_user=by,
            created=self._now,
            notifications=notifications,
            notifications_listed=self.long_ago,
        )
        self.activities.append(activity)
        by.activities.append(activity)
        if project is not None:
            project.activities.append(activity)
        return activity

    def notify(self, receiver: User, reason: int, sender: User, project: Project, **about: Any) -> Notification:
        """Put a notification into the receiver's list. ``about`` names what it is about (issue, comment, …)."""
        notification = Notification(
            id=self.ids.next("notification"),
            reason=reason,
            user=receiver,
            sender=sender,
            project=project,
            created=self._now,
            **about,
        )
        receiver.notifications.append(notification)
        return notification

    def _new_attachment(self, kind: str, place: Project, name: str, size: int, actor: User) -> Attachment:
        place.usage[{"pull_request": "pullRequest"}.get(kind, kind)] += size
        return Attachment(self.ids.next("attachment"), kind, name, size, actor, self.clock)

    def _touch_watchings(self, issue: Issue) -> None:
        """New content in an issue: its watchings are unread again; their own ``updated`` stays."""
        for watching in self.watchings_by_issue.get(issue.id, ()):
            watching.last_content_updated, watching.already_read = self.clock, False

    def trim_activities(self, *, keep: int | None = None, before: datetime | int | None = None) -> int:
        """Forget old activities, as the real feed does: all but the newest ``keep``, or those created before a moment.

        Returns how many were forgotten.
        """
        with self.lock:
            self.version += 1
            if keep is not None:
                gone = self.activities[: max(0, len(self.activities) - keep)]
            elif before is not None:
                limit = before if isinstance(before, int) else int(before.timestamp())
                gone = [activity for activity in self.activities if activity.created < limit]
            else:
                raise ValueError("trim_activities needs keep or before")
            ids = {activity.id for activity in gone}
            for owner in (self, *self.projects.values(), *self.users.values()):
                owner.activities[:] = [activity for activity in owner.activities if activity.id not in ids]
            return len(gone)
