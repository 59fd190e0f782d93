"""`python -m benchmarks.sync [--alone] [ISSUES …]`: `backlog-sync` beside that of version 0.1.1, into DuckDB.

First load, and a sync with nothing changed, of spaces with so many issues (2,000 unless some are named), with comments,
in turn in one run, both with the four workers that version 0.1.1 had by default: with one, the second between two
searches is most of what is measured. The old code comes from git; it needs PyAirbyte (the extra `test`). With `--alone`
it is not run: it takes long.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import ROOT, Cost, EmulatorProcess, run

VERSION_0_1_1 = "195297a"
STREAMS = "issues,issue_comments,users,projects,statuses"
PROGRAM = "import sys; from source_backlog.sync import main; sys.exit(main(sys.argv[1:]))"


def main(sizes: list[int], alone: bool) -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        old = folder / "0.1.1"
        old.mkdir()
        archive = subprocess.run(["git", "archive", VERSION_0_1_1, "source_backlog"], cwd=ROOT, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", str(old)], input=archive.stdout, check=True)
        print("| Issues | Sync | 0.1.1: wall s | CPU s | now: wall s | CPU s | wall, ratio |\n|" + " --: |" * 7)
        for size in sizes:
            with EmulatorProcess("--issues", str(size), "--projects", "4") as emulator:
                config = folder / "config.json"
                config.write_text(json.dumps(emulator.control("GET", "config") | {"num_workers": 4}))
                for sync in ("first load", "nothing changed"):
                    before = None if alone else one(emulator, config, old, folder / f"old-{size}.duckdb")
                    now = one(emulator, config, ROOT, folder / f"new-{size}.duckdb")
                    cells = [f"{size:,}", sync, *seconds(before), *seconds(now)]
                    cells.append(f"{now.wall / before.wall:.2f}" if before else "")
                    print(f"| {' | '.join(cells)} |", flush=True)


def seconds(cost: Cost | None) -> list[str]:
    """Wall time and CPU; empty cells where nothing was measured."""
    return [f"{cost.wall:.1f}", f"{cost.cpu:.1f}"] if cost else ["", ""]


def one(emulator: EmulatorProcess, config: Path, code: Path, file: Path) -> Cost:
    """One sync of the code in a folder. `-P`: not that of the working directory."""
    command = [sys.executable, "-P", "-c", PROGRAM, "--config", config, "--to", f"duckdb:///{file}"]
    return run([*command, "--streams", STREAMS], file.with_suffix(".log"), emulator, PYTHONPATH=str(code))


if __name__ == "__main__":
    named = [argument for argument in sys.argv[1:] if argument != "--alone"]
    main([int(size) for size in named] or [2_000], alone="--alone" in sys.argv)
