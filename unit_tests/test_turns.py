"""How many requests are under way, and how far apart searches begin."""

import io
import itertools
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from source_backlog.api.turns import FEW_SEARCHES, GAP_SECONDS, Turns

SEARCH, READ = "https://acme.backlog.jp/api/v2/issues", "https://acme.backlog.jp/api/v2/users"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The present moment; sleeping moves it."""
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    yield now


def starts(turns: Turns, clock: list[float], urls: list[str], took: float = 0.1) -> list[float]:
    """When each of the requests began, one after the other."""
    found = []
    for url in urls:
        with turns.turn(url):
            found.append(clock[0])
            clock[0] += took
    return found


def gaps(moments: list[float]) -> list[float]:
    return [round(later - earlier, 3) for earlier, later in itertools.pairwise(moments)]


def test_ten_searches_follow_each_other_and_more_begin_a_second_apart(clock: list[float]) -> None:
    found = gaps(starts(Turns(1), clock, [SEARCH] * (FEW_SEARCHES + 5)))
    assert found == [0.1] * (FEW_SEARCHES - 1) + [GAP_SECONDS] * 5
    assert GAP_SECONDS >= 1


def test_a_slow_answer_is_pause_enough(clock: list[float]) -> None:
    assert set(gaps(starts(Turns(1), clock, [SEARCH] * 30, took=1.5))) == {1.5}


def test_after_a_quiet_minute_ten_may_follow_each_other_again(clock: list[float]) -> None:
    turns = Turns(1)
    starts(turns, clock, [SEARCH] * 15)
    clock[0] += 61
    assert gaps(starts(turns, clock, [SEARCH] * 12)) == [0.1] * 9 + [GAP_SECONDS] * 2


def test_other_requests_do_not_wait(clock: list[float]) -> None:
    turns = Turns(1)
    starts(turns, clock, [SEARCH] * 12)
    assert set(gaps(starts(turns, clock, [READ] * 50))) == {0.1}


def test_several_workers_do_not_wait(clock: list[float]) -> None:
    assert set(gaps(starts(Turns(2), clock, [SEARCH] * 50))) == {0.1}


def test_while_a_search_waits_others_have_their_turn() -> None:
    turns, waiting, read = Turns(1), threading.Event(), threading.Event()

    def pause(self: Turns) -> float:
        waiting.set()
        return 0.0 if read.is_set() else 0.001

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Turns, "_until_next_search", pause)

        def search() -> None:
            with turns.turn(SEARCH):
                pass

        thread = threading.Thread(target=search, daemon=True)
        thread.start()
        assert waiting.wait(5)
        with turns.turn(READ):
            read.set()
        thread.join(5)
    assert not thread.is_alive()


def test_the_place_of_a_file_is_free_when_it_is_read() -> None:
    turns, response = Turns(1), requests.Response()
    response.raw = io.BytesIO(b"bytes")
    with turns.turn(READ) as place:
        place.keep(response)
    assert not turns._places.acquire(blocking=False)
    response.close()
    response.close()
    with turns.turn(READ):
        pass


def test_a_failed_request_gives_its_place_back() -> None:
    turns = Turns(1)
    with pytest.raises(ConnectionError), turns.turn(READ):
        raise ConnectionError
    with turns.turn(READ):
        pass
