"""Attachments and shared files with their bytes, for destinations that take files."""

import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from airbyte_cdk.models import AirbyteRecordMessageFileReference, FailureType
from airbyte_cdk.sources.types import Record, StreamSlice
from airbyte_cdk.sources.utils.files_directory import get_files_directory
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.responses import MIB
from source_backlog.changes.feed import DOCUMENT_DELETED, Touched, touched_ids
from source_backlog.changes.paging import Unreadable, rows_of
from source_backlog.streams.documents import DocumentRetriever, ids_in
from source_backlog.streams.issues import IssueRetriever
from source_backlog.streams.retriever import BacklogRetriever, Skipped
from source_backlog.streams.rows import children
from source_backlog.streams.shared_files import SharedFileRetriever
from source_backlog.streams.wikis import WikiRetriever
from source_backlog.values import (
    STAMP,
    Position,
    Row,
    as_instant,
    date_time_columns,
    day_before,
    later,
    with_instants,
)

LOGGER = logging.getLogger("airbyte.source_backlog")

# Larger files are left out unless the config says otherwise; Airbyte itself takes files up to about 1.5 GB.
DEFAULT_LIMIT_MIB = 1024
ATTEMPTS = 3
# A name may take 255 bytes on most file systems.
LONGEST_NAME_BYTES = 200
LONGEST_SUFFIX_BYTES = 20
# A checkpoint holds the ids of the files that the walk has fetched so far: the more there are, the rarer it comes.
CHECKPOINT_SECONDS = 30.0
FILES_PER_SECOND_OF_PAUSE = 1000
# In how many syncs a file may be refused before it is given up.
MOST_REFUSALS = 3
# What the rows carry on their way, and the saved ones of files that were refused.
DOUBTFUL, REFUSALS = "doubtful", "refusals"

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]")
# What Windows takes for a device, whatever its extension.
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


def safe_name(name: Any) -> str:
    """A file name that stays in its directory on every system; Japanese and other letters are kept."""
    text = _FORBIDDEN.sub("_", str(name or "")).strip().rstrip(" .") or "file"
    if _DEVICE.match(text):
        text = f"_{text}"
    if len(text.encode(errors="replace")) <= LONGEST_NAME_BYTES:
        return text
    stem, suffix = os.path.splitext(text)
    if len(suffix.encode()) > LONGEST_SUFFIX_BYTES:
        stem, suffix = text, ""
    return stem.encode(errors="replace")[: LONGEST_NAME_BYTES - len(suffix.encode())].decode(errors="ignore") + suffix


