"""An alarm over several metrics (`Metrics`, metric math) does not stop the stack from being made.

Defect: the stock `AWS::CloudWatch::Alarm` refuses it, and with it the whole template. Here it is a
name that nothing watches.
"""

from typing import Any


def patch(module: Any) -> None:
    alarm = module._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]
    stock_create, stock_update = alarm["create"], alarm["update"]

    def attributes(name: str) -> dict[str, str]:
        scope = f"{module.get_region()}:{module.get_account_id()}"
        return {"Arn": f"arn:aws:cloudwatch:{scope}:alarm:{name}"}

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        if "Metrics" not in properties:
            return stock_create(logical_id, properties, stack)
        name = properties.get("AlarmName") or module._physical_name(stack, logical_id, max_len=255)
        return name, attributes(name)

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        if "Metrics" not in new:
            return stock_update(physical_id, old, new, *rest)
        return physical_id, attributes(physical_id)

    alarm["create"], alarm["update"] = create, update
