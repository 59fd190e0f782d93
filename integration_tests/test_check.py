"""Promise 5: `check` says what is wrong in a sentence, what to do, and, when all is well, whose key it is."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import Status

from integration_tests.commands import assert_readable, command, quickly
from integration_tests.emulator import Emulator
from integration_tests.harness import catalog_streams, configured
from source_backlog import SourceBacklog
from source_backlog.api.errors import domain_hint

KEY = "abcdefghijklmnopqrstuvwxyz0123456789"
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(projects=2, issues=20) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_ordered(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    emulator.faults.clear()
    emulator.limits.set(read=None)
    return quickly(monkeypatch)


@pytest.fixture
def server() -> Iterator[Callable[..., str]]:
    """`server(status, headers, body)`: the address of a server that answers everything so."""
    running: list[ThreadingHTTPServer] = []

    def start(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None: ...

        made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=made.serve_forever, daemon=True).start()
        running.append(made)
        return f"127.0.0.1:{made.server_port}"

    yield start
    for each in running:
        each.shutdown()
        each.server_close()


def config(domain: Any, **changes: Any) -> dict[str, Any]:
    return {"domain": domain, "credentials": {"auth_type": "api_key", "api_key": KEY}, **changes}


def failed(given: dict[str, Any]) -> str:
    """The message of a check that must fail: readable, alone, quick, with exit status 0 as the protocol wants it."""
    output = command("check", given)
    status, message = output.connection
    assert status == "FAILED"
    assert output.status == 0
    assert output.stderr == ""
    assert output.seconds < 10
    assert_readable(message)
    assert not output.errors
    return message


DOMAINS = {
    "acme": "one of acme.backlog.jp, acme.backlog.com, acme.backlogtool.com.",
    "backlog.com": "'backlog.com' is Backlog's own address.",
    "https://www.backlog.com/signin": "'www.backlog.com' is Backlog's own address.",
    "": "must be the host name of your space as text",
    "   ": "must be the host name of your space as text",
    "my space.backlog.jp": "'my space.backlog.jp' is not the host name",
    "acme.backlog.jp:8443": "without a port or a path",
    "user:password@acme.backlog.jp": "holds an @",
    "https://user:password@acme.backlog.jp/": "holds an @",
    "169.254.169.254": "is not the host name",
    "10.0.0.1": "is not the host name",
    "[::1]": "is not the host name",
    "http://[::1]:8080/": "is not the host name",
    "127.0.0.1": "is not the host name",
    "127.0.0.1:99999": "is not the host name",
    "ftp://acme.backlog.jp": "is not the host name",
    "bücher.backlog.jp": "is not the host name",
    "a" * 300 + ".backlog.jp": "is not the host name",
    "acme..backlog.jp": "is not the host name",
    "-acme.backlog.jp": "is not the host name",
    "acme.backlog.jp\nHost: evil.example": "is not the host name",
}


@pytest.mark.parametrize(("domain", "part"), DOMAINS.items())
def test_a_domain_that_is_no_host_of_a_space(domain: str, part: str) -> None:
    message = failed(config(domain))
    assert part in message
    assert "password" not in message or "user name or password" in message


@pytest.mark.parametrize(
    "domain", ["https://{}/", "http://{}/projects/WEB?x=1#y", " {} ", "{}.", "{}/dashboard", "HTTP://{}"]
)
def test_a_pasted_address_is_brought_into_shape(emulator: Emulator, domain: str) -> None:
    assert command("check", emulator.config(domain=domain.format(emulator.address))).connection[0] == "SUCCEEDED"


NOT_BACKLOG = {
    "a web page": (200, {"Content-Type": "text/html"}, b"<html><body>Welcome</body></html>"),
    "nothing": (200, {"Content-Type": "application/json"}, b""),
    "a redirect": (302, {"Location": "https://login.example.com/"}, b""),
    "an unknown path": (404, {"Content-Type": "text/html"}, b"<html>Not found</html>"),
    "other JSON": (200, {"Content-Type": "application/json"}, b'{"hello": "world"}'),
    "a list": (200, {"Content-Type": "application/json"}, b'["a", 1, null]'),
    "other JSON for errors": (404, {"Content-Type": "application/json"}, b'{"message": "Not Found"}'),
}


@pytest.mark.parametrize("answer", NOT_BACKLOG.values(), ids=NOT_BACKLOG)
def test_a_host_that_is_not_backlog(server: Callable[..., str], answer: Answer) -> None:
    assert "heck the space domain: it is the host name that your browser shows" in failed(config(server(*answer)))


@pytest.mark.parametrize(
    ("host", "others"),
    [
        ("acme.backlog.jp", "acme.backlog.com or acme.backlogtool.com"),
        ("acme.backlog.com", "acme.backlog.jp or acme.backlogtool.com"),
        ("acme.backlogtool.com", "acme.backlog.jp or acme.backlog.com"),
    ],
)
def test_the_wrong_one_of_the_three_addresses(host: str, others: str) -> None:
    """Every sentence about a host that is not the right one ends in this hint."""
    assert domain_hint(host).endswith(f"perhaps {others}.")
    assert "perhaps" not in domain_hint("backlog.example.com")


def test_a_host_that_does_not_exist() -> None:
    message = failed(config("no-such-space-4711.backlog.jp"))
    # Behind a resolver that cannot be reached this reads the same: nothing tells the two apart.
    assert "no-such-space-4711.backlog.jp" in message
    assert "perhaps no-such-space-4711.backlog.com or no-such-space-4711.backlogtool.com" in message


def test_a_wrong_key(emulator: Emulator) -> None:
    emulator.clear_requests()
    message = failed(config(emulator.address))
    assert "does not accept the API key. Check that the key was copied whole" in message
    assert KEY not in message
    assert len(emulator.requests) < 20


CODES = {
    3: (402, "The licence of the Backlog space has expired. Renew it"),
    4: (403, "Backlog refuses access from this IP address. Add Airbyte's address to the allowed addresses"),
    12: (403, "requires two-factor authentication"),
}


@pytest.mark.parametrize(("code", "status", "part"), [(code, *rest) for code, rest in CODES.items()])
def test_what_the_space_forbids(emulator: Emulator, code: int, status: int, part: str) -> None:
    """The statuses of these codes are not documented: the code decides."""
    for answered in {status, 400, 401, 403}:
        emulator.faults.clear()
        body = {"errors": [{"message": "No.", "code": code, "moreInfo": ""}]}
        emulator.faults.add(".*", status=answered, body=body, times=None)
        assert part in failed(emulator.config())


def test_an_expired_or_revoked_oauth_token(emulator: Emulator) -> None:
    given = emulator.oauth_config()
    emulator.oauth.revoke_all()
    assert failed(given) == (
        "Backlog does not accept the refresh token: it was used elsewhere, revoked, or belongs to another client. "
        "Authenticate the source again."
    )


def test_a_wrong_client_secret(emulator: Emulator) -> None:
    given = emulator.oauth_config()
    emulator.oauth.expire_all()
    given["credentials"]["client_secret"] = "mistyped-secret"
    assert "does not accept the Client ID and Client Secret" in failed(given)


def test_projects_that_do_not_exist(emulator: Emulator) -> None:
    for named in (["NOPE"], ["NOPE", "WEB"], ["web", "123"]):
        message = failed(emulator.config(projects=named))
        missing = "NOPE" if "NOPE" in named else "123"
        assert f"The option Projects names what the key cannot see: {missing}. Visible project keys: " in message
        assert "APP, OLD, WEB" in message
    assert command("check", emulator.config(projects=["web"])).connection[0] == "SUCCEEDED"


@pytest.mark.parametrize("date", ["2999-01-01T00:00:00Z", "2999-01-01"])
def test_a_start_date_in_the_future(emulator: Emulator, date: str) -> None:
    assert f"The Start Date '{date}' lies in the future." in failed(emulator.config(start_date=date))


def test_an_unreachable_network() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        message = failed(config(f"127.0.0.1:{taken.getsockname()[1]}"))
    assert message == (
        "Could not reach 127.0.0.1 for users/myself. Check the space domain and the network between Airbyte and "
        "Backlog."
    )


def test_a_host_that_does_not_answer(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_backlog.api.client.QUICK_TIMEOUT_SECONDS", (0.3, 0.3))
    emulator.faults.add(".*", kind="hang", seconds=1.5, times=None)
    assert "did not answer users/myself in time." in failed(emulator.config())


def test_maintenance(emulator: Emulator) -> None:
    emulator.faults.add(".*", kind="html", status=503, times=None)
    assert "with status 503. It may be overloaded or under maintenance; try again later." in failed(emulator.config())


def test_a_rate_limit_that_is_used_up_does_not_make_anybody_wait(
    emulator: Emulator, nothing_ordered: list[float]
) -> None:
    emulator.limits.set(read=1)
    emulator.limits.window_seconds = 60
    emulator.consume("read", 1)
    assert "rate limit was exceeded" in failed(emulator.config())
    assert sum(nothing_ordered) <= 20


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody has signed."""
    directory = tmp_path_factory.mktemp("tls")
    made = directory / "both.pem"
    made_by = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    parts = ["-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem")]
    try:
        subprocess.run([*made_by, *parts], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl")
    made.write_text((directory / "key.pem").read_text() + (directory / "cert.pem").read_text())
    return made


def test_a_certificate_that_nobody_has_signed(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.raw_requestline)

        def log_message(self, *args: Any) -> None: ...

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *args: Any) -> None: ...

    server = Quiet(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # The name of a host that is asked over https leads to this server.
    real = socket.getaddrinfo
    port = server.server_port
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, number, *rest, **more: real(
            "127.0.0.1", port if host == "backlog.example.com" else number, *rest, **more
        ),
    )
    message = failed(config("backlog.example.com"))
    server.shutdown()
    server.server_close()
    assert "The certificate of backlog.example.com could not be verified." in message
    assert not seen, "no request, and so no key, went to a server without a valid certificate"


