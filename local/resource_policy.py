"""Evaluates a function's resource policy: whether a service may invoke the function.

On AWS an HTTP API or a function URL without this permission answers 500 or 403, and templates often
lack the `AWS::Lambda::Permission`. The emulator stores the policy and ignores it.
"""

import re
from typing import Any

INVOKE = "lambda:InvokeFunction"


def may_invoke(
    function: str,
    sources: list[str],
    action: str = INVOKE,
    service: str = "apigateway.amazonaws.com",
    **known: str,
) -> bool:
    """Whether the policy allows the service, on behalf of one of the sources, to call the function.

    `function` is the invoked ARN: a permission for a function does not cover its aliases. `known`
    has the values of Lambda's own condition keys.
    """
    from ministack.services import lambda_svc

    record, config, _ = lambda_svc._get_base_func_record_for_ref(function)
    if record is None or config is None:
        return False
    if not function.startswith("arn:"):
        function = lambda_svc._func_arn(function)
    context = {f"lambda:{name}".lower(): [value] for name, value in known.items()}
    context |= {
        "aws:sourcearn": sources,
        "aws:sourceaccount": [config["FunctionArn"].split(":")[4]],
    }
    return any(
        statement.get("Effect") == "Allow"
        and statement.get("Resource") == function
        and statement.get("Principal") in ("*", {"Service": service})
        and _like(action, statement.get("Action", ""))
        and _holds(statement.get("Condition") or {}, context)
        for statement in record["policy"]["Statement"]
    )


def _holds(conditions: dict[str, dict[str, Any]], context: dict[str, list[str]]) -> bool:
    return all(
        any(_compares(operator, found, wanted) for found in context.get(key.lower(), []))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _compares(operator: str, found: str, wanted: str | list[str]) -> bool:
    """Whether a value matches, for the operators that AddPermission writes."""
    patterns = [wanted] if isinstance(wanted, str) else wanted
    if operator.endswith("Like"):
        return any(_like(found, pattern) for pattern in patterns)
    return found in patterns


def _like(value: str, pattern: str) -> bool:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, value, re.DOTALL) is not None
