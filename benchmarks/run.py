"""`python -m benchmarks.run`: the connector, a bare loop and dlt against the same emulated space, as tables.

    python -m benchmarks.run [--quick] [--rounds 3] [table …]

Programs are run in turn, `--rounds` times, and the least CPU counts. dlt is installed into `.venv-dlt` when it is
needed first. `--quick` takes small spaces, to try the command. Without names, all tables are made.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, Cost, EmulatorProcess, added_up, best, count, messages, run
from source_backlog.plan import Pace, Requests

DLT = "dlt==1.31.0"
DLT_VENV = ROOT / ".venv-dlt"
DLT_SETTINGS = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DATA_WRITER__DISABLE_COMPRESSION": "true"}
DAY = 86_400

SOURCES = ["issues", "issue_comments"]
DERIVED = [
    "issue_custom_field_values",
    "issue_attachments",
    "issue_shared_files",
    "issue_stars",
    "issue_categories",
    "issue_versions",
    "issue_milestones",
    "issue_changelogs",
    "issue_comment_notifications",
    "issue_comment_stars",
]


class Bench:
    """Options, a scratch directory, and the three programs."""

    def __init__(self, directory: Path, rounds: int, quick: bool) -> None:
        self.directory = directory
        self.rounds = rounds
        self.quick = quick
        self._files = 0

    def path(self, suffix: str) -> Path:
        """A new file or directory name."""
        self._files += 1
        return self.directory / f"{self._files}.{suffix}"

    def file(self, content: Any) -> Path:
        """A new JSON file."""
        path = self.path("json")
        path.write_text(json.dumps(content))
        return path

    def config(self, emulator: EmulatorProcess, **options: Any) -> Path:
        """A configuration of the connector for the emulated space; the other programs take it, too."""
        return self.file({**emulator.control("GET", "config"), **options})

    @cache  # noqa: B019 (one instance per process)
    def discovered(self) -> dict[str, Any]:
        """The streams as `discover` gives them, by name."""
        output = self.path("out")
        config = self.file({"domain": "127.0.0.1:9", "credentials": {"auth_type": "api_key", "api_key": "none"}})
        run([*CONNECTOR, "discover", "--config", config], output)
        (message,) = messages(output, "CATALOG")
        return {stream["name"]: stream for stream in message["catalog"]["streams"]}

    def catalog(self, streams: Sequence[str]) -> Path:
        """A configured catalog of the named streams, each as incremental as it can be."""
        chosen = [self.discovered()[name] for name in streams]
        return self.file(
            {
                "streams": [
                    {
                        "stream": stream,
                        "sync_mode": stream["supported_sync_modes"][-1],
                        "destination_sync_mode": "append",
                    }
                    for stream in chosen
                ]
            }
        )

    def connector(
        self,
        emulator: EmulatorProcess,
        streams: Sequence[str],
        state: Path | None = None,
        **options: Any,
    ) -> tuple[Cost, Path]:
        """One sync of the connector, and the file with its output.

        With four workers, if it says nothing else: with one, most of the time is the second between two searches.
        """
        output = self.path("out")
        arguments = [
            "read",
            "--config",
            self.config(emulator, **{"num_workers": 4, **options}),
            "--catalog",
            self.catalog(streams),
        ]
        arguments += ["--state", state] if state else []
        cost = run([*CONNECTOR, *arguments], output, emulator)
        return replace(cost, records=count(output, "RECORD")), output

    def state(self, output: Path) -> Path:
        """The state that a sync ended with, as a file."""
        last = {
            message["state"]["stream"]["stream_descriptor"]["name"]: message for message in messages(output, "STATE")
        }
        return self.file([message["state"] for message in last.values()])

    def bare(
        self, emulator: EmulatorProcess, state: Path | None = None, *, comments: bool = False
    ) -> tuple[Cost, Path]:
        """One run of the bare loop, and the file with its state."""
        output, after = self.path("out"), self.path("json")
        if state:
            shutil.copy(state, after)
        command = [sys.executable, ROOT / "benchmarks/bare.py", self.config(emulator), after]
        cost = run([*command, *(["--comments"] if comments else [])], output, emulator)
        with output.open("rb") as file:
            cost = replace(cost, records=sum(1 for _ in file))
        output.unlink()
        return cost, after

    def dlt(self, emulator: EmulatorProcess, stages: str, state: Path | None = None) -> tuple[Cost, Path]:
        """One run of dlt, and the directory with its state."""
        output, directory = self.path("out"), self.path("dlt")
        if state:
            shutil.copytree(state, directory)
        command = [dlt_python(), ROOT / "benchmarks/with_dlt.py", self.config(emulator), directory, stages]
        cost = run(command, output, emulator, **DLT_SETTINGS)
        return replace(cost, records=int(output.read_text().split()[-1])), directory


CONNECTOR = [sys.executable, "-m", "source_backlog"]


@cache
def dlt_python() -> Path:
    """The Python of the virtual environment that has dlt."""
    python = DLT_VENV / "bin/python"
    if not (DLT_VENV / ".installed").exists():
        venv.create(DLT_VENV, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", DLT], check=True, stderr=subprocess.DEVNULL)
        (DLT_VENV / ".installed").touch()
    return python


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table in Markdown."""

    def shown(cell: Any) -> str:
        return f"{cell:,.2f}" if isinstance(cell, float) else f"{cell:,}" if isinstance(cell, int) else str(cell)

    print(f"\n### {title}\n")
    print("| " + " | ".join(columns) + " |")
    print("|" + " --- |" * len(columns))
    for row in rows:
        print("| " + " | ".join(map(shown, row)) + " |", flush=True)


