"""Environment records: their keys, states, leases and live versions, as the table stores them."""

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
from slipway.domain.rights import default_tier
from slipway.errors import (
    StaleWrite,
)
from slipway.store import configured, deadlines, project_records, quota_records, table
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
    from slipway.domain.records import (
        Actor,
        ChangeRecord,
        DeploymentRecord,
        EnvironmentRecord,
        ProjectRecord,
    )

PREFIX = "ENV#"
# Time for expire_environment, which ends leases, before TTL deletes the lease's item.
_TTL_GRACE_SECONDS = 2
# The fields of a deployment that its environment's record keeps, with the prefix `live_`.
LIVE_FIELDS = ("version", "artifact", "order")


def key(environment: EnvironmentId) -> Key:
    """The key of the environment's record."""
    return Key(f"PROJECT#{environment.p}", PREFIX + environment.e)


def lease(environment: EnvironmentId) -> Key:
    """The key of the lease's item, which TTL deletes."""
    return Key(f"ENV#{environment.e}", "LEASE")


def lock(environment: EnvironmentId) -> Key:
    """The key of the lock that one of its deployments may hold (slipway.store.queue_records)."""
    return Key(f"ENV#{environment.e}", "LOCK")


def to_model(item: EnvironmentRecord, project: ProjectRecord | None = None) -> Environment:
    """The environment as the API returns it. Values of secret inputs are masked. By the record of
    its project it also shows what changes of that one leave pending."""
    workflow = workflow_of(item["status"])
    name = teardown_execution(item) if workflow == "retire_environment" else item["id"]
    execution = executions.execution(workflow, name)
    config = item.get("config")
    reported = item.get("failure")
    failed: Fields | None = failure.decode(reported) if reported else None
    # A running teardown deregisters resources without a new version, so the ETag would not change.
    if failed and item.get("resources") and item["status"] != "tearing_down":
        failed = {**failed, "remaining_resources": remaining(item)}
    warn_at = item["status"] in comes_from("expiring") and item.get("warn_at")
    inputs = item.get("inputs")
    hidden = dict.fromkeys(item.get("secret_inputs", ()), MASK)
    shown = {
        **item,
        "tier": item.get("tier") or default_tier(item["type"]),
        "protected": bool(item.get("protected")),
        "next_warning_at": warn_at[0] if warn_at else None,
        "config": config and json.loads(config),
        # A new environment has no configuration yet, and the model says so.
        **(configured.shown(item, project) if project or "configuration" in item else {}),
        "labels": item.get("labels") or {},
        "base_url": item.get("base_url") or None,
        "inputs": inputs and {**json.loads(inputs), **hidden},
        "failure": failed,
        "retained_resources": sorted(item.get("retain") or ()) or None,
        "execution_arn": execution.arn,
        "execution_url": execution.url,
    }
    return Environment.model_validate(shown)


def remaining(item: EnvironmentRecord) -> list[str]:
    """The registered resources, in detail if the driver has reported what remains of them."""
    remains = item.get("remains", ())
    details = {each for each in remains if each.partition(":")[0] in item["resources"]}
    return sorted(item["resources"] - {each.partition(":")[0] for each in details} | details)


def find(environment: EnvironmentId) -> EnvironmentRecord | None:
    """The record, None if there is none, without authorization: for workflows. One round trip."""
    item: EnvironmentRecord | None = table.get(key(environment))[0]
    return item


def lease_fields(ends: datetime, warn_before_hours: Iterable[float]) -> Fields:
    """The fields of an environment's record for a lease that ends at `ends`.

    `warn_before_hours` are the hours before the end at which warnings are due; those in the past
    are left out.
    """
    warn_at = warnings(ends, warn_before_hours, timestamps.now())
    return {
        "expires_at": timestamps.written(ends),
        "warn_at": [timestamps.written(moment) for moment in warn_at] or None,
    }


def next_wake(item: Mapping[str, Any]) -> str:
    """The time of the lease's next warning, or else of its end, as text; `""` without a lease."""
    warn_at = item.get("warn_at") or [item.get("expires_at") or ""]
    return str(warn_at[0])


def lease_put(environment: EnvironmentId, ends: datetime) -> Put:
    """Write the lease's item, or replace it."""
    ttl = timestamps.epoch(ends) + _TTL_GRACE_SECONDS
    item = {"environment_id": str(environment), "expires_at": timestamps.written(ends), "ttl": ttl}
    return Put(lease(environment), item, condition=None)


