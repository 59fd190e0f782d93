"""`python -m integration_tests.snowflake`: `backlog-sync` into Snowflake, as far as fakesnow stands in for it.

The loads are killed and resumed as in the tests, and every row and value is compared. Then the dbt package is built of
the tables, and its marts are compared with those that DuckDB makes of the same space. This is no evidence of what
Snowflake itself does: fakesnow translates its SQL for DuckDB, and `stand_in` does for it what it does not know.

The server and dbt's adapter are no part of the environment of the tests, with whose packages they do not go: they are
installed into `build/snowflake` and `build/dbt-snowflake`.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import snowflake.connector
from snowflake.connector.cursor import DictCursor, SnowflakeCursor

from integration_tests.beside import ROOT, free_port, installed

SERVE = "import sys; from fakesnow.cli import main; sys.exit(main(['-s', '-p', sys.argv[1]]))"
# Where a run of `backlog-sync` finds the server: see `sync_runs`.
PORT = "FAKESNOW_PORT"
ROWS_PER_STATEMENT = 100
PATIENCE_SECONDS = 60
# What the dbt package reads beside the streams of the life.
ALSO_READ = (
    *("categories", "custom_field_items", "document_comments", "issue_types", "priorities", "project_administrators"),
    *("pull_request_comments", "pull_requests", "resolutions", "statuses", "sync_coverage"),
)
# What fakesnow makes otherwise of a text that lies in JSON by itself, such as the value of a custom field: it keeps the
# quotes. And when the rows were read.
OTHERWISE = {
    "coverage": {"read_at"},
    "issue_field_history": {"value", "recorded_value", "value_date", "is_inferred"},
}
PROFILE = """
backlog:
  target: snowflake
  outputs:
    snowflake: {{type: snowflake, account: account, user: analyst, password: any, host: 127.0.0.1, port: {port},
      protocol: http, role: LOADER, warehouse: LOADING, database: ANALYTICS, schema: MARTS, threads: 1}}
"""

Row = dict[str, Any]

TO = "snowflake://loader@account/ANALYTICS/BACKLOG?warehouse=LOADING&role=LOADER"

PUT = re.compile(r"PUT 'file://(?P<file>.*?)' '(?P<stage>.*?)'")
COPY = re.compile(r"COPY INTO (?P<table>\S+)\s+FROM '(?P<file>.*?)'")


def stand_in(port: int) -> None:
    """Have this process find the server in the place of Snowflake, and give it nothing that it does not know.

    Several statements in one go as many; files that are put into a stage stay where they are; a file that is copied
    from there into a table goes as rows.
    """
    connect, execute = snowflake.connector.connect, SnowflakeCursor.execute
    staged: dict[str, str] = {}

    def connected(**options: Any) -> Any:
        server = {"host": "127.0.0.1", "port": port, "protocol": "http", "network_timeout": PATIENCE_SECONDS}
        return connect(**{**options, **server})

    def executed(cursor: Any, command: str, *args: Any, num_statements: int | None = None, **options: Any) -> Any:
        # dlt ends each statement of several with a line.
        statements = re.split(r";\s*\n", command) if num_statements == 0 else [command]
        for statement in filter(str.strip, statements):
            if put := PUT.match(statement):
                staged[f"{put['stage']}/{Path(put['file']).name}"] = put["file"]
            elif copy := COPY.match(statement):
                copied(cursor, copy["table"], Path(staged[copy["file"]]))
            else:
                execute(cursor, statement, *args, **options)
        return cursor

    def copied(cursor: Any, table: str, file: Path) -> None:
        schema, name = (part.strip('"') for part in table.split("."))
        execute(
            cursor,
            "SELECT column_name, data_type, numeric_precision, numeric_scale FROM information_schema.columns "
            f"WHERE table_schema = '{schema}' AND table_name = '{name}'",
        )
        kinds = {column: kind for column, *kind in cursor.fetchall()}
        written = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        rows = [json.loads(line) for line in written.splitlines()]
        for first in range(0, len(rows), ROWS_PER_STATEMENT):
            execute(cursor, inserted(table, kinds, rows[first : first + ROWS_PER_STATEMENT]))

    snowflake.connector.connect = connected
    SnowflakeCursor.execute = executed


def inserted(table: str, kinds: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """A statement that inserts `rows`; `kinds` are the types of the table's columns, with precision and scale."""
    names = sorted({name for row in rows for name in row})

    def cast(number: int, kind: str, precision: Any, scale: Any) -> str:
        if kind == "VARIANT":
            return f"PARSE_JSON(column{number})"
        return f"CAST(column{number} AS {f'NUMBER({precision}, {scale})' if kind == 'NUMBER' else kind})"

    values = ", ".join(f"({', '.join(literal(row.get(name), kinds[name.upper()]) for name in names)})" for row in rows)
    columns = ", ".join(f'"{name.upper()}"' for name in names)
    casts = ", ".join(cast(number, *kinds[name.upper()]) for number, name in enumerate(names, 1))
    return f"INSERT INTO {table} ({columns}) SELECT {casts} FROM VALUES {values}"


def literal(value: Any, kind: Any) -> str:
    """A value as Snowflake writes texts; of a VARIANT its JSON."""
    if value is None:
        return "NULL"
    text = value if isinstance(value, str) and kind[0] != "VARIANT" else json.dumps(value, ensure_ascii=False)
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


