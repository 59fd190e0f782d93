"""The feed of what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from .base import Entity, stamp
from .notices import Notification
from .people import User
from .projects import Project


@dataclass(slots=True, eq=False, repr=False)
class Activity(Entity):
    """``content`` is JSON, fixed when it happened. ``notifications`` show in the single GET only."""

    id: int
    project: Project | None
    type: int
    content: bytes
    created_user: User | None
    created: int
    notifications: tuple[Notification, ...] = ()
    without_account: bool = False

    def shape(self, *, single: bool = False) -> dict[str, Any]:
        user: Any = None
        if self.created_user is not None:
            user = self.created_user.fragment
            if self.without_account:
                user = self.created_user.shape()
                del user["nulabAccount"]
        return {
            "id": self.id,
            "project": self.project.short_shape() if self.project else None,
            "type": self.type,
            "content": orjson.Fragment(self.content),
            "notifications": [each.comment_shape() for each in self.notifications] if single else [],
            "createdUser": user,
            "created": stamp(self.created),
        }
