"""Parameter Store enforces its limits.

Defects: the stock service accepts a standard parameter of more than 4 KB, more than ten names at
once, and a value that the parameter's own pattern does not allow. AWS's sources: "Parameter tiers"
in the user guide of Systems Manager; the lengths and the exception's name in botocore's model.
"""

from __future__ import annotations

import re
from typing import Any

MOST_BYTES = 4096
MOST_NAMES = 10
_TOO_LONG = (
    "Standard tier parameters support a maximum parameter value of 4096 characters. To create a "
    "larger parameter value, upgrade the parameter to use the advanced-parameter tier."
)
_TOO_MANY = (
    "1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have "
    "length less than or equal to 10"
)


def patch(module: Any) -> None:
    stock_put = module._put_parameter
    stock = {name: getattr(module, name) for name in ("_get_parameters", "_delete_parameters")}

    def put(data: dict[str, Any]) -> Any:
        is_standard = data.get("Tier", "Standard") == "Standard"
        if is_standard and len(str(data.get("Value", "")).encode()) > MOST_BYTES:
            return module.error_response_json("ValidationException", _TOO_LONG, 400)
        pattern, value = data.get("AllowedPattern"), str(data.get("Value", ""))
        if pattern and not re.fullmatch(pattern, value):
            words = f"Parameter value, {value}, doesn't match the allowed pattern {pattern}"
            return module.error_response_json("ParameterPatternMismatchException", words, 400)
        return stock_put(data)

    def of_some(name: str) -> Any:
        def answer(data: dict[str, Any]) -> Any:
            if len(data.get("Names", ())) > MOST_NAMES:
                return module.error_response_json("ValidationException", _TOO_MANY, 400)
            return stock[name](data)

        return answer

    module._put_parameter = put
    for name in stock:
        setattr(module, name, of_some(name))


TARGETS = {"ministack.services.ssm": patch}
