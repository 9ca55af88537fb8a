"""Environments and deployments from beginning to end, on the real workflows."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.platform import Platform
from tests.support.http_user import Person, until

pytestmark = pytest.mark.xdist_group("e2e")


def _execution(platform: Platform, workflow: str, name: str) -> str:
    machines = platform.client("stepfunctions").list_state_machines()["stateMachines"]
    [arn] = [m["stateMachineArn"] for m in machines if m["name"].endswith(workflow)]
    return f"{arn.replace(':stateMachine:', ':execution:')}:{name}"


def _ended(platform: Platform, arn: str) -> dict[str, Any]:
    client = platform.client("stepfunctions")

    def ended() -> dict[str, Any] | None:
        described: dict[str, Any] = client.describe_execution(executionArn=arn)
        return described if described["status"] != "RUNNING" else None

    found: dict[str, Any] = until(ended)
    return found


def test_an_ephemeral_environment_is_gone_within_seconds_of_its_end(
    someone: Person, platform: Platform
) -> None:
    # It is to run before its end, on a machine that does much else, too.
    at_once = {"simulate": {"provision": {"seconds": 0}}}
    made = someone.environment(someone.project(), type="ephemeral", ttl_hours=0.001, config=at_once)
    lives = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert made["status"] == "provisioning"
    assert lives == timedelta(seconds=3.6)

    running = someone.wait_for(made["id"], "running")
    assert running["base_url"].startswith("https://preview-")

    gone = someone.wait_for(made["id"], "destroyed")
    late = datetime.fromisoformat(gone["destroyed_at"]) - datetime.fromisoformat(made["expires_at"])
    assert timedelta(0) <= late <= timedelta(seconds=5)
    expiry = _ended(platform, _execution(platform, "expire_environment", made["id"]))
    assert expiry["status"] == "SUCCEEDED"


def test_ttl_ends_an_environment_whose_expiry_was_stopped(
    someone: Person, platform: Platform
) -> None:
    made = someone.environment(someone.project(), type="ephemeral", ttl_hours=0.0007)
    expiry = _execution(platform, "expire_environment", made["id"])
    client = platform.client("stepfunctions")
    until(lambda: _is_running(client, expiry))

    client.stop_execution(executionArn=expiry)

    gone = someone.wait_for(made["id"], "destroyed")
    assert gone["destroyed_at"] > made["expires_at"]
    assert _ended(platform, expiry)["status"] == "ABORTED"


def _is_running(client: Any, arn: str) -> bool:
    try:
        return bool(client.describe_execution(executionArn=arn)["status"] == "RUNNING")
    except client.exceptions.ExecutionDoesNotExist:
        return False


def test_an_overdue_environment_is_never_shown_as_running(someone: Person) -> None:
    made = someone.environment(someone.project(), type="ephemeral", ttl_hours=0.0008)
    expires_at = datetime.fromisoformat(made["expires_at"])

    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["status"] != "destroyed":
        asked = datetime.now(UTC)
        seen.append({**someone.see(made["id"]), "asked": asked})

    late = [one["status"] for one in seen if one["asked"] >= expires_at]
    assert set(late) <= {"expiring", "tearing_down", "destroyed"}


def test_ten_simultaneous_deployments_succeed_in_the_order_of_acceptance(
    someone: Person,
) -> None:
    config = {"simulate": {"ship": {"seconds": 0}}}
    environment = someone.environment(someone.project(), config=config)["id"]

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: someone.deploy(environment, f"v{n}"), range(10)))

    assert [answer.status for answer in answers] == [201] * 10
    for answer in answers:
        someone.wait_for(answer.body["id"], "succeeded", "failed", "canceled", seconds=60)
    listed = someone.ask("GET", f"/api/v1/deployments/environments/{environment}").body
    done = listed[::-1]
    assert {one["status"] for one in done} == {"succeeded"}
    assert [one["created_at"] for one in done] == sorted(one["created_at"] for one in done)
    for earlier, later in itertools.pairwise(done):
        assert earlier["finished_at"] <= later["started_at"]
    assert someone.see(environment)["live_version"] == done[-1]["version"]


def test_the_lines_of_a_rollout_can_be_followed_to_the_last(someone: Person) -> None:
    environment = someone.environment(someone.project())["id"]
    deployment = someone.deploy(environment, "sha-1234567").body

    lines: list[dict[str, Any]] = []
    url = deployment["logs_url"]

    def followed() -> bool:
        nonlocal url
        answer = someone.ask("GET", url)
        lines.extend(answer.body)
        link = answer.headers.get("Link")
        if link is None:
            return bool(someone.see(deployment["id"])["finished_at"])
        url = link.partition(">")[0].removeprefix("<")
        return False

    until(followed)
    assert [line["step"] for line in lines] == ["ship", "ship", "succeed"]
    assert lines[-1]["message"] == "sha-1234567 is live"
    assert [line["ts"] for line in lines] == sorted(line["ts"] for line in lines)


def test_deleting_during_provisioning_waits_until_provisioning_has_stopped(
    someone: Person, platform: Platform
) -> None:
    made = someone.environment(someone.project())
    waiting = someone.deploy(made["id"], "v1").body

    deleted = someone.ask("DELETE", f"/api/v1/environments/{made['id']}")
    again = someone.ask("DELETE", f"/api/v1/environments/{made['id']}")

    assert (deleted.status, deleted.body["status"]) == (202, "tearing_down")
    assert again.status == 202
    someone.wait_for(made["id"], "destroyed")
    assert someone.see(waiting["id"])["status"] == "canceled"
    assert someone.deploy(made["id"], "v2").status == 409
    provisioning = _ended(platform, _execution(platform, "provision_environment", made["id"]))
    assert (provisioning["status"], provisioning["error"]) == ("FAILED", "StaleWrite")


def test_a_name_is_free_again_when_its_environment_is_destroyed(someone: Person) -> None:
    project = someone.project()
    first = someone.environment(project)
    someone.wait_for(first["id"], "running")
    path = f"/api/v1/environments/projects/{project}"
    assert someone.ask("POST", path, {"name": "Preview", "type": "persistent"}).status == 409

    someone.ask("DELETE", f"/api/v1/environments/{first['id']}")
    someone.wait_for(first["id"], "destroyed")

    assert someone.environment(project)["status"] == "provisioning"


def test_a_cascade_tears_down_all_environments_and_then_the_project(someone: Person) -> None:
    project = someone.project()
    environments = [someone.environment(project, f"e{n}")["id"] for n in range(3)]
    someone.wait_for(environments[0], "running")

    refused = someone.ask("DELETE", f"/api/v1/projects/{project}")
    accepted = someone.ask("DELETE", f"/api/v1/projects/{project}?cascade=true")

    assert refused.status == 409
    assert {one["id"] for one in refused.body["environments"]} == set(environments)
    assert (accepted.status, accepted.body["status"]) == (202, "deleting")
    until(lambda: someone.ask("GET", f"/api/v1/projects/{project}").status == 404)
    assert someone.ask("GET", "/api/v1/projects").body == []
    assert someone.project() != project


def test_objects_of_another_user_are_not_found(someone: Person, platform: Platform) -> None:
    environment = someone.environment(someone.project())["id"]
    deployment = someone.deploy(environment, "v1").body["id"]
    other = Person(platform.url).sign_in()

    answers = [
        other.ask("GET", f"/api/v1/environments/{environment}"),
        other.ask("DELETE", f"/api/v1/environments/{environment}"),
        other.ask("GET", f"/api/v1/deployments/{deployment}"),
        other.ask("GET", f"/api/v1/deployments/{deployment}/logs"),
        other.deploy(environment, "v2"),
    ]

    assert [answer.status for answer in answers] == [404] * 5
