"""State machines call with their own roles (patches/iam_executions.py).

AWS's answers: for lambda:invoke, an execution quoted in
https://github.com/awslabs/aws-deployment-framework/issues/460; for the others, the form in which
LocalStack's recordings stepfunctions/v2/error_handling/{test_task_service_dynamodb,test_aws_sdk}
have an error that the service's model lacks, as DynamoDB's lacks AccessDeniedException.
"""

import re
import uuid
from typing import Any

import pytest

from local.platform import Platform
from tests.support.local.platform import allow, deny, policy, role, run

ACCOUNT = "000000000000"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function"
ITEM = {"pk": {"S": "iam"}, "sk": {"S": "1"}}


def machine_role(platform: Platform, *statements: dict[str, Any], **more: Any) -> str:
    return role(platform, f"machine-{uuid.uuid4().hex[:8]}", *statements, **more)


def task(resource: str, **arguments: Any) -> dict[str, Any]:
    resource = resource if resource.startswith("arn:") else f"arn:aws:states:::{resource}"
    state = {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True}
    return {"Task": state | {"TimeoutSeconds": 5}}


def table_arn(platform: Platform) -> str:
    return f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{platform.outputs['TableName']}"


def put(platform: Platform) -> dict[str, Any]:
    return task("dynamodb:putItem", TableName=platform.outputs["TableName"], Item=ITEM)


def refused(
    platform: Platform, states: dict[str, Any], *statements: dict[str, Any], **more: Any
) -> tuple[str, str]:
    """The error and the cause of an execution whose role has the statements."""
    ended = run(platform, states, roleArn=machine_role(platform, *statements, **more))
    assert ended["status"] == "FAILED"
    return ended["error"], ended["cause"]


def sentence(action: str, resource: str, kind: str = "identity-based policy") -> str:
    """A pattern of AWS's sentence."""
    return (
        rf"User: arn:aws:sts::{ACCOUNT}:assumed-role/machine-\w{{8}}/\w{{32}} is not authorized to "
        rf"perform: {action} on resource: {re.escape(resource)} "
        rf"because no {kind} allows the {action} action"
    )


def test_a_task_that_the_role_allows_is_done(platform: Platform) -> None:
    may = allow("dynamodb:PutItem", on=table_arn(platform))

    ended = run(platform, put(platform), roleArn=machine_role(platform, may))

    assert ended["status"] == "SUCCEEDED", ended


def test_a_function_that_the_role_may_not_invoke(platform: Platform) -> None:
    name = platform.outputs["TaskFunction"]

    error, cause = refused(platform, task("lambda:invoke", FunctionName=name, Payload={}))

    assert error == "Lambda.AWSLambdaException"
    assert re.fullmatch(
        sentence("lambda:InvokeFunction", name)
        + r" \(Service: AWSLambda; Status Code: 403; Error Code: AccessDeniedException; "
        r"Request ID: [\w-]{36}; Proxy: null\)",
        cause,
    )


def test_a_function_in_the_place_of_an_integration(platform: Platform) -> None:
    name = platform.outputs["TaskFunction"]

    assert refused(platform, task(name))[0] == "Lambda.AWSLambdaException"
    may = machine_role(platform, allow("lambda:InvokeFunction", on=name))
    assert run(platform, task(name), roleArn=may)["status"] == "SUCCEEDED"


def test_an_item_that_the_role_may_not_write(platform: Platform) -> None:
    error, cause = refused(platform, put(platform), allow("dynamodb:GetItem"))

    assert error == "DynamoDB.AmazonDynamoDBException"
    assert re.fullmatch(
        sentence("dynamodb:PutItem", table_arn(platform))
        + r" \(Service: AmazonDynamoDBv2; Status Code: 400; Error Code: AccessDeniedException; "
        r"Request ID: [\w-]{36}; Proxy: null\)",
        cause,
    )


def test_a_boundary_limits_a_state_machine(platform: Platform) -> None:
    name = f"boundary-{uuid.uuid4().hex[:8]}"
    platform.client("iam").create_policy(
        PolicyName=name, PolicyDocument=policy(allow("dynamodb:GetItem"))
    )
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/{name}"

    _, cause = refused(platform, put(platform), allow("*"), boundary=boundary)

    assert re.match(
        sentence("dynamodb:PutItem", table_arn(platform), "permissions boundary"), cause
    )


def test_an_explicit_deny_is_reported_as_one(platform: Platform) -> None:
    _, cause = refused(platform, put(platform), allow("*"), deny("dynamodb:PutItem"))

    assert f"on resource: {table_arn(platform)} with an explicit deny in an identity-based" in cause


