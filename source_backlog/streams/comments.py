"""Comments of issues and pull requests."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from source_backlog.changes.backlog import Backlog
from source_backlog.changes.feed import ISSUE_COMMENTED, Touched, touched_ids
from source_backlog.changes.paging import Unreadable, by_id
from source_backlog.streams.issues import IssuesToAsk
from source_backlog.streams.pull_requests import ChangedPullRequests
from source_backlog.values import Row, under


class CommentedIssues(IssuesToAsk):
    """Issues that have changed or were commented on.

    A plain comment does not move `issue.updated`, so commented issues come from the activity feed too. The whole
    comment list of such an issue is read: an edited comment of it is found in passing.
    """

    named_by = ISSUE_COMMENTED

    def unlisted(self, touched: dict[Any, Touched], witness: Any) -> Iterator[Row]:
        """The issues that only the feed names; their ids and keys are all that comments need.

        Those that are said to be deleted are asked for first, many at once: the comments of each would be refused.
        """
        deleted = touched_ids(self.backlog, self.project_id, self.walk, self.deleted_by)
        yield from self.by_ids([each for each in touched if each in deleted], witness)
        for issue_id, named in touched.items():
            if issue_id in deleted:
                continue
            key = f"{self.project.get('projectKey')}-{named.key_id}"
            yield {"id": issue_id, "projectId": self.project_id, "issueKey": key}


def comments_under(backlog: Backlog, path: str) -> list[Row] | None:
    """All comments of one object, oldest first; None when it is gone."""
    try:
        stuck = partial(backlog.note_stuck, f"{path}/comments")
        return list(by_id(lambda page: backlog.get(f"{path}/comments", page), stuck=stuck))
    except Unreadable:
        return None


def of_issue(backlog: Backlog, issue: Row) -> list[Row] | None:
    """The comments of one issue; none when it has moved to another project, whose feed names it too."""
    found = comments_under(backlog, f"issues/{issue['id']}")
    if found is None:
        return None
    for comment in found:
        under(comment, projectId=issue.get("projectId"), issueId=issue["id"], issueKey=issue.get("issueKey"))
    return [comment for comment in found if comment.get("projectId") == issue.get("projectId")]


def of_pull_request(backlog: Backlog, pull_request: Row) -> list[Row] | None:
    """The comments of one pull request."""
    found = comments_under(backlog, ChangedPullRequests.path.format(**pull_request))
    parents = {name: pull_request.get(name) for name in ("projectId", "repositoryId")}
    parents |= {"pullRequestId": pull_request["id"], "pullRequestNumber": pull_request.get("number")}
    return None if found is None else [under(comment, **parents) for comment in found]
