"""What a key may not read leaves one warning per cause and no rows, or rows from elsewhere.

What nothing works without fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from integration_tests.commands import Output, command, quickly
from integration_tests.emulator import Emulator
from integration_tests.emulator.generator import generate
from integration_tests.harness import EXPENSIVE, catalog_streams, joined_projects, sync
from source_backlog.api.errors import BASE_ENDPOINTS
from unit_tests.test_docs import ENGLISH, holds, quoted_warnings

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


def refused(output: Output) -> dict[str, str]:
    """The warnings of a missing right, by the streams that they name; all warnings are explained on the user page."""
    quotes = quoted_warnings(ENGLISH)
    warnings = output.logs("WARN")
    assert not [line for line in warnings if not any(holds(line, quote) for quote in quotes)]
    lines = [line for line in warnings if "does not have the permission" in line]
    found = {line.partition(": ")[0]: line for line in lines}
    assert len(found) == len(lines)
    return found


@pytest.mark.parametrize("user", ["member", "viewer"])
def test_a_sync_without_an_administrators_rights_succeeds(emulator: Emulator, user: str) -> None:
    output = everything(emulator, user)
    keys = sorted(row["projectKey"] for row in output.rows("projects"))
    assert keys
    # One line per refused endpoint, whatever the number of projects and of streams that read it.
    warned = refused(output)
    assert {"users, user_stars", "teams, team_members", "space_disk_usage"} <= set(warned)
    said = "the user of the key does not have the permission. It takes an administrator of the space or of the project."
    number = f"{len(keys)} project{'s' if len(keys) > 1 else ''}"
    assert warned["webhooks"] == f"webhooks: {number} left out ({', '.join(keys)}): {said}"
    assert "next sync" not in "".join(output.logs("WARN"))
    assert not output.rows("webhooks")
    assert not output.rows("space_disk_usage")
    # The documented fallback: people and teams through the projects.
    for stream in PEOPLE:
        assert output.rows(stream), stream
    assert {row["id"] for row in output.rows("users")} == {row["id"] for row in output.rows("project_users")}
    assert {row["id"] for row in output.rows("teams")} == {row["id"] for row in output.rows("project_teams")}
    if user == "viewer":
        assert any("pull_requests" in streams for streams in warned)
        assert "shared_files" in warned
        assert not output.rows("git_repositories")
        assert not output.rows("shared_files")
    else:
        assert output.rows("git_repositories")
        assert output.rows("shared_files")


def test_a_project_administrator_reads_what_belongs_to_the_own_projects(emulator: Emulator) -> None:
    output = everything(emulator, "project_administrator")
    assert set(refused(output)) <= {"space_disk_usage", "webhooks"}
    assert output.rows("webhooks")


def test_an_administrator_is_refused_nothing(emulator: Emulator) -> None:
    assert not refused(everything(emulator, "administrator"))


def test_a_viewers_key_leaves_a_dozen_lines_for_any_number_of_projects() -> None:
    space = generate(seed=7, projects=30, issues=60)
    for project in space.projects.values():
        space.add_member(project, "viewer")
        space.update_project(project, use_git=True, use_document=True, use_file_sharing=True)
        space.create_document(project, "文書", "本文")
    with Emulator(space=space) as emulator:
        output = everything(emulator, "viewer")
        assert len(output.rows("projects")) >= 30
        warnings = output.logs("WARN")
        assert len(warnings) <= 12
        for name in ("webhooks", "pull_requests", "shared_files"):
            (line,) = (line for streams, line in refused(output).items() if name in streams.split(", "))
            assert re.search(r": \d\d projects left out \(APP, \w+, .* and \d\d more\): ", line)
        for project in space.projects.values():
            assert str(project.id) not in "".join(warnings)


def test_a_missing_right_costs_one_look_per_project() -> None:
    """Whether the refused objects are still there is asked once, and not of each."""
    with Emulator(space=generate(seed=2, projects=3, issues=24)) as emulator:
        space = emulator.space
        for project in space.projects.values():
            space.add_member(project, "viewer")
            space.update_project(project, use_document=True)
            for number in range(8):
                space.create_document(project, f"文書 {number}")
        key = {"auth_type": "api_key", "api_key": emulator.api_key("viewer")}
        paths = sync(emulator, ["document_comments"], credentials=key).paths()
        assert len([path for path in paths if path.endswith("/comments")]) >= 5 * len(space.projects)
        assert paths.count("documents/tree") == len(space.projects)


@pytest.mark.parametrize("status", [404, 403])
def test_a_feature_that_is_switched_off_costs_no_request(status: int) -> None:
    """The project's own flags say so in advance, so that no line in the log is needed."""
    with Emulator(projects=4, issues=40, settings={"feature_off_status": status}) as emulator:
        output = everything(emulator, "administrator")
        assert not refused(output)
        off = {
            project["id"]: [flag for flag in ("useWiki", "useGit", "useDocument") if project[flag] is False]
            for project in output.rows("projects")
        }
        assert any(off.values())
        for stream, flag in (("wikis", "useWiki"), ("git_repositories", "useGit"), ("documents", "useDocument")):
            assert output.rows(stream)
            assert not [row for row in output.rows(stream) if flag in off[row["projectId"]]]


