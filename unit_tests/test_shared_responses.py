"""`SharedResponses`: what several streams read is requested once, and kept where nobody finds it."""

import errno
import os
import re
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from source_backlog.api.bodies import body_of
from source_backlog.api.requester import BacklogRequester
from source_backlog.api.responses import SharedResponses, responses_of
from source_backlog.source import SourceBacklog
from source_backlog.space import Space, endpoint_of, readers_of

URL = "https://acme.backlog.jp/api/v2/issues?offset=0"
THREADS = 8


def never() -> requests.Response:
    raise AssertionError("requested again")


def test_threads_that_ask_at_once_cause_one_request(response: Callable[..., requests.Response]) -> None:
    shared = SharedResponses()
    together = threading.Barrier(THREADS)
    asked: list[int] = []

    def fetch() -> requests.Response:
        asked.append(1)
        return response(200, b'[{"id":1}]')

    def ask(_: int) -> Any:
        together.wait(5)
        return body_of(shared.get(URL, fetch))

    with ThreadPoolExecutor(THREADS) as pool:
        bodies = list(pool.map(ask, range(THREADS)))
    assert bodies == [[{"id": 1}]] * THREADS
    assert len(asked) == 1
    assert shared.replayed == THREADS - 1


def test_threads_wait_for_a_request_that_is_under_way(response: Callable[..., requests.Response]) -> None:
    shared = SharedResponses()
    under_way, answered = threading.Event(), threading.Event()

    def fetch() -> requests.Response:
        under_way.set()
        assert answered.wait(5)
        return response(200, b"[1]")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(shared.get, URL, fetch)
        assert under_way.wait(5)
        second = pool.submit(shared.get, URL, never)
        assert not second.done()
        answered.set()
        assert first.result(5).content == second.result(5).content == b"[1]"


def test_a_failure_reaches_everyone_who_waits(response: Callable[..., requests.Response]) -> None:
    shared = SharedResponses()
    under_way, failing = threading.Event(), threading.Event()

    def fetch() -> requests.Response:
        under_way.set()
        assert failing.wait(5)
        raise RuntimeError("the licence has expired")

    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(shared.get, URL, fetch)]
        assert under_way.wait(5)
        asked += [pool.submit(shared.get, URL, never) for _ in range(2)]
        failing.set()
        for one in asked:
            with pytest.raises(RuntimeError, match="the licence has expired"):
                one.result(5)


@pytest.mark.parametrize("body", [b"[]", b'{"name":"\xe8\xaa\xb2\xe9\xa1\x8c"}', b'[{"id":1}]' * 50_000])
def test_a_replay_equals_the_response(response: Callable[..., requests.Response], body: bytes) -> None:
    shared = SharedResponses()
    first = shared.get(URL, lambda: response(200, body))
    again = shared.get(URL, never)
    assert again.content == first.content == body
    assert again.text == first.text
    assert again.status_code == 200
    assert again.ok


def test_a_skipped_object_is_replayed_as_skipped(response: Callable[..., requests.Response]) -> None:
    shared = SharedResponses()
    shared.get(URL, lambda: response(404, b'{"errors":[]}'))
    again = shared.get(URL, never)
    assert again.status_code == 404
    assert not again


def test_readers_do_not_share_the_rows_that_they_edit(response: Callable[..., requests.Response]) -> None:
    shared = SharedResponses()
    first, second, third = (body_of(shared.get(URL, lambda: response(200, b'[{"id":1}]'))) for _ in range(3))
    first[0]["id"] = second[0]["id"] = "edited"
    assert third == [{"id": 1}]


def test_urls_are_kept_apart(response: Callable[..., requests.Response]) -> None:
    shared = SharedResponses()
    bodies = {f"{URL}&page={number}": b"[%d]" % number for number in range(50)}
    for url, body in bodies.items():
        shared.get(url, lambda body=body: response(200, body))
    assert {url: shared.get(url, never).content for url in bodies} == bodies


def asking(
    shared: SharedResponses, response: Callable[..., requests.Response]
) -> tuple[Callable[[str, bytes], bytes], list[str]]:
    """A function that asks for a URL, whose answer is a body, and the URLs that were really requested."""
    asked: list[str] = []

    def ask(url: str, body: bytes) -> bytes:
        def fetch() -> requests.Response:
            asked.append(url)
            return response(200, body)

        return shared.get(url, fetch).content

    return ask, asked


def test_above_the_limit_a_response_is_requested_again(response: Callable[..., requests.Response]) -> None:
    shared = SharedResponses(limit_bytes=100)
    ask, asked = asking(shared, response)
    large = os.urandom(5000)
    assert ask("small", b"[1]") == ask("small", b"[1]") == b"[1]"
    assert ask("large", large) == ask("large", large) == large
    assert ask("other", b"[2]") == ask("other", b"[2]") == b"[2]"
    assert asked == ["small", "large", "large", "other"]


FULL = os.strerror(errno.ENOSPC)


