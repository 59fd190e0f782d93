"""The dbt package where it is not at home: few tables, old columns, other names, and while the administration works."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration_tests import tables
from integration_tests.emulator import Space
from integration_tests.emulator.limits import Limits
from integration_tests.emulator.truth import truth
from integration_tests.lives import BEGIN, STREAMS, Lives
from integration_tests.warehouse import needs

needs("dbt-duckdb", "dbt-duckdb (the extra `report`) is not installed")
duckdb = pytest.importorskip("duckdb")

pytestmark = pytest.mark.slow

PACKAGE = Path(__file__).parent.parent / "models"
HOUR = 3600


def rows(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file)) as connection:
        return connection.execute(sql).fetchall()


def test_few_tables_old_columns_and_other_names(tmp_path: Path) -> None:
    lives = Lives(3, seed=5)
    few = {stream: lives.tables[stream] for stream in ("issues", "issue_changelogs", "projects", "statuses")}
    file = tmp_path / "space.duckdb"
    # Dates as time stamps, as they were; time stamps with a time zone, as other loaders make them.
    tables.to_duckdb(
        file, few, schema="raw_backlog", without=["issues.keyid", "issue_changelogs.notificationtype"],
        duedate="TIMESTAMP", startdate="DATE", created="TIMESTAMPTZ", updated="TIMESTAMPTZ",
    )  # fmt: skip
    with duckdb.connect(str(file)) as connection:
        connection.execute("ALTER TABLE raw_backlog.issues RENAME TO tickets")
    settings = "{backlog_schema: raw_backlog, backlog_issues_identifier: tickets, using_pull_requests: false}"
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


def test_every_column_is_described(tmp_path: Path) -> None:
    lives = Lives(1, seed=6)
    file = tmp_path / "space.duckdb"
    tables.to_duckdb(file, lives.tables)
    tables.dbt(PACKAGE, tmp_path, "run", BACKLOG_DUCKDB=str(file))
    described = {
        (model["name"], column["name"])
        for model in yaml.safe_load((PACKAGE / "models/marts/marts.yml").read_text(encoding="utf-8"))["models"]
        for column in model.get("columns", [])
        if column["description"]
    }
    there = rows(
        file,
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'analytics' "
        "AND table_name NOT LIKE 'stg_%' AND table_name NOT LIKE 'int_%'",
    )
    assert described == set(there) and len(described) > 250
    explained = (PACKAGE / "README.md").read_text(encoding="utf-8")
    assert all(f"`{model}`" in explained for model, _ in described)


class Administered:
    """A space in which somebody administers; each step is synced as a sync sees it, and built."""

    def __init__(self, folder: Path) -> None:
        self.space = space = Space(seed=9)
        space.set_now(BEGIN)
        space.add_user("admin", "管理者", role_type=1, persona="administrator")
        self.person, self.other = space.add_user("sato", "佐藤"), space.add_user("suzuki", "鈴木")
        self.project = space.create_project("OLD", "プロジェクト")
        self.project.members += [self.person, self.other]
        self.review = space.create_status(self.project, "レビュー待ち")
        self.hold = space.create_status(self.project, "保留")
        self.milestone = space.create_version(
            self.project, "1.0", start_date="2026-03-28", release_due_date="2026-04-30"
        )
        self.tables = tables.empty()
        self.folder, self.file = folder, folder / "space.duckdb"
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

    def build(self) -> str:
        """Sync, build, and see that no test of dbt fails; returns the lines."""
        for stream in STREAMS:
            new = truth(self.space, stream, domain="emulator.backlog.jp", limits=Limits())
            if stream in ("issues", "activities", "issue_changelogs", "issue_comments"):
                # What has not moved is not read again: it keeps the names of then.
                stamp = {"issues": "updated"}.get(stream, "created")
                known = {row.get(stamp) and (row.get("id"), row.get("commentId"), row.get("position"), row[stamp])
                         for row in self.tables[stream].values()}  # fmt: skip
                moved = self.moved if stream == "issues" else set()
                new = [
                    row for row in new
                    if (row.get("id"), row.get("commentId"), row.get("position"), row[stamp]) not in known
                    or row.get("id") in moved
                ]  # fmt: skip
            if stream == "issue_changelogs" and self.is_untold:
                new = [{**row, "newId": None, "originalId": None} for row in new]
            tables.merge(self.tables, stream, new)
        tables.merge(self.tables, "deletions", self.deletions)
        tables.to_duckdb(self.file, self.tables)
        return tables.dbt(PACKAGE, self.folder, "build", BACKLOG_DUCKDB=str(self.file))[""]

    deletions: tuple[dict[str, Any], ...] = ()
    # Whether the feed has told no ids.
    is_untold = False
    moved: frozenset[int] = frozenset()

    def figures(self) -> dict[str, Any]:
        """What must stay as it is, whatever things are called."""
        return {
            "closed": rows(self.file, "SELECT count(*) FROM analytics.lead_times WHERE closed_at IS NOT NULL"),
            "reopened": rows(
                self.file, "SELECT issue_id, times_closed, times_reopened FROM analytics.lead_times ORDER BY 1"
            ),
            "hours": rows(self.file, "SELECT person_id, sum(hours) FROM analytics.hours_monthly GROUP BY 1 ORDER BY 1"),
            "people": rows(self.file, "SELECT user_id, issues, hours_entered FROM analytics.user_enhanced ORDER BY 1"),
            "plan": rows(
                self.file, "SELECT assignee_id, milestone_id, planned_hours FROM analytics.plan_vs_actual ORDER BY 1"
            ),
            "scope": rows(
                self.file, "SELECT milestone_id, max(scope_issues), min(open_issues) FROM analytics.burndown GROUP BY 1"
            ),
            "transitions": rows(
                self.file,
                "SELECT issue_id, sequence, to_status_id, entered_at FROM analytics.status_transitions "
                "WHERE origin IN ('created', 'changed') ORDER BY 1, 2",
            ),
        }


def test_administration_changes_names_and_no_figure(tmp_path: Path) -> None:
    here = Administered(tmp_path)
    space, project = here.space, here.project
    assert "WARN=0" in here.build()
    before = here.figures()
    assert before["closed"] == [(3,)] and Counter(row[2] for row in before["reopened"])[1] == 1

    def name_of_status(issue: Any) -> str:
        (row,) = rows(here.file, f"SELECT status FROM analytics.issue_enhanced WHERE issue_id = {issue.id}")
        return row[0]

    # A status of its own is renamed; so is 完了.
    space.update_status(project, here.review, name="確認待ち")
    space.update_status(project, 4, name="Done")
    space.advance(HOUR)
    assert "WARN=0" in here.build()
    assert here.figures() == before
    assert (name_of_status(here.issues[0]), name_of_status(here.issues[1])) == ("確認待ち", "Done")

    # Renamed, and then left.
    space.update_issue(here.issues[0], status=4, by=here.person)
    space.advance(HOUR)
    assert "WARN=0" in here.build()
    after = here.figures()
    last = after["transitions"].pop(len([row for row in after["transitions"] if row[0] == here.issues[0].id]) - 1)
    assert (last[0], last[2]) == (here.issues[0].id, 4)
    assert after["transitions"] == before["transitions"] and after["closed"] == [(4,)]
    before = here.figures()

    # A person, a milestone and the key of the project are renamed.
    space.update_user(here.person, name="加藤")
    space.update_version(project, here.milestone, name="夏の版")
    space.rename_project_key(project, "NEW")
    space.advance(HOUR)
    assert "WARN=0" in here.build()
    assert here.figures() == before
    assert set(rows(here.file, "SELECT DISTINCT assignee FROM analytics.issue_enhanced")) == {("加藤",)}
    assert rows(here.file, "SELECT DISTINCT person FROM analytics.hours_monthly") == [("加藤",)]
    assert rows(here.file, "SELECT DISTINCT milestone FROM analytics.burndown") == [("夏の版",)]
    keys = {key for (key,) in rows(here.file, "SELECT issue_key FROM analytics.issue_enhanced")}
    assert keys == {issue.key for issue in here.issues}

    # A member is gone; the figures of the past stay.
    space.remove_user(here.other)
    space.advance(HOUR)
    assert "WARN=0" in here.build()
    assert here.figures() == before
    assert rows(
        here.file, f"SELECT name, is_in_the_space FROM analytics.user_enhanced WHERE user_id = {here.other.id}"
    ) == [("鈴木", False)]

    # A status of its own is deleted: its issue has another one from that moment on, and had it until then.
    space.delete_status(project, here.hold, 2)
    here.moved = frozenset({here.issues[4].id})
    space.advance(HOUR)
    here.build()
    assert here.figures() == before
    history = rows(
        here.file,
        "SELECT value, value_id, origin FROM analytics.issue_field_history "
        f"WHERE field_key = 'status' AND issue_id = {here.issues[4].id} ORDER BY sequence",
    )
    assert history == [
        ("未対応", "1", "created"), ("保留", str(here.hold.id), "changed"), ("処理中", "2", "removed"),
    ]  # fmt: skip


def test_a_status_that_no_table_knows_is_a_warning_that_names_it(tmp_path: Path) -> None:
    here = Administered(tmp_path)
    space, project = here.space, here.project
    space.delete_status(project, here.hold, 2)
    space.advance(HOUR)
    space.update_issue(here.issues[4], status=3)
    # The feed of that time was not read.
    space.trim_activities(keep=1)
    here.is_untold = True
    lines = here.build()
    assert "WARN=1" in lines and "ERROR=0 SKIP=0" in lines
    unknown = rows(
        here.file, "SELECT to_status, to_status_id FROM analytics.status_transitions WHERE to_status_id IS NULL"
    )
    assert unknown == [("保留", None)]
    assert rows(here.file, "SELECT DISTINCT status FROM analytics.flow WHERE status_id IS NULL") == [("保留",)]
