"""Sends a GET request until it is answered: within the limits, tried again where that helps, clean where it fails."""

import http.cookiejar
import itertools
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from urllib.parse import urlencode

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.auth.declarative_authenticator import DeclarativeAuthenticator
from airbyte_cdk.sources.streams.http.error_handlers import ErrorResolution, ResponseAction
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.bodies import as_edited, body_of, read_body
from source_backlog.api.errors import API, BacklogErrorHandler, RejectedRequest, Rejection, Skip, path_of
from source_backlog.api.limits import limits_of
from source_backlog.api.network import RememberingAdapter, authorities
from source_backlog.api.oauth import RotatingTokens
from source_backlog.api.responses import responses_of
from source_backlog.api.turns import turns_of
from source_backlog.left_out import Cause, left_out_of, project_of, subject_of
from source_backlog.space import Space, endpoint_of

LOGGER = logging.getLogger("airbyte.source_backlog")

# For one body, however slowly its bytes come; a time-out of `requests` begins anew with each of them.
BODY_SECONDS = 600.0
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

    All requests of a sync go through one, and take turns (`Turns`).

    Why: the CDK's `LimiterSession` tells its budget nothing of a request that fails on the network, and `requests`
    strips only `Authorization` when it is redirected to another host, so the API key would go along.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self._space = space
        self._limits = limits_of(space)
        self.turns = turns_of(space)
        # Else `requests` would look for a password in ~/.netrc and send that instead.
        self.auth = lambda request: request
        self.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        # A file keeps its connection after its request is answered: one per thread that looks ahead.
        adapter = RememberingAdapter(pool_connections=4, pool_maxsize=2 * space.threads)
        self.mount("https://", adapter)
        self.mount("http://", adapter)  # ignore-https-check

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request within the rate limits; redirects come back as they are.

        `authorise` gives the header with the key or token. It is asked when the request has its turn: a token may
        expire while it waits.
        """
        kwargs["allow_redirects"] = False
        stream = kwargs.pop("stream", False)
        authorise: Callable[[], Mapping[str, str]] = kwargs.pop("authorise", dict)
        if not self._space.quick:
            self._space.once("rate limit", lambda: self._learn_the_limits(request, authorise(), kwargs))
        url = str(request.url)
        response = None
        self._limits.acquire(url, at_once=self._space.quick)
        try:
            with self.turns.turn(url) as place:
                request.headers.update(authorise())
                response = super().send(request, stream=True, **kwargs)
                if stream and response.ok:
                    if self.turns.serial:
                        place.keep(response)
                else:
                    read_body(response, QUICK_TIMEOUT_SECONDS[1] if self._space.quick else BODY_SECONDS)
        finally:
            self._limits.release(url, response)
        return response

    def _learn_the_limits(
        self, request: requests.PreparedRequest, header: Mapping[str, str], settings: Mapping[str, Any]
    ) -> None:
        # If this fails, so does the first request, and it says why.
        first = request.copy()
        first.headers.update(header)
        first.url = f"{str(request.url).split(API, 1)[0]}{API}rateLimit"
        try:
            response = super().send(first, **{**settings, "timeout": 30})
            self._limits.sent["read"] += 1
            if response.ok:
                self._limits.learn(body_of(response))
        except (requests.RequestException, ValueError, AttributeError):
            return


# The answer is given to whoever asked.
USABLE = (ResponseAction.SUCCESS, ResponseAction.IGNORE)


class Step(Enum):
    """What follows an attempt that has not given an answer."""

    RENEW = auto()
    """The same request at once, with another token."""
    WAIT = auto()
    """The same request after a pause."""
    FAIL = auto()
    """This request has failed, which says nothing about the next ones."""
    GIVE_UP = auto()
    """This request has failed for as long as it was tried: see `HOPELESS_AFTER`."""
    HOPELESS = auto()
    """Nothing mends it while the sync runs: the endpoint is not asked any more."""


@dataclass(frozen=True)
class Attempt:
    """What decides, beside the answer, what follows an attempt."""

    number: int
    """1 for the first one."""
    retries: int
    """How many may follow the first one."""
    pause: float
    """Seconds until the next one, if there is one."""
    seconds_left: float
    """Until the request, with all its attempts, has to be over."""
    longest_pause: float
    """Seconds that may be waited at a time."""
    rejected_tokens: int | None
    """How many tokens were rejected without ever having been accepted; None where a key is sent."""


def step_after(resolution: ErrorResolution, attempt: Attempt) -> Step:
    """What follows an attempt whose answer is not `USABLE`, and the error handler has understood as `resolution`."""
    action = resolution.response_action
    if action in (ResponseAction.RETRY, ResponseAction.RATE_LIMITED):
        longest = min(attempt.seconds_left, attempt.longest_pause)
        return Step.GIVE_UP if attempt.number > attempt.retries or attempt.pause > longest else Step.WAIT
    rejected = attempt.rejected_tokens
    renewable = rejected is not None and rejected <= MOST_RENEWALS and attempt.number < HOPELESS_AFTER
    if action == ResponseAction.REFRESH_TOKEN_THEN_RETRY and renewable:
        return Step.RENEW
    return Step.HOPELESS if resolution.failure_type == FailureType.config_error else Step.FAIL


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

    def get(self, url: str, params: Mapping[str, Any], fresh: bool = False, probe: bool = False) -> requests.Response:
        """The response to a GET request: sent, or (unless it has to be `fresh`) one that another stream has received.

        What is refused is noted as left out, unless the request is a `probe`: one that asks whether there is something.

        Raises `AirbyteTracedException` with a sentence for the user when the request fails for good.
        """

        query = query_of(params)

        def fetch() -> requests.Response:
            return self._request(url, query)

        if fresh or not self._space.has_several_readers(path_of(url)):
            response = fetch()
        else:
            response = responses_of(self._space).get(f"{url}?{query}", fetch)
        if not probe:
            self._note_refusal(url, params, response)
        return response

    def open(self, url: str) -> requests.Response:
        """The response to a download, its body not yet read."""
        response = self._request(url, "", stream=True)
        self._note_refusal(url, {}, response)
        return response

    def _note_refusal(self, url: str, params: Mapping[str, Any], response: requests.Response) -> None:
        skip = None if response.ok else self._handler.interpret_response(response)
        if not isinstance(skip, Skip):
            return
        path = path_of(url)
        project = project_of(path, params)
        cause = skip.cause
        if cause is Cause.GONE and project is not None and subject_of(path, project) == f"projects/{project}":
            # The list of a project: it is the feature that is missing, or the whole project. Every project has issues.
            cause = Cause.OFF if path != "issues" and self._is_there(url, project) else Cause.LOST
        left_out_of(self._space).refuse(path, project, cause, skip.error_message or cause.value)

    def _is_there(self, url: str, project: str) -> bool:
        statuses = f"{url.split(API, 1)[0]}{API}projects/{project}/statuses"

        def ask() -> bool:
            try:
                return self.get(statuses, {}, fresh=True, probe=True).ok
            except AirbyteTracedException:
                return False

        return self._space.once(f"project {project} is there", ask)

    def _request(self, url: str, query: str, stream: bool = False) -> requests.Response:
        path = path_of(url)
        endpoint = endpoint_of(path)
        failed = self._failures(endpoint)
        retries = 0 if failed else self._handler.max_retries
        deadline = time.monotonic() + self._handler.max_time
        rejected = 0
        for number in itertools.count(1):
            request, response, error = self._send(url, query, stream)
            resolution = self._handler.interpret_response(response if response is not None else error)
            if resolution.response_action == ResponseAction.REFRESH_TOKEN_THEN_RETRY:
                rejected += request.headers.get("Authorization") not in self._space.accepted_tokens
            if resolution.response_action in USABLE and response is not None:
                self._note_answer(endpoint, request)
                return as_edited(response)
            attempt = Attempt(
                number=number,
                retries=retries,
                pause=self._pause(response, number),
                seconds_left=deadline - time.monotonic(),
                longest_pause=QUICK_TIMEOUT_SECONDS[0] if self._space.quick else math.inf,
                rejected_tokens=None if self._key is not None else rejected,
            )
            step = step_after(resolution, attempt)
            if response is not None:
                response.close()
            if step is Step.RENEW:
                with self._session.turns.turn():
                    self._header(rejected={"Authorization": request.headers["Authorization"]})
            elif step is Step.WAIT:
                LOGGER.info(f"{resolution.error_message} Attempt {number + 1} follows in {attempt.pause:.0f} s.")
                time.sleep(attempt.pause)
            else:
                failure = _failure(resolution, path, number)
                self._note_failure(endpoint, step, failed, failure)
                raise failure
        raise AssertionError("unreachable: the loop ends with an answer or a failure")

    def _failures(self, endpoint: str) -> int:
        """How often in a row an endpoint has failed; raises how, when it is not to be asked any more."""
        failed, known = self._space.failing.get(endpoint, (0, None))
        if known is not None and failed >= HOPELESS_AFTER:
            raise known
        return failed

    def _note_failure(self, endpoint: str, step: Step, failed: int, failure: AirbyteTracedException) -> None:
        if step is Step.GIVE_UP:
            self._space.failing[endpoint] = (failed + 1, failure)
        elif step is Step.HOPELESS:
            self._space.failing[endpoint] = (HOPELESS_AFTER, failure)

    def _note_answer(self, endpoint: str, request: requests.PreparedRequest) -> None:
        _, latest = self._space.failing.get(endpoint, (0, None))
        # An answer to what was already under way does not mend what only the user can.
        if latest is not None and latest.failure_type != FailureType.config_error:
            self._space.failing.pop(endpoint, None)
        if self._key is None:
            self._space.accepted_tokens.add(request.headers["Authorization"])

    def _header(self, rejected: Mapping[str, str] | None = None) -> Mapping[str, str]:
        if self._key is not None:
            return self._key
        failed = self._failures(TOKENS)
        try:
            if rejected and isinstance(self._authenticator, RotatingTokens):
                self._authenticator.replace(rejected)
            header: Mapping[str, str] = self._authenticator.get_auth_header()
        except AirbyteTracedException as failure:
            hopeless = failure.failure_type == FailureType.config_error
            self._note_failure(TOKENS, Step.HOPELESS if hopeless else Step.GIVE_UP, failed, failure)
            raise
        return header

    def _send(
        self, url: str, query: str, stream: bool
    ) -> tuple[requests.PreparedRequest, requests.Response | None, OSError | None]:
        began = time.monotonic()
        request, way = self._prepared(url, query)
        try:
            response = self._session.send(request, stream=stream, timeout=self._timeout, authorise=self._header, **way)
        except OSError as error:
            # Not only the exceptions of `requests`, which are OSErrors: a file of certificates may be missing.
            LOGGER.debug(f"GET {path_of(url)}?{query}: {type(error).__name__}")
            return request, None, error
        # Neither headers nor bodies: the first hold the key, the second the data.
        LOGGER.debug(f"GET {path_of(url)}?{query}: status {response.status_code} in {time.monotonic() - began:.3f} s")
        return request, response, None

    def _prepared(self, url: str, query: str) -> tuple[requests.PreparedRequest, Mapping[str, Any]]:
        """A request, and what the environment says of the way: the proxy and the authorities.

        All but the address is the same for all requests, and worked out once: with that, `requests` takes half the
        time for each.
        """
        space, host = self._space, url.split("/", 3)[2]
        template = space.once("template", lambda: self._session.prepare_request(requests.Request("GET", url)))
        way = space.once(f"way to {host}", lambda: self._way_to(url))
        request = template.copy()
        if url.isascii():
            # `requests` would look at each part of the address, and give it as it is.
            request.url = f"{url}?{query}" if query else url
        else:
            request.prepare_url(url, query)
        return request, way

    def _way_to(self, url: str) -> Mapping[str, Any]:
        settings = self._session.merge_environment_settings(url, {}, None, authorities(), None)
        return {name: value for name, value in settings.items() if name != "stream"}

    def _pause(self, response: requests.Response | None, attempt: int) -> float:
        for strategy in self._handler.backoff_strategies:
            if told := strategy.backoff_time(response, attempt):
                # A second more, because the header has whole seconds.
                return told + 1.0
        return min(2.0 ** (attempt - 1), LONGEST_PAUSE_SECONDS)


def query_of(params: Mapping[str, Any]) -> str:
    """Parameters as they stand in an address; None leaves one out, a list gives it several times."""
    return urlencode({name: value for name, value in params.items() if value is not None}, doseq=True)


def _failure(resolution: ErrorResolution, path: str, attempts: int) -> AirbyteTracedException:
    kind = RejectedRequest if isinstance(resolution, Rejection) else AirbyteTracedException
    return kind(
        message=resolution.error_message or f"Backlog did not answer {path}.",
        internal_message=f"GET {path} failed after {attempts} attempts.",
        failure_type=resolution.failure_type or FailureType.transient_error,
    )
