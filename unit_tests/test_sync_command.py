"""The command line of `backlog-sync`: destinations, credentials, config and exit status. No database, no network."""

from __future__ import annotations

import errno
import io
import json
import re
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests
import requests_mock
import yaml

from source_backlog import SourceBacklog
from source_backlog.api.errors import BacklogErrorHandler
from source_backlog.selection import SUGGESTED_STREAMS
from source_backlog.sync import archiving, command, destinations, errors, first_words, main
from source_backlog.sync.command import config_of
from source_backlog.sync.destinations import destination_of
from source_backlog.sync.errors import FAILED, USAGE, SyncError, explained
from source_backlog.sync.first_words import all_streams, selected_streams, try_key
from source_backlog.sync.progress import Progress

KEY = {"SNOWFLAKE_PRIVATE_KEY_PATH": "key.p8"}
SNOWFLAKE = "snowflake://LOADER@org-account/RAW/BACKLOG?warehouse=LOADING&role=BACKLOG_LOADER"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is missing, but where a test says so."""
    monkeypatch.setattr(destinations, "_is_there", lambda module: True)


@pytest.fixture
def backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLOG_DOMAIN", "example.backlog.jp")
    monkeypatch.setenv("BACKLOG_API_KEY", "key")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@host/db",
        "postgresql://me@host/db?password=secret",
        "postgresql://me:se/cret@host/db",
        "postgresql://me:se#cret@host/db",
        "postgresql://me:se?cret@host/db",
        "snowflake://me:secret@account/db/schema?warehouse=w&role=r",
        "clickhouse://me:secret@host/db",
    ],
)
def test_a_password_on_the_command_line_is_refused(url: str, backlog: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--to", url]) == USAGE
    shown = capsys.readouterr().err
    assert "PGPASSWORD or SNOWFLAKE_PASSWORD" in shown
    assert "cret" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me@host/db",
        "backlog.duckdb",
        "duckdb",
        "duckdb://",
        "duckdb://host/file",
        "duckdb:///no/such/folder/backlog.duckdb",
        "postgresql://host/db",
        "postgresql://me@host",
        "postgresql://me@host:port/db",
        "postgresql://me@host:99999/db",
        "postgresql://me@host/db?sslmode=require",
        "postgresql://me@host/db?schema=Backlog",
        "postgresql://me@host/db?schema=raw-backlog",
        "postgresql://me@host/db?schema=課題",
        "postgresql://me@host/db?schema=information_schema",
        "postgresql://me@host/db?schema=pg_toast",
        "postgresql://me@host/db?schema=backlog_staging",
        "snowflake://me@account/db/schema",
        "snowflake://me@account?warehouse=w&role=r",
        "file:///no/such/folder",
        "s3://",
        "s3://bucket/folder?format=csv",
    ],
)
def test_what_cannot_be_written_to_is_refused(url: str) -> None:
    with pytest.raises(SyncError) as error:
        destination_of(url, environment=KEY)
    assert error.value.status == USAGE
    assert "me@h" not in str(error.value)


def test_duckdb() -> None:
    destination = destination_of("duckdb:///backlog.duckdb", environment={})
    assert (destination.settings, destination.dataset) == ({"path": "backlog.duckdb"}, "main")
    assert destination_of("duckdb:////tmp/backlog.duckdb", "other", {}).settings["path"] == "/tmp/backlog.duckdb"
    assert destination_of("duckdb:////tmp/backlog.duckdb", "other", {}).dataset == "other"


@pytest.mark.parametrize("file", ["backlog.duckdb", "/tmp/Backlog.2026.duckdb", "backlog"])
def test_a_dataset_of_duckdb_is_not_called_as_its_file(file: str) -> None:
    with pytest.raises(SyncError, match="cannot be called as its file is") as error:
        destination_of(f"duckdb:///{file}", "backlog", {})
    assert error.value.status == USAGE
    assert destination_of(f"duckdb:///{file}", "raw", {}).dataset == "raw"
    assert destination_of("duckdb:///main.duckdb", environment={}).dataset == "main"


@pytest.mark.parametrize(
    ("name", "content"),
    [("rows.csv", b"a,b"), ("rows.json", b'[{"a": 1}]'), ("old.db", b"SQLite format 3\0"), ("empty.duckdb", b"")],
)
def test_a_file_that_is_no_database_of_duckdb_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    """DuckDB would open the first two, and write into memory."""
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(SyncError, match="is no DuckDB file") as error:
        destination_of(f"duckdb:///{file}", environment={})
    assert error.value.status == USAGE
    file.unlink()
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    duckdb.connect(str(file)).close()
    assert destination_of(f"duckdb:///{file}", environment={}).settings == {"path": str(file)}


def test_postgresql() -> None:
    destination = destination_of("postgresql://me@db.example.com/sales?schema=raw", None, {"PGPASSWORD": "p@ss/w:rd"})
    assert destination.settings == {
        "host": "db.example.com",
        "port": 5432,
        "database": "sales",
        "username": "me",
        "password": "p@ss/w:rd",
    }
    assert destination.dataset == "raw"
    assert destination.takes_arrow
    assert "p@ss" not in repr(destination)
    assert not destination_of("postgresql://me@db/sales", None, {"PGPASSWORD": "a b"}).takes_arrow


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
    destination = destination_of(SNOWFLAKE, None, environment)
    assert destination.dataset == "backlog"
    assert destination.settings == {
        "host": "org-account",
        "username": "LOADER",
        "database": "RAW",
        "warehouse": "LOADING",
        "role": "BACKLOG_LOADER",
        **settings,
    }


@pytest.mark.parametrize("environment", [{}, KEY | {"SNOWFLAKE_PASSWORD": "p"}])
def test_snowflake_wants_one_way_to_log_in(environment: dict[str, str]) -> None:
    with pytest.raises(SyncError, match="SNOWFLAKE_PRIVATE_KEY_PATH"):
        destination_of(SNOWFLAKE, None, environment)


def test_files_and_what_dlt_is_configured_for(tmp_path: Path) -> None:
    folder = destination_of(f"file://{tmp_path}?format=jsonl", "one")
    assert (folder.kind, folder.settings["bucket_url"], folder.file_format) == (
        "filesystem",
        f"file://{tmp_path}",
        "jsonl",
    )
    assert destination_of("s3://bucket/a/b").settings == {"bucket_url": "s3://bucket/a/b"}
    assert destination_of("bigquery", "raw").dataset == "raw"


def test_what_is_missing_is_said_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, backlog: None, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(destinations, "_is_there", lambda module: module != "pyodbc")
    assert main(["--to", "mssql"]) == USAGE
    assert "pip install 'airbyte-source-backlog[mssql]'" in capsys.readouterr().err


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


def test_streams_are_known_before_anything_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert selected_streams(["users"], False) == ["users"]
    assert selected_streams(None, False) == list(SUGGESTED_STREAMS)
    for name in ("nothing", "issue_attachment_files"):
        with pytest.raises(SyncError, match=name):
            selected_streams([name], False)
    assert main(["--list-streams"]) == 0
    assert capsys.readouterr().out.splitlines() == all_streams()


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert capsys.readouterr().out == f"backlog-sync {project['tool']['poetry']['version']}\n"


def test_a_stream_that_is_named_twice_is_read_once() -> None:
    assert command._options(["--streams", "issues, users ,issues"]).streams == ["issues", "users"]


@pytest.mark.parametrize("option", ["--config", "--report", "--archive", "--json"])
def test_an_empty_path_is_not_the_working_directory(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--to", "duckdb:///backlog.duckdb", option, ""])
    assert ended.value.code == USAGE
    assert f"argument {option}: nothing is named" in capsys.readouterr().err


def test_all_streams_are_those_of_the_manifest_without_files() -> None:
    config = {"domain": "acme.backlog.jp", "credentials": {"auth_type": "api_key", "api_key": "key"}}
    streams = SourceBacklog(config=config).resolved_manifest["streams"]
    files = {stream["name"] for stream in streams if "download" in stream["$parameters"]}
    assert files
    assert all_streams() == sorted({stream["name"] for stream in streams} - files)


def test_the_first_words_wait_for_nothing_heavy() -> None:
    """What takes seconds to import is not imported for what can be said at once."""
    code = "import sys, source_backlog.sync; print({'airbyte_cdk', 'dlt', 'pyarrow', 'duckdb'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_a_sync_imports_nothing_that_it_does_not_need() -> None:
    code = """
