"""Git repositories and pull requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from .base import HOST, Attachment, Entity, Upper, fragment_of, shapes, stamp
from .issues import Change, Issue
from .people import Star, User
from .projects import Project


@dataclass(slots=True, eq=False, repr=False)
class Repository(Entity):
    id: int
    project: Project
    name: str
    description: str | None
    hook_url: str | None
    display_order: int
    pushed_at: int | None
    created_user: User | None
    created: int
    updated_user: User | None
    updated: int
    pull_requests: list[PullRequest] = field(default_factory=list)
    next_number: int = 1

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "projectId": self.project.id,
            "name": self.name,
            "description": self.description,
            "hookUrl": self.hook_url,
            "httpUrl": f"{HOST}/git/{self.project.key}/{self.name}.git",
            "sshUrl": f"emulator@emulator.git.backlog.jp:/{self.project.key}/{self.name}.git",
            "displayOrder": self.display_order,
            "pushedAt": stamp(self.pushed_at),
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
            "updatedUser": fragment_of(self.updated_user),
            "updated": stamp(self.updated),
        }

    def short_shape(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, "description": self.description}


PULL_REQUEST_STATUSES = {1: "Open", 2: "Closed", 3: "Merged"}


@dataclass(slots=True, eq=False, repr=False)
class PullRequest(Entity):
    id: int
    repository: Repository
    number: int
    summary: str
    description: str
    base: str
    branch: str
    created_user: User | None
    created: int
    updated_user: User | None
    updated: int
    status_id: int = 1
    assignee: User | None = None
    issue: Issue | None = None
    base_commit: str | None = None
    branch_commit: str | None = None
    merge_commit: str | None = None
    close_at: int | None = None
    merge_at: int | None = None
    attachments: tuple[Attachment, ...] = ()
    stars: tuple[Star, ...] = ()
    comments: list[PullRequestComment] = field(default_factory=list)

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "projectId": self.repository.project.id,
            "repositoryId": self.repository.id,
            "number": self.number,
            "summary": self.summary,
            "description": self.description,
            "base": self.base,
            "branch": self.branch,
            "status": {"id": self.status_id, "name": PULL_REQUEST_STATUSES[self.status_id]},
            "assignee": fragment_of(self.assignee),
            "issue": orjson.Fragment(self.issue.dump()) if self.issue else None,
            "baseCommit": self.base_commit,
            "branchCommit": self.branch_commit,
            "mergeCommit": self.merge_commit,
            "closeAt": stamp(self.close_at),
            "mergeAt": stamp(self.merge_at),
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
            "updatedUser": fragment_of(self.updated_user),
            "updated": stamp(self.updated),
            "attachments": shapes(self.attachments),
            "stars": shapes(self.stars),
        }

    def list_shape(self) -> dict[str, Any]:
        """In the list, where it shows no attachments and no stars."""
        shape = self.shape()
        del shape["attachments"], shape["stars"]
        return shape

    def activity_content(self, *, comment: PullRequestComment | None, changes: Any = ()) -> dict[str, Any]:
        issue = self.issue
        return {
            "id": self.id,
            "number": self.number,
            "summary": self.summary,
            "description": self.description,
            "comment": {"id": comment.id, "content": comment.content or ""} if comment else None,
            "changes": [change.pull_request_content() for change in changes],
            "repository": self.repository.short_shape(),
            "issue": {
                "id": issue.id,
                "key_id": issue.number,
                "summary": issue.summary,
                "description": issue.description,
            }
            if issue
            else None,
        }


@dataclass(slots=True, eq=False, repr=False)
class PullRequestComment(Entity):
    """``old_blob``, ``new_blob``, ``file_path`` and ``position`` are set on comments about a line of the diff."""

    id: int
    pull_request: PullRequest
    content: str | None
    changes: tuple[Change, ...]
    created_user: User | None
    created: int
    updated: int
    old_blob: str | None = None
    new_blob: str | None = None
    file_path: str | None = None
    position: int | None = None
    stars: tuple[Star, ...] = ()
    notifications: tuple[Upper, ...] = ()

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "content": self.content,
            "oldBlobId": self.old_blob,
            "newBlobId": self.new_blob,
            "filePath": self.file_path,
            "position": self.position,
            "changeLog": [
                {"field": each.field, "newValue": each.new, "originalValue": each.old} for each in self.changes
            ],
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
            "updated": stamp(self.updated),
            "stars": shapes(self.stars),
            "notifications": [each.comment_shape() for each in self.notifications],
        }
