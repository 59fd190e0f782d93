"""What all integration tests share."""

import functools
import gc
import inspect
import json
import pickle
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from airbyte_cdk.sources.declarative import concurrent_declarative_source
from airbyte_cdk.sources.declarative.models.declarative_component_schema import Spec as SpecModel
from airbyte_cdk.sources.declarative.parsers import model_to_component_factory
from airbyte_cdk.sources.utils import files_directory
from airbyte_cdk.sources.utils.schema_helpers import ResourceSchemaLoader
from pydantic.v1 import BaseModel

from integration_tests.harness import catalog_streams
from integration_tests.histories import one_manifest
from source_backlog.api import turns

# As `run` has it: the garbage collector is a fifth of the time of whatever reads many rows.
gc.set_threshold(100_000, 50, 50)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow files first where several workers share the files: the last one would keep one worker busy alone."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="package", autouse=True)
def a_folder_for_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The staging directory is that of the machine: emulated spaces have the same files in the same places."""
    folder = str(tmp_path_factory.mktemp("staging"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files_directory, "AIRBYTE_STAGING_DIRECTORY", folder)
        patch.setenv("AIRBYTE_STAGING_DIRECTORY", folder)
        yield


@pytest.fixture(scope="package", autouse=True)
def read_once() -> Iterator[None]:
    """The CDK resolves and checks manifest, schemas and models once per process: most of a sync of a small space."""
    catalog_streams()
    with one_manifest(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResourceSchemaLoader, "_resolve_schema_references", resolved_once())
        for name, method in parsed_once().items():
            patch.setattr(BaseModel, name, method)
        # Of the streams of the manifest, each time.
        patch.setattr(concurrent_declarative_source, "deepcopy", lambda value: pickle.loads(pickle.dumps(value)))
        # What the factory asks of a class for each component that it makes.
        patch.setattr(model_to_component_factory, "get_type_hints", functools.cache(typing.get_type_hints))
        patch.setattr(inspect, "getfullargspec", known_arguments())
        # Nobody waits for the second between two searches but test_politeness.py.
        patch.setattr(turns, "GAP_SECONDS", 0.0)
        yield


def known_arguments() -> Any:
    """In place of the function of `inspect`, which the factory asks about its own methods."""
    known = functools.cache(inspect.getfullargspec)
    # By the function: a bound method would keep its factory alive, and with it all that a sync has read.
    return lambda method: known(getattr(method, "__func__", method))


def resolved_once() -> Any:
    """In place of the CDK's method: each caller gets a copy of its own."""
    resolve = ResourceSchemaLoader._resolve_schema_references
    known: dict[str, str] = {}

    def resolved(self: ResourceSchemaLoader, schema: dict[str, Any]) -> Any:
        text = json.dumps(schema)
        if text not in known:
            known[text] = json.dumps(resolve(self, schema))
        return json.loads(known[text])

    return resolved


def parsed_once() -> dict[str, Any]:
    """In place of pydantic's `parse_obj` and `dict`: one model for all, which nobody changes, and a new dict for each.

    Both at every level of a component, they take half the time in which the CDK makes a stream.
    """
    parse, to_dict = BaseModel.parse_obj.__func__, BaseModel.dict  # type: ignore[attr-defined]
    models: dict[tuple[type, str], BaseModel] = {}
    # By the id of a model that is kept above, or of one within it; empty until it is asked for.
    dicts: dict[int, bytes] = {}

    def keep(value: Any) -> None:
        if isinstance(value, BaseModel):
            dicts[id(value)] = b""
            value = list(value.__dict__.values())
        if isinstance(value, list):
            for each in value:
                keep(each)

    def parsed(kind: type[BaseModel], definition: Any) -> Any:
        if kind is SpecModel:
            # `generate_spec` writes into it.
            return parse(kind, definition)
        try:
            key = kind, json.dumps(definition)
        except TypeError:
            # It holds a component that was made before, which must not be kept alive.
            return parse(kind, definition)
        if key not in models:
            models[key] = parse(kind, definition)
            keep(models[key])
        return models[key]

    def as_dict(self: BaseModel, **options: Any) -> Any:
        if options or id(self) not in dicts:
            return to_dict(self, **options)
        if not dicts[id(self)]:
            dicts[id(self)] = pickle.dumps(to_dict(self))
        return pickle.loads(dicts[id(self)])

    return {"parse_obj": classmethod(parsed), "dict": as_dict}
