"""Two at once: one wins, the other is told, and nothing is in between.

The second acts before each call of the first: once for every moment there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from random import Random

import pytest

from slipway.domain.environment import OnConflict
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.errors import (
    Busy,
    DeploymentFinished,
    DriverRefused,
    EnvironmentGoing,
    EnvironmentNotReady,
    NameTaken,
    NothingToRetry,
    QueueBusy,
    Refused,
)
from tests.support.workflows import faults
from tests.support.workflows.invariants import broken
from tests.support.workflows.world import World

pytestmark = [pytest.mark.no_cover, pytest.mark.independent]


Act = Callable[[World], object]


def moments_of(prepare: Act, first: Act, whose: str) -> list[int]:
    """The numbers of the calls by which `first`, and what follows from it, is done."""
    with World(simulated_seconds=0.5) as world:
        prepare(world)
        begin = len(world.calls.made)
        first(world)
        world.run(60)
        return [call.n for call in world.calls.made[begin:] if fnmatchcase(call.name, whose)]


def interleaved(
    prepare: Act, first: Act, second: Act, whose: str = "*"
) -> Iterator[tuple[World, object]]:
    """The world after both, and what the second was told: its result, or its refusal's class.

    Once for each moment of the first when the second may act.
    """
    moments = moments_of(prepare, first, whose)
    assert len(moments) > 1
    for n in moments:
        told: list[object] = []
        with World(simulated_seconds=0.5) as world:
            prepare(world)
            world.when(n, faults.preceded_by(partial(_answered, second, world, told)))
            first(world)
            world.run(60)
            assert len(told) == 1
            yield world, told[0]


def _answered(act: Act, world: World, told: list[object]) -> None:
    """Keep what the actor is told: the result, or the refusal's class."""
    try:
        told.append(act(world))
    except Refused as refused:
        told.append(type(refused))


def the_environment(world: World) -> EnvironmentId:
    [found] = [each for each in world.environments() if each.p == world.project.p]
    return found


def the_deployment(world: World) -> DeploymentId:
    [found] = world.deployments()
    return found


def come_to_rest(world: World) -> list[str]:
    for _ in range(4):
        world.recover()
    return broken(world)


def nearly_over(world: World) -> None:
    world.running(ttl_hours=1)
    world.run(3569)


def extend(world: World) -> object:
    return world.extend(the_environment(world), 2).status


def pin(world: World) -> object:
    return world.pin(the_environment(world)).status


@pytest.mark.parametrize("keep", [extend, pin])
def test_keeping_an_environment_that_expires_at_once_is_refused(environ: None, keep: Act) -> None:
    for world, told in interleaved(nearly_over, lambda world: world.run(3), keep):
        assert told is EnvironmentGoing
        assert world.look(the_environment(world))["status"] == "destroyed"
        assert come_to_rest(world) == []


@pytest.mark.parametrize("keep", [extend, pin])
def test_an_environment_that_expires_while_it_is_kept_ends(environ: None, keep: Act) -> None:
    told: list[object] = []

    def first(world: World) -> None:
        _answered(keep, world, told)

    for world, _ in interleaved(nearly_over, first, lambda world: world.run(2), whose="test > *"):
        assert told.pop() is EnvironmentGoing
        assert world.look(the_environment(world))["status"] == "destroyed"
        assert come_to_rest(world) == []


@pytest.mark.parametrize("keep", [extend, pin])
def test_an_environment_that_is_kept_just_before_its_end_does_not_expire(
    environ: None, keep: Act
) -> None:
    with World(simulated_seconds=0.5) as world:
        nearly_over(world)
        world.run(0.9)

        told = keep(world)
        world.run(7100)

        assert (told, world.look(the_environment(world))["status"]) == ("running", "running")


def test_deleting_at_any_moment_of_provisioning_leaves_nothing(environ: None) -> None:
    shown: Counter[object] = Counter()
    for world, told in interleaved(
        lambda world: world.project,
        lambda world: world.environment(ttl_hours=1),
        lambda world: [world.delete(each) for each in world.environments()],
    ):
        shown[str(told)] += 1
        statuses = {world.look(each)["status"] for each in world.environments()}
        # Before it was asked for there was nothing to delete.
        assert statuses == ({"destroyed"} if told else {"running"})
        assert bool(world.infrastructure.exists) == (not told)
        world.run(3600)
        assert come_to_rest(world) == []

    assert len(shown) == 2


