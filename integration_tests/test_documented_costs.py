"""The formulas of docs/streams.md and docs/limits-and-cost.md, compared with the requests that the emulator counts."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest

from integration_tests.emulator import Emulator
from integration_tests.harness import FILES_OF, catalog_streams, joined_projects, sync
from source_backlog.selection import SUGGESTED_STREAMS
from unit_tests.test_docs import ROOT, code, documented, table

LIMITS = ROOT / "docs" / "limits-and-cost.md"
SEARCH = {"issues", "issues/count", "wikis", "wikis/count"}
# One request each per sync, whatever is selected; the pages of the feed are the stream itself for those of the feed.
COMMON = {"rateLimit", "projects"}
FEED = {"activities", "activity_changes", "deletions", "git_push_revisions", "svn_commits"}


def pages(lengths: Iterable[int], size: int = 100) -> int:
    """Requests for lists of these lengths, with pages that repeat a row."""
    return sum(max(1, math.ceil(length / (size - 1))) for length in lengths)


def lengths(rows: list[dict[str, Any]], column: str, among: Iterable[Any]) -> list[int]:
    """How many of the rows belong to each of `among`."""
    counted = Counter(row[column] for row in rows)
    return [counted[each] for each in among]


def last_day(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that are not older than the day before the latest of their project."""
    latest: dict[Any, str] = defaultdict(str)
    for row in rows:
        latest[row["projectId"]] = max(latest[row["projectId"]], row["updated"])
    return [
        row
        for row in rows
        if row["updated"][:10]
        >= (datetime.fromisoformat(latest[row["projectId"]]) - timedelta(days=1)).strftime("%Y-%m-%d")
    ]


@pytest.fixture(scope="module")
def emulator() -> Iterable[Emulator]:
    with Emulator(seed=5, projects=3, issues=320, comments_per_issue=0.5) as emulator:
        busy = next(iter(emulator.space.issues.values()))
        for number in range(120):
            emulator.space.add_comment(busy, f"comment {number}")
        emulator.space.remove_project_team("APP", "開発チーム")
        # A quiet day: nothing of the past is in the window that is read again but the last issues themselves.
        emulator.space.advance(3 * 86_400)
        yield emulator


@pytest.fixture(scope="module")
def known(emulator: Emulator) -> dict[str, int]:
    """The letters of docs/streams.md, from the emulator's own rows; nothing changes between the syncs."""
    truth = emulator.truth
    projects = joined_projects(emulator)
    ids = [project["id"] for project in projects]

    def using(flag: str) -> list[Any]:
        return [project["id"] for project in projects if project[flag]]

    issues, wikis, documents, requests = (truth(name) for name in ("issues", "wikis", "documents", "pull_requests"))
    window = last_day(issues)
    directories: Counter[Any] = Counter()
    for row in truth("shared_files"):
        directories[row["projectId"], row["dir"].rstrip("/")] += 1
        if row["type"] == "directory":
            directories[row["projectId"], row["path"].rstrip("/")] += 0
    for project_id in using("useFileSharing"):
        directories[project_id, ""] += 0
    activities = truth("activities")
    repositories = [row["id"] for row in truth("git_repositories")]
    users = [user["id"] for user in truth("users")]
    return {
        "P": len(ids),
        "Pt": len({row["projectId"] for row in truth("project_teams")}),
        "Pw": len(using("useWiki")),
        "Pd": len(using("useDocument")),
        "Pg": len(using("useGit")),
        "I": len(issues),
        "W": len(wikis),
        "D": len(documents),
        "Q": len(requests),
        "Q_win": len(last_day(requests)),
        "M": sum(activity["type"] == 21 for activity in activities),
        "I_new": 0,
        "W_new": 0,
        "D_new": 0,
        "Pd_new": 0,
        "M_new": 0,
        "X_new": 0,
        "pages(I)": pages(lengths(issues, "projectId", ids)),
        "pages(I_win)": pages(lengths(window, "projectId", ids)),
        "pages(D)": pages(lengths(documents, "projectId", using("useDocument"))),
        "pages(D_new)": len(using("useDocument")),
        "pages(Q)": pages(lengths(requests, "repositoryId", repositories)),
        "pages(C)": pages(lengths(truth("issue_comments"), "issueId", [issue["id"] for issue in issues])),
        "pages(C_new)": 0,
        "pages(H)": pages(lengths(truth("wiki_history"), "pageId", [wiki["id"] for wiki in wikis])),
        "pages(H_new)": 0,
        "pages(K)": pages(
            lengths(truth("pull_request_comments"), "pullRequestId", [request["id"] for request in requests])
        ),
        "pages(K_new)": 0,
        "pages(F)": pages(directories.values()),
        "pages(A)": pages([len(activities)]),
        "pages(A_new)": 1,
        "pages(N)": pages([len(truth("notifications"))]),
        "pages(N_new)": 1,
        "pages(V)": pages([len(truth("watchings"))]),
        "pages(T)": pages([len(truth("teams"))]),
        "pages(S)": pages(lengths(truth("user_stars"), "userId", users)),
        "pages(S_new)": len(users),
    }


