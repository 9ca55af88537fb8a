"""Scenarios of users and environments for the crash tests."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from slipway.domain.environment_requests import EnvironmentChange
from slipway.domain.ids import DeploymentId, EnvironmentId, parse_deployment, parse_environment
from slipway.domain.project import ProjectChange
from slipway.domain.rollback import NewRollback
from slipway.errors import DriverRefused, Fault, Refused, RetryLater
from slipway.services import changes, holds, projects, rollbacks
from tests.support.store.configuring import configure, configure_project
from tests.support.workflows import faults
from tests.support.workflows.faults import Died
from tests.support.workflows.world import OWNER, World

REFUSED = faults.raises(DriverRefused("It is protected"))
RETIRE = "Retire > driver retire service"


def ask(action: Callable[[], object]) -> None:
    """Act like a user: ask again after a fault or without an answer."""
    for _ in range(2):
        try:
            action()
        except (Fault, RetryLater, Died):
            continue
        except Refused:
            # It was done the first time, and that is told.
            return
        return


def environment(
    world: World, ttl_hours: float | None = None, simulate: dict[str, Any] | None = None
) -> EnvironmentId:
    """Ask for an environment, and find it by its name."""
    ask(lambda: world.environment(ttl_hours, simulate=simulate))
    [name] = world.items("NAME#preview")
    return parse_environment(name["environment_id"]["S"])


def deploy(
    world: World, where: EnvironmentId, version: str, on_conflict: str = "queue"
) -> DeploymentId | None:
    """Ship a version, and find it; None if the environment failed because of the crash."""
    ask(lambda: world.deploy(where, version, on_conflict=on_conflict))
    found = [
        item["id"]["S"]
        for item in world.items("DEP#")
        if item.get("version", {}).get("S") == version and "inputs" not in item
    ]
    return parse_deployment(max(found)) if found else None


def cancel(world: World, deployment: DeploymentId | None) -> None:
    if deployment:
        ask(lambda: world.cancel(deployment))


def a_whole_life(world: World) -> None:
    where = environment(world, ttl_hours=1)
    for version in ("v1", "v2"):
        deploy(world, where, version)


def canceled(world: World) -> None:
    where = environment(world)
    deploy(world, where, "v1")
    world.run(20)
    running = deploy(world, where, "v2")
    waiting = deploy(world, where, "v3")
    world.run(0.5)
    cancel(world, waiting)
    cancel(world, running)


def rolled_back(world: World) -> None:
    """Back from a rollout to what it would have replaced, while another one waits."""
    where = environment(world)
    for version in ("v1", "v2"):
        deploy(world, where, version)
        world.run(20)
    deploy(world, where, "v3")
    deploy(world, where, "v4")
    world.run(0.5)
    ask(lambda: rollbacks.request(where, NewRollback(reason="It is broken"), OWNER))
    world.run(20)
    ask(lambda: holds.release(where, OWNER))


def refused(world: World) -> None:
    where = environment(world, simulate={"ship": {"version": "bad", "refuse": "No such image"}})
    for version in ("bad", "v1", "bad"):
        deploy(world, where, version)


def faults_without_end(world: World) -> None:
    where = environment(world, simulate={"ship": {"version": "bad", "fault_seconds": 10**6}})
    for version in ("v1", "bad"):
        deploy(world, where, version)


def no_way_back(world: World) -> None:
    simulate = {
        "ship": {"version": "bad", "refuse": "No such image"},
        "restore": {"version": "v1", "refuse": "No way back"},
    }
    where = environment(world, simulate=simulate)
    for version in ("v1", "bad", "v2"):
        deploy(world, where, version)


def superseded(world: World) -> None:
    where = environment(world)
    deploy(world, where, "v1")
    deploy(world, where, "v2", "supersede")
    world.run(20)
    for version in ("v3", "v4"):
        deploy(world, where, version)
    world.run(0.5)
    deploy(world, where, "v5", "cancel_running")


def deleted_while_it_comes_up(world: World) -> None:
    where = environment(world, ttl_hours=1)
    deploy(world, where, "v1")
    world.run(0.5)
    ask(lambda: world.delete(where))


def renamed(world: World) -> None:
    """While it comes up, while it ships, and before it ends."""
    where = environment(world, ttl_hours=1)
    for name in ("second", "third", "fourth"):
        wanted = EnvironmentChange(name=name, labels={"name": name})
        ask(functools.partial(changes.change, where, wanted, OWNER, None, None))
        deploy(world, where, name)
        world.run(1)
    ask(lambda: world.delete(where))


def deleted_while_it_ships(world: World) -> None:
    where = environment(world)
    for version in ("v1", "v2"):
        deploy(world, where, version)
    world.run(2.5)
    ask(lambda: world.delete(where))


def a_cascade(world: World) -> None:
    where = environment(world)
    ask(lambda: world.environment(name="other", ttl_hours=1))
    deploy(world, where, "v1")
    world.run(20)
    ask(lambda: projects.remove(world.project, OWNER, None, cascade=True))


def nothing_can_be_made(world: World) -> None:
    world.when("Provision > driver provision service", REFUSED, times=None, skip=1)
    deploy(world, environment(world, ttl_hours=1), "v1")


def nothing_can_be_taken_away(world: World) -> None:
    world.when(RETIRE, REFUSED, times=2)
    where = environment(world)
    world.run(20)
    ask(lambda: world.delete(where))
    world.run(20)
    ask(lambda: world.retry(where))
    world.run(20)
    ask(lambda: world.retry(where))


def forgotten(world: World) -> None:
    world.when(RETIRE, REFUSED, times=None)
    where = environment(world, ttl_hours=1)
    world.run(20)
    ask(lambda: world.delete(where))
    world.run(20)
    ask(lambda: world.forget(where))
    # It may be that its teardown is still to fail, for the first execution was lost.
    world.recover(4)
    ask(lambda: world.forget(where))


def leased(world: World) -> None:
    where = environment(world, ttl_hours=1)
    world.run(20)
    ask(lambda: world.extend(where, 1.5))
    ask(lambda: world.pin(where))
    world.run(600)
    ask(lambda: world.unpin(where))


def idle(world: World) -> None:
    where = environment(world, ttl_hours=1)
    world.run(600)
    ask(lambda: world.touch(where))
    deploy(world, where, "v1", "reject")


def mended(world: World) -> None:
    """Reconcile itself, which may fail like everybody else and then runs again."""
    one = environment(world, ttl_hours=1)
    deploy(world, one, "v1")
    deploy(world, one, "v2")
    world.run(3)
    ask(lambda: world.environment(name="other"))
    world.run(0.5)
    for each in list(world.executions()):
        if each.status == "RUNNING":
            world.stop_execution(each)
    world.recover(3)


def woken(world: World) -> None:
    """Reconcile goes to rest, and is woken."""
    where = environment(world)
    world.recover(3)
    deploy(world, where, "v1")
    world.recover(3)


def configured(world: World) -> None:
    """Its own variables and a secret, then a change of its project, and the same again."""
    where = environment(world)
    ask(lambda: configure(where, {"LEVEL": "one"}, {"TOKEN": "s3cret"}))
    deploy(world, where, "v1")
    world.run(20)
    ask(lambda: configure_project(world.project, {"SHARED": "for all"}))
    deploy(world, where, "v2")
    world.run(20)
    deploy(world, where, "v3")


def configured_and_deleted(world: World) -> None:
    """While it writes a configuration."""
    where = environment(world)
    ask(lambda: configure(where, {"LEVEL": "one", "OTHER": "two"}, {"TOKEN": "s3cret"}))
    deploy(world, where, "v1")
    world.run(2.03)
    ask(lambda: world.delete(where))


def written_by_users(world: World) -> None:
    """Every write that the API makes, one after another, before anything comes of it."""
    world.hold_the_stream()
    where = environment(world, ttl_hours=24)
    ask(lambda: world.extend(where, 48))
    ask(lambda: world.pin(where))
    ask(lambda: world.unpin(where))
    first = deploy(world, where, "v1")
    cancel(world, first)
    deploy(world, where, "v2", "cancel_running")
    ask(lambda: world.delete(where))
    change = ProjectChange(name="billing")
    ask(lambda: projects.change(world.project, change, OWNER, None))
    ask(lambda: projects.remove(world.project, OWNER, None, cascade=False))
    ask(lambda: projects.remove(world.project, OWNER, None, cascade=True))
    world.release_the_stream()
