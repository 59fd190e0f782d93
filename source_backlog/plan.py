"""What a sync will cost, said before anything is read: requests by stream, and how long they take.

Counted are projects and issues; the number of activities is estimated from their ids. What hangs on wiki pages,
documents, pull requests and files cannot be told without reading their lists. The formulas are those of
docs/streams.md.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from source_backlog.api.limits import limits_of
from source_backlog.api.turns import FEW_SEARCHES, GAP_SECONDS
from source_backlog.changes import quiet
from source_backlog.changes.backlog import Backlog
from source_backlog.changes.feed import PULL_REQUEST_DELETED
from source_backlog.changes.paging import PAGE_SIZE, rows_of
from source_backlog.changes.projects import selected_projects
from source_backlog.space import streams_by_endpoint
from source_backlog.values import Row, day_before

# One request for `/issues/count` names so many projects.
PROJECTS_PER_COUNT = 100


@dataclass(frozen=True)
class Size:
    """How much there is, in numbers. `merged` are activities that say that a pull request was deleted or merged.

    `deletions` asks which of the two.
    """

    projects: int
    issues: int
    activities: int
    merged: int

    @property
    def pages_of_issues(self) -> int:
        """Requests for the lists of issues: pages overlap by a row, and a list takes one at least."""
        pages = self.issues / max(1, self.projects) / (PAGE_SIZE - 1)
        return round(self.projects * max(1.0, pages + 0.5))

    @property
    def pages_of_activities(self) -> int:
        """Requests for the whole feed."""
        return max(1, math.ceil(self.activities / (PAGE_SIZE - 1)))

    @property
    def asked_when_quiet(self) -> int:
        """Projects that are asked for their issues although nothing has changed."""
        return self.projects if self.projects <= quiet.FEW else quiet.SEARCHES


@dataclass(frozen=True)
class Requests:
    """A number of requests by category."""

    search: int = 0
    read: int = 0

    def __add__(self, other: "Requests") -> "Requests":
        """Both together."""
        return Requests(self.search + other.search, self.read + other.read)

    @property
    def all(self) -> int:
        """Of both categories."""
        return self.search + self.read


# What the requests to an endpoint cost: in a first load, and in a sync in which nothing changed.
Formula = Callable[[Size], tuple[Requests, Requests]]


def _once(_: Size) -> tuple[Requests, Requests]:
    return Requests(read=1), Requests(read=1)


def _per_project(size: Size) -> tuple[Requests, Requests]:
    return Requests(read=size.projects), Requests(read=size.projects)


def _lists_of_issues(size: Size) -> tuple[Requests, Requests]:
    return Requests(search=size.pages_of_issues + size.projects), Requests(search=size.asked_when_quiet)


def _per_issue(size: Size) -> tuple[Requests, Requests]:
    return Requests(read=size.issues), Requests()


def _per_issue_always(size: Size) -> tuple[Requests, Requests]:
    return Requests(read=size.issues), Requests(read=size.issues)


def _feed(size: Size) -> tuple[Requests, Requests]:
    return Requests(read=size.pages_of_activities), Requests()


FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(
        (
            "space",
            "space/notification",
            "space/diskUsage",
            "space/licence",
            "rateLimit",
            "priorities",
            "resolutions",
            "users",
            "users/myself",
            "users/myself/recentlyViewedIssues",
            "users/myself/recentlyViewedProjects",
            "users/myself/recentlyViewedWikis",
            # All of the space; those that the user has joined are in `ALWAYS`.
            "projects",
        ),
        _once,
    ),
    **dict.fromkeys(
        (
            "projects/{}/users",
            "projects/{}/administrators",
            "projects/{}/teams",
            "projects/{}/statuses",
            "projects/{}/issueTypes",
            "projects/{}/categories",
            "projects/{}/versions",
            "projects/{}/customFields",
            "projects/{}/webhooks",
        ),
        _per_project,
    ),
    "issues": _lists_of_issues,
    "issues/{}/comments": _per_issue,
    "issues/{}/relatedIssues": _per_issue,
    "issues/{}/participants": _per_issue_always,
    "space/activities": _feed,
}
# The rate limit, the projects, and the head of the feed; then also what is new in it.
ALWAYS = Requests(read=3), Requests(read=4)


@dataclass(frozen=True)
class StreamPlan:
    """What one stream costs by itself, beside `ALWAYS`; None where that depends on what its lists hold."""

    stream: str
    first: Requests | None
    quiet: Requests | None


@dataclass(frozen=True)
class Plan:
    """What a sync of some streams will cost. Streams share answers, so that all cost less than their sum."""

    size: Size
    streams: tuple[StreamPlan, ...]
    first: Requests
    quiet: Requests
    first_seconds: float
    quiet_seconds: float

    @property
    def untold(self) -> list[str]:
        """The streams whose cost is not in the sums."""
        return [one.stream for one in self.streams if one.first is None]


def plan(backlog: Backlog, declared: Iterable[dict[str, Any]], streams: Collection[str], also: int = 0) -> Plan:
    """The plan of a sync of `streams`, which the manifest has `declared`, with `also` so many reads around it.

    Asks for the rate limit, the projects, two pages of the feed, and once per hundred projects for the number of
    issues.
    """
    limits = backlog.get("rateLimit", probe=True)
    size = size_of(backlog)
    costs = _costs_by_endpoint(size)
    by_endpoint = streams_by_endpoint(declared, streams)
    plans = [_of_stream(stream, by_endpoint, costs) for stream in streams]
    told = {one.stream for one in plans if one.first is not None}
    first, quiet_sync = (cost + Requests(read=also) for cost in ALWAYS)
    for endpoint, readers in by_endpoint.items():
        if told.intersection(readers):
            first, quiet_sync = first + costs[endpoint][0], quiet_sync + costs[endpoint][1]
    if "deletions" in streams and size.merged:
        first += Requests(read=size.merged)
    if size.projects > quiet.FEW and "issues" in by_endpoint:
        # The list of projects once more: see `quiet`.
        quiet_sync += Requests(read=1)
    pace = Pace.of(
        limits if isinstance(limits, Mapping) else {}, limits_of(backlog.space).share_percent, backlog.space.num_workers
    )
    answer = limits_of(backlog.space).answer_seconds
    return Plan(size, tuple(plans), first, quiet_sync, pace.seconds(first, answer), pace.seconds(quiet_sync, answer))


def _costs_by_endpoint(size: Size) -> dict[str, tuple[Requests, Requests]]:
    return {endpoint: formula(size) for endpoint, formula in FORMULAS.items()}


def _of_stream(
    stream: str, by_endpoint: Mapping[str, list[str]], costs: Mapping[str, tuple[Requests, Requests]]
) -> StreamPlan:
    reads = [endpoint for endpoint, readers in by_endpoint.items() if stream in readers]
    if not all(endpoint in costs for endpoint in reads):
        return StreamPlan(stream, None, None)
    return StreamPlan(
        stream,
        sum((costs[endpoint][0] for endpoint in reads), Requests()),
        sum((costs[endpoint][1] for endpoint in reads), Requests()),
    )


def size_of(backlog: Backlog) -> Size:
    """Projects and issues, counted, and activities, estimated."""
    projects = [project["id"] for project in selected_projects(backlog.requester, backlog.config, backlog.space)]
    issues = 0
    for first in range(0, len(projects), PROJECTS_PER_COUNT):
        some: Row = {"projectId[]": projects[first : first + PROJECTS_PER_COUNT]}
        if backlog.start:
            some["updatedSince"] = day_before(backlog.start)
        body = backlog.get("issues/count", some, probe=True)
        issues += int(body.get("count") or 0) if isinstance(body, dict) else 0
    newest, oldest = (_page_of_feed(backlog, order) for order in ("desc", "asc"))
    activities = estimated([row["id"] for row in newest], [row["id"] for row in oldest])
    seen = [*newest, *oldest]
    merged = sum(row.get("type") in PULL_REQUEST_DELETED for row in seen) * activities // max(1, len(seen))
    return Size(len(projects), issues, activities, merged)


def _page_of_feed(backlog: Backlog, order: str) -> list[Row]:
    return rows_of(backlog.get("space/activities", {"order": order, "count": PAGE_SIZE}))


def estimated(newest: list[int], oldest: list[int]) -> int:
    """How many rows a list by id has, of which some of the newest and some of the oldest are known.

    Ids are shared with other spaces: how close they lie at both ends tells how many are between.
    """
    known = len({*newest, *oldest})
    if len(newest) < PAGE_SIZE or min(newest) <= max(oldest):
        return known
    distance = (max(newest) - min(newest) + max(oldest) - min(oldest)) / (2 * (PAGE_SIZE - 1))
    return known + round((min(newest) - max(oldest)) / max(1.0, distance))


@dataclass(frozen=True)
class Pace:
    """How fast requests are sent: what the limit allows in a minute, by category (0: no limit), and the workers."""

    search: int
    read: int
    num_workers: int

    @classmethod
    def of(cls, answer: Mapping[str, Any], share_percent: int, num_workers: int) -> "Pace":
        """From the answer of `GET /rateLimit`."""
        told = answer.get("rateLimit") or {}
        search, read = (int((told.get(name) or {}).get("limit") or 0) for name in ("search", "read"))
        return cls(search * share_percent // 100, read * share_percent // 100, num_workers)

    def seconds(self, requests: Requests, answer: float) -> float:
        """How long the requests take when an answer takes `answer` seconds.

        With one worker most of the searches come first, a second apart, because the lists of all projects are read
        before what hangs below them.
        """
        spent = requests.all * answer / self.num_workers
        if self.num_workers == 1 and requests.search > FEW_SEARCHES:
            paced = (requests.search - FEW_SEARCHES) * max(GAP_SECONDS, answer)
            spent = requests.read * answer + max(paced, requests.search * answer)
        windows = [
            math.ceil(number / limit - 1) * 60.0
            for number, limit in ((requests.search, self.search), (requests.read, self.read))
            if limit
        ]
        return max(spent, *windows, 0.0)


def lines(made: Plan) -> Iterator[str]:
    """The plan in sentences."""
    size = made.size
    yield f"There are {size.issues:,} issues in {size.projects:,} projects, and about {size.activities:,} activities."
    for one in made.streams:
        if one.first is not None and one.quiet is not None:
            yield f"Requests for {one.stream}: {one.first.all:,} at first, {one.quiet.all:,} when nothing has changed."
    if made.untold:
        yield (
            f"Not counted, because it depends on what their lists hold: {', '.join(made.untold)}. The formulas are in "
            "docs/streams.md."
        )
    for kind, cost, seconds in (
        ("A first load", made.first, made.first_seconds),
        ("A sync in which nothing has changed", made.quiet, made.quiet_seconds),
    ):
        yield (
            f"{kind} takes about {cost.all:,} requests ({cost.search:,} search, {cost.read:,} read): "
            f"{duration(seconds)} at the limit of this space, the pace and the time of an answer."
        )


def duration(seconds: float) -> str:
    """A time in words."""
    minutes = max(1, math.ceil(seconds / 60))
    hours, minutes = divmod(minutes, 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} min"
