"""Where files stay: the staging directory of the platform, a folder, or an object store (`sync/bucket.py`)."""

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol


class Store(Protocol):
    """A place for files. `shown` is its name for the user; in `folder`, on this machine, a file is until it is whole.

    The methods raise `OSError`.
    """

    shown: str
    folder: Path

    def put(self, file: Path, path: str) -> None:
        """Take a whole file to `path`, where it appears at once or not at all."""

    def opened(self, path: str) -> AbstractContextManager[BinaryIO]:
        """The contents of a file."""

    def size(self, path: str) -> int | None:
        """The bytes of a file; None where there is none."""


class Folder:
    """A folder of this machine: a `Store`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.shown = folder, str(folder)

    def put(self, file: Path, path: str) -> None:
        """Move a whole file, which is on the same file system, to `path`."""
        os.replace(file, self.folder / path)

    def opened(self, path: str) -> AbstractContextManager[BinaryIO]:
        """The contents of a file."""
        return (self.folder / path).open("rb")

    def size(self, path: str) -> int | None:
        """The bytes of a file; None where there is none, or where it cannot be looked at."""
        try:
            return (self.folder / path).stat().st_size
        except OSError:
            return None
