"""What runs beside the tests: a server needs a port, and often packages that do not go with those of the tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def installed(folder: str, *needed: str) -> dict[str, str]:
    """An environment in which the packages `needed` are found, in a folder below `build`; they are installed first."""
    packages = ROOT / "build" / folder
    if not packages.is_dir():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-warn-conflicts", "--target", packages]
        subprocess.run([*pip, *needed], check=True)
    return {**os.environ, "PYTHONPATH": str(packages)}
