"""Where the functions of an environment write their logs, kept beyond the end of its stack.

The item is a copy of what AWS says, in a partition of its own: the function that writes it may not
write anything of an environment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.domain import timestamps
from slipway.domain.ids import EnvironmentId
from slipway.errors import StoreUnavailable
from slipway.store import lifetimes, table
from slipway.store.table import Key, Update

if TYPE_CHECKING:
    from slipway.domain.records import EnvironmentRecord


def key(environment: EnvironmentId) -> Key:
    """The key of the item."""
    return Key(f"SOURCES#{environment.e}", "SOURCES")


def state_of(record: EnvironmentRecord) -> str:
    """What changes when the functions of the environment may have changed."""
    names = ("stack_id", "live_deployment_id", "live_in_doubt", "last_update_id")
    text = " ".join(str(record.get(name)) for name in names)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def keep(environment: EnvironmentId, state: str, sources: Mapping[str, Mapping[str, str]]) -> None:
    """Keep the sources of this state. One round trip. If it fails, they are looked up again."""
    values: dict[str, Any] = {
        "state": state,
        "sources": {name: dict(each) for name, each in sources.items()},
        "ttl": lifetimes.ended(timestamps.written(timestamps.now())),
    }
    change = "SET #state = :state, #sources = :sources, #ttl = :ttl"
    try:
        table.write_aside(Update(key(environment), change, values, ""))
    except StoreUnavailable:
        return
