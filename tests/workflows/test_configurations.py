"""Configurations: fixed when a deployment begins, delivered, and removed when unused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from slipway.aws import configurations
from slipway.domain.ids import EnvironmentId
from slipway.errors import DriverRefused
from slipway.services import delivery
from tests.support.store.configuring import configure, configure_project, rewrite
from tests.support.workflows import faults
from tests.support.workflows.configuring import delivered, stored
from tests.support.workflows.emulator import ssm
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("workflows")

STRAIGHT = 8


def ship(world: World, environment: EnvironmentId, version: str = "v1") -> Any:
    """Deploy the version, and return the record of the deployment once nothing more happens."""
    deployment = world.deploy(environment, version)
    world.settle()
    return world.look(deployment)


def test_a_deployment_brings_the_newest_configuration(world: World) -> None:
    environment = world.running()
    configure(environment, {"LEVEL": "debug"}, {"TOKEN": "s3cret"})

    deployment = ship(world, environment)

    assert (deployment["status"], deployment["configuration"]) == ("succeeded", 1)
    assert world.look(environment)["live_configuration"] == 1
    assert delivered(environment) == {"1": {"LEVEL": "debug", "TOKEN": "s3cret"}}
    kinds = {name.rpartition("/")[2]: each["Type"] for name, each in ssm._parameters.items()}
    assert (kinds["LEVEL"], kinds["TOKEN"]) == ("String", "SecureString")


def test_a_deployment_without_a_configuration_writes_and_asks_nothing(world: World) -> None:
    environment = world.running()

    deployment = ship(world, environment)

    assert "configuration" not in deployment
    assert "live_configuration" not in world.look(environment)
    assert not [call.name for call in world.calls.made if " > ssm " in call.name]


def test_a_deployment_with_fifty_variables_takes_no_more_transitions_than_one_without(
    world: World,
) -> None:
    environment = world.running()
    first = world.deploy(environment, "v1")
    world.settle()
    configure(environment, {f"NAME_{n}": str(n) for n in range(50)})

    second = world.deploy(environment, "v2")
    world.settle()

    plain, configured = (world.execution("roll_out_deployment", each) for each in (first, second))
    assert len(delivered(environment)["1"]) == 50
    assert configured.transitions <= plain.transitions


def test_what_takes_longer_than_a_step_goes_on_in_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store takes a write in a third of a second, and 200 names are as many as there may be."""
    stock = configurations._put

    def slowly(*given: Any) -> None:
        world.schedule.sleep(1 / 3)
        stock(*given)

    monkeypatch.setattr(configurations, "_put", slowly)
    environment = world.running()
    configure(environment, {f"NAME_{n}": str(n) for n in range(200)})

    deployment = world.deploy(environment, "v1")
    world.settle()

    assert world.look(deployment)["status"] == "succeeded"
    assert len(delivered(environment)["1"]) == 200
    said = [message for _, message in world.logs(deployment)]
    assert said[0].startswith("Configuration 1: 149 of 200 are still to be written; next look in ")
    assert world.execution("roll_out_deployment", deployment).transitions < 25


def test_a_change_of_the_project_is_a_version_of_its_own_at_the_next_deployment(
    world: World,
) -> None:
    environment = world.running()
    configure(environment, {"OWN": "1"})
    configure_project(world.project, {"SHARED": "a", "OWN": "hidden"}, {"KEY": "k"})
    assert world.look(environment)["configuration"] == 1

    deployment = ship(world, environment)

    assert deployment["configuration"] == 2
    record = world.look(environment)
    assert (record["configuration"], record["live_configuration"]) == (2, 2)
    assert record["configuration_levels"] == {"project": 1}
    assert delivered(environment) == {"2": {"OWN": "1", "SHARED": "a", "KEY": "k"}}


def test_a_deployment_of_the_same_configuration_writes_nothing(world: World) -> None:
    environment = world.running()
    configure(environment, {"LEVEL": "debug"})
    ship(world, environment)
    world.calls.made.clear()

    deployment = ship(world, environment, "v2")

    assert deployment["configuration"] == 1
    assert not [call.name for call in world.calls.made if " > ssm " in call.name]


def test_a_change_while_one_rolls_out_is_for_the_next(world: World) -> None:
    environment = world.running()
    configure(environment, {"LEVEL": "one"})
    deployment = world.deploy(environment, "v1")
    world.run_until(lambda: world.look(deployment)["status"] == "running")
    configure(environment, {"LEVEL": "two"})
    world.settle()

    assert world.look(deployment)["configuration"] == 1
    assert world.look(environment)["live_configuration"] == 1
    assert ship(world, environment, "v2")["configuration"] == 2
    assert delivered(environment)["2"] == {"LEVEL": "two"}


