"""A stack's name is one that all its rights fit: by the names that CloudFormation makes of it."""

from __future__ import annotations

import fnmatch
import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deploy import names
from slipway.domain import ids, scope
from slipway.domain.template import not_allowed
from tests.support.repository import MACHINES, resources, template
from tests.support.roles import policy_statements

RANDOM = "1GRP3N0TVA1L"
# The longest name that each type may have, and the ARN of one, up to the name.
LIMITS = {
    "AWS::CloudWatch::Alarm": (255, "cloudwatch:R:A:alarm:"),
    "AWS::Events::Rule": (64, "events:R:A:rule/"),
    "AWS::DynamoDB::Table": (255, "dynamodb:R:A:table/"),
    "AWS::IAM::Role": (64, "iam::A:role/"),
    "AWS::Lambda::Function": (64, "lambda:R:A:function:"),
    "AWS::Logs::LogGroup": (512, "logs:R:A:log-group:"),
    "AWS::S3::Bucket": (63, "s3:::"),
    "AWS::SNS::Topic": (256, "sns:R:A:"),
    "AWS::SQS::Queue": (80, "sqs:R:A:"),
}
# These are known by another's name, or have none.
NAMELESS = {
    "AWS::ApiGatewayV2::*",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Url",
    "AWS::Lambda::Version",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Serverless::*",
}


def generated(stack: str, logical_id: str, limit: int) -> str:
    """A name as CloudFormation makes it: of 49 characters that it has for both parts where 63 or 64
    are allowed, the stack's gets what the logical id leaves, and 25 at least."""
    room = min(limit, 63) - len(RANDOM) - 2
    stack = stack[: max(25, room - len(logical_id))]
    name = f"{stack}-{logical_id[: room - len(stack)]}-{RANDOM}"
    return name.lower() if limit == 63 else name


@pytest.mark.parametrize(
    "seen,stack,logical_id",
    [
        (
            "mylongerapp-playground-ne-InstancesLifecycleHandle-",
            "mylongerapp-playground-new",
            "InstancesLifecycleHandlerFunction",
        ),
        (
            "ankosoft-backend-staging-LogRetentionaae0aa3c5b4d4-",
            "ankosoft-backend-staging",
            "LogRetentionaae0aa3c5b4d4f87b02d85b201efdd8a",
        ),
        (
            "xraystarter-LogRetentionaae0aa3c5b4d4f87b02d85b201-",
            "xraystarter",
            "LogRetentionaae0aa3c5b4d4f87b02d85b201efdd8a",
        ),
        (
            "recording-mgmt-svc-prod-f-RmsRemoveRecordingD89EFB-",
            "recording-mgmt-svc-prod-fedramp-us-east",
            "RmsRemoveRecordingD89EFB2E",
        ),
    ],
)
def test_names_are_cut_as_aws_cuts_them(seen: str, stack: str, logical_id: str) -> None:
    # Names of functions in public logs and policies.
    assert generated(stack, logical_id, 64) == seen + RANDOM


def allowed_arns(policy: str) -> list[str]:
    return [
        each["Fn::Sub"]
        for statement in policy_statements(policy)
        if statement["Effect"] == "Allow"
        for found in [statement["Resource"]]
        for each in (found if isinstance(found, list) else [found])
        if isinstance(each, dict) and isinstance(each.get("Fn::Sub"), str)
    ]


def covered(policy: str, stack: str, arn: str, tag: str = "no-scope") -> bool:
    """Whether the policy has an ARN like this one, for a role with the tag."""
    known = {"Partition": "aws", "Region": "R", "AccountId": "A", "StackName": stack}
    patterns = [
        re.sub(r"\$\{AWS::(\w+)\}", lambda found: known[found[1]], each).replace(
            "${!aws:PrincipalTag/slipway-scope}", tag
        )
        for each in allowed_arns(policy)
    ]
    return any(fnmatch.fnmatchcase(f"arn:aws:{arn}", each) for each in patterns)


def new_environment() -> str:
    return f"env_{ids.new_part()}_{ids.new_part()}"


def environments_stack(stack: str, environment: str) -> str:
    return f"{stack}-env-{scope.stack_suffix(environment)}"


