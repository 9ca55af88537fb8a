"""The audits as the table holds them, and the links that dispatch makes."""

from __future__ import annotations

import json
from typing import Any

from moto.dynamodb.models import dynamodb_backends

from slipway.services import audit_links
from slipway.store import wire
from tests.support.lambda_environment import ACCOUNT, REGION


def items(prefix: str = "AUDIT#") -> list[dict[str, Any]]:
    """All items whose partition key begins so, in the order of their keys."""
    table = dynamodb_backends[ACCOUNT][REGION].tables["slipway"]
    found = [
        wire.decode(item.to_json()["Attributes"])
        for partition in table.items.values()
        for item in partition.values()
    ]
    mine = (item for item in found if item["pk"].startswith(prefix))
    return sorted(mine, key=lambda item: (item["pk"], item["sk"]))


def entries() -> list[dict[str, Any]]:
    """All entries of all audits, by time; `before` and `after` decoded."""
    found = sorted(items(), key=lambda entry: (entry["at"], entry["id"]))
    return [
        {
            **entry,
            **{side: json.loads(entry[side]) for side in ("before", "after") if side in entry},
        }
        for entry in found
    ]


def link_all() -> None:
    """What dispatch does when the stream brings the entries."""
    for audit in sorted({item["pk"].removeprefix("UNLINKED#") for item in items("UNLINKED#")}):
        audit_links.link(audit)
