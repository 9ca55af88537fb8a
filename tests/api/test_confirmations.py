"""Destructive requests of machines wait for a person, and are then carried out once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from slipway.aws import dynamodb
from slipway.domain import ids, timestamps
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.services import confirmations
from slipway.store import confirmation_records, environment_records, project_records, table
from slipway.store.actions import write_request
from slipway.store.table import Delete, Key, Put, Update
from tests.support.api.client import CONTEXT, Answer, Client, app, event
from tests.support.api.machines import Machine, machine
from tests.support.store import between

REVOKED = "The token that asked for this was revoked."


@pytest.fixture
def agent(ann: Client, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return machine(ann, monkeypatch)


def record(confirmation_id: str) -> Any:
    return confirmation_records.find(ids.parse_confirmation(confirmation_id))


def carry_out(confirmation_id: str) -> Any:
    """What the workflow does once it is approved."""
    served_by = record(confirmation_id)["served_by"]
    return app(served_by).handler({"confirmation": confirmation_id}, CONTEXT)


def destroy(client: Client, environment: EnvironmentId, **query: Any) -> Answer:
    return client.delete(f"/api/v1/environments/{environment}", **query)


def status(environment: EnvironmentId) -> str:
    found = environment_records.find(environment)
    assert found
    return str(found["status"])


def asked(agent: Machine, environment: EnvironmentId) -> str:
    answer = destroy(agent.client, environment)
    assert answer.status == 202
    return str(answer.json["id"])


def approve(person: Client, confirmation_id: str, body: Any = None) -> Answer:
    return person.post(f"/api/v1/confirmations/{confirmation_id}/approve", body)


def test_a_machines_destruction_waits_for_a_person(
    agent: Machine, environment: EnvironmentId
) -> None:
    answer = destroy(agent.client, environment)

    assert answer.status == 202
    shown = answer.json
    assert shown["status"] == "awaiting_confirmation"
    assert answer.headers["location"] == f"/api/v1/confirmations/{shown['id']}"
    assert shown["asked_by"] == {"id": agent.id, "kind": "agent", "name": "a machine"}
    assert (shown["action"], shown["target"]) == ("environments:destroy", str(environment))
    assert status(environment) == "running"


@pytest.mark.parametrize("written", ["feature/x", "feature%2Fx", "50%25/%D0%B2"])
def test_a_destruction_by_external_id_waits_and_is_carried_out(
    agent: Machine, ann: Client, project: ProjectId, written: str
) -> None:
    path = f"/api/v1/projects/{project}/environments/by-external-id/{written}"
    made = ann.send("PUT", path, json.dumps({"name": "x", "type": "ephemeral"}))
    first, second = agent.client.delete(path), agent.client.delete(path)

    assert (first.status, first.json["status"]) == (202, "awaiting_confirmation")
    assert second.json["id"] == first.json["id"], "the same request"
    assert approve(ann, first.json["id"]).status == 200
    assert carry_out(first.json["id"]) == {"status": "carried_out"}
    assert ann.get(path).json["id"] == made.json["id"]
    assert ann.get(path).json["status"] == "tearing_down"


@pytest.mark.parametrize("kind", ["agent", "ci"])
def test_without_the_scope_destroy_nothing_waits(
    ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    limited = machine(ann, monkeypatch, kind, ["read", "environments", "members"])

    answer = destroy(limited.client, environment)

    assert (answer.status, answer.json["required_scope"]) == (403, "destroy")


def test_a_personal_token_waits_for_nobody(
    ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = machine(ann, monkeypatch, "personal")

    assert destroy(own.client, environment).json["status"] == "tearing_down"


def test_a_machine_destroys_what_it_has_created_unless_a_person_protects_it(
    agent: Machine, ann: Client, project: ProjectId
) -> None:
    made = []
    for name in ("one", "two"):
        body = {"name": name, "type": "ephemeral"}
        answer = agent.client.post(f"/api/v1/environments/projects/{project}", body)
        made.append(ids.parse_environment(answer.json["id"]))
    protect(made[1])

    assert destroy(agent.client, made[0]).json["status"] == "tearing_down"
    assert destroy(agent.client, made[1]).json["status"] == "awaiting_confirmation"


def protect(environment: EnvironmentId) -> None:
    table.write(Update(environment_records.key(environment), "SET protected = :yes", {"yes": True}))


def test_what_is_approved_is_carried_out_once_as_the_machine(
    agent: Machine, ann: Client, environment: EnvironmentId
) -> None:
    confirmation = asked(agent, environment)

    answer = approve(ann, confirmation)
    first, second = carry_out(confirmation), carry_out(confirmation)

    assert (answer.status, answer.json["status"]) == (200, "approved")
    assert answer.json["decided_by"]["id"] == ann.user_id
    assert first == second == {"status": "carried_out"}
    found = environment_records.find(environment)
    assert found
    assert (found["status"], found["change"]["actor"]) == ("tearing_down", agent.id)
    told = agent.client.get(f"/api/v1/confirmations/{confirmation}").json
    assert told["status"] == "carried_out"
    assert told["result"]["status"] == 202
    assert told["result"]["body"]["status"] == "tearing_down"
    # A repetition, which follows the progress, waits for nobody.
    assert destroy(agent.client, environment).json["status"] == "tearing_down"


def test_nothing_is_carried_out_that_is_not_approved(
    agent: Machine, ann: Client, environment: EnvironmentId
) -> None:
    confirmation = asked(agent, environment)

    assert carry_out(confirmation) == {"status": "awaiting_confirmation"}
    rejection = {"reason": "The demo needs it."}
    answer = ann.post(f"/api/v1/confirmations/{confirmation}/reject", rejection)
    assert carry_out(confirmation) == {"status": "rejected"}

    assert (answer.status, answer.json["rejection"]) == (200, "The demo needs it.")
    assert status(environment) == "running"
    late = approve(ann, confirmation)
    assert (late.status, late.json["code"]) == (409, "confirmation_decided")


def test_the_same_decision_can_be_sent_again(
    agent: Machine, ann: Client, environment: EnvironmentId
) -> None:
    confirmation = asked(agent, environment)

    first, second = approve(ann, confirmation), approve(ann, confirmation)

    assert (first.status, second.status) == (200, 200)
    assert first.json == second.json


def test_a_repeated_request_waits_as_one(agent: Machine, environment: EnvironmentId) -> None:
    first = destroy(agent.client, environment)
    again = destroy(agent.client.with_headers(x_confirm="preview"), environment)
    other = destroy(agent.client, environment, force="true")

    assert again.json == first.json
    assert other.json["id"] != first.json["id"]


@pytest.mark.parametrize("kind", ["agent", "ci", "personal"])
def test_no_token_decides(
    agent: Machine,
    ann: Client,
    environment: EnvironmentId,
    monkeypatch: pytest.MonkeyPatch,
    kind: Any,
) -> None:
    confirmation = asked(agent, environment)
    other = machine(ann, monkeypatch, kind).client.with_headers(x_confirm="preview")

    for path in ("/approve", "/reject"):
        answer = other.post(f"/api/v1/confirmations/{confirmation}{path}")
        assert (answer.status, answer.json["code"]) == (403, "forbidden")
    assert other.get("/api/v1/confirmations").status == 403
    assert record(confirmation)["status"] == "awaiting_confirmation"


def join(project: ProjectId, user: Client, role: str) -> None:
    item = {"user_id": user.user_id, "role": role}
    table.write(Put(project_records.member(project, user.user_id), item, condition=None))


@pytest.mark.parametrize(
    ("role", "expected"),
    [("viewer", 403), ("deployer", 403), ("maintainer", 200), ("owner", 200), (None, 404)],
)
def test_only_who_may_do_it_decides(
    agent: Machine,
    bob: Client,
    project: ProjectId,
    environment: EnvironmentId,
    role: str | None,
    expected: int,
) -> None:
    persistent(environment)
    confirmation = asked(agent, environment)
    if role:
        join(project, bob, role)

    assert approve(bob, confirmation).status == expected
    assert ann_reads(bob, confirmation) == (200 if role else 404)


def persistent(environment: EnvironmentId) -> None:
    table.write(
        Update(environment_records.key(environment), "SET tier = :it", {"it": "production"})
    )


def ann_reads(person: Client, confirmation: str) -> int:
    return person.get(f"/api/v1/confirmations/{confirmation}").status


def test_a_protected_environment_needs_its_name_from_the_person(
    agent: Machine, ann: Client, environment: EnvironmentId
) -> None:
    protect(environment)
    confirmation = str(
        destroy(agent.client.with_headers(x_confirm="preview"), environment).json["id"]
    )

    refused = approve(ann, confirmation)
    approved = approve(ann.with_headers(x_confirm="preview"), confirmation)

    assert (refused.status, refused.json["code"]) == (409, "confirmation_required")
    assert approved.status == 200


def test_a_wrong_digest_approves_nothing(
    agent: Machine, ann: Client, environment: EnvironmentId
) -> None:
    confirmation = asked(agent, environment)
    digest = record(confirmation)["digest"]

    wrong = approve(ann, confirmation, {"digest": "0" * 64})
    right = approve(ann, confirmation, {"digest": digest})

    assert (wrong.status, wrong.json["code"]) == (409, "confirmation_changed")
    assert right.status == 200


def failed(confirmation: str) -> tuple[int, str]:
    assert carry_out(confirmation) == {"status": "failed"}
    found = record(confirmation)
    result = json.loads(found["result"])
    return result["status"], result["detail"]


def test_a_revoked_token_carries_nothing_out(
    agent: Machine, ann: Client, environment: EnvironmentId
) -> None:
    confirmation = asked(agent, environment)
    approve(ann, confirmation)
    agent.revoke()

    assert failed(confirmation) == (401, REVOKED)
    assert status(environment) == "running"


def test_a_lost_role_carries_nothing_out(
    agent: Machine, ann: Client, bob: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    confirmation = asked(agent, environment)
    approve(ann, confirmation)
    join(project, ann, "viewer")

    assert failed(confirmation)[0] == 403
    assert status(environment) == "running"


def test_a_target_that_has_changed_is_not_destroyed(
    agent: Machine, ann: Client, environment: EnvironmentId
) -> None:
    confirmation = asked(agent, environment)
    approve(ann, confirmation)
    more = Update(environment_records.key(environment), "ADD version :one", {"one": 1})
    table.write(more)

    assert failed(confirmation)[0] == 412
    assert status(environment) == "running"


def test_a_request_that_was_changed_in_the_table_is_not_carried_out(
    agent: Machine, ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    confirmation = asked(agent, environment)
    approve(ann, confirmation)
    found = record(confirmation)
    request = {**json.loads(found["request"]), "path": f"/api/v1/projects/{project}"}
    key = confirmation_records.key(ids.parse_confirmation(confirmation))
    change = {"request": json.dumps(request)}
    table.write(Update(key, "SET #request = :request", change))

    assert failed(confirmation) == (412, "The digest is wrong.")
    assert status(environment) == "running"


def test_what_has_expired_cannot_be_approved(
    agent: Machine, ann: Client, environment: EnvironmentId
) -> None:
    confirmation = asked(agent, environment)
    past = timestamps.written(timestamps.now() - timedelta(seconds=1))
    key = confirmation_records.key(ids.parse_confirmation(confirmation))
    table.write(Update(key, "SET expires_at = :past", {"past": past}))

    answer = approve(ann, confirmation)

    assert (answer.status, answer.json["confirmation_status"]) == (409, "expired")
    assert ann.get(f"/api/v1/confirmations/{confirmation}").json["status"] == "expired"


def test_a_machine_leaves_only_so_much_undecided(agent: Machine, project: ProjectId) -> None:
    path = f"/api/v1/projects/{project}"
    for n in range(confirmation_records.MOST_OPEN):
        assert agent.client.delete(path, cascade="true", **{"limit": n} if n < 0 else {})
        clear = record_key_of_open(project)
        table.write(Delete(clear))

    answer = agent.client.delete(path, cascade="true")

    assert (answer.status, answer.json["code"]) == (409, "too_many_undecided")


def record_key_of_open(project: ProjectId) -> Key:
    [note], _ = table.query(f"PROJECT#{project.p}", "ASKED#", limit=2)
    return Key(note["pk"], note["sk"])


def test_the_inbox_has_what_a_person_may_decide(
    agent: Machine, ann: Client, bob: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    join(project, bob, "viewer")
    confirmation = asked(agent, environment)
    confirmations.deliver(record(confirmation))

    assert [each["id"] for each in ann.get("/api/v1/confirmations").json] == [confirmation]
    assert bob.get("/api/v1/confirmations").json == []
    join(project, bob, "owner")
    confirmations.redeliver(project, bob.user_id)
    assert [each["id"] for each in bob.get("/api/v1/confirmations").json] == [confirmation]
    approve(bob, confirmation)
    confirmations.deliver(record(confirmation))
    assert ann.get("/api/v1/confirmations").json == bob.get("/api/v1/confirmations").json == []


def with_keys(event: dict[str, Any], confirmation: str) -> list[dict[str, Any]]:
    """The event of a request, with the confirmation wherever it could be looked for."""
    context = event["requestContext"]
    named = {"confirmation": confirmation}
    return [
        {**event, **named},
        {**event, "requestContext": {**context, **named}},
        {**event, "requestContext": {**context, "authorizer": named}},
        {**event, "requestContext": {**context, "authorizer": {"lambda": named}}},
        {**event, "headers": {**event["headers"], **named, "x-confirmation": confirmation}},
        {**event, "rawQueryString": f"confirmation={confirmation}"},
        {**event, "body": json.dumps(named)},
        {**event, "stageVariables": named},
    ]


def test_no_http_request_can_be_taken_for_the_workflow(
    agent: Machine, ann: Client, environment: EnvironmentId
) -> None:
    confirmation = asked(agent, environment)
    approve(ann, confirmation)
    headers = {"content-type": "application/json"}
    request = event("DELETE", f"/api/v1/environments/{environment}", "", headers, "{}")

    for each in with_keys(request, confirmation):
        answer = app("environments").handler(json.loads(json.dumps(each)), CONTEXT)
        assert answer["statusCode"] in (401, 422), each
    assert status(environment) == "running"
    assert record(confirmation)["status"] == "approved"


def test_of_two_who_decide_at_once_one_wins(
    agent: Machine,
    ann: Client,
    bob: Client,
    project: ProjectId,
    environment: EnvironmentId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    join(project, bob, "owner")
    confirmation = ids.parse_confirmation(asked(agent, environment))
    by = bob.principal.asking("confirmations:decide")
    between.first(
        monkeypatch, "TransactWriteItems", lambda: confirmations.reject(confirmation, by, "No.")
    )

    late = approve(ann, str(confirmation))

    assert (late.status, late.json["confirmation_status"]) == (409, "rejected")
    assert carry_out(str(confirmation)) == {"status": "rejected"}
    assert status(environment) == "running"


def test_of_two_who_carry_it_out_at_once_one_does(
    agent: Machine, ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirmation = asked(agent, environment)
    approve(ann, confirmation)
    used = confirmation_records.carrying_out(record(confirmation))
    client = dynamodb.together

    def the_other() -> None:
        client(("UpdateItem", write_request(used)))

    between.first(monkeypatch, "TransactWriteItems", the_other)

    assert carry_out(confirmation) == {"status": "carried_out"}
    # The other one's write, which would have come with it, is not there; ours neither.
    assert status(environment) == "running"


def test_a_machine_cannot_end_a_protection_by_a_header(
    agent: Machine, ann: Client, environment: EnvironmentId
) -> None:
    protect(environment)
    path, body = f"/api/v1/environments/{environment}", {"protected": False}

    refused = agent.client.with_headers(x_confirm="preview").patch(path, body)
    allowed = ann.with_headers(x_confirm="preview").patch(path, body)

    assert (refused.status, refused.json["code"]) == (409, "confirmation_required")
    assert allowed.status == 200


def test_what_is_protected_is_carried_out_with_the_name_that_the_person_sent(
    agent: Machine, ann: Client, environment: EnvironmentId
) -> None:
    protect(environment)
    confirmation = asked(agent, environment)
    assert approve(ann.with_headers(x_confirm="preview"), confirmation).status == 200

    assert carry_out(confirmation) == {"status": "carried_out"}
    assert status(environment) == "tearing_down"


def test_what_was_protected_after_the_approval_stays(
    agent: Machine, ann: Client, environment: EnvironmentId
) -> None:
    confirmation = asked(agent, environment)
    approve(ann, confirmation)
    protect(environment)

    assert failed(confirmation)[0] == 409
    assert status(environment) == "running"
