"""`issue_field_history` and `issue_as_of` of the dbt package against the record of random histories.

By default 150; `HISTORIES=1000 pytest integration_tests/test_models_history.py` tries more, the first 150 among them.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from integration_tests import tables
from integration_tests.lives import NAMES, Lives, Named, State
from integration_tests.warehouse import needs

needs("dbt-duckdb", "dbt-duckdb (the extra `report`) is not installed")
duckdb = pytest.importorskip("duckdb")

pytestmark = pytest.mark.slow

PACKAGE = Path(__file__).parent.parent / "models"
USER = Path(__file__).parent / "dbt_user"
HISTORIES = int(os.environ.get("HISTORIES", "0")) or 150
MOMENTS = 20
# Column of `issue_as_of` -> field of the change log, column of the history.
AS_OF = {
    "issue_key": ("issueKey", "value"),
    "project_id": ("issueKey", "value_id"),
    "summary": ("summary", "value"),
    "description": ("description", "value"),
    "status_id": ("status", "value_id"),
    "status": ("status", "value"),
    "resolution_id": ("resolution", "value_id"),
    "resolution": ("resolution", "value"),
    "priority_id": ("priority", "value_id"),
    "priority": ("priority", "value"),
    "issue_type_id": ("issueType", "value_id"),
    "issue_type": ("issueType", "value"),
    "assignee_id": ("assigner", "value_id"),
    "assignee": ("assigner", "value"),
    "category_ids": ("component", "value_id"),
    "categories": ("component", "value"),
    "version_ids": ("version", "value_id"),
    "versions": ("version", "value"),
    "milestone_ids": ("milestone", "value_id"),
    "milestones": ("milestone", "value"),
    "start_date": ("startDate", "value"),
    "due_date": ("limitDate", "value"),
    "estimated_hours": ("estimatedHours", "value"),
    "actual_hours": ("actualHours", "value"),
    "parent_issue_id": ("parentIssue", "value_id"),
    "parent_issue_key": ("parentIssue", "value"),
}


class Interval(NamedTuple):
    """A row of `issue_field_history`."""

    issue: int
    field: str
    value: str | None
    value_id: str | None
    recorded: str | None
    begins: int
    ends: int | None
    ambiguous: bool
    inferred: bool
    custom_field: int | None
    sequence: int
    changed_by: int | None


class Built:
    """The histories, the moments to look at, and what dbt has made of the tables."""

    def __init__(self, folder: Path) -> None:
        self.lives = Lives(HISTORIES)
        chance = random.Random("moments")
        happened = [moment for record in self.lives.records for moment in record.moments]
        self.moments = sorted(chance.choice(happened) - chance.randrange(2) for _ in range(MOMENTS))
        self.file = folder / "lives.duckdb"
        tables.to_duckdb(self.file, self.lives.tables)
        project = folder / "project"
        shutil.copytree(USER, project)
        shutil.copy(PACKAGE / "profiles.yml", project)
        (project / "packages.yml").write_text(f"packages:\n  - local: {PACKAGE}\n", encoding="utf-8")
        shown = ", ".join(f"'{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}'" for moment in self.moments)
        (project / "models" / "example.sql").write_text(self.example(), encoding="utf-8")
        environment = {"BACKLOG_DUCKDB": str(self.file)}
        tables.dbt(project, folder, "deps", **environment)
        arguments = ("build", "--select", "+as_of", "example", "--vars", f"{{moments: [{shown}]}}")
        tables.dbt(project, folder, *arguments, **environment)
        with duckdb.connect(str(self.file)) as connection:
            self.intervals: dict[tuple[int, str], list[Interval]] = defaultdict(list)
            for row in connection.execute(
                """
                SELECT issue_id, field_key, value, value_id, recorded_value, epoch(valid_from)::BIGINT,
                    epoch(valid_to)::BIGINT, is_ambiguous, is_inferred, custom_field_id, sequence, changed_by_id
                FROM analytics.issue_field_history
                ORDER BY issue_id, field_key, sequence
                """
            ).fetchall():
                self.intervals[row[0], row[1]].append(Interval(*row))
            columns = ", ".join(AS_OF)
            self.open = connection.execute("SELECT project_id, open_issues, hours FROM analytics.example").fetchall()
            self.then = {
                (moment, issue): values
                for moment, issue, *values in connection.execute(
                    f"SELECT epoch(moment)::BIGINT, issue_id, {columns} FROM analytics.as_of"
                ).fetchall()
            }

    def example(self) -> str:
        """The SQL of the package's README, for an early moment, with statuses that no table knows."""
        under = (PACKAGE / "README.md").read_text(encoding="utf-8").split("### An issue as it was")[1]
        (sql,) = re.findall(r"```sql\n(.*?)```", under.split("###")[0], re.S)
        shown = f"{datetime.fromtimestamp(self.moments[1], UTC):%Y-%m-%d %H:%M:%S}"
        moved, number = re.subn(r"timestamp '[^']*'", f"timestamp '{shown}'", sql)
        assert number == 1
        return moved

    def at(self, issue: int, field: str, moment: int) -> Interval | None:
        """The interval that holds a moment."""
        intervals = [each for each in self.intervals.get((issue, field), []) if each.begins <= moment]
        return intervals[-1] if intervals and (intervals[-1].ends is None or intervals[-1].ends > moment) else None


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory.mktemp("history"))


def names(value: str | None) -> list[str]:
    return sorted((value or "").split(", "))


