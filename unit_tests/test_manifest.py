"""The manifest: valid for the CDK, and whole: every stream has its schema, its key and its classes."""

import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from airbyte_cdk.sources.declarative.concurrent_declarative_source import validate_manifest
from airbyte_cdk.sources.declarative.parsers.manifest_component_transformer import ManifestComponentTransformer
from airbyte_cdk.sources.declarative.parsers.manifest_reference_resolver import ManifestReferenceResolver
from jsonschema.exceptions import ValidationError

from source_backlog.source import SourceBacklog
from source_backlog.streams import activity_rows, rows

MAKE = rows.MAKE | activity_rows.MAKE
ROOMS = ("api", "changes", "streams")
PATH = Path(__file__).parents[1] / "source_backlog" / "manifest.yaml"
LINES = PATH.read_text(encoding="utf-8").splitlines()
CONFIG = {"domain": "acme.backlog.jp", "credentials": {"auth_type": "api_key", "api_key": "key"}}

Row = dict[str, Any]


@cache
def source() -> SourceBacklog:
    return SourceBacklog(config=CONFIG)


@cache
def streams() -> dict[str, Any]:
    """The streams as the CDK builds them, by name."""
    return {stream.name: stream for stream in source().streams(CONFIG)}


@cache
def declared() -> dict[str, Row]:
    """The streams as the manifest declares them, references resolved, by name."""
    manifest = ManifestReferenceResolver().preprocess_manifest(yaml.safe_load(PATH.read_text(encoding="utf-8")))
    return {stream["$parameters"]["name"]: stream for stream in manifest["streams"]}


def columns_of(stream: Any) -> Row:
    properties: Row = stream.get_json_schema()["properties"]
    return properties


def parameters() -> dict[str, Row]:
    return {name: stream["$parameters"] for name, stream in declared().items()}


