"""The objects that a sync could not read although it could read their list."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.changes.paging import Unreadable

# When so many objects of a partition are refused and none is given, it is not the objects; nor when the requests of so
# many fail one after the other.
REFUSALS, FAILURES = 5, 10
NAMED = 5

T = TypeVar("T")


def attempt(ask: Callable[[], T]) -> T | AirbyteTracedException:
    """What `ask` gives, or how its request has failed for good; raises what all others would meet, such as the key."""
    try:
        return ask()
    except AirbyteTracedException as error:
        if error.failure_type == FailureType.config_error:
            raise
        return error


class Skipped:
    """The objects of a partition whose own request was refused (403, 404) although they are there.

    They must neither stop the partition nor be forgotten with it, for a user who has lost a project for a moment gets
    the same answers. So they go into the position (`skipped`), and the next sync asks for those it still finds.

    The same with those whose own request has failed at every try (`failures`): one may answer 500 for weeks, and must
    not keep the others from being read (https://github.com/airbytehq/airbyte/pull/17555).

    `readable` says whether the project is.
    """

    def __init__(self, before: Iterable[Any], readable: Callable[[], bool]) -> None:
        self.before: frozenset[Any] = frozenset(before)
        self._readable = readable
        self._waiting = set(self.before)
        self._now: list[Any] = []
        self._unconfirmed = 0
        self._given = False
        self.failures = Failures()

    def given(self, object_id: Any) -> None:
        """Note that an object was read."""
        self._given = True
        self._waiting.discard(object_id)
        self.failures.end_row()

    def gone(self, object_id: Any) -> None:
        """Note that an object is not there any more."""
        self._waiting.discard(object_id)

    def add(self, object_id: Any) -> None:
        """Note that an object was refused; raises `Unreadable` when all are."""
        self._now.append(object_id)
        self._waiting.discard(object_id)
        self._unconfirmed += 1
        if not self._given and self._unconfirmed >= REFUSALS:
            raise Unreadable

    def failed(self, object_id: Any, error: AirbyteTracedException) -> None:
        """Note that the request of an object has failed for good; raises `error` when it is not the object."""
        self.failures.add(error)
        self._now.append(object_id)
        self._waiting.discard(object_id)

    def noted(self, waiting: Iterable[Any] | None = None) -> tuple[Any, ...] | None:
        """What to save: the refused objects; or None.

        In the middle of a partition also those that wait since the last sync, and `waiting`, others that the position
        passes over. Raises `Unreadable` when there are new ones because the project is no longer readable.
        """
        if self._unconfirmed and not self._readable():
            raise Unreadable
        self._unconfirmed = 0
        found = dict.fromkeys(self._now)
        if waiting is not None:
            found |= dict.fromkeys([*sorted(self._waiting), *waiting])
        return tuple(found) or None


class Failures:
    """The objects whose own request has failed at every try, while the others were read."""

    def __init__(self) -> None:
        self._errors: list[AirbyteTracedException] = []
        self._in_a_row = 0

    def add(self, error: AirbyteTracedException) -> None:
        """Note one, as `attempt` gives it; raises `error` when so many fail in a row that it is not the objects."""
        self._in_a_row += 1
        if self._in_a_row >= FAILURES:
            raise error
        self._errors.append(error)

    def end_row(self) -> None:
        """Note that an object was read."""
        self._in_a_row = 0

    def report(self) -> None:
        """At the end, when the position is saved: raise `AirbyteTracedException` if there are any."""
        if not self._errors:
            return
        reasons = [str(error.message) for error in self._errors]
        more = f" And {len(reasons) - NAMED} more." if len(reasons) > NAMED else ""
        raise AirbyteTracedException(
            message=(
                f"All was read but {len(reasons)} object{'s' if len(reasons) > 1 else ''}, whose request failed at "
                f"every try; the next sync asks again. {' '.join(dict.fromkeys(reasons[:NAMED]))}{more}"
            ),
            failure_type=FailureType.transient_error,
        )
