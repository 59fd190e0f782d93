"""What the retrievers of all changing objects have in common."""

import logging
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass
from typing import Any

from airbyte_cdk.sources.declarative.retrievers import Retriever
from airbyte_cdk.sources.types import Record, StreamSlice

from source_backlog.api.requester import BacklogRequester
from source_backlog.changes.checkpoints import Checkpoints
from source_backlog.changes.feed import FeedTrimmed, feed_of
from source_backlog.changes.paging import Unreadable
from source_backlog.space import Space
from source_backlog.values import TOMBSTONE, Position, Row, date_time_columns, with_instants

LOGGER = logging.getLogger("airbyte.source_backlog")

# When so many objects of a partition are refused and none is given, it is not the objects.
REFUSALS = 5


@dataclass
class BacklogRetriever(Retriever):
    """Reads one partition of a stream of changing objects.

    Why: a `SimpleRetriever` pages through one endpoint. What changed in Backlog shows in two places, in the list of
    the objects and in the activity feed, and the rows of most streams hang below the changed object, on a further
    request or inside it. Subclasses walk that path in `rows`; the position goes to `Checkpoints`.

    Instances are shared by threads: all that belongs to one read is local.
    """

    config: Mapping[str, Any]
    parameters: InitVar[Mapping[str, Any]]
    requester: BacklogRequester
    partition_router: Checkpoints
    api_budget: Space
    name: str = ""

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[Record]:
        """The records of one partition; raises `AirbyteTracedException` when a request fails for good.

        A partition that cannot be read, or not to its end, keeps its position: the next sync takes it up there.
        """
        columns = date_time_columns(records_schema)
        partition = stream_slice or StreamSlice(partition={}, cursor_slice={})
        try:
            for row in self.rows(partition):
                yield Record(with_instants(row, columns), self.name, partition)
        except Unreadable:
            where = ", ".join(f"{name} {value}" for name, value in partition.partition.items()) or "the space"
            LOGGER.warning(f"{self.name}: {where} is not readable to its end; the next sync tries again.")

    @abstractmethod
    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The rows of one partition."""

    def tombstones(self, position: Position, project_id: Any, types: frozenset[int]) -> Iterable[Row]:
        """Rows for objects that activities of `types` report as deleted since the last sync, if they are asked for.

        A tombstone has the primary key, the cursor and `_ab_cdc_deleted_at`, both the time of the deletion, so that
        it is not older than the last live row.
        """
        if self.config.get("deleted_records") != "tombstones":
            return
        if "activity" not in position:
            return
        feed = feed_of(self.api_budget)
        try:
            after = feed.look(self.requester, project_id, position)
            gone = feed.touched(self.requester, project_id, after, types)
        except FeedTrimmed:
            # The feed has said so.
            return
        for object_id, touched in gone.items():
            if self.is_gone(object_id):
                yield {"id": object_id, "updated": touched.created, TOMBSTONE: touched.created}

    def is_gone(self, object_id: Any) -> bool:
        """Whether what an activity reports as deleted is still gone; asks Backlog where a deletion can be undone."""
        return True

    def readable(self, project_id: Any) -> bool:
        """Whether the key's user may (still) read what is in the project."""
        return self.requester.exists(f"projects/{project_id}/statuses")

    def position(self, stream_slice: StreamSlice) -> Position:
        """How far the partition had come before this sync."""
        return self.partition_router.position(stream_slice)

    def advance(self, stream_slice: StreamSlice, position: Position) -> None:
        """Say how far the partition will have come when it closes."""
        self.partition_router.advance(stream_slice, position)

    def checkpoint(self, stream_slice: StreamSlice, position: Position) -> None:
        """Save a position in the middle of the partition.

        The generator must have been resumed after the last row that the position covers: then that row is on its
        way to the destination before the state is.
        """
        self.partition_router.advance(stream_slice, position)
        self.partition_router.checkpoint(stream_slice)


class Skipped:
    """The objects of a partition whose own request was refused (403, 404): deleted meanwhile, or not readable now.

    They must neither stop the partition nor be forgotten with it, for a user who has lost a project for a moment gets
    the same answers. So they go into the position (`skipped`), and the next sync asks for those it still finds.
    """

    def __init__(self, position: Position) -> None:
        self.before: frozenset[Any] = frozenset(position.pop("skipped", ()))
        self._waiting = set(self.before)
        self._now: list[Any] = []
        self._unconfirmed = 0
        self._given = False

    def given(self, object_id: Any) -> None:
        """Note that an object was read."""
        self._given = True
        self._waiting.discard(object_id)

    def add(self, object_id: Any) -> None:
        """Note that an object was refused; raises `Unreadable` when all are."""
        self._now.append(object_id)
        self._waiting.discard(object_id)
        self._unconfirmed += 1
        if not self._given and self._unconfirmed >= REFUSALS:
            raise Unreadable

    def noted(
        self, position: Position, retriever: BacklogRetriever, project_id: Any, *, finished: bool = True
    ) -> Position:
        """`position` with the skipped objects; before the partition is `finished` also those that still wait.

        Raises `Unreadable` when there are new ones because the project is no longer readable.
        """
        if self._unconfirmed and not retriever.readable(project_id):
            raise Unreadable
        self._unconfirmed = 0
        skipped = self._now if finished else [*self._now, *sorted(self._waiting)]
        return {**position, "skipped": list(skipped)} if skipped else position
