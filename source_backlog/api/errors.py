"""What each answer of Backlog means: one table, keyed by status and by the `code` of the error body."""

import logging
import re
import ssl
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import InitVar, dataclass
from enum import Enum, auto
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import requests
import urllib3.exceptions
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.streams.http.error_handlers import (
    BackoffStrategy,
    ErrorHandler,
    ErrorResolution,
    ResponseAction,
)
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.bodies import NOTHING, TooLarge, body_of, is_empty, mark_edited, mark_missing, mended_in
from source_backlog.api.limits import limits_of
from source_backlog.api.network import proxy_of, unusable_authorities
from source_backlog.api.shapes import Misshapen, fit, has_id, is_single
from source_backlog.config import other_addresses
from source_backlog.left_out import Cause, left_out_of, short
from source_backlog.space import Space, endpoint_of

LOGGER = logging.getLogger("airbyte.source_backlog")

API = "/api/v2/"

# Codes of Backlog's error bodies: https://developer.nulab.com/docs/backlog/error-response
LICENCE, LICENCE_EXPIRED, ACCESS_DENIED, UNAUTHORIZED_OPERATION, NO_RESOURCE = 2, 3, 4, 5, 6
AUTHENTICATION, MFA_REQUIRED, TOO_MANY_REQUESTS = 11, 12, 13

# Without these nothing can be read; every other endpoint may be refused to a user, a project or a plan.
BASE_ENDPOINTS = frozenset(
    ["space", "users/myself", "projects", "issues", "priorities", "resolutions", "space/activities"]
)
# Of the base endpoints only `projects` has it: it shows an administrator the projects that it has not joined.
EVERYTHING = "all"


# Bodies that are files: not JSON, and not to be read into memory. A listing of shared files may end alike.
DOWNLOAD = re.compile(r"^(?!projects/[^/]+/files/metadata/).*/(attachments|files)/\d+$")


def path_of(url: str | None) -> str:
    """The path of a request below `/api/v2/`, without the query: what messages may show."""
    before, found, path = (url or "").partition("?")[0].partition(API)
    return (path if found else urlsplit(before).path).strip("/")


def can_do_without(url: str | None) -> bool:
    """Whether something is left to read when this request is refused."""
    return path_of(url) not in BASE_ENDPOINTS or EVERYTHING in parse_qs(urlsplit(url or "").query)


def error_of(response: requests.Response) -> tuple[int | None, str]:
    """Code and message of the first error of an error body; `(None, "")` when the body has none."""
    try:
        body = body_of(response)
    except orjson.JSONDecodeError:
        return None, ""
    errors = body.get("errors") if isinstance(body, Mapping) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], Mapping) else {}
    code = first.get("code")
    message = "".join(letter if letter.isprintable() else " " for letter in str(first.get("message") or "")[:200])
    return (code if isinstance(code, int) else None), message


class Meaning(Enum):
    """What an answer means."""

    USABLE = auto()
    REDIRECTED = auto()
    TOO_MANY = auto()
    OVERLOADED = auto()
    EXPIRED = auto()
    NOT_FROM_HERE = auto()
    NEEDS_MFA = auto()
    REFUSED = auto()
    UNAUTHENTICATED = auto()
    MISSING = auto()
    REJECTED = auto()
    PROXY_ASKS = auto()


class _Any:
    def __contains__(self, value: object) -> bool:
        return True


