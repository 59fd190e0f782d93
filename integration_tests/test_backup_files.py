"""`backlog-sync --files`: each file under a safe name with its hash, also after kills; what vanished comes again."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from integration_tests.emulator import Emulator
from integration_tests.emulator.generator import generate
from integration_tests.harness import FILES_OF, files_of
from integration_tests.warehouse import Command, needs

needs("dlt", "dlt (the extra `duckdb`) is not installed")
duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")

pytestmark = pytest.mark.slow

# What docs/warehouse.md asks: which attachments have no file, and why.
WITHOUT_FILE = re.search(
    r"Attachments without a file, and why:\s+```sql\n(.*?)```",
    (Path(__file__).parents[1] / "docs" / "warehouse.md").read_text(encoding="utf-8"),
    re.DOTALL,
)
PLACE = re.compile(r"(\w+)/([A-Z]+)/([^/]+)/(\d+)-([^/]+)")
DOWNLOAD = re.compile(r"/(attachments|projects/\d+/files)/\d+$")
# Names that some system does not take, or takes for something else.
HOSTILE = [
    "CON.txt",
    "a/b\\c:d*e?.png",
    "末尾の点. ",
    "図" * 120 + ".drawio.png",
    "line\nbreak\x07.txt",
    "..",
    "ＮＵＬ",
]


def rows(file: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """The rows of all tables of files, by stream and id."""
    found = {}
    with duckdb.connect(str(file), read_only=True) as connection:
        for stream in FILES_OF:
            column = "storedpath" if stream == "shared_file_contents" else "path"
            for identity, digest, size, at, path in connection.execute(
                f"SELECT id, sha256, bytes, fetchedat, {column} FROM main.{stream}"
            ).fetchall():
                found[stream, identity] = {"sha256": digest, "bytes": size, "fetchedAt": at, "path": path}
    return found


def lying_in(folder: Path) -> dict[str, bytes]:
    """The contents of the files in a folder, by path."""
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def check(emulator: Emulator, file: Path, lying: Mapping[str, bytes]) -> None:
    """Every file of the space has a row, and lies where it says, byte by byte; no other file lies there."""
    there = rows(file)
    expected = {
        (stream, number): one for stream, files in files_of(emulator.space).items() for number, one in files.items()
    }
    assert there.keys() == expected.keys()
    for (stream, number), row in there.items():
        content = lying[row["path"]]
        assert content == expected[stream, number].content()
        assert (row["sha256"], row["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
        parts = PLACE.fullmatch(row["path"])
        assert parts and (parts[1], int(parts[4])) == (stream, number), row["path"]
        for part in row["path"].split("/"):
            assert len(part.encode()) <= 255 and not re.search(r'[\x00-\x1f\x7f\\:*?"<>|]', part)
            assert part == part.strip().rstrip(".") and part
    assert lying.keys() == {row["path"] for row in there.values()}


def without_file(file: Path) -> list[tuple[Any, ...]]:
    """The attachments of issues that have no file, with the reason: the query of docs/warehouse.md."""
    assert WITHOUT_FILE
    query = WITHOUT_FILE[1].replace("1024 *", "1 *")
    with duckdb.connect(str(file), read_only=True) as connection:
        rows = connection.execute(query).fetchall()
    return [(key, name, size, reason) for key, _, name, size, reason in rows]


def test_a_backup_of_files_survives_kills_and_is_repaired(tmp_path: Path) -> None:
    space = generate(seed=6, projects=1, issues=10, archived_projects=0, foreign_projects=0)
    space.create_issue(space.project("WEB"), "課題", attachments=[(name, 900) for name in HOSTILE])
    file, folder = tmp_path / "backlog.duckdb", tmp_path / "files"
    with Emulator(space=space) as emulator:
        command = Command(
            emulator, tmp_path, f"duckdb:///{file}", streams=["issues", "issue_attachments", "sync_coverage"]
        )
        # Without the second between searches that one worker keeps.
        command.config.write_text(json.dumps(emulator.config(num_workers=4)), encoding="utf-8")
        files = ["--files", str(folder)]
        # Killed while files arrive, then while their rows are loaded.
        run = command.start(*files)
        while not list(folder.rglob("*-*")):
            time.sleep(0.01)
        run.send(9)
        assert run.wait() == -9
        half = folder / "issue_attachment_files" / ".1.part"
        half.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(b"half")
        assert command.start(*files, at="merge").wait() == -9
        command.run(*files)
        check(emulator, file, lying_in(folder))
        names = {row["path"].rpartition("-")[2] for row in rows(file).values()}
        assert {"_CON.txt", "ＮＵＬ"} <= names
        with duckdb.connect(str(file), read_only=True) as connection:
            # Rows and files join.
            without = "LEFT JOIN main.issue_attachment_files f USING (issueid, id) WHERE f.id IS NULL"
            assert connection.execute(f"SELECT count(*) FROM main.issue_attachments a {without}").fetchone() == (0,)
        # What is new comes, and nothing else.
        space.advance(60)
        space.create_issue(space.project("WEB"), "新しい課題", attachments=[("新.png", 77)])
        space.add_shared_file(space.project("WEB"), "/設計/新しい図.png", 88)
        before = len(emulator.requests)
        _, errors = command.run(*files)
        fetched = [request.path for request in emulator.requests[before:] if DOWNLOAD.search(request.path)]
        assert len(fetched) == 2
        assert "no longer in" not in errors
        check(emulator, file, lying_in(folder))
        # Two vanish, and one is cut off.
        gone = [folder / row["path"] for row in list(rows(file).values())[:3]]
        gone[0].unlink()
        gone[1].unlink()
        gone[2].write_bytes(b"x")
        _, errors = command.run(*files)
        assert f"3 files are no longer in {folder}: " in errors and "--repair fetches them again." in errors
        assert not gone[0].exists()
        before = rows(file)
        _, errors = command.run(*files, "--repair")
        assert "They are fetched again." in errors
        check(emulator, file, lying_in(folder))
        again = {key for key, row in rows(file).items() if row != before[key]}
        assert {folder / before[key]["path"] for key in again} == set(gone)
        # What is not fetched is named, with the reason.
        assert without_file(file) == []
        command.config.write_text(json.dumps(emulator.config(num_workers=4, file_size_limit_mib=1)), encoding="utf-8")
        space.advance(60)
        issue = space.create_issue(
            space.project("WEB"), "大きい", attachments=[("大.bin", 2**20 + 1), ("小.bin", 2**20)]
        )
        command.run(*files)
        assert without_file(file) == [(issue.key, "大.bin", 2**20 + 1, "larger than the limit")]
