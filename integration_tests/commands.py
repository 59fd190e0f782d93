"""Runs the connector's console script in this process, as Airbyte runs it, and holds all that it printed."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer

from integration_tests.harness import configured
from source_backlog.api import client, oauth
from source_backlog.run import run


@dataclass
class Output:
    """The exit status of a command, what it printed, and how long it took."""

    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The protocol messages; raises when a line is not JSON."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.strip()]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """The messages of one type, such as LOG."""
        return [message for message in self.messages if message["type"] == kind]

    @property
    def connection(self) -> tuple[str, str]:
        """Status and message of a check."""
        (status,) = self.of_type("CONNECTION_STATUS")
        return status["connectionStatus"]["status"], status["connectionStatus"].get("message", "")

    def logs(self, level: str | None = None) -> list[str]:
        """The texts of the log lines, of one level or of all."""
        lines = [message["log"] for message in self.of_type("LOG")]
        return [line["message"] for line in lines if level in (None, line["level"])]

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The errors in the TRACE messages, in order; the last one is the end of a sync that failed."""
        return [trace["trace"]["error"] for trace in self.of_type("TRACE") if trace["trace"]["type"] == "ERROR"]

    def rows(self, stream: str) -> list[dict[str, Any]]:
        """The rows of a stream."""
        records = [message["record"] for message in self.of_type("RECORD")]
        return [record["data"] for record in records if record["stream"] == stream]

    @property
    def stored_config(self) -> dict[str, Any]:
        """The config that the platform would have stored last."""
        config: dict[str, Any] = self.of_type("CONTROL")[-1]["control"]["connectorConfig"]["config"]
        return config


def command(
    name: str,
    config: Any,
    *,
    streams: Iterable[str] = (),
    state: Any = None,
    debug: bool = False,
    text: str | bytes | None = None,
) -> Output:
    """Run `check`, `discover` or `read` with a config (or the `text` of a config file)."""
    with tempfile.TemporaryDirectory() as directory:
        content = text if text is not None else json.dumps(config)
        path = Path(directory, "config.json")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        arguments = [name, "--config", str(path)]
        if name == "read":
            catalog = Path(directory, "catalog.json")
            catalog.write_text(json.dumps(ConfiguredAirbyteCatalogSerializer.dump(configured(streams))))
            arguments += ["--catalog", str(catalog)]
            if state is not None:
                stored = Path(directory, "state.json")
                stored.write_text(json.dumps(state))
                arguments += ["--state", str(stored)]
        return _captured([*arguments, *(["--debug"] if debug else [])], Path(directory))


def _captured(arguments: list[str], directory: Path) -> Output:
    # On the level of file descriptors: the CDK prints past `sys.stdout`.
    out, err = directory / "stdout", directory / "stderr"
    before = sys.argv
    kept = [os.dup(number) for number in (1, 2)]
    sys.stdout.flush()
    sys.__stdout__.flush()
    level = logging.getLogger("airbyte").level
    began = time.monotonic()
    status = 0
    with out.open("wb") as stdout, err.open("wb") as stderr:
        os.dup2(stdout.fileno(), 1)
        os.dup2(stderr.fileno(), 2)
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = (os.fdopen(os.dup(number), "w", encoding="utf-8") for number in (1, 2))
        original = sys.__stdout__
        sys.__stdout__ = sys.stdout  # type: ignore[misc]
        try:
            sys.argv = ["source-backlog", *arguments]
            run()
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdout.close()
            sys.stderr.close()
            sys.__stdout__ = original  # type: ignore[misc]
            sys.stdout, sys.stderr = streams
            sys.argv = before
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            for logger in ("airbyte", "airbyte.SourceBacklog"):
                logging.getLogger(logger).setLevel(level)
    return Output(status, out.read_text(), err.read_text(), time.monotonic() - began)


def quickly(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let no retry sleep; gives how long each retry would wait."""
    pauses: list[float] = []
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=pauses.append)
    monkeypatch.setattr(client, "time", clock)
    monkeypatch.setattr(oauth, "time", clock)
    return pauses


def assert_readable(message: str) -> None:
    """The message is for people: sentences, without names of classes, addresses with a query, or Python's quotes."""
    assert message
    assert message[0].isupper() or message.split()[0].count(".") or message[0] in "'1l"
    assert message.endswith(".")
    for hidden in ("Traceback", "Exception", "Error(", "http://", "https://", "?", "\\n", '"', "None", "object at"):
        assert hidden not in message, f"{hidden} in {message}"
