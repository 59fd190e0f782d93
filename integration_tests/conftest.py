"""What all integration tests share."""

from collections.abc import Iterator

import pytest

from integration_tests.harness import catalog_streams
from integration_tests.histories import one_manifest


@pytest.fixture(scope="session", autouse=True)
def manifest_once() -> Iterator[None]:
    """The CDK parses, resolves and checks the manifest once per process, not once per sync of a small space."""
    catalog_streams()
    with one_manifest():
        yield
