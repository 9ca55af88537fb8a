"""Environments: reading, creating, ensuring and planning them.

A creation writes everything that provisioning, expiry and teardown need. The table's stream starts
the workflows.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.environment import Environment, NewEnvironment
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.paging import Page, Paging
from slipway.domain.records import changed
from slipway.errors import (
    Busy,
    ExternalIdTaken,
    FieldError,
    Invalid,
    NameTaken,
    ProjectGoing,
    SlipwayError,
    no_such,
)
from slipway.services import environment_drafts
from slipway.services.environment_drafts import Draft, Seen
from slipway.store import environment_records, idempotency, project_records, table
from slipway.store.table import (
    Item,
    Key,
    Transaction,
    TransactionFailed,
)

if TYPE_CHECKING:
    from slipway.domain.plan import Plan

_ENSURE_TRIES = 3


def get(environment: EnvironmentId, principal: Principal) -> Environment:
    """The environment as the principal sees it now; one round trip. Raises NotFound."""
    record = authorization.read(environment, principal)
    return environment_records.to_model(record).as_seen_at(timestamps.now())


def list_(project: ProjectId, principal: Principal, paging: Paging) -> Page[Environment]:
    """A page of the project's environments, newest first; one round trip.

    Raises NotFound, and Invalid for a cursor of another list.
    """
    keys = authorization.keys(project, principal)
    pk, prefix = f"PROJECT#{project.p}", environment_records.PREFIX
    found, items, last = table.page(keys, pk, prefix, paging)
    authorization.authorized(project, *found)
    now = timestamps.now()
    return Page([environment_records.to_model(item).as_seen_at(now) for item in items], last)


def create(project: ProjectId, wanted: NewEnvironment, principal: Principal) -> Environment:
    """Create an environment, which is `provisioning` until its workflow has provisioned it.

    Raises NotFound, Invalid, NameTaken, ExternalIdTaken, ProjectGoing, DriverFault. Two round
    trips; with secrets one more for their clean-up record and one for each secret.
    """
    # The idempotency mark is read as well, because secrets are written before the transaction
    # that would fail on it.
    seen, mark = _read(project, wanted, principal, *idempotency.keys())
    idempotency.check_replayed(*mark)
    return _create(seen, wanted, principal)


def _read(
    project: ProjectId, wanted: NewEnvironment, principal: Principal, *more: Key
) -> tuple[Seen, list[Item | None]]:
    """The state that a draft needs, and the items at the additional keys; one round trip.

    Raises NotFound, Invalid.
    """
    queries = []
    if wanted.template is not None:
        # Imported here, because most environments have no template.
        from slipway.store import template_records

        queries.append(template_records.query_versions(wanted.template))
    keys = (*authorization.keys(project, principal), *more)
    (membership, item, *rest), pages = table.read(keys, *queries)
    return Seen(project, authorization.authorized(project, membership, item), pages), rest


def _create(seen: Seen, wanted: NewEnvironment, principal: Principal) -> Environment:
    draft = environment_drafts.draft(seen, wanted, principal)
    if not draft.secrets:
        return _commit(seen.project, wanted, draft, principal)
    from slipway.services import cleanup

    with cleanup.storing(draft.record["id"], draft.secrets, draft.parts):
        return _commit(seen.project, wanted, draft, principal)


def plan(project: ProjectId, wanted: NewEnvironment, principal: Principal) -> Plan:
    """The environment that `create` would create, without creating it. Raises as create.

    One round trip; with a template one more when its change set is created, and one when the change
    set has ended.
    """
    names = [project_records.environment_name(project, wanted.name)]
    if wanted.external_id:
        names.append(project_records.external_id(project, wanted.external_id))
    seen, (name, *external) = _read(project, wanted, principal, *names)
    draft = environment_drafts.draft(seen, wanted, principal)
    if name:
        raise _name_taken(wanted)
    if any(external):
        raise ExternalIdTaken()
    # Imported here and below, because few requests are plans, and fewer have a template.
    from slipway.domain.plan import Plan

    shown: dict[str, Any] = {**draft.record, "inputs": None, "max_ttl_hours": draft.most_hours}
    if draft.version:
        from slipway.domain import inputs
        from slipway.services import plans

        would_be = changed(draft.record, {"project_name": seen.record["name"]})
        values = json.loads(draft.record["inputs"])
        shown.update(
            inputs=inputs.with_defaults(draft.version.parameters, values),
            resources=draft.version.resources,
            transforms=draft.version.transforms,
            change_set=plans.preview(would_be, draft.secrets),
        )
    return Plan.model_validate(shown)


def _commit(
    project: ProjectId, wanted: NewEnvironment, draft: Draft, principal: Principal
) -> Environment:
    """Write the draft. Raises NotFound, ProjectGoing, ExternalIdTaken, NameTaken, Invalid."""
    environment = ids.parse_environment(draft.record["id"])
    name = {"environment_id": str(environment), "name": wanted.name}
    transaction = (
        Transaction()
        .add("member", authorization.still_member(project, principal))
        .add("project", project_records.count_environment(project))
        .put("name", project_records.environment_name(project, wanted.name), name)
        .put("record", environment_records.key(environment), draft.record)
    )
    if wanted.external_id:
        external_id = project_records.external_id(project, wanted.external_id)
        transaction.put("external_id", external_id, {"environment_id": str(environment)})
    for part, action in draft.parts.items():
        transaction.add(part, action)
    shown = environment_records.to_model(draft.record)
    try:
        idempotency.commit(transaction, shown)
    except TransactionFailed as failed:
        raise _refusal(failed, wanted, draft) from None
    return shown


def _refusal(failed: TransactionFailed, wanted: NewEnvironment, draft: Draft) -> SlipwayError:
    """The error for the failed part that matters most to the caller."""
    if failed.get("member") is not None or failed.get("project") == {}:
        return no_such("project")
    if failed.get("project") is not None:
        return ProjectGoing()
    if failed.get("external_id") is not None:
        return ExternalIdTaken()
    if failed.get("name") is not None:
        return _name_taken(wanted)
    if draft.version and failed.get("template") is not None:
        detail = f"{draft.version.reference} is no longer published; choose another version"
        return Invalid([FieldError("#/template", detail)])
    return failed


def _name_taken(wanted: NewEnvironment) -> NameTaken:
    return NameTaken(
        f"The project already has an environment named {wanted.name}. Choose another name."
    )


def ensure(
    project: ProjectId, external_id: str, wanted: NewEnvironment, principal: Principal
) -> tuple[Environment, bool]:
    """The environment with this external id, created if there is none, and whether it was created.

    Raises NotFound, Invalid, NameTaken, ProjectGoing, Busy, DriverFault. Two round trips, whether
    it is found or created; with secrets as create.
    """
    for _ in range(_ENSURE_TRIES):
        name = project_records.external_id(project, external_id)
        seen, [known] = _read(project, wanted, principal, name)
        if known:
            existing = environment_records.find(ids.parse_environment(known["environment_id"]))
            if existing:
                return environment_records.to_model(existing).as_seen_at(timestamps.now()), False
        # If another caller creates it at the same time, the next read finds it.
        with suppress(ExternalIdTaken):
            return _create(seen, wanted, principal), True
    raise Busy(1)
