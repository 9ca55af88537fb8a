"""The last look for drift that was begun in an environment; what it found is CloudFormation's."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from slipway.domain import timestamps
from slipway.domain.ids import EnvironmentId
from slipway.store import environments, table
from slipway.store.table import ConditionFailed, Item, Key, Update


def authorised(environment: EnvironmentId, user_id: str) -> tuple[Item, str | None]:
    """The environment's record, for a member of its project, and the id of the last look.

    Raises NotFound. One round trip.
    """
    *found, last = table.get(*environments.access(environment, user_id), _key(environment))
    return environments.allowed(*found), str(last["detection"]) if last else None


def began(environment: EnvironmentId, detection: str, at: datetime) -> None:
    """Remember the look, unless a later one is remembered."""
    fields = {"detection": detection, "at": timestamps.written(at)}
    expression, values = table.setting(fields)
    condition = "attribute_not_exists(pk) OR #at < :at"
    with suppress(ConditionFailed):
        table.write(Update(_key(environment), expression, values, condition))


def _key(environment: EnvironmentId) -> Key:
    return Key(f"ENV#{environment.e}", "DRIFT")
