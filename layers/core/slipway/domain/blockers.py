"""Resources that a teardown could not delete: in a record's `remains`, and as they are shown.

<driver's resource>: <logical id> (<type>, <physical id>)[: <reason>]
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple


class Blocker(NamedTuple):
    """`named` is the text without the driver's resource and the reason."""

    resource: str
    named: str
    reason: str

    @property
    def logical_id(self) -> str:
        return self.named.partition(" (")[0]


def parse(remains: str) -> Blocker:
    """One entry of `remains`. No text makes this raise."""
    resource, _, detail = remains.partition(": ")
    named, closing, reason = detail.partition("): ")
    return Blocker(resource, named + closing.rstrip(": "), reason)


def named(resources: Collection[str], remains: Iterable[str]) -> list[str]:
    """What remains of the driver's resources, without reasons: in detail where that is known."""
    parsed = [each for each in map(parse, remains) if each.resource in resources]
    known = {each.resource for each in parsed}
    return sorted({*(each.named for each in parsed), *(set(resources) - known)})
