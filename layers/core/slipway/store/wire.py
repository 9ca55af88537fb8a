"""DynamoDB's JSON: `{"S": "text"}` for "text". The stream and the state machines use it too."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

# The types that have the same name in DynamoDB and in an SDK integration.
_SDK_KINDS = {"S", "N", "M", "L"}


def encode_value(value: Any) -> dict[str, Any]:
    """One value in DynamoDB's JSON, None values of maps omitted. Raises TypeError for a type that
    the table does not hold."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, (int, float)):
        return {"N": repr(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bytes):
        return {"B": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {"M": encode(value)}
    if isinstance(value, (list, tuple)):
        return {"L": [encode_value(each) for each in value]}
    if isinstance(value, (set, frozenset)) and all(isinstance(each, str) for each in value):
        return {"SS": sorted(value)}
    raise TypeError(f"The table holds no {type(value).__name__}")


def encode_for_sdk(value: Any) -> dict[str, Any]:
    """One value for an SDK integration of Step Functions (`aws-sdk:dynamodb:…`).

    SDK integrations name the other types differently (Nul, Bool, Ss, Ns), and an unknown name
    fails the execution without reaching any Catch. Raises TypeError for a value of such a type.
    """
    encoded = encode_value(value)
    if other := set(_kinds(encoded)) - _SDK_KINDS:
        raise TypeError(f"No SDK integration takes {', '.join(sorted(other))}")
    return encoded


def _kinds(encoded: Mapping[str, Any]) -> Iterator[str]:
    [(kind, value)] = encoded.items()
    yield kind
    if kind in ("M", "L"):
        for each in value.values() if kind == "M" else value:
            yield from _kinds(each)


def encode(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item in DynamoDB's JSON, None values omitted. Raises TypeError as encode_value."""
    return {name: encode_value(value) for name, value in item.items() if value is not None}


def decode(raw: Mapping[str, Any]) -> dict[str, Any]:
    """An item from DynamoDB's JSON; the inverse of `encode`."""
    return {name: _decode_value(each) for name, each in raw.items()}


def _decode_value(raw: Mapping[str, Any]) -> Any:
    [(kind, value)] = raw.items()
    if kind in ("S", "BOOL"):
        return value
    if kind == "N":
        return int(value) if value.lstrip("-").isdigit() else float(value)
    if kind == "M":
        return decode(value)
    if kind == "L":
        return [_decode_value(each) for each in value]
    if kind == "SS":
        return set(value)
    if kind == "NULL":
        return None
    if kind == "B":
        return base64.b64decode(raw["B"])
    raise TypeError(f"The store writes no {kind}")
