"""The arithmetic of a plan: rows by their ids, and time by the pace."""

import pytest

from source_backlog.plan import Pace, Requests, Size, duration, estimated

SERIAL = Pace(search=135, read=540, num_workers=1)


def test_few_rows_are_counted_and_many_estimated_by_the_distance_of_their_ids() -> None:
    assert estimated([], []) == 0
    assert estimated([5, 9], [5, 9]) == 2
    ids = list(range(0, 30_000, 3))
    assert estimated(ids[-100:], ids[:100]) == pytest.approx(len(ids), rel=0.01)


@pytest.mark.parametrize(
    ("pace", "requests", "answer", "seconds"),
    [
        # One after the other.
        (SERIAL, Requests(read=400), 0.2, 80),
        # A second between searches.
        (SERIAL, Requests(search=110), 0.2, 102),
        (SERIAL, Requests(search=10, read=10), 0.2, 4),
        (SERIAL, Requests(search=110, read=100), 0.2, 122),
        # The limit: nine windows are used up before the last begins.
        (SERIAL, Requests(read=5_400), 0.01, 540),
        (Pace(135, 540, 4), Requests(read=400), 0.2, 20),
        (Pace(135, 540, 4), Requests(search=1_350), 0.1, 540),
        # Nobody tells a limit.
        (Pace(0, 0, 1), Requests(read=5_400), 0.01, 54),
    ],
)
def test_time_is_what_the_server_the_pace_and_the_limit_dictate(
    pace: Pace, requests: Requests, answer: float, seconds: float
) -> None:
    assert pace.seconds(requests, answer) == pytest.approx(seconds)


def test_the_pace_is_taken_from_the_limit_and_the_share() -> None:
    answer = {"rateLimit": {"read": {"limit": 600}, "search": {"limit": 150}, "update": None}}
    assert Pace.of(answer, 90, 4) == Pace(135, 540, 4)
    assert Pace.of({}, 90, 1) == Pace(0, 0, 1)


def test_lists_take_a_page_per_project_at_least() -> None:
    assert Size(10, 50, 0, 0).pages_of_issues == 10
    assert Size(10, 9_900, 0, 0).pages_of_issues == 105
    assert Size(0, 0, 0, 0).pages_of_issues == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "about 1 min"), (61, "about 2 min"), (3_600, "about 1 h 0 min"), (9_000, "about 2 h 30 min")],
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
