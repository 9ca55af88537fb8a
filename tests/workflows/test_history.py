"""Every change has exactly one event, however often the stream delivers it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from slipway.domain.ids import EnvironmentId
from slipway.domain.paging import Paging
from slipway.errors import DriverRefused
from slipway.services import history, rollouts
from tests.support.workflows import faults
from tests.support.workflows.world import OWNER, USER, World

pytestmark = pytest.mark.xdist_group("workflows")


def actions(world: World, environment: EnvironmentId) -> list[tuple[str, str]]:
    """`(actor, action)` of what happened to the environment, in order."""
    return [
        (event["actor"], event["action"])
        for event in world.events(environment)
        if event["subject"] == str(environment)
    ]


def a_life(world: World) -> EnvironmentId:
    environment = world.running(ttl_hours=1)
    world.deploy(environment, "v1")
    world.run(10)
    world.extend(environment, 2)
    world.run(10)
    world.pin(environment)
    world.run(10)
    world.unpin(environment)
    world.when("Retire > driver retire service", faults.raises(DriverRefused("It is protected")))
    world.run(7200)
    world.recover(3)
    assert world.look(environment)["status"] == "destroyed"
    return environment


def test_the_events_cover_a_life_from_beginning_to_end(world: World) -> None:
    environment = a_life(world)

    assert [action for _, action in actions(world, environment)] == [
        "provisioning",
        "running",
        "deployed",
        "extended",
        "pinned",
        "unpinned",
        "expiring",
        "tearing_down",
        "teardown_failed",
        "retry_planned",
        "tearing_down",
        "started",
        "destroyed",
    ]
    assert actions(world, environment)[0] == (USER, "provisioning")
    assert {actor for actor, _ in actions(world, environment)} >= {
        "provision_environment",
        "expire_environment",
        "retire_environment",
        "reconcile",
    }


def told(world: World, environment: EnvironmentId) -> list[tuple[str, str]]:
    """`(step, message)` of each line of the environment's log, oldest first; none is missing."""
    lines = history.environment_logs(environment, OWNER, Paging(limit=100))
    assert (lines.cursor is None) == (world.look(environment)["status"] == "destroyed")
    return [(line.step, line.message) for line in lines if line.step != "stack"]


def test_the_log_of_an_environment_says_how_it_began_and_ended(world: World) -> None:
    environment = a_life(world)

    refused = "Teardown failed: service: It is protected (what remains: service)"
    [again] = [e["reason"] for e in world.events(environment) if e["action"] == "retry_planned"]
    assert told(world, environment) == [
        ("running", "The environment is running"),
        ("tearing_down", "Teardown begins: the lease is over"),
        ("teardown_failed", refused),
        ("teardown_failed", f"The teardown is {again}"),
        ("tearing_down", "Teardown begins: reconcile asked for it"),
        ("destroy", "Destroyed in attempt 2"),
    ]


def test_the_log_of_an_environment_names_who_deleted_it(world: World) -> None:
    environment = world.running()
    world.deploy(environment, "v1")
    world.run(1)
    world.delete(environment)
    before = told(world, environment)

    world.settle()

    assert before == [("running", "The environment is running")]
    assert told(world, environment)[1:] == [
        ("tearing_down", f"Teardown begins: {USER} asked for it"),
        ("destroy", "Destroyed in attempt 1"),
    ]
    # Its last deployment ended before the lock went away.
    assert world.items("LOCK") == []
    assert [item["status"]["S"] for item in world.items("DEP#")] == ["canceled"]


def test_a_late_execution_of_a_deployment_brings_no_lock_back(world: World) -> None:
    environment = world.running()
    deployment = world.deploy(environment, "v1")
    world.run(0.5)
    world.delete(environment)
    world.run_until(lambda: world.look(environment)["status"] == "destroyed")
    event = world.batches[-1]

    world.settle()
    world.redeliver(event)
    assert rollouts.acquire_next(environment) is None

    assert world.items("LOCK") == []
    assert world.execution("roll_out_deployment", deployment).error == "StaleWrite"


