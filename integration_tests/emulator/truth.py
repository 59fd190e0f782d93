"""What a complete and correct reader must hold: the expected rows of every stream, computed from the model.

This is a second, independent statement of the row contract. It reads the model directly (never the HTTP interface), as
a given user sees it, and knows nothing of the connector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import orjson

from .broken import as_read
from .days import in_zone
from .endpoints.space import space_shape
from .entities import (
    USAGE_KINDS,
    Comment,
    Document,
    Entity,
    Issue,
    Project,
    PullRequest,
    PullRequestComment,
    Repository,
    User,
    Wiki,
    day,
    stamp,
)
from .limits import Limits
from .model import Space

Row = dict[str, Any]

TYPE_NAMES = {
    1: "Issue Created",
    2: "Issue Updated",
    3: "Issue Commented",
    4: "Issue Deleted",
    5: "Wiki Created",
    6: "Wiki Updated",
    7: "Wiki Deleted",
    8: "File Added",
    9: "File Updated",
    10: "File Deleted",
    11: "SVN Committed",
    12: "Git Pushed",
    13: "Git Repository Created",
    14: "Issues Bulk Updated",
    15: "Project User Added",
    16: "Project User Removed",
    17: "Comment Notification Added",
    18: "Pull Request Created",
    19: "Pull Request Updated",
    20: "Pull Request Commented",
    21: "Pull Request Deleted or Merged",
    22: "Milestone Created",
    23: "Milestone Updated",
    24: "Milestone Deleted",
    25: "Project Team Added",
    26: "Project Team Removed",
    34: "Status Deleted",
    35: "Issue Dates Updated",
    36: "Document Created",
    37: "Document Deleted",
    38: "Document Title Changed",
    39: "Document Updated",
    40: "Document Comment Created",
    41: "Document Comment Updated",
    42: "Document Comment Deleted",
    43: "Document Comment Reply Created",
    44: "Document Comment Reply Updated",
    45: "Document Comment Reply Deleted",
    46: "Document Attachment Added",
    47: "Issues Bulk Created",
    48: "Documents Bulk Created",
    49: "Mentioned in Document",
}


def truth(
    space: Space,
    stream: str,
    *,
    domain: str,
    limits: Limits,
    user: User | int | str | None = None,
    projects: list[int | str] | None = None,
    archived: bool = True,
) -> list[Row]:
    """The rows of a stream as ``user`` (default: the administrator) sees them, in no particular order.

    ``projects`` (keys or ids) and ``archived`` narrow the project-bound streams like the connector's options do.
    Streams that the user's role may not read have no rows. Raises ``KeyError`` for an unknown stream.
    """
    with space.lock:
        view = View(space, space.user(user), domain, limits, projects, archived)
        rows = list(STREAMS[stream](view))
        shown = [orjson.loads(view.as_shown(as_read(orjson.dumps(row)))) for row in rows]
    for row, given in zip(rows, shown, strict=True):
        given |= {name: row[name][:10] if is_moment(row[name]) else None for name in DAYS if name in row}
    return shown


DAYS = ("startDate", "dueDate", "releaseDueDate", "dateValue")
"""Columns that hold a day or nothing, whatever text the space has there."""


def is_moment(text: str | None) -> bool:
    try:
        datetime.fromisoformat(text or "")
    except ValueError:
        return False
    return True


class View:
    """What one user can read."""

    def __init__(
        self,
        space: Space,
        user: User,
        domain: str,
        limits: Limits,
        projects: list[int | str] | None,
        archived: bool,
    ) -> None:
        self.space, self.user, self.domain, self.limits = space, user, domain, limits
        self.narrowed = projects is not None
        selected = [
            project
            for project in space.projects.values()
            if (archived or not project.archived)
            and (projects is None or project.id in projects or project.key in projects)
        ]
        self.listed = [project for project in selected if space.sees(user, project)]
        sees_all = user.is_administrator and space.quirks.all_projects in ("administrators", "refused to others")
        self.unjoined = [project for project in selected if sees_all and project not in self.listed]
        self.projects = [project for project in self.listed if space.sees(user, project, contents=True)]

    def as_shown(self, body: bytes) -> bytes:
        """JSON with the days inside objects as the space gives them: a reader makes days of columns alone."""
        return in_zone(body, self.space.zone) if self.space.quirks.days == "zone" else body

    def issues(self) -> Iterator[Issue]:
        for project in self.projects:
            yield from project.issues

    def wikis(self) -> Iterator[Wiki]:
        for project in self.projects:
            if project.use_wiki:
                yield from project.wikis.values()

    def documents(self) -> Iterator[Document]:
        trashed = self.space.settings.list_trashed_documents
        for project in self.projects:
            if project.use_document:
                yield from (each for each in project.documents.values() if each.status_id == 1 or trashed)

    def repositories(self) -> Iterator[Repository]:
        for project in self.projects:
            if project.use_git and not self.user.is_restricted:
                yield from project.repositories

    def pull_requests(self) -> Iterator[PullRequest]:
        for repository in self.repositories():
            yield from repository.pull_requests

    def readable(self, project: Project) -> bool:
        return self.space.sees(self.user, project, contents=True)


Stream = Callable[[View], Iterator[Row]]
STREAMS: dict[str, Stream] = {}


def stream(function: Stream) -> Stream:
    STREAMS[function.__name__] = function
    return function


def plain(entity: Entity) -> Row:
    """The entity's API object with plain values only."""
    return orjson.loads(entity.dump())


