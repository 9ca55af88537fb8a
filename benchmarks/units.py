"""The cost of DynamoDB calls, by DynamoDB's rules: capacity units, bytes and round trips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from benchmarks.loopback import Call, Item


def size(item: Item) -> int:
    """The size that DynamoDB counts, in bytes: names and values."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: Mapping[str, Any]) -> int:
    [(kind, content)] = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return ceil(len(content.lstrip("-").replace(".", "").strip("0")) / 2) + 1
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _size(each) for name, each in content.items())
    if kind == "L":
        return 3 + sum(1 + _size(each) for each in content)
    if kind == "B":
        return len(content) * 3 // 4
    if kind in ("SS", "NS"):
        return sum(_size({kind[0]: each}) for each in content)
    assert kind in ("BOOL", "NULL"), kind
    return 1


def read_units(call: Call) -> float:
    """One unit for each 4 KB, half if eventually consistent; one for a missing item."""
    if call.operation == "BatchGetItem":
        [(table, wanted)] = call.request["RequestItems"].items()
        found = call.answer["Responses"].get(table, [])
        units = sum(ceil(size(item) / 4096) for item in found) + len(wanted["Keys"]) - len(found)
        return units if wanted.get("ConsistentRead") else units / 2
    if call.operation == "GetItem":
        units = max(1, ceil(size(call.answer.get("Item", {})) / 4096))
        return units if call.request.get("ConsistentRead") else units / 2
    if call.operation == "Query":
        units = max(1, ceil(sum(map(size, call.answer["Items"])) / 4096))
        return units if call.request.get("ConsistentRead") else units / 2
    return 0


def write_units(call: Call) -> int:
    """One unit for each kilobyte of the larger image, two in a transaction.

    A change in the index costs as much again, once.
    """
    each = 2 if call.operation == "TransactWriteItems" else 1
    return sum(
        each * max(1, ceil(max(size(before), size(after)) / 1024)) + index_units(before, after)
        for before, after in call.images
    )


def index_units(before: Item, after: Item) -> int:
    """The units of both indexes: `due` has keys only, `listed` has whole items."""
    old, new = (
        (item["due"], item["due_at"]) if "due" in item and "due_at" in item else None
        for item in (before, after)
    )
    due = 0 if old == new else (old is not None) + (new is not None)
    listed = [item for item in (before, after) if "listed" in item]
    return due + (max(1, ceil(max(map(size, listed)) / 1024)) if listed else 0)


def in_sequence(calls: Sequence[Call]) -> list[list[Call]]:
    """Groups of calls. The calls of a group overlap; each group follows the one before."""
    groups: list[list[Call]] = []
    for call in sorted(calls, key=lambda call: call.began):
        if groups and any(call.began < other.ended for other in groups[-1]):
            groups[-1].append(call)
        else:
            groups.append([call])
    return groups


@dataclass(frozen=True)
class Paid:
    """The DynamoDB calls of one request to the API."""

    calls: list[Call]

    @property
    def depth(self) -> int:
        return len(in_sequence(self.calls))

    @property
    def units(self) -> tuple[float, int]:
        return sum(map(read_units, self.calls)), sum(map(write_units, self.calls))

    @property
    def items(self) -> int:
        """The number of items that DynamoDB read."""
        return sum(
            int(call.answer.get("ScannedCount", 0))
            + sum(map(len, call.answer.get("Responses", {}).values()))
            + ("Item" in call.answer)
            for call in self.calls
        )

    @property
    def sent(self) -> int:
        return sum(call.sent for call in self.calls)

    @property
    def answered(self) -> int:
        return sum(call.answered for call in self.calls)

    def told(self) -> str:
        """`BatchGetItem + Query, TransactWriteItems`: concurrent calls, then those that follow."""
        return ", ".join(
            " + ".join(sorted(call.operation for call in group))
            for group in in_sequence(self.calls)
        )
