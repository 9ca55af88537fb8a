"""The chain of an audit: the hashes that link its entries, and the check that it is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

FIRST_HASH = "0" * 64
"""What the first link has in place of the hash of a link before it."""


def digest(entry: Mapping[str, Any]) -> str:
    """The digest of an entry as the table holds it, without its keys."""
    content = {name: value for name, value in entry.items() if name not in ("pk", "sk")}
    return _hash(content)


def link_hash(audit: str, sequence: int, place: str, of_entry: str, previous: str) -> str:
    """The hash of a link: it binds the audit, the position, the entry's place and digest, and the
    link before."""
    return _hash([audit, sequence, place, of_entry, previous])


def _hash(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Position(NamedTuple):
    """How far a chain is checked: the last link's sequence and hash, the place of the last entry
    that was read, and how many were."""

    sequence: int = 0
    hash: str = FIRST_HASH
    place: str = ""
    counted: int = 0

    def __str__(self) -> str:
        return "/".join(map(str, self))

    @classmethod
    def parse(cls, text: str) -> Position:
        """Raises ValueError."""
        sequence, hash_, place, counted = text.split("/")
        if len(hash_) != len(FIRST_HASH) or int(sequence) < 0 or int(counted) < 0:
            raise ValueError("not a position")
        return cls(int(sequence), hash_, place, int(counted))


class Broken(NamedTuple):
    """Where a chain is broken, and why."""

    sequence: int
    reason: str


def check_links(
    audit: str,
    start: Position,
    links: Sequence[Mapping[str, Any]],
    entries: Mapping[str, Any],
) -> tuple[Position, Broken | None]:
    """Check the links that follow `start`, until one is broken or its entry was not read.

    `entries` has the entry at each place, None where there is none.
    """
    at = start
    for link in links:
        wanted = at.sequence + 1
        if link["sequence"] != wanted:
            return at, Broken(wanted, f"Link {wanted} is missing.")
        place = link["entry"]
        if link["previous"] != at.hash:
            return at, Broken(wanted, f"Link {wanted} does not follow the link before it.")
        if link["hash"] != link_hash(audit, wanted, place, link["digest"], at.hash):
            return at, Broken(wanted, f"Link {wanted} was changed.")
        if place not in entries:
            return at, None
        entry, name = entries[place], place.partition("#")[2]
        if entry is None:
            return at, Broken(wanted, f"The entry {name} is missing.")
        if digest(entry) != link["digest"]:
            return at, Broken(wanted, f"The entry {name} was changed.")
        at = at._replace(sequence=wanted, hash=link["hash"])
    return at, None


def check_end(
    at: Position, head: Mapping[str, Any] | None, waiting: int, extra: Sequence[str]
) -> Broken | None:
    """Check the end of a chain against its head, and that every entry is linked or waits.

    `extra` are places of entries that seem to be neither.
    """
    sequence, hash_ = (head["sequence"], head["hash"]) if head else (0, FIRST_HASH)
    beyond = at.sequence + 1
    if at.sequence < sequence:
        return Broken(beyond, f"Link {beyond} is missing.")
    if (at.sequence, at.hash) != (sequence, hash_):
        return Broken(at.sequence, "The last link is not the head of the chain.")
    if at.counted > at.sequence + waiting:
        names = ", ".join(place.partition("#")[2] for place in extra[:5])
        return Broken(beyond, f"There are entries that were never linked{names and f': {names}'}.")
    return None
