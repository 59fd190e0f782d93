"""Backlog as a stream of one sync sees it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from airbyte_cdk.models import FailureType

from source_backlog.api.errors import RejectedRequest
from source_backlog.api.requester import BacklogRequester
from source_backlog.changes.paging import by_offset, not_shown
from source_backlog.changes.skipped import attempt
from source_backlog.left_out import LeftOut, left_out_of
from source_backlog.space import Space
from source_backlog.values import Row, as_instant

T = TypeVar("T")


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

    def if_accepted(self, parameter: str, ask: Callable[[], T]) -> T:
        """The result of `ask`, which sends a request with a parameter that not every server may know.

        The first of a sync finds out, while the others wait. Raises `RejectedRequest` when it was rejected; then no
        other is sent.
        """
        first: list[T] = []

        def find_out() -> str | None:
            try:
                first.append(ask())
            except RejectedRequest as rejected:
                return rejected.message or "rejected"
            return None

        # Not the exception itself: raised again and again, it would keep the frames of all who met it, and their pages.
        if rejected := self.space.once(f"parameter {parameter}", find_out):
            raise RejectedRequest(message=rejected, failure_type=FailureType.system_error)
        return first[0] if first else ask()

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

    def not_shown(
        self,
        path: str,
        look: Callable[[Row], Any],
        filters: Mapping[str, Any],
        seen: Collection[Any],
        orders: Sequence[Mapping[str, str]],
        *,
        moved: bool = False,
    ) -> tuple[list[Row], int]:
        """The rows that a list counts and its pages have not shown: see `paging.not_shown`.

        The list is read again in `orders`, three times if need be; `look` asks for a page of it anew. When it still
        shows less than it counts, the number comes with the rows, else 0.
        """
        number = self._count(self.get, path, filters)
        again = (self._listed_anew(look, {**filters, **order}) for order in 3 * tuple(orders))
        found = list(not_shown(number, seen, again, moved=moved).values())
        there = len(seen) + len(found)
        if there < number and there < (number := self._count(self.look, path, filters)):
            return found, number
        return found, 0

    @staticmethod
    def _listed_anew(look: Callable[[Row], Any], params: Mapping[str, Any]) -> Iterator[Row]:
        return by_offset(lambda page: look({**params, **page}))

    def _count(self, ask: Callable[..., Any], path: str, filters: Mapping[str, Any]) -> int:
        # 0 when Backlog does not say: what only checks must not stop what it checks.
        body = attempt(lambda: ask(f"{path}/count", filters, probe=True))
        number = body.get("count") if isinstance(body, dict) else None
        return number if isinstance(number, int) else 0
