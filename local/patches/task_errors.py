"""A failed task has the error and the cause that Step Functions gives it.

Defects of the stock interpreter:
- an error that is not in DynamoDB's model keeps its own name (`DynamoDB.ValidationException`); on
  AWS it gets the service's;
- causes are bare messages; on AWS the calling SDK appends the service, the status and the request;
- a task that times out has a cause; on AWS the cause is empty.

AWS's answers are in function_errors and task_errors in tests/aws/fixtures.
"""

from __future__ import annotations

import uuid
from functools import cache
from typing import Any

_OPTIMIZED = "arn:aws:states:::dynamodb:"
_SDK = "arn:aws:states:::aws-sdk:dynamodb:"
_LAMBDA = "arn:aws:states:::lambda:"


def patch(module: Any) -> None:
    stock_invoke, stock_timed = module._invoke_resource, module._invoke_resource_with_timeout

    def invoke(resource: str, given: Any) -> Any:
        try:
            return stock_invoke(resource, given)
        except module._ExecutionError as error:
            name, cause = named(resource, error.error, error.cause)
            raise module._ExecutionError(name, cause) from error

    def timed(resource: str, given: Any, timeout: Any) -> Any:
        try:
            return stock_timed(resource, given, timeout)
        except module._ExecutionError as error:
            if error.error != "States.Timeout":
                raise
            raise module._ExecutionError("States.Timeout", "") from error

    module._invoke_resource, module._invoke_resource_with_timeout = invoke, timed


def named(resource: str, error: str, cause: str) -> tuple[str, str]:
    """AWS's error and cause for the stock interpreter's."""
    prefix, _, name = error.partition(".")
    request = uuid.uuid4()
    old_sdk = f"Status Code: {{}}; Error Code: {name}; Request ID: {request}; Proxy: null)"
    if resource.startswith(_OPTIMIZED) and prefix == "DynamoDB":
        known = name in _modelled()
        told = f"{cause} (Service: AmazonDynamoDBv2; {old_sdk.format(400)}"
        return error if known else "DynamoDB.AmazonDynamoDBException", told
    if resource.startswith(_SDK) and prefix == "DynamoDb":
        known = name in _modelled()
        told = f"{cause} (Service: DynamoDb, Status Code: 400, Request ID: {request})"
        return error if known else "DynamoDb.DynamoDbException", told
    if resource.startswith(_LAMBDA) and name == "ResourceNotFoundException":
        return error, f"{cause} (Service: AWSLambda; {old_sdk.format(404)}"
    return error, cause


@cache
def _modelled() -> frozenset[str]:
    """The errors in DynamoDB's model. Read when the first call fails."""
    from botocore.session import Session

    model = Session().get_service_model("dynamodb")
    shapes = (model.shape_for(name) for name in model.shape_names)
    return frozenset(
        shape.name for shape in shapes if getattr(shape, "metadata", {}).get("exception")
    )


TARGETS = {"ministack.services.stepfunctions": patch}
