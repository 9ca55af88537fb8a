"""One ETag, one body: what the API would have shown of each record at each of its writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from slipway.domain import timestamps
from slipway.domain.fields import ResponseModel
from slipway.domain.project import Project
from slipway.domain.template import Template
from slipway.http.responses import etag
from slipway.store import (
    confirmation_records,
    deployment_records,
    environment_records,
    wire,
)

Show = Callable[[Any], ResponseModel]

# By the beginning of the sort key. Their partition keys have no other items with it.
_SHOWN: dict[str, Show] = {
    "ENV#": environment_records.to_model,
    "DEP#": deployment_records.to_model,
    "PROJECT": Project.model_validate,
    "TEMPLATE#": Template.model_validate,
    "CONFIRMATION#": confirmation_records.to_model,
}
# After the end of every lease and deadline.
_ALL_IS_OVER = timedelta(days=400)


def ambiguous(stream: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The ETags of the records in a table's stream that stand for two bodies, as sentences."""
    bodies: dict[tuple[str, str], str] = {}
    for record in stream:
        image = wire.decode(record["dynamodb"].get("NewImage", {}))
        for model in _representations(image):
            body = model.model_dump_json()
            name = f"{image['pk']} {image['sk']}", etag(model, body)
            if bodies.setdefault(name, body) != body:
                yield f"{name} stands for {bodies[name]} and for {body}"


def _representations(image: Mapping[str, Any]) -> Iterator[ResponseModel]:
    """What is shown of the item when it is written, and when all its time is over."""
    show = next((_SHOWN[kind] for kind in _SHOWN if _is_of(kind, image.get("sk", ""))), None)
    if show is None or ("id" not in image and "name" not in image):
        return
    model = show(image)
    see: Any = getattr(model, "as_seen_at", None)
    if see is None:
        yield model
        return
    written = datetime.fromisoformat(image.get("updated_at") or image["created_at"])
    for moment in (written, max(written, timestamps.now()) + _ALL_IS_OVER):
        yield see(moment)


def _is_of(kind: str, sk: str) -> bool:
    return sk.startswith(kind) if kind.endswith("#") else sk == kind
