"""The connector within the process of who loads its rows: messages instead of lines, and no output of its own."""

import contextlib
import json
import logging
import os
import stat
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from airbyte_cdk.logger import AirbyteLogFormatter
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateMessageSerializer,
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    FailureType,
    SyncMode,
)
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.oauth import TokenStore, keep_tokens_in
from source_backlog.changes.backlog import Backlog
from source_backlog.changes.projects import Missing
from source_backlog.config import mask_secrets
from source_backlog.plan import lines
from source_backlog.source import SourceBacklog
from source_backlog.stores import Store

# The requests of `SourceBacklog.introduce`: whose key it is, the space, and the projects.
INTRODUCTION = 3


@dataclass(frozen=True)
class Failure:
    """Why a stream, or all of them (None), could not be read. `mendable`: trying again does not help."""

    stream: str | None
    message: str
    mendable: bool


class ConfigFile(TokenStore):
    """The file that the config was read from, which holds the current refresh token at any time.

    Without a `path` no token can be renewed.
    """

    def __init__(self, config: dict[str, Any], path: Path | None) -> None:
        self._config, self._path = config, path

    def prepare(self) -> None:
        """Write the file as it is, to see whether the new token can be written then."""
        try:
            if self._path is None:
                raise OSError("the config is not in a file")
            self._write(json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            where = f"the config {self._path}" if self._path else "a file"
            raise AirbyteTracedException(
                message=f"The OAuth token has to be renewed, and the new one cannot be written to {where} "
                f"({getattr(error, 'strerror', None) or error}). The old one was left as it is, and still works once "
                "the file can be written.",
                internal_message="The new refresh token could not be kept.",
                failure_type=FailureType.config_error,
            ) from error

    def keep(self, config: Mapping[str, Any]) -> None:
        """Put the credentials of `config` into the file, and into the config that the next read is given."""
        self._config["credentials"] = dict(config["credentials"])
        assert self._path is not None
        saved = json.loads(self._path.read_text(encoding="utf-8"))
        self._write(saved | {"credentials": self._config["credentials"]})

    def _write(self, config: Mapping[str, Any]) -> None:
        assert self._path is not None
        target = self._path.resolve()
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, stat.S_IMODE(target.stat().st_mode))
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise


class Heard(logging.Handler):
    """Hands the connector's log lines on, without secrets."""

    def __init__(self, listener: Callable[[str, str], None]) -> None:
        super().__init__(logging.INFO)
        self._listener = listener

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on one line."""
        self._listener(record.levelname, filter_secrets(record.getMessage()))


class Untraced(logging.Handler):
    """Hands log records on to those who listen to the whole process, without secrets and the CDK's stack traces."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on one record."""
        bare = {"msg": filter_secrets(record.getMessage()), "args": None, "exc_info": None, "exc_text": None}
        logging.getLogger().handle(logging.makeLogRecord({**vars(record), **bare}))


class Connector:
    """The connector for one config. `failures` are those of all reads; `log` hears every line, with its level.

    `path` is the file that `config` was read from, where new OAuth tokens go; `files` is where files stay.
    """

    def __init__(
        self,
        config: dict[str, Any],
        path: Path | None = None,
        log: Callable[[str, str], None] | None = None,
        files: Store | None = None,
    ) -> None:
        self.config, self.files = config, files
        self.failures: list[Failure] = []
        self._log = log
        # The CDK, when it is imported, leads the log of the process to standard output, as lines of its protocol.
        for handler in logging.root.handlers[:]:
            if isinstance(handler.formatter, AirbyteLogFormatter):
                logging.root.removeHandler(handler)
        logger = logging.getLogger("airbyte")
        if log is None and not any(isinstance(handler, Untraced) for handler in logger.handlers):
            # For good: several may read at the same time, and none knows which is the last.
            logger.addHandler(Untraced())
            logger.propagate = False
        keep_tokens_in(ConfigFile(config, path))
        mask_secrets(config)

    def introduce(self) -> Mapping[str, Any]:
        """The row of the stream `space`, if the key and the address are right, and some project can be seen."""
        with self._heard(), self._failing():
            return self._source.introduce(lenient=True)
        return {}

    @property
    def missing(self) -> Missing | None:
        """The entries of the option Projects that name nothing; known after `introduce`."""
        return self._source.missing

    def plan(self, names: Collection[str], also: int = 0) -> list[str]:
        """What of the named streams the user cannot read, and what `introduce` and a sync of them will cost.

        In sentences; `also`: reads besides.
        """
        with self._heard(), self._failing():
            self._source.introduce()
            costs = lines(self._source.planned(names, INTRODUCTION + also))
            return [*self._source.refused(names), *costs]
        return []

    def backlog(self) -> Backlog:
        """Backlog, to be asked outside of a read; raises `AirbyteTracedException` when the config cannot be used."""
        return self._source.backlog()

    def streams(self, names: Collection[str]) -> list[AirbyteStream]:
        """The named streams, in the order of the manifest, as `discover` gives them."""
        with self._heard(), self._failing():
            return list(self._source.catalog_of(names).streams)
        return []

    @cached_property
    def _source(self) -> SourceBacklog:
        return SourceBacklog(config=self.config)

    def read(
        self, streams: Collection[AirbyteStream], states: Mapping[str, Any] | None = None
    ) -> Iterator[AirbyteMessage]:
        """The messages of a read of `streams` that goes on from `states`, by stream; never raises what went wrong."""
        catalog = ConfiguredAirbyteCatalog(
            streams=[
                ConfiguredAirbyteStream(
                    stream=stream,
                    sync_mode=SyncMode.incremental if is_incremental(stream) else SyncMode.full_refresh,
                    destination_sync_mode=DestinationSyncMode.append_dedup,
                )
                for stream in streams
            ]
        )
        state = [
            AirbyteStateMessageSerializer.load(
                {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": saved}}
            )
            for name, saved in (states or {}).items()
        ]
        logger = logging.getLogger("airbyte")
        with self._heard(), self._failing():
            self._source.files = self.files
            for message in self._source.read(logger, self.config, catalog, state):
                if message.log is not None and self._log is not None:
                    self._log(message.log.level.value, filter_secrets(message.log.message))
                if message.trace is not None and (error := message.trace.error) is not None:
                    name = error.stream_descriptor.name if error.stream_descriptor else None
                    self._fail(name, str(error.message), error.failure_type)
                yield message

    def _fail(self, stream: str | None, message: str, kind: FailureType | None) -> None:
        self.failures.append(Failure(stream, filter_secrets(message), kind == FailureType.config_error))

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        known = len(self.failures)
        try:
            yield
        except AirbyteTracedException as error:
            # The last word of a read only sums up what its messages have said.
            if len(self.failures) == known:
                self._fail(None, str(error.message), error.failure_type)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            self._fail(None, f"The connector has failed: {type(error).__name__}. Please report it.", None)

    @contextlib.contextmanager
    def _heard(self) -> Iterator[None]:
        if self._log is None:
            yield
            return
        handler, logger = Heard(self._log), logging.getLogger("airbyte")
        before = logger.propagate, logger.level
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.propagate, logger.level = before


def is_incremental(stream: AirbyteStream) -> bool:
    """Whether a read of the stream goes on from where the last one has come."""
    return SyncMode.incremental in (stream.supported_sync_modes or [])
