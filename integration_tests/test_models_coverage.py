"""The dbt model `coverage` over a synced space: no false alarm, and rows that are missing are found and fail a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integration_tests import tables
from integration_tests.emulator import Emulator
from integration_tests.emulator.generator import generate
from integration_tests.harness import sync
from integration_tests.warehouse import needs

needs("dbt-duckdb", "dbt-duckdb (the extra `report`) is not installed")
duckdb = pytest.importorskip("duckdb")

pytestmark = pytest.mark.slow

PACKAGE = Path(__file__).parent.parent / "models"
LOST = {"issues": 2, "wikis": 1}
STREAMS = ["issues", "wikis", "documents", "pull_requests", "deletions", "notifications", "projects", "sync_coverage"]


def test_missing_rows_are_found_and_nothing_else_is(tmp_path: Path) -> None:
    file, held = tmp_path / "space.duckdb", tables.empty()

    def load(state: list[Any] | None = None) -> list[Any]:
        result = sync(emulator, STREAMS, state, num_workers=2)
        for stream in STREAMS:
            tables.merge(held, stream, result.rows[stream])
        return result.state

    def query(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(file)) as connection:
            return connection.execute(sql).fetchall()

    with Emulator(space=generate(seed=2, projects=2, issues=24)) as emulator:
        space = emulator.space
        state = load()
        # What goes, comes back and is new between two syncs is no loss.
        space.advance(3600)
        web = space.project("WEB")
        space.delete_issue(web.issues[0])
        space.create_issue(web, "新しい課題")
        first, second, *_ = [one for one in web.documents.values() if one.status_id == 1]
        space.trash_document(first)
        space.trash_document(second)
        state = load(state)
        space.advance(3600)
        space.restore_document(second)
        load(state)
        # Three rows of one project are gone from the tables.
        live = {stream: [row["id"] for row in emulator.truth(stream) if row["projectId"] == web.id] for stream in LOST}
        for stream, number in LOST.items():
            for identity in live[stream][:number]:
                del held[stream][identity,]
        tables.to_duckdb(file, held)
        with pytest.raises(AssertionError, match="nothing_is_missing") as error:
            tables.dbt(PACKAGE, tmp_path, "build", "--select", "+coverage", BACKLOG_DUCKDB=str(file))
        assert "PASS everything_was_read" in str(error.value)
        assert "WARN=0 ERROR=1" in str(error.value)
        found = {
            (stream, project): numbers
            for stream, project, *numbers in query(
                "SELECT stream, project_key, total_then, rows_now, missing FROM analytics.coverage"
            )
        }
        counted = {place: numbers for place, numbers in found.items() if numbers[0] is not None}
        assert counted.pop(("notifications", None))[1:] == [None, None]
        assert {stream for stream, _ in counted} == {"issues", "wikis", "documents", "pull_requests"}
        for (stream, key), numbers in counted.items():
            there = sum(row["projectId"] == space.project(key).id for row in emulator.truth(stream))
            lost = LOST.get(stream, 0) if key == "WEB" else 0
            assert numbers == [there, there - lost, lost], (stream, key)
        assert sum(numbers[2] for numbers in counted.values()) == 3
