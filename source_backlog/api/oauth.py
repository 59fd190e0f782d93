"""OAuth 2.0 tokens: renewed before they expire, stored the moment they change."""

import threading
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import InitVar, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from airbyte_cdk.config_observation import emit_configuration_as_airbyte_control_message
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.auth.declarative_authenticator import DeclarativeAuthenticator
from airbyte_cdk.sources.streams.http.error_handlers import ErrorResolution, ResponseAction
from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.errors import domain_hint, without_answer
from source_backlog.api.network import authorities
from source_backlog.config import LOOPBACK
from source_backlog.values import STAMP, as_instant

ATTEMPTS = 3
TIMEOUT_SECONDS = (10.0, 30.0)
# What is left of a token's hour when it is renewed: a request that begins before still ends in time.
MARGIN = timedelta(seconds=60)
# Backlog's answer names the lifetime; this is what the pages say.
# https://developer.nulab.com/docs/backlog/auth
LIFETIME_SECONDS = 3600

# One per process: all streams share one config, and a refresh token works once.
_RENEWAL = threading.RLock()


class TokenStore:
    """Where new tokens go: to the platform, in a CONTROL message. `ConfigFile` is another such place."""

    def prepare(self) -> None:
        """Raise `AirbyteTracedException` if a new token could not be kept, while the old one still lives."""

    def keep(self, config: Mapping[str, Any]) -> None:
        """Keep the tokens of `config`, before they are used."""
        emit_configuration_as_airbyte_control_message(dict(config))


_STORES = [TokenStore()]


def keep_tokens_in(store: TokenStore) -> None:
    """Have new tokens of this process kept in `store` from now on."""
    _STORES[0] = store


@dataclass
class RotatingTokens(DeclarativeAuthenticator):
    """Bearer tokens whose refresh token changes at every use.

    Why not `OAuthAuthenticator` with `refresh_token_updater`: its request has no time-out, tries for five minutes (in
    `check` too), follows a redirect with the client's secret in the body, takes a wrong secret for a fault of the
    network, and renews a token of unknown expiry before it was tried.

    The config is the store: new tokens are written into it and sent to the platform in a CONTROL message at once,
    because the old refresh token is dead from then on.
    """

    config: Mapping[str, Any]
    parameters: InitVar[Mapping[str, Any]]

    def get_auth_header(self) -> Mapping[str, str]:
        """The header of the next request, with a token that has not expired as far as is known.

        Raises `AirbyteTracedException` when the token has to be renewed and cannot be.
        """
        with _RENEWAL:
            if self._has_expired():
                self._renew()
            return self._header()

    def replace(self, rejected: Mapping[str, str]) -> None:
        """Renew the token that Backlog rejected, unless another thread has already done so."""
        with _RENEWAL:
            if self._header() == rejected:
                self._renew()

    @property
    def _credentials(self) -> MutableMapping[str, Any]:
        credentials: MutableMapping[str, Any] = self.config["credentials"]
        return credentials

    def _header(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._credentials.get('access_token') or ''}"}

    def _has_expired(self) -> bool:
        if not self._credentials.get("access_token"):
            return True
        expiry = as_instant(self._credentials.get("token_expiry_date") or None)
        # Without a date the token is tried: Backlog says when it has expired.
        return expiry is not None and expiry <= (datetime.now(UTC) + MARGIN).strftime(STAMP)

    def _renew(self) -> None:
        _STORES[0].prepare()
        granted = self._ask()
        lifetime = granted.get("expires_in")
        seconds = lifetime if type(lifetime) is int and 0 < lifetime < 10**9 else LIFETIME_SECONDS
        stored = {"access_token": granted["access_token"]}
        if isinstance(granted.get("refresh_token"), str) and granted["refresh_token"]:
            stored["refresh_token"] = granted["refresh_token"]
        for secret in stored.values():
            add_to_secrets(secret)
        expiry = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime(STAMP)
        self._credentials.update({**stored, "token_expiry_date": expiry})
        _STORES[0].keep(self.config)

    def _ask(self) -> Mapping[str, Any]:
        host = str(self.config["domain"])
        url = f"{'http' if LOOPBACK.fullmatch(host) else 'https'}://{host}/api/v2/oauth2/token"
        fields = ("client_id", "client_secret", "refresh_token")
        form = {"grant_type": "refresh_token", **{name: self._credentials.get(name) for name in fields}}
        unanswered: ErrorResolution | None = None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = requests.post(
                    url, data=form, timeout=TIMEOUT_SECONDS, allow_redirects=False, verify=authorities()
                )
                unanswered = None
                answer = _object_of(response)
                if response.ok and isinstance(answer.get("access_token"), str) and answer["access_token"]:
                    return answer
                if 300 <= response.status_code < 500 and response.status_code not in (408, 429):
                    raise self._refused(host, response.status_code, answer)
            except OSError as error:
                # The exception may show the request.
                unanswered = without_answer(error, host)
                if unanswered.response_action == ResponseAction.FAIL:
                    break
            if attempt < ATTEMPTS:
                time.sleep(2 ** (attempt - 1))
        if unanswered is not None and unanswered.failure_type == FailureType.config_error:
            raise AirbyteTracedException(
                message=unanswered.error_message,
                internal_message="No answer from oauth2/token.",
                failure_type=FailureType.config_error,
            )
        raise AirbyteTracedException(
            message=f"{host} did not renew the OAuth access token. Try again later.",
            internal_message="No token from oauth2/token.",
            failure_type=FailureType.transient_error,
        )

    def _refused(self, host: str, status: int, answer: Mapping[str, Any]) -> AirbyteTracedException:
        if answer.get("error") == "invalid_grant":
            message = (
                "Backlog does not accept the refresh token: it was used elsewhere, revoked, or belongs to another "
                "client. Authenticate the source again."
            )
        elif status in (400, 401, 403):
            message = (
                "Backlog does not accept the Client ID and Client Secret of the OAuth application. Check both, then "
                "authenticate the source again."
            )
        else:
            message = f"{host} does not renew OAuth tokens, as a Backlog space does. {domain_hint(host)}"
        return AirbyteTracedException(
            message=message,
            internal_message=f"oauth2/token answered with status {status}.",
            failure_type=FailureType.config_error,
        )


def _object_of(response: requests.Response) -> Mapping[str, Any]:
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, Mapping) else {}
