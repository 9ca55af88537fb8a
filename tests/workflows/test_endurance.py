"""The longest life of an execution stays within what Step Functions gives it.

A Standard execution lasts a year and its history holds 25,000 events; one that reaches either limit
ends, past every Catch ("Step Functions service quotas").
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from slipway.domain import timestamps
from slipway.domain.ids import EnvironmentId
from slipway.drivers import LONGEST, requests, simulated
from slipway.drivers.base import Operation, Progress
from slipway.settings import settings
from tests.support.repository import template
from tests.support.workflows import faults
from tests.support.workflows.emulator import stepfunctions
from tests.support.workflows.graph import definitions
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("workflows")


EVENTS = 25_000
YEAR = timedelta(days=365)
HANDS_OVER = "expire_environment/Hand over the lease > dynamodb UpdateItem"
LOOKS = 250
REFUSALS = 20


def most_events(workflow: str, *names: str) -> int:
    """The history events of one visit of each state if every retry is used."""
    total = 0
    for name in names:
        state = definitions()[workflow]["States"][name]
        # Entered and exited; each attempt of a task is scheduled, started and ended.
        total += 2
        if state["Type"] == "Task":
            retries = sum(retry["MaxAttempts"] for retry in state["Retry"])
            total += 3 * (1 + retries)
    return total


def once(workflow: str) -> int:
    return most_events(workflow, *definitions()[workflow]["States"])


def looks(wait: Any) -> int:
    """How often a driver is asked until it has taken an hour, if asking takes no time."""
    began = timestamps.now()
    passed, count = timedelta(0), 1
    while passed <= LONGEST:
        operation = Operation(
            execution="x",
            environment_id="x",
            environment_name="x",
            started_at=began,
            now=began + passed,
            config={"simulate": {"ship": {"seconds": 1e6}}},
        )
        progress: Progress = wait(operation)
        assert not progress.done
        passed += timedelta(seconds=progress.wait_seconds)
        count += 1
    return count


@pytest.fixture
def most_looks(environ: None, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("SIMULATE_FAULTS", "true")
    settings.cache_clear()
    return max(looks(requests.wait), looks(simulated.Simulated().ship))


def test_provisioning_has_room_in_its_history(most_looks: int) -> None:
    makes = ("Provision", "Is it up?", "Wait until it is up")
    takes_back = ("Remove what was made", "Is it removed?", "Wait until it is down")
    each = most_events("provision_environment", *makes, *takes_back)

    assert once("provision_environment") + most_looks * each < EVENTS


def test_a_teardown_has_room_in_its_history(most_looks: int) -> None:
    each = most_events("retire_environment", "Retire", "Is it down?", "Wait until it is down")

    assert once("retire_environment") + most_looks * each < EVENTS


def test_a_rollout_has_room_in_its_history(most_looks: int) -> None:
    ships = ("Ship", "Is it in place?", "Wait until it is in place")
    restores = ("Restore", "Is it restored?", "Wait until it is restored")
    each = most_events("roll_out_deployment", *ships, *restores)
    refused = most_events("roll_out_deployment", "It is live", "Ship", "Is it in place?")
    [bound] = re.findall(
        r"\$refusals >= (\d+)", str(definitions()["roll_out_deployment"]["States"])
    )

    assert int(bound) == REFUSALS
    assert once("roll_out_deployment") + most_looks * each + REFUSALS * refused < EVENTS


def test_an_expiry_has_room_in_its_history() -> None:
    # A look that finds a warning due: it waits, tries to end it, looks, and warns.
    names = (
        "Wait until something is due",
        "End the environment",
        "Read the environment",
        "What is due?",
        "Warn of the end",
    )
    each = most_events("expire_environment", *names)
    [bound] = re.findall(r"\$looks >= (\d+)", str(definitions()["expire_environment"]["States"]))

    assert int(bound) == LOOKS
    assert once("expire_environment") + LOOKS * each < EVENTS


def test_no_lease_lasts_longer_than_an_execution_may() -> None:
    longest = template()["Parameters"]["MaxTtlHours"]["MaxValue"]

    # A day is more than it takes to begin, to end, and to try both again.
    assert timedelta(hours=longest) <= YEAR - timedelta(days=1)


def always_used(world: World) -> EnvironmentId:
    """One that is touched before each of its ends, so often that its lease is handed over."""
    project = world.new_project("busy", expiry_mode="idle", max_ttl_hours=24)
    environment = world.environment(ttl_hours=0.01, project=project)
    for _ in range(LOOKS + 10):
        world.run(30)
        world.touch(environment)
    return environment


def expiries(world: World, environment: EnvironmentId) -> list[tuple[str, str]]:
    return [
        (each.name.removeprefix(str(environment)), each.status)
        for each in world.executions()
        if each.workflow == "expire_environment"
    ]


@pytest.mark.parametrize("fault", [None, "fails", "lost", "twice"])
def test_a_lease_that_is_extended_forever_is_handed_over_and_ends_in_time(
    world: World, fault: str | None
) -> None:
    if fault:
        world.when(HANDS_OVER, faults.FAULTS[fault])
    environment = always_used(world)
    while_used = (world.look(environment)["status"], expiries(world, environment))

    world.run(60)

    assert while_used == ("running", [("", "SUCCEEDED"), ("-2", "RUNNING")])
    assert world.look(environment)["status"] == "destroyed"
    assert expiries(world, environment) == [("", "SUCCEEDED"), ("-2", "SUCCEEDED")]
    told = [each for each in world.events(environment) if each["subject"] == str(environment)]
    versions = [int(event["id"].rpartition("_")[2]) for event in told]
    assert versions == list(range(1, world.look(environment)["version"] + 1))
    [first, _] = [
        record
        for record in stepfunctions._executions.values()
        if "expire_environment" in record["executionArn"]
    ]
    assert len(first["events"]) < EVENTS


def test_a_lease_that_cannot_be_handed_over_is_ended_by_ttl(world: World) -> None:
    world.when(HANDS_OVER, faults.fails, times=9)
    environment = always_used(world)
    [(_, status), *others] = expiries(world, environment)

    world.recover(2)

    assert (status, others) == ("FAILED", [])
    assert world.look(environment)["status"] == "destroyed"
