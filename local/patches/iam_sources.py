"""Event sources need permissions: to invoke a function, or to be read by Lambda for it.

Defects: the stock pollers read every stream and queue, and send failures to their destination, as
the account's root user; a mapping is created for a function whose role may not read the source;
EventBridge and SNS invoke functions without their permission.

AWS's sentences are in these reports: https://github.com/aws-samples/lambda-refarch-webapp/issues/7
(streams) and https://github.com/anomalyco/sst/issues/5737 (queues). The rights that a function's
role needs: https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html
and https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
"""

from collections.abc import Iterator
from typing import Any

from local import iam
from local.resource_policy import may_invoke

STREAM = ("GetRecords", "GetShardIterator", "DescribeStream")
QUEUE = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")


def reading(source: str) -> list[iam.Check]:
    """The actions that a function's role needs, so that Lambda can read the source for it."""
    if ":dynamodb:" in source:
        checks = [iam.Check(f"dynamodb:{name}", source) for name in STREAM]
        return [*checks, iam.Check("dynamodb:ListStreams")]  # it knows no resource
    if ":sqs:" in source:
        return [iam.Check(f"sqs:{name}", source) for name in QUEUE]
    return []


def denied(role: str, function: str, source: str) -> iam.Denial | None:
    return iam.denial(role, function, reading(source))


def refusal(role: str, function: str, source: str) -> str | None:
    """Why AWS refuses the mapping; None if it does not."""
    found = denied(role, function, source)
    if found is None:
        return None
    if ":sqs:" in source:
        name = found.check.action.partition(":")[2]
        return f"The function execution role does not have permissions to call {name} on SQS"
    return (
        f"Cannot access stream {source}. Please ensure the role can perform the GetRecords, "
        "GetShardIterator, DescribeStream, and ListStreams Actions on your stream in IAM."
    )


def patch(module: Any) -> None:
    """lambda_svc: mappings, and the pollers."""
    stock_create, stock_all = module._create_esm, module._iter_all_esms
    stock_aside = module._send_ddb_stream_failure_record

    def role_of(name: str) -> tuple[str, str] | None:
        _, config, function = module._get_func_record_for_ref(name)
        return (config["Role"], function) if config and config.get("Role") else None

    def create(data: dict[str, Any]) -> Any:
        known = role_of(data.get("FunctionName", ""))
        if known and (text := refusal(*known, data.get("EventSourceArn", ""))):
            return module.error_response_json("InvalidParameterValueException", text, 400)
        return stock_create(data)

    def all_that_may_read() -> Iterator[Any]:
        from ministack.core.responses import request_scope

        for account, region, mapping in stock_all():
            with request_scope(account, region):
                known = role_of(mapping["FunctionArn"])
                found = denied(*known, mapping["EventSourceArn"]) if known else None
            if found is None:
                yield account, region, mapping
            else:
                mapping["LastProcessingResult"] = f"PROBLEM: {found.message}"

    def put_aside(mapping: dict[str, Any], function: Any, *rest: Any) -> Any:
        to = ((mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get(
            "Destination", ""
        )
        known = role_of(mapping["FunctionArn"])
        action = "sqs:SendMessage" if ":sqs:" in to else "sns:Publish"
        if to and known and iam.denial(*known, [iam.Check(action, to)]):
            return None  # lost, as on AWS
        return stock_aside(mapping, function, *rest)

    module._create_esm, module._iter_all_esms = create, all_that_may_read
    module._send_ddb_stream_failure_record = put_aside


def patch_template(module: Any) -> None:
    """provisioners: `AWS::Lambda::EventSourceMapping`, for any creator."""
    mapping = module._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]
    stock = mapping["create"]

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        from ministack.services import lambda_svc

        _, config, name = lambda_svc._get_func_record_for_ref(properties.get("FunctionName", ""))
        role = (config or {}).get("Role")
        if role and (text := refusal(role, name, properties.get("EventSourceArn", ""))):
            raise ValueError(
                f'Resource handler returned message: "{text} (Service: Lambda, Status Code: 400, '
                f'Request ID: {module.new_uuid()})" (RequestToken: {module.new_uuid()}, '
                "HandlerErrorCode: InvalidRequest)"
            )
        return stock(logical_id, properties, stack)

    mapping["create"] = create


def patch_rules(module: Any) -> None:
    """eventbridge: a function is invoked if its policy lets the rule, a state machine by a role.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    """
    stock = module._invoke_target

    def invoke(target: dict[str, Any], event: Any, rule: dict[str, Any], view: Any = None) -> Any:
        arn, role = target.get("Arn", ""), target.get("RoleArn", "")
        if ":function:" in arn:
            allowed = may_invoke(arn, [rule["Arn"]], service="events.amazonaws.com")
        elif ":stateMachine:" in arn:
            start = iam.Check("states:StartExecution", arn)
            allowed = bool(role) and iam.denial(role, "events", [start]) is None
        else:
            allowed = True
        return stock(target, event, rule, view) if allowed else None

    module._invoke_target = invoke


def patch_topics(module: Any) -> None:
    """sns: a function is invoked if its policy lets the topic."""
    stock = module._deliver_to_lambda

    def deliver(endpoint: str, envelope: str, topic: str, *rest: Any) -> Any:
        if may_invoke(endpoint, [topic], service="sns.amazonaws.com"):
            return stock(endpoint, envelope, topic, *rest)
        return None

    module._deliver_to_lambda = deliver


TARGETS = {
    "ministack.services.cloudformation.provisioners": patch_template,
    "ministack.services.eventbridge": patch_rules,
    "ministack.services.lambda_svc": patch,
    "ministack.services.sns": patch_topics,
}
