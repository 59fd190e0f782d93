"""Attachments and shared files with their bytes, for destinations that take files."""

import hashlib
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from airbyte_cdk.models import AirbyteRecordMessageFileReference, FailureType
from airbyte_cdk.sources.types import Record, StreamSlice
from airbyte_cdk.sources.utils.files_directory import get_files_directory
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.responses import MIB
from source_backlog.changes.feed import DOCUMENT_DELETED, head_of, touched_ids
from source_backlog.changes.paging import Unreadable, rows_of
from source_backlog.changes.position import FilesPosition
from source_backlog.changes.progress import Walk
from source_backlog.changes.projects import selected_projects
from source_backlog.changes.skipped import Failures, attempt
from source_backlog.left_out import LeftOut
from source_backlog.stores import Folder, Store
from source_backlog.streams.documents import ids_in
from source_backlog.streams.finder import Finder
from source_backlog.streams.objects import ObjectRetriever, found
from source_backlog.streams.rows import children
from source_backlog.values import STAMP, Row, as_instant, day_before, later

LOGGER = logging.getLogger("airbyte.source_backlog")

# Larger files are left out unless the config says otherwise; Airbyte itself takes files up to about 1.5 GB.
DEFAULT_LIMIT_MIB = 1024
ATTEMPTS = 3
# What ends the name of a file that is still on its way.
PART = ".part"
# A name may take 255 bytes on most file systems.
LONGEST_NAME_BYTES = 200
LONGEST_SUFFIX_BYTES = 20
# A checkpoint holds the ids of the files that the walk has fetched so far: the more there are, the rarer it comes.
CHECKPOINT_SECONDS = 30.0
FILES_PER_SECOND_OF_PAUSE = 1000
# In how many syncs a file may be refused before it is given up.
MOST_REFUSALS = 3
# What the saved rows of files that were refused carry.
REFUSALS = "refusals"

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


@dataclass(frozen=True)
class Fetched:
    """A file that has arrived, and what its row says of it."""

    reference: AirbyteRecordMessageFileReference
    columns: Mapping[str, Any]


