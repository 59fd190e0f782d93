"""What was deleted: as the activity feed tells, and as lists that are read whole show by comparison."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airbyte_cdk.sources.types import StreamSlice

from source_backlog.components.activities import ActivityRetriever
from source_backlog.components.paging import rows_of
from source_backlog.components.projects import selected_projects
from source_backlog.components.values import STAMP, Row

# activity type -> entity; https://developer.nulab.com/docs/backlog/api/2/get-recent-updates
DELETED_BY_TYPE = {
    4: "issue",
    7: "wiki",
    10: "shared_file",
    16: "project_member",
    21: "pull_request",
    24: "version",
    26: "project_team",
    34: "status",
    37: "document",
    42: "document_comment",
    45: "document_comment_reply",
}

# Lists per project that leave no activity when an entry goes: endpoint -> entity.
COMPARED = {
    "issueTypes": "issue_type",
    "categories": "category",
    "customFields": "custom_field",
    "webhooks": "webhook",
}


@dataclass
class DeletionRetriever(ActivityRetriever):
    """One row per deleted object, incremental like the activities it is made from.

    What leaves no activity is found by comparing a list with that of the last sync, if a selected stream reads the
    list anyway, so that it costs no request. State, beside that of `ActivityRetriever`:
    `{"known": {"categories": {"<project id>": [<ids>]}, "projects": [<ids>]}}`.
    """

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """Deletions of the selected projects, oldest first, then those found by comparison."""
        projects = selected_projects(self.requester, self.config, self.api_budget)
        position = self.position(stream_slice)
        for activity in self.activities(stream_slice, [project["id"] for project in projects], position):
            entity = DELETED_BY_TYPE.get(activity.get("type") or 0)
            if entity and (entity != "pull_request" or self.is_gone(activity)):
                for identifier, key, name in named(entity, activity):
                    yield deletion(activity, entity, identifier, key, name)
        found, position["known"] = self.compared(projects, position.get("known") or {})
        yield from found
        self.advance(stream_slice, position)

    def is_gone(self, activity: Mapping[str, Any]) -> bool:
        """Whether the pull request of a type-21 activity is gone: the pages say "deleted", the SDKs "merged"."""
        content = activity.get("content") or {}
        project, repository = activity.get("project") or {}, content.get("repository") or {}
        path = (
            f"projects/{project.get('id')}/git/repositories/{repository.get('id')}/pullRequests/{content.get('number')}"
        )
        return not self.requester.exists(path)

    def compared(self, projects: list[Row], known: Row) -> tuple[list[Row], Row]:
        """Rows for what was in a list at the last sync and is not any more, and the lists as they are now."""
        rows: list[Row] = []
        now: Row = dict(known)
        before = set(known.get("projects") or [])
        rows += [self.gone_project(project_id) for project_id in sorted(before - {p["id"] for p in projects})]
        now["projects"] = [project["id"] for project in projects]
        for endpoint, entity in COMPARED.items():
            if not self.api_budget.is_read(f"projects/{{}}/{endpoint}"):
                continue
            then, lists = known.get(endpoint) or {}, {}
            for project in projects:
                body = self.requester.get_json(f"projects/{project['id']}/{endpoint}")
                if body is None:
                    continue
                ids = lists[str(project["id"])] = [row["id"] for row in rows_of(body)]
                for missing in set(then.get(str(project["id"]), [])) - set(ids):
                    rows.append(by_comparison(entity, missing, project, "deleted"))
            now[endpoint] = {**then, **lists}
        return rows, now

    def gone_project(self, project_id: int) -> Row:
        """The row for a project that is not selected any more: archived, not visible any more, or deleted."""
        everything = rows_of(self.requester.get_json("projects"))
        visible = next((project for project in everything if project.get("id") == project_id), None)
        if visible is not None:
            return by_comparison(
                "project", project_id, visible, "archived" if visible.get("archived") else "not_selected"
            )
        # Only an administrator sees the projects that he has not joined; nobody else can tell the two apart.
        others = rows_of(self.requester.get_json("projects", {"all": "true"})) if self.is_administrator() else None
        if others is None:
            return by_comparison("project", project_id, {"id": project_id}, "deleted_or_access_lost")
        hidden = next((project for project in others if project.get("id") == project_id), None)
        return by_comparison(
            "project", project_id, hidden or {"id": project_id}, "access_lost" if hidden else "deleted"
        )

    def is_administrator(self) -> bool:
        """Whether the key's user is an administrator of the space."""
        me = self.requester.get_json("users/myself")
        return isinstance(me, dict) and me.get("roleType") == 1


def named(entity: str, activity: Mapping[str, Any]) -> Iterator[tuple[Any, str | None, str | None]]:
    """Id, key and name of each object that a deleting activity names."""
    content = activity.get("content") or {}
    project = activity.get("project") or {}
    if entity == "project_member":
        for user in content.get("users") or []:
            yield user.get("id"), None, user.get("name")
    elif entity == "project_team":
        for party in content.get("parties") or content.get("group_project_activities") or []:
            yield party.get("id"), None, party.get("name")
    elif entity == "status":
        status = content.get("deletedStatus") or {}
        yield status.get("id") or status.get("name"), None, status.get("name")
    elif entity == "issue":
        yield content.get("id"), f"{project.get('projectKey')}-{content.get('key_id')}", content.get("summary")
    elif entity == "pull_request":
        yield content.get("id"), str(content.get("number")), content.get("summary")
    elif entity == "shared_file":
        yield content.get("id"), None, f"{content.get('dir') or ''}{content.get('name') or ''}"
    else:
        yield content.get("id"), None, content.get("name") or content.get("title")


def by_comparison(entity: str, identifier: Any, project: Mapping[str, Any], reason: str) -> Row:
    """A row for what was listed at the last sync and is not any more; nobody knows who and when."""
    return {
        "entity": entity,
        "entityId": str(identifier),
        "projectId": project.get("id"),
        "projectKey": project.get("projectKey"),
        "projectName": project.get("name"),
        "deletedAt": datetime.now(UTC).strftime(STAMP),
        "activityId": 0,
        "method": "comparison",
        "reason": reason,
    }


def deletion(activity: Mapping[str, Any], entity: str, identifier: Any, key: str | None, name: str | None) -> Row:
    """A row that an activity reports."""
    project, creator = activity.get("project") or {}, activity.get("createdUser") or {}
    return {
        "entity": entity,
        "entityId": str(identifier),
        "entityKey": key,
        "entityName": name,
        "projectId": project.get("id"),
        "projectKey": project.get("projectKey"),
        "projectName": project.get("name"),
        "deletedAt": activity.get("created"),
        "deletedByUserId": creator.get("id"),
        "deletedByUserName": creator.get("name"),
        "activityId": activity["id"],
        "activityTypeId": activity.get("type"),
        "method": "activity",
        "reason": "deleted",
    }
