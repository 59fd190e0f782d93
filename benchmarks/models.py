"""How long the dbt package takes in DuckDB: all issues at once, and after one percent of them has changed.

`python -m benchmarks.models [--issues 50000]`. The incremental build must give the tables that a full one gives.
Compared is `dbt run`, the start of dbt included and the tests of the package left out, the same command both times.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from integration_tests import tables
from integration_tests.emulator import Space
from integration_tests.emulator.generator import generate
from integration_tests.emulator.limits import Limits
from integration_tests.emulator.truth import truth
from integration_tests.lives import STREAMS

PACKAGE = Path(__file__).parent.parent / "models"
DAY = 86_400


def change(space: Space, share: float, chance: random.Random) -> int:
    """Some issues are changed in the course of a day; returns how many."""
    issues = [issue for project in space.visible_projects(space.user(None)) for issue in project.issues]
    chosen = chance.sample(issues, round(len(issues) * share))
    for issue in chosen:
        space.advance(DAY // len(chosen))
        space.update_issue(issue, status=chance.choice(issue.project.statuses), actual_hours=chance.randrange(40))
    return len(chosen)


def load(space: Space, file: Path) -> None:
    """The tables as a sync leaves them."""
    held = tables.empty()
    for stream in STREAMS:
        tables.merge(held, stream, truth(space, stream, domain="emulator.backlog.jp", limits=Limits()))
    tables.to_duckdb(file, held)


class Took(NamedTuple):
    """How long a build took."""

    seconds: float
    processor: float
    """Seconds of the processor: what counts where others work on the same machine."""
    models: dict[str, float]
    """Model -> seconds that dbt notes for it."""


def build(file: Path, folder: Path, *options: str) -> Took:
    """One `dbt run`, its start included."""
    environment = os.environ | {
        "BACKLOG_DUCKDB": str(file),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    program = Path(sys.executable).with_name("dbt")
    began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        [str(program), "run", "--project-dir", str(PACKAGE), "--profiles-dir", str(PACKAGE), *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode:
        sys.exit(result.stdout[-3000:])
    noted = json.loads((folder / "target" / "run_results.json").read_text(encoding="utf-8"))["results"]
    models = {each["unique_id"].split(".")[-1]: each["execution_time"] for each in noted}
    return Took(took, after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime, models)


def contents(file: Path) -> dict[str, Any]:
    """Table -> number of rows and a sum of the hashes of its rows."""
    with duckdb.connect(str(file), read_only=True) as connection:
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = 'analytics' AND table_type = 'BASE TABLE'"
        ).fetchall()
        return {
            name: connection.execute(
                f"SELECT count(*), sum(hash(t::VARCHAR)::HUGEINT) FROM analytics.{name} AS t"
            ).fetchone()
            for (name,) in names
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--issues", type=int, default=50_000)
    parser.add_argument("--share", type=float, default=0.01)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "space.duckdb"
        space = generate(seed=3, projects=8, issues=options.issues, comments_per_issue=3.0, showcase=False)
        load(space, file)
        full = build(file, folder)
        changed = change(space, options.share, random.Random(1))
        load(space, file)
        part = build(file, folder)
        kept_up = contents(file)
        again = build(file, folder, "--full-refresh")
        same = contents(file) == kept_up
    rows = {table: count for table, (count, _) in kept_up.items()}
    print(f"{options.issues} issues: {rows['issue_field_history']} values, {rows['daily_status']} days of issues")
    for what, took in (("all of it", full), (f"{changed} issues changed", part), ("all of it again", again)):
        print(f"{what:24} {took.seconds:6.1f} s, {took.processor:6.1f} s of the processor")
    print(f"{'dearest models of the incremental build':40} {'part':>7} {'full':>7}")
    for model in sorted(part.models, key=lambda model: -part.models[model])[:12]:
        print(f"{model:40} {part.models[model]:5.1f} s {again.models[model]:5.1f} s")
    equal = "equal" if same else "NOT equal"
    print(f"{part.processor / again.processor:.0%} of the processor's time; the tables are {equal}")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
