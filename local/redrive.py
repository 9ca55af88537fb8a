"""`make redrive`: process the stream records that dispatch failed to process.

A dead letter refers to a part of the table's stream, which keeps records for 24 hours. The records
are read there and sent to the function that failed; the letter is deleted when the function has
processed all of them. Reconcile repairs older failures, whose letters only document them.

    python -m local.redrive [STACK]      a stack in AWS, by default the platforms on this machine
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import boto3

from local import region, running

Clients = Callable[[str], Any]


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 if the queues are empty."""
    left = 0
    for name, clients, outputs in _stacks(arguments):
        replayed, kept = redrive(clients, outputs)
        print(f"{name}  replayed {replayed}, left {kept}")
        left += kept
    return 1 if left else 0


def _stacks(arguments: list[str]) -> Iterator[tuple[str, Clients, dict[str, str]]]:
    if arguments:
        running.adopt_key()
        region.adopt()
        stacks = boto3.client("cloudformation").describe_stacks(StackName=arguments[0])["Stacks"]
        outputs = {each["OutputKey"]: each["OutputValue"] for each in stacks[0]["Outputs"]}
        yield arguments[0], boto3.client, outputs
        return
    for each in running.platforms():
        yield each.about["api_url"], each.client, each.about["outputs"]


def redrive(clients: Clients, outputs: dict[str, str]) -> tuple[int, int]:
    """The number of letters whose records were processed, and of those that remain."""
    queue, functions, streams = clients("sqs"), clients("lambda"), clients("dynamodbstreams")
    url, replayed, kept = outputs["DeadLettersUrl"], 0, 0
    while True:
        # Remaining letters become visible again in a minute, after this loop.
        letters = queue.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=60, WaitTimeSeconds=1
        ).get("Messages", [])
        if not letters:
            return replayed, kept
        for letter in letters:
            body = json.loads(letter["Body"])
            records = list(_records(streams, body["DDBStreamBatchInfo"]))
            if records and _taken(functions, body["requestContext"]["functionArn"], records):
                queue.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
                replayed += 1
            else:
                kept += 1


def _records(streams: Any, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The records of a letter; none if the stream no longer has them."""
    try:
        iterator = streams.get_shard_iterator(
            StreamArn=batch["streamArn"],
            ShardId=batch["shardId"],
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=batch["startSequenceNumber"],
        )["ShardIterator"]
    except streams.exceptions.TrimmedDataAccessException:
        return
    last = int(batch["endSequenceNumber"])
    while iterator:
        answer = streams.get_records(ShardIterator=iterator, Limit=batch["batchSize"])
        for record in answer["Records"]:
            if int(record["dynamodb"]["SequenceNumber"]) > last:
                return
            yield record
        if not answer["Records"]:
            return
        iterator = answer.get("NextShardIterator")


def _taken(functions: Any, function: str, records: list[dict[str, Any]]) -> bool:
    """Whether the function, given by name or ARN, processed every record."""
    for record in records:
        record["dynamodb"].pop("ApproximateCreationDateTime", None)
    answer = functions.invoke(FunctionName=function, Payload=json.dumps({"Records": records}))
    result = json.loads(answer["Payload"].read())
    return "FunctionError" not in answer and not result.get("batchItemFailures")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
