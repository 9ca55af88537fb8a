"""A real token of an agent: what it destroys waits, and is carried out while the token lives."""

from __future__ import annotations

from slipway.domain.ids import EnvironmentId
from slipway.domain.rights import SCOPES
from tests.support.api.client import CONTEXT, Client, app


def test_an_agents_token_waits_for_a_person_and_ends_with_its_revocation(
    ann: Client, environment: EnvironmentId
) -> None:
    wanted = {"name": "a machine", "kind": "agent", "scopes": list(SCOPES), "expires_in_days": 1}
    made = ann.post("/api/v1/auth/tokens", wanted).json
    agent, path = Client(made["token"], ann.user_id), f"/api/v1/environments/{environment}"

    asked = [agent.delete(path), agent.delete(path, force="true")]
    assert [each.json["status"] for each in asked] == ["awaiting_confirmation"] * 2
    assert asked[0].json["asked_by"] == {"id": made["id"], "kind": "agent", "name": "a machine"}
    for each in asked:
        assert ann.post(f"/api/v1/confirmations/{each.json['id']}/approve").status == 200
    handler = app("environments").handler
    first = handler({"confirmation": asked[0].json["id"]}, CONTEXT)
    assert ann.delete(f"/api/v1/auth/tokens/{made['id']}").status in (200, 204)
    second = handler({"confirmation": asked[1].json["id"]}, CONTEXT)

    assert (first["status"], second["status"]) == ("carried_out", "failed")
