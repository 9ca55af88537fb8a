"""/environments: ask for one, look at it, keep it longer, give it back."""

from slipway.access.auth import Caller
from slipway.domain import ids
from slipway.domain.deployment import Deployment, LogLine
from slipway.domain.drift import Drift
from slipway.domain.environment import (
    Creation,
    Environment,
    EnvironmentDeletion,
    Extension,
    NewEnvironment,
    Pinning,
    Resource,
    TeardownRetry,
)
from slipway.domain.events import Event
from slipway.domain.paging import Page, Paging
from slipway.domain.plan import Plan
from slipway.domain.update import EnvironmentUpdate, UpdateMode, UpdatePlan
from slipway.errors import (
    Busy,
    DriverFault,
    EnvironmentGoing,
    EnvironmentNotReady,
    ExternalIdTaken,
    NameTaken,
    NoLease,
    NoStack,
    NoTemplate,
    NotFound,
    NothingToRetain,
    NothingToRetry,
    PreconditionFailed,
    ProjectGoing,
    QueueBusy,
    StackNotReady,
    TtlExceedsPolicy,
)
from slipway.http.api import Api, IfMatch
from slipway.services import creation, leases, teardowns
from slipway.store import environments, events, logs, queue

api = Api()
handler = api.handler


@api.post(
    "/api/v1/environments/projects/<project_id>",
    status=201,
    found=200,
    refuses=(NotFound, NameTaken, ExternalIdTaken, ProjectGoing, DriverFault),
)
def create(
    caller: Caller, project_id: str, wanted: NewEnvironment, how: Creation
) -> tuple[Environment | Plan, bool]:
    """Ask for an environment; it is `provisioning` until it is `running`."""
    project = ids.parse_project(project_id)
    if how.dry_run:
        return creation.plan(project, wanted, caller.user_id), False
    return creation.create(project, wanted, caller.user_id), True


@api.put(
    "/api/v1/projects/<project_id>/environments/by-external-id/<external_id>",
    status=201,
    found=200,
    refuses=(NotFound, NameTaken, ProjectGoing, Busy, DriverFault),
)
def ensure(
    caller: Caller, project_id: str, external_id: str, wanted: NewEnvironment
) -> tuple[Environment, bool]:
    """Have an environment by a name of your own: 200 if it was there, 201 if it is made now."""
    project = ids.parse_project(project_id)
    return creation.ensure(project, external_id, wanted.known_as(external_id), caller.user_id)


@api.get("/api/v1/environments/projects/<project_id>", refuses=(NotFound,))
def list_(caller: Caller, project_id: str, paging: Paging) -> Page[Environment]:
    """List a project's environments, newest first."""
    return environments.of(ids.parse_project(project_id), caller.user_id, paging)


@api.get("/api/v1/environments/<environment_id>", refuses=(NotFound,))
def get(caller: Caller, environment_id: str) -> Environment:
    """Look at an environment."""
    return environments.get(ids.parse_environment(environment_id), caller.user_id)


@api.get("/api/v1/environments/<environment_id>/resources", refuses=(NotFound, DriverFault))
def see_resources(caller: Caller, environment_id: str) -> Page[Resource]:
    """Look at what its stack is made of; nothing, if it is simulated or destroyed."""
    environment = ids.parse_environment(environment_id)
    item = environments.authorised(environment, caller.user_id)
    if item["driver"] != "cloudformation":
        return Page([])
    # Imported here: nobody else in this function talks to CloudFormation.
    from slipway.drivers import stacks

    with stacks.looking():
        return Page([Resource.model_validate(each) for each in stacks.resources(environment_id)])


@api.post(
    "/api/v1/environments/<environment_id>/drift",
    status=202,
    # What was true when it was first asked is not what the next one asks for.
    replays=False,
    refuses=(NotFound, NoStack, StackNotReady, DriverFault),
)
def detect_drift(caller: Caller, environment_id: str) -> Drift:
    """Look whether its stack was changed by hand; ask again to see how far that is."""
    from slipway.services import drift

    return drift.detect(ids.parse_environment(environment_id), caller.user_id)


@api.get("/api/v1/environments/<environment_id>/drift", refuses=(NotFound, NoStack, DriverFault))
def see_drift(caller: Caller, environment_id: str) -> Drift:
    """See what was found when its stack was last looked at for changes by hand."""
    from slipway.services import drift

    return drift.see(ids.parse_environment(environment_id), caller.user_id)


