"""What `check` says a sync will cost, and what the emulator then counts."""

from __future__ import annotations

import pytest

from integration_tests.commands import command
from integration_tests.emulator import Emulator
from integration_tests.harness import Sync, sync
from source_backlog import SourceBacklog
from source_backlog.changes.backlog import Backlog
from source_backlog.plan import Plan, lines, plan
from source_backlog.selection import SUGGESTED_STREAMS

SEARCH = "search"
SELECTIONS = [
    ["issues", "issue_comments", "activities"],
    list(SUGGESTED_STREAMS),
    [*SUGGESTED_STREAMS, "issue_comments"],
]


def planned(emulator: Emulator, streams: list[str], **options: object) -> Plan:
    config = emulator.config(**options)
    source = SourceBacklog(config=config)
    source.streams(config)
    return plan(
        Backlog(config, source.space.requester, source.space, "plan"), source.resolved_manifest["streams"], streams
    )


def counted(result: Sync) -> tuple[int, int]:
    searches = sum(request.category == SEARCH for request in result.requests)
    return searches, len(result.requests) - searches


@pytest.mark.parametrize(("projects", "issues"), [(3, 450), (70, 150)])
def test_a_plan_is_within_a_tenth_of_what_is_counted(projects: int, issues: int) -> None:
    with Emulator(seed=2, projects=projects, issues=issues) as emulator:
        for streams in SELECTIONS:
            made = planned(emulator, streams)
            first = sync(emulator, streams)
            later = sync(emulator, streams, first.state)
            assert made.size.issues == len(emulator.truth("issues"))
            for cost, result in ((made.first, first), (made.quiet, later)):
                assert sum(counted(result)) == pytest.approx(cost.all, rel=0.1), streams


def test_a_plan_with_a_start_date_counts_what_has_changed_since() -> None:
    with Emulator(seed=2, projects=3, issues=200) as emulator:
        options = {"start_date": "2026-05-01"}
        made = planned(emulator, SELECTIONS[0], **options)
        result = sync(emulator, SELECTIONS[0], **options)
    assert made.size.issues < 200
    assert len(result.requests) == pytest.approx(made.first.all, rel=0.1)


def test_a_plan_costs_a_request_per_hundred_projects_and_five_more() -> None:
    with Emulator(seed=2, projects=120, issues=10) as emulator:
        planned(emulator, SELECTIONS[1])
        asked = [request.path.removeprefix("/api/v2/") for request in emulator.requests]
    assert sorted(asked) == sorted(
        # The rate limits are learned before anything else, and asked for by the plan.
        ["rateLimit", "rateLimit", "projects", "space/activities", "space/activities", "issues/count", "issues/count"]
    )


def test_check_says_what_a_sync_will_cost() -> None:
    with Emulator(seed=2, projects=3, issues=60, rate_limit={"read": 600, "search": 150}) as emulator:
        output = command("check", emulator.config())
        said = output.logs("INFO")
        expected = list(lines(planned(emulator, [*SUGGESTED_STREAMS, "issue_comments"])))
    assert output.connection[0] == "SUCCEEDED"
    assert [line for line in said if line in expected] == expected
    assert any(line.startswith("There are 56 issues in 4 projects") for line in said)
    assert any(line.startswith("A first load takes about ") for line in said)


def test_a_plan_names_what_it_cannot_tell() -> None:
    with Emulator(seed=2, projects=2, issues=20) as emulator:
        made = planned(emulator, ["issues", "wikis", "shared_files"])
    assert made.untold == ["wikis", "shared_files"]
    assert any("wikis, shared_files" in line for line in lines(made))


def test_check_succeeds_where_the_cost_cannot_be_told() -> None:
    with Emulator(seed=2, projects=2, issues=20) as emulator:
        emulator.faults.add(r"/issues/count", status=500, times=None)
        output = command("check", emulator.config())
    assert output.connection[0] == "SUCCEEDED"
    assert any("could not be told" in line for line in output.logs())
