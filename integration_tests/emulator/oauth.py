"""OAuth 2.0: the authorization code grant with refresh tokens that change at every use.

Access tokens live for ``Quirks.token_seconds`` of the space's virtual clock. A refresh token works once.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import orjson

from .entities import User
from .model import Space


class OAuthError(Exception):
    """Answered in the OAuth shape: ``{"error", "error_description"}``."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.description, self.status = error, description, status

    def body(self) -> bytes:
        return orjson.dumps({"error": self.error, "error_description": self.description})


class BadToken(Exception):
    """An access token that does not work; the text is the ``error_description`` of ``WWW-Authenticate``."""


@dataclass
class Grant:
    user: User
    client_id: str
    expires: int


class OAuth:
    """Clients (id to secret), codes and tokens of one space."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.clients = {"emulator-client": "emulator-secret"}
        self._codes: dict[str, Grant] = {}
        self._access: dict[str, Grant] = {}
        self._refresh: dict[str, Grant] = {}

    def authorize(self, user: User | int | str | None = None, client_id: str = "emulator-client") -> str:
        """What the consent page leads to: a code, good for one exchange."""
        if client_id not in self.clients:
            raise OAuthError("unauthorized_client", "The client is not registered.", 401)
        code = secrets.token_urlsafe(16)
        self._codes[code] = Grant(self.space.user(user), client_id, self.space.clock + 600)
        return code

    def issue(self, user: User | int | str | None = None, client_id: str = "emulator-client") -> dict[str, object]:
        """New tokens without the ceremony: the answer of the token endpoint."""
        person = self.space.user(user)
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        lifetime = self.space.quirks.token_seconds
        self._access[access] = Grant(person, client_id, self.space.clock + lifetime)
        self._refresh[refresh] = Grant(person, client_id, 0)
        return {"access_token": access, "token_type": "Bearer", "expires_in": lifetime, "refresh_token": refresh}

    def token(self, form: dict[str, str]) -> dict[str, object]:
        """The token endpoint. Raises ``OAuthError``."""
        client = form.get("client_id", "")
        if self.clients.get(client) is None or self.clients[client] != form.get("client_secret"):
            raise OAuthError("invalid_client", "The client could not be authenticated.", 401)
        grant_type = form.get("grant_type")
        if grant_type == "authorization_code":
            grant = self._codes.pop(form.get("code", ""), None)
            if grant is None or grant.client_id != client or grant.expires < self.space.clock:
                raise OAuthError("invalid_grant", "The authorization code is invalid or expired.")
        elif grant_type == "refresh_token":
            grant = self._refresh.get(form.get("refresh_token", ""))
            if grant is None or grant.client_id != client or not grant.user.active:
                raise OAuthError("invalid_grant", "The refresh token is invalid.")
            del self._refresh[form["refresh_token"]]
        else:
            raise OAuthError("unsupported_grant_type", "The grant type is not supported.")
        return self.issue(grant.user, client)

    def user_of(self, token: str) -> User:
        """Whose access token it is. Raises ``BadToken``."""
        grant = self._access.get(token)
        if grant is None or not grant.user.active:
            raise BadToken("The access token is invalid")
        if grant.expires <= self.space.clock:
            raise BadToken("The access token expired")
        return grant.user

    def expire_all(self) -> None:
        """All access tokens are expired now; refresh tokens still work."""
        for grant in self._access.values():
            grant.expires = self.space.clock

    def revoke_all(self) -> None:
        """No token works any more."""
        self._access.clear()
        self._refresh.clear()
