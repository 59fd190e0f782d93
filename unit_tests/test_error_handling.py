"""What each answer of Backlog leads to: the table of `BacklogErrorHandler`, row by row."""

import json
import ssl
from collections.abc import Callable
from typing import Any

import certifi
import pytest
import requests
import urllib3.exceptions
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.streams.http.error_handlers import ErrorResolution, ResponseAction

from source_backlog.api.bodies import TooLarge, as_edited
from source_backlog.api.errors import (
    BacklogErrorHandler,
    Meaning,
    NoAnswer,
    Skip,
    UntilTheWindowEnds,
    error_of,
    meaning_of,
    path_of,
    reason_of,
)
from source_backlog.api.limits import limits_of
from source_backlog.api.network import AUTHORITIES, proxy_of
from source_backlog.left_out import Cause
from source_backlog.space import Space

SECRET = "kEy-that-nobody-may-see"
HTML = b"<!DOCTYPE html><html><body>Maintenance</body></html>"
CONFIG, TRANSIENT, SYSTEM = FailureType.config_error, FailureType.transient_error, FailureType.system_error

Answer = Callable[..., requests.Response]


@pytest.fixture
def handler(config: dict[str, Any], space: Space) -> BacklogErrorHandler:
    return BacklogErrorHandler(config, {}, space)


@pytest.fixture
def oauth(config: dict[str, Any], space: Space) -> BacklogErrorHandler:
    return BacklogErrorHandler({**config, "credentials": {"auth_type": "oauth2.0"}}, {}, space)


def body(code: int | None, message: str = "No such thing.") -> bytes:
    error = {"message": message, "moreInfo": ""} | ({} if code is None else {"code": code})
    return json.dumps({"errors": [error]}).encode()


def assert_sentence(resolution: ErrorResolution) -> str:
    """The message is one that a user can read: a sentence, without a query or a secret.

    A reason for skipping follows the object in the log and therefore begins in lower case.
    """
    message = resolution.error_message or ""
    skipped = resolution.response_action == ResponseAction.IGNORE
    assert message[:1].isupper() or skipped or message.startswith("acme.backlog.jp")
    assert message.endswith(".")
    for hidden in (SECRET, "apiKey", "?", "http://", "https://", "Traceback"):
        assert hidden not in message
    return message


