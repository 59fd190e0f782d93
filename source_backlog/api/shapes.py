"""What the components rely on in Backlog's answers; what does not fit is left out, and named."""

import re
from collections import Counter
from typing import Any

import orjson

Object = dict[str, Any]

# An entry of a list without these cannot be stored or asked for: it would have no primary key, or no path.
_NEEDED = (
    (re.compile(r"^users/myself/recentlyViewed"), ()),
    (re.compile(r"^wikis/[^/]+/history$"), ("version",)),
    (re.compile(r"/pullRequests$"), ("id", "number")),
)
_TREE = "documents/tree"
# What answers with one object; everything else with a list.
_WITH_ID = re.compile(
    r"^(users/myself|issues/(?!count$)[^/]+|wikis/(?!count$)[^/]+|documents/(?!(tree|count)$)[^/]+)$"
    r"|^issues/[^/]+/comments/(?!count$)[^/]+$"
    r"|^projects/[^/]+/git/repositories/[^/]+/pullRequests/(?!count$)[^/]+$"
)
_SINGLE = re.compile(
    rf"{_WITH_ID.pattern}|^(space|space/(notification|diskUsage|licence)|rateLimit|{_TREE})$"
    r"|^(issues|wikis|documents|notifications|users/[^/]+/(stars|watchings))/count$"
    r"|^projects/[^/]+/git/repositories/[^/]+(/pullRequests/count)?$"
)

# Fields that hold an object, a list of objects with ids, or a list of objects without.
_OBJECT, _LIST, _PLAIN_LIST = "no object", "no list", "no list of objects"
_FIELDS = {
    **dict.fromkeys(("project", "createdUser", "nulabAccount", "issue", "page", "wiki"), _OBJECT),
    **dict.fromkeys(("attributeInfo", "attachmentInfo", "notificationInfo"), _OBJECT),
    **dict.fromkeys(("attachments", "sharedFiles", "stars", "category", "versions", "milestone", "tags"), _LIST),
    **dict.fromkeys(("notifications", "customFields", "items", "members", "replies"), _LIST),
    "changeLog": _PLAIN_LIST,
}
# Only activities have a content that is an object; that of comments and pages is theirs to choose.
_ACTIVITIES = {**_FIELDS, "content": _OBJECT}
_CONTENT = {
    **dict.fromkeys(("repository", "deletedStatus"), _OBJECT),
    **dict.fromkeys(("link", "documents", "users", "parties", "group_project_activities"), _LIST),
}
# Other single objects have fields of the same names with other meanings, and no component looks into them.
_OF_SINGLE = {"rateLimit": {"rateLimit": _OBJECT}}
_RATE_LIMIT = dict.fromkeys(("read", "search", "update", "icon"), _OBJECT)
# A number with more digits does not fit into the 64 bits of a warehouse.
_MOST_DIGITS = 18


def is_single(path: str) -> bool:
    """Whether `path` answers with one object, and not with a list."""
    return bool(_SINGLE.search(path))


def has_id(path: str) -> bool:
    """Whether `path` answers with one object that has an id: one of many, and not one that the space has once."""
    return bool(_WITH_ID.search(path))


class Misshapen(ValueError):
    """The answer cannot be read; the text says why."""


def fit(body: Object | list[Any], path: str) -> str:
    """Edit `body` in place so that the components can read it; returns what had to go ("" if all fits).

    Ids that come as text become numbers. Raises `Misshapen` when an object or an entry of the list is none, or has no
    key: to leave it out would make a full page look like the last one.

    Why: a missing id, or a text in the place of an object, would end a stream in the middle with nothing for the
    user but the name of a Python exception. Values that no component looks into stay as they are.
    """
    gone: Counter[str] = Counter()
    if path != _TREE and _is_too_deep(body):
        raise Misshapen("something nested too deeply")
    if isinstance(body, dict) != is_single(path):
        # Taken for an empty list, it would end in a sync without rows and without a word.
        raise Misshapen("an object in the place of a list" if isinstance(body, dict) else "a list instead of an object")
    if isinstance(body, dict):
        with_id = has_id(path)
        if with_id and not _has_key(body, "id", path):
            raise Misshapen("an object without a usable id")
        _tidy(body, _FIELDS if with_id else _OF_SINGLE.get(path, {}), gone)
    else:
        fields = _ACTIVITIES if path.endswith("activities") else _FIELDS
        needed = next((names for pattern, names in _NEEDED if pattern.search(path)), ("id",))
        for entry in body:
            if not isinstance(entry, dict):
                raise Misshapen("an entry that is no object")
            if missing := [name for name in needed if not _has_key(entry, name, path)]:
                raise Misshapen(f"an entry without a usable {missing[0]}")
            _tidy(entry, fields, gone)
    return ", ".join(f"{number} {what}" for what, number in sorted(gone.items()))


def _has_key(entry: Object, name: str, path: str = "documents") -> bool:
    """Whether `entry` has an id under `name`; brings a number that came as text into its own form."""
    value = entry.get(name)
    if type(value) is int:
        return True
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS:
        entry[name] = int(value)
        return True
    # The ids of documents are text.
    return isinstance(value, str) and value != "" and path.startswith("documents")


def _tidy(entry: Object, fields: dict[str, str], gone: Counter[str]) -> None:
    for name in fields.keys() & entry.keys():
        kind, value = fields[name], entry[name]
        if value is None:
            continue
        if kind == _OBJECT and isinstance(value, dict):
            if "id" in value and not _has_key(value, "id"):
                value["id"] = None
            _tidy(value, {"content": _CONTENT, "rateLimit": _RATE_LIMIT}.get(name, fields), gone)
        elif kind != _OBJECT and isinstance(value, list):
            kept = [each for each in value if isinstance(each, dict) and (kind == _PLAIN_LIST or _has_key(each, "id"))]
            for each in kept:
                _tidy(each, fields, gone)
            if len(kept) < len(value):
                entry[name] = kept
                gone[f"in {name} without a usable id"] += len(value) - len(kept)
        else:
            entry[name] = None
            gone[f"{name} that is {kind}"] += 1
    if isinstance(entry.get("type"), dict | list):
        entry["type"] = None
        gone["type of an unknown kind"] += 1
    if "size" in entry and type(entry["size"]) not in (int, float, type(None)):
        entry["size"] = None
        gone["size that is no number"] += 1


def _is_too_deep(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return True
    return False
