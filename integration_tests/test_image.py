"""The container image: built from the real Dockerfile, and run as Airbyte runs it.

Skipped, with the reason, where neither a Docker daemon nor podman as root is at hand.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration_tests import image
from integration_tests.image import EmulatedSpace, Engine, ImageError, MeansMissing, of_type

pytestmark = [pytest.mark.image_tests, pytest.mark.slow]

TAG = "localhost/source-backlog:test"
CONFIG = ("--config", "/secrets/config.json")
CATALOG = ("--catalog", "/secrets/catalog.json")


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The engine, with the image built."""
    try:
        found = image.find_engine()
        image.build(found, TAG)
    except MeansMissing as reason:
        pytest.skip(f"the image cannot be built here: {reason}")
    return found


@pytest.fixture(scope="module")
def space(engine: Engine) -> Iterator[EmulatedSpace]:
    with EmulatedSpace.started() as started:
        yield started


@pytest.fixture
def files(tmp_path: Path, space: EmulatedSpace) -> Path:
    """A folder for /secrets that holds a good config."""
    return image.mounted(tmp_path, config=space.control("config"))


@pytest.fixture(scope="module")
def discovered(engine: Engine, space: EmulatedSpace, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("discover")
    image.mounted(folder, config=space.control("config"))
    return of_type(image.airbyte(engine, TAG, "discover", *CONFIG, files=folder), "CATALOG")


def test_dockerfile_is_clean() -> None:
    try:
        findings = image.hadolint()
    except MeansMissing as reason:
        pytest.skip(str(reason))
    assert findings == ""


def test_image_says_what_airbyte_asks_for(engine: Engine) -> None:
    about = image.facts(engine, TAG)
    metadata = yaml.safe_load((image.ROOT / "metadata.yaml").read_text())["data"]
    assert about.user == "1000:1000"
    assert about.environment["AIRBYTE_ENTRYPOINT"] == " ".join(about.entrypoint)
    assert about.labels["io.airbyte.name"] == metadata["dockerRepository"]
    assert about.labels["io.airbyte.version"] == metadata["dockerImageTag"]


def test_image_holds_the_connector_and_nothing_of_the_workshop(engine: Engine) -> None:
    found = image.inside(engine, TAG, "ls -A /airbyte/integration_code /build 2>/dev/null; pip config list; true")
    assert found.strip() in ("", "/airbyte/integration_code:")


def test_container_is_unprivileged(engine: Engine) -> None:
    assert image.inside(engine, TAG, "id -u; id -g").split() == ["1000", "1000"]
    assert "CapEff:\t0000000000000000" in image.inside(engine, TAG, "cat /proc/self/status")
    with pytest.raises(ImageError, match="Read-only file system"):
        image.inside(engine, TAG, "touch /opt/connector/written")


def test_modules_are_compiled(engine: Engine) -> None:
    """On a read-only file system, modules without .pyc are compiled anew at every start."""
    script = """
        cd /opt/connector/lib/python3.*/site-packages
        for package in source_backlog airbyte_cdk requests; do
            find $package -name '*.py' | wc -l
            find $package -name '*.pyc' | wc -l
        done
    """
    counts = [int(number) for number in image.inside(engine, TAG, script).split()]
    assert len(counts) == 6
    assert all(0 < sources <= compiled for sources, compiled in zip(counts[::2], counts[1::2], strict=True))


def test_spec(engine: Engine) -> None:
    (spec,) = of_type(image.airbyte(engine, TAG, "spec"), "SPEC")
    assert {"domain", "credentials"} <= set(spec["connectionSpecification"]["properties"])


def test_entry_point_of_the_platform(engine: Engine) -> None:
    """Airbyte's platform evaluates AIRBYTE_ENTRYPOINT in a shell of the container."""
    output = image.inside(engine, TAG, 'eval "$AIRBYTE_ENTRYPOINT spec"')
    assert of_type([json.loads(line) for line in output.splitlines()], "SPEC")


def test_check_succeeds_with_a_good_key(engine: Engine, files: Path) -> None:
    (status,) = of_type(image.airbyte(engine, TAG, "check", *CONFIG, files=files), "CONNECTION_STATUS")
    assert status["status"] == "SUCCEEDED", status


def test_check_fails_with_a_bad_key_and_says_why(engine: Engine, files: Path, space: EmulatedSpace) -> None:
    bad = {"domain": space.address, "credentials": {"auth_type": "api_key", "api_key": "not-a-key-of-this-space"}}
    image.mounted(files, config=bad)
    (status,) = of_type(image.airbyte(engine, TAG, "check", *CONFIG, files=files), "CONNECTION_STATUS")
    assert status["status"] == "FAILED"
    assert "key" in status["message"]
    assert "not-a-key-of-this-space" not in status["message"]


def test_discover_lists_every_stream_with_its_schema(discovered: list[dict[str, Any]]) -> None:
    """The schemas are files: they must have come into the installed package."""
    (catalog,) = discovered
    schemas = {file.stem for file in (image.ROOT / "source_backlog" / "schemas").glob("*.json")}
    names = {stream["name"] for stream in catalog["streams"]}
    assert names <= schemas
    assert {"issues", "issue_comments", "projects", "users"} <= names
    assert all(stream["json_schema"]["properties"] for stream in catalog["streams"])


def test_read_and_read_again(
    engine: Engine, files: Path, space: EmulatedSpace, discovered: list[dict[str, Any]]
) -> None:
    def read(*options: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        messages = image.airbyte(engine, TAG, "read", *CONFIG, *CATALOG, *options, files=files)
        records = [record["data"] for record in of_type(messages, "RECORD") if record["stream"] == "issues"]
        return records, of_type(messages, "STATE")

    image.mounted(files, catalog=image.catalog_of(discovered, "issues"))
    first, states = read()
    assert {record["id"] for record in first} == {row["id"] for row in space.control("truth/issues")}
    space.control("clock", advance=3 * 24 * 3600)
    project = first[0]["issueKey"].rpartition("-")[0]
    created = space.control("change/create_issue", project=project, summary="作られたばかりの課題")
    image.mounted(files, state=[states[-1]])
    second, _ = read("--state", "/secrets/state.json")
    assert created["id"] in {record["id"] for record in second}
    assert len(second) < len(first)


def test_sigterm_ends_a_sync_quickly(engine: Engine) -> None:
    elapsed, code = image.seconds_to_stop(engine, TAG)
    assert elapsed < 5
    assert code != 0
