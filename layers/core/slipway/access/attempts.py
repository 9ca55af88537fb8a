"""Attempts: throttles on what strangers may try, by account and address.

Three throttles count the guesses at an account:

- its guesses from one address: the delay soon grows to minutes;
- its guesses from all addresses together, for those who have many addresses;
- the different accounts that one address guesses at.

An address from which the account's owner has signed in is known, and only the first one counts
there, with a delay of seconds. So strangers elsewhere never delay the owner, those at the same
address by seconds, and one address never locks an office out. No throttle tells whether an account
exists. Subjects are stored as keyed hashes, so the table does not tell who signs in from where.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable
from typing import Any

from slipway.access import signing
from slipway.errors import TooManyAttempts
from slipway.store import audit, table
from slipway.store.table import ConditionFailed, Delete, Item, Key, Put, Update
from slipway.store.throttles import Rule, Throttle

HOUR = 3600
_PAIR = Rule(free=5, longest=900, window=HOUR)
_KNOWN_PAIR = Rule(free=5, longest=4, window=HOUR)
_ACCOUNT = Rule(free=10, longest=900, window=HOUR)
_ADDRESS = Rule(free=120, longest=60, window=900)
_REGISTRATIONS = Rule(free=100, longest=60, window=60)
_MAILS = Rule(free=5, longest=900, window=HOUR)
_INVITATIONS = Rule(free=50, longest=900, window=HOUR)
_DEVICES = Rule(free=30, longest=60, window=900)
_CODES = Rule(free=10, longest=900, window=HOUR)
_KNOWN_SECONDS = 90 * 24 * HOUR
WRONG_CODES = "You have typed too many codes that no device shows."
_TRIES = 4
_ENTRY_WORDS = 40


class Attempt:
    """A guess at an account from an address, which is counted and may be made now."""

    def __init__(self, purpose: str, email: str, address: str) -> None:
        network = _network(address)
        account = _hashed(f"{purpose} account", email)
        pair = _hashed(f"{purpose} pair", f"{email} {network}")
        self._known_key = Key(f"ATTEMPTS#{_hashed('known', f'{email} {network}')}", "KNOWN")
        self._pair = Throttle(pair, _PAIR)
        self._account = Throttle(account, _ACCOUNT)
        self._address = Throttle(_hashed(f"{purpose} address", network), _ADDRESS)
        self._known: Item | None = None
        self._claimed: list[Throttle] = []

    def begin(self, *keys: Key, then: Callable[[list[Any]], Key] | None = None) -> list[Any]:
        """Count the attempt; the items at `keys`. Two round trips.

        `then` takes these items and returns the key of one more, which the second round trip reads.
        Raises TooManyAttempts, and StoreUnavailable if it cannot be counted.
        """
        throttles = [self._pair, self._account, self._address]
        for _ in range(_TRIES):
            known, *found = table.get(self._known_key, *(each.key for each in throttles), *keys)
            self._known = known if known and known["ttl"] > time.time() else None
            counts = dict(zip(throttles, found, strict=False))
            if self._known:
                self._pair.rule = _KNOWN_PAIR
                self._claimed = [self._pair]
            else:
                # An address is counted once for each account, so that one user's typing errors
                # are not an attack on many.
                self._claimed = throttles if counts[self._pair] is None else throttles[:2]
            if wait := max(each.wait(counts[each]) for each in self._claimed):
                raise TooManyAttempts(math.ceil(wait))
            try:
                items = found[len(throttles) :]
                claims = [each.claim(counts[each]) for each in self._claimed]
                items += table.write_at_once(claims, *([then(items)] if then else []))
            except ConditionFailed:
                continue
            return items
        raise TooManyAttempts(1)

    def succeeded(self, also: Put, *keys: Key) -> list[Any]:
        """Uncount the attempt, remember the address and write `also`; the items at `keys`.

        One round trip. The request's audit entry is written together with `also`.
        """
        return table.write_at_once(self.release(), *keys, change={"record": also})

    def failed(self, account: Item | None) -> None:
        """Write the audit entry of an attempt that failed. One round trip.

        Without an account something else is written, which takes as long and does not last: what
        was guessed at must not show, and strangers must not fill the audit.
        """
        if account:
            audit.note(action="account:sign-in-failed", target=account["id"], name=account["email"])
            table.write_at_once([], change={})
            return
        audit.finish()
        places = {f"part {n}": Key(self._known_key.pk, f"NOBODY#{n}") for n in range(2)}
        item = {"ttl": int(time.time()) + HOUR, "as_long_as": "an entry" * _ENTRY_WORDS}
        table.write_at_once(
            [], change={part: Put(key, item, condition=None) for part, key in places.items()}
        )

    def release(self) -> list[Put | Update | Delete]:
        """The writes that uncount the attempt and remember the address."""
        writes: list[Put | Update | Delete] = [Delete(self._pair.key)]
        writes += [each.give_back() for each in self._claimed if each is not self._pair]
        if not self._known or self._known["ttl"] < time.time() + _KNOWN_SECONDS / 2:
            writes.append(self.remember())
        return writes

    def remember(self) -> Put:
        """The write after which the address is known as one of the account's owner."""
        return Put(self._known_key, {"ttl": int(time.time()) + _KNOWN_SECONDS}, condition=None)


