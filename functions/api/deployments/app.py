"""/deployments: deploy a version into an environment and follow its rollout."""

from slipway.access.principal import Principal
from slipway.domain.deployment import Deployment, LogLine, NewDeployment
from slipway.domain.deployment_lists import DeploymentListing
from slipway.domain.events import Step
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.domain.paging import Page, Paging
from slipway.domain.waiting import DeploymentWait
from slipway.errors import (
    Busy,
    DeploymentFinished,
    EnvironmentNotReady,
    NotFound,
    OutdatedDeployment,
    QueueBusy,
    QuotaExceeded,
    TemplateTakesNoVersion,
)
from slipway.errors.rollbacks import EnvironmentHeld
from slipway.http.app import Api
from slipway.http.responses import DocumentResponse
from slipway.http.routes import SVG
from slipway.services import deployments, history, rollout_queue

api = Api()
handler = api.handler


@api.post(
    "/api/v1/deployments/environments/<environment_id>",
    action="deployments:create",
    status=201,
    refuses=(
        NotFound,
        EnvironmentNotReady,
        EnvironmentHeld,
        QueueBusy,
        TemplateTakesNoVersion,
        OutdatedDeployment,
        QuotaExceeded,
        Busy,
    ),
    also={"create_in_environment": "/api/v1/environments/<environment_id>/deployments"},
)
def create(
    principal: Principal, environment_id: EnvironmentId, wanted: NewDeployment
) -> Deployment:
    """Create a deployment. It waits in the queue behind those accepted before it."""
    return rollout_queue.enqueue(environment_id, wanted, principal)


@api.get("/api/v1/deployments", action="deployments:browse", refuses=(NotFound,))
def browse(principal: Principal, wanted: DeploymentListing) -> Page[Deployment]:
    """List the deployments in all your projects, newest first."""
    # Imported here and below, because only lists need it.
    from slipway.services import lists

    return lists.deployments(principal, wanted)


@api.get(
    "/api/v1/projects/<project_id>/deployments", action="deployments:list", refuses=(NotFound,)
)
def list_in_project(
    principal: Principal, project_id: ProjectId, wanted: DeploymentListing
) -> Page[Deployment]:
    """List the deployments in a project, newest first."""
    from slipway.services import lists

    return lists.deployments_in(project_id, principal, wanted)


@api.get(
    "/api/v1/deployments/environments/<environment_id>",
    action="deployments:list",
    refuses=(NotFound,),
    also={"list_in_environment": "/api/v1/environments/<environment_id>/deployments"},
)
def list_(
    principal: Principal, environment_id: EnvironmentId, wanted: DeploymentListing
) -> Page[Deployment]:
    """List an environment's deployments, newest first."""
    from slipway.services import lists

    return lists.deployments_into(environment_id, principal, wanted)


@api.get(
    "/api/v1/deployments/<deployment_id>",
    action="deployments:read",
    refuses=(NotFound,),
    waits="change",
)
def get(principal: Principal, deployment_id: DeploymentId, waiting: DeploymentWait) -> Deployment:
    """Read a deployment."""
    return deployments.get(deployment_id, principal)


@api.post(
    "/api/v1/deployments/<deployment_id>/cancel",
    action="deployments:cancel",
    status=202,
    refuses=(NotFound, DeploymentFinished, Busy),
)
def cancel(principal: Principal, deployment_id: DeploymentId) -> Deployment:
    """Cancel a deployment: immediately if it waits, or else at its rollout's next step."""
    return rollout_queue.cancel(deployment_id, principal)


@api.get(
    "/api/v1/deployments/<deployment_id>/logs",
    action="deployments:read",
    refuses=(NotFound,),
    waits="line",
    page="/console/deployments/<deployment_id>",
)
def logs_(principal: Principal, deployment_id: DeploymentId, paging: Paging) -> Page[LogLine]:
    """Read a rollout's log lines, oldest first. Follow the `Link` header for later ones."""
    return history.deployment_logs(deployment_id, principal, paging)


@api.get(
    "/api/v1/deployments/<deployment_id>/timeline", action="deployments:read", refuses=(NotFound,)
)
def timeline(principal: Principal, deployment_id: DeploymentId) -> Page[Step]:
    """List the steps that a rollout took, once it has ended."""
    return Page(history.timeline(deployment_id, principal))


@api.get(
    "/api/v1/deployments/<deployment_id>/timeline.svg",
    action="deployments:read",
    media=(SVG,),
    refuses=(NotFound,),
)
def draw_timeline(principal: Principal, deployment_id: DeploymentId) -> DocumentResponse:
    """Draw the steps of a rollout over time, as SVG."""
    from slipway.http import picture
    from slipway.services import pictures

    return picture.rendered(pictures.timeline(deployment_id, principal))
