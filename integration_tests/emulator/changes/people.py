"""Changes of users, teams, memberships, stars, watchings and of what people looked at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core import Core
from ..entities import HOST, Comment, Issue, Notification, Project, PullRequest, Star, Team, User, Watching, Wiki

Who = User | int | str | None
"""A user, an id, a login id, a persona; None is the administrator."""


class PeopleChanges(Core):
    # --- users ---

    def add_user(
        self,
        user_id: str | None,
        name: str,
        *,
        role_type: int = 2,
        lang: str | None = "ja",
        mail_address: str | None = None,
        nulab_id: str | None = None,
        persona: str | None = None,
    ) -> User:
        """A new user of the space, in no project. No activity. Its key is ``user.api_key``."""
        identity = self.ids.next("user")
        user = User(
            id=identity,
            user_id=user_id,
            name=name,
            role_type=role_type,
            lang=lang,
            mail_address=mail_address,
            nulab_id=nulab_id,
            unique_id=f"{identity:x}u",
            keyword=f"{name} {user_id}" if user_id else None,
            last_login=None,
            api_key=f"key-{persona or user_id or identity}-{identity:x}",
            created=self.clock,
        )
        self.users[identity] = user
        if persona:
            self.personas[persona] = user
        return user

    def update_user(self, user: Who, **changes: Any) -> User:
        """Change ``name``, ``role_type``, ``lang``, ``mail_address``, ``nulab_id``, ``keyword``. Leaves no trace."""
        person = self.user(user)
        for name, value in changes.items():
            if name not in ("name", "role_type", "lang", "mail_address", "nulab_id", "keyword"):
                raise TypeError(f"a user's {name} cannot be changed")
            setattr(person, name, value)
        person.refresh()
        self.shared_change()
        return person

    def log_in(self, user: Who) -> User:
        """Moves ``lastLoginTime`` only."""
        person = self.user(user)
        person.last_login = self.clock
        person.refresh()
        self.shared_change()
        return person

    def remove_user(self, user: Who) -> None:
        """The user leaves the space: gone from lists, projects and teams, still shown as author. The key dies."""
        person = self.user(user)
        person.active = False
        for project in self.projects.values():
            for people in (project.members, project.administrators):
                if person in people:
                    people.remove(person)
        for team in self.teams.values():
            if person in team.members:
                team.members.remove(person)

    # --- membership ---

    def add_member(self, project: Project | int | str, user: Who, *, by: Who = None) -> None:
        """The user joins the project: activity 15 and a notification."""
        place, person, actor = self.project(project), self.user(user), self.user(by)
        if person in place.members:
            return
        place.members.append(person)
        self.record(place, 15, _membership([person]), actor)
        if person is not actor:
            self.notify(person, 6, actor, place)

    def remove_member(self, project: Project | int | str, user: Who, *, by: Who = None) -> None:
        """The user leaves the project: activity 16. Its administrator flag goes too."""
        place, person, actor = self.project(project), self.user(user), self.user(by)
        if person not in place.members:
            return
        place.members.remove(person)
        if person in place.administrators:
            place.administrators.remove(person)
        self.record(place, 16, _membership([person]), actor)

    def set_project_administrator(self, project: Project | int | str, user: Who, administrator: bool = True) -> None:
        """Give or take the project administrator flag. No activity."""
        place, person = self.project(project), self.user(user)
        if administrator and person not in place.administrators:
            place.administrators.append(person)
        if not administrator and person in place.administrators:
            place.administrators.remove(person)

    def add_project_team(self, project: Project | int | str, team: Team | int | str, *, by: Who = None) -> None:
        """All members of the team join the project: activity 25."""
        place, group = self.project(project), self.one(self.teams.values(), team)
        if group in place.teams:
            return
        place.teams.append(group)
        self.record(place, 25, {"parties": [{"id": group.id, "name": group.name}]}, self.user(by))

    def remove_project_team(self, project: Project | int | str, team: Team | int | str, *, by: Who = None) -> None:
        """The team leaves the project: activity 26."""
        place, group = self.project(project), self.one(self.teams.values(), team)
        if group not in place.teams:
            return
        place.teams.remove(group)
        self.record(place, 26, {"parties": [{"id": group.id, "name": group.name}]}, self.user(by))

    # --- teams ---

    def create_team(self, name: str, members: Iterable[Who] = (), *, by: Who = None) -> Team:
        actor = self.user(by)
        team = Team(
            id=self.ids.next("team"),
            name=name,
            members=[self.user(member) for member in members],
            display_order=-1 if len(self.teams) % 3 == 0 else None,
            created_user=actor,
            created=self.clock,
            updated_user=actor,
            updated=self.clock,
        )
        self.teams[team.id] = team
        return team

    def update_team(
        self,
        team: Team | int | str,
        *,
        name: str | None = None,
        add: Iterable[Who] = (),
        remove: Iterable[Who] = (),
        by: Who = None,
    ) -> Team:
        """Rename, add or remove members. Moves the team's ``updated``; no activity."""
        group = self.one(self.teams.values(), team)
        group.name = name or group.name
        for member in add:
            if self.user(member) not in group.members:
                group.members.append(self.user(member))
        for member in remove:
            if self.user(member) in group.members:
                group.members.remove(self.user(member))
        group.updated, group.updated_user = self.clock, self.user(by)
        return group

    def delete_team(self, team: Team | int | str) -> None:
        """The team disappears from the space and from its projects. No activity."""
        group = self.one(self.teams.values(), team)
        del self.teams[group.id]
        for project in self.projects.values():
            if group in project.teams:
                project.teams.remove(group)

    # --- stars ---

    def add_star(self, target: Any, *, by: Who = None, comment: str | None = None) -> Star:
        """Star an issue, a comment, a wiki page, a pull request or one of its comments. Moves no stamp, no activity."""
        if isinstance(target, int | str):
            target = self.issue(target)
        url, title, receiver = _star_target(target)
        star = Star(
            id=self.ids.next("star"),
            comment=comment,
            url=url,
            title=title,
            presenter=self.user(by),
            created=self.clock,
            receiver=receiver,
            target=target,
        )
        target.stars += (star,)
        if isinstance(target, Issue):
            target.forget()
        if receiver is not None:
            receiver.stars_received.append(star)
        self.stars[star.id] = star
        return star

    def remove_star(self, star: Star | int) -> None:
        """Take a star back. Moves no stamp, no activity."""
        gone = self.star(star)
        del self.stars[gone.id]
        gone.target.stars = tuple(each for each in gone.target.stars if each is not gone)
        if isinstance(gone.target, Issue):
            gone.target.forget()
        if gone.receiver is not None:
            gone.receiver.stars_received.remove(gone)

    # --- own things ---

    def watch(self, issue: Issue | int | str, *, user: Who = None, note: str | None = None) -> Watching:
        person = self.user(user)
        watching = Watching(
            id=self.ids.next("watching"),
            user=person,
            issue=self.issue(issue),
            note=note,
            created=self.clock,
            updated=self.clock,
        )
        person.watchings.append(watching)
        self.watchings_by_issue.setdefault(watching.issue.id, []).append(watching)
        return watching

    def update_watching(self, watching: Watching, *, note: str | None) -> Watching:
        """Change the note: moves the watching's ``updated``."""
        watching.note, watching.updated = note, self.clock
        return watching

    def read_watching(self, watching: Watching) -> Watching:
        """Mark as read. Moves no stamp."""
        watching.already_read = True
        return watching

    def unwatch(self, watching: Watching) -> None:
        watching.user.watchings.remove(watching)
        self.watchings_by_issue[watching.issue.id].remove(watching)

    def read_notification(self, notification: Notification) -> None:
        """Mark as read. Moves no stamp."""
        notification.already_read = notification.resource_already_read = True

    def view(self, thing: Issue | Project | Wiki, *, user: Who = None) -> None:
        """The user opens an issue, a project or a wiki page: first in the list of what was viewed recently."""
        viewed = self.user(user).viewed.setdefault(type(thing).__name__, {})
        viewed.pop(thing.id, None)
        viewed[thing.id] = self.clock


def _membership(users: list[User]) -> dict[str, Any]:
    return {
        "users": [user.activity_shape() for user in users],
        "group_project_activities": [],
        "comment": "",
    }


def _star_target(target: Any) -> tuple[str, str, User | None]:
    if isinstance(target, Issue):
        return f"{HOST}/view/{target.key}", f"[{target.key}] {target.summary}", target.created_user
    if isinstance(target, Comment):
        issue = target.issue
        return (
            f"{HOST}/view/{issue.key}#comment-{target.id}",
            f"[{issue.key}] {issue.summary} | コメント",
            target.created_user,
        )
    if isinstance(target, Wiki):
        return f"{HOST}/alias/wiki/{target.id}", f"[{target.project.key}] {target.name} | Wiki", target.created_user
    request = target if isinstance(target, PullRequest) else target.pull_request
    repository = request.repository
    url = f"{HOST}/git/{repository.project.key}/{repository.name}/pullRequests/{request.number}"
    if request is not target:
        url += f"#comment-{target.id}"
    return url, f"{repository.project.key}/{repository.name}#{request.number} {request.summary}", target.created_user
