"""The body of an answer: a character that cannot be read costs itself, and what is cut off is never mended."""

import json
import logging
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import requests

from source_backlog.api.bodies import as_edited, body_of, mended_in
from source_backlog.api.requester import BacklogRequester
from source_backlog.space import Space

BASE = "https://acme.backlog.jp/api/v2/"
Answer = Callable[..., requests.Response]

# What stands in the text, and what becomes of it.
BROKEN = {
    "half a pair, the first": (rb"cut \ud83c", "cut \ufffd"),
    "half a pair, the second": (rb"\udf89 cut", "\ufffd cut"),
    "halves in the wrong order": (rb"\udf89\ud83c", "\ufffd\ufffd"),
    "half a pair beside a whole one": (rb"\ud83c\udf89\ud83c", "\U0001f389\ufffd"),
    "CESU-8": (b"\xed\xa0\xbc\xed\xbe\x89", "\ufffd" * 6),
    "half a pair in bytes": (b"a\xed\xa0\xbcb", "a\ufffd\ufffd\ufffdb"),
    "a byte of another encoding": (b"caf\xe9!", "caf\ufffd!"),
    "a character that is cut": (b"\xe8\xaa", "\ufffd\ufffd"),
    "a control character": (b"a\x0bb", "a\ufffdb"),
    "a NUL": (b"a\x00b", "a\ufffdb"),
    "a new line": (b"a\nb", "a\ufffdb"),
    "a tab": (b"a\tb", "a\ufffdb"),
    "behind an escaped quote": (b'\\"a\x01', '"a\ufffd'),
    "behind an escaped backslash": (b"\\\\\x01", "\\\ufffd"),
}


@pytest.fixture(autouse=True)
def limits_known(space: Space, clock: Any) -> None:
    """`GET /rateLimit` has been answered, and no retry sleeps."""
    space.memory["rate limit"] = None


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(("text", "wanted"), BROKEN.values(), ids=BROKEN)
def test_a_character_that_cannot_be_read_costs_itself(
    requester: BacklogRequester, requests_mock: Any, caplog: pytest.LogCaptureFixture, text: bytes, wanted: str
) -> None:
    good = '{"id": 1, "summary": "\\u00e9\\n\\u0001 \ufffd 課題", "issueKey": "WEB-1"}'.encode()
    body = b"[" + good + b', {"id": 2, "issueKey": "WEB-2", "summary": "' + text + b'"},\n\t' + good + b"]"
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(body)
    requests_mock.get(f"{BASE}issues", content=body)
    first, second, third = requester.get_json("issues")
    assert second == {"id": 2, "issueKey": "WEB-2", "summary": wanted}
    assert first == third == {"id": 1, "summary": "é\n\x01 \ufffd 課題", "issueKey": "WEB-1"}
    assert warnings(caplog) == ["Characters that cannot be read in issues WEB-2 were replaced by U+FFFD."]
    assert requests_mock.call_count == 1


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("issues/1/comments", b'[{"id": 7, "content": "\x01"}]', "issues/1/comments 7"),
        ("projects", b'[{"id": 7, "projectKey": "WEB", "name": "\x01"}]', "projects WEB"),
        ("wikis/1/history", b'[{"pageId": 1, "version": 3, "content": "\x01"}]', "wikis/1/history 3"),
        ("users/1/recentlyViewedX", b'[{"id": 1}, {"id": 2, "b": "\x01"}]', "users/1/recentlyViewedX 2"),
        ("users/myself/recentlyViewedIssues", b'[{}, {"a": "\x01"}]', "users/myself/recentlyViewedIssues entry 2"),
        ("wikis/5", b'{"id": 5, "content": "\x01"}', "wikis/5"),
        ("space", b'{"spaceKey": "a", "\x01": {"deep": ["\x01"]}}', "space"),
    ],
)
def test_the_warning_names_the_object(
    requester: BacklogRequester,
    requests_mock: Any,
    caplog: pytest.LogCaptureFixture,
    path: str,
    body: bytes,
    name: str,
) -> None:
    requests_mock.get(f"{BASE}{path}", content=body)
    for _ in range(2):
        assert "\ufffd" in json.dumps(requester.get_json(path), ensure_ascii=False)
    assert warnings(caplog) == [f"Characters that cannot be read in {name} were replaced by U+FFFD."], "once"


def test_a_byte_order_mark_is_left_out(
    requester: BacklogRequester, requests_mock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    requests_mock.get(f"{BASE}issues", content=b'\xef\xbb\xbf[{"id": 1, "summary": "\xef\xbb\xbf"}]')
    assert requester.get_json("issues") == [{"id": 1, "summary": "\ufeff"}]
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    "content",
    [
        b'[{"id": 1}, {"id": 2, "summary": "cut \\ud83c',
        b'[{"id": 1, "summary": "\x01"}, {"id',
        b'[{"id": 1, "summary": "\x01"}',
        b'[{"id": 1, "summary": "\xff"},]',
        b'[{"id": 1, "summary": "\xff", "hours": NaN}]',
        b'[{"id": 1, "summary": "\xff", "hours": ' + b"9" * 500 + b"}]",
        b'\x01[{"id": 1}]',
        b'\xef\xbb\xbf[{"id": 1}',
        b"\xff\xfe[\x00]\x00",
        b"[" * 2000 + b'"\x01"' + b"]" * 2000,
        b"\xef\xbb\xbf",
    ],
)
def test_what_is_cut_off_or_no_json_is_not_read_leniently(response: Answer, content: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        body_of(response(200, content))


def test_numbers_are_those_of_the_strict_way(response: Answer) -> None:
    numbers = b"[18446744073709551615, -9223372036854775808, 18446744073709551616, 0.1, 1e3, -0, true, null]"
    lenient = body_of(response(200, b'{"text": "\x01", "numbers": ' + numbers + b"}"))["numbers"]
    strict = orjson.loads(numbers)
    assert lenient == strict
    assert [type(one) for one in lenient] == [type(one) for one in strict]


def test_who_decodes_it_anew_gets_the_mended_body(response: Answer) -> None:
    received = response(200, b'[{"id": 1, "name": "\\ud83c"}]')
    body_of(received)
    assert mended_in(received) == ["1"]
    given = as_edited(received)
    assert given.json() == body_of(given) == [{"id": 1, "name": "\ufffd"}]
    assert given.url == received.url
    orjson.dumps(given.json())


def test_a_body_that_can_be_read_is_given_as_it_came(response: Answer) -> None:
    received = response(200, b'[{"id": 1}]')
    body_of(received)
    assert as_edited(received) is received
    assert mended_in(received) == []


def test_a_hostile_body_does_not_take_long(response: Answer) -> None:
    began = time.process_time()
    for body in (
        b'["' + b'\\"' * 500_000,
        b'["\x01' + b"\\" * 1_000_001,
        b'"' * 1_000_000,
        b'["' + b"\xff" * 1_000_000,
    ):
        with pytest.raises(orjson.JSONDecodeError):
            body_of(response(200, body))
    assert time.process_time() - began < 10
