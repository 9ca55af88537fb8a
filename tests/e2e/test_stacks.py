"""Environments that are real stacks: made, changed, failed, deleted, expired."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.platform import Platform
from slipway.domain import ids, scope
from tests.support.drivers import BUCKET, TEMPLATE, signal, until
from tests.support.http_user import DIRECT, Person, send
from tests.support.maker import Maker, making

pytestmark = pytest.mark.xdist_group("e2e stacks")


HELLO = Path(__file__).parents[2] / "examples/hello-web/template.yaml"
# If it is broken, its last resource waits in vain for a word, when all others are changed.
BREAKABLE = HELLO.read_text().replace(
    "Resources:\n",
    """Conditions: {IsBroken: !Equals [!Ref Version, broken]}
Resources:
  Handle: {Type: AWS::CloudFormation::WaitConditionHandle}
  Bad:
    Type: AWS::CloudFormation::WaitCondition
    Condition: IsBroken
    DependsOn: Live
    Properties: {Handle: !Ref Handle, Timeout: "1"}
""",
    1,
)


@pytest.fixture
def maker(platform: Platform, someone: Person) -> Iterator[Maker]:
    with making(platform, someone) as maker:
        yield maker


@pytest.fixture
def small(platform: Platform) -> str:
    """A template that fails if it is told to, because somebody has the bucket that it wants."""
    platform.client("s3").create_bucket(Bucket=BUCKET)
    # The role that makes environments has no rights to Systems Manager's parameters.
    resources = {**TEMPLATE["Resources"], "Secret": {"Type": "AWS::SQS::Queue"}}
    outputs = {**TEMPLATE["Outputs"], "Password": {"Value": {"Ref": "Password"}}}
    return json.dumps({**TEMPLATE, "Resources": resources, "Outputs": outputs})


def get(url: str) -> str:
    with DIRECT.open(url, timeout=10) as answer:
        return str(answer.read().decode())


def stacks(platform: Platform, environment: str) -> list[str]:
    """The state of the environment's stack, if there is one."""
    found = platform.client("cloudformation").describe_stacks()["Stacks"]
    part = scope.stack_suffix(environment)
    return [each["StackStatus"] for each in found if each["StackName"].endswith(part)]


def lines(someone: Person, deployment: dict[str, Any]) -> list[str]:
    return said(someone, deployment["logs_url"])


def said(someone: Person, url: str) -> list[str]:
    return [line["message"] for line in someone.ask("GET", f"{url}?limit=100").body]


def test_a_deployed_version_answers_at_the_url_of_the_environment(
    maker: Maker, someone: Person, platform: Platform
) -> None:
    made = maker.running(HELLO.read_text(), inputs={"Greeting": "Hi"})
    first = get(made["base_url"])

    v1 = maker.ships(made["id"], "v1", "succeeded")
    second = [get(made["base_url"]), get(made["base_url"] + "/anywhere")]
    maker.ships(made["id"], "v2", "succeeded")

    assert first == "Hi from preview, version none, visit 1\n"
    assert second == [f"Hi from preview, version v1, visit {n}\n" for n in (1, 2)]
    assert get(made["base_url"]) == "Hi from preview, version v2, visit 1\n"
    assert "Live (AWS::Lambda::Alias) UPDATE_COMPLETE" in lines(someone, v1)
    assert lines(someone, v1)[-1] == "v1 is live"
    seen = someone.see(made["id"])
    assert (seen["live_version"], seen["base_url"]) == ("v2", made["base_url"])

    someone.ask("DELETE", f"/api/v1/environments/{made['id']}")
    someone.wait_for(made["id"], "destroyed")
    assert stacks(platform, made["id"]) == []
    functions = platform.client("lambda").list_functions()["Functions"]
    its_own = f"-env-{scope.stack_suffix(made['id'])}-"
    assert not [each for each in functions if its_own in each["FunctionName"]]


# As SAM's documentation has it: the address is put together in the template.
SAM = """
Transform: AWS::Serverless-2016-10-31
Parameters: {PermissionsBoundary: {Type: String}}
Globals: {Function: {PermissionsBoundary: !Ref PermissionsBoundary}}
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      InlineCode: |
        def handler(event, context):
            return event["requestContext"]["stage"] + " " + event["rawPath"]
      Events: {Any: {Type: HttpApi, Properties: {Method: GET, Path: "/{any+}"}}}
  Staged: {Type: AWS::Serverless::HttpApi, Properties: {StageName: live}}
Outputs:
  Url: {Value: !Sub "https://${ServerlessHttpApi}.execute-api.${AWS::Region}.amazonaws.com/"}
"""


