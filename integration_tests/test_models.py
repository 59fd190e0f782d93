"""The dbt project in `models/`: its own tests, and every figure computed again from the history of the space."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from integration_tests.emulator import Emulator
from integration_tests.warehouse import needs

needs("airbyte", "PyAirbyte (the extra `warehouse`) is not installed")
needs("dbt-duckdb", "dbt-duckdb (the extra `demo`) is not installed")
duckdb = pytest.importorskip("duckdb")

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parent.parent / "models"
ZONE = ZoneInfo("Asia/Tokyo")
STREAMS = "activities,deletions,issue_changelogs,issue_milestones,issues,projects,statuses,versions"
OPEN, CLOSED = 1, 4

Row = dict[str, Any]


class Built:
    """A space, and the tables that dbt has built from it."""

    def __init__(self, emulator: Emulator, file: Path, report: str) -> None:
        self.report = report
        self.truth = {name: emulator.truth(name) for name in STREAMS.split(",") if name != "deletions"}
        self.file = file
        names = {(row["projectId"], row["name"]): row["id"] for row in self.truth["statuses"]}
        self.history: dict[int, list[tuple[datetime, str, int | None]]] = {}
        changes = defaultdict(list)
        for row in sorted(self.truth["issue_changelogs"], key=lambda row: (row["created"], row["commentId"])):
            if row["field"] == "status":
                changes[row["issueId"]].append(row)
        for issue in self.truth["issues"]:
            own = changes[issue["id"]]
            first = own[0]["originalValue"] if own else issue["status"]["name"]
            entries = [(issue["created"], first), *((row["created"], row["newValue"]) for row in own)]
            self.history[issue["id"]] = [
                (moment(at), name, names.get((issue["projectId"], name))) for at, name in entries
            ]
        self.as_of = max(
            day_of(max(row["created"] for row in self.truth["activities"])),
            day_of(max(row["updated"] for row in self.truth["issues"])),
        )

    def rows(self, model: str) -> list[Row]:
        with duckdb.connect(str(self.file), read_only=True) as connection:
            result = connection.execute(f"SELECT * FROM analytics.{model}")
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def status_on(self, issue: int, day: date) -> tuple[str, int | None] | None:
        """The status at the end of a day; None before the issue existed."""
        entered = [(name, status) for at, name, status in self.history[issue] if at.astimezone(ZONE).date() <= day]
        return entered[-1] if entered else None


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def day_of(text: str) -> date:
    return moment(text).astimezone(ZONE).date()


def hours(earlier: datetime | None, later: datetime | None) -> float | None:
    return None if earlier is None or later is None else (later - earlier).total_seconds() / 3600


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def utc(stamp: datetime | None) -> datetime | None:
    return None if stamp is None else stamp.replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("models")
    file = folder / "backlog.duckdb"
    programs = Path(sys.executable).parent
    with Emulator(seed=7, projects=3, issues=150, comments_per_issue=3.0) as emulator:
        space = emulator.space
        reopened = next(issue for issue in space.issues.values() if issue.status.id == CLOSED)
        space.advance(3600)
        space.update_issue(reopened, status=reopened.project.statuses[0], by="member")
        environment = os.environ | {
            "BACKLOG_DOMAIN": emulator.address,
            "BACKLOG_API_KEY": emulator.api_key(),
            "NO_PROXY": "127.0.0.1",
        }
        command = [str(programs / "backlog-sync"), "--to", f"duckdb:///{file}", "--streams", STREAMS]
        # The second run keeps the rows of a deleted issue and of a milestone that an issue no longer has.
        for change in (
            lambda: None,
            lambda: (
                space.advance(3600),
                space.delete_issue(next(iter(space.project("WEB").issues)), by="administrator"),
                space.update_issue(next(i for i in space.project("APP").issues if i.milestones), milestones=()),
            ),
        ):
            change()
            result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
            assert result.returncode == 0, result.stderr
        environment |= {
            "BACKLOG_DUCKDB": str(file),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
        }
        result = subprocess.run(
            [str(programs / "dbt"), "--no-use-colors", "build", "--profiles-dir", "."],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert result.returncode == 0, result.stdout[-6000:]
        return Built(emulator, file, result.stdout)


def test_the_tests_of_dbt_pass(built: Built) -> None:
    last = built.report.strip().splitlines()[-1]
    assert "WARN=0 ERROR=0 SKIP=0" in last
    assert built.report.count("PASS ") > 40


def test_issue_status_transitions(built: Built) -> None:
    found = {
        (row["issue_id"], row["sequence"]): (
            row["from_status"],
            row["to_status"],
            row["to_status_id"],
            utc(row["entered_at"]),
            utc(row["left_at"]),
            pytest.approx(row["hours_in_status"]) if row["hours_in_status"] is not None else None,
        )
        for row in built.rows("issue_status_transitions")
    }
    expected = {}
    for issue, entries in built.history.items():
        for sequence, (at, name, status) in enumerate(entries):
            before = entries[sequence - 1][1] if sequence else None
            left = entries[sequence + 1][0] if sequence + 1 < len(entries) else None
            expected[issue, sequence] = (before, name, status, at, left, hours(at, left))
    assert found == expected


def test_issue_daily_status(built: Built) -> None:
    found = {
        (row["issue_id"], row["day"]): (row["status"], row["status_id"]) for row in built.rows("issue_daily_status")
    }
    expected = {
        (issue, day): built.status_on(issue, day)
        for issue, entries in built.history.items()
        for day in days(entries[0][0].astimezone(ZONE).date(), built.as_of)
    }
    assert found == expected


def test_issue_lead_times(built: Built) -> None:
    found = {row["issue_id"]: row for row in built.rows("issue_lead_times")}
    assert found.keys() == built.history.keys()
    for issue, entries in built.history.items():
        row = found[issue]
        created, now = entries[0][0], entries[-1][2]
        started = next((at for at, _, status in entries if status not in (OPEN, None)), None)
        closings = [at for at, _, status in entries if status == CLOSED]
        closed = closings[-1] if now == CLOSED else None
        assert (utc(row["started_at"]), utc(row["closed_at"])) == (started, closed)
        assert row["lead_hours"] == pytest.approx(hours(created, closed))
        assert row["cycle_hours"] == pytest.approx(hours(started, closed))
        assert row["times_closed"] == len(closings)
        assert row["times_reopened"] == len(closings) - (now == CLOSED)
    assert any(row["times_reopened"] for row in found.values())


def test_burndown(built: Built) -> None:
    issues = {row["id"]: row for row in built.truth["issues"]}
    members = defaultdict(list)
    for row in built.truth["issue_milestones"]:
        members[row["id"]].append(row["issueId"])
    expected = {}
    for version in built.truth["versions"]:
        own = members[version["id"]]
        if not own:
            continue
        start = version["startDate"] and date.fromisoformat(version["startDate"][:10])
        due = version["releaseDueDate"] and date.fromisoformat(version["releaseDueDate"][:10])
        first = start or min(day_of(issues[issue]["created"]) for issue in own)
        for day in days(first, max(due or built.as_of, built.as_of)):
            there = [issue for issue in own if built.status_on(issue, day)]
            left = [issue for issue in there if built.status_on(issue, day)[1] != CLOSED]
            figures = (
                len(there),
                len(left),
                sum(issues[issue]["estimatedHours"] or 0 for issue in there),
                sum(issues[issue]["estimatedHours"] or 0 for issue in left),
            )
            ideal = len(own) * (due - day).days / (due - start).days if start and due and day <= due else None
            expected[version["id"], day] = (*(figures if day <= built.as_of else (None,) * 4), ideal)
    found = {
        (row["milestone_id"], row["day"]): tuple(
            None if row[name] is None else float(row[name])
            for name in ("scope_issues", "open_issues", "scope_hours", "open_hours", "ideal_issues")
        )
        for row in built.rows("burndown")
    }
    assert found.keys() == expected.keys()
    for key, figures in expected.items():
        assert found[key] == pytest.approx(figures), key


def test_workload(built: Built) -> None:
    expected: dict[tuple[int, date], list[float]] = defaultdict(lambda: [0, 0, 0])
    for issue in built.truth["issues"]:
        if issue["assignee"] is None:
            continue
        person = issue["assignee"]["id"]
        if issue["status"]["id"] == CLOSED:
            closed = [at for at, _, status in built.history[issue["id"]] if status == CLOSED][-1]
            expected[person, monday(closed.astimezone(ZONE).date())][2] += 1
        elif issue["dueDate"]:
            week = expected[person, monday(date.fromisoformat(issue["dueDate"][:10]))]
            week[0] += 1
            week[1] += max((issue["estimatedHours"] or 0) - (issue["actualHours"] or 0), 0)
    found = {
        (row["assignee_id"], row["week"]): [row["issues_due"], float(row["hours_due"]), row["issues_closed"]]
        for row in built.rows("workload")
    }
    assert found.keys() == expected.keys()
    for key, figures in expected.items():
        assert found[key] == pytest.approx(figures), key


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def test_hours(built: Built) -> None:
    groups = defaultdict(list)
    for issue in built.truth["issues"]:
        groups[issue["projectId"], (issue["assignee"] or {}).get("id")].append(issue)
    found = {(row["project_id"], row["assignee_id"]): row for row in built.rows("hours")}
    assert found.keys() == groups.keys()
    for key, issues in groups.items():
        row = found[key]
        planned = [issue["estimatedHours"] for issue in issues if issue["estimatedHours"] is not None]
        actual = [issue["actualHours"] for issue in issues if issue["actualHours"] is not None]
        over = [
            issue["actualHours"] - issue["estimatedHours"]
            for issue in issues
            if issue["estimatedHours"] is not None and issue["actualHours"] is not None
        ]
        assert (row["issues"], row["issues_with_plan"], row["issues_with_actual"]) == (
            len(issues),
            len(planned),
            len(actual),
        )
        assert float(row["planned_hours"]) == pytest.approx(sum(planned))
        assert float(row["actual_hours"]) == pytest.approx(sum(actual))
        assert (row["hours_over_plan"] is None) == (not over)
        assert not over or float(row["hours_over_plan"]) == pytest.approx(sum(over))


def test_activity_audit(built: Built) -> None:
    found = {row["activity_id"]: row for row in built.rows("activity_audit")}
    assert found.keys() == {row["id"] for row in built.truth["activities"]}
    for activity in built.truth["activities"]:
        row = found[activity["id"]]
        assert utc(row["happened_at"]) == moment(activity["created"])
        assert row["happened_on"] == day_of(activity["created"])
        assert (row["type_name"], row["person_id"]) == (activity["typeName"], activity["createdUserId"])
        if activity["type"] in (1, 2, 3, 4):
            assert row["subject"] == f"{activity['projectKey']}-{activity['content']['key_id']}"
        assert row["is_removal"] == any(word in row["type_name"] for word in ("Deleted", "Removed"))
    assert Counter(row["is_removal"] for row in found.values())[True] > 1
