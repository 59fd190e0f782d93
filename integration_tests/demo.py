"""`make demo`: an emulated Backlog space into a DuckDB file, twice, the second time only what has changed.

Everything happens on this machine. The files stay in `build/demo/`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb

from integration_tests.emulator import Emulator

FOLDER = Path("build/demo")
DATABASE = FOLDER / "backlog.duckdb"
EARLIER = FOLDER / "backlog-after-the-first-sync.duckdb"
HOUR = 3600

OPEN_ISSUES = """
    SELECT
        split_part(issuekey, '-', 1) AS project,
        coalesce(json_extract_string(assignee, '$.name'), '(nobody)') AS assignee,
        count(*) AS open_issues,
        count(*) FILTER (WHERE duedate < (SELECT max(updated) FROM issues)) AS overdue
    FROM issues
    WHERE json_extract_string(status, '$.id') <> '4'
        AND CAST(id AS VARCHAR) NOT IN (SELECT entityid FROM deletions WHERE entity = 'issue')
    GROUP BY ALL
    ORDER BY project, open_issues DESC, assignee
"""


def main() -> None:
    """Run the demo; exits with the status of a sync that fails."""
    began = time.monotonic()
    FOLDER.mkdir(parents=True, exist_ok=True)
    DATABASE.unlink(missing_ok=True)

    title("A Backlog space on this machine")
    with Emulator(seed=7, projects=3, issues=150, comments_per_issue=3.0) as emulator:
        space = emulator.space
        print(
            f"http://{emulator.address}: {len(space.projects)} projects, {len(space.issues)} issues, "
            f"{len(space.wikis)} wiki pages, {len(space.documents)} documents, {len(space.activities)} activities"
        )
        config = FOLDER / "config.json"
        config.write_text(json.dumps(emulator.config(), indent=2), encoding="utf-8")

        title("The first sync reads all of it")
        first = sync(config, emulator)

        title("Somebody works in Backlog")
        space.advance(2 * HOUR)
        issue = space.create_issue("WEB", "ログイン画面が真っ白になる", by="member", description="今朝から", priority=2)
        print(f"a new issue      {issue.key}  {issue.summary}")
        space.advance(HOUR)
        space.add_comment("WEB-1", "こちらでも再現しました。", by="leader")
        print("a plain comment  WEB-1  which does not move the issue's date of change")
        space.advance(HOUR)
        other = next(each for each in space.projects.values() if each.key == "APP").issues[0]
        space.update_issue(other.key, status=other.project.statuses[-2], by="administrator")
        print(f"a new status     {other.key}  {other.status.name}")

        title("The second sync reads what has changed")
        shutil.copy(DATABASE, EARLIER)
        second = sync(config, emulator)

    title("What the second sync brought")
    for table, row in brought():
        print(f"{table:20}  {row}")
    print(f"\nAPI requests: {first} in the first sync, {second} in the second.")

    title("Open issues per project and assignee, from DuckDB")
    with duckdb.connect(str(DATABASE), read_only=True) as connection:
        connection.sql(OPEN_ISSUES).show(max_rows=60)
        print(f"Ask it more: duckdb {DATABASE}")
    print(f"\nThe demo took {time.monotonic() - began:.0f} s.")


def sync(config: Path, emulator: Emulator) -> int:
    """Run `backlog-sync` as a user would; returns the number of API requests that it took."""
    emulator.clear_requests()
    command = [
        str(Path(sys.executable).with_name("backlog-sync")),
        "--config",
        str(config),
        "--to",
        f"duckdb:///{DATABASE}",
        "--all-streams",
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
            row = "SELECT * EXCLUDE (_airbyte_raw_id, _airbyte_extracted_at)"
            query = f"SELECT {expression} FROM ({row} FROM {table} EXCEPT {row} FROM earlier.{table}) ORDER BY 1"
            for (text,) in connection.execute(query).fetchall():
                yield table, text


def title(text: str) -> None:
    """Print a heading."""
    print(f"\n=== {text}", flush=True)


if __name__ == "__main__":
    main()
