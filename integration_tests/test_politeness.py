"""Promise 3: as close to the rate limit as allowed, and not over it. Windows last seconds here instead of a minute."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from integration_tests.emulator import Emulator, Request
from integration_tests.harness import Sync, sync
from source_backlog.api import turns

READS = 60
SEARCHES = 15
STREAMS = ["issues", "issue_comments", "statuses", "issue_types", "categories", "versions", "activities"]
# Requests that are on their way when a window ends may be counted in either one.
HANDFUL = 5


def emulator(**options: object) -> Emulator:
    """A space whose first load takes several windows: some 180 reads and 15 searches."""
    space = {"seed": 8, "projects": 12, "issues": 120, "comments_per_issue": 0.5}
    return Emulator(**{**space, "rate_limit": {"read": READS, "search": SEARCHES}, "window_seconds": 2, **options})


@pytest.fixture
def used() -> Iterator[Counter[tuple[str, int]]]:
    """Filled by `watch`."""
    yield Counter()


def watch(emulator: Emulator, used: Counter[tuple[str, int]]) -> None:
    """Count in `used` the requests that the server takes in each window, by category and end of the window."""
    take = emulator.limits.take

    def counted(user_id: int, category: str, number: int = 1) -> tuple[bool, dict[str, str]]:
        allowed, headers = take(user_id, category, number)
        used[category, int(headers["X-RateLimit-Reset"])] += 1
        return allowed, headers

    emulator.limits.take = counted  # type: ignore[method-assign]


def refused(result: Sync) -> int:
    """How many requests of a sync met 429."""
    return sum(request.status == 429 for request in result.requests)


def most_under_way(requests: Iterable[Request]) -> int:
    """The most requests that the server had in hand at a moment."""
    moments = [(each.at, 1) for each in requests] + [(each.until, -1) for each in requests]
    return max(itertools.accumulate(step for _, step in sorted(moments)))


def gaps(requests: Iterable[Request]) -> list[float]:
    """Seconds from the arrival of each search request to that of the next."""
    arrivals = sorted(each.at for each in requests if each.category == "search")
    return [later - earlier for earlier, later in itertools.pairwise(arrivals)]


def test_by_default_requests_follow_each_other_and_many_searches_with_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause, a second in truth (unit_tests/test_turns.py), is a fifth of one here."""
    monkeypatch.setattr(turns, "GAP_SECONDS", 0.2)
    streams = [*STREAMS, "wikis", "wiki_history", "documents", "pull_requests", "issue_attachment_files"]
    with emulator(issues=60, projects=5, rate_limit=None, latency=0.005) as server:
        result = sync(server, streams)
        assert len(result.rows["issues"]) == len(server.truth("issues"))
        assert result.files["issue_attachment_files"]
        assert most_under_way(result.requests) == 1
        searches = gaps(result.requests)
        assert len(searches) > 15
        assert min(searches[9:]) >= 0.19
        more = sync(server, streams, num_workers=4)
        assert 1 < most_under_way(more.requests) <= 4
        assert min(gaps(more.requests)) < 0.19, "more workers are faster than Nulab recommends"


@pytest.mark.parametrize(("workers", "share"), [(2, 90), (8, 90), (8, 100)])
def test_a_first_load_is_hardly_ever_refused(used: Counter[tuple[str, int]], workers: int, share: int) -> None:
    with emulator() as server:
        watch(server, used)
        result = sync(server, STREAMS, num_workers=workers, request_share_percent=share)
        assert len(result.rows["issues"]) == len(server.truth("issues"))
    assert sum(category == "read" for category, _ in used) >= 3, "the load takes several windows"
    assert refused(result) <= HANDFUL


@pytest.mark.parametrize(("share", "issues"), [(20, 20), (50, 80)])
def test_a_share_of_the_limit_is_left_to_others(used: Counter[tuple[str, int]], share: int, issues: int) -> None:
    with emulator(issues=issues, projects=5) as server:
        watch(server, used)
        sync(server, STREAMS, num_workers=8, request_share_percent=share)
    most = {
        name: max(number for (category, _), number in used.items() if category == name) for name in ("read", "search")
    }
    assert most["read"] <= READS * share // 100 + HANDFUL
    assert most["search"] <= SEARCHES * share // 100 + HANDFUL
    # The share is used, too.
    assert most["read"] >= READS * share // 100 - HANDFUL


def test_the_limits_of_the_plan_are_known_before_the_first_request() -> None:
    with emulator(issues=20, projects=4, window_seconds=3) as server:
        # A window that another program has nearly used up.
        server.consume("read", READS - 10)
        server.consume("search", SEARCHES - 2)
        result = sync(server, STREAMS, num_workers=8)
    assert result.paths()[0] == "rateLimit"
    assert refused(result) == 0


def test_what_another_program_uses_is_noticed() -> None:
    with emulator() as server:

        def other_program(request: Request) -> None:
            if request.path.startswith("/api/v2/issues/"):
                server.consume("read", 1)

        server.before_request(other_program)
        result = sync(server, STREAMS, num_workers=8)
        assert len(result.rows["issues"]) == len(server.truth("issues"))
    assert refused(result) <= HANDFUL


def test_a_limit_that_is_lowered_on_the_way_is_noticed() -> None:
    with emulator() as server:

        def lower(request: Request) -> None:
            if request.path.endswith("/versions"):
                server.limits.set(read=READS // 2)

        server.before_request(lower)
        result = sync(server, STREAMS, num_workers=8)
        assert len(result.rows["issues"]) == len(server.truth("issues"))
    # No header told of it to the requests that were on their way.
    assert refused(result) <= HANDFUL + 8


def test_a_wait_is_logged_once_per_window_with_its_reason_and_its_end() -> None:
    with emulator(issues=80, window_seconds=5) as server:
        result = sync(server, ["issues", "issue_comments"], num_workers=8)
    waits = [text for _, text in result.logs if text.startswith("Waiting")]
    line = re.compile(
        r"Waiting \d s, until \d\d:\d\d:\d\d UTC, for Backlog's rate limit: (read|search) requests have used their "
        r"share of \d+ of \d+ in this window\."
    )
    assert waits
    assert all(line.fullmatch(wait) for wait in waits)
    assert len(set(waits)) == len(waits)


def test_a_server_that_says_nothing_of_limits_is_not_held_back() -> None:
    with emulator(rate_limit=None) as server:
        server.limits.take = lambda user_id, category, number=1: (True, {})  # type: ignore[method-assign,assignment]
        server.faults.add(r"^/api/v2/rateLimit$", status=404, times=None)
        result = sync(server, STREAMS, num_workers=8)
        assert len(result.rows["issues"]) == len(server.truth("issues"))
    assert not [text for _, text in result.logs if text.startswith("Waiting")]
    assert refused(result) == 0
