"""What the endpoints are written with: calls, parameters, paging windows, errors, the table of routes."""

from __future__ import annotations

import mimetypes
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson

from .entities import Document, Entity, Issue, Project, PullRequest, Repository, User, Wiki
from .model import Space

Pairs = list[tuple[str, str]]


class ApiError(Exception):
    """Answered as ``{"errors": [{"message", "code", "moreInfo"}]}``."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def body(self) -> bytes:
        return orjson.dumps({"errors": [{"message": self.message, "code": self.code, "moreInfo": ""}]})


def invalid(name: str, why: str) -> ApiError:
    return ApiError(400, 7, f"{why} : {name}")


def missing(what: str) -> ApiError:
    return ApiError(404, 6, f"No {what}.")


TYPES = mimetypes.MimeTypes()
"""Content types by the ends of names, the same on every machine."""


@dataclass
class Binary:
    """The answer of a download, with the content type that the name of the file tells."""

    content: bytes
    name: str

    @property
    def content_type(self) -> str:
        return TYPES.guess_type(self.name)[0] or "application/octet-stream"


@dataclass
class Empty:
    """An answer without a body."""

    status: int


# --- parameters ------------------------------------------------------------------------------------------------------

Convert = Callable[[str, str], Any]
"""(name, text) to value; raises ``ApiError``."""


def integer(low: int | None = None, high: int | None = None) -> Convert:
    def convert(name: str, text: str) -> int:
        if not re.fullmatch(r"-?\d{1,18}", text):
            raise invalid(name, "error.number")
        number = int(text)
        if (low is not None and number < low) or (high is not None and number > high):
            raise invalid(name, "error.range")
        return number

    return convert


def boolean(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise invalid(name, "error.boolean")
    return text.lower() == "true"


def choice(*values: str) -> Convert:
    def convert(name: str, text: str) -> str:
        if text not in values:
            raise invalid(name, "error.value")
        return text

    return convert


def calendar_day(name: str, text: str) -> str:
    """``yyyy-MM-dd`` and nothing else."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            date.fromisoformat(text)
            return text
    except ValueError:
        pass
    raise invalid(name, "error.date")


def text_value(name: str, text: str) -> str:
    return text


ORDER: dict[str, Convert] = {"order": choice("asc", "desc")}
COUNT: dict[str, Convert] = {"count": integer(1, 100)}
BY_ID: dict[str, Convert] = {"minId": integer(), "maxId": integer(), **COUNT, **ORDER}
BY_OFFSET: dict[str, Convert] = {"offset": integer(0), **COUNT}
ACTIVITIES: dict[str, Convert] = {**BY_ID, "activityTypeId[]": integer(1, 49)}


def parse(pairs: Pairs, known: dict[str, Convert], *, strict: bool) -> dict[str, Any]:
    """Convert parameters. Lists (``name[]``, also written ``name[0]``) come under ``name[]``.

    Unknown ones raise the recorded ``error.unknownParameter`` where ``strict``, and are ignored elsewhere. A known name
    that ends in ``*`` stands for every name with that beginning.
    """
    values: dict[str, Any] = {}
    for raw, text in pairs:
        name = re.sub(r"\[\d*\]$", "[]", raw)
        convert = known.get(name)
        if convert is None:
            convert = next((known[each] for each in known if each[-1] == "*" and name.startswith(each[:-1])), None)
        if convert is None:
            if strict:
                raise ApiError(400, 7, f"error.unknownParameter : {raw}")
            continue
        value = convert(name, text)
        if name.endswith("[]"):
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
    return values


# --- calls and routes ------------------------------------------------------------------------------------------------


@dataclass
class Route:
    pattern: str
    handler: Callable[[Call], Any]
    category: str
    params: dict[str, Convert]
    strict: bool
    role: str | None
    expression: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        expression = re.sub(r"\{(\w+):path\}", r"(?P<\1>.*)", self.pattern)
        expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", expression)
        self.expression = re.compile(expression + r"/?")


ROUTES: dict[str, list[Route]] = {}
"""Routes by the first segment of their path."""


def get(
    pattern: str,
    *,
    params: dict[str, Convert] | None = None,
    strict: bool = False,
    category: str = "read",
    role: str | None = None,
) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
    """Serve ``GET /api/v2`` + pattern.

    ``role``: ``administrator``; ``any_administrator`` (of the space or of some project); ``project_administrator`` (of
    the space or of the project in the path); ``unrestricted`` (not limited to adding or viewing issues); None is all.
    """

    def register(handler: Callable[[Call], Any]) -> Callable[[Call], Any]:
        route = Route(pattern, handler, category, params or {}, strict, role)
        ROUTES.setdefault(pattern.split("/")[1], []).append(route)
        return handler

    return register


def find_route(path: str) -> tuple[Route, dict[str, str]] | None:
    """The route for a path below ``/api/v2``, with the parts of the path that it names."""
    for route in ROUTES.get(path.split("/", 2)[1] if "/" in path else "", ()):
        match = route.expression.fullmatch(path)
        if match:
            return route, match.groupdict()
    return None


