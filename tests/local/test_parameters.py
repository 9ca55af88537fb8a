"""`make local PARAMETERS=`, and how CloudFormation refuses parameters (template_parameters.py)."""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.parameters import Malformed, parse
from local.platform import Platform
from tests.support.local.platform import Made, Stacks, allow, role


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("Stage=prod", {"Stage": "prod"}),
        ("Stage=prod  MaxTtlHours=48\n", {"Stage": "prod", "MaxTtlHours": "48"}),
        ("A='two words' B=\"it's\"", {"A": "two words", "B": "it's"}),
        (r"A=two\ words", {"A": "two words"}),
        ("Types=AWS::S3::*,AWS::SQS::*", {"Types": "AWS::S3::*,AWS::SQS::*"}),
        (
            "Rate='rate(5 minutes)' Sum=1=1 Empty=",
            {"Rate": "rate(5 minutes)", "Sum": "1=1", "Empty": ""},
        ),
    ],
)
def test_parameters_are_pairs_of_names_and_values(text: str, found: dict[str, str]) -> None:
    assert parse(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Stage", "'Stage' is not Key=Value"),
        ("A=two words", "'words' is not Key=Value"),
        ("=prod", "'=prod' is not Key=Value"),
        ("A='open", "No closing quotation"),
        ("A=1 A=2", "A is given twice"),
    ],
)
def test_a_malformed_list_of_parameters_is_refused(text: str, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        parse(text)


TEMPLATE: dict[str, Any] = {
    "Parameters": {
        "Size": {"Type": "String", "Default": "small", "AllowedValues": ["small", "large"]},
        "Color": {
            "Type": "String",
            "Default": "red",
            "AllowedValues": ["red"],
            "ConstraintDescription": "must be red.",
        },
        "Title": {"Type": "String", "Default": "abc", "AllowedPattern": "[a-c]+"},
        "Name": {"Type": "String", "Default": "abc", "MinLength": 2, "MaxLength": "4"},
        "Count": {"Type": "Number", "Default": 3, "MinValue": 1, "MaxValue": 9},
        "Counts": {"Type": "List<Number>", "Default": "1,2"},
        "Code": {
            "Type": "String",
            "Default": "1234",
            "AllowedPattern": "[0-9]{4}",
            "ConstraintDescription": "must be four digits",
            "NoEcho": True,
        },
    },
    "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
}


def refused(platform: Platform, template: dict[str, Any], *parameters: dict[str, Any]) -> str:
    """The message of CreateStack and CreateChangeSet, which must be the same."""
    client = platform.client("cloudformation")
    request = {
        "StackName": f"test-{uuid.uuid4().hex}",
        "TemplateBody": json.dumps(template),
        "Parameters": list(parameters),
    }
    with pytest.raises(ClientError) as created:
        client.create_stack(**request)
    with pytest.raises(ClientError) as planned:
        client.create_change_set(**request, ChangeSetName="plan", ChangeSetType="CREATE")
    for error in (created.value, planned.value):
        assert error.response["Error"]["Code"] == "ValidationError"
    assert created.value.response["Error"]["Message"] == planned.value.response["Error"]["Message"]
    return str(created.value.response["Error"]["Message"])


def value(name: str, given: str) -> dict[str, str]:
    return {"ParameterKey": name, "ParameterValue": given}


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("Size", "huge", "Parameter 'Size' must be one of AllowedValues"),
        ("Color", "blue", "Parameter Color failed to satisfy constraint: must be red."),
        ("Title", "abcd", "Parameter 'Title' must match pattern [a-c]+"),
        ("Name", "a", "Parameter 'Name' must contain at least 2 characters"),
        ("Name", "abcde", "Parameter 'Name' must contain at most 4 characters"),
        ("Count", "0", "Parameter 'Count' must be a number not less than 1"),
        ("Count", "10", "Parameter 'Count' must be a number not greater than 9"),
        ("Count", "few", "Parameter 'Count' must be a number."),
        ("Counts", "1,few", "Parameter 'Counts' must be a number."),
        ("Code", "12a", "Parameter Code failed to satisfy constraint: must be four digits"),
    ],
)
def test_a_value_outside_its_constraints_is_refused(
    platform: Platform, name: str, given: str, said: str
) -> None:
    # "must be a number." is in LocalStack's recording cloudformation/test_change_set_parameters,
    # test_invalid_parameter_type.
    assert refused(platform, TEMPLATE, value(name, given)) == said


