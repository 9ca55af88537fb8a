"""Drift: whether an environment's stack is still as its template says.

CloudFormation looks, which takes minutes, and keeps what it finds. What only its starter is told
is the look's id, and only by that CloudFormation says that it is under way, or that it failed. If
we die before the id is written, the look goes on, nobody else can begin one meanwhile, and what it
finds is shown all the same.
"""

from __future__ import annotations

from typing import Any

from slipway import aws
from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import timestamps
from slipway.domain.drift import Drift
from slipway.domain.environment import MASK
from slipway.domain.ids import EnvironmentId
from slipway.domain.records import EnvironmentRecord
from slipway.drivers import stacks
from slipway.errors import DriverRefused, NoStack, StackNotReady
from slipway.store import drift_records, table

_STATUS = {
    "NOT_CHECKED": "not_checked",
    "IN_SYNC": "in_sync",
    "DRIFTED": "drifted",
    "UNKNOWN": "failed",
}


def detect(environment: EnvironmentId, principal: Principal) -> Drift:
    """Begin to look, unless somebody does already.

    Raises NotFound, NoStack, StackNotReady, DriverFault. Two round trips.
    """
    item, _ = _read(environment, principal)
    _needs_a_stack(item)
    at = timestamps.now()
    with stacks.looking():
        detection = _begin(item["id"])
    if detection:
        drift_records.began(environment, detection, at)
    return Drift(status="checking", resources=[])


def see(environment: EnvironmentId, principal: Principal) -> Drift:
    """What is known by now. Raises NotFound, NoStack, DriverFault. One round trip."""
    item, detection = _read(environment, principal)
    _needs_a_stack(item)
    with stacks.looking():
        stack = stacks.find(item["id"])
        if stack is None:
            raise NoStack()
        told = _told(stack, _detection(detection) if detection else None)
        found = stacks.drifts(item["id"])
    hidden = bool(item.get("secret_inputs"))
    return Drift.model_validate({**told, "resources": [_resource(each, hidden) for each in found]})


def _read(environment: EnvironmentId, principal: Principal) -> tuple[EnvironmentRecord, str | None]:
    """The environment's record, and the id of the last look. Raises NotFound."""
    keys = authorization.keys(environment, principal)
    *found, last = table.get(*keys, drift_records.key(environment))
    record = authorization.authorized(environment, *found)
    return record, str(last["detection"]) if last else None


def _needs_a_stack(item: EnvironmentRecord) -> None:
    if item["driver"] != "cloudformation":
        raise NoStack(
            f"The environment is {item['driver']}, so it has no stack to inspect. Only environments"
            " with a template have one."
        )


def _begin(environment_id: str) -> str | None:
    """The look's id; None if one was under way. Raises NoStack, StackNotReady."""
    name = stacks.stack_name(environment_id)
    try:
        answer = aws.call("cloudformation", "detect_stack_drift", StackName=name)
    except DriverRefused as error:
        if "already in progress" in str(error):
            return None
        stack = stacks.find(environment_id)
        if stack is None:
            raise NoStack() from None
        if stack["StackStatus"] in stacks.SETTLED:
            raise
        raise StackNotReady(stack["StackStatus"]) from None
    return str(answer["StackDriftDetectionId"])


def _detection(identity: str) -> dict[str, Any] | None:
    """What has become of a look; None if CloudFormation has forgotten it."""
    try:
        return dict(
            aws.call(
                "cloudformation",
                "describe_stack_drift_detection_status",
                StackDriftDetectionId=identity,
            )
        )
    except DriverRefused as error:
        if str(error).startswith("ValidationError"):
            return None
        raise


def _told(stack: stacks.Stack, detection: dict[str, Any] | None) -> dict[str, Any]:
    """`{status, checked_at, reason}`: of our look, or of a later one of somebody else's."""
    if detection and detection["DetectionStatus"] == "DETECTION_IN_PROGRESS":
        return {"status": "checking"}
    last = stack.get("DriftInformation", {"StackDriftStatus": "NOT_CHECKED"})
    since = [
        each for each in (last.get("LastCheckTimestamp"), stack.get("LastUpdatedTime")) if each
    ]
    if detection is None or any(each > detection["Timestamp"] for each in since):
        status, reason = last["StackDriftStatus"], None
        checked_at = last.get("LastCheckTimestamp")
    else:
        failed = detection["DetectionStatus"] == "DETECTION_FAILED"
        status, checked_at = detection["StackDriftStatus"], detection["Timestamp"]
        reason = detection.get("DetectionStatusReason") if failed else None
        if failed and status != "DRIFTED":
            status = "UNKNOWN"
    return {"status": _STATUS[status], "checked_at": checked_at, "reason": reason}


def _resource(found: dict[str, Any], hidden: bool) -> dict[str, Any]:
    """Where a value comes from is not told, so if any input is a secret none is shown."""
    return {
        "logical_id": found["LogicalResourceId"],
        "type": found["ResourceType"],
        "status": found["StackResourceDriftStatus"],
        "reason": found.get("DriftStatusReason"),
        "differences": [
            {
                "path": each["PropertyPath"],
                "expected": MASK if hidden else each["ExpectedValue"],
                "actual": MASK if hidden else each["ActualValue"],
                "type": each["DifferenceType"],
            }
            for each in found.get("PropertyDifferences", [])
        ],
    }
