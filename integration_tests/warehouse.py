"""What the tests of `backlog-sync` share: a space with a life, the command, and a comparison row by row."""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from integration_tests.emulator import Emulator
from integration_tests.emulator.broken import HALF_SURROGATE
from integration_tests.harness import UNTOLD, catalog_streams, primary_key
from source_backlog.api.oauth import TokenStore, keep_tokens_in

Row = dict[str, Any]
Table = Callable[[str], list[Row]]
"""Gives the rows of a table, columns in small letters."""

# Whole and incremental ones, keys of one and two columns, parents and children, every type of column.
STREAMS = (
    "activities",
    "custom_fields",
    "deletions",
    "documents",
    "issue_attachments",
    "issue_changelogs",
    "issue_comments",
    "issue_custom_field_values",
    "issues",
    "project_teams",
    "project_users",
    "projects",
    "recently_viewed_wikis",
    "users",
    "versions",
    "wikis",
)
# In which a run is killed: see `sync_runs`.
PHASES = ("extract", "normalize", "merge", "complete")
HOUR = 3600
PATIENCE_SECONDS = 240


def needs(distribution: str, reason: str) -> None:
    """Skip the rest of a test file, or of a test, where a distribution is not installed.

    Not `pytest.importorskip`, which imports it, in each worker of pytest: seconds for what only other processes use.
    """
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        pytest.skip(reason, allow_module_level=True)


@cache
def _runs() -> subprocess.Popen[str]:
    """The process that all runs of this worker of pytest are forked from: what they import takes seconds."""
    # What the command sets before it imports dlt.
    environment = os.environ | {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}
    program = [sys.executable, "-m", "integration_tests.sync_runs"]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    atexit.register(process.kill)
    return process


def _asked(order: dict[str, Any]) -> int:
    process = _runs()
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    assert answer, "the process that runs are forked from has ended"
    return int(json.loads(answer))


@dataclass
class Run:
    """A run of the command: its process, and where its output goes."""

    process: int
    output: Path
    errors: Path

    def said(self) -> str:
        """What it has said on standard error so far."""
        return self.errors.read_text(encoding="utf-8") if self.errors.exists() else ""

    def wait(self) -> int:
        """Its exit status, once it has ended; negative: the signal that has ended it."""
        return _asked({"wait": self.process})

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.process, number)


class Command:
    """`backlog-sync` of `emulator` into `to`, each run a process of its own."""

    def __init__(
        self, emulator: Emulator, folder: Path, to: str, *, streams: Iterable[str] = STREAMS, **environment: str
    ) -> None:
        self.emulator, self.to, self.streams = emulator, to, ",".join(streams)
        self.config = folder / "config.json"
        self.config.write_text(json.dumps(emulator.config()), encoding="utf-8")
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        home = folder / "home"
        home.mkdir(exist_ok=True)
        self.environment = os.environ | {"NO_PROXY": "127.0.0.1", "TMPDIR": str(self.temporary), "HOME": str(home)}
        self.environment |= environment
        self._logs = Path(tempfile.mkdtemp(prefix="backlog-sync-test-"))
        self._count = 0

    def start(self, *options: str, **order: Any) -> Run:
        """A run that goes on while the test does; see `sync_runs` for what may be ordered besides."""
        self._count += 1
        output, errors = self._logs / f"{self._count}.out", self._logs / f"{self._count}.err"
        order = {
            "arguments": ["--config", str(self.config), "--to", self.to, "--streams", self.streams, *options],
            "environment": self.environment,
            "output": str(output),
            "errors": str(errors),
            **order,
        }
        return Run(_asked(order), output, errors)

    def run(self, *options: str, status: int = 0, **order: Any) -> tuple[str, str]:
        """Standard output and error of the finished command, which ends with `status`."""
        run = self.start(*options, **order)
        ended = run.wait()
        output, errors = run.output.read_text(encoding="utf-8"), run.said()
        assert ended == status, f"exit status {ended}\n{output}\n{errors}"
        assert "Traceback" not in errors
        return output, errors

    def killed_while_reading(self, requests: int) -> None:
        """SIGKILL to the command when it has sent `requests` more requests."""
        run = self.started(requests)
        run.send(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL

    def killed(self, phase: str) -> None:
        """SIGKILL to the command in a phase of its load."""
        run = self.start(at=phase)
        ended = run.wait()
        assert ended == -signal.SIGKILL, f"exit status {ended}\n{run.said()}"

    def started(self, requests: int) -> Run:
        """A run that has sent `requests` requests."""
        before = len(self.emulator.requests)
        run = self.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.emulator.requests) < before + requests:
            assert time.monotonic() < deadline, run.said()
            time.sleep(0.01)
        return run


