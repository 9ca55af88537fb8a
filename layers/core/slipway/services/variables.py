"""Variables: reading those of a level, and changing them by a merge of names and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from slipway.domain import timestamps
from slipway.domain.paging import Page
from slipway.domain.variables import Variable, VariablesChange, VariablesChanged
from slipway.services.level_changes import OwnLevel, Seen, SharedLevel, Target, Written, reason_of

if TYPE_CHECKING:
    from slipway.access.principal import Principal
    from slipway.domain.configuration import Content, Level
    from slipway.domain.ids import EnvironmentId, ProjectId
    from slipway.domain.rights import Tier


def of_environment(environment: EnvironmentId, principal: Principal) -> Page[Variable]:
    """The variables of the environment, those that it inherits among them, by name.

    One round trip. Raises NotFound.
    """
    return _listed(OwnLevel(environment, principal))


def of_project(project: ProjectId, tier: Tier | None, principal: Principal) -> Page[Variable]:
    """The variables of the project, or those that environments of the tier inherit, by name.

    One round trip. Raises NotFound.
    """
    return _listed(SharedLevel(project, tier, principal))


def change_environment(
    environment: EnvironmentId, wanted: VariablesChange, principal: Principal, *, now: bool
) -> VariablesChanged:
    """Set and remove variables of the environment's own level; no-op if nothing differs.

    `now` also queues a deployment of what is live, unless its configuration is the newest then.
    Raises NotFound, Forbidden, Invalid, NameInUse, EnvironmentGoing, Busy; with `now` NothingLive
    and what rollout_queue.accept raises. Two round trips; two more for each other change at the
    same time.
    """
    return _changed(OwnLevel(environment, principal, now=now), wanted)


def change_project(
    project: ProjectId, tier: Tier | None, wanted: VariablesChange, principal: Principal
) -> VariablesChanged:
    """Set and remove variables of the project's level, or of that of its tier.

    One write, whatever the number of environments. Raises NotFound, Forbidden, Invalid, NameInUse,
    ProjectGoing, Busy. Two round trips; two more for each other change at the same time.
    """
    return _changed(SharedLevel(project, tier, principal), wanted)


def _listed(target: Target) -> Page[Variable]:
    seen = target.read()
    return Page(_shown(target.content(seen, seen.level)))


def _shown(content: Content) -> list[Variable]:
    return [
        Variable.model_validate({"name": name, **entry})
        for name, entry in content["variables"].items()
    ]


def _changed(target: Target, wanted: VariablesChange) -> VariablesChanged:
    values = wanted.values

    def changing(seen: Seen) -> tuple[Level, str] | None:
        to_set = {name: value for name, value in values.items() if value is not None}
        target.require_free(seen, to_set, "secrets")
        after, reason = _merged(seen.level, values, target.principal)
        return None if after == seen.level else (after, reason)

    def shows(written: Written) -> VariablesChanged:
        return VariablesChanged(
            configuration=written.number,
            deployment_id=written.deployment_id,
            variables=_shown(written.content),
        )

    return shows(target.change(changing, shows))


def _merged(
    level: Level, values: Mapping[str, str | None], principal: Principal
) -> tuple[Level, str]:
    """The level after the merge, and the reason of the change."""
    at, by = timestamps.written(timestamps.now()), principal.author()
    variables: dict[str, Any] = dict(level["variables"])
    changed: dict[str, list[str]] = {"set": [], "removed": []}
    for name, value in values.items():
        before = variables.get(name)
        if value is None and (before or name in level["hidden"]):
            variables.pop(name, None)
            changed["removed"].append(name)
        if value is not None and (before is None or before["value"] != value):
            variables[name] = {"value": value, "at": at, "by": by}
            changed["set"].append(name)
    # What is hidden is set again by a value, and inherited again by its removal.
    hidden = [name for name in level["hidden"] if name not in values]
    after = cast("Level", {**level, "variables": variables, "hidden": hidden})
    return after, reason_of(**changed)
