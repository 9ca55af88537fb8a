"""A table's TimeToLiveSpecification in a template has an effect.

Defect: the stock `AWS::DynamoDB::Table` drops it, so nothing of the table ever expires.
"""

from typing import Any


def patch(module: Any) -> None:
    table = module._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    stock_create, stock_update = table["create"], table["update"]

    def apply(name: str, properties: dict[str, Any]) -> None:
        wanted = properties.get("TimeToLiveSpecification") or {}
        enabled = module._cfn_bool(wanted.get("Enabled", "false"))
        module._dynamodb._ttl_settings[name] = {
            "TimeToLiveStatus": "ENABLED" if enabled else "DISABLED",
            "AttributeName": wanted.get("AttributeName", ""),
        }

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        made = stock_create(logical_id, properties, stack)
        apply(made[0], properties)
        return made

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        made = stock_update(physical_id, old, new, *rest)
        apply(made[0], new)
        return made

    table["create"], table["update"] = create, update
