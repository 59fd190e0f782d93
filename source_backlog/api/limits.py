"""Backlog's rate limits: one budget per category, taught by the server."""

import logging
import math
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from source_backlog.space import Space

LOGGER = logging.getLogger("airbyte.source_backlog.limits")

# The only four endpoints of the category "search"; every other GET that the connector sends is "read".
# https://developer.nulab.com/docs/backlog/rate-limit
SEARCH_PATH = re.compile(r"/api/v2/(issues|issues/count|wikis|wikis/count)$")

# How many answers tell how long one takes.
MEASURED_ANSWERS = 100
# A wait shorter than this is not worth a line in the log.
QUIET_WAIT_SECONDS = 2.0
# How long requests may run before a line says so.
SILENCE_SECONDS = 50.0
# Windows last a minute; a later reset time is a clock that cannot be trusted.
LONGEST_WINDOW_SECONDS = 120.0


def category_of(url: str) -> str:
    """The rate-limit category (`search` or `read`) of a GET request to `url`."""
    return "search" if SEARCH_PATH.search(url.split("?", 1)[0].rstrip("/")) else "read"


@dataclass
class Window:
    """One category's current window: `limit` requests until `reset` (epoch seconds of the server's clock)."""

    limit: int = 0
    remaining: int = 0
    reset: float = 0.0
    in_flight: int = 0
    # The end of the window for which a wait was logged last.
    announced: float = 0.0
    changed: threading.Condition = field(default_factory=threading.Condition)


