"""Two live environments on the laptop's platform: each reaches itself, and nothing else.

The templates here go past the check of template versions, so that IAM alone is tried: code whose
role has every right within the boundary, and CloudFormation with the environment's making role.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from local.iam_keys import Key
from local.platform import Platform
from slipway.domain import scope
from tests.support.http_user import Person
from tests.support.local.platform import eventually
from tests.support.maker import Maker, making

pytestmark = pytest.mark.xdist_group("e2e stacks")

# It calls AWS as its event says, and tells the code of each refusal.
PROBE = """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    found = []
    for service, operation, request in event:
        try:
            getattr(boto3.client(service), operation)(**request)
            found.append("done")
        except ClientError as error:
            found.append(error.response["Error"]["Code"])
    return found
"""
EVERYTHING = {
    "PolicyName": "everything",
    "PolicyDocument": {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    },
}
PLACE: dict[str, Any] = {
    "Parameters": {
        "PermissionsBoundary": {"Type": "String"},
        "EnvironmentName": {"Type": "String"},
    },
    "Resources": {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "PermissionsBoundary": {"Ref": "PermissionsBoundary"},
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "lambda.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                },
                "Policies": [EVERYTHING],
            },
        },
        # A role that anybody may assume, with tags of their own.
        "Open": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "PermissionsBoundary": {"Ref": "PermissionsBoundary"},
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"AWS": {"Ref": "AWS::AccountId"}},
                            "Action": ["sts:AssumeRole", "sts:TagSession"],
                        }
                    ],
                },
                "Policies": [EVERYTHING],
            },
        },
        "Probe": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"ZipFile": PROBE},
                "Timeout": 60,
            },
        },
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
            },
        },
        "Bucket": {"Type": "AWS::S3::Bucket"},
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Topic": {"Type": "AWS::SNS::Topic"},
        "Logs": {"Type": "AWS::Logs::LogGroup"},
        "Api": {
            "Type": "AWS::ApiGatewayV2::Api",
            "Properties": {"Name": {"Ref": "EnvironmentName"}, "ProtocolType": "HTTP"},
        },
    },
    "Outputs": {
        "Role": {"Value": {"Ref": "Role"}},
        "RoleArn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}},
        "Open": {"Value": {"Fn::GetAtt": ["Open", "Arn"]}},
        "Probe": {"Value": {"Ref": "Probe"}},
        "ProbeArn": {"Value": {"Fn::GetAtt": ["Probe", "Arn"]}},
        "Table": {"Value": {"Ref": "Table"}},
        "Stream": {"Value": {"Fn::GetAtt": ["Table", "StreamArn"]}},
        "Bucket": {"Value": {"Ref": "Bucket"}},
        "Queue": {"Value": {"Ref": "Queue"}},
        "QueueArn": {"Value": {"Fn::GetAtt": ["Queue", "Arn"]}},
        "Topic": {"Value": {"Ref": "Topic"}},
        "Logs": {"Value": {"Ref": "Logs"}},
        "Api": {"Value": {"Ref": "Api"}},
    },
}
Call = tuple[str, str, dict[str, Any]]
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform(parameters={"SimulatedSeconds": "0", "ArtifactBuckets": "builds"}) as running:
        yield running


@pytest.fixture(scope="module")
def maker(platform: Platform) -> Iterator[Maker]:
    with making(platform, Person(platform.url).sign_in()) as maker:
        yield maker


class Place:
    """A running environment."""

    def __init__(self, maker: Maker, name: str) -> None:
        self.platform = maker.platform
        made = maker.running(json.dumps(PLACE), name=name)
        self.id, self.has = made["id"], made["outputs"]

    def says(self, calls: list[Call]) -> list[str]:
        """The answers to these calls of the environment's own code."""
        answer = self.platform.client("lambda").invoke(
            FunctionName=self.has["Probe"], Payload=json.dumps(calls)
        )
        found: list[str] = json.loads(answer["Payload"].read())
        assert isinstance(found, list), found
        return found


@pytest.fixture(scope="module")
def here(maker: Maker) -> Place:
    return Place(maker, "here")


@pytest.fixture(scope="module")
def there(maker: Maker) -> Place:
    return Place(maker, "there")


