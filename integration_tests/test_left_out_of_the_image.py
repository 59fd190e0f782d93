"""The packages that the Dockerfile takes out of the image are missed by none of the four commands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from integration_tests.emulator import Emulator
from integration_tests.harness import catalog_streams

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
# A process in which these modules do not exist.
WITHOUT = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name in {names!r} or name.startswith({prefixes!r}):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Without())
from source_backlog.run import run
run()
"""


def left_out() -> set[str]:
    """The modules of the packages that the Dockerfile takes out."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    (listed,) = re.findall(r"uninstall --yes ([^&]*)", text)
    packages = {canonicalize_name(name) for name in listed.split()}
    modules = packages_distributions()
    found = {name for name, owners in modules.items() if {canonicalize_name(owner) for owner in owners} & packages}
    assert {"pandas", "numpy", "nltk", "grpc", "google"} <= found
    return found


def command(names: set[str], *args: str) -> list[dict[str, Any]]:
    code = WITHOUT.format(names=names, prefixes=tuple(f"{name}." for name in names))
    result = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, (result.stdout + result.stderr)[-2000:]
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_four_commands_need_nothing_that_is_left_out(tmp_path: Path) -> None:
    names = left_out()
    with Emulator(seed=2, projects=1, issues=10) as emulator:
        config, catalog = tmp_path / "config.json", tmp_path / "catalog.json"
        config.write_text(json.dumps(emulator.config()))
        streams = [
            {
                "stream": {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"]},
                "sync_mode": "incremental" if "incremental" in str(stream.supported_sync_modes) else "full_refresh",
                "destination_sync_mode": "append",
            }
            for name, stream in catalog_streams().items()
        ]
        catalog.write_text(json.dumps({"streams": streams}))
        assert "SPEC" in {each["type"] for each in command(names, "spec")}
        (checked,) = (each for each in command(names, "check", "--config", str(config)) if "connectionStatus" in each)
        assert checked["connectionStatus"]["status"] == "SUCCEEDED"
        (found,) = (each for each in command(names, "discover", "--config", str(config)) if "catalog" in each)
        assert len(found["catalog"]["streams"]) == len(streams)
        read = command(names, "read", "--config", str(config), "--catalog", str(catalog))
        assert {each["record"]["stream"] for each in read if each["type"] == "RECORD"} >= {
            "issues",
            "shared_file_contents",
        }
