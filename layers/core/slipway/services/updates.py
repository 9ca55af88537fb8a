"""Updates: changing an environment's template version or inputs.

An update is a deployment: it waits in the environment's queue and holds its lock. Its changes are
merged into the environment's inputs twice: when it is requested, so that the caller learns
immediately what does not fit, and when it rolls out, because an update ahead of it in the queue may
have changed the inputs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, inputs, timestamps
from slipway.domain.deployment import Deployment
from slipway.domain.environment import MASK, TAKES_DEPLOYMENTS, OnConflict
from slipway.domain.ids import EnvironmentId
from slipway.domain.records import changed
from slipway.domain.template import Reference, TemplateVersion
from slipway.domain.update import EnvironmentUpdate, InputChange, UpdatePlan
from slipway.errors import (
    DriverRefused,
    EnvironmentNotReady,
    FieldError,
    Invalid,
    NoTemplate,
    NotFound,
    PlanPending,
    QueueBusy,
)
from slipway.services import fitting, protection, rollout_queue
from slipway.store import environment_records, idempotency, table, template_records
from slipway.store.table import Fields, Found, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.records import DeploymentRecord, EnvironmentRecord, SnapshotRecord


@dataclass(frozen=True)
class _Draft:
    """The environment after the update.

    `values` are the inputs that are not secret, `secrets` the new secrets. `stays` are the names of
    secrets that do not change. `kept` are the names of new secrets whose values the environment's
    record has shown until now, because only the new version declares them as secrets. `change` is
    the requested change, as the deployment's record stores it.
    """

    version: TemplateVersion
    values: Mapping[str, str]
    secrets: Mapping[str, str]
    stays: frozenset[str]
    kept: frozenset[str]
    change: str


def request(
    environment: EnvironmentId,
    wanted: EnvironmentUpdate,
    principal: Principal,
    confirmed: str | None = None,
) -> Deployment:
    """Accept an update at the end of the queue.

    `confirmed` is the name in `X-Confirm`, which a protected environment needs. Raises NotFound,
    NoTemplate, ConfirmationRequired, EnvironmentNotReady, Invalid, QueueBusy, QuotaExceeded, Busy,
    DriverFault; for machines also ConfirmationNeeded, Forbidden and PlanPending. Two round trips,
    and one if the template version is not cached; with secrets one more for their clean-up record
    and one for each secret; for machines one invocation.
    """
    view, draft = _draft(environment, wanted, principal)
    if not principal.is_machine:  # The plan of a machine's update tells what it would delete.
        protection.require_confirmed(view.record, confirmed)
    content = _content(view.record, wanted, draft)
    mode = _mode(environment, wanted, principal, view, draft)
    still = template_records.still_published(draft.version)
    parts: dict[str, table.Action] = {"template": still} if wanted.template else {}
    try:
        if not draft.secrets:
            return rollout_queue.accept(environment, content, mode, principal, parts, view)
        # Imported here, because most updates have no secrets.
        from slipway.services import cleanup

        place = content["secret_place"] = f"{environment}/{ids.new_part()}"
        with cleanup.storing(place, draft.secrets, parts):
            return rollout_queue.accept(environment, content, mode, principal, parts, view)
    except QueueBusy:
        if mode == "reject" and wanted.on_conflict != "reject":
            # Only while nothing is ahead is it known what a machine's update would delete.
            raise PlanPending(1, "Another deployment is ahead of it. Send it again.") from None
        raise
    except TransactionFailed as failed:
        if failed.get("template") is None:
            raise
        detail = f"{draft.version.reference} is no longer published; choose another version"
        raise Invalid([FieldError("#/template", detail)]) from None


def _mode(
    environment: EnvironmentId,
    wanted: EnvironmentUpdate,
    principal: Principal,
    view: rollout_queue.View,
    draft: _Draft,
) -> OnConflict | None:
    """What to do if others are ahead; None for the environment's default. Raises as `request`."""
    # An update waits for those ahead of it, unless it or its environment rejects.
    own: OnConflict | None = None if view.record["on_conflict"] == "reject" else "queue"
    mode = wanted.on_conflict or own
    if principal.is_person:
        return mode
    # Imported here, because people ask for most updates.
    from slipway.services import machine_updates

    would_be, sent = _would_be(view.record, draft), wanted.inputs or {}
    alone = machine_updates.must_be_alone(
        environment, principal, view.record, would_be, draft.secrets, sent
    )
    return "reject" if alone else mode