def test_a_feature_that_the_flags_do_not_show_as_off_is_named_once(small: Emulator) -> None:
    """It stays so until somebody switches it on: no word of the next sync, and one look per project."""
    small.faults.clear()
    small.faults.add(r"/git/repositories$", status=404, times=None)
    streams = ["git_repositories", "pull_requests", "pull_request_comments"]
    output = command("read", small.config(), streams=streams)
    assert (output.status, output.errors) == (0, [])
    keys = sorted(project["projectKey"] for project in joined_projects(small) if project["useGit"] is not False)
    number = f"{len(keys)} project{'s' if len(keys) > 1 else ''}"
    assert output.logs("WARN") == [
        f"{', '.join(streams)}: {number} left out ({', '.join(keys)}): Backlog has no such list although the project "
        "is there: the feature is switched off."
    ]


def test_a_project_that_is_lost_for_a_moment_gives_hope(small: Emulator) -> None:
    """Whatever of it was asked for, and whoever asked: one line."""
    small.faults.clear()
    web = next(project for project in joined_projects(small) if project["projectKey"] == "WEB")
    small.faults.add(rf"/projects/{web['id']}/\w+$", status=404, times=None)
    streams = ["statuses", "versions", "categories"]
    output = command("read", small.config(), streams=streams)
    assert (output.status, output.errors) == (0, [])
    (line,) = output.logs("WARN")
    names, _, rest = line.partition(": ")
    assert set(names.split(", ")) == set(streams)
    assert rest == "1 project left out (WEB): it could not be read, or not to its end. The next sync tries again."


def test_warnings_come_although_the_sync_fails(small: Emulator) -> None:
    small.faults.clear()
    small.faults.add("/webhooks$", status=403, times=None)
    small.faults.add("/versions$", status=400, times=None)
    output = command("read", small.config(), streams=["webhooks", "versions"])
    assert output.status == 1
    assert "webhooks" in refused(output)


REFUSALS: list[tuple[int, int | None, str]] = [
    (402, 2, "the plan of the space does not include it"),
    (403, 2, "the plan of the space does not include it"),
    (400, 2, "the plan of the space does not include it"),
    (403, 5, "the user of the key does not have the permission"),
    (401, 5, "the user of the key does not have the permission"),
    (403, None, "the user of the key does not have the permission"),
    (404, 6, "Backlog has no such list although the project is there"),
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
    (line,) = output.logs("WARN")
    keys = sorted(project["projectKey"] for project in joined_projects(small))
    assert line.startswith(f"custom_fields, custom_field_items: {len(keys)} projects left out ({', '.join(keys)}): ")
    assert reason in line


def test_an_endpoint_that_several_streams_ask_leaves_one_warning(small: Emulator) -> None:
    """The people of a project are a stream of their own, and stand in for the people of the space."""
    small.faults.clear()
    small.faults.add(r"/projects/\d+/(users|teams)$", status=403, times=None)
    streams = ["users", "teams", "team_members", "user_stars", "project_users", "project_teams"]
    output = command("read", small.config(user="member"), streams=streams)
    assert (output.status, output.errors) == (0, [])
    assert set(refused(output)) == {"users, user_stars", "teams, team_members", "project_users", "project_teams"}


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
    (line,) = output.logs("WARN")
    assert line.startswith("issues: 1 project left out (")
    assert line.endswith("The next sync tries again.")


def test_other_rejections_are_not_taken_for_a_missing_right(small: Emulator) -> None:
    for status, code in ((400, 7), (409, None), (418, 99)):
        small.faults.clear()
        body = {"errors": [{"message": "error.unknownParameter", "code": code, "moreInfo": ""}]}
        small.faults.add(r"/projects/\d+/statuses$", status=status, body=body, times=None)
        output = command("read", small.config(), streams=["statuses"])
        assert output.status == 1
        assert {error["failure_type"] for error in output.errors} == {"system_error"}
        assert "error.unknownParameter" in output.errors[0]["message"]
