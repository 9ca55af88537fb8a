"""A CI job's request to destroy something, from the 202 to the end, with every role enforced."""

from __future__ import annotations

import pytest

from local.platform import Platform
from tests.support.http_user import Person, until
from tests.support.issuer import Issuer, running

pytestmark = pytest.mark.xdist_group("e2e")


def job_of(owner: Person, project: str, issuer: Issuer) -> Person:
    """A CI job that the project trusts."""
    claims = {"repository_id": "123"}
    wanted = {
        "issuer": issuer.url,
        "claims": claims,
        "scopes": ["read", "deploy", "environments", "destroy"],
    }
    made = owner.ask("POST", f"/api/v1/projects/{project}/trusts", wanted)
    assert made.status == 201, made.raw
    token = issuer.token(aud=owner.url, repository_id="123")
    told = owner.ask("POST", "/api/v1/auth/oidc/exchange", {"token": token})
    assert told.status == 200, told.raw
    return Person(owner.url, told.body["access_token"], "")


def test_a_ci_jobs_request_waits_and_is_carried_out_by_the_platform(
    platform: Platform, someone: Person
) -> None:
    project = someone.project("confirmed")
    kept = someone.environment(project, "kept")["id"]
    gone = someone.environment(project, "gone")["id"]
    someone.wait_for(kept, "running")
    someone.wait_for(gone, "running")
    with running() as issuer:
        job = job_of(someone, project, issuer)
        asked = [job.ask("DELETE", f"/api/v1/environments/{each}") for each in (kept, gone)]
    assert [each.status for each in asked] == [202, 202]
    first, second = (f"/api/v1/confirmations/{each.body['id']}" for each in asked)
    assert job.ask("POST", f"{second}/approve").status == 403

    inbox = until(
        lambda: (
            found if len(found := someone.ask("GET", "/api/v1/confirmations").body) == 2 else None
        )
    )
    assert {each["target_name"] for each in inbox} == {"kept", "gone"}
    assert someone.ask("POST", f"{first}/reject", {"reason": "No."}).status == 200
    assert someone.ask("POST", f"{second}/approve").status == 200

    someone.wait_for(gone, "destroyed")
    done = until(lambda: seen if (seen := job.ask("GET", second).body)["result"] else None)
    assert (done["status"], done["result"]["status"]) == ("carried_out", 202)
    assert someone.see(kept)["status"] == "running"
    until(lambda: someone.ask("GET", "/api/v1/confirmations").body == [])
    machines = platform.client("stepfunctions").list_state_machines()["stateMachines"]
    [carrying] = [each for each in machines if each["name"].endswith("carry_out_confirmation")]
    history = platform.client("stepfunctions").list_executions(
        stateMachineArn=carrying["stateMachineArn"]
    )["executions"]
    assert [each["status"] for each in history] == ["SUCCEEDED"]