def test_a_url_that_a_template_composes_answers(maker: Maker) -> None:
    staged = SAM.replace("Path: ", "ApiId: !Ref Staged, Path: ")
    staged = staged.replace("ServerlessHttpApi", "Staged").replace(".com/", ".com/live/")

    made = [maker.make(SAM), maker.make(staged)]

    urls = [maker.someone.wait_for(each["id"], "running")["base_url"] for each in made]
    assert [get(url + "hello") for url in urls] == ["$default /hello", "live /live/hello"]


UNBOUND = SAM.replace("PermissionsBoundary: !Ref PermissionsBoundary", "Timeout: 3")
PAYROLL = """
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: payroll
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
"""


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (PAYROLL, r"dynamodb:CreateTable on resource: arn:aws:dynamodb:\S+:table/payroll because"),
        (UNBOUND, r"perform: iam:CreateRole "),
    ],
)
def test_a_resource_that_the_role_may_not_create_fails_as_on_aws(
    maker: Maker, someone: Person, platform: Platform, body: str, refused: str
) -> None:
    """A table outside of the environments' names, and a role without the boundary."""
    made = maker.make(body)

    failed = someone.wait_for(made["id"], "failed")

    assert re.search(refused, failed["failure"]["reason"]), failed["failure"]
    assert stacks(platform, made["id"]) == []


def test_a_stack_that_cannot_be_created_is_rolled_back_and_deleted(
    maker: Maker, someone: Person, platform: Platform, small: str
) -> None:
    made = maker.make(small, inputs={"Broken": "true"})

    failed = someone.wait_for(made["id"], "failed")

    assert failed["failure"]["error"] == "DriverRefused"
    why = failed["failure"]["reason"].removeprefix("stack: ")
    assert why.startswith("Bad (AWS::S3::Bucket): ")
    log = said(someone, f"/api/v1/environments/{made['id']}/logs")
    assert why in log
    assert "(AWS::CloudFormation::Stack) CREATE_IN_PROGRESS" in log[0]
    assert not failed["failure"].get("remaining_resources")
    assert stacks(platform, made["id"]) == []


def test_a_failed_update_leaves_the_live_version(
    maker: Maker, someone: Person, platform: Platform, small: str
) -> None:
    made = maker.running(small)
    maker.ships(made["id"], "v1", "succeeded", artifact="s3://builds/v1.zip")

    failed = maker.ships(made["id"], "broken", "rolled_back")

    assert failed["failure"]["error"] == "RolledBack"
    assert failed["failure"]["reason"].startswith("Bad (AWS::S3::Bucket): ")
    assert stacks(platform, made["id"]) == ["UPDATE_ROLLBACK_COMPLETE"]
    seen = someone.see(made["id"])
    assert (seen["live_version"], seen["live_artifact"]) == ("v1", "s3://builds/v1.zip")
    assert any("UPDATE_ROLLBACK_COMPLETE" in line for line in lines(someone, failed))
    assert lines(someone, failed)[-1].endswith("; v1 is live again")
    maker.ships(made["id"], "v2", "succeeded")
    assert someone.see(made["id"])["live_artifact"] is None


def test_the_live_version_still_answers_after_a_failed_update(
    maker: Maker, someone: Person
) -> None:
    made = maker.running(BREAKABLE)
    first = maker.ships(made["id"], "broken", "failed")
    maker.ships(made["id"], "v1", "succeeded")

    failed = maker.ships(made["id"], "broken", "rolled_back")

    assert "Live (AWS::Lambda::Alias) UPDATE_COMPLETE" in lines(someone, failed)
    assert get(made["base_url"]).startswith("Hello from preview, version v1,")
    for each in (first, failed):
        assert (each["failure"]["error"], each["failure"]["step"]) == ("RolledBack", "Ship")
        assert each["failure"]["reason"].startswith("Bad (AWS::CloudFormation::WaitCondition): ")
    events = someone.ask("GET", f"/api/v1/environments/{made['id']}/events").body
    assert events[0]["action"] == "deployment_rolled_back"
    assert events[0]["reason"] == failed["failure"]["reason"]


