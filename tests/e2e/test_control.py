"""People in control: leases, the queue, cancelling, faults, and repairs by reconcile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.platform import Platform
from local.redrive import redrive
from tests.support.http_user import Person, until

pytestmark = pytest.mark.xdist_group("e2e")


def _reconcile(platform: Platform) -> dict[str, int]:
    answer = platform.client("lambda").invoke(
        FunctionName=platform.outputs["ReconcileFunctionName"],
        Payload=json.dumps({"ahead_minutes": 15}),
    )
    counts: dict[str, int] = json.loads(answer["Payload"].read())
    return counts


def test_an_extended_lease_lasts_longer_and_a_pinned_one_until_unpinned(
    someone: Person,
) -> None:
    made = someone.environment(someone.project(), type="ephemeral", ttl_hours=0.0007)
    path = f"/api/v1/environments/{made['id']}"

    longer = someone.ask("POST", f"{path}/extend", {"ttl_hours": 0.0009})
    pinned = someone.ask("POST", f"{path}/pin", {"reason": "demo"})
    end = datetime.fromisoformat(longer.body["expires_at"])
    until(lambda: datetime.now(UTC) > end + timedelta(seconds=0.5))
    held = someone.wait_for(made["id"], "running", "expiring", "tearing_down", "destroyed")
    unpinned = someone.ask("POST", f"{path}/unpin")

    assert longer.body["expires_at"] > made["expires_at"]
    assert pinned.body["pinned"]["reason"] == "demo"
    assert (held["status"], held["expires_at"]) == ("running", None)
    gone = someone.wait_for(made["id"], "destroyed")
    assert gone["destroyed_at"] > unpinned.body["expires_at"] > longer.body["expires_at"]
    assert someone.ask("POST", f"{path}/extend", {"ttl_hours": 1}).status == 409


def test_a_warning_comes_before_the_end_and_again_after_an_extension(someone: Person) -> None:
    policy = {"warn_before_hours": [0.0008]}
    project = someone.ask("POST", "/api/v1/projects", {"name": "payments", "policy": policy})
    made = someone.environment(project.body["id"], type="ephemeral", ttl_hours=0.0015)
    path = f"/api/v1/environments/{made['id']}"

    def warned(times: int) -> list[dict[str, Any]] | None:
        events = someone.ask("GET", f"{path}/events").body
        found = [event for event in events if event["action"] == "expiry_warning"]
        return found if len(found) == times else None

    [first] = until(lambda: warned(1))
    longer = someone.ask("POST", f"{path}/extend", {"ttl_hours": 0.0015}).body
    second, _ = until(lambda: warned(2))
    gone = someone.wait_for(made["id"], "destroyed")

    assert made["next_warning_at"] <= first["at"] < made["expires_at"]
    assert longer["next_warning_at"] <= second["at"] < longer["expires_at"]
    assert first["reason"] == f"expires at {made['expires_at']}"
    assert second["reason"] == f"expires at {longer['expires_at']}"
    assert gone["destroyed_at"] > longer["expires_at"]
    assert warned(2)


def test_a_newer_deployment_supersedes_waiting_ones(someone: Person) -> None:
    environment = someone.environment(someone.project(), on_conflict="supersede")["id"]

    made = [someone.deploy(environment, f"v{n}").body["id"] for n in range(4)]

    assert someone.wait_for(made[-1], "succeeded")["version"] == "v3"
    others = [someone.wait_for(one, "superseded", "succeeded") for one in made[:-1]]
    assert [one["superseded_by"] for one in others if one["status"] == "superseded"]
    assert someone.see(environment)["live_version"] == "v3"


def test_a_canceled_rollout_is_restored_and_the_next_begins(someone: Person) -> None:
    config = {"simulate": {"ship": {"seconds": 2}}}
    environment = someone.environment(someone.project(), config=config)["id"]
    running, waiting = (someone.deploy(environment, version).body["id"] for version in "ab")
    someone.wait_for(running, "running")
    queue = someone.ask("GET", f"/api/v1/environments/{environment}/queue").body

    answer = someone.ask("POST", f"/api/v1/deployments/{running}/cancel")

    assert answer.status == 202
    assert [one["id"] for one in queue] == [running, waiting]
    assert someone.wait_for(running, "canceled")["failure"]["error"] == "Canceled"
    assert someone.wait_for(waiting, "succeeded")["version"] == "b"
    steps = someone.ask("GET", f"/api/v1/deployments/{running}/timeline")
    until(lambda: someone.ask("GET", f"/api/v1/deployments/{running}/timeline").body)
    assert steps.status == 200
    refused = someone.ask("POST", f"/api/v1/deployments/{running}/cancel")
    assert (refused.status, refused.body["deployment_status"]) == (409, "canceled")


def test_the_events_have_no_gap(someone: Person) -> None:
    environment = someone.environment(someone.project())
    someone.wait_for(environment["id"], "running")
    someone.ask("DELETE", f"/api/v1/environments/{environment['id']}")
    gone = someone.wait_for(environment["id"], "destroyed")
    path = f"/api/v1/environments/{environment['id']}/events"

    events = until(
        lambda: told if len(told := someone.ask("GET", path).body) >= gone["version"] else None
    )

    numbers = [int(event["id"].rpartition("_")[2]) for event in reversed(events)]
    assert numbers == list(range(1, gone["version"] + 1))
    assert [event["to"] for event in reversed(events)][-1] == "destroyed"
    assert all(event["actor"] for event in events)


def test_a_failed_teardown_is_shown_and_can_be_forgotten(someone: Person) -> None:
    config = {"simulate": {"retire": {"refuse": "not empty"}}}
    environment = someone.environment(someone.project(), config=config)["id"]
    someone.wait_for(environment, "running")
    path = f"/api/v1/environments/{environment}"

    someone.ask("DELETE", path)
    failed = someone.wait_for(environment, "teardown_failed")
    planned = until(lambda: someone.see(environment)["next_retry_at"])
    forgotten = someone.ask("DELETE", f"{path}?force=true")

    assert (failed["failure"]["reason"], failed["failure"]["step"]) == (
        "service: not empty",
        "Retire",
    )
    assert planned > failed["updated_at"]
    assert (forgotten.body["status"], forgotten.body["forgotten"]) == ("destroyed", True)


def test_reconcile_records_an_outcome_that_an_execution_could_not(
    someone: Person, platform: Platform
) -> None:
    config = {"simulate": {"ship": {"seconds": 60}}}
    environment = someone.environment(someone.project(), config=config)["id"]
    stuck = someone.deploy(environment, "v1").body
    someone.wait_for(stuck["id"], "running")

    platform.client("stepfunctions").stop_execution(executionArn=stuck["execution_arn"])
    until(lambda: _reconcile(platform)["repaired"])

    ended = someone.wait_for(stuck["id"], "failed")
    assert ended["failure"]["error"] == "ExecutionLost"
    assert someone.ask("GET", f"/api/v1/environments/{environment}/queue").body == []


def test_a_change_that_dispatch_could_not_process_is_set_aside_and_replayed(
    someone: Person, platform: Platform
) -> None:
    functions = platform.client("lambda")
    name = platform.outputs["DispatchEnvironmentsFunctionName"]
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]
    broken = {"Variables": {**variables["Variables"], "TABLE": "no-such-table"}}
    with _impatient(platform, name):
        functions.update_function_configuration(FunctionName=name, Environment=broken)
        environment = someone.environment(someone.project())["id"]
        letters = platform.client("sqs")

        def put_aside() -> bool:
            attributes = letters.get_queue_attributes(
                QueueUrl=platform.outputs["DeadLettersUrl"], AttributeNames=["All"]
            )["Attributes"]
            return bool(attributes["ApproximateNumberOfMessages"] != "0")

        until(put_aside, seconds=90)
        assert someone.see(environment)["status"] == "provisioning"
        functions.update_function_configuration(FunctionName=name, Environment=variables)

    until(lambda: redrive(platform.client, platform.outputs)[0])

    assert someone.wait_for(environment, "running")["base_url"]


@contextmanager
def _impatient(platform: Platform, function: str) -> Iterator[None]:
    """Let the function's sources give a record up after its second attempt: nine, as in the
    template, take ten seconds."""
    functions = platform.client("lambda")
    patient = functions.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    for each in patient:
        functions.update_event_source_mapping(UUID=each["UUID"], MaximumRetryAttempts=1)
    try:
        yield
    finally:
        for each in patient:
            functions.update_event_source_mapping(
                UUID=each["UUID"], MaximumRetryAttempts=each["MaximumRetryAttempts"]
            )


def test_a_client_without_state_finds_its_environment_again(someone: Person) -> None:
    project = someone.project()
    path = f"/api/v1/projects/{project}/environments/by-external-id/github:acme:pay:123"
    wanted = {"name": "pr-123", "type": "ephemeral"}

    made, found = (someone.ask("PUT", path, wanted) for _ in range(2))

    assert (made.status, found.status) == (201, 200)
    assert made.body["id"] == found.body["id"]


def test_a_request_with_an_idempotency_key_is_carried_out_once(someone: Person) -> None:
    environment = someone.environment(someone.project())["id"]
    path = f"/api/v1/deployments/environments/{environment}"
    named = {"Idempotency-Key": "build-77"}

    first, again = (someone.ask("POST", path, {"version": "v1"}, headers=named) for _ in range(2))
    other = someone.ask("POST", path, {"version": "v2"}, headers=named)

    assert (first.body["id"], first.raw) == (again.body["id"], again.raw)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status, other.body["code"]) == (422, "idempotency_key_reused")