# status, code of the body (None: a body without one), path -> action, failure type, part of the message
TABLE = [
    (400, 7, "issues/1", ResponseAction.FAIL, SYSTEM, "Backlog rejected the request issues/1 with status 400: No such"),
    (400, 2, "projects/1/customFields", ResponseAction.IGNORE, None, "the plan of the space does not include it"),
    (400, 5, "projects/1/webhooks", ResponseAction.IGNORE, None, "does not have the permission"),
    (400, 6, "issues/1/comments", ResponseAction.IGNORE, None, "It was deleted or is no longer visible"),
    (401, 11, "issues", ResponseAction.FAIL, CONFIG, "acme.backlog.jp does not accept the API key"),
    (401, None, "issues", ResponseAction.FAIL, CONFIG, "acme.backlog.jp does not accept the API key"),
    (401, 5, "users", ResponseAction.IGNORE, None, "the user of the key does not have the permission"),
    (401, 5, "projects", ResponseAction.FAIL, CONFIG, "Backlog refuses projects: the user of the key does not"),
    (401, 12, "issues", ResponseAction.FAIL, CONFIG, "two-factor authentication"),
    (402, None, "projects/1/customFields", ResponseAction.IGNORE, None, "does not have the permission"),
    (402, 2, "projects/1/git/repositories", ResponseAction.IGNORE, None, "the plan of the space does not include it"),
    (402, 3, "projects/1/customFields", ResponseAction.FAIL, CONFIG, "The licence of the Backlog space has expired"),
    (403, 3, "issues", ResponseAction.FAIL, CONFIG, "The licence of the Backlog space has expired"),
    (403, 4, "users/1/stars", ResponseAction.FAIL, CONFIG, "Backlog refuses access from this IP address"),
    (403, 5, "projects/1/webhooks", ResponseAction.IGNORE, None, "does not have the permission"),
    (403, 2, "projects/1/customFields", ResponseAction.IGNORE, None, "the plan of the space does not include it"),
    (403, None, "users", ResponseAction.IGNORE, None, "does not have the permission"),
    (403, None, "users/myself", ResponseAction.FAIL, CONFIG, "Backlog refuses users/myself"),
    (403, None, "issues", ResponseAction.FAIL, CONFIG, "Use the key of a user who may read issues"),
    (403, 12, "users", ResponseAction.FAIL, CONFIG, "two-factor authentication"),
    (404, 6, "issues/1", ResponseAction.IGNORE, None, "Backlog answers 'No such thing'. It was deleted"),
    (404, 6, "issues", ResponseAction.IGNORE, None, "Backlog answers 'No such thing'"),
    (404, None, "projects/1/users", ResponseAction.IGNORE, None, "It was deleted or is no longer visible"),
    (404, 6, "projects", ResponseAction.FAIL, CONFIG, "acme.backlog.jp has no projects (No such thing)"),
    (404, None, "space", ResponseAction.FAIL, CONFIG, "acme.backlog.jp has no space"),
    (404, None, "users/myself", ResponseAction.FAIL, CONFIG, "Check the space domain"),
    (404, None, "priorities", ResponseAction.FAIL, CONFIG, "Check the space domain"),
    (404, None, "resolutions", ResponseAction.FAIL, CONFIG, "Check the space domain"),
    (404, None, "space/activities", ResponseAction.FAIL, CONFIG, "Check the space domain"),
    (408, None, "issues", ResponseAction.RETRY, TRANSIENT, "Backlog answered issues with status 408"),
    (409, None, "issues", ResponseAction.FAIL, SYSTEM, "with status 409"),
    (418, 99, "issues", ResponseAction.FAIL, SYSTEM, "with status 418"),
    (429, 13, "issues", ResponseAction.RATE_LIMITED, TRANSIENT, "Backlog's rate limit was exceeded on issues"),
    (429, None, "issues", ResponseAction.RATE_LIMITED, TRANSIENT, "rate limit"),
    (403, 13, "issues", ResponseAction.RATE_LIMITED, TRANSIENT, "rate limit"),
    (500, 1, "issues", ResponseAction.RETRY, TRANSIENT, "Backlog answered issues with status 500"),
    (500, 6, "issues/1", ResponseAction.RETRY, TRANSIENT, "status 500"),
    (502, None, "issues", ResponseAction.RETRY, TRANSIENT, "status 502"),
    (503, None, "issues", ResponseAction.RETRY, TRANSIENT, "It may be overloaded or under maintenance"),
    (504, None, "issues", ResponseAction.RETRY, TRANSIENT, "status 504"),
]


@pytest.mark.parametrize(("status", "code", "path", "action", "failure", "part"), TABLE)
def test_every_row_of_the_table(
    handler: BacklogErrorHandler,
    response: Answer,
    status: int,
    code: int | None,
    path: str,
    action: ResponseAction,
    failure: FailureType | None,
    part: str,
) -> None:
    resolution = handler.interpret_response(response(status, body(code), path))
    assert resolution.response_action == action
    assert resolution.failure_type == failure
    assert part in assert_sentence(resolution)


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (200, None, Meaning.USABLE),
        (299, 5, Meaning.USABLE),
        (300, None, Meaning.REDIRECTED),
        (399, 13, Meaning.REDIRECTED),
        (429, None, Meaning.TOO_MANY),
        (429, 3, Meaning.TOO_MANY),
        (500, 13, Meaning.TOO_MANY),
        (408, 3, Meaning.OVERLOADED),
        (500, 3, Meaning.OVERLOADED),
        (599, 6, Meaning.OVERLOADED),
        (404, 3, Meaning.EXPIRED),
        (404, 4, Meaning.NOT_FROM_HERE),
        (404, 12, Meaning.NEEDS_MFA),
        (404, 2, Meaning.REFUSED),
        (401, 5, Meaning.REFUSED),
        (402, None, Meaning.REFUSED),
        (403, None, Meaning.REFUSED),
        (403, 6, Meaning.MISSING),
        (403, 11, Meaning.REJECTED),
        (401, 6, Meaning.UNAUTHENTICATED),
        (401, None, Meaning.UNAUTHENTICATED),
        (404, None, Meaning.MISSING),
        (404, 99, Meaning.MISSING),
        (400, 6, Meaning.MISSING),
        (400, None, Meaning.REJECTED),
        (100, None, Meaning.REJECTED),
    ],
)
def test_status_and_code_decide_and_the_first_row_that_fits_counts(
    status: int, code: int | None, meaning: Meaning
) -> None:
    assert meaning_of(status, code) is meaning


def within(outer: Exception, inner: Exception) -> Exception:
    """`outer` as `requests` raises it around what it caught."""
    outer.args = (inner,)
    return outer


