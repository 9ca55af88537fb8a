"""Which configuration an environment runs with, and which one it has for its next deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.domain.rights import tier_of

if TYPE_CHECKING:
    from slipway.domain.records import EnvironmentRecord, ProjectRecord
    from slipway.store.table import Fields


def shown(item: EnvironmentRecord, project: ProjectRecord | None) -> Fields:
    """The fields `configuration` and `ahead` of the environment that the API returns.

    `project` is the project's record, if it was read. `ahead` has the versions of the levels above
    that the newest configuration lacks, if a deployment would bring them.
    """
    newest, live = item.get("configuration", 0), item.get("live_configuration", 0)
    pending = newest if newest != live else None
    if item["status"] == "destroyed":
        return {"configuration": {"live": live}}
    if not (project and (project.get("configurations") or item.get("configuration_levels"))):
        return {"configuration": {"live": live, "pending": pending}}
    # Imported here, because many projects have no variables.
    from slipway.domain import configuration

    if not configuration.is_pending(item, project):
        return {"configuration": {"live": live, "pending": pending}}
    above = project.get("configurations", {})
    ahead = f"{above.get('project', 0)}.{above.get(tier_of(item), 0)}"
    return {"configuration": {"live": live, "pending": newest + 1}, "ahead": ahead}