@dataclass
class FileRetriever(BacklogRetriever):
    """Downloads the file of each metadata row that a sibling retriever finds, each file once.

    Why not the CDK's `FileUploader`: it holds the whole body in memory, has no limit of size, fails the stream with
    one failed file, and downloads a file again whenever its row comes again.

    Which files are new? Those with a stamp behind the last one fetched, if the object that they hang on was read
    before: then all older ones were fetched with it. Of an object that may not have been read before (`in_doubt`) all.

    State, beside that of the sibling: `files` (the latest stamp of a file), `recent` (id and stamp of the fetched files
    that the next sync may list again) and `missed` (rows of files that could not be fetched, to try again).
    """

    download: str = ""
    folder: str = ""
    stamp: str = "created"

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        self.api_budget.file_streams.add(self.name)

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[Record]:
        """The rows whose files were fetched, with a reference to the file in the staging directory.

        A partition that cannot be read to its end keeps what it has fetched and its position: see `BacklogRetriever`.
        """
        partition = stream_slice or StreamSlice(partition={}, cursor_slice={})
        columns = date_time_columns(records_schema)
        before = self.position(partition)
        progress = FileProgress(before, self.stamp, self.partition_router.cursor_field)
        saved = time.monotonic()
        try:
            for row, fetched in self.api_budget.ahead(self.fetch, self.wanted(partition, progress)):
                if isinstance(fetched, AirbyteRecordMessageFileReference):
                    yield Record(with_instants({**row}, columns), self.name, partition, fetched)
                refused = fetched is False and not self.is_removed(row, partition["projectId"])
                progress.note(row, missed=fetched is None, refused=refused)
                if time.monotonic() - saved > CHECKPOINT_SECONDS + progress.count / FILES_PER_SECOND_OF_PAUSE:
                    self.checkpoint(partition, {**before, **progress.unfinished()})
                    saved = time.monotonic()
        except Unreadable:
            LOGGER.warning(f"{self.name}: not readable to its end; the next sync tries again. ({_place(partition)})")
            self.advance(partition, {**before, **progress.unfinished()})
            return
        self.advance(partition, {**progress.listed, **progress.finished()})

    def wanted(self, stream_slice: StreamSlice, progress: "FileProgress") -> Iterator[Row]:
        """The rows whose files have to be fetched: the new ones within the limit, then those missed last time."""
        limit = int(self.config.get("file_size_limit_mib") or DEFAULT_LIMIT_MIB)
        for row in self.rows(stream_slice):
            doubtful = bool(row.pop(DOUBTFUL, False))
            if row.get("type") == "directory" or not progress.is_new(row, doubtful=doubtful):
                continue
            path = self.download.format(**row)
            if (row.get("size") or 0) > limit * MIB:
                LOGGER.warning(
                    f"{self.name}: left out {path} ({row.get('name')}): it has {row['size'] / MIB:.1f} MiB, more than "
                    f"the limit of {limit} MiB."
                )
                progress.note(row)
                continue
            yield {**row, "downloadUrl": f"{self.requester.get_url()}{path}"}
        # The siblings say at their end how far they have come; see `Checkpoints.pending`.
        progress.listed = self.partition_router.pending(stream_slice)
        yield from progress.to_retry()

    def is_removed(self, row: Row, project_id: Any) -> bool:
        """Whether a refused file is known to be gone, because the object that it hung on is shown without it.

        Raises `Unreadable` when the project is not readable.
        """
        owner, attached, _ = self.download.format(**row).partition("/attachments/")
        if attached:
            self.api_budget.probed.add(owner)
            shown = self.requester.look(owner)
            if isinstance(shown, dict):
                return all(child.get("id") != row["id"] for child in children(shown, "attachments"))
        if not self.readable(project_id):
            raise Unreadable
        return False

    def is_older_than_start(self, owner: Row) -> bool:
        """Whether earlier syncs may have left out an object because it had not changed since the start date."""
        start = as_instant(self.config.get("start_date"))
        return start is not None and (as_instant(owner.get("created")) or "") < start

    def fetch(self, row: Row) -> AirbyteRecordMessageFileReference | bool | None:
        """Stream the file of a row to the staging directory.

        None, with a warning, when it could not be fetched now; False when it is refused (403, 404), which has its own
        warning. Raises `AirbyteTracedException` when nothing could be fetched any more: the key is no longer accepted,
        or the staging directory cannot be written to.
        """
        path = self.download.format(**row)
        relative = Path(
            self.name, safe_name(self.folder.format(**row)), safe_name(row["id"]), safe_name(row.get("name"))
        )
        target = Path(get_files_directory()) / relative
        for attempt in range(1, ATTEMPTS + 1):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                size = self.requester.download(path, target)
            except AirbyteTracedException as error:
                if error.failure_type == FailureType.config_error:
                    raise
                LOGGER.warning(f"{self.name}: could not fetch {path}: {error.message} It is tried again next time.")
                return None
            except requests.RequestException as error:
                target.unlink(missing_ok=True)
                LOGGER.info(f"{self.name}: {path} broke off ({type(error).__name__}), attempt {attempt} of {ATTEMPTS}.")
                time.sleep(attempt - 1)
                continue
            except OSError as error:
                raise AirbyteTracedException(
                    message=f"Could not write to the staging directory for files: {error.strerror or error}.",
                    internal_message=f"{type(error).__name__} at {relative}",
                    failure_type=FailureType.transient_error,
                    exception=error,
                ) from error
            if size is None:
                return False
            return AirbyteRecordMessageFileReference(
                staging_file_url=str(target), source_file_relative_path=str(relative), file_size_bytes=size
            )
        LOGGER.warning(
            f"{self.name}: could not fetch {path}: it broke off {ATTEMPTS} times. It is tried again next time."
        )
        return None