def register(address: str) -> None:
    """Count a registration from the address. One round trip, two if there were many.

    Raises TooManyAttempts, and StoreUnavailable if it cannot be counted.
    """
    subject = _hashed("register address", _network(address))
    _count(subject, _REGISTRATIONS, "Too many registrations from your address.")


def begin_on_device(address: str) -> None:
    """Count a sign-in that a device at the address begins.

    Raises TooManyAttempts, and StoreUnavailable, like `register`.
    """
    subject = _hashed("device address", _network(address))
    _count(subject, _DEVICES, "Too many sign-ins were begun from your address.")


def wrong_codes(user_id: str) -> Throttle:
    """The throttle of the codes that a user types which are no device's."""
    return Throttle(_hashed("device codes", user_id), _CODES)


def wrong_code(user_id: str) -> None:
    """Count a code that no device shows. Raises TooManyAttempts, and StoreUnavailable."""
    _count(_hashed("device codes", user_id), _CODES, WRONG_CODES)


def mail(email: str) -> None:
    """Count a mail that a stranger causes, whether or not the address has an account.

    Raises TooManyAttempts, and StoreUnavailable, like `register`.
    """
    _count(_hashed("mail", email), _MAILS, "Too many mails to this address.")


def invite(email: str, user_id: str) -> None:
    """Count a mail with which a member of a project invites an address.

    Raises TooManyAttempts, and StoreUnavailable, like `register`. The function that invites has no
    signing secret, so these subjects are not keyed: the invitation has the address anyway.
    """
    from slipway.store.account_records import digest

    _count(f"invite-{digest(email)}", _MAILS, "Too many mails to this address.")
    _count(f"invite-{user_id}", _INVITATIONS, "You have invited too many addresses.")


def _count(subject: str, rule: Rule, refusal: str) -> None:
    found = None
    for _ in range(_TRIES):
        throttle = Throttle(subject, rule)
        if wait := throttle.wait(found):
            raise TooManyAttempts(math.ceil(wait), refusal)
        try:
            table.write(throttle.claim(found), aside=True)
        except ConditionFailed as failed:
            found = failed.found
        else:
            return
    raise TooManyAttempts(1, refusal)


def known(email: str, address: str) -> Put:
    """The write after which the address is known as one of the account's owner."""
    return Attempt("sign-in", email, address).remember()


def _hashed(purpose: str, subject: str) -> str:
    return signing.keyed_hash(purpose, subject)


def _network(address: str) -> str:
    """The address; of IPv6 the /64 that one subscriber has."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False))
