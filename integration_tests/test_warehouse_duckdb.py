"""`backlog-sync` into a DuckDB file, and what holds for every destination."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from integration_tests.emulator import Emulator
from integration_tests.warehouse import STREAMS, Command, change, compare, live_through, needs

needs("airbyte", "PyAirbyte (the extra `warehouse`) is not installed")
duckdb = pytest.importorskip("duckdb", reason="DuckDB comes with PyAirbyte")

pytestmark = pytest.mark.slow


def rows_of(file: Path) -> Any:
    def table(name: str) -> list[dict[str, Any]]:
        with duckdb.connect(str(file), read_only=True) as connection:
            result = connection.execute(f"SELECT * FROM main.{name}")
            columns = [column[0].lower() for column in result.description]
            return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]

    return table


def test_a_space_with_a_life_in_duckdb(tmp_path: Path) -> None:
    file = tmp_path / "data" / "backlog.duckdb"
    with Emulator(seed=3, projects=2, issues=40) as emulator:
        compared = live_through(Command(emulator, tmp_path, f"duckdb:///{file}"), rows_of(file))
    assert set(compared) == set(STREAMS) - {"deletions"}


def test_what_a_failing_connector_has_read_is_kept_until_a_full_refresh(tmp_path: Path) -> None:
    file = tmp_path / "data" / "backlog.duckdb"
    with Emulator(seed=5, projects=2, issues=20) as emulator:
        command = Command(emulator, tmp_path, f"duckdb:///{file}")
        emulator.faults.add(r"^/api/v2/users$", kind="status", status=400, times=None)
        _, errors = command.run(status=1)
        assert "backlog-sync: " in errors
        assert "Traceback" not in errors
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
        assert {path.name for path in tmp_path.iterdir()} == {"config.json", "data"}, "something was left behind"


def test_the_file_is_in_use(tmp_path: Path) -> None:
    file = tmp_path / "backlog.duckdb"
    with Emulator(seed=6, projects=1, issues=10) as emulator, duckdb.connect(str(file)):
        _, errors = Command(emulator, tmp_path, f"duckdb:///{file}").run(status=1)
    assert "in use by another process" in errors


def test_a_wrong_key_is_for_the_user_to_mend(tmp_path: Path) -> None:
    with Emulator(seed=6, projects=1, issues=10) as emulator:
        command = Command(emulator, tmp_path, f"duckdb:///{tmp_path / 'backlog.duckdb'}", streams=["users"])
        wrong = emulator.config()
        wrong["credentials"]["api_key"] = "wrong"
        command.config.write_text(json.dumps(wrong), encoding="utf-8")
        _, errors = command.run(status=2)
    assert "API key" in errors.splitlines()[-1]


def test_new_oauth_tokens_are_written_back(tmp_path: Path) -> None:
    with Emulator(seed=6, projects=1, issues=10) as emulator:
        command = Command(emulator, tmp_path, f"duckdb:///{tmp_path / 'backlog.duckdb'}", streams=["users"])
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
