"""The folder of an archive: what is written into it, and the files beside it."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from source_backlog.archive.text import File

MARK = "archive.json"
"""A folder with this file is an archive, and may be written anew."""
FILE_STREAMS = (
    "issue_attachment_files",
    "wiki_attachment_files",
    "document_attachment_files",
    "pull_request_attachment_files",
    "shared_file_contents",
)
PAGE_BYTES = 100_000
"""No page is as large as this."""


class ArchiveError(Exception):
    """An archive that cannot be written. The text is for the user."""


@dataclass
class Written:
    """What was written: pages and their bytes, the largest page in bytes, objects, and files found and not found."""

    pages: int = 0
    bytes: int = 0
    largest: int = 0
    issues: int = 0
    wikis: int = 0
    documents: int = 0
    files: int = 0
    missing_files: int = 0


class Folder:
    """Writes into a folder that is new, empty or an archive.

    What is there already, byte for byte, stays untouched, so that a copy of the archive has little to copy; what the
    archive has no more is removed by `finish`. Raises `ArchiveError` for a folder that holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.written = path, Written()
        self._names: set[str] = set()
        if path.exists() and not path.is_dir():
            raise ArchiveError(f"{path} is not a folder.")
        try:
            if path.exists() and any(path.iterdir()) and not (path / MARK).is_file():
                raise ArchiveError(f"The folder {path} holds something else than an archive. Name a new one.")
            path.mkdir(parents=True, exist_ok=True)
            self.put(MARK, '{"format": 1, "made_by": "source-backlog"}\n')
        except OSError as error:
            raise ArchiveError(f"The folder {path} cannot be written to: {error.strerror}.") from error

    def put(self, name: str, text: str) -> None:
        """Write a file; `name` is its path from the top of the archive, with slashes."""
        content = text.encode("utf-8", "replace")
        file = self.path / name
        if name in self._names:
            raise ValueError(f"written twice: {name}")
        self._names.add(name)
        self.written.bytes += len(content)
        if name.endswith(".html"):
            self.written.pages += 1
            self.written.largest = max(self.written.largest, len(content))
        if file.is_file() and file.read_bytes() == content:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def finish(self) -> Written:
        """Remove the pages of an older archive that are no more."""
        for parent, _, names in os.walk(self.path):
            for name in names:
                file = Path(parent, name)
                shown = file.relative_to(self.path).as_posix()
                if shown not in self._names and re.fullmatch(r"(?:(?:projects|search|assets)/.+|[a-z]+\.html)", shown):
                    file.unlink()
        return self.written


class Files:
    """The files that a sync has downloaded: `<stream>/<project key>/<object>/<id>-<name>` below a folder.

    Addresses lead from the archive to them, so the two folders have to be moved together.
    """

    def __init__(self, folder: Path | None, archive: Path) -> None:
        self._addresses: dict[tuple[str, int], str] = {}
        self.are_named = folder is not None
        if folder is None:
            return
        if not folder.is_dir():
            raise ArchiveError(f"The folder {folder} does not exist.")
        for stream in FILE_STREAMS:
            for path in _below(folder / stream):
                if found := re.match(r"(\d{1,18})-", path.name):
                    self._addresses[stream, int(found.group(1))] = _address(path, archive)

    def __len__(self) -> int:
        return len(self._addresses)

    def find(self, stream: str, row: dict[str, Any]) -> File:
        """The file of a row with `id` and `name`."""
        number = row.get("id")
        address = self._addresses.get((stream, number)) if isinstance(number, int) else None
        return File(str(row.get("name") or number), address)


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names))


def _address(file: Path, archive: Path) -> str:
    try:
        relative = os.path.relpath(file.resolve(), archive.resolve())
    except ValueError as error:
        raise ArchiveError("The archive and the files have to be on the same drive.") from error
    return quote(relative.replace(os.sep, "/"), errors="replace")
