"""The SQL of docs/deletes-and-history.md and docs/streams.md, run on rows that the connector read from the emulator.

In DuckDB and PostgreSQL; the Snowflake statements are translated to DuckDB by sqlglot, which knows both dialects but is
neither.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from integration_tests.emulator import Emulator, Space
from integration_tests.harness import Row, catalog_streams, sync

duckdb = pytest.importorskip("duckdb", reason="the queries run in DuckDB, which comes with the extra `warehouse`")

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "deletes-and-history.md"
MOMENT = "TIMESTAMP '2026-03-31 15:00:00'"
STREAMS = [
    "deletions",
    "issue_attachments",
    "issue_changelogs",
    "issue_milestones",
    "issues",
    "projects",
    "statuses",
]
CLOSED = 4
DIALECTS = ["DuckDB", "PostgreSQL", "Snowflake"]
TYPES = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "string": "VARCHAR"}
IN_POSTGRESQL = {"DOUBLE": "DOUBLE PRECISION", "JSON": "JSONB"}

Blocks = dict[str, list[str]]


def blocks(page: Path) -> Blocks:
    """The SQL blocks of a page by the heading that they stand under."""
    found: Blocks = defaultdict(list)
    parts = re.split(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        found[heading] += re.findall(r"```sql\n(.*?)```", text, flags=re.DOTALL)
    return {heading: sql for heading, sql in found.items() if sql}


def column_type(schema: dict[str, Any]) -> str:
    """The column that PyAirbyte's DuckDB cache makes of a property."""
    declared = schema["type"]
    kinds = [declared] if isinstance(declared, str) else [kind for kind in declared if kind != "null"]
    if schema.get("format") == "date-time":
        return "TIMESTAMP"
    return TYPES.get(kinds[0], "JSON") if len(kinds) == 1 else "JSON"


def names(items: Any) -> frozenset[str]:
    return frozenset(item.name for item in items)


def snapshot(space: Space) -> dict[tuple[str, str], Any]:
    """(issue key, field of the change log) -> its value now, from the emulator's own objects."""
    values: dict[tuple[str, str], Any] = {}
    for issue in space.issues.values():
        values[issue.key, "status"] = issue.status
        values[issue.key, "assigner"] = issue.assignee.name if issue.assignee else None
        values[issue.key, "milestone"] = names(issue.milestones)
        values[issue.key, "limitDate"] = issue.due_date
        values[issue.key, "estimatedHours"] = issue.estimated_hours
        values[issue.key, "actualHours"] = issue.actual_hours
    return values


def comparable(field: str, text: str | None) -> Any:
    """A text of the change log as `snapshot` has it."""
    if field == "milestone":
        return frozenset(text.split(", ")) if text else frozenset()
    if field.endswith("Hours"):
        return float(text) if text else None
    return text


class Past:
    """A space whose past the test knows: snapshots at moments, and one project in which everything is counted."""

    def __init__(self, emulator: Emulator) -> None:
        space = emulator.space
        self.snapshots: list[tuple[datetime, dict[tuple[str, str], Any]]] = []
        self.project = space.create_project("LAB", "Counted")
        project = self.project
        milestones = [space.create_version(project, name) for name in ("1.0", "2.0")]
        # Called like a built-in one.
        confusing = space.create_custom_field(project, "status", 1)
        review = space.create_status(project, "レビュー")
        waiting = space.create_status(project, "返答待ち")
        space.advance(3600)
        self.created = space.now
        self.issues = [
            space.create_issue(project, "never changed", estimated_hours=8, due_date="2026-07-31"),
            space.create_issue(project, "closed once", assignee="administrator", milestones=[milestones[0]]),
            space.create_issue(project, "reopened", status=2),
            space.create_issue(project, "deleted in the end"),
            space.create_issue(project, "in statuses that get other names", status=review),
            space.create_issue(project, "in one that gets another name later"),
        ]
        self._remember(space)
        _, once, reopened, deleted, renamed, waits = self.issues
        space.advance(7200)
        space.update_issue(once, status=2, assignee=None, actual_hours=1.5, by="administrator")
        space.update_issue(reopened, status=CLOSED)
        space.update_issue(renamed, status=waiting)
        space.update_issue(waits, status=review)
        space.update_status(project, review, name="確認中")
        space.update_status(project, waiting, name="保留")
        self._remember(space)
        space.advance(86_400)
        space.update_issue(renamed, status=review)
        space.update_issue(once, status=CLOSED, actual_hours=4, milestones=milestones, by="administrator")
        self.completed = space.now
        space.update_issue(reopened, status=1)
        space.update_issue(once, custom_fields={confusing: "未対応"})
        space.update_issue(reopened, custom_fields={confusing: "完了"})
        space.update_issue(deleted, status=CLOSED)
        space.update_status(project, CLOSED, name="検収済み")
        self._remember(space)
        space.advance(86_400)
        space.update_issue(reopened, status=CLOSED, due_date="2026-08-15")
        for number, issue in enumerate([*space.issues.values()][:40]):
            space.update_issue(issue, status=1 + number % 4, estimated_hours=number / 4, milestones=())
        space.update_issue(renamed, status=waiting)
        self._remember(space)
        space.advance(60)
        space.delete_status(project, waiting, CLOSED)
        self._remember(space)
        space.delete_issue(deleted)
        space.advance(60)
        self.now = space.now

    def _remember(self, space: Space) -> None:
        space.advance(60)
        self.snapshots.append((space.now, snapshot(space)))


