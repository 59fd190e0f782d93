"""What all integration tests share."""

import gc
from collections.abc import Iterator

import pytest
from airbyte_cdk.sources.utils import files_directory

from integration_tests.harness import catalog_streams
from integration_tests.once import read_once

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
def one_of_each() -> Iterator[None]:
    """What `read_once` is for."""
    catalog_streams()
    with read_once():
        yield