def agrees(field: str, recorded: Any, row: Interval) -> bool:
    """Whether an interval says what the emulator has noted.

    An object by its id and its name of today or, where its id is not known, by a name that it had: that of the moment
    of the change, which may have been another one at the moment in question. The last name of an object that is gone is
    not known to any table either.
    """
    if recorded is None or recorded == () or recorded == "":
        return row.value is None and row.value_id is None
    if field == "issueKey":
        _, project, number = recorded
        if row.value_id is None:
            return row.recorded in {f"{each}-{number}" for each in NAMES[project]}
        return (row.value, row.value_id) == (f"{project.key}-{number}", str(project.id))
    if isinstance(recorded, tuple):
        lists = itertools.product(*(each.ever | {each.latest} for each in recorded))
        ids = ", ".join(sorted(str(each.object.id) for each in recorded))
        return row.value_id in (None, ids) and names(row.value) in [names(", ".join(each)) for each in lists]
    if isinstance(recorded, Named):
        if row.value_id is None:
            return row.value in recorded.ever
        there = row.value == recorded.latest or row.value in recorded.ever
        return row.value_id == str(recorded.object.id) and there
    if isinstance(recorded, int | float):
        return row.value is not None and float(row.value) == recorded
    return row.value == recorded


def test_every_field_of_every_issue_at_random_moments(built: Built) -> None:
    wrong, seen = [], Counter[str]()
    for record in built.lives.records:
        for moment in built.moments:
            for issue, states in record.states.items():
                state = record.at(issue, moment)
                if state is None:
                    assert (moment, issue) not in built.then
                    continue
                last = next(state for _, state in reversed(states) if state is not None)
                for field, recorded in state.items():
                    row = built.at(issue, field, moment)
                    if row is None:
                        # A custom field that its issue does not have any more, and that never changed, left no trace.
                        assert field.startswith("cf:") and field not in last, (issue, field, moment)
                        seen["lost"] += 1
                        continue
                    right = agrees(field, recorded, row)
                    seen["inferred" if row.inferred else "ambiguous" if row.ambiguous else "known"] += 1
                    seen["inferred and wrong"] += row.inferred and not right
                    if not right and not row.inferred:
                        wrong.append((issue, field, moment, recorded, row))
    assert not wrong, (len(wrong), wrong[:5])
    assert seen["known"] > 1_000 * HISTORIES
    # What no table tells exactly is marked as such, and is rare.
    assert seen["inferred"] < seen.total() / 10 and seen["inferred and wrong"] < seen.total() / 50, seen
    assert 0 < seen["ambiguous"] < seen.total() / 100, seen


def test_issue_as_of_is_the_history_at_the_moment(built: Built) -> None:
    compared = 0
    for (moment, issue), values in built.then.items():
        for (field, column), found in zip(AS_OF.values(), values, strict=True):
            row = built.at(issue, field, moment)
            assert row is not None
            expected = row.value if column == "value" else row.value_id
            if expected is None or found is None:
                assert found is expected, (issue, field, moment, found, row)
            elif isinstance(found, float):
                assert found == float(expected)
            else:
                assert str(found) == expected, (issue, field, moment, found, row)
            compared += 1
    assert compared > 1_000 * HISTORIES


def test_the_example_counts_what_was_open(built: Built) -> None:
    expected: dict[int, list[float]] = {}
    unknown = 0
    for (moment, _), values in built.then.items():
        row = dict(zip(AS_OF, values, strict=True))
        unknown += moment == built.moments[1] and row["status_id"] is None
        if moment == built.moments[1] and row["status_id"] != 4:
            sums = expected.setdefault(row["project_id"], [0, 0])
            sums[0] += 1
            sums[1] += row["estimated_hours"] or 0
    assert {project: [number, float(hours or 0)] for project, number, hours in built.open} == expected
    assert len(expected) > HISTORIES / 10 and unknown


def test_intervals_follow_each_other_from_the_creation_on(built: Built) -> None:
    created = {row["id"]: row for row in built.lives.tables["issues"].values()}
    fields, ends = defaultdict(set), defaultdict(set)
    for (issue, field), intervals in built.intervals.items():
        fields[issue].add(field)
        ends[issue].add(intervals[-1].ends)
        assert intervals[0].begins == int(datetime.fromisoformat(created[issue]["created"]).timestamp())
        assert intervals[0].changed_by == created[issue]["createdUser"]["id"]
        assert [each.sequence for each in intervals] == list(range(len(intervals)))
        assert all(one.ends == other.begins for one, other in itertools.pairwise(intervals))
    for record in built.lives.records:
        for issue, states in record.states.items():
            last: State = next(state for _, state in reversed(states) if state is not None)
            assert fields[issue] >= last.keys()
            # The history of a deleted issue ends.
            assert (None in ends[issue]) == (states[-1][1] is not None)


def test_custom_fields_are_told_from_built_in_ones(built: Built) -> None:
    for (_, field), intervals in built.intervals.items():
        for each in intervals:
            assert (each.custom_field is None) == (not field.startswith("cf:"))
            assert each.custom_field is None or field == f"cf:{each.custom_field}"


def test_who_made_a_change(built: Built) -> None:
    """Each entry of the change log begins one interval, by the person who made it."""
    begins = {
        (i, f, each.begins, each.changed_by) for (i, f), intervals in built.intervals.items() for each in intervals
    }
    rows = [
        row
        for row in built.lives.tables["issue_changelogs"].values()
        if row["field"] == "status" and not row["customFieldId"]
    ]
    assert len(rows) > 4 * HISTORIES
    for row in rows:
        moment = int(datetime.fromisoformat(row["created"]).timestamp())
        assert (row["issueId"], "status", moment, row["createdUserId"]) in begins
