"""Requests to CloudFormation about an environment's stack: their tokens, and the waits after them.

All events of an operation carry its token, which tells whether it was started and how it ended.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from slipway import aws
from slipway.drivers import stacks
from slipway.drivers.base import Operation, Progress
from slipway.drivers.stacks import Stack
from slipway.errors import DriverRefused

_LONGEST_WAIT_SECONDS = 30
# CloudFormation's answer while IAM's new role has not reached it. The next call starts again.
_NOT_YET = "is invalid or cannot be assumed"
_ROLE_MINUTES = timedelta(minutes=5)


def token_of(execution: str) -> str:
    """What the tokens of all operations of an execution begin with."""
    return execution.replace("_", "-") + "-"


def token(operation: Operation, verb: str) -> str:
    """The request token. Another attempt in the same execution begins at another time."""
    began = round(operation.started_at.timestamp() * 1000)
    return f"{token_of(operation.execution)}{verb}-{began}"


def start(method: str, operation: Operation, token: str, **request: Any) -> bool:
    """Whether there was something to do. A concurrent call may have started it already.

    Raises DriverRefused, DriverFault.
    """
    try:
        aws.call(
            "cloudformation",
            method,
            StackName=stacks.stack_name(operation.environment_id),
            ClientRequestToken=token,
            **request,
        )
    except DriverRefused as error:
        if error.says("No updates are to be performed"):
            return False
        if error.says("AlreadyExistsException"):
            return True
        if _NOT_YET in str(error) and operation.now - operation.started_at < _ROLE_MINUTES:
            return True
        stack = stacks.find(operation.environment_id)
        if stack is None or not stacks.is_busy(stack):
            raise
    return True


def wait(operation: Operation, stack: Stack | None = None) -> Progress:
    """Wait a quarter of the time that has passed so far."""
    passed = (operation.now - operation.started_at).total_seconds()
    wait_seconds = max(1, min(_LONGEST_WAIT_SECONDS, int(passed / 4)))
    return Progress(
        done=False, wait_seconds=wait_seconds, stack_id=stack["StackId"] if stack else None
    )
