"""Lambda reads streams and queues with a function's role, and services need its permission
(patches/iam_sources.py, whose docstring names what AWS answered)."""

import json
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.platform import Platform
from tests.support.local.platform import Stacks, allow, eventually, policy, role

ACCOUNT = "000000000000"
QUEUES = f"arn:aws:sqs:us-east-1:{ACCOUNT}"


@pytest.fixture(scope="module")
def stream(platform: Platform) -> str:
    made = platform.client("dynamodb").create_table(
        TableName=f"iam-{uuid.uuid4().hex[:8]}",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )
    return str(made["TableDescription"]["LatestStreamArn"])


@pytest.fixture
def queue(platform: Platform) -> str:
    name = f"iam-{uuid.uuid4().hex[:8]}"
    platform.client("sqs").create_queue(QueueName=name)
    return f"{QUEUES}:{name}"


def function(platform: Platform, *statements: dict[str, Any]) -> str:
    """A function of a new role with the statements; it says what it gets. Its name."""
    import io
    import zipfile

    name = f"iam-{uuid.uuid4().hex[:8]}"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("index.py", "def handler(event, context): print('got', event)\n")
    platform.client("lambda").create_function(
        FunctionName=name,
        Role=role(platform, name, *statements),
        Handler="index.handler",
        Runtime="python3.13",
        Code={"ZipFile": archive.getvalue()},
    )
    return name


def logged(platform: Platform, name: str) -> list[str]:
    logs = platform.client("logs")
    try:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"] for event in events]


def of_stream(stream: str) -> list[dict[str, Any]]:
    names = ("GetRecords", "GetShardIterator", "DescribeStream")
    return [
        allow(*(f"dynamodb:{name}" for name in names), on=stream),
        allow("dynamodb:ListStreams"),
    ]


def mapping(platform: Platform, name: str, source: str) -> str:
    more = {} if ":sqs:" in source else {"StartingPosition": "TRIM_HORIZON"}
    made = platform.client("lambda").create_event_source_mapping(
        FunctionName=name, EventSourceArn=source, **more
    )
    return str(made["UUID"])


@pytest.mark.parametrize("missing", [0, 1])
def test_a_stream_that_the_role_may_not_read_is_refused(
    platform: Platform, stream: str, missing: int
) -> None:
    statements = of_stream(stream)
    del statements[missing]

    with pytest.raises(ClientError) as refused:
        mapping(platform, function(platform, *statements), stream)

    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert refused.value.response["Error"]["Message"] == (
        f"Cannot access stream {stream}. Please ensure the role can perform the GetRecords, "
        "GetShardIterator, DescribeStream, and ListStreams Actions on your stream in IAM."
    )


@pytest.mark.parametrize("missing", ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"])
def test_a_queue_that_the_role_may_not_read_is_refused(
    platform: Platform, queue: str, missing: str
) -> None:
    names = {"ReceiveMessage", "DeleteMessage", "GetQueueAttributes"} - {missing}
    name = function(platform, allow(*(f"sqs:{each}" for each in names), on=queue))

    with pytest.raises(ClientError, match=f"permissions to call {missing} on SQS"):
        mapping(platform, name, queue)


def test_a_template_is_refused_the_same(platform: Platform, stream: str) -> None:
    name = function(platform)
    source = {"FunctionName": name, "EventSourceArn": stream, "StartingPosition": "LATEST"}
    template = {
        "Resources": {"It": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": source}}
    }

    made = Stacks(platform).create(template)

    assert made.status == "ROLLBACK_COMPLETE"
    assert f'message: "Cannot access stream {stream}.' in made.failures()["It"]


def test_a_role_that_may_read_no_longer_gets_nothing(platform: Platform, queue: str) -> None:
    name = function(platform, allow("sqs:*", on=queue))
    made = mapping(platform, name, queue)
    url = platform.client("sqs").get_queue_url(QueueName=queue.rpartition(":")[2])["QueueUrl"]
    platform.client("sqs").send_message(QueueUrl=url, MessageBody="first")
    eventually(lambda: any("first" in line for line in logged(platform, name)))

    platform.client("iam").put_role_policy(
        RoleName=name, PolicyName="own", PolicyDocument=policy(allow("sqs:ReceiveMessage"))
    )
    platform.client("sqs").send_message(QueueUrl=url, MessageBody="second")
    result = eventually(
        lambda: (
            found
            if (found := _result(platform, made)).startswith("PROBLEM: User: arn:aws:sts::")
            else None
        )
    )

    assert "sqs:deletemessage on resource" in result
    assert not any("second" in line for line in logged(platform, name))
    platform.client("lambda").delete_event_source_mapping(UUID=made)


def _result(platform: Platform, mapping: str) -> str:
    found = platform.client("lambda").get_event_source_mapping(UUID=mapping)
    return str(found.get("LastProcessingResult", ""))


@pytest.mark.parametrize("permitted", [True, False])
def test_a_rule_invokes_only_a_function_that_permits_it(
    platform: Platform, permitted: bool
) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html"""
    name, source = function(platform), f"iam.{uuid.uuid4().hex}"
    events, functions = platform.client("events"), platform.client("lambda")
    rule = events.put_rule(Name=name, EventPattern=json.dumps({"source": [source]}))["RuleArn"]
    arn = functions.get_function_configuration(FunctionName=name)["FunctionArn"]
    functions.add_permission(
        FunctionName=name,
        StatementId="events",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule if permitted else f"{rule}-another",
    )
    events.put_targets(Rule=name, Targets=[{"Id": "it", "Arn": arn}])

    events.put_events(Entries=[{"Source": source, "DetailType": "x", "Detail": "{}"}])

    if permitted:
        eventually(lambda: any(source in line for line in logged(platform, name)))
    else:
        time.sleep(1)
        assert logged(platform, name) == []
    events.remove_targets(Rule=name, Ids=["it"])
    events.delete_rule(Name=name)


@pytest.mark.parametrize("permitted", [True, False])
def test_a_topic_invokes_only_a_function_that_permits_it(
    platform: Platform, permitted: bool
) -> None:
    name, functions, sns = function(platform), platform.client("lambda"), platform.client("sns")
    topic = sns.create_topic(Name=name)["TopicArn"]
    arn = functions.get_function_configuration(FunctionName=name)["FunctionArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    functions.add_permission(
        FunctionName=name,
        StatementId="topic",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=topic if permitted else f"{topic}-another",
    )

    sns.publish(TopicArn=topic, Message="a word")

    if permitted:
        eventually(lambda: any("a word" in line for line in logged(platform, name)))
    else:
        time.sleep(1)
        assert logged(platform, name) == []
