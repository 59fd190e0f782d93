"""Processes and what they cost: wall time, CPU and peak memory from `os.wait4`, requests from the emulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parent.parent
MIB = 1024 * 1024


@dataclass(frozen=True)
class Cost:
    """One run of one program. Seconds, MiB; `records` are rows that came out, `refused` answers with 429."""

    wall: float
    cpu: float
    memory: float
    records: int = 0
    requests: int = 0
    refused: int = 0


def best(costs: Sequence[Cost]) -> Cost:
    """The least of each figure: what is above it was the machine's doing."""
    return Cost(
        wall=min(cost.wall for cost in costs),
        cpu=min(cost.cpu for cost in costs),
        memory=max(cost.memory for cost in costs),
        records=costs[-1].records,
        requests=costs[-1].requests,
        refused=max(cost.refused for cost in costs),
    )


def added_up(costs: Sequence[Cost]) -> Cost:
    """Several runs as one."""
    return Cost(
        wall=sum(cost.wall for cost in costs),
        cpu=sum(cost.cpu for cost in costs),
        memory=max(cost.memory for cost in costs),
        records=sum(cost.records for cost in costs),
        requests=sum(cost.requests for cost in costs),
        refused=sum(cost.refused for cost in costs),
    )


class EmulatorProcess:
    """The emulated space in a process of its own: `with EmulatorProcess("--issues", "2000") as emulator`."""

    def __init__(self, *options: str) -> None:
        self._options = options

    def __enter__(self) -> EmulatorProcess:
        command = [sys.executable, "-m", "integration_tests.emulator", "--port", "0", *self._options]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def control(self, method: str, call: str, **body: Any) -> Any:
        """A call of the control interface."""
        address = f"http://{self.address}/_control/{call}"  # ignore-https-check
        response = requests.request(method, address, json=body or None, timeout=300)
        response.raise_for_status()
        return response.json()


def run(
    command: Iterable[str | Path], output: Path, emulator: EmulatorProcess | None = None, **environment: str
) -> Cost:
    """Run a program with its standard output in a file; raises `RuntimeError` with its last words when it fails."""
    if emulator is not None:
        emulator.control("DELETE", "requests")
    began = time.monotonic()
    with output.open("wb") as file, Path(f"{output}.err").open("wb") as errors:
        process = subprocess.Popen(
            list(map(str, command)), cwd=ROOT, stdout=file, stderr=errors, env={**os.environ, **environment}
        )
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(
            f"{command} failed: {Path(f'{output}.err').read_text()[-2000:] or output.read_text()[-2000:]}"
        )
    stats = emulator.control("GET", "stats") if emulator is not None else {"requests": 0, "refused": 0}
    return Cost(
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        memory=usage.ru_maxrss * 1024 / MIB,
        requests=stats["requests"],
        refused=stats["refused"],
    )


def messages(output: Path, kind: str) -> Iterable[dict[str, Any]]:
    """The Airbyte messages of one type in the output of the connector."""
    marker = f'{{"type":"{kind}"'.encode()
    with output.open("rb") as file:
        for line in file:
            if line.startswith(marker):
                yield json.loads(line)


def count(output: Path, kind: str) -> int:
    """How many messages of one type are in the output, without decoding them."""
    marker = f'{{"type":"{kind}"'.encode()
    with output.open("rb") as file:
        return sum(line.startswith(marker) for line in file)
