"""Reading what a caller named: over the network, but never anywhere else than it was checked."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from slipway.access.oidc import documents
from slipway.access.oidc.documents import Unreadable
from slipway.settings import settings
from tests.support.issuer import CONFIGURATION, Issuer, answer, running

PUBLIC = "8.8.8.8"
URL = "https://ci.example.com/.well-known/openid-configuration"


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


class Network:
    """Names and connections, in place of the real ones. All connections go to `port` here."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
        self.addresses = [[PUBLIC]]
        self.asked: list[str] = []
        self.connected: list[tuple[str, int]] = []
        self.down: set[str] = set()
        self._port = port
        self._real = socket.create_connection
        monkeypatch.setattr(socket, "getaddrinfo", self._getaddrinfo)
        monkeypatch.setattr(socket, "create_connection", self._create_connection)

    def _getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        found = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    def _create_connection(self, address: tuple[str, int], timeout: float) -> socket.socket:
        self.connected.append(address)
        if address[0] in self.down:
            raise ConnectionRefusedError
        here = socket.socket()
        here.settimeout(timeout)
        here.connect(("127.0.0.1", self._port))
        return here


@pytest.fixture
def on_aws(environ: None) -> None:
    assert settings().on_aws


@pytest.fixture
def on_a_laptop(environ: None, monkeypatch: pytest.MonkeyPatch) -> None:
    known = replace(settings(), on_aws=False)
    monkeypatch.setattr(documents, "settings", lambda: known)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for ci.example.com, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ci.example.com")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("ci.example.com"), x509.IPAddress(ipaddress.ip_address(PUBLIC))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextmanager
