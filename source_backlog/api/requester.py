"""The requester of all streams: what the manifest and the retrievers ask Backlog with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from airbyte_cdk.sources.declarative.requesters import HttpRequester
from airbyte_cdk.sources.types import StreamSlice, StreamState

from source_backlog.api.bodies import body_of
from source_backlog.api.client import BacklogClient
from source_backlog.api.errors import NO_RESOURCE, BacklogErrorHandler, error_of
from source_backlog.left_out import left_out_of
from source_backlog.space import Space


@dataclass
class BacklogRequester(HttpRequester):
    """The CDK's requester over a `BacklogClient`.

    Why: a declarative requester cannot be given another client, session or connection pool.
    """

    # Handed in by the factory: see `Space`.
    api_budget: Space | None = None  # type: ignore[assignment]

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        # The CDK takes the slash away again, once it has looked whether the path is an expression of Python. With it,
        # none is: of two threads that parse one at a time, one fails now and then
        # (https://github.com/python/cpython/issues/106905).
        if isinstance(self.path, str):
            self.path = f"/{self.path}"
        super().__post_init__(parameters)
        space = self.api_budget
        if space is None:
            raise ValueError("A BacklogRequester needs the Space that SourceBacklog shares among its streams.")
        space.requester = self
        # The factory makes two requesters for each stream, which are all alike.
        self._client = space.once("client", lambda: self._connected(space))
        # A template that does not depend on the request, evaluated once: a large space has a request per issue.
        self._url_of_api = space.once("url", super().get_url)

    def _connected(self, space: Space) -> BacklogClient:
        handler = self.error_handler
        if not isinstance(handler, BacklogErrorHandler):
            handler = BacklogErrorHandler(self.config, {}, space)
        timeout = self.connect_timeout_in_seconds, self.read_timeout_in_seconds
        return BacklogClient(space, handler, self.get_authenticator(), timeout)

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

    def get_json(self, path: str, params: Mapping[str, Any] | None = None, *, probe: bool = False) -> Any:
        """The decoded body of `GET /api/v2/{path}`, or None when it was refused, which is noted as left out.

        With `probe` a refusal is no loss: whoever asks wants to know whether there is something, or can do without it.

        Raises `AirbyteTracedException` with a message for the user when the request fails for good.
        """
        response = self._client.get(f"{self.get_url()}{path}", params or {}, probe=probe)
        return body_of(response) if response.ok else None

    def look(self, path: str, params: Mapping[str, Any] | None = None, *, probe: bool = False) -> Any:
        """The same as it is at this moment, and not as another stream has received it earlier in this sync.

        For doubts about what a list has just shown: an older answer knows nothing of them.
        """
        response = self._client.get(f"{self.get_url()}{path}", params or {}, fresh=True, probe=probe)
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
        return self.look(path, probe=True) is not None

    def is_missing(self, path: str) -> bool:
        """Whether Backlog says that there is nothing under `path`; a refusal is no such answer. Asked once per sync."""
        assert self.api_budget is not None
        space = self.api_budget

        def ask() -> bool:
            response = self._client.get(f"{self.get_url()}{path}", {}, probe=True)
            if response.ok:
                return False
            missing = response.status_code == 404 or error_of(response)[0] == NO_RESOURCE
            if not missing:
                left_out_of(space).collect(
                    "Cannot tell whether these were deleted: ", path, ". The user of the key may not read them."
                )
            return missing

        return space.once(f"missing {path}", ask)
