"""CloudFormation answers about deleted and never updated stacks as AWS does.

Defects of the stock service:
- CreateStack sets LastUpdatedTime, so DescribeStacks shows an update time for a new stack;
- DescribeChangeSet reports a missing change set if the stack does not exist;
- DescribeStackEvents finds a deleted stack by its name;
- CreateChangeSet for an existing stack has an incomplete message.

See `stacks` and `change_sets` in tests/aws/fixtures.
"""

from __future__ import annotations

from typing import Any

_TAKES_A_CREATION = {"DELETE_COMPLETE", "ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"}
EMPTY = b"<LastUpdatedTime></LastUpdatedTime>"


def patch(module: Any) -> None:
    """handlers: the answers about existing, deleted and missing stacks."""
    handlers = module._ACTION_HANDLERS
    stock_create, stock_describe = handlers["CreateStack"], handlers["DescribeStacks"]

    def create(params: dict[str, Any]) -> Any:
        answer = stock_create(params)
        if answer[0] == 200:
            module._resolve_stack(module._p(params, "StackName"))["LastUpdatedTime"] = ""
        return answer

    def describe(params: dict[str, Any]) -> Any:
        status, headers, body = stock_describe(params)
        return status, headers, body.replace(EMPTY, b"")

    handlers |= {"CreateStack": create, "DescribeStacks": describe}
    for action in ("DescribeChangeSet", "DescribeStackEvents"):
        handlers[action] = _requiring_stack(module, handlers[action])
    handlers["CreateChangeSet"] = _requiring_no_stack(module, handlers["CreateChangeSet"])


def _requiring_stack(module: Any, stock: Any) -> Any:
    """Wrap an action that needs an existing stack, or a deleted one named by its id."""

    def answer(params: dict[str, Any]) -> Any:
        name = module._p(params, "StackName")
        stack = module._resolve_stack(name) if name else None
        is_there = stack and stack.get("StackStatus") != "DELETE_COMPLETE"
        if name and not is_there and not name.startswith("arn:"):
            return module._error("ValidationError", f"Stack [{name}] does not exist")
        return stock(params)

    return answer


def _requiring_no_stack(module: Any, stock: Any) -> Any:
    """Wrap CreateChangeSet, which refuses to create a stack that exists."""

    def answer(params: dict[str, Any]) -> Any:
        name, change_set = module._p(params, "StackName"), module._p(params, "ChangeSetName")
        stack = module._resolve_stack(name) if name else None
        is_new = module._p(params, "ChangeSetType", "UPDATE") == "CREATE"
        if is_new and stack and stack.get("StackStatus") not in _TAKES_A_CREATION:
            text = f"Stack [{name}] already exists and cannot be created again with the changeSet"
            return module._error("ValidationError", f"{text} [{change_set}].")
        return stock(params)

    return answer


TARGETS = {"ministack.services.cloudformation.handlers": patch}
