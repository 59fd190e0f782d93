"""The source: the manifest, run by the CDK, with one `Space` for all its streams."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, cast

from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteConnectionStatus,
    AirbyteErrorTraceMessage,
    AirbyteMessage,
    AirbyteStateMessage,
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalog,
    FailureType,
    Status,
    StreamDescriptor,
)
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource
from airbyte_cdk.sources.streams import NO_CURSOR_STATE_KEY
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.streams.concurrent.cursor import CursorField
from airbyte_cdk.sources.streams.concurrent.default_stream import DefaultStream
from airbyte_cdk.sources.streams.concurrent.partitions.partition import Partition
from airbyte_cdk.sources.streams.concurrent.partitions.partition_generator import PartitionGenerator
from airbyte_cdk.sources.utils.record_helper import stream_data_to_airbyte_message
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.errors import domain_hint
from source_backlog.api.limits import limits_of
from source_backlog.api.responses import responses_of
from source_backlog.changes.backlog import Backlog
from source_backlog.changes.checkpoints import Checkpoints
from source_backlog.changes.projects import MISSING, Missing, seen_and_selected
from source_backlog.changes.siblings import siblings_of, walking_together
from source_backlog.changes.zone import zone_of
from source_backlog.columns import DateColumns, date_columns
from source_backlog.config import NormaliseDomain, check_config
from source_backlog.disk import MAKE_ROOM, of_the_disk_in
from source_backlog.left_out import CONTENTS, RIGHTS, left_out_of
from source_backlog.plan import Plan, lines, plan
from source_backlog.selection import SUGGESTED_STREAMS
from source_backlog.space import Space, readers_of, streams_by_endpoint
from source_backlog.stores import Store
from source_backlog.streams.coverage import NAME as COVERAGE
from source_backlog.streams.coverage import CoveredPartition, coverage_of

# roleType of a user: https://developer.nulab.com/docs/backlog/api/2/get-user-list
ROLES = {1: "administrator", 2: "member", 3: "reporter", 4: "viewer", 5: "guest reporter", 6: "guest viewer"}
ADMINISTRATOR, MAY_ONLY_ADD_ISSUES, MAY_ONLY_VIEW_ISSUES = 1, 3, 4

QUEUED_RECORDS = 1_000

NO_SUCH_STREAM = (
    "There is no such stream in this version of the connector. Refresh the schema of the connection, or take it out."
)

LOGGER = logging.getLogger("airbyte.source_backlog")


class SourceBacklog(YamlDeclarativeSource):
    """Nulab Backlog as an Airbyte source."""

    def __init__(
        self,
        catalog: ConfiguredAirbyteCatalog | None = None,
        config: Mapping[str, Any] | None = None,
        state: list[AirbyteStateMessage] | None = None,
        config_path: str | None = None,
    ) -> None:
        self._given = catalog, state
        # The config in its shape, before the CDK brings its own copy into the same shape.
        self.config: dict[str, Any] = dict(config or {})
        NormaliseDomain().transform(self.config)
        super().__init__(
            path_to_yaml="manifest.yaml", catalog=catalog, config=self.config, state=state, config_path=config_path
        )
        # The CDK fills its queue with up to 10,000 records before it prints them: a hundred MiB of issues.
        self._concurrent_source._queue.maxsize = QUEUED_RECORDS
        self._states = ConnectorStateManager(state)
        self._selected = [configured.stream.name for configured in catalog.streams] if catalog else []
        self._schemas: dict[str, Callable[[], Mapping[str, Any]]] = {}
        self._only: Collection[str] | None = None
        self._covering: AbstractStream | None = None
        self._checking = False
        self._discovering = False
        self._role: int | None = None
        self.files: Store | None = None
        self.space = Space()

    def configure(self, config: Mapping[str, Any], temp_dir: str) -> Mapping[str, Any]:
        """The config that the commands use.

        `airbyte-cdk connector test` builds a source before it knows the config: built anew here, if it has none.
        """
        if not self.config:
            catalog, state = self._given
            SourceBacklog.__init__(self, catalog, config, state)
        configured: Mapping[str, Any] = super().configure(config, temp_dir)
        return configured

    def streams(self, config: Mapping[str, Any]) -> list[AbstractStream]:
        """All streams of the manifest, sharing one new `Space`, with `Checkpoints` as the cursor where it is one."""
        check_config(self.config)
        self.space = self._new_space()
        self.space.discovering = self._discovering
        self.space.selected = tuple(self._selected)
        self.space.files = self.files
        # The factory hands this to every component that has a field `api_budget`: see `Space`.
        self._constructor._api_budget = self.space  # type: ignore[assignment]
        # The CDK builds all streams of the manifest, whatever is selected: most of the start-up time.
        manifest = cast(dict[str, Any], self.resolved_manifest)
        declared = manifest["streams"]
        manifest["streams"] = [one for one in declared if self._only is None or one["name"] in self._only]
        try:
            streams = super().streams(config)
        finally:
            manifest["streams"] = declared
        for cursor in self.space.cursors.values():
            cursor.bind(self._states, self._constructor.get_message_repository())
        together = walking_together(self.space.cursors.values())
        self.space.read_by(readers_of(declared, self._selected, together))
        left_out_of(self.space).read_by(streams_by_endpoint(declared, self._selected))
        keys = self._keys()
        self._covering = next((stream for stream in streams if stream.name == COVERAGE), None)
        self._schemas = {stream.name: stream.get_json_schema for stream in streams}
        return [self._with_checkpoints(stream, keys[stream.name]) for stream in streams]

    def _with_checkpoints(self, stream: AbstractStream, key: str | list[str]) -> AbstractStream:
        """`stream`, built anew around its `Checkpoints` if it has some, or to note how its partitions end.

        Why: the CDK has no way to declare a cursor class of one's own, nor files without its `FileUploader`: see
        `Checkpoints`, `FileRetriever` and `CoveredPartition`.
        """
        cursor: Checkpoints | None = self.space.cursors.get(stream.name)
        covered = COVERAGE in self._selected and stream.name != COVERAGE
        if cursor is None and not covered:
            return stream
        backlog = Backlog(self.config, self.space.requester, self.space, COVERAGE) if covered else None
        has_siblings = cursor is not None and len(siblings_of(self.space.cursors.values(), cursor)) > 1
        return DefaultStream(
            partition_generator=PartitionsOf(stream, backlog),
            name=stream.name,
            json_schema=stream.get_json_schema,
            primary_key=[key] if isinstance(key, str) else key,
            cursor_field=CursorField(cursor.cursor_field) if cursor else None,
            logger=LOGGER,
            cursor=cursor or stream.cursor,
            supports_file_transfer=stream.name in self.space.file_streams,
            # The CDK begins with one stream of a group after the other: see `Team`.
            block_simultaneous_read=cursor.group if cursor and has_siblings else "",
        )

    def discover(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteCatalog:
        """The catalog of all streams; asks Backlog only for what the options make depend on it."""
        self._discovering = True
        try:
            return super().discover(logger, config)
        finally:
            self._discovering = False
            left_out_of(self.space).report()

    def catalog_of(self, names: Collection[str]) -> AirbyteCatalog:
        """The catalog of the named streams alone, in a part of the time that all of them take."""
        self._only = names
        try:
            return self.discover(LOGGER, self.config)
        finally:
            self._only = None

    def read(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        """The records and states of the selected streams; the last log line says what they cost.

        A source that was made without `catalog` and `state` takes them from here: reading and checking the manifest
        anew takes a tenth of a sync in which nothing has changed.
        """
        if self._given == (None, None):
            self._states = ConnectorStateManager(state)
        self._only = self._selected = [configured.stream.name for configured in catalog.streams]
        unknown = self._unknown_streams()
        failures: list[AirbyteErrorTraceMessage] = []
        dates = self._date_columns(catalog)
        try:
            for message in self._messages(logger, config, catalog, state):
                if message.record is not None:
                    dates.mend(message.record.stream, message.record.data)
                    coverage_of(self.space).given(message.record.stream, message.record.data)
                if message.trace is not None and message.trace.error is not None:
                    failure = readable(message.trace.error)
                    if any(same(failure, other) for other in failures):
                        continue
                    failures.append(failure)
                yield message
        except AirbyteTracedException as error:
            if not failures:
                raise
            raise summary([*failures, *unknown]) from error
        else:
            if unknown:
                raise summary(unknown)
        finally:
            self._only = None
            self.space.close()
            left_out_of(self.space).report()
            sent = limits_of(self.space).sent
            LOGGER.info(
                f"Requests of this sync: {sent['read']} read, {sent['search']} search; "
                f"{responses_of(self.space).replayed} more were answered with responses already received."
            )

    def _messages(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None,
    ) -> Iterator[AirbyteMessage]:
        """The messages of the CDK, then, whatever has failed, those of `sync_coverage` if it is selected."""
        self._covering = None
        others = [configured for configured in catalog.streams if configured.stream.name != COVERAGE]
        try:
            yield from started_first(super().read(logger, config, ConfiguredAirbyteCatalog(streams=others), state))
        except Exception:
            yield from self._coverage()
            raise
        yield from self._coverage()

    def _coverage(self) -> Iterator[AirbyteMessage]:
        """What the CDK says of a stream that is read whole, said here because it reads all streams at once."""
        if self._covering is None or COVERAGE not in self._selected:
            return
        descriptor = StreamDescriptor(name=COVERAGE)
        yield as_airbyte_message(descriptor, AirbyteStreamStatus.STARTED)
        running = False
        for partition in self._covering.generate_partitions():
            for record in partition.read():
                if not running:
                    running = True
                    yield as_airbyte_message(descriptor, AirbyteStreamStatus.RUNNING)
                yield stream_data_to_airbyte_message(record.stream_name, record.data)
        self._states.update_state_for_stream(COVERAGE, None, {NO_CURSOR_STATE_KEY: True})
        yield self._states.create_state_message(COVERAGE, None)
        yield as_airbyte_message(descriptor, AirbyteStreamStatus.COMPLETE)

    def _date_columns(self, catalog: ConfiguredAirbyteCatalog) -> DateColumns:
        """The columns of dates: those of the schemas, and those that only the catalog knows, such as custom fields."""
        selected = {configured.stream.name: configured.stream.json_schema for configured in catalog.streams}

        def columns_of(stream: str) -> dict[str, str]:
            own = self._schemas[stream]()
            others = {
                name: one for name, one in date_columns(selected[stream]).items() if name not in own["properties"]
            }
            return date_columns(own) | others

        return DateColumns(columns_of, self._keys(), lambda: zone_of(self.space))

    def _keys(self) -> dict[str, str | list[str]]:
        return {one["name"]: one["primary_key"] for one in self.resolved_manifest["streams"]}

    def _unknown_streams(self) -> list[AirbyteErrorTraceMessage]:
        """A failure, and a warning, for each selected stream that does not exist.

        Why: the CDK leaves it out without a word, and the sync ends as if it had been read.
        """
        known = self._keys()
        unknown = [name for name in self._selected if name not in known]
        for name in unknown:
            LOGGER.warning(f"{name}: {NO_SUCH_STREAM}")
        return [
            AirbyteErrorTraceMessage(
                message=NO_SUCH_STREAM,
                failure_type=FailureType.config_error,
                stream_descriptor=StreamDescriptor(name=name),
            )
            for name in unknown
        ]

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """Whether the space answers the key, in one clean sentence if it does not."""
        try:
            self.introduce()
            for line in self._costs():
                LOGGER.info(line)
        except AirbyteTracedException as error:
            return AirbyteConnectionStatus(status=Status.FAILED, message=filter_secrets(str(error)))
        return AirbyteConnectionStatus(status=Status.SUCCEEDED)

    def introduce(self, lenient: bool = False) -> Mapping[str, Any]:
        """Log whose key it is and what it can see; returns the space.

        Raises `AirbyteTracedException` when it can see nothing, or cannot be asked, or, unless `lenient`, when an entry
        of the option Projects names nothing that it can see: see `missing`.
        """
        self._checking, self._only = True, ("myself", "space", "projects")
        try:
            return self._introduction(lenient)
        finally:
            self._checking, self._only = False, None

    @property
    def missing(self) -> Missing | None:
        """The entries of the option Projects that name nothing; known after `introduce`."""
        found: Missing | None = self.space.memory.get(MISSING)
        return found

    def backlog(self) -> Backlog:
        """Backlog, to be asked outside of a sync."""
        self._only = ("projects",)
        try:
            self.streams(self.config)
        finally:
            self._only = None
        return Backlog(self.config, self.space.requester, self.space, "projects")

    def _introduction(self, lenient: bool) -> Mapping[str, Any]:
        streams = {stream.name: stream for stream in self.streams(self.config)}

        def rows(name: str) -> list[Mapping[str, Any]]:
            return [record.data for partition in streams[name].generate_partitions() for record in partition.read()]

        me, space = ((*rows(name), {})[0] for name in ("myself", "space"))
        if "id" not in me or "spaceKey" not in space:
            host = self.config["domain"]
            raise AirbyteTracedException(
                message=f"{host} answers, but not as a Backlog space does. {domain_hint(host)}",
                failure_type=FailureType.config_error,
            )
        rows("projects")
        if self.missing and not lenient:
            raise AirbyteTracedException(message=self.missing.sentence, failure_type=FailureType.config_error)
        role = me.get("roleType") if isinstance(me.get("roleType"), int) else 0
        LOGGER.info(
            f"The key belongs to {me.get('name')} (role {ROLES.get(role or 0, role)}) in the space "
            f"{space['spaceKey']}; {of_the_projects(*seen_and_selected(self.space))}"
        )
        self._role = role
        for line in not_for(role, self.resolved_manifest["streams"]):
            LOGGER.info(line)
        return space

    def refused(self, names: Collection[str]) -> Iterator[str]:
        """What the user of the key cannot read of the named streams, a line per right; known after `introduce`."""
        return not_for(self._role, (one for one in self.resolved_manifest["streams"] if one["name"] in names))

    def planned(self, names: Collection[str], also: int = 0) -> Plan:
        """What a sync of the named streams will cost, with `also` so many reads around it; asked after `introduce`.

        Raises `AirbyteTracedException` when Backlog does not tell.
        """
        backlog = Backlog(self.config, self.space.requester, self.space, "plan")
        return plan(backlog, self.resolved_manifest["streams"], names, also)

    def _costs(self) -> Iterable[str]:
        """What a sync of the suggested streams would cost; nothing when Backlog does not tell: it is no fault."""
        try:
            made = self.planned([*SUGGESTED_STREAMS, "issue_comments"])
        except AirbyteTracedException as error:
            return [f"What a sync will cost could not be told: {filter_secrets(str(error.message))}"]
        return lines(made)

    def _new_space(self) -> Space:
        workers, share = self.config.get("num_workers"), self.config.get("request_share_percent")
        return Space(
            num_workers=workers if isinstance(workers, int) else 1,
            share_percent=share if isinstance(share, int) and 1 <= share <= 100 else 90,
            quick=self._checking,
        )


def started_first(messages: Iterable[AirbyteMessage]) -> Iterator[AirbyteMessage]:
    """The messages of a sync, such that a stream is reported as started before anything else is said of it.

    Why: records of a stream may come while one of its siblings is read (`Team`), before the CDK begins with the stream.
    """
    started: set[str] = set()
    for message in messages:
        name, starts = _stream_of(message), _is_start(message)
        if name is not None and name not in started:
            started.add(name)
            if not starts:
                yield as_airbyte_message(StreamDescriptor(name=name), AirbyteStreamStatus.STARTED)
        elif starts:
            continue
        yield message


def _stream_of(message: AirbyteMessage) -> str | None:
    # Of a record, a state or a status: what is said of a stream that has started.
    if message.record is not None:
        return str(message.record.stream)
    told = message.state.stream if message.state else message.trace.stream_status if message.trace else None
    return str(told.stream_descriptor.name) if told else None


def _is_start(message: AirbyteMessage) -> bool:
    status = message.trace.stream_status if message.trace else None
    return status is not None and status.status == AirbyteStreamStatus.STARTED


class PartitionsOf(PartitionGenerator):
    """The partitions of a stream as the CDK has built it, for one that is built anew.

    With `backlog` their ends are noted, for `sync_coverage`.
    """

    def __init__(self, stream: AbstractStream, backlog: Backlog | None = None) -> None:
        self.stream, self.backlog = stream, backlog

    def generate(self) -> Iterable[Partition]:
        """The partitions, one after the other."""
        for partition in self.stream.generate_partitions():
            yield partition if self.backlog is None else CoveredPartition(partition, self.backlog)


def of_the_projects(seen: int, selected: int) -> str:
    """The end of the sentence about a key that sees `seen` projects, of which the options select `selected`."""
    if not seen:
        return "it sees no project: add its user to those that you want to sync."
    projects = f"it sees {seen} project{'s' if seen > 1 else ''}"
    if seen == selected:
        return f"{projects}, and {'all are' if seen > 1 else 'it is'} synced."
    return f"{projects}, of which the options select {selected}."


def not_for(role: int | None, streams: Iterable[dict[str, Any]]) -> Iterator[str]:
    """What a user of `role` cannot read of the `streams` of the manifest, a line per right; an administrator can all.

    Whether the user administers a project is not asked, so that those streams are named to all others.
    """
    if role == ADMINISTRATOR:
        return
    declared = list(streams)
    readers = streams_by_endpoint(declared, [stream["name"] for stream in declared])
    for right in dict.fromkeys(RIGHTS.values()):
        if right is not CONTENTS or role in (MAY_ONLY_ADD_ISSUES, MAY_ONLY_VIEW_ISSUES):
            names = {name for endpoint in RIGHTS if RIGHTS[endpoint] is right for name in readers.get(endpoint, ())}
            if not names:
                continue
            without = right.instead or "Without it, what Backlog refuses is left out."
            yield f"{', '.join(sorted(names))}: it takes {right.takes}. {without}"


def readable(error: AirbyteErrorTraceMessage) -> AirbyteErrorTraceMessage:
    """`error`, in place, without secrets, and with a sentence where the CDK has only the name of an exception."""
    stream = error.stream_descriptor.name if error.stream_descriptor else "a stream"
    unexpected = str(error.message).startswith("An unexpected error occurred in stream")
    if unexpected and (reason := of_the_disk_in(error.internal_message or "")):
        error.message = f"The stream {stream} could not write to the disk of this machine ({reason}). {MAKE_ROOM}"
        error.failure_type = FailureType.config_error
    elif unexpected:
        error.message = (
            f"The stream {stream} met something in Backlog's answers that it cannot read. Please report it, with the "
            "log of this sync."
        )
    for name in ("message", "internal_message", "stack_trace"):
        setattr(error, name, filter_secrets(getattr(error, name) or ""))
    return error


def same(one: AirbyteErrorTraceMessage, other: AirbyteErrorTraceMessage) -> bool:
    """Whether two partitions of a stream failed alike: a space may have thousands of them."""
    return (one.message, one.stream_descriptor) == (other.message, other.stream_descriptor)


def summary(failures: list[AirbyteErrorTraceMessage]) -> AirbyteTracedException:
    """What failed in all, as the last word of a sync: the streams by reason.

    Why: the CDK's own summary shows the `repr` of exceptions, and calls every failure a config error, after which
    the platform does not try again.
    """
    streams: dict[str, list[str]] = {}
    for failure in failures:
        name = failure.stream_descriptor.name if failure.stream_descriptor else "unknown"
        if name not in streams.setdefault(failure.message, []):
            streams[failure.message].append(name)
    reasons = " ".join(f"{', '.join(names)}: {message}" for message, names in streams.items())
    kinds = {failure.failure_type for failure in failures}
    return AirbyteTracedException(
        message=f"Not all streams were synced. {reasons}",
        internal_message=f"{len(failures)} failures.",
        failure_type=next(
            (kind for kind in (FailureType.config_error, FailureType.system_error) if kind in kinds),
            FailureType.transient_error,
        ),
    )
