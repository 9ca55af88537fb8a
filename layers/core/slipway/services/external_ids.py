"""Environments by the external ids that their callers gave them.

An item of the table leads from the external id to the environment, so that two items have to be
read, and the key of the second is in the first. A process remembers which environment an external
id led to, and reads that one in the same round trip. What it remembers is only a guess: the first
item decides, and another environment is read in a round trip of its own.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.environment import Environment
from slipway.domain.environment_requests import NewEnvironment
from slipway.domain.fields import external_id_fault
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.json_values import is_same
from slipway.domain.rights import tier_of
from slipway.errors import (
    EnvironmentDiffers,
    EnvironmentGoing,
    ExternalIdTaken,
    FieldError,
    no_such,
)
from slipway.services import teardowns
from slipway.store import audit, environment_records, project_records, table
from slipway.store.table import Fields, Item, Key

if TYPE_CHECKING:
    from slipway.domain.records import EnvironmentRecord, ProjectRecord
    from slipway.domain.template import TemplateVersion

_MOST_GUESSES = 1000
# A teardown takes seconds or minutes.
_RETRY_SECONDS = 10
_LONGEST_RETRY = 3600
_CHANGE = "environments:change"
_LEAVING = ("expiring", "tearing_down", "teardown_failed")

_guesses: dict[Key, EnvironmentId] = {}


def guesses(name: Key) -> Sequence[Key]:
    """The record to read together with the external id's item at `name`, if one is remembered."""
    guess = _guesses.get(name)
    return () if guess is None else (environment_records.key(guess),)


def record_of(
    name: Key, known: Item | None, guessed: Iterable[Item | None]
) -> EnvironmentRecord | None:
    """The record of the environment that the external id's item leads to; None if there is none.

    `known` is that item, and `guessed` what was read at `guesses`. No round trip, one if the guess
    was wrong or there was none.
    """
    if not known:
        _guesses.pop(name, None)
        return None
    environment = ids.parse_environment(known["environment_id"])
    if len(_guesses) >= _MOST_GUESSES:
        _guesses.clear()
    _guesses[name] = environment
    found: Any = next((each for each in guessed if each and each["id"] == str(environment)), None)
    found = found or environment_records.find(environment)
    # The two items are not read at the same moment.
    return found if found and found["status"] != "destroyed" else None


def get(project: ProjectId, external_id: str, principal: Principal) -> Environment:
    """The environment as the principal sees it now. Raises NotFound.

    One round trip, two in a process that meets the external id for the first time.
    """
    record, within = _read(project, external_id, principal)
    return environment_records.to_model(record, within).as_seen_at(timestamps.now())


def tear_down(
    project: ProjectId,
    external_id: str,
    principal: Principal,
    if_version: Container[int] | None,
    confirmed: str | None,
) -> Environment:
    """Begin to tear the environment down, as teardowns.begin. Raises as that.

    Two round trips, three in a process that meets the external id for the first time.
    """
    record, _ = _read(project, external_id, principal)
    audit.note(target=record["id"], name=record["name"])
    environment = ids.parse_environment(record["id"])
    return teardowns.begin(environment, principal, if_version, confirmed, record)


def _read(
    project: ProjectId, external_id: str, principal: Principal
) -> tuple[EnvironmentRecord, ProjectRecord | None]:
    """The environment's record, and the project's."""
    if external_id_fault(external_id):
        raise no_such("environment")
    name = project_records.external_id(project, external_id)
    member = project_records.member(project, principal.user_id)
    keys = (member, name, project_records.key(project), *guesses(name))
    membership, known, within, *guessed = table.get(*keys)
    record = record_of(name, known, guessed) if membership else None
    if record is None:
        raise no_such("environment")
    environment = ids.parse_environment(record["id"])
    return authorization.authorized(environment, principal, (membership, record)), within


# --- what a body says ---------------------------------------------------------------------------


