"""Lambda: a function reads a stream or a queue through one event source mapping.

Defect: the stock service creates a second mapping from the same source to the same function, both
through CreateEventSourceMapping and from a template. AWS refuses it, because filters and batch
sizes are not part of a mapping's key; its texts are in LocalStack's recordings of AWS:
`test_lambda_integration_dynamodbstreams.snapshot.json`,
`test_lambda_integration_sqs.snapshot.json`, test `test_duplicate_event_source_mappings` in both.

An alias or a version of a function has a key of its own. AWS does not refuse a third function on a
stream; its documentation says that more than two readers of a shard may be throttled.
"""

import threading
from typing import Any

QUEUE = 'An event source mapping with SQS arn (" {source} ") and function (" {function} ") '
QUEUE += "already exists."
STREAM = 'The event source arn (" {source} ") and function (" {function} ") provided mapping '
STREAM += "already exists."
REST = " Please update or delete the existing mapping with UUID {uuid}"

_lock = threading.RLock()


def conflict(
    mappings: dict[str, dict[str, Any]], source: str, function: str, but: str = ""
) -> str | None:
    """AWS's message if another mapping than `but` connects `source` to `function`, an ARN."""
    for uuid, mapping in mappings.items():
        if uuid != but and (mapping["EventSourceArn"], mapping["FunctionArn"]) == (
            source,
            function,
        ):
            sentence = QUEUE if ":sqs:" in source else STREAM
            name = function.partition(":function:")[2]
            return (sentence + REST).format(source=source, function=name, uuid=uuid)
    return None


def patch(module: Any) -> None:
    """lambda_svc: CreateEventSourceMapping, and UpdateEventSourceMapping to another function."""
    stock_create, stock_update = module._create_esm, module._update_esm

    def refused(source: str, data: dict[str, Any], but: str = "") -> Any:
        name, qualifier, error = module._resolve_existing_esm_function(data["FunctionName"])
        if error:
            return None  # the stock service says so
        function = module._func_arn(name) + (f":{qualifier}" if qualifier else "")
        text = conflict(dict(module._esms.items()), source, function, but)
        return text and module.error_response_json("ResourceConflictException", text, 409)

    def create(data: dict[str, Any]) -> Any:
        with _lock:
            source = data.get("EventSourceArn", "")
            return ("FunctionName" in data and refused(source, data)) or stock_create(data)

    def update(uuid: str, data: dict[str, Any]) -> Any:
        with _lock:
            source = module._esms.get(uuid, {}).get("EventSourceArn", "")
            return ("FunctionName" in data and refused(source, data, uuid)) or stock_update(
                uuid, data
            )

    module._create_esm, module._update_esm = create, update


def patch_template(module: Any) -> None:
    """provisioners: `AWS::Lambda::EventSourceMapping`, created, replaced or changed."""
    service = module._lambda_svc
    stock_create, stock_update = module._lambda_esm_create, module._lambda_esm_update

    def check(properties: dict[str, Any], but: str = "") -> None:
        reference = properties.get("FunctionName", "")
        function, name, arn, _ = module._lambda_function_for_cfn_ref(reference)
        arn = arn if function else service._func_arn(name)
        if text := conflict(dict(service._esms.items()), properties["EventSourceArn"], arn, but):
            raise ValueError(f'Resource handler returned message: "{text}" (AlreadyExists)')

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        with _lock:
            check(properties)
            return stock_create(logical_id, properties, stack)

    def update(uuid: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        with _lock:
            check(new, uuid)
            return stock_update(uuid, old, new, *rest)

    module._lambda_esm_create = create  # which a replacement calls
    mapping = module._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]
    mapping["create"], mapping["update"] = create, update


TARGETS = {
    "ministack.services.cloudformation.provisioners": patch_template,
    "ministack.services.lambda_svc": patch,
}
