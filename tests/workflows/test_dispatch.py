"""The stream delivers at least once: dispatch does each thing once, and no record blocks others."""

from __future__ import annotations

import pytest

from slipway.aws import secret_inputs
from slipway.store import environment_records, template_records
from slipway.store.table import Key
from tests.support.workflows import faults
from tests.support.workflows.emulator import dynamodb
from tests.support.workflows.faults import Fault
from tests.support.workflows.world import Record, World

pytestmark = pytest.mark.xdist_group("workflows")


StateOfTheWorld = tuple[list[Record], list[tuple[str, str, str]]]


def state(world: World) -> StateOfTheWorld:
    """All there is, but for how long reconcile stays awake."""
    executions = [(each.workflow, each.name, each.status) for each in world.executions()]
    return [item for item in world.items("") if item["sk"]["S"] != "CLOCK"], executions


def a_life(world: World) -> None:
    """An environment that is made, deployed to, and ends; one more that stays; one that fails."""
    first = world.environment(ttl_hours=1, name="first")
    world.deploy(first, "v1")
    world.deploy(first, "v2")
    world.running(name="second")
    world.when("Provision > driver provision service", faults.raises(KeyError("colour")))
    world.deploy(world.environment(name="third"), "v1")
    world.run(7200)


def poison(world: World) -> None:
    """A record that no version of Slipway has written."""
    key = Key("PROJECT#unknown", "ENV#unknown")
    dynamodb._put_item({"TableName": "slipway", "Item": {**key.wire(), "status": {"S": "odd"}}})


def test_a_repeated_delivery_changes_nothing(world: World) -> None:
    a_life(world)
    before = state(world)
    delivered = list(world.batches)

    answers = [world.redeliver(event) for event in delivered]
    world.settle()

    assert answers == [{"batchItemFailures": []}] * len(delivered)
    assert state(world) == before


def test_a_late_or_reordered_delivery_changes_nothing(world: World) -> None:
    a_life(world)
    before = state(world)
    records = [record for event in world.batches for record in event["Records"]]

    for record in reversed(records):
        world.redeliver({"Records": [record]})
    world.settle()

    assert len(records) > 15
    assert state(world) == before


def test_delivering_every_record_twice_gives_the_same_result(environ: None) -> None:
    ends = []
    for fault in (None, faults.twice):
        with World() as world:
            if fault:
                world.when("stream > lambda dispatch", fault, times=None)
            a_life(world)
            statuses = [item.get("status") for item in world.items("")]
            ends.append((statuses, [each.states for each in world.executions()]))

    assert ends[0] == ends[1]


@pytest.mark.parametrize("fault", faults.FAULTS.values(), ids=faults.FAULTS.keys())
def test_a_failed_batch_is_delivered_again(world: World, fault: Fault) -> None:
    world.when("stream > lambda dispatch", fault, times=3)

    environment = world.environment()
    deployment = world.deploy(environment)
    world.settle()

    assert world.look(deployment)["status"] == "succeeded"
    assert world.dead_letters == []


def test_a_poison_record_is_reported_and_the_others_are_processed(world: World) -> None:
    world.hold_the_stream()
    one = world.environment(name="one")
    poison(world)
    two = world.environment(name="two")

    world.release_the_stream()
    world.run(60)

    assert world.look(one)["status"] == world.look(two)["status"] == "running"
    [letter] = world.dead_letters
    assert letter["dynamodb"]["Keys"]["sk"]["S"] == "ENV#unknown"


def test_only_the_poison_record_is_reported(world: World) -> None:
    world.hold_the_stream()
    world.environment(name="one")
    poison(world)
    world.environment(name="two")
    records = world.stream
    [bad] = [
        record["dynamodb"]["SequenceNumber"]
        for record in records
        if record["dynamodb"]["Keys"]["sk"]["S"] == "ENV#unknown"
    ]
    wanted = [
        record for record in records if record["dynamodb"]["Keys"]["sk"]["S"].startswith("ENV#")
    ]

    answer = world.redeliver({"Records": wanted})

    assert answer == {"batchItemFailures": [{"itemIdentifier": bad}]}
    assert len(list(world.executions())) == 2


def test_the_filters_pass_only_records_that_dispatch_processes(world: World) -> None:
    a_life(world)

    records = [record for event in world.batches for record in event["Records"]]
    kinds = {
        (record["eventName"], record["dynamodb"]["Keys"]["sk"]["S"].partition("#")[0])
        for record in records
    }
    assert kinds == {
        ("INSERT", "MEMBER"),
        ("INSERT", "ENV"),
        ("MODIFY", "ENV"),
        ("INSERT", "DEP"),
        ("MODIFY", "DEP"),
        ("MODIFY", "PROJECT"),
    }
    # Far more happened: logs, names, leases, members, locks, queues.
    assert len(records) < len(world.stream) * 0.6


def test_changes_while_dispatch_was_down_are_processed_later(world: World) -> None:
    world.hold_the_stream()
    kept = world.environment(name="kept")
    deployment = world.deploy(kept)
    gone = world.environment(name="gone", ttl_hours=0.5)
    world.delete(gone)
    over = world.environment(name="over", ttl_hours=1)
    world.run(7200)
    world.sweep_ttl()

    world.release_the_stream()
    world.settle()

    assert world.look(deployment)["status"] == "succeeded"
    assert world.look(gone)["status"] == world.look(over)["status"] == "destroyed"
    assert world.dead_letters == []


def test_a_record_of_a_deleted_item_is_not_poison(world: World) -> None:
    world.hold_the_stream()
    environment = world.environment()
    world.erase(environment)

    world.release_the_stream()
    world.settle()

    assert world.dead_letters == []
    assert list(world.executions()) == []


def test_the_use_of_a_template_follows_its_environment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_inputs, "remove_all", lambda environment: None)
    environment = world.running()
    world.change(
        environment_records.key(environment), "SET template = :template", template="web@1.0"
    )
    world.settle()
    used = template_records.used_key("web", str(environment))
    running = world.item(used)
    deliveries = list(world.batches)

    world.delete(environment)
    world.run(60)
    gone = world.item(used)
    for event in deliveries:
        world.redeliver(event)

    assert running and gone
    assert (running["version"], running["status"]) == ("1.0", "running")
    assert (gone["status"], "ttl" in gone, "ttl" in running) == ("destroyed", True, False)
    assert world.item(used) == gone
