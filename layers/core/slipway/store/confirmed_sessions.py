"""Confirmed sessions: a machine's request that a person has approved, while it is carried out.

It has the rights that its token or its trust has by now, and those only for the one request. The
request's first write uses the confirmation up, in the same transaction, so it happens once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from slipway.domain import ids, timestamps
from slipway.domain.rights import Grant
from slipway.errors import SessionEnded, Unauthenticated
from slipway.store import confirmation_records, sessions
from slipway.store.actions import Key
from slipway.store.sessions import Found, Session

if TYPE_CHECKING:
    from slipway.domain.confirmation_record import ConfirmationRecord
    from slipway.store.actions import Action

PART = "confirmation of the request"


class ConfirmedSession(Session):
    """The session of a request whose confirmation `record` is approved. `is_used` once it wrote."""

    def __init__(self, record: ConfirmationRecord) -> None:
        asker = record["asked_by"]
        super().__init__(record["user_id"], asker["id"], "")
        self.kind = asker["kind"]
        self.seen = record["seen"]
        self.record = record
        self.is_used = False
        self._key = confirmation_records.key(ids.parse_confirmation(record["id"]))
        self._rights = _rights(asker["id"], record["user_id"])

    def asking(self, permits: Callable[[Grant | None], None]) -> Self:
        """The same session, which serves one request only."""
        self._permits = permits
        return self

    def keys(self) -> list[Key]:
        return [*self._rights, self._key]

    def _check(self, found: Found) -> None:
        *above, rights = (found.get(key) for key in self._rights)
        for account in above:
            sessions.require_active(account)
        if not rights:
            raise SessionEnded("The token that asked for this was revoked.")
        generation = above[0].get("token_generation", 0) if above and above[0] else 0
        if rights.get("generation", 0) != generation:
            raise SessionEnded("The token that asked for this was revoked.")
        ends = rights.get("expires_at")
        if ends and datetime.fromisoformat(ends) <= timestamps.now():
            raise SessionEnded("The token that asked for this has expired.")
        self._require_approved(found.get(self._key))
        self.grant = _grant(rights)
        if self.kind == "workload":
            self.grant = self.grant._replace(project_ids=frozenset([self.record["project_id"]]))
        self.name = self.record["asked_by"]["name"]

    def _require_approved(self, item: Mapping[str, Any] | None) -> None:
        if not item or (item["status"], item["digest"]) != ("approved", self.record["digest"]):
            raise SessionEnded("The confirmation of this is used up, or was never given.")

    def along(self) -> dict[str, Action]:
        if self.is_used:
            return {}
        return {PART: confirmation_records.carrying_out(self.record)}

    def went_along(self) -> None:
        self.is_used = True

    def has_ended(self, failed: Mapping[str, Any]) -> None:
        if PART in failed:
            raise SessionEnded("The confirmation of this is used up, or was never given.")


def _rights(asker: str, user_id: str) -> list[Key]:
    """The keys of the items that give the asker its rights; the last has its grant."""
    if asker.startswith("tok_"):
        account = sessions.account_key(user_id)
        return [account, Key(account.pk, f"TOKEN#{asker.rpartition('_')[2]}")]
    if asker.startswith("trs_"):
        return [Key(f"PROJECT#{asker.split('_')[1]}", f"MEMBER#{asker}")]
    raise Unauthenticated(f"{asker} is no machine.")


def _grant(item: Mapping[str, Any]) -> Grant:
    limits = (item.get(name) for name in ("project_ids", "environment_ids", "tiers"))
    return Grant(
        frozenset(item["scopes"]),
        *(None if limit is None else frozenset(limit) for limit in limits),
    )
