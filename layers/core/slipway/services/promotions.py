"""Promotions: deploying what is live in one environment into others.

A promotion is one transaction: its record, and for each target the acceptance of a deployment, as
slipway.services.rollout_queue drafts it. So the process can die at any time without leaving a part
of it, and a repeated Idempotency-Key finds all of it. It fails if the source has changed, if the
principal may no longer deploy to one of the targets, or if a target has changed, and then all is
read again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from slipway.access import authorization, policy
from slipway.access.principal import Principal
from slipway.domain import ids, inputs, timestamps
from slipway.domain.ids import EnvironmentId, PromotionId
from slipway.domain.promotion import NewPromotion, Promotion, status_of
from slipway.domain.records import changed
from slipway.domain.rights import tier_of
from slipway.errors import (
    Busy,
    ConfirmationNeeded,
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    Refused,
)
from slipway.errors.promotions import TemplateDiffers
from slipway.services import fitting, promotion_progress, protection, rollout_queue
from slipway.services.promotion_sources import Read, Source, read
from slipway.services.quotas import Claim
from slipway.services.rollout_queue import View
from slipway.store import (
    environment_records,
    idempotency,
    promotion_records,
    queue_records,
    table,
    template_records,
)
from slipway.store.table import Fields, Transaction, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.promotion_records import SourceRecord, TargetRecord
    from slipway.domain.records import EnvironmentRecord
    from slipway.domain.template import TemplateVersion

_TRIES = 25
_UPDATE = "environments:update"


@dataclass
class Draft:
    """A target: the deployment that it gets, or why it refuses.

    `version` is the template version that it gets, if that changes; `would_be` its record then.
    `alone`: only while nothing is ahead of it in the queue. `parts` accept the deployment.
    """

    environment: EnvironmentId
    record: EnvironmentRecord
    content: Fields = field(default_factory=dict)
    version: TemplateVersion | None = None
    would_be: EnvironmentRecord | None = None
    refusal: Refused | None = None
    deployment_id: str | None = None
    alone: bool = False
    parts: dict[str, table.Action] = field(default_factory=dict)

    @property
    def changes_stack(self) -> bool:
        """Whether it is accepted, so far, and changes more than the version."""
        return self.version is not None and self.refusal is None

    def result(self) -> TargetRecord:
        """The target in the promotion's record."""
        target: TargetRecord = {
            "environment_id": str(self.environment),
            "environment_name": self.record["name"],
            "tier": tier_of(self.record),
            "status": "refused" if self.refusal else "pending",
        }
        if self.refusal:
            target["code"], target["reason"] = self.refusal.code, self.refusal.detail
        elif self.deployment_id:
            target["deployment_id"] = self.deployment_id
        return target


def promote(wanted: NewPromotion, principal: Principal, confirmed: str | None = None) -> Promotion:
    """Promote what is live in the source to the targets.

    `confirmed` has the names of protected targets whose template version changes, separated by
    commas. Raises NotFound, Forbidden, Invalid, SourceNotReady, ConfirmationRequired, PlanPending,
    Busy, DriverFault, and makes nothing then. Two round trips; two more each time that one of the
    environments changes in between, one if a template version is not cached; for machines one
    invocation for each target whose template version changes.
    """
    unpublished: set[str] = set()
    certain = False
    for _ in range(_TRIES):
        state = read(wanted, principal)
        drafts = drafted(wanted, principal, state, confirmed, unpublished)
        for each in drafts:
            _refusing(each, _require_harmless, principal)
        promotion = PromotionId(state.source.environment.p, ids.new_part())
        accept(drafts, state, wanted, principal, promotion, certain=certain)
        item = _record(promotion, wanted, principal, state.source, drafts)
        shown = promotion_records.to_model(item)
        try:
            idempotency.commit(_transaction(promotion, item, principal, state, drafts), shown)
        except TransactionFailed as failed:
            if failed.get("member") is not None:
                raise authorization.lost(failed["member"], "environment") from None
            if failed.get("template") is not None:
                unpublished |= {each.version.reference for each in drafts if each.version}
            # A queue was not as it was read: the next time, it is read alone.
            certain = certain or any(
                failed.get(f"{n} queue") is not None for n in range(len(drafts))
            )
        else:
            return shown
    raise Busy(1)


