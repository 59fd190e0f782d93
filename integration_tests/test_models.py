"""The dbt package in `models/`: its own tests, and every figure computed again from the emulator's record.

In DuckDB and in PostgreSQL, from the same rows. The issues live random lives (`lives.py`); pull requests, wiki pages,
documents, members and comments are those of a generated space.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from integration_tests import tables
from integration_tests.emulator.generator import generate
from integration_tests.emulator.limits import Limits
from integration_tests.emulator.truth import truth
from integration_tests.lives import BEGIN, Lives, Named, Record, State
from integration_tests.postgresql import environment_of, postgresql, query
from integration_tests.warehouse import needs

needs("dbt-duckdb", "dbt-duckdb (the extra `report`) is not installed")
duckdb = pytest.importorskip("duckdb")

pytestmark = pytest.mark.slow

PACKAGE = Path(__file__).parent.parent / "models"
ZONE = ZoneInfo("America/New_York")
CLOSED = 4
STALE = 3
MORE = (
    *("document_comments", "documents", "project_administrators", "project_teams", "pull_request_comments"),
    *("pull_requests", "wikis"),
)

# Columns of marts that no test of this file compares, each with its reason.
HISTORY = "compared in test_models_history.py, for every field at random moments"
COVERAGE = "compared in test_models_coverage.py, over a synced space; without `sync_coverage` the table is empty"
COPIED = "a column of the stream `sync_coverage`, which test_coverage.py compares, as it is"
PLACE = "gives the order of rows whose times are compared, and has no meaning of its own"
NUMBER = (
    "only ever compared with itself, by builds that keep the table up: test_models_package.py compares their tables"
)
EXCEPTED = {
    "coverage": dict.fromkeys(("stream", "project_key", "total_then", "rows_now", "missing"), COVERAGE)
    | dict.fromkeys(("project_id", "read_at", "is_complete", "reason", "rows_given", "skipped", "seen_until"), COPIED)
    | dict.fromkeys(("deleted_since", "difference"), "terms of `missing`, which is compared"),
    "issue_field_history": dict.fromkeys(("custom_field_id", "recorded_value", "valid_to", "is_ambiguous"), HISTORY)
    | {"fingerprint": NUMBER},
    "daily_status": {"fingerprint": NUMBER},
    "worklog": {"sequence": PLACE},
    "due_date_changes": {"sequence": PLACE},
}
# Column with a name -> column with its id, and the stream in which the latest name is.
NAMED = {
    **{name: (f"{name}_id", "users") for name in ("person", "assignee", "author", "reviewer")},
    **{name: (f"{name}_id", "users") for name in ("created_by", "changed_by", "deleted_by")},
    **{name: (f"{name}_id", "statuses") for name in ("status", "from_status", "to_status")},
    "project": ("project_id", "projects"),
    "milestone": ("milestone_id", "versions"),
    "category": ("category_id", "categories"),
    "issue_type": ("issue_type_id", "issue_types"),
    "priority": ("priority_id", "priorities"),
    "resolution": ("resolution_id", "resolutions"),
}

Row = dict[str, Any]


class Noted(dict[str, Any]):
    """A row that notes which of its columns a test looks at."""

    def __init__(self, row: Row, looked_at: set[str]) -> None:
        super().__init__(row)
        self._looked_at = looked_at

    def __getitem__(self, column: str) -> Any:
        self._looked_at.add(column)
        return super().__getitem__(column)


@cache
def described() -> dict[str, list[str]]:
    """Mart -> its columns, as they are documented."""
    models = yaml.safe_load((PACKAGE / "models" / "marts" / "marts.yml").read_text(encoding="utf-8"))["models"]
    return {model["name"]: [column["name"] for column in model["columns"]] for model in models}


def moment_of(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def day_of(seconds: int) -> date:
    return datetime.fromtimestamp(seconds, ZONE).date()


def month_of(seconds: int) -> date:
    return day_of(seconds).replace(day=1)


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def seconds_of(stamp: datetime | None) -> int | None:
    return None if stamp is None else int(stamp.replace(tzinfo=UTC).timestamp())


def identity(value: Any) -> int | None:
    return value.object.id if isinstance(value, Named) else None


class Life:
    """One issue: every state that it was in, in order, with when it came and by whom."""

    def __init__(self, issue: int, record: Record) -> None:
        self.id = issue
        states = record.states[issue]
        self.gone_at = next((at for at, state in states if state is None), None)
        self.states: list[tuple[int, State]] = [(at, state) for at, state in states if state is not None]
        self.now = self.states[-1][1]
        self.created = self.states[0][0]

    def entries(self, field: str) -> list[tuple[int, Any]]:
        """When the field got which value; the first is the creation."""
        found: list[tuple[int, Any]] = []
        for at, state in self.states:
            value = state[field]
            if not found or key_of(found[-1][1]) != key_of(value):
                found.append((at, value))
        return found

    def at_end_of(self, day: date) -> State | None:
        """None before it existed and after it was deleted."""
        if self.gone_at is not None and day_of(self.gone_at) <= day:
            return None
        there = [state for at, state in self.states if day_of(at) <= day]
        return there[-1] if there else None


def key_of(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(key_of(each) for each in value)
    return value.object.id if isinstance(value, Named) else value


class Built:
    """The space, and what dbt has built of it in one database."""

    def __init__(
        self, lives: Lives, extra: dict[str, list[Row]], rows: Callable[[str], list[Row]], output: str
    ) -> None:
        self.lives, self.extra, self.output = lives, extra, output
        self._read = cache(rows)
        self.looked_at: dict[str, set[str]] = defaultdict(set)
        self.issues = [Life(issue, record) for record in lives.records for issue in record.states]
        self.alive = [life for life in self.issues if life.gone_at is None]
        self.projects = {project.id for record in lives.records for project in record.projects}
        loaded = lives.tables
        self.as_of = max(
            *(moment_of(row["created"]) for row in loaded["activities"].values()),
            *(moment_of(row["updated"]) for row in loaded["issues"].values()),
        )
        self.today = day_of(self.as_of)

    def rows(self, model: str) -> list[Noted]:
        """All rows of a model."""
        return [Noted(row, self.looked_at[model]) for row in self._read(model)]

    def mine(self, model: str) -> list[Noted]:
        """Rows of the projects whose issues are recorded."""
        return [row for row in self.rows(model) if row["project_id"] in self.projects]


@pytest.fixture(scope="module")
def lived() -> tuple[Lives, dict[str, list[Row]]]:
    space = generate(seed=7, projects=2, issues=60, now=datetime.fromtimestamp(BEGIN - 86_400, UTC), showcase=True)
    lives = Lives(30, space=space, told=True)
    extra = {stream: truth(space, stream, domain="emulator.backlog.jp", limits=Limits()) for stream in MORE}
    for stream, rows in extra.items():
        tables.merge(lives.tables, stream, rows)
    return lives, extra


@pytest.fixture(scope="module", params=["DuckDB", "PostgreSQL"])
def built(request: pytest.FixtureRequest, lived: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("models")
    lives, extra = lived
    arguments = (
        "build",
        "--vars",
        f"{{backlog_timezone: America/New_York, backlog_schema: backlog, backlog_stale_days: {STALE}}}",
    )
    if request.param == "DuckDB":
        file = folder / "space.duckdb"
        tables.to_duckdb(file, lives.tables, schema="backlog")
        output = tables.dbt(PACKAGE, folder, *arguments, BACKLOG_DUCKDB=str(file))[""]

        def from_duckdb(model: str) -> list[Row]:
            with duckdb.connect(str(file)) as connection:
                result = connection.execute(f"SELECT * FROM analytics.{model}")
                columns = [column[0] for column in result.description]
                return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]

        yield Built(lives, extra, from_duckdb, output)
        return
    needs("dbt-postgres", "dbt-postgres (the extra `report`) is not installed")
    with postgresql() as server:
        import psycopg2

        connection = psycopg2.connect(**server)
        tables.to_postgres(connection, lives.tables, "backlog")
        connection.close()
        output = tables.dbt(PACKAGE, folder, *arguments, "--target", "postgres", **environment_of(server))[""]
        yield Built(lives, extra, lambda model: query(server, f"SELECT * FROM analytics.{model}"), output)


def test_the_tests_of_dbt_pass(built: Built) -> None:
    assert "ERROR=0 SKIP=0" in built.output


def test_issue_enhanced(built: Built) -> None:
    found = {row["issue_id"]: row for row in built.mine("issue_enhanced")}
    assert found.keys() == {life.id for life in built.alive}
    changelogs = defaultdict(list)
    for row in built.lives.tables["issue_changelogs"].values():
        changelogs[row["issueId"]].append(row)
    for life in built.alive:
        row, state = found[life.id], life.now
        key, project, _ = state["issueKey"]
        assert (row["issue_key"], row["project_id"], row["project_key"]) == (key, project.id, project.key)
        assert (row["status_id"], row["status"]) == (identity(state["status"]), state["status"].latest)
        assert (row["assignee_id"], row["priority_id"]) == (identity(state["assigner"]), identity(state["priority"]))
        assert row["is_closed"] == (row["status_id"] == CLOSED)
        assert (row["summary"], row["estimated_hours"], row["actual_hours"]) == (
            state["summary"], state["estimatedHours"], state["actualHours"],
        )  # fmt: skip
        due = state["limitDate"] and date.fromisoformat(state["limitDate"])
        assert row["due_date"] == due
        late = (built.today - due).days if due and due < built.today and row["status_id"] != CLOSED else None
        assert row["days_overdue"] == late
        own = [each for each in changelogs[life.id] if not each["customFieldId"]]
        assert row["times_due_date_changed"] == sum(each["field"] == "limitDate" for each in own)
        assert row["times_reassigned"] == sum(each["field"] == "assigner" for each in own)


def test_status_transitions(built: Built) -> None:
    found = defaultdict(list)
    for row in sorted(built.mine("status_transitions"), key=lambda row: (row["issue_id"], row["sequence"])):
        found[row["issue_id"]].append((seconds_of(row["entered_at"]), row["to_status_id"], seconds_of(row["left_at"])))
        assert not row["is_inferred"]
    unknown = 0
    for life in built.issues:
        entries = life.entries("status")
        ends = [at for at, _ in entries[1:]] + [life.gone_at]
        assert len(found[life.id]) == len(entries), (life.id, found[life.id], entries)
        for (at, value), end, row in zip(entries, ends, found[life.id], strict=True):
            assert (row[0], row[2]) == (at, end)
            assert row[1] in (identity(value), None)
            unknown += row[1] is None
    # Of a status that is gone, and that the feed never named, the id is not known.
    assert unknown < len(built.issues) / 10


def test_daily_status(built: Built) -> None:
    found = {(row["issue_id"], row["day"]): row["status_id"] for row in built.mine("daily_status")}
    expected: dict[tuple[int, date], int | None] = {}
    for life in built.issues:
        closed_before = False
        for day in days(day_of(life.created), built.today):
            state = life.at_end_of(day)
            if state is None:
                break
            closed = identity(state["status"]) == CLOSED
            # It was closed on an earlier day, and nothing has happened since: its last day has been.
            again = any(day_of(at) == day for at, _ in life.entries("status"))
            if not (closed and closed_before and not again):
                expected[life.id, day] = identity(state["status"])
            closed_before = closed
    assert found.keys() == expected.keys()
    assert all(status in (expected[key], None) for key, status in found.items())


def test_lead_times(built: Built) -> None:
    found = {row["issue_id"]: row for row in built.mine("lead_times")}
    reopened = 0
    for life in built.alive:
        row = found[life.id]
        entries = [(at, identity(value)) for at, value in life.entries("status")]
        started = next((at for at, status in entries if status != 1), None)
        closings = [at for at, status in entries if status == CLOSED]
        closed = closings[-1] if entries[-1][1] == CLOSED else None
        assert (seconds_of(row["started_at"]), seconds_of(row["closed_at"])) == (started, closed)
        assert (row["times_closed"], row["times_reopened"]) == (len(closings), len(closings) - (closed is not None))
        reopened += row["times_reopened"]
        assert row["lead_hours"] == (pytest.approx((closed - life.created) / 3600) if closed else None)
        assert row["cycle_hours"] == (pytest.approx((closed - started) / 3600) if closed and started else None)
        ends = [at for at, _ in entries[1:]] + [built.as_of]
        spent: Counter[int] = Counter()
        for (at, status), end in zip(entries, ends, strict=True):
            spent[status or 0] += end - at
        columns = {1: "hours_open", 2: "hours_in_progress", 3: "hours_resolved"}
        for status, column in columns.items():
            assert float(row[column]) == pytest.approx(spent[status] / 3600, abs=1e-6)
        others = sum(time for status, time in spent.items() if status not in (1, 2, 3, 4))
        assert float(row["hours_in_other_statuses"]) == pytest.approx(others / 3600, abs=1e-6)
    assert reopened > 10


def milestone_days(built: Built) -> dict[tuple[int, date], tuple[int, int, float, float]]:
    """(Milestone, day) -> issues and closed ones in its scope, estimated hours of both, as they were that day."""
    expected: dict[tuple[int, date], tuple[int, int, float, float]] = {}
    for record in built.lives.records:
        for version in (each for project in record.projects for each in project.versions):
            members = [life for life in built.issues if any(has(state, version) for _, state in life.states)]
            start, due = (date.fromisoformat(each) for each in (version.start_date, version.release_due_date))
            for day in days(start, max(due, built.today)):
                states = [state for life in members if (state := life.at_end_of(day)) and has(state, version)]
                done = [state for state in states if identity(state["status"]) == CLOSED]
                expected[version.id, day] = (
                    len(states),
                    len(done),
                    sum(state["estimatedHours"] or 0 for state in states),
                    sum(state["estimatedHours"] or 0 for state in done),
                )
            # A milestone that never had an issue at the end of a day is in no chart.
            if not any(life_days(life, version) for life in members):
                for day in days(start, max(due, built.today)):
                    del expected[version.id, day]
    return expected


def has(state: State, version: Any) -> bool:
    return any(each.object is version for each in state["milestone"])


def life_days(life: Life, version: Any) -> bool:
    last = day_of(life.gone_at) if life.gone_at else day_of(life.states[-1][0]) + timedelta(days=1)
    return any((state := life.at_end_of(day)) and has(state, version) for day in days(day_of(life.created), last))


def test_burndown_and_burnup(built: Built) -> None:
    expected = milestone_days(built)
    due = {row["id"]: row for row in built.lives.tables["versions"].values()}
    found = {(row["milestone_id"], row["day"]): row for row in built.mine("burndown")}
    assert found.keys() == expected.keys()
    changed = Counter[int]()
    for (milestone, day), (scope, done, hours, done_hours) in expected.items():
        row, version = found[milestone, day], due[milestone]
        changed[milestone] += scope != expected.get((milestone, day - timedelta(days=1)), (scope,))[0]
        if day <= built.today:
            figures = [row[name] for name in ("scope_issues", "open_issues", "scope_hours", "open_hours")]
            assert [float(each) for each in figures] == pytest.approx([scope, scope - done, hours, hours - done_hours])
        else:
            assert row["scope_issues"] is None and row["open_issues"] is None
        start, end = (date.fromisoformat(version[name][:10]) for name in ("startDate", "releaseDueDate"))
        latest = scope if day <= built.today else expected[milestone, built.today][0]
        ideal = latest * (end - day).days / (end - start).days if day <= end else None
        assert (row["ideal_issues"] is None) == (ideal is None)
        assert ideal is None or float(row["ideal_issues"]) == pytest.approx(ideal)
    assert max(changed.values()) > 3, "the scope has to change, or the scope of then is that of now"
    up = {(row["milestone_id"], row["day"]): row for row in built.mine("burnup")}
    assert up.keys() == {key for key in expected if key[1] <= built.today}
    for key, row in up.items():
        figures = [row[name] for name in ("scope_issues", "done_issues", "scope_hours", "done_hours")]
        assert [float(each) for each in figures] == pytest.approx(list(expected[key]))


def test_flow(built: Built) -> None:
    found = defaultdict(int)
    entered: Counter[Any] = Counter()
    for row in built.mine("flow"):
        found[row["project_id"], row["day"], row["status_id"]] += row["issues"]
        entered[row["project_id"]] += row["entered"]
    total = 0
    for project in built.projects:
        issues = [life for life in built.issues if life.now["issueKey"][1].id == project]
        if not issues:
            continue
        assert entered[project] == sum(len(life.entries("status")) for life in issues)
        for day in days(min(day_of(life.created) for life in issues), built.today):
            states = [state for life in issues if (state := life.at_end_of(day))]
            of_day = (
                {status: number for (place, when, status), number in found.items() if (place, when) == (project, day)}
                if total < 200
                else None
            )
            if of_day is None:
                continue
            total += 1
            assert sum(of_day.values()) == len(states)
            expected = Counter(identity(state["status"]) for state in states)
            for status in (1, 2, 3, 4):
                assert of_day.get(status, 0) == expected[status]
    assert total > 100


def worked(built: Built) -> list[tuple[Life, int, float, float, State, int]]:
    """Every change of actual hours: issue, when, before, after, the state after it, by whom."""
    people = {}
    for row in built.lives.tables["issue_changelogs"].values():
        if row["field"] == "actualHours" and not row["customFieldId"]:
            key = (
                row["issueId"],
                moment_of(row["created"]),
                float(row["originalValue"] or 0),
                float(row["newValue"] or 0),
            )
            people[key] = row["createdUserId"]
    creators = {row["id"]: (row["createdUser"] or {}).get("id") for row in built.lives.tables["issues"].values()}
    found = []
    for life in built.issues:
        before = 0.0
        for number, (at, state) in enumerate(life.states):
            after = state["actualHours"] or 0.0
            if after != before:
                person = creators[life.id] if number == 0 else people[life.id, at, before, after]
                # Where it was at the end of that second.
                last = [each for when, each in life.states if when <= at][-1]
                found.append((life, at, before, after, last, person))
            before = after
    return found


def test_worklog(built: Built) -> None:
    found = Counter(
        (
            row["issue_id"],
            seconds_of(row["entered_at"]),
            row["hours_before"],
            row["hours_after"],
            row["person_id"],
            row["project_id"],
        )
        for row in built.mine("worklog")
    )
    expected = Counter(
        (life.id, at, before, after, person, state["issueKey"][1].id)
        for life, at, before, after, state, person in worked(built)
    )
    assert found == expected
    assert sum(row["is_at_creation"] for row in built.mine("worklog")) > 10


def test_hours_monthly(built: Built) -> None:
    expected: dict[Any, float] = defaultdict(float)
    for _, at, before, after, state, person in worked(built):
        categories = [each.object.id for each in state["component"]] or [None]
        for category in categories:
            key = (person, state["issueKey"][1].id, category, month_of(at))
            expected[key] += (after - before) / len(categories)
    found = {
        (row["person_id"], row["project_id"], row["category_id"], row["month"]): row["hours"]
        for row in built.mine("hours_monthly")
    }
    assert found.keys() == expected.keys()
    for key, hours in expected.items():
        assert float(found[key]) == pytest.approx(hours, abs=1e-9), key
    assert len({key[3] for key in expected}) > 1, "hours of several months"


def test_plan_vs_actual(built: Built) -> None:
    expected: dict[Any, list[float]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for life in built.alive:
        state = life.now
        milestones = [each.object.id for each in state["milestone"]] or [None]
        for milestone in milestones:
            row = expected[state["issueKey"][1].id, milestone, identity(state["assigner"])]
            planned, actual = state["estimatedHours"], state["actualHours"]
            row[0] += 1
            row[1] += (planned or 0) / len(milestones)
            row[2] += (actual or 0) / len(milestones)
            row[3] += planned is not None
            row[4] += actual is not None
    found = {(row["project_id"], row["milestone_id"], row["assignee_id"]): row for row in built.mine("plan_vs_actual")}
    assert found.keys() == expected.keys()
    names = ("issues", "planned_hours", "actual_hours", "issues_with_plan", "issues_with_actual")
    for key, figures in expected.items():
        assert [float(found[key][name]) for name in names] == pytest.approx(figures), key


def test_overdue_and_stale_issues(built: Built) -> None:
    late = {
        life.id: (built.today - date.fromisoformat(life.now["limitDate"])).days
        for life in built.alive
        if life.now["limitDate"]
        and date.fromisoformat(life.now["limitDate"]) < built.today
        and identity(life.now["status"]) != CLOSED
    }
    assert {row["issue_id"]: row["days_overdue"] for row in built.mine("overdue")} == late
    assert late
    last: Counter[int] = Counter()
    for stream in ("issue_comments", "issue_changelogs"):
        for row in built.lives.tables[stream].values():
            last[row["issueId"]] = max(last[row["issueId"]], moment_of(row["created"]))
    stale = {
        life.id
        for life in built.alive
        if identity(life.now["status"]) != CLOSED
        and (built.today - day_of(max(life.created, last[life.id]))).days >= STALE
    }
    assert {row["issue_id"] for row in built.mine("stale_issues")} == stale
    assert 0 < len(stale) < len(built.alive)


def test_due_date_changes(built: Built) -> None:
    found = Counter(
        (
            row["issue_id"],
            seconds_of(row["changed_at"]),
            row["due_date_before"],
            row["due_date_after"],
            row["days_later"],
        )
        for row in built.mine("due_date_changes")
    )
    expected: Counter[Any] = Counter()
    for life in built.issues:
        entries = life.entries("limitDate")
        for (_, before), (at, after) in itertools.pairwise(entries):
            one, other = (each and date.fromisoformat(each) for each in (before, after))
            expected[life.id, at, one, other, (other - one).days if one and other else None] += 1
    assert found == expected


def test_workload(built: Built) -> None:
    expected: dict[tuple[int, date], list[float]] = defaultdict(lambda: [0, 0, 0])
    others = {row["issue_id"] for row in built.rows("issue_enhanced")} - {life.id for life in built.alive}
    mine = {user.id for user in built.lives.people}
    for life in built.alive:
        state, person = life.now, identity(life.now["assigner"])
        if person is None:
            continue
        if identity(state["status"]) == CLOSED:
            closed = [at for at, value in life.entries("status") if identity(value) == CLOSED][-1]
            expected[person, monday(day_of(closed))][2] += 1
        elif state["limitDate"]:
            week = expected[person, monday(date.fromisoformat(state["limitDate"]))]
            week[0] += 1
            week[1] += max((state["estimatedHours"] or 0) - (state["actualHours"] or 0), 0)
    found = {
        (row["assignee_id"], row["week"]): [row["issues_due"], float(row["hours_due"]), row["issues_closed"]]
        for row in built.rows("workload")
        if row["assignee_id"] in mine
    }
    assert others and found.keys() == expected.keys()
    for key, figures in expected.items():
        assert found[key] == pytest.approx(figures), key


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def test_reviews(built: Built) -> None:
    comments = defaultdict(list)
    for row in built.extra["pull_request_comments"]:
        if row["content"]:
            comments[row["pullRequestId"]].append(row)
    found = {row["pull_request_id"]: row for row in built.rows("reviews")}
    assert found.keys() == {row["id"] for row in built.extra["pull_requests"]}
    for request in built.extra["pull_requests"]:
        row, author = found[request["id"]], request["createdUser"]["id"]
        created = moment_of(request["created"])
        answers = [
            moment_of(each["created"]) for each in comments[request["id"]] if each["createdUser"]["id"] != author
        ]
        first = min(answers, default=None)
        assert seconds_of(row["first_answered_at"]) == first
        assert row["comments"] == len(comments[request["id"]])
        assert row["status"] == request["status"]["name"].lower()
        for column, name in (("hours_to_merge", "mergeAt"), ("hours_to_close", "closeAt")):
            hours = (moment_of(request[name]) - created) / 3600 if request[name] else None
            assert row[column] == (pytest.approx(hours) if hours is not None else None)
    assert any(row["hours_to_first_answer"] for row in found.values())


def test_comments_by_person(built: Built) -> None:
    expected: Counter[Any] = Counter()
    existing = {row["issue_id"] for row in built.rows("issue_enhanced")}
    for row in built.lives.tables["issue_comments"].values():
        if row["content"] and row["issueId"] in existing:
            expected[(row["createdUser"] or {}).get("id"), row["projectId"], month_of(moment_of(row["created"]))] += 1
    for row in built.extra["pull_request_comments"]:
        if row["content"]:
            expected[row["createdUser"]["id"], row["projectId"], month_of(moment_of(row["created"]))] += 1
    for row in built.extra["document_comments"]:
        if row["plain"]:
            expected[row["createdUserId"], row["projectId"], month_of(moment_of(row["created"]))] += 1
    found = {
        (row["person_id"], row["project_id"], row["month"]): row["comments"] for row in built.rows("comments_by_person")
    }
    assert found == expected


def test_activities(built: Built) -> None:
    activities = built.lives.tables["activities"]
    found = {row["activity_id"]: row for row in built.rows("activity_audit")}
    assert found.keys() == {row["id"] for row in activities.values()}
    keys = {row["id"]: row["projectKey"] for row in built.lives.tables["projects"].values()}
    for activity in activities.values():
        row = found[activity["id"]]
        created = moment_of(activity["created"])
        assert (seconds_of(row["happened_at"]), row["happened_on"]) == (created, day_of(created))
        assert (row["type_name"], row["person_id"]) == (activity["typeName"], activity["createdUserId"])
        if activity["type"] in (1, 2, 3, 4):
            assert row["subject"] == f"{keys[activity['projectId']]}-{activity['content']['key_id']}"
        assert row["is_removal"] == any(word in row["type_name"] for word in ("Deleted", "Removed"))
    texts = {row["activity_id"] for row in built.rows("wiki_and_document_changes")}
    named = {row["id"] for row in activities.values() if "Wiki" in row["typeName"] or "Document" in row["typeName"]}
    assert texts == named and texts


def test_access_review(built: Built) -> None:
    members = built.lives.tables["project_users"].values()
    administrators = {(row["projectId"], row["id"]) for row in built.extra["project_administrators"]}
    teams = defaultdict(set)
    for row in built.extra["project_teams"]:
        for member in row["members"]:
            teams[row["projectId"], member["id"]].add(row["name"])
    found = {(row["project_id"], row["person_id"]): row for row in built.rows("access_review")}
    assert found.keys() == {(row["projectId"], row["id"]) for row in members}
    for member in members:
        key = member["projectId"], member["id"]
        row = found[key]
        assert (row["role_id"], row["person"]) == (member["roleType"], member["name"])
        assert row["is_project_administrator"] == (key in administrators)
        assert set((row["through_teams"] or "").split(", ")) - {""} == teams[key]
        assert seconds_of(row["last_login_at"]) == (
            moment_of(member["lastLoginTime"]) if member["lastLoginTime"] else None
        )


def test_deletions_audit(built: Built) -> None:
    found = Counter(
        (row["entity"], row["entity_id"], seconds_of(row["deleted_at"])) for row in built.rows("deletions_audit")
    )
    expected = Counter((row["entity"], row["entityId"], moment_of(row["deletedAt"])) for row in built.lives.deletions)
    assert found == expected
    summaries = {
        row["entity_id"]: row["last_summary"] for row in built.rows("deletions_audit") if row["entity"] == "issue"
    }
    for life in built.issues:
        assert life.gone_at is None or summaries[str(life.id)] == life.now["summary"]


def test_projects_people_and_milestones(built: Built) -> None:
    projects = {row["project_id"]: row for row in built.mine("project_enhanced")}
    for project in built.projects:
        issues = [life for life in built.alive if life.now["issueKey"][1].id == project]
        row = projects[project]
        assert row["issues"] == len(issues)
        assert row["open_issues"] == sum(identity(life.now["status"]) != CLOSED for life in issues)
        assert float(row["planned_hours"]) == pytest.approx(sum(life.now["estimatedHours"] or 0 for life in issues))
        assert float(row["actual_hours"]) == pytest.approx(sum(life.now["actualHours"] or 0 for life in issues))
    people = {row["user_id"]: row for row in built.rows("user_enhanced")}
    log = worked(built)
    for user in built.lives.people:
        own = [life for life in built.alive if identity(life.now["assigner"]) == user.id]
        row = people[user.id]
        assert (row["name"], row["issues"]) == (user.name, len(own))
        assert row["open_issues"] == sum(identity(life.now["status"]) != CLOSED for life in own)
        entered = sum(after - before for _, _, before, after, _, person in log if person == user.id)
        assert float(row["hours_entered"]) == pytest.approx(entered)
    milestones = {row["milestone_id"]: row for row in built.mine("milestone_enhanced")}
    for record in built.lives.records:
        for version in (each for project in record.projects for each in project.versions):
            members = [life for life in built.alive if has(life.now, version)]
            row = milestones[version.id]
            assert (row["milestone"], row["issues"]) == (version.name, len(members))
            assert row["open_issues"] == sum(identity(life.now["status"]) != CLOSED for life in members)


def test_both_databases_have_the_same_history(built: Built, lived: Any) -> None:
    """What one database makes of the rows, the other makes too."""
    rows = sorted(
        tuple(
            str(row[name])
            for name in ("issue_id", "field_key", "sequence", "value", "value_id", "valid_from", "is_inferred")
        )
        for row in built.rows("issue_field_history")
    )
    known = getattr(lived[0], "history", rows)
    lived[0].history = rows
    assert rows == known and len(rows) > 3_000


def ids(value: Any) -> str | None:
    """The ids of a list, in the order of their texts."""
    return ", ".join(sorted(str(each.object.id) for each in value)) or None


def latest_names(value: Any) -> str | None:
    """The names of a list, in the order of the ids."""
    return ", ".join(each.latest for each in sorted(value, key=lambda each: str(each.object.id))) or None


def of_issues(built: Built, stream: str) -> dict[int, list[Row]]:
    """Issue -> its rows."""
    found = defaultdict(list)
    for row in built.lives.tables[stream].values():
        found[row["issueId"]].append(row)
    return found


def last_touched(built: Built) -> dict[int, int]:
    """Living issue -> when something was last done with it."""
    logs, comments = of_issues(built, "issue_changelogs"), of_issues(built, "issue_comments")
    return {
        life.id: max(
            [
                life.created,
                *(moment_of(each["created"]) for each in [*logs.get(life.id, []), *comments.get(life.id, [])]),
            ]
        )
        for life in built.alive
    }


def closing(life: Life) -> int | None:
    """When an issue that is closed was closed."""
    entries = [(at, identity(value)) for at, value in life.entries("status")]
    return [at for at, status in entries if status == CLOSED][-1] if entries[-1][1] == CLOSED else None


def is_late(life: Life, built: Built) -> bool:
    due = life.now["limitDate"]
    return bool(due) and date.fromisoformat(due) < built.today and closing(life) is None


def test_the_other_columns_of_issue_enhanced(built: Built) -> None:
    found = {row["issue_id"]: row for row in built.mine("issue_enhanced")}
    logs, comments = of_issues(built, "issue_changelogs"), of_issues(built, "issue_comments")
    touched = last_touched(built)
    archived = {row["id"]: row["archived"] for row in built.lives.tables["projects"].values()}
    for life in built.alive:
        row, state, own = found[life.id], life.now, logs.get(life.id, [])
        assert (row["description"] or None) == (state["description"] or None)
        for column, field in (("resolution_id", "resolution"), ("issue_type_id", "issueType")):
            assert row[column] == identity(state[field])
        for one, several, field in (
            ("category_ids", "categories", "component"),
            ("version_ids", "versions", "version"),
            ("milestone_ids", "milestones", "milestone"),
        ):
            assert (row[one], row[several]) == (ids(state[field]), latest_names(state[field]))
        assert row["start_date"] == (state["startDate"] and date.fromisoformat(state["startDate"]))
        parent = state["parentIssue"]
        assert row["parent_issue_id"] == identity(parent)
        assert row["parent_issue_key"] == (parent.latest if parent else None)
        loaded = built.lives.tables["issues"][life.id,]
        assert row["created_by_id"] == loaded["createdUser"]["id"]
        assert (seconds_of(row["created_at"]), seconds_of(row["updated_at"])) == (
            life.created, moment_of(loaded["updated"]),
        )  # fmt: skip
        assert row["project_is_archived"] == archived[row["project_id"]]
        assert row["changes"] == len({each["commentId"] for each in own})
        assert row["people_who_changed_it"] == len({each["createdUserId"] for each in own})
        said = comments.get(life.id, [])
        assert row["comments"] == sum(bool(each["content"]) for each in said)
        for column, rows in (("last_changed_at", own), ("last_commented_at", said)):
            assert seconds_of(row[column]) == max((moment_of(each["created"]) for each in rows), default=None)
        assert seconds_of(row["last_activity_at"]) == touched[life.id]


def test_overdue_and_stale_issues_are_rows_of_issue_enhanced(built: Built) -> None:
    """Whose columns are compared above."""
    issues = {row["issue_id"]: row for row in built.rows("issue_enhanced")}
    for model, own in (("overdue", set()), ("stale_issues", {"days_without_activity"})):
        rows = built.mine(model)
        assert rows
        for row in rows:
            for column in set(described()[model]) - own:
                assert row[column] == issues[row["issue_id"]][column], (model, column)
    touched = last_touched(built)
    for row in built.mine("stale_issues"):
        assert row["days_without_activity"] == (built.today - day_of(touched[row["issue_id"]])).days


def test_the_other_columns_of_transitions(built: Built) -> None:
    found = defaultdict(list)
    for row in sorted(built.mine("status_transitions"), key=lambda row: (row["issue_id"], row["sequence"])):
        found[row["issue_id"]].append(row)
    logs = of_issues(built, "issue_changelogs")
    for life in built.issues:
        before, rows = None, found[life.id]
        assert [row["sequence"] for row in rows] == list(range(len(rows)))
        entries = life.entries("status")
        for number, ((at, value), row) in enumerate(zip(entries, rows, strict=True)):
            assert row["from_status_id"] == before
            before = row["to_status_id"]
            assert row["to_status_then"] in value.ever | {value.latest}
            end = entries[number + 1][0] if number + 1 < len(entries) else life.gone_at
            assert row["hours_in_status"] == (pytest.approx((end - at) / 3600) if end else None)
            assert (row["origin"] == "created") == (number == 0)
            if row["origin"] == "changed":
                by = {
                    each["createdUserId"]
                    for each in logs[life.id]
                    if each["field"] == "status" and not each["customFieldId"] and moment_of(each["created"]) == at
                }
                assert row["changed_by_id"] in by


def test_the_other_columns_of_lead_times(built: Built) -> None:
    found = {row["issue_id"]: row for row in built.mine("lead_times")}
    for life in built.alive:
        row, state = found[life.id], life.now
        assert seconds_of(row["created_at"]) == life.created
        for column, field in (("priority_id", "priority"), ("issue_type_id", "issueType"), ("assignee_id", "assigner")):
            assert row[column] == identity(state[field])


def test_the_other_columns_of_projects(built: Built) -> None:
    touched, tables_ = last_touched(built), built.lives.tables
    found = {row["project_id"]: row for row in built.mine("project_enhanced")}
    for row_ in tables_["projects"].values():
        if row_["id"] not in built.projects:
            continue
        row = found[row_["id"]]
        own = [life for life in built.alive if life.now["issueKey"][1].id == row_["id"]]
        times = [(end - life.created) / 3600 for life in own if (end := closing(life))]
        closed_times = {life.id: sum(identity(v) == CLOSED for _, v in life.entries("status")) for life in own}
        assert row["is_archived"] == row_["archived"]
        assert row["overdue_issues"] == sum(is_late(life, built) for life in own)
        assert row["open_issues_of_nobody"] == sum(not life.now["assigner"] and not closing(life) for life in own)
        assert row["closed_issues"] == len(times)
        assert row["reopened_issues"] == sum(closed_times[life.id] > (closing(life) is not None) for life in own)
        average = row["average_lead_hours"]
        assert (float(average) if times else average) == (pytest.approx(sum(times) / len(times)) if times else None)
        assert row["members"] == sum(each["projectId"] == row_["id"] for each in tables_["project_users"].values())
        assert seconds_of(row["last_issue_activity_at"]) == max((touched[life.id] for life in own), default=None)


def test_the_other_columns_of_people(built: Built) -> None:
    tables_ = built.lives.tables
    found = {row["user_id"]: row for row in built.rows("user_enhanced")}
    existing = {row["issue_id"] for row in built.rows("issue_enhanced")}
    said: Counter[Any] = Counter(
        row["createdUser"]["id"]
        for row in tables_["issue_comments"].values()
        if row["content"] and row["issueId"] in existing and row["createdUser"]
    )
    said.update(row["createdUser"]["id"] for row in built.extra["pull_request_comments"] if row["content"])
    said.update(row["createdUserId"] for row in built.extra["document_comments"] if row["plain"])
    last: Counter[Any] = Counter()
    for row in tables_["activities"].values():
        last[row["createdUserId"]] = max(last[row["createdUserId"]], moment_of(row["created"]))
    users = {row["id"]: row for row in tables_["users"].values()}
    for identifier, row in found.items():
        user = users.get(identifier)
        assert row["is_in_the_space"] == (user is not None)
        logged = user and user["lastLoginTime"]
        told = (user["userId"], user["mailAddress"], user["roleType"]) if user else (None, None, None)
        assert (row["login_id"], row["mail_address"], row["role_id"]) == told
        assert seconds_of(row["last_login_at"]) == (moment_of(logged) if logged else None)
        assert row["comments"] == said[identifier]
        assert seconds_of(row["last_activity_at"]) == (last[identifier] or None)
    for user in built.lives.people:
        row = found[user.id]
        own = [life for life in built.alive if identity(life.now["assigner"]) == user.id]
        assert row["overdue_issues"] == sum(is_late(life, built) for life in own)
        planned = sum(life.now["estimatedHours"] or 0 for life in own if not closing(life))
        assert float(row["open_planned_hours"]) == pytest.approx(planned)
        assert row["created_issues"] == sum(
            tables_["issues"][life.id,]["createdUser"]["id"] == user.id for life in built.alive
        )


def test_the_other_columns_of_milestones(built: Built) -> None:
    found = {row["milestone_id"]: row for row in built.mine("milestone_enhanced")}
    expected, first = milestone_days(built), {}
    for milestone, day in sorted(expected):
        first.setdefault(milestone, day)
    for version in built.lives.tables["versions"].values():
        if version["projectId"] not in built.projects:
            continue
        row = found[version["id"]]
        start, due = (date.fromisoformat(version[name][:10]) for name in ("startDate", "releaseDueDate"))
        nothing = (0, 0, 0.0, 0.0)
        scope, done, hours, done_hours = expected.get((version["id"], built.today), nothing)
        began = expected[version["id"], first[version["id"]]] if version["id"] in first else nothing
        assert (row["start_date"], row["release_due_date"], row["is_archived"]) == (start, due, version["archived"])
        assert row["closed_issues"] == done
        assert [float(row[name]) for name in ("planned_hours", "open_planned_hours")] == pytest.approx(
            [hours, hours - done_hours]
        )
        assert (row["issues_at_start"], row["issues_added_since_start"]) == (began[0], scope - began[0])
        late = (built.today - due).days if due < built.today and scope > done else None
        assert row["days_overdue"] == late
    for row in built.mine("burndown"):
        version = built.lives.tables["versions"][row["milestone_id"],]
        start, due = (date.fromisoformat(version[name][:10]) for name in ("startDate", "releaseDueDate"))
        hours = expected[row["milestone_id"], min(row["day"], built.today)][2]
        if row["day"] <= due:
            assert float(row["ideal_hours"]) == pytest.approx(hours * (due - row["day"]).days / (due - start).days)
        else:
            assert row["ideal_hours"] is None


def test_the_other_columns_of_flow(built: Built) -> None:
    order = {(row["projectId"], row["id"]): row["displayOrder"] for row in built.lives.tables["statuses"].values()}
    entered: Counter[Any] = Counter()
    gone: Counter[Any] = Counter()
    for life in built.issues:
        project, entries = life.now["issueKey"][1].id, life.entries("status")
        entered.update((project, day_of(at)) for at, _ in entries)
        ends = [at for at, _ in entries[1:]] + ([life.gone_at] if life.gone_at else [])
        gone.update((project, day_of(at)) for at in ends)
    found: dict[str, Counter[Any]] = {"entered": Counter(), "gone": Counter()}
    for row in built.mine("flow"):
        assert row["display_order"] == (order.get((row["project_id"], row["status_id"])) or 0)
        for column, sums in found.items():
            sums[row["project_id"], row["day"]] += row[column]
    # Statuses whose id is not known are counted too: the sums are over all of a day.
    assert (+found["entered"], +found["gone"]) == (entered, gone)


def test_the_other_columns_of_hours(built: Built) -> None:
    expected = {}
    issues = defaultdict(set)
    for life, at, before, after, state, person in worked(built):
        expected[life.id, at, before, after] = (ids(state["component"]), latest_names(state["component"]))
        for category in [each.object.id for each in state["component"]] or [None]:
            issues[person, state["issueKey"][1].id, category, month_of(at)].add(life.id)
    for row in built.mine("worklog"):
        key = (row["issue_id"], seconds_of(row["entered_at"]), row["hours_before"], row["hours_after"])
        assert row["entered_on"] == day_of(key[1])
        assert float(row["hours"]) == pytest.approx(key[3] - key[2])
        assert (row["category_ids"], row["categories"]) == expected[key]
    for row in built.mine("hours_monthly"):
        key = (row["person_id"], row["project_id"], row["category_id"], row["month"])
        assert row["issues"] == len(issues[key])
    over: Counter[Any] = Counter()
    for life in built.alive:
        state = life.now
        milestones = [each.object.id for each in state["milestone"]] or [None]
        if state["estimatedHours"] is not None and state["actualHours"] is not None:
            for milestone in milestones:
                key = (state["issueKey"][1].id, milestone, identity(state["assigner"]))
                over[key] += (state["actualHours"] - state["estimatedHours"]) / len(milestones)
    for row in built.mine("plan_vs_actual"):
        key = (row["project_id"], row["milestone_id"], row["assignee_id"])
        value = row["hours_over_plan"]
        assert (value is not None) == (key in over)
        assert value is None or float(value) == pytest.approx(over[key], abs=1e-9)


def test_the_other_columns_of_due_date_changes(built: Built) -> None:
    logs = of_issues(built, "issue_changelogs")
    for row in built.mine("due_date_changes"):
        at, before = seconds_of(row["changed_at"]), row["due_date_before"]
        assert at is not None and row["changed_on"] == day_of(at)
        assert row["was_overdue"] == (before is not None and before < day_of(at))
        by = {
            each["createdUserId"]
            for each in logs[row["issue_id"]]
            if each["field"] == "limitDate" and not each["customFieldId"] and moment_of(each["created"]) == at
        }
        assert row["changed_by_id"] in by


def test_the_other_columns_of_reviews(built: Built) -> None:
    requests = {row["id"]: row for row in built.extra["pull_requests"]}
    for row in built.rows("reviews"):
        request = requests[row["pull_request_id"]]
        for column, name in (
            ("project_id", "projectId"), ("repository_id", "repositoryId"), ("repository", "repositoryName"),
            ("number", "number"), ("summary", "summary"),
        ):  # fmt: skip
            assert row[column] == request[name]
        for column, name in (("author_id", "createdUser"), ("reviewer_id", "assignee"), ("issue_id", "issue")):
            assert row[column] == (request[name] or {}).get("id")
        for column, name in (("created_at", "created"), ("merged_at", "mergeAt"), ("closed_at", "closeAt")):
            assert seconds_of(row[column]) == (moment_of(request[name]) if request[name] else None)
        first = seconds_of(row["first_answered_at"])
        hours = (first - moment_of(request["created"])) / 3600 if first else None
        assert row["hours_to_first_answer"] == (pytest.approx(hours) if hours is not None else None)


def test_the_other_columns_of_comments(built: Built) -> None:
    existing = {row["issue_id"] for row in built.rows("issue_enhanced")}
    said = [
        ("on_issues", (row["createdUser"] or {}).get("id"), row)
        for row in built.lives.tables["issue_comments"].values()
        if row["content"] and row["issueId"] in existing
    ]
    said += [
        ("on_pull_requests", row["createdUser"]["id"], row)
        for row in built.extra["pull_request_comments"]
        if row["content"]
    ]
    said += [("on_documents", row["createdUserId"], row) for row in built.extra["document_comments"] if row["plain"]]
    expected = Counter(
        (kind, person, row["projectId"], month_of(moment_of(row["created"]))) for kind, person, row in said
    )
    for row in built.rows("comments_by_person"):
        for column in ("on_issues", "on_pull_requests", "on_documents"):
            assert row[column] == expected[column, row["person_id"], row["project_id"], row["month"]]


def test_the_other_columns_of_activities(built: Built) -> None:
    activities = {row["id"]: row for row in built.lives.tables["activities"].values()}
    audit = {row["activity_id"]: row for row in built.rows("activity_audit")}
    for key, row in audit.items():
        activity = activities[key]
        assert (row["type_id"], row["project_id"]) == (activity["type"], activity["projectId"])
        assert row["summary"] == activity["content"].get("summary")
    named = 0
    for row in built.rows("wiki_and_document_changes"):
        same = audit[row["activity_id"]]
        for column in set(described()["wiki_and_document_changes"]) - {"kind", "object_id"}:
            assert row[column] == same[column]
        activity = activities[row["activity_id"]]
        assert row["kind"] == ("wiki" if "Wiki" in activity["typeName"] else "document")
        # Some of the documents' activities name no single one.
        told = activity["content"].get("id")
        assert row["object_id"] == (None if told is None else str(told))
        named += told is not None
    assert named


def test_the_other_columns_of_access_review(built: Built) -> None:
    roles = ["administrator", "normal user", "reporter", "viewer", "guest reporter", "guest viewer"]
    members = {(row["projectId"], row["id"]): row for row in built.lives.tables["project_users"].values()}
    archived = {row["id"]: row["archived"] for row in built.lives.tables["projects"].values()}
    for row in built.rows("access_review"):
        member = members[row["project_id"], row["person_id"]]
        role = member["roleType"]
        assert (row["mail_address"], row["role"]) == (member["mailAddress"], roles[role - 1])
        assert row["is_administrator"] == (role == 1)
        assert row["is_guest"] == (role in (5, 6) or member["userId"] is None)
        assert row["project_is_archived"] == archived[row["project_id"]]
        logged = member["lastLoginTime"]
        assert row["days_since_login"] == ((built.today - day_of(moment_of(logged))).days if logged else None)


def test_the_other_columns_of_deletions(built: Built) -> None:
    told = {(row["entity"], row["entityId"], moment_of(row["deletedAt"])): row for row in built.lives.deletions}
    keys = {str(life.id): life.now["issueKey"] for life in built.issues}
    for row in built.rows("deletions_audit"):
        deletion = told[row["entity"], row["entity_id"], seconds_of(row["deleted_at"])]
        for column, name in (
            ("entity_key", "entityKey"), ("entity_name", "entityName"), ("project_id", "projectId"),
            ("deleted_by_id", "deletedByUserId"), ("method", "method"), ("reason", "reason"),
            ("activity_id", "activityId"),
        ):  # fmt: skip
            assert row[column] == deletion.get(name)
        assert row["deleted_on"] == day_of(moment_of(deletion["deletedAt"]))
        assert row["time_is_exact"] == (deletion["method"] == "activity")
        assert row["last_issue_key"] == (keys[row["entity_id"]][0] if row["entity"] == "issue" else None)


def test_the_other_columns_of_the_history(built: Built) -> None:
    """What stands beside the values, which test_models_history.py compares."""
    logs = {row["commentId"]: row for row in built.lives.tables["issue_changelogs"].values()}
    fields = {row["id"]: row["name"] for row in built.lives.tables["custom_fields"].values()}
    homes = {life.id: life.now["issueKey"][1].id for life in built.issues}
    seen = Counter[str]()
    for row in built.mine("issue_field_history"):
        key, value = row["field_key"], row["value"]
        assert row["project_id"] == homes[row["issue_id"]]
        assert row["field"] == (fields[int(key[3:])] if key.startswith("cf:") else key)
        if key.endswith("Hours"):
            assert row["value_number"] == (None if value is None else float(value))
        if key in ("startDate", "limitDate"):
            assert row["value_date"] == (None if value is None else date.fromisoformat(value))
        assert (row["origin"] == "created") == (row["sequence"] == 0)
        if row["origin"] == "changed":
            log = logs[row["comment_id"]]
            assert (row["changed_by_id"], seconds_of(row["valid_from"])) == (
                log["createdUserId"], moment_of(log["created"]),
            )  # fmt: skip
        seen[row["origin"]] += 1
    assert seen["created"] > 1_000 and seen["changed"] > 1_000


def test_names_stand_beside_their_ids(built: Built) -> None:
    """The latest name of every object that is still there, and the key of every issue that is."""
    names: dict[str, dict[Any, str]] = {
        stream: {row["id"]: row["name"] for row in built.lives.tables[stream].values()}
        for stream in {stream for _, stream in NAMED.values()} - {"statuses"}
    }
    statuses = {(row["projectId"], row["id"]): row["name"] for row in built.lives.tables["statuses"].values()}
    project_keys = {row["id"]: row["projectKey"] for row in built.lives.tables["projects"].values()}
    issue_keys = {life.id: life.now["issueKey"][0] for life in built.alive}
    places = {life.id: {state["issueKey"][1].id for _, state in life.states} for life in built.issues}
    compared = Counter[tuple[str, str]]()
    for model, columns in described().items():
        own = {label: pair for label, pair in NAMED.items() if label in columns and pair[0] in columns}
        for row in built.rows(model):
            for label, (key, stream) in own.items():
                if stream == "statuses":
                    homes = places.get(row["issue_id"], set()) if "issue_id" in columns else {row["project_id"]}
                    expected = {statuses[home, row[key]] for home in homes if (home, row[key]) in statuses}
                else:
                    expected = {names[stream][row[key]]} if row[key] in names[stream] else set()
                assert not expected or row[label] in expected, (model, label, row)
                compared[model, label] += bool(expected)
            if "project_key" in columns and row["project_id"] in project_keys:
                assert row["project_key"] == project_keys[row["project_id"]], model
            if "issue_key" in columns and row["issue_id"] in issue_keys:
                assert row["issue_key"] == issue_keys[row["issue_id"]], model
        assert all(compared[model, label] for label in own), (model, compared)


def test_every_column_of_every_mart_is_compared(built: Built, request: pytest.FixtureRequest) -> None:
    """Or excepted, with a reason. The last test of this file: it knows what the others have looked at."""
    chosen = {item.originalname for item in request.session.items if getattr(item, "module", None) is request.module}
    if {name for name in vars(request.module) if name.startswith("test_")} - chosen:
        pytest.skip("not all tests of this file run")
    columns = described()
    compared = {model: built.looked_at[model] for model in columns}
    left = {model: set(names) - compared[model] - EXCEPTED.get(model, {}).keys() for model, names in columns.items()}
    assert not {model: names for model, names in left.items() if names}
    needless = {model: EXCEPTED[model].keys() & compared[model] for model in EXCEPTED}
    assert not {model: names for model, names in needless.items() if names}
    for model, names in columns.items():
        assert model == "coverage" or set(names) == set(built.rows(model)[0]), "described as it is"
