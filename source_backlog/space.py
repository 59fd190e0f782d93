"""What the streams of one sync share: options, threads that look ahead, and a place for the rest."""

import collections
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.stores import Store

T = TypeVar("T")
R = TypeVar("R")

_ID_SEGMENT = re.compile(r"/(?:\d+|[0-9a-f]{32}|\{+[^{}]*\}+)(?=/|$)")
_FOLDER = re.compile(r"(?<=/files/metadata).*")

# What the components ask for beside the endpoints of their streams.
_READ_BY_ALL = ("projects", "space/activities", "projects/{}/activities", "users/myself", "issues/count")


def endpoint_of(path: str) -> str:
    """The endpoint that a path belongs to, ids taken out: `issues/12/comments` is of `issues/{}/comments`."""
    return _FOLDER.sub("/{}", _ID_SEGMENT.sub("/{}", path.split("?", 1)[0]))


class Space:
    """The Backlog space as one sync sees it; every component of the sync holds the same instance.

    Why: components that must share something have no place for it in the CDK but the API budget, which the
    factory hands to every component with a field `api_budget`. So the budget is also the place of the worker threads,
    and by `once` of whatever else a sync has one of, such as its client, its rate limits (`limits_of`), its shared
    responses (`responses_of`) and its feed (`feed_of`). It lives as long as the source instance.

    `endpoints` are the endpoints that the selected streams read, one entry per stream and endpoint: the responses
    of an endpoint with several readers are kept for the others. `retries` is how often a failed request is tried
    again. With `quick` a request fails rather than wait: somebody looks at the form.
    """

    def __init__(
        self,
        num_workers: int = 1,
        share_percent: int = 100,
        endpoints: Iterable[str] = (),
        retries: int = 6,
        quick: bool = False,
    ) -> None:
        self.num_workers = num_workers
        # That look ahead: where one request is sent at a time, one sends while the other decodes what has come.
        self.threads = max(2, num_workers)
        self.retries = 1 if quick else retries
        self.quick = quick
        self.share_percent = share_percent
        # The names of the selected streams.
        self.selected: tuple[str, ...] = ()
        # What partitions a stream, by its name; those of them that keep its positions between two syncs.
        self.routers: dict[str, Any] = {}
        self.cursors: dict[str, Any] = {}
        # One of the requesters, which are all alike: for what belongs to no stream.
        self.requester: Any = None
        self.file_streams: set[str] = set()
        # Where files go and stay, instead of the folder from which the platform takes them.
        self.files: Store | None = None
        self.memory: dict[str, Any] = {}
        self.lock = threading.RLock()
        self._locks: dict[str, threading.RLock] = collections.defaultdict(threading.RLock)
        self.discovering = False
        # Endpoint -> how many requests in a row have failed for good, and how: see `BacklogClient`.
        self.failing: dict[str, tuple[int, AirbyteTracedException]] = {}
        # Whether a request of this sync was answered as Backlog does: then the domain is right.
        self.answered = False
        # The OAuth tokens of this sync that Backlog has accepted at least once, an hour each.
        self.accepted_tokens: set[str | bytes] = set()
        self._readers: collections.Counter[str] = collections.Counter()
        self.read_by(endpoints)
        self._executor: ThreadPoolExecutor | None = None

    def read_by(self, endpoints: Iterable[str]) -> None:
        """Say what is read, as `readers_of` gives it."""
        self._readers = collections.Counter(endpoint_of(endpoint) for endpoint in endpoints)
        self._readers.update(2 * _READ_BY_ALL)

    def has_several_readers(self, path: str) -> bool:
        """Whether more than one of the selected streams reads the endpoint of `path`."""
        return self._readers[endpoint_of(path)] > 1

    def is_read(self, path: str) -> bool:
        """Whether one of the selected streams reads the endpoint of `path`."""
        return self._readers[endpoint_of(path)] > 0

    def once(self, key: str, make: Callable[[], T]) -> T:
        """The value of `make`, computed once per sync under `key` (other threads wait for it)."""
        if key not in self.memory:
            with self.lock:
                lock = self._locks[key]
            with lock:
                if key not in self.memory:
                    self.memory[key] = make()
        value: T = self.memory[key]
        return value

    def ahead(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Pairs of item and `work(item)` in the order of `items`, some of them computed ahead.

        One partition of the CDK is read by one thread; without this a project's comments would come one round
        trip at a time, and nothing be asked for while rows are made and printed. An exception of `work` is raised in
        its place; what is not yet begun is dropped.
        """
        pending: collections.deque[tuple[T, Future[R]]] = collections.deque()
        try:
            for item in items:
                pending.append((item, self._pool().submit(work, item)))
                if len(pending) > self.threads:
                    done, future = pending.popleft()
                    yield done, future.result()
            while pending:
                done, future = pending.popleft()
                yield done, future.result()
        finally:
            for _, future in pending:
                future.cancel()

    def close(self) -> None:
        """End the look-ahead threads."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)

    def _pool(self) -> ThreadPoolExecutor:
        with self.lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self.threads, thread_name_prefix="look-ahead")
            return self._executor


def streams_by_endpoint(streams: Iterable[dict[str, Any]], selected: Collection[str]) -> dict[str, list[str]]:
    """The `selected` streams of a manifest, by the endpoints that they read."""
    found: dict[str, list[str]] = {}
    for stream in streams:
        if stream["name"] in selected:
            parameters = stream.get("$parameters", {})
            reads = parameters.get("reads") or [parameters.get("path", "")]
            for endpoint in {*reads, parameters.get("download", "")} - {""}:
                found.setdefault(endpoint_of(endpoint), []).append(stream["name"])
    return found


def readers_of(
    streams: Iterable[dict[str, Any]], selected: Collection[str], together: Mapping[str, str] | None = None
) -> list[str]:
    """The endpoints that the `selected` streams of a manifest read, one entry per stream and endpoint.

    Streams that are read in one walk count as one; `together` gives them the same name. What a stream `compares` it
    reads only if another one reads it anyway.
    """
    reads: dict[tuple[str, str], str] = {}
    compared: list[str] = []
    for stream in streams:
        if stream["name"] in selected:
            parameters = stream.get("$parameters", {})
            reader = (together or {}).get(stream["name"], stream["name"])
            for endpoint in parameters.get("reads") or [parameters.get("path", "")]:
                reads[reader, endpoint] = endpoint
            compared += parameters.get("compares") or []
    found = list(reads.values())
    read = {endpoint_of(endpoint) for endpoint in found}
    return found + [endpoint for endpoint in compared if endpoint_of(endpoint) in read]
