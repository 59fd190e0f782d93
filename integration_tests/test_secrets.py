"""Promise 6: no key, token or client secret in any output, at any log level, in any failure, nor in any URL."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from integration_tests.commands import Output, command, quickly
from integration_tests.emulator import Emulator
from integration_tests.emulator.faults import KINDS

STREAMS = ["issues", "issue_comments", "users", "projects", "webhooks", "documents", "wikis"]
SECRET_FIELDS = ("api_key", "access_token", "refresh_token", "client_secret")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return quickly(monkeypatch)


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator(projects=2, issues=12, wikis=2, documents=2, pull_requests=2, window_seconds=1) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    running.faults.clear()
    running.clear_requests()
    return running


def forms(secret: str) -> set[str]:
    """The ways in which a secret could be shown."""
    return {
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        base64.b64encode(secret.encode()).decode().rstrip("="),
    }


def secrets_of(config: dict[str, Any], output: Output) -> set[str]:
    """All secrets of the config and those that were stored with CONTROL messages on the way."""
    stored = [message["control"]["connectorConfig"]["config"] for message in output.of_type("CONTROL")]
    found = [each["credentials"].get(name) for each in (config, *stored) for name in SECRET_FIELDS]
    return {form for secret in found if secret for form in forms(secret)}


def assert_secret(config: dict[str, Any], output: Output) -> None:
    """No secret stands anywhere but in CONTROL messages, by which the protocol stores new tokens."""
    secrets = secrets_of(config, output)
    assert secrets
    shown = [line for line in output.stdout.splitlines() if json.loads(line)["type"] != "CONTROL"]
    for secret in secrets:
        assert secret not in output.stderr
        for line in shown:
            assert secret not in line


def api_key(emulator: Emulator) -> dict[str, Any]:
    return emulator.config()


def valid_token(emulator: Emulator) -> dict[str, Any]:
    return emulator.oauth_config()


def expired_token(emulator: Emulator) -> dict[str, Any]:
    config = emulator.oauth_config()
    config["credentials"]["token_expiry_date"] = "2020-01-01T00:00:00Z"
    return config


def revoked_token(emulator: Emulator) -> dict[str, Any]:
    config = expired_token(emulator)
    config["credentials"]["refresh_token"] = "a-refresh-token-that-nobody-knows"
    return config


def wrong_client(emulator: Emulator) -> dict[str, Any]:
    config = expired_token(emulator)
    config["credentials"]["client_secret"] = "a-client-secret-that-is-wrong"
    return config


def wrong_key(emulator: Emulator) -> dict[str, Any]:
    return {**emulator.config(), "credentials": {"auth_type": "api_key", "api_key": "a-key-that-nobody-knows-of"}}


def echo(emulator: Emulator, config: dict[str, Any]) -> None:
    """A server that repeats all secrets in an error body, as some do."""
    text = " ".join(str(config["credentials"].get(name)) for name in SECRET_FIELDS)
    body = {"errors": [{"message": f"You sent {text}.", "code": 7, "moreInfo": text}], "error_description": text}
    emulator.faults.add(".*", status=400, body=body, headers={"X-Echo": text[:200]}, times=None)
    emulator.faults.add("/oauth2/token$", method="POST", status=400, body=body, times=None)


def kind(name: str, status: int | None = None) -> Callable[[Emulator, dict[str, Any]], None]:
    def order(emulator: Emulator, config: dict[str, Any]) -> None:
        emulator.faults.add(".*", kind=name, status=status, times=None, seconds=0.05)
        emulator.faults.add("/oauth2/token$", method="POST", kind=name, status=status, times=None, seconds=0.05)

    return order


def code(status: int, number: int) -> Callable[[Emulator, dict[str, Any]], None]:
    def order(emulator: Emulator, config: dict[str, Any]) -> None:
        body = {"errors": [{"message": "No.", "code": number, "moreInfo": ""}]}
        emulator.faults.add("/api/v2/(?!oauth2)", status=status, body=body, times=None)

    return order


FAILURES: dict[str, Callable[[Emulator, dict[str, Any]], None]] = {
    "none": lambda emulator, config: None,
    "an echo": echo,
    **{name: kind(name) for name in KINDS if name not in ("status", "slow")},
    **{f"status {status}": kind("status", status) for status in (301, 400, 401, 403, 404, 429, 500)},
    **{f"code {number}": code(403, number) for number in (2, 3, 4, 5, 12)},
}


@pytest.mark.parametrize("failure", FAILURES)
def test_no_failure_shows_a_secret(emulator: Emulator, failure: str) -> None:
    """Every failure, with a key and with a token that has to be renewed, with and without `--debug`."""
    for way in (api_key, expired_token):
        for name in ("check", "read"):
            emulator.faults.clear()
            config = way(emulator)
            FAILURES[failure](emulator, config)
            output = command(name, config, streams=STREAMS[:2], debug=name == "read")
            assert_secret(config, output)
            assert "Traceback" not in output.stderr + "".join(output_lines(output))


@pytest.mark.parametrize("way", [valid_token, revoked_token, wrong_client, wrong_key])
@pytest.mark.parametrize("failure", ["none", "an echo"])
def test_no_refusal_of_credentials_shows_a_secret(
    emulator: Emulator, way: Callable[[Emulator], dict[str, Any]], failure: str
) -> None:
    for name in ("check", "discover", "read"):
        for debug in (False, True):
            config = {**way(emulator), "issue_custom_fields": "columns"}
            emulator.faults.clear()
            FAILURES[failure](emulator, config)
            output = command(name, config, streams=STREAMS[:2], debug=debug)
            assert_secret(config, output)
            assert "Traceback" not in output.stderr + "".join(output_lines(output))


def output_lines(output: Output) -> list[str]:
    """What stands in LOG lines, in lines of `--debug`, and in the messages of errors; TRACE has a field for stacks."""
    return [
        *output.logs(),
        *(json.dumps(message) for message in output.of_type("DEBUG")),
        *(error["message"] for error in output.errors),
    ]


@pytest.mark.parametrize("way", [api_key, expired_token])
def test_the_secrets_travel_in_headers_and_bodies_only(
    emulator: Emulator, way: Callable[[Emulator], dict[str, Any]]
) -> None:
    config = way(emulator)
    output = command("read", config, streams=STREAMS, debug=True)
    assert output.status == 0
    assert_secret(config, output)
    secrets = secrets_of(config, output)
    for request in emulator.requests:
        url = f"{request.path}?{request.query}"
        assert not [secret for secret in secrets if secret in url]
        present = {name for name in ("Backlog-API-Key", "Authorization") if name in request.headers}
        if request.path.endswith("/oauth2/token"):
            assert (request.method, present) == ("POST", set())
        else:
            assert present == {"Backlog-API-Key" if way is api_key else "Authorization"}


def test_the_control_message_is_the_only_place_of_new_tokens(emulator: Emulator) -> None:
    config = expired_token(emulator)
    output = command("read", config, streams=["myself"], debug=True)
    (control,) = output.of_type("CONTROL")
    new = control["control"]["connectorConfig"]["config"]["credentials"]["refresh_token"]
    assert new != config["credentials"]["refresh_token"]
    assert output.stdout.count(new) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("way", [api_key, valid_token, expired_token])
def test_no_secret_follows_a_redirect(
    emulator: Emulator, way: Callable[[Emulator], dict[str, Any]], status: int
) -> None:
    """`requests` would take the key's header along, and on 307 and 308 the body with the client's secret too."""
    seen: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(f"{self.requestline} {self.headers}")

        do_POST = do_GET

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    location = {"Location": f"http://127.0.0.1:{server.server_port}/api/v2/projects"}
    for method in ("GET", "POST"):
        emulator.faults.add(".*", method=method, status=status, body="", headers=location, times=None)
    try:
        output = command("check", way(emulator))
    finally:
        server.shutdown()
        server.server_close()
    assert output.connection[0] == "FAILED"
    assert seen == []


def test_a_password_of_netrc_is_not_sent_instead(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password a-password-of-another-service\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert command("check", emulator.config()).connection[0] == "SUCCEEDED"
    assert not [request for request in emulator.requests if "Authorization" in request.headers]


def test_cookies_of_the_server_are_not_kept(emulator: Emulator) -> None:
    body = emulator.truth("myself")[0]
    emulator.faults.add(
        "/users/myself$", status=200, body=body, headers={"Set-Cookie": "JSESSIONID=1; Path=/"}, times=None
    )
    command("read", emulator.config(), streams=["myself", "projects", "priorities"])
    assert not [request for request in emulator.requests if "Cookie" in request.headers]


@pytest.mark.parametrize("secret", ["e", "type", '"', "LOG", "message"])
def test_a_short_secret_does_not_garble_the_messages(emulator: Emulator, secret: str) -> None:
    """The CDK masks every occurrence of every secret: with the key `e`, every message would be broken JSON."""
    config = {**emulator.config(), "credentials": {"auth_type": "api_key", "api_key": secret}}
    assert command("check", config).connection[0] == "FAILED"
    output = command("read", config, streams=["projects"])
    assert output.status == 1
    assert output.errors[-1]["failure_type"] == "config_error"


@pytest.mark.parametrize("level", ["debug", "trace", "info"])
def test_the_log_level_of_the_platform_shows_no_secret_either(emulator: Emulator, tmp_path: Path, level: str) -> None:
    """The platform asks for debug lines by the environment; in a process of its own, because that is read early."""
    config = expired_token(emulator)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    ended = subprocess.run(
        [sys.executable, "-m", "source_backlog", "check", "--config", str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "LOG_LEVEL": level},
    )
    output = Output(ended.returncode, ended.stdout, ended.stderr, 0.0)
    assert output.connection[0] == "SUCCEEDED"
    assert_secret(config, output)
