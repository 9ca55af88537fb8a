"""Destruction: what a machine may not do before a person has confirmed it.

Tokens of the kinds `agent` and `ci`, and workloads, destroy nothing by themselves but what they
have created. Imported only when a machine asks for something destructive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.access import policy
from slipway.access.principal import Principal
from slipway.domain.environment import GOING
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.errors import ConfirmationNeeded, Forbidden, PreconditionFailed
from slipway.store.confirmed_sessions import ConfirmedSession

Target = ProjectId | EnvironmentId | DeploymentId

_REASONS = {
    "projects:delete": "It deletes the project {name}, with the environments in it if it cascades.",
    "projects:transfer": "It gives the project {name} to another owner.",
    "members:remove": "It removes a member of the project {name}.",
    "environments:destroy": "It tears the environment {name} down.",
    "environments:force": "It forgets the environment {name}, whose resources may be left behind.",
}


def seen(record: Mapping[str, Any]) -> dict[str, int]:
    """What a confirmation is bound to: a change of it makes the confirmation void."""
    names = ("version", "environments_made")
    return {name: record[name] for name in names if name in record}


def require_person(target: Target, principal: Principal, record: Any, reason: str = "") -> None:
    """Raises ConfirmationNeeded unless a person has confirmed what the principal asks.

    No-op for people, for personal tokens, for what the machine has created itself and is not
    protected, and for what is being destroyed anyway. Raises Forbidden without the scope `destroy`,
    and PreconditionFailed if the target has changed since a person was asked.
    """
    if not principal.is_machine:
        return
    if isinstance(principal.session, ConfirmedSession):
        if principal.session.seen != seen(record):
            raise PreconditionFailed(
                "The object has changed since a person was asked to confirm this. Ask again."
            )
        return
    if is_going(target, record) or is_exempt(record, principal):
        return
    require_scope(principal)
    text = reason or _REASONS.get(principal.action, "It destroys {name}.")
    raise ConfirmationNeeded(principal, target, record, text.format(name=record["name"]))


def require_scope(principal: Principal) -> None:
    """Raises Forbidden unless the machine has the scope for destroying anything."""
    rule = policy.ACTIONS["environments:destroy"]
    if not policy.allows_scope(rule, principal.grant):
        raise Forbidden(
            f"This destroys something, for which the token needs the scope {rule.scope}. "
            "Use another token.",
            required_scope=rule.scope,
        )


def is_exempt(record: Mapping[str, Any], principal: Principal) -> bool:
    """Whether this very token or workload has created the environment, and nobody protects it."""
    made_by = record.get("made_by") or {}
    return made_by.get("id") == principal.id and not record.get("protected")


def is_going(target: Target, record: Mapping[str, Any]) -> bool:
    """Whether a repetition would destroy nothing more."""
    if isinstance(target, EnvironmentId):
        return record["status"] in GOING or record["status"] == "destroyed"
    return bool(record.get("status") == "deleting")