def unverified(code: int) -> ssl.SSLCertVerificationError:
    """What OpenSSL says of a certificate; 10 is one that has expired."""
    error = ssl.SSLCertVerificationError()
    error.verify_code = code
    return error


REFUSED = urllib3.exceptions.NewConnectionError(None, "refused")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, NoAnswer.UNREACHABLE),
        (requests.ConnectionError(), NoAnswer.UNREACHABLE),
        (TooLarge(), NoAnswer.TOO_LARGE),
        (within(requests.exceptions.SSLError(), ssl.SSLCertVerificationError()), NoAnswer.UNVERIFIED),
        (within(requests.exceptions.SSLError(), ssl.SSLError()), NoAnswer.INSECURE),
        (
            within(
                requests.ConnectionError(),
                urllib3.exceptions.NameResolutionError("acme", None, OSError()),  # type: ignore[arg-type]
            ),
            NoAnswer.UNKNOWN_HOST,
        ),
        (within(requests.ConnectionError(), REFUSED), NoAnswer.UNREACHABLE),
        (within(requests.ConnectTimeout(), REFUSED), NoAnswer.UNREACHABLE),
        (within(requests.exceptions.ProxyError(), REFUSED), NoAnswer.PROXY_UNREACHABLE),
        (within(requests.exceptions.ProxyError(), urllib3.exceptions.TimeoutError()), NoAnswer.PROXY_UNREACHABLE),
        (
            within(
                requests.exceptions.ProxyError(),
                urllib3.exceptions.NameResolutionError("proxy", None, OSError()),  # type: ignore[arg-type]
            ),
            NoAnswer.PROXY_UNREACHABLE,
        ),
        (
            within(requests.exceptions.ProxyError(), OSError("Tunnel connection failed: 407 Proxy Authentication")),
            NoAnswer.PROXY_ASKS,
        ),
        (
            within(requests.exceptions.ProxyError(), OSError("Tunnel connection failed: 403 Forbidden")),
            NoAnswer.PROXY_REFUSES,
        ),
        (
            within(requests.exceptions.ProxyError(), OSError("Tunnel connection failed: 502 Bad Gateway")),
            NoAnswer.PROXY_FAILS,
        ),
        (requests.exceptions.InvalidProxyURL(), NoAnswer.PROXY_UNUSABLE),
        (requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support."), NoAnswer.PROXY_UNUSABLE),
        (within(requests.exceptions.SSLError(), unverified(20)), NoAnswer.UNKNOWN_AUTHORITY),
        (within(requests.exceptions.SSLError(), unverified(18)), NoAnswer.UNKNOWN_AUTHORITY),
        (within(requests.exceptions.SSLError(), unverified(10)), NoAnswer.UNVERIFIED),
        (within(requests.exceptions.ProxyError(), unverified(19)), NoAnswer.UNKNOWN_AUTHORITY),
        (OSError("Could not find a suitable TLS CA certificate bundle"), NoAnswer.UNREACHABLE),
        (requests.ConnectTimeout(), NoAnswer.TOO_SLOW),
        (requests.ReadTimeout(), NoAnswer.TOO_SLOW),
        (within(requests.ConnectionError(), urllib3.exceptions.TimeoutError()), NoAnswer.TOO_SLOW),
        (requests.exceptions.ChunkedEncodingError(), NoAnswer.BROKEN_OFF),
        (requests.exceptions.ContentDecodingError(), NoAnswer.BROKEN_OFF),
        (within(requests.ConnectionError(), urllib3.exceptions.ProtocolError()), NoAnswer.BROKEN_OFF),
    ],
)
def test_why_there_is_no_answer(error: Exception | None, reason: NoAnswer) -> None:
    assert reason_of(error) is reason


