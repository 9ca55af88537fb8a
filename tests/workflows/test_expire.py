"""expire_environment, and the lease that DynamoDB's TTL deletes instead: exactly one end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from slipway.domain import timestamps
from slipway.domain.ids import EnvironmentId
from slipway.store import environment_records
from tests.support.workflows import faults
from tests.support.workflows.graph import Execution
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("workflows")


ENDS = "expire_environment/End the environment > dynamodb UpdateItem"
READS = "expire_environment/Read the environment > dynamodb GetItem"
WARNS = "expire_environment/Warn of the end > dynamodb UpdateItem"
STRAIGHT = ["Wait until something is due", "End the environment"]
LOOKS = ["Read the environment", "What is due?"]
HOUR = 3600.0


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

    lives = whole_life(world, environment)
    assert sum(each.transitions for each in lives) <= 20


def test_a_whole_life_polls_its_driver_once_in_vain(environ: None) -> None:
    with World(slow_to_go=False) as world:
        environment = world.running(ttl_hours=1)

        world.run(7200)

        lives = whole_life(world, environment)
        states = [state for each in lives for state in each.states]
        polls = [
            state for state in states if state in ("Wait until it is up", "Wait until it is down")
        ]
        assert polls == ["Wait until it is up"]
        assert sum(each.transitions for each in lives) <= 12


def whole_life(world: World, environment: EnvironmentId) -> list[Execution]:
    """Every execution about it, each of which has succeeded."""
    lives = [each for each in world.executions() if each.name == str(environment)]
    assert [each.workflow for each in lives] == [
        "provision_environment",
        "expire_environment",
        "retire_environment",
    ]
    assert {each.status for each in lives} == {"SUCCEEDED"}
    return lives


def test_a_persistent_environment_has_no_end(world: World) -> None:
    environment = world.running()

    world.run(1000 * 3600)

    assert world.look(environment)["status"] == "running"
    assert world.executions_of("expire_environment", environment) == []


def test_an_extended_end_is_waited_for_again(world: World) -> None:
    environment = world.running(ttl_hours=1)
    later = timestamps.hours_after(timestamps.now(), 3)
    world.change(
        environment_records.key(environment),
        "SET expires_at = :later",
        later=timestamps.written(later),
    )

    world.run(2 * 3600)
    between = world.look(environment)["status"]
    world.run(2 * 3600)

    record = world.look(environment)
    assert (between, record["status"]) == ("running", "destroyed")
    assert datetime.fromisoformat(record["destroyed_at"]) - later < timedelta(seconds=5)
    assert world.execution("expire_environment", environment).states == [
        *STRAIGHT,
        *LOOKS,
        *STRAIGHT,
    ]


def test_an_environment_that_was_deleted_before_is_left_alone(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.delete(environment)
    world.settle()
    before = world.look(environment)

    world.run(7200)

    assert world.look(environment) == before
    execution = world.execution("expire_environment", environment)
    assert execution.states[-2:] == ["What is due?", "Nothing left to do"]
    assert execution.status == "SUCCEEDED"
    assert len(world.executions_of("retire_environment", environment)) == 1


def test_an_environment_without_a_record_is_left_alone(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.erase(environment)

    world.run(7200)

    execution = world.execution("expire_environment", environment)
    assert execution.states[-1] == "Nothing left to do"
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


def test_ttl_does_not_end_an_extended_environment(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.stop("expire_environment", environment)
    world.change(
        environment_records.key(environment),
        "SET expires_at = :later",
        later=timestamps.written(timestamps.hours_after(timestamps.now(), 3)),
    )

    world.run(3700)
    world.sweep_ttl()
    world.settle()

    assert world.look(environment)["status"] == "running"


def test_the_execution_and_ttl_at_once_end_an_environment_once(world: World) -> None:
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


def test_deleting_an_environment_deletes_its_lease_without_a_ttl_event(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.delete(environment)
    world.settle()

    assert world.items("LEASE") == []
    given = [record for batch in world.batches for record in batch["Records"]]
    assert [record for record in given if record["eventName"] == "REMOVE"] == []


@pytest.mark.parametrize("where", [ENDS, READS])
def test_an_end_that_cannot_be_recorded_is_left_to_ttl(world: World, where: str) -> None:
    environment = world.running(ttl_hours=1)
    world.when(where, faults.fails, times=9)
    if where == READS:
        world.change(
            environment_records.key(environment),
            "SET expires_at = :x",
            x="2026-11-23T11:00:00.000Z",
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


# ── Warnings ────────────────────────────────────────────────────────────────────────────────


def warned(world: World, *hours: float, ttl_hours: float = 4, **policy: Any) -> EnvironmentId:
    """An environment that runs, and is to be warned of its end so many hours before."""
    project = world.new_project("warned", warn_before_hours=list(hours), **policy)
    return world.running(ttl_hours=ttl_hours, project=project)


def warnings(world: World, environment: EnvironmentId) -> list[tuple[timedelta, str]]:
    """How long before the present end each warning came, and of which end it warned."""
    ends = datetime.fromisoformat(world.look(environment)["expires_at"])
    return [
        (ends - datetime.fromisoformat(event["at"]), event["reason"])
        for event in world.events(environment)
        if event["action"] == "expiry_warning"
    ]


def came(found: list[tuple[timedelta, str]], *hours: float) -> bool:
    """Whether the warnings came so long before the end, to the second."""
    wanted = [timedelta(hours=each) for each in hours]
    late = [want - before for (before, _), want in zip(found, wanted, strict=True)]
    return all(timedelta(0) <= each < timedelta(seconds=1) for each in late)


def of_present_end(world: World, environment: EnvironmentId) -> str:
    return f"expires at {world.look(environment)['expires_at']}"


def test_a_warning_comes_to_the_second_and_then_the_end(world: World) -> None:
    environment = warned(world, 1, 48)

    world.run(2.9 * HOUR)
    before = warnings(world, environment)
    world.run(0.2 * HOUR)
    after = warnings(world, environment)
    world.run(HOUR)

    assert before == []
    assert came(after, 1) and after[0][1] == of_present_end(world, environment)
    assert warnings(world, environment) == after
    assert world.look(environment)["status"] == "destroyed"
    execution = world.execution("expire_environment", environment)
    assert execution.status == "SUCCEEDED"
    assert execution.states == [*STRAIGHT, *LOOKS, "Warn of the end", *STRAIGHT]
    lives = [each for each in world.executions() if each.name == str(environment)]
    assert sum(each.transitions for each in lives) <= 20


def test_every_warning_comes_in_order(world: World) -> None:
    environment = warned(world, 0.001, 3, 2, 0.5, 1)

    world.run(5 * HOUR)

    assert came(warnings(world, environment), 3, 2, 1, 0.5, 0.001)
    assert world.look(environment)["status"] == "destroyed"
    assert len(world.executions_of("retire_environment", environment)) == 1


def test_an_extension_replaces_the_warnings_of_the_old_end(
    world: World,
) -> None:
    environment = warned(world, 1)
    world.run(2 * HOUR)
    world.extend(environment, 5)

    world.run(3.5 * HOUR)
    early = warnings(world, environment)
    world.run(2 * HOUR)

    assert early == []
    assert came(warnings(world, environment), 1)
    assert world.look(environment)["status"] == "destroyed"


def test_an_extension_after_a_warning_is_warned_of_again(world: World) -> None:
    environment = warned(world, 1)
    world.run(3.5 * HOUR)
    world.extend(environment, 2)

    world.run(2.5 * HOUR)

    first, second = warnings(world, environment)
    assert first[1] != second[1] == of_present_end(world, environment)
    assert came([second], 1)


def test_a_warning_that_is_due_before_the_old_end_comes_in_time(world: World) -> None:
    environment = warned(world, 2)
    world.run(2.5 * HOUR)
    # The execution waits for the end, in an hour and a half; the new warning is due before.
    world.extend(environment, 3)

    world.run(4 * HOUR)

    [_, second] = warnings(world, environment)
    assert came([second], 2)
    ended = [each for each in world.executions() if each.workflow == "expire_environment"]
    assert [(each.name, each.states[-1]) for each in ended] == [
        (str(environment), "Nothing left to do"),
        (f"{environment}-2", "End the environment"),
    ]
    assert world.look(environment)["status"] == "destroyed"


def test_an_extension_at_the_time_of_a_warning_wins(world: World) -> None:
    environment = warned(world, 1)
    world.when(WARNS, faults.preceded_by(lambda: world.extend(environment, 3)))

    world.run(3.1 * HOUR)
    at_once = warnings(world, environment)
    world.run(4 * HOUR)

    assert at_once == []
    assert came(warnings(world, environment), 1)
    states = world.execution("expire_environment", environment).states
    assert states.count("Warn of the end") == 2


@pytest.mark.parametrize("fault", ["lost", "twice", "fails", "throttled"])
def test_a_warning_whose_answer_is_lost_comes_once(world: World, fault: str) -> None:
    environment = warned(world, 1, 0.5)
    world.when(WARNS, faults.FAULTS[fault])

    world.run(5 * HOUR)

    reasons = [reason for _, reason in warnings(world, environment)]
    assert reasons == [of_present_end(world, environment)] * 2
    assert world.look(environment)["status"] == "destroyed"


def test_a_touch_postpones_the_warnings(world: World) -> None:
    environment = warned(world, 0.5, ttl_hours=1, expiry_mode="idle", max_ttl_hours=3)
    for _ in range(3):
        world.run(0.4 * HOUR)
        world.touch(environment)
    none = warnings(world, environment)

    world.run(2 * HOUR)

    assert none == []
    assert came(warnings(world, environment), 0.5)


def test_a_pinned_environment_gets_no_warning_until_it_is_unpinned(world: World) -> None:
    environment = warned(world, 1)
    world.pin(environment)
    world.run(100 * HOUR)
    pinned = [e["action"] for e in world.events(environment)]
    world.unpin(environment)
    world.run(5 * HOUR)

    assert "expiry_warning" not in pinned
    assert came(warnings(world, environment), 1)
    assert world.look(environment)["status"] == "destroyed"


def test_a_failed_environment_gets_warnings_and_one_that_goes_does_not(world: World) -> None:
    failed = world.new_project("failing", warn_before_hours=[1])
    world.when("Provision > driver provision service", faults.raises(KeyError("colour")))
    one = world.environment(ttl_hours=4, project=failed)
    world.run(600)
    other = warned(world, 1)
    world.delete(other)

    failed_first = world.look(one)["status"]
    world.run(5 * HOUR)

    assert failed_first == "failed"
    assert len(warnings(world, one)) == 1
    assert warnings(world, other) == []


def test_reconcile_gives_the_warning_if_the_execution_was_stopped(world: World) -> None:
    environment = warned(world, 1)
    world.recover()
    world.stop("expire_environment", environment)

    world.run(2.8 * HOUR)
    early = world.reconcile()
    world.recover(3)

    assert early["repaired"] == 0
    [(before, reason)] = warnings(world, environment)
    assert timedelta(minutes=50) < before < timedelta(hours=1)
    assert reason == of_present_end(world, environment)


def test_reconcile_and_the_execution_together_warn_once(world: World) -> None:
    environment = warned(world, 1)
    world.recover()
    world.when(WARNS, faults.preceded_by(lambda: world.reconcile(ahead_minutes=10)))

    world.run(5 * HOUR)

    assert len(warnings(world, environment)) == 1
    assert world.look(environment)["status"] == "destroyed"


def test_a_warning_that_cannot_be_recorded_is_left_to_reconcile(world: World) -> None:
    environment = warned(world, 1)
    world.recover()
    world.when(WARNS, faults.fails, times=9)

    world.run(3.1 * HOUR)
    execution = world.execution("expire_environment", environment)
    world.recover()
    told = warnings(world, environment)
    world.run(HOUR)
    world.recover()

    assert (execution.status, execution.error) == ("FAILED", "ExpiryFailed")
    assert len(told) == 1
    assert world.look(environment)["status"] == "destroyed"
