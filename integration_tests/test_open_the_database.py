"""The ten questions of docs/open-the-database.md, asked in DuckDB and in PostgreSQL; every answer is counted again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from integration_tests import tables
from integration_tests.emulator.generator import generate
from integration_tests.postgresql import postgresql

duckdb = pytest.importorskip("duckdb", reason="the queries run in DuckDB, which comes with the extra `warehouse`")

PAGE = Path(__file__).parents[1] / "docs" / "open-the-database.md"
STREAMS = (
    *("activities", "issue_categories", "issue_changelogs", "issue_comments", "issue_custom_field_values"),
    *("issue_milestones", "issues", "project_users", "projects", "versions"),
)
QUESTIONS = dict(re.findall(r"^### (\d+)\. .*?```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.M | re.S))

Ask = Callable[[int], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def held() -> tables.Tables:
    space = generate(seed=7, projects=3, issues=80)
    held = tables.of_space(space, STREAMS)
    gone = next(iter(held["issues"].values()))
    row = {"entity": "issue", "entityId": str(gone["id"]), "entityKey": gone["issueKey"], "entityName": None}
    row |= {"deletedAt": "2026-06-30T09:00:00Z", "deletedByUserName": "一般 次郎", "activityId": 1}
    tables.merge(held, "deletions", [row])
    return held


@pytest.fixture(scope="module", params=["DuckDB", "PostgreSQL"])
def ask(request: pytest.FixtureRequest, held: tables.Tables, tmp_path_factory: Any) -> Iterator[Ask]:
    if request.param == "DuckDB":
        file = tmp_path_factory.mktemp("open") / "space.duckdb"
        tables.to_duckdb(file, held)
        with duckdb.connect(str(file)) as connection:
            yield lambda number: connection.execute(QUESTIONS[str(number)]).fetchall()
        return
    with postgresql() as server:
        connection = psycopg2.connect(**server)
        tables.to_postgres(connection, held, "backlog")
        cursor = connection.cursor()
        cursor.execute("SET search_path TO backlog")

        def of_postgres(number: int) -> list[tuple[Any, ...]]:
            cursor.execute(QUESTIONS[str(number)])
            return cursor.fetchall()

        yield of_postgres
        connection.close()


def alive(held: tables.Tables) -> list[dict[str, Any]]:
    gone = {row["entityId"] for row in held["deletions"].values()}
    return [row for row in held["issues"].values() if str(row["id"]) not in gone]


def day(text: str | None) -> date | None:
    return date.fromisoformat(text[:10]) if text else None


def test_there_are_ten() -> None:
    assert sorted(map(int, QUESTIONS)) == list(range(1, 11))


def test_open_issues(ask: Ask, held: tables.Tables) -> None:
    keys = {row["id"]: row["projectKey"] for row in held["projects"].values()}
    expected = Counter(
        (keys[row["projectId"]], (row["assignee"] or {}).get("name", "(nobody)"))
        for row in alive(held)
        if row["status"]["id"] != 4
    )
    assert {(key, name): number for key, name, number in ask(1)} == expected


def test_overdue(ask: Ask, held: tables.Tables) -> None:
    last = max(row["updated"] for row in held["issues"].values())[:10]
    expected = {
        row["issueKey"]
        for row in alive(held)
        if row["status"]["id"] != 4 and row["dueDate"] and row["dueDate"][:10] < last
    }
    assert {row[0] for row in ask(2)} == expected and expected


def test_created_per_month(ask: Ask, held: tables.Tables) -> None:
    expected = Counter(date.fromisoformat(row["created"][:7] + "-01") for row in held["issues"].values())
    assert dict(ask(3)) == expected and len(expected) > 3


def test_comments(ask: Ask, held: tables.Tables) -> None:
    expected = Counter(
        (row["createdUser"] or {}).get("name") for row in held["issue_comments"].values() if row["content"]
    )
    assert dict(ask(4)) == expected


def test_due_dates_put_off(ask: Ask, held: tables.Tables) -> None:
    expected = Counter(
        row["issueKey"]
        for row in held["issue_changelogs"].values()
        if row["field"] == "limitDate"
        and not row["customFieldId"]
        and row["originalValue"]
        and (row["newValue"] or "") > row["originalValue"]
    )
    assert dict(ask(5)) == expected and expected


def test_hours_per_category(ask: Ask, held: tables.Tables) -> None:
    expected: dict[str, list[float]] = {}
    for row in held["issues"].values():
        for category in row["category"]:
            sums = expected.setdefault(category["name"], [0, 0, 0])
            sums[0] += 1
            sums[1] += row["estimatedHours"] or 0
            sums[2] += row["actualHours"] or 0
    found = {name: [number, float(planned or 0), float(spent or 0)] for name, number, planned, spent in ask(6)}
    assert found.keys() == expected.keys()
    assert all(found[name] == pytest.approx(sums) for name, sums in expected.items())


def test_milestones(ask: Ask, held: tables.Tables) -> None:
    names = {
        row["id"]: (row["projectKey"], row["name"], day(row["releaseDueDate"])) for row in held["versions"].values()
    }
    scope: Counter[Any] = Counter()
    left: Counter[Any] = Counter()
    for row in alive(held):
        for milestone in row["milestone"]:
            scope[names[milestone["id"]]] += 1
            left[names[milestone["id"]]] += row["status"]["id"] != 4
    assert {(key, name, due): (number, rest) for key, name, due, number, rest in ask(7)} == {
        each: (scope[each], left[each]) for each in scope
    }


def test_custom_fields(ask: Ask, held: tables.Tables) -> None:
    values: Counter[Any] = Counter()
    for row in held["issue_custom_field_values"].values():
        if row["itemId"] is not None:
            values[row["customFieldId"], row["name"], row["itemName"]] += 1
    expected = Counter({(name, item, number): 0 for (_, name, item), number in values.items()})
    for (_, name, item), number in values.items():
        expected[name, item, number] += 1
    assert Counter(ask(8)) == expected and expected


def test_absent_members(ask: Ask, held: tables.Tables) -> None:
    last = max(datetime.fromisoformat(row["created"]) for row in held["activities"].values())
    expected = {
        (row["projectKey"], row["name"], day(row["lastLoginTime"]))
        for row in held["project_users"].values()
        if not row["lastLoginTime"]
        or datetime.fromisoformat(row["lastLoginTime"]).astimezone(UTC) < last - timedelta(days=90)
    }
    assert set(ask(9)) == expected and expected


def test_deletions(ask: Ask, held: tables.Tables) -> None:
    (gone,) = held["deletions"].values()
    assert [row[1:] for row in ask(10)] == [("issue", gone["entityKey"], "一般 次郎")]
