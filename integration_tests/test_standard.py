"""Airbyte's standard tests against the emulator, for both ways to authenticate and for options that change schemas."""

from __future__ import annotations

import atexit
from functools import cache
from pathlib import Path
from typing import Any

from airbyte_cdk.test.models import ConnectorTestScenario
from airbyte_cdk.test.standard_tests.source_base import SourceTestSuiteBase

from integration_tests.emulator import Emulator
from source_backlog import SourceBacklog


@cache
def emulator() -> Emulator:
    """One space for all scenarios; it is needed when pytest collects them, before any fixture runs."""
    space = Emulator(seed=4, projects=3, issues=40).__enter__()
    # Every stream must have a row: something has to be deleted.
    project = next(project for project in space.space.visible_projects(space.space.user(None), contents=True))
    space.space.delete_issue(space.space.create_issue(project, "不要になった課題"))
    atexit.register(space.__exit__)
    return space


def scenario(name: str, config: dict[str, Any], status: str = "succeed", **more: Any) -> ConnectorTestScenario:
    """A scenario with a readable id."""
    made = ConnectorTestScenario(config_dict=config, status=status, **more)
    made._id = name
    return made


class TestStandard(SourceTestSuiteBase):
    # These download Airbyte's build template. The image that our own Dockerfile builds is tested in test_image.py.
    test_docker_image_build_and_spec = None
    test_docker_image_spec_backward_compatibility = None
    test_docker_image_build_and_check = None
    test_docker_image_build_and_config_matches_spec = None
    test_docker_image_build_and_discover = None
    test_docker_image_build_and_read = None

    @classmethod
    def get_connector_root_dir(cls) -> Path:
        return Path(__file__).resolve().parents[1]

    @classmethod
    def get_scenarios(cls) -> list[ConnectorTestScenario]:
        space = emulator()
        columns = space.config(issue_custom_fields="columns", deleted_records="tombstones")
        return [
            scenario("api key", space.config()),
            scenario("oauth", space.oauth_config()),
            scenario("all options", {**columns, "projects": ["WEB", "OLD"], "start_date": "2020-01-01T00:00:00Z"}),
            scenario(
                "wrong key",
                {"domain": space.address, "credentials": {"auth_type": "api_key", "api_key": "not-a-key"}},
                status="failed",
                sections=("spec", "connection"),
            ),
        ]

    @classmethod
    def create_connector(cls, scenario: ConnectorTestScenario | None) -> SourceBacklog:
        root = cls.get_connector_root_dir()
        config = scenario.get_config_dict(connector_root=root, empty_if_missing=True) if scenario else None
        return SourceBacklog(config=config)
