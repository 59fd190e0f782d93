"""Files beside the tables: `backlog-sync --files DIR`, and those that have vanished since."""

import argparse
import contextlib
import copy
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from source_backlog.stores import Folder, Store
from source_backlog.sync.destinations import folder_of_files
from source_backlog.sync.errors import USAGE, SyncError
from source_backlog.sync.progress import Progress
from source_backlog.values import STAMP, Row

if TYPE_CHECKING:
    from source_backlog.dlt import Table
    from source_backlog.sync.loading import Warehouse

# The streams whose rows are files, and the column that says where each lies.
PATHS = {
    "issue_attachment_files": "path",
    "wiki_attachment_files": "path",
    "document_attachment_files": "path",
    "pull_request_attachment_files": "path",
    "shared_file_contents": "storedPath",
}
# What a row says of the file that has arrived, and not of the one in Backlog.
ARRIVED = frozenset(["sha256", "bytes", "fetchedAt"])
# How the names of files end that are still on their way.
PARTS = ".*.part"
MOST_NAMES = 5


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add `--files` and `--repair`, and what belongs to `--verify`."""
    parser.add_argument(
        "--files",
        metavar="DIR",
        help="also fetch all attachments and shared files, into this folder, or s3://BUCKET/FOLDER, gs://… or az://…; "
        "with --archive and --verify: their folder",
    )
    parser.add_argument(
        "--repair", action="store_true", help="with --files: fetch files again that are no longer in the folder"
    )
    parser.add_argument(
        "--json", type=path_of, metavar="FILE", help="with --verify: the report as JSON; - for the output"
    )
    parser.add_argument(
        "--sample", type=_number, default=200, metavar="N", help="with --verify: how many objects are asked for (200)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="with --verify: the same objects as in that report")


def path_of(text: str) -> Path:
    """A path of the command line; an empty one, such as a variable that is not set, would be the working directory."""
    if not text.strip():
        raise argparse.ArgumentTypeError("nothing is named")
    return Path(text)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("not a number from 0 on")
    return int(text)


def raise_if_unwritable(report: Path | None) -> None:
    """Raise `SyncError` where the report of `--verify` cannot be written, before minutes are spent on it."""
    if report is None or str(report) == "-":
        return
    is_writable = os.access(report if report.exists() else report.parent, os.W_OK)
    if report.is_dir() or not report.parent.is_dir() or not is_writable:
        raise SyncError(f"The report {report} cannot be written: see whether its folder is there, and yours.", USAGE)


@contextlib.contextmanager
def files_of(options: argparse.Namespace) -> Iterator["Files | None"]:
    """The folder that the options name, made if need be, unless it is to be verified; None without one.

    Raises `SyncError`: of status 2 when nothing can be written there, and for `--repair` without `--files`; of status 1
    when an object store does not answer.
    """
    if options.files is None:
        if options.repair:
            raise SyncError("--repair goes with --files, which names the folder.", USAGE)
        yield None
        return
    named = folder_of_files(options.files)
    if isinstance(named, str):
        from source_backlog.sync.bucket import Bucket

        with tempfile.TemporaryDirectory(prefix="backlog-sync-") as temporary:
            yield Files(Bucket(named, Path(temporary)), options.repair)
        return
    folder = named.absolute()
    if options.verify and not folder.is_dir():
        raise SyncError(f"The folder {folder} does not exist.", USAGE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "permission denied")
    except OSError as error:
        raise SyncError(f"--files: {folder} cannot be written to ({error.strerror or error}).", USAGE) from error
    yield Files(Folder(folder), options.repair)


def local_folder_of(options: argparse.Namespace) -> Path | None:
    """The folder that the options name, for what needs one on this machine; None without one.

    Raises `SyncError` (usage) for an object store.
    """
    named = None if options.files is None else folder_of_files(options.files)
    if isinstance(named, str):
        raise SyncError(
            f"The pages of an archive show files of this machine: copy {named} into a folder, and name that.", USAGE
        )
    return named


@dataclass(frozen=True)
class Files:
    """The files of a space, each of which has a row in the table of its stream."""

    store: Store
    repair: bool = False

    def prepare(self, warehouse: "Warehouse", tables: Sequence["Table"], progress: Progress) -> None:
        """Before a sync: remove what a run that was killed has left, and look for files that have vanished.

        With `repair` the state is changed so that the sync fetches them again. Raises `SyncError` where the store
        cannot be listed.
        """
        for part in self.store.folder.rglob(PARTS):
            part.unlink()
        try:
            vanished = {table.name: rows for table in tables if (rows := self.vanished(warehouse, table))}
        except OSError as error:
            raise SyncError(f"--files: {self.store.shown} cannot be listed ({error.strerror or error}).") from error
        number = sum(len(rows) for rows in vanished.values())
        if not number:
            return
        # Not at the start of the command: it brings the CDK along.
        from source_backlog.left_out import listed

        names = listed((row[PATHS[stream]] for stream, rows in vanished.items() for row in rows), MOST_NAMES)
        said = f"{number} {'file is' if number == 1 else 'files are'} no longer in {self.store.shown}: {names}."
        if not self.repair:
            progress.note(f"{said} --repair fetches them again.")
            return
        progress.note(f"{said} They are fetched again.")
        streams = dict(warehouse.state.get("streams", {}))
        for stream, rows in vanished.items():
            streams[stream] = to_fetch_again(streams.get(stream), stream, rows)
        warehouse.state["streams"] = streams

    def vanished(self, warehouse: "Warehouse", table: "Table") -> list[Row]:
        """The rows of a table whose file is not where it should be, or has another size."""
        if table.name not in PATHS:
            return []
        return [row for row in rows_of(warehouse, table) if not self.is_there(row, PATHS[table.name])]

    def is_there(self, row: Mapping[str, Any], column: str) -> bool:
        """Whether the file of a row is there, with the number of bytes that the row says."""
        path = row.get(column)
        # The row of a file that went elsewhere, by a version that did not say where, has none.
        size = self.store.size(str(path)) if path else None
        return size is not None and size == row.get("bytes")


def rows_of(warehouse: "Warehouse", table: "Table", where: str = "1 = 1") -> list[Row]:
    """The rows of a table as the connector gives them: with its names, and values as JSON has them.

    There are none where the table is not there, or cannot be asked.
    """
    found = warehouse.select(table.name, [name.lower() for name in table.columns], where)
    kinds = [kind.hint["data_type"] for kind in table.columns.values()]
    return [
        {name: _plain(value, kind) for name, kind, value in zip(table.columns, kinds, row, strict=True)}
        for row in found or []
    ]


def _plain(value: Any, kind: str) -> Any:
    if isinstance(value, datetime):
        return value.strftime(STAMP)
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    if kind == "json" and isinstance(value, str):
        return json.loads(value)
    return value.isoformat() if kind == "date" and value is not None else value


def to_fetch_again(state: Any, stream: str, rows: Sequence[Row]) -> Any:
    """The state of a stream with files that it is to fetch again, as if the last sync had missed them."""
    changed = copy.deepcopy(state) if isinstance(state, dict) else {"states": []}
    positions = {entry["partition"].get("projectId"): entry["cursor"] for entry in changed.get("states") or []}
    for row in rows:
        position = positions.get(row.get("projectId"))
        if position is None:
            # Nothing is known of the project: it is read from its beginning.
            continue
        missed = position.get("missed") or []
        if all(known.get("id") != row["id"] for known in missed):
            wanted = {name: value for name, value in row.items() if name not in {*ARRIVED, PATHS[stream]}}
            position["missed"] = [*missed, {name: value for name, value in wanted.items() if value is not None}]
    return changed