def without(row: Row, *names: str) -> Row:
    return {name: value for name, value in row.items() if name not in names}


# --- space -----------------------------------------------------------------------------------------------------------


@stream
def space(view: View) -> Iterator[Row]:
    yield space_shape(view)  # type: ignore[arg-type]


@stream
def space_notification(view: View) -> Iterator[Row]:
    space = view.space
    if space.notification_content is None and space.quirks.no_notice != "object":
        return
    yield {
        "content": space.notification_content,
        "updated": stamp(space.notification_updated),
        "domain": view.domain,
    }


@stream
def space_disk_usage(view: View) -> Iterator[Row]:
    if not view.user.is_administrator:
        return
    details = [project.disk_usage() for project in view.space.projects.values()]
    totals = {kind: sum(each[kind] for each in details) for kind in USAGE_KINDS}
    yield {"projectId": 0, "capacity": view.space.capacity, **totals}
    yield from details


@stream
def licence(view: View) -> Iterator[Row]:
    yield {**view.space.licence, "domain": view.domain}


@stream
def rate_limit(view: View) -> Iterator[Row]:
    for category, numbers in view.limits.status(view.user.id).items():
        yield {"category": category, **numbers}


@stream
def priorities(view: View) -> Iterator[Row]:
    yield from map(plain, view.space.priorities)


@stream
def resolutions(view: View) -> Iterator[Row]:
    yield from map(plain, view.space.resolutions)


# --- people ----------------------------------------------------------------------------------------------------------


def lists_people(view: View) -> bool:
    return view.user.is_administrator or view.space.administers_any_project(view.user)


@stream
def users(view: View) -> Iterator[Row]:
    if lists_people(view):
        yield from (plain(user) for user in view.space.users.values() if user.active)


@stream
def myself(view: View) -> Iterator[Row]:
    yield plain(view.user)


@stream
def teams(view: View) -> Iterator[Row]:
    if lists_people(view) and not view.space.quirks.teams_refused:
        yield from map(plain, view.space.teams.values())


@stream
def team_members(view: View) -> Iterator[Row]:
    if lists_people(view) and not view.space.quirks.teams_refused:
        for team in view.space.teams.values():
            for member in team.members:
                yield {**plain(member), "teamId": team.id, "teamName": team.name}


# --- projects --------------------------------------------------------------------------------------------------------


@stream
def projects(view: View) -> Iterator[Row]:
    for project in view.listed:
        yield {**plain(project), "joined": True}
    for project in view.unjoined:
        yield {**plain(project), "joined": False}


def of_project(project: Project, row: Row) -> Row:
    return {**row, "projectId": project.id, "projectKey": project.key}


def setting(read: Callable[[Project], Any]) -> Stream:
    def rows(view: View) -> Iterator[Row]:
        for project in view.projects:
            for entity in read(project):
                yield of_project(project, plain(entity))

    return rows


@stream
def project_users(view: View) -> Iterator[Row]:
    """``direct`` as it is where ``project_teams`` is read too."""
    for project in view.projects:
        for user in project.all_members():
            yield {**of_project(project, plain(user)), "direct": user in project.members}


STREAMS["project_administrators"] = setting(lambda project: project.administrators)
STREAMS["project_teams"] = setting(lambda project: project.teams)
STREAMS["statuses"] = setting(lambda project: project.statuses)
STREAMS["categories"] = setting(lambda project: project.categories)
STREAMS["versions"] = setting(lambda project: project.versions)


