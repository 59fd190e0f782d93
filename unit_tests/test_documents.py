"""Documents: which are read again, the replies to their comments, the tree they stand in."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from source_backlog.changes.paging import Unreadable
from source_backlog.streams.documents import DocumentTreeRetriever
from source_backlog.streams.objects import ObjectRetriever

Row = dict[str, Any]

DocumentRetriever = partial(ObjectRetriever, finder="documents")
DocumentCommentRetriever = partial(ObjectRetriever, finder="commented documents", reader="document comments")

TREE = "documents/tree"
RECENT = "2026-01-10T00:00:00Z"
WEB = {"id": 1, "projectKey": "WEB"}


def identifier(number: int) -> str:
    return f"{number:032x}"


def document(number: int, updated: str, **more: Any) -> Row:
    return {
        "id": identifier(number),
        "projectId": 1,
        "title": f"Plan {number}",
        "updated": updated,
        "statusId": 1,
        **more,
    }


def activity(number: int, kind: int, of: int) -> Row:
    return {"id": number, "type": kind, "project": {"id": 1}, "content": {"id": identifier(of), "title": "t"}}


@pytest.fixture
def backlog(build: Any, fake: Any, served: Any, paged: Any) -> Callable[..., Any]:
    """`backlog(Retriever, documents, feed, position)`: the retriever over a project with these documents."""

    def make(kind: Any, documents: list[Row], feed: list[Row] | None = None, position: Row | None = None) -> Any:
        newest = sorted(documents, key=lambda one: one["updated"], reverse=True)
        answers: Row = {"documents": paged(newest), "space/activities": served(feed or []), "projects/1/statuses": []}
        for one in documents:
            answers[f"documents/{one['id']}"] = one
            answers[f"documents/{one['id']}/comments"] = [{"id": int(one["id"], 16) * 10, "content": "…"}]
        return build(kind, fake(answers), position, project=WEB)

    return make


def read(retriever: Any) -> list[Row]:
    return list(retriever.rows(retriever.slice))


def position_after(retriever: Any) -> Row:
    retriever.partition_router.checkpoint(retriever.slice)
    position: Row = retriever.position(retriever.slice).saved()
    return position


def test_the_first_sync_reads_all_documents(backlog: Any) -> None:
    documents = [document(1, "2026-01-01T00:00:00Z"), document(2, "2026-01-03T00:00:00Z")]
    retriever = backlog(DocumentRetriever, documents)
    assert {row["id"] for row in read(retriever)} == {identifier(1), identifier(2)}
    assert retriever.requester.asked("documents")[0] == {
        "projectId[]": 1,
        "sort": "updated",
        "order": "desc",
        "offset": 0,
        "count": 100,
    }
    assert position_after(retriever)["updated"] == "2026-01-03T00:00:00Z"


def test_the_next_sync_stops_at_the_first_older_document(backlog: Any) -> None:
    documents = [document(number, f"2026-01-{number:02d}T00:00:00Z") for number in range(1, 21)]
    documents += [document(100 + number, "2025-01-01T00:00:00Z") for number in range(200)]
    retriever = backlog(DocumentRetriever, documents, position={"updated": "2026-01-19T00:00:00Z", "activity": 0})
    assert {row["id"] for row in read(retriever)} == {identifier(19), identifier(20)}
    assert len(retriever.requester.asked("documents")) == 1


def test_a_document_that_only_the_feed_names_is_read_by_its_id(backlog: Any) -> None:
    documents = [document(1, "2025-01-01T00:00:00Z"), document(2, "2026-01-03T00:00:00Z")]
    feed = [activity(5, 36, 2), activity(6, 46, 1)]
    retriever = backlog(DocumentRetriever, documents, feed, {"updated": "2026-01-02T00:00:00Z", "activity": 5})
    assert [row["id"] for row in read(retriever)] == [identifier(2), identifier(1)]
    assert retriever.requester.asked(f"documents/{identifier(1)}") == [{}]
    assert position_after(retriever)["activity"] == 6


def tree(active: list[int], trashed: list[int] = []) -> Row:  # noqa: B006 (not written to)
    def of(numbers: list[int]) -> Row:
        return {"children": [{"id": identifier(number), "name": "…", "children": []} for number in numbers]}

    return {"projectId": 1, "activeTree": of(active), "trashTree": of(trashed)}


@pytest.mark.parametrize(
    ("answer", "skipped"), [(tree([1, 7]), [7]), (tree([1], [7]), [7]), (tree([1]), []), (tree([]), [])]
)
def test_a_refused_document_is_gone_if_the_tree_does_not_know_it(backlog: Any, answer: Row, skipped: list[int]) -> None:
    feed = [activity(3, 36, 1), activity(4, 39, 7)]
    retriever = backlog(DocumentRetriever, [document(1, RECENT)], feed, {"updated": RECENT, "activity": 3})
    retriever.requester.answers[TREE] = answer
    for _ in range(2):
        # However often it is refused.
        read(retriever)
        retriever.api_budget.memory.clear()
        assert position_after(retriever).get("skipped", []) == [identifier(number) for number in skipped]


def test_a_refused_document_of_a_project_that_is_lost_does_not_move_the_place(backlog: Any) -> None:
    feed = [activity(3, 36, 1), activity(4, 39, 7)]
    position = {"updated": RECENT, "activity": 3}
    retriever = backlog(DocumentRetriever, [document(1, RECENT)], feed, position)
    with pytest.raises(Unreadable):
        read(retriever)
    assert position_after(retriever) == position


@pytest.mark.parametrize(("answer", "empty"), [(tree([]), True), (tree([], [1]), True), (tree([1]), False)])
def test_an_empty_list_of_documents_is_believed_if_the_tree_is_empty_too(
    backlog: Any, answer: Row, empty: bool
) -> None:
    retriever = backlog(DocumentRetriever, [], [], {"updated": RECENT, "activity": 0})
    retriever.requester.answers[TREE] = answer
    if empty:
        assert read(retriever) == []
    else:
        with pytest.raises(Unreadable):
            read(retriever)


@pytest.mark.parametrize(
    ("body", "text"), [({"type": "doc"}, '{"type":"doc"}'), ('{"type":"doc"}', '{"type":"doc"}'), (None, None)]
)
def test_the_json_of_a_document_is_text(backlog: Any, body: Any, text: Any) -> None:
    (row,) = read(backlog(DocumentRetriever, [document(1, "2026-01-01T00:00:00Z", json=body)]))
    assert row["json"] == text


def test_replies_are_rows_that_name_their_comment(backlog: Any) -> None:
    retriever = backlog(DocumentCommentRetriever, [document(1, "2026-01-01T00:00:00Z")])
    replies = [{"id": 71, "content": "yes"}, {"id": 72, "content": {"type": "doc"}}]
    comments = [{"id": 7, "content": "?", "replies": replies}, {"id": 8, "content": None, "replies": None}]
    retriever.requester.answers[f"documents/{identifier(1)}/comments"] = comments
    rows = read(retriever)
    assert [(row["id"], row["commentId"], row["content"]) for row in rows] == [
        (7, None, "?"),
        (71, 7, "yes"),
        (72, 7, '{"type":"doc"}'),
        (8, None, None),
    ]
    assert {(row["projectId"], row["documentId"]) for row in rows} == {(1, identifier(1))}
    assert all("replies" not in row for row in rows)


def test_only_changed_or_commented_documents_cost_a_request_for_comments(backlog: Any) -> None:
    documents = [
        document(1, "2026-01-03T00:00:01Z"),
        document(2, "2025-01-01T00:00:00Z"),
        document(3, "2025-01-01T00:00:00Z"),
    ]
    feed = [activity(5, 36, 3), activity(6, 40, 2)]
    position = {"updated": "2026-01-03T00:00:00Z", "settled": True, "activity": 5}
    retriever = backlog(DocumentCommentRetriever, documents, feed, position)
    read(retriever)
    assert retriever.requester.paths("/comments") == [
        f"documents/{identifier(2)}/comments",
        f"documents/{identifier(1)}/comments",
    ], "in the order of their stamps"


def tree(fake: Any, build: Any, body: Any) -> list[Row]:
    return read(build(DocumentTreeRetriever, fake({"documents/tree": body, "projects/1/statuses": []}), project=WEB))


def test_a_node_knows_its_parent_its_path_and_its_place(fake: Any, build: Any) -> None:
    body = {
        "projectId": 1,
        "activeTree": {
            "id": "Active",
            "children": [
                {
                    "id": "a",
                    "name": "A",
                    "emoji": None,
                    "children": [{"id": "b", "name": "B"}, {"id": "c", "name": "C"}],
                },
                {"id": "d", "name": "D/E", "children": []},
            ],
        },
        "trashTree": {"id": "Trash", "children": [{"id": "t", "name": None}]},
    }
    rows = tree(fake, build, body)
    columns = ("id", "parentId", "path", "depth", "position", "trashed")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("a", None, "A", 0, 0, False),
        ("b", "a", "A/B", 1, 0, False),
        ("c", "a", "A/C", 1, 1, False),
        ("d", None, "D/E", 0, 1, False),
        ("t", None, "", 0, 0, True),
    ]
    assert all(row["projectKey"] == "WEB" and "children" not in row for row in rows)
    assert "emoji" in rows[0]


def test_a_tree_may_be_as_deep_as_the_user_likes(fake: Any, build: Any) -> None:
    node: Row = {"id": "0", "name": "n"}
    depth = 150
    for number in range(1, depth):
        node = {"id": str(number), "name": "n", "children": [node]}
    rows = tree(fake, build, {"activeTree": {"children": [node]}})
    assert [row["depth"] for row in rows] == list(range(depth))


@pytest.mark.parametrize("body", [{}, {"activeTree": None, "trashTree": None}, {"activeTree": {"children": None}}])
def test_an_empty_tree_has_no_nodes(fake: Any, build: Any, body: Any) -> None:
    assert tree(fake, build, body) == []
