"""The cost of a call is computed as DynamoDB does."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.loopback import Call
from benchmarks.units import Paid, in_sequence, read_units, size, write_units

KEY = {"pk": {"S": "p" * 8}, "sk": {"S": "s" * 8}}


def call(operation: str = "Query", began: float = 0, ended: float = 1, **more: Any) -> Call:
    return Call(operation, more.pop("request", {}), 0, began, ended=ended, **more)


def item(kilobytes: float) -> dict[str, Any]:
    """As large as that, names and key included."""
    rest = int(kilobytes * 1024) - size(KEY) - 1
    return {**KEY, "a": {"S": "x" * rest}}


@pytest.mark.parametrize(
    ("value", "bytes_"),
    [
        ({"S": "é"}, 2),
        ({"N": "0"}, 1),
        ({"N": "-12.5"}, 3),
        ({"N": "1795407899"}, 6),
        ({"BOOL": True}, 1),
        ({"L": [{"S": "ab"}]}, 6),
        ({"M": {"k": {"S": "ab"}}}, 7),
        ({"SS": ["ab", "c"]}, 3),
    ],
)
def test_a_value_has_the_size_that_dynamodb_counts(value: dict[str, Any], bytes_: int) -> None:
    assert size({"n": value}) == 1 + bytes_


def test_each_item_of_a_batch_is_rounded_up_and_a_missing_one_costs_a_unit() -> None:
    request = {"RequestItems": {"t": {"Keys": [KEY] * 3, "ConsistentRead": True}}}
    answer = {"Responses": {"t": [item(1), item(4.5)]}}

    assert read_units(call("BatchGetItem", request=request, answer=answer)) == 1 + 2 + 1


def test_a_page_is_rounded_up_once() -> None:
    answer = {"Items": [item(1), item(1), item(3)]}

    assert read_units(call(request={"ConsistentRead": True}, answer=answer)) == 2
    assert read_units(call(answer=answer)) == 1
    assert read_units(call(request={"ConsistentRead": True}, answer={"Items": []})) == 1


def test_a_write_pays_for_the_larger_image_and_twice_in_a_transaction() -> None:
    images = [(item(2.5), item(0.5))]

    assert write_units(call("UpdateItem", images=images)) == 3
    assert write_units(call("TransactWriteItems", images=images)) == 6


def test_a_change_in_the_index_comes_on_top() -> None:
    due = {"due": {"S": "DUE#1"}, "due_at": {"S": "2026"}}
    later = {"due": {"S": "DUE#1"}, "due_at": {"S": "2027"}}

    assert write_units(call("PutItem", images=[({}, KEY | due)])) == 1 + 1
    assert write_units(call("PutItem", images=[(KEY | due, KEY | due)])) == 1
    assert write_units(call("PutItem", images=[(KEY | due, KEY | later)])) == 1 + 2
    assert write_units(call("PutItem", images=[(KEY | due, KEY)])) == 1 + 1


def test_calls_that_overlap_are_one_round_trip() -> None:
    first, beside, after = call("A", 0, 2), call("B", 1, 3), call("C", 3.5, 4)

    assert in_sequence([after, beside, first]) == [[first, beside], [after]]
    assert Paid([first, beside, after]).depth == 2
    assert Paid([first, beside, after]).told() == "A + B, C"
