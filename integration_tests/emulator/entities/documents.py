"""Documents and their comments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .base import Attachment, Entity, Tag, fragment_of, shapes, stamp
from .people import User
from .projects import Project


@dataclass(slots=True, eq=False, repr=False)
class Document(Entity):
    """``status_id`` is 1 while active, 2 in the trash. ``json`` is ProseMirror JSON as text."""

    id: str
    project: Project
    title: str
    plain: str
    json: str
    emoji: str | None
    created_user: User | None
    created: int
    updated_user: User | None
    updated: int
    status_id: int = 1
    parent: Document | None = None
    attachments: tuple[Attachment, ...] = ()
    tags: tuple[Tag, ...] = ()
    comments: list[DocumentComment] = field(default_factory=list)

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "projectId": self.project.id,
            "title": self.title,
            "plain": self.plain,
            "json": self.json,
            "statusId": self.status_id,
            "emoji": self.emoji,
            "attachments": shapes(self.attachments),
            "tags": shapes(self.tags),
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
            "updatedUser": fragment_of(self.updated_user),
            "updated": stamp(self.updated),
            "childDocumentIds": [each.id for each in self.project.documents.values() if each.parent is self],
        }

    def node(self, children: list[dict[str, Any]]) -> dict[str, Any]:
        """In the project's tree, where no emoji is an empty text."""
        return {
            "id": self.id,
            "name": self.title,
            "emoji": self.emoji or "",
            "emojiType": "unicode" if self.emoji else None,
            "statusId": self.status_id,
            "updated": stamp(self.updated),
            "children": children,
        }


@dataclass(slots=True, eq=False, repr=False)
class DocumentReply(Entity):
    id: str
    comment: DocumentComment
    plain: str
    content: str
    created_user: User
    created: int
    updated_user: User
    updated: int

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "documentId": self.comment.document.id,
            "commentId": self.comment.id,
            "content": self.content,
            "plain": self.plain,
            "createdUserId": self.created_user.id,
            "created": stamp(self.created),
            "updatedUserId": self.updated_user.id,
            "updated": stamp(self.updated),
            "createdUser": self.created_user.internal_shape(),
        }


@dataclass(slots=True, eq=False, repr=False)
class DocumentComment(Entity):
    id: str
    document: Document
    plain: str
    content: str
    created_user: User
    created: int
    updated_user: User
    updated: int
    status_id: int = 1
    replies: list[DocumentReply] = field(default_factory=list)

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "documentId": self.document.id,
            "statusId": self.status_id,
            "content": self.content,
            "plain": self.plain,
            "commentType": "comment",
            "createdUserId": self.created_user.id,
            "created": stamp(self.created),
            "updatedUserId": self.updated_user.id,
            "updated": stamp(self.updated),
            "createdUser": self.created_user.internal_shape(),
            "replies": shapes(self.replies),
        }
