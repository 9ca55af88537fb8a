"""An environment that is a CloudFormation stack, created from a published template.

Each call inspects the stack and starts the operation if it was not started. The stack's state
decides; slipway.drivers.deletion has the table of retire:

| the stack is                  | provision | ship, restore              |
| ----------------------------- | --------- | -------------------------- |
| missing, or deleted by hand   | create it | StackGone                  |
| …_IN_PROGRESS, by anyone      | wait      | wait                       |
| CREATE_ or UPDATE_COMPLETE    | done      | update it; then done       |
| UPDATE_ROLLBACK_COMPLETE      | done      | update it; then RolledBack |
| UPDATE_ROLLBACK_FAILED        | refused   | continue rollback, once    |
| …_FAILED, ROLLBACK_COMPLETE   | refused   | refused                    |
| DELETE_FAILED                 | refused   | refused                    |

A restore cancels the rollout's own update first. Every operation has a request token, which all of
its events carry: they tell whether it was started, how it ended, and why.

CloudFormation acts with a role that is made for the environment (slipway.drivers.making_role), so
what a template may create does not depend on the permissions of Slipway's functions, and reaches no
other environment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from slipway.aws import configurations, secret_inputs, template_bodies
from slipway.domain import scope, timestamps
from slipway.domain.deployment import BEFORE_THE_FIRST, BROUGHT, LogLine, brought
from slipway.domain.ids import parse_environment
from slipway.drivers import making_role, requests, stacks
from slipway.drivers.base import Operation, Progress
from slipway.drivers.stacks import Event, Stack
from slipway.errors import DriverRefused, RolledBack, StackGone
from slipway.settings import settings

_RUNS = {
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
}
# CloudFormation gives up before the workflow does, and rolls back.
_CREATE_MINUTES = 55
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]


class CloudFormation:
    resources: tuple[str, ...] = ("stack",)

    def provision(self, operation: Operation) -> Progress:
        stack = stacks.find(operation.environment_id)
        if stack is None:
            if seconds := making_role.ensure(operation.environment_id, operation.now):
                return Progress(done=False, wait_seconds=seconds)
            token = requests.token(operation, "provision")
            requests.start("create_stack", operation, token, **_created(operation))
            return requests.wait(operation)
        if stacks.is_busy(stack):
            return requests.wait(operation, stack)
        if stack["StackStatus"] in _RUNS:
            return _done(stack)
        events = _events(operation, stack, requests.token(operation, "provision"))
        raise DriverRefused(stacks.reason(stack, events, operation.started_at))

    def ship(self, operation: Operation) -> Progress:
        return _updated_to(operation, "ship", stacks.find(operation.environment_id))

    def restore(self, operation: Operation) -> Progress:
        stack = stacks.find(operation.environment_id)
        if stack and stack["StackStatus"] == "UPDATE_IN_PROGRESS" and _is_ours(operation, stack):
            # Refused if the update has just ended. The next call sees how.
            with suppress(DriverRefused):
                token = requests.token(operation, "cancel")
                requests.start("cancel_update_stack", operation, token)
            return requests.wait(operation, stack)
        return _updated_to(operation, "restore", stack)

    def retire(self, operation: Operation) -> Progress:
        # Imported here, because one function of many deletes.
        from slipway.drivers import deletion

        return deletion.retire(operation)

    def lines(self, operation: Operation) -> list[LogLine]:
        stack_id, since = operation.stack_id, operation.started_at
        if stack_id is None:
            stack = stacks.find(operation.environment_id)
            if stack is None:
                return []
            stack_id = stack["StackId"]
        try:
            events = stacks.events(stack_id, requests.token_of(operation.execution), since)
            told = [_line(event) for event in events]
            told += map(_objection, stacks.invalid(stack_id, events, since))
        except DriverRefused as error:
            if stacks.is_missing(error):
                # Deleted so long ago that CloudFormation no longer knows it.
                return []
            raise
        return sorted(told, key=lambda line: line.ts)


# ── Requests ─────────────────────────────────────────────────────────────────────────


def tags(operation: Operation) -> list[dict[str, str]]:
    """The current tags. An extension of the lease reaches the stack with its next update."""
    tags = {
        "slipway:project": str(parse_environment(operation.environment_id).project),
        "slipway:environment": operation.environment_id,
        scope.TAG: scope.of(operation.environment_id),
        "slipway:owner": operation.owner,
        "slipway:expires_at": _written(operation.expires_at),
    }
    return [{"Key": key, "Value": value} for key, value in tags.items() if value]


def _created(operation: Operation) -> dict[str, Any]:
    return {
        **_made_of(operation),
        "OnFailure": "ROLLBACK",
        "TimeoutInMinutes": _CREATE_MINUTES,
    }


def _made_of(operation: Operation) -> dict[str, Any]:
    return {
        "TemplateURL": template_bodies.url(operation.template_key),
        "Parameters": parameters(operation, secret_inputs.read(operation.secrets)),
        "Tags": tags(operation),
        "RoleARN": making_role.arn(operation.environment_id),
        "Capabilities": CAPABILITIES,
    }


def _changed(operation: Operation) -> dict[str, Any]:
    """The request that changes the version only, or updates everything (`full_update`)."""
    if operation.full_update:
        return _made_of(operation)
    shipped = _shipped(operation)
    return {
        "UsePreviousTemplate": True,
        "Parameters": [
            _parameter(name, shipped[name])
            if name in shipped
            else {"ParameterKey": name, "UsePreviousValue": True}
            for name in operation.parameters
            if name in shipped or name not in BROUGHT
        ],
        "Tags": tags(operation),
        "RoleARN": making_role.arn(operation.environment_id),
        "Capabilities": CAPABILITIES,
    }


def parameters(operation: Operation, secrets: Mapping[str, str]) -> list[dict[str, Any]]:
    """The stack's parameters. Secrets without a new value keep theirs; parameters without a
    value have the template's default."""
    given = {
        **operation.inputs,
        **operation.variables,
        **secrets,
        **_shipped(operation),
        "EnvironmentName": operation.environment_name,
        "ProjectName": operation.project_name,
        "EnvironmentId": operation.environment_id,
        "PermissionsBoundary": settings().environment_boundary,
        "ConfigurationPath": configurations.path(operation.environment_id, operation.configuration),
    }
    for name in operation.parameters:
        # In a record from the time before such names were refused.
        if "{{" in str(given.get(name)):
            raise DriverRefused(f"The value of {name} contains {{{{, which CloudFormation resolves")
        # What follows in the template could make a dynamic reference of it. Inputs are checked.
        if operation.variables.get(name, "").endswith("{"):
            raise DriverRefused(f"The value of {name} ends with {{, as a dynamic reference begins")
    return [
        _parameter(name, given[name])
        if name in given
        else {"ParameterKey": name, "UsePreviousValue": True}
        for name in operation.parameters
        if name in given or name in operation.secrets
    ]