@pytest.mark.parametrize(
    "content",
    [
        b"",
        HTML,
        b"{",
        b"[]",
        b"null",
        b"7",
        b'{"errors":null}',
        b'{"errors":["no"]}',
        b'{"errors":[{"code":"x","message":null}]}',
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize(
    ("status", "path", "action"),
    [
        (400, "issues", ResponseAction.FAIL),
        (401, "issues", ResponseAction.FAIL),
        (402, "users", ResponseAction.IGNORE),
        (403, "users", ResponseAction.IGNORE),
        (404, "issues/1", ResponseAction.IGNORE),
        (404, "projects", ResponseAction.FAIL),
        (429, "issues", ResponseAction.RATE_LIMITED),
        (503, "issues", ResponseAction.RETRY),
    ],
)
def test_a_body_of_any_kind_leaves_the_status_to_decide(
    handler: BacklogErrorHandler, response: Answer, status: int, path: str, action: ResponseAction, content: bytes
) -> None:
    resolution = handler.interpret_response(response(status, content, path, content_type="text/html"))
    assert resolution.response_action == action
    message = assert_sentence(resolution)
    assert "<" not in message
    assert "None" not in message


@pytest.mark.parametrize("content", [b"[]", b"{}", b'[{"id":1}]', b' {"id":1}\n'])
def test_a_json_object_or_list_is_a_success(handler: BacklogErrorHandler, response: Answer, content: bytes) -> None:
    for content_type in ("application/json;charset=utf-8", "application/json", "text/plain", ""):
        path = "priorities" if content.startswith(b"[") else "space"
        resolution = handler.interpret_response(response(200, content, path, content_type=content_type))
        assert resolution.response_action == ResponseAction.SUCCESS


@pytest.mark.parametrize(
    ("content", "path", "part"),
    [
        (b"{}", "projects", "an object in the place of a list"),
        (b"[]", "space", "a list instead of an object"),
        (b"[]", "users/myself", "a list instead of an object"),
        (b"{}", "users/myself", "an object without a usable id"),
        (b'[{"id":null}]', "priorities", "an entry without a usable id"),
        (b'[{"id":1},7]', "priorities", "an entry that is no object"),
        (b'[{"id":1}]', "projects/1/git/repositories/2/pullRequests", "an entry without a usable number"),
        (b'[{"id":1}]', "wikis/1/history", "an entry without a usable version"),
    ],
)
def test_json_of_another_shape_is_not_taken_for_an_empty_list(
    handler: BacklogErrorHandler, response: Answer, content: bytes, path: str, part: str
) -> None:
    resolution = handler.interpret_response(response(200, content, path))
    assert (resolution.response_action, resolution.failure_type) == (ResponseAction.RETRY, TRANSIENT)
    assert f"answered {path} with {part}, as Backlog does not." in assert_sentence(resolution)


@pytest.mark.parametrize("content", [HTML, b'[{"id":1},{"id"', b"true", b"42", b'"no"', b"\xff\xfe\x00"])
@pytest.mark.parametrize("content_type", ["text/html", "application/json"])
def test_a_200_that_is_no_page_of_backlog_is_tried_again(
    handler: BacklogErrorHandler, response: Answer, content: bytes, content_type: str
) -> None:
    resolution = handler.interpret_response(response(200, content, content_type=content_type))
    assert resolution.response_action == ResponseAction.RETRY
    assert resolution.failure_type == TRANSIENT
    message = assert_sentence(resolution)
    assert message.startswith("acme.backlog.jp answered issues/1 with something that is not JSON of Backlog.")


EMPTY = [(204, b""), (200, b""), (200, b" \r\n"), (200, b"null"), (200, b"null\n")]


@pytest.mark.parametrize(("status", "content"), EMPTY)
@pytest.mark.parametrize("path", ["issues", "priorities", "projects/1/users", "space", "users/myself", "wikis"])
def test_an_empty_answer_is_no_list_and_no_space(
    handler: BacklogErrorHandler, response: Answer, space: Space, status: int, content: bytes, path: str
) -> None:
    resolution = handler.interpret_response(response(status, content, path))
    assert (resolution.response_action, resolution.failure_type) == (ResponseAction.RETRY, TRANSIENT)
    said = f"acme.backlog.jp answered {path} with something that is not JSON of Backlog."
    assert assert_sentence(resolution).startswith(f"{said} If this persists, check the space domain: ")
    handler.interpret_response(response(200, b"[]", "priorities"))
    resolution = handler.interpret_response(response(status, content, path))
    assert (resolution.response_action, resolution.failure_type) == (ResponseAction.RETRY, TRANSIENT)
    assert assert_sentence(resolution) == f"{said} Try again later; if this persists, report the problem.", (
        "other requests are answered: the domain is right"
    )


@pytest.mark.parametrize(("status", "content"), EMPTY)
@pytest.mark.parametrize(
    ("path", "warned"),
    [
        ("space/notification", False),
        ("space/licence", False),
        ("space/diskUsage", False),
        ("rateLimit", False),
        ("documents/tree", False),
        ("issues/1", True),
        ("wikis/1", True),
        ("documents/0123", True),
    ],
)
def test_an_empty_answer_for_an_object_says_that_there_is_none(
    handler: BacklogErrorHandler,
    response: Answer,
    status: int,
    content: bytes,
    path: str,
    warned: bool,
) -> None:
    given = response(status, content, path)
    kept = as_edited(given) if handler.interpret_response(given) else given
    assert not kept.ok
    said = "Backlog answers with nothing. It was deleted or is no longer visible."
    # Also when it is given to another stream.
    for one in (given, kept):
        resolution = handler.interpret_response(one)
        assert resolution.response_action == ResponseAction.IGNORE
        assert isinstance(resolution, Skip) == warned
        assert resolution.error_message == (said if warned else None)


def test_the_bytes_of_a_file_are_not_taken_for_json(handler: BacklogErrorHandler, response: Answer) -> None:
    answer = response(200, b"\x89PNG", "issues/1/attachments/2", content_type="application/octet-stream")
    assert handler.interpret_response(answer).response_action == ResponseAction.SUCCESS


@pytest.mark.parametrize("path", ["projects/1/files/metadata/files/2024", "projects/1/files/metadata/attachments/7"])
def test_a_folder_that_is_called_like_files_is_no_file(
    handler: BacklogErrorHandler, response: Answer, path: str
) -> None:
    resolution = handler.interpret_response(response(200, HTML, path))
    assert resolution.response_action == ResponseAction.RETRY


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_stops_with_a_remedy(handler: BacklogErrorHandler, response: Answer, status: int) -> None:
    answer = response(status, b"", Location=f"https://login.example.com/?apiKey={SECRET}")
    resolution = handler.interpret_response(answer)
    assert (resolution.response_action, resolution.failure_type) == (ResponseAction.FAIL, CONFIG)
    assert "acme.backlog.jp redirects to another address" in assert_sentence(resolution)


def test_a_401_of_oauth_renews_the_token_first(oauth: BacklogErrorHandler, response: Answer) -> None:
    resolution = oauth.interpret_response(response(401, b""))
    assert resolution.response_action == ResponseAction.REFRESH_TOKEN_THEN_RETRY
    assert resolution.failure_type == CONFIG
    assert "Authenticate the source again" in assert_sentence(resolution)


def test_a_missing_permission_does_not_renew_the_token(oauth: BacklogErrorHandler, response: Answer) -> None:
    resolution = oauth.interpret_response(response(401, body(5), "users"))
    assert resolution.response_action == ResponseAction.IGNORE


URL = f"https://acme.backlog.jp/api/v2/issues?apiKey={SECRET}&projectId[]=1"
POOL = f"HTTPSConnectionPool(host='acme.backlog.jp', port=443): Max retries exceeded with url: {URL}"


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (requests.exceptions.ConnectTimeout, "acme.backlog.jp did not answer issues in time."),
        (requests.exceptions.ReadTimeout, "acme.backlog.jp did not answer issues in time."),
        (requests.exceptions.SSLError, "No secure connection to acme.backlog.jp could be made."),
        (requests.exceptions.ChunkedEncodingError, "The answer of acme.backlog.jp to issues broke off."),
        (requests.exceptions.ContentDecodingError, "The answer of acme.backlog.jp to issues broke off."),
        (requests.exceptions.ConnectionError, "Could not reach acme.backlog.jp for issues."),
        (requests.exceptions.RequestException, "Could not reach acme.backlog.jp for issues."),
    ],
)
@pytest.mark.parametrize("with_request", [True, False])
def test_a_network_failure_is_tried_again_and_shows_neither_url_nor_query(
    handler: BacklogErrorHandler, kind: type[requests.RequestException], part: str, with_request: bool
) -> None:
    error = kind(POOL, request=requests.Request("GET", URL).prepare() if with_request else None)
    resolution = handler.interpret_response(error)
    assert (resolution.response_action, resolution.failure_type) == (ResponseAction.RETRY, TRANSIENT)
    message = assert_sentence(resolution)
    if with_request:
        assert message.startswith(part)
    assert "projectId" not in message
    assert "HTTPSConnectionPool" not in message


