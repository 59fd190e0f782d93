"""`backlog-sync --files` with an address: what it may be, and files in a store (fsspec's, in memory)."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from source_backlog.sync import destinations, main
from source_backlog.sync.destinations import folder_of_files
from source_backlog.sync.errors import FAILED, USAGE, SyncError

pytest.importorskip("dlt", reason="dlt is not installed")
fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")

from source_backlog.sync import files as files_module  # noqa: E402
from source_backlog.sync.bucket import Bucket  # noqa: E402
from source_backlog.sync.files import Files, files_of  # noqa: E402
from source_backlog.sync.verifying import wrong_with  # noqa: E402


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Bucket]:
    memory = fsspec.filesystem("memory")
    memory.mkdir("/backup")
    yield Bucket("memory://backup/files", tmp_path)
    memory.rm("/backup", recursive=True)


def put(bucket: Bucket, folder: Path, path: str, content: bytes) -> None:
    file = folder / "file"
    file.write_bytes(content)
    bucket.put(file, path)


def test_an_address_or_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "_is_there", lambda module: True)
    assert folder_of_files("backup/files") == Path("backup/files")
    assert folder_of_files("file:///backup/files") == Path("/backup/files")
    for address in ("s3://bucket/files", "gs://bucket/日本語", "az://container/files"):
        assert folder_of_files(address) == address == folder_of_files(f"{address}/")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ftp://host/files", "--files is a folder, or one of"),
        ("s3:///files", "--files is a folder, or one of"),
        ("s3://key:pa/ss@bucket/files", "--files must not contain a password"),
        ("s3://bucket:port/files", "--files cannot be read"),
    ],
)
def test_another_address(
    address: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKLOG_DOMAIN", "example.backlog.jp")
    monkeypatch.setenv("BACKLOG_API_KEY", "key")
    assert main(["--to", "duckdb:///backlog.duckdb", "--files", address]) == USAGE
    errors = capsys.readouterr().err
    assert said in errors and "pa/ss" not in errors and errors.count("\n") == 1


def test_what_is_not_installed_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "_is_there", lambda module: module != "s3fs")
    with pytest.raises(SyncError, match=r"s3fs.*pip install 'airbyte-source-backlog\[s3\]'"):
        folder_of_files("s3://bucket/files")


def test_an_archive_needs_a_folder(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(destinations, "_is_there", lambda module: True)
    arguments = ["--to", "duckdb:///backlog.duckdb", "--archive", "pages", "--files", "s3://bucket/files"]
    assert main(arguments) == USAGE
    assert "copy s3://bucket/files into a folder" in capsys.readouterr().err


def test_nothing_stays_on_this_machine(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "folder_of_files", lambda address: address)
    with files_of(argparse.Namespace(files="memory://backup/files", repair=False)) as files:
        assert files and files.store.folder.is_dir() and files.store.shown == bucket.shown
        (files.store.folder / "issue_attachment_files").mkdir()
    assert not files.store.folder.exists()


def test_there_is_no_such_bucket(tmp_path: Path) -> None:
    with pytest.raises(SyncError, match="no bucket nowhere") as raised:
        Bucket("memory://nowhere/files", tmp_path)
    assert raised.value.status == USAGE


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [(PermissionError(), USAGE, "is refused to these credentials"), (ConnectionError(), FAILED, "cannot be reached")],
)
def test_a_store_that_does_not_answer(
    error: Exception, status: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exists(*_: Any, **__: Any) -> bool:
        raise error

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "exists", exists)
    with pytest.raises(SyncError, match=said) as raised:
        Bucket("memory://backup/files", tmp_path)
    assert raised.value.status == status


def test_files_in_a_store(bucket: Bucket, tmp_path: Path) -> None:
    path, content = "issue_attachment_files/WEB/WEB-1/7-図.png", b"abc"
    put(bucket, tmp_path, path, content)
    files = Files(bucket)
    row = {"path": path, "bytes": 3, "sha256": hashlib.sha256(content).hexdigest()}
    assert files.is_there(row, "path")
    assert not files.is_there({**row, "bytes": 4}, "path")
    assert not files.is_there({**row, "path": "elsewhere"}, "path")
    assert not files.is_there({**row, "path": None}, "path")
    assert wrong_with(files, row, "path") is None
    assert wrong_with(files, {**row, "path": "elsewhere"}, "path") == "not there"
    put(bucket, tmp_path, path, b"abd")
    assert wrong_with(files, row, "path") == "other bytes"
    put(bucket, tmp_path, path, b"ab")
    assert wrong_with(files, row, "path") == "2 bytes, not 3"


def test_what_a_store_says_has_no_address_in_it(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    class EndpointError(Exception):
        pass

    def refuse(*_: Any, **__: Any) -> None:
        raise EndpointError("https://key:secret@store.example/backup")

    for name in ("put_file", "find", "open"):
        monkeypatch.setattr(fsspec.get_filesystem_class("memory"), name, refuse)
    with pytest.raises(OSError, match="EndpointError") as raised:
        bucket.put(Path("file"), "path")
    assert "secret" not in str(raised.value)
    with pytest.raises(OSError, match="EndpointError"):
        bucket.size("path")
    assert wrong_with(Files(bucket), {"path": "a"}, "path") == "unreadable (EndpointError)"
