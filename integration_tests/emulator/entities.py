"""The things a Backlog space is made of, and the JSON that the API shows for each of them.

Every class keeps plain Python values (epoch seconds for moments, ``yyyy-MM-dd`` text for calendar days, references for
other objects) and knows one thing only: its own API shape. ``shape()`` gives a dictionary whose nested objects may be
pre-serialised ``orjson.Fragment``s; ``dump()`` gives the JSON bytes. What an action changes besides the object itself
is decided in ``model.py`` and ``changes/``.

A space of 100,000 issues holds several hundred thousand of these objects, so all classes have slots, empty lists are
the shared empty tuple, and the bytes of an issue are kept until something inside them changes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

import orjson

HOST = "https://emulator.backlog.jp"
"""Host used inside URLs that the API returns (stars, icons, repositories)."""

_EPOCH = datetime(1970, 1, 1)


def stamp(seconds: int | None) -> str | None:
    """Epoch seconds as the API writes a moment: ``2026-06-30T09:00:00Z``."""
    if seconds is None:
        return None
    return (_EPOCH + timedelta(seconds=seconds)).isoformat() + "Z"


def day(value: str | None) -> str | None:
    """A calendar day as the API writes it: midnight UTC of that day, whatever the space's time zone."""
    return None if value is None else value + "T00:00:00Z"


def file_bytes(kind: str, identity: int | str, size: int) -> bytes:
    """The content of a file: always the same for the same kind, id and size."""
    block = hashlib.sha256(f"{kind}:{identity}".encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def compact(value: Any) -> bytes:
    """JSON bytes to keep. orjson's own result sits in a bigger buffer, which a hundred thousand times is a gigabyte."""
    written = orjson.dumps(value)
    return written[:-1] + written[-1:]


def shapes(objects: Any) -> list[Any]:
    return [each.shape() for each in objects]


def fragment_of(shared: Shared | None) -> orjson.Fragment | None:
    return None if shared is None else shared.fragment


class Entity:
    """Anything with an API shape."""

    __slots__ = ()

    def shape(self) -> dict[str, Any]:
        raise NotImplementedError

    def dump(self) -> bytes:
        return orjson.dumps(self.shape())


class Shared(Entity):
    """An object that stands inside many others, so its JSON is kept. ``refresh()`` after every change."""

    __slots__ = ("_fragment",)

    @property
    def fragment(self) -> orjson.Fragment:
        try:
            return self._fragment
        except AttributeError:
            self._fragment = orjson.Fragment(orjson.dumps(self.shape()))
            return self._fragment

    def refresh(self) -> None:
        if hasattr(self, "_fragment"):
            del self._fragment


# --- people ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
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


@dataclass(slots=True, eq=False)
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


# --- project and its settings ----------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Project(Shared):
    id: int
    key: str
    name: str
    display_order: int
    archived: bool = False
    use_wiki: bool = True
    use_document: bool = True
    use_file_sharing: bool = True
    use_git: bool = True
    use_subversion: bool = False
    chart_enabled: bool = True
    use_resolved_for_chart: bool = False
    subtasking_enabled: bool = True
    grandchild_issue_enabled: bool = True
    project_leader_can_edit_project_leader: bool = False
    use_wiki_tree_view: bool = True
    use_original_image_size_at_wiki: bool = False
    use_dev_attributes: bool = True
    text_formatting_rule: str | None = "markdown"
    next_number: int = 1
    members: list[User] = field(default_factory=list)
    administrators: list[User] = field(default_factory=list)
    teams: list[Team] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    issue_types: list[IssueType] = field(default_factory=list)
    categories: list[Category] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    custom_fields: list[CustomField] = field(default_factory=list)
    webhooks: list[Webhook] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    numbers: dict[int, Issue] = field(default_factory=dict)
    wikis: dict[int, Wiki] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    files: dict[int, SharedFile] = field(default_factory=dict)
    paths: dict[str, SharedFile] = field(default_factory=dict)
    repositories: list[Repository] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=lambda: dict.fromkeys(USAGE_KINDS, 0))

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "projectKey": self.key,
            "name": self.name,
            "chartEnabled": self.chart_enabled,
            "useResolvedForChart": self.use_resolved_for_chart,
            "subtaskingEnabled": self.subtasking_enabled,
            "grandchildIssueEnabled": self.grandchild_issue_enabled,
            "projectLeaderCanEditProjectLeader": self.project_leader_can_edit_project_leader,
            "useWiki": self.use_wiki,
            "useDocument": self.use_document,
            "useFileSharing": self.use_file_sharing,
            "useWikiTreeView": self.use_wiki_tree_view,
            "useSubversion": self.use_subversion,
            "useGit": self.use_git,
            "useOriginalImageSizeAtWiki": self.use_original_image_size_at_wiki,
            "textFormattingRule": self.text_formatting_rule,
            "archived": self.archived,
            "displayOrder": self.display_order,
            "useDevAttributes": self.use_dev_attributes,
        }

    def short_shape(self) -> dict[str, Any]:
        """The project inside activities and notifications, which lacks some flags."""
        return {
            "id": self.id,
            "projectKey": self.key,
            "name": self.name,
            "chartEnabled": self.chart_enabled,
            "subtaskingEnabled": self.subtasking_enabled,
            "projectLeaderCanEditProjectLeader": self.project_leader_can_edit_project_leader,
            "useWiki": self.use_wiki,
            "useFileSharing": self.use_file_sharing,
            "useSubversion": self.use_subversion,
            "useGit": self.use_git,
            "textFormattingRule": self.text_formatting_rule,
            "archived": self.archived,
            "displayOrder": self.display_order,
        }

    def disk_usage(self) -> dict[str, Any]:
        return {"projectId": self.id, **self.usage}

    def all_members(self, *, exclude_team_members: bool = False) -> list[User]:
        """Direct members, then those who are in through a team; nobody twice, nobody who left the space."""
        people = {user.id: user for user in self.members}
        if not exclude_team_members:
            for team in self.teams:
                for user in team.members:
                    people.setdefault(user.id, user)
        return [user for user in people.values() if user.active]


