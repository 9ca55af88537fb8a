"""Creating environments: for real, only if missing (`ensure`), or as a plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.environment import DEFAULT_TTL_HOURS, Environment, NewEnvironment
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.paging import Page, Paging
from slipway.domain.records import EnvironmentRecord, ProjectRecord, changed
from slipway.errors import (
    Busy,
    ExternalIdTaken,
    FieldError,
    Invalid,
    NameTaken,
    ProjectGoing,
    Refused,
    no_such,
)
from slipway.settings import settings
from slipway.store import deadlines, environment_records, idempotency, project_records, table
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
    project_record: ProjectRecord
    versions: list[Found]


@dataclass(frozen=True)
class _Draft:
    """An environment that could be made: its record, and what else its transaction writes."""

    item: EnvironmentRecord
    parts: Mapping[str, table.Action]
    ends: datetime | None
    most_hours: float
    version: TemplateVersion | None
    secrets: Mapping[str, str]


def get(environment: EnvironmentId, principal: Principal) -> Environment:
    """The environment as the principal sees it now; one round trip. Raises NotFound."""
    record = authorization.read(environment, principal)
    return environment_records.read(record).as_seen_at(timestamps.now())


def list_(project: ProjectId, principal: Principal, paging: Paging) -> Page[Environment]:
    """A page of the project's environments, newest first; one round trip.

    Raises NotFound, and Invalid for a cursor of another list.
    """
    keys = authorization.keys(project, principal)
    pk, prefix = f"PROJECT#{project.p}", environment_records.PREFIX
    found, items, last = table.page(keys, pk, prefix, paging)
    authorization.authorized(project, *found)
    now = timestamps.now()
    return Page([environment_records.read(item).as_seen_at(now) for item in items], last)


def create(project: ProjectId, wanted: NewEnvironment, principal: Principal) -> Environment:
    """Raises NotFound, Invalid, NameTaken, ExternalIdTaken, ProjectGoing, DriverFault.

    What is written here is all that provisioning, expiry and teardown need: the table's stream
    starts them. Two round trips; with secrets one for the note of them, and one for each.
    """
    # The mark is read along: secrets are written before the transaction would lose on it.
    before, mark = _look(project, wanted, principal, *idempotency.keys())
    idempotency.look(*mark)
    return _add(before, wanted, principal)


def _look(
    project: ProjectId, wanted: NewEnvironment, principal: Principal, *more: Key
) -> tuple[_Before, list[Item | None]]:
    """What has to be known to make it, and the items at more keys; one round trip.

    Raises NotFound, Invalid.
    """
    queries = []
    if wanted.template is not None:
        # Imported here: most environments are made without.
        from slipway.store import template_records

        queries.append(template_records.sought(wanted.template))
    keys = (*authorization.keys(project, principal), *more)
    (membership, item, *rest), pages = table.read(keys, *queries)
    return _Before(project, authorization.authorized(project, membership, item), pages), rest


def _add(before: _Before, wanted: NewEnvironment, principal: Principal) -> Environment:
    draft = _draft(before, wanted, principal)
    if not draft.secrets:
        return _record(before.project, wanted, draft, principal)
    from slipway.aws import secret_inputs
    from slipway.services import cleanup

    place = draft.item["id"]
    table.write(cleanup.note(place))
    secret_inputs.write(place, draft.secrets)
    try:
        return _record(before.project, wanted, draft, principal, secrets=cleanup.claimed(place))
    except (Refused, ConditionFailed, idempotency.Done):
        secret_inputs.remove(place, draft.secrets)
        table.write(cleanup.claimed(place))
        raise


def plan(project: ProjectId, wanted: NewEnvironment, principal: Principal) -> Plan:
    """What `create` would make, and its refusals; as create.

    One round trip; from a template one more when its change set is made, and one when that ended.
    """
    names = [project_records.environment_name(project, wanted.name)]
    if wanted.external_id:
        names.append(project_records.external_id(project, wanted.external_id))
    before, (name, *external) = _look(project, wanted, principal, *names)
    draft = _draft(before, wanted, principal)
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

        would_be = changed(draft.item, {"project_name": before.project_record["name"]})
        values = json.loads(draft.item["inputs"])
        shown.update(
            inputs=inputs.with_defaults(draft.version.parameters, values),
            resources=draft.version.resources,
            transforms=draft.version.transforms,
            change_set=plans.look(would_be, draft.secrets),
        )
    return Plan.model_validate(shown)


def _draft(before: _Before, wanted: NewEnvironment, principal: Principal) -> _Draft:
    environment = EnvironmentId(before.project.p, ids.new_part())
    now = timestamps.now()
    policy = project_records.policy(before.project_record)
    most = policy.most_hours(settings().max_ttl_hours)
    hours = wanted.lifetime_hours(most, policy.default_ttl_hours or DEFAULT_TTL_HOURS)
    item: Any = {
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
        "created_by": principal.user_id,
        **deadlines.by(str(environment)),
        "actor": principal.actor,
        "updated_at": timestamps.written(now),
        "version": 1,
    }
    ends = None
    if hours is not None:
        ends = timestamps.hours_after(now, hours)
        item.update(
            ttl_hours=hours,
            **environment_records.lasting_until(ends, policy.warn_before_hours),
            warn_before_hours=policy.warn_before_hours or None,
            max_expires_at=timestamps.written(timestamps.hours_after(now, most)),
            expiry_mode=policy.expiry_mode,
            lease=1,
        )
    if wanted.template is None:
        return _Draft(item, {}, ends, most, None, {})
    # Imported here: most environments are made without.
    from slipway.domain import inputs
    from slipway.store import template_records

    version = template_records.allowed(
        template_records.resolved(wanted.template, before.versions[0])
    )
    values = inputs.checked(version.parameters, wanted.inputs or {})
    hidden = inputs.secrets(version.parameters)
    item.update(
        **template_records.made_of(version),
        inputs=inputs.written({n: each for n, each in values.items() if n not in hidden}),
        secret_inputs=sorted(hidden & set(values)),
    )
    parts: dict[str, table.Action] = {
        "template": template_records.still_published(version),
        "template_use": template_records.begins_use(version, item),
    }
    secrets = {name: each for name, each in values.items() if name in hidden}
    return _Draft(item, parts, ends, most, version, secrets)


def _record(
    project: ProjectId,
    wanted: NewEnvironment,
    draft: _Draft,
    principal: Principal,
    **more: table.Action,
) -> Environment:
    item = draft.item
    environment = ids.parse_environment(item["id"])
    name = {"environment_id": str(environment), "name": wanted.name}
    transaction = (
        Transaction()
        .check("member", authorization.membership(project, principal))
        .add("project", project_records.takes_environments(project))
        .put("name", project_records.environment_name(project, wanted.name), name)
        .put("record", environment_records.key(environment), item)
    )
    if wanted.external_id:
        external_id = project_records.external_id(project, wanted.external_id)
        transaction.put("external_id", external_id, {"environment_id": str(environment)})
    if draft.ends is not None:
        transaction.add("lease", environment_records.put_lease(environment, draft.ends))
    for part, action in {**draft.parts, **more}.items():
        transaction.add(part, action)
    shown = environment_records.read(item)
    try:
        idempotency.commit(transaction, shown)
    except TransactionFailed as failed:
        if failed.get("member") is not None or failed.get("project") == {}:
            raise no_such("project") from None
        if failed.get("project") is not None:
            raise ProjectGoing() from None
        if failed.get("external_id") is not None:
            raise ExternalIdTaken() from None
        if failed.get("name") is not None:
            raise _name_taken(wanted) from None
        if draft.version and failed.get("template") is not None:
            detail = f"{draft.version.reference} is no longer published; choose another version"
            raise Invalid([FieldError("#/template", detail)]) from None
        raise
    return shown


def _name_taken(wanted: NewEnvironment) -> NameTaken:
    return NameTaken(
        f"The project already has an environment named {wanted.name}. Choose another name."
    )


def ensure(
    project: ProjectId, external_id: str, wanted: NewEnvironment, principal: Principal
) -> tuple[Environment, bool]:
    """The environment that a caller knows by this name, made if there is none; and whether it was.

    Raises NotFound, Invalid, NameTaken, ProjectGoing, Busy. Two round trips, also to find it.
    """
    for _ in range(_ENSURE_TRIES):
        name = project_records.external_id(project, external_id)
        before, [known] = _look(project, wanted, principal, name)
        if known:
            there = environment_records.find(ids.parse_environment(known["environment_id"]))
            if there:
                return environment_records.read(there).as_seen_at(timestamps.now()), False
        # Somebody else may make it in this very moment: then it is there to be found.
        with suppress(ExternalIdTaken):
            return _add(before, wanted, principal), True
    raise Busy(1)
