"""Drift: whether an environment's stack differs from its template.

CloudFormation detects drift, which takes minutes, and keeps the result. Only the caller that starts
a detection receives its id, and only with this id does CloudFormation report that the detection is
in progress or has failed. If the process dies before it records the id, the detection continues, no
other one can start meanwhile, and its result is shown as that of any other detection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway import aws
from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.aws import secret_inputs
from slipway.domain import timestamps
from slipway.domain.drift import StackDrift
from slipway.domain.environment import MASK
from slipway.domain.ids import EnvironmentId
from slipway.drivers import stacks
from slipway.errors import DriverRefused, NoStack, StackNotReady
from slipway.store import drift_records, table

if TYPE_CHECKING:
    from slipway.domain.records import EnvironmentRecord

_STATUS = {
    "NOT_CHECKED": "not_checked",
    "IN_SYNC": "in_sync",
    "DRIFTED": "drifted",
    "UNKNOWN": "failed",
}


def detect(environment: EnvironmentId, principal: Principal) -> StackDrift:
    """Start drift detection, unless one is in progress.

    Raises NotFound, NoStack, StackNotReady, DriverFault. Two round trips to the table, one to
    CloudFormation.
    """
    item, _ = _read(environment, principal)
    _require_stack(item)
    at = timestamps.now()
    with stacks.looking(), secret_inputs.hidden(item, also=True):
        detection = _start(item["id"])
    if detection:
        drift_records.record_start(environment, detection, at)
    return StackDrift(status="checking", resources=[])


def get(environment: EnvironmentId, principal: Principal) -> StackDrift:
    """The progress or the result of the last drift detection.

    Raises NotFound, NoStack, DriverFault. One round trip to the table; to CloudFormation up to
    two, and its pages of drifted resources.
    """
    item, detection = _read(environment, principal)
    _require_stack(item)
    with stacks.looking(), secret_inputs.hidden(item, also=True):
        stack = stacks.find(item["id"])
        if stack is None:
            raise NoStack()
        summary = _summary(stack, _detection(detection) if detection else None)
        found = stacks.drifts(item["id"])
    hidden = bool(item.get("secret_inputs"))
    return StackDrift.model_validate(
        {**summary, "resources": [_resource(each, hidden) for each in found]}
    )


def _read(environment: EnvironmentId, principal: Principal) -> tuple[EnvironmentRecord, str | None]:
    """The environment's record, and the id of the last recorded detection. Raises NotFound."""
    keys = authorization.keys(environment, principal)
    *found, last = table.get(*keys, drift_records.key(environment))
    record = authorization.authorized(environment, principal, found)
    return record, str(last["detection"]) if last else None


def _require_stack(item: EnvironmentRecord) -> None:
    """Raises NoStack."""
    if item["driver"] != "cloudformation":
        raise NoStack(
            f"The environment is {item['driver']}, so it has no stack to inspect. Only environments"
            " with a template have one."
        )


def _start(environment_id: str) -> str | None:
    """The detection's id, None if another one is in progress. Raises NoStack, StackNotReady."""
    name = stacks.stack_name(environment_id)
    try:
        answer = aws.call("cloudformation", "detect_stack_drift", StackName=name)
    except DriverRefused as error:
        if error.says("already in progress"):
            return None
        stack = stacks.find(environment_id)
        if stack is None:
            raise NoStack() from None
        if stack["StackStatus"] in stacks.SETTLED:
            raise
        raise StackNotReady(stack["StackStatus"]) from None
    return str(answer["StackDriftDetectionId"])


def _detection(identity: str) -> dict[str, Any] | None:
    """The state of a detection, None if CloudFormation no longer knows it."""
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


def _summary(stack: stacks.Stack, detection: dict[str, Any] | None) -> dict[str, Any]:
    """`{status, checked_at, reason}` of the recorded detection, or of a later one."""
    if detection and detection["DetectionStatus"] == "DETECTION_IN_PROGRESS":
        return {"status": "checking"}
    last = stack.get("DriftInformation", {"StackDriftStatus": "NOT_CHECKED"})
    later = [
        each for each in (last.get("LastCheckTimestamp"), stack.get("LastUpdatedTime")) if each
    ]
    if detection is None or any(each > detection["Timestamp"] for each in later):
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
    """The drift of one resource.

    CloudFormation does not report which values come from a parameter. So if the environment has a
    secret input, all values are masked.
    """
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
