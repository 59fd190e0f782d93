"""What Airbyte's Snowflake destination makes of a read, as its source code has it, in DuckDB.

No Snowflake and no Airbyte were at hand: this is a model. Its rules, and where each was read in airbytehq/airbyte in
mid-2026. Paths are below `airbyte-integrations/connectors/destination-snowflake/src/main/kotlin/io/airbyte/…`.

1. Tables and columns have upper-cased names: `schema/SnowflakeNamingUtils.kt`, `toSnowflakeCompatibleName`.
2. Types: boolean → BOOLEAN, integer → NUMBER(38, 0), number → FLOAT, string → VARCHAR, date → DATE, date-time with a
   zone → TIMESTAMP_TZ, array → ARRAY, object → OBJECT. Primary key and cursor are NOT NULL, and what the schema lacks
   is dropped: `schema/SnowflakeTableSchemaMapper.kt`, `toColumnType` and `toFinalSchema`.
3. A text above 16 MiB, and an array or object above 128 MiB, in UTF-8, becomes NULL, and `_airbyte_meta` says so:
   `write/transform/SnowflakeValueCoercer.kt`.
4. Of the new rows with one key the one with the greatest cursor counts, among equal cursors the one extracted last:
   `sql/SnowflakeDirectLoadSqlGenerator.kt`, `selectDedupedRecords`.
5. It replaces the row that is there if its cursor is greater, or equal and it was extracted later: the same file,
   `upsertTable`.
6. Where the schema has `_ab_cdc_deleted_at` and the CDC deletion mode is hard, a row with it deletes the one that is
   there, under the condition of 5, and is not inserted where there is none. In soft mode it is a row like any other:
   the same function.
7. A stream with a minimum generation is loaded into a table of its own, which a failed sync leaves to the next one of
   the generation and a complete one puts in the place of the old; a table that has the generation already is merged
   into. Without one, what has arrived is merged at the end of each sync, of a failed one too:
   `DirectLoadTableStreamLoader.kt` of the bulk CDK. A refresh that keeps the records sets no minimum; one that removes
   them, and full refresh | overwrite, set it to the new generation: https://docs.airbyte.com/operator-guides/refreshes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import duckdb

Row = dict[str, Any]

TYPES = {"boolean": "BOOLEAN", "integer": "DECIMAL(38, 0)", "number": "DOUBLE", "array": "JSON", "object": "JSON"}
FORMATS = {"date": "DATE", "date-time": "TIMESTAMPTZ"}
VARCHAR_LIMIT = 16 * 2**20
VARIANT_LIMIT = 128 * 2**20
TOMBSTONE = "_AB_CDC_DELETED_AT"
EXTRACTED, GENERATION, META = "_AIRBYTE_EXTRACTED_AT", "_AIRBYTE_GENERATION_ID", "_AIRBYTE_META"


class Table:
    """One stream with its tables: the final one, and the one into which a sync loads."""

    def __init__(self, name: str, schema: Row, key: Sequence[str], cursor: str | None, hard_delete: bool) -> None:
        self.database = duckdb.connect()
        self.database.execute("SET TimeZone = 'UTC'")
        self.name = name.upper()
        self.columns = {column: _type(prop) for column, prop in schema["properties"].items()}
        self.key = [column.upper() for column in key]
        self.cursor = cursor.upper() if cursor else None
        self.hard_delete = hard_delete and TOMBSTONE in map(str.upper, self.columns)
        self.extracted = 0
        self._create(self.name)

    def load(self, rows: Sequence[Row], generation: int, minimum: int, complete: bool) -> None:
        """One sync of the stream: its rows in the order of their extraction, and whether it came to its end."""
        temporary = f"{self.name}_TMP"
        left_over = self._generation(temporary) if self._exists(temporary) else None
        if left_over is None or left_over < minimum:
            self._create(temporary)
        self._insert(temporary, rows, generation)
        if not minimum or (complete and left_over is None and self._generation(self.name, minimum) >= minimum):
            self._merge(temporary, self.name)
        elif complete:
            self._create(f"{temporary}_2")
            self._merge(temporary, f"{temporary}_2")
            self.database.execute(f'DROP TABLE "{self.name}"')
            self.database.execute(f'ALTER TABLE "{temporary}_2" RENAME TO "{self.name}"')
        else:
            return
        self.database.execute(f'DROP TABLE "{temporary}"')

    def rows(self) -> list[Row]:
        """The rows, with the columns named and written as in the records; NULL is left out."""
        chosen = ", ".join(f'{_written(column.upper(), kind)} AS "{column}"' for column, kind in self.columns.items())
        found = self.database.execute(f'SELECT {chosen} FROM "{self.name}"')
        names = [each[0] for each in found.description or []]
        return [
            {name: self._value(name, value) for name, value in zip(names, values, strict=True) if value is not None}
            for values in found.fetchall()
        ]

    def changes(self) -> list[list[str]]:
        """The columns that were nulled because of their size, of the rows where there are any."""
        found = self.database.execute(f'SELECT "{META}" FROM "{self.name}" ORDER BY "{EXTRACTED}"').fetchall()
        return [names for (text,) in found if (names := json.loads(text))]

    def _value(self, name: str, value: Any) -> Any:
        kind = self.columns[name]
        return json.loads(value) if kind == "JSON" else int(value) if kind == TYPES["integer"] else value

    def _exists(self, table: str) -> bool:
        return (table,) in self.database.execute("SELECT table_name FROM duckdb_tables()").fetchall()

    def _generation(self, table: str, of_empty: int | None = None) -> int:
        """That of any row; an empty table fits any."""
        found = self.database.execute(f'SELECT "{GENERATION}" FROM "{table}" LIMIT 1').fetchone()
        return int(found[0]) if found else of_empty if of_empty is not None else 2**31

    def _create(self, table: str) -> None:
        required = {*self.key, self.cursor}
        columns = [
            f'"{column.upper()}" {kind}{" NOT NULL" if column.upper() in required else ""}'
            for column, kind in self.columns.items()
        ]
        own = f'"{EXTRACTED}" BIGINT, "{GENERATION}" BIGINT, "{META}" VARCHAR'
        self.database.execute(f'CREATE OR REPLACE TABLE "{table}" ({", ".join(columns)}, {own})')

    def _insert(self, table: str, rows: Sequence[Row], generation: int) -> None:
        """A record's time of extraction is that of its answer: no two are extracted at once."""
        values = []
        for row in rows:
            self.extracted += 1
            fitting = {
                name: row.get(name) if _fits(row.get(name), kind) else None for name, kind in self.columns.items()
            }
            nulled = [name for name, value in fitting.items() if value is None and row.get(name) is not None]
            values.append({"row": fitting, EXTRACTED: self.extracted, META: json.dumps(nulled)})
        if not values:
            return
        chosen = [
            f"nullif(line -> 'row' -> '$.\"{column}\"', 'null')"
            if kind == "JSON"
            else f"(line -> 'row' ->> '$.\"{column}\"')::{kind}"
            for column, kind in self.columns.items()
        ]
        own = f"(line ->> '{EXTRACTED}')::BIGINT, {generation}, line ->> '{META}'"
        self.database.execute(
            f'INSERT INTO "{table}" SELECT {", ".join(chosen)}, {own} FROM '
            "(SELECT unnest(from_json(?, '[\"JSON\"]')) AS line)",
            [json.dumps(values)],
        )

    def _merge(self, source: str, target: str) -> None:
        """Rules 4 to 6."""
        key = ", ".join(f'"{column}"' for column in self.key)
        order = f'"{self.cursor}" DESC NULLS LAST, ' if self.cursor else ""
        place = f'row_number() OVER (PARTITION BY {key} ORDER BY {order}"{EXTRACTED}" DESC)'
        same = " AND ".join(f'old."{column}" = new."{column}"' for column in self.key)
        later = f'old."{EXTRACTED}" < new."{EXTRACTED}"'
        if self.cursor:
            old, new = f'old."{self.cursor}"', f'new."{self.cursor}"'
            # Neither is ever null.
            later = f"({old} < {new} OR ({old} = {new} AND {later}))"
        deleted = f'new."{TOMBSTONE}" IS NOT NULL'
        self.database.execute(
            f'MERGE INTO "{target}" AS old USING (FROM "{source}" QUALIFY {place} = 1) AS new ON {same}'
            + (f" WHEN MATCHED AND {deleted} AND {later} THEN DELETE" if self.hard_delete else "")
            + f" WHEN MATCHED AND {later} THEN UPDATE"
            + f" WHEN NOT MATCHED{f' AND NOT {deleted}' if self.hard_delete else ''} THEN INSERT"
        )


def _type(prop: Row) -> str:
    declared = prop["type"]
    kind = declared if isinstance(declared, str) else next(name for name in declared if name != "null")
    return FORMATS.get(prop.get("format", ""), "VARCHAR") if kind == "string" else TYPES[kind]


def _fits(value: Any, kind: str) -> bool:
    """Rule 3."""
    if kind == "VARCHAR":
        return not isinstance(value, str) or len(value.encode()) <= VARCHAR_LIMIT
    if kind == "JSON":
        return len(json.dumps(value, ensure_ascii=False).encode()) <= VARIANT_LIMIT
    return True


def _written(column: str, kind: str) -> str:
    if kind == "TIMESTAMPTZ":
        return f"strftime(\"{column}\", '%Y-%m-%dT%H:%M:%SZ')"
    return f'"{column}"::VARCHAR' if kind == "DATE" else f'"{column}"'
