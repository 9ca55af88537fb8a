"""The seam to DynamoDB: which requests it sends, and how it raises refusals."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.aws import dynamodb
from slipway.aws.dynamodb import DynamoDBError
from slipway.domain.paging import Page
from slipway.errors import Busy, Invalid, StoreUnavailable
from slipway.store import table
from slipway.store.table import (
    ConditionFailed,
    Delete,
    Key,
    Put,
    Query,
    Transaction,
    TransactionFailed,
    Update,
)
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("aws")

HERE = Key("HERE", "ITEM#1")
THERE = Key("THERE", "ITEM#1")


# --- reads ----------------------------------------------------------------------------------


def test_items_come_in_the_order_of_their_keys() -> None:
    table.write(Put(HERE, {"n": 1}))
    table.write(Put(THERE, {"n": 2}))

    there, nowhere, here = table.get(THERE, Key("NO", "WHERE"), HERE)

    assert (there and there["n"], nowhere, here and here["n"]) == (2, None, 1)


def test_a_read_is_strongly_consistent(monkeypatch: pytest.MonkeyPatch) -> None:
    gets = between.fails(monkeypatch, "BatchGetItem")
    queries = between.fails(monkeypatch, "Query")

    table.get(HERE)
    table.query("HERE", "ITEM#", limit=1)

    assert gets[0]["RequestItems"]["slipway"]["ConsistentRead"] is True
    assert queries[0]["ConsistentRead"] is True


def test_items_and_pages_are_one_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    table.write(Put(HERE, {"n": 1}))
    table.write(Put(THERE, {"n": 2}))
    made = between.counted(monkeypatch)

    items, [here, none, there] = table.read(
        [HERE, Key("NO", "WHERE")],
        Query("HERE", "ITEM#", 10),
        Query("HERE", "NO#", 10),
        Query("THERE", "ITEM#", 1),
    )

    assert [item and item["n"] for item in items] == [1, None]
    assert [[item["n"] for item in found] for found, _ in (here, none, there)] == [[1], [], [2]]
    assert made == ["Query + Query + Query + BatchGetItem"]


def test_a_page_continues_where_the_last_one_ended() -> None:
    for n in range(3):
        table.write(Put(Key("HERE", f"ITEM#{n}"), {"n": n}))

    [first], items, last = table.page([HERE], "HERE", "ITEM#", world.page(limit=2))
    cursor = Page(items, last).cursor
    _, more, end = table.page([], "HERE", "ITEM#", world.page(limit=2, cursor=cursor))

    assert first and first["n"] == 1
    assert [item["n"] for item in items + more] == [2, 1, 0]
    assert end is None


def test_a_cursor_of_another_list_is_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = between.counted(monkeypatch)
    cursor = Page([], "OTHER#1").cursor

    with pytest.raises(Invalid):
        table.page([HERE], "HERE", "ITEM#", world.page(cursor=cursor))
    assert made == []


def test_unprocessed_keys_are_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = between.no_sleep(monkeypatch)
    left = {"slipway": {"Keys": [THERE.wire()], "ConsistentRead": True}}
    requests = between.answers(
        monkeypatch,
        "BatchGetItem",
        {"Responses": {"slipway": [HERE.wire()]}, "UnprocessedKeys": left},
        {"Responses": {}, "UnprocessedKeys": left},
        {"Responses": {"slipway": [THERE.wire()]}, "UnprocessedKeys": {}},
    )

    found = table.get(HERE, THERE)

    assert found == [{"pk": "HERE", "sk": "ITEM#1"}, {"pk": "THERE", "sk": "ITEM#1"}]
    assert [request["RequestItems"] for request in requests[1:]] == [left, left]
    assert len(pauses) == 2


def test_a_table_that_never_processes_all_keys_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses = between.no_sleep(monkeypatch)
    left = {"slipway": {"Keys": [HERE.wire()], "ConsistentRead": True}}
    never = {"Responses": {}, "UnprocessedKeys": left}
    requests = between.answers(monkeypatch, "BatchGetItem", *[never] * 20)

    with pytest.raises(StoreUnavailable):
        table.get(HERE)
    assert 2 <= len(requests) <= 10
    assert len(pauses) == len(requests) - 1
    assert sum(pauses) < 2


def test_a_query_pages_to_its_end_without_gaps_or_duplicates() -> None:
    for n in range(7):
        table.write(Put(Key("HERE", f"ITEM#{n}"), {"n": n}))
    table.write(Put(Key("HERE", "OTHER#1"), {"n": 99}))
    found, pages, after = [], 0, None

    while True:
        items, after = table.query("HERE", "ITEM#", limit=3, after=after)
        found += [item["n"] for item in items]
        pages += 1
        if after is None:
            break

    assert found == list(range(7))
    assert pages == 3


def test_a_query_may_begin_with_the_newest() -> None:
    for n in range(3):
        table.write(Put(Key("HERE", f"ITEM#{n}"), {"n": n}))

    items, _ = table.query("HERE", "ITEM#", limit=2, newest_first=True)

    assert [item["n"] for item in items] == [2, 1]


# --- what an item is made of ----------------------------------------------------------------


def test_an_item_is_read_as_it_was_written() -> None:
    item = {
        "text": "ü \U0001f680",
        "whole": 3,
        "negative": -4,
        "fraction": 0.002,
        "large": 10**20,
        "tiny": 1e-07,
        "huge": 1.5e20,
        "truth": True,
        "set": {"a", "b"},
        "list": [1, "two", None],
        "map": {"a": "b", "deep": {"n": -0.5}},
        "empty": ["", {}, []],
        "nothing": None,
        "bytes": b"\x00\xff",
    }

    table.write(Put(HERE, item))
    [found] = table.get(HERE)

    del item["nothing"]
    assert found == {"pk": "HERE", "sk": "ITEM#1", **item}
    assert isinstance(found["whole"], int)
    assert isinstance(found["fraction"], float)


@pytest.mark.parametrize("value", [bytearray(b"bytes"), {1, 2}, object()])
def test_a_value_that_the_table_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        table.write(Put(HERE, {"value": value}))


# --- writes ---------------------------------------------------------------------------------


def test_a_put_replaces_the_item_that_its_condition_names() -> None:
    table.write(Put(HERE, {"n": 1}))

    table.write(Put(HERE, {"n": 2}, "n = :seen", {"seen": 1}))
    with pytest.raises(ConditionFailed):
        table.write(Put(HERE, {"n": 3}, "n = :seen", {"seen": 1}))

    assert table.get(HERE)[0] == {"pk": "HERE", "sk": "ITEM#1", "n": 2}


def test_a_put_never_replaces_an_item() -> None:
    table.write(Put(HERE, {"n": 1}))

    with pytest.raises(ConditionFailed) as failed:
        table.write(Put(HERE, {"n": 2}))

    assert failed.value.found["n"] == 1
    assert table.get(HERE)[0] == {"pk": "HERE", "sk": "ITEM#1", "n": 1}


def test_a_put_without_a_condition_replaces() -> None:
    table.write(Put(HERE, {"n": 1}))
    table.write(Put(HERE, {"n": 2}, condition=None))

    [found] = table.get(HERE)

    assert found and found["n"] == 2


def test_an_update_needs_an_existing_item() -> None:
    with pytest.raises(ConditionFailed) as failed:
        table.write(Update(HERE, "SET n = :n", {"n": 1}))

    assert failed.value.found == {}
    assert table.get(HERE) == [None]


def test_an_update_returns_the_new_item() -> None:
    table.write(Put(HERE, {"status": "old", "n": 1}))

    after = table.write(Update(HERE, "SET #status = :to, n = n + :one", {"to": "new", "one": 1}))

    assert after == {"pk": "HERE", "sk": "ITEM#1", "status": "new", "n": 2}


def test_a_delete_may_have_a_condition() -> None:
    table.write(Put(HERE, {"n": 1}))

    with pytest.raises(ConditionFailed):
        table.write(Delete(HERE, "n = :n", {"n": 2}))
    assert table.get(HERE) != [None]
    table.write(Delete(HERE, "n = :n", {"n": 1}))
    assert table.get(HERE) == [None]


def test_a_transaction_is_all_or_nothing() -> None:
    table.write(Put(HERE, {"n": 1}))
    before = world.everything()

    transaction = (
        Transaction()
        .put("written", THERE, {"n": 2})
        .check("differs", HERE, "n = :n", {"n": 7})
        .check("missing", Key("NO", "WHERE"))
    )

    with pytest.raises(TransactionFailed) as failed:
        transaction.commit()

    assert failed.value.get("written") is None
    assert failed.value["differs"]["n"] == 1
    assert failed.value["missing"] == {}
    assert world.everything() == before


def test_each_part_of_a_transaction_has_a_name_of_its_own() -> None:
    transaction = Transaction().put("record", HERE, {})

    with pytest.raises(ValueError, match="already has a part named record"):
        transaction.put("record", THERE, {})


# --- how DynamoDB refuses -------------------------------------------------------------------

SAID_LATER = {
    "throttled": between.error("ThrottlingException"),
    "over the limit": between.error("RequestLimitExceeded"),
    "over the throughput": between.error("ProvisionedThroughputExceededException"),
    "an error of DynamoDB's": between.error("InternalServerError", 500),
    "unavailable": between.error("ServiceUnavailable", 503),
    "a transaction in progress": between.error("TransactionInProgressException"),
    "an expired credential": between.error("ExpiredTokenException"),
    "canceled by throttling": between.canceled("None", "ThrottlingError"),
    "canceled without reasons": between.error("TransactionCanceledException"),
    "no answer": between.error(dynamodb.NO_ANSWER),
}


@pytest.mark.parametrize("raised", SAID_LATER.values(), ids=SAID_LATER.keys())
def test_a_table_that_does_not_answer_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, raised: Exception
) -> None:
    for operation in between.OPERATIONS:
        between.fails(monkeypatch, operation, raised)

    with pytest.raises(StoreUnavailable):
        table.get(HERE)
    with pytest.raises(StoreUnavailable):
        table.query("HERE", "ITEM#", limit=1)
    with pytest.raises(StoreUnavailable):
        table.write(Put(HERE, {}))
    with pytest.raises(StoreUnavailable):
        Transaction().put("record", HERE, {}).commit()


BUGS = {
    "a request that could never work": between.error("ValidationException"),
    "a permission that is missing": between.error("AccessDeniedException"),
    "a table that is missing": between.error("ResourceNotFoundException"),
    "a request that cannot be read": between.error("SerializationException"),
    "an action of a transaction that could never work": between.canceled("ValidationError"),
}


@pytest.mark.parametrize("raised", BUGS.values(), ids=BUGS.keys())
def test_an_error_caused_by_a_bug_is_raised_as_it_is(
    monkeypatch: pytest.MonkeyPatch, raised: Exception
) -> None:
    between.fails(monkeypatch, "TransactWriteItems", raised)

    with pytest.raises(DynamoDBError):
        Transaction().put("record", HERE, {}).commit()


CONFLICTS = {
    "another transaction": between.canceled("None", "TransactionConflict"),
    "another write": between.error("TransactionConflictException"),
}


@pytest.mark.parametrize("raised", CONFLICTS.values(), ids=CONFLICTS.keys())
def test_a_conflict_is_retried(monkeypatch: pytest.MonkeyPatch, raised: Exception) -> None:
    pauses = between.no_sleep(monkeypatch)
    requests = between.fails(monkeypatch, "TransactWriteItems", raised, raised)

    Transaction().put("record", HERE, {"n": 1}).commit()

    assert table.get(HERE) == [{"pk": "HERE", "sk": "ITEM#1", "n": 1}]
    assert len(requests) == 3
    assert len(pauses) == 2


@pytest.mark.parametrize("raised", CONFLICTS.values(), ids=CONFLICTS.keys())
def test_a_conflict_that_does_not_end_is_busy(
    monkeypatch: pytest.MonkeyPatch, raised: Exception
) -> None:
    pauses = between.no_sleep(monkeypatch)
    between.fails(monkeypatch, "TransactWriteItems", *[raised] * 50)

    with pytest.raises(Busy) as busy:
        Transaction().put("record", HERE, {"n": 1}).commit()

    assert busy.value.seconds >= 1
    assert max(pauses) <= 0.4
    assert sum(pauses) < 5
    assert table.get(HERE) == [None]


def test_a_condition_that_failed_beside_a_conflict_is_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table.write(Put(THERE, {"n": 2}))
    pauses = between.no_sleep(monkeypatch)
    # The first action's item is being written, so the second may have been written with it.
    raised = between.canceled("TransactionConflict", "ConditionalCheckFailed")
    between.fails(monkeypatch, "TransactWriteItems", raised)

    with pytest.raises(TransactionFailed) as failed:
        Transaction().put("here", HERE, {}).put("there", THERE, {}).commit()

    assert failed.value.get("here") is None
    assert failed.value["there"]["n"] == 2
    assert len(pauses) == 1


# --- the table of the tests -------------------------------------------------------------------


def test_a_failed_transaction_leaves_items_and_stream_as_they_were() -> None:
    table.write(Put(HERE, {"n": 1}))
    table.write(Put(THERE, {"n": 1}))
    before = world.everything(), len(world.stream())
    missing = Key("NO", "WHERE")
    transaction = Transaction(
        {
            "changed": Update(HERE, "SET n = :n", {"n": 2}),
            "deleted": Delete(THERE),
            "new": Put(Key("NEW", "ITEM#1"), {"n": 1}),
            "refused": Update(missing, "SET n = :n", {"n": 1}, "attribute_exists(pk)"),
        }
    )

    with pytest.raises(TransactionFailed):
        transaction.commit()

    assert (world.everything(), len(world.stream())) == before
    assert before[1] == 2
