"""Parameters that Slipway fills in: their constraints hold, and deployments need one of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.aws import template_bodies
from slipway.domain.ids import EnvironmentId, ProjectId
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.store import world
from tests.support.store.cloudformation import CloudFormation

VERSIONS = "/api/v1/templates/web/versions"
QUEUE = "\nResources: {Jobs: {Type: AWS::SQS::Queue, Properties: {DelaySeconds: 1}}}"


@pytest.fixture(autouse=True)
def _web(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_bodies, "_cloudformation", CloudFormation)
    ann.post("/api/v1/templates", {"name": "web"})


def add(owner: Client, parameters: str) -> Answer:
    """Add a version with these parameters, and publish it if it is accepted."""
    body = f"Parameters: {{{parameters}}}{QUEUE}"
    made = owner.send("POST", VERSIONS, body, media="application/yaml")
    if made.status == 201:
        assert owner.post(f"{made.headers['location']}/publish").status == 200
    return made


def create(caller: Client, project: ProjectId, name: str, **fields: Any) -> Answer:
    wanted = {"name": name, "type": "ephemeral", "template": "web", **fields}
    return caller.post(f"/api/v1/environments/projects/{project}", wanted)


def runs(caller: Client, project: ProjectId, version: str) -> EnvironmentId:
    made = world.environment(project, caller.principal, "pr-7", template=f"web@{version}")
    world.comes_up(made)
    return made


def deploy(caller: Client, into: EnvironmentId, **wanted: Any) -> Answer:
    return caller.post(f"/api/v1/deployments/environments/{into}", wanted)


@pytest.mark.parametrize(
    "constraint",
    [
        "Type: String, AllowedPattern: '[a-z-]+'",
        "Type: String, MaxLength: 3",
        "Type: String, AllowedValues: [dev, prod], Default: dev",
        "Type: Number",
    ],
)
def test_a_name_that_the_template_does_not_take_is_refused(
    ann: Client, project: ProjectId, constraint: str
) -> None:
    assert add(ann, f"EnvironmentName: {{{constraint}}}").status == 201

    with nothing_changes():
        answer = create(ann, project, "feature/Login-7")
        ensured = ann.send(
            "PUT",
            f"/api/v1/projects/{project}/environments/by-external-id/pr-7",
            json.dumps({"name": "feature/Login-7", "type": "ephemeral", "template": "web"}),
        )

    assert_refused(answer, 422, "invalid_request", "#/name")
    assert_refused(ensured, 422, "invalid_request", "#/name")
    assert "its parameter EnvironmentName must" in answer.json["errors"][0]["detail"]


def test_a_name_that_the_template_takes_is_accepted(ann: Client, project: ProjectId) -> None:
    add(ann, "EnvironmentName: {Type: String, AllowedPattern: '[a-z0-9-]+', MaxLength: 20}")

    assert create(ann, project, "pr-7").status == 201


def test_a_project_whose_name_the_template_does_not_take_gets_no_environment(
    ann: Client, project: ProjectId
) -> None:
    add(ann, "ProjectName: {Type: String, AllowedPattern: '[0-9]+'}")

    answer = create(ann, project, "pr-7")

    assert_refused(answer, 422, "invalid_request", "#/template")
    assert answer.json["errors"][0]["detail"].startswith("does not take 'payments' as ProjectName")


@pytest.mark.parametrize(
    "declared,pointer",
    [
        ("Version: {Type: Number}", "#/Parameters/Version"),
        ("Version: {Type: String, AllowedPattern: 'v[0-9]+'}", "#/Parameters/Version"),
        ("Artifact: {Type: String, MinLength: 5}", "#/Parameters/Artifact"),
        ("Version: {Type: 'AWS::EC2::VPC::Id'}", "#/Parameters/Version/Type"),
        ("EnvironmentId: {Type: 'List<AWS::EC2::Subnet::Id>'}", "#/Parameters/EnvironmentId/Type"),
        (
            "ConfigurationPath: {Type: String, AllowedPattern: '/.+', Default: /x}",
            "#/Parameters/ConfigurationPath",
        ),
        ("ConfigurationPath: {Type: Number}", "#/Parameters/ConfigurationPath"),
    ],
)
def test_a_template_of_which_no_environment_could_be_made_is_refused(
    ann: Client, declared: str, pointer: str
) -> None:
    assert_refused(add(ann, declared), 422, "invalid_request", pointer)


@pytest.mark.parametrize(
    "declared,wanted,pointer",
    [
        ("Version: {Type: Number, Default: 16}", {"version": "v1"}, "#/version"),
        (
            "Version: {Type: String, AllowedPattern: 'none|v[0-9]+'}",
            {"version": "sha-1"},
            "#/version",
        ),
        (
            "Artifact: {Type: String, MaxLength: 20}",
            {"version": "v1", "artifact": "s3://payments-builds/sha-1.zip"},
            "#/artifact",
        ),
    ],
)
def test_a_version_that_the_template_does_not_take_is_refused(
    ann: Client, project: ProjectId, declared: str, wanted: dict[str, Any], pointer: str
) -> None:
    add(ann, declared)
    made = runs(ann, project, "1.0")

    with nothing_changes():
        answer = deploy(ann, made, **wanted)

    assert_refused(answer, 422, "invalid_request", pointer)


def test_a_version_that_the_template_takes_is_deployed(ann: Client, project: ProjectId) -> None:
    add(ann, "Version: {Type: Number, Default: 16}")
    made = runs(ann, project, "1.0")

    assert deploy(ann, made, version="17").status == 201


def test_an_update_to_a_version_that_does_not_take_what_is_live_is_refused(
    ann: Client, project: ProjectId
) -> None:
    add(ann, "Version: {Type: String}")
    add(ann, "Version: {Type: String, AllowedPattern: 'none|v[0-9]+'}")
    add(ann, "Version: {Type: String}, ProjectName: {Type: String, MaxLength: 3}")
    made = runs(ann, project, "1.0")
    world.becomes(made, "running", live_version="sha-1")

    with nothing_changes():
        by_version = ann.post(f"/api/v1/environments/{made}/update", {"template": "web@1.1"})
        by_name = ann.post(f"/api/v1/environments/{made}/update", {"template": "web@1.2"})

    assert_refused(by_version, 422, "invalid_request", "#/template")
    assert by_version.json["errors"][0]["detail"].startswith("does not take 'sha-1' as Version")
    assert_refused(by_name, 422, "invalid_request", "#/template")


def test_a_deployment_that_would_change_nothing_is_refused(ann: Client, project: ProjectId) -> None:
    add(ann, "Size: {Type: String, Default: small}")
    add(ann, "Version: {Type: String}")
    made = runs(ann, project, "1.0")

    with nothing_changes():
        answer = deploy(ann, made, version="v1")

    assert_refused(answer, 409, "template_takes_no_version")
    assert answer.json["template"] == "web@1.0"
    update = ann.post(f"/api/v1/environments/{made}/update", {"template": "web@1.1"})
    assert update.status == 201


@pytest.mark.parametrize("declared", ["Version: {Type: String}", "Artifact: {Type: String}"])
def test_a_template_needs_only_one_of_both(ann: Client, project: ProjectId, declared: str) -> None:
    add(ann, declared)

    assert deploy(ann, runs(ann, project, "1.0"), version="v1").status == 201


def test_a_simulated_environment_takes_every_version(ann: Client, project: ProjectId) -> None:
    made = world.environment(project, ann.principal, "pr-7")
    world.comes_up(made)

    assert deploy(ann, made, version="v1").status == 201
