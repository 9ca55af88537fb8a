"""Event records: the events of environments and deployments, and the timelines of rollouts.

A write that is an event describes itself in the record's `change`. Dispatch stores the event from
the table's stream, which delivers each write at least once, so no event is missing. The event's id
is derived from the record's version or status, so the event is stored once.

An event that a deployment has caused goes as long after it happened as the deployment's record
after its end. The other events of an environment stay until slipway.services.retention lets them
go with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from slipway.domain import failure
from slipway.domain.ids import DeploymentId, parse_deployment, parse_environment
from slipway.store import deployment_records, lifetimes, log_records, table
from slipway.store.table import ConditionFailed, Item, Key, Put
from slipway.store.wire import decode

if TYPE_CHECKING:
    from slipway.domain.records import DeploymentRecord

PREFIX = "EVENT#"


def record(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Store the event of a write, if the write is one, and tell it in the environment's log.

    At most one round trip, two more if the log tells it.

    `before` and `after` are the record's images in DynamoDB's JSON; `before` is empty for a new
    record. Repeating it changes nothing.
    """
    old, new = decode(before), decode(after)
    is_deployment = new["id"].startswith("dep_")
    if is_deployment:
        number = new["status"] if old.get("status") != new["status"] else None
    else:
        number = new["version"] if old.get("version") != new["version"] else None
    if number is None:
        return
    description = _of_deployment(old, new) if is_deployment else _of_environment(old, new)
    event = {
        "id": f"evt_{new['id'][4:]}_{number}",
        "subject": new["id"],
        "from": old.get("status"),
        "to": new["status"],
        **description,
    }
    e = new["id"].split("_")[2]
    if is_deployment or event["actor"].startswith("dep_"):
        # Not later than the `ttl` of the deployment, which has not ended before.
        event["ttl"] = lifetimes.ended(event["at"])
    elif new["status"] == "destroyed":
        event["ttl"] = new.get("ttl")
    key = Key(f"ENV#{e}", f"{PREFIX}{event['at']}#{event['id']}")
    with suppress(ConditionFailed):
        table.write(Put(key, {name: each for name, each in event.items() if each is not None}))
    if not is_deployment:
        log_records.tell(parse_environment(new["id"]), event, old.get("change", {}))


def _of_environment(old: Item, new: Item) -> Item:
    """`{action, actor, at, reason?}` of a write that changed an environment's version."""
    change = new.get("change")
    if not change or change["at"] != new["updated_at"]:
        change = _by_an_earlier_release(old, new)
    actor, action, was = change["actor"], change["action"], old.get("status")
    if action == "tearing_down" == was and change != old.get("change"):
        return {**change, "action": "started", "reason": f"{actor} has begun"}
    # Only a workflow writes the current state again, when the response to its write was lost.
    if change == old.get("change") or action == was:
        reason = f"{actor} wrote it again because no answer arrived"
        return {**change, "action": "repeated", "reason": reason}
    return {**change, "reason": change.get("reason") or _reason(action, new)}


def _reason(action: str, record: Item) -> str | None:
    """The reason of an action whose writer could not state it."""
    if action == "expiry_warning":
        return f"expires at {record['expires_at']}"
    if action == "destroyed" and record.get("retain"):
        return f"What is retained: {', '.join(sorted(record['retain']))}"
    if action in ("failed", "teardown_failed"):
        # Imported here, because few events are of failures.
        from slipway.domain import blockers

        reason = _failure(record)
        remaining = ", ".join(
            blockers.named(record.get("resources", ()), record.get("remains", ()))
        )
        return f"{reason} (what remains: {remaining})" if reason and remaining else reason
    return None


def _by_an_earlier_release(old: Item, new: Item) -> Item:
    """The change of an execution that runs an earlier definition, which records only the actor.

    An execution that waits for the end of a lease can be a year old.
    """
    action = new["status"]
    if old.get("status") == action:
        if old.get("warn_at") != new.get("warn_at"):
            action = "expiry_warning"
        elif old.get("live_deployment_id") != new.get("live_deployment_id"):
            action = "deployed"
    return {"action": action, "actor": new["actor"], "at": new["updated_at"]}


def _of_deployment(old: Item, new: Item) -> Item:
    """`{action, actor, at, reason?}` of a write that changed a deployment's status."""
    action = f"deployment_{new['status']}"
    change = new.get("change")
    if not change or change["action"] != action:
        # Written by an execution of an earlier definition.
        at = new.get("finished_at") or new.get("started_at") or new["created_at"]
        change = {"action": action, "actor": new["id"], "at": at}
    reason = (
        change.get("reason") or _failure(new) or deployment_records.describe_change(cast(Any, new))
    )
    return {**change, **_canceler(new), "reason": reason}


def _canceler(deployment: Item) -> Item:
    """The user who canceled a running rollout, as `{actor, by?}`; empty otherwise.

    The workflow does not know it.
    """
    reported = deployment.get("failure")
    if deployment["status"] != "canceled" or not reported:
        return {}
    if failure.decode(reported)["error"] != "Canceled" or "cancel_requested_by" not in deployment:
        return {}
    actor = {"actor": deployment["cancel_requested_by"]}
    author = deployment.get("cancel_author")
    return {**actor, "by": author} if author else actor


def _failure(item: Mapping[str, Any]) -> str | None:
    reported = item.get("failure")
    return failure.decode(reported)["reason"] if reported else None


def keep_timeline(deployment: DeploymentRecord, steps: Sequence[Mapping[str, Any]]) -> None:
    """Store the steps of a rollout that has ended, because Step Functions deletes its history.

    Repeating it changes nothing. One round trip.
    """
    closed = [
        step if step.get("left_at") else {**step, "left_at": deployment["finished_at"]}
        for step in steps
    ]
    if closed:
        kept = {
            "steps": json.dumps(closed, separators=(",", ":")),
            "ttl": lifetimes.ended(deployment["finished_at"]),
        }
        with suppress(ConditionFailed):
            table.write(Put(timeline_key(parse_deployment(deployment["id"])), kept))


def timeline_key(deployment: DeploymentId) -> Key:
    """The key of the rollout's steps."""
    return Key(f"DEP#{deployment.d}", "TIMELINE")
