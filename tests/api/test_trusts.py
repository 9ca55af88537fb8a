"""Trusts: who makes them, and how far they go."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.domain.ids import ProjectId
from slipway.store import project_records, table
from slipway.store.table import Delete, Put, Update
from tests.support.api.client import Answer, Client
from tests.support.api.people import signed_in
from tests.support.store import world

GITHUB = "https://token.actions.githubusercontent.com"
NEW = {
    "name": "deploy main",
    "preset": "github",
    "claims": {"repository_id": 456789, "ref": "refs/heads/main"},
    "scopes": ["read", "deploy"],
}


@pytest.fixture
def path(project: ProjectId) -> str:
    return f"/api/v1/projects/{project}/trusts"


@pytest.fixture
def trust(ann: Client, path: str) -> dict[str, Any]:
    return made(ann.post(path, NEW))


def made(answered: Answer) -> dict[str, Any]:
    assert answered.status == 201, answered.text
    found: dict[str, Any] = answered.json
    return found


def code(answered: Answer) -> tuple[int, str]:
    return answered.status, answered.json["code"]


def member(project: ProjectId, email: str, role: str, **fields: Any) -> Client:
    """A user who is a member of the project with this role."""
    client = signed_in(email)
    item = {"user_id": client.user_id, "email": email, "role": role, **fields}
    table.write(Put(project_records.member(project, client.user_id), item))
    return client


def test_a_trust_is_created_listed_read_and_deleted(
    ann: Client, path: str, project: ProjectId
) -> None:
    answered = ann.post(path, NEW)
    trust = made(answered)

    assert answered.headers["location"] == f"{path}/{trust['id']}"
    assert answered.headers["etag"] == '"1"'
    assert trust["project_id"] == str(project)
    assert trust["issuer"] == GITHUB
    assert trust["claims"] == {"repository_id": "456789", "ref": "refs/heads/main"}
    assert (trust["audience"], trust["tiers"]) == (None, None)
    second = made(ann.post(path, {**NEW, "claims": {"repository_id": "1"}}))
    assert ann.get(path).json == [second, trust]
    assert ann.get(f"{path}/{trust['id']}").json == trust

    assert ann.delete(f"{path}/{trust['id']}").status == 204

    assert ann.get(path).json == [second]
    assert code(ann.get(f"{path}/{trust['id']}")) == (404, "not_found")
    assert code(ann.delete(f"{path}/{trust['id']}")) == (404, "not_found")


def test_a_project_cannot_have_a_trust_twice(
    ann: Client, bob: Client, path: str, trust: dict[str, Any]
) -> None:
    again = ann.post(path, {**NEW, "scopes": ["read"], "name": "another"})

    assert code(again) == (409, "trust_exists")
    assert again.json["trust_id"] == trust["id"]
    made(ann.post(path, {**NEW, "audience": "slipway"}))
    other = world.project(bob.principal)
    made(bob.post(f"/api/v1/projects/{other}/trusts", NEW))
    assert ann.delete(f"{path}/{trust['id']}").status == 204
    made(ann.post(path, NEW))


def test_a_repeated_request_with_a_key_makes_one_trust(ann: Client, path: str) -> None:
    keyed = ann.with_headers(idempotency_key="one")

    first, second = keyed.post(path, NEW), keyed.post(path, NEW)

    assert (first.status, second.status) == (201, 201)
    assert first.json == second.json
    assert len(ann.get(path).json) == 1


def test_a_project_has_twenty_trusts_at_most(ann: Client, path: str) -> None:
    trusts = [made(ann.post(path, {**NEW, "claims": {"repository_id": n}})) for n in range(20)]

    assert code(ann.post(path, NEW)) == (409, "too_many_trusts")
    assert len(ann.get(path).json) == 20
    assert ann.delete(f"{path}/{trusts[0]['id']}").status == 204
    made(ann.post(path, NEW))


def test_a_change_of_scopes_and_tiers_is_a_new_version(
    ann: Client, path: str, trust: dict[str, Any]
) -> None:
    one = f"{path}/{trust['id']}"

    changed = ann.with_headers(if_match='"1"').patch(
        one, {"scopes": ["read"], "tiers": ["preview"], "name": None}
    )

    assert (changed.status, changed.json["version"]) == (200, 2)
    assert (changed.json["scopes"], changed.json["tiers"]) == (["read"], ["preview"])
    assert changed.json["name"] is None
    assert ann.get(one).json == changed.json
    assert ann.patch(one, {"scopes": ["read"]}).json == changed.json
    assert ann.patch(one, {"tiers": None}).json["tiers"] is None
    for stale in (ann.with_headers(if_match='"1"'),):
        assert code(stale.patch(one, {"scopes": ["deploy"]})) == (412, "precondition_failed")
        assert code(stale.delete(one)) == (412, "precondition_failed")


@pytest.mark.parametrize(
    "body",
    [{}, {"scopes": []}, {"scopes": None}, {"claims": {"repository_id": "1"}}, {"tiers": []}],
)
def test_what_a_trust_trusts_does_not_change(
    ann: Client, path: str, trust: dict[str, Any], body: Any
) -> None:
    assert ann.patch(f"{path}/{trust['id']}", body).status == 422
    assert ann.get(f"{path}/{trust['id']}").json == trust


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:8000", "http://localhost:8000"])
def test_only_a_laptop_trusts_an_issuer_on_loopback(ann: Client, path: str, issuer: str) -> None:
    answered = ann.post(path, {"issuer": issuer, "claims": {"sub": "x"}, "scopes": ["read"]})

    assert answered.status == 422
    assert answered.json["errors"][0]["pointer"] == "#/issuer"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"claims": {}}, "#/claims"),
        ({"claims": {"ref": "refs/heads/main"}}, "#"),
        ({"claims": {"repository_id": "*"}}, "#/claims"),
        ({"claims": {"repository_id": "1", "ref": ""}}, "#/claims/ref"),
        ({"claims": {"repository_id": -1}}, "#/claims/repository_id"),
        ({"claims": {"repository_id": 1.5}}, "#/claims/repository_id"),
        ({"claims": {"repository_id": None}}, "#/claims/repository_id"),
        ({"issuer": "https://169.254.169.254"}, "#/issuer"),
        ({"issuer": "https://10.0.0.1"}, "#/issuer"),
        ({"scopes": ["tokens"]}, "#/scopes/0"),
        ({"tiers": ["prod"]}, "#/tiers/0"),
    ],
)
def test_a_field_at_fault_is_named(
    ann: Client, path: str, change: dict[str, Any], pointer: str
) -> None:
    answered = ann.post(path, {**NEW, **change})

    assert answered.status == 422
    assert [each["pointer"] for each in answered.json["errors"]] == [pointer]
    assert ann.get(path).json == []


# --- who may ----------------------------------------------------------------------------------


def test_another_user_sees_no_trusts(
    bob: Client, path: str, project: ProjectId, trust: dict[str, Any]
) -> None:
    one = f"{path}/{trust['id']}"
    for answered in (
        bob.get(path),
        bob.get(one),
        bob.post(path, NEW),
        bob.patch(one, {"scopes": ["read"]}),
        bob.delete(one),
    ):
        assert code(answered) == (404, "not_found")


@pytest.mark.parametrize("role", ["viewer", "deployer"])
def test_a_member_below_maintainer_may_not(
    path: str, project: ProjectId, trust: dict[str, Any], role: str
) -> None:
    client = member(project, "dan@example.com", role)
    one = f"{path}/{trust['id']}"

    for answered in (
        client.get(path),
        client.get(one),
        client.post(path, NEW),
        client.patch(one, {"scopes": ["read"]}),
        client.delete(one),
    ):
        assert code(answered) == (403, "forbidden")
        assert answered.json["required_role"] == "maintainer"


def test_a_maintainer_makes_trusts_for_tiers_of_their_own_only(
    path: str, project: ProjectId
) -> None:
    client = member(project, "mia@example.com", "maintainer", overrides={"production": "viewer"})

    for tiers in (None, ["production"], ["preview", "production"]):
        answered = client.post(path, {**NEW, "tiers": tiers})
        assert code(answered) == (403, "forbidden")
        assert "production" in answered.json["detail"]
    trust = made(client.post(path, {**NEW, "tiers": ["preview", "staging"]}))
    one = f"{path}/{trust['id']}"
    assert code(client.patch(one, {"tiers": None})) == (403, "forbidden")
    assert client.patch(one, {"tiers": ["preview"]}).status == 200
    assert client.delete(one).status == 204


def test_a_trust_of_another_project_is_not_found_under_this_one(
    ann: Client, path: str, trust: dict[str, Any]
) -> None:
    other = f"/api/v1/projects/{world.project(ann.principal, name='other')}/trusts"

    assert code(ann.get(f"{other}/{trust['id']}")) == (404, "not_found")
    assert code(ann.patch(f"{other}/{trust['id']}", {"scopes": ["read"]})) == (404, "not_found")
    assert code(ann.delete(f"{other}/{trust['id']}")) == (404, "not_found")
    assert ann.get(f"{path}/{trust['id']}").status == 200


def test_a_project_that_is_being_deleted_gets_no_trusts(
    ann: Client, path: str, project: ProjectId
) -> None:
    table.write(
        Update(project_records.key(project), "SET #status = :status", {"status": "deleting"})
    )

    assert code(ann.post(path, NEW)) == (409, "project_going")


# --- at the same time -------------------------------------------------------------------------


def during(monkeypatch: pytest.MonkeyPatch, write: Any) -> None:
    """Let something else be written between the request's read and its transaction."""
    from slipway.store.table import Transaction

    commit = Transaction.commit

    def committing(self: Transaction) -> None:
        monkeypatch.setattr(Transaction, "commit", commit)
        table.write(write)
        commit(self)

    monkeypatch.setattr(Transaction, "commit", committing)


