"""Sessions: signing in and out, and new tokens for a session that goes on.

A session has one valid refresh token at a time. Using it makes another one; one that is used a
second time ends the session, because either its owner or a thief has used it before, and nobody can
tell which. There is no grace: the second of two requests with the same refresh token ends the
session, even if both are sent at once or the first one's answer was lost (docs/decisions/0023). But
a caller that brings a secret of its own with the token may repeat the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.access import sign_in as passwords
from slipway.access import signing
from slipway.access.principal import Principal
from slipway.domain import credentials, timestamps
from slipway.domain.user import Refresh, SessionTokens, SignIn
from slipway.errors import Busy, RefreshTokenInvalid, RefreshTokenReused, SessionEnded
from slipway.store import audit, family_records, sessions, table
from slipway.store.family_records import Repeat
from slipway.store.sessions import UserSession
from slipway.store.table import ConditionFailed, Put, Transaction, TransactionFailed, Update

if TYPE_CHECKING:
    from slipway.domain.account_records import AccountRecord
    from slipway.domain.credentials import Credential


def sign_in(wanted: SignIn, address: str) -> SessionTokens:
    """The tokens of a new session of the user with this e-mail and password.

    `address` is the caller's IP address. Raises WrongCredentials, AccountDisabled,
    EmailUnverified, TooManyAttempts. Three round trips.
    """
    begun: list[SessionTokens] = []

    def begin_session(account: AccountRecord) -> Put:
        write, tokens = begin(account)
        begun.append(tokens)
        return write

    passwords.sign_in(wanted, address, begin_session)
    return begun[0]


def begin(account: AccountRecord, company: str = "") -> tuple[Put, SessionTokens]:
    """The write that begins a session of the account as it was read, and the session's tokens.

    `company` is the refresh token of the company's sign-in, if somebody came by that. Raises
    StoreUnavailable. No round trip while the keys are cached.
    """
    write, first = family_records.new(account)
    if company:
        from slipway.services import company_people

        kept = company_people.sealed(company, first.part)
        write = write._replace(item={**write.item, "company": kept})
    return write, tokens_of(first, account.get("generation", 0))


def refresh(wanted: Refresh) -> SessionTokens:
    """New tokens for the session of this refresh token, which is no longer valid then.

    One that was used before ends its session. Raises RefreshTokenInvalid, RefreshTokenReused,
    AccountDisabled, SessionEnded, ProviderUnavailable, Busy. Two round trips, three if another
    request uses the same token at the same time; none if the text cannot be a refresh token. If
    somebody came by the company's sign-in, its provider is asked first, and with a `repeat_key`
    there is a round trip more.
    """
    used = credentials.parse(wanted.refresh_token, credentials.REFRESH_TOKEN)
    if used is None:
        raise RefreshTokenInvalid()
    key = family_records.key(used)
    family, account = table.get(key, sessions.account_key(used.user_id))
    if not family or not family_records.is_of(family, used) or family_records.is_over(family):
        raise RefreshTokenInvalid()
    repeat = _repeat(used, wanted.repeat_key)
    is_repeated = repeat is not None and family_records.is_repeated(family, repeat)
    if not is_repeated and not family_records.is_current(family, used):
        raise _reused(used)
    session = UserSession(used.user_id, used.part, family["generation"], family["ttl"], "")
    session.verify({session.account_key: account})
    if repeat is not None and is_repeated:
        audit.finish()
        return tokens_of(repeat.fresh, family["generation"])
    company = None
    if "company" in family:
        from slipway.services import company_people

        if repeat:
            _claim(used)
        company = company_people.confirm(family, account, sessions.ending(key, 0))
    audit.finish()  # What groups changed is audited, and a session that goes on is not.
    rotation, fresh = family_records.rotate(family, used, company, repeat)
    tokens = tokens_of(fresh, family["generation"])
    _rotate(rotation, session, used, repeat)
    return tokens


def _rotate(
    rotation: Update, session: UserSession, used: Credential, repeat: Repeat | None
) -> None:
    """Replace the refresh token, unless the same refresh has done so a moment ago.

    Raises SessionEnded, RefreshTokenInvalid, RefreshTokenReused.
    """
    condition, values = session.condition()
    transaction = Transaction().add("family", rotation)
    try:
        transaction.check("account", session.account_key, condition, values).commit()
    except TransactionFailed as failed:
        if failed.get("account") is not None:
            session.verify({session.account_key: failed["account"]})
            raise SessionEnded() from None
        found = failed["family"]
        if "ended_at" in found:
            raise RefreshTokenInvalid() from None
        if repeat is None or not family_records.is_repeated(found, repeat):
            raise _reused(used) from None


def _repeat(used: Credential, repeat_key: str | None) -> Repeat | None:
    """The refresh that may be repeated with this key. No round trip while the keys are cached."""
    if repeat_key is None:
        return None
    seed = signing.keyed_hash("the refresh token after", f"{used.secret} {repeat_key}")
    return family_records.repeatable(used, repeat_key, seed)


def _claim(used: Credential) -> None:
    """Go ahead of other requests with the same token: the provider may take its own only once.

    Raises Busy if another request is ahead. One round trip.
    """
    try:
        table.write(family_records.claim(used))
    except ConditionFailed:
        raise Busy(1) from None


def _reused(used: Credential) -> RefreshTokenReused:
    """The refusal of a refresh token that was used before. Ends its session; one round trip."""
    audit.finish()
    # The family exists, so the time until which its end is kept is its own.
    table.write(sessions.ending(family_records.key(used), 0))
    return RefreshTokenReused()


def tokens_of(refresh_token: Credential, generation: int) -> SessionTokens:
    """The tokens of the session that has this refresh token. Raises StoreUnavailable."""
    access = signing.mint(refresh_token.user_id, generation, refresh_token.part)
    return SessionTokens(**access.model_dump(), refresh_token=refresh_token.text)


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
    """The session of the person who sends the current request. Raises Forbidden for a machine."""
    session = sessions.current()
    if not isinstance(session, UserSession):
        # The action is one of the policy's that need a session, so this refuses the request.
        table.check_session()
    assert isinstance(session, UserSession) and session.user_id == principal.user_id
    return session
