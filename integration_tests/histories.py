"""Random histories of a space: what people do in it, between syncs and between the pages of one, and what must hold.

`World` performs changes that are chosen by numbers, and remembers what they leave no trace of. `differences` compares
the tables of a destination with the space; what it leaves out is listed there, with the reason.
"""

from __future__ import annotations

import json
import logging
import re
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessage, AirbyteStateMessage, Type
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from integration_tests.emulator import Emulator
from integration_tests.emulator.generator import generate
from integration_tests.harness import FILES_OF, UNTOLD, configured, files_of, primary_key, without_nulls
from source_backlog import SourceBacklog
from source_backlog.changes import feed, paging, quiet
from source_backlog.streams import activities, documents, files, issues, objects, people, shared_files

Row = dict[str, Any]
Table = dict[tuple[Any, ...], Row]

FAMILIES: dict[str, list[str]] = {
    "issues": ["issues"],
    "inside issues": [
        "issues",
        "issue_custom_field_values",
        "issue_attachments",
        "issue_shared_files",
        "issue_external_file_links",
        "issue_stars",
        "issue_categories",
        "issue_versions",
        "issue_milestones",
    ],
    "comments": ["issue_comments"],
    "inside comments": [
        "issues",
        "issue_comments",
        "issue_changelogs",
        "issue_comment_notifications",
        "issue_comment_stars",
    ],
    "related issues": ["related_issues"],
    "wikis": ["wikis", "wiki_history"],
    "inside wikis": ["wikis", "wiki_tags", "wiki_attachments", "wiki_shared_files", "wiki_stars"],
    "documents": ["documents", "document_attachments", "document_tags"],
    "document comments": ["document_comments"],
    "all of documents": ["documents", "document_comments"],
    "pull requests": ["pull_requests", "pull_request_attachments", "pull_request_stars"],
    "pull request comments": [
        "pull_request_comments",
        "pull_request_changelogs",
        "pull_request_comment_notifications",
        "pull_request_comment_stars",
    ],
    # Lists of settings share their answers with whoever asks whether a project is still readable.
    "beside settings": ["projects", "statuses", "git_repositories", "issues", "issue_comments", "pull_requests"],
    "people": ["user_stars", "notifications", "watchings"],
    "activities": ["activities", "activity_changes", "git_push_revisions", "svn_commits"],
    # Logged changes beside the feed that tells their ids.
    "changelogs": ["issue_changelogs", "pull_request_changelogs", "activity_changes"],
    "deletions": ["deletions", "issues", "wikis"],
    "files of issues": ["issue_attachment_files"],
    "files": [
        "wiki_attachment_files",
        "document_attachment_files",
        "pull_request_attachment_files",
        "shared_file_contents",
    ],
}

# What servers differ in, and what nobody knows of them: the readings of `core.Settings`, the values of `quirks.Quirks`.
SETTINGS: dict[str, list[Any]] = {
    "inclusive_ids": [False, True],
    "archived_readable": [False, True],
    "comment_bumps_updated": [False, True],
}
QUIRKS: dict[str, list[Any]] = {
    "ties": ["stable", "random"],
    "shared_files_count": ["cap", "refuse", "allow"],
    "pull_request_list_details": [False, True],
    "document_list_details": [False, True],
    "document_comment_deletion_ids": [False, True],
    "trash_tree": ["full", "missing", "null", "empty"],
    "unjoined_projects": ["left out", "404"],
    "child_issue_summary": ["counted", "refused", "left out"],
    "all_projects": ["administrators", "refused to others", "ignored", "refused"],
    "field_text": [False, True],
    "days": ["utc", "zone"],
    # Nothing, half of the generated past, or all that will ever happen looks like 2015.
    "old_until": ["", "2025-07-01", "2027-01-01"],
}

COVERAGE = "sync_coverage"
# The streams of which Backlog tells how many rows a project has, and the flag of a project that has them, by family.
COMPARABLE = ("issues", "wikis", "documents", "pull_requests")
FEATURES = {"wiki": "useWiki", "document": "useDocument", "pull_request": "useGit", "git_r": "useGit"}
FEATURES |= {"shared_file": "useFileSharing"}
OF_THE_SPACE = {"projects", "user_stars", "notifications", "watchings", "deletions"}
OF_THE_SPACE |= {"activities", "activity_changes", "git_push_revisions", "svn_commits"}
# The column of a file's row in which the tests keep its bytes.
CONTENT = "_content"
TOMBSTONE = "_ab_cdc_deleted_at"
SMALL_PAGE = 6
LOOK_AGAIN = 5 * SMALL_PAGE
FILES_PER_PAGE = shared_files.FILES_PER_PAGE


