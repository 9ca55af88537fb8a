"""End to end: the embedded platform over HTTP, beside the peer on the same machine in the same run.

The platform is complete (gateway, functions in processes of their own, table, stream, state
machines) and emulated in Python on the same two cores: its figures show what a laptop sees and
where Slipway's own time goes, not the time on AWS. The peer is uvicorn with one worker on SQLite.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlencode

from benchmarks.support import PYTHON, ROOT, bars, in_turn, ratio, save, show

ROUNDS = 6
REQUESTS = 60
AT_ONCE = 4
SIMULATED_SECONDS = 1.0
# Each thread's connections, by port.
KEPT = threading.local()


@dataclass
class Person:
    """A user who is signed in to the service at this port, with a running environment."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)
    project: str = ""
    environment: str = ""
    _count: int = 0

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request over the thread's connection, which is reused."""
        data = body if isinstance(body, str) or body is None else json.dumps(body)
        form = {"Content-Type": "application/x-www-form-urlencoded"} if data is body else {}
        headers = {"Content-Type": "application/json", **form, **self.headers}
        kept: dict[str, http.client.HTTPConnection] = KEPT.__dict__
        known = kept.pop(f"{self.port}", None)
        connection = known or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, f"/api/v1{path}", data, headers if data else self.headers)
        answer = connection.getresponse()
        raw = answer.read()
        assert answer.status < 300, (path, answer.status, raw)
        kept[f"{self.port}"] = connection
        return json.loads(raw)

    def sign_in(self) -> Person:
        email = f"{os.urandom(6).hex()}@example.com"
        self.ask("POST", "/auth/register", {"email": email, "password": "secret123"})
        form = urlencode({"username": email, "password": "secret123"})
        token = self.ask("POST", "/auth/login", form)["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}
        self.project = self.ask("POST", "/projects/", {"name": "payments"})["id"]
        self.environment = self.create()
        return self

    def create(self) -> str:
        """Create an environment and wait until it runs."""
        self._count += 1
        wanted = {"name": f"preview-{self._count}", "type": "ephemeral", "ttl_hours": 24}
        made = self.ask("POST", f"/environments/projects/{self.project}", wanted)
        return self._until("environments", made["id"], "running")

    def ship(self) -> str:
        """Create a deployment and wait until it has succeeded."""
        path = f"/deployments/environments/{self.environment}"
        made = self.ask("POST", path, {"version": "sha-1234567"})
        return self._until("deployments", made["id"], "succeeded")

    def _until(self, noun: str, identity: str, status: str) -> str:
        end = time.monotonic() + 60
        while self.ask("GET", f"/{noun}/{identity}")["status"] != status:
            assert time.monotonic() < end, f"{identity} is not {status}"
            time.sleep(0.02)
        return identity

    def look(self) -> None:
        self.ask("GET", f"/environments/{self.environment}")


@contextmanager
def platform() -> Iterator[int]:
    from local.platform import Platform

    with Platform(ROOT, parameters={"SimulatedSeconds": f"{SIMULATED_SECONDS:g}"}) as running:
        yield running.port


@contextmanager
def peer() -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "benchmarks/peer"),
            "DATABASE_URL": f"sqlite:///{folder}/peer.db",
            "SIMULATED_SECONDS": f"{SIMULATED_SECONDS:g}",
        }
        command = [str(PYTHON), "-m", "uvicorn", "app.main:app", "--port", str(port)]
        with subprocess.Popen([*command, "--log-level", "warning"], env=environ) as server:
            try:
                _wait_for(port)
                yield port
            finally:
                server.terminate()


def _wait_for(port: int) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(100):
        try:
            direct.open(f"http://127.0.0.1:{port}/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the peer does not come up")


# ── The measurements, in milliseconds or requests a second ──────────────────────────────────


def latencies(person: Person) -> list[float]:
    return [_timed(person.look) for _ in range(REQUESTS)]


def throughput(person: Person) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: person.look(), range(REQUESTS)))
    return REQUESTS / (time.perf_counter() - began)


def own_share(act: Callable[[], object]) -> float:
    """The time beyond the seconds that the work itself is simulated to take."""
    return _timed(act) - SIMULATED_SECONDS * 1000


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def main(rounds: int = ROUNDS) -> None:
    with platform() as ours, peer() as theirs:
        people = {"slipway": Person(ours).sign_in(), "peer": Person(theirs).sign_in()}
        # Functions and connections are warm.
        in_turn({name: partial(throughput, person) for name, person in people.items()}, 1)
        one = in_turn({name: partial(latencies, person) for name, person in people.items()}, rounds)
        many = in_turn(
            {name: partial(throughput, person) for name, person in people.items()}, rounds
        )
        created = in_turn(
            {name: partial(own_share, person.create) for name, person in people.items()}, rounds
        )
        shipped = in_turn(
            {name: partial(own_share, person.ship) for name, person in people.items()}, rounds
        )
    found = {
        "GET environment, p50 ms": {n: [median(turn) for turn in one[n]] for n in people},
        "GET environment, p99 ms": {
            n: [quantiles(turn, n=100)[98] for turn in one[n]] for n in people
        },
        f"requests a second, {AT_ONCE} at once": many,
        "create → running, own share ms": created,
        "submit → succeeded, own share ms": shipped,
    }
    show(
        f"End to end, medians of {rounds} turns",
        ("", "slipway", "peer", "×"),
        [
            (
                name,
                median(turns["slipway"]),
                median(turns["peer"]),
                ratio(turns["slipway"], turns["peer"]),
            )
            for name, turns in found.items()
        ],
    )
    bars(
        "end-to-end",
        "Create → running and submit → succeeded, less the simulated second",
        {
            f"{name.partition(',')[0]}, {who}": {"": median(turns[who])}
            for name, turns in found.items()
            if "→" in name
            for who in people
        },
        "ms",
    )
    save("end_to_end", found)


if __name__ == "__main__":
    main()
