"""What a sync leaves out, said in one line per cause, with names."""

import logging
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from source_backlog.space import Space, endpoint_of

LOGGER = logging.getLogger("airbyte.source_backlog")

MOST_NAMES = 10


class Cause(Enum):
    """Why something is left out, as the warning says it."""

    ROLE = "the user of the key does not have the permission."
    PLAN = "the plan of the space does not include it."
    OFF = "Backlog has no such list although the project is there: the feature is switched off."
    GONE = "It was deleted or is no longer visible."
    LOST = "it could not be read, or not to its end. The next sync tries again."


# What stays as it is until somebody changes it in Backlog.
LASTING = (Cause.ROLE, Cause.PLAN, Cause.OFF)


@dataclass(frozen=True)
class Right:
    """What it takes to read an endpoint, and what the connector reads without it."""

    takes: str
    instead: str = ""


_ANY_ADMINISTRATOR = "an administrator of the space or of a project"
DISK_USAGE = Right("an administrator of the space")
WEBHOOKS = Right("an administrator of the space or of the project")
USERS = Right(_ANY_ADMINISTRATOR, "The members of the visible projects are read instead.")
TEAMS = Right(_ANY_ADMINISTRATOR, "The teams of the visible projects are read instead.")
CONTENTS = Right("a user who may do more than add or view issues")

# By endpoint. Source: the role line of each page under https://developer.nulab.com/docs/backlog/
RIGHTS = {
    "space/diskUsage": DISK_USAGE,
    "users": USERS,
    "teams": TEAMS,
    "projects/{}/webhooks": WEBHOOKS,
    "projects/{}/files/metadata/{}": CONTENTS,
    "projects/{}/files/{}": CONTENTS,
    "projects/{}/git/repositories": CONTENTS,
    "projects/{}/git/repositories/{}/pullRequests": CONTENTS,
    "projects/{}/git/repositories/{}/pullRequests/{}": CONTENTS,
    "projects/{}/git/repositories/{}/pullRequests/{}/comments": CONTENTS,
    "projects/{}/git/repositories/{}/pullRequests/{}/attachments/{}": CONTENTS,
    "documents/{}/comments": CONTENTS,
}

# What an object is called whose id follows; others have no name of their own.
_NOUNS = {
    "projects": ("project", "projects"),
    "issues": ("issue", "issues"),
    "wikis": ("wiki page", "wiki pages"),
    "documents": ("document", "documents"),
    "users": ("user", "users"),
    "repositories": ("Git repository", "Git repositories"),
    "pullRequests": ("pull request", "pull requests"),
    "attachments": ("file", "files"),
    "files": ("file", "files"),
    "metadata": ("folder", "folders"),
}
_OBJECT = re.compile(r"^.*/(?:\d+|[0-9a-f]{32})(?=/|$)")
_FOLDER = "/files/metadata/"


def project_of(path: str, params: Mapping[str, Any]) -> str | None:
    """The id of the project that a request is about; None when it is about none, or does not say it."""
    found = re.match(r"projects/([^/]+)/", path)
    named = found[1] if found else params.get("projectId[]", params.get("projectIdOrKey"))
    return None if named is None else str(named)


def subject_of(path: str, project: str | None) -> str:
    """The object that a request is about: `issues/12` of `issues/12/comments`, the project of a list, "" of neither."""
    if _FOLDER in path:
        return path
    found = _OBJECT.match(path)
    return found[0] if found else f"projects/{project}" if project else ""


def listed(names: Iterable[str], most: int = MOST_NAMES) -> str:
    """The names, or the first of them, so many at most, and the number of the others."""
    names = list(names)
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


