"""What CloudFormation would make of an environment that there is not: a change set, never executed.

CloudFormation makes a stack for it, under review, which somebody has to delete. So it is a stack
of its own, named after what is asked: asking again finds it, and whoever is told how it ended
deletes it. A note of it is written before, for whoever dies in between or never asks again:
reconcile deletes what it names an hour later. The change set says which note is its own, so nobody
takes away another's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from slipway import drivers
from slipway.domain import ids
from slipway.domain.records import EnvironmentRecord
from slipway.drivers import previews, stacks
from slipway.drivers.base import Operation
from slipway.errors import DriverFault, DriverRefused
from slipway.services import cleanup
from slipway.store import table

_CHANGE_SET = "plan"
_ABOUT = "A plan; not to be executed. Its note is "


def look(would_be: EnvironmentRecord, secrets: Mapping[str, str]) -> dict[str, Any]:
    """How far the change set is that would make this record, and what is in it; the first call
    makes it. As model.update.ChangeSet has it.

    Raises DriverFault. One write to make it, and one when it has ended.
    """
    operation = drivers.made_anew(would_be)
    name = stacks.plan_name(_digest(operation, would_be["project_id"]))
    where = {"StackName": name, "ChangeSetName": _CHANGE_SET}
    found = previews.find(where)
    if found is None:
        try:
            _make(where, operation, secrets)
        except DriverRefused as error:
            with stacks.looking():
                stack = stacks.named(name)
            # The one before is perhaps still being deleted.
            goes = stack is not None and stacks.is_busy(stack)
            return previews.pending(None) if goes else previews.failed(str(error))
        found = previews.find(where)
    told = previews.shown(found)
    if found and told["status"] != "pending":
        _delete(found["StackId"], name, found.get("Description", "").removeprefix(_ABOUT))
    return told


def _digest(operation: Operation, project_id: str) -> str:
    """Of what is asked: of secrets only which there are, and not when it would end."""
    about = [
        project_id,
        operation.environment_name,
        operation.project_name,
        operation.template_key,
        operation.inputs,
        sorted(operation.secrets),
    ]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:40]


def _make(where: Mapping[str, str], operation: Operation, secrets: Mapping[str, str]) -> None:
    """Raises DriverRefused, and then there is nothing; DriverFault."""
    name, note = where["StackName"], ids.new_part()
    table.write(cleanup.plan_may_be_orphaned(name, note))
    try:
        previews.make(where, operation, secrets, "CREATE", _ABOUT + note)
    except DriverRefused:
        _delete(name, name, note)
        raise


def _delete(stack: str, name: str, note: str) -> None:
    """If it cannot be deleted now, the note is still there."""
    with suppress(DriverFault, DriverRefused):
        stacks.delete_plan(stack)
        table.write(cleanup.plan_deleted(name, note))
