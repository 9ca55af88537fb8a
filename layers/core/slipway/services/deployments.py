"""Deployments: reading them. slipway.services.rollout_queue accepts them."""

from __future__ import annotations

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain.deployment import Deployment
from slipway.domain.ids import DeploymentId
from slipway.store import deployment_records


def get(deployment: DeploymentId, principal: Principal) -> Deployment:
    """The deployment; one round trip. Raises NotFound."""
    return deployment_records.to_model(authorization.read(deployment, principal))
