"""Users, teams and stars."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from .base import HOST, Entity, Shared, Upper, fragment_of, stamp


@dataclass(slots=True, eq=False, repr=False)
class User(Shared):
    id: int
    user_id: str | None
    name: str
    role_type: int
    lang: str | None
    mail_address: str | None
    nulab_id: str | None
    unique_id: str
    keyword: str | None
    last_login: int | None
    api_key: str
    created: int
    active: bool = True
    stars_received: list[Star] = field(default_factory=list)
    notifications: list[Upper] = field(default_factory=list)
    watchings: list[Upper] = field(default_factory=list)
    activities: list[Upper] = field(default_factory=list)
    viewed: dict[str, dict[int, int]] = field(default_factory=dict)

    RESTRICTED: ClassVar[frozenset[int]] = frozenset({3, 4, 5, 6})

    @property
    def is_administrator(self) -> bool:
        return self.role_type == 1

    @property
    def is_restricted(self) -> bool:
        """May only add or only view issues."""
        return self.role_type in self.RESTRICTED

    def shape(self) -> dict[str, Any]:
        account: dict[str, Any] | None = None
        if self.nulab_id is not None:
            account = {
                "nulabId": self.nulab_id,
                "name": self.name,
                "uniqueId": self.unique_id,
                "iconUrl": f"https://apps.nulab.com/icons/{self.unique_id}",
            }
        elif self.user_id is None:
            account = dict.fromkeys(("nulabId", "name", "uniqueId", "iconUrl"))
        return {
            "id": self.id,
            "userId": self.user_id,
            "name": self.name,
            "roleType": self.role_type,
            "lang": self.lang,
            "mailAddress": self.mail_address,
            "nulabAccount": account,
            "keyword": self.keyword,
            "lastLoginTime": stamp(self.last_login),
        }

    def activity_shape(self) -> dict[str, Any]:
        """Inside activities 15 and 16."""
        shape = self.shape()
        del shape["keyword"], shape["lastLoginTime"]
        return shape

    def internal_shape(self) -> dict[str, Any]:
        """The other user shape, seen only as author of document comments."""
        return {
            "id": self.id,
            "userId": self.user_id,
            "uniqueId": self.unique_id,
            "name": self.name,
            "mailAddress": self.mail_address,
            "roleType": 255,
            "lang": self.lang,
            "icon": f"{HOST}/api/v2/users/{self.id}/icon",
        }


@dataclass(slots=True, eq=False, repr=False)
class Team(Entity):
    id: int
    name: str
    members: list[User]
    display_order: int | None
    created_user: User | None
    created: int
    updated_user: User | None
    updated: int

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "members": [user.fragment for user in self.members],
            "displayOrder": self.display_order,
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
            "updatedUser": fragment_of(self.updated_user),
            "updated": stamp(self.updated),
        }


@dataclass(slots=True, eq=False, repr=False)
class Star(Entity):
    """``receiver`` is the author of ``target``; the API shows the target only through ``url``."""

    id: int
    comment: str | None
    url: str
    title: str
    presenter: User
    created: int
    receiver: User | None
    target: Any

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "comment": self.comment,
            "url": self.url,
            "title": self.title,
            "presenter": self.presenter.fragment,
            "created": stamp(self.created),
        }
