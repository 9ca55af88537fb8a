"""A nested execution fails its parent as on AWS.

Defects, by LocalStack's recordings in stepfunctions/v2: a parent that waits fails with the nested
execution's own error, where AWS has States.TaskFailed with a description as its cause
(callback/test_callback, test_start_execution_sync_delegate_failure); errors of StartExecution lack
the service's prefix and the SDK's details (error_handling/test_task_service_sfn).
"""

import json
from collections.abc import Callable
from typing import Any


def patch(module: Any) -> None:
    def named(stock: Callable[..., Any]) -> Callable[..., Any]:
        def invoke(*arguments: Any) -> Any:
            try:
                return stock(*arguments)
            except module._ExecutionError as failed:
                if failed.error.startswith("States."):
                    raise
                error = f"StepFunctions.{failed.error.removesuffix('Exception')}Exception"
                cause = (
                    f"{failed.cause} (Service: AWSStepFunctions; Status Code: 400; Error Code: "
                    f"{failed.error}; Request ID: {module.new_uuid()}; Proxy: null)"
                )
                raise module._ExecutionError(error, cause) from failed

        return invoke

    def failure(answer: dict[str, Any]) -> tuple[str, str]:
        shown = {
            "Cause": answer.get("cause"),
            "Error": answer.get("error"),
            "ExecutionArn": answer["executionArn"],
            "Input": answer["input"],
            "InputDetails": {"Included": True},
            "Name": answer["name"],
            "StartDate": module._iso_to_epoch_ms(answer["startDate"]),
            "StateMachineArn": answer["stateMachineArn"],
            "Status": answer["status"],
            "StopDate": module._iso_to_epoch_ms(answer["stopDate"]),
        }
        return "States.TaskFailed", json.dumps({k: v for k, v in shown.items() if v})

    for name in ("_invoke_nested_start_execution", "_invoke_nested_start_execution_sync"):
        setattr(module, name, named(getattr(module, name)))
    module._nested_execution_failure = failure


TARGETS = {"ministack.services.stepfunctions": patch}
