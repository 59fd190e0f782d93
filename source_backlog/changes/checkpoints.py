"""Which projects a stream reads, and how far it has come in each."""

import copy
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass
from typing import Any

from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.declarative.partition_routers.partition_router import PartitionRouter
from airbyte_cdk.sources.message import MessageRepository
from airbyte_cdk.sources.streams.concurrent.cursor import Cursor
from airbyte_cdk.sources.streams.concurrent.partitions.partition import Partition
from airbyte_cdk.sources.types import Record, StreamSlice

from source_backlog.api.requester import BacklogRequester
from source_backlog.changes.position import NotUnderstood, ObjectsPosition, Position, is_id
from source_backlog.changes.projects import selected_projects
from source_backlog.changes.siblings import Team, siblings_of, teams
from source_backlog.left_out import LeftOut, left_out_of
from source_backlog.space import Space
from source_backlog.values import as_instant

LOGGER = logging.getLogger("airbyte.source_backlog")


@dataclass
class Checkpoints(PartitionRouter, Cursor):
    """Partitions a stream by project (or leaves it whole) and keeps a position per partition.

    Why: the CDK's per-partition cursor moves only with emitted records, so a stream of attachments would read all
    issues again as long as nobody attaches anything; it starts a partition that it has not seen from the global
    value, so a project that becomes visible later loses its history; it drops partitions above 10,000; and it
    emits a checkpoint every ten minutes at most (`ConcurrentPerPartitionCursor`, airbyte-cdk 7.39).

    Here the retriever says how far it has come (`advance`), whatever it has emitted, a new partition starts from
    the beginning, and a checkpoint follows each partition, or some that end within a moment (`_emit`). The state has
    the CDK's own shape:
    `{"states": [{"partition": {"projectId": 1}, "cursor": {"updated": "2026-01-31T09:00:00Z", "activity": 7}}]}`,
    and, where a start date has left something out, beside it the latest one: `"start_date": "2026-01-01T00:00:00Z"`.

    With `by: space` there is one partition, `{}`. With `feature` (a flag of the project, such as `useWiki`)
    projects that have it switched off are left out. Without `cursor_field` it only partitions.

    The retriever of the stream sets `kind`, the class of the positions, and, where siblings are made from the same
    answers, their common `group`, with itself as `retriever`. Of siblings that stand at the same place only one gets
    the partition: its retriever reads for the others too (`Team`).
    """

    config: Mapping[str, Any]
    parameters: InitVar[Mapping[str, Any]]
    requester: BacklogRequester
    api_budget: Space
    name: str = ""
    by: str = "project"
    feature: str = ""
    cursor_field: str = ""

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        self.kind: type[Position] = ObjectsPosition
        self.group = ""
        self.retriever: Any = None
        # Whether the feed names what changes in the stream's objects: see `quiet`.
        self.named = False
        # Whether a start date leaves something of the stream out.
        self.dated = False
        # The latest one with which a partition was begun, whatever it is now: what was older may be missing.
        self.start: str | None = None
        self._positions: dict[Any, Position] = {}
        self._began: dict[Any, Position] = {}
        self._pending: dict[Any, Position] = {}
        self._output: tuple[ConnectorStateManager, MessageRepository] | None = None
        self._emit_again = 0.0
        self._one_at_a_time = threading.Lock()
        self.api_budget.routers[self.name] = self
        if self.cursor_field:
            self.api_budget.cursors[self.name] = self

    # What the retriever uses.

    def position(self, stream_slice: StreamSlice) -> Position:
        """How far the partition of `stream_slice` had come before this sync; empty on its first one."""
        return self.position_at(_key(stream_slice))

    def position_at(self, key: Any) -> Position:
        """The same by the key of the partition."""
        return self._positions.get(key) or self.kind()

    def began_at(self, key: Any) -> Position:
        """The same, whatever this sync has saved since."""
        return self._began.get(key) or self.kind()

    def team(self, partition: Mapping[str, Any]) -> Team:
        """The streams that are read in one walk over the partition with this one."""
        key = _key(partition)
        if not self.group:
            return Team([self], self.position_at(key))

        def find() -> dict[str, Team]:
            return teams(siblings_of(self.api_budget.cursors.values(), self), key)

        return self.api_budget.once(f"teams of {self.group} in {key}", find)[self.name]

    def partitions(self) -> list[Any]:
        """The keys of the partitions whose position is known."""
        return list(self._positions)

    def advance(self, stream_slice: StreamSlice, position: Position) -> None:
        """Say how far the partition will have come when all records that were given so far are out.

        The position counts when the partition closes; `checkpoint` makes it count now.
        """
        self._pending[_key(stream_slice)] = position

    def checkpoint(self, stream_slice: StreamSlice) -> None:
        """Emit the state in the middle of a partition, with the position of the last `advance`."""
        self._commit(_key(stream_slice))

    # What the CDK uses: the partition router.

    def stream_slices(self) -> Iterable[StreamSlice]:
        """One slice per selected project, with the project itself under `extra_fields`."""
        if self.by == "space":
            self._note_start({})
            yield StreamSlice(partition={}, cursor_slice={})
            return
        projects = selected_projects(self.requester, self.config, self.api_budget)
        self._report_gone({project["id"] for project in projects})
        led: list[Team] = []
        for project in projects:
            # A server that does not know the flag may still have the feature.
            if self.feature and project.get(self.feature) is False:
                continue
            partition = {"projectId": project["id"]}
            self._note_start(partition)
            team = self.team(partition)
            # The CDK asks for the partitions of a stream when those of its group that it began with before are done.
            team.leader = team.leader or self
            if team.leader is self:
                yield StreamSlice(partition=partition, cursor_slice={}, extra_fields={"project": project})
            else:
                led.append(team)
        for team in led:
            if team.failure is not None:
                raise team.failure

    def get_stream_state(self) -> None:
        """There is no parent stream whose state is kept."""

    # What the CDK uses: the cursor.

    def bind(self, state_manager: ConnectorStateManager, messages: MessageRepository) -> None:
        """Connect to the state of this run: what was saved, and where checkpoints go.

        What is not understood counts as nothing saved, with a warning: what it stood for is read from the beginning.
        """
        self._output = (state_manager, messages)
        saved = state_manager.get_stream_state(self.name, None) or {}
        entries = saved.get("states")
        if saved and not isinstance(entries, list):
            LOGGER.warning(f"{self.name}: the saved state is not understood; the stream is read from its beginning.")
            return
        # Of its own, because it is said at once: a load from the beginning may take hours.
        left_out = LeftOut()
        for entry in entries or []:
            try:
                partition, cursor = self._parts_of(entry)
                self._positions[_key(partition)] = self.kind.parse(cursor)
            except NotUnderstood:
                before = f"{self.name}: saved positions are not understood; their parts are read from the beginning: "
                left_out.collect(before, str(entry)[:200], "")
        self._began = dict(self._positions)
        left_out.report()
        self._take_up_start(saved.get("start_date"))

    def _parts_of(self, entry: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        partition, position = (entry.get(name) if isinstance(entry, dict) else None for name in ("partition", "cursor"))
        if not isinstance(partition, dict) or not isinstance(position, dict):
            raise NotUnderstood("partition")
        by_project = set(partition) == {"projectId"} and is_id(partition["projectId"])
        if not (by_project if self.by == "project" else partition == {}):
            raise NotUnderstood("partition")
        return partition, position

    @property
    def state(self) -> dict[str, Any]:
        """The positions of all partitions, in the shape of the CDK's per-partition state."""
        states = [{"partition": dict(key), "cursor": position.saved()} for key, position in self._positions.items()]
        return {"states": states, **({"start_date": self.start} if self.start else {})}

    def observe(self, record: Record) -> None:
        """Records do not move the position: the retriever does."""

    def should_be_synced(self, record: Record) -> bool:
        """The retriever leaves out what need not be synced."""
        return True

    def close_partition(self, partition: Partition) -> None:
        """All records of the partition are out: its position counts from now on."""
        self._commit(_key(partition.to_slice() or {}))

    def ensure_at_least_one_state_emitted(self) -> None:
        """Emit the state when the stream ends, whatever happened."""
        self._emit()

    def _commit(self, key: Any) -> None:
        # Workers of a stream emit one after the other, so that an older state never follows a newer one.
        with self._one_at_a_time:
            with self.api_budget.lock:
                if key in self._pending:
                    self._positions[key] = self._pending.pop(key)
                due = time.monotonic() >= self._emit_again
            if due:
                self._emit()

    def _emit(self) -> None:
        # A worker may wait here until the main thread has made room in the queue, and the main thread comes here too,
        # for streams whose workers are done: so nothing that both lock may be held while a message is emitted.
        if self._output is None:
            return
        state_manager, messages = self._output
        with self.api_budget.lock:
            # The state grows with the projects: 100 of them may have a checkpoint every second, 10,000 every 100.
            self._emit_again = time.monotonic() + len(self._positions) / 100
            state_manager.update_state_for_stream(self.name, None, copy.deepcopy(self.state))
            message = state_manager.create_state_message(self.name, None)
        messages.emit_message(message)

    def _take_up_start(self, saved: Any) -> None:
        self.start = saved if isinstance(saved, str) and as_instant(saved) == saved else None
        if self.start and self.start > (as_instant(self.config.get("start_date")) or ""):
            left_out_of(self.api_budget).collect(
                f"What had not changed since the former Start Date, {self.start}, may be missing in: ",
                self.name,
                ". Refresh these streams to read it (backlog-sync: --full-refresh).",
            )

    def _note_start(self, partition: Mapping[str, Any]) -> None:
        start = as_instant(self.config.get("start_date"))
        # What is not read by project may meet a project for the first time in any sync.
        if self.dated and start and (self.by == "space" or _key(partition) not in self._positions):
            self.start = max(self.start or "", start)

    def _report_gone(self, visible: set[Any]) -> None:
        known = {project for key in self._positions if (project := dict(key).get("projectId")) is not None}
        for project in known - visible:
            left_out_of(self.api_budget).collect(
                "Projects no longer visible to the key, or not selected: ",
                f"projects/{project}",
                ". Their rows stay as they are.",
            )


def _key(partition: Mapping[str, Any]) -> Any:
    partition = partition.partition if isinstance(partition, StreamSlice) else partition
    return tuple(sorted(partition.items()))
