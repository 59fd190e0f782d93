"""Loads what the connector reads with dlt: rows and state together, every minute, into whatever dlt can write to.

All names of dlt are public. Three have no page of its guide and stand in its code alone, without an underscore: the
method `truncate_tables` of the SQL client, and the two exceptions that say that a table is not there.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import dlt
from airbyte_cdk.models import AirbyteMessage
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from source_backlog.changes.projects import entries_of
from source_backlog.cores import allowed_cores, on_cores, one_of
from source_backlog.dlt import RAW_ID, Batch, Reading, Spool, Table, completed
from source_backlog.embedded import Connector, Failure
from source_backlog.left_out import listed
from source_backlog.sync.destinations import Destination
from source_backlog.sync.errors import USAGE, SyncError, explained, raise_for
from source_backlog.sync.files import Files
from source_backlog.sync.progress import Progress
from source_backlog.sync.stopping import raise_if_stopped

# How much reading a killed sync may lose; a sync shorter than this is written once, at its end.
CHECKPOINT_SECONDS = 60.0
# More rows than these are loaded without a look at which of them have changed.
COMPARED_ROWS = 20_000
# The rows of this stream tell something by coming again, even as they were: see docs/deletes-and-history.md.
COMING_AGAIN = frozenset(["document_comments"])
# dlt keeps the state of each load, and reads the latest.
STATES_KEPT = 10
# So many are named, where a table has got new ones.
MOST_COLUMNS = 5
# dlt's name for what is loaded here; the state is found by it.
NAME = "backlog"
SETTINGS = {
    "load.truncate_staging_dataset": True,
    # One thread per stream would be as many connections.
    "load.workers": 4,
}


class Warehouse:
    """The dataset that is written to: its tables, and the state that lies beside them."""

    def __init__(self, destination: Destination, connection: Any, folder: Path) -> None:
        for name, value in SETTINGS.items():
            dlt.config[name] = value
        # From a staging table into the final one, in one transaction; views and grants stay. Files know no such thing.
        replacing = "truncate-and-insert" if destination.is_files else "insert-from-staging"
        dlt.config["destination.replace_strategy"] = replacing
        self._destination = destination
        self._client: Any = None
        self._pipeline = dlt.pipeline(
            NAME,
            destination=_dlt_destination(destination, connection),
            dataset_name=destination.dataset,
            pipelines_dir=str(folder / "dlt"),
        )
        self.restore()

    def restore(self) -> None:
        """Take the state from the dataset, whatever is known here."""
        self._pipeline = self._pipeline.drop()
        try:
            self._pipeline.sync_destination()
        except Exception as error:
            raise explained(error) from error
        self.state: dict[str, Any] = dict(self._pipeline.state.get("sources", {}).get(NAME, {}))

    def is_of_an_older_version(self) -> bool:
        """Whether the tables were written by version 0.1.x, whose state cannot be gone on from."""
        return not self.state and self._query("SELECT 1 FROM {} WHERE 1 = 0", "_airbyte_state") is not None

    def lost(self, names: Sequence[str]) -> set[str]:
        """The tables that were made here, and that somebody has dropped since."""
        schema = self._pipeline.schemas.get(NAME)
        if self._destination.is_files or schema is None:
            return set()
        made = [name for name in names if name in schema.tables]
        with self.asking():
            return {name for name in made if self._query("SELECT 1 FROM {} WHERE 1 = 0", name) is None}

    def new_columns(self, table: Table) -> list[str]:
        """The columns that a table of an earlier run does not have yet."""
        schema = self._pipeline.schemas.get(NAME)
        if schema is None or table.name not in schema.tables:
            return []
        known = schema.tables[table.name]["columns"]
        return [name for name in table.kinds if name not in known]

    def write(
        self,
        tables: Mapping[str, Table],
        spools: Mapping[str, Spool],
        state: dict[str, Any],
        made_anew: bool = False,
    ) -> None:
        """Load the rows and then the state, which counts only when all is there. Raises `SyncError`.

        `made_anew`: the tables are made first, which dlt thinks to be there.
        """

        @dlt.source(name=NAME, max_table_nesting=0)
        def batch() -> Iterator[Any]:
            yield dlt.resource(_saving(state), name="state")
            for name, spool in spools.items():
                yield tables[name].resource(self._rows(spool), self._disposition(tables[name]))

        try:
            self._pipeline.run(
                batch(),
                loader_file_format=cast(Any, self._destination.file_format),
                refresh="drop_resources" if made_anew else None,
            )
        except Exception as error:
            problem = explained(error)
            self.restore()
            raise problem from error
        self.state = state
        raise_if_stopped()

    def unchanged(self, spool: Spool) -> set[str]:
        """The digests among those of `spool` that the table holds; all or none of a table that is replaced."""
        table = spool.table
        if self._destination.is_files or len(spool.ids) > COMPARED_ROWS or table.name in COMING_AGAIN:
            return set()
        held = [row[0] for row in self._readable(f"SELECT {RAW_ID} FROM {{}}", table.name)]
        new = set(spool.ids.values())
        if table.merged:
            return new.intersection(held)
        return new if len(held) == len(new) and new == set(held) else set()

    def clear(self, names: Sequence[str]) -> None:
        """Remove the rows that a run that was killed has left in the staging tables, and states of long ago.

        Only in these databases, where a statement costs next to nothing. Elsewhere the next load of a table empties its
        staging table, and the states, a few KB for each sync, stay.
        """
        if self._destination.kind not in ("duckdb", "postgres"):
            return
        with self._pipeline.sql_client() as client:
            with client.with_staging_dataset():
                for name in names:
                    with suppress(DestinationUndefinedEntity, DatabaseUndefinedRelation):
                        client.truncate_tables(name)
            states = client.make_qualified_table_name(self._pipeline.default_schema.state_table_name)
            with suppress(DestinationUndefinedEntity, DatabaseUndefinedRelation):
                # In the order in which dlt looks for the latest.
                client.execute_sql(
                    f"DELETE FROM {states} WHERE pipeline_name = '{NAME}' AND _dlt_load_id NOT IN (SELECT _dlt_load_id "
                    f"FROM {states} WHERE pipeline_name = '{NAME}' ORDER BY _dlt_load_id DESC LIMIT {STATES_KEPT})"
                )

    def counts(self, names: Sequence[str]) -> dict[str, int | None]:
        """The rows of each table; None where there is none, or files, or where it may not be read."""
        with self.asking():
            found = {name: self._readable("SELECT COUNT(*) FROM {}", name) for name in names}
        return {name: rows[0][0] if rows else None for name, rows in found.items()}

    def select(self, name: str, columns: Sequence[str], where: str = "1 = 1") -> list[Any] | None:
        """Some columns of the rows of a table; None where it is not there, or cannot be asked."""
        return self._query(f"SELECT {', '.join(columns)} FROM {{}} WHERE {where}", name)

    def _rows(self, spool: Spool) -> Iterator[Any]:
        yield from spool.tables() if self._destination.takes_arrow else spool.rows()

    def _disposition(self, table: Table) -> Any:
        if not table.merged:
            return "replace"
        if self._destination.is_files:
            return "append"
        destination = self._pipeline.destination
        strategies = destination.capabilities().supported_merge_strategies or [] if destination else []
        return {"disposition": "merge", "strategy": "upsert" if "upsert" in strategies else "delete-insert"}

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Queries within share a connection: to make one, dlt resolves its whole configuration."""
        if self._destination.is_files or self._client is not None:
            yield
            return
        with ExitStack() as stack:
            try:
                self._client = stack.enter_context(self._pipeline.sql_client())
            except Exception as error:
                raise explained(error) from error
            try:
                yield
            finally:
                self._client = None

    def _readable(self, query: str, table: str) -> list[Any]:
        """As `_query`; nothing from a table of somebody else: whoever writes to it is told so."""
        try:
            return self._query(query, table) or []
        except SyncError as error:
            if error.of_all:
                raise
            return []

    def _query(self, query: str, table: str) -> list[Any] | None:
        if self._destination.is_files:
            return None
        try:
            with self.asking():
                client = self._client
                return list(client.execute_sql(query.format(client.make_qualified_table_name(table))) or [])
        except SyncError:
            raise
        except (DestinationUndefinedEntity, DatabaseUndefinedRelation):
            return None
        except Exception as error:
            raise explained(error) from error


