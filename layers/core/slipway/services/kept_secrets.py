"""Which values of secret inputs are kept, and the deletion of those that no record names any more.

Kept are the values in use, and those that a deployment needs that can be rolled back to: one of the
last ten that were live, by the snapshots in their records. So an environment has at most the values
of eleven states, and those that updates in the queue bring. Imported only if an environment has
secrets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from slipway.aws import secret_inputs
from slipway.domain import ids
from slipway.store import deployment_records, environment_records, table

if TYPE_CHECKING:
    from slipway.domain.records import DeploymentRecord, EnvironmentRecord

# A secret's name and its place.
Value = tuple[str, str]


def delete_replaced(before: EnvironmentRecord, after: EnvironmentRecord) -> None:
    """Delete what the environment's record named before, itself or by its deployments, and no
    longer does. Idempotent. Raises DriverFault. One round trip for the deployments."""
    gone = _names(before) - _names(after)
    found = table.get(*(deployment_records.key(ids.parse_deployment(each)) for each in gone))
    was = _in_use(before).union(*map(_of_snapshot, found))
    _delete(was - _in_use(after), after)


def delete_unused(update: DeploymentRecord) -> None:
    """Delete the secrets of an update that has ended, except those that are kept. Idempotent.

    Raises DriverFault. Two round trips.
    """
    environment = environment_records.find(ids.parse_environment(update["environment_id"]))
    brought = {(name, update["secret_place"]) for name in update["secret_inputs"]}
    _delete(brought, environment)


def _delete(values: set[Value], environment: EnvironmentRecord | None) -> None:
    if not values:
        return
    if environment is not None:
        values = values - _kept(environment)
    for name, place in sorted(values):
        secret_inputs.remove(place, [name])


def _kept(environment: EnvironmentRecord) -> set[Value]:
    """What the environment uses, and the deployments that it can be rolled back to."""
    names = sorted(_names(environment))
    found = table.get(*(deployment_records.key(ids.parse_deployment(each)) for each in names))
    return _in_use(environment).union(*map(_of_snapshot, found))


def _names(environment: EnvironmentRecord) -> set[str]:
    """The deployments whose secrets are kept, by their ids: also the last rollback, which may
    still wait."""
    held = environment["hold"]["deployment_id"] if "hold" in environment else None
    names = {each["id"] for each in environment.get("live_history", ())}
    return names | {held} if held else names


def _in_use(environment: EnvironmentRecord) -> set[Value]:
    return set(secret_inputs.places(environment).items()) if "id" in environment else set()


def _of_snapshot(item: DeploymentRecord | None) -> Iterable[Value]:
    snapshots = [item.get("snapshot", {}), item.get("becomes", {})] if item else []
    return {each for some in snapshots for each in some.get("secret_places", {}).items()}
