"""Imported bundles take what deployments bring, show a URL, and hand SAM what it reads itself."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.domain import template_parser
from slipway.importers.proton import importing
from slipway.importers.proton.importing import Imported
from tests.support.importers.bundles import bundle
from tests.support.importers.stacks import read, transformed

SAM = "Transform: AWS::Serverless-2016-10-31\n"
SCHEMA = """
noun: {type: string, default: thing}
archive: {type: string, default: "s3://builds/a/b.zip"}
bucket: {type: string, default: builds}
key: {type: string}
image: {type: string, default: "nginx:1"}
sidecar: {type: string, default: "envoy:1"}
"""
FUNCTION = """
Resources:
  Web:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: api.handler
"""
INPUTS = "service_instance.inputs"


def imported(text: str, schema: str = SCHEMA) -> Imported:
    with bundle(text, schema, "service") as folder:
        return importing.read(folder)


def parameters(found: Imported) -> dict[str, str | None]:
    parsed = template_parser.read(found.body.encode(), is_json=False)
    return {each.name: each.default for each in parsed.parameters}


def web(found: Imported) -> dict[str, Any]:
    properties: dict[str, Any] = read(found.body)["Resources"]["Web"]["Properties"]
    return properties


def test_code_that_was_an_input_comes_with_deployments() -> None:
    found = imported(f"{SAM}{FUNCTION}      CodeUri: '{{{{ {INPUTS}.archive }}}}'\n")

    assert web(found)["CodeUri"] == {
        "Bucket": {"Ref": "ArtifactBucket"},
        "Key": {"Ref": "ArtifactKey"},
    }
    assert parameters(found) == {
        "ArtifactBucket": "builds",
        "ArtifactKey": "a/b.zip",
        "PermissionsBoundary": "",
    }
    assert (found.report.losses, found.refused) == ([], [])
    given = {"ArtifactBucket": "builds", "ArtifactKey": "v2.zip"}
    code = transformed(found.body, given)["Resources"]["Web"]["Properties"]["Code"]
    assert code == {"S3Bucket": "builds", "S3Key": "v2.zip"}


@pytest.mark.parametrize(
    ("head", "code", "kind", "shown"),
    [
        (SAM, "CodeUri: {Bucket: '{{ I.bucket }}', Key: '{{ I.key }}'}", "Serverless", "CodeUri"),
        ("", "Code: {S3Bucket: '{{ I.bucket }}', S3Key: '{{ I.key }}'}", "Lambda", "Code"),
        ("", "Code: {S3Bucket: builds, S3Key: 'x/{{ I.key }}.zip'}", "Lambda", "Code"),
    ],
)
def test_the_parts_of_code_become_those_of_the_artifact(
    head: str, code: str, kind: str, shown: str
) -> None:
    text = FUNCTION.replace("AWS::Serverless", f"AWS::{kind}") + f"      {code}\n"
    if kind == "Lambda":
        text += "      Role: !GetAtt Role.Arn\n  Role: {Type: AWS::IAM::Role}\n"

    found = imported(head + text.replace("I.", f"{INPUTS}."))

    assert list(web(found)[shown].values()) == [{"Ref": "ArtifactBucket"}, {"Ref": "ArtifactKey"}]
    assert parameters(found)["ArtifactBucket"] == "builds"
    assert parameters(found)["ArtifactKey"] == ""
    assert not {"Bucket", "Key"} & set(parameters(found))


def test_code_at_a_fixed_place_stays_there() -> None:
    found = imported(f"{SAM}{FUNCTION}      CodeUri: s3://builds/fixed.zip\n")

    assert web(found)["CodeUri"] == "s3://builds/fixed.zip"
    assert "ArtifactKey" not in parameters(found)


TASK = """
Resources:
  Web:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions:
        - {Name: web, Image: '{{ I.image }}'}
        - {Name: other, Image: 'IMAGE'}
