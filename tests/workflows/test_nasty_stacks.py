"""Stacks that do not want to go: each is destroyed, or waits with its reason and its next try."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from slipway import drivers
from slipway.domain.ids import EnvironmentId
from slipway.drivers import deletion, making_role
from slipway.drivers.stacks import stack_name
from slipway.errors import DriverFault, DriverRefused
from slipway.store import environment_records
from tests.support.workflows import faults
from tests.support.workflows.invariants import broken
from tests.support.workflows.nasty import HOUR, NastyStacks, nasty_world
from tests.support.workflows.stories import ask
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("workflows")

MINUTE = 60.0
SILENT = "CloudFormation did not receive a response from your Custom Resource"


@pytest.fixture
def nasty(environ: None) -> Iterator[tuple[World, NastyStacks]]:
    with nasty_world() as made:
        yield made


def running(world: World) -> EnvironmentId:
    environment = world.environment()
    world.run(30)
    assert world.look(environment)["status"] == "running"
    return environment


def destroyed(world: World, environment: EnvironmentId) -> Any:
    """Its record. Nothing of it is left, and every invariant holds."""
    record = world.look(environment)
    assert record["status"] == "destroyed", record.get("failure")
    assert broken(world) == []
    return record


def waits(world: World, environment: EnvironmentId) -> Any:
    """What is shown of it: the teardown has failed, and is tried again at a time that is shown."""
    record = world.look(environment)
    assert record["status"] == "teardown_failed", record
    shown = environment_records.to_model(record)
    assert shown.next_retry_at and shown.next_retry_at > datetime.fromisoformat(
        record["change"]["at"]
    )
    assert shown.failure and shown.failure.reason
    return shown


def recovers(world: World, environment: EnvironmentId) -> Any:
    """It is destroyed by the next tries, without anybody's doing."""
    for _ in range(30):
        world.recover()
        if world.look(environment)["status"] == "destroyed":
            break
    return destroyed(world, environment)


def given_up(world: World, environment: EnvironmentId) -> Any:
    """The record of a teardown that was tried for a day."""
    for _ in range(26 * 12):
        world.recover()
        if world.look(environment).get("retries_ended"):
            break
    return world.look(environment)


# ── Deleted while something is in progress ──────────────────────────────────────────────────


def test_one_that_comes_up_for_an_hour_goes_at_once(nasty: tuple[World, NastyStacks]) -> None:
    world, stacks = nasty
    stacks.creating, stacks.created = HOUR, "CREATE_FAILED"
    environment = world.environment()
    world.run(5 * MINUTE)
    assert world.look(environment)["status"] == "provisioning"

    world.delete(environment)
    world.run(MINUTE)

    destroyed(world, environment)
    assert [each.split("-")[-2] for each in stacks.begun] == ["provision", "retire"]


