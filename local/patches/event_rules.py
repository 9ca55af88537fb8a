"""EventBridge refuses missing rules and invalid rates.

Defects: the stock service enables and disables rules that do not exist, accepts `rate(1 minutes)`
and `rate(0 minutes)`, and accepts any expression in a template's rule. See `rules` in
tests/aws/fixtures, and "Rate expressions" in EventBridge's user guide.
"""

from __future__ import annotations

import re
from typing import Any

_RATE = re.compile(r"rate\((1 (minute|hour|day)|([2-9]|[1-9]\d+) (minutes|hours|days))\)")
_NOT_VALID = "Parameter ScheduleExpression is not valid."


def patch(module: Any) -> None:
    """eventbridge: PutRule, EnableRule, DisableRule."""
    stock_valid = module._validate_schedule_expression

    def valid(expression: str) -> bool:
        if expression.strip().startswith("rate"):
            return bool(_RATE.fullmatch(expression))
        return bool(stock_valid(expression))

    def of_a_rule(name: str) -> Any:
        stock = getattr(module, name)

        def answer(data: dict[str, Any]) -> Any:
            rule, bus = data.get("Name"), data.get("EventBusName", "default")
            if module._rule_key(rule, bus) in module._rules:
                return stock(data)
            text = f"Rule {rule} does not exist on EventBus {bus}."
            return module.error_response_json("ResourceNotFoundException", text, 400)

        return answer

    module._validate_schedule_expression = valid
    for name in ("_enable_rule", "_disable_rule"):
        setattr(module, name, of_a_rule(name))


def patch_template(module: Any) -> None:
    """provisioners: `AWS::Events::Rule`."""
    rule = module._RESOURCE_HANDLERS["AWS::Events::Rule"]
    stock_create, stock_update = rule["create"], rule["update"]

    def check(properties: dict[str, Any]) -> None:
        expression = properties.get("ScheduleExpression")
        if expression and not module._eb._validate_schedule_expression(expression):
            raise ValueError(f'Resource handler returned message: "{_NOT_VALID}" (InvalidRequest)')

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        check(properties)
        return stock_create(logical_id, properties, stack)

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        check(new)
        return stock_update(physical_id, old, new, *rest)

    rule["create"], rule["update"] = create, update


TARGETS = {
    "ministack.services.cloudformation.provisioners": patch_template,
    "ministack.services.eventbridge": patch,
}
