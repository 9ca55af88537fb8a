"""An environment reaches nothing but itself: its policies as written, service by service.

slipway.domain.iam decides, as the laptop's AWS does. test_isolation.py tries it on live ones.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.domain import making
from slipway.domain.iam import Request, decide, parse
from slipway.domain.resource_types import PASSED_TO, TYPES, WITHHELD, given
from slipway.domain.template_properties import PROPERTIES
from tests.support.rights import (
    ACCOUNT,
    API,
    BOUNDARY,
    BUCKET,
    MADE_WITH,
    NEIGHBOUR,
    OTHER,
    OWN,
    STACK,
    VALUES,
    arn,
    code_may,
    maker_may,
    policy,
)

# The actions that code uses, by the ARN of a resource with this name.
DATA = [
    ("dynamodb:GetItem", "dynamodb", "table/{}-Table-1"),
    ("dynamodb:Scan", "dynamodb", "table/{}-Table-1"),
    ("dynamodb:Query", "dynamodb", "table/{}-Table-1/index/by-name"),
    ("dynamodb:GetRecords", "dynamodb", "table/{}-Table-1/stream/2026-01-01"),
    ("s3:GetObject", "s3", "{}-bucket-1/key"),
    ("s3:ListBucket", "s3", "{}-bucket-1"),
    ("sqs:SendMessage", "sqs", "{}-Jobs-1"),
    ("sqs:ReceiveMessage", "sqs", "{}-Jobs-1"),
    ("sns:Publish", "sns", "{}-Topic-1"),
    ("lambda:InvokeFunction", "lambda", "function:{}-Web-1"),
    ("logs:PutLogEvents", "logs", "log-group:{}-Logs-1:log-stream:x"),
    ("logs:PutLogEvents", "logs", "log-group:/aws/lambda/{}-Web-1:log-stream:x"),
]
# Beside a neighbour: Slipway's own, another Slipway's, others of the account, and what only seems
# to have the scope.
OTHERS = [NEIGHBOUR, STACK, "other-env-abcdefgh", "payroll", f"x-{OWN}", f"{STACK}-env-", "*"]


@pytest.mark.parametrize(("action", "service", "rest"), DATA)
def test_code_reaches_the_data_of_its_own_environment_and_no_other(
    action: str, service: str, rest: str
) -> None:
    assert code_may(action, arn(service, rest.format(OWN)))
    assert [name for name in OTHERS if code_may(action, arn(service, rest.format(name)))] == []


@pytest.mark.parametrize(("action", "service", "rest"), DATA)
@pytest.mark.parametrize("scope", [None, "", "*", "abc*", "????????"])
def test_a_role_without_a_scope_reaches_nothing(
    scope: str | None, action: str, service: str, rest: str
) -> None:
    assert not code_may(action, arn(service, rest.format(OWN)), scope=scope)
    assert not code_may(action, arn(service, rest.format(NEIGHBOUR)), scope=scope)


@pytest.mark.parametrize(("action", "service", "rest"), DATA)
def test_the_tag_of_a_session_gives_no_rights_to_another_environment(
    action: str, service: str, rest: str
) -> None:
    """A session's tag takes the place of its role's, but the role's name stays."""
    there = arn(service, rest.format(NEIGHBOUR))
    its_own = {"aws:PrincipalArn": arn("iam", f"role/{NEIGHBOUR}-Role-1")}

    assert not code_may(action, there, scope=OTHER)
    assert code_may(action, there, scope=OTHER, keys=its_own)


def test_code_assumes_no_role_even_if_a_trust_policy_names_its_session() -> None:
    """Such a policy is not limited by what a boundary leaves out, but by what it denies."""
    boundary = policy("EnvironmentBoundary")
    for action in ("sts:AssumeRole", "sts:TagSession", "sts:AssumeRoleWithWebIdentity"):
        asked = Request(action, arn("iam", f"role/{OWN}-Role-1"), {"aws:PrincipalTag/x": "y"})
        assert decide([[boundary]], asked).effect == "Deny"


