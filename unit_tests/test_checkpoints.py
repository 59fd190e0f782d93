"""`Checkpoints`: which partitions a stream has, how far each has come, and what the state looks like."""

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from typing import Any

import orjson
import pytest
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteMessageSerializer,
    AirbyteStateMessage,
    AirbyteStateMessageSerializer,
)
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.message import InMemoryMessageRepository
from airbyte_cdk.sources.types import Record, StreamSlice
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.changes import checkpoints as module
from source_backlog.changes.checkpoints import Checkpoints
from source_backlog.changes.position import ActivitiesPosition, DeletionsPosition, ObjectsPosition, Position, Resume
from source_backlog.left_out import left_out_of
from source_backlog.space import Space

# The state that version 0.1.0 saved. A later version has to go on from it: connections hold it for years.
STATE_OF_0_1_0 = {
    "states": [
        {"partition": {"projectId": 1}, "cursor": {"updated": "2026-01-31T09:00:00Z", "activity": 7}},
        {
            "partition": {"projectId": 2},
            "cursor": {
                "updated": "2026-01-30T09:00:00Z",
                "activity": 5,
                "resume": {"updated": "2026-01-31T08:00:00Z", "activity": 7, "after": "2025-06-01T00:00:00Z"},
            },
        },
    ]
}
STATE_OF_A_WHOLE_SPACE_0_1_0 = {"states": [{"partition": {}, "cursor": {"activity": 7, "projects": [1, 2]}}]}

WEB = {"id": 1, "projectKey": "WEB", "useWiki": True}
APP = {"id": 2, "projectKey": "APP", "useWiki": False}
OLD = {"id": 3, "projectKey": "OLD"}


class Partition:
    """What the CDK hands over when all records of a partition are out."""

    def __init__(self, stream_slice: StreamSlice | None) -> None:
        self._slice = stream_slice

    def to_slice(self) -> StreamSlice | None:
        return self._slice


class Run:
    """One sync of one stream: its checkpoints, bound to the state of the sync before."""

    def __init__(
        self, config: Any, requester: Any, space: Space, saved: Any, kind: type[Position], **options: Any
    ) -> None:
        options = {"name": "issues", "cursor_field": "updated", **options}
        self.cursor = Checkpoints(config, {}, requester, space, **options)
        self.cursor.kind = kind
        self.messages = InMemoryMessageRepository()
        state = [] if saved is None else [state_message(options["name"], saved)]
        self.cursor.bind(ConnectorStateManager(state), self.messages)

    def emitted(self) -> list[Any]:
        """The states that were emitted since the last call, as Airbyte gets them."""
        return [emitted_state(message) for message in self.messages.consume_queue()]

    def slices(self) -> list[StreamSlice]:
        return list(self.cursor.stream_slices())


def state_message(name: str, state: Any) -> AirbyteStateMessage:
    return AirbyteStateMessageSerializer.load(
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": state}}
    )


def emitted_state(message: AirbyteMessage) -> Any:
    dumped = orjson.loads(orjson.dumps(AirbyteMessageSerializer.dump(message)))
    assert dumped["state"]["stream"]["stream_descriptor"]["name"]
    return dumped["state"]["stream"]["stream_state"]


@pytest.fixture
def run(config: Any, space: Space, fake: Callable[..., Any]) -> Callable[..., Run]:
    """`run(saved, kind, projects=[…])`: a sync that goes on from a saved state."""

    def make(
        saved: Any = None,
        kind: type[Position] = ObjectsPosition,
        projects: list[Any] | None = None,
        **options: Any,
    ) -> Run:
        space.memory.clear()
        requester = fake({"projects": [WEB, APP] if projects is None else projects})
        return Run(config, requester, space, saved, kind, **options)

    return make


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def of(project_id: int) -> StreamSlice:
    return StreamSlice(partition={"projectId": project_id}, cursor_slice={})


def test_the_state_of_0_1_0_is_written_as_it_was(run: Callable[..., Run]) -> None:
    sync = run()
    for entry in STATE_OF_0_1_0["states"]:
        stream_slice = StreamSlice(partition=entry["partition"], cursor_slice={})
        sync.cursor.advance(stream_slice, ObjectsPosition.parse(entry["cursor"]))
        sync.cursor.close_partition(Partition(stream_slice))  # type: ignore[arg-type]
    sync.cursor.ensure_at_least_one_state_emitted()
    assert sync.emitted()[-1] == STATE_OF_0_1_0


