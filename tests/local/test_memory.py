"""The emulator's memory is bounded: what grows with requests is trimmed, the rest is given back."""

import http.client
import json
import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local import kept
from local.data import Data
from local.patches.retention import Kept, trim_entries, trim_executions, trim_metrics, trim_stacks
from local.platform import Platform
from tests.support.local.platform import EVERYTHING, allow, copy_of_app, eventually, role

FEW = Kept(
    histories=2, executions=4, deleted_stacks=2, events=2, datapoints=2, metrics=2, alarm_changes=2
)


def test_old_executions_lose_their_history_and_then_go() -> None:
    executions = {
        n: {"status": "RUNNING" if n in (0, 6) else "SUCCEEDED", "events": ["start", n, "end"]}
        for n in range(8)
    }

    trim_executions(executions, FEW)
    trim_executions(executions, FEW)

    kept = {n: each["events"] for n, each in executions.items()}
    whole = {n: ["start", n, "end"] for n in (0, 5, 6, 7)}
    assert kept == whole | {n: ["start", "end"] for n in (3, 4)}


def test_the_oldest_deleted_stacks_go_with_their_events() -> None:
    def stack(n: int, status: str = "DELETE_COMPLETE") -> dict[str, Any]:
        return {"StackId": f"id-{n}", "StackStatus": status, "LastUpdatedTime": f"{n}"}

    stacks = {n: stack(n) for n in range(5)} | {9: stack(9, "CREATE_COMPLETE")}
    events = {("account", "region", f"id-{n}"): [n] for n in (*range(5), 9)}

    trim_stacks(stacks, events, FEW)

    assert set(stacks) == {3, 4, 9}
    assert {key[-1] for key in events} == {"id-1", "id-2", "id-3", "id-4", "id-9"}


def test_a_metric_has_its_newest_datapoints_and_the_newest_metrics_stay() -> None:
    metrics = {name: list(range(5)) for name in "abc"}

    trim_metrics(metrics, FEW)

    assert metrics == {"b": [3, 4], "c": [3, 4]}


def test_lists_have_their_newest_entries() -> None:
    lists = {"here": [1, 2, 3], "there": [1]}

    trim_entries(lists, 2)

    assert lists == {"here": [2, 3], "there": [1]}


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """A platform that saves often, so that its stores can be read."""
    root = copy_of_app(tmp_path)
    with Platform(
        root, data=Data(root / ".slipway", fresh=False, every=0.2, say=lambda line: None)
    ) as running:
        role(running, EVERYTHING.rpartition("/")[2], allow("*"))
        yield running


def memory(platform: Platform) -> int:
    """The emulator's resident memory in bytes."""
    assert platform.emulator
    pages = Path(f"/proc/{platform.emulator.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


def files(platform: Platform) -> int:
    assert platform.emulator
    return len(list(Path(f"/proc/{platform.emulator.pid}/fd").iterdir()))


def stored(platform: Platform) -> dict[str, int]:
    """The size of each store in a save that began after this call."""
    state = platform.root / ".slipway/data/state"
    for _ in range(2):
        before = state.stat().st_ino
        platform.client("sts").get_caller_identity()  # without a request nothing is saved
        eventually(lambda: state.stat().st_ino != before)  # noqa: B023
    return {name: len(pickle.dumps(content)) for name, content in kept.read(state)[1].items()}


def ask(platform: Platform) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", platform.port)
    connection.request("GET", "/things")
    assert connection.getresponse().read()
    connection.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_memory_does_not_grow_with_requests(platform: Platform) -> None:
    def many(count: int) -> None:
        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(lambda _: ask(platform), range(count)):
                pass

    many(1500)  # fills the logs of the function's workers, which have a limit
    stores, resident = stored(platform), memory(platform)
    many(1500)

    sizes = stored(platform).items()
    assert {name for name, size in sizes if size - stores.get(name, 0) > 20_000} == set()
    # An hour of 20 requests a second would take less than 220 MB.
    assert memory(platform) - resident < 1500 * 3000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_connection_that_its_client_closed_is_given_back(platform: Platform) -> None:
    ask(platform)
    before = files(platform)

    for _ in range(100):
        ask(platform)

    eventually(lambda: files(platform) < before + 20, 5)


def test_an_execution_is_found_although_its_history_is_trimmed(platform: Platform) -> None:
    client = platform.client("stepfunctions")
    definition = {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}
    machine = client.create_state_machine(
        name="many", definition=json.dumps(definition), roleArn=EVERYTHING
    )["stateMachineArn"]
    with ThreadPoolExecutor(4) as pool:
        started = [
            each["executionArn"]
            for each in pool.map(
                lambda number: client.start_execution(stateMachineArn=machine), range(1020)
            )
        ]

    def history() -> list[str]:
        events = client.get_execution_history(executionArn=started[0])["events"]
        return [event["type"] for event in events]

    eventually(lambda: history() == ["ExecutionStarted", "ExecutionSucceeded"], 20)
    assert client.describe_execution(executionArn=started[0])["status"] == "SUCCEEDED"
    assert len(client.get_execution_history(executionArn=started[-1])["events"]) == 4
