"""The OpenAPI document is generated from the routes and describes every operation."""

from __future__ import annotations

import pytest

from slipway.http.openapi import document
from tests.support.api.client import app
from tests.support.api.routes import PATHS

TAGS = ("auth", "projects", "templates", "environments", "deployments")
_OTHERS = ("inspection", "people", "promotions", "runtime", "configuration")
DOCUMENT = document({name: app(name).api for name in (*TAGS, *_OTHERS)})


def test_every_route_is_described_once() -> None:
    described = {
        (path, method.upper())
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
        if method != "parameters"
    }

    routes = {
        (path.replace("<", "{").replace(">", "}"), method)
        for path, methods in PATHS.items()
        for method in methods
        if path.startswith("/api/v1/") and path.split("/")[3] in TAGS
    }
    assert described >= routes


@pytest.mark.parametrize(
    "method,path,statuses",
    [
        (
            "put",
            "/api/v1/projects/{project_id}/environments/by-external-id/{external_id}",
            {"200", "201", "409", "422"},
        ),
        ("post", "/api/v1/deployments/{deployment_id}/cancel", {"202", "404", "409"}),
        ("post", "/api/v1/environments/{environment_id}/teardown/retry", {"202", "404", "409"}),
        (
            "post",
            "/api/v1/environments/{environment_id}/update",
            {"200", "201", "404", "409", "422", "429", "503"},
        ),
        ("get", "/api/v1/environments/{environment_id}/queue", {"200", "404"}),
        ("get", "/api/v1/environments/{environment_id}/events", {"200", "404"}),
        ("get", "/api/v1/deployments/{deployment_id}/timeline", {"200", "404"}),
    ],
)
def test_the_operations_that_steer_deployments_are_described(
    method: str, path: str, statuses: set[str]
) -> None:
    operation = DOCUMENT["paths"][path][method]

    assert set(operation["responses"]) >= statuses
    assert operation["summary"]
