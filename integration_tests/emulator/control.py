"""The control interface, ``/_control/…``: what the Python API does, for other processes and for people.

Bodies and answers are JSON. The README of this package describes every call.
"""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson
from aiohttp import web

from .broken import PIECES
from .entities import Entity
from .model import CHANGES
from .server import JSON, Server
from .truth import truth


class ControlledServer(Server):
    """A server that answers ``/_control/…`` too. Such calls are not in the log of requests."""

    async def handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        raw_path, _, raw_query = incoming.raw_path.partition("?")
        path = unquote(raw_path)
        if not path.startswith("/_control"):
            return await super().handle(incoming)
        status, body = answer(self, incoming.method, path, raw_query, await incoming.read())
        return web.Response(status=status, body=body, headers={"Content-Type": JSON})


def answer(server: Server, method: str, path: str, query: str, body: bytes) -> tuple[int, bytes]:
    """Status and body of a control call."""
    name = path.removeprefix("/_control").strip("/") or "help"
    try:
        given = orjson.loads(body) if body else {}
        given |= dict(parse_qsl(query))
        command = COMMANDS.get((method, name.split("/")[0]))
        if command is None:
            return 404, orjson.dumps({"error": "no such control", "controls": [" ".join(key) for key in COMMANDS]})
        result = command(server, given, name.partition("/")[2])
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        return 400, orjson.dumps({"error": f"{type(error).__name__}: {error}"})
    return 200, orjson.dumps(result)


def _shown(value: Any) -> Any:
    """A result of a change as JSON."""
    if isinstance(value, Entity):
        return orjson.Fragment(value.dump())
    if isinstance(value, list | tuple):
        return [_shown(each) for each in value]
    return value


def help_text(server: Server, given: dict[str, Any], rest: str) -> Any:
    changes = {name: (change.__doc__ or "").strip().splitlines()[:1] for name, change in sorted(CHANGES.items())}
    return {"controls": [" ".join(key) for key in COMMANDS], "changes": changes}


def space(server: Server, given: dict[str, Any], rest: str) -> Any:
    model = server.space
    return {
        "address": server.host,
        "now": model.now.isoformat(),
        "users": {
            name: {"id": user.id, "userId": user.user_id, "apiKey": user.api_key, "roleType": user.role_type}
            for name, user in model.personas.items()
        },
        "projects": [{"id": each.id, "key": each.key, "archived": each.archived} for each in model.projects.values()],
        "issues": len(model.issues),
        "wikis": len(model.wikis),
        "documents": len(model.documents),
        "activities": len(model.activities),
    }


def config(server: Server, given: dict[str, Any], rest: str) -> Any:
    user = server.space.user(given.get("user"))
    return {"domain": server.host, "credentials": {"auth_type": "api_key", "api_key": user.api_key}}


def change(server: Server, given: dict[str, Any], rest: str) -> Any:
    """``POST /_control/change/<method>`` with its arguments.

    Where a method takes an object that has no id of its own (a comment, a reply, a watching, a notification), its id is
    looked up. ``target`` of a star and ``thing`` that is viewed are written ``{"comment": 123}``, ``{"wiki": 5}``, ….
    """
    method = CHANGES[rest]
    with server.space.lock:
        for name, find in REFERENCES.items():
            if name in given and name in method.__annotations__ and "str" not in method.__annotations__[name]:
                given[name] = find(server, given[name])
        for name in ("target", "thing"):
            if isinstance(given.get(name), dict):
                ((kind, identity),) = given[name].items()
                finders = {
                    **REFERENCES,
                    **{each: _by_model(each) for each in ("issue", "project", "wiki", "pull_request")},
                }
                given[name] = finders[kind](server, identity)
        return _shown(method(server.space, **given))


def _by_model(kind: str) -> Any:
    return lambda server, identity: getattr(server.space, kind)(identity)


def _comment(server: Server, identity: int | str) -> Any:
    space = server.space
    for holders in (space.issues, space.pull_requests, space.documents):
        for holder in holders.values():
            for each in holder.comments:
                if each.id == identity:
                    return each
    raise KeyError(f"no comment {identity}")


def _reply(server: Server, identity: int | str) -> Any:
    for document in server.space.documents.values():
        for comment in document.comments:
            for reply in comment.replies:
                if reply.id == identity:
                    return reply
    raise KeyError(f"no reply {identity}")


def _own(kind: str) -> Any:
    def find(server: Server, identity: int | str) -> Any:
        for user in server.space.users.values():
            for each in getattr(user, kind):
                if each.id == identity:
                    return each
        raise KeyError(f"nothing with id {identity}")

    return find