@contextmanager
def server() -> Iterator[int]:
    """The port of a running server."""
    environment = installed("snowflake", "fakesnow[server]==0.12.1", "snowflake-connector-python<5")
    port = free_port()
    program = [sys.executable, "-c", SERVE, str(port)]
    process = subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert process.poll() is None and time.monotonic() < deadline, "fakesnow does not run"
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait()


def rows_of(table: str, schema: str = "BACKLOG") -> list[Row]:
    """The rows of a table, columns in small letters; moments as text: fakesnow gives 1970 where there is none."""
    with snowflake.connector.connect(
        user="analyst", password="any", account="account", database="ANALYTICS", schema=schema
    ) as connection:
        cursor = connection.cursor(DictCursor)
        kinds = cursor.execute(
            "SELECT column_name AS name, data_type AS kind FROM information_schema.columns "
            f"WHERE table_schema = '{schema}' AND table_name = '{table.upper()}'"
        ).fetchall()
        columns = [
            f'TO_VARCHAR("{each["NAME"]}") AS "{each["NAME"]}"'
            if each["KIND"].startswith("TIMESTAMP")
            else f'"{each["NAME"]}"'
            for each in kinds
        ]
        found = cursor.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
    return [{name.lower(): value for name, value in row.items()} for row in found]


def dbt(folder: Path, environment: dict[str, str], profiles: Path, *options: str) -> None:
    """Build the models of the package, of the tables in the schema `models`."""
    program = "from dbt.cli.main import cli; cli()"
    package = ["--project-dir", ROOT / "models", "--profiles-dir", profiles, "--vars", "backlog_schema: models"]
    paths = {"DBT_TARGET_PATH": str(folder / "target"), "DBT_LOG_PATH": str(folder / "logs")}
    ran = subprocess.run(
        [sys.executable, "-c", program, "run", *package, *options],
        env={**environment, **paths, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]


def marts_of(file: Path) -> dict[str, list[Row]]:
    """The marts that were built in a DuckDB file, by name."""
    import duckdb

    with duckdb.connect(str(file), read_only=True) as connection:
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = 'analytics' AND table_type = 'BASE TABLE' AND NOT starts_with(table_name, 'int_')"
        ).fetchall()
        return {name: connection.execute(f"FROM analytics.{name}").fetch_arrow_table().to_pylist() for (name,) in names}


def comparable(rows: list[Row], without: Collection[str]) -> list[str]:
    """The rows in an order of their own: numbers are numbers, and midnight is a day, which fakesnow does not know."""

    def plain(value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float | Decimal):
            return round(float(value), 6)
        return str(value).removesuffix(" 00:00:00")

    return sorted(str([(name, plain(row[name])) for name in sorted(row) if name not in without]) for row in rows)


def main() -> None:
    """Print how many rows of each stream, and of each mart, were compared."""
    from integration_tests.emulator import Emulator
    from integration_tests.warehouse import Command, live_through

    with server() as port, tempfile.TemporaryDirectory() as name, Emulator(seed=3, projects=2, issues=40) as emulator:
        stand_in(port)
        folder = Path(name)
        # One load at a time: fakesnow keeps the transactions of those that were killed open.
        environment = {PORT: str(port), "LOAD__WORKERS": "1"}
        command = Command(emulator, folder, TO, SNOWFLAKE_PASSWORD="any", **environment)
        print(f"rows that equal the space: {live_through(command, rows_of)}")
        report, _ = command.run("--verify")
        print(report.strip().splitlines()[-2])
        # With a key pair, as Snowflake advises.
        key = folder / "key.pem"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        with_key = {**environment, "SNOWFLAKE_PRIVATE_KEY_PATH": str(key)}
        output, _ = Command(emulator, folder, TO, **with_key).run()
        assert " 0 new or changed" in output, output
        print(output.strip().splitlines()[-2])
        for number, rows in enumerate(compared_marts(port, folder, environment)):
            print(f"rows of marts that equal those in DuckDB, build {number + 1}: {rows}")


def compared_marts(port: int, folder: Path, environment: dict[str, str]) -> Iterator[dict[str, int]]:
    """Build the package of one space in fakesnow and in DuckDB, twice; gives how many rows of each mart are equal."""
    from integration_tests.emulator import Emulator
    from integration_tests.warehouse import STREAMS, Command, change

    file = folder / "backlog.duckdb"
    profiles = folder / "profiles"
    profiles.mkdir()
    (profiles / "profiles.yml").write_text(PROFILE.format(port=port), encoding="utf-8")
    adapter = installed("dbt-snowflake", "dbt-snowflake>=1.11,<1.12", "dbt-core>=1.11,<1.12")
    with Emulator(seed=3, projects=2, issues=40) as emulator:
        streams = [*STREAMS, *ALSO_READ]
        loads = (
            Command(emulator, folder, TO, streams=streams, **environment, SNOWFLAKE_PASSWORD="any"),
            Command(emulator, folder, f"duckdb:///{file}", streams=streams),
        )
        for after in (change, lambda _: None):
            for load in loads:
                load.run("--dataset", "models")
            dbt(folder / "in DuckDB", {**os.environ, "BACKLOG_DUCKDB": str(file)}, ROOT / "models")
            # Whole: fakesnow does not know the temporary tables with which dbt builds a part.
            dbt(folder / "in Snowflake", adapter, profiles, "--full-refresh")
            found = marts_of(file)
            for mart, rows in found.items():
                without = OTHERWISE.get(mart, set())
                assert comparable(rows_of(mart, "MARTS"), without) == comparable(rows, without), mart
            yield {mart: len(rows) for mart, rows in found.items()}
            after(emulator)


if __name__ == "__main__":
    main()