"""


def test_an_image_that_was_an_input_comes_with_deployments() -> None:
    found = imported(TASK.replace("IMAGE", "envoy:2").replace("I.", f"{INPUTS}."))

    containers = web(found)["ContainerDefinitions"]
    assert [each["Image"] for each in containers] == [{"Ref": "Artifact"}, "envoy:2"]
    assert parameters(found) == {"Artifact": "nginx:1"}


def test_of_several_images_none_is_chosen() -> None:
    found = imported(TASK.replace("IMAGE", "{{ I.sidecar }}").replace("I.", f"{INPUTS}."))

    assert parameters(found) == {"Image": "nginx:1", "Sidecar": "envoy:1"}
    assert "Image, Sidecar stay inputs" in "".join(map(str, found.report.notes))


def test_where_sam_reads_the_defaults_of_inputs_are_written_out() -> None:
    events = "Events: {A: {Type: HttpApi, Properties: {Path: '/{{ I.noun }}', Method: GET}}}"

    found = imported(
        f"{SAM}{FUNCTION}      InlineCode: x\n      {events.replace('I.', f'{INPUTS}.')}\n"
    )

    assert web(found)["Events"]["A"]["Properties"]["Path"] == "/thing"
    assert ["A: Path is /thing now" in str(each) for each in found.report.losses] == [True]
    assert found.refused == []
    assert "NotCarriedOver" not in parameters(found)
    assert transformed(found.body, {})["Resources"]["ServerlessHttpApi"]


def test_where_sam_reads_an_input_without_a_default_is_a_gap() -> None:
    events = "Events: {A: {Type: HttpApi, Properties: {Path: '/{{ I.key }}', Method: GET}}}"

    found = imported(
        f"{SAM}{FUNCTION}      InlineCode: x\n      {events.replace('I.', f'{INPUTS}.')}\n"
    )

    assert "A: Path cannot contain inputs, because SAM reads it itself" in str(found.report.gaps[0])
    assert "NotCarriedOver" in parameters(found)


OUTPUTS = "Resources: {Jobs: {Type: AWS::SQS::Queue}}\nOutputs:\n"


@pytest.mark.parametrize(
    ("outputs", "url"),
    [
        ("  ServiceURL: {Value: !Sub 'https://${Jobs}.example.com'}", True),
        ("  ApiEndpoint: {Value: !GetAtt Jobs.ApiEndpoint}", True),
        ("  QueueUrl: {Value: !Ref Jobs}", False),
        ("  AUrl: {Value: 'https://a'}\n  BUrl: {Value: 'https://b'}", False),
        ("  Url: {Value: 'https://a'}\n  OtherUrl: {Value: 'https://b'}", None),
    ],
)
def test_the_one_output_that_is_a_url_is_the_environments(outputs: str, url: bool | None) -> None:
    shown = read(imported(f"{OUTPUTS}{outputs}\n").body)["Outputs"]

    if url is None:
        assert shown["Url"] == {"Value": "https://a"}
    else:
        assert ("Url" in shown) is url


def test_every_role_has_the_boundary() -> None:
    roles = "  Role: {Type: AWS::IAM::Role}\n  Other: {Type: AWS::IAM::Role, Properties: {}}\n"

    found = imported(f"{SAM}{FUNCTION}      InlineCode: x\n{roles}")

    resources = read(found.body)["Resources"]
    bound = {"Ref": "PermissionsBoundary"}
    assert {
        name: each["Properties"]["PermissionsBoundary"] for name, each in resources.items()
    } == {
        "Web": bound,
        "Role": bound,
        "Other": bound,
    }


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ("{type: string, minLength: 3, default: ''}", "shorter than its minLength"),
        ("{type: string, maxLength: 1, default: abc}", "longer than its maxLength"),
        ("{type: string, enum: [a, b], default: c}", "not in its enum"),
    ],
)
def test_a_default_that_breaks_its_own_limits_is_kept(declared: str, told: str) -> None:
    text = "Resources:\n  Jobs:\n    Type: AWS::SQS::Queue\n    Properties: {P: '{{ I.a }}'}\n"

    found = imported(text.replace("I.", f"{INPUTS}."), f"a: {declared}")

    assert parameters(found)["A"] in ("", "abc", "c")
    assert [told in str(each) for each in found.report.losses] == [True]
