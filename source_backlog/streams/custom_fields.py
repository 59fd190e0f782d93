"""Custom fields as columns of `issues`, and the columns of a schema that depend on an option."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.declarative.schema import JsonFileSchemaLoader

from source_backlog.api.requester import BacklogRequester
from source_backlog.changes.paging import rows_of
from source_backlog.changes.projects import selected_projects
from source_backlog.space import Space
from source_backlog.streams.rows import DATE, NUMBER, as_number, children
from source_backlog.values import TOMBSTONE, Row, as_text, as_written_day

# typeId of a custom field: https://developer.nulab.com/docs/backlog/api/2/get-custom-field-list
KINDS = {
    1: "text",
    2: "text area",
    3: "number",
    4: "date",
    5: "single choice",
    6: "multiple choice",
    7: "check boxes",
    8: "radio buttons",
}
MULTIPLE = (6, 7)

_INSTANT = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
_NAMES = {"type": ["null", "array"], "items": {"type": ["null", "string"]}}
_DAY = {"type": ["null", "string"], "format": "date"}
_TYPES: dict[int, dict[str, Any]] = {NUMBER: {"type": ["null", "number"]}, DATE: _DAY, 6: _NAMES, 7: _NAMES}


def column_of(field_id: Any) -> str:
    """The column of a custom field: made of the id alone, so that a renamed field keeps its column."""
    return f"cf_{field_id}"


def with_columns(issue: Row) -> Row:
    """The issue with one column per custom field, of the type that `columns_of` declares."""
    for field in children(issue, "customFields"):
        if field.get("id") is not None:
            issue[column_of(field["id"])] = value_of(field)
    return issue


def value_of(field: Row) -> Any:
    """The value of a field inside an issue: text, number, date, the name of the choice, or a list of names.

    What was typed in under "other" (`otherValue`) stands for the choice where nothing else was chosen.
    """
    kind, value = field.get("fieldTypeId"), field.get("value")
    if value in (None, [], "") and field.get("otherValue"):
        value = field["otherValue"]
    if value is None:
        return None
    if kind == NUMBER:
        return as_number(value)
    if kind == DATE:
        # Another time than midnight becomes a day when the row leaves.
        return as_written_day(value) or value
    chosen = [
        one.get("name") if isinstance(one, dict) else one for one in (value if isinstance(value, list) else [value])
    ]
    names = [text for one in chosen if (text := as_text(one)) is not None]
    if kind in MULTIPLE:
        return names
    return ", ".join(names) if names else None


def columns_of(definitions: Iterable[Row], project_key: str) -> dict[str, Any]:
    """The schema's properties for the custom fields of one project."""
    return {
        column_of(field["id"]): {
            **_TYPES.get(field.get("typeId") or 0, {"type": ["null", "string"]}),
            "description": (
                f"Custom field '{field.get('name')}' ({KINDS.get(field.get('typeId') or 0, 'unknown kind')}) "
                f"of project {project_key}."
            ),
        }
        for field in definitions
        if field.get("id") is not None
    }


@dataclass
class OptionalColumns(JsonFileSchemaLoader):
    """The schema file, with the columns that the options add.

    `deleted_records: tombstones` adds `_ab_cdc_deleted_at`; `issue_custom_fields: columns` adds a typed column per
    custom field to `issues`, for which `discover` asks Backlog for the definitions.

    Why: `DynamicSchemaLoader` cannot keep the file's columns beside those it finds, and `CompositeSchemaLoader` drops
    `additionalProperties`.
    """

    requester: BacklogRequester | None = None
    api_budget: Space | None = None
    with_custom_fields: bool = False

    def get_json_schema(self) -> Mapping[str, Any]:
        """The JSON schema of the stream under the current options."""
        schema = dict(super().get_json_schema())
        properties = dict(schema["properties"])
        if self.config.get("deleted_records") == "tombstones":
            properties[TOMBSTONE] = {
                **_INSTANT,
                "description": "When the object was deleted; null while it exists. All other columns are then null.",
            }
        if self.with_custom_fields and self.config.get("issue_custom_fields") == "columns":
            properties |= self._custom_fields()
        return {**schema, "properties": properties}

    def _custom_fields(self) -> dict[str, Any]:
        # A read needs no definitions: its catalog has been discovered before.
        if not (self.requester and self.api_budget and self.api_budget.discovering):
            return {}
        columns: dict[str, Any] = {}
        projects = selected_projects(self.requester, self.config, self.api_budget)
        for project, definitions in self.api_budget.ahead(self._definitions, projects):
            columns |= columns_of(definitions, str(project.get("projectKey")))
        return columns

    def _definitions(self, project: Row) -> list[Row]:
        assert self.requester
        return rows_of(self.requester.get_json(f"projects/{project['id']}/customFields"))
