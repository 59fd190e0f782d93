"""What all integration tests share."""

from collections.abc import Iterator

import pytest

from integration_tests.harness import catalog_streams
from integration_tests.histories import one_manifest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow files first where several workers share the files: the last one would keep one worker busy alone."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def manifest_once() -> Iterator[None]:
    """The CDK parses, resolves and checks the manifest once per process, not once per sync of a small space."""
    catalog_streams()
    with one_manifest():
        yield
