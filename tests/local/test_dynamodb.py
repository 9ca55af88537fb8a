"""The store's transport and its seam, over HTTP with the embedded platform's DynamoDB: every
operation that the store uses, and every refusal that it knows how to read."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from local.platform import Platform
from slipway.aws import dynamodb
from slipway.aws.dynamodb import DynamoDBError
from slipway.settings import settings
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
from tests.support.lambda_environment import as_on_lambda
from tests.support.repository import template


@pytest.fixture(scope="module", autouse=True)
def _its_table(platform: Platform) -> Iterator[None]:
    with as_on_lambda(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", platform.endpoint)
        for name, value in platform.owner.variables().items():
            patch.setenv(name, value)
        patch.setenv("TABLE", f"contract-{uuid.uuid4().hex}")
        settings.cache_clear()
        dynamodb.wire.cache_clear()
        properties = template()["Resources"]["Table"]["Properties"]
        names = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
        wanted = {name: properties[name] for name in names}
        dynamodb.together(("CreateTable", {"TableName": settings().table, **wanted}))
        yield
        dynamodb.wire().close()
        dynamodb.wire.cache_clear()


@pytest.fixture
def here() -> Key:
    return Key(uuid.uuid4().hex, "ITEM#1")


@pytest.fixture
def there() -> Key:
    return Key(uuid.uuid4().hex, "ITEM#1")


# --- what works -----------------------------------------------------------------------------


def test_an_item_is_read_as_it_was_written(here: Key) -> None:
    item = {
        "text": "ü \U0001f680",
        "numbers": [3, -4, 0.002, 1e-07, 1.5e20, 10**20],
        "truth": True,
        "set": {"a", "b"},
        "map": {"a": {"b": []}, "nothing": None},
        "empty": "",
    }
    table.write(Put(here, item))

    [found] = table.get(here)

    assert found == {"pk": here.pk, "sk": here.sk, **item, "map": {"a": {"b": []}}}


def test_items_and_pages_come_together(here: Key, there: Key) -> None:
    for n in range(5):
        table.write(Put(Key(here.pk, f"ITEM#{n}"), {"n": n}))
    table.write(Put(there, {"n": 9}))

    [one, none, other], [(first, last), (newest, _)] = table.read(
        [there, Key("no", "where"), here],
        Query(here.pk, "ITEM#", 2),
        Query(here.pk, "ITEM#", 2, after="ITEM#3", newest_first=True),
    )

    assert (one and one["n"], none, other and other["n"]) == (9, None, 1)
    assert ([item["n"] for item in first], last) == ([0, 1], "ITEM#1")
    assert [item["n"] for item in newest] == [2, 1]


def test_an_update_returns_the_item_as_it_is_then(here: Key) -> None:
    table.write(Put(here, {"status": "old", "n": 1}))

    after = table.write(Update(here, "SET #status = :to, n = n + :one", {"to": "new", "one": 1}))

    assert after == {"pk": here.pk, "sk": here.sk, "status": "new", "n": 2}


def test_a_delete_and_a_transaction_are_carried_out(here: Key, there: Key) -> None:
    table.write(Put(here, {"n": 1}))

    Transaction().check("here", here, "n = :n", {"n": 1}).put("there", there, {"n": 2}).commit()
    table.write(Delete(here, "n = :n", {"n": 1}))

    [gone, made] = table.get(here, there)
    assert (gone, made and made["n"]) == (None, 2)


def test_the_index_is_read_to_its_end(here: Key) -> None:
    for n in range(3):
        due = {"due": f"DUE#{here.pk}", "due_at": f"2026-11-23T01:02:0{n}.000Z"}
        table.write(Put(Key(here.pk, f"ITEM#{n}"), due))

    keys = table.query_index("due", f"DUE#{here.pk}", "2026-11-23T01:02:01.000Z")

    assert [key.sk for key in keys] == ["ITEM#0", "ITEM#1"]


def test_a_transaction_that_is_sent_twice_is_done_once(here: Key) -> None:
    table.write(Put(here, {"n": 1}))
    update = {
        "TableName": settings().table,
        "Key": here.wire(),
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    request = {"TransactItems": [{"Update": update}], "ClientRequestToken": uuid.uuid4().hex}

    for _ in range(2):
        dynamodb.together(("TransactWriteItems", request))

    [found] = table.get(here)
    assert found and found["n"] == 2


def test_threads_do_not_read_each_others_answers(here: Key) -> None:
    for n in range(4):
        table.write(Put(Key(here.pk, f"ITEM#{n}"), {"n": n}))
    wrong: list[Any] = []

    def read(n: int) -> None:
        for _ in range(25):
            [found] = table.get(Key(here.pk, f"ITEM#{n}"))
            if found is None or found["n"] != n:
                wrong.append(found)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- what is refused ------------------------------------------------------------------------


def test_a_condition_that_fails_tells_the_item_as_it_is(here: Key, there: Key) -> None:
    table.write(Put(here, {"n": 1}))
    refused: list[Put | Update | Delete] = [
        Put(here, {"n": 2}),
        Update(here, "SET n = :n", {"n": 2, "was": 7}, condition="n = :was"),
        Delete(here, "n = :n", {"n": 7}),
    ]

    for action in refused:
        with pytest.raises(ConditionFailed) as failed:
            table.write(action)
        assert failed.value.found == {"pk": here.pk, "sk": here.sk, "n": 1}
    with pytest.raises(ConditionFailed) as failed:
        table.write(Update(there, "SET n = :n", {"n": 1}))
    assert failed.value.found == {}


def test_a_canceled_transaction_tells_the_reasons_in_order_with_the_items(
    here: Key, there: Key
) -> None:
    table.write(Put(here, {"n": 1}))

    transaction = (
        Transaction()
        .put("written", there, {"n": 2})
        .check("differs", here, "n = :n", {"n": 7})
        .check("missing", Key("no", "where"))
        .update("other", Key(here.pk, "OTHER"), "SET n = :n", {"n": 1}, condition="")
    )

    with pytest.raises(TransactionFailed) as failed:
        transaction.commit()

    assert failed.value.parts == {
        "differs": {"pk": here.pk, "sk": here.sk, "n": 1},
        "missing": {},
    }
    assert table.get(there) == [None]


def test_a_request_that_could_never_work_is_a_bug(here: Key) -> None:
    with pytest.raises(DynamoDBError) as refused:
        table.write(Put(Key("", here.sk), {}))

    assert refused.value.code == "ValidationException"
    assert not refused.value.passing


def test_a_table_that_is_missing_is_a_bug(here: Key) -> None:
    request = {"TableName": "nobody-made-it", "Key": here.wire()}

    with pytest.raises(DynamoDBError) as refused:
        dynamodb.together(("GetItem", request))

    assert refused.value.code == "ResourceNotFoundException"
    assert refused.value.answer["message"] in str(refused.value)