@pytest.fixture(scope="module")
def past_and_rows() -> Any:
    with Emulator(seed=3, projects=2, issues=90, foreign_projects=0) as emulator:
        past = Past(emulator)
        rows = sync(emulator, STREAMS).rows
        yield past, rows


def from_snowflake(sql: str) -> list[str]:
    """The statements in the SQL of DuckDB."""
    sqlglot = pytest.importorskip("sqlglot")

    def bare_text(node: Any) -> Any:
        # In Snowflake `status:name::VARCHAR` is the bare text; sqlglot casts the JSON with its quotes.
        if isinstance(node, sqlglot.exp.Cast) and isinstance(node.this, sqlglot.exp.JSONExtract):
            scalar = sqlglot.exp.JSONExtractScalar(this=node.this.this, expression=node.this.expression)
            return sqlglot.exp.Cast(this=scalar, to=node.to)
        return node

    statements = sqlglot.parse(sql, read="snowflake")
    return [statement.transform(bare_text).sql("duckdb") for statement in statements if statement]


class Database:
    """DuckDB or PostgreSQL with the tables and the views of the page; takes the SQL of one dialect."""

    def __init__(self, dialect: str, connection: Any) -> None:
        self.dialect = dialect
        self._connection = connection

    def run(self, sql: str, values: list[Any] | None = None) -> list[dict[str, Any]]:
        """The rows of the last of the statements, as column -> value."""
        for statement in from_snowflake(sql) if self.dialect == "Snowflake" else [sql]:
            result = self._execute(statement, values)
        columns = [column[0] for column in result.description or ()]
        rows = result.fetchall() if columns else []
        return [
            {
                name: float(value) if isinstance(value, Decimal) else value
                for name, value in zip(columns, row, strict=True)
            }
            for row in rows
        ]

    def _execute(self, sql: str, values: list[Any] | None = None) -> Any:
        if self.dialect != "PostgreSQL":
            return self._connection.execute(sql, values)
        cursor = self._connection.cursor()
        cursor.execute(sql.replace("?", "%s") if values is not None else sql, values)
        return cursor

    def load(self, stream: str, rows: list[Row]) -> None:
        """A table as a deduplicating destination holds it: the columns of the schema, one row per primary key."""
        described = catalog_streams()[stream]
        columns = {name: column_type(schema) for name, schema in described.json_schema["properties"].items()}
        columns["_airbyte_extracted_at"] = "TIMESTAMP"
        own = IN_POSTGRESQL if self.dialect == "PostgreSQL" else {}
        declared = ", ".join(f'"{name.lower()}" {own.get(kind, kind)}' for name, kind in columns.items())
        self._execute(f"CREATE TABLE {stream} ({declared})")
        keys = [path[0] for path in described.source_defined_primary_key or []]
        for row in {tuple(row.get(key) for key in keys): row for row in rows}.values():
            values = [
                json.dumps(row[name]) if kind == "JSON" and row.get(name) is not None else row.get(name)
                for name, kind in columns.items()
            ]
            self._execute(f"INSERT INTO {stream} VALUES ({', '.join('?' * len(values))})", values)


