"""A space with a past, from a seed.

The past is really lived through: months of creating, changing, commenting and deleting, in order of time and with the
same methods that tests use (``changes/``). So every value agrees with the change logs and every activity has its cause.
At the end ``_showcase`` makes sure that even a dozen issues hold every shape that the API reference knows.
The same arguments give the same space.
"""

from __future__ import annotations

import gc
import heapq
import random
from datetime import UTC, datetime
from itertools import count
from typing import Any

from . import texts
from .core import START
from .entities import CustomField, Issue, Project, User, stamp
from .model import Space

DAY = 86_400
PAST = 540 * DAY
CONTENT_KINDS = (
    ("comment", 40),
    ("status", 26),
    ("assignee", 8),
    ("planning", 8),
    ("hours", 5),
    ("custom", 5),
    ("attachment", 4),
    ("text", 3),
    ("star", 3),
    ("told", 2),
    ("edit", 2),
    ("file", 1),
)


def generate(
    *,
    seed: int = 1,
    projects: int = 3,
    issues: int = 60,
    comments_per_issue: float = 2.0,
    archived_projects: int = 1,
    foreign_projects: int = 1,
    wikis: int | None = None,
    documents: int | None = None,
    pull_requests: int | None = None,
    shared_files: int | None = None,
    users: int | None = None,
    timezone: str = "Asia/Tokyo",
    now: datetime = START,
    showcase: bool = True,
    quirks: dict[str, Any] | None = None,
) -> Space:
    """A space with exactly ``issues`` issues in ``projects`` projects that the administrator has joined.

    Added to these are ``archived_projects`` (joined) and ``foreign_projects`` (not joined by the administrator), which
    get a small share of the issues. The number of other things follows from ``issues`` unless given. The personas are
    ``administrator``, ``project_administrator``, ``member``, ``guest`` (in the first project only), ``reporter``
    (roleType 3), ``viewer`` (roleType 4) and ``outsider`` (an administrator, the only member of foreign projects).

    By position, the second project has its wiki off, the third Git and file sharing, the fourth documents.
    """
    if projects < 1:
        raise ValueError("a space needs a project")
    collecting = gc.isenabled()
    gc.disable()
    try:
        history = _History(seed, timezone, now, comments_per_issue)
        history.space.quirks.set(**quirks or {})
        history.people(users if users is not None else 4 + min(60, issues // 400))
        history.projects(projects, archived_projects, foreign_projects)
        history.plan(
            issues=issues,
            wikis=max(2, issues // 20) if wikis is None else wikis,
            documents=max(4, issues // 20) if documents is None else documents,
            pull_requests=max(2, issues // 15) if pull_requests is None else pull_requests,
            shared_files=max(6, issues // 20) if shared_files is None else shared_files,
            showcase=showcase and issues >= 8,
        )
        history.live()
        if showcase and issues >= 8:
            _showcase(history)
        return history.finish()
    finally:
        if collecting:
            gc.enable()


class _History:
    def __init__(self, seed: int, timezone: str, now: datetime, comments_per_issue: float) -> None:
        self.rng = random.Random(f"history {seed}")
        self.end = int(now.timestamp())
        self.begin = self.end - PAST
        self.comments_per_issue = comments_per_issue
        self.space = Space(seed=seed, timezone=timezone, now=now)
        self.space.set_now(self.begin)
        self.space.created = self.begin
        self.agenda: list[tuple[int, int, str, Any]] = []
        self.order = count()
        self.descriptions = texts.pool(self.rng, 200, 1, 5)
        self.contents = texts.pool(self.rng, 300, 1, 3)
        self.members: dict[int, list[User]] = {}
        self.kinds = [kind for kind, weight in CONTENT_KINDS for _ in range(weight)]

    # --- people and projects ---

    def people(self, others: int) -> None:
        space, rng = self.space, self.rng

        def add(persona: str | None, user_id: str | None, name: str, role: int) -> User:
            account = f"nulab-{user_id}" if user_id and rng.random() < 0.8 else None
            mail = f"{user_id}@example.com" if user_id else None
            lang = rng.choice(["ja", "en", None])
            return space.add_user(
                user_id, name, role_type=role, lang=lang, mail_address=mail, nulab_id=account, persona=persona
            )

        add("administrator", "admin", "管理者 太郎", 1)
        add("project_administrator", "leader", "山田 リーダー", 2)
        add("member", "member", "一般 次郎", 2)
        add("guest", None, "ゲスト 様", 2)
        add("reporter", "reporter", "報告 三郎", 3)
        add("viewer", "viewer", "閲覧 四郎", 4)
        add("outsider", "outsider", "Other Administrator", 1)
        for number in range(others):
            name, login = texts.PEOPLE[number % len(texts.PEOPLE)]
            turn = number // len(texts.PEOPLE)
            add(None, f"{login}{turn or ''}", f"{name}{turn or ''}", 2)
        for user in space.users.values():
            user.last_login = self.end - rng.randrange(DAY * 30) if rng.random() < 0.8 else None
        ordinary = [user for user in space.users.values() if user not in space.personas.values()]
        space.create_team("開発チーム", [*ordinary[: len(ordinary) // 2 + 1], "member"])
        space.create_team("Design team", ordinary[-2:], by="leader")
        space.create_team("空のチーム")

    def projects(self, joined: int, archived: int, foreign: int) -> None:
        space, rng = self.space, self.rng
        for number in range(joined + archived + foreign):
            space.advance(DAY // 2)
            is_foreign = number >= joined + archived
            is_archived = joined <= number < joined + archived
            if is_foreign or is_archived:
                turn = number - joined - (archived if is_foreign else 0)
                key = ("SECRET" if is_foreign else "OLD") + (str(turn + 1) if turn else "")
                name = "非公開プロジェクト" if is_foreign else "旧システム"
            elif number < len(texts.PROJECTS):
                key, name = texts.PROJECTS[number]
            else:
                key, name = f"PRJ{number}", f"プロジェクト{number}"
            flavour = number % len(texts.PROJECTS)
            project = space.create_project(
                key,
                name,
                by="outsider" if is_foreign else "administrator",
                use_wiki=flavour != 1,
                use_git=flavour != 2,
                use_file_sharing=flavour != 2,
                use_document=flavour != 3,
                use_subversion=flavour == 4,
                text_formatting_rule=rng.choice(["markdown", "backlog"]) if flavour != 2 else None,
                grandchild_issue_enabled=flavour != 1,
            )
            self._settings(project, is_foreign)
            if number == 0:
                for persona in ("guest", "reporter", "viewer"):
                    space.add_member(project, persona)
            if not is_foreign:
                space.set_project_administrator(project, "administrator", rng.random() < 0.5)
            self.members[project.id] = [user for user in project.all_members() if not user.is_restricted]
        self.archived = [each for each in space.projects.values() if each.key.startswith("OLD")]

    def _settings(self, project: Project, is_foreign: bool) -> None:
        space, rng = self.space, self.rng
        if not is_foreign:
            for persona in ("project_administrator", "member"):
                space.add_member(project, persona)
            space.set_project_administrator(project, "project_administrator")
            space.add_project_team(project, "開発チーム")
            for user in list(space.users.values())[7:]:
                if rng.random() < 0.5:
                    space.add_member(project, user)
        for name in texts.CATEGORIES[: rng.randint(2, 5)]:
            space.create_category(project, name)
        space.create_status(project, "レビュー待ち", color="#868cb7")
        space.create_status(project, "On hold")
        space.update_issue_type(
            project, "バグ", template_summary="【バグ】", template_description="## 再現手順\n\n## 期待する結果\n"
        )
        for number in range(3):
            space.create_version(
                project,
                f"v{number + 1}.0",
                description=None if number == 1 else f"リリース {number + 1}",
                start_date=None if number == 2 else _day(self.begin + number * 120 * DAY),
                release_due_date=None if number == 2 else _day(self.begin + (number + 1) * 120 * DAY),
            )
        if not project.key.startswith("OLD"):
            self._custom_fields(project)
        space.create_webhook(project, "Chat通知")
        space.create_webhook(project, "CI", activity_type_ids=[12, 18, 19])
        if project.use_git:
            space.create_repository(project, "frontend", "画面")
            space.create_repository(project, "backend", hook_url="https://hooks.example.com/backend")
        if project.use_file_sharing:
            for path in texts.DIRECTORIES:
                space.create_directory(project, path)

    def _custom_fields(self, project: Project) -> None:
        space = self.space
        bug = [project.issue_types[1]]
        fields: list[CustomField] = [
            space.create_custom_field(project, "顧客名", 1, required=False),
            space.create_custom_field(project, "再現手順", 2, issue_types=bug),
            space.create_custom_field(
                project, "Story points", 3, minimum=0, maximum=100.5, initial_value=None, unit="pt"
            ),
            space.create_custom_field(
                project,
                "検収日",
                4,
                minimum="2024-01-01",
                maximum=None,
                initial_date={"id": 2, "shift": 7, "date": None},
            ),
            space.create_custom_field(project, "環境", 5, items=["本番", "Staging", "開発"], allow_add_item=True),
            space.create_custom_field(project, "影響範囲", 6, items=["Web", "API", "バッチ", "アプリ"]),
            space.create_custom_field(project, "確認項目", 7, items=["設計", "実装", "テスト"], allow_input=True),
            space.create_custom_field(project, "区分", 8, items=["新規", "改修", "その他"], allow_input=True),
        ]
        fields[2].display_order = -1

    # --- plan ---

    def plan(
        self, *, issues: int, wikis: int, documents: int, pull_requests: int, shared_files: int, showcase: bool
    ) -> None:
        """Put the beginnings of everything on the agenda; what follows from them is added as time goes by."""
        rng, space = self.rng, self.space
        first = space.clock + DAY
        last = self.end - 3 * DAY
        places = list(space.projects.values())
        ordinary = [each for each in places if each not in self.archived and each.key[:6] != "SECRET"]
        weights = [(8 / (2 + place)) if each in ordinary else 0.5 for place, each in enumerate(places)]
        to_create = issues - (3 if showcase else 0)
        doomed = to_create // 60
        chosen = rng.choices(places, weights, k=to_create + doomed)
        # Every project has an issue, where there are enough.
        for place, project in enumerate(places[:to_create]):
            chosen[place] = project
        for number, project in enumerate(chosen):
            self._at(rng.randrange(first, last), "issue", (project, number >= to_create))
        for number in range(wikis):
            self._at(rng.randrange(first, last), "wiki", self._with(places, "use_wiki", number))
        for number in range(documents):
            self._at(rng.randrange(first, last), "document", self._with(places, "use_document", number))
        for number in range(pull_requests):
            self._at(rng.randrange(first, last), "pull_request", self._with(places, "use_git", number))
        for number in range(shared_files):
            self._at(rng.randrange(first, last), "shared_file", self._with(places, "use_file_sharing", number))

    def _with(self, places: list[Project], feature: str, number: int) -> Project:
        able = [each for each in places if getattr(each, feature)]
        return able[number % len(able)] if number < 2 * len(able) else self.rng.choice(able)

    def _at(self, moment: int, action: str, about: Any) -> None:
        heapq.heappush(self.agenda, (moment, next(self.order), action, about))

    def live(self) -> None:
        """Work through the agenda until three days before the end."""
        limit = self.end - 3 * DAY
        actions = {name: getattr(self, f"_{name}") for name in (
            "issue", "follow_up", "delete", "wiki", "wiki_later", "document", "document_later", "pull_request",
            "pull_request_later", "shared_file",
        )}  # fmt: skip
        while self.agenda:
            moment, _, action, about = heapq.heappop(self.agenda)
            if moment >= limit:
                break
            self.space.set_now(moment)
            actions[action](about)

    def someone(self, project: Project) -> User:
        people = self.members[project.id]
        return people[int(self.rng.random() * len(people))]

    # --- issues ---

    def _issue(self, about: tuple[Project, bool]) -> None:
        project, doomed = about
        rng, space = self.rng, self.space
        random_ = rng.random
        fields: dict[str, Any] = {"description": self.descriptions[int(random_() * 200)]}
        kind = project.issue_types[int(random_() * 4)]
        fields["issue_type"] = kind
        if random_() < 0.6:
            fields["assignee"] = self.someone(project)
        if random_() < 0.4:
            fields["categories"] = (project.categories[int(random_() * len(project.categories))],)
        if random_() < 0.3:
            fields["milestones"] = (project.versions[int(random_() * len(project.versions))],)
        if random_() < 0.3:
            fields["priority"] = space.priorities[int(random_() * 3)]
        if random_() < 0.3:
            fields["due_date"] = _day(space.clock + int(random_() * 60 * DAY))
        if random_() < 0.2:
            fields["estimated_hours"] = round(random_() * 40, 1)
        if random_() < 0.12 and project.issues:
            parent = project.issues[int(random_() * len(project.issues))]
            if parent.level() < (3 if project.grandchild_issue_enabled else 2):
                fields["parent"] = parent
        if random_() < 0.4:
            fields["custom_fields"] = self._custom_value(project, kind.id)
        summary = rng.choice(texts.SUBJECTS) + rng.choice(texts.PROBLEMS)
        notify = (self.someone(project),) if random_() < 0.08 else ()
        attachments = [(rng.choice(texts.FILES), rng.randrange(20_000))] if random_() < 0.05 else ()
        issue = space.create_issue(
            project, summary, by=self.someone(project), notify=notify, attachments=attachments, **fields
        )
        moment = space.clock
        mean = self.comments_per_issue
        while random_() < mean / (1 + mean):
            moment += 60 + int(rng.expovariate(1 / (8 * DAY)))
            self._at(moment, "follow_up", issue)
        if doomed:
            self._at(rng.randrange(space.clock, self.end - 3 * DAY), "delete", issue)

    def _custom_value(self, project: Project, kind_id: int) -> dict[CustomField, Any]:
        random_ = self.rng.random
        if not project.custom_fields:
            return {}
        field = project.custom_fields[int(random_() * len(project.custom_fields))]
        if field.applicable_issue_types and kind_id not in field.applicable_issue_types:
            return {}
        if field.type_id <= 2:
            value: Any = self.rng.choice(texts.SUBJECTS)
        elif field.type_id == 3:
            value = round(random_() * 100, 1) if random_() < 0.5 else int(random_() * 100)
        elif field.type_id == 4:
            value = _day(self.space.clock + int(random_() * 30 * DAY))
        elif field.type_id in (5, 8):
            value = field.items[int(random_() * len(field.items))]
        else:
            value = tuple(item for item in field.items if random_() < 0.5)
        return {field: value}

    def _delete(self, issue: Issue) -> None:
        self.space.delete_issue(issue, by=self.someone(issue.project))

    def _follow_up(self, issue: Issue) -> None:
        if issue.id not in self.space.issues:
            return
        rng, space, project = self.rng, self.space, issue.project
        random_ = rng.random
        by = self.someone(project)
        kind = self.kinds[int(random_() * len(self.kinds))]
        text = self.contents[int(random_() * 300)]
        if kind == "status" and issue.status.id == 4:
            kind = "comment"
        if kind in ("edit", "told") and not (issue.comments and not issue.comments[-1].changes):
            kind = "comment"
        if kind == "comment":
            notify = (self.someone(project),) if random_() < 0.1 else ()
            space.add_comment(issue, text, by=by, notify=notify)
        elif kind == "status":
            position = project.statuses.index(issue.status)
            status = project.statuses[min(position + 1 + int(random_() * 2), len(project.statuses) - 1)]
            fields: dict[str, Any] = {"status": status}
            if status.id in (3, 4):
                fields["resolution"] = space.resolutions[int(random_() * random_() * 5)]
                fields["actual_hours"] = round(random_() * 20, 2)
            space.update_issue(issue, by=by, comment=text if random_() < 0.3 else None, **fields)
        elif kind == "assignee":
            space.update_issue(issue, by=by, assignee=self.someone(project) if random_() < 0.9 else None)
        elif kind == "planning":
            versions = tuple(version for version in project.versions if random_() < 0.3)
            day = space.clock + int(random_() * 30 * DAY)
            if random_() < 0.5:
                space.update_issue(issue, by=by, milestones=versions, versions=versions[:1])
            else:
                space.update_issue(issue, by=by, start_date=_day(day), due_date=_day(day + 5 * DAY))
        elif kind == "hours":
            space.update_issue(issue, by=by, estimated_hours=int(random_() * 40), actual_hours=round(random_() * 9, 1))
        elif kind == "custom":
            space.update_issue(issue, by=by, custom_fields=self._custom_value(project, issue.issue_type.id))
        elif kind == "attachment":
            name, size = rng.choice(texts.FILES), rng.randrange(20_000)
            if issue.number % 3:
                space.attach_file(issue, name, size, by=by)
            else:
                space.add_comment(issue, text, by=by, attachments=[(name, size)])
        elif kind == "text":
            space.update_issue(issue, by=by, description=self.descriptions[int(random_() * 200)])
        elif kind == "star":
            target = issue.comments[-1] if issue.comments and random_() < 0.5 else issue
            space.add_star(target, by=by, comment=rng.choice([None, "Thanks!", "ありがとう"]))
        elif kind == "told":
            space.add_comment_notification(issue.comments[-1], [self.someone(project)], by=by)
        elif kind == "edit":
            space.edit_comment(issue.comments[-1], text)
        elif project.files:
            file = rng.choice(list(project.files.values()))
            if file.type == "file":
                space.link_shared_file(issue, file, by=by, through_api=random_() < 0.5)

    # --- everything else ---

    def _wiki(self, project: Project) -> None:
        rng, space = self.rng, self.space
        number = len(project.wikis)
        name = texts.WIKI_PAGES[number % len(texts.WIKI_PAGES)]
        if number >= len(texts.WIKI_PAGES):
            name += f" {number}"
        tags = rng.sample(texts.TAGS, rng.randrange(3))
        wiki = space.create_wiki(project, name, texts.sentences(rng, 2, 20), tags=tags, by=self.someone(project))
        moment = space.clock
        for _ in range(rng.randrange(4)):
            moment += int(rng.expovariate(1 / (30 * DAY))) + 60
            self._at(moment, "wiki_later", wiki)

    def _wiki_later(self, wiki: Any) -> None:
        rng, space, by = self.rng, self.space, self.someone(wiki.project)
        kind = rng.random()
        if kind < 0.6:
            space.update_wiki(wiki, content=texts.sentences(rng, 2, 20), by=by)
        elif kind < 0.75:
            space.attach_file_to_wiki(wiki, rng.choice(texts.FILES), rng.randrange(20_000), by=by)
        elif kind < 0.9:
            space.add_star(wiki, by=by)
        else:
            space.update_wiki(wiki, tags=rng.sample(texts.TAGS, 2), by=by)

    def _document(self, project: Project) -> None:
        rng, space = self.rng, self.space
        existing = [each for each in project.documents.values() if each.status_id == 1]
        parent = rng.choice(existing) if existing and rng.random() < 0.5 else None
        title = texts.DOCUMENTS[len(project.documents) % len(texts.DOCUMENTS)]
        document = space.create_document(
            project,
            title,
            texts.sentences(rng, 0, 10),
            parent=parent,
            emoji=rng.choice(texts.EMOJI),
            tags=rng.sample(texts.TAGS, rng.randrange(3)),
            by=self.someone(project),
        )
        moment = space.clock
        for _ in range(rng.randrange(5)):
            moment += int(rng.expovariate(1 / (20 * DAY))) + 60
            self._at(moment, "document_later", document)

    def _document_later(self, document: Any) -> None:
        if document.status_id != 1:
            return
        rng, space, by = self.rng, self.space, self.someone(document.project)
        kind = rng.random()
        if kind < 0.35:
            space.update_document(document, plain=texts.sentences(rng, 1, 10), by=by)
        elif kind < 0.45:
            space.update_document(document, title=f"{document.title} (改)", by=by)
        elif kind < 0.7:
            space.comment_document(document, rng.choice(texts.SENTENCES), by=by)
        elif kind < 0.9 and document.comments:
            space.reply_to_document_comment(rng.choice(document.comments), rng.choice(texts.SENTENCES), by=by)
        elif kind < 0.95:
            space.attach_file_to_document(document, rng.choice(texts.FILES), rng.randrange(20_000), by=by)
        elif not any(each.parent is document for each in document.project.documents.values()):
            space.trash_document(document, by=by)

    def _pull_request(self, project: Project) -> None:
        rng, space = self.rng, self.space
        repository, by = rng.choice(project.repositories), self.someone(project)
        issue = rng.choice(project.issues) if project.issues and rng.random() < 0.5 else None
        branch = f"feature/{repository.next_number}"
        space.push(repository, [rng.choice(texts.SENTENCES)], branch=branch, by=by)
        request = space.create_pull_request(
            repository,
            rng.choice(texts.SUBJECTS) + rng.choice(texts.PROBLEMS),
            self.descriptions[rng.randrange(200)],
            branch=branch,
            assignee=self.someone(project) if rng.random() < 0.5 else None,
            issue=issue,
            attachments=[(rng.choice(texts.FILES), rng.randrange(9_000))] if rng.random() < 0.2 else (),
            by=by,
        )
        moment = space.clock
        for _ in range(rng.randrange(5)):
            moment += int(rng.expovariate(1 / (5 * DAY))) + 60
            self._at(moment, "pull_request_later", request)

    def _pull_request_later(self, request: Any) -> None:
        rng, space, by = self.rng, self.space, self.someone(request.repository.project)
        kind = rng.random()
        if kind < 0.4:
            space.comment_pull_request(request, rng.choice(texts.SENTENCES), by=by)
        elif kind < 0.6:
            space.comment_pull_request(
                request, rng.choice(texts.SENTENCES), file_path="src/画面.ts", position=rng.randrange(90), by=by
            )
        elif kind < 0.7:
            space.update_pull_request(request, summary=rng.choice(texts.SUBJECTS), by=by)
        elif kind < 0.8:
            space.add_star(rng.choice([request, *request.comments]), by=by)
        else:
            space.close_pull_request(request, merge=kind < 0.95, by=by)

    def _shared_file(self, project: Project) -> None:
        rng, space = self.rng, self.space
        directory = rng.choice(["", *texts.DIRECTORIES])
        path = f"{directory}/{rng.choice(texts.FILES)}"
        if path in project.paths:
            space.update_shared_file(project.paths[path], size=rng.randrange(50_000), by=self.someone(project))
            return
        space.add_shared_file(project, path, rng.randrange(50_000), by=self.someone(project))

    # --- end ---

    def finish(self) -> Space:
        space = self.space
        for project in self.archived:
            space.archive_project(project)
        space.set_now(self.end)
        space.updated = self.end - 10 * DAY
        space.licence = _licence(self.begin)
        return space


def _showcase(history: _History) -> None:
    """Every shape and event of the reference at least once, in the last three days, mostly in the first project."""
    space = history.space
    space.set_now(history.end - 3 * DAY)
    project = next(iter(space.projects.values()))

    def step(result: Any = None) -> Any:
        space.advance(97)
        return result

    issues = project.issues
    while len(issues) < 3:
        space.move_issue(next(issue for issue in space.issues.values() if issue.project is not project), project)
    first, second, third = issues[0], issues[1], issues[2]
    bug = project.issue_types[1]
    named = {field.name: field for field in project.custom_fields}
    step(
        space.update_issue(
            first,
            issue_type=bug,
            custom_fields={
                named["顧客名"]: "株式会社サンプル",
                named["再現手順"]: "1. 開く\n2. 押す",
                named["Story points"]: 12.5,
                named["検収日"]: "2026-07-15",
                named["環境"]: "本番",
                named["影響範囲"]: ["Web", "バッチ"],
                named["確認項目"]: ["設計", "テスト"],
                named["区分"]: "その他",
            },
            other_values={named["確認項目"]: "その他の確認", named["区分"]: "調査"},
        )
    )
    step(space.update_issue(second, issue_type=bug, custom_fields={named["確認項目"]: [], named["環境"]: None}))
    step(space.update_issue(second, other_values={named["区分"]: "口頭", named["影響範囲"]: "印刷"}, actual_hours=0.25))
    step(space.update_issue(first, versions=["v1.0"], milestones=["v2.0", "v3.0"], categories=project.categories[:2]))
    step(space.update_issue(first, status=4, resolution=0, comment="完了しました。", notify=["member"]))
    step(space.update_issue(second, priority=None, description=None, assignee="member"))
    step(space.attach_file(first, "設計書①.pdf", 12_345))
    step(space.attach_file(first, "empty.txt", 0))
    step(space.add_comment(first, "画面を添付します。", by="member", attachments=[("画面.png", 2_048)]))
    gone = step(space.attach_file(second, "消すファイル.txt", 10))
    step(space.remove_attachment(second, gone))
    step(space.add_external_link(first, "https://drive.example.com/設計", "設計フォルダー"))
    comment = step(space.add_comment(first, "リリース内容を確認してください。", by="member", notify=["administrator"]))
    step(space.add_star(comment, by="administrator", comment="助かります"))
    step(space.add_star(first, by="member"))
    step(space.add_comment_notification(comment, ["project_administrator"], by="member"))
    step(space.edit_comment(comment, "リリース内容を確認してください。(追記)"))
    step(space.delete_comment(step(space.add_comment(second, "間違えました。"))))
    step(space.relate_issues(first, third))
    step(space.bulk_create_issues(project, ["一括登録 1", "Bulk created 2", "一括登録 3"]))
    step(space.bulk_update_issues([second, third], status=2, comment="まとめて開始"))
    step(space.update_issue_dates([second, third], start_date="2026-07-01", due_date="2026-07-31"))
    step(space.update_issue_dates([first], start_date="2026-06-01", due_date="2026-06-29", as_link=False))
    step(space.delete_issue(step(space.create_issue(project, "すぐ消す課題", notify=["member"]))))
    step(space.watch(first, note="要注意"))
    step(space.watch(second))
    step(space.add_comment(second, "ウォッチ中の課題に追記", by="member"))
    for thing in (first, second, project):
        step(space.view(thing))

    version = step(space.create_version(project, "廃止予定", description="消える"))
    step(space.update_version(project, version, release_due_date="2026-12-31"))
    step(space.delete_version(project, version))
    status = step(space.create_status(project, "廃止する状態"))
    step(space.update_issue(third, status=status))
    step(space.delete_status(project, status, 1))
    leaver = step(space.add_user("leaver", "退職 者", role_type=2))
    step(space.add_member(project, leaver))
    step(space.add_comment(third, "最後の作業です。", by=leaver))
    step(space.remove_member(project, leaver))
    step(space.remove_user(leaver))
    step(space.add_project_team(project, "Design team"))
    step(space.remove_project_team(project, "Design team"))
    step(space.set_space_notification("定期メンテナンスのお知らせ\n7/12 2:00〜4:00"))

    file = step(space.add_shared_file(project, "/設計/画面/スマートフォン版/一覧 (最終).png", 4_096))
    step(space.update_shared_file(file, size=5_000))
    step(space.link_shared_file(first, file))
    step(space.link_shared_file(second, file, through_api=True))
    step(space.delete_shared_file(step(space.add_shared_file(project, "/古い.txt", 3))))

    wiki = step(space.create_wiki(project, "ショーケース", "最初の版", tags=["設計", "公開"]))
    step(space.update_wiki(wiki, content="次の版", by="member"))
    step(space.attach_file_to_wiki(wiki, "図.png", 77))
    step(space.link_shared_file_to_wiki(wiki, file))
    step(space.add_star(wiki, by="member"))
    step(space.view(wiki))
    step(space.delete_wiki(step(space.create_wiki(project, "消すページ", "最後の内容"))))

    document = step(space.create_document(project, "ショーケース文書", "一行目\n\n三行目", emoji="📗", tags=["重要"]))
    child = step(space.create_document(project, "子文書", "", parent=document))
    step(space.create_document(project, "孫文書", "孫", parent=child))
    step(space.update_document(document, title="ショーケース文書 改", plain="更新しました"))
    step(space.attach_file_to_document(document, "添付 資料.pdf", 321))
    remark = step(space.comment_document(document, "よいと思います。", by="member"))
    answer = step(space.reply_to_document_comment(remark, "ありがとうございます。"))
    step(space.edit_document_comment(remark, "とてもよいと思います。", by="member"))
    step(space.edit_document_reply(answer, "ありがとう!"))
    step(space.delete_document_reply(step(space.reply_to_document_comment(remark, "消す返信"))))
    step(space.delete_document_comment(step(space.comment_document(document, "消すコメント"))))
    step(space.bulk_create_documents(project, ["一括文書 1", "一括文書 2"]))
    step(space.mention_in_document(document, "administrator", by="member"))
    trashed = step(space.create_document(project, "ごみ箱の文書", "捨てる"))
    step(space.create_document(project, "ごみ箱の子", parent=trashed))
    step(space.trash_document(trashed))

    repository = project.repositories[0]
    step(space.push(repository, ["初回コミット", "Fix typo"], by="member"))
    step(space.push(repository, ["リリース"], tag="v1.0", by="member"))
    step(space.commit_to_subversion(project, "SVN コミット", by="member"))
    request = step(
        space.create_pull_request(
            repository, "画面を追加", "説明", issue=first, assignee="member", attachments=[("差分 図.png", 55)]
        )
    )
    inline = step(
        space.comment_pull_request(
            request, "この行は不要です。", file_path="src/画面.ts", position=12, notify=["member"]
        )
    )
    step(space.add_star(inline, by="member"))
    step(space.add_star(request, by="member"))
    step(space.update_pull_request(request, description="説明を更新", assignee=None, by="member"))
    step(space.close_pull_request(request))
    step(space.delete_pull_request(step(space.create_pull_request(repository, "消すPR"))))

    # What no action of today leaves, but old feeds hold.
    step(space.record(project, 33, {"id": 1, "something": {"new": [1, 2]}}, space.user("member")))
    nowhere = step(space.record(None, 33, {}, space.user("administrator")))
    nowhere.without_account = True
    for activity in space.activities[:3]:
        activity.without_account = True
    # People who are gone for good.
    third.created_user = third.updated_user = None
    third.forget()


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _licence(begin: int) -> dict[str, Any]:
    return {
        "active": True,
        "attachmentLimit": 0,
        "attachmentLimitPerFile": 10_485_760,
        "attachmentNumLimit": 50,
        "attribute": True,
        "attributeLimit": 100,
        "burndown": True,
        "commentLimit": 0,
        "componentLimit": 0,
        "fileSharing": True,
        "gantt": True,
        "git": True,
        "grandchildIssueEnabled": True,
        "issueLimit": 0,
        "licenceTypeId": 11,
        "limitDate": None,
        "nulabAccount": True,
        "parentChildIssue": True,
        "postIssueByMail": True,
        "projectGroup": False,
        "projectLimit": 100,
        "pullRequestAttachmentLimitPerFile": 10_485_760,
        "pullRequestAttachmentNumLimit": 50,
        "remoteAddress": True,
        "remoteAddressLimit": 100,
        "startedOn": stamp(begin),
        "storageLimit": 107_374_182_400,
        "subversion": True,
        "subversionExternal": False,
        "userLimit": 0,
        "versionLimit": 0,
        "wikiAttachment": True,
        "wikiAttachmentLimitPerFile": 10_485_760,
        "wikiAttachmentNumLimit": 50,
    }