def _content(item: EnvironmentRecord, wanted: EnvironmentUpdate, draft: _Draft) -> Fields:
    """The fields of the deployment's record that say what the update changes."""
    return {
        "kind": "update",
        "trigger": "update",
        "template": draft.version.reference if wanted.template else None,
        "inputs": draft.change,
        "secret_inputs": sorted(draft.secrets),
        "kept_inputs": sorted(draft.kept) or None,
        "kept_of_update": item.get("last_update_id") if draft.kept else None,
    }


def preview(
    environment: EnvironmentId, wanted: EnvironmentUpdate, principal: Principal
) -> UpdatePlan:
    """The changes that the update would make, without making them. Raises as `request`.

    CloudFormation previews them in a change set; repeat the call for progress.
    """
    # Imported here, because few updates are plans.
    from slipway.services import change_sets

    view, draft = _draft(environment, wanted, principal)
    item = view.record
    before = {**json.loads(item["inputs"]), **dict.fromkeys(item["secret_inputs"], MASK)}
    after = {**draft.values, **dict.fromkeys([*draft.secrets, *draft.stays], MASK)}
    return UpdatePlan.model_validate(
        {
            "environment_id": str(environment),
            "from_template": item["template"],
            "to_template": draft.version.reference,
            "inputs": {
                name: InputChange(before=before.get(name), after=after.get(name))
                for name in sorted({*before, *after})
                if before.get(name) != after.get(name) or name in draft.secrets
            },
            "warnings": draft.version.warnings,
            "change_set": change_sets.preview(_would_be(item, draft), draft.secrets, creates=False),
        }
    )


def _would_be(item: EnvironmentRecord, draft: _Draft) -> dict[str, Any]:
    """The environment's record after the update, which brings its newest configuration, too; for
    a plan. One round trip if it has one."""
    would_be: Any = {
        **environment_records.with_project_name(item),
        **template_records.template_fields(draft.version),
        "inputs": inputs.written(draft.values),
        "secret_inputs": sorted(draft.stays),
    }
    if number := item.get("configuration", 0):
        # Imported here, because few environments have a configuration.
        from slipway.services import delivery

        content = delivery.content(item, number)
        would_be = delivery.with_configuration(would_be, number, content)
    found: dict[str, Any] = would_be
    return found


def _draft(
    environment: EnvironmentId, wanted: EnvironmentUpdate, principal: Principal
) -> tuple[rollout_queue.View, _Draft]:
    """The environment's state, and the draft of its update. Raises as `request`."""
    queries = [template_records.query_versions(wanted.template)] if wanted.template else []
    keys = (*authorization.keys(environment, principal), *idempotency.keys())
    claim = rollout_queue.claim_for(environment, principal)
    (membership, record, *mark), (of_user, of_project, *pages) = table.read(
        keys, *claim.queries, *queries
    )
    item = authorization.authorized(environment, principal, (membership, record))
    idempotency.check_replayed(*mark)
    status = environment_records.to_model(item).as_seen_at(timestamps.now()).status
    if not item.get("template"):
        raise NoTemplate()
    if status not in TAKES_DEPLOYMENTS:
        raise EnvironmentNotReady(status)
    claim.see([of_user, of_project])
    version = _version(item, wanted, pages)
    held, hidden = json.loads(item["inputs"]), inputs.secrets(version.parameters)
    # Inputs that this version declares as secrets, and that were not secret before.
    now_secret = {name: value for name, value in held.items() if name in hidden}
    change = {**now_secret, **(wanted.inputs or {})}
    values, stays = inputs.merged(version.parameters, held, item["secret_inputs"], change)
    template_records.require_capacity(version, values)
    shown = {name: value for name, value in values.items() if name not in hidden}
    inputs.written(shown)
    _require_state(item, version)
    stored = {name: shown.get(name) for name in change if name in shown or change[name] is None}
    secrets = {name: value for name, value in values.items() if name in hidden}
    kept = frozenset(now_secret).difference(wanted.inputs or {})
    return rollout_queue.View(item, None, claim), _Draft(
        version, shown, secrets, stays, kept, json.dumps(stored)
    )