@contextlib.contextmanager
def in_this_process() -> Iterator[None]:
    """What the command changes in its process stays as it was."""
    logger = logging.getLogger("airbyte")
    handlers, own, propagate, level = logging.root.handlers[:], logger.handlers[:], logger.propagate, logger.level
    collecting = gc.get_threshold()
    try:
        yield
    finally:
        logging.root.handlers[:], logger.handlers[:], logger.propagate = handlers, own, propagate
        logger.setLevel(level)
        gc.set_threshold(*collecting)
        keep_tokens_in(TokenStore())


def change(emulator: Emulator) -> None:
    """A few hours of work: things come, change and go, in streams of every kind."""
    space = emulator.space
    web = space.project("WEB")
    space.advance(HOUR)
    space.create_issue(web, "在庫数が007にならない", by="member", attachments=[("画面.png", 1234)], priority=2)
    space.advance(HOUR)
    space.add_comment("WEB-1", "こちらでも再現しました。", by="leader")
    space.advance(HOUR)
    changed = web.issues[2]
    space.update_issue(changed, status=web.statuses[1], comment="開始します", actual_hours=2.5, by="member")
    space.advance(HOUR)
    space.delete_issue(web.issues[4], by="administrator")
    space.update_wiki(next(iter(web.wikis.values())), content="# 新しい手順\n", by="member")
    space.remove_member(web, next(user for user in web.all_members() if user not in space.personas.values()))
    space.create_version(web, "v9.0", release_due_date="2026-12-01")


def compare(emulator: Emulator, table: Table) -> dict[str, int]:
    """Hold every table against the space, row by row; returns the number of rows compared.

    Tables that are merged keep the rows of what was deleted; the table `deletions` names them, and a row of a child
    is current if it was read with the current state of its issue. That is how a query has to read them too.
    """
    deleted = {row["entityid"] for row in table("deletions") if row["entity"] == "issue"}
    updated = {row["id"]: row["updated"] for row in table("issues")}
    compared = {}
    for stream in STREAMS:
        if stream == "deletions":
            continue
        rows = [
            row
            for row in table(stream)
            if str(row["id"] if stream == "issues" else row.get("issueid")) not in deleted
            and ("issueupdated" not in row or row["issueupdated"] == updated[row["issueid"]])
        ]
        properties = {name.lower(): kind for name, kind in catalog_streams()[stream].json_schema["properties"].items()}
        keys = [name.lower() for name in primary_key(stream)]
        found = {tuple(row[key] for key in keys): _comparable(row, properties) for row in rows}
        assert len(found) == len(rows), f"{stream}: a primary key stands in the table twice"
        truth = [{name.lower(): value for name, value in row.items()} for row in emulator.truth(stream)]
        expected = {tuple(row[key] for key in keys): _comparable(row, properties) for row in truth}
        assert found.keys() == expected.keys(), stream
        untold = {name.lower() for name in UNTOLD.get(stream, ())}
        for key, row in expected.items():
            different = {name: (found[key][name], row[name]) for name in row if found[key][name] != row[name]}
            different = {name: pair for name, pair in different.items() if pair[0] is not None or name not in untold}
            assert not different, f"{stream} {key}: (in the table, in the space) {different}"
        compared[stream] = len(rows)
    assert all(compared[stream] for stream in ("issues", "issue_comments", "wikis", "documents", "activities"))
    return compared


def _comparable(row: Mapping[str, Any], properties: Mapping[str, Any]) -> Row:
    return {name: _value(row.get(name), kind) for name, kind in properties.items() if not name.startswith("_ab_")}


def _value(value: Any, kind: Mapping[str, Any]) -> Any:
    types = kind.get("type", [])
    if value is None:
        return None
    if "object" in types or "array" in types:
        return json.loads(value) if isinstance(value, str) else value
    if kind.get("format") == "date-time":
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if kind.get("format") == "date":
        return date.fromisoformat(value) if isinstance(value, str) else value
    return float(value) if "number" in types else value