def test_a_rollout_that_cannot_continue_is_rolled_back(
    maker: Maker, someone: Person, platform: Platform, small: str
) -> None:
    made = maker.running(small)
    maker.ships(made["id"], "v1", "succeeded")
    name = f"slipway-env-{scope.stack_suffix(made['id'])}"
    cloudformation = platform.client("cloudformation")
    path = f"/api/v1/deployments/environments/{made['id']}"

    def waits() -> bool:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        return any(event["LogicalResourceId"] == "Signal" for event in events)

    with impatient(platform, "roll_out_deployment"):
        deployment = someone.ask("POST", path, {"version": "slow"}).body
        until(waits)
        with unreachable(platform, "ShipFunction", "cloudformation"):
            until(lambda: "going back to v1" in " ".join(lines(someone, deployment)), seconds=60)
    signal(cloudformation, name)
    ended = someone.wait_for(deployment["id"], "rolled_back", "failed")

    assert (ended["status"], ended["failure"]["error"]) == ("rolled_back", "DriverFault")
    assert stacks(platform, made["id"]) == ["UPDATE_ROLLBACK_COMPLETE"]
    seen = someone.see(made["id"])
    assert (seen["live_version"], seen["live_in_doubt"]) == ("v1", None)
    assert seen["outputs"]["Live"] == "v1 "


@contextmanager
def impatient(platform: Platform, workflow: str) -> Iterator[None]:
    """Executions that start meanwhile retry as often as ever, but wait a second at most: with the
    workflow's own delays they take half a minute, or twice that."""
    machines = platform.client("stepfunctions")
    [arn] = [
        each["stateMachineArn"]
        for each in machines.list_state_machines()["stateMachines"]
        if each["name"].endswith(workflow)
    ]
    patient = machines.describe_state_machine(stateMachineArn=arn)["definition"]
    hasty = re.sub(r'("MaxDelaySeconds": *)\d+', r"\g<1>1", patient)
    assert hasty != patient
    machines.update_state_machine(stateMachineArn=arn, definition=hasty)
    try:
        yield
    finally:
        machines.update_state_machine(stateMachineArn=arn, definition=patient)


@contextmanager
def unreachable(platform: Platform, function: str, service: str) -> Iterator[None]:
    """Nobody answers this function where it looks for that service."""
    functions = platform.client("lambda")
    [name] = [
        each["FunctionName"]
        for each in functions.list_functions()["Functions"]
        if function in each["FunctionName"]
    ]
    found = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    elsewhere = {f"AWS_ENDPOINT_URL_{service.upper()}": "http://127.0.0.1:9"}
    functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**found, **elsewhere}}
    )
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": found})


def test_a_failed_teardown_lists_what_remains_and_succeeds_later(
    maker: Maker, someone: Person, platform: Platform, small: str
) -> None:
    made = maker.running(small)
    name = f"slipway-env-{scope.stack_suffix(made['id'])}"
    detail = platform.client("cloudformation").describe_stack_resource(
        StackName=name, LogicalResourceId="Alarm"
    )
    alarm = detail["StackResourceDetail"]["PhysicalResourceId"]
    watch = platform.client("cloudwatch")
    watch.put_composite_alarm(AlarmName=f"on-{alarm}", AlarmRule=f'ALARM("{alarm}")')

    someone.ask("DELETE", f"/api/v1/environments/{made['id']}")
    failed = someone.wait_for(made["id"], "teardown_failed")
    [left] = someone.ask("GET", f"/api/v1/environments/{made['id']}/resources").body
    watch.delete_alarms(AlarmNames=[f"on-{alarm}"])
    someone.ask("POST", f"/api/v1/environments/{made['id']}/teardown/retry")

    assert (left["physical_id"], left["status"]) == (alarm, "DELETE_FAILED")
    assert left["reason"].startswith(f"Cannot delete {alarm}")
    remains = failed["failure"]["remaining_resources"]
    assert remains[0].startswith(f"stack: Alarm (AWS::CloudWatch::Alarm, {alarm}): Cannot delete")
    someone.wait_for(made["id"], "destroyed")
    assert stacks(platform, made["id"]) == []


