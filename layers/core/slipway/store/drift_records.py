"""The last look for drift that was begun in an environment; what it found is CloudFormation's."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from slipway.domain import timestamps
from slipway.domain.ids import EnvironmentId
from slipway.store import table
from slipway.store.table import ConditionFailed, Key, Update


def began(environment: EnvironmentId, detection: str, at: datetime) -> None:
    """Remember the look, unless a later one is remembered."""
    fields = {"detection": detection, "at": timestamps.written(at)}
    expression, values = table.setting(fields)
    condition = "attribute_not_exists(pk) OR #at < :at"
    with suppress(ConditionFailed):
        table.write(Update(key(environment), expression, values, condition))


def key(environment: EnvironmentId) -> Key:
    return Key(f"ENV#{environment.e}", "DRIFT")
