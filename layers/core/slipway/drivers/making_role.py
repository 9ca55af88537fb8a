"""The role with which CloudFormation makes one environment.

It has the tag `slipway-scope`, by which its policy and its permissions boundary, the same for all
environments, are about this one alone (slipway.domain.making). It is made before the stack and
deleted after it. Its name contains the scope and IAM gives a name once, so no two environments
share a scope.
"""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta

from slipway import aws
from slipway.domain import scope
from slipway.errors import DriverFault, DriverRefused
from slipway.settings import settings

_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "cloudformation.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
# IAM's changes reach other services after some seconds. The laptop's apply at once.
_SETTLES = timedelta(seconds=10)


def arn(environment_id: str) -> str:
    return settings().making_roles + scope.of(environment_id)


def ensure(environment_id: str, now: datetime) -> int:
    """Make the role, if it does not exist. Idempotent; two or three calls.

    Returns the seconds until CloudFormation can be expected to know it. Raises DriverRefused if
    another environment has this scope, and DriverFault.
    """
    try:
        made_at = _made(environment_id, now)
        aws.call(
            "iam",
            "attach_role_policy",
            RoleName=_name(environment_id),
            PolicyArn=settings().making_policy,
        )
    except DriverRefused as error:
        if "NoSuchEntity" not in str(error):
            raise
        # IAM itself may not know the role everywhere yet.
        raise DriverFault(str(error)) from error
    left = made_at + _SETTLES - now if settings().on_aws else timedelta()
    return max(0, math.ceil(left.total_seconds()))


def _made(environment_id: str, now: datetime) -> datetime:
    """When the role was made."""
    try:
        aws.call(
            "iam",
            "create_role",
            RoleName=_name(environment_id),
            Description="The role with which CloudFormation makes an environment of Slipway.",
            AssumeRolePolicyDocument=json.dumps(_TRUST),
            PermissionsBoundary=settings().making_boundary,
            Tags=[
                {"Key": scope.TAG, "Value": scope.of(environment_id)},
                {"Key": "slipway:environment", "Value": environment_id},
            ],
        )
    except DriverRefused as error:
        if "EntityAlreadyExists" not in str(error):
            raise
    else:
        return now
    role = aws.call("iam", "get_role", RoleName=_name(environment_id))["Role"]
    tags = {each["Key"]: each["Value"] for each in role.get("Tags", [])}
    if tags.get("slipway:environment") != environment_id:
        raise DriverRefused(
            f"Another environment has the scope {scope.of(environment_id)}; create this one again"
        )
    return role["CreateDate"]  # type: ignore[no-any-return]


def delete(environment_id: str) -> None:
    """Delete the role of an environment whose stack is gone. Idempotent; two or three calls.

    The role of another environment with this scope stays. Raises DriverRefused, DriverFault.
    """
    name = {"RoleName": _name(environment_id)}
    try:
        role = aws.call("iam", "get_role", **name)["Role"]
        tags = {each["Key"]: each["Value"] for each in role.get("Tags", [])}
        if tags.get("slipway:environment") != environment_id:
            return
        _detach(name)
        aws.call("iam", "delete_role", **name)
    except DriverRefused as error:
        if "NoSuchEntity" not in str(error):
            raise


def _detach(name: dict[str, str]) -> None:
    try:
        aws.call("iam", "detach_role_policy", **name, PolicyArn=settings().making_policy)
    except DriverRefused as error:
        # Detached by an attempt that ended before it could delete the role.
        if "NoSuchEntity" not in str(error):
            raise


def _name(environment_id: str) -> str:
    return arn(environment_id).rpartition("/")[2]