def uses(has: dict[str, str]) -> list[Call]:
    """Each use that code may make of what an environment has."""
    item = {"pk": {"S": "1"}}
    return [
        ("dynamodb", "put_item", {"TableName": has["Table"], "Item": item}),
        ("dynamodb", "scan", {"TableName": has["Table"]}),
        ("dynamodb", "get_item", {"TableName": has["Table"], "Key": item}),
        ("dynamodbstreams", "describe_stream", {"StreamArn": has["Stream"]}),
        ("s3", "put_object", {"Bucket": has["Bucket"], "Key": "key"}),
        ("s3", "get_object", {"Bucket": has["Bucket"], "Key": "key"}),
        ("s3", "list_objects_v2", {"Bucket": has["Bucket"]}),
        ("s3", "delete_object", {"Bucket": has["Bucket"], "Key": "key"}),
        ("sqs", "send_message", {"QueueUrl": has["Queue"], "MessageBody": "x"}),
        ("sqs", "receive_message", {"QueueUrl": has["Queue"]}),
        ("sns", "publish", {"TopicArn": has["Topic"], "Message": "x"}),
        ("lambda", "invoke", {"FunctionName": has["Probe"], "Payload": "[]"}),
        ("logs", "create_log_stream", {"logGroupName": has["Logs"], "logStreamName": uuid4().hex}),
    ]


def test_code_uses_all_that_its_environment_has(here: Place) -> None:
    calls = uses(here.has)

    assert dict(zip([str(each[:2]) for each in calls], here.says(calls), strict=True)) == {
        str(each[:2]): "done" for each in calls
    }


def test_code_reaches_nothing_of_a_neighbour(here: Place, there: Place) -> None:
    calls = uses(there.has)

    assert set(here.says(calls)) <= DENIED
    table = there.platform.client("dynamodb").scan(TableName=there.has["Table"])
    assert table["Items"] == []
    assert set(there.says(uses(there.has))) == {"done"}


def test_code_reaches_nothing_of_slipway_or_of_the_account(here: Place, platform: Platform) -> None:
    outputs = platform.outputs
    sqs, sns = platform.client("sqs"), platform.client("sns")
    dynamodb = platform.client("dynamodb")
    others = {
        "Queue": sqs.create_queue(QueueName="payroll")["QueueUrl"],
        "Topic": sns.create_topic(Name="payroll")["TopicArn"],
        "Table": outputs["TableName"],
        "Stream": dynamodb.describe_table(TableName=outputs["TableName"])["Table"][
            "LatestStreamArn"
        ],
        "Bucket": outputs["TemplatesBucketName"],
        "Probe": outputs["ReconcileFunctionName"],
        "Logs": "payroll",
    }
    calls = uses(others)
    calls += [
        ("secretsmanager", "get_secret_value", {"SecretId": outputs["SigningSecretName"]}),
        ("sqs", "receive_message", {"QueueUrl": outputs["DeadLettersUrl"]}),
        ("ssm", "get_parameters_by_path", {"Path": "/slipway/environments"}),
        ("apigatewayv2", "update_api", {"ApiId": outputs["ApiId"], "Name": "mine"}),
        ("cloudformation", "describe_stacks", {}),
        ("s3", "list_buckets", {}),
        ("iam", "list_roles", {}),
    ]

    assert set(here.says(calls)) <= DENIED


def test_code_cannot_take_other_rights(here: Place, there: Place) -> None:
    own, other = scope.of(here.id), scope.of(there.id)
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    calls: list[Call] = [
        (
            "iam",
            "tag_role",
            {"RoleName": here.has["Role"], "Tags": [{"Key": "slipway-scope", "Value": other}]},
        ),
        ("iam", "untag_role", {"RoleName": here.has["Role"], "TagKeys": ["slipway-scope"]}),
        ("iam", "delete_role_permissions_boundary", {"RoleName": here.has["Role"]}),
        (
            "iam",
            "put_role_policy",
            {"RoleName": here.has["Role"], "PolicyName": "x", "PolicyDocument": policy},
        ),
        ("sts", "assume_role", {"RoleArn": there.has["RoleArn"], "RoleSessionName": "probe"}),
        ("sts", "assume_role", {"RoleArn": here.has["Open"], "RoleSessionName": "probe"}),
        ("sts", "assume_role", {"RoleArn": there.has["Open"], "RoleSessionName": "probe"}),
        (
            "sts",
            "assume_role",
            {
                "RoleArn": there.has["RoleArn"].replace(there.has["Role"], f"slipway-making-{own}"),
                "RoleSessionName": "probe",
            },
        ),
        (
            "lambda",
            "update_function_configuration",
            {"FunctionName": here.has["Probe"], "Role": there.has["RoleArn"]},
        ),
        (
            "lambda",
            "create_function",
            {
                "FunctionName": f"slipway-env-{own}-x",
                "Role": there.has["RoleArn"],
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Code": {"ZipFile": ""},
            },
        ),
    ]

    assert set(here.says(calls)) <= DENIED


