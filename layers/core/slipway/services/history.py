"""History: events, timelines and logs of environments and deployments."""

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
# The states of an environment in which its log grows.
_LOG_GROWS = {"provisioning", "expiring", "tearing_down"}


def events(environment: EnvironmentId, principal: Principal, paging: Paging) -> Page[Event]:
    """A page of the events of an environment and its deployments, newest first; one round trip.

    Raises NotFound, and Invalid for a cursor of another list.
    """
    found, items, last = table.page(
        authorization.keys(environment, principal),
        f"ENV#{environment.e}",
        event_records.PREFIX,
        paging,
    )
    authorization.authorized(environment, principal, found)
    return Page([Event.model_validate(item) for item in items], last)


def timeline(deployment: DeploymentId, principal: Principal) -> list[Step]:
    """The steps of a rollout in order, empty until its end; one round trip. Raises NotFound."""
    *found, kept = table.get(
        *authorization.keys(deployment, principal), event_records.timeline_key(deployment)
    )
    authorization.authorized(deployment, principal, found)
    return [Step.model_validate(step) for step in json.loads(kept["steps"])] if kept else []


def deployment_logs(
    deployment: DeploymentId, principal: Principal, paging: Paging
) -> Page[LogLine]:
    """A page of the rollout's log lines, oldest first.

    Until the deployment has ended, the last page has a cursor too, to follow the log. Raises
    NotFound, and Invalid for a cursor of another list. One round trip. In the minute after the
    deployment's end one more, if the page does not have the final line.
    """
    keys = authorization.keys(deployment, principal)
    found, items, last = table.page(
        keys, log_records.pk(deployment), log_records.PREFIX, paging, newest_first=False
    )
    ended = authorization.authorized(deployment, principal, found).get("finished_at")
    if last is None and ended is None:
        last = _to_follow(items, paging)
    elif last is None and _is_recent(str(ended)) and not _has_final_line(items, paging, str(ended)):
        # The final lines may have been written after the page was read and before the record was.
        items, last = table.query(
            log_records.pk(deployment), log_records.PREFIX, limit=paging.limit, after=paging.after
        )
    return Page([log_records.to_model(item) for item in items], last)


def _has_final_line(items: Sequence[Item], paging: Paging, ended: str) -> bool:
    """Whether the page, or one before it, has the line that is written when the rollout ends."""
    read = [*(item["sk"] for item in items), paging.after or ""]
    return any(sk.startswith(f"{log_records.PREFIX}{ended}#") for sk in read)


def _to_follow(items: Sequence[Item], paging: Paging) -> str:
    """Where the log goes on when it grows: after its last line, or at its beginning."""
    return str(items[-1]["sk"]) if items else paging.after or log_records.PREFIX


def environment_logs(
    environment: EnvironmentId, principal: Principal, paging: Paging
) -> Page[LogLine]:
    """A page of the log lines of the environment's creation and teardown, oldest first.

    While either is in progress, and for a minute after, the last page has a cursor too, to follow
    the log. Raises NotFound, and Invalid for a cursor of another list. One round trip.
    """
    keys = authorization.keys(environment, principal)
    found, items, last = table.page(
        keys, log_records.pk(environment), log_records.PREFIX, paging, newest_first=False
    )
    item = authorization.authorized(environment, principal, found)
    if last is None and (item["status"] in _LOG_GROWS or _is_recent(item["updated_at"])):
        last = _to_follow(items, paging)
    return Page([log_records.to_model(item) for item in items], last)


def _is_recent(at: str) -> bool:
    return at >= timestamps.written(timestamps.now() - _ENDING)