def test_a_failed_deployment_leaves_the_configuration_that_was_live(world: World) -> None:
    environment = world.environment(
        simulate={"ship": {"version": "bad", "refuse": "No such image"}}
    )
    configure(environment, {"LEVEL": "one"})
    ship(world, environment)
    configure(environment, {"LEVEL": "two"})

    deployment = ship(world, environment, "bad")

    assert (deployment["status"], deployment["configuration"]) == ("rolled_back", 2)
    assert world.look(environment)["live_configuration"] == 1
    assert delivered(environment)["1"] == {"LEVEL": "one"}


def test_a_store_without_room_fails_the_deployment_with_its_reason(world: World) -> None:
    environment = world.running()
    ship(world, environment)
    configure(environment, {"LEVEL": "one"})
    full = DriverRefused("ParameterLimitExceeded: 10000 parameters is the limit")
    world.when("Ship > ssm PutParameter", faults.raises(full))

    deployment = ship(world, environment, "v2")

    assert deployment["status"] == "rolled_back"
    assert "ParameterLimitExceeded" in str(deployment["failure"])
    assert world.look(environment)["live_version"] == "v1"


def test_versions_that_none_of_the_last_ten_deployments_names_are_removed(world: World) -> None:
    environment = world.running()
    for number in range(1, 13):
        configure(environment, {"NUMBER": str(number)})
        assert ship(world, environment, f"v{number}")["configuration"] == number

    assert sorted(map(int, delivered(environment))) == list(range(3, 13))
    record = world.look(environment)
    assert sorted(map(int, record["delivered"])) == list(range(3, 13))


def test_what_is_live_stays_however_many_deployments_have_failed(world: World) -> None:
    environment = world.environment(
        simulate={"ship": {"version": "bad", "refuse": "No such image"}}
    )
    configure(environment, {"LEVEL": "live"})
    ship(world, environment)
    for number in range(2, 14):
        configure(environment, {"LEVEL": str(number)})
        ship(world, environment, "bad")
    ship(world, environment, "v2")

    # The first was live until the end of this deployment.
    there = sorted(map(int, delivered(environment)))
    assert there == [1, *range(5, 14)]
    assert world.look(environment)["live_configuration"] == 13
    ship(world, environment, "v3")
    assert min(map(int, delivered(environment))) > 1


def test_what_is_purged_while_it_is_written_does_not_stay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = world.running()
    configure(environment, {"LEVEL": "one", "LEAK": "oops"})
    stock = configurations._put

    def purged_meanwhile(name: str, kind: str, value: str) -> None:
        """The table no longer has it, and what was delivered is removed, just before."""
        if name.endswith("/LEAK"):
            rewrite(environment, 1, without="LEAK")
            delivery.forget(world.look(environment), "LEAK")
        stock(name, kind, value)

    monkeypatch.setattr(configurations, "_put", purged_meanwhile)

    assert ship(world, environment)["status"] == "succeeded"
    assert delivered(environment) == {"1": {"LEVEL": "one"}}


def test_a_teardown_leaves_nothing_in_the_parameter_store(world: World) -> None:
    environment = world.running()
    configure(environment, {f"NAME_{n}": str(n) for n in range(25)}, {"TOKEN": "s3cret"})
    ship(world, environment)

    world.delete(environment)
    world.settle()

    assert world.look(environment)["status"] == "destroyed"
    assert stored() == {}


def test_what_a_late_step_writes_after_the_teardown_is_removed(world: World) -> None:
    environment = world.running()
    configure(environment, {"LEVEL": "one"})
    ship(world, environment)
    world.delete(environment)
    world.settle()
    late = configurations.Configured({"LEVEL": "two"}, {})
    configurations.write(str(environment), 2, late, timedelta(seconds=1))
    assert stored() != {}

    world.recover(14)

    assert stored() == {}
    assert not world.items("SECRETS")


def test_a_forgotten_environment_leaves_nothing_in_the_parameter_store(world: World) -> None:
    environment = world.running()
    configure(environment, {"LEVEL": "one"}, {"TOKEN": "s3cret"})
    ship(world, environment)
    refused = faults.raises(DriverRefused("It is protected"))
    world.when("Retire > driver retire service", refused, times=None)
    world.delete(environment)
    world.settle()

    world.forget(environment)
    world.recover(14)

    assert world.look(environment)["status"] == "destroyed"
    assert stored() == {}


def test_a_deployment_that_is_canceled_while_it_writes_is_taken_back(world: World) -> None:
    environment = world.running()
    ship(world, environment)
    configure(environment, {"LEVEL": "one"})
    deployment = world.deploy(environment, "v2")
    world.run_until(lambda: world.look(deployment)["status"] == "running")
    world.cancel(deployment)
    world.settle()

    assert world.look(deployment)["status"] == "canceled"
    assert world.look(environment).get("live_configuration", 0) == 0
