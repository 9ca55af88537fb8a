"""What has ended goes by TTL, in order, whenever and in whatever order TTL deletes."""

from __future__ import annotations

from typing import Any

import pytest

from slipway import settings
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.domain.paging import Paging
from slipway.errors import NotFound
from slipway.services import environments, history, projects, retention
from slipway.store import environment_records, lifetimes, project_records, table, wire
from tests.support.workflows.world import OWNER, World

pytestmark = pytest.mark.xdist_group("workflows")

DAY = 24 * 3600


def of(world: World, thing: EnvironmentId | DeploymentId) -> list[dict[str, Any]]:
    """The items in the thing's own partition, and its record."""
    own = thing.e if isinstance(thing, EnvironmentId) else thing.d
    items = [wire.decode(item) for item in world.items("")]
    return [each for each in items if each["pk"].endswith(own) or each.get("id") == str(thing)]


def of_all(
    world: World, environment: EnvironmentId, deployments: list[DeploymentId]
) -> list[dict[str, Any]]:
    return of(world, environment) + [item for each in deployments for item in of(world, each)]


def a_life(world: World) -> tuple[EnvironmentId, list[DeploymentId]]:
    """An environment that has ended, with deployments that ended in different ways."""
    environment = world.running(ttl_hours=24)
    made = [world.deploy(environment, version) for version in ("v1", "v2")]
    world.run(600)
    made.append(world.deploy(environment, "v3"))
    made.append(world.deploy(environment, "v4"))
    world.cancel(made[-1])
    world.run(2 * DAY)
    assert world.look(environment)["status"] == "destroyed"
    return environment, made


def later(world: World, days: float) -> None:
    """Time passes, and nothing happens in it."""
    world.schedule.now += days * DAY


def test_everything_goes_when_its_environment_has_ended_for_400_days(world: World) -> None:
    environment, deployments = a_life(world)
    record = world.look(environment)
    given, project = len(world.batches), world.item(project_records.key(environment.project))

    later(world, 401)
    swept = world.sweep_ttl()
    world.settle()

    assert record["ttl"] - world.schedule.now < 0
    assert swept > 20
    assert of_all(world, environment, deployments) == []
    # TTL's deletions are no changes that anything has to be done about.
    assert len(world.batches) == given
    assert world.item(project_records.key(environment.project)) == project


def test_a_day_before_that_all_but_the_log_lines_is_there(world: World) -> None:
    environment, deployments = a_life(world)
    before = of_all(world, environment, deployments)

    later(world, 397)
    world.sweep_ttl()

    after = of_all(world, environment, deployments)
    assert {item["sk"].partition("#")[0] for item in before if item not in after} == {"LOG"}
    assert [event.action for event in history.events(environment, OWNER, Paging(limit=100))][-1:]
    assert not list(history.environment_logs(environment, OWNER, Paging(limit=100)))


