"""How long the dbt package takes: all issues at once, and after one percent of them has changed.

`python -m benchmarks.models [--issues 50000] [--postgres]`: in DuckDB, or in a PostgreSQL server of its own. The
incremental build must give the tables that a full one gives. Compared is `dbt run`, the start of dbt included and the
tests of the package left out, the same command both times. The start is what a build of a space of 50 issues takes, the
floor is what the marts alone take of it: what is left if nothing had to be worked out for them.
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
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import psycopg2

from integration_tests import tables
from integration_tests.emulator import Space
from integration_tests.emulator.generator import generate
from integration_tests.lives import STREAMS
from integration_tests.postgresql import environment_of, postgresql

BUILT = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'analytics' AND table_type = 'BASE TABLE'"
)
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


class DuckDB:
    """A file that is built in. `environment` and `options` are those of dbt."""

    options: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self._file = folder / "space.duckdb"
        self.environment = {"BACKLOG_DUCKDB": str(self._file)}

    def load(self, space: Space) -> None:
        """Replace the tables by those of the space."""
        tables.to_duckdb(self._file, tables.of_space(space, STREAMS))

    def contents(self) -> dict[str, Any]:
        """Table -> number of rows and a sum of the hashes of its rows."""
        with duckdb.connect(str(self._file), read_only=True) as connection:
            names = connection.execute(BUILT).fetchall()
            summed = "SELECT count(*), sum(hash(t::VARCHAR)::HUGEINT) FROM analytics.{} AS t"
            return {name: connection.execute(summed.format(name)).fetchone() for (name,) in names}


class PostgreSQL:
    """A server that is built in; see `DuckDB`."""

    options = ("--target", "postgres", "--vars", "backlog_schema: backlog")

    def __init__(self, server: dict[str, Any]) -> None:
        self._server = server
        self.environment = environment_of(server)

    def load(self, space: Space) -> None:
        """Replace the tables by those of the space, with what the server knows of them after a while."""
        connection = psycopg2.connect(**self._server)
        tables.to_postgres(connection, tables.of_space(space, STREAMS), "backlog")
        connection.autocommit = True
        connection.cursor().execute("ANALYZE")
        connection.close()

    def contents(self) -> dict[str, Any]:
        """Table -> number of rows and a sum of the hashes of its rows."""
        with psycopg2.connect(**self._server) as connection, connection.cursor() as cursor:
            cursor.execute(BUILT)
            found: dict[str, Any] = {}
            for (name,) in cursor.fetchall():
                cursor.execute(f"SELECT count(*), sum(hashtextextended(t::text, 0)) FROM analytics.{name} AS t")
                found[name] = cursor.fetchone()
            return found


class Took(NamedTuple):
    """How long a build took."""

    seconds: float
    processor: float
    """Seconds of the processor: what counts where others work on the same machine."""
    models: dict[str, float]
    """Model -> seconds that dbt notes for it."""


def build(place: DuckDB | PostgreSQL, folder: Path, *options: str) -> Took:
    """One `dbt run`, its start included."""
    environment = os.environ | {
        **place.environment,
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    program = Path(sys.executable).with_name("dbt")
    began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        [str(program), "run", "--project-dir", str(PACKAGE), "--profiles-dir", str(PACKAGE), *place.options, *options],
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--issues", type=int, default=50_000)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        place = PostgreSQL(stack.enter_context(postgresql())) if options.postgres else DuckDB(folder)
        place.load(generate(seed=3, projects=8, issues=50, comments_per_issue=3.0, showcase=False))
        build(place, folder)
        start = build(place, folder, "--full-refresh")
        floor = build(place, folder, "--full-refresh", "--select", "marts")
        space = generate(seed=3, projects=8, issues=options.issues, comments_per_issue=3.0, showcase=False)
        place.load(space)
        full = build(place, folder, "--full-refresh")
        changed = change(space, options.share, random.Random(1))
        place.load(space)
        part = build(place, folder)
        kept_up = place.contents()
        again = build(place, folder, "--full-refresh")
        same = place.contents() == kept_up
    rows = {table: count for table, (count, _) in kept_up.items()}
    print(f"{options.issues} issues: {rows['issue_field_history']} values, {rows['daily_status']} days of issues")
    builds = (
        (f"50 issues: {len(floor.models)} marts, the floor", floor),
        (f"50 issues: {len(start.models)} models, the start", start),
        ("all of it", full),
        (f"{changed} issues changed", part),
        ("all of it again", again),
    )
    for what, took in builds:
        print(f"{what:30} {took.seconds:6.1f} s, {took.processor:6.1f} s of the processor")
    print(f"{'dearest models of the incremental build':40} {'part':>7} {'full':>7}")
    for model in sorted(part.models, key=lambda model: -part.models[model])[:12]:
        print(f"{model:40} {part.models[model]:5.1f} s {again.models[model]:5.1f} s")
    equal = "equal" if same else "NOT equal"
    behind = (part.seconds - start.seconds) / (again.seconds - start.seconds)
    print(f"A full build is {again.seconds:.1f} s: the floor {floor.seconds / again.seconds:.0%}, ", end="")
    print(f"the start {start.seconds / again.seconds:.0%}")
    print(f"{part.seconds / again.seconds:.0%} of the time, {behind:.0%} without the start; the tables are {equal}")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
