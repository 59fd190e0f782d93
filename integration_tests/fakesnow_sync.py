"""`backlog-sync` against fakesnow, an emulator of Snowflake; what fakesnow 0.12 cannot do is replaced here.

Run as `python -m integration_tests.fakesnow_sync PORT …arguments of backlog-sync…`.
What this shows: the settings, the tables and types, MERGE, the replacement of whole tables, and the state, by the
real SnowflakeSqlProcessor, snowflake-sqlalchemy and Snowflake connector. What it does not show: PUT and COPY INTO,
identifiers in quotes, or anything of a real Snowflake.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import sqlalchemy

from source_backlog.sync import loading, main

# What fakesnow takes for a statement hardly grows with its rows.
ROWS_PER_INSERT = 50


def connect_args(port: int) -> dict[str, Any]:
    """How the Snowflake connector reaches fakesnow on this machine."""
    # PyAirbyte sets two session parameters at once, which fakesnow cannot parse.
    parameters = {"nop_regexes": [r"^\s*ALTER SESSION"]}
    return {"host": "127.0.0.1", "port": port, "protocol": "http", "session_parameters": parameters}


class Loading(loading.SnowflakeLoading):
    """Writes rows with INSERT instead of PUT and COPY INTO, and identifiers as Snowflake would fold them."""

    def _quote_identifier(self, identifier: str) -> str:
        return f'"{identifier.upper()}"'

    def _write_files_to_new_table(self, files: list[Path], stream_name: str, batch_id: str) -> str:
        loading._keep_last_of_each_key(files, self.catalog_provider.get_primary_keys(stream_name))
        name: str = self._create_table_for_loading(stream_name, batch_id)
        types = self._get_sql_column_definitions(stream_name)
        columns = ", ".join(self._quote_identifier(column) for column in types)
        values = ", ".join(
            f'row_:"{column}"' + ("" if str(kind) == "VARIANT" else f"::{kind}") for column, kind in types.items()
        )
        lines = [line.decode() for file in files for line in loading._lines(file)]
        with self.get_sql_connection() as connection:
            for start in range(0, len(lines), ROWS_PER_INSERT):
                rows = {f"row{number}": line for number, line in enumerate(lines[start : start + ROWS_PER_INSERT])}
                parsed = " UNION ALL ".join(f"SELECT parse_json(:{row}) AS row_" for row in rows)
                insert = f"INSERT INTO {self._fully_qualified(name)} ({columns}) SELECT {values} FROM ({parsed})"
                connection.execute(sqlalchemy.text(insert), rows)
        return name


class Source(loading.BacklogSource):
    """Gives schemas without `$schema`, which fakesnow takes for a variable of the session, even within a text."""

    def _discover(self) -> Any:
        catalog = super()._discover()
        for stream in catalog.streams:
            stream.json_schema.pop("$schema", None)
        return catalog


if __name__ == "__main__":
    port = int(sys.argv[1])
    loading.BacklogSource = Source
    loading.BacklogSnowflake._sql_processor_class = Loading
    loading.BacklogSnowflake.get_sql_alchemy_connect_args = lambda self: connect_args(port)
    sys.exit(main(sys.argv[2:]))
