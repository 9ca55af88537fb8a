"""`make soak`: create and expire hundreds of environments on the embedded platform, and lose none.

Each gets a random time to live and several deployments at once. At the end the environment's events
must account for every accepted deployment: it succeeded, or the environment's end canceled it; one
at a time, in the order of acceptance. Lost and stuck ones are printed, and the exit status is 1.

    make soak ARGS="--environments 50 --seed 7"
"""

from __future__ import annotations

import argparse
import collections
import http.client
import itertools
import json
import os
import random
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.platform import Platform

CLIENTS = 8
SHORTEST, LONGEST = 10.0, 119.0  # seconds to live
PATIENCE = 120.0  # seconds after the last lease's end
GONE = {"expiring", "tearing_down", "destroyed"}
FUNCTION = re.compile(r"AWS_LAMBDA_FUNCTION_NAME=[^\0]*?(\w+)Function\b")

Json = dict[str, Any]


class Client:
    """A signed-in user, with one connection for each thread."""

    def __init__(self, platform: Platform) -> None:
        self.port = platform.port
        self.headers = {"Content-Type": "application/json"}
        self.seconds: dict[str, list[float]] = collections.defaultdict(list)
        self.trouble: collections.Counter[str] = collections.Counter()
        self._here = threading.local()

    def sign_in(self) -> None:
        person = {"email": "soak@example.com", "password": "correct horse battery"}
        self.ask("POST", "/api/v1/auth/register", person)
        login = {"username": person["email"], "password": person["password"]}
        _, answer = self.ask("POST", "/api/v1/auth/login", login)
        self.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(status, JSON). Retries while the status is 429 or 5xx."""
        data = None if body is None else json.dumps(body)
        while True:
            began = time.perf_counter()
            connection = self._connection()
            connection.request(method, path, data, self.headers)
            answer = connection.getresponse()
            raw = answer.read()
            self.seconds[method].append(time.perf_counter() - began)
            if answer.status < 500 and answer.status != 429:
                return answer.status, json.loads(raw)
            self.trouble[f"{method} answered {answer.status}"] += 1
            time.sleep(1)

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._here, "connection"):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            self._here.connection = connection
        found: http.client.HTTPConnection = self._here.connection
        return found


class Watch:
    """Samples memory and processor time of the platform's processes every second."""

    def __init__(self, emulator: int) -> None:
        self.emulator = emulator
        self.peak_bytes = self.most_processes = 0
        self.ticks: dict[Path, int] = {}
        self.names: dict[Path, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def seconds(self) -> dict[str, float]:
        """Processor time of the emulator and of each function, the most first."""
        found: collections.Counter[str] = collections.Counter()
        for process, ticks in self.ticks.items():
            found[self.names[process]] += ticks
        return {name: ticks / os.sysconf("SC_CLK_TCK") for name, ticks in found.most_common()}

    def _run(self) -> None:
        while not self._stop.wait(1):
            there = [process for process in Path("/proc").glob("[0-9]*") if self._is_ours(process)]
            self.peak_bytes = max(self.peak_bytes, sum(map(_pss, there)))
            self.most_processes = max(self.most_processes, len(there))

    def _is_ours(self, process: Path) -> bool:
        """Whether the process is in the emulator's group, like its workers."""
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) != self.emulator:
                return False
            self.ticks[process] = int(fields[11]) + int(fields[12])
            if process not in self.names:
                called = FUNCTION.search((process / "environ").read_text())
                self.names[process] = called[1] if called else "emulator"
        except OSError:  # it has ended
            return False
        return True


def _pss(process: Path) -> int:
    """Memory in bytes, shared memory divided among its users. 0 if the process has ended."""
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


@dataclass
class Life:
    """One environment, its accepted deployments, and the outcome of both."""

    environment: Json
    accepted: list[str] = field(default_factory=list)
    refused: int = 0
    seen: Json = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    deployments: list[Json] = field(default_factory=list)

    @property
    def id(self) -> str:
        return str(self.environment["id"])

    @property
    def expires_at(self) -> datetime:
        return datetime.fromisoformat(self.environment["expires_at"])