def test_parameters_that_are_not_declared_are_refused(platform: Platform) -> None:
    said = refused(platform, TEMPLATE, value("Shape", "round"), value("Weight", "1"))

    assert said == "Parameters: [Shape, Weight] do not exist in the template"


def test_parameters_without_a_value_are_refused(platform: Platform) -> None:
    # LocalStack's recording cloudformation/api/test_stacks, test_no_parameters_given.
    template = TEMPLATE | {"Parameters": {"A": {"Type": "String"}, "B": {"Type": "String"}}}

    assert refused(platform, template) == "Parameters: [A, B] must have values"
    previous = {"ParameterKey": "B", "UsePreviousValue": True}
    said = refused(platform, template, value("A", "1"), previous)
    assert said == "Parameters: [B] must have values"


# The messages are those of https://github.com/awslabs/aws-deployment-framework/issues/339,
# https://github.com/aws/aws-cdk/issues/15135 and https://github.com/aws/aws-cdk/issues/20959.


def of_the_store(name: str, **more: Any) -> dict[str, Any]:
    declared = {"Type": "AWS::SSM::Parameter::Value<String>", "Default": name, **more}
    tags = [{"Key": "read", "Value": {"Ref": "Read"}}]
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"Tags": tags}}
    return {
        "Parameters": {"Read": declared},
        "Resources": {"Queue": queue},
        "Outputs": {"Read": {"Value": {"Ref": "Read"}}},
    }


def said_by(made: Made) -> str:
    [stack] = made.client.describe_stacks(StackName=made.name)["Stacks"]
    return str(stack["Outputs"][0]["OutputValue"])


def test_a_parameter_of_the_store_is_read_when_the_stack_is_made_and_updated(
    platform: Platform,
) -> None:
    ssm, name = platform.client("ssm"), f"/test/{uuid.uuid4().hex}"
    ssm.put_parameter(Name=name, Type="String", Value="first")
    # The name is held against the constraints, and not the value.
    made = Stacks(platform).create(of_the_store(name, AllowedValues=[name], MinLength=10))

    assert (made.status, said_by(made)) == ("CREATE_COMPLETE", "first")

    ssm.put_parameter(Name=name, Type="String", Value="second", Overwrite=True)
    kept = [{"ParameterKey": "Read", "UsePreviousValue": True}]
    made.client.update_stack(StackName=made.name, UsePreviousTemplate=True, Parameters=kept)
    made.wait()

    assert (made.status, said_by(made)) == ("UPDATE_COMPLETE", "second")


def test_a_parameter_that_the_store_does_not_have_is_refused(platform: Platform) -> None:
    name = "/aws/service/ami-windows-latest/nothing"

    assert refused(platform, of_the_store(name)) == (
        f"Unable to fetch parameters [{name}] from parameter store for this account."
    )


def test_a_secure_string_is_refused(platform: Platform) -> None:
    name = f"/test/{uuid.uuid4().hex}"
    platform.client("ssm").put_parameter(Name=name, Type="SecureString", Value="secret")

    assert refused(platform, of_the_store(name)) == (
        f"Parameters [{name}] referenced by template have types not supported by CloudFormation."
    )


def test_a_parameter_of_the_store_is_read_with_the_callers_right(platform: Platform) -> None:
    public = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    where = f"arn:aws:ssm:us-east-1::parameter{public}"
    stacks = allow("cloudformation:*", "sqs:*")
    without = role(platform, f"reader-{uuid.uuid4().hex[:8]}", stacks)
    with_it = role(
        platform, f"reader-{uuid.uuid4().hex[:8]}", stacks, allow("ssm:GetParameters", on=where)
    )

    def create(made_by: str) -> None:
        client = platform.client("cloudformation", platform.assume(made_by, "me"))
        body = json.dumps(of_the_store(public))
        client.create_stack(StackName=f"test-{uuid.uuid4().hex}", TemplateBody=body)

    create(with_it)
    with pytest.raises(ClientError) as error:
        create(without)
    assert error.value.response["Error"]["Message"] == (
        "AccessDenied. User doesn't have permission to call ssm:GetParameters"
    )
