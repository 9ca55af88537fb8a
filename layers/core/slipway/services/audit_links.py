"""Linking an audit's entries into its chain, for dispatch."""

from __future__ import annotations

from slipway.observe import log
from slipway.store import audit_records, table
from slipway.store.sessions import account_key

# What each process knows; a user's address never changes.
_emails: dict[str, str] = {}
_MOST_KNOWN = 1000


def link(audit: str) -> None:
    """Link all entries of the audit that wait. Repeating it changes nothing.

    The new end of the chain is logged: whoever keeps the log elsewhere can tell later whether the
    chain was rewritten. Two round trips and one for each entry, at most 20 at a time; two more if
    a user is not known yet. One if none waits.
    """
    while waiting := audit_records.waiting(audit):
        # A token's entry has the token's name, and is found by its user's address as well.
        _learn({each.get("user_id", "") for each in waiting if each["kind"] != "user"})
        if head := audit_records.link(audit, waiting, _emails):
            log().info("Audit linked", extra={"audit": audit, **head})


def _learn(users: set[str]) -> None:
    unknown = sorted(each for each in users - _emails.keys() if each.startswith("usr_"))
    if len(_emails) > _MOST_KNOWN:
        _emails.clear()
    accounts = table.get(*map(account_key, unknown))
    for user_id, account in zip(unknown, accounts, strict=True):
        if account and "email" in account:
            _emails[user_id] = account["email"]
