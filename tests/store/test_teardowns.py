"""Teardowns that fail: when they are retried, and how they are forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from unittest.mock import ANY

import pytest

from slipway.access.principal import Principal
from slipway.domain import timestamps
from slipway.domain.environment import Failure
from slipway.domain.environment_requests import TeardownRetry
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.errors import (
    Busy,
    Invalid,
    NotFound,
    NothingToRetain,
    NothingToRetry,
    PreconditionFailed,
    StaleWrite,
)
from slipway.services import environments, teardowns
from slipway.store import environment_records, lifetimes, project_records, table
from slipway.store.table import Item
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("aws")

FAILURE = {
    "error": "DriverRefused",
    "reason": "the bucket is not empty",
    "step": "Retire",
    "remaining_resources": ["bucket"],
}


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = timestamps.now()

    def moves(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timestamps, "now", lambda: clock.now)
    return clock


@pytest.fixture
def failed(running: EnvironmentId) -> EnvironmentId:
    """An environment whose teardown failed once."""
    world.becomes(running, "teardown_failed", failure=FAILURE, due="DUE#0")
    return running


def record(environment: EnvironmentId) -> Any:
    found = environment_records.find(environment)
    assert found
    return found


def minutes_until_retry(item: Item, failed: Item) -> float:
    """From when the record said `failed`, to when `item` says that it is retried."""
    at = datetime.fromisoformat(item["next_retry_at"])
    return (at - datetime.fromisoformat(failed["updated_at"])) / timedelta(minutes=1)


# --- when it is tried again -----------------------------------------------------------------


def test_a_failed_teardown_is_retried_after_a_minute(ann: Principal, failed: EnvironmentId) -> None:
    before = record(failed)
    assert teardowns.plan_retry(before, "dispatch")

    item = record(failed)
    assert minutes_until_retry(item, before) == 1
    assert item["due_at"] == item["next_retry_at"]
    assert item["due"].startswith("DUE#")
    assert item["version"] == before["version"] + 1
    shown = environments.get(failed, ann)
    assert shown.failure == Failure.model_validate(FAILURE)
    assert shown.next_retry_at == datetime.fromisoformat(item["next_retry_at"])


# The pauses of a day, in minutes.
A_DAY = [1, 2, 4, 8, 16, 32, *[60] * 22]


def retried(failed: EnvironmentId, clock: Clock) -> list[float]:
    """The pauses until only people retry."""
    waits = []
    while teardowns.plan_retry(item := record(failed), "dispatch"):
        waits.append(minutes_until_retry(record(failed), item))
        clock.moves(timedelta(minutes=waits[-1], seconds=2))
        teardowns.retry(record(failed), "reconcile")
        world.becomes(failed, "teardown_failed", failure=FAILURE)
        assert len(waits) < 50
    return waits


def test_the_pauses_grow_to_an_hour_until_only_people_retry_after_a_day(
    failed: EnvironmentId, clock: Clock
) -> None:
    assert retried(failed, clock) == A_DAY

    item = record(failed)
    assert item["status"] == "teardown_failed" and item["teardown_attempts"] == len(A_DAY) + 1
    assert "next_retry_at" not in item and "due" not in item
    assert item["change"]["action"] == "retries_ended"
    before = world.everything()
    assert not teardowns.plan_retry(record(failed), "reconcile")
    assert world.everything() == before


def test_attempts_that_take_long_are_within_the_day(failed: EnvironmentId, clock: Clock) -> None:
    attempts = 0
    while teardowns.plan_retry(record(failed), "dispatch"):
        attempts += 1
        # CloudFormation waits an hour for a custom resource that does not answer.
        clock.moves(timedelta(minutes=60 + 60))
        teardowns.retry(record(failed), "reconcile")
        world.becomes(failed, "teardown_failed", failure=FAILURE)

    assert attempts == 12


def test_a_person_who_retries_begins_another_day(
    ann: Principal, failed: EnvironmentId, clock: Clock
) -> None:
    retried(failed, clock)

    teardowns.request_retry(failed, ann)
    world.becomes(failed, "teardown_failed", failure=FAILURE)

    assert retried(failed, clock) == A_DAY


def test_planning_a_retry_again_changes_nothing(failed: EnvironmentId) -> None:
    teardowns.plan_retry(record(failed), "dispatch")
    before = world.everything()

    assert teardowns.plan_retry(record(failed), "dispatch")
    assert world.everything() == before


def test_no_retry_is_planned_for_an_environment_that_changed_meanwhile(
    ann: Principal, failed: EnvironmentId
) -> None:
    stale = record(failed)
    teardowns.request_retry(failed, ann)
    before = world.everything()

    teardowns.plan_retry(stale, "dispatch")

    assert world.everything() == before


# --- trying it again ------------------------------------------------------------------------


def test_each_attempt_has_an_execution_of_its_own(failed: EnvironmentId) -> None:
    names = [environment_records.teardown_execution(record(failed))]
    for _ in range(2):
        teardowns.retry(record(failed), "reconcile")
        names.append(environment_records.teardown_execution(record(failed)))
        world.becomes(failed, "teardown_failed")

    assert names == [str(failed), f"{failed}-2", f"{failed}-3"]


def test_the_user_who_asks_for_a_retry_is_the_actor(ann: Principal, failed: EnvironmentId) -> None:
    teardowns.plan_retry(record(failed), "dispatch")

    shown = teardowns.request_retry(failed, ann)

    assert (shown.status, shown.teardown_attempts, shown.version) == ("tearing_down", 2, 5)
    assert shown.next_retry_at is None
    assert shown.execution_arn.endswith(f"retire_environment:{failed}-2")
    assert record(failed)["change"]["actor"] == ann.user_id


def test_deleting_it_again_is_a_retry_too(ann: Principal, failed: EnvironmentId) -> None:
    shown = teardowns.begin(failed, ann, None)

    assert (shown.status, shown.teardown_attempts) == ("tearing_down", 2)


def test_deleting_the_project_does_not_count_as_an_attempt(failed: EnvironmentId) -> None:
    before = world.everything()

    teardowns.begin_as(failed, "somebody")

    assert world.everything() == before


def test_one_of_two_simultaneous_retries_begins(
    ann: Principal, failed: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.first(monkeypatch, "UpdateItem", lambda: teardowns.retry(record(failed), "reconcile"))

    with pytest.raises(NothingToRetry):
        teardowns.request_retry(failed, ann)
    assert record(failed)["teardown_attempts"] == 2


def test_a_teardown_that_failed_again_meanwhile_is_retried(
    ann: Principal, failed: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_between() -> None:
        teardowns.retry(record(failed), "reconcile")
        world.becomes(failed, "teardown_failed", failure=FAILURE)

    between.first(monkeypatch, "UpdateItem", in_between)

    shown = teardowns.request_retry(failed, ann)

    assert (shown.status, shown.teardown_attempts) == ("tearing_down", 3)
    assert shown == environments.get(failed, ann)


def test_an_environment_that_keeps_changing_is_busy(
    ann: Principal, failed: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = record(failed)

    def fail(action: table.Update) -> None:
        raise table.ConditionFailed(item)

    monkeypatch.setattr(table, "write", fail)

    with pytest.raises(Busy):
        teardowns.request_retry(failed, ann)


def test_deleting_during_a_retry_shows_its_progress(
    ann: Principal, failed: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.first(monkeypatch, "UpdateItem", lambda: teardowns.retry(record(failed), "reconcile"))

    shown = teardowns.begin(failed, ann, None)

    assert (shown.status, shown.teardown_attempts) == ("tearing_down", 2)


def test_only_a_failed_teardown_is_retried(ann: Principal, running: EnvironmentId) -> None:
    before = world.everything()

    with pytest.raises(NothingToRetry, match="running"):
        teardowns.request_retry(running, ann)
    with pytest.raises(StaleWrite):
        teardowns.retry(record(running), ann.user_id)
    assert world.everything() == before


# --- retaining what cannot be taken away ----------------------------------------------------

BUCKET = "Data (AWS::S3::Bucket, data-1)"
TABLE = "Rows (AWS::DynamoDB::Table, rows-1)"
REMAINS = {f"stack: {each}" for each in (BUCKET, TABLE)}


def retaining(*names: str) -> TeardownRetry:
    return TeardownRetry(retain=list(names))


def test_retained_resources_are_recorded_with_the_new_attempt(
    ann: Principal, failed: EnvironmentId
) -> None:
    world.becomes(failed, "teardown_failed", remains=REMAINS)

    shown = teardowns.request_retry(failed, ann, retaining("Data"))

    assert (shown.status, shown.teardown_attempts) == ("tearing_down", 2)
    assert shown.retained_resources == [BUCKET]
    assert record(failed)["retain"] == {BUCKET}


def test_later_attempts_retain_the_earlier_and_the_new_resources(
    ann: Principal, failed: EnvironmentId
) -> None:
    world.becomes(failed, "teardown_failed", remains=REMAINS)
    teardowns.request_retry(failed, ann, retaining("Data"))
    world.becomes(failed, "teardown_failed", remains={f"stack: {TABLE}"})
    teardowns.retry(record(failed), "reconcile")
    world.becomes(failed, "teardown_failed", remains={f"stack: {TABLE}"})

    shown = teardowns.request_retry(failed, ann, retaining("Rows", "Rows"))

    assert shown.retained_resources == [BUCKET, TABLE]


def test_only_resources_that_remain_can_be_retained(ann: Principal, failed: EnvironmentId) -> None:
    world.becomes(failed, "teardown_failed", remains=REMAINS)
    before = world.everything()

    with pytest.raises(Invalid) as error:
        teardowns.request_retry(failed, ann, retaining("Data", "Other", "Rows", "data"))

    assert [each.pointer for each in error.value.fields] == ["#/retain/1", "#/retain/3"]
    assert error.value.fields[0].detail == "is not one of the remaining resources: Data, Rows"
    assert world.everything() == before


def test_nothing_is_retained_if_no_stack_remains(ann: Principal, failed: EnvironmentId) -> None:
    before = world.everything()

    with pytest.raises(NothingToRetain):
        teardowns.request_retry(failed, ann, retaining("Data"))
    assert world.everything() == before


def test_nothing_is_retained_before_a_teardown_failed(
    ann: Principal, running: EnvironmentId
) -> None:
    before = world.everything()

    with pytest.raises(NothingToRetry, match="running"):
        teardowns.request_retry(running, ann, retaining("Data"))
    assert world.everything() == before


def test_a_retry_succeeds_if_an_automatic_one_is_planned_at_the_same_time(
    ann: Principal, failed: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.becomes(failed, "teardown_failed", remains=REMAINS)
    planned = record(failed)
    between.first(monkeypatch, "UpdateItem", lambda: teardowns.plan_retry(planned, "dispatch"))

    shown = teardowns.request_retry(failed, ann, retaining("Data"))

    assert (shown.status, shown.next_retry_at) == ("tearing_down", None)
    assert record(failed)["retain"] == {"Data (AWS::S3::Bucket, data-1)"}


def test_only_the_first_of_two_simultaneous_retries_retains_resources(
    ann: Principal, failed: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.becomes(failed, "teardown_failed", remains=REMAINS)
    between.first(monkeypatch, "UpdateItem", lambda: teardowns.retry(record(failed), "reconcile"))

    with pytest.raises(NothingToRetry):
        teardowns.request_retry(failed, ann, retaining("Data"))
    assert "retain" not in record(failed)


# --- forgetting what remains ----------------------------------------------------------------


def test_forgetting_records_what_remains(ann: Principal, project: ProjectId) -> None:
    made = world.environment(project, ann, "x", external_id="pr-1")
    world.becomes(made, "teardown_failed", failure=FAILURE, next_retry_at="x", due="DUE#1")

    shown = teardowns.forget(made, ann, None)

    assert (shown.status, shown.forgotten) == ("destroyed", True)
    assert shown.destroyed_at
    assert shown.failure == Failure.model_validate(FAILURE)
    item = record(made)
    assert item["change"]["actor"] == ann.user_id
    assert "next_retry_at" not in item
    # Until what belongs to it goes with it.
    assert (item["due"], item["ttl"]) == (ANY, lifetimes.ended(item["destroyed_at"]))
    gone = table.get(
        environment_records.lease(made),
        project_records.environment_name(project, "x"),
        project_records.external_id(project, "pr-1"),
    )
    assert gone == [None, None, None]
    [owner] = table.get(project_records.key(project))
    assert owner and owner["environments"] == 0


def test_an_environment_without_a_lease_can_be_forgotten(
    ann: Principal, project: ProjectId
) -> None:
    made = world.environment(project, ann, "x", type="persistent")
    world.becomes(made, "teardown_failed", failure=FAILURE)

    assert teardowns.forget(made, ann, None).status == "destroyed"


def test_only_a_failed_teardown_can_be_forgotten(ann: Principal, running: EnvironmentId) -> None:
    before = world.everything()

    with pytest.raises(NothingToRetry, match="running"):
        teardowns.forget(running, ann, None)
    assert world.everything() == before


def test_a_teardown_that_is_retried_meanwhile_is_not_forgotten(
    ann: Principal, failed: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.first(
        monkeypatch, "TransactWriteItems", lambda: teardowns.retry(record(failed), "reconcile")
    )

    with pytest.raises(NothingToRetry, match="The environment is tearing_down"):
        teardowns.forget(failed, ann, None)
    assert record(failed)["status"] == "tearing_down"


def test_only_members_retry_or_forget_a_teardown(bob: Principal, failed: EnvironmentId) -> None:
    before = world.everything()

    with pytest.raises(NotFound):
        teardowns.request_retry(failed, bob)
    with pytest.raises(NotFound):
        teardowns.forget(failed, bob, None)
    assert world.everything() == before


# --- If-Match -------------------------------------------------------------------------------


def test_an_outdated_version_cannot_be_retried_or_forgotten(
    ann: Principal, failed: EnvironmentId
) -> None:
    before = world.everything()
    seen = record(failed)["version"] - 1

    for act in (teardowns.begin, teardowns.forget):
        with pytest.raises(PreconditionFailed):
            act(failed, ann, {seen})
    assert world.everything() == before


def test_a_change_meanwhile_makes_the_version_of_a_retry_outdated(
    ann: Principal, failed: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = record(failed)["version"]
    between.first(monkeypatch, "UpdateItem", lambda: world.becomes(failed, "teardown_failed"))

    with pytest.raises(PreconditionFailed):
        teardowns.begin(failed, ann, {seen})
    assert record(failed)["status"] == "teardown_failed"


def test_forgetting_again_changes_nothing(ann: Principal, failed: EnvironmentId) -> None:
    shown = teardowns.forget(failed, ann, {record(failed)["version"]})
    before = world.everything()

    assert teardowns.forget(failed, ann, None) == shown
    assert world.everything() == before
