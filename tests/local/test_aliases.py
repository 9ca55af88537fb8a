"""Alias weights (patches/alias_weights.py).

The refusals are in LocalStack's recording `test_lambda_api.snapshot.json`, test
`TestLambdaAlias::test_notfound_and_invalid_routingconfigs`.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.patches.alias_weights import drawn
from local.platform import Platform
from tests.support.local.lambdas import Function, Stack, function, refused
from tests.support.local.platform import calling

CODE = """
def handler(event, context):
    told = context.function_version
    return {"version": VERSION, "arn": context.invoked_function_arn, "told": told}
"""
INCLUDED = (
    "Invalid function version {version}. Function version {version} is already included in routing "
    "configuration."
)
INVALID = "InvalidParameterValueException"
VALUES = (
    "1 validation error detected: Value '{{2={weight}}}' at "
    "'routingConfig.additionalVersionWeights' failed to satisfy constraint: "
    "Map value must satisfy constraint: [Member must have value less "
    "than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be "
    "null]"
)


@pytest.fixture(scope="module")
def versioned(platform: Platform) -> Iterator[Function]:
    """A function of two versions that answer differently."""
    with function(platform, {"app.py": "VERSION = 1" + CODE}) as made:
        assert made.publish() == "1"
        made.change({"app.py": "VERSION = 2" + CODE})
        assert made.publish() == "2"
        yield made


def alias(made: Function, name: str, version: str = "1", **weights: float) -> str:
    """An alias of the version; `v2=0.5` sends half of its invocations to version 2."""
    named = {key.removeprefix("v"): weight for key, weight in weights.items()}
    arn: str = made.client.create_alias(
        FunctionName=made.name,
        Name=name,
        FunctionVersion=version,
        RoutingConfig={"AdditionalVersionWeights": named},
    )["AliasArn"]
    return arn


def test_an_alias_sends_each_version_its_share() -> None:
    weighted = {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.3}}}

    second = sum(drawn(weighted) == "2" for _ in range(4000))

    assert 0.25 < second / 4000 < 0.35


def test_invoke_obeys_the_weights_and_tells_the_version_that_ran(versioned: Function) -> None:
    arn = alias(versioned, "half", v2=0.5)
    seen = set()
    for _ in range(40):
        answer = versioned.client.invoke(FunctionName=versioned.name, Qualifier="half")
        said = json.loads(answer["Payload"].read())
        assert str(said["version"]) == said["told"] == answer["ExecutedVersion"]
        assert said["arn"] == arn
        seen.add(said["version"])

    assert seen == {1, 2}


def test_an_http_api_obeys_the_weights(platform: Platform, versioned: Function) -> None:
    arn = alias(versioned, "web", v2=0.5)
    apis = platform.client("apigatewayv2")
    api = apis.create_api(Name="weighted", ProtocolType="HTTP")
    integration = apis.create_integration(
        ApiId=api["ApiId"],
        IntegrationType="AWS_PROXY",
        IntegrationUri=arn,
        PayloadFormatVersion="2.0",
    )
    target = f"integrations/{integration['IntegrationId']}"
    apis.create_route(ApiId=api["ApiId"], RouteKey="GET /", Target=target)
    apis.create_stage(ApiId=api["ApiId"], StageName="$default", AutoDeploy=True)
    versioned.client.add_permission(
        FunctionName=versioned.name,
        Qualifier="web",
        StatementId="web",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
    )
    call = calling(platform.environments_url)

    replies = [call(f"/_aws/execute-api/{api['ApiId']}/").json for _ in range(40)]

    assert {reply["version"] for reply in replies} == {1, 2}
    assert {reply["arn"] for reply in replies} == {arn}
    apis.delete_api(ApiId=api["ApiId"])


def test_a_promotion_moves_everything(versioned: Function) -> None:
    alias(versioned, "moving", v2=0.5)

    versioned.client.update_alias(
        FunctionName=versioned.name,
        Name="moving",
        FunctionVersion="2",
        RoutingConfig={"AdditionalVersionWeights": {}},
    )

    seen = {versioned.invoke(Qualifier="moving")[1]["version"] for _ in range(20)}
    assert seen == {2}


def test_get_function_of_an_alias_names_the_alias(versioned: Function) -> None:
    arn = alias(versioned, "named")

    found = versioned.client.get_function(FunctionName=arn)["Configuration"]

    assert (found["FunctionArn"], found["Version"]) == (arn, "1")


def test_a_reservation_counts_for_aliases_and_versions(platform: Platform) -> None:
    with function(platform, {"app.py": "VERSION = 1" + CODE}) as made:
        alias(made, "live", made.publish())
        made.client.put_function_concurrency(FunctionName=made.name, ReservedConcurrentExecutions=0)

        for qualifier in ("live", "1", "$LATEST"):
            with pytest.raises(made.client.exceptions.TooManyRequestsException):
                made.invoke(Qualifier=qualifier)


def test_a_weight_is_between_zero_and_one(versioned: Function) -> None:
    with refused("ValidationException", VALUES.format(weight=2.0)):
        alias(versioned, "bad", v2=2.0)


def test_an_alias_has_two_versions_at_most(versioned: Function) -> None:
    told = "Number of items in AdditionalVersionWeights cannot be greater than 1"
    with refused(INVALID, told):
        alias(versioned, "bad", v1=0.1, v2=0.5)


def test_the_versions_of_an_alias_differ(versioned: Function) -> None:
    told = INCLUDED.format(version=1)
    with refused(INVALID, told):
        alias(versioned, "bad", v1=0.5)


def test_an_alias_of_latest_has_no_weights(versioned: Function) -> None:
    told = "$LATEST is not supported for an alias pointing to more than 1 version"
    with refused(INVALID, told):
        alias(versioned, "bad", "$LATEST", v1=0.5)


def test_the_versions_of_an_alias_exist(versioned: Function) -> None:
    told = f"Function not found: {versioned.arn}:10"
    with refused("ResourceNotFoundException", told):
        alias(versioned, "bad", v10=0.5)
    with refused("ResourceNotFoundException", told):
        alias(versioned, "bad", "10")


def test_an_alias_of_the_name_is_there_once(versioned: Function) -> None:
    alias(versioned, "once")

    with refused("ResourceConflictException", f"Alias already exists: {versioned.arn}:once"):
        alias(versioned, "once")


def test_an_update_is_held_against_the_same_rules(versioned: Function) -> None:
    alias(versioned, "updated", v2=0.5)
    update = versioned.client.update_alias

    told = INCLUDED.format(version=2)
    with refused(INVALID, told):
        update(FunctionName=versioned.name, Name="updated", FunctionVersion="2")
    with refused("ResourceNotFoundException", f"Function not found: {versioned.arn}:10"):
        update(FunctionName=versioned.name, Name="updated", FunctionVersion="10")


def test_a_stack_with_weights_that_aws_refuses_is_rolled_back(
    platform: Platform, versioned: Function
) -> None:
    def template(weight: float) -> dict[str, Any]:
        weights = [{"FunctionVersion": "2", "FunctionWeight": weight}]
        properties = {
            "FunctionName": versioned.name,
            "FunctionVersion": "1",
            "Name": "stacked",
            "RoutingConfig": {"AdditionalVersionWeights": weights},
        }
        return {"Resources": {"Alias": {"Type": "AWS::Lambda::Alias", "Properties": properties}}}

    bad, good = Stack(platform), Stack(platform)

    assert bad.make(template(2)) == "ROLLBACK_COMPLETE"
    assert "less than or equal to 1.0" in bad.reason("Alias")
    assert good.make(template(0.5)) == "CREATE_COMPLETE"
    assert {versioned.invoke(Qualifier="stacked")[1]["version"] for _ in range(40)} == {1, 2}
    assert good.change(template(-1)) == "UPDATE_ROLLBACK_COMPLETE"
