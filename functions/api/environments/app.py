"""/environments: create, read, update, extend and tear down."""

from slipway.access.principal import Principal
from slipway.domain.deployment import Deployment, LogLine, NewDeployment
from slipway.domain.deployment_lists import DeploymentListing
from slipway.domain.environment import Environment
from slipway.domain.environment_lists import EnvironmentListing
from slipway.domain.environment_requests import (
    CreationMode,
    EnvironmentChange,
    EnvironmentDeletion,
    Extension,
    NewEnvironment,
    Pinning,
    TeardownRetry,
)
from slipway.domain.events import Event
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.paging import Page, Paging
from slipway.domain.plan import Plan
from slipway.domain.rollback import NewRollback, RollbackPlan
from slipway.domain.update import EnvironmentUpdate, UpdateMode, UpdatePlan
from slipway.domain.waiting import EnvironmentWait
from slipway.errors import (
    Busy,
    ConfirmationRequired,
    DriverFault,
    EnvironmentDiffers,
    EnvironmentGoing,
    EnvironmentNotReady,
    ExternalIdTaken,
    NameTaken,
    NoLease,
    NoTemplate,
    NotFound,
    NothingToRetain,
    NothingToRetry,
    OutdatedDeployment,
    PlanPending,
    PreconditionFailed,
    ProjectGoing,
    QueueBusy,
    QuotaExceeded,
    TemplateTakesNoVersion,
    TtlExceedsPolicy,
)
from slipway.errors.rollbacks import EnvironmentHeld, NothingToRollBackTo
from slipway.http.app import Api
from slipway.http.responses import DocumentResponse
from slipway.http.routes import SVG, Confirmed, IfMatch, Rest
from slipway.services import (
    environments,
    history,
    leases,
    rollout_queue,
    teardowns,
)

api = Api()
handler = api.handler

_CHANGES_THE_STACK = (
    *(NotFound, ConfirmationRequired, EnvironmentNotReady, QuotaExceeded, Busy),
    *(PlanPending, DriverFault),
)


@api.post(
    "/api/v1/environments/projects/<project_id>",
    action="environments:create",
    status=201,
    found=200,
    also={"create_in_project": "/api/v1/projects/<project_id>/environments"},
    refuses=(NotFound, NameTaken, ExternalIdTaken, ProjectGoing, QuotaExceeded, Busy, DriverFault),
)
def create(
    principal: Principal, project_id: ProjectId, wanted: NewEnvironment, mode: CreationMode
) -> tuple[Environment | Plan, bool]:
    """Create an environment. It is `provisioning` until it is `running`."""
    if mode.dry_run:
        return environments.plan(project_id, wanted, principal), False
    return environments.create(project_id, wanted, principal), True


@api.put(
    "/api/v1/projects/<project_id>/environments/by-external-id/<external_id>",
    action="environments:create",
    status=201,
    found=200,
    refuses=(
        NotFound,
        NameTaken,
        ExternalIdTaken,
        EnvironmentGoing,
        EnvironmentDiffers,
        PreconditionFailed,
        ProjectGoing,
        QuotaExceeded,
        Busy,
        DriverFault,
    ),
)
def ensure(
    principal: Principal,
    project_id: ProjectId,
    external_id: Rest,
    wanted: NewEnvironment,
    if_match: IfMatch | None,
) -> tuple[Environment, bool]:
    """Ensure that an environment with this external id exists: 201 if created, 200 if found.

    It is as the body says then: `config`, `labels` and `on_conflict` become those of the body, what
    else differs is 409, and so is an environment that is ending.
    """
    wanted = wanted.known_as(external_id)
    return environments.ensure(project_id, external_id, wanted, principal, if_match)


@api.get(
    "/api/v1/projects/<project_id>/environments/by-external-id/<external_id>",
    action="environments:read",
    refuses=(NotFound,),
)
def get_by_external_id(
    principal: Principal, project_id: ProjectId, external_id: Rest
) -> Environment:
    """Read the environment with this external id.

    It is 404 when the environment has been destroyed. All that follows in the path is the external
    id, with its slashes.
    """
    # Imported here, because most environments are found by their ids.
    from slipway.services import external_ids

    return external_ids.get(project_id, external_id, principal)


@api.delete(
    "/api/v1/projects/<project_id>/environments/by-external-id/<external_id>",
    action="environments:destroy",
    status=202,
    refuses=(NotFound, ConfirmationRequired, PreconditionFailed, Busy),
)
def tear_down_by_external_id(
    principal: Principal,
    project_id: ProjectId,
    external_id: Rest,
    if_match: IfMatch | None,
    confirmed: Confirmed | None,
) -> Environment:
    """Tear the environment with this external id down.

    Repeat the request or read the environment for progress. Both are 404 when that is done.
    """
    from slipway.services import external_ids

    return external_ids.tear_down(project_id, external_id, principal, if_match, confirmed)


