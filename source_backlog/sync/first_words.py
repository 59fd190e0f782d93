"""What can be said within moments: whether the streams exist and the key works, before the rest is imported."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from source_backlog.selection import SUGGESTED_STREAMS, brings_files
from source_backlog.sync.errors import USAGE, SyncError

# One schema per stream: the manifest would take longer to read.
SCHEMAS = Path(__file__).parent.parent / "schemas"
TIMEOUT_SECONDS = (5.0, 10.0)
# https://developer.nulab.com/docs/backlog/error-response/
MISSING_PERMISSION = 5
LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost):\d+")
HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


def all_streams() -> list[str]:
    """The streams whose rows go into tables."""
    return sorted(path.stem for path in SCHEMAS.glob("*.json") if not brings_files(path.stem))


def selected_streams(named: Sequence[str] | None, everything: bool) -> list[str]:
    """The streams to read. Raises `SyncError` (usage) for one that does not exist, or whose rows are files."""
    known = all_streams()
    if everything:
        return known
    for name in named or ():
        if brings_files(name):
            raise SyncError(f"The stream {name!r} brings the contents of files, which have no place in a table.", USAGE)
        if name not in known:
            raise SyncError(f"There is no stream {name!r}. `backlog-sync --list-streams` lists them.", USAGE)
    return list(named or SUGGESTED_STREAMS)


def try_key(config: Mapping[str, Any]) -> None:
    """Raise `SyncError` (usage) if the space refuses the API key.

    Whatever else may be wrong the connector knows to say better, and takes its time for it.
    """
    host, credentials = config["domain"], config["credentials"]
    key = credentials.get("api_key") if isinstance(credentials, Mapping) else None
    if not isinstance(host, str) or not isinstance(key, str) or not key.isascii() or not key.isprintable():
        return
    loopback = LOOPBACK.fullmatch(host)
    if not loopback and not HOST.fullmatch(host):
        return
    url = f"{'http' if loopback else 'https'}://{host}/api/v2/space"
    try:
        answer = requests.get(
            url, headers={"Backlog-API-Key": key.strip()}, timeout=TIMEOUT_SECONDS, allow_redirects=False
        )
        refused = answer.status_code == 401 and _code(answer) != MISSING_PERMISSION
    except (requests.RequestException, ValueError, OSError):
        return
    if refused:
        raise SyncError(
            f"{host} does not accept the API key. Check that the key was copied whole, that it belongs to this space, "
            "and that it was not deleted; make a new one in Backlog under Personal Settings, API.",
            USAGE,
        )


def _code(answer: requests.Response) -> Any:
    try:
        return answer.json()["errors"][0]["code"]
    except (ValueError, LookupError, TypeError):
        return None
