"""What happened: events of an environment and its deployments, and the timeline of a rollout.

Events are made from the table's stream, so that none can be missing: every change of a record
that is one comes with its images before and after, at least once, and its key is made of what
changed, so that it is kept once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from slipway.domain import failure
from slipway.domain.ids import DeploymentId, parse_deployment
from slipway.store import deployment_records, table
from slipway.store.table import ConditionFailed, Item, Key, Put
from slipway.store.wire import decode

if TYPE_CHECKING:
    from slipway.domain.records import DeploymentRecord

PREFIX = "EVENT#"


def note(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Keep what changed between two images (in DynamoDB's JSON), if that is an event."""
    old, new = decode(before), decode(after)
    changed = _deployment_event(old, new) if new["id"].startswith("dep_") else _event(old, new)
    if changed is None:
        return
    event = {
        "id": f"evt_{new['id'][4:]}_{changed.pop('number')}",
        "subject": new["id"],
        **{name: value for name, value in changed.items() if value is not None},
    }
    e = new["id"].split("_")[2]
    with suppress(ConditionFailed):
        table.write(Put(Key(f"ENV#{e}", f"{PREFIX}{event['at']}#{event['id']}"), event))


def _event(old: Item, new: Item) -> Item | None:
    if old.get("version") == new["version"]:
        return None
    event = {
        "number": new["version"],
        "at": new["updated_at"],
        "actor": new["actor"],
        "from": old.get("status"),
        "to": new["status"],
    }
    if old.get("status") != new["status"]:
        reason = _reason(new)
        remaining = ", ".join(sorted(new.get("resources", ())))
        if new.get("forgotten"):
            reason = f"What remains: {remaining or reason}"
            return {**event, "action": "forgotten", "reason": reason}
        retained = ", ".join(sorted(new.get("retain", ())))
        if retained and (old.get("retain") != new["retain"] or new["status"] == "destroyed"):
            return {**event, "action": new["status"], "reason": f"What is retained: {retained}"}
        if reason and remaining:
            reason = f"{reason} (what remains: {remaining})"
        return {**event, "action": new["status"], "reason": reason}
    if "pinned" in new and "pinned" not in old:
        return {**event, "action": "pinned", "reason": new["pinned"]["reason"]}
    if "pinned" in old and "pinned" not in new:
        return {**event, "action": "unpinned", "reason": f"expires at {new['expires_at']}"}
    if old.get("expires_at") != new.get("expires_at"):
        return {**event, "action": "extended", "reason": f"expires at {new['expires_at']}"}
    if old.get("warn_at") != new.get("warn_at"):
        return {**event, "action": "expiry_warning", "reason": f"expires at {new['expires_at']}"}
    if old.get("live_deployment_id") != new.get("live_deployment_id"):
        if old.get("last_update_id") != new.get("last_update_id"):
            return {**event, "action": "updated", "reason": f"{new['template']} is in place"}
        return {**event, "action": "deployed", "reason": f"{new['live_version']} is live"}
    if "live_in_doubt" in new and old.get("live_in_doubt") != new["live_in_doubt"]:
        reason = f"{new['live_in_doubt']} could not be taken back"
        return {**event, "action": "live_in_doubt", "reason": reason}
    if "live_in_doubt" in old and "live_in_doubt" not in new:
        reason = f"{new.get('live_version', 'nothing')} is live again"
        return {**event, "action": "restored", "reason": reason}
    if "operation" in old and "operation" not in new:
        return {**event, "action": "let_go", "reason": _reason(new)}
    if new["status"] == "tearing_down" and old["actor"] != new["actor"]:
        return {**event, "action": "taken_up", "reason": f"{new['actor']} has begun"}
    reason = f"{new['actor']} wrote it again, for it was not answered"
    return {**event, "action": "repeated", "reason": reason}


def _deployment_event(old: Mapping[str, Any], new: Any) -> Item | None:
    if old.get("status") == new["status"]:
        return None
    times = {"pending": "created_at", "running": "started_at"}
    ended = new.get("cancel_requested_by") if new["status"] == "canceled" else None
    return {
        "number": new["status"],
        "at": new[times.get(new["status"], "finished_at")],
        "actor": ended or (new["created_by"] if new["status"] == "pending" else new["id"]),
        "from": old.get("status"),
        "to": new["status"],
        "action": f"deployment_{new['status']}",
        "reason": _reason(new) or deployment_records.brings(new),
    }


def _reason(item: Mapping[str, Any]) -> str | None:
    reported = item.get("failure")
    return failure.decode(reported)["reason"] if reported else None


def keep_timeline(deployment: DeploymentRecord, steps: Sequence[Mapping[str, Any]]) -> None:
    """Keep the steps of a rollout that has ended, before Step Functions forgets them."""
    closed = [
        step if step.get("left_at") else {**step, "left_at": deployment["finished_at"]}
        for step in steps
    ]
    if closed:
        kept = {"steps": json.dumps(closed, separators=(",", ":"))}
        with suppress(ConditionFailed):
            table.write(Put(timeline_key(parse_deployment(deployment["id"])), kept))


def timeline_key(deployment: DeploymentId) -> Key:
    return Key(f"DEP#{deployment.d}", "TIMELINE")
