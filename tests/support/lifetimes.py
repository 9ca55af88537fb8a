"""The kinds of items in docs/retention.md, and whether items are as the page says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from tests.support.repository import ROOT

PAGE = ROOT / "docs/retention.md"
WAYS = {"always", "end", "parent", "none"}


class Kind(NamedTuple):
    name: str
    pk: str
    sk: str
    ttl: str

    def has(self, item: Any) -> bool:
        """Whether an item with these keys is of this kind: a prefix ends with #."""
        return _matches(item["pk"], self.pk) and _matches(item["sk"], self.sk)


def _matches(key: str, text: str) -> bool:
    if text == "SECRETS":
        # One for the creation, one with the part of each update.
        return key == text or key.startswith(f"{text}#")
    return key.startswith(text) if text.endswith("#") or not text else key == text


@cache
def kinds() -> tuple[Kind, ...]:
    """The rows of the page's last table."""
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 5 and cells[3] in WAYS:
            found.append(Kind(*cells[:4]))
    return tuple(found)


def of(item: Any) -> Kind | None:
    """The kind of an item, None for an unknown one. The longest keys win."""
    found = [kind for kind in kinds() if kind.has(item)]
    return max(found, key=lambda kind: len(kind.pk + kind.sk), default=None)


def faults(items: Iterable[Any]) -> Iterator[str]:
    """Each kind of item that the page lacks, or of which it says something else."""
    for item in items:
        kind, key = of(item), f"{item['pk']} {item['sk']}"
        if kind is None:
            yield f"docs/retention.md has no kind for {_veiled(key)}"
        elif kind.ttl == "always" and "ttl" not in item:
            yield f"{_veiled(key)} has no ttl"
        elif kind.ttl == "none" and "ttl" in item and not item["pk"].startswith("PROJECT#"):
            yield f"{_veiled(key)} has a ttl"


def _veiled(key: str) -> str:
    """The key without its ids, so that items of one kind are told once."""
    return re.sub(r"[0-9a-z]{16,}", "…", key)