@dataclass
class FileRetriever(ObjectRetriever):
    """Downloads the file of each metadata row that a finder, a reader and `make` give, each file once.

    Why not the CDK's `FileUploader`: it holds the whole body in memory, has no limit of size, fails the stream with
    one failed file, and downloads a file again whenever its row comes again.

    Which files are new? Those with a stamp behind the last one fetched, if the object that they hang on was read
    before: then all older ones were fetched with it. Of an object that may not have been read before (`doubts`, a name
    of `DOUBTS`) all.
    """

    doubts: str = ""
    download: str = ""
    folder: str = ""
    stamp: str = "created"
    path_column: str = "path"

    kind = FilesPosition
    # What was fetched is known per stream.
    group = ""

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        self.api_budget.file_streams.add(self.name)

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[Record]:
        """The rows whose files were fetched, with a reference to the file in the staging directory.

        A partition that cannot be read to its end keeps what it has fetched and its position: see `BacklogRetriever`.
        """
        partition = stream_slice or StreamSlice(partition={}, cursor_slice={})
        before: FilesPosition = self.position(partition)
        finder = self.finder_of(partition, before)
        if self.rest(partition, finder, [self]):
            return
        progress = FileProgress(before, self.stamp, self.partition_router.cursor_field)
        saved = time.monotonic()
        try:
            for row, fetched in self.api_budget.ahead(self.fetch, self.wanted(partition, progress)):
                if isinstance(fetched, Fetched):
                    yield Record({**row, **fetched.columns}, self.name, partition, fetched.reference)
                if fetched is False and self.is_removed(row, finder):
                    self.backlog.left_out.forget(self.download.format(**row))
                    progress.forget(row)
                else:
                    progress.note(row, missed=fetched is None, refused=fetched is False)
                if time.monotonic() - saved > CHECKPOINT_SECONDS + progress.count / FILES_PER_SECOND_OF_PAUSE:
                    progress.left_out.report()
                    self.checkpoint(partition, progress.unfinished())
                    saved = time.monotonic()
        except Unreadable:
            self.backlog.left_out.lose([self.name], partition["projectId"])
            progress.left_out.report()
            self.advance(partition, progress.unfinished())
            return
        progress.left_out.report()
        self.checkpoint(partition, progress.finished())
        progress.failures.report()

    def wanted(self, stream_slice: StreamSlice, progress: "FileProgress") -> Iterator[Row]:
        """The rows whose files have to be fetched: the new ones within the limit, then those missed last time."""
        limit = int(self.config.get("file_size_limit_mib") or DEFAULT_LIMIT_MIB)
        finder = self.finder_of(stream_slice, self.position(stream_slice))
        for row, doubtful in self.listed(finder):
            if row.get("type") == "directory" or not progress.is_new(row, doubtful=doubtful):
                continue
            path = self.download.format(**row)
            if (row.get("size") or 0) > limit * MIB:
                after = f". They are larger than the limit of {limit} MiB."
                size = f"{row.get('name')}, {row['size'] / MIB:.1f} MiB"
                progress.left_out.collect(f"{self.name}: left out ", path, after, size)
                progress.note(row)
                continue
            yield {**row, "downloadUrl": f"{self.requester.get_url()}{path}"}
        progress.listed, progress.failures = finder.walk.finished(), finder.walk.skipped.failures
        yield from progress.to_retry()

    def listed(self, finder: Finder) -> Iterator[tuple[Row, bool]]:
        """The metadata rows of the changed objects, each with whether its object may not have been read before."""
        doubts = DOUBTS[self.doubts](finder, self.partition_router.start)
        for owner, objects in found(self.backlog, finder, self.reader):
            doubtful = doubts.about(owner)
            for each in objects:
                yield from ((row, doubtful) for row in self.made_of(each))

    def is_removed(self, row: Row, finder: Finder) -> bool:
        """Whether a refused file is known to be gone, by itself or with the object that it hung on.

        Raises `Unreadable` when the project is not readable.
        """
        template, attached, _ = self.download.partition("/attachments/")
        owner = row
        if attached:
            shown = attempt(lambda: self.requester.look(template.format(**row), probe=True))
            if isinstance(shown, AirbyteTracedException):
                return False
            if isinstance(shown, dict):
                return all(child.get("id") != row["id"] for child in children(shown, "attachments"))
            # The last column of the path is the one that names it.
            owner = {**row, "id": row[template.rpartition("{")[2].rstrip("}")]}
        if attempt(lambda: finder.has(owner)) is False:
            return True
        if not self.backlog.is_readable(finder.project_id):
            raise Unreadable
        return False

    def fetch(self, row: Row) -> Fetched | bool | None:
        """Stream the file of a row to its folder; under its own name there is never a part of it.

        None when it could not be fetched now; False when it is refused (403, 404). Both are noted as left out. Raises
        `AirbyteTracedException` when nothing could be fetched any more: the key is no longer accepted, or the folder
        cannot be written to.
        """
        path = self.download.format(**row)
        store, relative = self.store, self._path_of(row)
        target, stated, differs = store.folder / relative, row.get("size"), False
        # Not that of another process, which may use the same directory.
        part = target.with_name(f".{safe_name(row['id'])}.{os.getpid()}{PART}")
        for number in range(1, ATTEMPTS + 1):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                size = attempt(lambda: self.requester.download(path, part))
                if isinstance(size, int):
                    if isinstance(stated, int) and size != stated and not differs:
                        # The next attempt counts, whatever it gives.
                        differs = True
                        continue
                    return self._fetched(row, part, store, relative)
            except requests.RequestException as error:
                LOGGER.info(f"{self.name}: {path} broke off ({type(error).__name__}), attempt {number} of {ATTEMPTS}.")
                time.sleep(number - 1)
                continue
            except OSError as error:
                raise AirbyteTracedException(
                    message=f"Could not write to the {self._kind_of_store}, {store.shown}: {error.strerror or error}.",
                    internal_message=f"{type(error).__name__} at {relative}",
                    failure_type=FailureType.transient_error,
                    exception=error,
                ) from error
            finally:
                with suppress(OSError):
                    part.unlink()
            if isinstance(size, AirbyteTracedException):
                self._note_failure(path, str(size.message))
                return None
            return False
        self._note_failure(path, f"{path} broke off {ATTEMPTS} times.")
        return None

    def _fetched(self, row: Row, part: Path, store: Store, relative: Path) -> Fetched:
        with part.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        size, stated = part.stat().st_size, row.get("size")
        store.put(part, relative.as_posix())
        if isinstance(stated, int) and size != stated:
            self.backlog.left_out.collect(
                f"{self.name}: these files have another size than Backlog states, also when fetched again: ",
                self.download.format(**row),
                ". They were taken as they are.",
                f"{size} bytes, not {stated}",
            )
        return Fetched(
            AirbyteRecordMessageFileReference(
                staging_file_url=str(store.folder / relative),
                source_file_relative_path=str(relative),
                file_size_bytes=size,
            ),
            {
                "sha256": digest,
                "bytes": size,
                "fetchedAt": datetime.now(UTC).strftime(STAMP),
                self.path_column: relative.as_posix(),
            },
        )

    @property
    def store(self) -> Store:
        """Where files go."""
        return self.api_budget.files or Folder(Path(get_files_directory()))

    def _path_of(self, row: Row) -> Path:
        """Where in the store the file of a row goes."""
        owner, number = self.folder.format(**row), row["id"]
        if self.api_budget.files is None:
            return Path(self.name, safe_name(owner), safe_name(number), safe_name(row.get("name")))
        projects = selected_projects(self.requester, self.config, self.api_budget)
        key = next((one.get("projectKey") for one in projects if one["id"] == row.get("projectId")), None)
        if "dir" in row:
            owner = str(row["dir"] or "").strip("/") or "-"
        name = safe_name(f"{number}-{safe_name(row.get('name'))}")
        return Path(self.name, safe_name(key), safe_name(owner), name)

    @property
    def _kind_of_store(self) -> str:
        return "folder of the files" if self.api_budget.files else "staging directory for files"

    def _note_failure(self, path: str, reason: str) -> None:
        before = f"{self.name}: could not be fetched, and is tried again next time: "
        self.backlog.left_out.collect(before, path, f". {reason}")


