"""Warnings about a template: accepted, but it will fail or do nothing later."""

from __future__ import annotations

import pytest

from slipway.domain import template_parser, template_warnings
from slipway.domain.warning import WARNINGS
from tests.support.repository import ROOT

QUEUE = "Resources: {Jobs: {Type: AWS::SQS::Queue}}"
TAGGED = "Resources: {Jobs: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub '${%s}'}}}"


def warned(text: str) -> dict[str, str]:
    """Pointer -> the code of the warning there."""
    found = template_warnings.found(template_parser.read(text.encode(), is_json=False))
    assert {each.code for each in found} <= set(WARNINGS)
    return {each.pointer: each.code for each in found}


@pytest.mark.parametrize("name", ["hello-web", "job-board"])
def test_an_example_has_no_warning(name: str) -> None:
    assert warned((ROOT / f"examples/{name}/template.yaml").read_text()) == {}


def test_a_template_that_takes_no_version_has_a_warning() -> None:
    assert warned(QUEUE) == {"#/Parameters": "takes_no_version"}


def test_a_key_that_is_cut_out_of_the_artifact_has_a_warning() -> None:
    code = "Parameters: {Artifact: {Type: String}, ArtifactKey: {Type: String}}\n" + (
        "Resources: {Web: {Type: AWS::Lambda::Function, Properties: {Code: {S3Key: %s}}},\n"
        "  Jobs: {Type: AWS::SQS::Queue,\n"
        "    Properties: {QueueName: !Sub '${Artifact}${ArtifactKey}'}}}"
    )

    cut = warned(code % "!Select [3, !Split ['/', !Ref Artifact]]")

    assert cut == {"#/Resources/Web/Properties/Code/S3Key": "key_ends_at_slash"}
    assert warned(code % "!Ref ArtifactKey") == {}


@pytest.mark.parametrize("kind", ["Custom::Thing", "AWS::CloudFormation::CustomResource"])
def test_a_custom_resource_without_a_time_limit_has_a_warning(kind: str) -> None:
    made = (
        "Parameters: {Version: {Type: String}}\n"
        f"Resources: {{Made: {{Type: '{kind}', Properties: {{Of: !Ref Version%s}}}}}}"
    )

    assert warned(made % "") == {"#/Resources/Made/Properties": "no_service_timeout"}
    assert warned(made % ", ServiceTimeout: '60'") == {}


@pytest.mark.parametrize("name", ["Version", "Artifact", "ArtifactKey"])
def test_a_version_that_nothing_uses_has_a_warning(name: str) -> None:
    declared = f"Parameters: {{{name}: {{Type: String}}}}\n"

    assert warned(declared + QUEUE) == {f"#/Parameters/{name}": "parameter_not_used"}
    assert warned(declared + TAGGED % name) == {}


def test_a_reference_in_an_output_or_a_condition_is_a_use() -> None:
    declared = "Parameters: {Version: {Type: String}}\n" + QUEUE

    assert warned(declared + "\nOutputs: {V: {Value: !Ref Version}}") == {}
    assert warned(declared + "\nConditions: {New: !Not [!Equals [!Ref Version, a]]}") == {}


@pytest.mark.parametrize(
    "name,constraint",
    [
        ("EnvironmentName", "Type: String, AllowedValues: [dev, prod], Default: dev"),
        ("EnvironmentName", "Type: String, AllowedPattern: '[a-z-]+'"),
        ("EnvironmentName", "Type: String, MaxLength: 8"),
        ("EnvironmentName", "Type: Number"),
        ("ProjectName", "Type: String, AllowedPattern: '[a-z]+'"),
        ("Version", "Type: Number, Default: 16"),
        ("Version", r"Type: String, AllowedPattern: 'none|\d+\.\d+\.\d+'"),
        ("Version", "Type: String, MaxLength: 12"),
        ("EnvironmentId", "Type: String, MaxLength: 20"),
        ("Artifact", "Type: String, MaxLength: 10"),
        ("PermissionsBoundary", "Type: String, AllowedValues: ['']"),
        ("ConfigurationPath", "Type: String, MaxLength: 10"),
    ],
)
def test_a_constraint_that_many_values_break_has_a_warning(name: str, constraint: str) -> None:
    declared = {name: constraint, "Version": "Type: String"} | {name: constraint}
    parameters = "".join(f"  {each}: {{{rule}}}\n" for each, rule in declared.items())

    found = warned(f"Parameters:\n{parameters}" + TAGGED % "Version")

    assert found == {f"#/Parameters/{name}": "value_may_not_fit"}


@pytest.mark.parametrize(
    "constraint",
    [
        "Type: String, Default: none, Description: The version.",
        "Type: String, MaxLength: 200",
        "Type: String, AllowedPattern: '.*'",
        "Type: CommaDelimitedList",
    ],
)
def test_a_constraint_that_all_usual_versions_satisfy_has_no_warning(constraint: str) -> None:
    assert warned(f"Parameters: {{Version: {{{constraint}}}}}\n" + TAGGED % "Version") == {}


@pytest.mark.parametrize(
    "type,name,code",
    [
        ("SQS::Queue", "QueueName: !Sub '${AWS::StackName}-%s'" % ("x" * 60), "name_too_long"),
        ("S3::Bucket", "BucketName: !Sub '${AWS::StackName}-Uploads'", "name_not_taken"),
    ],
)
def test_a_name_that_aws_does_not_take_has_a_warning(type: str, name: str, code: str) -> None:
    text = f"Resources: {{Jobs: {{Type: AWS::{type}, Properties: {{{name}}}}}}}"
    prop = name.partition(":")[0]

    found = warned(text)

    assert found[f"#/Resources/Jobs/Properties/{prop}"] == code


def test_at_most_twenty_warnings_are_told() -> None:
    many = "".join(
        f"\n  B{n}: {{Type: AWS::S3::Bucket, Properties: {{BucketName: 'UP{n}'}}}}"
        for n in range(30)
    )

    found = template_parser.read(f"Resources:{many}".encode(), is_json=False)

    assert len(template_warnings.found(found)) == template_warnings.MOST
