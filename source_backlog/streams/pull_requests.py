"""Pull requests, their comments and attachments."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.types import StreamSlice

from source_backlog.changes.feed import PULL_REQUEST_CHANGED, PULL_REQUEST_DELETED, feed_of, touched_ids
from source_backlog.changes.paging import Unreadable, by_id, by_offset, rows_of
from source_backlog.streams.retriever import BacklogRetriever, Skipped
from source_backlog.streams.rows import MAKE
from source_backlog.values import Position, Row, as_instant, day_before, later, not_in_the_future, under


@dataclass
class PullRequestRetriever(BacklogRetriever):
    """Pull requests that have changed, or the rows inside them (`make`, a name of `rows.MAKE`).

    The list can be neither filtered nor sorted by date, so all its pages are read at every sync (a request per
    hundred pull requests) and the unchanged ones left out here. As the list is not one moment's picture, what was
    updated up to a day before the last known stamp is given again.
    """

    make: str = "itself"

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The rows of one project."""
        position = self.position(stream_slice)
        since = position.get("updated") or as_instant(self.config.get("start_date"))
        bound = day_before(since) if since else ""
        gone: list[Row] = []
        if self.make == "itself":
            gone += self.tombstones(position, stream_slice["projectId"], PULL_REQUEST_DELETED)
        there = set()
        for pull_request in self.all(stream_slice, position):
            there.add(pull_request["id"])
            if (as_instant(pull_request.get("updated")) or bound) >= bound:
                yield from MAKE[self.make](pull_request)
        # Activity 21 is "deleted" on the pages and "merged" in the SDKs: what is still listed was merged.
        yield from (tombstone for tombstone in gone if tombstone["id"] not in there)
        self.advance(stream_slice, position)

    def all(self, stream_slice: StreamSlice, position: Position) -> Iterator[Row]:
        """All pull requests of the project's repositories; moves `position` along.

        Raises `Unreadable` when the list of the repositories, or that of one that is still there, is refused.
        """
        project_id = stream_slice["projectId"]
        feed = feed_of(self.api_budget)
        feed.head(self.requester)
        repositories = self.requester.get_json(f"projects/{project_id}/git/repositories")
        if repositories is None:
            raise Unreadable
        for repository in rows_of(repositories):
            try:
                for pull_request in self.of_repository(project_id, repository):
                    stamp = not_in_the_future(as_instant(pull_request.get("updated")))
                    position["updated"] = later(position.get("updated"), stamp)
                    yield pull_request
            except Unreadable:
                there = self.requester.look(f"projects/{project_id}/git/repositories")
                if there is None or any(one["id"] == repository["id"] for one in rows_of(there)):
                    raise
        feed.mark(self.requester, project_id, position)

    def of_repository(self, project_id: Any, repository: Row) -> Iterator[Row]:
        """The pull requests of one repository, in the order of their numbers; raises `Unreadable` when refused."""
        path = f"projects/{project_id}/git/repositories/{repository['id']}/pullRequests"
        columns = {
            "projectId": project_id,
            "repositoryId": repository["id"],
            "repositoryName": repository.get("name"),
        }
        for pull_request in by_offset(lambda page: self.requester.get_json(path, page)):
            yield under(pull_request, **columns)


@dataclass
class PullRequestCommentRetriever(PullRequestRetriever):
    """Comments of pull requests that have changed or were commented on, or the rows inside the comments."""

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The rows of one project."""
        position = self.position(stream_slice)
        project_id = stream_slice["projectId"]
        touched = touched_ids(self.api_budget, self.requester, project_id, position, PULL_REQUEST_CHANGED)
        skipped = Skipped(position)
        since = position.get("updated") or as_instant(self.config.get("start_date")) or ""
        changed = (
            pull_request
            for pull_request in self.all(stream_slice, position)
            if pull_request["id"] in touched
            or pull_request["id"] in skipped.before
            or (as_instant(pull_request.get("updated")) or "~") > since
        )
        for pull_request, comments in self.api_budget.ahead(self.read, changed):
            if comments is None:
                skipped.add(pull_request["id"])
                continue
            skipped.given(pull_request["id"])
            parents = {name: pull_request.get(name) for name in ("projectId", "repositoryId")}
            parents |= {"pullRequestId": pull_request["id"], "pullRequestNumber": pull_request.get("number")}
            for comment in comments:
                yield from MAKE[self.make](under(comment, **parents))
        self.advance(stream_slice, skipped.noted(position, self, project_id))

    def read(self, pull_request: Row) -> list[Row] | None:
        """All comments of one pull request, oldest first; None when it is gone."""
        repository = f"projects/{pull_request['projectId']}/git/repositories/{pull_request['repositoryId']}"
        path = f"{repository}/pullRequests/{pull_request['number']}/comments"
        try:
            return list(by_id(lambda page: self.requester.get_json(path, page)))
        except Unreadable:
            return None
