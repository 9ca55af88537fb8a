"""An environment that is a CloudFormation stack, made from a published template.

Each call looks at the stack and starts what is to be done if it was not started. What the stack's
state means:

| the stack is                  | provision | ship, restore              | retire                  |
| ----------------------------- | --------- | -------------------------- | ----------------------- |
| not there, or deleted by hand | create it | refused                    | done                    |
| …_IN_PROGRESS, by whomever    | wait      | wait                       | wait                    |
| CREATE_ or UPDATE_COMPLETE    | done      | update it; then done       | delete it               |
| UPDATE_ROLLBACK_COMPLETE      | done      | update it; then RolledBack | delete it               |
| …_FAILED, ROLLBACK_COMPLETE   | refused   | refused                    | delete it               |
| DELETE_FAILED                 | refused   | refused                    | delete it; then refused |

A restore cancels the rollout's own update first. Every operation has a request token, which all
of its events bear: they tell whether it was started, how it ended, and why.

The stack is made with a role of its own, so that what a template may make does not depend on what
Slipway's functions may do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from slipway.drivers.base import Operation, Progress
from slipway.errors import DriverFault, DriverRefused, RolledBack
from slipway.ids import parse_environment
from slipway.model import moments
from slipway.model.deployment import LogLine
from slipway.settings import settings

Stack = dict[str, Any]
Event = dict[str, Any]

NOTHING_LIVE = "none"

_RUNS = {
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
}
_LONGEST_WAIT_SECONDS = 30
# CloudFormation gives up before the workflow does, and rolls back.
_CREATE_MINUTES = 55
# Its clock and that of Step Functions may differ so much.
_SKEW = timedelta(minutes=1)
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
_SSM_AT_ONCE = 10


class CloudFormation:
    resources: tuple[str, ...] = ("stack",)

    def provision(self, operation: Operation) -> Progress:
        stack = _describe(operation)
        if stack is None:
            _start("create_stack", operation, _token(operation, "provision"), **_created(operation))
            return _wait(operation)
        if _is_busy(stack):
            return _wait(operation)
        if stack["StackStatus"] in _RUNS:
            return _done(stack)
        events = _events(operation, _token(operation, "provision"))
        raise DriverRefused(_reason(operation, stack, events))

    def ship(self, operation: Operation) -> Progress:
        return _updated_to(operation, "ship", _describe(operation))

    def restore(self, operation: Operation) -> Progress:
        stack = _describe(operation)
        if stack and stack["StackStatus"] == "UPDATE_IN_PROGRESS" and _is_ours(operation):
            # Refused if it ends in this moment: the next look sees how.
            with suppress(DriverRefused):
                _start("cancel_update_stack", operation, _token(operation, "cancel"))
            return _wait(operation)
        return _updated_to(operation, "restore", stack)

    def retire(self, operation: Operation) -> Progress:
        stack = _describe(operation)
        if stack is None:
            _forget_secrets(operation)
            return Progress(done=True)
        if _is_busy(stack):
            return _wait(operation)
        token = _token(operation, "retire")
        events = _events(operation, token) if stack["StackStatus"] == "DELETE_FAILED" else []
        if events and events[-1]["ResourceStatus"] == "DELETE_FAILED":
            raise DriverRefused(_reason(operation, stack, events), _remains(operation))
        _start("delete_stack", operation, token, RoleARN=settings().environment_role)
        return _wait(operation)

    def lines(self, operation: Operation) -> list[LogLine]:
        if _describe(operation) is None:
            return []
        events = _events(operation, _token_of(operation.execution))
        told = [_line(event) for event in events]
        if _is_invalid(events):
            told += map(_objection, _invalid(operation))
        return sorted(told, key=lambda line: line.ts)


def stack_name(environment_id: str) -> str:
    return f"{settings().stack}-env-{parse_environment(environment_id).e}"


def secret_path(environment_id: str) -> str:
    """Where the secret inputs of an environment are, in the parameter store."""
    return f"/{settings().stack}/environments/{environment_id}"


# ── What is asked for ─────────────────────────────────────────────────────────────────────────


def _created(operation: Operation) -> dict[str, Any]:
    tags = {
        "slipway:project": str(parse_environment(operation.environment_id).project),
        "slipway:environment": operation.environment_id,
        "slipway:owner": operation.owner,
        "slipway:expires_at": _written(operation.expires_at),
    }
    bucket = f"{_client('s3').meta.endpoint_url}/{settings().templates_bucket}"
    return {
        "TemplateURL": f"{bucket}/{operation.template_key}",
        "Parameters": [_parameter(name, value) for name, value in _values(operation).items()],
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items() if value],
        "RoleARN": settings().environment_role,
        "Capabilities": _CAPABILITIES,
        "OnFailure": "ROLLBACK",
        "TimeoutInMinutes": _CREATE_MINUTES,
    }


def _changed(operation: Operation) -> dict[str, Any]:
    """The stack as it is, with another version in it."""
    shipped = _shipped(operation)
    return {
        "UsePreviousTemplate": True,
        "Parameters": [
            _parameter(name, shipped[name])
            if name in shipped
            else {"ParameterKey": name, "UsePreviousValue": True}
            for name in operation.parameters
        ],
        "RoleARN": settings().environment_role,
        "Capabilities": _CAPABILITIES,
    }


def _values(operation: Operation) -> dict[str, Any]:
    """What is not in here is as the template's default says."""
    given = {
        **operation.inputs,
        **_secrets(operation),
        **_shipped(operation),
        "EnvironmentName": operation.environment_name,
        "ProjectName": operation.project_name,
        "EnvironmentId": operation.environment_id,
        "PermissionsBoundary": settings().environment_boundary,
    }
    return {name: given[name] for name in operation.parameters if name in given}


