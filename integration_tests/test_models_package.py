"""The dbt package where it is not at home: few tables, old columns, other names, and while the administration works."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration_tests import tables
from integration_tests.emulator import Space
from integration_tests.lives import BEGIN, Lives
from integration_tests.warehouse import needs

needs("dbt-duckdb", "dbt-duckdb (the extra `report`) is not installed")
duckdb = pytest.importorskip("duckdb")

pytestmark = pytest.mark.slow

PACKAGE = Path(__file__).parent.parent / "models"
HOUR = 3600
# A project for each; the last two lead the same life.
KEYS = ("RENAMED", "LEFT", "PEOPLE", "NAMES", "GONE", "DELETED", "UNTOLD", "IDS", "NAMELESS")


def rows(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file)) as connection:
        return connection.execute(sql).fetchall()


def test_few_tables_old_columns_and_other_names(tmp_path: Path) -> None:
    lives = Lives(3, seed=5)
    few = {stream: lives.tables[stream] for stream in ("issues", "issue_changelogs", "projects", "statuses")}
    # A row without a status: nobody's, and never changed.
    told = {row["issueId"] for row in few["issue_changelogs"].values() if row["field"] in ("status", "assigner")}
    bare = next(row for row in few["issues"].values() if row["id"] not in told and not row["assignee"])
    bare["status"] = None
    file = tmp_path / "space.duckdb"
    # Dates as time stamps, as they were; time stamps with a time zone, as other loaders make them.
    tables.to_duckdb(
        file, few, schema="raw_backlog", without=["issues.keyid", "issue_changelogs.notificationtype"],
        duedate="TIMESTAMP", startdate="DATE", created="TIMESTAMPTZ", updated="TIMESTAMPTZ",
    )  # fmt: skip
    with duckdb.connect(str(file)) as connection:
        connection.execute("ALTER TABLE raw_backlog.issues RENAME TO tickets")
        # As dlt makes it.
        loaded = "SELECT '1' AS load_id, now() - INTERVAL 2 DAY AS inserted_at"
        connection.execute(f"CREATE TABLE raw_backlog._dlt_loads AS {loaded}")
        for table, days in (("tickets", 2), ("projects", 0)):
            loaded = f"CAST(now() AS TIMESTAMP) - INTERVAL {days} DAY AS loaded_at"
            connection.execute(
                f"CREATE OR REPLACE TABLE raw_backlog.{table} AS SELECT *, {loaded} FROM raw_backlog.{table}"
            )
    settings = (
        "{backlog_schema: raw_backlog, backlog_issues_identifier: tickets, using_pull_requests: false, "
        "backlog_loaded_at_field: loaded_at}"
    )
    statuses = tables.dbt(PACKAGE, tmp_path, "build", "--vars", settings, BACKLOG_DUCKDB=str(file))
    for table in ("activities", "deletions", "users", "versions", "sync_coverage"):
        assert f'there is no table "space"."raw_backlog"."{table}": what is made of it is empty.' in statuses[""]
    # What was switched off is neither built nor spoken of.
    assert "reviews" not in statuses and '"pull_requests"' not in statuses[""]
    assert statuses["activity_audit"] == statuses["burndown"] == statuses["hours_monthly"] == "success"
    (number,) = rows(file, "SELECT count(*) FROM analytics.activity_audit")[0]
    assert number == 0
    found = rows(file, "SELECT issue_id, due_date, start_date, created_at FROM analytics.issue_enhanced ORDER BY 1")
    expected = [
        (row["id"], (row["dueDate"] or "")[:10], (row["startDate"] or "")[:10], row["created"])
        for row in sorted(few["issues"].values(), key=lambda row: row["id"])
    ]
    assert [
        (i, str(due or ""), str(start or ""), f"{at:%Y-%m-%dT%H:%M:%SZ}") for i, due, start, at in found
    ] == expected
    of_nobody = Counter(
        row["projectId"]
        for row in few["issues"].values()
        if not row["assignee"] and (row is bare or row["status"]["id"] != 4)
    )
    sql = "SELECT project_id, open_issues_of_nobody FROM analytics.project_enhanced WHERE open_issues_of_nobody > 0"
    assert dict(rows(file, sql)) == of_nobody
    assert rows(file, f"SELECT is_closed FROM analytics.issue_enhanced WHERE issue_id = {bare['id']}") == [(False,)]
    # By the column that was named: the other one is of now in both tables.
    selected = ("--select", "source:backlog.issues", "source:backlog.projects", "source:backlog.loads")
    fresh = tables.dbt(
        PACKAGE, tmp_path, "source", "freshness", *selected, "--vars", settings, BACKLOG_DUCKDB=str(file)
    )
    assert (fresh["issues"], fresh["projects"], fresh["loads"]) == ("warn", "pass", "warn")


class Case:
    """A project in which one thing is administered: six issues, four of them closed, one of these opened again."""

    def __init__(self, space: Space, key: str) -> None:
        self.person, self.other = space.add_user(key, f"佐々木 {key}"), space.add_user(f"{key}2", f"木村 {key}")
        self.project = space.create_project(key, f"プロジェクト {key}")
        self.project.members += [self.person, self.other]
        self.review = space.create_status(self.project, "レビュー待ち")
        self.hold = space.create_status(self.project, "保留")
        self.milestone = space.create_version(
            self.project, "1.0", start_date="2026-03-28", release_due_date="2026-04-30"
        )
        self.issues = [
            space.create_issue(
                self.project,
                f"課題 {number}",
                assignee=self.person,
                milestones=[self.milestone],
                estimated_hours=8,
                by=self.person,
            )
            for number in range(6)
        ]
        closed = self.project.statuses[-1]
        for issue in self.issues[:4]:
            space.advance(HOUR)
            space.update_issue(issue, status=self.review, actual_hours=3, by=self.person)
            space.advance(HOUR)
            space.update_issue(issue, status=closed, by=self.other)
        space.advance(HOUR)
        space.update_issue(self.issues[0], status=self.review, by=self.other)
        space.update_issue(self.issues[4], status=self.hold, by=self.person)

    def figures(self, file: Path) -> dict[str, Any]:
        """What must stay as it is, whatever things are called."""

        def of_project(columns: str, table: str, end: str) -> list[tuple[Any, ...]]:
            return rows(file, f"SELECT {columns} FROM analytics.{table} WHERE project_id = {self.project.id} {end}")

        people = f"{self.person.id}, {self.other.id}"
        return {
            "closed": of_project("count(*)", "lead_times", "AND closed_at IS NOT NULL"),
            "reopened": of_project("issue_id, times_closed, times_reopened", "lead_times", "ORDER BY 1"),
            "hours": of_project("person_id, sum(hours)", "hours_monthly", "GROUP BY 1 ORDER BY 1"),
            "people": rows(
                file,
                "SELECT user_id, issues, hours_entered FROM analytics.user_enhanced "
                f"WHERE user_id IN ({people}) ORDER BY 1",
            ),
            "plan": of_project("assignee_id, milestone_id, planned_hours", "plan_vs_actual", "ORDER BY 1"),
            "scope": of_project("milestone_id, max(scope_issues), min(open_issues)", "burndown", "GROUP BY 1"),
            "transitions": of_project(
                "issue_id, sequence, to_status_id, entered_at",
                "status_transitions",
                "AND origin IN ('created', 'changed') ORDER BY 1, 2",
            ),
        }


class Administered:
    """A space with random histories, and a project for each thing that somebody administers.

    It is synced as a sync sees it and built; things are administered and the histories go on; what has changed is
    synced and built; at last all of it is built anew.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "space.duckdb"
        self.space = space = Space(seed=9)
        space.set_now(BEGIN)
        self.admin = space.add_user("admin", "管理者", role_type=1, persona="administrator")
        self.cases = {key: Case(space, key) for key in KEYS}
        for key in ("IDS", "NAMELESS"):
            space.update_issue(self.cases[key].issues[5], status=self.cases[key].review)
        self.lives = Lives(12, space=space, seed=3)
        self.first = self.build(folder)
        self.before = {key: case.figures(self.file) for key, case in self.cases.items()}
        self.administer()
        self.lives.go_on(20)
        self.leave_untold()
        self.second = self.build(folder)
        self.after = {key: case.figures(self.file) for key, case in self.cases.items()}
        self.kept_up = self.tables()
        with duckdb.connect(str(self.file)) as connection:
            connection.execute("CREATE SCHEMA kept_up")
            for name in self.kept_up:
                connection.execute(f"CREATE TABLE kept_up.{name} AS FROM analytics.{name}")
        self.build(folder, "run", "--full-refresh", "--select", "issue_field_history+ daily_status")

    def build(self, folder: Path, *arguments: str) -> dict[str, str]:
        tables.to_duckdb(self.file, self.lives.tables)
        return tables.dbt(PACKAGE, folder, *(arguments or ("build",)), BACKLOG_DUCKDB=str(self.file))

    def tables(self) -> list[str]:
        return [
            name
            for (name,) in rows(
                self.file,
                "SELECT table_name FROM information_schema.tables "
                "WHERE table_schema = 'analytics' AND table_type = 'BASE TABLE' ORDER BY 1",
            )
        ]

    def administer(self) -> None:
        space, cases = self.space, self.cases
        space.set_now(BEGIN + 60 * 24 * HOUR)
        # A status of its own is renamed; so is 完了.
        case = cases["RENAMED"]
        space.update_status(case.project, case.review, name="確認待ち")
        space.update_status(case.project, 4, name="Done")
        # Renamed, synced, and then left.
        case = cases["LEFT"]
        space.update_status(case.project, case.review, name="確認待ち")
        space.update_status(case.project, 4, name="Done")
        self.lives.load(moved_only=True)
        space.advance(HOUR)
        space.update_issue(case.issues[0], status=4, by=case.person)
        space.update_user(cases["PEOPLE"].person, name="加藤")
        space.update_user(self.admin, name="管理者 2")
        case = cases["NAMES"]
        space.update_version(case.project, case.milestone, name="夏の版")
        space.rename_project_key(case.project, "NEW")
        space.remove_user(cases["GONE"].other)
        # A status of its own is deleted: its issue has another one from that moment on, and had it until then.
        case = cases["DELETED"]
        space.delete_status(case.project, case.hold, 2)
        self.lives.named.add(case.issues[4].id)
        case = cases["UNTOLD"]
        space.delete_status(case.project, case.hold, 2)
        space.advance(HOUR)
        space.update_issue(case.issues[4], status=3)
        # A status is renamed, left and deleted; another one gets its first name, and the issue goes through that one.
        for key in ("IDS", "NAMELESS"):
            case = cases[key]
            space.update_status(case.project, case.review, name="旧レビュー")
            space.update_issue(case.issues[5], status=2)
            space.delete_status(case.project, case.review, 2)
            space.update_status(case.project, case.hold, name="レビュー待ち")
            space.advance(HOUR)
            space.update_issue(case.issues[5], status=case.hold)
            space.advance(HOUR)
            space.update_issue(case.issues[5], status=4)

    def leave_untold(self) -> None:
        """The feed of some projects was not read; of one of them the change log still knows the ids."""
        untold = {key: self.cases[key].project.id for key in ("UNTOLD", "IDS", "NAMELESS")}
        activities = self.lives.tables["activities"]
        for key in [key for key, row in activities.items() if row["projectId"] in untold.values()]:
            del activities[key]
        for row in self.lives.tables["issue_changelogs"].values():
            if row["projectId"] in (untold["UNTOLD"], untold["NAMELESS"]):
                row.update(newId=None, originalId=None)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Administered:
    return Administered(tmp_path_factory.mktemp("administered"))


