"""Authorization: the only module that decides what a principal may see and do.

A decision needs the principal's membership of the project, the target's record, and for a
deployment that of its environment. They are read in the round trip that serves the request: `keys`
returns their keys, `authorized` decides by the policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

from slipway.access import policy
from slipway.access.principal import Principal
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.domain.rights import Grant, Role, Tier, tier_of
from slipway.errors import Forbidden, Refused, no_such
from slipway.settings import settings
from slipway.store import sessions, table
from slipway.store.table import Check, Item, Key

if TYPE_CHECKING:
    from slipway.domain.account_records import AccountRecord
    from slipway.domain.records import (
        DeploymentRecord,
        EnvironmentRecord,
        ProjectRecord,
    )
    from slipway.domain.template_records import TemplateRecord

Target = ProjectId | EnvironmentId | DeploymentId


def keys(target: Target, principal: Principal) -> tuple[Key, ...]:
    """The keys of the items that `authorized` needs."""
    # Imported here, because not every function needs these modules.
    from slipway.store import project_records

    member = project_records.member(target, principal.user_id)
    if isinstance(target, ProjectId):
        return member, project_records.key(target)
    from slipway.store import environment_records

    if isinstance(target, EnvironmentId):
        return member, environment_records.key(target)
    from slipway.store import deployment_records

    environment = environment_records.key(target.environment)
    return member, deployment_records.key(target), environment


@overload
def authorized(
    target: ProjectId, principal: Principal, found: Sequence[Any], tier: Tier | None = None
) -> ProjectRecord: ...
@overload
def authorized(
    target: EnvironmentId, principal: Principal, found: Sequence[Any], tier: Tier | None = None
) -> EnvironmentRecord: ...
@overload
def authorized(
    target: DeploymentId, principal: Principal, found: Sequence[Any], tier: Tier | None = None
) -> DeploymentRecord: ...
def authorized(
    target: Target, principal: Principal, found: Sequence[Any], tier: Tier | None = None
) -> Any:
    """The target's record, if the principal may do with it what it asks to do.

    `found` are the items at `keys`, `tier` that of an environment which is to be created in a
    project. Raises NotFound if the target does not exist and if the principal is no member of its
    project; Forbidden if the role or the token does not suffice; ConfirmationNeeded if a machine
    asks for something destructive.
    """
    membership, record, *above = found
    # A key has only a part of the id, so an id with a wrong project finds a record too.
    if not (membership and record and record["id"] == str(target)):
        raise no_such(_noun(target))
    environment: Any = None
    if not isinstance(target, ProjectId):
        environment = above[0] if isinstance(target, DeploymentId) else record
        tier = tier_of(environment)
    if principal.grant:
        _require_within(principal.grant, target, environment, tier, principal.action)
    role = policy.role_in(membership["role"], membership.get("overrides"), tier)
    own = environment is not None and environment["created_by"] == principal.user_id
    # What is protected needs a maintainer, whoever created it.
    own = own and not environment.get("protected")
    require_role(principal, role, tier, own=own)
    if policy.ACTIONS[principal.action].person and principal.is_machine:
        raise Forbidden("Only a person may do this. Sign in, or use a personal token.")
    if policy.ACTIONS[principal.action].destructive and not principal.is_person:
        from slipway.access import destruction

        destruction.require_person(target, principal, record)
    return record


def require_role(
    principal: Principal, role: Role, tier: Tier | None = None, *, own: bool = False
) -> None:
    """Raises Forbidden unless the role suffices for what the principal asks to do.

    `tier` is that of the environment that it concerns, `own` whether the principal created it.
    """
    rule = policy.ACTIONS[principal.action]
    if policy.allows_role(rule, role, tier, own=own):
        return
    needed = policy.needed_role(rule, tier, own=own)
    where = f" in environments of the tier {tier}" if tier else ""
    raise Forbidden(
        f"You are {role}{where}, and this needs the role {needed}. Ask an owner of the project.",
        role=role,
        required_role=needed,
    )


def require_tier(principal: Principal, membership: Item, tier: Tier) -> None:
    """Raises Forbidden unless the member may do in this tier, too, what the principal asks to do.

    For a change that moves an environment to another tier.
    """
    grant = principal.grant
    if grant and grant.tiers is not None and tier not in grant.tiers:
        raise _other_tier(tier)
    role = policy.role_in(membership["role"], membership.get("overrides"), tier)
    require_role(principal, role, tier)


def _other_tier(tier: Tier) -> Forbidden:
    return Forbidden(
        f"This token is not valid for environments of the tier {tier}. Use another token."
    )


def _require_within(
    grant: Grant, target: Target, environment: Any, tier: Tier | None, action: str
) -> None:
    """Raises NotFound for a target out of the grant's projects and environments, and Forbidden for
    one of another tier."""
    outside = grant.project_ids is not None and str(target.project) not in grant.project_ids
    if environment and grant.environment_ids is not None:
        outside = outside or environment["id"] not in grant.environment_ids
    if outside:
        raise no_such(_noun(target))
    if tier and grant.tiers is not None and tier not in grant.tiers:
        raise _other_tier(tier)
    limited = grant.environment_ids is not None or (grant.tiers is not None and tier is None)
    if environment is None and limited and policy.ACTIONS[action].scope not in (None, "read"):
        raise Forbidden(
            "This token is valid for some environments only, and this concerns the whole project. "
            "Use another token."
        )


def may_see(environment: EnvironmentRecord, principal: Principal) -> bool:
    """Whether the principal's grant covers the environment, which is in one of its projects."""
    grant = principal.grant
    if grant is None:
        return True
    by_id = grant.environment_ids is None or environment["id"] in grant.environment_ids
    return by_id and (grant.tiers is None or tier_of(environment) in grant.tiers)


