"""Templates on the embedded platform: S3, the parameter store and CloudFormation's validation."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from local.platform import Platform
from slipway.importers.proton.__main__ import main
from tests.support.http_user import Person, send
from tests.support.importers.bundles import files, write

pytestmark = pytest.mark.xdist_group("e2e stacks")


BODY = """
Parameters:
  Size: {Type: String, AllowedValues: [small, large], Default: small}
  Password: {Type: String, NoEcho: true, MinLength: 8}
Resources:
  Jobs: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub "${AWS::StackName}-jobs"}}
"""
SMALL = "Resources: {Jobs: {Type: AWS::SQS::Queue}}"


@pytest.fixture
def versions(someone: Person) -> str:
    """Where the versions of a new template of theirs are."""
    name = f"queue-{secrets.token_hex(4)}"
    assert someone.ask("POST", "/api/v1/templates", {"name": name}).status == 201
    return f"/api/v1/templates/{name}/versions"


def test_a_version_is_published_planned_and_read_back(
    platform: Platform, someone: Person, versions: str
) -> None:
    made = send(someone, versions, BODY)
    published = someone.ask("POST", f"{versions}/1.0/publish")
    project = someone.project()
    path = f"/api/v1/environments/projects/{project}?dry_run=true"
    wanted = {"name": "x", "type": "ephemeral", "template": published.body["template"]}

    plan = someone.ask("POST", path, {**wanted, "inputs": {"Password": "hunter22"}})
    wrong = someone.ask("POST", path, {**wanted, "inputs": {"Size": "huge"}})

    assert (made.status, published.body["state"]) == (201, "published")
    assert someone.ask("GET", f"{versions}/1.0/body").raw.decode() == BODY
    assert plan.status == 200
    assert plan.body["template"] == f"{published.body['template']}@1.0"
    assert plan.body["inputs"] == {"Size": "small", "Password": "****"}
    assert plan.body["resources"] == {"AWS::SQS::Queue": 1}
    [jobs] = plan.body["change_set"]["changes"]
    assert (jobs["action"], jobs["logical_id"], jobs["type"]) == ("add", "Jobs", "AWS::SQS::Queue")
    assert {each["pointer"] for each in wrong.body["errors"]} == {
        "#/inputs/Size",
        "#/inputs/Password",
    }
    stacks = platform.client("cloudformation").describe_stacks()["Stacks"]
    tags = [tag for stack in stacks for tag in stack["Tags"]]
    assert {"Key": "slipway:project", "Value": project} not in tags
    assert not [each["StackName"] for each in stacks if "-plan-" in each["StackName"]]
    held = platform.client("dynamodb").scan(TableName=platform.outputs["TableName"])["Items"]
    assert not [item["pk"]["S"] for item in held if item["sk"]["S"].startswith("PLAN#")]


def test_an_orphaned_plan_is_deleted(platform: Platform, someone: Person, versions: str) -> None:
    cloudformation = platform.client("cloudformation")
    name = f"slipway-plan-{secrets.token_hex(20)}"
    cloudformation.create_change_set(
        StackName=name, ChangeSetName="plan", ChangeSetType="CREATE", TemplateBody=SMALL
    )
    digest = name.rpartition("-")[2]
    note = {"pk": f"PLAN#{digest}", "sk": "PLAN#1", "stack": name, "due": "DUE#0"}
    item = {field: {"S": value} for field, value in {**note, "due_at": "2026"}.items()}
    table = platform.outputs["TableName"]
    platform.client("dynamodb").put_item(TableName=table, Item=item)

    name_of_reconcile = platform.outputs["ReconcileFunctionName"]
    platform.client("lambda").invoke(FunctionName=name_of_reconcile)

    with pytest.raises(ClientError, match="does not exist"):
        cloudformation.describe_stacks(StackName=name)
    key = {field: item[field] for field in ("pk", "sk")}
    assert "Item" not in platform.client("dynamodb").get_item(TableName=table, Key=key)


def test_a_body_that_cloudformation_or_the_platform_refuses_is_not_a_version(
    someone: Person, versions: str
) -> None:
    output = "Outputs: {O: {Value: !Equals [a, a]}}"

    odd = send(someone, versions, f"Resources: {{A: {{Type: AWS::SQS::Queue}}}}\n{output}")
    not_allowed = send(someone, versions, "Resources: {A: {Type: AWS::EC2::Instance}}")

    assert (odd.status, odd.body["errors"][0]["pointer"]) == (422, "#")
    assert "Outputs member must evaluate to a String" in odd.body["detail"]
    assert (not_allowed.status, not_allowed.body["errors"][0]["pointer"]) == (
        422,
        "#/Resources/A/Type",
    )
    assert someone.ask("GET", versions).body == []


def test_a_bundle_of_proton_becomes_an_environment(
    someone: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    template = """Resources:
  Jobs:
    Type: AWS::SQS::Queue
    Properties: {Tags: [{Key: of, Value: '{{ service.name }}'}]}
  {% if service_instance.inputs.dead_letters %}
  Dead:
    Type: AWS::SQS::Queue
    Properties: {Tags: [{Key: of, Value: 'dead-{{ service_instance.inputs.suffix }}'}]}
  {% endif %}
