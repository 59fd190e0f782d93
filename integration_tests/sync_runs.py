"""Runs `backlog-sync` many times, each in a process of its own that is forked from this one, which has imported all.

Run as `python -m integration_tests.sync_runs`; each line of standard input is the JSON of a run, each line of standard
output that of its end. A run is killed with SIGKILL where `kill` says.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import duckdb  # noqa: F401
from dlt import Pipeline
from dlt.destinations.job_client_impl import SqlLoadJob
from dlt.load.load import Load

from source_backlog.sync import loading, main

# What comes before the kill: the phases of dlt, and within the load the second statement that merges or replaces a
# table, and the moment in which all rows and the state are there and only the mark is missing that they count.
PHASES: dict[str, tuple[type, str, bool, int]] = {
    "extract": (Pipeline, "extract", True, 1),
    "normalize": (Pipeline, "normalize", True, 1),
    "merge": (SqlLoadJob, "run", True, 2),
    "complete": (Load, "complete_package", False, 1),
}


def killed_in(phase: str) -> None:
    """Have this process killed in `phase`."""
    owner, name, after, times = PHASES[phase]
    original = getattr(owner, name)
    calls = []

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        result = original(*args, **kwargs) if after or len(calls) < times else None
        if len(calls) >= times:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, wrapped)


def run(arguments: list[str], environment: dict[str, str], kill: str | None, checkpoint: float | None) -> int:
    """What the child does; returns its exit status."""
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    if checkpoint is not None:
        loading.CHECKPOINT_SECONDS = checkpoint
    if kill:
        killed_in(kill)
    return main(arguments)


def child(order: dict[str, Any], work: Callable[[], int]) -> int:
    """Fork, run, and return the child's process id; its output goes into the files that the order names."""
    process = os.fork()
    if process:
        return process
    status = 99
    try:
        os.setsid()
        for descriptor, path in ((1, order["output"]), (2, order["errors"])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        status = work()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def serve() -> None:
    """Answer each order with the id of its process, and `wait` with its exit status."""
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = child(
                order,
                lambda order=order: run(
                    order["arguments"], order["environment"], order.get("kill"), order.get("checkpoint")
                ),
            )
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
