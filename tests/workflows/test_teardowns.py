"""A failed teardown is retried automatically and by request, or forgotten by request."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from slipway.domain import timestamps
from slipway.domain.ids import EnvironmentId
from slipway.errors import DriverRefused, NothingToRetry
from slipway.store import environment_records
from tests.support.workflows import faults
from tests.support.workflows.faults import Perform, Refusal
from tests.support.workflows.graph import Execution
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("workflows")


RETIRE = "Retire > driver retire service"
REFUSED = faults.raises(DriverRefused("It is protected"))
SAYS = "retire_environment/Record the failure > dynamodb UpdateItem"


def failed(world: World, times: int | None = 1) -> EnvironmentId:
    """An environment whose teardown has failed, and will so often."""
    environment = world.running(ttl_hours=24)
    world.when(RETIRE, REFUSED, times=times)
    world.delete(environment)
    world.run(10)
    assert world.look(environment)["status"] == "teardown_failed"
    return environment


def teardowns(world: World) -> list[Execution]:
    return [each for each in world.executions() if each.workflow == "retire_environment"]


@pytest.mark.parametrize("how", ["delete", "retry"])
def test_a_failed_teardown_can_be_requested_again(world: World, how: str) -> None:
    environment = failed(world)

    shown = world.delete(environment) if how == "delete" else world.retry(environment)
    world.settle()

    record = world.look(environment)
    assert (shown, record["status"]) == ("tearing_down", "destroyed")
    assert record["teardown_attempts"] == 2 and "failure" not in record
    assert [(each.name, each.status) for each in teardowns(world)] == [
        (str(environment), "FAILED"),
        (f"{environment}-2", "SUCCEEDED"),
    ]
    assert world.look(world.project)["environments"] == 0
    assert world.items("NAME#preview") == world.items("LEASE") == []


def test_only_a_failed_teardown_can_be_retried_or_forgotten(world: World) -> None:
    environment = world.running()

    with pytest.raises(NothingToRetry):
        world.retry(environment)
    with pytest.raises(NothingToRetry):
        world.forget(environment)

    assert world.look(environment)["status"] == "running"


def test_a_teardown_is_retried_for_a_day_with_growing_pauses_and_then_left_to_people(
    world: World,
) -> None:
    environment = failed(world, times=None)
    waits = []

    while retry_at := world.look(environment).get("next_retry_at"):
        record = world.look(environment)
        [*_, last] = [e for e in world.events(environment) if e["action"] == "teardown_failed"]
        waits.append(datetime.fromisoformat(retry_at) - datetime.fromisoformat(last["at"]))
        left = datetime.fromisoformat(retry_at) - timestamps.now()
        world.run(left.total_seconds() - 5)
        world.reconcile()
        assert world.look(environment)["version"] == record["version"]
        world.run(10)
        world.reconcile()
        world.run(30)

    assert waits == [timedelta(minutes=n) for n in (1, 2, 4, 8, 16, 32, *[60] * 22)]
    assert len(teardowns(world)) == len(waits) + 1
    # The transitions of one attempt; Step Functions' price is per transition.
    assert max(len(each.states) for each in teardowns(world)) <= 5
    assert world.events(environment)[-1]["action"] == "retries_ended"
    before = world.look(environment)
    world.recover(10)
    after = world.look(environment)
    assert len(teardowns(world)) == len(waits) + 1
    assert (after["version"], after["status"]) == (before["version"], "teardown_failed")
    assert "due" not in after


def test_a_retry_that_succeeds_ends_the_teardown(world: World) -> None:
    environment = failed(world, times=2)

    world.recover(3)

    assert world.look(environment)["status"] == "destroyed"
    assert [each.status for each in teardowns(world)] == ["FAILED", "FAILED", "SUCCEEDED"]


def test_a_retry_that_dispatch_missed_is_planned_by_reconcile(world: World) -> None:
    environment = world.running()
    world.when(RETIRE, REFUSED)
    world.when(SAYS, faults.preceded_by(world.hold_the_stream))
    world.delete(environment)
    world.run(10)
    assert "next_retry_at" not in world.look(environment)

    world.run(400)
    counts = world.reconcile()

    assert counts["repaired"] == 1
    assert "next_retry_at" in world.look(environment)
    world.release_the_stream()
    world.recover(2)
    assert world.look(environment)["status"] == "destroyed"


def test_an_environment_that_cannot_be_torn_down_can_be_forgotten(world: World) -> None:
    environment = failed(world)

    shown = world.forget(environment)
    world.recover(4)

    record = world.look(environment)
    assert (shown, record["status"], record["forgotten"]) == ("destroyed", "destroyed", True)
    # The failure still lists the remaining resources.
    failure = environment_records.to_model(record).failure
    assert failure and failure.reason == "service: It is protected"
    assert failure.remaining_resources == ["service"]
    assert world.events(environment)[-1]["reason"] == "What remains: service"
    assert len(teardowns(world)) == 1
    assert world.look(world.project)["environments"] == 0
    assert world.items("NAME#preview") == world.items("LEASE") == []


def test_a_teardown_that_could_not_record_its_failure_is_repaired(world: World) -> None:
    environment = world.running()
    world.when(RETIRE, REFUSED)
    world.when(SAYS, faults.fails, times=9)
    world.delete(environment)
    world.settle()
    assert world.look(environment)["status"] == "tearing_down"

    world.recover(4)

    assert world.look(environment)["status"] == "destroyed"
    assert world.look(environment)["teardown_attempts"] == 2


def test_an_attempt_that_has_ended_does_not_write_over_the_next(world: World) -> None:
    environment = world.running()
    world.when(RETIRE, REFUSED)

    def retried_before_the_answer_is_lost(perform: Perform, refusal: Refusal) -> Any:
        perform()
        world.schedule.sleep(1)
        world.retry(environment)
        raise refusal("lost")

    world.when(SAYS, retried_before_the_answer_is_lost)
    world.delete(environment)

    world.settle()

    assert world.look(environment)["status"] == "destroyed"
    assert [each.status for each in teardowns(world)] == ["FAILED", "SUCCEEDED"]
