"""What happened: events, timelines and logs of environments and deployments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import timestamps
from slipway.domain.deployment import LogLine
from slipway.domain.events import Event, Step
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.domain.paging import Page, Paging
from slipway.store import event_records, log_records, table
from slipway.store.table import Item

_ENDING = timedelta(minutes=1)
# Something is done to an environment in these; in the others nothing is to come for now.
_UNDER_WAY = {"provisioning", "expiring", "tearing_down"}


def events(environment: EnvironmentId, principal: Principal, paging: Paging) -> Page[Event]:
    """What happened to the environment and in it, newest first. Raises NotFound."""
    found, items, last = table.page(
        authorization.keys(environment, principal),
        f"ENV#{environment.e}",
        event_records.PREFIX,
        paging,
    )
    authorization.authorized(environment, *found)
    return Page([Event.model_validate(item) for item in items], last)


def timeline(deployment: DeploymentId, principal: Principal) -> list[Step]:
    """The steps of a rollout that has ended, in order; none before. Raises NotFound."""
    *found, kept = table.get(
        *authorization.keys(deployment, principal), event_records.timeline_key(deployment)
    )
    authorization.authorized(deployment, *found)
    return [Step.model_validate(step) for step in json.loads(kept["steps"])] if kept else []


def deployment_logs(
    deployment: DeploymentId, principal: Principal, paging: Paging
) -> Page[LogLine]:
    """The rollout's lines, oldest first. Raises NotFound. One round trip; one more within a minute
    of its end if the page has not the line that is written together with that.

    While the deployment has not ended the last page has a cursor too: more may come after it.
    """
    keys = authorization.keys(deployment, principal)
    found, items, last = table.page(
        keys, log_records.pk(deployment), log_records.PREFIX, paging, newest_first=False
    )
    ended = authorization.authorized(deployment, *found).get("finished_at")
    if last is None and ended is None:
        last = items[-1]["sk"] if items else paging.after
    elif last is None and _is_recent(str(ended)) and not _has_the_end(items, paging, str(ended)):
        # The last lines may have come after the page was read, and before the record was.
        items, last = table.query(
            log_records.pk(deployment), log_records.PREFIX, limit=paging.limit, after=paging.after
        )
    return Page([log_records.read(item) for item in items], last)


def _has_the_end(items: Sequence[Item], paging: Paging, ended: str) -> bool:
    """Whether the line was read that is written together with the end: no other is to come."""
    read = [*(item["sk"] for item in items), paging.after or ""]
    return any(sk.startswith(f"{log_records.PREFIX}{ended}#") for sk in read)


def environment_logs(
    environment: EnvironmentId, principal: Principal, paging: Paging
) -> Page[LogLine]:
    """What was said as the environment was made and taken away, oldest first. Raises NotFound.

    While either goes on, and for a minute after, the last page has a cursor too. One round trip.
    """
    keys = authorization.keys(environment, principal)
    found, items, last = table.page(
        keys, log_records.pk(environment), log_records.PREFIX, paging, newest_first=False
    )
    item = authorization.authorized(environment, *found)
    if last is None and (item["status"] in _UNDER_WAY or _is_recent(item["updated_at"])):
        last = items[-1]["sk"] if items else paging.after
    return Page([log_records.read(item) for item in items], last)


def _is_recent(at: str) -> bool:
    return at >= timestamps.written(timestamps.now() - _ENDING)
