"""CloudFormation works with the rights of a role (patches/iam_stacks.py, iam_resources.py).

The role and its boundary are judged by the actions that the registry's schema of a type lists for
its handlers. The form of a reason is that of an event quoted in
https://github.com/serverless/serverless/issues/11718.
"""

import json
import re
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.iam_resources import ARNS, Resource, checks, handlers
from local.platform import Platform
from slipway.domain.resource_types import TYPES
from tests.support.authorization import is_known, takes
from tests.support.local.platform import Made, Stacks, allow, deny, policy, role

ACCOUNT = "000000000000"
TABLES = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table"
ROLES = f"arn:aws:iam::{ACCOUNT}:role"
KEY: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
}


def table(**properties: Any) -> dict[str, Any]:
    made = {"Type": "AWS::DynamoDB::Table", "Properties": KEY | properties}
    return {"Resources": {"Table": made}}


def bare(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Resources": {"It": {"Type": kind, "Properties": properties}}}


PREFIX = f"iam{uuid.uuid4().hex[:6]}-"


@pytest.fixture
def stacks(platform: Platform) -> Stacks:
    return Stacks(platform)


def maker(platform: Platform, *statements: dict[str, Any], boundary: str | None = None) -> str:
    return role(platform, f"maker-{uuid.uuid4().hex[:8]}", *statements, boundary=boundary)


def test_a_role_that_may_make_its_resources_makes_them(platform: Platform, stacks: Stacks) -> None:
    may = allow("dynamodb:CreateTable", "dynamodb:DescribeTable", on=f"{TABLES}/*")
    made = stacks.create(table(), RoleARN=maker(platform, may))

    assert made.status == "CREATE_COMPLETE"
    [described] = made.client.describe_stacks(StackName=made.name)["Stacks"]
    assert described["RoleARN"].startswith(f"{ROLES}/maker-")


def test_a_resource_that_the_role_may_not_create_fails_with_the_reason_of_aws(
    platform: Platform, stacks: Stacks
) -> None:
    by = maker(platform, allow("dynamodb:*", on=f"{TABLES}/prefix-*"))
    made = stacks.create(table(TableName="other"), RoleARN=by)

    assert made.status == "ROLLBACK_COMPLETE"
    name = by.rpartition("/")[2]
    assert re.fullmatch(
        rf'Resource handler returned message: "User: arn:aws:sts::{ACCOUNT}:assumed-role/{name}/'
        r"AWSCloudFormation is not authorized to perform: dynamodb:CreateTable on resource: "
        rf"{TABLES}/other because no identity-based policy allows the dynamodb:CreateTable action "
        r"\(Service: DynamoDb, Status Code: 400, Request ID: [\w-]{36}\)\" "
        r"\(RequestToken: [\w-]{36}, HandlerErrorCode: AccessDenied\)",
        made.failures()["Table"],
    )
    assert "other" not in platform.client("dynamodb").list_tables()["TableNames"]


def test_a_name_that_cloudformation_gives_begins_with_the_stacks(
    platform: Platform, stacks: Stacks
) -> None:
    by = maker(platform, allow("dynamodb:*", on=f"{TABLES}/{PREFIX}*"))

    mine = stacks.create(table(), name=f"{PREFIX}one", RoleARN=by)
    another = stacks.create(table(), RoleARN=by)

    assert (mine.status, another.status) == ("CREATE_COMPLETE", "ROLLBACK_COMPLETE")


def test_the_boundary_of_the_role_counts(platform: Platform, stacks: Stacks) -> None:
    name = f"boundary-{uuid.uuid4().hex[:8]}"
    document = policy(allow("dynamodb:*", on=f"{TABLES}/within-*"))
    made = platform.client("iam").create_policy(PolicyName=name, PolicyDocument=document)
    by = maker(platform, allow("*"), boundary=made["Policy"]["Arn"])

    within = stacks.create(table(TableName=f"within-{name}"), RoleARN=by)
    beyond = stacks.create(table(TableName=f"beyond-{name}"), RoleARN=by)

    assert within.status == "CREATE_COMPLETE"
    assert (
        "because no permissions boundary allows the dynamodb:CreateTable action"
        in (beyond.failures()["Table"])
    )


def test_an_explicit_deny_counts(platform: Platform, stacks: Stacks) -> None:
    by = maker(platform, allow("*"), deny("dynamodb:CreateTable"))

    made = stacks.create(table(), RoleARN=by)

    assert "with an explicit deny in an identity-based policy" in made.failures()["Table"]


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"TimeToLiveSpecification": {"AttributeName": "t", "Enabled": True}}, "UpdateTimeToLive"),
        ({"Tags": [{"Key": "a", "Value": "b"}]}, "TagResource"),
        (
            {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
            "UpdateContinuousBackups",
        ),
    ],
)
def test_a_property_takes_the_rights_of_its_feature(
    platform: Platform, stacks: Stacks, given: dict[str, Any], missing: str
) -> None:
    by = maker(platform, allow("dynamodb:*"), deny(f"dynamodb:{missing}"))

    assert f"dynamodb:{missing} on" in stacks.create(table(**given), RoleARN=by).failures()["Table"]
    assert stacks.create(table(), RoleARN=by).status == "CREATE_COMPLETE"


TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@pytest.fixture(scope="module")
def boundary(platform: Platform) -> str:
    made = platform.client("iam").create_policy(
        PolicyName=f"of-made-roles-{uuid.uuid4().hex[:8]}",
        PolicyDocument=policy(allow("dynamodb:GetItem")),
    )
    return str(made["Policy"]["Arn"])


def test_a_role_without_the_boundary_is_not_made(
    platform: Platform, stacks: Stacks, boundary: str
) -> None:
    demanded = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    by = maker(
        platform,
        allow("iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", Condition=demanded),
        allow("iam:GetRole", "iam:GetRolePolicy", "iam:DeleteRole", "iam:ListRolePolicies"),
        allow("iam:ListAttachedRolePolicies"),
    )
    own = {"PolicyName": "own", "PolicyDocument": json.loads(policy(allow("*")))}
    wanted = {"AssumeRolePolicyDocument": TRUST, "Policies": [own]}

    free = stacks.create(bare("AWS::IAM::Role", **wanted), RoleARN=by)
    bound = stacks.create(
        bare("AWS::IAM::Role", **wanted, PermissionsBoundary=boundary), RoleARN=by
    )

    assert "perform: iam:CreateRole on" in free.failures()["It"]
    assert bound.status == "CREATE_COMPLETE"
    made = platform.client("iam").get_role(RoleName=bound.physical_ids()["It"])["Role"]
    assert made["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    bound.delete()
    assert bound.status == "DELETE_COMPLETE"


def test_a_role_loses_its_boundary_only_if_that_is_allowed(
    platform: Platform, stacks: Stacks, boundary: str
) -> None:
    by = maker(platform, allow("*"), deny("iam:DeleteRolePermissionsBoundary"))
    wanted = {"AssumeRolePolicyDocument": TRUST}
    made = stacks.create(bare("AWS::IAM::Role", **wanted, PermissionsBoundary=boundary), RoleARN=by)

    made.update(bare("AWS::IAM::Role", **wanted))

    assert made.status == "UPDATE_ROLLBACK_COMPLETE"
    assert "iam:DeleteRolePermissionsBoundary on" in made.failures()["It"]


def test_a_function_takes_the_right_to_pass_its_role(platform: Platform, stacks: Stacks) -> None:
    passed = f"{ROLES}/test"
    function = bare(
        "AWS::Lambda::Function",
        Role=passed,
        Handler="index.handler",
        Runtime="python3.13",
        Code={"ZipFile": "def handler(event, context): pass"},
    )
    to_lambda = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    without = maker(platform, allow("lambda:*"))
    with_it = maker(
        platform, allow("lambda:*"), allow("iam:PassRole", on=passed, Condition=to_lambda)
    )

    refused = stacks.create(function, RoleARN=without)

    assert f"iam:PassRole on resource: {passed} because" in refused.failures()["It"]
    assert stacks.create(function, RoleARN=with_it).status == "CREATE_COMPLETE"


def test_an_update_is_judged_and_rolled_back(platform: Platform, stacks: Stacks) -> None:
    by = maker(platform, allow("sqs:*"), deny("sqs:SetQueueAttributes"))
    made = stacks.create(bare("AWS::SQS::Queue", VisibilityTimeout=30), RoleARN=by)

    made.update(bare("AWS::SQS::Queue", VisibilityTimeout=31))

    assert made.status == "UPDATE_ROLLBACK_COMPLETE"
    assert "sqs:setqueueattributes on" in made.failures()["It"]


def test_a_deletion_is_judged(platform: Platform, stacks: Stacks) -> None:
    by = maker(platform, allow("sqs:*"))
    made = stacks.create(bare("AWS::SQS::Queue"), RoleARN=by)
    name = by.rpartition("/")[2]

    platform.client("iam").delete_role_policy(RoleName=name, PolicyName="own")
    made.delete()

    assert made.status == "DELETE_FAILED"
    assert "sqs:deletequeue on" in made.failures()["It"]
    made.client.delete_stack(StackName=made.name, RoleARN=maker(platform, allow("sqs:*")))
    made.wait()
    assert made.status == "DELETE_COMPLETE"


def test_a_stack_without_a_role_has_its_callers_rights(platform: Platform, stacks: Stacks) -> None:
    key = platform.assume(maker(platform, allow("cloudformation:*")), "me")
    client = platform.client("cloudformation", key)
    name = f"{PREFIX}mine"

    client.create_stack(StackName=name, TemplateBody=json.dumps(table()))
    made = Made(platform.client("cloudformation"), name)

    assert made.status == "ROLLBACK_COMPLETE"
    assert "/me is not authorized to perform: dynamodb:CreateTable" in made.failures()["Table"]
    made.delete()


@pytest.mark.parametrize("role_name", ["nobody-made-it", "of-lambda-only"])
def test_a_role_that_cannot_be_assumed_is_refused(
    platform: Platform, stacks: Stacks, role_name: str
) -> None:
    """LocalStack's recording cloudformation/api/test_update_stack."""
    if role_name == "of-lambda-only":
        trust = json.dumps(TRUST)
        platform.client("iam").create_role(RoleName=role_name, AssumeRolePolicyDocument=trust)
    made = stacks.create(table())

    with pytest.raises(ClientError) as refused:
        made.update(table(TableName="other"), RoleARN=f"{ROLES}/{role_name}")

    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert refused.value.response["Error"]["Message"] == (
        f"Role {ROLES}/{role_name} is invalid or cannot be assumed"
    )


def test_a_dynamic_reference_is_read_with_the_roles_rights(
    platform: Platform, stacks: Stacks
) -> None:
    platform.client("ssm").put_parameter(Name="/iam/seconds", Value="31", Type="String")
    queue = bare("AWS::SQS::Queue", VisibilityTimeout="{{resolve:ssm:/iam/seconds}}")
    where = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/iam/seconds"

    without = stacks.create(queue, RoleARN=maker(platform, allow("sqs:*")))
    with_it = stacks.create(
        queue, RoleARN=maker(platform, allow("sqs:*"), allow("ssm:GetParameters", on=where))
    )

    assert f"ssm:GetParameters on resource: {where} because" in without.failures()["It"]
    assert with_it.status == "CREATE_COMPLETE"


def test_drift_is_looked_for_with_the_callers_rights(platform: Platform, stacks: Stacks) -> None:
    made = stacks.create(bare("AWS::SQS::Queue"))
    key = platform.assume(maker(platform, allow("cloudformation:*")), "me")
    client = platform.client("cloudformation", key)

    client.detect_stack_drift(StackName=made.name)
    [seen] = client.describe_stack_resource_drifts(StackName=made.name)["StackResourceDrifts"]

    assert seen["StackResourceDriftStatus"] == "UNKNOWN"
    assert "perform: sqs:getqueueattributes on" in seen["DriftStatusReason"]


def test_the_owner_makes_whatever_there_is(stacks: Stacks) -> None:
    assert stacks.create(table()).status == "CREATE_COMPLETE"


def test_a_type_without_rules_takes_an_action_of_its_name(
    platform: Platform, stacks: Stacks
) -> None:
    vpc = bare("AWS::EC2::VPC", CidrBlock="10.0.0.0/16")

    refused = stacks.create(vpc, RoleARN=maker(platform, allow("dynamodb:*")))

    assert "perform: ec2:CreateVpc on resource: * because" in refused.failures()["It"]
    assert stacks.create(vpc, RoleARN=maker(platform, allow("ec2:*"))).status == "CREATE_COMPLETE"


# AWS asks for them all the same when a stack's tags are given on.
UNKNOWN_TO_REFERENCE = {"apigateway:TagResource", "apigateway:UntagResource"}


def _judged_so(action: str, resource: str) -> bool:
    # The reference has alarms for DescribeAlarms, but one call may be about all there are.
    return takes(action, resource) or (action, resource) == ("cloudwatch:DescribeAlarms", "*")


# --- the rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("operation", ["create", "update", "delete", "read"])
def test_every_action_of_a_full_resource_has_a_resource(kind: str, operation: str) -> None:
    """For every property that a template can set, each action that counts is checked for an ARN of
    its service."""
    properties: dict[str, Any] = {
        name.partition(".")[0]: "x"
        for names in TYPES[kind].values()
        if names
        for name in names.split("|")
    }
    roles = ("Role", "RoleArn", "CredentialsArn", "AuthorizerCredentialsArn", "SubscriptionRoleArn")
    properties |= {name: f"{ROLES}/r" for name in roles if name in properties}
    properties |= {"FunctionName": "f", "ApiId": "a", "RouteId": "r", "IntegrationId": "i"}
    properties |= {"TopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:t", "Queues": ["https://q/0/q"]}
    if "Targets" in properties:
        properties["Targets"] = [{"Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q", "Id": "q"}]
    if "Code" in properties:
        properties["Code"] = {"S3Bucket": "b", "S3Key": "k", "S3ObjectVersion": "1"}
        properties["Layers"] = [f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:l:1"]
    if "BodyS3Location" in properties:
        properties["BodyS3Location"] = {"Bucket": "b", "Key": "k"}
    before: dict[str, Any] | None = {} if operation == "update" else None
    found = list(checks(operation, Resource(kind, "name", properties, before)))

    assert found or not handlers(kind).get(operation)
    assert {each.action for each in found if not is_known(each.action)} <= UNKNOWN_TO_REFERENCE
    known = [each for each in found if is_known(each.action)]
    assert [each for each in known if not _judged_so(each.action, each.resource)] == []
    assert set(ARNS) == set(TYPES)