@dataclass
class Call:
    """One request as an endpoint sees it. Every lookup answers 404 for what the user cannot see."""

    space: Space
    user: User
    route: Route
    parts: dict[str, str]
    values: dict[str, Any]
    rate_limit: Callable[[], dict[str, Any]]

    def value(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)

    # --- roles and features ---

    def check_role(self) -> None:
        user, role = self.user, self.route.role
        if role is None or (user.is_administrator and role != "unrestricted"):
            return
        allowed = {
            "administrator": False,
            "any_administrator": self.space.administers_any_project(user),
            "project_administrator": role == "project_administrator" and user in self.project().administrators,
            "unrestricted": not user.is_restricted,
        }[role]
        if not allowed:
            raise ApiError(self.space.settings.role_error_status, 5, "Unauthorized operation.")

    def feature(self, project: Project, name: str) -> None:
        """Answer as configured if the project has the feature (wiki, document, git, file_sharing) switched off."""
        if getattr(project, f"use_{name}"):
            return
        if self.space.settings.feature_off_status == 403:
            raise ApiError(403, 2, "The function is not available.")
        raise missing(name.replace("_", " "))

    # --- lookups ---

    def find_project(self, text: str) -> Project:
        for project in self.space.visible_projects(self.user, contents=True):
            if text == project.key or text == str(project.id):
                return project
        raise missing("project")

    def project(self, feature: str | None = None) -> Project:
        project = self.find_project(self.parts["project"])
        if feature:
            self.feature(project, feature)
        return project

    def _readable(self, project: Project) -> bool:
        return self.space.sees(self.user, project, contents=True)

    def issue(self) -> Issue:
        text = self.parts["issue"]
        try:
            issue = self.space.issue(int(text) if text.isdigit() else text)
        except (KeyError, ValueError):
            raise missing("issue") from None
        if not self._readable(issue.project):
            raise missing("issue")
        return issue

    def wiki(self) -> Wiki:
        text = self.parts["wiki"]
        wiki = self.space.wikis.get(int(text)) if text.isdigit() else None
        if wiki is None or not self._readable(wiki.project):
            raise missing("wiki page")
        self.feature(wiki.project, "wiki")
        return wiki

    def document(self) -> Document:
        document = self.space.documents.get(self.parts["document"])
        if document is None or not self._readable(document.project):
            raise missing("document")
        self.feature(document.project, "document")
        return document

    def repository(self) -> Repository:
        text = self.parts["repository"]
        for repository in self.project("git").repositories:
            if text == repository.name or text == str(repository.id):
                return repository
        raise missing("Git repository")

    def pull_request(self) -> PullRequest:
        for request in self.repository().pull_requests:
            if self.parts["number"] == str(request.number):
                return request
        raise missing("pull request")

    def part(self, items: Iterable[Any], name: str, what: str) -> Any:
        """The item whose id stands in the path under ``name``."""
        for item in items:
            if self.parts[name] == str(item.id):
                return item
        raise missing(what)

    # --- windows ---

    def ties(self) -> Callable[[int], int]:
        """A key by ids for rows with equal sort values: an order that no client could know.

        It is the same at each request, or another one at each (see ``Quirks.ties``).
        """
        salt = self.space.lots.getrandbits(32) if self.space.quirks.ties == "random" else 0
        return lambda identity: (identity ^ salt) * 2654435761 & 0xFFFFFFFF

    def window(self, rows: Sequence[Any], default: int = 20) -> list[Any]:
        """``offset`` and ``count`` over the rows as they are now."""
        offset = self.value("offset", 0)
        return list(rows[offset : offset + self.value("count", default)])

    def id_window(
        self,
        rows: Sequence[Any],
        *,
        key: Callable[[Any], int] = lambda row: row.id,
        keep: Callable[[Any], bool] | None = None,
    ) -> list[Any]:
        """``minId``, ``maxId``, ``count`` and ``order`` over rows in ascending order of ids.

        With ``minId`` and the default order it is the newest page above it and not the next one.
        """
        first, last = 0, len(rows)
        inclusive = self.space.settings.inclusive_ids
        if "minId" in self.values:
            bound = self.values["minId"]
            first = bisect_left(rows, bound, key=key) if inclusive else bisect_right(rows, bound, key=key)
        if "maxId" in self.values:
            bound = self.values["maxId"]
            last = bisect_right(rows, bound, key=key) if inclusive else bisect_left(rows, bound, key=key)
        count, ascending = self.value("count", 20), self.value("order") == "asc"
        indexes = range(first, last) if ascending else range(last - 1, first - 1, -1)
        found: list[Any] = []
        for index in indexes:
            row = rows[index]
            if keep is None or keep(row):
                found.append(row)
                if len(found) == count:
                    break
        return found


def encode(answer: Any) -> bytes:
    """What an endpoint returned, as JSON."""
    if isinstance(answer, bytes):
        return answer
    if isinstance(answer, Entity):
        return answer.dump()
    if isinstance(answer, list) and answer and isinstance(answer[0], Entity):
        return b"[" + b",".join([each.dump() for each in answer]) + b"]"
    return orjson.dumps(answer)
