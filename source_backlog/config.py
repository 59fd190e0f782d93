"""The config as the user typed it: brought into shape, and checked before any request is sent."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.transformations.config_transformations.config_transformation import (
    ConfigTransformation,
)
from airbyte_cdk.sources.declarative.validators.validation_strategy import ValidationStrategy
from airbyte_cdk.utils.airbyte_secrets_utils import update_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.values import STAMP, as_instant

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOST = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)+[a-z]([a-z0-9-]*[a-z0-9])")
# A host of this machine with a port: how an emulator is reached, and the only address that is asked over http.
LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost):(\d{1,5})")
# A space lives on exactly one of these: https://developer.nulab.com/docs/backlog/api/2/get-issue-list
SUFFIXES = (".backlog.jp", ".backlog.com", ".backlogtool.com")

# A date of the calendar in ISO 8601, alone or with a time; the form has the same pattern.
DATE = re.compile(
    r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}"
    r"(T[0-9]{2}(:?[0-9]{2}(:?[0-9]{2}([.,][0-9]+)?)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
)
# A shorter text is no key, and to mask it everywhere would garble the messages.
SHORTEST_SECRET = 8
# What can be sent in a header; keys and tokens are ASCII without blanks.
SECRET = re.compile(r"[\x21-\x7e]+")

API_KEY, OAUTH = "api_key", "oauth2.0"
CREDENTIALS = {
    API_KEY: {"api_key": "API Key"},
    OAUTH: {"client_id": "Client ID", "client_secret": "Client Secret", "refresh_token": "Refresh Token"},
}


def host_of(domain: Any) -> Any:
    """The host in what was typed or pasted as the domain: without scheme, path, blanks and capitals.

    Full-width letters and dots, as a Japanese keyboard makes them, become plain ones. What is no text is returned as
    it is, for the validation to name.
    """
    if not isinstance(domain, str):
        return domain
    text = unicodedata.normalize("NFKC", domain).replace("。", ".").strip().lower()
    if text.startswith(("http://", "https://")):  # ignore-https-check
        try:
            text = urlsplit(text).netloc
        except ValueError:
            return text
    return re.sub(r"(?::443|\.)+$", "", re.split(r"[/?#]", text, maxsplit=1)[0])


def date_of(typed: Any) -> Any:
    """The date in what was typed: without blanks around it, in capitals. What is no date is returned as it is."""
    text = typed.strip().upper() if isinstance(typed, str) else ""
    return text if DATE.fullmatch(text) else typed


def other_addresses(host: str) -> str:
    """The other two addresses that the space of `host` could have; empty for a host that is not Nulab's."""
    for suffix in SUFFIXES:
        if host.endswith(suffix):
            space = host.removesuffix(suffix)
            return " or ".join(space + other for other in SUFFIXES if other != suffix)
    return ""


@dataclass
class NormaliseDomain(ConfigTransformation):
    """Turns a pasted address into the host name that Airbyte's `allowedHosts` and the requests need.

    Blanks around a date, a pasted key or a token go too. Why: the CDK's config transformations add, move and remove
    fields; none edits a text.
    """

    def transform(self, config: MutableMapping[str, Any]) -> None:
        """Edit `config` in place; the stored config stays as it was typed, until a new token is stored with it."""
        if "domain" in config:
            config["domain"] = host_of(config["domain"])
        if "start_date" in config:
            config["start_date"] = date_of(config["start_date"])
        if isinstance(config.get("credentials"), Mapping):
            config["credentials"] = {
                name: value.strip() if isinstance(value, str) else value
                for name, value in config["credentials"].items()
            }


