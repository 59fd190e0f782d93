"""What all integration tests share."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from airbyte_cdk.sources.utils.schema_helpers import ResourceSchemaLoader

from integration_tests.harness import catalog_streams
from integration_tests.histories import one_manifest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow files first where several workers share the files: the last one would keep one worker busy alone."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="package", autouse=True)
def read_once() -> Iterator[None]:
    """The CDK resolves and checks the manifest and the schemas once per process: most of a sync of a small space."""
    catalog_streams()
    with one_manifest(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResourceSchemaLoader, "_resolve_schema_references", resolved_once())
        yield


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
