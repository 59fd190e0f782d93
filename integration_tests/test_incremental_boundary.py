"""What changes at the edges of a sync: the last day, the same second, the run itself, the end of the feed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integration_tests.emulator import Emulator, Space
from integration_tests.emulator.generator import generate
from integration_tests.harness import Destination, Sync, differences, sync
from integration_tests.histories import SHOWS, hold_back, untold

ISSUES = ["issues", "issue_comments", "issue_changelogs", "issue_shared_files", "issue_comment_notifications"]
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
DAY = 86_400


def small(**options: Any) -> Space:
    return generate(seed=5, projects=2, archived_projects=0, foreign_projects=0, issues=40, **options)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(space=small()) as emulator:
        yield emulator


def issue_of(emulator: Emulator) -> Any:
    """An issue that has not changed for days, in a project with others that have."""
    project = next(iter(emulator.space.projects.values()))
    return min(project.issues, key=lambda issue: issue.updated)


def cursors(result: Sync, stream: str) -> list[dict[str, Any]]:
    """The saved positions of a stream."""
    message = next(each for each in result.state if each.stream.stream_descriptor.name == stream)
    return [entry["cursor"] for entry in message.stream.stream_state.__dict__["states"]]


class Synced:
    """A destination that has taken in a first sync."""

    def __init__(self, emulator: Emulator, streams: list[str], **options: Any) -> None:
        self.emulator, self.streams, self.options = emulator, streams, options
        self.destination = Destination()
        self.last = sync(emulator, streams, **options)
        self.destination.load(self.last)

    def again(self) -> Sync:
        """Sync once more."""
        self.last = sync(self.emulator, self.streams, self.last.state, **self.options)
        self.destination.load(self.last)
        return self.last

    def complete(self) -> bool:
        """Whether the tables equal the space."""
        found = [
            line
            for stream in self.streams
            for line in differences(self.emulator, stream, self.destination.tables[stream])
            if not any(f": {column} is " in line for column in SHOWS.get(stream, ()))
        ]
        assert not found, found[:5]
        return True


# --- the window ---


def test_the_state_has_full_time_stamps_and_the_requests_whole_days(emulator: Emulator) -> None:
    synced = Synced(emulator, ["issues"])
    emulator.space.advance(5 * DAY)
    emulator.clear_requests()
    synced.again()
    known = {position["updated"] for position in cursors(synced.last, "issues")}
    assert all(STAMP.fullmatch(stamp) for stamp in known)
    windows = {request.value("updatedSince") for request in emulator.requests if request.path.endswith("/issues")}
    day_before = {(datetime.fromisoformat(stamp) - timedelta(days=1)).strftime("%Y-%m-%d") for stamp in known}
    assert windows == day_before


def test_no_upper_bound_is_ever_sent(emulator: Emulator) -> None:
    synced = Synced(emulator, [*ISSUES, "wikis", "documents", "pull_requests", "activities", "user_stars"])
    synced.again()
    names = {name for request in emulator.requests for name, _ in request.query}
    assert not [name for name in names if "Until" in name or name == "maxId"]


@pytest.mark.parametrize("zone", ["Etc/GMT+12", "America/Los_Angeles", "UTC", "Asia/Tokyo", "Pacific/Kiritimati"])
@pytest.mark.parametrize("hour", [0, 11, 12, 13, 23])
def test_days_are_cut_in_the_zone_of_the_space(zone: str, hour: int) -> None:
    space = small(timezone=zone, now=datetime(2026, 6, 30, hour, 59, 59, tzinfo=UTC))
    with Emulator(space=space) as emulator:
        synced = Synced(emulator, ["issues"])
        # Without the feed, which would tell of it as well.
        for seconds in (0, 1, 3_600):
            space.advance(seconds)
            space.update_issue(issue_of(emulator), summary=f"{zone} {hour} {seconds}")
            synced.last.state[:] = [without_activity(message) for message in synced.last.state]
            synced.again()
            assert synced.complete()


def without_activity(message: Any) -> Any:
    """A state without the place in the feed, so that only the list can tell."""
    for entry in message.stream.stream_state.__dict__["states"]:
        entry["cursor"].pop("activity")
    return message


# --- what moves no stamp ---


def touch_plain_comment(space: Space, issue: Any) -> None:
    space.add_comment(issue, "コメントだけ")


def touch_bulk_update(space: Space, issue: Any) -> None:
    space.bulk_update_issues([issue, issue.project.issues[0]], summary="一括", comment="まとめて")


def touch_bulk_create(space: Space, issue: Any) -> None:
    for made in space.bulk_create_issues(issue.project, ["まとめて 1", "まとめて 2"]):
        space.add_comment(made, "すぐに")


def touch_notification(space: Space, issue: Any) -> None:
    space.add_comment_notification(space.add_comment(issue, "知らせる"), ["member"])


def touch_dates(space: Space, issue: Any) -> None:
    space.update_issue_dates([issue], start_date="2026-07-01", due_date="2026-07-02")


def touch_dates_of_one(space: Space, issue: Any) -> None:
    space.update_issue_dates([issue], start_date="2026-07-01", due_date="2026-07-03", as_link=False)


def touch_link(space: Space, issue: Any) -> None:
    file = next(file for file in issue.project.files.values() if file.type == "file" and file not in issue.shared_files)
    space.link_shared_file(issue, file)


def touch_status(space: Space, issue: Any) -> None:
    space.update_issue(issue, status=space.create_status(issue.project, "保留"))
    space.delete_status(issue.project, "保留")


TOUCHES = [value for name, value in list(globals().items()) if name.startswith("touch_")]


@pytest.mark.parametrize("touch", TOUCHES, ids=lambda touch: touch.__name__)
@pytest.mark.parametrize("after", [0, 30 * DAY], ids=["same second", "a month later"])
@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
def test_what_the_feed_tells_is_found(
    emulator: Emulator, touch: Callable[[Space, Any], None], after: int, inclusive: bool
) -> None:
    emulator.space.settings.inclusive_ids = inclusive
    synced = Synced(emulator, ISSUES)
    emulator.space.advance(after)
    touch(emulator.space, issue_of(emulator))
    synced.again()
    assert synced.complete()


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("first", [True, False], ids=["first sync", "later sync"])
def test_an_activity_that_is_seen_after_one_with_a_higher_id_is_not_lost(
    emulator: Emulator, inclusive: bool, first: bool
) -> None:
    """Its id was given first, but it was written last; between the two a sync has looked."""
    space = emulator.space
    space.settings.inclusive_ids = inclusive
    streams = [*ISSUES, "activities"]
    synced = None if first else Synced(emulator, streams)
    space.advance(DAY)
    old = issue_of(emulator)
    file = next(file for file in old.project.files.values() if file.type == "file" and file not in old.shared_files)
    show = hold_back(space, space.add_comment(old, "ひとつ") and space.activities[-1])
    space.update_issue(old.project.issues[-1], summary="後から")
    synced = synced or Synced(emulator, streams)
    if not first:
        synced.again()
    show()
    space.link_shared_file(old, file)
    space.advance(5 * DAY)
    space.update_issue(old.project.issues[-1], summary="もっと後で")
    second = synced.again()
    assert synced.complete()
    assert len(second.rows["activities"]) == 3, "the late one and what came since, and none twice"
    third = synced.again()
    assert not third.rows["activities"]
    assert not [path for path in third.paths() if path.endswith("/comments")]


def test_a_notification_for_an_old_comment_is_found(emulator: Emulator) -> None:
    issue = issue_of(emulator)
    comment = emulator.space.add_comment(issue, "昔のコメント")
    synced = Synced(emulator, ISSUES)
    emulator.space.advance(10 * DAY)
    emulator.space.add_comment_notification(comment, ["member", "guest"])
    rows = synced.again().rows["issue_comment_notifications"]
    assert {row["commentId"] for row in rows} >= {comment.id}
    assert synced.complete()


def test_an_edited_comment_is_found_when_its_issue_is_touched(emulator: Emulator) -> None:
    issue = issue_of(emulator)
    comment = emulator.space.add_comment(issue, "初稿")
    synced = Synced(emulator, ["issue_comments"])
    emulator.space.advance(DAY)
    emulator.space.edit_comment(comment, "改稿")
    synced.again()
    # Backlog gives no sign of it.
    assert synced.destination.tables["issue_comments"][comment.id,]["content"] == "初稿"
    emulator.space.add_comment(issue, "もう一つ")
    synced.again()
    assert synced.destination.tables["issue_comments"][comment.id,]["content"] == "改稿"
    assert synced.complete()


# --- the run itself ---


def during(emulator: Emulator, path: str, change: Callable[[], Any], *, number: int = 1) -> None:
    """Make `change` before the `number`-th request to a path."""
    left = [number]

    def hook(request: Any) -> None:
        if re.search(path, request.path):
            left[0] -= 1
            if left[0] == 0:
                change()

    emulator.before_request(hook)


@pytest.mark.parametrize("first", [True, False], ids=["first sync", "later sync"])
@pytest.mark.parametrize("path", ["/issues$", "/comments$", "/space/activities$", "/projects$"])
def test_an_issue_that_changes_during_the_run_is_not_lost(emulator: Emulator, path: str, first: bool) -> None:
    issue = issue_of(emulator)
    space = emulator.space

    def change() -> None:
        space.update_issue(issue, summary="走っている間に")
        space.add_comment(issue, "走っている間に")
        space.create_issue(issue.project, "走っている間に")

    if first:
        during(emulator, path, change)
        synced = Synced(emulator, ISSUES)
    else:
        synced = Synced(emulator, ISSUES)
        space.advance(DAY)
        space.add_comment(space.create_issue(issue.project, "間"), "コメント")
        during(emulator, path, change)
        synced.again()
    # Later changes make the position of the next sync later than what was missed.
    space.advance(3 * DAY)
    space.update_issue(issue.project.issues[-1], summary="その後")
    synced.again()
    assert synced.complete()


@pytest.mark.parametrize("stamp", ["epoch seconds", "epoch milliseconds"])
def test_stamps_may_be_numbers(emulator: Emulator, stamp: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from source_backlog.api.requester import BacklogRequester

    original = BacklogRequester.get_json

    def numbers(self: Any, path: str, params: Any = None, **kind: Any) -> Any:
        body = original(self, path, params, **kind)
        if path == "issues":
            for issue in body:
                seconds = int(datetime.fromisoformat(issue["updated"]).timestamp())
                issue["updated"] = seconds * (1000 if "milli" in stamp else 1)
        return body

    monkeypatch.setattr(BacklogRequester, "get_json", numbers)
    synced = Synced(emulator, ["issues", "issue_comments"])
    emulator.space.advance(DAY)
    emulator.space.update_issue(issue_of(emulator), summary="数字")
    synced.again()
    assert synced.complete()
    assert all(STAMP.fullmatch(position["updated"]) for position in cursors(synced.last, "issues"))


@pytest.mark.parametrize("streams", [ISSUES, ["wikis", "wiki_history"], ["documents", "document_comments"]])
def test_a_stamp_of_the_future_stops_nothing(emulator: Emulator, streams: list[str]) -> None:
    space = emulator.space
    project = next(each for each in space.projects.values() if each.use_wiki and each.use_document)
    future = int(datetime(2999, 1, 1, tzinfo=UTC).timestamp())
    page = next(iter(project.wikis.values())) if project.wikis else space.create_wiki(project, "未来")
    document = next(iter(project.documents.values()), None) or space.create_document(project, "未来")
    for thing in (project.issues[0], page, document):
        thing.updated = future
    synced = Synced(emulator, streams)
    space.advance(DAY)
    space.update_issue(project.issues[1], summary="今")
    space.update_wiki(space.create_wiki(project, "今"), content="今")
    # An emoji leaves no activity.
    space.update_document(space.create_document(project, "今"), emoji="🎉")
    synced.again()
    assert synced.complete()
    assert all(position["updated"] < "2027" for position in cursors(synced.last, streams[0]) if "updated" in position)


def test_what_the_feed_never_shows_is_found_within_the_same_second() -> None:
    """The look of the last sync fell between two changes of one second, the second of which left no activity."""
    streams = ["issue_comments", "issue_changelogs", "pull_request_comments", "pull_request_changelogs"]
    space = small(now=datetime(2026, 6, 30, 9, 0, 0, tzinfo=UTC))
    with Emulator(space=space, virtual_dates=True) as emulator:
        issue = issue_of(emulator)
        request = next(iter(space.pull_requests.values()))
        space.update_issue(issue, summary="一")
        space.update_pull_request(request, summary="一")
        synced = Synced(emulator, streams)
        untold(space, lambda: space.update_issue(issue, summary="二"))
        untold(space, lambda: space.update_pull_request(request, summary="二"))
        space.advance(60)
        second = synced.again()
        assert synced.complete()
        assert len([path for path in second.paths() if path.endswith("/comments")]) <= 4
        # That second was over when this sync began: the next one does not ask again.
        space.advance(60)
        assert not [path for path in synced.again().paths() if path.endswith("/comments")]


# --- the end of the feed ---


def test_a_trimmed_feed_is_answered_by_reading_all_issues(emulator: Emulator) -> None:
    synced = Synced(emulator, ISSUES)
    emulator.space.advance(90 * DAY)
    emulator.space.add_comment(issue_of(emulator), "誰も覚えていない")
    emulator.space.update_issue(emulator.space.project("WEB").issues[-1], summary="新しい")
    emulator.space.trim_activities(keep=1)
    result = synced.again()
    assert synced.complete()
    assert [text for text in result.warnings() if "no longer holds the activities" in text]


def test_a_feed_that_reaches_back_costs_and_says_nothing(emulator: Emulator) -> None:
    synced = Synced(emulator, ["issue_comments"])
    emulator.space.advance(DAY)
    emulator.space.add_comment(issue_of(emulator), "ひとつ")
    result = synced.again()
    assert not result.warnings()
    assert len([path for path in result.paths() if path.endswith("/comments")]) == 1
    assert result.paths().count("space/activities") == 2


# --- the same for everything else ---


def test_what_leaves_no_activity_is_found_within_the_same_second(emulator: Emulator) -> None:
    """The look of the last sync fell between two changes of one second; Backlog's stamps count seconds."""
    space = emulator.space
    project = next(each for each in space.projects.values() if each.use_wiki and each.use_document)
    page, other = space.create_wiki(project, "一"), space.create_document(project, "二")
    attachment = space.attach_file_to_wiki(page, "消える.png")
    space.comment_document(other, "コメント")
    space.trash_document(other)
    space.update_wiki(space.create_wiki(project, "三"), content="同じ秒")
    space.create_document(project, "四")
    synced = Synced(emulator, ["wikis", "documents", "document_comments"])
    space.remove_wiki_attachment(page, attachment)
    space.restore_document(other)
    space.advance(60)
    second = synced.again()
    assert synced.complete()
    assert {row["id"] for row in second.rows["wikis"]} >= {page.id}
    # Seen by two syncs, that second is over: a third one does not ask again.
    third = synced.again()
    assert not third.rows["wikis"]
    assert not [path for path in third.paths() if path.endswith("/comments")]


