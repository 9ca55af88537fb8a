"""Environments: reading, creating, ensuring and planning them.

A creation writes everything that provisioning, expiry and teardown need. The table's stream starts
the workflows. It reads (`_Creation`), drafts all that it would write (`_draft`), and writes the
draft (`_carry_out`); a plan is the draft, shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.environment import Environment, seen_version
from slipway.domain.environment_requests import DEFAULT_TTL_HOURS, NewEnvironment
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.project import Policy
from slipway.domain.records import change, changed
from slipway.errors import (
    Busy,
    ExternalIdTaken,
    FieldError,
    Invalid,
    NameTaken,
    PreconditionFailed,
    ProjectGoing,
    SlipwayError,
    no_such,
)
from slipway.services import quotas
from slipway.services.quotas import Claim
from slipway.settings import limits, settings
from slipway.store import (
    deadlines,
    environment_records,
    idempotency,
    listed,
    project_records,
    quota_records,
    table,
)
from slipway.store.table import (
    Action,
    Fields,
    Found,
    Item,
    Key,
    Put,
    Transaction,
    TransactionFailed,
)

if TYPE_CHECKING:
    from slipway.domain.plan import Plan
    from slipway.domain.preconditions import IfMatch
    from slipway.domain.records import EnvironmentRecord, ProjectRecord
    from slipway.domain.template import TemplateVersion

_ENSURE_TRIES = 3
# Others may take the last slots of a quota at the same time.
_WRITE_TRIES = 20


class _Creation:
    """The parts of a creation that do not depend on its project: slots of quotas, and the version
    of a template. They are read in the same round trip as the project (`read`).

    `version` and `secrets` are set by `choose_version`: the template's version, and the values that
    are stored outside the table.
    """

    def __init__(self, wanted: NewEnvironment, principal: Principal) -> None:
        self.wanted = wanted
        self.principal = principal
        self.claim = Claim(quota_records.environments_of(principal.user_id))
        self.version: TemplateVersion | None = None
        self.secrets: Mapping[str, str] = {}
        self._queries = self.claim.queries
        self._pages: list[Found] = []
        if wanted.template is not None:
            # Imported here and below, because most environments have no template.
            from slipway.store import template_records

            self._queries.append(template_records.query_versions(wanted.template))

    def read(self, project: ProjectId, *more: Key) -> tuple[ProjectRecord, list[Item | None]]:
        """The project's record, and the items at the additional keys; one round trip.

        Raises NotFound, Forbidden.
        """
        keys = (*authorization.keys(project, self.principal), *more)
        (membership, item, *rest), self._pages = table.read(keys, *self._queries)
        found, tier = (membership, item), self.wanted.tier_or_default
        return authorization.authorized(project, self.principal, found, tier), rest

    @property
    def versions(self) -> list[TemplateVersion]:
        """The versions of the template that were read."""
        if self.wanted.template is None:
            return []
        from slipway.store import template_records

        return [template_records.to_model(item) for item in self._pages[1][0]]

    def claim_slots(self) -> None:
        """Choose the slots that the environment takes. Raises QuotaExceeded."""
        self.claim.see(self._pages[:1])

    def choose_version(self, record: EnvironmentRecord, project_name: str) -> Fields:
        """The fields of the record that follow from the template's version and the inputs.

        There are none without a template. Raises Invalid.
        """
        if self.wanted.template is None:
            return {}
        from slipway.domain import inputs
        from slipway.services import fitting
        from slipway.store import template_records

        version = template_records.require_allowed(
            template_records.resolve(self.wanted.template, self._pages[1])
        )
        values = inputs.checked(version.parameters, self.wanted.inputs or {})
        template_records.require_capacity(version, values)
        hidden = inputs.secrets(version.parameters)
        self.version = version
        self.secrets = {name: value for name, value in values.items() if name in hidden}
        shown = {name: value for name, value in values.items() if name not in hidden}
        fields = template_records.template_fields(version)
        fitting.require_new(changed(record, fields), project_name)
        return {
            **fields,
            "inputs": inputs.written(shown),
            "secret_inputs": sorted(self.secrets),
        }


@dataclass(frozen=True)
class _Draft:
    """The writes of a creation.

    `record` is the environment's, and `parts` are all parts of the transaction, with it, except the
    slots, which are added when it is written. `most_hours` is the longest lifetime that the
    project's policy allows.
    """

    project: ProjectId
    record: EnvironmentRecord
    parts: dict[str, Action]
    most_hours: float


def get(environment: EnvironmentId, principal: Principal) -> Environment:
    """The environment as the principal sees it now; one round trip. Raises NotFound."""
    keys = authorization.keys(environment, principal)
    *found, within = table.get(*keys, project_records.key(environment.project))
    record = authorization.authorized(environment, principal, found)
    return environment_records.to_model(record, within).as_seen_at(timestamps.now())


def create(project: ProjectId, wanted: NewEnvironment, principal: Principal) -> Environment:
    """Create an environment, which is `provisioning` until its workflow has provisioned it.

    Raises NotFound, Invalid, NameTaken, ExternalIdTaken, ProjectGoing, QuotaExceeded, Busy,
    DriverFault. Two round trips, more if a quota is nearly used up; with secrets one more for their
    clean-up record and one for each secret.
    """
    # The idempotency mark is read as well, because secrets are written before the transaction
    # that would fail on it.
    creation = _Creation(wanted, principal)
    record, mark = creation.read(project, *idempotency.keys())
    idempotency.check_replayed(*mark)
    return _carry_out(creation, _draft(creation, project, record))


def plan(project: ProjectId, wanted: NewEnvironment, principal: Principal) -> Plan:
    """The environment that `create` would create, without creating it. Raises as create.

    One round trip; with a template also one invocation of the plans function.
    """
    names = [project_records.environment_name(project, wanted.name)]
    if wanted.external_id:
        names.append(project_records.external_id(project, wanted.external_id))
    creation = _Creation(wanted, principal)
    record, (name, *external) = creation.read(project, *names)
    draft = _draft(creation, project, record)
    if name:
        raise _name_taken(wanted)
    if any(external):
        raise ExternalIdTaken()
    # Imported here and below, because few requests are plans, and fewer have a template.
    from slipway.domain.plan import Plan

    shown: dict[str, Any] = {**draft.record, "inputs": None, "max_ttl_hours": draft.most_hours}
    if creation.version:
        from slipway.domain import inputs
        from slipway.services import change_sets

        would_be = changed(draft.record, {"project_name": record["name"]})
        values = json.loads(draft.record["inputs"])
        shown.update(
            inputs=inputs.with_defaults(creation.version.parameters, values),
            resources=creation.version.resources,
            transforms=creation.version.transforms,
            warnings=creation.version.warnings,
            change_set=change_sets.preview(would_be, creation.secrets, creates=True),
        )
    return Plan.model_validate(shown)


def ensure(
    project: ProjectId,
    external_id: str,
    wanted: NewEnvironment,
    principal: Principal,
    conditions: IfMatch | None = None,
) -> tuple[Environment, bool]:
    """The environment with this external id, created if there is none, and whether it was created.

    Its configuration, labels and `on_conflict` become those of the body, if that has them.
    `conditions` are the request's preconditions. Raises NotFound, Invalid, NameTaken, ProjectGoing,
    ExternalIdTaken, EnvironmentGoing, EnvironmentDiffers, Forbidden, PreconditionFailed, Busy,
    DriverFault. Two round trips, one if it is found and has been found before, and another one if
    it is changed; with secrets as create.
    """
    # Imported here, because most environments are found by their ids.
    from slipway.services import external_ids

    for _ in range(_ENSURE_TRIES):
        name = project_records.external_id(project, external_id)
        creation = _Creation(wanted, principal)
        member = project_records.member(project, principal.user_id)
        keys = (name, member, *external_ids.guesses(name))
        record, [known, membership, *guessed] = creation.read(project, *keys)
        if existing := external_ids.record_of(name, known, guessed):
            expected = seen_version(existing, timestamps.now())
            if conditions is not None and expected not in conditions:
                raise PreconditionFailed()
            beside = (creation.versions, principal, membership, record)
            shown = external_ids.as_wanted(existing, wanted, *beside)
            if shown is not None:
                return shown, False
            continue
        if conditions is not None and not conditions.allows_creation:
            raise PreconditionFailed("There is no environment with this external_id.")
        wanted.require_unchanged(None)
        # If another caller creates it at the same time, the next read finds it.
        with suppress(ExternalIdTaken):
            return _carry_out(creation, _draft(creation, project, record)), True
    raise Busy(1)


# --- the draft, and what becomes of it --------------------------------------------------------


def _draft(creation: _Creation, project: ProjectId, within: ProjectRecord) -> _Draft:
    """The draft of the requested environment, with a new id. `within` is the project's record.

    Raises Invalid, ProjectGoing, QuotaExceeded.
    """
    # One time for all fields, so that the lease lasts exactly as long as requested.
    now = timestamps.now()
    wanted, principal = creation.wanted, creation.principal
    policy = project_records.policy(within)
    most = policy.most_hours(settings().max_ttl_hours)
    environment = EnvironmentId(project.p, ids.new_part())
    creation.claim_slots()
    if within["environments"] >= limits().environments_per_project:
        quotas.environments_counted(project, within)
    record = _record(within, environment, wanted, principal, now)
    protected = wanted.protected or None
    name = {"environment_id": record["id"], "name": wanted.name, "protected": protected}
    parts: dict[str, Action] = {
        "member": authorization.still_may(project, principal, wanted.tier_or_default),
        "project": project_records.count_environment(project, protected=wanted.protected),
        "name": Put(project_records.environment_name(project, wanted.name), name),
        "record": Put(environment_records.key(environment), record),
    }
    if wanted.external_id:
        external_id = project_records.external_id(project, wanted.external_id)
        parts["external_id"] = Put(external_id, {"environment_id": record["id"]})
    hours = wanted.lifetime_hours(most, policy.default_ttl_hours or DEFAULT_TTL_HOURS)
    if hours is not None:
        record.update({"ttl_hours": hours, **_lease(policy, hours, most, now)})
        ends = timestamps.hours_after(now, hours)
        parts["lease"] = environment_records.lease_put(environment, ends)
    if wanted.template is not None:
        record.update(creation.choose_version(record, within["name"]))
    if creation.version:
        from slipway.store import template_records

        parts["template"] = template_records.still_published(creation.version)
        parts["template_use"] = template_records.use_put(creation.version, record)
        parts["last_use"] = template_records.note_use(creation.version, record)
    return _Draft(project, record, parts, most)


def _record(
    project: ProjectRecord,
    environment: EnvironmentId,
    wanted: NewEnvironment,
    principal: Principal,
    now: datetime,
) -> Any:
    """The fields that every environment has."""
    identity, at = str(environment), timestamps.written(now)
    return {
        "id": identity,
        "project_id": project["id"],
        "name": wanted.name,
        "type": wanted.type,
        "tier": wanted.tier_or_default,
        "protected": wanted.protected or None,
        "status": "provisioning",
        "operation": "provision_environment",
        "driver": "cloudformation" if wanted.template else "simulated",
        "external_id": wanted.external_id,
        "on_conflict": wanted.on_conflict,
        "config": wanted.config_json(),
        "labels": wanted.labels or None,
        "created_at": at,
        **principal.made(),
        **deadlines.due_fields(identity),
        "listed": listed.LIVE + environment.p,
        "listed_at": environment.e,
        "change": change("provisioning", principal.author(), at),
        "updated_at": at,
        "version": 1,
    }


def _lease(policy: Policy, hours: float, most_hours: float, now: datetime) -> Fields:
    """The fields of the lease. Later changes of the project's policy do not affect it."""
    ends = timestamps.hours_after(now, hours)
    latest = timestamps.hours_after(now, most_hours)
    return {
        **environment_records.lease_fields(ends, policy.warn_before_hours),
        "warn_before_hours": policy.warn_before_hours or None,
        "max_expires_at": timestamps.written(latest),
        "expiry_mode": policy.expiry_mode,
        "lease": 1,
    }


