"""The form of a version, and the ends of a deployment."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from slipway.domain.deployment import (
    BROUGHT,
    CAN_BECOME,
    Deployment,
    NewDeployment,
    Status,
    brought,
)
from slipway.domain.timestamps import now

VERSIONS = {
    "the seed's": "sha-1234567",
    "a git SHA": "9fceb02d0ae598e95dc970b74767f19372d61af8",
    "one character": "7",
    "a hundred": "v" * 100,
    "a semantic version": "v1.2.3-rc.1+build.5",
    "an image": "nginx:1.27",
    "an image with a registry": "registry.example.com:5000/team/name:tag",
    "a digest": "name@sha256:" + "a" * 64,
    "a branch": "feature/pay-later",
    "underscores": "_x_",
}
NO_VERSIONS = {
    "empty": "",
    "blank": " ",
    "a hundred and one": "v" * 101,
    "a space": "v 1",
    "a leading dash, which is an option to a shell": "-rf",
    "a leading dot": ".hidden",
    "a semicolon": "v1;reboot",
    "a dollar": "$HOME",
    "a quote": "v'1",
    "a line break": "v1\n",
    "a line break within": "v1\nv2",
    "a null": "v1\0",
    "another script": "версия",
    "digits of another script": "v٣",
    "a lone surrogate": "v\ud800",
    "an empty tag": "name:",
    "too many tags": "a:b:c:d",
    "a short digest": "name@sha256:abc",
    "a number": 1,
    "nothing": None,
    "a list": ["v1"],
}


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS.keys())
def test_a_sha_a_tag_or_an_image_is_a_version(version: str) -> None:
    assert NewDeployment(version=version).version == version


@pytest.mark.parametrize("version", NO_VERSIONS.values(), ids=NO_VERSIONS.keys())
def test_a_malformed_version_is_refused(version: object) -> None:
    with pytest.raises(ValidationError):
        NewDeployment.model_validate({"version": version})


def test_a_long_bad_version_is_refused_at_once() -> None:
    with pytest.raises(ValidationError):
        NewDeployment(version="a" + "/.-" * 33 + "!")


def test_a_deployment_that_has_ended_never_changes() -> None:
    states: tuple[Status, ...] = get_args(Status)

    assert set(CAN_BECOME) == set(states)
    assert {state for state in states if not CAN_BECOME[state]} == {
        "succeeded",
        "rolled_back",
        "failed",
        "canceled",
        "superseded",
    }


def test_a_deployment_runs_before_it_succeeds() -> None:
    assert [state for state, targets in CAN_BECOME.items() if "succeeded" in targets] == ["running"]


def test_the_url_of_the_log_is_absolute() -> None:
    deployment = Deployment.model_validate(
        {
            "id": "dep",
            "project_id": "prj",
            "environment_id": "env",
            "version": "v1",
            "status": "pending",
            "logs_url": "/api/v1/deployments/dep/logs",
            "created_at": now(),
            "created_by": "usr_1",
            "execution_arn": "arn",
        }
    )

    assert deployment.with_absolute_urls("https://api.example.com").logs_url == (
        "https://api.example.com/api/v1/deployments/dep/logs"
    )


@pytest.mark.parametrize(
    "artifact,parts",
    [
        ("s3://builds/web.zip", ("builds", "web.zip", None)),
        ("s3://builds/a/b//c.zip", ("builds", "a/b//c.zip", None)),
        ("s3://builds/a.zip?versionId=3sL4kqtJ.x", ("builds", "a.zip", "3sL4kqtJ.x")),
        ("s3://builds/a?b=c", ("builds", "a?b=c", None)),
        ("s3://builds/a?versionId=", ("builds", "a?versionId=", None)),
        ("builds/team/web:1", (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_an_artifact_has_a_bucket_a_key_and_perhaps_a_version(
    artifact: str | None, parts: tuple[str | None, ...]
) -> None:
    values = brought("v1", artifact)

    assert set(values) == BROUGHT
    assert (values["Version"], values["Artifact"]) == ("v1", artifact)
    assert tuple(values[f"Artifact{name}"] for name in ("Bucket", "Key", "Version")) == parts


@pytest.mark.parametrize(
    "artifact",
    [
        "s3://builds/v1.zip",
        "s3://my.builds-1/a/b c".replace(" ", "%20"),
        "registry.example.com:5000/team/web:v1",
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com/web@sha256:" + "0" * 64,
    ],
)
def test_an_artifact_is_an_s3_object_or_an_image(artifact: str) -> None:
    assert NewDeployment(version="v1", artifact=artifact).artifact == artifact


@pytest.mark.parametrize(
    "artifact",
    [
        "",
        "v1",
        "s3://",
        "s3://b/",
        "s3://builds",
        "s3://builds/a b",
        "https://a/b",
        "UPPER/x",
        "s3://B/x",
    ],
)
def test_a_malformed_artifact_is_refused(artifact: str) -> None:
    with pytest.raises(ValidationError):
        NewDeployment(version="v1", artifact=artifact)