def change_wikis(space: Space, project: Any) -> None:
    pages = list(project.wikis.values()) or [space.create_wiki(project, "最初")]
    space.update_wiki(pages[0], content="変わった")
    space.attach_file_to_wiki(pages[-1], "図.png")
    space.create_wiki(project, "新しい", tags=["設計"])


def change_documents(space: Space, project: Any) -> None:
    document = space.create_document(project, "新しい")
    comment = space.comment_document(document, "コメント")
    reply = space.reply_to_document_comment(comment, "返信")
    space.edit_document_reply(reply, "直した")
    old = next(iter(project.documents.values()))
    space.comment_document(old, "古い文書に")
    space.edit_document_comment(comment, "直した")
    space.update_document(old, emoji="🎉")


def change_requests(space: Space, project: Any) -> None:
    repository = project.repositories[0]
    request = space.create_pull_request(repository, "新しい")
    space.comment_pull_request(request, "レビュー")
    space.comment_pull_request(repository.pull_requests[0], "古いものに", notify=["member"])
    space.close_pull_request(repository.pull_requests[0])


def change_people(space: Space, project: Any) -> None:
    issue = project.issues[0]
    space.add_star(issue, by="member")
    space.add_star(space.add_comment(issue, "＠", by="member", notify=[None]), by="guest")
    space.watch(project.issues[-1], note="見る")


