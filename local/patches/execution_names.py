"""StartExecution is idempotent: the same name and input return the same running execution.

Defect: the stock call answers ExecutionAlreadyExists, so a retry looks like another caller's start.
"""

from typing import Any


def patch(module: Any) -> None:
    stock = module._start_execution

    def start(data: dict[str, Any]) -> Any:
        arn, name = data.get("stateMachineArn", ""), data.get("name")
        machine = module._state_machines.get(module._resolve_state_machine_arn(arn) or "")
        if machine and name:
            scope = f"{module.get_region()}:{module.get_account_id()}"
            running = module._executions.get(
                f"arn:aws:states:{scope}:execution:{machine['name']}:{name}"
            )
            if (
                running
                and running["status"] == "RUNNING"
                and running["input"] == data.get("input", "{}")
            ):
                answer = {key: running[key] for key in ("executionArn", "startDate")}
                return module.json_response(answer)
        return stock(data)

    module._start_execution = start


TARGETS = {"ministack.services.stepfunctions": patch}
