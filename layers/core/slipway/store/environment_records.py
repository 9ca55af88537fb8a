"""Environments: their records. Leases are in store/leases.py, their end in store/teardowns.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from slipway.aws import executions
from slipway.domain import failure, ids, timestamps
from slipway.domain.environment import (
    MASK,
    Environment,
    Status,
    comes_from,
    warnings,
    workflow_of,
)
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.domain.records import change as record_change
from slipway.domain.records import changed
from slipway.errors import (
    Overtaken,
)
from slipway.store import deadlines, project_records, table
from slipway.store.table import (
    ConditionFailed,
    Fields,
    Key,
    Put,
    Update,
)
from slipway.store.wire import encode_for_sdk

if TYPE_CHECKING:
    from slipway.domain.events import Action
    from slipway.domain.records import ChangeRecord, DeploymentRecord, EnvironmentRecord

PREFIX = "ENV#"
# TTL is the second killer, so it leaves the first a little time.
_TTL_GRACE_SECONDS = 2
# What the record says of the live version, each as `live_…`.
WHAT_IS_LIVE = ("version", "artifact", "order")


def key(environment: EnvironmentId) -> Key:
    return Key(f"PROJECT#{environment.p}", PREFIX + environment.e)


def lease(environment: EnvironmentId) -> Key:
    return Key(f"ENV#{environment.e}", "LEASE")


def read(item: EnvironmentRecord) -> Environment:
    workflow = workflow_of(item["status"])
    name = teardown(item) if workflow == "retire_environment" else item["id"]
    arn = executions.execution_arn(workflow, name)
    config = item.get("config")
    reported = item.get("failure")
    failed: Fields | None = failure.decode(reported) if reported else None
    # A teardown that is under way removes one after the other, which is no change of its own.
    if failed and item.get("resources") and item["status"] != "tearing_down":
        failed = {**failed, "remaining_resources": _remaining(item)}
    warn_at = item["status"] in comes_from("expiring") and item.get("warn_at")
    inputs = item.get("inputs")
    hidden = dict.fromkeys(item.get("secret_inputs", ()), MASK)
    shown = {
        **item,
        "next_warning_at": warn_at[0] if warn_at else None,
        "config": config and json.loads(config),
        "base_url": item.get("base_url") or None,
        "inputs": inputs and {**json.loads(inputs), **hidden},
        "failure": failed,
        "retained_resources": sorted(item.get("retain") or ()) or None,
        "execution_arn": arn,
        "execution_url": executions.execution_url(arn),
    }
    return Environment.model_validate(shown)


def _remaining(item: EnvironmentRecord) -> list[str]:
    """What the record still has, in detail where the driver told."""
    told = [each for each in item.get("remains", ()) if each.partition(":")[0] in item["resources"]]
    return sorted(item["resources"] - {each.partition(":")[0] for each in told} | set(told))


def find(environment: EnvironmentId) -> EnvironmentRecord | None:
    """The whole record, for the workflows: they ask for nobody's permission."""
    item: EnvironmentRecord | None = table.get(key(environment))[0]
    return item


def lasting_until(ends: datetime, warn_before_hours: Iterable[float]) -> Fields:
    """A record's fields for a lease that ends then: also when that is warned of."""
    warn_at = warnings(ends, warn_before_hours, timestamps.now())
    return {
        "expires_at": timestamps.written(ends),
        "warn_at": [timestamps.written(moment) for moment in warn_at] or None,
    }


def wakes_at(item: Mapping[str, Any]) -> str:
    """When something is next to be done about the lease, a warning or its end; `""` for never."""
    warn_at = item.get("warn_at") or [item.get("expires_at") or ""]
    return str(warn_at[0])


def put_lease(environment: EnvironmentId, ends: datetime) -> Put:
    """The lease's item, new or in the place of the one before."""
    ttl = timestamps.epoch(ends) + _TTL_GRACE_SECONDS
    item = {"environment_id": str(environment), "expires_at": timestamps.written(ends), "ttl": ttl}
    return Put(lease(environment), item, condition=None)


