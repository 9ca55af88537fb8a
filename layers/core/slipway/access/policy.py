"""The policy: which role and which scope each action needs. The only place that says so.

Every route names its action. A person needs the role in the project; a token or a workload needs
the scope as well. The OpenAPI document, docs/access.md, `GET /projects/{id}/permissions` and the
tests are made from `ACTIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.domain.rights import ROLES, TIERS, Role, Scope, Tier, is_at_least
from slipway.errors import Forbidden

if TYPE_CHECKING:
    from slipway.domain.rights import Grant


class Rule(NamedTuple):
    """The requirements of an action.

    `role`: the role in the project; None if the action concerns no project. `scope`: what a token
    needs as well; None if any token may. `preview`: the role that suffices in environments of the
    tier `preview`, and `own` the one that suffices in those that the caller created. `session`:
    only a person may, in a session and not with a token. `person`: only a person may, in a session
    or with a personal token, and no machine. `destructive`: it deletes or gives away
    something for good, so that a machine has to wait for a person. `administrator`: only
    administrators of the platform may.
    """

    role: Role | None
    scope: Scope | None = "read"
    preview: Role | None = None
    own: Role | None = None
    session: bool = False
    person: bool = False
    destructive: bool = False
    administrator: bool = False


ACTIONS: Mapping[str, Rule] = {
    # Projects and their members.
    "projects:list": Rule(None),
    "projects:create": Rule(None, "config"),
    "projects:read": Rule("viewer"),
    "projects:change": Rule("maintainer", "config"),
    "projects:delete": Rule("owner", "destroy", destructive=True),
    "projects:transfer": Rule("owner", "members", destructive=True),
    "permissions:read": Rule("viewer", None),
    "members:read": Rule("viewer"),
    "members:change": Rule("maintainer", "members"),
    "members:remove": Rule("maintainer", "members", destructive=True),
    "members:appoint": Rule("owner", "members"),
    "members:leave": Rule("viewer", session=True),
    "trusts:read": Rule("maintainer"),
    "trusts:change": Rule("maintainer", "members"),
    "audit:read": Rule("maintainer"),
    "confirmations:read": Rule("viewer"),
    "confirmations:list": Rule(None, session=True),
    "confirmations:decide": Rule("viewer", session=True),
    # Environments.
    "environments:browse": Rule(None),
    "environments:list": Rule("viewer"),
    "environments:read": Rule("viewer"),
    "environments:create": Rule("maintainer", "environments", preview="deployer"),
    "environments:change": Rule("maintainer", "environments"),
    "environments:update": Rule("maintainer", "environments"),
    "environments:extend": Rule("maintainer", "environments", own="deployer"),
    "environments:destroy": Rule("maintainer", "destroy", own="deployer", destructive=True),
    "environments:force": Rule("maintainer", "destroy", destructive=True),
    "environments:inspect": Rule("viewer"),
    "environments:detect": Rule("deployer", "environments"),
    # What runs in environments: its lines may have anything in them.
    "runtime:read": Rule("deployer"),
    "metrics:read": Rule("viewer"),
    # Variables, secrets and configurations.
    "variables:read": Rule("viewer"),
    "variables:change": Rule("maintainer", "config", preview="deployer"),
    "secrets:read": Rule("viewer"),
    "secrets:change": Rule("maintainer", "config", preview="deployer"),
    "secrets:reveal": Rule("maintainer", "config", person=True),
    "configurations:read": Rule("viewer"),
    "configurations:restore": Rule("maintainer", "config", preview="deployer"),
    "configurations:purge": Rule("maintainer", "config", person=True),
    # Deployments.
    "deployments:browse": Rule(None),
    "deployments:list": Rule("viewer"),
    "deployments:read": Rule("viewer"),
    "deployments:create": Rule("deployer", "deploy"),
    "deployments:cancel": Rule("deployer", "deploy"),
    # A promotion that changes a target's template version needs environments:update as well.
    "pipeline:read": Rule("viewer"),
    "pipeline:change": Rule("maintainer", "config"),
    "promotions:read": Rule("viewer"),
    "promotions:create": Rule("deployer", "deploy"),
    "deployments:rollback": Rule("deployer", "deploy"),
    "deployments:release": Rule("deployer", session=True),
    # Templates, which belong to the whole platform.
    "templates:read": Rule(None),
    "templates:create": Rule(None, "templates"),
    "templates:change": Rule(None, "templates"),
    # Templates belong to no project, whose members could confirm what a machine asks: it may not.
    "templates:delete": Rule(None, "destroy"),
    # The caller's own account, sessions and tokens.
    "account:read": Rule(None, None),
    "account:change": Rule(None, session=True),
    "devices:read": Rule(None, session=True),
    "devices:decide": Rule(None, session=True),
    "tokens:read": Rule(None, "tokens"),
    "tokens:change": Rule(None, "tokens"),
    # The platform.
    "users:list": Rule(None, "members", administrator=True),
    "users:read": Rule(None),
    "users:change": Rule(None, "members", administrator=True),
    "invitations:read": Rule(None, "members", administrator=True),
    "invitations:change": Rule(None, "members", administrator=True),
    "audit:platform": Rule(None, administrator=True),
}


def role_in(role: Role, overrides: Mapping[Any, Role] | None, tier: Tier | None) -> Role:
    """A member's role in environments of the tier, where it may be overridden."""
    return (overrides or {}).get(tier) or role