def https(certificate: Path) -> Iterator[tuple[int, list[str]]]:
    """A server with this certificate: its port, and the Host header of each request."""
    hosts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts.append(self.headers["Host"])
            answer(json.dumps({"path": self.path}).encode())(self)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that does not trust the certificate hangs up."""

    with Quiet(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port, hosts
        finally:
            server.shutdown()
            thread.join()


def trust_in(monkeypatch: pytest.MonkeyPatch, certificate: Path) -> None:
    real = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda: real(cafile=str(certificate)))


def test_the_connection_goes_to_the_address_that_was_checked(
    on_aws: None, monkeypatch: pytest.MonkeyPatch, certificate: Path
) -> None:
    trust_in(monkeypatch, certificate)
    with https(certificate) as (port, hosts):
        network = Network(monkeypatch, port)
        # A name that leads inside as soon as it has been checked.
        network.addresses = [[PUBLIC], ["169.254.169.254"]]

        assert documents.read(URL, soon()) == {"path": "/.well-known/openid-configuration"}

        assert network.asked == ["ci.example.com"]
        assert network.connected == [(PUBLIC, 443)]
        assert hosts == ["ci.example.com"]
        with pytest.raises(Unreadable, match="not public"):
            documents.read(URL, soon())
        assert network.connected == [(PUBLIC, 443)]


def test_an_address_that_does_not_answer_leaves_the_others(
    on_aws: None, monkeypatch: pytest.MonkeyPatch, certificate: Path
) -> None:
    trust_in(monkeypatch, certificate)
    with https(certificate) as (port, _):
        network = Network(monkeypatch, port)
        network.addresses = [["2606:50c0:8000::153", "8.8.4.4", PUBLIC]]
        network.down = {"8.8.4.4"}

        assert documents.read(URL, soon())["path"]

        # Lambda has no IPv6, so that is tried last.
        assert network.connected == [("8.8.4.4", 443), (PUBLIC, 443)]
        network.down = {"8.8.4.4", PUBLIC, "2606:50c0:8000::153"}
        with pytest.raises(Unreadable, match="cannot be reached"):
            documents.read(URL, soon())
        assert len(network.connected) == 5


@pytest.mark.parametrize(
    "addresses",
    [
        ["169.254.169.254"],
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["fd00:ec2::254"],
        ["::ffff:169.254.169.254"],
        # One that is public does not excuse the other, which a retry would reach.
        [PUBLIC, "192.168.0.1"],
        ["192.168.0.1", PUBLIC],
        [],
    ],
    ids=str,
)
def test_a_name_that_leads_inside_is_not_connected_to(
    on_aws: None, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    network = Network(monkeypatch, 1)
    network.addresses = [addresses]

    with pytest.raises(Unreadable, match="not public"):
        documents.read(URL, soon())

    assert network.connected == []


def test_a_certificate_that_is_not_trusted_or_is_anothers_is_refused(
    on_aws: None, monkeypatch: pytest.MonkeyPatch, certificate: Path
) -> None:
    with https(certificate) as (port, hosts):
        Network(monkeypatch, port)
        with pytest.raises(Unreadable, match="cannot be reached"):
            documents.read(URL, soon())
        trust_in(monkeypatch, certificate)
        with pytest.raises(Unreadable, match="cannot be reached"):
            documents.read("https://other.example.com/", soon())
        assert hosts == []
        assert documents.read("https://ci.example.com/", soon()) == {"path": "/"}


def test_a_platform_on_aws_asks_no_loopback(on_aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, 1)

    for url in ("http://127.0.0.1:9001/", "http://localhost:9001/", "http://[::1]/"):
        with pytest.raises(Unreadable, match="does not ask"):
            documents.read(url, soon())

    assert (network.asked, network.connected) == ([], [])


def test_on_a_laptop_localhost_must_be_loopback_indeed(
    on_a_laptop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network(monkeypatch, 1)
    network.addresses = [["10.0.0.1"]]

    with pytest.raises(Unreadable, match="not public"):
        documents.read("http://localhost:8000/", soon())


@pytest.fixture
def issuer(on_a_laptop: None) -> Iterator[Issuer]:
    with running() as found:
        yield found


def test_a_redirect_is_not_followed(issuer: Issuer) -> None:
    issuer.answers["/elsewhere"] = answer(b"{}")
    issuer.answers[CONFIGURATION] = answer(b"", 302, Location=f"{issuer.url}/elsewhere")

    with pytest.raises(Unreadable, match="302"):
        documents.read(issuer.url + CONFIGURATION, soon())

    assert issuer.asked == [CONFIGURATION]


def test_a_proxy_of_the_environment_is_not_used(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert documents.read(issuer.url + CONFIGURATION, soon())["issuer"] == issuer.url


class Dribble:
    """Answers with a byte now and then, until it is let go."""

    def __init__(self, first: bytes, then: bytes) -> None:
        self.first, self.then = first, then
        self.gone = threading.Event()

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        try:
            request.wfile.write(self.first)
            while not self.gone.wait(0.02):
                request.wfile.write(self.then)
        except OSError:
            self.gone.set()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["nothing", "headers", "a body", "chunks"],
)
def test_a_slow_issuer_is_given_up_in_time(issuer: Issuer, first: bytes, then: bytes) -> None:
    slow = issuer.answers["/slow"] = Dribble(first, then)
    began = time.monotonic()
    try:
        with pytest.raises(Unreadable, match=r"in time|reached"):
            documents.read(f"{issuer.url}/slow", soon(0.3))
        assert time.monotonic() - began < 2
        # The connection is closed, so that no thread waits for the rest.
        assert first == b"" or slow.gone.wait(5)
    finally:
        slow.gone.set()


def test_a_name_that_is_resolved_slowly_is_given_up_in_time(
    on_aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def slow(*_: Any, **__: Any) -> list[Any]:
        go.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    began = time.monotonic()
    try:
        with pytest.raises(Unreadable, match="in time"):
            documents.read(URL, soon(0.2))
        assert time.monotonic() - began < 2
    finally:
        go.set()


@pytest.mark.parametrize(
    "body",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + b"{" + b" " * 200_000 + b"}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n" + b" " * 200_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n" + b" " * 200_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n[]",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
    ids=[
        "long",
        "longer than said",
        "a long header",
        "headers",
        "chunks",
        "negative",
        "ssh",
        "101",
    ],
)
def test_an_answer_that_is_too_long_or_no_http_is_refused(issuer: Issuer, body: bytes) -> None:
    def handle(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        with suppress(OSError):
            request.wfile.write(body)

    issuer.answers["/odd"] = handle

    with pytest.raises(Unreadable):
        documents.read(f"{issuer.url}/odd", soon())
