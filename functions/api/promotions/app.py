"""/promotions, pipelines and stages: what goes from one environment to the next."""

from slipway.access.principal import Principal
from slipway.domain.ids import ProjectId, PromotionId
from slipway.domain.paging import Page, Paging
from slipway.domain.pipeline import NewPipeline, Pipeline, StageState
from slipway.domain.promotion import NewPromotion, Promotion, PromotionMode, PromotionWait
from slipway.domain.promotion_plan import PromotionPlan
from slipway.errors import (
    Busy,
    ConfirmationRequired,
    DriverFault,
    NotFound,
    PlanPending,
    PreconditionFailed,
    ProjectGoing,
)
from slipway.errors.promotions import SourceNotReady
from slipway.http.app import Api
from slipway.http.routes import Confirmed, IfMatch

api = Api()
handler = api.handler


@api.post(
    "/api/v1/promotions",
    action="promotions:create",
    status=202,
    found=200,
    refuses=(NotFound, SourceNotReady, ConfirmationRequired, PlanPending, Busy, DriverFault),
)
def promote(
    principal: Principal, wanted: NewPromotion, mode: PromotionMode, confirmed: Confirmed | None
) -> tuple[Promotion | PromotionPlan, bool]:
    """Promote what is live in an environment to others. Read it for progress."""
    # Imported here and below, because each route needs another module.
    if mode.dry_run:
        from slipway.services import promotion_plans

        return promotion_plans.plan(wanted, principal, confirmed), False
    from slipway.services import promotions

    return promotions.promote(wanted, principal, confirmed), True


@api.get(
    "/api/v1/promotions/<promotion_id>",
    action="promotions:read",
    refuses=(NotFound,),
    waits="change",
)
def get(principal: Principal, promotion_id: PromotionId, waiting: PromotionWait) -> Promotion:
    """Read a promotion, and how far it is in each target."""
    from slipway.services import promotion_history

    return promotion_history.get(promotion_id, principal)


@api.get("/api/v1/projects/<project_id>/promotions", action="promotions:read", refuses=(NotFound,))
def list_in_project(principal: Principal, project_id: ProjectId, paging: Paging) -> Page[Promotion]:
    """List a project's promotions, newest first."""
    from slipway.services import promotion_history

    return promotion_history.list_(project_id, principal, paging)


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
