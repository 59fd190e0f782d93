"""`backlog-sync --verify`: whether tables and files hold what Backlog has, by numbers, hashes and a sample."""

import argparse
import hashlib
import json
import os
import random
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.changes.backlog import Backlog
from source_backlog.changes.projects import selected_projects
from source_backlog.changes.skipped import attempt
from source_backlog.dlt import UNREADABLE, Table
from source_backlog.embedded import Connector
from source_backlog.streams.coverage import COMPARABLE
from source_backlog.sync.destinations import Destination
from source_backlog.sync.errors import FAILED, USAGE, SyncError
from source_backlog.sync.files import PATHS, Files, rows_of
from source_backlog.sync.loading import Warehouse, opened
from source_backlog.sync.progress import Progress
from source_backlog.values import STAMP, Row, as_instant, as_text, as_written_day

COVERAGE, DELETIONS = "sync_coverage", "deletions"
# What can be asked for by itself: where, and the column with the stamp of its last change.
ASKED = {
    "issues": ("issues/{id}", "updated"),
    "issue_comments": ("issues/{issueId}/comments/{id}", "updated"),
    "wikis": ("wikis/{id}", "updated"),
    "documents": ("documents/{id}", "updated"),
    "pull_requests": ("projects/{projectId}/git/repositories/{repositoryId}/pullRequests/{number}", "updated"),
}
ENTITIES = {"issues": "issue", "wikis": "wiki", "documents": "document", "pull_requests": "pull_request"}
# What changes without a stamp, or is known only to lists: the key of a renamed project, stars, links, children.
NOT_COMPARED = frozenset(
    ["issueKey", "stars", "sharedFiles", "externalFileLinks", "childIssueSummary", "notifications", "childDocumentIds"]
)
# Ids as they may stand in a query.
ID = re.compile(r"\d+|[0-9a-f]{32}")
MOST_LINES = 20


