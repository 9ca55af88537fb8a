"""Delivering a configuration: from the table to what runs.

A deployment's configuration is fixed when it begins (slipway.services.rollouts). Ship writes that
version to the parameter store before it gives the version's path to the stack. The environment's
record registers the version in `delivered` before anything is written, as it does with resources
(slipway.services.provisioning), so a teardown and later deployments know what there is to delete.

Versions stay while one of the last deployments names them, because functions of an earlier version
may still run and read them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from slipway.aws import configurations
from slipway.domain import ids, inputs, timestamps
from slipway.domain.records import changed
from slipway.drivers.base import Progress
from slipway.errors import DriverFault, DriverRefused, Invalid, NotFound
from slipway.store import configuration_records, deployment_records, environment_records, table
from slipway.store.table import ConditionFailed, Query, Update

if TYPE_CHECKING:
    from slipway.domain.configuration import Content
    from slipway.domain.records import DeploymentRecord, EnvironmentRecord

# Versions that one of so many last deployments names stay in the parameter store.
KEPT_DEPLOYMENTS = 10
# The deployments that are looked at: those that wait have no configuration yet.
_LOOKED_AT = 100
# The steps have 29 seconds. At three writes a second, which a new account has, 50 names fit in.
_WRITES_FOR = timedelta(seconds=17)
_DELETES_FOR = timedelta(seconds=5)
_WITHIN = timedelta(hours=1)
_LONGEST_WAIT_SECONDS = 30


def content(environment: EnvironmentRecord, number: int) -> Content:
    """The configuration with this number; one round trip, none for 0."""
    this = ids.parse_environment(environment["id"])
    keys = configuration_records.content_keys(this, number) if number else []
    return configuration_records.content(table.get(*keys) if keys else [])


def with_configuration(environment: EnvironmentRecord, number: int, made_of: Content) -> Any:
    """The record with this configuration, and the variables that its template's parameters take.

    A secret input of that name stays.
    """
    takes = set(environment.get("parameters", ())) - inputs.CONVENTIONS
    takes -= set(environment.get("secret_inputs", ()))
    given = {n: each["value"] for n, each in made_of["variables"].items() if n in takes}
    return changed(environment, {"live_configuration": number, "variables": given})


def require_fit(environment: Mapping[str, Any]) -> None:
    """Raises DriverRefused unless the template takes the variables that are its parameters.

    They are held to all that inputs are held to. One round trip if the template version is not
    cached, none without such variables.
    """
    variables, reference = environment.get("variables"), environment.get("template", "")
    if not variables:
        return
    # Imported here, because few variables are parameters.
    from slipway.store import template_records

    given = {**json.loads(environment.get("inputs", "{}")), **variables}
    try:
        version = template_records.version_of(reference)
        values = inputs.checked(version.parameters, given, environment.get("secret_inputs", ()))
        template_records.require_capacity(version, values)
    except (Invalid, NotFound) as error:
        number = environment["live_configuration"]
        raise DriverRefused(
            f"Configuration {number} does not fit {reference}: {error.detail}"
        ) from error


def deliver(
    shipping: DeploymentRecord,
    environment: EnvironmentRecord,
    made_of: Content,
    event: Mapping[str, Any],
) -> Progress | None:
    """Write the deployment's configuration to the parameter store, for some seconds.

    Returns None once all of it is there, which the deployment's record then says, and otherwise the
    progress. Repeating it goes on. One round trip at the end, and a write. Raises DriverRefused,
    also after an hour; DriverFault.
    """
    number, environment_id = shipping["configuration"], environment["id"]
    configured = configurations.Configured(
        {name: each["value"] for name, each in made_of["variables"].items()},
        {name: each["place"] for name, each in made_of["secrets"].items()},
    )
    missing = configurations.write(environment_id, number, configured, _WRITES_FOR)
    if not missing:
        # What was purged meanwhile was removed before it was written here.
        now = content(environment, number)
        for name in configured.names.difference(now["variables"], now["secrets"]):
            configurations.forget(environment_id, [number], name)
        _record_delivered(shipping)
        return None
    passed = timestamps.now() - datetime.fromisoformat(event["started_at"])
    if passed > _WITHIN:
        raise DriverRefused(f"{missing} names of configuration {number} could not be written")
    wait = max(1, min(_LONGEST_WAIT_SECONDS, int(passed.total_seconds() / 4)))
    note = f"Configuration {number}: {missing} of {len(configured.names)} are still to be written"
    return Progress(done=False, wait_seconds=wait, note=note)


def _record_delivered(shipping: DeploymentRecord) -> None:
    """Later looks at the driver need not ask the parameter store."""
    where = deployment_records.key(ids.parse_deployment(shipping["id"]))
    change, values = table.setting({"delivered": True})
    table.write(Update(where, change, values))


def remove_unused(shipping: DeploymentRecord, environment: EnvironmentRecord) -> None:
    """Delete versions that no recent deployment names, and that are not live, for some seconds.

    One round trip, and one if something was deleted. What fails, or is not done in time, is left to
    the next deployment.
    """
    delivered = environment.get("delivered", set())
    live = {
        deployment_records.configuration_of(shipping, environment),
        environment.get("live_configuration", 0),
    }
    if delivered <= {str(number) for number in live}:
        return
    this = ids.parse_environment(environment["id"])
    query = Query(f"ENV#{this.e}", deployment_records.PREFIX, _LOOKED_AT, newest_first=True)
    _, [(newest, _)] = table.read((), query)
    named = [item["configuration"] for item in newest if "configuration" in item]
    kept = {str(number) for number in (*named[:KEPT_DEPLOYMENTS], *live)}
    until, gone = timestamps.now() + _DELETES_FOR, set()
    try:
        for number in sorted(delivered - kept, key=int):
            if not configurations.remove(environment["id"], int(number), until):
                break
            gone.add(number)
    except DriverFault:
        # What runs has what it needs, so the deployment does not fail for it.
        pass
    if gone:
        where = environment_records.key(this)
        try:
            table.write(Update(where, "DELETE delivered :gone", {"gone": gone}))
        except ConditionFailed:
            return


def forget(environment: EnvironmentRecord, name: str) -> None:
    """Delete what was delivered of a name, in all versions. Idempotent. Raises DriverFault."""
    numbers = sorted(int(number) for number in environment.get("delivered", ()))
    configurations.forget(environment["id"], numbers, name)
