"""Pages over live data, read so that no row is lost at a page border."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

from source_backlog.components.values import Row

LOGGER = logging.getLogger("airbyte.source_backlog")

PAGE_SIZE = 100

Fetch = Callable[[dict[str, Any]], Any]


def rows_of(body: Any) -> list[Row]:
    """The rows of a page; a skipped or odd page has none."""
    return [row for row in body if isinstance(row, dict)] if isinstance(body, list) else []


def by_offset(fetch: Fetch, page_size: int = PAGE_SIZE, key: str = "id") -> Iterator[Row]:
    """All rows of an offset-paged list, each once.

    `fetch` gets `offset` and `count` and gives the decoded page. Pages overlap by one row: page n+1 begins at the
    last row of page n. When its first row was not on an earlier page, rows before it have gone and unread rows
    have moved up behind the window, so the window steps back by a page until it begins with a known row. Rows that
    moved down come twice and are given once.
    """
    seen: set[Any] = set()
    offset = 0
    while True:
        body = fetch({"offset": offset, "count": page_size})
        if body is None:
            return
        page = rows_of(body)
        if offset and (not page or page[0].get(key) not in seen):
            offset = max(0, offset - page_size)
            continue
        for row in page:
            if row.get(key) not in seen:
                seen.add(row.get(key))
                yield row
        if len(page) < page_size:
            return
        offset += page_size - 1


def by_id(fetch: Fetch, after: int | None = None, page_size: int = PAGE_SIZE, key: str = "id") -> Iterator[Row]:
    """All rows with an id above `after`, ascending, each once.

    `fetch` gets `order`, `count` and `minId` and gives the decoded page. `minId` is the last known id, whose row
    comes again if the server takes the bound as inclusive (it does, but no page says so) and is dropped: right
    under both readings, where `last + 1` would lose a row under the other.
    """
    last = after
    while True:
        params: dict[str, Any] = {"order": "asc", "count": page_size}
        if last is not None:
            params["minId"] = last
        page = rows_of(fetch(params))
        fresh = [row for row in page if isinstance(row.get(key), int) and (last is None or row[key] > last)]
        yield from fresh
        if len(page) < page_size:
            return
        if not fresh:
            LOGGER.warning(f"A list does not move on after {key} {last}: what comes behind it was not read.")
            return
        last = max(row[key] for row in fresh)
