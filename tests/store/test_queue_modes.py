"""A deployment's mode decides about those ahead of it: queue, supersede, cancel_running, reject."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from slipway.access.principal import Principal
from slipway.aws import dynamodb
from slipway.domain import ids
from slipway.domain.deployment import Deployment
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.errors import Busy, NotFound, OutdatedDeployment, QueueBusy
from slipway.services import deployments, queues, rollout_queue, rollouts
from slipway.store import (
    deployment_records,
    environment_records,
    project_records,
    queue_records,
    table,
)
from slipway.store.table import Update
from tests.support.store import between, world
from tests.support.store.records import joins, runs, waiting_in

pytestmark = pytest.mark.usefixtures("aws")


def goes_live(environment: EnvironmentId, order: int | str | None) -> str:
    """The last write of roll_out_deployment in the environment's record."""
    values = {"id": "dep_live", "version": "v0", "order": order}
    change = "SET live_deployment_id = :id, live_version = :version, live_order = :order"
    table.write(Update(environment_records.key(environment), change, values))
    return "dep_live"


def shown(deployment: DeploymentId, user_id: Principal) -> Deployment:
    return deployments.get(deployment, user_id)


# --- supersede ------------------------------------------------------------------------------


def test_supersede_replaces_all_waiting_deployments(ann: Principal, running: EnvironmentId) -> None:
    first = joins(running, ann)
    runs(running)
    waiting = [joins(running, ann) for _ in range(3)]
    newest = joins(running, ann, version="v9", on_conflict="supersede")

    rollout_queue.make_way(newest)

    for each in waiting:
        found = shown(each, ann)
        assert (found.status, found.superseded_by) == ("superseded", str(newest))
        assert found.failure
        assert (found.failure.error, found.failure.reason) == (
            "Superseded",
            "v9 takes its place",
        )
        assert found.finished_at
    assert waiting_in(running) == [str(newest)]
    assert shown(first, ann).cancel_requested_at is None


def test_superseding_again_changes_nothing(ann: Principal, running: EnvironmentId) -> None:
    joins(running, ann)
    newest = joins(running, ann, on_conflict="supersede")
    rollout_queue.make_way(newest)
    before = world.everything()

    rollout_queue.make_way(newest)

    assert world.everything() == before


def test_a_later_deployment_is_never_superseded(ann: Principal, running: EnvironmentId) -> None:
    superseding = joins(running, ann, on_conflict="supersede")
    later = joins(running, ann)

    rollout_queue.make_way(superseding)

    assert waiting_in(running) == [str(superseding), str(later)]


@pytest.mark.parametrize("mode", ["queue", "reject"])
def test_queue_supersedes_nothing(ann: Principal, running: EnvironmentId, mode: str) -> None:
    made = joins(running, ann, on_conflict=mode)
    before = world.everything()

    rollout_queue.make_way(made)

    assert world.everything() == before


def test_an_unknown_deployment_supersedes_nothing(running: EnvironmentId) -> None:
    before = world.everything()

    rollout_queue.make_way(DeploymentId(*running, "0" * 20))

    assert world.everything() == before