class Doubts:
    """Which objects may not have been read before, so that old files of theirs were never fetched: none.

    Made before the walk of `finder` begins; may put into its position what the next sync has to know. `start` is a
    start date of earlier syncs, which may have been taken away since.
    """

    def __init__(self, finder: Finder, start: str | None) -> None:
        self.finder = finder
        self.walk: Walk[FilesPosition] = finder.walk
        self.start = max(start or "", finder.backlog.start or "")

    def about(self, owner: Row) -> bool:
        """Whether the object may not have been read before; asked when it was found."""
        return False

    def is_older_than_start(self, owner: Row) -> bool:
        """Whether earlier syncs may have left out an object because it had not changed since the start date."""
        return (as_instant(owner.get("created")) or "") < self.start


class IssueDoubts(Doubts):
    """An issue that was moved here brings old files along, and gets a new number.

    An issue with a number up to the highest one of the last sync has been in the project before.
    """

    def __init__(self, finder: Finder, start: str | None) -> None:
        super().__init__(finder, start)
        head_of(finder.backlog)
        touched = finder.touched()
        number = self.walk.before.number
        if number is None or self.walk.activity is None:
            params = {"projectId[]": finder.project_id, "sort": "created", "order": "desc", "count": 1}
            numbers = [issue.get("keyId") for issue in rows_of(finder.backlog.get("issues", params))]
        else:
            numbers = [named.key_id for named in touched.values()]
        self.walk.move(number=max([number or 0, *(each for each in numbers if type(each) is int)]))

    def about(self, owner: Row) -> bool:
        """Whether the issue has not been in the project before, or not since the start date."""
        number = owner.get("keyId")
        was_here = type(number) is int and number <= (self.walk.before.number or 0)
        return (self.walk.before.began and not was_here) or self.is_older_than_start(owner)