@dataclass
class IssueFileRetriever(FileRetriever, IssueRetriever):
    """The attachments of issues.

    State, besides: `number`, such that an issue with a number up to it has been in the project before. Why: an issue
    that was moved here brings old files along, and gets a new number.
    """

    def changed(self, stream_slice: StreamSlice, position: Position) -> Iterator[Row]:
        """Changed issues of the project, the attachments of some marked as doubtful."""
        first, number = "files" not in position, position.get("number", 0)
        for issue in super().changed(stream_slice, position):
            key_id = issue.get("keyId")
            moved = not first and not (type(key_id) is int and key_id <= number)
            yield in_doubt(issue) if moved or self.is_older_than_start(issue) else issue

    def touched(self, project_id: Any, position: Position) -> dict[Any, Touched]:
        """The issues that the feed names since the last sync; moves `number` to what the project has reached by now."""
        number = position.get("number")
        touched = super().touched(project_id, position)
        if number is None or "activity" not in position:
            params = {"projectId[]": project_id, "sort": "created", "order": "desc", "count": 1}
            numbers = [issue.get("keyId") for issue in rows_of(self.requester.get_json("issues", params))]
        else:
            numbers = [named.key_id for named in touched.values()]
        position["number"] = max([number or 0, *(each for each in numbers if type(each) is int)])
        return touched


@dataclass
class WikiFileRetriever(FileRetriever, WikiRetriever):
    """The attachments of wiki pages."""

    def changed(self, stream_slice: StreamSlice, position: Position, skipped: Skipped) -> list[Row]:
        """The list entries of the changed pages, some marked as doubtful."""
        pages = super().changed(stream_slice, position, skipped)
        return [{**page, DOUBTFUL: page["id"] in skipped.before or self.is_older_than_start(page)} for page in pages]

    def read(self, page: Row) -> list[Row] | None:
        """The page with its attachments; None when it is gone."""
        found = super().read(page)
        return [in_doubt(row) for row in found] if found and page[DOUBTFUL] else found


@dataclass
class DocumentFileRetriever(FileRetriever, DocumentRetriever):
    """The attachments of documents.

    State, besides: `trash`, the ids of the documents in the trash, which is not read: whatever is taken out of it may
    have files that were never fetched.
    """

    def changed(self, project_id: Any, position: Position, touched: Iterable[Any], skipped: Skipped) -> Iterator[Row]:
        """Changed documents of the project, the attachments of some marked as doubtful."""
        trashed = touched_ids(self.api_budget, self.requester, project_id, position, DOCUMENT_DELETED)
        before = self.position(StreamSlice(partition={"projectId": project_id}, cursor_slice={}))
        doubtful = {*before.get("trash", ()), *trashed, *skipped.before}
        tree: Any = {}
        if touched or trashed or "activity" not in position:
            # Before the list is read: what is thrown away later is named by the feed next time.
            tree = self.requester.get_json("documents/tree", {"projectIdOrKey": project_id})
            if isinstance(tree, dict):
                position["trash"] = sorted(ids_in(tree, "trashTree"), key=str)
                doubtful.update(position["trash"])
        for document in super().changed(project_id, position, touched, skipped):
            known = isinstance(tree, dict) and document["id"] not in doubtful
            yield document if known and not self.is_older_than_start(document) else in_doubt(document)

    def newest_first(self, project_id: Any, bound: str, *, not_empty: bool) -> Iterator[Row]:
        """The documents of a project back to the stamp `bound`, the most recently updated first.

        A document that is updated while several pages are read moves to the front and may have been on none of them.
        The next sync finds it there, but would take its older files for fetched: so the front is looked at again.
        """
        read: dict[Any, Any] = {}
        pages = 0
        ask = self.requester.get_json

        def counted(path: str, params: Row) -> Any:
            nonlocal pages
            pages += 1
            return ask(path, params)

        while True:
            newest, pages, news = bound, 0, False
            for document in self.listed(counted, project_id, bound, not_empty=not_empty):
                newest = max(newest, as_instant(document.get("updated")) or "")
                if document["id"] not in read or read[document["id"]] != document.get("updated"):
                    read[document["id"]], news = document.get("updated"), True
                    yield document
            if pages < 2 or not news:
                return
            bound, ask = newest, self.requester.look


