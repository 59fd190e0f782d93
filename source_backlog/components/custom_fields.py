"""Custom fields as columns of `issues`, and the columns of a schema that depend on an option."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.declarative.schema import JsonFileSchemaLoader

from source_backlog.components.paging import rows_of
from source_backlog.components.projects import selected_projects
from source_backlog.components.requester import BacklogRequester
from source_backlog.components.rows import children
from source_backlog.components.space import Space
from source_backlog.components.values import TOMBSTONE, Row

# typeId of a custom field: https://developer.nulab.com/docs/backlog/api/2/get-custom-field-list
KINDS = {1: "text", 2: "text area", 3: "number", 4: "date", 5: "list", 6: "list", 7: "check boxes", 8: "radio buttons"}

_INSTANT = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
_TYPES: dict[int, dict[str, Any]] = {
    3: {"type": ["null", "number"]},
    4: _INSTANT,
    6: {"type": ["null", "array"], "items": {"type": ["null", "string"]}},
    7: {"type": ["null", "array"], "items": {"type": ["null", "string"]}},
}


def column_of(field_id: Any) -> str:
    """The column of a custom field: made of the id alone, so that a renamed field keeps its column."""
    return f"cf_{field_id}"


def with_columns(issue: Row) -> Row:
    """The issue with one column per custom field; lists become arrays of names, a single choice its name."""
    for field in children(issue, "customFields"):
        value = field.get("value")
        if isinstance(value, list):
            value = [item.get("name") if isinstance(item, dict) else item for item in value]
        elif isinstance(value, dict):
            value = value.get("name")
        issue[column_of(field.get("id"))] = value
    return issue


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
        for project in selected_projects(self.requester, self.config, self.api_budget):
            definitions = rows_of(self.requester.get_json(f"projects/{project['id']}/customFields"))
            columns |= columns_of(definitions, str(project.get("projectKey")))
        return columns
