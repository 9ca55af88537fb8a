"""An event source mapping needs an existing stream and valid filter patterns.

Defect: the stock service creates a mapping of a table's stream that does not exist, which never
delivers anything, and one with a filter that is no object, which matches everything. See `mappings`
in tests/aws/fixtures.
"""

from __future__ import annotations

import json
from typing import Any


def refusal(mapping: dict[str, Any], streams: set[str]) -> str | None:
    """Why AWS refuses the mapping; None if it does not. `streams` are the ARNs of the streams."""
    source = mapping.get("EventSourceArn", "")
    if ":dynamodb:" in source and "/stream/" in source and source not in streams:
        return f"Stream not found: {source}"
    filters = (mapping.get("FilterCriteria") or {}).get("Filters") or []
    if all(_is_pattern(each.get("Pattern")) for each in filters):
        return None
    return "Invalid filter pattern definition."


def _is_pattern(text: Any) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (TypeError, ValueError):
        return False


def _streams() -> set[str]:
    from ministack.services import dynamodb

    return {table.get("LatestStreamArn") for table in dynamodb._tables.values()}


def patch(module: Any) -> None:
    """lambda_svc: CreateEventSourceMapping."""
    stock = module._create_esm

    def create(data: dict[str, Any]) -> Any:
        if text := refusal(data, _streams()):
            return module.error_response_json("InvalidParameterValueException", text, 400)
        return stock(data)

    module._create_esm = create


def patch_template(module: Any) -> None:
    """provisioners: `AWS::Lambda::EventSourceMapping`."""
    mapping = module._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]
    stock = mapping["create"]

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        if text := refusal(properties, _streams()):
            raise ValueError(f'Resource handler returned message: "{text}" (InvalidRequest)')
        return stock(logical_id, properties, stack)

    mapping["create"] = create


TARGETS = {
    "ministack.services.cloudformation.provisioners": patch_template,
    "ministack.services.lambda_svc": patch,
}
