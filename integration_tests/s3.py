"""`python -m integration_tests.s3`: `backlog-sync` into an S3-compatible server, and a backup with its files there.

The loads are killed and resumed as in the tests.

The server is moto's. It and the client are no part of the environment of the tests: they are installed into `build/s3`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from integration_tests.beside import ROOT, free_port, installed

NEEDED = ("moto[server]>=5.2,<6", "s3fs>=2026.1")
BUCKET = "backlog"
KEY = "testing"
PATIENCE_SECONDS = 60


def install() -> None:
    """Go on in a process that finds the packages, after they were installed if they are missing."""
    environment = installed("s3", *NEEDED)
    packages = environment["PYTHONPATH"]
    if packages not in sys.path:
        environment["PYTHONPATH"] = os.pathsep.join([packages, str(ROOT)])
        os.execve(sys.executable, [sys.executable, "-m", __spec__.name], environment)


def main() -> None:
    """Print how many rows of each stream were compared, once with Parquet and once with JSON Lines."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"  # ignore-https-check
        bucket = made_at(address)
        for kind in ("parquet", "jsonl"):
            print(f"{kind}: {lived_through(bucket, environment_for(address), kind)}", flush=True)
        print(f"files: {backed_up(bucket, environment_for(address))}", flush=True)
    finally:
        server.terminate()
        server.wait()


def made_at(address: str) -> Any:
    """A bucket on the server, once that answers."""
    import boto3
    from botocore.exceptions import BotoCoreError

    resource = boto3.resource(
        "s3", endpoint_url=address, aws_access_key_id=KEY, aws_secret_access_key=KEY, region_name="us-east-1"
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return resource.create_bucket(Bucket=BUCKET)
        except BotoCoreError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def environment_for(address: str) -> dict[str, str]:
    """The credentials, as dlt takes them for files."""
    credentials = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "REGION_NAME": "us-east-1",
        "ENDPOINT_URL": address,
    }
    return {f"DESTINATION__FILESYSTEM__CREDENTIALS__{name}": value for name, value in credentials.items()}


def lived_through(bucket: Any, environment: dict[str, str], kind: str) -> dict[str, int]:
    """First load, changes, second load, each killed before it succeeds; the rows that equal the space then."""
    from integration_tests.emulator import Emulator
    from integration_tests.test_warehouse_files import rows_of
    from integration_tests.warehouse import Command, live_through

    with tempfile.TemporaryDirectory() as temporary, Emulator(seed=3, projects=2, issues=40) as emulator:
        folder = Path(temporary)

        def table(name: str) -> list[dict[str, Any]]:
            with tempfile.TemporaryDirectory() as copied:
                (Path(copied) / "backlog" / name).mkdir(parents=True)
                for file in bucket.objects.filter(Prefix=f"{kind}/backlog/{name}/"):
                    bucket.download_file(file.key, str(Path(copied) / "backlog" / name / file.key.split("/")[-1]))
                return list(rows_of(Path(copied))(name))

        command = Command(emulator, folder, f"s3://{BUCKET}/{kind}?format={kind}", **environment)
        compared = live_through(command, table, phases=["normalize", "complete"])
        assert not list(command.temporary.glob("backlog-sync-*.lock"))
        return compared


def backed_up(bucket: Any, environment: dict[str, str]) -> int:
    """A backup into DuckDB and the bucket, killed, finished, changed, damaged and repaired; how many files it has."""
    from integration_tests.emulator import Emulator
    from integration_tests.test_backup_files import check
    from integration_tests.warehouse import Command

    def stored() -> dict[str, Any]:
        return {one.key.removeprefix("files/"): one for one in bucket.objects.filter(Prefix="files/")}

    with tempfile.TemporaryDirectory() as temporary, Emulator(seed=3, projects=2, issues=40) as emulator:
        file = Path(temporary) / "backlog.duckdb"

        def compared() -> list[str]:
            lying = {path: one.get()["Body"].read() for path, one in stored().items()}
            check(emulator, file, lying)
            return list(lying)

        streams = ["issues", "sync_coverage"]
        command = Command(emulator, Path(temporary), f"duckdb:///{file}", streams=streams, **environment)
        command.config.write_text(json.dumps(emulator.config(num_workers=4)), encoding="utf-8")
        options = ["--files", f"s3://{BUCKET}/files"]
        run = command.start(*options)
        while not stored():
            time.sleep(0.05)
        run.send(9)
        assert run.wait() == -9
        left = set(command.temporary.iterdir())
        command.run(*options)
        compared()
        project = next(iter(emulator.space.projects.values()))
        emulator.space.create_issue(project, "新しい課題", attachments=[("新.png", 77)])
        command.run(*options)
        damaged, gone, *_ = paths = compared()
        command.run(*options, "--verify")
        bucket.put_object(Key=f"files/{damaged}", Body=b"other bytes")
        stored()[gone].delete()
        output, _ = command.run(*options, "--verify", status=1)
        assert f"{gone}: not there" in output and f"{damaged}: 11 bytes, not" in output, output
        _, errors = command.run(*options, "--repair")
        assert f"2 files are no longer in s3://{BUCKET}/files" in errors, errors
        assert compared() == paths
        _, errors = command.run("--files", "s3://nowhere/files", status=2)
        assert "there is no bucket nowhere" in errors, errors
        assert set(command.temporary.iterdir()) == left, "something was left on this machine"
        return len(paths)


if __name__ == "__main__":
    install()
    main()
