"""A crash at every call to AWS of environments that are stacks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from slipway import aws, drivers
from slipway.aws import secret_inputs, template_bodies
from slipway.domain.environment_requests import NewEnvironment
from slipway.domain.ids import DeploymentId, EnvironmentId, parse_deployment, parse_environment
from slipway.domain.rollback import NewRollback
from slipway.domain.template import NewTemplate, Version
from slipway.domain.update import EnvironmentUpdate
from slipway.drivers import making_role
from slipway.drivers.simulated import Simulated
from slipway.drivers.stacks import stack_name
from slipway.services import environments, rollbacks, templates, updates
from slipway.store import deployment_records
from tests.support.workflows import faults, stories
from tests.support.workflows.crashes import ROUNDS, chosen
from tests.support.workflows.invariants import broken
from tests.support.workflows.stacks import STUCK, UNROLLABLE, OfOneTemplate, Stacks
from tests.support.workflows.stories import ask, cancel, deploy, environment
from tests.support.workflows.world import OWNER, World

pytestmark = [pytest.mark.no_cover, pytest.mark.independent]


def one_update_fails(world: World) -> None:
    where = environment(world, ttl_hours=1)
    for version in ("broken", "v1", "broken"):
        deploy(world, where, version)


def one_rollback_fails(world: World) -> None:
    where = environment(world)
    for version in ("v1", UNROLLABLE, "v2"):
        deploy(world, where, version)


def one_cannot_be_made(world: World) -> None:
    where = of_a_template(world, size="broken")
    deploy(world, where, "v1")
    world.run(60)
    ask(lambda: world.delete(where))


def one_is_deleted_by_hand(world: World) -> None:
    where = environment(world)
    deploy(world, where, "v1")
    world.run(60)
    name = stack_name(str(where))
    ask(lambda: aws.call("cloudformation", "delete_by_hand", StackName=name))
    for version in ("v2", "v3"):
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
    world.when("Ship > cloudformation describe_stacks", faults.fails, times=12, skip=1)
    deploy(world, where, "v2")


def one_resource_is_retained(world: World) -> None:
    where = environment(world)
    deploy(world, where, STUCK)
    world.run(30)
    ask(lambda: world.delete(where))
    # A caller who wants to keep it repeats the request until the record says so.
    for _ in range(6):
        world.run(60)
        ask(lambda: world.retry(where, "Data"))
        if world.look(where).get("retain") or world.look(where)["status"] == "destroyed":
            return


def of_a_template(
    world: World, ttl_hours: float | None = None, size: str = "small"
) -> EnvironmentId:
    """An environment of the first version, with a secret."""
    kind: Any = "persistent" if ttl_hours is None else "ephemeral"
    wanted = NewEnvironment(
        name="preview",
        type=kind,
        ttl_hours=ttl_hours,
        template="web@1.0",
        inputs={"Size": size, "Password": "of 1.0"},
    )
    ask(lambda: environments.create(world.project, wanted, OWNER))
    [name] = world.items("NAME#preview")
    return parse_environment(name["environment_id"]["S"])


def update(world: World, where: EnvironmentId, **wanted: Any) -> DeploymentId | None:
    """Ask for an update, and find it; None if the environment failed because of the crash."""
    ask(lambda: updates.request(where, EnvironmentUpdate.model_validate(wanted), OWNER))
    found = [item["id"]["S"] for item in world.items("DEP#") if "inputs" in item]
    return parse_deployment(max(found)) if found else None


MOVE = {"template": "web@1.1", "inputs": {"Password": "of 1.1"}}


def updated(world: World) -> None:
    where = of_a_template(world)
    deploy(world, where, "v1")
    update(world, where, **MOVE)
    update(world, where, inputs={"Size": "large"})
    update(world, where, inputs={"Size": "broken", "Password": "of none"})
    deploy(world, where, "v2")


def an_update_is_canceled(world: World) -> None:
    where = of_a_template(world)
    deploy(world, where, "v1")
    world.run(20)
    running = update(world, where, **MOVE)
    waiting = update(world, where, inputs={"Password": "of none"})
    world.run(0.5)
    cancel(world, waiting)
    cancel(world, running)
    deploy(world, where, "v2")


def put_back(world: World) -> None:
    """What was live at first replaces an update; a version that comes later keeps it."""
    where = of_a_template(world)
    first = deploy(world, where, "v1")
    world.run(20)
    update(world, where, **MOVE)
    world.run(20)
    to = str(first) if first else None
    ask(lambda: rollbacks.request(where, NewRollback(reason="It is broken", to=to), OWNER))
    deploy(world, where, "v2")


def deleted_while_it_is_updated(world: World) -> None:
    where = of_a_template(world, ttl_hours=1)
    update(world, where, **MOVE)
    update(world, where, inputs={"Password": "of none"})
    world.run(2.5)
    ask(lambda: world.delete(where))


SCENARIOS = [
    stories.canceled,
    stories.deleted_while_it_comes_up,
    stories.deleted_while_it_ships,
    one_update_fails,
    one_rollback_fails,
    one_cannot_be_made,
    one_is_deleted_by_hand,
    one_update_never_ends,
    nobody_answers_any_more,
    one_resource_is_retained,
    updated,
    an_update_is_canceled,
    put_back,
    deleted_while_it_is_updated,
]


@pytest.fixture(autouse=True)
def _driver(environ: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # The invariants ask for what the one driver of a world makes.
    monkeypatch.setattr(Simulated, "resources", OfOneTemplate.resources)
    bucket = SimpleNamespace(meta=SimpleNamespace(endpoint_url="https://s3.example.com"))
    monkeypatch.setattr(aws, "client", lambda service: bucket)


@contextmanager
def of_stacks(longest: timedelta = drivers.LONGEST) -> Iterator[tuple[World, Stacks]]:
    """A world whose environments are stacks, with a template."""
    with World() as world, pytest.MonkeyPatch.context() as patch:
        stacks = Stacks(world.emulator)
        patch.setitem(drivers.DRIVERS, "simulated", OfOneTemplate)
        patch.setattr(drivers, "LONGEST", longest)
        patch.setattr(aws, "call", stacks.call)
        patch.setattr(
            world.infrastructure,
            "of",
            lambda e: {"stack"} if stacks.find(stack_name(e)) else set(),
        )
        patch.setattr(world.infrastructure, "version_in", stacks.version_in)
        assert world.project
        publish(patch)
        yield world, stacks


def lived(story: Callable[[World], None], n: int | None, crash: str) -> tuple[list[str], list[str]]:
    """As for the other crashes."""
    longest = timedelta(seconds=5) if story is one_update_never_ends else drivers.LONGEST
    with of_stacks(longest) as (world, stacks):
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
        of_a_user = n is not None and world.calls.made[n].name.startswith("test > ")
        found = list(secrets(world, stacks)) if not of_a_user else []
        return calls, broken(world) + list(wrong(world, stacks)) + found


def publish(patch: pytest.MonkeyPatch) -> None:
    """Two versions of a template, whose bodies nobody reads here."""
    patch.setattr(template_bodies, "put", lambda *_: None)
    patch.setattr(template_bodies, "validate", lambda *_: None)
    templates.create(NewTemplate(name="web"), OWNER)
    for minor in (0, 1):
        declared: dict[str, Any] = {name: {"Type": "String"} for name in ("Version", "Size")}
        declared["Password"] = {"Type": "String", "NoEcho": True}
        resources = {f"Jobs{minor}": {"Type": "AWS::SQS::Queue"}}
        body = json.dumps({"Parameters": declared, "Resources": resources}).encode()
        templates.add_version("web", Version(1, minor), body, "application/json", OWNER)
        templates.publish("web", Version(1, minor), OWNER)


def secrets(world: World, stacks: Stacks) -> Iterator[str]:
    """Those in use, or of what was live lately, are there, and no others; only who dies as he asks
    leaves some behind."""
    living = [world.look(each) for each in world.environments()]
    in_use = {
        secret_inputs.path(place, name)
        for item in living
        if item["status"] == "running"
        for name, place in {*secret_inputs.places(item).items(), *kept(world, item)}
    }
    # The secrets of an environment that failed remain if nobody could remove them.
    at_rest = all(item["status"] in ("running", "destroyed") for item in living)
    if at_rest and set(stacks.secrets) != in_use:
        yield f"In use are {in_use}, and there are {set(stacks.secrets)}"


def kept(world: World, environment: Any) -> Iterator[tuple[str, str]]:
    """The secrets that it would have again if it were rolled back."""
    for live in environment.get("live_history", ()):
        yield from world.look(parse_deployment(live["id"]))["snapshot"]["secret_places"].items()


def wrong(world: World, stacks: Stacks) -> Iterator[str]:
    """Properties of stacks in particular."""
    if len(set(stacks.begun)) != len(stacks.begun):
        yield f"Something was begun twice: {stacks.begun}"
    for each in world.environments():
        item, stack = world.look(each), stacks.find(stack_name(str(each)))
        role = stacks.roles.get(making_role.arn(str(each)))
        if item["status"] == "destroyed" and role and not stack:
            yield f"{each} is destroyed, and its role is not"
        if stack and not role:
            yield f"{each} has a stack that nothing can delete"
        if item["status"] in ("destroyed", "failed") and stack and not item.get("resources"):
            yield f"{each} is {item['status']}, and nobody knows of its stack"
        gone = item["status"] != "teardown_failed" or "retain" in item
        if stack and stack.version == STUCK and gone:
            yield f"{each} is {item['status']}, and its stack is {stack.status}"
        if item.get("retain") and not stack and stack_name(str(each)) not in stacks.kept:
            yield f"{each} does not have what was to be retained"
        if item["status"] == "running" and "live_in_doubt" not in item:
            assert stack
            said = {
                **json.loads(item.get("inputs", "{}")),
                **{
                    name: stacks.secrets.get(secret_inputs.path(place, name))
                    for name, place in secret_inputs.places(item).items()
                },
            }
            template = stack.made_of["TemplateURL"]
            if not template.endswith(item.get("template_key", "")) or said.items() - (
                stack.made_of.items()
            ):
                yield f"It is said to be {item['template']} with {said}, and is {stack.made_of}"


def is_of_stacks(calls: list[str], n: int) -> bool:
    """Whether AWS is called beside the table, or was in the call before; the others are crashed
    in the stories without stacks, too. With CRASHES=all every call is."""
    return os.environ.get("CRASHES") == "all" or any(
        service in name
        for name in calls[max(0, n - 1) : n + 1]
        for service in (" > cloudformation ", " > iam ", " > ssm ", " > s3 ")
    )


def test_a_release_that_replaces_the_environment_brings_back_its_template_inputs_and_secrets() -> (
    None
):
    with of_stacks() as (world, stacks):
        put_back(world)
        world.run(120)

        [where] = world.environments()
        item, stack = world.look(where), stacks.find(stack_name(str(where)))
        first, moved, back, last = map(world.look, world.deployments())
        assert [each["status"] for each in (first, moved, back, last)] == ["succeeded"] * 4
        assert back["snapshot"] == first["snapshot"] == back["becomes"] != moved["snapshot"]
        assert (item["template"], item["live_version"]) == ("web@1.0", "v2")
        assert stack and stack.made_of["Password"] == "of 1.0"
        history = [(each["id"], each.get("same_as")) for each in item["live_history"]]
        assert history == [
            (last["id"], None),
            (back["id"], first["id"]),
            (moved["id"], None),
            (first["id"], None),
        ]
        assert sorted(stacks.secrets.values()) == ["of 1.0", "of 1.1"]


def test_secrets_go_when_nothing_can_be_rolled_back_to_that_had_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deployment_records, "KEPT", 2)
    with of_stacks() as (world, stacks):
        where = of_a_template(world)
        deploy(world, where, "v1")
        for n in range(4):
            update(world, where, inputs={"Password": f"number {n}"})
            world.run(60)

        assert sorted(stacks.secrets.values()) == ["number 2", "number 3"]
        update(world, where, inputs={"Size": "broken", "Password": "of none"})
        world.run(120)
        assert sorted(stacks.secrets.values()) == ["number 2", "number 3"]


def test_a_failed_rollback_of_a_stack_is_continued() -> None:
    with of_stacks() as (world, stacks):
        where = environment(world)
        v1, failed = (deploy(world, where, version) for version in ("v1", UNROLLABLE))
        world.run(60)

        assert v1 and failed
        assert (world.look(v1)["status"], world.look(failed)["status"]) == (
            "succeeded",
            "rolled_back",
        )
        assert "live_in_doubt" not in world.look(where)
        assert (world.look(where)["live_version"], stacks.version_in(str(where))) == ("v1", "v1")
        assert [token for token in stacks.begun if "-continue-" in token]


def test_a_stack_that_goes_while_its_events_are_read_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with of_stacks() as (world, stacks):
        where = environment(world)
        world.run(60)
        says = stacks.describe_stack_events

        def goes_and_says(StackName: str) -> Any:
            for stack in stacks.stacks.values():
                stack.ends_at = min(stack.ends_at, world.emulator.schedule.now)
            return says(StackName)

        monkeypatch.setattr(stacks, "describe_stack_events", goes_and_says)
        world.delete(where)
        world.run(60)

        gone = world.look(where)
        assert (gone["status"], gone.get("teardown_attempts", 1)) == ("destroyed", 1)


@pytest.mark.parametrize("version,last", [("v2", "UPDATE"), (UNROLLABLE, "UPDATE_ROLLBACK")])
def test_late_events_of_a_stack_are_in_the_log(
    version: str, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with of_stacks() as (world, stacks):
        where = environment(world)
        deploy(world, where, "v1")
        world.run(60)
        says, said_before = stacks.describe_stack_events, set[int]()

        def says_late(StackName: str) -> Any:
            """An event is not yet there when it could be seen for the first time."""
            answer = says(StackName)["StackEvents"]
            new = {id(event) for event in answer} - said_before
            said_before.update(new)
            return {"StackEvents": [event for event in answer if id(event) not in new]}

        monkeypatch.setattr(stacks, "describe_stack_events", says_late)
        shipped = deploy(world, where, version)
        world.run(120)

        assert shipped
        assert world.look(shipped)["status"] in ("succeeded", "rolled_back")
        lines = [message for _, message in world.logs(shipped)]
        name = stack_name(str(where))
        assert f"{name} (AWS::CloudFormation::Stack) {last}_COMPLETE" in lines


def test_a_stack_that_was_deleted_by_hand_counts_as_destroyed() -> None:
    with of_stacks() as (world, _):
        one_is_deleted_by_hand(world)
        world.run(60)

        [where] = world.environments()
        assert world.look(where)["status"] == "destroyed"
        assert "live_in_doubt" not in world.look(where)
        ended = [world.look(deployment) for deployment in world.deployments()[1:]]
        assert [record["status"] for record in ended] == ["failed", "canceled"]
        assert ended[0]["failure"]["error"] == "StackGone"
        assert ended[0]["failure"]["reason"].startswith("The stack no longer exists, and")


@pytest.mark.parametrize("story", SCENARIOS, ids=lambda story: story.__name__)
def test_a_crash_at_any_call_leaves_no_stack_behind(
    story: Callable[[World], None], record_property: Callable[[str, object], None]
) -> None:
    calls, unharmed = lived(story, None, "")

    cases = [each for each in chosen(lived, SCENARIOS, story) if is_of_stacks(calls, each[0])]
    harm = {
        f"call {n}, {calls[n]}, {crash}": found
        for n, crash in cases
        if (found := lived(story, n, crash)[1])
    }

    record_property("cases", len(cases))
    assert any("cloudformation" in name for name in calls)
    assert unharmed == []
    assert harm == {}
    assert len(cases) >= 5
