"""The streams of changing objects, put together from a finder, a reader and the rows that are made."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from airbyte_cdk.sources.types import Record, StreamSlice
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.changes.backlog import Backlog
from source_backlog.changes.feed import FeedTrimmed, Touched, feed_of
from source_backlog.changes.paging import Unreadable
from source_backlog.changes.quiet import resting
from source_backlog.changes.siblings import Team
from source_backlog.changes.skipped import attempt
from source_backlog.streams import comments, documents, issues, pull_requests, shared_files, wikis
from source_backlog.streams.custom_fields import with_columns
from source_backlog.streams.exact_ids import ExactIds
from source_backlog.streams.finder import Finder, Reader
from source_backlog.streams.retriever import BacklogRetriever
from source_backlog.streams.rows import MAKE
from source_backlog.values import TOMBSTONE, Row

# How often a project whose objects take a request each saves its place.
CHECKPOINT_SECONDS = 30.0

FINDERS: dict[str, type[Finder]] = {
    "issues": issues.ChangedIssues,
    "issues to ask": issues.IssuesToAsk,
    "commented issues": comments.CommentedIssues,
    "wikis": wikis.ChangedWikis,
    "documents": documents.ChangedDocuments,
    "commented documents": documents.CommentedDocuments,
    "documents with files": documents.DocumentsWithFiles,
    "pull requests": pull_requests.ChangedPullRequests,
    "commented pull requests": pull_requests.CommentedPullRequests,
    "shared files": shared_files.SharedFiles,
}

READERS: dict[str, Reader] = {
    "issue participants": issues.list_of("participants"),
    "related issues": issues.list_of("relatedIssues"),
    "issue comments": comments.of_issue,
    "wiki page": wikis.page,
    "whole document": documents.whole,
    "whole pull request": pull_requests.whole,
    "wiki versions": wikis.versions,
    "document comments": documents.comments,
    "pull request comments": comments.of_pull_request,
}


def found(backlog: Backlog, finder: Finder, reader: str) -> Iterator[tuple[Row, list[Row]]]:
    """Each changed object with what the reader (a name of `READERS`) gets for it; without a reader, with itself.

    The requests of one project overlap (`Space.ahead`). An object that is refused although it is there, or whose
    request fails at every try, is noted as skipped, with no rows.
    """
    if not reader:
        yield from ((owner, [owner]) for owner in finder.changed())
        return

    def read(owner: Row) -> list[Row] | AirbyteTracedException | None:
        return attempt(lambda: READERS[reader](backlog, owner))

    skipped = finder.walk.skipped
    for owner, got in backlog.space.ahead(read, finder.changed()):
        if isinstance(got, AirbyteTracedException):
            skipped.failed(owner["id"], got)
        elif got is None and attempt(partial(finder.has, owner)) is False:
            skipped.gone(owner["id"])
            backlog.left_out.forget(finder.path.format(**owner))
        elif got is None:
            backlog.left_out.know(finder.path.format(**owner), owner.get("issueKey"), finder.project_id)
            skipped.add(owner["id"])
        else:
            skipped.given(owner["id"])
        yield owner, got if isinstance(got, list) else []


def rows_of(
    members: list["ObjectRetriever"], objects: list[Row], ids: ExactIds
) -> Iterator[tuple["ObjectRetriever", Row]]:
    """The rows that each of the streams makes of what the reader got for one object."""
    if any(member.with_ids for member in members):
        ids.begin(objects)
    for each in objects:
        for member in members:
            rows = member.made_of(each)
            yield from ((member, row) for row in (ids.added(rows) if member.with_ids else rows))


@dataclass
class ObjectRetriever(BacklogRetriever):
    """Reads a stream of objects that change, or of the rows inside them, project by project.

    `finder` (a name of `FINDERS`) tells which objects have changed, `reader` (of `READERS`) what to ask for each of
    them, `make` (of `rows.MAKE`) which rows that gives. Where a finder's walk can be taken up in the middle, the place
    is saved every half minute.
    """

    finder: str = ""
    reader: str = ""
    make: str = "itself"
    with_tombstones: bool = False
    with_custom_fields: bool = False
    with_ids: bool = False

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        self.partition_router.retriever = self
        self.partition_router.group = self.group
        self.partition_router.named = bool(FINDERS[self.finder].named_by)
        self.partition_router.dated = FINDERS[self.finder].dated

    @property
    def group(self) -> str:
        """The same for streams that are made from the same answers."""
        return ", ".join(filter(None, (self.finder, self.reader)))

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[Record]:
        """The records of one project, and those of the siblings that stand at the same place (`Checkpoints.team`).

        See `BacklogRetriever.read_records`.
        """
        partition = stream_slice or StreamSlice(partition={}, cursor_slice={})
        team = self.partition_router.team(partition.partition)
        try:
            for member, row in self.walk(partition, team):
                yield Record(row, member.name, partition)
        except Unreadable:
            self.backlog.left_out.lose((member.name for member in team.members), partition.partition.get("projectId"))
        except Exception as error:
            team.failure = error
            raise

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The rows of one project."""
        team = self.partition_router.team(stream_slice.partition)
        return (row for member, row in self.walk(stream_slice, team) if member is self)

    def walk(self, stream_slice: StreamSlice, team: Team) -> Iterator[tuple["ObjectRetriever", Row]]:
        """The rows of all streams of the team, each with the retriever of its stream; moves all their positions."""
        members: list[ObjectRetriever] = [member.retriever for member in team.members]
        finder = self.finder_of(stream_slice, team.position)
        if self.rest(stream_slice, finder, members):
            return
        deleted = self.reported_deleted(finder) if any(member.with_tombstones for member in members) else {}
        ids = ExactIds(finder)
        saved = time.monotonic()
        for owner, objects in found(self.backlog, finder, self.reader):
            yield from rows_of(members, objects, ids)
            finder.walk.done(owner)
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                saved = time.monotonic()
                ids.keep(finished=False)
                position = finder.walk.unfinished()
                if position is not None and deleted:
                    # Their tombstones come at the end: until then the feed has to tell of them once more.
                    origin = finder.walk.origin
                    position = replace(position, activity=origin.activity, again=origin.again)
                if position is not None:
                    for member in members:
                        member.checkpoint(stream_slice, position)
        for object_id, touched in deleted.items():
            if finder.is_gone(object_id):
                tombstone = {"id": object_id, "updated": touched.created, TOMBSTONE: touched.created}
                yield from ((member, dict(tombstone)) for member in members if member.with_tombstones)
        ids.keep(finished=True)
        position = finder.walk.finished()
        for member in members:
            member.checkpoint(stream_slice, position)
        finder.walk.skipped.failures.report()

    def checkpoint(self, stream_slice: StreamSlice, position: Any) -> None:
        """Save a position, see `BacklogRetriever.checkpoint`; what is known of names only where rows have ids."""
        super().checkpoint(stream_slice, position if self.with_ids else replace(position, names=None, untold=None))

    def rest(self, stream_slice: StreamSlice, finder: Finder, members: Collection["ObjectRetriever"]) -> bool:
        """Whether the project is not asked in this sync (`quiet`); if so, moves the positions of all `members`."""
        names = [member.name for member in members]
        if not self.partition_router.named or not resting(self.backlog).rests(finder.project_id, names):
            return False
        finder.rest()
        for member in members:
            member.checkpoint(stream_slice, finder.walk.finished())
        return True

    def finder_of(self, stream_slice: StreamSlice, position: Any) -> Finder:
        """A finder for one read of the project, from a position on."""
        kind = FINDERS[self.finder]
        project = stream_slice.extra_fields["project"]
        readable = partial(self.backlog.is_readable, project["id"])
        return kind(self.backlog, project, kind.walks(position, readable))

    def made_of(self, one: Row) -> Iterable[Row]:
        """The rows of one object."""
        if self.with_custom_fields and self.config.get("issue_custom_fields") == "columns":
            with_columns(one)
        return MAKE[self.make](one)

    def reported_deleted(self, finder: Finder) -> Mapping[Any, Touched]:
        """The objects that the feed reports as deleted since the last sync, if tombstones are asked for.

        A tombstone has the primary key, the cursor and `_ab_cdc_deleted_at`, both the time of the deletion, so that
        it is not older than the last live row.
        """
        if self.config.get("deleted_records") != "tombstones" or finder.walk.activity is None:
            return {}
        feed = feed_of(self.api_budget)
        try:
            after = feed.look(self.requester, finder.project_id, finder.walk)
            return feed.touched(self.requester, finder.project_id, after, finder.deleted_by)
        except FeedTrimmed:
            # The feed has said so.
            return {}
