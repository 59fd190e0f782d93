"""`backlog-sync --verify`: a good backup is good, also after Backlog has moved on, and each damage of one is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.emulator import Emulator
from integration_tests.emulator.generator import generate
from integration_tests.warehouse import Command, needs

needs("dlt", "dlt (the extra `duckdb`) is not installed")
duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")

pytestmark = pytest.mark.slow

STREAMS = ["issues", "issue_comments", "wikis", "documents", "pull_requests", "deletions", "sync_coverage"]


class Backup:
    """A space, and a backup of it in DuckDB and a folder."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.space, self.emulator = emulator.space, emulator
        self.file, self.folder, self.report_file = folder / "backlog.duckdb", folder / "files", folder / "report.json"
        self.command = Command(emulator, folder, f"duckdb:///{self.file}", streams=STREAMS)
        # Without the second between searches that one worker keeps.
        self.command.config.write_text(json.dumps(emulator.config(num_workers=4)), encoding="utf-8")
        self.files = ["--files", str(self.folder)]

    def verify(self, status: int, *options: str) -> tuple[dict[str, Any], str]:
        """The report, and what was printed."""
        given = ["--verify", "--json", str(self.report_file), "--seed", "7", *self.files, *options]
        output, _ = self.command.run(*given, status=status)
        return json.loads(self.report_file.read_text(encoding="utf-8")), output

    def change(self, sql: str) -> list[Any]:
        with duckdb.connect(str(self.file)) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def backup(tmp_path: Path) -> Iterator[Backup]:
    space = generate(seed=4, projects=2, issues=20, foreign_projects=0)
    space.create_issue(space.project("WEB"), "資料", attachments=[(f"{name}.png", 100) for name in "abc"])
    with Emulator(space=space) as emulator:
        made = Backup(emulator, tmp_path)
        made.command.run(*made.files)
        yield made


def test_good_backups_and_damaged_ones(backup: Backup) -> None:
    space = backup.space
    before = len(backup.emulator.requests)
    report, output = backup.verify(0, "--sample", "100000")
    asked = [request.path for request in backup.emulator.requests[before:]]
    assert report["differences"] == 0 and output.endswith("No difference.\n")
    objects = sum(len(backup.emulator.truth(stream)) for stream in STREAMS[:5])
    assert report["sample"]["asked"] == report["sample"]["same"] == objects > 50
    assert report["files"] == {"checked": len(list(backup.folder.rglob("*-*.*"))), "wrong": []}
    assert report["files"]["checked"] > 10
    assert {one["stream"] for one in report["counts"]} == set(STREAMS) - {
        "issue_comments",
        "deletions",
        "sync_coverage",
    }
    for one in report["counts"]:
        assert one["totalThen"] in (one["totalNow"], None) and one["rows"] == (one["totalThen"] or 0)
    # Nothing is read but numbers and single objects.
    assert not [path for path in asked if path.endswith(("/issues", "/wikis", "/documents", "/comments"))]

    # Backlog moves on: nothing of that is missing.
    space.advance(3600)
    web = space.project("WEB")
    changed, deleted = web.issues[0], web.issues[1]
    space.update_issue(changed, summary="変わった")
    space.delete_issue(deleted)
    space.create_issue(web, "新しい課題")
    report, output = backup.verify(0, "--sample", "100000")
    assert report["sample"]["changedSince"] >= 1 and report["sample"]["gone"] >= 1
    (numbers,) = [one for one in report["counts"] if (one["stream"], one["projectKey"]) == ("issues", "WEB")]
    assert numbers["totalNow"] == numbers["totalThen"] == numbers["rows"]

    # A row is gone, a field of another one is changed, a file is cut off, another has other bytes, a third is gone.
    kept = web.issues[1:3]
    backup.change(f"DELETE FROM main.issues WHERE id = {kept[0].id}")
    backup.change(f"UPDATE main.issues SET summary = 'すり替え' WHERE id = {kept[1].id}")
    rows = backup.change("SELECT id, path FROM main.issue_attachment_files WHERE bytes = 100 ORDER BY id LIMIT 3")
    paths = [backup.folder / path for _, path in rows]
    content = paths[1].read_bytes()
    paths[0].write_bytes(paths[0].read_bytes()[:-1])
    paths[1].write_bytes(bytes([content[0] ^ 1]) + content[1:])
    paths[2].unlink()
    report, output = backup.verify(1, "--sample", "100000")
    assert [(one["stream"], one["projectKey"], one["missing"]) for one in report["counts"] if one["missing"]] == [
        ("issues", "WEB", 1)
    ]
    (wrong,) = report["sample"]["wrong"]
    assert (wrong["stream"], wrong["id"], wrong["field"]) == ("issues", str(kept[1].id), "summary")
    assert (wrong["backup"], wrong["backlog"]) == ("すり替え", kept[1].summary)
    problems = {one["id"]: one["problem"] for one in report["files"]["wrong"]}
    assert list(problems) == [row[0] for row in rows] and problems[rows[1][0]] == "other bytes"
    assert "bytes, not" in problems[rows[0][0]] and problems[rows[2][0]] == "not there"
    assert report["differences"] == 5 and "5 differences." in output
    assert f"issues {kept[1].id}: summary" in output
    # The same seed asks for the same objects.
    first, _ = backup.verify(1, "--sample", "5")
    second, _ = backup.verify(1, "--sample", "5")
    assert first["sample"] == second["sample"] and first["sample"]["asked"] == 5
