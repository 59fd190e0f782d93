"""Wiki pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .base import Attachment, Entity, Tag, fragment_of, shapes, stamp
from .files import SharedFile
from .people import Star, User
from .projects import Project


@dataclass(slots=True, eq=False, repr=False)
class WikiVersion(Entity):
    page_id: int
    version: int
    name: str
    content: str
    created_user: User | None
    created: int

    def shape(self) -> dict[str, Any]:
        return {
            "pageId": self.page_id,
            "version": self.version,
            "name": self.name,
            "content": self.content,
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
        }


@dataclass(slots=True, eq=False, repr=False)
class Wiki(Entity):
    id: int
    project: Project
    name: str
    content: str
    tags: tuple[Tag, ...]
    created_user: User | None
    created: int
    updated_user: User | None
    updated: int
    attachments: tuple[Attachment, ...] = ()
    shared_files: tuple[SharedFile, ...] = ()
    stars: tuple[Star, ...] = ()
    history: list[WikiVersion] = field(default_factory=list)

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "projectId": self.project.id,
            "name": self.name,
            "content": self.content,
            "tags": shapes(self.tags),
            "attachments": shapes(self.attachments),
            "sharedFiles": shapes(self.shared_files),
            "stars": shapes(self.stars),
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
            "updatedUser": fragment_of(self.updated_user),
            "updated": stamp(self.updated),
        }

    def list_shape(self) -> dict[str, Any]:
        """In the list: without content, attachments, shared files and stars."""
        return {
            "id": self.id,
            "projectId": self.project.id,
            "name": self.name,
            "tags": shapes(self.tags),
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
            "updatedUser": fragment_of(self.updated_user),
            "updated": stamp(self.updated),
        }

    def activity_content(self, *, diff: str | None = None, version: int | None = None) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "content": self.content,
            "diff": diff,
            "version": version,
            "attachments": [],
            "shared_files": [],
        }
