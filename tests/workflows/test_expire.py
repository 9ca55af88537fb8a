"""expire_environment, and the lease that DynamoDB deletes in its stead: one end, once."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from slipway.model import moments
from slipway.store import environments
from tests.workflows import faults
from tests.workflows.world import World

ENDS = "expire_environment/Its time is up > dynamodb UpdateItem"
READS = "expire_environment/Read the environment > dynamodb GetItem"
STRAIGHT = ["Until something is due", "Its time is up"]


def test_an_environment_ends_to_the_second(world: World) -> None:
    environment = world.running(ttl_hours=1)
    ends = datetime.fromisoformat(world.look(environment)["expires_at"])

    world.run(7200)

    record = world.look(environment)
    assert record["status"] == "destroyed"
    late = datetime.fromisoformat(record["destroyed_at"]) - ends
    assert timedelta(0) < late < timedelta(seconds=5)
    execution = world.execution("expire_environment", environment)
    assert (execution.status, execution.states) == ("SUCCEEDED", STRAIGHT)


def test_a_whole_life_has_no_more_than_twenty_transitions(world: World) -> None:
    environment = world.running(ttl_hours=1)

    world.run(7200)

    lives = [each for each in world.executions() if each.name == str(environment)]
    assert {each.workflow for each in lives} == {
        "provision_environment",
        "expire_environment",
        "retire_environment",
    }
    assert {each.status for each in lives} == {"SUCCEEDED"}
    assert sum(each.transitions for each in lives) <= 20


def test_a_persistent_environment_has_no_end(world: World) -> None:
    environment = world.running()

    world.run(1000 * 3600)

    assert world.look(environment)["status"] == "running"
    assert world.executions_of("expire_environment", environment) == []


def test_an_end_that_was_put_off_is_waited_for_again(world: World) -> None:
    environment = world.running(ttl_hours=1)
    later = moments.hours_after(moments.now(), 3)
    world.change(
        environments.key(environment), "SET expires_at = :later", later=moments.written(later)
    )

    world.run(2 * 3600)
    between = world.look(environment)["status"]
    world.run(2 * 3600)

    record = world.look(environment)
    assert (between, record["status"]) == ("running", "destroyed")
    assert datetime.fromisoformat(record["destroyed_at"]) - later < timedelta(seconds=5)
    assert world.execution("expire_environment", environment).states == [
        *STRAIGHT,
        "Read the environment",
        "What is due?",
        *STRAIGHT,
    ]


def test_an_environment_that_was_given_back_before_is_left_alone(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.delete(environment)
    world.settle()
    before = world.look(environment)

    world.run(7200)

    assert world.look(environment) == before
    execution = world.execution("expire_environment", environment)
    assert execution.states[-2:] == ["What is due?", "Somebody else sees to it"]
    assert execution.status == "SUCCEEDED"
    assert len(world.executions_of("retire_environment", environment)) == 1


def test_an_environment_without_a_record_is_left_alone(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.erase(environment)

    world.run(7200)

    execution = world.execution("expire_environment", environment)
    assert execution.states[-1] == "Somebody else sees to it"
    assert not world.exists(environment)


def test_a_failed_environment_ends_too(world: World) -> None:
    environment = world.environment(ttl_hours=1)
    world.when("Provision > driver provision service", faults.raises(KeyError("colour")))

    world.settle()
    failed = world.look(environment)["status"]
    world.run(7200)

    assert (failed, world.look(environment)["status"]) == ("failed", "destroyed")


def test_ttl_ends_an_environment_whose_execution_was_stopped(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.stop("expire_environment", environment)

    world.run(3700)
    overdue = world.look(environment)["status"]
    assert world.sweep_ttl() == 1
    world.settle()

    assert (overdue, world.look(environment)["status"]) == ("running", "destroyed")


def test_ttl_ends_nothing_that_was_put_off(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.stop("expire_environment", environment)
    world.change(
        environments.key(environment),
        "SET expires_at = :later",
        later=moments.written(moments.hours_after(moments.now(), 3)),
    )

    world.run(3700)
    world.sweep_ttl()
    world.settle()

    assert world.look(environment)["status"] == "running"


def test_both_killers_at_once_end_it_once(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.when(ENDS, faults.preceded_by(world.sweep_ttl))
    # The execution is late, so that the lease is over too when it strikes.
    world.schedule.now += 3700

    world.settle()

    record = world.look(environment)
    assert record["status"] == "destroyed"
    retiring = world.execution("retire_environment", environment)
    assert (retiring.status, retiring.states.count("It is gone")) == ("SUCCEEDED", 1)
    assert world.look(world.project)["environments"] == 0


def test_a_lease_that_goes_with_its_environment_ends_nothing(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.delete(environment)
    world.settle()

    assert world.items("LEASE") == []
    given = [record for batch in world.batches for record in batch["Records"]]
    assert [record for record in given if record["eventName"] == "REMOVE"] == []


@pytest.mark.parametrize("where", [ENDS, READS])
def test_an_end_that_cannot_be_written_down_is_left_to_ttl(world: World, where: str) -> None:
    environment = world.running(ttl_hours=1)
    world.when(where, faults.fails, times=9)
    if where == READS:
        world.change(
            environments.key(environment), "SET expires_at = :x", x="2026-11-23T11:00:00.000Z"
        )

    world.run(7190)

    execution = world.execution("expire_environment", environment)
    assert execution.states[-1] == "It could not be ended"
    assert (execution.status, execution.error) == ("FAILED", "ExpiryFailed")
    assert world.look(environment)["status"] == "running"
    world.run(3600)
    world.sweep_ttl()
    world.settle()
    assert world.look(environment)["status"] == "destroyed"
