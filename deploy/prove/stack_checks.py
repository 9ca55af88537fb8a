"""Checks of CloudFormation: creation, update, cancellation, drift and deletion of stacks."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from deploy.prove.check import Check, Deployed, Seen
from deploy.prove.sandbox import Sandbox

HANDLE = {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
SAM = "AWS::Serverless-2016-10-31"
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


def _body(resources: dict[str, Any], **more: Any) -> str:
    return json.dumps({"Resources": resources, **more})


def _topic(name: str) -> dict[str, Any]:
    return {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": name}}}


def _waiting(deployed: Deployed) -> dict[str, Any]:
    """A resource that never completes. On AWS it waits longer than the check takes."""
    properties = {"Handle": {"Ref": "Handle"}, "Timeout": "180" if deployed.is_aws else "3"}
    return {"Wait": {"Type": "AWS::CloudFormation::WaitCondition", "Properties": properties}}


def _stack(sandbox: Sandbox, body: str, **more: Any) -> str:
    """Create a stack and return its name."""
    name = sandbox.next_name()
    sandbox.client("cloudformation").create_stack(StackName=name, TemplateBody=body, **more)
    sandbox.delete_stack_later(name)
    return name


def _refused(call: Any, **request: Any) -> str | None:
    """The error's code and message; None if the call succeeds."""
    try:
        call(**request)
    except ClientError as error:
        refusal = error.response["Error"]
        return f"{refusal['Code']}: {refusal.get('Message', '')}"
    return None


def _events(sandbox: Sandbox, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.client("cloudformation").describe_stack_events(
        StackName=name
    )["StackEvents"]
    return found


def first_failure(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """Only the first resource that fails has a reason of its own; the others' say "cancelled"."""
    broken = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "no name / for a topic"}}
    name = _stack(sandbox, _body({**HANDLE, **_waiting(deployed), "Broken": broken}))
    status = sandbox.settled(name)
    failed = {
        each["LogicalResourceId"]: each.get("ResourceStatusReason", "")
        for each in _events(sandbox, name)
        if each["ResourceStatus"] == "CREATE_FAILED"
    }
    told = f"{status}; {failed}"[:300]
    if set(failed) != {"Broken", "Wait"}:
        return Seen(None, f"one resource ended before the other: {told}")
    return Seen("cancelled" in failed["Wait"] and "cancelled" not in failed["Broken"], told)