REFERENCES = {
    "comment": _comment,
    "reply": _reply,
    "watching": _own("watchings"),
    "notification": _own("notifications"),
}


def clock(server: Server, given: dict[str, Any], rest: str) -> Any:
    """``{"advance": seconds}`` or ``{"now": epoch seconds}``."""
    if "advance" in given:
        server.space.advance(int(given["advance"]))
    if "now" in given:
        server.space.set_now(int(given["now"]))
    return {"now": server.space.now.isoformat()}


def settings(server: Server, given: dict[str, Any], rest: str) -> Any:
    with server.space.lock:
        for name, value in given.items():
            if not hasattr(server.space.settings, name):
                raise KeyError(name)
            setattr(server.space.settings, name, value)
        server.space.version += 1
        return dataclasses.asdict(server.space.settings)


def quirks(server: Server, given: dict[str, Any], rest: str) -> Any:
    with server.space.lock:
        server.space.quirks.set(**given)
        server.space.version += 1
        return dataclasses.asdict(server.space.quirks)


def broken(server: Server, given: dict[str, Any], rest: str) -> Any:
    """The pieces that break a text, by kind."""
    return PIECES


def add_fault(server: Server, given: dict[str, Any], rest: str) -> Any:
    return dataclasses.asdict(server.faults.add(**given))


def clear_faults(server: Server, given: dict[str, Any], rest: str) -> Any:
    server.faults.clear()
    return {}


def requests(server: Server, given: dict[str, Any], rest: str) -> Any:
    kept = list(server.requests)
    if "last" in given:
        kept = kept[-int(given["last"]) :]
    return [dataclasses.asdict(each) for each in kept]


def clear_requests(server: Server, given: dict[str, Any], rest: str) -> Any:
    server.requests.clear()
    server.counts.clear()
    server.limits.refused = 0
    return {}


def stats(server: Server, given: dict[str, Any], rest: str) -> Any:
    return {
        "requests": sum(server.counts.values()),
        "by_pattern": dict(server.counts.most_common()),
        "refused": server.limits.refused,
    }


def limits(server: Server, given: dict[str, Any], rest: str) -> Any:
    """``{"read": 600, "search": null, …, "window_seconds": 60}``."""
    window = given.pop("window_seconds", None)
    server.limits.set(**given)
    if window is not None:
        server.limits.window_seconds = int(window)
    return {**server.limits.limits, "window_seconds": server.limits.window_seconds}


def consume(server: Server, given: dict[str, Any], rest: str) -> Any:
    user = server.space.user(given.get("user"))
    server.limits.consume(user.id, given["category"], int(given["number"]))
    return server.limits.status(user.id)


def trim(server: Server, given: dict[str, Any], rest: str) -> Any:
    return {"forgotten": server.space.trim_activities(keep=given.get("keep"), before=given.get("before"))}


def oauth(server: Server, given: dict[str, Any], rest: str) -> Any:
    """``POST /_control/oauth/authorize``, ``…/issue``, ``…/expire`` or ``…/revoke``."""
    if rest == "authorize":
        return {"code": server.oauth.authorize(given.get("user"))}
    if rest == "issue":
        return server.oauth.issue(given.get("user"))
    {"expire": server.oauth.expire_all, "revoke": server.oauth.revoke_all}[rest]()
    return {}


def expected(server: Server, given: dict[str, Any], rest: str) -> Any:
    """``GET /_control/truth/<stream>?user=…&projects=KEY,KEY``."""
    projects = given["projects"].split(",") if given.get("projects") else None
    return truth(
        server.space, rest, domain=server.host, limits=server.limits, user=given.get("user"), projects=projects
    )


COMMANDS = {
    ("GET", "help"): help_text,
    ("GET", "space"): space,
    ("GET", "config"): config,
    ("POST", "change"): change,
    ("POST", "clock"): clock,
    ("POST", "settings"): settings,
    ("POST", "quirks"): quirks,
    ("GET", "broken"): broken,
    ("POST", "faults"): add_fault,
    ("DELETE", "faults"): clear_faults,
    ("GET", "requests"): requests,
    ("DELETE", "requests"): clear_requests,
    ("GET", "stats"): stats,
    ("POST", "limits"): limits,
    ("POST", "consume"): consume,
    ("POST", "trim"): trim,
    ("POST", "oauth"): oauth,
    ("GET", "truth"): expected,
}