def test_what_has_changed_gives_the_tables_of_a_full_build(here: Administered) -> None:
    different = {}
    for name in here.kept_up:
        one, other = f"FROM analytics.{name}", f"FROM kept_up.{name}"
        found = rows(here.file, f"({one} EXCEPT ALL {other}) UNION ALL ({other} EXCEPT ALL {one})")
        if found:
            different[name] = len(found), found[:2]
    assert not different, different
    (number,) = rows(here.file, "SELECT count(*) FROM analytics.issue_field_history WHERE origin = 'moved'")[0]
    assert number > 100 and "daily_status" in here.kept_up and len(here.kept_up) > 35


def test_every_column_is_described(here: Administered) -> None:
    described = {
        (model["name"], column["name"])
        for model in yaml.safe_load((PACKAGE / "models/marts/marts.yml").read_text(encoding="utf-8"))["models"]
        for column in model.get("columns", [])
        if column["description"]
    }
    there = rows(
        here.file,
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'analytics' "
        "AND table_name NOT LIKE 'stg_%' AND table_name NOT LIKE 'int_%'",
    )
    assert described == set(there) and len(described) > 250
    explained = (PACKAGE / "README.md").read_text(encoding="utf-8")
    assert all(f"`{model}`" in explained for model, _ in described)