_ANY = _Any()
# Status, code of the body (None: it has none), meaning. The first row that fits counts.
_MEANINGS: tuple[tuple[Container[int], Container[int | None], Meaning], ...] = (
    (range(200, 300), _ANY, Meaning.USABLE),
    (range(300, 400), _ANY, Meaning.REDIRECTED),
    ((429,), _ANY, Meaning.TOO_MANY),
    (_ANY, (TOO_MANY_REQUESTS,), Meaning.TOO_MANY),
    ((408,), _ANY, Meaning.OVERLOADED),
    (range(500, 1000), _ANY, Meaning.OVERLOADED),
    (_ANY, (LICENCE_EXPIRED,), Meaning.EXPIRED),
    (_ANY, (ACCESS_DENIED,), Meaning.NOT_FROM_HERE),
    (_ANY, (MFA_REQUIRED,), Meaning.NEEDS_MFA),
    (_ANY, (LICENCE, UNAUTHORIZED_OPERATION), Meaning.REFUSED),
    ((402, 403), (None,), Meaning.REFUSED),
    ((407,), _ANY, Meaning.PROXY_ASKS),
    ((401,), _ANY, Meaning.UNAUTHENTICATED),
    ((404,), _ANY, Meaning.MISSING),
    (_ANY, (NO_RESOURCE,), Meaning.MISSING),
    (_ANY, _ANY, Meaning.REJECTED),
)


def meaning_of(status: int, code: int | None) -> Meaning:
    """What an answer with this status and this `code` in its body means; its text never counts."""
    return next(meaning for statuses, codes, meaning in _MEANINGS if status in statuses and code in codes)


@dataclass(frozen=True)
class Asked:
    """What a message may name: host, path below the API ("" when it is not known), what was answered, and the proxy."""

    host: str
    path: str
    status: int = 0
    said: str = ""
    proxy: str = ""


# What follows from the meanings that depend on nothing else.
_RESOLUTIONS: dict[Meaning, Callable[[Asked], ErrorResolution]] = {
    Meaning.REDIRECTED: lambda asked: _config_error(
        f"{asked.host} redirects to another address, as no Backlog space does. {domain_hint(asked.host)}"
    ),
    Meaning.TOO_MANY: lambda asked: ErrorResolution(
        ResponseAction.RATE_LIMITED,
        FailureType.transient_error,
        f"Backlog's rate limit was exceeded on {asked.path}. Lower the share of requests or the number of workers.",
    ),
    Meaning.OVERLOADED: lambda asked: _retry(
        f"Backlog answered {asked.path} with status {asked.status}. It may be overloaded or under maintenance; try "
        "again later."
    ),
    Meaning.EXPIRED: lambda asked: _config_error(
        "The licence of the Backlog space has expired. Renew it, then sync again."
    ),
    Meaning.NOT_FROM_HERE: lambda asked: _config_error(
        "Backlog refuses access from this IP address. Add Airbyte's address to the allowed addresses in the space "
        "settings under Access Control."
    ),
    Meaning.NEEDS_MFA: lambda asked: _config_error(
        "The Backlog space requires two-factor authentication, and the user of this key has not set it up. Set it up "
        "for that user, then try again."
    ),
    Meaning.PROXY_ASKS: lambda asked: _proxy_asks(asked),
    Meaning.REJECTED: lambda asked: _rejected(asked),
}


class NoAnswer(Enum):
    """Why there is no answer."""

    TOO_LARGE = auto()
    UNVERIFIED = auto()
    UNKNOWN_AUTHORITY = auto()
    NO_AUTHORITIES = auto()
    PROXY_ASKS = auto()
    PROXY_REFUSES = auto()
    PROXY_FAILS = auto()
    PROXY_UNREACHABLE = auto()
    PROXY_UNUSABLE = auto()
    UNKNOWN_HOST = auto()
    TOO_SLOW = auto()
    INSECURE = auto()
    BROKEN_OFF = auto()
    UNREACHABLE = auto()


