"""The JSON schemas of the streams, as the CDK's own loader resolves them.

What is checked is what `discover` shows: the resolved schema, not the files with their references.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from airbyte_cdk.sources.declarative.parsers.manifest_reference_resolver import ManifestReferenceResolver
from airbyte_cdk.sources.declarative.schema.json_file_schema_loader import JsonFileSchemaLoader
from jsonschema import Draft7Validator

PACKAGE = Path(__file__).parents[1] / "source_backlog"
SCHEMAS = PACKAGE / "schemas"
SHARED = SCHEMAS / "shared"
STREAMS = sorted(path.stem for path in SCHEMAS.glob("*.json"))
FILES = sorted([*SCHEMAS.glob("*.json"), *SHARED.glob("*.json")])
OWN_USER_STREAMS = (
    "notifications",
    "recently_viewed_issues",
    "recently_viewed_projects",
    "recently_viewed_wikis",
    "watchings",
)


@cache
def resolved(stream: str) -> dict[str, Any]:
    """The schema of a stream, with its references resolved as in production."""
    loader = JsonFileSchemaLoader(
        config={},
        parameters={"name": stream},
        file_path="./source_backlog/schemas/{{ parameters['name'] }}.json",
    )
    return dict(loader.get_json_schema())


@cache
def manifest_streams() -> dict[str, dict[str, Any]]:
    """Name of every stream of the manifest -> its definition, with references resolved."""
    manifest = yaml.safe_load((PACKAGE / "manifest.yaml").read_text(encoding="utf-8"))
    streams = ManifestReferenceResolver().preprocess_manifest(manifest)["streams"]
    return {_setting(stream, "name"): stream for stream in streams}


def _setting(stream: dict[str, Any], key: str) -> Any:
    return stream.get(key) or stream.get("$parameters", {}).get(key)


def primary_key(stream: dict[str, Any]) -> set[str]:
    key = _setting(stream, "primary_key")
    return {key} if isinstance(key, str) else set(key or [])


def cursor_field(stream: dict[str, Any]) -> set[str]:
    """The cursor column as a set of one, or an empty set for a full-refresh stream."""
    field = _setting(stream, "cursor_field")
    return {field} if field else set()


def properties(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property at any depth, as (dotted path, schema); `[]` marks the items of an array."""
    for name, prop in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, prop
        yield from properties(prop, here)
        if "items" in prop:
            yield f"{here}[]", prop["items"]
            yield from properties(prop["items"], f"{here}[]")


def keywords(node: Any) -> Iterator[tuple[str, Any]]:
    """Every keyword of a schema with its value; the names of properties are not keywords."""
    for keyword, value in node.items():
        yield keyword, value
        if keyword == "properties":
            for prop in value.values():
                yield from keywords(prop)
        elif isinstance(value, dict):
            yield from keywords(value)


def types(prop: dict[str, Any]) -> set[str]:
    declared = prop["type"]
    return {declared} if isinstance(declared, str) else set(declared)


