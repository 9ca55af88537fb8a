"""Signed requests are allowed by policies (patches/iam_requests.py, iam_words.py).

The sentences are AWS's: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.iam_keys import OWNER, Key
from local.platform import Platform
from tests.support.local.platform import Call, allow, deny, policy, role

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


def acting(platform: Platform, *statements: dict[str, Any], boundary: str | None = None) -> Key:
    """The key of a session `me` of a new role with the statements."""
    made = role(platform, f"iam-{uuid.uuid4().hex[:8]}", *statements, boundary=boundary)
    return platform.assume(made, "me")


def refusal(platform: Platform, key: Key, service: str, operation: str, **request: Any) -> Any:
    """What the caller hears, who must not be allowed to make this request."""
    with pytest.raises(ClientError) as refused:
        getattr(platform.client(service, key), operation)(**request)
    return refused.value.response


def put(table: str) -> dict[str, Any]:
    return {"TableName": table.rpartition("/")[2], "Item": {"pk": {"S": "1"}}}


def test_what_a_roles_policy_allows_is_done(platform: Platform, table: str) -> None:
    key = acting(platform, allow("dynamodb:PutItem", on=table))

    assert platform.client("dynamodb", key).put_item(**put(table))


def test_what_no_policy_allows_is_refused_in_aws_words(platform: Platform, table: str) -> None:
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


def test_an_explicit_deny_is_told_as_one(platform: Platform, table: str) -> None:
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


# --- conditions -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("passed_to", "allowed"), [("cloudformation.amazonaws.com", True), ("ec2.amazonaws.com", False)]
)
def test_a_role_is_passed_to_the_service_that_the_policy_names(
    platform: Platform, passed_to: str, allowed: bool
) -> None:
    maker = role(platform, f"iam-maker-{uuid.uuid4().hex[:8]}", allow("*"))
    to = {"StringEquals": {"iam:PassedToService": passed_to}}
    key = acting(
        platform,
        allow("cloudformation:CreateStack"),
        allow("iam:PassRole", on=maker, Condition=to),
    )
    name = f"iam-{uuid.uuid4().hex[:8]}"
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    request = {"StackName": name, "TemplateBody": json.dumps(template), "RoleARN": maker}

    if allowed:
        assert platform.client("cloudformation", key).create_stack(**request)
    else:
        refused = refusal(platform, key, "cloudformation", "create_stack", **request)
        assert f"perform: iam:PassRole on resource: {maker} because" in refused["Error"]["Message"]


def test_a_role_is_made_only_with_the_boundary_that_the_policy_demands(platform: Platform) -> None:
    demanded = {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}
    key = acting(platform, allow("iam:CreateRole", "iam:PutRolePolicy", Condition=demanded))
    iam = platform.client("iam", key)
    bound, free = f"iam-{uuid.uuid4().hex[:8]}", f"iam-{uuid.uuid4().hex[:8]}"
    trust = {"AssumeRolePolicyDocument": policy(allow("sts:AssumeRole") | {"Principal": "*"})}
    own = {"PolicyName": "own", "PolicyDocument": policy(allow("*"))}

    iam.create_role(RoleName=bound, PermissionsBoundary=BOUNDARY, **trust)
    iam.put_role_policy(RoleName=bound, **own)
    made = refusal(platform, key, "iam", "create_role", RoleName=free, **trust)
    role(platform, free)
    changed = refusal(platform, key, "iam", "put_role_policy", RoleName=free, **own)

    assert (
        f"perform: iam:CreateRole on resource: arn:aws:iam::{ACCOUNT}:role/{free} because"
        in (made["Error"]["Message"])
    )
    assert "perform: iam:PutRolePolicy on" in changed["Error"]["Message"]


def test_a_mapping_is_made_only_for_the_function_that_the_policy_names(platform: Platform) -> None:
    mine = {"ArnLike": {"lambda:FunctionArn": f"{LAMBDA}:mine-*"}}
    key = acting(platform, allow("lambda:CreateEventSourceMapping", Condition=mine))
    source = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"

    def answer(function: str) -> Any:
        request = {"FunctionName": function, "EventSourceArn": source}
        return refusal(platform, key, "lambda", "create_event_source_mapping", **request)["Error"]

    assert answer("mine-f")["Code"] == "ResourceNotFoundException"  # allowed, but not there
    assert answer("yours-f")["Code"] == "AccessDeniedException"


def test_a_template_is_fetched_with_the_callers_rights(platform: Platform) -> None:
    key = acting(platform, allow("cloudformation:*"))
    url = f"{platform.endpoint}/somebodys-bucket/template.json"

    refused = refusal(platform, key, "cloudformation", "validate_template", TemplateURL=url)

    assert (
        's3:GetObject on resource: "arn:aws:s3:::somebodys-bucket/template.json"'
        in (refused["Error"]["Message"])
    )


def test_a_macro_takes_the_right_to_a_change_set(platform: Platform) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-macros.html"""
    key = acting(platform, allow("cloudformation:CreateStack"))
    queue = {"Type": "AWS::SQS::Queue"}
    template = {"Transform": "AWS::Serverless-2016-10-31", "Resources": {"Queue": queue}}
    request = {"StackName": "iam-macro", "TemplateBody": json.dumps(template)}

    refused = refusal(platform, key, "cloudformation", "create_stack", **request)

    assert (
        "cloudformation:CreateChangeSet on resource: "
        "arn:aws:cloudformation:us-east-1:aws:transform/Serverless-2016-10-31 because"
    ) in refused["Error"]["Message"]


