"""Event source mappings (patches/event_sources.py).

AWS's answers are in LocalStack's recordings `test_lambda_integration_dynamodbstreams.snapshot.json`
and `test_lambda_integration_sqs.snapshot.json`, test `test_duplicate_event_source_mappings` in
both.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from local.platform import Platform
from tests.support.local.lambdas import Function, Stack, function, refused

CODE = {"app.py": "def handler(event, context): return {}"}


@pytest.fixture
def reader(platform: Platform) -> Iterator[Function]:
    with function(platform, CODE) as made:
        yield made


@pytest.fixture
def queue(platform: Platform, reader: Function) -> str:
    queues = platform.client("sqs")
    url = queues.create_queue(QueueName=reader.name)["QueueUrl"]
    asked = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn: str = asked["Attributes"]["QueueArn"]
    return arn


@pytest.fixture
def stream(platform: Platform, reader: Function) -> str:
    table = platform.client("dynamodb").create_table(
        TableName=reader.name,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    arn: str = table["TableDescription"]["LatestStreamArn"]
    return arn


def mapped(reader: Function, source: str, **more: Any) -> str:
    name = more.pop("name", reader.name)
    if ":dynamodb:" in source:
        more["StartingPosition"] = "LATEST"
    made = reader.client.create_event_source_mapping(
        FunctionName=name, EventSourceArn=source, **more
    )
    uuid: str = made["UUID"]
    return uuid


def test_a_second_mapping_of_a_stream_to_a_function_is_refused(
    reader: Function, stream: str
) -> None:
    uuid = mapped(reader, stream)
    told = (
        f'The event source arn (" {stream} ") and function (" {reader.name} ") provided mapping '
        f"already exists. Please update or delete the existing mapping with UUID {uuid}"
    )

    other = {"Filters": [{"Pattern": '{"eventName": ["REMOVE"]}'}]}
    with refused("ResourceConflictException", told):
        mapped(reader, stream, FilterCriteria=other, BatchSize=1)
    with refused("ResourceConflictException", told):
        mapped(reader, stream, name=reader.arn)


def test_a_second_mapping_of_a_queue_to_a_function_is_refused(reader: Function, queue: str) -> None:
    uuid = mapped(reader, queue)

    told = (
        f'An event source mapping with SQS arn (" {queue} ") and function (" {reader.name} ") '
        f"already exists. Please update or delete the existing mapping with UUID {uuid}"
    )
    with refused("ResourceConflictException", told):
        mapped(reader, queue, BatchSize=1)


def test_a_mapping_does_not_move_to_a_function_that_reads_the_source(
    platform: Platform, reader: Function, queue: str
) -> None:
    taken = mapped(reader, queue)
    with function(platform, CODE) as other:
        moving = mapped(other, queue)

        told = (
            f'An event source mapping with SQS arn (" {queue} ") and function (" {reader.name} ") '
            f"already exists. Please update or delete the existing mapping with UUID {taken}"
        )
        with refused("ResourceConflictException", told):
            reader.client.update_event_source_mapping(UUID=moving, FunctionName=reader.name)
        kept = reader.client.update_event_source_mapping(UUID=taken, FunctionName=reader.name)

    assert kept["UUID"] == taken


def test_an_alias_and_another_function_read_the_same_source(
    platform: Platform, reader: Function, queue: str
) -> None:
    reader.client.create_alias(
        FunctionName=reader.name, Name="live", FunctionVersion=reader.publish()
    )

    with function(platform, CODE) as other:
        mapped(other, queue)
        mapped(reader, queue)
        alias = mapped(reader, queue, name=f"{reader.arn}:live")
        found = reader.client.get_event_source_mapping(UUID=alias)

    assert found["FunctionArn"] == f"{reader.arn}:live"


def test_a_deleted_mapping_makes_room_for_another(reader: Function, queue: str) -> None:
    reader.client.delete_event_source_mapping(UUID=mapped(reader, queue))

    assert mapped(reader, queue)


def test_a_stack_with_a_second_mapping_of_a_stream_is_rolled_back(
    platform: Platform, reader: Function, stream: str
) -> None:
    mapping = {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {
            "FunctionName": reader.name,
            "EventSourceArn": stream,
            "StartingPosition": "LATEST",
        },
    }
    second = mapping | {"DependsOn": "First"}
    stack = Stack(platform)

    ended = stack.make({"Resources": {"First": mapping, "Second": second}})

    assert ended == "ROLLBACK_COMPLETE"
    assert f'and function (" {reader.name} ") provided mapping already exists' in stack.reason(
        "Second"
    )
    listed = reader.client.list_event_source_mappings(FunctionName=reader.name)
    assert listed["EventSourceMappings"] == []


def test_a_mapping_of_a_stack_changes_in_place(
    platform: Platform, reader: Function, queue: str
) -> None:
    properties = {"FunctionName": reader.name, "EventSourceArn": queue, "BatchSize": 1}
    mapping = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties}
    stack = Stack(platform)
    stack.make({"Resources": {"Only": mapping}})

    changed = mapping | {"Properties": properties | {"BatchSize": 5}}
    ended = stack.change({"Resources": {"Only": changed}})

    [found] = reader.client.list_event_source_mappings(FunctionName=reader.name)[
        "EventSourceMappings"
    ]
    assert (ended, found["BatchSize"]) == ("UPDATE_COMPLETE", 5)
