"""Changes of issues and their comments.

What each does to ``issue.updated`` and to the activity feed is section 6.2 of the API reference: a change of a field
moves the stamp, leaves a comment with a change log and activity 2; a comment, even with a file, leaves activity 3 and
moves nothing; a star, a linked shared file, an edited comment move nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core import Core
from ..entities import Attachment, Change, Comment, ExternalLink, Issue, Notification, Project, SharedFile, User
from .people import Who
from .projects import Where

What = Issue | int | str
"""An issue, its id or its key."""

_PLAIN = {
    "summary": "summary",
    "description": "description",
    "start_date": "startDate",
    "due_date": "limitDate",
    "estimated_hours": "estimatedHours",
    "actual_hours": "actualHours",
}
_NAMED = {
    "status": "status",
    "resolution": "resolution",
    "priority": "priority",
    "issue_type": "issueType",
    "assignee": "assigner",
}
_LISTS = {"categories": "component", "versions": "version", "milestones": "milestone"}


class IssueChanges(Core):
    def create_issue(
        self,
        project: Where,
        summary: str,
        *,
        by: Who = None,
        notify: Iterable[Who] = (),
        attachments: Iterable[tuple[str, int]] = (),
        **fields: Any,
    ) -> Issue:
        """A new issue: activity 1. With ``notify``, also the pseudo-comment that real Backlog leaves.

        ``fields``: ``description``, ``issue_type``, ``status``, ``priority``, ``resolution``, ``assignee``,
        ``categories``, ``versions``, ``milestones``, ``start_date``, ``due_date`` (``yyyy-MM-dd``),
        ``estimated_hours``, ``actual_hours``, ``parent``, ``custom_fields`` ({field: value}), ``other_values``
        ({field: text}). ``attachments`` are (name, size).
        """
        place, actor = self.project(project), self.user(by)
        issue = self._new_issue(place, summary, actor, fields)
        issue.attachments = tuple(self._new_attachment("issue", place, name, size, actor) for name, size in attachments)
        notified = self._issue_notifications(issue, actor, notify, 3)
        if notified:
            change = Change("notification", None, None, notification="issue.create")
            comment = self._new_comment(issue, None, (change,), actor)
            comment.notifications = notified
            for each in notified:
                each.comment = comment
        assigned = ()
        if issue.assignee is not None and issue.assignee is not actor:
            assigned = (self.notify(issue.assignee, 1, actor, place, issue=issue),)
        content = _issue_content(issue)
        content["attachments"] = [each.short_shape() for each in issue.attachments]
        self.record(place, 1, content, actor, notifications=assigned + notified)
        return issue

    def bulk_create_issues(self, project: Where, summaries: Iterable[str], *, by: Who = None) -> list[Issue]:
        """Several issues at once: one activity 47 and no activity 1."""
        place, actor = self.project(project), self.user(by)
        issues = [self._new_issue(place, summary, actor, {}) for summary in summaries]
        self.record(place, 47, {"link": [_link(issue) for issue in issues]}, actor)
        return issues

    def update_issue(
        self,
        issue: What,
        *,
        by: Who = None,
        comment: str | None = None,
        notify: Iterable[Who] = (),
        **fields: Any,
    ) -> Comment | None:
        """Change fields (as in ``create_issue``): moves ``updated``, leaves a comment with change log and activity 2.

        Fields that already have the value do not count. If nothing is left to change it is a plain comment, or
        nothing at all (None).
        """
        subject, actor = self.issue(issue), self.user(by)
        before = subject.assignee
        changes = self._apply(subject, fields)
        if not changes:
            return None if comment is None else self.add_comment(subject, comment, by=actor, notify=notify)
        self._touch(subject, actor)
        written = self._new_comment(subject, comment, changes, actor)
        written.notifications = self._issue_notifications(subject, actor, notify, 4, comment=written)
        told = written.notifications
        if subject.assignee is not before and subject.assignee not in (None, actor):
            told += (self.notify(subject.assignee, 1, actor, subject.project, issue=subject, comment=written),)
        content = _issue_content(subject, written)
        content["changes"] = self._told(changes)
        self.record(subject.project, 2, content, actor, notifications=told)
        return written

    def bulk_update_issues(
        self, issues: Iterable[What], *, by: Who = None, comment: str | None = None, **fields: Any
    ) -> list[Comment]:
        """Change several issues at once: each gets comment and stamp; one activity 14 per project, no activity 2."""
        actor = self.user(by)
        written: dict[Project, list[Comment]] = {}
        for reference in issues:
            subject = self.issue(reference)
            changes = self._apply(subject, fields)
            if changes:
                self._touch(subject, actor)
            if changes or comment is not None:
                made = self._new_comment(subject, comment, changes, actor)
                written.setdefault(subject.project, []).append(made)
        for place, comments in written.items():
            shown = max((made.changes for made in comments), key=len)
            content = {
                "tx_id": comments[0].id,
                "comment": {"content": comment or ""},
                "link": [
                    {**_link(made.issue), "comment": {"id": made.id, "content": made.content or ""}}
                    for made in comments
                ],
                "changes": [change.bulk_content() for change in shown],
            }
            self.record(place, 14, content, actor)
        return [made for comments in written.values() for made in comments]

    def update_issue_dates(
        self,
        issues: Iterable[What],
        *,
        start_date: str | None,
        due_date: str | None,
        by: Who = None,
        as_link: bool = True,
    ) -> list[Comment]:
        """Drag issues in the Gantt chart: comment and stamp as for any change, but activity 35.

        Its content names the issues in ``link`` like type 14 or, for one issue with ``as_link=False``, like type 2.
        """
        actor = self.user(by)
        subjects = [self.issue(reference) for reference in issues]
        written = []
        for subject in subjects:
            changes = self._apply(subject, {"start_date": start_date, "due_date": due_date})
            if changes:
                self._touch(subject, actor)
                written.append(self._new_comment(subject, None, changes, actor))
        if not written:
            return written
        if as_link or len(written) > 1:
            for place in dict.fromkeys(made.issue.project for made in written):
                links = [
                    {**_link(made.issue), "comment": {"id": made.id, "content": ""}}
                    for made in written
                    if made.issue.project is place
                ]
                self.record(place, 35, {"tx_id": written[0].id, "link": links, "changes": []}, actor)
        else:
            content = _issue_content(written[0].issue, written[0])
            content["changes"] = self._told(written[0].changes)
            self.record(written[0].issue.project, 35, content, actor)
        return written

    def delete_issue(self, issue: What, *, by: Who = None) -> None:
        """Activity 4 with id and key number only. Its children lose their parent, which is a change like any other."""
        subject, actor = self.issue(issue), self.user(by)
        for child in subject.children:
            self.update_issue(child, parent=None, by=actor)
        for other in subject.related:
            other.related = tuple(each for each in other.related if each is not subject)
        if subject.parent:
            subject.parent.children = tuple(each for each in subject.parent.children if each is not subject)
        place = subject.project
        place.issues.remove(subject)
        del place.numbers[subject.number]
        del self.issues[subject.id]
        place.usage["issue"] -= sum(each.size for each in subject.attachments)
        for watching in self.watchings_by_issue.pop(subject.id, ()):
            watching.user.watchings.remove(watching)
        for user in self.users.values():
            user.viewed.get("Issue", {}).pop(subject.id, None)
            user.notifications[:] = [each for each in user.notifications if each.issue is not subject]
        for repository in place.repositories:
            for request in repository.pull_requests:
                if request.issue is subject:
                    request.issue = None
        self.record(place, 4, {"id": subject.id, "key_id": subject.number}, actor)

    def move_issue(self, issue: What, project: Where, *, by: Who = None, bump: bool = True) -> Issue:
        """To another project: the id stays, the key changes; type, status, categories, … go to their namesakes there.

        How real Backlog records it is not documented: here a comment with the change of ``issueKey`` and activity 2 in
        the new project; ``bump=False`` leaves ``updated`` alone.
        """
        subject, place, actor = self.issue(issue), self.project(project), self.user(by)
        source = subject.project
        if place is source:
            return subject
        old_key = subject.key
        source.issues.remove(subject)
        del source.numbers[subject.number]
        if subject.parent:
            subject.parent.children = tuple(each for each in subject.parent.children if each is not subject)
        for child in subject.children:
            child.parent = None
            child.forget()
        subject.parent, subject.children = None, ()
        subject.custom_values = subject.other_values = None
        names = {kind.name: kind for kind in place.issue_types}
        subject.issue_type = names.get(subject.issue_type.name, place.issue_types[0])
        states = {status.name: status for status in place.statuses}
        subject.status = states.get(subject.status.name, place.statuses[0])
        categories = {each.name for each in subject.categories}
        subject.categories = tuple(each for each in place.categories if each.name in categories)
        subject.versions = subject.milestones = ()
        size = sum(each.size for each in subject.attachments)
        source.usage["issue"] -= size
        place.usage["issue"] += size
        subject.project, subject.number = place, place.next_number
        place.next_number += 1
        place.numbers[subject.number] = subject
        place.issues.append(subject)
        place.issues.sort(key=lambda each: each.id)
        subject.forget()
        if bump:
            self._touch(subject, actor)
        comment = self._new_comment(subject, None, (Change("issueKey", subject.key, old_key),), actor)
        content = _issue_content(subject, comment)
        content["changes"] = self._told(comment.changes)
        self.record(place, 2, content, actor)
        return subject

    # --- comments ---

    def add_comment(
        self,
        issue: What,
        content: str,
        *,
        by: Who = None,
        notify: Iterable[Who] = (),
        attachments: Iterable[tuple[str, int]] = (),
    ) -> Comment:
        """A comment, perhaps with files (name, size): activity 3.

        The issue's ``updated`` stays, even with files (see ``Settings.comment_bumps_updated``).
        """
        subject, actor = self.issue(issue), self.user(by)
        files = tuple(self._new_attachment("issue", subject.project, name, size, actor) for name, size in attachments)
        subject.attachments += files
        subject.forget()
        changes = tuple(Change("attachment", each.name, None, attachment=(each.id, each.name)) for each in files)
        comment = self._new_comment(subject, content, changes, actor)
        comment.notifications = self._issue_notifications(subject, actor, notify, 2, comment=comment)
        if self.settings.comment_bumps_updated:
            self._touch(subject, actor)
        told = _issue_content(subject, comment)
        told["changes"], told["attachments"] = self._told(changes), [each.short_shape() for each in files]
        self.record(subject.project, 3, told, actor, notifications=comment.notifications)
        return comment

    def edit_comment(self, comment: Comment, content: str) -> Comment:
        """Moves the comment's ``updated``; no activity, nothing else."""
        comment.content, comment.updated = content, self.clock
        return comment

    def delete_comment(self, comment: Comment) -> None:
        """No activity, no stamp. A comment with a change log keeps its log and loses its content only."""
        if comment.changes:
            comment.content = None
        else:
            comment.issue.comments.remove(comment)

    def add_comment_notification(
        self, comment: Comment, users: Iterable[Who], *, by: Who = None
    ) -> tuple[Notification, ...]:
        """Tell more people of a comment: activity 17; neither the issue's nor the comment's ``updated`` moves."""
        actor = self.user(by)
        known = {each.user for each in comment.notifications}
        more = [user for user in users if self.user(user) not in known]
        told = self._issue_notifications(comment.issue, actor, more, 2, comment=comment)
        if told:
            comment.notifications += told
            self.record(comment.issue.project, 17, _issue_content(comment.issue, comment), actor, notifications=told)
        return told

    # --- what hangs on an issue ---

    def attach_file(self, issue: What, name: str, size: int = 1000, *, by: Who = None) -> Attachment:
        """A file by way of "update issue": stamp, comment with ``attachmentInfo``, activity 2."""
        subject, actor = self.issue(issue), self.user(by)
        attachment = self._new_attachment("issue", subject.project, name, size, actor)
        subject.attachments += (attachment,)
        self._touch(subject, actor)
        change = Change("attachment", name, None, attachment=(attachment.id, name))
        comment = self._new_comment(subject, None, (change,), actor)
        content = _issue_content(subject, comment)
        content["changes"] = self._told((change,))
        content["attachments"] = [attachment.short_shape()]
        self.record(subject.project, 2, content, actor)
        return attachment

    def remove_attachment(self, issue: What, attachment: Attachment | int | str, *, by: Who = None) -> None:
        """A change like any other: stamp, comment, activity 2."""
        subject, actor = self.issue(issue), self.user(by)
        gone = self.one(subject.attachments, attachment)
        subject.attachments = tuple(each for each in subject.attachments if each is not gone)
        subject.project.usage["issue"] -= gone.size
        self._touch(subject, actor)
        change = Change("attachment", None, gone.name, attachment=(gone.id, gone.name))
        comment = self._new_comment(subject, None, (change,), actor)
        content = _issue_content(subject, comment)
        content["changes"] = self._told((change,))
        self.record(subject.project, 2, content, actor)

    def link_shared_file(
        self, issue: What, file: SharedFile | int, *, by: Who = None, through_api: bool = False
    ) -> None:
        """``updated`` stays. Activity 2 when done in the browser, none through the API."""
        subject, linked = self.issue(issue), self.shared_file(file)
        if linked in subject.shared_files:
            return
        subject.shared_files += (linked,)
        subject.forget()
        if not through_api:
            content = _issue_content(subject)
            content |= {"comment": None, "changes": [], "shared_files": [linked.activity_content()]}
            self.record(subject.project, 2, content, self.user(by))

    def unlink_shared_file(self, issue: What, file: SharedFile | int) -> None:
        """``updated`` stays, no activity."""
        subject, linked = self.issue(issue), self.shared_file(file)
        subject.shared_files = tuple(each for each in subject.shared_files if each is not linked)
        subject.forget()

    def add_external_link(self, issue: What, url: str, title: str, *, by: Who = None) -> ExternalLink:
        """A link to a file elsewhere. ``updated`` stays, no activity."""
        subject, actor = self.issue(issue), self.user(by)
        link = ExternalLink(
            self.ids.next("external_link"), "google_drive", url, title, actor, self.clock, actor, self.clock
        )
        subject.external_links += (link,)
        subject.forget()
        return link

    def relate_issues(self, issue: What, other: What, *, by: Who = None) -> None:
        """Each is related to the other. Recorded on both as a change like any other (not documented)."""
        first, second, actor = self.issue(issue), self.issue(other), self.user(by)
        if first is second or second in first.related:
            return
        for one, another in ((first, second), (second, first)):
            one.related += (another,)
            self._log(one, Change("relatedIssue", another.key, None), actor)

    def unrelate_issues(self, issue: What, other: What, *, by: Who = None) -> None:
        """The reverse of ``relate_issues``."""
        first, second, actor = self.issue(issue), self.issue(other), self.user(by)
        if second not in first.related:
            return
        for one, another in ((first, second), (second, first)):
            one.related = tuple(each for each in one.related if each is not another)
            self._log(one, Change("relatedIssue", None, another.key), actor)

    # --- inner workings ---

    def _new_issue(self, place: Project, summary: str, actor: User, fields: dict[str, Any]) -> Issue:
        number = place.next_number
        place.next_number += 1
        issue = Issue(
            id=self.ids.next("issue"),
            project=place,
            number=number,
            issue_type=place.issue_types[0],
            summary=summary,
            description="",
            status=place.statuses[0],
            priority=self.priorities[1],
            created_user=actor,
            created=self.clock,
            updated_user=actor,
            updated=self.clock,
        )
        self._apply(issue, fields)
        self.issues[issue.id] = issue
        place.issues.append(issue)
        place.numbers[number] = issue
        return issue

    def _new_comment(self, issue: Issue, content: str | None, changes: tuple[Change, ...], actor: User) -> Comment:
        identity = self.ids.next("comment")
        if content is None and identity % 7 == 0:
            # Old comments that are only a change have empty content instead of none.
            content = ""
        if self.long_ago:
            for change in changes:
                change.old = change.old or ""
        comment = Comment(identity, issue, content, changes, actor, self.clock, self.clock)
        issue.comments.append(comment)
        if issue.id in self.watchings_by_issue:
            self._touch_watchings(issue)
        return comment

    def _told(self, changes: Iterable[Change]) -> list[dict[str, Any]]:
        """A change log as the feed writes it."""
        content = [change.activity_content() for change in changes]
        if self.quirks.field_text:
            for change, told in zip(changes, content, strict=True):
                told["field_text"] = change.field if change.attribute else f"lbl.changelog.{change.field}"
        return content

    def _touch(self, issue: Issue, actor: User) -> None:
        issue.updated, issue.updated_user = self.clock, actor
        issue.forget()

    def _log(self, issue: Issue, change: Change, actor: User) -> Comment:
        self._touch(issue, actor)
        comment = self._new_comment(issue, None, (change,), actor)
        content = _issue_content(issue, comment)
        content["changes"] = self._told((change,))
        self.record(issue.project, 2, content, actor)
        return comment

    def _issue_notifications(
        self, issue: Issue, actor: User, users: Iterable[Who], reason: int, **about: Any
    ) -> tuple[Notification, ...]:
        receivers = {user.id: user for user in map(self.user, users) if user is not actor}
        return tuple(
            self.notify(user, reason, actor, issue.project, issue=issue, **about) for user in receivers.values()
        )

    def _apply(self, issue: Issue, fields: dict[str, Any]) -> tuple[Change, ...]:
        """Set fields; returns what really changed, as a change log."""
        place, log = issue.project, []
        for name, value in fields.items():
            if name in _PLAIN:
                old = getattr(issue, name)
                if value == old:
                    continue
                log.append(Change(_PLAIN[name], _text(value), _text(old)))
            elif name in _NAMED:
                old = getattr(issue, name)
                value = self._named(place, name, value)
                if value is old:
                    continue
                change = Change(_NAMED[name], value and value.name, old and old.name)
                if name in ("status", "resolution"):
                    change.ids = ("" if value is None else str(value.id), "" if old is None else str(old.id))
                log.append(change)
            elif name in _LISTS:
                old = getattr(issue, name)
                choices = place.categories if name == "categories" else place.versions
                value = tuple(self.one(choices, each) for each in value)
                if value == old:
                    continue
                log.append(Change(_LISTS[name], _names(value), _names(old)))
            elif name == "parent":
                change = self._set_parent(issue, value)
                if change is not None:
                    log.append(change)
                continue
            elif name == "custom_fields":
                log += self._set_custom_fields(issue, value)
                continue
            elif name == "other_values":
                others = {self.custom_field(place, field).id: text for field, text in value.items()}
                issue.other_values = {**(issue.other_values or {}), **others}
                issue.forget()
                continue
            else:
                raise TypeError(f"an issue has no field {name}")
            setattr(issue, name, value)
        return tuple(log)

    def _named(self, place: Project, name: str, value: Any) -> Any:
        if value is None and name in ("resolution", "assignee", "priority"):
            return None
        if name == "assignee":
            return self.user(value)
        choices = {
            "status": place.statuses,
            "issue_type": place.issue_types,
            "priority": self.priorities,
            "resolution": self.resolutions,
        }[name]
        return self.one(choices, value)

    def _set_parent(self, issue: Issue, value: What | None) -> Change | None:
        parent = None if value is None else self.issue(value)
        old = issue.parent
        if parent is old:
            return None
        above = parent
        while above is not None:
            if above is issue:
                raise ValueError("an issue cannot be its own ancestor")
            above = above.parent
        if old is not None:
            old.children = tuple(child for child in old.children if child is not issue)
        if parent is not None:
            parent.children += (issue,)
        issue.parent = parent
        return Change("parentIssue", parent and parent.key, old and old.key)

    def _set_custom_fields(self, issue: Issue, values: dict[Any, Any]) -> list[Change]:
        log = []
        for reference, given in values.items():
            field = self.custom_field(issue.project, reference)
            value = given
            if field.type_id in (5, 8) and given is not None:
                value = self.one(field.items, given)
            elif field.type_id in (6, 7):
                value = tuple(self.one(field.items, each) for each in given or ())
            old = issue.value_of(field)
            if value == old:
                continue
            if issue.custom_values is None:
                issue.custom_values = {}
            issue.custom_values[field.id] = value
            # The type comes as number or as text, depending on the age of the record.
            type_id = field.type_id if (issue.number + field.id) % 2 else str(field.type_id)
            log.append(Change(field.name, field.display(value), field.display(old), attribute=(field.id, type_id)))
        return log


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _names(items: Iterable[Any]) -> str | None:
    return ", ".join(item.name for item in items) or None


def _link(issue: Issue) -> dict[str, Any]:
    return {"id": issue.id, "key_id": issue.number, "title": issue.summary}


def _issue_content(issue: Issue, comment: Comment | None = None) -> dict[str, Any]:
    content = {
        "id": issue.id,
        "key_id": issue.number,
        "summary": issue.summary,
        "description": issue.description or "",
    }
    if comment is not None:
        content["comment"] = {"id": comment.id, "content": comment.content or ""}
        content["changes"] = []
    content |= {"attachments": [], "shared_files": [], "external_file_links": []}
    return content
