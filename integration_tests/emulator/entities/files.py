"""Shared files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .base import Entity, file_bytes, fragment_of, stamp
from .people import User


@dataclass(slots=True, eq=False, repr=False)
class SharedFile(Entity):
    """A file or a directory; ``dir`` begins and ends with a slash."""

    id: int
    project_id: int
    type: str
    dir: str
    name: str
    size: int | None
    created_user: User | None
    created: int
    updated_user: User | None
    updated: int

    @property
    def path(self) -> str:
        return self.dir + self.name

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "projectId": self.project_id,
            "type": self.type,
            "dir": self.dir,
            "name": self.name,
            "size": self.size,
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
            "updatedUser": fragment_of(self.updated_user),
            "updated": stamp(self.updated),
        }

    def content(self) -> bytes:
        return file_bytes("shared_file", f"{self.id}:{self.updated}", self.size or 0)

    def activity_content(self) -> dict[str, Any]:
        return {"id": self.id, "dir": self.dir, "name": self.name, "size": self.size}
