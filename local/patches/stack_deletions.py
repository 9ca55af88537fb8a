"""A stack is deleted while it is being created, and not while it is being updated.

Defects: stock DeleteStack begins in any state. A creation under way then goes on beside the
deletion and makes resources that nothing deletes; an update does the same; and a second deletion
runs beside the first. CloudFormation stops a creation: its resource in progress ends as "Resource
creation cancelled", and a custom resource is asked to delete what it may have made. It refuses the
deletion during an update and its rollback (aws-amplify/amplify-backend, pull request 2366, and
awslabs/clickstream-analytics-on-aws, issue 573, quote it), and takes the repetition of a deletion.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

CANCELLED = "Resource creation cancelled"
REFUSED = (
    "UPDATE_IN_PROGRESS",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_ROLLBACK_IN_PROGRESS",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
)
_creations: dict[str, asyncio.Event] = {}  # by the stack's id; set when it has ended
_going: set[str] = set()  # the ids of the stacks whose creation is to end


class Cancelled(Exception):
    def __init__(self) -> None:
        super().__init__(CANCELLED)


def patch_handlers(module: Any) -> None:
    stock = module._ACTION_HANDLERS["DeleteStack"]

    def delete(params: Any) -> Any:
        name = module._p(params, "StackName")
        stack = module._resolve_stack(name) if name else None
        state = stack["StackStatus"] if stack else ""
        if stack and state in REFUSED:
            said = f"Stack [{stack['StackId']}] cannot be deleted while in status {state}"
            return module._error("ValidationError", said)
        if state == "DELETE_IN_PROGRESS":
            return module._xml(200, "DeleteStackResponse", "")
        answer = stock(params)
        if stack and answer[0] == 200 and stack["StackId"] in _creations:
            stack["StackStatus"] = "DELETE_IN_PROGRESS"
            _going.add(stack["StackId"])
            _wake(stack["StackId"])
        return answer

    module._ACTION_HANDLERS["DeleteStack"] = delete


def _wake(stack_id: str) -> None:
    """End the waiting of the resource in progress, which waits on a thread of its own."""
    from ministack.services.cloudformation import custom_resource, wait_conditions

    for token in _asked.get(stack_id, ()):
        if entry := custom_resource._pending.get(token):
            entry["event"].set()
    for (waiting, _), waiter in list(wait_conditions._waiting.items()):
        if waiting == stack_id:
            failure = {"Status": "FAILURE", "UniqueId": "cancelled", "Reason": CANCELLED}
            wait_conditions.deliver_signal(waiter["token"], failure)


def patch(module: Any) -> None:
    """stacks: a creation ends before a deletion begins."""
    module._deploy_stack_async = _noted(module._deploy_stack_async)
    module._delete_stack_async = _after_creation(module._delete_stack_async)
    stock_provision, stock_back = module._provision_resource, module._roll_back_operation

    def provision(resource_type: str, logical_id: str, props: Any, stack_name: str) -> Any:
        stack_id = _id_of(stack_name)
        if stack_id in _going:
            raise Cancelled()
        try:
            return stock_provision(resource_type, logical_id, props, stack_name)
        except Exception as error:
            if stack_id not in _going:
                raise
            if resource_type.startswith(("Custom::", "AWS::CloudFormation::CustomResource")):
                _leave(stack_name, resource_type, logical_id, props)
            raise Cancelled() from error

    async def back(stack_name: str, stack_id: str, *args: Any, **kwargs: Any) -> None:
        if stack_id not in _going:
            await stock_back(stack_name, stack_id, *args, **kwargs)

    module._provision_resource = provision
    module._roll_back_operation = back


def _id_of(stack_name: str) -> str:
    from ministack.services.cloudformation import _stacks

    found: str = (_stacks.get(stack_name) or {}).get("StackId", "")
    return found


def _leave(stack_name: str, resource_type: str, logical_id: str, props: Any) -> None:
    """Let the deletion ask for the end of a custom resource that has not answered."""
    from ministack.core.responses import new_uuid
    from ministack.services import cloudformation

    cloudformation._stacks[stack_name].setdefault("_resources", {})[logical_id] = {
        "PhysicalResourceId": f"{stack_name}-{logical_id}-{new_uuid()[:8].upper()}",
        "ResourceType": resource_type,
        "ResourceStatus": "CREATE_FAILED",
        "ResourceStatusReason": CANCELLED,
        "LogicalResourceId": logical_id,
        "Properties": props,
        "Attributes": {},
        "Timestamp": cloudformation.stacks.now_iso(),
    }


def _noted(stock: Callable[..., Coroutine[Any, Any, None]]) -> Any:
    async def deploy(stack_name: str, stack_id: str, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("is_update"):
            await stock(stack_name, stack_id, *args, **kwargs)
            return
        _creations[stack_id] = ended = asyncio.Event()
        try:
            await stock(stack_name, stack_id, *args, **kwargs)
        finally:
            del _creations[stack_id]
            ended.set()

    return deploy


def _after_creation(stock: Callable[..., Coroutine[Any, Any, None]]) -> Any:
    async def delete(stack_name: str, stack_id: str, *args: Any, **kwargs: Any) -> None:
        if creation := _creations.get(stack_id):
            await creation.wait()
        _going.discard(stack_id)
        await stock(stack_name, stack_id, *args, **kwargs)

    return delete


# The requests that were sent to custom resources, by the stack's id.
_asked: dict[str, list[str]] = {}


def patch_custom_resources(module: Any) -> None:
    stock_invoke, stock_register = module.invoke_custom_resource, module.register_token
    about: ContextVar[str | None] = ContextVar("about", default=None)

    def register(token: str) -> Any:
        if stack_id := about.get():
            _asked.setdefault(stack_id, []).append(token)
        return stock_register(token)

    def invoke(
        kind: str,
        logical_id: str,
        properties: Any,
        stack_name: str,
        stack_id: str,
        *args: Any,
        **more: Any,
    ) -> Any:
        asking = about.set(stack_id if kind == "Create" else None)
        try:
            return stock_invoke(kind, logical_id, properties, stack_name, stack_id, *args, **more)
        finally:
            about.reset(asking)
            if kind == "Create":
                _asked.pop(stack_id, None)

    module.invoke_custom_resource = invoke
    module.register_token = register


TARGETS = {
    "ministack.services.cloudformation.custom_resource": patch_custom_resources,
    "ministack.services.cloudformation.handlers": patch_handlers,
    "ministack.services.cloudformation.stacks": patch,
}
