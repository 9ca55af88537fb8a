"""Environments for callers who wait for a version: whether it can still become live."""

from __future__ import annotations

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import timestamps
from slipway.domain.environment import Environment
from slipway.domain.ids import EnvironmentId
from slipway.store import deployment_records, environment_records, project_records, table
from slipway.store.table import Query

# How many of the newest deployments are read. One that is further back waits for all of these.
_NEWEST = 20


def environment(environment: EnvironmentId, principal: Principal, version: str) -> Environment:
    """The environment as the principal sees it now, which knows whether the version was given up.

    It was if the newest deployment that brings it has ended otherwise than live. One that was never
    asked for may still come. One round trip. Raises NotFound.
    """
    newest = Query(f"ENV#{environment.e}", deployment_records.PREFIX, _NEWEST, newest_first=True)
    keys = authorization.keys(environment, principal)
    (*found, within), [(deployments, _)] = table.read(
        (*keys, project_records.key(environment.project)), newest
    )
    record = authorization.authorized(environment, principal, found)
    bringing = (
        each
        for each in deployments
        if each.get("version") == version and not deployment_records.is_update(each)
    )
    last = next(bringing, None)
    # A success is live in the record at the latest when it is read again.
    is_lost = last is not None and last.get("finished_at") and last["status"] != "succeeded"
    shown = environment_records.to_model(record, within).as_seen_at(timestamps.now())
    return shown.model_copy(update={"given_up": version}) if is_lost else shown
