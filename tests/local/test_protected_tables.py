"""Protected tables outlive their stack (patches/protected_tables.py), and a stage is made with its
settings (patches/stage_settings.py)."""

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.platform import Platform
from tests.support.local.platform import Stacks

# DynamoDB's message (nubo-db/dynoxide, issue 46).
PROTECTED = "currently protected against deletion. Disable deletion protection first."


def table(protected: bool) -> dict[str, Any]:
    properties = {
        "TableName": f"test-{uuid.uuid4().hex}",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "DeletionProtectionEnabled": protected,
    }
    return {"Type": "AWS::DynamoDB::Table", "Properties": properties}


def test_a_protected_table_fails_the_deletion_of_its_stack_until_it_is_retained(
    platform: Platform,
) -> None:
    kept, gone = table(True), table(False)
    stack = Stacks(platform).create({"Resources": {"Kept": kept, "Gone": gone}})

    stack.delete()
    assert stack.status == "DELETE_FAILED"
    assert PROTECTED in stack.failures()["Kept"]

    stack.client.delete_stack(StackName=stack.id, RetainResources=["Kept"])
    stack.wait()
    assert stack.status == "DELETE_COMPLETE"
    tables = platform.client("dynamodb").list_tables()["TableNames"]
    assert kept["Properties"]["TableName"] in tables
    assert gone["Properties"]["TableName"] not in tables


def test_a_protected_table_is_refused_in_the_words_of_dynamodb(platform: Platform) -> None:
    dynamodb, wanted = platform.client("dynamodb"), table(True)["Properties"]
    dynamodb.create_table(**wanted)

    with pytest.raises(ClientError, match=PROTECTED):
        dynamodb.delete_table(TableName=wanted["TableName"])


def test_a_stage_of_a_template_tells_its_route_settings(platform: Platform) -> None:
    settings = {"ThrottlingBurstLimit": "100", "ThrottlingRateLimit": 50}
    stage = {"ApiId": {"Ref": "Api"}, "StageName": "$default", "DefaultRouteSettings": settings}
    api = {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "x", "ProtocolType": "HTTP"}}
    resources = {"Api": api, "Stage": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": stage}}
    Stacks(platform).create({"Resources": resources, "Outputs": {}})
    gateway = platform.client("apigatewayv2")
    (api_id,) = [each["ApiId"] for each in gateway.get_apis()["Items"] if each["Name"] == "x"]

    found = gateway.get_stage(ApiId=api_id, StageName="$default")["DefaultRouteSettings"]

    assert found == {"ThrottlingBurstLimit": 100, "ThrottlingRateLimit": 50.0}
