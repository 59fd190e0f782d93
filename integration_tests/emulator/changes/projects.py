"""Changes of projects and of their settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core import Core
from ..entities import (
    Category,
    CustomField,
    CustomItem,
    IssueType,
    Project,
    Status,
    Version,
    Webhook,
)
from .people import Who

Where = Project | int | str
"""A project, its id or its key."""

BUILT_IN_STATUSES = (
    (1, "未対応", "#ed8077"),
    (2, "処理中", "#4488c5"),
    (3, "処理済み", "#5eb5a6"),
    (4, "完了", "#b0be3c"),
)
_MILESTONE_FIELDS = {
    "name": "name",
    "description": "description",
    "start_date": "startDate",
    "release_due_date": "referenceDate",
    "archived": "archived",
}
ISSUE_TYPES = (("タスク", "#7ea800"), ("バグ", "#990000"), ("要望", "#ff9200"), ("その他", "#2779ca"))


class ProjectChanges(Core):
    def create_project(self, key: str, name: str, *, by: Who = None, **flags: Any) -> Project:
        """A new project with the built-in statuses and four issue types; the creator is its member. No activity.

        ``flags`` are attributes of ``Project`` (``use_wiki=False``, ``text_formatting_rule=None``, …).
        """
        if any(project.key == key for project in self.projects.values()):
            raise ValueError(f"the key {key} is taken")
        project = Project(id=self.ids.next("project"), key=key, name=name, display_order=2147483646, **flags)
        project.statuses = [
            Status(identity, project.id, label, color, 1000 * identity) for identity, label, color in BUILT_IN_STATUSES
        ]
        for label, color in ISSUE_TYPES:
            self.create_issue_type(project, label, color=color)
        project.members.append(self.user(by))
        self.projects[project.id] = project
        return project

    def update_project(self, project: Where, **changes: Any) -> Project:
        """Change the name or a flag (attributes of ``Project``). No stamp, no activity."""
        place = self.project(project)
        for name, value in changes.items():
            if name != "name" and not isinstance(getattr(place, name), bool) and name != "text_formatting_rule":
                raise TypeError(f"a project's {name} cannot be changed here")
            setattr(place, name, value)
        place.refresh()
        return place

    def archive_project(self, project: Where, archived: bool = True) -> Project:
        place = self.project(project)
        place.archived = archived
        place.refresh()
        return place

    def rename_project_key(self, project: Where, key: str) -> Project:
        """All issue keys of the project change; no issue's ``updated`` does."""
        place = self.project(project)
        if any(other.key == key for other in self.projects.values() if other is not place):
            raise ValueError(f"the key {key} is taken")
        place.key = key
        place.refresh()
        self.shared_change()
        return place

    def delete_project(self, project: Where) -> None:
        """The project and everything in it is gone, its activities too."""
        place = self.project(project)
        for issue in place.issues:
            del self.issues[issue.id]
        for wiki in place.wikis:
            del self.wikis[wiki]
        for document in place.documents:
            del self.documents[document]
        for repository in place.repositories:
            del self.repositories[repository.id]
            for request in repository.pull_requests:
                del self.pull_requests[request.id]
        for owner in (self, *self.users.values()):
            owner.activities[:] = [activity for activity in owner.activities if activity.project is not place]
        for user in self.users.values():
            user.watchings[:] = [each for each in user.watchings if each.issue.project is not place]
            user.notifications[:] = [each for each in user.notifications if each.project is not place]
            for kind, things in (("Issue", self.issues), ("Wiki", self.wikis)):
                viewed = user.viewed.get(kind, {})
                for identity in [identity for identity in viewed if identity not in things]:
                    del viewed[identity]
            user.viewed.get("Project", {}).pop(place.id, None)
        for issue in self.issues.values():
            if any(other.project is place for other in issue.related):
                issue.related = tuple(other for other in issue.related if other.project is not place)
        del self.projects[place.id]

    # --- issue types, categories, statuses: no stamps anywhere, and only a deleted status leaves an activity ---

    def create_issue_type(
        self,
        project: Where,
        name: str,
        *,
        color: str = "#7ea800",
        template_summary: str | None = None,
        template_description: str | None = None,
    ) -> IssueType:
        place = self.project(project)
        kind = IssueType(
            id=self.ids.next("issue_type"),
            project_id=place.id,
            name=name,
            color=color,
            display_order=len(place.issue_types),
            template_summary=template_summary,
            template_description=template_description,
        )
        place.issue_types.append(kind)
        return kind

    def update_issue_type(self, project: Where, issue_type: IssueType | int | str, **changes: Any) -> IssueType:
        """Change ``name``, ``color``, ``template_summary`` or ``template_description``."""
        return self._change_setting(self.one(self.project(project).issue_types, issue_type), changes)

    def delete_issue_type(
        self, project: Where, issue_type: IssueType | int | str, substitute: IssueType | int | str
    ) -> None:
        """Issues of the type get the substitute; their ``updated`` stays."""
        place = self.project(project)
        gone, other = self.one(place.issue_types, issue_type), self.one(place.issue_types, substitute)
        place.issue_types.remove(gone)
        for issue in place.issues:
            if issue.issue_type is gone:
                issue.issue_type = other
                issue.forget()

    def create_category(self, project: Where, name: str) -> Category:
        place = self.project(project)
        category = Category(self.ids.next("category"), place.id, name, 2147483646)
        place.categories.append(category)
        return category

    def update_category(self, project: Where, category: Category | int | str, *, name: str) -> Category:
        return self._change_setting(self.one(self.project(project).categories, category), {"name": name})

    def delete_category(self, project: Where, category: Category | int | str) -> None:
        """The category is taken off its issues; their ``updated`` stays."""
        place = self.project(project)
        gone = self.one(place.categories, category)
        place.categories.remove(gone)
        for issue in place.issues:
            if gone in issue.categories:
                issue.categories = tuple(each for each in issue.categories if each is not gone)
                issue.forget()

    def create_status(self, project: Where, name: str, *, color: str = "#393939") -> Status:
        place = self.project(project)
        if len(place.statuses) >= 12:
            raise ValueError("a project has at most 12 statuses")
        status = Status(self.ids.next("status"), place.id, name, color, 3500 + len(place.statuses))
        place.statuses.insert(-1, status)
        return status

    def update_status(self, project: Where, status: Status | int | str, **changes: Any) -> Status:
        """Change ``name`` or ``color``. No stamp moves, no activity."""
        return self._change_setting(self.one(self.project(project).statuses, status), changes)

    def delete_status(
        self,
        project: Where,
        status: Status | int | str,
        substitute: Status | int | str = 1,
        *,
        by: Who = None,
    ) -> None:
        """Issues get the substitute: activity 34 names them all, their ``updated`` stays."""
        place = self.project(project)
        gone, other = self.one(place.statuses, status), self.one(place.statuses, substitute)
        if gone.id <= 4:
            raise ValueError("a built-in status cannot be deleted")
        place.statuses.remove(gone)
        moved = [issue for issue in place.issues if issue.status is gone]
        for issue in moved:
            issue.status = other
            issue.forget()
        self.record(
            place,
            34,
            {
                "deletedStatus": {"name": gone.name},
                "link": [{"id": issue.id, "key_id": issue.number, "title": issue.summary} for issue in moved],
                "change": {"field": "status", "new_value": other.name, "type": "standard"},
            },
            self.user(by),
        )

    def _change_setting(self, setting: Any, changes: dict[str, Any]) -> Any:
        for name, value in changes.items():
            if name in ("id", "project_id") or not hasattr(setting, name):
                raise TypeError(f"{name} cannot be changed")
            setattr(setting, name, value)
        setting.refresh()
        self.shared_change()
        return setting

    # --- milestones ---

    def create_version(
        self,
        project: Where,
        name: str,
        *,
        description: str | None = None,
        start_date: str | None = None,
        release_due_date: str | None = None,
        by: Who = None,
    ) -> Version:
        """Activity 22."""
        place = self.project(project)
        version = Version(
            id=self.ids.next("version"),
            project_id=place.id,
            name=name,
            description=description,
            start_date=start_date,
            release_due_date=release_due_date,
            archived=False,
            display_order=2147483646,
        )
        place.versions.append(version)
        self.record(place, 22, version.activity_content(), self.user(by))
        return version

    def update_version(
        self, project: Where, version: Version | int | str, *, by: Who = None, **changes: Any
    ) -> Version:
        """Change ``name``, ``description``, ``start_date``, ``release_due_date`` or ``archived``: activity 23."""
        place = self.project(project)
        milestone = self.one(place.versions, version)
        log = [
            {
                "field": _MILESTONE_FIELDS[name],
                "new_value": str(value or ""),
                "old_value": str(getattr(milestone, name) or ""),
            }
            for name, value in changes.items()
        ]
        self._change_setting(milestone, changes)
        self.record(place, 23, {"id": milestone.id, "name": milestone.name, "changes": log}, self.user(by))
        return milestone

    def delete_version(self, project: Where, version: Version | int | str, *, by: Who = None) -> None:
        """Activity 24. The milestone is taken off its issues; their ``updated`` stays."""
        place = self.project(project)
        gone = self.one(place.versions, version)
        place.versions.remove(gone)
        for issue in place.issues:
            if gone in issue.versions or gone in issue.milestones:
                issue.versions = tuple(each for each in issue.versions if each is not gone)
                issue.milestones = tuple(each for each in issue.milestones if each is not gone)
                issue.forget()
        self.record(place, 24, gone.activity_content(), self.user(by))

    # --- custom fields: no stamps, no activities ---

    def create_custom_field(
        self,
        project: Where,
        name: str,
        type_id: int,
        *,
        items: Iterable[str] = (),
        issue_types: Iterable[IssueType | int | str] = (),
        description: str = "",
        required: bool = False,
        **extra: Any,
    ) -> CustomField:
        """``extra`` are the attributes of ``CustomField`` that only some types have (``minimum``, ``unit``, …)."""
        place = self.project(project)
        field = CustomField(
            id=self.ids.next("custom_field"),
            project_id=place.id,
            type_id=type_id,
            name=name,
            description=description,
            required=required,
            applicable_issue_types=[self.one(place.issue_types, kind).id for kind in issue_types],
            display_order=2147483646,
            items=[CustomItem(number, item, number - 1) for number, item in enumerate(items, start=1)],
            **extra,
        )
        place.custom_fields.append(field)
        self.shared_change()
        return field

    def rename_custom_field(self, project: Where, field: CustomField | int | str, name: str) -> CustomField:
        found = self.custom_field(self.project(project), field)
        found.name = name
        self.shared_change()
        return found

    def add_custom_field_item(self, project: Where, field: CustomField | int | str, name: str) -> CustomItem:
        found = self.custom_field(self.project(project), field)
        number = max((item.id for item in found.items), default=0) + 1
        found.items.append(CustomItem(number, name, number - 1))
        return found.items[-1]

    def delete_custom_field(self, project: Where, field: CustomField | int | str) -> None:
        """The field and its values are gone from the issues; their ``updated`` stays."""
        place = self.project(project)
        gone = self.custom_field(place, field)
        place.custom_fields.remove(gone)
        for issue in place.issues:
            if issue.custom_values:
                issue.custom_values.pop(gone.id, None)
        self.shared_change()

    # --- webhooks: own stamps, no activities ---

    def create_webhook(
        self, project: Where, name: str, *, activity_type_ids: Iterable[int] | None = None, by: Who = None
    ) -> Webhook:
        """For all events, or for the given activity types."""
        identity = self.ids.next("webhook")
        webhook = Webhook(
            id=identity,
            name=name,
            description="",
            hook_url=f"https://hooks.example.com/{identity}",
            all_event=activity_type_ids is None,
            activity_type_ids=list(activity_type_ids or ()),
            created_user=self.user(by),
            created=self.clock,
            updated_user=self.user(by),
            updated=self.clock,
        )
        self.project(project).webhooks.append(webhook)
        return webhook

    def update_webhook(
        self, project: Where, webhook: Webhook | int | str, *, by: Who = None, **changes: Any
    ) -> Webhook:
        """Change ``name``, ``description``, ``hook_url``, ``all_event`` or ``activity_type_ids``; stamped."""
        hook = self.one(self.project(project).webhooks, webhook)
        for name, value in changes.items():
            if name not in ("name", "description", "hook_url", "all_event", "activity_type_ids"):
                raise TypeError(f"a webhook's {name} cannot be changed")
            setattr(hook, name, value)
        hook.updated, hook.updated_user = self.clock, self.user(by)
        return hook

    def delete_webhook(self, project: Where, webhook: Webhook | int | str) -> None:
        place = self.project(project)
        place.webhooks.remove(self.one(place.webhooks, webhook))

    # --- the space itself ---

    def set_space_notification(self, content: str | None) -> None:
        self.notification_content, self.notification_updated = content, self.clock
