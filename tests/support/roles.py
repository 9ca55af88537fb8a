"""The IAM roles of template.yaml after the SAM transform, and what each one allows."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from typing import Any

from tests.support.repository import camel, transformed

# No ARN can be named for these.
OF_NO_RESOURCE = {
    "cloudformation:BatchDescribeTypeConfigurations",
    "cloudformation:DescribeStackDriftDetectionStatus",
    "cloudformation:ValidateTemplate",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "dynamodb:ListStreams",
    "logs:DescribeLogGroups",
    "xray:GetSamplingRules",
    "xray:GetSamplingStatisticSummaries",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
ROLES = dict(transformed("AWS::IAM::Role"))
POLICIES = transformed("AWS::IAM::ManagedPolicy")
# The managed policies that limit. No function is given one.
BOUNDARIES = {
    *("AuthBoundary", "ConfigurationBoundary", "ConsoleBoundary", "FunctionBoundary"),
    *("PeopleBoundary", "ReconcileBoundary", "RetireBoundary", "RuntimeBoundary", "ShipBoundary"),
    "WorkflowBoundary",
    *("EnvironmentBoundary", "EnvironmentLimits", "EnvironmentMaking"),
}
# The rule that runs reconcile while anything has a deadline.
RULE = "ReconcileFunctionClock"


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# Resources and secrets of environments are named after the stack.
OF_ENVIRONMENTS = (
    r"[:/]\$\{AWS::StackName\}(-env-|/environments/|/configurations/|/projects/(prj_)?)(\*|\?{8})"
    r"|\$\{AWS::Region\}:aws:transform/(\*|LanguageExtensions|Serverless-2016-10-31)"
    r"|:apigateway:\$\{AWS::Region\}::/(apis|tags)/\*"
    r"|:event-source-mapping:\*"
)
# Those that secrets may be copied from, where the operator's list decides.
SOURCES = r":(ssm:\*:\*:parameter/|secretsmanager:\*:\*:secret:)\*'"
# Those that plans are looked at in are not environments'.
OF_PLANS = r":stack/\$\{AWS::StackName\}-plan-\*"


def named_policies(role: str) -> list[str]:
    """The stack's own managed policies that the role has."""
    arns = ROLES[role]["Properties"].get("ManagedPolicyArns", [])
    return [each["Ref"] for each in arns if isinstance(each, dict) and "Ref" in each]


def policy_statements(name: str) -> list[dict[str, Any]]:
    """The statements of one of the stack's managed policies, those with a condition included."""
    return statements_of(POLICIES[name]["Properties"]["PolicyDocument"])


def statements_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements of a policy, those with a condition included."""
    found = as_list(document["Statement"])
    return [each["Fn::If"][1] if "Fn::If" in each else each for each in found]


def statements(role: str) -> Iterator[dict[str, Any]]:
    """Those of the role itself, then those of its named policies."""
    for policy in ROLES[role]["Properties"].get("Policies", []):
        yield from statements_of(policy["PolicyDocument"])
    for name in named_policies(role):
        yield from policy_statements(name)


def allowed(role: str) -> set[tuple[str, str]]:
    """(action, logical id of the resource it is allowed on)."""
    return {
        (action, resource_name(resource))
        for statement in statements(role)
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        if action not in OF_NO_RESOURCE
    }


def resource_name(resource: Any) -> str:
    """The one resource that an ARN is made from: by reference, or by the name it is given."""
    if within := re.search(r"\$\{(\w+)\.Arn\}/", str(resource)):
        return within[1]
    if re.search(r":function:\$\{AWS::StackName\}-PlansFunction-", str(resource)):
        return "PlansFunction"
    if re.search(r":role/\$\{AWS::StackName\}-making-\*", str(resource)):
        return "the making roles"
    if re.search(OF_ENVIRONMENTS, str(resource)):
        return "the environments"
    if re.search(OF_PLANS, str(resource)):
        return "the plans"
    # Its condition limits it to one sender, whose identity may be the address or a domain.
    if re.search(r":ses:[^/]*:(identity|configuration-set)/\*'", str(resource)):
        return "mail"
    if execution := re.search(r":execution:\$\{AWS::StackName\}-(\w+):\*'", str(resource)):
        return camel(execution[1])
    if re.search(r":rule/\$\{AWS::StackName\}-reconcile'", str(resource)):
        return RULE
    if "SecretSources" in str(resource) or re.search(SOURCES, str(resource)):
        return "the sources"
    if ":ssm:*::parameter/aws/service/*'" in str(resource):
        return "AWS's public parameters"
    found = re.findall(r"'(?:Ref|Fn::GetAtt)': \[?'(\w+)'", str(resource))
    assert len(found) == 1, f"{resource} names no resource of this stack"
    return str(found[0])


def boundary_of(role: str) -> str:
    """The logical id of the permissions boundary that the role has."""
    return str(ROLES[role]["Properties"]["PermissionsBoundary"]["Ref"])


def may_reach(role: str, action: str, pk: str) -> bool:
    """Whether the role may do the action of DynamoDB to the table's items with this leading key."""
    layers = [list(statements(role)), policy_statements(boundary_of(role))]
    decisions = [
        {each["Effect"] for each in layer if _about(each, action) and _met(each, pk)}
        for layer in layers
    ]
    return all(found == {"Allow"} for found in decisions)


def _about(statement: dict[str, Any], action: str) -> bool:
    on_table = "Table" in re.findall(r"\w+", str(statement["Resource"]))
    actions = as_list(statement["Action"])
    return on_table and any(fnmatch.fnmatchcase(action, pattern) for pattern in actions)


def _met(statement: dict[str, Any], pk: str) -> bool:
    """Whether the request meets the statement's conditions. Every request here has the pk."""
    for operator, keys in statement.get("Condition", {}).items():
        [(key, wanted)] = keys.items()
        if (operator, key) == ("Null", "dynamodb:LeadingKeys"):
            if wanted != "false":
                return False
        elif operator == "ForAllValues:StringNotLike":
            assert key == "dynamodb:LeadingKeys"
            if any(fnmatch.fnmatchcase(pk, each) for each in as_list(wanted)):
                return False
        else:
            assert key == "dynamodb:LeadingKeys"
            assert operator in ("ForAnyValue:StringLike", "ForAllValues:StringLike")
            if not any(fnmatch.fnmatchcase(pk, each) for each in as_list(wanted)):
                return False
    return True
