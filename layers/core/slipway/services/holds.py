"""Holds: after a rollback, tokens and workloads deploy nothing until a person releases it.

The rollback sets the hold in the transaction that accepts it, so nothing comes between. What
machines have deployed before and waits stays in the queue, and goes on when the hold is released.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import timestamps
from slipway.domain.environment import Environment
from slipway.domain.ids import EnvironmentId
from slipway.domain.records import change, changed
from slipway.domain.rights import tier_of
from slipway.errors import Busy
from slipway.store import environment_records, idempotency, table
from slipway.store.table import Fields, Transaction, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.records import EnvironmentRecord

_TRIES = 10


def release(environment: EnvironmentId, principal: Principal) -> Environment:
    """Release the hold. No-op if there is none.

    Raises NotFound, Forbidden, Busy. Two round trips; more if the environment changes in between.
    """
    for _ in range(_TRIES):
        item = authorization.read(environment, principal)
        if "hold" not in item:
            return _shown(item)
        now = timestamps.written(timestamps.now())
        fields = {
            "hold": None,
            "change": change("hold_released", principal.author(), now, item["hold"]["reason"]),
            "updated_at": now,
            "version": item["version"] + 1,
        }
        shown = _shown(changed(item, fields))
        try:
            idempotency.commit(_transaction(environment, item, fields, principal), shown)
        except TransactionFailed as failed:
            if failed.get("member") is not None:
                raise authorization.lost(failed["member"], "environment") from None
        else:
            return shown
    raise Busy(1)


def _transaction(
    environment: EnvironmentId, item: EnvironmentRecord, fields: Fields, principal: Principal
) -> Transaction:
    expression, values = table.setting(fields)
    where, was = environment_records.key(environment), item["version"]
    return (
        Transaction()
        .update("record", where, expression, {**values, "was": was}, "version = :was")
        .add("member", authorization.still_may(environment, principal, tier_of(item)))
    )


def _shown(item: EnvironmentRecord) -> Environment:
    return environment_records.to_model(item).as_seen_at(timestamps.now())
