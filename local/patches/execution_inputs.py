"""StartExecution refuses an input that is not JSON.

Defect: the stock call replaces such an input with an empty object. The message is that of
LocalStack's recording stepfunctions/v2 test_sfn_api, test_invalid_start_execution_input; the
parser's own message differs.
"""

import json
from typing import Any


def patch(module: Any) -> None:
    def refusing(stock: Any) -> Any:
        def start(data: dict[str, Any]) -> Any:
            try:
                json.loads(data.get("input") or "{}")
            except ValueError as error:
                message = f"Invalid State Machine Execution Input: '{error}'"
                return module.error_response_json("InvalidExecutionInput", message, 400)
            return stock(data)

        return start

    module._start_execution = refusing(module._start_execution)
    module._start_sync_execution = refusing(module._start_sync_execution)


TARGETS = {"ministack.services.stepfunctions": patch}
