"""Configurations: the numbered, immutable versions of what an environment is configured with.

The environment's record has the number of the newest one. A configuration is made (`new_version`)
by each change of the environment's own level, by the start of a deployment if a level above has
changed, and when an earlier one is restored. A change of a level above is one write, whatever the
number of environments below.

Who makes one reads `keys` together with what it reads anyway, and merges `Made` into its own
transaction:

    found = table.get(environment_records.key(environment), *configuration.keys(environment))
    levels = configuration.levels(found[0], found[1:])
    made = configuration.new_version(found[0], levels, author, "deployment dep_…")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from slipway.domain import configuration, ids, timestamps
from slipway.domain.configuration import Levels
from slipway.domain.configuration import differences as differences
from slipway.domain.configuration import is_pending as is_pending
from slipway.domain.rights import tier_of
from slipway.errors import Busy
from slipway.store import configuration_records, table
from slipway.store.configuration_records import Torn
from slipway.store.configuration_records import content as content
from slipway.store.configuration_records import content_keys as content_keys
from slipway.store.configuration_records import keys as keys

if TYPE_CHECKING:
    from slipway.domain.configuration import ConfigurationRecord, Content, Level
    from slipway.domain.records import AuthorRecord, EnvironmentRecord
    from slipway.store.table import Action, Fields, Key

Whole = TypeVar("Whole")

_TORN_TRIES = 10


@dataclass(frozen=True)
class Made:
    """A new configuration, and what a transaction has to write so that the environment has it.

    `fields` belong to the environment's record, whose update needs `condition` with `values` as
    well; `actions` are all other parts. If the transaction fails, read again and make another one.
    """

    number: int
    content: Content
    fields: Fields
    condition: str
    values: Mapping[str, Any]
    actions: Mapping[str, Action] = field(default_factory=dict)


def levels(environment: EnvironmentRecord, found: Sequence[Any]) -> Levels:
    """The levels of the environment, by what is at `keys`.

    Reads them again, one round trip each time, if they were written meanwhile.
    """
    where, tier = keys(ids.parse_environment(environment["id"])), tier_of(environment)
    return whole(lambda items: configuration_records.levels(items, tier), found, where)


def whole(
    take: Callable[[Sequence[Any]], Whole], found: Sequence[Any], where: Sequence[Key]
) -> Whole:
    """What `take` makes of the items that were found at the keys, which are read again while they
    belong to different versions. Raises Busy if they always do."""
    for _ in range(_TORN_TRIES):
        try:
            return take(found)
        except Torn:
            found = table.get(*where)
    raise Busy(1)


def new_version(
    environment: EnvironmentRecord,
    levels: Levels,
    by: AuthorRecord,
    reason: str,
    *,
    own: Level | None = None,
    restored: int | None = None,
) -> Made:
    """The next configuration of the environment: what its levels give now.

    `own` is the environment's own level if this changes it; its version is counted here. `restored`
    is the number of the configuration whose content it has again. Costs nothing; the transaction
    fails if the environment has got another configuration, or another level of its own, since they
    were read.
    """
    this = ids.parse_environment(environment["id"])
    number = environment.get("configuration", 0) + 1
    after = levels
    parts: dict[str, Action] = {"level": configuration_records.unchanged(this, levels.own)}
    if own is not None:
        own = cast("Level", {**own, "version": levels.own["version"] + 1})
        after = levels._replace(own=own)
        parts = configuration_records.written(this, levels.own, own)
    content = after.merged()
    head = _head(number, after, content, by, reason, restored)
    return Made(
        number,
        content,
        {"configuration": number, "configuration_levels": after.versions()},
        "configuration = :configuration_was"
        if number > 1
        else "attribute_not_exists(configuration)",
        {"configuration_was": number - 1} if number > 1 else {},
        {**parts, **configuration_records.added(this, head, content)},
    )


def _head(
    number: int,
    levels: Levels,
    content: Content,
    by: AuthorRecord,
    reason: str,
    restored: int | None,
) -> ConfigurationRecord:
    head: ConfigurationRecord = {
        "number": number,
        "at": timestamps.written(timestamps.now()),
        "by": by,
        "reason": reason,
        "tier": levels.tier,
        "levels": {**levels.versions(), "environment": levels.own["version"]},
        "variables": len(content["variables"]),
        "secrets": len(content["secrets"]),
    }
    if restored is not None:
        head["restored"] = restored
    return head


def restored(
    environment: EnvironmentRecord,
    levels: Levels,
    number: int,
    content: Content,
    by: AuthorRecord,
    reason: str,
) -> Made:
    """A new configuration with the content of an earlier one, `number`, by a change of the
    environment's own level. Raises SecretsGone if the value of a secret is no longer kept.

    What the levels above still have as it was stays inherited; everything else becomes the
    environment's own.
    """
    if gone := configuration.gone(content, levels):
        from slipway.errors.configurations import SecretsGone

        raise SecretsGone(number, gone)
    at = timestamps.written(timestamps.now())
    own = configuration.restored(content, levels, at, by)
    return new_version(environment, levels, by, reason, own=own, restored=number)
