"""Pictures of a rollout and of an environment's history, for those who may read these."""

from __future__ import annotations

import json
from typing import Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import rollout_pictures, timestamps
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.domain.pictures import svg
from slipway.store import (
    deployment_records,
    environment_records,
    event_records,
    log_records,
    table,
)
from slipway.store.table import Query

_LINES = 200
_DEPLOYMENTS = 20


def timeline(deployment: DeploymentId, principal: Principal) -> str:
    """The rollout's steps over time as SVG; one round trip. Raises NotFound.

    Until its end, its steps follow from the first lines of its log.
    """
    keys = authorization.keys(deployment, principal)
    log = Query(log_records.pk(deployment), log_records.PREFIX, _LINES)
    (*found, kept), [(lines, _)] = table.read([*keys, event_records.timeline_key(deployment)], log)
    record = authorization.authorized(deployment, principal, found)
    steps: list[Any] = json.loads(kept["steps"]) if kept else []
    shown = deployment_records.to_model(record).model_dump()
    return svg(rollout_pictures.timeline(shown, steps, lines, timestamps.now()))


def history(environment: EnvironmentId, principal: Principal) -> str:
    """What was live when, and the last twenty deployments, as SVG; one round trip.

    Raises NotFound.
    """
    keys = authorization.keys(environment, principal)
    newest = Query(f"ENV#{environment.e}", "DEP#", _DEPLOYMENTS, newest_first=True)
    found, [(items, _)] = table.read(keys, newest)
    record = authorization.authorized(environment, principal, found)
    shown = environment_records.to_model(record).model_dump()
    deployments = [deployment_records.to_model(each).model_dump() for each in items]
    return svg(rollout_pictures.history(shown, deployments, timestamps.now()))
