"""What the loading module mends in PyAirbyte, message by message, in a DuckDB file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.warehouse import needs
from source_backlog.sync.progress import Progress

needs("airbyte", "PyAirbyte (the extra `warehouse`) is not installed")

from airbyte_protocol.models import AirbyteMessage, ConfiguredAirbyteCatalog  # noqa: E402

# PyAirbyte is imported where it is used: it takes seconds, and each worker of pytest imports this file.

PROPERTIES = {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}}


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Any]:
    from source_backlog.sync import loading

    made = loading.BacklogDuckDB(
        db_path=str(tmp_path / "test.duckdb"), schema_name="main", cache_dir=tmp_path / "files"
    )
    made.bind(Progress())
    yield made
    made.close()


def stream(name: str, *modes: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": PROPERTIES}
    return {
        "stream": {"name": name, "json_schema": schema, "supported_sync_modes": list(modes)},
        "sync_mode": "incremental",
        "destination_sync_mode": "append_dedup",
        "primary_key": [["id"]],
        "cursor_field": ["id"],
    }


def record(name: str, identity: int, text: str | None = None) -> AirbyteMessage:
    data = {"id": identity, "name": text}
    emitted = int(time.time() * 1000)
    return message({"type": "RECORD", "record": {"stream": name, "data": data, "emitted_at": emitted}})


def state(name: str, position: int) -> AirbyteMessage:
    described = {"stream_descriptor": {"name": name}, "stream_state": {"position": position}}
    return message({"type": "STATE", "state": {"type": "STREAM", "stream": described}})


def complete(name: str) -> AirbyteMessage:
    status = {"stream_descriptor": {"name": name}, "status": "COMPLETE"}
    return message({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": status}})


def message(content: dict[str, Any]) -> AirbyteMessage:
    return AirbyteMessage.model_validate_json(json.dumps(content))


def write(cache: Any, messages: Iterator[AirbyteMessage] | list[AirbyteMessage]) -> None:
    from airbyte.progress import ProgressTracker
    from airbyte.shared.catalog_providers import CatalogProvider
    from airbyte.strategies import WriteStrategy

    streams = [stream("issues", "full_refresh", "incremental"), stream("members", "full_refresh")]
    catalog = CatalogProvider(ConfiguredAirbyteCatalog.model_validate({"streams": streams}))
    cache._write_airbyte_message_stream(
        messages,
        catalog_provider=catalog,
        write_strategy=WriteStrategy.AUTO,
        state_writer=cache.get_state_writer("source-backlog"),
        progress_tracker=ProgressTracker(source=None, cache=cache, destination=None),
    )


def held(cache: Any, table: str) -> dict[int, str | None]:
    rows = cache.run_sql_query(f"SELECT id, name FROM {table}")
    found = {row["id"]: row["name"] for row in rows}
    assert len(found) == len(rows), "a key stands there twice"
    return found


def saved(cache: Any) -> dict[str, Any]:
    messages = cache.get_state_provider("source-backlog").state_message_artifacts
    return {each.stream.stream_descriptor.name: each.stream.stream_state.model_dump() for each in messages}


def test_a_key_that_comes_twice_stands_there_once_as_it_came_last(cache: Any) -> None:
    write(
        cache,
        [
            record("issues", 1, "a"),
            record("issues", 2, "b"),
            record("issues", 1, "c"),
            complete("issues"),
            complete("members"),
        ],
    )
    assert held(cache, "issues") == {1: "c", 2: "b"}


def test_what_is_read_whole_replaces_its_table_even_with_nothing(cache: Any) -> None:
    write(
        cache,
        [record("members", 1), record("members", 2), record("issues", 1), complete("issues"), complete("members")],
    )
    write(cache, [record("members", 2), record("issues", 2), complete("issues"), complete("members")])
    assert (set(held(cache, "members")), set(held(cache, "issues"))) == ({2}, {1, 2})
    write(cache, [complete("issues"), complete("members")])
    assert (set(held(cache, "members")), set(held(cache, "issues"))) == (set(), {1, 2})


def test_rows_and_state_are_written_while_the_sync_runs(cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_backlog.sync.loading.CHECKPOINT_SECONDS", 0)
    seen = []

    def messages() -> Iterator[AirbyteMessage]:
        yield from (record("issues", 1), record("members", 1), state("issues", 1))
        yield record("issues", 2)
        seen.append((held(cache, "issues"), saved(cache)))
        yield from (complete("issues"), complete("members"))

    write(cache, messages())
    assert seen == [({1: None}, {"issues": {"position": 1}})]
    assert set(held(cache, "issues")) == {1, 2}


def test_a_failure_keeps_what_is_whole_and_what_is_incremental(cache: Any) -> None:
    from airbyte.exceptions import PyAirbyteError

    write(cache, [record("members", 1), complete("members"), complete("issues")])

    def messages() -> Iterator[AirbyteMessage]:
        yield from (record("issues", 7), state("issues", 7), record("members", 2))
        raise PyAirbyteError(message="the connector failed")

    with pytest.raises(PyAirbyteError, match="the connector failed"):
        write(cache, messages())
    assert set(held(cache, "issues")) == {7}
    assert saved(cache) == {"issues": {"position": 7}}
    assert set(held(cache, "members")) == {1}, "half of a list has replaced the whole one"


def test_a_connector_that_was_stopped_has_not_finished(cache: Any) -> None:
    from airbyte.exceptions import PyAirbyteError

    with pytest.raises(PyAirbyteError, match="stopped before it had read: members"):
        write(cache, [record("issues", 1), complete("issues"), record("members", 1)])
    assert set(held(cache, "issues")) == {1}