# Of OpenSSL: self-signed, signed by an authority that is not trusted, or with a part of the chain missing.
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)
# What Python says when a proxy does not let a connection through.
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})\b")
# The exception, the exceptions within it, reason. The first row that fits counts.
_REASONS: tuple[tuple[tuple[type[BaseException], ...], tuple[type[BaseException], ...], NoAnswer], ...] = (
    ((TooLarge,), (), NoAnswer.TOO_LARGE),
    ((), (ssl.SSLCertVerificationError,), NoAnswer.UNVERIFIED),
    ((requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema), (), NoAnswer.PROXY_UNUSABLE),
    ((requests.exceptions.ProxyError,), (urllib3.exceptions.ProxyError,), NoAnswer.PROXY_UNREACHABLE),
    ((), (urllib3.exceptions.NameResolutionError,), NoAnswer.UNKNOWN_HOST),
    # urllib3 counts a refused connection among the time-outs.
    ((), (urllib3.exceptions.NewConnectionError,), NoAnswer.UNREACHABLE),
    ((requests.Timeout,), (urllib3.exceptions.TimeoutError,), NoAnswer.TOO_SLOW),
    ((requests.exceptions.SSLError,), (), NoAnswer.INSECURE),
    (
        (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError),
        (urllib3.exceptions.ProtocolError,),
        NoAnswer.BROKEN_OFF,
    ),
)


def reason_of(error: BaseException | None) -> NoAnswer:
    """Why a request has ended with `error` and not with an answer."""
    causes = list(_causes(error))
    if special := _special_reason(causes):
        return special
    for outer, inner, reason in _REASONS:
        if isinstance(error, outer) or any(isinstance(cause, inner) for cause in causes):
            return reason
    return NoAnswer.UNREACHABLE


def _special_reason(causes: list[BaseException]) -> NoAnswer | None:
    """The reason where the class of an exception does not tell it."""
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError) and getattr(cause, "verify_code", 0) in _UNKNOWN_AUTHORITY:
            return NoAnswer.UNKNOWN_AUTHORITY
        if tunnel := _TUNNEL.match(str(cause)):
            status = int(tunnel[1])
            if status == 407:
                return NoAnswer.PROXY_ASKS
            return NoAnswer.PROXY_REFUSES if status < 500 else NoAnswer.PROXY_FAILS
    secured = any(isinstance(cause, ssl.SSLError | requests.exceptions.SSLError) for cause in causes)
    # `requests` has no exception of its own for a file that is not there.
    if (secured or (causes and type(causes[0]) is OSError)) and unusable_authorities():
        return NoAnswer.NO_AUTHORITIES
    return None


_CHECK_NETWORK = "Check the space domain and the network between Airbyte and Backlog."
_WITHOUT_ANSWER: dict[NoAnswer, Callable[[Asked], ErrorResolution]] = {
    NoAnswer.TOO_LARGE: lambda asked: _our_mistake(f"The answer of {asked.host} to {asked.path} is too large to read."),
    NoAnswer.UNVERIFIED: lambda asked: _config_error(
        f"The certificate of {asked.host} could not be verified. {domain_hint(asked.host)} A server of your own needs "
        "a certificate of a public authority."
    ),
    NoAnswer.UNKNOWN_AUTHORITY: lambda asked: _config_error(
        f"The certificate of {asked.host} could not be verified. Its authority is not known here. If your network "
        "inspects TLS, or if the server is your own, put the certificate of that authority into a file, and name the "
        f"file in REQUESTS_CA_BUNDLE or SSL_CERT_FILE. Otherwise {domain_hint(asked.host, 'check')}"
    ),
    NoAnswer.NO_AUTHORITIES: lambda asked: _config_error(
        f"{unusable_authorities()} Without it no certificate can be verified."
    ),
    NoAnswer.PROXY_ASKS: lambda asked: _proxy_asks(asked),
    NoAnswer.PROXY_REFUSES: lambda asked: _config_error(
        f"{_proxy(asked)} does not let requests through to {asked.host}. Have the host allowed there. If it can be "
        "reached without the proxy, name it in NO_PROXY."
    ),
    NoAnswer.PROXY_FAILS: lambda asked: _retry(
        f"{_proxy(asked)} could not reach {asked.host}. Check the space domain, and the proxy. If Backlog can be "
        "reached without the proxy, name its host in NO_PROXY."
    ),
    NoAnswer.PROXY_UNREACHABLE: lambda asked: ErrorResolution(
        ResponseAction.RETRY,
        FailureType.config_error,
        f"{_proxy(asked)} could not be reached. Check HTTPS_PROXY. If {asked.host} can be reached without the proxy, "
        "name it in NO_PROXY.",
    ),
    NoAnswer.PROXY_UNUSABLE: lambda asked: _config_error(
        "HTTPS_PROXY names no proxy that can be used. It has to be the host and the port of an HTTP proxy, such as "
        "proxy.example.com:8080."
    ),
    NoAnswer.UNKNOWN_HOST: lambda asked: _retry(
        f"There is no host {asked.host}, or its name could not be resolved. {domain_hint(asked.host)}"
    ),
    NoAnswer.TOO_SLOW: lambda asked: _retry(
        f"{asked.host} did not answer{_with(' ', asked.path)} in time. {_CHECK_NETWORK}"
    ),
    NoAnswer.INSECURE: lambda asked: _retry(f"No secure connection to {asked.host} could be made. {_CHECK_NETWORK}"),
    NoAnswer.BROKEN_OFF: lambda asked: _retry(
        f"The answer of {asked.host}{_with(' to ', asked.path)} broke off. {_CHECK_NETWORK}"
    ),
    NoAnswer.UNREACHABLE: lambda asked: _retry(
        f"Could not reach {asked.host}{_with(' for ', asked.path)}. {_CHECK_NETWORK}"
    ),
}


