"""How every object becomes JSON, and what all of them share."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

HOST = "https://emulator.backlog.jp"
"""Host used inside URLs that the API returns (stars, icons, repositories)."""

Upper = Any
"""An object of a module above the one that says so: an issue in its project, a notification in its comment. Objects
hang together in circles, their modules do not, so its class has no name here."""


_EPOCH = datetime(1970, 1, 1)


def stamp(seconds: int | None) -> str | None:
    """Epoch seconds as the API writes a moment: ``2026-06-30T09:00:00Z``."""
    if seconds is None:
        return None
    return (_EPOCH + timedelta(seconds=seconds)).isoformat() + "Z"


def day(value: str | None) -> str | None:
    """A calendar day as the API writes it: midnight UTC of that day, whatever the space's time zone.

    A text that is no ``yyyy-MM-dd`` is shown as it is.
    """
    return value + "T00:00:00Z" if value and re.fullmatch(r"\d{4}-\d\d-\d\d", value) else value


def file_bytes(kind: str, identity: int | str, size: int) -> bytes:
    """The content of a file: always the same for the same kind, id and size."""
    block = hashlib.sha256(f"{kind}:{identity}".encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def compact(value: Any) -> bytes:
    """JSON bytes to keep. orjson's own result sits in a bigger buffer, which a hundred thousand times is a gigabyte."""
    written = orjson.dumps(value)
    return written[:-1] + written[-1:]


def shapes(objects: Any) -> list[Any]:
    return [each.shape() for each in objects]


def fragment_of(shared: Shared | None) -> orjson.Fragment | None:
    return None if shared is None else shared.fragment


class Entity:
    """Anything with an API shape."""

    __slots__ = ()

    def __repr__(self) -> str:
        # The generated one would print all that hangs together: the whole space.
        return f"<{type(self).__name__} {getattr(self, 'id', '')}>"

    def shape(self) -> dict[str, Any]:
        raise NotImplementedError

    def dump(self) -> bytes:
        return orjson.dumps(self.shape())


class Shared(Entity):
    """An object that stands inside many others, so its JSON is kept. ``refresh()`` after every change."""

    __slots__ = ("_fragment",)

    @property
    def fragment(self) -> orjson.Fragment:
        try:
            return self._fragment
        except AttributeError:
            self._fragment = orjson.Fragment(orjson.dumps(self.shape()))
            return self._fragment

    def refresh(self) -> None:
        if hasattr(self, "_fragment"):
            del self._fragment


@dataclass(slots=True, eq=False, repr=False)
class Named(Shared):
    """A priority or a resolution."""

    id: int
    name: str

    def shape(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name}


@dataclass(slots=True, eq=False, repr=False)
class Tag(Entity):
    id: int | str
    name: str

    def shape(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name}


@dataclass(slots=True, eq=False, repr=False)
class Attachment(Entity):
    """``kind`` says of what: issue, wiki, document or pull_request. Document attachments have text ids elsewhere."""

    id: int
    kind: str
    name: str
    size: int
    created_user: Shared | None
    created: int

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "size": self.size,
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
        }

    def short_shape(self) -> dict[str, Any]:
        """In activities and in a wiki page's list of files."""
        return {"id": self.id, "name": self.name, "size": self.size}

    def content(self) -> bytes:
        return file_bytes(self.kind, self.id, self.size)