# --- keys -------------------------------------------------------------------------------------


def test_a_key_that_was_never_given_out_is_refused(platform: Platform) -> None:
    for key in (Key("test", "test"), Key(ACCOUNT, "test"), Key("AKIAEXAMPLE", "x")):
        refused = refusal(platform, key, "dynamodb", "list_tables")
        assert refused["Error"]["Code"] == "UnrecognizedClientException"


def test_a_signature_by_another_secret_is_refused(platform: Platform, nobody: Key) -> None:
    forged = nobody._replace(secret="guessed")

    refused = refusal(platform, forged, "dynamodb", "list_tables")

    assert refused["Error"]["Code"] == "InvalidSignatureException"


def test_what_is_not_signed_is_refused(platform: Platform, call_aws: Call) -> None:
    name = f"iam-{uuid.uuid4().hex[:8]}"
    s3 = platform.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"private")

    assert call_aws(f"/{name}/k").status == 403
    assert call_aws("/2015-03-31/functions").status == 403
    assert call_aws("/", "POST", b"{}", x_amz_target="DynamoDB_20120810.ListTables").status == 400


def test_a_bucket_policy_may_open_its_objects_to_everybody(
    platform: Platform, call_aws: Call
) -> None:
    name = f"iam-{uuid.uuid4().hex[:8]}"
    s3 = platform.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"public")
    s3.delete_public_access_block(Bucket=name)
    opened = allow("s3:GetObject", on=f"arn:aws:s3:::{name}/*") | {"Principal": "*"}
    s3.put_bucket_policy(Bucket=name, Policy=policy(opened))

    assert call_aws(f"/{name}/k").body == b"public"
    assert call_aws(f"/{name}/k", "PUT", b"mine").status == 403


@pytest.fixture
def call_aws(platform: Platform) -> Iterator[Call]:
    from tests.support.local.platform import calling

    yield calling(platform.endpoint)


def test_a_function_calls_with_its_own_roles_session(platform: Platform) -> None:
    """It may do what the fixture's template allows, and nothing else."""
    function = platform.outputs["TaskFunction"]
    configuration = platform.client("lambda").get_function_configuration(FunctionName=function)
    name = configuration["Role"].rpartition("/")[2]
    ask = {"call": ["dynamodb", "list_tables"]}

    answer = platform.client("lambda").invoke(FunctionName=function, Payload=json.dumps(ask))
    failure = json.loads(answer["Payload"].read())

    assert failure["errorType"] == "ClientError"
    assert (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{configuration['FunctionName']} "
        in (failure["errorMessage"])
    )
    assert "dynamodb:ListTables on resource: *" in failure["errorMessage"]


def test_a_function_is_not_given_the_owners_key(call: Call) -> None:
    environ = call("/things").json["environ"]

    assert environ["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert environ["AWS_SESSION_TOKEN"]
    assert OWNER.secret not in (environ["AWS_SECRET_ACCESS_KEY"], environ["AWS_ACCESS_KEY_ID"])