@api.get("/api/v1/environments", action="environments:browse", refuses=(NotFound,))
def browse(principal: Principal, wanted: EnvironmentListing) -> Page[Environment]:
    """List the environments of all your projects, newest first. Destroyed ones if asked for."""
    # Imported here and below, because only lists need it.
    from slipway.services import lists

    return lists.environments(principal, wanted)


@api.get(
    "/api/v1/environments/projects/<project_id>",
    action="environments:list",
    refuses=(NotFound,),
    also={"list_in_project": "/api/v1/projects/<project_id>/environments"},
    waits="change",
)
def list_(
    principal: Principal, project_id: ProjectId, wanted: EnvironmentListing
) -> Page[Environment]:
    """List a project's environments, newest first. Destroyed ones if asked for."""
    from slipway.services import lists

    return lists.environments_in(project_id, principal, wanted)


@api.get(
    "/api/v1/environments/<environment_id>",
    action="environments:read",
    also={"get_in_project": "/api/v1/projects/<project_id>/environments/<environment_id>"},
    refuses=(NotFound,),
    waits="change",
)
def get(
    principal: Principal, environment_id: EnvironmentId, waiting: EnvironmentWait
) -> Environment:
    """Read an environment."""
    if waiting.version is None:
        return environments.get(environment_id, principal)
    # Imported here, because few callers wait for a version.
    from slipway.services import awaited

    return awaited.environment(environment_id, principal, waiting.version)


@api.patch(
    "/api/v1/environments/<environment_id>",
    action="environments:change",
    also={"change_in_project": "/api/v1/projects/<project_id>/environments/<environment_id>"},
    refuses=(
        NotFound,
        NameTaken,
        ConfirmationRequired,
        EnvironmentGoing,
        ProjectGoing,
        PreconditionFailed,
        Busy,
    ),
)
def change(
    principal: Principal,
    environment_id: EnvironmentId,
    wanted: EnvironmentChange,
    if_match: IfMatch | None,
    confirmed: Confirmed | None,
) -> Environment:
    """Change an environment's name, configuration, labels, tier, protection or `on_conflict`."""
    # Imported here, because no other route changes the fields.
    from slipway.services import changes

    return changes.change(environment_id, wanted, principal, confirmed, if_match)


@api.post(
    "/api/v1/projects/<project_id>/environments/<environment_id>/deployments",
    action="deployments:create",
    status=201,
    refuses=(
        *(NotFound, EnvironmentNotReady, EnvironmentHeld, QueueBusy, TemplateTakesNoVersion),
        *(OutdatedDeployment, QuotaExceeded, Busy),
    ),
)
def deploy(
    principal: Principal, environment_id: EnvironmentId, wanted: NewDeployment
) -> Deployment:
    """Create a deployment into an environment that is named within its project."""
    return rollout_queue.enqueue(environment_id, wanted, principal)


@api.get(
    "/api/v1/projects/<project_id>/environments/<environment_id>/deployments",
    action="deployments:list",
    refuses=(NotFound,),
)
def list_deployments(
    principal: Principal, environment_id: EnvironmentId, wanted: DeploymentListing
) -> Page[Deployment]:
    """List the deployments of an environment that is named within its project."""
    from slipway.services import lists

    return lists.deployments_into(environment_id, principal, wanted)


@api.get(
    "/api/v1/environments/<environment_id>/logs",
    action="environments:read",
    refuses=(NotFound,),
    waits="line",
    page="/console/environments/<environment_id>",
)
def logs_(principal: Principal, environment_id: EnvironmentId, paging: Paging) -> Page[LogLine]:
    """Read its log from creation to end, oldest first. Follow the `Link` header."""
    return history.environment_logs(environment_id, principal, paging)


@api.post(
    "/api/v1/environments/<environment_id>/update",
    action="environments:update",
    status=201,
    found=200,
    refuses=(NoTemplate, EnvironmentHeld, QueueBusy, *_CHANGES_THE_STACK),
)
def update(
    principal: Principal,
    environment_id: EnvironmentId,
    wanted: EnvironmentUpdate,
    mode: UpdateMode,
    confirmed: Confirmed | None,
) -> tuple[Deployment | UpdatePlan, bool]:
    """Change the template version or inputs. The update waits in the queue of deployments."""
    # Imported here, because no other route changes a stack.
    from slipway.services import updates

    if mode.dry_run:
        return updates.preview(environment_id, wanted, principal), False
    return updates.request(environment_id, wanted, principal, confirmed), True


@api.post(
    "/api/v1/environments/<environment_id>/rollback",
    action="deployments:rollback",
    status=201,
    found=200,
    refuses=(NothingToRollBackTo, *_CHANGES_THE_STACK),
)
def roll_back(
    principal: Principal,
    environment_id: EnvironmentId,
    wanted: NewRollback,
    mode: UpdateMode,
    confirmed: Confirmed | None,
) -> tuple[Deployment | RollbackPlan, bool]:
    """Roll back to what was live before, ahead of all that wait, and hold machines off."""
    # Imported here, because no other route rolls back.
    from slipway.services import rollbacks

    if mode.dry_run:
        return rollbacks.preview(environment_id, wanted, principal), False
    return rollbacks.request(environment_id, wanted, principal, confirmed)


