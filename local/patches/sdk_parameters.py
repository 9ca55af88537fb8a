"""A task with unknown fields for its SDK integration, or with too much data, is refused.

Defects: the stock interpreter accepts DynamoDB's own names for the types of a value, where an SDK
integration (`aws-sdk:dynamodb:…`) has those of the AWS SDK for Java: Nul, Bool, Ss, Ns, Bs. It
accepts any other name as well, and arguments of any size.

AWS documents the names ("Learning to use AWS service SDK integrations": parameters are in
PascalCase) and the limit, which also applies to a state's processed input ("Handling errors in Step
Functions workflows", States.DataLimitExceeded). No Catch applies to either error, see task_results.
"""

import json
from collections.abc import Iterator
from typing import Any

from local.patches.task_results import LIMIT, too_large

_SDK_NAMES = {"NULL": "Nul", "BOOL": "Bool", "SS": "Ss", "NS": "Ns", "BS": "Bs"}


def unknown(value: Any, shape: Any) -> Iterator[str]:
    """The fields in `value` that the SDK integration does not know. `shape` is botocore's."""
    if shape.type_name == "structure" and isinstance(value, dict):
        known = {_SDK_NAMES.get(name, name): shape.members[name] for name in shape.members}
        for name, each in value.items():
            if name not in known:
                yield name
            else:
                yield from unknown(each, known[name])
    elif shape.type_name == "list" and isinstance(value, list):
        for each in value:
            yield from unknown(each, shape.member)
    elif shape.type_name == "map" and isinstance(value, dict):
        for each in value.values():
            yield from unknown(each, shape.value)


def patch(module: Any) -> None:
    stock_sdk, stock_invoke = module._invoke_aws_sdk_integration, module._invoke_resource

    def invoke_sdk(resource: str, arguments: Any) -> Any:
        service, action = resource.split(":")[6:8]
        if service == "dynamodb":
            operation = action.split(".")[0]
            model = module._service_model(service)
            shape = model.operation_model(operation[:1].upper() + operation[1:]).input_shape
            if fields := sorted(set(unknown(arguments, shape))):
                refused = ", ".join(
                    f'The field "{name}" is not supported by Step Functions' for name in fields
                )
                raise module._ExecutionError(
                    "States.Runtime",
                    f"The Arguments '{json.dumps(arguments)}' could not be used to start the Task: "
                    f"[{refused}]",
                )
        return stock_sdk(resource, arguments)

    def invoke(resource: str, arguments: Any) -> Any:
        if len(json.dumps(arguments, ensure_ascii=False).encode("utf-8", "surrogatepass")) > LIMIT:
            # AWS uses this message for input, too (test_states_errors, test_start_large_input).
            raise too_large(module, resource)
        return stock_invoke(resource, arguments)

    module._invoke_aws_sdk_integration, module._invoke_resource = invoke_sdk, invoke


TARGETS = {"ministack.services.stepfunctions": patch}
