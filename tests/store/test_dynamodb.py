"""The transport, against a server that does anything to its connections that a test asks for."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from slipway.aws import dynamodb
from slipway.aws.dynamodb import NO_ANSWER, DynamoDBError, together
from slipway.settings import Credentials, settings
from tests.support.repository import template

Reply = Callable[[socket.socket], bool]
GET = ("GetItem", {"TableName": "slipway"})


def answers(body: Any, status: int = 200, close: bool = False) -> Reply:
    """It says this, and goes on, or closes the connection as it said that it would."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(raw)}\r\n"
    head += "Connection: close\r\n\r\n" if close else "\r\n"

    def reply(connection: socket.socket) -> bool:
        connection.sendall(head.encode() + raw)
        return not close

    return reply


def refuses(code: str, status: int = 400, **more: Any) -> Reply:
    kind = f"com.amazonaws.dynamodb.v20120810#{code}"
    return answers({"__type": kind, "message": "stubbed", **more}, status)


def hangs_up(connection: socket.socket) -> bool:
    return False


def says_nothing(connection: socket.socket) -> bool:
    time.sleep(0.5)
    return False


def breaks_off(connection: socket.socket) -> bool:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"Item"')
    return False


def closes_behind_your_back(connection: socket.socket) -> bool:
    answers({"n": 0})(connection)
    return False


