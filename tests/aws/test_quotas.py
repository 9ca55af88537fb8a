"""The template and the names that Slipway makes stay within what AWS takes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from deploy import names
from slipway.domain import ids
from slipway.drivers import requests, stacks
from tests.support.repository import MACHINES, ROOT, machine, template, transformed

pytestmark = pytest.mark.xdist_group("aws")


# The most of each in one stack.
RESOURCES, PARAMETERS, OUTPUTS = 500, 200, 200
TEMPLATE_BYTES = 1_000_000
ENVIRONMENT_BYTES = 4096
POLICIES_OF_A_ROLE, INLINE_CHARACTERS = 10, 10_240
ALARM_METRICS = 10
EXECUTION_NAME, REQUEST_TOKEN, CHANGE_SET_NAME, STACK_NAME = 80, 128, 128, 128
PARAMETER_PATH, PARAMETER_DEPTH = 1011, 15
ROUTES = 300
MACHINE_BYTES = 1_048_576
EXECUTION_HOURS = 365 * 24

KINDS = sorted({each["Type"] for each in template()["Resources"].values()})
ROLES = transformed("AWS::IAM::Role")
STACK = "s" * names.LONGEST
ENVIRONMENT = ids.EnvironmentId("p" * 20, "e" * 20)
DEPLOYMENT = ids.DeploymentId("p" * 20, "e" * 20, "d" * 20)


def longest(value: Any) -> Any:
    """The value with everything that CloudFormation fills in as long as it can be."""
    if isinstance(value, list):
        return [longest(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        parts = longest(parts)
        return separator.join(parts) if isinstance(parts, list) else parts
    if "Fn::Sub" in value:
        text = value["Fn::Sub"] if isinstance(value["Fn::Sub"], str) else value["Fn::Sub"][0]
        text = text.replace("${AWS::StackName}", STACK).replace("${AWS::AccountId}", "1" * 12)
        text = text.replace("${AWS::Region}", "ap-southeast-1").replace("${AWS::Partition}", "aws")
        return re.sub(r"\$\{[\w.:]+\}", "x" * 64, text)
    if set(value) & {"Ref", "Fn::GetAtt"}:
        known = template()["Parameters"].get(str(value.get("Ref")), {})
        # An ARN of a function has 140 characters at most, with a name of 64.
        return str(known["Default"]) if "Default" in known else "x" * 140
    return {key: longest(each) for key, each in value.items()}


def test_the_stack_has_no_more_than_cloudformation_takes() -> None:
    kinds = {kind for kind in KINDS if not kind.startswith("AWS::Serverless::")}
    made = {
        *kinds,
        *("AWS::Lambda::Function", "AWS::Lambda::Permission", "AWS::Lambda::LayerVersion"),
        *("AWS::IAM::Role", "AWS::Events::Rule", "AWS::Lambda::EventSourceMapping"),
        *("AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage", "AWS::StepFunctions::StateMachine"),
    }

    assert sum(len(transformed(kind)) for kind in made) <= RESOURCES
    assert len(template()["Parameters"]) <= PARAMETERS
    assert len(template()["Outputs"]) <= OUTPUTS
    assert (ROOT / "template.yaml").stat().st_size <= TEMPLATE_BYTES


@pytest.mark.parametrize("name", transformed("AWS::Lambda::Function"))
def test_a_functions_variables_fit_into_4_kilobytes(name: str) -> None:
    function = transformed("AWS::Lambda::Function")[name]["Properties"]
    variables = function.get("Environment", {}).get("Variables", {})

    assert len(json.dumps(longest(variables))) <= ENVIRONMENT_BYTES


@pytest.mark.parametrize("name", ROLES)
def test_a_roles_own_policies_fit_into_what_iam_takes(name: str) -> None:
    properties = ROLES[name]["Properties"]
    inline = [each["PolicyDocument"] for each in properties.get("Policies", [])]

    text = "".join(json.dumps(longest(each), separators=(",", ":")) for each in inline)

    assert len(text) <= INLINE_CHARACTERS
    assert len(properties.get("ManagedPolicyArns", [])) <= POLICIES_OF_A_ROLE


@pytest.mark.parametrize("name", transformed("AWS::CloudWatch::Alarm"))
def test_an_alarm_watches_ten_metrics_at_most(name: str) -> None:
    metrics = transformed("AWS::CloudWatch::Alarm")[name]["Properties"].get("Metrics", [])

    assert sum("MetricStat" in each for each in metrics) <= ALARM_METRICS


def test_a_mapping_asks_for_no_more_than_a_stream_gives() -> None:
    for mapping in transformed("AWS::Lambda::EventSourceMapping").values():
        properties = longest(mapping["Properties"])

        assert 1 <= int(properties.get("ParallelizationFactor", 1)) <= 10
        assert 1 <= int(properties["BatchSize"]) <= 10_000
        assert len(properties["FilterCriteria"]["Filters"]) <= 5
        for each in properties["FilterCriteria"]["Filters"]:
            assert len(each["Pattern"]) <= 4096


def test_an_api_has_no_more_routes_than_api_gateway_takes() -> None:
    for api in transformed("AWS::ApiGatewayV2::Api").values():
        paths = api["Properties"]["Body"]["paths"]

        assert sum(len(methods) for methods in paths.values()) <= ROUTES


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_a_definition_fits_into_a_megabyte(path: Any) -> None:
    assert len(json.dumps(machine(path))) <= MACHINE_BYTES


def test_every_id_is_the_name_of_an_execution() -> None:
    for identity in (str(ENVIRONMENT), str(DEPLOYMENT)):
        # Retries and warnings add a number.
        assert len(f"{identity}-{10**6}") <= EXECUTION_NAME
        assert re.fullmatch(r"[0-9A-Za-z_-]+", identity)


@pytest.mark.usefixtures("environ")
def test_the_names_of_stacks_and_change_sets_are_names(monkeypatch: pytest.MonkeyPatch) -> None:
    from slipway.settings import settings

    monkeypatch.setenv("STACK", STACK)
    settings.cache_clear()
    pattern = r"[a-zA-Z][-a-zA-Z0-9]*"

    for name in (stacks.stack_name(str(ENVIRONMENT)), stacks.plan_name("0" * 40)):
        assert re.fullmatch(pattern, name)
        assert len(name) <= STACK_NAME
    assert re.fullmatch(pattern, f"slipway-preview-{'0' * 40}")
    assert len(f"slipway-preview-{'0' * 40}") <= CHANGE_SET_NAME


def test_a_request_token_is_one_that_cloudformation_takes() -> None:
    token = f"{requests.token_of(str(DEPLOYMENT))}provision-{10**13}"

    assert re.fullmatch(r"[a-zA-Z0-9][-a-zA-Z0-9]*", token)
    assert len(token) <= REQUEST_TOKEN


def test_a_secrets_path_is_one_that_the_parameter_store_takes() -> None:
    path = f"/{STACK}/environments/{ENVIRONMENT}/{'u' * 20}/{'n' * 255}"

    assert len(path) + len("arn:aws:ssm:ap-southeast-1:123456789012:parameter") <= PARAMETER_PATH
    assert path.count("/") <= PARAMETER_DEPTH
    assert names.refusal("ssm-anything")
    assert names.refusal("aws-anything")


def test_no_lease_lasts_longer_than_an_execution_may() -> None:
    assert int(template()["Parameters"]["MaxTtlHours"]["MaxValue"]) <= EXECUTION_HOURS
