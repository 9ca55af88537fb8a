"""One deployment at a time in an environment, in the order of acceptance."""

from __future__ import annotations

import pytest

from slipway.domain.ids import DeploymentId
from slipway.errors import DriverRefused, EnvironmentNotReady
from tests.support.workflows import faults
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("workflows")


def spans(world: World, queue: list[DeploymentId]) -> list[tuple[str, str]]:
    records = [world.look(each) for each in queue]
    return [(record["started_at"], record["finished_at"]) for record in records]


def test_ten_deployments_run_one_after_another_in_the_order_of_acceptance(world: World) -> None:
    environment = world.running()

    queue = [world.deploy(environment, f"v{n}") for n in range(10)]
    world.settle()

    assert [world.look(each)["status"] for each in queue] == ["succeeded"] * 10
    assert [world.look(each)["token"] for each in queue] == list(range(1, 11))
    moments = [moment for span in spans(world, queue) for moment in span]
    assert moments == sorted(moments)
    assert world.look(environment)["live_version"] == "v9"
    assert world.holder(environment) is None and world.items("QUEUE#") == []


def test_deployments_wait_while_the_environment_is_provisioned(world: World) -> None:
    environment = world.environment()

    queue = [world.deploy(environment, f"v{n}") for n in range(3)]
    waiting = [world.look(each)["status"] for each in queue]
    world.settle()

    assert waiting == ["pending"] * 3
    assert [world.look(each)["status"] for each in queue] == ["succeeded"] * 3
    assert spans(world, queue) == sorted(spans(world, queue))


def test_two_environments_do_not_wait_for_each_other(world: World) -> None:
    one, two = world.running(name="one"), world.running(name="two")

    first, second = world.deploy(one), world.deploy(two)
    world.settle()

    (began, _), (_, ended) = spans(world, [second])[0], spans(world, [first])[0]
    assert began < ended


def test_a_failed_rollout_passes_the_lock_on(world: World) -> None:
    environment = world.running()
    world.when("Ship > driver ship", faults.raises(DriverRefused("No such image")))

    queue = [world.deploy(environment, f"v{n}") for n in range(3)]
    world.settle()

    assert [world.look(each)["status"] for each in queue] == ["failed", "succeeded", "succeeded"]
    assert world.look(environment)["live_version"] == "v2"


def test_a_rollout_that_is_rolled_back_passes_the_lock_on(world: World) -> None:
    environment = world.environment(simulate={"ship": {"version": "v1", "refuse": "No such image"}})

    queue = [world.deploy(environment, f"v{n}") for n in range(3)]
    world.settle()

    statuses = [world.look(each)["status"] for each in queue]
    assert statuses == ["succeeded", "rolled_back", "succeeded"]
    assert [began for began, _ in spans(world, queue)] == sorted(
        [began for began, _ in spans(world, queue)]
    )
    assert world.infrastructure.versions[str(environment)] == "v2"


def test_waiting_in_the_queue_makes_no_calls(world: World) -> None:
    environment = world.running()
    queue = [world.deploy(environment, f"v{n}") for n in range(3)]
    world.run_until(lambda: world.look(queue[0])["status"] == "running")

    before = len(world.calls.made)
    world.run(1)

    # The stream tells that the first began; then there is silence until it asks again.
    made = {call.name for call in world.calls.made[before:]}
    assert not made & {"dispatch > dynamodb TransactWriteItems", "dispatch > states StartExecution"}
    assert [call for call in world.calls.made if "roll_out_deployment/Begin" in call.name] != []
    assert len(list(world.executions())) == 2


@pytest.mark.parametrize("fault", ["fails", "lost", "throttled", "twice"])
def test_a_lock_is_not_lost_with_the_execution_of_its_holder(world: World, fault: str) -> None:
    environment = world.running()
    # As often as the library itself tries, and the batch is given to dispatch again.
    world.when("dispatch > states StartExecution", faults.FAULTS[fault], times=5)

    queue = [world.deploy(environment, f"v{n}") for n in range(6)]
    world.settle()

    assert [world.look(each)["status"] for each in queue] == ["succeeded"] * 6
    assert [world.look(each)["token"] for each in queue] == list(range(1, 7))


def test_a_deployment_accepted_while_the_environment_goes_is_canceled(
    world: World,
) -> None:
    environment = world.running()
    world.hold_the_stream()
    deployment = world.deploy(environment)
    world.delete(environment)

    with pytest.raises(EnvironmentNotReady):
        world.deploy(environment)
    world.release_the_stream()
    world.settle()

    assert world.look(deployment)["status"] == "canceled"
    assert world.executions_of("roll_out_deployment", deployment) == []
    assert world.items("QUEUE#") == []


def test_a_long_queue_is_canceled_to_its_end(world: World) -> None:
    environment = world.environment()
    queue = [world.deploy(environment, f"v{n}") for n in range(60)]

    world.delete(environment)
    world.settle()

    assert {world.look(each)["status"] for each in queue} == {"canceled"}
    assert world.items("QUEUE#") == []
