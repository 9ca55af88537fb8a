"""Roles of environments that `make undeploy` deletes before the stack whose policies they have."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from moto import mock_aws

from deploy import leftovers

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "cloudformation.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
DOCUMENT = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}],
    }
)


def names(iam: Any) -> set[str]:
    return {each["RoleName"] for each in iam.list_roles()["Roles"]}


@mock_aws
def test_roles_without_a_stack_are_deleted_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    session = boto3.Session(region_name="us-east-1")
    iam = session.client("iam")
    made = iam.create_policy(PolicyName="slipway-EnvironmentMaking-1", PolicyDocument=DOCUMENT)
    for name in ("slipway-making-aaaaaaaa", "slipway-making-bbbbbbbb", "other-making-cccccccc"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
        iam.attach_role_policy(RoleName=name, PolicyArn=made["Policy"]["Arn"])
    # Its environment's stack was left to its owner.
    monkeypatch.setattr(leftovers, "stacks", lambda *_: iter(["slipway-env-bbbbbbbbxx"]))

    leftovers.remove_roles(session, "slipway")
    leftovers.remove_roles(session, "slipway")

    assert names(iam) == {"slipway-making-bbbbbbbb", "other-making-cccccccc"}
