"""Reconcile against the table: it repairs what is overdue, once, and reads nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from slipway.access.principal import Principal
from slipway.aws import secret_inputs
from slipway.domain import ids, timestamps
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.errors import DriverFault
from slipway.services import (
    cleanup,
    deployments,
    environments,
    leases,
    projects,
    reconcile_schedule,
    rollout_queue,
    rollouts,
    teardowns,
)
from slipway.store import (
    deadlines,
    deployment_records,
    environment_records,
    project_records,
    queue_records,
    table,
)
from slipway.store.table import Item, Key, Update
from tests.support.repository import ROOT, load_function
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("aws")

HOUR = timedelta(hours=1)
ENDED = ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]


class Executions:
    """Step Functions' answer for each execution, by workflow and name, in the order of the
    calls."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.asked: list[str] = []

    def outcome(self, workflow: str, name: str) -> str | None:
        self.asked.append(f"{workflow}:{name}")
        return self.outcomes.get(name)


@pytest.fixture
def executions(monkeypatch: pytest.MonkeyPatch) -> Executions:
    made = Executions()
    monkeypatch.setattr("slipway.aws.executions.outcome", made.outcome)
    return made


@pytest.fixture(autouse=True)
def _all_of_them(aws: None, executions: Executions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step Functions is never asked, metrics have a name, and something has begun just now, in
    every test here."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Slipway")
    reconcile_schedule.keep_awake()


def reconcile(**event: Any) -> dict[str, int]:
    function = load_function(ROOT / "functions" / "events" / "reconcile")
    found: dict[str, int] = function.handler(event, None)
    return found


def counts(looked_at: int = 0, repaired: int = 0, failed: int = 0) -> dict[str, int]:
    return {"looked_at": looked_at, "repaired": repaired, "failed": failed}


def overdue(key: Key) -> None:
    """As if five minutes had gone by without anything happening to it."""
    table.write(Update(key, "SET due_at = :past", {"past": "2026-01-01T00:00:00.000Z"}))


def settled(*keys: Key) -> None:
    """All well with these: they are not looked at in this test."""
    for key in keys:
        deadlines.clear(key)


def record(this: EnvironmentId) -> Any:
    found = environment_records.find(this)
    assert found
    return found


def deployment_record(this: DeploymentId) -> Any:
    found = deployment_records.find(this)
    assert found
    return found


def is_in_minutes(item: Item, minutes: float) -> bool:
    at = datetime.fromisoformat(item["due_at"])
    return abs(at - timestamps.now() - timedelta(minutes=minutes)) < timedelta(minutes=0.5)


@pytest.fixture
def coming(ann: Principal, project: ProjectId) -> EnvironmentId:
    """An environment that is provisioning, for longer than it should."""
    made = world.environment(project, ann)
    overdue(environment_records.key(made))
    return made


@pytest.fixture
def up(running: EnvironmentId) -> EnvironmentId:
    """An environment that runs, and was looked at."""
    settled(environment_records.key(running))
    return running


@pytest.fixture
def holder(ann: Principal, up: EnvironmentId) -> DeploymentId:
    """A deployment that has the lock and runs, for longer than it should."""
    made = world.deployment(up, ann)
    rollouts.acquire_next(up)
    world.begins(made)
    overdue(deployment_records.key(made))
    return made


# --- what it reads --------------------------------------------------------------------------


