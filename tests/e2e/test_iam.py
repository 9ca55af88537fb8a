"""A right that the template does not give is missed on the laptop, under its name on AWS."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.package import Package
from local.platform import Platform
from tests.support.http_user import Person, until
from tests.support.repository import resources

pytestmark = pytest.mark.xdist_group("e2e")


class Lacking(Platform):
    """The platform, from whose template rights are taken: by the resource, what is not given."""

    def __init__(self, lacks: dict[str, str]) -> None:
        super().__init__(parameters={"SimulatedSeconds": "0"})
        self.lacks = lacks

    def _package(self) -> Package:
        built = super()._package()
        template = copy.deepcopy(built.template)
        for name, right in self.lacks.items():
            properties = template["Resources"][name]["Properties"]
            own = [_own(each, template["Resources"]) for each in properties["Policies"]]
            before = copy.deepcopy(own)
            properties["Policies"] = [_without(each, right) for each in own]
            assert properties["Policies"] != before, f"{name} has no {right}"
        built.template = template
        return built


def _own(policy: dict[str, Any], resources: dict[str, Any]) -> dict[str, Any]:
    """The policy, or the statements of the named policy that it refers to, for this role alone."""
    if "Ref" not in policy:
        return policy
    document = resources[policy["Ref"]]["Properties"]["PolicyDocument"]
    return {"Statement": copy.deepcopy(document["Statement"])}


def _without(policy: dict[str, Any], right: str) -> dict[str, Any]:
    """The policy without the action, or without what SAM's policy template of the name gives."""
    if right in policy:
        return {"Statement": [{"Effect": "Deny", "Action": "aws:Nothing", "Resource": "*"}]}
    for statement in policy.get("Statement", []):
        actions = statement["Action"]
        actions = actions if isinstance(actions, list) else [actions]
        statement["Action"] = [each for each in actions if each != right] or ["aws:Nothing"]
    return policy


@pytest.fixture(scope="module")
def lacking() -> Iterator[Platform]:
    lacks = {
        "DeploymentsFunction": "dynamodb:UpdateItem",
        "ProvisionEnvironment": "LambdaInvokePolicy",
        "ExpireEnvironment": "dynamodb:UpdateItem",
    }
    with Lacking(lacks) as platform:
        yield platform


def physical(platform: Platform, name: str) -> str:
    found = platform.client("cloudformation").describe_stack_resource(
        StackName="slipway", LogicalResourceId=name
    )
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def role_of(platform: Platform, name: str) -> str:
    """The name of the role that SAM makes for a function or a state machine."""
    return physical(platform, f"{name}Role")


def table(platform: Platform) -> str:
    name = platform.outputs["TableName"]
    return f"arn:aws:dynamodb:us-east-1:000000000000:table/{name}"


def failed_task(platform: Platform, machine: str) -> dict[str, Any]:
    """The details of the first task that failed in any execution of the state machine."""
    client = platform.client("stepfunctions")

    def found() -> Any:
        arn = physical(platform, machine)
        for execution in client.list_executions(stateMachineArn=arn)["executions"]:
            history = client.get_execution_history(executionArn=execution["executionArn"])
            for event in history["events"]:
                if event["type"] == "TaskFailed":
                    return event["taskFailedEventDetails"]
        return None

    details: dict[str, Any] = until(found)
    return details


def test_a_function_without_an_action_fails_with_the_refusal_that_names_it(
    lacking: Platform,
) -> None:
    someone = Person(lacking.url).sign_in()
    environment = someone.environment(someone.project())

    answer = someone.deploy(environment["id"], "v1")

    assert answer.status in (500, 503), answer.raw
    group = physical(lacking, "FunctionLogs")
    logs = lacking.client("logs")
    role = role_of(lacking, "DeploymentsFunction")
    function = physical(lacking, "DeploymentsFunction")
    refusal = (
        f"User: arn:aws:sts::000000000000:assumed-role/{role}/{function} is not authorized to "
        f"perform: dynamodb:UpdateItem on resource: {table(lacking)} "
        "because no identity-based policy allows the dynamodb:UpdateItem action"
    )

    def told() -> bool:
        events = logs.filter_log_events(logGroupName=group)["events"]
        return any(refusal in event["message"] for event in events)

    until(told)