WRONG = {
    "no domain": {"domain": None},
    "no credentials": {"credentials": None},
    "credentials as text": {"credentials": KEY},
    "an unknown kind": {"credentials": {"auth_type": "password", "api_key": KEY}},
    "no kind": {"credentials": {"api_key": KEY}},
    "no key": {"credentials": {"auth_type": "api_key"}},
    "an empty key": {"credentials": {"auth_type": "api_key", "api_key": "  "}},
    "a key in the wrong place": {"credentials": {"auth_type": "oauth2.0", "api_key": KEY}},
    "two lines": {"credentials": {"auth_type": "api_key", "api_key": f"{KEY}\n{KEY}"}},
    "a list for a key": {"credentials": {"auth_type": "api_key", "api_key": [KEY]}},
    "projects as text": {"projects": "WEB"},
    "a number among projects": {"projects": [1]},
    "workers as text": {"num_workers": "4"},
    "too many workers": {"num_workers": 2000},
    "a share of nothing": {"request_share_percent": 0},
    "files that are too large": {"file_size_limit_mib": 1501},
    "an unknown choice": {"deleted_records": "all"},
    "no truth": {"include_archived_projects": "yes"},
    "a date of another kind": {"start_date": "01.02.2024"},
    "a day that does not exist": {"start_date": "2024-02-30"},
    "a number for a date": {"start_date": 1704067200},
}


