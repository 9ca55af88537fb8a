"""/environments/{id}/runtime-logs: what runs in an environment, as CloudWatch sees it.

It is a function of its own, because only it needs the right to read environments' logs, and their
secrets to mask them.
"""

from slipway.access.principal import Principal
from slipway.domain.ids import EnvironmentId
from slipway.domain.paging import Page
from slipway.domain.runtime_log import RuntimeLine, RuntimeLogQuery
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