class Verification:
    """One look at a backup. `report` is what was found, as it goes into the JSON."""

    def __init__(self, backlog: Backlog, warehouse: Warehouse, tables: Sequence[Table], files: Files | None) -> None:
        self._backlog, self._warehouse, self._files = backlog, warehouse, files
        self._tables = {table.name: table for table in tables}
        self._deleted = self._deletions()
        self._moments: dict[tuple[str, Any], list[str]] = defaultdict(list)
        for (entity, _), row in self._deleted.items():
            self._moments[entity, row["projectId"]].append(row["deletedAt"] or "")
        self.report: dict[str, Any] = {"verifiedAt": datetime.now(UTC).strftime(STAMP)}

    def run(self, sample: int, seed: int) -> dict[str, Any]:
        """Look at everything; returns the report. Raises `SyncError` where a table cannot be asked."""
        self.report["counts"] = self.counts()
        self.report["notRead"] = self.not_read()
        self.report["files"] = self.files()
        self.report["sample"] = self.sample(sample, seed)
        self.report["differences"] = (
            sum(one["missing"] for one in self.report["counts"])
            + sum(one["reason"] == "failed" for one in self.report["notRead"])
            + len(self.report["files"]["wrong"])
            + len(self.report["sample"]["wrong"])
        )
        return self.report

    def counts(self) -> list[Row]:
        """The numbers of the tables and of Backlog, by stream and project.

        What Backlog counted when the rows were read, less what was deleted since, has to be there. The number of now
        tells what has come and gone since then. Without `sync_coverage` only the latter is known.
        """
        told = {(row["stream"], row["projectId"]): row for row in self._coverage()}
        found = []
        for stream, count in COMPARABLE.items():
            if stream not in self._tables:
                continue
            there = self._present(stream)
            for project in selected_projects(self._backlog.requester, self._backlog.config, self._backlog.space):
                now = attempt(lambda count=count, project=project: count(self._backlog, project["id"]))  # type: ignore[misc]
                row = told.get((stream, project["id"]), {})
                then, since = row.get("total"), self._deleted_since(stream, project["id"], row.get("readAt"))
                number = there[project["id"]]
                needed = then - since if then is not None else None
                found.append(
                    {
                        "stream": stream,
                        "projectId": project["id"],
                        "projectKey": project.get("projectKey"),
                        "readAt": row.get("readAt"),
                        "totalThen": then,
                        "totalNow": now if isinstance(now, int) else None,
                        "deletedSince": since,
                        "rows": number,
                        "missing": max(0, needed - number) if needed is not None else 0,
                    }
                )
        return found

    def not_read(self) -> list[Row]:
        """What the last sync says that it could not read, or not to its end."""
        return [
            {name: row[name] for name in ("stream", "projectId", "projectKey", "reason", "skipped", "readAt")}
            for row in self._coverage()
            if row["reason"] in ("failed", "refused")
        ]

    def files(self) -> Row:
        """Whether each file lies where its row says, with its number of bytes and its hash."""
        checked, wrong = 0, []
        for stream, column in PATHS.items():
            if self._files is None or stream not in self._tables:
                continue
            for row in rows_of(self._warehouse, self._tables[stream]):
                checked += 1
                if problem := wrong_with(self._files, row, column):
                    wrong.append({"stream": stream, "id": row["id"], "path": row.get(column), "problem": problem})
        return {"checked": checked, "wrong": wrong}

    def sample(self, number: int, seed: int) -> Row:
        """Some objects, asked for one by one, compared with their rows field by field."""
        population = [(stream, one) for stream in ASKED if stream in self._tables for one in self._ids(stream)]
        chosen = random.Random(seed).sample(population, min(number, len(population)))
        outcome: Counter[str] = Counter()
        wrong: list[Row] = []
        for stream, identity in chosen:
            row = self._row(stream, identity)
            path, stamp = ASKED[stream]
            answer = attempt(lambda path=path, row=row: self._backlog.look(path.format(**row), probe=True))  # type: ignore[misc]
            if isinstance(answer, AirbyteTracedException):
                outcome["failed"] += 1
            elif not isinstance(answer, dict):
                outcome["gone"] += 1
            elif (as_instant(answer.get(stamp)) or "") > (row.get(stamp) or ""):
                outcome["changedSince"] += 1
            else:
                differing = list(self._differing(stream, row, answer))
                outcome["different" if differing else "same"] += 1
                wrong += [{"stream": stream, "id": identity, **difference} for difference in differing]
        names = ("same", "changedSince", "gone", "failed", "different")
        return {"seed": seed, "asked": len(chosen), **{name: outcome[name] for name in names}, "wrong": wrong}

    def _differing(self, stream: str, row: Row, answer: Row) -> Iterator[Row]:
        kinds = {name: kind.hint["data_type"] for name, kind in self._tables[stream].columns.items()}
        for name, value in answer.items():
            if name not in kinds or name in NOT_COMPARED:
                continue
            here, there = comparable(row.get(name), kinds[name]), comparable(value, kinds[name])
            if here != there:
                yield {"field": name, "backup": row.get(name), "backlog": value}

    def _coverage(self) -> list[Row]:
        if COVERAGE not in self._tables:
            return []
        latest: dict[Any, Row] = {}
        for row in rows_of(self._warehouse, self._tables[COVERAGE]):
            place = (row["stream"], row["projectId"])
            if place not in latest or (row["readAt"] or "") >= (latest[place]["readAt"] or ""):
                latest[place] = row
        return list(latest.values())

    def _deletions(self) -> dict[tuple[str, str], Row]:
        found: dict[tuple[str, str], Row] = {}
        if DELETIONS in self._tables:
            for row in rows_of(self._warehouse, self._tables[DELETIONS]):
                found[row["entity"], row["entityId"]] = row
        return found

    def _deleted_since(self, stream: str, project_id: Any, moment: str | None) -> int:
        return sum(deleted >= (moment or "~") for deleted in self._moments[ENTITIES[stream], project_id])

    def _live(self, stream: str) -> Iterator[tuple[str, Any]]:
        # Id and project of each row whose object was not deleted, or has changed after that.
        has_stamp = "updated" in self._tables[stream].columns
        columns = ["id", "projectid", *(["updated"] if has_stamp else [])]
        for identity, project_id, *stamps in self._warehouse.select(stream, columns) or []:
            gone = self._deleted.get((ENTITIES.get(stream, ""), str(identity)))
            updated = stamps[0].strftime(STAMP) if stamps and stamps[0] else ""
            if project_id is not None and not (gone and (gone["deletedAt"] or "") >= updated):
                yield str(identity), project_id

    def _present(self, stream: str) -> Counter[Any]:
        return Counter(project_id for _, project_id in self._live(stream))

    def _ids(self, stream: str) -> list[str]:
        return sorted(identity for identity, _ in self._live(stream) if ID.fullmatch(identity))

    def _row(self, stream: str, identity: str) -> Row:
        quoted = f"'{identity}'" if stream == "documents" else identity
        (row,) = rows_of(self._warehouse, self._tables[stream], where=f"id = {quoted}")
        return row


def wrong_with(files: Files, row: Mapping[str, Any], column: str) -> str | None:
    """What is wrong with the file of a row; None if nothing is."""
    path = row.get(column)
    if not path:
        return "no path"
    try:
        with files.store.opened(str(path)) as content:
            digest = hashlib.file_digest(cast(Any, content), "sha256").hexdigest()
            size = content.seek(0, os.SEEK_END)
    except FileNotFoundError:
        return "not there"
    except OSError as error:
        return f"unreadable ({error.strerror or type(error).__name__})"
    if size != row.get("bytes"):
        return f"{size} bytes, not {row.get('bytes')}"
    return None if digest == row.get("sha256") else "other bytes"


