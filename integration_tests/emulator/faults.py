"""Faults to order: what networks, proxies and overloaded servers do to some requests.

| kind | what the client gets |
| --- | --- |
| status | the given ``status`` with a Backlog error body, or the given ``body`` |
| html | the given ``status`` with a page of HTML (maintenance, proxy, wrong space name) |
| invalid_json | 200 and JSON that ends in the middle, with a matching Content-Length |
| empty | 200 and no body |
| truncate | the right answer, cut off before its Content-Length, then a closed connection |
| reset | the connection is reset before any byte of an answer |
| slow | the right answer after ``seconds`` |
| hang | nothing for ``seconds``, then a reset |
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any

import orjson

KINDS = ("status", "html", "invalid_json", "empty", "truncate", "reset", "slow", "hang")


@dataclass
class Fault:
    """Strikes matching requests number ``after + 1`` to ``after + times`` (None: for ever)."""

    path: str
    kind: str = "status"
    status: int = 503
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    times: int | None = 1
    after: int = 0
    method: str = "GET"
    query: str | None = None
    seconds: float = 1.0
    seen: int = 0
    struck: int = 0

    def payload(self) -> tuple[bytes, str]:
        """Body and content type for the kinds that have their own."""
        if self.kind == "html":
            page = (
                self.body
                or "<!DOCTYPE html><html><head><title>Backlog</title></head><body>メンテナンス中</body></html>"
            )
            return page.encode(), "text/html;charset=utf-8"
        if self.kind == "invalid_json":
            return b'[{"id": 1, "summary": "cut off he', "application/json;charset=utf-8"
        if self.kind == "empty":
            return b"", "application/json;charset=utf-8"
        if isinstance(self.body, str):
            return self.body.encode(), "text/plain;charset=utf-8"
        body = self.body
        if body is None:
            code = {401: 11, 402: 2, 403: 5, 404: 6, 400: 7, 429: 13}.get(self.status, 1)
            body = {"errors": [{"message": "Ordered fault.", "code": code, "moreInfo": ""}]}
        return orjson.dumps(body), "application/json;charset=utf-8"


class Faults:
    """The faults in force, first match wins. May be changed while the server runs."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        path: str,
        *,
        kind: str = "status",
        status: int | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
        times: int | None = 1,
        after: int = 0,
        method: str = "GET",
        query: str | None = None,
        seconds: float = 1.0,
    ) -> Fault:
        """Order a fault. ``path`` and ``query`` are regular expressions searched in the decoded path and query string.

        ``status`` is 503 for the kinds ``status`` and ``html`` and 200 for the others unless given. ``body`` is text,
        or anything that JSON can hold. Returns the fault; ``fault.struck`` counts.
        """
        if kind not in KINDS:
            raise ValueError(f"unknown kind of fault {kind!r}, expected one of {', '.join(KINDS)}")
        fault = Fault(
            path=path,
            kind=kind,
            status=status or (503 if kind in ("status", "html") else 200),
            body=body,
            headers=headers or {},
            times=times,
            after=after,
            method=method,
            query=query,
            seconds=seconds,
        )
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def strike(self, method: str, path: str, query: str) -> Fault | None:
        """The fault that this request meets, if any. Counts."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if fault.method != method or not re.search(fault.path, path):
                    continue
                if fault.query is not None and not re.search(fault.query, query):
                    continue
                fault.seen += 1
                if fault.seen <= fault.after or (fault.times is not None and fault.struck >= fault.times):
                    continue
                fault.struck += 1
                return fault
        return None
