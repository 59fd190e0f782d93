"""Git repositories and pull requests: section 4.3 of the API reference. Restricted members may read none of it."""

from __future__ import annotations

from typing import Any

from ..api import BY_ID, BY_OFFSET, Binary, Call, get, integer
from ..entities import PullRequest

ROOT = "/projects/{project}/git/repositories"
REQUEST = ROOT + "/{repository}/pullRequests/{number}"
FILTERS: dict[str, Any] = {
    "statusId[]": integer(1, 3),
    "assigneeId[]": integer(),
    "issueId[]": integer(),
    "createdUserId[]": integer(),
}


@get(ROOT, role="unrestricted")
def repositories(call: Call) -> Any:
    return call.project("git").repositories


@get(ROOT + "/{repository}", role="unrestricted")
def repository(call: Call) -> Any:
    return call.repository()


def matching(call: Call) -> list[PullRequest]:
    rows = []
    for request in call.repository().pull_requests:
        shown = {
            "statusId[]": request.status_id,
            "assigneeId[]": request.assignee and request.assignee.id,
            "issueId[]": request.issue and request.issue.id,
            "createdUserId[]": request.created_user and request.created_user.id,
        }
        if all(shown[name] in call.values[name] for name in FILTERS if name in call.values):
            rows.append(request)
    rows.sort(key=lambda request: request.number, reverse=call.space.settings.pull_request_order == "desc")
    return rows


@get(ROOT + "/{repository}/pullRequests", params={**FILTERS, **BY_OFFSET}, role="unrestricted")
def pull_requests(call: Call) -> Any:
    page = call.window(matching(call))
    return page if call.space.quirks.pull_request_list_details else [each.list_shape() for each in page]


@get(ROOT + "/{repository}/pullRequests/count", params=FILTERS, role="unrestricted")
def pull_request_count(call: Call) -> Any:
    return {"count": len(matching(call))}


@get(REQUEST, role="unrestricted")
def pull_request(call: Call) -> Any:
    return call.pull_request()


@get(REQUEST + "/comments", params=BY_ID, role="unrestricted")
def comments(call: Call) -> Any:
    return call.id_window(call.pull_request().comments)


@get(REQUEST + "/comments/count", role="unrestricted")
def comment_count(call: Call) -> Any:
    return {"count": len(call.pull_request().comments)}


@get(REQUEST + "/attachments", role="unrestricted")
def attachments(call: Call) -> Any:
    return list(call.pull_request().attachments)


@get(REQUEST + "/attachments/{attachment}", role="unrestricted")
def attachment(call: Call) -> Any:
    found = call.part(call.pull_request().attachments, "attachment", "attachment")
    return Binary(found.content(), found.name)
