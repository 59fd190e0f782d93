"""`BacklogRequester` over the real HTTP client: where the key goes, what is followed, how a failure ends."""

import ast
import itertools
import json
import logging
import math
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.interpolation import jinja
from airbyte_cdk.sources.streams.http.error_handlers import ErrorResolution, ResponseAction
from airbyte_cdk.sources.types import StreamSlice
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.client import HOPELESS_AFTER, MOST_RENEWALS, Attempt, Step, step_after
from source_backlog.api.errors import RejectedRequest
from source_backlog.api.requester import BacklogRequester
from source_backlog.changes.projects import all_projects
from source_backlog.source import PartitionsOf, SourceBacklog
from source_backlog.space import Space

SECRET = "kEy-that-nobody-may-see"
BASE = "https://acme.backlog.jp/api/v2/"
ISSUES = f"{BASE}issues"
SENT = requests.Request("GET", f"{ISSUES}?keyword=confidential").prepare()


@pytest.fixture(autouse=True)
def limits_known(space: Space, clock: Any) -> None:
    """`GET /rateLimit` has been answered, and no retry sleeps."""
    space.memory["rate limit"] = None


def failure(requester: BacklogRequester, path: str = "issues") -> AirbyteTracedException:
    with pytest.raises(AirbyteTracedException) as raised:
        requester.get_json(path, {"keyword": "confidential"})
    return raised.value


def test_the_key_is_in_the_header_and_nowhere_else(requester: BacklogRequester, requests_mock: Any) -> None:
    requests_mock.get(ISSUES, json=[{"id": 1}])
    assert requester.get_json("issues", {"projectId[]": 7}) == [{"id": 1}]
    sent = requests_mock.last_request
    assert sent.headers["Backlog-API-Key"] == SECRET
    assert SECRET not in sent.url
    assert sent.method == "GET"
    assert sent.body is None


@pytest.mark.parametrize(("status", "rejected"), [(400, True), (409, False), (404, False)])
def test_only_status_400_rejects_a_request(
    requester: BacklogRequester, requests_mock: Any, status: int, rejected: bool
) -> None:
    """In whatever language its body is, or without one."""
    requests_mock.get(ISSUES, [{"status_code": status, "json": {"errors": [{"code": 7, "message": "不正な値"}]}}])
    if status == 404:
        assert requester.get_json("issues", {"expand[]": "x"}) is None
    else:
        assert isinstance(failure(requester), RejectedRequest) is rejected
    requests_mock.get(ISSUES, status_code=400)
    assert isinstance(failure(requester), RejectedRequest)


@pytest.mark.parametrize(("status", "code"), [(403, 5), (401, 5), (404, 6), (403, 2)])
def test_a_refused_list_of_all_projects_stops_nothing(
    requester: BacklogRequester, requests_mock: Any, space: Space, status: int, code: int
) -> None:
    joined, refusal = [{"id": 1, "projectKey": "WEB"}], {"errors": [{"code": code, "message": "Unauthorized"}]}
    requests_mock.get(f"{BASE}projects", json=joined)
    requests_mock.get(f"{BASE}projects?all=true", status_code=status, json=refusal)
    assert all_projects(requester, space) == []
    assert requester.look("projects") == joined, "the endpoint is asked on"
    requests_mock.get(f"{BASE}projects", status_code=status, json=refusal)
    assert failure(requester, "projects").failure_type == CONFIG


def test_only_the_given_parameters_are_sent(requester: BacklogRequester, requests_mock: Any) -> None:
    """Backlog rejects unknown parameters on several endpoints."""
    requests_mock.get(ISSUES, json=[])
    requester.get_json("issues", {"id[]": [1, 2], "count": 100})
    assert requests_mock.last_request.query == "id%5b%5d=1&id%5b%5d=2&count=100"
    requester.get_json("issues")
    assert requests_mock.last_request.query == ""


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(requester: BacklogRequester, requests_mock: Any, status: int) -> None:
    elsewhere = requests_mock.get("https://evil.example.com/", json=[])
    requests_mock.get(ISSUES, status_code=status, headers={"Location": "https://evil.example.com/"})
    error = failure(requester)
    assert not elsewhere.called
    assert requests_mock.call_count == 1
    assert error.failure_type == FailureType.config_error
    assert error.message and error.message.startswith(
        "acme.backlog.jp redirects to another address, as no Backlog space does."
    )


