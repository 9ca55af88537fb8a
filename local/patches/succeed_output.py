"""A Succeed state's JSONata `Output` is the execution's output.

Defect: the stock interpreter ignores it and returns the state's input.
"""

from typing import Any


def patch(module: Any) -> None:
    stock = module._apply_output_path

    def apply(state: dict[str, Any], data: Any, ctx: Any = None) -> Any:
        if state.get("Type") == "Succeed" and "Output" in state:
            return module._apply_jsonata_output(state, data, ctx, default=data)
        return stock(state, data, ctx)

    module._apply_output_path = apply


TARGETS = {"ministack.services.stepfunctions": patch}
