"""People, teams and what belongs to one user: stars, watchings, notifications, recently viewed objects."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from airbyte_cdk.sources.types import StreamSlice
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.errors import RejectedRequest, warn_once
from source_backlog.changes.backlog import Backlog
from source_backlog.changes.paging import (
    PAGE_SIZE,
    Fetch,
    Recent,
    Unreadable,
    belongs_to,
    by_id,
    by_offset,
    rows_of,
)
from source_backlog.changes.position import NotificationsPosition, Place, StarsPosition, WatchingsPosition
from source_backlog.changes.projects import selected_projects, visible_projects
from source_backlog.changes.skipped import Failures, attempt
from source_backlog.streams.retriever import BacklogRetriever
from source_backlog.values import Row, as_instant, later, not_in_the_future, under

# In which the watchings are read again when rows are missing.
ORDERS = (
    {"sort": "updated", "order": "desc"},
    {"sort": "issueUpdated", "order": "asc"},
    {"sort": "created", "order": "desc"},
)

# reason of a notification: https://developer.nulab.com/docs/backlog/api/2/get-notification
ADDED_TO_PROJECT = 6


@dataclass
class PeopleRetriever(BacklogRetriever):
    """Users or teams of the space, or, where the key's user may not list them, those of the visible projects.

    Why: `GET /users` and `GET /teams` are for administrators; `projects/{id}/users` and `…/teams` are for all.
    With `members` the rows are the members of the teams.
    """

    path: str = "users"
    members: bool = False

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """Every person or team once."""
        for one in everyone(self.backlog, self.path):
            if self.members:
                for member in one.get("members") or []:
                    yield under(dict(member), teamId=one["id"], teamName=one.get("name"))
            else:
                yield one


def everyone(backlog: Backlog, path: str) -> Iterator[Row]:
    """The users or teams (`path`) of the space, or those of the projects when Backlog refuses the list of the space."""
    try:
        if path == "teams":
            yield from by_offset(lambda page: backlog.get(path, page))
            return
        found = backlog.get(path)
        if found is None:
            raise Unreadable
        yield from rows_of(found)
    except Unreadable:
        members: dict[Any, Row] = {}
        for project in selected_projects(backlog.requester, backlog.config, backlog.space):
            for one in rows_of(backlog.get(f"projects/{project['id']}/{path}")):
                members.setdefault(one["id"], one)
        yield from members.values()


@dataclass
class MemberRetriever(BacklogRetriever):
    """The members of a project, with what makes them members: were they added by name, or only through a team?

    Why: that stands in no answer. It takes a second list, which leaves out whoever is there only through a team. Where
    the teams of the project are read anyway, it is asked for if there are any; else `direct` is null, because it would
    cost every sync a request per project.
    """

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The members of one project."""
        project = stream_slice.extra_fields["project"]
        path = f"projects/{project['id']}/users"
        members = rows_of(self.backlog.get(path))
        direct = self.direct(path, f"projects/{project['id']}/teams", {member.get("id") for member in members})
        for member in members:
            added = None if direct is None else member.get("id") in direct
            yield under(member, projectId=project["id"], projectKey=project.get("projectKey"), direct=added)

    def direct(self, path: str, teams_path: str, everyone: set[Any]) -> set[Any] | None:
        """The ids of those who were added by name; None when that is not known."""
        teams = self.backlog.get(teams_path, probe=True) if self.api_budget.is_read(teams_path) else None
        if not isinstance(teams, list):
            return None
        if not teams:
            return everyone
        try:
            found = self.backlog.if_accepted(
                "excludeGroupMembers", lambda: self.backlog.get(path, {"excludeGroupMembers": "true"})
            )
        except RejectedRequest:
            warn_once(self.api_budget, "Backlog does not tell who was added to a project by name: direct is null.")
            return None
        return {member.get("id") for member in rows_of(found)} if isinstance(found, list) else None


