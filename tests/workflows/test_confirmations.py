"""await_confirmation and carry_out_confirmation: decided by a person, carried out once."""

from __future__ import annotations

import json

import pytest

from slipway.domain.ids import EnvironmentId
from slipway.errors import ConfirmationDecided
from slipway.store import confirmation_records
from tests.support.workflows import faults
from tests.support.workflows.confirming import (
    approves,
    asks_to_delete,
    look,
    rejects,
    token,
)
from tests.support.workflows.emulator import dynamodb
from tests.support.workflows.world import USER, World

pytestmark = pytest.mark.xdist_group("workflows")

DAY = 24 * 3600.0
EXPIRES = "await_confirmation/It expires > dynamodb UpdateItem"
INVOKES = "carry_out_confirmation/Carry it out > lambda Environments"
LOST = "Environments > dynamodb TransactWriteItems"
RECORDS = "carry_out_confirmation/It failed > dynamodb UpdateItem"


def status(world: World, environment: EnvironmentId) -> str:
    return str(world.look(environment)["status"])


def inbox(world: World) -> list[str]:
    return [item["id"]["S"] for item in world.items("INBOX#") if item["pk"]["S"] == f"USER#{USER}"]


def test_what_is_approved_is_carried_out(world: World) -> None:
    environment = world.running()
    confirmation = asks_to_delete(environment)
    world.run(60)
    assert status(world, environment) == "running"
    assert inbox(world) == [str(confirmation)]

    approves(confirmation)
    world.run(60)

    assert status(world, environment) == "destroyed"
    record = look(world, confirmation)
    assert record["status"] == "carried_out"
    assert json.loads(record["result"])["status"] == 202
    assert inbox(world) == []
    [execution] = [each for each in world.executions() if each.workflow.startswith("carry_out")]
    assert (execution.status, execution.states) == ("SUCCEEDED", ["Carry it out"])
    world.run(DAY)
    assert look(world, confirmation)["status"] == "carried_out"


def test_what_nobody_decides_expires_to_the_second(world: World) -> None:
    environment = world.running()
    confirmation = asks_to_delete(environment)

    world.run(DAY + 60)

    record = look(world, confirmation)
    assert (record["status"], record["change"]["actor"]) == ("expired", "await_confirmation")
    assert record["finished_at"] >= record["expires_at"]
    assert status(world, environment) == "running"
    assert inbox(world) == []
    assert "due" not in record
    with pytest.raises(ConfirmationDecided):
        approves(confirmation)


def test_what_is_rejected_is_never_carried_out(world: World) -> None:
    environment = world.running()
    confirmation = asks_to_delete(environment)

    rejects(confirmation)
    world.run(2 * DAY)

    assert look(world, confirmation)["status"] == "rejected"
    assert status(world, environment) == "running"


def test_a_fault_is_met_again_until_it_passes(world: World) -> None:
    environment = world.running()
    confirmation = asks_to_delete(environment)
    world.when(INVOKES, faults.fails, 2)

    approves(confirmation)
    world.run(120)

    assert look(world, confirmation)["status"] == "carried_out"
    assert status(world, environment) == "destroyed"


def test_faults_without_end_leave_a_reason(world: World) -> None:
    environment = world.running()
    confirmation = asks_to_delete(environment)
    world.when(INVOKES, faults.fails, None)

    approves(confirmation)
    world.run(3600)

    record = look(world, confirmation)
    assert record["status"] == "failed"
    assert json.loads(record["result"])["code"] == "not_carried_out"
    assert status(world, environment) == "running"


def test_an_answer_that_was_lost_does_not_do_it_twice(world: World) -> None:
    environment = world.running()
    confirmation = asks_to_delete(environment)
    world.when(LOST, faults.lost, 1)

    approves(confirmation)
    world.run(120)

    assert look(world, confirmation)["status"] == "carried_out"
    assert status(world, environment) == "destroyed"


def test_a_revoked_token_ends_it(world: World) -> None:
    environment = world.running()
    confirmation = asks_to_delete(environment)
    dynamodb._delete_item({"TableName": "slipway", "Key": token().wire()})

    approves(confirmation)
    world.run(60)

    record = look(world, confirmation)
    assert (record["status"], json.loads(record["result"])["code"]) == ("failed", "session_ended")
    assert status(world, environment) == "running"


def test_an_event_that_was_lost_is_made_up_for(world: World) -> None:
    environment = world.running()
    confirmation = asks_to_delete(environment)
    world.run(5)
    world.hold_the_stream()
    approves(confirmation)
    world.lose_the_stream()
    world.release_the_stream()

    world.recover(3)

    assert look(world, confirmation)["status"] == "carried_out"
    assert status(world, environment) == "destroyed"


def test_an_execution_that_was_stopped_is_told(world: World) -> None:
    environment = world.running()
    confirmation = asks_to_delete(environment)
    world.when(INVOKES, faults.fails, None)
    approves(confirmation)
    world.run(3)
    [execution] = [each for each in world.executions() if each.workflow.startswith("carry_out")]
    world.stop_execution(execution)

    world.recover(3)

    record = look(world, confirmation)
    assert (record["status"], json.loads(record["result"])["code"]) == ("failed", "execution_lost")


def test_reconcile_lets_a_request_expire_that_no_workflow_waits_for(world: World) -> None:
    environment = world.running()
    world.hold_the_stream()
    confirmation = asks_to_delete(environment)
    world.lose_the_stream()
    world.release_the_stream()

    world.run(DAY)
    world.a_day_later()

    record = look(world, confirmation)
    assert (record["status"], record["change"]["actor"]) == ("expired", "reconcile")


def test_a_table_that_never_answers_leaves_the_end_to_reconcile(world: World) -> None:
    environment = world.running()
    confirmation = asks_to_delete(environment)
    world.when(EXPIRES, faults.throttled, None)

    world.run(DAY + 3600)
    world.recover(2)

    assert look(world, confirmation)["change"]["actor"] == "reconcile"


def test_a_failure_that_cannot_be_recorded_is_recorded_by_reconcile(world: World) -> None:
    environment = world.running()
    confirmation = asks_to_delete(environment)
    world.when(INVOKES, faults.fails, None)
    world.when(RECORDS, faults.throttled, None)

    approves(confirmation)
    world.run(7200)
    world.recover(3)

    record = look(world, confirmation)
    assert (record["status"], json.loads(record["result"])["code"]) == ("failed", "execution_lost")
    assert confirmation_records.find(confirmation)
