"""Attachments and shared files with their bytes, for destinations that take files."""

import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from airbyte_cdk.models import AirbyteRecordMessageFileReference, FailureType
from airbyte_cdk.sources.types import Record, StreamSlice
from airbyte_cdk.sources.utils.files_directory import get_files_directory
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.components.documents import DocumentRetriever
from source_backlog.components.issues import IssueRetriever
from source_backlog.components.responses import MIB
from source_backlog.components.retriever import BacklogRetriever
from source_backlog.components.shared_files import SharedFileRetriever
from source_backlog.components.values import Row, as_instant, date_time_columns, day_before, later, with_instants
from source_backlog.components.wikis import WikiRetriever

LOGGER = logging.getLogger("airbyte.source_backlog")

# Larger files are left out unless the config says otherwise; Airbyte itself takes files up to about 1.5 GB.
DEFAULT_LIMIT_MIB = 1024
ATTEMPTS = 3
# A name may take 255 bytes on most file systems.
LONGEST_NAME_BYTES = 200

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]")


def safe_name(name: Any) -> str:
    """A file name that stays in its directory on every system; Japanese and other letters are kept."""
    text = _FORBIDDEN.sub("_", str(name or "")).strip(" .") or "file"
    return text.encode()[:LONGEST_NAME_BYTES].decode(errors="ignore")


@dataclass
class FileRetriever(BacklogRetriever):
    """Downloads the file of each metadata row that a sibling retriever finds, each file once.

    Why not the CDK's `FileUploader`: it holds the whole body in memory, has no limit of size, fails the stream with
    one failed file, and downloads a file again whenever its row comes again.

    State, beside that of the sibling: `files` (the latest stamp of a file), `recent` (ids of the files of the last
    day before it, because that day is read again) and `missed` (rows of files that could not be fetched, to try
    again).
    """

    download: str = ""
    folder: str = ""
    stamp: str = "created"

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        self.api_budget.file_streams.add(self.name)

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[Record]:
        """The rows whose files were fetched, with a reference to the file in the staging directory."""
        partition = stream_slice or StreamSlice(partition={}, cursor_slice={})
        columns = date_time_columns(records_schema)
        position = self.position(partition)
        progress = FileProgress(position, self.stamp)
        for row, reference in self.api_budget.ahead(self.fetch, self.wanted(partition, progress)):
            if reference is None:
                progress.missed(row)
                continue
            progress.fetched(row)
            yield Record(with_instants(row, columns), self.name, partition, reference)
        self.advance(partition, {**self.partition_router.pending(partition), **progress.position()})

    def wanted(self, stream_slice: StreamSlice, progress: "FileProgress") -> Iterator[Row]:
        """The rows whose files have to be fetched: those missed last time, then the new ones within the limit."""
        yield from progress.to_retry
        limit = int(self.config.get("file_size_limit_mib") or DEFAULT_LIMIT_MIB)
        for row in self.rows(stream_slice):
            if row.get("type") == "directory" or not progress.is_new(row):
                continue
            row["downloadUrl"] = f"{self.requester.get_url()}{self.download.format(**row)}"
            if (row.get("size") or 0) > limit * MIB:
                LOGGER.warning(
                    f"{self.name}: left out {self.download.format(**row)} ({row.get('name')}): it has "
                    f"{row['size'] / MIB:.1f} MiB, more than the limit of {limit} MiB."
                )
                progress.fetched(row)
                continue
            yield row

    def fetch(self, row: Row) -> AirbyteRecordMessageFileReference | None:
        """Stream the file of a row to the staging directory; None, with a warning, when that fails.

        Raises a config error: with a key that is no longer accepted no other file would come either.
        """
        path = self.download.format(**row)
        relative = Path(self.name, safe_name(self.folder.format(**row)), str(row["id"]), safe_name(row.get("name")))
        target = Path(get_files_directory()) / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(ATTEMPTS):
            try:
                size = self.requester.download(path, target)
            except AirbyteTracedException as error:
                if error.failure_type == FailureType.config_error:
                    raise
                LOGGER.warning(f"{self.name}: could not fetch {path}: {error.message} It is tried again next time.")
                return None
            except (requests.RequestException, OSError) as error:
                LOGGER.info(f"{self.name}: {path} broke off ({type(error).__name__}); attempt {attempt + 1}.")
                time.sleep(attempt)
                continue
            if size is None:
                return None
            return AirbyteRecordMessageFileReference(
                staging_file_url=str(target), source_file_relative_path=str(relative), file_size_bytes=size
            )
        LOGGER.warning(
            f"{self.name}: could not fetch {path}: it broke off {ATTEMPTS} times. It is tried again next time."
        )
        return None


@dataclass
class IssueFileRetriever(FileRetriever, IssueRetriever):
    """The attachments of issues."""


@dataclass
class WikiFileRetriever(FileRetriever, WikiRetriever):
    """The attachments of wiki pages."""


@dataclass
class DocumentFileRetriever(FileRetriever, DocumentRetriever):
    """The attachments of documents."""


@dataclass
class SharedFileContentRetriever(FileRetriever, SharedFileRetriever):
    """The shared files of projects."""


class FileProgress:
    """Which files of a partition were fetched: all up to a stamp, and by id those of the day before it."""

    def __init__(self, position: Mapping[str, Any], stamp: str) -> None:
        self._stamp = stamp
        self._files: str | None = position.get("files")
        self._known = {tuple(entry) for entry in position.get("recent") or []}
        self._since = day_before(self._files) if self._files else ""
        self._fetched: list[tuple[Any, str]] = []
        self._missed: list[Row] = []
        self.to_retry: list[Row] = [dict(row) for row in position.get("missed") or []]
        self._retried = {row["id"] for row in self.to_retry}

    def is_new(self, row: Row) -> bool:
        """Whether the file has not been fetched by an earlier sync."""
        stamp = self._of(row)
        return stamp >= self._since and (row["id"], stamp) not in self._known and row["id"] not in self._retried

    def fetched(self, row: Row) -> None:
        """Note that the file is done."""
        self._fetched.append((row["id"], self._of(row)))

    def missed(self, row: Row) -> None:
        """Note that the file is to be tried again."""
        self._missed.append(row)

    def position(self) -> dict[str, Any]:
        """The part of the partition's position that is about files."""
        files = self._files
        for _, stamp in self._fetched:
            files = later(files, stamp)
        since = day_before(files) if files else ""
        recent = [[*entry] for entry in sorted({*self._known, *self._fetched}) if entry[1] >= since]
        return {"files": files, "recent": recent, "missed": self._missed}

    def _of(self, row: Row) -> str:
        return as_instant(row.get(self._stamp)) or ""