USAGE_KINDS = ("issue", "wiki", "document", "file", "subversion", "git", "gitLFS", "pullRequest")


@dataclass(slots=True, eq=False)
class Status(Shared):
    id: int
    project_id: int
    name: str
    color: str
    display_order: int

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "projectId": self.project_id,
            "name": self.name,
            "color": self.color,
            "displayOrder": self.display_order,
        }


@dataclass(slots=True, eq=False)
class IssueType(Shared):
    id: int
    project_id: int
    name: str
    color: str
    display_order: int
    template_summary: str | None = None
    template_description: str | None = None

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "projectId": self.project_id,
            "name": self.name,
            "color": self.color,
            "displayOrder": self.display_order,
        }

    def list_shape(self) -> dict[str, Any]:
        """In the project's list, and only there, with the templates."""
        return {
            **self.shape(),
            "templateSummary": self.template_summary,
            "templateDescription": self.template_description,
        }


@dataclass(slots=True, eq=False)
class Category(Shared):
    id: int
    project_id: int
    name: str
    display_order: int

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "projectId": self.project_id,
            "name": self.name,
            "displayOrder": self.display_order,
        }


@dataclass(slots=True, eq=False)
class Version(Shared):
    """A version and a milestone are one resource."""

    id: int
    project_id: int
    name: str
    description: str | None
    start_date: str | None
    release_due_date: str | None
    archived: bool
    display_order: int

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "projectId": self.project_id,
            "name": self.name,
            "description": self.description,
            "startDate": day(self.start_date),
            "releaseDueDate": day(self.release_due_date),
            "archived": self.archived,
            "displayOrder": self.display_order,
        }

    def activity_content(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "start_date": self.start_date,
            "reference_date": self.release_due_date,
            "description": self.description,
        }


@dataclass(slots=True, eq=False)
class Named(Shared):
    """A priority or a resolution."""

    id: int
    name: str

    def shape(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name}


@dataclass(slots=True, eq=False)
class CustomItem(Shared):
    id: int
    name: str
    display_order: int

    def shape(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, "displayOrder": self.display_order}


