"""A rule that is not there can be switched neither on nor off.

Defect: the stock service answers as if it had been. See `rules` in tests/aws/fixtures.
"""

from __future__ import annotations

from typing import Any


def patch(module: Any) -> None:
    def of_a_rule(name: str) -> Any:
        stock = getattr(module, name)

        def answer(data: dict[str, Any]) -> Any:
            rule, bus = data.get("Name"), data.get("EventBusName", "default")
            if module._rule_key(rule, bus) in module._rules:
                return stock(data)
            text = f"Rule {rule} does not exist on EventBus {bus}."
            return module.error_response_json("ResourceNotFoundException", text, 400)

        return answer

    for name in ("_enable_rule", "_disable_rule"):
        setattr(module, name, of_a_rule(name))