@dataclass
class StarRetriever(PeopleRetriever):
    """The stars that each user has received, from the last known star of that user on.

    A user who is new is read from the beginning.
    """

    kind = StarsPosition

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The new stars of all users."""
        last: dict[str, int] = dict(self.position(stream_slice).users or {})
        failures = Failures()
        for user, stars in self.api_budget.ahead(lambda user: self.read(user, last), everyone(self.backlog, self.path)):
            if isinstance(stars, AirbyteTracedException):
                failures.add(stars)
                continue
            failures.end_row()
            for star in stars:
                last[str(user["id"])] = star["id"]
                yield under(star, userId=user["id"])
        self.checkpoint(stream_slice, StarsPosition(users=last))
        failures.report()

    def read(self, user: Row, last: dict[str, int]) -> list[Row] | AirbyteTracedException:
        """The stars of one user that are newer than the last known one."""
        path = f"users/{user['id']}/stars"
        anew = partial(self.note_strange_position, path)
        stars = newer(lambda page: self.requester.get_json(path, page), last.get(str(user["id"])), anew)
        try:
            return attempt(lambda: list(stars))
        except Unreadable:
            return []


@dataclass
class NotificationRetriever(BacklogRetriever):
    """The notifications of the key's own user, from the last known id on.

    Why: Backlog leaves out those of projects that the user does not see; when one becomes visible again they have ids
    below the last known one. So then the list is read from its beginning.
    """

    kind = NotificationsPosition

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The new notifications, oldest first."""
        place: Place[NotificationsPosition] = Place(self.position(stream_slice))
        projects = visible_projects(self.requester, self.api_budget)
        last = None if place.before.new(projects) else place.before.id
        recent = Recent(last, place.before.seen)
        for notification in recent.new(newer(self.ask, recent.after, partial(self.note_strange_position, self.name))):
            yield notification
            if last is not None and notification.get("reason") == ADDED_TO_PROJECT:
                # The project may have come and gone between two looks at the list of projects.
                yield from by_id(self.ask)
                last = None
        if recent.last is not None:
            place.move(**recent.noted("id"))
        self.advance(stream_slice, place.now.noted(projects))

    def ask(self, page: Any) -> Any:
        """A page of the notifications."""
        return self.requester.get_json("notifications", page)


def newer(ask: Fetch, last: int | None, begin_anew: Callable[[], None]) -> Iterator[Row]:
    """The rows after `last`, ascending; all rows, which `begin_anew` is told, when `last` cannot come from this list.

    Raises `Unreadable` when a page is refused (None).
    """
    empty = False

    def fetch(page: Any) -> Any:
        nonlocal empty
        body = ask(page)
        empty = body == []
        return body

    yield from by_id(fetch, last)
    # Usually the last known row itself comes again.
    if last is not None and empty and not belongs_to(ask, last, []):
        begin_anew()
        yield from by_id(ask)


@dataclass
class WatchingRetriever(BacklogRetriever):
    """The issues that the key's own user watches: all of them at every sync, a request per hundred.

    Why: the path needs the user's own id; and `updated` does not move when the watched issue changes or is read, so
    what a cursor on it left out would be out of date.
    """

    kind = WatchingsPosition

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The watchings, the oldest first."""
        latest: str | None = self.position(stream_slice).updated
        path = f"users/{self.requester.get_json('users/myself')['id']}/watchings"
        seen: set[Any] = set()
        oldest_first = {"sort": "created", "order": "asc"}
        listed = by_offset(lambda page: self.backlog.get(path, {**oldest_first, **page}))
        for watching in itertools.chain(listed, self._left_out(path, seen)):
            seen.add(watching["id"])
            latest = later(latest, not_in_the_future(as_instant(watching.get("updated"))))
            yield under(watching, issueId=(watching.get("issue") or {}).get("id"))
        self.advance(stream_slice, WatchingsPosition(updated=latest))

    def _left_out(self, path: str, seen: set[Any]) -> Iterator[Row]:
        # Only a list of several pages can leave something out.
        if len(seen) < PAGE_SIZE:
            return
        found, number = self.backlog.not_shown(path, partial(self.backlog.look, path), {}, seen, ORDERS)
        if number:
            self.backlog.left_out.collect(
                "Backlog counts watchings that its list does not show, in whatever order: ",
                path,
                ". The next sync tries again.",
                f"of {number} it shows {len(seen) + len(found)}",
            )
        yield from found


@dataclass
class RecentlyViewedRetriever(BacklogRetriever):
    """What the key's own user has looked at last: issues, projects or wiki pages.

    The object is nested (`issue`, `project` or `page`); its id becomes the primary key `id_column`.
    """

    path: str = ""
    id_column: str = ""

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The whole list, the last viewed first."""
        try:
            yield from by_offset(self.page, key=self.id_column)
        except Unreadable:
            # The answer was a warning.
            return

    def page(self, window: Any) -> Any:
        """A page of the list. An entry has no id of its own; one that is viewed meanwhile moves up."""
        body = self.requester.get_json(self.path, window)
        return None if body is None else [self.with_id(row) for row in rows_of(body)]

    def with_id(self, row: Row) -> Row:
        """The entry with the id of the nested object."""
        nested = next((row[name] for name in ("issue", "project", "page", "wiki") if row.get(name)), row)
        return under(row, **{self.id_column: nested.get("id")})
