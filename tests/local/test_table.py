"""The table's TTL and its stream (patches/table_ttl.py, template_ttl.py, stream_batches.py)."""

import time
import uuid
from typing import Any

import pytest

from local.patches.stream_batches import Batch, after_failure, first_failed
from local.platform import Platform
from tests.support.local.platform import eventually


def put(platform: Platform, pk: str, sk: str, **numbers: int) -> None:
    item = {"pk": {"S": pk}, "sk": {"S": sk}} | {k: {"N": str(v)} for k, v in numbers.items()}
    platform.client("dynamodb").put_item(TableName=platform.outputs["TableName"], Item=item)


def seen(platform: Platform, pk: str) -> list[dict[str, Any]]:
    """The notes of the stream's function about the item, in order."""
    found: list[dict[str, Any]] = platform.client("dynamodb").query(
        TableName=platform.outputs["TableName"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"seen#{pk}"}},
    )["Items"]
    return found


def names(notes: list[dict[str, Any]]) -> list[str]:
    return [note["name"]["S"] for note in notes]


@pytest.fixture
def pk() -> str:
    return uuid.uuid4().hex


def test_the_templates_ttl_is_in_force(platform: Platform) -> None:
    table = platform.outputs["TableName"]

    found = platform.client("dynamodb").describe_time_to_live(TableName=table)

    described = found["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}


def test_ttl_deletes_and_the_stream_says_who_did_it(platform: Platform, pk: str) -> None:
    put(platform, pk, "LEASE", ttl=int(time.time()) + 1)

    [note] = eventually(lambda: seen(platform, pk), 5)

    assert note["event"] == {"S": "REMOVE"}
    assert note["by"]["M"]["principalId"] == {"S": "dynamodb.amazonaws.com"}
    assert note["by"]["M"]["type"] == {"S": "Service"}


def test_ttl_leaves_alone_what_is_not_due(platform: Platform, pk: str) -> None:
    put(platform, pk, "LEASE", ttl=int(time.time()) + 3600)
    put(platform, pk, "ANCIENT", ttl=1)
    put(platform, pk, "JOB", ttl=int(time.time()) - 1)

    eventually(lambda: "REMOVE" in [note["event"]["S"] for note in seen(platform, pk)], 5)

    left = platform.client("dynamodb").query(
        TableName=platform.outputs["TableName"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": pk}},
    )["Items"]
    assert [item["sk"]["S"] for item in left] == ["ANCIENT", "LEASE"]


def test_only_what_the_filter_wants_reaches_the_function(platform: Platform, pk: str) -> None:
    put(platform, pk, "OTHER")
    put(platform, pk, "JOB1")

    assert names(eventually(lambda: seen(platform, pk))) == ["JOB1"]


@pytest.mark.parametrize("poison", ["JOB-poison", "JOB-raises"])
def test_a_poison_record_goes_to_the_dead_letters_and_blocks_nothing(
    platform: Platform, pk: str, poison: str
) -> None:
    sqs, queue = platform.client("sqs"), platform.outputs["DeadLetters"]
    put(platform, pk, "JOB1")
    put(platform, pk, poison)
    put(platform, pk, "JOB2")

    eventually(lambda: "JOB2" in names(seen(platform, pk)))
    [letter] = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))

    assert '"RetryAttemptsExhausted"' in letter["Body"]
    assert '"batchSize": 1' in letter["Body"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=letter["ReceiptHandle"])
    assert 3 <= names(seen(platform, pk)).count(poison) <= 5


def records(*numbers: int) -> list[dict[str, Any]]:
    return [{"dynamodb": {"SequenceNumber": str(number)}} for number in numbers]


def told(*names: str) -> dict[str, Any]:
    return {"body": {"batchItemFailures": [{"itemIdentifier": name} for name in names]}}


@pytest.mark.parametrize(
    ("result", "reports", "index"),
    [
        ({"body": None}, True, None),
        ({"body": {"batchItemFailures": []}}, True, None),
        (told("3", "2"), True, 1),
        (told("2"), False, None),
        (told("unknown"), True, 0),
        ({"error": True}, True, 0),
    ],
)
def test_the_first_failed_record(result: dict[str, Any], reports: bool, index: int | None) -> None:
    assert first_failed(records(1, 2, 3), result, reports) == index


def test_records_before_the_failed_one_are_not_repeated() -> None:
    [batch], lost = after_failure(
        Batch(records(1, 2, 3)), 1, attempts=2, bisect=False, reported=True
    )

    assert (batch.records, batch.failures, lost) == (records(2, 3), 1, [])


def test_a_reported_record_is_cut_out_of_its_batch() -> None:
    batches, lost = after_failure(
        Batch(records(1, 2, 3)), 1, attempts=2, bisect=True, reported=True
    )

    assert ([batch.records for batch in batches], lost) == ([records(2), records(3)], [])


def test_a_batch_that_raised_is_halved_and_a_single_record_given_up() -> None:
    halves, _ = after_failure(Batch(records(1, 2, 3)), 0, attempts=0, bisect=True, reported=False)
    again, lost = after_failure(
        Batch(records(1), failures=2), 0, attempts=2, bisect=True, reported=False
    )

    assert [batch.records for batch in halves] == [records(1), records(2, 3)]
    assert (again, lost) == ([], records(1))
