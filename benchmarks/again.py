"""Repeats one request in one process, in batches. Each line on stdin is a batch's size; each answer
is a line of JSON with the microseconds of processor time of one request, and of its parts.

    lambda FOLDER EVENT    FOLDER/app.py's handler, as Lambda calls it: JSON in, JSON out
    asgi WHAT              the peer's app, as uvicorn calls it

It runs in the environment that is measured, so it needs only the standard library and that.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from benchmarks.invoke import Context

# ── The parts of a request ───────────────────────────────────────────────────────────

# A part is the time in its functions without the time in other parts'.
PARTS = {
    "validation": ["slipway.http.binding:_body", "slipway.http.binding:_query"],
    "token": ["slipway.access.tokens:authenticate", "slipway.access.signing:mint"],
    "password": ["slipway.access.sign_in:sign_in"],
    "DynamoDB": ["slipway.aws.dynamodb:together"],
    "serialisation": ["slipway.http.responses:render"],
    "log": ["slipway.observe:event"],
}
# Their functions, as `authorisation and items`.
STORES = [
    "access.authorization",
    "services.deployments",
    "services.environments",
    "services.rollout_queue",
    "store.deployment_records",
    "store.environment_records",
    "store.project_records",
    "store.queue_records",
    "store.user_records",
]


class Parts:
    """Measures the functions of PARTS and STORES."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._within = threading.local()
        self._replaced: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> Parts:
        for part, places in PARTS.items():
            for place in places:
                home, _, path = place.partition(":")
                *owners, name = path.split(".")
                holder: Any = importlib.import_module(home)
                self._watch(functools.reduce(getattr, owners, holder), name, part)
        for store in STORES:
            module = importlib.import_module(f"slipway.{store}")
            for name, value in list(vars(module).items()):
                if callable(value) and value.__module__ == module.__name__:
                    self._watch(module, name, "authorisation and items")
        return self

    def __exit__(self, *_: object) -> None:
        for holder, name, function in self._replaced:
            setattr(holder, name, function)

    def _watch(self, holder: Any, name: str, part: str) -> None:
        function = getattr(holder, name)
        within = self._within

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            outer = getattr(within, "inner", 0.0)
            within.inner = 0.0
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                whole = time.thread_time() - began
                self.spent[part] += whole - within.inner
                within.inner = outer + whole

        self._replaced.append((holder, name, function))
        setattr(holder, name, watched)


# ── The requests ───────────────────────────────────────────────────────────────────────────


def of_lambda(folder: str, event: str) -> Callable[[], None]:
    sys.path.insert(0, folder)
    app = importlib.import_module("app")
    with open(event) as file:
        text = file.read()

    def ask() -> None:
        answer = json.loads(json.dumps(app.handler(json.loads(text), Context)))
        assert answer["statusCode"] < 300, answer

    return ask


def of_asgi(what: str) -> Callable[[], None]:
    app = importlib.import_module("app.main").app
    # Work after the answer is not part of the request.
    for module in ("app.environments", "app.deployments"):
        for name in ("provision", "roll_out"):
            if hasattr(importlib.import_module(module), name):
                setattr(importlib.import_module(module), name, lambda _: None)
    loop = asyncio.new_event_loop()

    def send(
        method: str,
        path: str,
        body: bytes = b"",
        media: str = "application/json",
        token: str | None = None,
    ) -> Any:
        headers = [(b"host", b"127.0.0.1:8000"), (b"content-type", media.encode())]
        headers += [(b"content-length", str(len(body)).encode()), (b"accept", b"*/*")]
        if token:
            headers.append((b"authorization", f"Bearer {token}".encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
        }
        sent = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def collect(message: dict[str, Any]) -> None:
            sent.append(message)

        loop.run_until_complete(app(scope, receive, collect))
        raw = b"".join(message.get("body", b"") for message in sent)
        assert sent[0]["status"] < 300, (path, sent[0]["status"], raw)
        return json.loads(raw)

    def create(path: str, body: dict[str, Any], token: str | None = None) -> str:
        made = send("POST", f"/api/v1{path}", json.dumps(body).encode(), token=token)
        return str(made["id"])

    email = f"{os.urandom(6).hex()}@example.com"
    create("/auth/register", {"email": email, "password": "secret123"})
    form = f"username={email.replace('@', '%40')}&password=secret123".encode()
    login = ("POST", "/api/v1/auth/login", form, "application/x-www-form-urlencoded")
    token = send(*login)["access_token"]
    signed_in: dict[str, Any] = {"token": token}
    project = create("/projects/", {"name": "payments"}, token)
    preview = {"name": "preview", "type": "ephemeral", "ttl_hours": 24}
    environment = create(f"/environments/projects/{project}", preview, token)
    ship = json.dumps({"version": "sha-1234567"}).encode()
    asked: dict[str, tuple[Any, ...]] = {
        "get environment": ("GET", f"/api/v1/environments/{environment}"),
        "list environments": ("GET", f"/api/v1/environments/projects/{project}"),
        "create deployment": ("POST", f"/api/v1/deployments/environments/{environment}", ship),
        "sign in": login,
    }
    return lambda: send(*asked[what], **signed_in)


def main() -> None:
    kind, *words = sys.argv[1:]
    ask = of_lambda(*words) if kind == "lambda" else of_asgi(*words)
    # Log lines go to stdout, the results to the pipe that was stdout.
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for _ in range(3):
        ask()
    print("ready", file=pipe, flush=True)
    for line in sys.stdin:
        times = int(line)
        gc.collect()
        began = time.process_time()
        for _ in range(times):
            ask()
        took = (time.process_time() - began) / times * 1e6
        found: dict[str, Any] = {"cpu": took, "parts": {}}
        if kind == "lambda":
            with Parts() as parts:
                began = time.process_time()
                for _ in range(times):
                    ask()
                watched = (time.process_time() - began) / times * 1e6
            found["parts"] = {name: us / times * 1e6 for name, us in parts.spent.items()}
            found["parts"]["routing"] = watched - sum(found["parts"].values())
        print(json.dumps(found), file=pipe, flush=True)


if __name__ == "__main__":
    main()
