"""One fault, at any call: whatever is lost, refused or done twice, the end is the same."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.errors import DriverRefused
from tests.workflows import faults
from tests.workflows.world import World


def everything_works(world: World) -> None:
    environment = world.environment(ttl_hours=1)
    world.deploy(environment, "v1")


def everything_fails(world: World) -> None:
    refused = faults.raises(DriverRefused("No"))
    world.when("Ship > driver ship", refused, times=None)
    world.when("Retire > driver retire", refused, times=None)
    environment = world.environment(ttl_hours=1)
    world.deploy(environment, "v1")


def nothing_is_made(world: World) -> None:
    world.when("Provision > driver provision", faults.raises(DriverRefused("No")), times=None)
    environment = world.environment(ttl_hours=1)
    world.deploy(environment, "v1")


def given_back_while_it_ships(world: World) -> None:
    environment = world.environment(ttl_hours=1)
    deployment = world.deploy(environment, "v1")
    world.run_until(
        lambda: (
            world.look(deployment)["status"] == "running"
            and world.execution("provision_environment", environment).status == "SUCCEEDED"
        )
    )
    world.delete(environment)


LEFT = ("LEASE", "NAME#preview", "LOCK")


def end(world: World) -> Any:
    """What everybody can see at last, and how each execution ended."""
    things = [
        (item.get("status"), item.get("failure"), item.get("live_version"), item.get("token"))
        for item in world.items("")
        if item["sk"]["S"].startswith(("ENV#", "DEP#"))
    ]
    left = sorted(item["sk"]["S"] for item in world.items("") if item["sk"]["S"] in LEFT)
    executions = sorted((each.workflow, each.status, each.error) for each in world.executions())
    return things, left, executions, world.dead_letters, world.look(world.project)["environments"]


@pytest.mark.parametrize(
    ("story", "fault"),
    [
        (everything_works, "lost"),
        (everything_works, "twice"),
        (everything_fails, "lost"),
        (nothing_is_made, "lost"),
        (given_back_while_it_ships, "lost"),
    ],
)
def test_one_fault_anywhere_changes_nothing_in_the_end(
    environ: None, story: Any, fault: str
) -> None:
    def told(n: int | None) -> tuple[Any, list[str]]:
        with World(simulated_seconds=0.5) as world:
            if n is not None:
                world.when(n, faults.FAULTS[fault])
            story(world)
            world.run(7200)
            return end(world), [call.name for call in world.calls.made]

    wanted, calls = told(None)
    numbers = [n for n, name in enumerate(calls) if not name.startswith("test > ")]

    other = {n: calls[n] for n in numbers if told(n)[0] != wanted}

    assert other == {}
    assert len(numbers) > 25
