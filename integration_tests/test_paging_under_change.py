"""Lists that are paged by offset are windows over live data: what moves between two pages must not hide a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
import requests

from integration_tests.emulator import Emulator, Request, Space
from integration_tests.emulator.generator import generate
from integration_tests.harness import differences, primary_key, sync

Change = Callable[[Space, Any], Any]

# Rows of each list, and of a page of it.
SIZE, PAGE = 250, 100


@dataclass
class List:
    """A list that Backlog pages by offset: how to fill it, and what can happen to its objects."""

    stream: str
    path: Callable[[Any, Space], str]
    query: Callable[[Any], dict[str, Any]]
    fill: Callable[[Space, Any, int], list[Any]]
    delete: Change
    update: Change


def place(space: Space) -> Any:
    return next(iter(space.projects.values()))


LISTS = [
    List(
        "issues",
        lambda project, space: "issues",
        lambda project: {"projectId[]": project.id, "sort": "created", "order": "asc"},
        lambda space, project, n: [later(space).create_issue(project, f"課題 {i}") for i in range(n)],
        lambda space, issue: space.delete_issue(issue),
        lambda space, issue: space.update_issue(issue, summary="変わった"),
    ),
    List(
        "documents",
        lambda project, space: "documents",
        lambda project: {"projectId[]": project.id, "sort": "updated", "order": "desc"},
        lambda space, project, n: [later(space).create_document(project, f"文書 {i}") for i in range(n)],
        lambda space, document: space.delete_document(document),
        lambda space, document: space.update_document(document, title="変わった"),
    ),
    List(
        "pull_requests",
        lambda project, space: (
            f"projects/{project.id}/git/repositories/{next(iter(space.repositories.values())).id}/pullRequests"
        ),
        lambda project: {},
        lambda space, project, n: [
            later(space).create_pull_request(next(iter(space.repositories.values())), f"変更 {i}") for i in range(n)
        ],
        lambda space, request: space.delete_pull_request(request),
        lambda space, request: space.update_pull_request(request, summary="変わった"),
    ),
    List(
        "teams",
        lambda project, space: "teams",
        lambda project: {},
        lambda space, project, n: [later(space).create_team(f"チーム {i}") for i in range(n)],
        lambda space, team: space.delete_team(team),
        lambda space, team: space.update_team(team, name="変わった"),
    ),
    List(
        "watchings",
        lambda project, space: f"users/{space.user(None).id}/watchings",
        lambda project: {"sort": "created", "order": "asc"},
        lambda space, project, n: [
            later(space).watch(space.create_issue(project, f"課題 {i}"), note="見る") for i in range(n)
        ],
        lambda space, watching: space.unwatch(watching),
        lambda space, watching: space.update_watching(watching, note="変わった"),
    ),
    List(
        "shared_files",
        lambda project, space: f"projects/{project.id}/files/metadata/",
        lambda project: {},
        lambda space, project, n: [later(space).add_shared_file(project, f"/図面 {i}.png") for i in range(n)],
        lambda space, file: space.delete_shared_file(file),
        lambda space, file: space.update_shared_file(file, size=7),
    ),
]


def later(space: Space) -> Space:
    space.advance(1)
    return space


@pytest.fixture(params=LISTS, ids=lambda each: each.stream)
def filled(request: pytest.FixtureRequest) -> Iterator[tuple[Emulator, List, list[Any]]]:
    """An emulator whose first project has nothing but the rows of one list."""
    each: List = request.param
    space = generate(
        seed=1, projects=1, archived_projects=0, foreign_projects=0, issues=1, wikis=0, documents=0, pull_requests=0,
        shared_files=0, users=2, showcase=False,
    )  # fmt: skip
    for team in list(space.teams.values()):
        space.delete_team(team)
    for repository in list(space.repositories.values()):
        space.delete_repository(repository)
    project = place(space)
    if each.stream == "pull_requests":
        space.create_repository(project, "core")
    for issue in list(space.issues.values()):
        space.delete_issue(issue)
    for file in list(project.files.values()):
        if file.id in project.files:
            space.delete_shared_file(file)
    objects = each.fill(space, project, SIZE)
    with Emulator(space=space) as emulator:
        yield emulator, each, objects


def pages(emulator: Emulator, each: List) -> list[Request]:
    path = f"/api/v2/{each.path(place(emulator.space), emulator.space)}"
    return [request for request in emulator.requests if request.path == path and request.value("offset") is not None]


def before_page(emulator: Emulator, each: List, number: int, change: Callable[[], None]) -> None:
    """Make `change` once, just before page `number` (from 0) of the list is given."""
    path = f"/api/v2/{each.path(place(emulator.space), emulator.space)}"
    numbered = count()

    def hook(request: Request) -> None:
        if request.path == path and request.value("offset") is not None and next(numbered) == number:
            change()

    emulator.before_request(hook)


def naive(emulator: Emulator, each: List) -> list[Any]:
    """What the pager of most clients reads: the next page begins where the last one ended."""
    found: list[Any] = []
    while True:
        answer = requests.get(
            f"{emulator.url}/api/v2/{each.path(place(emulator.space), emulator.space)}",
            params={**each.query(place(emulator.space)), "offset": len(found), "count": PAGE},
            headers={"Backlog-API-Key": emulator.api_key()},
            timeout=30,
        ).json()
        found += [row["id"] for row in answer]
        if len(answer) < PAGE:
            return found


def in_order(emulator: Emulator, each: List, objects: list[Any]) -> list[Any]:
    """The objects in the order in which Backlog lists them now."""
    by_id = {thing.id: thing for thing in objects}
    return [by_id[identity] for identity in naive(emulator, each) if identity in by_id]


def read(emulator: Emulator, each: List, state: Any = None) -> tuple[list[Any], Any]:
    """The ids that one sync gives, and the sync."""
    result = sync(emulator, [each.stream], state)
    return [row["id"] for row in result.rows[each.stream]], result


def test_the_usual_case_costs_no_extra_request(filled: tuple[Emulator, List, list[Any]]) -> None:
    emulator, each, _ = filled
    assert len(naive(emulator, each)) == SIZE
    usual = len(pages(emulator, each))
    emulator.clear_requests()
    ids, _ = read(emulator, each)
    assert len(ids) == len(set(ids)) == SIZE
    assert len(pages(emulator, each)) == usual == 3


@pytest.mark.parametrize("deleted", [1, 3, 120])
def test_rows_deleted_before_the_window_hide_no_other(filled: tuple[Emulator, List, list[Any]], deleted: int) -> None:
    emulator, each, objects = filled
    doomed = in_order(emulator, each, objects)[:deleted]
    left = {thing.id for thing in objects} - {thing.id for thing in doomed}
    before_page(emulator, each, 1, lambda: [each.delete(emulator.space, thing) for thing in doomed] and None)
    ids, _ = read(emulator, each)
    assert len(ids) == len(set(ids)), "a row came twice"
    assert left <= set(ids)


def test_a_naive_pager_loses_rows_there(filled: tuple[Emulator, List, list[Any]]) -> None:
    emulator, each, objects = filled
    doomed = in_order(emulator, each, objects)[:3]
    left = {thing.id for thing in objects} - {thing.id for thing in doomed}
    before_page(emulator, each, 1, lambda: [each.delete(emulator.space, thing) for thing in doomed] and None)
    assert len(left - set(naive(emulator, each))) == 3


SIBLINGS = {
    "issues": "issue_stars",
    "documents": "document_tags",
    "pull_requests": "pull_request_attachments",
    "teams": "team_members",
}


@pytest.mark.parametrize(
    "filled", [each for each in LISTS if each.stream in SIBLINGS], ids=lambda each: each.stream, indirect=True
)
def test_streams_that_share_pages_go_the_same_way_back(filled: tuple[Emulator, List, list[Any]]) -> None:
    """The pages are kept for the other stream: stepping back must not get the kept page again, for ever."""
    emulator, each, objects = filled
    doomed = in_order(emulator, each, objects)[:3]
    emulator.clear_requests()
    before_page(emulator, each, 1, lambda: [each.delete(emulator.space, thing) for thing in doomed] and None)
    result = sync(emulator, [each.stream, SIBLINGS[each.stream]])
    ids = [row["id"] for row in result.rows[each.stream]]
    assert {thing.id for thing in objects} - {thing.id for thing in doomed} <= set(ids)
    # Where issues have moved, they are looked through once more, in another order.
    again = [page for page in pages(emulator, each) if page.value("sort") == "summary"]
    asked = [(page.value("offset"), page.value("count")) for page in pages(emulator, each) if page not in again]
    assert len(asked) == len(set(asked)) <= 5, "three pages, one step back and what it takes, for both streams"
    assert len(again) == (3 if each.stream == "issues" else 0)


def test_rows_updated_and_inserted_between_pages_hide_no_other(filled: tuple[Emulator, List, list[Any]]) -> None:
    emulator, each, objects = filled
    listed = in_order(emulator, each, objects)
    read_already, unread = listed[5], listed[-5]

    def change() -> None:
        later(emulator.space)
        each.update(emulator.space, read_already)
        each.update(emulator.space, unread)
        if each.stream != "shared_files":
            each.fill(emulator.space, place(emulator.space), 3)

    before_page(emulator, each, 1, change)
    ids, first = read(emulator, each)
    assert len(ids) == len(set(ids)), "a row came twice"
    # Documents are listed by `updated`: what is updated before it was read jumps ahead, and the next sync has it.
    jumped = {unread.id} if each.stream == "documents" else set()
    assert {thing.id for thing in objects} - jumped <= set(ids)
    emulator.space.advance(1)
    _, second = read(emulator, each, first.state)
    table = {tuple(row.get(name) for name in primary_key(each.stream)): row for row in first.rows[each.stream]}
    table |= {tuple(row.get(name) for name in primary_key(each.stream)): row for row in second.rows[each.stream]}
    assert not differences(emulator, each.stream, table)


def test_deleted_and_inserted_in_every_gap(filled: tuple[Emulator, List, list[Any]]) -> None:
    emulator, each, objects = filled
    listed = in_order(emulator, each, objects)
    path = f"/api/v2/{each.path(place(emulator.space), emulator.space)}"
    doomed = iter(listed[:40:2])
    gone = set()

    def hook(request: Request) -> None:
        if request.path == path and (thing := next(doomed, None)) is not None:
            gone.add(thing.id)
            each.delete(emulator.space, thing)
            if each.stream != "shared_files":
                each.fill(emulator.space, place(emulator.space), 1)

    emulator.before_request(hook)
    ids, _ = read(emulator, each)
    assert len(ids) == len(set(ids))
    assert {thing.id for thing in objects} - gone <= set(ids)
    assert len(gone) > 2