def test_a_failed_teardown_succeeds_with_retained_resources(
    maker: Maker, someone: Person, platform: Platform, small: str
) -> None:
    made = maker.running(small)
    here = f"/api/v1/environments/{made['id']}"
    resources = someone.ask("GET", f"{here}/resources").body
    [alarm] = [each["physical_id"] for each in resources if each["logical_id"] == "Alarm"]
    watch = platform.client("cloudwatch")
    watch.put_composite_alarm(AlarmName=f"on-{alarm}", AlarmRule=f'ALARM("{alarm}")')
    early = someone.ask("POST", f"{here}/teardown/retry", {"retain": ["Alarm"]})
    someone.ask("DELETE", here)
    someone.wait_for(made["id"], "teardown_failed")

    unknown = someone.ask("POST", f"{here}/teardown/retry", {"retain": ["Topic", "Alarm"]})
    asked = someone.ask("POST", f"{here}/teardown/retry", {"retain": ["Alarm"]})

    retained = [f"Alarm (AWS::CloudWatch::Alarm, {alarm})"]
    assert (early.status, early.body["code"]) == (409, "nothing_to_retry")
    assert (unknown.status, unknown.body["errors"][0]["pointer"]) == (422, "#/retain/0")
    assert (asked.status, asked.body["retained_resources"]) == (202, retained)
    gone = someone.wait_for(made["id"], "destroyed")
    assert (gone["retained_resources"], gone["failure"]) == (retained, None)
    assert stacks(platform, made["id"]) == []
    assert len(watch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]) == 1
    events = someone.ask("GET", f"{here}/events").body
    assert events[0]["reason"] == f"What is retained: {retained[0]}"
    for each in (f"on-{alarm}", alarm):
        watch.delete_alarms(AlarmNames=[each])


def test_an_environment_that_expires_deletes_its_stack(
    maker: Maker, someone: Person, platform: Platform, small: str
) -> None:
    made = maker.make(small, type="ephemeral", ttl_hours=0.002)

    someone.wait_for(made["id"], "running")
    assert stacks(platform, made["id"]) == ["CREATE_COMPLETE"]
    gone = someone.wait_for(made["id"], "destroyed")
    assert stacks(platform, made["id"]) == []
    *_, last, end = said(someone, f"/api/v1/environments/{made['id']}/logs")
    name = f"slipway-env-{scope.stack_suffix(made['id'])}"
    assert last == f"{name} (AWS::CloudFormation::Stack) DELETE_COMPLETE"
    assert end == "Destroyed in attempt 1"
    assert f":stack/{name}/" in gone["stack_id"]


def test_a_change_by_hand_is_detected_as_drift(
    maker: Maker, someone: Person, platform: Platform
) -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 30}}
    body = {"Parameters": {"Version": {"Type": "String"}}, "Resources": {"Jobs": queue}}
    made = maker.running(json.dumps(body))
    here = f"/api/v1/environments/{made['id']}/drift"
    before = someone.ask("GET", here).body
    asked = someone.ask("POST", here)
    untouched = someone.ask("GET", here).body

    [resource] = someone.ask("GET", f"/api/v1/environments/{made['id']}/resources").body
    platform.client("sqs").set_queue_attributes(
        QueueUrl=resource["physical_id"], Attributes={"VisibilityTimeout": "5"}
    )
    again = [someone.ask("POST", here).status for _ in range(2)]
    changed = someone.ask("GET", here).body

    assert (before["status"], asked.status, again) == ("not_checked", 202, [202, 202])
    assert untouched["status"] == "in_sync"
    assert [each["status"] for each in untouched["resources"]] == ["IN_SYNC"]
    assert changed["status"] == "drifted"
    [found] = changed["resources"]
    assert (found["logical_id"], found["status"]) == ("Jobs", "MODIFIED")
    assert found["differences"] == [
        {"path": "/VisibilityTimeout", "expected": "30", "actual": "5", "type": "NOT_EQUAL"}
    ]

    # A deployment changes the stack, so earlier findings of drift no longer hold.
    maker.ships(made["id"], "v1", "succeeded")
    someone.ask("POST", here)
    assert someone.ask("GET", here).body["status"] == "drifted"


