"""What one user is told: watchings and notifications."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from .base import Entity, stamp
from .documents import Document, DocumentComment, DocumentReply
from .git import PullRequest, PullRequestComment
from .issues import Comment, Issue
from .people import User
from .projects import Project


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
            shape["document"] = self.document.shape()
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
