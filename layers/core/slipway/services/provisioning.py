"""Provisioning as a saga: nothing is made before it is written down that it has to be unmade.

An environment's record registers each resource before its driver begins with it. Taking away,
after a failure or at the end, goes through what is registered, the last first, and strikes out
what is gone: what the record still has in the end could not be undone, and people are told.

The pattern is from Garcia-Molina and Salem, Sagas (SIGMOD 1987).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from slipway import drivers
from slipway.aws import secret_inputs
from slipway.domain import ids
from slipway.domain.environment import workflow_of
from slipway.drivers.base import Progress
from slipway.errors import DriverFault, DriverRefused
from slipway.store import environment_records, log_records


def provision(environment: Mapping[str, Any], event: Mapping[str, Any]) -> Progress:
    """Make each resource in turn, as far as that goes without waiting.

    Raises Overtaken if the environment is not to come up any more; DriverRefused, DriverFault.
    """
    made = Progress(done=True)
    for resource in drivers.of(environment).resources:
        if resource not in environment.get("resources", ()):
            environment_records.register(ids.parse_environment(environment["id"]), resource)
        progress = drivers.ask("provision", environment, event, resource=resource)
        _note(environment, progress)
        if not progress.done:
            return progress
        made = Progress(
            done=True,
            base_url=progress.base_url or made.base_url,
            outputs={**(made.outputs or {}), **(progress.outputs or {})},
        )
    return made


def retire(environment: Mapping[str, Any], event: Mapping[str, Any]) -> Progress:
    """Take each registered resource away in turn, as far as that goes without waiting.

    One that cannot be taken away does not keep the others. Raises DriverFault if trying again
    may help any of them, else DriverRefused; both say what stands in the way of each.
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
            _note(environment, progress)
            if not progress.done:
                return progress
            environment_records.strike_out(ids.parse_environment(environment["id"]), resource)
    if remains != environment.get("remains", set()):
        environment_records.what_remains(ids.parse_environment(environment["id"]), remains)
    if faults:
        raise DriverFault("; ".join(faults + refused))
    if refused:
        raise DriverRefused("; ".join(refused))
    # Also of an environment of which nothing was made yet.
    if environment.get("template"):
        secret_inputs.remove_all(environment["id"])
    return Progress(done=True)


def _note(environment: Mapping[str, Any], progress: Progress) -> None:
    """Write down which stack it is: by its name nobody finds it any more when it is gone."""
    if progress.stack_id and progress.stack_id != environment.get("stack_id"):
        identity = ids.parse_environment(environment["id"])
        actor = workflow_of(environment["status"])
        environment_records.has_stack(identity, progress.stack_id, actor)


@contextmanager
def heard(environment: Mapping[str, Any], event: Mapping[str, Any]) -> Iterator[None]:
    """What the infrastructure says meanwhile is in the environment's log, however it ends."""
    try:
        yield
    finally:
        log_records.keep(
            ids.parse_environment(environment["id"]), drivers.lines(environment, event)
        )
