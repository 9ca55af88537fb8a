"""A crash at every call of environments that are stacks: CloudFormation's calls among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest

from slipway import aws, drivers
from slipway.drivers.simulated import Simulated
from slipway.drivers.stacks import stack_name
from tests.workflows import faults, test_crashes
from tests.workflows.invariants import broken
from tests.workflows.stacks import STUCK, OfOneTemplate, Stacks
from tests.workflows.test_crashes import ROUNDS, ask, chosen, deploy, environment
from tests.workflows.world import World


def one_update_fails(world: World) -> None:
    where = environment(world, ttl_hours=1)
    for version in ("broken", "v1", "broken"):
        deploy(world, where, version)


def one_update_never_ends(world: World) -> None:
    where = environment(world)
    deploy(world, where, "v1")
    world.run(60)
    deploy(world, where, "endless")


def nobody_answers_any_more(world: World) -> None:
    """The update goes on, and ends well when nobody looks."""
    where = environment(world)
    deploy(world, where, "v1")
    world.run(60)
    world.when("Ship > cloudformation describe_stacks", faults.fails, times=12, skip=2)
    deploy(world, where, "v2")


def one_resource_is_retained(world: World) -> None:
    where = environment(world)
    deploy(world, where, STUCK)
    world.run(30)
    ask(lambda: world.delete(where))
    # Whoever wants to keep it asks until that is written down.
    for _ in range(6):
        world.run(60)
        ask(lambda: world.retry(where, "Data"))
        if world.look(where).get("retain") or world.look(where)["status"] == "destroyed":
            return


SCENARIOS = [
    test_crashes.canceled,
    test_crashes.deleted_while_it_comes_up,
    test_crashes.deleted_while_it_ships,
    one_update_fails,
    one_update_never_ends,
    nobody_answers_any_more,
    one_resource_is_retained,
]


@pytest.fixture(autouse=True)
def _driver(environ: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # The invariants ask for what the one driver of a world makes.
    monkeypatch.setattr(Simulated, "resources", OfOneTemplate.resources)
    bucket = SimpleNamespace(meta=SimpleNamespace(endpoint_url="https://s3.example.com"))
    monkeypatch.setattr(aws, "client", lambda service: bucket)


def lived(story: Callable[[World], None], n: int | None, crash: str) -> tuple[list[str], list[str]]:
    """As for the other crashes."""
    with World() as world, pytest.MonkeyPatch.context() as patch:
        stacks = Stacks(world.emulator)
        patch.setitem(drivers.DRIVERS, "simulated", OfOneTemplate)
        if story is one_update_never_ends:
            patch.setattr(drivers, "LONGEST", timedelta(seconds=5))
        patch.setattr(aws, "call", stacks.call)
        patch.setattr(
            world.infrastructure,
            "of",
            lambda e: {"stack"} if stacks.find(stack_name(e)) else set(),
        )
        patch.setattr(world.infrastructure, "version_in", stacks.version_in)
        assert world.project
        world.calls.made.clear()
        if n is not None:
            times = None if crash == "dies" else 1
            world.when(n, faults.CRASHES[crash], times)
        story(world)
        world.run(7200)
        calls = [call.name for call in world.calls.made]
        for _ in range(ROUNDS):
            world.recover()
            if not any("due" in item for item in world.items("")):
                break
        return calls, broken(world) + list(wrong(world, stacks))


def wrong(world: World, stacks: Stacks) -> Iterator[str]:
    """What is true of stacks in particular."""
    if len(set(stacks.begun)) != len(stacks.begun):
        yield f"Something was begun twice: {stacks.begun}"
    for each in world.environments():
        item, stack = world.look(each), stacks.find(stack_name(str(each)))
        if item["status"] in ("destroyed", "failed") and stack and not item.get("resources"):
            yield f"{each} is {item['status']}, and nobody knows of its stack"
        gone = item["status"] != "teardown_failed" or "retain" in item
        if stack and stack.version == STUCK and gone:
            yield f"{each} is {item['status']}, and its stack is {stack.status}"
        if item.get("retain") and not stack and stack_name(str(each)) not in stacks.kept:
            yield f"{each} does not have what was to be retained"


@pytest.mark.parametrize("story", SCENARIOS, ids=lambda story: story.__name__)
def test_a_crash_at_any_call_leaves_no_stack_behind(
    story: Callable[[World], None], record_property: Callable[[str, object], None]
) -> None:
    calls, unharmed = lived(story, None, "")

    cases = list(chosen(lived, SCENARIOS, story))
    harm = {
        f"call {n}, {calls[n]}, {crash}": found
        for n, crash in cases
        if (found := lived(story, n, crash)[1])
    }

    record_property("cases", len(cases))
    assert any("cloudformation" in name for name in calls)
    assert unharmed == []
    assert harm == {}
    assert len(cases) >= 20