def test_a_state_machine_without_an_action_fails_with_the_refusal_that_names_it(
    lacking: Platform,
) -> None:
    someone = Person(lacking.url).sign_in()
    someone.environment(someone.project())

    failed = failed_task(lacking, "ProvisionEnvironment")

    assert failed["error"] == "Lambda.AWSLambdaException"
    role = role_of(lacking, "ProvisionEnvironment")
    function = physical(lacking, "ProvisionFunction")
    assert f":assumed-role/{role}/" in failed["cause"]
    assert (
        "perform: lambda:InvokeFunction on resource: "
        f"arn:aws:lambda:us-east-1:000000000000:function:{function} because no identity-based"
    ) in failed["cause"]


def test_a_state_machine_without_its_direct_write_fails_with_the_refusal_that_names_it(
    lacking: Platform,
) -> None:
    client = lacking.client("stepfunctions")
    key = {"pk": {"S": "env"}, "sk": {"S": "env"}}
    client.start_execution(
        stateMachineArn=physical(lacking, "ExpireEnvironment"),
        input=json.dumps({"wakes_at": "2026-01-01T00:00:00Z", "keys": {"environment": key}}),
    )

    failed = failed_task(lacking, "ExpireEnvironment")

    assert failed["error"] == "DynamoDB.AmazonDynamoDBException"
    assert f"dynamodb:UpdateItem on resource: {table(lacking)} because" in failed["cause"]


def reaches(platform: Platform, role: str, pk: str) -> str:
    """Let somebody with the function's or state machine's role write the item: what it answers."""
    name = role_of(platform, role)
    trust = {"AWS": "arn:aws:iam::000000000000:root"}
    statement = {"Effect": "Allow", "Principal": trust, "Action": "sts:AssumeRole"}
    platform.client("iam").update_assume_role_policy(
        RoleName=name, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement})
    )
    key = platform.assume(f"arn:aws:iam::000000000000:role/{name}", "intruder")
    update = {
        "TableName": platform.outputs["TableName"],
        "Key": {"pk": {"S": pk}, "sk": {"S": "forged"}},
        "UpdateExpression": "SET x = :x",
        "ExpressionAttributeValues": {":x": {"S": "x"}},
    }
    try:
        platform.client("dynamodb", key).transact_write_items(TransactItems=[{"Update": update}])
    except ClientError as error:
        return str(error)
    return "written"


def test_only_auth_and_people_write_what_decides_who_signs_in(lacking: Platform) -> None:
    roles = [
        *(name for name in resources("AWS::Serverless::Function") if name != "ProjectsFunction"),
        *resources("AWS::Serverless::StateMachine"),
    ]

    answers = {
        (role, pk): reaches(lacking, role, pk)
        for role in roles
        for pk in ("KEYS", "ACCOUNT#usr_1", "EMAIL#ann@example.com", "ATTEMPTS#1", "PROJECT#1")
    }

    written = {
        role for (role, pk), answer in answers.items() if answer == "written" if pk == "KEYS"
    }
    assert written == {"AuthFunction"}
    for (role, pk), answer in answers.items():
        if role == "AuthFunction" or (role, pk) == ("PeopleFunction", "ACCOUNT#usr_1"):
            assert answer == "written", (role, pk, answer)
        elif pk != "PROJECT#1":
            assert "is not authorized to perform: dynamodb:UpdateItem" in answer, (role, pk, answer)
    # It is the leading key that they are denied, not the table.
    assert answers["EnvironmentsFunction", "PROJECT#1"] == "written"
    assert answers["ProvisionEnvironment", "PROJECT#1"] == "written"
    assert "explicit deny in a permissions boundary" in answers["EnvironmentsFunction", "KEYS"]


def test_no_function_may_change_an_entry_of_an_audit(lacking: Platform) -> None:
    roles = [*resources("AWS::Serverless::Function"), *resources("AWS::Serverless::StateMachine")]

    answers = {
        (role, pk): reaches(lacking, role, pk)
        for role in roles
        for pk in ("AUDIT#PLATFORM", "UNLINKED#PLATFORM", "CHAIN#PLATFORM")
    }

    written = {asked for asked, answer in answers.items() if answer == "written"}
    # It moves the head of a chain.
    assert written == {("DispatchDeploymentsFunction", "CHAIN#PLATFORM")}