def as_wanted(
    record: EnvironmentRecord,
    wanted: NewEnvironment,
    versions: Iterable[TemplateVersion],
    principal: Principal,
    membership: Item | None,
    within: ProjectRecord,
) -> Environment | None:
    """The environment, as the body says; None if it has changed since it was read.

    Only what the body says is compared, so that what others have changed beyond that is no
    difference. `versions` are some versions of the wanted template, and `within` is the project.
    Raises ExternalIdTaken if the principal may not see it, EnvironmentGoing, EnvironmentDiffers,
    and Forbidden if it has to be changed and the principal may not do that. No round trip, one if
    it has to be changed.
    """
    if not authorization.may_see(record, principal):
        raise ExternalIdTaken()
    now = timestamps.now()
    shown = environment_records.to_model(record, within).as_seen_at(now)
    if shown.status in _LEAVING:
        raise EnvironmentGoing(shown.status, _seconds_left(shown, now))
    if differences := list(_differences(record, wanted, versions)):
        raise EnvironmentDiffers(record["id"], differences)
    wanted.require_unchanged(shown)
    fields = _changes(record, wanted)
    if not fields:
        return shown
    # Imported here, because most environments are as the body says.
    from slipway.services import changes

    environment, changing = ids.parse_environment(record["id"]), principal.asking(_CHANGE)
    authorization.authorized(environment, changing, (membership, record))
    audit.note(action=_CHANGE, target=record["id"], name=record["name"])
    return changes.write(environment, record, fields, changing)


def _changes(record: EnvironmentRecord, wanted: NewEnvironment) -> Fields:
    """What the record lacks of that which a PUT changes; it has no effect on what runs."""
    there = {
        "config": json.loads(record.get("config") or "null"),
        "labels": dict(record.get("labels") or {}),
        "on_conflict": record.get("on_conflict") or "queue",
    }
    said = {name: getattr(wanted, name) for name in there if name in wanted.model_fields_set}
    fields = {name: value for name, value in said.items() if not is_same(value, there[name])}
    if "config" in fields:
        fields["config"] = wanted.config_json()
    return {name: value or None for name, value in fields.items()}


def _seconds_left(shown: Environment, now: datetime) -> int:
    """After how many seconds it is worth asking again whether the environment has gone."""
    if shown.status != "teardown_failed":
        return _RETRY_SECONDS
    if shown.next_retry_at is None:
        return _LONGEST_RETRY
    left = int((shown.next_retry_at - now).total_seconds()) + _RETRY_SECONDS
    return min(max(left, _RETRY_SECONDS), _LONGEST_RETRY)


def _differences(
    record: EnvironmentRecord, wanted: NewEnvironment, versions: Iterable[TemplateVersion]
) -> Iterator[FieldError]:
    given, hours = wanted.model_fields_set, record.get("ttl_hours")
    there: dict[str, Any] = {
        "name": record["name"],
        "type": record["type"],
        "tier": tier_of(record),
        "protected": bool(record.get("protected")),
        "ttl_hours": None if hours is None else float(hours),
    }
    # An omitted field, and null where it stands for a default, say nothing.
    defaulted = {name for name in ("tier", "ttl_hours") if getattr(wanted, name) is None}
    for name in sorted(given & (there.keys() - defaulted)):
        if not is_same(getattr(wanted, name), there[name]):
            yield FieldError(f"#/{name}", f"is {_written(there[name])} there")
    if "template" in given and not _is_of(record.get("template"), wanted.template):
        yield FieldError("#/template", f"is {_written(record.get('template'))} there")
    elif wanted.inputs:
        yield from _different_inputs(record, wanted.inputs, versions)


def _written(value: Any) -> str:
    """The value as JSON, if it is short."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else "another one"


def _is_of(template: str | None, reference: str | None) -> bool:
    """Whether the reference can mean the environment's template version.

    A version newer than the environment's is no difference: the environment is updated when
    somebody asks for that.
    """
    if template is None or reference is None:
        return template is reference
    from slipway.domain.template import Reference

    there, asked = Reference.parse(template), Reference.parse(reference)
    return all(want in (None, have) for want, have in zip(asked, there, strict=True))


def _different_inputs(
    record: EnvironmentRecord, given: dict[str, Any], versions: Iterable[TemplateVersion]
) -> Iterator[FieldError]:
    """The given inputs that differ. Values of secrets are not known here, and not compared."""
    from slipway.domain import inputs

    stored: dict[str, str] = json.loads(record.get("inputs") or "{}")
    secret = set(record.get("secret_inputs") or ())
    given = inputs.without_masks(given, secret)
    version = next((each for each in versions if each.reference == record.get("template")), None)
    shown: dict[str, Any] = stored
    if version:
        # As texts, so that 1 and "1" are the same. Raises Invalid for what it does not take.
        given = inputs.checked(version.parameters, given, there={*stored, *secret})
        shown = inputs.with_defaults(version.parameters, stored)
        secret |= inputs.secrets(version.parameters)
    for name in sorted(given.keys() - secret):
        if given[name] != shown.get(name):
            yield FieldError(f"#/inputs/{name}", f"is {_written(shown.get(name))} there")
