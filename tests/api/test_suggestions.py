"""Refusals that say what the caller may have meant: names of fields, values, paths."""

from __future__ import annotations

import json
import time

import pytest

from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.http.openapi import PATHS, paths_of
from slipway.http.suggestions import near, path_for
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.repository import ROOT

NAMES = ["name", "type", "tier", "ttl_hours", "external_id", "on_conflict", "config", "protected"]
NEAR = {
    "ttlHours": "ttl_hours",
    "TTL-HOURS": "ttl_hours",
    "ttl_hour": "ttl_hours",
    "ttl": "ttl_hours",
    "tll_hours": "ttl_hours",
    "externalId": "external_id",
    "external": "external_id",
    "onConflict": "on_conflict",
    "nmae": "name",
    "Name": "name",
    "typ": "type",
    "configuration": None,
    "expires": None,
    "x": None,
    "": None,
    "é" * 30: None,
    "n" * 1000: None,
}


@pytest.mark.parametrize("word", NEAR, ids=lambda word: word[:20])
def test_a_near_name_is_found_and_no_other(word: str) -> None:
    assert near(word, NAMES) == NEAR[word]


def test_an_unknown_field_is_told_with_the_near_one(ann: Client, project: ProjectId) -> None:
    path = f"/api/v1/environments/projects/{project}"
    with nothing_changes():
        answer = ann.post(path, {"name": "x", "type": "ephemeral", "ttlHours": 3})

    assert_refused(answer, 422, "invalid_request", "#/ttlHours")
    assert answer.json["errors"][0]["detail"] == "is not a field here; did you mean ttl_hours?"


def test_a_field_within_a_field_is_told_too(ann: Client) -> None:
    answer = ann.post("/api/v1/projects", {"name": "x", "policy": {"max_ttl": 3}})

    assert_refused(answer, 422, "invalid_request", "#/policy/max_ttl")
    assert "did you mean max_ttl_hours?" in answer.json["errors"][0]["detail"]


def test_a_query_parameter_is_told_too(ann: Client) -> None:
    answer = ann.get("/api/v1/projects", limt=5)

    assert_refused(answer, 422, "invalid_request", "?limt")
    assert "did you mean limit?" in answer.json["errors"][0]["detail"]


def test_a_choice_that_is_missing_or_wrong_lists_its_values(
    ann: Client, project: ProjectId
) -> None:
    path = f"/api/v1/environments/projects/{project}"
    answers = [ann.post(path, {"name": "x"}), ann.post(path, {"name": "x", "type": "preview"})]

    for answer in answers:
        assert_refused(answer, 422, "invalid_request", "#/type")
        assert "ephemeral" in answer.json["detail"] and "persistent" in answer.json["detail"]


PROJECT = "/api/v1/projects/{project_id}"
WRONG = {
    "/api/v1/project": "/api/v1/projects",
    "/api/v1/Projects": "/api/v1/projects",
    "/projects": "/api/v1/projects",
    "/api/projects": "/api/v1/projects",
    "/api/v2/projects": "/api/v1/projects",
    "/v1/projects/payments": PROJECT,
    "/api/v1/template": "/api/v1/templates",
    "/api/v1/projects/prj_1/member": f"{PROJECT}/members",
    "/api/v1/environments/env_1/log": "/api/v1/environments/{environment_id}/logs",
    "/api/v1/environments/env_1/tear-down/retry": (
        "/api/v1/environments/{environment_id}/teardown/retry"
    ),
    "/api/v1/deployment/dep_1/cancel": "/api/v1/deployments/{deployment_id}/cancel",
    "/api/v1/auth/signin": None,
    "/nothing/of/ours": None,
    "/": None,
    "/" + "a" * 400: None,
    "/a" * 50: None,
}


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path[:50])
def test_the_near_path_is_found(path: str) -> None:
    assert path_for(path) == WRONG[path]


@pytest.mark.parametrize(
    "path", ["/api/v1/project", "/api/v1/environments/env_1/log", "/projects/x"]
)
def test_a_wrong_path_is_told_with_the_right_one(ann: Client, path: str) -> None:
    answer = ann.get(path)

    assert_refused(answer, 404, "not_found")
    assert f"Did you mean {path_for(path)}?" in answer.json["detail"]


def test_the_paths_that_are_compared_are_those_of_the_document() -> None:
    document = json.loads((ROOT / "functions/api/docs/openapi.json").read_text())

    assert PATHS.read_text(encoding="utf-8") == paths_of(document)


def test_a_right_path_with_a_wrong_id_gets_no_suggestion(
    ann: Client, environment: EnvironmentId
) -> None:
    assert "Did you mean" not in ann.get(f"{environment}").json["detail"]


@pytest.mark.parametrize("path", ["/" + "a/" * 149, "/" + "/".join(["environmentx"] * 12)])
def test_comparing_costs_little(path: str) -> None:
    path_for("/warm")
    began = time.process_time()

    for _ in range(20):
        path_for(path)
        near("n" * 40, [f"{'n' * 30}{n}" for n in range(30)])

    assert (time.process_time() - began) / 20 < 0.01
