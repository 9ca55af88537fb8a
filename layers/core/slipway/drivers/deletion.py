"""Deletes an environment's stack, in whatever state it is.

| the stack is                          | what is done                                             |
| ------------------------------------- | -------------------------------------------------------- |
| missing                               | delete its role; done                                    |
| at rest, or CREATE_, ROLLBACK_IN_PR…  | delete it: CloudFormation then stops making it           |
| UPDATE_IN_PROGRESS                    | cancel the update; then wait                             |
| …_IN_PROGRESS otherwise               | wait: CloudFormation refuses to delete it                |
| DELETE_FAILED by this attempt         | empty the buckets that kept it and delete it again; else |
|                                       | refused, with what remains and why                       |
| as before, in spite of this attempt   | refused: an export is in use                             |

Each deletion of an attempt has a request token, which begins with that of the attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from slipway.drivers import buckets, making_role, requests, stacks
from slipway.drivers.base import RETIRES_WITHIN, Operation, Progress
from slipway.drivers.stacks import Event, Stack
from slipway.errors import DriverRefused

# The buckets of a stack are emptied so often in one attempt: something may write into them.
_ROUNDS = 4
# What CloudFormation says of an export. The stack returns to its state, and no event is a failure.
_IN_USE = "as it is in use by"
# These are the operations in progress that a deletion ends.
_ENDS = ("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")


def retire(operation: Operation) -> Progress:
    """Delete the stack and its role. Raises DriverRefused with what remains; DriverFault."""
    stack = stacks.find(operation.environment_id)
    if stack is None:
        making_role.delete(operation.environment_id)
        return Progress(done=True)
    if stack["StackStatus"] == "UPDATE_IN_PROGRESS":
        # Refused if the update has just ended. The next call sees how.
        with suppress(DriverRefused):
            token = requests.token(operation, "cancel")
            requests.start("cancel_update_stack", operation, token)
        return _wait(operation, stack)
    if stacks.is_busy(stack) and stack["StackStatus"] not in _ENDS:
        return _wait(operation, stack)
    token = requests.token(operation, "retire")
    events = stacks.events(stack["StackId"], token, operation.started_at)
    told = [each for each in events if stacks.is_of_the_stack(each)]
    if not told:
        return _delete(operation, stack, token)
    if stack["StackStatus"] == "DELETE_FAILED" == told[-1]["ResourceStatus"]:
        return _after_failure(operation, stack, token, events)
    if not stacks.is_busy(stack) and not _is_late(stack, told[-1]):
        raise DriverRefused(_objection(stack, told[-1]))
    return _wait(operation, stack)


def _delete(operation: Operation, stack: Stack, token: str, note: str | None = None) -> Progress:
    retain = _retained(operation, stack)
    if seconds := making_role.ensure(operation.environment_id, operation.now):
        return Progress(done=False, wait_seconds=seconds, stack_id=stack["StackId"])
    role = making_role.arn(operation.environment_id)
    requests.start("delete_stack", operation, token, RoleARN=role, **retain)
    return requests.wait(operation, stack).model_copy(update={"note": note})


def _retained(operation: Operation, stack: Stack) -> dict[str, Any]:
    """The remaining resources to retain. CloudFormation allows that after a failed deletion."""
    if not operation.retain:
        return {}
    if stack["StackStatus"] != "DELETE_FAILED":
        raise DriverRefused(
            f"The stack is {stack['StackStatus']}, so the resources to retain would be deleted"
        )
    there = {each["LogicalResourceId"] for each in stacks.left(operation.environment_id)}
    named = sorted(there.intersection(operation.retain))
    return {"RetainResources": named} if named else {}


def _wait(operation: Operation, stack: Stack) -> Progress:
    """Look again later, unless it takes too long: then say what is still there."""
    if operation.now - operation.started_at > RETIRES_WITHIN:
        busy = [
            f"{stacks.named_in_full(each)}: {each['ResourceStatus']}"
            for each in stacks.left(operation.environment_id)
            if each["ResourceStatus"].endswith("_IN_PROGRESS")
        ]
        waits = f"; it waits for {busy[0]}" if busy else ""
        raise DriverRefused(
            f"The stack is still {stack['StackStatus']} after {RETIRES_WITHIN}{waits}", busy
        )
    return requests.wait(operation, stack)


def _is_late(stack: Stack, last: Event) -> bool:
    """Whether the stack's last events are still to come."""
    told = str(last["ResourceStatus"]).endswith("_IN_PROGRESS")
    return told and _IN_USE not in stack.get("StackStatusReason", "")


