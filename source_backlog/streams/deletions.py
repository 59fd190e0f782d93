"""What was deleted: as the activity feed tells, and as lists that are read whole show by comparison."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from airbyte_cdk.sources.types import StreamSlice
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.changes.backlog import Backlog
from source_backlog.changes.feed import head_of
from source_backlog.changes.paging import Unreadable, by_id, by_offset, rows_of
from source_backlog.changes.position import DeletionsPosition, Place
from source_backlog.changes.projects import all_projects, selected_projects, selection, visible_projects
from source_backlog.changes.quiet import resting
from source_backlog.changes.skipped import attempt
from source_backlog.left_out import LeftOut
from source_backlog.streams.activities import NewActivities
from source_backlog.streams.pull_requests import note_repository
from source_backlog.streams.retriever import BacklogRetriever
from source_backlog.streams.rows import children
from source_backlog.values import STAMP, Row, as_instant

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
class DeletionRetriever(BacklogRetriever):
    """One row per deleted object: what the feed reports, then what a comparison of lists shows."""

    kind = DeletionsPosition

    def rows(self, stream_slice: StreamSlice) -> Iterable[Row]:
        """Deletions of the selected projects, oldest first, then those found by comparison."""
        start = self.backlog.start
        place: Place[DeletionsPosition] = Place(self.position(stream_slice))
        comparison = Comparison(self.backlog, place.before.known or {})
        # Of its own: it is said before the position passes over it.
        unnamed = LeftOut()
        # Only what an earlier sync has brought can be told from what comes again.
        read_again = place.before.activity is not None and "document_comments" in self.api_budget.selected

        def save() -> None:
            unnamed.report()
            self.checkpoint(stream_slice, replace(place.now, known=copy.deepcopy(comparison.known)))

        new = NewActivities(self.backlog, place, save)
        pull_requests = PullRequests(self.backlog, new.projects)
        for activity in new.rows():
            entity = DELETED_BY_TYPE.get(activity.get("type") or 0)
            if not entity or (entity == "pull_request" and not pull_requests.was_deleted(activity)):
                continue
            note_unnamed(entity, activity, unnamed, read_again)
            for row in deletions(entity, activity):
                comparison.forget(row)
                if not start or (as_instant(row["deletedAt"]) or start) >= start:
                    yield row
        yield from comparison.gone_projects()
        yield from comparison.missing(place.now.activity or 0)
        unnamed.report()
        self.advance(stream_slice, replace(place.now, known=comparison.noted()))


class PullRequests:
    """Says which pull requests were deleted: of activity 21 the pages say "deleted", the SDKs "merged"."""

    def __init__(self, backlog: Backlog, projects: list[Row]) -> None:
        self.backlog = backlog
        self.without_git = {project["id"] for project in projects if project.get("useGit") is False}

    def was_deleted(self, activity: Mapping[str, Any]) -> bool:
        """Whether the pull request of a type-21 activity was deleted.

        Backlog decides. It is asked only about what is not in the list that another stream has read; the list knows
        everything up to the head of the feed, which was asked for first.
        """
        content, project = activity.get("content") or {}, activity.get("project") or {}
        project_id, number = project.get("id"), content.get("number")
        if project_id in self.without_git:
            # Backlog then answers like for a pull request that is gone, and has no row of it either.
            return False
        repository = content.get("repository") or {}
        path = PULL_REQUESTS.format(project_id, repository.get("id"))
        note_repository(self.backlog, {"id": project_id, **project}, repository)
        if self.backlog.space.is_read(path):
            head = head_of(self.backlog)
            listed: set[Any] = self.backlog.space.once(f"numbers of {path}", lambda: self._numbers(path))
            if activity["id"] <= head and number in listed:
                return False
        return self.backlog.requester.is_missing(f"{path}/{number}")

    def _numbers(self, path: str) -> set[Any]:
        try:
            return {row.get("number") for row in by_offset(lambda page: self.backlog.get(path, page, probe=True))}
        except Unreadable:
            return set()


class Comparison:
    """Compares lists that are read whole with those of the last sync: what is no longer in one was deleted.

    Why: most of them leave no activity when an entry goes. Only lists that a selected stream reads anyway are
    compared, so that it costs no request. `known` is what the last sync has noted (`DeletionsPosition.known`): the key
    of each project and, by endpoint of `COMPARED`, project and id, the names of what was there:
    `{"projects": {"1": "WEB"}, "projects/{}/categories": {"1": {"7": "Design"}}}`.
    """

    def __init__(self, backlog: Backlog, known: Mapping[str, Any]) -> None:
        self.backlog = backlog
        self.known: dict[str, Any] = copy.deepcopy(dict(known))
        self.projects = selected_projects(backlog.requester, backlog.config, backlog.space)
        visible = {str(project["id"]) for project in visible_projects(backlog.requester, backlog.space)}
        for number, key in (self.known.get("projects") or {}).items():
            if number not in visible:
                backlog.left_out.know(f"projects/{number}", key)
        self.now: Known = {path: self._lists(path, self.known.get(path) or {}) for path in COMPARED}

    def noted(self) -> dict[str, Any]:
        """What the next sync is to compare with."""
        keys = {str(project["id"]): project.get("projectKey") for project in self.projects}
        return {"projects": keys, **{path: lists for path, lists in self.now.items() if lists}}

    def forget(self, row: Row) -> None:
        """Take what the feed reports as deleted out of the lists, so that it is not found there too.

        Neither by a sync that goes on from the next checkpoint, nor by the next one, if the list was read before the
        deletion.
        """
        for lists in (self.now, self.known):
            forget(lists, row)

    def missing(self, last: int) -> Iterator[Row]:
        """Rows for what was in a list at the last sync and is not any more; the feed was read up to `last`."""
        places: dict[str, Row] = {WHOLE_SPACE: {}, **{str(project["id"]): project for project in self.projects}}
        gone = [
            (path, key, identifier, name)
            for path, lists in self.now.items()
            for key in lists.keys() & places.keys()
            for identifier, name in ((self.known.get(path) or {}).get(key) or {}).items()
            if identifier not in lists[key]
        ]
        entities = {COMPARED[path].entity for path, *_ in gone}
        later = self._reported_later(last) if entities & set(DELETED_BY_TYPE.values()) else []
        for path, key, identifier, name in gone:
            row = by_comparison(COMPARED[path].entity, identifier, places[key], "deleted", None, name)
            if any(is_same(row, other) for other in later):
                # The next sync reports it from the feed.
                self.now[path][key][identifier] = name
            else:
                yield row

    def _reported_later(self, last: int) -> list[Row]:
        types = [kind for kind, entity in DELETED_BY_TYPE.items() if entity != "pull_request"]
        after = by_id(lambda page: self.backlog.get("space/activities", {**page, "activityTypeId[]": types}), last)
        return [row for activity in after for row in deletions(DELETED_BY_TYPE[activity["type"]], activity)]

    def _lists(self, path: str, then: Lists) -> Lists:
        # By project, as they are now; `then` where they are not read or not answered.
        if not self.backlog.space.is_read(path):
            return then
        now = dict(then)
        if path in ("users", "teams"):
            return now | self._one_list(WHOLE_SPACE, path, {})
        for project in self.projects:
            if path == "wikis" and resting(self.backlog).is_unasked(project["id"]):
                continue
            if not COMPARED[path].feature or project.get(COMPARED[path].feature) is not False:
                params = {"projectIdOrKey": project["id"]} if path == "wikis" else {}
                now |= self._one_list(str(project["id"]), path.format(project["id"]), params)
        return now

    def _one_list(self, key: str, path: str, params: Row) -> Lists:
        # Under its key; nothing when Backlog does not give it.
        def fetch(page: Row) -> list[Row]:
            body = attempt(lambda: self.backlog.get(path, page))
            if isinstance(body, AirbyteTracedException):
                before = f"{self.backlog.stream}: these are not compared with the last sync: "
                self.backlog.left_out.collect(before, path, f". {body.message}")
            if not isinstance(body, list):
                raise Unreadable
            return body

        try:
            rows = by_offset(fetch) if path == "teams" else fetch(params)
            return {key: {str(row["id"]): row.get("name") for row in rows_of(list(rows)) if "id" in row}}
        except Unreadable:
            return {}

    def gone_projects(self) -> Iterator[Row]:
        """Rows for projects that were there at the last sync: archived, not visible any more, or deleted.

        A project that the options no longer select has not gone anywhere.
        """
        there = {str(project["id"]) for project in self.projects}
        gone = {number: key for number, key in (self.known.get("projects") or {}).items() if number not in there}
        if not gone:
            return
        visible = {str(row["id"]): row for row in visible_projects(self.backlog.requester, self.backlog.space)}
        unseen = gone.keys() - visible.keys()
        everything = self._all_projects() if unseen else {}
        deleted = self._deleted(unseen - everything.keys(), everything.keys() - visible.keys())
        for number, key in gone.items():
            project: Row = {"id": int(number), "projectKey": key}
            if number in visible:
                project |= visible[number]
                if not project.get("archived") or not self._would_be_selected(project):
                    continue
                reason = "archived"
            elif number in everything:
                project |= everything[number]
                reason = "access_lost"
            else:
                reason = "deleted" if number in deleted else "deleted_or_access_lost"
            yield by_comparison("project", number, project, reason, project["projectKey"], project.get("name"))

    def _would_be_selected(self, archived: Row) -> bool:
        return bool(selection([{**archived, "archived": False}], self.backlog.config)[0])

    def _all_projects(self) -> dict[str, Row]:
        found = all_projects(self.backlog.requester, self.backlog.space)
        return {str(project["id"]): project for project in found}

    def _deleted(self, unlisted: Set[str], unjoined: Set[str]) -> Set[str]:
        """Those of the `unlisted` projects that are no longer in the space.

        A list with `unjoined` ones is that of all projects. One without may be an administrator's who has joined them
        all, or list nothing but the joined ones, as it does for everybody else. Then the disk usage decides, which only
        administrators may read: it lists every project.
        """
        if not unlisted or unjoined:
            return unlisted
        body = attempt(lambda: self.backlog.look("space/diskUsage", probe=True))
        counted = {str(usage.get("projectId")) for usage in children(body, "details")} if isinstance(body, dict) else ()
        return {number for number in unlisted if number not in counted} if counted else set()


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
    """The rows of an activity that deletes; for `note_unnamed` what it does not name."""
    project, creator = activity.get("project") or {}, activity.get("createdUser") or {}
    for identifier, key, name in named(entity, activity.get("content") or {}, project):
        if identifier is None:
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


def note_unnamed(entity: str, activity: Mapping[str, Any], left_out: LeftOut, read_again: bool) -> None:
    """Note an activity that deletes something and does not say what; `read_again`: the comments of its document are."""
    content, project = activity.get("content") or {}, activity.get("project") or {}
    if all(identifier is not None for identifier, *_ in named(entity, content, project)):
        return
    document = content.get("id") if entity.startswith("document_comment") else None
    if document is None:
        before = f"Backlog does not say which {entity.replace('_', ' ')} was deleted by these activities: "
        left_out.collect(before, activity["id"], ".")
    else:
        left_out.collect(
            "Backlog does not say which comments of these documents were deleted: ",
            f"documents/{document}",
            ". All of their comments are read again in this sync: rows of theirs in document_comments that do not come "
            "again are gone."
            if read_again
            else ".",
        )


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
