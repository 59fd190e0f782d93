"""Promise 1: what was read equals what the key's user can see, row by row, value by value."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from airbyte_cdk.models import SyncMode
from jsonschema import Draft7Validator

from integration_tests.emulator import Emulator
from integration_tests.harness import Destination, Sync, catalog_streams, differences, primary_key, sync

# Their rows are made from what happened, not from what is there: see test_deletions.py and test_files.py.
NOT_IN_THE_SPACE = {"deletions", "sync_coverage"} | {
    name for name in catalog_streams() if name.endswith(("_files", "_contents"))
}
STREAMS = sorted(set(catalog_streams()) - NOT_IN_THE_SPACE)


@pytest.fixture(scope="module")
def space():
    with Emulator(seed=7, projects=5, issues=260) as emulator:
        yield emulator, sync(emulator, STREAMS)


@pytest.mark.parametrize("stream", STREAMS)
def test_every_row_of_the_space_is_read_once(space: tuple[Emulator, Sync], stream: str) -> None:
    emulator, result = space
    rows = result.rows[stream]
    assert rows, "the emulator has rows of every stream"
    table = {tuple(row.get(name) for name in primary_key(stream)): row for row in rows}
    assert len(table) == len(rows), "a primary key came twice"
    found = differences(emulator, stream, table)
    if stream == "rate_limit":
        # What remains of a window changes with every request.
        found = [line for line in found if ": remaining is" not in line and ": reset is" not in line]
    assert not found


@pytest.mark.parametrize("stream", STREAMS)
def test_every_row_fits_its_schema(space: tuple[Emulator, Sync], stream: str) -> None:
    validator = Draft7Validator(catalog_streams()[stream].json_schema)
    errors = [
        f"{error.json_path}: {error.message}" for row in space[1].rows[stream] for error in validator.iter_errors(row)
    ]
    assert not errors[:5]


@pytest.mark.parametrize("stream", STREAMS)
def test_keys_and_cursors_are_never_null(space: tuple[Emulator, Sync], stream: str) -> None:
    columns = [*primary_key(stream), *(catalog_streams()[stream].default_cursor_field or [])]
    assert not [row for row in space[1].rows[stream] if any(row.get(column) is None for column in columns)]


def test_a_second_sync_brings_the_changes_and_little_else() -> None:
    streams = [name for name in STREAMS if SyncMode.incremental in catalog_streams()[name].supported_sync_modes]
    with Emulator(seed=11, projects=3, issues=120) as emulator:
        space = emulator.space
        destination = Destination()
        first = sync(emulator, streams)
        destination.load(first)
        space.advance(3 * 86_400)
        project = next(project for project in space.visible_projects(space.user(None), contents=True))
        quiet, changed, *_ = sorted(project.issues, key=lambda issue: issue.id)
        comment = space.add_comment(quiet, "A plain comment, which does not move the issue's stamp")
        space.update_issue(changed, summary="概要を変更")
        created = space.create_issue(project, "新しい課題")
        second = sync(emulator, streams, first.state)
        destination.load(second)
        assert {changed.id, created.id} <= {row["id"] for row in second.rows["issues"]}
        # The last day is read again: nothing else comes twice.
        last = {row["projectId"]: "" for row in first.rows["issues"]}
        for row in first.rows["issues"]:
            last[row["projectId"]] = max(last[row["projectId"]], row["updated"])
        bound = {
            project_id: (datetime.fromisoformat(stamp) - timedelta(days=2)).isoformat()
            for project_id, stamp in last.items()
        }
        assert all(row["updated"] >= bound[row["projectId"]] for row in second.rows["issues"])
        assert comment.id in {row["id"] for row in second.rows["issue_comments"]}
        assert len(second.rows["issue_comments"]) < len(first.rows["issue_comments"]) / 4
        for stream in streams:
            assert not differences(emulator, stream, destination.tables[stream])