def without_answer(error: Exception | None, host: str) -> ErrorResolution:
    """What to do about a request that has ended with `error`; `host` is its host, if the error does not name it."""
    request = getattr(error, "request", None)
    url = (request.url if request is not None else None) or ""
    host = urlsplit(url).hostname or host
    asked = Asked(host, path_of(url), proxy=proxy_of(url or f"https://{host}/"))
    return _WITHOUT_ANSWER[reason_of(error)](asked)


@dataclass
class Rejection(ErrorResolution):
    """Fail, because Backlog does not understand the request (status 400)."""


class RejectedRequest(AirbyteTracedException):
    """Backlog does not understand a request (status 400), for instance because it does not know a parameter."""


@dataclass
class Skip(ErrorResolution):
    """Go on without what was asked for, which is to be said (`LeftOut`)."""

    cause: Cause = Cause.GONE


@dataclass
class BacklogErrorHandler(ErrorHandler):
    """Decides what to do with an answer: use it, retry, skip the object, or stop with a remedy.

    Why Python: the CDK's response filters can neither tell a permission from a bad key (both may be 401; only the
    `code` in the body differs, and the body may be empty or HTML), nor see that a 200 is an HTML page, which the
    CDK would take for an empty page of records, nor keep the URL out of the message when the network fails
    (`create_fallback_error_resolution` prints the exception).
    """

    config: Mapping[str, Any]
    parameters: InitVar[Mapping[str, Any]]
    api_budget: Space | None = None

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        self.backoff_strategies = [UntilTheWindowEnds(self.api_budget)]

    @property
    def max_retries(self) -> int:
        """Retries of one request; 429s, which wait for at most a minute each, count too."""
        return self.api_budget.retries if self.api_budget else 0

    @property
    def max_time(self) -> int:
        """Seconds for one request with all its retries."""
        return 15 * 60

    def interpret_response(self, response: requests.Response | Exception | None) -> ErrorResolution:
        """What to do with a response, or with the exception that took its place."""
        if isinstance(response, requests.Response):
            return self._interpret(response)
        return without_answer(response, self._host)

    def _interpret(self, response: requests.Response) -> ErrorResolution:
        status = response.status_code
        url = response.request.url if response.request is not None else response.url
        path = path_of(url)
        # The body of these is not that of an error.
        code, said = (None, "") if 200 <= status < 400 else error_of(response)
        meaning = meaning_of(status, code)
        if meaning is Meaning.USABLE:
            return self._interpret_success(response, path)
        if meaning is Meaning.REFUSED:
            return self._refused(url, code)
        if meaning is Meaning.UNAUTHENTICATED:
            return self._unauthenticated()
        if meaning is Meaning.MISSING:
            if response.content == NOTHING and is_single(path):
                return self._nothing(response, path)
            return self._missing(url, said)
        return _RESOLUTIONS[meaning](Asked(self._host, path, status, said, proxy_of(response.url)))

    def _interpret_success(self, response: requests.Response, path: str) -> ErrorResolution:
        if DOWNLOAD.search(path):
            # A file may be HTML too, but then it is sent as a file; a page for a person is not.
            kind, sent_as = (response.headers.get(name, "") for name in ("Content-Type", "Content-Disposition"))
            if kind.startswith("text/html") and not sent_as:
                return _retry(f"{self._host} answered {path} with a page instead of a file.")
            return ErrorResolution(ResponseAction.SUCCESS)
        if is_single(path) and path not in BASE_ENDPOINTS and is_empty(response):
            return self._nothing(response, path)
        try:
            body = body_of(response)
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict | list):
            return _retry(
                f"{self._host} answered {path} with something that is not JSON of Backlog. {self._if_this_persists()}"
            )
        try:
            gone = fit(body, path)
        except Misshapen as error:
            return _retry(
                f"{self._host} answered {path} with {error}, as Backlog does not. "
                f"{self._if_this_persists(' If it is right, report the problem.')}"
            )
        for entry in mended_in(response):
            name = f"{path} {entry}".strip()
            warn_once(self.api_budget, f"Characters that cannot be read in {name} were replaced by U+FFFD.")
        if gone:
            mark_edited(response)
        if self.api_budget is not None:
            self.api_budget.answered = True
            if gone:
                before = f"Left out of {short(endpoint_of(path))}, because it cannot be read: "
                left_out_of(self.api_budget).collect(before, path, ".", gone)
        return ErrorResolution(ResponseAction.SUCCESS)

    def _nothing(self, response: requests.Response, path: str) -> ErrorResolution:
        """There is none, as Backlog says it of what a space may have once or not at all, such as a notice."""
        mark_missing(response)
        if has_id(path):
            return _skip(Cause.GONE, f"Backlog answers with nothing. {Cause.GONE.value}")
        return ErrorResolution(ResponseAction.IGNORE)

    def _if_this_persists(self, if_it_is_right: str = "") -> str:
        # Where other requests are answered, the domain is right.
        if self.api_budget is not None and self.api_budget.answered:
            return "Try again later; if this persists, report the problem."
        return f"If this persists, {domain_hint(self._host, 'check')}{if_it_is_right}"

    def _unauthenticated(self) -> ErrorResolution:
        if (self.config.get("credentials") or {}).get("auth_type") == "oauth2.0":
            return ErrorResolution(
                ResponseAction.REFRESH_TOKEN_THEN_RETRY,
                FailureType.config_error,
                "Backlog does not accept the OAuth access token. Authenticate the source again.",
            )
        others = other_addresses(self._host)
        elsewhere = f" ({self._host}, not {others})" if others else ""
        return _config_error(
            f"{self._host} does not accept the API key. Check that the key was copied whole, that it belongs to this "
            f"space{elsewhere}, and that it was not deleted; make a new one in Backlog under Personal Settings, API."
        )

    def _refused(self, url: str | None, code: int | None) -> ErrorResolution:
        cause = Cause.PLAN if code == LICENCE else Cause.ROLE
        if not can_do_without(url):
            return _config_error(
                f"Backlog refuses {path_of(url)}: {cause.value} Use the key of a user who may read issues."
            )
        return _skip(cause, cause.value)

    def _missing(self, url: str | None, message: str) -> ErrorResolution:
        said, path = message.rstrip(".") or "not found", path_of(url)
        if not can_do_without(url) and path != "issues":
            return _config_error(f"{self._host} has no {path} ({said}). {domain_hint(self._host)}")
        return _skip(Cause.GONE, f"Backlog answers '{said}'. {Cause.GONE.value}")

    @property
    def _host(self) -> str:
        return str(self.config.get("domain"))


