"""The recipes of docs/warehouse.md and of the README, run as they stand there, against the emulator."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.emulator import Emulator, Request
from integration_tests.warehouse import needs

needs("dlt", "dlt (the extra `warehouse`) is not installed")

import duckdb  # noqa: E402

from integration_tests.postgresql import PASSWORD, postgresql, query  # noqa: E402

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PROGRAMS = Path(sys.executable).parent
HOUR = 3600
PATIENCE_SECONDS = 240


def recipe(heading: str, language: str = "", page: str = "docs/warehouse.md") -> str:
    """The first fenced block in `language` (none: commands) below `heading`."""
    below = (ROOT / page).read_text(encoding="utf-8").split(f"\n### {heading}\n", 1)[1].split("\n### ", 1)[0]
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", below, re.MULTILINE | re.DOTALL)
    return next(block for kind, block in blocks if kind == language)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(seed=9, projects=2, issues=12) as emulator:
        yield emulator


def run(command: Any, folder: Path, **environment: str) -> str:
    """Standard output and error of a command in `folder`, with nothing in its environment but what is named."""
    surroundings = {"PATH": f"{PROGRAMS}:/usr/bin:/bin", "HOME": str(folder), "NO_PROXY": "127.0.0.1"}
    result = subprocess.run(
        command,
        cwd=folder,
        env=surroundings | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def ids(file: Path, table: str) -> set[int]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return {row[0] for row in connection.execute(f"SELECT id FROM main.{table}").fetchall()}


def expected(emulator: Emulator, stream: str) -> set[int]:
    return {row["id"] for row in emulator.truth(stream)}


def work(emulator: Emulator) -> None:
    """An hour passes, and an issue is made."""
    emulator.space.advance(HOUR)
    emulator.space.create_issue(emulator.space.project("WEB"), "次の課題", by="member")


def sent(emulator: Emulator, path: str) -> list[Request]:
    return [request for request in emulator.requests if request.path == f"/api/v2/{path}"]


def test_activities_a_few_times_a_day_into_one_table(emulator: Emulator, tmp_path: Path) -> None:
    heading = "Activities a few times a day into one table"
    config = json.loads(recipe(heading, "json")) | {"domain": emulator.config()["domain"]}
    assert len(config) <= 5
    (tmp_path / "activities.json").write_text(json.dumps(config))
    command = recipe(heading).replace("snowflake://…", "duckdb:///backlog.duckdb")
    start = config["start_date"]
    for count in (1, 2):
        emulator.clear_requests()
        output = run(["sh", "-c", command], tmp_path, BACKLOG_API_KEY=emulator.api_key())
        rows = emulator.truth("activities", archived=False)
        wanted = {row["id"] for row in rows if row["created"] >= start}
        assert ids(tmp_path / "backlog.duckdb", "activities") == wanted
        if count == 1:
            assert wanted
            work(emulator)
    print(output)
    assert re.search(r"^activities .* 1 read$", output, re.MULTILINE), "the second run brings the one that is new"
    assert len(emulator.requests) <= 10


def test_cron(emulator: Emulator, tmp_path: Path) -> None:
    line = re.fullmatch(r"(\S+ \S+ \S+ \S+ \S+)  (.*)\n", recipe("cron"))
    assert line, "five fields and a command"
    folder = tmp_path / "backlog"
    (folder / "secrets").mkdir(parents=True)
    (folder / "secrets" / "config.json").write_text(json.dumps(emulator.config()))
    (folder / "venv").symlink_to(PROGRAMS.parent)
    # What cron gives to a job.
    bare = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "backlog"}
    run(["/bin/sh", "-c", line[2]], tmp_path, **bare)
    assert ids(folder / "backlog.duckdb", "issues") == expected(emulator, "issues")
    log = (folder / "sync.log").read_text()
    print(log)
    assert "rows of" in log
    assert "Traceback" not in log


@pytest.fixture
def act(tmp_path: Path) -> list[str]:
    """The command that runs a workflow on this machine, without a container and without GitHub."""
    program = shutil.which("act", path=str(PROGRAMS))
    if program is None:
        pytest.skip("act is installed on Linux on x86-64 alone")
    stand_in = tmp_path / "setup-python"
    stand_in.mkdir()
    step = {"run": f'echo "{PROGRAMS}" >> "$GITHUB_PATH"', "shell": "bash"}
    action = {"name": "setup-python", "runs": {"using": "composite", "steps": [step]}}
    (stand_in / "action.yml").write_text(json.dumps(action))
    instead = f"actions/setup-python@v5={stand_in}"
    return [program, "schedule", "--platform", "ubuntu-latest=-self-hosted", "--local-repository", instead]


def test_the_github_workflow_keeps_its_state_in_the_destination(
    emulator: Emulator, tmp_path: Path, act: list[str]
) -> None:
    repository = tmp_path / "repository"
    (repository / ".github" / "workflows").mkdir(parents=True)
    (repository / ".github" / "workflows" / "backlog.yml").write_text(recipe("GitHub Actions", "yaml"))
    run(["git", "init", "-q"], repository)
    run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "a"],
        repository,
    )
    with postgresql() as server:
        url = f"postgresql://loader@127.0.0.1:{server['port']}/warehouse"
        variables = {"WAREHOUSE": url, "BACKLOG_DOMAIN": emulator.config()["domain"]}
        secrets = {"BACKLOG_API_KEY": emulator.api_key(), "PGPASSWORD": PASSWORD}
        given = [part for name, value in variables.items() for part in ("--var", f"{name}={value}")]
        given += [part for name in secrets for part in ("--secret", name)]
        for count in (1, 2):
            emulator.clear_requests()
            # A new machine each time: nothing is left but what is in the database.
            home = tmp_path / f"home-{count}"
            home.mkdir()
            output = run([*act, *given], repository, HOME=str(home), **secrets)
            print(output)
            assert "Job succeeded" in output
            assert emulator.api_key() not in output
            found = {row["id"] for row in query(server, "SELECT id FROM backlog.issues")}
            assert found == expected(emulator, "issues")
            windows = [request.value("updatedSince") for request in sent(emulator, "issues")]
            assert windows
            assert all(windows) == (count == 2), "the second run reads what is new"
            work(emulator)


TWICE = """
from definitions import backlog_tables, definitions, dg