@api.get("/api/v1/environments/<environment_id>/logs", refuses=(NotFound,))
def logs_(caller: Caller, environment_id: str, paging: Paging) -> Page[LogLine]:
    """Read what was said as it was made and taken away, oldest first; follow the `Link`."""
    return logs.of_environment(ids.parse_environment(environment_id), caller.user_id, paging)


@api.post(
    "/api/v1/environments/<environment_id>/update",
    status=201,
    found=200,
    refuses=(NotFound, NoTemplate, EnvironmentNotReady, QueueBusy, Busy, DriverFault),
)
def update(
    caller: Caller, environment_id: str, wanted: EnvironmentUpdate, how: UpdateMode
) -> tuple[Deployment | UpdatePlan, bool]:
    """Move to another version of the template or other inputs; it waits as deployments do."""
    # Imported here: nobody else in this function changes what an environment is made of.
    from slipway.services import updates

    environment = ids.parse_environment(environment_id)
    if how.dry_run:
        return updates.plan(environment, wanted, caller.user_id), False
    return updates.ask(environment, wanted, caller.user_id), True


@api.get("/api/v1/environments/<environment_id>/queue", refuses=(NotFound,))
def see_queue(caller: Caller, environment_id: str) -> Page[Deployment]:
    """Look at its deployments that have not ended: the one that runs, then those that wait."""
    return Page(queue.of(ids.parse_environment(environment_id), caller.user_id))


@api.get("/api/v1/environments/<environment_id>/events", refuses=(NotFound,))
def see_events(caller: Caller, environment_id: str, paging: Paging) -> Page[Event]:
    """Look at what happened to an environment and in it, newest first."""
    return events.of(ids.parse_environment(environment_id), caller.user_id, paging)


@api.delete(
    "/api/v1/environments/<environment_id>",
    status=202,
    refuses=(NotFound, PreconditionFailed, NothingToRetry, Busy),
)
def tear_down(
    caller: Caller, environment_id: str, options: EnvironmentDeletion, if_match: IfMatch | None
) -> Environment:
    """Tear an environment down; ask again to see how far that is."""
    environment = ids.parse_environment(environment_id)
    if options.force:
        return teardowns.forget(environment, caller.user_id, if_match)
    return teardowns.begin(environment, caller.user_id, if_match)


@api.post(
    "/api/v1/environments/<environment_id>/teardown/retry",
    status=202,
    refuses=(NotFound, NothingToRetry, NothingToRetain, Busy),
)
def retry_teardown(
    caller: Caller, environment_id: str, wanted: TeardownRetry | None
) -> Environment:
    """Try a teardown that failed again, now; leave in place what is named of what remains."""
    environment = ids.parse_environment(environment_id)
    return teardowns.ask_to_retry(environment, caller.user_id, wanted)


@api.post(
    "/api/v1/environments/<environment_id>/extend",
    refuses=(NotFound, NoLease, EnvironmentGoing, TtlExceedsPolicy),
)
def extend(caller: Caller, environment_id: str, wanted: Extension) -> Environment:
    """Keep an environment longer: so many hours from now, up to the policy's maximum."""
    environment = ids.parse_environment(environment_id)
    return leases.extend(environment, wanted.ttl_hours, caller.user_id)


@api.post(
    "/api/v1/environments/<environment_id>/touch", refuses=(NotFound, NoLease, EnvironmentGoing)
)
def touch(caller: Caller, environment_id: str) -> Environment:
    """Say that an environment is in use: with `expiry_mode: idle` its time begins anew."""
    return leases.touch(ids.parse_environment(environment_id), caller.user_id)


@api.post(
    "/api/v1/environments/<environment_id>/pin", refuses=(NotFound, NoLease, EnvironmentGoing)
)
def pin(caller: Caller, environment_id: str, wanted: Pinning) -> Environment:
    """Keep an environment until it is unpinned."""
    environment = ids.parse_environment(environment_id)
    return leases.pin(environment, wanted.reason, caller.user_id)


@api.post(
    "/api/v1/environments/<environment_id>/unpin", refuses=(NotFound, NoLease, EnvironmentGoing)
)
def unpin(caller: Caller, environment_id: str) -> Environment:
    """Let an environment's time run again."""
    return leases.unpin(ids.parse_environment(environment_id), caller.user_id)
