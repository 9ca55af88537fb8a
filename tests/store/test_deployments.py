"""Deployments: who sees them, who creates them and in which order they are accepted."""

from __future__ import annotations

import json

import pytest

from slipway.access.principal import Principal
from slipway.domain import ids
from slipway.domain.deployment import Deployment, NewDeployment
from slipway.domain.environment import TAKES_DEPLOYMENTS, Status
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.errors import Busy, EnvironmentNotReady, Invalid, NotFound
from slipway.services import deployments, history, rollout_queue, rollouts, teardowns
from slipway.store import deployment_records, environment_records, log_records, table
from slipway.store.table import Update
from tests.support.store import between, world
from tests.support.store.records import STATES, overdue, waiting_in

pytestmark = pytest.mark.usefixtures("aws")

NOWHERE = EnvironmentId("0" * 20, "0" * 20)


# --- to ship --------------------------------------------------------------------------------


def test_a_deployment_is_shown_as_it_was_asked_for(ann: Principal, running: EnvironmentId) -> None:
    made = world.deployment(running, ann, "sha-1234567")

    shown = deployments.get(made, ann)

    assert (shown.id, shown.environment_id) == (str(made), str(running))
    assert (shown.project_id, shown.version) == (str(running.project), "sha-1234567")
    assert (shown.status, shown.started_at, shown.finished_at) == ("pending", None, None)
    assert shown.logs_url == f"/api/v1/deployments/{made}/logs"
    assert shown.execution_arn.endswith(f":slipway-roll_out_deployment:{made}")


def test_a_new_deployment_is_returned_as_it_is_read_later(
    ann: Principal, running: EnvironmentId
) -> None:
    made = rollout_queue.enqueue(running, NewDeployment(version="v1"), ann)

    assert deployments.get(ids.parse_deployment(made.id), ann) == made


@pytest.mark.parametrize("status", STATES)
def test_only_an_environment_that_runs_or_is_being_made_takes_deployments(
    ann: Principal, project: ProjectId, status: Status
) -> None:
    environment = world.environment(project, ann)
    world.becomes(environment, status)
    before = world.everything()

    if status in TAKES_DEPLOYMENTS:
        assert waiting_in(environment) == [] != [world.deployment(environment, ann)]
        return
    with pytest.raises(EnvironmentNotReady) as refused:
        world.deployment(environment, ann)
    assert refused.value.extra == {"environment_status": status}
    assert world.everything() == before


def test_an_overdue_environment_takes_no_deployments(
    ann: Principal, running: EnvironmentId
) -> None:
    overdue(running)
    before = world.everything()

    with pytest.raises(EnvironmentNotReady) as refused:
        world.deployment(running, ann)

    assert refused.value.extra == {"environment_status": "expiring"}
    assert world.everything() == before


def test_only_members_deploy_to_an_environment(
    ann: Principal, bob: Principal, running: EnvironmentId
) -> None:
    his = world.project(bob)
    before = world.everything()

    for environment in (running, NOWHERE, EnvironmentId(his.p, running.e)):
        with pytest.raises(NotFound):
            world.deployment(environment, bob)

    assert world.everything() == before