Program = Callable[[Any], tuple[Cost, Path]]


def in_turn(bench: Bench, programs: Mapping[str, Program], states: Mapping[str, Any]) -> tuple[Any, dict[str, Path]]:
    """The least cost of each program, which goes on from its state, and what it left behind in the last round."""
    costs: dict[str, list[Cost]] = defaultdict(list)
    left: dict[str, Path] = {}
    for _ in range(bench.rounds):
        for name, program in programs.items():
            cost, path = program(states.get(name))
            costs[name].append(cost)
            if name in left and left[name].is_file():
                left[name].unlink()
            left[name] = path
    return {name: best(found) for name, found in costs.items()}, left


def side_by_side(bench: Bench) -> None:
    """The stream `issues`: the programs, three kinds of sync, three sizes."""
    rows: list[Sequence[Any]] = []

    def note(issues: int, kind: str, costs: Mapping[str, Cost]) -> None:
        loop = costs["bare loop"].cpu
        for name, cost in costs.items():
            figures = [cost.records, cost.requests, cost.cpu, cost.cpu / loop]
            rows.append([issues, kind, name, *figures, round(cost.records / cost.cpu), round(cost.memory)])

    for issues in (300, 600, 1200) if bench.quick else (2_000, 10_000, 50_000):
        with EmulatorProcess("--issues", str(issues), "--projects", "10", "--comments-per-issue", "1") as emulator:
            # A quiet week, so that the day that is read again is not the busiest one.
            emulator.control("POST", "clock", advance=7 * DAY)
            programs: dict[str, Program] = {
                "bare loop": partial(bench.bare, emulator),
                "connector": partial(bench.connector, emulator, ["issues"]),
                "dlt, extract": partial(bench.dlt, emulator, "extract"),
                "dlt, to files": partial(bench.dlt, emulator, "run"),
                "dlt, to files, not flattened": partial(bench.dlt, emulator, "json"),
            }
            costs, left = in_turn(bench, programs, {})
            note(issues, "first load", costs)
            states = {**left, "connector": bench.state(left["connector"])}
            costs, _ = in_turn(bench, programs, states)
            note(issues, "nothing changed", costs)
            emulator.control("POST", "clock", advance=DAY)
            ids = (message["record"]["data"]["id"] for message in messages(left["connector"], "RECORD"))
            for issue in itertools.islice(ids, 0, None, 100):
                emulator.control("POST", "change/update_issue", issue=issue, summary=f"changed {issue}")
            costs, _ = in_turn(bench, programs, states)
            note(issues, "1 % changed", costs)
    table(
        "The stream issues",
        ["issues", "sync", "program", "records", "requests", "CPU s", "CPU / loop", "records / CPU s", "peak MiB"],
        rows,
    )


