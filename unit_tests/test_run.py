"""The command line: whatever the files hold, the answer is a message of the protocol with a sentence in it."""

import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from source_backlog import run as module
from source_backlog.cores import allowed_cores

ROOT = Path(__file__).parents[1]
SECRET = "kEy-that-nobody-may-see"
CONFIG = {"domain": "acme.backlog.jp", "credentials": {"auth_type": "api_key", "api_key": SECRET}}
CATALOG: dict[str, Any] = {"streams": []}


class Outcome:
    """What a command left on stdout and stderr, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        self.messages = [json.loads(line) for line in out.splitlines() if line.strip()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        field = "connectionStatus" if kind == "CONNECTION_STATUS" else kind.lower()
        return [message[field] for message in self.messages if message["type"] == kind]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [trace["error"] for trace in self.of("TRACE") if trace["type"] == "ERROR"]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """`command("check", "--config", path)`: runs it in this process."""

    def call(*args: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["source-backlog", *args])
        code = 0
        try:
            module.run()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """`file(content)`: the path of a file with this content; what is no text is written as JSON."""

    def make(content: Any, name: str = "config.json") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return str(path)

    return make


def assert_one_clean_error(outcome: Outcome, part: str) -> None:
    """One error for the user, of a kind that the user can mend, and no stack trace among what people read."""
    (error,) = outcome.errors
    assert part in error["message"]
    assert error["message"].endswith(".")
    assert error["failure_type"] == "config_error"
    assert outcome.code != 0
    shown = json.dumps([message for message in outcome.messages if message["type"] != "TRACE"]) + outcome.err
    assert "Traceback" not in shown
    assert SECRET not in outcome.out + outcome.err


@pytest.mark.skipif(len(allowed_cores()) < 2, reason="there is one core, or the system does not tell")
def test_a_command_runs_on_one_core(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[frozenset[int]] = []

    def noting(self: Any, parsed: Any) -> Iterator[str]:
        found.append(allowed_cores())
        yield "{}"

    monkeypatch.setattr(module.Entrypoint, "run", noting)
    before = allowed_cores()
    assert command("spec").code == 0
    (cores,) = found
    assert len(cores) == 1 and cores < before == allowed_cores()


def test_without_a_command_it_prints_its_usage(command: Any) -> None:
    outcome = command()
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("usage: source-backlog")
    for name in ("spec", "check", "discover", "read"):
        assert f"\n    {name} " in outcome.err


BROKEN = [
    (b"", "it is not the JSON of a config"),
    (b"{", "it is not the JSON of a config"),
    (b'{"credentials": {"api_key": "' + SECRET.encode() + b'"', "it is not the JSON of a config"),
    (b"domain: acme.backlog.jp", "it is not the JSON of a config"),
    (b"[]", "it is not the JSON of a config"),
    (b"null", "it is not the JSON of a config"),
    (b'"text"', "it is not the JSON of a config"),
    (b"5", "it is not the JSON of a config"),
    (b"\xff\xfe{\x00}\x00", "it is not UTF-8 text"),
]


@pytest.mark.parametrize(("content", "part"), BROKEN)
@pytest.mark.parametrize("name", ["check", "discover"])
def test_a_config_file_that_cannot_be_read_is_one_clean_error(
    command: Any, file: Any, name: str, content: bytes, part: str
) -> None:
    assert_one_clean_error(command(name, "--config", file(content)), part)


def test_a_config_file_that_is_missing_is_one_clean_error(command: Any, tmp_path: Path) -> None:
    outcome = command("check", "--config", str(tmp_path / "none.json"))
    assert_one_clean_error(outcome, "none.json cannot be read: No such file or directory.")


def test_a_directory_is_no_config_file(command: Any, tmp_path: Path) -> None:
    assert_one_clean_error(command("check", "--config", str(tmp_path)), "cannot be read: Is a directory.")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"streams": 5}', b'{"streams": [5]}', b'{"streams": [{}]}', b"{}"])
def test_a_catalog_that_cannot_be_read_is_one_clean_error(command: Any, file: Any, content: bytes) -> None:
    outcome = command("read", "--config", file(CONFIG), "--catalog", file(content, "catalog.json"))
    assert_one_clean_error(outcome, "The catalog file ")


@pytest.mark.parametrize("content", [b"{", b"5", b"[5]", b'[{"type": "STREAM", "stream": 5}]'])
def test_a_state_that_cannot_be_read_is_one_clean_error(command: Any, file: Any, content: bytes) -> None:
    outcome = command(
        "read",
        *("--config", file(CONFIG)),
        *("--catalog", file(CATALOG, "catalog.json")),
        *("--state", file(content, "state.json")),
    )
    assert_one_clean_error(outcome, "The state file ")


# All that can be wrong with a config is in test_config.py; here is that every command says so, and shows no secret.
WRONG = [
    ({}, "The Space Domain is missing"),
    ({**CONFIG, "domain": f"https://me:{SECRET}@acme.backlog.jp"}, "The Space Domain holds an @"),
    ({**CONFIG, "credentials": {"auth_type": "api_key", "api_kay": SECRET}}, "The API Key is missing"),
    ({**CONFIG, "projects": SECRET}, "Projects must be a list"),
]


@pytest.mark.parametrize(("config", "part"), WRONG)
def test_check_says_what_is_wrong_with_the_config(command: Any, file: Any, config: Any, part: str) -> None:
    outcome = command("check", "--config", file(config))
    (status,) = outcome.of("CONNECTION_STATUS")
    assert status["status"] == "FAILED"
    assert part in status["message"]
    assert SECRET not in outcome.out + outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("name", ["discover", "read"])
def test_the_other_commands_say_what_is_wrong_with_the_config(command: Any, file: Any, name: str) -> None:
    config, part = WRONG[-1]
    catalog = ["--catalog", file(CATALOG, "catalog.json")] if name == "read" else []
    assert_one_clean_error(command(name, *catalog, "--config", file(config)), part)


def test_spec_needs_no_config(command: Any) -> None:
    outcome = command("spec")
    assert outcome.code == 0
    (spec,) = outcome.of("SPEC")
    assert set(spec["connectionSpecification"]["required"]) == {"domain", "credentials"}


def test_discover_needs_no_network(command: Any, file: Any) -> None:
    outcome = command("discover", "--config", file(CONFIG))
    assert outcome.code == 0
    (catalog,) = outcome.of("CATALOG")
    assert {"issues", "issue_comments", "activities", "deletions"} <= {one["name"] for one in catalog["streams"]}


def test_a_failure_of_our_own_ends_in_a_message_and_not_in_a_stack_trace(
    command: Any, file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(module, "SourceBacklog", type("Broken", (module.SourceBacklog,), {"__init__": fail}))
    outcome = command("check", "--config", file(CONFIG))
    (error,) = outcome.errors
    assert error["failure_type"] == "system_error"
    assert outcome.code == 1
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("failure", "part"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "could not be written to (No space left on device; "),
        (OSError(errno.EROFS, "Read-only file system"), "could not be written to (Read-only file system; "),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"), "(No usable temporary"),
    ],
)
def test_a_full_disk_is_named(
    command: Any, file: Any, monkeypatch: pytest.MonkeyPatch, failure: OSError, part: str
) -> None:
    """Such as when the CDK makes its folder."""

    def fail(*args: Any, **options: Any) -> None:
        raise failure

    monkeypatch.setattr("airbyte_cdk.entrypoint.tempfile.TemporaryDirectory", fail)
    outcome = command("check", "--config", file(CONFIG))
    assert_one_clean_error(outcome, part)
    message = outcome.errors[0]["message"]
    assert message.startswith(f"The temporary folder {tempfile.gettempdir()} could not be written to (")
    assert message.endswith("Make room there, or name another folder in the environment variable TMPDIR.")


def test_an_unknown_command_is_explained(command: Any) -> None:
    outcome = command("sync")
    assert outcome.code == 2
    assert "invalid choice: 'sync'" in outcome.err


def process(*args: str) -> Outcome:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "source_backlog", *args],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_the_package_runs_as_a_module(tmp_path: Path) -> None:
    outcome = process("check", "--config", str(tmp_path / "none.json"))
    assert_one_clean_error(outcome, "cannot be read: No such file or directory.")
    assert outcome.err == ""


def test_a_space_that_cannot_be_reached_is_a_failed_check_without_the_key(file: Any) -> None:
    """A real process at the most talkative level, against a port of this machine where nothing listens."""
    outcome = process("check", "--debug", "--config", file({**CONFIG, "domain": "127.0.0.1:9"}))
    (status,) = outcome.of("CONNECTION_STATUS")
    assert status["status"] == "FAILED"
    assert "127.0.0.1" in status["message"]
    assert SECRET not in outcome.out + outcome.err
    assert "Traceback" not in outcome.err
