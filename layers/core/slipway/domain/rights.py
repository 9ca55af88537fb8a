"""Rights: the roles of a project's members, the scopes of tokens, and the tiers of environments."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Role = Literal["viewer", "deployer", "maintainer", "owner"]
Scope = Literal[
    "read", "deploy", "environments", "destroy", "templates", "config", "members", "tokens"
]
Tier = Literal["preview", "staging", "production"]
Kind = Literal["user", "personal", "ci", "agent", "workload"]
"""The kinds of callers: a person in a session, a token of one of three kinds, a CI job."""

ROLES: tuple[Role, ...] = ("viewer", "deployer", "maintainer", "owner")
"""From the role with the fewest rights to the one with the most."""

SCOPES: tuple[Scope, ...] = (
    *("read", "deploy", "environments", "destroy"),
    *("templates", "config", "members", "tokens"),
)
TIERS: tuple[Tier, ...] = ("preview", "staging", "production")


class Grant(NamedTuple):
    """The limits of a token or a workload. A set that is None limits nothing."""

    scopes: frozenset[str]
    project_ids: frozenset[str] | None = None
    environment_ids: frozenset[str] | None = None
    tiers: frozenset[str] | None = None


def is_at_least(role: Any, needed: Role) -> bool:
    """Whether the role has at least the rights of the needed one; False for what is no role."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(needed)


def tier_of(environment: Any) -> Tier:
    """The tier of an environment's record. Records from before tiers have that of their type."""
    tier: Tier = environment.get("tier") or default_tier(environment["type"])
    return tier


def default_tier(type_: str) -> Tier:
    """The tier of an environment that was requested without one."""
    return "preview" if type_ == "ephemeral" else "production"