@pytest.mark.parametrize(
    ("variables", "error", "reason"),
    [
        ({"REQUESTS_CA_BUNDLE": "/none.pem"}, OSError("invalid path"), NoAnswer.NO_AUTHORITIES),
        ({"SSL_CERT_FILE": "/none.pem"}, requests.exceptions.SSLError(), NoAnswer.NO_AUTHORITIES),
        ({"SSL_CERT_FILE": "/none.pem"}, requests.ConnectTimeout(), NoAnswer.TOO_SLOW),
        ({"SSL_CERT_FILE": ""}, requests.exceptions.SSLError(), NoAnswer.INSECURE),
        ({"SSL_CERT_FILE": certifi.where()}, requests.exceptions.SSLError(), NoAnswer.INSECURE),
    ],
)
def test_a_file_of_certificates_that_cannot_be_used_is_the_reason(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], error: Exception, reason: NoAnswer
) -> None:
    for name in AUTHORITIES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert reason_of(error) is reason


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("http://me:pass%40word@proxy.example.com:8080", "proxy.example.com:8080"),
        ("proxy.example.com:8080", "proxy.example.com:8080"),
        ("me:password@proxy.example.com", "proxy.example.com"),
        ("http://proxy.example.com:port", ""),
        ("", ""),
    ],
)
def test_a_message_about_a_proxy_shows_no_password(monkeypatch: pytest.MonkeyPatch, proxy: str, shown: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert proxy_of("https://acme.backlog.jp/api/v2/space") == shown
    monkeypatch.setenv("NO_PROXY", "backlog.jp")
    assert proxy_of("https://acme.backlog.jp/api/v2/space") == ""


def test_a_status_407_is_of_the_proxy(handler: BacklogErrorHandler, response: Answer) -> None:
    resolution = handler.interpret_response(response(407, HTML))
    assert (resolution.response_action, resolution.failure_type) == (ResponseAction.FAIL, CONFIG)
    assert assert_sentence(resolution).startswith("The proxy asks for a user and a password (status 407).")


def test_nothing_at_all_is_tried_again(handler: BacklogErrorHandler) -> None:
    resolution = handler.interpret_response(None)
    assert (resolution.response_action, resolution.failure_type) == (ResponseAction.RETRY, TRANSIENT)
    assert_sentence(resolution)


@pytest.mark.parametrize(("status", "code", "path", "action"), [row[:4] for row in TABLE])
def test_what_is_skipped_has_a_cause(
    handler: BacklogErrorHandler, response: Answer, status: int, code: int | None, path: str, action: ResponseAction
) -> None:
    resolution = handler.interpret_response(response(status, body(code), path))
    if action != ResponseAction.IGNORE:
        assert not isinstance(resolution, Skip)
        return
    assert isinstance(resolution, Skip)
    gone = status == 404 or code == 6
    assert resolution.cause is (Cause.GONE if gone else Cause.PLAN if code == 2 else Cause.ROLE)
    assert (resolution.error_message or "").endswith(resolution.cause.value)


def test_the_numbers_of_retries_are_those_of_the_space(handler: BacklogErrorHandler, space: Space) -> None:
    assert handler.max_retries == space.retries == 2
    assert handler.max_time == 900


def test_the_wait_after_a_429_ends_with_the_window(space: Space, response: Answer, clock: Any) -> None:
    told = {"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(clock.now + 23)}
    refused = response(429, body(13), **told)
    limits_of(space).acquire(refused.url)
    limits_of(space).release(refused.url, refused)
    assert UntilTheWindowEnds(space).backoff_time(refused, 1) == 23


def test_the_wait_after_a_429_without_headers_grows_to_a_minute(space: Space, response: Answer) -> None:
    waits = [UntilTheWindowEnds(space).backoff_time(response(429), attempt) for attempt in range(1, 9)]
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]


def test_other_failures_keep_the_waits_of_the_cdk(space: Space, response: Answer) -> None:
    strategy = UntilTheWindowEnds(space)
    assert strategy.backoff_time(response(503), 1) is None
    assert strategy.backoff_time(requests.exceptions.ConnectTimeout(), 1) is None


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://acme.backlog.jp/api/v2/issues/1/comments?apiKey=x", "issues/1/comments"),
        ("https://acme.backlog.jp/api/v2/projects/1/files/metadata/", "projects/1/files/metadata"),
        ("https://acme.backlog.jp/api/v2/wikis/1?next=/api/v2/space", "wikis/1"),
        (None, ""),
        ("", ""),
    ],
)
def test_messages_show_the_path_below_the_api(url: str | None, path: str) -> None:
    assert path_of(url) == path


def test_the_first_of_several_errors_counts(response: Answer) -> None:
    several = {"errors": [{"message": "No project.", "code": 6}, {"message": "x", "code": 7}]}
    assert error_of(response(404, json.dumps(several).encode())) == (6, "No project.")
