"""The processes of the functions are killed one after another, and every operation still ends."""

from __future__ import annotations

import collections
import itertools
import os
import re
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.platform import Platform
from tests.support.http_user import Answer, Person, until

pytestmark = pytest.mark.xdist_group("e2e")


EVERY = 0.2  # seconds
REST = 1.0  # seconds in which a function loses no other process, so that it comes up again
TIMES = 4  # for each function: whatever the machine, the retries see the end of it
ENDED = {"succeeded", "canceled"}
FUNCTION = re.compile(r"AWS_LAMBDA_FUNCTION_NAME=\S*?(\w+)Function\b")


class Killer:
    """Kills one worker at a time, each function's in turn, whatever it does just then."""

    def __init__(self, platform: Platform) -> None:
        assert platform.emulator
        self.emulator = platform.emulator.pid
        self.killed: collections.Counter[str] = collections.Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        last: dict[str, float] = {}
        while not self._stop.wait(EVERY):
            now = time.monotonic()
            ready = [
                (last.get(function, 0.0), function, pid)
                for function, pid in self.workers()
                if now - last.get(function, 0.0) > REST and self.killed[function] < TIMES
            ]
            if ready:
                _, function, pid = min(ready)
                os.kill(pid, signal.SIGKILL)
                last[function] = now
                self.killed[function] += 1

    def workers(self) -> list[tuple[str, int]]:
        """The function and the process id of each worker that has not ended."""
        listed = subprocess.run(
            ["ps", "axeww", "-o", "ppid=,pid=,args="], capture_output=True, text=True
        )
        rows = (line.split(maxsplit=2) for line in listed.stdout.splitlines())
        return [
            (function[1], int(pid))
            for parent, pid, args in rows
            if int(parent) == self.emulator and (function := FUNCTION.search(args))
        ]


def insist(someone: Person, method: str, path: str, body: Any = None, key: str = "") -> Answer:
    """Ask again, as the same request, while its function's end is all that is answered."""

    def answered() -> Answer | None:
        answer = someone.ask(method, path, body, headers={"Idempotency-Key": key} if key else {})
        return None if answer.status >= 500 else answer

    found: Answer = until(answered)
    return found


def begin(someone: Person, project: str, n: int) -> tuple[str, list[str]]:
    """An environment, every second one with an end, and the versions that it accepted."""
    wanted: dict[str, Any] = {"name": f"e{n}", "type": "persistent"}
    if n % 2:
        wanted |= {"type": "ephemeral", "ttl_hours": 8 / 3600}
    path = f"/api/v1/environments/projects/{project}"
    environment = str(insist(someone, "POST", path, wanted, f"{project}-{n}").body["id"])
    path = f"/api/v1/deployments/environments/{environment}"
    accepted = []
    for version in ("v1", "v2", "v3"):
        answer = insist(someone, "POST", path, {"version": version}, f"{environment}-{version}")
        if answer.status == 201:
            accepted.append(version)
        else:
            assert n % 2 and answer.body["code"] == "environment_not_ready", answer.raw
    return environment, accepted


def deployments_of(someone: Person, environment: str) -> list[dict[str, Any]]:
    """In the order accepted."""
    path = f"/api/v1/deployments/environments/{environment}"
    newest_first: list[dict[str, Any]] = insist(someone, "GET", path).body
    return newest_first[::-1]


def finish(someone: Person, n: int, environment: str) -> None:
    """Every fourth is given back in the middle of its rollouts; wait for what is to happen."""
    path = f"/api/v1/environments/{environment}"
    if n % 4 == 0:
        until(lambda: deployments_of(someone, environment)[0]["started_at"])
        assert insist(someone, "DELETE", path).status == 202
    last = "destroyed" if n % 2 or n % 4 == 0 else "running"
    until(
        lambda: (
            insist(someone, "GET", path).body["status"] == last
            and all(each["finished_at"] for each in deployments_of(someone, environment))
        ),
        seconds=60,
    )


def test_killing_any_worker_loses_repeats_and_blocks_nothing(
    someone: Person, platform: Platform
) -> None:
    project = someone.project()
    with Killer(platform) as killer, ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda n: begin(someone, project, n), range(4)))
        list(pool.map(lambda n: finish(someone, n, made[n][0]), range(4)))

    listed = someone.ask("GET", f"/api/v1/environments/projects/{project}?include=ended").body
    assert {one["id"] for one in listed} == {one for one, _ in made}
    for environment, accepted in made:
        shown, deployments = someone.see(environment), deployments_of(someone, environment)
        assert [one["version"] for one in deployments] == accepted
        assert {one["status"] for one in deployments} <= ENDED
        if shown["status"] == "running":
            assert (shown["live_version"], deployments[-1]["status"]) == ("v3", "succeeded")
        ran = [one for one in deployments if one["started_at"]]
        for earlier, later in itertools.pairwise(ran):
            assert earlier["finished_at"] <= later["started_at"]
        assert someone.ask("GET", f"/api/v1/environments/{environment}/queue").body == []
        assert _holder(platform, environment) is None
        _assert_that_all_is_told_once(someone, shown, deployments)
    dispatch = {"DispatchEnvironments", "DispatchDeployments"}
    assert {*dispatch, "Provision", "Ship", "Retire", "Deployments"} <= set(killer.killed)


def _holder(platform: Platform, environment: str) -> Any:
    lock = {"pk": {"S": f"ENV#{environment.split('_')[2]}"}, "sk": {"S": "LOCK"}}
    found = platform.client("dynamodb").get_item(TableName=platform.outputs["TableName"], Key=lock)
    return found.get("Item", {}).get("holder")


def _assert_that_all_is_told_once(
    someone: Person, environment: dict[str, Any], deployments: list[dict[str, Any]]
) -> None:
    path = f"/api/v1/environments/{environment['id']}/events?limit=100"

    def told(subject: str) -> list[dict[str, Any]]:
        events = someone.ask("GET", path).body[::-1]
        return [event for event in events if event["subject"] == subject]

    until(lambda: len(told(environment["id"])) >= environment["version"])
    numbers = sorted(int(event["id"].rpartition("_")[2]) for event in told(environment["id"]))
    assert numbers == list(range(1, environment["version"] + 1))
    for one in deployments:
        ran = ["running"] if one["started_at"] else []
        expected = ["pending", *ran, one["status"]]
        assert [event["to"] for event in told(one["id"])] == expected