@pytest.fixture(scope="module")
def opened() -> Iterator[Callable[[str], Database]]:
    """A function that gives an empty database for a dialect."""
    with contextlib.ExitStack() as held:
        server: dict[str, Any] = {}

        def empty(dialect: str) -> Database:
            if dialect != "PostgreSQL":
                return Database(dialect, duckdb.connect())
            psycopg2 = pytest.importorskip("psycopg2")
            from integration_tests.postgresql import postgresql

            if not server:
                server.update(held.enter_context(postgresql()))
            connection = held.enter_context(contextlib.closing(psycopg2.connect(**server)))
            connection.autocommit = True
            # What it makes is its own, and gone with the connection.
            connection.cursor().execute("SET search_path TO pg_temp")
            return Database(dialect, connection)

        yield empty


def with_views(database: Database, past: Past, rows: Mapping[str, list[Row]]) -> Database:
    """The tables, with the views of the page in the dialect of the database on top."""
    for stream in STREAMS:
        database.load(stream, rows[stream])
    for sql in blocks(PAGE)["Views to start from"]:
        first = sql.splitlines()[0]
        if first == f"-- {database.dialect}" or not first.startswith("-- "):
            database.run(sql)
    # The emulator has a clock of its own.
    database.run(f"CREATE OR REPLACE VIEW utc_clock AS SELECT TIMESTAMP '{past.now:%Y-%m-%d %H:%M:%S}' AS now_at")
    return database


@pytest.fixture(scope="module", params=DIALECTS)
def database(request: pytest.FixtureRequest, past_and_rows: Any, opened: Callable[[str], Database]) -> Any:
    return with_views(opened(request.param), *past_and_rows)


def answer(database: Database, heading: str) -> list[dict[str, Any]]:
    """The rows of the one query under a heading."""
    (sql,) = blocks(PAGE)[heading]
    return database.run(sql)


def at_date(database: Database, field: str, moment: datetime) -> dict[str, str | None]:
    """Issue key -> the value that a field had, by the query for the status at a date."""
    (sql,) = blocks(PAGE)["Status at a date"]
    assert sql.count(MOMENT) == 2 and sql.count("'status'") == 1
    moved = sql.replace(MOMENT, f"TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S}'").replace("'status'", f"'{field}'")
    return {row["issue_key"]: row["status_name"] for row in database.run(moved)}


def alive(past: Past, at: dict[tuple[str, str], Any]) -> set[str]:
    """The keys of the issues that existed then and still exist."""
    keys = {issue.key for issue in past.project.issues} | {key for key, _ in past.snapshots[-1][1]}
    return {key for key, _ in at} & (keys - {past.issues[3].key})


def test_the_status_at_a_date_is_that_of_the_space_at_that_date(database: Database, past_and_rows: Any) -> None:
    past, _ = past_and_rows
    for moment, values in past.snapshots:
        expected = {key: values[key, "status"].name for key in alive(past, values)}
        assert at_date(database, "status", moment) == expected, "with the latest name of each"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_latest_status_needs_no_ids_in_the_change_log(
    dialect: str, past_and_rows: Any, opened: Callable[[str], Database]
) -> None:
    past, rows = past_and_rows
    logs = [{**row, "originalId": None, "newId": None} for row in rows["issue_changelogs"]]
    database = with_views(opened(dialect), past, {**rows, "issue_changelogs": logs})
    moment, values = past.snapshots[-1]
    assert at_date(database, "status", moment) == {key: values[key, "status"].name for key in alive(past, values)}
    closed = {row["issue_key"] for row in answer(database, "Completion date")}
    assert closed == {key for key in alive(past, values) if values[key, "status"].id == CLOSED}
    (row,) = (row for row in answer(database, "Reopen rate") if row["project_id"] == past.project.id)
    assert (row["closed_issues"], row["reopened_issues"]) == (3, 1), "built-in statuses are known by their first names"


