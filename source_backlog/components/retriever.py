"""What the retrievers of all changing objects have in common."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass
from typing import Any

from airbyte_cdk.sources.declarative.retrievers import Retriever
from airbyte_cdk.sources.types import Record, StreamSlice

from source_backlog.components.checkpoints import Checkpoints, Position
from source_backlog.components.feed import touched_ids
from source_backlog.components.requester import BacklogRequester
from source_backlog.components.space import Space
from source_backlog.components.values import TOMBSTONE, Row, date_time_columns, with_instants


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
        """The records of one partition; raises `AirbyteTracedException` when a request fails for good."""
        columns = date_time_columns(records_schema)
        partition = stream_slice or StreamSlice(partition={}, cursor_slice={})
        for row in self.rows(partition):
            yield Record(with_instants(row, columns), self.name, partition)

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
        gone = touched_ids(self.api_budget, self.requester, project_id, position, types)
        for object_id, touched in gone.items():
            yield {"id": object_id, "updated": touched.created, TOMBSTONE: touched.created}

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
