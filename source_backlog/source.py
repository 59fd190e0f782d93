"""The source: the manifest, run by the CDK, with one `Space` for all its streams."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteStateMessage,
    ConfiguredAirbyteCatalog,
    FailureType,
    Status,
)
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.streams.concurrent.cursor import CursorField
from airbyte_cdk.sources.streams.concurrent.default_stream import DefaultStream
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.components.config import check_start_date
from source_backlog.components.projects import MISSING
from source_backlog.components.space import Space, readers_of

ADMINISTRATOR = 1
# roleType of a user: https://developer.nulab.com/docs/backlog/api/2/get-user-list
ROLES = {1: "administrator", 2: "member", 3: "reporter", 4: "viewer", 5: "guest reporter", 6: "guest viewer"}
# What other roles do not get; `users` and `teams` then come from the projects, the rest is left out with a warning.
NEED_ADMINISTRATOR = ("users", "teams", "team_members", "webhooks", "space_disk_usage", "user_stars")

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
        super().__init__(
            path_to_yaml="manifest.yaml", catalog=catalog, config=config, state=state, config_path=config_path
        )
        self._selected = [configured.stream.name for configured in catalog.streams] if catalog else []
        self._retries = 6
        self._discovering = False
        self.space = Space()

    def configure(self, config: Mapping[str, Any], temp_dir: str) -> Mapping[str, Any]:
        """The config that the commands use.

        `airbyte-cdk connector test` builds a source before it knows the config: bound here, if it is not yet.
        """
        if not self._config:
            self._config = self._config_for_validation = self._migrate_and_transform_config(None, config) or {}
        configured: Mapping[str, Any] = super().configure(config, temp_dir)
        return configured

    def streams(self, config: Mapping[str, Any]) -> list[AbstractStream]:
        """All streams of the manifest, sharing one new `Space`, with `Checkpoints` as the cursor where it is one."""
        check_start_date(self._config)
        self.space = self._new_space()
        self.space.discovering = self._discovering
        # The factory hands this to every component that has a field `api_budget`: see `Space`.
        self._constructor._api_budget = self.space  # type: ignore[assignment]
        streams = super().streams(config)
        for stream in streams:
            cursor = self.space.cursors.get(stream.name)
            if cursor is not None and isinstance(stream, DefaultStream):
                # The CDK has no way to declare a cursor class of one's own, nor files without its `FileUploader`: see
                # `Checkpoints` and `FileRetriever`.
                cursor.bind(self._connector_state_manager, self._message_repository)
                stream._cursor = cursor
                stream._cursor_field = CursorField(cursor.cursor_field)
                stream._supports_file_transfer = stream.name in self.space.file_streams
        return streams

    def discover(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteCatalog:
        """The catalog of all streams; asks Backlog only for what the options make depend on it."""
        self._discovering = True
        return super().discover(logger, config)

    def read(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        """The records and states of the selected streams; the last log line says what they cost."""
        self._selected = [configured.stream.name for configured in catalog.streams]
        # The CDK builds all streams of the manifest, whatever is selected: a third of the start-up time.
        self._source_config["streams"] = [
            stream for stream in self._source_config["streams"] if stream["name"] in self._selected
        ]
        try:
            yield from super().read(logger, config, catalog, state)
        finally:
            self.space.close()
            sent = self.space.limits.sent
            LOGGER.info(
                f"Requests of this sync: {sent['read']} read, {sent['search']} search; "
                f"{self.space.responses.replayed} more were answered with responses already received."
            )

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """Whether the space answers the key, in one clean sentence if it does not."""
        self._retries = 1
        try:
            self._introduce()
        except AirbyteTracedException as error:
            return AirbyteConnectionStatus(status=Status.FAILED, message=error.message)
        return AirbyteConnectionStatus(status=Status.SUCCEEDED)

    def _introduce(self) -> None:
        """Log whose key it is and what it can see; raises `AirbyteTracedException` when it can see nothing."""
        streams = {stream.name: stream for stream in self.streams(self._config)}

        def rows(name: str) -> list[Mapping[str, Any]]:
            return [record.data for partition in streams[name].generate_partitions() for record in partition.read()]

        me, space = ({**row} for row in [*rows("myself")[:1], *rows("space")[:1]])
        projects = rows("projects")
        if "id" not in me or "spaceKey" not in space:
            raise AirbyteTracedException(
                message=(
                    f"{self._config['domain']} answers, but not like a Backlog space. Check the space domain: it is "
                    "the host name that your browser shows when you are logged in to Backlog."
                ),
                failure_type=FailureType.config_error,
            )
        if MISSING in self.space.memory:
            raise AirbyteTracedException(message=self.space.memory[MISSING], failure_type=FailureType.config_error)
        role = me.get("roleType") or 0
        LOGGER.info(
            f"The key belongs to {me.get('name')} (role {ROLES.get(role, role)}) in the space {space['spaceKey']}; "
            f"it sees {len(projects)} of the selected projects."
        )
        if role != ADMINISTRATOR:
            LOGGER.info(f"These streams need the administrator role: {', '.join(NEED_ADMINISTRATOR)}.")

    def _new_space(self) -> Space:
        workers, share = self._config.get("num_workers"), self._config.get("request_share_percent")
        return Space(
            num_workers=workers if isinstance(workers, int) and workers >= 2 else 4,
            share_percent=share if isinstance(share, int) and 1 <= share <= 100 else 90,
            endpoints=readers_of(self._source_config["streams"], self._selected),
            retries=self._retries,
        )