@stream
def issue_types(view: View) -> Iterator[Row]:
    for project in view.projects:
        for kind in project.issue_types:
            yield of_project(project, kind.list_shape())


@stream
def custom_fields(view: View) -> Iterator[Row]:
    for project in view.projects:
        for custom_field in project.custom_fields:
            row = plain(custom_field)
            for bound in ("min", "max"):
                if isinstance(row.get(bound), int | float):
                    row[bound] = str(row[bound])
            yield of_project(project, row)


@stream
def custom_field_items(view: View) -> Iterator[Row]:
    for project in view.projects:
        for custom_field in project.custom_fields:
            for item in custom_field.items:
                yield {
                    **of_project(project, plain(item)),
                    "customFieldId": custom_field.id,
                    "customFieldName": custom_field.name,
                }


@stream
def webhooks(view: View) -> Iterator[Row]:
    for project in view.projects:
        if view.user.is_administrator or view.user in project.administrators:
            for webhook in project.webhooks:
                yield of_project(project, plain(webhook))


@stream
def shared_files(view: View) -> Iterator[Row]:
    if view.user.is_restricted:
        return
    for project in view.projects:
        if project.use_file_sharing:
            for file in project.files.values():
                yield {**of_project(project, plain(file)), "path": file.path}


# --- issues ----------------------------------------------------------------------------------------------------------


@stream
def issues(view: View) -> Iterator[Row]:
    for issue in view.issues():
        row = plain(issue)
        if view.space.quirks.child_issue_summary == "counted":
            closed = [child for child in issue.children if child.status.id == 4]
            row["childIssueSummary"] = {"total": len(issue.children), "closed": len(closed)}
        yield row


def issue_columns(issue: Issue) -> Row:
    return {"projectId": issue.project.id, "issueId": issue.id, "issueKey": issue.key}


def embedded(name: str) -> Stream:
    """Rows of a list inside the issues, with the issue's columns."""

    def rows(view: View) -> Iterator[Row]:
        for issue in view.issues():
            added = {**issue_columns(issue), "issueUpdated": stamp(issue.updated)}
            for item in plain(issue)[name]:
                yield {**added, **{key: value for key, value in item.items() if value is not None or key not in added}}

    return rows


STREAMS["issue_attachments"] = embedded("attachments")
STREAMS["issue_shared_files"] = embedded("sharedFiles")
STREAMS["issue_external_file_links"] = embedded("externalFileLinks")
STREAMS["issue_stars"] = embedded("stars")
STREAMS["issue_categories"] = embedded("category")
STREAMS["issue_versions"] = embedded("versions")
STREAMS["issue_milestones"] = embedded("milestone")


@stream
def issue_custom_field_values(view: View) -> Iterator[Row]:
    for issue in view.issues():
        for custom_field in issue.project.custom_fields:
            if not custom_field.applies_to(issue.issue_type):
                continue
            value = issue.value_of(custom_field)
            empty = {
                **issue_columns(issue),
                "issueUpdated": stamp(issue.updated),
                "customFieldId": custom_field.id,
                "name": custom_field.name,
                "fieldTypeId": custom_field.type_id,
                "position": 0,
                "textValue": value if custom_field.type_id in (1, 2) else None,
                "numberValue": value if custom_field.type_id == 3 else None,
                "dateValue": day(value) if custom_field.type_id == 4 else None,
                "itemId": None,
                "itemName": None,
                "otherValue": issue.other_of(custom_field) if custom_field.type_id >= 5 else None,
            }
            items = ()
            if custom_field.type_id >= 5 and value:
                items = value if isinstance(value, tuple) else (value,)
            if not items:
                yield empty
            for position, item in enumerate(items):
                yield {**empty, "position": position, "itemId": item.id, "itemName": item.name}


@stream
def issue_comments(view: View) -> Iterator[Row]:
    for issue in view.issues():
        for comment in issue.comments:
            yield {**plain(comment), **issue_columns(issue)}


def number(value: Any) -> int | None:
    return None if value is None else int(value)


