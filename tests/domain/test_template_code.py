"""The code of functions: what SAM reads itself, and what deployments bring."""

from __future__ import annotations

import pytest

from slipway.domain import template_parser
from slipway.domain.allowances import Allowances
from slipway.errors import Invalid

SAM = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  PermissionsBoundary: {{Type: String}}
  Artifact: {{Type: String, Default: ""}}
  ArtifactBucket: {{Type: String, Default: ""}}
  ArtifactKey: {{Type: String, Default: ""}}
  Some: {{Type: String, Default: builds}}
Conditions:
  HasCode: !Not [!Equals [!Ref ArtifactKey, ""]]
Resources:
  Web:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      PermissionsBoundary: !Ref PermissionsBoundary
      {more}
"""
WEB = "#/Resources/Web/Properties"
ALLOWANCES = Allowances(["AWS::*"], ["builds"], limits={"memory": 3008})


def faults(more: str) -> dict[str, str]:
    parsed = template_parser.read(SAM.format(more=more).encode(), is_json=False)
    try:
        template_parser.check_allowed(parsed, ALLOWANCES)
    except Invalid as refused:
        return {each.pointer: each.detail for each in refused.fields}
    return {}


@pytest.mark.parametrize(
    "uri",
    [
        "s3://builds/web.zip",
        "s3://builds/a/b.zip?versionId=1",
        "{Bucket: builds, Key: a/b.zip}",
        "{Bucket: !Ref ArtifactBucket, Key: !Ref ArtifactKey}",
        "{Bucket: !Ref Some, Key: x, Version: !Ref AWS::NoValue}",
    ],
)
def test_the_code_of_sam_is_an_object_or_a_mapping(uri: str) -> None:
    assert faults(f"CodeUri: {uri}") == {}


@pytest.mark.parametrize(
    "uri",
    [
        "!Ref Artifact",
        "!Ref Some",
        "!Sub '${Artifact}'",
        "!Sub 's3://builds/${ArtifactKey}'",
        "!If [HasCode, s3://builds/a.zip, s3://builds/b.zip]",
        "!If [HasCode, {Bucket: builds, Key: a}, {Bucket: builds, Key: b}]",
        "!Join ['', ['s3://builds/', a.zip]]",
    ],
)
def test_a_function_in_the_place_of_sams_code_is_refused_with_the_way_to_do_it(uri: str) -> None:
    found = faults(f"CodeUri: {uri}")

    assert list(found) == [f"{WEB}/CodeUri"]
    assert "{Bucket: !Ref ArtifactBucket, Key: !Ref ArtifactKey}" in found[f"{WEB}/CodeUri"]


@pytest.mark.parametrize(
    "uri,pointer",
    [
        ("src/", "CodeUri"),
        ("s3://builds", "CodeUri"),
        ("s3://builds/", "CodeUri"),
        ("{Bucket: builds}", "CodeUri/Key"),
        ("{Key: a.zip}", "CodeUri/Bucket"),
        ("{Bucket: '', Key: a.zip}", "CodeUri/Bucket"),
        ("{Bucket: others, Key: a.zip}", "CodeUri/Bucket"),
    ],
)
def test_code_that_sam_could_not_read_is_refused(uri: str, pointer: str) -> None:
    assert list(faults(f"CodeUri: {uri}")) == [f"{WEB}/{pointer}"]


@pytest.mark.parametrize("kind", ["HttpApi", "Api"])
@pytest.mark.parametrize("value", ["!Ref Some", "!Sub '/${Some}'", "!If [HasCode, /a, /b]"])
@pytest.mark.parametrize("name", ["Path", "Method"])
def test_a_path_or_method_of_sam_is_plain_text(kind: str, name: str, value: str) -> None:
    properties = {"Path": "/web", "Method": "GET", name: value}
    said = ", ".join(f"{key}: {each}" for key, each in properties.items())
    event = f"{{Type: {kind}, Properties: {{{said}}}}}"

    found = faults(f"InlineCode: x\n      Events: {{Web: {event}}}")

    assert list(found) == [f"{WEB}/Events/Web/Properties/{name}"]


def test_parts_of_the_artifact_are_no_bucket_without_the_rest_of_them() -> None:
    found = faults("CodeUri: {Bucket: !Ref ArtifactKey, Key: !Ref ArtifactBucket}")

    assert list(found) == [f"{WEB}/CodeUri/Bucket"]