def comparable(value: Any, kind: str) -> Any:
    """A value as it is compared: objects by their ids, because their names change without a stamp.

    No value has several spellings: null, an empty text, an empty list.
    """
    if value in ("", [], None):
        return None
    if kind == "timestamp":
        return as_instant(value)
    if kind == "date":
        return as_written_day(value)
    if kind in ("decimal", "bigint"):
        return float(value)
    if kind == "json":
        return _by_ids(json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value)
    return value if isinstance(value, bool) else UNREADABLE.sub("\ufffd", str(as_text(value)))


def _by_ids(value: Any) -> Any:
    if isinstance(value, list):
        return sorted((_by_ids(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True, default=str))
    if isinstance(value, dict):
        if "id" in value:
            return {name: _by_ids(value[name]) for name in ("id", "value", "otherValue") if value.get(name) is not None}
        return {name: _by_ids(one) for name, one in value.items() if one is not None}
    return value


def verify(
    config: dict[str, Any],
    config_path: Path | None,
    destination: Destination,
    connection: Any,
    files: Files | None,
    options: argparse.Namespace,
    progress: Progress,
) -> None:
    """Look at a backup, print the report, and write it as JSON where the options say.

    Raises `SyncError`: of status 1 when there are differences, of status 2 when there is nothing that can be looked at.
    """
    connector = Connector(config, config_path, progress.log)
    with tempfile.TemporaryDirectory(prefix="backlog-sync-") as temporary:
        warehouse, identity = opened(connector, destination, connection, Path(temporary), progress)
        if connector.missing:
            raise SyncError(connector.missing.sentence, USAGE)
        progress.phase("verifying")
        names = [*COMPARABLE, "issue_comments", COVERAGE, DELETIONS, *(PATHS if files else ())]
        held = warehouse.counts(names)
        tables = [Table(stream) for stream in connector.streams([name for name in names if held[name] is not None])]
        if not tables:
            raise SyncError("There are no tables of backlog-sync in this dataset. Check --to and --dataset.", USAGE)
        seed = random.randrange(10**6) if options.seed is None else options.seed
        try:
            with warehouse.asking():
                report = Verification(connector.backlog(), warehouse, tables, files).run(options.sample, seed)
        except AirbyteTracedException as error:
            mendable = error.failure_type == FailureType.config_error
            raise SyncError(str(error.message), USAGE if mendable else FAILED) from error
    progress.close()
    report = {**identity, **report}
    text = json.dumps(report, indent=2, ensure_ascii=False, default=str)
    if str(options.json) == "-":
        print(text)
    else:
        print("\n".join(lines(report)))
    if options.json is not None and str(options.json) != "-":
        try:
            options.json.write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise SyncError(f"The report {options.json} cannot be written: {error.strerror}.", USAGE) from error
    if report["differences"]:
        raise SyncError("The backup differs from Backlog; the report says where.", FAILED)


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report for a person."""
    yield "                         then     now  in table  missing"
    for one in report["counts"]:
        then, now = ("-" if one[name] is None else str(one[name]) for name in ("totalThen", "totalNow"))
        place = f"{one['stream']} {one['projectKey']}"
        yield f"{place:<22} {then:>6}  {now:>6}  {one['rows']:>8}  {one['missing'] or '-':>7}"
    if not any(one["totalThen"] is not None for one in report["counts"]):
        yield "Without sync_coverage among the streams it cannot be told what is missing from what is new."
    for one in report["notRead"]:
        place = f"{one['stream']} {one['projectKey'] or one['projectId'] or ''}".strip()
        yield f"Not read by the last sync: {place} ({one['reason']})."
    yield f"Files: {report['files']['checked']} checked, {len(report['files']['wrong'])} wrong."
    yield from _first(f"  {one['path']}: {one['problem']}" for one in report["files"]["wrong"])
    sample = report["sample"]
    yield (
        f"Sample (seed {sample['seed']}): {sample['asked']} objects, {sample['same']} the same, "
        f"{sample['changedSince']} changed since, {sample['gone']} gone since, {sample['failed']} not answered, "
        f"{sample['different']} different."
    )
    yield from _first(
        f"  {one['stream']} {one['id']}: {one['field']} is {_short(one['backup'])}, in Backlog {_short(one['backlog'])}"
        for one in sample["wrong"]
    )
    number = report["differences"]
    yield "No difference." if not number else f"{number} difference{'s' if number > 1 else ''}."


def _first(lines_: Iterator[str]) -> Iterator[str]:
    told = list(lines_)
    yield from told[:MOST_LINES]
    if len(told) > MOST_LINES:
        yield f"  and {len(told) - MOST_LINES} more"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:60]}…"
