"""Levels and configurations of environments, as the table holds them.

A level, and the content of a configuration, is deflated JSON in slices. All slices of a level are
written in one transaction and say which version of it they belong to. Items are read one by one, so
a read that meets a write can find slices of two versions: `Torn`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from slipway.domain import configuration
from slipway.domain.configuration import SLICES_OF_CONFIGURATION, SLICES_OF_LEVEL, Levels
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.rights import TIERS, Tier
from slipway.store.actions import Action, Check, Delete, Fields, Key, Put, Update, setting

if TYPE_CHECKING:
    from slipway.domain.configuration import ConfigurationRecord, Content, Level

LEVEL = "CONFIG#"
HEAD = "CONFIGURATION#"
_CONTENT = "CONFIGURED#"

Scope = tuple[ProjectId, Tier | None] | EnvironmentId
"""What has a level: a project, a tier of a project, or an environment."""


class Torn(Exception):
    """The slices that were read belong to different versions: read them again."""


# --- levels -----------------------------------------------------------------------------------


def level_keys(scope: Scope) -> list[Key]:
    """The keys of the level's slices, whether they exist or not."""
    if isinstance(scope, EnvironmentId):
        return [Key(f"ENV#{scope.e}", f"{LEVEL}{n}") for n in range(SLICES_OF_LEVEL)]
    project, tier = scope
    name = tier or "project"
    return [Key(f"PROJECT#{project.p}", f"{LEVEL}{name}#{n}") for n in range(SLICES_OF_LEVEL)]


def keys(environment: EnvironmentId) -> list[Key]:
    """The keys of all levels that an environment can have: its project's and all tiers', because
    its tier is not known before it is read."""
    return [*project_keys(environment.project), *level_keys(environment)]


def project_keys(project: ProjectId) -> list[Key]:
    """The keys of the levels of the project and of its tiers."""
    return [key for tier in (None, *TIERS) for key in level_keys((project, tier))]


def level(slices: Sequence[Any]) -> Level:
    """The level with these slices, empty if there is none. Raises Torn."""
    first = slices[0]
    if first is None:
        if any(slices):
            raise Torn()
        return configuration.empty()
    used = slices[: first["slices"]]
    if any(each is None or each["version"] != first["version"] for each in used):
        raise Torn()
    found: Level = configuration.unpacked(each["data"] for each in used)
    return found


def of_project(found: Sequence[Any]) -> tuple[Level, dict[Tier, Level]]:
    """The levels of a project and of its tiers, by what is at `project_keys`. Raises Torn."""
    parts = [found[n : n + SLICES_OF_LEVEL] for n in range(0, len(found), SLICES_OF_LEVEL)]
    whole, *tiers = [level(each) for each in parts]
    return whole, dict(zip(TIERS, tiers, strict=True))


def levels(found: Sequence[Any], tier: Tier) -> Levels:
    """The levels of an environment of the tier, by what is at `keys`. Raises Torn."""
    whole, tiers = of_project(found[:-SLICES_OF_LEVEL])
    return Levels(tier, whole, tiers, level(found[-SLICES_OF_LEVEL:]))


def written(scope: Scope, before: Level, after: Level) -> dict[str, Action]:
    """The parts of a transaction that write the level, if it still has the version of `before`.

    `level` is the part that fails if it has another one.
    """
    first, *others = configuration.packed(after)
    key, *more = level_keys(scope)
    item: Fields = {"version": after["version"], "slices": 1 + len(others), "data": first}
    seen = unchanged(scope, before)
    parts: dict[str, Action] = {"level": Put(key, item, seen.condition, seen.values)}
    for n, (slice_key, data) in enumerate(zip_longest(more, others)):
        item = {"version": after["version"], "data": data}
        # A level that has become smaller leaves no slices behind.
        parts[f"level {n + 1}"] = Put(slice_key, item, None) if data else Delete(slice_key)
    return parts


def unchanged(scope: Scope, seen: Level) -> Check:
    """The part of a transaction that fails if the level has changed since it was read."""
    key = level_keys(scope)[0]
    if not seen["version"]:
        return Check(key, "attribute_not_exists(pk)")
    return Check(key, "version = :seen", {"seen": seen["version"]})


# --- configurations ---------------------------------------------------------------------------


def head_key(environment: EnvironmentId, number: int) -> Key:
    """The key of what is known about the configuration with this number."""
    return Key(f"ENV#{environment.e}", f"{HEAD}{number:010d}")


def content_keys(environment: EnvironmentId, number: int) -> list[Key]:
    """The keys of the slices of its content, whether they exist or not."""
    pk = f"ENV#{environment.e}"
    count = SLICES_OF_CONFIGURATION
    return [Key(pk, f"{_CONTENT}{number:010d}#{n}") for n in range(count)]


def content(slices: Sequence[Any]) -> Content:
    """The content with these slices; nothing if there is none."""
    used = [each["data"] for each in slices if each is not None]
    if not used:
        return configuration.nothing()
    found: Content = configuration.unpacked(used)
    return found


def added(
    environment: EnvironmentId, head: ConfigurationRecord, made_of: Content
) -> dict[str, Action]:
    """The parts of a transaction that add a configuration. They fail if its number is taken."""
    number, slices = head["number"], configuration.packed(made_of)
    parts: dict[str, Action] = {"configuration": Put(head_key(environment, number), head)}
    for n, (key, data) in enumerate(zip(content_keys(environment, number), slices, strict=False)):
        parts[f"configured {n}"] = Put(key, {"data": data})
    return parts


def purged(
    environment: EnvironmentId, head: ConfigurationRecord, names: Sequence[str], kept: Content
) -> dict[str, Action]:
    """The parts of a transaction that take names out of a configuration, of which `kept` is left.

    `names` are all that are purged from it by now. They fail if others were purged since `head` was
    read.
    """
    condition, values = "attribute_not_exists(purged)", {}
    if before := head.get("purged"):
        condition, values = "purged = :before", {"before": before}
    counts = {"variables": len(kept["variables"]), "secrets": len(kept["secrets"])}
    change, written = setting({"purged": list(names), **counts})
    key = head_key(environment, head["number"])
    parts: dict[str, Action] = {
        "head": Update(key, change, {**written, **values}, f"attribute_exists(pk) AND {condition}")
    }
    where = content_keys(environment, head["number"])
    for n, (slice_key, data) in enumerate(zip_longest(where, configuration.packed(kept))):
        # An update, because reconcile has no right to put items.
        change, written = setting({"data": data})
        left = Update(slice_key, change, written) if data else Delete(slice_key)
        parts[f"configured {n}"] = left
    return parts
