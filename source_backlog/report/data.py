"""What the page shows, asked of the tables of the dbt package. The SQL is the same in all databases."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

Ask = Callable[[str], Sequence[Sequence[Any]]]
"""Runs a query and gives its rows."""

CLOSED = 4
DAYS = 180
"""How far back the charts go."""
OVERDUE = 15
"""Rows of the list of what is overdue."""


@dataclass
class Burndown:
    """A milestone day by day; the last figures are None for days to come."""

    milestone: str
    due: date | None
    days: list[tuple[date, float | None, float | None, float | None]]
    """Day, issues in the scope, open issues, ideal line."""


@dataclass
class Status:
    """A status with its colour and how many issues it had at the end of each day."""

    name: str
    color: str
    order: tuple[int, int]
    by_day: dict[date, int] = field(default_factory=lambda: defaultdict(int))


@dataclass
class Late:
    """An issue that is overdue."""

    key: str
    summary: str
    assignee: str | None
    due: date
    days: int


@dataclass
class Gap:
    """A stream of which a sync has not read everything, or whose table lacks rows."""

    project: str | None
    """None for what belongs to the space."""
    stream: str
    reason: str | None
    missing: int | None
    """How many rows are missing; None where Backlog counts nothing."""


@dataclass
class Synced:
    """What the syncs have read, of the streams of a project or of all."""

    parts: int = 0
    """Streams, each in each project."""
    gaps: list[Gap] = field(default_factory=list)


@dataclass
class View:
    """Everything that one choice of the filter shows."""

    key: str
    name: str
    burndown: Burndown | None = None
    statuses: list[Status] = field(default_factory=list)
    lead_days: list[float] = field(default_factory=list)
    hours: dict[date, dict[str, float]] = field(default_factory=dict)
    """Month -> category -> hours; issues in no category under an empty name."""
    late: list[Late] = field(default_factory=list)
    late_in_all: int = 0
    coverage: list[tuple[str, int, int, float]] = field(default_factory=list)
    """Project, issues, values of their history, share of these that is known exactly."""
    synced: Synced = field(default_factory=Synced)


@dataclass
class Report:
    """The data of the page, as of a moment in UTC."""

    as_of: datetime
    today: date
    views: list[View]


def read(ask: Ask, schema: str, projects: int) -> Report:
    """Ask for everything; at most `projects` projects, the ones with the latest activity."""
    as_of, today = ask(f"SELECT as_of, as_of_day FROM {schema}.stg_backlog__as_of")[0]
    chosen = ask(
        f"SELECT project_id, project_key, project FROM {schema}.project_enhanced WHERE issues > 0 AND NOT is_archived "
        "ORDER BY last_issue_activity_at DESC, project_key"
    )[:projects]
    everything = View("", "")
    views = {int(project): View(str(key), str(name)) for project, key, name in chosen}
    for fill in (_burndowns, _flow, _lead_times, _hours, _overdue, _coverage, _synced):
        fill(ask, schema, today, views, everything)
    return Report(as_of, today, [everything, *views.values()])


Views = dict[int, View]


def _burndowns(ask: Ask, schema: str, today: date, views: Views, everything: View) -> None:
    rows = ask(
        f"SELECT milestone_id, project_id, milestone, day, scope_issues, open_issues, ideal_issues "
        f"FROM {schema}.burndown ORDER BY milestone_id, day"
    )
    due = {
        int(row[0]): row[1] for row in ask(f"SELECT milestone_id, release_due_date FROM {schema}.milestone_enhanced")
    }
    milestones: dict[tuple[int, int], Burndown] = {}
    for milestone, project, name, day, scope, left, ideal in rows:
        key = int(project), int(milestone)
        if key not in milestones:
            milestones[key] = Burndown(str(name), due.get(key[1]), [])
        milestones[key].days.append((day, _number(scope), _number(left), _number(ideal)))
    best: dict[int, Burndown] = {}
    for (project, _), burndown in milestones.items():
        if project in views and (project not in best or _weight(burndown, today) > _weight(best[project], today)):
            best[project] = burndown
    for project, burndown in best.items():
        _cut(burndown)
        views[project].burndown = burndown
    if best:
        everything.burndown = max(best.values(), key=lambda each: _weight(each, today))


def _weight(burndown: Burndown, today: date) -> tuple[bool, bool, float]:
    """A milestone that is under way before one that is over, one with an ideal line, a large one."""
    under_way = burndown.due is not None and burndown.due >= today - timedelta(days=14)
    planned = any(ideal is not None for *_, ideal in burndown.days)
    return under_way, planned, max((scope or 0 for _, scope, _, _ in burndown.days), default=0)


def _cut(burndown: Burndown) -> None:
    """The days after the last change of a milestone whose due date has passed say nothing."""
    days = burndown.days
    last = max(
        (n for n in range(1, len(days)) if days[n][1:3] != days[n - 1][1:3] and days[n][1] is not None), default=0
    )
    end = max(last, max((n for n, day in enumerate(days) if burndown.due and day[0] <= burndown.due), default=last))
    burndown.days = days[: end + 8]


def _flow(ask: Ask, schema: str, today: date, views: Views, everything: View) -> None:
    colors = {
        (int(project), int(status)): str(color or "")
        for project, status, color in ask(f"SELECT project_id, status_id, color FROM {schema}.stg_backlog__statuses")
    }
    first = today - timedelta(days=DAYS)
    found: dict[tuple[int, int | str], Status] = {}
    names: dict[tuple[int, int | str], Counter[str]] = defaultdict(Counter)
    for project, day, status, name, order, issues in ask(
        f"SELECT project_id, day, status_id, status, display_order, issues FROM {schema}.flow "
        f"WHERE day >= DATE '{first}'"
    ):
        number = 0 if status is None else int(status)
        for owner in (int(project), 0):
            if owner and owner not in views:
                continue
            # In all projects together a built-in status is one, whatever some call it, and a custom one is its name.
            key = owner, number if number and (owner or number <= CLOSED) else str(name)
            if key not in found:
                # Closed at the bottom, then against the workflow; what is gone from it next to closed.
                place = (0, 0) if number == CLOSED else (1, -int(order or 0))
                found[key] = Status(str(name), colors.get((int(project), number)) or "#9aa0a6", place)
            found[key].by_day[day] += int(issues)
            names[key][str(name)] += 1
    for key, each in found.items():
        each.name = names[key].most_common(1)[0][0]
        if any(each.by_day.values()):
            (views[key[0]] if key[0] else everything).statuses.append(each)
    for view in (*views.values(), everything):
        view.statuses.sort(key=lambda each: (each.order, each.name))


def _lead_times(ask: Ask, schema: str, today: date, views: Views, everything: View) -> None:
    for project, closed, hours in ask(
        f"SELECT project_id, closed_at, lead_hours FROM {schema}.lead_times WHERE closed_at IS NOT NULL"
    ):
        if closed.date() >= today - timedelta(days=DAYS):
            for view in _of(views, everything, project):
                view.lead_days.append(float(hours) / 24)


def _hours(ask: Ask, schema: str, today: date, views: Views, everything: View) -> None:
    first = today.replace(day=1) - timedelta(days=365)
    for project, category, month, hours in ask(
        f"SELECT project_id, category, month, sum(hours) FROM {schema}.hours_monthly "
        f"WHERE month >= DATE '{first}' GROUP BY project_id, category, month ORDER BY month"
    ):
        for view in _of(views, everything, project):
            of_month = view.hours.setdefault(month, {})
            of_month[str(category or "")] = of_month.get(str(category or ""), 0) + float(hours)


def _overdue(ask: Ask, schema: str, today: date, views: Views, everything: View) -> None:
    for project, key, summary, assignee, due, days in ask(
        f"SELECT project_id, issue_key, summary, assignee, due_date, days_overdue FROM {schema}.overdue "
        "ORDER BY days_overdue DESC, issue_key"
    ):
        for view in _of(views, everything, project):
            view.late_in_all += 1
            if len(view.late) < OVERDUE:
                view.late.append(Late(str(key), str(summary), assignee, due, int(days)))


def _coverage(ask: Ask, schema: str, today: date, views: Views, everything: View) -> None:
    for project, issues, values, inferred in ask(
        "SELECT project_id, count(DISTINCT issue_id), count(*), "
        f"sum(CASE WHEN is_inferred OR is_ambiguous THEN 1 ELSE 0 END) FROM {schema}.issue_field_history "
        "GROUP BY project_id"
    ):
        view = views.get(int(project))
        if view:
            row = (view.key, int(issues), int(values), 1 - int(inferred) / int(values))
            view.coverage.append(row)
            everything.coverage.append(row)
    everything.coverage.sort(key=lambda row: -row[1])


def _synced(ask: Ask, schema: str, today: date, views: Views, everything: View) -> None:
    """Only where the stream `sync_coverage` was synced and its model is switched on."""
    columns = ask(
        "SELECT lower(column_name) FROM information_schema.columns "
        f"WHERE lower(table_schema) = '{schema.lower()}' AND lower(table_name) = 'coverage'"
    )
    if not {"stream", "project_id", "project_key", "is_complete", "reason", "missing"} <= {name for (name,) in columns}:
        return
    for project, key, stream, complete, reason, missing in ask(
        f"SELECT project_id, project_key, stream, is_complete, reason, missing FROM {schema}.coverage "
        "ORDER BY project_key, stream"
    ):
        for view in _of(views, everything, project):
            view.synced.parts += 1
            if not complete or missing:
                number = None if missing is None else int(missing)
                view.synced.gaps.append(Gap(key and str(key), str(stream), reason and str(reason), number))


def _of(views: Views, everything: View, project: Any) -> list[View]:
    """The views that a row of a project belongs to."""
    return [everything, *([views[int(project)]] if project is not None and int(project) in views else [])]


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
