"""Pages over live data, read so that no row is lost at a page border."""

import collections
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from source_backlog.values import Row

LOGGER = logging.getLogger("airbyte.source_backlog")

PAGE_SIZE = 100
MOST_PAGES_WITHOUT_NEWS = 100
# How often a list is asked again that has no rows although there should be some.
MOST_DOUBTS = 3
# How many rows of a list by id, the last ones that a sync has read, the next sync looks at again: with some new ones
# they fit on one page.
LOOK_AGAIN = 90

Fetch = Callable[[dict[str, Any]], Any]


def rows_of(body: Any) -> list[Row]:
    """The rows of a page; a skipped or odd page has none."""
    return [row for row in body if isinstance(row, dict)] if isinstance(body, list) else []


class Unreadable(Exception):
    """A list was refused, or ended because it can no longer be read: what it held is not known."""


def by_offset(
    fetch: Fetch,
    page_size: int = PAGE_SIZE,
    key: str = "id",
    *,
    not_empty: bool = False,
    is_empty: Callable[[], bool] | None = None,
    on_move: Callable[[], None] | None = None,
    anew: Fetch | None = None,
) -> Iterator[Row]:
    """All rows of an offset-paged list, each once.

    `fetch` gets `offset` and `count` and gives the decoded page. Pages overlap by one row: page n+1 begins at the
    last row of page n. When its first row was not on an earlier page, rows before it have gone and unread rows
    have moved up behind the window, so the window steps back, half a page at first, until it begins with a known
    row. Rows that moved down come twice and are given once.

    Backlog answers with an empty list, and not with an error, when the user may not see the project that the list is
    filtered by. So when a list that had rows (on an earlier page, or in an earlier sync: `not_empty`) is empty,
    `is_empty` is asked whether that is so; if it says no, the list is asked once more. Its answer has to rest on one
    request: a user may lose and regain the project between two.

    `on_move` is told when a page does not begin where it should: then rows were deleted meanwhile, or rows with equal
    sort values stand in another order. From there on `anew` fetches the pages, where answers may have been kept for
    other streams: those of several orders do not fit together, and stay as they are however often they are asked for.

    Raises `Unreadable` when a page is refused (None), when the list stays empty although it is not, and after a hundred
    pages in a row without a row that is new.
    """
    seen: set[Any] = set()
    offset, count, back = 0, page_size, page_size // 2
    without_news = doubts = 0
    while True:
        if without_news > MOST_PAGES_WITHOUT_NEWS:
            # A server that ignores `offset`, or one that changes faster than it can be read.
            raise Unreadable
        body = fetch({"offset": offset, "count": count})
        if body is None:
            raise Unreadable
        page = rows_of(body)
        without_news += 1
        if offset and (not page or page[0].get(key) not in seen):
            offset, back = max(0, offset - max(1, back)), back * 2
            fetch = anew or fetch
            if on_move is not None:
                on_move()
            # Never the same request twice: its answer may have been kept for the other streams (`SharedResponses`).
            count = count - 1 if count > max(2, page_size // 2) else page_size
            continue
        if not page and (seen or not_empty) and is_empty is not None:
            if is_empty():
                return
            doubts += 1
            if doubts > MOST_DOUBTS:
                raise Unreadable
            count = max(2, count - 1)
            continue
        back = page_size // 2
        for row in page:
            if row.get(key) not in seen:
                seen.add(row.get(key))
                without_news = 0
                yield row
        if len(page) < count:
            return
        offset += count - 1


def not_shown(
    number: int, seen: Collection[Any], again: Iterable[Iterator[Row]], *, moved: bool = False
) -> dict[Any, Row]:
    """The rows, by id, that a list of `number` rows has and its pages have not shown; `seen` are the ids they have.

    Why: rows with equal sort values may come in another order with each page (450 issues made in bulk within a
    second). `again` is the same list in other orders, as often as it is needed. Where rows have `moved`, the number
    alone proves nothing, because one that was shown may be gone by now: then until an order shows nothing new.
    """
    found: dict[Any, Row] = {}
    for rows in again:
        if len(seen) + len(found) >= number and not moved:
            break
        before = len(found)
        found |= {row["id"]: row for row in rows if row["id"] not in seen}
        moved = moved and len(found) > before
    return found


def by_id(
    fetch: Fetch,
    after: int | None = None,
    page_size: int = PAGE_SIZE,
    key: str = "id",
    *,
    stuck: Callable[[], None] | None = None,
) -> Iterator[Row]:
    """All rows with an id above `after`, ascending, each once.

    `fetch` gets `order`, `count` and `minId` and gives the decoded page. `minId` is the last known id, whose row
    comes again if the server takes the bound as inclusive (it does, but no page says so) and is dropped: right
    under both readings, where `last + 1` would lose a row under the other.

    `stuck` is called when the list does not move on; what comes behind it is then not read.

    Raises `Unreadable` when a page is refused (None).
    """
    last = after
    while True:
        params: dict[str, Any] = {"order": "asc", "count": page_size}
        if last:
            params["minId"] = last
        body = fetch(params)
        if body is None:
            raise Unreadable
        page = rows_of(body)
        fresh = [row for row in page if isinstance(row.get(key), int) and (last is None or row[key] > last)]
        yield from fresh
        if len(page) < page_size:
            return
        if not fresh:
            if stuck is not None:
                stuck()
            else:
                LOGGER.warning(f"A list does not move on after {key} {last}: what comes behind it was not read.")
            return
        last = max(row[key] for row in fresh)


class Recent:
    """The last rows that were read from a list by id, for the next sync to see whether others have turned up there.

    Why: an id is given before its row can be seen, so that a row with a higher one may be seen first; and of a project
    that the user lost for a moment nothing is shown. Either would be passed over for good.

    `last` is the highest id that was read, `after` the one behind which to read, 0 for the beginning of a short list.
    In a position the ids of the last rows are `seen`, with `after` before them.
    """

    def __init__(self, last: int | None, seen: Sequence[int] | None) -> None:
        self.last = self.after = last
        self._seen: frozenset[int] = frozenset()
        if last is not None and seen and seen[0] < last:
            self.after, self._seen = seen[0], frozenset(seen)
        self._ids: collections.deque[int] = collections.deque(maxlen=LOOK_AGAIN + 1)

    def new(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Those of `rows` that were not read before.

        A row that does not lie behind `after` shows that the list is read from its beginning: then all are new.
        """
        for row in rows:
            self._ids.append(row["id"])
            if self.after is not None and row["id"] <= self.after:
                self.last, self.after, self._seen = None, None, frozenset()
            if row["id"] not in self._seen:
                self.last = max(self.last or 0, row["id"])
                yield row

    def noted(self, name: str) -> dict[str, Any]:
        """How far the list was read, for the field `name` of a position, and what to look at again next time."""
        seen = [self.after or 0, *self._ids][-LOOK_AGAIN - 1 :]
        return {name: self.last or 0, "seen": tuple(seen) if len(seen) > 1 else None}


def belongs_to(fetch: Fetch, last: int, page: list[Row], key: str = "id") -> bool:
    """Whether `last`, the id up to which a list has been read, can come from that list; `page` is what follows it.

    Only when nothing follows it, the newest row is asked for: an id more than twice as high comes from a state of
    another space, or from no space at all, and would hide all rows to come.
    """
    if page:
        return True
    newest = rows_of(fetch({"order": "desc", "count": 1}))
    return not newest or last <= 2 * newest[0][key]