@dataclass
class SpaceDomain(ValidationStrategy):
    """Stops before the first request when the domain is no host name.

    Why: `ValidateAdheresToSchema` would answer with the regular expression.
    """

    def validate(self, value: Any) -> None:
        """Raise a config error that names the domain and the remedy."""
        check_domain(value)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise a config error, in words of the form that the user filled in, for the first thing that is wrong.

    Why not JSON Schema alone: its messages print the value, which may be a key that stands in the wrong place.
    """
    if "domain" not in config:
        raise _wrong("The Space Domain is missing. Enter the host name of your space, such as your-space.backlog.jp.")
    check_domain(config["domain"])
    _check_credentials(config.get("credentials"))
    _check_start_date(config.get("start_date"))
    projects = config.get("projects", [])
    if not isinstance(projects, list) or not all(isinstance(project, str) for project in projects):
        raise _wrong('Projects must be a list of project keys or ids as text, such as ["WEB", "12345"].')
    if not isinstance(config.get("include_archived_projects", True), bool):
        raise _wrong("Include Archived Projects must be true or false.")
    for name, title, choices in (
        ("deleted_records", "Deleted Records", ("deletions_stream", "tombstones")),
        ("issue_custom_fields", "Issue Custom Fields", ("array", "columns")),
    ):
        if config.get(name, choices[0]) not in choices:
            raise _wrong(f"{title} must be {' or '.join(choices)}.")
    for name, title, least, most in (
        ("num_workers", "Number of Workers", 1, 20),
        ("request_share_percent", "Share of the Request Limit", 1, 100),
        ("file_size_limit_mib", "File Size Limit", 1, 1500),
    ):
        number = config.get(name, most)
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            # Only a number is shown: a text may be a key that stands in the wrong place.
            shown = f", not {number}" if type(number) is int and abs(number) < 10**9 else ""
            raise _wrong(f"{title} must be a whole number from {least} to {most}{shown}.")


def unknown_options(config: Mapping[str, Any], form: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """The options in `config` that the `form`, a JSON schema, does not have.

    Each with the known one that it is most like, or "", and all known ones. What begins with an underscore is the
    platform's own, such as `__injected_declarative_manifest`.
    """
    credentials = config.get("credentials")
    kinds = form["properties"]["credentials"]["oneOf"]
    fields = sorted({name for kind in kinds for name in kind["properties"]})
    places = (config, list(form["properties"])), (credentials if isinstance(credentials, Mapping) else {}, fields)
    for given, known in places:
        for name in given:
            if name not in known and not name.startswith("_"):
                nearest = difflib.get_close_matches(name.lower(), known, 1)
                shown = "".join(letter if letter.isprintable() else " " for letter in name[:40])
                yield shown, "".join(nearest), known


def check_domain(value: Any) -> None:
    """Raise a config error when the domain is no host name of a space."""
    host = host_of(value)
    if not isinstance(host, str) or not host:
        raise _wrong("The Space Domain must be the host name of your space as text, such as your-space.backlog.jp.")
    if loopback := LOOPBACK.fullmatch(host):
        if int(loopback[2]) <= 65535:
            return
    elif host.split(":")[0] in ("backlog.jp", "backlog.com", "backlogtool.com", "www.backlog.com", "www.backlog.jp"):
        raise _wrong(
            f"'{host}' is Backlog's own address. Enter that of your space, such as your-space.backlog.jp, as your "
            "browser shows it when you are logged in."
        )
    elif HOST.fullmatch(host):
        return
    if "@" in host:
        raise _wrong("The Space Domain holds an @. Enter only the host name, without a user name or password.")
    if re.fullmatch(_LABEL, host):
        addresses = ", ".join(host + suffix for suffix in SUFFIXES)
        raise _wrong(
            f"'{host}' is only the name of a space. Enter its whole address as your browser shows it, one of "
            f"{addresses}."
        )
    shown = "".join(letter if letter.isprintable() else " " for letter in host[:100])
    raise _wrong(
        f"'{shown}' is not the host name of a Backlog space. Enter only the host, without a port or a path, such as "
        "your-space.backlog.jp, your-space.backlog.com or your-space.backlogtool.com."
    )


def _check_credentials(credentials: Any) -> None:
    kind = credentials.get("auth_type") if isinstance(credentials, Mapping) else None
    needed = CREDENTIALS.get(kind) if isinstance(kind, str) else None
    if needed is None:
        raise _wrong("Authentication is missing. Choose API Key or OAuth 2.0 and fill in its fields.")
    for name, title in {**needed, "access_token": "Access Token"}.items():
        value = credentials.get(name)
        if name not in needed and not value:
            continue
        if not isinstance(value, str) or not value.strip():
            raise _wrong(f"The {title} is missing. Fill it in, or choose another way of authentication.")
        if not SECRET.fullmatch(value.strip()):
            raise _wrong(f"The {title} is not one that Backlog gives. Copy it again, whole and alone.")


def _check_start_date(typed: Any) -> None:
    date = date_of(typed)
    if date is None or (isinstance(date, str) and not date.strip()):
        return
    instant = as_instant(date) if isinstance(date, str) and DATE.fullmatch(date) else None
    try:
        valid = bool(instant) and datetime.strptime(str(instant), STAMP) is not None
    except ValueError:
        valid = False
    if valid and str(instant) <= datetime.now(UTC).strftime(STAMP):
        return
    shown = f"'{date}' " if isinstance(date, str) and len(date) <= 40 and date.isprintable() else ""
    what = "lies in the future" if valid else "is not a date"
    raise _wrong(f"The Start Date {shown}{what}. Enter a past date such as 2024-01-01T00:00:00Z, or leave it empty.")


def _wrong(message: str) -> AirbyteTracedException:
    return AirbyteTracedException(
        message=message, internal_message="The config is not valid.", failure_type=FailureType.config_error
    )


def mask_secrets(config: Mapping[str, Any], also: Iterable[Any] = ()) -> None:
    """Have all texts of the credentials masked in every output, wherever in them they stand, and what else is given."""
    found = [*also, *_texts(config.get("credentials"))]
    kept = {text for text in found if isinstance(text, str) and len(text) >= SHORTEST_SECRET}
    # A secret may hold another one: the longest first.
    update_secrets(sorted(kept, key=len, reverse=True))


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for name, inner in value.items() if name != "auth_type" for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []
