"""The activity feed: as a stream, and as what tells the other streams which objects have changed."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from source_backlog.changes.backlog import Backlog
from source_backlog.changes.feed import (
    DOCUMENT_COMMENTED,
    DOCUMENT_DELETED,
    ISSUE_CHANGED,
    ISSUE_COMMENTED,
    ISSUE_DELETED,
    PULL_REQUEST_CHANGED,
    PULL_REQUEST_DELETED,
    WIKI_CHANGED,
    WIKI_DELETED,
    Feed,
    FeedTrimmed,
    feed_of,
    named_objects,
    touched_ids,
)
from source_backlog.changes.position import ObjectsPosition
from source_backlog.changes.progress import Walk
from source_backlog.space import Space
from source_backlog.streams.activities import ActivityRetriever
from source_backlog.streams.activity_rows import TYPE_NAMES, flat

Row = dict[str, Any]
Fake = Callable[..., Any]
Served = Callable[..., Callable[[Row], list[Row]]]

FEED = "space/activities"
WEB = {"id": 1, "projectKey": "WEB", "name": "Web site"}
APP = {"id": 2, "projectKey": "APP", "name": "App"}


def activity(number: int, kind: int = 2, project: Row | None = WEB, /, **content: Any) -> Row:
    return {
        "id": number,
        "type": kind,
        "project": project,
        "content": content,
        "created": f"2026-01-{number % 28 + 1:02d}T00:00:00Z",
    }


# The stream


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (1, "Issue Created"),
        (4, "Issue Deleted"),
        (14, "Issues Bulk Updated"),
        (17, "Comment Notification Added"),
        (21, "Pull Request Deleted or Merged"),
        (34, "Status Deleted"),
        (35, "Issue Dates Updated"),
        (36, "Document Created"),
        (45, "Document Comment Reply Deleted"),
        (47, "Issues Bulk Created"),
        (49, "Mentioned in Document"),
        (27, "Unknown (27)"),
        (50, "Unknown (50)"),
        (-1, "Unknown (-1)"),
        (0, "Unknown (0)"),
        (None, "Unknown (None)"),
    ],
)
def test_every_type_has_a_name(kind: Any, name: str) -> None:
    assert flat({"id": 1, "type": kind})["typeName"] == name


def test_the_types_are_those_of_the_api_and_their_names_are_unique() -> None:
    assert set(TYPE_NAMES) == set(range(1, 50)) - set(range(27, 34))
    assert len(set(TYPE_NAMES.values())) == len(TYPE_NAMES)


def test_project_and_creator_become_columns_beside_the_content() -> None:
    creator = {
        "id": 5,
        "name": "Hanako",
        "mailAddress": "hanako@example.com",
        "nulabAccount": {"nulabId": "N", "uniqueId": "hanako"},
    }
    row = flat({**activity(9, 3, id=4), "createdUser": creator})
    assert row["content"] == {"id": 4}
    assert row["project"] == WEB
    assert row["createdUser"] == creator
    assert {name: value for name, value in row.items() if name.startswith(("project", "createdUser", "type"))} == {
        "type": 3,
        "typeName": "Issue Commented",
        "project": WEB,
        "projectId": 1,
        "projectKey": "WEB",
        "projectName": "Web site",
        "createdUser": creator,
        "createdUserId": 5,
        "createdUserName": "Hanako",
        "createdUserMailAddress": "hanako@example.com",
        "createdUserNulabId": "N",
        "createdUserUniqueId": "hanako",
    }


@pytest.mark.parametrize(
    "nulls",
    [
        {},
        {"project": None, "createdUser": None, "type": None, "content": None},
        {"project": {}, "createdUser": {"nulabAccount": None}},
        {"createdUser": {"id": None, "nulabAccount": {}}},
    ],
)
def test_what_is_missing_becomes_null_columns(nulls: Row) -> None:
    row = flat({"id": 1, **nulls})
    for column in ("projectId", "projectKey", "projectName", "createdUserId", "createdUserName"):
        assert row[column] is None
    for column in ("createdUserMailAddress", "createdUserNulabId", "createdUserUniqueId"):
        assert row[column] is None


@pytest.fixture
def stream(build: Any, fake: Fake, served: Served) -> Callable[..., Any]:
    """`stream(activities, position, projects)`: the retriever over a feed, and the projects' own feeds."""

    def make(activities: list[Row], position: Row | None = None, projects: tuple[Row, ...] = (WEB, APP)) -> Any:
        answers: Row = {FEED: served(activities), "projects": list(projects)}
        for project in projects:
            own = [one for one in activities if (one["project"] or {}).get("id") == project["id"]]
            answers[f"projects/{project['id']}/activities"] = served(own)
        return build(ActivityRetriever, fake(answers), position, by="space")

    return make


