"""The space: its core and everything that can happen in it.

All changes are methods (in ``changes/``, one module per family) that behave as the API reference says Backlog does:
they move the stamps that Backlog moves, leave the activities that Backlog leaves, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from .changes.documents import DocumentChanges
from .changes.files import FileChanges
from .changes.git import GitChanges
from .changes.issues import IssueChanges
from .changes.people import PeopleChanges
from .changes.projects import ProjectChanges
from .changes.wikis import WikiChanges

P = ParamSpec("P")
R = TypeVar("R")


class Space(IssueChanges, WikiChanges, DocumentChanges, GitChanges, FileChanges, ProjectChanges, PeopleChanges):
    """A Backlog space. An empty one has priorities and resolutions, and an administrator as first user."""

    def run(self, work: Callable[Concatenate[Space, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function of the space as one uninterrupted step: no request is answered in between."""
        with self.lock:
            return work(self, *args, **kwargs)


def _change(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def changed(self: Space, *args: Any, **kwargs: Any) -> Any:
        with self.lock:
            self.version += 1
            return method(self, *args, **kwargs)

    return changed


CHANGES: dict[str, Callable[..., Any]] = {}
"""Every public change method by name, as bound to ``Space``: what the control interface may call."""

for _family in Space.__bases__:
    for _name, _method in list(vars(_family).items()):
        if callable(_method) and not _name.startswith("_"):
            CHANGES[_name] = _change(_method)
            setattr(Space, _name, CHANGES[_name])