class Sync:
    """One run of the command, from the state in `warehouse` on."""

    def __init__(
        self, connector: Connector, warehouse: Warehouse, tables: Sequence[Table], progress: Progress, afresh: bool
    ) -> None:
        self._warehouse, self._progress, self._connector = warehouse, progress, connector
        self._tables = {table.name: table for table in tables}
        self._afresh = afresh
        self._lost: set[str] = set()
        self._unwritten: set[str] = set()
        self.failures: list[Failure] = []

    def run(self, folder: Path, identity: Mapping[str, Any]) -> None:
        """Read and load all tables; what fails goes into `failures`, with what the connector could not read."""
        self._lost = self._warehouse.lost(list(self._tables))
        if self._lost:
            self._progress.note(
                f"These tables are gone from the database, and are made and read from the beginning: "
                f"{', '.join(sorted(self._lost))}."
            )
        saved = self._warehouse.state.get("streams", {})
        known = (
            {} if self._afresh else {name: saved[name] for name in self._tables.keys() - self._lost if name in saved}
        )
        for name in sorted(known):
            if new := self._warehouse.new_columns(self._tables[name]):
                self._progress.worth_knowing(
                    f"New columns of {name}: {listed(new, MOST_COLUMNS)}. Rows that are not read again have no value "
                    f"in them; --full-refresh --streams {name} reads them all."
                )
        reading = Reading(self._connector, list(self._tables.values()), known, folder, self._heard)
        everywhere = allowed_cores()
        with on_cores(one_of(everywhere)):
            for batch in reading.batches(CHECKPOINT_SECONDS):
                # Databases make use of all.
                with on_cores(everywhere):
                    self._load(batch, identity)
        failed = {failure.stream for failure in self._connector.failures}
        missing = self._tables.keys() - reading.complete - failed
        if missing and not failed:
            self.failures.append(Failure(None, f"Not read to the end: {', '.join(sorted(missing))}.", False))
        self.failures += self._connector.failures

    def _load(self, batch: Batch, identity: Mapping[str, Any]) -> None:
        self._progress.phase("writing")
        spools = {}
        # What is asked for afresh may have been damaged in the table.
        compared = {} if self._afresh else batch.spools
        with self._warehouse.asking():
            known = {name: self._warehouse.unchanged(spool) for name, spool in compared.items()}
        for name, spool in batch.spools.items():
            same = known.get(name, set())
            emptied = not self._tables[name].merged and not spool.ids
            if not emptied:
                self._progress.unchanged(name, spool.leave_out(same))
            if spool.ids or emptied or name in self._lost:
                spools[name] = spool
        self._write(spools, batch.states, identity)
        for spool in batch.spools.values():
            spool.remove()
        self._progress.phase("reading")

    def _write(self, spools: Mapping[str, Spool], states: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        # What follows a batch that was not written must not be either: its state would pass over the rows before it.
        spools = {name: spool for name, spool in spools.items() if name not in self._unwritten}
        states = {name: state for name, state in states.items() if name not in self._unwritten}
        one_by_one = self._lost.intersection(spools)
        others = {name: spool for name, spool in spools.items() if name not in one_by_one}
        rest = {name: state for name, state in states.items() if name not in one_by_one}
        try:
            self._write_together(others, rest, identity)
        except SyncError as error:
            if error.of_all or not others:
                raise
            # One stream may have failed for all.
            one_by_one |= others.keys()
            self._write_together({}, {name: state for name, state in rest.items() if name not in others}, identity)
        for name in sorted(one_by_one):
            try:
                own = {name: states[name]} if name in states else {}
                self._write_together({name: spools[name]}, own, identity, made_anew=name in self._lost)
                self._lost.discard(name)
            except SyncError as error:
                if error.of_all:
                    raise
                self._unwritten.add(name)
                self.failures.append(Failure(name, str(error), error.status == USAGE))

    def _write_together(
        self,
        spools: Mapping[str, Spool],
        states: Mapping[str, Any],
        identity: Mapping[str, Any],
        made_anew: bool = False,
    ) -> None:
        streams = {**self._warehouse.state.get("streams", {}), **states}
        state = {**identity, "streams": streams}
        if spools or state != self._warehouse.state:
            self._warehouse.write(self._tables, spools, state, made_anew)

    def _heard(self, message: AirbyteMessage) -> None:
        if message.record is not None:
            self._progress.record(message.record.stream)
        elif name := completed(message):
            self._progress.finished(name)


def sync(
    config: dict[str, Any],
    config_path: Path | None,
    destination: Destination,
    connection: Any,
    names: Sequence[str],
    afresh: bool,
    checking: bool,
    progress: Progress,
    files: Files | None = None,
) -> None:
    """Read the streams `names` into `destination`, from their beginning if `afresh`; only try both if `checking`.

    Files go where `files` says.

    Raises `SyncError` with what the user has to know.
    """
    connector = Connector(config, config_path, progress.log, files.store if files else None)
    with tempfile.TemporaryDirectory(prefix="backlog-sync-") as temporary:
        folder = Path(temporary)
        warehouse, identity = opened(connector, destination, connection, folder, progress)
        missing, entries = connector.missing, entries_of(config.get("projects") or [])
        known = set() if checking or afresh else set(warehouse.state.get("projects", []))
        if missing and not known.issuperset(missing.entries):
            raise SyncError(missing.sentence, USAGE)
        if checking:
            return
        if warehouse.is_of_an_older_version():
            progress.note(
                "The tables here were written by version 0.1, on PyAirbyte. This version cannot go on from its state, "
                "and reads everything once more. The tables stay; their rows are merged or replaced."
            )
        tables = [Table(stream, afresh) for stream in connector.streams(names)]
        raise_for(connector.failures)
        if files is not None:
            files.prepare(warehouse, tables, progress)
        progress.phase("reading", names)
        run = Sync(connector, warehouse, tables, progress, afresh)
        run.run(folder, {**identity, "projects": sorted(entries)})
        warehouse.clear(names)
        progress.summary(warehouse.counts(names))
        if missing:
            # One that was synced before, and is gone or out of sight: the others go on.
            run.failures.append(Failure(None, f"{missing.sentence} The others were read.", True))
        raise_for(run.failures)


def opened(
    connector: Connector, destination: Destination, connection: Any, folder: Path, progress: Progress
) -> tuple[Warehouse, dict[str, Any]]:
    """The dataset, and what the state says of the space that it holds.

    Raises `SyncError` when either does not answer, and when the dataset holds another space.
    """
    space = connector.introduce()
    raise_for(connector.failures)
    progress.phase("connecting")
    warehouse = Warehouse(destination, connection, folder)
    identity = {"space": {"key": space["spaceKey"], "domain": connector.config["domain"]}}
    _same_space(warehouse.state.get("space"), identity["space"])
    return warehouse, identity


def _saving(state: Mapping[str, Any]) -> Iterator[Any]:
    saved = dlt.current.source_state()
    saved.clear()
    saved.update(state)
    yield from ()


def _same_space(known: Mapping[str, Any] | None, now: Mapping[str, Any]) -> None:
    if known and known["key"] != now["key"]:
        raise SyncError(
            f"This dataset holds the space {known['key']} ({known['domain']}), not {now['key']} ({now['domain']}). "
            "Each space needs a dataset of its own: name another one with --dataset.",
            USAGE,
        )


def _dlt_destination(destination: Destination, connection: Any) -> Any:
    if destination.kind == "duckdb":
        return dlt.destinations.duckdb(connection)
    if destination.is_files:
        return dlt.destinations.filesystem(**destination.settings)
    if not destination.settings:
        return destination.kind
    return getattr(dlt.destinations, destination.kind)(credentials=dict(destination.settings))
