"""Projects and their settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .base import Entity, Shared, Upper, day, fragment_of, shapes, stamp
from .files import SharedFile
from .people import Team, User

USAGE_KINDS = ("issue", "wiki", "document", "file", "subversion", "git", "gitLFS", "pullRequest")


@dataclass(slots=True, eq=False, repr=False)
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
    issues: list[Upper] = field(default_factory=list)
    numbers: dict[int, Upper] = field(default_factory=dict)
    wikis: dict[int, Upper] = field(default_factory=dict)
    documents: dict[str, Upper] = field(default_factory=dict)
    files: dict[int, SharedFile] = field(default_factory=dict)
    paths: dict[str, SharedFile] = field(default_factory=dict)
    repositories: list[Upper] = field(default_factory=list)
    activities: list[Upper] = field(default_factory=list)
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
            "useWikiTreeView": self.use_wiki_tree_view,
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


@dataclass(slots=True, eq=False, repr=False)
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


@dataclass(slots=True, eq=False, repr=False)
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


@dataclass(slots=True, eq=False, repr=False)
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


@dataclass(slots=True, eq=False, repr=False)
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


@dataclass(slots=True, eq=False, repr=False)
class CustomItem(Shared):
    id: int
    name: str
    display_order: int

    def shape(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, "displayOrder": self.display_order}


@dataclass(slots=True, eq=False, repr=False)
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
    version: int = 1

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
            "version": self.version,
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
        """This field inside an issue's ``customFields``. Where only ``otherValue`` is filled, ``value`` is null."""
        shown: Any = value
        if other is not None and not value:
            shown = None
        elif self.type_id == 4:
            shown = day(value)
        elif self.type_id in (5, 8):
            shown = fragment_of(value)
        elif self.type_id in (6, 7):
            shown = [item.fragment for item in value]
        shape = {"id": self.id, "fieldTypeId": self.type_id, "name": self.name, "value": shown}
        if self.type_id >= 7 or other is not None:
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


@dataclass(slots=True, eq=False, repr=False)
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
