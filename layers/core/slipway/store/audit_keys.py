"""The keys of the audits, and the writes of an entry. `<p>` is the part of a project's id, or
PLATFORM; `<place>` is `<at>#<id>` of an entry.

    AUDIT#<p>      ENTRY#<place>                    an entry, written with the change
    UNLINKED#<p>   ENTRY#<place>                    its copy, until it is linked
    CHAIN#<p>      LINK#<sequence>                  a link
    CHAIN#<p>      ACTOR#…, ACTION#…, TARGET#…      copies of linked entries, for the filters
    CHAIN#<p>      HEAD                             the last link: its sequence and hash

Nobody may change or delete an item of AUDIT#, and only dispatch writes those of CHAIN#
(UpdateRecords, AddRecords and DeleteRecords in template.yaml).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from slipway.store.actions import Key, Put

PLATFORM = "PLATFORM"
"""The name of the platform's own audit; a project's is named after the part of its id."""

ENTRY = "ENTRY#"
LINK = "LINK#"
_PLACE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z#aud_[0-9a-z]{20}")


def entry_key(audit: str, place: str) -> Key:
    """The key of an entry."""
    return Key(f"AUDIT#{audit}", ENTRY + place)


def waiting_key(audit: str, place: str) -> Key:
    """The key of an entry's copy that waits to be linked."""
    return Key(f"UNLINKED#{audit}", ENTRY + place)


def head_key(audit: str) -> Key:
    """The key of the end of a chain."""
    return Key(f"CHAIN#{audit}", "HEAD")


def link_key(audit: str, sequence: int) -> Key:
    """The key of a link; the first has the sequence 1."""
    return Key(f"CHAIN#{audit}", f"{LINK}{sequence:012}")


def place_of(entry: Mapping[str, Any]) -> str:
    """Where the entry stands in its audit."""
    return f"{entry['at']}#{entry['id']}"


def place_in(item: Mapping[str, Any]) -> str:
    """The place at which the table has an entry, or its copy that waits."""
    return str(item["sk"])[len(ENTRY) :]


def is_place(text: str) -> bool:
    """Whether the text could be the place of an entry."""
    return _PLACE.fullmatch(text) is not None


def puts(audit: str, entry: Mapping[str, Any]) -> dict[str, Put]:
    """The parts of a transaction that write an entry."""
    place = place_of(entry)
    return {
        "audit": Put(entry_key(audit, place), entry),
        "audit to link": Put(waiting_key(audit, place), entry),
    }
