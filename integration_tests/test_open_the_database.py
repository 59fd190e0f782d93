"""The ten questions of docs/open-the-database.md, asked in DuckDB and in PostgreSQL; every answer is counted again.

Half of the issues were read before statuses, people, categories, a custom field and a project got other names.
"""

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
from integration_tests.emulator import Space
from integration_tests.emulator.generator import generate
from integration_tests.postgresql import postgresql

duckdb = pytest.importorskip("duckdb", reason="the queries run in DuckDB, which comes with the extra `warehouse`")

PAGE = Path(__file__).parents[1] / "docs" / "open-the-database.md"
STREAMS = (
    *("activities", "categories", "custom_field_items", "custom_fields", "issue_categories", "issue_changelogs"),
    *("issue_comments", "issue_custom_field_values", "issue_milestones", "issues", "project_users", "projects"),
    *("users", "versions"),
)
QUESTIONS = dict(re.findall(r"^### (\d+)\. .*?```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.M | re.S))

Ask = Callable[[int], list[tuple[Any, ...]]]


def rename(space: Space) -> None:
    """Everything that has a name gets another one; no issue's stamp moves."""
    for user in [*space.users.values()]:
        space.update_user(user, name=f"{user.name} (旧姓)")
    for project in [*space.projects.values()]:
        space.rename_project_key(project, f"{project.key}2")
        for status in project.statuses:
            space.update_status(project, status, name=f"新{status.name}")
        for category in project.categories:
            space.update_category(project, category, name=f"新{category.name}")
        for field in project.custom_fields:
            space.rename_custom_field(project, field, f"新{field.name}")
            for item in field.items:
                item.name = f"新{item.name}"


@pytest.fixture(scope="module")
def held() -> tables.Tables:
    space = generate(seed=7, projects=3, issues=80)
    held = tables.of_space(space, STREAMS)
    rename(space)
    quiet = {issue.id for issue in [*space.issues.values()][::2]}
    for issue in space.issues.values():
        if issue.id not in quiet:
            space.update_issue(issue, summary=f"{issue.summary} (2)")
    for stream, rows in tables.of_space(space, STREAMS).items():
        issue_of = {"issues": "id"}.get(stream, "issueId" if stream.startswith("issue_") else "")
        tables.merge(held, stream, [row for row in rows.values() if row.get(issue_of) not in quiet])
    # A server may leave it out.
    next(row for row in reversed(held["issues"].values()) if row["dueDate"] and row["milestone"])["status"] = None
    gone = next(row for row in held["issues"].values() if row["category"] and row["assignee"])
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


def of_issues(held: tables.Tables, stream: str) -> list[dict[str, Any]]:
    """The rows of issues that are alive."""
    there = {row["id"] for row in alive(held)}
    return [row for row in held[stream].values() if row["issueId"] in there]


def closed(issue: dict[str, Any]) -> bool:
    """Whether its status is the built-in one, whatever it is called."""
    return issue["status"] is not None and issue["status"]["id"] == 4


def key_of(held: tables.Tables, issue: int) -> str:
    """The key of an issue with that of its project today."""
    row = held["issues"][issue,]
    return f"{held['projects'][row['projectId'],]['projectKey']}-{row['keyId']}"


def person(held: tables.Tables, user: dict[str, Any] | None) -> str | None:
    """The name that a user has today."""
    return held["users"].get((user["id"],), user)["name"] if user else None


def day(text: str | None) -> date | None:
    return date.fromisoformat(text[:10]) if text else None


def test_there_are_ten() -> None:
    assert sorted(map(int, QUESTIONS)) == list(range(1, 11))


def test_names_are_old_and_new(held: tables.Tables) -> None:
    """Else the questions would not be asked of what they are about."""
    assert {row["status"]["name"].startswith("新") for row in alive(held) if row["status"]} == {True, False}
    assert not all(row["status"] for row in alive(held))
    assert {row["issueKey"].split("-")[0][-1] == "2" for row in alive(held)} == {True, False}
    assert all(row["name"].endswith("(旧姓)") for row in held["users"].values())
    assert len({row["name"] for row in held["users"].values()}) == len(held["users"])


def test_open_issues(ask: Ask, held: tables.Tables) -> None:
    keys = {row["id"]: row["projectKey"] for row in held["projects"].values()}
    expected = Counter(
        (keys[row["projectId"]], person(held, row["assignee"]) or "(nobody)") for row in alive(held) if not closed(row)
    )
    assert sorted(ask(1)) == sorted((key, name, number) for (key, name), number in expected.items())


def test_overdue(ask: Ask, held: tables.Tables) -> None:
    last = max(row["updated"] for row in held["issues"].values())[:10]
    expected = {
        (key_of(held, row["id"]), row["summary"], person(held, row["assignee"]), day(row["dueDate"]))
        for row in alive(held)
        if not closed(row) and row["dueDate"] and row["dueDate"][:10] < last
    }
    assert set(ask(2)) == expected and expected


def test_created_per_month(ask: Ask, held: tables.Tables) -> None:
    expected = Counter(date.fromisoformat(row["created"][:7] + "-01") for row in alive(held))
    assert dict(ask(3)) == expected and len(expected) > 3


def test_comments(ask: Ask, held: tables.Tables) -> None:
    expected = Counter(person(held, row["createdUser"]) for row in of_issues(held, "issue_comments") if row["content"])
    assert sorted(ask(4)) == sorted(expected.items())


def test_due_dates_put_off(ask: Ask, held: tables.Tables) -> None:
    expected = Counter(
        key_of(held, row["issueId"])
        for row in of_issues(held, "issue_changelogs")
        if row["field"] == "limitDate"
        and not row["customFieldId"]
        and row["originalValue"]
        and (row["newValue"] or "") > row["originalValue"]
    )
    assert sorted(ask(5)) == sorted(expected.items()) and expected


def test_hours_per_category(ask: Ask, held: tables.Tables) -> None:
    expected: dict[tuple[str, str], list[float]] = {}
    for row in alive(held):
        for category in row["category"]:
            today = held["categories"][category["id"],]
            sums = expected.setdefault((today["projectKey"], today["name"]), [0, 0, 0])
            sums[0] += 1
            sums[1] += row["estimatedHours"] or 0
            sums[2] += row["actualHours"] or 0
    found = {
        (key, name): [number, float(planned or 0), float(spent or 0)] for key, name, number, planned, spent in ask(6)
    }
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
            left[names[milestone["id"]]] += not closed(row)
    assert {(key, name, due): (number, rest) for key, name, due, number, rest in ask(7)} == {
        each: (scope[each], left[each]) for each in scope
    }


def test_custom_fields(ask: Ask, held: tables.Tables) -> None:
    values = Counter(
        (row["customFieldId"], row["itemId"])
        for row in of_issues(held, "issue_custom_field_values")
        if row["itemId"] is not None
    )
    expected = [
        (held["custom_fields"][field,]["name"], held["custom_field_items"][field, item]["name"], number)
        for (field, item), number in values.items()
    ]
    assert sorted(ask(8)) == sorted(expected) and expected


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
