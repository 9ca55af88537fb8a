"""Trusts: what maintainers let workloads outside do in their project."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from slipway.access import authorization, policy
from slipway.access.principal import Principal
from slipway.domain import ids, issuers, timestamps
from slipway.domain.ids import ProjectId, TrustId
from slipway.domain.paging import Page
from slipway.domain.rights import TIERS, is_at_least
from slipway.domain.trust import NewTrust, Trust, TrustChange
from slipway.errors import (
    Busy,
    FieldError,
    Forbidden,
    Invalid,
    PreconditionFailed,
    ProjectGoing,
    TooManyTrusts,
    TrustExists,
    no_such,
)
from slipway.settings import settings
from slipway.store import idempotency, project_records, table
from slipway.store import trust_records as records
from slipway.store.table import Check, Item, Transaction, TransactionFailed

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from slipway.domain.records import TrustRecord

_PERSONS = ("user", "personal")
_TRIES = 10


def create(project: ProjectId, wanted: NewTrust, principal: Principal) -> Trust:
    """Trust a workload, with rights that the principal has itself. Two round trips.

    Raises NotFound, Forbidden, Invalid, ProjectGoing, TooManyTrusts, TrustExists, Busy.
    """
    if issuers.is_loopback(wanted.issuer_url) and settings().on_aws:
        detail = "must be https: only the platform on a laptop trusts an issuer on loopback"
        raise Invalid([FieldError("#/issuer", detail)])
    found = table.get(*authorization.keys(project, principal))
    record = authorization.authorized(project, principal, found)
    if record["status"] != "active":
        raise ProjectGoing()
    _require_no_wider(principal, found[0], wanted.scopes, wanted.tiers)
    id_ = TrustId(project.p, ids.new_part())
    trust = _new(id_, wanted, principal)
    shown = _shown(trust)
    transaction = Transaction().add("member", _as_read(project, principal, found[0]))
    records.add(transaction, project, trust, id_)
    try:
        idempotency.commit(transaction, shown)
    except TransactionFailed as failed:
        raise _refusal(failed) from None
    return shown


def list_(project: ProjectId, principal: Principal) -> Page[Trust]:
    """The project's trusts, newest first; one round trip. Raises NotFound, Forbidden."""
    found, [(items, _)] = table.read(authorization.keys(project, principal), records.list_(project))
    authorization.authorized(project, principal, found)
    return Page([_shown(item) for item in items])


def get(project: ProjectId, trust: TrustId, principal: Principal) -> Trust:
    """The trust; one round trip. Raises NotFound, Forbidden."""
    return _shown(_read(project, trust, principal)[1])


def change(
    project: ProjectId,
    trust: TrustId,
    wanted: TrustChange,
    principal: Principal,
    if_version: Container[int] | None,
) -> Trust:
    """Change the fields that the request sets; no-op if nothing differs. Two round trips.

    Tokens of the exchange have the new scopes and tiers with their next request. `if_version` has
    the versions that the caller expects, None is any. Raises NotFound, Forbidden, Invalid,
    PreconditionFailed, Busy. More round trips if the trust changes in between.
    """
    for _ in range(_TRIES):
        membership, record = _read(project, trust, principal)
        if if_version is not None and record["version"] not in if_version:
            raise PreconditionFailed()
        before = _shown(record)
        wanted.require_unchanged(before)
        fields = wanted.model_dump(exclude_unset=True)
        after = _shown({**record, **fields})
        if before == after:
            return before
        _require_no_wider(principal, membership, after.scopes, after.tiers)
        fields |= _written("trust_changed", principal) | {"version": record["version"] + 1}
        change, values = table.setting(fields)
        values["was"] = record["version"]
        transaction = Transaction().add("member", _as_read(project, principal, membership))
        transaction.update("record", records.key(trust), change, values, "version = :was")
        try:
            transaction.commit()
        except TransactionFailed as failed:
            if failed.get("member") is not None:
                raise authorization.lost(failed["member"], "project") from None
        else:
            return _shown({**record, **fields})
    raise Busy(1)


