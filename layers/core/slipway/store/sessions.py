"""Sessions: whether the caller of the current request is still who the token says, and may ask.

A person's token says which session it belongs to, and of which generation of its account's
sessions. The session has ended if its account is gone or disabled, has another generation by now
(sign-out everywhere, a new password), or if the session itself was ended: it was signed out, or a
refresh token of it was used twice. A generation is a number that only grows, not a time, so that
neither clocks nor two events in one second matter.

The request's first round trip checks that: slipway.store.table reads the session's items along with
what it reads, or lets a transaction fail. Nobody else has to think of it. Each kind of caller has
a class of its own, with the items that it depends on.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Self

from slipway.domain import timestamps
from slipway.errors import (
    AccountDisabled,
    SessionEnded,
    TokenExpired,
    TokenInvalid,
    Unauthenticated,
)
from slipway.store.actions import Check, Key, Update

if TYPE_CHECKING:
    from slipway.domain.ids import TokenId
    from slipway.domain.rights import Grant, Kind
    from slipway.store.actions import Action

_MOST_PROVEN = 1000
# The hashes of the tokens that this process has found to be valid, and the day on which it last
# sent that one was used.
_proven: dict[str, None] = {}
_noted: dict[str, str] = {}
# The tokens that were found to cover all environments of their projects.
_unlimited: dict[str, None] = {}

ACCOUNT_PART = "session's account"
ENDED_PART = "session's end"
_STILL = "attribute_exists(pk) AND (attribute_not_exists(#status) OR #status = :active) AND "
_FIRST = "(attribute_not_exists(#generation) OR #generation = :generation)"
_LATER = "#generation = :generation"

Found = Mapping[Key, Mapping[str, Any] | None]
"""The items at the keys of a session."""


def _allow(grant: Grant | None) -> None:
    """Raises nothing: a request that nothing limits."""


class Session:
    """The caller's items in a request's first round trip.

    `user_id`: whose rights the caller has, a user's or a trust's id. `author`: who acts, the same
    or a token's id. `fingerprint_key`: a secret of the caller's, which the table does not have.
    `grant` limits the caller, and `name` is for people to read; both are known once it is verified.
    """

    kind: Kind = "user"
    # Whether it is known, before the first round trip, that the caller has the user's credential.
    is_proven: bool = True
    # Whether a grant may limit the caller.
    may_have_grant: ClassVar[bool] = True
    # Whether a transaction can check the session instead of a read before it.
    checked_by_writes: ClassVar[bool] = False

    def __init__(self, user_id: str, author: str, fingerprint_key: str) -> None:
        self.user_id = user_id
        self.author = author
        self.fingerprint_key = fingerprint_key
        self.name = ""
        self.grant: Grant | None = None
        self._permits: Callable[[Grant | None], None] = _allow

    def asking(self, permits: Callable[[Grant | None], None]) -> Self:
        """A copy for one request. `permits` raises Forbidden if the grant does not cover it."""
        mine = copy(self)
        mine._permits = permits
        return mine

    def keys(self) -> list[Key]:
        """The keys of the items that the session depends on."""
        raise NotImplementedError

    @property
    def may_be_limited(self) -> bool:
        """Whether its grant may cover only some environments of a project: a hint, for how much is
        to be read before the grant is known."""
        return self.author not in _unlimited

    def verify(self, found: Found) -> None:
        """Raises Unauthenticated if the items say that the session has ended, and Forbidden if its
        grant does not cover the request. Afterwards `grant` and `name` are known."""
        self._check(found)
        self._permits(self.grant)
        if self.grant and self.grant.environment_ids is None and self.grant.tiers is None:
            if len(_unlimited) >= _MOST_PROVEN:
                _unlimited.clear()
            _unlimited[self.author] = None

    def _check(self, found: Found) -> None:
        raise NotImplementedError

    def checks(self) -> dict[str, Action]:
        """The parts that let a transaction fail if the session has ended."""
        return {}

    def along(self) -> dict[str, Action]:
        """The parts that the request's first transaction has to carry out as well."""
        return {}

    def went_along(self) -> None:
        """Note that a transaction has carried out the parts of `along`."""

    def note(self) -> Update | None:
        """A write that may be sent along with a round trip, and may fail: that the caller came."""
        return None

    def has_ended(self, failed: Mapping[str, Any]) -> None:
        """Raises Unauthenticated if a part of `checks` or `along` is among the failed ones.

        `failed` has the item that each failed part found, empty if there was none.
        """