def test_a_session_that_poses_as_a_neighbour_reaches_nothing(
    platform: Platform, here: Place, there: Place
) -> None:
    """The owner may assume the role, so this is what somebody else could whom it lets in."""
    posing = {"Tags": [{"Key": "slipway-scope", "Value": scope.of(there.id)}]}

    def scans(has: dict[str, str], **more: Any) -> str:
        made = platform.client("sts").assume_role(
            RoleArn=here.has["Open"], RoleSessionName="posing", **more
        )["Credentials"]
        key = Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
        try:
            platform.client("dynamodb", key).scan(TableName=has["Table"])
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "done"

    assert scans(here.has) == "done"
    assert scans(there.has) in DENIED
    assert scans(there.has, **posing) in DENIED


# ── CloudFormation, with the making role ────────────────────────────────────────────────────

TRUST = PLACE["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]
BOUND = {"PermissionsBoundary": {"Ref": "PermissionsBoundary"}, "AssumeRolePolicyDocument": TRUST}


def statement(action: str, resource: Any) -> dict[str, Any]:
    found = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [found]}


def reaching(has: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Templates that reach for what another has, by what they do."""

    def resource(kind: str, **properties: Any) -> dict[str, Any]:
        return {"Type": f"AWS::{kind}", "Properties": properties}

    own_function = {
        "Role": resource("IAM::Role", **BOUND),
        "Web": resource(
            "Lambda::Function",
            Runtime="python3.13",
            Handler="index.handler",
            Role={"Fn::GetAtt": ["Role", "Arn"]},
            Code={"ZipFile": "def handler(event, context): ..."},
        ),
    }
    function = own_function["Web"]["Properties"]
    return {
        "a queue's policy": {
            "It": resource(
                "SQS::QueuePolicy",
                Queues=[has["Queue"]],
                PolicyDocument=statement("sqs:*", has["QueueArn"]),
            )
        },
        "a topic's policy": {
            "It": resource(
                "SNS::TopicPolicy",
                Topics=[has["Topic"]],
                PolicyDocument=statement("sns:Publish", has["Topic"]),
            )
        },
        "a function's permission": {
            "It": resource(
                "Lambda::Permission",
                FunctionName=has["ProbeArn"],
                Action="lambda:InvokeFunction",
                Principal="apigateway.amazonaws.com",
            )
        },
        "a function's URL": {
            "It": resource("Lambda::Url", TargetFunctionArn=has["ProbeArn"], AuthType="NONE")
        },
        "a function's role": {
            "It": resource("Lambda::Function", **{**function, "Role": has["RoleArn"]})
        },
        "a subscription to a topic": {
            **own_function,
            "It": resource(
                "SNS::Subscription",
                TopicArn=has["Topic"],
                Protocol="lambda",
                Endpoint={"Fn::GetAtt": ["Web", "Arn"]},
            ),
        },
        "a topic's subscriber": {
            "Topic": resource("SNS::Topic"),
            "It": resource(
                "SNS::Subscription",
                TopicArn={"Ref": "Topic"},
                Protocol="sqs",
                Endpoint=has["QueueArn"],
            ),
        },
        "an alarm's action": {
            "It": resource(
                "CloudWatch::Alarm",
                AlarmActions=[has["Topic"]],
                Namespace="AWS/SQS",
                MetricName="NumberOfMessagesSent",
                Statistic="Sum",
                Period=60,
                EvaluationPeriods=1,
                Threshold=1,
                ComparisonOperator="GreaterThanThreshold",
            )
        },
        "an API's route": {
            "It": resource("ApiGatewayV2::Route", ApiId=has["Api"], RouteKey="POST /login")
        },
        "an API's integration": {
            "It": resource(
                "ApiGatewayV2::Integration",
                ApiId=has["Api"],
                IntegrationType="HTTP_PROXY",
                IntegrationMethod="GET",
                IntegrationUri="https://example.com",
                PayloadFormatVersion="1.0",
            )
        },
        "an event source": {
            **own_function,
            "It": resource(
                "Lambda::EventSourceMapping",
                FunctionName={"Ref": "Web"},
                EventSourceArn=has["QueueArn"],
            ),
        },
        "an event source's function": {
            "Queue": resource("SQS::Queue"),
            "It": resource(
                "Lambda::EventSourceMapping",
                FunctionName=has["ProbeArn"],
                EventSourceArn={"Fn::GetAtt": ["Queue", "Arn"]},
            ),
        },
        "code in a bucket": {
            **own_function,
            "It": resource(
                "Lambda::Function",
                **{**function, "Code": {"S3Bucket": has["Bucket"], "S3Key": "web.zip"}},
            ),
        },
    }


@pytest.fixture(scope="module")
def account(platform: Platform) -> dict[str, str]:
    """Resources of the account that belong to no stack."""
    outputs = platform.outputs
    sqs = platform.client("sqs")
    queue = sqs.create_queue(QueueName="company")["QueueUrl"]
    platform.client("s3").create_bucket(Bucket="company-ci-artifacts")
    functions = platform.client("lambda").get_function(
        FunctionName=outputs["ReconcileFunctionName"]
    )
    found = functions["Configuration"]
    return {
        "Queue": queue,
        "QueueArn": sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])[
            "Attributes"
        ]["QueueArn"],
        "Topic": platform.client("sns").create_topic(Name="company")["TopicArn"],
        "ProbeArn": found["FunctionArn"],
        "RoleArn": found["Role"],
        "Api": outputs["ApiId"],
        "Bucket": "company-ci-artifacts",
    }


REACHES = [*reaching(dict.fromkeys([*PLACE["Outputs"]], "x"))]


@pytest.mark.parametrize("what", REACHES)
@pytest.mark.parametrize("whose", ["a neighbour", "the account"])
def test_no_template_reaches_beyond_its_environment(
    maker: Maker, there: Place, account: dict[str, str], what: str, whose: str
) -> None:
    has = there.has if whose == "a neighbour" else account
    body = {"Parameters": PLACE["Parameters"], "Resources": reaching(has)[what]}

    made = maker.make(json.dumps(body), name="reaching")
    failed = maker.someone.wait_for(made["id"], "failed")

    reason = failed["failure"]["reason"]
    assert "is not authorized to perform: " in reason or (
        # Lambda's own answer, when the function's role may not read the source.
        what == "an event source" and "does not have permissions to call" in reason
    ), reason
    assert "It (AWS::" in reason


def test_a_role_with_the_scope_of_a_neighbour_is_not_made(maker: Maker, there: Place) -> None:
    tags = [{"Key": "slipway-scope", "Value": scope.of(there.id)}]
    role = {"Type": "AWS::IAM::Role", "Properties": {**BOUND, "Tags": tags}}
    body = {"Parameters": PLACE["Parameters"], "Resources": {"It": role}}

    made = maker.make(json.dumps(body), name="posing")

    reason = maker.someone.wait_for(made["id"], "failed")["failure"]["reason"]
    assert "is not authorized to perform: iam:CreateRole" in reason


def test_the_neighbour_is_unharmed_and_both_go_with_their_roles(
    maker: Maker, here: Place, there: Place, platform: Platform
) -> None:
    iam = platform.client("iam")
    roles = {f"slipway-making-{scope.of(each.id)}" for each in (here, there)}
    assert roles <= {each["RoleName"] for each in iam.list_roles()["Roles"]}
    assert set(there.says(uses(there.has))) == {"done"}
    for place in (here, there):
        keys = platform.client("s3").list_objects_v2(Bucket=place.has["Bucket"])
        assert keys["KeyCount"] == 0
        maker.someone.ask("DELETE", f"/api/v1/environments/{place.id}")
    for place in (here, there):
        maker.someone.wait_for(place.id, "destroyed")

    def are_gone() -> bool:
        return not roles & {each["RoleName"] for each in iam.list_roles()["Roles"]}

    assert eventually(are_gone)