def needed_role(rule: Rule, tier: Tier | None = None, *, own: bool = False) -> Role | None:
    """The lowest role that suffices, in an environment of the tier; `own`: that the caller made."""
    if tier == "preview":
        return (rule.own if own else None) or rule.preview or rule.role
    return rule.role


def allows_role(rule: Rule, role: Role, tier: Tier | None, *, own: bool = False) -> bool:
    """Whether the role suffices, in an environment of the tier; `own`: that the caller made."""
    needed = needed_role(rule, tier, own=own)
    return needed is None or is_at_least(role, needed)


def allows_scope(rule: Rule, grant: Grant | None) -> bool:
    """Whether the caller's scopes suffice; a person in a session, without a grant, has them all."""
    if grant is None:
        return True
    return not rule.session and (rule.scope is None or rule.scope in grant.scopes)


def _require_everywhere(rule: Rule, grant: Grant | None) -> None:
    """Raises Forbidden for a grant of some projects if the action changes the whole platform."""
    changes = rule.scope in ("config", "templates", "destroy", "members")
    if grant and grant.project_ids is not None and rule.role is None and changes:
        raise Forbidden(
            "This token is valid for some projects only, and this concerns the whole platform. "
            "Use another token, or sign in."
        )


def permits(action: str) -> Callable[[Grant | None], None]:
    """A check that raises Forbidden for a caller whose grant does not cover the action."""
    rule = ACTIONS[action]

    def check(grant: Grant | None) -> None:
        if allows_scope(rule, grant):
            _require_everywhere(rule, grant)
            return
        if rule.session:
            raise Forbidden("Only a person may do this, in a session. Sign in and try again.")
        raise Forbidden(
            f"This token lacks the scope {rule.scope}. Use a token with this scope, or sign in.",
            required_scope=rule.scope,
        )

    return check


def can(role: Role, overrides: Mapping[Any, Role] | None, grant: Grant | None) -> Iterator[str]:
    """The actions in a project that the member may do somewhere in it."""
    for action, rule in ACTIONS.items():
        if rule.role is None or not allows_scope(rule, grant):
            continue
        # A role in a tier is one in its environments, and not in the project.
        of_environments = ("environments:", "runtime:", "metrics:", "deployments:", "promotions:")
        in_tiers = action.startswith(of_environments)
        tiers: tuple[Tier | None, ...] = (None, *TIERS) if in_tiers else (None,)
        roles = ((role_in(role, overrides, tier), tier) for tier in tiers)
        if any(allows_role(rule, each, tier, own=True) for each, tier in roles):
            yield action


def sufficient_roles(needed: Role) -> tuple[Role, ...]:
    """The roles that have at least the rights of the needed one."""
    return ROLES[ROLES.index(needed) :]
