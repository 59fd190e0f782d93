"""A Backlog space over HTTP on loopback: the test double of the connector.

Its behaviour follows the API reference of the project, not the connector: nothing here imports ``source_backlog``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from .control import ControlledServer
from .core import Settings
from .entities import User
from .faults import Faults
from .generator import generate
from .limits import Limits
from .model import Space
from .oauth import OAuth
from .quirks import Quirks
from .server import Request
from .truth import STREAMS, truth

__all__ = ["STREAMS", "Emulator", "Quirks", "Request", "Settings", "Space", "truth"]


class Emulator:
    """A generated space and its server, which runs in a background thread while the context is open.

    ``rate_limit`` gives requests per window by category (read, update, search, icon); what is missing has no limit.
    ``settings`` are attributes of ``core.Settings``, ``quirks`` of ``quirks.Quirks``. Everything else goes to
    ``generator.generate``. Instead of generating one, a ready ``space`` may be given. With ``virtual_dates`` answers
    bear the virtual clock as their date.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        space: Space | None = None,
        rate_limit: dict[str, int | None] | None = None,
        window_seconds: int = 60,
        latency: float = 0.0,
        settings: dict[str, Any] | None = None,
        quirks: dict[str, Any] | None = None,
        virtual_dates: bool = False,
        **sizes: Any,
    ) -> None:
        self.space = space or generate(seed=seed, quirks=quirks, **sizes)
        self.space.quirks.set(**quirks or {})
        for name, value in (settings or {}).items():
            if not hasattr(self.space.settings, name):
                raise TypeError(f"there is no setting {name}")
            setattr(self.space.settings, name, value)
        self.limits = Limits(rate_limit, window_seconds)
        self.server = ControlledServer(self.space, self.limits, latency=latency, virtual_dates=virtual_dates)
        self.address = ""

    def __enter__(self) -> Emulator:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="emulator", daemon=True)
        self._thread.start()
        self.address = asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result()
        return self

    def __exit__(self, *exception: object) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- for the client ---

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def api_key(self, user: User | int | str | None = None) -> str:
        """The key of a user (object, id, login id or persona); of the administrator by default."""
        return self.space.user(user).api_key

    def config(self, *, user: User | int | str | None = None, **overrides: Any) -> dict[str, Any]:
        """A configuration of the connector with the key of ``user``."""
        credentials = {"auth_type": "api_key", "api_key": self.api_key(user)}
        return {"domain": self.address, "credentials": credentials, **overrides}

    def oauth_config(self, *, user: User | int | str | None = None, **overrides: Any) -> dict[str, Any]:
        """A configuration of the connector with OAuth tokens of ``user``, valid for an hour of the virtual clock."""
        tokens = self.oauth.issue(user)
        credentials = {
            "auth_type": "oauth2.0",
            "client_id": "emulator-client",
            "client_secret": "emulator-secret",
            "access_token": tokens["access_token"],
            "refresh_token": tokens["refresh_token"],
        }
        return {"domain": self.address, "credentials": credentials, **overrides}

    # --- for the test ---

    @property
    def faults(self) -> Faults:
        return self.server.faults

    @property
    def oauth(self) -> OAuth:
        return self.server.oauth

    @property
    def requests(self) -> list[Request]:
        """The requests served so far, oldest first."""
        return list(self.server.requests)

    def clear_requests(self) -> None:
        self.server.requests.clear()
        self.server.counts.clear()
        self.limits.refused = 0

    def before_request(self, callback: Callable[[Request], Any]) -> Callable[[], None]:
        """Call ``callback`` with every API request before it is handled, on the server's thread.

        It may change the space; it must not make requests to this emulator. Returns a function that ends it.
        """
        self.server.hooks.append(callback)
        return lambda: self.server.hooks.remove(callback)

    def consume(self, category: str, number: int, *, user: User | int | str | None = None) -> None:
        """Another program of the same user makes requests."""
        self.limits.consume(self.space.user(user).id, category, number)

    def truth(
        self,
        stream: str,
        *,
        user: User | int | str | None = None,
        projects: list[int | str] | None = None,
        archived: bool = True,
    ) -> list[dict[str, Any]]:
        """The expected rows of a stream: see ``truth.truth``."""
        return truth(
            self.space,
            stream,
            domain=self.address,
            limits=self.limits,
            user=user,
            projects=projects,
            archived=archived,
        )