def test_what_is_gone_gives_none(requester: BacklogRequester, requests_mock: Any) -> None:
    requests_mock.get(f"{BASE}issues/1", status_code=404, json={"errors": [{"message": "No issue.", "code": 6}]})
    assert requester.get_json("issues/1") is None
    assert requests_mock.call_count == 1


@pytest.mark.parametrize("answer", [{"status_code": 204}, {"text": ""}, {"text": "null"}])
def test_an_object_that_is_answered_with_nothing_gives_none(
    requester: BacklogRequester, space: Space, requests_mock: Any, answer: dict[str, Any]
) -> None:
    requests_mock.get(f"{BASE}space/notification", **answer)
    requests_mock.get(f"{BASE}issues/1", **answer)
    space._readers.update(["issues/{}"] * 2)
    assert requester.get_json("space/notification") is None
    for _ in range(2):
        assert requester.get_json("issues/1") is None
    assert requester.look("issues/1") is None
    assert requests_mock.call_count == 3, "never tried again, and kept for the next reader"


def test_what_is_gone_does_not_exist_and_what_is_there_does(
    requester: BacklogRequester, requests_mock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    requests_mock.get(f"{BASE}issues/1", status_code=404, json={"errors": [{"message": "No issue.", "code": 6}]})
    requests_mock.get(f"{BASE}issues/2", json={"id": 2})
    assert not requester.exists("issues/1")
    assert requester.exists("issues/2")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


FIRST = Attempt(number=1, retries=2, pause=1, seconds_left=900, longest_pause=math.inf, rejected_tokens=None)
CONFIG, TRANSIENT, SYSTEM = FailureType.config_error, FailureType.transient_error, FailureType.system_error


@pytest.mark.parametrize(
    ("action", "failure_type", "changes", "step"),
    [
        (ResponseAction.RETRY, TRANSIENT, {}, Step.WAIT),
        (ResponseAction.RATE_LIMITED, TRANSIENT, {}, Step.WAIT),
        (ResponseAction.RETRY, TRANSIENT, {"number": 2}, Step.WAIT),
        (ResponseAction.RETRY, TRANSIENT, {"number": 3}, Step.GIVE_UP),
        (ResponseAction.RETRY, TRANSIENT, {"retries": 0}, Step.GIVE_UP),
        (ResponseAction.RETRY, TRANSIENT, {"pause": 60, "seconds_left": 60}, Step.WAIT),
        (ResponseAction.RETRY, TRANSIENT, {"pause": 60, "seconds_left": 59}, Step.GIVE_UP),
        (ResponseAction.RATE_LIMITED, TRANSIENT, {"pause": 10, "longest_pause": 10}, Step.WAIT),
        (ResponseAction.RATE_LIMITED, TRANSIENT, {"pause": 11, "longest_pause": 10}, Step.GIVE_UP),
        (ResponseAction.FAIL, SYSTEM, {}, Step.FAIL),
        (ResponseAction.FAIL, TRANSIENT, {}, Step.FAIL),
        (ResponseAction.FAIL, CONFIG, {}, Step.HOPELESS),
        (ResponseAction.REFRESH_TOKEN_THEN_RETRY, CONFIG, {}, Step.HOPELESS),
        (ResponseAction.REFRESH_TOKEN_THEN_RETRY, CONFIG, {"rejected_tokens": 0}, Step.RENEW),
        (ResponseAction.REFRESH_TOKEN_THEN_RETRY, CONFIG, {"rejected_tokens": MOST_RENEWALS}, Step.RENEW),
        (ResponseAction.REFRESH_TOKEN_THEN_RETRY, CONFIG, {"rejected_tokens": MOST_RENEWALS + 1}, Step.HOPELESS),
        (
            ResponseAction.REFRESH_TOKEN_THEN_RETRY,
            CONFIG,
            {"rejected_tokens": 0, "number": HOPELESS_AFTER},
            Step.HOPELESS,
        ),
    ],
)
def test_what_follows_an_attempt(
    action: ResponseAction, failure_type: FailureType | None, changes: dict[str, Any], step: Step
) -> None:
    assert step_after(ErrorResolution(action, failure_type, "said"), replace(FIRST, **changes)) is step


def test_a_failure_is_tried_again_and_then_succeeds(
    requester: BacklogRequester, requests_mock: Any, clock: Any
) -> None:
    requests_mock.get(ISSUES, [{"status_code": 503}, {"text": "<html>"}, {"json": [{"id": 1}]}])
    assert requester.get_json("issues") == [{"id": 1}]
    assert requests_mock.call_count == 3
    assert sum(clock.waits) >= 1


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            {"status_code": 503, "text": "<html>"},
            "Backlog answered issues with status 503. It may be overloaded or under maintenance; try again later.",
        ),
        (
            {"exc": requests.exceptions.ConnectionError(f"url: {ISSUES}?keyword=confidential", request=SENT)},
            "Could not reach acme.backlog.jp for issues. Check the space domain and the network between Airbyte and "
            "Backlog.",
        ),
        (
            {"exc": requests.exceptions.ReadTimeout(f"url: {ISSUES}?keyword=confidential", request=SENT)},
            "acme.backlog.jp did not answer issues in time. Check the space domain and the network between Airbyte "
            "and Backlog.",
        ),
        (
            {"text": "<html>"},
            "acme.backlog.jp answered issues with something that is not JSON of Backlog. If this persists, check the "
            "space domain: it is the host name that your browser shows when you are logged in to Backlog, perhaps "
            "acme.backlog.com or acme.backlogtool.com.",
        ),
        (
            {"status_code": 429},
            "Backlog's rate limit was exceeded on issues. Lower the share of requests or the number of workers.",
        ),
    ],
)
def test_when_the_retries_are_used_up_the_message_is_one_clean_sentence(
    requester: BacklogRequester, requests_mock: Any, answer: dict[str, Any], sentence: str
) -> None:
    requests_mock.get(ISSUES, **answer)
    error = failure(requester)
    assert error.message == sentence
    assert error.failure_type == FailureType.transient_error
    assert requests_mock.call_count == 3, "retries is 2"
    assert "confidential" not in (error.internal_message or "")