CONFIGURATIONS = f"parameter/{STACK}/configurations"


@pytest.mark.parametrize(
    "action", ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"]
)
def test_code_reads_the_configurations_of_its_own_environment_and_no_others(action: str) -> None:
    def reads(rest: str, scope: str | None = MADE_WITH) -> bool:
        return code_may(action, arn("ssm", CONFIGURATIONS + rest), scope=scope)

    assert reads(f"/{MADE_WITH}/5/NAME")
    assert reads(f"/{MADE_WITH}/5/")
    assert not reads(f"/{OTHER}/5/NAME")
    # A scope is a whole segment of the path, and the right to a path is the right to all below it.
    for near in (f"/{MADE_WITH}x/5/NAME", f"/x{MADE_WITH}/5/NAME", "/", "", f"/{MADE_WITH}", "/*"):
        assert not reads(near), near
    for scope in (None, "", "*", "????????"):
        assert not reads(f"/{MADE_WITH}/5/NAME", scope), scope


def test_code_reads_no_other_parameter_and_writes_none() -> None:
    for rest in ("environments/env_a_b/secrets/NAME/1", "projects/p/project/NAME/1", "shared/x"):
        assert not code_may("ssm:GetParameters", arn("ssm", f"parameter/{STACK}/{rest}"))
    for action in ("PutParameter", "DeleteParameters", "GetParameterHistory", "AddTagsToResource"):
        assert not code_may(f"ssm:{action}", arn("ssm", f"{CONFIGURATIONS}/{MADE_WITH}/5/NAME"))


def test_only_secrets_of_its_own_configurations_are_decrypted_for_code() -> None:
    """As the parameter store asks KMS: with the parameter's ARN in the encryption context."""

    def decrypts(rest: str, service: str = "ssm.eu-central-1.amazonaws.com") -> bool:
        named = {"kms:EncryptionContext:PARAMETER_ARN": arn("ssm", rest)}
        return code_may("kms:Decrypt", key, keys={"kms:ViaService": service, **named})

    key = arn("kms", "key/1")
    assert decrypts(f"{CONFIGURATIONS}/{MADE_WITH}/5/TOKEN")
    assert not decrypts(f"{CONFIGURATIONS}/{OTHER}/5/TOKEN")
    assert not decrypts(f"parameter/{STACK}/environments/env_a_b/secrets/TOKEN/1")
    assert not decrypts(
        f"{CONFIGURATIONS}/{MADE_WITH}/5/TOKEN", "secretsmanager.eu-central-1.amazonaws.com"
    )
    assert not code_may(
        "kms:Decrypt", key, keys={"kms:ViaService": "ssm.eu-central-1.amazonaws.com"}
    )


def test_a_bucket_of_another_account_is_out_of_reach_whatever_its_name() -> None:
    bucket, elsewhere = arn("s3", f"{OWN}-bucket-1"), {"aws:ResourceAccount": "333333333333"}

    assert not code_may("s3:PutObject", f"{bucket}/key", keys=elsewhere)
    assert not maker_may("s3:PutBucketNotification", bucket, keys=elsewhere)
    assert maker_may("s3:CreateBucket", bucket)


