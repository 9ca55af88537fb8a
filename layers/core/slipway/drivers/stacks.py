"""Reads environments' stacks from CloudFormation. The driver changes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from slipway import aws
from slipway.domain import scope
from slipway.errors import DriverFault, DriverRefused
from slipway.settings import settings

Stack = dict[str, Any]
Event = dict[str, Any]

TYPE = "AWS::CloudFormation::Stack"
FUNCTION = "AWS::Lambda::Function"
# A record has the reasons of up to 500 resources.
_LONGEST_REASON = 300
_OF_A_HANDLER = r'handler returned message: "(.*?)(?: \(Service: .*)?" \('

# The states in which CloudFormation detects drift.
SETTLED = {
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "UPDATE_ROLLBACK_FAILED",
}
# The maximum difference between CloudFormation's and Step Functions' clocks.
_SKEW = timedelta(minutes=1)


def stack_name(environment_id: str) -> str:
    return f"{settings().stack}-env-{scope.stack_suffix(environment_id)}"


def plan_name(digest: str) -> str:
    """The name of a plan's stack. No environment's stack has such a name."""
    return f"{settings().stack}-plan-{digest}"


def find(environment_id: str) -> Stack | None:
    """The environment's stack; None if there is none or it was deleted."""
    return named(stack_name(environment_id))


def named(name: str) -> Stack | None:
    """The stack with this name; None if there is none or it was deleted."""
    try:
        answer = aws.call("cloudformation", "describe_stacks", StackName=name)
    except DriverRefused as error:
        if is_missing(error):
            return None
        raise
    [stack] = answer["Stacks"]
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else dict(stack)


def is_missing(error: DriverRefused) -> bool:
    """Whether the error is CloudFormation's for a stack that does not exist."""
    return error.says("does not exist")


def is_busy(stack: Stack) -> bool:
    """Whether an operation is in progress. A stack under review counts as idle."""
    status = str(stack["StackStatus"])
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def delete_plan(stack: str) -> None:
    """Delete a plan's stack by name or id. Idempotent. Raises DriverFault, DriverRefused."""
    aws.call("cloudformation", "delete_stack", StackName=stack)


@contextmanager
def looking() -> Iterator[None]:
    """For reads, turns a refusal into a fault, because only missing permissions cause one."""
    try:
        yield
    except DriverRefused as error:
        raise DriverFault(f"CloudFormation did not answer: {error}") from error


def resources(environment_id: str) -> list[dict[str, Any]]:
    """Every resource of the environment's stack; empty if there is no stack.

    Raises DriverFault, DriverRefused.
    """
    try:
        return [
            {
                "logical_id": each["LogicalResourceId"],
                "type": each["ResourceType"],
                "physical_id": each.get("PhysicalResourceId"),
                "status": each["ResourceStatus"],
                "reason": each.get("ResourceStatusReason"),
                "updated_at": each["LastUpdatedTimestamp"],
            }
            for each in _resources(stack_name(environment_id))
        ]
    except DriverRefused as error:
        if is_missing(error):
            return []
        raise


def functions(stack: str) -> list[tuple[str, str]]:
    """The logical id and the name of each function of the stack, by its name or id; empty if there
    is no such stack. By its id, CloudFormation knows them for 90 days after its deletion.

    Raises DriverFault, DriverRefused.
    """
    try:
        return [
            (each["LogicalResourceId"], each["PhysicalResourceId"])
            for each in _resources(stack)
            if each["ResourceType"] == FUNCTION and each.get("PhysicalResourceId")
        ]
    except DriverRefused as error:
        if is_missing(error):
            return []
        raise


def drifts(environment_id: str) -> list[dict[str, Any]]:
    """CloudFormation's drift result for each checked resource."""
    name = stack_name(environment_id)
    pages = aws.pages("cloudformation", "describe_stack_resource_drifts", StackName=name)
    return [each for page in pages for each in page["StackResourceDrifts"]]


def named_in_full(resource: dict[str, Any]) -> str:
    """A resource that remains, as text. slipway.domain.blockers reads it."""
    kind, name = resource["ResourceType"], resource["PhysicalResourceId"]
    return f"{resource['LogicalResourceId']} ({kind}, {name})"


def described(resource: dict[str, Any], blocked: str | None = None) -> str:
    """The same with the reason for which it was not deleted: `blocked`, or else AWS's."""
    why = blocked or short(resource.get("ResourceStatusReason", ""))
    return f"{named_in_full(resource)}: {why[:_LONGEST_REASON]}" if why else named_in_full(resource)


