"""Promise 2: the fewest requests. Counted in requests of the emulator's log, never in seconds.

Which streams are lists per project, and which lie inside the answers of others, is taken from docs/streams.md, whose
formulas test_documented_costs.py compares with the emulator's log stream by stream.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from integration_tests.emulator import Emulator, Request
from integration_tests.harness import Sync, catalog_streams, joined_projects, sync
from integration_tests.test_documented_costs import last_day
from unit_tests.test_docs import anonymous, code, documented

# What is counted for `sync_coverage`, on purpose before a list is read, test_coverage.py has.
EVERYTHING = sorted(set(catalog_streams()) - {"sync_coverage"})
CORE = ["issues", "issue_comments", "activities"]

# Endpoint of one request per project, whatever is in it -> a stream that reads it.
PER_PROJECT = {
    anonymous(code(row["Endpoint"])[0]): name
    for name, row in reversed(documented().items())
    if row["First load"] == row["Later sync"] == "`P` read"
}
PROJECT_LISTS = sorted(PER_PROJECT.values())

# The streams that need requests, and those whose rows lie inside what these have read.
SOURCES = [
    "issues",
    "issue_comments",
    "wikis",
    "documents",
    "document_comments",
    "pull_requests",
    "pull_request_comments",
    "custom_fields",
    "teams",
    "activities",
]


def terms(*streams: str) -> set[str]:
    """The endpoints that the streams read and the terms of what a first load of them costs."""
    rows = [documented()[stream] for stream in streams]
    return {text for row in rows for text in [*code(row["Endpoint"]), *row["First load"].split(" + ")]}


DERIVED = [name for name in documented() if name not in SOURCES and terms(name) <= terms(*SOURCES)]

# Per project that has all features on, in a sync without changes and without `issue_participants`; a folder of shared
# files and a repository cost a request each.
LISTS_PER_PROJECT = {*PER_PROJECT, "projects/{}/git/repositories", "issues", "wikis", "documents", "documents/tree"}
FOLDERS = "projects/{}/files/metadata/{}"
PULL_REQUESTS = "projects/{}/git/repositories/{}/pullRequests"
STARS = "users/{}/stars"


def urls(requests: Iterable[Request]) -> Counter[tuple[str, tuple[tuple[str, str], ...]]]:
    """How often each URL was requested, whatever the order of its parameters."""
    return Counter((request.path, tuple(sorted(request.query))) for request in requests)


def patterns(result: Sync) -> Counter[str]:
    """How often each endpoint was requested."""
    return Counter(anonymous(request.pattern.removeprefix("/api/v2/")) for request in result.requests)


def pages(lengths: Iterable[int], size: int = 100) -> int:
    """The least number of requests for lists of these lengths: an empty list takes one too."""
    return sum(max(1, math.ceil(length / size)) for length in lengths)


def sizes(rows: Sequence[dict[str, Any]], column: str, owners: Iterable[Any]) -> list[int]:
    """How many of the rows belong to each of `owners`."""
    counted = Counter(row[column] for row in rows)
    return [counted[owner] for owner in owners]


def lower_bound(emulator: Emulator) -> int:
    """The least number of requests that a first load of `CORE` and `PROJECT_LISTS` can cost (docs/limits-and-cost.md).

    One for the list of projects, a page per 100 issues, the number of issues and the lists of each project, a page per
    100 comments of each issue, at least one, because nothing in an issue tells whether it has comments, and a page per
    100 activities. Who was added to a project by name takes a list more, of each project that has a team:

        1 + ceil(issues / 100) + projects + projects * lists + projects with teams
          + sum over issues max(1, ceil(comments / 100)) + ceil(activities / 100)
    """
    projects, issues = joined_projects(emulator), emulator.truth("issues")
    return (
        1
        + pages([len(issues)])
        + len(projects) * (1 + len(PROJECT_LISTS))
        + len({row["projectId"] for row in emulator.truth("project_teams")})
        + pages(sizes(emulator.truth("issue_comments"), "issueId", [issue["id"] for issue in issues]))
        + pages([len(emulator.truth("activities"))])
    )


@pytest.mark.parametrize("workers", [2, 8])
def test_no_response_is_requested_twice_in_a_sync(workers: int) -> None:
    with Emulator(seed=5, projects=4, issues=420, archived_projects=1) as emulator:
        space = emulator.space
        first = sync(emulator, EVERYTHING, num_workers=workers)
        project = next(iter(space.visible_projects(space.user(None), contents=True)))
        space.advance(600)
        space.create_issue(project, "新しい課題")
        space.add_comment(project.issues[0], "見ました")
        second = sync(emulator, EVERYTHING, first.state, num_workers=workers)
        for result in (first, second):
            repeated = {url: times for url, times in urls(result.requests).items() if times > 1}
            # The rate limits are asked for before anything else; the stream `rate_limit` shows them as they are later.
            assert repeated == {("/api/v2/rateLimit", ()): 2}


@pytest.mark.parametrize("workers", [2, 8])
def test_derived_streams_cost_no_requests(workers: int) -> None:
    with Emulator(seed=9, projects=3, issues=350) as emulator:
        alone = sync(emulator, SOURCES, num_workers=workers)
        derived = sync(emulator, SOURCES + DERIVED, num_workers=workers)
        assert len(derived.rows) > len(alone.rows) + 15, "the derived streams have rows"
        assert len(derived.requests) <= 1.02 * len(alone.requests)
        assert patterns(derived) == patterns(alone)


def test_a_stream_without_an_endpoint_of_its_own_costs_nothing_beside_its_sources() -> None:
    assert not set(SOURCES + DERIVED) - set(EVERYTHING)
    read = {endpoint for name in SOURCES for endpoint in code(documented()[name]["Endpoint"])}
    shared = {name for name, row in documented().items() if set(code(row["Endpoint"])) <= read}
    # It asks for pull requests that were deleted or merged.
    assert shared - {"deletions"} <= set(SOURCES + DERIVED)


@pytest.mark.parametrize(("projects", "issues"), [(2, 80), (5, 700), (12, 2500)])
def test_a_first_load_is_close_to_the_lower_bound(projects: int, issues: int) -> None:
    with Emulator(seed=projects, projects=projects, issues=issues) as emulator:
        result = sync(emulator, CORE + PROJECT_LISTS, num_workers=8)
        assert len(result.rows["issues"]) == len(emulator.truth("issues"))
        assert lower_bound(emulator) <= len(result.requests) <= 1.05 * lower_bound(emulator)


def test_the_comments_of_an_issue_are_requested_once() -> None:
    streams = ["issue_comments", "issue_changelogs", "issue_comment_notifications", "issue_comment_stars", "issues"]
    with Emulator(seed=4, projects=3, issues=300) as emulator:
        busy = next(iter(emulator.space.issues.values()))
        for number in range(230):
            emulator.space.add_comment(busy, f"コメント {number}")
        expected = {
            f"/api/v2/issues/{issue['id']}/comments": 3 if issue["id"] == busy.id else 1
            for issue in emulator.truth("issues")
        }
        result = sync(emulator, streams, num_workers=8)
        counted = Counter(request.path for request in result.requests if request.path.endswith("/comments"))
        assert counted == expected


@pytest.mark.parametrize("projects", [1, 4, 20])
def test_issues_comments_and_activities_without_changes_cost_a_request_per_project(projects: int) -> None:
    with Emulator(seed=6, projects=projects, issues=20 * projects) as emulator:
        space = emulator.space
        first = sync(emulator, CORE, num_workers=8)
        readable = len(joined_projects(emulator))
        assert len(sync(emulator, CORE, first.state, num_workers=8).requests) <= readable + 5
        # Right after changes the last day is in the window again, with issues whose comments are known already.
        space.advance(7 * 86_400)
        for project in space.visible_projects(space.user(None), contents=True):
            space.create_issue(project, "新しい課題")
            space.add_comment(project.issues[0], "A comment, which does not move the stamp")
            space.update_issue(project.issues[1], summary="概要を変更")
        changed = sync(emulator, CORE, first.state, num_workers=8)
        assert len(changed.requests) > readable + 5
        again = sync(emulator, CORE, changed.state, num_workers=8)
        assert len(again.requests) <= readable + 5
        assert not again.rows["issue_comments"]


def unchanged(emulator: Emulator) -> Sync:
    """A sync of everything but `issue_participants`, a full refresh with a request per issue; nothing has changed.

    The third one: wiki pages and documents with the last known stamp are read once more by the second, because others
    may have been changed in the same second.
    """
    streams = [name for name in EVERYTHING if name != "issue_participants"]
    first = sync(emulator, streams)
    return sync(emulator, streams, sync(emulator, streams, first.state).state)


def test_nothing_changed_costs_the_lists_of_each_project_and_a_constant() -> None:
    constants = []
    for projects in (2, 6):
        with Emulator(seed=3, projects=projects, issues=40 * projects) as emulator:
            counted = patterns(unchanged(emulator))
            readable = len(joined_projects(emulator))
            folders = counted.pop(FOLDERS)
            assert folders <= readable + sum(row["type"] == "directory" for row in emulator.truth("shared_files"))
            assert counted.pop(PULL_REQUESTS) == len(emulator.truth("git_repositories"))
            assert counted.pop(f"{PULL_REQUESTS}/{{}}") == len(last_day(emulator.truth("pull_requests")))
            assert counted.pop(STARS) == len(emulator.truth("users"))
            with_teams = {row["projectId"] for row in emulator.truth("project_teams")}
            assert counted.pop("projects/{}/users") == readable + len(with_teams)
            for pattern in LISTS_PER_PROJECT - {"projects/{}/users"}:
                assert counted.pop(pattern) <= readable, pattern
            constants.append(counted)
    assert constants[0] == constants[1]
    assert sum(constants[0].values()) <= 25
