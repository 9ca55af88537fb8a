"""The resources of an environment, as its driver reports them."""

from __future__ import annotations

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain.environment import Resource
from slipway.domain.ids import EnvironmentId


def resources(environment: EnvironmentId, principal: Principal) -> list[Resource]:
    """The resources of the environment's stack; empty if it has no stack.

    Raises NotFound, DriverFault. One round trip to the table, then CloudFormation's pages.
    """
    record = authorization.read(environment, principal)
    if record["driver"] != "cloudformation":
        return []
    # Imported here, because most requests to this function do not call CloudFormation.
    from slipway.aws import secret_inputs
    from slipway.drivers import stacks

    with stacks.looking(), secret_inputs.hidden(record, also=True):
        return [Resource.model_validate(each) for each in stacks.resources(record["id"])]