class LeftOut:
    """Collects what is left out until it is said (`report`): at the end of a sync, also of one that fails.

    Why: a key that may not read something may not read it in any project; a line for each of them is read by nobody.

    What the position of a stream passes over for good has to be said before that position is saved: a retriever
    collects it in an instance of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By endpoint: the selected streams that read it.
        self._readers: dict[str, list[str]] = {}
        # By path: what an object is called, and its project.
        self._known: dict[str, tuple[str, str | None]] = {}
        # By endpoint and cause: what Backlog has said first, and the subjects.
        self._refused: dict[tuple[str, Cause], tuple[str, dict[str, None]]] = {}
        # By project: the streams that could not be read to the end.
        self._unread: dict[str | None, dict[str, None]] = {}
        # By the beginning of the line: its end, and the names between them.
        self._collected: dict[str, tuple[str, dict[tuple[str, str], None]]] = {}

    def read_by(self, readers: Mapping[str, Iterable[str]]) -> None:
        """Say which streams read an endpoint."""
        self._readers = {endpoint: list(streams) for endpoint, streams in readers.items()}

    def know(self, path: str, name: Any, project: Any = None) -> None:
        """Say what the object under `path` is called, if it has a name, and to which project it belongs."""
        with self._lock:
            self._known[path] = (str(name or ""), None if project is None else str(project))

    def refuse(self, path: str, project: str | None, cause: Cause, said: str) -> None:
        """Note a request that Backlog has refused; `said` is what it says of an object that is gone."""
        endpoint = endpoint_of(path)
        said = said if cause is Cause.GONE else cause.value
        if cause is Cause.LOST:
            self.lose(self._readers.get(endpoint) or [short(endpoint)], project)
            return
        with self._lock:
            self._refused.setdefault((endpoint, cause), (said, {}))[1][subject_of(path, project)] = None

    def forget(self, subject: str) -> None:
        """Note that an object which was refused is not there any more, which is no loss."""
        with self._lock:
            for (endpoint, cause), (_, subjects) in list(self._refused.items()):
                if cause is Cause.GONE and subject in subjects:
                    del subjects[subject]
                    if not subjects:
                        del self._refused[endpoint, cause]

    def lose(self, streams: Iterable[str], project: Any) -> None:
        """Note streams that could not be read to the end: in a project, or (None) in the space."""
        with self._lock:
            key = None if project is None else str(project)
            self._unread.setdefault(key, {}).update(dict.fromkeys(streams))

    def collect(self, before: str, path: Any, after: str, detail: Any = "") -> None:
        """Note an object, by its path or name, with a detail.

        Those with the same `before` are named in one line, which ends with the first `after`.
        """
        with self._lock:
            self._collected.setdefault(before, (after, {}))[1][str(path), str(detail or "")] = None

    def causes(self, stream: str, project: Any) -> set[Cause]:
        """Why something of a stream was refused, in a project or (None) in the space, since the last report."""
        with self._lock:
            return {cause for cause, _ in self._refused_to(stream, project)}

    def is_refused_whole(self, stream: str, project: Any) -> bool:
        """Whether a list of the stream was refused, and not only one of its objects."""
        whole = ("",) if project is None else ("", f"projects/{project}")
        with self._lock:
            return any(subject in whole for _, subject in self._refused_to(stream, project))

    def is_lost(self, stream: str, project: Any) -> bool:
        """Whether the stream could not be read to its end in a project or (None) in the space."""
        with self._lock:
            return stream in self._unread.get(None if project is None else str(project), ())

    def endpoints(self, stream: str) -> set[str]:
        """What the stream reads."""
        return {endpoint for endpoint, streams in self._readers.items() if stream in streams}

    def objects(self, stream: str) -> list[str]:
        """The ids of the objects that were refused to a stream of the space."""
        with self._lock:
            return [subject.rpartition("/")[2] for _, subject in self._refused_to(stream, None) if subject]

    def _refused_to(self, stream: str, project: Any) -> Iterator[tuple[Cause, str]]:
        for (endpoint, cause), (_, subjects) in self._refused.items():
            if stream in self._readers.get(endpoint, ()):
                for subject in subjects:
                    if project is None or not subject or self._project(subject) == str(project):
                        yield cause, subject

    def report(self) -> None:
        """Say what was collected since the last time."""
        with self._lock:
            lines = [*self._lines_of_refusals(), *self._lines_of_losses(), *self._lines_collected()]
            self._refused, self._unread, self._collected = {}, {}, {}
        for line in lines:
            LOGGER.warning(line)

    def _lines_of_refusals(self) -> Iterator[str]:
        for (endpoint, cause), (said, subjects) in self._refused.items():
            who = listed(self._readers.get(endpoint) or [short(endpoint)])
            right = RIGHTS.get(endpoint) if cause is Cause.ROLE else None
            what = "" if right and right.instead else f"{self._left_out(subjects)}: "
            why = [f"It takes {right.takes}.", right.instead] if right else []
            yield " ".join(filter(None, [f"{who}: {what}{said}", *why]))

    def _lines_of_losses(self) -> Iterator[str]:
        projects: dict[tuple[str, ...], list[str]] = {}
        for project, streams in self._unread.items():
            if left := tuple(stream for stream in sorted(streams) if not self._is_refused(stream, project)):
                projects.setdefault(left, []).append("" if project is None else f"projects/{project}")
        for left, subjects in projects.items():
            yield f"{listed(left)}: {self._left_out(subjects)}: {Cause.LOST.value}"

    def _lines_collected(self) -> Iterator[str]:
        for before, (after, names) in self._collected.items():
            shown = (self._name(path) + (f" ({detail})" if detail else "") for path, detail in names)
            yield f"{before}{listed(sorted(shown))}{after}"

    def _is_refused(self, stream: str, project: str | None) -> bool:
        """Whether it was said of the project why the stream cannot be read, which the next sync does not change."""
        return any(
            cause in LASTING and stream in self._readers.get(endpoint, ()) and self._project(subject) == project
            for (endpoint, cause), (_, subjects) in self._refused.items()
            for subject in subjects
        )

    def _project(self, subject: str) -> str | None:
        return self._known.get(subject, ("", None))[1] or project_of(f"{subject}/", {})

    def _left_out(self, subjects: Iterable[str]) -> str:
        found = [subject for subject in subjects if subject]
        if not found:
            return "left out"
        kind = "metadata" if _FOLDER in found[0] else found[0].split("/")[-2]
        one, several = _NOUNS.get(kind, ("object", "objects"))
        projects = {self._project(subject) for subject in found}
        if kind != "projects" and len(found) > MOST_NAMES and None not in projects:
            # Where so many are left out, it is not because of each.
            names = f"of {listed(sorted(self._name(f'projects/{project}') for project in projects))}"
        else:
            names = listed(sorted(map(self._name, found)))
        return f"{len(found)} {one if len(found) == 1 else several} left out ({names})"

    def _name(self, path: str) -> str:
        # What the path leads through is known, or the thing is one of its kind.
        parts = path.split("/")
        for number in range(len(parts), 1, -1):
            name, _ = self._known.get("/".join(parts[:number]), ("", None))
            if name:
                return "/".join([name, *parts[number:]])
        return parts[1] if len(parts) == 2 and parts[0] in _NOUNS else path


def short(endpoint: str) -> str:
    """An endpoint without the places of ids."""
    return endpoint.replace("{}/", "").replace("/{}", "").removeprefix("projects/")


def left_out_of(space: Space) -> LeftOut:
    """What the sync leaves out, of all streams."""
    return space.once("left out", LeftOut)