def test_a_stack_that_was_deleted_by_hand_counts_as_destroyed(
    maker: Maker, someone: Person, platform: Platform, small: str
) -> None:
    made = maker.running(small)
    name = f"slipway-env-{scope.stack_suffix(made['id'])}"
    platform.client("cloudformation").delete_stack(StackName=name)
    until(lambda: not stacks(platform, made["id"]))

    failed = maker.ships(made["id"], "v1", "failed")

    assert failed["failure"]["error"] == "StackGone"
    assert "no longer exists" in failed["failure"]["reason"]
    gone = someone.wait_for(made["id"], "destroyed")
    assert (gone["live_in_doubt"], gone["teardown_attempts"]) == (None, 1)


# --- updates of the environment itself --------------------------------------------------------

QUEUES = """
Parameters:
  Version: {Type: String, Default: none}
  Seconds: {Type: Number, Default: 30}
  Bucket: {Type: String, Default: ""}
  Password: {Type: String, NoEcho: true, MinLength: 8}
Conditions:
  HasBucket: !Not [!Equals [!Ref Bucket, ""]]
Resources:
  Jobs: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: !Ref Seconds}}
  Wanted:
    Type: AWS::S3::Bucket
    Condition: HasBucket
    Properties: {BucketName: !Sub "${AWS::StackName}-${Bucket}"}
  Kept: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref Password}}
Outputs:
  Live: {Value: !Ref Version}
  Jobs: {Value: !Ref Jobs}
"""
DEAD = "  Dead: {Type: AWS::SQS::Queue}\n"


@dataclass
class Updater:
    """A user with an environment of version 1.0 of a template that also has a 1.1."""

    platform: Platform
    someone: Person
    template: str
    environment: str

    def asks(self, query: str = "", **wanted: Any) -> Any:
        path = f"/api/v1/environments/{self.environment}/update{query}"
        answer = self.someone.ask("POST", path, wanted)
        assert answer.status == (200 if query else 201), answer.raw
        return answer.body

    def updates(self, ends: str, **wanted: Any) -> dict[str, Any]:
        return self.someone.wait_for(self.asks(**wanted)["id"], ends)

    @property
    def secrets(self) -> list[str]:
        """The values that are kept for the environment."""
        found = self.platform.client("ssm").get_parameters_by_path(
            Path=f"/slipway/environments/{self.environment}", Recursive=True, WithDecryption=True
        )
        return sorted(each["Value"] for each in found["Parameters"])

    @property
    def resources(self) -> set[str]:
        path = f"/api/v1/environments/{self.environment}/resources"
        return {each["logical_id"] for each in self.someone.ask("GET", path).body}

    def usage(self) -> dict[str, Any]:
        found = self.someone.ask("GET", f"/api/v1/templates/{self.template}/usage").body
        return {name: count for name, count in found.items() if count}


@pytest.fixture
def updater(platform: Platform, someone: Person) -> Updater:
    name = f"queues-{ids.new_part()}"
    assert someone.ask("POST", "/api/v1/templates", {"name": name}).status == 201
    versions = f"/api/v1/templates/{name}/versions"
    for number, body in (("1.0", QUEUES), ("1.1", QUEUES.replace("Outputs:", DEAD + "Outputs:"))):
        assert send(someone, f"{versions}?version={number}", body).status == 201
        assert someone.ask("POST", f"{versions}/{number}/publish").status == 200
    made = someone.environment(
        someone.project(), template=f"{name}@1.0", inputs={"Password": "hunter22"}
    )
    someone.wait_for(made["id"], "running")
    return Updater(platform, someone, name, made["id"])


