"""/deployments: ship a version into an environment and follow it there."""

from slipway.access.auth import Caller
from slipway.domain import ids
from slipway.domain.deployment import Deployment, LogLine, NewDeployment
from slipway.domain.events import Step
from slipway.domain.paging import Page, Paging
from slipway.errors import (
    Busy,
    DeploymentFinished,
    EnvironmentNotReady,
    NotFound,
    OutdatedDeployment,
    QueueBusy,
)
from slipway.http.api import Api
from slipway.store import deployments, events, logs, queue

api = Api()
handler = api.handler


@api.post(
    "/api/v1/deployments/environments/<environment_id>",
    status=201,
    refuses=(NotFound, EnvironmentNotReady, QueueBusy, OutdatedDeployment, Busy),
)
def create(caller: Caller, environment_id: str, wanted: NewDeployment) -> Deployment:
    """Ship a version; it waits its turn behind those accepted before it."""
    return queue.join(ids.parse_environment(environment_id), wanted, caller.user_id)


@api.get("/api/v1/deployments/environments/<environment_id>", refuses=(NotFound,))
def list_(caller: Caller, environment_id: str, paging: Paging) -> Page[Deployment]:
    """List an environment's deployments, newest first."""
    return deployments.of(ids.parse_environment(environment_id), caller.user_id, paging)


@api.get("/api/v1/deployments/<deployment_id>", refuses=(NotFound,))
def get(caller: Caller, deployment_id: str) -> Deployment:
    """Look at a deployment."""
    return deployments.get(ids.parse_deployment(deployment_id), caller.user_id)


@api.post(
    "/api/v1/deployments/<deployment_id>/cancel",
    status=202,
    refuses=(NotFound, DeploymentFinished, Busy),
)
def cancel(caller: Caller, deployment_id: str) -> Deployment:
    """Stop a deployment: at once if it waits, else when its rollout looks next."""
    return queue.cancel(ids.parse_deployment(deployment_id), caller.user_id)


@api.get("/api/v1/deployments/<deployment_id>/logs", refuses=(NotFound,))
def logs_(caller: Caller, deployment_id: str, paging: Paging) -> Page[LogLine]:
    """Read a rollout's lines, oldest first; follow the `Link` to get those that are yet to come."""
    return logs.of_deployment(ids.parse_deployment(deployment_id), caller.user_id, paging)


@api.get("/api/v1/deployments/<deployment_id>/timeline", refuses=(NotFound,))
def timeline(caller: Caller, deployment_id: str) -> Page[Step]:
    """Look at the steps that a rollout took, once it has ended."""
    return Page(events.timeline(ids.parse_deployment(deployment_id), caller.user_id))
