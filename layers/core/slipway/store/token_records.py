"""Token records: the tokens of a user, beside the account, and when each was last used.

An account counts its tokens that were created or revoked (`tokens_changed`), so that a write which
has not seen the last one fails. It also has a generation of tokens: when that grows, all tokens of
earlier ones end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from slipway.domain import timestamps
from slipway.domain.api_token import MOST_TOKENS, ApiToken, NewToken
from slipway.domain.ids import TokenId
from slipway.store import sessions
from slipway.store.table import Delete, Key, Put, Query, Update

if TYPE_CHECKING:
    from slipway.domain.account_records import AccountRecord
    from slipway.domain.token_record import TokenRecord

LISTED = "TOKEN#"
# Of a user's tokens, those that have ended are deleted when another one is made.
_ALL = 2 * MOST_TOKENS
# So long a program with an expired token is told so, and not that the platform does not know it.
_KEPT = timedelta(days=30)


def key(token: TokenId) -> Key:
    """The key of the token."""
    return sessions.token_key(token)


def of_user(user_id: str) -> Query:
    """The query for all tokens of the user, newest first."""
    return Query(sessions.account_key(user_id).pk, LISTED, _ALL, newest_first=True)


def uses_of_user(user_id: str) -> Query:
    """The query for when the user's tokens were last used."""
    return Query(sessions.use_key(user_id, "").pk, LISTED, _ALL)


def new(
    token: TokenId, wanted: NewToken, hash_: str, account: AccountRecord, parent: TokenRecord | None
) -> TokenRecord:
    """The record of a new token; `parent` is the token that creates it, if one does."""
    now = timestamps.now()
    expires = now + timedelta(days=wanted.expires_in_days)
    if parent:
        expires = min(expires, datetime.fromisoformat(parent["expires_at"]))
    limits: dict[str, Any] = {
        name: sorted(set(value))
        for name in ("project_ids", "environment_ids", "tiers")
        if (value := getattr(wanted, name)) is not None
    }
    record: TokenRecord = {
        "id": str(token),
        "name": wanted.name,
        "kind": wanted.kind,
        "hash": hash_,
        "scopes": sorted(set(wanted.scopes)),
        "generation": account.get("token_generation", 0),
        "created_at": timestamps.written(now),
        "expires_at": timestamps.written(expires),
        "ttl": timestamps.epoch(expires + _KEPT),
    }
    if parent:
        record["created_with"] = parent["id"]
    return {**record, **limits}  # type: ignore[typeddict-item]


def writes(record: TokenRecord) -> list[Put]:
    """The writes of a new token, and of the item that says when it was used."""
    token = TokenId(*record["id"].split("_")[1:])
    ends = timestamps.epoch(datetime.fromisoformat(record["expires_at"]))
    use = {"hash": record["hash"], "ttl": ends}
    return [Put(key(token), record), Put(sessions.use_key(f"usr_{token.u}", token.t), use)]


def delete(record: TokenRecord) -> Delete:
    """The write that deletes the token."""
    return Delete(key(TokenId(*record["id"].split("_")[1:])))


def counted(account: AccountRecord, condition: str, values: dict[str, Any]) -> Update:
    """The write that counts a change of the user's tokens. It fails if another one came before.

    `condition` on the account, with `values`, must hold besides.
    """
    seen = account.get("tokens_changed", 0)
    still = "tokens_changed = :seen" if seen else "attribute_not_exists(tokens_changed)"
    generation = account.get("token_generation", 0)
    same = "token_generation = :tokens" if generation else "attribute_not_exists(token_generation)"
    more: dict[str, Any] = {"seen": seen} if seen else {}
    more |= {"tokens": generation} if generation else {}
    return Update(
        sessions.account_key(account["id"]),
        "ADD tokens_changed :one",
        {**values, **more, "one": 1},
        f"({condition}) AND {still} AND {same}",
    )


def end_all(account_key: Key) -> Update:
    """The write that ends all tokens of the user, also those that are being created."""
    change = "ADD token_generation :one, tokens_changed :one"
    return Update(account_key, change, {"one": 1})


def live(records: Iterable[TokenRecord], account: AccountRecord) -> list[TokenRecord]:
    """The tokens that have not ended."""
    now = timestamps.written(timestamps.now())
    generation = account.get("token_generation", 0)
    return [
        each for each in records if each["generation"] == generation and each["expires_at"] > now
    ]


def with_descendants(token_id: str, records: Sequence[TokenRecord]) -> list[TokenRecord]:
    """The token, those that it created, those that these created, and so on."""
    wanted, found = {token_id}, {token_id}
    while found:
        found = {each["id"] for each in records if each.get("created_with") in found} - wanted
        wanted |= found
    return [each for each in records if each["id"] in wanted]


def to_model(record: TokenRecord, uses: Iterable[Any] = ()) -> ApiToken:
    """The token as the API shows it; `uses` are the items that say when tokens were used."""
    part = record["id"].rpartition("_")[2]
    used = next((each.get("used_at") for each in uses if each["sk"] == f"{LISTED}{part}"), None)
    return ApiToken.model_validate({**record, "last_used_at": used})
