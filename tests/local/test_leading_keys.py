"""dynamodb:LeadingKeys, for every action that names an item (local/leading_keys.py).

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
"""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.iam_keys import Key
from local.platform import Platform
from tests.support.local.callers import acting
from tests.support.local.platform import allow, deny, role, run

MINE = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["MINE#*"]}}
THEIRS = {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["KEYS", "THEIRS#*"]}}
Call = Callable[[Any, str, str], Any]


def key(pk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": "1"}}


def query(client: Any, table: str, pk: str, expression: str, **names: str) -> Any:
    more = {"ExpressionAttributeNames": {f"#{k}": v for k, v in names.items()}} if names else {}
    return client.query(
        TableName=table,
        KeyConditionExpression=expression,
        ExpressionAttributeValues={":v": {"S": pk}},
        **more,
    )


def transact(client: Any, **part: Any) -> Any:
    first = {"Put": {"TableName": part["table"], "Item": key("MINE#also")}}
    rest = {part["verb"]: {"TableName": part["table"], **part["request"]}}
    return client.transact_write_items(TransactItems=[first, rest])


def update(pk: str) -> dict[str, Any]:
    return {
        "Key": key(pk),
        "UpdateExpression": "SET a = :a",
        "ExpressionAttributeValues": {":a": {"S": "a"}},
    }


CALLS: dict[str, Call] = {
    "GetItem": lambda client, table, pk: client.get_item(TableName=table, Key=key(pk)),
    "PutItem": lambda client, table, pk: client.put_item(TableName=table, Item=key(pk)),
    "UpdateItem": lambda client, table, pk: client.update_item(TableName=table, **update(pk)),
    "DeleteItem": lambda client, table, pk: client.delete_item(TableName=table, Key=key(pk)),
    "BatchGetItem": lambda client, table, pk: client.batch_get_item(
        RequestItems={table: {"Keys": [key("MINE#also"), key(pk)]}}
    ),
    "BatchWriteItem-put": lambda client, table, pk: client.batch_write_item(
        RequestItems={table: [{"PutRequest": {"Item": each}} for each in (key("MINE#z"), key(pk))]}
    ),
    "BatchWriteItem-delete": lambda client, table, pk: client.batch_write_item(
        RequestItems={table: [{"DeleteRequest": {"Key": key(pk)}}]}
    ),
    "Query": lambda client, table, pk: query(client, table, pk, "pk = :v"),
    "Query-named": lambda client, table, pk: query(client, table, pk, "#k=:v", k="pk"),
    "Query-reversed": lambda client, table, pk: query(client, table, pk, ":v = pk"),
    "Query-legacy": lambda client, table, pk: client.query(
        TableName=table,
        KeyConditions={"pk": {"AttributeValueList": [{"S": pk}], "ComparisonOperator": "EQ"}},
    ),
    "TransactGetItems": lambda client, table, pk: client.transact_get_items(
        TransactItems=[{"Get": {"TableName": table, "Key": key(pk)}}]
    ),
    "TransactWriteItems-Put": lambda client, table, pk: transact(
        client, table=table, verb="Put", request={"Item": key(pk)}
    ),
    "TransactWriteItems-Update": lambda client, table, pk: transact(
        client, table=table, verb="Update", request=update(pk)
    ),
    "TransactWriteItems-Delete": lambda client, table, pk: transact(
        client, table=table, verb="Delete", request={"Key": key(pk)}
    ),
    "TransactWriteItems-ConditionCheck": lambda client, table, pk: transact(
        client,
        table=table,
        verb="ConditionCheck",
        request={"Key": key(pk), "ConditionExpression": "attribute_not_exists(nothing)"},
    ),
}


@pytest.fixture(scope="module")
def table(platform: Platform) -> Iterator[str]:
    client = platform.client("dynamodb")
    name = f"keys-{uuid.uuid4().hex[:8]}"
    attributes = ("pk", "sk", "due")
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": a, "AttributeType": "S"} for a in attributes],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "due",
                "KeySchema": [{"AttributeName": "due", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    yield name
    client.delete_table(TableName=name)


@pytest.fixture(scope="module")
def allowing(platform: Platform) -> Key:
    return acting(platform, allow("dynamodb:*", Condition=MINE))


@pytest.fixture(scope="module")
def denying(platform: Platform) -> Key:
    return acting(platform, allow("dynamodb:*"), deny("dynamodb:*", Condition=THEIRS))


def refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDeniedException", error
        return True
    return False


@pytest.mark.parametrize("name", CALLS)
def test_an_allowed_leading_key_allows_it_alone(
    platform: Platform, allowing: Key, table: str, name: str
) -> None:
    client = platform.client("dynamodb", allowing)

    assert not refused(lambda: CALLS[name](client, table, "MINE#1"))
    assert refused(lambda: CALLS[name](client, table, "THEIRS#1"))
    assert refused(lambda: CALLS[name](client, table, "mine#1"))


@pytest.mark.parametrize("name", CALLS)
def test_a_denied_leading_key_denies_it_alone(
    platform: Platform, denying: Key, table: str, name: str
) -> None:
    client = platform.client("dynamodb", denying)

    assert not refused(lambda: CALLS[name](client, table, "MINE#1"))
    assert refused(lambda: CALLS[name](client, table, "THEIRS#1"))
    assert refused(lambda: CALLS[name](client, table, "KEYS"))
    assert not refused(lambda: CALLS[name](client, table, "KEYS#1"))


def test_each_table_of_a_batch_is_judged(platform: Platform, allowing: Key, table: str) -> None:
    client = platform.client("dynamodb", allowing)
    other = platform.outputs["TableName"]

    def batch(pk: str) -> Any:
        wanted = {table: {"Keys": [key("MINE#1")]}, other: {"Keys": [key(pk)]}}
        return client.batch_get_item(RequestItems=wanted)

    assert not refused(lambda: batch("MINE#1"))
    assert refused(lambda: batch("THEIRS#1"))


def test_a_query_of_an_index_has_the_key_of_the_index(
    platform: Platform, allowing: Key, table: str
) -> None:
    client = platform.client("dynamodb", allowing)

    def of_index(due: str) -> Any:
        return client.query(
            TableName=table,
            IndexName="due",
            KeyConditionExpression="due = :due",
            ExpressionAttributeValues={":due": {"S": due}},
        )

    assert not refused(lambda: of_index("MINE#1"))
    assert refused(lambda: of_index("yes"))


def test_a_scan_has_no_leading_keys(platform: Platform, table: str) -> None:
    """ForAllValues is true for none, and therefore needs Null beside it."""
    open_key = acting(platform, allow("dynamodb:Scan", Condition=MINE))
    demanded = {**MINE, "Null": {"dynamodb:LeadingKeys": "false"}}
    closed_key = acting(platform, allow("dynamodb:Scan", Condition=demanded))

    assert not refused(lambda: platform.client("dynamodb", open_key).scan(TableName=table))
    assert refused(lambda: platform.client("dynamodb", closed_key).scan(TableName=table))


@pytest.mark.parametrize("integration", ["dynamodb:putItem", "aws-sdk:dynamodb:transactWriteItems"])
def test_a_state_machine_is_judged_by_its_leading_keys(
    platform: Platform, table: str, integration: str
) -> None:
    name = f"machine-{uuid.uuid4().hex[:8]}"
    arn = role(platform, name, allow("dynamodb:PutItem", Condition=MINE))

    def ended(pk: str) -> str:
        arguments: dict[str, Any] = {"TableName": table, "Item": key(pk)}
        if integration.startswith("aws-sdk"):
            arguments = {"TransactItems": [{"Put": arguments}]}
        resource = f"arn:aws:states:::{integration}"
        state = {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True}
        return str(run(platform, {"Task": state}, roleArn=arn)["status"])

    assert ended("MINE#1") == "SUCCEEDED"
    assert ended("THEIRS#1") == "FAILED"