Outputs:
  Queue: {Value: '{{ service.name }}-{{ service_instance.name }}-jobs'}
"""
    inputs = "dead_letters: {type: boolean, default: false}\nsuffix: {type: string, minLength: 1}"
    name = f"imported-{secrets.token_hex(4)}"
    monkeypatch.setenv("SLIPWAY_TOKEN", str(someone.token))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    write(tmp_path, files(template, inputs, "service"))

    ended = main([str(tmp_path), "--publish-to", someone.url, "--name", name])

    assert ended == 0
    published = someone.ask("POST", f"/api/v1/templates/{name}/versions/1.0/publish")
    assert published.status == 200
    project = someone.project(f"jobs-{secrets.token_hex(4)}")
    queues = {}
    for dead in ("true", "false"):
        wanted = {"DeadLetters": dead, "Suffix": secrets.token_hex(4)}
        made = someone.environment(project, f"pr-{dead}", template=name, inputs=wanted)
        seen = someone.wait_for(made["id"], "running", "failed")
        assert seen["status"] == "running", seen
        resources = someone.ask("GET", f"/api/v1/environments/{made['id']}/resources").body
        queues[dead] = {each["logical_id"] for each in resources}
        assert seen["outputs"]["Queue"].endswith(f"-pr-{dead}-jobs")
    assert queues == {"true": {"Jobs", "Dead"}, "false": {"Jobs"}}


LOOP = """
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Parameters:
  Version: {Type: String, Default: none}
  Names: {Type: CommaDelimitedList, Default: Orders}
Rules:
  Few: {Assertions: [{Assert: !Contains [!Ref Names, Orders], AssertDescription: needs Orders}]}
Resources:
  Things: {Type: AWS::Serverless::SimpleTable}
  Fn::ForEach::Queues:
    - Name
    - !Ref Names
    - Queue&{Name}: {Type: AWS::SQS::Queue, Properties: {Tags: [{Key: v, Value: !Ref Version}]}}
Outputs:
  Fn::ForEach::Outputs:
    - Name
    - !Ref Names
    - "Queue&{Name}": {Value: !GetAtt [!Sub "Queue${Name}", QueueName]}
  Text: {Value: !ToJsonString {names: !Ref Names, yes: 010}}
"""


def test_an_environment_runs_with_loops_over_its_inputs(someone: Person, versions: str) -> None:
    assert send(someone, versions, LOOP).status == 201
    template = someone.ask("POST", f"{versions}/1.0/publish").body["template"]
    path = f"/api/v1/environments/projects/{someone.project()}"
    wanted = {"name": "x", "type": "ephemeral", "template": template}

    refused = someone.ask("POST", path, {**wanted, "inputs": {"Names": ["Bills"]}})
    made = someone.ask("POST", path, {**wanted, "inputs": {"Names": ["Orders", "Bills"]}}).body
    runs = someone.wait_for(made["id"], "running", "failed")
    deployed = someone.ask(
        "POST", f"/api/v1/deployments/environments/{made['id']}", {"version": "v1"}
    )
    someone.wait_for(deployed.body["id"], "succeeded", "rolled_back", "failed")
    update = {"inputs": {"Names": ["Orders", "Late"]}}
    updated = someone.ask("POST", f"/api/v1/environments/{made['id']}/update", update).body
    ended = someone.wait_for(updated["id"], "succeeded", "rolled_back", "failed")

    assert refused.body["errors"] == [
        {"pointer": "#/inputs", "detail": "breaks a rule of the template: needs Orders"}
    ]
    assert runs["status"] == "running", runs["failure"]
    assert set(runs["outputs"]) == {"QueueOrders", "QueueBills", "Text"}
    assert runs["outputs"]["Text"] == '{"names":["Orders","Bills"],"true":8}'
    assert ended["status"] == "succeeded", ended["failure"]
    after = someone.ask("GET", f"/api/v1/environments/{made['id']}").body
    assert set(after["outputs"]) == {"QueueOrders", "QueueLate", "Text"}
