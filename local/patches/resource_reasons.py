"""ListStackResources reports the reason of a resource's state.

Defect: the stock answer omits `ResourceStatusReason`, which is in the record of a resource that
could not be deleted and in the stock answer of DescribeStackResources.
"""

from typing import Any


def patch(module: Any) -> None:
    stock = module._ACTION_HANDLERS["ListStackResources"]

    def list_resources(params: dict[str, Any]) -> Any:
        status, headers, body = stock(params)
        stack = module._resolve_stack(module._p(params, "StackName")) or {}
        for name, resource in stack.get("_resources", {}).items():
            member = f"<LogicalResourceId>{name}</LogicalResourceId>"
            reason = module._resource_status_reason_xml(resource)
            body = body.replace(member.encode(), (member + reason).encode())
        return status, headers, body

    module._ACTION_HANDLERS["ListStackResources"] = list_resources


TARGETS = {"ministack.services.cloudformation.handlers": patch}
