"""`make lifetimes`: give what an earlier release has written or ended its lifetime.

    python -m deploy.lifetimes [--stack NAME]      a stack on AWS, by default `make local`

The platform gives each item a `ttl` when it is written or when it ends (docs/retention.md). Records
of earlier releases get theirs here, and all follow the stack's present parameters. The command
reads the whole table three times, and keeps the ids of deployments in memory. Each write has a
condition, so that it can run beside the platform, and again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from deploy import as_function

_NEVER = float("inf")


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 if everything that is over will go."""
    said, failed = "{} items were given a lifetime.", "The lifetimes were not written"
    return as_function.corrects("lifetimes", arguments, correct, said, failed)


def correct() -> int:
    """Write the `ttl` of every item whose `ttl` is missing or wrong. Returns how many."""
    from slipway.store import table
    from slipway.store.table import ConditionFailed, Key, Update

    count = 0
    for item, ends in _Table().lifetimes():
        if item.get("ttl") == ends:
            continue
        was = {"was": item["ttl"]} if "ttl" in item else {}
        unchanged = "#ttl = :was" if was else "attribute_exists(pk) AND attribute_not_exists(#ttl)"
        key = Key(item["pk"], item["sk"])
        try:
            table.write(Update(key, "SET #ttl = :ends", {"ends": ends, **was}, unchanged))
        except ConditionFailed:
            # The platform has written it meanwhile, or TTL has deleted it.
            continue
        count += 1
    return count


class _Table:
    """The items that are over. Parents are read before their children.

    `_environments` has when each destroyed environment goes, `_deployments` when each deployment
    does, and `_finished` when it finished, by the last part of the id.
    """

    def __init__(self) -> None:
        self._environments: dict[str, int] = {}
        self._deployments: dict[str, int] = {}
        self._finished: dict[str, str] = {}

    def lifetimes(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Each item that goes, and its right `ttl`."""
        from slipway.store import lifetimes

        for item in _items("begins_with(pk, :project) AND begins_with(sk, :environment)"):
            if item["status"] == "destroyed":
                ends = lifetimes.ended(item["destroyed_at"])
                self._environments[item["id"].split("_")[2]] = ends
                yield item, ends
        yield from self._of_deployments()
        for item in _items(
            "(begins_with(pk, :environment) OR begins_with(pk, :rollout))"
            " AND NOT begins_with(sk, :rollout) AND sk <> :lease AND attribute_not_exists(due)"
        ):
            goes = min(self._ends(item), self._parents(item))
            if goes < _NEVER:
                yield item, int(goes)

    def _of_deployments(self) -> Iterator[tuple[dict[str, Any], int]]:
        """One that was live has ended when the next one went live, which is later in the order."""
        from slipway.store import lifetimes

        found = [
            item
            for item in _items("begins_with(pk, :environment) AND begins_with(sk, :rollout)")
            if item.get("finished_at")
        ]
        replaced_at: dict[str, str] = {}
        for item in sorted(found, key=lambda each: str(each["finished_at"]), reverse=True):
            _, _, e, d = item["id"].split("_")
            self._finished[d] = item["finished_at"]
            ended = item["finished_at"]
            if item["status"] == "succeeded":
                ended = replaced_at.get(e)
                replaced_at[e] = item["finished_at"]
            goes = min(lifetimes.ended(ended) if ended else _NEVER, self._parents(item))
            if goes < _NEVER:
                self._deployments[d] = int(goes)
                yield item, int(goes)

    def _ends(self, item: dict[str, Any]) -> float:
        """When the item goes by itself."""
        from slipway.store import lifetimes

        kind = item["sk"].partition("#")[0]
        if kind == "LOG":
            return lifetimes.of_line(datetime.fromisoformat(item["ts"]))
        caused = item.get("subject", ""), item.get("actor", "")
        if kind == "EVENT" and any(each.startswith("dep_") for each in caused):
            return lifetimes.ended(item["at"])
        finished = self._finished.get(item["pk"].partition("#")[2])
        return lifetimes.ended(finished) if kind == "TIMELINE" and finished else _NEVER

    def _parents(self, item: dict[str, Any]) -> float:
        """When what the item belongs to goes."""
        kind, _, part = item["pk"].partition("#")
        if kind == "DEP":
            return self._deployments.get(part, _NEVER)
        return self._environments.get(part, _NEVER)


def _items(wanted: str) -> Iterator[dict[str, Any]]:
    from slipway.aws import dynamodb
    from slipway.settings import settings
    from slipway.store.wire import decode, encode

    values = {
        ":project": "PROJECT#",
        ":environment": "ENV#",
        ":rollout": "DEP#",
        ":lease": "LEASE",
    }
    request: dict[str, Any] = {
        "TableName": settings().table,
        "FilterExpression": wanted,
        "ExpressionAttributeValues": encode({n: v for n, v in values.items() if n in wanted}),
    }
    while True:
        [answer] = dynamodb.together(("Scan", request))
        yield from map(decode, answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
