"""What was deleted: as the activity feed tells, and as lists that are read whole show by comparison."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from airbyte_cdk.sources.types import StreamSlice

from source_backlog.changes.feed import feed_of
from source_backlog.changes.paging import Unreadable, by_id, by_offset, rows_of
from source_backlog.changes.projects import selected_projects, selection, visible_projects
from source_backlog.streams.activities import ActivityRetriever
from source_backlog.values import STAMP, Position, Row, as_instant

LOGGER = logging.getLogger("airbyte.source_backlog")

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

PULL_REQUESTS = "projects/{}/git/repositories/{}/pullRequests"
# The key of the lists that belong to no project, where the others have the id of theirs.
WHOLE_SPACE = "space"

# {"<project id>": {"<id>": "<name>"}}
Lists = dict[str, dict[str, str | None]]
# {"<path of COMPARED>": Lists}
Known = dict[str, Lists]


class Compared(NamedTuple):
    """A complete list, whose entries are of `entity`; with `feature` only projects that have it on have the list."""

    entity: str
    feature: str = ""


# Most of them leave no activity when an entry goes. The others do, but the feed may no longer reach back to it, or
# something else took the entry away: a project's members go with their account and with their team.
COMPARED = {
    "projects/{}/issueTypes": Compared("issue_type"),
    "projects/{}/categories": Compared("category"),
    "projects/{}/customFields": Compared("custom_field"),
    "projects/{}/webhooks": Compared("webhook"),
    "projects/{}/git/repositories": Compared("git_repository", "useGit"),
    "projects/{}/statuses": Compared("status"),
    "projects/{}/versions": Compared("version"),
    "projects/{}/users": Compared("project_member"),
    "projects/{}/teams": Compared("project_team"),
    "wikis": Compared("wiki", "useWiki"),
    "users": Compared("user"),
    "teams": Compared("team"),
}


@dataclass
class DeletionRetriever(ActivityRetriever):
    """One row per deleted object, incremental like the activities it is made from.

    What leaves no activity is found by comparing a list with that of the last sync, if a selected stream reads the
    list anyway, so that it costs no request. State, beside that of `ActivityRetriever`: `known`, with the key of
    each project and, by endpoint of `COMPARED`, project and id, the names of what was there:
    `{"projects": {"1": "WEB"}, "projects/{}/categories": {"1": {"7": "Design"}}}`.
    """

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """Deletions of the selected projects, oldest first, then those found by comparison."""
        projects = selected_projects(self.requester, self.config, self.api_budget)
        start = as_instant(self.config.get("start_date"))
        position = self.position(stream_slice)
        known = position.setdefault("known", {})
        now = {path: self.lists(path, projects, known.get(path) or {}) for path in COMPARED}
        for activity in self.activities(stream_slice, [project["id"] for project in projects], position):
            entity = DELETED_BY_TYPE.get(activity.get("type") or 0)
            if not entity or (entity == "pull_request" and not self.was_deleted(activity, projects)):
                continue
            for row in deletions(entity, activity):
                # What the feed reports must not be missed in a list too: not by a sync that goes on from the next
                # checkpoint, and not by the next one, if the list was read before the deletion.
                for lists in (now, known):
                    forget(lists, row)
                if not start or (as_instant(row["deletedAt"]) or start) >= start:
                    yield row
        yield from self.gone_projects(projects, known.get("projects") or {})
        yield from self.missing(projects, known, now, position)
        position["known"] = {
            "projects": {str(project["id"]): project.get("projectKey") for project in projects},
            **{path: lists for path, lists in now.items() if lists},
        }
        self.advance(stream_slice, position)

    def missing(self, projects: list[Row], then: Known, now: Known, position: Position) -> Iterator[Row]:
        """Rows for what was in a list at the last sync and is not any more."""
        places: dict[str, Row] = {WHOLE_SPACE: {}, **{str(project["id"]): project for project in projects}}
        found = [
            (path, key, identifier, name)
            for path, lists in now.items()
            for key in lists.keys() & places.keys()
            for identifier, name in ((then.get(path) or {}).get(key) or {}).items()
            if identifier not in lists[key]
        ]
        entities = {COMPARED[path].entity for path, *_ in found}
        later = self.reported_later(position) if entities & set(DELETED_BY_TYPE.values()) else []
        for path, key, identifier, name in found:
            row = by_comparison(COMPARED[path].entity, identifier, places[key], "deleted", None, name)
            if any(is_same(row, other) for other in later):
                # The next sync reports it from the feed.
                now[path][key][identifier] = name
            else:
                yield row

    def reported_later(self, position: Position) -> list[Row]:
        """What the feed reports behind the place up to which this sync has read it."""
        types = [kind for kind, entity in DELETED_BY_TYPE.items() if entity != "pull_request"]
        after = by_id(
            lambda page: self.requester.get_json("space/activities", {**page, "activityTypeId[]": types}),
            position["activity"],
        )
        return [row for activity in after for row in deletions(DELETED_BY_TYPE[activity["type"]], activity)]

    def was_deleted(self, activity: Mapping[str, Any], projects: list[Row]) -> bool:
        """Whether the pull request of a type-21 activity was deleted: the pages say "deleted", the SDKs "merged".

        Backlog decides. It is asked only about what is not in the list that another stream has read; the list knows
        everything up to the head of the feed, which was asked for first.
        """
        content = activity.get("content") or {}
        project_id, number = (activity.get("project") or {}).get("id"), content.get("number")
        if any(project["id"] == project_id and project.get("useGit") is False for project in projects):
            # Backlog then answers like for a pull request that is gone, and has no row of it either.
            return False
        path = PULL_REQUESTS.format(project_id, (content.get("repository") or {}).get("id"))
        if self.api_budget.is_read(path):
            head = feed_of(self.api_budget).head(self.requester)
            listed: set[Any] = self.api_budget.once(f"numbers of {path}", lambda: self.numbers(path))
            if activity["id"] <= head and number in listed:
                return False
        return self.requester.is_missing(f"{path}/{number}")

    def numbers(self, path: str) -> set[Any]:
        """The numbers of the pull requests of a repository."""
        try:
            return {row.get("number") for row in by_offset(lambda page: self.requester.get_json(path, page))}
        except Unreadable:
            return set()

    def lists(self, path: str, projects: list[Row], then: Lists) -> Lists:
        """The lists of an endpoint, by project, as they are now; `then` where they are not read or not answered."""
        if not self.api_budget.is_read(path):
            return then
        now = dict(then)
        if path in ("users", "teams"):
            now |= self.one_list(WHOLE_SPACE, path, {})
            return now
        for project in projects:
            if not COMPARED[path].feature or project.get(COMPARED[path].feature) is not False:
                params = {"projectIdOrKey": project["id"]} if path == "wikis" else {}
                now |= self.one_list(str(project["id"]), path.format(project["id"]), params)
        return now

    def one_list(self, key: str, path: str, params: Row) -> Lists:
        """One list under its key; nothing when Backlog does not give it."""

        def fetch(page: Row) -> list[Row]:
            body = self.requester.get_json(path, page)
            if not isinstance(body, list):
                raise Unreadable
            return body

        try:
            rows = by_offset(fetch) if path == "teams" else fetch(params)
            return {key: {str(row["id"]): row.get("name") for row in rows_of(list(rows)) if "id" in row}}
        except Unreadable:
            return {}

    def gone_projects(self, projects: list[Row], known: Mapping[str, str | None]) -> Iterator[Row]:
        """Rows for projects that were there at the last sync: archived, not visible any more, or deleted.

        A project that the options no longer select has not gone anywhere.
        """
        gone = {number: key for number, key in known.items() if number not in {str(p["id"]) for p in projects}}
        if not gone:
            return
        visible = {str(row["id"]): row for row in visible_projects(self.requester, self.api_budget)}
        others = self.all_projects() if gone.keys() - visible.keys() else None
        for number, key in gone.items():
            project: Row = {"id": int(number), "projectKey": key}
            if number in visible:
                project |= visible[number]
                if not project.get("archived") or not selection([{**project, "archived": False}], self.config)[0]:
                    continue
                reason = "archived"
            elif others is None:
                reason = "deleted_or_access_lost"
            else:
                project |= others.get(number) or {}
                reason = "access_lost" if number in others else "deleted"
            yield by_comparison("project", number, project, reason, project["projectKey"], project.get("name"))

    def all_projects(self) -> dict[str, Row] | None:
        """All projects of the space, by id; None when the user of the key may not see them, not being administrator."""
        me = self.requester.get_json("users/myself")
        if not isinstance(me, dict) or me.get("roleType") != 1:
            return None
        body = self.requester.get_json("projects", {"all": "true"})
        return {str(row["id"]): row for row in rows_of(body) if "id" in row} if isinstance(body, list) else None


def forget(known: Known, row: Row) -> None:
    """Take the object of a deletion out of the lists; a status, which the feed names only, gets its id from there."""
    path = next((path for path, compared in COMPARED.items() if compared.entity == row["entity"]), "")
    entries = (known.get(path) or {}).get(str(row["projectId"])) or {}
    for identifier, name in list(entries.items()):
        if is_same(row, {**row, "entityId": identifier, "entityName": name}):
            row["entityId"] = identifier
            del entries[identifier]


def is_same(one: Row, other: Row) -> bool:
    """Whether two deletions are of the same object."""
    if (one["entity"], one["projectId"]) != (other["entity"], other["projectId"]):
        return False
    column = "entityName" if one["entity"] == "status" and one["entityId"] != other["entityId"] else "entityId"
    return bool(one[column] == other[column])


def deletions(entity: str, activity: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of an activity that deletes."""
    project, creator = activity.get("project") or {}, activity.get("createdUser") or {}
    for identifier, key, name in named(entity, activity.get("content") or {}, project):
        if identifier is None:
            LOGGER.warning(f"Activity {activity['id']} does not say which {entity.replace('_', ' ')} was deleted.")
            continue
        yield {
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


def named(entity: str, content: Row, project: Row) -> Iterator[tuple[Any, str | None, str | None]]:
    """Id, key and name of each object that the content of a deleting activity names; the id None when it does not."""
    if entity in ("project_member", "project_team"):
        for one in rows_of(content.get("users" if entity == "project_member" else "parties")):
            yield one.get("id"), None, one.get("name")
    elif entity == "status":
        status = content.get("deletedStatus") or {}
        yield status.get("id") or status.get("name"), None, status.get("name")
    elif entity == "issue":
        yield content.get("id"), f"{project.get('projectKey')}-{content.get('key_id')}", content.get("summary")
    elif entity == "pull_request":
        yield content.get("id"), str(content.get("number")), content.get("summary")
    elif entity == "shared_file":
        yield content.get("id"), None, f"{content.get('dir') or ''}{content.get('name') or ''}"
    elif entity == "document_comment":
        yield _inside(content, "comment"), None, None
    elif entity == "document_comment_reply":
        yield _inside(content, "reply"), None, None
    else:
        yield content.get("id"), None, content.get("name") or content.get("title")


def _inside(content: Row, name: str) -> Any:
    # Not documented. What has a title is the document, and its comment or reply stands inside.
    one = content.get(name)
    if isinstance(one, Mapping):
        return one.get("id")
    return None if "title" in content else content.get("id")


def by_comparison(
    entity: str, identifier: str, project: Mapping[str, Any], reason: str, key: str | None, name: str | None
) -> Row:
    """A row for what was listed at the last sync and is not any more; nobody knows who and when."""
    return {
        "entity": entity,
        "entityId": identifier,
        "entityKey": key,
        "entityName": name,
        "projectId": project.get("id"),
        "projectKey": project.get("projectKey"),
        "projectName": project.get("name"),
        "deletedAt": datetime.now(UTC).strftime(STAMP),
        "activityId": 0,
        "method": "comparison",
        "reason": reason,
    }