def test_on_a_full_disk_a_response_is_requested_again(
    response: Callable[..., requests.Response], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was stored before is still there, what was not stored whole is never given."""
    shared = SharedResponses()
    shared.get("early", lambda: response(200, b"[0]"))
    room = [40]
    real = shared._file.write

    def write(content: memoryview) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, FULL)
        taken = min(room[0], len(content))
        room[0] -= taken
        return real(content[:taken])

    monkeypatch.setattr(shared, "_file", SimpleNamespace(write=write, seek=shared._file.seek, read=shared._file.read))
    ask, asked = asking(shared, response)
    large = os.urandom(5000)
    assert ask("small", b"[1]") == ask("small", b"[1]") == b"[1]"
    assert ask("large", large) == ask("large", large) == large
    assert ask("other", b"[2]") == ask("other", b"[2]") == b"[2]"
    assert shared.get("early", never).content == b"[0]"
    assert asked == ["small", "large", "large", "other", "other"]
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert re.sub(r"\d+ MiB", "7 MiB", line) == (
        f"The temporary folder {tempfile.gettempdir()} could not be written to ({FULL}; 7 MiB are free). Answers that "
        "several streams read are no longer kept there: the sync goes on and asks for them again."
    )


def test_without_a_temporary_folder_nothing_is_kept(
    response: Callable[..., requests.Response], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(*args: Any, **options: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "TemporaryFile", none)
    monkeypatch.setattr(tempfile, "gettempdir", none)
    shared = SharedResponses()
    bodies = iter([b"[1]", b"[2]"])
    assert [shared.get(URL, lambda: response(200, next(bodies))).content for _ in range(2)] == [b"[1]", b"[2]"]
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith("No temporary folder can be written to (No usable temporary directory found in ['/tmp']).")


def test_the_file_has_no_name(
    response: Callable[..., requests.Response], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shared = SharedResponses()
    shared.get(URL, lambda: response(200, os.urandom(100_000)))
    assert list(tmp_path.iterdir()) == []
    assert shared.get(URL, never).ok


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("issues", "issues"),
        ("issues/12/comments", "issues/{}/comments"),
        ("issues/12/comments?count=100", "issues/{}/comments"),
        (
            "projects/7/git/repositories/3/pullRequests/1/comments",
            "projects/{}/git/repositories/{}/pullRequests/{}/comments",
        ),
        ("documents/0123456789abcdef0123456789abcdef", "documents/{}"),
        ("documents/tree", "documents/tree"),
        ("projects/7/files/metadata", "projects/{}/files/metadata/{}"),
        ("projects/7/files/metadata/2026/a%20b", "projects/{}/files/metadata/{}"),
        ("projects/{}/files/metadata/{}", "projects/{}/files/metadata/{}"),
        ("issues/{}/comments", "issues/{}/comments"),
        ("projects/{{ stream_partition['projectId'] }}/customFields", "projects/{}/customFields"),
    ],
)
def test_ids_are_no_part_of_an_endpoint(path: str, endpoint: str) -> None:
    assert endpoint_of(path) == endpoint


def test_only_the_selected_streams_are_readers() -> None:
    streams = [
        {"name": "issues", "$parameters": {"path": "issues"}},
        {"name": "issue_stars", "$parameters": {"path": "issues"}},
        {"name": "issue_comments", "$parameters": {"reads": ["issues", "issues/{}/comments"]}},
    ]
    assert readers_of(streams, ["issues", "issue_comments"]) == ["issues", "issues", "issues/{}/comments"]


def test_lists_of_the_manifest_have_the_readers_that_it_declares() -> None:
    streams = SourceBacklog()._source_config["streams"]
    space = Space(endpoints=readers_of(streams, ["custom_fields", "custom_field_items", "categories"]))
    assert space.has_several_readers("projects/7/customFields")
    assert space.is_read("projects/{}/categories")
    assert not space.has_several_readers("projects/7/categories")
    assert not space.is_read("projects/{}/webhooks")


def test_an_endpoint_with_one_reader_is_not_kept(requester: BacklogRequester, space: Space, requests_mock: Any) -> None:
    space.memory["rate limit"] = None
    requests_mock.get("https://acme.backlog.jp/api/v2/issues", json=[{"id": 1}])
    for _ in range(2):
        assert requester.get_json("issues") == [{"id": 1}]
    assert requests_mock.call_count == 2
    assert responses_of(space).replayed == 0


def test_who_doubts_a_list_gets_no_kept_answer(requester: BacklogRequester, space: Space, requests_mock: Any) -> None:
    """Nor does anybody else get the answer that was asked for anew: all streams go on with the same one."""
    space.memory["rate limit"] = None
    space._readers.update(["projects/{}/statuses"] * 2)
    requests_mock.get(
        "https://acme.backlog.jp/api/v2/projects/1/statuses", [{"json": [{"id": 1}]}, {"status_code": 404}]
    )
    assert requester.get_json("projects/1/statuses") == [{"id": 1}]
    assert not requester.exists("projects/1/statuses")
    assert requester.look("projects/1/statuses") is None
    assert requester.get_json("projects/1/statuses") == [{"id": 1}]


def test_an_endpoint_with_several_readers_is_requested_once_per_query(
    requester: BacklogRequester, space: Space, requests_mock: Any
) -> None:
    space.memory["rate limit"] = None
    space._readers.update(["issues", "issues"])
    requests_mock.get("https://acme.backlog.jp/api/v2/issues", json=[{"id": 1}])
    for offset in (0, 100, 0, 100):
        assert requester.get_json("issues", {"offset": offset, "id[]": [1, 2]}) == [{"id": 1}]
    assert [request.qs["offset"] for request in requests_mock.request_history] == [["0"], ["100"]]
    assert responses_of(space).replayed == 2
