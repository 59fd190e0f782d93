"""Days that people type in arrive as days, whatever time Backlog gives them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from integration_tests.emulator import Emulator
from integration_tests.harness import configured, sync
from source_backlog import SourceBacklog

LOGGER = logging.getLogger("airbyte")

COLUMNS = {
    "issues": ("startDate", "dueDate"),
    "issue_custom_field_values": ("dateValue",),
    "issue_milestones": ("startDate", "releaseDueDate"),
    "issue_versions": ("startDate", "releaseDueDate"),
    "versions": ("startDate", "releaseDueDate"),
}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(seed=15, projects=2, issues=60) as emulator:
        yield emulator


def days(rows: list[dict[str, Any]], stream: str) -> list[Any]:
    """The values of the columns of days, in the order of the rows."""
    return sorted(
        (
            [row["id"] if "id" in row else row["customFieldId"], row.get(name)]
            for row in rows
            for name in COLUMNS[stream]
        ),
        key=str,
    )


@pytest.mark.parametrize("given", ["utc", "zone"])
def test_every_day_is_the_one_that_was_typed_in(emulator: Emulator, given: str) -> None:
    emulator.space.quirks.days = given
    first = sync(emulator, list(COLUMNS))
    for stream, columns in COLUMNS.items():
        found = days(first.rows[stream], stream)
        assert found == days(emulator.truth(stream), stream)
        typed = [value for _, value in found if value is not None]
        assert typed and all(str(date.fromisoformat(value)) == value for value in typed), columns
    emulator.space.advance(60)
    emulator.space.update_issue("WEB-1", due_date="2026-03-01")
    second = sync(emulator, ["issues"], first.state)
    assert next(row["dueDate"] for row in second.rows["issues"] if row["issueKey"] == "WEB-1") == "2026-03-01"


def test_only_what_is_not_midnight_costs_a_request_and_one_for_all(emulator: Emulator) -> None:
    assert "space" not in sync(emulator, list(COLUMNS)).paths()
    emulator.space.quirks.days = "zone"
    assert sync(emulator, list(COLUMNS)).paths().count("space") == 1


@pytest.mark.parametrize("status", [403, 404])
def test_a_space_that_does_not_tell_its_zone_costs_a_warning_and_no_day(emulator: Emulator, status: int) -> None:
    emulator.space.quirks.days = "zone"
    emulator.faults.add(r"^/api/v2/space$", status=status, times=None)
    result = sync(emulator, ["issues", "versions"])
    for stream in ("issues", "versions"):
        assert days(result.rows[stream], stream) == days(emulator.truth(stream), stream)
    (line,) = [text for text in result.warnings() if "time zone" in text]
    assert line.startswith("The time zone of the space is not known.")


@pytest.mark.parametrize("declared", ["date", "date-time"])
def test_a_custom_field_is_as_the_catalog_has_it(emulator: Emulator, declared: str) -> None:
    """A connection of 0.1 that was not refreshed still declares a time."""
    space = emulator.space
    field = next(each for each in space.project("WEB").custom_fields if each.type_id == 4)
    issue = space.create_issue("WEB", "納期", custom_fields={field: "2026-05-29"})
    space.quirks.days = "zone"
    config = emulator.config(issue_custom_fields="columns")
    (stream,) = (one for one in SourceBacklog(config=config).discover(LOGGER, config).streams if one.name == "issues")
    column = stream.json_schema["properties"][f"cf_{field.id}"]
    assert column["format"] == "date"
    column["format"] = declared
    catalog = configured(["issues"])
    catalog.streams[0].stream = stream
    source = SourceBacklog(catalog=catalog, config=config)
    rows = [message.record.data for message in source.read(LOGGER, config, catalog) if message.record]
    expected = "2026-05-29" if declared == "date" else "2026-05-28T15:00:00Z"
    assert next(row[f"cf_{field.id}"] for row in rows if row["id"] == issue.id) == expected
