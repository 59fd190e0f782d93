"""Runs the connector against the emulator, in this process, and holds what a deduplicating destination would hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteRecordMessageFileReference,
    AirbyteStateMessage,
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
)
from airbyte_cdk.test.entrypoint_wrapper import read

from integration_tests.emulator import Emulator, Request, Space
from source_backlog import SourceBacklog

Row = dict[str, Any]

# Ids that Backlog does not tell of every change: null is right too, another id never is (see test_exact_ids.py).
UNTOLD = dict.fromkeys(("issue_changelogs", "pull_request_changelogs"), frozenset(["newId", "originalId"]))

# What takes a request per issue without being asked for by most people, or writes files.
EXPENSIVE = frozenset(["issue_participants", "related_issues"])

# The streams that transfer files, and those of their metadata.
FILES_OF = {
    "issue_attachment_files": "issue_attachments",
    "wiki_attachment_files": "wiki_attachments",
    "document_attachment_files": "document_attachments",
    "pull_request_attachment_files": "pull_request_attachments",
    "shared_file_contents": "shared_files",
}


@cache
def catalog_streams() -> dict[str, AirbyteStream]:
    """All streams as `discover` gives them, by name."""
    config = {"domain": "127.0.0.1:9", "credentials": {"auth_type": "api_key", "api_key": "none"}}
    return {stream.name: stream for stream in SourceBacklog(config=config).discover(None, config).streams}


def primary_key(stream: str) -> list[str]:
    """The primary key's columns."""
    return [path[0] for path in catalog_streams()[stream].source_defined_primary_key or []]


def configured(names: Iterable[str]) -> ConfiguredAirbyteCatalog:
    """A configured catalog of the named streams, each as incremental as it can be."""
    streams = []
    for name in names:
        stream = catalog_streams()[name]
        incremental = SyncMode.incremental in (stream.supported_sync_modes or [])
        streams.append(
            ConfiguredAirbyteStream(
                stream=stream,
                sync_mode=SyncMode.incremental if incremental else SyncMode.full_refresh,
                destination_sync_mode=DestinationSyncMode.append_dedup,
            )
        )
    return ConfiguredAirbyteCatalog(streams=streams)


def files_of(space: Space) -> dict[str, dict[int, Any]]:
    """Everything in the space that has bytes, by stream and id."""
    found: dict[str, dict[int, Any]] = {name: {} for name in FILES_OF}
    visible = space.visible_projects(space.user(None), contents=True)
    for project in visible:
        for issue in project.issues:
            found["issue_attachment_files"] |= {each.id: each for each in issue.attachments}
        if project.use_wiki:
            for wiki in project.wikis.values():
                found["wiki_attachment_files"] |= {each.id: each for each in wiki.attachments}
        if project.use_document:
            for document in project.documents.values():
                if document.status_id == 1:
                    found["document_attachment_files"] |= {each.id: each for each in document.attachments}
        if project.use_git:
            for repository in project.repositories:
                for request in repository.pull_requests:
                    found["pull_request_attachment_files"] |= {each.id: each for each in request.attachments}
        if project.use_file_sharing:
            found["shared_file_contents"] |= {each.id: each for each in project.files.values() if each.type == "file"}
    return found


@dataclass
class Sync:
    """What one run of the connector gave."""

    rows: dict[str, list[Row]]
    state: list[AirbyteStateMessage]
    logs: list[tuple[str, str]]
    errors: list[AirbyteMessage]
    requests: list[Request]
    files: dict[str, list[AirbyteRecordMessageFileReference]]
    """The file of each row, in the order of `rows`, for the streams that transfer files."""
    statuses: dict[str, list[str]]
    """The statuses of each stream, in order."""

    def warnings(self) -> list[str]:
        """The WARN lines."""
        return [text for level, text in self.logs if level == "WARN"]

    def paths(self) -> list[str]:
        """The paths of the requests below `/api/v2/`, in order."""
        return [request.path.removeprefix("/api/v2/") for request in self.requests]


def sync(
    emulator: Emulator,
    streams: Sequence[str],
    state: list[AirbyteStateMessage] | None = None,
    *,
    fails: bool = False,
    config: dict[str, Any] | None = None,
    **options: Any,
) -> Sync:
    """Read `streams` with the state of an earlier sync; without `fails`, an error fails the test."""
    config = config or emulator.config(**options)
    catalog = configured(streams)
    before = len(emulator.requests)
    source = SourceBacklog(catalog=catalog, config=config, state=state)
    output = read(source, config, catalog, state, expecting_exception=fails)
    rows: dict[str, list[Row]] = defaultdict(list)
    files: dict[str, list[AirbyteRecordMessageFileReference]] = defaultdict(list)
    for message in output.records:
        rows[message.record.stream].append(dict(message.record.data))
        if message.record.file_reference:
            files[message.record.stream].append(message.record.file_reference)
    if not fails:
        assert not output.errors, [error.trace.error.message for error in output.errors]
    latest = {message.state.stream.stream_descriptor.name: message.state for message in output.state_messages}
    logs = [(message.log.level.value, message.log.message) for message in output.logs]
    # A stream without a new state keeps its old one, as the platform does it.
    old = {message.stream.stream_descriptor.name: message for message in state or []}
    state_after = list({**old, **latest}.values())
    statuses = {name: [status.value for status in output.get_stream_statuses(name)] for name in streams}
    return Sync(rows, state_after, logs, output.errors, emulator.requests[before:], files, statuses)


@dataclass
class Destination:
    """The tables of a destination that deduplicates by primary key and keeps the row that came last."""

    tables: dict[str, dict[tuple[Any, ...], Row]] = field(default_factory=lambda: defaultdict(dict))

    def load(self, result: Sync) -> None:
        """Take in the rows of a sync; full-refresh streams are overwritten, tombstones remove their row."""
        for stream, rows in result.rows.items():
            table = self.tables[stream]
            if SyncMode.incremental not in (catalog_streams()[stream].supported_sync_modes or []):
                table.clear()
            for row in rows:
                key = tuple(row.get(column) for column in primary_key(stream))
                if row.get("_ab_cdc_deleted_at"):
                    table.pop(key, None)
                else:
                    table[key] = row


def joined_projects(emulator: Emulator) -> list[Row]:
    """The projects that the key's user has joined: those whose contents are read."""
    return [project for project in emulator.truth("projects") if project["joined"]]


def without_nulls(row: Row) -> Row:
    """The row as the protocol carries it: top-level nulls are left out."""
    return {name: value for name, value in row.items() if value is not None}


def differences(emulator: Emulator, stream: str, table: dict[tuple[Any, ...], Row], **view: Any) -> list[str]:
    """What a table lacks, has too much or has otherwise than the space; empty when they are equal."""
    key = primary_key(stream)
    expected = {tuple(row.get(name) for name in key): row for row in emulator.truth(stream, **view)}
    found = [f"{stream}: missing {k}" for k in expected.keys() - table.keys()]
    found += [f"{stream}: should not be there {k}" for k in table.keys() - expected.keys()]
    for k in expected.keys() & table.keys():
        there, wanted = without_nulls(table[k]), without_nulls(expected[k])
        names = [name for name in there.keys() | wanted.keys() if there.get(name) != wanted.get(name)]
        names = [name for name in names if name in there or name not in UNTOLD.get(stream, ())]
        found += [f"{stream} {k}: {name} is {there.get(name)!r}, not {wanted.get(name)!r}" for name in names]
    return sorted(found)