def _require_state(item: EnvironmentRecord, version: TemplateVersion) -> None:
    """Raises Invalid unless the version takes the environment's names and live version. One round
    trip if it constrains the project's name."""
    would_be = changed(item, template_records.template_fields(version))
    project_name = None
    if fitting.takes(would_be, "ProjectName"):
        project_name = environment_records.with_project_name(would_be).get("project_name")
    fitting.require_state(would_be, project_name)


def _version(
    item: EnvironmentRecord, wanted: EnvironmentUpdate, pages: list[Found]
) -> TemplateVersion:
    name = item["template"].partition("@")[0]
    if wanted.template is None:
        return template_records.version_of(item["template"])
    if Reference.parse(wanted.template).name != name:
        raise Invalid([FieldError("#/template", f"must be a version of {name}")])
    return template_records.require_allowed(template_records.resolve(wanted.template, pages[0]))


# --- rolling out ------------------------------------------------------------------------------


def updated_fields(update: DeploymentRecord, environment: EnvironmentRecord) -> Fields:
    """The fields of the environment's record after the update.

    Raises DriverRefused if the update no longer fits the environment, which may have changed since
    the request. One round trip if the template version is not cached.
    """
    reference = update.get("template") or environment["template"]
    try:
        version = template_records.version_of(reference)
        values, secret = _inputs(version, update, environment)
        template_records.require_capacity(version, values)
        shown = inputs.written(values)
    except (Invalid, NotFound) as error:
        raise DriverRefused(f"The update does not fit {reference}: {error.detail}") from error
    brought = dict.fromkeys(_brought(update, environment), update.get("secret_place"))
    places = {**environment.get("secret_places", {}), **brought}
    return {
        **template_records.template_fields(version),
        "inputs": shown,
        "secret_inputs": sorted(secret),
        "secret_places": {name: place for name, place in places.items() if name in secret},
        "last_update_id": update["id"],
    }


def replaced_fields(deployment: DeploymentRecord) -> Fields:
    """The fields of the environment's record after a deployment that replaces all of them.

    Raises DriverRefused if the template version no longer exists or if the limits no longer allow
    it. One round trip if the version is not cached.
    """
    becomes = deployment["becomes"]
    if "template" not in becomes:
        return {}
    try:
        version = template_records.version_of(becomes["template"])
        fields = state_fields(version, becomes)
    except (Invalid, NotFound) as error:
        reference = becomes["template"]
        raise DriverRefused(f"The environment cannot be {reference}: {error.detail}") from error
    return {**fields, "last_update_id": deployment["id"]}


def state_fields(version: TemplateVersion, state: SnapshotRecord) -> Fields:
    """The fields of the environment's record in this state, with its template's version.

    Raises Invalid if the limits no longer allow it.
    """
    template_records.require_capacity(version, json.loads(state["inputs"]))
    return {
        **template_records.template_fields(version),
        "inputs": state["inputs"],
        "secret_inputs": state["secret_inputs"],
        "secret_places": state["secret_places"],
    }


def _inputs(
    version: TemplateVersion, update: DeploymentRecord, environment: EnvironmentRecord
) -> tuple[Mapping[str, str], frozenset[str]]:
    brought = _brought(update, environment)
    held: dict[str, Any] = json.loads(environment["inputs"])
    held = {name: value for name, value in held.items() if name not in brought}
    secret = brought.union(environment["secret_inputs"])
    change = json.loads(update["inputs"])
    values, stays = inputs.merged(version.parameters, held, secret, change)
    for name in sorted(inputs.secrets(version.parameters) & set(values)):
        raise Invalid([FieldError(f"#/inputs/{name}", "has become a secret: send it again")])
    return values, stays


def _brought(update: DeploymentRecord, environment: EnvironmentRecord) -> set[str]:
    """The names of the secrets that the update sets.

    Kept inputs are not among them if another update has rolled out since the request, because it
    may have changed them.
    """
    brought = set(update["secret_inputs"])
    if update.get("kept_of_update") != environment.get("last_update_id"):
        brought -= set(update.get("kept_inputs", ()))
    return brought
