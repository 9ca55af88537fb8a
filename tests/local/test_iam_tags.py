"""Rights that follow tags (patches/iam_tags.py, iam_evaluator.py, iam_stacks.py, local/iam.py).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_tags.html
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from local.iam_keys import Key
from local.platform import Platform
from tests.support.local.callers import acting, refusal
from tests.support.local.platform import Stacks, allow, role

QUEUES = "arn:aws:sqs:us-east-1:000000000000:tags-${aws:PrincipalTag/team}-*"
EVERYTHING = allow("apigateway:*", "sqs:*", "iam:*")
BLUE = [{"Key": "team", "Value": "blue"}]


def tagged(platform: Platform, *statements: dict[str, Any], team: str | None = "blue") -> str:
    """A role with the tag."""
    name = f"tags-{uuid.uuid4().hex[:8]}"
    made = role(platform, name, *statements)
    if team:
        tags = [{"Key": "team", "Value": team}]
        platform.client("iam").tag_role(RoleName=name, Tags=tags)
    return made


def queue(team: str) -> dict[str, Any]:
    named = {"QueueName": f"tags-{team}-{uuid.uuid4().hex[:8]}"}
    return {"Resources": {"It": {"Type": "AWS::SQS::Queue", "Properties": named}}}


@pytest.mark.parametrize(
    ("team", "made"), [("blue", True), ("red", False), (None, False), ("bl*", False)]
)
def test_a_callers_tag_stands_in_the_resource(
    platform: Platform, team: str | None, made: bool
) -> None:
    key = platform.assume(tagged(platform, allow("sqs:CreateQueue", on=QUEUES), team=team), "me")
    name = f"tags-blue-{uuid.uuid4().hex[:8]}"

    if made:
        platform.client("sqs", key).create_queue(QueueName=name)
    else:
        refused = refusal(platform, key, "sqs", "create_queue", QueueName=name)
        assert refused["Error"]["Code"] == "AccessDenied"


def test_the_tag_of_a_stacks_role_stands_in_the_resource(
    platform: Platform, stacks: Stacks
) -> None:
    by = tagged(platform, allow("sqs:*", on=QUEUES))

    assert stacks.create(queue("blue"), RoleARN=by).status == "CREATE_COMPLETE"
    refused = stacks.create(queue("red"), RoleARN=by)
    assert "perform: sqs:createqueue on resource: " in refused.failures()["It"]


@pytest.fixture
def stacks(platform: Platform) -> Stacks:
    return Stacks(platform)


@pytest.mark.parametrize("tag", ["team", "Team"])
def test_a_stacks_role_sets_only_the_tags_that_it_may(
    stacks: Stacks, platform: Platform, tag: str
) -> None:
    """The stack's own tags count as set by the request that creates."""
    mine = {"StringEqualsIfExists": {"aws:RequestTag/team": "${aws:PrincipalTag/team}"}}
    by = tagged(platform, allow("iam:*", Condition=mine))
    trust = {"Version": "2012-10-17", "Statement": []}

    def made(**more: Any) -> Any:
        found = {"AssumeRolePolicyDocument": trust, **more}
        template = {"Resources": {"It": {"Type": "AWS::IAM::Role", "Properties": found}}}
        return stacks.create(template, RoleARN=by, Tags=BLUE if "Tags" not in more else [])

    assert made().status == "CREATE_COMPLETE"
    other = made(Tags=[{"Key": tag, "Value": "red"}])
    assert "perform: iam:CreateRole" in other.failures()["It"]


def test_a_stacks_tags_reach_its_roles_and_apis(stacks: Stacks, platform: Platform) -> None:
    trust = {"Version": "2012-10-17", "Statement": []}
    made = stacks.create(
        {
            "Resources": {
                "Role": {
                    "Type": "AWS::IAM::Role",
                    "Properties": {"AssumeRolePolicyDocument": trust},
                },
                "Api": {
                    "Type": "AWS::ApiGatewayV2::Api",
                    "Properties": {"Name": "tags", "ProtocolType": "HTTP"},
                },
            }
        },
        Tags=BLUE,
    )
    ids = made.physical_ids()

    role = platform.client("iam").get_role(RoleName=ids["Role"])["Role"]
    assert {"Key": "team", "Value": "blue"} in role["Tags"]
    api = platform.client("apigatewayv2").get_api(ApiId=ids["Api"])
    assert api["Tags"]["team"] == "blue"


@pytest.fixture(scope="module")
def apis(platform: Platform) -> dict[str, str]:
    """An API of each team."""
    client = platform.client("apigatewayv2")
    return {
        team: client.create_api(Name=team, ProtocolType="HTTP", Tags={"team": team})["ApiId"]
        for team in ("blue", "red")
    }


def of_the_team(platform: Platform) -> Key:
    mine = {"StringEquals": {"aws:ResourceTag/team": "blue"}}
    return acting(platform, allow("apigateway:*", Condition=mine))


def test_an_api_and_what_belongs_to_it_have_the_apis_tags(
    platform: Platform, apis: dict[str, str]
) -> None:
    key = of_the_team(platform)
    client = platform.client("apigatewayv2", key)

    client.update_api(ApiId=apis["blue"], Description="mine")
    client.create_route(ApiId=apis["blue"], RouteKey="GET /")
    for operation, more in (("update_api", {}), ("create_route", {"RouteKey": "GET /"})):
        refused = refusal(platform, key, "apigatewayv2", operation, ApiId=apis["red"], **more)
        assert refused["Error"]["Code"] == "AccessDeniedException"


def test_a_boundary_alone_can_ask_for_the_tags_of_a_resource(
    platform: Platform, apis: dict[str, str]
) -> None:
    mine = {"StringEquals": {"aws:ResourceTag/team": "blue"}}
    document = {"Version": "2012-10-17", "Statement": [allow("apigateway:*", Condition=mine)]}
    boundary = platform.client("iam").create_policy(
        PolicyName=f"tags-{uuid.uuid4().hex[:8]}", PolicyDocument=json.dumps(document)
    )["Policy"]["Arn"]
    key = acting(platform, EVERYTHING, boundary=boundary)

    platform.client("apigatewayv2", key).update_api(ApiId=apis["blue"], Description="mine")
    refused = refusal(platform, key, "apigatewayv2", "update_api", ApiId=apis["red"])
    assert "because no permissions boundary allows" in refused["Error"]["Message"]
