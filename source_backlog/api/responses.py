"""Responses that several streams of one sync read are requested once and kept on disk until it ends."""

import hashlib
import logging
import struct
import tempfile
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import Future

import requests

from source_backlog.api.bodies import response_with
from source_backlog.disk import room_in_temporary_folder
from source_backlog.space import Space

LOGGER = logging.getLogger("airbyte.source_backlog")

MIB = 1024 * 1024

# What stands before each body in the file: its status and its length.
_HEADER = struct.Struct("<HI")


class SharedResponses:
    """A single-flight store of response bodies, keyed by URL.

    Why: the CDK's cache has one file per stream name, so siblings that read the same page request it again, and
    two threads that ask for the same page before it is cached both fetch it (airbytehq/airbyte#40671). Here the
    first one fetches and the others wait for it.

    Bodies are compressed into one anonymous temporary file, which the operating system removes with the process,
    however that ends. Above `limit_bytes`, or when the disk is full, nothing more is stored and the response is simply
    requested again. In memory there is only the place of each body, for a large space has a response per issue.
    """

    def __init__(self, limit_bytes: int = 2048 * MIB) -> None:
        self.replayed = 0
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        # By URL: where in the file the response is, or the response that is under way.
        self._places: dict[bytes, int | Future[int | None]] = {}
        self._end = 0
        try:
            # Lives as long as the sync. Without a buffer, or what the disk has no room for would be found out later.
            self._file = tempfile.TemporaryFile(prefix="source-backlog-", buffering=0)  # noqa: SIM115
        except OSError as error:
            self._stop_storing(error)

    def get(self, url: str, fetch: Callable[[], requests.Response]) -> requests.Response:
        """The response to `url`: replayed when it is stored, else the result of `fetch`, which is stored.

        An exception of `fetch` reaches everyone who asks for the same URL.
        """
        key = hashlib.blake2b(url.encode(), digest_size=16).digest()
        mine: Future[int | None] = Future()
        with self._lock:
            known = self._places.setdefault(key, mine)
        if known is mine:
            return self._fetch(key, mine, fetch)
        place = known.result() if isinstance(known, Future) else known
        return fetch() if place is None else self._replay(url, place)

    def _fetch(
        self, key: bytes, under_way: Future[int | None], fetch: Callable[[], requests.Response]
    ) -> requests.Response:
        try:
            response = fetch()
            place = self._store(response)
        except BaseException as error:
            under_way.set_exception(error)
            raise
        if place is not None:
            self._places[key] = place
        under_way.set_result(place)
        return response

    def _store(self, response: requests.Response) -> int | None:
        body = zlib.compress(response.content, 1)
        with self._lock:
            place, end = self._end, self._end + _HEADER.size + len(body)
            if end > self._limit_bytes:
                return None
            try:
                self._file.seek(place)
                self._write(_HEADER.pack(response.status_code, len(body)) + body)
            except OSError as error:
                self._stop_storing(error)
                return None
            self._end = end
        return place

    def _write(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            # The last piece of a full disk is written in part.
            left = left[self._file.write(left) or len(left) :]

    def _stop_storing(self, error: OSError) -> None:
        self._limit_bytes = 0
        LOGGER.warning(
            f"{room_in_temporary_folder(error)} Answers that several streams read are no longer kept there: the sync "
            "goes on and asks for them again."
        )

    def _replay(self, url: str, place: int) -> requests.Response:
        with self._lock:
            self._file.seek(place)
            status, length = _HEADER.unpack(self._file.read(_HEADER.size))
            body = self._file.read(length)
            self.replayed += 1
        return response_with(status, url, zlib.decompress(body))


def responses_of(space: Space) -> SharedResponses:
    """The responses that the streams of a sync share."""
    return space.once("responses", SharedResponses)