# --- drafting ---------------------------------------------------------------------------------


def drafted(
    wanted: NewPromotion,
    principal: Principal,
    state: Read,
    confirmed: str | None,
    unpublished: set[str],
) -> list[Draft]:
    """What each target gets, or why it refuses. Nothing is accepted yet.

    Raises Forbidden for a target whose template version the principal may not change, and
    ConfirmationRequired for one that is protected.
    """
    drafts = [_draft(view, wanted, state.source) for view in state.views]
    if wanted.template:
        for each in drafts:
            _refusing(each, _change_template, state, principal, unpublished)
    names = {each.strip() for each in (confirmed or "").split(",")}
    for each in drafts:
        # What a machine may change, the plan of its stack tells.
        if each.changes_stack and not principal.is_machine and each.record["name"] not in names:
            protection.require_confirmed(each.record, confirmed)
    return drafts


def _draft(view: View, wanted: NewPromotion, source: Source) -> Draft:
    content = {
        "kind": "release",
        "trigger": "promotion",
        **source.content,
        "allow_outdated": wanted.allow_outdated,
        "promoted_from": source.record["live_deployment_id"],
        "reason": wanted.reason,
    }
    return Draft(ids.parse_environment(view.record["id"]), view.record, content)


def _refusing(draft: Draft, decide: Callable[..., None], *arguments: Any) -> None:
    """Let the target refuse what its state does not allow; no-op if it refuses already."""
    if draft.refusal:
        return
    try:
        decide(draft, *arguments)
    except (Conflict, Invalid) as refusal:
        draft.refusal = refusal


def _change_template(
    draft: Draft, state: Read, principal: Principal, unpublished: set[str]
) -> None:
    """Let the draft bring the source's template version, if the target has another one.

    Raises Forbidden unless the principal may update the target; TemplateDiffers or Invalid if the
    target does not take it.
    """
    mine, theirs = draft.record.get("template"), state.source.record.get("template")
    if mine == theirs:
        return
    if not (mine and theirs) or mine.partition("@")[0] != theirs.partition("@")[0]:
        raise TemplateDiffers(mine, theirs)
    _require_may_update(draft, state, principal)
    if theirs in unpublished:
        raise Invalid([FieldError("#/template", f"{theirs} is no longer published")])
    version = template_records.require_allowed(template_records.version_of(theirs))
    draft.would_be = _would_be(draft.record, version, state.source)
    draft.version = version
    draft.content |= {"template": theirs, "inputs": "{}", "secret_inputs": []}


def _require_may_update(draft: Draft, state: Read, principal: Principal) -> None:
    updating = principal.asking(_UPDATE)
    try:
        policy.permits(_UPDATE)(principal.grant)
        authorization.authorized(draft.environment, updating, (state.membership, draft.record))
    except Forbidden as refusal:
        raise Forbidden(
            f"The promotion changes the template version of {draft.record['name']}. "
            f"{refusal.detail} With `template: false`, the version alone is promoted.",
            **refusal.extra,
        ) from None


def _would_be(
    record: EnvironmentRecord, version: TemplateVersion, source: Source
) -> EnvironmentRecord:
    """The target's record with the template version, its own inputs and the source's version.

    Raises Invalid if they do not fit together. One round trip if the version constrains the
    project's name.
    """
    held = json.loads(record["inputs"])
    if secret := sorted(inputs.secrets(version.parameters).intersection(held)):
        detail = "has become a secret: update the environment first"
        raise Invalid([FieldError(f"#/inputs/{name}", detail) for name in secret])
    values, stays = inputs.merged(version.parameters, held, record["secret_inputs"], {})
    template_records.require_capacity(version, values)
    would_be = changed(
        record,
        {
            **template_records.template_fields(version),
            "inputs": inputs.written(values),
            "secret_inputs": sorted(stays),
            "live_version": source.record.get("live_version"),
            "live_artifact": source.record.get("live_artifact"),
        },
    )
    named = environment_records.with_project_name(would_be)
    fitting.require_state(would_be, named.get("project_name"))
    brings = {**source.content, "kind": "release"}
    fitting.require_release(would_be, brings)
    return named