def test_the_state_of_0_1_0_is_read(run: Callable[..., Run]) -> None:
    sync = run(STATE_OF_0_1_0)
    for entry in STATE_OF_0_1_0["states"]:
        position = sync.cursor.position(StreamSlice(partition=entry["partition"], cursor_slice={}))
        assert position.saved() == entry["cursor"]
    sync.cursor.ensure_at_least_one_state_emitted()
    assert sync.emitted() == [STATE_OF_0_1_0], "a sync that reads nothing keeps the state"


def test_the_state_of_a_whole_space_of_0_1_0_is_read_and_written(run: Callable[..., Run]) -> None:
    sync = run(STATE_OF_A_WHOLE_SPACE_0_1_0, ActivitiesPosition, by="space", name="activities")
    (everything,) = sync.slices()
    assert everything.partition == {}
    assert sync.cursor.position(everything).saved() == {"activity": 7, "projects": [1, 2]}
    sync.cursor.ensure_at_least_one_state_emitted()
    assert sync.emitted() == [STATE_OF_A_WHOLE_SPACE_0_1_0]


@pytest.mark.parametrize("saved", [None, {}, {"states": None}, {"states": []}])
def test_without_a_state_every_project_starts_at_its_beginning(run: Callable[..., Run], saved: Any) -> None:
    sync = run(saved)
    assert [sync.cursor.position(one) for one in sync.slices()] == [ObjectsPosition(), ObjectsPosition()]


def test_a_new_project_starts_at_its_beginning_and_not_where_the_others_are(run: Callable[..., Run]) -> None:
    sync = run({"states": STATE_OF_0_1_0["states"][:1]})
    old, new = sync.slices()
    assert sync.cursor.position(old).saved() == STATE_OF_0_1_0["states"][0]["cursor"]
    assert sync.cursor.position(new).saved() == {}


FEBRUARY, MARCH = "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"


def dated(run: Callable[..., Run], start: str | None, saved: Any = None, **options: Any) -> Run:
    """A sync, with a start date, of a stream that knows it; all its projects are begun."""
    sync = run(**options)
    sync.cursor.dated = True
    sync.cursor.config = {**sync.cursor.config, "start_date": start} if start else sync.cursor.config
    sync.cursor.bind(ConnectorStateManager([] if saved is None else [state_message("issues", saved)]), sync.messages)
    sync.slices()
    sync.cursor.ensure_at_least_one_state_emitted()
    return sync


def test_the_start_date_of_a_first_sync_is_saved(run: Callable[..., Run]) -> None:
    assert dated(run, MARCH).emitted()[-1] == {"states": [], "start_date": MARCH}
    assert dated(run, None).emitted()[-1] == {"states": []}
    assert dated(run, "2026-03-01T09:00:00+09:00").cursor.start == MARCH


def test_a_start_date_that_came_later_has_left_nothing_out(run: Callable[..., Run]) -> None:
    assert dated(run, MARCH, STATE_OF_0_1_0).emitted()[-1] == STATE_OF_0_1_0


def test_of_several_start_dates_the_latest_with_which_a_project_was_begun_is_kept(run: Callable[..., Run]) -> None:
    known = {"states": STATE_OF_0_1_0["states"][:1], "start_date": FEBRUARY}
    assert dated(run, MARCH, known).cursor.start == MARCH, "a project is new"
    assert dated(run, MARCH, {**STATE_OF_0_1_0, "start_date": FEBRUARY}).cursor.start == FEBRUARY
    assert dated(run, FEBRUARY, {**STATE_OF_0_1_0, "start_date": MARCH}).cursor.start == MARCH


def test_a_stream_of_the_space_may_meet_a_new_project_in_any_sync(run: Callable[..., Run]) -> None:
    sync = dated(run, MARCH, STATE_OF_A_WHOLE_SPACE_0_1_0, kind=ActivitiesPosition, by="space")
    assert sync.cursor.start == MARCH


