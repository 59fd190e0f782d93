"""Responses that several streams of one sync read are requested once and kept on disk until it ends."""

import hashlib
import io
import tempfile
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import requests

MIB = 1024 * 1024


@dataclass(frozen=True)
class _Stored:
    status: int
    offset: int
    length: int


class SharedResponses:
    """A single-flight store of response bodies, keyed by URL.

    Why: the CDK's cache has one file per stream name, so siblings that read the same page request it again, and
    two threads that ask for the same page before it is cached both fetch it (airbytehq/airbyte#40671). Here the
    first one fetches and the others wait for it.

    Bodies are compressed into one anonymous temporary file, which the operating system removes with the process,
    however that ends. Above `limit_bytes` nothing more is stored and the response is simply requested again.
    """

    def __init__(self, limit_bytes: int = 2048 * MIB) -> None:
        self.replayed = 0
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._entries: dict[bytes, Future[_Stored | None]] = {}
        self._file = tempfile.TemporaryFile(prefix="source-backlog-")  # noqa: SIM115 (lives as long as the sync)
        self._end = 0

    def get(self, url: str, fetch: Callable[[], requests.Response]) -> requests.Response:
        """The response to `url`: replayed when it is stored, else the result of `fetch`, which is stored.

        An exception of `fetch` reaches everyone who waits for the same URL.
        """
        key = hashlib.blake2b(url.encode(), digest_size=16).digest()
        with self._lock:
            entry = self._entries.get(key)
            mine = entry is None
            if entry is None:
                entry = self._entries[key] = Future()
        if not mine:
            stored = entry.result()
            if stored is not None:
                return self._replay(url, stored)
            return fetch()
        try:
            response = fetch()
        except BaseException as error:
            entry.set_exception(error)
            raise
        entry.set_result(self._store(response))
        return response

    def _store(self, response: requests.Response) -> _Stored | None:
        body = zlib.compress(response.content, 1)
        with self._lock:
            if self._end + len(body) > self._limit_bytes:
                return None
            self._file.seek(self._end)
            self._file.write(body)
            stored = _Stored(response.status_code, self._end, len(body))
            self._end += len(body)
        return stored

    def _replay(self, url: str, stored: _Stored) -> requests.Response:
        with self._lock:
            self._file.seek(stored.offset)
            body = self._file.read(stored.length)
            self.replayed += 1
        response = requests.Response()
        response.status_code = stored.status
        response.url = url
        response.headers["Content-Type"] = "application/json;charset=utf-8"
        response.raw = io.BytesIO(zlib.decompress(body))
        return response