@pytest.mark.parametrize("action", ["xray:PutTraceSegments", "dynamodb:ListStreams"])
def test_what_names_no_resource_needs_a_scope_too(action: str) -> None:
    assert code_may(action, "*")
    assert not code_may(action, "*", scope=None)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:TagRole", arn("iam", f"role/{OWN}-Role-1")),
        ("iam:UntagRole", arn("iam", f"role/{OWN}-Role-1")),
        ("iam:PassRole", arn("iam", f"role/{OWN}-Role-1")),
        ("iam:PutRolePolicy", arn("iam", f"role/{OWN}-Role-1")),
        ("sts:AssumeRole", arn("iam", f"role/{NEIGHBOUR}-Role-1")),
        ("sts:AssumeRole", arn("iam", f"role/{STACK}-making-{MADE_WITH}")),
        ("sts:TagSession", arn("iam", f"role/{OWN}-Role-1")),
        ("lambda:UpdateFunctionCode", arn("lambda", f"function:{OWN}-Web-1")),
        ("lambda:AddPermission", arn("lambda", f"function:{OWN}-Web-1")),
        ("sqs:SetQueueAttributes", arn("sqs", f"{OWN}-Jobs-1")),
        ("s3:PutBucketPolicy", arn("s3", f"{OWN}-bucket-1")),
        ("apigateway:POST", arn("apigateway", "/apis")),
        ("cloudformation:UpdateStack", arn("cloudformation", f"stack/{OWN}/1")),
        ("secretsmanager:GetSecretValue", arn("secretsmanager", "secret:slipway-1")),
        ("ssm:GetParameters", arn("ssm", "parameter/slipway/environments/x")),
        ("kms:Decrypt", arn("kms", "key/1")),
    ],
)
def test_code_cannot_change_rights_or_read_secrets(action: str, resource: str) -> None:
    assert not code_may(action, resource)


# ── What CloudFormation may do with a making role ───────────────────────────────────────────

FUNCTION = "lambda:FunctionArn"
MAKING = [
    ("dynamodb:CreateTable", "dynamodb", "table/{}-Table-1", {}),
    ("s3:CreateBucket", "s3", "{}-bucket-1", {}),
    ("s3:PutBucketNotification", "s3", "{}-bucket-1", {}),
    ("sqs:SetQueueAttributes", "sqs", "{}-Jobs-1", {}),
    ("sns:SetTopicAttributes", "sns", "{}-Topic-1", {}),
    ("logs:PutRetentionPolicy", "logs", "log-group:{}-Logs-1", {}),
    ("cloudwatch:PutMetricAlarm", "cloudwatch", "alarm:{}-Late-1", {}),
    ("events:PutRule", "events", "rule/{}-Daily-1", {}),
    ("events:PutTargets", "events", "rule/{}-Daily-1", {}),
    ("events:DeleteRule", "events", "rule/{}-Daily-1", {}),
    ("lambda:CreateFunction", "lambda", "function:{}-Web-1", {}),
    ("lambda:UpdateFunctionCode", "lambda", "function:{}-Web-1", {}),
    (
        "lambda:AddPermission",
        "lambda",
        "function:{}-Web-1",
        {"lambda:Principal": "sns.amazonaws.com"},
    ),
    ("iam:CreateRole", "iam", "role/{}-Role-1", {"iam:PermissionsBoundary": BOUNDARY}),
    ("iam:PutRolePolicy", "iam", "role/{}-Role-1", {"iam:PermissionsBoundary": BOUNDARY}),
    ("iam:UpdateAssumeRolePolicy", "iam", "role/{}-Role-1", {}),
    ("iam:DeleteRole", "iam", "role/{}-Role-1", {}),
    ("iam:PassRole", "iam", "role/{}-Role-1", {"iam:PassedToService": "lambda.amazonaws.com"}),
]


@pytest.mark.parametrize(("action", "service", "rest", "keys"), MAKING)
def test_a_making_role_reaches_its_own_environment_and_no_other(
    action: str, service: str, rest: str, keys: dict[str, str]
) -> None:
    assert maker_may(action, arn(service, rest.format(OWN)), keys=keys)
    others = [*OTHERS, f"{STACK}-making-{MADE_WITH}"]
    reached = [n for n in others if maker_may(action, arn(service, rest.format(n)), keys=keys)]
    assert reached == []
    for scope in (None, "*", OTHER):
        assert not maker_may(action, arn(service, rest.format(OWN)), scope=scope, keys=keys)