@dataclass(slots=True, eq=False)
class CustomField(Entity):
    """Types: 1 text, 2 text area, 3 number, 4 date, 5 single list, 6 multiple list, 7 checkboxes, 8 radio buttons.

    A value is, by type: text or None (1, 2); a number or None (3); ``yyyy-MM-dd`` or None (4); an item or None (5, 8);
    a tuple of items (6, 7). ``minimum`` and ``maximum`` are numbers (3) or days (4).
    """

    id: int
    project_id: int
    type_id: int
    name: str
    description: str
    required: bool
    applicable_issue_types: list[int]
    display_order: int
    minimum: float | str | None = None
    maximum: float | str | None = None
    initial_value: float | None = None
    unit: str | None = None
    initial_date: dict[str, Any] | None = None
    items: list[CustomItem] = field(default_factory=list)
    allow_add_item: bool = False
    allow_input: bool = False

    def shape(self) -> dict[str, Any]:
        shape: dict[str, Any] = {
            "id": self.id,
            "projectId": self.project_id,
            "typeId": self.type_id,
            "name": self.name,
            "description": self.description,
            "required": self.required,
            "useIssueType": bool(self.applicable_issue_types),
            "applicableIssueTypes": self.applicable_issue_types,
            "displayOrder": self.display_order,
        }
        if self.type_id == 3:
            shape |= {
                "min": self.minimum,
                "max": self.maximum,
                "initialValue": self.initial_value,
                "unit": self.unit,
            }
        elif self.type_id == 4:
            shape |= {
                "min": day(self.minimum),  # type: ignore[arg-type]
                "max": day(self.maximum),  # type: ignore[arg-type]
                "initialDate": self.initial_date,
            }
        elif self.type_id >= 5:
            shape |= {"items": shapes(self.items), "allowAddItem": self.allow_add_item}
            if self.type_id >= 7:
                shape["allowInput"] = self.allow_input
        return shape

    def empty(self) -> Any:
        return () if self.type_id in (6, 7) else None

    def applies_to(self, issue_type: IssueType) -> bool:
        return not self.applicable_issue_types or issue_type.id in self.applicable_issue_types

    def value_shape(self, value: Any, other: str | None) -> dict[str, Any]:
        """This field inside an issue's ``customFields``."""
        shown: Any = value
        if self.type_id == 4:
            shown = day(value)
        elif self.type_id in (5, 8):
            shown = fragment_of(value)
        elif self.type_id in (6, 7):
            shown = [item.fragment for item in value]
        shape = {"id": self.id, "fieldTypeId": self.type_id, "name": self.name, "value": shown}
        if self.type_id >= 7:
            shape["otherValue"] = other
        return shape

    def display(self, value: Any) -> str | None:
        """The value as a change log writes it."""
        if value is None or value == ():
            return None
        if self.type_id in (5, 8):
            return value.name
        if self.type_id in (6, 7):
            return ", ".join(item.name for item in value)
        return str(value)


@dataclass(slots=True, eq=False)
class Webhook(Entity):
    id: int
    name: str
    description: str
    hook_url: str
    all_event: bool
    activity_type_ids: list[int]
    created_user: User | None
    created: int
    updated_user: User | None
    updated: int

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "hookUrl": self.hook_url,
            "allEvent": self.all_event,
            "activityTypeIds": self.activity_type_ids,
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
            "updatedUser": fragment_of(self.updated_user),
            "updated": stamp(self.updated),
        }


# --- things that hang on others --------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Attachment(Entity):
    """``kind`` says of what: issue, wiki, document or pull_request. Document attachments have text ids elsewhere."""

    id: int
    kind: str
    name: str
    size: int
    created_user: User | None
    created: int

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "size": self.size,
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
        }

    def content(self) -> bytes:
        return file_bytes(self.kind, self.id, self.size)


@dataclass(slots=True, eq=False)
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


@dataclass(slots=True, eq=False)
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


@dataclass(slots=True, eq=False)
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


@dataclass(slots=True, eq=False)
class Change(Entity):
    """One entry of a change log. ``attachment`` is (id, name), ``attribute`` is (custom field id, type id)."""

    field: str
    new: str | None
    old: str | None
    attachment: tuple[int, str] | None = None
    attribute: tuple[int, int | str] | None = None
    notification: str | None = None

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
        custom = self.attribute is not None
        return {
            "field": f"attribute_{self.attribute[0]}" if self.attribute else self.field,
            "field_text": self.field,
            "new_value": self.new or "",
            "old_value": self.old or "",
            "type": "custom" if custom else "standard",
        }


@dataclass(slots=True, eq=False)
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


# --- issues ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
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


@dataclass(slots=True, eq=False)
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
    notifications: tuple[Notification, ...] = ()

    def shape(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "projectId": self.issue.project.id,
            "issueId": self.issue.id,
            "content": self.content,
            # Old servers and some docs give null where there is no change log.
            "changeLog": shapes(self.changes) if self.changes or self.id % 5 else None,
            "createdUser": fragment_of(self.created_user),
            "created": stamp(self.created),
            "updated": stamp(self.updated),
            "stars": shapes(self.stars),
            "notifications": [each.comment_shape() for each in self.notifications],
        }


@dataclass(slots=True, eq=False)
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


# --- wiki ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Tag(Entity):
    id: int | str
    name: str

    def shape(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name}


@dataclass(slots=True, eq=False)
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


@dataclass(slots=True, eq=False)
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


# --- documents -------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
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
        }


@dataclass(slots=True, eq=False)
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


@dataclass(slots=True, eq=False)
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


# --- git -------------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
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


@dataclass(slots=True, eq=False)
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

    def activity_content(self, *, comment: PullRequestComment | None, changes: Any = ()) -> dict[str, Any]:
        issue = self.issue
        return {
            "id": self.id,
            "number": self.number,
            "summary": self.summary,
            "description": self.description,
            "comment": {"id": comment.id, "content": comment.content or ""} if comment else None,
            "changes": [change.activity_content() for change in changes],
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


@dataclass(slots=True, eq=False)
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
    notifications: tuple[Notification, ...] = ()

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


# --- activities ------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
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
