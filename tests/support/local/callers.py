"""Callers of the laptop's AWS that are not its owner."""

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.iam_keys import Key
from local.platform import Platform
from tests.support.local.platform import role


def acting(platform: Platform, *statements: dict[str, Any], boundary: str | None = None) -> Key:
    """The key of a session `me` of a new role with the statements."""
    made = role(platform, f"iam-{uuid.uuid4().hex[:8]}", *statements, boundary=boundary)
    return platform.assume(made, "me")


def refusal(platform: Platform, key: Key, service: str, operation: str, **request: Any) -> Any:
    """The refusal of a caller without the right to make this request."""
    with pytest.raises(ClientError) as refused:
        getattr(platform.client(service, key), operation)(**request)
    return refused.value.response