@pytest.mark.parametrize("action", sorted(given()))
def test_every_action_of_a_type_is_allowed_on_something(action: str) -> None:
    keys: dict[str, Any] = {
        FUNCTION: arn("lambda", f"function:{OWN}-Web-1"),
        "iam:PermissionsBoundary": BOUNDARY,
        "iam:PassedToService": "lambda.amazonaws.com",
        "lambda:Principal": "apigateway.amazonaws.com",
        "aws:ResourceAccount": ACCOUNT,
        "aws:RequestTag/slipway-scope": MADE_WITH,
        "aws:TagKeys": ["team"],
    }
    names = [f"alarm:{OWN}", f"table/{OWN}", f"function:{OWN}", f"log-group:{OWN}", OWN]
    names += [
        f"role/{OWN}",
        f"rule/{OWN}",
        "event-source-mapping:1",
        "/apis",
        "/apis/a1",
        "builds/web.zip",
    ]
    resources = ["*", *(arn(action.partition(":")[0], name) for name in names)]

    assert any(maker_may(action, resource, keys=keys) for resource in resources)


@pytest.mark.parametrize("action", sorted(WITHHELD))
def test_what_is_withheld_is_allowed_on_nothing(action: str) -> None:
    reads = {"dynamodb:DescribeImport", "lambda:GetFunctionScalingConfig"}
    reads |= {"lambda:GetLayerVersion", "s3:GetBucketMetadataTableConfiguration"}
    names = [f"table/{OWN}", f"function:{OWN}", f"log-group:{OWN}", OWN, f"role/{OWN}"]

    for resource in ["*", *(arn(action.partition(":")[0], name) for name in names)]:
        # A shortened pattern may cover such as read a resource's own configuration.
        assert action in reads or not maker_may(action, resource), resource


@pytest.mark.parametrize("service", ["lambda.amazonaws.com", "apigateway.amazonaws.com"])
def test_a_role_is_passed_to_the_services_meant(service: str) -> None:
    role = arn("iam", f"role/{OWN}-Role-1")

    assert maker_may("iam:PassRole", role, keys={"iam:PassedToService": service})
    assert not maker_may("iam:PassRole", role)
    for other in ("ec2.amazonaws.com", "cloudformation.amazonaws.com", "states.amazonaws.com"):
        assert not maker_may("iam:PassRole", role, keys={"iam:PassedToService": other})


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"iam:PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/{STACK}-EnvironmentLimits-1"},
        {"iam:PermissionsBoundary": BOUNDARY, "aws:RequestTag/slipway-scope": OTHER},
        {"iam:PermissionsBoundary": BOUNDARY, "aws:RequestTag/Slipway-Scope": OTHER},
    ],
)
@pytest.mark.parametrize("action", ["iam:CreateRole", "iam:AttachRolePolicy", "iam:PutRolePolicy"])
def test_no_role_is_made_without_the_boundary_or_with_another_scope(
    action: str, keys: dict[str, str]
) -> None:
    assert not maker_may(action, arn("iam", f"role/{OWN}-Role-1"), keys=keys)


def test_no_role_or_api_gets_another_scope_or_loses_its_own() -> None:
    role, api = arn("iam", f"role/{OWN}-Role-1"), arn("apigateway", "/tags/arn%3A1")
    mine = {"aws:RequestTag/slipway-scope": MADE_WITH, "aws:TagKeys": ["slipway-scope"]}
    other = {**mine, "aws:RequestTag/slipway-scope": OTHER}
    for action, resource in (("iam:TagRole", role), ("apigateway:POST", api)):
        assert maker_may(action, resource, keys=mine)
        assert not maker_may(action, resource, keys=other)
    for action, resource in (("iam:UntagRole", role), ("apigateway:DELETE", api)):
        assert maker_may(action, resource, keys={"aws:TagKeys": ["team"]})
        for key in ("slipway-scope", "Slipway-Scope"):
            assert not maker_may(action, resource, keys={"aws:TagKeys": ["team", key]})


