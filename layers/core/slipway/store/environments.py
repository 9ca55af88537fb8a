"""Environments: their records. Leases are in store/leases.py, their end in store/teardowns.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway import ids, workflows
from slipway.errors import (
    Busy,
    ExternalIdTaken,
    FieldError,
    Invalid,
    NameTaken,
    NotFound,
    Overtaken,
    ProjectGoing,
    Refused,
)
from slipway.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.model import moments
from slipway.model.environment import (
    DEFAULT_TTL_HOURS,
    MASK,
    Environment,
    NewEnvironment,
    Status,
    comes_from,
    warnings,
    workflow_of,
)
from slipway.model.paging import Page, Paging
from slipway.settings import settings
from slipway.store import due, marks, projects, table
from slipway.store.table import (
    ConditionFailed,
    Found,
    Item,
    Key,
    Put,
    Transaction,
    TransactionFailed,
    Update,
)
from slipway.store.wire import encode_value

if TYPE_CHECKING:
    from slipway.model.plan import Plan
    from slipway.model.template import TemplateVersion

_PREFIX = "ENV#"
# TTL is the second killer, so it leaves the first a little time.
_TTL_GRACE_SECONDS = 2
_ENSURE_TRIES = 3


def key(environment: EnvironmentId) -> Key:
    return Key(f"PROJECT#{environment.p}", _PREFIX + environment.e)


def lease(environment: EnvironmentId) -> Key:
    return Key(f"ENV#{environment.e}", "LEASE")


def read(item: Item) -> Environment:
    workflow = workflow_of(item["status"])
    name = teardown(item) if workflow == "retire_environment" else item["id"]
    arn = workflows.execution_arn(workflow, name)
    config = item.get("config")
    failure = item.get("failure")
    if failure and "resources" in item:
        failure = {**failure, "remaining_resources": _remaining(item)}
    warn_at = item["status"] in comes_from("expiring") and item.get("warn_at")
    inputs = item.get("inputs")
    hidden = dict.fromkeys(item.get("secret_inputs", ()), MASK)
    shown = {
        **item,
        "next_warning_at": warn_at[0] if warn_at else None,
        "config": config and json.loads(config),
        "base_url": item.get("base_url") or None,
        "inputs": inputs and {**json.loads(inputs), **hidden},
        "failure": failure,
        "retained_resources": sorted(item.get("retain") or ()) or None,
        "execution_arn": arn,
        "execution_url": workflows.execution_url(arn),
    }
    return Environment.model_validate(shown)


def _remaining(item: Item) -> list[str]:
    """What the record still has, in detail where the driver told."""
    told = [each for each in item.get("remains", ()) if each.partition(":")[0] in item["resources"]]
    return sorted(item["resources"] - {each.partition(":")[0] for each in told} | set(told))


def get(environment: EnvironmentId, user_id: str) -> Environment:
    """Raises NotFound, also for somebody else's environment."""
    return read(authorised(environment, user_id)).as_seen_at(moments.now())


def authorised(environment: EnvironmentId, user_id: str) -> Item:
    """The whole record, for a member of its project. Raises NotFound."""
    return allowed(*table.get(*access(environment, user_id)))


def access(environment: EnvironmentId, user_id: str) -> tuple[Key, Key]:
    """What says whether the user may see the environment, and its record; for `allowed`."""
    return projects.member(environment.project, user_id), key(environment)


def allowed(membership: Item | None, item: Item | None) -> Item:
    """The whole record, for a member of its project. Raises NotFound."""
    if not (membership and item):
        raise NotFound("No such environment")
    return item


def find(environment: EnvironmentId) -> Item | None:
    """The whole record, for the workflows: they ask for nobody's permission."""
    return table.get(key(environment))[0]


def of(project: ProjectId, user_id: str, paging: Paging) -> Page[Environment]:
    """The project's environments, newest first. Raises NotFound."""
    found, items, last = table.page(
        projects.access(project, user_id), f"PROJECT#{project.p}", _PREFIX, paging
    )
    projects.allowed(*found)
    now = moments.now()
    return Page([read(item).as_seen_at(now) for item in items], last)


class _Before(NamedTuple):
    """What was read before an environment is made; `versions` if it is made from a template."""

    project: ProjectId
    its_record: Item
    versions: list[Found]


