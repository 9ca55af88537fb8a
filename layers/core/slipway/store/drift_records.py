"""The last drift detection started for an environment. CloudFormation keeps its result."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from slipway.domain import timestamps
from slipway.domain.ids import EnvironmentId
from slipway.store import table
from slipway.store.table import ConditionFailed, Key, Update


def record_start(environment: EnvironmentId, detection: str, at: datetime) -> None:
    """Record a drift detection that started at `at`, unless a later one is recorded.

    `detection` is CloudFormation's StackDriftDetectionId. One round trip.
    """
    fields = {"detection": detection, "at": timestamps.written(at)}
    expression, values = table.setting(fields)
    condition = "attribute_not_exists(pk) OR #at < :at"
    with suppress(ConditionFailed):
        table.write(Update(key(environment), expression, values, condition), aside=True)


def key(environment: EnvironmentId) -> Key:
    """The key of the environment's last drift detection."""
    return Key(f"ENV#{environment.e}", "DRIFT")