def test_no_role_loses_its_boundary() -> None:
    keys = {"iam:PermissionsBoundary": BOUNDARY}

    role = arn("iam", f"role/{OWN}-Role-1")
    assert not maker_may("iam:DeleteRolePermissionsBoundary", role, keys=keys)


@pytest.mark.parametrize("verb", ["PATCH", "DELETE", "POST", "PUT", "GET"])
@pytest.mark.parametrize("below", ["", "/routes", "/routes/r1", "/integrations/i1", "/stages/s"])
def test_an_api_is_changed_by_its_own_environment_alone(verb: str, below: str) -> None:
    """By the API's tag, where AWS tells it; an API without one is left to the template's check."""
    resource, action = arn("apigateway", f"/apis/a1{below}"), f"apigateway:{verb}"

    assert maker_may(action, resource, keys={"aws:ResourceTag/slipway-scope": MADE_WITH})
    assert not maker_may(action, resource, keys={"aws:ResourceTag/slipway-scope": OTHER})
    own = {"aws:ResourceTag/slipway-scope": MADE_WITH}
    assert not maker_may(action, arn("apigateway", f"/apis/{API}{below}"), keys=own)


@pytest.mark.parametrize("verb", ["Create", "Update", "Delete", "Get"])
def test_a_mapping_belongs_to_a_function_of_the_environment(verb: str) -> None:
    resource = "*" if verb == "Create" else arn("lambda", "event-source-mapping:1")
    action = f"lambda:{verb}EventSourceMapping"

    assert maker_may(action, resource, keys={FUNCTION: arn("lambda", f"function:{OWN}-Web-1")})
    assert not maker_may(action, resource)
    other = {FUNCTION: arn("lambda", f"function:{NEIGHBOUR}-Web-1")}
    assert not maker_may(action, resource, keys=other)


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        ("apigateway.amazonaws.com", True),
        ("*", True),  # a function URL; the template's check knows which
        ("222222222222", True),  # TrustedAccounts
        ("333333333333", False),
        ("arn:aws:iam::333333333333:root", False),
        ("arn:aws:iam::222222222222:role/x", False),
    ],
)
def test_who_may_be_let_in_to_a_function(principal: str, allowed: bool) -> None:
    function = arn("lambda", f"function:{OWN}-Web-1")

    found = maker_may("lambda:AddPermission", function, keys={"lambda:Principal": principal})

    assert found == allowed


@pytest.mark.parametrize(
    ("protocol", "endpoint", "allowed"),
    [
        ("sqs", arn("sqs", f"{OWN}-Jobs-1"), True),
        ("lambda", arn("lambda", f"function:{OWN}-Web-1"), True),
        ("sqs", arn("sqs", f"{NEIGHBOUR}-Jobs-1"), False),
        ("SQS", arn("sqs", "payroll"), False),
        ("lambda", arn("lambda", f"function:{STACK}-AuthFunction-1"), False),
        ("sms", "+15550100", False),
        ("application", arn("sns", "app/x"), False),
        ("firehose", arn("firehose", "deliverystream/x"), False),
    ],
)
def test_what_a_topic_is_delivered_to(protocol: str, endpoint: str, allowed: bool) -> None:
    keys = {"sns:Protocol": protocol, "sns:Endpoint": endpoint}

    assert maker_may("sns:Subscribe", arn("sns", f"{OWN}-Topic-1"), keys=keys) == allowed


def test_an_alarm_notifies_only_its_own_environment() -> None:
    alarm, own = arn("cloudwatch", f"alarm:{OWN}-Late-1"), arn("sns", f"{OWN}-Topic-1")
    for actions in ([own], [own, arn("lambda", f"function:{OWN}-Web-1")]):
        keys = {"cloudwatch:AlarmActions": actions}
        assert maker_may("cloudwatch:PutMetricAlarm", alarm, keys=keys)
    for actions in ([arn("sns", f"{STACK}-Alarms-1")], [own, "arn:aws:automate:r:ec2:stop"]):
        keys = {"cloudwatch:AlarmActions": actions}
        assert not maker_may("cloudwatch:PutMetricAlarm", alarm, keys=keys)


