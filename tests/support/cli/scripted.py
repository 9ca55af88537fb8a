"""A platform on loopback that answers as a test tells it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

S = TypeVar("S", bound="Scripted")
CUT = "cut the connection"
BUSY = "503"
ENVIRONMENT = "env_1_1"
DEPLOYMENT = "dep_1_1_1"


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Scripted:
    """What the platform holds and how it answers.

    `story` has the states that the object goes through, the first when it is made; each GET of it
    goes one further. Of each request the first `faults` are answered so instead of properly.
    """

    story: list[str] = field(default_factory=lambda: ["pending", "running", "succeeded"])
    faults: list[str] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    made: set[str] = field(default_factory=set)
    place: int = 0
    url: str = ""

    @property
    def status(self) -> str:
        """The state that the record is in."""
        return self.story[min(self.place, len(self.story) - 1)]

    def record(self) -> dict[str, Any]:
        return {
            "id": DEPLOYMENT if self.is_of_deployment else ENVIRONMENT,
            "name": "staging",
            "version": "v1",
            "type": "ephemeral",
            "deployment_id": DEPLOYMENT,
            "status": self.status,
        }

    @property
    def is_of_deployment(self) -> bool:
        return self.story[0] in ("pending", "running", "succeeded")

    def answer(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        """The status, the body and the headers."""
        path = request.path.partition("?")[0]
        if given := self.answers.get((request.method, path)):
            return (*given, {})
        if path.endswith("/logs"):
            return 200, self.log, {}
        if request.method == "GET":
            self.place += 1
            etag = f'"{self.status}"'
            if request.headers.get("if-none-match") == etag:
                return 304, None, {"ETag": etag}
            return 200, self.record(), {"ETag": etag}
        self.made.add(request.headers.get("idempotency-key", ""))
        return 201, self.record(), {}


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def handle_one(self) -> None:
        script = self.server.script
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = (
            json.loads(raw) if raw and "json" in headers.get("content-type", "") else raw.decode()
        )
        request = Request(self.command, self.path, headers, body)
        key = (request.method, request.path, headers.get("if-none-match"))
        script.requests.append(request)
        seen = self.server.seen[key] = self.server.seen.get(key, 0) + 1
        fault = script.faults[seen - 1] if seen <= len(script.faults) else None
        # A request can be carried out although its answer is lost.
        status, answer, more = script.answer(request)
        if fault == CUT:
            self.close_connection = True
            return
        if fault == BUSY:
            status, answer, more = 503, {"detail": "Try again."}, {"Retry-After": "0"}
        sent = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**more, "Content-Length": str(len(sent))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = handle_one

    def log_message(self, format: str, *args: Any) -> None:
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: Scripted) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.seen: dict[tuple[str, str, str | None], int] = {}


@contextmanager
def serving(script: S) -> Iterator[S]:
    """The scripted platform at `script.url`."""
    with _Server(script) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
