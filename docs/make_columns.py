"""Write docs/columns.md, every column of every table with type, meaning and example, from the schemas.

Run `python docs/make_columns.py` after a change of a schema; a unit test fails until it is done. The examples are
values of the emulator's space.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from integration_tests.emulator.generator import generate  # noqa: E402
from integration_tests.emulator.limits import Limits  # noqa: E402
from integration_tests.emulator.truth import STREAMS, truth  # noqa: E402
from integration_tests.harness import catalog_streams, primary_key  # noqa: E402

TARGET = ROOT / "docs" / "columns.md"
TYPES = {"integer": "integer", "number": "number", "boolean": "boolean", "string": "text"}
WIDTH = 60
HEAD = """# Columns

Every table and every column, with an example. Column names are in small letters, as DuckDB and PostgreSQL have them;
in Snowflake they are the same in capitals. JSON columns are `JSON` in DuckDB, `jsonb` in PostgreSQL, `VARIANT` in
Snowflake; time stamps are in UTC. The key of a table is printed **bold**. Keys, cursors and cost are in
[streams.md](streams.md), the tables of the dbt package in its [README](../models/README.md), and how to ask questions
in [open-the-database.md](open-the-database.md).

This page is made from the schemas by `python docs/make_columns.py`.
"""


def kind(schema: dict[str, Any]) -> str:
    """The type of a column in words."""
    declared = schema.get("type", [])
    kinds = [declared] if isinstance(declared, str) else [each for each in declared if each != "null"]
    if schema.get("format") == "date-time":
        return "time stamp"
    if schema.get("format") == "date":
        return "date"
    return TYPES.get(kinds[0], "JSON") if len(kinds) == 1 else "JSON"


def example(rows: list[dict[str, Any]], name: str) -> str:
    """The first value that says something, on one line."""
    values = [row[name] for row in rows if row.get(name) not in (None, "", [], {})]
    if not values:
        return ""
    value = values[0]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split()).replace("|", "\\|").replace("`", "'")
    return f"`{text if len(text) <= WIDTH else text[: WIDTH - 1] + '…'}`"


def cell(text: str) -> str:
    """A description as a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def page() -> str:
    """The whole page."""
    space = generate(seed=7, projects=3, issues=40)
    parts = [HEAD]
    streams = catalog_streams()
    for name in sorted(streams):
        schema = streams[name].json_schema
        # What is left of the rate limit depends on the hour.
        known = name in STREAMS and name != "rate_limit"
        rows = truth(space, name, domain="your-space.backlog.jp", limits=Limits()) if known else []
        keys = primary_key(name)
        parts.append(f"\n## {name}\n\n{cell(schema.get('description', ''))}\n")
        parts.append("| Column | Type | Meaning | Example |\n| --- | --- | --- | --- |")
        for column, described in schema["properties"].items():
            shown = f"**`{column.lower()}`**" if column in keys else f"`{column.lower()}`"
            meaning = cell(described.get("description", ""))
            parts.append(f"| {shown} | {kind(described)} | {meaning} | {example(rows, column)} |")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
