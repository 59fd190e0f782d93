"""Random histories of issues in one emulated space, with a record of every value that every field ever had.

A history has two projects and a clock of its own. Everything happens that is known to confuse reports: custom fields
called like built-in ones, several changes within a second, settings renamed and deleted, two people of one name, issues
moved to another project, deleted issues, keys that change.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from integration_tests.emulator import Space
from integration_tests.emulator.entities import Issue, Project
from integration_tests.emulator.entities.base import stamp
from integration_tests.emulator.limits import Limits
from integration_tests.emulator.truth import truth
from integration_tests.harness import Row, primary_key
from integration_tests.tables import Tables, empty, merge

BEGIN = int(datetime(2026, 3, 27, 14, 0, tzinfo=UTC).timestamp())
DAY = 86_400
STREAMS = (
    "activities",
    "categories",
    "custom_field_items",
    "custom_fields",
    "issue_changelogs",
    "issue_comments",
    "issue_types",
    "issues",
    "priorities",
    "project_users",
    "projects",
    "resolutions",
    "statuses",
    "users",
    "versions",
)
# Attribute of the emulator's issue -> name of the field in the change log.
SINGLE = {
    "status": "status",
    "resolution": "resolution",
    "priority": "priority",
    "issue_type": "issueType",
    "assignee": "assigner",
}
LISTS = {"categories": "component", "versions": "version", "milestones": "milestone"}
PLAIN = {
    "summary": "summary",
    "description": "description",
    "start_date": "startDate",
    "due_date": "limitDate",
    "estimated_hours": "estimatedHours",
    "actual_hours": "actualHours",
}

State = dict[str, Any]
"""Field -> its value: a text or number, a `Named`, or a tuple of them."""


def state_of(issue: Issue) -> State:
    """All fields of an issue now."""
    state: State = {name: named(getattr(issue, attribute)) for attribute, name in {**SINGLE, **LISTS, **PLAIN}.items()}
    NAMES[issue.project].add(issue.project.key)
    state["issueKey"] = (issue.key, issue.project, issue.number)
    state["parentIssue"] = named(issue.parent)
    for each in issue.project.custom_fields:
        if each.applies_to(issue.issue_type):
            state[f"cf:{each.id}"] = named(issue.value_of(each))
    return state


@dataclass(frozen=True)
class Named:
    """An object of the emulator, and the name that it had then."""

    object: Any
    name: str

    @property
    def latest(self) -> str:
        """Its name of today."""
        return name_of(self.object)

    @property
    def ever(self) -> set[str]:
        """All names that it has had."""
        return NAMES[self.object]


NAMES: dict[Any, set[str]] = defaultdict(set)
"""Object -> the names that it had whenever a history was noted."""


def name_of(thing: Any) -> str:
    """What a change log calls it."""
    return thing.key if isinstance(thing, Issue) else thing.name


def named(value: Any) -> Any:
    """A value with objects as `Named`; lists as tuples of them."""
    if isinstance(value, tuple):
        return tuple(named(each) for each in value)
    if hasattr(value, "id"):
        NAMES[value].add(name_of(value))
        return Named(value, name_of(value))
    return value


@dataclass(repr=False)
class Record:
    """What the issues of one history were, at the end of every second in which something happened."""

    projects: list[Project]
    states: dict[int, list[tuple[int, State | None]]] = field(default_factory=lambda: defaultdict(list))
    moments: list[int] = field(default_factory=list)

    def note(self, clock: int, issues: dict[int, Issue]) -> None:
        """Remember what the issues are at this moment; those that are gone are None."""
        self.moments.append(clock)
        for identity in self.states.keys() | issues.keys():
            self.states[identity].append((clock, state_of(issues[identity]) if identity in issues else None))

    def at(self, issue: int, moment: int) -> State | None:
        """None when the issue did not exist."""
        states = self.states[issue]
        place = bisect_right(states, moment, key=lambda entry: entry[0])
        return states[place - 1][1] if place else None


class Lives:
    """The space, the records of its histories, and the tables that syncs of it would have filled."""

    def __init__(
        self, histories: int, *, steps: int = 25, seed: int = 1, space: Space | None = None, told: bool = False
    ) -> None:
        """With ``told``, what is about to vanish without a trace is changed once more before: all of it is known."""
        self.space = space or Space(seed=seed)
        self.all_told = told
        self.space.set_now(BEGIN - DAY)
        self.space.quirks.set(old_until="2026-04-01")
        if space is None:
            self.space.add_user("admin", "管理者", role_type=1, persona="administrator")
        # Two people have one name.
        self.people = [
            self.space.add_user(f"u{n}", name) for n, name in enumerate(("佐藤", "佐藤", "鈴木", "田中", "高橋"))
        ]
        self.chance = random.Random(f"lives {seed}")
        self.tables: Tables = empty()
        self.deletions: list[Row] = []
        self.named: set[int] = set()
        """Issues that an activity names whose stamp has not moved."""
        self.records = [self._live(number, steps) for number in range(histories)]
        self.load()

    def load(self, *, moved_only: bool = False) -> None:
        """A sync of everything; what it does not see any more stays as a destination keeps it.

        With ``moved_only`` no comment is read twice, and an issue only if its stamp has moved or the feed names it:
        what is not read again keeps the names and the key of then.
        """
        for stream in STREAMS:
            rows = truth(self.space, stream, domain="emulator.backlog.jp", limits=Limits())
            known = self.tables[stream]
            if stream == "activities":
                rows = self._new_activities(rows)
            elif moved_only and stream == "issues":
                rows = [
                    row
                    for row in rows
                    if row["id"] in self.named or known.get((row["id"],), {}).get("updated") != row["updated"]
                ]
            elif moved_only and stream in ("issue_changelogs", "issue_comments"):
                keys = primary_key(stream)
                rows = [row for row in rows if tuple(row.get(name) for name in keys) not in known]
            merge(self.tables, stream, rows)
        merge(self.tables, "deletions", self.deletions)

    def go_on(self, steps: int) -> None:
        """Every history lives on from where it was; its next sync reads what has moved."""
        for record in self.records:
            self._record = record
            self.space.set_now(record.moments[-1])
            self._step(record, steps)
        self.load(moved_only=True)

    def _new_activities(self, rows: list[Row]) -> list[Row]:
        """An activity is read once: it shows the key that its project had then."""
        return [row for row in rows if (row["id"],) not in self.tables["activities"]]

    # --- one history ---

    def _live(self, number: int, steps: int) -> Record:
        space, chance = self.space, self.chance
        space.set_now(BEGIN + chance.randrange(3 * DAY))
        record = Record([self._project(f"H{number}"), self._project(f"S{number}")])
        self._record, main = record, record.projects[0]
        for _ in range(chance.randint(3, 5)):
            self._create(main)
        self._step(record, steps)
        return record

    def _step(self, record: Record, steps: int) -> None:
        for _ in range(steps):
            self._note(record)
            self.space.advance(self.chance.choice([0, 0, 1, 60, 3600, DAY]))
            self.act(self.chance.choice(ACTIONS), record)
        self._note(record)

    def _note(self, record: Record) -> None:
        record.note(self.space.clock, {issue.id: issue for project in record.projects for issue in project.issues})

    def _project(self, key: str) -> Project:
        space = self.space
        project = space.create_project(key, f"プロジェクト {key}")
        project.members += self.people
        for name in ("レビュー待ち", "On hold"):
            space.create_status(project, name)
        for name in ("画面", "帳票, 印刷", "バッチ"):
            space.create_category(project, name)
        for name in ("v1.0", "v2.0", "夏, 秋"):
            space.create_version(project, name, start_date="2026-03-28", release_due_date="2026-04-20")
        # Called like built-in fields.
        space.create_custom_field(project, "status", 1)
        space.create_custom_field(project, "actualHours", 3)
        space.create_custom_field(project, "limitDate", 4)
        space.create_custom_field(project, "milestone", 5, items=["v1.0", "本番"])
        space.create_custom_field(
            project, "影響範囲", 6, items=["Web", "API", "アプリ"], issue_types=[project.issue_types[0]]
        )
        return project

    def fields(self, project: Project, *, some: float = 0.35) -> dict[str, Any]:
        """New values for some fields."""
        chance = self.chance
        days = [None, "2026-03-30", "2026-04-05", "2026-05-01"]
        hours = [None, 0, 1.5, 8, 40, 0.25]
        custom = project.custom_fields
        choices: dict[str, Callable[[], Any]] = {
            "summary": lambda: f"課題 {chance.randrange(99)}",
            "description": lambda: chance.choice(["説明", "別の説明", ""]),
            "status": lambda: chance.choice(project.statuses),
            "resolution": lambda: chance.choice([None, *self.space.resolutions]),
            "priority": lambda: chance.choice(self.space.priorities),
            "issue_type": lambda: chance.choice(project.issue_types),
            "assignee": lambda: chance.choice([None, *self.people]),
            "categories": lambda: [each for each in project.categories if chance.random() < 0.4],
            "versions": lambda: [each for each in project.versions if chance.random() < 0.3],
            "milestones": lambda: [each for each in project.versions if chance.random() < 0.4],
            "start_date": lambda: chance.choice(days),
            "due_date": lambda: chance.choice(days),
            "estimated_hours": lambda: chance.choice(hours),
            "actual_hours": lambda: chance.choice(hours),
            "custom_fields": lambda: {
                custom[0]: chance.choice([None, "完了", "未対応", "007"]),
                custom[1]: chance.choice([None, 3, 2.5, 0]),
                custom[2]: chance.choice(days),
                custom[3]: chance.choice([None, "v1.0", "本番"]),
                custom[4]: [item.name for item in custom[4].items if chance.random() < 0.5],
            },
        }
        return {name: choose() for name, choose in choices.items() if chance.random() < some}

    def _create(self, project: Project) -> Issue:
        fields = {"summary": "新しい課題", **self.fields(project)}
        return self.space.create_issue(project, fields.pop("summary"), by=self.chance.choice(self.people), **fields)

    def act(self, action: str, record: Record) -> None:
        """One thing that happens."""
        space, chance = self.space, self.chance
        project = chance.choice([*record.projects[:1] * 4, record.projects[1]])
        by = chance.choice(self.people)
        if action == "create":
            self._create(project)
            return
        if not project.issues:
            return
        issue = chance.choice(project.issues)
        if action == "update":
            space.update_issue(issue, by=by, **self.fields(project))
        elif action == "status":
            space.update_issue(issue, by=by, status=chance.choice(project.statuses))
        elif action == "bulk":
            some = chance.sample(project.issues, min(3, len(project.issues)))
            space.bulk_update_issues(some, by=by, **self.fields(project, some=0.2))
        elif action == "parent":
            others = [
                other for other in project.issues if other is not issue and not other.parent and not issue.children
            ]
            space.update_issue(issue, by=by, parent=chance.choice([None, *others]))
        elif action == "move":
            if not issue.parent and not issue.children:
                target = record.projects[1 if project is record.projects[0] else 0]
                self._tell([issue])
                space.move_issue(issue, target, by=by, bump=chance.random() < 0.7)
        elif action == "delete":
            self.delete(issue)
        else:
            self.administer(action, project)

    def delete(self, issue: Issue) -> None:
        """What the syncs before have loaded of it stays in the tables."""
        space = self.space
        for child in issue.children:
            space.update_issue(child, parent=None)
        keys = {"id": issue.id}
        for stream in ("issues", "issue_changelogs", "issue_comments"):
            view = truth_of_issue(space, issue, stream)
            merge(self.tables, stream, view)
        space.delete_issue(issue)
        self.told("issue", keys["id"], None, issue.project)

    def _tell(self, issues: Iterable[Issue]) -> None:
        """Change what the change log would otherwise not know, and back."""
        for issue in issues if self.all_told else ():
            project = issue.project
            fields = {name: getattr(issue, name) for name in ("status", "versions", "milestones", "categories")}
            others: dict[str, Any] = {"status": next(each for each in project.statuses if each is not issue.status)}
            for name, choices in (
                ("versions", project.versions),
                ("milestones", project.versions),
                ("categories", project.categories),
            ):
                others[name] = [each for each in choices if each not in fields[name]]
            self.space.update_issue(issue, by=self.people[0], **others)
            self._note(self._record)
            self.space.update_issue(issue, by=self.people[0], **fields)
            self._note(self._record)

    def told(self, entity: str, identity: Any, name: str | None, project: Project, *, compared: bool = False) -> None:
        """A row of the stream `deletions`."""
        activity = None if compared else self.space.activities[-1]
        self.deletions.append(
            {
                "entity": entity,
                "entityId": str(identity),
                "entityName": name,
                "projectId": project.id,
                "projectKey": project.key,
                "projectName": project.name,
                "deletedAt": stamp(self.space.clock),
                "deletedByUserId": activity.created_user.id if activity else None,
                "activityId": activity.id if activity else 0,
                "activityTypeId": activity.type if activity else None,
                "method": "activity" if activity else "comparison",
                "reason": "deleted",
            }
        )

    def administer(self, action: str, project: Project) -> None:
        """Settings are renamed or deleted: no issue's stamp moves."""
        space, chance = self.space, self.chance
        custom = [status for status in project.statuses if status.id > 4]
        turn = chance.randrange(1000)
        if action == "rename_status":
            status = chance.choice(project.statuses)
            space.update_status(project, status, name=f"{status.name.split('_')[0]}_{turn}")
        elif action == "delete_status" and custom:
            status = chance.choice(custom)
            self.named |= {issue.id for issue in project.issues if issue.status is status}
            space.delete_status(
                project, status, chance.choice([each for each in project.statuses if each is not status])
            )
            self.told("status", status.name, status.name, project)
        elif action == "rename_version" and project.versions:
            version = chance.choice(project.versions)
            space.update_version(project, version, name=f"{version.name.split('_')[0]}_{turn}")
        elif action == "delete_version" and len(project.versions) > 1:
            version = chance.choice(project.versions)
            self._tell(issue for issue in project.issues if version in (*issue.versions, *issue.milestones))
            space.delete_version(project, version)
            self.told("version", version.id, version.name, project)
        elif self.all_told and action.endswith("category"):
            pass
        elif action == "rename_category" and project.categories:
            space.update_category(project, chance.choice(project.categories), name=f"分類_{turn}")
        elif action == "delete_category" and len(project.categories) > 1:
            category = chance.choice(project.categories)
            space.delete_category(project, category)
            space.advance(600)
            self.told("category", category.id, category.name, project, compared=True)
        elif action == "rename_key":
            merge(self.tables, "activities", self._new_activities(truth_of_project(space, project, "activities")))
            space.rename_project_key(project, f"{project.key.split('X')[0]}X{project.id % 1000}{turn}")


ACTIONS = (
    *["update"] * 8,
    *["status"] * 3,
    *("bulk", "bulk", "create", "parent", "parent", "move", "delete"),
    *("rename_status", "delete_status", "rename_version", "delete_version", "rename_category", "delete_category"),
    "rename_key",
)


def truth_of_issue(space: Space, issue: Issue, stream: str) -> list[Row]:
    """The rows of one issue."""
    rows = truth_of_project(space, issue.project, stream)
    return [row for row in rows if row["id" if stream == "issues" else "issueId"] == issue.id]


def truth_of_project(space: Space, project: Project, stream: str) -> list[Row]:
    """The rows of one project."""
    return truth(space, stream, domain="emulator.backlog.jp", limits=Limits(), projects=[project.id])
