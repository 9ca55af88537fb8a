"""Change sets: what CloudFormation would do for a creation or an update.

Only the plans function may ask CloudFormation (functions/invoked/plans), so this one asks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.aws import functions
from slipway.errors import DriverFault
from slipway.settings import settings


def preview(would_be: Mapping[str, Any], secrets: Mapping[str, str], *, creates: bool) -> Any:
    """The fields of slipway.domain.update.ChangeSet for the environment's record as it would be.

    `secrets` are the values that the record does not hold. Repeat the call for progress. Raises
    DriverFault. One invocation.
    """
    request = {"creates": creates, "environment": would_be, "secrets": secrets}
    answer = functions.invoke(settings().plans_function, request)
    if "fault" in answer:
        raise DriverFault(answer["fault"])
    return answer["change_set"]
