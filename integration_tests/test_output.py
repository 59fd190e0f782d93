"""What a command prints, in a process of its own: UTF-8 on every system, and nothing more when nobody reads on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer

from integration_tests.emulator import Emulator
from integration_tests.harness import configured

# Neither ASCII nor cp932 has the last one.
NAME = "課題 café 😀"
SYSTEMS = {
    "Japanese Windows": {"PYTHONIOENCODING": "cp932"},
    "ASCII": {"PYTHONIOENCODING": "ascii:strict"},
    "the locale C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(projects=2, issues=150) as running:
        for issue in next(iter(running.space.projects.values())).issues:
            issue.summary = NAME
        yield running


@pytest.fixture
def arguments(emulator: Emulator, tmp_path: Path) -> list[str]:
    config, catalog = tmp_path / "config.json", tmp_path / "catalog.json"
    config.write_text(json.dumps(emulator.config()))
    catalog.write_text(json.dumps(ConfiguredAirbyteCatalogSerializer.dump(configured(["issues"]))))
    return ["read", "--config", str(config), "--catalog", str(catalog)]


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("LC_ALL", "LANG", "PYTHONIOENCODING")}
    return {**kept, **changes}


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_a_read_prints_utf8_on_every_system(emulator: Emulator, arguments: list[str], system: dict[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "source_backlog", *arguments], capture_output=True, env=environment(**system), timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    messages = [json.loads(line) for line in ended.stdout.decode("utf-8").splitlines()]
    rows = [message["record"]["data"] for message in messages if message["type"] == "RECORD"]
    assert len(rows) == len(emulator.truth("issues"))
    assert NAME in {row["summary"] for row in rows}


def test_backlog_sync_prints_utf8_too(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "source_backlog.sync", "--config", str(tmp_path / NAME), "--to", "duckdb:///x"],
        capture_output=True,
        env=environment(PYTHONIOENCODING="cp932", PYTHONUTF8="1"),
        timeout=60,
    )
    assert ended.returncode == 2
    assert NAME in ended.stderr.decode("utf-8")


def test_a_read_that_nobody_reads_ends_quietly_and_leaves_nothing_behind(arguments: list[str], tmp_path: Path) -> None:
    """As under `read … | head -1`; the folder of the CDK, with the key in it, goes too."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "source_backlog", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(TMPDIR=str(temporary)),
    ) as process:
        assert process.stdout and process.stderr
        assert json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 141
    assert list(temporary.iterdir()) == []


def test_a_short_command_that_nobody_reads_ends_quietly(arguments: list[str]) -> None:
    receiver, sender = os.pipe()
    os.close(receiver)
    ended = subprocess.run(
        [sys.executable, "-m", "source_backlog", "check", *arguments[1:3]],
        stdout=sender,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    os.close(sender)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_progress_that_nobody_reads_is_no_reason_to_stop() -> None:
    """Of `backlog-sync`: the rows are for the database."""
    script = (
        "from source_backlog.sync.progress import Progress\n"
        "progress = Progress()\n"
        "progress.start('a space', 'a database')\n"
        "progress.phase('reading', ['issues'])\n"
        "progress.summary({'issues': 3})\n"
        "progress.last_word('the end')\n"
    )
    receiver, sender = os.pipe()
    os.close(receiver)
    with tempfile.TemporaryFile() as errors:
        both = subprocess.run([sys.executable, "-c", script], stdout=sender, stderr=sender, timeout=60)
        only_output = subprocess.run([sys.executable, "-c", script], stdout=sender, stderr=errors, timeout=60)
        errors.seek(0)
        said = errors.read()
    os.close(sender)
    assert (both.returncode, only_output.returncode) == (0, 0)
    assert b"the end" in said
    assert b"Error" not in said
