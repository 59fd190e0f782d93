"""The config as the user typed it: brought into shape, and checked before any request is sent."""

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.transformations.config_transformations.config_transformation import (
    ConfigTransformation,
)
from airbyte_cdk.sources.declarative.validators.validation_strategy import ValidationStrategy
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.components.values import STAMP, as_instant

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOST = re.compile(rf"^({_LABEL}\.)+[a-z][a-z0-9-]*[a-z0-9]$")
# A host of this machine with a port: how an emulator is reached, and the only address that is asked over http.
LOOPBACK = re.compile(r"^(127\.0\.0\.1|localhost):\d{1,5}$")


def host_of(domain: Any) -> Any:
    """The host in what was typed or pasted as the domain: without scheme, path, blanks and capitals.

    What is no text is returned as it is, for the validation to name.
    """
    if not isinstance(domain, str):
        return domain
    text = domain.strip().lower()
    if "://" in text:
        text = urlsplit(text).netloc if text.startswith(("http://", "https://")) else text
    return text.split("/", 1)[0].rstrip(".")


@dataclass
class NormaliseDomain(ConfigTransformation):
    """Turns a pasted address into the host name that Airbyte's `allowedHosts` and the requests need.

    Why: the CDK's config transformations add, move and remove fields; none edits a text.
    """

    def transform(self, config: MutableMapping[str, Any]) -> None:
        """Edit `config` in place; the stored config stays as it was typed."""
        if "domain" in config:
            config["domain"] = host_of(config["domain"])


@dataclass
class SpaceDomain(ValidationStrategy):
    """Stops before the first request when the domain is no host name.

    Why: `ValidateAdheresToSchema` would answer with the regular expression.
    """

    def validate(self, value: Any) -> None:
        """Raise a config error that names the domain and the remedy."""
        host = host_of(value)
        if not isinstance(host, str) or not (HOST.match(host) or LOOPBACK.match(host)):
            raise AirbyteTracedException(
                message=(
                    f"'{value}' is not the host name of a Backlog space. Enter only the host, such as "
                    "your-space.backlog.jp, your-space.backlog.com or your-space.backlogtool.com."
                ),
                failure_type=FailureType.config_error,
            )


def check_start_date(config: Mapping[str, Any]) -> None:
    """Raise a config error when the start date is no date or lies in the future.

    Not a validator of the manifest: `DpathValidator` logs a line whenever the option is left empty.
    """
    date = config.get("start_date")
    instant = as_instant(date) if isinstance(date, str) else None
    if not date or (instant and instant <= datetime.now(UTC).strftime(STAMP)):
        return
    what = "lies in the future" if instant else "is not a date"
    raise AirbyteTracedException(
        message=f"The start date '{date}' {what}. Enter a past date such as 2024-01-01T00:00:00Z, or leave it empty.",
        failure_type=FailureType.config_error,
    )
