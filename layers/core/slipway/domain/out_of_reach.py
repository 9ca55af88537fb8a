"""Template properties that need a permission which EnvironmentRole does not have.

CloudFormation would report it only after it has begun to create the environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slipway.domain.references import below
from slipway.errors import FieldError

# The role would need to change the resource policies of every log in the account.
_ACCESS_LOGS = "is not available to environments: access logs need rights over the account's logs"
_SIGNING = "is not available to environments: they may not use the account's signing profiles"
PROPERTIES: Mapping[str, Mapping[str, str]] = {
    "AWS::ApiGatewayV2::Stage": {"AccessLogSettings": _ACCESS_LOGS},
    "AWS::Serverless::HttpApi": {"AccessLogSettings": _ACCESS_LOGS},
    "AWS::Lambda::Function": {"CodeSigningConfigArn": _SIGNING},
    "AWS::Serverless::Function": {"CodeSigningConfigArn": _SIGNING},
}


def faults(resources: Mapping[str, Any], common: Mapping[str, Any]) -> Iterator[FieldError]:
    """A fault for each such property. `common` is SAM's section Globals."""
    for name, resource in resources.items():
        if isinstance(resource, dict):
            at = below("#/Resources", name, "Properties")
            kind = str(resource.get("Type"))
            yield from _in(at, kind, resource.get("Properties"))
    for kind, properties in common.items():
        yield from _in(below("#/Globals", kind), f"AWS::Serverless::{kind}", properties)


def _in(at: str, kind: str, properties: Any) -> Iterator[FieldError]:
    for name, why in PROPERTIES.get(kind, {}).items():
        if isinstance(properties, dict) and name in properties:
            yield FieldError(below(at, name), why)
