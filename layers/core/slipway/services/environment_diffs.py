"""How two environments differ. Only the inspection function may look at stacks, so it compares."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain.environment import MASK
from slipway.domain.environment_diff import (
    DiffInput,
    DiffResource,
    DiffSide,
    DiffVariable,
    EnvironmentDiff,
)
from slipway.domain.ids import EnvironmentId
from slipway.services import configuration
from slipway.store import table

if TYPE_CHECKING:
    from slipway.domain.configuration import Content
    from slipway.domain.records import EnvironmentRecord
    from slipway.store.table import Key

_DRIFT = {
    "NOT_CHECKED": "not_checked",
    "IN_SYNC": "in_sync",
    "DRIFTED": "drifted",
    "UNKNOWN": "failed",
}


def compare(a: EnvironmentId, b: EnvironmentId, principal: Principal) -> EnvironmentDiff:
    """How `b` differs from `a`.

    Raises NotFound, Busy, DriverFault. One round trip to the table; for each stack one to
    CloudFormation, and its pages of resources.
    """
    keys = {each: authorization.keys(each, principal) for each in (a, b)}
    where = {each: configuration.keys(each) for each in (a, b)}
    wanted = dict.fromkeys(key for some in (*keys.values(), *where.values()) for key in some)
    found: dict[Key, Any] = dict(zip(wanted, table.get(*wanted), strict=True))
    records = [
        authorization.authorized(each, principal, [found[key] for key in keys[each]])
        for each in (a, b)
    ]
    contents = [
        configuration.levels(record, [found[key] for key in where[each]]).merged()
        for each, record in zip((a, b), records, strict=True)
    ]
    (one, of_one), (other, of_other) = (_side(record) for record in records)
    differs = {
        "inputs": _inputs(*records),
        "variables": _variables(*contents),
        "resources": _resources(of_one, of_other),
    }
    names = [n for n in ("version", "artifact", "template") if getattr(one, n) != getattr(other, n)]
    names += [name for name, value in differs.items() if value]
    return EnvironmentDiff.model_validate({"a": one, "b": other, "differs": names, **differs})


def _side(record: EnvironmentRecord) -> tuple[DiffSide, dict[str, str]]:
    """The environment, and the types of its resources by their logical ids."""
    side: dict[str, Any] = {
        "environment_id": record["id"],
        "name": record["name"],
        "version": record.get("live_version"),
        "artifact": record.get("live_artifact"),
        "template": record.get("template"),
        "in_doubt": "live_in_doubt" in record,
    }
    if record["driver"] != "cloudformation":
        return DiffSide.model_validate(side), {}
    # Imported here, because a simulated environment has no stack.
    from slipway.aws import secret_inputs
    from slipway.drivers import stacks

    with stacks.looking(), secret_inputs.hidden(record, also=True):
        stack = stacks.find(record["id"])
        found = stacks.resources(record["id"]) if stack else []
    if stack:
        drift = stack.get("DriftInformation", {"StackDriftStatus": "NOT_CHECKED"})
        side["drift"] = _DRIFT[drift["StackDriftStatus"]]
        side["drift_checked_at"] = drift.get("LastCheckTimestamp")
    return DiffSide.model_validate(side), {each["logical_id"]: each["type"] for each in found}


def _inputs(one: EnvironmentRecord, other: EnvironmentRecord) -> dict[str, DiffInput]:
    a, b = _shown(one), _shown(other)
    differs = {name: _differ(a.get(name), b.get(name)) for name in sorted({*a, *b})}
    return {
        name: DiffInput(a=a.get(name), b=b.get(name), differs=each)
        for name, each in differs.items()
        if each is not False
    }


def _differ(a: str | None, b: str | None) -> bool | None:
    return None if a == b == MASK else a != b


def _shown(record: EnvironmentRecord) -> dict[str, str]:
    held = json.loads(record.get("inputs") or "{}")
    return {**held, **dict.fromkeys(record.get("secret_inputs", ()), MASK)}


def _variables(one: Content, other: Content) -> dict[str, DiffVariable]:
    a, b = _values(one), _values(other)
    found = {}
    for name in sorted({*a, *b}):
        if a.get(name) == b.get(name):
            continue
        kinds = {"a": a.get(name, (None,))[0], "b": b.get(name, (None,))[0]}
        differs = None if set(kinds.values()) == {"secret"} else True
        found[name] = DiffVariable.model_validate({**kinds, "differs": differs})
    return found


def _values(content: Content) -> dict[str, tuple[str, str]]:
    """The kind of each name, with its value or, for a secret, the place of it."""
    variables = {name: ("variable", each["value"]) for name, each in content["variables"].items()}
    secrets = {name: ("secret", each["place"]) for name, each in content["secrets"].items()}
    return {**variables, **secrets}


def _resources(a: dict[str, str], b: dict[str, str]) -> dict[str, DiffResource]:
    return {
        name: DiffResource(a=a.get(name), b=b.get(name))
        for name in sorted({*a, *b})
        if a.get(name) != b.get(name)
    }
