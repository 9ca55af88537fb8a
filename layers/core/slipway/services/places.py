"""Places in the queue: what the item of a deployment that waits says about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.access.principal import Principal
from slipway.store import deployment_records
from slipway.store.table import Fields

if TYPE_CHECKING:
    from slipway.domain.records import DeploymentRecord

_COPIED = ("kind", "order", "slots", "urgent")


def of(new: DeploymentRecord, by: Principal) -> Fields:
    """The fields of the place of a new deployment."""
    lasts = deployment_records.changes_environment(new)
    return {
        "deployment_id": new["id"],
        **{name: new.get(name) for name in _COPIED},
        "lasts": lasts or None,
        "automatic": waits_while_held(new, by) or None,
    }


def waits_while_held(content: Mapping[str, Any], by: Principal) -> bool:
    """Whether a hold of the environment concerns the deployment with this content: one that a token
    or a workload asks for, unless it is a rollback."""
    return not (by.is_person or content.get("trigger") == "rollback")
