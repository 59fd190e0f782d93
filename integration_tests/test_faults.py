"""Broken answers during a sync: retried, bounded, never taken for an empty page, and never without a name."""

from __future__ import annotations

import dataclasses
import errno
import io
import re
import socket
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from integration_tests.commands import Output, assert_readable, command, quickly
from integration_tests.emulator import Emulator
from integration_tests.harness import configured, differences
from source_backlog.api import responses
from source_backlog.api.client import HOPELESS_AFTER

RETRIES = 6
TRANSIENT = ["html", "invalid_json", "empty", "truncate", "reset", "status"]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return quickly(monkeypatch)


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator(projects=2, archived_projects=0, issues=250) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    running.faults.clear()
    running.clear_requests()
    return running


def complete(emulator: Emulator, output: Output, stream: str) -> None:
    assert (output.status, output.errors, output.stderr) == (0, [], "")
    assert differences(emulator, stream, {(row["id"],): row for row in output.rows(stream)}) == []


def assert_no_noise(output: Output) -> None:
    """Neither stack traces nor the CDK's names for things, in any line that people read."""
    for line in [*output.logs(), *(error["message"] for error in output.errors)]:
        for noise in ("Traceback", "BackoffException", "Caught retryable", "Backing off", "Giving up", "site-packages"):
            assert noise not in line
        for noise in ("Rate limit exceeded (HTTP 5", "projectId", "count=", "http://", "Error("):
            assert noise not in line
    assert output.stderr == ""


@pytest.mark.parametrize("kind", TRANSIENT)
def test_a_broken_page_is_asked_for_again_and_nothing_is_lost(
    emulator: Emulator, kind: str, pauses: list[float]
) -> None:
    """A 200 with a broken body is an empty page to the CDK: a hundred issues would be gone without a word."""
    status = 200 if kind == "html" else None
    fault = emulator.faults.add("/api/v2/issues$", kind=kind, status=status, times=3, after=1)
    output = command("read", emulator.config(), streams=["issues"])
    assert fault.struck == 3
    complete(emulator, output, "issues")
    assert pauses
    assert_no_noise(output)
    assert [line for line in output.logs("INFO") if " issues " in line and "follows in" in line]


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("html", "answered issues with something that is not JSON of Backlog"),
        ("invalid_json", "answered issues with something that is not JSON of Backlog"),
        ("empty", "answered issues with something that is not JSON of Backlog"),
        ("truncate", "to issues broke off"),
        ("reset", "to issues broke off"),
        ("status", "answered issues with status 503"),
    ],
)
def test_what_stays_broken_ends_in_a_transient_error_that_names_the_path(
    emulator: Emulator, kind: str, part: str, pauses: list[float]
) -> None:
    status = 200 if kind == "html" else None
    emulator.faults.add("/api/v2/issues$", kind=kind, status=status, times=None)
    output = command("read", emulator.config(), streams=["issues", "statuses"])
    assert output.status == 1
    assert not output.rows("issues")
    assert output.rows("statuses"), "the other streams go on"
    stream, end = output.errors[0], output.errors[-1]
    assert stream["stream_descriptor"] == {"name": "issues"}
    assert part in stream["message"]
    assert_readable(stream["message"])
    assert end["message"] == f"Not all streams were synced. issues: {stream['message']}"
    assert {error["failure_type"] for error in output.errors} == {"transient_error"}
    assert len(output.errors) == 2, "a line per stream, not per project"
    assert_no_noise(output)
    # No state that would skip what was not read.
    (state,) = [one["state"] for one in output.of_type("STATE") if "issues" in str(one["state"]["stream"])]
    assert state["stream"]["stream_state"] == {"states": []}


@pytest.mark.parametrize("answer", [{"kind": "empty"}, {"kind": "empty", "status": 204}, {"body": "null"}])
def test_an_object_that_is_answered_with_nothing_gives_no_row(
    emulator: Emulator, answer: dict[str, Any], pauses: list[float]
) -> None:
    streams = ["space_notification", "space_disk_usage", "licence", "rate_limit"]
    for path in ("space/notification", "space/diskUsage", "space/licence", "rateLimit"):
        emulator.faults.add(f"/api/v2/{path}$", times=None, **{"status": 200, **answer})
    output = command("read", emulator.config(), streams=[*streams, "statuses"])
    assert (output.status, output.errors, output.stderr) == (0, [], "")
    assert [stream for stream in streams if output.rows(stream)] == []
    assert output.rows("statuses")
    assert pauses == []
    assert output.logs("WARN") == []


