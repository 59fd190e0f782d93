"""Backlog as a stream of one sync sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from source_backlog.api.requester import BacklogRequester
from source_backlog.space import Space
from source_backlog.values import as_instant


@dataclass(frozen=True)
class Backlog:
    """What the parts of a retriever ask: Backlog, the options, and what the streams share. `stream` is its name."""

    config: Mapping[str, Any]
    requester: BacklogRequester
    space: Space
    stream: str

    @property
    def start(self) -> str | None:
        """The start date as an instant; None without one."""
        return as_instant(self.config.get("start_date"))

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The decoded answer, kept for the other streams; None when it was refused. See `BacklogRequester.get_json`."""
        return self.requester.get_json(path, params)

    def look(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The same, asked anew. See `BacklogRequester.look`."""
        return self.requester.look(path, params)

    def is_readable(self, project_id: Any) -> bool:
        """Whether the key's user may (still) read what is in the project."""
        return self.requester.exists(f"projects/{project_id}/statuses")