OTHERS: list[tuple[list[str], Callable[[Space, Any], None]]] = [
    (["wikis", "wiki_history", "wiki_tags", "wiki_attachments"], change_wikis),
    (["documents", "document_comments", "document_tags", "document_attachments"], change_documents),
    (
        ["pull_requests", "pull_request_comments", "pull_request_changelogs", "pull_request_comment_notifications"],
        change_requests,
    ),
    (["user_stars", "notifications", "watchings"], change_people),
    (["activities"], change_documents),
]
# Where a change may fall: before the first request, or before that of a list or of a child.
PLACES = [r".", r"/wikis$|/documents$|/repositories$|/stars$|/notifications$|/activities$", r"/history$|/comments$"]


@pytest.mark.parametrize(("streams", "change"), OTHERS, ids=lambda value: value[0] if isinstance(value, list) else "")
@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("number", [1, 2])
def test_the_same_discipline_everywhere(
    streams: list[str], change: Callable[[Space, Any], None], inclusive: bool, path: str, number: int
) -> None:
    with Emulator(space=small(), settings={"inclusive_ids": inclusive}) as emulator:
        space = emulator.space
        project = next(iter(space.projects.values()))
        space.create_pull_request(project.repositories[0], "最初")
        during(emulator, path, lambda: change(space, project), number=number)
        synced = Synced(emulator, streams)
        change(space, project)
        synced.again()
        space.advance(1)
        synced.again()
        space.advance(DAY)
        during(emulator, path, lambda: change(space, project), number=number)
        synced.again()
        space.advance(1)
        synced.again()
        assert synced.complete()