for schedule in definitions.schedules:
    print(schedule.name, schedule.cron_schedule)
for _ in range(2):
    assert dg.materialize([backlog_tables]).success
"""


def test_dagster_calls_pyairbyte(emulator: Emulator, tmp_path: Path) -> None:
    needs("airbyte", "PyAirbyte is not installed")
    needs("dagster", "dagster is not installed")
    (tmp_path / "definitions.py").write_text(recipe("Airflow or Dagster", "python"))
    (tmp_path / "twice.py").write_text(TWICE)
    environment = {"BACKLOG_DOMAIN": emulator.config()["domain"], "BACKLOG_API_KEY": emulator.api_key()}
    output = run([sys.executable, "twice.py"], tmp_path, DAGSTER_DISABLE_TELEMETRY="1", **environment)
    print(output)
    assert "every_two_hours 0 */2 * * *" in output
    for stream in ("issues", "activities"):
        assert ids(tmp_path / "backlog.duckdb", stream) == expected(emulator, stream)
    windows = [bool(request.value("updatedSince")) for request in sent(emulator, "issues")]
    assert windows == sorted(windows), "first everything, then what is new: PyAirbyte keeps the state"
    assert set(windows) == {False, True}


def test_dlt_in_five_lines(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / ".dlt").mkdir()
    config = emulator.config()
    secrets = recipe("dlt, in five lines", "toml").replace("your-space.backlog.jp", config["domain"])
    (tmp_path / ".dlt" / "secrets.toml").write_text(secrets.replace("…", config["credentials"]["api_key"]))
    (tmp_path / "pipeline.py").write_text(recipe("dlt, in five lines", "python"))
    for count in (1, 2):
        emulator.clear_requests()
        # dlt keeps what it knows of a pipeline in the home directory.
        home = str(tmp_path / "dlt")
        output = run([sys.executable, "pipeline.py"], tmp_path, RUNTIME__DLTHUB_TELEMETRY="false", DLT_DATA_DIR=home)
        print(output)
        assert "is LOADED and contains no failed jobs" in output
        with duckdb.connect(str(tmp_path / "backlog.duckdb"), read_only=True) as connection:
            rows = connection.execute(
                "SELECT id, json_extract_string(status, '$.name') FROM backlog_data.issues"
            ).fetchall()
        truth = {row["id"]: row["status"]["name"] for row in emulator.truth("issues")}
        assert len(rows) == len(truth)
        assert dict(rows) == truth
        windows = [request.value("updatedSince") for request in sent(emulator, "issues")]
        assert windows
        assert all(windows) == (count == 2), "the second run reads what is new"
        work(emulator)


def test_what_the_source_for_dlt_says_of_a_key_has_no_stack_trace(emulator: Emulator, tmp_path: Path) -> None:
    """And a text is one name, not one per letter."""
    program = """
