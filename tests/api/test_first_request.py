"""The first request to a fresh function, in a process of its own as on Lambda: that it is answered
over HTTP as in these tests' process, and what is imported for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from slipway.aws import dynamodb
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.settings import settings
from tests.support.api.client import Client, event
from tests.support.heavy_imports import AWS_SDK, NEVER, SIGNING_IN, TOKENS
from tests.support.repository import ROOT

ONCE = """
import app, json, sys
from types import SimpleNamespace
answer = app.handler(json.load(sys.stdin), SimpleNamespace(aws_request_id="1"))
print(json.dumps({"answer": answer, "modules": list(sys.modules)}), file=sys.stderr)
"""


class Bridge(BaseHTTPRequestHandler):
    """The tests' DynamoDB, for another process."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        wire = dynamodb.wire()
        operation = self.headers["x-amz-target"].rpartition(".")[2]
        status, raw = wire.receive(wire.send(operation, body), 0)
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        """Nothing is to be said."""


@pytest.fixture
def endpoint(aws: None) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Bridge) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def first(function: str, path: str, endpoint: str, token: str | None) -> tuple[Any, set[str]]:
    folder = ROOT / "functions/api" / function
    done = subprocess.run(
        [sys.executable, "-c", ONCE],
        input=json.dumps(event("GET", path, headers={"authorization": f"Bearer {token}"})),
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'layers/core'}{os.pathsep}{folder}",
            "AWS_ENDPOINT_URL": endpoint,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stderr)
    return told["answer"], set(told["modules"])


@pytest.mark.parametrize(
    "name",
    ["auth", "people", "projects", "environments", "inspection", "runtime", "deployments", "docs"],
)
def test_the_first_request_is_answered_and_imports_only_what_it_needs(
    name: str,
    ann: Client,
    project: ProjectId,
    environment: EnvironmentId,
    deployment: DeploymentId,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    settings.cache_clear()
    path = {
        "auth": "/api/v1/auth/me",
        "people": f"/api/v1/projects/{project}/members",
        "projects": f"/api/v1/projects/{project}",
        "environments": f"/api/v1/environments/{environment}",
        "inspection": f"/api/v1/environments/{environment}/resources",
        "runtime": f"/api/v1/environments/{environment}/runtime-logs",
        "deployments": f"/api/v1/deployments/environments/{environment}",
        "docs": "/health",
    }[name]

    answer, modules = first(name, path, endpoint, ann.token)

    assert (answer["statusCode"], answer["body"]) == (200, ann.get(path).text)
    assert modules & {*AWS_SDK, *SIGNING_IN, *NEVER} == set()
    assert modules >= TOKENS or name == "docs"
