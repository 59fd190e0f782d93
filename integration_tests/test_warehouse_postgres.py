"""`backlog-sync` into a real PostgreSQL server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.archive import shows_its_space
from integration_tests.emulator import Emulator
from integration_tests.warehouse import (
    STREAMS,
    Command,
    hostile_values_arrive_or_are_named,
    live_through,
    lives_beside_a_table_of_somebody_else,
    needs,
)

needs("dlt", "dlt (the extra `postgres`) is not installed")
psycopg2 = pytest.importorskip("psycopg2", reason="psycopg2 is not installed")

from integration_tests.postgresql import PASSWORD, postgresql, query  # noqa: E402

pytestmark = pytest.mark.slow

# Of a second user: without a blank, rows go another way into the database.
FAST = "p@ss/w:rd%41?#"


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, Any]]:
    with postgresql() as server:
        query(server, f"CREATE ROLE fast SUPERUSER LOGIN PASSWORD '{FAST}'")
        yield server


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(seed=6, projects=1, issues=10) as running:
        yield running


def to(server: dict[str, Any], schema: str, user: str = "loader") -> str:
    return f"postgresql://{user}@127.0.0.1:{server['port']}/warehouse?schema={schema}"


def test_a_space_with_a_life_in_postgresql(server: dict[str, Any], tmp_path: Path) -> None:
    with Emulator(seed=3, projects=2, issues=40) as emulator:
        command = Command(emulator, tmp_path, to(server, "backlog", "fast"), PGPASSWORD=FAST)
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
        shows_its_space(command, tmp_path / "archive")
    for table in ("project_users", "issues"):
        granted = query(server, f"SELECT has_table_privilege('analyst', 'backlog.{table}', 'SELECT') AS granted")
        assert granted == [{"granted": True}]
        left = query(server, f"SELECT count(*) AS rows FROM backlog_staging.{table}")
        assert left == [{"rows": 0}], "rows were left in the staging tables"
    assert query(server, "SELECT count(*) AS rows FROM backlog.members")[0]["rows"] == compared["project_users"]
    assert set(compared) == set(STREAMS) - {"deletions"}
    assert query(server, "SELECT count(*) AS nulls FROM backlog.issues WHERE assignee IS NULL")[0]["nulls"] > 0
    found = query(
        server,
        "SELECT data_type FROM information_schema.columns "
        "WHERE table_schema = 'backlog' AND table_name = 'issues' AND column_name = 'updated'",
    )
    assert found == [{"data_type": "timestamp without time zone"}]


@pytest.mark.parametrize(("user", "password"), [("fast", FAST), ("loader", PASSWORD)])
def test_hostile_values_arrive_or_are_named(
    server: dict[str, Any], emulator: Emulator, tmp_path: Path, user: str, password: str
) -> None:
    command = Command(emulator, tmp_path, to(server, f"hostile_{user}", user), streams=["issues"], PGPASSWORD=password)
    hostile_values_arrive_or_are_named(command, lambda name: query(server, f"SELECT * FROM hostile_{user}.{name}"))


def test_a_table_that_cannot_be_written_costs_itself_alone(
    server: dict[str, Any], emulator: Emulator, tmp_path: Path
) -> None:
    execute(server, "CREATE SCHEMA beside")
    command = Command(
        emulator, tmp_path, to(server, "beside", "fast"), streams=["issues", "issue_comments", "users"], PGPASSWORD=FAST
    )
    lives_beside_a_table_of_somebody_else(
        command,
        lambda name: query(server, f"SELECT * FROM beside.{name}"),
        lambda statement: execute(server, statement),
        "beside",
        "ALTER TABLE beside.issues ALTER COLUMN summary TYPE text",
    )


def test_a_backup_is_compared_with_backlog(server: dict[str, Any], emulator: Emulator, tmp_path: Path) -> None:
    streams = ["issues", "issue_comments", "wikis", "deletions", "sync_coverage"]
    command = Command(emulator, tmp_path, to(server, "backup", "fast"), streams=streams, PGPASSWORD=FAST)
    command.config.write_text(json.dumps(emulator.config(num_workers=4)), encoding="utf-8")
    files = ["--files", str(tmp_path / "files")]
    verify = [*files, "--verify", "--json", "-", "--sample", "100000"]
    command.run(*files)
    good = json.loads(command.run(*verify)[0])
    objects = sum(len(emulator.truth(stream)) for stream in streams[:3])
    assert good["differences"] == 0 and good["sample"]["same"] == objects > 20 and good["files"]["checked"] > 3

    first, second = query(server, "SELECT id FROM backup.issues ORDER BY id LIMIT 2")
    execute(server, f"DELETE FROM backup.issues WHERE id = {first['id']}")
    execute(server, f"UPDATE backup.issues SET summary = 'すり替え' WHERE id = {second['id']}")
    (row,) = query(server, "SELECT id, path FROM backup.issue_attachment_files ORDER BY id LIMIT 1")
    (tmp_path / "files" / row["path"]).write_bytes(bytes((tmp_path / "files" / row["path"]).stat().st_size))
    damaged = json.loads(command.run(*verify, status=1)[0])
    assert sum(one["missing"] for one in damaged["counts"]) == 1
    assert [(one["id"], one["field"]) for one in damaged["sample"]["wrong"]] == [(str(second["id"]), "summary")]
    assert [one["id"] for one in damaged["files"]["wrong"]] == [row["id"]]
    assert damaged["differences"] == 3
    # As docs/warehouse.md says.
    command.run(*files, "--full-refresh")
    mended = json.loads(command.run(*verify)[0])
    assert mended["differences"] == 0 and mended["sample"]["same"] == objects


def test_a_second_run_ends_at_once(server: dict[str, Any], emulator: Emulator, tmp_path: Path) -> None:
    emulator.faults.add(r"^/api/v2/issues$", kind="hang", times=None)
    command = Command(emulator, tmp_path, to(server, "alone"), PGPASSWORD=PASSWORD)
    first = command.started(requests=8)
    _, errors = command.run(status=1)
    assert "Another run of backlog-sync writes to" in errors
    first.send(9)
    first.wait()


def test_the_database_closes_the_connection(server: dict[str, Any], emulator: Emulator, tmp_path: Path) -> None:
    execute(server, "CREATE DATABASE fragile")
    emulator.faults.add(r"^/api/v2/issues$", kind="slow", seconds=2)
    address = to(server, "gone").replace("/warehouse", "/fragile")
    command = Command(emulator, tmp_path, address, PGPASSWORD=PASSWORD, streams=["issues", "users"])
    run = command.started(requests=6)
    execute(server, "ALTER DATABASE fragile ALLOW_CONNECTIONS false")
    execute(server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'fragile'")
    assert run.wait() == 1
    assert run.said().splitlines()[-1] == "backlog-sync: The database cannot be reached. Try again later."
    execute(server, "ALTER DATABASE fragile ALLOW_CONNECTIONS true")
    command.run()


def test_the_database_closes_the_connection_while_it_is_written_to(
    server: dict[str, Any], emulator: Emulator, tmp_path: Path
) -> None:
    name = "closing"
    execute(server, f"CREATE DATABASE {name}")
    address = to(server, "gone").replace("/warehouse", f"/{name}")
    command = Command(emulator, tmp_path, address, PGPASSWORD=PASSWORD, streams=["issues", "users"])
    _, errors = command.run(status=1, at="merge", close={**server, "dbname": name})
    assert errors.splitlines()[-1] == "backlog-sync: The database cannot be reached. Try again later."
    assert not list(command.temporary.iterdir())
    execute(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    command.run()
    rows = query({**server, "dbname": name}, "SELECT id FROM gone.issues")
    assert {row["id"] for row in rows} == {row["id"] for row in emulator.truth("issues")}


def test_a_check_writes_nothing(server: dict[str, Any], emulator: Emulator, tmp_path: Path) -> None:
    command = Command(emulator, tmp_path, to(server, "checked"), PGPASSWORD=PASSWORD)
    assert "the destination can be reached" in command.run("--check")[1]
    assert not query(server, "SELECT 1 FROM information_schema.schemata WHERE schema_name LIKE 'checked%'")


def test_missing_rights_are_for_the_user_to_mend(server: dict[str, Any], emulator: Emulator, tmp_path: Path) -> None:
    execute(server, "CREATE ROLE guest LOGIN PASSWORD 'guest'")
    command = Command(emulator, tmp_path, to(server, "mine", "guest"), PGPASSWORD="guest", streams=["users"])
    _, errors = command.run(status=2)
    assert "may not do what is needed" in errors.splitlines()[-1]
    assert "CREATE SCHEMA" not in errors


def test_a_wrong_password_is_for_the_user_to_mend(server: dict[str, Any], emulator: Emulator, tmp_path: Path) -> None:
    _, errors = Command(emulator, tmp_path, to(server, "backlog"), PGPASSWORD="wrong-secret").run(status=2)
    assert errors == "backlog-sync: The database refuses the login: check the user and the password or key.\n"


def test_the_password_may_stand_in_pgpass(server: dict[str, Any], emulator: Emulator, tmp_path: Path) -> None:
    command = Command(emulator, tmp_path, to(server, "pass"), streams=["users"])
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    (tmp_path / "home" / ".pgpass").write_text(f"127.0.0.1:*:*:loader:{escaped}\n", encoding="utf-8")
    (tmp_path / "home" / ".pgpass").chmod(0o600)
    command.run()
    assert len(query(server, "SELECT id FROM pass.users")) == len(emulator.truth("users"))


def execute(server: dict[str, Any], statement: str) -> None:
    """Run a statement that no transaction may hold."""
    connection = psycopg2.connect(**server)
    connection.autocommit = True
    connection.cursor().execute(statement)
    connection.close()
