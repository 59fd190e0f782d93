"""`make demo`: an emulated Backlog space into a DuckDB file, twice, the second time only what has changed.

Everything happens on this machine. The files stay in `build/demo/`, among them a page to look at.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from integration_tests.emulator import Emulator, Space, texts
from integration_tests.emulator.entities import Issue
from integration_tests.emulator.generator import generate
from source_backlog.report import write

FOLDER = Path("build/demo")
DATABASE = FOLDER / "backlog.duckdb"
PAGE = FOLDER / "index.html"
EARLIER = FOLDER / "backlog-after-the-first-sync.duckdb"
HOUR = 3600
PROJECT = "SHOP"
CHANGING = "activities,deletions,issue_changelogs,issue_comments,issue_milestones,issues"
QUARTER_BEGINS = datetime(2026, 4, 6, 0, 30, tzinfo=UTC)
QUARTER_ENDS = datetime(2026, 6, 20, tzinfo=UTC)

OPEN_ISSUES = """
    SELECT
        split_part(issuekey, '-', 1) AS project,
        coalesce(json_extract_string(assignee, '$.name'), '(nobody)') AS assignee,
        count(*) AS open_issues,
        count(*) FILTER (WHERE duedate < (SELECT CAST(max(updated) AS DATE) FROM issues)) AS overdue
    FROM issues
    WHERE coalesce(json_extract_string(status, '$.id'), '') <> '4'
        AND CAST(id AS VARCHAR) NOT IN (SELECT entityid FROM deletions WHERE entity = 'issue')
    GROUP BY ALL
    ORDER BY project, open_issues DESC, assignee
"""

# What Backlog counts, and what was not read to its end.
COVERED = """
    SELECT coalesce(projectkey, '(space)') AS project, stream, rows, total, complete, reason
    FROM sync_coverage
    WHERE total IS NOT NULL OR NOT complete
    ORDER BY projectid, stream
