"""`backlog-sync` into a DuckDB file, and what holds for every destination."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.archive import shows_its_space
from integration_tests.emulator import Emulator
from integration_tests.warehouse import (
    STREAMS,
    Command,
    change,
    compare,
    hostile_values_arrive_or_are_named,
    in_this_process,
    live_through,
    lives_beside_a_table_of_somebody_else,
    needs,
)
from source_backlog.api.limits import RateLimits
from source_backlog.cores import allowed_cores
from source_backlog.sync import main

needs("dlt", "dlt (the extra `duckdb`) is not installed")
duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")

pytestmark = pytest.mark.slow


def rows_of(file: Path) -> Any:
    def table(name: str) -> list[dict[str, Any]]:
        with duckdb.connect(str(file), read_only=True) as connection:
            result = connection.execute(f"SELECT * FROM main.{name}")
            columns = [column[0].lower() for column in result.description]
            return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]

    return table


def ask(file: Path, sql: str) -> list[Any]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return list(connection.execute(sql).fetchall())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "backlog.duckdb"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(seed=6, projects=1, issues=10) as running:
        yield running


def test_a_space_with_a_life_in_duckdb(file: Path, tmp_path: Path) -> None:
    with Emulator(seed=3, projects=2, issues=40) as emulator:
        command = Command(emulator, tmp_path, f"duckdb:///{file}")
        compared = live_through(command, rows_of(file))
        shows_its_space(command, tmp_path / "archive")
    assert set(compared) == set(STREAMS) - {"deletions"}
    left = "SELECT sum(estimated_size) FROM duckdb_tables() WHERE schema_name = 'main_staging' AND table_name[1] <> '_'"
    assert ask(file, left) in ([(0,)], [(None,)]), "rows were left in the staging tables"


def test_what_a_failing_connector_has_read_is_kept_until_a_full_refresh(file: Path, tmp_path: Path) -> None:
    with Emulator(seed=5, projects=2, issues=20) as emulator:
        command = Command(emulator, tmp_path, f"duckdb:///{file}")
        emulator.faults.add(r"^/api/v2/users$", kind="status", status=400, times=None)
        _, errors = command.run(status=1)
        assert "backlog-sync: users: " in errors
        held = {row["id"] for row in rows_of(file)("issues")}
        assert held == {row["id"] for row in emulator.truth("issues")}

        emulator.faults.clear()
        change(emulator)
        output, errors = command.run("--full-refresh")
        compare(emulator, rows_of(file))
        gone = {row["entityid"] for row in rows_of(file)("deletions")}
        assert gone
        assert not gone & {str(row["id"]) for row in rows_of(file)("issues")}

        assert emulator.api_key() not in output + errors
        assert not list(command.temporary.iterdir()), "something was left behind"
        assert {path.name for path in file.parent.iterdir()} == {file.name}
        assert not list((tmp_path / "home").iterdir())


def test_what_was_read_is_loaded_on_the_way(file: Path, tmp_path: Path) -> None:
    with Emulator(seed=5, projects=3, issues=30) as emulator:
        command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["issues", "issue_comments", "users"])
        _, errors = command.run(checkpoint=0)
        assert errors.count("Writing") > 1
        assert {row["id"] for row in rows_of(file)("issues")} == {row["id"] for row in emulator.truth("issues")}
        assert ask(file, "SELECT count(*) FROM _dlt_loads WHERE status = 0")[0][0] > 1


def test_a_full_refresh_mends_what_was_damaged(file: Path, emulator: Emulator, tmp_path: Path) -> None:
    command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["issues", "users", "statuses"])
    command.run()
    before = {name: rows_of(file)(name) for name in ("issues", "users", "statuses")}
    loaded = {"_airbyte_extracted_at": None, "_dlt_load_id": None}
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE issues SET summary = 'すり替え'")
        connection.execute("UPDATE statuses SET name = NULL")
        connection.execute("DELETE FROM users WHERE id = (SELECT min(id) FROM users)")
    output, _ = command.run("--full-refresh")
    assert " 0 new or changed" not in output
    for name, rows in before.items():
        there = {row["_airbyte_raw_id"]: row for row in rows_of(file)(name)}
        assert len(there) == len(rows)
        for row in rows:
            assert there[row["_airbyte_raw_id"]] | loaded == row | loaded


def test_a_check_reads_and_writes_nothing(file: Path, emulator: Emulator, tmp_path: Path) -> None:
    command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["issues", "users"])
    assert "The space answers the key, and the destination can be reached." in command.run("--check")[1]
    assert not list(file.parent.glob(f"{file.name}*"))
    command.run()
    held, asked = file.read_bytes(), len(emulator.requests)
    command.run("--check")
    assert not [request for request in emulator.requests[asked:] if request.path.endswith("/issues")]
    assert file.read_bytes() == held
    emulator.faults.add(r"^/api/v2/", kind="status", status=401, times=None)
    _, errors = command.run("--check", status=2)
    assert "API key" in errors.splitlines()[-1]
    assert file.read_bytes() == held


def test_quiet_syncs_write_the_state_alone(file: Path, emulator: Emulator, tmp_path: Path) -> None:
    command = Command(emulator, tmp_path, f"duckdb:///{file}")
    command.run()
    assert ask(file, "SELECT schema_name FROM duckdb_schemas() WHERE NOT internal") == [("main_staging",)]
    sizes = [file.stat().st_size]
    for _ in range(5):
        output, _ = command.run()
        # The state alone: when each project was looked at last.
        sizes.append(file.stat().st_size)
        assert " 0 new or changed" in output
    assert "read again, none changed" in output
    # Half a MiB comes and goes with where DuckDB's list of its tables lies.
    assert max(sizes[1:]) <= 1.1 * sizes[0], sizes
    assert max(sizes[2:]) <= 1.05 * sizes[1], sizes


def test_states_of_long_ago_are_removed(file: Path, emulator: Emulator, tmp_path: Path) -> None:
    command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["issues", "users"])
    command.run()
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "INSERT INTO _dlt_pipeline_state "
            "SELECT s.* REPLACE ('10000000' || (10 + number) AS _dlt_load_id, 'x' AS state) "
            "FROM _dlt_pipeline_state AS s, range(30) AS n(number)"
        )
        connection.execute("UPDATE _dlt_pipeline_state SET pipeline_name = 'other' WHERE _dlt_load_id = '1000000011'")
    emulator.space.create_issue(next(iter(emulator.space.projects.values())), "新しい課題")
    output, _ = command.run()
    held = ask(file, "SELECT pipeline_name, count(*), max(_dlt_load_id) FROM _dlt_pipeline_state GROUP BY 1 ORDER BY 1")
    latest = ask(file, "SELECT max(load_id) FROM _dlt_loads")[0][0]
    assert held == [("backlog", 10, latest), ("other", 1, "1000000011")]
    output, _ = command.run()
    assert " 0 new or changed" in output


@pytest.mark.skipif(len(allowed_cores()) < 2, reason="there is one core, or the system does not tell")
def test_one_core_reads_and_all_of_them_write(
    file: Path, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from source_backlog.sync.loading import Warehouse

    reading: list[frozenset[int]] = []
    writing: list[frozenset[int]] = []
    acquire, write = RateLimits.acquire, Warehouse.write

    def acquiring(self: RateLimits, url: str, at_once: bool = False) -> None:
        if "/comments" in url:
            reading.append(allowed_cores())
        acquire(self, url, at_once)

    def noting(*given: Any) -> None:
        writing.append(allowed_cores())
        write(*given)

    monkeypatch.setattr(RateLimits, "acquire", acquiring)
    monkeypatch.setattr(Warehouse, "write", noting)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(emulator.config(num_workers=4)), encoding="utf-8")
    with in_this_process():
        before = allowed_cores()
        assert main(["--config", str(config), "--to", f"duckdb:///{file}", "--streams", "issue_comments"]) == 0
        assert allowed_cores() == before
    assert len(reading) > 5 and set(writing) == {before}
    ((one,),) = set(reading)
    assert one in before


def test_a_plan_is_within_a_tenth_of_what_the_command_then_sends(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    streams = ["issues", "issue_comments", "activities", "statuses", "projects"]
    with Emulator(seed=2, projects=3, issues=150) as emulator:
        command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=streams)
        with in_this_process():
            assert main(["--plan", "--config", str(command.config), "--streams", command.streams]) == 0
        said = capsys.readouterr().out
        assert f"There are {len(emulator.truth('issues'))} issues in 4 projects" in said
        for what in ("A first load", "A sync in which nothing has changed"):
            told = re.search(rf"{what} takes about ([\d,]+) requests \(([\d,]+) search, ([\d,]+) read\)", said)
            assert told, said
            emulator.clear_requests()
            command.run()
            sent = [request.category for request in emulator.requests]
            for number, counted in zip(
                told.groups(), (len(sent), sent.count("search"), sent.count("read")), strict=True
            ):
                assert counted == pytest.approx(int(number.replace(",", "")), rel=0.1), what
    assert not list(command.temporary.iterdir())


@pytest.mark.parametrize(("user", "refused"), [("administrator", False), ("viewer", True)])
def test_a_plan_says_what_the_user_cannot_read(
    emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str], user: str, refused: bool
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(emulator.config(user=user)), encoding="utf-8")
    with in_this_process():
        assert main(["--plan", "--config", str(config), "--streams", "issues,webhooks"]) == 0
    said = capsys.readouterr().out
    assert ("webhooks: it takes an administrator" in said) is refused
    # Of what was not asked for nothing is said.
    assert "teams" not in said


def test_a_plan_that_cannot_be_made_is_a_sentence(
    emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.json"
    for changed, why in (
        ({"credentials": {"auth_type": "api_key", "api_key": "wrong-key-0123456789"}}, "does not accept the API key"),
        ({"domain": "example"}, "'example' is only the name of a space."),
        ({"projects": ["NOWHERE"]}, "NOWHERE"),
    ):
        config.write_text(json.dumps(emulator.config() | changed), encoding="utf-8")
        with in_this_process():
            assert main(["--plan", "--config", str(config)]) == 2
        said = capsys.readouterr()
        assert why in said.err
        assert len(said.err.splitlines()) == 1
        assert not said.out


def test_a_table_that_was_emptied_is_filled_again(file: Path, emulator: Emulator, tmp_path: Path) -> None:
    command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["users", "recently_viewed_wikis"])
    command.run()
    with duckdb.connect(str(file)) as connection:
        connection.execute("DELETE FROM users")
    command.run()
    assert {row["id"] for row in rows_of(file)("users")} == {row["id"] for row in emulator.truth("users")}


def test_a_project_that_is_gone_does_not_keep_the_others_from_being_read(file: Path, tmp_path: Path) -> None:
    with Emulator(seed=6, projects=2, issues=20) as emulator:
        space = emulator.space
        kept, gone = list(space.projects.values())[:2]
        command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["issues", "statuses"])

        def run(projects: list[str], *arguments: str, status: int = 2) -> str:
            command.config.write_text(json.dumps(emulator.config(projects=projects)), encoding="utf-8")
            return command.run(*arguments, status=status)[1].splitlines()[-1]

        said = f"The option Projects names what the key cannot see: {gone.key}. "
        assert "cannot see: NONE" in run([kept.key, "NONE"]), "a slip"
        assert not file.exists()
        run([f" {kept.key.lower()}", gone.key], status=0)
        rows, issue = len(rows_of(file)("issues")), space.create_issue(kept, "次の課題")
        space.delete_project(gone)
        emulator.clear_requests()
        for arguments in (["--full-refresh"], ["--check"], ["--verify"]):
            assert said in run([kept.key, gone.key], *arguments)
        assert "cannot see: NONE" in run([kept.key, "NONE"]), "a slip in a config that was right"
        assert not [request for request in emulator.requests if request.path.endswith("/issues")]
        for _ in range(2):
            last = run([kept.key, gone.key])
            assert said in last and last.endswith("The others were read.")
        assert issue.id in {row["id"] for row in rows_of(file)("issues")}
        assert len(rows_of(file)("issues")) == rows + 1
        assert run([kept.key], status=0) != last


def test_columns_that_come_later_and_a_start_date_that_is_taken_away_are_said(
    file: Path, emulator: Emulator, tmp_path: Path
) -> None:
    command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["issues", "statuses"])
    config = emulator.config()
    issues = emulator.truth("issues")
    start = sorted(issue["updated"] for issue in issues)[len(issues) // 2]
    columns = {"issue_custom_fields": "columns"}

    def said(options: dict[str, Any], *arguments: str) -> tuple[str, str]:
        command.config.write_text(json.dumps(config | options), encoding="utf-8")
        output, _ = command.run(*arguments)
        return output, output.partition("Skipped or worth knowing:")[2]

    assert said({"start_date": start})[1] == ""
    assert 0 < len(rows_of(file)("issues")) < len(issues)
    output, remarks = said(columns)
    assert "New columns of issues: cf_" in remarks and "--full-refresh --streams issues" in remarks
    assert f"What had not changed since the former Start Date, {start}, may be missing in: issues." in remarks
    assert "statuses" not in remarks
    output, remarks = said(columns)
    assert "New columns" not in output and "former Start Date" in remarks, "the second is said until it is mended"
    output, remarks = said(columns, "--full-refresh")
    assert remarks == "" and " of 2 streams read" in output
    assert {row["id"] for row in rows_of(file)("issues")} == {row["id"] for row in issues}
    assert said(columns)[1] == ""


def test_hostile_values_arrive_or_are_named(file: Path, emulator: Emulator, tmp_path: Path) -> None:
    command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["issues"])
    hostile_values_arrive_or_are_named(command, rows_of(file))


def test_a_table_that_cannot_be_written_costs_itself_alone(file: Path, emulator: Emulator, tmp_path: Path) -> None:
    def execute(statement: str) -> None:
        with duckdb.connect(str(file)) as connection:
            connection.execute(statement)

    command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["issues", "issue_comments", "users"])
    lives_beside_a_table_of_somebody_else(command, rows_of(file), execute, "main", "DROP TABLE issues")


def test_a_tombstone_removes_the_row(file: Path, tmp_path: Path) -> None:
    with Emulator(seed=5, projects=1, issues=12) as emulator:
        command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["issues", "wikis", "deletions"])
        command.config.write_text(json.dumps(emulator.config(deleted_records="tombstones")), encoding="utf-8")
        command.run()
        gone = emulator.space.project("WEB").issues[3]
        emulator.space.advance(3600)
        emulator.space.delete_issue(gone, by="administrator")
        command.run()
        held = {row["id"] for row in rows_of(file)("issues")}
        assert gone.id not in held
        assert held == {row["id"] for row in emulator.truth("issues")}


def test_one_run_at_a_time(file: Path, emulator: Emulator, tmp_path: Path) -> None:
    command = Command(emulator, tmp_path, f"duckdb:///{file}")
    command.run()
    with duckdb.connect(str(file)):
        _, errors = command.run(status=1)
    assert "in use by another process" in errors
    assert len(errors.splitlines()) == 1


def test_a_second_space_is_refused(file: Path, emulator: Emulator, tmp_path: Path) -> None:
    command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["space", "users"])
    command.run()
    emulator.space.key = "another"
    _, errors = command.run(status=2)
    assert "holds the space emulator" in errors.splitlines()[-1]
    assert ask(file, "SELECT spacekey FROM main.space") == [("emulator",)]
    command.run("--dataset", "second")
    assert ask(file, "SELECT spacekey FROM second.space") == [("another",)]


def test_tables_of_version_0_1_are_gone_on_with(file: Path, emulator: Emulator, tmp_path: Path) -> None:
    old = "_airbyte_raw_id VARCHAR, _airbyte_extracted_at TIMESTAMP, _airbyte_meta JSON"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE _airbyte_state (stream_name VARCHAR, state_json VARCHAR)")
        connection.execute(f"CREATE TABLE users (id BIGINT, name VARCHAR, {old})")
        connection.execute("INSERT INTO users (id, name) VALUES (1, 'gone')")
        connection.execute("CREATE VIEW people AS SELECT id FROM users")
    command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["issues", "users"])
    _, errors = command.run()
    assert "written by version 0.1" in errors
    _, errors = command.run()
    assert "written by version 0.1" not in errors
    assert {row[0] for row in ask(file, "SELECT id FROM people")} == {row["id"] for row in emulator.truth("users")}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_says_so(
    file: Path, emulator: Emulator, tmp_path: Path, number: int, status: int
) -> None:
    emulator.faults.add(r"^/api/v2/issues$", kind="hang", seconds=5, times=None)
    command = Command(emulator, tmp_path, f"duckdb:///{file}")
    run = command.started(requests=8)
    run.send(number)
    assert run.wait() == status
    assert "the next run goes on from the last checkpoint" in run.said().splitlines()[-1]
    assert not list(command.temporary.iterdir())


def test_a_run_that_is_stopped_while_it_loads_says_so(file: Path, emulator: Emulator, tmp_path: Path) -> None:
    command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["issues", "users", "projects"])
    for phase, number, status, how in (
        ("extract", signal.SIGINT, 130, "interrupted"),
        ("merge", signal.SIGTERM, 143, "stopped by SIGTERM"),
        # dlt has finished the load then, and would go on.
        ("complete", signal.SIGINT, 130, "interrupted"),
    ):
        emulator.space.advance(3600)
        emulator.space.update_issue("WEB-1", summary=f"before {phase}", by="member")
        _, errors = command.run(status=status, at=phase, signal=number)
        assert errors.splitlines()[-1] == f"backlog-sync: {how}; the next run goes on from the last checkpoint."
        assert not list(command.temporary.iterdir()), phase
    command.run()
    held = {row["id"]: row["summary"] for row in rows_of(file)("issues")}
    assert held == {row["id"]: row["summary"] for row in emulator.truth("issues")}


def test_a_full_disk_is_named(file: Path, emulator: Emulator, tmp_path: Path) -> None:
    command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["issues", "users"])
    # As if there were no room beyond it, for the database as for what is on its way there.
    _, errors = command.run(status=2, largest_file=16_000)
    assert errors.splitlines()[-1] == "backlog-sync: The disk of the destination is full. Make room."
    assert not list(command.temporary.iterdir())
    command.run()


def test_nobody_but_backlog_and_the_destination_is_contacted(file: Path, emulator: Emulator, tmp_path: Path) -> None:
    """Every other address would be asked through a proxy that nobody answers at, and looked up nowhere."""
    unreachable, seen = "http://127.0.0.1:9", tmp_path / "connections"
    command = Command(emulator, tmp_path, f"duckdb:///{file}", HTTP_PROXY=unreachable, HTTPS_PROXY=unreachable)
    command.run(watch=str(seen))
    contacted = [json.loads(line) for line in seen.read_text(encoding="utf-8").splitlines()]
    host, port = emulator.address.split(":")
    assert {tuple(where) for event, where in contacted if event == "socket.connect"} == {(host, int(port))}
    assert {where for event, where in contacted if event == "socket.getaddrinfo"} <= {host}
    assert {event for event, _ in contacted} <= {"socket.connect", "socket.getaddrinfo"}
    assert not list((tmp_path / "home").iterdir()), "dlt would keep an id of the user there"


def test_new_oauth_tokens_are_written_back(file: Path, emulator: Emulator, tmp_path: Path) -> None:
    command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["users"])
    config = emulator.oauth_config() | {"note": "stays"}
    config["credentials"]["token_expiry_date"] = "2020-01-01T00:00:00Z"
    command.config.write_text(json.dumps(config), encoding="utf-8")
    command.config.chmod(0o600)
    emulator.oauth.expire_all()
    command.run()
    saved = json.loads(command.config.read_text(encoding="utf-8"))
    assert saved["credentials"]["refresh_token"] != config["credentials"]["refresh_token"]
    assert saved["note"] == "stays"
    assert stat.S_IMODE(command.config.stat().st_mode) == 0o600
    # The rotated token works, so the next run does not need the user.
    command.run()


def test_no_token_is_renewed_that_cannot_be_kept(
    file: Path, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = Command(emulator, tmp_path, f"duckdb:///{file}", streams=["users"])
    config = emulator.oauth_config()
    config["credentials"]["token_expiry_date"] = "2020-01-01T00:00:00Z"
    # What root may do cannot be forbidden: /proc/self/fd has no room for a file either.
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps(config), encoding="utf-8")
    descriptor = os.open(secret, os.O_RDONLY)
    command.config.unlink()
    command.config = Path(f"/proc/{os.getpid()}/fd/{descriptor}")
    secret.unlink()
    emulator.oauth.expire_all()
    _, errors = command.run(status=2)
    os.close(descriptor)
    assert "cannot be written to the config" in errors.splitlines()[-1]
    assert not [request for request in emulator.requests if request.path == "/api/v2/oauth2/token"]