def test_a_config_error_is_not_tried_again(requester: BacklogRequester, requests_mock: Any) -> None:
    requests_mock.get(ISSUES, status_code=401, json={"errors": [{"message": "Authentication failure.", "code": 11}]})
    error = failure(requester)
    assert requests_mock.call_count == 1
    assert error.failure_type == FailureType.config_error
    assert error.message and error.message.startswith("acme.backlog.jp does not accept the API key.")


def test_a_failure_logs_no_error_and_no_url(
    requester: BacklogRequester, requests_mock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    requests_mock.get(ISSUES, status_code=401, text=f"{SECRET} is wrong")
    with caplog.at_level(logging.INFO):
        failure(requester)
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("airbyte"))
    assert SECRET not in logged
    assert "confidential" not in logged
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_429_waits_until_the_window_ends_and_then_succeeds(
    requester: BacklogRequester, requests_mock: Any, clock: Any
) -> None:
    start = clock.now
    told = {"X-RateLimit-Limit": "150", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(start) + 37)}
    refused = {"status_code": 429, "json": {"errors": [{"message": "Too many", "code": 13}]}, "headers": told}
    requests_mock.get(ISSUES, [refused, {"json": [{"id": 1}]}])
    assert requester.get_json("issues") == [{"id": 1}]
    assert 37 <= clock.now - start <= 39


