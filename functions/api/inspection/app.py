"""/environments/{id}/resources, /drift and /diff: what an environment's stack is made of.

They are a function of their own, because only they need the right to read the configuration of
environments' resources.
"""

from slipway.access.principal import Principal
from slipway.domain.drift import StackDrift
from slipway.domain.environment import Resource
from slipway.domain.environment_diff import EnvironmentDiff
from slipway.domain.ids import EnvironmentId
from slipway.domain.paging import Page
from slipway.errors import Busy, DriverFault, NoStack, NotFound, StackNotReady
from slipway.http.app import Api
from slipway.services import inspection

api = Api()
handler = api.handler


@api.get(
    "/api/v1/environments/<environment_id>/resources",
    action="environments:inspect",
    refuses=(NotFound, DriverFault),
)
def see_resources(principal: Principal, environment_id: EnvironmentId) -> Page[Resource]:
    """List the resources of its stack. Empty if it is simulated or destroyed."""
    return Page(inspection.resources(environment_id, principal))


@api.post(
    "/api/v1/environments/<environment_id>/drift",
    action="environments:detect",
    status=202,
    # The caller wants the current state, not the answer to an earlier request.
    replays=False,
    refuses=(NotFound, NoStack, StackNotReady, DriverFault),
)
def detect_drift(principal: Principal, environment_id: EnvironmentId) -> StackDrift:
    """Start drift detection. Poll GET for progress and the result."""
    from slipway.services import drift

    return drift.detect(environment_id, principal)


@api.get(
    "/api/v1/environments/<environment_id>/drift",
    action="environments:inspect",
    refuses=(NotFound, NoStack, DriverFault),
)
def see_drift(principal: Principal, environment_id: EnvironmentId) -> StackDrift:
    """Read the result of the last drift detection."""
    from slipway.services import drift

    return drift.get(environment_id, principal)


@api.get(
    "/api/v1/environments/<environment_id>/diff/<other_id>",
    action="environments:inspect",
    refuses=(NotFound, Busy, DriverFault),
)
def compare(
    principal: Principal, environment_id: EnvironmentId, other_id: EnvironmentId
) -> EnvironmentDiff:
    """Compare two environments: version, template, inputs, variables, resources and drift."""
    from slipway.services import environment_diffs

    return environment_diffs.compare(environment_id, other_id, principal)
