"""What a write raises if its conditions were false. Use them by way of slipway.store.table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.errors import SlipwayError


class ConditionFailed(SlipwayError):
    """A write's condition was false, so nothing was written.

    `found` is the item that was there, empty if there was none.
    """

    code = "condition_failed"
    title = "A condition was false"

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.found = found


class TransactionFailed(ConditionFailed):
    """The conditions of some parts of a transaction were false, so nothing was written.

    `failed["record"]` is the item that the part "record" found, empty if there was none;
    KeyError if that part's condition was true. `failed.get("record")` is then None.
    """

    def __init__(self, parts: Mapping[str, Any]) -> None:
        super().__init__(next(iter(parts.values()), {}))
        self.parts = parts

    def __getitem__(self, part: str) -> Any:
        return self.parts[part]

    def get(self, part: str) -> Any:
        return self.parts.get(part)
