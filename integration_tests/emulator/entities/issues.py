"""Issues and comments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from .base import Attachment, Entity, Named, Upper, compact, day, fragment_of, shapes, stamp
from .files import SharedFile
from .people import Star, User
from .projects import Category, CustomField, IssueType, Project, Status, Version


@dataclass(slots=True, eq=False, repr=False)
class ExternalLink(Entity):
    id: int
    type: str
    url: str
    title: str
    created_user: User | None
    created: int
    updated_user: User | None
    updated: int

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": self.type,
            "url": self.url,
            "title": self.title,
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
            "updatedUser": fragment_of(self.updated_user),
            "updated": stamp(self.updated),
        }


@dataclass(slots=True, eq=False, repr=False)
class Change(Entity):
    """One entry of a change log. ``attachment`` is (id, name), ``attribute`` is (custom field id, type id)."""

    field: str
    new: str | None
    old: str | None
    attachment: tuple[int, str] | None = None
    attribute: tuple[int, int | str] | None = None
    notification: str | None = None
    ids: tuple[str, str] | None = None
    """What the feed gives for ``new`` and ``old``, where it does not give the names."""

    def shape(self) -> dict[str, Any]:
        attachment, attribute, notification = self.attachment, self.attribute, self.notification
        return {
            "field": self.field,
            "newValue": self.new,
            "originalValue": self.old,
            "attachmentInfo": {"id": attachment[0], "name": attachment[1]} if attachment else None,
            "attributeInfo": {"id": attribute[0], "typeId": attribute[1]} if attribute else None,
            "notificationInfo": {"type": notification} if notification else None,
        }

    def activity_content(self) -> dict[str, Any]:
        """In activities of issues. Names of milestones, versions and categories have a space before them."""
        new, old = self.ids or (self.new or "", self.old or "")
        if self.field in ("milestone", "version", "component") and not self.attribute:
            new, old = (value and f" {value}" for value in (new, old))
        return {
            "field": f"attribute_{self.attribute[0]}" if self.attribute else self.field,
            "new_value": new,
            "old_value": old,
            "type": "custom" if self.attribute else "standard",
        }

    def bulk_content(self) -> dict[str, Any]:
        """In activity 14: names without a space, days with slashes, no old value."""
        new = self.ids[0] if self.ids else self.new or ""
        if self.field in ("startDate", "limitDate"):
            new = new.replace("-", "/")
        return {"field": self.field, "new_value": new, "type": "standard"}

    def pull_request_content(self) -> dict[str, Any]:
        """In activities of pull requests."""
        new, old = self.ids or (self.new or "", self.old or "")
        return {"field": self.field, "new_value": new, "old_value": old}


@dataclass(slots=True, eq=False, repr=False)
class Issue(Entity):
    id: int
    project: Project
    number: int
    issue_type: IssueType
    summary: str
    description: str | None
    status: Status
    priority: Named | None
    created_user: User | None
    created: int
    updated_user: User | None
    updated: int
    resolution: Named | None = None
    assignee: User | None = None
    categories: tuple[Category, ...] = ()
    versions: tuple[Version, ...] = ()
    milestones: tuple[Version, ...] = ()
    start_date: str | None = None
    due_date: str | None = None
    estimated_hours: float | None = None
    actual_hours: float | None = None
    parent: Issue | None = None
    custom_values: dict[int, Any] | None = None
    other_values: dict[int, str] | None = None
    attachments: tuple[Attachment, ...] = ()
    shared_files: tuple[SharedFile, ...] = ()
    external_links: tuple[ExternalLink, ...] = ()
    stars: tuple[Star, ...] = ()
    related: tuple[Issue, ...] = ()
    children: tuple[Issue, ...] = ()
    comments: list[Comment] = field(default_factory=list)
    cached: bytes | None = None
    cached_epoch: int = -1

    epoch: ClassVar[list[int]] = [0]
    """Counts changes of objects shared by many issues (names of users, statuses, …): kept bytes die with it."""

    @property
    def key(self) -> str:
        return f"{self.project.key}-{self.number}"

    def value_of(self, custom_field: CustomField) -> Any:
        values = self.custom_values
        return custom_field.empty() if values is None else values.get(custom_field.id, custom_field.empty())

    def other_of(self, custom_field: CustomField) -> str | None:
        return None if self.other_values is None else self.other_values.get(custom_field.id)

    def shape(self) -> dict[str, Any]:
        kind = self.issue_type
        return {
            "id": self.id,
            "projectId": self.project.id,
            "issueKey": self.key,
            "keyId": self.number,
            "issueType": kind.fragment,
            "summary": self.summary,
            "description": self.description,
            "resolution": fragment_of(self.resolution),
            "priority": fragment_of(self.priority),
            "status": self.status.fragment,
            "assignee": fragment_of(self.assignee),
            "category": [each.fragment for each in self.categories],
            "versions": [each.fragment for each in self.versions],
            "milestone": [each.fragment for each in self.milestones],
            "startDate": day(self.start_date),
            "dueDate": day(self.due_date),
            "estimatedHours": self.estimated_hours,
            "actualHours": self.actual_hours,
            "parentIssueId": self.parent.id if self.parent else None,
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
            "updatedUser": fragment_of(self.updated_user),
            "updated": stamp(self.updated),
            "customFields": [
                each.value_shape(self.value_of(each), self.other_of(each))
                for each in self.project.custom_fields
                if each.applies_to(kind)
            ],
            "attachments": shapes(self.attachments),
            "sharedFiles": shapes(self.shared_files),
            "externalFileLinks": shapes(self.external_links),
            "stars": shapes(self.stars),
        }

    def dump(self) -> bytes:
        epoch = self.epoch[0]
        if self.cached is None or self.cached_epoch != epoch:
            self.cached = compact(self.shape())
            self.cached_epoch = epoch
        return self.cached

    def forget(self) -> None:
        """Drop the kept bytes: something inside them changed."""
        self.cached = None

    def participants(self) -> list[User]:
        people: dict[int, User] = {}
        for user in (self.created_user, self.assignee, *(comment.created_user for comment in self.comments)):
            if user is not None:
                people.setdefault(user.id, user)
        return list(people.values())

    def level(self) -> int:
        """1 for an issue without a parent, 2 for a child, 3 for a grandchild."""
        return 1 if self.parent is None else self.parent.level() + 1


@dataclass(slots=True, eq=False, repr=False)
class Comment(Entity):
    """Every change of an issue's field is a comment too: with a change log, without content unless one was given."""

    id: int
    issue: Issue
    content: str | None
    changes: tuple[Change, ...]
    created_user: User | None
    created: int
    updated: int
    stars: tuple[Star, ...] = ()
    notifications: tuple[Upper, ...] = ()

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "projectId": self.issue.project.id,
            "issueId": self.issue.id,
            "content": self.content,
            # Old servers and some docs give null where there is no change log.
            "changeLog": shapes(self.changes) if self.changes or self.id % 3 else None,
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
            "updated": stamp(self.updated),
            "stars": shapes(self.stars),
            "notifications": [each.comment_shape() for each in self.notifications],
        }