def changelogs(comment: Comment | PullRequestComment, columns: Row) -> Iterator[Row]:
    row = plain(comment)
    user = comment.created_user
    for position, change in enumerate(row["changeLog"] or ()):
        attribute = change.get("attributeInfo") or {}
        new_id, old_id = comment.changes[position].ids or ("", "")
        yield {
            **change,
            **columns,
            "position": position,
            "newId": number(new_id or None),
            "originalId": number(old_id or None),
            "commentId": comment.id,
            "commentUpdated": row["updated"],
            "created": row["created"],
            "createdUser": row["createdUser"],
            "createdUserId": user.id if user else None,
            "createdUserName": user.name if user else None,
            "customFieldId": number(attribute.get("id")),
            "customFieldTypeId": number(attribute.get("typeId")),
            "attachmentId": (change.get("attachmentInfo") or {}).get("id"),
            "notificationType": (change.get("notificationInfo") or {}).get("type"),
        }


@stream
def issue_changelogs(view: View) -> Iterator[Row]:
    for issue in view.issues():
        for comment in issue.comments:
            yield from changelogs(comment, issue_columns(issue))


def inside_comment(comment: Comment | PullRequestComment, name: str, columns: Row) -> Iterator[Row]:
    row = plain(comment)
    for item in row[name]:
        yield {**item, **columns, "commentId": comment.id, "commentUpdated": row["updated"]}


@stream
def issue_comment_notifications(view: View) -> Iterator[Row]:
    for issue in view.issues():
        for comment in issue.comments:
            yield from inside_comment(comment, "notifications", issue_columns(issue))


@stream
def issue_comment_stars(view: View) -> Iterator[Row]:
    for issue in view.issues():
        for comment in issue.comments:
            yield from inside_comment(comment, "stars", issue_columns(issue))


@stream
def issue_participants(view: View) -> Iterator[Row]:
    for issue in view.issues():
        for user in issue.participants():
            yield {**plain(user), **issue_columns(issue)}


@stream
def related_issues(view: View) -> Iterator[Row]:
    for issue in view.issues():
        for other in issue.related:
            if view.readable(other.project):
                yield {
                    **issue_columns(issue),
                    "issueUpdated": stamp(issue.updated),
                    "relatedIssueId": other.id,
                    "relatedIssueKey": other.key,
                    "relatedProjectId": other.project.id,
                    "relatedSummary": other.summary,
                    "type": "RELATES",
                }


# --- wiki ------------------------------------------------------------------------------------------------------------


@stream
def wikis(view: View) -> Iterator[Row]:
    yield from map(plain, view.wikis())


@stream
def wiki_history(view: View) -> Iterator[Row]:
    for wiki in view.wikis():
        for version in wiki.history:
            yield {**plain(version), "projectId": wiki.project.id}


def wiki_part(name: str) -> Stream:
    def rows(view: View) -> Iterator[Row]:
        for wiki in view.wikis():
            for item in plain(wiki)[name]:
                yield {
                    "projectId": wiki.project.id,
                    **item,
                    "wikiId": wiki.id,
                    "wikiName": wiki.name,
                    "wikiUpdated": stamp(wiki.updated),
                }

    return rows


STREAMS["wiki_tags"] = wiki_part("tags")
STREAMS["wiki_attachments"] = wiki_part("attachments")
STREAMS["wiki_shared_files"] = wiki_part("sharedFiles")
STREAMS["wiki_stars"] = wiki_part("stars")


# --- documents -------------------------------------------------------------------------------------------------------


@stream
def documents(view: View) -> Iterator[Row]:
    yield from map(plain, view.documents())


@stream
def document_tree(view: View) -> Iterator[Row]:
    for project in view.projects:
        if not project.use_document:
            continue
        siblings: dict[tuple[int, str | None], int] = {}
        for document in project.documents.values():
            line = lineage(document)
            if document.status_id == 2 and view.space.quirks.trash_tree != "full":
                continue
            parent = line[-2].id if len(line) > 1 else None
            position = siblings.get((document.status_id, parent), 0)
            siblings[document.status_id, parent] = position + 1
            yield {
                "projectId": project.id,
                "projectKey": project.key,
                "id": document.id,
                "parentId": parent,
                "name": document.title,
                "emoji": document.emoji or "",
                "emojiType": "unicode" if document.emoji else None,
                "statusId": document.status_id,
                "updated": stamp(document.updated),
                "path": "/".join(each.title for each in line),
                "depth": len(line) - 1,
                "position": position,
                "trashed": document.status_id == 2,
            }


def lineage(document: Document) -> list[Document]:
    """From the top of its tree to the document; active and trashed documents are in different trees."""
    line = [document]
    while line[0].parent is not None and line[0].parent.status_id == document.status_id:
        line.insert(0, line[0].parent)
    return line