def read(retriever: Any) -> list[int]:
    return [row["id"] for row in retriever.rows(retriever.slice)]


def walk(**position: Any) -> Walk[ObjectsPosition]:
    return Walk(ObjectsPosition.parse(position), lambda: True)


def position_after(retriever: Any) -> Row:
    retriever.partition_router.checkpoint(retriever.slice)
    position: Row = retriever.position(retriever.slice).saved()
    return position


def test_the_first_sync_reads_everything_oldest_first(stream: Callable[..., Any]) -> None:
    retriever = stream([activity(number) for number in range(1, 251)])
    assert read(retriever) == list(range(1, 251))
    seen = list(range(160, 251))
    assert position_after(retriever) == {"activity": 250, "seen": seen, "projects": [1, 2]}


def test_the_next_sync_reads_what_is_new(stream: Callable[..., Any]) -> None:
    retriever = stream([activity(number) for number in range(1, 21)], {"activity": 18, "projects": [1, 2]})
    assert read(retriever) == [19, 20]
    assert position_after(retriever) == {"activity": 20, "seen": [18, 19, 20], "projects": [1, 2]}


def test_a_sync_looks_again_at_the_last_activities_and_gives_none_of_them_twice(stream: Callable[..., Any]) -> None:
    position = {"activity": 20, "seen": [18, 19, 20], "projects": [1, 2]}
    retriever = stream([activity(number) for number in range(1, 23)], position)
    assert read(retriever) == [21, 22]
    assert [params.get("minId") for params in retriever.requester.asked(FEED)] == [None, 18]
    assert position_after(retriever)["seen"] == [18, 19, 20, 21, 22]


def test_an_activity_that_could_not_be_seen_before_one_with_a_higher_id_is_not_lost(
    stream: Callable[..., Any],
) -> None:
    feed = [activity(number) for number in range(1, 21) if number != 19]
    first = stream(feed, {"activity": 18, "projects": [1, 2]})
    assert read(first) == [20]
    saved = position_after(first)
    first.api_budget.memory.clear()
    second = stream([*feed, activity(19)], saved)
    assert read(second) == [19]
    saved = position_after(second)
    second.api_budget.memory.clear()
    assert read(stream([*feed, activity(19)], saved)) == []