def short(reason: str) -> str:
    """What a resource's handler says, without the ids of its requests."""
    # Compiled here, because only a failed deletion needs it.
    said = re.search(_OF_A_HANDLER, reason, re.DOTALL)
    return said[1].strip() if said else reason


def left(environment_id: str) -> list[dict[str, Any]]:
    """The remaining resources, as CloudFormation reports them."""
    return [
        each
        for each in _resources(stack_name(environment_id))
        if each["ResourceStatus"] != "DELETE_COMPLETE" and each.get("PhysicalResourceId")
    ]


def failed_within(stack: str, depth: int = 5) -> Iterator[tuple[str, dict[str, Any]]]:
    """The resources that could not be deleted of a stack within a stack, and those of its own
    stacks, each with the id of its stack."""
    for each in _resources(stack):
        if each["ResourceStatus"] != "DELETE_FAILED" or not each.get("PhysicalResourceId"):
            continue
        yield stack, each
        if each["ResourceType"] == TYPE and depth:
            yield from failed_within(each["PhysicalResourceId"], depth - 1)


def _resources(stack: str) -> Iterator[dict[str, Any]]:
    for page in aws.pages("cloudformation", "list_stack_resources", StackName=stack):
        yield from page["StackResourceSummaries"]


def all_events(stack_id: str) -> Iterator[Event]:
    """All events of the stack, newest first, read only as far as they are consumed.

    By the stack's id they exist for 90 days after its deletion; by its name they do not.
    """
    for page in aws.pages("cloudformation", "describe_stack_events", StackName=stack_id):
        yield from page["StackEvents"]


def events(stack_id: str, token: str, since: datetime) -> list[Event]:
    """The events of one operation, by its start and the prefix of its token; oldest first."""
    found: list[Event] = []
    for event in all_events(stack_id):
        if event["Timestamp"] < since - _SKEW:
            break
        if str(event.get("ClientRequestToken", "")).startswith(token):
            found.append(event)
    return found[::-1]


def is_of_the_stack(event: Event) -> bool:
    return bool(event["PhysicalResourceId"] == event["StackId"])


def failures(events: list[Event]) -> Iterator[Event]:
    """Those of resources, without those that only follow from another one."""
    for event in events:
        failed = str(event["ResourceStatus"]).endswith("_FAILED")
        follows = "cancelled" in event.get("ResourceStatusReason", "")
        if failed and not is_of_the_stack(event) and not follows:
            yield event


def reason(stack: Stack, events: list[Event], since: datetime) -> str:
    """CloudFormation's reason for the first failed resource. Later failures follow from it."""
    for event in failures(events):
        why = event.get("ResourceStatusReason", "")
        return f"{event['LogicalResourceId']} ({event['ResourceType']}): {why}"
    for event in invalid(stack["StackId"], events, since):
        return objection(event)
    whys = [event.get("ResourceStatusReason") for event in events if _has_gone_wrong(event)]
    why = next(filter(None, [*whys, stack.get("StackStatusReason")]), "no reason was given")
    return f"The stack is {stack['StackStatus']}: {why}"


def _has_gone_wrong(event: Event) -> bool:
    status = str(event["ResourceStatus"])
    return status.endswith("_FAILED") or "ROLLBACK_IN_PROGRESS" in status


def objection(event: Event) -> str:
    why = event.get("ValidationStatusReason", "it is not valid")
    return f"{event['LogicalResourceId']} ({event['ResourceType']}): {why}"


def invalid(stack_id: str, events: list[Event], since: datetime) -> Iterator[Event]:
    """The faults that CloudFormation found before it began, which it reports separately.

    Empty if the runtime's client library is too old for the operation. Then only the stack's own
    event says that the validation failed.
    """
    if not any(event.get("DetailedStatus") == "VALIDATION_FAILED" for event in events):
        return
    if not aws.knows("cloudformation", "describe_events"):
        return
    pages = aws.pages(
        "cloudformation", "describe_events", StackName=stack_id, Filters={"FailedEvents": True}
    )
    for page in pages:
        for event in page["OperationEvents"]:
            recent = event["Timestamp"] >= since - _SKEW
            if recent and event.get("ValidationStatus") == "FAILED":
                yield event