def values(node: Any, key: str) -> Iterator[Any]:
    """The values of a keyword at any depth."""
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        for value in node.values():
            yield from values(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from values(value, key)


NAMES = sorted(parameters())


def transformed() -> Row:
    """The manifest as the CDK validates it: references resolved, types and parameters handed down."""
    manifest = ManifestReferenceResolver().preprocess_manifest(yaml.safe_load(PATH.read_text(encoding="utf-8")))
    whole: Row = ManifestComponentTransformer().propagate_types_and_parameters("", manifest, {})
    return whole


def test_the_manifest_is_valid_for_the_cdk() -> None:
    validate_manifest(transformed(), source()._declarative_component_schema)


def test_the_validation_of_the_cdk_refuses_what_is_wrong() -> None:
    broken = transformed()
    broken["streams"][0]["retriever"]["requester"] = {"type": "NoSuchRequester"}
    with pytest.raises(ValidationError):
        validate_manifest(broken, source()._declarative_component_schema)


def test_the_cdk_of_the_manifest_is_the_one_that_is_required() -> None:
    project = (PATH.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    version = source().resolved_manifest["version"]
    assert f'"airbyte-cdk>={version},<' in project


def test_every_stream_is_built_once() -> None:
    assert sorted(streams()) == NAMES
    assert len(source().streams(CONFIG)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_has_a_schema_that_holds_its_key_and_its_cursor(name: str) -> None:
    stream = streams()[name].as_airbyte_stream()
    columns = columns_of(streams()[name])
    assert stream.source_defined_primary_key, "a destination cannot deduplicate without a primary key"
    for path in stream.source_defined_primary_key:
        assert len(path) == 1
        assert path[0] in columns
    for column in stream.default_cursor_field or []:
        assert column in columns


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_is_incremental_exactly_if_it_has_a_cursor(name: str) -> None:
    stream = streams()[name].as_airbyte_stream()
    modes = {mode.value for mode in stream.supported_sync_modes}
    cursor = parameters()[name].get("cursor_field")
    assert stream.default_cursor_field == ([cursor] if cursor else None)
    assert modes == ({"full_refresh", "incremental"} if cursor else {"full_refresh"})
    assert bool(stream.source_defined_cursor) == bool(cursor)


def test_names_are_plural_snake_case_and_of_the_contract() -> None:
    assert [name for name in NAMES if not name.replace("_", "").isalpha() or name != name.lower()] == []


@pytest.mark.parametrize(
    "name", sorted({one for stream in declared().values() for one in values(stream, "class_name")})
)
def test_every_class_can_be_imported(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert module.rpartition(".")[0] in {"source_backlog", *(f"source_backlog.{room}" for room in ROOMS)}
    assert isinstance(getattr(importlib.import_module(module), attribute), type)


def test_the_classes_of_the_whole_manifest_can_be_imported() -> None:
    manifest = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    for name in values(manifest, "class_name"):
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


@pytest.mark.parametrize("name", [name for name in NAMES if "make" in parameters()[name]])
def test_every_make_is_a_name_of_the_rows(name: str) -> None:
    assert parameters()[name]["make"] in MAKE


@pytest.mark.parametrize("name", [name for name in NAMES if "make" in parameters()[name]])
def test_the_columns_that_a_make_adds_are_in_the_schema(name: str) -> None:
    make = MAKE[parameters()[name]["make"]]
    lists = ("attachments", "sharedFiles", "stars", "category", "versions", "milestone", "customFields", "tags")
    lists += ("relatedIssues", "participants", "changeLog", "notifications", "externalFileLinks")
    parents = [{held: [{}] for held in lists}]
    if parameters()[name]["make"] in activity_rows.MAKE:
        content = {"changes": [{}], "revisions": [{}]}
        parents = [{"id": 1, "type": kind, "content": content} for kind in activity_rows.TYPE_NAMES]
    found = [row for parent in parents for row in make(parent)]
    assert len(found) == 1 or len(parents) > 1
    assert {column for row in found for column in row} <= set(columns_of(streams()[name]))


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_says_which_endpoints_it_reads(name: str) -> None:
    """Streams that read the same endpoint share its responses; one that says nothing would not take part."""
    reads = parameters()[name].get("reads") or [parameters()[name].get("path")]
    assert all(reads)
    assert all(not one.startswith("/") for one in reads)


@pytest.mark.parametrize("name", NAMES)
def test_no_schema_is_inlined(name: str) -> None:
    assert [one for one in values(declared()[name], "type") if one == "InlineSchemaLoader"] == []
    assert (PATH.parent / "schemas" / f"{name}.json").is_file()


def stream_blocks() -> dict[str, list[str]]:
    """Name of every stream -> its lines in the manifest, without blank lines and comments."""
    body = LINES[LINES.index("streams:") + 1 : LINES.index("spec:")]
    blocks: list[list[str]] = []
    for line in body:
        if line.startswith("  - "):
            blocks.append([])
        if line.strip() and not line.lstrip().startswith("#"):
            blocks[-1].append(line)
    named = {}
    for block in blocks:
        (name,) = [line.split("name:", 1)[1].strip() for line in block if line.strip().startswith("name:")]
        named[name] = block
    return named


def test_a_stream_takes_at_most_twelve_lines() -> None:
    blocks = stream_blocks()
    assert sorted(blocks) == NAMES
    assert {name: len(block) for name, block in blocks.items() if len(block) > 12} == {}


def test_what_streams_share_is_referenced() -> None:
    for name, block in stream_blocks().items():
        assert block[0].startswith('  - $ref: "#/definitions/'), name


def test_no_api_key_and_no_token_is_put_into_a_url() -> None:
    whole = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    places = {option["inject_into"] for option in values(whole, "inject_into") if isinstance(option, dict)}
    assert places == {"header"}
    assert "apiKey" not in PATH.read_text(encoding="utf-8")


def test_parameters_are_not_sent_that_no_endpoint_knows() -> None:
    """Backlog rejects unknown query parameters, such as an injected page size."""
    whole = transformed()
    for keyword in ("request_parameters", "page_size_option", "page_token_option"):
        assert list(values(whole["streams"], keyword)) == []
