"""Changes of Git repositories, of Subversion and of pull requests: activities 11 to 13 and 18 to 21."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from ..core import Core
from ..entities import (
    PULL_REQUEST_STATUSES,
    Attachment,
    Change,
    Issue,
    Notification,
    PullRequest,
    PullRequestComment,
    Repository,
    User,
)
from .people import Who
from .projects import Where


class GitChanges(Core):
    def create_repository(
        self, project: Where, name: str, description: str | None = None, *, hook_url: str | None = None, by: Who = None
    ) -> Repository:
        """Activity 13. Never pushed to so far, so ``pushedAt`` is null."""
        place, actor = self.project(project), self.user(by)
        repository = Repository(
            id=self.ids.next("repository"),
            project=place,
            name=name,
            description=description,
            hook_url=hook_url,
            display_order=len(place.repositories),
            pushed_at=None,
            created_user=actor,
            created=self.clock,
            updated_user=actor,
            updated=self.clock,
        )
        place.repositories.append(repository)
        self.repositories[repository.id] = repository
        self.record(place, 13, {"repository": repository.short_shape()}, actor)
        return repository

    def update_repository(self, repository: Repository | int, *, by: Who = None, **changes: Any) -> Repository:
        """Change ``name``, ``description`` or ``hook_url``: moves ``updated``; no activity."""
        found = self.repository(repository)
        for name, value in changes.items():
            if name not in ("name", "description", "hook_url"):
                raise TypeError(f"a repository's {name} cannot be changed")
            setattr(found, name, value)
        found.updated, found.updated_user = self.clock, self.user(by)
        return found

    def delete_repository(self, repository: Repository | int) -> None:
        """With its pull requests. No activity."""
        found = self.repository(repository)
        for request in found.pull_requests:
            del self.pull_requests[request.id]
        found.project.repositories.remove(found)
        del self.repositories[found.id]

    def push(
        self,
        repository: Repository | int,
        comments: Iterable[str],
        *,
        branch: str = "main",
        tag: str | None = None,
        by: Who = None,
    ) -> None:
        """Push commits with these messages, or a tag: activity 12, moves ``pushedAt`` and not ``updated``."""
        found = self.repository(repository)
        revisions = [
            {"rev": _commit(found.id, self.clock, number), "comment": comment}
            for number, comment in enumerate(comments)
        ]
        content = {
            "repository": found.short_shape(),
            "change_type": "create" if found.pushed_at is None else "update",
            "revision_type": "commit",
            "ref": f"refs/tags/{tag}" if tag else f"refs/heads/{branch}",
            "revision_count": len(revisions),
            "revisions": revisions,
        }
        found.pushed_at = self.clock
        found.project.usage["git"] += 4096 * len(revisions)
        self.record(found.project, 12, content, self.user(by))

    def commit_to_subversion(self, project: Where, comment: str, *, by: Who = None) -> None:
        """The next revision of the project's Subversion repository: activity 11."""
        place = self.project(project)
        self.svn_revisions[place.id] = revision = self.svn_revisions.get(place.id, 0) + 1
        self.record(place, 11, {"rev": revision, "comment": comment}, self.user(by))

    # --- pull requests ---

    def create_pull_request(
        self,
        repository: Repository | int,
        summary: str,
        description: str = "",
        *,
        base: str = "main",
        branch: str = "work",
        assignee: Who = None,
        issue: Issue | int | str | None = None,
        attachments: Iterable[tuple[str, int]] = (),
        by: Who = None,
    ) -> PullRequest:
        """Activity 18. Nobody is assigned unless ``assignee`` is given."""
        found, actor = self.repository(repository), self.user(by)
        request = PullRequest(
            id=self.ids.next("pull_request"),
            repository=found,
            number=found.next_number,
            summary=summary,
            description=description,
            base=base,
            branch=branch,
            created_user=actor,
            created=self.clock,
            updated_user=actor,
            updated=self.clock,
            assignee=None if assignee is None else self.user(assignee),
            issue=None if issue is None else self.issue(issue),
        )
        found.next_number += 1
        request.attachments = tuple(
            self._new_attachment("pull_request", found.project, name, size, actor) for name, size in attachments
        )
        found.pull_requests.append(request)
        self.pull_requests[request.id] = request
        told: tuple[Notification, ...] = ()
        if request.assignee not in (None, actor):
            told = (self.notify(request.assignee, 10, actor, found.project, pull_request=request),)
        self.record(found.project, 18, request.activity_content(comment=None), actor, notifications=told)
        return request

    def update_pull_request(
        self,
        pull_request: PullRequest | int,
        *,
        comment: str | None = None,
        by: Who = None,
        **fields: Any,
    ) -> PullRequestComment | None:
        """Change ``summary``, ``description``, ``assignee``, ``issue``: stamp, comment with change log, activity 19."""
        request, actor = self.pull_request(pull_request), self.user(by)
        changes = []
        for name, value in fields.items():
            old = getattr(request, name)
            if name in ("summary", "description"):
                shown = (value, old)
            elif name == "assignee":
                value = None if value is None else self.user(value)
                shown = (value and value.name, old and old.name)
            elif name == "issue":
                value = None if value is None else self.issue(value)
                shown = (value and value.key, old and old.key)
            else:
                raise TypeError(f"a pull request's {name} cannot be changed")
            if value != old:
                setattr(request, name, value)
                changes.append(Change("assigner" if name == "assignee" else name, *shown))
        return self._pull_request_changed(request, changes, comment, actor)

    def close_pull_request(
        self, pull_request: PullRequest | int, *, merge: bool = True, by: Who = None
    ) -> PullRequestComment | None:
        """Merge it, or close it without: a change of the status, so activity 19."""
        request, actor = self.pull_request(pull_request), self.user(by)
        if request.status_id != 1:
            return None
        old, request.status_id = request.status_id, 3 if merge else 2
        request.close_at = self.clock
        request.base_commit = _commit(request.id, 0, 0)
        request.branch_commit = _commit(request.id, 0, 1)
        if merge:
            request.merge_at, request.merge_commit = self.clock, _commit(request.id, 0, 2)
        change = Change("status", PULL_REQUEST_STATUSES[request.status_id], PULL_REQUEST_STATUSES[old])
        change.ids = (str(request.status_id), str(old))
        return self._pull_request_changed(request, [change], None, actor)

    def delete_pull_request(self, pull_request: PullRequest | int, *, by: Who = None) -> None:
        """Activity 21."""
        request = self.pull_request(pull_request)
        request.repository.pull_requests.remove(request)
        del self.pull_requests[request.id]
        self.record(request.repository.project, 21, request.activity_content(comment=None), self.user(by))

    def remove_pull_request_attachment(
        self, pull_request: PullRequest | int, attachment: Attachment | int | str
    ) -> None:
        """No stamp, no activity."""
        request = self.pull_request(pull_request)
        gone = self.one(request.attachments, attachment)
        request.attachments = tuple(each for each in request.attachments if each is not gone)
        request.repository.project.usage["pullRequest"] -= gone.size

    def comment_pull_request(
        self,
        pull_request: PullRequest | int,
        content: str,
        *,
        file_path: str | None = None,
        position: int | None = None,
        notify: Iterable[Who] = (),
        by: Who = None,
    ) -> PullRequestComment:
        """Activity 20; the pull request's ``updated`` stays. With ``file_path`` it is about a line of the diff."""
        request, actor = self.pull_request(pull_request), self.user(by)
        comment = self._new_pull_request_comment(request, content, (), actor)
        if file_path is not None:
            comment.file_path, comment.position = file_path, position
            comment.old_blob = _commit(comment.id, 0, 3)
            comment.new_blob = _commit(comment.id, 0, 4)
        comment.notifications = tuple(
            self.notify(
                self.user(user),
                11,
                actor,
                request.repository.project,
                pull_request=request,
                pull_request_comment=comment,
            )
            for user in notify
        )
        self.record(
            request.repository.project,
            20,
            request.activity_content(comment=comment),
            actor,
            notifications=comment.notifications,
        )
        return comment

    def edit_pull_request_comment(self, comment: PullRequestComment, content: str) -> PullRequestComment:
        """Moves the comment's ``updated``; no activity."""
        comment.content, comment.updated = content, self.clock
        return comment

    # --- inner workings ---

    def _new_pull_request_comment(
        self, request: PullRequest, content: str | None, changes: tuple[Change, ...], actor: User
    ) -> PullRequestComment:
        comment = PullRequestComment(
            self.ids.next("pull_request_comment"), request, content, changes, actor, self.clock, self.clock
        )
        request.comments.append(comment)
        return comment

    def _pull_request_changed(
        self, request: PullRequest, changes: list[Change], content: str | None, actor: User
    ) -> PullRequestComment | None:
        if not changes and content is None:
            return None
        if not changes:
            return self.comment_pull_request(request, content, by=actor)  # type: ignore[arg-type]
        request.updated, request.updated_user = self.clock, actor
        comment = self._new_pull_request_comment(request, content, tuple(changes), actor)
        body = request.activity_content(comment=comment, changes=changes)
        self.record(request.repository.project, 19, body, actor)
        return comment


def _commit(*parts: int) -> str:
    return hashlib.sha1(":".join(map(str, parts)).encode()).hexdigest()
