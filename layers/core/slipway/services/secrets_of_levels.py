"""Secrets of levels: set, remove, list and reveal.

A value goes to the parameter store before the transaction that records it, with a clean-up record
(slipway.services.stored_secrets). Neither the table nor the stream ever has it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from slipway.access import authorization
from slipway.aws import secret_values
from slipway.domain import configuration, timestamps
from slipway.domain.configuration_rules import (
    NAME,
    NAME_FAULT,
    value_fault,
)
from slipway.domain.paging import Page
from slipway.domain.rights import tier_of
from slipway.domain.secret_settings import (
    ConfigurationChanged,
    NewSecret,
    Revealed,
    Secret,
    SecretChanged,
)
from slipway.errors import DriverRefused, FieldError, Invalid, no_such
from slipway.errors.configurations import SecretsGone
from slipway.services import stored_secrets
from slipway.services.level_changes import OwnLevel, Seen, SharedLevel, Target, Written, reason_of
from slipway.store import audit, table
from slipway.store.table import Action, Delete, Transaction

if TYPE_CHECKING:
    from slipway.domain.configuration import Level, SecretEntry


def list_(target: Target) -> Page[Secret]:
    """The secrets of the level and those that it inherits, by name; one round trip."""
    seen = target.read()
    content = target.content(seen, seen.level)
    return Page(
        [
            Secret.model_validate({"name": name, **entry})
            for name, entry in content["secrets"].items()
        ]
    )


def set_(target: Target, name: str, wanted: NewSecret) -> SecretChanged:
    """Set the secret to a new value.

    Raises NotFound, Forbidden, Invalid, NameInUse, EnvironmentGoing, ProjectGoing, Busy,
    DriverFault. Three round trips and one call of the parameter store, one more to copy a value;
    two more round trips for each other change at the same time.
    """
    _require_name(name)
    if wanted.value is not None:
        _require_value(wanted.value, "#/value")
    seen = target.read()
    target.require_alive(seen)
    target.require_free(seen, [name], "variables")
    value = wanted.value if wanted.value is not None else _copied(target, seen, wanted.from_ or "")
    place = secret_values.new_place(target.scope, name)
    parts: dict[str, Action] = {}
    with stored_secrets.storing(target.scope, place, value, parts):
        written, left = _record(target, name, place, wanted.from_, parts, seen)
    _remove(left)
    return _shown(name, written)


def _shown(name: str, written: Written) -> SecretChanged:
    shown = {
        "name": name,
        **written.content["secrets"][name],
        "configuration": written.number,
        "deployment_id": written.deployment_id,
    }
    return SecretChanged.model_validate(shown)


def remove(target: Target, name: str) -> ConfigurationChanged:
    """Remove the secret from this level. Its values stay as long as configurations may name them.

    Raises NotFound, also if only a level above has it. Two round trips.
    """
    _require_name(name)

    def changing(seen: Seen) -> tuple[Level, str]:
        secrets = dict(seen.level["secrets"])
        if secrets.pop(name, None) is None:
            raise no_such("secret")
        after = cast("Level", {**seen.level, "secrets": secrets})
        return after, reason_of(removed=[name])

    return shown_change(target.change(changing, shown_change))


def shown_change(written: Written) -> ConfigurationChanged:
    """The answer to a change that has only made a configuration."""
    return ConfigurationChanged(configuration=written.number, deployment_id=written.deployment_id)


def reveal(target: Target, name: str) -> Revealed:
    """The value of the secret, which the level has or inherits. It is audited before it is read.

    Raises NotFound, Forbidden, SecretsGone, DriverFault. Two round trips, and one call of the
    parameter store.
    """
    _require_name(name)
    seen = target.read()
    entry = target.content(seen, seen.level)["secrets"].get(name)
    if entry is None:
        raise no_such("secret")
    audit.note(target=seen.record["id"], name=seen.record["name"], before=None)
    audit.note(after={"revealed": name, "secret_version": entry["version"]})
    still = authorization.still_may(_within(target), target.principal, _tier(target, seen))
    Transaction({"member": still}).commit()
    try:
        value = secret_values.read({name: entry["place"]})[name]
    except DriverRefused:
        raise SecretsGone(seen.record.get("configuration", 0), [name]) from None
    return Revealed(name=name, version=entry["version"], value=value)


def _within(target: Target) -> Any:
    return target.scope if isinstance(target, OwnLevel) else target.scope[0]


def _tier(target: Target, seen: Seen) -> Any:
    return target.tier if isinstance(target, SharedLevel) else tier_of(seen.record)


def _record(
    target: Target,
    name: str,
    place: str,
    origin: str | None,
    parts: dict[str, Action],
    first: Seen,
) -> tuple[Written, tuple[Any, list[str]]]:
    """Record the value at the place as that of the secret, with further parts of the transaction.

    Returns what is written, and the clean-up record and places of values that are kept no longer.
    """
    key = stored_secrets.note_key(target.scope)
    left: list[str] = []

    def changing(seen: Seen) -> tuple[Level, str]:
        target.require_free(seen, [name], "variables")
        after, dropped = _with_secret(seen.level, name, place, origin, target)
        left[:] = dropped
        parts.pop("left", None)
        if left:
            parts["left"] = stored_secrets.note(key, target.scope, left)
        return after, reason_of(set=[name])

    written = target.change(changing, lambda written: _shown(name, written), parts, first)
    return written, (key, left)


def _with_secret(
    level: Level, name: str, place: str, origin: str | None, target: Target
) -> tuple[Level, list[str]]:
    """The level with the new value, and the places of those that it keeps no longer."""
    entry: SecretEntry = {
        "version": configuration.next_version(level, name),
        "place": place,
        "at": timestamps.written(timestamps.now()),
        "by": target.principal.author(),
    }
    if origin is not None:
        entry["origin"] = origin
    return configuration.with_value(level, name, entry)


def _remove(left: tuple[Any, list[str]]) -> None:
    """Remove values that are kept no longer, and their clean-up record."""
    key, places = left
    if places:
        secret_values.remove(places)
        table.write(Delete(key), aside=True)


def _require_name(name: str) -> None:
    if not re.fullmatch(NAME, name):
        raise Invalid([FieldError("secret", NAME_FAULT)])


def _require_value(value: str, where: str) -> None:
    if fault := value_fault(value, is_secret=True):
        raise Invalid([FieldError(where, fault)])


def _copied(target: Target, seen: Seen, origin: str) -> str:
    """The value of a parameter or a secret of the account. Raises Invalid, DriverFault."""
    # Imported here, because most values are sent.
    from slipway.services import secret_sources

    value = secret_sources.read(origin, target, seen)
    _require_value(value, "#/from")
    return value