class Server:
    """Replies to the next requests as told, then with what was asked; `asked` has all that was."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.replies: list[Reply] = []
        self.asked: list[tuple[dict[str, str], Any]] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        port = self._listener.getsockname()[1]
        self.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self.tls:
                try:
                    connection = self.tls.wrap_socket(connection, server_side=True)
                except OSError:
                    connection.close()
                    continue
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            going_on = True
            while going_on and lines.readline():
                headers = {}
                while (line := lines.readline().decode().strip()) != "":
                    name, _, value = line.partition(":")
                    headers[name.lower()] = value.strip()
                body = json.loads(lines.read(int(headers["content-length"])))
                self.asked.append((headers, body))
                reply = self.replies.pop(0) if self.replies else answers({"asked": body})
                going_on = False
                with suppress(OSError):
                    going_on = reply(connection)

    def close(self) -> None:
        for each in [self._listener, *self._open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """None is made; what would have been is here."""
    found: list[float] = []
    monkeypatch.setattr(dynamodb, "random", SimpleNamespace(uniform=lambda least, most: most))
    monkeypatch.setattr(dynamodb, "time", SimpleNamespace(time=time.time, sleep=found.append))
    return found


@pytest.fixture
def server(environ: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    yield from serving(Server(), monkeypatch)


def serving(made: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.endpoint)
    settings.cache_clear()
    dynamodb.wire.cache_clear()
    yield made
    dynamodb.wire().close()
    dynamodb.wire.cache_clear()
    made.close()


# --- what is sent ---------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "a/session+token=="])
@pytest.mark.parametrize("body", [b"{}", '{"a":"ü \U0001f680"}'.encode()])
@pytest.mark.parametrize("host", ["dynamodb.eu-central-1.amazonaws.com", "127.0.0.1:4566"])
def test_requests_are_signed_as_the_sdk_signs_them(
    token: str, body: bytes, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    by = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)

    ours = dynamodb.signed("Query", body, host, "eu-central-1", by, now)

    theirs = AWSRequest("POST", f"https://{host}/", data=body)
    for name in ("content-type", "x-amz-target"):
        theirs.headers[name] = ours[name]
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: now.replace(tzinfo=None))
    kept = BotocoreCredentials(by.key_id, by.secret, by.token or None)
    SigV4Auth(kept, "dynamodb", "eu-central-1").add_auth(theirs)
    assert ours["authorization"] == theirs.headers["Authorization"]
    assert ours.get("x-amz-security-token") == theirs.headers["X-Amz-Security-Token"]


def test_the_request_arrives_as_it_was_sent(server: Server) -> None:
    server.replies = [answers({"Item": {"pk": {"S": "ü"}}})]

    [answer] = together(("GetItem", {"TableName": "slipway", "Key": {"pk": {"S": "ü"}}}))

    [(headers, body)] = server.asked
    assert answer == {"Item": {"pk": {"S": "ü"}}}
    assert body == {"TableName": "slipway", "Key": {"pk": {"S": "ü"}}}
    assert headers["x-amz-target"] == "DynamoDB_20120810.GetItem"
    assert headers["content-type"] == "application/x-amz-json-1.0"


def test_credentials_are_read_for_every_call(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    together(GET)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a token")
    together(GET)

    (before, _), (after, _) = server.asked
    assert "Credential=testing/" in before["authorization"]
    assert "x-amz-security-token" not in before
    assert "Credential=another/" in after["authorization"]
    assert after["x-amz-security-token"] == "a token"


@pytest.mark.parametrize(
    ("region", "endpoint"),
    [
        ("eu-central-1", "https://dynamodb.eu-central-1.amazonaws.com"),
        ("us-gov-west-1", "https://dynamodb.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "https://dynamodb.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_on_aws_it_calls_the_region_over_tls(
    environ: None, monkeypatch: pytest.MonkeyPatch, region: str, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    settings.cache_clear()

    assert settings().dynamodb == endpoint


# --- one round trip -------------------------------------------------------------------------


def test_calls_that_are_made_together_are_all_sent_before_one_is_answered(server: Server) -> None:
    both_are_there = threading.Barrier(2)

    def waits_for_the_other(body: Any) -> Reply:
        def reply(connection: socket.socket) -> bool:
            both_are_there.wait(2)
            return answers(body)(connection)

        return reply

    server.replies = [waits_for_the_other({"n": n}) for n in (1, 2)]

    found = together(("GetItem", {"n": 1}), ("Query", {"n": 2}))

    assert sorted(answer["n"] for answer in found) == [1, 2]


def test_answers_come_in_the_order_of_the_calls(server: Server) -> None:
    found = together(("GetItem", {"n": 1}), ("Query", {"n": 2}), ("GetItem", {"n": 3}))

    assert [answer["asked"]["n"] for answer in found] == [1, 2, 3]


def test_connections_are_kept(server: Server) -> None:
    for _ in range(3):
        together(GET)
        together(GET, GET)

    assert server.connections == 2
    assert len(server.asked) == 9


def test_several_threads_may_call_and_each_gets_its_own_answers(server: Server) -> None:
    found: list[tuple[int, int]] = []

    def call(n: int) -> None:
        for _ in range(20):
            [answer] = together(("GetItem", {"n": n}))
            found.append((n, answer["asked"]["n"]))

    threads = [threading.Thread(target=call, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 160
    assert all(asked == answered for asked, answered in found)
    assert server.connections <= 8


# --- over TLS -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + secret)
    return path


@pytest.fixture
def tls_server(
    certificate: Path, environ: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    yield from serving(Server(context), monkeypatch)


def test_a_server_with_a_trusted_certificate_is_called_over_tls(
    tls_server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    for _ in range(3):
        found = together(("GetItem", {"n": 1}), ("Query", {"n": 2}))
        assert [answer["asked"]["n"] for answer in found] == [1, 2]
    assert tls_server.connections == 2


def test_a_connection_over_tls_that_was_closed_meanwhile_is_not_used_again(
    tls_server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls_server.replies = [closes_behind_your_back]
    together(GET)
    wait_until(lambda: dynamodb._readable(dynamodb.wire()._idle[0][1]))

    together(GET)

    assert (len(tls_server.asked), tls_server.connections, pauses) == (2, 2, [])


def test_a_server_without_a_trusted_certificate_gets_no_request(
    tls_server: Server, pauses: list[float]
) -> None:
    with pytest.raises(DynamoDBError, match="CERTIFICATE_VERIFY_FAILED") as refused:
        together(GET)

    assert refused.value.code == NO_ANSWER
    assert tls_server.asked == []


# --- connections that end -------------------------------------------------------------------


def test_a_connection_that_was_closed_meanwhile_is_not_used_again(
    server: Server, pauses: list[float]
) -> None:
    server.replies = [closes_behind_your_back]
    together(GET)
    wait_until(lambda: dynamodb._readable(dynamodb.wire()._idle[0][1]))

    together(GET)

    assert (len(server.asked), server.connections, pauses) == (2, 2, [])


def test_a_connection_that_the_server_closes_is_not_kept(
    server: Server, pauses: list[float]
) -> None:
    server.replies = [answers({}, close=True)]
    together(GET)
    together(GET)

    assert (len(server.asked), server.connections, pauses) == (2, 2, [])


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    together(GET)
    now = time.time()
    later = SimpleNamespace(time=lambda: now + dynamodb.IDLE_SECONDS + 1)
    monkeypatch.setattr(dynamodb, "time", later)
    together(GET)

    assert server.connections == 2


# --- what goes wrong ------------------------------------------------------------------------

PASSING = {
    "throttled": refuses("ThrottlingException"),
    "over the throughput": refuses("ProvisionedThroughputExceededException"),
    "over the limit": refuses("RequestLimitExceeded"),
    "a transaction in progress": refuses("TransactionInProgressException"),
    "an error of DynamoDB's": refuses("InternalServerError", 500),
    "an error nobody knows": refuses("Unheard", 500),
    "a page of HTML": answers(b"<html>no</html>", 503),
    "nothing but an empty page": answers(b"", 502),
    "not JSON": answers(b'{"Item"'),
    "hangs up": hangs_up,
    "breaks off": breaks_off,
}


@pytest.mark.parametrize("reply", PASSING.values(), ids=PASSING.keys())
def test_a_temporary_fault_is_retried(server: Server, pauses: list[float], reply: Reply) -> None:
    server.replies = [reply, reply, answers({"n": 1})]

    assert together(GET) == [{"n": 1}]
    assert len(server.asked) == 3
    assert pauses == [0.4, 0.8]


@pytest.mark.parametrize("reply", PASSING.values(), ids=PASSING.keys())
def test_a_fault_that_stays_is_raised_after_the_last_try(
    server: Server, pauses: list[float], reply: Reply
) -> None:
    server.replies = [reply] * 9

    with pytest.raises(DynamoDBError) as refused:
        together(GET)

    assert refused.value.passing
    assert len(server.asked) == dynamodb.TRIES


def test_the_wait_for_an_answer_is_limited(
    server: Server, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb, "ANSWER_SECONDS", 0.05)
    server.replies = [says_nothing, says_nothing, answers({"n": 1})]
    began = time.perf_counter()

    assert together(GET) == [{"n": 1}]
    assert 0.1 <= time.perf_counter() - began < 0.5


def test_two_unanswered_calls_take_no_longer_than_one(
    server: Server, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb, "ANSWER_SECONDS", 0.4)
    server.replies = [says_nothing] * 6
    began = time.perf_counter()

    with pytest.raises(DynamoDBError) as refused:
        together(GET, GET)

    assert refused.value.code == NO_ANSWER
    assert time.perf_counter() - began < 0.4 * 5


def test_a_server_that_is_not_there_gives_no_answer(server: Server, pauses: list[float]) -> None:
    server.close()

    with pytest.raises(DynamoDBError) as refused:
        together(GET)

    assert refused.value.code == NO_ANSWER
    assert len(pauses) == 2


def test_a_permanent_error_is_not_retried(server: Server, pauses: list[float]) -> None:
    server.replies = [refuses("ValidationException")]

    with pytest.raises(DynamoDBError, match="ValidationException: stubbed") as refused:
        together(GET)

    assert not refused.value.passing
    assert (len(server.asked), pauses) == (1, [])


def test_only_the_calls_that_failed_are_retried(server: Server, pauses: list[float]) -> None:
    together(GET, GET)
    server.replies = [refuses("ThrottlingException")]

    found = together(("GetItem", {"n": 1}), ("Query", {"n": 2}))

    assert [answer["asked"]["n"] for answer in found] == [1, 2]
    assert len(server.asked) == 5


def test_a_refused_call_leaves_no_answer_for_the_next_one(
    server: Server, pauses: list[float]
) -> None:
    server.replies = [refuses("ValidationException"), refuses("ValidationException")]
    with pytest.raises(DynamoDBError):
        together(GET, GET)

    server.replies = [answers({"n": 1}), answers({"n": 1})]
    assert together(GET, GET) == [{"n": 1}, {"n": 1}]
    assert server.connections == 2


def test_a_transaction_is_retried_with_the_same_token(server: Server, pauses: list[float]) -> None:
    server.replies = [hangs_up]

    together(("TransactWriteItems", {"TransactItems": []}))
    together(("TransactWriteItems", {"TransactItems": []}))

    first, again, other = [body["ClientRequestToken"] for _, body in server.asked]
    assert first == again != other
    assert len(first) == 36


def test_an_error_has_the_whole_answer(server: Server) -> None:
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Item": {"n": {"N": "1"}}}]
    server.replies = [refuses("TransactionCanceledException", CancellationReasons=reasons)]

    with pytest.raises(DynamoDBError) as refused:
        together(GET)

    assert refused.value.code == "TransactionCanceledException"
    assert refused.value.answer["CancellationReasons"] == reasons


def test_all_tries_together_fit_into_the_timeout_of_a_function() -> None:
    # Two calls made at once may both wait for their connections, and they wait for answers
    # together.
    once = 2 * dynamodb.CONNECT_SECONDS + dynamodb.ANSWER_SECONDS
    pauses = sum(dynamodb.PAUSE_SECONDS * 2**n for n in range(1, dynamodb.TRIES))

    assert once * dynamodb.TRIES + pauses < template()["Globals"]["Function"]["Timeout"]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + 2
    while not holds():
        assert time.perf_counter() < deadline
