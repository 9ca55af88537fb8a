"""Updates that machines ask for: what would delete or replace a resource waits for a person.

CloudFormation's change set says what an update would do, if nothing is ahead of it in the queue
that changes the stack first. Imported only when a machine asks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from slipway.access import destruction
from slipway.access.principal import Principal
from slipway.domain.ids import EnvironmentId
from slipway.errors import FieldError, Invalid, PlanPending
from slipway.services import change_sets
from slipway.store.confirmed_sessions import ConfirmedSession

if TYPE_CHECKING:
    from slipway.domain.records import EnvironmentRecord

_PLAN_SECONDS = 3
_MOST_NAMED = 5


def must_be_alone(
    environment: EnvironmentId,
    principal: Principal,
    item: EnvironmentRecord,
    would_be: Mapping[str, Any],
    secrets: Mapping[str, str],
    sent: Collection[str],
) -> bool:
    """Whether a machine's update may be accepted only while nothing is ahead of it.

    `would_be` is the record after the update, `secrets` are the new secrets, and `sent` the names
    of the inputs in the request. False for people and for what needs no plan. Raises
    ConfirmationNeeded if it deletes or replaces a resource, or if that cannot be known; then also
    Forbidden without the scope `destroy`, and Invalid if it brings a secret. PlanPending while
    CloudFormation makes the plan; DriverFault. One invocation.
    """
    if not principal.is_machine or destruction.is_exempt(item, principal):
        return False
    if isinstance(principal.session, ConfirmedSession):
        destruction.require_person(environment, principal, item)
        return False
    plan = change_sets.preview(would_be, secrets, creates=False)
    if plan["status"] == "pending":
        reason = plan.get("reason") or "CloudFormation is making the plan"
        raise PlanPending(
            _PLAN_SECONDS,
            f"{reason}, so it is not known yet what this would delete. Send it again.",
        )
    if reason := _harm(plan):
        destruction.require_scope(principal)
        _require_no_secrets(secrets, sent)
        destruction.require_person(environment, principal, item, reason)
    return True


def _harm(plan: Mapping[str, Any]) -> str:
    """What the plan deletes or replaces, as a sentence; empty if it does neither."""
    if plan["status"] != "ready":
        return "CloudFormation cannot tell what it would delete in {name}."
    gone = [each["logical_id"] for each in plan["changes"] if _is_harmful(each)]
    if not gone:
        return ""
    named = ", ".join(gone[:_MOST_NAMED]) + (" and more" if len(gone) > _MOST_NAMED else "")
    return f"It may delete or replace {named} in {{name}}."


def _is_harmful(change: Mapping[str, Any]) -> bool:
    if change["action"] in ("remove", "dynamic"):
        return True
    return change["action"] == "modify" and change.get("replacement") != "never"


def _require_no_secrets(secrets: Collection[str], sent: Collection[str]) -> None:
    """A secret must not lie in a request that waits for a day."""
    found = sorted(set(secrets).intersection(sent))
    detail = "is a secret, which a request cannot bring that waits for a person: change it alone"
    if found:
        raise Invalid([FieldError(f"#/inputs/{name}", detail) for name in found])
