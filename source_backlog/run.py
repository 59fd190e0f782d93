"""Entry point of the console script `source-backlog`."""

import gc
import logging
import sys
from types import TracebackType

from airbyte_cdk.entrypoint import AirbyteEntrypoint, launch
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.source import SourceBacklog


def run() -> None:
    """Run one command of the Airbyte protocol with the arguments of the process."""
    # Records are trees without cycles: looking for cycles in them took a fifth of the CPU time (docs/performance.md).
    gc.set_threshold(100_000, 50, 50)
    sys.excepthook = _report
    for handler in logging.getLogger().handlers:
        handler.addFilter(_without_stack_trace)
    args = sys.argv[1:]
    catalog, config, state = (
        extract(args)
        for extract in (
            AirbyteEntrypoint.extract_catalog,
            AirbyteEntrypoint.extract_config,
            AirbyteEntrypoint.extract_state,
        )
    )
    try:
        files = (
            SourceBacklog.read_catalog(catalog) if catalog else None,
            SourceBacklog.read_config(config) if config else None,
            SourceBacklog.read_state(state) if state else None,
        )
    except (OSError, ValueError) as error:
        raise AirbyteTracedException(
            message=f"The config, catalog or state file cannot be read: {error}",
            failure_type=FailureType.config_error,
            exception=error,
        ) from error
    source = SourceBacklog(*files, config_path=config)
    launch(source, args)


def _without_stack_trace(record: logging.LogRecord) -> bool:
    # The CDK logs what it also reports as a TRACE message; the log is for people.
    if not logging.getLogger("airbyte").isEnabledFor(logging.DEBUG):
        record.exc_info = None
    return True


def _report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    known = error if isinstance(error, AirbyteTracedException) else AirbyteTracedException.from_exception(error)
    known.emit_message()