@pytest.mark.parametrize("start", [FEBRUARY, None])
def test_what_an_earlier_start_date_has_left_out_is_said(
    run: Callable[..., Run], space: Space, caplog: pytest.LogCaptureFixture, start: str | None
) -> None:
    sync = dated(run, start, {**STATE_OF_0_1_0, "start_date": MARCH})
    left_out_of(space).report()
    assert caplog.messages == [
        f"What had not changed since the former Start Date, {MARCH}, may be missing in: issues. "
        "Refresh these streams to read it (backlog-sync: --full-refresh)."
    ]
    assert sync.emitted()[-1] == {**STATE_OF_0_1_0, "start_date": MARCH}, "it is said until the stream is refreshed"


@pytest.mark.parametrize("saved", [FEBRUARY, "", "soon", 5, None, {}])
def test_nothing_is_said_where_no_later_start_date_was(
    run: Callable[..., Run], space: Space, caplog: pytest.LogCaptureFixture, saved: Any
) -> None:
    dated(run, MARCH, {**STATE_OF_0_1_0, "start_date": saved})
    left_out_of(space).report()
    assert caplog.messages == []


def test_each_project_is_a_slice_that_carries_the_project(run: Callable[..., Run]) -> None:
    slices = run().slices()
    assert [one.partition for one in slices] == [{"projectId": 1}, {"projectId": 2}]
    assert [one.extra_fields["project"] for one in slices] == [WEB, APP]
    assert [one.cursor_slice for one in slices] == [{}, {}]


def test_the_projects_are_requested_once_for_all_streams(run: Callable[..., Run], config: Any, space: Space) -> None:
    first = run()
    first.slices()
    second = Checkpoints(config, {}, first.cursor.requester, space, name="wikis", cursor_field="updated")
    list(second.stream_slices())
    assert first.cursor.requester.calls == [("projects", {})]  # type: ignore[attr-defined]


def test_a_project_with_the_feature_switched_off_is_left_out(run: Callable[..., Run]) -> None:
    sync = run(projects=[WEB, APP, OLD], feature="useWiki")
    assert [one.partition["projectId"] for one in sync.slices()] == [1, 3], "OLD does not name the flag at all"


@pytest.mark.parametrize("flag", [None, True, 1])
def test_only_false_switches_a_feature_off(run: Callable[..., Run], flag: Any) -> None:
    assert len(run(projects=[{**WEB, "useGit": flag}], feature="useGit").slices()) == 1


def test_a_project_without_the_feature_keeps_its_place(
    run: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    sync = run(STATE_OF_0_1_0, feature="useWiki")
    sync.slices()
    sync.cursor.ensure_at_least_one_state_emitted()
    assert sync.emitted() == [STATE_OF_0_1_0]
    assert caplog.records == []


def test_a_project_that_is_gone_is_reported_and_its_place_is_kept(
    run: Callable[..., Run], space: Space, caplog: pytest.LogCaptureFixture
) -> None:
    sync = run(STATE_OF_0_1_0, projects=[WEB])
    assert [one.partition["projectId"] for one in sync.slices()] == [1]
    assert [one.partition["projectId"] for one in sync.slices()] == [1], "as another stream does"
    left_out_of(space).report()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "Projects no longer visible to the key, or not selected: 2. Their rows stay as they are."
    )
    sync.cursor.ensure_at_least_one_state_emitted()
    assert sync.emitted() == [STATE_OF_0_1_0]


def test_a_position_counts_when_the_partition_closes_and_not_before(run: Callable[..., Run]) -> None:
    sync = run(STATE_OF_0_1_0)
    sync.cursor.advance(of(1), ObjectsPosition(updated="2026-02-01T00:00:00Z"))
    sync.cursor.close_partition(Partition(of(2)))  # type: ignore[arg-type]
    assert sync.emitted() == [STATE_OF_0_1_0], "nothing was said of project 2, and project 1 is still open"
    sync.cursor.close_partition(Partition(of(1)))  # type: ignore[arg-type]
    assert sync.cursor.position(of(1)) == ObjectsPosition(updated="2026-02-01T00:00:00Z")


def test_a_partition_that_failed_keeps_its_old_place(run: Callable[..., Run]) -> None:
    """The CDK closes only partitions that were read whole; the state at the end must not tell otherwise."""
    sync = run(STATE_OF_0_1_0)
    sync.cursor.advance(of(1), ObjectsPosition(updated="2026-02-01T00:00:00Z"))
    sync.cursor.ensure_at_least_one_state_emitted()
    assert sync.emitted() == [STATE_OF_0_1_0]