class UserSession(Session):
    """A person's session. `ends` (epoch seconds) is when the token expires."""

    checked_by_writes = True
    may_have_grant = False
    may_be_limited = False

    def __init__(
        self, user_id: str, id_: str, generation: int, ends: float, fingerprint_key: str
    ) -> None:
        super().__init__(user_id, user_id, fingerprint_key)
        self.id = id_
        self.generation = generation
        self.ends = ends
        self.account_key = account_key(user_id)
        self.ended_key = session_key(user_id, id_)

    def keys(self) -> list[Key]:
        return [self.account_key, self.ended_key]

    def _check(self, found: Found) -> None:
        account = require_active(found.get(self.account_key))
        ended = found.get(self.ended_key)
        if (ended and "ended_at" in ended) or account.get("generation", 0) != self.generation:
            raise SessionEnded()
        self.name = account["email"]

    def checks(self) -> dict[str, Action]:
        condition, values = self.condition()
        return {
            ACCOUNT_PART: Check(self.account_key, condition, values),
            ENDED_PART: Check(self.ended_key, "attribute_not_exists(ended_at)"),
        }

    def has_ended(self, failed: Mapping[str, Any]) -> None:
        if ENDED_PART in failed:
            raise SessionEnded()
        if ACCOUNT_PART in failed:
            require_active(failed[ACCOUNT_PART])
            raise SessionEnded()

    def condition(self) -> tuple[str, dict[str, Any]]:
        """The condition on the account's item, and its values."""
        values = {"active": "active", "generation": self.generation}
        return _STILL + (_LATER if self.generation else _FIRST), values

    def end(self) -> Update:
        """The write that ends the session. It is kept at least until the token has expired."""
        return ending(self.ended_key, self.ends)


class TokenSession(Session):
    """A request with a token of the API. `hash_` is the form in which the table must have it."""

    def __init__(self, token: TokenId, hash_: str, fingerprint_key: str) -> None:
        super().__init__(f"usr_{token.u}", str(token), fingerprint_key)
        self.token = token
        self.hash = hash_
        # Anyone can write a token that names a user, so the first request in a process does not
        # count as the user's before it is known to be.
        self.is_proven = hash_ in _proven
        self.account_key = account_key(self.user_id)
        self.token_key = token_key(token)

    def keys(self) -> list[Key]:
        return [self.account_key, self.token_key]

    def _check(self, found: Found) -> None:
        # Imported here, because a person's request does not need it.
        from slipway.domain.api_token import grant_of

        record = found.get(self.token_key)
        account = found.get(self.account_key)
        if not record or not hmac.compare_digest(record["hash"], self.hash):
            _proven.pop(self.hash, None)
            raise TokenInvalid("The token was revoked, or is not one of this platform. Create one.")
        if record["expires_at"] <= timestamps.written(timestamps.now()):
            raise TokenExpired("The token has expired. Create another one.")
        if record["generation"] != require_active(account).get("token_generation", 0):
            raise TokenInvalid("The token was revoked, or is not one of this platform. Create one.")
        if len(_proven) >= _MOST_PROVEN:
            _proven.clear()
        _proven[self.hash] = None
        self.kind = record["kind"]
        self.name = record["name"]
        self.grant = grant_of(record)

    def note(self) -> Update | None:
        now = timestamps.written(timestamps.now())
        if _noted.get(self.hash) == now[:10]:
            return None
        if len(_noted) >= _MOST_PROVEN:
            _noted.clear()
        _noted[self.hash] = now[:10]
        # Sent before the token is known to be valid, so it has to prove itself here, too.
        return Update(
            use_key(self.user_id, self.token.t),
            "SET used_at = :now",
            {"now": now, "hash": self.hash, "day": now[:10]},
            "#hash = :hash AND (attribute_not_exists(used_at) OR used_at < :day)",
        )


