"""Lists that are read whole: the columns of their parents, and bodies that are not a plain list of rows."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.types import StreamSlice
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.errors import RejectedRequest
from source_backlog.changes.paging import Unreadable
from source_backlog.changes.projects import selected_projects
from source_backlog.streams.objects import ObjectRetriever
from source_backlog.streams.people import MemberRetriever, PeopleRetriever, RecentlyViewedRetriever, StarRetriever
from source_backlog.streams.settings import Categories, DiskUsage, ItemsOfFields, ParentColumns, ProjectRetriever

Row = dict[str, Any]
Answer = Callable[..., requests.Response]

WEB = {"id": 1, "projectKey": "WEB", "name": "Web site"}
APP = {"id": 2, "projectKey": "1E5"}


def transformed(config: Row, record: Row, project: Row | None = WEB, with_domain: bool = False) -> Row:
    extra = {"project": project} if project else {}
    stream_slice = StreamSlice(partition={}, cursor_slice={}, extra_fields=extra)
    ParentColumns(config, {}, with_domain).transform(record, stream_slice=stream_slice)
    return record


def extracted(kind: Any, config: Row, response: Answer, body: Any) -> list[Row]:
    return list(kind(config, {}).extract_records(response(200, json.dumps(body).encode())))


def test_rows_of_a_project_carry_its_id_and_key(config: Row) -> None:
    assert transformed(config, {"id": 7}) == {"id": 7, "projectId": 1, "projectKey": "WEB"}


def test_a_key_that_looks_like_a_number_stays_text(config: Row) -> None:
    assert transformed(config, {"id": 7}, APP)["projectKey"] == "1E5"


def test_what_the_row_says_itself_stays(config: Row) -> None:
    assert transformed(config, {"id": 7, "projectId": 99, "projectKey": None}) == {
        "id": 7,
        "projectId": 99,
        "projectKey": "WEB",
    }


def test_objects_of_the_space_that_have_no_id_carry_its_host(config: Row) -> None:
    assert transformed(config, {"content": "Hi"}, None, with_domain=True) == {
        "content": "Hi",
        "domain": "acme.backlog.jp",
    }
    assert transformed(config, {"content": "Hi"}, None) == {"content": "Hi"}


def test_a_row_outside_of_any_slice_stays(config: Row) -> None:
    record = {"id": 7}
    ParentColumns(config, {}).transform(record)
    assert record == {"id": 7}


@pytest.mark.parametrize(
    ("bound", "text"),
    [(0, "0"), (1.5, "1.5"), ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), (None, None), ("", "")],
)
def test_the_bounds_of_a_custom_field_are_text(config: Row, bound: Any, text: Any) -> None:
    row = transformed(config, {"min": bound, "max": bound})
    assert (row["min"], row["max"]) == (text, text)
    assert "min" not in transformed(config, {"id": 1})


def test_the_items_of_fields_carry_their_field(config: Row, response: Answer) -> None:
    fields = [
        {"id": 12, "name": "Colour", "items": [{"id": 1, "name": "Red"}, {"id": 2, "name": "Blue"}]},
        {"id": 13, "name": "Text"},
        {"id": 14, "name": "Null", "items": None},
        {"id": 15, "name": "Empty", "items": []},
    ]
    assert extracted(ItemsOfFields, config, response, fields) == [
        {"id": 1, "name": "Red", "customFieldId": 12, "customFieldName": "Colour"},
        {"id": 2, "name": "Blue", "customFieldId": 12, "customFieldName": "Colour"},
    ]


def test_the_disk_usage_is_the_total_and_then_a_row_per_project(config: Row, response: Answer) -> None:
    body = {"capacity": 100, "issue": 7, "details": [{"projectId": 1, "issue": 3}, {"projectId": 2, "issue": 4}]}
    assert extracted(DiskUsage, config, response, body) == [
        {"capacity": 100, "issue": 7, "projectId": 0},
        {"projectId": 1, "issue": 3},
        {"projectId": 2, "issue": 4},
    ]
    assert extracted(DiskUsage, config, response, {"capacity": 1}) == [{"capacity": 1, "projectId": 0}]


def test_the_rate_limit_is_a_row_per_category(config: Row, response: Answer) -> None:
    window = {"limit": 600, "remaining": 599, "reset": 1}
    body = {"rateLimit": {"read": window, "icon": window}}
    assert extracted(Categories, config, response, body) == [
        {"category": "read", **window},
        {"category": "icon", **window},
    ]
    assert extracted(Categories, config, response, {"rateLimit": None}) == []


def read(retriever: Any) -> list[Row]:
    return list(retriever.rows(retriever.slice))


def test_the_projects_are_those_that_are_selected(build: Any, fake: Any, config: Row) -> None:
    config["projects"] = ["WEB"]
    retriever = build(ProjectRetriever, fake({"projects": [WEB, APP]}), by="space")
    (row,) = read(retriever)
    assert row == {**WEB, "joined": True}
    row["name"] = "edited"
    assert read(retriever)[0]["name"] == "Web site", "the projects are shared by all streams"


def projects_for(joined: list[Row], everything: Any) -> Callable[[Row], Any]:
    """The answer of `/projects`; `everything` is that to `all=true`, or an exception."""

    def answer(params: Row) -> Any:
        assert params in ({}, {"all": "true"})
        if params and isinstance(everything, Exception):
            raise everything
        return everything if params else joined

    return answer


def test_an_administrator_also_gets_the_projects_that_it_has_not_joined(build: Any, fake: Any) -> None:
    retriever = build(ProjectRetriever, fake({"projects": projects_for([APP], [WEB, APP])}), by="space")
    assert read(retriever) == [{**APP, "joined": True}, {**WEB, "joined": False}]
    assert retriever.requester.asked("projects") == [{}, {"all": "true"}]
    assert selected_projects(retriever.requester, retriever.config, retriever.api_budget) == [APP]


@pytest.mark.parametrize(
    "everything",
    [
        [APP],
        [],
        None,
        RejectedRequest(message="error.unknownParameter : all"),
        AirbyteTracedException(
            message="Backlog answered 7 times with status 500.", failure_type=FailureType.system_error
        ),
        AirbyteTracedException(message="Backlog does not accept the key.", failure_type=FailureType.config_error),
    ],
    ids=str,
)
def test_where_backlog_does_not_list_all_projects_the_joined_ones_are_there(
    build: Any, fake: Any, everything: Any
) -> None:
    retriever = build(ProjectRetriever, fake({"projects": projects_for([APP], everything)}), by="space")
    assert read(retriever) == [{**APP, "joined": True}]


def test_the_options_select_among_the_projects_that_were_not_joined_too(build: Any, fake: Any, config: Row) -> None:
    old = {"id": 3, "projectKey": "OLD", "archived": True}
    config |= {"projects": ["1E5", "3", "4"], "include_archived_projects": False}
    others = [WEB, APP, old, {"id": 4, "projectKey": "NEW"}]
    retriever = build(ProjectRetriever, fake({"projects": projects_for([APP], others)}), by="space")
    assert [(row["projectKey"], row["joined"]) for row in read(retriever)] == [("1E5", True), ("NEW", False)]


HANAKO, TARO = {"id": 5, "name": "Hanako"}, {"id": 6, "name": "Taro"}


def members(build: Any, fake: Any, space: Any, teams: Any, direct: Any, read_by: list[str] | None = None) -> Any:
    """The retriever of the members; `direct` is the answer without those who are there through a team."""

    def answer(params: Row) -> Any:
        if not params:
            return [HANAKO, TARO]
        assert params == {"excludeGroupMembers": "true"}
        if isinstance(direct, Exception):
            raise direct
        return direct

    space.read_by(read_by if read_by is not None else ["projects/{}/users", "projects/{}/teams"])
    return build(MemberRetriever, fake({"projects/1/users": answer, "projects/1/teams": teams}), project=WEB)


TEAM = [{"id": 9, "members": [TARO]}]


@pytest.mark.parametrize(
    ("teams", "direct", "expected", "requests"),
    [
        (TEAM, [HANAKO], [True, False], 3),
        (TEAM, [HANAKO, TARO], [True, True], 3),
        (TEAM, [], [False, False], 3),
        ([], None, [True, True], 2),
        (TEAM, None, [None, None], 3),
        (None, [HANAKO], [None, None], 2),
    ],
    ids=["through a team", "both ways", "nobody by name", "no team", "refused", "teams refused"],
)
def test_members_are_there_by_name_or_through_a_team(
    build: Any, fake: Any, space: Any, teams: Any, direct: Any, expected: list[bool | None], requests: int
) -> None:
    retriever = members(build, fake, space, teams, direct)
    rows = read(retriever)
    assert [row["direct"] for row in rows] == expected
    assert [(row["id"], row["projectId"], row["projectKey"]) for row in rows] == [(5, 1, "WEB"), (6, 1, "WEB")]
    assert len(retriever.requester.calls) == requests


def test_members_cost_one_request_where_the_teams_are_not_read(build: Any, fake: Any, space: Any) -> None:
    retriever = members(build, fake, space, TEAM, [HANAKO], ["projects/{}/users"])
    assert [row["direct"] for row in read(retriever)] == [None, None]
    assert retriever.requester.paths() == ["projects/1/users"]


def test_a_server_that_does_not_know_direct_members_is_asked_once(
    build: Any, fake: Any, space: Any, caplog: Any
) -> None:
    retriever = members(build, fake, space, TEAM, RejectedRequest(message="error.unknownParameter"))
    for _ in range(2):
        assert [row["direct"] for row in read(retriever)] == [None, None]
    assert len(retriever.requester.asked("projects/1/users")) == 3
    assert [record.message for record in caplog.records] == [
        "Backlog does not tell who was added to a project by name: direct is null."
    ]


def test_members_that_cannot_be_listed_are_none(build: Any, fake: Any) -> None:
    assert read(build(MemberRetriever, fake({}), project=WEB)) == []


def test_the_users_of_the_space_come_from_its_list(build: Any, fake: Any) -> None:
    retriever = build(PeopleRetriever, fake({"users": [{"id": 5}, {"id": 6}]}), by="space")
    assert read(retriever) == [{"id": 5}, {"id": 6}]
    assert retriever.requester.paths() == ["users"]


def test_who_may_not_list_the_users_gets_those_of_the_projects_once(build: Any, fake: Any) -> None:
    answers = {"projects": [WEB, APP], "projects/1/users": [{"id": 5}, {"id": 6}], "projects/2/users": [{"id": 6}]}
    assert read(build(PeopleRetriever, fake(answers), by="space")) == [{"id": 5}, {"id": 6}]


def test_a_space_without_teams_is_not_asked_again_by_project(build: Any, fake: Any) -> None:
    retriever = build(PeopleRetriever, fake({"teams": []}), by="space", path="teams")
    assert read(retriever) == []
    assert retriever.requester.paths() == ["teams"]


def test_the_members_of_teams_carry_their_team(build: Any, fake: Any, paged: Any) -> None:
    teams = [{"id": 1, "name": "A", "members": [{"id": 5}, {"id": 6}]}, {"id": 2, "name": "B", "members": None}]
    retriever = build(PeopleRetriever, fake({"teams": paged(teams)}), by="space", path="teams", members=True)
    assert read(retriever) == [{"id": 5, "teamId": 1, "teamName": "A"}, {"id": 6, "teamId": 1, "teamName": "A"}]


def test_stars_are_read_from_the_last_one_of_each_user_on(build: Any, fake: Any, served: Any) -> None:
    answers = {
        "users": [{"id": 5}, {"id": 6}],
        "users/5/stars": served([{"id": number} for number in (10, 20, 30)]),
        "users/6/stars": served([{"id": number} for number in (15, 25)]),
    }
    retriever = build(StarRetriever, fake(answers), {"users": {"5": 20}}, by="space")
    assert sorted((row["userId"], row["id"]) for row in read(retriever)) == [(5, 30), (6, 15), (6, 25)]
    retriever.partition_router.checkpoint(retriever.slice)
    assert retriever.position(retriever.slice).saved() == {"users": {"5": 30, "6": 25}}


@pytest.mark.parametrize(("kind", "column"), [("issue", "issueId"), ("project", "projectId"), ("page", "wikiId")])
def test_what_was_viewed_last_has_the_id_of_the_nested_object(
    build: Any, fake: Any, paged: Any, kind: str, column: str
) -> None:
    entries = [{kind: {"id": number}, "updated": "2026-01-01T00:00:00Z"} for number in range(150)]
    retriever = build(
        RecentlyViewedRetriever, fake({"viewed": paged(entries)}), by="space", path="viewed", id_column=column
    )
    rows = read(retriever)
    assert [row[column] for row in rows] == list(range(150))
    assert rows[7][kind] == {"id": 7}


def test_an_entry_that_moves_up_meanwhile_comes_once(build: Any, fake: Any) -> None:
    entries = [{"issue": {"id": number}} for number in range(150)]

    def answer(params: Row) -> list[Row]:
        page = entries[params["offset"] :][: params["count"]]
        entries.insert(0, entries.pop())
        return page

    retriever = build(RecentlyViewedRetriever, fake({"viewed": answer}), by="space", path="viewed", id_column="issueId")
    there = [row["issueId"] for row in read(retriever)]
    assert len(there) == len(set(there))
    assert set(range(148)) <= set(there)


def test_the_whole_tree_of_shared_files_is_walked_once(build: Any, fake: Any) -> None:
    def entry(number: int, folder: str, name: str, kind: str = "file") -> Row:
        return {"id": number, "dir": folder, "name": name, "type": kind}

    base = "projects/1/files/metadata/"
    answers = {
        base: [entry(1, "/", "a b", "directory"), entry(2, "/", "top.txt"), entry(3, "/", "空", "directory")],
        f"{base}a%20b": [entry(4, "/a b/", "deep", "directory"), entry(5, "/a b/", "x.txt")],
        f"{base}a%20b/deep": [entry(6, "/a b/deep/", "y.txt")],
        f"{base}%E7%A9%BA": [],
    }
    retriever = build(ObjectRetriever, fake(answers), project=WEB, finder="shared files")
    rows = read(retriever)
    assert {row["id"]: row["path"] for row in rows} == {
        1: "/a b",
        2: "/top.txt",
        3: "/空",
        4: "/a b/deep",
        5: "/a b/x.txt",
        6: "/a b/deep/y.txt",
    }
    assert {(row["projectId"], row["projectKey"]) for row in rows} == {(1, "WEB")}
    assert sorted(retriever.requester.paths()) == sorted(answers), "a request per folder"


@pytest.mark.parametrize(
    ("gone", "there"),
    [
        ([], True),
        (["a b/deep/y.txt"], False),
        (["a b/deep"], False),
        (["a b", "a b/deep"], False),
        # They are shown and refused, or the whole project is.
        (["a b/deep refused"], None),
        (["a b/deep refused", "a b refused"], None),
        (["everything"], None),
    ],
)
def test_a_refused_file_is_gone_if_its_folder_or_the_one_above_does_not_show_it(
    build: Any, fake: Any, gone: list[str], there: bool | None
) -> None:
    def entry(number: int, folder: str, name: str, kind: str) -> Row:
        return {"id": number, "dir": folder, "name": name, "type": kind}

    base = "projects/1/files/metadata/"
    answers = {
        base: [] if "a b" in gone else [entry(1, "/", "a b", "directory")],
        f"{base}a%20b": [] if "a b/deep" in gone else [entry(4, "/a b/", "deep", "directory")],
        f"{base}a%20b/deep": [] if "a b/deep/y.txt" in gone else [entry(6, "/a b/deep/", "y.txt", "file")],
    }
    for folder, path in (("a b", f"{base}a%20b"), ("a b/deep", f"{base}a%20b/deep"), ("", base)):
        if {folder, f"{folder} refused", "everything"} & set(gone):
            answers[path] = None
    retriever = build(ObjectRetriever, fake(answers), project=WEB, finder="shared files")
    finder = retriever.finder_of(retriever.slice, retriever.position(retriever.slice))
    if there is None:
        with pytest.raises(Unreadable):
            finder.has(entry(6, "/a b/deep/", "y.txt", "file"))
    else:
        assert finder.has(entry(6, "/a b/deep/", "y.txt", "file")) is there