def test_without_a_deadline_only_the_index_and_the_schedule_are_read(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deployment(running, ann)
    before = world.everything()
    made = between.counted(monkeypatch)

    assert reconcile() == counts()
    assert made == [*["Query"] * 4, "BatchGetItem"]
    assert world.everything() == before


def test_every_record_that_is_due_is_read_once(
    ann: Principal, project: ProjectId, executions: Executions, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(6):
        made = world.environment(project, ann, f"e{n}")
        executions.outcomes[str(made)] = "RUNNING"
        if n % 2:
            overdue(environment_records.key(made))
    trips = between.counted(monkeypatch)

    assert reconcile() == counts(looked_at=3)
    assert sorted(trips) == ["BatchGetItem"] * 4 + ["Query"] * 4 + ["UpdateItem"] * 3
    assert len(executions.asked) == 3


def test_an_index_of_many_pages_is_read_to_its_end(
    ann: Principal, project: ProjectId, executions: Executions, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(8):
        made = world.environment(project, ann, f"e{n}")
        executions.outcomes[str(made)] = "RUNNING"
        overdue(environment_records.key(made))
    between.short_pages(monkeypatch, most=1)

    assert reconcile() == counts(looked_at=8)


def test_ahead_minutes_includes_deadlines_of_the_next_minutes(
    ann: Principal, project: ProjectId, executions: Executions
) -> None:
    made = world.environment(project, ann)

    assert reconcile(ahead_minutes=4) == counts()
    assert reconcile(ahead_minutes=6) == counts(looked_at=1, repaired=1)
    assert executions.asked == [f"provision_environment:{made}"]


def test_a_record_that_is_gone_is_left_alone(
    coming: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "get", lambda *keys: [None] * len(keys))

    assert reconcile() == counts(looked_at=1)


# --- executions -----------------------------------------------------------------------------


def test_an_environment_that_was_never_started_is_sent_to_dispatch_again(
    coming: EnvironmentId,
) -> None:
    version = record(coming)["version"]

    assert reconcile() == counts(looked_at=1, repaired=1)

    item = record(coming)
    assert item["nudged_at"]
    assert (item["status"], item["version"]) == ("provisioning", version)
    assert is_in_minutes(item, 5)
    assert reconcile() == counts()


def test_an_operation_that_still_runs_is_looked_at_again_later(
    coming: EnvironmentId, executions: Executions
) -> None:
    executions.outcomes[str(coming)] = "RUNNING"

    assert reconcile() == counts(looked_at=1)

    item = record(coming)
    assert "nudged_at" not in item
    assert is_in_minutes(item, 5)


@pytest.mark.parametrize("outcome", ENDED)
def test_provisioning_that_ended_unrecorded_has_failed(
    ann: Principal, coming: EnvironmentId, executions: Executions, outcome: str
) -> None:
    executions.outcomes[str(coming)] = outcome

    assert reconcile() == counts(looked_at=1, repaired=1)

    shown = environments.get(coming, ann)
    assert (shown.status, shown.version) == ("failed", 2)
    assert shown.failure
    assert (shown.failure.error, shown.failure.reason) == (
        "ExecutionLost",
        f"Its execution has {outcome} unrecorded",
    )
    item = record(coming)
    assert "operation" not in item
    assert item["change"]["actor"] == "reconcile"


def test_a_lost_provisioning_of_an_environment_that_goes_is_released(
    ann: Principal, coming: EnvironmentId, executions: Executions
) -> None:
    teardowns.begin(coming, ann, None)
    overdue(environment_records.key(coming))
    executions.outcomes[str(coming)] = "TIMED_OUT"

    assert reconcile() == counts(looked_at=1, repaired=1)

    item = record(coming)
    assert (item["status"], item["version"]) == ("tearing_down", 3)
    assert "operation" not in item
    assert is_in_minutes(item, 5)


@pytest.mark.parametrize("status", ["expiring", "tearing_down"])
def test_a_teardown_that_ended_unrecorded_has_failed(
    up: EnvironmentId, executions: Executions, status: Any
) -> None:
    world.becomes(up, status, **deadlines.due_fields(str(up)))
    overdue(environment_records.key(up))
    executions.outcomes[str(up)] = "FAILED"

    assert reconcile() == counts(looked_at=1, repaired=1)
    assert record(up)["status"] == "teardown_failed"
    assert executions.asked == [f"retire_environment:{up}"]


def test_a_teardown_that_was_never_started_is_started(up: EnvironmentId, ann: Principal) -> None:
    teardowns.begin(up, ann, None)
    overdue(environment_records.key(up))

    assert reconcile() == counts(looked_at=1, repaired=1)
    assert record(up)["nudged_at"]


def test_an_outcome_that_is_recorded_meanwhile_is_kept(
    coming: EnvironmentId, executions: Executions, monkeypatch: pytest.MonkeyPatch
) -> None:
    executions.outcomes[str(coming)] = "SUCCEEDED"
    between.first(monkeypatch, "UpdateItem", lambda: world.comes_up(coming))

    assert reconcile() == counts(looked_at=1)

    item = record(coming)
    assert item["status"] == "running"
    assert "failure" not in item


@pytest.mark.parametrize("outcome", ENDED)
def test_a_rollout_that_ended_unrecorded_has_failed_and_releases_the_lock(
    ann: Principal, holder: DeploymentId, executions: Executions, outcome: str
) -> None:
    following = world.deployment(holder.environment, ann)
    executions.outcomes[str(holder)] = outcome

    assert reconcile() == counts(looked_at=1, repaired=1)

    shown = deployments.get(holder, ann)
    assert shown.status == "failed"
    assert shown.finished_at
    assert shown.failure and shown.failure.error == "ExecutionLost"
    assert "due" not in deployment_record(holder)
    there = environments.get(holder.environment, ann)
    assert (there.live_in_doubt, record(holder.environment)["change"]["actor"]) == (
        str(holder),
        "reconcile",
    )
    item = rollouts.acquire_next(holder.environment)
    assert item and (item["id"], item["token"]) == (str(following), 2)


def test_a_rollout_that_succeeds_meanwhile_stays_succeeded(
    ann: Principal,
    holder: DeploymentId,
    executions: Executions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executions.outcomes[str(holder)] = "SUCCEEDED"
    between.first(monkeypatch, "TransactWriteItems", lambda: world.succeeds(holder))

    assert reconcile() == counts(looked_at=1)

    assert deployments.get(holder, ann).status == "succeeded"
    assert environments.get(holder.environment, ann).live_in_doubt is None


def test_a_rollout_that_was_never_started_is_started(
    holder: DeploymentId, executions: Executions
) -> None:
    assert reconcile() == counts(looked_at=1, repaired=1)
    assert deployment_record(holder)["nudged_at"]
    assert executions.asked == [f"roll_out_deployment:{holder}"]


def test_a_rollout_that_still_runs_is_left_alone(
    holder: DeploymentId, executions: Executions
) -> None:
    executions.outcomes[str(holder)] = "RUNNING"

    assert reconcile() == counts(looked_at=1)
    assert is_in_minutes(deployment_record(holder), 5)


# --- the queue ------------------------------------------------------------------------------


def test_a_waiting_deployment_is_sent_to_dispatch_again(ann: Principal, up: EnvironmentId) -> None:
    made = world.deployment(up, ann)
    overdue(deployment_records.key(made))

    assert reconcile() == counts(looked_at=1)

    item = deployment_record(made)
    assert item["nudged_at"]
    assert is_in_minutes(item, 5)


def test_the_lock_of_a_finished_deployment_is_released(
    holder: DeploymentId,
) -> None:
    values = {"failed": "failed", "at": "2026-11-23T01:02:03.456Z"}
    change = "SET #status = :failed, finished_at = :at"
    table.write(Update(deployment_records.key(holder), change, values))

    assert reconcile() == counts(looked_at=1, repaired=1)

    [held] = table.get(queue_records.lock(holder.environment))
    assert held and "holder" not in held
    assert "due" not in deployment_record(holder)


def test_a_finished_deployment_has_no_deadline(holder: DeploymentId) -> None:
    world.succeeds(holder)
    overdue(deployment_records.key(holder))

    assert reconcile() == counts(looked_at=1)
    assert "due" not in deployment_record(holder)
    assert reconcile() == counts()


def test_a_deployment_that_ended_without_the_lock_has_no_deadline(
    ann: Principal, up: EnvironmentId
) -> None:
    made = world.deployment(up, ann)
    rollout_queue.cancel(made, ann)
    change = Update(
        deployment_records.key(made),
        "SET due = :due, due_at = :due_at",
        deadlines.due_fields(str(made)),
    )
    table.write(change)
    overdue(deployment_records.key(made))

    assert reconcile() == counts(looked_at=1)
    assert "due" not in deployment_record(made)


# --- leases ---------------------------------------------------------------------------------


def test_an_overdue_lease_is_ended(running: EnvironmentId) -> None:
    past = timestamps.written(timestamps.now() - HOUR)
    world.becomes(running, "running", expires_at=past)
    overdue(environment_records.key(running))

    assert reconcile() == counts(looked_at=1, repaired=1)

    item = record(running)
    assert (item["status"], item["change"]["actor"]) == ("expiring", "reconcile")
    assert is_in_minutes(item, 5)


def test_a_lease_is_looked_at_when_it_ends(running: EnvironmentId) -> None:
    overdue(environment_records.key(running))

    assert reconcile() == counts(looked_at=1)

    item = record(running)
    ends = datetime.fromisoformat(item["expires_at"])
    assert datetime.fromisoformat(item["due_at"]) == ends + timedelta(minutes=1)
    assert item["status"] == "running"


def test_an_extended_lease_gets_a_new_deadline(ann: Principal, running: EnvironmentId) -> None:
    overdue(environment_records.key(running))
    reconcile()
    leases.extend(running, 48, ann)
    assert is_in_minutes(record(running), 5)
    overdue(environment_records.key(running))

    reconcile()

    item = record(running)
    ends = datetime.fromisoformat(item["expires_at"])
    assert datetime.fromisoformat(item["due_at"]) == ends + timedelta(minutes=1)


@pytest.fixture
def warned(ann: Principal) -> EnvironmentId:
    """An environment whose end is to be warned of twice."""
    made = world.environment(world.project(ann, "x", policy={"warn_before_hours": [2, 1]}), ann)
    world.comes_up(made)
    return made


def test_a_lease_is_looked_at_when_a_warning_is_due(warned: EnvironmentId) -> None:
    overdue(environment_records.key(warned))

    assert reconcile() == counts(looked_at=1)

    item = record(warned)
    first = datetime.fromisoformat(item["warn_at"][0])
    assert datetime.fromisoformat(item["due_at"]) == first + timedelta(minutes=1)


def test_a_warning_that_was_missed_is_given(warned: EnvironmentId) -> None:
    past = timestamps.written(timestamps.now() - HOUR)
    later = record(warned)["warn_at"][1]
    world.becomes(warned, "running", warn_at=[past, later])
    overdue(environment_records.key(warned))

    assert reconcile() == counts(looked_at=1, repaired=1)
    item = record(warned)
    assert (item["warn_at"], item["change"]["actor"], item["status"]) == (
        [later],
        "reconcile",
        "running",
    )
    # It is looked at once more, for what comes next.
    assert [reconcile(), reconcile()] == [counts(looked_at=1), counts()]
    assert record(warned)["version"] == item["version"]
    due_at = datetime.fromisoformat(record(warned)["due_at"])
    assert due_at == datetime.fromisoformat(later) + timedelta(minutes=1)


def test_an_overdue_environment_is_ended_without_a_warning(warned: EnvironmentId) -> None:
    past = [timestamps.written(timestamps.now() - hours * HOUR) for hours in (3, 2)]
    world.becomes(warned, "running", warn_at=past, expires_at=past[1])
    overdue(environment_records.key(warned))

    assert reconcile() == counts(looked_at=1, repaired=1)
    assert record(warned)["status"] == "expiring"


def test_a_persistent_environment_is_not_looked_at_again(
    ann: Principal, project: ProjectId
) -> None:
    persistent = world.environment(project, ann, type="persistent")
    world.comes_up(persistent)
    overdue(environment_records.key(persistent))

    assert reconcile() == counts(looked_at=1)
    assert "due" not in record(persistent)


def test_a_pinned_environment_is_looked_at_again_once_it_is_unpinned(
    ann: Principal, running: EnvironmentId
) -> None:
    leases.pin(running, "demo", ann)
    overdue(environment_records.key(running))
    assert reconcile() == counts(looked_at=1)
    assert "due" not in record(running)

    leases.unpin(running, ann)

    assert is_in_minutes(record(running), 5)


def test_a_failed_environment_expires_too(running: EnvironmentId) -> None:
    past = timestamps.written(timestamps.now() - HOUR)
    world.becomes(running, "failed", expires_at=past)
    overdue(environment_records.key(running))

    assert reconcile() == counts(looked_at=1, repaired=1)
    assert record(running)["status"] == "expiring"


def test_a_destroyed_environment_has_no_deadline(running: EnvironmentId) -> None:
    world.is_destroyed(running)
    overdue(environment_records.key(running))

    assert reconcile() == counts(looked_at=1)
    assert "due" not in record(running)


# --- teardowns ------------------------------------------------------------------------------


@pytest.fixture
def failed(running: EnvironmentId) -> EnvironmentId:
    """An environment whose teardown failed, and nobody planned another."""
    world.becomes(running, "teardown_failed", updated_at=timestamps.written(timestamps.now()))
    overdue(environment_records.key(running))
    return running


def test_a_retry_that_was_not_planned_is_planned(failed: EnvironmentId) -> None:
    assert reconcile() == counts(looked_at=1, repaired=1)

    item = record(failed)
    assert item["status"] == "teardown_failed"
    assert item["next_retry_at"] == item["due_at"]
    assert is_in_minutes(item, 1)


def test_a_retry_that_is_due_is_started(failed: EnvironmentId) -> None:
    reconcile()
    past = {"past": timestamps.written(timestamps.now() - HOUR)}
    table.write(
        Update(environment_records.key(failed), "SET next_retry_at = :past, due_at = :past", past)
    )

    assert reconcile() == counts(looked_at=1, repaired=1)

    item = record(failed)
    assert (item["status"], item["teardown_attempts"], item["change"]["actor"]) == (
        "tearing_down",
        2,
        "reconcile",
    )
    assert "next_retry_at" not in item
    assert is_in_minutes(item, 5)


def test_a_retry_that_is_not_due_is_not_started(failed: EnvironmentId) -> None:
    reconcile()
    before = world.everything()

    assert reconcile() == counts()
    assert reconcile(ahead_minutes=10) == counts(looked_at=1)
    assert world.everything() == before


def test_after_the_last_retry_nothing_is_planned(failed: EnvironmentId) -> None:
    since = timestamps.written(timestamps.now() - timedelta(hours=24))
    change = Update(
        environment_records.key(failed), "SET retrying_since = :since", {"since": since}
    )
    table.write(change)

    assert reconcile() == counts(looked_at=1)

    item = record(failed)
    assert item["change"]["action"] == "retries_ended"
    assert "due" not in item
    assert "next_retry_at" not in item


# --- what cannot be mended ------------------------------------------------------------------


def test_a_record_that_cannot_be_repaired_does_not_stop_the_others(
    ann: Principal, project: ProjectId, caplog: pytest.LogCaptureFixture
) -> None:
    made = [world.environment(project, ann, f"e{n}") for n in range(5)]
    for each in made:
        overdue(environment_records.key(each))
    broken = environment_records.key(made[2])
    table.write(Update(broken, "SET id = :nonsense", {"nonsense": "nonsense"}))

    assert reconcile() == counts(looked_at=5, repaired=4, failed=1)

    assert [("nudged_at" in record(each)) for each in made] == [True, True, False, True, True]
    assert "Could not reconcile" in caplog.text


def test_each_repair_is_counted_and_logged(
    coming: EnvironmentId, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("INFO"):
        reconcile()

    [line] = [each for each in caplog.records if each.getMessage() == "repair"]
    assert vars(line)["repair"] == "never_started"
    assert vars(line)["sk"] == environment_records.key(coming).sk
    assert '"Repairs":[1.0]' in capsys.readouterr().out.replace(" ", "")


# --- projects -------------------------------------------------------------------------------


def test_a_cascade_that_stopped_is_sent_to_dispatch_again(
    ann: Principal, project: ProjectId, running: EnvironmentId
) -> None:
    settled(environment_records.key(running))
    projects.remove(project, ann, None, cascade=True)
    overdue(project_records.key(project))

    assert reconcile() == counts(looked_at=1)

    [item] = table.get(project_records.key(project))
    assert item and item["nudged_at"]
    assert (item["status"], is_in_minutes(item, 5)) == ("deleting", True)


# --- orphaned secrets -----------------------------------------------------------------------


def test_orphaned_secrets_are_removed_when_they_are_due(
    project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []
    monkeypatch.setattr(secret_inputs, "remove_all", removed.append)
    never = EnvironmentId(project.p, ids.new_part())
    table.write(cleanup.secrets_may_be_orphaned(str(never)))
    assert reconcile() == counts()

    overdue(Key(f"ENV#{never.e}", "SECRETS"))
    assert reconcile() == counts(looked_at=1, repaired=1)

    assert removed == [str(never)]
    assert reconcile() == counts()


def test_secrets_that_cannot_be_removed_are_tried_again_later(
    project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(of: str) -> None:
        raise DriverFault("not now")

    never = EnvironmentId(project.p, ids.new_part())
    table.write(cleanup.secrets_may_be_orphaned(str(never)))
    overdue(Key(f"ENV#{never.e}", "SECRETS"))
    with monkeypatch.context() as patch:
        patch.setattr(secret_inputs, "remove_all", refuses)
        assert reconcile() == counts(looked_at=1, failed=1)
    monkeypatch.setattr(secret_inputs, "remove_all", lambda of: None)

    assert reconcile() == counts(looked_at=1, repaired=1)
