"""`backlog-sync` into files: Parquet and JSON Lines in a folder."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from integration_tests.emulator import Emulator
from integration_tests.harness import catalog_streams, primary_key
from integration_tests.warehouse import STREAMS, Command, live_through, needs

needs("dlt", "dlt (the extra `files`) is not installed")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")

pytestmark = pytest.mark.slow


def rows_of(folder: Path) -> Any:
    """The rows as a reader takes them: of each key the one that was read last. What is replaced has no others."""

    def table(name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for file in sorted((folder / "backlog" / name).iterdir()):
            if file.suffix == ".parquet":
                rows += parquet.read_table(file).to_pylist()
            else:
                text = file.read_bytes()
                text = gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text
                # What is null is left out.
                rows += [dict.fromkeys(columns(name)) | json.loads(line) for line in text.splitlines()]
        if not catalog_streams()[name].source_defined_cursor:
            return rows
        keys = [key.lower() for key in primary_key(name)]
        last = {tuple(row[key] for key in keys): row for row in sorted(rows, key=lambda row: str(row[READ]))}
        return list(last.values())

    return table


READ = "_airbyte_extracted_at"


def columns(stream: str) -> list[str]:
    return [name.lower() for name in catalog_streams()[stream].json_schema["properties"]]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_a_space_with_a_life_in_files(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with Emulator(seed=3, projects=2, issues=40) as emulator:
        command = Command(emulator, tmp_path, f"file://{folder}?format={kind}")
        compared = live_through(command, rows_of(folder), phases=["normalize", "complete"])
    assert set(compared) == set(STREAMS) - {"deletions"}


def test_a_second_run_ends_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with Emulator(seed=3, projects=1, issues=5) as emulator:
        emulator.faults.add(r"^/api/v2/issues$", kind="hang", times=None)
        command = Command(emulator, tmp_path, f"file://{folder}")
        first = command.started(requests=8)
        _, errors = command.run(status=1)
        assert errors.splitlines()[-1].startswith(
            f"backlog-sync: Another run of backlog-sync writes to file://{folder} "
        )
        first.send(9)
        first.wait()
        # The lock of a run that was killed keeps nobody out.
        emulator.faults.clear()
        command.run()
    assert {row["id"] for row in rows_of(folder)("issues")} == {row["id"] for row in emulator.truth("issues")}


def test_a_check_writes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with Emulator(seed=3, projects=1, issues=5) as emulator:
        command = Command(emulator, tmp_path, f"file://{folder}")
        assert "the destination can be reached" in command.run("--check")[1]
    assert not list(folder.iterdir())
