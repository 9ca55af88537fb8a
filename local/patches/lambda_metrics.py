"""Each invocation of a function is counted, whoever invoked it.

Defect: the stock service counts only calls of the Invoke API, when it accepts them: not those of an
HTTP API, a function URL, an event source or a rule. AWS counts what a function has carried out
(Lambda's developer guide, "Types of metrics for Lambda functions"); throttled calls are counted as
Throttles alone.
"""

import time
from typing import Any

KEPT = 2_000  # values of each metric


def patch(module: Any) -> None:
    dispatch = module._execute_function_dispatch

    def emit_throttles(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None:
        if throttle:
            _record(function_name, {"Throttles": (1, "Count")})

    def counted(
        function: dict[str, Any],
        config: dict[str, Any],
        event: Any,
        request_id: str,
        started: float,
    ) -> Any:
        began = time.monotonic()
        result = dispatch(function, config, event, request_id, started)
        failed = isinstance(result, dict) and bool(result.get("error"))
        milliseconds = round((time.monotonic() - began) * 1000, 2)
        _record(
            config["FunctionName"],
            {
                "Invocations": (1, "Count"),
                "Errors": (int(failed), "Count"),
                "Duration": (milliseconds, "Milliseconds"),
            },
        )
        return result

    module._emit_lambda_metrics = emit_throttles
    module._execute_function_dispatch = counted


def _record(function: str, values: dict[str, tuple[float, str]]) -> None:
    from ministack.services import cloudwatch

    dimensions = {"FunctionName": function}
    for name, (value, unit) in values.items():
        cloudwatch.record_metric("AWS/Lambda", name, value, unit, dimensions)
        bucket = cloudwatch._metric_bucket(("AWS/Lambda", name, cloudwatch._dims_key(dimensions)))
        del bucket[:-KEPT]


TARGETS = {"ministack.services.lambda_svc": patch}