class SkippedDoubts(Doubts):
    """A wiki page or pull request that was skipped has not been read."""

    def about(self, owner: Row) -> bool:
        """Whether the object was skipped, or is older than the start date."""
        return owner["id"] in self.walk.skipped.before or self.is_older_than_start(owner)


class DocumentDoubts(Doubts):
    """The trash is not read: whatever is taken out of it may have files that were never fetched.

    Where the tree does not show what is in the trash, any document may have been there.
    """

    def __init__(self, finder: Finder, start: str | None) -> None:
        super().__init__(finder, start)
        head_of(finder.backlog)
        touched = finder.touched()
        trashed = touched_ids(finder.backlog, finder.project_id, self.walk, DOCUMENT_DELETED)
        self._doubtful = {*(self.walk.before.trash or ()), *trashed, *self.walk.skipped.before}
        self._is_known = self.walk.before.trash is not None
        if touched or trashed or self.walk.activity is None:
            # Before the list is read: what is thrown away later is named by the feed next time.
            tree = finder.backlog.get("documents/tree", {"projectIdOrKey": finder.project_id})
            shown = tree.get("trashTree") if isinstance(tree, dict) else None
            self._is_known = isinstance(shown, dict) and "children" in shown
            trash = sorted(ids_in(tree, "trashTree"), key=str) if self._is_known else []
            self.walk.move(trash=tuple(trash) if self._is_known else None)
            self._doubtful.update(trash)

    def about(self, owner: Row) -> bool:
        """Whether the document may have been in the trash, or is older than the start date."""
        return not self._is_known or owner["id"] in self._doubtful or self.is_older_than_start(owner)


DOUBTS: dict[str, type[Doubts]] = {
    "": Doubts,
    "issues": IssueDoubts,
    "wikis": SkippedDoubts,
    "documents": DocumentDoubts,
    "pull requests": SkippedDoubts,
}


class FileProgress:
    """Which files of a partition were fetched: all up to a stamp, and by id those that may be listed again.

    `stamp` is the column with a file's own stamp, `owner` that of the object it hangs on.
    """

    def __init__(self, before: FilesPosition, stamp: str, owner: str) -> None:
        self._before = before
        self._stamp, self._owner = stamp, owner
        self._files = before.files
        self._known = set(before.recent or ())
        self._since = day_before(self._files) if self._files else ""
        # A file may be attached, while a walk of hours goes on, to an object that the walk has passed.
        self._began = datetime.now(UTC).strftime(STAMP)
        self._done: list[tuple[Any, str]] = []
        # The files that their own stamp does not tell, and the stamp of the object: it is listed again for a day.
        self._untold: dict[tuple[Any, str], str] = {}
        self._missed: list[Row] = []
        self._waiting: dict[Any, Row] = {row["id"]: row for row in before.missed or ()}
        self._refusals = {number: row.get(REFUSALS, 0) for number, row in self._waiting.items()}
        self.listed, self.failures = FilesPosition(), Failures()
        # What is too large counts as done: it is said before the position is saved.
        self.left_out = LeftOut()

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

    def forget(self, row: Row) -> None:
        """Note that the file is gone. With an issue that is moved here again it would come again."""
        self._waiting.pop(row["id"], None)

    def unfinished(self) -> FilesPosition:
        """The position in the middle of the walk: the old one, with all files that were fetched, by id."""
        recent = tuple({*self._known, *self._done})
        missed = (*self._waiting.values(), *self._missed)
        return replace(self._before, files=self._files, recent=recent, missed=missed)

    def finished(self) -> FilesPosition:
        """The position at the end of the walk, which says by `listed` how far it has come."""
        latest = max((stamp for _, stamp in self._done), default=None)
        files = later(self._files, min(latest, self._began) if latest else None)
        since = day_before(files) if files else ""
        bound = day_before(self.listed.updated) if self.listed.updated else ""
        again = {entry for entry, updated in self._untold.items() if not updated or updated >= bound}
        fetched = sorted({*self._known, *self._done})
        recent = tuple(entry for entry in fetched if entry[1] >= since or entry in again)
        return replace(self.listed, files=files, recent=recent, missed=tuple(self._missed))

    def _of(self, row: Row) -> str:
        return as_instant(row.get(self._stamp)) or ""
