"""Each invocation of a function is counted, whoever invoked it.

Defect: the stock service counts only calls of the Invoke API, when it accepts them: not those of an
HTTP API, a function URL, an event source or a rule. AWS counts what a function has carried out
(Lambda's developer guide, "Types of metrics for Lambda functions"); throttled calls are counted as
Throttles alone.
"""

import threading
import time
from typing import Any

KEPT = 1_000  # points of each metric
_SECOND = 1.0

_lock = threading.Lock()


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
        bucket = cloudwatch._metric_bucket(("AWS/Lambda", name, cloudwatch._dims_key(dimensions)))
        with _lock:
            if _counted_again(bucket, value):
                continue
            cloudwatch.record_metric("AWS/Lambda", name, value, unit, dimensions)
            del bucket[:-KEPT]


def _counted_again(bucket: list[dict[str, Any]], value: float) -> bool:
    """Count a value once more that the newest point has, if that began less than a second ago.

    So a busy function's invocations are a point for each second, and reach back far enough.
    """
    newest = bucket[-1] if bucket else None
    if newest is None or newest["Value"] != value or time.time() - newest["Timestamp"] >= _SECOND:
        return False
    newest["Count"] = newest.get("Count", 1.0) + 1
    return True


TARGETS = {"ministack.services.lambda_svc": patch}