def hostile_values_arrive_or_are_named(command: Command, table: Table) -> None:
    """What databases, Arrow or JSON do not take, in one sync: the row arrives, and with it what can."""
    emulator = command.emulator
    one, two, three, four = emulator.space.project("WEB").issues[:4]
    one.summary, one.description = "zero \x00 byte", ""
    two.summary = f"cut {HALF_SURROGATE}"
    four.summary = "the six characters \\u0000"
    one.actual_hours, two.actual_hours, three.actual_hours = 9876543210.12, 2**63 + 5, 1e30
    four.number = 2**63 + 5
    three.description = "x" * (40 * 2**20)
    one.start_date, one.due_date = "0999-01-31", "9999-12-31"
    two.start_date, two.due_date = "1969-12-31", "10000-01-01"
    three.created = -(10**9)
    emulator.space.advance(60)
    _, errors = command.run()
    held = {row["id"]: row for row in table("issues")}
    assert held.keys() == {row["id"] for row in emulator.truth("issues")}
    assert held[one.id]["summary"] == "zero \ufffd byte"
    assert held[one.id]["description"] == "", "an empty text is not null"
    assert held[two.id]["summary"].startswith("cut \ufffd")
    assert held[four.id]["summary"] == "the six characters \\u0000"
    assert held[one.id]["actualhours"] == Decimal("9876543210.12")
    assert held[two.id]["actualhours"] == 2**63 + 5
    assert held[three.id]["actualhours"] is None
    assert held[four.id]["keyid"] is None
    assert len(held[three.id]["description"]) == 40 * 2**20
    assert [held[one.id][name] for name in ("startdate", "duedate")] == [date(999, 1, 31), date(9999, 12, 31)]
    assert [held[two.id][name] for name in ("startdate", "duedate")] == [date(1969, 12, 31), None]
    assert held[three.id]["created"].replace(tzinfo=None) == datetime(1938, 4, 24, 22, 13, 20)
    for said in (
        f"issues: summary of id {one.id} holds characters that databases do not take",
        f"issues: actualHours of id {three.id} is no value of its type. The row arrives without it.",
        f"issues: keyId of id {four.id} is no value of its type. The row arrives without it.",
        f"issues: dueDate of id {two.id} is '10000-01-01', which cannot be read as a date. It is null",
        "were replaced by U+FFFD.",
    ):
        assert errors.count(said) == 1, said


def lives_beside_a_table_of_somebody_else(
    command: Command, table: Table, execute: Callable[[str], object], schema: str, mending: str
) -> None:
    """A table that cannot be written to costs itself alone, and comes whole when `mending` was executed.

    So does one that somebody drops.
    """
    emulator = command.emulator
    execute(f"CREATE TABLE {schema}.issues (id BIGINT, summary INTEGER)")
    # In many batches: those of the issues that follow must not be written either, nor where they have come to.
    _, errors = command.run(status=1, checkpoint=0)
    assert errors.count("Writing") > 2
    last = errors.splitlines()[-1]
    assert last.startswith("backlog-sync: issues: The database refuses what is written: ")
    assert not any(row["summary"] in errors for row in emulator.truth("issues"))
    others = [stream for stream in command.streams.split(",") if stream != "issues"]
    for stream in others:
        assert len(table(stream)) == len(emulator.truth(stream)), stream
    assert not table("issues")

    execute(mending)
    execute(f"DROP TABLE {schema}.users")
    before = len(emulator.requests)
    output, errors = command.run()
    assert "gone from the database" in errors
    assert "users" in errors.splitlines()[-3]
    for stream in (*others, "issues"):
        rows, truth = ({row["id"] for row in given} for given in (table(stream), emulator.truth(stream)))
        assert rows == truth, stream
    # The others go on from their state.
    assert re.search(r"issue_comments +\d+  nothing new", output), output
    asked = [request.path for request in emulator.requests[before:]]
    assert not [path for path in asked if path.endswith("/comments")]
    _, errors = command.run()
    assert "gone from the database" not in errors


def live_through(
    command: Command, table: Table, between: Callable[[], None] = lambda: None, *, phases: Iterable[str] = PHASES
) -> dict[str, int]:
    """First load, changes, second load, each killed in all phases before it succeeds; the tables equal the space then.

    `between` is called when the first load is complete.
    """
    command.killed_while_reading(requests=20)
    for phase in phases:
        command.killed(phase)
    command.run()
    compare(command.emulator, table)
    between()
    change(command.emulator)
    command.killed_while_reading(requests=5)
    for phase in phases:
        command.killed(phase)
    before = len(command.emulator.requests)
    output, _ = command.run()
    assert "Requests: " in output
    compared = compare(command.emulator, table)
    # Every issue was read by the first load; the last one asked for what is new.
    searches = [request for request in command.emulator.requests[before:] if request.path == "/api/v2/issues"]
    assert searches
    assert all(request.value("updatedSince") for request in searches), "a load has read everything again"
    return compared
