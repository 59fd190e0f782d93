"""A PostgreSQL server of its own, installed if it is missing, for the tests that write to one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from integration_tests.beside import free_port

# Characters that a URL would stumble over.
PASSWORD = "p@ss/w:rd %41?#"


def _binaries() -> Path:
    """The folder with `initdb`; installs Debian's package if it is missing and this process may."""
    # apt-get does not wait for the one of another worker of pytest: one at a time, and the next finds it installed.
    with (Path(tempfile.gettempdir()) / "source-backlog-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for attempt in (1, 2):
            found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
            if found or (program := shutil.which("initdb")):
                return (found[-1] if found else Path(str(program))).parent
            if attempt == 1 and os.geteuid() == 0 and shutil.which("apt-get"):
                for command in (
                    ["apt-get", "update"],
                    ["apt-get", "install", "-y", "--no-install-recommends", "postgresql"],
                ):
                    subprocess.run(command, capture_output=True, check=False, timeout=300)
    pytest.skip("PostgreSQL is not installed, and only root on Debian or Ubuntu can install it here")


@contextlib.contextmanager
def postgresql() -> Iterator[dict[str, Any]]:
    """How to connect to a server of its own, with a database `warehouse` and the user `loader`."""
    binaries = _binaries()
    # PostgreSQL refuses to run as root; its package has made a user.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="backlog-postgres-"))
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    if as_user:
        owner = pwd.getpwnam("postgres")
        for path in (folder, folder / "password"):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    port = free_port()

    def run(program: str, *arguments: str) -> None:
        command = [*as_user, str(binaries / program), "-D", str(folder / "data"), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60)
        assert result.returncode == 0, result.stderr + result.stdout

    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run("initdb", "-U", "loader", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "-E", "UTF8")
    run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        at = {"host": "127.0.0.1", "port": port, "user": "loader", "password": PASSWORD}
        connection = psycopg2.connect(**at, dbname="postgres")
        connection.autocommit = True
        connection.cursor().execute("CREATE DATABASE warehouse")
        connection.close()
        yield at | {"dbname": "warehouse"}
    finally:
        run("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(folder)


def environment_of(server: dict[str, Any]) -> dict[str, str]:
    """The same as `postgresql` gives, as the variables of PostgreSQL's own programs."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    return {names[name]: str(value) for name, value in server.items()}


def query(server: dict[str, Any], sql: str) -> list[dict[str, Any]]:
    """The rows that `sql` gives, if it gives any."""
    connection = psycopg2.connect(**server)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            if cursor.description is None:
                return []
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    finally:
        connection.close()