@pytest.mark.parametrize(
    "policy", ["EnvironmentMaking", "EnvironmentLimits", "EnvironmentBoundary", "FunctionBoundary"]
)
@pytest.mark.parametrize("kind", LIMITS)
def test_every_name_in_an_environment_has_its_scope_and_matches_only_its_own_rights(
    kind: str, policy: str
) -> None:
    limit, arn = LIMITS[kind]
    stack, environment, other = "s" * names.LONGEST, new_environment(), new_environment()
    # Code in an environment has no rights to alarms, roles and rules, and drift is not detected in
    # rules.
    unreachable = {
        "EnvironmentBoundary": ("cloudwatch:", "iam:", "events:"),
        "FunctionBoundary": ("events:",),
    }
    reachable = not arn.startswith(unreachable.get(policy, ()))

    for logical_id in ("A", "L" * 24, "L" * 255):
        name = generated(environments_stack(stack, environment), logical_id, limit)
        assert len(name) <= limit
        assert name.startswith(f"{stack}-env-{scope.of(environment)}")
        assert covered(policy, stack, arn + name, scope.of(environment)) == reachable, name
        if policy != "FunctionBoundary":
            assert not covered(policy, stack, arn + name, scope.of(other)), name


def test_the_rights_do_not_match_names_of_a_longer_stack() -> None:
    stack, environment = "s" * (names.LONGEST + 2), new_environment()
    name = generated(environments_stack(stack, environment), "L" * 24, 64)

    arn = f"lambda:R:A:function:{name}"
    assert not covered("EnvironmentMaking", stack, arn, scope.of(environment))


def test_every_allowed_type_is_checked() -> None:
    allowed = template()["Parameters"]["AllowedResourceTypes"]["Default"].split(",")

    assert not_allowed(allowed, [*LIMITS, *NAMELESS]) == []


def test_names_that_the_stack_sets_have_room_for_the_longest_stack_name() -> None:
    stack = "s" * names.LONGEST

    for policy in ("EnvironmentMaking", "EnvironmentLimits"):
        assert generated(stack, policy, 128).startswith(f"{stack}-{policy}-")
    assert len(f"{stack}-reconcile") <= 64  # a rule's
    assert all(len(f"{stack}-{path.name.split('.')[0]}") <= 80 for path in MACHINES)
    assert len(environments_stack(stack, new_environment())) <= 128


@pytest.mark.parametrize(
    "name,why",
    [
        ("", "needs a name"),
        ("Slipway", "lower-case"),
        ("slipway_dev", "lower-case"),
        ("1slipway", "Begin with a letter"),
        ("slipway-", "hyphens"),
        ("slip--way", "hyphens"),
        ("s" * 13, "at most 12"),
        ("aws-slipway", "AWS reserves"),
        ("ssm", "AWS reserves"),
        ("amzn-slipway", "AWS reserves"),
        ("slipway-env", "another Slipway"),
        ("idp-plan-b", "another Slipway"),
        ("idp-making", "another Slipway"),
    ],
)
def test_a_name_that_cannot_work_is_refused_with_the_reason(name: str, why: str) -> None:
    assert why in str(names.refusal(name))


@pytest.mark.parametrize("name", ["slipway-dev", "slipway-prod", "s", "s" * 12, "previews-1"])
def test_a_name_that_works_is_not_refused(name: str) -> None:
    assert names.refusal(name) is None


@given(st.text(string.ascii_lowercase[:6] + "nvpw-0A_\n", max_size=24))
@example("slipway-env")
@example("slipway-dev\n")
@example("aws-x")
def test_the_pattern_refuses_the_same_names(name: str) -> None:
    refused = names.refusal(name) is not None

    # As Parameter Store does: the whole value has to fit.
    assert bool(re.fullmatch(names.PATTERN, name)) is not refused


def test_the_template_refuses_by_the_same_pattern() -> None:
    guard = resources("AWS::SSM::Parameter")["StackNameFits"]["Properties"]

    assert guard["AllowedPattern"] == names.PATTERN
    assert guard["Value"] == {"Ref": "AWS::StackName"}