def canceled_update(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """The events of a canceled update have the token of the update or of the cancellation."""
    cloud = sandbox.client("cloudformation")
    name = _stack(sandbox, _body(HANDLE), ClientRequestToken="prove-create-1")
    sandbox.settled(name)
    body = _body({**HANDLE, **_waiting(deployed)})
    cloud.update_stack(StackName=name, TemplateBody=body, ClientRequestToken="prove-update-1")
    cloud.cancel_update_stack(StackName=name, ClientRequestToken="prove-cancel-1")
    status = sandbox.settled(name)
    tokens = [
        (each["ResourceStatus"], each.get("ClientRequestToken"))
        for each in _events(sandbox, name)
        if each["PhysicalResourceId"] == each["StackId"]
    ]
    ends = {token for state, token in tokens if state == "UPDATE_ROLLBACK_COMPLETE"}
    is_so = status == "UPDATE_ROLLBACK_COMPLETE" and ends <= {"prove-update-1", "prove-cancel-1"}
    return Seen(is_so and bool(ends), f"{status}; {tokens}"[:400])


def nothing_to_change(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """A change set without changes, of a template with a Transform."""
    cloud, body = sandbox.client("cloudformation"), _body(HANDLE, Transform=SAM)
    name = _stack(sandbox, body, Capabilities=["CAPABILITY_AUTO_EXPAND"])
    sandbox.settled(name)
    where = {"StackName": name, "ChangeSetName": "nothing"}
    cloud.create_change_set(
        **where, TemplateBody=body, ChangeSetType="UPDATE", Capabilities=["CAPABILITY_AUTO_EXPAND"]
    )

    def ask() -> Any:
        found = cloud.describe_change_set(**where)
        return found["Status"] in ("CREATE_COMPLETE", "FAILED") and found

    found = sandbox.until("the change set", ask)
    why = found.get("StatusReason", "")
    is_so = found["Status"] == "FAILED" and any(words in why for words in NO_CHANGES)
    return Seen(is_so, f"{found['Status']}: {why}")


def twice_drift(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """A second drift detection while the first is in progress."""
    cloud = sandbox.client("cloudformation")
    name = _stack(sandbox, _body(_topic("one")))
    sandbox.settled(name)
    first = cloud.detect_stack_drift(StackName=name)["StackDriftDetectionId"]
    told = _refused(cloud.detect_stack_drift, StackName=name)

    def ended() -> bool:
        look = cloud.describe_stack_drift_detection_status(StackDriftDetectionId=first)
        return bool(look["DetectionStatus"] != "DETECTION_IN_PROGRESS")

    sandbox.until("the drift detection", ended)
    if told is None:
        return Seen(None, "the first detection had ended already")
    return Seen("already in progress" in told, told)


def forgotten_drift(sandbox: Sandbox, deployed: Deployed) -> Seen:
    call = sandbox.client("cloudformation").describe_stack_drift_detection_status
    told = _refused(call, StackDriftDetectionId="00000000-0000-0000-0000-000000000000")
    return Seen((told or "").startswith("ValidationError"), told or "it was accepted")


def retained_too_early(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """RetainResources of a stack whose deletion did not fail."""
    name = _stack(sandbox, _body(HANDLE))
    sandbox.settled(name)
    told = _refused(
        sandbox.client("cloudformation").delete_stack, StackName=name, RetainResources=["Handle"]
    )
    return Seen(told is not None, told or "it was accepted")


def deleted_early(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """A stack that is deleted while it is being created."""
    cloud = sandbox.client("cloudformation")
    name = _stack(sandbox, _body({**HANDLE, **_waiting(deployed)}))
    stack = cloud.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    told = _refused(cloud.delete_stack, StackName=name)
    status = sandbox.settled(name)
    states = {each["ResourceStatus"] for each in _events(sandbox, stack)}
    is_so = told is None and status == "DELETE_COMPLETE" and "ROLLBACK_IN_PROGRESS" not in states
    return Seen(is_so, f"{told or 'accepted'}; {status}; {sorted(states)}")


def deleted_while_updated(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """A stack that is deleted while it is being updated."""
    cloud = sandbox.client("cloudformation")
    name = _stack(sandbox, _body(HANDLE))
    sandbox.settled(name)
    cloud.update_stack(StackName=name, TemplateBody=_body({**HANDLE, **_waiting(deployed)}))
    told = _refused(cloud.delete_stack, StackName=name) or "it was accepted"
    cloud.cancel_update_stack(StackName=name)
    status = sandbox.settled(name)
    return Seen("cannot be deleted while in status UPDATE_IN_PROGRESS" in told, f"{told}; {status}")


def exported_and_deleted(sandbox: Sandbox, deployed: Deployed) -> Seen:
    """A stack that is deleted while another one imports its export."""
    cloud, export = sandbox.client("cloudformation"), sandbox.next_name()
    outputs = {"Name": {"Value": "imported", "Export": {"Name": export}}}
    first = _stack(sandbox, _body(HANDLE, Outputs=outputs))
    sandbox.settled(first)
    second = _stack(sandbox, _body(_topic("")))
    sandbox.settled(second)
    imports = _topic("")
    imports["Topic"]["Properties"] = {"DisplayName": {"Fn::ImportValue": export}}
    cloud.update_stack(StackName=second, TemplateBody=_body(imports))
    sandbox.settled(second)
    told = _refused(cloud.delete_stack, StackName=first)
    status = sandbox.settled(first)
    last = _events(sandbox, first)[0]
    seen = f"{told or 'accepted'}; {status}; {last.get('ResourceStatusReason')}"
    is_so = told is None and last["ResourceStatus"] == status == "CREATE_COMPLETE"
    cloud.delete_stack(StackName=second)
    sandbox.settled(second)
    return Seen(is_so and "as it is in use by" in seen, seen)


CHECKS = (
    Check("cfn-first-failure", "the others' reason contains the word cancelled", first_failure),
    Check("cfn-cancel", "UPDATE_ROLLBACK_COMPLETE, with one of our tokens", canceled_update),
    Check("cfn-no-changes-sam", "FAILED, with a reason that Slipway recognizes", nothing_to_change),
    Check("cfn-drift-twice", "refused with: already in progress", twice_drift),
    Check("cfn-drift-forgotten", "ValidationError", forgotten_drift),
    Check("cfn-retain-early", "refused", retained_too_early),
    Check("cfn-delete-early", "accepted; DELETE_COMPLETE without a rollback", deleted_early),
    Check("cfn-delete-updating", "refused with: cannot be deleted", deleted_while_updated),
    Check("cfn-export-in-use", "accepted; CREATE_COMPLETE with a reason", exported_and_deleted),
)
