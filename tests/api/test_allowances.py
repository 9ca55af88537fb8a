"""The stack's allowances for templates hold when environments are made and changed."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.aws import template_bodies
from slipway.domain import ids
from slipway.domain.ids import ProjectId
from slipway.errors import DriverRefused
from slipway.services import delivery
from slipway.settings import settings
from slipway.store import environment_records
from tests.support.api.checks import assert_refused
from tests.support.api.client import Answer, Client
from tests.support.store import world
from tests.support.store.cloudformation import CloudFormation

VERSIONS = "/api/v1/templates/web/versions"
BODY = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  PermissionsBoundary: {Type: String}
  ArtifactBucket: {Type: String, Default: payments-builds}
  ArtifactKey: {Type: String, Default: none.zip}
  Memory: {Type: Number, Default: 128}
  Reserved: {Type: Number, Default: 0}
  Bucket: {Type: String, Default: payments-builds}
Resources:
  Web:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      PermissionsBoundary: !Ref PermissionsBoundary
      CodeUri: {Bucket: !Ref ArtifactBucket, Key: !Ref ArtifactKey}
      MemorySize: !Ref Memory
      ReservedConcurrentExecutions: !Ref Reserved
  More:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      PermissionsBoundary: !Ref PermissionsBoundary
      CodeUri: {Bucket: !Ref Bucket, Key: x.zip}
      ReservedConcurrentExecutions: 4
"""


@pytest.fixture(autouse=True)
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_bodies, "_cloudformation", CloudFormation)


@pytest.fixture
def web(ann: Client) -> Client:
    assert ann.post("/api/v1/templates", {"name": "web"}).status == 201
    assert ann.send("POST", VERSIONS, BODY, media="application/yaml").status == 201
    assert ann.post(f"{VERSIONS}/1.0/publish").status == 200
    return ann


def made(owner: Client, project: ProjectId, name: str = "x", **inputs: Any) -> Answer:
    wanted = {"name": name, "type": "ephemeral", "template": "web", "inputs": inputs}
    return owner.post(f"/api/v1/environments/projects/{project}", wanted)


def running(owner: Client, project: ProjectId, name: str = "x") -> str:
    answer = made(owner, project, name)
    assert answer.status == 201, answer.text
    world.comes_up(ids.parse_environment(answer.json["id"]))
    return str(answer.json["id"])


