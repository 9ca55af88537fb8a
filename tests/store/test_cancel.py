"""Cancelling a deployment in each of its states, and while that state changes."""

from __future__ import annotations

import pytest

from slipway.access.principal import Principal
from slipway.domain.ids import EnvironmentId
from slipway.errors import Busy, DeploymentFinished, NotFound
from slipway.services import deployments, rollout_queue, rollouts
from slipway.store import deployment_records, table
from tests.support.store import between, world
from tests.support.store.records import waiting_in

pytestmark = pytest.mark.usefixtures("aws")


def test_a_waiting_deployment_is_canceled_at_once(ann: Principal, running: EnvironmentId) -> None:
    made, other = world.deployment(running, ann), world.deployment(running, ann)

    shown = rollout_queue.cancel(made, ann)

    assert (shown.status, shown.superseded_by) == ("canceled", None)
    assert shown.finished_at
    assert shown.failure
    assert (shown.failure.error, shown.failure.reason) == ("Canceled", f"{ann.user_id} canceled it")
    assert waiting_in(running) == [str(other)]
    item = deployment_records.find(made)
    assert item and "due" not in item


def test_a_deployment_with_the_lock_that_has_not_begun_is_asked_to_stop(
    ann: Principal, running: EnvironmentId
) -> None:
    made = world.deployment(running, ann)
    rollouts.acquire_next(running)

    shown = rollout_queue.cancel(made, ann)

    assert shown.status == "pending"
    assert shown.cancel_requested_at


def test_a_running_deployment_is_asked_to_stop_once(ann: Principal, running: EnvironmentId) -> None:
    made = world.deployment(running, ann)
    rollouts.acquire_next(running)
    world.begins(made)
    first = rollout_queue.cancel(made, ann)
    before = world.everything()

    again = rollout_queue.cancel(made, ann)

    assert again == first
    assert first.status == "running"
    assert world.everything() == before


def test_a_finished_deployment_cannot_be_canceled(ann: Principal, running: EnvironmentId) -> None:
    made = world.deployment(running, ann)
    rollouts.acquire_next(running)
    world.begins(made)
    world.succeeds(made)
    before = world.everything()

    with pytest.raises(DeploymentFinished, match="succeeded") as refused:
        rollout_queue.cancel(made, ann)
    assert refused.value.extra == {"deployment_status": "succeeded"}
    assert world.everything() == before


def test_a_deployment_that_gets_the_lock_meanwhile_is_asked_to_stop(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.deployment(running, ann)
    between.first(monkeypatch, "TransactWriteItems", lambda: rollouts.acquire_next(running))

    shown = rollout_queue.cancel(made, ann)

    assert shown.status == "pending"
    assert shown.cancel_requested_at


def test_a_deployment_that_begins_meanwhile_is_shown_as_running(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.deployment(running, ann)
    rollouts.acquire_next(running)
    between.first(monkeypatch, "UpdateItem", lambda: world.begins(made))

    shown = rollout_queue.cancel(made, ann)

    assert shown.status == "running"
    assert shown.cancel_requested_at
    assert deployments.get(made, ann) == shown


def test_a_deployment_that_succeeds_meanwhile_stays_succeeded(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.deployment(running, ann)
    rollouts.acquire_next(running)
    world.begins(made)
    between.first(monkeypatch, "UpdateItem", lambda: world.succeeds(made))

    with pytest.raises(DeploymentFinished, match="succeeded"):
        rollout_queue.cancel(made, ann)
    item = deployment_records.find(made)
    assert item and "cancel_requested_at" not in item


def test_canceling_many_times_at_once_cancels_once(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.deployment(running, ann)

    results = between.at_once(monkeypatch, *[lambda: rollout_queue.cancel(made, ann)] * 5)

    told = [each for each in results if not isinstance(each, DeploymentFinished)]
    assert told
    assert not [each for each in told if isinstance(each, Exception)]
    assert deployments.get(made, ann).status == "canceled"


def test_a_deployment_that_keeps_changing_is_busy(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.deployment(running, ann)

    def fail(transaction: table.Transaction) -> None:
        raise table.TransactionFailed({part: {} for part in transaction.parts})

    monkeypatch.setattr(table.Transaction, "commit", fail)

    with pytest.raises(Busy):
        rollout_queue.cancel(made, ann)
    assert deployments.get(made, ann).status == "pending"


def test_only_members_cancel_a_deployment(
    ann: Principal, bob: Principal, running: EnvironmentId
) -> None:
    made = world.deployment(running, ann)

    with pytest.raises(NotFound):
        rollout_queue.cancel(made, bob)
    assert deployments.get(made, ann).status == "pending"
