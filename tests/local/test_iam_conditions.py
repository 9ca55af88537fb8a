"""Rights with conditions, and what a request needs besides its own action (local/iam_requests.py).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html
"""

import json
import uuid
from typing import Any

import pytest

from local.platform import Platform
from tests.support.local.callers import acting, refusal
from tests.support.local.platform import allow, policy, role

ACCOUNT = "000000000000"
LAMBDA = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function"


@pytest.fixture(scope="module")
def boundary(platform: Platform) -> str:
    made = platform.client("iam").create_policy(
        PolicyName=f"boundary-{uuid.uuid4().hex[:8]}", PolicyDocument=policy(allow("s3:GetObject"))
    )
    return str(made["Policy"]["Arn"])


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


def test_a_role_is_made_only_with_the_boundary_that_the_policy_demands(
    platform: Platform, boundary: str
) -> None:
    demanded = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    key = acting(platform, allow("iam:CreateRole", "iam:PutRolePolicy", Condition=demanded))
    iam = platform.client("iam", key)
    bound, free = f"iam-{uuid.uuid4().hex[:8]}", f"iam-{uuid.uuid4().hex[:8]}"
    trust = {"AssumeRolePolicyDocument": policy(allow("sts:AssumeRole") | {"Principal": "*"})}
    own = {"PolicyName": "own", "PolicyDocument": policy(allow("*"))}

    iam.create_role(RoleName=bound, PermissionsBoundary=boundary, **trust)
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
