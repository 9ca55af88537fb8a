"""A refused request gets AWS's message, in the form of its service's protocol.

Defects: the stock message omits the resource and always blames an identity-based policy; all JSON
services answer 403, while those that are called with X-Amz-Target answer 400 on AWS, with a
capital M in `Message`.
"""

import json
from typing import Any

from local.iam import Denial
from local.patches.iam_evaluator import denied

# The models of these are awsQueryCompatible: SDKs read the code of the former protocol in a header.
WITH_CODES_OF_OLD = ("monitoring", "sqs")
# Services that put the namespace of their framework before an error that is not their own.
CORAL = "com.amazon.coral.service#"


def patch(module: Any) -> None:
    stock = module.access_denied_response

    def refuse(service: str, action: str, principal_arn: str, request_id: str, **more: Any) -> Any:
        why = denied.get()
        denied.set(None)
        if more.get("error_code") or why is None or why.principal != principal_arn:
            return stock(service, action, principal_arn, request_id, **more)
        message = _resource_policy_message(module, service, why, more) or why.message
        headers = more.get("headers") or {}
        json_only = module._SERVICE_PROTOCOL.get(service, "json") == "json"
        if json_only and service not in WITH_CODES_OF_OLD:
            by_name = headers.get("x-amz-target")
            return targeted(service, message) if by_name else rest_json(message)
        answer = stock(service, action, principal_arn, request_id, headers=headers, message=message)
        if service in WITH_CODES_OF_OLD:
            answer[1]["x-amzn-query-error"] = "AccessDenied;Sender"
        return answer

    module.access_denied_response = refuse


def _resource_policy_message(module: Any, service: str, why: Denial, more: Any) -> str:
    if not more.get("resource_policy_arn"):
        return ""
    arn = more["resource_policy_arn"]
    message: str = module._resource_policy_denial(service, why.check.action, why.principal, arn)
    return message


def targeted(service: str, message: str) -> tuple[int, dict[str, str], bytes]:
    """AWS's JSON protocol, in which a header names the operation."""
    version = "1.0" if service in ("dynamodb", "dynamodbstreams", "states") else "1.1"
    prefix = CORAL if service in ("dynamodb", "dynamodbstreams") else ""
    body = {"__type": f"{prefix}AccessDeniedException", "Message": message}
    headers = {"Content-Type": f"application/x-amz-json-{version}"}
    return 400, headers, json.dumps(body).encode()


def rest_json(message: str) -> tuple[int, dict[str, str], bytes]:
    """AWS's protocol of paths and methods. A header names the error."""
    headers = {"Content-Type": "application/json", "x-amzn-errortype": "AccessDeniedException"}
    return 403, headers, json.dumps({"Message": message}).encode()


TARGETS = {"ministack.core.iam_actions": patch}
