"""What a key may not read leaves one warning and no rows, or rows from elsewhere; what nothing works without fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from integration_tests.commands import Output, command, quickly
from integration_tests.emulator import Emulator
from integration_tests.harness import EXPENSIVE, catalog_streams
from source_backlog.api.errors import BASE_ENDPOINTS

STREAMS = [
    name
    for name in catalog_streams()
    if name not in EXPENSIVE and not name.endswith(("_attachment_files", "_file_contents"))
]
# Every project's people, seen through a key without rights over the space.
PEOPLE = ("users", "teams", "team_members")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return quickly(monkeypatch)


@pytest.fixture(scope="module", params=[403, 401])
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """Backlog answers a missing right with 403 or, as some clients report, 401; both with code 5."""
    with Emulator(projects=4, issues=40, settings={"role_error_status": request.param}) as running:
        yield running


def everything(emulator: Emulator, user: str) -> Output:
    emulator.faults.clear()
    output = command("read", emulator.config(user=user), streams=STREAMS)
    assert (output.status, output.errors, output.stderr) == (0, [], "")
    return output


def skipped(output: Output) -> list[str]:
    """The paths in the warnings."""
    return [line.split()[1].rstrip(":") for line in output.logs("WARN") if line.startswith("Skipped ")]


@pytest.mark.parametrize("user", ["member", "viewer"])
def test_a_sync_without_an_administrators_rights_succeeds(emulator: Emulator, user: str) -> None:
    output = everything(emulator, user)
    projects = {row["id"] for row in output.rows("projects")}
    assert projects
    # One line per refused endpoint and partition, whatever the number of streams that read it.
    warned = Counter(skipped(output))
    assert set(warned.values()) == {1}
    assert {"users", "teams", "space/diskUsage"} <= set(warned)
    assert {f"projects/{project}/webhooks" for project in projects} <= set(warned)
    for line in output.logs("WARN"):
        if line.startswith("Skipped "):
            assert line.endswith(".")
            assert "does not have the permission" in line or "was deleted or is no longer visible" in line
    assert not output.rows("webhooks")
    assert not output.rows("space_disk_usage")
    # The documented fallback: people and teams through the projects.
    for stream in PEOPLE:
        assert output.rows(stream), stream
    assert {row["id"] for row in output.rows("users")} == {row["id"] for row in output.rows("project_users")}
    assert {row["id"] for row in output.rows("teams")} == {row["id"] for row in output.rows("project_teams")}
    if user == "viewer":
        assert any(path.endswith("/git/repositories") for path in warned)
        assert any("/files/metadata" in path for path in warned)
        assert not output.rows("git_repositories")
        assert not output.rows("shared_files")
    else:
        assert output.rows("git_repositories")
        assert output.rows("shared_files")


def test_a_project_administrator_reads_what_belongs_to_the_own_projects(emulator: Emulator) -> None:
    output = everything(emulator, "project_administrator")
    assert "users" not in skipped(output)
    assert output.rows("webhooks")


def test_an_administrator_is_refused_nothing(emulator: Emulator) -> None:
    assert skipped(everything(emulator, "administrator")) == []


@pytest.mark.parametrize("status", [404, 403])
def test_a_feature_that_is_switched_off_costs_no_request(status: int) -> None:
    """The project's own flags say so in advance, so that no line in the log is needed."""
    with Emulator(projects=4, issues=40, settings={"feature_off_status": status}) as emulator:
        output = everything(emulator, "administrator")
        assert skipped(output) == []
        off = {
            project["id"]: [flag for flag in ("useWiki", "useGit", "useDocument") if project[flag] is False]
            for project in output.rows("projects")
        }
        assert any(off.values())
        for stream, flag in (("wikis", "useWiki"), ("git_repositories", "useGit"), ("documents", "useDocument")):
            assert output.rows(stream)
            assert not [row for row in output.rows(stream) if flag in off[row["projectId"]]]