def test_deleting_at_any_moment_of_a_rollout_cancels_it_or_follows_it(environ: None) -> None:
    ends: Counter[str] = Counter()

    def deploy(world: World) -> None:
        try:
            world.deploy(the_environment(world))
        except EnvironmentNotReady:
            ends["told"] += 1

    for world, _ in interleaved(
        lambda world: world.running(),
        deploy,
        lambda world: world.delete(the_environment(world)),
    ):
        for deployment in world.deployments():
            ends[world.look(deployment)["status"]] += 1
        assert world.look(the_environment(world))["status"] == "destroyed"
        assert come_to_rest(world) == []

    assert set(ends) == {"told", "canceled", "succeeded"}


def test_canceling_at_any_moment_stops_a_rollout_or_says_that_it_succeeded(environ: None) -> None:
    def cancel(world: World) -> object:
        return [world.cancel(each) for each in world.deployments()]

    ends: Counter[tuple[str, str]] = Counter()
    for world, told in interleaved(
        lambda world: world.running(),
        lambda world: world.deploy(the_environment(world)),
        cancel,
    ):
        status = world.look(the_deployment(world))["status"]
        ends["told" if told is DeploymentFinished else str(told), status] += 1
        assert ("live_version" in world.look(the_environment(world))) == (status == "succeeded")
        assert come_to_rest(world) == []

    assert set(ends) == {
        ("[]", "succeeded"),
        ("['canceled']", "canceled"),
        ("['running']", "canceled"),
        ("['pending']", "canceled"),
        # It looked for the last time, and success wins.
        ("['running']", "succeeded"),
        ("told", "succeeded"),
    }


def test_one_of_two_simultaneous_environments_with_one_name_is_created(environ: None) -> None:
    results = []

    def first(world: World) -> None:
        try:
            world.environment()
            results.append("first")
        except NameTaken:
            results.append("told")

    for world, told in interleaved(
        lambda world: world.project, first, lambda world: str(world.environment())
    ):
        assert {results.pop(), told} in (
            {"first", NameTaken},
            {"told", str(the_environment(world))},
        )
        assert world.look(world.project)["environments"] == 1
        assert come_to_rest(world) == []


def test_a_teardown_retried_by_a_user_and_by_reconcile_at_once_runs_once(environ: None) -> None:
    def failed(world: World) -> None:
        environment = world.running()
        world.when(
            "Retire > driver retire service", faults.raises(DriverRefused("It is protected"))
        )
        world.delete(environment)
        world.run(120)

    results: Counter[object] = Counter()
    for world, told in interleaved(
        failed, lambda world: world.reconcile(), lambda world: world.retry(the_environment(world))
    ):
        results[told] += 1
        record = world.look(the_environment(world))
        assert (record["status"], record["teardown_attempts"]) == ("destroyed", 2)
        assert come_to_rest(world) == []

    assert set(results) == {"tearing_down", NothingToRetry}


@pytest.mark.parametrize("on_conflict", ["queue", "supersede", "cancel_running", "reject"])
def test_fifty_simultaneous_deployments_are_accepted_or_refused_and_none_is_lost(
    environ: None, on_conflict: OnConflict
) -> None:
    chance = Random(50)
    with World(simulated_seconds=0.5) as world:
        environment = world.running()
        told: dict[str, DeploymentId | type[Refused]] = {}

        def deploy(version: str) -> None:
            while version not in told:
                try:
                    told[version] = world.deploy(environment, version, on_conflict=on_conflict)
                except Busy:
                    world.schedule.sleep(1)
                except QueueBusy as refused:
                    told[version] = type(refused)

        # Every caller lets the others go first.
        world.when(
            "test > *",
            faults.preceded_by(lambda: world.schedule.sleep(chance.random() / 20)),
            times=None,
        )
        for n in range(50):
            world.schedule.start(f"user {n}", partial(deploy, f"v{n}"))
        world.run(600)

        statuses = [world.look(each)["status"] for each in world.deployments()]
        accepted = [each for each in told.values() if isinstance(each, DeploymentId)]
        assert len(told) == 50
        assert sorted(accepted) == world.deployments()
        assert statuses[-1] == "succeeded"
        match on_conflict:
            case "queue":
                assert statuses == ["succeeded"] * 50
            case "reject":
                assert statuses == ["succeeded"]
            case _:
                assert len(statuses) == 50
                assert {*statuses} <= {"superseded", "canceled", "succeeded"}
                assert statuses.count("superseded") > 25
        assert come_to_rest(world) == []
