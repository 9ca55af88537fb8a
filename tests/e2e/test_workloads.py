"""A job of a CI system deploys without a stored secret, and with the functions' own rights."""

from __future__ import annotations

import pytest

from local.platform import Platform
from tests.support.http_user import Person, until
from tests.support.issuer import running

pytestmark = pytest.mark.xdist_group("e2e")


def test_a_job_deploys_with_a_token_of_its_issuer_until_the_trust_is_deleted(
    platform: Platform, someone: Person, stranger: Person
) -> None:
    project = someone.project("trusting")
    environment = someone.environment(project, "preview", type="ephemeral", ttl_hours=1)["id"]
    trusts = f"/api/v1/projects/{project}/trusts"
    audience = stranger.ask("GET", "/api/v1/auth/oidc").body["audience"]
    with running() as issuer:
        new = {
            "issuer": issuer.url,
            "claims": {"repository_id": 456789, "ref": "refs/heads/main"},
            "scopes": ["read", "deploy"],
        }
        trust = someone.ask("POST", trusts, new)
        token = issuer.token(aud=audience)
        body = {"token": token, "project_id": project}
        exchanged = stranger.ask("POST", "/api/v1/auth/oidc/exchange", body)
        other = {**body, "token": issuer.token(aud=audience, ref="refs/heads/topic")}
        refused = stranger.ask("POST", "/api/v1/auth/oidc/exchange", other)

    assert (trust.status, exchanged.status, refused.status) == (201, 200, 401), exchanged.raw
    assert refused.body["claims"] == ["ref"]
    job = Person(platform.url, exchanged.body["access_token"])
    someone.wait_for(environment, "running")
    deployment = job.deploy(environment, "sha-1")
    assert deployment.status == 201, deployment.raw
    job.wait_for(deployment.body["id"], "succeeded")
    assert job.ask("DELETE", f"/api/v1/environments/{environment}").status == 403

    assert someone.ask("DELETE", f"{trusts}/{trust.body['id']}").status == 204
    ended = job.ask("GET", f"/api/v1/environments/{environment}")
    assert (ended.status, ended.body["code"]) == (401, "trust_ended")
    assert someone.ask("POST", trusts, new).status == 201
    assert someone.ask("DELETE", f"/api/v1/projects/{project}?cascade=true").status == 202
    gone = f"/api/v1/projects/{project}"
    until(lambda: someone.ask("GET", gone).status == 404, 60)