@dataclass(frozen=True)
class _Draft:
    """An environment that could be made: its record, and what else its transaction writes."""

    item: Item
    parts: Mapping[str, table.Action]
    ends: datetime | None
    most_hours: float
    version: TemplateVersion | None
    secrets: Mapping[str, str]


def add(project: ProjectId, wanted: NewEnvironment, user_id: str) -> Environment:
    """Raises NotFound, Invalid, NameTaken, ExternalIdTaken, ProjectGoing, DriverFault.

    What is written here is all that provisioning, expiry and teardown need: the table's stream
    starts them. Two round trips; with secrets one for the note of them, and one for each.
    """
    # The mark is read along: secrets are written before the transaction would lose on it.
    before, mark = _look(project, wanted, user_id, *marks.keys())
    marks.look(*mark)
    return _add(before, wanted, user_id)


def _look(
    project: ProjectId, wanted: NewEnvironment, user_id: str, *more: Key
) -> tuple[_Before, list[Item | None]]:
    """What has to be known to make it, and the items at more keys; one round trip.

    Raises NotFound, Invalid.
    """
    queries = []
    if wanted.template is not None:
        # Imported here: most environments are made without.
        from slipway.store import templates

        queries.append(templates.sought(wanted.template))
    keys = (*projects.access(project, user_id), *more)
    (membership, item, *rest), pages = table.read(keys, *queries)
    return _Before(project, projects.allowed(membership, item), pages), rest


def _add(before: _Before, wanted: NewEnvironment, user_id: str) -> Environment:
    draft = _draft(before, wanted, user_id)
    if not draft.secrets:
        return _record(before.project, wanted, draft, user_id)
    from slipway import secret_inputs
    from slipway.store import leftovers

    place = draft.item["id"]
    table.write(leftovers.note(place))
    secret_inputs.write(place, draft.secrets)
    try:
        return _record(before.project, wanted, draft, user_id, secrets=leftovers.claimed(place))
    except (Refused, ConditionFailed, marks.Done):
        secret_inputs.remove(place, draft.secrets)
        table.write(leftovers.claimed(place))
        raise


def plan(project: ProjectId, wanted: NewEnvironment, user_id: str) -> Plan:
    """What `add` would make, and its refusals; as add.

    One round trip; from a template one more when its change set is made, and one when that ended.
    """
    names = [projects.environment_name(project, wanted.name)]
    if wanted.external_id:
        names.append(projects.external_id(project, wanted.external_id))
    before, (name, *external) = _look(project, wanted, user_id, *names)
    draft = _draft(before, wanted, user_id)
    if name:
        raise _name_taken(wanted)
    if any(external):
        raise ExternalIdTaken()
    # Imported here: most environments are made without.
    from slipway.model.plan import Plan

    shown: dict[str, Any] = {**draft.item, "inputs": None, "max_ttl_hours": draft.most_hours}
    if draft.version:
        from slipway import plans
        from slipway.model import inputs

        would_be = {name: value for name, value in draft.item.items() if value is not None}
        would_be["project_name"] = before.its_record["name"]
        values = json.loads(draft.item["inputs"])
        shown.update(
            inputs=inputs.with_defaults(draft.version.parameters, values),
            resources=draft.version.resources,
            transforms=draft.version.transforms,
            change_set=plans.look(would_be, draft.secrets),
        )
    return Plan.model_validate(shown)


def _draft(before: _Before, wanted: NewEnvironment, user_id: str) -> _Draft:
    environment = EnvironmentId(before.project.p, ids.new_part())
    now = moments.now()
    policy = projects.policy(before.its_record)
    most = policy.most_hours(settings().max_ttl_hours)
    hours = wanted.lifetime_hours(most, policy.default_ttl_hours or DEFAULT_TTL_HOURS)
    item: Item = {
        "id": str(environment),
        "project_id": str(before.project),
        "name": wanted.name,
        "type": wanted.type,
        "status": "provisioning",
        "operation": "provision_environment",
        "driver": "cloudformation" if wanted.template else "simulated",
        "external_id": wanted.external_id,
        "on_conflict": wanted.on_conflict,
        "config": wanted.config_json(),
        "created_at": moments.written(now),
        "created_by": user_id,
        **due.by(str(environment)),
        "actor": user_id,
        "updated_at": moments.written(now),
        "version": 1,
    }
    ends = None
    if hours is not None:
        ends = moments.hours_after(now, hours)
        item.update(
            ttl_hours=hours,
            **lasting_until(ends, policy.warn_before_hours),
            warn_before_hours=policy.warn_before_hours or None,
            max_expires_at=moments.written(moments.hours_after(now, most)),
            expiry_mode=policy.expiry_mode,
            lease=1,
        )
    if wanted.template is None:
        return _Draft(item, {}, ends, most, None, {})
    # Imported here: most environments are made without.
    from slipway.model import inputs
    from slipway.store import templates

    version = templates.allowed(templates.resolved(wanted.template, before.versions[0]))
    values = inputs.checked(version.parameters, wanted.inputs or {})
    hidden = inputs.secrets(version.parameters)
    item.update(
        **templates.made_of(version),
        inputs=inputs.written({n: each for n, each in values.items() if n not in hidden}),
        secret_inputs=sorted(hidden & set(values)),
    )
    parts: dict[str, table.Action] = {
        "template": templates.still_published(version),
        "template_use": templates.begins_use(version, item),
    }
    secrets = {name: each for name, each in values.items() if name in hidden}
    return _Draft(item, parts, ends, most, version, secrets)