def references(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of a schema file that holds a `$ref`."""
    if isinstance(node, dict):
        if "$ref" in node:
            yield node
        for value in node.values():
            yield from references(value)


def test_streams_are_those_of_the_manifest() -> None:
    assert set(STREAMS) == set(manifest_streams())


@pytest.mark.parametrize("stream", STREAMS)
def test_schema_is_an_open_draft_07_object(stream: str) -> None:
    schema = resolved(stream)
    Draft7Validator.check_schema(schema)
    assert set(schema) == {"$schema", "type", "description", "additionalProperties", "properties"}
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is True
    assert schema["properties"]
    assert schema["description"].endswith(".")


@pytest.mark.parametrize("stream", STREAMS)
def test_every_property_has_a_type_and_a_sentence(stream: str) -> None:
    for path, prop in properties(resolved(stream)):
        assert types(prop) <= {"null", "string", "integer", "number", "boolean", "object", "array"}, path
        description = prop.get("description", "")
        assert description[:1].isupper(), path
        assert description.endswith(".") and ". " not in description, path


@pytest.mark.parametrize("stream", STREAMS)
def test_objects_are_open_and_arrays_have_items(stream: str) -> None:
    for path, prop in properties(resolved(stream)):
        if types(prop) == {"null", "object"}:
            assert prop["additionalProperties"] is True, path
        if types(prop) == {"null", "array"}:
            assert prop["items"]["type"], path


@pytest.mark.parametrize("stream", STREAMS)
def test_nothing_is_left_that_destinations_refuse(stream: str) -> None:
    refused = {"$ref", "allOf", "anyOf", "oneOf", "not", "definitions", "enum"}
    found = list(keywords(resolved(stream)))
    assert refused.isdisjoint(keyword for keyword, _ in found)
    assert ("additionalProperties", False) not in found


@pytest.mark.parametrize("stream", STREAMS)
def test_only_the_value_of_a_custom_field_has_several_types(stream: str) -> None:
    mixed = {path for path, prop in properties(resolved(stream)) if len(types(prop) - {"null"}) != 1}
    values = {path for path, _ in properties(resolved(stream)) if f".{path}".endswith(".customFields[].value")}
    assert mixed == values


@pytest.mark.parametrize("stream", STREAMS)
def test_timestamps_are_declared_with_time_zone(stream: str) -> None:
    for path, prop in properties(resolved(stream)):
        if prop.get("format", "date") != "date" or "airbyte_type" in prop:
            assert prop["format"] == "date-time", path
            assert prop["airbyte_type"] == "timestamp_with_timezone", path
            assert types(prop) - {"null"} == {"string"}, path


@pytest.mark.parametrize("stream", STREAMS)
def test_days_are_dates_and_inside_objects_say_where_the_date_is(stream: str) -> None:
    for path, prop in properties(resolved(stream)):
        if path in ("startDate", "dueDate", "releaseDueDate", "dateValue"):
            assert prop["format"] == "date", path
            assert types(prop) == {"null", "string"}, path
        elif path.split(".")[-1] in ("startDate", "dueDate", "releaseDueDate"):
            assert "as Backlog gives it, the date in the first ten characters" in prop["description"], path
        else:
            assert prop.get("format") != "date", path


@pytest.mark.parametrize("stream", STREAMS)
def test_only_key_and_cursor_columns_are_never_null(stream: str) -> None:
    definition = manifest_streams()[stream]
    required = primary_key(definition) | cursor_field(definition)
    columns = resolved(stream)["properties"]
    assert primary_key(definition), "every stream has a primary key"
    assert {name for name, prop in columns.items() if "null" not in types(prop)} == required
    assert all(types(columns[name]) <= {"string", "integer"} for name in required)


@pytest.mark.parametrize("stream", STREAMS)
def test_nested_properties_may_be_null(stream: str) -> None:
    for path, prop in properties(resolved(stream)):
        if "." in path and not path.endswith("[]"):
            assert "null" in types(prop), path


@pytest.mark.parametrize("stream", STREAMS)
def test_columns_stay_apart_where_case_is_ignored(stream: str) -> None:
    columns = [name.upper() for name in resolved(stream)["properties"]]
    assert len(columns) == len(set(columns))


@pytest.mark.parametrize("stream", OWN_USER_STREAMS)
def test_personal_streams_say_whose_they_are(stream: str) -> None:
    assert "the key's own user" in resolved(stream)["description"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_references_stand_alone(path: Path) -> None:
    """The CDK drops whatever stands beside a `$ref`, so a description there would be lost."""
    for reference in references(json.loads(path.read_text(encoding="utf-8"))):
        assert list(reference) == ["$ref"]


def test_every_shared_shape_is_used() -> None:
    used = {
        reference["$ref"].partition("#")[0]
        for path in FILES
        for reference in references(json.loads(path.read_text(encoding="utf-8")))
    }
    assert used == {path.name for path in SHARED.glob("*.json")}


def test_properties_of_one_shape_keep_their_own_descriptions() -> None:
    columns = resolved("issues")["properties"]
    users = [columns[name] for name in ("assignee", "createdUser", "updatedUser")]
    assert len({user["description"] for user in users}) == 3
    assert users[0]["properties"] == users[1]["properties"] == users[2]["properties"]
