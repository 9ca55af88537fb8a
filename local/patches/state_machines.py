"""Step Functions refuses an invalid definition, through its API and through CloudFormation.

Defect: the stock calls accept any text, even "not json", and check only JSONata's syntax; stock
ValidateStateMachineDefinition accepts everything. local/asl/ has the rules.
"""

import json
from typing import Any

from local import asl

MOST = 100  # diagnostics in one answer


def patch(module: Any) -> None:
    stock_create, stock_update = module._create_state_machine, module._update_state_machine

    def refuse(definition: Any, kind: str) -> Any:
        if message := asl.refusal(definition, kind):
            return module.error_response_json("InvalidDefinition", message, 400)
        return None

    def create(data: dict[str, Any]) -> Any:
        return refuse(data.get("definition"), data.get("type", "STANDARD")) or stock_create(data)

    def update(data: dict[str, Any]) -> Any:
        machine = module._state_machines.get(data.get("stateMachineArn"))
        if (
            machine
            and "definition" in data
            and (refused := refuse(data["definition"], machine["type"]))
        ):
            return refused
        return stock_update(data)

    def validate(data: dict[str, Any]) -> Any:
        found = asl.problems(data.get("definition"), data.get("type", "STANDARD"))
        most = int(data.get("maxResults") or MOST)
        diagnostics = [
            {"severity": "ERROR", "code": each.code, "message": each.message}
            | ({"location": each.location} if each.location else {})
            for each in found[:most]
        ]
        result = "FAIL" if found else "OK"
        answer = {"result": result, "diagnostics": diagnostics, "truncated": len(found) > most}
        return module.json_response(answer)

    module._validate_definition_jsonata = lambda definition: None  # our validation has run
    module._create_state_machine, module._update_state_machine = create, update
    module._validate_state_machine_definition = validate


def patch_templates(module: Any) -> None:
    machine = module._RESOURCE_HANDLERS["AWS::StepFunctions::StateMachine"]
    stock_create, stock_update = machine["create"], machine["update"]

    def refuse(properties: dict[str, Any]) -> None:
        kind = properties.get("StateMachineType", "STANDARD")
        if message := asl.refusal(module._sfn_definition(properties), kind):
            body = json.dumps({"__type": "InvalidDefinition", "message": message})
            raise module._sfn_service_error((400, {}, body))

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        refuse(properties)
        return stock_create(logical_id, properties, stack)

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        refuse(new)
        return stock_update(physical_id, old, new, *rest)

    machine["create"], machine["update"] = create, update


TARGETS = {
    "ministack.services.cloudformation.provisioners": patch_templates,
    "ministack.services.stepfunctions": patch,
}
