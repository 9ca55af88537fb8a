"""Machines that call the API with a user's rights: tokens of the kinds agent, ci and personal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from slipway.access import tokens
from slipway.domain import ids, timestamps
from slipway.domain.rights import SCOPES, Grant, Kind
from slipway.errors import SessionEnded
from slipway.store import sessions, table
from slipway.store.sessions import Found, Session
from slipway.store.table import Delete, Key, Put
from tests.support.api.client import Client


class _TokenSession(Session):
    def __init__(self, user_id: str, token_id: str, kind: Kind) -> None:
        super().__init__(user_id, token_id, "a secret")
        self.kind = kind
        self._account = sessions.account_key(user_id)
        self._token = Key(self._account.pk, f"TOKEN#{token_id.rpartition('_')[2]}")

    def keys(self) -> list[Key]:
        return [self._account, self._token]

    def _check(self, found: Found) -> None:
        item = found.get(self._token)
        if not item:
            raise SessionEnded()
        self.name, self.grant = item["name"], Grant(frozenset(item["scopes"]))


_known: dict[str, _TokenSession] = {}


@dataclass(frozen=True)
class Machine:
    """`client` sends with the token."""

    client: Client
    id: str
    user_id: str

    @property
    def _key(self) -> Key:
        return Key(f"ACCOUNT#{self.user_id}", f"TOKEN#{self.id.rpartition('_')[2]}")

    def revoke(self) -> None:
        table.write(Delete(self._key))


def machine(
    of: Client, patch: pytest.MonkeyPatch, kind: Kind = "agent", scopes: Any = SCOPES
) -> Machine:
    """A token of the user's, by default an agent's with every scope."""
    token_id = f"tok_{of.user_id.removeprefix('usr_')}_{ids.new_part()}"
    made = Machine(Client(f"slw_{token_id}", of.user_id), token_id, of.user_id)
    item = {"id": token_id, "name": "a machine", "kind": kind, "scopes": list(scopes)}
    ends = timestamps.epoch(timestamps.now()) + 3600
    table.write(Put(made._key, {**item, "ttl": ends}))
    _known[f"Bearer slw_{token_id}"] = _TokenSession(of.user_id, token_id, kind)
    stock = tokens.authenticate
    if getattr(stock, "knows_machines", False):
        return made

    def authenticate(header: str | None) -> Session:
        return _known.get(header or "") or stock(header)

    authenticate.knows_machines = True  # type: ignore[attr-defined]
    patch.setattr(tokens, "authenticate", authenticate)
    return made
