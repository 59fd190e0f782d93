"""The wheel and nothing else: Airbyte's standard tests and its command line where no source code lies around."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
# What the tests are made of, and what the command line of the CDK reads.
BESIDE = ["acceptance-test-config.yml", "metadata.yaml", "pyproject.toml"]


def run(folder: Path, *command: str, **environment: str) -> str:
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
    )
    assert result.returncode == 0, result.stdout[-4000:]
    return result.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder named as the CDK's command line wants it, without the package, and the one that holds the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check"]
    built = subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"the wheel cannot be built here: {(built.stderr.strip() or 'no reason given')[-200:]}")
    (wheel,) = folder.glob("*.whl")
    run(folder, *pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel))
    connector = folder / "source-backlog"
    shutil.copytree(ROOT / "integration_tests", connector / "integration_tests")
    for name in BESIDE:
        shutil.copy(ROOT / name, connector)
    return connector, folder / "site"


def test_the_standard_tests_pass_from_the_wheel(installed: tuple[Path, Path]) -> None:
    connector, site = installed
    where = run(
        connector, sys.executable, "-c", "import source_backlog; print(source_backlog.__file__)", PYTHONPATH=str(site)
    )
    assert Path(where.strip()).is_relative_to(site)
    options = ["-p", "no:cacheprovider", "-q", "-rs"]
    output = run(
        connector, sys.executable, "-m", "pytest", *options, "integration_tests/test_standard.py", PYTHONPATH=str(site)
    )
    assert int(re.findall(r"(\d+) passed", output)[0]) > 10, output


def test_what_pages_are_made_of_is_in_the_wheel(installed: tuple[Path, Path]) -> None:
    _, site = installed
    archive = ROOT / "source_backlog" / "archive"
    files = [file for folder in ("templates", "assets") for file in (archive / folder).iterdir()]
    assert len(files) > 8
    assert all((site / file.relative_to(ROOT)).read_bytes() == file.read_bytes() for file in files)


def test_the_command_line_of_the_cdk_tests_the_wheel(installed: tuple[Path, Path]) -> None:
    connector, site = installed
    program = str(Path(sys.executable).with_name("airbyte-cdk"))
    chosen = "not image_tests and not requires_creds"
    output = run(
        connector, program, "connector", "test", "--pytest-arg=-m", f"--pytest-arg={chosen}", PYTHONPATH=str(site)
    )
    assert re.search(r"\d+ passed", output), output
