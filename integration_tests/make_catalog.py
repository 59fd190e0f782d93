"""Writes configured_catalog.json from what `discover` gives: `python -m integration_tests.make_catalog`."""

import json
import logging
from pathlib import Path
from typing import Any

from airbyte_cdk.models import SyncMode

from source_backlog import SourceBacklog

CATALOG = Path(__file__).with_name("configured_catalog.json")


def configured_catalog() -> dict[str, Any]:
    """Every stream in the mode that costs least; the streams that carry files are left out.

    The schemas are empty: the connector brings its own, and a catalog with them would be ten times as long.
    """
    config = {"domain": "your-space.backlog.jp", "credentials": {"auth_type": "api_key", "api_key": "unused"}}
    streams = SourceBacklog(config=config).discover(logging.getLogger("airbyte"), config).streams
    entries = []
    for stream in sorted(streams, key=lambda each: each.name):
        if stream.is_file_based:
            continue
        incremental = SyncMode.incremental in stream.supported_sync_modes
        described: dict[str, Any] = {
            "name": stream.name,
            "json_schema": {},
            "supported_sync_modes": [mode.value for mode in stream.supported_sync_modes],
            "source_defined_primary_key": stream.source_defined_primary_key,
        }
        if incremental:
            described["source_defined_cursor"] = True
            described["default_cursor_field"] = stream.default_cursor_field
        entries.append(
            {
                "stream": described,
                "sync_mode": "incremental" if incremental else "full_refresh",
                "destination_sync_mode": "append_dedup",
            }
        )
    return {"streams": entries}


if __name__ == "__main__":
    CATALOG.write_text(json.dumps(configured_catalog(), indent=2) + "\n")
