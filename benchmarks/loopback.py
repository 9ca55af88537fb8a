"""A DynamoDB on 127.0.0.1, for handlers that know only its address.

    with Watched() as dynamodb:                      the emulator's, in this process; it keeps calls
    with canned(answers) as endpoint:                fixed answers, from another process

Handlers use it over HTTP, like AWS, so any client works.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
import sys
import threading
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TABLE = "slipway"
REGION = "eu-central-1"
ACCOUNT = "123456789012"

Item = dict[str, Any]


def environ(endpoint: str) -> dict[str, str]:
    """The environment that template.yaml gives a function, with AWS at `endpoint`.

    A resource other than the table is referred to by its name in the template.
    """
    from tests.support.repository import template

    known: dict[str, Any] = {name: name for name in template()["Resources"]}
    known |= {name: each.get("Default") for name, each in template()["Parameters"].items()}
    known |= {"Table": TABLE, "AWS::StackName": "slipway"}
    variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    given = {
        name: str(known[value["Ref"]] if isinstance(value, dict) else value)
        for name, value in variables.items()
        if not isinstance(value, dict) or "Ref" in value
    }
    # A lease is taken along with the first call of one in so many requests, and never of all.
    known["RequestsPerMinute"] = 0
    limits = variables["LIMITS"]["Fn::Sub"]
    return {
        **given,
        "LIMITS": re.sub(r"\$\{(\w+)\}", lambda name: str(known[name[1]]), limits),
        "MACHINES": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:slipway-",
        "SIGNING_SECRET": "signing",
        "CONSOLE_SECRET": "console",
        "COMPANY": "false",
        "REGISTRATION": "open",
        "MEMBERS_MAY_PUBLISH": "true",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


# The calls of handlers to other services.
OTHERS = {
    "secretsmanager.GetSecretValue": json.dumps({"Name": "signing", "SecretString": "s" * 64}),
    "AWSStepFunctions.StartExecution": json.dumps({"executionArn": "arn", "startDate": 1.0}),
}


# ── The emulator's table, watched ───────────────────────────────────────────────────────────


@dataclass
class Call:
    """One request to DynamoDB. `images` are the items that it changed, before and after."""

    operation: str
    request: dict[str, Any]
    sent: int
    began: float
    answer: dict[str, Any] = field(default_factory=dict)
    answered: int = 0
    ended: float = 0.0
    raw: bytes = b""
    images: list[tuple[Item, Item]] = field(default_factory=list)


class Watched:
    """The pinned emulator's DynamoDB.

    `hold` delays each answer, in seconds, so that concurrent calls can be told from sequential
    ones.
    """

    def __init__(self) -> None:
        # Only the measuring environment has the emulator.
        from ministack.core import responses

        from tests.support.workflows.emulator import dynamodb

        self.calls: list[Call] = []
        self.hold = 0.0
        self._dynamodb = dynamodb
        self._scope = partial(responses.request_scope, ACCOUNT, REGION)
        self._lock = threading.Lock()

    def __enter__(self) -> Watched:
        watched = self

        class Handler(_Handler):
            def answer(self, target: str, body: bytes) -> tuple[int, bytes]:
                return watched.answer(target, body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def create_table(self) -> None:
        """Create the table of template.yaml, replacing an existing one."""
        from tests.support.repository import template

        properties = template()["Resources"]["Table"]["Properties"]
        names = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
        wanted = {"TableName": TABLE, **{name: properties[name] for name in names}}
        with self._lock, self._scope():
            self._dynamodb.reset()
        self.ask("CreateTable", wanted)

    def ask(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """A call that is not counted."""
        with self._lock, self._scope():
            return self._perform(operation, json.dumps(request).encode())[1]

    def put(self, items: Iterable[Item]) -> None:
        """Put many items directly into the emulator's data, because its API would take a minute."""
        with self._lock, self._scope():
            held = self._dynamodb._tables[TABLE]["items"]
            for item in items:
                held[item["pk"]["S"]][item["sk"]["S"]] = item
            assert self._item({name: item[name] for name in ("pk", "sk")}) == item

    @contextmanager
    def watching(self, hold: float = 0.0) -> Iterator[list[Call]]:
        """Collects the calls that are made meanwhile."""
        found: list[Call] = []
        self.calls, self.hold = found, hold
        try:
            yield found
        finally:
            self.calls, self.hold = [], 0.0

    def answer(self, target: str, body: bytes) -> tuple[int, bytes]:
        if target in OTHERS:
            return 200, OTHERS[target].encode()
        began, hold = time.perf_counter(), self.hold
        call = Call(target.rpartition(".")[2], json.loads(body), len(body), began)
        with self._lock, self._scope():
            self.calls.append(call)
            keys = _changed(call)
            before = [self._item(key) for key in keys]
            status, call.answer, call.raw = self._perform(call.operation, body)
            call.images = list(zip(before, map(self._item, keys), strict=True))
        time.sleep(hold)
        call.answered, call.ended = len(call.raw), time.perf_counter()
        return status, call.raw

    def _item(self, key: Item) -> Item:
        found = self._perform("GetItem", json.dumps({"TableName": TABLE, "Key": key}).encode())
        item: Item = found[1].get("Item", {})
        return item

    def _perform(self, operation: str, body: bytes) -> tuple[int, dict[str, Any], bytes]:
        headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
        waiting = self._dynamodb.handle_request("POST", "/", headers, body, {})
        try:
            waiting.send(None)
        except StopIteration as done:
            status, _, answer = done.value
        else:
            raise AssertionError("the emulator waits for something")
        raw = answer.encode() if isinstance(answer, str) else answer
        return status, json.loads(raw), raw


