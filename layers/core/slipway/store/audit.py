"""The audit of the current request: the entry that its change carries.

slipway.http.app begins it for every request that may change something, and slipway.store.table
adds the entry to the first transaction or write of the request that is carried out. So no route can
forget it, a refused request leaves none, and a change leaves one. A write beside the change, such
as a counter's correction, says so (`aside`).

What changed follows from the write, and from what the request has read; a service that knows better
says so with `note`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from slipway.store.actions import Key

_MOST_AGENT = 200


class Auditing:
    """What is known of the current request's entry before its change is written.

    `path` has the parts of the request's path by name. `seen` has the items that the request has
    read, and `facts` what services have noted.
    """

    def __init__(
        self, action: str, path: Mapping[str, str], address: str, agent: str, request_id: str
    ) -> None:
        self.action = action
        self.path = path
        self.address = address
        self.agent = agent[:_MOST_AGENT]
        self.request_id = request_id
        self.seen: dict[Key, Any] = {}
        self.facts: dict[str, Any] = {}


_current: ContextVar[Auditing | None] = ContextVar("audit", default=None)


def begin(auditing: Auditing) -> None:
    """Say that a request is served whose change is to be audited."""
    _current.set(auditing)


def finish() -> None:
    """Say that the request has been served, or that its change is written."""
    _current.set(None)


def current() -> Auditing | None:
    """The audit of the current request; None if there is none, or if its change is written."""
    return _current.get()


def note(**facts: Any) -> None:
    """Say what the entry cannot know from the write; no-op if nothing is audited.

    `action`, `target` and `name`; `project` (the project's id, or None for the platform);
    `before` and `after` (fields, without secrets); `actor`, `kind`, `actor_name` and `user_id` of a
    caller without a session.
    """
    if auditing := _current.get():
        auditing.facts.update(facts)


def also(auditing: Auditing | None, **facts: Any) -> None:
    """Begin the entry of one more change by the same request, which changes several things.

    `facts` as in `note`, in place of those of the entry before.
    """
    if auditing:
        auditing.facts = facts
        _current.set(auditing)


def by_user(
    auditing: Auditing | None, action: str, account: Mapping[str, Any], **facts: Any
) -> None:
    """Begin the entry of one more change by a user without a session; `facts` as in `note`."""
    user_id, email = account["id"], account["email"]
    who = {"actor": user_id, "actor_name": email, "target": user_id, "name": email}
    also(auditing, action=action, **{**who, **facts})


def see(items: Mapping[Key, Any]) -> None:
    """Remember what the request has read, to tell what it changes."""
    if auditing := _current.get():
        auditing.seen.update({key: item for key, item in items.items() if item})
