"""The work that the CDK does again for each source that is made in a process, done once in tests.

Nine tenths of a sync of a small space. What it does is the same, and `one_manifest` fails where somebody changes what
is shared.
"""

from __future__ import annotations

import functools
import inspect
import json
import pickle
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from airbyte_cdk.sources.declarative import concurrent_declarative_source
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource
from airbyte_cdk.sources.declarative.models.declarative_component_schema import Spec as SpecModel
from airbyte_cdk.sources.declarative.parsers import model_to_component_factory
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource
from airbyte_cdk.sources.utils.schema_helpers import ResourceSchemaLoader
from pydantic.v1 import BaseModel

from source_backlog.api import turns


@contextmanager
def read_once() -> Iterator[None]:
    """Within, the CDK resolves and checks manifest, schemas and models once."""
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


@contextmanager
def one_manifest() -> Iterator[None]:
    """The manifest is parsed, resolved and checked only once: nine tenths of a sync of a small space."""
    process = ConcurrentDeclarativeSource._pre_process_manifest
    parse = YamlDeclarativeSource._read_and_parse_yaml_file
    raw: dict[str, Any] = {}
    resolved: dict[str, Any] = {}

    def parsed(self: Any, path: str) -> Any:
        if path not in raw:
            raw[path] = parse(self, path)
        return raw[path]

    def processed(self: Any, manifest: Any) -> Any:
        if "manifest" not in resolved:
            resolved["manifest"] = process(self, manifest)
            resolved["as it was"] = pickle.dumps(resolved["manifest"])
        # `SourceBacklog` sets other streams into its own.
        return dict(resolved["manifest"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(concurrent_declarative_source, "get_declarative_component_schema", dict)
        patch.setattr(YamlDeclarativeSource, "_read_and_parse_yaml_file", parsed)
        patch.setattr(ConcurrentDeclarativeSource, "_pre_process_manifest", processed)
        patch.setattr(ConcurrentDeclarativeSource, "_validate_source", lambda self: None)
        yield
    assert not resolved or pickle.dumps(resolved["manifest"]) == resolved["as it was"], "somebody has changed it"


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