def test_an_environment_moves_to_another_version_and_other_inputs(
    updater: Updater, someone: Person, platform: Platform
) -> None:
    shipped = someone.deploy(updater.environment, "v1").body["id"]
    someone.wait_for(shipped, "succeeded")
    wanted = {"template": f"{updater.template}@1.1", "inputs": {"Seconds": 60}}

    plan = updater.asks("?dry_run=true", **wanted)
    unchanged = someone.see(updater.environment)
    done = updater.updates("succeeded", **wanted)

    changes = {each["logical_id"]: each["action"] for each in plan["change_set"]["changes"]}
    assert changes["Dead"] == "add"
    assert changes["Jobs"] == "modify"
    assert plan["inputs"] == {"Seconds": {"before": None, "after": "60"}}
    assert unchanged["template"].endswith("@1.0")
    assert (done["version"], done["template"]) == ("v1", f"{updater.template}@1.1")
    seen = someone.see(updater.environment)
    assert seen["template"] == f"{updater.template}@1.1"
    assert seen["inputs"] == {"Seconds": "60", "Password": "****"}
    assert (seen["live_version"], seen["outputs"]["Live"]) == ("v1", "v1")
    assert updater.resources == {"Jobs", "Kept", "Dead"}
    queue = platform.client("sqs").get_queue_attributes(
        QueueUrl=seen["outputs"]["Jobs"], AttributeNames=["VisibilityTimeout"]
    )
    assert queue["Attributes"]["VisibilityTimeout"] == "60"
    until(lambda: updater.usage() == {"newest": "1.1", "up_to_date": 1})
    said = lines(someone, done)
    assert any("Dead (AWS::SQS::Queue)" in line for line in said)
    assert said[-1] == f"{updater.template}@1.1 is live"
    assert someone.ask("GET", f"/api/v1/deployments/{done['id']}/timeline").body
    again = someone.deploy(updater.environment, "v2").body["id"]
    someone.wait_for(again, "succeeded")
    assert someone.see(updater.environment)["outputs"]["Live"] == "v2"
    assert updater.resources == {"Jobs", "Kept", "Dead"}


def test_an_update_that_cannot_be_made_changes_nothing(
    updater: Updater, someone: Person, platform: Platform
) -> None:
    before = someone.see(updater.environment)
    stack = before["stack_id"].split("/")[1]
    platform.client("s3").create_bucket(Bucket=f"{stack}-taken")

    failed = updater.updates(
        "rolled_back",
        template=f"{updater.template}@1.1",
        inputs={"Bucket": "taken", "Password": "hunter33"},
    )

    assert failed["failure"]["error"] == "RolledBack"
    assert failed["failure"]["reason"].startswith("Wanted (AWS::S3::Bucket): ")
    after = someone.see(updater.environment)
    assert {k: after[k] for k in ("template", "inputs", "outputs")} == {
        k: before[k] for k in ("template", "inputs", "outputs")
    }
    assert updater.resources == {"Jobs", "Kept"}
    until(lambda: updater.secrets == ["hunter22"])
    assert updater.usage() == {"newest": "1.1", "behind_minor": 1}


def test_waiting_updates_add_up_and_secrets_are_deleted_once_no_rollback_needs_them(
    updater: Updater, someone: Person, platform: Platform
) -> None:
    made = [
        updater.asks(inputs={"Seconds": 40, "Password": "hunter33"}),
        updater.asks(template=updater.template),
        updater.asks(inputs={"Password": "hunter44"}),
        updater.asks(inputs={"Password": "hunter55"}),
    ]
    someone.ask("POST", f"/api/v1/deployments/{made[3]['id']}/cancel")

    for each in made[:3]:
        someone.wait_for(each["id"], "succeeded")

    seen = someone.see(updater.environment)
    assert seen["template"] == f"{updater.template}@1.1"
    assert seen["inputs"] == {"Seconds": "40", "Password": "****"}
    # What was canceled, and what was before the first deployment, is nothing to roll back to.
    until(lambda: updater.secrets == ["hunter33", "hunter44"])
    kept = platform.client("cloudformation").describe_stack_resource(
        StackName=f"slipway-env-{scope.stack_suffix(updater.environment)}", LogicalResourceId="Kept"
    )["StackResourceDetail"]["PhysicalResourceId"]
    topic = platform.client("sns").get_topic_attributes(TopicArn=kept)
    assert topic["Attributes"]["DisplayName"] == "hunter44"
    # A rollback can go to the last ten that were live: nine more leave none with the older value.
    shipped = [someone.deploy(updater.environment, f"v{n}").body["id"] for n in range(1, 10)]
    someone.wait_for(shipped[-2], "succeeded")
    assert updater.secrets == ["hunter33", "hunter44"]
    someone.wait_for(shipped[-1], "succeeded")
    until(lambda: updater.secrets == ["hunter44"])
    someone.ask("DELETE", f"/api/v1/environments/{updater.environment}")
    someone.wait_for(updater.environment, "destroyed")
    assert updater.secrets == []