def warned(built: dict[str, str]) -> set[str]:
    return {name for name, status in built.items() if status == "warn"}


@pytest.mark.parametrize("key", ["RENAMED", "PEOPLE", "NAMES", "GONE", "DELETED", "UNTOLD"])
def test_administration_changes_no_figure(here: Administered, key: str) -> None:
    before, after = here.before[key], here.after[key]
    assert all(status is not None for _, _, status, _ in before["transitions"])
    assert before["closed"] == [(3,)] and Counter(row[2] for row in before["reopened"])[1] == 1
    if key == "UNTOLD":
        # Its last change, and the status that no table knows.
        issue = here.cases[key].issues[4].id
        before["transitions"] = [row for row in before["transitions"] if row[0] != issue]
        after["transitions"] = [row for row in after["transitions"] if row[0] != issue]
    assert after == before


def test_a_renamed_status_that_is_left(here: Administered) -> None:
    before, after, issue = here.before["LEFT"], here.after["LEFT"], here.cases["LEFT"].issues[0]
    last = [row for row in after["transitions"] if row[0] == issue.id][-1]
    assert last[2] == 4 and [row for row in after["transitions"] if row != last] == before["transitions"]
    assert (before["closed"], after["closed"]) == ([(3,)], [(4,)])


def test_administration_shows_the_latest_names(here: Administered) -> None:
    def of(key: str, column: str, table: str) -> set[Any]:
        project = here.cases[key].project.id
        return {
            value
            for (value,) in rows(here.file, f"SELECT {column} FROM analytics.{table} WHERE project_id = {project}")
        }

    assert of("RENAMED", "status", "issue_enhanced") == {"未対応", "保留", "確認待ち", "Done"}
    assert of("LEFT", "to_status", "status_transitions") == {"未対応", "保留", "確認待ち", "Done"}
    assert of("PEOPLE", "assignee", "issue_enhanced") == of("PEOPLE", "person", "hours_monthly") == {"加藤"}
    assert of("NAMES", "milestone", "burndown") == {"夏の版"}
    assert of("NAMES", "issue_key", "issue_enhanced") == {issue.key for issue in here.cases["NAMES"].issues}
    assert all(issue.key.startswith("NEW-") for issue in here.cases["NAMES"].issues)
    gone = here.cases["GONE"].other
    found = rows(here.file, f"SELECT name, is_in_the_space FROM analytics.user_enhanced WHERE user_id = {gone.id}")
    assert found == [(gone.name, False)]


