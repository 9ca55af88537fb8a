"""Members do what the policy says their role may, in the tier of the environment."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.access import authorization, policy
from slipway.access.principal import Principal
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.rights import ROLES, TIERS, Role, Tier
from slipway.errors import Forbidden
from slipway.store import environment_records, project_records, table
from slipway.store.table import ConditionFailed, Transaction
from tests.support.api.client import Answer, Client
from tests.support.api.people import joins


def at(environment: EnvironmentId | str) -> str:
    return f"/api/v1/environments/{environment}"


def created(client: Client, project: ProjectId, **fields: Any) -> Answer:
    wanted = {"name": "one", "type": "persistent", **fields}
    return client.post(f"/api/v1/environments/projects/{project}", wanted)


@pytest.mark.parametrize("role", ROLES)
def test_every_member_reads(
    role: Role, bob: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    joins(project, bob, role)

    assert bob.get(f"/api/v1/projects/{project}").status == 200
    assert bob.get(at(environment)).status == 200
    assert bob.get(f"{at(environment)}/events").status == 200


def test_somebody_else_is_told_that_there_is_nothing(
    bob: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    assert bob.get(at(environment)).status == 404
    assert created(bob, project).status == 404


@pytest.mark.parametrize(
    ("role", "tier", "status"),
    [
        ("viewer", "preview", 403),
        ("deployer", "preview", 201),
        ("deployer", "staging", 403),
        ("deployer", "production", 403),
        ("maintainer", "production", 201),
        ("owner", "production", 201),
    ],
)
def test_the_role_that_creates_depends_on_the_tier(
    role: str, tier: str, status: int, bob: Client, project: ProjectId
) -> None:
    joins(project, bob, role)

    answer = created(bob, project, tier=tier)

    assert answer.status == status
    if status == 403:
        needed = "deployer" if tier == "preview" else "maintainer"
        found = (answer.json["code"], answer.json["role"], answer.json["required_role"])
        assert found == ("forbidden", role, needed)


def test_an_environment_without_a_tier_has_that_of_its_type(
    ann: Client, project: ProjectId
) -> None:
    persistent, ephemeral = created(ann, project), created(ann, project, name="2", type="ephemeral")

    assert (persistent.json["tier"], ephemeral.json["tier"]) == ("production", "preview")


def test_a_deployer_extends_and_deletes_only_the_previews_that_it_created(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    joins(project, bob, "deployer")
    own = created(bob, project, name="own", type="ephemeral").json["id"]
    other = created(ann, project, name="other", type="ephemeral").json["id"]

    assert bob.post(f"{at(other)}/extend", {"ttl_hours": 30}).status == 403
    assert bob.delete(at(other)).status == 403
    assert bob.post(f"{at(own)}/extend", {"ttl_hours": 30}).status == 200
    assert bob.post(f"{at(own)}/pin", {"reason": "demo"}).status == 200
    assert bob.delete(at(own)).status == 202


def test_what_a_deployer_created_is_not_its_own_in_another_tier(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    joins(project, bob, "deployer")
    own = created(bob, project, type="ephemeral").json["id"]
    assert ann.patch(at(own), {"tier": "staging"}).status == 200

    assert bob.delete(at(own)).status == 403


def test_an_override_replaces_the_role_in_its_tier(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    joins(project, bob, "maintainer", {"production": "viewer"})
    live = created(ann, project, name="live").json["id"]
    stage = created(ann, project, name="stage", tier="staging").json["id"]

    wanted = {"version": "sha-1"}
    assert bob.post(f"/api/v1/deployments/environments/{live}", wanted).status == 403
    assert bob.delete(at(live)).status == 403
    assert bob.get(at(live)).status == 200
    assert bob.post(f"/api/v1/deployments/environments/{stage}", wanted).status == 201


def test_a_deployment_has_the_tier_of_its_environment(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    joins(project, bob, "deployer", {"production": "viewer"})
    live = created(ann, project).json["id"]
    deployment = ann.post(f"/api/v1/deployments/environments/{live}", {"version": "1"}).json["id"]

    answer = bob.post(f"/api/v1/deployments/{deployment}/cancel")

    assert (answer.status, answer.json["required_role"]) == (403, "deployer")
    assert bob.get(f"/api/v1/deployments/{deployment}").status == 200


def test_nobody_moves_an_environment_to_a_tier_where_they_may_do_more(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    joins(project, bob, "maintainer", {"production": "viewer"})
    live = created(ann, project, name="live").json["id"]
    stage = created(ann, project, name="stage", tier="staging").json["id"]

    assert bob.patch(at(live), {"tier": "staging"}).status == 403
    assert bob.patch(at(stage), {"tier": "production"}).status == 403
    assert bob.patch(at(stage), {"tier": "preview"}).status == 200


@pytest.mark.parametrize("role", ["viewer", "deployer", "maintainer"])
def test_only_an_owner_deletes_the_project(role: str, bob: Client, project: ProjectId) -> None:
    joins(project, bob, role)

    answer = bob.delete(f"/api/v1/projects/{project}")

    assert (answer.status, answer.json["required_role"]) == (403, "owner")


# --- the write itself decides -----------------------------------------------------------------


def _suffices(
    project: ProjectId, user_id: str, action: str, tier: Tier | None, *, own: bool = False
) -> bool:
    still = authorization.still_may(project, Principal(user_id, action), tier, own=own)
    try:
        Transaction().add("member", still).commit()
    except ConditionFailed:
        return False
    return True


@pytest.mark.parametrize("tier", [None, *TIERS])
@pytest.mark.parametrize("overridden", [None, *ROLES])
@pytest.mark.parametrize("role", ROLES)
def test_a_write_and_a_read_agree_on_every_role(
    role: Role, overridden: Role | None, tier: Tier | None, bob: Client, project: ProjectId
) -> None:
    overrides: Any = {"production": overridden} if overridden else None
    joins(project, bob, role, overrides)
    effective = policy.role_in(role, overrides, tier)

    for action in ("environments:create", "environments:destroy", "projects:delete"):
        for own in (False, True):
            rule = policy.ACTIONS[action]
            may = policy.allows_role(rule, effective, tier, own=own)
            assert _suffices(project, bob.user_id, action, tier, own=own) is may


def test_a_member_who_loses_the_role_meanwhile_creates_nothing(
    bob: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    joins(project, bob, "maintainer")
    authorized = authorization.authorized

    def demoted(*arguments: Any, **named: Any) -> Any:
        found = authorized(*arguments, **named)
        joins(project, bob, "viewer")
        return found

    monkeypatch.setattr(authorization, "authorized", demoted)

    answer = created(bob, project)

    assert (answer.status, answer.json["code"]) == (403, "forbidden")
    assert project_records.living_in(project) == []


def test_a_member_who_is_removed_meanwhile_deploys_nothing(
    bob: Client, project: ProjectId, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    joins(project, bob, "deployer")
    authorized = authorization.authorized

    def removed(*arguments: Any, **named: Any) -> Any:
        found = authorized(*arguments, **named)
        table.write(table.Delete(project_records.member(project, bob.user_id)))
        return found

    monkeypatch.setattr(authorization, "authorized", removed)

    answer = bob.post(f"/api/v1/deployments/environments/{environment}", {"version": "1"})

    assert answer.status == 404
    record = environment_records.find(environment)
    assert record and not record.get("waiting")


# --- the table itself -------------------------------------------------------------------------


def test_a_higher_role_may_do_whatever_a_lower_one_may() -> None:
    for action, rule in policy.ACTIONS.items():
        for tier in (None, *TIERS):
            for own in (False, True):
                allowed = [policy.allows_role(rule, role, tier, own=own) for role in ROLES]
                assert allowed == sorted(allowed), action


def test_a_refusal_says_which_role_is_needed() -> None:
    with pytest.raises(Forbidden, match="needs the role maintainer") as refused:
        authorization.require_role(Principal("usr_x", "environments:update"), "deployer", "staging")

    assert refused.value.extra == {"role": "deployer", "required_role": "maintainer"}
