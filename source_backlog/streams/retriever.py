"""What the retrievers of Python have in common."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar

from airbyte_cdk.sources.declarative.retrievers import Retriever
from airbyte_cdk.sources.types import Record, StreamSlice

from source_backlog.api.requester import BacklogRequester
from source_backlog.changes.backlog import Backlog
from source_backlog.changes.checkpoints import Checkpoints
from source_backlog.changes.paging import Unreadable
from source_backlog.changes.position import ObjectsPosition, Position
from source_backlog.space import Space
from source_backlog.values import Row


@dataclass
class BacklogRetriever(Retriever):
    """Reads one partition of a stream.

    Why: a `SimpleRetriever` pages through one endpoint. What changed in Backlog shows in two places, in the list of
    the objects and in the activity feed, and the rows of most streams hang below the changed object, on a further
    request or inside it. Subclasses walk that path in `rows`; the position, of the class `kind`, goes to `Checkpoints`.

    Instances are shared by threads: all that belongs to one read is local.
    """

    config: Mapping[str, Any]
    parameters: InitVar[Mapping[str, Any]]
    requester: BacklogRequester
    partition_router: Checkpoints
    api_budget: Space
    name: str = ""

    kind: ClassVar[type[Position]] = ObjectsPosition
    # Whether a start date leaves something of the stream out.
    dated: ClassVar[bool] = False

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        self.partition_router.kind = self.kind
        self.partition_router.dated = self.dated
        self.backlog = Backlog(self.config, self.requester, self.api_budget, self.name)

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[Record]:
        """The records of one partition; raises `AirbyteTracedException` when a request fails for good.

        A partition that cannot be read, or not to its end, keeps its position: the next sync takes it up there.
        """
        partition = stream_slice or StreamSlice(partition={}, cursor_slice={})
        try:
            for row in self.rows(partition):
                yield Record(row, self.name, partition)
        except Unreadable:
            self.backlog.left_out.lose([self.name], partition.partition.get("projectId"))

    @abstractmethod
    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """The rows of one partition."""

    def position(self, stream_slice: StreamSlice) -> Any:
        """How far the partition had come before this sync: a `kind`."""
        return self.partition_router.position(stream_slice)

    def advance(self, stream_slice: StreamSlice, position: Position) -> None:
        """Say how far the partition will have come when it closes."""
        self.partition_router.advance(stream_slice, position)

    def note_strange_position(self, path: str) -> None:
        """Note that a list is read from its beginning because what was saved cannot come from it."""
        before = f"{self.name}: read from the beginning, because the saved position is none of these lists: "
        self.backlog.left_out.collect(before, path, "")

    def checkpoint(self, stream_slice: StreamSlice, position: Position) -> None:
        """Save a position in the middle of the partition.

        The generator must have been resumed after the last row that the position covers: then that row is on its
        way to the destination before the state is.
        """
        self.partition_router.advance(stream_slice, position)
        self.partition_router.checkpoint(stream_slice)
