"""Provisioning as a saga: a resource is registered before it is created.

An environment's record registers each resource before the driver starts to create it. A teardown
deletes the registered resources, the last first, and deregisters each one that is gone. Resources
that are still registered after a teardown could not be deleted, and the API shows them.

The pattern is from Garcia-Molina and Salem, Sagas (SIGMOD 1987).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from slipway import drivers
from slipway.aws import secret_inputs
from slipway.domain import ids, timestamps
from slipway.domain.deployment import LogLine
from slipway.domain.environment import workflow_of
from slipway.drivers.base import Progress
from slipway.errors import DriverFault, DriverRefused
from slipway.store import environment_records, log_records

# The step has 25 seconds.
_DELETES_FOR = timedelta(seconds=10)


def provision(environment: Mapping[str, Any], event: Mapping[str, Any]) -> Progress:
    """Create the resources in order, until one of them needs time.

    `environment` is the record, `event` the input of the workflow's step. Returns the progress:
    `done` with the outputs, or the progress of the resource that needs time. Raises StaleWrite if
    the environment is being torn down; DriverRefused, DriverFault.
    """
    total = Progress(done=True)
    for resource in drivers.of(environment).resources:
        if resource not in environment.get("resources", ()):
            environment_records.register(ids.parse_environment(environment["id"]), resource)
        progress = drivers.ask("provision", environment, event, resource=resource)
        _record_stack(environment, progress)
        if not progress.done:
            return progress
        total = Progress(
            done=True,
            base_url=progress.base_url or total.base_url,
            outputs={**(total.outputs or {}), **(progress.outputs or {})},
        )
    return total


def retire(
    environment: Mapping[str, Any], event: Mapping[str, Any], notes: list[str] | None = None
) -> Progress:
    """Delete the registered resources in reverse order, until one of them needs time.

    What is to be logged goes to `notes`. A resource that cannot be deleted does not stop the
    others. Raises DriverFault if a retry may help for any of them, otherwise DriverRefused; both
    name the cause for each resource.
    """
    refused: list[str] = []
    faults: list[str] = []
    remains: set[str] = set()
    for resource in reversed(drivers.of(environment).resources):
        if resource not in environment.get("resources", ()):
            continue
        try:
            progress = drivers.ask("retire", environment, event, resource=resource)
        except DriverRefused as error:
            remains |= {f"{resource}: {each}" for each in error.remains}
            refused.append(str(error))
        except DriverFault as error:
            faults.append(str(error))
        else:
            _record_stack(environment, progress)
            if progress.note and notes is not None:
                notes.append(progress.note)
            if not progress.done:
                return progress
            environment_records.deregister(ids.parse_environment(environment["id"]), resource)
    if remains != environment.get("remains", set()):
        environment_records.record_remaining(ids.parse_environment(environment["id"]), remains)
    if faults:
        raise DriverFault("; ".join(faults + refused))
    if refused:
        raise DriverRefused("; ".join(refused))
    return _forgotten(environment)


def _forgotten(environment: Mapping[str, Any]) -> Progress:
    """Delete the environment's secrets and configurations from the parameter store, for some
    seconds. They may be stored even if no resource was created. Raises DriverFault."""
    configured = environment.get("configuration") or environment.get("delivered")
    if environment.get("template") or configured:
        secret_inputs.remove_all(environment["id"])
    if configured:
        # Imported here, because not every environment has one.
        from slipway.aws import configurations

        until = timestamps.now() + _DELETES_FOR
        if not configurations.remove_all(environment["id"], until):
            return Progress(done=False, wait_seconds=1)
    return Progress(done=True)


def _record_stack(environment: Mapping[str, Any], progress: Progress) -> None:
    """Record the stack's id, because a deleted stack cannot be found by its name."""
    if progress.stack_id and progress.stack_id != environment.get("stack_id"):
        identity = ids.parse_environment(environment["id"])
        actor = workflow_of(environment["status"])
        environment_records.record_stack(identity, progress.stack_id, actor)


@contextmanager
def recording_logs(environment: Mapping[str, Any], event: Mapping[str, Any]) -> Iterator[list[str]]:
    """Add what the infrastructure reports to the environment's log, also if the block raises.

    Then come the notes that the block appends to the list. Secrets are masked in the log, and in
    all that AWS says during the block.
    """
    # A failed update may have left its secrets in what a teardown reports.
    going = environment["status"] != "provisioning"
    with secret_inputs.hidden(environment, also=going):
        identity, notes = ids.parse_environment(environment["id"]), list[str]()
        try:
            yield notes
        finally:
            log_records.keep(identity, drivers.lines(environment, event))
            # Separately, because these have no fixed place among those.
            at = timestamps.now()
            told = [LogLine(ts=at, step="retire", level="info", message=each) for each in notes]
            log_records.keep(identity, told)
