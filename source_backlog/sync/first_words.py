"""What can be said within moments: whether the streams exist and the key works, before the rest is imported."""

import re
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from source_backlog.api.network import authorities
from source_backlog.selection import SUGGESTED_STREAMS, brings_files
from source_backlog.sync.errors import FAILED, USAGE, SyncError

# One schema per stream: the manifest would take longer to read.
SCHEMAS = Path(__file__).parent.parent / "schemas"
TIMEOUT_SECONDS = (5.0, 10.0)
PAUSE_SECONDS = 1.0
TOO_MANY_REQUESTS = 429
NO_SUCH_NAME = {getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name)}
# What needs no correction.
KEY = re.compile(r"[\x21-\x7e]+")
LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost):\d+")
HOST = re.compile(r"(?!www\.)[a-z0-9-]+(\.[a-z0-9-]+){2,}")


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
    """Raise `SyncError`, with the connector's own sentence, if the config is wrong or the space refuses the API key.

    What may pass is tried once more. Where an answer is late, or the rate limit is used up, nothing is said: the
    connector has more patience. An OAuth token is not tried, because it may have to be renewed.
    """
    host, key = _plain(config) or _corrected(config)
    if not key:
        return
    scheme = "http" if LOOPBACK.fullmatch(host) else "https"
    began = time.monotonic()
    for is_last in (False, True):
        found = _asked(f"{scheme}://{host}/api/v2/space", key)
        if found is None or not (problem := _problem(found, host)):
            return
        error, may_pass = problem
        if is_last or not may_pass:
            raise error
        time.sleep(max(0.0, began + PAUSE_SECONDS - time.monotonic()))


def _plain(config: Mapping[str, Any]) -> tuple[str, str] | None:
    """Domain and key, if nothing has to be corrected."""
    host, credentials = config["domain"], config["credentials"]
    key = credentials.get("api_key") if isinstance(credentials, Mapping) else None
    if not isinstance(host, str) or not (LOOPBACK.fullmatch(host) or HOST.fullmatch(host)):
        return None
    is_key = isinstance(key, str) and KEY.fullmatch(key) and credentials.get("auth_type") == "api_key"
    return (host, str(key)) if is_key else None


def _corrected(config: Mapping[str, Any]) -> tuple[str, str]:
    """Domain and key as the connector understands them; the key is empty where there is another way to log in."""
    from airbyte_cdk.utils.traced_exception import AirbyteTracedException

    from source_backlog.config import NormaliseDomain, check_config

    shaped = dict(config)
    NormaliseDomain().transform(shaped)
    try:
        check_config(shaped)
    except AirbyteTracedException as error:
        raise SyncError(str(error.message), USAGE) from error
    credentials = shaped["credentials"]
    return shaped["domain"], credentials.get("api_key", "") if credentials["auth_type"] == "api_key" else ""


def _asked(url: str, key: str) -> requests.Response | requests.RequestException | OSError | None:
    """The answer, or what came in its place; None where all is well, or nobody can tell yet."""
    try:
        answer = requests.get(
            url,
            headers={"Backlog-API-Key": key},
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
            verify=authorities(),
            # Else `requests` would send a password from ~/.netrc along.
            auth=lambda request: request,
        )
    except requests.Timeout:
        return None
    except (requests.RequestException, OSError) as error:
        return error
    if answer.status_code == TOO_MANY_REQUESTS or (answer.ok and answer.content[:1] == b"{"):
        return None
    return answer


def _problem(found: requests.Response | Exception, host: str) -> tuple[SyncError, bool] | None:
    """What an answer means to the connector, and whether it may be another one the next time."""
    # Only now, because it takes a second, which who has the right key saves.
    from airbyte_cdk.models import FailureType
    from airbyte_cdk.sources.streams.http.error_handlers import ResponseAction

    from source_backlog.api.errors import BacklogErrorHandler

    handler = BacklogErrorHandler({"domain": host, "credentials": {"auth_type": "api_key"}}, {})
    resolution = handler.interpret_response(found)
    if resolution.response_action in (ResponseAction.SUCCESS, ResponseAction.IGNORE):
        return None
    # That a name cannot be looked up just now is another thing.
    unknown = isinstance(found, Exception) and _is_of_no_host(found)
    mendable = unknown or resolution.failure_type == FailureType.config_error
    may_pass = not unknown and resolution.response_action != ResponseAction.FAIL
    return SyncError(str(resolution.error_message), USAGE if mendable else FAILED), may_pass


def _is_of_no_host(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, socket.gaierror):
            return error.errno in NO_SUCH_NAME
        error = error.__cause__ or error.__context__
    return False
