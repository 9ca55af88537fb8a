"""Each action of each policy is allowed on what it can be allowed on, and nothing else.

IAM takes a statement whose resource no action of it knows, and then allows nothing. AWS's Service
Authorization Reference says which types of resource an action knows; cfn-lint carries it as data
(`Policies.json`, made from AWS's own machine-readable reference), with the form of their ARNs.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from cfnlint.data import AdditionalSpecs
from cfnlint.helpers import load_resource

from tests.support.repository import transformed
from tests.support.roles import policy_statements, statements_of

# An ARN could be named for these, but `*` it has to be.
STAR_ALL_THE_SAME = {
    # CloudFormation asks for it by name, but composite alarms are described to `*` alone.
    "cloudwatch:DescribeAlarms",
    # By name for data sets that are not CloudWatch's own metrics; these are read from `*` alone.
    "cloudwatch:GetMetricData",
}
# Known to AWS, and not in the reference.
MORE_FORMS = {
    # A change set may run a macro of AWS's only by the right to the macro's ARN (CloudFormation's
    # user guide, "Control access with IAM").
    "cloudformation:createchangeset": [
        "arn:${Partition}:cloudformation:${Region}:aws:transform/.*"
    ],
    # "not authorized to perform: apigateway:TagResource on resource: arn:aws:apigateway:<region>::
    # /apis/<id>/stages" (aws-amplify/amplify-cli, issue 12316); the registry's schemas name them.
    **{
        f"apigateway:{action}": ["arn:${Partition}:apigateway:${Region}::/(apis|tags).*"]
        for action in ("tagresource", "untagresource", "gettags")
    },
}
# The value of a reference to a resource of the stack.
ARNS = {
    "AWS::DynamoDB::Table": "dynamodb:us-east-1:111111111111:table/x",
    "AWS::IAM::Role": "iam::111111111111:role/x",
    "AWS::Lambda::Function": "lambda:us-east-1:111111111111:function:x",
    "AWS::Logs::LogGroup": "logs:us-east-1:111111111111:log-group:x:*",
    "AWS::S3::Bucket": "s3:::x",
    "AWS::SQS::Queue": "sqs:us-east-1:111111111111:x",
    "AWS::SecretsManager::Secret": "secretsmanager:us-east-1:111111111111:secret:x",
    "AWS::StepFunctions::StateMachine": "states:us-east-1:111111111111:stateMachine:x",
}
PSEUDO = {"Partition": "aws", "Region": "us-east-1", "AccountId": "111111111111"}
Statement = dict[str, Any]


@functools.cache
def services() -> dict[str, Any]:
    found: dict[str, Any] = load_resource(AdditionalSpecs, "Policies.json")
    return found


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements() -> Iterator[tuple[str, Statement]]:
    """Every statement of every policy that the stack makes, with where it is."""
    for name, role in transformed("AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            for each in statements_of(policy["PolicyDocument"]):
                yield name, each
    for name in transformed("AWS::IAM::ManagedPolicy"):
        for each in policy_statements(name):
            yield name, each


def arns(resource: Any) -> list[str]:
    """The resource as IAM gets it; what the operator lists can be of either service."""
    if "SecretSources" in str(resource):
        begin = "us-east-1:111111111111"
        return [f"arn:aws:ssm:{begin}:parameter/x*", f"arn:aws:secretsmanager:{begin}:secret:x*"]
    return [arn(resource)]


def arn(resource: Any) -> str:
    """The resource as IAM gets it, with names in the place of what is not known yet."""
    if isinstance(resource, str):
        return resource
    ((function, value),) = resource.items()
    if function == "Fn::Sub" and isinstance(value, str):
        parts = [r"(?P<arn>\w+)\.(Arn|StreamArn)", r"AWS::(?P<pseudo>\w+)", r"(?P<ref>\w+)"]

        def known(match: re.Match[str]) -> str:
            if match["pseudo"]:
                return PSEUDO.get(match["pseudo"], "x")
            return named(match["arn"]) if match["arn"] else "x"

        return re.sub(rf"\$\{{({'|'.join(parts)})\}}", known, value)
    if function == "Fn::Sub":
        # As SAM's own policies are written: a text, and what its names stand for.
        return arn({"Fn::Sub": value[0]})
    return named(value if function == "Ref" else value[0])


def named(logical_id: str) -> str:
    (kind,) = [kind for kind in ARNS if logical_id in transformed(kind)]
    return f"arn:aws:{ARNS[kind]}"


def of_type(resource: str, form: str) -> bool:
    """Whether a pattern such as arn:aws:iam::1:role/x-* can mean an ARN of this form."""
    # A variable may stand for AWS's own account, as in the ARN of a transform.
    form = re.sub(r"\$\{(\w+)\}", lambda match: "[^:]*", form)
    sample = re.sub(r"\[\^:\]\*|\.\*", "x", form)
    return bool(re.fullmatch(form, resource)) or fnmatch.fnmatchcase(sample, resource)


def types(action: str) -> set[str]:
    """The types of resource that the action knows."""
    service, _, name = action.lower().partition(":")
    found = services()[service]["Actions"].get(name, {}).get("Resources", [])
    more = {"more"} if action.lower() in MORE_FORMS else set()
    return {kind.lower() for kind in found} | more


def expanded(action: str) -> list[str]:
    service, _, pattern = action.lower().partition(":")
    known = {*services()[service]["Actions"], *(each.partition(":")[2] for each in _more(service))}
    return [f"{service}:{name}" for name in known if fnmatch.fnmatchcase(name, pattern)]


def _more(service: str) -> list[str]:
    return [each for each in MORE_FORMS if each.startswith(f"{service}:")]


def fits(action: str, resource: str) -> bool:
    of_service = services()[action.lower().partition(":")[0]]["Resources"]
    known = {name.lower(): each["ARNFormats"] for name, each in of_service.items()}
    forms = [form for kind in types(action) for form in known.get(kind, ())]
    return any(of_type(resource, form) for form in forms + MORE_FORMS.get(action.lower(), []))


def wrong(statement: Statement) -> list[str]:
    """Parts of this statement that IAM would accept and ignore, or that allow too much."""
    resources = [name for each in as_list(statement["Resource"]) for name in arns(each)]
    found: list[str] = []
    if (statement["Effect"], statement["Action"], resources) == ("Deny", "*", ["*"]):
        return found
    for action in as_list(statement["Action"]):
        meant = expanded(action)
        if not meant:
            found.append(f"{action} is no action of AWS")
        elif resources == ["*"]:
            if any(types(each) for each in meant) and action not in STAR_ALL_THE_SAME:
                found.append(f"{action} knows resources, so name them")
        elif not any(fits(each, resource) for each in meant for resource in resources):
            known = sorted({kind for each in meant for kind in types(each)})
            found.append(f"{action} is never allowed on {resources}: it knows {known or 'only *'}")
    for resource in resources:
        acting = [each for action in as_list(statement["Action"]) for each in expanded(action)]
        if resource != "*" and not any(fits(each, resource) for each in acting):
            found.append(f"no action of the statement knows {resource}")
    return found


EVERY = list(statements())


@pytest.mark.parametrize(
    ("where", "statement"), EVERY, ids=[f"{n}-{where}" for n, (where, _) in enumerate(EVERY)]
)
def test_every_action_is_allowed_on_a_resource_type_that_it_supports(
    where: str, statement: Statement
) -> None:
    assert wrong(statement) == []


def test_every_policy_is_checked() -> None:
    assert {"FunctionBoundary", "EnvironmentMaking", "EnvironmentBoundary"} <= dict(EVERY).keys()
    assert len(EVERY) > 50


@pytest.mark.parametrize(
    ("action", "resource", "said"),
    [
        ("dynamodb:ListStreams", "arn:aws:dynamodb:us-east-1:1:table/x", "only *"),
        ("dynamodb:GetItem", "*", "name them"),
        ("dynamodb:GetItme", "*", "no action"),
        ("dynamodb:GetItem", "arn:aws:sqs:us-east-1:1:x", "never allowed"),
        ("lambda:CreateEventSourceMapping", "arn:aws:lambda:us-east-1:1:function:x", "only *"),
    ],
)
def test_a_statement_without_effect_is_found(action: str, resource: str, said: str) -> None:
    assert said in str(wrong({"Effect": "Allow", "Action": action, "Resource": resource}))


def test_subscriptions_are_authorized_by_their_topic() -> None:
    # AWS's answer names the topic: "not authorized to perform: SNS:Unsubscribe on resource:
    # arn:aws:sns:<region>:<account>:<topic>". Older copies of the reference list no type here.
    for action in ("GetSubscriptionAttributes", "SetSubscriptionAttributes", "Unsubscribe"):
        assert types(f"sns:{action}") == {"topic"}
