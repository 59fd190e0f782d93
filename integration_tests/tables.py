"""The connector's tables, made without a sync: rows of the emulator's truth, as a destination would hold them.

What a sync makes of the same space is compared with that truth elsewhere, row by row.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from integration_tests.emulator import Space
from integration_tests.emulator.limits import Limits
from integration_tests.emulator.truth import truth
from integration_tests.harness import Row, catalog_streams, primary_key

Tables = dict[str, dict[tuple[Any, ...], Row]]
"""Stream -> primary key -> row."""

TYPES = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "string": "VARCHAR"}
EXTRACTED = "_airbyte_extracted_at"
# Streams that are read whole at every sync lose what is gone; the others keep it.
KEPT = ("activities", "deletions")


def column_type(schema: Mapping[str, Any]) -> str:
    """The column of DuckDB for a property, as `backlog-sync` makes it."""
    declared = schema["type"]
    kinds = [declared] if isinstance(declared, str) else [kind for kind in declared if kind != "null"]
    if schema.get("format") == "date-time":
        return "TIMESTAMP"
    if schema.get("format") == "date":
        return "DATE"
    return TYPES.get(kinds[0], "JSON") if len(kinds) == 1 else "JSON"


def columns_of(stream: str) -> dict[str, str]:
    """Column, in small letters -> its type."""
    properties = catalog_streams()[stream].json_schema["properties"]
    return {name.lower(): column_type(schema) for name, schema in properties.items()}


def merge(tables: Tables, stream: str, rows: Iterable[Row]) -> None:
    """Take in the rows of a sync, the last one of each key; what is gone stays where a sync would leave it."""
    keys = primary_key(stream)
    incremental = "incremental" in {mode.value for mode in catalog_streams()[stream].supported_sync_modes or []}
    if not incremental:
        tables[stream].clear()
    for row in rows:
        tables[stream][tuple(row.get(name) for name in keys)] = row


def empty() -> Tables:
    """No tables yet."""
    return defaultdict(dict)


def of_space(space: Space, streams: Iterable[str]) -> Tables:
    """The tables as a first sync of these streams leaves them."""
    held = empty()
    for stream in streams:
        merge(held, stream, truth(space, stream, domain="emulator.backlog.jp", limits=Limits()))
    return held


def to_duckdb(
    file: Path,
    tables: Mapping[str, Mapping[Any, Row]],
    *,
    schema: str = "main",
    without: Iterable[str] = (),
    **types: str,
) -> None:
    """Replace the tables in a DuckDB file.

    `without` are columns (`stream.column`) that an older connector did not have; `types` give a column of any stream
    another type.
    """
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(str(file)) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for stream, rows in tables.items():
            columns = {
                name: types.get(name, kind)
                for name, kind in columns_of(stream).items()
                if f"{stream}.{name}" not in without
            }
            lines = Path(folder) / f"{stream}.jsonl"
            with lines.open("w", encoding="utf-8") as out:
                for row in rows.values():
                    small = {name.lower(): value for name, value in row.items()}
                    out.write(json.dumps({name: small.get(name) for name in columns}, ensure_ascii=False) + "\n")
            declared = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
            options = f"format='newline_delimited', maximum_object_size=67108864, columns={{{declared}}}"
            read = f"read_json('{lines}', {options})"
            connection.execute(
                f"CREATE OR REPLACE TABLE {schema}.{stream} AS SELECT *, now()::TIMESTAMP AS {EXTRACTED} FROM {read}"
            )


def to_postgres(connection: Any, tables: Mapping[str, Mapping[Any, Row]], schema: str) -> None:
    """Replace the tables in a schema of PostgreSQL."""
    kinds = {"DOUBLE": "double precision", "JSON": "jsonb", "VARCHAR": "text"}
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for stream, rows in tables.items():
            columns = columns_of(stream)
            declared = ", ".join(f'"{name}" {kinds.get(kind, kind)}' for name, kind in columns.items())
            cursor.execute(f"DROP TABLE IF EXISTS {schema}.{stream} CASCADE")
            cursor.execute(f"CREATE TABLE {schema}.{stream} ({declared}, {EXTRACTED} timestamp DEFAULT now())")
            names = ", ".join(f'"{name}"' for name in columns)
            lines = io.StringIO()
            for row in rows.values():
                small = {name.lower(): value for name, value in row.items()}
                lines.write("\t".join(_copied(small.get(name), kind) for name, kind in columns.items()) + "\n")
            lines.seek(0)
            cursor.copy_expert(f"COPY {schema}.{stream} ({names}) FROM STDIN", lines)
    connection.commit()


def _copied(value: Any, kind: str) -> str:
    if value is None:
        return "\\N"
    text = json.dumps(value, ensure_ascii=False) if kind == "JSON" else str(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


@cache
def parsed(project: Path, *options: str) -> Any:
    """What dbt has read of a project: that takes as long as a build of small tables, and one is enough for all."""
    from dbt.cli.main import dbtRunner

    result = dbtRunner().invoke(["parse", *options])
    assert result.success, result.exception
    return result.result


def dbt(project: Path, folder: Path, *arguments: str, **environment: str) -> dict[str, str]:
    """Run dbt in this process; fails the test when dbt fails. Returns node -> status, and all lines under `""`.

    The files of all runs with the same options have one name, since it is part of the names of the tables.
    """
    from dbt.cli.main import dbtRunner

    lines: list[str] = []

    def note(event: Any) -> None:
        if event.info.level != "debug":
            lines.append(event.info.msg)

    known = dict(os.environ)
    os.environ.update(
        {
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
            **environment,
        }
    )
    options = ["--project-dir", str(project), "--profiles-dir", str(project), "--quiet", "--no-use-colors"]
    # Neither is looked at, and both take a tenth of the time.
    options += ["--log-level-file", "none", "--no-write-json"]
    settings = [each for name in ("--vars", "--target") for each in given(arguments, name)]
    try:
        manifest = None if arguments[0] == "deps" else parsed(project, *options, *settings)
        result = dbtRunner(manifest=manifest, callbacks=[note]).invoke([*arguments, *options])
    finally:
        os.environ.clear()
        os.environ.update(known)
    output = "\n".join(lines)
    assert result.success, result.exception or output[-8000:]
    statuses = {each.node.name: str(each.status) for each in getattr(result.result, "results", [])}
    return {**statuses, "": output}


def given(arguments: Sequence[str], name: str) -> Sequence[str]:
    """An option with its value, if it is among the arguments."""
    place = arguments.index(name) if name in arguments else len(arguments)
    return arguments[place : place + 2]