class RateLimits:
    """Holds requests back so that Backlog never has to refuse one.

    Backlog counts requests per user, category and minute, and tells the state of the window in the headers of
    every response. A request is let through while less than `share` percent of the window's limit is used, by
    this sync or by anybody else with the same user; otherwise it waits for the window to end. Without any word
    from the server (no header, no `/rateLimit`) nothing is held back.
    """

    def __init__(self, share_percent: int = 100) -> None:
        self.share_percent = share_percent
        self.sent: Counter[str] = Counter()
        self._answered: list[float] = []
        self._windows = {"read": Window(), "search": Window()}
        self._clock_offset: float | None = None
        self._date: str | None = None
        self._said = time.monotonic()

    def learn(self, answer: Mapping[str, Any]) -> None:
        """Fill the windows from the body of `GET /rateLimit`, so that the first request is already right."""
        for category, window in self._windows.items():
            told = (answer.get("rateLimit") or {}).get(category)
            if isinstance(told, Mapping):
                self._update(window, told.get("limit"), told.get("remaining"), told.get("reset"))

    def acquire(self, url: str, at_once: bool = False) -> None:
        """Take one request of the category of `url` from the budget; waits until the window allows it.

        With `at_once` it only counts the request: somebody waits for the answer, and Backlog may refuse it.
        """
        category = category_of(url)
        window = self._windows[category]
        with window.changed:
            while not at_once and (wait := self._wait_for(window)) > 0:
                # One line, however many threads wait.
                if wait > QUIET_WAIT_SECONDS and window.announced != window.reset:
                    window.announced = window.reset
                    until = datetime.fromtimestamp(time.time() + wait, UTC).strftime("%H:%M:%S")
                    LOGGER.info(
                        f"Waiting {math.ceil(wait)} s, until {until} UTC, for Backlog's rate limit: {category} "
                        f"requests have used their share of {self._allowed(window)} of {window.limit} in this window."
                    )
                # Not longer than a few seconds at a time: headers of other responses may open the window.
                window.changed.wait(min(wait, 5.0))
            window.in_flight += 1
            self.sent[category] += 1
        self._say_so_far()

    def _say_so_far(self) -> None:
        # A sign of life for whoever watches the log, where a list of a thousand pages gives neither rows nor states.
        now = time.monotonic()
        if now - self._said >= SILENCE_SECONDS:
            self._said = now
            LOGGER.info(f"Requests so far: {self.sent['read']} read, {self.sent['search']} search.")

    def release(self, url: str, response: requests.Response | None) -> None:
        """Give the place in flight back and learn from the headers of the response, if there was one."""
        window = self._windows[category_of(url)]
        with window.changed:
            window.in_flight -= 1
            window.changed.notify_all()
        if response is None:
            return
        if len(self._answered) < MEASURED_ANSWERS:
            self._answered.append(response.elapsed.total_seconds())
        self._set_clock(response.headers.get("Date"))
        remaining = 0 if response.status_code == 429 else response.headers.get("X-RateLimit-Remaining")
        self._update(
            window,
            response.headers.get("X-RateLimit-Limit"),
            remaining,
            response.headers.get("X-RateLimit-Reset"),
        )

    @property
    def answer_seconds(self) -> float:
        """How long an answer takes, on the average of the first ones; 0 before there is one."""
        return sum(self._answered) / len(self._answered) if self._answered else 0.0

    def seconds_until_reset(self, url: str) -> float:
        """Seconds until the window of the category of `url` ends; 0 when it has ended or is not known."""
        return self._left(self._windows[category_of(url)])

    def now(self) -> float:
        """The time on Backlog's clock, in epoch seconds, as far as its answers have told; else on ours."""
        return time.time() + (self._clock_offset or 0.0)

    def _wait_for(self, window: Window) -> float:
        if not window.limit:
            return 0.0
        left = self._left(window)
        if left <= 0:
            # A new window: nothing of it is used yet but what is on its way.
            return 0.0 if window.in_flight < self._allowed(window) else 0.05
        used = window.limit - window.remaining + window.in_flight
        return 0.0 if used < self._allowed(window) else max(left, 0.01)

    def _left(self, window: Window) -> float:
        """Seconds until the window ends, 0 when it has ended or its end cannot be told."""
        left = window.reset - self.now()
        if abs(left) > LONGEST_WINDOW_SECONDS:
            # The `Date` header may come from another clock than the end of the window.
            left = window.reset - time.time()
        return left if 0 < left <= LONGEST_WINDOW_SECONDS else 0.0

    def _allowed(self, window: Window) -> int:
        return max(1, window.limit * self.share_percent // 100)

    def _update(self, window: Window, limit: Any, remaining: Any, reset: Any) -> None:
        try:
            limit, remaining, reset = int(limit), int(remaining), float(reset)
        except (TypeError, ValueError, OverflowError):
            return
        if reset > 1e11:
            reset /= 1000.0
        with window.changed:
            # What cannot be the end of a window gives way to whatever comes next.
            if reset > window.reset + 0.5 or window.reset - self.now() > LONGEST_WINDOW_SECONDS:
                window.limit, window.remaining, window.reset = limit, remaining, reset
            elif reset > window.reset - 0.5:
                # Responses of one window may overtake each other: the lowest figure is the latest.
                window.limit, window.remaining = limit, min(window.remaining, remaining)
            window.changed.notify_all()

    def _set_clock(self, date: str | None) -> None:
        if date == self._date:
            # Of the answers of one second the first tells most.
            return
        self._date = date
        try:
            offset = parsedate_to_datetime(date).timestamp() - time.time() if date else None
        except (TypeError, ValueError):
            return
        if offset is None:
            return
        # The header is cut to whole seconds and the answer was on its way for a while, so the server's clock is at
        # least this far ahead; the greatest figure of many answers is right within milliseconds. Even half a second
        # matters: it would send requests into the end of every window that is used up. A much smaller figure says
        # that one of the clocks was set.
        if self._clock_offset is None or not 0 <= self._clock_offset - offset <= 3:
            self._clock_offset = offset


def limits_of(space: Space) -> RateLimits:
    """The rate limits that all requests of a sync keep to."""
    return space.once("limits", lambda: RateLimits(space.share_percent))
