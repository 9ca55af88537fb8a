"""Leases that people extend, touch, pin and unpin."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from slipway.domain import timestamps
from slipway.domain.ids import EnvironmentId
from slipway.errors import EnvironmentGoing, NoLease, TtlExceedsPolicy
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("workflows")


HOUR = 3600.0


def ends(world: World, environment: EnvironmentId) -> datetime:
    return datetime.fromisoformat(world.look(environment)["expires_at"])


def late(world: World, environment: EnvironmentId, end: datetime) -> timedelta:
    """How long after `end` it was gone."""
    record = world.look(environment)
    assert record["status"] == "destroyed"
    return datetime.fromisoformat(record["destroyed_at"]) - end


def idle(world: World, ttl_hours: float = 1, most: float = 5) -> EnvironmentId:
    project = world.new_project("idlers", expiry_mode="idle", max_ttl_hours=most)
    return world.running(ttl_hours=ttl_hours, project=project)


def test_an_extended_lease_ends_to_the_second(world: World) -> None:
    environment = world.running(ttl_hours=1)

    before = timestamps.now()
    shown = world.extend(environment, 3)
    end = ends(world, environment)
    world.run(2 * HOUR)
    between = world.look(environment)["status"]
    world.run(2 * HOUR)

    assert timedelta(0) <= end - timestamps.hours_after(before, 3) < timedelta(seconds=1)
    assert (shown.expires_at, between) == (end, "running")
    assert timedelta(0) < late(world, environment, end) < timedelta(seconds=5)


def test_every_extension_postpones_the_end(world: World) -> None:
    environment = world.running(ttl_hours=1)

    for _ in range(4):
        world.run(0.9 * HOUR)
        world.extend(environment, 1)
    end = ends(world, environment)
    world.run(2 * HOUR)

    assert timedelta(0) < late(world, environment, end) < timedelta(seconds=5)
    states = world.execution("expire_environment", environment).states
    assert states.count("What is due?") == 4


def test_an_extension_never_passes_the_policy_and_never_shortens(world: World) -> None:
    project = world.new_project("short", max_ttl_hours=4)
    environment = world.running(ttl_hours=2, project=project)
    before = ends(world, environment)

    with pytest.raises(TtlExceedsPolicy):
        world.extend(environment, 4.1)
    world.extend(environment, 1)

    assert ends(world, environment) == before


def test_ttl_does_not_end_an_extended_environment(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.stop("expire_environment", environment)

    world.extend(environment, 3)
    world.run(2 * HOUR)
    early = world.sweep_ttl()
    world.run(2 * HOUR)
    swept = world.sweep_ttl()
    world.settle()

    assert (early, swept) == (0, 1)
    assert world.look(environment)["status"] == "destroyed"


def test_a_pinned_environment_outlives_its_lease_until_it_is_unpinned(world: World) -> None:
    environment = world.running(ttl_hours=1)

    world.pin(environment)
    world.run(100 * HOUR)
    world.sweep_ttl()
    world.reconcile()
    world.run(60)
    pinned = world.look(environment)
    shown = world.unpin(environment)
    world.run(2 * HOUR)

    assert (pinned["status"], "expires_at" in pinned) == ("running", False)
    assert shown.expires_at is not None
    assert timedelta(0) < late(world, environment, shown.expires_at) < timedelta(seconds=5)
    # The one that waited found nothing to do, and the lease's second time had one of its own.
    ended = [each for each in world.executions() if each.workflow == "expire_environment"]
    assert [(each.name, each.states[-1]) for each in ended] == [
        (str(environment), "Nothing left to do"),
        (f"{environment}-2", "End the environment"),
    ]


def test_an_environment_unpinned_before_its_old_end_ends_once(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.pin(environment)
    world.run(600)

    shown = world.unpin(environment)
    world.run(3 * HOUR)

    assert shown.expires_at is not None
    assert timedelta(0) < late(world, environment, shown.expires_at) < timedelta(seconds=5)
    ended = [each for each in world.executions() if each.workflow == "expire_environment"]
    assert sorted(each.states[-1] for each in ended) == [
        "End the environment",
        "Nothing left to do",
    ]
    assert len(world.executions_of("retire_environment", environment)) == 1


def test_an_environment_unpinned_past_its_policy_ends_at_once(world: World) -> None:
    project = world.new_project("short", max_ttl_hours=2)
    environment = world.running(ttl_hours=1, project=project)
    world.pin(environment)
    world.run(10 * HOUR)

    world.unpin(environment)
    world.run(60)

    assert world.look(environment)["status"] == "destroyed"


def test_pinning_twice_changes_nothing_and_unpinning_without_a_pin_is_refused(world: World) -> None:
    environment = world.running(ttl_hours=1)

    with pytest.raises(NoLease):
        world.unpin(environment)
    first, again = world.pin(environment), world.pin(environment)
    with pytest.raises(NoLease):
        world.extend(environment, 2)

    assert first.version == again.version
    assert world.items("LEASE") == []


def test_an_environment_pinned_during_provisioning_has_an_end_after_unpinning(world: World) -> None:
    world.hold_the_stream()
    environment = world.environment(ttl_hours=1)
    world.pin(environment)
    world.release_the_stream()
    world.run(60)

    assert world.executions_of("expire_environment", environment) == []
    world.unpin(environment)
    world.run(2 * HOUR)

    assert world.look(environment)["status"] == "destroyed"


def test_a_deployment_restarts_an_idle_lease(world: World) -> None:
    environment = idle(world)
    world.run(0.9 * HOUR)

    deployment = world.deploy(environment)
    world.run(0.5 * HOUR)

    finished = datetime.fromisoformat(world.look(deployment)["finished_at"])
    assert world.look(environment)["status"] == "running"
    assert ends(world, environment) == finished + timedelta(hours=1)
    world.run(HOUR)
    assert late(world, environment, finished + timedelta(hours=1)) < timedelta(seconds=5)


def test_a_touched_environment_lives_on_but_not_past_the_policy(world: World) -> None:
    environment = idle(world, most=3)
    most = datetime.fromisoformat(world.look(environment)["max_expires_at"])

    for _ in range(5):
        world.run(0.5 * HOUR)
        world.touch(environment)
    world.run(HOUR)

    assert timedelta(0) < late(world, environment, most) < timedelta(seconds=5)


def test_a_deployment_does_not_restart_an_absolute_lease(world: World) -> None:
    environment = world.running(ttl_hours=1)
    before = ends(world, environment)

    world.deploy(environment)
    world.settle()

    assert ends(world, environment) == before
    with pytest.raises(NoLease):
        world.touch(environment)


def test_a_late_record_of_a_success_renews_the_lease_from_its_time(world: World) -> None:
    environment = idle(world)
    deployment = world.deploy(environment)
    world.run_until(lambda: world.look(deployment)["status"] == "succeeded")
    world.hold_the_stream()
    world.run(0.8 * HOUR)

    world.release_the_stream()
    world.run(60)

    finished = datetime.fromisoformat(world.look(deployment)["finished_at"])
    assert ends(world, environment) == finished + timedelta(hours=1)


def test_an_overdue_environment_cannot_be_extended(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.stop("expire_environment", environment)
    world.run(HOUR)

    with pytest.raises(EnvironmentGoing):
        world.extend(environment, 2)
    with pytest.raises(EnvironmentGoing):
        world.pin(environment)

    world.recover(2)
    assert world.look(environment)["status"] == "destroyed"
