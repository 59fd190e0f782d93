"""`backlog-sync` into fakesnow, an emulator of Snowflake: no evidence about the real one. See `fakesnow_sync.py`."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.emulator import Emulator
from integration_tests.warehouse import STREAMS, Command, live_through, needs

needs("airbyte", "PyAirbyte (the extra `warehouse`) is not installed")

pytestmark = pytest.mark.slow

# fakesnow wants another DuckDB than PyAirbyte, so it gets an environment of its own, which stays for the next run.
ENVIRONMENT = Path("build/fakesnow")
PACKAGES = ["fakesnow[server]==0.12.1", "snowflake-connector-python<5"]


def _program() -> Path:
    program = ENVIRONMENT / "bin" / "fakesnow"
    if not program.exists():
        # Without a pip of its own, and without compiling what is never imported: a third less time.
        for command in (
            [sys.executable, "-m", "venv", "--clear", "--without-pip", str(ENVIRONMENT)],
            [sys.executable, "-m", "pip", "--python", str(ENVIRONMENT), "install", "-q", "--no-compile", *PACKAGES],
        ):
            result = subprocess.run(command, capture_output=True, text=True, timeout=300)
            if result.returncode:
                pytest.skip(f"fakesnow cannot be installed: {(result.stderr.strip() or 'no reason given')[-200:]}")
    return program


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a fakesnow server."""
    program = _program()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    server = subprocess.Popen(
        [str(program), "-s", "-p", str(number)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", number)):
            assert server.poll() is None, "fakesnow has ended"
            assert time.monotonic() < deadline, "fakesnow does not listen"
            time.sleep(0.2)
        yield number
    finally:
        server.terminate()
        server.wait(30)


def test_a_space_with_a_life_in_an_emulated_snowflake(port: int, tmp_path: Path) -> None:
    # Here and not above: they take seconds, and each worker of pytest imports this file.
    import snowflake.connector
    from snowflake.connector.constants import FIELD_ID_TO_NAME

    from integration_tests.fakesnow_sync import connect_args

    def table(name: str) -> list[dict[str, Any]]:
        with snowflake.connector.connect(
            user="LOADER", password="x", account="x", database="RAW", schema="BACKLOG", **connect_args(port)
        ) as connection:
            cursor = connection.cursor().execute(f"SELECT * FROM {name} LIMIT 0")
            kinds = {column.name: FIELD_ID_TO_NAME[column.type_code] for column in cursor.description}
            # fakesnow shows 1970 where a time stamp is null.
            shown = (f"{column}::varchar" if kind.startswith("TIMESTAMP") else column for column, kind in kinds.items())
            rows = cursor.execute(f"SELECT {', '.join(shown)} FROM {name}").fetchall()
            return [dict(zip(map(str.lower, kinds), row, strict=True)) for row in rows]

    to = "snowflake://LOADER@127.0.0.1/RAW/BACKLOG?warehouse=LOADING&role=BACKLOG_LOADER"
    program = [sys.executable, "-m", "integration_tests.fakesnow_sync", str(port)]
    with Emulator(seed=3, projects=2, issues=40) as emulator:
        command = Command(emulator, tmp_path, to, program=program, SNOWFLAKE_PASSWORD="x")
        # fakesnow keeps the transaction of a client that was killed open for ever; Snowflake would end it.
        compared = live_through(command, table, killed_while_writing=False)
    assert set(compared) == set(STREAMS) - {"deletions"}
