"""`make qa`: Airbyte's own checks, `airbyte-ops local connector qa`, over this connector.

The tool wants a tree like Airbyte's repository and asks the web. The tree is laid out in a temporary folder from the
files that git knows, once at the level `community` as in `metadata.yaml`, once at `certified`, where more checks
apply. The web's answers are those of `web.json`; `--online` asks the web itself. Where the tool and this repository
differ, the check stands in `EXPLAINED`; any other failure, and an explained one that is gone, ends with status 1.

Runs in an environment of its own, with the packages of `requirements.txt`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
CONNECTOR = "source-backlog"

# Level -> what it changes in metadata.yaml. The checks of the page count from sl 300.
LEVELS: dict[str, dict[str, str]] = {
    "community": {},
    "certified": {"supportLevel: community": "supportLevel: certified", "ql: 100": "ql: 400", "sl: 100": "sl: 300"},
}

# Check -> what the tool says. CONTRIBUTING.md quotes it and says why.
EXPLAINED = {
    "Python connectors must not use a Dockerfile and must declare their base image in metadata.yaml file": (
        "Dockerfile file exists. Please remove it and declare the base image in metadata.yaml file with the "
        "`connectorBuildOptions.baseImage` key"
    ),
}

Report = dict[str, list[dict[str, str]]]
"""`failed_checks`, `skipped_checks` and `passed_checks`; each has a `check` and a `message`."""


def answer_from(answers: dict[str, Any]) -> None:
    """Have all requests of this process answered: by a status, the JSON of a 200, or, for null, no such host.

    An address that is not listed gets status 404, so that a new link in a page fails until somebody has opened it.
    """

    def send(adapter: HTTPAdapter, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        answer = answers.get(str(request.url).rstrip("/"), 404)
        if answer is None:
            raise requests.ConnectionError(f"{request.url} is no host", request=request)
        response = requests.Response()
        response.request, response.url = request, str(request.url)
        response.status_code = answer if isinstance(answer, int) else 200
        response._content = json.dumps(answer).encode()
        return response

    HTTPAdapter.send = send  # type: ignore[method-assign, assignment]


def lay_out(tree: Path, changes: dict[str, str]) -> None:
    """Copy the repository into `tree` as Airbyte's repository has it, and change its metadata."""
    connector = tree / "airbyte-integrations" / "connectors" / CONNECTOR
    known = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, subprocess.run(known, capture_output=True, check=True, text=True).stdout.split("\0")):
        source = ROOT / name
        if source.is_file():
            target = (tree if name.startswith("docs/integrations/") else connector) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    metadata = connector / "metadata.yaml"
    text = metadata.read_text(encoding="utf-8")
    for old, new in changes.items():
        if old not in text:
            raise SystemExit(f"metadata.yaml has no `{old}` to be changed")
        text = text.replace(old, new)
    metadata.write_text(text, encoding="utf-8")


def check(tree: Path) -> Report:
    """Run the tool in `tree`."""
    from airbyte_ops_mcp.cli.app import main  # type: ignore[import-not-found]

    sys.argv = ["airbyte-ops", "local", "connector", "qa", "--name", CONNECTOR, "--report-path", "report.json"]
    said = io.StringIO()
    # It ends the process, with status 1 when a check fails.
    with (
        contextlib.chdir(tree),
        contextlib.suppress(SystemExit),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        main()
    if not (tree / "report.json").exists():
        raise SystemExit(f"{said.getvalue()}\nThe tool made no report.")
    report: Report = json.loads((tree / "report.json").read_text())["connectors"][CONNECTOR]
    return report


def show(level: str, report: Report) -> bool:
    """Print the report; whether it is as it should be."""
    failed = {each["check"]: each["message"] for each in report["failed_checks"]}
    passed, skipped = len(report["passed_checks"]), len(report["skipped_checks"])
    print(f"\n=== {level}: {len(failed)} failed, {passed} passed, {skipped} do not apply")
    for kind, mark in (("passed_checks", "pass"), ("skipped_checks", "skip"), ("failed_checks", "FAIL")):
        for each in report[kind]:
            print(f"{mark}  {each['check']}")
            if kind != "passed_checks":
                print("      " + each["message"].strip().replace("\n", "\n      "))
    for name in EXPLAINED.keys() & failed.keys():
        print(f"Explained in CONTRIBUTING.md: {name}")
    for name in EXPLAINED.keys() - failed.keys():
        print(f"No longer a failure, so take the explanation out: {name}")
    return failed == EXPLAINED


def main() -> int:
    parser = argparse.ArgumentParser(description="Airbyte's own checks over this connector")
    parser.add_argument("--online", action="store_true", help="ask the web instead of the recorded answers")
    if not parser.parse_args().online:
        answer_from(json.loads((FOLDER / "web.json").read_text(encoding="utf-8"))["answers"])
    warnings.simplefilter("ignore")
    os.environ["DO_NOT_TRACK"] = "1"
    good = []
    for level, changes in LEVELS.items():
        with tempfile.TemporaryDirectory() as folder:
            lay_out(Path(folder), changes)
            good.append(show(level, check(Path(folder))))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