def move(
    environment: EnvironmentId,
    to: Status,
    actor: Actor,
    condition: str = "",
    values: Mapping[str, Any] | None = None,
) -> EnvironmentRecord:
    """Change the state, and return the new record; one round trip.

    `condition` is added to the write's condition, with its `values`. Raises StaleWrite if the
    current state does not allow the change, or if the condition is false. In a request of the API,
    which writes its audit entry as well, the record is not returned: use `moved`.
    """
    now = _now()
    # A failed teardown is retried by slipway.services.teardowns, which counts the attempts.
    states = sorted(comes_from(to) - {"teardown_failed"})
    since = {f"s{i}": state for i, state in enumerate(states)}
    change = Update(
        key(environment),
        f"{_RECORDING}, #status = :to, due = :due, due_at = :due_at",
        {
            **_recorded(record_change(to, actor, now)),
            **deadlines.due_fields(str(environment)),
            "to": to,
            **since,
            **(values or {}),
        },
        condition=f"#status IN ({', '.join(f':{word}' for word in since)})" + condition,
    )
    try:
        record: EnvironmentRecord = table.write(change)
    except ConditionFailed:
        raise StaleWrite() from None
    return record


def moved(seen: EnvironmentRecord, to: Status, actor: Actor) -> EnvironmentRecord:
    """Change the state of an environment that has not changed since it was read.

    Returns the new record. Raises StaleWrite if it has changed, or if its state does not allow the
    change. One round trip.
    """
    environment, was = ids.parse_environment(seen["id"]), seen["version"]
    now = _now()
    if seen["status"] not in comes_from(to) - {"teardown_failed"}:
        raise StaleWrite()
    fields = {
        "status": to,
        "change": record_change(to, actor, now),
        "updated_at": now,
        "version": was + 1,
        **deadlines.due_fields(seen["id"]),
    }
    expression, values = table.setting(fields)
    try:
        table.write(Update(key(environment), expression, {**values, "was": was}, "version = :was"))
    except ConditionFailed:
        raise StaleWrite() from None
    return changed(seen, fields)


_RECORDING = "SET change = :change, updated_at = :at, version = version + :one"


def _recorded(change: ChangeRecord) -> Fields:
    """The values for `_RECORDING`."""
    return {"change": change, "at": change["at"], "one": 1}


def _now() -> str:
    return timestamps.written(timestamps.now())


def register(environment: EnvironmentId, resource: str) -> None:
    """Register a resource before it is created, so that a teardown deletes it.

    Raises StaleWrite unless the environment is being provisioned. Repeating it changes nothing. One
    round trip.
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
        raise StaleWrite("The environment is being torn down") from None


# What remains is not shown then.
_IS_UNDER_WAY = "#status IN (:provisioning, :tearing_down)"
_UNDER_WAY = {"provisioning": "provisioning", "tearing_down": "tearing_down"}


def deregister(environment: EnvironmentId, resource: str) -> None:
    """Remove a resource that is deleted from the record. One round trip.

    No-op once a failure shows what remains, because that would change without a new version: a
    step that comes so late leaves it to the next attempt.
    """
    change = Update(
        key(environment),
        "DELETE resources :resource",
        {"resource": {resource}, **_UNDER_WAY},
        _IS_UNDER_WAY,
    )
    with suppress(ConditionFailed):
        table.write(change)


def record_remaining(environment: EnvironmentId, remains: set[str]) -> None:
    """Record what a teardown could not delete, each as `<resource>: <detail>`. One round trip.

    No-op if a failure shows it already, as in deregister.
    """
    change = "SET remains = :remains" if remains else "REMOVE remains"
    values = {"remains": remains} if remains else {}
    with suppress(ConditionFailed):
        table.write(Update(key(environment), change, {**values, **_UNDER_WAY}, _IS_UNDER_WAY))


def ending(item: EnvironmentRecord) -> str:
    """The message that ends the log of an environment whose teardown is done."""
    attempts, retained = item.get("teardown_attempts", 1), item.get("retain")
    left = f"; what is retained: {', '.join(sorted(retained))}" if retained else ""
    return f"Destroyed in attempt {attempts}{left}"


def with_project_name(item: EnvironmentRecord) -> EnvironmentRecord:
    """The record with the project's name, if the template has the parameter ProjectName.

    One round trip if it has.
    """
    if "ProjectName" not in item.get("parameters", ()):
        return item
    environment = ids.parse_environment(item["id"])
    return changed(item, {"project_name": project_records.name(environment.project)})


def after_rollout(deployment: DeploymentRecord, also: Fields) -> dict[str, Any]:
    """The fields that a successful rollout writes to the environment's record.

    `also` are further fields that it changes. Returns `{action, reason, set, remove}`: the
    action and reason of the event, the values to set as an SDK integration takes them, and the
    names of the fields to remove. Raises TypeError for a value that no SDK integration takes.
    """
    fields = {f"live_{name}": deployment.get(name) for name in LIVE_FIELDS} | also
    fields["live_by"] = deployment.get("made_by")
    if "configuration" in deployment:
        fields["live_configuration"] = deployment["configuration"]
    if deployment.get("order") is None:
        # It says nothing about the order of versions, so the last number stays.
        del fields["live_order"]
    template = also.get("template")
    action: Action = "deployed"
    reason = f"{deployment.get('version') or template or 'nothing'} is live"
    if template and deployment.get("kind") == "update":
        action, reason = "updated", f"{template} is in place"
    return {
        "action": action,
        "reason": reason,
        "set": {name: encode_for_sdk(value) for name, value in fields.items() if value is not None},
        "remove": [name for name, value in fields.items() if value is None],
    }


def record_outputs(item: EnvironmentRecord, outputs: Mapping[str, str], actor: str) -> None:
    """Record the stack's outputs if they have changed; at most one round trip."""
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


