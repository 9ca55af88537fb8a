"""A state machine acts with its own role: a call that the role may not make fails its task.

Defect: the stock interpreter makes every call as the account's root user.

The calling SDK names the error, so its form depends on the integration:
- lambda:invoke: https://github.com/awslabs/aws-deployment-framework/issues/460 quotes an execution;
- dynamodb:*: DynamoDB's model has no AccessDeniedException, so the error has the service's own name
  and cause, as for the ValidationException in LocalStack's recording error_handling/
  test_task_service_dynamodb, test_put_item_invalid_table_name (patches/task_errors.py adds them);
- aws-sdk:*: the same rule and form as in its error_handling/test_aws_sdk.
"""

import contextvars
import hashlib
import json
import uuid
from typing import Any, NamedTuple

from local import iam
from local.iam_requests import all_checks

SDK = "arn:aws:states:::aws-sdk:"


class Acting(NamedTuple):
    """The role that makes the calls, its session's name, and the resource that is called."""

    role: str
    session: str
    resource: str = ""


acting: contextvars.ContextVar[Acting | None] = contextvars.ContextVar("acting", default=None)


class Integration(NamedTuple):
    """An optimized integration: its request, and the SDK's name for a refusal."""

    service: str
    target: str
    error: str
    sdk: str
    status: int
    code: str = "AccessDeniedException"


OPTIMIZED = {
    "lambda:invoke": Integration("lambda", "", "Lambda.AWSLambdaException", "AWSLambda", 403),
    "sqs:sendMessage": Integration(
        "sqs", "AmazonSQS.SendMessage", "SQS.AmazonSQSException", "AmazonSQS", 403, "AccessDenied"
    ),
    "sns:publish": Integration(
        "sns", "", "SNS.AuthorizationErrorException", "AmazonSNS", 403, "AuthorizationError"
    ),
    "events:putEvents": Integration(
        "events",
        "AWSEvents.PutEvents",
        "EventBridge.AmazonEventBridgeException",
        "AmazonEventBridge",
        400,
    ),
    "states:startExecution": Integration(
        "states",
        "AWSStepFunctions.StartExecution",
        "StepFunctions.AWSStepFunctionsException",
        "AWSStepFunctions",
        400,
    ),
} | {
    f"dynamodb:{name}Item": Integration(
        "dynamodb",
        f"DynamoDB_20120810.{name.capitalize()}Item",
        "DynamoDB.AccessDeniedException",
        "",
        400,
    )
    for name in ("get", "put", "update", "delete")
}


def patch(module: Any) -> None:
    stock_task, stock_invoke = module._execute_task, module._invoke_resource

    def task(state: Any, given: Any, execution: dict[str, Any], ctx: Any) -> Any:
        machine = module._state_machines.get(execution["stateMachineArn"]) or {}
        # On AWS the name is random and has the same length.
        session = hashlib.md5(execution["executionArn"].encode(), usedforsecurity=False)
        here = acting.set(Acting(machine.get("roleArn", ""), session.hexdigest()))
        try:
            return stock_task(state, given, execution, ctx)
        finally:
            acting.reset(here)

    def invoke(resource: str, given: Any) -> Any:
        by = acting.get()
        if by is None or not by.role:
            return stock_invoke(resource, given)
        integration = _integration(resource)
        if integration and (
            denied := iam.denial(*by[:2], _request_checks(integration, resource, given))
        ):
            raise module._ExecutionError(integration.error, _error_cause(integration, denied))
        here = acting.set(by._replace(resource=resource))
        try:
            return stock_invoke(resource, given)
        finally:
            acting.reset(here)

    module._execute_task, module._invoke_resource = task, invoke


def _integration(resource: str) -> Integration | None:
    if ":function:" in resource:  # the function's ARN instead of an integration's
        return OPTIMIZED["lambda:invoke"]
    name = resource.removeprefix("arn:aws:states:::").removesuffix(".waitForTaskToken")
    return OPTIMIZED.get(name.partition(".sync")[0])


def _request_checks(integration: Integration, resource: str, given: Any) -> list[iam.Check]:
    """The checks for the integration's request, as if it had been sent over HTTP."""
    given = given if isinstance(given, dict) else {}
    if integration.service == "lambda":
        name = resource if ":function:" in resource else str(given.get("FunctionName", ""))
        return all_checks(
            "lambda", "POST", f"/2015-03-31/functions/{name}/invocations", {}, b"", {}
        )
    if integration.service == "sns":
        params = {**given, "Action": "Publish"}
        return all_checks("sns", "POST", "/", {}, b"", params)
    if integration.service == "states":
        given = {"stateMachineArn": given.get("StateMachineArn", "")}
    body = json.dumps(given).encode()
    return all_checks(
        integration.service, "POST", "/", {"x-amz-target": integration.target}, body, {}
    )


def _error_cause(integration: Integration, denied: iam.Denial) -> str:
    if not integration.sdk:
        return denied.message
    return (
        f"{denied.message} (Service: {integration.sdk}; Status Code: {integration.status}; "
        f"Error Code: {integration.code}; Request ID: {uuid.uuid4()}; Proxy: null)"
    )


def patch_calls(module: Any) -> None:
    """app: the requests that aws-sdk integrations make."""
    stock = module.call_service_handler_sync

    def call(
        handler: Any, method: str, path: str, headers: Any, body: Any, params: Any, **more: Any
    ) -> Any:
        by = acting.get()
        if by and by.resource.startswith(SDK):
            service = headers["host"].partition(".")[0]
            raw = body.encode() if isinstance(body, str) else body
            routing = module._routing_params(method, path, headers, raw, params)
            checks = all_checks(service, method, path, headers, raw, routing)
            if denied := iam.denial(*by[:2], checks):
                raise _sdk_refusal(by.resource, denied, 400 if "x-amz-target" in headers else 403)
        return stock(handler, method, path, headers, body, params, **more)

    module.call_service_handler_sync = call


def _sdk_refusal(resource: str, denied: iam.Denial, status: int) -> Exception:
    from ministack.services import stepfunctions

    service = resource.removeprefix(SDK).partition(":")[0]
    prefix = stepfunctions._AWS_SDK_ERROR_PREFIX.get(service, service.capitalize())
    if service == "dynamodb":
        error: Exception = stepfunctions._ExecutionError(
            f"{prefix}.AccessDeniedException", denied.message
        )
        return error
    modelled = service == "ssm"  # among the services that the emulator has integrations for
    name = "AccessDeniedException" if modelled else f"{prefix}Exception"
    told = f"(Service: {prefix}, Status Code: {status}, Request ID: {uuid.uuid4()})"
    error = stepfunctions._ExecutionError(f"{prefix}.{name}", f"{denied.message} {told}")
    return error


TARGETS = {
    "ministack.app": patch_calls,
    "ministack.services.stepfunctions": patch,
}
