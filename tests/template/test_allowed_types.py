"""The role that makes environments can make every type that templates may have by default.

CloudFormation's registry says of each type which rights its handlers take; cfn-lint carries those
schemas. They list what all features of a type take together, so what belongs to a feature
that environments are not offered is listed here with the reason.
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

from deploy import policies
from slipway.domain import making, resource_types
from slipway.domain.iam import like
from slipway.domain.resource_types import ALLOWED, PASSED_TO, TYPES, WITHHELD, given, service
from slipway.domain.template import not_allowed
from tests.support.repository import template

SCHEMAS = Path(cfnlint.__file__).parent / "data/schemas/resources"
# To list is CloudFormation's "import" and IaC generator's, which Slipway does not use.
HANDLERS = ("create", "read", "update", "delete")
# Actions of the types' own services for features that environments are not offered.
NOT_OFFERED = {
    "apigateway:PUT": "only an API is imported",
    "dynamodb:*Item": "replicas of tables in other regions",
    "dynamodb:*TableReplica": "the same",
    "dynamodb:Query": "the same",
    "dynamodb:Scan": "the same",
    "iam:UpdateRoleDescription": "the older form of iam:UpdateRole",
    "lambda:AssociateRuntimeAlias": "no action that IAM knows",
    "lambda:GetCodeSigningConfig": "functions with signed code",
    "lambda:PassCapacityProvider": "functions on capacity of the account's own",
    "logs:CreateLogDelivery": "logs that are sent elsewhere",
    "s3:*BucketAbac": "tags that decide about access to a bucket",
    "s3:Delete*": "other names of the actions that put a configuration, which IAM does not use",
    "s3:PutBucketReplication": "no action that IAM knows; s3:PutReplicationConfiguration is",
    "s3:PutObjectLockConfiguration": "the same; s3:PutBucketObjectLockConfiguration is",
}


@functools.cache
def schemas() -> dict[str, dict[str, Any]]:
    found = (json.loads(path.read_text()) for path in sorted(SCHEMAS.glob("*.json")))
    return {each["typeName"]: each for each in found}


def allowed_types() -> list[str]:
    patterns = template()["Parameters"]["AllowedResourceTypes"]["Default"].split(",")
    return [kind for kind in schemas() if not not_allowed([kind], patterns)]


def needed(kind: str) -> set[str]:
    handlers = schemas()[kind].get("handlers", {})
    found = {right for name in HANDLERS for right in handlers.get(name, {}).get("permissions", [])}
    return found | set(schemas()[kind].get("tagging", {}).get("permissions", []))


def covered(right: str, by: Iterator[str] | dict[str, str]) -> bool:
    # The names of actions know no case.
    return any(fnmatch.fnmatchcase(right.lower(), each.lower()) for each in by)


@pytest.mark.parametrize("kind", TYPES)
def test_the_list_has_every_action_that_a_type_needs(kind: str) -> None:
    """Actions of the type's own service. Others are needed for features that reach beyond it."""
    listed = {action.lower() for action in TYPES[kind]}
    own = {right for right in needed(kind) if right.startswith(f"{service(kind)}:")}
    rights = {right for right in own if right.lower() not in listed}

    assert sorted(right for right in rights if not covered(right, NOT_OFFERED)) == []


@pytest.mark.parametrize("kind", TYPES)
def test_the_list_has_only_actions_and_properties_of_the_type(kind: str) -> None:
    rights = {right.lower() for right in needed(kind)}
    if kind.startswith("AWS::ApiGatewayV2::"):
        # AWS requires it when a stack's tags are passed on; the schema of the stage has it.
        rights.add("apigateway:tagresource")
    named = {part for each in TYPES[kind].values() for part in each.split("|") if part}

    assert {action for action in TYPES[kind] if action.lower() not in rights} == set()
    assert {name.partition(".")[0] for name in named} <= set(schemas()[kind]["properties"])


def test_whatever_is_withheld_or_not_offered_is_needed_by_a_type() -> None:
    rights = {right for kind in TYPES for right in needed(kind)}
    listed = {action for actions in TYPES.values() for action in actions}

    assert not [each for each in NOT_OFFERED if not any(covered(r, {each: ""}) for r in rights)]
    assert set(WITHHELD) <= listed
    assert set(PASSED_TO) == {kind for kind in TYPES if "iam:PassRole" in TYPES[kind]}


def test_allowed_types_are_listed_without_wildcards() -> None:
    assert "*" not in template()["Parameters"]["AllowedResourceTypes"]["Default"]
    assert len(allowed_types()) > 20
    # Its name does not begin with the stack's, so no right fits it.
    assert "AWS::Lambda::LayerVersion" not in allowed_types()


def test_the_policies_and_the_parameter_are_made_from_the_list() -> None:
    """Otherwise, run `make policies`."""
    assert policies.MAKING.read_text() == policies.policy(making.rights())
    assert policies.LIMITS.read_text() == policies.policy(making.limits())
    assert policies.DRIFT.read_text() == policies.drift_policy(policies.DRIFT.read_text())
    assert policies.TEMPLATE.read_text() == policies.with_types(policies.TEMPLATE.read_text())
    patterns = template()["Parameters"]["AllowedResourceTypes"]["Default"].split(",")
    assert patterns == list(ALLOWED)


def test_a_new_type_is_one_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Added to the list alone, it is allowed, made, read for drift and known to the laptop."""
    kind = "AWS::SQS::Fleet"
    monkeypatch.setattr(resource_types, "TYPES", {**TYPES, kind: {"sqs:GetFleet": ""}})
    monkeypatch.setattr(resource_types, "ALLOWED", (*ALLOWED, kind))

    assert "sqs:GetFleet" in making.rights()[0]["Action"]
    assert "sqs:GetFleet" in policies.drift_policy(policies.DRIFT.read_text())
    assert f",{kind}" in policies.with_types(policies.TEMPLATE.read_text())


@pytest.mark.parametrize("service", ["s3", "lambda", "dynamodb", "logs", "sns", "sqs"])
def test_shortened_actions_are_the_same_and_such_as_read_a_configuration(service: str) -> None:
    actions = [each for each in given() if each.startswith(f"{service}:")]
    found = policies.shortened(actions)
    covered_now = {
        f"{service}:{name}"
        for name in policies._all_actions()[service]
        if any(like(f"{service}:{name}", each, fold=True) for each in found)
    }

    more = covered_now - {each.lower() for each in actions}
    assert not [each for each in actions if not any(like(each, it) for it in found)]
    assert [
        it for it in more if not any(like(it, read, fold=True) for read in policies.READS)
    ] == []
    assert len("".join(found)) < len("".join(actions))