def test_a_checkpoint_counts_at_once(run: Callable[..., Run]) -> None:
    sync = run()
    sync.cursor.advance(of(1), ObjectsPosition(resume=Resume(after="2026-01-01T00:00:00Z")))
    sync.cursor.checkpoint(of(1))
    assert sync.emitted() == [
        {"states": [{"partition": {"projectId": 1}, "cursor": {"resume": {"after": "2026-01-01T00:00:00Z"}}}]}
    ]


def test_records_do_not_move_the_position(run: Callable[..., Run]) -> None:
    sync = run(STATE_OF_0_1_0)
    record = Record({"id": 1, "updated": "2030-01-01T00:00:00Z"}, "issues", of(1))
    sync.cursor.observe(record)
    assert sync.cursor.should_be_synced(record)
    sync.cursor.close_partition(Partition(of(1)))  # type: ignore[arg-type]
    assert sync.cursor.state == STATE_OF_0_1_0


def test_a_position_that_a_retriever_edits_is_its_own_copy(run: Callable[..., Run]) -> None:
    sync = run(STATE_OF_0_1_0)
    position: Any = sync.cursor.position(of(2))
    with pytest.raises(FrozenInstanceError):
        position.updated = "edited"
    position.saved()["resume"]["after"] = "edited"
    assert sync.cursor.state == STATE_OF_0_1_0


def test_a_state_that_was_emitted_does_not_change_any_more(run: Callable[..., Run]) -> None:
    sync = run(by="space")
    known: dict[str, Any] = {"projects": {"1": "WEB"}}
    sync.cursor.advance(StreamSlice(partition={}, cursor_slice={}), DeletionsPosition(known=known))
    sync.cursor.checkpoint(StreamSlice(partition={}, cursor_slice={}))
    known["projects"]["2"] = "APP"
    assert sync.emitted() == [{"states": [{"partition": {}, "cursor": {"known": {"projects": {"1": "WEB"}}}}]}]


def test_ten_thousand_projects_and_more_all_keep_their_place(run: Callable[..., Run], monotonic: list[float]) -> None:
    """The CDK's own cursor drops what is above ten thousand."""
    many = 12_000
    projects = [{"id": number, "projectKey": f"P{number}"} for number in range(many)]
    sync = run(projects=projects)
    for stream_slice in sync.slices():
        sync.cursor.advance(stream_slice, ObjectsPosition(updated="2026-01-31T09:00:00Z"))
        sync.cursor.close_partition(Partition(stream_slice))  # type: ignore[arg-type]
    sync.cursor.ensure_at_least_one_state_emitted()
    states = sync.emitted()
    assert len(states) == 2, "the one of the first partition and the one of the end: a large state is not repeated"
    assert len(states[-1]["states"]) == many
    again = run(states[-1], projects=projects)
    assert all(again.cursor.position(one) for one in again.slices())


def test_a_small_state_is_emitted_after_every_partition_of_a_second(
    run: Callable[..., Run], monotonic: list[float]
) -> None:
    sync = run()
    for number in range(5):
        sync.cursor.advance(of(number), ObjectsPosition(activity=1))
        sync.cursor.close_partition(Partition(of(number)))  # type: ignore[arg-type]
        monotonic[0] += 1
        assert len(sync.emitted()) == 1


def test_the_larger_the_state_the_rarer_it_is_emitted(run: Callable[..., Run], monotonic: list[float]) -> None:
    cursor = {"updated": "2026-01-31T09:00:00Z"}
    saved = {"states": [{"partition": {"projectId": number}, "cursor": cursor} for number in range(1000)]}
    sync = run(saved)
    emitted = []
    for _ in range(30):
        sync.cursor.close_partition(Partition(of(1)))  # type: ignore[arg-type]
        emitted.append(len(sync.emitted()))
        monotonic[0] += 1
    assert emitted == ([1] + [0] * 9) * 3, "a thousand partitions: every ten seconds"


