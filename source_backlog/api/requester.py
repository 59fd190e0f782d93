"""Sends the GET requests of all streams: shared where several streams read the same, clean where they fail."""

import http.cookiejar
import itertools
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
import urllib3.exceptions
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.auth.declarative_authenticator import DeclarativeAuthenticator
from airbyte_cdk.sources.declarative.requesters import HttpRequester
from airbyte_cdk.sources.streams.http.error_handlers import ErrorResolution, ResponseAction
from airbyte_cdk.sources.types import StreamSlice, StreamState
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.errors import (
    API,
    NO_RESOURCE,
    BacklogErrorHandler,
    TooLarge,
    body_of,
    error_of,
    path_of,
)
from source_backlog.api.limits import limits_of
from source_backlog.api.oauth import RotatingTokens
from source_backlog.api.responses import MIB, responses_of
from source_backlog.space import Space, endpoint_of

LOGGER = logging.getLogger("airbyte.source_backlog")

# A page of Backlog has some hundred KiB; what is larger than this is no page and would fill the memory.
LARGEST_BODY_BYTES = 256 * MIB
# For one body, however slowly its bytes come; a time-out of `requests` begins anew with each of them.
BODY_SECONDS = 600.0
CHUNK_BYTES = 256 * 1024
LONGEST_PAUSE_SECONDS = 60.0
# How many requests in a row an endpoint may fail with all its retries. The first has shown that waiting does not help:
# the next ones are tried once each, and then none is sent any more, or an outage would last as long as the space has
# projects.
HOPELESS_AFTER = 10
# `check` answers a person who waits.
QUICK_TIMEOUT_SECONDS = (10.0, 20.0)
# An OAuth token that Backlog has accepted may expire under any request. One that it has never accepted may have expired
# while the request waited for the rate limit; not time and again.
MOST_RENEWALS = 2
# The token endpoint among the endpoints that fail.
TOKENS = "oauth2/token"


class BacklogSession(requests.Session):
    """A session that asks the rate limits before each request, and never follows a redirect.

    All sessions of a sync share one connection pool, and at most `num_workers` requests are under way at a time.

    Why: the CDK's `LimiterSession` tells its budget nothing of a request that fails on the network, and `requests`
    strips only `Authorization` when it is redirected to another host, so the API key would go along.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self._space = space
        self._limits = limits_of(space)
        # Else `requests` would look for a password in ~/.netrc and send that instead.
        self.auth = lambda request: request
        self.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        self.mount("https://", space.adapter)
        self.mount("http://", space.adapter)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request within the rate limits; redirects come back as they are.

        `authorise` gives the header with the key or token. It is asked when the request has its turn: a token may
        expire while it waits.
        """
        kwargs["allow_redirects"] = False
        stream = kwargs.pop("stream", False)
        authorise: Callable[[], Mapping[str, str]] = kwargs.pop("authorise", dict)
        if not self._space.quick:
            self._space.once("rate limit", lambda: self._learn_the_limits(request, authorise()))
        url = str(request.url)
        response = None
        self._limits.acquire(url, at_once=self._space.quick)
        try:
            with self._space.slots:
                request.headers.update(authorise())
                response = super().send(request, stream=True, **kwargs)
                if not stream:
                    _read_body(response, QUICK_TIMEOUT_SECONDS[1] if self._space.quick else BODY_SECONDS)
        finally:
            self._limits.release(url, response)
        return response

    def _learn_the_limits(self, request: requests.PreparedRequest, header: Mapping[str, str]) -> None:
        # If this fails, so does the first request, and it says why.
        first = request.copy()
        first.headers.update(header)
        first.url = f"{str(request.url).split(API, 1)[0]}{API}rateLimit"
        try:
            response = super().send(first, timeout=30, allow_redirects=False)
            self._limits.sent["read"] += 1
            if response.ok:
                self._limits.learn(body_of(response))
        except (requests.RequestException, ValueError, AttributeError):
            return


