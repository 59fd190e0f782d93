"""The server: authentication, rate limits, faults and the log of requests around the endpoints.

It runs on an event loop of its own. An endpoint is answered in one step under the space's lock, so what it shows is
never half of a change.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from aiohttp import web

from . import endpoints
from .api import ApiError, Binary, Call, Empty, encode, find_route, parse
from .broken import on_the_wire
from .days import in_zone
from .entities import User
from .faults import Fault, Faults
from .limits import Limits
from .model import Space
from .oauth import BadToken, OAuth, OAuthError

assert endpoints

PREFIX = "/api/v2"
JSON = "application/json;charset=utf-8"
ANONYMOUS = 0
"""Whose budget pays for requests without a valid key."""


@dataclass(slots=True)
class Request:
    """A request in the log. ``at`` and ``until``, when its answer was ready, are real time in epoch seconds; ``status``
    0 means that no answer was given.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    at: float
    until: float = 0.0
    status: int = 0
    category: str = "read"
    pattern: str = ""
    user: str | None = None
    body: str = ""
    fault: str | None = None

    def value(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), None)


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Server:
    """One space over HTTP. ``latency`` is added to every answer, in seconds.

    With ``virtual_dates`` the header ``Date`` tells the virtual clock, else the real one.
    """

    def __init__(
        self,
        space: Space,
        limits: Limits,
        *,
        latency: float = 0.0,
        keep_requests: int = 1_000_000,
        virtual_dates: bool = False,
    ) -> None:
        self.space = space
        self.limits = limits
        self.latency = latency
        self.virtual_dates = virtual_dates
        self.faults = Faults()
        self.oauth = OAuth(space)
        self.requests: deque[Request] = deque(maxlen=keep_requests)
        self.counts: Counter[str] = Counter()
        self.hooks: list[Callable[[Request], Any]] = []
        self.keys: dict[str, User] = {}
        self.host = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen. Returns the address, ``host:port``."""
        runner = web.ServerRunner(web.Server(self.handle, access_log=None, keepalive_timeout=600), shutdown_timeout=0.5)
        await runner.setup()
        self._runner = runner
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        await web.SockSite(runner, listening, backlog=512).start()
        self.host = f"{host}:{listening.getsockname()[1]}"
        return self.host

    async def stop(self) -> None:
        await self._runner.cleanup()

    # --- one request ---

    async def handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        raw_path, _, raw_query = incoming.raw_path.partition("?")
        path = unquote(raw_path)
        request = Request(
            method=incoming.method,
            path=path,
            query=parse_qsl(raw_query, keep_blank_values=True),
            headers={str.__str__(name): value for name, value in incoming.headers.items()},
            at=time.time(),
        )
        if incoming.method != "GET":
            request.body = await incoming.text()
        for hook in tuple(self.hooks):
            hook(request)
        if self.latency:
            await asyncio.sleep(self.latency)
        answer = self.answer(request, raw_path)
        if self.virtual_dates:
            answer.headers["Date"] = formatdate(self.space.clock, usegmt=True)
        self.requests.append(request)
        self.counts[f"{request.method} {request.pattern or path}"] += 1
        request.until = time.time()
        fault = self.faults.strike(request.method, path, unquote(raw_query))
        if fault is not None:
            request.fault = fault.kind
            return await self._struck(fault, request, answer, incoming)
        request.status = answer.status
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async def _struck(
        self, fault: Fault, request: Request, answer: Answer, incoming: web.BaseRequest
    ) -> web.StreamResponse:
        transport = incoming.transport
        if fault.kind in ("slow", "hang"):
            await asyncio.sleep(fault.seconds)
        if fault.kind in ("reset", "hang"):
            if transport is not None:
                transport.abort()
            return web.Response(status=500)
        if fault.kind == "truncate" and transport is not None:
            request.status = answer.status
            head = [f"HTTP/1.1 {answer.status} OK", f"Content-Length: {len(answer.body)}"]
            head += [f"{name}: {value}" for name, value in answer.headers.items()]
            transport.write("\r\n".join([*head, "", ""]).encode() + answer.body[: len(answer.body) // 2])
            transport.close()
            return web.Response(status=500)
        if fault.kind == "slow":
            request.status = answer.status
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        body, content_type = fault.payload()
        request.status = fault.status
        limits = {name: value for name, value in answer.headers.items() if name.startswith("X-RateLimit")}
        headers = {**limits, "Content-Type": content_type, **fault.headers}
        return web.Response(status=fault.status, body=body, headers=headers)

    def answer(self, request: Request, raw_path: str) -> Answer:
        """Everything but faults."""
        if request.path == "/OAuth2AccessRequest.action":
            return self._authorize(request)
        if request.path == f"{PREFIX}/oauth2/token" and request.method == "POST":
            return self._token(request)
        found = None
        if raw_path.startswith(PREFIX + "/"):
            found = find_route(raw_path[len(PREFIX) :])
        if found is not None:
            request.pattern = PREFIX + found[0].pattern
            request.category = found[0].category
        if request.method != "GET":
            request.category = "update"
        with self.space.lock:
            try:
                user = self._user(request)
            except ApiError as error:
                _, headers = self.limits.take(ANONYMOUS, request.category)
                return Answer(error.status, error.body(), {"Content-Type": JSON, **headers})
            except BadToken as error:
                _, headers = self.limits.take(ANONYMOUS, request.category)
                challenge = f'Bearer error="invalid_token", error_description="{error}"'
                return Answer(401, b"", {**headers, "WWW-Authenticate": challenge})
            request.user = user.user_id or user.name
            allowed, headers = self.limits.take(user.id, request.category)
            headers["Content-Type"] = JSON
            try:
                if not allowed:
                    raise ApiError(429, 13, "Too many requests.")
                if found is None:
                    raise ApiError(404, 6, "Undefined resource.")
                if request.method != "GET":
                    raise ApiError(405, 7, "Only GET is emulated.")
                route, parts = found
                call = Call(
                    self.space,
                    user,
                    route,
                    {name: unquote(part) for name, part in parts.items()},
                    {},
                    lambda: self.limits.status(user.id),
                )
                call.check_role()
                pairs = [pair for pair in request.query if pair[0] != "apiKey"]
                call.values = parse(pairs, route.params, strict=route.strict)
                result = route.handler(call)
                if isinstance(result, Binary):
                    headers["Content-Type"] = result.content_type
                    headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(result.name, safe='')}"
                    return Answer(200, result.content, headers)
                if isinstance(result, Empty):
                    return Answer(result.status, b"", headers)
                body = on_the_wire(encode(result))
                return Answer(
                    200, in_zone(body, self.space.zone) if self.space.quirks.days == "zone" else body, headers
                )
            except ApiError as error:
                return Answer(error.status, error.body(), headers)

    def _user(self, request: Request) -> User:
        """Who asks: by header, query or token, in this order. Raises ``ApiError`` (401, code 11) or ``BadToken``."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        key = headers.get("backlog-api-key") or request.value("apiKey")
        bearer = headers.get("authorization", "")
        if key is None and bearer.startswith("Bearer "):
            return self.oauth.user_of(bearer.removeprefix("Bearer "))
        user = self.keys.get(key or "")
        if user is None:
            self.keys = {each.api_key: each for each in self.space.users.values()}
            user = self.keys.get(key or "")
        if user is None or not user.active:
            raise ApiError(401, 11, "Authentication failure.")
        return user

    def _token(self, request: Request) -> Answer:
        request.category, request.pattern = "update", f"{PREFIX}/oauth2/token"
        _, headers = self.limits.take(ANONYMOUS, "update")
        try:
            with self.space.lock:
                return Answer(
                    200, encode(self.oauth.token(dict(parse_qsl(request.body)))), {"Content-Type": JSON, **headers}
                )
        except OAuthError as error:
            return Answer(error.status, error.body(), {"Content-Type": JSON, **headers})

    def _authorize(self, request: Request) -> Answer:
        """The consent page, answered as if the administrator had agreed at once."""
        try:
            code = self.oauth.authorize(None, request.value("client_id") or "")
        except OAuthError as error:
            return Answer(error.status, error.body(), {"Content-Type": JSON})
        back = urlencode({"code": code, "state": request.value("state") or ""})
        return Answer(302, b"", {"Location": f"{request.value('redirect_uri')}?{back}"})