@pytest.mark.parametrize("answer", [{"kind": "empty"}, {"kind": "empty", "status": 204}, {"body": "null"}])
def test_a_list_that_is_answered_with_nothing_is_an_error_which_is_not_blamed_on_the_domain(
    emulator: Emulator, answer: dict[str, Any]
) -> None:
    emulator.faults.add("/statuses$", times=None, **{"status": 200, **answer})
    output = command("read", emulator.config(), streams=["statuses"])
    assert output.status == 1
    message = output.errors[0]["message"]
    said = "with something that is not JSON of Backlog. Try again later; if this persists, report the problem."
    assert re.fullmatch(rf"127\.0\.0\.1:\d+ answered projects/\d+/statuses {re.escape(said)}", message)


def test_other_json_is_not_an_empty_space(emulator: Emulator) -> None:
    """A server that answers everything with the same object: no rows, and no success."""
    emulator.faults.add(".*", body={"hello": "world"}, status=200, times=None)
    output = command("read", emulator.config(), streams=["projects", "issues", "statuses"])
    assert output.status == 1
    assert not output.of_type("RECORD")
    assert len({error["stream_descriptor"]["name"] for error in output.errors[:-1]}) == 3


def test_the_waits_grow_and_end(emulator: Emulator, pauses: list[float]) -> None:
    emulator.faults.add("/api/v2/priorities$", times=None)
    output = command("read", emulator.config(), streams=["priorities"])
    assert output.status == 1
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    assert len([request for request in emulator.requests if request.path.endswith("/priorities")]) == 1 + RETRIES


def test_an_outage_does_not_last_as_long_as_there_are_projects(pauses: list[float]) -> None:
    with Emulator(projects=60, issues=10) as emulator:
        emulator.faults.add("/statuses$", times=None)
        output = command("read", {**emulator.config(), "num_workers": 2}, streams=["statuses"])
        assert output.status == 1
        asked = [request for request in emulator.requests if request.path.endswith("/statuses")]
        # The threads that were under way learn it for themselves.
        assert len(asked) <= 4 * (1 + RETRIES) + HOPELESS_AFTER < 60 * (1 + RETRIES)
        assert len(output.logs("ERROR")) == len(set(output.logs("ERROR")))


def test_a_key_that_is_revoked_during_a_sync_is_not_sent_again_and_again() -> None:
    with Emulator(projects=60, issues=10) as emulator:
        body = {"errors": [{"message": "Authentication failure.", "code": 11, "moreInfo": ""}]}
        emulator.faults.add("/statuses$", status=401, body=body, times=None, after=3)
        output = command("read", emulator.config(num_workers=2), streams=["statuses"])
        assert output.status == 1
        assert output.rows("statuses")
        assert {error["failure_type"] for error in output.errors} == {"config_error"}
        assert len(output.errors) == 2
        assert len([request for request in emulator.requests if request.fault]) <= 2


def test_a_slow_answer_is_waited_for(emulator: Emulator) -> None:
    emulator.faults.add("/api/v2/issues$", kind="slow", seconds=1.0, times=2)
    complete(emulator, command("read", emulator.config(), streams=["issues"]), "issues")


def test_a_server_that_hangs_is_asked_again(emulator: Emulator) -> None:
    emulator.faults.add("/api/v2/priorities$", kind="hang", seconds=0.5, times=2)
    output = command("read", emulator.config(), streams=["priorities"])
    complete(emulator, output, "priorities")