def test_a_maintainer_who_is_removed_meanwhile_makes_no_trust(
    ann: Client, path: str, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    mia = member(project, "mia@example.com", "maintainer")
    during(monkeypatch, Delete(project_records.member(project, mia.user_id)))

    assert code(mia.post(path, NEW)) == (404, "not_found")
    assert ann.get(path).json == []


def test_a_maintainer_who_gets_an_override_meanwhile_makes_no_trust(
    ann: Client, path: str, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    mia = member(project, "mia@example.com", "maintainer")
    override = ("SET overrides = :overrides", {"overrides": {"production": "viewer"}})
    during(monkeypatch, Update(project_records.member(project, mia.user_id), *override))

    assert code(mia.post(path, NEW)) == (403, "forbidden")
    assert ann.get(path).json == []


def test_a_trust_that_is_deleted_meanwhile_is_not_changed(
    ann: Client, path: str, trust: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from slipway.domain import ids
    from slipway.store import trust_records

    key = trust_records.key(ids.parse_trust(trust["id"]))
    one = f"{path}/{trust['id']}"
    during(monkeypatch, Update(key, "SET version = :two", {"two": 2}))
    assert ann.patch(one, {"scopes": ["read"]}).json["version"] == 3
    during(monkeypatch, Delete(key))
    assert code(ann.patch(one, {"scopes": ["deploy"]})) == (404, "not_found")
    assert code(ann.delete(one)) == (404, "not_found")
