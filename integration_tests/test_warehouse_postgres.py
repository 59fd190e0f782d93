"""`backlog-sync` into a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.emulator import Emulator
from integration_tests.warehouse import STREAMS, Command, live_through, needs

needs("airbyte", "PyAirbyte (the extra `warehouse`) is not installed")
pytest.importorskip("psycopg2", reason="psycopg2 comes with PyAirbyte")

from integration_tests.postgresql import PASSWORD, postgresql, query  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, Any]]:
    with postgresql() as server:
        yield server


def test_a_space_with_a_life_in_postgresql(server: dict[str, Any], tmp_path: Path) -> None:
    to = f"postgresql://loader@127.0.0.1:{server['port']}/warehouse?schema=backlog"
    with Emulator(seed=3, projects=2, issues=40) as emulator:
        command = Command(emulator, tmp_path, to, PGPASSWORD=PASSWORD)
        compared = live_through(
            command,
            lambda name: query(server, f"SELECT * FROM backlog.{name}"),
            # A view, as every BI tool makes them, must not stand in the way of the next load, and grants must stay.
            between=lambda: query(
                server,
                "CREATE VIEW backlog.members AS SELECT * FROM backlog.project_users; CREATE ROLE analyst; "
                "GRANT SELECT ON backlog.project_users, backlog.issues TO analyst",
            ),
        )
    for table in ("project_users", "issues"):
        granted = query(server, f"SELECT has_table_privilege('analyst', 'backlog.{table}', 'SELECT') AS granted")
        assert granted == [{"granted": True}]
    assert query(server, "SELECT count(*) AS rows FROM backlog.members")[0]["rows"] == compared["project_users"]
    assert set(compared) == set(STREAMS) - {"deletions"}
    assert query(server, "SELECT count(*) AS nulls FROM backlog.issues WHERE assignee IS NULL")[0]["nulls"] > 0
    found = query(
        server,
        "SELECT data_type FROM information_schema.columns "
        "WHERE table_schema = 'backlog' AND table_name = 'issues' AND column_name = 'updated'",
    )
    assert found == [{"data_type": "timestamp without time zone"}]


def test_a_wrong_password_is_for_the_user_to_mend(server: dict[str, Any], tmp_path: Path) -> None:
    to = f"postgresql://loader@127.0.0.1:{server['port']}/warehouse"
    with Emulator(seed=6, projects=1, issues=10) as emulator:
        _, errors = Command(emulator, tmp_path, to, PGPASSWORD="wrong-secret").run(status=2)
    assert "password authentication failed" in errors
    assert "wrong-secret" not in errors
    assert "Traceback" not in errors
