"""`make relist`: put the records of an earlier release into the index of lists.

    python -m deploy.relist [--stack NAME]      a stack on AWS, by default `make local`

Environments that are not destroyed, and deployments, are listed by two attributes that their
creation writes (docs/decisions/0032). Records that are older than the index get them here, and
environments that an execution of the earlier release has destroyed lose them. The command reads the
whole table. Each write has a condition, so that it can run beside the platform, and again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from deploy import as_function

_ADD = "SET listed = :listed, listed_at = :listed_at"
_REMOVE = "REMOVE listed, listed_at"
_MISSING = "attribute_exists(pk) AND attribute_not_exists(listed)"
_LIVE = " AND #status <> :destroyed"
_DESTROYED = {"destroyed": "destroyed"}


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 if every record is in its list."""
    said, failed = "{} records were corrected.", "The records were not listed"
    return as_function.corrects("relist", arguments, relist, said, failed)


def relist() -> int:
    """Correct the attributes where they are wrong. Returns the number of corrected records."""
    from slipway.store import table
    from slipway.store.table import ConditionFailed

    count = 0
    for item in _wrong():
        try:
            table.write(_correction(item))
            count += 1
        except ConditionFailed:
            # It has been destroyed meanwhile, or corrected by another run.
            continue
    return count


def _correction(item: dict[str, Any]) -> Any:
    from slipway.domain import ids
    from slipway.store import listed
    from slipway.store.table import Key, Update

    key = Key(item["pk"], item["sk"])
    if key.sk.startswith("DEP#"):
        fields = listed.deployment_fields(ids.parse_deployment(item["id"]))
        return Update(key, _ADD, fields, _MISSING)
    if item["status"] == "destroyed":
        return Update(key, _REMOVE, {}, "attribute_exists(listed)")
    fields = listed.environment_fields(ids.parse_environment(item["id"]))
    return Update(key, _ADD, {**fields, **_DESTROYED}, _MISSING + _LIVE)


def _wrong() -> Iterator[dict[str, Any]]:
    """The records that lack the attributes, or have them although they are destroyed."""
    from slipway.aws import dynamodb
    from slipway.settings import settings
    from slipway.store.wire import decode

    request: dict[str, Any] = {
        "TableName": settings().table,
        "FilterExpression": "(attribute_not_exists(listed) AND ("
        "(begins_with(pk, :project) AND begins_with(sk, :environment) AND #status <> :destroyed)"
        " OR (begins_with(pk, :environment) AND begins_with(sk, :deployment))))"
        " OR (attribute_exists(listed) AND #status = :destroyed)",
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": {
            ":project": {"S": "PROJECT#"},
            ":environment": {"S": "ENV#"},
            ":deployment": {"S": "DEP#"},
            ":destroyed": {"S": "destroyed"},
        },
    }
    while True:
        [answer] = dynamodb.together(("Scan", request))
        yield from map(decode, answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
