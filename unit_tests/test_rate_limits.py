"""`RateLimits`: requests are held back so that Backlog never has to refuse one.

Time does not pass in these tests: a wait moves the clock, so what a test asserts is how long the connector waited.
"""

import math
import threading
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
import requests

from source_backlog.api import limits as limits_module
from source_backlog.api.limits import RateLimits, category_of, limits_of
from source_backlog.api.requester import BacklogRequester
from source_backlog.space import Space

READ = "https://acme.backlog.jp/api/v2/users"
SEARCH = "https://acme.backlog.jp/api/v2/issues?projectId[]=1"


@pytest.fixture
def waiting(clock: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The clock, moved by waits for a window too; notes how long they were."""

    really = threading.Condition.wait

    def wait(condition: threading.Condition, timeout: float | None = None) -> bool:
        if timeout is None:
            return really(condition)
        condition.release()
        clock.sleep(timeout)
        condition.acquire()
        return False

    monkeypatch.setattr(threading.Condition, "wait", wait)
    return clock


@pytest.fixture
def answer(response: Callable[..., requests.Response]) -> Callable[..., requests.Response]:
    """`answer(limit, remaining, reset)`: a response with these headers; None leaves a header out."""

    def make(limit: Any, remaining: Any, reset: Any, status: int = 200, **headers: str) -> requests.Response:
        told = {"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset}
        texts = {name: str(value) for name, value in told.items() if value is not None}
        return response(status, b"{}", **texts, **headers)

    return make


def sent(limits: RateLimits, url: str, response: requests.Response | None) -> None:
    limits.acquire(url)
    limits.release(url, response)


@pytest.mark.parametrize(
    ("path", "category"),
    [
        ("issues", "search"),
        ("issues/", "search"),
        ("issues/count", "search"),
        ("wikis", "search"),
        ("wikis/count", "search"),
        ("issues?keyword=/users", "search"),
        ("issues/12", "read"),
        ("issues/12/comments", "read"),
        ("issues/12/comments/count", "read"),
        ("wikis/3", "read"),
        ("wikis/tags", "read"),
        ("users", "read"),
        ("users/myself?next=/api/v2/issues", "read"),
        ("documents", "read"),
        ("space/activities", "read"),
        ("projects/1/issueTypes", "read"),
        ("users/myself/recentlyViewedIssues", "read"),
        ("rateLimit", "read"),
    ],
)
def test_only_four_endpoints_are_searches(path: str, category: str) -> None:
    assert category_of(f"https://acme.backlog.jp/api/v2/{path}") == category


def test_nothing_is_held_back_before_the_server_has_said_anything(waiting: Any) -> None:
    limits = RateLimits()
    for _ in range(10_000):
        limits.acquire(READ)
    assert waiting.waits == []


@pytest.mark.parametrize(("share", "allowed"), [(100, 10), (90, 9), (50, 5), (19, 1), (1, 1)])
def test_only_the_share_of_the_window_is_used(waiting: Any, answer: Any, share: int, allowed: int) -> None:
    limits = RateLimits(share)
    end = waiting.now + 30
    sent(limits, READ, answer(10, 9, end))
    for used in range(1, allowed):
        sent(limits, READ, answer(10, 9 - used, end))
    assert waiting.waits == []
    limits.acquire(READ)
    assert waiting.now == pytest.approx(end, abs=0.1)


def test_a_window_that_is_used_up_holds_back_until_it_ends(waiting: Any, answer: Any) -> None:
    limits = RateLimits()
    end = waiting.now + 42
    sent(limits, READ, answer(600, 0, end))
    limits.acquire(READ)
    assert sum(waiting.waits) == pytest.approx(42, abs=0.1)
    assert max(waiting.waits) <= 5, "headers of other responses may open the window"


def test_a_used_up_category_does_not_hold_back_the_other(waiting: Any, answer: Any) -> None:
    limits = RateLimits()
    sent(limits, SEARCH, answer(150, 0, waiting.now + 42))
    limits.acquire(READ)
    assert waiting.waits == []
    assert limits.sent == {"search": 1, "read": 1}


def test_requests_on_their_way_count_as_used(waiting: Any, answer: Any) -> None:
    limits = RateLimits()
    end = waiting.now + 30
    sent(limits, READ, answer(600, 3, end))
    for _ in range(3):
        limits.acquire(READ)
    assert waiting.waits == []
    limits.acquire(READ)
    assert waiting.now == pytest.approx(end, abs=0.1)


def test_a_request_that_failed_on_the_network_gives_its_place_back(waiting: Any, answer: Any) -> None:
    limits = RateLimits()
    sent(limits, READ, answer(600, 1, waiting.now + 30))
    for _ in range(50):
        sent(limits, READ, None)
    assert waiting.waits == []


def test_the_session_gives_the_place_back_when_the_network_fails(
    waiting: Any, requester: BacklogRequester, space: Space, requests_mock: Any
) -> None:
    space.memory["rate limit"] = None
    limits_of(space).learn({"rateLimit": {"read": {"limit": 600, "remaining": 1, "reset": waiting.now + 30}}})
    requests_mock.get(READ, exc=requests.exceptions.ConnectTimeout)
    prepared = requests.Request("GET", READ).prepare()
    for _ in range(3):
        with pytest.raises(requests.exceptions.ConnectTimeout):
            requester._client._session.send(prepared)
    assert waiting.waits == []
    assert limits_of(space).sent["read"] == 3


def test_headers_that_arrive_out_of_order_do_not_open_the_window(waiting: Any, answer: Any) -> None:
    limits = RateLimits()
    end = waiting.now + 30
    for remaining in (1, 0, 5):
        sent(limits, READ, answer(600, remaining, end))
    limits.acquire(READ)
    assert waiting.now == pytest.approx(end, abs=0.1)


def test_headers_of_the_window_before_do_not_count(waiting: Any, answer: Any) -> None:
    limits = RateLimits()
    late = answer(600, 0, waiting.now + 1)
    limits.acquire(READ)
    waiting.now += 2
    sent(limits, READ, answer(600, 599, waiting.now + 60))
    limits.release(READ, late)
    limits.acquire(READ)
    assert waiting.waits == []


def test_a_new_window_starts_with_what_its_first_header_says(waiting: Any, answer: Any) -> None:
    limits = RateLimits()
    sent(limits, READ, answer(600, 0, waiting.now + 10))
    waiting.now += 11
    end = waiting.now + 60
    sent(limits, READ, answer(2, 1, end))
    sent(limits, READ, answer(2, 0, end))
    assert waiting.waits == []
    limits.acquire(READ)
    assert waiting.now == pytest.approx(end, abs=0.1)


def test_the_first_requests_of_a_new_window_stay_within_the_last_known_limit(waiting: Any, answer: Any) -> None:
    limits = RateLimits()
    sent(limits, READ, answer(3, 0, waiting.now + 10))
    waiting.now += 11
    for _ in range(3):
        limits.acquire(READ)
    assert waiting.waits == []
    thread = threading.Thread(target=limits.acquire, args=(READ,), daemon=True)
    thread.start()
    while not waiting.waits:
        assert thread.is_alive(), "a fourth request went out before the window was known"
    limits.release(READ, answer(3, 2, waiting.now + 60))
    thread.join(5)
    assert not thread.is_alive()


def test_use_by_other_programs_is_seen_through_the_headers(waiting: Any, answer: Any) -> None:
    limits = RateLimits(90)
    end = waiting.now + 30
    sent(limits, READ, answer(600, 599, end))
    sent(limits, READ, answer(600, 61, end))
    assert waiting.waits == []
    sent(limits, READ, answer(600, 60, end))
    limits.acquire(READ)
    assert waiting.now == pytest.approx(end, abs=0.1)


def test_a_429_closes_the_window_whatever_its_header_says(waiting: Any, answer: Any) -> None:
    limits = RateLimits()
    end = waiting.now + 20
    sent(limits, READ, answer(600, 300, end, status=429))
    limits.acquire(READ)
    assert waiting.now == pytest.approx(end, abs=0.1)


def test_milliseconds_are_taken_as_such(waiting: Any, answer: Any) -> None:
    limits = RateLimits()
    end = waiting.now + 15
    sent(limits, READ, answer(600, 0, int(end * 1000)))
    limits.acquire(READ)
    assert waiting.now == pytest.approx(end, abs=0.1)


@pytest.mark.parametrize(
    ("limit", "remaining", "reset"),
    [
        (None, None, None),
        (600, 0, None),
        (None, 0, 30),
        (600, None, 30),
        ("many", 0, 30),
        (600, "none", 30),
        (600, 0, "soon"),
        (600, 0, "nan"),
        (0, 0, 30),
        ("", "", ""),
    ],
)
def test_headers_that_say_nothing_hold_nothing_back(
    waiting: Any, answer: Any, limit: Any, remaining: Any, reset: Any
) -> None:
    limits = RateLimits()
    end = waiting.now + reset if isinstance(reset, int) else reset
    for _ in range(3):
        sent(limits, READ, answer(limit, remaining, end))
    assert waiting.waits == []


@pytest.mark.parametrize("reset", [1e6, "inf"])
def test_a_reset_of_the_far_future_neither_holds_back_nor_ends_the_counting(clock: Any, reset: Any) -> None:
    limits = RateLimits()
    limits.learn({"rateLimit": {"read": {"limit": 600, "remaining": 0, "reset": clock.now + float(reset)}}})
    limits.learn({"rateLimit": {"read": {"limit": 600, "remaining": 0, "reset": clock.now + 30}}})
    assert limits.seconds_until_reset(READ) == 30


def test_the_clock_of_the_server_counts(waiting: Any, answer: Any) -> None:
    limits = RateLimits()
    server = waiting.now + 3600
    sent(limits, READ, answer(600, 0, server + 20, Date=formatdate(server, usegmt=True)))
    assert limits.seconds_until_reset(READ) == pytest.approx(20, abs=1)
    start = waiting.now
    limits.acquire(READ)
    assert waiting.now - start == pytest.approx(20, abs=1)


@pytest.mark.parametrize("ahead", [-2.7, -0.4, 0.0, 0.6, 1.5])
def test_a_small_difference_of_the_clocks_is_known_after_a_few_answers(waiting: Any, answer: Any, ahead: float) -> None:
    limits = RateLimits()
    end = math.floor(waiting.now + ahead) + 60
    for number in range(40):
        sent(limits, READ, answer(600, 599 - number, end, Date=formatdate(waiting.now + ahead, usegmt=True)))
        waiting.now += 0.13
    sent(limits, READ, answer(600, 0, end, Date=formatdate(waiting.now + ahead, usegmt=True)))
    limits.acquire(READ)
    assert 0 <= waiting.now + ahead - end < 0.2, "sent when the window had ended on the server, and not much later"


def test_a_clock_that_is_set_while_reading_is_noticed(waiting: Any, answer: Any) -> None:
    limits = RateLimits()
    for ahead in (100, -100, 3600):
        server = waiting.now + ahead
        sent(limits, READ, answer(600, 0, server + 20, Date=formatdate(server, usegmt=True)))
        assert limits.seconds_until_reset(READ) == pytest.approx(20, abs=1)
        waiting.now += 7200


@pytest.mark.parametrize("date", ["", "yesterday", "2026-01-01"])
def test_a_date_that_is_none_is_no_offset(waiting: Any, answer: Any, date: str) -> None:
    limits = RateLimits()
    sent(limits, READ, answer(600, 0, waiting.now + 20, Date=date))
    assert limits.seconds_until_reset(READ) == 20


def test_an_end_that_cannot_be_told_is_not_waited_for(waiting: Any, answer: Any) -> None:
    limits = RateLimits()
    assert limits.seconds_until_reset(READ) == 0
    sent(limits, READ, answer(600, 0, waiting.now + 9999))
    assert limits.seconds_until_reset(READ) == 0
    sent(limits, READ, answer(600, 0, waiting.now + 40))
    assert limits.seconds_until_reset(READ) == 40
    waiting.now += 99_999
    assert limits.seconds_until_reset(READ) == 0


def test_the_answer_of_rate_limit_fills_both_windows(waiting: Any) -> None:
    limits = RateLimits()
    end = int(waiting.now) + 25
    window = {"limit": 600, "remaining": 600, "reset": end}
    limits.learn({"rateLimit": {"read": window, "search": {"limit": 150, "remaining": 0, "reset": end}}})
    limits.acquire(READ)
    assert waiting.waits == []
    limits.acquire(SEARCH)
    assert waiting.now == pytest.approx(end, abs=0.1)


@pytest.mark.parametrize("body", [{}, {"rateLimit": None}, {"rateLimit": {"read": None, "search": {}}}])
def test_an_answer_of_rate_limit_without_windows_holds_nothing_back(waiting: Any, body: dict[str, Any]) -> None:
    limits = RateLimits()
    limits.learn(body)
    limits.acquire(READ)
    assert waiting.waits == []


def test_rate_limit_is_asked_once_and_before_the_first_request(
    waiting: Any, requester: BacklogRequester, space: Space, requests_mock: Any
) -> None:
    base = "https://acme.backlog.jp/api/v2/"
    window = {"limit": 600, "remaining": 0, "reset": waiting.now + 17}
    requests_mock.get(f"{base}rateLimit", json={"rateLimit": {"read": window}})
    requests_mock.get(READ, json=[])
    start = waiting.now
    requester.get_json("users")
    requester.get_json("users")
    paths = [request.path for request in requests_mock.request_history]
    assert paths == ["/api/v2/ratelimit", "/api/v2/users", "/api/v2/users"]
    assert waiting.now - start == pytest.approx(17, abs=0.1), "the first request waits already"
    first = requests_mock.request_history[0]
    assert first.headers["Backlog-API-Key"] == requests_mock.request_history[1].headers["Backlog-API-Key"]
    assert first.query == ""
    assert limits_of(space).sent == {"read": 3}


@pytest.mark.parametrize(
    "answered",
    [
        {"status_code": 404, "json": {"errors": []}},
        {"text": "<html>"},
        {"json": []},
        {"exc": requests.exceptions.ConnectTimeout},
    ],
)
def test_a_server_without_rate_limit_is_read_all_the_same(
    waiting: Any, requester: BacklogRequester, requests_mock: Any, answered: dict[str, Any]
) -> None:
    requests_mock.get("https://acme.backlog.jp/api/v2/rateLimit", **answered)
    requests_mock.get(READ, json=[{"id": 1}])
    assert requester.get_json("users") == [{"id": 1}]
    assert waiting.waits == []


def test_a_long_wait_leaves_one_line(waiting: Any, answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    limits = RateLimits(90)
    sent(limits, SEARCH, answer(150, 0, waiting.now + 42))
    with caplog.at_level("INFO"):
        limits.acquire(SEARCH)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == (
        "Waiting 42 s, until 00:00:42 UTC, for Backlog's rate limit: search requests have used their share of 135 "
        "of 150 in this window."
    )


def test_while_requests_run_a_line_says_so_at_least_every_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [1000.0]
    monkeypatch.setattr(limits_module.time, "monotonic", lambda: now[0])
    limits = RateLimits()
    said = []
    with caplog.at_level("INFO"):
        for _ in range(30):
            limits.acquire(SEARCH)
            if caplog.messages:
                assert caplog.messages == [f"Requests so far: 0 read, {limits.sent['search']} search."]
                said.append(now[0])
                caplog.clear()
            now[0] += 10
    assert said == [1050.0, 1100.0, 1150.0, 1200.0, 1250.0]
