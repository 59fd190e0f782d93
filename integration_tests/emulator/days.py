"""Days as old spaces give them: midnight in the time zone of the space."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

_DAY = re.compile(rb'"(startDate|dueDate|releaseDueDate|value)":"(\d{4}-\d\d-\d\d)T00:00:00Z"')


def in_zone(body: bytes, zone: ZoneInfo) -> bytes:
    """JSON whose days, written as midnight in UTC, are midnight in ``zone``."""

    def moved(found: re.Match[bytes]) -> bytes:
        moment = datetime.fromisoformat(found[2].decode()).replace(tzinfo=zone).astimezone(UTC)
        return b'"%b":"%b"' % (found[1], moment.strftime("%Y-%m-%dT%H:%M:%SZ").encode())

    return _DAY.sub(moved, body)
