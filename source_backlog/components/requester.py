"""Sends the GET requests of all streams: shared where several streams read the same, clean where they fail."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.requesters import HttpRequester
from airbyte_cdk.sources.streams.http import HttpClient
from airbyte_cdk.sources.streams.http.exceptions import BaseBackoffException
from airbyte_cdk.sources.streams.http.requests_native_auth.abstract_oauth import AbstractOauth2Authenticator
from airbyte_cdk.sources.types import StreamSlice, StreamState
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.components.errors import API, body_of, path_of
from source_backlog.components.space import Space

# The CDK's client logs what it also raises, with URLs and stack traces; below DEBUG its own lines are noise.
CLIENT_LOGGER = logging.getLogger("airbyte.source_backlog.http")
CLIENT_LOGGER.addFilter(lambda record: record.levelno <= logging.DEBUG)


class BacklogSession(requests.Session):
    """A session that asks the rate limits before each request, and never follows a redirect.

    All sessions of a sync share one connection pool, and at most `num_workers` requests are under way at a time.

    Why: the CDK's `LimiterSession` tells its budget nothing of a request that fails on the network, and `requests`
    strips only `Authorization` when it is redirected to another host, so the API key would go along.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self._space = space
        # The header comes with the request. Without this, `requests` would look for a password in ~/.netrc.
        self.auth = lambda request: request
        self.mount("https://", space.adapter)
        self.mount("http://", space.adapter)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request within the rate limits; redirects come back as they are."""
        kwargs["allow_redirects"] = False
        self._space.once("rate limit", lambda: self._learn_the_limits(request))
        url = str(request.url)
        response = None
        self._space.limits.acquire(url)
        try:
            with self._space.slots:
                response = super().send(request, **kwargs)
        finally:
            self._space.limits.release(url, response)
        return response

    def _learn_the_limits(self, request: requests.PreparedRequest) -> None:
        # With the headers of the first request; if this fails, so does that one, and it says why.
        first = request.copy()
        first.url = f"{str(request.url).split(API, 1)[0]}{API}rateLimit"
        try:
            response = super().send(first, timeout=30, allow_redirects=False)
            self._space.limits.sent["read"] += 1
            if response.ok:
                self._space.limits.learn(body_of(response))
        except (requests.RequestException, ValueError, AttributeError):
            return


class BacklogClient(HttpClient):
    """The CDK's client with shared responses and with messages a user can read.

    Why: see `SharedResponses` for the first. For the second: when its retries are exhausted the CDK's client wraps
    the error handler's sentence into "Exhausted available request attempts … Exception: …".
    """

    def __init__(self, space: Space, **kwargs: Any) -> None:
        super().__init__(session=BacklogSession(space), logger=CLIENT_LOGGER, **kwargs)
        self._space = space

    def get(self, url: str, headers: Mapping[str, str], params: Mapping[str, Any]) -> requests.Response:
        """The response to a GET request: sent, or the one that another stream of this sync has received.

        Raises `AirbyteTracedException` with a sentence for the user when the request fails for good.
        """

        def fetch() -> requests.Response:
            return self._request(url, headers, params)

        if not self._space.has_several_readers(path_of(url)):
            return fetch()
        return self._space.responses.get(f"{url}?{urlencode(params, doseq=True)}", fetch)

    def open(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        """The response to a download, its body not yet read."""
        return self._request(url, headers, {}, stream=True)

    def _request(
        self, url: str, headers: Mapping[str, str], params: Mapping[str, Any], stream: bool = False
    ) -> requests.Response:
        try:
            _, response = self.send_request(
                "GET", url, request_kwargs={"stream": stream}, headers=headers, params=params
            )
        except AirbyteTracedException as error:
            raise _readable(error, url) from error
        return response


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
            raise ValueError("A BacklogRequester needs the Space of its source.")
        # Templates that do not depend on the request, evaluated once: a large space has a request per issue.
        self._url_of_api = super().get_url()
        renews_itself = isinstance(self._authenticator, AbstractOauth2Authenticator)
        self._fixed_header = None if renews_itself else dict(self._authenticator.get_auth_header())
        self._client = BacklogClient(
            self.api_budget,
            name=self.name,
            error_handler=self.error_handler,
            authenticator=self._authenticator if renews_itself else None,
            backoff_strategy=getattr(self.error_handler, "backoff_strategies", None),
            message_repository=self.message_repository,
            request_timeout=(self.connect_timeout_in_seconds, self.read_timeout_in_seconds),
        )

    def get_url(
        self,
        *,
        stream_state: StreamState | None = None,
        stream_slice: StreamSlice | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> str:
        """The address of the API, with a slash at its end."""
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
            headers=self._auth_header(),
            params=request_params or {},
        )

    def get_json(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The decoded body of `GET /api/v2/{path}`, or None when the object was skipped with a warning.

        Raises `AirbyteTracedException` with a message for the user when the request fails for good.
        """
        response = self.send_request(path=path, request_params=params or {})
        return body_of(response) if response is not None and response.ok else None

    def download(self, path: str, target: Path) -> int | None:
        """Stream `GET /api/v2/{path}` into the file `target`; gives its size in bytes, or None when it was skipped.

        Raises `AirbyteTracedException` when Backlog does not answer, `requests.RequestException` when the body breaks
        off.
        """
        with self._client.open(f"{self.get_url()}{path}", self._auth_header()) as response:
            if not response.ok:
                return None
            with target.open("wb") as file:
                for chunk in response.iter_content(1024 * 1024):
                    file.write(chunk)
        return target.stat().st_size

    def exists(self, path: str) -> bool:
        """Whether Backlog has an object under `path`; a user who may not see it gets the same answer."""
        assert self.api_budget is not None
        self.api_budget.probed.add(path)
        return self.get_json(path) is not None

    def _auth_header(self) -> Mapping[str, str]:
        if self._fixed_header is not None:
            return self._fixed_header
        # An expired OAuth token is renewed here, one thread at a time (the CDK holds the lock).
        try:
            header: Mapping[str, str] = self.get_authenticator().get_auth_header()
            return header
        except AirbyteTracedException as error:
            if error.failure_type != FailureType.config_error:
                raise
            raise AirbyteTracedException(
                message=(
                    "Backlog does not accept the refresh token: it was used elsewhere, revoked, or belongs to another "
                    "client. Authenticate the source again."
                ),
                internal_message=error.internal_message,
                failure_type=FailureType.config_error,
                exception=error,
            ) from error
        except Exception as error:
            raise AirbyteTracedException(
                message=f"{self.config.get('domain')} did not renew the OAuth access token. Try again later.",
                internal_message=type(error).__name__,
                failure_type=FailureType.transient_error,
                exception=error,
            ) from error


def _readable(error: AirbyteTracedException, url: str) -> AirbyteTracedException:
    cause = error.__context__
    if not isinstance(cause, BaseBackoffException):
        return error
    reason = cause.args[0] if cause.args else f"Backlog did not answer {path_of(url)}."
    return AirbyteTracedException(
        message=str(reason),
        internal_message=f"Retries exhausted for {path_of(url)}.",
        failure_type=cause.failure_type or FailureType.transient_error,
        exception=cause,
    )
