"""The progress of promotions: each target has the status of its deployment.

Dispatch brings it to the promotion's record with each change of such a deployment, and reconcile if
a change was lost. So a promotion is read in one round trip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway.domain import failure, ids, timestamps
from slipway.domain.ids import PromotionId
from slipway.domain.promotion import UNFINISHED
from slipway.store import deployment_records, lifetimes, table
from slipway.store import promotion_records as records
from slipway.store.table import ConditionFailed

if TYPE_CHECKING:
    from slipway.domain.promotion_records import PromotionRecord, TargetRecord
    from slipway.domain.records import DeploymentRecord

_TRIES = 20


def refresh(promotion: PromotionId, actor: str) -> PromotionRecord | None:
    """Bring the targets' statuses up to date, and return the record; None if there is none.

    `actor` is the deployment that has changed, or `reconcile`. Repeating it changes nothing. Two
    round trips, and one if something has changed; more if others write at the same time. Raises
    ConditionFailed if they keep doing so.
    """
    for left in reversed(range(_TRIES)):
        item = records.find(promotion)
        if item is None or item.get("finished_at"):
            return item
        targets = _targets(item)
        if targets == item["targets"]:
            return item
        try:
            changed: PromotionRecord = table.write(records.progress(item, _fields(targets, actor)))
        except ConditionFailed:
            if not left:
                raise
        else:
            return changed
    return None


def _targets(item: PromotionRecord) -> list[TargetRecord]:
    open_ = [each for each in item["targets"] if each["status"] in UNFINISHED]
    names = [each["deployment_id"] for each in open_]
    found = table.get(*(deployment_records.key(ids.parse_deployment(each)) for each in names))
    deployments = dict(zip(names, found, strict=True))
    return [
        _after(each, deployments[each["deployment_id"]]) if each["status"] in UNFINISHED else each
        for each in item["targets"]
    ]


def _after(target: TargetRecord, deployment: DeploymentRecord | None) -> TargetRecord:
    if deployment is None:
        # It can only have ended, long ago.
        return {**target, "status": "failed", "reason": "The deployment is no longer known"}
    after: TargetRecord = {**target, "status": deployment["status"]}
    if "failure" in deployment:
        after["reason"] = failure.decode(deployment["failure"])["reason"]
    return after


def _fields(targets: list[TargetRecord], actor: str) -> dict[str, Any]:
    at = timestamps.written(timestamps.now())
    fields: dict[str, Any] = {
        "targets": targets,
        "change": {"action": "target_changed", "actor": actor, "at": at},
    }
    if any(each["status"] in UNFINISHED for each in targets):
        return fields
    return {**fields, **ended(at)}


def ended(at: str) -> dict[str, Any]:
    """The fields of a promotion that has ended at `at`."""
    return {"finished_at": at, "due": None, "due_at": None, "ttl": lifetimes.ended(at)}
