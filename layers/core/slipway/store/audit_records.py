"""Audit records: the lists of entries, and the chains that link them.

slipway.store.audit_keys has the keys, and slipway.store.audit writes the entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.domain.audit_chain import FIRST_HASH, digest, link_hash
from slipway.store import table
from slipway.store.audit_keys import ENTRY, head_key, link_key, place_in, place_of, waiting_key
from slipway.store.table import Fields, Item, Key, Put, Query, Transaction

if TYPE_CHECKING:
    from datetime import datetime

WAITING_PAGE = 100
"""As many unlinked entries are read with each page."""
_MOST_READ = 100
_LAST = "~"


# --- lists ------------------------------------------------------------------------------------


class Filter(NamedTuple):
    """What an entry must match; what is None matches all.

    `actor` is an id or an e-mail address. `since` is the earliest time, `until` the one before
    which.
    """

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, entry: Mapping[str, Any]) -> bool:
        return (
            (self.actor is None or self.actor in actors(entry))
            and self.action in (None, entry["action"])
            and self.target in (None, entry.get("target"))
        )

    @property
    def copies(self) -> tuple[str, str] | None:
        """The copies to read, by the filter that usually leaves the fewest; None for entries."""
        for kind, value in (("TARGET", self.target), ("ACTOR", self.actor)):
            if value is not None:
                return kind, value
        return ("ACTION", self.action) if self.action is not None else None

    @property
    def is_exact(self) -> bool:
        """Whether all that is read matches."""
        return sum(each is not None for each in self[:3]) <= 1


def actors(entry: Mapping[str, Any]) -> set[str]:
    """The ids and the addresses by which the entry's actor is found."""
    names = {entry.get("actor"), entry.get("user_id"), entry.get("email")}
    if entry["kind"] == "user":
        names.add(entry.get("name"))
    return {each for each in names if each}


def copies(audit: str, entry: Mapping[str, Any]) -> Iterator[Put]:
    """The copies of an entry from which filtered lists are read. Writing them again is harmless."""
    place = place_of(entry)
    wanted = [("ACTION", entry["action"]), *(("ACTOR", each) for each in sorted(actors(entry)))]
    if target := entry.get("target"):
        wanted.append(("TARGET", target))
    for kind, value in wanted:
        key = Key(f"CHAIN#{audit}", _indexed(kind, value) + place)
        yield Put(key, _without_keys(entry), condition=None)


def _indexed(kind: str, value: str) -> str:
    # Hashed, because a sort key has at most 1,024 bytes and callers send any value.
    return f"{kind}#{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}#"


def _without_keys(item: Mapping[str, Any]) -> Item:
    return {name: value for name, value in item.items() if name not in ("pk", "sk")}


class Found(NamedTuple):
    """A page of entries, newest first: the entries, the places of those that are not linked yet,
    and the place after which the next page begins, None at the end."""

    entries: list[Any]
    unlinked: frozenset[str]
    last: str | None


def read_page(
    keys: tuple[Key, ...], audit: str, wanted: Filter, limit: int, after: str | None
) -> tuple[list[Any], Found]:
    """The items at `keys`, and a page of the audit; one round trip.

    The caller must check the authorization, which `keys` are for, before it shows the page. It
    reads at most `limit` entries, 100 if several filters are combined, and those that wait to be
    linked, at most 100; so a page may have few entries, or none, and yet not be the last.
    """
    index = wanted.copies
    pk = f"CHAIN#{audit}" if index else f"AUDIT#{audit}"
    prefix = _indexed(*index) if index else ENTRY
    if _bounds("", wanted, after) is None:
        return table.get(*keys), Found([], frozenset(), None)
    most = limit if wanted.is_exact else _MOST_READ
    found, [(items, more), (waiting, more_waiting)] = table.read(
        keys,
        Query(pk, prefix, most, None, True, _bounds(prefix, wanted, after)),
        Query(f"UNLINKED#{audit}", ENTRY, WAITING_PAGE, None, True, _bounds(ENTRY, wanted, after)),
    )
    # Below this place, there may be entries that were not read.
    cut = max(
        (place_of(read[-1]) for read, left in ((items, more), (waiting, more_waiting)) if left),
        default="",
    )
    read = {place_of(each): each for each in (*waiting, *items) if place_of(each) >= cut}
    places = sorted((place for place in read if wanted.matches(read[place])), reverse=True)
    last = cut or None
    if len(places) > limit:
        last = places[limit - 1]
    unlinked = frozenset(place_of(each) for each in waiting)
    return found, Found([read[place] for place in places[:limit]], unlinked, last)


def _bounds(prefix: str, wanted: Filter, after: str | None) -> tuple[str, str] | None:
    """The first and the last sort key to read; None if there is none between them."""
    from slipway.domain.timestamps import written

    first = prefix + (written(wanted.since) if wanted.since else "")
    last = prefix + (written(wanted.until) if wanted.until else _LAST)
    if after is not None:
        # The greatest key below it: an id has letters and digits alone.
        last = min(last, prefix + after[:-1] + chr(ord(after[-1]) - 1) + _LAST)
    return (first, last) if first <= last else None


# --- the chain --------------------------------------------------------------------------------

# Each entry takes two actions of a transaction, which has at most 100.
_BATCH = 20


def waiting(audit: str) -> list[Item]:
    """The oldest 20 entries that wait to be linked; one round trip."""
    return table.query(f"UNLINKED#{audit}", ENTRY, limit=_BATCH)[0]


def link(audit: str, entries: list[Item], emails: Mapping[str, str]) -> Fields | None:
    """Link entries that wait; returns the new head, None if others have linked one of them.

    `emails` has the address of each user by id, as far as it is known. Repeating it, or running it
    twice at once, links no entry twice and leaves no gap. Two round trips, and one for each entry.
    """
    for entry in entries:
        known = {"email": emails.get(entry.get("user_id", ""))}
        table.write_at_once(list(copies(audit, {**entry, **known})))
    [head] = table.get(head_key(audit))
    transaction, new = _linking(audit, head, entries)
    try:
        transaction.commit()
    except table.TransactionFailed:
        return None
    return new


def _linking(audit: str, head: Item | None, entries: list[Item]) -> tuple[Transaction, Fields]:
    """The transaction that links the entries after the head, and the new head."""
    sequence, previous = (head["sequence"], head["hash"]) if head else (0, FIRST_HASH)
    unchanged = "#sequence = :was" if head else "attribute_not_exists(pk)"
    was = {"was": sequence} if head else {}
    transaction = Transaction()
    for entry in entries:
        sequence += 1
        place, of_entry = place_in(entry), digest(entry)
        chained = link_hash(audit, sequence, place, of_entry, previous)
        link = {
            "sequence": sequence,
            "entry": place,
            "digest": of_entry,
            "previous": previous,
            "hash": chained,
        }
        transaction.put(f"link {sequence}", link_key(audit, sequence), link)
        transaction.delete(f"waits {sequence}", waiting_key(audit, place), "attribute_exists(pk)")
        previous = chained
    new: Fields = {"sequence": sequence, "hash": previous}
    expression, values = table.setting(new)
    transaction.update("head", head_key(audit), expression, {**values, **was}, unchanged)
    return transaction, new
