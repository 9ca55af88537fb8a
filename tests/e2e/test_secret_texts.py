"""A secret that a stack's error quotes, or a resource is named after, is nowhere to be read."""

from __future__ import annotations

import json
import secrets as random
from typing import Any

import pytest

from local.platform import Platform
from slipway.domain import configuration
from slipway.store.wire import decode
from tests.support.http_user import Person, send, until

pytestmark = pytest.mark.xdist_group("e2e")

# One queue is named after the secret. The other has the same name, and the refusal quotes it.
TEMPLATE = """
Parameters:
  Password: {Type: String, NoEcho: true}
  Fails: {Type: String, Default: "no"}
Conditions: {Broken: !Equals [!Ref Fails, "yes"]}
Resources:
  Again:
    Type: AWS::SQS::Queue
    Condition: Broken
    DependsOn: Jobs
    Properties: {QueueName: !Sub "${AWS::StackName}-${Password}"}
  Jobs:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Sub "${AWS::StackName}-${Password}"}
Outputs:
  Name: {Value: !GetAtt Jobs.QueueName}
  Url: {Value: !Sub "https://example.com/${Jobs.QueueName}"}
"""


def readable(item: dict[str, Any]) -> dict[str, Any]:
    """The item, with a configuration itself in the place of its bytes, which are deflated.

    boto3 has decoded the bytes already, which the store's own client leaves to `decode`.
    """
    packed = item.pop("data", None)
    return {**decode(item), "data": packed and configuration.unpacked([packed["B"]])}


def everything(platform: Platform) -> str:
    """The table, the logs and the histories of all executions, as text."""
    table = platform.outputs["TableName"]
    pages = platform.client("dynamodb").get_paginator("scan").paginate(TableName=table)
    found: list[Any] = [readable(item) for page in pages for item in page["Items"]]
    logs = platform.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        searched = logs.get_paginator("filter_log_events")
        for page in searched.paginate(logGroupName=group["logGroupName"]):
            found += page["events"]
    states = platform.client("stepfunctions")
    for machine in states.list_state_machines()["stateMachines"]:
        arn = machine["stateMachineArn"]
        for execution in states.list_executions(stateMachineArn=arn)["executions"]:
            arn = execution["executionArn"]
            found += states.get_execution_history(executionArn=arn)["events"]
    return json.dumps(found, default=str)


def answers(someone: Person, environment: str) -> str:
    paths = ("", "/events", "/logs", "/resources", "/drift")
    return "".join(
        someone.ask("GET", f"/api/v1/environments/{environment}{path}").raw.decode()
        for path in paths
    )


@pytest.fixture
def template(someone: Person) -> str:
    name = f"secret-{random.token_hex(4)}"
    someone.ask("POST", "/api/v1/templates", {"name": name})
    added = send(someone, f"/api/v1/templates/{name}/versions", TEMPLATE)
    assert added.status == 201, added.body
    someone.ask("POST", f"/api/v1/templates/{name}/versions/1.0/publish")
    return name


def test_a_secret_that_an_error_quotes_is_masked_everywhere(
    platform: Platform, someone: Person, template: str
) -> None:
    secret = f"sEcret{random.token_hex(8)}"
    project = someone.project(f"p-{random.token_hex(4)}")
    inputs = {"Password": secret, "Fails": "yes"}

    made = someone.environment(project, "failing", template=template, inputs=inputs)
    seen = someone.wait_for(made["id"], "running", "failed")

    assert seen["status"] == "failed"
    assert "****" in seen["failure"]["reason"]
    assert "AWS::SQS::Queue" in seen["failure"]["reason"]
    assert secret not in answers(someone, made["id"])
    assert secret not in everything(platform)


def test_an_output_by_way_of_a_resource_that_is_named_after_a_secret_is_masked(
    platform: Platform, someone: Person, template: str
) -> None:
    secret, newer = f"sEcret{random.token_hex(8)}", f"nEwer{random.token_hex(8)}"
    project = someone.project(f"p-{random.token_hex(4)}")

    made = someone.environment(project, "named", template=template, inputs={"Password": secret})
    here = f"/api/v1/environments/{made['id']}"
    seen = someone.wait_for(made["id"], "running", "failed")

    assert seen["status"] == "running", seen
    assert seen["outputs"]["Name"].endswith("-****")
    assert seen["base_url"].endswith("-****")
    plan = someone.ask("POST", f"{here}/update?dry_run=true", {"inputs": {"Password": newer}})
    assert plan.status == 200, plan.body
    updated = someone.ask("POST", f"{here}/update", {"inputs": {"Password": newer, "Fails": "yes"}})
    deployment = updated.body["id"]
    ended = someone.wait_for(deployment, "rolled_back", "failed", "succeeded")
    assert ended["status"] == "rolled_back"
    assert "****" in ended["failure"]["reason"]
    someone.ask("DELETE", here)
    someone.wait_for(made["id"], "destroyed", "teardown_failed")

    told = answers(someone, made["id"]) + plan.raw.decode()
    told += someone.ask("GET", f"/api/v1/deployments/{deployment}/logs").raw.decode()
    until(lambda: "destroyed" in answers(someone, made["id"]))
    for value in (secret, newer):
        assert value not in told
        assert value not in everything(platform)
