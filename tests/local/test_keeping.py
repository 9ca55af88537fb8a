"""`make local` keeps its data between runs, and continues work that was under way."""

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local.data import Data
from local.platform import Platform
from local.sockets import bound
from tests.support.local.platform import (
    EVERYTHING,
    allow,
    calling,
    copy_of_app,
    eventually,
    role,
    start,
)

SOON = 0.2  # seconds between saves
NEVER = 3600.0
Begin = Callable[..., Platform]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Start a platform that continues with what the one before has kept."""
    root = copy_of_app(tmp_path)
    started: list[Platform] = []

    def begin(every: float = NEVER, *, fresh: bool = False, port: int = 0) -> Platform:
        data = Data(root / ".slipway", fresh=fresh, every=every, say=print)
        platform = Platform(root, port or (started[0].port if started else 0), data=data)
        started.append(platform)
        platform.start()
        if not data.found:
            role(platform, EVERYTHING.rpartition("/")[2], allow("*"))
        return platform

    yield begin
    for platform in started:
        platform.stop()


def kill(platform: Platform) -> None:
    """End the emulator and its workers as a power cut does."""
    assert platform.emulator
    os.killpg(platform.emulator.pid, signal.SIGKILL)
    platform.emulator.wait()
    platform.stop()


def put(platform: Platform, **item: str) -> None:
    platform.client("dynamodb").put_item(
        TableName=platform.outputs["TableName"],
        Item={name: {"S": value} for name, value in item.items()},
    )


def got(platform: Platform, pk: str, sk: str = "-") -> Any:
    return (
        platform.client("dynamodb")
        .get_item(
            TableName=platform.outputs["TableName"],
            Key={"pk": {"S": pk}, "sk": {"S": sk}},
            ConsistentRead=True,
        )
        .get("Item")
    )


def test_the_next_run_has_everything(begin: Begin) -> None:
    first = begin()
    key, outputs = first.owner, first.outputs
    put(first, pk="kept", sk="-")
    first.client("s3").create_bucket(Bucket="bucket")
    first.client("s3").put_object(Bucket="bucket", Key="a/b", Body=b"x" * 100_000)
    first.client("secretsmanager").create_secret(Name="key", SecretString="signing")
    first.client("ssm").put_parameter(Name="/p", Value="v", Type="SecureString")
    queue = first.client("sqs").create_queue(QueueName="queue")["QueueUrl"]
    first.client("sqs").send_message(QueueUrl=queue, MessageBody="waits")
    first.client("events").put_rule(Name="rule", ScheduleExpression="rate(1 day)", State="DISABLED")
    calling(first.url)("/things")
    first.stop()

    again = begin()

    assert again.owner != key
    assert again.outputs == outputs
    assert got(again, "kept")
    assert again.client("s3").get_object(Bucket="bucket", Key="a/b")["Body"].read() == (
        b"x" * 100_000
    )
    secret = again.client("secretsmanager").get_secret_value(SecretId="key")
    assert secret["SecretString"] == "signing"
    parameter = again.client("ssm").get_parameter(Name="/p", WithDecryption=True)
    assert parameter["Parameter"]["Value"] == "v"
    [message] = again.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    assert message["Body"] == "waits"
    assert again.client("events").describe_rule(Name="rule")["State"] == "DISABLED"
    assert again.client("iam").get_role(RoleName="test")
    assert calling(again.url)("/things").status == 200
    logged = again.client("logs").describe_log_groups()["logGroups"]
    assert any("Echo" in group["logGroupName"] for group in logged)
    with pytest.raises(ClientError):  # the key of the run before
        again.client("dynamodb", key).list_tables()


def test_fresh_begins_empty(begin: Begin) -> None:
    first = begin()
    put(first, pk="kept", sk="-")
    first.stop()

    again = begin(fresh=True)

    assert not got(again, "kept")


def test_a_run_that_did_not_get_ready_leaves_the_data_as_it_was(begin: Begin) -> None:
    first = begin()
    put(first, pk="kept", sk="-")
    first.stop()
    template = first.root / "template.yaml"
    before = template.read_text()
    template.write_text(before.replace("!GetAtt Table.StreamArn", "!GetAtt Table.Nothing"))
    with pytest.raises(Exception, match="Nothing"):
        begin()

    template.write_text(before)

    assert got(begin(), "kept")


def test_another_version_of_the_template_updates_the_stack(begin: Begin) -> None:
    first = begin()
    put(first, pk="kept", sk="-")
    first.stop()
    path = first.root / "functions/echo/app.py"
    path.write_text(path.read_text().replace("CODE = 1", "CODE = 2"))

    again = begin()

    assert calling(again.url)("/things").json["code"] == 2
    assert got(again, "kept")
    bucket = again.client("s3").list_objects_v2(Bucket="artifacts")
    assert bucket["KeyCount"] == len(again._stack._stored) + 1  # type: ignore[union-attr]


def test_addresses_follow_ports_that_have_changed(begin: Begin) -> None:
    first = begin()
    queue = first.client("sqs").create_queue(QueueName="queue")["QueueUrl"]
    put(first, pk="url", sk="-", value=f"{first.environments_url}/_aws/execute-api/a", q=queue)
    ports = [first.environments_port, int(first.endpoint.rpartition(":")[2])]
    first.stop()

    with contextlib.ExitStack() as taken:
        for port in ports:
            taken.enter_context(bound(port)).listen()
        again = begin()

        assert again.environments_port not in ports
        found = got(again, "url")
        assert found["value"]["S"] == f"{again.environments_url}/_aws/execute-api/a"
        assert found["q"]["S"].startswith(again.endpoint)
        url = again.client("sqs").get_queue_url(QueueName="queue")["QueueUrl"]
        assert url == found["q"]["S"]
        again.client("sqs").send_message(QueueUrl=url, MessageBody="arrives")


class Writer:
    """Writes numbers, each to two items in one transaction, until the platform dies."""

    def __init__(self, platform: Platform, last: int) -> None:
        self.acknowledged: list[tuple[float, int]] = [(0.0, last)]
        self.platform = platform
        self.thread = threading.Thread(target=self._write)
        self.thread.start()

    def _write(self) -> None:
        client, table = self.platform.client("dynamodb"), self.platform.outputs["TableName"]
        number = self.acknowledged[-1][1]
        with contextlib.suppress(BotoCoreError, ClientError):
            while True:
                number += 1
                one = {"sk": {"S": "-"}, "n": {"N": str(number)}}
                puts = [{"TableName": table, "Item": one | {"pk": {"S": pk}}} for pk in "ab"]
                items = [{"Put": each} for each in puts]
                client.transact_write_items(TransactItems=items)
                self.acknowledged.append((time.monotonic(), number))

    def before(self, moment: float) -> int:
        """The last number that was acknowledged before the moment."""
        return max(number for at, number in self.acknowledged if at < moment)


def test_a_kill_at_any_moment_loses_at_most_the_time_between_saves(begin: Begin) -> None:
    chance, last = random.Random(7), 0
    for _ in range(6):
        platform = begin(every=SOON)
        writer = Writer(platform, last)
        eventually(lambda: writer.acknowledged[-1][1] > last + 5)  # noqa: B023
        state = platform.root / ".slipway/data/state"
        eventually(state.exists)
        writer.thread.join(chance.uniform(SOON, 5 * SOON))
        killed = time.monotonic()
        kill(platform)
        writer.thread.join()

        platform = begin(every=SOON)

        numbers = {int(got(platform, pk)["n"]["N"]) for pk in "ab"}
        assert len(numbers) == 1  # one transaction, one moment
        last = numbers.pop()
        # One save may have been under way, and the one before it took a moment.
        assert writer.before(killed - 2 * SOON - 1) <= last <= writer.acknowledged[-1][1] + 1
        kill(platform)


def execution(platform: Platform, arn: str) -> dict[str, Any]:
    found: dict[str, Any] = platform.client("stepfunctions").describe_execution(executionArn=arn)
    return found


def test_an_execution_continues_where_it_was(begin: Begin) -> None:
    first = begin()
    states = {
        "Set": {"Type": "Pass", "Assign": {"said": "{% $states.input.say %}"}, "Next": "Wait"},
        "Wait": {"Type": "Wait", "Seconds": 4, "Output": {"waited": True}, "Next": "Tell"},
        "Tell": {
            "Type": "Pass",
            "Output": {
                "said": "{% $said %}",
                "waited": "{% $states.input.waited %}",
                "began": "{% $states.context.Execution.Input.say %}",
            },
            "End": True,
        },
    }
    arn = start(first, states, {"say": "hi"})
    eventually(
        lambda: (
            first.client("stepfunctions").get_execution_history(executionArn=arn)["events"][-1][
                "type"
            ]
            == "WaitStateEntered"
        )
    )
    first.stop()

    again = begin()

    ended = eventually(lambda: (it := execution(again, arn))["status"] != "RUNNING" and it)
    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"]) == {"said": "hi", "waited": True, "began": "hi"}
    events = again.client("stepfunctions").get_execution_history(executionArn=arn)["events"]
    entered = [event for event in events if "stateEnteredEventDetails" in event]
    names = [event["stateEnteredEventDetails"]["name"] for event in entered]
    assert names == ["Set", "Wait", "Wait", "Tell"]
    _, began, resumed, over = (event["timestamp"] for event in entered)
    assert (over - began).total_seconds() > 3.9
    assert (over - resumed).total_seconds() < 3.9


def test_an_execution_keeps_its_definition_and_its_time_limit(begin: Begin) -> None:
    first = begin()
    arn = start(first, {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}, TimeoutSeconds=3)
    machine = execution(first, arn)["stateMachineArn"]
    other = {"StartAt": "Other", "States": {"Other": {"Type": "Succeed"}}}
    eventually(
        lambda: (
            len(first.client("stepfunctions").get_execution_history(executionArn=arn)["events"]) > 1
        )
    )
    first.client("stepfunctions").update_state_machine(
        stateMachineArn=machine, definition=json.dumps(other)
    )
    first.stop()

    again = begin()

    ended = eventually(lambda: (it := execution(again, arn))["status"] != "RUNNING" and it)
    assert ended["status"] == "TIMED_OUT"  # the other definition would succeed at once
    assert (ended["stopDate"] - ended["startDate"]).total_seconds() > 2.9


def test_every_change_reaches_its_function_although_the_platform_is_killed(begin: Begin) -> None:
    platform = begin(every=SOON)
    state = platform.root / ".slipway/data/state"
    eventually(state.exists)
    saved, stop = state.stat().st_ino, threading.Event()

    def write() -> None:
        with contextlib.suppress(BotoCoreError, ClientError):
            for number in range(10_000):
                put(platform, pk="p", sk=f"JOB#{number:05}")
                if stop.is_set():
                    return

    writer = threading.Thread(target=write)
    writer.start()
    eventually(lambda: state.stat().st_ino != saved and got(platform, "p", "JOB#00100"))
    stop.set()
    kill(platform)
    writer.join()

    again = begin()

    def names(pk: str, field: str) -> set[str]:
        pages = (
            again.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=again.outputs["TableName"],
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": pk}},
            )
        )
        return {item[field]["S"] for page in pages for item in page["Items"]}

    written = names("p", "sk")
    assert written
    eventually(lambda: names("seen#p", "name") == written)


def test_a_stack_that_was_being_created_is_created(begin: Begin) -> None:
    first = begin()
    template = {
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "first"}},
            "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
            "Wait": {
                "Type": "AWS::CloudFormation::WaitCondition",
                "DependsOn": ["Queue"],
                "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "60"},
            },
        }
    }
    cloudformation = first.client("cloudformation")
    created = cloudformation.create_stack(StackName="waits", TemplateBody=json.dumps(template))
    eventually(lambda: waits(first))
    first.stop()

    again = begin()

    handle = eventually(lambda: waits(again, 2))
    signaled = json.dumps({"Status": "SUCCESS", "UniqueId": "1", "Data": "", "Reason": ""})
    sent = calling(again.url)(handle, "PUT", signaled.encode(), Content_Type="")
    assert sent.status == 200

    def complete() -> Any:
        [stack] = again.client("cloudformation").describe_stacks(StackName="waits")["Stacks"]
        return stack["StackStatus"] == "CREATE_COMPLETE" and stack

    assert eventually(complete)["StackId"] == created["StackId"]
    assert again.client("sqs").get_queue_url(QueueName="first")


def waits(platform: Platform, times: int = 1) -> str:
    """The URL at which the stack's wait condition expects its signal, once it began to."""
    client = platform.client("cloudformation")
    found = client.describe_stack_resources(StackName="waits")["StackResources"]
    made = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}
    events = client.describe_stack_events(StackName="waits")["StackEvents"]
    waiting = [each for each in events if each["LogicalResourceId"] == "Wait"]
    return str(made["Handle"]) if len(waiting) == times else ""
