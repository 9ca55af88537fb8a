"""Drivers create and remove what an environment consists of: one file here, one line in DRIVERS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from slipway.aws import secret_inputs
from slipway.domain import timestamps
from slipway.domain.deployment import LogLine
from slipway.drivers.base import RETIRES_WITHIN, Driver, Operation, Progress
from slipway.drivers.cloudformation import CloudFormation
from slipway.drivers.simulated import Simulated
from slipway.errors import DriverFault, DriverRefused

DRIVERS: dict[str, type[Driver]] = {
    "simulated": Simulated,
    "cloudformation": CloudFormation,
}

LONGEST = timedelta(hours=1)


def of(environment: Mapping[str, Any]) -> Driver:
    return DRIVERS[environment["driver"]]()


def ask(
    verb: Literal["provision", "ship", "restore", "retire"],
    environment: Mapping[str, Any],
    event: Mapping[str, Any],
    *,
    resource: str | None = None,
    version: str | None = None,
    artifact: str | None = None,
    full_update: bool = False,
) -> Progress:
    """Start the operation `verb` if it was not started, and return its progress.

    `event` is the workflow's payload: `execution`, its name, and `started_at`.
    Raises DriverRefused, also after an hour, or 90 minutes of a retirement; DriverFault. Both name
    the resource.
    """
    operation = _operation(environment, event, resource, version, artifact, full_update)
    try:
        with secret_inputs.hidden(environment):
            progress: Progress = getattr(of(environment), verb)(operation)
        longest = RETIRES_WITHIN if verb == "retire" else LONGEST
        if not progress.done and operation.now - operation.started_at > longest:
            raise DriverRefused(f"The operation took longer than {longest}")
    except DriverRefused as error:
        if resource is None:
            raise
        raise type(error)(f"{resource}: {error}", error.remains) from error
    except DriverFault as error:
        if resource is None:
            raise
        raise DriverFault(f"{resource}: {error}") from error
    return progress


def preview(environment: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """The changes that an update to this record would make. `secrets` are the new ones.

    The record's `replaced_secrets` are names of stored ones that would take the place of others.
    Returns the fields of domain.update.ChangeSet. Raises DriverFault.
    """
    from slipway.drivers import previews

    if environment["status"] == "provisioning":
        return previews.pending("The environment is provisioning")
    with secret_inputs.hidden(environment, also=True), secret_inputs.known(secrets):
        operation, names = full_operation(environment), environment.get("replaced_secrets", ())
        stored = {name: operation.secrets[name] for name in names}
        try:
            secrets = {**(secret_inputs.read(stored) if stored else {}), **secrets}
        except DriverRefused as error:
            return previews.failed(str(error))
        return previews.look(operation, secrets)


def full_operation(environment: Mapping[str, Any]) -> Operation:
    """The operation that would build the environment as this record describes it."""
    event = {"execution": environment["id"], "started_at": timestamps.written(timestamps.now())}
    version, artifact = environment.get("live_version"), environment.get("live_artifact")
    return _operation(environment, event, version=version, artifact=artifact, full_update=True)


def lines(environment: Mapping[str, Any], event: Mapping[str, Any]) -> list[LogLine]:
    """The log lines of this operation so far, oldest first.

    Raises DriverRefused, DriverFault.
    """
    with secret_inputs.hidden(environment):
        return of(environment).lines(_operation(environment, event))


def _operation(
    environment: Mapping[str, Any],
    event: Mapping[str, Any],
    resource: str | None = None,
    version: str | None = None,
    artifact: str | None = None,
    full_update: bool = False,
) -> Operation:
    return Operation(
        execution=event["execution"],
        environment_id=environment["id"],
        environment_name=environment.get("first_name") or environment["name"],
        project_name=environment.get("project_name", ""),
        owner=environment.get("created_by", ""),
        expires_at=environment.get("expires_at"),
        started_at=datetime.fromisoformat(event["started_at"]),
        now=timestamps.now(),
        resource=resource,
        version=version,
        artifact=artifact,
        config=json.loads(environment.get("config", "{}")),
        template_key=environment.get("template_key", ""),
        parameters=environment.get("parameters", ()),
        defaults=environment.get("defaults", ()),
        inputs=json.loads(environment.get("inputs", "{}")),
        secrets=secret_inputs.places(environment),
        configuration=environment.get("live_configuration", 0),
        variables=environment.get("variables", {}),
        full_update=full_update,
        stack_id=environment.get("stack_id"),
        retain=tuple(sorted(each.partition(" (")[0] for each in environment.get("retain", ()))),
    )
