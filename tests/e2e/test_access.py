"""A sample of the access matrix over HTTP, where each function has the rights of its role only.

tests/api/test_access_matrix.py has every operation, caller and object, with the handlers alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.access import policy
from slipway.domain.rights import ROLES, SCOPES
from tests.support.http_user import Answer, Person
from tests.support.issuer import running

pytestmark = pytest.mark.xdist_group("e2e")

Request = tuple[str, str, str, Any]


def sample(project: str, environment: str, member: str) -> list[Request]:
    """(action, method, path, body), the harmless ones first. Bodies that are invalid beyond what
    the policy decides keep what is there as it is."""
    here = f"/api/v1/projects/{project}"
    there = f"/api/v1/environments/{environment}"
    return [
        ("projects:read", "GET", here, None),
        ("permissions:read", "GET", f"{here}/permissions", None),
        ("members:read", "GET", f"{here}/members", None),
        ("audit:read", "GET", f"{here}/audit", None),
        ("trusts:read", "GET", f"{here}/trusts", None),
        ("environments:read", "GET", there, None),
        ("environments:list", "GET", f"/api/v1/environments/projects/{project}", None),
        ("deployments:list", "GET", f"/api/v1/deployments/environments/{environment}", None),
        ("projects:change", "PATCH", here, {"description": "the same for all"}),
        ("environments:change", "PATCH", there, {"tier": "staging"}),
        ("environments:extend", "POST", f"{there}/touch", None),
        ("deployments:create", "POST", f"/api/v1/deployments/environments/{environment}", _DEPLOY),
        ("members:change", "PATCH", f"{here}/members/{member}", {"role": "viewer"}),
        ("environments:force", "DELETE", f"{there}?force=true", None),
    ]


_DEPLOY = {"version": "v1", "on_conflict": "queue"}


def judged(answer: Answer, action: str, role: str, scopes: Any) -> bool:
    """Whether the answer is what the policy says."""
    rule = policy.ACTIONS[action]
    if scopes is not None and rule.scope and rule.scope not in scopes:
        return answer.status == 403 and answer.body["required_scope"] == rule.scope
    needed = rule.role or "viewer"
    if ROLES.index(role) < ROLES.index(needed):
        return answer.status == 403 and answer.body["required_role"] == needed
    return answer.status not in (401, 403, 404) and answer.status < 500


def test_roles_tokens_and_workloads_do_over_http_what_the_policy_says(someone: Person) -> None:
    project = someone.project("shared")
    made = {"name": "stage", "type": "persistent", "tier": "staging"}
    environment = someone.ask("POST", f"/api/v1/environments/projects/{project}", made).body["id"]
    someone.wait_for(environment, "running")
    members = {role: Person(someone.url).sign_in() for role in ROLES}
    ids = {}
    for role, person in members.items():
        wanted = {"email": person.email, "role": role}
        added = someone.ask("POST", f"/api/v1/projects/{project}/members", wanted)
        assert added.status == 201, added.raw
        ids[role] = added.body["user_id"]
    callers: list[tuple[Person, str, Any]] = [(who, role, None) for role, who in members.items()]
    for kind, scopes in (("personal", ["read"]), ("ci", ["deploy"]), ("agent", list(SCOPES))):
        wanted_token = {"name": kind, "kind": kind, "scopes": scopes}
        token = members["maintainer"].ask("POST", "/api/v1/auth/tokens", wanted_token)
        assert token.status == 201, token.raw
        machine = replace(members["maintainer"], token=token.body["token"])
        callers.append((machine, "maintainer", scopes))
    with running() as issuer:
        scopes = ["read", "members", "destroy"]
        trust = {"issuer": issuer.url, "claims": {"repository_id": "9"}, "scopes": scopes}
        assert someone.ask("POST", f"/api/v1/projects/{project}/trusts", trust).status == 201
        job_token = issuer.token(aud=someone.url, repository_id="9")
        told = someone.ask("POST", "/api/v1/auth/oidc/exchange", {"token": job_token})
        workload = Person(someone.url, told.body["access_token"], "")
    callers.append((workload, "maintainer", scopes))

    wrong = [
        (action, role, scopes, answer.status, answer.raw)
        for action, method, path, body in sample(project, environment, ids["viewer"])
        for who, role, scopes in callers
        if not judged(answer := who.ask(method, path, body), action, role, scopes)
    ]

    assert wrong == []
    # What a machine may destroy waits for a person.
    removal = f"/api/v1/projects/{project}/members/{ids['viewer']}"
    assert workload.ask("DELETE", removal).status == 202
    stranger = Person(someone.url).sign_in()
    for _, method, path, body in sample(project, environment, ids["viewer"]):
        assert stranger.ask(method, path, body).status == 404
        assert replace(stranger, token=None).ask(method, path, body).status == 401
