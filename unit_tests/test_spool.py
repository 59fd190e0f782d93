"""Rows on their way into tables: types, values that do not fit, characters that no database takes, one row per key."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("dlt", reason="dlt is not installed")

from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteMessageSerializer,
    AirbyteStream,
    SyncMode,
)

from source_backlog.dlt import Reading, Spool, Table

PROPERTIES: dict[str, Any] = {
    "id": {"type": "integer"},
    "name": {"type": ["null", "string"]},
    "hours": {"type": ["null", "number"]},
    "count": {"type": ["null", "integer"]},
    "isOpen": {"type": ["null", "boolean"]},
    "updated": {"type": ["null", "string"], "format": "date-time"},
    "dueDate": {"type": ["null", "string"], "format": "date"},
    "status": {"type": ["null", "object"]},
    "_ab_cdc_deleted_at": {"type": ["null", "string"], "format": "date-time"},
}


def table(name: str = "issues", *modes: SyncMode, afresh: bool = False) -> Table:
    return Table(
        AirbyteStream(
            name=name,
            json_schema={"properties": PROPERTIES},
            supported_sync_modes=[SyncMode.full_refresh, *modes],
            source_defined_primary_key=[["id"]],
        ),
        afresh,
    )


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(table(), tmp_path)


def held(spool: Spool) -> list[dict[str, Any]]:
    return [row for rows in spool.rows() for row in rows]


def test_values_come_out_as_they_went_in(spool: Spool) -> None:
    spool.add(
        {
            "id": 1,
            "name": "007",
            "hours": 9876543210.12,
            "count": 2**63 - 1,
            "isOpen": False,
            "updated": "0999-01-31T09:00:00Z",
            "dueDate": "9999-12-31",
            "status": {"id": 0, "name": "未対応"},
        },
        emitted_at=1_767_225_600_000,
    )
    (row,) = held(spool)
    assert len(row.pop("_airbyte_raw_id")) == 32
    assert row == {
        "id": 1,
        "name": "007",
        "hours": Decimal("9876543210.12"),
        "count": 2**63 - 1,
        "isopen": False,
        "updated": datetime(999, 1, 31, 9),
        "duedate": date(9999, 12, 31),
        "status": {"id": 0, "name": "未対応"},
        "_ab_cdc_deleted_at": None,
        "_airbyte_extracted_at": datetime(2026, 1, 1),
    }


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("count", 2**63),
        ("count", 1.8446744073709552e19),
        ("count", 1.5),
        ("count", True),
        ("count", "many"),
        ("hours", 1e30),
        ("hours", float("nan")),
        ("hours", "7"),
        ("isOpen", 1),
        ("updated", "10000-01-01T00:00:00Z"),
        ("dueDate", ""),
    ],
)
def test_a_value_that_does_not_fit_is_named_and_left_out(
    spool: Spool, caplog: pytest.LogCaptureFixture, column: str, value: Any
) -> None:
    with caplog.at_level(logging.WARNING, "airbyte.source_backlog"):
        spool.add({"id": 7, "name": "stays", column: value}, 0)
        spool.add({"id": 8, "name": "stays", column: value}, 0)
    assert [(row["id"], row["name"], row[column.lower()]) for row in held(spool)] == [
        (7, "stays", None),
        (8, "stays", None),
    ]
    (record,) = caplog.records
    assert record.message.startswith(f"issues: {column} of id 7 is no value of its type. The row arrives without it.")


def test_characters_that_no_database_takes_are_replaced(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "airbyte.source_backlog"):
        spool.add({"id": 1, "name": "zero \x00", "status": {"name\x00": ["cut \ud83c"]}}, 0)
        spool.add({"id": 2, "name": "zero \x00 again"}, 0)
        spool.add({"id": 3, "name": "the six characters \\u0000"}, 0)
    rows = held(spool)
    assert [row["name"] for row in rows] == ["zero \ufffd", "zero \ufffd again", "the six characters \\u0000"]
    assert rows[0]["status"] == {"name\ufffd": ["cut \ufffd"]}
    assert [record.message.split(" of ")[0] for record in caplog.records] == ["issues: name", "issues: status"]


def test_a_key_comes_once_as_it_came_last(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_backlog.dlt.ROWS", 2)
    for number, name in ((1, "a"), (2, "b"), (1, "c"), (3, "d"), (1, "e")):
        spool.add({"id": number, "name": name}, 0)
    assert {row["id"]: row["name"] for row in held(spool)} == {1: "e", 2: "b", 3: "d"}
    assert sum(part.num_rows for part in spool.tables()) == 3


def test_rows_that_are_there_already_can_be_left_out(spool: Spool, tmp_path: Path) -> None:
    before = Spool(table(), tmp_path)
    before.add({"id": 1, "name": "a"}, 0)
    spool.add({"name": "a", "id": 1}, 5)
    spool.add({"id": 2, "name": "b"}, 5)
    assert spool.leave_out(set(before.ids.values())) == 1
    assert [row["id"] for row in held(spool)] == [2]


class Connector:
    """Gives the messages of a read."""

    def __init__(self, messages: list[AirbyteMessage]) -> None:
        self.messages = messages

    def read(self, streams: Any, states: Any) -> Iterator[AirbyteMessage]:
        yield from self.messages


def record(name: str, number: int) -> AirbyteMessage:
    return message({"type": "RECORD", "record": {"stream": name, "data": {"id": number}, "emitted_at": 0}})


def state(name: str, position: int) -> AirbyteMessage:
    described = {"stream_descriptor": {"name": name}, "stream_state": {"position": position}}
    return message({"type": "STATE", "state": {"type": "STREAM", "stream": described}})


def complete(name: str) -> AirbyteMessage:
    status = {"stream_descriptor": {"name": name}, "status": "COMPLETE"}
    return message({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": status}})


def message(content: dict[str, Any]) -> AirbyteMessage:
    return AirbyteMessageSerializer.load(content)


def batches(
    tmp_path: Path, messages: list[AirbyteMessage], seconds: float = -1, afresh: bool = False
) -> list[tuple[dict[str, list[int]], dict[str, Any]]]:
    """Ids by stream, and states, batch by batch."""
    tables = [table("issues", SyncMode.incremental, afresh=afresh), table("members")]
    reading = Reading(Connector(messages), tables, {}, tmp_path)  # type: ignore[arg-type]
    return [
        ({name: [row["id"] for row in held(spool)] for name, spool in batch.spools.items()}, batch.states)
        for batch in reading.batches(seconds)
    ]


def test_rows_and_state_come_together_while_the_read_goes_on(tmp_path: Path) -> None:
    first, second = batches(
        tmp_path,
        [
            record("issues", 1),
            record("members", 1),
            state("issues", 1),
            record("issues", 2),
            complete("issues"),
            record("members", 2),
            complete("members"),
        ],
    )
    assert first == ({"issues": [1]}, {"issues": {"position": 1}})
    assert second == ({"issues": [2], "members": [1, 2]}, {})


def test_what_is_replaced_comes_whole_even_with_nothing_or_not_at_all(tmp_path: Path) -> None:
    assert batches(tmp_path, [complete("members")]) == [({"members": []}, {})]
    assert batches(tmp_path, [record("members", 1), record("issues", 7), state("issues", 7)], seconds=60) == [
        ({"issues": [7]}, {"issues": {"position": 7}})
    ]


def test_a_full_refresh_brings_state_and_rows_when_a_stream_was_read_to_its_end(tmp_path: Path) -> None:
    messages = [record("issues", 1), state("issues", 1), record("issues", 2), state("issues", 2)]
    assert [found for found in batches(tmp_path, messages, afresh=True) if found != ({}, {})] == []
    assert batches(tmp_path, [*messages, complete("issues")], afresh=True)[-1] == (
        {"issues": [1, 2]},
        {"issues": {"position": 2}},
    )