def _written(expires_at: datetime | None) -> str:
    return moments.written(expires_at) if expires_at else "never"


def _shipped(operation: Operation) -> dict[str, str]:
    return {"Version": operation.version or NOTHING_LIVE, "Artifact": operation.artifact or ""}


def _parameter(name: str, value: Any) -> dict[str, str]:
    if isinstance(value, list):
        value = ",".join(map(_text, value))
    return {"ParameterKey": name, "ParameterValue": _text(value)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _secrets(operation: Operation) -> dict[str, str]:
    if not operation.secret_inputs:
        return {}
    path = secret_path(operation.environment_id)
    pages = _pages("ssm", "get_parameters_by_path", Path=path, WithDecryption=True)
    found = (each for page in pages for each in page["Parameters"])
    return {each["Name"].rpartition("/")[2]: each["Value"] for each in found}


def _forget_secrets(operation: Operation) -> None:
    path = secret_path(operation.environment_id)
    names = [f"{path}/{name}" for name in operation.secret_inputs]
    for first in range(0, len(names), _SSM_AT_ONCE):
        _call("ssm", "delete_parameters", Names=names[first : first + _SSM_AT_ONCE])


def _token_of(execution: str) -> str:
    return execution.replace("_", "-") + "-"


def _token(operation: Operation, verb: str) -> str:
    """Another attempt of the same execution's begins at another moment."""
    began = round(operation.started_at.timestamp() * 1000)
    return f"{_token_of(operation.execution)}{verb}-{began}"


def _start(method: str, operation: Operation, token: str, **request: Any) -> bool:
    """Whether there was something to do. Somebody else may have begun with it a moment ago."""
    try:
        _call(
            "cloudformation",
            method,
            StackName=stack_name(operation.environment_id),
            ClientRequestToken=token,
            **request,
        )
    except DriverRefused as error:
        if "No updates are to be performed" in str(error):
            return False
        if "AlreadyExistsException" in str(error):
            return True
        stack = _describe(operation)
        if stack is None or not _is_busy(stack):
            raise
    return True


# ── How far it is ─────────────────────────────────────────────────────────────────────────────


def _describe(operation: Operation) -> Stack | None:
    try:
        name = stack_name(operation.environment_id)
        answer = _call("cloudformation", "describe_stacks", StackName=name)
    except DriverRefused as error:
        if "does not exist" in str(error):
            return None
        raise
    [stack] = answer["Stacks"]
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else dict(stack)


def _is_busy(stack: Stack) -> bool:
    """Not of one under review: it is a change set that nobody may ever execute."""
    status = str(stack["StackStatus"])
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def _is_ours(operation: Operation) -> bool:
    """Whether the update that is in progress is this rollout's."""
    began = [
        event.get("ClientRequestToken", "")
        for event in _all_events(operation)
        if _is_of_the_stack(event) and event["ResourceStatus"] == "UPDATE_IN_PROGRESS"
    ]
    return bool(began) and str(began[0]).startswith(f"{_token_of(operation.execution)}ship-")


def _updated_to(operation: Operation, verb: str, stack: Stack | None) -> Progress:
    """The stack with the version in it."""
    if stack is None:
        raise DriverRefused("The stack is gone; it was not Slipway that deleted it")
    if _is_busy(stack):
        return _wait(operation)
    token = _token(operation, verb)
    events = _events(operation, token)
    if events:
        return _how_it_ended(operation, stack, events)
    if stack["StackStatus"] not in _RUNS:
        reason = stack.get("StackStatusReason") or "it takes no updates"
        raise DriverRefused(f"The stack is {stack['StackStatus']}: {reason}")
    if _start("update_stack", operation, token, **_changed(operation)):
        return _wait(operation)
    return _done(stack)


def _how_it_ended(operation: Operation, stack: Stack, events: list[Event]) -> Progress:
    """How the update ended that all of the events are of."""
    status = [event["ResourceStatus"] for event in events if _is_of_the_stack(event)][-1]
    if status.endswith("_IN_PROGRESS"):
        # The stack is through; its last events are on their way.
        return _wait(operation)
    if status == "UPDATE_COMPLETE":
        return _done(stack)
    if status == "UPDATE_ROLLBACK_COMPLETE":
        raise RolledBack(_reason(operation, stack, events))
    raise DriverRefused(f"{_reason(operation, stack, events)}; the stack is {status}")


def _done(stack: Stack) -> Progress:
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    return Progress(done=True, base_url=outputs.get("Url"), outputs=outputs)


def _wait(operation: Operation) -> Progress:
    """A quarter of the time that it has taken so far."""
    passed = (operation.now - operation.started_at).total_seconds()
    return Progress(done=False, wait_seconds=max(1, min(_LONGEST_WAIT_SECONDS, int(passed / 4))))


def _all_events(operation: Operation) -> Iterator[Event]:
    """Of whatever was done with the stack, the last one first; read as far as is asked for."""
    name = stack_name(operation.environment_id)
    for page in _pages("cloudformation", "describe_stack_events", StackName=name):
        yield from page["StackEvents"]


def _events(operation: Operation, token: str) -> list[Event]:
    """Those of the operation, by what its token begins with; oldest first."""
    found: list[Event] = []
    for event in _all_events(operation):
        if event["Timestamp"] < operation.started_at - _SKEW:
            break
        if str(event.get("ClientRequestToken", "")).startswith(token):
            found.append(event)
    return found[::-1]


def _is_of_the_stack(event: Event) -> bool:
    return bool(event["PhysicalResourceId"] == event["StackId"])


def _reason(operation: Operation, stack: Stack, events: list[Event]) -> str:
    """Why the first resource failed, in CloudFormation's words; others only follow."""
    for event in events:
        why = event.get("ResourceStatusReason", "")
        failed = str(event["ResourceStatus"]).endswith("_FAILED")
        if failed and not _is_of_the_stack(event) and "cancelled" not in why:
            return f"{event['LogicalResourceId']} ({event['ResourceType']}): {why}"
    if _is_invalid(events):
        for event in _invalid(operation):
            return _objection(event).message
    whys = [event.get("ResourceStatusReason") for event in events if _has_gone_wrong(event)]
    why = next(filter(None, [*whys, stack.get("StackStatusReason")]), "no reason was given")
    return f"The stack is {stack['StackStatus']}: {why}"


def _has_gone_wrong(event: Event) -> bool:
    status = str(event["ResourceStatus"])
    return status.endswith("_FAILED") or "ROLLBACK_IN_PROGRESS" in status


def _is_invalid(events: list[Event]) -> bool:
    return any(event.get("DetailedStatus") == "VALIDATION_FAILED" for event in events)


def _invalid(operation: Operation) -> Iterator[Event]:
    """What CloudFormation found wrong before it began: it tells that apart from the rest."""
    name = stack_name(operation.environment_id)
    pages = _pages(
        "cloudformation", "describe_events", StackName=name, Filters={"FailedEvents": True}
    )
    for page in pages:
        for event in page["OperationEvents"]:
            recent = event["Timestamp"] >= operation.started_at - _SKEW
            if recent and event.get("ValidationStatus") == "FAILED":
                yield event


def _remains(operation: Operation) -> list[str]:
    name = stack_name(operation.environment_id)
    pages = _pages("cloudformation", "list_stack_resources", StackName=name)
    return [
        f"{each['LogicalResourceId']} ({each['ResourceType']}, {each['PhysicalResourceId']})"
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceStatus"] != "DELETE_COMPLETE" and each.get("PhysicalResourceId")
    ]


def _line(event: Event) -> LogLine:
    status, why = event["ResourceStatus"], event.get("ResourceStatusReason")
    text = f"{event['LogicalResourceId']} ({event['ResourceType']}) {status}"
    return LogLine(
        ts=event["Timestamp"],
        step="stack",
        level="error" if status.endswith("_FAILED") else "info",
        message=f"{text}: {why}" if why else text,
    )


def _objection(event: Event) -> LogLine:
    why = event.get("ValidationStatusReason", "it is not valid")
    text = f"{event['LogicalResourceId']} ({event['ResourceType']}): {why}"
    return LogLine(ts=event["Timestamp"], step="stack", level="error", message=text)


# ── The one seam to the client library ────────────────────────────────────────────────────────


def _call(service: str, method: str, **request: Any) -> Any:
    """Raises DriverFault for what another try may mend, else DriverRefused."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return getattr(_client(service), method)(**request)
    except ClientError as error:
        raise _translated(error) from error
    except BotoCoreError as error:
        raise DriverFault(str(error)) from error


def _pages(service: str, method: str, **request: Any) -> Iterator[Any]:
    while True:
        page = _call(service, method, **request)
        yield page
        if not page.get("NextToken"):
            return
        request["NextToken"] = page["NextToken"]


def _translated(error: Any) -> DriverFault | DriverRefused:
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    text = f"{code}: {message}"
    perhaps_later = "Throttl" in code or code in _PERHAPS_LATER or status >= 500 or status == 429
    return DriverFault(text) if perhaps_later else DriverRefused(text)


_PERHAPS_LATER = {"RequestLimitExceeded", "TooManyRequestsException", "RequestTimeout"}


@cache
def _client(service: str) -> Any:
    # Imported here: the API knows drivers by name only.
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=2, read_timeout=6, retries={"mode": "standard", "total_max_attempts": 2}
    )
    return boto3.client(service, region_name=settings().region, config=config)
