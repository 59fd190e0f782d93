"""Streams that are made from the same answers are read in one walk, and stand at the same place after a kill."""

from __future__ import annotations

import collections
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStreamStatus, Type

from integration_tests.commands import command
from integration_tests.emulator import Emulator, Space
from integration_tests.emulator.generator import generate
from integration_tests.harness import configured, primary_key, sync
from integration_tests.histories import Reader
from source_backlog import SourceBacklog
from source_backlog.streams import objects

Row = dict[str, Any]

LOGGER = logging.getLogger("airbyte")

# The streams of a family, and what the answers that they share are asked for under.
FAMILIES = {
    "comments": (
        ["issue_comments", "issue_changelogs", "issue_comment_notifications", "issue_comment_stars"],
        r"/issues/\d+/comments$",
    ),
    "wiki pages": (["wikis", "wiki_tags", "wiki_attachments", "wiki_shared_files", "wiki_stars"], r"/wikis/\d+$"),
    "wiki versions": (["wiki_history"], r"/wikis/\d+/history$"),
    "comments of documents": (["document_comments"], r"/documents/\w+/comments$"),
    "comments of pull requests": (
        [
            "pull_request_comments",
            "pull_request_changelogs",
            "pull_request_comment_notifications",
            "pull_request_comment_stars",
        ],
        r"/pullRequests/\d+/comments$",
    ),
}


def space() -> Space:
    return generate(seed=4, projects=2, archived_projects=0, foreign_projects=0, issues=150, wikis=60, documents=60)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(space=space(), latency=0.002) as emulator:
        yield emulator


def asked(emulator: Emulator, pattern: str) -> collections.Counter[str]:
    return collections.Counter(request.path for request in emulator.requests if re.search(pattern, request.path))


def rows_by_key(stream: str, rows: list[Row]) -> set[tuple[Any, ...]]:
    return {tuple(row.get(name) for name in primary_key(stream)) for row in rows}


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("family", FAMILIES)
def test_one_walk_gives_the_rows_of_all_and_moves_them_together(emulator: Emulator, family: str, order: int) -> None:
    streams, pattern = FAMILIES[family]
    streams = streams[::order]
    result = sync(emulator, streams)
    counts = asked(emulator, pattern)
    assert counts
    assert set(counts.values()) == {1}
    for stream in streams:
        assert rows_by_key(stream, result.rows[stream]) == rows_by_key(stream, emulator.truth(stream))
    states = {json.dumps(each.stream.stream_state.__dict__, sort_keys=True) for each in result.state}
    assert len({*states}) == 1
    emulator.clear_requests()
    sync(emulator, streams, result.state)
    assert asked(emulator, pattern).total() <= 4, "what bears the last stamp of a project, once more"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("part", [0.15, 0.5, 0.85])
def test_after_a_kill_nothing_is_asked_again_that_a_sibling_has_covered(
    emulator: Emulator, family: str, part: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first load, killed somewhere, then gone on with. Two projects are under way, and requests a few ahead."""
    monkeypatch.setattr(objects, "CHECKPOINT_SECONDS", 0.0)
    streams, pattern = FAMILIES[family]
    reader = Reader(emulator, streams)
    reader.sync(part)
    everything = len(asked(emulator, pattern))
    emulator.clear_requests()
    reader.sync()
    counts = asked(emulator, pattern)
    # Near the end nothing may be left to ask for.
    assert set(counts.values()) <= {1}, "no sibling asks for what another has asked for"
    assert counts or part > 0.5
    assert len(counts) <= (1 - part) * everything + 0.15 * everything + 4
    for stream in streams:
        assert rows_by_key(stream, emulator.truth(stream)) <= reader.tables[stream].keys()


def test_a_stream_that_is_selected_later_walks_for_itself(emulator: Emulator) -> None:
    first = sync(emulator, ["issue_comments"])
    emulator.clear_requests()
    second = sync(emulator, ["issue_comments", "issue_changelogs", "issue_comment_stars"], first.state)
    assert not second.rows["issue_comments"]
    for stream in ("issue_changelogs", "issue_comment_stars"):
        assert rows_by_key(stream, second.rows[stream]) == rows_by_key(stream, emulator.truth(stream)) != set()
    assert set(asked(emulator, FAMILIES["comments"][1]).values()) == {1}
    emulator.clear_requests()
    third = sync(emulator, ["issue_comments", "issue_changelogs", "issue_comment_stars"], second.state)
    assert not any(third.rows.values())


def test_a_stream_is_started_before_its_rows_and_ends_after_them(emulator: Emulator) -> None:
    streams = FAMILIES["comments"][0]
    found: dict[str, list[str]] = collections.defaultdict(list)
    source = SourceBacklog(configured(streams), emulator.config(), [])
    for message in source.read(LOGGER, emulator.config(), configured(streams), []):
        if message.type == Type.RECORD:
            found[message.record.stream].append("row")
        elif message.type == Type.TRACE and message.trace.stream_status:
            status = message.trace.stream_status
            found[status.stream_descriptor.name].append(status.status.value)
    for stream in streams:
        events = found[stream]
        assert events[0] == AirbyteStreamStatus.STARTED.value
        assert events[-1] == AirbyteStreamStatus.COMPLETE.value
        for status in (AirbyteStreamStatus.STARTED, AirbyteStreamStatus.RUNNING, AirbyteStreamStatus.COMPLETE):
            assert events.count(status.value) == 1
        assert events.index(AirbyteStreamStatus.RUNNING.value) < events.index("row")


def test_when_the_walk_fails_it_has_failed_for_all(emulator: Emulator) -> None:
    """And only for them: the next sync reads all that is missing."""
    streams = FAMILIES["comments"][0]
    emulator.faults.add(r"/issues$", status=400, times=None)
    failed = sync(emulator, [*streams, "statuses"], fails=True)
    assert failed.rows["statuses"]
    for stream in streams:
        assert failed.statuses[stream][-1] == AirbyteStreamStatus.INCOMPLETE.value
        assert not failed.rows[stream]
    emulator.faults.clear()
    result = sync(emulator, streams, failed.state)
    for stream in streams:
        assert rows_by_key(stream, result.rows[stream]) == rows_by_key(stream, emulator.truth(stream))


def test_the_log_does_not_tell_of_streams_that_wait(emulator: Emulator) -> None:
    output = command("read", emulator.config(), streams=FAMILIES["comments"][0])
    assert output.status == 0
    assert not [line for line in output.logs() if "Deferring" in line or "blocking group" in line]
