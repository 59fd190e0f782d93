"""The rows that an activity gives: itself, the fields that it changed, the revisions that it brought."""

from collections.abc import Iterator

from source_backlog.changes.ids import TOLD_FIELDS, as_id
from source_backlog.streams.rows import Make, children
from source_backlog.values import Row, as_text

# https://developer.nulab.com/docs/backlog/api/2/get-recent-updates; 34, 35 and 47 from nulab/backlog-js. The pages
# call 21 "deleted", the SDKs "merged".
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


def flat(activity: Row) -> Row:
    """An activity with its type's name and the project's and creator's columns beside the whole content."""
    kind = activity.get("type")
    project = activity.get("project") or {}
    creator = activity.get("createdUser") or {}
    account = creator.get("nulabAccount") or {}
    activity["typeName"] = TYPE_NAMES.get(kind or 0, f"Unknown ({kind})")
    activity["projectId"] = project.get("id")
    activity["projectKey"] = project.get("projectKey")
    activity["projectName"] = project.get("name")
    activity["createdUserId"] = creator.get("id")
    activity["createdUserName"] = creator.get("name")
    activity["createdUserMailAddress"] = creator.get("mailAddress")
    activity["createdUserNulabId"] = account.get("nulabId")
    activity["createdUserUniqueId"] = account.get("uniqueId")
    return activity


# Activity type -> what it is about, by the names of `deletions.entity`.
ENTITIES = {
    **dict.fromkeys((1, 2, 3, 4, 14, 17, 34, 35, 47), "issue"),
    **dict.fromkeys((5, 6, 7), "wiki"),
    **dict.fromkeys((8, 9, 10), "shared_file"),
    **dict.fromkeys((18, 19, 20, 21), "pull_request"),
    **dict.fromkeys((22, 23, 24), "version"),
    **dict.fromkeys((*range(36, 47), 48, 49), "document"),
}
SVN_COMMITTED, GIT_PUSHED = 11, 12

# By which a custom field goes in the feed, before its id; and a branch in a ref, before its name.
_CUSTOM_FIELD, _BRANCH = "attribute_", "refs/heads/"


def itself(activity: Row) -> Iterator[Row]:
    """The activity is the row."""
    yield flat(activity)


def changed_fields(activity: Row) -> Iterator[Row]:
    """One row per changed field; of an activity that changed several objects, one per field and object."""
    content, columns = _content(activity), of_activity(activity)
    changes = [_change(change, told=True) for change in children(content, "changes")]
    if isinstance(content.get("change"), dict):
        # Of a deleted status: here the other one goes by its name (nulab/backlog-js).
        changes.append(_change(content["change"], told=False))
    rows = ({**columns, **changed, **change} for changed in _changed_objects(activity, content) for change in changes)
    yield from ({**row, "position": position} for position, row in enumerate(rows))


def pushed_revisions(activity: Row) -> Iterator[Row]:
    """One row per revision that a push to a Git repository brought."""
    if activity.get("type") != GIT_PUSHED:
        return
    content = _content(activity)
    repository, ref = content.get("repository") or {}, content.get("ref")
    is_branch = isinstance(ref, str) and ref.startswith(_BRANCH)
    columns = {
        **of_activity(activity),
        "repositoryId": repository.get("id"),
        "repositoryName": repository.get("name"),
        "ref": ref,
        "branch": str(ref).removeprefix(_BRANCH) if is_branch else None,
        "changeType": content.get("change_type"),
        "revisionType": content.get("revision_type"),
        "revisionCount": content.get("revision_count"),
    }
    for position, revision in enumerate(children(content, "revisions")):
        yield {**columns, "position": position, **_revision(revision)}


def committed_revision(activity: Row) -> Iterator[Row]:
    """The revision of a commit to the Subversion repository of a project."""
    if activity.get("type") == SVN_COMMITTED:
        yield {**of_activity(activity), **_revision(_content(activity))}


def of_activity(activity: Row) -> Row:
    """The columns that every row inside an activity carries."""
    whole = flat({**activity})
    names = ("projectId", "projectKey", "projectName", "created", "createdUserId", "createdUserName")
    return {
        "activityId": whole["id"],
        "activityTypeId": whole.get("type"),
        "activityTypeName": whole["typeName"],
        **{name: whole.get(name) for name in names},
    }


MAKE: dict[str, Make] = {
    "activity": itself,
    "activity.changes": changed_fields,
    "activity.revisions": pushed_revisions,
    "activity.rev": committed_revision,
}


def _content(activity: Row) -> Row:
    content = activity.get("content")
    return content if isinstance(content, dict) else {}


def _changed_objects(activity: Row, content: Row) -> list[Row]:
    # The object of the content, or those of a bulk update, each with a comment of its own; a project has none.
    several = [] if content.get("id") is not None else children(content, "link")
    return [_changed_object(activity, one) for one in several or [content]]


def _changed_object(activity: Row, one: Row) -> Row:
    entity, comment = ENTITIES.get(activity.get("type") or 0), one.get("comment")
    project_key, number = (activity.get("project") or {}).get("projectKey"), one.get("key_id")
    key = f"{project_key}-{number}" if project_key and number is not None else as_text(one.get("number"))
    return {
        "entity": entity,
        "entityId": as_text(one.get("id")),
        "entityKey": key,
        "entityName": one.get("summary") or one.get("title") or one.get("name"),
        "commentId": comment.get("id") if isinstance(comment, dict) else None,
    }


def _change(change: Row, *, told: bool) -> Row:
    field, new, old = change.get("field"), change.get("new_value"), change.get("old_value")
    has_id = told and field in TOLD_FIELDS
    custom_field = str(field).removeprefix(_CUSTOM_FIELD) if str(field).startswith(_CUSTOM_FIELD) else None
    return {
        "field": field,
        "fieldText": change.get("field_text"),
        "type": change.get("type"),
        "newValue": as_text(new),
        "originalValue": as_text(old),
        "newId": as_id(new) if has_id else None,
        "originalId": as_id(old) if has_id else None,
        "customFieldId": as_id(custom_field),
    }


def _revision(revision: Row) -> Row:
    return {"revision": as_text(revision.get("rev")), "comment": revision.get("comment")}
