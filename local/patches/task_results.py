"""Too large results fail, errors have a cause, and `States.ALL` does not catch everything.

Defects: a task's result or a state's output above 256 KiB is accepted (LocalStack's recording
stepfunctions/v2 error_handling/test_states_errors); the cause of a function's error without a type
is the error itself, where AWS puts a sentence before it; `States.ALL` catches
States.DataLimitExceeded and States.Runtime, which end an execution unless they are named (developer
guide, "Error names"); an empty error or cause is shown as "", and a task's timeout is TaskFailed in
the history (timeouts/test_timeouts).
"""

import json
from typing import Any

LIMIT = 256 * 1024  # bytes
TERMINAL = ("States.DataLimitExceeded", "States.Runtime")
UNKNOWN = (
    "The cause could not be determined because Lambda did not return an error type. "
    "Returned payload: "
)


def too_large(module: Any, name: str) -> Exception:
    """The error for a state, or a task's resource, that returns too much."""
    name = "lambda" if ":states:::lambda:" in name else name
    made: Exception = module._ExecutionError(
        "States.DataLimitExceeded",
        f"The state/task '{name}' returned a result with a size exceeding the maximum "
        "number of bytes service limit.",
    )
    return made


def _is_too_large(result: Any) -> bool:
    return len(json.dumps(result, ensure_ascii=False, default=str).encode()) > LIMIT


def _limiting_output(module: Any, stock: Any) -> Any:
    """Wrap a state's execution, so that a too large output fails."""

    def execute(state: Any, given: Any, *rest: Any) -> Any:
        name = rest[-1]["State"]["Name"]
        output, following = stock(state, given, *rest)
        if _is_too_large(output):
            raise too_large(module, name)
        return output, following

    return execute


def patch(module: Any) -> None:
    stock_matches, stock_invoke = module._error_matches, module._invoke_resource
    stock_call, stock_event = module._call_lambda, module._add_event

    def matches(names: list[str], error: str) -> bool:
        if error in TERMINAL and error not in names:
            return False
        return bool(stock_matches(names, error))

    def invoke(resource: str, given: Any) -> Any:
        result = stock_invoke(resource, given)
        if _is_too_large(result):
            raise too_large(module, resource)
        return result

    def call(function: str, event: Any) -> Any:
        try:
            return stock_call(function, event)
        except module._ExecutionError as failed:
            if failed.error != "Lambda.Unknown":
                raise
            raise module._ExecutionError(failed.error, UNKNOWN + failed.cause) from failed

    def add_event(execution: Any, kind: str, details: dict[str, Any] | None = None) -> Any:
        for name, shown in list((details or {}).items()):
            if isinstance(shown, dict) and "cause" in shown:
                shown = {k: v for k, v in shown.items() if v or k not in ("error", "cause")}
                if kind == "TaskFailed" and shown.get("error") == "States.Timeout":
                    kind, name = "TaskTimedOut", "taskTimedOutEventDetails"
                details = {name: shown}
        return stock_event(execution, kind, details)

    for kind in ("pass", "task", "choice", "wait", "parallel", "map"):
        name = f"_execute_{kind}"
        setattr(module, name, _limiting_output(module, getattr(module, name)))
    module._error_matches, module._invoke_resource = matches, invoke
    module._call_lambda, module._add_event = call, add_event


TARGETS = {"ministack.services.stepfunctions": patch}
