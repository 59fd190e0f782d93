"""Runs `backlog-sync` many times, each in a process of its own that is forked from this one, which has imported all.

It has made the streams once, too: see `read_once`. Run as `python -m integration_tests.sync_runs`; each line of
standard input is the JSON of a run, each line of standard output that of its end. Where `at` says, a run is sent the
signal `signal`, or loses its connections to the PostgreSQL server `close`. `watch` is a file for the addresses that it
connects to.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import duckdb  # noqa: F401
from dlt import Pipeline
from dlt.destinations.job_client_impl import SqlLoadJob
from dlt.load.load import Load

from integration_tests.once import read_once
from source_backlog.source import SourceBacklog
from source_backlog.sync import loading, main

NOBODY = {"domain": "emulator.backlog.jp", "credentials": {"auth_type": "api_key", "api_key": "nobody"}}

# What comes before the interruption: the phases of dlt, and within the load the second statement that merges or
# replaces a table, and the moment in which all rows and the state are there, without the mark that they count.
PHASES: dict[str, tuple[type, str, bool, int]] = {
    "extract": (Pipeline, "extract", True, 1),
    "normalize": (Pipeline, "normalize", True, 1),
    "merge": (SqlLoadJob, "run", True, 2),
    "complete": (Load, "complete_package", False, 1),
}


def interrupted_in(phase: str, interrupt: Callable[[], None]) -> None:
    """Have this process interrupted in `phase`."""
    owner, name, after, times = PHASES[phase]
    original = getattr(owner, name)
    calls = itertools.count(1)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        number = next(calls)
        if number == times and not after:
            interrupt()
        result = original(*args, **kwargs)
        if number == times and after:
            interrupt()
        return result

    setattr(owner, name, wrapped)


def close_connections(server: dict[str, Any]) -> None:
    """Have the server end all sessions in its database, and accept no others."""
    import psycopg2

    name = server["dbname"]
    connection = psycopg2.connect(**{**server, "dbname": "postgres"})
    connection.autocommit = True
    connection.cursor().execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    connection.cursor().execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
    connection.close()


def watch_connections(file: str) -> None:
    """Have each address that Python connects to, sends to or looks up written into `file`, a JSON list per line."""
    events = {"socket.connect": 1, "socket.sendto": 1, "socket.getaddrinfo": 0, "socket.gethostbyname": 0}

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in events:
            told = json.dumps([event, arguments[events[event]]], default=str)
            os.write(descriptor, f"{told}\n".encode())

    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.addaudithook(note)


def run(order: dict[str, Any]) -> int:
    """What the child does; returns its exit status."""
    os.environ.clear()
    os.environ.update(order["environment"])
    tempfile.tempdir = None
    if order.get("checkpoint") is not None:
        loading.CHECKPOINT_SECONDS = order["checkpoint"]
    if order.get("at"):
        server, number = order.get("close"), order.get("signal", signal.SIGKILL)
        interrupted_in(order["at"], lambda: close_connections(server) if server else os.kill(os.getpid(), number))
    if port := order["environment"].get("FAKESNOW_PORT"):
        from integration_tests.snowflake import stand_in

        stand_in(int(port))
    if order.get("watch"):
        watch_connections(order["watch"])
    if size := order.get("largest_file"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return main(order["arguments"])


def child(order: dict[str, Any], work: Callable[[], int]) -> int:
    """Fork, run, and return the child's process id; its output goes into the files that the order names."""
    process = os.fork()
    if process:
        return process
    status = 99
    try:
        os.setsid()
        # A shell has what it runs in the background ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
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
            answer = child(order, lambda order=order: run(order))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with read_once():
        SourceBacklog(config=NOBODY).streams({})
        serve()
