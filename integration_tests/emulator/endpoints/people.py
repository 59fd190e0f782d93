"""Users, teams and one's own things: section 4.2 of the API reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..api import BY_ID, BY_OFFSET, ORDER, ApiError, Binary, Call, boolean, calendar_day, choice, get, integer, missing
from ..entities import stamp
from .space import PIXEL, find_user


@get("/users", role="any_administrator")
def users(call: Call) -> Any:
    return [user for user in call.space.users.values() if user.active]


@get("/users/myself")
def myself(call: Call) -> Any:
    return call.user


def recently_viewed(kind: str, key: str, find: Callable[[Call, int], Any], fits: Callable[[Call, Any], bool]) -> Any:
    def answer(call: Call) -> Any:
        viewed = [(find(call, identity), moment) for identity, moment in call.user.viewed.get(kind, {}).items()]
        rows = [{key: thing.shape(), "updated": stamp(moment)} for thing, moment in viewed if fits(call, thing)]
        if call.value("order") != "asc":
            rows.reverse()
        return call.window(rows)

    return answer


def _in_readable_project(call: Call, thing: Any) -> bool:
    return call.space.sees(call.user, thing.project, contents=True)


PERSONAL = {**BY_OFFSET, **ORDER}

get("/users/myself/recentlyViewedIssues", params=PERSONAL)(
    recently_viewed("Issue", "issue", lambda call, identity: call.space.issues[identity], _in_readable_project)
)
get("/users/myself/recentlyViewedProjects", params=PERSONAL)(
    recently_viewed(
        "Project",
        "project",
        lambda call, identity: call.space.projects[identity],
        lambda call, project: call.space.sees(call.user, project),
    )
)
get("/users/myself/recentlyViewedWikis", params=PERSONAL)(
    recently_viewed(
        "Wiki",
        "page",
        lambda call, identity: call.space.wikis[identity],
        lambda call, wiki: wiki.project.use_wiki and _in_readable_project(call, wiki),
    )
)


@get("/users/{user}")
def user(call: Call) -> Any:
    return find_user(call)


@get("/users/{user}/icon", category="icon")
def user_icon(call: Call) -> Any:
    find_user(call)
    return Binary(PIXEL, "icon.png")


@get("/users/{user}/stars", params=BY_ID)
def stars(call: Call) -> Any:
    return call.id_window(find_user(call).stars_received)


@get("/users/{user}/stars/count", params={"since": calendar_day, "until": calendar_day}, strict=True)
def star_count(call: Call) -> Any:
    rows = find_user(call).stars_received
    if "since" in call.values:
        start, _ = call.space.day_bounds(call.values["since"])
        rows = [star for star in rows if star.created >= start]
    if "until" in call.values:
        _, end = call.space.day_bounds(call.values["until"])
        rows = [star for star in rows if star.created < end]
    return {"count": len(rows)}


WATCHING_SORTS = {
    "created": lambda watching: watching.created,
    "updated": lambda watching: watching.updated,
    "issueUpdated": lambda watching: watching.issue.updated,
}


@get(
    "/users/{user}/watchings",
    params={
        **BY_OFFSET,
        **ORDER,
        "sort": choice(*WATCHING_SORTS),
        "resourceAlreadyRead": boolean,
        "issueId[]": integer(),
    },
    strict=True,
)
def watchings(call: Call) -> Any:
    rows = [watching for watching in find_user(call).watchings if _in_readable_project(call, watching.issue)]
    if "resourceAlreadyRead" in call.values:
        rows = [watching for watching in rows if watching.already_read == call.values["resourceAlreadyRead"]]
    if "issueId[]" in call.values:
        rows = [watching for watching in rows if watching.issue.id in call.values["issueId[]"]]
    ties = call.ties()
    rows.sort(key=lambda watching: ties(watching.id))
    rows.sort(key=WATCHING_SORTS[call.value("sort", "issueUpdated")], reverse=call.value("order") != "asc")
    return call.window(rows)


@get("/users/{user}/watchings/count", params={"resourceAlreadyRead": boolean, "alreadyRead": boolean})
def watching_count(call: Call) -> Any:
    wanted = call.value("resourceAlreadyRead", call.value("alreadyRead"))
    rows = [watching for watching in find_user(call).watchings if _in_readable_project(call, watching.issue)]
    return {"count": sum(1 for watching in rows if wanted is None or watching.already_read == wanted)}


@get("/watchings/{watching}")
def watching(call: Call) -> Any:
    return call.part(call.user.watchings, "watching", "watching")


@get("/notifications", params={**BY_ID, "senderId": integer()})
def notifications(call: Call) -> Any:
    sender = call.value("senderId")
    return call.id_window(
        call.user.notifications,
        keep=lambda each: (
            (sender is None or each.sender.id == sender) and call.space.sees(call.user, each.project, contents=True)
        ),
    )


@get("/notifications/count", params={"alreadyRead": boolean, "resourceAlreadyRead": boolean})
def notification_count(call: Call) -> Any:
    count = 0
    for each in call.user.notifications:
        if call.value("alreadyRead", each.already_read) != each.already_read:
            continue
        if call.value("resourceAlreadyRead", each.resource_already_read) != each.resource_already_read:
            continue
        count += 1
    return {"count": count}


@get("/teams", params={**BY_OFFSET, **ORDER}, role="any_administrator")
@get("/groups", params={**BY_OFFSET, **ORDER}, role="any_administrator")
def teams(call: Call) -> Any:
    """``/groups`` is its old name."""
    if call.space.quirks.teams_refused:
        raise ApiError(400, 7, "The function is not available.")
    rows = sorted(call.space.teams.values(), key=lambda team: team.id, reverse=call.value("order") != "asc")
    return call.window(rows)


@get("/teams/{team}", role="administrator")
def team(call: Call) -> Any:
    return call.part(call.space.teams.values(), "team", "team")


@get("/teams/{team}/icon", category="icon")
def team_icon(call: Call) -> Any:
    if call.parts["team"] not in map(str, call.space.teams):
        raise missing("team")
    return Binary(PIXEL, "icon.png")
