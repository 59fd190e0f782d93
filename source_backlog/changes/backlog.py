"""Backlog as a stream of one sync sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.requester import BacklogRequester
from source_backlog.left_out import LeftOut, left_out_of
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

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, probe: bool = False) -> Any:
        """The decoded answer, kept for the other streams; None when it was refused. See `BacklogRequester.get_json`."""
        return self.requester.get_json(path, params, probe=probe)

    def look(self, path: str, params: Mapping[str, Any] | None = None, *, probe: bool = False) -> Any:
        """The same, asked anew. See `BacklogRequester.look`."""
        return self.requester.look(path, params, probe=probe)

    def note_stuck(self, path: str) -> None:
        """Note that a list could not be read to its end: see `by_id`."""
        self.left_out.collect("A list does not move on, and what comes behind was not read: ", path, ".")

    @property
    def left_out(self) -> LeftOut:
        """What the sync leaves out."""
        return left_out_of(self.space)

    def is_readable(self, project_id: Any) -> bool:
        """Whether the key's user may (still) read what is in the project."""
        return self.requester.exists(f"projects/{project_id}/statuses")

    def count(self, path: str, filters: Mapping[str, Any], *, anew: bool = False) -> int:
        """How many objects Backlog counts; 0 when it does not say: what only checks must not stop what it checks."""
        ask = self.look if anew else self.get
        try:
            body = ask(path, filters, probe=True)
        except AirbyteTracedException as error:
            if error.failure_type == FailureType.config_error:
                raise
            return 0
        number = body.get("count") if isinstance(body, dict) else None
        return number if isinstance(number, int) else 0
