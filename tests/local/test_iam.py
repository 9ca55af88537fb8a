"""Signed requests are allowed by policies (patches/iam_requests.py, iam_words.py).

The sentences are AWS's: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

import uuid
from typing import Any

import pytest

from local.iam_keys import Key
from local.platform import Platform
from tests.support.local.callers import acting, refusal
from tests.support.local.platform import allow, deny, policy

ACCOUNT = "000000000000"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/only-reading"


@pytest.fixture(scope="module")
def table(platform: Platform) -> str:
    name = f"iam-{uuid.uuid4().hex[:8]}"
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    types = [{"AttributeName": "pk", "AttributeType": "S"}]
    platform.client("dynamodb").create_table(
        TableName=name, KeySchema=keys, AttributeDefinitions=types, BillingMode="PAY_PER_REQUEST"
    )
    return f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{name}"


@pytest.fixture(scope="module", autouse=True)
def _boundary(platform: Platform) -> None:
    platform.client("iam").create_policy(
        PolicyName=BOUNDARY.rpartition("/")[2], PolicyDocument=policy(allow("dynamodb:GetItem"))
    )


def put(table: str) -> dict[str, Any]:
    return {"TableName": table.rpartition("/")[2], "Item": {"pk": {"S": "1"}}}


def test_a_call_that_the_policy_of_the_role_allows_is_made(platform: Platform, table: str) -> None:
    key = acting(platform, allow("dynamodb:PutItem", on=table))

    assert platform.client("dynamodb", key).put_item(**put(table))


def test_a_call_that_no_policy_allows_is_refused_in_the_words_of_aws(
    platform: Platform, table: str
) -> None:
    key = acting(platform, allow("dynamodb:GetItem", on=table))
    me = platform.client("sts", key).get_caller_identity()["Arn"]

    refused = refusal(platform, key, "dynamodb", "put_item", **put(table))

    assert me.startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/iam-") and me.endswith("/me")
    assert refused["Error"] == {
        "Code": "AccessDeniedException",
        "Message": (
            f"User: {me} is not authorized to perform: dynamodb:PutItem on resource: {table} "
            "because no identity-based policy allows the dynamodb:PutItem action"
        ),
    }
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_explicit_deny_is_reported_as_one(platform: Platform, table: str) -> None:
    key = acting(platform, allow("*"), deny("dynamodb:PutItem", on=table))

    refused = refusal(platform, key, "dynamodb", "put_item", **put(table))

    assert refused["Error"]["Message"].endswith(
        f"on resource: {table} with an explicit deny in an identity-based policy"
    )


def test_a_permissions_boundary_limits_what_policies_allow(platform: Platform, table: str) -> None:
    key = acting(platform, allow("dynamodb:*", on=table), boundary=BOUNDARY)
    dynamodb = platform.client("dynamodb", key)

    assert dynamodb.get_item(TableName=put(table)["TableName"], Key={"pk": {"S": "1"}})
    refused = refusal(platform, key, "dynamodb", "put_item", **put(table))

    assert refused["Error"]["Message"].endswith(
        "because no permissions boundary allows the dynamodb:PutItem action"
    )


def test_a_boundary_allows_nothing_by_itself(platform: Platform, table: str) -> None:
    key = acting(platform, boundary=BOUNDARY)
    request = {"TableName": put(table)["TableName"], "Key": {"pk": {"S": "1"}}}

    refused = refusal(platform, key, "dynamodb", "get_item", **request)

    assert "because no identity-based policy allows" in refused["Error"]["Message"]


def test_each_part_of_a_transaction_is_judged_as_the_action_it_is(
    platform: Platform, table: str
) -> None:
    key = acting(platform, allow("dynamodb:PutItem", on=table))
    name = put(table)["TableName"]
    check = {"TableName": name, "Key": {"pk": {"S": "2"}}, "ConditionExpression": "pk = pk"}
    parts = [{"Put": put(table)}, {"ConditionCheck": check}]

    refused = refusal(platform, key, "dynamodb", "transact_write_items", TransactItems=parts)

    assert "perform: dynamodb:ConditionCheckItem on" in refused["Error"]["Message"]
    platform.client("dynamodb", key).transact_write_items(TransactItems=parts[:1])


def test_an_index_is_a_resource_of_its_own(platform: Platform, table: str) -> None:
    key = acting(platform, allow("dynamodb:Query", on=table))
    condition = {
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": "1"}},
    }
    name = put(table)["TableName"]

    platform.client("dynamodb", key).query(TableName=name, **condition)
    refused = refusal(
        platform, key, "dynamodb", "query", TableName=name, IndexName="index", **condition
    )

    assert f"dynamodb:Query on resource: {table}/index/index because" in refused["Error"]["Message"]


QUEUE = f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/iam-queue"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:iam-topic"
LAMBDA = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function"
STATES = f"arn:aws:states:us-east-1:{ACCOUNT}"
ALARM = f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm"
PARAMETER = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter"


@pytest.mark.parametrize(
    ("service", "operation", "request_", "code", "status", "asked"),
    [
        (
            "s3",
            "put_object",
            {"Bucket": "iam-bucket", "Key": "a/b", "Body": b""},
            "AccessDenied",
            403,
            's3:PutObject on resource: "arn:aws:s3:::iam-bucket/a/b"',
        ),
        (
            "sqs",
            "send_message",
            {"QueueUrl": QUEUE, "MessageBody": "x"},
            "AccessDenied",
            403,
            f"sqs:sendmessage on resource: arn:aws:sqs:us-east-1:{ACCOUNT}:iam-queue",
        ),
        (
            "sns",
            "publish",
            {"TopicArn": TOPIC, "Message": "x"},
            "AuthorizationError",
            403,
            f"SNS:Publish on resource: {TOPIC}",
        ),
        (
            "lambda",
            "invoke",
            {"FunctionName": "f"},
            "AccessDeniedException",
            403,
            f"lambda:InvokeFunction on resource: {LAMBDA}:f",
        ),
        (
            "lambda",
            "get_function_concurrency",
            {"FunctionName": "f"},
            "AccessDeniedException",
            403,
            f"lambda:GetFunctionConcurrency on resource: {LAMBDA}:f",
        ),
        (
            "iam",
            "create_role",
            {"RoleName": "r", "AssumeRolePolicyDocument": "{}"},
            "AccessDenied",
            403,
            f"iam:CreateRole on resource: arn:aws:iam::{ACCOUNT}:role/r",
        ),
        (
            "cloudformation",
            "create_stack",
            {"StackName": "s", "TemplateBody": "{}"},
            "AccessDenied",
            403,
            "cloudformation:CreateStack on resource: "
            f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/s/*",
        ),
        (
            "cloudformation",
            "validate_template",
            {"TemplateBody": "{}"},
            "AccessDenied",
            403,
            "cloudformation:ValidateTemplate on resource: *",
        ),
        (
            "cloudwatch",
            "put_metric_alarm",
            {
                "AlarmName": "a",
                "ComparisonOperator": "GreaterThanThreshold",
                "EvaluationPeriods": 1,
            },
            "AccessDenied",
            403,
            f"cloudwatch:PutMetricAlarm on resource: {ALARM}:a",
        ),
        (
            "stepfunctions",
            "start_execution",
            {"stateMachineArn": f"{STATES}:stateMachine:m"},
            "AccessDeniedException",
            400,
            f"states:StartExecution on resource: {STATES}:stateMachine:m",
        ),
        (
            "stepfunctions",
            "get_execution_history",
            {"executionArn": f"{STATES}:execution:m:e"},
            "AccessDeniedException",
            400,
            f"states:GetExecutionHistory on resource: {STATES}:execution:m:e",
        ),
        (
            "events",
            "enable_rule",
            {"Name": "r"},
            "AccessDeniedException",
            400,
            f"events:EnableRule on resource: arn:aws:events:us-east-1:{ACCOUNT}:rule/r",
        ),
        (
            "events",
            "enable_rule",
            {"Name": "r", "EventBusName": "b"},
            "AccessDeniedException",
            400,
            f"events:EnableRule on resource: arn:aws:events:us-east-1:{ACCOUNT}:rule/b/r",
        ),
        (
            "ssm",
            "put_parameter",
            {"Name": "/s/p", "Value": "v", "Type": "String"},
            "AccessDeniedException",
            400,
            f"ssm:PutParameter on resource: {PARAMETER}/s/p",
        ),
        (
            "ssm",
            "get_parameters",
            {"Names": ["/s/p:3"]},
            "AccessDeniedException",
            400,
            f"ssm:GetParameters on resource: {PARAMETER}/s/p",
        ),
        (
            "ssm",
            "get_parameters_by_path",
            {"Path": "/s/"},
            "AccessDeniedException",
            400,
            f"ssm:GetParametersByPath on resource: {PARAMETER}/s/",
        ),
        (
            "apigatewayv2",
            "create_route",
            {"ApiId": "a", "RouteKey": "GET /"},
            "AccessDeniedException",
            403,
            "apigateway:POST on resource: arn:aws:apigateway:us-east-1::/apis/a/routes",
        ),
        (
            "secretsmanager",
            "get_secret_value",
            {"SecretId": "not-there"},
            "AccessDeniedException",
            400,
            "secretsmanager:GetSecretValue on resource: "
            f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:not-there",
        ),
        (
            "dynamodbstreams",
            "describe_stream",
            {"StreamArn": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/t/stream/2026-01-01T00:00"},
            "AccessDeniedException",
            400,
            "dynamodb:DescribeStream on resource: "
            f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/t/stream/2026-01-01T00:00",
        ),
    ],
)
def test_every_service_refuses_in_its_own_form(
    platform: Platform,
    nobody: Key,
    service: str,
    operation: str,
    request_: dict[str, Any],
    code: str,
    status: int,
    asked: str,
) -> None:
    refused = refusal(platform, nobody, service, operation, **request_)

    assert refused["Error"]["Code"] == code
    assert f"/me is not authorized to perform: {asked} because" in refused["Error"]["Message"]
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.fixture(scope="module")
def nobody(platform: Platform) -> Key:
    """A session of a role without any right."""
    platform.client("s3").create_bucket(Bucket="iam-bucket")
    return acting(platform)


def test_all_parameters_of_a_call_are_judged(platform: Platform) -> None:
    key = acting(platform, allow("ssm:GetParameters", on=f"{PARAMETER}/mine/*"))

    platform.client("ssm", key).get_parameters(Names=["/mine/a", "/mine/b"])
    refused = refusal(platform, key, "ssm", "get_parameters", Names=["/mine/a", "/yours/b"])

    assert f"{PARAMETER}/yours/b" in refused["Error"]["Message"]
