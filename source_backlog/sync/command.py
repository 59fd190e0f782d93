"""The command line of `backlog-sync`: arguments, config, exit status."""

import argparse
import gc
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from source_backlog.descriptions import without_descriptions
from source_backlog.output import speak_utf8
from source_backlog.sync.destinations import FORMS, Destination, destination_of
from source_backlog.sync.errors import USAGE, SyncError, unforeseen
from source_backlog.sync.files import PATHS, add_options, files_of, local_folder_of, path_of, raise_if_unwritable
from source_backlog.sync.first_words import all_streams, selected_streams, try_key
from source_backlog.sync.holding import held
from source_backlog.sync.progress import Progress
from source_backlog.sync.stopping import Terminated, is_term, stoppable
from source_backlog.sync.unneeded import left_out

DESCRIPTION = """\
Reads a Nulab Backlog space into tables of a database, or into files. The first run reads everything; the next ones read
what has changed, because the state lies beside the tables."""

FORMS_OF_TO = "\n  ".join(FORMS)
EPILOG = f"""\
--to is one of
  {FORMS_OF_TO}

environment
  BACKLOG_DOMAIN, BACKLOG_API_KEY     instead of `domain` and `credentials` in the config
  PGPASSWORD                          password of PostgreSQL (or a line in ~/.pgpass)
  SNOWFLAKE_PRIVATE_KEY_PATH          key pair of Snowflake, as a file in PEM format
  SNOWFLAKE_PRIVATE_KEY               key pair of Snowflake, as its contents
  SNOWFLAKE_PRIVATE_KEY_PASSPHRASE    passphrase of that key, if it has one
  SNOWFLAKE_PASSWORD                  password of Snowflake
  DESTINATION__…, .dlt/secrets.toml   what the other destinations need, as dlt's documentation names it

exit status
  0    everything was read and written
  1    something failed, such as a database that is down; what was written stays, and the next run goes on from there
  2    the options, the config or the credentials have to be mended first
  130  stopped with Ctrl-C; the next run goes on from the last checkpoint
  143  stopped with SIGTERM, as schedulers do; the same
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (those of the process by default); returns its exit status."""
    speak_utf8()
    # Rows are trees without cycles, and what is imported is there to stay: looking for cycles takes a fifth of a start.
    gc.set_threshold(100_000, 50, 50)
    options = _options(arguments)
    if options.list_streams:
        print("\n".join(all_streams()))
        return 0
    without_descriptions()
    progress = Progress()
    try:
        with stoppable():
            _action(options)(options, progress)
    except SyncError as error:
        return _failed(error, progress)
    except (KeyboardInterrupt, Terminated) as stopped:
        how, status = ("stopped by SIGTERM", 143) if is_term(stopped) else ("interrupted", 130)
        progress.last_word(f"backlog-sync: {how}; the next run goes on from the last checkpoint.")
        return status
    except Exception as error:
        return _failed(unforeseen(error), progress)
    return 0


def _failed(error: SyncError, progress: Progress) -> int:
    progress.last_word(f"backlog-sync: {error}")
    return error.status


def run() -> None:
    """The console script."""
    status = main()
    sys.stdout.flush()
    # Not exit(): threads of the connector wait for somebody who reads their rows, if the run has failed.
    os._exit(status)


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


# What the command does, each imported when it is asked for: dlt and the CDK take seconds to import.
Action = Callable[[argparse.Namespace, Progress], None]


def _action(options: argparse.Namespace) -> Action:
    chosen = (
        (options.plan, _plan),
        (options.report, _report),
        (options.archive, _archive),
        (options.verify, _verify),
    )
    return next((action for option, action in chosen if option), _sync)


def _plan(options: argparse.Namespace, progress: Progress) -> None:
    config = config_of(options.config, os.environ)
    streams = selected_streams(options.streams, options.all_streams)
    try_key(config)
    from source_backlog.sync.planning import planned

    print("\n".join(planned(config, options.config, streams, progress)))


def _report(options: argparse.Namespace, progress: Progress) -> None:
    destination = _destination(options)
    from source_backlog.sync.reporting import report

    print(report(destination, options.report, progress))