def lower_bound(bench: Bench) -> None:
    """Requests of `issues`, `issue_comments` and `activities` beside the least that they can cost."""
    streams = [*SOURCES, "activities"]
    rows = []
    for issues in (100, 200, 300) if bench.quick else (500, 2_000, 10_000):
        with EmulatorProcess("--issues", str(issues), "--projects", "10") as emulator:
            cost, output = bench.connector(emulator, streams, num_workers=8)
            projects = emulator.control("GET", "truth/projects")
            per_issue: Counter[int] = Counter()
            activities = 0
            for message in messages(output, "RECORD"):
                stream, row = message["record"]["stream"], message["record"]["data"]
                if stream == "issues":
                    per_issue[row["id"]] += 0
                elif stream == "issue_comments":
                    per_issue[row["issueId"]] += 1
                else:
                    activities += 1
            bound = (
                1
                + math.ceil(len(per_issue) / 100)
                + sum(max(1, math.ceil(number / 100)) for number in per_issue.values())
                + math.ceil(activities / 100)
            )
            later, _ = bench.connector(emulator, streams, bench.state(output), num_workers=8)
            rows.append(
                [issues, len(projects), bound, cost.requests, cost.requests / bound, later.requests, len(projects) + 5]
            )
    table(
        "Requests of issues, issue_comments and activities",
        ["issues", "projects", "lower bound", "first load", "ratio", "nothing changed", "P + 5"],
        rows,
    )


def derived(bench: Bench) -> None:
    """What the streams cost whose rows lie inside issues and comments."""
    issues = 300 if bench.quick else 3_000
    with EmulatorProcess("--issues", str(issues), "--projects", "10") as emulator:
        programs: dict[str, Callable[[], Cost]] = {
            "issues and issue_comments": lambda: bench.connector(emulator, SOURCES)[0],
            "… and the 10 derived streams": lambda: bench.connector(emulator, SOURCES + DERIVED)[0],
            "… and each in a sync of its own": lambda: added_up(
                [bench.connector(emulator, [stream])[0] for stream in SOURCES + DERIVED]
            ),
        }
        costs: dict[str, list[Cost]] = defaultdict(list)
        for _ in range(bench.rounds):
            for name, program in programs.items():
                costs[name].append(program())
        rows = []
        for name in programs:
            cost = best(costs[name])
            rows.append(
                [name, cost.records, cost.requests, cost.cpu, cost.cpu * 1e6 / cost.records, round(cost.memory)]
            )
    table(
        f"The derived streams, {issues:,} issues",
        ["streams", "records", "requests", "CPU s", "CPU µs / record", "peak MiB"],
        rows,
    )


def reading_time(emulator: EmulatorProcess) -> float:
    """Seconds from the first to the last request of the program that ran last: the time without its start-up."""
    log = [entry["at"] for entry in emulator.control("GET", "requests") if entry["path"].startswith("/api/")]
    return float(log[-1] - log[0])


def under_way(log: Sequence[Mapping[str, Any]]) -> tuple[float, int, float]:
    """Of a program's log: the share of its time in which a request was under way, the most at a time, and the
    shortest gap between two searches once there were more than ten.
    """
    steps = sorted([(each["at"], 1) for each in log] + [(each["until"], -1) for each in log])
    busy, most, now, since = 0.0, 0, 0, steps[0][0]
    for moment, step in steps:
        busy += (moment - since) * (now > 0)
        now, since = now + step, moment
        most = max(most, now)
    searches = [each["at"] for each in log if each["category"] == "search"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(searches)][9:]
    return busy / (steps[-1][0] - steps[0][0]), most, min(gaps, default=math.nan)


def politeness(bench: Bench) -> None:
    """How many requests are under way, and for how much of the time, at 150 ms an answer."""
    rows = []
    # Few projects: no search waits for the second that lies between two; then many.
    for title, projects, issues in (("few searches", 3, 150), ("many searches", 12, 60)):
        options = (
            "--issues",
            str(issues if not bench.quick else 30),
            "--projects",
            str(projects),
            "--latency-ms",
            "150",
        )
        with EmulatorProcess(*options, "--rate-limit", "read=600,search=150") as emulator:

            def note(name: str, cost: Cost, title: str = title, emulator: EmulatorProcess = emulator) -> None:
                log = [each for each in emulator.control("GET", "requests") if each["path"].startswith("/api/")]
                share, most, gap = under_way(log)
                rows.append([title, name, len(log), 100 * share, most, gap, cost.refused])

            note("bare loop", bench.bare(emulator, comments=True)[0])
            for workers in (1, 4):
                note(
                    f"{workers} worker{'s' * (workers > 1)}", bench.connector(emulator, SOURCES, num_workers=workers)[0]
                )
    table(
        "Politeness at 150 ms an answer, issues and issue_comments",
        ["load", "program", "requests", "% of the time under way", "most under way", "shortest gap s", "429"],
        rows,
    )


