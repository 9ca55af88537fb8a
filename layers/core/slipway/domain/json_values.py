"""Values of JSON: whether two are equal, and how one is merged into another (RFC 7396)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any


def is_same(one: Any, other: Any) -> bool:
    """Whether the values are equal as JSON: 24 and 24.0 are, 1 and true are not.

    A field that is missing equals null. Times are equal if they are the same moment, because
    generated clients write them in their own way.
    """
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return all(is_same(one.get(name), other.get(name)) for name in {*one, *other})
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, str) and isinstance(other, str):
        return one == other or (_moment(one) or one) == (_moment(other) or other)
    return bool(one == other)


def _moment(text: str) -> datetime | None:
    if not text[:1].isdigit():
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def merged(value: Any, patch: Any) -> Any:
    """The value after the merge patch: objects are merged, everything else is replaced.

    `null` removes a field. A field that is null already stays, so that a value which is sent back
    as it was read changes nothing.
    """
    if not isinstance(patch, Mapping):
        return patch
    after = dict(value) if isinstance(value, Mapping) else {}
    for name, each in patch.items():
        if each is not None:
            after[name] = merged(after.get(name), each)
        elif after.get(name) is not None:
            del after[name]
    return after