"""


def main() -> None:
    """Run the demo; exits with the status of a sync that fails."""
    began = time.monotonic()
    FOLDER.mkdir(parents=True, exist_ok=True)
    DATABASE.unlink(missing_ok=True)

    title("A Backlog space on this machine")
    space = generate(seed=7, projects=2, issues=60, now=QUARTER_BEGINS)
    work_for_a_quarter(space)
    with Emulator(space=space) as emulator:
        print(f"http://{emulator.address}: {seen(emulator)}")
        config = FOLDER / "config.json"
        config.write_text(json.dumps(emulator.config(), indent=2), encoding="utf-8")

        title("The first sync reads all of it")
        first = sync(config, emulator, "--all-streams")

        title("What it has covered: rows, and what Backlog counts")
        with duckdb.connect(str(DATABASE), read_only=True) as connection:
            connection.sql(COVERED).show(max_rows=60)

        title("Somebody works in Backlog")
        space.advance(2 * HOUR)
        issue = space.create_issue("WEB", "ログイン画面が真っ白になる", by="member", description="今朝から", priority=2)
        print(f"a new issue      {issue.key}  {issue.summary}")
        space.advance(HOUR)
        space.add_comment("WEB-1", "こちらでも再現しました。", by="leader")
        print("a plain comment  WEB-1  which does not move the issue's date of change")
        space.advance(HOUR)
        other = space.project("APP").issues[0]
        space.update_issue(other.key, status=other.project.statuses[-2], by="administrator")
        print(f"a new status     {other.key}  {other.status.name}")

        title("The second sync reads what has changed, here without the streams that are read whole each time")
        shutil.copy(DATABASE, EARLIER)
        second = sync(config, emulator, "--streams", CHANGING)

    title("What the second sync brought")
    for table, row in brought():
        print(f"{table:20}  {row}")
    print(f"\nAPI requests: {first} in the first sync, {second} in the second.")

    title("From rows to answers: the dbt package in models/")
    built = build_models()

    title("Open issues per project and assignee")
    with duckdb.connect(str(DATABASE), read_only=True) as connection:
        connection.sql(OPEN_ISSUES).show(max_rows=60)
        if built:
            write(lambda query: connection.execute(query).fetchall(), PAGE)

    title("To look at")
    if built:
        print(f"a page    {PAGE}")
    models = ", schema analytics as the models make it" if built else ""
    print(f"tables    {DATABASE}: schema main as Backlog has it{models}")
    print(f"\nThe demo took {time.monotonic() - began:.0f} s.")


def work_for_a_quarter(space: Space) -> None:
    """A project of eleven weeks before its release: issues come, are worked on, reviewed, closed, some opened again."""
    rng = random.Random("a quarter")
    team = ["leader", "member", "sato", "suzuki", "takahashi"]
    project = space.create_project(PROJECT, "オンラインショップ", by="leader")
    for person in team[1:]:
        space.add_member(project, person, by="leader")
    space.add_member(project, "administrator", by="leader")
    opened, working, resolved, closed = project.statuses
    review = space.create_status(project, "レビュー待ち", color="#868cb7")
    release = space.create_version(project, "夏のリリース", start_date="2026-04-06", release_due_date="2026-07-03")
    categories = [space.create_category(project, name) for name in ("画面", "決済", "在庫", "運用")]
    queue: list[Issue] = []
    for day in range((QUARTER_ENDS - QUARTER_BEGINS).days):
        space.set_now(QUARTER_BEGINS + timedelta(days=day))
        if space.now.weekday() >= 5:
            continue
        arriving = 4 if day < 14 else rng.choice([0, 0, 0, 1, 1, 2])
        for _ in range(arriving):
            space.advance(rng.randrange(60, HOUR // 2))
            queue.append(
                space.create_issue(
                    project,
                    rng.choice(texts.SUBJECTS) + rng.choice(texts.PROBLEMS),
                    by=rng.choice(team),
                    assignee=rng.choice(team),
                    milestones=(release,) if rng.random() < 0.85 else (),
                    categories=(rng.choice(categories),) if rng.random() < 0.9 else (),
                    estimated_hours=rng.choice([2, 3, 5, 8, 13]),
                    due_date=(space.now + timedelta(days=rng.randrange(7, 45))).strftime("%Y-%m-%d"),
                )
            )
        for person in team:
            own = [issue for issue in queue if issue.assignee is space.user(person)]
            busy = [issue for issue in own if issue.status is working]
            space.advance(rng.randrange(60, HOUR // 2))
            if len(busy) < 2 and (fresh := [issue for issue in own if issue.status is opened]):
                space.update_issue(fresh[0], status=working, by=person)
            elif busy and rng.random() < 0.45:
                space.update_issue(busy[0], status=review, actual_hours=rng.choice([2, 4, 6, 9, 14]), by=person)
            waiting = [issue for issue in queue if issue.status is review and issue not in own]
            if waiting and rng.random() < 0.5:
                better = working if rng.random() < 0.15 else resolved
                space.update_issue(waiting[0], status=better, comment=rng.choice(texts.SENTENCES), by=person)
        done = [issue for issue in queue if issue.status is resolved]
        if done and space.now.weekday() in (1, 4):
            space.advance(HOUR)
            space.bulk_update_issues(done, status=closed, by="leader")
        if rng.random() < 0.12 and (finished := [issue for issue in queue if issue.status is closed]):
            space.update_issue(rng.choice(finished), status=opened, comment="再発しました。", by=rng.choice(team))


def build_models() -> bool:
    """Run dbt on the tables; False where it is not installed."""
    program = Path(sys.executable).with_name("dbt")
    if not program.exists():
        print("dbt is not installed: it needs Python 3.11 or 3.12. Without it there are no models and no page.")
        return False
    command = ["dbt", "--no-use-colors", "--quiet", "build", "--project-dir", "models", "--profiles-dir", "models"]
    print("$", " ".join(command), flush=True)
    environment = os.environ | {
        "BACKLOG_DUCKDB": str(DATABASE.absolute()),
        "DBT_TARGET_PATH": str((FOLDER / "dbt").absolute()),
        "DBT_LOG_PATH": str((FOLDER / "dbt").absolute()),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    status = subprocess.run([str(program), *command[1:]], env=environment, check=False).returncode
    if status:
        sys.exit(status)
    results = json.loads((FOLDER / "dbt" / "run_results.json").read_text(encoding="utf-8"))["results"]
    tests = sum(result["status"] == "pass" for result in results)
    built = sum(result["status"] == "success" for result in results)
    print(f"{built} views and tables built, {tests} tests passed")
    return True


def seen(emulator: Emulator) -> str:
    """What the key sees of the space, as the tables will hold it, and what it does not see."""
    space = emulator.space
    there = {
        "projects": len(space.projects),
        "issues": len(space.issues),
        "wikis": len(space.wikis),
        "documents": len(space.documents),
        "activities": len(space.activities),
    }
    rows = {name: len(emulator.truth(name)) for name in there}
    shown = ", ".join(f"{count} {name}" for name, count in rows.items())
    hidden = ", ".join(f"{there[name] - count} {name}" for name, count in rows.items() if there[name] > count)
    return f"{shown}" + (
        f"\n(not to be seen: {hidden}, in a project that was not joined, or deleted)" if hidden else ""
    )


def sync(config: Path, emulator: Emulator, *selection: str) -> int:
    """Run `backlog-sync` as a user would; returns the number of API requests that it took."""
    emulator.clear_requests()
    command = [
        str(Path(sys.executable).with_name("backlog-sync")),
        "--config",
        str(config),
        "--to",
        f"duckdb:///{DATABASE}",
        *selection,
    ]
    print("$", " ".join(["backlog-sync", *command[1:]]), flush=True)
    # A proxy of the environment must not be asked for an address of this machine.
    status = subprocess.run(command, env=os.environ | {"NO_PROXY": "127.0.0.1"}, check=False).returncode
    if status:
        sys.exit(status)
    return len(emulator.requests)


def brought() -> Iterator[tuple[str, str]]:
    """The rows, by table, that the second sync has added or changed, each as a person would point at it."""
    shown = {
        "issues": "issuekey || '  ' || summary || '  (' || json_extract_string(status, '$.name') || ')'",
        "issue_comments": "issuekey || '  ' || coalesce(content, '(a change without words)')",
        "issue_changelogs": "issuekey || '  ' || field || ': ' || coalesce(originalvalue, '') || ' -> ' || newvalue",
        "activities": "typename || '  ' || projectkey || '  by ' || createdusername",
    }
    with duckdb.connect(str(DATABASE), read_only=True) as connection:
        connection.execute(f"ATTACH '{EARLIER}' AS earlier (READ_ONLY)")
        for table, expression in shown.items():
            row = "SELECT * EXCLUDE (_airbyte_extracted_at)"
            query = f"SELECT {expression} FROM ({row} FROM {table} EXCEPT {row} FROM earlier.{table}) ORDER BY 1"
            for (text,) in connection.execute(query).fetchall():
                yield table, text


def title(text: str) -> None:
    """Print a heading."""
    print(f"\n=== {text}", flush=True)


if __name__ == "__main__":
    main()