def move(
    environment: EnvironmentId,
    to: Status,
    actor: str,
    condition: str = "",
    values: Mapping[str, Any] | None = None,
) -> EnvironmentRecord:
    """Change the state, if the present one allows it; raises Overtaken if it does not."""
    now = _now()
    # A teardown that failed is begun anew by retry_teardown, which numbers the attempts.
    states = sorted(comes_from(to) - {"teardown_failed"})
    since = {f"s{i}": state for i, state in enumerate(states)}
    change = Update(
        key(environment),
        f"{_RECORDING}, #status = :to, due = :due, due_at = :due_at",
        {
            **_recorded(record_change(to, actor, now)),
            **deadlines.by(str(environment)),
            "to": to,
            **since,
            **(values or {}),
        },
        condition=f"#status IN ({', '.join(f':{word}' for word in since)})" + condition,
    )
    try:
        record: EnvironmentRecord = table.write(change)
    except ConditionFailed:
        raise Overtaken() from None
    return record


_RECORDING = "SET change = :change, updated_at = :at, version = version + :one"


def _recorded(change: ChangeRecord) -> Fields:
    """The values that `_RECORDING` needs."""
    return {"change": change, "at": change["at"], "one": 1}


def _now() -> str:
    return timestamps.written(timestamps.now())


def register(environment: EnvironmentId, resource: str) -> None:
    """Write down, before it is made, that the resource has to be taken away again.

    Only while provisioning has its hands on the environment; raises Overtaken else. Repeating it
    changes nothing, and neither does repeating the following.
    """
    change = Update(
        key(environment),
        "ADD resources :resource",
        {"resource": {resource}, "provisioning": "provisioning"},
        condition="#status = :provisioning AND attribute_exists(operation)",
    )
    try:
        table.write(change)
    except ConditionFailed:
        raise Overtaken("The environment is being torn down") from None


def strike_out(environment: EnvironmentId, resource: str) -> None:
    """The resource is gone."""
    table.write(Update(key(environment), "DELETE resources :resource", {"resource": {resource}}))


def what_remains(environment: EnvironmentId, remains: set[str]) -> None:
    """What is left of what could not be taken away, `<resource>: <what>` each."""
    change = "SET remains = :remains" if remains else "REMOVE remains"
    table.write(Update(key(environment), change, {"remains": remains} if remains else {}))


def with_project_name(item: EnvironmentRecord) -> EnvironmentRecord:
    """The record as a driver needs it to make the environment; one round trip if it wants that."""
    if "ProjectName" not in item.get("parameters", ()):
        return item
    environment = ids.parse_environment(item["id"])
    return changed(item, {"project_name": project_records.name(environment.project)})


def after_rollout(deployment: DeploymentRecord, also: Fields) -> dict[str, Any]:
    """The fields that a successful rollout writes to the environment's record.

    `also` has those that an update changes. Returns `{action, reason, set, remove}`: what its
    event says, values as an SDK integration takes them, and the names of the fields that have
    none any more. Raises TypeError for a value that no SDK integration takes.
    """
    fields = {f"live_{name}": deployment.get(name) for name in WHAT_IS_LIVE} | also
    template = also.get("template")
    action: Action = "updated" if template else "deployed"
    reason = f"{template} is in place" if template else f"{deployment.get('version')} is live"
    return {
        "action": action,
        "reason": reason,
        "set": {name: encode_for_sdk(value) for name, value in fields.items() if value is not None},
        "remove": [name for name, value in fields.items() if value is None],
    }


def came_up(item: EnvironmentRecord, outputs: Mapping[str, str], actor: str) -> None:
    """Record the outputs of its stack, if they have changed since `item` was read."""
    if outputs == item.get("outputs", {}):
        return
    reason = f"outputs: {', '.join(sorted(outputs)) or 'none'}"
    address = outputs.get("Url")
    change = Update(
        key(ids.parse_environment(item["id"])),
        f"{_RECORDING}, outputs = :outputs"
        + (", base_url = :base_url" if address else " REMOVE base_url"),
        {
            **_recorded(record_change("outputs_changed", actor, _now(), reason)),
            "outputs": outputs,
            **({"base_url": address} if address else {}),
        },
        condition="attribute_exists(pk) AND (attribute_not_exists(outputs) OR outputs <> :outputs)",
    )
    with suppress(ConditionFailed):
        table.write(change)


