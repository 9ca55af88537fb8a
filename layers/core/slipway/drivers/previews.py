"""Change sets: what CloudFormation would do to a stack. They are read and never executed.

A change set is named after the request, so that a repeated request finds it. An environment's
change sets that are older than a few minutes are deleted when another is created, and all are
deleted with its stack.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal

from slipway import aws
from slipway.aws import template_bodies
from slipway.drivers import cloudformation, stacks
from slipway.drivers.base import Operation
from slipway.errors import DriverFault, DriverRefused

_PREFIX = "slipway-preview-"
_STAYS = timedelta(minutes=10)
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
_REPLACED = {"True": "always", "False": "never", "Conditional": "conditional"}
_ACTIONS = {"Add", "Modify", "Remove", "Import"}


def look(operation: Operation, secrets: Mapping[str, str]) -> dict[str, Any]:
    """The status and contents of the change set for this operation; the first call creates it.

    Raises DriverFault.
    """
    try:
        return _look(operation, secrets)
    except DriverRefused as error:
        return failed(str(error))


def _look(operation: Operation, secrets: Mapping[str, str]) -> dict[str, Any]:
    stack = stacks.find(operation.environment_id)
    if stack is None:
        return failed("There is no stack to change")
    if stacks.is_busy(stack):
        return pending(f"The stack is {stack['StackStatus']}")
    where = {"StackName": stacks.stack_name(operation.environment_id)}
    where["ChangeSetName"] = _PREFIX + _digest(operation, secrets, stack)
    found = find(where)
    if found is None:
        _delete_old(where, operation.now)
        about = "A preview of an update; not to be executed"
        make(where, operation, secrets, "UPDATE", about, Tags=cloudformation.tags(operation))
        found = find(where)
    told = shown(found)
    if told["status"] == "failed":
        # The cause may have been removed by the time of the next request.
        aws.call("cloudformation", "delete_change_set", **where)
    return told


def _digest(operation: Operation, secrets: Mapping[str, str], stack: stacks.Stack) -> str:
    """A digest of the request, without its secret values, and of the stack's last change."""
    about = [
        operation.template_key,
        operation.inputs,
        sorted(operation.secrets.items()),
        sorted(secrets),
        operation.version,
        operation.artifact,
        cloudformation.tags(operation),
        str(stack.get("LastUpdatedTime")),
    ]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:40]


def make(
    where: Mapping[str, str],
    operation: Operation,
    secrets: Mapping[str, str],
    kind: Literal["CREATE", "UPDATE"],
    about: str,
    **more: Any,
) -> None:
    """Create the change set. Idempotent. Raises DriverRefused, DriverFault."""
    try:
        # Without a role: an environment's stack has one, a plan's needs none, and this
        # function may not pass one.
        aws.call(
            "cloudformation",
            "create_change_set",
            **where,
            ChangeSetType=kind,
            Description=about,
            TemplateURL=template_bodies.url(operation.template_key),
            Parameters=cloudformation.parameters(operation, secrets),
            Capabilities=cloudformation.CAPABILITIES,
            **more,
        )
    except DriverRefused as error:
        # A concurrent request has created it.
        if not error.says("AlreadyExistsException"):
            raise


def find(where: Mapping[str, str]) -> dict[str, Any] | None:
    """The change set with all changes; None if it does not exist. Raises DriverFault."""
    found: dict[str, Any] = {}
    try:
        for page in aws.pages("cloudformation", "describe_change_set", **where):
            found = {**page, "Changes": found.get("Changes", []) + page.get("Changes", [])}
    except DriverRefused as error:
        if error.says("ChangeSetNotFound") or stacks.is_missing(error):
            return None
        raise DriverFault(f"CloudFormation did not answer: {error}") from error
    return found


def _delete_old(where: Mapping[str, str], now: datetime) -> None:
    """Delete old change sets, but none that another caller may be about to read."""
    name = {"StackName": where["StackName"]}
    for page in aws.pages("cloudformation", "list_change_sets", **name):
        for each in page["Summaries"]:
            is_old = each["CreationTime"] < now - _STAYS
            if each["ChangeSetName"].startswith(_PREFIX) and is_old:
                other = {**name, "ChangeSetName": each["ChangeSetName"]}
                # It cannot be deleted while it is being created or deleted. A later call does.
                with suppress(DriverRefused):
                    aws.call("cloudformation", "delete_change_set", **other)


def shown(found: dict[str, Any] | None) -> dict[str, Any]:
    """The fields of domain.update.ChangeSet."""
    status, why = (found or {}).get("Status"), (found or {}).get("StatusReason", "")
    if found and status == "CREATE_COMPLETE":
        changes = [each["ResourceChange"] for each in found["Changes"] if "ResourceChange" in each]
        return {"status": "ready", "changes": [_change(each) for each in changes]}
    if status != "FAILED":
        return pending(None)
    if any(words in why for words in _NO_CHANGES):
        return {"status": "ready", "changes": []}
    return failed(why)


def pending(reason: str | None) -> dict[str, Any]:
    return {"status": "pending", "reason": reason}


def failed(reason: str) -> dict[str, Any]:
    return {"status": "failed", "reason": reason}


def _change(change: dict[str, Any]) -> dict[str, Any]:
    targets = [each.get("Target", {}) for each in change.get("Details", [])]
    action = change["Action"]
    return {
        "action": action.lower() if action in _ACTIONS else "dynamic",
        "logical_id": change["LogicalResourceId"],
        "type": change["ResourceType"],
        "physical_id": change.get("PhysicalResourceId") or None,
        "replacement": _REPLACED.get(change.get("Replacement", "")),
        "scope": change.get("Scope", []),
        "properties": sorted({each["Name"] for each in targets if each.get("Name")}),
    }
