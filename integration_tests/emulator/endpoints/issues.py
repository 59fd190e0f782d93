"""Issues and comments: section 4.4 of the API reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from ..api import (
    BY_ID,
    ApiError,
    Binary,
    Call,
    boolean,
    calendar_day,
    choice,
    get,
    integer,
    invalid,
    missing,
    text_value,
)
from ..entities import Issue, Project

Test = Callable[[Issue], bool]

ID_FILTERS: dict[str, Callable[[Issue], Any]] = {
    "issueTypeId[]": lambda issue: (issue.issue_type.id,),
    "categoryId[]": lambda issue: [each.id for each in issue.categories],
    "versionId[]": lambda issue: [each.id for each in issue.versions],
    "milestoneId[]": lambda issue: [each.id for each in issue.milestones],
    "statusId[]": lambda issue: (issue.status.id,),
    "priorityId[]": lambda issue: (issue.priority and issue.priority.id,),
    "assigneeId[]": lambda issue: (issue.assignee and issue.assignee.id,),
    "createdUserId[]": lambda issue: (issue.created_user and issue.created_user.id,),
    "resolutionId[]": lambda issue: (issue.resolution and issue.resolution.id,),
    "parentIssueId[]": lambda issue: (issue.parent and issue.parent.id,),
}

PARENT_CHILD: dict[int, Test] = {
    1: lambda issue: issue.parent is None,
    2: lambda issue: issue.parent is not None,
    3: lambda issue: issue.parent is None and not issue.children,
    4: lambda issue: bool(issue.children),
    5: lambda issue: issue.level() == 3,
    6: lambda issue: issue.level() == 2,
    7: lambda issue: issue.level() == 1,
    8: lambda issue: issue.level() != 3,
    9: lambda issue: issue.level() != 1,
    10: lambda issue: not issue.children,
}


def _name(thing: Any) -> str:
    return thing.name if thing else ""


def _first(things: Any) -> str:
    return things[0].name if things else ""


SORTS: dict[str, Callable[[Issue], Any]] = {
    "created": lambda issue: issue.created,
    "updated": lambda issue: issue.updated,
    "issueType": lambda issue: issue.issue_type.display_order,
    "category": lambda issue: _first(issue.categories),
    "version": lambda issue: _first(issue.versions),
    "milestone": lambda issue: _first(issue.milestones),
    "summary": lambda issue: issue.summary,
    "status": lambda issue: issue.status.display_order,
    "priority": lambda issue: issue.priority.id if issue.priority else 0,
    "attachment": lambda issue: len(issue.attachments),
    "sharedFile": lambda issue: len(issue.shared_files),
    "createdUser": lambda issue: _name(issue.created_user),
    "updatedUser": lambda issue: _name(issue.updated_user),
    "assignee": lambda issue: _name(issue.assignee),
    "startDate": lambda issue: issue.start_date or "",
    "dueDate": lambda issue: issue.due_date or "",
    "estimatedHours": lambda issue: issue.estimated_hours or 0,
    "actualHours": lambda issue: issue.actual_hours or 0,
    "childIssue": lambda issue: len(issue.children),
}
DEFAULT_SORT = "created"


def _sort(name: str, text: str) -> str:
    if not text.startswith("customField_"):
        choice(*SORTS)(name, text)
    return text


FILTERS: dict[str, Any] = {
    "projectId[]": integer(),
    **dict.fromkeys(ID_FILTERS, integer()),
    "id[]": integer(),
    "parentChild": integer(0, 10),
    "attachment": boolean,
    "sharedFile": boolean,
    "hasDueDate": boolean,
    "keyword": text_value,
    "expand[]": text_value,
    "customField_*": text_value,
    "sort": _sort,
    "order": choice("asc", "desc"),
    "offset": integer(0),
    "count": integer(1, 100),
    **{
        f"{what}{end}": calendar_day
        for what in ("created", "updated", "startDate", "dueDate")
        for end in ("Since", "Until")
    },
}


def matching(call: Call) -> list[Issue]:
    """The issues that the call asks for, sorted. Kept until something in the space changes."""
    if call.space.quirks.unjoined_projects == "404":
        joined = {project.id for project in call.space.visible_projects(call.user, contents=True)}
        if not joined.issuperset(call.value("projectId[]", ())):
            raise missing("project")
    if call.space.quirks.ties == "random":
        return _select(call)
    wanted = {name: value for name, value in call.values.items() if name not in ("offset", "count", "expand[]")}
    key = (call.user.id, orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS))
    kept = call.space.kept
    known = kept.get(key)
    if known is None or known[0] != call.space.state:
        if len(kept) > 200:
            kept.clear()
        known = kept[key] = (call.space.state, _select(call))
    return known[1]


def _select(call: Call) -> list[Issue]:
    projects = call.space.visible_projects(call.user, contents=True)
    if "projectId[]" in call.values:
        projects = [project for project in projects if project.id in call.values["projectId[]"]]
    tests = _tests(call, projects)
    rows = [issue for project in projects for issue in project.issues if all(test(issue) for test in tests)]
    name = call.value("sort", DEFAULT_SORT)
    value = SORTS.get(name) or _custom_sort(projects, name)
    ties = call.ties()
    rows.sort(key=lambda issue: ties(issue.id))
    rows.sort(key=value, reverse=call.value("order") != "asc")
    return rows


def _tests(call: Call, projects: list[Project]) -> list[Test]:
    values, tests = call.values, []
    for name, read in ID_FILTERS.items():
        if name in values:
            tests.append(lambda issue, read=read, wanted=set(values[name]): not wanted.isdisjoint(read(issue)))
    if "id[]" in values:
        identities = set(values["id[]"])
        tests.append(lambda issue: issue.id in identities)
    if values.get("parentChild"):
        tests.append(PARENT_CHILD[values["parentChild"]])
    if "attachment" in values:
        tests.append(lambda issue: bool(issue.attachments) == values["attachment"])
    if "sharedFile" in values:
        tests.append(lambda issue: bool(issue.shared_files) == values["sharedFile"])
    if "hasDueDate" in values:
        if values["hasDueDate"]:
            raise invalid("hasDueDate", "error.value")
        tests.append(lambda issue: issue.due_date is None)
    if values.get("keyword"):
        word = values["keyword"]
        tests.append(
            lambda issue: (
                word in issue.summary
                or word in (issue.description or "")
                or any(word in (comment.content or "") for comment in issue.comments)
            )
        )
    for stamp in ("created", "updated"):
        if f"{stamp}Since" in values:
            start, _ = call.space.day_bounds(values[f"{stamp}Since"])
            tests.append(lambda issue, stamp=stamp, start=start: getattr(issue, stamp) >= start)
        if f"{stamp}Until" in values:
            _, end = call.space.day_bounds(values[f"{stamp}Until"])
            tests.append(lambda issue, stamp=stamp, end=end: getattr(issue, stamp) < end)
    for name, attribute in (("startDate", "start_date"), ("dueDate", "due_date")):
        if f"{name}Since" in values:
            low = values[f"{name}Since"]
            tests.append(lambda issue, attribute=attribute, low=low: (getattr(issue, attribute) or "") >= low)
        if f"{name}Until" in values:
            high = values[f"{name}Until"]
            tests.append(lambda issue, attribute=attribute, high=high: (getattr(issue, attribute) or "9") <= high)
    for name, value in values.items():
        if name.startswith("customField_"):
            tests.append(_custom_test(projects, name, value))
    return tests


def _custom_test(projects: list[Project], name: str, wanted: Any) -> Test:
    number, _, bound = name.removeprefix("customField_").removesuffix("[]").partition("_")
    fields = {project.id: field for project in projects for field in project.custom_fields if str(field.id) == number}

    def test(issue: Issue) -> bool:
        field = fields.get(issue.project.id)
        if field is None:
            return False
        value = issue.value_of(field)
        if value in (None, ()):
            return False
        if isinstance(wanted, list):
            chosen = value if isinstance(value, tuple) else (value,)
            return any(str(item.id) in wanted for item in chosen)
        if bound and field.type_id == 3:
            return value >= float(wanted) if bound == "min" else value <= float(wanted)
        if bound:
            return str(value) >= wanted if bound == "min" else str(value) <= wanted
        return wanted in (field.display(value) or "")

    return test


def _custom_sort(projects: list[Project], name: str) -> Callable[[Issue], Any]:
    number = name.removeprefix("customField_")
    fields = {project.id: field for project in projects for field in project.custom_fields if str(field.id) == number}
    if not fields:
        raise invalid("sort", "error.value")

    def value(issue: Issue) -> Any:
        field = fields.get(issue.project.id)
        found = None if field is None else issue.value_of(field)
        if isinstance(found, int | float):
            return (1, found, "")
        return (0, 0, (field.display(found) if field else None) or "")

    return value


def wants_children(call: Call) -> bool:
    """Whether the issues are to have ``childIssueSummary`` (see ``Quirks.child_issue_summary``)."""
    if "childIssueSummary" not in call.value("expand[]", ()):
        return False
    kind = call.space.quirks.child_issue_summary
    if kind == "refused":
        raise ApiError(400, 7, "error.unknownParameter : expand[]")
    return kind == "counted"


@get("/issues", params=FILTERS, strict=True, category="search")
def issues(call: Call) -> Any:
    expanded = wants_children(call)
    page = call.window(matching(call))
    return b"[" + b",".join([with_children(issue) for issue in page]) + b"]" if expanded else page


@get("/issues/count", params=FILTERS, strict=True, category="search")
def issue_count(call: Call) -> Any:
    return {"count": len(matching(call))}


def with_children(issue: Issue) -> bytes:
    """The kept bytes of the issue and its summary, which changes with its children."""
    closed = sum(1 for child in issue.children if child.status.id == 4)
    return issue.dump()[:-1] + b',"childIssueSummary":{"total":%d,"closed":%d}}' % (len(issue.children), closed)


@get("/issues/{issue}", params={"expand[]": text_value})
def issue(call: Call) -> Any:
    found = call.issue()
    return with_children(found) if wants_children(call) else found


@get("/issues/{issue}/comments", params=BY_ID)
def comments(call: Call) -> Any:
    return call.id_window(call.issue().comments)


@get("/issues/{issue}/comments/count")
def comment_count(call: Call) -> Any:
    return {"count": len(call.issue().comments)}


@get("/issues/{issue}/comments/{comment}")
def comment(call: Call) -> Any:
    return call.part(call.issue().comments, "comment", "comment")


@get("/issues/{issue}/comments/{comment}/notifications")
def comment_notifications(call: Call) -> Any:
    found = call.part(call.issue().comments, "comment", "comment")
    return [each.comment_shape() for each in found.notifications]


@get("/issues/{issue}/attachments")
def attachments(call: Call) -> Any:
    return list(call.issue().attachments)


@get("/issues/{issue}/attachments/{attachment}")
def attachment(call: Call) -> Any:
    found = call.part(call.issue().attachments, "attachment", "attachment")
    return Binary(found.content(), found.name)


@get("/issues/{issue}/participants")
def participants(call: Call) -> Any:
    return call.issue().participants()


@get("/issues/{issue}/sharedFiles", role="unrestricted")
def shared_files(call: Call) -> Any:
    return list(call.issue().shared_files)


@get("/issues/{issue}/relatedIssues")
def related_issues(call: Call) -> Any:
    """Full issues with ``type``; those in projects that the user cannot read are left out."""
    return [
        {**other.shape(), "type": "RELATES"}
        for other in call.issue().related
        if call.space.sees(call.user, other.project, contents=True)
    ]
