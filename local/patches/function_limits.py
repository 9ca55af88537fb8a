"""Lambda refuses too many or reserved environment variables, and too large reservations.

Defect: the stock service accepts them all, and ignores the reservation in a template. The texts for
the variables' size and for the reservation are in LocalStack's recording lambda_/test_lambda_api
(see lambda_limits in tests/aws/fixtures); the reserved names are those of "Working with Lambda
environment variables".
"""

from __future__ import annotations

import json
from typing import Any

MOST_BYTES = 4096
ACCOUNT, UNRESERVED = 1000, 100
RESERVED = {
    *("_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV"),
    *("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_RUNTIME_API"),
    *("AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "LAMBDA_TASK_ROOT"),
    *("AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "LAMBDA_RUNTIME_DIR"),
    *("AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
}
_UNABLE = (
    "Lambda was unable to configure your environment variables because the environment variables "
    "you have provided "
)
_TOO_LITTLE = (
    "Specified ReservedConcurrentExecutions for function decreases account's "
    f"UnreservedConcurrentExecution below its minimum value of [{UNRESERVED}]."
)


def of_variables(function: dict[str, Any]) -> str | None:
    """Why Lambda refuses the function's variables; None if it accepts them."""
    variables = (function.get("Environment") or {}).get("Variables") or {}
    text = json.dumps(variables, separators=(",", ":"), default=str)
    if len(text.encode()) > MOST_BYTES:
        return f"{_UNABLE}exceeded the 4KB limit. String measured: {text}"
    if own := sorted(RESERVED & set(variables)):
        return (
            f"{_UNABLE}contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(own)}"
        )
    return None


def of_reservation(functions: dict[str, Any], name: str, wanted: int, account: int) -> str | None:
    """Why Lambda refuses to reserve so many executions for the function; None if it does not."""
    others = sum(
        int(each.get("concurrency") or 0) for other, each in functions.items() if other != name
    )
    return _TOO_LITTLE if account - others - wanted < UNRESERVED else None


def _account_limit(module: Any) -> int:
    return int(module._ACCOUNT_CONCURRENCY_CAP or ACCOUNT)


def patch(module: Any) -> None:
    """lambda_svc: CreateFunction, UpdateFunctionConfiguration, PutFunctionConcurrency."""
    stock_create, stock_update, stock_reserve = (
        module._create_function,
        module._update_config,
        module._put_function_concurrency,
    )

    def refused(text: str) -> Any:
        return module.error_response_json("InvalidParameterValueException", text, 400)

    def create(data: dict[str, Any]) -> Any:
        text = of_variables(data)
        return refused(text) if text else stock_create(data)

    def update(name: str, data: dict[str, Any]) -> Any:
        text = of_variables(data)
        return refused(text) if text else stock_update(name, data)

    def reserve(name: str, data: dict[str, Any]) -> Any:
        wanted = int(data.get("ReservedConcurrentExecutions", 0))
        text = of_reservation(module._functions, name, wanted, _account_limit(module))
        return refused(text) if text else stock_reserve(name, data)

    module._create_function, module._update_config = create, update
    module._put_function_concurrency = reserve


def patch_template(module: Any) -> None:
    """provisioners: `AWS::Lambda::Function`."""
    function, service = module._RESOURCE_HANDLERS["AWS::Lambda::Function"], module._lambda_svc
    stock_create, stock_update = module._lambda_create, function["update"]

    def check(properties: dict[str, Any], name: str = "") -> None:
        wanted = properties.get("ReservedConcurrentExecutions")
        text = of_variables(properties)
        if text is None and wanted is not None:
            text = of_reservation(service._functions, name, int(wanted), _account_limit(service))
        if text:
            raise ValueError(f'Resource handler returned message: "{text}" (InvalidRequest)')

    def reserve(name: str, properties: dict[str, Any]) -> None:
        wanted = properties.get("ReservedConcurrentExecutions")
        service._functions[name]["concurrency"] = None if wanted is None else int(wanted)

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        check(properties)
        made = stock_create(logical_id, properties, stack)
        reserve(made[0], properties)
        return made

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        check(new, physical_id)
        made = stock_update(physical_id, old, new, *rest)
        reserve(made[0], new)
        return made

    module._lambda_create = create  # which a replacement calls
    function["create"], function["update"] = create, update


TARGETS = {
    "ministack.services.cloudformation.provisioners": patch_template,
    "ministack.services.lambda_svc": patch,
}