def _record(
    project: ProjectId,
    wanted: NewEnvironment,
    draft: _Draft,
    user_id: str,
    **more: table.Action,
) -> Environment:
    item = draft.item
    environment = ids.parse_environment(item["id"])
    name = {"environment_id": str(environment), "name": wanted.name}
    transaction = (
        Transaction()
        .check("member", projects.member(project, user_id))
        .add("project", projects.takes_environments(project))
        .put("name", projects.environment_name(project, wanted.name), name)
        .put("record", key(environment), item)
    )
    if wanted.external_id:
        external_id = projects.external_id(project, wanted.external_id)
        transaction.put("external_id", external_id, {"environment_id": str(environment)})
    if draft.ends is not None:
        transaction.add("lease", put_lease(environment, draft.ends))
    for part, action in {**draft.parts, **more}.items():
        transaction.add(part, action)
    shown = read(item)
    try:
        marks.commit(transaction, shown)
    except TransactionFailed as failed:
        if failed.get("member") is not None or failed.get("project") == {}:
            raise NotFound("No such project") from None
        if failed.get("project") is not None:
            raise ProjectGoing() from None
        if failed.get("external_id") is not None:
            raise ExternalIdTaken() from None
        if failed.get("name") is not None:
            raise _name_taken(wanted) from None
        if draft.version and failed.get("template") is not None:
            detail = f"{draft.version.reference} is not published any more"
            raise Invalid([FieldError("#/template", detail)]) from None
        raise
    return shown


def _name_taken(wanted: NewEnvironment) -> NameTaken:
    return NameTaken(f"The project has an environment named {wanted.name} already")


def ensure(
    project: ProjectId, external_id: str, wanted: NewEnvironment, user_id: str
) -> tuple[Environment, bool]:
    """The environment that a caller knows by this name, made if there is none; and whether it was.

    Raises NotFound, Invalid, NameTaken, ProjectGoing, Busy. Two round trips, also to find it.
    """
    for _ in range(_ENSURE_TRIES):
        name = projects.external_id(project, external_id)
        before, [known] = _look(project, wanted, user_id, name)
        if known:
            there = find(ids.parse_environment(known["environment_id"]))
            if there:
                return read(there).as_seen_at(moments.now()), False
        # Somebody else may make it in this very moment: then it is there to be found.
        with suppress(ExternalIdTaken):
            return _add(before, wanted, user_id), True
    raise Busy(1)


def lasting_until(ends: datetime, warn_before_hours: Iterable[float]) -> Item:
    """A record's fields for a lease that ends then: also when that is warned of."""
    warn_at = warnings(ends, warn_before_hours, moments.now())
    return {
        "expires_at": moments.written(ends),
        "warn_at": [moments.written(moment) for moment in warn_at] or None,
    }


def wakes_at(item: Item) -> str:
    """When something is next to be done about the lease, a warning or its end; `""` for never."""
    warn_at = item.get("warn_at") or [item.get("expires_at") or ""]
    return str(warn_at[0])


def put_lease(environment: EnvironmentId, ends: datetime) -> Put:
    """The lease's item, new or in the place of the one before."""
    ttl = moments.epoch(ends) + _TTL_GRACE_SECONDS
    item = {"environment_id": str(environment), "expires_at": moments.written(ends), "ttl": ttl}
    return Put(lease(environment), item, condition=None)


