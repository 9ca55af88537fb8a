"""Capacity that a template reserves, which costs although nothing uses it.

Memory is limited per function. The others are limited as sums over the template, counted as if
every condition held. A number that comes from a parameter is added when its value is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from slipway.domain.allowances import MEMORY, PARAMETERS
from slipway.domain.deployment import BROUGHT
from slipway.errors import FieldError

# A version's record holds them.
MOST_FROM_PARAMETERS = 100
_WHAT: Mapping[str, str] = {
    MEMORY: "{} MB of memory",
    "reserved": "{} reserved concurrent executions",
    "provisioned": "{} provisioned concurrent executions",
    "throughput": "{} units of provisioned throughput",
}


class FromParameter(NamedTuple):
    """A number that is the value of a parameter: its kind, its place, and how often it counts."""

    kind: str
    parameter: str
    at: str
    times: int


@dataclass
class Numbers:
    """The capacity of a template: what it says itself, and what comes from parameters."""

    fixed: dict[str, int] = field(default_factory=dict)
    from_parameters: list[FromParameter] = field(default_factory=list)
    buckets: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, number: int) -> int:
        """Count a number. Returns the capacity of the kind so far."""
        before = self.fixed.get(kind, 0)
        self.fixed[kind] = max(before, number) if kind == MEMORY else before + number
        return number if kind == MEMORY else self.fixed[kind]

    def as_record(self) -> dict[str, Any]:
        """The form of a version's record; `faults` reads it."""
        found = {
            "fixed": {kind: number for kind, number in self.fixed.items() if number},
            "from_parameters": [list(each) for each in self.from_parameters],
            "buckets": self.buckets,
        }
        return {name: each for name, each in found.items() if each}


def number(text: str) -> int | None:
    """The whole number that CloudFormation reads; None if the text is none."""
    try:
        value = Decimal(text.strip()) if text.isascii() and len(text) < 30 else None
    except InvalidOperation:
        return None
    if value is None or not value.is_finite() or value != value.to_integral_value():
        return None
    return int(value) if 0 <= value < 10**12 else None


def too_much(kind: str, total: int, limits: Mapping[str, int]) -> str | None:
    """The faults of this much capacity; None if the stack's parameters allow it."""
    limit = limits.get(kind, 0)
    if total <= limit:
        return None
    each = "is" if kind == MEMORY else "makes"
    said = _WHAT[kind].format(total)
    whole = "" if kind == MEMORY else " in all"
    return f"{each} {said}{whole}; the stack's {PARAMETERS[kind]} allows {limit}"


def faults(
    stored: Mapping[str, Any],
    values: Mapping[str, str],
    limits: Mapping[str, int],
    buckets: Sequence[str],
) -> Iterator[FieldError]:
    """The inputs whose values ask for too much capacity, or for code from another bucket.

    `stored` is what Numbers.as_record returned, `values` the values of all parameters.
    """
    totals = {kind: int(each) for kind, each in stored.get("fixed", {}).items()}
    for kind, parameter, _, times in stored.get("from_parameters", ()):
        at = f"#/inputs/{parameter}"
        found = number(values.get(parameter, ""))
        if found is None:
            yield FieldError(at, "must be a whole number: the template reserves capacity with it")
            continue
        counted = found * int(times)
        total = counted if kind == MEMORY else totals.get(kind, 0) + counted
        totals[kind] = total
        detail = too_much(kind, total, limits)
        if detail:
            yield FieldError(at, detail)
    for parameter in stored.get("buckets", {}):
        if parameter in BROUGHT:
            continue  # Deployments are checked when they are accepted.
        value = values.get(parameter, "").removeprefix("s3://").partition("/")[0]
        if value not in buckets:
            yield FieldError(f"#/inputs/{parameter}", not_a_bucket(buckets))


def not_a_bucket(buckets: Sequence[str]) -> str:
    known = ", ".join(buckets) or "none"
    return f"must name a bucket that the stack's ArtifactBuckets lists ({known})"