def _objection(stack: Stack, last: Event) -> str:
    why = stack.get("StackStatusReason") or last.get("ResourceStatusReason")
    return f"The stack is {stack['StackStatus']} again: {why or 'no reason was given'}"


# ── After a failure ──────────────────────────────────────────────────────────────────────


def _after_failure(operation: Operation, stack: Stack, token: str, events: list[Event]) -> Progress:
    """Empty the buckets that kept the stack, and delete it again; else say what remains."""
    deletions = {each["ClientRequestToken"] for each in events}
    left = list(stacks.left(operation.environment_id))
    found = {each["LogicalResourceId"]: each for each in _full_buckets(operation, left)}
    blocked: dict[str, str] = {}
    emptied = False
    for name, bucket in found.items():
        after = buckets.empty(bucket["StackName"], bucket)
        if not after.whole:
            note = f"{name} ({buckets.TYPE}): {after.deleted} object versions are deleted"
            if operation.now - operation.started_at > RETIRES_WITHIN:
                why = f"{note}, and more remain after {RETIRES_WITHIN}; the next attempt goes on"
                raise DriverRefused(why, [stacks.described(each) for each in left])
            return _soon(stack, note)
        if after.blocked:
            blocked[name] = after.blocked
        # A process may have died after it emptied the bucket.
        emptied |= not after.blocked and (after.deleted > 0 or len(deletions) == 1)
    if emptied and len(deletions) < _ROUNDS:
        note = "The buckets are empty; the stack is deleted again"
        return _delete(operation, stack, f"{token}-{len(deletions) + 1}", note)
    remains = [stacks.described(each, blocked.get(each["LogicalResourceId"])) for each in left]
    raise DriverRefused(_reason(operation, stack, events, blocked), remains)


def _reason(
    operation: Operation, stack: Stack, events: list[Event], blocked: Mapping[str, str]
) -> str:
    """Why the first resource was not deleted by the last deletion of the attempt."""
    last = [
        each for each in events if each["ClientRequestToken"] == events[-1]["ClientRequestToken"]
    ]
    for event in stacks.failures(last):
        name = event["LogicalResourceId"]
        why = blocked.get(name) or stacks.short(event.get("ResourceStatusReason", ""))
        return f"{name} ({event['ResourceType']}): {why}"
    return stacks.reason(stack, last, operation.started_at)


def _soon(stack: Stack, note: str) -> Progress:
    return Progress(done=False, wait_seconds=1, stack_id=stack["StackId"], note=note)


def _full_buckets(operation: Operation, left: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The buckets that could not be deleted, each with the name of its stack.

    Those of stacks within the stack have names of their own prefix, too.
    """
    environment = operation.environment_id
    name = stacks.stack_name(environment)
    found = [
        {**each, "StackName": name}
        for each in left
        if buckets.may_be_emptied(environment, each)
        and each["LogicalResourceId"] not in operation.retain
    ]
    for each in left:
        failed = each["ResourceStatus"] == "DELETE_FAILED"
        if failed and each["ResourceType"] == stacks.TYPE:
            found += [
                {**inner, "StackName": inner_name}
                for inner_name, inner in stacks.failed_within(each["PhysicalResourceId"])
                if buckets.may_be_emptied(environment, inner)
            ]
    return found