def move(
    environment: EnvironmentId,
    to: Status,
    actor: str,
    condition: str = "",
    values: Mapping[str, Any] | None = None,
) -> Item:
    """Change the state, if the present one allows it; raises Overtaken if it does not."""
    now = moments.written(moments.now())
    # A teardown that failed is begun anew by retry_teardown, which numbers the attempts.
    states = sorted(comes_from(to) - {"teardown_failed"})
    since = {f"s{i}": state for i, state in enumerate(states)}
    change = Update(
        key(environment),
        "SET #status = :to, actor = :actor, updated_at = :at, version = version + :one,"
        " due = :due, due_at = :due_at",
        {
            **due.by(str(environment)),
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
        return table.write(change)
    except ConditionFailed:
        raise Overtaken() from None


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
        raise Overtaken("The environment is not wanted any more") from None


def strike_out(environment: EnvironmentId, resource: str) -> None:
    """The resource is gone."""
    table.write(Update(key(environment), "DELETE resources :resource", {"resource": {resource}}))


def what_remains(environment: EnvironmentId, remains: set[str]) -> None:
    """What is left of what could not be taken away, `<resource>: <what>` each."""
    change = "SET remains = :remains" if remains else "REMOVE remains"
    table.write(Update(key(environment), change, {"remains": remains} if remains else {}))


def with_project_name(item: Item) -> Item:
    """The record as a driver needs it to make the environment; one round trip if it wants that."""
    if "ProjectName" not in item.get("parameters", ()):
        return item
    environment = ids.parse_environment(item["id"])
    return {**item, "project_name": projects.name(environment.project)}


def written_along(fields: Item) -> dict[str, Any]:
    """What the end of a rollout sets in the record besides, as its state machine writes it."""
    return {
        "change": "".join(f", #{name} = :{name}" for name in fields),
        "names": {f"#{name}": name for name in fields},
        "values": {f":{name}": encode_value(value) for name, value in fields.items()},
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
            "at": moments.written(moments.now()),
            "one": 1,
        },
    )


def is_as_it_was(deployment: DeploymentId) -> None:
    """This deployment has left in its environment what is said to be live; repeating it changes
    nothing."""
    change = Update(
        key(deployment.environment),
        "REMOVE live_in_doubt SET actor = :actor, updated_at = :at, version = version + :one",
        {"actor": str(deployment), "at": moments.written(moments.now()), "one": 1},
        condition="attribute_exists(live_in_doubt)",
    )
    with suppress(ConditionFailed):
        table.write(change)


def ended_unrecorded(item: Item, outcome: str) -> bool:
    """Write down that the execution that worked on it has ended without a word; whether that was
    still to be done."""
    failure = {"error": "ExecutionLost", "reason": f"Its execution has {outcome} unrecorded"}
    environment = ids.parse_environment(item["id"])
    fields = {
        "failure": failure,
        "actor": "reconcile",
        "updated_at": moments.written(moments.now()),
        "version": item["version"] + 1,
        "operation": None,
        **due.by(item["id"]),
    }
    if item["status"] == "provisioning":
        fields["status"] = "failed"
    elif "operation" not in item:
        fields["status"] = "teardown_failed"
    expression, values = table.setting(fields)
    still = {**values, "was": item["version"]}
    try:
        table.write(Update(key(environment), expression, still, condition="version = :was"))
    except ConditionFailed:
        return False
    return True


def teardown(item: Item) -> str:
    """The name of the execution that tears it down: one for each attempt."""
    attempts = item.get("teardown_attempts", 1)
    return item["id"] if attempts == 1 else f"{item['id']}-{attempts}"


def expiry(item: Item) -> str:
    """The name of the execution that sees to this lease: another one each time that it begins to
    run, and when it is to wake before the one before would."""
    return item["id"] if item["lease"] == 1 else f"{item['id']}-{item['lease']}"


def carried(item: Item) -> dict[str, Any]:
    """What an execution about this environment is given: ids, keys, which time of its lease this
    is and when that next needs it (`""` for never), and which attempt to tear it down this is."""
    environment = ids.parse_environment(item["id"])
    keys = {
        "environment": key(environment),
        "lease": lease(environment),
        "name": projects.environment_name(environment.project, item["name"]),
        "project": projects.key(environment.project),
        # Of one without an external id nothing is there to be let go of.
        "external": projects.external_id(
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
