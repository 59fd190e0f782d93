"""`python -m benchmarks.sync [ISSUES …]`: `backlog-sync` beside that of version 0.1.1, into DuckDB, with comments.

First load, and a sync with nothing changed, of spaces with so many issues (2,000 unless some are named), in turn in one
run. The old code comes from git; it needs PyAirbyte (the extra `test`).
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


def main(sizes: list[int]) -> None:
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
                config.write_text(json.dumps(emulator.control("GET", "config")))
                for sync in ("first load", "nothing changed"):
                    before, now = (
                        one(emulator, config, code, folder / f"{name}-{size}.duckdb")
                        for name, code in (("old", old), ("new", ROOT))
                    )
                    ratio = now.wall / before.wall
                    cells = [f"{size:,}", sync, *map("{:.1f}".format, (before.wall, before.cpu, now.wall, now.cpu))]
                    print(f"| {' | '.join(cells)} | {ratio:.2f} |", flush=True)


def one(emulator: EmulatorProcess, config: Path, code: Path, file: Path) -> Cost:
    """One sync of the code in a folder. `-P`: not that of the working directory."""
    command = [sys.executable, "-P", "-c", PROGRAM, "--config", config, "--to", f"duckdb:///{file}"]
    return run([*command, "--streams", STREAMS], file.with_suffix(".log"), emulator, PYTHONPATH=str(code))


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [2_000])
