"""Where files go that do not stay on this machine: `--files s3://…`, `gs://…` and `az://…`.

Through fsspec and dlt's own way to it, so that the credentials are those of a destination of files. The two names of
`dlt.common.storages` stand in dlt's code alone, without an underscore.
"""

import contextlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from source_backlog.sync.errors import FAILED, USAGE, SyncError


class Bucket:
    """A folder in an object store: a `Store`. `folder` is one of this machine, for files on their way.

    Raises `SyncError` when the store cannot be used: with status 1 where trying again may help.
    """

    def __init__(self, address: str, folder: Path) -> None:
        from dlt.common.configuration.resolve import resolve_configuration
        from dlt.common.storages import FilesystemConfiguration, fsspec_from_config

        self.shown, self.folder = address, folder
        try:
            config = resolve_configuration(
                FilesystemConfiguration(bucket_url=address), sections=("destination", "filesystem")
            )
            self._system, root = cast(tuple[Any, str], fsspec_from_config(config))
        except Exception as error:
            raise SyncError(
                f"--files: there are no credentials for {address} that can be used ({type(error).__name__}). They are "
                "those of dlt's filesystem destination: see docs/warehouse.md.",
                USAGE,
            ) from error
        self._root = root.strip("/")
        bucket = self._root.split("/")[0]
        try:
            is_there = self._system.exists(bucket)
        except Exception as error:
            refused = isinstance(error, PermissionError)
            raise SyncError(
                f"--files: {address} {'is refused to these credentials' if refused else 'cannot be reached'}.",
                USAGE if refused else FAILED,
            ) from error
        if not is_there:
            raise SyncError(f"--files: there is no bucket {bucket}, or not for these credentials.", USAGE)

    def put(self, file: Path, path: str) -> None:
        """Copy a whole file to `path`, where it appears at once or not at all."""
        with _as_os_error():
            self._system.put_file(str(file), f"{self._root}/{path}")

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[BinaryIO]:
        """The contents of a file."""
        with _as_os_error(), self._system.open(f"{self._root}/{path}", "rb") as content:
            yield content

    def size(self, path: str) -> int | None:
        """The bytes of a file; None where there is none. All are listed once."""
        return self._sizes.get(path)

    @cached_property
    def _sizes(self) -> Mapping[str, int]:
        with _as_os_error():
            self._system.invalidate_cache()
            found = self._system.find(self._root, detail=True)
        return {name.strip("/").removeprefix(f"{self._root}/"): one["size"] for name, one in found.items()}


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    """What the clients of the stores raise, each in its own way, as one kind of error without an address in it."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        reason = "refused" if isinstance(error, PermissionError) else type(error).__name__
        raise OSError(None, reason) from error
