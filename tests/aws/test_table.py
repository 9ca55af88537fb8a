"""Each table that the tests trust answers as DynamoDB answered."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.support.aws_facts import facts
from tests.support.tables import Refused, Table

pytestmark = pytest.mark.xdist_group("aws")


NOBODY = {"S": "nobody"}
ONE = {":one": {"N": "1"}}


def key(pk: str | None = None) -> dict[str, Any]:
    return {"pk": {"S": pk or uuid.uuid4().hex}, "sk": {"S": "ITEM"}}


def put(table: Table, at: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"TableName": table.name, "Item": {**at, **fields}}


def check(table: Table, at: dict[str, Any], condition: str, **more: Any) -> dict[str, Any]:
    return {"TableName": table.name, "Key": at, "ConditionExpression": condition, **more}


def refused(table: Table, operation: str, **request: Any) -> Refused:
    with pytest.raises(Refused) as raised:
        table.ask(operation, **request)
    return raised.value


def test_a_condition_that_does_not_hold_tells_the_item(table: Table) -> None:
    there = key()
    table.ask("PutItem", **put(table, there, price={"N": "650"}))

    refusal = refused(
        table,
        "PutItem",
        **put(table, there),
        ConditionExpression="attribute_not_exists(pk)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )

    fact = facts("writes")["condition"]
    assert (refusal.code, refusal.message) == (fact["code"], fact["message"])
    assert refusal.answer["Item"] == {**there, "price": {"N": "650"}}


def test_a_canceled_transaction_has_a_reason_for_each_action_in_order(table: Table) -> None:
    there = key()
    table.ask("PutItem", **put(table, there, price={"N": "650"}))
    lost = {**put(table, there), "ConditionExpression": "attribute_not_exists(pk)"}
    lost["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"

    refusal = refused(
        table, "TransactWriteItems", TransactItems=[{"Put": lost}, {"Put": put(table, key())}]
    )

    fact = facts("writes")["canceled"]
    assert (refusal.code, refusal.message) == (fact["code"], fact["message"])
    first, second = refusal.answer["CancellationReasons"]
    assert (first["Code"], second["Code"]) == ("ConditionalCheckFailed", "None")
    assert first["Item"] == {**there, "price": {"N": "650"}}
    assert "Item" not in second


def test_a_reason_has_no_item_where_there_was_none(table: Table) -> None:
    gone = check(table, key(), "attribute_exists(pk)")
    gone["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"

    refusal = refused(table, "TransactWriteItems", TransactItems=[{"ConditionCheck": gone}])

    [reason] = refusal.answer["CancellationReasons"]
    assert reason["Code"] == "ConditionalCheckFailed"
    assert not reason.get("Item")


def count(table: Table, at: dict[str, Any]) -> dict[str, Any]:
    """An action that counts how often it was carried out."""
    how = {"UpdateExpression": "ADD times :one", "ExpressionAttributeValues": ONE}
    return {"Update": {"TableName": table.name, "Key": at, **how}}


def times(table: Table, at: dict[str, Any]) -> int:
    found = table.ask("GetItem", TableName=table.name, Key=at, ConsistentRead=True)
    return int(found.get("Item", {}).get("times", {"N": "0"})["N"])


def test_a_transaction_with_a_known_token_is_carried_out_once(table: Table) -> None:
    at, token = key(), uuid.uuid4().hex
    request = {"TransactItems": [count(table, at)], "ClientRequestToken": token}

    table.ask("TransactWriteItems", **request)
    table.ask("TransactWriteItems", **request)

    assert times(table, at) == 1


def test_a_known_token_with_another_request_is_refused(table: Table) -> None:
    token = uuid.uuid4().hex
    table.ask("TransactWriteItems", TransactItems=[count(table, key())], ClientRequestToken=token)

    refusal = refused(
        table, "TransactWriteItems", TransactItems=[count(table, key())], ClientRequestToken=token
    )

    assert refusal.code == "IdempotentParameterMismatchException"


def test_a_token_has_36_characters_at_most(table: Table) -> None:
    request = {"TransactItems": [count(table, key())], "ClientRequestToken": "t" * 37}

    # The client library refuses it before DynamoDB can.
    with pytest.raises(Exception, match=r"(?i)ClientRequestToken"):
        table.ask("TransactWriteItems", **request)


def test_no_item_is_written_twice_in_a_transaction(table: Table) -> None:
    at = key()

    refusal = refused(
        table, "TransactWriteItems", TransactItems=[count(table, at), count(table, at)]
    )

    assert refusal.code == "ValidationException"


def test_a_transaction_has_a_hundred_actions_at_most(table: Table) -> None:
    actions = [count(table, key()) for _ in range(101)]

    refusal = refused(table, "TransactWriteItems", TransactItems=actions)

    assert refusal.code == "ValidationException"


def test_an_item_has_400_kilobytes_at_most(table: Table) -> None:
    refusal = refused(table, "PutItem", **put(table, key(), text={"S": "x" * 409_600}))

    assert refusal.code == "ValidationException"


def test_a_batch_has_a_hundred_keys_at_most(table: Table) -> None:
    keys = [key() for _ in range(101)]

    refusal = refused(table, "BatchGetItem", RequestItems={table.name: {"Keys": keys}})

    assert refusal.code == "ValidationException"


def test_a_batch_says_what_it_left_out(table: Table) -> None:
    there = key()
    table.ask("PutItem", **put(table, there))
    wanted = {"Keys": [there, key()], "ConsistentRead": True}

    answer = table.ask("BatchGetItem", RequestItems={table.name: wanted})

    fact = facts("batch_get")
    assert set(fact["keys"]) <= set(answer)
    assert answer["UnprocessedKeys"] == fact["UnprocessedKeys"]
    assert answer["Responses"][table.name] == [there]


def test_removing_the_first_of_a_list_moves_the_others_up(table: Table) -> None:
    at = key()
    table.ask("PutItem", **put(table, at, warn_at={"L": [{"S": "a"}, {"S": "b"}]}))

    table.ask("UpdateItem", TableName=table.name, Key=at, UpdateExpression="REMOVE warn_at[0]")

    found = table.ask("GetItem", TableName=table.name, Key=at, ConsistentRead=True)
    assert found["Item"]["warn_at"] == {"L": [{"S": "b"}]}


def test_a_table_that_is_not_there_is_named_so(table: Table) -> None:
    refusal = refused(table, "GetItem", TableName="slipway-prove-none", Key=key())

    assert refusal.code == "ResourceNotFoundException"
