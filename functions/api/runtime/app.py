"""/environments/{id}/runtime-logs and /metrics: what runs in an environment, as CloudWatch sees it.

It is a function of its own, because only it needs the right to read environments' logs, and their
secrets to mask them.
"""

from slipway.access.principal import Principal
from slipway.domain.ids import EnvironmentId
from slipway.domain.paging import Page
from slipway.domain.runtime_log import RuntimeLine, RuntimeLogQuery
from slipway.domain.runtime_metrics import EnvironmentMetrics, MetricsQuery
from slipway.errors import DriverFault, LogsBusy, NotFound
from slipway.http.app import Api

api = Api()
handler = api.handler


@api.get(
    "/api/v1/environments/<environment_id>/runtime-logs",
    action="runtime:read",
    refuses=(NotFound, LogsBusy, DriverFault),
    waits="line",
    pause=1.0,
    page="/console/environments/<environment_id>",
)
def runtime_logs(
    principal: Principal, environment_id: EnvironmentId, wanted: RuntimeLogQuery
) -> Page[RuntimeLine]:
    """Read the lines that the environment's own functions write. Follow the `Link` header.

    They are in the order in which CloudWatch received them, and known secrets in them are masked.
    An empty page with a `Link` has no lines yet, or none that contain `filter`.
    """
    from slipway.services import runtime_logs

    return runtime_logs.read(environment_id, principal, wanted)


@api.get(
    "/api/v1/environments/<environment_id>/metrics",
    action="metrics:read",
    refuses=(NotFound, DriverFault),
)
def metrics(
    principal: Principal, environment_id: EnvironmentId, wanted: MetricsQuery
) -> EnvironmentMetrics:
    """Read how its functions do: invocations, errors and durations, in all and per deployment.

    CloudWatch has them a minute or two later. Only whole minutes in which one deployment was live
    count for it.
    """
    from slipway.services import runtime_metrics

    return runtime_metrics.read(environment_id, principal, wanted)
