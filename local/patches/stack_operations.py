"""CloudFormation's operations on stacks continue after a restart of the emulator.

Defect: the stock service loses it, so that the stack is IN_PROGRESS for ever. Here an operation is
recorded until it ends. A creation or an update that was interrupted starts over: what it had
created is deleted first. A deletion continues with what is left.
"""

import contextlib
import copy
from collections.abc import Callable, Coroutine
from typing import Any

Operation = dict[str, Any]
_under_way: dict[str, Operation] = {}  # by the stack's id
interrupted: dict[str, Operation] = {}  # of the process before this one


def under_way() -> dict[str, Operation]:
    """The operations that run, for a save."""
    return _under_way


def patch(module: Any) -> None:
    for name in ("_deploy_stack_async", "_delete_stack_async"):
        setattr(module, name, _recorded(module, name, getattr(module, name)))


def _recorded(
    module: Any, name: str, stock: Callable[..., Coroutine[Any, Any, None]]
) -> Callable[..., Coroutine[Any, Any, None]]:
    def begin(stack_name: str, stack_id: str, *args: Any, **kwargs: Any) -> Any:
        # Before the event loop gets to it: the stack is IN_PROGRESS from now on.
        _under_way[stack_id] = mine = {
            "name": name,
            "stack": stack_name,
            "args": args,
            "kwargs": kwargs,
            "token": module.CLIENT_REQUEST_TOKEN.get(),
        }

        async def operate() -> None:
            try:
                await stock(stack_name, stack_id, *args, **kwargs)
            finally:
                if _under_way.get(stack_id) is mine:  # a deletion may have begun meanwhile
                    del _under_way[stack_id]

        return operate()

    return begin


def resume() -> None:
    """Start each interrupted operation again, in tasks of the running event loop."""
    from ministack.core.responses import request_scope
    from ministack.services.cloudformation import stacks

    while interrupted:
        stack_id, operation = interrupted.popitem()
        _, _, _, region, account, _ = stack_id.split(":", 5)
        with request_scope(account, region):
            token = stacks.CLIENT_REQUEST_TOKEN.set(operation["token"])
            try:
                again = _again(stacks, stack_id, operation)
                stacks._create_stack_task_in_region(again, None, stack_id)
            finally:
                stacks.CLIENT_REQUEST_TOKEN.reset(token)


async def _again(stacks: Any, stack_id: str, operation: Operation) -> None:
    args, kwargs, name = operation["args"], operation["kwargs"], operation["stack"]
    if operation["name"] == "_deploy_stack_async":
        await _undo(stacks, name, kwargs.get("previous_stack") or {})
    await getattr(stacks, operation["name"])(name, stack_id, *args, **kwargs)


async def _undo(stacks: Any, name: str, before: dict[str, Any]) -> None:
    """Delete what the interrupted creation or update had created."""
    from ministack.core.concurrency import run_reentrant
    from ministack.services import cloudformation

    stack = cloudformation._stacks[name]
    earlier = before.get("_resources") or {}
    for logical_id, made in reversed(list(stack["_resources"].items())):
        old = earlier.get(logical_id) or {}
        if made["PhysicalResourceId"] == old.get("PhysicalResourceId"):
            continue
        about = (made["ResourceType"], made["PhysicalResourceId"], made["Properties"])
        with contextlib.suppress(Exception):  # it may be half made
            await run_reentrant(stacks._delete_resource, *about, name, logical_id)
    stack["_resources"] = copy.deepcopy(earlier)


TARGETS = {"ministack.services.cloudformation.stacks": patch}
