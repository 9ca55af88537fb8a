"""Decides every call to the laptop's AWS.

A call is allowed as on AWS: by the identity-based policies of the caller's role and its permissions
boundary, or by the resource's own policy, and only if nothing denies it. The emulator's evaluator
reads the policies (docs/decisions/0017), and patches/iam_evaluator.py fixes its defects.
patches/iam_requests.py checks signed requests, patches/iam_executions.py state machines, and
patches/iam_stacks.py what CloudFormation does with a role.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from local.iam_keys import session_arn


class Check(NamedTuple):
    """A question: may the caller do `action` to `resource`, with these condition keys?"""

    action: str
    resource: str = "*"
    context: Mapping[str, Any] = {}


class Target(str):
    """A request's resource, with its condition keys and the other checks for the request.

    It is a string because the emulator passes on nothing else.
    """

    also: tuple[Check, ...] = ()
    context: Mapping[str, Any] = {}

    @classmethod
    def of(cls, first: Check, also: Iterable[Check] = ()) -> "Target":
        target = cls(first.resource)
        target.also, target.context = tuple(also), first.context
        return target


@dataclass(frozen=True)
class Denial:
    """A refused call. `reason` is the clause of AWS's message that names the policy."""

    principal: str
    check: Check
    reason: str = field(default="because no identity-based policy allows")

    @property
    def message(self) -> str:
        """AWS's sentence.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
        """
        action, resource = _spelling(self.check)
        reason = self.reason
        if reason.endswith("allows"):
            reason += f" the {action} action"
        return (
            f"User: {self.principal} is not authorized to perform: {action} "
            f"on resource: {resource} {reason}"
        )


def _spelling(check: Check) -> tuple[str, str]:
    """The service's spelling of action and resource, which differs for three services."""
    service, _, name = check.action.partition(":")
    if service == "sqs":
        return f"sqs:{name.lower()}", check.resource
    if service == "sns":
        return f"SNS:{name}", check.resource
    if service == "s3":
        return check.action, f'"{check.resource}"'
    return check.action, check.resource


def denial(role: str, session: str, checks: Iterable[Check]) -> Denial | None:
    """The first check that a role fails, for calls made inside the emulator; None if it passes.

    `role` is an ARN, `session` the name of its session. A role that does not exist has no
    permissions.
    """
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_region
    from ministack.services import iam

    account, name = role.split(":")[4], role.rpartition("/")[2]
    principal = iam_evaluator.PrincipalInfo(
        arn=session_arn(role, session),
        type="AssumedRole",
        account=account,
        policies=iam_evaluator._gather_role_policies(name, account),
        limits=iam_evaluator._permissions_boundary(iam._roles, name, account),
        keys=_tags(iam._roles.get_scoped(account, None, name)),
    )
    for check in checks:
        result = decide(principal, check, get_region())
        if result.decision != "Allow":
            return Denial(principal.arn, check, result.reason)
    return None


def _tags(role: Any) -> dict[str, str]:
    """The condition keys for a role's tags."""
    tags = (role or {}).get("Tags") or []
    return {f"aws:principaltag/{each['Key'].lower()}": each["Value"] for each in tags}


def denied_everywhere(role: str, session: str, action: str) -> Denial | None:
    """A denial if the role's policies, or its boundary, allow the action on no resource."""
    from ministack.core import iam_evaluator
    from ministack.services import iam

    account, name = role.split(":")[4], role.rpartition("/")[2]
    layers = [iam_evaluator._gather_role_policies(name, account)]
    layers += iam_evaluator._permissions_boundary(iam._roles, name, account)
    clauses = ("because no identity-based policy allows", "because no permissions boundary allows")
    for layer, clause in zip(layers, clauses, strict=False):
        allowed = any(
            statement.effect == "Allow"
            and iam_evaluator._action_matches(action, statement.actions, statement.not_actions)
            for document in layer
            for statement in document
        )
        if not allowed:
            return Denial(session_arn(role, session), Check(action), clause)
    return None


def decide(principal: Any, check: Check, region: str) -> Any:
    """The emulator's EvalResult for a check of a principal other than the root user."""
    from ministack.core import iam_evaluator

    service = check.action.partition(":")[0]
    context = {key.lower(): value for key, value in check.context.items()}
    context.setdefault("aws:tagkeys", None)  # absent from a request without tags
    layers = (principal.policies, *principal.limits)
    if any(iam_evaluator._names_condition_key(each, "aws:resourcetag/") for each in layers):
        from ministack.services.tagging import resource_tags

        for name, value in (resource_tags(str(check.resource)) or {}).items():
            context.setdefault(f"aws:resourcetag/{name}".lower(), value)
    asked = iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=check.action,
        resource_arn=str(check.resource),
        region=region,
        service_context=context,
        principal_keys=principal.keys,
    )
    result = iam_evaluator.evaluate(asked, principal.policies, *principal.limits)
    found = iam_evaluator._resource_policy(service, check.resource)
    if found is None:
        return result
    required = service in iam_evaluator._POLICY_REQUIRED
    return iam_evaluator.combine_resource_policy(
        result, asked, *found, required=required, limits=principal.limits
    )


def service_may(service: str, action: str, resource: str, source: str, policy: Any) -> bool:
    """Whether a resource's policy lets an AWS service act on it for `source`, an ARN.

    `service` is its principal, such as `events.amazonaws.com`.
    """
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region

    asked = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource,
        region=get_region(),
        service_context={"aws:sourcearn": source, "aws:sourceaccount": get_account_id()},
    )
    result = iam_evaluator.evaluate_resource_policy(policy, asked, service)
    return bool(result.decision == "Allow")


def assumable(role: str, service: str) -> bool:
    """Whether the role exists and its trust policy allows the AWS service to assume it."""
    from ministack.services import iam

    if not re.fullmatch(r"arn:[\w-]+:iam::\d{12}:role/.+", role):
        return False
    found = iam._roles.get(role.rpartition("/")[2])
    if found is None or found["Arn"] != role:
        return False
    trust = found["AssumeRolePolicyDocument"]
    return service_may(service, "sts:AssumeRole", role, role, trust)