def remove(
    project: ProjectId, trust: TrustId, principal: Principal, if_version: Container[int] | None
) -> None:
    """Delete the trust, so that the next request of its workload is refused. Two round trips.

    `if_version` has the versions that the caller expects, None is any. Raises NotFound, Forbidden,
    PreconditionFailed.
    """
    membership, record = _read(project, trust, principal)
    if if_version is not None and record["version"] not in if_version:
        raise PreconditionFailed()
    transaction = Transaction().add("member", _as_read(project, principal, membership))
    records.remove(transaction, record, trust, None if if_version is None else record["version"])
    try:
        transaction.commit()
    except TransactionFailed as failed:
        if failed.get("member") is not None:
            raise authorization.lost(failed["member"], "project") from None
        if failed.get("record"):
            raise PreconditionFailed() from None
        raise no_such("trust") from None


def _read(project: ProjectId, trust: TrustId, principal: Principal) -> tuple[Item, TrustRecord]:
    """The principal's membership, and the trust's record. Raises NotFound, Forbidden."""
    *found, record = table.get(*authorization.keys(project, principal), records.key(trust))
    authorization.authorized(project, principal, found)
    if not record or trust.project != project:
        raise no_such("trust")
    return found[0], record


def _require_no_wider(
    principal: Principal, membership: Item, scopes: Sequence[str], tiers: Sequence[str] | None
) -> None:
    """Raises Forbidden if a trust with these rights could do more than the principal.

    A trust acts as a maintainer. A machine makes none: it would outlive the machine's own token.
    """
    if principal.kind not in _PERSONS:
        raise Forbidden(
            "Only people make and change trusts. Sign in, or use a personal token.",
        )
    grant = principal.grant
    if grant and (missing := [each for each in scopes if each not in grant.scopes]):
        raise Forbidden(
            f"Your token lacks {', '.join(missing)}, so the trust cannot have it. Give it fewer "
            "scopes, or sign in.",
            required_scope=missing[0],
        )
    weak = [
        tier
        for tier in TIERS
        if (tiers is None or tier in tiers)
        and not is_at_least(
            policy.role_in(membership["role"], membership.get("overrides"), tier), "maintainer"
        )
    ]
    if weak:
        raise Forbidden(
            f"You are no maintainer in environments of the tier {', '.join(weak)}, so the trust "
            "cannot be for them. Name other tiers, or ask an owner of the project.",
            required_role="maintainer",
        )


def _as_read(project: ProjectId, principal: Principal, membership: Item) -> Check:
    """The part of a transaction that fails if the principal's rights have changed meanwhile."""
    condition, values = "attribute_exists(pk) AND #role = :role", {"role": membership["role"]}
    if "overrides" in membership:
        condition += " AND #overrides = :overrides"
        values["overrides"] = membership["overrides"]
    else:
        condition += " AND attribute_not_exists(#overrides)"
    return Check(project_records.member(project, principal.user_id), condition, values)


def _new(id_: TrustId, wanted: NewTrust, principal: Principal) -> TrustRecord:
    written = _written("trust_created", principal)
    record: Any = {
        "id": str(id_),
        "project_id": str(id_.project),
        "name": wanted.name,
        "role": "maintainer",
        "issuer": wanted.issuer_url,
        "audience": wanted.audience,
        "claims": json.dumps(wanted.texts()),
        "pin": wanted.pin,
        "scopes": wanted.scopes,
        "tiers": wanted.tiers,
        "created_by": principal.user_id,
        "made_by": principal.author(),
        "created_at": written["updated_at"],
        "version": 1,
        **written,
    }
    made: TrustRecord = record
    return made


def _written(action: str, principal: Principal) -> dict[str, Any]:
    at = timestamps.written(timestamps.now())
    return {"updated_at": at, "change": {"action": action, "actor": principal.actor, "at": at}}


def _refusal(failed: TransactionFailed) -> Exception:
    """The refusal for a trust that could not be written."""
    if failed.get("member") is not None:
        return authorization.lost(failed["member"], "project")
    if failed.get("entry") is not None:
        return TrustExists(failed["entry"]["trust_id"])
    project = failed.get("count") or {}
    return TooManyTrusts() if project.get("status") == "active" else ProjectGoing()


def _shown(record: Any) -> Trust:
    return Trust.model_validate({**record, "claims": json.loads(record["claims"])})