@dataclass
class SharedFileContentRetriever(FileRetriever, SharedFileRetriever):
    """The shared files of projects."""


def in_doubt(owner: Row) -> Row:
    """The object with its attachments marked: it may not have been read before."""
    return {**owner, "attachments": [{**child, DOUBTFUL: True} for child in children(owner, "attachments")]}


class FileProgress:
    """Which files of a partition were fetched: all up to a stamp, and by id those that may be listed again.

    `stamp` is the column with a file's own stamp, `owner` that of the object it hangs on.
    """

    def __init__(self, position: Position, stamp: str, owner: str) -> None:
        self._stamp, self._owner = stamp, owner
        self._files: str | None = position.get("files")
        self._known = {(number, at) for number, at in position.get("recent") or []}
        self._since = day_before(self._files) if self._files else ""
        # A file may be attached, while a walk of hours goes on, to an object that the walk has passed.
        self._began = datetime.now(UTC).strftime(STAMP)
        self._done: list[tuple[Any, str]] = []
        # The files that their own stamp does not tell, and the stamp of the object: it is listed again for a day.
        self._untold: dict[tuple[Any, str], str] = {}
        self._missed: list[Row] = []
        self._waiting: dict[Any, Row] = {row["id"]: row for row in position.get("missed") or []}
        self._refusals = {number: row.get(REFUSALS, 0) for number, row in self._waiting.items()}
        self.listed: Position = {}

    @property
    def count(self) -> int:
        """How many files a checkpoint has to name."""
        return len(self._done) + len(self._known)

    def is_new(self, row: Row, *, doubtful: bool = False) -> bool:
        """Whether the file has not been fetched by an earlier sync; such a row takes the place of a missed one."""
        stamp = self._of(row)
        entry = (row["id"], stamp)
        if doubtful or not stamp:
            self._untold[entry] = as_instant(row.get(self._owner)) or ""
        elif stamp < self._since:
            return False
        if entry in self._known:
            return False
        self._waiting.pop(row["id"], None)
        return True

    def to_retry(self) -> list[Row]:
        """The rows of files that the last sync missed and this one has not found anew."""
        return [{name: row[name] for name in row if name != REFUSALS} for row in self._waiting.values()]

    def note(self, row: Row, *, missed: bool = False, refused: bool = False) -> None:
        """Note that the file is done with, or is to be tried again: because it was missed, or refused a few times.

        Why: of a project that the user has lost for a moment, every file is refused.
        """
        self._waiting.pop(row["id"], None)
        refusals = self._refusals.get(row["id"], 0) + refused
        if missed or (refused and refusals < MOST_REFUSALS):
            self._missed.append({**row, REFUSALS: refusals} if refusals else row)
        else:
            self._done.append((row["id"], self._of(row)))

    def unfinished(self) -> Position:
        """The part of the position that is about files, in the middle of the walk: all that it has fetched, by id."""
        recent = [[*entry] for entry in {*self._known, *self._done}]
        return {"files": self._files, "recent": recent, "missed": [*self._waiting.values(), *self._missed]}

    def finished(self) -> Position:
        """The same at the end of the walk."""
        latest = max((stamp for _, stamp in self._done), default=None)
        files = later(self._files, min(latest, self._began) if latest else None)
        since = day_before(files) if files else ""
        listed = self.listed.get("updated")
        bound = day_before(listed) if listed else ""
        again = {entry for entry, updated in self._untold.items() if not updated or updated >= bound}
        fetched = sorted({*self._known, *self._done})
        recent = [[*entry] for entry in fetched if entry[1] >= since or entry in again]
        return {"files": files, "recent": recent, "missed": self._missed}

    def _of(self, row: Row) -> str:
        return as_instant(row.get(self._stamp)) or ""


def _place(partition: StreamSlice) -> str:
    return ", ".join(f"{name} {value}" for name, value in partition.partition.items())
