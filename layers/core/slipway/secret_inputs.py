"""The values of NoEcho inputs: SecureStrings of SSM, one each, never in the table.

They are written before the environment's record. A crash in between leaves values under the id of
an environment that never was, which nothing reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from slipway.errors import DriverFault
from slipway.settings import settings

_AT_ONCE = 10


def path(environment_id: str, name: str) -> str:
    return f"/{settings().stack}/environments/{environment_id}/{name}"


def write(environment_id: str, values: Mapping[str, str]) -> None:
    """Raises DriverFault; what was written by then is taken back."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        for name, value in values.items():
            _ssm().put_parameter(
                Name=path(environment_id, name), Value=value, Type="SecureString", Overwrite=True
            )
    except (BotoCoreError, ClientError) as error:
        remove(environment_id, values)
        raise DriverFault(f"The secret inputs could not be stored: {error}") from error


def remove(environment_id: str, names: Iterable[str]) -> None:
    """Repeating it changes nothing. Raises DriverFault."""
    from botocore.exceptions import BotoCoreError, ClientError

    paths = [path(environment_id, name) for name in sorted(names)]
    try:
        for start in range(0, len(paths), _AT_ONCE):
            _ssm().delete_parameters(Names=paths[start : start + _AT_ONCE])
    except (BotoCoreError, ClientError) as error:
        raise DriverFault(f"The secret inputs could not be deleted: {error}") from error


@cache
def _ssm() -> Any:
    # Imported here: only environments with secret inputs pay for it.
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 3}
    )
    return boto3.client("ssm", region_name=settings().region, config=config)