def begin(client: Client, project: str, number: int, seconds: float, deployments: int) -> Life:
    wanted = {"name": f"pr-{number}", "type": "ephemeral", "ttl_hours": seconds / 3600}
    status, made = client.ask("POST", f"/api/v1/environments/projects/{project}", wanted)
    assert status == 201, made
    life = Life(made)
    for n in range(deployments):
        path = f"/api/v1/deployments/environments/{life.id}"
        status, answer = client.ask("POST", path, {"version": f"v{n}"})
        if status == 201:
            life.accepted.append(answer["id"])
        else:
            assert answer["code"] == "environment_not_ready", answer
            life.refused += 1
    return life


def look_when_due(client: Client, life: Life) -> str | None:
    """The state that is shown when the lease has ended, unless it is an end state."""
    time.sleep(max(0.0, (life.expires_at - datetime.now(UTC)).total_seconds()))
    _, seen = client.ask("GET", f"/api/v1/environments/{life.id}")
    return None if seen["status"] in GONE else f"{life.id} is shown as {seen['status']}"


def follow(client: Client, life: Life, until: float) -> None:
    """Wait for the environment's end and for its history."""
    while True:
        _, life.seen = client.ask("GET", f"/api/v1/environments/{life.id}")
        if life.seen["status"] == "destroyed":
            break
        if time.time() > until:
            return
        time.sleep(1)
    path = f"/api/v1/deployments/environments/{life.id}?limit=100"
    _, newest_first = client.ask("GET", path)
    life.deployments = newest_first[::-1]
    while True:
        _, newest_first = client.ask("GET", f"/api/v1/environments/{life.id}/events?limit=100")
        life.events = newest_first[::-1]
        if not gaps(life) or time.time() > until:
            return
        time.sleep(0.5)


def of(life: Life, subject: str) -> list[Json]:
    return [event for event in life.events if event["subject"] == subject]


def gaps(life: Life) -> list[str]:
    """The changes that the environment's events lack."""
    found = []
    numbers = sorted(int(event["id"].rpartition("_")[2]) for event in of(life, life.id))
    if numbers != list(range(1, life.seen["version"] + 1)):
        found.append(f"{life.id}: events {numbers} of {life.seen['version']}")
    for deployment in life.deployments:
        told = [event["to"] for event in of(life, deployment["id"])]
        wanted = ["pending", *(["running"] if deployment["started_at"] else [])]
        if told != [*wanted, deployment["status"]]:
            found.append(f"{deployment['id']}: events {told}, {deployment['status']}")
    return found


def lost(life: Life) -> list[str]:
    there = {deployment["id"] for deployment in life.deployments}
    return [each for each in life.accepted if each not in there]


def stuck(life: Life) -> list[str]:
    found = [each["id"] for each in life.deployments if not each["finished_at"]]
    return found + ([] if life.seen["status"] == "destroyed" else [life.id])


def unexplained(life: Life) -> list[str]:
    """Deployments with an outcome that is not allowed."""
    return [
        f"{each['id']}: {each['status']}, {each['failure']}"
        for each in life.deployments
        if each["finished_at"]
        and each["status"] != "succeeded"
        and not (each["status"] == "canceled" and each["failure"]["error"] == "EnvironmentGone")
    ]


def out_of_order(life: Life) -> list[str]:
    """Deployments that started before an earlier one had ended."""
    ran = [each for each in life.deployments if each["started_at"]]
    return [
        f"{later['id']} began at {later['started_at']}, the one before ended at "
        f"{earlier['finished_at']}"
        for earlier, later in itertools.pairwise(ran)
        if not earlier["finished_at"] or later["started_at"] < earlier["finished_at"]
    ]


def late(life: Life, state: str) -> float:
    """Seconds from the lease's end until the state was recorded."""
    [at] = [event["at"] for event in of(life, life.id) if event["action"] == state]
    return (datetime.fromisoformat(at) - life.expires_at).total_seconds()