def test_each_part_of_a_transaction_is_judged_as_the_action_it_is(platform: Platform) -> None:
    name = platform.outputs["TableName"]
    there = {"TableName": name, "Key": ITEM}
    parts = [
        {"Put": {"TableName": name, "Item": ITEM}},
        {"Update": {**there, "UpdateExpression": "REMOVE other"}},
        {"Delete": there},
    ]
    states = task("aws-sdk:dynamodb:transactWriteItems", TransactItems=parts)

    error, cause = refused(platform, states, allow("dynamodb:PutItem", "dynamodb:UpdateItem"))

    assert error == "DynamoDb.DynamoDbException"
    assert re.fullmatch(
        sentence("dynamodb:DeleteItem", table_arn(platform))
        + r" \(Service: DynamoDb, Status Code: 400, Request ID: [\w-]{36}\)",
        cause,
    )


@pytest.mark.parametrize(
    ("resource", "arguments", "error", "action", "where"),
    [
        (
            "sqs:sendMessage",
            {"QueueUrl": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/q", "MessageBody": "x"},
            "SQS.AmazonSQSException",
            "sqs:sendmessage",
            f"arn:aws:sqs:us-east-1:{ACCOUNT}:q",
        ),
        (
            "sns:publish",
            {"TopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:t", "Message": "x"},
            "SNS.AuthorizationErrorException",
            "SNS:Publish",
            f"arn:aws:sns:us-east-1:{ACCOUNT}:t",
        ),
        (
            "states:startExecution",
            {"StateMachineArn": f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:m"},
            "StepFunctions.AWSStepFunctionsException",
            "states:StartExecution",
            f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:m",
        ),
        (
            "aws-sdk:secretsmanager:getSecretValue",
            {"SecretId": "s"},
            "SecretsManager.SecretsManagerException",
            "secretsmanager:GetSecretValue",
            f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:s",
        ),
        (
            "aws-sdk:ssm:getParameter",
            {"Name": "/p"},
            "Ssm.AccessDeniedException",
            "ssm:GetParameter",
            f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/p",
        ),
        (
            "aws-sdk:lambda:getFunction",
            {"FunctionName": "f"},
            "Lambda.LambdaException",
            "lambda:GetFunction",
            f"{FUNCTION}:f",
        ),
        ("aws-sdk:s3:listBuckets", {}, "S3.S3Exception", "s3:ListAllMyBuckets", '"*"'),
        ("aws-sdk:sqs:listQueues", {}, "Sqs.SqsException", "sqs:listqueues", "*"),
    ],
)
def test_every_call_of_a_state_machine_is_authorized(
    platform: Platform,
    resource: str,
    arguments: dict[str, Any],
    error: str,
    action: str,
    where: str,
) -> None:
    told, cause = refused(platform, task(resource, **arguments))

    assert told == error
    assert re.match(sentence(action, where), cause)


def test_a_refusal_may_be_caught(platform: Platform) -> None:
    states = put(platform) | {"Told": {"Type": "Succeed", "Output": "{% $told %}"}}
    caught = {"ErrorEquals": ["States.TaskFailed"], "Next": "Told"}
    states["Task"]["Catch"] = [caught | {"Assign": {"told": "{% $states.errorOutput.Error %}"}}]

    ended = run(platform, states, roleArn=machine_role(platform))

    assert ended["output"] == '"DynamoDB.AmazonDynamoDBException"'


def test_parallel_branches_have_the_role_of_the_state_machine(platform: Platform) -> None:
    branches = [{"StartAt": n, "States": {n: put(platform)["Task"]}} for n in ("One", "Other")]
    states = {"Both": {"Type": "Parallel", "Branches": branches, "End": True}}

    assert refused(platform, states)[0] == "DynamoDB.AmazonDynamoDBException"
    may = machine_role(platform, allow("dynamodb:PutItem", on=table_arn(platform)))
    assert run(platform, states, roleArn=may)["status"] == "SUCCEEDED"


def test_a_change_of_the_roles_policy_counts_at_once(platform: Platform) -> None:
    made = machine_role(platform, allow("dynamodb:PutItem"))
    assert run(platform, put(platform), roleArn=made)["status"] == "SUCCEEDED"

    name = made.rpartition("/")[2]
    platform.client("iam").put_role_policy(
        RoleName=name, PolicyName="own", PolicyDocument=policy(allow("dynamodb:GetItem"))
    )

    assert run(platform, put(platform), roleArn=made)["status"] == "FAILED"
