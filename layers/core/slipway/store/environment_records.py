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
    from slipway.domain.records import DeploymentRecord, EnvironmentRecord

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
    if failed and item.get("resources"):
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
    now = timestamps.written(timestamps.now())
    # A teardown that failed is begun anew by retry_teardown, which numbers the attempts.
    states = sorted(comes_from(to) - {"teardown_failed"})
    since = {f"s{i}": state for i, state in enumerate(states)}
    change = Update(
        key(environment),
        "SET #status = :to, actor = :actor, updated_at = :at, version = version + :one,"
        " due = :due, due_at = :due_at",
        {
            **deadlines.by(str(environment)),
            "to": to,
            "actor": actor,
            "at": now,
            "one": 1,
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

    `also` has those that an update changes. Returns `{set, remove}`: values as an SDK
    integration takes them, and the names of the fields that have none any more. Raises TypeError
    for a value that no SDK integration takes.
    """
    fields = {f"live_{name}": deployment.get(name) for name in WHAT_IS_LIVE} | also
    return {
        "set": {name: encode_for_sdk(value) for name, value in fields.items() if value is not None},
        "remove": [name for name, value in fields.items() if value is None],
    }


def came_up(environment: EnvironmentId, outputs: Mapping[str, str]) -> None:
    """What there is to know of it now that it is as it should be; repeating changes nothing."""
    change, values = table.setting({"outputs": outputs, "base_url": outputs.get("Url")})
    table.write(Update(key(environment), change, values))


def has_stack(environment: EnvironmentId, stack_id: str) -> None:
    """Which CloudFormation stack it is; repeating changes nothing."""
    table.write(Update(key(environment), "SET stack_id = :stack_id", {"stack_id": stack_id}))


def is_in_doubt(deployment: DeploymentId) -> Update:
    """Nobody knows what this deployment has left in its environment."""
    return Update(
        key(deployment.environment),
        "SET live_in_doubt = :deployment, actor = :actor, updated_at = :at,"
        " version = version + :one",
        {
            "deployment": str(deployment),
            "actor": "reconcile",
            "at": timestamps.written(timestamps.now()),
            "one": 1,
        },
    )


def is_as_it_was(deployment: DeploymentId) -> None:
    """This deployment has left in its environment what is said to be live; repeating it changes
    nothing."""
    change = Update(
        key(deployment.environment),
        "REMOVE live_in_doubt SET actor = :actor, updated_at = :at, version = version + :one",
        {"actor": str(deployment), "at": timestamps.written(timestamps.now()), "one": 1},
        condition="attribute_exists(live_in_doubt)",
    )
    with suppress(ConditionFailed):
        table.write(change)


def record_lost_execution(item: EnvironmentRecord, outcome: str) -> bool:
    """Write down that the execution that worked on it has ended without a word; whether that was
    still to be done."""
    lost = {"error": "ExecutionLost", "reason": f"Its execution has {outcome} unrecorded"}
    environment = ids.parse_environment(item["id"])
    fields = {
        "failure": lost,
        "actor": "reconcile",
        "updated_at": timestamps.written(timestamps.now()),
        "version": item["version"] + 1,
        "operation": None,
        **deadlines.by(item["id"]),
    }
    if item["status"] == "provisioning":
        fields["status"] = "failed"
    elif not item.get("operation"):
        fields["status"] = "teardown_failed"
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
