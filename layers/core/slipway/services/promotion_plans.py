"""Dry runs of promotions: what each target would get, and what that would change.

CloudFormation previews the changes of stacks in change sets, which take a while: repeat the request
for those that are pending.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from slipway import aws
from slipway.access.principal import Principal
from slipway.domain import ids
from slipway.domain.environment import MASK
from slipway.domain.ids import PromotionId
from slipway.domain.promotion import NewPromotion, is_pinned
from slipway.domain.promotion_plan import PromotionPlan
from slipway.domain.records import changed
from slipway.domain.update import InputChange
from slipway.errors import DriverFault
from slipway.services import change_sets, promotions
from slipway.services.promotion_sources import read
from slipway.services.promotions import Draft
from slipway.store import environment_records, table

if TYPE_CHECKING:
    from slipway.domain.records import EnvironmentRecord

# The plans function answers within seconds, and an account may have ten executions in all.
_AT_ONCE = 4
# The caller waits 29 seconds at most, and an invocation may take 21. Later ones are not begun.
_BEGIN_WITHIN_SECONDS = 6.0
_PENDING = {"status": "pending", "reason": "CloudFormation has not answered"}


def plan(wanted: NewPromotion, principal: Principal, confirmed: str | None = None) -> PromotionPlan:
    """What the promotion would change in each target, without changing it.

    Raises as promotions.promote. One round trip, one for each target, and one invocation for each
    target of a template, four at a time.
    """
    state = read(wanted, principal)
    drafts = promotions.drafted(wanted, principal, state, confirmed, set())
    promotion = PromotionId(state.source.environment.p, ids.new_part())
    promotions.accept(drafts, state, wanted, principal, promotion)
    record = state.source.record
    return PromotionPlan.model_validate(
        {
            "project_id": record["project_id"],
            "from": promotions.source_of(state.source),
            "version": record["live_version"],
            "artifact": record.get("live_artifact"),
            "pinned": is_pinned(record.get("live_artifact")),
            "template": record.get("template") if wanted.template else None,
            "targets": [
                _target(draft, found)
                for draft, found in zip(drafts, _change_sets(drafts), strict=True)
            ],
        }
    )


def _target(draft: Draft, change_set: Mapping[str, Any] | None) -> dict[str, Any]:
    before, after = draft.record, _after(draft)
    return {
        **draft.result(),
        "status": "refused" if draft.refusal else "accepted",
        "version": _change(before, after, "live_version"),
        "artifact": _change(before, after, "live_artifact"),
        "template": _change(before, after, "template"),
        "inputs": _inputs(before, after),
        "variables": {} if draft.refusal else _pending(draft),
        "warnings": draft.version.warnings if draft.version else [],
        "change_set": change_set,
    }


def _after(draft: Draft) -> EnvironmentRecord:
    """The target's record after the promotion; as it is if it refuses."""
    if draft.refusal:
        return draft.record
    content = draft.content
    brings = {"live_version": content["version"], "live_artifact": content["artifact"]}
    return changed(draft.would_be or draft.record, brings)


def _change(
    before: EnvironmentRecord, after: EnvironmentRecord, name: str
) -> dict[str, Any] | None:
    old, new = before.get(name), after.get(name)
    return None if old == new else {"before": old, "after": new}


def _inputs(before: EnvironmentRecord, after: EnvironmentRecord) -> dict[str, InputChange]:
    old, new = _shown(before), _shown(after)
    return {
        name: InputChange(before=old.get(name), after=new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    }


def _pending(draft: Draft) -> Mapping[str, str]:
    """What becomes of the target's variables and secrets with its next deployment, by name. One
    round trip."""
    # Imported here, because only plans tell.
    from slipway.domain import configuration as contents
    from slipway.services import configuration

    environment, live = draft.environment, draft.record.get("live_configuration", 0)
    levels = configuration.keys(environment)
    found = table.get(*levels, *configuration.content_keys(environment, live))
    now = configuration.levels(draft.record, found[: len(levels)])
    before = configuration.content(found[len(levels) :])
    return contents.differences(before, now.merged())


def _shown(record: EnvironmentRecord) -> dict[str, str]:
    held: dict[str, str] = json.loads(record.get("inputs") or "{}")
    return {**held, **dict.fromkeys(record.get("secret_inputs", ()), MASK)}


def _change_sets(drafts: Sequence[Draft]) -> list[Mapping[str, Any] | None]:
    """What CloudFormation would do to the stack of each target; None without one, and for those
    that refuse."""
    asked = [
        None
        if draft.refusal or not draft.record.get("template")
        else environment_records.with_project_name(_after(draft))
        for draft in drafts
    ]
    if any(asked):
        # Clients are made by one thread, and then used by several.
        aws.client("lambda")
    latest = time.monotonic() + _BEGIN_WITHIN_SECONDS
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        # Each with the request's own context, which has its session.
        runs = [pool.submit(copy_context().run, _preview, each, latest) for each in asked]
        return [each.result() for each in runs]


def _preview(would_be: EnvironmentRecord | None, latest: float) -> Mapping[str, Any] | None:
    if would_be is None:
        return None
    if time.monotonic() > latest:
        return _PENDING
    try:
        found: Mapping[str, Any] = change_sets.preview(would_be, {}, creates=False)
    except DriverFault:
        # The others are told nevertheless. What went wrong is in the log of that function.
        return _PENDING
    return found