def test_a_short_feed_is_looked_at_again_from_its_beginning(
    stream: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    feed = [activity(number) for number in range(1, 9)]
    first = stream(feed[3:6])
    assert read(first) == [4, 5, 6]
    saved = position_after(first)
    first.api_budget.memory.clear()
    assert read(stream(feed, saved)) == [1, 2, 3, 7, 8]
    assert not caplog.records
    first.api_budget.memory.clear()
    assert read(stream(feed[7:], saved)) == [8]
    assert "no longer holds the activities that followed 6" in caplog.text


def test_what_to_look_at_again_may_have_been_forgotten_by_backlog(
    stream: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    position = {"activity": 20, "seen": [5, 6, 18, 20], "projects": [1, 2]}
    retriever = stream([activity(number) for number in range(18, 23)], position)
    assert read(retriever) == [19, 21, 22], "what is left of it is looked at"
    assert position_after(retriever)["seen"] == [0, 18, 19, 20, 21, 22]
    assert not caplog.records


def test_a_position_of_another_space_is_given_up(stream: Callable[..., Any]) -> None:
    position = {"activity": 9000, "seen": [8000, 9000], "projects": [1, 2]}
    retriever = stream([activity(number) for number in range(1, 4)], position)
    assert read(retriever) == [1, 2, 3]
    assert position_after(retriever)["activity"] == 3


def test_a_sync_without_news_keeps_its_place_and_costs_two_small_requests(stream: Callable[..., Any]) -> None:
    retriever = stream([activity(18)], {"activity": 18, "projects": [1, 2]})
    assert read(retriever) == []
    assert position_after(retriever) == {"activity": 18, "projects": [1, 2]}
    assert retriever.requester.paths() == ["projects", FEED, FEED]


def test_a_space_without_activities_starts_at_zero(stream: Callable[..., Any]) -> None:
    retriever = stream([])
    assert read(retriever) == []
    assert position_after(retriever) == {"activity": 0, "projects": [1, 2]}


def test_the_history_of_a_project_that_has_become_visible_is_read(stream: Callable[..., Any]) -> None:
    feed = [activity(number, 2, APP if number % 2 else WEB) for number in range(1, 11)]
    retriever = stream(feed, {"activity": 6, "projects": [1]})
    assert sorted(read(retriever)) == [1, 3, 5, 7, 8, 9, 10], "APP from its beginning, WEB from the last id on"
    seen = [6, 7, 8, 9, 10]
    assert position_after(retriever) == {"activity": 10, "seen": seen, "projects": [1, 2]}


def test_activities_without_a_project_come_too_unless_projects_are_chosen(stream: Callable[..., Any]) -> None:
    retriever = stream([activity(1), activity(2, 2, None), activity(3, 2, APP)])
    assert read(retriever) == [1, 2, 3]
    retriever.api_budget.memory.clear()
    retriever.config["projects"] = ["WEB"]
    assert read(retriever) == [1]


def test_activities_without_a_project_come_when_projects_are_no_longer_chosen(stream: Callable[..., Any]) -> None:
    feed = [activity(1), activity(2, 2, None), activity(3, 2, APP), activity(4)]
    retriever = stream(feed[:3])
    retriever.config["projects"] = ["WEB"]
    assert read(retriever) == [1]
    narrowed = position_after(retriever)
    assert narrowed == {"activity": 3, "seen": [0, 1, 2, 3], "projects": [1], "narrowed": True}
    retriever.api_budget.memory.clear()
    retriever = stream(feed, narrowed)
    del retriever.config["projects"]
    assert sorted(read(retriever)) == [2, 3, 4]
    assert "narrowed" not in position_after(retriever)


def test_activities_of_archived_projects_are_left_out_with_them(stream: Callable[..., Any]) -> None:
    feed = [activity(1), activity(3, 2, APP), activity(4, 2, None)]
    retriever = stream(feed, projects=(WEB, {**APP, "archived": True}))
    retriever.config["include_archived_projects"] = False
    assert read(retriever) == [1, 4], "4 belongs to no project"


def test_activities_before_the_start_date_are_left_out(stream: Callable[..., Any]) -> None:
    retriever = stream([activity(number) for number in range(1, 6)])
    retriever.config["start_date"] = "2026-01-04T00:00:00Z"
    assert read(retriever) == [3, 4, 5]
    assert position_after(retriever)["activity"] == 5


def test_a_checkpoint_follows_every_hundred_activities(stream: Callable[..., Any]) -> None:
    retriever = stream([activity(number) for number in range(1, 251)])
    rows = retriever.rows(retriever.slice)
    for _ in range(150):
        next(rows)
    seen = list(range(10, 101))
    assert retriever.position(retriever.slice).saved() == {"activity": 100, "seen": seen, "projects": [1, 2]}


def test_a_checkpoint_covers_no_activity_that_is_not_yet_out(stream: Callable[..., Any]) -> None:
    retriever = stream([activity(number) for number in range(1, 251)])
    for row in retriever.rows(retriever.slice):
        assert (retriever.position(retriever.slice).activity or 0) < row["id"]


def test_a_sync_that_was_killed_goes_on_and_loses_nothing(stream: Callable[..., Any]) -> None:
    feed = [activity(number, 2, APP if number % 3 else WEB) for number in range(1, 251)]
    killed = stream(feed, {"activity": 20, "projects": [1]})
    rows = killed.rows(killed.slice)
    there = [next(rows)["id"] for _ in range(170)]
    again = stream(feed, killed.position(killed.slice).saved())
    old = {one["id"] for one in feed if one["project"] == WEB and one["id"] <= 20}
    assert set(there) | set(read(again)) == {one["id"] for one in feed} - old


def test_a_stream_whose_feed_is_trimmed_says_so_and_goes_on(
    stream: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    retriever = stream([activity(number) for number in range(50, 54)], {"activity": 7, "projects": [1, 2]})
    assert read(retriever) == [50, 51, 52, 53]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "no longer holds the activities that followed 7" in record.getMessage()
    seen = [0, 50, 51, 52, 53]
    assert position_after(retriever) == {"activity": 53, "seen": seen, "projects": [1, 2]}


# What the other streams ask


def feed_answer(fake: Fake, served: Served, activities: list[Row], inclusive: bool = True) -> Any:
    return fake({FEED: served(activities, inclusive)})


def test_the_head_is_asked_for_once_and_does_not_move(fake: Fake, served: Served) -> None:
    feed, activities = Feed(), [activity(1), activity(5)]
    requester = feed_answer(fake, served, activities)
    assert feed.head(requester) == 5
    activities.append(activity(6))
    assert feed.head(requester) == 5
    assert requester.calls == [(FEED, {"count": 91, "order": "desc"})]


def test_the_head_of_an_empty_feed_is_zero(fake: Fake, served: Served) -> None:
    assert Feed().head(feed_answer(fake, served, [])) == 0


def test_all_streams_share_one_feed(space: Space) -> None:
    assert feed_of(space) is feed_of(space)


def test_touched_objects_belong_to_the_project_and_to_the_types(fake: Fake, served: Served) -> None:
    requester = feed_answer(
        fake,
        served,
        [
            activity(10),
            activity(11, 2, id=100, key_id=1),
            activity(12, 2, APP, id=200, key_id=1),
            activity(13, 5, id=300),
            activity(14, 3, id=101, key_id=2),
            activity(15, 4, id=102, key_id=3),
            activity(16, 36, id="0" * 32),
            activity(17, 2, None, id=103),
        ],
    )
    feed = Feed()
    asked = {
        "issues": set(feed.touched(requester, 1, 10, ISSUE_CHANGED)),
        "comments": set(feed.touched(requester, 1, 10, ISSUE_COMMENTED)),
        "deleted": set(feed.touched(requester, 1, 10, ISSUE_DELETED)),
        "wikis": set(feed.touched(requester, 1, 10, WIKI_CHANGED)),
        "documents": set(feed.touched(requester, 1, 10, DOCUMENT_COMMENTED)),
        "other project": set(feed.touched(requester, 2, 10, ISSUE_CHANGED)),
        "unknown project": set(feed.touched(requester, 3, 10, ISSUE_CHANGED)),
    }
    assert asked == {
        "issues": {100},
        "comments": {100, 101},
        "deleted": {102},
        "wikis": {300},
        "documents": {"0" * 32},
        "other project": {200},
        "unknown project": set(),
    }
    assert len(requester.asked(FEED)) == 2, "its newest activity and its new ones, once for all of them"


def test_a_position_says_what_was_seen_of_the_project_just_before_the_head(fake: Fake, served: Served) -> None:
    activities = [activity(number, 2, APP if number % 2 else WEB) for number in range(1, 201)]
    read = walk()
    Feed().mark(feed_answer(fake, served, activities), 1, read)
    assert read.now.saved() == {"activity": 200, "again": [110, 45]}
    small = walk()
    Feed().mark(feed_answer(fake, served, activities[:3]), 1, small)
    assert small.now.saved() == {"activity": 3, "again": [1, 1]}
    empty = walk()
    Feed().mark(feed_answer(fake, served, []), 1, empty)
    assert empty.now.saved() == {"activity": 0}


@pytest.mark.parametrize("inclusive", [True, False])
def test_what_turns_up_behind_a_known_activity_is_looked_at(fake: Fake, served: Served, inclusive: bool) -> None:
    """Its id is lower, but when the last sync looked it could not be seen."""
    activities = [activity(number, id=100 + number) for number in range(1, 31) if number != 29]
    earlier = walk(activity=10, again=[5, 5])
    first = Feed()
    requester = feed_answer(fake, served, activities, inclusive)
    assert first.look(requester, 1, earlier) == 10
    assert 129 not in first.touched(requester, 1, 10, ISSUE_CHANGED)
    first.mark(requester, 1, earlier)
    assert earlier.now.saved() == {"activity": 30, "again": [5, 24]}
    requester = feed_answer(fake, served, [*activities, activity(29, id=129)], inclusive)
    second, later = Feed(), walk(**earlier.now.saved())
    assert second.look(requester, 1, later) == 5
    assert 129 in second.touched(requester, 1, 5, ISSUE_CHANGED)
    second.mark(requester, 1, later)
    assert later.now.saved() == {"activity": 30, "again": [5, 25]}
    assert Feed().look(requester, 1, walk(**later.now.saved())) == 30, "it is looked at once"


def test_what_turns_up_in_another_project_is_nothing_to_this_one(fake: Fake, served: Served) -> None:
    requester = feed_answer(fake, served, [activity(number, 2, APP if number == 8 else WEB) for number in range(1, 11)])
    assert Feed().look(requester, 1, walk(activity=10, again=[5, 4])) == 10
    assert Feed().look(requester, 2, walk(activity=10, again=[5, 0])) == 5


@pytest.mark.parametrize("held", [[], [40, 41]])
def test_a_feed_that_another_stream_has_loaded_whole_does_not_reach_back_for_ever(
    fake: Fake, served: Served, held: list[int]
) -> None:
    """One stream has never seen an activity, and reads all there are; another one knows of some that are forgotten."""
    feed, requester = Feed(), feed_answer(fake, served, [activity(number) for number in held])
    assert feed.look(requester, 1, walk(activity=0)) == 0
    with pytest.raises(FeedTrimmed):
        feed.look(requester, 1, walk(activity=30, again=[20, 9]))
    if held:
        assert feed.look(requester, 1, walk(activity=40)) == 40


@pytest.mark.parametrize("last", [5, 10])
def test_a_feed_that_has_forgotten_what_to_look_at_again_is_trimmed(
    fake: Fake, served: Served, caplog: pytest.LogCaptureFixture, last: int
) -> None:
    """Though it may reach back to the last activity known: others may have turned up before that."""
    requester = feed_answer(fake, served, [activity(number) for number in range(8, 13)])
    with pytest.raises(FeedTrimmed):
        Feed().look(requester, 1, walk(activity=last, again=[2, 3]))
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("types", "numbers"),
    [
        (ISSUE_CHANGED, {1, 2, 14, 34, 35, 47}),
        (ISSUE_COMMENTED, {1, 2, 3, 14, 17, 35, 47}),
        (WIKI_CHANGED, {5, 6}),
        (DOCUMENT_COMMENTED, {36, 38, 39, 40, 41, 42, 43, 44, 45, 46, 48, 49}),
        (PULL_REQUEST_CHANGED, {18, 19, 20, 21}),
        (ISSUE_DELETED, {4}),
        (WIKI_DELETED, {7}),
        (DOCUMENT_DELETED, {37}),
        (PULL_REQUEST_DELETED, {21}),
    ],
)
def test_which_activities_concern_which_family(types: frozenset[int], numbers: set[int]) -> None:
    assert types == numbers


def test_the_bound_itself_is_not_touched_again(fake: Fake, served: Served) -> None:
    activities = [activity(10, id=100), activity(11, id=101)]
    assert set(Feed().touched(feed_answer(fake, served, activities), 1, 10, ISSUE_CHANGED)) == {101}


def test_an_exclusive_server_gives_the_same(fake: Fake, served: Served) -> None:
    activities = [activity(number, id=100 + number) for number in range(1, 150)]
    requester = feed_answer(fake, served, activities, inclusive=False)
    assert set(Feed().touched(requester, 1, 10, ISSUE_CHANGED)) == {100 + number for number in range(11, 150)}


def test_a_later_bound_needs_no_further_request_and_gives_less(fake: Fake, served: Served) -> None:
    requester = feed_answer(fake, served, [activity(number, id=100 + number) for number in range(1, 20)])
    feed = Feed()
    assert set(feed.touched(requester, 1, 5, ISSUE_CHANGED)) == {100 + number for number in range(6, 20)}
    asked = len(requester.calls)
    assert set(feed.touched(requester, 1, 15, ISSUE_CHANGED)) == {116, 117, 118, 119}
    assert len(requester.calls) == asked


def test_an_earlier_bound_reads_the_feed_from_there(fake: Fake, served: Served) -> None:
    requester = feed_answer(fake, served, [activity(number, id=100 + number) for number in range(1, 20)])
    feed = Feed()
    feed.touched(requester, 1, 15, ISSUE_CHANGED)
    assert set(feed.touched(requester, 1, 5, ISSUE_CHANGED)) == {100 + number for number in range(6, 20)}


def test_an_object_that_was_touched_twice_is_named_once_with_its_last_activity(fake: Fake, served: Served) -> None:
    activities = [activity(1), activity(2, 2, id=100, key_id=7), activity(3, 14, link=[{"id": 100, "key_id": 7}])]
    touched = Feed().touched(feed_answer(fake, served, activities), 1, 1, ISSUE_CHANGED)
    assert list(touched) == [100]
    assert touched[100].activity == 3


def test_bulk_activities_name_all_their_objects() -> None:
    bulk = activity(7, 14, link=[{"id": 100, "key_id": 1, "title": "a"}, {"id": 101, "key_id": 2}])
    assert [(one.id, one.key_id, one.type, one.activity) for one in named_objects(bulk)] == [
        (100, 1, 14, 7),
        (101, 2, 14, 7),
    ]
    documents = activity(8, 48, documents=[{"id": "a" * 32, "title": "t"}, {"id": "b" * 32}])
    assert [(one.id, one.key_id) for one in named_objects(documents)] == [("a" * 32, None), ("b" * 32, None)]


def test_a_single_activity_names_its_object_with_number_and_time() -> None:
    (issue,) = named_objects(activity(7, 2, id=100, key_id=1))
    assert (issue.id, issue.key_id, issue.created) == (100, 1, "2026-01-08T00:00:00Z")
    (pull_request,) = named_objects(activity(7, 20, id=5, number=3))
    assert (pull_request.id, pull_request.key_id) == (5, 3)


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "text",
        {},
        {"id": None},
        {"link": None},
        {"link": {}},
        {"link": [None, 7, {}, {"id": None}]},
        {"documents": "none"},
    ],
)
def test_content_of_any_shape_names_nothing(content: Any) -> None:
    assert list(named_objects({"id": 1, "type": 14, "content": content})) == []