def _written(expires_at: datetime | None) -> str:
    return timestamps.written(expires_at) if expires_at else "never"


def _shipped(operation: Operation) -> dict[str, str]:
    """The values that a deployment sets. Without one, the template's default takes precedence."""
    return {
        name: value or BEFORE_THE_FIRST[name]
        for name, value in brought(operation.version, operation.artifact).items()
        if value or name not in operation.defaults
    }


def _parameter(name: str, value: Any) -> dict[str, str]:
    if isinstance(value, list):
        value = ",".join(map(_text, value))
    return {"ParameterKey": name, "ParameterValue": _text(value)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# ── Progress ─────────────────────────────────────────────────────────────────────────────


def _is_ours(operation: Operation, stack: Stack) -> bool:
    """Whether the update in progress belongs to this rollout."""
    began = [
        event.get("ClientRequestToken", "")
        for event in stacks.all_events(stack["StackId"])
        if stacks.is_of_the_stack(event) and event["ResourceStatus"] == "UPDATE_IN_PROGRESS"
    ]
    return bool(began) and str(began[0]).startswith(
        f"{requests.token_of(operation.execution)}ship-"
    )


def _updated_to(operation: Operation, verb: str, stack: Stack | None) -> Progress:
    """Update the stack to the version."""
    if stack is None:
        raise StackGone("The stack no longer exists, and Slipway did not delete it")
    if stacks.is_busy(stack):
        return requests.wait(operation, stack)
    token = requests.token(operation, verb)
    events = _events(operation, stack, token)
    if events:
        return _how_it_ended(operation, stack, events)
    if stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED":
        return _rolled_back_further(operation, stack)
    if stack["StackStatus"] not in _RUNS:
        reason = stack.get("StackStatusReason") or "it takes no updates"
        raise DriverRefused(f"The stack is {stack['StackStatus']}: {reason}")
    if requests.start("update_stack", operation, token, **_changed(operation)):
        return requests.wait(operation, stack)
    return _done(stack)


def _rolled_back_further(operation: Operation, stack: Stack) -> Progress:
    """Continue a failed rollback: the obstacle may have been removed."""
    token = requests.token(operation, "continue")
    events = _events(operation, stack, token)
    if not events:
        role = making_role.arn(operation.environment_id)
        requests.start("continue_update_rollback", operation, token, RoleARN=role)
    elif _last_of_the_stack(events) == "UPDATE_ROLLBACK_FAILED":
        reason = stacks.reason(stack, events, operation.started_at)
        raise DriverRefused(f"{reason}; the stack is UPDATE_ROLLBACK_FAILED")
    return requests.wait(operation, stack)


def _how_it_ended(operation: Operation, stack: Stack, events: list[Event]) -> Progress:
    """The result of the update to which all the events belong."""
    status = _last_of_the_stack(events)
    if status.endswith("_IN_PROGRESS"):
        # The stack has finished; its last events are still to come.
        return requests.wait(operation, stack)
    if status == "UPDATE_COMPLETE":
        return _done(stack)
    if status == "UPDATE_ROLLBACK_COMPLETE":
        raise RolledBack(stacks.reason(stack, events, operation.started_at))
    reason = stacks.reason(stack, events, operation.started_at)
    raise DriverRefused(f"{reason}; the stack is {status}")


def _last_of_the_stack(events: list[Event]) -> str:
    return str([each["ResourceStatus"] for each in events if stacks.is_of_the_stack(each)][-1])


def _done(stack: Stack) -> Progress:
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    return Progress(
        done=True, base_url=outputs.get("Url"), outputs=outputs, stack_id=stack["StackId"]
    )


def _events(operation: Operation, stack: Stack, token: str) -> list[Event]:
    return stacks.events(stack["StackId"], token, operation.started_at)


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
    text = stacks.objection(event)
    return LogLine(ts=event["Timestamp"], step="stack", level="error", message=text)
