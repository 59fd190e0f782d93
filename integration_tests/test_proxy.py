"""Between Backlog and the connector: a proxy, with or without a password, and TLS that an own authority has signed."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.commands import Output, assert_readable, command, quickly
from integration_tests.emulator import Emulator

HOST = "backlog.example.com"
PASSWORD = "proxy-password-of-us"
VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return quickly(monkeypatch)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(projects=2, issues=20) as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an authority of our own: `ca.pem`, and `both.pem` for the host, signed by it."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "host.cnf").write_text(f"subjectAltName=DNS:{HOST}\n")

    def openssl(arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)

    try:
        openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=Own-Authority -keyout ca.key -out ca.pem")
    except FileNotFoundError:
        pytest.skip("needs openssl")
    openssl(f"req -newkey rsa:2048 -nodes -subj /CN={HOST} -keyout host.key -out host.csr")
    openssl("x509 -req -in host.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile host.cnf -out host.pem")
    (folder / "both.pem").write_text((folder / "host.key").read_text() + (folder / "host.pem").read_text())
    return folder


def listen(handle: Callable[[socket.socket], None]) -> socket.socket:
    """A server on loopback that gives each connection to `handle`, in a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listening


def relay(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until both ends are closed."""

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=carry, args=(other, one), daemon=True)
    back.start()
    carry(one, other)
    back.join()
    one.close()
    other.close()


@pytest.fixture(scope="module")
def secure(emulator: Emulator, authority: Path) -> Iterator[int]:
    """The port where the emulator is `https://backlog.example.com`, as behind a TLS inspection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "both.pem")
    host, port = emulator.address.split(":")

    def handle(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            relay(context.wrap_socket(connection, server_side=True), socket.create_connection((host, int(port))))

    with listen(handle) as listening:
        yield listening.getsockname()[1]


class Proxy:
    """An HTTP proxy that knows one host; it may ask for a password, or refuse everything."""

    def __init__(self, secure: int) -> None:
        self.seen: list[str] = []
        self.password = ""
        self.refusal = b""
        self._secure = secure
        self._listening = listen(self._handle)
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"

    def close(self) -> None:
        self._listening.close()

    def _handle(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        text = head.decode()
        self.seen.append(text.splitlines()[0])
        wanted = base64.b64encode(f"me:{self.password}".encode()).decode()
        if self.password and f"Proxy-Authorization: Basic {wanted}" not in text:
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
        elif self.refusal:
            connection.sendall(b"HTTP/1.1 " + self.refusal + b"\r\n\r\n")
        else:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            relay(connection, socket.create_connection(("127.0.0.1", self._secure)))
            return
        connection.close()


@pytest.fixture
def proxy(secure: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    made = Proxy(secure)
    monkeypatch.setenv("HTTPS_PROXY", f"http://{made.address}")
    yield made
    made.close()


def config(emulator: Emulator) -> dict[str, Any]:
    return emulator.config(domain=HOST)


def failed(emulator: Emulator, failure: str = "config_error") -> str:
    """What `check` and `read` say alike."""
    checked, read = (command(name, config(emulator), streams=["priorities"]) for name in ("check", "read"))
    status, message = checked.connection
    assert status == "FAILED"
    assert_readable(message)
    assert {error["failure_type"] for error in read.errors} == {failure}
    assert read.errors[0]["message"].replace("priorities", "users/myself") == message
    for output in (checked, read):
        assert PASSWORD not in output.stdout + output.stderr
        assert output.stderr == ""
    return message


def works(emulator: Emulator) -> Output:
    assert command("check", config(emulator)).connection[0] == "SUCCEEDED"
    output = command("read", config(emulator), streams=["issues"])
    assert (output.status, output.errors) == (0, [])
    assert len(output.rows("issues")) == len(emulator.truth("issues"))
    return output


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_proxy_and_an_own_authority(
    emulator: Emulator, proxy: Proxy, authority: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(authority / "ca.pem"))
    emulator.clear_requests()
    works(emulator)
    assert proxy.seen
    assert {line.split()[1] for line in proxy.seen} == {f"{HOST}:443"}
    assert "/api/v2/rateLimit" in {request.path for request in emulator.requests}, "the limits are learned there too"


def test_a_proxy_with_a_password(
    emulator: Emulator, proxy: Proxy, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    proxy.password = PASSWORD
    wanted = (
        f"The proxy {proxy.address} asks for a user and a password (status 407). Write them into HTTPS_PROXY before "
        f"the host, as in user:password@proxy.example.com:8080. If {HOST} can be reached without the proxy, name it in "
        "NO_PROXY."
    )
    assert failed(emulator) == wanted
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:wrong-{PASSWORD}@{proxy.address}")
    assert failed(emulator) == wanted
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PASSWORD}@{proxy.address}")
    works(emulator)
    talkative = command("read", config(emulator), streams=["priorities"], debug=True)
    assert talkative.rows("priorities")
    assert PASSWORD not in talkative.stdout + talkative.stderr


def test_tokens_are_renewed_through_the_proxy_too(
    emulator: Emulator, proxy: Proxy, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {**emulator.oauth_config(), "domain": HOST}
    del given["credentials"]["access_token"]
    assert "Its authority is not known here." in command("check", given).connection[1]
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    proxy.password = PASSWORD
    assert "asks for a user and a password" in command("check", given).connection[1]
    proxy.password = ""
    assert command("check", given).connection[0] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("refusal", "failure", "message"),
    [
        (
            b"403 Forbidden",
            "config_error",
            "The proxy {} does not let requests through to backlog.example.com. Have the host allowed there. If it can "
            "be reached without the proxy, name it in NO_PROXY.",
        ),
        (
            b"503 Service Unavailable",
            "transient_error",
            "The proxy {} could not reach backlog.example.com. Check the space domain, and the proxy. If Backlog can "
            "be reached without the proxy, name its host in NO_PROXY.",
        ),
    ],
)
def test_a_proxy_that_lets_nothing_through(
    emulator: Emulator, proxy: Proxy, refusal: bytes, failure: str, message: str
) -> None:
    proxy.refusal = refusal
    assert failed(emulator, failure) == message.format(proxy.address)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "no-such-proxy.invalid:8080"])
def test_a_proxy_that_cannot_be_reached(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PASSWORD}@{address}")
    assert failed(emulator) == (
        f"The proxy {address} could not be reached. Check HTTPS_PROXY. If {HOST} can be reached without the proxy, "
        "name it in NO_PROXY."
    )


@pytest.mark.parametrize(
    "address", ["http://:8080", "socks5://127.0.0.1:1080", "ftp://127.0.0.1:21", "http://host:port"]
)
def test_a_proxy_that_is_none(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    assert failed(emulator).startswith("HTTPS_PROXY names no proxy that can be used.")


def test_a_host_that_is_reached_without_the_proxy(
    emulator: Emulator,
    proxy: Proxy,
    secure: int,
    authority: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name leads to this machine here."""
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        return real("127.0.0.1", secure, *rest, **more) if host == HOST else real(host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority / "ca.pem"))
    monkeypatch.setenv("NO_PROXY", HOST)
    works(emulator)
    assert proxy.seen == []


def test_an_authority_that_is_not_known(emulator: Emulator, proxy: Proxy) -> None:
    seen = len(emulator.requests)
    assert failed(emulator) == (
        f"The certificate of {HOST} could not be verified. Its authority is not known here. If your network inspects "
        "TLS, or if the server is your own, put the certificate of that authority into a file, and name the file in "
        "REQUESTS_CA_BUNDLE or SSL_CERT_FILE. Otherwise check the space domain: it is the host name that your browser "
        "shows when you are logged in to Backlog, such as your-space.backlog.jp."
    )
    assert len(emulator.requests) == seen, "no request, and so no key, went out"


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_file_of_certificates_that_cannot_be_used(
    emulator: Emulator, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / "authorities.pem"
    monkeypatch.setenv(name, str(path))
    rest = "Without it no certificate can be verified."
    assert failed(emulator) == (f"The file {path}, which {name} names, cannot be read: {os.strerror(2)}. {rest}")
    path.write_text("no certificate")
    assert failed(emulator) == f"The file {path}, which {name} names, holds no certificates in PEM format. {rest}"