# All commands check the form alike.
SOME = ("no domain", "a key in the wrong place", "a date of another kind")


@pytest.mark.parametrize(
    ("name", "case"),
    [("check", case) for case in WRONG] + [(name, case) for name in ("discover", "read") for case in SOME],
)
def test_a_form_that_is_filled_in_wrongly(name: str, case: str) -> None:
    given = {**config("acme.backlog.jp"), **WRONG[case]}
    output = command(name, given, streams=["projects"])
    assert KEY not in output.stdout + output.stderr
    assert output.stderr == ""
    if name == "check":
        (status, message) = output.connection
        assert (output.status, status) == (0, "FAILED")
    else:
        assert output.status == 1
        (error,) = output.errors
        assert error["failure_type"] == "config_error"
        message = error["message"]
    assert message[0] in "TAPINSWFD'"
    assert message.endswith(".")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "17", '"text"', "[" * 100_000, b"\xff\xfe", "{'a': 1}"])
def test_a_config_file_that_is_no_json_object(text: str | bytes) -> None:
    output = command("check", None, text=text)
    assert output.status == 1
    (error,) = output.errors
    assert error["failure_type"] == "config_error"
    assert error["message"].startswith("The config file ")
    assert output.stderr == ""


def test_success_says_whose_key_it_is_and_what_it_sees(emulator: Emulator) -> None:
    output = command("check", emulator.config())
    assert output.connection[0] == "SUCCEEDED"
    (line,) = [line for line in output.logs("INFO") if line.startswith("The key belongs to")]
    name = emulator.space.user(None).name
    assert line == (
        f"The key belongs to {name} (role administrator) in the space {emulator.space.key}; it sees 3 projects, and "
        "all are synced."
    )
    assert not [line for line in output.logs() if "it takes an administrator" in line]
    assert not output.logs("WARN")