def record_stack(environment: EnvironmentId, stack_id: str, actor: str) -> None:
    """Record the id of the environment's stack, if it has changed. One round trip."""
    change = Update(
        key(environment),
        f"{_RECORDING}, stack_id = :stack_id",
        {**_recorded(record_change("stack_known", actor, _now())), "stack_id": stack_id},
        condition="attribute_exists(pk)"
        " AND (attribute_not_exists(stack_id) OR stack_id <> :stack_id)",
    )
    with suppress(ConditionFailed):
        table.write(change)


def mark_in_doubt(deployment: DeploymentId) -> Update:
    """Record that the live version is unknown, because this deployment may have changed it."""
    reason = f"{deployment} could not be taken back"
    return Update(
        key(deployment.environment),
        f"{_RECORDING}, live_in_doubt = :deployment",
        {
            **_recorded(record_change("live_in_doubt", "reconcile", _now(), reason)),
            "deployment": str(deployment),
        },
    )


def clear_doubt(deployment: DeploymentId, live: str | None) -> None:
    """Record that the live version, `live`, is certain again after this deployment was undone.

    Repeating it changes nothing. One round trip.
    """
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
    """Record that the environment's execution ended with `outcome` and recorded nothing.

    Returns False if the record has changed meanwhile. One round trip.
    """
    lost = {"error": "ExecutionLost", "reason": f"Its execution has {outcome} unrecorded"}
    environment, now = ids.parse_environment(item["id"]), _now()
    action: Action = "released"
    if item["status"] == "provisioning":
        action = "failed"
    elif not item.get("operation"):
        action = "teardown_failed"
    reason = lost["reason"] if action == "released" else None
    fields = {
        "status": item["status"] if action == "released" else action,
        "failure": lost,
        "change": record_change(action, "reconcile", now, reason),
        "updated_at": now,
        "version": item["version"] + 1,
        "operation": None,
        **deadlines.due_fields(item["id"]),
    }
    expression, values = table.setting(fields)
    values["was"] = item["version"]
    try:
        table.write(Update(key(environment), expression, values, condition="version = :was"))
    except ConditionFailed:
        return False
    return True


def teardown_execution(item: EnvironmentRecord) -> str:
    """The name of the execution that tears the environment down. Each attempt has its own."""
    attempts = item.get("teardown_attempts", 1)
    return item["id"] if attempts == 1 else f"{item['id']}-{attempts}"


def expiry_execution(item: EnvironmentRecord) -> str:
    """The name of the execution that warns of the lease's end and expires it.

    A lease gets another execution when it starts again after a pin, and when it has to wake earlier
    than the running execution would.
    """
    return item["id"] if item["lease"] == 1 else f"{item['id']}-{item['lease']}"


def execution_input(item: EnvironmentRecord) -> dict[str, Any]:
    """The input of an execution about the environment.

    It has ids and keys, the number of the lease's execution, the time of the lease's next warning
    or end (`""` for never), and the number of the teardown's attempt.
    """
    # Imported here, because only dispatch needs it.
    from slipway.store import log_records

    environment = ids.parse_environment(item["id"])
    slots = quota_records.held(quota_records.ENVIRONMENT, item)
    keys = {
        "environment": key(environment),
        "lease": lease(environment),
        "lock": lock(environment),
        "name": project_records.environment_name(environment.project, item["name"]),
        "project": project_records.key(environment.project),
        "user_slot": slots.get("user", quota_records.no_slot(item["id"])),
        # Without an external id, this is the key of an item that does not exist.
        "external": project_records.external_id(
            environment.project, str(item.get("external_id") or item["id"])
        ),
    }
    return {
        "environment_id": item["id"],
        "lease": item.get("lease", 0),
        "wakes_at": next_wake(item),
        "attempt": item.get("teardown_attempts", 1),
        "keys": {name: each.wire() for name, each in keys.items()},
        "log": {"pk": f"ENV#{environment.e}", "sk": log_records.PREFIX},
    }
