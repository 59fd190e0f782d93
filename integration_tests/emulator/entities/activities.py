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
    """``content`` is JSON, fixed when it happened. The single GET shows ``notifications``, lists only of old ones."""

    id: int
    project: Project | None
    type: int
    content: bytes
    created_user: User | None
    created: int
    notifications: tuple[Notification, ...] = ()
    notifications_listed: bool = False
    without_account: bool = False

    def shape(self, *, single: bool = False) -> dict[str, Any]:
        user: Any = None
        if self.created_user is not None:
            user = self.created_user.fragment
            if self.without_account:
                user = self.created_user.shape()
                del user["nulabAccount"]
        shown = self.notifications if single or self.notifications_listed else ()
        return {
            "id": self.id,
            "project": self.project.short_shape() if self.project else None,
            "type": self.type,
            "content": orjson.Fragment(self.content),
            "notifications": [each.comment_shape() for each in shown],
            "createdUser": user,
            "created": stamp(self.created),
        }
