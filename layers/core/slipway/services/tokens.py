"""Tokens of the API: creating, listing and revoking them.

A token belongs to a user and has at most the rights that the user has when it is used. It is
created in a session, or with a token that has the scope `tokens`, and then it has no more than that
token. Revoking a token also revokes those that it created.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway.access import api_tokens, authorization
from slipway.access.principal import Principal
from slipway.domain import api_token, credentials, ids
from slipway.domain.api_token import MOST_TOKENS, ApiToken, CreatedToken, NewToken
from slipway.domain.credentials import API_TOKEN, Credential
from slipway.domain.ids import TokenId
from slipway.domain.paging import Page, Paging
from slipway.errors import Busy, Forbidden, SessionEnded, TokenInvalid, TooManyTokens, no_such
from slipway.store import sessions, table, token_records
from slipway.store.sessions import ENDED_PART, TokenSession, UserSession
from slipway.store.table import Transaction, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.account_records import AccountRecord
    from slipway.domain.token_record import TokenRecord

_TRIES = 5
_ACTIVE = "#status = :active"


def create(wanted: NewToken, principal: Principal) -> CreatedToken:
    """A new token of the principal's user. It is returned once, and the table does not have it.

    Raises Forbidden if it would have more rights than the token that creates it, and TooManyTokens,
    TokenInvalid, SessionEnded, AccountDisabled, Busy. Three round trips.
    """
    user_id = _user_id(principal)
    token = Credential(API_TOKEN, user_id, ids.new_part(), credentials.new_secret())
    hash_ = api_tokens.keyed_hash(token)
    for _ in range(_TRIES):
        account, records = _read(principal)
        live = token_records.live(records, account)
        parent = _parent(principal, live)
        if parent and principal.grant:
            api_token.require_narrower(wanted, principal.kind, principal.grant)
        if len(live) >= MOST_TOKENS:
            raise TooManyTokens(MOST_TOKENS)
        record = token_records.new(api_tokens.id_of(token), wanted, hash_, account, parent)
        transaction = _changing(principal, account)
        for n, write in enumerate(token_records.writes(record)):
            transaction.add(f"token {n}", write)
        ended = [each for each in records if each not in live]
        for n, each in enumerate(ended):
            transaction.add(f"ended {n}", token_records.delete(each))
        try:
            transaction.commit()
        except TransactionFailed as failed:
            _require_going_on(principal, failed)
        else:
            shown = token_records.to_model(record)
            return CreatedToken(**shown.model_dump(), token=token.text)
    raise Busy(1)


def list_(principal: Principal, paging: Paging) -> Page[ApiToken]:
    """A page of the user's tokens that have not ended, newest first; one round trip.

    With a token, only itself and those that it created, and so on. Raises Forbidden, and Invalid
    for a cursor of another list.
    """
    user_id = _user_id(principal)
    listing = table.listing(
        sessions.account_key(user_id).pk, token_records.LISTED, paging, newest_first=True
    )
    [account], [(page, last), (records, _), (uses, _)] = table.read(
        [authorization.account(principal)],
        listing,
        token_records.of_user(user_id),
        token_records.uses_of_user(user_id),
    )
    visible = {each["id"] for each in _visible(principal, records)}
    shown = [each for each in token_records.live(page, account) if each["id"] in visible]
    return Page([token_records.to_model(each, uses) for each in shown], last)


def revoke(token: TokenId, principal: Principal) -> None:
    """Revoke the token and those that it created: their next request is refused.

    A token may revoke itself, and what it created. Raises NotFound, Forbidden, Busy. Three round
    trips.
    """
    user_id = _user_id(principal)
    if f"usr_{token.u}" != user_id:
        raise no_such("token")
    for _ in range(_TRIES):
        account, records = _read(principal)
        visible = _visible(principal, records)
        if not any(each["id"] == str(token) for each in token_records.live(visible, account)):
            raise no_such("token")
        transaction = _changing(principal, account)
        for n, each in enumerate(token_records.with_descendants(str(token), records)):
            transaction.add(f"token {n}", token_records.delete(each))
        try:
            transaction.commit()
        except TransactionFailed as failed:
            _require_going_on(principal, failed)
        else:
            return
    raise Busy(1)


def revoke_all(principal: Principal) -> None:
    """Revoke all tokens of the user, also those that are being created.

    With a token it revokes what that token may revoke: itself, and what it created. Raises
    Forbidden, NotFound, Busy. Two round trips, three with a token.
    """
    if isinstance(principal.session, TokenSession):
        revoke(principal.session.token, principal)
        return
    _user_id(principal)
    records, _ = table.read((), token_records.of_user(principal.user_id))[1][0]
    transaction = Transaction()
    transaction.add("account", token_records.end_all(authorization.account(principal)))
    for n, each in enumerate(records):
        transaction.add(f"token {n}", token_records.delete(each))
    transaction.commit()


def _user_id(principal: Principal) -> str:
    """The user whose tokens they are. Raises Forbidden for a workload, which has none."""
    if not isinstance(principal.session, UserSession | TokenSession):
        raise Forbidden("Only users have tokens. Sign in, or use a user's token.")
    return principal.user_id


def _read(principal: Principal) -> tuple[AccountRecord, list[TokenRecord]]:
    """The account, and then all its tokens; two round trips.

    Reads at the same time are no snapshot: with the account as it is after another change, and the
    tokens as they were before, a token too many would be created, or one missed that is revoked.
    """
    [account] = table.get(authorization.account(principal))
    records, _ = table.read((), token_records.of_user(principal.user_id))[1][0]
    return account, records


def _parent(principal: Principal, live: list[TokenRecord]) -> TokenRecord | None:
    """The token that sends the request, None in a session. Raises TokenInvalid if it has ended."""
    if not isinstance(principal.session, TokenSession):
        return None
    found = next((each for each in live if each["id"] == principal.id), None)
    if found is None:
        raise TokenInvalid("The token was revoked. Create another one.")
    return found


def _visible(principal: Principal, records: list[TokenRecord]) -> list[TokenRecord]:
    """The tokens that the principal may see and revoke."""
    if isinstance(principal.session, TokenSession):
        return token_records.with_descendants(principal.id, records)
    return records


def _changing(principal: Principal, account: AccountRecord) -> Transaction:
    """A transaction that fails if the caller may not change the tokens that it has read.

    The session was checked by the read before. It is checked again, because a token lives on when
    the session that created it ends.
    """
    session = principal.session
    condition: str = _ACTIVE
    values: dict[str, Any] = {"active": "active"}
    transaction = Transaction()
    if isinstance(session, UserSession):
        condition, values = session.condition()
        transaction.add(ENDED_PART, session.checks()[ENDED_PART])
    return transaction.add("account", token_records.counted(account, condition, values))


def _require_going_on(principal: Principal, failed: TransactionFailed) -> None:
    """Raises Unauthenticated if the session has ended; otherwise another change came before."""
    if failed.get(ENDED_PART) is not None:
        raise SessionEnded()
    account = failed.get("account")
    if account is None:
        return
    sessions.require_active(account)
    session = principal.session
    if isinstance(session, UserSession) and account.get("generation", 0) != session.generation:
        raise SessionEnded()
