"""`backlog-sync --files` without a database: options, what has vanished, and the state that fetches it again."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from integration_tests.harness import catalog_streams
from source_backlog.changes.position import FilesPosition
from source_backlog.stores import Folder
from source_backlog.sync import main
from source_backlog.sync.errors import USAGE
from source_backlog.sync.files import Files, to_fetch_again
from source_backlog.sync.progress import Progress

pytest.importorskip("dlt", reason="dlt is not installed")

STREAM = "issue_attachment_files"
VALUES = {"issueid": 5, "id": 7, "projectid": 1, "issuekey": "WEB-5", "name": "図.png", "size": 3, "bytes": 3}
VALUES |= {"path": f"{STREAM}/WEB/WEB-5/7-図.png", "sha256": "00", "createduser": '{"id": 2}'}
STATE = {
    "states": [{"partition": {"projectId": 1}, "cursor": {"activity": 9, "files": None, "recent": [], "missed": []}}]
}


def warehouse(is_files: bool = False) -> Any:
    """One that holds a row, or cannot be asked."""

    def select(_: str, columns: list[str], where: str) -> list[Any] | None:
        return None if is_files else [tuple(VALUES.get(name) for name in columns)]

    return SimpleNamespace(select=select, state={"streams": {STREAM: copy.deepcopy(STATE)}})


def table() -> Any:
    from source_backlog.dlt import Table

    return Table(catalog_streams()[STREAM])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--repair"], "--files"),
        (["--files", "/dev/null/files"], "--files"),
        (["--files", ""], "--files names no folder"),
        (["--verify", "--files", "/nowhere/files"], "The folder /nowhere/files does not exist"),
        *((["--verify", "--json", file], "The report") for file in ("/dev/null/x", "/dev", "/nowhere/x")),
    ],
)
def test_options_that_cannot_be_used(
    arguments: list[str], said: str, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKLOG_DOMAIN", "example.backlog.jp")
    monkeypatch.setenv("BACKLOG_API_KEY", "key")
    assert main(["--to", "duckdb:///backlog.duckdb", *arguments]) == USAGE
    assert said in capsys.readouterr().err


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / VALUES["path"]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abc")
    (path.parent / ".8.part").write_bytes(b"half")
    held, errors = warehouse(), io.StringIO()
    Files(Folder(tmp_path), repair=True).prepare(held, [table()], Progress(errors, io.StringIO()))
    assert held.state["streams"][STREAM] == STATE
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    # Another size is another file.
    path.write_bytes(b"ab")
    Files(Folder(tmp_path), repair=True).prepare(held, [table()], Progress(errors, io.StringIO()))
    assert held.state["streams"][STREAM] != STATE


def test_what_has_vanished_is_fetched_again_from_what_the_table_says(tmp_path: Path) -> None:
    held = warehouse()
    Files(Folder(tmp_path)).prepare(held, [table()], Progress(io.StringIO(), io.StringIO()))
    assert held.state["streams"][STREAM] == STATE
    Files(Folder(tmp_path), repair=True).prepare(held, [table()], Progress(io.StringIO(), io.StringIO()))
    (entry,) = held.state["streams"][STREAM]["states"]
    (row,) = FilesPosition.parse(entry["cursor"]).missed or ()
    assert row == {
        "issueId": 5, "id": 7, "projectId": 1, "issueKey": "WEB-5", "name": "図.png", "size": 3,
        "createdUser": {"id": 2},
    }  # fmt: skip
    assert {name: value for name, value in entry["cursor"].items() if name != "missed"} == {
        "activity": 9, "files": None, "recent": []
    }  # fmt: skip


def test_it_is_asked_for_once_and_not_where_nothing_is_known_of_the_project() -> None:
    row = {"id": 7, "projectId": 1, "path": "a"}
    once = to_fetch_again(STATE, STREAM, [row, row])
    assert len(once["states"][0]["cursor"]["missed"]) == 1
    assert to_fetch_again(STATE, STREAM, [{**row, "projectId": 2}]) == STATE
    assert STATE["states"][0]["cursor"]["missed"] == []


def test_tables_that_are_files_hide_what_has_vanished(tmp_path: Path) -> None:
    held, errors = warehouse(is_files=True), io.StringIO()
    Files(Folder(tmp_path)).prepare(held, [table()], Progress(errors, io.StringIO()))
    assert held.state["streams"][STREAM] == STATE and not errors.getvalue()


@pytest.mark.parametrize(
    "arguments", [["--verify"], ["--verify", "--files", "backup"], ["--files", "backup", "--repair"]]
)
def test_tables_that_are_files_are_refused_before_anything_else(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKLOG_DOMAIN", raising=False)
    assert main(["--to", f"file://{tmp_path}?format=jsonl", *arguments]) == USAGE
    errors = capsys.readouterr().err
    assert "give --to a database" in errors and errors.count("\n") == 1
    assert not list(tmp_path.iterdir())
