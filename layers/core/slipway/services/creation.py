"""Creating environments: for real, only if missing (`ensure`), or as a plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.domain import ids, timestamps
from slipway.domain.environment import DEFAULT_TTL_HOURS, Environment, NewEnvironment
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.errors import (
    Busy,
    ExternalIdTaken,
    FieldError,
    Invalid,
    NameTaken,
    NotFound,
    ProjectGoing,
    Refused,
)
from slipway.settings import settings
from slipway.store import deadlines, environments, idempotency, projects, table
from slipway.store.table import (
    ConditionFailed,
    Found,
    Item,
    Key,
    Transaction,
    TransactionFailed,
)

if TYPE_CHECKING:
    from slipway.domain.plan import Plan
    from slipway.domain.template import TemplateVersion

_ENSURE_TRIES = 3


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


def create(project: ProjectId, wanted: NewEnvironment, user_id: str) -> Environment:
    """Raises NotFound, Invalid, NameTaken, ExternalIdTaken, ProjectGoing, DriverFault.

    What is written here is all that provisioning, expiry and teardown need: the table's stream
    starts them. Two round trips; with secrets one for the note of them, and one for each.
    """
    # The mark is read along: secrets are written before the transaction would lose on it.
    before, mark = _look(project, wanted, user_id, *idempotency.keys())
    idempotency.look(*mark)
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
    from slipway.aws import secret_inputs
    from slipway.services import cleanup

    place = draft.item["id"]
    table.write(cleanup.note(place))
    secret_inputs.write(place, draft.secrets)
    try:
        return _record(before.project, wanted, draft, user_id, secrets=cleanup.claimed(place))
    except (Refused, ConditionFailed, idempotency.Done):
        secret_inputs.remove(place, draft.secrets)
        table.write(cleanup.claimed(place))
        raise


def plan(project: ProjectId, wanted: NewEnvironment, user_id: str) -> Plan:
    """What `create` would make, and its refusals; as create.

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
    from slipway.domain.plan import Plan

    shown: dict[str, Any] = {**draft.item, "inputs": None, "max_ttl_hours": draft.most_hours}
    if draft.version:
        from slipway.domain import inputs
        from slipway.services import plans

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
    now = timestamps.now()
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
        "created_at": timestamps.written(now),
        "created_by": user_id,
        **deadlines.by(str(environment)),
        "actor": user_id,
        "updated_at": timestamps.written(now),
        "version": 1,
    }
    ends = None
    if hours is not None:
        ends = timestamps.hours_after(now, hours)
        item.update(
            ttl_hours=hours,
            **environments.lasting_until(ends, policy.warn_before_hours),
            warn_before_hours=policy.warn_before_hours or None,
            max_expires_at=timestamps.written(timestamps.hours_after(now, most)),
            expiry_mode=policy.expiry_mode,
            lease=1,
        )
    if wanted.template is None:
        return _Draft(item, {}, ends, most, None, {})
    # Imported here: most environments are made without.
    from slipway.domain import inputs
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
        .put("record", environments.key(environment), item)
    )
    if wanted.external_id:
        external_id = projects.external_id(project, wanted.external_id)
        transaction.put("external_id", external_id, {"environment_id": str(environment)})
    if draft.ends is not None:
        transaction.add("lease", environments.put_lease(environment, draft.ends))
    for part, action in {**draft.parts, **more}.items():
        transaction.add(part, action)
    shown = environments.read(item)
    try:
        idempotency.commit(transaction, shown)
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
            there = environments.find(ids.parse_environment(known["environment_id"]))
            if there:
                return environments.read(there).as_seen_at(timestamps.now()), False
        # Somebody else may make it in this very moment: then it is there to be found.
        with suppress(ExternalIdTaken):
            return _add(before, wanted, user_id), True
    raise Busy(1)