def test_a_body_that_drips_does_not_hold_the_sync_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time for `requests`, and the page never ends."""
    monkeypatch.setattr("source_backlog.api.client.BODY_SECONDS", 0.4)
    listening = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n[")
        try:
            while not stop.wait(0.05):
                connection.sendall(b" ")
        except OSError:
            pass
        connection.close()

    def serve() -> None:
        while not stop.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    monkeypatch.setattr("source_backlog.api.client.BacklogSession._learn_the_limits", lambda *rest: None)
    given = {
        "domain": f"127.0.0.1:{listening.getsockname()[1]}",
        "credentials": {"auth_type": "api_key", "api_key": "a-key-of-some-length"},
    }
    output = command("read", given, streams=["priorities"])
    stop.set()
    listening.close()
    assert output.status == 1
    assert "did not answer priorities in time." in output.errors[0]["message"]
    assert output.seconds < 20


def test_a_refused_request_waits_for_the_window_and_goes_on(pauses: list[float]) -> None:
    body = {"errors": [{"message": "Too many requests.", "code": 13, "moreInfo": ""}]}
    with Emulator(projects=2, issues=50, window_seconds=2) as emulator:
        emulator.faults.add("/api/v2/issues$", status=429, body=body, times=2)
        output = command("read", emulator.config(), streams=["issues"])
        complete(emulator, output, "issues")
    assert pauses
    assert max(pauses) <= 4
    assert_no_noise(output)


def test_a_full_temporary_disk_stops_nothing(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is always full, in the place of the file for shared answers."""
    monkeypatch.setattr(responses.tempfile, "TemporaryFile", lambda **options: io.FileIO("/dev/full", "r+"))
    output = command("read", emulator.config(), streams=["issues", "issue_attachments", "issue_comments"])
    complete(emulator, output, "issues")
    (line,) = output.logs("WARN")
    assert line.startswith(f"The temporary folder {tempfile.gettempdir()} could not be written to (No space left")
    assert "0 more were answered with responses already received" in "".join(output.logs("INFO"))


def test_a_stream_that_meets_a_full_disk_names_it(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("source_backlog.streams.settings.ProjectRetriever.rows", full)
    output = command("read", emulator.config(), streams=["projects", "priorities"])
    assert output.status == 1
    assert output.rows("priorities")
    assert output.errors[0]["message"] == (
        "The stream projects could not write to the disk of this machine (No space left on device). Make room there, "
        "or name another folder in the environment variable TMPDIR."
    )
    assert {error["failure_type"] for error in output.errors} == {"config_error"}


def without(emulator: Emulator, selected: list[str], *also: str) -> Output:
    """A read whose catalog names streams that do not exist, in the place of copies of `priorities`."""
    catalog = configured([*selected, *(["priorities"] * len(also))])
    for stream, name in zip(catalog.streams[len(selected) :], also, strict=True):
        stream.stream = dataclasses.replace(stream.stream, name=name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("integration_tests.commands.configured", lambda names: catalog)
        return command("read", emulator.config(), streams=[])


@pytest.mark.parametrize("selected", [["issues", "statuses"], []])
def test_a_selected_stream_that_does_not_exist_is_named_and_a_failure(emulator: Emulator, selected: list[str]) -> None:
    output = without(emulator, selected, "wiki_pages", "sprints")
    said = (
        "There is no such stream in this version of the connector. Refresh the schema of the connection, or take it "
        "out."
    )
    assert output.logs("WARN") == [f"wiki_pages: {said}", f"sprints: {said}"]
    for name in selected:
        assert len(output.rows(name)) == len(emulator.truth(name))
    assert output.status == 1
    (end,) = output.errors
    assert end["message"] == f"Not all streams were synced. wiki_pages, sprints: {said}"
    assert end["failure_type"] == "config_error"


def test_a_stream_that_does_not_exist_hides_no_other_failure(emulator: Emulator) -> None:
    emulator.faults.add("/api/v2/priorities$", times=None)
    output = without(emulator, ["priorities"], "sprints")
    end = output.errors[-1]["message"]
    assert "priorities: Backlog answered priorities with status 503." in end
    assert "sprints: There is no such stream" in end


def test_failures_of_several_kinds_are_told_apart_in_the_end(emulator: Emulator) -> None:
    emulator.faults.add("/api/v2/priorities$", times=None)
    emulator.faults.add("/api/v2/resolutions$", status=403, times=None)
    output = command("read", emulator.config(), streams=["priorities", "resolutions", "myself"])
    assert output.status == 1
    assert output.rows("myself")
    end = output.errors[-1]
    assert "priorities: Backlog answered priorities with status 503." in end["message"]
    assert "resolutions: Backlog refuses resolutions" in end["message"]
    assert end["failure_type"] == "config_error", "a user can mend one of them, and has to"
    kinds = {error["stream_descriptor"]["name"]: error["failure_type"] for error in output.errors[:-1]}
    assert kinds == {"priorities": "transient_error", "resolutions": "config_error"}
