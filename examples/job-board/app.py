"""The code of the job board. Zip this file, upload it, and deploy it as the artifact."""

import json
import os

import boto3

sqs = boto3.client("sqs")
table = boto3.client("dynamodb")


def plan(event, context):
    """The schedule: a job is due."""
    put("schedule")


def work(event, context):
    """A job from the queue. If this raises, SQS delivers it again."""
    for record in event["Records"]:
        asked_by = json.loads(record["body"])["by"]
        table.update_item(
            TableName=os.environ["RESULTS"],
            Key={"id": {"S": asked_by}},
            UpdateExpression="SET version = :version ADD done :one",
            ExpressionAttributeValues={
                ":version": {"S": os.environ["VERSION"]},
                ":one": {"N": "1"},
            },
        )


def page(event, context):
    """The results so far; or, on POST, another job."""
    if event["requestContext"]["http"]["method"] == "POST":
        put("visitor")
        return answer(202, "A job is queued.\n")
    items = table.scan(TableName=os.environ["RESULTS"])["Items"]
    rows = sorted((row["id"]["S"], row["done"]["N"], row["version"]["S"]) for row in items)
    lines = [
        f"jobs of the {who}: {done} done, the last by {version}" for who, done, version in rows
    ]
    return answer(200, "\n".join([f"Job board, version {os.environ['VERSION']}", *lines, ""]))


def put(asked_by):
    sqs.send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps({"by": asked_by}))


def answer(status, text):
    return {"statusCode": status, "headers": {"content-type": "text/plain"}, "body": text}
