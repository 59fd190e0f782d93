"""The projects that a sync reads: those that the key's user sees, narrowed down by the options."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.errors import EVERYTHING, RejectedRequest
from source_backlog.api.requester import BacklogRequester
from source_backlog.changes.paging import rows_of
from source_backlog.left_out import left_out_of
from source_backlog.space import Space
from source_backlog.values import Row

LOGGER = logging.getLogger("airbyte.source_backlog")


# Where the entries of the option `projects` that name nothing are kept, for `check`.
MISSING = "missing projects"


@dataclass(frozen=True)
class Missing:
    """Entries of the option `projects` that name nothing which is visible, and the sentence about them."""

    entries: frozenset[str]
    sentence: str


def entries_of(wanted: Iterable[str]) -> frozenset[str]:
    """Keys and ids of the option `projects`, as they are compared."""
    return frozenset(str(name).strip().upper() for name in wanted)


def matches(project: Mapping[str, Any], wanted: Iterable[str]) -> bool:
    """Whether one of the `wanted` keys or ids names the project."""
    names = {str(project.get("id")), str(project.get("projectKey")).upper()}
    return not names.isdisjoint(entries_of(wanted))


def selection(projects: list[Row], config: Mapping[str, Any]) -> tuple[list[Row], list[str]]:
    """The projects that the options select, and the entries of the option `projects` that name none of them."""
    wanted = [str(name) for name in config.get("projects") or [] if str(name).strip()]
    if not config.get("include_archived_projects", True):
        projects = [project for project in projects if not project.get("archived")]
    if not wanted:
        return projects, []
    chosen = [project for project in projects if matches(project, wanted)]
    return chosen, [name for name in wanted if not any(matches(project, [name]) for project in chosen)]


def selected_projects(requester: BacklogRequester, config: Mapping[str, Any], space: Space) -> list[Row]:
    """The selected projects, requested once per sync, in the order of Backlog's list.

    Raises a config error when the option `projects` names nothing that is visible.
    """

    def read() -> list[Row]:
        visible = visible_projects(requester, space)
        chosen, missing = selection(visible, config)
        if missing and not chosen:
            raise AirbyteTracedException(
                message=nothing_matches(missing, visible), failure_type=FailureType.config_error
            )
        if missing:
            space.memory[MISSING] = Missing(entries_of(missing), nothing_matches(missing, visible))
            # At once: it is most often a slip, and a first load may take hours.
            LOGGER.warning(nothing_matches(missing, visible))
        return chosen

    return space.once("projects", read)


def visible_projects(requester: BacklogRequester, space: Space) -> list[Row]:
    """All projects that the key's user sees, requested once per sync, in the order of Backlog's list."""

    def read() -> list[Row]:
        visible = [project for project in rows_of(requester.get_json("projects")) if project.get("id") is not None]
        for project in visible:
            left_out_of(space).know(f"projects/{project['id']}", project.get("projectKey"))
        return visible

    return space.once("visible projects", read)


def seen_and_selected(space: Space) -> tuple[int, int]:
    """How many projects the key's user sees, and how many of them `selected_projects` has chosen."""
    return len(space.memory["visible projects"]), len(space.memory["projects"])


def all_projects(requester: BacklogRequester, space: Space) -> list[Row]:
    """What Backlog lists when it is asked for all projects of the space, requested once per sync; empty when refused.

    To an administrator it also lists the projects that the user has not joined; to others it lists the same as
    `visible_projects` (https://developer.nulab.com/docs/backlog/api/2/get-project-list).
    """

    def read() -> list[Row]:
        try:
            body = requester.get_json("projects", {EVERYTHING: "true"}, probe=True)
        except RejectedRequest:
            return []
        except AirbyteTracedException as error:
            # Should the key no longer be accepted, all other requests say so.
            LOGGER.warning(f"Backlog does not tell which projects the user has not joined. {error.message}")
            return []
        return [project for project in rows_of(body) if project.get("id") is not None]

    return space.once("all projects", read)


def unjoined_projects(requester: BacklogRequester, config: Mapping[str, Any], space: Space) -> list[Row]:
    """The projects of the space that the key's user has not joined, as far as it sees them and the options select them.

    Nothing inside them can be read.
    """
    joined = {project["id"] for project in visible_projects(requester, space)}
    others = [project for project in all_projects(requester, space) if project["id"] not in joined]
    return selection(others, config)[0]


def nothing_matches(missing: list[str], visible: list[Row]) -> str:
    """The sentence for entries of the option `projects` that match nothing."""
    keys = ", ".join(sorted(str(project.get("projectKey")) for project in visible)[:50]) or "none"
    return (
        f"The option Projects names what the key cannot see: {', '.join(missing)}. Visible project keys: {keys}. "
        "Correct the entry, or add the user of the key to the project in Backlog."
    )
