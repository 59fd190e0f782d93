"""The command line of `backlog-sync`: destinations, credentials, config and exit status. No database, no network."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path

import pytest
import yaml

from source_backlog.sync import main
from source_backlog.sync.command import SUGGESTED_STREAMS, config_of
from source_backlog.sync.destinations import destination_of
from source_backlog.sync.errors import USAGE, SyncError
from source_backlog.sync.progress import Progress

KEY = {"SNOWFLAKE_PRIVATE_KEY_PATH": "key.p8"}
SNOWFLAKE = "snowflake://LOADER@org-account/RAW/BACKLOG?warehouse=LOADING&role=BACKLOG_LOADER"


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("postgresql://me:secret@host/db", "PGPASSWORD"),
        ("postgresql://me@host/db?password=secret", "PGPASSWORD"),
        ("snowflake://me:secret@account/db/schema?warehouse=w&role=r", "SNOWFLAKE_PASSWORD"),
    ],
)
def test_a_password_on_the_command_line_is_refused(
    url: str, variable: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKLOG_DOMAIN", "example.backlog.jp")
    monkeypatch.setenv("BACKLOG_API_KEY", "key")
    assert main(["--to", url]) == USAGE
    shown = capsys.readouterr().err
    assert variable in shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me@host/db",
        "backlog.duckdb",
        "duckdb://",
        "duckdb://host/file",
        "postgresql://host/db",
        "postgresql://me@host",
        "postgresql://me@host/db?sslmode=require",
        "snowflake://me@account/db/schema",
        "snowflake://me@account?warehouse=w&role=r",
    ],
)
def test_what_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(SyncError) as error:
        destination_of(url, KEY)
    assert error.value.status == USAGE


def test_duckdb() -> None:
    assert destination_of("duckdb:///backlog.duckdb", {}).settings["db_path"] == "backlog.duckdb"
    assert destination_of("duckdb:////data/backlog.duckdb", {}).settings["db_path"] == "/data/backlog.duckdb"


def test_postgresql() -> None:
    destination = destination_of("postgresql://me@db.example.com/sales?schema=raw", {"PGPASSWORD": "p@ss/w:rd"})
    assert destination.settings == {
        "host": "db.example.com",
        "port": 5432,
        "database": "sales",
        "username": "me",
        "password": "p%40ss%2Fw%3Ard",
        "schema_name": "raw",
    }
    assert "p@ss" not in repr(destination)


@pytest.mark.parametrize(
    ("environment", "settings"),
    [
        (KEY, {"private_key_path": "key.p8"}),
        (
            {"SNOWFLAKE_PRIVATE_KEY": "PEM", "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "x"},
            {"private_key": "PEM", "private_key_passphrase": "x"},
        ),
        ({"SNOWFLAKE_PASSWORD": "p"}, {"password": "p"}),
    ],
)
def test_snowflake(environment: dict[str, str], settings: dict[str, str]) -> None:
    assert destination_of(SNOWFLAKE, environment).settings == {
        "account": "org-account",
        "username": "LOADER",
        "database": "RAW",
        "schema_name": "BACKLOG",
        "warehouse": "LOADING",
        "role": "BACKLOG_LOADER",
        **settings,
    }


@pytest.mark.parametrize("environment", [{}, KEY | {"SNOWFLAKE_PASSWORD": "p"}])
def test_snowflake_wants_one_way_to_log_in(environment: dict[str, str]) -> None:
    with pytest.raises(SyncError, match="SNOWFLAKE_PRIVATE_KEY_PATH"):
        destination_of(SNOWFLAKE, environment)


def test_the_environment_fills_what_the_config_leaves_out(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"domain": "mine.backlog.jp", "projects": ["WEB"]}), encoding="utf-8")
    environment = {"BACKLOG_DOMAIN": "other.backlog.jp", "BACKLOG_API_KEY": "key"}
    assert config_of(file, environment) == {
        "domain": "mine.backlog.jp",
        "projects": ["WEB"],
        "credentials": {"auth_type": "api_key", "api_key": "key"},
    }
    assert config_of(None, environment)["domain"] == "other.backlog.jp"


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_a_config_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "config.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(SyncError) as error:
        config_of(file, {})
    assert error.value.status == USAGE


def test_without_pyairbyte_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("BACKLOG_DOMAIN", "example.backlog.jp")
    monkeypatch.setenv("BACKLOG_API_KEY", "key")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["--to", f"duckdb:///{tmp_path}/backlog.duckdb"]) == USAGE
    assert "pip install 'airbyte-source-backlog[warehouse]'" in capsys.readouterr().err


def test_the_suggested_streams_are_those_of_the_metadata() -> None:
    metadata = yaml.safe_load((Path(__file__).parent.parent / "metadata.yaml").read_text(encoding="utf-8"))
    assert list(SUGGESTED_STREAMS) == metadata["data"]["suggestedStreams"]["streams"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("live", [True, False])
def test_a_terminal_gets_a_live_line_and_a_log_plain_lines(live: bool) -> None:
    errors, output = Terminal() if live else io.StringIO(), io.StringIO()
    progress = Progress(errors, output)
    progress.start("backlog.duckdb")
    progress.phase("reading", ["issues"])
    for _ in range(1234):
        progress.record("issues")
    progress.log("INFO", "Syncing stream: issues")
    progress.log("WARN", "wikis: skipped WEB, because its wiki is switched off.")
    progress.log(
        "INFO", "Requests of this sync: 5 read, 2 search; 1 more were answered with responses already received."
    )
    progress.finished("issues")
    progress.summary({"issues": 2000})
    assert ("\x1b[K" in errors.getvalue()) == live
    assert "Syncing stream" not in errors.getvalue()
    shown = output.getvalue()
    assert "1,234       2,000" in shown
    assert "Requests: 5 read, 2 search" in shown
    assert "Skipped:\n  wikis: skipped WEB, because its wiki is switched off." in shown
    assert "\x1b" not in shown