@pytest.mark.parametrize(
    ("options", "selected"),
    [({"projects": ["WEB"]}, 1), ({"include_archived_projects": False}, 2), ({"projects": ["web", "OLD"]}, 2)],
)
def test_success_says_how_many_of_the_projects_are_selected(
    emulator: Emulator, options: dict[str, Any], selected: int
) -> None:
    output = command("check", emulator.config(**options))
    assert output.connection[0] == "SUCCEEDED"
    (line,) = [line for line in output.logs("INFO") if line.startswith("The key belongs to")]
    assert line.endswith(f"; it sees 3 projects, of which the options select {selected}.")


@pytest.mark.parametrize("name", ["check", "discover", "read"])
def test_an_option_that_is_not_known_is_named_with_the_one_that_may_be_meant(emulator: Emulator, name: str) -> None:
    given = emulator.config(num_worker=8, __injected_declarative_manifest={}, cron="daily")
    given["credentials"]["token"] = "abc"
    output = command(name, given, streams=["priorities"])
    assert output.status == 0
    assert not output.errors
    assert output.logs("WARN") == [
        "The option num_worker is unknown and has no effect. Perhaps num_workers is meant.",
        "The option cron is unknown and has no effect. The known ones are domain, credentials, start_date, projects, "
        "include_archived_projects, deleted_records, issue_custom_fields, file_size_limit_mib, num_workers, "
        "request_share_percent.",
        "The option token is unknown and has no effect. The known ones are access_token, api_key, auth_type, "
        "client_id, client_secret, refresh_token, token_expiry_date.",
    ]


@pytest.mark.parametrize(("user", "restricted"), [("member", False), ("reporter", True), ("viewer", True)])
def test_success_says_which_streams_need_more_rights(emulator: Emulator, user: str, restricted: bool) -> None:
    output = command("check", emulator.config(user=user))
    assert output.connection[0] == "SUCCEEDED"
    text = "\n".join(output.logs("INFO"))
    for stream in ("space_disk_usage", "users", "teams", "team_members", "user_stars", "webhooks"):
        assert stream in text
    assert ("shared_files" in text, "document_comments" in text, "git_repositories" in text) == (restricted,) * 3


def test_check_is_cheap_and_writes_nothing(emulator: Emulator) -> None:
    emulator.clear_requests()
    assert command("check", emulator.config()).connection[0] == "SUCCEEDED"
    # Who, where, and which projects; then the limit, the number of issues and two pages of the feed: what a sync costs.
    assert len(emulator.requests) <= 7
    assert {request.method for request in emulator.requests} == {"GET"}


def test_the_console_script_ends_as_the_protocol_wants(emulator: Emulator, tmp_path: Path) -> None:
    """The same in a process of its own: output, exit status, nothing on standard error."""
    path = tmp_path / "config.json"
    for given, status, wanted in (
        (emulator.config(), 0, "SUCCEEDED"),
        (config(emulator.address), 0, "FAILED"),
    ):
        path.write_text(json.dumps(given))
        ended = subprocess.run(
            [sys.executable, "-m", "source_backlog", "check", "--config", str(path)], capture_output=True, text=True
        )
        assert (ended.returncode, ended.stderr) == (status, "")
        assert [json.loads(line) for line in ended.stdout.splitlines()][-1]["connectionStatus"]["status"] == wanted


def test_a_source_that_was_checked_still_discovers_and_reads_everything() -> None:
    with Emulator(seed=3, projects=2, issues=12) as emulator:
        config = emulator.config()
        catalog = configured(["issues", "statuses"])
        source = SourceBacklog(catalog=catalog, config=config)
        assert source.check(logging.getLogger(), config).status == Status.SUCCEEDED
        assert {stream.name for stream in source.discover(logging.getLogger(), config).streams} == set(
            catalog_streams()
        )
        assert not source.space.quick
        read = {
            message.record.stream for message in source.read(logging.getLogger(), config, catalog) if message.record
        }
        assert read == {"issues", "statuses"}
        assert len(source.streams(config)) == len(catalog_streams())
