"""The time zone of the space, in which old spaces give the days that people typed in."""

import logging
from datetime import tzinfo
from zoneinfo import ZoneInfo

from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.space import Space

LOGGER = logging.getLogger("airbyte.source_backlog")


def zone_of(space: Space) -> tzinfo | None:
    """The time zone of the space, or None when Backlog does not tell; asked for once per sync, if at all."""

    def ask() -> tzinfo | None:
        try:
            return ZoneInfo(space.requester.get_json("space", probe=True)["timezone"])
        except (AirbyteTracedException, KeyError, TypeError, ValueError, OSError):
            # Whatever it is, the rows are there: if the key is no longer accepted, their own requests say so.
            pass
        LOGGER.warning(
            "The time zone of the space is not known. Days that Backlog gives as a time, such as 2026-01-30T15:00:00Z, "
            "are taken for the day that it is 13 hours later, which is right up to 10 hours behind UTC."
        )
        return None

    return space.once("time zone", ask)