@pytest.mark.parametrize("field", ["assigner", "milestone", "limitDate", "estimatedHours", "actualHours"])
def test_other_fields_at_a_date(database: Database, past_and_rows: Any, field: str) -> None:
    past, _ = past_and_rows
    for moment, values in past.snapshots:
        found = {key: comparable(field, text) for key, text in at_date(database, field, moment).items()}
        assert found == {key: values[key, field] for key in alive(past, values)}


def test_time_in_status_adds_up_to_the_age_of_the_issue(database: Database, past_and_rows: Any) -> None:
    past, _ = past_and_rows
    hours: dict[str, dict[str, float]] = defaultdict(dict)
    for row in answer(database, "Time in status"):
        hours[row["issue_key"]][row["status_name"]] = row["hours"]
    age = (past.now - past.created).total_seconds() / 3600
    never, once, reopened, deleted, renamed, _ = past.issues
    assert hours[never.key] == {"未対応": pytest.approx(age)}
    assert hours[once.key]["未対応"] == pytest.approx((60 + 7200) / 3600)
    assert hours[once.key]["処理中"] == pytest.approx((86_400 + 60) / 3600)
    assert sum(hours[once.key].values()) == pytest.approx(age)
    assert set(hours[reopened.key]) == {"処理中", "検収済み", "未対応"}
    assert sum(hours[reopened.key].values()) == pytest.approx(age)
    assert set(hours[renamed.key]) == {"確認中", "保留", "検収済み"}
    assert sum(hours[renamed.key].values()) == pytest.approx(age)
    assert deleted.key not in hours


def test_the_completion_date_is_when_the_issue_was_closed_last(database: Database, past_and_rows: Any) -> None:
    past, _ = past_and_rows
    found = {row["issue_key"]: row for row in answer(database, "Completion date")}
    closed = {key for (key, field), value in past.snapshots[-1][1].items() if field == "status" and value.id == CLOSED}
    assert set(found) == closed - {past.issues[3].key}
    once = found[past.issues[1].key]
    assert once["completed_at"].replace(tzinfo=UTC) == past.completed
    assert once["lead_days"] == pytest.approx((past.completed - past.created).total_seconds() / 86_400)


def test_the_reopen_rate_counts_each_issue_once(database: Database, past_and_rows: Any) -> None:
    past, _ = past_and_rows
    (row,) = (row for row in answer(database, "Reopen rate") if row["project_id"] == past.project.id)
    assert (row["closed_issues"], row["reopened_issues"], row["reopen_rate"]) == (3, 1, pytest.approx(1 / 3))


def test_open_issues_are_counted_at_the_end_of_each_day(database: Database, past_and_rows: Any) -> None:
    past, _ = past_and_rows
    rows = answer(database, "Open issues at the end of each day")
    open_at = {row["day"]: row["open_issues"] for row in rows if row["project_id"] == past.project.id}
    # The deleted issue is in none of the figures.
    assert open_at[past.created.date()] == 4
    assert open_at[past.completed.date()] == 4
    assert open_at[max(open_at)] == 2


def test_recorded_hours_are_the_differences(database: Database, past_and_rows: Any) -> None:
    _, rows = past_and_rows
    expected: dict[tuple[str, int], float] = defaultdict(float)
    for row in rows["issue_changelogs"]:
        if row["field"] == "actualHours":
            added = float(row.get("newValue") or 0) - float(row.get("originalValue") or 0)
            expected[row["created"][:7], row["createdUserId"]] += added
    found = {
        (f"{row['month']:%Y-%m}", row["changed_by"]): row["hours"]
        for row in answer(database, "Hours recorded per person and month")
    }
    assert found == {key: pytest.approx(hours) for key, hours in expected.items()}
    assert len(found) > 3


def test_a_name_of_the_past_leads_to_the_id(database: Database, past_and_rows: Any) -> None:
    past, _ = past_and_rows
    rows = database.run(f"SELECT name, status_id FROM status_name WHERE project_id = {past.project.id}")
    ids = {row["name"]: row["status_id"] for row in rows}
    assert {"完了": 4, "Closed": 4, "未対応": 1, "Open": 1}.items() <= ids.items()
    assert len(ids) == len(rows)


