"""Sessions: whether the caller of the current request is still signed in.

A token says which session it belongs to, and of which generation of its account's sessions. The
session has ended if its account is gone or disabled, has another generation by now (sign-out
everywhere, a new password), or if the session itself was signed out. A generation is a number that
only grows, not a time, so that neither clocks nor two events in one second matter.

The request's first round trip checks that: slipway.store.table reads the session's items along with
what it reads, or lets a transaction fail. Nobody else has to think of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from slipway.errors import AccountDisabled, SessionEnded, Unauthenticated
from slipway.store.actions import Check, Key, Put

if TYPE_CHECKING:
    from slipway.store.actions import Action

ACCOUNT_PART = "session's account"
ENDED_PART = "session's end"
_STILL = "attribute_exists(pk) AND (attribute_not_exists(#status) OR #status = :active) AND "
_FIRST = "(attribute_not_exists(#generation) OR #generation = :generation)"
_LATER = "#generation = :generation"


class Session:
    """The session of a token. `ends` (epoch seconds) is when the token expires.

    `fingerprint_key` is a secret of the user's, which the table does not have.
    """

    def __init__(
        self, user_id: str, id_: str, generation: int, ends: float, fingerprint_key: str
    ) -> None:
        self.user_id = user_id
        self.id = id_
        self.generation = generation
        self.ends = ends
        self.fingerprint_key = fingerprint_key
        self.account_key = account_key(user_id)
        self.ended_key = Key(self.account_key.pk, f"ENDED#{id_}")

    def verify(self, account: Mapping[str, Any] | None, ended: Mapping[str, Any] | None) -> None:
        """Raises Unauthenticated if the items at the two keys say that the session has ended."""
        if not account:
            raise Unauthenticated("The token's user no longer exists. Sign in as another user.")
        if account.get("status") == "disabled":
            raise AccountDisabled()
        if ended or account.get("generation", 0) != self.generation:
            raise SessionEnded()

    def checks(self) -> dict[str, Action]:
        """The parts that let a transaction fail if the session has ended."""
        condition, values = self.condition()
        return {
            ACCOUNT_PART: Check(self.account_key, condition, values),
            ENDED_PART: Check(self.ended_key, "attribute_not_exists(pk)"),
        }

    def condition(self) -> tuple[str, dict[str, Any]]:
        """The condition on the account's item, and its values."""
        values = {"active": "active", "generation": self.generation}
        return _STILL + (_LATER if self.generation else _FIRST), values

    def end(self) -> Put:
        """The write that ends the session. It is kept until the token has expired."""
        return Put(self.ended_key, {"ttl": int(self.ends) + 1}, condition=None)


def account_key(user_id: str) -> Key:
    """The key of a user's account."""
    return Key(f"ACCOUNT#{user_id}", "ACCOUNT")


_current: ContextVar[Session | None] = ContextVar("session", default=None)
_unchecked: ContextVar[Session | None] = ContextVar("unchecked session", default=None)


def begin(session: Session) -> None:
    """Say whose request is served from now on."""
    _current.set(session)
    _unchecked.set(session)


def finish() -> None:
    """Say that the request has been served."""
    _current.set(None)
    _unchecked.set(None)


def current() -> Session | None:
    """The session of the current request, None if it is anonymous."""
    return _current.get()


def unchecked() -> Session | None:
    """The session of the current request, if no round trip has checked it yet."""
    return _unchecked.get()


def is_checked() -> None:
    """Say that a round trip has checked the session of the current request."""
    _unchecked.set(None)
