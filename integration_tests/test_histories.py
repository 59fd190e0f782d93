"""Whatever happens in a space, and whenever a sync breaks off: after a last quiet sync nothing is missing.

And `sync_coverage` says so: where nothing is wrong, it gives no alarm.

By default some hundred histories; `HISTORIES=5000 pytest integration_tests/test_histories.py` tries more, other ones
at every run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from integration_tests.emulator import Emulator
from integration_tests.histories import (
    ACTIONS,
    ACTIONS_OF,
    EVERYWHERE,
    FAMILIES,
    LOOK_AGAIN,
    QUIRKS,
    SETTINGS,
    Reader,
    World,
    quick,
    whole_pages_of_files,
)

pytestmark = pytest.mark.slow

HISTORIES = int(os.environ.get("HISTORIES", "0"))

# The streams that are read by id alone, behind the last one; of some, rows do not count activities.
BY_ID = ["activities", "activity_changes", "deletions", "git_push_revisions", "notifications", "svn_commits"]
COUNTED = ["activities", "notifications"]

numbers = st.integers(0, 30)


def some(values: dict[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """One value for each name."""
    return st.fixed_dictionaries({name: st.sampled_from(among) for name, among in values.items()})


def histories(family: str) -> st.SearchStrategy[tuple[str, list[Any]]]:
    """Some syncs of a family of streams, with what happens before and during each, and how far each comes."""
    # Half of them concern these streams, a quarter all of them, the rest may be anything.
    concerned = st.sampled_from(ACTIONS_OF[family])
    action = st.one_of(concerned, concerned, st.sampled_from(EVERYWHERE), st.sampled_from(ACTIONS))
    change = st.tuples(action, numbers, numbers)
    sync = st.tuples(
        st.lists(change, max_size=8),
        # Changes before the n-th request.
        st.lists(st.tuples(st.one_of(st.integers(0, 12), st.integers(0, 40)), change), max_size=8),
        # How much of the output arrives; at which request the key is refused; how many activities Backlog keeps; which
        # project the option Projects names; how many seconds pass until the next one: what changed within a day of the
        # last change is read again in any case.
        st.one_of(st.just(1.0), st.floats(0, 1)),
        st.one_of(st.none(), st.none(), st.integers(0, 40)),
        st.one_of(st.none(), st.none(), st.none(), st.integers(1, 30)),
        st.one_of(st.none(), st.none(), numbers),
        st.sampled_from([1, 2 * 86_400]),
    )
    return st.tuples(st.just(family), st.lists(sync, min_size=1, max_size=4))


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    with quick():
        yield


def live(reader: Reader, world: World, syncs: list[Any]) -> bool:
    """Changes and syncs in turn; some changes fall between the requests of a sync, and some syncs break off.

    Gives whether a project came into or out of sight during a sync without an activity that tells.
    """
    emulator = reader.emulator
    hidden = False
    for before, during, part, refused_at, keep, only, pause in syncs:
        for action in before:
            world.act(*action)
        if keep is not None:
            world.trim(keep)
        again = [(number + 1 + step[2] % 5, step) for number, step in during if step[0] == "blink"]
        reader.select(None if only is None else world.my_project(only))
        waiting = sorted([*during, *again], key=lambda step: step[0])
        numbered = count()

        def happen(_: Any, waiting: Any = waiting, numbered: Any = numbered) -> None:
            number = next(numbered)
            while waiting and waiting[0][0] <= number:
                world.act(*waiting.pop(0)[1])

        unseen, unnotified = world.unseen, world.unnotified
        end = emulator.before_request(happen)
        if refused_at is not None:
            emulator.faults.add(".", status=401, after=refused_at, times=None)
        # What is covered is looked at in quiet syncs; here it is selected where it meets what is refused or left out.
        reader.sync(part, covered=refused_at is not None or only is not None)
        end()
        world.release()
        emulator.faults.clear()
        # What a feed hides while it is read, and nothing tells of it, is looked at again for the last rows only: the
        # documented remedy after a longer read.
        hiding = BY_ID if world.unseen > unseen else ["notifications"] if world.unnotified > unnotified else []
        reader.refresh([name for name in hiding if reader.read[name] > LOOK_AGAIN or name not in COUNTED])
        hidden = hidden or world.unseen > unseen
        # No two syncs begin within the same second.
        world.space.advance(pause)
    return hidden


def tried(number: int) -> settings:
    """So many histories, always the same ones, or `HISTORIES` of others at every run."""
    return settings(
        max_examples=HISTORIES or number,
        derandomize=not HISTORIES,
        deadline=None,
        database=None,
        # Making a failing history smaller takes minutes.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@tried(300)
@given(
    seed=st.integers(0, 5),
    readings=some(SETTINGS),
    quirks=some(QUIRKS),
    whole_pages=st.booleans(),
    deleted_records=st.sampled_from(["deletions_stream", "tombstones"]),
    history=st.sampled_from(sorted(FAMILIES)).flatmap(histories),
)
def test_after_a_quiet_sync_nothing_is_missing(
    seed: int,
    readings: dict[str, Any],
    quirks: dict[str, Any],
    whole_pages: bool,
    deleted_records: str,
    history: tuple[str, list[Any]],
) -> None:
    family, syncs = history
    world = World(seed, quirks)
    pages = whole_pages_of_files() if whole_pages else nullcontext()
    with pages, Emulator(space=world.space, settings=readings, virtual_dates=True) as emulator:
        reader = Reader(emulator, FAMILIES[family], deleted_records=deleted_records)
        hidden = live(reader, world, syncs)
        world.show()
        world.space.advance(1)
        reader.select(None)
        reader.sync()
        assert reader.false_alarms() == []
        # What leaves an activity is there; what leaves none, after the next look at its project.
        if not hidden:
            assert [line for line in reader.differences(world) if not world.is_untold(line)] == []
        world.space.advance(86_400)
        reader.sync()
        assert reader.differences(world) == []
        assert reader.false_alarms() == []


def test_comments_of_updated_issues_only_lose_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same invariant, with a reading that does not ask the feed: it is the invariant that fails."""
    quiet: list[Any] = [([], [], 1.0, None, None, None, 1)]
    history = [*quiet, ([("wait", 4, 0), ("comment", 3, 1), ("tell", 5, 1)], [], 1.0, None, None, None, 1)]

    def missing() -> list[str]:
        world = World(1)
        with Emulator(space=world.space) as emulator:
            reader = Reader(emulator, FAMILIES["comments"])
            live(reader, world, history)
            reader.sync()
            return reader.differences(world)

    assert missing() == []
    monkeypatch.setattr("source_backlog.streams.finder.touched_ids", lambda *_: {})
    lost = missing()
    assert [line for line in lost if line.startswith("issue_comments: missing")]
    assert [line for line in lost if "notifications is" in line]


def test_issues_of_one_second_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with ties in another order at each request, read without counting what the list should hold."""
    bulk = [("bulk_create", 0, 14)] * 2

    def missing() -> list[str]:
        world = World(1, {"ties": "random"})
        with Emulator(space=world.space) as emulator:
            reader = Reader(emulator, FAMILIES["issues"])
            live(reader, world, [(bulk, [], 1.0, None, None, None, 1)])
            return reader.differences(world)

    assert missing() == []
    monkeypatch.setattr("source_backlog.streams.issues.ChangedIssues._left_out", lambda *_: iter(()))
    assert [line for line in missing() if line.startswith("issues: missing")]