def test_a_rule_reaches_only_its_own_environment() -> None:
    rule, own = arn("events", f"rule/{OWN}-Daily-1"), arn("lambda", f"function:{OWN}-Web-1")
    others = [
        arn("lambda", f"function:{NEIGHBOUR}-Web-1"),
        arn("sqs", "payroll"),
        arn("events", "event-bus/default"),
        "arn:aws:sqs:eu-central-1:333333333333:jobs",
    ]
    for targets in ([own], [own, arn("sqs", f"{OWN}-Jobs-1")]):
        assert maker_may("events:PutTargets", rule, keys={"events:TargetArn": targets})
    for other in others:
        assert not maker_may("events:PutTargets", rule, keys={"events:TargetArn": [own, other]})


@pytest.mark.parametrize("key", ["events:source", "events:detail-type"])
def test_a_rule_matches_no_events_of_the_account(key: str) -> None:
    """A pattern without both is left to the template's check, which refuses every pattern."""
    rule = arn("events", f"rule/{OWN}-Daily-1")

    assert maker_may("events:PutRule", rule)
    assert not maker_may("events:PutRule", rule, keys={key: ["aws.s3"]})
    for bus in ("company/x", f"company/{OWN}-x"):
        assert not maker_may("events:PutRule", arn("events", f"rule/{bus}"))


@pytest.mark.parametrize(
    ("action", "service", "rest"),
    [
        ("ssm:GetParameters", "ssm", "parameter/{}/shared/{}"),
        ("secretsmanager:GetSecretValue", "secretsmanager", "secret:{}/shared/{}-AbCdEf"),
    ],
)
def test_a_making_role_reads_what_is_shared_and_nothing_beside_it(
    action: str, service: str, rest: str
) -> None:
    assert maker_may(action, arn(service, rest.format(STACK, "db/host")))
    verb = {"ssm": "PutParameter", "secretsmanager": "PutSecretValue"}[service]
    assert not maker_may(f"{service}:{verb}", arn(service, rest.format(STACK, "db/host")))
    for other in ("company", f"{STACK}-2", f"{STACK}/environments", "", OWN):
        assert not maker_may(action, arn(service, rest.format(other, "x")))
    for other in (f"{STACK}/environments/{MADE_WITH}", f"{STACK}/sharedx", "company"):
        assert not maker_may(action, arn(service, rest.partition("{")[0] + other))
    assert not code_may(action, arn(service, rest.format(STACK, "db/host")))


def test_a_making_role_reads_public_parameters_of_aws_and_writes_none() -> None:
    """Those of the account have its number in their ARNs, whatever their names."""
    public = "arn:aws:ssm:eu-central-1::parameter/aws/service/ami-amazon-linux-latest/x"

    assert maker_may("ssm:GetParameters", public)
    assert not maker_may("ssm:PutParameter", public)
    assert not maker_may("ssm:GetParameters", arn("ssm", "parameter/aws/service/x"))
    for other in ("aws/reference/secretsmanager/payroll", "payroll", "slipway/environments/x"):
        assert not maker_may("ssm:GetParameters", f"arn:aws:ssm:eu-central-1::parameter/{other}")
    assert not code_may("ssm:GetParameters", public)


def test_code_comes_from_the_buckets_that_the_stack_names() -> None:
    here = {"aws:ResourceAccount": ACCOUNT}

    assert maker_may("s3:GetObject", arn("s3", "builds/web.zip"), keys=here)
    assert not maker_may("s3:GetObject", arn("s3", "builds/web.zip"))
    for bucket in ("company-ci-artifacts", f"{NEIGHBOUR}-bucket-1", BUCKET, "builds-2"):
        assert not maker_may("s3:GetObject", arn("s3", f"{bucket}/web.zip"), keys=here)


