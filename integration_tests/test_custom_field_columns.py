"""`issue_custom_fields: columns`: one typed column per custom field of all projects, beside the array."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from jsonschema import Draft7Validator

from integration_tests.emulator import Emulator
from integration_tests.harness import Row, Sync, sync
from source_backlog import SourceBacklog

COLUMNS = {"issue_custom_fields": "columns"}
TEXT = {"type": ["null", "string"]}
NUMBER = {"type": ["null", "number"]}
DAY = {"type": ["null", "string"], "format": "date"}
NAMES = {"type": ["null", "array"], "items": {"type": ["null", "string"]}}

# typeId -> (type of the column, a value for the emulator, the value in the column)
TYPES: dict[int, tuple[Row, Any, Any]] = {
    1: (TEXT, "一行の文字", "一行の文字"),
    2: (TEXT, "二行の\n文字", "二行の\n文字"),
    3: (NUMBER, 12.5, 12.5),
    4: (DAY, "2026-05-29", "2026-05-29"),
    5: (TEXT, "赤", "赤"),
    6: (NAMES, ["赤", "青"], ["赤", "青"]),
    7: (NAMES, ["青"], ["青"]),
    8: (TEXT, "青", "青"),
}


def issue_schema(emulator: Emulator, **options: Any) -> Row:
    """The JSON schema of `issues` as `discover` gives it."""
    config = emulator.config(**options)
    streams = SourceBacklog(config=config).discover(None, config).streams
    return next(stream.json_schema for stream in streams if stream.name == "issues")


def custom_columns(schema: Row) -> dict[str, Row]:
    """The columns of custom fields in a schema."""
    return {name: column for name, column in schema["properties"].items() if name.startswith("cf_")}


# Without a repr: that of an emulated space is endless, and pytest shows it when a test fails.
@dataclass(repr=False)
class Fields:
    """A project with one field of each type, one issue that fills them all and one that fills none."""

    emulator: Emulator
    schema: Row
    fields: dict[int, Any]
    full: Any
    empty: Any
    result: Sync

    def row(self, issue: Any) -> Row:
        """The row of an issue."""
        return next(row for row in self.result.rows["issues"] if row["id"] == issue.id)


@pytest.fixture(scope="module")
def fields() -> Iterator[Fields]:
    with Emulator(seed=61, projects=2, issues=60) as emulator:
        space = emulator.space
        project = space.create_project("CF", "Custom fields")
        found = {
            kind: space.create_custom_field(project, f"項目 {kind}", kind, items=["赤", "青"] if kind >= 5 else ())
            for kind in TYPES
        }
        values = {found[kind]: value for kind, (_, value, _) in TYPES.items()}
        full = space.create_issue(project, "すべて", custom_fields=values, other_values={found[7]: "その他"})
        empty = space.create_issue(project, "なし")
        schema = issue_schema(emulator, **COLUMNS)
        yield Fields(emulator, schema, found, full, empty, sync(emulator, ["issues"], **COLUMNS))


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_of_field_has_a_column_of_its_type(fields: Fields, kind: int) -> None:
    expected, _, value = TYPES[kind]
    name = f"cf_{fields.fields[kind].id}"
    column = dict(fields.schema["properties"][name])
    description = column.pop("description")
    assert column == expected
    assert f"項目 {kind}" in description and "CF" in description
    assert fields.row(fields.full)[name] == value
    assert fields.row(fields.empty).get(name) in (None, [])


def test_the_array_stays_and_nothing_else_changes(fields: Fields) -> None:
    plain = {row["id"]: row for row in sync(fields.emulator, ["issues"]).rows["issues"]}
    for row in fields.result.rows["issues"]:
        assert {name: value for name, value in row.items() if not name.startswith("cf_")} == plain[row["id"]]
    assert len(fields.row(fields.full)["customFields"]) == len(TYPES)
    plain_schema = issue_schema(fields.emulator)
    assert not custom_columns(plain_schema)
    both = fields.schema["properties"]
    assert {name: both[name] for name in plain_schema["properties"]} == plain_schema["properties"]


def test_every_row_fits_the_schema_and_has_no_column_beside_it(fields: Fields) -> None:
    validator = Draft7Validator(fields.schema)
    filled = 0
    for row in fields.result.rows["issues"]:
        assert not list(validator.iter_errors(row))
        names = {name for name in row if name.startswith("cf_")}
        assert names <= set(fields.schema["properties"])
        filled += any(row[name] is not None for name in names)
    assert filled > 5


def test_names_are_legal_everywhere_and_unique(fields: Fields) -> None:
    names = list(custom_columns(fields.schema))
    space = fields.emulator.space
    visible = space.visible_projects(space.user(None))
    assert len(names) == sum(len(project.custom_fields) for project in visible)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{1,62}", name) for name in names)
    everything = [name.upper() for name in fields.schema["properties"]]
    assert len(everything) == len(set(everything))


def test_only_issues_get_columns(fields: Fields) -> None:
    config = fields.emulator.config(**COLUMNS)
    for stream in SourceBacklog(config=config).discover(None, config).streams:
        assert stream.name == "issues" or not custom_columns(stream.json_schema), stream.name


def test_a_renamed_field_keeps_its_column_and_a_new_one_gets_one() -> None:
    with Emulator(seed=62, projects=1, issues=8) as emulator:
        space = emulator.space
        project = space.create_project("CF", "Custom fields")
        old = space.create_custom_field(project, "旧名", 1)
        issue = space.create_issue(project, "課題", custom_fields={old: "値"})
        before = custom_columns(issue_schema(emulator, **COLUMNS))
        first = sync(emulator, ["issues"], **COLUMNS)

        space.advance(86_400 * 3)
        space.rename_custom_field(project, old, "新名")
        new = space.create_custom_field(project, "追加", 3)
        space.update_issue(issue, custom_fields={new: 7})
        second = sync(emulator, ["issues"], first.state, **COLUMNS)
        row = next(row for row in second.rows["issues"] if row["id"] == issue.id)
        assert (row[f"cf_{old.id}"], row[f"cf_{new.id}"]) == ("値", 7)

        after = custom_columns(issue_schema(emulator, **COLUMNS))
        assert set(after) - set(before) == {f"cf_{new.id}"}
        assert "旧名" in before[f"cf_{old.id}"]["description"] and "新名" in after[f"cf_{old.id}"]["description"]

        space.delete_custom_field(project, old)
        assert f"cf_{old.id}" not in custom_columns(issue_schema(emulator, **COLUMNS))


def test_only_selected_projects_give_columns_and_a_refused_list_costs_its_columns_only() -> None:
    with Emulator(seed=63, projects=1, issues=8) as emulator:
        space = emulator.space
        one, other = space.create_project("ONE", "One"), space.create_project("OTHER", "Other")
        fields = [space.create_custom_field(project, "項目", 1) for project in (one, other)]
        names = [f"cf_{field.id}" for field in fields]
        assert set(custom_columns(issue_schema(emulator, projects=["ONE"], **COLUMNS))) == {names[0]}
        emulator.faults.add(f"/projects/{one.id}/customFields", status=403)
        found = custom_columns(issue_schema(emulator, projects=["ONE", "OTHER"], **COLUMNS))
        assert set(found) == {names[1]}


def test_hundreds_of_fields_in_many_projects() -> None:
    """60 projects with 10 fields each: one request per project, several at a time, and a schema of 600 columns more."""
    latency = 0.1
    with Emulator(seed=64, projects=1, issues=8, latency=latency) as emulator:
        space = emulator.space
        before = sum(len(project.custom_fields) for project in space.visible_projects(space.user(None)))
        for number in range(60):
            project = space.create_project(f"P{number}", f"Project {number}")
            made = [
                space.create_custom_field(project, f"項目 {kind}", kind % 8 + 1, items=["赤"] if kind % 8 > 3 else ())
                for kind in range(10)
            ]
            space.create_issue(project, "課題", custom_fields={made[0]: "値", made[2]: number})
        emulator.clear_requests()
        schema = issue_schema(emulator, **COLUMNS, num_workers=4)
        projects = len(space.visible_projects(space.user(None)))
        assert len(custom_columns(schema)) == 600 + before
        paths = [request.path for request in emulator.requests]
        assert len([path for path in paths if path.endswith("/customFields")]) == projects
        assert len(paths) <= projects + 2
        began = [request.at for request in emulator.requests]
        assert sum(b - a < latency for a, b in itertools.pairwise(began)) > projects / 2

        # A read needs no definitions, and fits what was discovered.
        emulator.clear_requests()
        result = sync(emulator, ["issues"], **COLUMNS)
        assert not [path for path in result.paths() if path.endswith("/customFields")]
        validator = Draft7Validator(schema)
        assert not [error.message for row in result.rows["issues"] for error in validator.iter_errors(row)]
