"""`deleted_records: tombstones`: what arrives, what the schema says, and what a database makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStateMessage
from jsonschema import Draft7Validator

from integration_tests.emulator import Emulator
from integration_tests.harness import Row, Sync, sync
from source_backlog import SourceBacklog

duckdb = pytest.importorskip("duckdb")

STREAMS = ["issues", "wikis", "documents", "pull_requests"]
TOMBSTONE = "_ab_cdc_deleted_at"
MODES = ("deletions_stream", "tombstones")


def schemas(emulator: Emulator, mode: str) -> dict[str, Row]:
    """The JSON schemas of all streams as `discover` gives them in a mode."""
    config = emulator.config(deleted_records=mode)
    return {stream.name: stream.json_schema for stream in SourceBacklog(config=config).discover(None, config).streams}


# Without a repr: that of an emulated space is endless, and pytest shows it when a test fails.
@dataclass(repr=False)
class Doomed:
    """One object of each kind that will be deleted, and the syncs before and after, in both modes."""

    emulator: Emulator
    ids: dict[str, Any]
    others: dict[str, Any]
    syncs: dict[str, list[Sync]] = field(default_factory=dict)
    last_stamps: dict[str, str] = field(default_factory=dict)

    def tombstones(self, stream: str, mode: str = "tombstones") -> list[Row]:
        """The rows of the deleted object in the sync after its deletion."""
        return [row for row in self.syncs[mode][1].rows[stream] if row["id"] == self.ids[stream]]


@pytest.fixture(scope="module")
def doomed() -> Iterator[Doomed]:
    with Emulator(seed=41, projects=2, issues=30) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        repository = project.repositories[0]
        space.advance(3600)
        gone = {
            "issues": space.create_issue(project, "消す課題", description="最後の内容"),
            "wikis": space.create_wiki(project, "消すページ", "最後の内容"),
            "documents": space.create_document(project, "消す文書", "最後の内容"),
            "pull_requests": space.create_pull_request(repository, "消すPR", "最後の内容"),
        }
        others = {
            "issues": space.create_issue(project, "残す課題"),
            "wikis": space.create_wiki(project, "残すページ", "内容"),
            "documents": space.create_document(project, "残す文書", "内容"),
            "pull_requests": space.create_pull_request(repository, "取り込むPR"),
        }
        found = Doomed(emulator, {k: v.id for k, v in gone.items()}, {k: v.id for k, v in others.items()})
        for mode in MODES:
            found.syncs[mode] = [sync(emulator, [*STREAMS, "deletions"], deleted_records=mode)]
        # In the same second, and in one window with a change: the worst case for a destination that compares stamps.
        space.advance(60)
        space.update_issue(gone["issues"], summary="消す課題 改")
        space.delete_issue(gone["issues"])
        space.update_wiki(gone["wikis"], content="次の内容")
        space.delete_wiki(gone["wikis"])
        space.update_document(gone["documents"], plain="次の内容")
        space.trash_document(gone["documents"])
        space.update_pull_request(gone["pull_requests"], description="次の内容")
        space.delete_pull_request(gone["pull_requests"])
        space.close_pull_request(others["pull_requests"])
        space.record(project, 21, others["pull_requests"].activity_content(comment=None), space.user("member"))
        found.last_stamps = dict.fromkeys(STREAMS, f"{space.now:%Y-%m-%dT%H:%M:%SZ}")
        for mode in MODES:
            state = found.syncs[mode][0].state
            found.syncs[mode].append(sync(emulator, [*STREAMS, "deletions"], state, deleted_records=mode))
        yield found


def test_the_schema_declares_the_column_only_in_this_mode(doomed: Doomed) -> None:
    plain, with_tombstones = (schemas(doomed.emulator, mode) for mode in MODES)
    assert not [name for name, schema in plain.items() if TOMBSTONE in schema["properties"]]
    assert sorted(name for name, schema in with_tombstones.items() if TOMBSTONE in schema["properties"]) == sorted(
        STREAMS
    )
    for name in STREAMS:
        column = with_tombstones[name]["properties"].pop(TOMBSTONE)
        assert column["type"] == ["null", "string"] and column["format"] == "date-time"
        assert with_tombstones[name] == plain[name]


@pytest.mark.parametrize("stream", STREAMS)
def test_a_tombstone_is_the_key_the_cursor_and_the_time_of_deletion(doomed: Doomed, stream: str) -> None:
    *_, row = doomed.tombstones(stream)
    assert {name: value for name, value in row.items() if value is not None} == {
        "id": doomed.ids[stream],
        "updated": doomed.last_stamps[stream],
        TOMBSTONE: doomed.last_stamps[stream],
    }
    assert Draft7Validator(schemas(doomed.emulator, "tombstones")[stream]).is_valid(row)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_tombstone_is_not_older_than_any_live_row_and_comes_last(doomed: Doomed, stream: str) -> None:
    rows = [
        row for result in doomed.syncs["tombstones"] for row in result.rows[stream] if row["id"] == doomed.ids[stream]
    ]
    assert rows[0].get(TOMBSTONE) is None and rows[-1][TOMBSTONE]
    assert rows[-1]["updated"] >= max(row["updated"] for row in rows)


@pytest.mark.parametrize("stream", STREAMS)
def test_nothing_else_is_marked_as_deleted(doomed: Doomed, stream: str) -> None:
    """Neither what stays nor the pull request that activity 21 calls merged; and in the default mode nothing at all."""
    marked = [row["id"] for row in doomed.syncs["tombstones"][1].rows[stream] if row.get(TOMBSTONE)]
    assert marked == [doomed.ids[stream]]
    for result in (*doomed.syncs["deletions_stream"], doomed.syncs["tombstones"][0]):
        assert not [row for row in result.rows[stream] if TOMBSTONE in row]


def test_both_modes_have_the_rows_of_the_deletions_stream(doomed: Doomed) -> None:
    found = []
    for mode in MODES:
        rows = doomed.syncs[mode][1].rows["deletions"]
        found.append(sorted((row["entity"], row["entityId"], row["deletedAt"]) for row in rows))
    assert found[0] == found[1]
    assert {entity for entity, *_ in found[0]} == {"issue", "wiki", "document", "pull_request"}


def test_a_tombstone_comes_once(doomed: Doomed) -> None:
    again = sync(doomed.emulator, STREAMS, doomed.syncs["tombstones"][1].state, deleted_records="tombstones")
    assert not [row for rows in again.rows.values() for row in rows if row.get(TOMBSTONE)]


# --- a real database ---


class Warehouse:
    """A table per stream in DuckDB, loaded as Airbyte's Snowflake destination does it.

    The rows of a sync go into a staging table; of each key the one with the latest cursor is taken, among equals the
    one extracted last; then a MERGE replaces the row of the table if the cursor is later, or equal and extracted
    later. With `hard` a row with a time of deletion removes it, else (soft) it replaces it like any other.
    """

    def __init__(self, schemas: dict[str, Row], *, hard: bool) -> None:
        self.hard = hard
        self.database = duckdb.connect()
        self.columns = {stream: list(schemas[stream]["properties"]) for stream in STREAMS}
        self.extracted = 0
        for stream in STREAMS:
            self.database.execute(f"CREATE TABLE {stream} ({self._definitions(stream)})")

    def load(self, result: Sync) -> None:
        """Take in the rows of a sync."""
        for stream in STREAMS:
            self._stage(stream, result.rows[stream])
            self._merge(stream)

    def row(self, stream: str, identifier: Any) -> Row | None:
        """The row of an object as the table holds it, nulls left out."""
        columns = self.columns[stream]
        found = self.database.execute(
            f"SELECT {', '.join(map(_quoted, columns))} FROM {stream} WHERE id = ?", [str(identifier)]
        ).fetchall()
        assert len(found) <= 1
        return (
            {name: value for name, value in zip(columns, found[0], strict=True) if value is not None} if found else None
        )

    def _definitions(self, stream: str) -> str:
        kinds = {"updated": "TIMESTAMPTZ", TOMBSTONE: "TIMESTAMPTZ"}
        columns = [f"{_quoted(name)} {kinds.get(name, 'VARCHAR')}" for name in self.columns[stream]]
        return ", ".join([*columns, "_airbyte_extracted_at BIGINT"])

    def _stage(self, stream: str, rows: list[Row]) -> None:
        self.database.execute(f"CREATE OR REPLACE TABLE staging ({self._definitions(stream)})")
        columns = self.columns[stream]
        for row in rows:
            self.extracted += 1
            values = [_text(row.get(name)) for name in columns]
            marks = ", ".join("?" for _ in [*columns, "extracted"])
            self.database.execute(f"INSERT INTO staging VALUES ({marks})", [*values, self.extracted])

    def _merge(self, stream: str) -> None:
        columns = [*map(_quoted, self.columns[stream]), "_airbyte_extracted_at"]
        newer = (
            "(target.updated < source.updated OR (target.updated = source.updated "
            "AND target._airbyte_extracted_at < source._airbyte_extracted_at))"
        )
        has_column = TOMBSTONE in self.columns[stream]
        deleted = f"source.{_quoted(TOMBSTONE)} IS NOT NULL" if has_column and self.hard else "FALSE"
        self.database.execute(
            f"""
            MERGE INTO {stream} AS target
            USING (
              SELECT * FROM staging
              QUALIFY ROW_NUMBER() OVER (
                PARTITION BY id ORDER BY updated DESC NULLS LAST, _airbyte_extracted_at DESC
              ) = 1
            ) AS source
            ON target.id = source.id
            WHEN MATCHED AND {deleted} AND {newer} THEN DELETE
            WHEN MATCHED AND {newer} THEN UPDATE SET {", ".join(f"{name} = source.{name}" for name in columns)}
            WHEN NOT MATCHED AND NOT ({deleted}) THEN
              INSERT ({", ".join(columns)}) VALUES ({", ".join(f"source.{name}" for name in columns)})
            """
        )


def _quoted(name: str) -> str:
    return f'"{name}"'


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def warehouse(doomed: Doomed, mode: str, *, hard: bool) -> Warehouse:
    """The database after both syncs of a mode."""
    found = Warehouse(schemas(doomed.emulator, mode), hard=hard)
    for result in doomed.syncs[mode]:
        found.load(result)
    return found


@pytest.mark.parametrize("stream", STREAMS)
def test_hard_delete_removes_the_row_and_no_other(doomed: Doomed, stream: str) -> None:
    found = warehouse(doomed, "tombstones", hard=True)
    assert found.row(stream, doomed.ids[stream]) is None
    assert found.row(stream, doomed.others[stream])
    count = found.database.execute(f"SELECT COUNT(*) FROM {stream}").fetchone()[0]
    assert count == len(doomed.emulator.truth(stream))


@pytest.mark.parametrize("stream", STREAMS)
def test_soft_delete_replaces_the_row_by_the_bare_tombstone(doomed: Doomed, stream: str) -> None:
    found = warehouse(doomed, "tombstones", hard=False)
    row = found.row(stream, doomed.ids[stream])
    assert row is not None and set(row) == {"id", "updated", TOMBSTONE}
    other = found.row(stream, doomed.others[stream])
    assert other is not None and TOMBSTONE not in other and len(other) > 5


@pytest.mark.parametrize("stream", STREAMS)
def test_without_tombstones_the_last_contents_stay(doomed: Doomed, stream: str) -> None:
    found = warehouse(doomed, "deletions_stream", hard=True)
    row = found.row(stream, doomed.ids[stream])
    assert row is not None and TOMBSTONE not in row
    title = {"issues": "summary", "wikis": "name", "documents": "title", "pull_requests": "summary"}[stream]
    assert row[title].startswith("消す")
    entity = {"issues": "issue", "wikis": "wiki", "documents": "document", "pull_requests": "pull_request"}[stream]
    deletions = doomed.syncs["deletions_stream"][1].rows["deletions"]
    assert [d for d in deletions if d["entity"] == entity and d["entityId"] == str(doomed.ids[stream])]


def test_a_document_that_is_taken_out_of_the_trash_comes_back() -> None:
    """Also when trash and restoring fall between two syncs, or into the same second."""
    with Emulator(seed=42, projects=1, issues=8) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        slow = space.create_document(project, "次の同期のあとに戻す", "内容")
        quick = space.create_document(project, "すぐに戻す", "内容")
        loaded = {hard: Warehouse(schemas(emulator, "tombstones"), hard=hard) for hard in (True, False)}
        state: list[AirbyteStateMessage] | None = None

        def step() -> None:
            nonlocal state
            result = sync(emulator, STREAMS, state, deleted_records="tombstones")
            state = result.state
            for each in loaded.values():
                each.load(result)

        step()
        space.advance(60)
        space.trash_document(slow)
        space.trash_document(quick)
        space.restore_document(quick)
        step()
        assert loaded[True].row("documents", slow.id) is None
        assert set(loaded[False].row("documents", slow.id) or {}) == {"id", "updated", TOMBSTONE}
        for each in loaded.values():
            assert (each.row("documents", quick.id) or {}).get("title") == "すぐに戻す"
        space.advance(60)
        space.restore_document(slow)
        step()
        for each in loaded.values():
            row = each.row("documents", slow.id) or {}
            assert row.get("title") == "次の同期のあとに戻す" and TOMBSTONE not in row


@pytest.mark.parametrize("number", range(2, 10, 2))
def test_a_deletion_in_the_middle_of_a_sync_is_not_lost(number: int) -> None:
    """At every request of a sync; whatever was read before or after it, the row is gone in the end."""
    with Emulator(seed=43, projects=1, issues=8) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        issue, wiki = space.create_issue(project, "消す課題"), space.create_wiki(project, "消すページ", "内容")
        request = space.create_pull_request(project.repositories[0], "消すPR")
        found = Warehouse(schemas(emulator, "tombstones"), hard=True)
        result = sync(emulator, STREAMS, deleted_records="tombstones")
        found.load(result)
        space.advance(60)
        space.update_issue(issue, summary="消す課題 改")
        count = 0

        def hook(_: Any) -> None:
            nonlocal count
            count += 1
            if count == number:
                space.delete_issue(issue)
                space.delete_wiki(wiki)
                space.delete_pull_request(request)

        end = emulator.before_request(hook)
        for _ in range(2):
            result = sync(emulator, STREAMS, result.state, deleted_records="tombstones")
            found.load(result)
        end()
        assert found.row("issues", issue.id) is None
        assert found.row("wikis", wiki.id) is None
        assert found.row("pull_requests", request.id) is None
