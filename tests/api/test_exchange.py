"""Workloads exchange a token of their issuer for one of the platform."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from slipway.access.oidc import documents
from slipway.access.oidc import keys as issuer_keys
from slipway.domain import ids
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.services import trusts
from slipway.settings import settings
from slipway.store import table, trust_records
from slipway.store.table import Delete, Key, Transaction, Update
from tests.support.api.client import Answer, Client
from tests.support.api.people import signed_in
from tests.support.issuer import (
    CONFIGURATION,
    JWKS,
    PLATFORM,
    Issuer,
    answer,
    new_key,
    public_jwk,
    running,
    tampered,
)
from tests.support.store import world

EXCHANGE = "/api/v1/auth/oidc/exchange"


@pytest.fixture
def issuer(aws: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """An issuer on loopback, which a platform on a laptop trusts."""
    on_a_laptop(monkeypatch)
    with running() as found:
        yield found


def on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    set_on_aws(monkeypatch, False)


def set_on_aws(monkeypatch: pytest.MonkeyPatch, on_aws: bool) -> None:
    # Not by the variable, which is also where boto3 finds what is in moto here.
    known = replace(settings(), on_aws=on_aws)
    for module in (documents, trusts):
        monkeypatch.setattr(module, "settings", lambda: known)


@pytest.fixture
def trust(issuer: Issuer, ann: Client, project: ProjectId) -> dict[str, Any]:
    return made(trusted(ann, project, issuer))


def trusted(client: Client, project: ProjectId, issuer: Issuer, **fields: Any) -> Answer:
    body = {
        "issuer": issuer.url,
        "claims": {"repository_id": "456789"},
        "scopes": ["read", "deploy", "environments"],
        **fields,
    }
    return client.post(f"/api/v1/projects/{project}/trusts", body)


def made(answered: Answer) -> dict[str, Any]:
    assert answered.status == 201, answered.text
    found: dict[str, Any] = answered.json
    return found


def exchange(token: str, project: ProjectId | None = None) -> Answer:
    body = {"token": token}
    return Client().post(
        EXCHANGE, body if project is None else {**body, "project_id": str(project)}
    )


def workload(token: str, project: ProjectId | None = None) -> Client:
    answered = exchange(token, project)
    assert answered.status == 200, answered.text
    return Client(answered.json["access_token"], answered.json["trust_id"])


def refused(answered: Answer, status: int = 401, code: str = "workload_refused") -> dict[str, Any]:
    assert (answered.status, answered.json["code"]) == (status, code), answered.text
    found: dict[str, Any] = answered.json
    return found


def requests_in(issuer: Issuer) -> int:
    return len(issuer.asked)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let so many seconds have passed."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + seconds)


# --- what it is for ---------------------------------------------------------------------------


def test_a_workload_acts_in_the_project_that_trusts_it(
    issuer: Issuer, trust: dict[str, Any], project: ProjectId, environment: EnvironmentId
) -> None:
    answered = exchange(issuer.token(), project)

    assert answered.status == 200
    assert answered.json["expires_in"] == 900
    assert answered.json["token_type"] == "bearer"
    assert (answered.json["project_id"], answered.json["trust_id"]) == (str(project), trust["id"])
    assert answered.headers["cache-control"] == "no-store"
    job = Client(answered.json["access_token"])
    assert job.get(f"/api/v1/projects/{project}").status == 200
    shipped = job.post(f"/api/v1/deployments/environments/{environment}", {"version": "sha-1"})
    assert shipped.status == 201, shipped.text


def test_without_a_project_id_the_only_project_is_chosen(
    issuer: Issuer, trust: dict[str, Any], project: ProjectId
) -> None:
    assert exchange(issuer.token()).json["project_id"] == str(project)


def test_the_same_token_may_be_exchanged_again_because_a_job_of_gitlab_has_only_one(
    issuer: Issuer, trust: dict[str, Any], project: ProjectId
) -> None:
    token = issuer.token()

    first, second = exchange(token, project), exchange(token, project)

    assert (first.status, second.status) == (200, 200)
    assert first.json["access_token"] != second.json["access_token"]


def test_a_job_of_gitlab_is_matched_by_its_project_whether_it_is_a_number_or_a_text(
    issuer: Issuer, ann: Client, project: ProjectId
) -> None:
    claims = {"project_id": 22, "ref_protected": True}
    made(trusted(ann, project, issuer, preset="gitlab", claims=claims))
    of_gitlab: dict[str, Any] = {
        "repository_id": None,
        "sub": "project_path:group/app:ref_type:branch:ref:main",
        "ref": "main",
    }

    for number, protected in ((22, True), ("22", "true")):
        token = issuer.token(project_id=number, ref_protected=protected, **of_gitlab)
        assert exchange(token, project).status == 200
    other = issuer.token(project_id=23, ref_protected=True, **of_gitlab)
    refused(exchange(other, project))


@pytest.mark.parametrize(
    "sub",
    [
        "repo:octo-org/octo-repo:ref:refs/heads/main",
        "repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main",
    ],
)
def test_both_forms_of_githubs_subject_are_accepted_because_the_repositorys_id_is_matched(
    issuer: Issuer, trust: dict[str, Any], project: ProjectId, sub: str
) -> None:
    assert exchange(issuer.token(sub=sub), project).status == 200


def test_a_subject_is_matched_exactly(issuer: Issuer, ann: Client, project: ProjectId) -> None:
    sub = "repo:octo-org/octo-repo:environment:production"
    made(trusted(ann, project, issuer, claims={"sub": sub}))

    assert exchange(issuer.token(sub=sub), project).status == 200
    for other in (sub + "2", sub[:-1], sub.upper(), "repo:octo-org/octo-repo:environment:*"):
        refused(exchange(issuer.token(sub=other), project))


def test_a_trust_may_name_an_audience_of_its_own(
    issuer: Issuer, ann: Client, project: ProjectId
) -> None:
    made(trusted(ann, project, issuer, audience="slipway"))

    assert exchange(issuer.token(aud="slipway"), project).status == 200
    assert exchange(issuer.token(aud=["other", "slipway"]), project).status == 200
    refused(exchange(issuer.token(aud=PLATFORM), project))


def test_of_two_trusts_in_a_project_the_one_with_more_claims_applies(
    issuer: Issuer, ann: Client, project: ProjectId, trust: dict[str, Any]
) -> None:
    claims = {"repository_id": "456789", "ref": "refs/heads/main"}
    exact = made(trusted(ann, project, issuer, claims=claims))

    assert exchange(issuer.token(), project).json["trust_id"] == exact["id"]
    elsewhere = issuer.token(ref="refs/heads/topic")
    assert exchange(elsewhere, project).json["trust_id"] == trust["id"]


def test_support_tells_the_audience_and_the_presets(aws: None) -> None:
    told = Client().get("/api/v1/auth/oidc").json

    assert told["audience"] == PLATFORM
    assert told["exchange_url"] == PLATFORM + EXCHANGE
    assert {each["name"]: each["requires"] for each in told["presets"]} == {
        "github": "repository_id",
        "gitlab": "project_id",
    }
    assert not {"none", "HS256", "HS384", "HS512"} & set(told["algorithms"])


@pytest.mark.parametrize(
    "algorithm", ["RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"]
)
def test_tokens_may_be_signed_with_each_of_these_algorithms(
    issuer: Issuer, trust: dict[str, Any], project: ProjectId, algorithm: str
) -> None:
    issuer.rotate(algorithm)

    assert exchange(issuer.token(), project).status == 200


# --- more than one project --------------------------------------------------------------------


def test_a_workload_that_two_projects_trust_has_to_name_one(
    issuer: Issuer, ann: Client, bob: Client, project: ProjectId, trust: dict[str, Any]
) -> None:
    other = world.project(bob.principal)
    theirs = made(trusted(bob, other, issuer))

    told = refused(exchange(issuer.token()), 409, "ambiguous_trust")

    assert told["projects"] == sorted([str(project), str(other)])
    assert exchange(issuer.token(), project).json["trust_id"] == trust["id"]
    assert exchange(issuer.token(), other).json["trust_id"] == theirs["id"]


def test_a_project_that_was_deleted_makes_nothing_ambiguous(
    issuer: Issuer, ann: Client, bob: Client, project: ProjectId, trust: dict[str, Any]
) -> None:
    other = world.project(bob.principal)
    made(trusted(bob, other, issuer))
    # The process died after the project's own items were deleted.
    table.write(Delete(Key(f"PROJECT#{other.p}", "PROJECT")))

    assert exchange(issuer.token()).json["project_id"] == str(project)
    assert exchange(issuer.token(), other).status == 401


def test_the_trusts_of_a_deleted_project_lead_nowhere(
    issuer: Issuer, ann: Client, project: ProjectId, trust: dict[str, Any]
) -> None:
    """Dispatch deletes them (tests/workflows/test_cascade.py)."""
    job = workload(issuer.token(), project)

    assert ann.delete(f"/api/v1/projects/{project}").status == 204

    later_job = workload(issuer.token(), project)
    for client in (job, later_job):
        refused(client.get(f"/api/v1/projects/{project}"), 404, "not_found")
        made_there = client.post(
            f"/api/v1/environments/projects/{project}", {"name": "x", "type": "ephemeral"}
        )
        refused(made_there, 404, "not_found")


def left_in_the_table(prefix: str) -> list[str]:
    from slipway.aws import dynamodb

    [found] = dynamodb.together(("Scan", {"TableName": "slipway"}))
    names = [f"{item['pk']['S']} {item['sk']['S']}" for item in found["Items"]]
    return [name for name in names if prefix in name]


def test_so_many_projects_trust_the_workload_that_one_must_be_named(
    issuer: Issuer,
    bob: Client,
    project: ProjectId,
    trust: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made(trusted(bob, world.project(bob.principal), issuer))

    monkeypatch.setattr(trust_records, "_MOST_FOUND", 1)

    refused(exchange(issuer.token()), 409, "ambiguous_trust")
    assert exchange(issuer.token(), project).status == 200


# --- what a trust allows, as it is now --------------------------------------------------------


def test_deleting_the_trust_refuses_the_next_request(
    issuer: Issuer, ann: Client, project: ProjectId, trust: dict[str, Any]
) -> None:
    job = workload(issuer.token(), project)
    path = f"/api/v1/projects/{project}"
    assert job.get(path).status == 200

    assert ann.delete(f"{path}/trusts/{trust['id']}").status == 204

    refused(job.get(path), 401, "trust_ended")
    refused(exchange(issuer.token(), project))


def test_a_trust_that_is_deleted_during_a_request_lets_it_write_nothing(
    issuer: Issuer,
    project: ProjectId,
    environment: EnvironmentId,
    trust: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = workload(issuer.token(), project)
    commit = Transaction.commit

    def committing(self: Transaction) -> None:
        monkeypatch.setattr(Transaction, "commit", commit)
        table.write(Delete(trust_records.key(ids.parse_trust(trust["id"]))))
        commit(self)

    monkeypatch.setattr(Transaction, "commit", committing)
    answered = job.post(f"/api/v1/deployments/environments/{environment}", {"version": "v1"})

    refused(answered, 404, "not_found")
    assert left_in_the_table("DEP#") == []


def test_scopes_and_tiers_apply_as_they_are_now(
    issuer: Issuer,
    ann: Client,
    project: ProjectId,
    environment: EnvironmentId,
    trust: dict[str, Any],
) -> None:
    job = workload(issuer.token(), project)
    deploy = f"/api/v1/deployments/environments/{environment}"
    change = f"/api/v1/projects/{project}/trusts/{trust['id']}"

    assert ann.patch(change, {"scopes": ["read"]}).status == 200
    assert (
        refused(job.post(deploy, {"version": "v1"}), 403, "forbidden")["required_scope"] == "deploy"
    )
    assert ann.patch(change, {"scopes": ["read", "deploy"], "tiers": ["production"]}).status == 200
    assert "tier" in refused(job.post(deploy, {"version": "v1"}), 403, "forbidden")["detail"]
    assert ann.patch(change, {"tiers": ["preview"]}).status == 200
    assert job.post(deploy, {"version": "v1"}).status == 201


def test_a_workload_sees_nothing_of_other_projects(
    issuer: Issuer, ann: Client, project: ProjectId, trust: dict[str, Any]
) -> None:
    job = workload(issuer.token(), project)
    other = world.project(ann.principal, name="other")

    assert job.get(f"/api/v1/projects/{other}").status == 404
    assert job.get(f"/api/v1/environments/projects/{other}").status == 404


def test_a_workload_makes_and_changes_no_trusts(
    issuer: Issuer, ann: Client, project: ProjectId
) -> None:
    one = made(trusted(ann, project, issuer, scopes=["read", "members"]))
    job = workload(issuer.token(), project)

    refused(trusted(job, project, issuer, claims={"repository_id": "1"}), 403, "forbidden")
    path = f"/api/v1/projects/{project}/trusts/{one['id']}"
    refused(job.patch(path, {"scopes": ["read", "members", "destroy"]}), 403, "forbidden")


def test_a_workload_has_no_account_and_changes_nothing_of_the_platform(
    issuer: Issuer, ann: Client, project: ProjectId
) -> None:
    scopes = ["read", "deploy", "environments", "destroy", "config", "members"]
    made(trusted(ann, project, issuer, scopes=scopes))
    job = workload(issuer.token(), project)

    for answered in (
        job.post("/api/v1/auth/logout-everywhere"),
        job.post("/api/v1/auth/logout"),
        job.post("/api/v1/projects", {"name": "mine"}),
        job.get("/api/v1/users"),
        job.post("/api/v1/templates", {"name": "web"}),
        job.post("/api/v1/invitations", {"email": "friend@example.com"}),
    ):
        refused(answered, 403, "forbidden")
    assert not [*left_in_the_table("USER#trs_"), *left_in_the_table("ACCOUNT#trs_")]


def test_the_requests_of_a_workload_count_for_its_trust(
    issuer: Issuer,
    ann: Client,
    project: ProjectId,
    trust: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIMITS", "100,100,500,200,200,200,200,200,2")
    from slipway.settings import limits

    limits.cache_clear()
    first, second = (workload(issuer.token(), project) for _ in range(2))
    path = f"/api/v1/projects/{project}"

    statuses = [client.get(path).status for client in (first, second, first, second)]

    assert statuses.count(429) == 2
    assert ann.get(path).status == 200


def test_the_exchanged_token_expires_after_a_quarter_of_an_hour(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import jwt

    token = exchange(issuer.token(), project).json["access_token"]

    claims = jwt.decode(token, options={"verify_signature": False})

    assert claims["exp"] - claims["iat"] == 900
    assert claims["sub"] == trust["id"]
    assert claims["name"] == "repo:octo-org/octo-repo:ref:refs/heads/main"


# --- what is refused --------------------------------------------------------------------------


# What is wrong with the token, its claims at a time, and what the answer says.
WRONG: dict[str, tuple[Callable[[int], dict[str, Any]], str]] = {
    "another audience": (lambda now: {"aud": "https://elsewhere.example.com"}, "aud"),
    "no audience": (lambda now: {"aud": None}, "aud"),
    "expired": (lambda now: {"exp": now - 3600}, "expired"),
    "without an end": (lambda now: {"exp": None}, "iat and exp"),
    "an end that is no number": (lambda now: {"exp": "soon"}, "iat and exp"),
    "without a beginning": (lambda now: {"iat": None}, "iat and exp"),
    "a beginning that is no number": (lambda now: {"iat": True}, "iat and exp"),
    "not before the end of time": (lambda now: {"nbf": 10**400}, "iat and exp"),
    "old": (lambda now: {"iat": now - 13 * 3600, "exp": now + 99_999}, "12 hours"),
    "issued in an hour": (lambda now: {"iat": now + 3600, "exp": now + 7200}, "not valid yet"),
    "not before an hour": (lambda now: {"nbf": now + 3600}, "not valid yet"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_token_with_wrong_times_or_audience_is_refused(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any], name: str
) -> None:
    claims, said = WRONG[name]
    token = issuer.token(**claims(int(time.time())))

    assert said in refused(exchange(token, project))["detail"]


def test_a_clock_may_differ_by_a_minute(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any]
) -> None:
    now = int(time.time())
    ahead = issuer.token(iat=now + 50, nbf=now + 50)
    behind = issuer.token(iat=now - 350, nbf=now - 350, exp=now - 50)

    assert [exchange(each, project).status for each in (ahead, behind)] == [200, 200]


def test_a_claim_that_differs_is_named_without_what_the_trust_has(
    issuer: Issuer, ann: Client, project: ProjectId
) -> None:
    claims = {"repository_id": "456789", "ref": "refs/heads/secret-plan"}
    made(trusted(ann, project, issuer, claims=claims))

    told = refused(exchange(issuer.token(), project))

    assert told["claims"] == ["ref"]
    assert "secret-plan" not in json.dumps(told)


@pytest.mark.parametrize("value", [["refs/heads/main"], {"a": 1}, 1.0, None], ids=str)
def test_a_list_an_object_and_a_fraction_match_nothing(
    issuer: Issuer, ann: Client, project: ProjectId, value: Any
) -> None:
    claims = {"repository_id": "456789", "ref": "refs/heads/main"}
    made(trusted(ann, project, issuer, claims=claims))

    refused(exchange(issuer.token(ref=value), project))


def test_what_is_not_signed_by_the_issuer_reads_as_what_nobody_trusts(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any]
) -> None:
    unknown = refused(exchange(issuer.token(repository_id="1"), project))
    good = issuer.token(repository_id="1")
    forged = {
        "changed claims": tampered(good, repository_id="456789"),
        "another key": issuer.token(key=new_key("RS256")),
        "an unknown key id": issuer.token(header={"kid": "nobody's"}),
        "no key id": issuer.token(header={"kid": ""}),
        "a token of another project": issuer.token(),
    }
    projects = dict.fromkeys(forged, project) | {
        "a token of another project": ids.ProjectId(ids.new_part())
    }

    for name, token in forged.items():
        told = refused(exchange(token, projects[name]))
        assert told["detail"] == unknown["detail"], name


def test_keys_and_algorithms_are_not_confused(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any]
) -> None:
    assert exchange(issuer.token(), project).status == 200
    public = issuer.private.public_key()
    from cryptography.hazmat.primitives import serialization

    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    body = issuer.token().split(".")[1]
    mine = new_key("RS256")

    def with_header(signature: bytes = b"", **header: Any) -> str:
        head = part(json.dumps({"kid": issuer.kid, "typ": "JWT", **header}).encode())
        return f"{head}.{body}.{part(signature)}"

    def with_secret(algorithm: str, secret: bytes) -> str:
        head = part(json.dumps({"kid": issuer.kid, "alg": algorithm}).encode())
        signed = hmac.digest(secret, f"{head}.{body}".encode(), hashlib.sha256)
        return f"{head}.{body}.{part(signed)}"

    jwk = public_jwk(mine, issuer.kid)
    for token in (
        with_header(alg="none"),
        with_header(alg="None"),
        with_header(),
        with_header(alg=["RS256"]),
        with_header(alg={"a": 1}),
        with_secret("HS256", pem),
        with_secret("HS256", b""),
        with_secret("HS256", json.dumps(issuer.keys[0]).encode()),
        issuer.token(key=mine, header={"jwk": jwk}),
        issuer.token(key=mine, header={"jku": "https://evil.example.com/jwks"}),
        issuer.token(header={"alg": "RS512"}),
        issuer.token(header={"alg": "PS256"}),
        issuer.token(header={"crit": ["exp"]}),
    ):
        refused(exchange(token, project))


def part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_keys_that_are_not_for_signing_verify_nothing(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any]
) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    short = rsa.generate_private_key(65537, 1024)
    good = new_key("RS256")
    huge = {"kty": "RSA", "kid": "huge", "n": "x" * 5000, "e": "AQAB"}
    issuer.keys = [
        public_jwk(good, "for-encryption", use="enc"),
        public_jwk(short, "short"),
        huge,
        {"kty": "oct", "kid": "secret", "k": part(b"s" * 32)},
        {"kty": "EC", "kid": "curve", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "RSA", "kid": "broken", "n": "*", "e": "AQAB"},
    ]

    for kid, key, algorithm in (
        ("for-encryption", good, "RS256"),
        ("huge", good, "RS256"),
        ("broken", good, "RS256"),
        ("curve", new_key("ES256"), "ES256"),
        ("secret", "s" * 32, "HS256"),
    ):
        refused(exchange(issuer.token(key=key, header={"kid": kid, "alg": algorithm}), project))
    with pytest.warns(Warning, match="2048"):
        token = issuer.token(key=short, header={"kid": "short"})
    refused(exchange(token, project))


@pytest.mark.parametrize(
    "token",
    ["x", "a.b.c", "..", "e30.e30.", "é.é.é", f"{part(b'{}')}.{part(b'[]')}.AA", "[" * 9000],
    ids=range(7),
)
def test_what_is_no_token_is_refused(aws: None, token: str) -> None:
    refused(exchange(token))


@pytest.mark.parametrize("payload", [b"[" * 9000, b'{"iss":7}', b'{"iss":null}', b"1" * 9000])
def test_claims_that_are_no_object_with_an_issuer_are_refused(aws: None, payload: bytes) -> None:
    head = part(b'{"alg":"RS256","kid":"1"}')
    refused(exchange(f"{head}.{part(payload)}.AA"))


def test_a_malformed_project_id_is_named(issuer: Issuer) -> None:
    answered = Client().post(EXCHANGE, {"token": issuer.token(), "project_id": "payments"})

    assert refused(answered, 422, "invalid_request")["errors"][0]["pointer"] == "#/project_id"


# --- asking the issuer ------------------------------------------------------------------------


def test_nothing_is_asked_of_an_issuer_that_no_trust_names(
    issuer: Issuer, ann: Client, project: ProjectId
) -> None:
    with running() as another:
        made(trusted(ann, project, another))

        refused(exchange(issuer.token(), project))
        refused(exchange(issuer.token()))
        # Trusted, but for another repository.
        refused(exchange(another.token(repository_id="1"), project))

    assert issuer.asked == another.asked == []


def test_the_keys_are_read_once_and_then_again_after_a_while(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        assert exchange(issuer.token(), project).status == 200
    assert issuer.asked == [CONFIGURATION, JWKS]

    later(monkeypatch, issuer_keys.FRESH_SECONDS + 1)
    assert exchange(issuer.token(), project).status == 200

    assert issuer.asked == [CONFIGURATION, JWKS] * 2


def test_a_rotated_key_is_found_a_minute_later_at_most(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exchange(issuer.token(), project).status == 200
    issuer.rotate("ES256")

    for _ in range(5):
        refused(exchange(issuer.token(), project))
    assert requests_in(issuer) == 2
    later(monkeypatch, 61)

    assert exchange(issuer.token(), project).status == 200
    assert requests_in(issuer) == 4


def test_unknown_key_ids_let_the_platform_ask_once_a_minute(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exchange(issuer.token(), project).status == 200
    later(monkeypatch, 61)

    for n in range(20):
        refused(exchange(issuer.token(header={"kid": f"made-up-{n}"}), project))

    assert requests_in(issuer) == 4


def test_a_key_that_was_withdrawn_verifies_nothing_after_a_while(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stolen = issuer.private, issuer.kid
    assert exchange(issuer.token(), project).status == 200
    issuer.rotate(keep=False)
    later(monkeypatch, issuer_keys.FRESH_SECONDS + 1)

    refused(exchange(issuer.token(key=stolen[0], header={"kid": stolen[1]}), project))


def test_an_issuer_that_does_not_answer_is_covered_by_the_keys_of_the_last_day(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exchange(issuer.token(), project).status == 200
    issuer.answers[CONFIGURATION] = answer(b"", 503)
    later(monkeypatch, issuer_keys.FRESH_SECONDS + 1)
    assert exchange(issuer.token(), project).status == 200

    later(monkeypatch, issuer_keys.KEPT_SECONDS + 1)

    told = exchange(issuer.token(), project)
    refused(told, 429, "issuer_unavailable")
    assert told.headers["retry-after"] == "60"


def test_an_issuer_without_keys_is_asked_ten_times_a_minute_at_most(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any]
) -> None:
    issuer.answers[CONFIGURATION] = answer(b"", 503)

    for _ in range(30):
        refused(exchange(issuer.token(), project), 429, "issuer_unavailable")

    # A minute may have begun meanwhile.
    assert requests_in(issuer) in range(10, 21)


def test_issuers_that_never_answered_share_a_budget(
    issuer: Issuer, ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slipway.store import issuer_records

    monkeypatch.setattr(issuer_records, "READS_OF_UNPROVEN", 1)
    fixed = time.time()
    monkeypatch.setattr(time, "time", lambda: fixed)
    made(trusted(ann, project, issuer))
    with running() as another:
        made(trusted(ann, project, another))
        assert exchange(issuer.token(), project).status == 200

        refused(exchange(another.token(), project), 429, "issuer_unavailable")

        assert another.asked == []
    # An issuer that has answered before does not depend on the budget.
    table.write(Update(issuer_records.key(issuer.url), "SET read_at = :old", {"old": 1}))
    assert exchange(issuer.token(), project).status == 200


def redirect(request: BaseHTTPRequestHandler) -> None:
    request.send_response(302)
    request.send_header("Location", "http://169.254.169.254/latest/meta-data/")
    request.end_headers()


BAD_CONFIGURATIONS = {
    "a redirect": redirect,
    "not found": answer(b"{}", 404),
    "not JSON": answer(b"<html>"),
    "a list": answer(b"[]"),
    "too deep": answer(b"[" * 50_000),
    "too long": answer(b" " * 100_001),
    "compressed": answer(b"\x1f\x8b\x08" + b"\0" * 100, Content_Encoding="gzip"),
    "another issuer": answer(b'{"issuer":"https://token.actions.githubusercontent.com"}'),
}


@pytest.mark.parametrize("name", BAD_CONFIGURATIONS)
def test_a_configuration_that_cannot_be_read_is_a_reason_to_try_later(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any], name: str
) -> None:
    issuer.answers[CONFIGURATION] = BAD_CONFIGURATIONS[name]

    refused(exchange(issuer.token(), project), 429, "issuer_unavailable")

    assert issuer.asked == [CONFIGURATION]


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/jwks",
        "https://169.254.169.254/jwks",
        "https://localhost/jwks",
        "file:///etc/passwd",
        "gopher://ci.example.com/",
        "https://user:secret@ci.example.com/jwks",
        "https://ci.example.com:8080/jwks",
        7,
        None,
        "",
    ],
    ids=str,
)
def test_keys_are_not_read_from_where_the_platform_does_not_ask(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any], url: Any
) -> None:
    issuer.answers[CONFIGURATION] = answer(
        json.dumps({"issuer": issuer.url, "jwks_uri": url}).encode()
    )

    refused(exchange(issuer.token(), project), 429, "issuer_unavailable")


BAD_KEY_SETS = {
    "a redirect": redirect,
    "no keys": answer(b"{}"),
    "an empty list": answer(b'{"keys":[]}'),
    "no objects": answer(b'{"keys":[1,null,"a"]}'),
    "no ids": answer(b'{"keys":[{"kty":"RSA"}]}'),
    "too long": answer(b'{"keys":[' + b" " * 100_000 + b"]}"),
}


@pytest.mark.parametrize("name", BAD_KEY_SETS)
def test_a_key_set_that_cannot_be_read_is_a_reason_to_try_later(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any], name: str
) -> None:
    issuer.answers[JWKS] = BAD_KEY_SETS[name]

    refused(exchange(issuer.token(), project), 429, "issuer_unavailable")


def test_private_parts_of_keys_are_not_kept(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any]
) -> None:
    from slipway.store import issuer_records

    issuer.keys[0]["d"] = "a-private-part"
    assert exchange(issuer.token(), project).status == 200

    [record] = table.get(issuer_records.key(issuer.url))

    assert "a-private-part" not in record["keys"]


def test_a_platform_on_aws_never_asks_loopback(
    issuer: Issuer, project: ProjectId, trust: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_on_aws(monkeypatch, True)

    refused(exchange(issuer.token(), project), 429, "issuer_unavailable")

    assert issuer.asked == []


def test_a_person_signed_in_is_not_touched(issuer: Issuer, trust: dict[str, Any]) -> None:
    """The exchange is anonymous: a header with a person's token changes nothing."""
    eve = signed_in("eve@example.com")

    assert eve.post(EXCHANGE, {"token": issuer.token()}).status == 200