import sys
import dlt
from source_backlog.dlt import backlog

pipeline = dlt.pipeline("backlog", destination=dlt.destinations.duckdb("held.duckdb"), dataset_name="data")
for key in sys.argv[2:]:
    try:
        pipeline.run(backlog(domain=sys.argv[1], api_key=key, streams="issues", projects="WEB"))
    except Exception as error:
        print(str(error).splitlines()[-1])
"""
    environment = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": str(tmp_path / "dlt")}
    domain, key = emulator.config()["domain"], emulator.api_key()
    output = run([sys.executable, "-c", program, domain, "wrong", key], tmp_path, **environment)
    assert "does not accept the API key" in output and "Traceback" not in output
    with duckdb.connect(str(tmp_path / "held.duckdb")) as connection:
        found = connection.execute("SELECT id FROM data.issues").fetchall()
    project = emulator.space.project("WEB").id
    assert {number for (number,) in found} == {
        row["id"] for row in emulator.truth("issues") if row["projectId"] == project
    }


def test_a_table_that_dlt_is_told_to_replace_is_read_from_its_beginning(emulator: Emulator, tmp_path: Path) -> None:
    """Else it would hold what is new since the last run, and nothing else."""
    program = """
import json
import sys
import dlt
from source_backlog.dlt import backlog

pipeline = dlt.pipeline("backlog", destination=dlt.destinations.duckdb("held.duckdb"), dataset_name="data")
few = backlog(domain=sys.argv[1], api_key=sys.argv[2], streams=["issues", "users"]).add_limit(1)
pipeline.run(few.with_resources("users"))
for options in ({}, {}, {"write_disposition": "replace"}, {"refresh": "drop_resources"}, {"refresh": "drop_data"}):
    source = backlog(domain=sys.argv[1], api_key=sys.argv[2], streams=["issues", "issue_comments", "users"])
    pipeline.run(source.with_resources("issues", "issue_comments"), **options)
    with pipeline.sql_client() as client:
        tables = ("issues", "issue_comments", "users")
        print("HELD", json.dumps([client.execute_sql(f"SELECT count(*) FROM {name}")[0][0] for name in tables]))
"""
    environment = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": str(tmp_path / "dlt")}
    emulator.clear_requests()
    output = run(
        [sys.executable, "-c", program, emulator.config()["domain"], emulator.api_key()], tmp_path, **environment
    )
    held = [json.loads(line.removeprefix("HELD ")) for line in output.splitlines() if line.startswith("HELD ")]
    assert held == [[len(emulator.truth(name)) for name in ("issues", "issue_comments", "users")]] * 5
    windows = [bool(request.value("updatedSince")) for request in sent(emulator, "issues")]
    assert set(windows) == {False, True}, "only the second run goes on from the one before"


def test_from_python_with_pyairbyte(emulator: Emulator, tmp_path: Path) -> None:
    needs("airbyte", "PyAirbyte is not installed")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "config.json").write_text(json.dumps(emulator.config()))
    (tmp_path / ".venv").symlink_to(PROGRAMS.parent)
    (tmp_path / "read.py").write_text(recipe("From Python, with PyAirbyte", "python", "README.md"))
    environment = {"AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1"}
    output = run([sys.executable, "read.py"], tmp_path, **environment)
    print(output)
    assert "Warning" not in output, "what packages say that PyAirbyte imports"
    for issue in emulator.truth("issues")[:1]:
        assert str(issue["id"]) in output
