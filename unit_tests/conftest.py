"""Small factories that the unit tests share; nothing here reaches a network."""

import copy
import gc
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import requests
from airbyte_cdk.sources.declarative.auth.token import ApiKeyAuthenticator
from airbyte_cdk.sources.declarative.auth.token_provider import InterpolatedStringTokenProvider
from airbyte_cdk.sources.declarative.requesters.request_option import RequestOption, RequestOptionType
from airbyte_cdk.sources.types import StreamSlice

from source_backlog.api.errors import BacklogErrorHandler
from source_backlog.api.requester import BacklogRequester
from source_backlog.changes.checkpoints import Checkpoints
from source_backlog.space import Space
from source_backlog.streams.retriever import BacklogRetriever

# As `run` has it: the garbage collector is a fifth of the time of whatever reads many rows.
gc.set_threshold(100_000, 50, 50)

Row = dict[str, Any]

SECRET = "kEy-that-nobody-may-see"
BASE = "https://acme.backlog.jp/api/v2/"


class FakeRequester:
    """Answers `get_json` from a table, path -> body or function of the parameters; notes what was asked for.

    A path that is not in the table is gone: None, as the real requester gives for what it skips.
    """

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.calls: list[tuple[str, Row]] = []

    def get_json(self, path: str, params: Mapping[str, Any] | None = None, *, probe: bool = False) -> Any:
        self.calls.append((path, dict(params or {})))
        answer = self.answers.get(path)
        return copy.deepcopy(answer(dict(params or {})) if callable(answer) else answer)

    look = get_json

    def exists(self, path: str) -> bool:
        return self.get_json(path) is not None

    def paths(self, suffix: str = "") -> list[str]:
        """The paths that were asked for and end with `suffix`, in order."""
        return [path for path, _ in self.calls if path.endswith(suffix)]

    def asked(self, path: str) -> list[Row]:
        """The parameters of all requests to `path`, in order."""
        return [params for asked, params in self.calls if asked == path]


class Clock:
    """Stands in for the time: nothing sleeps, waiting moves the clock."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.waits: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float | None) -> None:
        self.waits.append(seconds or 0.0)
        self.now += seconds or 0.0


@pytest.fixture
def config() -> Row:
    """The smallest config."""
    return {"domain": "acme.backlog.jp", "credentials": {"auth_type": "api_key", "api_key": SECRET}}


@pytest.fixture
def space() -> Iterator[Space]:
    """A space that uses the whole limit and tries a failed request twice again."""
    made = Space(num_workers=2, share_percent=100, retries=2)
    yield made
    made.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time as the connector and the CDK's retries see it."""
    made = Clock(1_767_225_600.0)
    monkeypatch.setattr(time, "time", made.time)
    monkeypatch.setattr(time, "sleep", made.sleep)
    return made


@pytest.fixture
def fake() -> Callable[..., FakeRequester]:
    """`fake({path: answer})`: a requester without a network."""
    return FakeRequester


@pytest.fixture
def served() -> Callable[..., Callable[[Row], list[Row]]]:
    """`served(rows)`: the answer of an endpoint that pages by `minId`, `order` and `count` over these rows."""

    def serve(rows: list[Row], inclusive: bool = True) -> Callable[[Row], list[Row]]:
        def answer(params: Row) -> list[Row]:
            bound = params.get("minId")
            kept = [row for row in rows if bound is None or row["id"] > bound or (inclusive and row["id"] == bound)]
            kept.sort(key=lambda row: row["id"], reverse=params.get("order", "desc") == "desc")
            return kept[: params.get("count", 20)]

        return answer

    return serve


@pytest.fixture
def paged() -> Callable[..., Callable[[Row], list[Row]]]:
    """`paged(rows)`: the answer of an endpoint that pages by `offset` and `count` over these rows."""

    def serve(rows: list[Row]) -> Callable[[Row], list[Row]]:
        return lambda params: rows[params.get("offset", 0) :][: params.get("count", 20)]

    return serve


@pytest.fixture
def build(space: Space, config: Row) -> Callable[..., Any]:
    """`build(Class, requester, **options)`: a retriever over `Checkpoints`, as the manifest would make it."""

    def make(
        kind: Callable[..., BacklogRetriever],
        requester: Any,
        position: Row | None = None,
        project: Row | None = None,
        by: str = "project",
        **options: Any,
    ) -> Any:
        checkpoints = Checkpoints(config, {}, requester, space, name="stream", by=by, cursor_field="updated")
        retriever: Any = kind(config, {}, requester, checkpoints, space, name="stream", **options)
        retriever.slice = slice_of(project)
        if position is not None:
            checkpoints.advance(retriever.slice, retriever.kind.parse(position))
            checkpoints.checkpoint(retriever.slice)
        return retriever

    return make


def slice_of(project: Row | None) -> StreamSlice:
    if project is None:
        return StreamSlice(partition={}, cursor_slice={})
    return StreamSlice(partition={"projectId": project["id"]}, cursor_slice={}, extra_fields={"project": project})


@pytest.fixture
def requester(space: Space, config: Row) -> BacklogRequester:
    """A requester over the real HTTP client, for `requests_mock` to answer."""
    token = InterpolatedStringTokenProvider(config=config, api_token=SECRET, parameters={})
    header = RequestOption(field_name="Backlog-API-Key", inject_into=RequestOptionType.header, parameters={})
    return BacklogRequester(
        name="stream",
        config=config,
        parameters={},
        url=BASE,
        authenticator=ApiKeyAuthenticator(header, token, config, {}),
        error_handler=BacklogErrorHandler(config, {}, space),
        api_budget=space,
    )


@pytest.fixture
def response() -> Callable[..., requests.Response]:
    """`response(404, b"…", path="issues/1")`: an answer as `requests` gives it."""

    def make(
        status: int,
        body: bytes = b"",
        path: str = "issues/1",
        content_type: str = "application/json;charset=utf-8",
        **headers: str,
    ) -> requests.Response:
        made = requests.Response()
        made.status_code = status
        made._content = body
        made.url = f"{BASE}{path}?apiKey={SECRET}"
        made.request = requests.Request("GET", made.url).prepare()
        made.headers.update({"Content-Type": content_type, **headers})
        return made

    return make