def test_without_buckets_no_code_comes_from_s3() -> None:
    rights, limits = making.documents({**VALUES, "ArtifactBuckets": [], "TrustedAccounts": []})

    request = Request(
        "s3:GetObject",
        "arn:aws:s3:::builds/web.zip",
        {"aws:ResourceAccount": ACCOUNT, "aws:PrincipalTag/slipway-scope": MADE_WITH},
    )
    assert not decide([[parse(rights)], [parse(limits)]], request).allowed
    assert '"arn:aws:s3:::/*"' not in json.dumps(rights)


def test_five_buckets_can_be_named() -> None:
    buckets = [f"builds-{n}" for n in range(making.ARTIFACT_BUCKETS)]
    layers = [[parse(each)] for each in making.documents({**VALUES, "ArtifactBuckets": buckets})]
    keys = {"aws:ResourceAccount": ACCOUNT, "aws:PrincipalTag/slipway-scope": MADE_WITH}

    for bucket in buckets:
        assert decide(layers, Request("s3:GetObject", f"arn:aws:s3:::{bucket}/a.zip", keys)).allowed


def test_the_check_of_templates_evaluates_the_policies_that_are_deployed() -> None:
    """It evaluates the module's documents, and the stack includes the files made of them."""
    layers = [[parse(each)] for each in making.documents(VALUES)]
    for action, service, rest, keys in MAKING:
        for name in (OWN, NEIGHBOUR, STACK):
            resource = arn(service, rest.format(name))
            context = {**keys, "aws:PrincipalTag/slipway-scope": MADE_WITH}
            by_module = decide(layers, Request(action, resource, context)).allowed
            assert by_module == maker_may(action, resource, keys=keys)
    assert set(TYPES)


@pytest.mark.parametrize("kind", TYPES)
def test_the_check_of_templates_accepts_no_property_that_needs_what_is_withheld(kind: str) -> None:
    """A version is refused if the making role would be denied an action that it needs."""
    accepted = {
        path.partition(".")[0]
        for rule, paths in PROPERTIES.get(kind, {}).items()
        if not rule.startswith("no ")
        for path in paths.split()
    }
    needing = {
        name.partition(".")[0]
        for action, names in TYPES[kind].items()
        if action in WITHHELD
        for name in names.split("|")
    }
    # They must refer to resources of the template, of types that are not allowed, or stay.
    needing -= {"KinesisStreamSpecification", "Layers", "PermissionsBoundary"}

    assert accepted & needing == set()
    assert kind in PROPERTIES


@pytest.mark.parametrize("kind", TYPES)
def test_the_check_of_templates_decides_by_the_policies(kind: str) -> None:
    """An action that the making role would be denied is one that a reason is given for."""
    passed_to = PASSED_TO.get(kind, "lambda.amazonaws.com")
    denied = {action for action in TYPES[kind] if not making.may(action, passed_to)}

    # Topics and rules may not be given roles: they deliver to what the environment has by its
    # policies.
    expected = set(TYPES[kind]) & set(WITHHELD)
    if kind in ("AWS::SNS::Subscription", "AWS::Events::Rule"):
        expected |= {"iam:PassRole"}
    assert denied == expected


def test_a_right_that_the_policies_lose_is_refused_when_a_version_is_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from slipway.domain import template_reach

    properties = {"TimeToLiveSpecification": {"Enabled": True}}
    assert not [*template_reach._denied("AWS::DynamoDB::Table", properties, "#")]

    may = making.may
    monkeypatch.setattr(
        making, "may", lambda action, to: action != "dynamodb:UpdateTimeToLive" and may(action, to)
    )
    [fault] = template_reach._denied("AWS::DynamoDB::Table", properties, "#")
    assert fault.pointer == "#/TimeToLiveSpecification"
    assert "needs the right dynamodb:UpdateTimeToLive" in fault.detail