def test_a_deleted_status_ends_where_it_was_deleted(here: Administered) -> None:
    case = here.cases["DELETED"]
    history = rows(
        here.file,
        "SELECT value, value_id, origin FROM analytics.issue_field_history "
        f"WHERE field_key = 'status' AND issue_id = {case.issues[4].id} ORDER BY sequence",
    )
    assert history == [
        ("未対応", "1", "created"), ("保留", str(case.hold.id), "changed"), ("処理中", "2", "removed"),
    ]  # fmt: skip


def test_a_status_that_no_table_knows_is_a_warning_that_names_it(here: Administered) -> None:
    assert warned(here.second) == {"every_status_has_an_id"} and "ERROR=0 SKIP=0" in here.second[""]
    unknown = dict(
        rows(
            here.file,
            "SELECT project_id, list(DISTINCT to_status) FROM analytics.status_transitions "
            "WHERE to_status_id IS NULL GROUP BY 1",
        )
    )
    # No other project of these has one.
    of_case = {key: unknown.get(case.project.id) for key, case in here.cases.items() if key != "NAMELESS"}
    assert of_case == {**dict.fromkeys(of_case), "UNTOLD": ["保留"]}
    there = f"project_id = {here.cases['UNTOLD'].project.id} AND status_id IS NULL"
    assert rows(here.file, f"SELECT DISTINCT status FROM analytics.flow WHERE {there}") == [("保留",)]


def test_the_ids_of_the_change_log_come_before_its_names(here: Administered) -> None:
    def history(key: str) -> list[tuple[Any, ...]]:
        return rows(
            here.file,
            "SELECT value_id, recorded_value, value, is_ambiguous, is_inferred FROM analytics.issue_field_history "
            f"WHERE field_key = 'status' AND issue_id = {here.cases[key].issues[5].id} ORDER BY sequence",
        )

    case = here.cases["IDS"]
    review, hold = str(case.review.id), str(case.hold.id)
    assert history("IDS") == [
        ("1", "未対応", "未対応", False, False),
        (review, "レビュー待ち", "旧レビュー", False, False),
        ("2", "処理中", "処理中", False, False),
        (hold, "レビュー待ち", "レビュー待ち", False, False),
        ("4", "完了", "完了", False, False),
    ]
    # Names alone take the first one for the one that has the name now, and say that they are not sure.
    (_, first, *_) = history("NAMELESS")
    assert first[0] != str(here.cases["NAMELESS"].review.id) and first[-1]