def become(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A deployment of Slipway changes a parameter of its stack."""
    monkeypatch.setenv(name, value)
    settings.cache_clear()


@pytest.mark.parametrize(
    "name,value,fits",
    [
        ("Memory", 3008, True),
        ("Memory", 3009, False),
        ("Memory", "3e3", True),
        ("Memory", "3e4", False),
        ("Memory", 128.5, False),
        ("Reserved", 6, True),
        ("Reserved", 7, False),
        ("Reserved", -7, False),
        ("Bucket", "payments-builds", True),
        ("Bucket", "company-builds", False),
        ("Bucket", "", False),
    ],
)
def test_an_input_that_asks_for_too_much_is_refused(
    web: Client, project: ProjectId, name: str, value: Any, fits: bool
) -> None:
    answer = made(web, project, **{name: value})

    if fits:
        assert answer.status == 201, answer.text
    else:
        assert_refused(answer, 422, "invalid_request", f"#/inputs/{name}")


def test_a_plan_is_refused_like_the_environment(web: Client, project: ProjectId) -> None:
    wanted = {"name": "x", "type": "ephemeral", "template": "web", "inputs": {"Memory": 9000}}

    answer = web.post(f"/api/v1/environments/projects/{project}", wanted, query="dry_run=true")

    assert_refused(answer, 422, "invalid_request", "#/inputs/Memory")


def test_an_update_that_asks_for_too_much_is_refused(web: Client, project: ProjectId) -> None:
    path = f"/api/v1/environments/{running(web, project)}/update"

    answer = web.post(path, {"inputs": {"Reserved": 7}})

    assert_refused(answer, 422, "invalid_request", "#/inputs/Reserved")
    assert answer.json["errors"][0]["detail"] == (
        "makes 11 reserved concurrent executions in all; "
        "the stack's MaxReservedConcurrency allows 10"
    )
    assert web.post(path, {"inputs": {"Reserved": 6}}).status == 201


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("Memory", "1024", True),
        ("Memory", "9000", False),
        ("Reserved", "7", False),
        ("Bucket", "company-builds", False),
        ("Memory", "{{resolve:ssm:/x}}", False),
    ],
)
def test_a_variable_in_the_place_of_an_input_asks_for_no_more_than_that_may(
    web: Client, project: ProjectId, name: str, value: str, fits: bool
) -> None:
    record = environment_records.find(ids.parse_environment(running(web, project)))
    assert record
    content: Any = {"variables": {name: {"value": value}}, "secrets": {}}

    would_be = delivery.with_configuration(record, 5, content)

    if fits:
        delivery.require_fit(would_be)
    else:
        with pytest.raises(DriverRefused, match="Configuration 5 does not fit web@"):
            delivery.require_fit(would_be)


def test_code_is_deployed_only_from_known_buckets(web: Client, project: ProjectId) -> None:
    path = f"/api/v1/deployments/environments/{running(web, project)}"

    refused = web.post(path, {"version": "v1", "artifact": "s3://company-builds/web.zip"})

    assert_refused(refused, 422, "invalid_request", "#/artifact")
    assert "payments-builds" in refused.json["errors"][0]["detail"]
    accepted = web.post(path, {"version": "v1", "artifact": "s3://payments-builds/web.zip"})
    assert accepted.status == 201


def test_an_image_does_not_pass_for_the_bucket_that_its_registry_is_named_like(
    web: Client, project: ProjectId
) -> None:
    path = f"/api/v1/deployments/environments/{running(web, project)}"

    refused = web.post(path, {"version": "v1", "artifact": "payments-builds/x/company-builds"})

    assert_refused(refused, 422, "invalid_request", "#/artifact")


def test_a_deployment_needs_an_artifact_if_the_code_comes_from_it_and_has_no_default(
    web: Client, project: ProjectId
) -> None:
    path = f"/api/v1/deployments/environments/{running(web, project)}"
    assert web.post(path, {"version": "v1"}).status == 201
    for number, default in ((2, ""), (3, ', Default: ""')):
        body = BODY.replace(", Default: payments-builds", default, 1)
        query = f"version={number}.0"
        added = web.send("POST", VERSIONS, body, media="application/yaml", query=query)
        assert added.status == 201, added.text
        assert web.post(f"{VERSIONS}/{number}.0/publish").status == 200
        environment = running(web, project, f"y{number}")

        refused = web.post(f"/api/v1/deployments/environments/{environment}", {"version": "v1"})

        assert_refused(refused, 422, "invalid_request", "#/artifact")
        assert refused.json["errors"][0]["detail"].startswith("is required, because")


@pytest.mark.parametrize(
    "name,value",
    [
        ("CAPACITY_LIMITS", "memory=3008,reserved=3,provisioned=0,throughput=100"),
        ("ARTIFACT_BUCKETS", "other-builds"),
        ("ALLOWED_RESOURCE_TYPES", "AWS::SQS::*"),
    ],
)
def test_a_version_is_checked_again_when_the_stack_allows_less(
    web: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    become(monkeypatch, name, value)

    answer = made(web, project)

    assert_refused(answer, 422, "invalid_request", "#/template")
    assert "no longer allowed" in answer.json["errors"][0]["detail"]


def test_a_version_is_read_again_only_if_what_is_allowed_has_changed(
    web: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    get = template_bodies.get

    def reading(key: str) -> bytes:
        read.append(key)
        return get(key)

    monkeypatch.setattr(template_bodies, "get", reading)

    first = made(web, project, Reserved=1)
    become(monkeypatch, "ARTIFACT_BUCKETS", "payments-builds,other-builds")
    again = web.post(
        f"/api/v1/environments/projects/{project}",
        {"name": "y", "type": "ephemeral", "template": "web", "inputs": {"Bucket": "other-builds"}},
    )

    assert (first.status, again.status) == (201, 201), again.text
    assert len(read) == 1


def test_what_is_checked_is_not_shown(web: Client) -> None:
    shown = web.get(f"{VERSIONS}/1.0").json

    assert not {"reserves", "checked_under"} & set(shown)