def test_shipping_is_two_round_trips(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = between.counted(monkeypatch)

    world.deployment(running, ann)

    assert made == ["Query + Query + BatchGetItem", "TransactWriteItems"]


def test_an_environment_that_begins_to_go_meanwhile_takes_no_deployment(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: teardowns.begin(running, ann, None),
    )

    with pytest.raises(EnvironmentNotReady):
        world.deployment(running, ann)
    assert waiting_in(running) == []


# --- in order -------------------------------------------------------------------------------


def test_ten_deployments_at_once_have_ids_in_the_order_of_acceptance(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[str] = []
    commit = table.Transaction.commit

    def noted(transaction: table.Transaction) -> None:
        commit(transaction)
        place = transaction.parts["place"]
        assert isinstance(place, table.Put)
        accepted.append(str(place.item["deployment_id"]))

    monkeypatch.setattr("slipway.domain.ids.time.time", lambda: 1_790_000_000.0)
    monkeypatch.setattr(table.Transaction, "commit", noted)

    results = between.at_once(
        monkeypatch,
        *[lambda n=n: world.deployment(running, ann, f"v{n}") for n in range(10)],
    )

    assert all(isinstance(result, DeploymentId) for result in results), results
    assert waiting_in(running) == sorted(accepted)
    assert len(set(accepted)) == 10
    listed = world.deployments(running, ann)
    assert [each.id for each in listed] == sorted(accepted, reverse=True)


def test_a_deployment_that_is_overtaken_takes_a_later_place(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.domain.ids.time.time", lambda: 1_790_000_000.0)
    faster: list[DeploymentId] = []
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: faster.append(world.deployment(running, ann, "fast")),
    )
    monkeypatch.setattr("slipway.domain.ids.secrets.randbits", lambda bits: 0)

    slower = world.deployment(running, ann, "slow")

    assert waiting_in(running) == [str(faster[0]), str(slower)]


def test_a_clock_that_is_behind_does_not_change_the_order(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for second in (1_790_000_000.0, 1_789_999_000.0, 1_000.0):
        monkeypatch.setattr("slipway.domain.ids.time.time", lambda second=second: second)
        made.append(world.deployment(running, ann))

    assert made == sorted(made)


def test_a_deployment_that_is_always_overtaken_is_refused_as_busy(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = environment_records.find(running)
    assert item

    def overtaken(transaction: table.Transaction) -> None:
        raise table.TransactionFailed({"environment": {**item, "last_accepted": "0" * 20}})

    before = world.everything()
    monkeypatch.setattr(table.Transaction, "commit", overtaken)

    with pytest.raises(Busy):
        world.deployment(running, ann)
    assert world.everything() == before


# --- to look at them ------------------------------------------------------------------------


def test_the_deployment_of_another_user_is_not_found(
    ann: Principal, bob: Principal, running: EnvironmentId
) -> None:
    made = world.deployment(running, ann)

    with pytest.raises(NotFound):
        deployments.get(made, bob)
    with pytest.raises(NotFound):
        history.deployment_logs(made, bob, world.page())
    with pytest.raises(NotFound):
        world.deployments(running, bob)
    with pytest.raises(NotFound):
        deployments.get(DeploymentId(*running, "0" * 20), ann)


def test_an_id_with_other_parents_is_not_found(
    ann: Principal, bob: Principal, running: EnvironmentId
) -> None:
    made = world.deployment(running, ann)
    his = world.environment(world.project(bob), bob)
    log_records.write(made, "ship", "2026-11-23T01:02:03.456Z", "secret")

    for forged in (DeploymentId(his.p, made.e, made.d), DeploymentId(his.p, his.e, made.d)):
        with pytest.raises(NotFound):
            deployments.get(forged, bob)
        with pytest.raises(NotFound):
            history.deployment_logs(forged, bob, world.page())


def test_reading_a_deployment_is_one_round_trip(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = world.deployment(running, ann)
    made = between.counted(monkeypatch)

    deployments.get(deployment, ann)

    assert made == ["BatchGetItem"]


def test_a_list_pages_from_the_newest_to_the_oldest(ann: Principal, running: EnvironmentId) -> None:
    made = [str(world.deployment(running, ann)) for _ in range(5)]
    found: list[str] = []
    cursor = None

    while True:
        page = world.deployments(running, ann, limit=2, cursor=cursor)
        found += [deployment.id for deployment in page]
        cursor = page.cursor
        if cursor is None:
            break

    assert found == made[::-1]


def test_a_cursor_of_another_list_is_refused(ann: Principal, running: EnvironmentId) -> None:
    world.environment(running.project, ann, "another")
    other = world.environments(running.project, ann, limit=1).cursor
    made = world.deployment(running, ann)

    with pytest.raises(Invalid):
        world.deployments(running, ann, cursor=other)
    with pytest.raises(Invalid):
        history.deployment_logs(made, ann, world.page(cursor=other))


def test_a_failure_is_shown_with_its_reason(ann: Principal, running: EnvironmentId) -> None:
    made = world.deployment(running, ann)
    failure = {"error": "DriverRefused", "reason": "no room", "step": "Ship"}
    table.write(
        Update(
            deployment_records.key(made),
            "SET #status = :failed, failure = :failure",
            {"failed": "failed", "failure": failure},
        )
    )

    shown = deployments.get(made, ann)

    assert shown.failure
    assert shown.failure.model_dump() == failure | {"remaining_resources": None}


# --- what its workflow is given -------------------------------------------------------------


def test_the_workflow_gets_ids_keys_and_the_fencing_token(
    ann: Principal, running: EnvironmentId
) -> None:
    made = world.deployment(running, ann)
    item = rollouts.acquire_next(running)
    assert item

    given = rollouts.execution_input(item)

    assert json.loads(json.dumps(given)) == given
    assert given["deployment_id"] == str(made)
    assert (given["brings"], given["token"]) == ("v1", 1)
    for wire in given["keys"].values():
        [found] = table.get(table.Key(wire["pk"]["S"], wire["sk"]["S"]))
        assert found
    assert given["log"] == {"pk": f"DEP#{made.d}", "sk": "LOG#"}


def test_enqueueing_returns_a_deployment_and_an_unknown_id_finds_none(
    ann: Principal, running: EnvironmentId
) -> None:
    assert isinstance(rollout_queue.enqueue(running, NewDeployment(version="v1"), ann), Deployment)
    assert deployment_records.find(DeploymentId(*running, "0" * 20)) is None
