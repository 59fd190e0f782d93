"""The streams that transfer files: every byte, under its name, once, whatever happens on the way."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStateMessage, AirbyteStateMessageSerializer, ConfiguredAirbyteCatalogSerializer
from hypothesis import given
from hypothesis import strategies as st

from integration_tests.emulator import Emulator
from integration_tests.harness import EXPENSIVE, FILES_OF, Sync, catalog_streams, configured, files_of, sync
from integration_tests.warehouse import in_this_process
from source_backlog.api.requester import BacklogClient
from source_backlog.changes.position import FilesPosition
from source_backlog.embedded import Connector
from source_backlog.streams import files
from source_backlog.streams.files import LONGEST_NAME_BYTES, MOST_REFUSALS, FileProgress, safe_name

FILE_STREAMS = list(FILES_OF)
DOWNLOAD = re.compile(r"^(issues|wikis|documents|projects)/.+/attachments/\d+$|^projects/\d+/files/\d+$")
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which a destination finds the files."""
    folder = tmp_path / "staging"
    folder.mkdir()
    monkeypatch.setattr("airbyte_cdk.sources.utils.files_directory.AIRBYTE_STAGING_DIRECTORY", str(folder))
    return folder


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the pauses between attempts."""
    monkeypatch.setattr(BacklogClient, "_pause", lambda *_: 0.0)
    monkeypatch.setattr(files.time, "sleep", lambda _: None)


def downloads(result: Sync) -> list[str]:
    """The paths of the requests for bytes."""
    return [path for path in result.paths() if DOWNLOAD.search(path)]


def fetched(result: Sync, stream: str = "issue_attachment_files") -> set[int]:
    """The ids of the files that a sync gave, each checked against its reference."""
    references = result.files[stream]
    assert len(references) == len(result.rows[stream])
    for row, reference in zip(result.rows[stream], references, strict=True):
        path = Path(reference.staging_file_url)
        assert path.stat().st_size == reference.file_size_bytes == row["size"]
        assert str(path).endswith(reference.source_file_relative_path)
    return {row["id"] for row in result.rows[stream]}


def check_bytes(result: Sync, stream: str, expected: dict[int, Any]) -> None:
    """Fail unless every file of a sync has the bytes and the name that the space has."""
    for row, reference in zip(result.rows[stream], result.files[stream], strict=True):
        original = expected[row["id"]]
        assert Path(reference.staging_file_url).read_bytes() == original.content(), row
        assert row["name"] == original.name
        assert row["downloadUrl"].endswith(str(row["id"]))


def with_attachments(count: int, *, size: int = 1000) -> Emulator:
    """A space with a project `FILES` whose issues have so many attachments, four each."""
    emulator = Emulator(seed=71, projects=1, issues=8)
    space = emulator.space
    project = space.create_project("FILES", "Files")
    names = ["構成図.png", "見積書(最終版).xlsx", "report,final.csv", "ロゴ案①.svg"]
    for number in range(count // 4):
        space.advance(7)
        given = [(name, (number * 37 + position * size) % (4 * size)) for position, name in enumerate(names)]
        space.create_issue(project, f"課題 {number}", attachments=given)
    return emulator


ONLY = {"projects": ["FILES"]}
STREAM = ["issue_attachment_files"]


# --- all of them ---


def test_every_file_of_a_space_comes_with_its_bytes_and_its_name() -> None:
    with Emulator(seed=72, projects=4, issues=200, shared_files=40) as emulator:
        expected = files_of(emulator.space)
        first = sync(emulator, FILE_STREAMS)
        for stream in FILE_STREAMS:
            assert expected[stream], stream
            assert fetched(first, stream) == set(expected[stream])
            check_bytes(first, stream, expected[stream])
            for row, reference in zip(first.rows[stream], first.files[stream], strict=True):
                assert reference.source_file_relative_path.endswith(f"/{row['id']}/{row['name']}")
        assert not first.warnings()
        second = sync(emulator, FILE_STREAMS, first.state)
        assert not downloads(second) and not any(second.rows.values())


def test_a_file_row_is_the_metadata_row_and_where_it_came_from() -> None:
    with Emulator(seed=73, projects=2, issues=60) as emulator:
        began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        result = sync(emulator, [*FILES_OF, *FILES_OF.values()])
        for stream, metadata in FILES_OF.items():
            rows = {row["id"]: row for row in result.rows[metadata] if row.get("type") != "directory"}
            where = "storedPath" if stream == "shared_file_contents" else "path"
            for row, reference in zip(result.rows[stream], result.files[stream], strict=True):
                content = Path(reference.staging_file_url).read_bytes()
                assert row.pop("sha256") == hashlib.sha256(content).hexdigest()
                assert row.pop("bytes") == len(content)
                assert row.pop(where) == reference.source_file_relative_path
                assert row.pop("fetchedAt") >= began
                del row["downloadUrl"]
                assert row == rows[row["id"]]


def test_another_size_than_stated_is_fetched_again_and_then_reported() -> None:
    with with_attachments(8) as emulator:
        first, second = sorted(files_of(emulator.space)["issue_attachment_files"])[:2]
        once = emulator.faults.add(f"attachments/{first}$", status=200, body="short", times=1)
        always = emulator.faults.add(f"attachments/{second}$", status=200, body="short", times=None)
        result = sync(emulator, STREAM)
        assert (once.struck, always.struck) == (1, 2)
        rows = {row["id"]: row for row in result.rows["issue_attachment_files"]}
        assert rows[first]["bytes"] == rows[first]["size"] != 5
        assert rows[second]["bytes"] == 5 != rows[second]["size"]
        (warning,) = result.warnings()
        assert "have another size than Backlog states" in warning and f"attachments/{second} (5 bytes, not" in warning
        assert not list(Path(result.files["issue_attachment_files"][0].staging_file_url).parents[2].rglob("*.part"))


def test_what_another_process_is_about_to_write_is_left_alone() -> None:
    """Several runs on a machine may share the staging directory, and their spaces may have the same ids."""
    with with_attachments(8) as emulator:
        given = sync(emulator, STREAM).files["issue_attachment_files"]
        others = []
        for reference in given:
            path = Path(reference.staging_file_url)
            path.unlink()
            others.append(path.with_name(f".{path.parent.name}{files.PART}"))
            others[-1].write_bytes(b"half")
        assert len(fetched(sync(emulator, STREAM))) == len(given) > 0
        assert {other.read_bytes() for other in others} == {b"half"}


def test_only_these_transfer_files_and_the_others_never_download() -> None:
    assert sorted(name for name, stream in catalog_streams().items() if stream.is_file_based) == sorted(FILE_STREAMS)
    with Emulator(seed=74, projects=2, issues=30) as emulator:
        result = sync(emulator, sorted(set(catalog_streams()) - set(FILE_STREAMS) - EXPENSIVE))
        assert result.rows["issue_attachments"] and result.rows["shared_files"]
        assert not downloads(result) and not result.files


def test_new_files_and_new_contents_are_fetched_and_nothing_else() -> None:
    with Emulator(seed=75, projects=1, issues=40) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        first = sync(emulator, FILE_STREAMS)
        space.advance(5 * 86_400)
        issue, wiki = project.issues[0], next(iter(project.wikis.values()))
        document = next(each for each in project.documents.values() if each.status_id == 1)
        request = space.create_pull_request(project.repositories[0], "変更", attachments=[("新しい図.png", 77)])
        changed, renamed = [each for each in project.files.values() if each.type == "file"][:2]
        expected = {
            "issue_attachment_files": {space.attach_file(issue, "新しい図.png", 77).id},
            "wiki_attachment_files": {space.attach_file_to_wiki(wiki, "新しい図.png", 77).id},
            "document_attachment_files": {space.attach_file_to_document(document, "新しい図.png", 77).id},
            "pull_request_attachment_files": {each.id for each in request.attachments},
            "shared_file_contents": {
                space.add_shared_file(project, "/設計/新しい図.png", 77).id,
                space.update_shared_file(changed, size=78).id,
                space.update_shared_file(renamed, name="新しい名前.png").id,
            },
        }
        space.update_issue(project.issues[1], summary="添付はそのまま")
        second = sync(emulator, FILE_STREAMS, first.state)
        for stream in FILE_STREAMS:
            assert fetched(second, stream) == expected[stream]
            check_bytes(second, stream, files_of(space)[stream])
        assert len(downloads(second)) == 7


# --- files that are older than the last one fetched ---


def two_syncs(emulator: Emulator, stream: str, happens: Callable[[], Any], **options: Any) -> tuple[Sync, Sync]:
    """A first load; a month later new files everywhere, and then `happens`; the sync after it and one more."""
    space = emulator.space
    first = sync(emulator, FILE_STREAMS, **options)
    space.advance(30 * 86_400)
    for project in space.projects.values():
        space.attach_file(project.issues[-1], "新しい図.png", 5)
        space.attach_file_to_wiki(space.create_wiki(project, "新しいページ", "本文"), "新しい図.png", 5)
        space.add_shared_file(project, "/新しい図.png", 5)
    state = sync(emulator, FILE_STREAMS, first.state, **options).state
    space.advance(86_400)
    happens()
    second = sync(emulator, FILE_STREAMS, state, **options)
    check_bytes(second, stream, files_of(space)[stream])
    return second, sync(emulator, FILE_STREAMS, second.state, **options)


def test_the_old_files_of_an_issue_that_is_moved_here_are_fetched() -> None:
    with Emulator(seed=76, projects=2, archived_projects=0, foreign_projects=0, issues=40) as emulator:
        space = emulator.space
        here, elsewhere = space.projects.values()
        issue = elsewhere.issues[0]
        old = space.attach_file(issue, "古い図.png", 7)
        second, third = two_syncs(emulator, STREAM[0], lambda: space.move_issue(issue, here), projects=[here.key])
        assert fetched(second) == {each.id for each in issue.attachments} >= {old.id}
        assert not downloads(third)


@contextmanager
def left_out_by_a_start_date() -> Iterator[tuple[Emulator, Any, Any, str]]:
    """A space, an issue of its one project, the old file of the issue, and a start date behind both, which is now."""
    with Emulator(seed=77, projects=1, archived_projects=0, foreign_projects=0, issues=40) as emulator:
        space, (project,) = emulator.space, emulator.space.projects.values()
        issue = project.issues[0]
        old = space.attach_file(issue, "古い図.png", 7)
        space.advance(30 * 86_400)
        yield emulator, issue, old, datetime.fromtimestamp(space.clock, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_old_files_of_an_issue_that_was_left_out_by_the_start_date_are_fetched_once() -> None:
    with left_out_by_a_start_date() as (emulator, issue, old, start):
        space = emulator.space
        second, third = two_syncs(
            emulator, STREAM[0], lambda: space.update_issue(issue, summary="まだ要る"), start_date=start
        )
        assert fetched(second) == {each.id for each in issue.attachments} >= {old.id}
        assert not downloads(third)


def test_the_old_files_of_an_issue_are_fetched_when_the_start_date_is_taken_away() -> None:
    with left_out_by_a_start_date() as (emulator, issue, old, start):
        space = emulator.space
        space.advance(86_400)
        space.attach_file(issue.project.issues[-1], "新しい図.png", 5)
        first = sync(emulator, FILE_STREAMS, start_date=start)
        assert old.id not in fetched(first)
        space.advance(86_400)
        space.update_issue(issue, summary="まだ要る")
        second = sync(emulator, FILE_STREAMS, first.state)
        assert fetched(second) == {each.id for each in issue.attachments} >= {old.id}
        assert not downloads(sync(emulator, FILE_STREAMS, second.state))


def test_the_old_files_of_a_document_that_is_taken_out_of_the_trash_are_fetched() -> None:
    with Emulator(seed=78, projects=1, archived_projects=0, foreign_projects=0, issues=10) as emulator:
        space, (project,) = emulator.space, emulator.space.projects.values()
        document = space.create_document(project, "捨てた文書", "本文")
        old = space.attach_file_to_document(document, "古い図.png", 7)
        space.trash_document(document)
        space.advance(5 * 86_400)
        kept = space.create_document(project, "文書", "本文")
        new = space.attach_file_to_document(kept, "新しい図.png", 7)
        second, third = two_syncs(emulator, "document_attachment_files", lambda: space.restore_document(document))
        assert new.created > old.created
        assert fetched(second, "document_attachment_files") == {old.id}
        assert not downloads(third)


def test_the_old_files_of_a_document_that_moves_to_the_front_while_pages_are_read_are_fetched() -> None:
    stream = "document_attachment_files"
    with Emulator(seed=78, projects=1, archived_projects=0, foreign_projects=0, issues=10) as emulator:
        space, project = emulator.space, next(iter(emulator.space.projects.values()))
        document = space.create_document(project, "文書", "本文")
        old = space.attach_file_to_document(document, "古い図.png", 7)
        space.advance(5 * 86_400)
        # All within one second: no stamp tells them apart.
        (first_page, *_) = space.bulk_create_documents(project, [f"文書 {number}" for number in range(250)])
        space.attach_file_to_document(first_page, "図.png", 7)
        new = []

        def attach(request: Any) -> None:
            if ("offset", "99") in request.query and not new:
                space.advance(5)
                new.append(space.attach_file_to_document(document, "新しい図.png", 7))

        emulator.before_request(attach)
        first = sync(emulator, [stream])
        second = sync(emulator, [stream], first.state)
        assert len(first.requests) < 40
        assert {old.id, new[0].id} <= fetched(first, stream) | fetched(second, stream)


def test_the_files_of_documents_are_fetched_without_their_tree() -> None:
    with Emulator(seed=78, projects=1, archived_projects=0, foreign_projects=0, issues=10) as emulator:
        emulator.faults.add("/documents/tree", status=403, times=None)
        stream = "document_attachment_files"
        first = sync(emulator, [stream])
        assert fetched(first, stream) == set(files_of(emulator.space)[stream]) != set()
        assert not downloads(sync(emulator, [stream], first.state))


def test_the_old_files_of_a_page_that_was_refused_for_a_moment_are_fetched() -> None:
    with Emulator(seed=79, projects=1, archived_projects=0, foreign_projects=0, issues=10) as emulator:
        space, (project,) = emulator.space, emulator.space.projects.values()
        page = space.create_wiki(project, "ページ", "本文")
        old = space.attach_file_to_wiki(page, "古い図.png", 7)
        fault = emulator.faults.add(rf"/wikis/{page.id}$", status=404, times=2)
        second, third = two_syncs(emulator, "wiki_attachment_files", lambda: None)
        assert fault.struck == 2
        assert fetched(second, "wiki_attachment_files") == {old.id}
        assert not downloads(third)


def test_the_old_files_of_a_directory_that_was_refused_for_a_moment_are_fetched() -> None:
    with Emulator(seed=80, projects=1, archived_projects=0, foreign_projects=0, issues=10) as emulator:
        space, (project,) = emulator.space, emulator.space.projects.values()
        old = space.add_shared_file(project, "/設計/古い図.png", 7)
        fault = emulator.faults.add("/files/metadata/設計$", status=404, times=2)
        second, third = two_syncs(emulator, "shared_file_contents", lambda: None)
        assert fault.struck == 2
        assert old.id in fetched(second, "shared_file_contents")
        assert not downloads(third)


def test_the_old_files_of_a_pull_request_that_was_refused_for_a_moment_are_fetched() -> None:
    stream = "pull_request_attachment_files"
    with Emulator(seed=79, projects=1, archived_projects=0, foreign_projects=0, issues=10) as emulator:
        space, (project,) = emulator.space, emulator.space.projects.values()
        request = space.create_pull_request(project.repositories[0], "変更", attachments=[("古い図.png", 7)])
        fault = emulator.faults.add(rf"/pullRequests/{request.number}$", status=404, times=2)

        def happens() -> None:
            space.create_pull_request(project.repositories[1], "別の変更", attachments=[("新しい図.png", 5)])

        second, third = two_syncs(emulator, stream, happens)
        assert fault.struck == 2
        assert {each.id for each in request.attachments} < fetched(second, stream)
        assert not downloads(third)


def test_the_old_files_of_a_pull_request_that_was_left_out_by_the_start_date_are_fetched_once() -> None:
    stream = "pull_request_attachment_files"
    with Emulator(seed=79, projects=1, archived_projects=0, foreign_projects=0, issues=10) as emulator:
        space, (project,) = emulator.space, emulator.space.projects.values()
        request = space.create_pull_request(project.repositories[0], "変更", attachments=[("古い図.png", 7)])
        space.advance(30 * 86_400)
        space.create_pull_request(project.repositories[0], "最近の変更")
        start = datetime.fromtimestamp(space.clock, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        second, third = two_syncs(
            emulator, stream, lambda: space.update_pull_request(request, summary="まだ要る"), start_date=start
        )
        assert {each.id for each in request.attachments} <= fetched(second, stream)
        assert not downloads(third)


def test_a_file_that_was_taken_off_a_pull_request_meanwhile_is_not_tried_again() -> None:
    stream = "pull_request_attachment_files"
    with Emulator(seed=79, projects=1, archived_projects=0, foreign_projects=0, issues=10) as emulator:
        space, (project,) = emulator.space, emulator.space.projects.values()
        request = space.create_pull_request(project.repositories[0], "変更", attachments=[("a.log", 7), ("b.log", 8)])
        gone, kept = request.attachments

        def remove(asked: Any) -> None:
            if asked.path.endswith(f"/attachments/{gone.id}") and gone in request.attachments:
                space.remove_pull_request_attachment(request, gone)

        emulator.before_request(remove)
        first = sync(emulator, [stream])
        assert kept.id in fetched(first, stream)
        assert gone.id not in fetched(first, stream)
        assert not downloads(sync(emulator, [stream], first.state))


# --- a thousand files, and what happens on the way ---


@pytest.mark.usefixtures("impatient")
def test_a_thousand_attachments_with_interruptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken and failing answers all the way, a sync that dies in the middle, and its continuation."""
    monkeypatch.setattr(files, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(files, "FILES_PER_SECOND_OF_PAUSE", 1_000_000)
    with with_attachments(1000) as emulator:
        expected = {each.id: each for issue in emulator.space.project("FILES").issues for each in issue.attachments}
        assert len(expected) == 1000
        for after in range(20, 1000, 90):
            emulator.faults.add(r"/attachments/\d+$", kind="truncate", after=after)
            emulator.faults.add(r"/attachments/\d+$", kind="reset", after=after + 20)
            emulator.faults.add(r"/attachments/\d+$", status=503, after=after + 40)
            emulator.faults.add(r"/attachments/\d+$", kind="html", status=200, after=after + 60)
        emulator.faults.add(r"/attachments/\d+$", status=401, after=620, times=None)
        first = sync(emulator, STREAM, fails=True, **ONLY)
        assert first.errors
        struck = [request.fault for request in first.requests if request.fault and DOWNLOAD.search(request.path[8:])]
        assert {"truncate", "reset", "status", "html"} <= set(struck)
        emulator.faults.clear()
        second = sync(emulator, STREAM, first.state, **ONLY)
        for result in (first, second):
            check_bytes(result, STREAM[0], expected)
        assert fetched(first) | fetched(second) == set(expected)
        # What came after the last checkpoint comes again: the files that were under way, no more.
        assert len(fetched(first)) > 500 and len(fetched(first) & fetched(second)) < 20
        third = sync(emulator, STREAM, second.state, **ONLY)
        assert not downloads(third) and not third.rows[STREAM[0]]


def command(emulator: Emulator, folder: Path, staging: Path, setting: str = "") -> list[str]:
    """A command that reads the attachments of `FILES` in a process of its own, and says at its end how large it was."""
    (folder / "config.json").write_text(json.dumps(emulator.config(**ONLY)))
    catalog = ConfiguredAirbyteCatalogSerializer.dump(configured(STREAM))
    (folder / "catalog.json").write_text(json.dumps(catalog, default=str))
    program = f"""
import os, resource, sys
os.environ["AIRBYTE_STAGING_DIRECTORY"] = {str(staging)!r}
from source_backlog.streams import files
from source_backlog.run import run
{setting}
try:
    run()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""
    options = ["read", "--config", str(folder / "config.json"), "--catalog", str(folder / "catalog.json")]
    return [sys.executable, "-c", program, *options]


def test_a_killed_process_leaves_a_state_that_goes_on(tmp_path: Path, staging: Path) -> None:
    with with_attachments(400) as emulator:
        expected = {each.id: each for issue in emulator.space.project("FILES").issues for each in issue.attachments}
        emulator.server.latency = 0.005
        arguments = command(
            emulator, tmp_path, staging, "files.CHECKPOINT_SECONDS, files.FILES_PER_SECOND_OF_PAUSE = 0.0, 1_000_000"
        )
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout
        arrived: list[dict[str, Any]] = []
        state: list[AirbyteStateMessage] = []
        for line in process.stdout:
            message = json.loads(line)
            if message["type"] == "RECORD":
                arrived.append(message["record"])
            if message["type"] == "STATE":
                state = [AirbyteStateMessageSerializer.load(message["state"])]
            if len(arrived) == 150:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.wait()
        rest = sync(emulator, STREAM, state, **ONLY)
        check_bytes(rest, STREAM[0], expected)
        for record in arrived:
            path = Path(record["file_reference"]["staging_file_url"])
            assert path.read_bytes() == expected[record["data"]["id"]].content()
        before = {record["data"]["id"] for record in arrived}
        assert before | fetched(rest) == set(expected)
        assert state and len(before & fetched(rest)) < 20


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"kind": "reset"}, {"kind": "truncate"}, {"kind": "html", "status": 200}]
)
def test_a_file_that_fails_stops_nothing_and_is_tried_again(fault: dict[str, Any], staging: Path) -> None:
    with with_attachments(20) as emulator:
        issue = emulator.space.project("FILES").issues[2]
        bad = issue.attachments[1]
        emulator.faults.add(rf"/attachments/{bad.id}$", times=None, **fault)
        first = sync(emulator, STREAM, **ONLY)
        assert len(fetched(first)) == 19 and bad.id not in fetched(first)
        (warning,) = first.warnings()
        assert f"issues/{issue.id}/attachments/{bad.id}" in warning and "tried again next time" in warning
        # Nothing half-finished lies about.
        assert len([path for path in staging.rglob("*") if path.is_file()]) == 19
        again = sync(emulator, STREAM, first.state, **ONLY)
        assert not fetched(again) and len(again.warnings()) == 1
        emulator.faults.clear()
        emulator.space.advance(30 * 86_400)
        third = sync(emulator, STREAM, again.state, **ONLY)
        assert fetched(third) == {bad.id} and not third.warnings()
        check_bytes(third, STREAM[0], {bad.id: bad})
        assert not downloads(sync(emulator, STREAM, third.state, **ONLY))


@pytest.mark.parametrize("status", [404, 403])
def test_a_file_that_is_gone_or_refused_is_left_out_with_a_warning(status: int) -> None:
    with with_attachments(20) as emulator:
        issue = emulator.space.project("FILES").issues[2]
        bad = issue.attachments[1]
        emulator.faults.add(rf"/attachments/{bad.id}$", status=status, times=None)
        first = sync(emulator, STREAM, **ONLY)
        assert len(fetched(first)) == 19
        (warning,) = first.warnings()
        assert f"issues/{issue.id}/attachments/{bad.id}" in warning
        # The user may have lost the project for a moment. But it is not asked for at every sync for ever.
        state = first.state
        for _ in range(MOST_REFUSALS - 1):
            again = sync(emulator, STREAM, state, **ONLY)
            assert downloads(again) == [f"issues/{issue.id}/attachments/{bad.id}"]
            assert not fetched(again) and len(again.warnings()) == 1
            state = again.state
        last = sync(emulator, STREAM, state, **ONLY)
        assert not downloads(last) and not last.warnings()


def test_a_file_that_was_refused_for_a_moment_is_fetched_by_the_next_sync() -> None:
    with with_attachments(40) as emulator:
        space, project = emulator.space, emulator.space.project("FILES")
        expected = {each.id: each for issue in project.issues for each in issue.attachments}
        me, started = space.user(None), count()

        def blink(request: Any) -> None:
            # The user loses the project at the 10th file and has it back a few requests later.
            number = next(started) if DOWNLOAD.search(request.path.removeprefix("/api/v2/")) else None
            if number == 10:
                space.remove_member(project, me)
            elif me not in project.members and number is None:
                space.add_member(project, me)

        end = emulator.before_request(blink)
        first = sync(emulator, STREAM, **ONLY)
        end()
        assert fetched(first) < set(expected)
        second = sync(emulator, STREAM, first.state, **ONLY)
        assert fetched(first) | fetched(second) == set(expected)


def test_an_attachment_that_is_removed_while_the_sync_runs_stops_nothing() -> None:
    with with_attachments(40) as emulator:
        space, issue = emulator.space, emulator.space.project("FILES").issues[-1]
        bad = issue.attachments[-1]

        def remove(request: Any) -> None:
            if "/attachments/" in request.path and bad in issue.attachments:
                space.remove_attachment(issue, bad)

        emulator.before_request(remove)
        first = sync(emulator, STREAM, **ONLY)
        assert len(fetched(first)) == 39
        assert not downloads(sync(emulator, STREAM, first.state, **ONLY))


def test_the_staging_directory_that_cannot_be_written_to_is_named(staging: Path) -> None:
    (staging / "issue_attachment_files").write_text("a file where a directory has to be")
    with with_attachments(4) as emulator:
        result = sync(emulator, STREAM, fails=True, **ONLY)
        messages = " ".join(str(error.trace.error.message) for error in result.errors)
        assert f"Could not write to the staging directory for files, {staging}" in messages


class Kept:
    """A store that takes so many files."""

    shown = "s3://bucket/files"

    def __init__(self, folder: Path, room: int) -> None:
        self.folder = folder
        self.contents: dict[str, bytes] = {}
        self.room = room

    def put(self, file: Path, path: str) -> None:
        if len(self.contents) == self.room:
            raise OSError(None, "refused")
        self.contents[path] = file.read_bytes()


def test_a_row_says_that_a_file_is_in_the_store_when_it_is(tmp_path: Path) -> None:
    store, given, states = Kept(tmp_path / "files", 5), {}, {}
    with in_this_process(), with_attachments(12) as emulator:
        expected = files_of(emulator.space)[STREAM[0]]
        for full in (True, False):
            connector = Connector(emulator.config(**ONLY), files=store)
            for message in connector.read([catalog_streams()[STREAM[0]]], states):
                if message.record:
                    row = dict(message.record.data)
                    content = store.contents[row["path"]]
                    assert content == expected[row["id"]].content()
                    assert (row["bytes"], row["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
                    given[row["id"]] = row
                if message.state:
                    states[STREAM[0]] = AirbyteStateMessageSerializer.dump(message.state)["stream"]["stream_state"]
            messages = [failure.message for failure in connector.failures]
            if full:
                # One of those that are under way may have been put without its row.
                assert 0 < len(given) <= 5 == len(store.contents)
                (message,) = [text for text in messages if "Could not write" in text]
                assert "the folder of the files, s3://bucket/files: refused." in message
            else:
                assert not messages
            store.room = 1_000
        assert {row["path"] for row in given.values()} == store.contents.keys()
        assert len(given) == 12
    assert not [one for one in (tmp_path / "files").rglob("*") if one.is_file()], "nothing stays here"


# --- limits ---


def test_a_file_above_the_limit_is_left_out_with_one_warning() -> None:
    with with_attachments(4) as emulator:
        space, issue = emulator.space, emulator.space.project("FILES").issues[0]
        fits, too_large = space.attach_file(issue, "ちょうど.bin", MIB), space.attach_file(issue, "大きい.bin", MIB + 1)
        first = sync(emulator, STREAM, file_size_limit_mib=1, **ONLY)
        assert fits.id in fetched(first) and too_large.id not in fetched(first)
        (warning,) = first.warnings()
        assert "大きい.bin" in warning and "limit of 1 MiB" in warning
        assert not [path for path in downloads(first) if path.endswith(str(too_large.id))]
        second = sync(emulator, STREAM, first.state, file_size_limit_mib=1, **ONLY)
        assert not downloads(second) and not second.warnings()


def test_memory_does_not_grow_with_the_file(tmp_path: Path, staging: Path) -> None:
    """A file of 200 MiB: the process that fetches it is hardly larger than one that fetches a small one."""
    peaks = []
    for size in (1000, 200 * MIB):
        with with_attachments(0) as emulator:
            space = emulator.space
            issue = space.create_issue("FILES", "課題", attachments=[("大きい.bin", size)])
            folder = tmp_path / str(size)
            folder.mkdir()
            done = subprocess.run(command(emulator, folder, staging), capture_output=True, text=True, check=True)
            peaks.append(int(done.stderr.strip().splitlines()[-1]) / 1024)
            (record,) = [json.loads(line) for line in done.stdout.splitlines() if '"RECORD"' in line]
            path = Path(record["record"]["file_reference"]["staging_file_url"])
            assert path.stat().st_size == size
            assert path.read_bytes() == issue.attachments[0].content()
    assert peaks[1] - peaks[0] < 30, f"{peaks} MiB"


# --- names ---

HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "",
    "   ",
    "a\x00b.txt",
    "行\n行.txt",
    "C:\\Windows\\system32",
    "..\\..\\boot.ini",
    "CON",
    "nul.txt",
    "名前" * 60 + ".pdf",
    "x" * 300,
    "a." + "b" * 300,
    '<>:"|?*',
    "trailing. ",
    ".gitignore",
    "🗂️ 資料.zip",
]


def test_hostile_names_stay_in_the_staging_directory(staging: Path, tmp_path: Path) -> None:
    with with_attachments(0) as emulator:
        space = emulator.space
        given = [(name, 10 + number) for number, name in enumerate(HOSTILE)]
        issue = space.create_issue("FILES", "課題", attachments=given)
        result = sync(emulator, STREAM, **ONLY)
        check_bytes(result, STREAM[0], {each.id: each for each in issue.attachments})
        assert [row["name"] for row in result.rows[STREAM[0]]] == HOSTILE
        inside = staging.resolve()
        paths = {Path(reference.staging_file_url).resolve() for reference in result.files[STREAM[0]]}
        assert len(paths) == len(HOSTILE)
        assert all(path.is_relative_to(inside / STREAM[0]) for path in paths)
        assert {path for path in tmp_path.rglob("*") if path.is_file()} == paths
        assert {".gitignore", "🗂️ 資料.zip"} <= {path.name for path in paths}
        assert {path.suffix for path in paths if path.name.startswith("名前")} == {".pdf"}


@given(st.one_of(st.text(), st.sampled_from(HOSTILE), st.none(), st.integers()))
def test_a_safe_name_is_one_legal_component(name: Any) -> None:
    safe = safe_name(name)
    assert 0 < len(safe.encode()) <= LONGEST_NAME_BYTES
    assert safe not in (".", "..") and not re.search(r"[\x00-\x1f/\\:*?\"<>|]", safe)
    assert len(Path("staging", safe).parts) == 2


@pytest.mark.parametrize(
    "name", ["構成図.png", "見積書(最終版).xlsx", "report,final.csv", ".env", "a b.txt", "ロゴ①.svg"]
)
def test_an_ordinary_name_is_kept(name: str) -> None:
    assert safe_name(name) == name


# --- what a position remembers ---


def test_a_walk_of_days_forgets_no_file_that_was_attached_behind_it() -> None:
    """The place is not later than the start of the walk, whatever stamps it has met."""
    progress = FileProgress(FilesPosition(), "created", "issueUpdated")
    progress.note({"id": 1, "created": "2999-01-01T00:00:00Z"})
    position = progress.finished()
    assert position.files
    assert position.files < "2999"
    assert position.recent
    assert (1, "2999-01-01T00:00:00Z") in position.recent
    later = FileProgress(position, "created", "issueUpdated")
    assert not later.is_new({"id": 1, "created": "2999-01-01T00:00:00Z"})
    assert later.is_new({"id": 2, "created": position.files})


def test_a_position_is_small_when_the_walk_is_done() -> None:
    progress = FileProgress(FilesPosition(), "created", "issueUpdated")
    for number in range(1000):
        progress.note({"id": number, "created": f"2025-{number % 12 + 1:02}-{number % 28 + 1:02}T00:00:00Z"})
    assert len(progress.unfinished().recent or ()) == 1000
    assert len(progress.finished().recent or ()) < 20
