"""Users, teams, and what belongs to one user."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from .base import HOST, Entity, Shared, fragment_of, stamp

if TYPE_CHECKING:
    from .activities import Activity
    from .documents import Document, DocumentComment, DocumentReply
    from .git import PullRequest, PullRequestComment
    from .issues import Comment, Issue
    from .projects import Project


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
    notifications: list[Notification] = field(default_factory=list)
    watchings: list[Watching] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)
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
        account = None
        if self.nulab_id is not None:
            account = {
                "nulabId": self.nulab_id,
                "name": self.name,
                "uniqueId": self.unique_id,
                "iconUrl": f"https://apps.nulab.com/icons/{self.unique_id}",
            }
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


@dataclass(slots=True, eq=False, repr=False)
class Watching(Entity):
    id: int
    user: User
    issue: Issue
    note: str | None
    created: int
    updated: int
    last_content_updated: int | None = None
    already_read: bool = True

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "resourceAlreadyRead": self.already_read,
            "alreadyRead": self.already_read,
            "note": self.note,
            "type": "issue",
            "issue": orjson.Fragment(self.issue.dump()),
            "lastContentUpdated": stamp(self.last_content_updated),
            "created": stamp(self.created),
            "updated": stamp(self.updated),
        }


@dataclass(slots=True, eq=False, repr=False)
class Notification(Entity):
    """One object shown in two places: in the receiver's list and inside the comment that caused it."""

    id: int
    reason: int
    user: User
    sender: User
    project: Project
    created: int
    issue: Issue | None = None
    comment: Comment | None = None
    pull_request: PullRequest | None = None
    pull_request_comment: PullRequestComment | None = None
    document: Document | None = None
    document_comment: DocumentComment | None = None
    document_reply: DocumentReply | None = None
    already_read: bool = False
    resource_already_read: bool = False

    def shape(self) -> dict[str, Any]:
        shape: dict[str, Any] = {
            "id": self.id,
            "alreadyRead": self.already_read,
            "reason": self.reason,
            "resourceAlreadyRead": self.resource_already_read,
            "project": self.project.short_shape(),
            "issue": orjson.Fragment(self.issue.dump()) if self.issue else None,
            "comment": self.comment.shape() if self.comment else None,
            "pullRequest": self.pull_request.shape() if self.pull_request else None,
            "pullRequestComment": self.pull_request_comment.shape() if self.pull_request_comment else None,
            "sender": self.sender.fragment,
            "created": stamp(self.created),
        }
        if self.document:
            shape["document"] = {"id": self.document.id, "title": self.document.title}
        if self.document_comment:
            shape["documentComment"] = self.document_comment.shape()
        if self.document_reply:
            shape["documentCommentReply"] = self.document_reply.shape()
        if self.pull_request:
            shape["repository"] = self.pull_request.repository.short_shape()
        return shape

    def comment_shape(self) -> dict[str, Any]:
        """Inside a comment's or an activity's ``notifications``."""
        return {
            "id": self.id,
            "alreadyRead": self.already_read,
            "reason": self.reason,
            "user": self.user.fragment,
            "resourceAlreadyRead": self.resource_already_read,
        }