@contextmanager
def quick() -> Iterator[None]:
    """Pages of a few rows, a checkpoint after every issue, a quiet project left alone, and no log."""
    with TemporaryDirectory() as staging, pytest.MonkeyPatch.context() as patch:
        patch.setattr(paging.by_offset, "__defaults__", (SMALL_PAGE, "id"))
        patch.setattr(paging.by_id, "__defaults__", (None, SMALL_PAGE, "id"))
        for module in (activities, documents, issues, people):
            patch.setattr(module, "PAGE_SIZE", SMALL_PAGE)
        for module in (feed, paging):
            patch.setattr(module, "LOOK_AGAIN", LOOK_AGAIN)
        # Of several projects of which the feed is silent, one is looked at in each sync.
        patch.setattr(quiet, "FEW", 0)
        patch.setattr(quiet, "SEARCHES", 1)
        patch.setattr(shared_files, "FILES_PER_PAGE", SMALL_PAGE)
        for module in (objects, files):
            patch.setattr(module, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(files, "FILES_PER_SECOND_OF_PAUSE", 1_000_000)
        patch.setattr("airbyte_cdk.sources.utils.files_directory.AIRBYTE_STAGING_DIRECTORY", staging)
        logger = logging.getLogger("airbyte")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        yield
        logger.setLevel(level)


def messages(
    emulator: Emulator, streams: Sequence[str], state: list[AirbyteStateMessage], **options: Any
) -> list[AirbyteMessage]:
    """Records, states and traces of one run, in the order of their output; it may end with an error."""
    config = emulator.config(num_workers=2, **options)
    catalog = configured(streams)
    source = SourceBacklog(catalog=catalog, config=config, state=state)
    found = []
    try:
        for message in source.read(logging.getLogger("airbyte"), config, catalog, state):
            if message.type in (Type.RECORD, Type.STATE, Type.TRACE):
                found.append(message)
    except AirbyteTracedException:
        pass
    return found


@contextmanager
def whole_pages_of_files() -> Iterator[None]:
    """Shared files in pages as large as users have them, which meet the server's limit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_files, "FILES_PER_PAGE", FILES_PER_PAGE)
        yield


def small_space(seed: int, quirks: dict[str, Any] | None = None) -> Any:
    """Two projects of a dozen issues and a third that the key's user has not joined."""
    return generate(
        seed=seed,
        projects=2,
        archived_projects=0,
        foreign_projects=1,
        issues=14,
        users=3,
        comments_per_issue=1,
        quirks=quirks,
    )


def hold_back(space: Any, activity: Any) -> Callable[[], None]:
    """Hide an activity from all feeds; call the result to show it where its id belongs."""
    owners = [owner for owner in (space, activity.project, activity.created_user) if owner is not None]
    for owner in owners:
        owner.activities.remove(activity)

    def show() -> None:
        for owner in owners:
            insort(owner.activities, activity, key=lambda each: each.id)

    return show


def untold(space: Any, change: Callable[[], Any]) -> None:
    """Make a change of which the feed shows nothing."""
    told = len(space.activities)
    change()
    for activity in space.activities[told:]:
        hold_back(space, activity)


class World:
    """A space and the people in it. A number picks something that is there; what has nothing to pick is no change."""

    def __init__(self, seed: int, quirks: dict[str, Any] | None = None) -> None:
        self.space = small_space(seed, quirks)
        self.me = self.space.user(None)
        self.others = [user for user in self.space.users.values() if user is not self.me and user.role_type == 2]
        # What leaves neither a stamp nor an activity; see `show`.
        self.silent: dict[Any, Callable[[], Any]] = {}
        # The ids of what has changed without an activity.
        self.untold: set[Any] = set()
        self.team = self.space.create_team("鍵の持ち主", [self.me])
        self.held: list[Callable[[], None]] = []
        self.keys: dict[str, int] = {project.key: project.id for project in self.space.projects.values()}
        self.count = 0
        # How often a project may have come into or out of sight without an activity, or a notification, that tells.
        self.unseen = self.unnotified = 0

    # --- picking ---

    @staticmethod
    def pick(things: Any, number: int) -> Any:
        things = list(things)
        return things[number % len(things)] if things else None

    def project(self, number: int) -> Any:
        return self.pick(self.space.projects.values(), number)

    def my_project(self, number: int) -> Any:
        return self.pick([each for each in self.space.projects.values() if self.me in each.all_members()], number)

    def issue(self, number: int) -> Any:
        return self.pick(self.space.issues.values(), number)

    def comment(self, number: int) -> Any:
        return self.pick([each for issue in self.space.issues.values() for each in issue.comments], number)

    def wiki(self, number: int) -> Any:
        return self.pick(self.space.wikis.values(), number)

    def document(self, number: int) -> Any:
        return self.pick([each for each in self.space.documents.values() if each.status_id == 1], number)

    def document_comment(self, number: int) -> Any:
        return self.pick([each for page in self.space.documents.values() for each in page.comments], number)

    def reply(self, number: int) -> Any:
        comments = [each for page in self.space.documents.values() for each in page.comments]
        return self.pick([reply for comment in comments for reply in comment.replies], number)

    def request(self, number: int) -> Any:
        return self.pick(self.space.pull_requests.values(), number)

    def file(self, number: int, project: Any) -> Any:
        return self.pick([each for each in project.files.values() if each.type == "file"], number)

    def text(self, what: str) -> str:
        self.count += 1
        return f"{what} {self.count}"

    # --- what happens ---

    def act(self, name: str, a: int, b: int) -> None:
        """Perform the change `name` as one step."""
        with self.space.lock:
            getattr(self, f"do_{name}")(a, b)

    def do_create_issue(self, a: int, b: int) -> None:
        project = self.project(a)
        if project:
            notify = [self.me] if b % 2 else []
            self.space.create_issue(project, self.text("課題"), by=self.pick(self.others, b), notify=notify)

    def do_bulk_create(self, a: int, b: int) -> None:
        if self.project(a):
            self.space.bulk_create_issues(self.project(a), [self.text("まとめて") for _ in range(1 + b % 15)])

    def do_update_issue(self, a: int, b: int) -> None:
        if issue := self.issue(a):
            self.space.update_issue(issue, summary=self.text("概要"), comment=self.text("ので") if b % 2 else None)

    def do_set_milestones(self, a: int, b: int) -> None:
        if issue := self.issue(a):
            versions = issue.project.versions
            self.space.update_issue(
                issue, milestones=[versions[b % len(versions)]] if versions and b % 3 else [], description=str(b)
            )

    def do_set_status(self, a: int, b: int) -> None:
        if issue := self.issue(a):
            resolution = self.pick([None, *self.space.resolutions], b)
            self.space.update_issue(issue, status=self.pick(issue.project.statuses, b), resolution=resolution)

    def do_bulk_update(self, a: int, b: int) -> None:
        chosen = {id(issue): issue for issue in (self.issue(a + step) for step in range(1 + b % 5)) if issue}
        self.space.bulk_update_issues(
            list(chosen.values()), summary=self.text("一括"), status=1 + b % 4, comment="一括更新"
        )

    def do_drag_dates(self, a: int, b: int) -> None:
        if issue := self.issue(a):
            day = f"2026-07-{1 + b % 28:02}"
            self.space.update_issue_dates([issue], start_date=day, due_date=day, as_link=bool(b % 2))

    def do_comment(self, a: int, b: int) -> None:
        if issue := self.issue(a):
            notify = [self.me] if b % 3 == 0 else []
            self.space.add_comment(issue, self.text("コメント"), by=self.pick(self.others, b), notify=notify)

    def do_comment_with_file(self, a: int, b: int) -> None:
        if issue := self.issue(a):
            files = [(f"{self.text('添付')}.png", 10) for _ in range(1 + b % 3)]
            self.space.add_comment(issue, self.text("コメント"), by=self.pick(self.others, b), attachments=files)

    def do_tell(self, a: int, b: int) -> None:
        if comment := self.comment(a):
            self.space.add_comment_notification(comment, [self.pick(self.others, b)])

    def do_edit_comment(self, a: int, b: int) -> None:
        if comment := self.comment(a):
            self.space.edit_comment(comment, self.text("直した"))
            self.touch_issue(comment.issue)

    def do_delete_comment(self, a: int, b: int) -> None:
        if comment := self.comment(a):
            self.space.delete_comment(comment)
            self.touch_issue(comment.issue)

    def do_attach(self, a: int, b: int) -> None:
        if issue := self.issue(a):
            self.space.attach_file(issue, f"{b}.png", 10)

    def do_remove_attachment(self, a: int, b: int) -> None:
        having = self.pick([issue for issue in self.space.issues.values() if issue.attachments], a)
        if having:
            self.space.remove_attachment(having, self.pick(having.attachments, b))

    def do_link_file(self, a: int, b: int) -> None:
        issue = self.issue(a)
        if issue and (file := self.file(b, issue.project)):
            self.space.link_shared_file(issue, file)

    def do_link_file_through_api(self, a: int, b: int) -> None:
        issue = self.issue(a)
        if issue and (file := self.file(b, issue.project)):
            self.space.link_shared_file(issue, file, through_api=True)
            self.touch_issue(issue)

    def do_share_file(self, a: int, b: int) -> None:
        if project := self.project(a):
            folder = ("", "設計/", "設計/図面/", "議事録/")[b % 4]
            self.space.add_shared_file(project, f"/{folder}{self.text('図')}.png", b)

    def do_fill_folder(self, a: int, b: int) -> None:
        """More files in one folder than a page may hold."""
        project = self.project(a)
        if project and len(project.files) < FILES_PER_PAGE:
            for _ in range(FILES_PER_PAGE - 2 + b):
                self.space.add_shared_file(project, f"/写真/{self.text('写真')}.png", 1)

    def do_update_file(self, a: int, b: int) -> None:
        project = self.project(a)
        if project and (file := self.file(b, project)):
            self.touch_linked([file])
            self.space.update_shared_file(file, size=b, name=f"{self.text('図')}.png" if b % 2 else None)

    def do_delete_file(self, a: int, b: int) -> None:
        """A file, or a directory with all that is in it."""
        project = self.project(a)
        if project and project.files:
            file = self.pick(project.files.values(), b)
            self.touch_linked([each for each in project.files.values() if each.path.startswith(file.path)])
            self.space.delete_shared_file(file)

    def do_link_elsewhere(self, a: int, b: int) -> None:
        if issue := self.issue(a):
            self.space.add_external_link(issue, f"https://drive.example.com/{b}", self.text("資料"))
            self.touch_issue(issue)

    def do_star_issue(self, a: int, b: int) -> None:
        if issue := self.issue(a):
            self.space.add_star(issue, by=self.pick(self.others, b))
            self.touch_issue(issue)

    def do_star_comment(self, a: int, b: int) -> None:
        if comment := self.comment(a):
            self.space.add_star(comment, by=self.pick(self.others, b))
            self.touch_issue(comment.issue)

    def do_relate(self, a: int, b: int) -> None:
        one, other = self.issue(a), self.issue(b)
        if one:
            (self.space.unrelate_issues if other in one.related else self.space.relate_issues)(one, other)

    def do_set_parent(self, a: int, b: int) -> None:
        one, other = self.issue(a), self.issue(b)
        if one and other.parent is None and not one.children and one is not other and one.project is other.project:
            self.space.update_issue(one, parent=other)

    def do_delete_issue(self, a: int, b: int) -> None:
        if issue := self.issue(a):
            related = issue.related
            self.space.delete_issue(issue)
            for other in related:
                self.touch_issue(other)
            self.touch_requests()

    def do_move_issue(self, a: int, b: int) -> None:
        issue = self.issue(a)
        if issue and self.project(b):
            others = [*issue.related, *issue.children]
            self.space.move_issue(issue, self.project(b), bump=bool(b % 2))
            for other in others:
                self.touch_issue(other)

    def do_delete_status(self, a: int, b: int) -> None:
        """The issues of a deleted status get another one; before, an issue gets a new status."""
        having = self.pick([issue for issue in self.space.issues.values() if issue.status.id > 4], a)
        issue = self.issue(a)
        if having:
            self.space.delete_status(having.project, having.status)
        elif issue and len(issue.project.statuses) < 12:
            self.space.update_issue(issue, status=self.space.create_status(issue.project, self.text("状態")))

    def do_create_wiki(self, a: int, b: int) -> None:
        if self.project(a):
            self.space.create_wiki(self.project(a), self.text("ページ"), "本文", tags=["設計"] if b % 2 else [])

    def do_update_wiki(self, a: int, b: int) -> None:
        if page := self.wiki(a):
            self.space.update_wiki(page, content=self.text("本文"), tags=["設計", "議事録"][: b % 3])

    def do_attach_to_wiki(self, a: int, b: int) -> None:
        if page := self.wiki(a):
            self.space.attach_file_to_wiki(page, f"{b}.png")

    def do_remove_wiki_attachment(self, a: int, b: int) -> None:
        having = self.pick([page for page in self.space.wikis.values() if page.attachments], a)
        if having:
            self.space.remove_wiki_attachment(having, self.pick(having.attachments, b))
            self.touch_wiki(having)

    def do_star_wiki(self, a: int, b: int) -> None:
        if page := self.wiki(a):
            self.space.add_star(page, by=self.pick(self.others, b))
            self.touch_wiki(page)

    def do_delete_wiki(self, a: int, b: int) -> None:
        if page := self.wiki(a):
            self.space.delete_wiki(page)

    def do_create_document(self, a: int, b: int) -> None:
        if project := self.project(a):
            above = self.document(b)
            self.space.create_document(
                project,
                self.text("文書"),
                "本文",
                parent=above if b % 3 and above and above.project is project else None,
                tags=["設計"] if b % 2 else [],
            )

    def do_bulk_create_documents(self, a: int, b: int) -> None:
        if self.project(a):
            self.space.bulk_create_documents(self.project(a), [self.text("文書") for _ in range(1 + b % 4)])

    def do_write_document(self, a: int, b: int) -> None:
        if page := self.document(a):
            self.space.update_document(page, plain=self.text("本文"), title=self.text("題") if b % 2 else None)

    def do_tag_document(self, a: int, b: int) -> None:
        if page := self.document(a):
            self.space.update_document(page, emoji="🎉", tags=["設計", "議事録"][: b % 3])

    def do_attach_to_document(self, a: int, b: int) -> None:
        if page := self.document(a):
            self.space.attach_file_to_document(page, f"{b}.png")

    def do_trash_document(self, a: int, b: int) -> None:
        if page := self.document(a):
            (self.space.trash_document if b % 4 else self.space.delete_document)(page)

    def do_restore_document(self, a: int, b: int) -> None:
        trashed = self.pick([each for each in self.space.documents.values() if each.status_id == 2], a)
        if trashed:
            self.space.restore_document(trashed)

    def do_comment_document(self, a: int, b: int) -> None:
        if page := self.document(a):
            self.space.comment_document(page, self.text("コメント"), by=self.pick(self.others, b))

    def do_edit_document_comment(self, a: int, b: int) -> None:
        if comment := self.document_comment(a):
            self.space.edit_document_comment(comment, self.text("直した"))

    def do_reply(self, a: int, b: int) -> None:
        if comment := self.document_comment(a):
            self.space.reply_to_document_comment(comment, self.text("返信"), by=self.pick(self.others, b))

    def do_edit_reply(self, a: int, b: int) -> None:
        if reply := self.reply(a):
            self.space.edit_document_reply(reply, self.text("直した"))

    def do_delete_document_comment(self, a: int, b: int) -> None:
        if b % 2 and (reply := self.reply(a)):
            self.space.delete_document_reply(reply)
        elif comment := self.document_comment(a):
            self.space.delete_document_comment(comment)

    def do_create_request(self, a: int, b: int) -> None:
        repository = self.pick(self.space.repositories.values(), a)
        if repository:
            self.space.create_pull_request(repository, self.text("変更"), attachments=[(f"{b}.log", 5)])

    def do_create_repository(self, a: int, b: int) -> None:
        if self.project(a):
            repository = self.space.create_repository(self.project(a), self.text("repository").replace(" ", "-"))
            self.space.create_pull_request(repository, self.text("最初の変更"))

    def do_push(self, a: int, b: int) -> None:
        if repository := self.pick(self.space.repositories.values(), a):
            comments = [self.text("コミット") for _ in range(b % 4)]
            self.space.push(repository, comments, tag="v1" if b % 5 == 0 else None, by=self.pick(self.others, b))

    def do_commit(self, a: int, b: int) -> None:
        if project := self.project(a):
            self.space.commit_to_subversion(project, self.text("コミット"), by=self.pick(self.others, b))

    def do_update_request(self, a: int, b: int) -> None:
        if request := self.request(a):
            self.space.update_pull_request(request, summary=self.text("概要"), comment="ので" if b % 2 else None)

    def do_close_request(self, a: int, b: int) -> None:
        if request := self.request(a):
            self.space.close_pull_request(request, merge=bool(b % 2))

    def do_comment_request(self, a: int, b: int) -> None:
        if request := self.request(a):
            notify = [self.me] if b % 3 == 0 else []
            self.space.comment_pull_request(request, self.text("レビュー"), notify=notify, by=self.pick(self.others, b))

    def do_star_request(self, a: int, b: int) -> None:
        if request := self.request(a):
            target = self.pick(request.comments, b) if b % 2 and request.comments else request
            self.space.add_star(target, by=self.pick(self.others, b))
            self.touch_request(request)

    def do_edit_request_comment(self, a: int, b: int) -> None:
        request = self.request(a)
        if request and request.comments:
            self.space.edit_pull_request_comment(self.pick(request.comments, b), self.text("直した"))
            self.touch_request(request)

    def do_delete_request(self, a: int, b: int) -> None:
        if request := self.request(a):
            self.space.delete_pull_request(request)

    def do_watch(self, a: int, b: int) -> None:
        issue = self.issue(a)
        if issue and all(watching.issue is not issue for watching in self.me.watchings):
            self.space.watch(issue, note=self.text("メモ"))
        elif self.me.watchings:
            self.space.unwatch(self.pick(self.me.watchings, b))

    def do_join_or_leave(self, a: int, b: int) -> None:
        """The key's user loses a project, or gets it (back), by itself or with a team."""
        project = self.project(a)
        self.touch_related(project)
        if project and self.me in project.all_members():
            self.space.remove_member(project, self.me, by=self.pick(self.others, b))
            self.space.remove_project_team(project, self.team, by=self.pick(self.others, b))
        elif project and b % 2:
            self.space.add_member(project, self.me, by=self.pick(self.others, b))
        elif project:
            self.unnotified += 1
            self.space.add_project_team(project, self.team, by=self.pick(self.others, b))

    def do_change_team(self, a: int, b: int) -> None:
        """The key's user leaves its team, or comes back to it, and with it loses or gets projects: no activity."""
        for project in self.space.projects.values():
            if self.team in project.teams:
                self.touch_related(project)
        self.unseen += 1
        here = self.me in self.team.members
        self.space.update_team(self.team, add=[] if here else [self.me], remove=[self.me] if here else [])

    def do_blink(self, a: int, b: int) -> None:
        """One of these, or archiving: whoever calls this calls it again soon."""
        (self.do_archive, self.do_change_team, self.do_join_or_leave, self.do_join_or_leave)[b % 4](a, b)

    def do_rename_key(self, a: int, b: int) -> None:
        if project := self.project(a):
            key = f"RENAMED{len(self.keys)}"
            self.keys[key] = project.id
            self.space.rename_project_key(project, key)

    def do_archive(self, a: int, b: int) -> None:
        if project := self.project(a):
            self.touch_related(project)
            self.space.archive_project(project, not project.archived)
            self.unseen += not self.space.settings.archived_readable

    def do_create_project(self, a: int, b: int) -> None:
        key = f"NEW{len(self.keys)}"
        project = self.space.create_project(key, self.text("プロジェクト"))
        self.keys[key] = project.id
        self.space.create_issue(project, self.text("最初の課題"))

    def do_delete_project(self, a: int, b: int) -> None:
        if len(self.space.projects) > 1 and b % 3 == 0:
            self.space.delete_project(self.project(a))

    def do_comment_late(self, a: int, b: int) -> None:
        """A comment whose activity can be seen only after others with higher ids: until `release`, not at all."""
        if issue := self.issue(a):
            files = [(f"{self.text('添付')}.png", 10)] if b % 2 else []
            self.space.add_comment(issue, self.text("コメント"), by=self.pick(self.others, b), attachments=files)
            self.held.append(hold_back(self.space, self.space.activities[-1]))

    def do_wait(self, a: int, b: int) -> None:
        self.space.advance((0, 1, 60, 3_600, 86_400, 3 * 86_400)[a % 6])

    def do_change_untold(self, a: int, b: int) -> None:
        """A change that moves the stamp of an object, and of which the feed shows nothing."""
        one: Any = (self.issue, self.wiki, self.document, self.request)[b % 4](a)
        if one is None:
            return
        changes: tuple[Callable[[], Any], ...] = (
            lambda: self.space.update_issue(one, summary=self.text("概要")),
            lambda: self.space.update_wiki(one, content=self.text("本文")),
            lambda: self.space.update_document(one, plain=self.text("本文")),
            lambda: self.space.update_pull_request(one, summary=self.text("概要")),
        )
        untold(self.space, changes[b % 4])
        self.untold.add(one.id)

    def release(self) -> None:
        """What was held back can be seen."""
        with self.space.lock:
            while self.held:
                self.held.pop()()

    def is_untold(self, line: str) -> bool:
        """Whether a line of `differences` is of an object that has changed without an activity."""
        return any(str(identity) in line for identity in self.untold)

    # --- what nobody can see, and the remedy ---

    def touch_issue(self, issue: Any) -> None:
        """An edited, deleted or starred comment, a star, a relation or a link made through the API leave no trace."""
        self.silent["issue", issue.id] = lambda: self.space.update_issue(issue, description=self.text("触れた"))

    def touch_related(self, project: Any) -> None:
        """A relation comes into sight with the project of the other issue: nothing happens to the one that is read."""
        for issue in project.issues:
            for other in issue.related:
                self.touch_issue(other)

    def touch_linked(self, files: list[Any]) -> None:
        """What a shared file is linked to shows its name, and nothing happens to it when the file changes."""
        for holder in (*self.space.issues.values(), *self.space.wikis.values()):
            if any(file in holder.shared_files for file in files):
                (self.touch_issue if holder.id in self.space.issues else self.touch_wiki)(holder)

    def touch_wiki(self, page: Any) -> None:
        """A star and a file that is taken off leave no trace."""
        self.silent["wiki", page.id] = lambda: self.space.update_wiki(page, content=self.text("触れた"))

    def touch_request(self, request: Any) -> None:
        """A star and an edited comment leave no trace."""
        self.silent["request", request.id] = lambda: self.space.update_pull_request(
            request, summary=self.text("触れた")
        )

    def touch_requests(self) -> None:
        """A pull request whose issue was deleted loses it without a trace."""
        for request in self.space.pull_requests.values():
            if request.issue is None:
                self.touch_request(request)

    def show(self) -> None:
        """What no sync could see is followed by a change of the same object that it can see: the documented remedy."""
        there = {"issue": self.space.issues, "wiki": self.space.wikis, "request": self.space.pull_requests}
        for (kind, identity), touch in self.silent.items():
            if identity in there[kind]:
                touch()
        self.silent.clear()

    def trim(self, keep: int) -> None:
        """Backlog forgets its oldest activities, but never all of them."""
        self.space.trim_activities(keep=max(1, keep))


ACTIONS = sorted(name.removeprefix("do_") for name in vars(World) if name.startswith("do_"))

EVERYWHERE = [
    "join_or_leave",
    "rename_key",
    "archive",
    "create_project",
    "delete_project",
    "wait",
    "blink",
    "blink",
    "change_team",
    "comment_late",
    "change_untold",
    "change_untold",
]
_ISSUES = [
    *("create_issue", "bulk_create", "update_issue", "set_milestones", "bulk_update", "drag_dates", "attach"),
    *("remove_attachment", "link_file", "link_file_through_api", "link_elsewhere", "star_issue", "relate"),
    *(
        "set_parent",
        "delete_issue",
        "move_issue",
        "delete_status",
        "delete_status",
        "delete_status",
        "comment_with_file",
    ),
]
_COMMENTS = [
    *("create_issue", "bulk_create", "update_issue", "comment", "comment", "tell", "edit_comment", "delete_comment"),
    *("star_comment", "bulk_update", "drag_dates", "delete_issue", "move_issue", "comment_with_file", "set_status"),
]
_WIKIS = ["create_wiki", "update_wiki", "attach_to_wiki", "remove_wiki_attachment", "star_wiki", "delete_wiki"]
_DOCUMENTS = [
    *("create_document", "bulk_create_documents", "write_document", "tag_document", "attach_to_document"),
    *("trash_document", "restore_document", "comment_document", "edit_document_comment", "reply", "edit_reply"),
    "delete_document_comment",
]
_REQUESTS = [
    *("create_request", "create_repository", "update_request", "close_request", "comment_request", "star_request"),
    *("edit_request_comment", "delete_request"),
]
_PEOPLE = ["create_issue", "comment", "star_issue", "star_comment", "star_wiki", "tell", "watch", "comment_request"]
ACTIONS_OF = {
    **dict.fromkeys(("issues", "inside issues", "related issues"), _ISSUES),
    **dict.fromkeys(("comments", "inside comments"), _COMMENTS),
    **dict.fromkeys(("wikis", "inside wikis"), _WIKIS),
    **dict.fromkeys(("documents", "document comments", "all of documents"), _DOCUMENTS),
    **dict.fromkeys(("pull requests", "pull request comments"), _REQUESTS),
    "beside settings": _ISSUES + _COMMENTS + _REQUESTS,
    "files of issues": [
        *("create_issue", "bulk_create", "update_issue", "attach", "attach", "comment_with_file", "comment_with_file"),
        *("remove_attachment", "move_issue"),
    ],
    "files": [
        *("attach_to_wiki", "remove_wiki_attachment", "update_wiki", "attach_to_document", "attach_to_document"),
        *("write_document", "trash_document", "restore_document", "restore_document"),
        *("share_file", "fill_folder", "update_file", "delete_file", "create_request", "update_request"),
    ],
    "people": _PEOPLE,
    "deletions": [
        *("create_issue", "delete_issue", "delete_wiki", "trash_document", "delete_request", "close_request"),
        *("comment_document", "reply", "delete_document_comment"),
    ],
    "activities": [
        *("create_issue", "comment", "update_wiki", "write_document", "comment_request", "update_issue", "bulk_update"),
        *("drag_dates", "delete_status", "update_request", "push", "push", "commit"),
    ],
    "changelogs": [
        *("create_issue", "set_status", "set_status", "bulk_update", "comment", "edit_comment", "move_issue"),
        *("update_issue", "delete_status", "create_request", "close_request", "update_request", "comment_request"),
    ],
}
# Rows of these show other objects as they were when the row was made; only the ids are of the row itself.
SHOWS = {
    "activities": ("project", "projectKey", "projectName"),
    **dict.fromkeys(
        ("activity_changes", "git_push_revisions", "svn_commits"), ("projectKey", "projectName", "entityKey")
    ),
    "notifications": (
        *("project", "issue", "comment", "pullRequest", "pullRequestComment", "document"),
        *("documentComment", "documentCommentReply", "repository"),
    ),
    "documents": ("childDocumentIds",),
    "pull_requests": ("issue",),
    "issues": ("childIssueSummary",),
    "related_issues": ("relatedSummary",),
}


def differences(emulator: Emulator, world: World, stream: str, table: Table) -> list[str]:
    """What a table lacks or has otherwise than the space.

    Left out, because Backlog gives no way to see it (each is in the user's documentation):
    - rows too many: of what was deleted, or taken out of an object that still exists (an attachment, a tag, a
      milestone), or lies in a project that the key's user does not see any more. These streams keep them; the stream
      `deletions` and tombstones tell, and have tests of their own;
    - the objects that a row shows beside its own (`SHOWS`): they are as they were when the row was made;
    - the old key of a renamed project in rows that have not changed since: ids are what identifies.
    """
    if stream == "deletions":
        return [f"{stream}: missing {k}" for k in _told_deletions(emulator) if k not in table]
    if stream in FILES_OF:
        return _file_differences(emulator, stream, table)
    key = primary_key(stream)
    expected = {tuple(row.get(name) for name in key): row for row in emulator.truth(stream)}
    table = {k: row for k, row in table.items() if TOMBSTONE not in row}
    found = [f"{stream}: missing {row}" for k, row in expected.items() if k not in table]
    for k in expected.keys() & table.keys():
        there, wanted = (_comparable(world, stream, row[k]) for row in (table, expected))
        names = [name for name in there.keys() | wanted.keys() if there.get(name) != wanted.get(name)]
        names = [name for name in names if name in there or name not in UNTOLD.get(stream, ())]
        found += [f"{stream} {k}: {name} is {there.get(name)!r}, not {wanted.get(name)!r}" for name in names]
    return found


def _file_differences(emulator: Emulator, stream: str, table: Table) -> list[str]:
    """A file is fetched once: the columns of the object that it hangs on are as they were then."""
    found = []
    there = files_of(emulator.space)[stream]
    for row in emulator.truth(FILES_OF[stream]):
        key = tuple(row[name] for name in primary_key(stream))
        if row["id"] in there and key not in table:
            found.append(f"{stream}: missing {row}")
        elif row["id"] in there:
            fetched = table[key]
            found += [f"{stream} {key}: {name} differs" for name in ("name", "size") if fetched[name] != row[name]]
            if fetched[CONTENT] != there[row["id"]].content():
                found.append(f"{stream} {key}: other bytes")
    return found


def _told_deletions(emulator: Emulator) -> Iterator[tuple[str, str, int]]:
    """The key of each deletion of an object that the feed tells of, as far as the key's user sees it."""
    entities = {4: "issue", 7: "wiki", 21: "pull_request", 37: "document"}
    # On some servers these name the document alone.
    inside = {42: ("document_comment", "comment"), 45: ("document_comment_reply", "reply")}
    for activity in emulator.truth("activities"):
        kind, content = activity["type"], activity["content"]
        if kind in entities and content["id"] not in emulator.space.pull_requests:
            yield entities[kind], str(content["id"]), activity["id"]
        elif kind in inside and inside[kind][1] in content:
            yield inside[kind][0], str(content[inside[kind][1]]["id"]), activity["id"]


def _comparable(world: World, stream: str, row: Row) -> Row:
    row = {name: value for name, value in without_nulls(row).items() if name not in SHOWS.get(stream, ())}
    text = json.dumps(row, ensure_ascii=False)
    for old, identity in world.keys.items():
        if old in text:
            text = re.sub(rf"\b{old}\b", f"project {identity}", text)
    return json.loads(text)


def _reason(row: Row, projects: dict[int, Row]) -> str | None:
    """Why the place of a row of `sync_coverage` has to be left out."""
    if row["projectId"] == 0:
        return None
    if row["projectId"] not in projects:
        return "refused"
    project = projects[row["projectId"]]
    flag = FEATURES.get(next((family for family in FEATURES if row["stream"].startswith(family)), ""))
    if flag and not project[flag]:
        return "feature_off"
    return None if project["readable"] else "refused"


class Reader:
    """Syncs of some streams, one after the other, into a destination that deduplicates."""

    def __init__(self, emulator: Emulator, streams: Sequence[str], **options: Any) -> None:
        self.emulator, self.streams, self.options = emulator, streams, options
        self.tables: dict[str, Table] = {stream: {} for stream in streams}
        self.state: dict[str, AirbyteStateMessage] = {}
        # How many rows each stream had in the last run, whether they arrived or not, and what it said of them.
        self.read: Counter[str] = Counter()
        self.coverage: list[Row] = []

    def sync(self, part: float = 1.0, *, covered: bool = True) -> None:
        """One run, of whose output only the first `part` arrives: then the process was killed."""
        streams = [*self.streams, COVERAGE] if covered else self.streams
        output = messages(self.emulator, streams, list(self.state.values()), **self.options)
        rows = [message.record for message in output if message.type == Type.RECORD]
        self.read = Counter(row.stream for row in rows if TOMBSTONE not in row.data)
        self.coverage = [row.data for row in rows if row.stream == COVERAGE]
        self.load(output[: round(len(output) * part)])

    def load(self, output: Sequence[AirbyteMessage]) -> None:
        """Take in what has arrived."""
        for message in output:
            if message.type == Type.STATE:
                self.state[message.state.stream.stream_descriptor.name] = message.state
            elif message.type == Type.RECORD and message.record.stream != COVERAGE:
                stream, row = message.record.stream, dict(message.record.data)
                if message.record.file_reference:
                    row[CONTENT] = Path(message.record.file_reference.staging_file_url).read_bytes()
                table, key = self.tables[stream], tuple(row.get(name) for name in primary_key(stream))
                there = table.get(key, {})
                # Airbyte lets the row with the latest cursor win; the last one to come wins among equals.
                if not (TOMBSTONE in row or TOMBSTONE in there) or row["updated"] >= there.get("updated", ""):
                    table[key] = row

    def select(self, project: Any) -> None:
        """Name one project in the option Projects, or none."""
        self.options["projects"] = [project.key] if project else []

    def refresh(self, streams: Sequence[str]) -> None:
        """Forget the state of streams, so that the next run reads them from their beginning."""
        for stream in streams:
            self.state.pop(stream, None)

    def false_alarms(self) -> list[str]:
        """What the coverage of the last run says and is not so: nothing has happened during it, and all was read."""
        space = self.emulator.space
        readable = {project.id for project in space.visible_projects(space.user(None), contents=True)}
        joined = [project for project in self.emulator.truth("projects") if project["joined"]]
        projects = {project["id"]: {**project, "readable": project["id"] in readable} for project in joined}
        rows = {(row["stream"], row["projectId"]): row for row in self.coverage}
        found = [f"{place}: said {row}" for place, row in rows.items() if row["reason"] != _reason(row, projects)]
        # In a project that cannot be read any more, what was skipped before stays so.
        skipped = [row for row in self.coverage if row["skipped"] and row["reason"] is None]
        found += [f"{row['stream']}: skipped {row['skipped']}" for row in skipped]
        for stream in self.streams:
            own = [row for row in self.coverage if row["stream"] == stream]
            if not {row["projectId"] for row in own} >= ({0} if stream in OF_THE_SPACE else projects.keys()):
                found.append(f"{stream}: rows for {own}")
            if sum(row["rows"] for row in own) != self.read[stream]:
                found.append(f"{stream}: {self.read[stream]} rows, not {own}")
            if stream in COMPARABLE:
                there = Counter(row["projectId"] for row in self.emulator.truth(stream))
                told = {row["projectId"]: row["total"] or 0 for row in own}
                found += (
                    [f"{stream}: {told} in all, not {there}"]
                    if told != dict(there) | {key: 0 for key in told if key not in there}
                    else []
                )
        return found

    def differences(self, world: World) -> list[str]:
        """What the tables lack or have otherwise than the space."""
        return [
            line for stream in self.streams for line in differences(self.emulator, world, stream, self.tables[stream])
        ]