import inspect, sys
from source_backlog.sync.command import main
from source_backlog.sync.destinations import Destination
from source_backlog.sync.unneeded import left_out

def no_source(of):
    raise AssertionError(f"the source of {of} is parsed")

inspect.getsource = no_source
assert main([]) == 2
with left_out(Destination("duckdb", "", "")):
    import pyarrow
    from source_backlog.sync import loading
    pyarrow.array([1, None])
print({"pandas", "sqlalchemy"} & set(sys.modules))
import pandas
"""
    pytest.importorskip("dlt", reason="dlt is not installed")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    missing = "backlog-sync: --to is missing: where to write to. `backlog-sync --help` shows its forms.\n"
    assert (ran.stdout, ran.stderr) == ("set()\n", missing)


@pytest.mark.parametrize(
    ("said", "status", "meaning"),
    [
        ('Could not set lock on file "x"', FAILED, "in use by another process"),
        ("permission denied for database warehouse\nLINE 1: CREATE SCHEMA", USAGE, "may not do what is needed"),
        ("could not extend file: No space left on device", USAGE, "disk of the destination is full"),
        ("server closed the connection unexpectedly", FAILED, "has closed the connection"),
        ("terminating connection due to administrator command", FAILED, "has closed the connection"),
        ("connection to server at x failed: Connection refused", FAILED, "cannot be reached"),
        ("odd, see https://example.com/errors/1\nINSERT INTO a", FAILED, "odd, see"),
        # What stands in a row is no word of the database.
        ("Could not convert string 'INSERT: permission denied' to INT32", FAILED, "convert string '…' to INT32"),
        (
            'syntax for type bigint: "CREATE SCHEMA: disk full"\nCONTEXT:  COPY a, line 1',
            FAILED,
            "for type bigint: '…'",
        ),
        ("can't write: no space left on device, won't go on", USAGE, "disk of the destination is full"),
        ("duplicate key\nDETAIL:  Failing row contains (connection refused).", FAILED, "duplicate key"),
    ],
)
def test_what_a_database_says_becomes_a_sentence(said: str, status: int, meaning: str) -> None:
    outer = RuntimeError("Pipeline execution failed at `step=load` with SELECT 1")
    outer.__cause__ = ValueError(said)
    problem = explained(outer)
    assert meaning in str(problem)
    assert problem.status == status
    assert not any(word in str(problem) for word in ("https://", "SELECT", "INSERT", "CREATE SCHEMA"))


@pytest.mark.parametrize(
    ("said", "of_all"),
    [
        ("permission denied for table users", False),
        ("must be owner of table users", False),
        ("permission denied for schema backlog", True),
        ("could not extend file: No space left on device", True),
        ("column x does not exist", False),
    ],
)
def test_what_fails_for_one_table_alone(said: str, of_all: bool) -> None:
    assert explained(ValueError(said)).of_all is of_all


CONFIG = {"domain": "acme.backlog.jp", "credentials": {"auth_type": "api_key", "api_key": "a-key"}}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"credentials": "secret"}, "Authentication is missing."),
        ({"credentials": ["secret"]}, "Authentication is missing."),
        ({"credentials": {"api_key": ["secret"]}}, "Authentication is missing."),
        ({"credentials": {"auth_type": "api_key", "api_key": "日本"}}, "is not one that Backlog gives."),
        ({"domain": "acme"}, "'acme' is only the name of a space."),
        ({"domain": "backlog.jp"}, "is Backlog's own address."),
        ({"domain": "http://[acme"}, "is not the host name of a Backlog space."),
    ],
)
def test_a_config_that_is_wrong_is_not_asked_with(
    changed: dict[str, Any], why: str, requests_mock: requests_mock.Mocker
) -> None:
    with pytest.raises(SyncError, match=re.escape(why)) as error:
        try_key(CONFIG | changed)
    assert error.value.status == USAGE
    assert "secret" not in str(error.value)
    assert not requests_mock.called


def test_a_pasted_address_is_tried_too(requests_mock: requests_mock.Mocker) -> None:
    requests_mock.get("https://acme.backlog.jp/api/v2/space", status_code=401)
    with pytest.raises(SyncError, match=r"acme\.backlog\.jp does not accept the API key"):
        try_key(CONFIG | {"domain": " https://acme.backlog.jp/dashboard"})


class Space(BaseHTTPRequestHandler):
    """A space that answers all requests with what the test has put into `answers`; None: not at all."""

    answers: ClassVar[list[tuple[int, str]]] = []
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Backlog-API-Key"]))
        status, body = self.answers[min(len(self.asked), len(self.answers)) - 1]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments: Any) -> None:
        """No word."""


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(Space, "asked", [])
    monkeypatch.setattr(first_words, "PAUSE_SECONDS", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Space) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("free", "full"), [(2**20, "temporary folder"), (2**21, "disk of the destination")])
def test_which_disk_is_full(free: int, full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "room", lambda: free)
    problem = explained(OSError(errno.ENOSPC, "No space left on device"))
    assert full in str(problem)
    assert problem.status == USAGE


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), USAGE, "The temporary folder "),
        (KeyError("a-wrong-key"), FAILED, "Something went wrong that was not foreseen (KeyError). Please report it."),
    ],
)
def test_what_was_not_foreseen_is_a_sentence(
    error: Exception,
    status: int,
    said: str,
    backlog: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr(errors, "room", lambda: 0)
    monkeypatch.setattr(command, "try_key", fail)
    assert main(["--to", f"duckdb:///{tmp_path}/backlog.duckdb"]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "a-wrong-key" not in line


def error_body(code: int) -> str:
    return json.dumps({"errors": [{"message": "No.", "code": code, "moreInfo": ""}]})


def of_the_connector(host: str, status: int, body: str) -> str:
    """What the connector says of an answer to its request for the space."""
    answer = requests.Response()
    answer.status_code, answer._content = status, body.encode()
    answer.url = f"http://{host}/api/v2/space"  # ignore-https-check
    return str(BacklogErrorHandler({"domain": host}, {}).interpret_response(answer).error_message)


@pytest.mark.parametrize(
    ("status", "body", "ends", "why", "requests_sent"),
    [
        (401, error_body(11), USAGE, "does not accept the API key. Check that the key was copied whole", 1),
        (401, "<html>", USAGE, "does not accept the API key", 1),
        (403, error_body(5), USAGE, "Backlog refuses space", 1),
        (404, error_body(6), USAGE, "has no space (No).", 1),
        (302, "", USAGE, "redirects to another address", 1),
        (500, "", FAILED, "with status 500", 2),
        (503, "<html>", FAILED, "It may be overloaded or under maintenance; try again later.", 2),
        (200, "<html>", FAILED, "with something that is not JSON of Backlog.", 2),
    ],
)
def test_what_a_space_answers_to_the_key_is_said_before_anything_is_made(
    space: str,
    status: int,
    body: str,
    ends: int,
    why: str,
    requests_sent: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Space.answers[:] = [(status, body)]
    monkeypatch.setenv("BACKLOG_DOMAIN", space)
    monkeypatch.setenv("BACKLOG_API_KEY", "a-wrong-key")
    assert main(["--to", f"duckdb:///{tmp_path}/backlog.duckdb"]) == ends
    assert Space.asked == [("/api/v2/space", "a-wrong-key")] * requests_sent
    shown = capsys.readouterr()
    assert shown.err == f"backlog-sync: {of_the_connector(space, status, body)}\n"
    assert why in shown.err
    assert not shown.out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("answers", [[(500, ""), (200, "{}")], [(429, "")], [(200, '{"spaceKey": "ACME"}')]])
def test_what_may_pass_stops_nothing(space: str, answers: list[tuple[int, str]]) -> None:
    Space.answers[:] = answers
    try_key(CONFIG | {"domain": space})
    assert len(Space.asked) == len(answers)


def test_where_nobody_answers_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_words, "PAUSE_SECONDS", 0.0)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(SyncError, match=r"Could not reach 127\.0\.0\.1 for space") as error:
            try_key(CONFIG | {"domain": f"127.0.0.1:{closed.getsockname()[1]}"})
    assert error.value.status == FAILED


@pytest.mark.parametrize(("number", "status"), [(socket.EAI_NONAME, USAGE), (socket.EAI_AGAIN, FAILED)])
def test_a_name_that_nobody_has_is_for_the_user_to_mend(
    number: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*arguments: Any, **options: Any) -> Any:
        raise socket.gaierror(number, "unknown")

    monkeypatch.setattr(first_words, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(
        SyncError, match=r"There is no host acme\.backlog\.jp, or its name could not be resolved"
    ) as error:
        try_key(CONFIG)
    assert error.value.status == status


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
    progress.start("acme.backlog.jp", "backlog.duckdb")
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
    assert bool(re.match(r"\d{4}-\d\d-\d\d \d\d:", errors.getvalue())) != live, "a log has dates"
    assert "Syncing stream" not in errors.getvalue()
    shown = output.getvalue()
    assert "     2,000  1,234 read\n" in shown
    assert "from acme.backlog.jp to backlog.duckdb" in shown
    assert "Requests: 5 read, 2 search" in shown
    assert "Skipped or worth knowing:\n  wikis: skipped WEB, because its wiki is switched off." in shown
    assert "\x1b" not in shown


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says when it ends with a mistake of its user; it needs neither a key nor a config here."""
    assert main(arguments) == USAGE
    return capsys.readouterr().err.removeprefix("backlog-sync: ").strip()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "postgresql://u:p", "ss@h/db"], "an argument belongs to no option"),
        (["--tables=secret"], "there is no option --tables;"),
    ],
)
def test_what_no_option_takes_is_not_repeated(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    shown = capsys.readouterr().err
    assert ended.value.code == USAGE
    assert said in shown
    assert not re.search("ss@h|secret", shown)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--report", "page", "--archive", "pages"], "argument --archive: not allowed with argument --report"),
        (["--verify", "--check"], "argument --check: not allowed with argument --verify"),
        (["--json", "report.json"], "--json and --seed go with --verify"),
        (["--check", "--seed", "7"], "--json and --seed go with --verify"),
        *((["--full-refresh", *mode], "--full-refresh goes with a sync") for mode in (["--verify"], ["--report", "r"])),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--to", "duckdb:///backlog.duckdb"])
    assert ended.value.code == USAGE
    assert capsys.readouterr().err.endswith(f"backlog-sync: error: {said}\n")


def test_an_archive_is_made_of_tables_that_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "archive"
    for to in (f"file://{tmp_path}", "bigquery"):
        said = refused(capsys, "--to", to, "--archive", str(folder))
        assert said == "An archive is made of the tables in DuckDB or PostgreSQL; --to names something else."
    said = refused(capsys, "--to", f"duckdb:///{tmp_path}/none.duckdb", "--archive", str(folder))
    assert said == f"There is no file {tmp_path}/none.duckdb: run a sync first."
    assert not list(tmp_path.iterdir())


def test_an_archive_without_its_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(archiving, "NEEDS", ("jinja2", "no_such_module"))
    said = refused(capsys, "--to", f"duckdb:///{tmp_path}/none.duckdb", "--archive", str(tmp_path / "archive"))
    assert said == (
        "What writes an archive is not installed (no_such_module): pip install 'airbyte-source-backlog[archive]'"
    )
