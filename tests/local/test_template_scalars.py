"""What CloudFormation takes a template's text for (patches/template_scalars.py).

tests/domain/test_template_scalars.py has the values and where they were seen.
"""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.platform import Platform
from tests.support.local.platform import eventually

QUEUE = "\nResources: {Q: {Type: AWS::SQS::Queue}}"


def outputs(platform: Platform, body: str, **parameters: str) -> dict[str, str]:
    """The outputs of a stack that is made of the template, and deleted again."""
    client, name = platform.client("cloudformation"), f"test-{uuid.uuid4().hex}"
    given = [{"ParameterKey": key, "ParameterValue": each} for key, each in parameters.items()]
    client.create_stack(StackName=name, TemplateBody=body, Parameters=given)

    def ended() -> Any:
        [stack] = client.describe_stacks(StackName=name)["Stacks"]
        return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

    stack = eventually(ended)
    client.delete_stack(StackName=name)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}


@pytest.mark.parametrize(
    "plain,text",
    [
        ("yes", "true"),
        ("OFF", "false"),
        ("0300", "192"),
        ("08", "8.0"),
        ("012345678901", "1.2345678901E10"),
        ("1.10", "1.1"),
        ("1_000", "1000"),
        ("1:30", "90"),
        ("y", "y"),
        ("'0300'", "0300"),
        ("2010-09-09", "2010-09-09"),
    ],
)
def test_a_plain_scalar_is_the_text_that_cloudformation_sees(
    platform: Platform, plain: str, text: str
) -> None:
    declared = f"Parameters: {{A: {{Type: String, Default: {plain}, AllowedValues: [{plain}]}}}}"
    shown = f"\nOutputs: {{A: {{Value: !Ref A}}, B: {{Value: !Join ['-', [{plain}, x]]}}}}"

    assert outputs(platform, declared + QUEUE + shown) == {"A": text, "B": f"{text}-x"}
    assert outputs(platform, declared + QUEUE + shown, A=text)["A"] == text


def test_booleans_of_json_are_text_too(platform: Platform) -> None:
    body = {
        "Parameters": {"A": {"Type": "String", "Default": True, "AllowedValues": [True, False]}},
        "Conditions": {"IsSo": {"Fn::Equals": [{"Ref": "A"}, True]}},
        "Resources": {"Q": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {"A": {"Condition": "IsSo", "Value": {"Ref": "A"}}},
    }

    assert outputs(platform, json.dumps(body)) == {"A": "true"}


def test_a_key_that_is_no_text_is_the_text_of_its_value(platform: Platform) -> None:
    body = "Mappings: {M: {On: {012: word}}}" + QUEUE
    body += '\nOutputs: {A: {Value: !FindInMap [M, "true", "10"]}}'

    assert outputs(platform, body) == {"A": "word"}


def test_the_last_of_a_repeated_key_counts_and_an_anchor_alone_is_accepted(
    platform: Platform,
) -> None:
    body = "Parameters: {A: &a {Type: String, Default: one, Default: two}}" + QUEUE

    assert outputs(platform, body + "\nOutputs: {A: {Value: !Ref A}}") == {"A": "two"}


@pytest.mark.parametrize(
    "body,said",
    [
        ("Resources: {Q: &q {Type: AWS::SQS::Queue}, R: *q}", "YAML aliases are not allowed"),
        ("[a, b]", "unsupported structure"),
    ],
)
def test_what_cloudformation_does_not_read_is_refused(
    platform: Platform, body: str, said: str
) -> None:
    with pytest.raises(ClientError) as refused:
        platform.client("cloudformation").validate_template(TemplateBody=body)

    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert said in refused.value.response["Error"]["Message"]


def test_the_functions_of_rules_have_short_forms(platform: Platform) -> None:
    rules = "\nRules: {R: {Assertions: [{Assert: !Contains [[test, prod], !Ref A]}]}}"
    body = "Parameters: {A: {Type: String, Default: test}}" + QUEUE + rules

    assert outputs(platform, body) == {}
    with pytest.raises(ClientError):
        outputs(platform, body, A="other")