@stream
def document_comments(view: View) -> Iterator[Row]:
    if view.user.is_restricted:
        return
    for document in view.documents():
        columns = {"projectId": document.project.id, "documentId": document.id}
        for comment in document.comments:
            yield {**without(plain(comment), "replies"), **columns, "commentId": None}
            for reply in comment.replies:
                yield {**plain(reply), **columns, "commentId": comment.id}


def document_part(name: str) -> Stream:
    def rows(view: View) -> Iterator[Row]:
        for document in view.documents():
            for item in plain(document)[name]:
                yield {
                    **item,
                    "projectId": document.project.id,
                    "documentId": document.id,
                    "documentTitle": document.title,
                    "documentUpdated": stamp(document.updated),
                }

    return rows


STREAMS["document_attachments"] = document_part("attachments")
STREAMS["document_tags"] = document_part("tags")


# --- git -------------------------------------------------------------------------------------------------------------


@stream
def git_repositories(view: View) -> Iterator[Row]:
    for repository in view.repositories():
        yield {**plain(repository), "projectKey": repository.project.key}


@stream
def pull_requests(view: View) -> Iterator[Row]:
    for request in view.pull_requests():
        repository = request.repository
        yield {
            **plain(request),
            "projectId": repository.project.id,
            "repositoryId": repository.id,
            "repositoryName": repository.name,
        }


def pull_request_columns(request: PullRequest) -> Row:
    return {
        "projectId": request.repository.project.id,
        "repositoryId": request.repository.id,
        "pullRequestId": request.id,
        "pullRequestNumber": request.number,
    }


@stream
def pull_request_comments(view: View) -> Iterator[Row]:
    for request in view.pull_requests():
        for comment in request.comments:
            yield {**plain(comment), **pull_request_columns(request)}


@stream
def pull_request_changelogs(view: View) -> Iterator[Row]:
    for request in view.pull_requests():
        for comment in request.comments:
            yield from changelogs(comment, pull_request_columns(request))


@stream
def pull_request_comment_notifications(view: View) -> Iterator[Row]:
    for request in view.pull_requests():
        for comment in request.comments:
            yield from inside_comment(comment, "notifications", pull_request_columns(request))


@stream
def pull_request_comment_stars(view: View) -> Iterator[Row]:
    for request in view.pull_requests():
        for comment in request.comments:
            yield from inside_comment(comment, "stars", pull_request_columns(request))


@stream
def pull_request_attachments(view: View) -> Iterator[Row]:
    for request in view.pull_requests():
        for attachment in request.attachments:
            yield {
                **plain(attachment),
                **pull_request_columns(request),
                "pullRequestUpdated": stamp(request.updated),
            }


@stream
def pull_request_stars(view: View) -> Iterator[Row]:
    for request in view.pull_requests():
        for star in request.stars:
            yield {**plain(star), **pull_request_columns(request), "pullRequestUpdated": stamp(request.updated)}


# --- the key's user, stars, activities -------------------------------------------------------------------------------


@stream
def notifications(view: View) -> Iterator[Row]:
    yield from (plain(each) for each in view.user.notifications if view.readable(each.project))


@stream
def watchings(view: View) -> Iterator[Row]:
    for watching in view.user.watchings:
        if view.readable(watching.issue.project):
            yield {**plain(watching), "issueId": watching.issue.id}


def viewed(kind: str, key: str, column: str) -> Stream:
    def rows(view: View) -> Iterator[Row]:
        things: Any = {"Issue": view.space.issues, "Project": view.space.projects, "Wiki": view.space.wikis}[kind]
        for identity, moment in view.user.viewed.get(kind, {}).items():
            thing = things[identity]
            project = thing if kind == "Project" else thing.project
            seen = view.space.sees(view.user, project) if kind == "Project" else view.readable(project)
            if seen and (kind != "Wiki" or project.use_wiki):
                yield {key: plain(thing), "updated": stamp(moment), column: thing.id}

    return rows


STREAMS["recently_viewed_issues"] = viewed("Issue", "issue", "issueId")
STREAMS["recently_viewed_projects"] = viewed("Project", "project", "projectId")
STREAMS["recently_viewed_wikis"] = viewed("Wiki", "page", "wikiId")


@stream
def user_stars(view: View) -> Iterator[Row]:
    if lists_people(view):
        for user in view.space.users.values():
            if user.active:
                for star in user.stars_received:
                    yield {**plain(star), "userId": user.id}


