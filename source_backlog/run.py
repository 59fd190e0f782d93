"""Entry point of the console script `source-backlog`."""
# ruff: noqa: E402 (the CDK is imported after what it is spared)

import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Generator, Mapping
from typing import Any, cast

from source_backlog.descriptions import without_descriptions

without_descriptions()

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.logger import PRINT_BUFFER
from airbyte_cdk.models import ConnectorSpecification, FailureType
from airbyte_cdk.utils.airbyte_secrets_utils import get_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.config import check_config, mask_secrets, unknown_options
from source_backlog.cores import allowed_cores, on_cores, one_of
from source_backlog.disk import MAKE_ROOM, is_of_the_disk, room_in_temporary_folder
from source_backlog.output import CLOSED_PIPE, speak_utf8
from source_backlog.source import SourceBacklog

LOGGER = logging.getLogger("airbyte.source_backlog")


class Entrypoint(AirbyteEntrypoint):
    """The CDK's entry point, where it speaks to people.

    Why: `validate_connection` answers with messages of a JSON Schema validator, which print the value.
    """

    @staticmethod
    def validate_connection(source_spec: ConnectorSpecification, config: Mapping[str, Any]) -> None:
        """Raise a config error with a sentence about the first field that is wrong; warn of each that is not known.

        Why not an error: a config may have been saved by a later version, or hold what another program needs.
        """
        for name, nearest, known in unknown_options(config, source_spec.connectionSpecification):
            hint = f"Perhaps {nearest} is meant." if nearest else f"The known ones are {', '.join(known)}."
            LOGGER.warning(f"The option {name} is unknown and has no effect. {hint}")
        check_config(config)

    @staticmethod
    def set_up_secret_filter(config: Mapping[str, Any], connection_specification: Mapping[str, Any]) -> None:
        """Have all secrets of the config masked in every output, wherever in the form they stand."""
        mask_secrets(config, get_secrets(connection_specification, config))


# How the CDK's lines about streams of a group begin.
WAITING = ("Deferring stream ", "Stream '")


class ForPeople(logging.Filter):
    """Keeps stack traces and repetitions out of the log.

    Why: what the CDK logs with a stack trace it also reports as a TRACE message, which has a place for one; it does
    so for each of a stream's partitions; its summary of failed streams is replaced by that of `SourceBacklog.read`; and
    of the streams that wait for their siblings it says at each turn that they do.
    """

    def __init__(self) -> None:
        super().__init__()
        self._failures: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Edit the record, or say that it is to be left out."""
        error = record.exc_info[1] if record.exc_info else None
        record.exc_info = None
        if record.funcName != "on_exception":
            return record.funcName != "is_done" and not str(record.msg).startswith(WAITING)
        text = str(record.msg).replace("Exception while syncing stream", "Failed stream")
        record.msg = f"{text}: {error}" if isinstance(error, AirbyteTracedException) else f"{text}."
        known = record.msg in self._failures
        self._failures.add(record.msg)
        return not known


def run() -> None:
    """Run one command of the Airbyte protocol with the arguments of the process."""
    speak_utf8()
    # Records are trees without cycles: looking for cycles in them took a fifth of the CPU time (docs/performance.md).
    gc.set_threshold(100_000, 50, 50)
    # As the first process of a container Python has no default for SIGTERM, and exit() would wait for the workers.
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))
    for_people = ForPeople()
    for handler in logging.getLogger().handlers:
        handler.addFilter(for_people)
    # A line of the log that cannot be written is no reason to print how that came about.
    verbose, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        _end_well(sys.argv[1:])
    except BrokenPipeError:
        # As for SIGTERM: exit() would wait for the workers, and they for somebody who reads their records.
        os._exit(CLOSED_PIPE)
    finally:
        logging.raiseExceptions = verbose
        for handler in logging.getLogger().handlers:
            handler.removeFilter(for_people)


def _end_well(args: list[str]) -> None:
    """Run a command to an end that people and platforms understand; raises `BrokenPipeError` when nobody reads on."""
    try:
        _run(args)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        _explained(error).emit_message()
        sys.exit(1)


def _explained(error: Exception) -> AirbyteTracedException:
    """`error` with a sentence for the user."""
    if isinstance(error, AirbyteTracedException):
        return error
    if isinstance(error, OSError) and is_of_the_disk(error):
        return AirbyteTracedException(
            message=f"{room_in_temporary_folder(error)} {MAKE_ROOM}",
            internal_message=repr(error),
            failure_type=FailureType.config_error,
            exception=error,
        )
    return AirbyteTracedException.from_exception(error)


def _run(args: list[str]) -> None:
    parsed = AirbyteEntrypoint.parse_args(args)
    if parsed.command is None:
        with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(SystemExit):
            AirbyteEntrypoint.parse_args(["--help"])
        sys.exit(2)
    config = _read("config", getattr(parsed, "config", None), SourceBacklog.read_config)
    catalog = _read("catalog", getattr(parsed, "catalog", None), SourceBacklog.read_catalog)
    state = _read("state", getattr(parsed, "state", None), SourceBacklog.read_state)
    source = SourceBacklog(catalog, config, state, config_path=getattr(parsed, "config", None))
    # Closed in any case: the CDK keeps the config in a folder while the command runs.
    run = contextlib.closing(cast(Generator[str, None, None], Entrypoint(source).run(parsed)))
    with on_cores(one_of(allowed_cores())), run as messages, PRINT_BUFFER:
        for message in messages:
            # One write per line: other threads write too.
            print(f"{message}\n", end="")


def _read(kind: str, path: str | None, read: Callable[[str], Any]) -> Any:
    if not path:
        return None
    try:
        return read(path)
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # The exception may show a part of the file.
        reason = f"it is not the JSON of a {kind}"
    raise AirbyteTracedException(
        message=f"The {kind} file {path} cannot be read: {reason}.",
        internal_message="The files that the platform gives must be readable.",
        failure_type=FailureType.config_error,
    )
