"""Plans: the change set that would create an environment. It is never executed.

Only the plans function does this, and it may write no records but their clean-up records.

CloudFormation keeps a change set that creates a stack in a stack under review, which has to be
deleted. The stack of a plan is named after a digest of the request, so repeating the request finds
it. The request that reads the final state deletes the stack.

A clean-up record is written before the stack is created, in case the process dies or the client
does not ask again: reconcile deletes the stack after an hour. The change set's description names
its clean-up record, so no request removes the record of another attempt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from slipway import drivers
from slipway.aws import secret_inputs
from slipway.domain import ids
from slipway.drivers import previews, stacks
from slipway.drivers.base import Operation
from slipway.errors import DriverFault, DriverRefused
from slipway.services import cleanup
from slipway.store import table

if TYPE_CHECKING:
    from slipway.domain.records import EnvironmentRecord

_CHANGE_SET = "plan"
_ABOUT = "A plan; not to be executed. Its note is "


def preview(would_be: EnvironmentRecord, secrets: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a slipway.domain.update.ChangeSet that would create the environment.

    The first call creates the change set; repeat the call for progress. Raises DriverFault. One
    round trip to the table when the change set is created, and one when it has ended.
    """
    with secret_inputs.known(secrets):
        return _preview(would_be, secrets)


def _preview(would_be: EnvironmentRecord, secrets: Mapping[str, str]) -> dict[str, Any]:
    operation = drivers.full_operation(would_be)
    name = stacks.plan_name(_digest(operation, would_be["project_id"]))
    where = {"StackName": name, "ChangeSetName": _CHANGE_SET}
    found = previews.find(where)
    if found is None:
        try:
            _create(where, operation, secrets)
        except DriverRefused as error:
            with stacks.looking():
                stack = stacks.named(name)
            # The stack of an earlier plan may still be being deleted.
            deleting = stack is not None and stacks.is_busy(stack)
            return previews.pending(None) if deleting else previews.failed(str(error))
        found = previews.find(where)
    change_set = previews.shown(found)
    if found and change_set["status"] != "pending":
        _delete(found["StackId"], name, found.get("Description", "").removeprefix(_ABOUT))
    return change_set


def _digest(operation: Operation, project_id: str) -> str:
    """A digest of the request: of its secrets only the names, and not the lease."""
    request = [
        project_id,
        operation.environment_name,
        operation.project_name,
        operation.template_key,
        operation.inputs,
        sorted(operation.secrets),
    ]
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:40]


def _create(where: Mapping[str, str], operation: Operation, secrets: Mapping[str, str]) -> None:
    """Create the change set and its stack.

    Raises DriverRefused, after which there is no stack; DriverFault.
    """
    name, note = where["StackName"], ids.new_part()
    table.write(cleanup.plan_may_be_orphaned(name, note))
    try:
        previews.make(where, operation, secrets, "CREATE", _ABOUT + note)
    except DriverRefused:
        _delete(name, name, note)
        raise


def _delete(stack: str, name: str, note: str) -> None:
    """Delete the plan's stack and its clean-up record, which stays if the deletion fails."""
    with suppress(DriverFault, DriverRefused):
        stacks.delete_plan(stack)
        table.write(cleanup.plan_deleted(name, note))