@api.delete(
    "/api/v1/environments/<environment_id>/hold",
    action="deployments:release",
    refuses=(NotFound, Busy),
)
def release_hold(principal: Principal, environment_id: EnvironmentId) -> Environment:
    """Release the hold of a rollback, so that tokens and workloads deploy again."""
    # Imported here, because no other route releases it.
    from slipway.services import holds

    return holds.release(environment_id, principal)


@api.get(
    "/api/v1/environments/<environment_id>/queue",
    action="deployments:list",
    refuses=(NotFound,),
    waits="change",
)
def see_queue(principal: Principal, environment_id: EnvironmentId) -> Page[Deployment]:
    """List its deployments that have not ended: the running one, then the waiting ones."""
    # Imported here, because no other route shows the queue.
    from slipway.services import queues

    return Page(queues.list_(environment_id, principal))


@api.get(
    "/api/v1/environments/<environment_id>/events", action="environments:read", refuses=(NotFound,)
)
def see_events(principal: Principal, environment_id: EnvironmentId, paging: Paging) -> Page[Event]:
    """List the events of an environment and its deployments, newest first."""
    return history.events(environment_id, principal, paging)


@api.get(
    "/api/v1/environments/<environment_id>/history.svg",
    action="environments:read",
    media=(SVG,),
    refuses=(NotFound,),
)
def draw_history(principal: Principal, environment_id: EnvironmentId) -> DocumentResponse:
    """Draw what was live when, and the last deployments, as SVG."""
    from slipway.http import picture
    from slipway.services import pictures

    return picture.rendered(pictures.history(environment_id, principal))


@api.delete(
    "/api/v1/environments/<environment_id>",
    action="environments:destroy",
    also={"tear_down_in_project": "/api/v1/projects/<project_id>/environments/<environment_id>"},
    status=202,
    refuses=(NotFound, ConfirmationRequired, PreconditionFailed, NothingToRetry, Busy),
)
def tear_down(
    principal: Principal,
    environment_id: EnvironmentId,
    options: EnvironmentDeletion,
    if_match: IfMatch | None,
    confirmed: Confirmed | None,
) -> Environment:
    """Tear an environment down. Repeat the request or read it for progress.

    It ends what is under way in the environment and empties its buckets. If it fails, it is tried
    again for 24 hours: `failure` says what blocks it, and `next_retry_at` when.
    """
    if options.force:
        forcing = principal.asking("environments:force")
        return teardowns.forget(environment_id, forcing, if_match, confirmed)
    return teardowns.begin(environment_id, principal, if_match, confirmed)


@api.post(
    "/api/v1/environments/<environment_id>/teardown/retry",
    action="environments:destroy",
    status=202,
    refuses=(NotFound, NothingToRetry, NothingToRetain, Busy),
)
def retry_teardown(
    principal: Principal, environment_id: EnvironmentId, wanted: TeardownRetry | None
) -> Environment:
    """Retry a failed teardown now, leaving the named resources in place.

    Another 24 hours of retries begin.
    """
    return teardowns.request_retry(environment_id, principal, wanted)


@api.post(
    "/api/v1/environments/<environment_id>/extend",
    action="environments:extend",
    refuses=(NotFound, NoLease, EnvironmentGoing, TtlExceedsPolicy),
)
def extend(principal: Principal, environment_id: EnvironmentId, wanted: Extension) -> Environment:
    """Extend the lease to this many hours from now, up to the policy's maximum."""
    return leases.extend(environment_id, wanted.ttl_hours, principal)


@api.post(
    "/api/v1/environments/<environment_id>/touch",
    action="environments:extend",
    refuses=(NotFound, NoLease, EnvironmentGoing),
)
def touch(principal: Principal, environment_id: EnvironmentId) -> Environment:
    """Mark an environment as in use: with `expiry_mode: idle` its lease starts again."""
    return leases.touch(environment_id, principal)


@api.post(
    "/api/v1/environments/<environment_id>/pin",
    action="environments:extend",
    refuses=(NotFound, NoLease, EnvironmentGoing),
)
def pin(principal: Principal, environment_id: EnvironmentId, wanted: Pinning) -> Environment:
    """Pin an environment: it does not expire until it is unpinned."""
    return leases.pin(environment_id, wanted.reason, principal)


@api.post(
    "/api/v1/environments/<environment_id>/unpin",
    action="environments:extend",
    refuses=(NotFound, NoLease, EnvironmentGoing),
)
def unpin(principal: Principal, environment_id: EnvironmentId) -> Environment:
    """Unpin an environment: its lease starts again."""
    return leases.unpin(environment_id, principal)