def _carry_out(creation: _Creation, draft: _Draft) -> Environment:
    """Write the draft, its secrets first.

    Raises NotFound, ProjectGoing, ExternalIdTaken, NameTaken, Invalid, QuotaExceeded, Busy,
    DriverFault. One round trip, more if others take the same slots; with secrets one more for their
    clean-up record and one for each secret.
    """
    shown = environment_records.to_model(draft.record)
    storing: AbstractContextManager[None] = nullcontext()
    if creation.secrets:
        # Imported here, because most environments have no secrets.
        from slipway.services import cleanup

        storing = cleanup.storing(draft.record["id"], creation.secrets, draft.parts)
    with storing:
        for _ in range(_WRITE_TRIES):
            draft.record["slots"] = creation.claim.numbers()
            holder = {"holder": draft.record["id"]}
            slots = {part: Put(slot, holder) for part, slot in creation.claim.slots().items()}
            try:
                idempotency.commit(Transaction({**draft.parts, **slots}), shown)
            except TransactionFailed as failed:
                _claim_again(failed, creation, draft.project)
            else:
                return shown
        raise Busy(1)


def _claim_again(failed: TransactionFailed, creation: _Creation, project: ProjectId) -> None:
    """Claim other slots if those of the draft were taken. Raises the refusal for anything else."""
    found = failed.get("project")
    full = found if found and found["status"] == "active" else None
    refusal = _refusal(failed, creation, is_full=full is not None)
    if refusal:
        raise refusal from None
    if creation.claim.see_again(failed):
        return
    if full is None:
        raise failed
    quotas.environments_counted(project, full)


def _refusal(
    failed: TransactionFailed, creation: _Creation, *, is_full: bool
) -> SlipwayError | None:
    """The error for the failed part that matters most to the caller; None if only a quota failed.

    `is_full`: whether the project was found to be full instead of going.
    """
    if failed.get("member") is not None:
        return authorization.lost(failed["member"], "project")
    if failed.get("project") == {}:
        return no_such("project")
    if failed.get("project") is not None and not is_full:
        return ProjectGoing()
    if failed.get("external_id") is not None:
        return ExternalIdTaken()
    if failed.get("name") is not None:
        return _name_taken(creation.wanted)
    if creation.version and failed.get("template") is not None:
        detail = f"{creation.version.reference} is no longer published; choose another version"
        return Invalid([FieldError("#/template", detail)])
    return None


def _name_taken(wanted: NewEnvironment) -> NameTaken:
    name = wanted.name
    return NameTaken(f"The project already has an environment named {name}. Choose another name.")