def test_each_change_has_one_event_and_the_events_form_a_chain(
    world: World,
) -> None:
    environment = a_life(world)

    told = [each for each in world.events(environment) if each["subject"] == str(environment)]
    versions = [int(event["id"].rpartition("_")[2]) for event in told]
    assert versions == list(range(1, world.look(environment)["version"] + 1))
    assert "from" not in told[0]
    for before, after in pairwise(told):
        assert after["from"] == before["to"]


@pytest.mark.parametrize("fault", ["twice", "lost"])
def test_a_repeated_delivery_adds_no_event(environ: None, fault: str) -> None:
    told = []
    for times in (0, 8):
        with World() as world:
            if times:
                world.when("stream > lambda dispatch", faults.FAULTS[fault], times=times)
            environment = a_life(world)
            told.append(actions(world, environment))

    assert told[0] == told[1]


def test_the_deployments_of_an_environment_are_in_its_history(world: World) -> None:
    environment = world.running()
    deployment = world.deploy(environment, "v1")
    world.settle()

    told = [each for each in world.events(environment) if each["subject"] == str(deployment)]

    assert [(each.get("from"), each["to"]) for each in told] == [
        (None, "pending"),
        ("pending", "running"),
        ("running", "succeeded"),
    ]
    assert [each["actor"] for each in told] == [USER, str(deployment), str(deployment)]


def test_the_timeline_of_a_rollout_is_kept_when_it_has_ended(world: World) -> None:
    environment = world.running()
    world.when("Ship > driver ship", faults.raises(DriverRefused("No such image")), skip=1)
    deployment = world.deploy(environment, "v1")
    world.run_until(lambda: world.look(deployment)["status"] == "running")
    during = history.timeline(deployment, OWNER)
    world.settle()

    steps = history.timeline(deployment, OWNER)

    assert during == []
    assert [(step.step, step.attempts) for step in steps][:5] == [
        ("Begin", 1),
        ("Ship", 1),
        ("Is it in place?", 0),
        ("Wait until it is in place", 0),
        ("Ship", 1),
    ]
    assert steps[4].error == "DriverRefused"
    assert steps[3].seconds == 2
    assert all(step.left_at for step in steps)


def test_a_deployment_that_never_began_has_no_timeline(world: World) -> None:
    environment = world.environment()
    deployment = world.deploy(environment)

    world.cancel(deployment)
    world.settle()

    assert history.timeline(deployment, OWNER) == []
    assert world.look(deployment)["status"] == "canceled"


@pytest.mark.parametrize(
    "where,state",
    [
        ("provision_environment/It is running > dynamodb UpdateItem", "running"),
        ("retire_environment/Begin > dynamodb UpdateItem", "tearing_down"),
    ],
)
def test_a_write_that_is_repeated_after_a_lost_answer_has_its_own_event(
    world: World, where: str, state: str
) -> None:
    environment = world.environment()
    world.when(where, faults.lost)
    world.run(30)
    world.delete(environment)
    world.run(30)

    told = [each for each in world.events(environment) if each["action"] == "repeated"]

    [event] = told
    assert event["from"] == event["to"] == state
    assert event["reason"] == f"{event['actor']} wrote it again because no answer arrived"
    assert [action for _, action in actions(world, environment)].count("started") == 1


@pytest.mark.parametrize("fault", [None, faults.lost], ids=["answered", "not answered"])
def test_an_overtaken_provisioning_has_one_event_for_its_release(
    world: World, fault: faults.Fault | None
) -> None:
    environment = world.environment()
    world.run(1)
    if fault:
        world.when("provision_environment/Release the environment > dynamodb UpdateItem", fault)
    world.delete(environment)
    world.recover(2)

    told = [each for each in world.events(environment) if each["action"] == "released"]

    [event] = told
    assert event["actor"] == "provision_environment"
    assert event["from"] == event["to"] == "tearing_down"
    assert event["reason"] == "The environment is to be torn down"
    [execution] = world.executions_of("provision_environment", environment)
    assert execution.states[-1] == "It was taken over"
    assert world.look(environment)["status"] == "destroyed"


def test_a_stopped_provisioning_releases_a_deleted_environment(world: World) -> None:
    environment = world.environment()
    world.run(1)
    world.stop("provision_environment", environment)
    world.delete(environment)
    world.recover(2)

    told = actions(world, environment)

    assert ("reconcile", "released") in told
    assert told[-1] == ("retire_environment", "destroyed")