def _require_harmless(draft: Draft, principal: Principal) -> None:
    """Let the target refuse what a machine may not do to its stack without a person.

    No-op for people. Raises PlanPending, DriverFault.
    """
    if draft.would_be is None or not principal.is_machine:
        return
    # Imported here, because people promote most.
    from slipway.services import machine_updates

    updating = principal.asking(_UPDATE)
    try:
        alone = machine_updates.must_be_alone(
            draft.environment, updating, draft.record, draft.would_be, {}, ()
        )
    except (ConfirmationNeeded, Forbidden) as refusal:
        draft.refusal = Forbidden(
            f"{refusal.detail} A machine needs a person for that: update the environment to "
            f"{draft.would_be['template']} first, which asks one, or let a person promote."
        )
    else:
        draft.alone = alone


# --- writing ----------------------------------------------------------------------------------


def accept(
    drafts: Sequence[Draft],
    state: Read,
    wanted: NewPromotion,
    principal: Principal,
    promotion: PromotionId,
    *,
    certain: bool = False,
) -> None:
    """Draft the acceptance of each target's deployment, each with slots of its own.

    No round trip, but one for each queue that is not known for certain, if `certain` or if the
    order matters, and some if a quota is nearly used up.
    """
    claims: list[Claim] = []
    for draft, view in zip(drafts, state.views, strict=True):
        claim = rollout_queue.claim_for(draft.environment, principal)
        mode = "reject" if draft.alone else wanted.on_conflict
        ordered = draft.content["order"] is not None and not wanted.allow_outdated
        if view.ahead is None and (certain or ordered or mode == "reject"):
            view = view._replace(ahead=queue_records.read_in_order(draft.environment))
        draft.content["promotion_id"] = str(promotion)
        _refusing(draft, _accept, state, claims, view._replace(claim=claim), mode, principal)
        if not draft.refusal:
            claims.append(claim)


def _accept(
    draft: Draft,
    state: Read,
    claims: Sequence[Claim],
    view: View,
    mode: Any,
    principal: Principal,
) -> None:
    view.claim.see_beside(state.slots, claims)
    shown, transaction = rollout_queue.draft(
        draft.environment, draft.content, mode, principal, view
    )
    draft.deployment_id = shown.id
    # The membership is checked once, for all targets.
    draft.parts = {name: each for name, each in transaction.parts.items() if name != "member"}


def source_of(source: Source) -> SourceRecord:
    """The source in the promotion's record."""
    return {
        "environment_id": source.record["id"],
        "environment_name": source.record["name"],
        "deployment_id": source.record["live_deployment_id"],
        "tier": tier_of(source.record),
    }


def _record(
    promotion: PromotionId,
    wanted: NewPromotion,
    principal: Principal,
    source: Source,
    drafts: Sequence[Draft],
) -> Any:
    at = timestamps.written(timestamps.now())
    targets = [each.result() for each in drafts]
    over = status_of(each["status"] for each in targets) != "running"
    item = {
        "id": str(promotion),
        "project_id": str(promotion.project),
        "source": source_of(source),
        "version": source.record.get("live_version"),
        "artifact": source.record.get("live_artifact"),
        "template": source.record.get("template") if wanted.template else None,
        "reason": wanted.reason,
        "targets": targets,
        "created_at": at,
        **principal.made(),
        "change": {"action": "promoted", "actor": principal.actor, "at": at},
        "revision": 1,
        **(promotion_progress.ended(at) if over else {}),
    }
    return {name: value for name, value in item.items() if value is not None}


def _transaction(
    promotion: PromotionId,
    item: Any,
    principal: Principal,
    state: Read,
    drafts: Sequence[Draft],
) -> Transaction:
    """The promotion's record and the acceptances, if nothing has changed since it was read."""
    accepted = [each for each in drafts if not each.refusal]
    asked = [(principal.action, tier_of(each.record)) for each in drafts]
    asked += [(_UPDATE, tier_of(each.record)) for each in accepted if each.version]
    transaction = (
        Transaction()
        .add("record", promotion_records.put(promotion, item))
        .add("member", authorization.still_may_all(promotion.project, principal, asked))
        .add("source", state.source.unchanged())
    )
    if version := next((each.version for each in accepted if each.version), None):
        transaction.add("template", template_records.still_published(version))
    for n, each in enumerate(accepted):
        for name, action in each.parts.items():
            transaction.add(f"{n} {name}", action)
    return transaction
