"""Pull requests: which have changed."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from source_backlog.changes.backlog import Backlog
from source_backlog.changes.feed import PULL_REQUEST_CHANGED, PULL_REQUEST_DELETED, head_of
from source_backlog.changes.paging import Unreadable, by_offset, rows_of
from source_backlog.changes.progress import OrderedWalk
from source_backlog.streams.finder import Finder, completed
from source_backlog.values import Row, as_instant, day_before, under


class ChangedPullRequests(Finder):
    """Pull requests that have changed.

    The list can be neither filtered nor sorted by date, so all its pages are read at every sync (a request per
    hundred pull requests) and the unchanged ones left out here. As the list is not one moment's picture, what was
    updated up to a day before the last known stamp is given again.
    """

    path = "projects/{projectId}/git/repositories/{repositoryId}/pullRequests/{number}"
    walks = OrderedWalk
    walk: OrderedWalk[Any]
    named_by = PULL_REQUEST_CHANGED
    deleted_by = PULL_REQUEST_DELETED

    def changed(self) -> Iterator[Row]:
        """In the order of their stamps."""
        since = self.walk.now.updated or self.backlog.start
        bound = day_before(since) if since else ""
        self._listed, changed = set(), []
        for pull_request in self.all():
            number = pull_request["id"]
            self._listed.add(number)
            if (as_instant(pull_request.get("updated")) or bound) >= bound or number in self.walk.skipped.before:
                changed.append(pull_request)
        yield from self.walk.in_order(changed)

    def is_gone(self, object_id: Any) -> bool:
        """Activity 21 is "deleted" on the pages and "merged" in the SDKs: what is still listed was merged."""
        return object_id not in self._listed

    def all(self) -> Iterator[Row]:
        """All pull requests of the project's repositories; moves the walk along.

        Raises `Unreadable` when the list of the repositories, or that of one that is still there, is refused.
        """
        head_of(self.backlog)
        repositories = self.backlog.get(self._repositories)
        if repositories is None:
            raise Unreadable
        for repository in rows_of(repositories):
            note_repository(self.backlog, self.project, repository)
            try:
                for pull_request in self.of_repository(repository):
                    self.walk.see(as_instant(pull_request.get("updated")))
                    yield pull_request
            except Unreadable:
                if repository["id"] in self._repositories_there():
                    raise
                self.backlog.left_out.forget(f"{self._repositories}/{repository['id']}")
        self.mark()

    def has(self, owner: Row) -> bool:
        """Whether its repository is there, with which alone a pull request goes."""
        return self._shows(owner["repositoryId"], self._repositories_there)

    @property
    def _repositories(self) -> str:
        return f"projects/{self.project_id}/git/repositories"

    def _repositories_there(self) -> set[Any]:
        there = self.backlog.look(self._repositories)
        if there is None:
            raise Unreadable
        return {one["id"] for one in rows_of(there)}

    def of_repository(self, repository: Row) -> Iterator[Row]:
        """The pull requests of one repository, in the order of their numbers; raises `Unreadable` when refused."""
        path = f"{self._repositories}/{repository['id']}/pullRequests"
        columns = {
            "projectId": self.project_id,
            "repositoryId": repository["id"],
            "repositoryName": repository.get("name"),
        }
        anew = partial(self.backlog.look, path)
        for pull_request in by_offset(partial(self.backlog.get, path), anew=anew):
            yield under(pull_request, **columns)


def note_repository(backlog: Backlog, project: Row, repository: Row) -> None:
    """Note the name of a repository, for the warnings about what is in it."""
    if project.get("projectKey") and repository.get("name"):
        path = f"projects/{project['id']}/git/repositories/{repository.get('id')}"
        backlog.left_out.know(path, f"{project['projectKey']}/{repository['name']}", project["id"])


def whole(backlog: Backlog, pull_request: Row) -> list[Row] | None:
    """The pull request with its attachments and stars, which not every server gives in lists; None when it is gone."""
    columns = {name: pull_request[name] for name in ("projectId", "repositoryId", "repositoryName")}
    path = ChangedPullRequests.path.format(**pull_request)
    return completed(backlog, pull_request, path, lambda row: under(row, **columns), ("attachments", "stars"))


class CommentedPullRequests(ChangedPullRequests):
    """Pull requests that have changed or were commented on, as far as their comments need them."""

    def changed(self) -> Iterator[Row]:
        """In the order of their stamps."""
        named = {*self.touched(), *self.walk.skipped.before}
        since = self.walk.known or self.backlog.start or ""
        changed = [
            {name: pull_request.get(name) for name in ("id", "number", "projectId", "repositoryId", "updated")}
            for pull_request in self.all()
            if pull_request["id"] in named or (as_instant(pull_request.get("updated")) or "~") > since
        ]
        self.walk.note_sure()
        yield from self.walk.in_order(changed)