class UntilTheWindowEnds(BackoffStrategy):
    """Waits after a 429 until the window of its category ends; other failures keep the CDK's 1, 2, 4 … seconds.

    One worker keeps to Nulab's pace, and waits a minute where the answer does not tell the end.

    Why Python: the CDK's header strategies compare `X-RateLimit-Reset` with the local clock, which may be off.
    """

    def __init__(self, space: Space | None) -> None:
        self._space = space
        self._is_serial = space is not None and space.num_workers == 1

    def backoff_time(
        self, response_or_exception: requests.Response | requests.RequestException | None, attempt_count: int
    ) -> float | None:
        """Seconds to wait before the next attempt."""
        if isinstance(response_or_exception, requests.Response) and response_or_exception.status_code == 429:
            wait = limits_of(self._space).seconds_until_reset(response_or_exception.url) if self._space else 0.0
            if not wait and self._is_serial and "X-RateLimit-Reset" not in response_or_exception.headers:
                return 60.0
            # The header may be missing, or the window may have ended while the answer was on its way.
            return wait or min(2.0**attempt_count, 60.0)
        return None


def domain_hint(host: str, verb: str = "Check") -> str:
    """What to do about a domain that is not that of a space, with the other addresses that it could have."""
    others = other_addresses(host)
    return (
        f"{verb} the space domain: it is the host name that your browser shows when you are logged in to Backlog"
        f"{f', perhaps {others}' if others else ', such as your-space.backlog.jp'}."
    )


