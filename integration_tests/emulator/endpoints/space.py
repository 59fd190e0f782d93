"""Space level: section 4.1 of the API reference."""

from __future__ import annotations

import base64
from bisect import bisect_left
from typing import Any

from ..api import ACTIVITIES, Binary, Call, Empty, get, missing
from ..entities import USAGE_KINDS, Activity, User, stamp

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def space_shape(call: Call) -> dict[str, Any]:
    space = call.space
    return {
        "spaceKey": space.key,
        "name": space.name,
        "ownerId": space.user(None).id,
        "lang": space.lang,
        "timezone": space.timezone,
        "reportSendTime": "09:00:00",
        "textFormattingRule": "markdown",
        "created": stamp(space.created),
        "updated": stamp(space.updated),
    }


@get("/space")
def space(call: Call) -> Any:
    return space_shape(call)


@get("/space/notification")
def space_notification(call: Call) -> Any:
    kind = call.space.quirks.no_notice
    if call.space.notification_content is None and kind != "object":
        return {"204": Empty(204), "empty": Empty(200), "null": None}[kind]
    return {"content": call.space.notification_content, "updated": stamp(call.space.notification_updated)}


@get("/space/diskUsage", role="administrator")
def space_disk_usage(call: Call) -> Any:
    details = [project.disk_usage() for project in call.space.projects.values()]
    totals = {kind: sum(each[kind] for each in details) for kind in USAGE_KINDS}
    return {"capacity": call.space.capacity, **totals, "details": details}


@get("/space/licence")
def licence(call: Call) -> Any:
    return call.space.licence


@get("/space/image", category="icon")
def space_image(call: Call) -> Any:
    return Binary(PIXEL, "logo.png")


@get("/rateLimit")
def rate_limit(call: Call) -> Any:
    return {"rateLimit": call.rate_limit()}


@get("/priorities")
def priorities(call: Call) -> Any:
    return call.space.priorities


@get("/resolutions")
def resolutions(call: Call) -> Any:
    return call.space.resolutions


# --- activities ---


def visible(call: Call) -> Any:
    """A test for activities: in a project that the user may read, or in none; of a wanted type."""
    readable = {project.id for project in call.space.visible_projects(call.user, contents=True)}
    types = call.value("activityTypeId[]")

    def keep(activity: Activity) -> bool:
        if types and activity.type not in types:
            return False
        return activity.project is None or activity.project.id in readable

    return keep


@get("/space/activities", params=ACTIVITIES, strict=True)
def space_activities(call: Call) -> Any:
    return call.id_window(call.space.activities, keep=visible(call))


@get("/projects/{project}/activities", params=ACTIVITIES, strict=True)
def project_activities(call: Call) -> Any:
    return call.id_window(call.project().activities, keep=visible(call))


@get("/users/{user}/activities", params=ACTIVITIES, strict=True)
def user_activities(call: Call) -> Any:
    return call.id_window(find_user(call).activities, keep=visible(call))


@get("/activities/{activity}")
def activity(call: Call) -> Any:
    text, rows = call.parts["activity"], call.space.activities
    position = bisect_left(rows, int(text), key=lambda row: row.id) if text.isdigit() else len(rows)
    if position == len(rows) or rows[position].id != int(text) or not visible(call)(rows[position]):
        raise missing("activity")
    return rows[position].shape(single=True)


def find_user(call: Call) -> User:
    text = call.parts["user"]
    user = call.space.users.get(int(text)) if text.isdigit() else None
    if user is None or not user.active:
        raise missing("user")
    return user
