"""Leases that people extend, touch, pin and unpin, never past the policy."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from slipway.access.principal import Principal
from slipway.domain import timestamps
from slipway.domain.environment import TAKES_DEPLOYMENTS, Environment, comes_from
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.errors import (
    Busy,
    EnvironmentGoing,
    Invalid,
    NoLease,
    NotFound,
    ProjectGoing,
    TtlExceedsPolicy,
)
from slipway.services import environments, leases, projects, teardowns
from slipway.store import environment_records, table
from tests.support.store import between, world
from tests.support.store.records import STATES, lease, overdue

pytestmark = pytest.mark.usefixtures("aws")

HOUR = timedelta(hours=1)


@pytest.fixture
def idle(ann: Principal) -> EnvironmentId:
    """An environment that lives 4 hours from its last use, and 8 at the most."""
    policy = {"default_ttl_hours": 4, "max_ttl_hours": 8, "expiry_mode": "idle"}
    made = world.environment(world.project(ann, "idle", policy=policy), ann)
    world.comes_up(made)
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """How far the present is ahead."""
    ahead = [timedelta()]
    real = timestamps.now
    monkeypatch.setattr(timestamps, "now", lambda: real() + ahead[0])
    return ahead


def ends(shown: Environment) -> timedelta:
    """When it ends, counted from its creation."""
    assert shown.expires_at
    return shown.expires_at - shown.created_at


def about(found: timedelta, hours: float) -> bool:
    return abs(found - hours * HOUR) < timedelta(minutes=1)


# --- policies -------------------------------------------------------------------------------


def test_a_policy_applies_to_environments_created_after_it(
    ann: Principal, project: ProjectId
) -> None:
    before = world.environment(project, ann, "before")
    policy = {"default_ttl_hours": 2, "max_ttl_hours": 3, "expiry_mode": "idle"}

    projects.change(project, world.to_change(policy=policy), ann, None)
    after = environments.get(world.environment(project, ann, "after"), ann)

    assert (after.ttl_hours, after.expiry_mode) == (2, "idle")
    assert after.max_expires_at
    assert after.max_expires_at - after.created_at == 3 * HOUR
    shown = environments.get(before, ann)
    assert (shown.ttl_hours, shown.expiry_mode) == (24, "absolute")


def test_more_hours_than_the_policy_of_the_project_are_refused(ann: Principal) -> None:
    project = world.project(ann, policy={"max_ttl_hours": 3})
    before = world.everything()

    with pytest.raises(Invalid) as refused:
        world.environment(project, ann, ttl_hours=4)

    assert refused.value.fields[0].detail == "must be at most 3"
    assert world.everything() == before
    assert environments.get(world.environment(project, ann), ann).ttl_hours == 3


@pytest.mark.parametrize("policy", [{"max_ttl_hours": 721}, {"default_ttl_hours": 721}], ids=repr)
def test_a_policy_above_the_maximum_of_the_platform_is_refused(
    ann: Principal, project: ProjectId, policy: dict[str, Any]
) -> None:
    before = world.everything()

    with pytest.raises(Invalid):
        world.project(ann, "new", policy=policy)
    with pytest.raises(Invalid):
        projects.change(project, world.to_change(policy=policy), ann, None)

    assert world.everything() == before


def test_access_and_status_are_checked_before_the_policy(
    ann: Principal, bob: Principal, project: ProjectId
) -> None:
    world.environment(project, ann)

    with pytest.raises(NotFound):
        world.environment(project, bob, "other")
    projects.remove(project, ann, None, cascade=True)
    with pytest.raises(ProjectGoing):
        world.environment(project, ann, "other")


# --- longer ---------------------------------------------------------------------------------


def test_an_extension_counts_from_now(
    ann: Principal, running: EnvironmentId, clock: list[timedelta]
) -> None:
    clock[0] = 10 * HOUR

    shown = leases.extend(running, 20, ann)

    assert about(ends(shown), 30)
    assert shown == environments.get(running, ann)
    assert shown.version == 3
    found = lease(running)
    assert found and found["expires_at"] == timestamps.written(shown.expires_at or timestamps.now())


def test_an_extension_never_shortens_a_lease(ann: Principal, running: EnvironmentId) -> None:
    before = world.everything()

    shown = leases.extend(running, 1, ann)

    assert about(ends(shown), 24)
    assert world.everything() == before


@pytest.mark.parametrize("hours", [720.1, 1e9, 1e300])
def test_a_lease_never_ends_after_the_policy(
    ann: Principal, running: EnvironmentId, hours: float
) -> None:
    before = world.everything()

    with pytest.raises(TtlExceedsPolicy) as refused:
        leases.extend(running, hours, ann)

    most = environments.get(running, ann).max_expires_at
    assert most
    assert refused.value.extra == {"max_expires_at": timestamps.written(most)}
    assert world.everything() == before


def test_the_policy_counts_from_creation(
    ann: Principal, running: EnvironmentId, clock: list[timedelta]
) -> None:
    clock[0] = 10 * HOUR

    with pytest.raises(TtlExceedsPolicy):
        leases.extend(running, 711, ann)
    assert about(ends(leases.extend(running, 709, ann)), 719)


def test_an_environment_that_expires_meanwhile_is_not_extended(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def time_is_over() -> None:
        overdue(running)
        leases.expire(running, "ttl")

    between.first(monkeypatch, "TransactWriteItems", time_is_over)

    with pytest.raises(EnvironmentGoing):
        leases.extend(running, 48, ann)
    found = environment_records.find(running)
    assert found and found["status"] == "expiring"


def test_an_environment_that_is_extended_meanwhile_does_not_expire(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = timestamps.written(timestamps.now() + timedelta(seconds=60))
    table.write(
        table.Update(environment_records.key(running), "SET expires_at = :soon", {"soon": soon})
    )
    between.first(monkeypatch, "UpdateItem", lambda: leases.extend(running, 48, ann))

    leases.expire(running, "ttl")

    assert environments.get(running, ann).status == "running"


def test_an_unrelated_change_meanwhile_does_not_prevent_an_extension(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: world.becomes(running, "running", live_version="v1"),
    )

    shown = leases.extend(running, 48, ann)

    assert about(ends(shown), 48)
    assert (shown.version, shown.live_version) == (4, "v1")
    assert shown == environments.get(running, ann)


def test_another_change_of_the_lease_meanwhile_makes_an_extension_busy(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.first(monkeypatch, "TransactWriteItems", lambda: leases.extend(running, 30, ann))

    with pytest.raises(Busy):
        leases.extend(running, 48, ann)
    assert about(ends(environments.get(running, ann)), 30)


def test_a_change_that_is_always_overtaken_is_refused_as_busy(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = environment_records.find(running)
    assert item

    def overtaken(transaction: table.Transaction) -> None:
        raise table.TransactionFailed({"record": {**item, "version": item["version"] + 1}})

    before = world.everything()
    monkeypatch.setattr(table.Transaction, "commit", overtaken)

    with pytest.raises(Busy):
        leases.extend(running, 48, ann)
    assert world.everything() == before


# --- again ----------------------------------------------------------------------------------


def test_a_touch_restarts_an_idle_lease(
    ann: Principal, idle: EnvironmentId, clock: list[timedelta]
) -> None:
    clock[0] = 3 * HOUR
    assert about(ends(leases.touch(idle, ann)), 7)

    clock[0] = 6 * HOUR
    assert about(ends(leases.touch(idle, ann)), 8)


def test_a_touch_does_nothing_to_an_absolute_lease(ann: Principal, running: EnvironmentId) -> None:
    before = world.everything()

    with pytest.raises(NoLease, match="Extend it instead"):
        leases.touch(running, ann)

    assert world.everything() == before


def test_a_deployment_that_succeeds_restarts_an_idle_lease(
    ann: Principal, idle: EnvironmentId, running: EnvironmentId
) -> None:
    used = environments.get(idle, ann).created_at + 2 * HOUR
    at = timestamps.written(used)

    leases.restart_idle(idle, at)
    before = world.everything()
    for environment in (idle, running, EnvironmentId("0" * 20, "0" * 20)):
        leases.restart_idle(environment, at)

    assert about(ends(environments.get(idle, ann)), 6)
    assert world.everything() == before


def test_a_use_of_an_environment_that_goes_changes_nothing(
    ann: Principal, idle: EnvironmentId
) -> None:
    teardowns.begin(idle, ann, None)
    before = world.everything()

    leases.restart_idle(idle, timestamps.written(timestamps.now() + HOUR))

    assert world.everything() == before


# --- held open ------------------------------------------------------------------------------


def test_a_pinned_environment_does_not_expire(
    ann: Principal, running: EnvironmentId, clock: list[timedelta]
) -> None:
    shown = leases.pin(running, "demo on Friday", ann)
    clock[0] = 1000 * HOUR
    leases.expire(running, "ttl")

    assert shown.pinned
    assert (shown.pinned.reason, shown.pinned.by.id, shown.expires_at) == (
        "demo on Friday",
        ann.user_id,
        None,
    )
    assert lease(running) is None
    assert environments.get(running, ann).status == "running"


def test_pinning_again_changes_nothing(ann: Principal, running: EnvironmentId) -> None:
    shown = leases.pin(running, "demo", ann)
    before = world.everything()

    assert leases.pin(running, "another demo", ann) == shown
    assert world.everything() == before


def test_an_unpinned_environment_gets_its_full_time_again(
    ann: Principal, running: EnvironmentId, clock: list[timedelta]
) -> None:
    leases.pin(running, "demo", ann)
    clock[0] = 100 * HOUR

    shown = leases.unpin(running, ann)

    assert about(ends(shown), 124)
    assert shown.pinned is None
    assert lease(running)
    assert shown == environments.get(running, ann)


def test_an_environment_unpinned_past_its_policy_ends_at_once(
    ann: Principal, running: EnvironmentId, clock: list[timedelta]
) -> None:
    leases.pin(running, "demo", ann)
    clock[0] = 800 * HOUR

    shown = leases.unpin(running, ann)

    assert about(ends(shown), 800)
    assert environments.get(running, ann).status == "expiring"


def test_an_unpinned_lease_gets_another_execution(ann: Principal, running: EnvironmentId) -> None:
    first = environment_records.find(running)
    leases.pin(running, "demo", ann)
    leases.unpin(running, ann)
    second = environment_records.find(running)

    assert first and second
    assert environment_records.expiry_execution(first) == str(running)
    assert environment_records.expiry_execution(second) == f"{running}-2"
    assert len(environment_records.expiry_execution(second)) <= 80


def test_an_environment_that_is_not_pinned_cannot_be_unpinned(
    ann: Principal, running: EnvironmentId
) -> None:
    before = world.everything()

    with pytest.raises(NoLease):
        leases.unpin(running, ann)

    assert world.everything() == before


def test_a_pinned_lease_is_not_extended_and_not_touched(
    ann: Principal, idle: EnvironmentId
) -> None:
    leases.pin(idle, "demo", ann)
    before = world.everything()

    with pytest.raises(NoLease, match="Unpin it first"):
        leases.extend(idle, 5, ann)
    with pytest.raises(NoLease, match="Unpin it first"):
        leases.touch(idle, ann)

    assert world.everything() == before


# --- warnings -------------------------------------------------------------------------------


@pytest.fixture
def warned(ann: Principal) -> EnvironmentId:
    """An environment that lives 24 hours; of its end is warned 48, 2 and half an hour before."""
    policy = {"warn_before_hours": [2, 48, 0.5]}
    made = world.environment(world.project(ann, "warned", policy=policy), ann)
    world.comes_up(made)
    return made


def warnings(environment: EnvironmentId) -> list[timedelta]:
    """How long before the end the warnings come that are still to come."""
    item = environment_records.find(environment)
    assert item
    end = datetime.fromisoformat(item["expires_at"])
    return [end - datetime.fromisoformat(moment) for moment in item.get("warn_at", [])]


def test_only_warnings_that_are_still_to_come_are_planned(
    ann: Principal, warned: EnvironmentId
) -> None:
    shown = environments.get(warned, ann)

    assert warnings(warned) == [2 * HOUR, 0.5 * HOUR]
    assert shown.expires_at
    assert shown.next_warning_at == shown.expires_at - 2 * HOUR


def test_without_a_policy_no_warning_is_planned(ann: Principal, running: EnvironmentId) -> None:
    item = environment_records.find(running)

    assert item and not {"warn_at", "warn_before_hours"} & set(item)
    assert environments.get(running, ann).next_warning_at is None


def test_a_persistent_environment_has_no_warnings(ann: Principal) -> None:
    project = world.project(ann, policy={"warn_before_hours": [1]})
    made = world.environment(project, ann, type="persistent")

    item = environment_records.find(made)
    assert item and not {"warn_at", "warn_before_hours"} & set(item)


def test_a_changed_policy_keeps_the_warnings_of_existing_environments(
    ann: Principal, warned: EnvironmentId
) -> None:
    projects.change(warned.project, world.to_change(policy={"warn_before_hours": [9]}), ann, None)

    leases.extend(warned, 100, ann)

    assert warnings(warned) == [48 * HOUR, 2 * HOUR, 0.5 * HOUR]


def test_a_warning_is_given_once(
    ann: Principal, warned: EnvironmentId, clock: list[timedelta]
) -> None:
    item = environment_records.find(warned)
    assert item
    assert leases.warn(item, "reconcile") is False

    clock[0] = 22.1 * HOUR
    assert [leases.warn(item, "reconcile") for _ in range(2)] == [True, False]

    assert warnings(warned) == [0.5 * HOUR]
    after = environment_records.find(warned)
    assert after
    assert (after["version"], after["change"]["actor"]) == (item["version"] + 1, "reconcile")
    assert after["updated_at"] > item["updated_at"]


def test_there_is_no_warning_after_the_last(
    ann: Principal, warned: EnvironmentId, clock: list[timedelta]
) -> None:
    clock[0] = 23.9 * HOUR

    said = []
    for _ in range(3):
        item = environment_records.find(warned)
        assert item
        said.append(leases.warn(item, "reconcile"))

    assert said == [True, True, False]
    assert environments.get(warned, ann).next_warning_at is None
    after = environment_records.find(warned)
    assert after and environment_records.next_wake(after) == after["expires_at"]


def test_an_extension_replaces_the_warnings_of_the_old_end(
    ann: Principal, warned: EnvironmentId, clock: list[timedelta]
) -> None:
    clock[0] = 22.1 * HOUR
    item = environment_records.find(warned)
    assert item

    leases.extend(warned, 24, ann)

    assert warnings(warned) == [2 * HOUR, 0.5 * HOUR]
    # A process that was about to warn of the old end finds that the end has moved.
    assert leases.warn(item, "reconcile") is False


def test_a_warning_meanwhile_does_not_prevent_an_extension(
    ann: Principal, warned: EnvironmentId, clock: list[timedelta], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock[0] = 22.1 * HOUR
    item = environment_records.find(warned)
    assert item
    between.first(monkeypatch, "TransactWriteItems", lambda: leases.warn(item, "reconcile"))

    leases.extend(warned, 24, ann)

    assert warnings(warned) == [2 * HOUR, 0.5 * HOUR]


def test_a_lease_that_is_handed_over_meanwhile_still_wakes_in_time(
    ann: Principal, warned: EnvironmentId, clock: list[timedelta], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock[0] = 23.6 * HOUR
    for _ in range(2):
        item = environment_records.find(warned)
        assert item and leases.warn(item, "reconcile")
    hand_over = table.Update(
        environment_records.key(warned), "SET lease = lease + :one", {"one": 1}
    )
    between.first(monkeypatch, "TransactWriteItems", lambda: table.write(hand_over))

    # The warning of the new end comes before the old end.
    leases.extend(warned, 0.7, ann)

    item = environment_records.find(warned)
    assert item
    # 2 is the execution that the lease was handed over to, and it sleeps too long.
    assert item["lease"] == 3
    assert environment_records.next_wake(item) < item["expires_at"]


@pytest.mark.parametrize("status", sorted(set(STATES) - comes_from("expiring")))
def test_an_environment_that_goes_gets_no_warning(
    ann: Principal, warned: EnvironmentId, clock: list[timedelta], status: Any
) -> None:
    world.becomes(warned, status)
    clock[0] = 22.1 * HOUR
    item = environment_records.find(warned)
    assert item

    assert leases.warn(item, "reconcile") is False
    assert environments.get(warned, ann).next_warning_at is None


def test_an_overdue_environment_gets_no_warning(
    ann: Principal, warned: EnvironmentId, clock: list[timedelta]
) -> None:
    clock[0] = 24.1 * HOUR
    item = environment_records.find(warned)
    assert item

    assert leases.warn(item, "reconcile") is False


def test_a_pin_removes_the_warnings_and_unpinning_restores_them(
    ann: Principal, warned: EnvironmentId
) -> None:
    pinned = leases.pin(warned, "demo", ann)
    item = environment_records.find(warned)
    unpinned = leases.unpin(warned, ann)

    assert item and "warn_at" not in item
    assert (pinned.next_warning_at, unpinned.next_warning_at is None) == (None, False)
    assert warnings(warned) == [2 * HOUR, 0.5 * HOUR]


def test_a_touch_postpones_the_warnings(ann: Principal, clock: list[timedelta]) -> None:
    policy = {"default_ttl_hours": 4, "expiry_mode": "idle", "warn_before_hours": [1]}
    made = world.environment(world.project(ann, policy=policy), ann)
    clock[0] = 2 * HOUR

    shown = leases.touch(made, ann)

    assert shown.next_warning_at
    assert about(shown.next_warning_at - shown.created_at, 5)


def test_an_execution_that_would_wake_too_late_is_replaced(
    ann: Principal, warned: EnvironmentId, clock: list[timedelta]
) -> None:
    clock[0] = 23.6 * HOUR
    for _ in range(2):
        item = environment_records.find(warned)
        assert item and leases.warn(item, "reconcile")
    # It waits for the end now, and of the new end it is to be warned before that.
    leases.extend(warned, 0.8, ann)

    item = environment_records.find(warned)
    assert item
    assert environment_records.expiry_execution(item) == f"{warned}-2"
    # That one wakes early enough for a later end.
    leases.extend(warned, 24, ann)
    item = environment_records.find(warned)
    assert item
    assert environment_records.expiry_execution(item) == f"{warned}-2"


# --- and what has no lease, or not any more -------------------------------------------------


def every_way(environment: EnvironmentId, user_id: Principal) -> dict[str, Any]:
    return {
        "extend": lambda: leases.extend(environment, 48, user_id),
        "pin": lambda: leases.pin(environment, "demo", user_id),
        "touch": lambda: leases.touch(environment, user_id),
        "unpin": lambda: leases.unpin(environment, user_id),
    }


def test_a_persistent_environment_has_no_lease_to_change(
    ann: Principal, project: ProjectId
) -> None:
    made = world.environment(project, ann, type="persistent")
    before = world.everything()

    for act in every_way(made, ann).values():
        with pytest.raises(NoLease):
            act()

    assert world.everything() == before


def test_the_lease_of_another_user_is_not_found(bob: Principal, running: EnvironmentId) -> None:
    before = world.everything()

    for act in every_way(running, bob).values():
        with pytest.raises(NotFound):
            act()

    assert world.everything() == before


@pytest.mark.parametrize("status", sorted(set(STATES) - TAKES_DEPLOYMENTS))
def test_the_lease_of_an_environment_that_goes_cannot_be_changed(
    ann: Principal, idle: EnvironmentId, status: Any
) -> None:
    world.becomes(idle, status)
    before = world.everything()

    for hours in (1, 5):
        with pytest.raises(EnvironmentGoing) as refused:
            leases.extend(idle, hours, ann)
        assert refused.value.extra == {"environment_status": status}
    for act in (leases.touch, lambda *of: leases.pin(of[0], "demo", of[1])):
        with pytest.raises(EnvironmentGoing):
            act(idle, ann)

    assert world.everything() == before


def test_the_lease_of_an_overdue_environment_cannot_be_changed(
    ann: Principal, idle: EnvironmentId
) -> None:
    overdue(idle)
    before = world.everything()

    for act in (every_way(idle, ann)[name] for name in ("extend", "pin", "touch")):
        with pytest.raises((EnvironmentGoing, TtlExceedsPolicy)):
            act()

    assert world.everything() == before


def test_the_latest_possible_end_is_a_datetime(ann: Principal, running: EnvironmentId) -> None:
    assert isinstance(environments.get(running, ann).max_expires_at, datetime)