def warn_once(space: Space | None, message: str) -> None:
    """Log a warning; of several streams that meet the same thing in one sync, only the first does."""
    if space is None:
        LOGGER.warning(message)
    else:
        space.once(f"warned: {message}", lambda: LOGGER.warning(message))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exceptions that `requests` and `urllib3` wrapped, outermost first."""
    while error is not None:
        yield error
        inner = getattr(error, "reason", None) or next(iter(error.args), None)
        error = inner if isinstance(inner, BaseException) else error.__cause__


def _skip(cause: Cause, reason: str) -> Skip:
    return Skip(ResponseAction.IGNORE, None, reason, cause)


def _retry(message: str) -> ErrorResolution:
    return ErrorResolution(ResponseAction.RETRY, FailureType.transient_error, message)


def _config_error(message: str) -> ErrorResolution:
    return ErrorResolution(ResponseAction.FAIL, FailureType.config_error, message)


def _our_mistake(message: str) -> ErrorResolution:
    return ErrorResolution(ResponseAction.FAIL, FailureType.system_error, message)


def _rejected(asked: Asked) -> ErrorResolution:
    mistake = _our_mistake(
        f"Backlog rejected the request {asked.path} with status {asked.status}: {asked.said or 'no reason given'}."
    )
    if asked.status != 400:
        return mistake
    return Rejection(mistake.response_action, mistake.failure_type, mistake.error_message)


def _with(word: str, path: str) -> str:
    return word + path if path else ""


def _proxy(asked: Asked) -> str:
    return f"The proxy {asked.proxy}" if asked.proxy else "The proxy"


def _proxy_asks(asked: Asked) -> ErrorResolution:
    return _config_error(
        f"{_proxy(asked)} asks for a user and a password (status 407). Write them into HTTPS_PROXY before the host, "
        f"as in user:password@proxy.example.com:8080. If {asked.host} can be reached without the proxy, name it in "
        "NO_PROXY."
    )
