"""On which cores the threads of this process run."""

import contextlib
import os
import random
import sys
from collections.abc import Collection, Iterator


def allowed_cores() -> frozenset[int]:
    """The cores that this thread may run on; none where the system does not tell."""
    return frozenset(os.sched_getaffinity(0)) if sys.platform == "linux" else frozenset()


def one_of(cores: Collection[int]) -> frozenset[int]:
    """One of the cores, or none of none: any, since others on the machine choose too."""
    return frozenset(random.sample(sorted(cores), min(1, len(cores))))


@contextlib.contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Within, this thread and those that it starts stay on these cores; on any if there are none, or it is refused.

    Why: of the threads of Python one runs at a time, and hands over with every request and row. Spread over several
    cores, each hand-over wakes another one, whose cache knows nothing of the row: a read of one request per issue took
    a quarter longer (docs/performance.md; https://bugs.python.org/issue7946 has the same between two threads).
    """
    before = allowed_cores()
    if not cores or not before:
        yield
        return
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, before)
