"""Drafts of environments: the record and the other items that a creation would write.

A draft is computed from the items that were read and from the request. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.environment import DEFAULT_TTL_HOURS, NewEnvironment
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.project import Policy
from slipway.domain.records import change
from slipway.settings import settings
from slipway.store import deadlines, environment_records, project_records
from slipway.store.table import Action, Fields, Found

if TYPE_CHECKING:
    from slipway.domain.records import EnvironmentRecord, ProjectRecord
    from slipway.domain.template import TemplateVersion


class Seen(NamedTuple):
    """The state that a draft needs: the project's record, and a page of the template's versions."""

    project: ProjectId
    record: ProjectRecord
    versions: list[Found]


@dataclass(frozen=True)
class Draft:
    """The record of an environment that could be created.

    `parts` are further parts of its transaction, `most_hours` is the longest lifetime that the
    policy allows, and `secrets` are the values that the record does not hold.
    """

    record: EnvironmentRecord
    parts: dict[str, Action]
    most_hours: float
    version: TemplateVersion | None
    secrets: Mapping[str, str]


def draft(seen: Seen, wanted: NewEnvironment, principal: Principal) -> Draft:
    """The draft of the requested environment, with a new id. Raises Invalid, ProjectGoing."""
    # One time for all fields, so that the lease lasts exactly as long as requested.
    now = timestamps.now()
    policy = project_records.policy(seen.record)
    most = policy.most_hours(settings().max_ttl_hours)
    record = _record(seen.project, wanted, principal, now)
    parts: dict[str, Action] = {}
    hours = wanted.lifetime_hours(most, policy.default_ttl_hours or DEFAULT_TTL_HOURS)
    if hours is not None:
        ends = timestamps.hours_after(now, hours)
        lease = {
            "ttl_hours": hours,
            **environment_records.lease_fields(ends, policy.warn_before_hours),
        }
        record.update({**lease, **_limits(policy, most, now)})
        environment = ids.parse_environment(record["id"])
        parts["lease"] = environment_records.lease_put(environment, ends)
    if wanted.template is None:
        return Draft(record, parts, most, None, {})
    version, secrets = _add_template(record, parts, wanted, seen.versions[0])
    return Draft(record, parts, most, version, secrets)


def _record(project: ProjectId, wanted: NewEnvironment, principal: Principal, now: datetime) -> Any:
    """The fields that every environment has."""
    environment = EnvironmentId(project.p, ids.new_part())
    at = timestamps.written(now)
    return {
        "id": str(environment),
        "project_id": str(project),
        "name": wanted.name,
        "type": wanted.type,
        "status": "provisioning",
        "operation": "provision_environment",
        "driver": "cloudformation" if wanted.template else "simulated",
        "external_id": wanted.external_id,
        "on_conflict": wanted.on_conflict,
        "config": wanted.config_json(),
        "created_at": at,
        "created_by": principal.user_id,
        **deadlines.due_fields(str(environment)),
        "change": change("provisioning", principal.actor, at),
        "updated_at": at,
        "version": 1,
    }


def _limits(policy: Policy, most_hours: float, now: datetime) -> Fields:
    """The policy of this lease. Later changes of the project's policy do not affect it."""
    latest = timestamps.hours_after(now, most_hours)
    return {
        "warn_before_hours": policy.warn_before_hours or None,
        "max_expires_at": timestamps.written(latest),
        "expiry_mode": policy.expiry_mode,
        "lease": 1,
    }


def _add_template(
    record: Any, parts: dict[str, Action], wanted: NewEnvironment, versions: Found
) -> tuple[TemplateVersion, dict[str, str]]:
    """Add what the template determines to the record and to the transaction.

    Returns the version, and the secret inputs. Raises Invalid.
    """
    # Imported here, because most environments have no template.
    from slipway.domain import inputs
    from slipway.store import template_records

    version = template_records.require_allowed_types(
        template_records.resolve(str(wanted.template), versions)
    )
    values = inputs.checked(version.parameters, wanted.inputs or {})
    hidden = inputs.secrets(version.parameters)
    shown = {name: value for name, value in values.items() if name not in hidden}
    record.update(
        **template_records.template_fields(version),
        inputs=inputs.written(shown),
        secret_inputs=sorted(hidden & set(values)),
    )
    parts["template"] = template_records.still_published(version)
    parts["template_use"] = template_records.use_put(version, record)
    return version, {name: value for name, value in values.items() if name in hidden}
