"""Which cores the threads run on while Backlog is read."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Collection

import pytest

from source_backlog.cores import allowed_cores, on_cores, one_of

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not let a thread choose its cores")


def of_a_new_thread() -> set[int]:
    found: list[set[int]] = []
    thread = threading.Thread(target=lambda: found.append(os.sched_getaffinity(0)))
    thread.start()
    thread.join()
    return found[0]


@linux
def test_this_thread_and_new_ones_stay_on_one_core() -> None:
    before = os.sched_getaffinity(0)
    one = one_of(allowed_cores())
    assert len(one) == 1 and one <= before
    with on_cores(one):
        assert os.sched_getaffinity(0) == one == of_a_new_thread()
        with on_cores(before):
            assert os.sched_getaffinity(0) == before == of_a_new_thread()
        assert os.sched_getaffinity(0) == one
    assert os.sched_getaffinity(0) == before


@linux
def test_the_cores_are_given_back_after_a_failure() -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(KeyError), on_cores(one_of(before)):
        raise KeyError
    assert os.sched_getaffinity(0) == before


@linux
def test_a_system_that_refuses_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: int, cores: Collection[int]) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    before = os.sched_getaffinity(0)
    with on_cores(one_of(before)):
        assert os.sched_getaffinity(0) == before


def test_other_systems_have_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    assert allowed_cores() == frozenset() == one_of(allowed_cores())
    with on_cores(one_of(allowed_cores())):
        pass


def test_each_core_may_be_chosen() -> None:
    """Else all processes of a machine would meet on one."""
    assert {core for _ in range(200) for core in one_of({3, 5, 8})} == {3, 5, 8}
