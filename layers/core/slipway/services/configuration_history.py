"""The configurations that an environment has had: list, read, compare, restore and purge."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from slipway.access import authorization
from slipway.domain import configuration, timestamps
from slipway.domain.configuration_views import (
    Configuration,
    ConfigurationDifference,
    ConfigurationLine,
)
from slipway.domain.paging import Page, Paging
from slipway.domain.secret_settings import ConfigurationChanged, Secret
from slipway.domain.variables import Variable
from slipway.errors import no_such
from slipway.errors.configurations import SecretsGone
from slipway.services import configuration as configurations
from slipway.services import stored_secrets
from slipway.services.level_changes import OwnLevel, Seen, Target
from slipway.services.secrets_of_levels import shown_change
from slipway.store import configuration_records, table
from slipway.store.table import Action

if TYPE_CHECKING:
    from slipway.access.principal import Principal
    from slipway.domain.configuration import ConfigurationRecord, Content, Level, Levels
    from slipway.domain.ids import EnvironmentId

# No environment has had more configurations than that.
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")


def list_(
    environment: EnvironmentId, principal: Principal, paging: Paging
) -> Page[ConfigurationLine]:
    """The environment's configurations, newest first; one round trip. Raises NotFound."""
    keys = authorization.keys(environment, principal)
    found, items, last = table.page(
        keys, f"ENV#{environment.e}", configuration_records.HEAD, paging
    )
    authorization.authorized(environment, principal, found)
    return Page([ConfigurationLine.model_validate(item) for item in items], last)


def get(environment: EnvironmentId, number: str, principal: Principal) -> Configuration:
    """The configuration with this number; one round trip. Raises NotFound."""
    [(head, content)] = _read(environment, [number], principal)
    if head is None:
        raise no_such("configuration")
    return Configuration.model_validate(
        {
            **head,
            "variables": [
                Variable.model_validate({"name": name, **each})
                for name, each in content["variables"].items()
            ],
            "secrets": [
                Secret.model_validate({"name": name, **each})
                for name, each in content["secrets"].items()
            ],
        }
    )


def diff(
    environment: EnvironmentId, one: str, other: str, principal: Principal, paging: Paging
) -> Page[ConfigurationDifference]:
    """What becomes of each name from one configuration to the other; one round trip.

    Number 0 is the environment before it had any. Raises NotFound.
    """
    (_, before), (_, after) = _read(environment, [one, other], principal)
    changes = configuration.differences(before, after)
    shown = [
        _difference(name, change, before, after)
        for name, change in changes.items()
        if paging.after is None or name > paging.after
    ]
    some = shown[: paging.limit]
    return Page(some, some[-1].name if len(shown) > len(some) else None)


def _difference(
    name: str, change: configuration.Difference, before: Content, after: Content
) -> ConfigurationDifference:
    last = before if change == "removed" else after
    old, new = before["variables"].get(name), after["variables"].get(name)
    return ConfigurationDifference(
        name=name,
        change=change,
        kind="variable" if name in last["variables"] else "secret",
        before=old["value"] if old else None,
        after=new["value"] if new else None,
    )


def _read(
    environment: EnvironmentId, texts: list[str], principal: Principal
) -> list[tuple[ConfigurationRecord | None, Content]]:
    """The configurations with these numbers, as a path has them; None and nothing for 0.

    One round trip. Raises NotFound.
    """
    if not all(_NUMBER.fullmatch(text) for text in texts):
        raise no_such("configuration")
    numbers = [int(text) for text in texts]
    keys = [*authorization.keys(environment, principal), *configurations.keys(environment)]
    begin, each = len(keys), 1 + configuration.SLICES_OF_CONFIGURATION
    for number in numbers:
        keys.append(configuration_records.head_key(environment, number))
        keys += configurations.content_keys(environment, number)
    found = table.get(*dict.fromkeys(keys))
    items = dict(zip(dict.fromkeys(keys), found, strict=True))
    record = authorization.authorized(environment, principal, found[:2])
    levels = configurations.levels(record, found[2:begin])
    asked = [[items[key] for key in keys[at : at + each]] for at in range(begin, len(keys), each)]
    return [_shown(number, of, levels) for number, of in zip(numbers, asked, strict=True)]


def _shown(
    number: int, found: list[Any], levels: Levels
) -> tuple[ConfigurationRecord | None, Content]:
    """The configuration without what has been purged since. Raises NotFound."""
    head, *slices = found
    if number == 0:
        return None, configuration.nothing()
    if head is None:
        raise no_such("configuration")
    content = configurations.content(slices)
    gone = configuration.purged(content, head["levels"], head["tier"], levels)
    names = sorted({*head.get("purged", ()), *gone})
    shown = cast("ConfigurationRecord", {**head, "purged": names})
    return shown, configuration.without(content, gone)


# --- changes ----------------------------------------------------------------------------------


def restore(target: OwnLevel, text: str) -> ConfigurationChanged:
    """Make a new configuration with the content of an earlier one; no-op if nothing would differ.

    Raises NotFound, SecretsGone, EnvironmentGoing, Busy. Three round trips; two more for each other
    change at the same time.
    """
    [(head, content)] = _read(target.scope, [text], target.principal)
    if head is None:
        raise no_such("configuration")
    number = head["number"]
    by = target.principal.author()

    def changing(seen: Seen) -> tuple[Level, str] | None:
        if configuration.is_same(seen.levels.merged(), content):
            return None
        if gone := configuration.gone(content, seen.levels):
            raise SecretsGone(number, gone)
        at = timestamps.written(timestamps.now())
        own = configuration.restored(content, seen.levels, at, by)
        return own, f"restored configuration {number}"

    return shown_change(replace(target, restored=number).change(changing, shown_change))


def purge(target: Target, name: str) -> ConfigurationChanged:
    """Remove the value of a name from the level and from all configurations that it is in.

    It is shown no more from the moment at which this is recorded; the values themselves are removed
    then, and by reconcile if this process dies. Raises NotFound, Forbidden, EnvironmentGoing,
    ProjectGoing, Busy, DriverFault. Two round trips, and some for each configuration.
    """
    key = stored_secrets.note_key(target.scope)
    parts: dict[str, Action] = {}

    def changing(seen: Seen) -> tuple[Level, str]:
        after, places = configuration.purging(seen.level, name)
        parts["left"] = stored_secrets.note(key, target.scope, places, name)
        return after, f"purged {name}"

    written = target.change(changing, shown_change, parts)
    stored_secrets.finish(parts["left"])
    return ConfigurationChanged(configuration=written.number)
