"""What Airbyte's Snowflake destination would hold, by the model of its merge, is what the space shows.

Fed by the real output of reads over random histories: in both delete modes, over refreshes of both kinds and syncs that
broke off.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessage, AirbyteStream, AirbyteStreamStatus, SyncMode, Type
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("duckdb")

from integration_tests import snowflake_model
from integration_tests.emulator import Emulator
from integration_tests.histories import FAMILIES, QUIRKS, SETTINGS, TOMBSTONE, Reader, World, messages, quick
from integration_tests.snowflake_model import Table
from integration_tests.test_histories import histories, live, some, tried
from source_backlog import SourceBacklog

pytestmark = pytest.mark.slow

# Files go into object stores.
LOADED = sorted(family for family in FAMILIES if not family.startswith("files"))
OBJECTS = ["issues", "wikis", "documents", "pull_requests"]


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    with quick():
        yield


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(seed=3, projects=1, archived_projects=0, foreign_projects=0, issues=8) as emulator:
        yield emulator


@cache
def discovered(options: tuple[tuple[str, Any], ...]) -> dict[str, AirbyteStream]:
    """The streams by name, of which no space makes others with these options."""
    config = {"domain": "127.0.0.1:9", "credentials": {"auth_type": "api_key", "api_key": "none"}, **dict(options)}
    return {stream.name: stream for stream in SourceBacklog(config=config).discover(None, config).streams}


class IntoSnowflake(Reader):
    """Syncs of some streams through the model of the destination, as Airbyte's platform would run them.

    A refresh lasts until a sync of the stream is complete: assumed, the platform's code was not looked at.
    """

    def __init__(self, emulator: Emulator, streams: Sequence[str], *, hard_delete: bool, **options: Any) -> None:
        super().__init__(emulator, streams, **options)
        found = discovered(tuple(sorted(options.items())))
        self.incremental = {name for name in streams if SyncMode.incremental in found[name].supported_sync_modes}
        self.snowflake = {
            name: Table(
                name,
                found[name].json_schema,
                [path[0] for path in found[name].source_defined_primary_key],
                found[name].default_cursor_field[0] if name in self.incremental else None,
                hard_delete,
            )
            for name in streams
        }
        self.generation = dict.fromkeys(streams, 1)
        self.minimum = dict.fromkeys(streams, 0)

    def refresh(self, streams: Sequence[str], remove: bool = False) -> None:
        """Forget the state; `remove` the records that are there when the new ones have come, or merge with them."""
        super().refresh(streams)
        for name in self.generation.keys() & streams:
            self.generation[name] += 1
            self.minimum[name] = self.generation[name] if remove else 0

    def load(self, output: Sequence[AirbyteMessage]) -> None:
        statuses = [each.trace.stream_status for each in output if each.type == Type.TRACE and each.trace.stream_status]
        complete = {each.stream_descriptor.name for each in statuses if each.status == AirbyteStreamStatus.COMPLETE}
        records = [each.record for each in output if each.type == Type.RECORD]
        for name in self.streams:
            if name not in self.incremental:
                self.refresh([name], remove=True)
            rows = [dict(record.data) for record in records if record.stream == name]
            self.snowflake[name].load(rows, self.generation[name], self.minimum[name], name in complete)
            if name in complete:
                self.minimum[name] = 0
        super().load([each for each in output if each.type == Type.STATE])
        for name, table in self.snowflake.items():
            self.tables[name] = {tuple(row[column] for column in self.key(name)): row for row in table.rows()}

    def key(self, name: str) -> list[str]:
        columns = {column.upper(): column for column in self.snowflake[name].columns}
        return [columns[column] for column in self.snowflake[name].key]


@tried(40)
@given(
    seed=st.integers(0, 5),
    readings=some(SETTINGS),
    quirks=some(QUIRKS),
    modes=st.sampled_from([("deletions_stream", False), ("tombstones", False), ("tombstones", True)]),
    history=st.sampled_from(LOADED).flatmap(histories),
    refreshes=st.lists(st.sampled_from([None, None, "keep", "remove"]), min_size=4, max_size=4),
)
def test_the_tables_equal_the_space(
    seed: int,
    readings: dict[str, Any],
    quirks: dict[str, Any],
    modes: tuple[str, bool],
    history: tuple[str, list[Any]],
    refreshes: list[str | None],
) -> None:
    family, syncs = history
    deleted_records, hard_delete = modes
    world = World(seed, quirks)
    with Emulator(space=world.space, settings=readings) as emulator:
        reader = IntoSnowflake(emulator, FAMILIES[family], hard_delete=hard_delete, deleted_records=deleted_records)
        for sync, refresh in zip(syncs, refreshes, strict=False):
            if refresh:
                reader.refresh(reader.streams, remove=refresh == "remove")
            live(reader, world, [sync])
        world.show()
        world.space.advance(1)
        reader.select(None)
        reader.sync()
        assert reader.differences(world) == []


@pytest.mark.parametrize("hard_delete", [True, False], ids=["hard", "soft"])
@pytest.mark.parametrize("refresh", [None, "keep", "remove"])
def test_what_is_deleted_goes_and_what_comes_back_is_there(
    emulator: Emulator, refresh: str | None, hard_delete: bool
) -> None:
    space = emulator.space
    reader = IntoSnowflake(emulator, OBJECTS, hard_delete=hard_delete, deleted_records="tombstones")
    reader.sync()
    project = next(iter(space.projects.values()))
    # Made and deleted between two syncs: a tombstone of what the table never had.
    space.delete_issue(space.create_issue(project, "short-lived"))
    space.delete_issue(project.issues[0])
    space.delete_wiki(next(iter(project.wikis.values())))
    space.delete_pull_request(next(iter(space.pull_requests.values())))
    gone, back = [each for each in project.documents.values() if each.status_id == 1][:2]
    space.trash_document(gone)
    space.trash_document(back)
    if refresh == "keep":
        # What such a refresh keeps, nobody takes away later: the deletions must have been told before it.
        reader.sync()
    if refresh:
        reader.refresh(OBJECTS, remove=refresh == "remove")
    reader.sync(0.5)
    reader.sync()
    space.advance(5)
    space.restore_document(back)
    reader.sync(0.7)
    reader.sync()
    for name in OBJECTS:
        table = reader.snowflake[name]
        rows = {row["id"]: row for row in table.rows()}
        deleted = {key: row for key, row in rows.items() if TOMBSTONE in row}
        assert rows.keys() - deleted.keys() == {row["id"] for row in emulator.truth(name)}, name
        # In soft mode they stay as tombstones, unless the old records were removed.
        assert bool(deleted) == (not hard_delete and refresh != "remove"), name


def test_names_are_upper_case_and_types_are_snowflakes(emulator: Emulator) -> None:
    table = IntoSnowflake(emulator, ["issues"], hard_delete=False).snowflake["issues"]
    described = {name: kind for name, kind, *_ in table.database.execute("DESCRIBE ISSUES").fetchall()}
    assert all(name == name.upper() for name in described)
    assert described["ID"] == "DECIMAL(38,0)"
    assert described["UPDATED"] == "TIMESTAMP WITH TIME ZONE"
    assert described["ESTIMATEDHOURS"] == "DOUBLE"
    assert described["CUSTOMFIELDS"] == "JSON"


def test_what_is_too_large_for_a_column_is_nulled_alone(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    project = next(iter(emulator.space.projects.values()))
    emulator.space.create_wiki(project, "large", content="x" * (snowflake_model.VARCHAR_LIMIT + 1))
    issue = emulator.space.create_issue(project, "many files")
    for number in range(20):
        emulator.space.attach_file(issue, f"{number}.txt")
    monkeypatch.setattr(snowflake_model, "VARIANT_LIMIT", 2_000)
    reader = IntoSnowflake(emulator, ["issues", "wikis"], hard_delete=False)
    reader.sync()
    large = next(row for row in reader.snowflake["wikis"].rows() if row["name"] == "large")
    assert "content" not in large
    assert reader.snowflake["wikis"].changes() == [["content"]]
    many = next(row for row in reader.snowflake["issues"].rows() if row["summary"] == "many files")
    assert "attachments" not in many
    assert ["attachments"] in reader.snowflake["issues"].changes()


def test_a_tombstone_is_not_lost_wherever_a_sync_breaks_off(emulator: Emulator) -> None:
    """With a checkpoint after every object: none may have passed the deletion before the tombstone is out."""
    streams, space = ["wikis", "pull_requests"], emulator.space
    reader = IntoSnowflake(emulator, streams, hard_delete=True, deleted_records="tombstones")
    reader.sync()
    pages, requests = list(space.wikis.values()), list(space.pull_requests.values())
    space.delete_wiki(pages[0])
    space.delete_pull_request(requests[0])
    space.advance(60)
    space.update_wiki(pages[1], content="changed")
    space.update_pull_request(requests[1], summary="changed")
    output = messages(emulator, streams, list(reader.state.values()), deleted_records="tombstones")
    before_tombstone = itertools.takewhile(lambda each: not (each.record and TOMBSTONE in each.record.data), output)
    assert any(each.type == Type.STATE for each in before_tombstone), "the place is saved on the way, too"
    for arrived in range(len(output) + 1):
        state = dict(reader.state)
        for message in output[:arrived]:
            if message.type == Type.STATE:
                state[message.state.stream.stream_descriptor.name] = message.state
        again = messages(emulator, streams, list(state.values()), deleted_records="tombstones")
        records = [each.record for each in output[:arrived] + again if each.type == Type.RECORD]
        deleted = {(each.stream, each.data["id"]) for each in records if TOMBSTONE in each.data}
        assert deleted == {("wikis", pages[0].id), ("pull_requests", requests[0].id)}, arrived
