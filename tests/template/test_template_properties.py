"""Every property of the types that templates may contain is classified.

CloudFormation's registry and SAM's schema say which properties there are; cfn-lint carries both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint
import pytest

from slipway.domain import template_properties, template_reach
from slipway.domain.event_properties import EVENTS
from slipway.domain.template_properties import PROPERTIES, REFUSED
from tests.support.repository import template

SCHEMAS = Path(cfnlint.__file__).parent / "data/schemas/resources"
TYPES = template()["Parameters"]["AllowedResourceTypes"]["Default"].split(",")
# Properties that sound as if they named another resource, and do not.
HARMLESS = {
    "AWS::ApiGatewayV2::Api DisableExecuteApiEndpoint": "a switch",
    "AWS::ApiGatewayV2::Api Name": "not unique; it appears in no ARN",
    "AWS::ApiGatewayV2::Authorizer AuthorizerType": "a kind",
    "AWS::ApiGatewayV2::Authorizer Name": "a name within the API",
    "AWS::ApiGatewayV2::Deployment StageName": "a stage of the same API",
    "AWS::ApiGatewayV2::Integration TlsConfig.ServerNameToVerify": "the host of a certificate",
    "AWS::ApiGatewayV2::IntegrationResponse IntegrationResponseKey": "a key within the API",
    "AWS::ApiGatewayV2::Model Name": "a name within the API",
    "AWS::ApiGatewayV2::Route OperationName": "a name within the API",
    "AWS::ApiGatewayV2::Route RouteKey": "a method and a path",
    "AWS::ApiGatewayV2::Stage StageName": "a name within the API",
    "AWS::CloudWatch::Alarm Dimensions.*.Name": "the metric is checked as a whole",
    "AWS::CloudWatch::Alarm MetricName": "the metric is checked as a whole",
    "AWS::CloudWatch::Alarm Metrics.*.Id": "a name within the alarm",
    "AWS::CloudWatch::Alarm Metrics.*.MetricStat.Metric.Dimensions.*.Name": "the same",
    "AWS::CloudWatch::Alarm Metrics.*.MetricStat.Metric.MetricName": "the same",
    "AWS::CloudWatch::Alarm ThresholdMetricId": "a name within the alarm",
    "AWS::Events::Rule Targets.*.Id": "a name within the rule",
    "AWS::Events::Rule Targets.*.SqsParameters.MessageGroupId": "a name within the queue",
    "AWS::IAM::Role Policies.*.PolicyName": "a name within the role",
    "AWS::Lambda::Alias Name": "a name within the function",
    "AWS::Lambda::Function RuntimeManagementConfig.RuntimeVersionArn": "a runtime of AWS",
    "AWS::Lambda::Permission SourceArn": "the principal and its source are checked together",
    "AWS::Lambda::Version RuntimePolicy.RuntimeVersionArn": "a runtime of AWS",
    "AWS::S3::Bucket AnalyticsConfigurations.*.Id": "a name within the bucket",
    "AWS::S3::Bucket CorsConfiguration.CorsRules.*.Id": "a name within the bucket",
    "AWS::S3::Bucket IntelligentTieringConfigurations.*.Id": "a name within the bucket",
    "AWS::S3::Bucket InventoryConfigurations.*.Id": "a name within the bucket",
    "AWS::S3::Bucket LifecycleConfiguration.Rules.*.Id": "a name within the bucket",
    "AWS::S3::Bucket MetricsConfigurations.*.Id": "a name within the bucket",
    "AWS::S3::Bucket PublicAccessBlockConfiguration.BlockPublicPolicy": "a switch",
    "AWS::S3::Bucket WebsiteConfiguration.RedirectAllRequestsTo.HostName": "where visitors go",
    "AWS::S3::Bucket WebsiteConfiguration.RoutingRules.*.RedirectRule.HostName": "the same",
    "AWS::SNS::Subscription DeliveryPolicy": "how often a delivery is tried again",
    "AWS::SNS::Subscription FilterPolicy": "which messages are delivered",
    "AWS::SNS::Topic DisplayName": "what a subscriber sees",
    "AWS::SNS::Topic FifoTopic": "a switch",
    "AWS::SQS::Queue FifoQueue": "a switch",
    "AWS::Serverless::Function VersionDeletionPolicy": "versions end with their function",
    "AWS::Serverless::HttpApi DisableExecuteApiEndpoint": "a switch",
    "AWS::Serverless::HttpApi Name": "not unique; it appears in no ARN",
    "AWS::Serverless::HttpApi StageName": "a name within the API",
    "AWS::Serverless::SimpleTable PrimaryKey.Name": "an attribute of the table",
}
_WITHIN = re.compile(r"AttributeName|IndexName|Rules\.\*\.Name|TagFilter")
_SOUNDS = re.compile(r"(Arn|Arns|Id|Name|Bucket|Uri|Role|Policy|Topic|Queue|Endpoint)(\.\*)?$")


@cache
def schema(kind: str) -> dict[str, Any]:
    found = (json.loads(path.read_text()) for path in SCHEMAS.glob("*.json"))
    return next(each for each in found if each["typeName"] == kind)


def paths(kind: str) -> list[str]:
    """The paths of all properties that a template can set."""
    whole = schema(kind)
    read_only = {
        each.split("/properties/")[1].replace("/", ".")
        for each in whole.get("readOnlyProperties", [])
    }
    return [
        each
        for each in dict.fromkeys(_paths(whole, whole, (), frozenset()))
        if each and (each not in read_only)
    ]


def _paths(
    part: dict[str, Any], whole: dict[str, Any], above: tuple[str, ...], seen: frozenset[str]
) -> Iterator[str]:
    while "$ref" in part:
        name = part["$ref"].split("/")[-1]
        if name in seen:
            return
        seen, part = seen | {name}, whole["definitions"].get(name, {})
    for key in ("oneOf", "anyOf", "allOf"):
        for each in part.get(key, []):
            yield from _paths(each, whole, above, seen)
    if "properties" in part:
        for name, each in part["properties"].items():
            yield from _paths(each, whole, (*above, name), seen)
    elif "patternProperties" in part:
        for each in part["patternProperties"].values():
            yield from _paths(each, whole, (*above, "*"), seen)
    elif "items" in part:
        yield from _paths(part["items"], whole, (*above, "*"), seen)
    else:
        yield ".".join(above)


def rule(kind: str, path: str) -> Any:
    """The rule of a property; a mapping if only parts of it have one; None if it is not listed."""
    node: Any = template_properties.of_type(kind)
    for name in path.split("."):
        if isinstance(node, str) or node is None:
            break
        node = node.get(name, node.get("*"))
    return node


@pytest.mark.parametrize("kind", TYPES)
def test_every_property_has_a_rule(kind: str) -> None:
    assert [path for path in paths(kind) if rule(kind, path) is None] == []


@pytest.mark.parametrize("kind", TYPES)
def test_a_property_that_sounds_like_the_name_of_another_resource_is_not_free(kind: str) -> None:
    free = [path for path in paths(kind) if rule(kind, path) == "free"]
    sounding = {
        f"{kind} {path}" for path in free if _SOUNDS.search(path) and not _WITHIN.search(path)
    }

    assert sounding - set(HARMLESS) == set()


def test_what_is_called_harmless_is_free_and_exists() -> None:
    for each in HARMLESS:
        kind, path = each.split(" ")
        assert rule(kind, path) == "free", each
        assert path in paths(kind), each


def test_every_listed_property_exists() -> None:
    unknown = set()
    for kind, rules in PROPERTIES.items():
        known = [f"{each}." for each in paths(kind)]
        for path in (f"{each}." for listed in rules.values() for each in listed.split()):
            # The schema says nothing of what is in a property that holds JSON.
            if not any(each.startswith(path) or path.startswith(each) for each in known):
                unknown.add(f"{kind} {path}")

    assert unknown == set()


def test_every_rule_is_known() -> None:
    named = {name for rules in [*PROPERTIES.values(), *EVENTS.values()] for name in rules}
    refusing = {name.removeprefix("no ") for name in named if name.startswith("no ")}

    assert refusing == set(REFUSED)
    assert {each for each in named if not each.startswith("no ")} - {"free"} == set(
        template_reach.RULES
    )


def test_every_type_that_templates_may_contain_is_listed() -> None:
    assert set(TYPES) == set(PROPERTIES)
