"""In what real servers differ from one another, from one year to the next, or from their pages.

The defaults are what the newest recording or page shows and, where there is none, what hurts a careless client. What is
recorded, what a page says and what is assumed stands in the README of this package.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def one_of(*values: str) -> Any:
    """A field with these values; the first is the default."""
    return field(default=values[0], metadata={"values": values})


@dataclass
class Quirks:
    """May be changed at any time. An unknown name or value raises ``ValueError``.

    What an activity or a comment says is fixed when it happens, so ``field_text``, ``document_comment_deletion_ids``
    and ``old_until`` count for what comes after; give them to ``generate`` to have them in the past too.
    """

    field_text: bool = False
    """``content.changes[]`` of issues has ``field_text``."""
    document_comment_deletion_ids: bool = False
    """Activities 42 and 45 name the comment and the reply that are gone, not the document alone."""
    old_until: str = "2025-07-01"
    """What is older looks like 2015: ``""`` for no original value in change logs, ``notifications`` in lists of
    activities. A day; empty for nothing."""
    ties: str = one_of("stable", "random")
    """Rows with equal sort values: in the same order at each request, or in another one."""
    shared_files_count: str = one_of("cap", "refuse", "allow")
    """More than 100 shared files a page: 100 come without a word, or status 400, or all that were asked for."""
    pull_request_list_details: bool = False
    """Items of the list of pull requests have ``attachments`` and ``stars``."""
    document_list_details: bool = True
    """Items of the list of documents have ``attachments`` and ``json``."""
    trash_tree: str = one_of("full", "missing", "null", "empty")
    """``trashTree`` of the tree of documents; ``empty`` is an object without ``children``."""
    days: str = one_of("utc", "zone")
    """Days that people type in: midnight in UTC, or midnight in the time zone of the space, as old spaces had it."""
    no_notice: str = one_of("object", "204", "empty", "null")
    """A space without a notice: an object with nulls, status 204, status 200 without a body, or ``null``."""
    teams_refused: bool = False
    """``/teams`` and ``/groups`` answer 400, as on a plan without them."""
    unjoined_projects: str = one_of("left out", "404")
    """Projects in ``projectId[]`` of ``/issues`` and its count that the user has not joined."""
    child_issue_summary: str = one_of("counted", "refused", "left out")
    """``expand[]=childIssueSummary``: a summary in each issue, or status 400 that names the parameter, or none."""
    all_projects: str = one_of("administrators", "refused to others", "ignored", "refused")
    """``?all=true`` of ``/projects``: all projects for an administrator, and from others it is ignored, or refused with
    code 5; or it is ignored from everybody, or refused with status 400."""
    token_seconds: int = 3600
    """How long a new access token lives, and its ``expires_in``: less than an hour is the time that was left."""

    def __setattr__(self, name: str, value: Any) -> None:
        known = {each.name: each for each in fields(self)}.get(name)
        if known is None:
            raise ValueError(f"there is no quirk {name}")
        values = known.metadata.get("values")
        if type(value).__name__ != known.type or (values and value not in values):
            raise ValueError(f"{name} cannot be {value!r}; it is one of {values or known.type}")
        object.__setattr__(self, name, value)

    def set(self, **values: Any) -> None:
        """Change several."""
        for name, value in values.items():
            setattr(self, name, value)
