"""Reconcile finds by deadline what was left behind, repairs it, and leaves the rest alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.store import deployment_records, environment_records
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("workflows")


def test_records_in_order_are_not_changed(world: World) -> None:
    kept, leased = world.running(name="kept"), world.running(name="leased", ttl_hours=24)
    deployment = world.deploy(kept)
    world.run(600)
    before = [world.look(each)["version"] for each in (kept, leased)]

    counts = [world.reconcile() for _ in range(2)]

    assert counts == [
        {"looked_at": 2, "repaired": 0, "failed": 0},
        {"looked_at": 0, "repaired": 0, "failed": 0},
    ]
    assert [world.look(each)["version"] for each in (kept, leased)] == before
    assert world.look(deployment)["status"] == "succeeded"
    # Records without a deadline are not read again; others are when it has passed.
    assert "due" not in world.look(kept)
    assert world.look(leased)["due_at"] > world.look(leased)["expires_at"]


def test_only_overdue_records_are_read(world: World) -> None:
    for n in range(5):
        world.environment(name=f"preview-{n}", ttl_hours=24)
    world.run(600)
    world.reconcile()
    world.run(60)

    made = len(world.calls.made)
    world.run(300)
    world.reconcile()

    # And whether it may rest.
    assert [call.name for call in world.calls.made[made:]] == [
        *["reconcile > dynamodb Query"] * 4,
        "reconcile > dynamodb BatchGetItem",
    ]


def test_an_overdue_lease_is_ended(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.stop("expire_environment", environment)

    world.run(3700)
    overdue = world.look(environment)["status"]
    world.reconcile()
    world.settle()

    assert (overdue, world.look(environment)["status"]) == ("running", "destroyed")
    actors = [event["actor"] for event in world.events(environment)]
    assert "reconcile" in actors


@pytest.mark.parametrize("workflow", ["provision_environment", "retire_environment"])
def test_an_operation_that_was_never_started_is_started(world: World, workflow: str) -> None:
    environment = world.running() if workflow == "retire_environment" else None
    if environment:
        world.delete(environment)
    else:
        environment = world.environment()
    world.lose_the_stream()
    world.run(600)
    lost = world.executions_of(workflow, environment)

    world.recover()
    if workflow == "provision_environment":
        # Nothing else has been going on, and nobody was told: that is found once a day.
        assert world.executions_of(workflow, environment) == []
        world.a_day_later()

    assert lost == []
    assert world.execution(workflow, environment).status == "SUCCEEDED"


def test_a_deployment_whose_stream_record_was_lost_runs(world: World) -> None:
    environment = world.running()
    deployment = world.deploy(environment)
    world.lose_the_stream()
    world.run(200)
    waits = world.look(deployment)["status"]

    world.recover()

    assert (waits, world.look(deployment)["status"]) == ("pending", "succeeded")


def stopped_provisioning(world: World) -> EnvironmentId:
    environment = world.environment(ttl_hours=24)
    world.run(1)
    world.stop("provision_environment", environment)
    return environment


def stopped_teardown(world: World) -> EnvironmentId:
    environment = world.running()
    world.delete(environment)
    world.run(0.5)
    world.stop("retire_environment", environment)
    return environment


def stopped_rollout(world: World) -> DeploymentId:
    deployment = world.deploy(world.running())
    world.run_until(lambda: world.look(deployment)["status"] == "running")
    world.stop("roll_out_deployment", deployment)
    return deployment


@pytest.mark.parametrize(
    ("story", "status", "at_last"),
    [
        (stopped_provisioning, "failed", "failed"),
        (stopped_teardown, "teardown_failed", "destroyed"),
        (stopped_rollout, "failed", "failed"),
    ],
)
def test_an_outcome_that_was_not_recorded_is_recorded(
    world: World,
    story: Callable[[World], EnvironmentId | DeploymentId],
    status: str,
    at_last: str,
) -> None:
    thing = story(world)

    world.run(400)
    world.reconcile()

    record = world.look(thing)
    assert record["status"] == status
    assert record["failure"] == {
        "error": "ExecutionLost",
        "reason": "Its execution has ABORTED unrecorded",
    }
    world.recover(3)
    assert world.look(thing)["status"] == at_last
    if isinstance(thing, DeploymentId):
        assert world.holder(thing.environment) is None
        assert world.look(thing.environment)["live_in_doubt"] == str(thing)


def test_a_provisioning_stopped_during_a_deletion_is_released(world: World) -> None:
    environment = stopped_provisioning(world)
    world.delete(environment)

    world.recover(2)

    assert world.look(environment)["status"] == "destroyed"
    assert "operation" not in world.look(environment)


def test_a_lock_whose_holder_has_ended_is_passed_on(world: World) -> None:
    environment = world.running()
    first, second = world.deploy(environment, "v1"), world.deploy(environment, "v2")
    world.run_until(lambda: world.look(first)["status"] == "running")
    world.stop("roll_out_deployment", first)
    # An operator's hand ends it, and forgets the lock.
    key = deployment_records.key(first)
    world.change(key, "SET #status = :to, finished_at = :at", to="failed", at="2026-11-23T09:01Z")
    assert world.holder(environment) == str(first)

    world.recover(3)

    assert world.look(second)["status"] == "succeeded"


def test_a_record_that_cannot_be_repaired_does_not_stop_the_others(world: World) -> None:
    bad, good = world.running(name="bad", ttl_hours=1), world.running(name="good", ttl_hours=1)
    for each in (bad, good):
        world.stop("expire_environment", each)
    world.change(environment_records.key(bad), "SET expires_at = :x", x="0 o'clock")

    world.run(3700)
    counts = world.reconcile()
    world.settle()

    assert (counts["failed"], counts["repaired"]) == (1, 1)
    assert world.look(good)["status"] == "destroyed"


def test_looking_ahead_repairs_what_is_due_in_five_minutes(world: World) -> None:
    deployment = stopped_rollout(world)

    now, ahead = world.reconcile(), world.reconcile(ahead_minutes=10)

    assert (now["looked_at"], ahead["repaired"]) == (0, 1)
    assert world.look(deployment)["status"] == "failed"
