"""The policies of environments, as written, for a stack with names of its own."""

from __future__ import annotations

from functools import cache
from typing import Any

from slipway.domain import making
from slipway.domain.iam import Request, Statement, decide, parse
from tests.support.roles import POLICIES

ACCOUNT, REGION, STACK = "111111111111", "eu-central-1", "slipway"
BUCKET, API = "slipway-templatesbucket-1", "slipways1"
MADE_WITH, BOUNDARY = "abcdefgh", f"arn:aws:iam::{ACCOUNT}:policy/{STACK}-EnvironmentBoundary-1"
OTHER = "stuvwxyz"
OWN, NEIGHBOUR = f"{STACK}-env-{MADE_WITH}", f"{STACK}-env-{OTHER}"
VALUES: dict[str, Any] = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": STACK,
    "Api": API,
    "EnvironmentBoundary": BOUNDARY,
    "TemplatesBucket.Arn": f"arn:aws:s3:::{BUCKET}",
    "ArtifactBuckets": ["builds"],
    "TrustedAccounts": ["222222222222"],
}
ANYTHING = parse({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
TAG = "aws:PrincipalTag/slipway-scope"


@cache
def policy(name: str) -> list[Statement]:
    """The statements of one of the stack's managed policies, with the stack's values."""
    document = POLICIES[name]["Properties"]["PolicyDocument"]
    found = [making.resolved(each, VALUES) for each in document["Statement"]]
    return parse({"Statement": [each for each in found if each is not None]})


def arn(service: str, rest: str) -> str:
    where = {"s3": ":", "iam": f":{ACCOUNT}", "apigateway": f"{REGION}:"}
    return f"arn:aws:{service}:{where.get(service, f'{REGION}:{ACCOUNT}')}:{rest}"


def code_may(action: str, resource: str, scope: str | None = MADE_WITH, **more: Any) -> bool:
    """Whether code may do it in an environment whose template gives its role every right."""
    keys = {
        "aws:PrincipalArn": arn("iam", f"role/{OWN}-Role-1"),
        "aws:ResourceAccount": ACCOUNT,
        **({TAG: scope} if scope else {}),
        **more.get("keys", {}),
    }
    layers = [[ANYTHING], [policy("EnvironmentBoundary")]]
    return decide(layers, Request(action, resource, keys)).allowed


def maker_may(action: str, resource: str, scope: str | None = MADE_WITH, **more: Any) -> bool:
    """Whether CloudFormation may do it with the environment's making role."""
    keys = {**more.get("keys", {}), **({TAG: scope} if scope else {})}
    layers = [[policy("EnvironmentMaking")], [policy("EnvironmentLimits")]]
    return decide(layers, Request(action, resource, keys)).allowed
