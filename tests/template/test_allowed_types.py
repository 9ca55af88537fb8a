"""What templates may have by default, the role that makes environments can make.

CloudFormation's registry says of each type which rights its handlers take; cfn-lint carries those
schemas. They list what all features of a type take together, so what the role is not given on
purpose is listed here with the reason.
"""

from __future__ import annotations

import fnmatch
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cfnlint
import pytest

from slipway.domain.template import not_allowed
from tests.support.repository import resources, template

SCHEMAS = Path(cfnlint.__file__).parent / "data/schemas/resources"
# To list is CloudFormation's "import" and IaC generator's, which Slipway does not use.
HANDLERS = ("create", "read", "update", "delete")
NOT_GIVEN = {
    "codedeploy:*": "weights of an alias are changed by CodeDeploy only when a template asks it to",
    "ec2:Describe*": "functions in a network of the account",
    "elasticfilesystem:*": "functions with a file system",
    "firehose:*": "logs that are sent to a delivery stream",
    "iam:CreateServiceLinkedRole": "replicas of tables in other regions",
    "iam:DeleteRolePermissionsBoundary": "no role may lose its boundary",
    "iam:UpdateRoleDescription": "the older form of iam:UpdateRole",
    "kinesis:*": "tables that stream to Kinesis",
    "kms:*": "keys of the account's own",
    "logs:*LogDelivery": "access logs of HTTP APIs, and logs that are sent elsewhere",
    "logs:*ResourcePolicies": "the same",
    "logs:*ResourcePolicy": "the same; it holds for the logs of the whole account",
    "logs:*IndexPolic*": "field indexes of log groups",
    "s3files:*": "functions with a file system",
    "s3tables:*": "buckets with metadata tables",
}


@functools.cache
def schemas() -> dict[str, dict[str, Any]]:
    found = (json.loads(path.read_text()) for path in sorted(SCHEMAS.glob("*.json")))
    return {each["typeName"]: each for each in found}


def allowed_types() -> list[str]:
    patterns = template()["Parameters"]["AllowedResourceTypes"]["Default"].split(",")
    return [kind for kind in schemas() if not not_allowed([kind], patterns)]


def given() -> Iterator[str]:
    policy = resources("AWS::IAM::ManagedPolicy")["EnvironmentMaking"]["Properties"]
    for statement in policy["PolicyDocument"]["Statement"]:
        if statement["Effect"] == "Allow":
            actions = statement["Action"]
            yield from actions if isinstance(actions, list) else [actions]


def needed(kind: str) -> set[str]:
    handlers = schemas()[kind].get("handlers", {})
    return {right for name in HANDLERS for right in handlers.get(name, {}).get("permissions", [])}


def covered(right: str, by: Iterator[str] | dict[str, str]) -> bool:
    # The names of actions know no case.
    return any(fnmatch.fnmatchcase(right.lower(), each.lower()) for each in by)


@pytest.mark.parametrize("kind", allowed_types())
def test_the_making_role_has_every_action_that_an_allowed_type_needs(kind: str) -> None:
    rights = {right for right in needed(kind) if not covered(right, NOT_GIVEN)}

    assert sorted(right for right in rights if not covered(right, given())) == []


def test_every_action_that_is_withheld_belongs_to_a_type() -> None:
    rights = {right for kind in allowed_types() for right in needed(kind)}

    assert [each for each in NOT_GIVEN if not any(covered(r, {each: ""}) for r in rights)] == []


def test_allowed_types_are_listed_without_wildcards() -> None:
    assert "*" not in template()["Parameters"]["AllowedResourceTypes"]["Default"]
    assert len(allowed_types()) > 20
    # Its name does not begin with the stack's, so no right fits it.
    assert "AWS::Lambda::LayerVersion" not in allowed_types()