def test_an_endpoint_that_has_failed_for_good_is_not_waited_for_again(
    requester: BacklogRequester, space: Space, requests_mock: Any
) -> None:
    requests_mock.get(ISSUES, status_code=503)
    for _ in range(3):
        failure(requester)
    assert requests_mock.call_count == 3 + 1 + 1
    requests_mock.get(ISSUES, json=[])
    requester.get_json("issues")
    assert not space.failing
    requests_mock.get(ISSUES, status_code=503)
    failure(requester)
    assert requests_mock.call_count == 3 + 1 + 1 + 1 + 3, "an answer in between gives it all its retries again"


def test_an_endpoint_that_fails_again_and_again_is_not_asked_any_more(
    requester: BacklogRequester, requests_mock: Any
) -> None:
    requests_mock.get(ISSUES, status_code=503)
    for _ in range(30):
        assert failure(requester).failure_type == FailureType.transient_error
    assert requests_mock.call_count == 3 + HOPELESS_AFTER - 1


def test_a_rejected_key_is_not_sent_again_because_an_earlier_request_is_answered_later(
    requester: BacklogRequester, requests_mock: Any
) -> None:
    def answer(request: Any, context: Any) -> Any:
        if "keyword" in request.qs:
            context.status_code = 401
            return {"errors": [{"message": "Authentication failure.", "code": 11}]}
        assert failure(requester).failure_type == FailureType.config_error
        return []

    requests_mock.get(ISSUES, json=answer)
    requests_mock.get(f"{BASE}users/myself", status_code=401)
    assert requester.get_json("issues") == []
    sent = requests_mock.call_count
    assert failure(requester).failure_type == FailureType.config_error
    assert requests_mock.call_count == sent


def test_at_most_num_workers_requests_are_under_way(
    requester: BacklogRequester, space: Space, response: Callable[..., requests.Response]
) -> None:
    lock, full, go = threading.Lock(), threading.Event(), threading.Event()
    under_way, peaks = [0], []

    class SlowServer(requests.adapters.BaseAdapter):
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            with lock:
                under_way[0] += 1
                peaks.append(under_way[0])
                if under_way[0] == space.num_workers:
                    full.set()
            assert go.wait(5)
            with lock:
                under_way[0] -= 1
            return response(200, b"[]")

    session = requester._client._session
    session.mount("https://", SlowServer())
    prepared = [requests.Request("GET", ISSUES).prepare() for _ in range(6)]
    threads = [threading.Thread(target=session.send, args=(one,), daemon=True) for one in prepared]
    for thread in threads:
        thread.start()
    assert full.wait(5)
    go.set()
    for thread in threads:
        thread.join(5)
    assert len(peaks) == 6
    assert max(peaks) == space.num_workers == 2