def test_a_feed_that_does_not_reach_back_is_reported_once_and_always_refused(
    fake: Fake, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    requester, feed = feed_answer(fake, served, [activity(50, id=1), activity(51, id=2)]), Feed()
    for types in (ISSUE_CHANGED, WIKI_CHANGED, ISSUE_CHANGED):
        with pytest.raises(FeedTrimmed):
            feed.touched(requester, 1, 7, types)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "Backlog no longer holds the activities since the last sync (after 7). Everything that they could have "
        "pointed to is read again."
    )


def test_a_feed_that_is_empty_by_now_does_not_reach_back(fake: Fake, served: Served) -> None:
    with pytest.raises(FeedTrimmed):
        Feed().touched(feed_answer(fake, served, []), 1, 7, ISSUE_CHANGED)


def test_a_bound_that_is_not_visible_any_more_is_no_gap(
    fake: Fake, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Activities of a project that the user has left are hidden, but the feed reaches further back."""
    requester = feed_answer(fake, served, [activity(5, id=1), activity(9, id=2)])
    assert set(Feed().touched(requester, 1, 7, ISSUE_CHANGED)) == {2}
    assert caplog.records == []


def test_a_trimmed_feed_clears_the_position_so_that_everything_is_read_again(
    fake: Fake, served: Served, space: Space
) -> None:
    cleared = walk(updated="2026-01-01T00:00:00Z", activity=7)
    backlog = Backlog({}, feed_answer(fake, served, [activity(50)]), space, "issues")  # type: ignore[arg-type]
    assert touched_ids(backlog, 1, cleared, ISSUE_CHANGED) == {}
    assert not cleared.now


def test_a_first_sync_does_not_ask_the_feed(fake: Fake, served: Served, space: Space) -> None:
    requester = feed_answer(fake, served, [activity(50)])
    backlog = Backlog({}, requester, space, "issues")  # type: ignore[arg-type]
    assert touched_ids(backlog, 1, walk(), ISSUE_CHANGED) == {}
    assert requester.calls == []


def plain_comment(number: int) -> Row:
    return activity(number, 3, id=100 + number, key_id=number)


def test_what_lies_before_the_head_is_touched_even_if_the_feed_was_asked_before_the_head(
    fake: Fake, served: Served
) -> None:
    """The next sync starts behind the head: what is older and not touched would be lost for ever."""
    activities = [plain_comment(number) for number in range(1, 5)]
    answer = served(activities)

    def grow_after(params: Row) -> list[Row]:
        page = answer(params)
        activities.append(plain_comment(len(activities) + 1))
        return page

    requester, feed = fake({FEED: grow_after}), Feed()
    touched = {one.activity for one in feed.touched(requester, 1, 2, ISSUE_COMMENTED).values()}
    assert set(range(3, feed.head(requester) + 1)) <= touched


def test_what_lies_before_the_head_is_touched_even_if_the_stream_of_activities_was_read_before(
    build: Any, requester: Any, space: Space, requests_mock: Any, served: Served
) -> None:
    """The answers that the stream has received are kept, and given to the feed again."""
    space.memory["rate limit"] = None
    activities = [plain_comment(number) for number in range(1, 5)]
    answer = served(activities)

    def page(request: Any, context: Any) -> list[Row]:
        asked = {name: values[0] for name, values in request.qs.items()}
        numbers = {name: int(asked[name.lower()]) for name in ("minId", "count") if name.lower() in asked}
        return answer({**numbers, "order": asked["order"]})

    requests_mock.get("https://acme.backlog.jp/api/v2/space/activities", json=page)
    requests_mock.get("https://acme.backlog.jp/api/v2/projects", json=[WEB])
    stream = build(ActivityRetriever, requester, {"activity": 2, "projects": [1]}, by="space")
    assert read(stream) == [3, 4]
    activities.append(plain_comment(5))
    feed = feed_of(space)
    head = feed.head(requester)
    touched = {one.activity for one in feed.touched(requester, 1, 2, ISSUE_COMMENTED).values()}
    assert set(range(3, head + 1)) <= touched
