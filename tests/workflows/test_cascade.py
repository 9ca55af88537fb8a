"""A project that is deleted with its environments is gone after the last of them."""

from __future__ import annotations

import pytest

from slipway.access.principal import Principal
from slipway.domain.ids import ProjectId
from slipway.domain.trust import NewTrust
from slipway.errors import DriverRefused, ProjectGoing
from slipway.services import projects, trusts
from tests.support.workflows import faults
from tests.support.workflows.world import OWNER, USER, World

pytestmark = pytest.mark.xdist_group("workflows")


def remove(world: World) -> None:
    gone = projects.remove(world.project, OWNER, None, cascade=True)
    assert gone and gone.status == "deleting"


def test_a_cascade_ends_with_the_project_gone(world: World) -> None:
    running = world.running(name="running")
    deployment = world.deploy(running)
    world.settle()
    coming = world.environment(name="coming", ttl_hours=1)
    project = world.project

    remove(world)
    with pytest.raises(ProjectGoing):
        world.environment(name="late")
    world.settle()

    assert world.look(running)["status"] == world.look(coming)["status"] == "destroyed"
    assert world.look(deployment)["status"] == "succeeded"
    assert not world.exists(project)
    left = {item["sk"]["S"].partition("#")[0] for item in world.items("")}
    # The counter of the owner's projects stays.
    assert left == {"ENV", "DEP", "LOG", "EVENT", "TIMELINE", "CLOCK", "PROJECTS"}


def test_a_cascade_of_more_environments_than_a_page_ends(world: World) -> None:
    environments = [world.environment(name=f"preview-{n}") for n in range(101)]

    remove(world)
    world.settle()

    assert {world.look(each)["status"] for each in environments} == {"destroyed"}
    assert not world.exists(world.project)


def test_a_cascade_that_is_requested_twice_ends_once(world: World) -> None:
    world.running()

    remove(world)
    world.run(0.5)
    remove(world)
    world.settle()

    assert not world.exists(world.project)
    retired = [each for each in world.executions() if each.workflow == "retire_environment"]
    assert [each.status for each in retired] == ["SUCCEEDED"]


def test_a_cascade_waits_for_a_failed_teardown(world: World) -> None:
    stuck, other = world.running(name="stuck"), world.running(name="other")
    world.when("Retire > driver retire service", faults.raises(DriverRefused("It is protected")))

    remove(world)
    world.settle()

    assert world.exists(world.project)
    assert world.look(world.project)["environments"] == 1
    assert sorted(world.look(each)["status"] for each in (stuck, other)) == [
        "destroyed",
        "teardown_failed",
    ]


def test_a_teardown_without_a_cascade_keeps_the_project(world: World) -> None:
    world.delete(world.running())

    world.settle()

    assert world.look(world.project)["status"] == "active"
    assert world.look(world.project)["environments"] == 0


def trusting(world: World) -> ProjectId:
    """The project, which trusts two workloads."""
    owner = Principal(USER, "trusts:change")
    for n in range(2):
        claims = {"repository_id": n}
        new = {"preset": "github", "claims": claims, "scopes": ["read"]}
        trusts.create(world.project, NewTrust.model_validate(new), owner)
    return world.project


def left_of_trusts(world: World) -> list[str]:
    keys = [f"{item['pk']['S']} {item['sk']['S']}" for item in world.items("")]
    return [key for key in keys if "TRUST#" in key or "MEMBER#trs_" in key]


def test_the_trusts_of_a_deleted_project_are_deleted(world: World) -> None:
    trusting(world)
    assert len(left_of_trusts(world)) == 4

    projects.remove(world.project, OWNER.asking("projects:delete"), None, cascade=False)
    world.settle()

    assert left_of_trusts(world) == []


def test_the_trusts_of_a_project_that_ends_after_its_environments_are_deleted(
    world: World,
) -> None:
    world.running()
    trusting(world)

    remove(world)
    world.settle()

    assert not world.exists(world.project)
    assert left_of_trusts(world) == []


def test_trusts_are_deleted_although_dispatch_dies_over_it(world: World) -> None:
    trusting(world)
    # After the first of the two.
    world.when("dispatch > dynamodb TransactWriteItems", faults.dies, skip=1)

    projects.remove(world.project, OWNER.asking("projects:delete"), None, cascade=False)
    world.settle()

    assert left_of_trusts(world) == []
