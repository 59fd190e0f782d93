"""Whose turn it is to send: how many requests may be under way, and how long lies between two searches.

Nulab asks to send the requests of one user one after the other, and to wait at least a second between search requests
where there are many: https://developer.nulab.com/docs/backlog/rate-limit
"""

import collections
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from source_backlog.api.limits import category_of
from source_backlog.space import Space

# So many search requests within a minute are not many.
FEW_SEARCHES, MINUTE_SECONDS = 10, 60.0
# From the start of one to the start of the next; a bit more than the second, since not each takes the same way.
GAP_SECONDS = 1.02


class Turns:
    """Lets a request through when one of `num_workers` places is free.

    With one worker the requests are sent one after the other, and search requests a second apart once there are more
    than ten within a minute. While one waits for that second, others have their turn.
    """

    def __init__(self, num_workers: int) -> None:
        self.serial = num_workers == 1
        self._places = threading.BoundedSemaphore(num_workers)
        self._searches: collections.deque[float] = collections.deque(maxlen=FEW_SEARCHES)

    @contextmanager
    def turn(self, url: str = "") -> Iterator["Place"]:
        """Wait for a turn to send a request to `url`; the place is free again at the end, or see `Place.keep`."""
        place = self._take(url)
        try:
            yield place
        finally:
            if not place.kept:
                place.leave()

    def _take(self, url: str) -> "Place":
        paced = self.serial and category_of(url) == "search"
        while True:
            self._places.acquire()
            wait = self._until_next_search() if paced else 0.0
            if wait <= 0:
                break
            self._places.release()
            time.sleep(wait)
        if paced:
            self._searches.append(time.monotonic())
        return Place(self._places)

    def _until_next_search(self) -> float:
        now = time.monotonic()
        if len(self._searches) < FEW_SEARCHES or now - self._searches[0] > MINUTE_SECONDS:
            return 0.0
        return self._searches[-1] + GAP_SECONDS - now


class Place:
    """The place of one request among those that are under way."""

    def __init__(self, places: threading.BoundedSemaphore) -> None:
        self._places = places
        self.kept = False

    def keep(self, response: requests.Response) -> None:
        """Keep the place until the body of a response was read, which is when it is closed."""
        self.kept = True
        close = response.close

        def close_and_leave() -> None:
            response.close = close  # type: ignore[method-assign]
            close()
            self.leave()

        response.close = close_and_leave  # type: ignore[method-assign]

    def leave(self) -> None:
        """Give the place to the next request."""
        self._places.release()


def turns_of(space: Space) -> Turns:
    """The turns that all requests of a sync take."""
    return space.once("turns", lambda: Turns(space.num_workers))