class BacklogClient:
    """Sends a request until it is answered, as the error handler decides, or fails with a sentence for the user.

    Why not the CDK's `HttpClient`: it cannot share responses (see `SharedResponses`); its log lines call every wait
    an exceeded rate limit and show URLs and stack traces; when its retries are exhausted it wraps the error handler's
    sentence into "Exhausted available request attempts … Exception: …".
    """

    def __init__(
        self,
        space: Space,
        error_handler: BacklogErrorHandler,
        authenticator: DeclarativeAuthenticator,
        timeout: tuple[float | None, float | None],
    ) -> None:
        self._space = space
        self._handler = error_handler
        self._authenticator = authenticator
        # A template too: a key never changes, so that it is evaluated once.
        self._key = None if isinstance(authenticator, RotatingTokens) else dict(authenticator.get_auth_header())
        self._timeout = QUICK_TIMEOUT_SECONDS if space.quick else timeout
        self._session = BacklogSession(space)

    def get(self, url: str, params: Mapping[str, Any], fresh: bool = False) -> requests.Response:
        """The response to a GET request: sent, or (unless it has to be `fresh`) one that another stream has received.

        Raises `AirbyteTracedException` with a sentence for the user when the request fails for good.
        """

        def fetch() -> requests.Response:
            return self._request(url, params)

        if fresh or not self._space.has_several_readers(path_of(url)):
            return fetch()
        return responses_of(self._space).get(f"{url}?{urlencode(params, doseq=True)}", fetch)

    def open(self, url: str) -> requests.Response:
        """The response to a download, its body not yet read."""
        return self._request(url, {}, stream=True)

    def _request(self, url: str, params: Mapping[str, Any], stream: bool = False) -> requests.Response:
        path = path_of(url)
        endpoint = endpoint_of(path)
        failed, known = self._space.failing.get(endpoint, (0, None))
        if known is not None and failed >= HOPELESS_AFTER:
            raise known
        retries = 0 if failed else self._handler.max_retries
        deadline = time.monotonic() + self._handler.max_time
        never_accepted = 0
        for attempt in itertools.count(1):
            request, response, error = self._send(url, params, stream)
            resolution = self._handler.interpret_response(response if response is not None else error)
            action = resolution.response_action
            if response is not None and action in (ResponseAction.SUCCESS, ResponseAction.IGNORE):
                _, latest = self._space.failing.get(endpoint, (0, None))
                # An answer to what was already under way does not mend what only the user can.
                if latest is not None and latest.failure_type != FailureType.config_error:
                    self._space.failing.pop(endpoint, None)
                if self._key is None:
                    self._space.accepted_tokens.add(request.headers["Authorization"])
                return response
            if action == ResponseAction.REFRESH_TOKEN_THEN_RETRY and isinstance(self._authenticator, RotatingTokens):
                token = request.headers["Authorization"]
                never_accepted += token not in self._space.accepted_tokens
                if never_accepted <= MOST_RENEWALS and attempt < HOPELESS_AFTER:
                    self._header(rejected={"Authorization": token})
                    continue
            failure = _failure(resolution, path, attempt)
            if action not in (ResponseAction.RETRY, ResponseAction.RATE_LIMITED):
                if failure.failure_type == FailureType.config_error:
                    # Nothing mends it while the sync runs.
                    self._space.failing[endpoint] = (HOPELESS_AFTER, failure)
                raise failure
            pause = self._pause(response, attempt)
            if (
                attempt > retries
                or time.monotonic() + pause > deadline
                or (self._space.quick and pause > QUICK_TIMEOUT_SECONDS[0])
            ):
                self._space.failing[endpoint] = (failed + 1, failure)
                raise failure
            LOGGER.info(f"{resolution.error_message} Attempt {attempt + 1} follows in {pause:.0f} s.")
            time.sleep(pause)
        raise AssertionError("unreachable: the loop ends with an answer or a failure")

    def _header(self, rejected: Mapping[str, str] | None = None) -> Mapping[str, str]:
        if self._key is not None:
            return self._key
        failed, known = self._space.failing.get(TOKENS, (0, None))
        if known is not None and failed >= HOPELESS_AFTER:
            raise known
        try:
            if rejected and isinstance(self._authenticator, RotatingTokens):
                self._authenticator.replace(rejected)
            header: Mapping[str, str] = self._authenticator.get_auth_header()
        except AirbyteTracedException as failure:
            hopeless = failure.failure_type == FailureType.config_error
            self._space.failing[TOKENS] = (HOPELESS_AFTER if hopeless else failed + 1, failure)
            raise
        return header

    def _send(
        self, url: str, params: Mapping[str, Any], stream: bool
    ) -> tuple[requests.PreparedRequest, requests.Response | None, requests.RequestException | None]:
        began = time.monotonic()
        request = self._session.prepare_request(requests.Request("GET", url, params=dict(params)))
        settings = self._session.merge_environment_settings(request.url, {}, stream, None, None)
        try:
            response = self._session.send(request, timeout=self._timeout, authorise=self._header, **settings)
        except requests.RequestException as error:
            LOGGER.debug(f"GET {path_of(url)} {dict(params)}: {type(error).__name__}")
            return request, None, error
        # Neither headers nor bodies: the first hold the key, the second the data.
        LOGGER.debug(
            f"GET {path_of(url)} {dict(params)}: status {response.status_code} in {time.monotonic() - began:.3f} s"
        )
        return request, response, None

    def _pause(self, response: requests.Response | None, attempt: int) -> float:
        for strategy in self._handler.backoff_strategies:
            if told := strategy.backoff_time(response, attempt):
                # A second more, because the header has whole seconds.
                return told + 1.0
        return min(2.0 ** (attempt - 1), LONGEST_PAUSE_SECONDS)


