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
from slipway.store.table import Found, Item

_ENDING = timedelta(minutes=1)


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
    return _lines(*_to_the_end(log_records.pk(deployment), paging, (items, last), ended))


def _to_the_end(pk: str, paging: Paging, page: Found, ended: str | None) -> Found:
    """The page of a log whose subject ended at `ended`, with a cursor if more lines may come."""
    items, last = page
    if last is not None:
        return page
    if ended is None:
        return items, _to_follow(items, paging)
    if _is_recent(ended) and not _has_final_line(items, paging, ended):
        # The final lines may have been written after the page was read and before the record was.
        return table.query(pk, log_records.PREFIX, limit=paging.limit, after=paging.after)
    return page


def _has_final_line(items: Sequence[Item], paging: Paging, ended: str) -> bool:
    """Whether the page, or one before it, has the line that ends the log."""
    read = [*(item["sk"] for item in items), paging.after or ""]
    return any(sk.startswith(f"{log_records.PREFIX}{ended}#") for sk in read)


def _to_follow(items: Sequence[Item], paging: Paging) -> str:
    """Where the log goes on when it grows: after its last line, or at its beginning."""
    return str(items[-1]["sk"]) if items else paging.after or log_records.PREFIX


def environment_logs(
    environment: EnvironmentId, principal: Principal, paging: Paging
) -> Page[LogLine]:
    """A page of the environment's log lines, from its creation to its end, oldest first.

    Until the environment is destroyed, the last page has a cursor too, to follow the log. Raises
    NotFound, and Invalid for a cursor of another list. One round trip. In the minute after the
    environment's end one more, if the page does not have the final line.
    """
    keys = authorization.keys(environment, principal)
    found, items, last = table.page(
        keys, log_records.pk(environment), log_records.PREFIX, paging, newest_first=False
    )
    ended = authorization.authorized(environment, principal, found).get("destroyed_at")
    return _lines(*_to_the_end(log_records.pk(environment), paging, (items, last), ended))


def _lines(items: Sequence[Item], last: str | None) -> Page[LogLine]:
    places = [str(item["sk"]) for item in items]
    return Page([log_records.to_model(item) for item in items], last, places)


def _is_recent(at: str) -> bool:
    return at >= timestamps.written(timestamps.now() - _ENDING)
