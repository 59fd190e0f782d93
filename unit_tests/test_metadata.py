"""What Airbyte's registry reads: valid, and the same in every file that repeats it."""

import importlib
import re
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from source_backlog.source import SourceBacklog

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = ROOT / "source_backlog" / "schemas"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LOCK = tomllib.loads((ROOT / "poetry.lock").read_text())

# One request per issue, comment, wiki page, pull request or user, or the bytes of files.
COSTLY = {
    "document_attachment_files",
    "document_comments",
    "issue_attachment_files",
    "issue_changelogs",
    "issue_comment_notifications",
    "issue_comment_stars",
    "issue_comments",
    "issue_participants",
    "pull_request_attachment_files",
    "pull_request_changelogs",
    "pull_request_comment_notifications",
    "pull_request_comment_stars",
    "pull_request_comments",
    "related_issues",
    "shared_file_contents",
    "shared_files",
    "user_stars",
    "wiki_attachment_files",
    "wiki_attachments",
    "wiki_history",
    "wiki_shared_files",
    "wiki_stars",
    "wiki_tags",
    "wikis",
}


@pytest.fixture(scope="module")
def metadata() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "metadata.yaml").read_text())
    return loaded


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def project(pyproject: dict[str, Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = pyproject["project"]
    return loaded


@pytest.fixture(scope="module")
def poetry(pyproject: dict[str, Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = pyproject["tool"]["poetry"]
    return loaded


@pytest.fixture(scope="module")
def stream_names() -> set[str]:
    source = SourceBacklog()
    return {stream["name"] for stream in source.resolved_manifest["streams"]}


def label(name: str) -> str:
    found = re.search(rf'{re.escape(name)}="([^"]*)"', DOCKERFILE)
    assert found, f"the Dockerfile has no label {name}"
    return found.group(1)


def pins() -> dict[str, str]:
    """Package -> version, as in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {
        canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines) if version
    }


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="airbyte-connector-models needs Python 3.12 or older")
def test_metadata_is_what_the_registry_accepts(metadata: dict[str, Any]) -> None:
    models = importlib.import_module("airbyte_connector_models.metadata.v0.connector_metadata_definition_v0")
    models.ConnectorMetadataDefinitionV0.model_validate(metadata)


def test_version_is_the_same_everywhere(metadata: dict[str, Any], poetry: dict[str, Any]) -> None:
    version = poetry["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert metadata["data"]["dockerImageTag"] == version
    assert label("io.airbyte.version") == version


def test_license_is_the_same_everywhere(
    metadata: dict[str, Any], project: dict[str, Any], poetry: dict[str, Any]
) -> None:
    licenses = {metadata["data"]["license"], project["license"], poetry["license"]}
    assert licenses == {label("org.opencontainers.image.licenses")} == {"MIT"}
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")


def test_the_lock_file_holds_what_is_declared_in_the_versions_of_the_constraints(project: dict[str, Any]) -> None:
    locked = {canonicalize_name(package["name"]): package["version"] for package in LOCK["package"]}
    assert pins() == {name: locked.get(name) for name in pins()}
    declared = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    for requirement in map(Requirement, declared):
        assert locked[canonicalize_name(requirement.name)] in requirement.specifier, requirement
    untried = {"bigquery", "redshift", "databricks", "clickhouse", "mssql", "s3", "gs", "az"}
    assert set(LOCK["extras"]) == set(project["optional-dependencies"]) - untried, "see .ci/make-lock"


def test_the_lock_file_names_no_index() -> None:
    assert not [package["name"] for package in LOCK["package"] if "source" in package]


def test_names_are_the_same_everywhere(metadata: dict[str, Any], project: dict[str, Any]) -> None:
    data = metadata["data"]
    assert data["remoteRegistries"]["pypi"]["packageName"] == project["name"] == "airbyte-source-backlog"
    assert data["dockerRepository"] == label("io.airbyte.name") == "airbyte/source-backlog"
    assert data["githubIssueLabel"] == "source-backlog"


def test_base_image_is_pinned_by_digest_and_the_same_in_both_files(metadata: dict[str, Any]) -> None:
    base = metadata["data"]["connectorBuildOptions"]["baseImage"]
    assert re.fullmatch(r"docker\.io/airbyte/python-connector-base:[\d.]+@sha256:[0-9a-f]{64}", base)
    assert f"ARG BASE_IMAGE={base}\n" in DOCKERFILE


def test_suggested_streams_exist_and_are_cheap(metadata: dict[str, Any], stream_names: set[str]) -> None:
    suggested = metadata["data"]["suggestedStreams"]["streams"]
    assert suggested == sorted(set(suggested))
    assert set(suggested) <= stream_names
    assert stream_names >= COSTLY
    assert not set(suggested) & COSTLY


def test_the_only_allowed_host_is_the_domain_of_the_form(metadata: dict[str, Any]) -> None:
    assert metadata["data"]["allowedHosts"]["hosts"] == ["${domain}"]
    spec = SourceBacklog().resolved_manifest["spec"]["connection_specification"]
    assert "domain" in spec["required"]


def test_every_address_is_https(metadata: dict[str, Any]) -> None:
    addresses = [text for text in strings(metadata) if "://" in text]
    assert addresses
    assert [address for address in addresses if not address.startswith("https://")] == []


def test_tags_name_the_language_and_the_kind_of_connector(metadata: dict[str, Any]) -> None:
    assert {"language:python", "cdk:low-code"} <= set(metadata["data"]["tags"])


def test_icon_is_square(metadata: dict[str, Any]) -> None:
    icon = ElementTree.parse(ROOT / metadata["data"]["icon"]).getroot()
    left, top, width, height = (float(number) for number in icon.attrib["viewBox"].split())
    assert (left, top) == (0, 0)
    assert width == height == float(icon.attrib["width"]) == float(icon.attrib["height"])


def test_what_breaks_is_named_with_its_streams_and_has_a_guide(metadata: dict[str, Any]) -> None:
    changes = metadata["data"]["releases"]["breakingChanges"]
    guide = (ROOT / "docs/integrations/sources/backlog-migrations.md").read_text(encoding="utf-8")
    for version in changes:
        assert f"## Upgrading to {version}\n" in guide
    (impact,) = changes["0.2.0"]["scopedImpact"]
    schemas = {path.stem: path.read_text(encoding="utf-8") for path in SCHEMAS.glob("*.json")}
    dated = {name for name, schema in schemas.items() if "day.json" in schema or '"format": "date"' in schema}
    assert set(impact["impactedScopes"]) == dated


def test_constraints_name_versions_and_no_addresses() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!-]+", pin)] == []