def minutes(log: Sequence[Mapping[str, Any]], num_workers: int) -> float:
    """How long the requests of a log take at 200 ms an answer and the limit of a paid plan."""
    searches = sum(each["category"] == "search" for each in log)
    return Pace(135, 540, num_workers).seconds(Requests(searches, len(log) - searches), 0.2) / 60


def cost(bench: Bench) -> None:
    """What a sync costs by the number of projects: `issues`, `issue_comments` and `activities`."""
    streams = [*SOURCES, "activities"]
    rows: list[Sequence[Any]] = []

    def note(emulator: EmulatorProcess, projects: int, kind: str, before: Path | None) -> Path:
        made, output = bench.connector(emulator, streams, before, num_workers=8)
        log = [each for each in emulator.control("GET", "requests") if each["path"].startswith("/api/")]
        searches = sum(each["category"] == "search" for each in log)
        paces = [minutes(log, workers) for workers in (1, 4)]
        rows.append([projects, kind, searches, len(log) - searches, made.requests, *paces])
        return bench.state(output)

    for projects in (5, 20) if bench.quick else (10, 100, 1_000):
        options = ("--issues", str(10 * projects), "--projects", str(projects), "--comments-per-issue", "1")
        with EmulatorProcess(*options, "--virtual-dates") as emulator:
            state = note(emulator, projects, "first load", None)
            emulator.control("POST", "clock", advance=3_600)
            state = note(emulator, projects, "nothing changed", state)
            issues = emulator.control("GET", "truth/issues")
            for issue in issues[:: max(1, len(issues) // max(1, projects // 100))][: max(1, projects // 100)]:
                emulator.control("POST", "change/update_issue", issue=issue["id"], summary="changed")
            emulator.control("POST", "clock", advance=3_600)
            note(emulator, projects, "1 % of the projects changed", state)
    table(
        "Cost by projects",
        ["projects", "sync", "search", "read", "all", "minutes, 1 worker", "minutes, 4 workers"],
        rows,
    )


def day(bench: Bench) -> None:
    """A day of hourly syncs on the virtual clock; in each hour some issues are changed and commented on."""
    projects = 20 if bench.quick else 200
    streams = [*SOURCES, "activities"]
    options = ("--issues", str(5 * projects), "--projects", str(projects), "--virtual-dates")
    with EmulatorProcess(*options) as emulator:
        first, output = bench.connector(emulator, streams, num_workers=8)
        held: dict[str, dict[int, Any]] = {"issues": {}, "issue_comments": {}}
        numbers = []

        def take(output: Path) -> Path:
            for message in messages(output, "RECORD"):
                if message["record"]["stream"] in held:
                    row = message["record"]["data"]
                    held[message["record"]["stream"]][row["id"]] = row["updated"]
            return bench.state(output)

        state = take(output)
        late = 0
        for hour in range(24):
            emulator.control("POST", "clock", advance=3_600)
            issues = emulator.control("GET", "truth/issues")
            for number in range(5):
                issue = issues[(hour * 97 + number * 31) % len(issues)]["id"]
                emulator.control("POST", "change/update_issue", issue=issue, summary=f"hour {hour}")
                emulator.control("POST", "change/add_comment", issue=issue, content=f"hour {hour}")
            made, output = bench.connector(emulator, streams, state, num_workers=8)
            numbers.append(made.requests)
            state = take(output)
            for stream, rows in held.items():
                late += sum(rows.get(row["id"]) != row["updated"] for row in emulator.control("GET", f"truth/{stream}"))
    table(
        f"A day of hourly syncs, {projects} projects, 5 issues changed and commented on in each hour",
        ["first load", "24 syncs", "least", "most", "rows not there after a sync"],
        [[first.requests, sum(numbers), min(numbers), max(numbers), late]],
    )


def latency(bench: Bench) -> None:
    """`issues` and `issue_comments` from a server that takes 200 ms for each answer."""
    issues = 60 if bench.quick else 300
    rows = []
    options = ("--issues", str(issues), "--projects", "8", "--latency-ms", "200")
    with EmulatorProcess(*options) as emulator:
        loop = bench.bare(emulator, comments=True)[0].requests / reading_time(emulator)
        rows.append(["bare loop", loop * 60, 1.0])
        for workers in (1, 2, 4, 8, 16):
            cost, _ = bench.connector(emulator, SOURCES, num_workers=workers)
            pace = cost.requests / reading_time(emulator)
            rows.append([f"{workers} workers", pace * 60, pace / loop])
    table(
        f"200 ms of latency, {issues:,} issues in 8 projects, no rate limit",
        ["program", "requests / min", "times the loop"],
        rows,
    )


def rate_limit(bench: Bench) -> None:
    """A first load of several windows of 10 seconds, beside the time that the limit dictates."""
    reads, searches, window = 100, 25, 10
    rows = []
    options = ("--rate-limit", f"read={reads},search={searches}", "--window-seconds", str(window))
    with EmulatorProcess("--issues", "150" if bench.quick else "480", "--projects", "6", *options) as emulator:
        for workers, share in ((2, 90), (8, 90), (8, 100)):
            # The last program's window must be over.
            time.sleep(window + 1)
            cost, _ = bench.connector(emulator, SOURCES, num_workers=workers, request_share_percent=share)
            counted = Counter(entry["category"] for entry in emulator.control("GET", "requests"))
            # All windows but the last are used up, and each but the first begins when the one before ends.
            dictated = max(
                (math.ceil(counted[name] / (limit * share // 100)) - 1) * window
                for name, limit in (("read", reads), ("search", searches))
            )
            wall = reading_time(emulator)
            rows.append(
                [workers, share, counted["read"], counted["search"], dictated, wall, wall / dictated, cost.refused]
            )
    table(
        f"Rate limit of {reads} reads and {searches} searches per {window} s",
        ["workers", "share %", "reads", "searches", "dictated s", "wall s", "ratio", "429"],
        rows,
    )


def memory(bench: Bench) -> None:
    """Peak memory with all derived streams selected, by the number of issues."""
    rows = []
    for issues in (500,) if bench.quick else (1_000, 10_000, 100_000):
        with EmulatorProcess("--issues", str(issues), "--projects", "20", "--comments-per-issue", "1") as emulator:
            cost, output = bench.connector(emulator, SOURCES + DERIVED)
            output.unlink()
            rows.append([issues, cost.records, cost.requests, cost.cpu, round(cost.memory)])
    table(
        "Memory with all derived streams",
        ["issues", "records", "requests", "CPU s", "peak MiB"],
        rows,
    )


def startup(bench: Bench) -> None:
    """`spec` and `discover` beside the import of the CDK."""
    config = bench.file({"domain": "127.0.0.1:9", "credentials": {"auth_type": "api_key", "api_key": "none"}})
    programs: dict[str, list[Any]] = {
        "import airbyte_cdk.entrypoint": [sys.executable, "-c", "import airbyte_cdk.entrypoint"],
        "spec": [*CONNECTOR, "spec"],
        "discover": [*CONNECTOR, "discover", "--config", config],
    }
    costs: dict[str, list[Cost]] = defaultdict(list)
    for _ in range(max(5, bench.rounds)):
        for name, command in programs.items():
            costs[name].append(run(command, bench.path("out")))
    least = {name: best(found) for name, found in costs.items()}
    base = least["import airbyte_cdk.entrypoint"]
    rows = [[name, cost.cpu, cost.wall, cost.cpu / base.cpu, round(cost.memory)] for name, cost in least.items()]
    table("Start-up", ["command", "CPU s", "wall s", "CPU / import", "peak MiB"], rows)


TABLES = {
    made.__name__: made
    for made in (side_by_side, lower_bound, cost, day, derived, politeness, latency, rate_limit, memory, startup)
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", metavar="table", help=f"{', '.join(TABLES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each program is run (default: 3)")
    parser.add_argument("--quick", action="store_true", help="small spaces, to try the command")
    options = parser.parse_args()
    if unknown := set(options.tables) - set(TABLES):
        parser.error(f"no such table: {', '.join(sorted(unknown))}")
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    print(
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {pages * size / 2**30:.0f} GiB, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}, least of {options.rounds} rounds",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as directory:
        for name in options.tables or TABLES:
            TABLES[name](Bench(Path(directory), options.rounds, options.quick))


if __name__ == "__main__":
    main()
