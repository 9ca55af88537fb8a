"""Deployments: reading and listing them. slipway.services.rollout_queue accepts them."""

from __future__ import annotations

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain.deployment import Deployment
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.domain.paging import Page, Paging
from slipway.store import deployment_records, table


def get(deployment: DeploymentId, principal: Principal) -> Deployment:
    """The deployment; one round trip. Raises NotFound."""
    return deployment_records.to_model(authorization.read(deployment, principal))


def list_(environment: EnvironmentId, principal: Principal, paging: Paging) -> Page[Deployment]:
    """A page of the environment's deployments, newest first; one round trip.

    Raises NotFound, and Invalid for a cursor of another list.
    """
    keys = authorization.keys(environment, principal)
    pk, prefix = f"ENV#{environment.e}", deployment_records.PREFIX
    found, items, last = table.page(keys, pk, prefix, paging)
    authorization.authorized(environment, principal, found)
    return Page([deployment_records.to_model(item) for item in items], last)