@pytest.mark.parametrize("path", ["projects/{{ stream_partition['projectId'] }}/statuses", "projects/7/statuses"])
def test_no_path_is_parsed(
    config: dict[str, Any], space: Space, requester: BacklogRequester, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Threads that parse at the same time fail now and then: https://github.com/python/cpython/issues/106905."""
    looked_at: list[str] = []

    def literal_eval(text: str) -> Any:
        looked_at.append(text)
        return ast.literal_eval(text)

    monkeypatch.setattr(jinja, "ast", SimpleNamespace(literal_eval=literal_eval))
    asking = replace(requester, path=path, parameters={})
    partition = StreamSlice(partition={"projectId": 7}, cursor_slice={})
    assert asking.get_path(stream_slice=partition) == "projects/7/statuses"
    (text,) = looked_at
    ast.parse("projects/7/statuses", mode="eval")
    with pytest.raises(SyntaxError):
        ast.parse(text, mode="eval")


def test_a_requester_needs_a_space(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Space"):
        BacklogRequester(name="stream", config=config, parameters={}, url=BASE)


OAUTH = {
    "auth_type": "oauth2.0",
    "client_id": "client-id-of-us",
    "client_secret": "client-secret-of-us",
    "access_token": "old-access-token",
    "refresh_token": "old-refresh-token",
    "token_expiry_date": "2020-01-01T00:00:00Z",
}


@pytest.fixture(scope="module")
def source() -> SourceBacklog:
    """One source for many configs: reading the manifest takes most of a second."""
    made = SourceBacklog()
    made._source_config["streams"] = [one for one in made._source_config["streams"] if one["name"] == "users"]
    return made


@pytest.fixture
def declared(source: SourceBacklog) -> Callable[[dict[str, Any]], Any]:
    """`declared(config)`: the requester of a stream as the manifest declares it."""

    def make(config: dict[str, Any]) -> Any:
        source.config = source._config = source._config_for_validation = config
        (stream,) = source.streams(config)
        source.space.retries = 1
        source.space.memory["rate limit"] = None
        return retriever_of(stream).requester

    return make


def retriever_of(stream: Any) -> Any:
    generator = stream._stream_partition_generator
    declared = generator.stream if isinstance(generator, PartitionsOf) else stream
    return declared._stream_partition_generator._partition_factory._retriever


def test_the_manifest_sends_the_key_in_the_header(declared: Any, config: dict[str, Any], requests_mock: Any) -> None:
    requests_mock.get(f"{BASE}users", json=[])
    requester = declared(config)
    requester.get_json("users")
    assert requests_mock.last_request.url == f"{BASE}users"
    assert requests_mock.last_request.headers["Backlog-API-Key"] == SECRET
    assert "Authorization" not in requests_mock.last_request.headers


def test_only_a_loopback_host_is_asked_over_http(declared: Any, config: dict[str, Any], requests_mock: Any) -> None:
    requests_mock.get(re.compile(".*"), json=[])
    for domain, url in [
        ("127.0.0.1:8080", "http://127.0.0.1:8080/api/v2/users"),
        ("localhost:8080", "http://localhost:8080/api/v2/users"),
        ("localhost.example.com", "https://localhost.example.com/api/v2/users"),
        ("backlog.example.com", "https://backlog.example.com/api/v2/users"),
    ]:
        requester = declared({**config, "domain": domain})
        requester.get_json("users")
        assert requests_mock.last_request.url == url


def oauth(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    # Two workers: some tests let a request happen while another one is answered.
    return {**config, "credentials": {**OAUTH, **changes}, "num_workers": 2}


def test_an_expired_token_is_renewed_first_and_the_rotated_one_is_given_back(
    declared: Any, config: dict[str, Any], requests_mock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    granted = {"access_token": "new-access", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "new-refresh"}
    renewal = requests_mock.post(f"{BASE}oauth2/token", json=granted)
    requests_mock.get(f"{BASE}users", json=[{"id": 1}])
    requester = declared(oauth(config))
    assert requester.get_json("users") == [{"id": 1}]
    assert requester.get_json("users") == [{"id": 1}]
    assert renewal.call_count == 1
    assert requests_mock.last_request.headers["Authorization"] == "Bearer new-access"
    controls = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"CONTROL"' in line]
    stored = controls[-1]["control"]["connectorConfig"]["config"]["credentials"]
    assert (stored["refresh_token"], stored["access_token"]) == ("new-refresh", "new-access")


@pytest.mark.parametrize(
    "answer",
    [
        {"status_code": 400, "json": {"error": "invalid_grant"}},
        {"status_code": 401, "json": {"error": "invalid_client"}},
        {"status_code": 400, "json": {"error": "invalid_client"}},
        {"status_code": 401},
    ],
)
def test_a_refused_token_or_client_asks_to_authenticate_again(
    declared: Any, config: dict[str, Any], requests_mock: Any, answer: dict[str, Any]
) -> None:
    requests_mock.post(f"{BASE}oauth2/token", **answer)
    requester = declared(oauth(config))
    error = failure(requester, "users")
    assert error.failure_type == FailureType.config_error
    assert error.message and error.message.lower().endswith("authenticate the source again.")
    assert_no_secret(error)


@pytest.mark.parametrize(
    "answer", [{"status_code": 503}, {"exc": requests.exceptions.ConnectTimeout("refresh_token=old-refresh-token")}]
)
def test_a_renewal_that_fails_for_now_is_transient(
    declared: Any, config: dict[str, Any], requests_mock: Any, answer: dict[str, Any]
) -> None:
    requests_mock.post(f"{BASE}oauth2/token", **answer)
    requester = declared(oauth(config))
    error = failure(requester, "users")
    assert error.failure_type == FailureType.transient_error
    assert error.message == "acme.backlog.jp did not renew the OAuth access token. Try again later."
    assert_no_secret(error)


def test_a_token_that_was_revoked_early_is_renewed_once(
    declared: Any, config: dict[str, Any], requests_mock: Any
) -> None:
    granted = {"access_token": "new-access", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "new-refresh"}
    renewal = requests_mock.post(f"{BASE}oauth2/token", json=granted)
    requests_mock.get(f"{BASE}users", status_code=401)
    requests_mock.get(f"{BASE}users", request_headers={"Authorization": "Bearer new-access"}, json=[{"id": 1}])
    requester = declared(oauth(config, token_expiry_date="2099-01-01T00:00:00Z"))
    assert requester.get_json("users") == [{"id": 1}]
    assert renewal.call_count == 1


def granting(requests_mock: Any) -> Any:
    """The token endpoint, with a new token at every use."""
    number = itertools.count(1)

    def grant(request: Any, context: Any) -> dict[str, Any]:
        return {"access_token": f"access-{(new := next(number))}", "refresh_token": f"refresh-{new}"}

    return requests_mock.post(f"{BASE}oauth2/token", json=grant)


@pytest.mark.parametrize("expiries", [3, 5])
def test_a_request_may_be_overtaken_by_any_expiry_of_an_accepted_token(
    declared: Any, config: dict[str, Any], requests_mock: Any, expiries: int
) -> None:
    """Beside many others a request can be the one whose token expires under way, again and again."""
    renewal = granting(requests_mock)
    requests_mock.get(f"{BASE}priorities", json=[])
    requester = declared(oauth(config))
    left = iter(range(expiries))

    def answer(request: Any, context: Any) -> Any:
        requester.get_json("priorities")
        if next(left, None) is not None:
            context.status_code = 401
            return None
        return [{"id": 1}]

    requests_mock.get(f"{BASE}users", json=answer)
    assert requester.get_json("users") == [{"id": 1}]
    assert renewal.call_count == 1 + expiries


@pytest.mark.parametrize(("accepted_elsewhere", "renewals"), [(False, 1 + MOST_RENEWALS), (True, HOPELESS_AFTER)])
def test_renewing_ends_where_no_token_is_accepted(
    declared: Any, config: dict[str, Any], requests_mock: Any, accepted_elsewhere: bool, renewals: int
) -> None:
    """Also where an endpoint rejects the tokens that others accept."""
    renewal = granting(requests_mock)
    requests_mock.get(f"{BASE}priorities", json=[])
    requester = declared(oauth(config))

    def answer(request: Any, context: Any) -> None:
        if accepted_elsewhere:
            requester.get_json("priorities")
        context.status_code = 401

    requests_mock.get(f"{BASE}users", json=answer)
    assert failure(requester, "users").message == (
        "Backlog does not accept the OAuth access token. Authenticate the source again."
    )
    assert renewal.call_count == renewals


def assert_no_secret(error: AirbyteTracedException) -> None:
    shown = f"{error.message} {error.internal_message}"
    for secret in ("client-secret-of-us", "old-access-token", "old-refresh-token"):
        assert secret not in shown


def test_the_space_is_what_the_requesters_of_all_streams_share(config: dict[str, Any]) -> None:
    source = SourceBacklog(config=config)
    spaces: set[int] = set()
    adapters: set[int] = set()
    for stream in source.streams(config):
        requester = retriever_of(stream).requester
        spaces.add(id(requester.api_budget))
        adapters.add(id(requester._client._session.get_adapter("https://acme.backlog.jp")))
    assert spaces == {id(source.space)}
    assert len(adapters) == 1