def test_the_deleted_issue_is_left_out(database: Database, past_and_rows: Any) -> None:
    past, rows = past_and_rows
    found = answer(database, "In a query (the default)")
    assert {row["id"] for row in found} == {row["id"] for row in rows["issues"]} - {past.issues[3].id}


def test_the_rule_for_rows_inside_an_object_runs(database: Database, past_and_rows: Any) -> None:
    (sql,) = blocks(DOCS / "streams.md")["Rows inside an object"]
    _, rows = past_and_rows
    assert len(database.run(sql)) == len(rows["issue_attachments"]) > 0


def test_both_spellings_of_no_value_count_as_none(database: Database, past_and_rows: Any) -> None:
    _, rows = past_and_rows
    assert "" in {row.get("originalValue") for row in rows["issue_changelogs"]}, "as old rows have it"
    assert not database.run("SELECT * FROM issue_change WHERE old_value = '' OR new_value = ''")
    assert not database.run("SELECT * FROM issue_field_period WHERE field_value = ''")


@pytest.mark.parametrize("named", [True, False], ids=["named by the activity", "not named"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_deleted_comments_of_documents_are_left_out(
    dialect: str, named: bool, opened: Callable[[str], Database]
) -> None:
    streams = ["activities", "document_comments"]
    with Emulator(seed=3, projects=1, issues=8, quirks={"document_comment_deletion_ids": named}) as emulator:
        space = emulator.space
        project = next(iter(space.projects.values()))
        some, all_, none = (space.create_document(project, title, "本文") for title in ("some", "all", "none"))
        first, second = (space.comment_document(some, text) for text in ("消すコメント", "残すコメント"))
        reply, _ = (space.reply_to_document_comment(second, text) for text in ("消す返信", "残す返信"))
        only = space.comment_document(all_, "消すコメント")
        space.comment_document(none, "残すコメント")
        loaded: dict[str, list[Row]] = defaultdict(list)

        def load(state: Any = None) -> Any:
            space.advance(3600)
            result = sync(emulator, streams, state)
            for stream in streams:
                loaded[stream] += [
                    {**row, "_airbyte_extracted_at": f"{space.now:%F %T}"} for row in result.rows[stream]
                ]
            space.advance(3600)
            return result.state

        state = load()
        space.delete_document_comment(first)
        space.delete_document_reply(reply)
        space.delete_document_comment(only)
        load(state)
        left = {row["id"] for row in emulator.truth("document_comments")}
    database = opened(dialect)
    for stream in streams:
        database.load(stream, loaded[stream])
    (sql,) = (sql for sql in blocks(PAGE)["Comments of documents"] if sql.startswith(f"-- {dialect}\n"))
    assert {row["id"] for row in loaded["document_comments"]} - left == {first.id, reply.id, only.id}
    assert {row["id"] for row in database.run(sql)} == left


@pytest.mark.parametrize("dialect", DIALECTS)
def test_ids_that_change_logs_were_loaded_without_come_from_the_feed(
    dialect: str, opened: Callable[[str], Database]
) -> None:
    """A row per changed status and resolution, with what the feed tells; of a bulk update that is the new one."""
    with Emulator(seed=3, projects=2, issues=60) as emulator:
        logs = sync(emulator, ["issue_changelogs"]).rows["issue_changelogs"]
        changes = sync(emulator, ["activity_changes"]).rows["activity_changes"]
        expected = {
            (row["commentId"], row["field"]): (row["newId"], row["originalId"])
            for row in emulator.truth("issue_changelogs")
            if row["field"] in ("status", "resolution")
        }
    assert not [row for row in logs if row.get("newId") or row.get("originalId")]
    database = opened(dialect)
    database.load("issue_changelogs", logs)
    database.load("activity_changes", changes)
    (sql,) = blocks(PAGE)["Names and ids"]
    rows = [{name.lower(): value for name, value in row.items()} for row in database.run(sql)]
    assert len(rows) == len({(row["commentid"], row["field"]) for row in rows}) == len(expected) > 20
    bulk = {row["commentId"] for row in changes if row["activityTypeId"] == 14}
    for row in rows:
        new, old = expected[row["commentid"], row["field"]]
        assert row["new_id"] == new
        assert row["original_id"] == (None if row["commentid"] in bulk else old)