REFUSALS: list[tuple[int, int | None, str]] = [
    (402, 2, "the plan of the space does not include it"),
    (403, 2, "the plan of the space does not include it"),
    (400, 2, "the plan of the space does not include it"),
    (403, 5, "the user of the key does not have the permission"),
    (401, 5, "the user of the key does not have the permission"),
    (403, None, "the user of the key does not have the permission"),
    (404, 6, "It was deleted or is no longer visible"),
]


@pytest.fixture(scope="module")
def small() -> Iterator[Emulator]:
    with Emulator(projects=2, issues=10) as running:
        yield running


@pytest.mark.parametrize(("status", "code", "reason"), REFUSALS)
def test_what_the_plan_or_a_role_refuses_is_named_with_the_reason(
    small: Emulator, status: int, code: int | None, reason: str
) -> None:
    small.faults.clear()
    body: Any = {"errors": [{"message": "No.", "code": code, "moreInfo": ""}]} if code else {}
    fault = small.faults.add(r"/projects/\d+/customFields$", status=status, body=body, times=None)
    streams = ["custom_fields", "custom_field_items", "statuses"]
    output = command("read", small.config(), streams=streams)
    assert (output.status, output.errors) == (0, [])
    assert output.rows("statuses")
    assert not output.rows("custom_fields")
    assert fault.struck
    lines = [line for line in output.logs("WARN") if reason in line]
    assert Counter(line.split(":")[0] for line in lines) == {
        f"Skipped projects/{project['id']}/customFields": 1 for project in small.truth("projects")
    }


def test_an_endpoint_that_several_streams_ask_leaves_one_warning(small: Emulator) -> None:
    """The people of a project are a stream of their own, and stand in for the people of the space."""
    small.faults.clear()
    small.faults.add(r"/projects/\d+/(users|teams)$", status=403, times=None)
    streams = ["users", "teams", "team_members", "user_stars", "project_users", "project_teams"]
    output = command("read", small.config(user="member"), streams=streams)
    assert (output.status, output.errors) == (0, [])
    warned = Counter(skipped(output))
    assert set(warned.values()) == {1}
    for project in small.truth("projects", user="member"):
        assert {f"projects/{project['id']}/users", f"projects/{project['id']}/teams"} <= set(warned)


@pytest.mark.parametrize("path", sorted(BASE_ENDPOINTS))
@pytest.mark.parametrize(("status", "code"), [(403, 5), (402, 2), (404, 6)])
def test_a_base_stream_that_is_refused_fails_loudly(small: Emulator, path: str, status: int, code: int) -> None:
    if (path, status) == ("issues", 404):
        return  # One project's issues, gone since the projects were listed: see the next test.
    small.faults.clear()
    body = {"errors": [{"message": "No.", "code": code, "moreInfo": ""}]}
    small.faults.add(f"/api/v2/{path}$", status=status, body=body, times=None)
    stream = {"users/myself": "myself", "space/activities": "activities"}.get(path, path)
    output = command("read", small.config(), streams=[stream])
    assert output.status == 1
    assert not output.rows(stream)
    assert {error["failure_type"] for error in output.errors} == {"config_error"}
    assert path in output.errors[0]["message"]


def test_a_project_that_goes_while_it_is_read_does_not_end_the_sync(small: Emulator) -> None:
    small.faults.clear()
    small.faults.add("/api/v2/issues$", status=404, times=1)
    output = command("read", small.config(), streams=["issues"])
    assert (output.status, output.errors) == (0, [])
    assert output.rows("issues")
    assert [line for line in output.logs("WARN") if line.startswith("Skipped issues: ")]


def test_other_rejections_are_not_taken_for_a_missing_right(small: Emulator) -> None:
    for status, code in ((400, 7), (409, None), (418, 99)):
        small.faults.clear()
        body = {"errors": [{"message": "error.unknownParameter", "code": code, "moreInfo": ""}]}
        small.faults.add(r"/projects/\d+/statuses$", status=status, body=body, times=None)
        output = command("read", small.config(), streams=["statuses"])
        assert output.status == 1
        assert {error["failure_type"] for error in output.errors} == {"system_error"}
        assert "error.unknownParameter" in output.errors[0]["message"]