def test_a_deployment_that_gets_the_lock_meanwhile_is_not_superseded(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = joins(running, ann)
    newest = joins(running, ann, on_conflict="supersede")
    between.first(monkeypatch, "TransactWriteItems", lambda: rollouts.acquire_next(running))

    rollout_queue.make_way(newest)

    assert shown(first, ann).status == "pending"
    holder = rollouts.acquire_next(running)
    assert holder and holder["id"] == str(first)


def test_the_mode_of_the_environment_is_the_default(ann: Principal, project: ProjectId) -> None:
    previews = world.environment(project, ann, "previews", on_conflict="supersede")

    made = [joins(previews, ann), joins(previews, ann, on_conflict="queue")]

    assert [shown(each, ann).on_conflict for each in made] == ["supersede", "queue"]


# --- cancel_running -------------------------------------------------------------------------


def test_cancel_running_asks_the_running_deployment_to_stop(
    ann: Principal, running: EnvironmentId
) -> None:
    first, second = joins(running, ann), joins(running, ann)
    runs(running)
    newest = joins(running, ann, on_conflict="cancel_running")

    rollout_queue.make_way(newest)

    assert shown(first, ann).status == "running"
    assert shown(first, ann).cancel_requested_at
    item = deployment_records.find(first)
    assert item and item["cancel_requested_by"] == ann.user_id
    assert shown(second, ann).superseded_by == str(newest)


def test_cancel_running_leaves_later_deployments_alone(
    ann: Principal, running: EnvironmentId
) -> None:
    newest = joins(running, ann, on_conflict="cancel_running")
    assert runs(running) == newest
    before = world.everything()

    rollout_queue.make_way(newest)

    assert world.everything() == before


def test_cancel_running_without_a_running_deployment_changes_nothing(
    ann: Principal, running: EnvironmentId
) -> None:
    newest = joins(running, ann, on_conflict="cancel_running")
    before = world.everything()

    rollout_queue.make_way(newest)

    assert world.everything() == before


def test_a_deployment_that_ends_meanwhile_is_not_asked_to_stop(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = joins(running, ann)
    runs(running)
    newest = joins(running, ann, on_conflict="cancel_running")
    between.first(monkeypatch, "UpdateItem", lambda: world.succeeds(first))

    rollout_queue.make_way(newest)

    found = shown(first, ann)
    assert (found.status, found.cancel_requested_at) == ("succeeded", None)


# --- reject ---------------------------------------------------------------------------------


def test_reject_is_accepted_if_the_queue_is_empty(ann: Principal, running: EnvironmentId) -> None:
    made = joins(running, ann, on_conflict="reject")

    assert shown(made, ann).status == "pending"
    runs(running)
    world.succeeds(made)
    assert shown(joins(running, ann, on_conflict="reject"), ann).on_conflict == "reject"


@pytest.mark.parametrize("ahead", ["waits", "runs"])
def test_reject_is_refused_behind_another_deployment(
    ann: Principal, running: EnvironmentId, ahead: str
) -> None:
    joins(running, ann)
    if ahead == "runs":
        runs(running)
    before = world.everything()

    with pytest.raises(QueueBusy):
        joins(running, ann, on_conflict="reject")
    assert world.everything() == before


def test_one_of_many_simultaneous_rejecting_deployments_is_accepted(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = between.at_once(
        monkeypatch, *[lambda: joins(running, ann, on_conflict="reject") for _ in range(6)]
    )

    accepted = [each for each in results if isinstance(each, DeploymentId)]
    assert len(accepted) == 1
    assert sum(isinstance(each, QueueBusy) for each in results) == 5
    assert waiting_in(running) == [str(accepted[0])]


def test_reject_sees_a_deployment_that_is_accepted_meanwhile(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.first(monkeypatch, "TransactWriteItems", lambda: joins(running, ann))

    with pytest.raises(QueueBusy):
        joins(running, ann, on_conflict="reject")


def test_a_deployment_that_gets_the_lock_during_the_comparison_is_compared(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = joins(running, ann, sequence=10)
    monkeypatch.setattr(queue_records, "_YOUNG_SECONDS", 0)
    between.apart(
        monkeypatch, ["LOCK", "Query"], [lambda: None, lambda: runs(running), lambda: None]
    )

    with pytest.raises(OutdatedDeployment) as refused:
        joins(running, ann, sequence=9)
    assert refused.value.extra["newer"] == str(newer)


def test_simultaneous_rejecting_deployments_never_have_another_ahead(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[dict[str, Any]] = [{"on_conflict": "reject"}, {}] * 3
    acts: list[Callable[[], object]] = [
        functools.partial(joins, running, ann, **mode) for mode in modes
    ]

    results = between.at_once(monkeypatch, *acts, lambda: rollouts.acquire_next(running))

    told = list(zip(modes, results[:-1], strict=True))
    assert all(
        isinstance(each, DeploymentId) or (mode and isinstance(each, QueueBusy))
        for mode, each in told
    ), results
    accepted = sorted(str(each) for _, each in told if isinstance(each, DeploymentId))
    rejecting = [str(each) for mode, each in told if mode and isinstance(each, DeploymentId)]
    assert rejecting in ([], accepted[:1])


@pytest.mark.parametrize("last", ["none", "old", "young", "waits"])
def test_the_round_trips_of_a_rejecting_deployment(
    ann: Principal, project: ProjectId, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    here = world.environment(project, ann)
    if last != "none":
        ahead = joins(here, ann)
        if last != "waits":
            rollout_queue.cancel(ahead, ann)
    if last == "old":
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 61)
    made = between.counted(monkeypatch)

    with pytest.raises(QueueBusy) if last == "waits" else nullcontext():
        joins(here, ann, on_conflict="reject")

    look, write = "Query + Query + Query + BatchGetItem", "TransactWriteItems"
    trips = {
        "none": [look, write],
        "old": [look, write],
        "young": [look, "Query + BatchGetItem", write],
        "waits": [look],
    }
    assert made == trips[last]


@pytest.mark.parametrize("last", ["none", "rejected", "queued", "waits", "queued and waits"])
def test_the_round_trips_where_the_environment_rejects(
    ann: Principal, project: ProjectId, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    here = world.environment(project, ann, on_conflict="reject")
    if last != "none":
        mode = {"on_conflict": "queue"} if last.startswith("queued") else {}
        ahead = joins(here, ann, **mode)
        if not last.endswith("waits"):
            rollout_queue.cancel(ahead, ann)
    made = between.counted(monkeypatch)

    with pytest.raises(QueueBusy) if last.endswith("waits") else nullcontext():
        joins(here, ann)

    hoped = ["Query + Query + BatchGetItem", "TransactWriteItems"]
    look = "Query + BatchGetItem"
    trips = {
        "none": hoped,
        "rejected": hoped,
        "queued": [*hoped, look, "TransactWriteItems"],
        "waits": [*hoped, look],
        "queued and waits": [*hoped, look],
    }
    assert made == trips[last]


def test_a_rejecting_environment_sees_all_deployments_not_only_the_last(
    ann: Principal, project: ProjectId
) -> None:
    here = world.environment(project, ann, on_conflict="reject")
    joins(here, ann)
    rollout_queue.cancel(joins(here, ann, on_conflict="queue"), ann)

    with pytest.raises(QueueBusy):
        joins(here, ann)


def test_a_rejecting_environment_accepts_one_of_many_at_once(
    ann: Principal, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world.environment(project, ann, on_conflict="reject")
    rollout_queue.cancel(joins(here, ann), ann)

    results = between.at_once(monkeypatch, *[lambda: joins(here, ann) for _ in range(6)])

    accepted = [str(each) for each in results if isinstance(each, DeploymentId)]
    assert sum(isinstance(each, QueueBusy) for each in results) == 5
    assert waiting_in(here) == accepted


def test_a_deployment_that_is_always_overtaken_is_refused_as_busy(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = table.Transaction.commit

    def overtaken(transaction: table.Transaction) -> None:
        change = Update(
            environment_records.key(running), "SET last_accepted = :x", {"x": ids.new_part()}
        )
        table.write(change)
        commit(transaction)

    monkeypatch.setattr(table.Transaction, "commit", overtaken)

    with pytest.raises(Busy):
        joins(running, ann)
    assert waiting_in(running) == []


# --- what is outdated -----------------------------------------------------------------------

OLD, NEW = "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"
ORDERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "by its number": ({"sequence": 9}, {"sequence": 10}),
    "by its commit": ({"committed_at": OLD}, {"committed_at": NEW}),
    "by its commit elsewhere": (
        {"committed_at": "2026-11-02T01:00:00+02:00"},
        {"committed_at": "2026-11-02T00:00:00+00:00"},
    ),
}
every_order = pytest.mark.parametrize("old,new", ORDERS.values(), ids=ORDERS.keys())


@every_order
@pytest.mark.parametrize("where", ["waits", "runs"])
def test_an_older_version_is_refused_behind_a_newer_one(
    ann: Principal, running: EnvironmentId, old: dict[str, Any], new: dict[str, Any], where: str
) -> None:
    ahead = joins(running, ann, **new)
    if where == "runs":
        runs(running)
    before = world.everything()

    with pytest.raises(OutdatedDeployment) as refused:
        joins(running, ann, **old)
    assert refused.value.extra["newer"] == str(ahead)
    assert refused.value.extra["newer_version"] is None
    assert str(refused.value.extra["newer_order"]) in refused.value.detail
    assert world.everything() == before


@every_order
def test_a_newer_version_follows_an_older_one(
    ann: Principal, running: EnvironmentId, old: dict[str, Any], new: dict[str, Any]
) -> None:
    made = [joins(running, ann, **fields) for fields in (old, new, new)]

    assert waiting_in(running) == [str(each) for each in made]


@every_order
def test_an_older_version_is_accepted_if_it_may_be_outdated(
    ann: Principal, running: EnvironmentId, old: dict[str, Any], new: dict[str, Any]
) -> None:
    joins(running, ann, **new)

    made = joins(running, ann, **old, allow_outdated=True)

    assert shown(made, ann).status == "pending"


def test_an_older_version_is_refused_if_a_newer_one_is_live(
    ann: Principal, running: EnvironmentId
) -> None:
    live = goes_live(running, 10)

    with pytest.raises(OutdatedDeployment) as refused:
        joins(running, ann, sequence=9)
    assert refused.value.extra == {"newer": live, "newer_version": "v0", "newer_order": 10}
    assert refused.value.detail == (
        "sequence 9 is older than 10: live is v0. Send allow_outdated to deploy anyway."
    )
    assert shown(joins(running, ann, sequence=10), ann).sequence == 10


@pytest.mark.parametrize("first", [{"sequence": 10}, {"committed_at": NEW}, {}])
@pytest.mark.parametrize("second", [{"sequence": 9}, {"committed_at": OLD}, {}])
def test_versions_that_cannot_be_compared_are_not_outdated(
    ann: Principal, running: EnvironmentId, first: dict[str, Any], second: dict[str, Any]
) -> None:
    if first.keys() == second.keys() and first:
        second = first
    joins(running, ann, **first)

    made = joins(running, ann, **second)

    assert len(waiting_in(running)) == 2
    found = shown(made, ann)
    assert found.sequence == second.get("sequence")
    assert (found.committed_at is None) == ("committed_at" not in second)


def test_a_deployment_that_becomes_outdated_in_the_queue_does_not_start(
    ann: Principal, running: EnvironmentId
) -> None:
    outdated, allowed = (
        joins(running, ann, sequence=5),
        joins(running, ann, sequence=5, allow_outdated=True),
    )
    live = goes_live(running, 6)

    item = rollouts.acquire_next(running)

    assert item and item["id"] == str(allowed)
    found = shown(outdated, ann)
    assert (found.status, found.superseded_by) == ("superseded", live)
    assert found.failure
    assert (found.failure.error, found.failure.reason) == (
        "OutdatedDeployment",
        "v0 is live and newer",
    )
    assert waiting_in(running) == []


def test_the_lock_stays_free_if_all_waiting_deployments_are_outdated(
    ann: Principal, running: EnvironmentId
) -> None:
    for _ in range(3):
        joins(running, ann, committed_at=OLD)
    goes_live(running, "2026-11-02T00:00:00.000Z")

    assert rollouts.acquire_next(running) is None
    assert waiting_in(running) == []
    [held] = table.get(queue_records.lock(running))
    assert held is None


# --- what is shown of it --------------------------------------------------------------------


def test_the_queue_is_shown_in_order_with_the_running_deployment_first(
    ann: Principal, running: EnvironmentId
) -> None:
    made = [joins(running, ann) for _ in range(4)]
    runs(running)

    found = queues.list_(running, ann)

    assert [each.id for each in found] == [str(each) for each in made]
    assert [each.status for each in found] == ["running", "pending", "pending", "pending"]


def test_an_empty_queue_is_shown_as_empty(ann: Principal, running: EnvironmentId) -> None:
    assert queues.list_(running, ann) == []


def test_reading_the_queue_and_the_access_is_one_round_trip(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        joins(running, ann)
    runs(running)
    made = between.counted(monkeypatch)

    assert len(queues.list_(running, ann)) == 3
    assert made == ["Query + Query + BatchGetItem"]


def test_a_deployment_behind_many_that_ended_is_shown(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "_LIKELY", 2)
    waits = [joins(running, ann) for _ in range(3)]
    runs(running)
    for _ in range(3):
        rollout_queue.cancel(joins(running, ann), ann)

    assert [each.id for each in queues.list_(running, ann)] == [str(each) for each in waits]


def test_a_deployment_that_gets_the_lock_during_the_read_is_shown(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = joins(running, ann)
    real = dynamodb.together

    def together(*calls: Any) -> Any:
        *queries, keys = calls
        [batch] = real(keys)
        monkeypatch.setattr(dynamodb, "together", real)
        runs(running)
        return [*real(*queries), batch]

    monkeypatch.setattr(dynamodb, "together", together)

    assert [each.id for each in queues.list_(running, ann)] == [str(made)]


def test_a_long_queue_is_shown_up_to_a_hundred(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_records, "PAGE", 3)
    made = [joins(running, ann) for _ in range(5)]
    runs(running)
    between.short_pages(monkeypatch)

    assert [each.id for each in queues.list_(running, ann)] == [str(each) for each in made[:3]]


def test_a_deployment_that_ends_during_the_read_is_not_shown(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "_LIKELY", 1)
    first, second = joins(running, ann), joins(running, ann)
    runs(running)
    real = table.get

    def get(*keys: table.Key) -> Any:
        if deployment_records.key(first) in keys:
            monkeypatch.setattr(table, "get", real)
            world.succeeds(first)
        return real(*keys)

    monkeypatch.setattr(table, "get", get)

    assert [each.id for each in queues.list_(running, ann)] == [str(second)]


# --- what goes in that moment ---------------------------------------------------------------


def test_a_member_who_is_removed_meanwhile_deploys_nothing(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = project_records.member(running.project, ann.user_id)
    between.first(monkeypatch, "TransactWriteItems", lambda: table.write(table.Delete(member)))

    with pytest.raises(NotFound):
        joins(running, ann)
    assert waiting_in(running) == []
