"""/promotions, pipelines and stages: what goes from one environment to the next."""

from slipway.access.principal import Principal
from slipway.domain.ids import ProjectId
from slipway.domain.paging import Page
from slipway.domain.pipeline import NewPipeline, Pipeline, StageState
from slipway.errors import Busy, NotFound, PreconditionFailed, ProjectGoing
from slipway.http.app import Api
from slipway.http.routes import IfMatch

api = Api()
handler = api.handler


@api.get("/api/v1/projects/<project_id>/pipeline", action="pipeline:read", refuses=(NotFound,))
def get_pipeline(principal: Principal, project_id: ProjectId) -> Pipeline:
    """Read a project's pipeline: its stages, in the order in which versions are promoted."""
    from slipway.services import pipelines

    return pipelines.get(project_id, principal)


@api.put(
    "/api/v1/projects/<project_id>/pipeline",
    action="pipeline:change",
    refuses=(NotFound, ProjectGoing, PreconditionFailed, Busy),
)
def put_pipeline(
    principal: Principal, project_id: ProjectId, wanted: NewPipeline, if_match: IfMatch | None
) -> Pipeline:
    """Replace a project's pipeline."""
    from slipway.services import pipelines

    return pipelines.put(project_id, wanted, principal, if_match)


@api.get("/api/v1/projects/<project_id>/stages", action="pipeline:read", refuses=(NotFound,))
def list_stages(principal: Principal, project_id: ProjectId) -> Page[StageState]:
    """List the stages of a project's pipeline, and what is live in each."""
    from slipway.services import pipelines

    return pipelines.stages(project_id, principal)