def has_stack(environment: EnvironmentId, stack_id: str, actor: str) -> None:
    """Record which CloudFormation stack it is, if that is not known yet."""
    change = Update(
        key(environment),
        f"{_RECORDING}, stack_id = :stack_id",
        {**_recorded(record_change("stack_known", actor, _now())), "stack_id": stack_id},
        condition="attribute_exists(pk)"
        " AND (attribute_not_exists(stack_id) OR stack_id <> :stack_id)",
    )
    with suppress(ConditionFailed):
        table.write(change)


def is_in_doubt(deployment: DeploymentId) -> Update:
    """Nobody knows what this deployment has left in its environment."""
    reason = f"{deployment} could not be taken back"
    return Update(
        key(deployment.environment),
        f"{_RECORDING}, live_in_doubt = :deployment",
        {
            **_recorded(record_change("live_in_doubt", "reconcile", _now(), reason)),
            "deployment": str(deployment),
        },
    )


def is_as_it_was(deployment: DeploymentId, live: str | None) -> None:
    """This deployment has left in its environment what is said to be live, the version `live`;
    repeating it changes nothing."""
    reason = f"{live or 'nothing'} is live again"
    change = Update(
        key(deployment.environment),
        f"{_RECORDING} REMOVE live_in_doubt",
        _recorded(record_change("restored", str(deployment), _now(), reason)),
        condition="attribute_exists(live_in_doubt)",
    )
    with suppress(ConditionFailed):
        table.write(change)


def record_lost_execution(item: EnvironmentRecord, outcome: str) -> bool:
    """Write down that the execution that worked on it has ended without a word; whether that was
    still to be done."""
    lost = {"error": "ExecutionLost", "reason": f"Its execution has {outcome} unrecorded"}
    environment, now = ids.parse_environment(item["id"]), _now()
    action: Action = "let_go"
    if item["status"] == "provisioning":
        action = "failed"
    elif not item.get("operation"):
        action = "teardown_failed"
    reason = lost["reason"] if action == "let_go" else None
    fields = {
        "status": item["status"] if action == "let_go" else action,
        "failure": lost,
        "change": record_change(action, "reconcile", now, reason),
        "updated_at": now,
        "version": item["version"] + 1,
        "operation": None,
        **deadlines.by(item["id"]),
    }
    expression, values = table.setting(fields)
    still = {**values, "was": item["version"]}
    try:
        table.write(Update(key(environment), expression, still, condition="version = :was"))
    except ConditionFailed:
        return False
    return True


def teardown(item: EnvironmentRecord) -> str:
    """The name of the execution that tears it down: one for each attempt."""
    attempts = item.get("teardown_attempts", 1)
    return item["id"] if attempts == 1 else f"{item['id']}-{attempts}"


def expiry(item: EnvironmentRecord) -> str:
    """The name of the execution that sees to this lease: another one each time that it begins to
    run, and when it is to wake before the one before would."""
    return item["id"] if item["lease"] == 1 else f"{item['id']}-{item['lease']}"


def carried(item: EnvironmentRecord) -> dict[str, Any]:
    """What an execution about this environment is given: ids, keys, which time of its lease this
    is and when that next needs it (`""` for never), and which attempt to tear it down this is."""
    environment = ids.parse_environment(item["id"])
    keys = {
        "environment": key(environment),
        "lease": lease(environment),
        "name": project_records.environment_name(environment.project, item["name"]),
        "project": project_records.key(environment.project),
        # Of one without an external id nothing is there to be let go of.
        "external": project_records.external_id(
            environment.project, str(item.get("external_id") or item["id"])
        ),
    }
    return {
        "environment_id": item["id"],
        "lease": item.get("lease", 0),
        "wakes_at": wakes_at(item),
        "attempt": item.get("teardown_attempts", 1),
        "keys": {name: each.wire() for name, each in keys.items()},
    }
