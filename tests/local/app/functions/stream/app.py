"""Notes every record it is given in the table, except the poisonous ones."""

import os
import time
from typing import Any

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    failed = []
    for record in event["Records"]:
        keys = record["dynamodb"]["Keys"]
        name = keys["sk"]["S"]
        note = {
            "pk": f"seen#{keys['pk']['S']}",
            "sk": f"{time.time_ns()}",
            "name": name,
            "event": record["eventName"],
            "by": record.get("userIdentity", {}),
            "together": len(event["Records"]),
        }
        table.put_item(Item=note)
        if "raises" in name:
            raise ValueError(name)
        if "poison" in name:
            failed.append({"itemIdentifier": record["dynamodb"]["SequenceNumber"]})
    return {"batchItemFailures": failed}
