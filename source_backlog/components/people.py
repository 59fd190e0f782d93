"""People, teams and what belongs to one user: stars, watchings, notifications, recently viewed objects."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.types import StreamSlice

from source_backlog.components.paging import by_id, by_offset, rows_of
from source_backlog.components.projects import selected_projects
from source_backlog.components.retriever import BacklogRetriever
from source_backlog.components.values import Row, as_instant, later, not_in_the_future, under


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
        for one in self.everyone():
            if self.members:
                for member in one.get("members") or []:
                    yield under(dict(member), teamId=one["id"], teamName=one.get("name"))
            else:
                yield one

    def everyone(self) -> Iterator[Row]:
        """The list of the space, or that of the projects when Backlog refuses the first."""
        refused = False

        def fetch(page: Any) -> Any:
            nonlocal refused
            body = self.requester.get_json(self.path, page)
            refused = refused or body is None
            return body

        yield from by_offset(fetch) if self.path == "teams" else rows_of(fetch({}))
        if refused:
            found: dict[Any, Row] = {}
            for project in selected_projects(self.requester, self.config, self.api_budget):
                for one in rows_of(self.requester.get_json(f"projects/{project['id']}/{self.path}")):
                    found.setdefault(one["id"], one)
            yield from found.values()


@dataclass
class StarRetriever(PeopleRetriever):
    """The stars that each user has received, from the last known star of that user on.

    State: `{"users": {"<user id>": <last star id>}}`; a user who is new is read from the beginning.
    """

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The new stars of all users."""
        last: dict[str, int] = dict(self.position(stream_slice).get("users") or {})
        for user, stars in self.api_budget.ahead(lambda user: self.read(user, last), self.everyone()):
            for star in stars:
                last[str(user["id"])] = star["id"]
                yield under(star, userId=user["id"])
        self.advance(stream_slice, {"users": last})

    def read(self, user: Row, last: dict[str, int]) -> list[Row]:
        """The stars of one user that are newer than the last known one."""
        path = f"users/{user['id']}/stars"
        return list(by_id(lambda page: self.requester.get_json(path, page), last.get(str(user["id"]))))


@dataclass
class NotificationRetriever(BacklogRetriever):
    """The notifications of the key's own user, from the last known id on. State: `{"id": <last id>}`."""

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The new notifications, oldest first."""
        last = self.position(stream_slice).get("id")
        for notification in by_id(lambda page: self.requester.get_json("notifications", page), last):
            last = notification["id"]
            yield notification
        self.advance(stream_slice, {"id": last} if last is not None else {})


@dataclass
class WatchingRetriever(BacklogRetriever):
    """The issues that the key's own user watches: all of them at every sync, a request per hundred.

    Why: the path needs the user's own id; and `updated` does not move when the watched issue changes or is read, so
    what a cursor on it left out would be out of date.
    """

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The watchings, the oldest first."""
        position = self.position(stream_slice)
        path = f"users/{self.requester.get_json('users/myself')['id']}/watchings"
        order = {"sort": "created", "order": "asc"}
        for watching in by_offset(lambda page: self.requester.get_json(path, {**order, **page})):
            stamp = not_in_the_future(as_instant(watching.get("updated")))
            position["updated"] = later(position.get("updated"), stamp)
            yield under(watching, issueId=(watching.get("issue") or {}).get("id"))
        self.advance(stream_slice, position)


@dataclass
class RecentlyViewedRetriever(BacklogRetriever):
    """What the key's own user has looked at last: issues, projects or wiki pages.

    The object is nested (`issue`, `project` or `page`); its id becomes the primary key `id_column`.
    """

    path: str = ""
    id_column: str = ""

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The whole list, the last viewed first."""
        seen = set()
        for row in self.entries():
            nested = next((row[name] for name in ("issue", "project", "page", "wiki") if row.get(name)), row)
            if nested.get("id") not in seen:
                seen.add(nested.get("id"))
                yield under(row, **{self.id_column: nested.get("id")})

    def entries(self) -> Iterator[Row]:
        """The pages of the list; an entry has no id of its own, and one that is viewed meanwhile moves up."""
        offset = 0
        while page := rows_of(self.requester.get_json(self.path, {"offset": offset, "count": 100})):
            yield from page
            if len(page) < 100:
                return
            offset += 99