@pytest.mark.parametrize("days", ["30", "1000"])
def test_nothing_is_shown_longer_than_what_it_belongs_to(
    world: World, days: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The state machines have the numbers of the template, whatever the functions have.
    monkeypatch.setenv("LOG_DAYS", days)
    settings.lifetimes.cache_clear()
    environment, deployments = a_life(world)
    ends = world.look(environment)["ttl"]

    for deployment in deployments:
        goes = world.look(deployment)["ttl"]
        assert goes <= ends
        assert all(item["ttl"] <= goes for item in of(world, deployment))
    assert all(item["ttl"] <= ends for item in of(world, environment))


def test_what_is_over_is_not_shown_although_ttl_has_not_deleted_it(world: World) -> None:
    environment, deployments = a_life(world)
    shown = len(history.events(environment, OWNER, Paging(limit=100)))

    later(world, 401)

    assert shown > 10
    for ask in (
        lambda: environments.get(environment, OWNER),
        lambda: history.events(environment, OWNER, Paging()),
        lambda: history.environment_logs(environment, OWNER, Paging()),
        lambda: history.deployment_logs(deployments[0], OWNER, Paging()),
        lambda: history.timeline(deployments[0], OWNER),
    ):
        with pytest.raises(NotFound):
            ask()


def test_what_is_live_stays_until_another_has_been_live_for_400_days(world: World) -> None:
    environment = world.running()
    first = world.deploy(environment, "v1")
    world.run(60)
    later(world, 500)
    world.sweep_ttl()
    shown = world.look(first)

    second = world.deploy(environment, "v2")
    world.run(60)
    replaced_at = world.look(second)["finished_at"]

    assert "ttl" not in shown and shown["status"] == "succeeded"
    assert world.look(first)["ttl"] == lifetimes.ended(replaced_at)
    assert "ttl" not in world.look(second)
    later(world, 401)
    world.sweep_ttl()
    assert not world.exists(first)
    assert world.exists(second)


def test_a_rejecting_deployment_bears_that_the_last_one_is_gone(world: World) -> None:
    environment = world.running()
    world.deploy(environment, "v1")
    world.run(60)
    canceled = world.deploy(environment, "v2", on_conflict="reject")
    world.cancel(canceled)
    world.run(60)
    later(world, 401)
    world.sweep_ttl()
    assert not world.exists(canceled)

    again = world.deploy(environment, "v3", on_conflict="reject")
    world.run(60)

    assert world.look(again)["status"] == "succeeded"


def test_an_end_with_much_that_belongs_to_it_is_finished_by_reconcile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_MOST", 2)
    environment = world.running(ttl_hours=1)

    world.run(3700)
    begun = world.look(environment)
    world.recover(6)

    assert (begun["status"], "due" in begun) == ("destroyed", True)
    ended = world.look(environment)
    assert "due" not in ended
    assert {item.get("ttl") for item in of(world, environment)} > {ended["ttl"]}
    assert all(item["ttl"] <= ended["ttl"] for item in of(world, environment))


def test_an_end_that_dispatch_never_saw_is_finished_by_reconcile(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.run_until(lambda: world.look(environment)["status"] == "tearing_down", within=2 * DAY)
    world.hold_the_stream()
    world.run(600)
    begun = world.look(environment)
    world.lose_the_stream()
    world.release_the_stream()

    world.a_day_later()

    assert (begun["status"], "due" in begun) == ("destroyed", True)
    assert "due" not in world.look(environment)
    assert all("ttl" in item for item in of(world, environment))


def test_an_event_that_comes_after_the_end_goes_with_the_environment(world: World) -> None:
    environment = world.running(ttl_hours=1)
    world.extend(environment, 2)
    world.run(60)
    [extended] = [
        batch
        for batch in world.batches
        for each in batch["Records"]
        if each["dynamodb"].get("NewImage", {}).get("change", {}).get("M", {}).get("action")
        == {"S": "extended"}
    ]
    world.run(DAY)
    [event] = [each for each in world.events(environment) if each["action"] == "extended"]
    table.write(table.Delete(table.Key(event["pk"], event["sk"])))
    for each in extended["Records"]:
        each["dynamodb"]["ApproximateCreationDateTime"] = world.schedule.now - DAY

    world.redeliver(extended)

    [event] = [each for each in world.events(environment) if each["action"] == "extended"]
    assert event["ttl"] == world.look(environment)["ttl"]


def of_project(world: World, project: ProjectId) -> list[dict[str, Any]]:
    items = [wire.decode(item) for item in world.items("")]
    return [item for item in items if item["pk"] == f"PROJECT#{project.p}"]


@pytest.mark.parametrize("seen", [True, False])
def test_what_a_deleted_project_leaves_goes_too(world: World, seen: bool) -> None:
    environment = world.running()
    project = environment.project
    table.write(table.Put(table.Key(f"PROJECT#{project.p}", "PIPELINE"), {"stages": []}))
    world.delete(environment)
    world.run(60)
    world.hold_the_stream()

    projects.remove(project, OWNER, None, cascade=False)
    if not seen:
        world.lose_the_stream()
    world.release_the_stream()
    world.a_day_later()

    left = of_project(world, project)
    assert [item["sk"] for item in left] == [environment_records.key(environment).sk, "PIPELINE"]
    assert all("ttl" in item for item in left)
    later(world, 402)
    world.sweep_ttl()
    assert of_project(world, project) == []