@overload
def read(target: ProjectId, principal: Principal) -> ProjectRecord: ...
@overload
def read(target: EnvironmentId, principal: Principal) -> EnvironmentRecord: ...
@overload
def read(target: DeploymentId, principal: Principal) -> DeploymentRecord: ...
def read(target: Target, principal: Principal) -> Any:
    """The target's record, if the principal may do with it what it asks to do; one round trip.

    Raises NotFound, Forbidden.
    """
    return authorized(target, principal, table.get(*keys(target, principal)))


def still_may(
    within: ProjectId | EnvironmentId,
    principal: Principal,
    tier: Tier | None = None,
    *,
    own: bool = False,
) -> Check:
    """The part of a write's transaction that fails if the principal's role no longer suffices.

    It finds nothing if the principal is no longer a member. `tier` and `own` as in require_role.
    """
    from slipway.store import project_records

    condition, values = _role_suffices(principal.action, tier, own=own)
    return Check(project_records.member(within, principal.user_id), condition, values)


def still_may_all(
    within: ProjectId | EnvironmentId, principal: Principal, asked: Iterable[tuple[str, Tier]]
) -> Check:
    """`still_may` for several actions, each in environments of a tier: a transaction checks an item
    once."""
    from slipway.store import project_records

    parts: list[str] = []
    values: dict[str, str] = {}
    for n, (action, tier) in enumerate(sorted(set(asked))):
        condition, roles = _role_suffices(action, tier, prefix=f"n{n}")
        parts.append(f"({condition})")
        values |= roles
    return Check(project_records.member(within, principal.user_id), " AND ".join(parts), values)


def _role_suffices(
    action: str, tier: Tier | None, *, own: bool = False, prefix: str = ""
) -> tuple[str, dict[str, str]]:
    """The condition that a member's role suffices for the action, and its values."""
    needed = policy.needed_role(policy.ACTIONS[action], tier, own=own)
    sufficient = policy.sufficient_roles(needed or "viewer")
    values: dict[str, str] = {f"{prefix}r{n}": role for n, role in enumerate(sufficient)}
    roles = ", ".join(f":{name}" for name in values)
    condition = f"attribute_exists(pk) AND #role IN ({roles})"
    if tier:
        condition = (
            f"attribute_exists(pk) AND (#overrides.#{tier} IN ({roles}) OR "
            f"(attribute_not_exists(#overrides.#{tier}) AND #role IN ({roles})))"
        )
    return condition, values


def lost(found: Item, noun: str) -> Refused:
    """The refusal for a failed `still_may`, by the item that it found."""
    if not found:
        return no_such(noun)
    return Forbidden("Your role in the project has just changed. Ask an owner of the project.")


def account(principal: Principal) -> Key:
    """The key of the principal's account, for the functions below."""
    return sessions.account_key(principal.user_id)


def require_administrator(account: AccountRecord | None) -> None:
    """Raises Forbidden unless the account, read from its key, is an administrator's."""
    if not account or account["platform_role"] != "admin":
        raise Forbidden("Only administrators can do this. Ask one for the platform role admin.")


def may_publish(account: AccountRecord | None) -> None:
    """Raises Forbidden unless the user may create templates and versions."""
    if settings().members_may_publish:
        return
    if not account or account["platform_role"] == "member":
        raise Forbidden(
            "Only publishers and administrators can create templates and versions. Ask an "
            "administrator for the platform role publisher."
        )


def may_change_template(template: TemplateRecord, principal: Principal) -> None:
    """Raises Forbidden unless the principal created the template."""
    if template["created_by"] != principal.user_id:
        raise Forbidden("Only the template's owner can change it. Ask the owner to change it.")


def _noun(target: Target) -> str:
    if isinstance(target, ProjectId):
        return "project"
    return "environment" if isinstance(target, EnvironmentId) else "deployment"