def _read_body(response: requests.Response, seconds: float) -> None:
    """Read the body into `response.content`, within bounds of time and size.

    Why: `requests` waits for each piece of a body anew, so that a server that sends a byte a minute is never too
    slow for it. Raises what `requests` itself would raise.
    """
    if response.raw is None:
        return
    deadline = time.monotonic() + seconds
    pieces: list[bytes] = []
    size = 0
    try:
        while piece := response.raw.read1(CHUNK_BYTES, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST_BODY_BYTES:
                response.close()
                raise TooLarge(request=response.request)
            if time.monotonic() > deadline:
                response.close()
                raise requests.ReadTimeout(request=response.request)
    except requests.RequestException:
        # One of the two above, which are OSErrors too.
        raise
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error, request=response.request) from error
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error, request=response.request) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.exceptions.ChunkedEncodingError(error, request=response.request) from error
    response._content = b"".join(pieces)
    response._content_consumed = True  # type: ignore[attr-defined]
    response.raw.release_conn()


def _failure(resolution: ErrorResolution, path: str, attempts: int) -> AirbyteTracedException:
    return AirbyteTracedException(
        message=resolution.error_message or f"Backlog did not answer {path}.",
        internal_message=f"GET {path} failed after {attempts} attempts.",
        failure_type=resolution.failure_type or FailureType.transient_error,
    )


@dataclass
class BacklogRequester(HttpRequester):
    """The CDK's requester over a `BacklogClient`.

    Why: a declarative requester cannot be given another client, session or connection pool.
    """

    # Handed in by the factory: see `Space`.
    api_budget: Space | None = None  # type: ignore[assignment]

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        if self.api_budget is None:
            raise ValueError("A BacklogRequester needs the Space that SourceBacklog shares among its streams.")
        # A template that does not depend on the request, evaluated once: a large space has a request per issue.
        self._url_of_api = super().get_url()
        if not isinstance(self.error_handler, BacklogErrorHandler):
            self.error_handler = BacklogErrorHandler(self.config, {}, self.api_budget)
        self._client = BacklogClient(
            self.api_budget,
            self.error_handler,
            self.get_authenticator(),
            (self.connect_timeout_in_seconds, self.read_timeout_in_seconds),
        )

    def get_url(self, **kwargs: Any) -> str:
        """The address of the API, `https://…/api/v2/`."""
        return self._url_of_api

    def send_request(
        self,
        stream_state: StreamState | None = None,
        stream_slice: StreamSlice | None = None,
        next_page_token: Mapping[str, Any] | None = None,
        path: str | None = None,
        request_headers: Mapping[str, Any] | None = None,
        request_params: Mapping[str, Any] | None = None,
        request_body_data: Mapping[str, Any] | str | None = None,
        request_body_json: Mapping[str, Any] | None = None,
        log_formatter: Callable[[requests.Response], Any] | None = None,
    ) -> requests.Response | None:
        """Send the GET request that the manifest describes; Backlog's reading endpoints take no body."""
        return self._client.get(
            f"{self.get_url()}{path or self.get_path(stream_slice=stream_slice)}",
            params=request_params or {},
        )

    def get_json(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The decoded body of `GET /api/v2/{path}`, or None when the object was skipped with a warning.

        Raises `AirbyteTracedException` with a message for the user when the request fails for good.
        """
        response = self.send_request(path=path, request_params=params or {})
        return body_of(response) if response is not None and response.ok else None

    def look(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The same as it is at this moment, and not as another stream has received it earlier in this sync.

        For doubts about what a list has just shown: an older answer knows nothing of them.
        """
        response = self._client.get(f"{self.get_url()}{path}", params or {}, fresh=True)
        return body_of(response) if response.ok else None

    def download(self, path: str, target: Path) -> int | None:
        """Stream `GET /api/v2/{path}` into the file `target`; gives its size in bytes, or None when it was skipped.

        Raises `AirbyteTracedException` when Backlog does not answer, `requests.RequestException` when the body breaks
        off.
        """
        with self._client.open(f"{self.get_url()}{path}") as response:
            if not response.ok:
                return None
            with target.open("wb") as file:
                for chunk in response.iter_content(1024 * 1024):
                    file.write(chunk)
        return target.stat().st_size

    def exists(self, path: str) -> bool:
        """Whether Backlog has an object under `path` now; a user who may not see it gets the same answer."""
        assert self.api_budget is not None
        self.api_budget.probed.add(path)
        return self.look(path) is not None

    def is_missing(self, path: str) -> bool:
        """Whether Backlog says that there is nothing under `path`; a refusal is no such answer. Asked once per sync."""
        assert self.api_budget is not None
        space = self.api_budget
        space.probed.add(path)

        def ask() -> bool:
            response = self.send_request(path=path)
            if response is None or response.ok:
                return False
            missing = response.status_code == 404 or error_of(response)[0] == NO_RESOURCE
            if not missing:
                LOGGER.warning(f"Cannot tell whether {path} was deleted: the user of the key may not read it.")
            return missing

        return space.once(f"missing {path}", ask)
