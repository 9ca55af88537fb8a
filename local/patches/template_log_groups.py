"""A log group without a LogGroupName is named after its stack, like other resources.

Defect: the stock name begins with `/aws/cloudformation/`, which no policy for a stack's resources
covers.
"""

from typing import Any


def patch(module: Any) -> None:
    group = module._RESOURCE_HANDLERS["AWS::Logs::LogGroup"]
    stock_create, stock_update = group["create"], group["update"]

    def named(properties: dict[str, Any], stack: str, logical_id: str) -> dict[str, Any]:
        name = properties.get("LogGroupName")
        name = name or module._physical_name(stack, logical_id, max_len=512)
        return {**properties, "LogGroupName": name}

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        return stock_create(logical_id, named(properties, stack, logical_id), stack)

    def update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str
    ) -> Any:
        new = named(new, stack, logical_id)
        return stock_update(physical_id, old, new, stack, logical_id)

    group["create"], group["update"] = create, update


TARGETS = {"ministack.services.cloudformation.provisioners": patch}
