"""What `backlog-sync --verify` takes for the same, and what is wrong with a file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("dlt", reason="dlt is not installed")

from source_backlog.stores import Folder
from source_backlog.sync.files import Files
from source_backlog.sync.verifying import comparable, lines, wrong_with

SAME = [
    ("timestamp", "2026-01-31T09:00:00Z", "2026-01-31T18:00:00+09:00"),
    ("date", "2026-01-31", "2026-01-31T00:00:00Z"),
    ("decimal", 2.5, 2.50),
    ("bigint", 3, 3.0),
    ("text", None, ""),
    ("text", "a\ufffdb", "a\x00b"),
    ("json", {"id": 1, "name": "A"}, {"name": "renamed", "id": 1}),
    ("json", [{"id": 2}, {"id": 1}], [{"id": 1, "name": "x"}, {"id": 2}]),
    ("json", None, []),
    ("bool", True, True),
]
DIFFERENT = [
    ("timestamp", "2026-01-31T09:00:00Z", "2026-01-31T09:00:01Z"),
    ("date", "2026-01-31", "2026-02-01T00:00:00Z"),
    ("decimal", 2.5, 2.25),
    ("decimal", 0, None),
    ("text", "a", "b"),
    ("json", {"id": 1}, {"id": 2}),
    ("json", {"id": 1, "value": "x"}, {"id": 1, "value": "y"}),
    ("json", [{"id": 1}], [{"id": 1}, {"id": 2}]),
    ("bool", True, False),
]


@pytest.mark.parametrize(("kind", "one", "other"), SAME)
def test_the_same_in_another_spelling(kind: str, one: Any, other: Any) -> None:
    assert comparable(one, kind) == comparable(other, kind)


@pytest.mark.parametrize(("kind", "one", "other"), DIFFERENT)
def test_what_differs(kind: str, one: Any, other: Any) -> None:
    assert comparable(one, kind) != comparable(other, kind)


def test_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    row = {"path": "a/b", "bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
    assert wrong_with(Files(Folder(tmp_path)), row, "path") == "not there"
    (tmp_path / "a").mkdir()
    for content, problem in ((b"abc", None), (b"ab", "2 bytes, not 3"), (b"abd", "other bytes")):
        (tmp_path / "a" / "b").write_bytes(content)
        assert wrong_with(Files(Folder(tmp_path)), row, "path") == problem
    assert wrong_with(Files(Folder(tmp_path)), {**row, "path": None}, "path") == "no path"
    assert str(wrong_with(Files(Folder(tmp_path)), {**row, "path": "a"}, "path")).startswith("unreadable")


def test_a_report_that_cannot_tell_what_is_missing_says_so() -> None:
    count = {"stream": "issues", "projectKey": "WEB", "totalThen": None, "totalNow": 3, "rows": 2, "missing": 0}
    sample = dict.fromkeys(("seed", "asked", "same", "changedSince", "gone", "failed", "different"), 0) | {"wrong": []}
    report = {
        "counts": [count],
        "notRead": [],
        "files": {"checked": 0, "wrong": []},
        "sample": sample,
        "differences": 0,
    }
    told = list(lines(report))
    assert told[-1] == "No difference."
    assert any(line.startswith("Without sync_coverage") for line in told)