def _archive(options: argparse.Namespace, _: Progress) -> None:
    from source_backlog.sync.archiving import archive

    destination = _destination(options)
    archive(destination, options.archive, local_folder_of(options))


def _verify(options: argparse.Namespace, progress: Progress) -> None:
    destination = _destination(options)
    destination.raise_if_files()
    raise_if_unwritable(options.json)
    config = config_of(options.config, os.environ)
    _silence_dlt()
    with files_of(options) as files:
        try_key(config)
        with held(destination) as connection:
            progress.start(str(config["domain"]), destination.shown)
            from source_backlog.sync.verifying import verify

            verify(config, options.config, destination, connection, files, options, progress)


def _destination(options: argparse.Namespace) -> Destination:
    if options.to is None:
        raise SyncError("--to is missing: where to write to. `backlog-sync --help` shows its forms.", USAGE)
    return destination_of(options.to, options.dataset)


def _silence_dlt() -> None:
    """Before dlt is imported: nobody but Backlog and the destination is told of this run.

    Its log is for those who know its code.
    """
    os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", RUNTIME__LOG_LEVEL="CRITICAL")


def _sync(options: argparse.Namespace, progress: Progress) -> None:
    destination = _destination(options)
    if options.repair:
        destination.raise_if_files()
    config = config_of(options.config, os.environ)
    _silence_dlt()
    with files_of(options) as files:
        streams = [*selected_streams(options.streams, options.all_streams), *(PATHS if files else ())]
        try_key(config)
        with left_out(destination), held(destination) as connection:
            progress.start(str(config["domain"]), destination.shown)
            from source_backlog.sync.loading import sync

            sync(
                config,
                options.config,
                destination,
                connection,
                streams,
                options.full_refresh,
                options.check,
                progress,
                files,
            )
            if options.check:
                progress.last_word("The space answers the key, and the destination can be reached.")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for. argparse would repeat what it does not know: the end of a password with a blank in it."""
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        named = ", ".join(each.split("=")[0] for each in unknown if each.startswith("--"))
        what = f"there is no option {named}" if named else "an argument belongs to no option"
        parser.error(f"{what}; what holds blanks is put into quotes")
    if not options.verify and (options.json is not None or options.seed is not None):
        parser.error("--json and --seed go with --verify")
    if options.full_refresh and (options.verify or options.report or options.archive):
        parser.error("--full-refresh goes with a sync")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="backlog-sync",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=path_of, metavar="FILE", help="the connector's config, as JSON")
    parser.add_argument("--to", metavar="URL", help="where to write to (see below); never with a password")
    parser.add_argument("--dataset", metavar="NAME", help="the schema, dataset or folder of the tables; one per space")
    selection = parser.add_mutually_exclusive_group()
    selection.add_argument(
        "--streams", type=_names, metavar="A,B,…", help="read these streams; without it, those that most reports need"
    )
    selection.add_argument("--all-streams", action="store_true", help="read all streams except the contents of files")
    parser.add_argument("--full-refresh", action="store_true", help="read everything again, from the beginning")
    # Each instead of a sync.
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--check", action="store_true", help="only try the key and the destination")
    modes.add_argument(
        "--plan",
        action="store_true",
        help="only say how many requests a sync needs, and how long it takes; needs no --to",
    )
    modes.add_argument(
        "--report",
        type=path_of,
        metavar="DIR",
        help="only make a page of what --to holds (DuckDB, PostgreSQL): DIR/index.html; reads nothing from Backlog",
    )
    modes.add_argument(
        "--archive",
        type=path_of,
        metavar="DIR",
        help="instead of a sync, write the tables of --to as pages that open in a browser; asks nothing of Backlog",
    )
    modes.add_argument(
        "--verify", action="store_true", help="read nothing: compare tables (and --files) with Backlog, and report"
    )
    add_options(parser)
    modes.add_argument("--list-streams", action="store_true", help="print the names of the streams")
    parser.add_argument(
        "--version", action="version", version=f"backlog-sync {metadata.version('airbyte-source-backlog')}"
    )
    return parser


def _names(text: str) -> list[str]:
    names = dict.fromkeys(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError("no stream is named")
    return list(names)