def _changed(call: Call) -> list[Item]:
    """The keys of the items that a write changes, in its order."""
    if call.operation == "TransactWriteItems":
        actions = [
            dict(action) for each in call.request["TransactItems"] for action in each.values()
        ]
    elif call.operation in ("PutItem", "UpdateItem", "DeleteItem"):
        actions = [call.request]
    else:
        actions = []
    return [
        action["Key"] if "Key" in action else {name: action["Item"][name] for name in ("pk", "sk")}
        for action in actions
    ]


class _Handler(BaseHTTPRequestHandler, ABC):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @abstractmethod
    def answer(self, target: str, body: bytes) -> tuple[int, bytes]:
        """The response's status and body."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status, raw = self.answer(self.headers["x-amz-target"], body)
        self.wfile.write(_http(raw, status))

    def log_message(self, *_: object) -> None:
        """Log nothing, because a line for each request would distort the measurement."""


def _http(body: bytes, status: int = 200) -> bytes:
    """A response of DynamoDB, with the checksum that clients verify."""
    head = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Bad Request'}\r\n"
        "Server: Server\r\nDate: Mon, 23 Nov 2026 01:02:03 GMT\r\n"
        "Content-Type: application/x-amz-json-1.0\r\nConnection: keep-alive\r\n"
        f"Content-Length: {len(body)}\r\n"
        "x-amzn-RequestId: 8S2K4QJ0V6E9L3M1N5P7R8T2U4VV4KQNSO5AEMVJF66Q9ASUAAJG\r\n"
        f"x-amz-crc32: {zlib.crc32(body)}\r\n\r\n"
    )
    return head.encode() + body


# ── Canned answers, from a process of their own ─────────────────────────────────────────────


def label(target: str, body: bytes) -> str:
    """Distinguishes the calls of a request, whose queries can run side by side.

    Every request reads the public keys.
    """
    if b'"KEYS"' in body:
        return "keys"
    prefix = re.search(rb'":prefix": ?{"S": ?"([^"]*)"', body)
    return target.rpartition(".")[2] + (f" {prefix[1].decode()}" if prefix else "")


def can(calls: list[Call]) -> dict[str, str]:
    """The answers to these calls, for replay.

    Every page of a list is the last one, because a client would get the same page for ever.
    """
    found = {}
    for call in calls:
        answer = json.loads(call.raw)
        answer.pop("LastEvaluatedKey", None)
        found[label(call.operation, json.dumps(call.request).encode())] = json.dumps(answer)
    return found | {label(target, b""): answer for target, answer in OTHERS.items()}


@contextmanager
def canned(answers: Mapping[str, str], identity: Path | None = None) -> Iterator[str]:
    """The address of a server that replays these answers; over TLS with an identity.

    An identity is a key with its certificate.
    """
    scheme, words = ("https", [identity]) if identity else ("http", [])
    command = [sys.executable, __file__, *map(str, words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin and server.stdout
        server.stdin.write(json.dumps(answers).encode() + b"\n")
        server.stdin.flush()
        try:
            yield f"{scheme}://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def issue(identity: Path, bundle: Path) -> None:
    """Write a server certificate for 127.0.0.1, and a bundle of trusted certificates with it.

    The bundle has the usual certificates as well, because clients read all of it.
    """
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    import certifi
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    subject = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(subject, False)
        .add_extension(authority, False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    identity.write_bytes(private + certificate)
    bundle.write_bytes(Path(certifi.where()).read_bytes() + certificate)


class _Canned(asyncio.Protocol):
    def __init__(self, answers: Mapping[str, bytes]) -> None:
        self._answers = answers
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, blank, body = self._got.partition(b"\r\n\r\n")
        if not blank:
            return
        headers = dict(
            (name.strip().lower(), value.strip())
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        )
        if len(body) < int(headers[b"content-length"]):
            return
        self._got = b""
        self._transport.write(self._answers[label(headers[b"x-amz-target"].decode(), body)])


async def _serve() -> None:
    answers = {name: _http(text.encode()) for name, text in json.loads(input()).items()}
    loop = asyncio.get_running_loop()
    context = None
    if sys.argv[1:]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[1])
    server = await loop.create_server(lambda: _Canned(answers), "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    # Run as a file, not as a module: it needs only the standard library.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    asyncio.run(_serve())