def account_key(user_id: str) -> Key:
    """The key of a user's account."""
    return Key(f"ACCOUNT#{user_id}", "ACCOUNT")


def require_active(account: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The account. Raises Unauthenticated if it is gone or disabled."""
    if not account:
        raise Unauthenticated("The token's user no longer exists. Sign in as another user.")
    if account.get("status") == "disabled":
        raise AccountDisabled()
    return account


def session_key(user_id: str, id_: str) -> Key:
    """The key of a session: of its family of refresh tokens, and of its end."""
    return Key(account_key(user_id).pk, f"FAMILY#{id_}")


def token_key(token: TokenId) -> Key:
    """The key of a token of the API."""
    return Key(account_key(f"usr_{token.u}").pk, f"TOKEN#{token.t}")


def use_key(user_id: str, part: str) -> Key:
    """The key of the item that says when a token was used. Every function may write it."""
    return Key(f"RATE#{user_id}", f"TOKEN#{part}")


def ending(key: Key, ends: float) -> Update:
    """The write that ends the session at the key, if it has not ended.

    A session without a family is kept as ended until `ends` (epoch seconds).
    """
    values = {"at": timestamps.written(timestamps.now()), "ttl": int(ends) + 1}
    change = "SET ended_at = if_not_exists(ended_at, :at), #ttl = if_not_exists(#ttl, :ttl)"
    return Update(key, change, values, condition="")


_current: ContextVar[Session | None] = ContextVar("session", default=None)
_confirmed: ContextVar[Session | None] = ContextVar("confirmed session", default=None)
_unchecked: ContextVar[Session | None] = ContextVar("unchecked session", default=None)


def begin(session: Session) -> None:
    """Say whose request is served from now on."""
    _current.set(session)
    _unchecked.set(session)


def confirmed() -> Session | None:
    """The session of the confirmed request that is being carried out, None otherwise.

    Nothing that a caller can send sets it.
    """
    return _confirmed.get()


@contextmanager
def carrying_out(session: Session) -> Iterator[None]:
    """Let the next request be that of a session which a person has confirmed."""
    token = _confirmed.set(session)
    try:
        yield
    finally:
        _confirmed.reset(token)


def finish() -> None:
    """Say that the request has been served."""
    _current.set(None)
    _unchecked.set(None)


def current() -> Session | None:
    """The session of the current request, None if it is anonymous."""
    return _current.get()


def note() -> Update | None:
    """What may be written along with a round trip of the current request, None if nothing is."""
    session = _current.get()
    return session.note() if session else None


def forget() -> None:
    """Clear what the process knows of tokens, as a new one would start; for tests."""
    _proven.clear()
    _noted.clear()
    _unlimited.clear()


def unchecked() -> Session | None:
    """The session of the current request, if no round trip has checked it yet."""
    return _unchecked.get()


def is_checked() -> None:
    """Say that a round trip has checked the session of the current request."""
    _unchecked.set(None)


def along() -> dict[str, Action]:
    """The parts that the current request's first transaction has to carry out as well."""
    session = _current.get()
    return session.along() if session else {}


def require_along(failed: Mapping[str, Any]) -> None:
    """Raises Unauthenticated if a part of `along` is among the failed ones."""
    session = _current.get()
    if session:
        session.has_ended({part: failed[part] for part in session.along() if part in failed})


def went_along() -> None:
    """Note that a transaction has carried out the parts of `along`."""
    if session := _current.get():
        session.went_along()