def of_stream(emulator: Emulator, stream: str) -> dict[str, int]:
    """The letters that mean something else for each stream: its own list, its own files."""
    if stream.startswith("recently_viewed_"):
        return {"pages(L)": pages([len(emulator.truth(stream))])}
    if stream in FILES_OF:
        return {"X": sum(row.get("type") != "directory" for row in emulator.truth(FILES_OF[stream]))}
    return {}


def documented_cost(cell: str, known: dict[str, int]) -> Counter[str]:
    """Requests by category, as a cell of docs/streams.md says: `pages(I)` search + `I` read."""
    total: Counter[str] = Counter({"read": 0, "search": 0})
    terms = re.findall(r"`([^`]+)` (read|search)", cell)
    assert " + ".join(f"`{term}` {category}" for term, category in terms) == cell, cell
    for term, category in terms:
        factor, _, letter = term.rpartition(" ")
        total[category] += int(term) if term.isdigit() else int(factor or 1) * known[letter]
    return total


def counted_cost(paths: Iterable[str], stream: str) -> Counter[str]:
    """Requests by category, without those that every sync has."""
    total: Counter[str] = Counter({"read": 0, "search": 0})
    # The first look at the feed is for its newest entry.
    common = COMMON | {"space/activities"}
    for path in paths:
        if path in common:
            common = common - {path}
        elif path != "space/activities" or stream in FEED:
            total["search" if path in SEARCH else "read"] += 1
    return total


def test_the_space_has_lists_of_several_pages(known: dict[str, int]) -> None:
    assert known["pages(I)"] > known["P"]
    assert known["pages(C)"] > known["I"]
    assert known["pages(A)"] > 1


@pytest.mark.parametrize("stream", sorted(documented()))
def test_a_stream_costs_what_the_page_says(emulator: Emulator, known: dict[str, int], stream: str) -> None:
    row, known = documented()[stream], {**known, **of_stream(emulator, stream)}
    first = sync(emulator, [stream])
    # The next sync asks once more for the page that changed last; only the one after it finds nothing new.
    settled = sync(emulator, [stream], first.state) if stream.startswith(("wiki", "document")) else first
    later = sync(emulator, [stream], settled.state)
    assert counted_cost(first.paths(), stream) == documented_cost(row["First load"], known)
    assert counted_cost(later.paths(), stream) == documented_cost(row["Later sync"], known)


def test_members_and_teams_together_tell_who_was_added_by_name_at_pt_requests(
    emulator: Emulator, known: dict[str, int]
) -> None:
    cost = documented_cost("`2 P` read + `Pt` read", known)
    assert 0 < known["Pt"] < known["P"]
    for state in (None, sync(emulator, ["project_users", "project_teams"]).state):
        result = sync(emulator, ["project_users", "project_teams"], state)
        assert counted_cost(result.paths(), "project_users") == cost
        assert {row["direct"] for row in result.rows["project_users"]} == {True, False}
    # What is compared with the last sync is read for neither.
    alone = sync(emulator, ["project_users", "deletions"], sync(emulator, ["project_users", "deletions"]).state)
    assert sum(path.endswith(("/users", "/teams")) for path in alone.paths()) == known["P"]
    assert {row.get("direct") for row in alone.rows["project_users"]} == {None}


@pytest.mark.parametrize("stream", sorted(documented()))
def test_the_category_is_that_of_the_formulas(stream: str) -> None:
    row = documented()[stream]
    used = re.findall(r"(search|read)(?: \+|$)", row["First load"])
    assert row["Category"].split(", ") == list(dict.fromkeys(used))


@pytest.mark.parametrize(("number", "added"), [(0, ()), (1, ("issue_comments", "issue_changelogs"))])
def test_a_selection_costs_what_the_page_says(
    emulator: Emulator, known: dict[str, int], number: int, added: tuple[str, ...]
) -> None:
    row = table(LIMITS, "Selection")[number]
    assert all(name in row["Selection"] for name in added)
    first = sync(emulator, [*SUGGESTED_STREAMS, *added])
    later = sync(emulator, [*SUGGESTED_STREAMS, *added], first.state)
    for result, column in ((first, "First load"), (later, "Nothing changed")):
        searches = sum(path in SEARCH for path in result.paths())
        cost = {"search": searches, "read": len(result.paths()) - searches}
        assert cost == documented_cost(row[column], known)


def test_no_stream_is_left_out() -> None:
    assert {name for row in documented().values() for name in code(row["Stream"])} == set(catalog_streams())