def test_one_that_comes_up_for_an_hour_goes_when_its_time_is_up(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    stacks.creating = HOUR
    environment = world.environment(ttl_hours=0.1)
    world.run(7 * MINUTE)

    destroyed(world, environment)


def test_one_that_cannot_be_deleted_while_it_comes_up_is_waited_for(
    nasty: tuple[World, NastyStacks],
) -> None:
    """No page says that CloudFormation takes it; then the creation has to end first."""
    world, stacks = nasty
    stacks.creating = 10 * MINUTE
    environment = world.environment()
    world.run(MINUTE)
    refuses = faults.raises(DriverRefused("ValidationError: it cannot be deleted while"))
    world.when("Retire > cloudformation delete_stack", refuses, times=8)

    world.delete(environment)
    world.run(11 * MINUTE)

    assert destroyed(world, environment).get("teardown_attempts", 1) == 1


def test_nothing_is_made_after_one_that_comes_up_is_deleted(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = world.environment()
    # Deleted before the stack is asked for: the resource is not registered any more.
    world.when("Provision > dynamodb UpdateItem", faults.preceded_by(lambda: _delete(world)))

    world.run(10 * MINUTE)

    assert stacks.begun == []
    destroyed(world, environment)


def _delete(world: World) -> None:
    [environment] = world.environments()
    world.delete(environment)


def test_one_whose_creation_is_being_taken_back_goes(nasty: tuple[World, NastyStacks]) -> None:
    world, stacks = nasty
    stacks.created = "ROLLBACK_COMPLETE"
    stacks.has("Queue", takes=10 * MINUTE)
    environment = world.environment()
    world.run(20)

    world.delete(environment)
    world.run(11 * MINUTE)

    destroyed(world, environment)


def test_one_whose_rollback_failed_goes(nasty: tuple[World, NastyStacks]) -> None:
    world, stacks = nasty
    stacks.created = "ROLLBACK_FAILED"
    environment = world.environment()
    world.run(MINUTE)
    assert world.look(environment)["status"] == "failed"

    world.delete(environment)
    world.run(MINUTE)

    destroyed(world, environment)


def test_one_that_is_updated_for_an_hour_goes_when_the_update_is_canceled(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    stacks.updating, stacks.rolling_back = HOUR, 2 * MINUTE
    deployment = world.deploy(environment)
    world.run(5 * MINUTE)
    assert world.look(deployment)["status"] == "running"

    world.delete(environment)
    world.run(4 * MINUTE)

    destroyed(world, environment)
    assert world.look(deployment)["status"] in ("canceled", "failed")


def test_one_whose_update_is_being_taken_back_goes_afterwards(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    stacks.updating, stacks.rolling_back = HOUR, 30 * MINUTE
    deployment = world.deploy(environment)
    world.run(MINUTE)
    world.cancel(deployment)
    world.run(2 * MINUTE)
    assert stacks.find(stack_name(str(environment))).status == "UPDATE_ROLLBACK_IN_PROGRESS"  # type: ignore[union-attr]

    world.delete(environment)
    world.run(32 * MINUTE)

    destroyed(world, environment)


def test_one_whose_update_could_not_be_taken_back_goes(nasty: tuple[World, NastyStacks]) -> None:
    world, _ = nasty
    environment = running(world)
    world.deploy(environment, "unrollable")
    world.run(MINUTE)

    world.delete(environment)
    world.run(MINUTE)

    destroyed(world, environment)


def test_one_that_is_being_deleted_by_hand_is_waited_for(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    stacks.has("Slow", takes=20 * MINUTE)
    role = making_role.arn(str(environment))
    stacks.delete_stack(stack_name(str(environment)), "Console-1", RoleARN=role)

    world.delete(environment)
    world.run(21 * MINUTE)

    destroyed(world, environment)
    assert not [each for each in stacks.begun if "-retire-" in each]


def test_one_that_was_deleted_by_hand_is_destroyed(nasty: tuple[World, NastyStacks]) -> None:
    world, stacks = nasty
    environment = running(world)
    stacks.delete_by_hand(stack_name(str(environment)))

    world.delete(environment)
    world.run(MINUTE)

    destroyed(world, environment)


# ── What CloudFormation cannot delete ───────────────────────────────────────────────────────


def test_a_network_interface_of_45_minutes_is_waited_for(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    stacks.has("Function", "AWS::Lambda::Function", takes=45 * MINUTE)

    world.delete(environment)
    world.run(46 * MINUTE)

    assert destroyed(world, environment).get("teardown_attempts", 1) == 1
    transitions = len(world.execution("retire_environment", environment).states)
    # $0.025 for 1,000 transitions: less than a cent.
    assert transitions < 350


def test_an_interface_that_blocks_a_group_for_45_minutes_is_outlasted(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    said = "resource sg-1 has a dependent object"
    until = world.schedule.now + 45 * MINUTE
    stacks.has(
        "Group",
        "AWS::EC2::SecurityGroup",
        blocks=lambda: said if world.schedule.now < until else None,
    )

    world.delete(environment)
    world.run(30)

    shown = waits(world, environment)
    assert shown.failure.remaining_resources == [
        f"stack: Group (AWS::EC2::SecurityGroup, group): {said}"
    ]
    recovers(world, environment)


def test_a_custom_resource_that_never_answers_says_so_after_its_hour(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    made = stacks.has("Made", "Custom::Thing", takes=HOUR, blocks=lambda: SILENT)

    world.delete(environment)
    world.run(HOUR + 2 * MINUTE)

    shown = waits(world, environment)
    assert shown.failure.reason.startswith(f"stack: Made (Custom::Thing): {SILENT}")
    assert world.retry(environment, "Made") == "tearing_down"
    made.takes = 1
    world.run(MINUTE)
    assert destroyed(world, environment)["retain"] == {"Made (Custom::Thing, made)"}
    assert stacks.retained == ["Made"]


def test_a_custom_resource_that_fails_is_retried_for_a_day_and_then_left_to_people(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    said = "Received response status [FAILED] from custom resource. Message returned: no"
    stacks.has("Made", "Custom::Thing", blocks=lambda: said)

    world.delete(environment)
    record = given_up(world, environment)

    shown = environment_records.to_model(record)
    assert (shown.status, shown.next_retry_at) == ("teardown_failed", None)
    assert shown.failure and shown.failure.remaining_resources == [
        f"stack: Made (Custom::Thing, made): {said}"
    ]
    assert record["teardown_attempts"] > 20
    assert "due" not in record
    assert world.retry(environment, "Made") == "tearing_down"
    world.run(MINUTE)
    destroyed(world, environment)


def test_a_deletion_that_fails_once_is_tried_again(nasty: tuple[World, NastyStacks]) -> None:
    world, stacks = nasty
    environment = running(world)
    answers = iter(["The function could not be deleted at this time"])
    stacks.has("Function", "AWS::Lambda::Function", blocks=lambda: next(answers, None))

    world.delete(environment)
    world.run(30)

    waits(world, environment)
    recovers(world, environment)


def test_a_deletion_without_an_end_names_what_it_waits_for(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    stuck = stacks.has("Slow", "AWS::RDS::DBInstance", takes=100 * HOUR)
    stuck.status = "DELETE_IN_PROGRESS"

    world.delete(environment)
    world.run(92 * MINUTE)

    shown = waits(world, environment)
    assert "it waits for Slow (AWS::RDS::DBInstance, slow)" in shown.failure.reason
    assert shown.failure.remaining_resources == [
        "stack: Slow (AWS::RDS::DBInstance, slow): DELETE_IN_PROGRESS"
    ]


REFUSALS = {
    "termination protection": (
        "ValidationError: Stack [a] cannot be deleted while TerminationProtection is enabled"
    ),
    "a policy": "AccessDenied: User is not authorized to perform: cloudformation:DeleteStack",
}


@pytest.mark.parametrize("said", REFUSALS.values(), ids=REFUSALS)
def test_a_deletion_that_is_refused_waits_until_it_is_not(
    nasty: tuple[World, NastyStacks], said: str
) -> None:
    world, stacks = nasty
    environment = running(world)
    stacks.objects = said

    world.delete(environment)
    world.run(30)

    shown = waits(world, environment)
    assert said in shown.failure.reason
    assert shown.failure.remaining_resources == ["stack"]
    stacks.objects = None
    recovers(world, environment)


def test_an_export_in_use_is_named_at_once(nasty: tuple[World, NastyStacks]) -> None:
    world, stacks = nasty
    environment = running(world)
    used = ["Export preview-queue cannot be deleted as it is in use by another"]
    stacks.in_use = lambda: used[0] if used else None

    world.delete(environment)
    world.run(30)

    assert used[0] in waits(world, environment).failure.reason
    used.clear()
    recovers(world, environment)


def test_a_making_role_that_was_deleted_is_made_again(nasty: tuple[World, NastyStacks]) -> None:
    world, stacks = nasty
    environment = running(world)
    stacks.roles.clear()

    world.delete(environment)
    world.run(MINUTE)

    destroyed(world, environment)
    assert stacks.roles == {}


def test_throttling_for_minutes_is_outlasted(nasty: tuple[World, NastyStacks]) -> None:
    world, _ = nasty
    environment = running(world)
    world.when(
        "Retire > cloudformation describe_stacks",
        faults.raises(DriverFault("Throttling: Rate exceeded")),
        times=12,
    )

    world.delete(environment)
    world.run(5 * MINUTE)

    assert "Rate exceeded" in waits(world, environment).failure.reason
    recovers(world, environment)


def test_a_resource_that_was_deleted_by_hand_is_no_obstacle(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    bucket = stacks.has_bucket("Data", environment, versions=[("a", "1")])

    def deleted_by_hand(*_: object) -> None:
        stacks.buckets.clear()
        bucket.versions.clear()

    world.when("Retire > s3 list_object_versions", faults.preceded_by(deleted_by_hand))
    world.delete(environment)
    world.run(MINUTE)

    destroyed(world, environment)


# ── Buckets ─────────────────────────────────────────────────────────────────────────────────


def objects(count: int) -> list[tuple[str, str]]:
    return [(f"key-{n:06}", "null") for n in range(count)]


VERSIONED = [
    *(("a", f"{n}") for n in range(5)),
    *(("a", "marker-1"), ("b", "1"), ("b", "marker-2")),
]
FULL: dict[str, dict[str, Any]] = {
    "full": {"versions": objects(3)},
    "versions and markers": {"versions": VERSIONED},
    "only markers": {"versions": [("a", "marker-1")]},
    "an upload": {"versions": objects(1), "uploads": [("big", "u-1"), ("big", "u-2")]},
}


@pytest.mark.parametrize("more", FULL.values(), ids=FULL)
def test_a_full_bucket_is_emptied(nasty: tuple[World, NastyStacks], more: dict[str, Any]) -> None:
    world, stacks = nasty
    environment = running(world)
    bucket = stacks.has_bucket("Data", environment, **more)

    world.delete(environment)
    world.run(MINUTE)

    assert destroyed(world, environment).get("teardown_attempts", 1) == 1
    assert (bucket.versions, bucket.uploads) == ([], [])


def test_a_bucket_with_many_objects_is_emptied_in_bounded_steps(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    bucket = stacks.has_bucket("Data", environment, versions=objects(45_500))

    world.delete(environment)
    world.run(5 * MINUTE)

    destroyed(world, environment)
    assert bucket.deleted == 45_500
    told = [message for _, message in logs(world, environment)]
    assert "Data (AWS::S3::Bucket): 20000 object versions are deleted" in told


def logs(world: World, environment: EnvironmentId) -> list[tuple[str, str]]:
    lines = [each for each in world.items("LOG#") if each["pk"]["S"] == f"ENV#{environment.e}"]
    return [(each["step"]["S"], each["message"]["S"]) for each in lines if "message" in each]


@pytest.mark.parametrize("crash", ["dies", "fails"])
@pytest.mark.parametrize(
    "where", ["s3 list_object_versions", "s3 delete_objects", "cloudformation delete_stack"]
)
def test_a_crash_while_a_bucket_is_emptied_loses_nothing(
    nasty: tuple[World, NastyStacks], where: str, crash: str
) -> None:
    world, stacks = nasty
    environment = running(world)
    bucket = stacks.has_bucket("Data", environment, versions=objects(3000))
    world.when(f"Retire > {where}", faults.CRASHES[crash], skip=1)

    world.delete(environment)
    world.run(2 * MINUTE)

    assert destroyed(world, environment).get("teardown_attempts", 1) == 1
    assert bucket.deleted == 3000


def test_versions_that_are_written_meanwhile_are_deleted_too(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    late = iter([("late", "1"), ("late", "2")])

    def writes(bucket: Any) -> None:
        bucket.versions += [each for each in [next(late, None)] if each]

    bucket = stacks.has_bucket("Data", environment, versions=objects(2))
    bucket.writer = writes
    world.delete(environment)
    world.run(MINUTE)

    destroyed(world, environment)
    assert bucket.versions == []


def test_a_bucket_that_fills_again_and_again_is_given_up_and_tried_later(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    bucket = stacks.has_bucket("Data", environment, versions=objects(2))
    bucket.writer = lambda it: it.versions.append(("again", f"{it.calls}"))

    world.delete(environment)
    world.run(MINUTE)

    shown = waits(world, environment)
    assert shown.failure.remaining_resources[0].endswith(
        ": The bucket you tried to delete is not empty"
    )
    assert len([each for each in stacks.begun if "-retire-" in each]) == 4
    bucket.writer = lambda _: None
    recovers(world, environment)


def test_locked_versions_are_named_and_the_others_are_deleted(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    versions = objects(2500)
    bucket = stacks.has_bucket("Data", environment, versions=versions, locked=set(versions[:1200]))

    world.delete(environment)
    world.run(MINUTE)

    [remains] = waits(world, environment).failure.remaining_resources
    assert "S3 refuses to delete 1200 of its object versions: AccessDenied" in remains
    assert "object lock" in remains
    assert set(bucket.versions) == bucket.locked
    bucket.locked.clear()
    recovers(world, environment)


def test_a_policy_that_denies_to_empty_a_bucket_is_named(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    denies = "AccessDenied: with an explicit deny in a resource-based policy"
    bucket = stacks.has_bucket("Data", environment, versions=objects(1), denies=denies)

    world.delete(environment)
    world.run(MINUTE)

    [remains] = waits(world, environment).failure.remaining_resources
    assert remains.endswith(f": It cannot be emptied: {denies}")
    bucket.denies = None
    recovers(world, environment)


@pytest.mark.parametrize("keeps", [True, "true"])
def test_a_bucket_whose_template_keeps_its_objects_waits_for_a_person(
    nasty: tuple[World, NastyStacks], keeps: object
) -> None:
    world, stacks = nasty
    environment = running(world)
    bucket = stacks.has_bucket("Data", environment, versions=objects(3))
    stacks.resources[-1].metadata = {"Slipway": {"KeepObjects": keeps}}

    world.delete(environment)
    world.run(MINUTE)

    [remains] = waits(world, environment).failure.remaining_resources
    assert "its template keeps its objects" in remains
    assert len(bucket.versions) == 3
    assert world.retry(environment, "Data") == "tearing_down"
    world.run(MINUTE)
    assert destroyed(world, environment)["retain"] == {
        f"Data (AWS::S3::Bucket, {next(iter(stacks.buckets))})"
    }
    assert len(bucket.versions) == 3


def test_a_full_bucket_in_a_stack_within_the_stack_is_emptied(
    nasty: tuple[World, NastyStacks],
) -> None:
    world, stacks = nasty
    environment = running(world)
    bucket = stacks.has_bucket("Data", environment, versions=objects(3))
    inner = stacks.resources.pop()
    inner.status = "DELETE_FAILED"
    stacks.nested["arn:inner"] = [inner]
    stacks.has(
        "Inner",
        "AWS::CloudFormation::Stack",
        physical_id="arn:inner",
        blocks=lambda: "Data could not be deleted" if bucket.versions else None,
    )

    world.delete(environment)
    world.run(MINUTE)

    assert destroyed(world, environment).get("teardown_attempts", 1) == 1
    assert bucket.versions == []


def test_what_a_template_retains_is_left_and_no_obstacle(
    nasty: tuple[World, NastyStacks],
) -> None:
    """As for a template from before, whose DeletionPolicy is refused by now."""
    world, stacks = nasty
    environment = running(world)
    bucket = stacks.has_bucket("Data", environment, versions=objects(3))
    stacks.resources[-1].stays = True

    world.delete(environment)
    world.run(MINUTE)

    destroyed(world, environment)
    assert (len(bucket.versions), bucket.calls) == (3, 0)


def test_a_bucket_that_takes_longer_than_an_attempt_is_emptied_by_the_next_one(
    nasty: tuple[World, NastyStacks], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, stacks = nasty
    environment = running(world)
    bucket = stacks.has_bucket("Data", environment, versions=objects(90_000))
    for module in (drivers, deletion):
        monkeypatch.setattr(module, "RETIRES_WITHIN", timedelta(seconds=2.5))

    world.delete(environment)
    world.run(30)

    shown = waits(world, environment)
    assert shown.failure.reason.endswith("the next attempt goes on")
    assert 0 < len(bucket.versions) < 90_000
    recovers(world, environment)
    assert bucket.deleted == 90_000


def test_a_bucket_of_another_name_is_never_emptied(nasty: tuple[World, NastyStacks]) -> None:
    world, stacks = nasty
    environment = running(world)
    bucket = stacks.has_bucket("Data", environment, versions=objects(3))
    stacks.resources[-1].physical_id = "company-data"
    stacks.buckets = {"company-data": bucket}

    world.delete(environment)
    world.run(MINUTE)

    waits(world, environment)
    assert (len(bucket.versions), bucket.calls) == (3, 0)


def test_no_bucket_is_emptied_before_cloudformation_has_tried_to_delete_it(
    nasty: tuple[World, NastyStacks],
) -> None:
    """An environment whose deletion is refused keeps its data."""
    world, stacks = nasty
    environment = running(world)
    bucket = stacks.has_bucket("Data", environment, versions=objects(3))
    stacks.objects = REFUSALS["termination protection"]

    world.delete(environment)
    world.run(10 * MINUTE)

    waits(world, environment)
    assert (len(bucket.versions), bucket.calls) == (3, 0)


Story = Callable[[World, NastyStacks], EnvironmentId]


def a_full_bucket(world: World, stacks: NastyStacks) -> EnvironmentId:
    environment = running(world)
    stacks.has_bucket("Data", environment, versions=objects(1500), uploads=[("big", "1")])
    return environment


def an_update(world: World, stacks: NastyStacks) -> EnvironmentId:
    environment = running(world)
    stacks.updating, stacks.rolling_back = HOUR, 20
    world.deploy(environment)
    world.run(10)
    return environment


def a_creation(world: World, stacks: NastyStacks) -> EnvironmentId:
    stacks.creating = HOUR
    environment = world.environment()
    world.run(20)
    return environment


@pytest.mark.parametrize("story", [a_full_bucket, an_update, a_creation])
def test_a_crash_at_any_call_of_a_teardown_leaves_nothing_behind(
    environ: None, story: Story
) -> None:
    def lived(n: int | None, crash: str) -> tuple[int, int, list[str], str]:
        with nasty_world() as (world, stacks):
            environment = story(world, stacks)
            began = len(world.calls.made)
            if n is not None:
                world.when(n, faults.CRASHES[crash])
            ask(lambda: world.delete(environment))
            world.run(3 * MINUTE)
            for _ in range(20):
                if world.look(environment)["status"] == "destroyed" and not broken(world):
                    break
                world.recover()
            status = world.look(environment)["status"]
            return began, len(world.calls.made), broken(world), status

    began, ended, unharmed, status = lived(None, "")
    assert (unharmed, status) == ([], "destroyed")
    cases = [(n, crash) for n in range(began, ended) for crash in ("dies", "fails")]
    harm = {}
    for n, crash in cases[:: max(1, len(cases) // 25)]:
        *_, found, status = lived(n, crash)
        if found or status != "destroyed":
            harm[n, crash] = (status, found)
    assert harm == {}
