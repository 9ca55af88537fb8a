"""The laptop's streams and event source mappings do as AWS's did."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.prove.sandbox import Sandbox
from local.patches.stream_batches import first_failed
from tests.support.aws_facts import facts
from tests.support.tables import OfTheSandbox

pytestmark = pytest.mark.xdist_group("aws")


PARTIAL = facts("partial_answers")


def batch(*numbers: int) -> list[dict[str, Any]]:
    return [{"dynamodb": {"SequenceNumber": str(number)}} for number in numbers]


@pytest.mark.parametrize("answer", PARTIAL["done"], ids=json.dumps)
def test_an_answer_without_failures_means_that_all_was_done(answer: Any) -> None:
    assert first_failed(batch(1, 2), {"body": answer}, reports=True) is None


@pytest.mark.parametrize("answer", PARTIAL["not_done"], ids=json.dumps)
def test_a_failure_that_names_no_record_means_that_none_was_done(answer: Any) -> None:
    assert first_failed(batch(1, 2), {"body": answer}, reports=True) == 0


@pytest.fixture(scope="module")
def stream(sandbox: Sandbox) -> str:
    """The ARN of the stream of the sandbox's table."""
    table = sandbox.client("dynamodb").describe_table(TableName=sandbox.table)["Table"]
    return str(table["LatestStreamArn"])


def records(sandbox: Sandbox, stream: str, pk: str) -> list[dict[str, Any]]:
    """The stream's records of the partition's items."""
    client = sandbox.client("dynamodbstreams")
    shards = client.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
    found: list[dict[str, Any]] = []
    for shard in shards:
        where = {"StreamArn": stream, "ShardId": shard["ShardId"]}
        iterator = client.get_shard_iterator(**where, ShardIteratorType="TRIM_HORIZON")
        answer = client.get_records(ShardIterator=iterator["ShardIterator"])
        found += answer["Records"]
    return [each for each in found if each["dynamodb"]["Keys"]["pk"] == {"S": pk}]


def test_each_change_is_a_record_with_its_images(sandbox: Sandbox, stream: str) -> None:
    table, pk = OfTheSandbox(sandbox), uuid.uuid4().hex
    key = {"pk": {"S": pk}, "sk": {"S": "ITEM"}}
    table.ask("PutItem", TableName=table.name, Item={**key, "a": {"S": "1"}})
    change = {"UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"S": "2"}}}
    table.ask("UpdateItem", TableName=table.name, Key=key, **change)
    table.ask("DeleteItem", TableName=table.name, Key=key)

    told = records(sandbox, stream, pk)

    fact = facts("stream_records")
    assert [each["eventName"] for each in told] == ["INSERT", "MODIFY", "REMOVE"]
    for each in told:
        assert set(fact["keys"]) <= set(each)
        assert each["eventSource"] == fact["eventSource"]
        assert each.get("userIdentity") is None
        images = {"Keys", "NewImage", "OldImage"} & set(each["dynamodb"])
        assert images == set(fact[each["eventName"]])


def test_a_transaction_has_a_record_for_each_item_that_it_changes(
    sandbox: Sandbox, stream: str
) -> None:
    table, pk = OfTheSandbox(sandbox), uuid.uuid4().hex
    keys = [{"pk": {"S": pk}, "sk": {"S": name}} for name in ("A", "B")]
    puts = [{"Put": {"TableName": table.name, "Item": key}} for key in keys]

    table.ask("TransactWriteItems", TransactItems=puts)

    assert [each["eventName"] for each in records(sandbox, stream, pk)] == ["INSERT"] * 2


@pytest.fixture(scope="module")
def letters(sandbox: Sandbox, stream: str) -> Iterator[str]:
    """The URL of the queue of a mapping that takes what begins with JOB or is called ALSO."""
    sqs, functions = sandbox.client("sqs"), sandbox.client("lambda")
    queue = sqs.create_queue(QueueName=sandbox.next_name())["QueueUrl"]
    told = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    patterns = [
        {"dynamodb": {"Keys": {"sk": {"S": [{"prefix": "JOB"}]}}}, "eventName": ["INSERT"]},
        {"dynamodb": {"Keys": {"sk": {"S": ["ALSO"]}}}},
    ]
    mapping = functions.create_event_source_mapping(
        EventSourceArn=stream,
        FunctionName=sandbox.function,
        StartingPosition="LATEST",
        BatchSize=1,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": told["Attributes"]["QueueArn"]}},
        FilterCriteria={"Filters": [{"Pattern": json.dumps(each)} for each in patterns]},
    )
    yield str(queue)
    functions.delete_event_source_mapping(UUID=mapping["UUID"])
    sqs.delete_queue(QueueUrl=queue)


def refused(sandbox: Sandbox, letters: str, *names: str) -> list[dict[str, Any]]:
    """Write items that the function refuses; the bodies of the letters about them, as many as
    are there when the last one, which every pattern wants, is among them."""
    table, pk = OfTheSandbox(sandbox), uuid.uuid4().hex
    for name in (*names, "ALSO"):
        item = {"pk": {"S": pk}, "sk": {"S": name}, "refuse": {"BOOL": True}}
        table.ask("PutItem", TableName=table.name, Item=item)
    found: list[dict[str, Any]] = []

    def ask() -> bool:
        answer = sandbox.client("sqs").receive_message(QueueUrl=letters, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            found.append(json.loads(message["Body"]))
            handle = message["ReceiptHandle"]
            sandbox.client("sqs").delete_message(QueueUrl=letters, ReceiptHandle=handle)
        return len(found) > sum(name.startswith("JOB") for name in names)

    sandbox.until("letters", ask)
    return found


def test_a_letter_says_which_records_it_is_about(sandbox: Sandbox, letters: str) -> None:
    [letter] = refused(sandbox, letters)

    fact = facts("dead_letters")
    assert letter["requestContext"]["condition"] == fact["condition"]
    assert letter["responseContext"]["functionError"] == fact["functionError"]["raised"]
    assert set(fact["DDBStreamBatchInfo"]) <= set(letter["DDBStreamBatchInfo"])
    about = letter["DDBStreamBatchInfo"]
    assert about["startSequenceNumber"] == about["endSequenceNumber"]


def test_a_record_has_to_fit_one_pattern_and_all_of_its_fields(
    sandbox: Sandbox, letters: str
) -> None:
    both = refused(sandbox, letters, "OTHER", "JOB1", "AJOB")

    assert len(both) == 2


def test_a_mapping_of_a_stream_that_is_not_there_is_refused(sandbox: Sandbox, stream: str) -> None:
    functions = sandbox.client("lambda")
    missing = stream.replace(sandbox.table, "slipway-prove-none")

    with pytest.raises(functions.exceptions.InvalidParameterValueException) as raised:
        functions.create_event_source_mapping(
            EventSourceArn=missing, FunctionName=sandbox.function, StartingPosition="LATEST"
        )

    words = facts("mappings")["missing_stream"]["message"].format(arn=missing)
    assert raised.value.response["Error"]["Message"] == words


def test_a_malformed_pattern_is_refused(sandbox: Sandbox, stream: str) -> None:
    functions = sandbox.client("lambda")

    with pytest.raises(functions.exceptions.InvalidParameterValueException) as raised:
        functions.create_event_source_mapping(
            EventSourceArn=stream,
            FunctionName=sandbox.function,
            StartingPosition="LATEST",
            FilterCriteria={"Filters": [{"Pattern": '"text"'}]},
        )

    assert raised.value.response["Error"]["Message"] == facts("mappings")["bad_filter"]["message"]
