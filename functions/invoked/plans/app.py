"""Plans: show what CloudFormation would do for a creation or an update.

The environments function invokes this one for a dry run, so that it needs no right on stacks.
"""

from __future__ import annotations

from typing import Any

from slipway.errors import DriverFault


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{creates, environment, secrets}` -> `{change_set}`, or `{fault}`.

    `creates` is whether the environment does not exist yet. `environment` is its record as it would
    be, `secrets` are the values that the record does not hold. `change_set` has the fields of
    slipway.domain.update.ChangeSet. `fault` says why CloudFormation did not answer.
    """
    try:
        return {"change_set": _preview(event)}
    except DriverFault as fault:
        # Returned, because it is no error of this function: an alarm counts those.
        return {"fault": str(fault)}


def _preview(event: dict[str, Any]) -> dict[str, Any]:
    # Imported here, because each request needs one of them.
    if event["creates"]:
        from slipway.services import plans

        return plans.preview(event["environment"], event["secrets"])
    from slipway import drivers

    return drivers.preview(event["environment"], event["secrets"])
