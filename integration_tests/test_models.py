"""The dbt package in `models/`: its own tests, and every figure computed again from the emulator's record.

In DuckDB and in PostgreSQL, from the same rows. The issues live random lives (`lives.py`); pull requests, wiki pages,
documents, members and comments are those of a generated space.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from integration_tests import tables
from integration_tests.emulator.generator import generate
from integration_tests.emulator.limits import Limits
from integration_tests.emulator.truth import truth
from integration_tests.lives import BEGIN, Lives, Named, Record, State
from integration_tests.postgresql import postgresql, query
from integration_tests.warehouse import needs

needs("dbt-duckdb", "dbt-duckdb (the extra `report`) is not installed")
duckdb = pytest.importorskip("duckdb")

pytestmark = pytest.mark.slow

PACKAGE = Path(__file__).parent.parent / "models"
ZONE = ZoneInfo("America/New_York")
CLOSED = 4
MORE = (
    *("document_comments", "documents", "project_administrators", "project_teams", "pull_request_comments"),
    *("pull_requests", "wikis"),
)

Row = dict[str, Any]


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
        self.lives, self.extra, self.rows, self.output = lives, extra, rows, output
        self.issues = [Life(issue, record) for record in lives.records for issue in record.states]
        self.alive = [life for life in self.issues if life.gone_at is None]
        self.projects = {project.id for record in lives.records for project in record.projects}
        loaded = lives.tables
        self.as_of = max(
            *(moment_of(row["created"]) for row in loaded["activities"].values()),
            *(moment_of(row["updated"]) for row in loaded["issues"].values()),
        )
        self.today = day_of(self.as_of)

    def mine(self, model: str) -> list[Row]:
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
    arguments = ("build", "--vars", "{backlog_timezone: America/New_York, backlog_schema: backlog}")
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
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
        environment = {names[name]: str(value) for name, value in server.items()}
        output = tables.dbt(PACKAGE, folder, *arguments, "--target", "postgres", **environment)[""]
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
        and (built.today - day_of(max(life.created, last[life.id]))).days >= 30
    }
    assert {row["issue_id"] for row in built.mine("stale_issues")} == stale


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
