"""Sessions: signing in and out."""

from __future__ import annotations

from slipway.access import sign_in as credentials
from slipway.access import signing
from slipway.access.principal import Principal
from slipway.domain import timestamps
from slipway.domain.user import SignIn, Token
from slipway.errors import SessionEnded
from slipway.store import sessions, table
from slipway.store.sessions import UserSession
from slipway.store.table import ConditionFailed, Update


def sign_in(wanted: SignIn, address: str) -> Token:
    """A token for the user with this e-mail and password. `address` is the caller's IP address.

    Raises WrongCredentials, AccountDisabled, TooManyAttempts. Three round trips, two if the
    password is wrong.
    """
    account = credentials.sign_in(wanted, address)
    return signing.mint(account["id"], account.get("generation", 0))


def end(principal: Principal) -> None:
    """End the session of the current request. Two round trips."""
    table.write(of(principal).end())


def end_all(principal: Principal) -> None:
    """End all sessions of the principal, also the current one. Two round trips."""
    try:
        table.write(next_generation(of(principal), "signed_out_everywhere"))
    except ConditionFailed:
        # Another request has ended all sessions meanwhile.
        raise SessionEnded() from None


def next_generation(session: UserSession, action: str) -> Update:
    """The write that ends all sessions of the account, if this one has not ended."""
    condition, values = session.condition()
    at = timestamps.written(timestamps.now())
    change = {"action": action, "actor": session.user_id, "at": at}
    return Update(
        session.account_key,
        "SET change = :change ADD #generation :one",
        {**values, "one": 1, "change": change},
        condition,
    )


def of(principal: Principal) -> UserSession:
    """The session of the person who sends the current request."""
    session = sessions.current()
    # The policy's action lets only a person in a session come here.
    assert isinstance(session, UserSession) and session.user_id == principal.user_id
    return session