def test_the_last_state_is_emitted_whatever_came_before(run: Callable[..., Run], monotonic: list[float]) -> None:
    sync = run(STATE_OF_0_1_0)
    sync.cursor.close_partition(Partition(of(1)))  # type: ignore[arg-type]
    sync.cursor.advance(of(1), ObjectsPosition(activity=99))
    sync.cursor.close_partition(Partition(of(1)))  # type: ignore[arg-type]
    sync.emitted()
    sync.cursor.ensure_at_least_one_state_emitted()
    assert sync.emitted()[0]["states"][0]["cursor"] == {"activity": 99}


def test_a_stream_without_a_cursor_only_partitions(config: Any, space: Space, fake: Callable[..., Any]) -> None:
    Checkpoints(config, {}, fake({"projects": [WEB]}), space, name="statuses")
    assert "statuses" not in space.cursors
    cursor = Checkpoints(config, {}, fake({}), space, name="issues", cursor_field="updated")
    assert space.cursors == {"issues": cursor}


@pytest.mark.parametrize(
    ("wanted", "archived", "chosen"),
    [
        ([], True, [1, 2, 3]),
        (None, True, [1, 2, 3]),
        (["WEB"], True, [1]),
        (["web", " 3 "], True, [1, 3]),
        ([2, "WEB"], True, [1, 2]),
        (["", "  "], True, [1, 2, 3]),
        ([], False, [1, 2]),
        (["OLD", "WEB"], False, [1]),
    ],
)
def test_the_options_select_the_projects(
    run: Callable[..., Run], config: Any, wanted: Any, archived: bool, chosen: list[int]
) -> None:
    config |= {"projects": wanted, "include_archived_projects": archived}
    projects = [WEB, {**APP, "archived": False}, {**OLD, "archived": True}]
    assert [one.partition["projectId"] for one in run(projects=projects).slices()] == chosen


def test_a_project_key_that_is_also_an_id_selects_both(run: Callable[..., Run], config: Any) -> None:
    config["projects"] = ["2"]
    slices = run(projects=[WEB, APP, {"id": 9, "projectKey": "2"}]).slices()
    assert [one.partition["projectId"] for one in slices] == [2, 9]


def test_a_name_that_matches_nothing_is_reported_with_what_is_visible(
    run: Callable[..., Run], config: Any, caplog: pytest.LogCaptureFixture
) -> None:
    config["projects"] = ["WEB", "NOPE"]
    assert len(run().slices()) == 1
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "what the key cannot see: NOPE. Visible project keys: APP, WEB." in record.getMessage()


def test_when_no_name_matches_the_sync_stops(run: Callable[..., Run], config: Any) -> None:
    config["projects"] = ["NOPE", "NADA"]
    with pytest.raises(AirbyteTracedException) as raised:
        run().slices()
    assert raised.value.failure_type.value == "config_error"  # type: ignore[union-attr]
    assert "NOPE, NADA" in (raised.value.message or "")
    assert "APP, WEB" in (raised.value.message or "")


def test_the_state_is_json(run: Callable[..., Run]) -> None:
    sync = run(STATE_OF_0_1_0)
    assert json.loads(json.dumps(sync.cursor.state)) == STATE_OF_0_1_0


def test_a_stream_can_end_while_another_one_waits_for_room_in_the_queue(
    config: Any, space: Space, fake: Callable[..., Any]
) -> None:
    """A worker waits until the main thread has taken something from the queue; the main thread must not wait for it."""
    waiting, room = threading.Event(), threading.Event()

    class FullQueue(InMemoryMessageRepository):
        def emit_message(self, message: AirbyteMessage) -> None:
            waiting.set()
            assert room.wait(10), "the main thread has not come back to the queue"
            super().emit_message(message)

    reading = Run(config, fake({}), space, None, ObjectsPosition)
    reading.messages = FullQueue()
    reading.cursor.bind(ConnectorStateManager([]), reading.messages)
    ended = Run(config, fake({}), space, None, ObjectsPosition, name="wikis")
    with ThreadPoolExecutor(2) as pool:
        worker = pool.submit(reading.cursor.close_partition, Partition(of(1)))  # type: ignore[arg-type]
        assert waiting.wait(5)
        main = pool.submit(ended.cursor.ensure_at_least_one_state_emitted)
        try:
            main.result(5)
        finally:
            room.set()
        worker.result(5)
    assert ended.emitted() and reading.emitted()