def left_behind(platform: Platform) -> list[str]:
    """The differences of the platform's own resources before and after."""
    found = []
    pages = platform.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(TableName=platform.outputs["TableName"]):
        for item in page["Items"]:
            sk = item["sk"]["S"]
            if sk.startswith("QUEUE#") or (sk == "LOCK" and "holder" in item) or "due" in item:
                found.append(f"{item['pk']['S']} {sk}")
    machines = platform.client("stepfunctions")
    for machine in machines.list_state_machines()["stateMachines"]:
        running = machines.list_executions(
            stateMachineArn=machine["stateMachineArn"], statusFilter="RUNNING"
        )
        found += [each["executionArn"] for each in running["executions"]]
    letters = platform.client("sqs").get_queue_attributes(
        QueueUrl=platform.outputs["DeadLettersUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]["ApproximateNumberOfMessages"]
    return found + ([] if letters == "0" else [f"{letters} dead letters"])


def quantiles(values: list[float], unit: str = "s", scale: float = 1.0) -> str:
    ordered = sorted(value * scale for value in values)
    p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
    return f"p50 {p50:.2f}  p99 {p99:.2f}  max {ordered[-1]:.2f} {unit}"


def show(rows: list[tuple[str, Any]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}", flush=True)


def soak(platform: Platform, environments: int, deployments: int, seed: int) -> int:
    chance = random.Random(seed)
    lives_for = [chance.uniform(SHORTEST, LONGEST) for _ in range(environments)]
    assert platform.emulator
    client = Client(platform)
    client.sign_in()
    _, project = client.ask("POST", "/api/v1/projects", {"name": "soak"})
    began = time.time()

    def start(number: int) -> Life:
        return begin(client, project["id"], number, lives_for[number], deployments)

    with Watch(platform.emulator.pid) as watch, ThreadPoolExecutor(CLIENTS) as pool:
        lives = list(pool.map(start, range(environments)))
        asked = time.time()
        lives.sort(key=lambda life: life.expires_at)
        overdue = list(filter(None, pool.map(lambda life: look_when_due(client, life), lives)))
        until = lives[-1].expires_at.timestamp() + PATIENCE
        list(pool.map(lambda life: follow(client, life, until), lives))
    ended = time.time()

    every = [each for life in lives for each in life.deployments]
    statuses = collections.Counter(each["status"] for each in every)
    wrong = {
        "lost": [each for life in lives for each in lost(life)],
        "stuck": [each for life in lives for each in stuck(life)],
        "ended otherwise": [each for life in lives for each in unexplained(life)],
        "out of order or two at once": [each for life in lives for each in out_of_order(life)],
        "gaps in the history": [each for life in lives for each in gaps(life)],
        "shown as alive when overdue": overdue,
        "left behind": left_behind(platform),
    }
    told = [life for life in lives if life.seen["status"] == "destroyed" and not gaps(life)]
    rows: list[tuple[str, Any]] = [
        ("environments", f"{len(lives)}, living {SHORTEST:g} to {LONGEST:g} s, seed {seed}"),
        ("deployments accepted", sum(len(life.accepted) for life in lives)),
        ("deployments refused after the lease ended", sum(life.refused for life in lives)),
        ("deployments ended", ", ".join(f"{n} {status}" for status, n in statuses.items())),
        *((name, len(found)) for name, found in wrong.items()),
        ("late: expiring", quantiles([late(life, "expiring") for life in told])),
        ("late: tearing down", quantiles([late(life, "tearing_down") for life in told])),
        ("late: destroyed", quantiles([late(life, "destroyed") for life in told])),
        *(
            (f"{method}, {len(taken)} requests", quantiles(taken, "ms", 1000))
            for method, taken in client.seconds.items()
        ),
        ("answers of 429 and 5xx", dict(client.trouble) or 0),
        ("peak memory", f"{watch.peak_bytes / 2**20:.0f} MiB in {watch.most_processes} processes"),
        *((f"processor time: {name}", f"{s:.1f} s") for name, s in watch.seconds().items()),
        ("all requested after", f"{asked - began:.0f} s"),
        ("the last lease ended after", f"{until - PATIENCE - began:.0f} s"),
        ("all ended and reported after", f"{ended - began:.0f} s"),
        ("processor time: the clients", f"{time.process_time():.1f} s"),
    ]
    show(rows)
    for name, found in wrong.items():
        for each in found[:10]:
            print(f"{name}: {each}", file=sys.stderr)
    return 1 if any(wrong.values()) else 0


def main() -> int:
    words = argparse.ArgumentParser(prog="make soak", description=__doc__.splitlines()[0])
    words.add_argument("--environments", type=int, default=300)
    words.add_argument("--deployments", type=int, default=5)
    words.add_argument("--seed", type=int, default=1)
    given = words.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}", flush=True)
    with Platform(parameters={"SimulatedSeconds": "1"}) as platform:
        return soak(platform, given.environments, given.deployments, given.seed)


if __name__ == "__main__":
    sys.exit(main())