def seen_activities(view: View) -> Iterator[Row]:
    """The activities as the API gives them."""
    chosen = {project.id for project in view.projects}
    for activity in view.space.activities:
        if activity.project.id in chosen if activity.project else not view.narrowed:
            yield plain(activity)


@stream
def activities(view: View) -> Iterator[Row]:
    for row in seen_activities(view):
        project, user = row["project"] or {}, row["createdUser"] or {}
        account = user.get("nulabAccount") or {}
        yield {
            **row,
            "typeName": TYPE_NAMES.get(row["type"], f"Unknown ({row['type']})"),
            "projectId": project.get("id"),
            "projectKey": project.get("projectKey"),
            "projectName": project.get("name"),
            "createdUserId": user.get("id"),
            "createdUserName": user.get("name"),
            "createdUserMailAddress": user.get("mailAddress"),
            "createdUserNulabId": account.get("nulabId"),
            "createdUserUniqueId": account.get("uniqueId"),
        }


def activity_columns(activity: Row) -> Row:
    project, user = activity["project"] or {}, activity["createdUser"] or {}
    return {
        "activityId": activity["id"],
        "activityTypeId": activity["type"],
        "activityTypeName": TYPE_NAMES.get(activity["type"], f"Unknown ({activity['type']})"),
        "projectId": project.get("id"),
        "projectKey": project.get("projectKey"),
        "projectName": project.get("name"),
        "created": activity["created"],
        "createdUserId": user.get("id"),
        "createdUserName": user.get("name"),
    }


def about_issue(project: Row, one: Row, name: str) -> Row:
    return {
        "entity": "issue",
        "entityId": str(one["id"]),
        "entityKey": f"{project['projectKey']}-{one['key_id']}",
        "entityName": one[name],
    }


@stream
def activity_changes(view: View) -> Iterator[Row]:
    for activity in seen_activities(view):
        kind, content, project = activity["type"], activity["content"], activity["project"]
        changes = content.get("changes") or ([content["change"]] if kind == 34 else [])
        objects: list[tuple[Row, Row]] = [(content, {})]
        if kind in (14, 34) or (kind == 35 and "link" in content):
            objects = [(link, about_issue(project, link, "title")) for link in content["link"]]
        elif kind in (2, 3, 35):
            objects = [(content, about_issue(project, content, "summary"))]
        elif kind == 19:
            told = {"entity": "pull_request", "entityKey": str(content["number"]), "entityName": content["summary"]}
            objects = [(content, {**told, "entityId": str(content["id"])})]
        elif kind == 23:
            objects = [(content, {"entity": "version", "entityId": str(content["id"]), "entityName": content["name"]})]
        pairs = [(one, columns, change) for one, columns in objects for change in changes]
        for position, (one, columns, change) in enumerate(pairs):
            by_id = change["field"] in ("status", "resolution") and kind != 34
            yield {
                **activity_columns(activity),
                **columns,
                "position": position,
                "commentId": (one.get("comment") or {}).get("id"),
                "field": change["field"],
                "fieldText": change.get("field_text"),
                "type": change.get("type"),
                "newValue": change["new_value"],
                "originalValue": change.get("old_value"),
                "newId": number(change["new_value"] or None) if by_id else None,
                "originalId": number(change.get("old_value") or None) if by_id else None,
                "customFieldId": int(change["field"][10:]) if change["field"].startswith("attribute_") else None,
            }


@stream
def git_push_revisions(view: View) -> Iterator[Row]:
    for activity in seen_activities(view):
        if activity["type"] != 12:
            continue
        content = activity["content"]
        kind, name = content["ref"].split("/", 2)[1:]
        for position, revision in enumerate(content["revisions"]):
            yield {
                **activity_columns(activity),
                "position": position,
                "repositoryId": content["repository"]["id"],
                "repositoryName": content["repository"]["name"],
                "ref": content["ref"],
                "branch": name if kind == "heads" else None,
                "changeType": content["change_type"],
                "revisionType": content["revision_type"],
                "revisionCount": content["revision_count"],
                "revision": revision["rev"],
                "comment": revision["comment"],
            }


@stream
def svn_commits(view: View) -> Iterator[Row]:
    for activity in seen_activities(view):
        if activity["type"] == 11:
            content = activity["content"]
            yield {**activity_columns(activity), "revision": str(content["rev"]), "comment": content["comment"]}
