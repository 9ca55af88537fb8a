"""The role with which CloudFormation makes one environment: made, found again, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from slipway import aws
from slipway.domain import ids, scope, timestamps
from slipway.drivers import making_role
from slipway.errors import DriverFault, DriverRefused
from slipway.settings import settings
from tests.support.drivers import MAKING_BOUNDARY, MAKING_POLICY, MAKING_ROLES, Subject

NOW = timestamps.now()
ENVIRONMENT = f"env_{ids.new_part()}_{ids.new_part()}"
SCOPE = ENVIRONMENT.rpartition("_")[2][10:18]
NAME = f"slipway-making-{SCOPE}"


@pytest.fixture
def iam(on_lambda: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """On AWS, where a change of IAM takes some seconds."""
    on_lambda.delenv("AWS_ENDPOINT_URL", raising=False)
    settings.cache_clear()
    with Stubber(aws.client("iam")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def role(age: timedelta = timedelta(), environment: str = ENVIRONMENT) -> dict[str, Any]:
    return {
        "Path": "/",
        "RoleName": NAME,
        "RoleId": "AROA" + "A" * 17,
        "Arn": MAKING_ROLES + SCOPE,
        "CreateDate": NOW - age,
        "Tags": [{"Key": "slipway:environment", "Value": environment}],
    }


def is_there(iam: Stubber, **more: Any) -> None:
    iam.add_client_error("create_role", "EntityAlreadyExists", "Role already exists", 409)
    iam.add_response("get_role", {"Role": role(**more)}, {"RoleName": NAME})


def is_attached(iam: Stubber) -> None:
    iam.add_response("attach_role_policy", {}, {"RoleName": NAME, "PolicyArn": MAKING_POLICY})


def test_a_scope_is_the_random_half_of_the_id_and_begins_the_end_of_the_stacks_name() -> None:
    part = ENVIRONMENT.rpartition("_")[2]

    assert scope.of(ENVIRONMENT) == part[10:18]
    assert scope.stack_suffix(ENVIRONMENT) == part[10:] + part[:10]


def test_a_new_role_has_its_boundary_its_policy_and_the_scope_as_a_tag(iam: Stubber) -> None:
    request = {
        "RoleName": NAME,
        "Description": ANY,
        "AssumeRolePolicyDocument": ANY,
        "PermissionsBoundary": MAKING_BOUNDARY,
        "Tags": [
            {"Key": "slipway-scope", "Value": SCOPE},
            {"Key": "slipway:environment", "Value": ENVIRONMENT},
        ],
    }
    iam.add_response("create_role", {"Role": role()}, request)
    is_attached(iam)

    # CloudFormation does not know it yet.
    assert making_role.ensure(ENVIRONMENT, NOW) == 10


@pytest.mark.parametrize(("age", "left"), [(0, 10), (9, 1), (10, 0), (900, 0)])
def test_a_role_that_is_there_is_used_after_some_seconds(iam: Stubber, age: int, left: int) -> None:
    """The policy is attached again: the first attempt may have ended before that."""
    is_there(iam, age=timedelta(seconds=age))
    is_attached(iam)

    assert making_role.ensure(ENVIRONMENT, NOW) == left


def test_a_role_that_iam_does_not_find_yet_is_a_fault_that_is_tried_again(iam: Stubber) -> None:
    unknown = ("NoSuchEntity", "The role with name x cannot be found.", 404)
    iam.add_response("create_role", {"Role": role()}, None)
    iam.add_client_error("attach_role_policy", *unknown)
    with pytest.raises(DriverFault, match="cannot be found"):
        making_role.ensure(ENVIRONMENT, NOW)

    iam.add_client_error("create_role", "EntityAlreadyExists", "Role already exists", 409)
    iam.add_client_error("get_role", *unknown)
    with pytest.raises(DriverFault, match="cannot be found"):
        making_role.ensure(ENVIRONMENT, NOW)


def test_the_scope_of_another_environment_is_refused_and_its_role_stays(iam: Stubber) -> None:
    other = f"env_{ids.new_part()}_{ids.new_part()}"
    is_there(iam, environment=other)
    iam.add_response("get_role", {"Role": role(environment=other)}, {"RoleName": NAME})

    with pytest.raises(DriverRefused, match="Another environment has the scope"):
        making_role.ensure(ENVIRONMENT, NOW)
    making_role.delete(ENVIRONMENT)


def test_a_role_is_deleted_without_its_policy(iam: Stubber) -> None:
    iam.add_response("get_role", {"Role": role()}, {"RoleName": NAME})
    iam.add_response("detach_role_policy", {}, {"RoleName": NAME, "PolicyArn": MAKING_POLICY})
    iam.add_response("delete_role", {}, {"RoleName": NAME})

    making_role.delete(ENVIRONMENT)


def test_a_deletion_that_ended_halfway_is_completed(iam: Stubber) -> None:
    iam.add_response("get_role", {"Role": role()}, {"RoleName": NAME})
    iam.add_client_error("detach_role_policy", "NoSuchEntity", "Policy was not found", 404)
    iam.add_response("delete_role", {}, {"RoleName": NAME})
    making_role.delete(ENVIRONMENT)

    iam.add_client_error("get_role", "NoSuchEntity", "The role cannot be found", 404)
    making_role.delete(ENVIRONMENT)


def test_an_environment_has_a_role_while_it_has_a_stack(stack: Subject, stacks: Any) -> None:
    iam = aws.client("iam")
    name = {"RoleName": making_role.arn(stack.id).rpartition("/")[2]}

    stack.go("provision")

    found = iam.get_role(**name)["Role"]
    assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == MAKING_BOUNDARY
    [attached] = iam.list_attached_role_policies(**name)["AttachedPolicies"]
    assert attached["PolicyArn"] == MAKING_POLICY
    stack.go("retire")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(**name)


def test_a_role_that_somebody_deleted_is_made_again_to_delete_the_stack(
    stack: Subject, stacks: Any
) -> None:
    stack.go("provision")
    making_role.delete(stack.id)

    stack.go("retire")

    assert stack.go("retire").done
