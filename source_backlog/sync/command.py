"""The command line of `backlog-sync`: arguments, config, exit status."""

import argparse
import gc
import importlib.util
import json
import os
import signal
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from source_backlog.output import speak_utf8
from source_backlog.sync.destinations import FORMS, Destination, destination_of
from source_backlog.sync.errors import USAGE, SyncError
from source_backlog.sync.progress import Progress

# The same as suggestedStreams in metadata.yaml, which is not part of the installed package.
SUGGESTED_STREAMS = (
    "activities",
    "categories",
    "custom_fields",
    "deletions",
    "issue_types",
    "issues",
    "priorities",
    "project_users",
    "projects",
    "resolutions",
    "space",
    "statuses",
    "users",
    "versions",
)

DESCRIPTION = """\
Reads a Nulab Backlog space into tables of a database. The first run reads everything; the next ones read what has
changed, because the tables remember how far the last run came."""

EPILOG = f"""\
--to is one of
  {FORMS.replace(", ", chr(10) + "  ").replace(" or ", chr(10) + "  ")}

environment
  BACKLOG_DOMAIN, BACKLOG_API_KEY     instead of `domain` and `credentials` in the config
  PGPASSWORD                          password of PostgreSQL (or a line in ~/.pgpass)
  SNOWFLAKE_PRIVATE_KEY_PATH          key pair of Snowflake, as a file in PEM format
  SNOWFLAKE_PRIVATE_KEY               key pair of Snowflake, as its contents
  SNOWFLAKE_PRIVATE_KEY_PASSPHRASE    passphrase of that key, if it has one
  SNOWFLAKE_PASSWORD                  password of Snowflake

exit status
  0  everything was read and written
  1  something failed; what was written stays, and the next run continues from there
  2  the options, the config or the credentials have to be mended first
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (those of the process by default); returns its exit status."""
    speak_utf8()
    # Rows are trees without cycles, and what PyAirbyte imports is there to stay: looking for cycles takes a fifth of a
    # start.
    gc.set_threshold(100_000, 50, 50)
    options = _parser().parse_args(arguments)
    # A scheduler stops a job with SIGTERM: the connector has to stop with it.
    signal.signal(signal.SIGTERM, _terminated)
    progress = Progress()
    try:
        config = config_of(options.config, os.environ)
        destination = destination_of(options.to)
        streams = None if options.all_streams else options.streams or list(SUGGESTED_STREAMS)
        return _sync(config, options.config, destination, streams, options.full_refresh, progress)
    except SyncError as error:
        progress.last_word(f"backlog-sync: {error}")
        return error.status
    except KeyboardInterrupt:
        progress.last_word("backlog-sync: interrupted; the next run continues from the last checkpoint.")
        return 130


def config_of(path: Path | None, environment: Mapping[str, str]) -> dict[str, Any]:
    """The connector's config: the file, and from the environment what the file leaves out.

    Raises `SyncError` (usage) when the file cannot be read, or when there is no domain or no credentials.
    """
    config: dict[str, Any] = {}
    if path is not None:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SyncError(f"The config {path} cannot be read: {error.strerror}.", USAGE) from error
        except ValueError as error:
            raise SyncError(f"The config {path} is not valid JSON: {error}.", USAGE) from error
        if not isinstance(content, dict):
            raise SyncError(f"The config {path} is not a JSON object.", USAGE)
        config = content
    if domain := environment.get("BACKLOG_DOMAIN"):
        config.setdefault("domain", domain)
    if key := environment.get("BACKLOG_API_KEY"):
        config.setdefault("credentials", {"auth_type": "api_key", "api_key": key})
    for name, variable in (("domain", "BACKLOG_DOMAIN"), ("credentials", "BACKLOG_API_KEY")):
        if not config.get(name):
            raise SyncError(f"Neither the config has {name!r} nor is the environment variable {variable} set.", USAGE)
    return config


def _sync(
    config: dict[str, Any],
    config_path: Path | None,
    destination: Destination,
    streams: list[str] | None,
    full_refresh: bool,
    progress: Progress,
) -> int:
    if importlib.util.find_spec("airbyte") is None:
        raise SyncError(
            "PyAirbyte, which writes to the database, is not installed: "
            "pip install 'airbyte-source-backlog[warehouse]' (Python 3.11 or 3.12).",
            USAGE,
        )
    # What PyAirbyte writes for the connector (the config above all) can be read by every user of the machine,
    # unless it lies in a folder that cannot. The connector's own files go there too: PyAirbyte may end it before it
    # has removed them.
    with tempfile.TemporaryDirectory(prefix="backlog-sync-") as folder:
        os.environ.update(
            AIRBYTE_OFFLINE_MODE="1", DO_NOT_TRACK="1", NO_LIVE_PROGRESS="1", AIRBYTE_TEMP_DIR=folder, TMPDIR=folder
        )
        os.environ.setdefault("AIRBYTE_LOGGING_ROOT", folder)
        progress.start(destination.name)
        # Here and not above: PyAirbyte takes seconds to import, and reads the environment while it does.
        with warnings.catch_warnings(action="ignore"):
            from source_backlog.sync.loading import sync

        counts = sync(config, config_path, destination, streams, full_refresh, Path(folder), progress)
        progress.summary(counts)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="backlog-sync",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the connector's config, as JSON")
    parser.add_argument("--to", required=True, metavar="URL", help="the database (see below); never with a password")
    selection = parser.add_mutually_exclusive_group()
    selection.add_argument(
        "--streams", type=_names, metavar="A,B,…", help="read these streams; without it, a useful few"
    )
    selection.add_argument("--all-streams", action="store_true", help="read all streams except the contents of files")
    parser.add_argument("--full-refresh", action="store_true", help="read everything again and replace the tables")
    return parser


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("no stream is named")
    return names


def _terminated(signal_number: int, frame: object) -> None:
    raise SystemExit(128 + signal_number)
