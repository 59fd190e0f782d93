"""Rate limits: a budget per user and category in fixed windows, on the real clock.

A window opens with the first request after the last one ended, and ends on a whole second: ``reset``. All clients of a
user share its budgets.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

CATEGORIES = ("read", "update", "search", "icon")
PAID = {"read": 600, "update": 150, "search": 150, "icon": 60}
"""Requests per minute on paid plans."""
FREE = {"read": 60, "update": 15, "search": 15, "icon": 6}
"""Requests per minute on the Free plan."""
UNLIMITED = 1_000_000
"""What the headers say where there is no limit."""


@dataclass
class Window:
    used: int
    reset: int


class Limits:
    """``limits[category]`` is the number of requests in a window, or None for no limit. May be changed at any time."""

    def __init__(self, limits: dict[str, int | None] | None = None, window_seconds: int = 60) -> None:
        self.limits: dict[str, int | None] = {**dict.fromkeys(CATEGORIES), **(limits or {})}
        self.window_seconds = window_seconds
        self.refused = 0
        self._windows: dict[tuple[int, str], Window] = {}

    def set(self, **limits: int | None) -> None:
        """Change limits by category, as Nulab may do under load."""
        for category, limit in limits.items():
            if category not in CATEGORIES:
                raise KeyError(category)
            self.limits[category] = limit

    def take(self, user_id: int, category: str, number: int = 1) -> tuple[bool, dict[str, str]]:
        """Count requests. Returns whether they are within the limit, and the headers of the answer."""
        window = self._window(user_id, category)
        limit = self._limit(category)
        allowed = window.used + number <= limit
        if allowed:
            window.used += number
        else:
            self.refused += 1
        return allowed, {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - window.used)),
            "X-RateLimit-Reset": str(window.reset),
        }

    def consume(self, user_id: int, category: str, number: int) -> None:
        """Another program of the same user makes requests; never refused, at most all that is left."""
        window = self._window(user_id, category)
        window.used = min(window.used + number, self._limit(category))

    def status(self, user_id: int) -> dict[str, dict[str, int]]:
        """The answer of ``GET /rateLimit``."""
        shown = {}
        for category in CATEGORIES:
            window, limit = self._window(user_id, category), self._limit(category)
            shown[category] = {"limit": limit, "remaining": max(0, limit - window.used), "reset": window.reset}
        return shown

    def _limit(self, category: str) -> int:
        limit = self.limits[category]
        return UNLIMITED if limit is None else limit

    def _window(self, user_id: int, category: str) -> Window:
        now = time.time()
        window = self._windows.get((user_id, category))
        if window is None or now >= window.reset:
            window = self._windows[user_id, category] = Window(0, int(now) + self.window_seconds)
        return window
