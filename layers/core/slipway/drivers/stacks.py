"""Reading of environments' stacks, as CloudFormation has them."""

from __future__ import annotations

from functools import cache
from typing import Any

from slipway.errors import DriverFault
from slipway.ids import EnvironmentId
from slipway.settings import settings


def name(environment: EnvironmentId) -> str:
    """Of the environment's stack."""
    return f"{settings().stack}-env-{environment.e}"


def describe(environment: EnvironmentId) -> list[dict[str, Any]]:
    """Every resource of the environment's stack; none if there is no stack. Raises DriverFault."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        paginator = _client().get_paginator("list_stack_resources")
        pages = paginator.paginate(StackName=name(environment))
        return [_resource(each) for page in pages for each in page["StackResourceSummaries"]]
    except ClientError as error:
        # This is how it says that there is no such stack.
        if error.response["Error"]["Code"] == "ValidationError":
            return []
        raise DriverFault(f"CloudFormation did not answer: {error}") from error
    except BotoCoreError as error:
        raise DriverFault(f"CloudFormation did not answer: {error}") from error


def _resource(summary: dict[str, Any]) -> dict[str, Any]:
    return {
        "logical_id": summary["LogicalResourceId"],
        "type": summary["ResourceType"],
        "physical_id": summary.get("PhysicalResourceId"),
        "status": summary["ResourceStatus"],
        "reason": summary.get("ResourceStatusReason"),
        "updated_at": summary["LastUpdatedTimestamp"],
    }


@cache
def _client() -> Any:
    # Imported here: only who looks at stacks pays for it.
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=2, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 2}
    )
    return boto3.client("cloudformation", region_name=settings().region, config=config)
