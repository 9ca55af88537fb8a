"""A request finds the function that has its route, with a trailing slash and without."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.repository import FUNCTIONS, camel, load_function, resources

API_FUNCTIONS = [folder for folder in FUNCTIONS if folder.parent.name == "api"]


def gateway() -> list[tuple[str, str, str]]:
    """(method, path, function) of every route of the template; $default is ("ANY", "", …)."""
    found = []
    for name, function in resources("AWS::Serverless::Function").items():
        for event in function["Properties"].get("Events", {}).values():
            if event["Type"] == "HttpApi":
                properties: dict[str, Any] = event["Properties"]
                method = properties.get("Method", "ANY").upper()
                found.append((method, properties.get("Path", ""), name))
    return found


def rank(route: tuple[str, str, str], method: str, path: str) -> tuple[int, ...] | None:
    """How well API Gateway finds that the route fits, None if it does not; the greatest wins.

    As its documentation says: a full match, then one with a greedy variable, then $default; the
    method itself before ANY. A greedy variable may be empty, and a path that ends in a slash gets
    no route (see local/patches/greedy_paths.py and template_routes.py).
    """
    verb, pattern, _ = route
    if verb not in (method, "ANY") or (pattern.endswith("/") and pattern != "/"):
        return None
    if pattern in ("", "$default"):
        return (0, 0, 0)
    parts = [
        ".*" if part.endswith("+}") else "[^/]+" if part.startswith("{") else re.escape(part)
        for part in pattern.split("/")
    ]
    if not re.fullmatch("/".join(parts), path):
        return None
    return (1 if "+}" in pattern else 2, pattern.count("/") - pattern.count("{"), verb == method)


def routed(method: str, path: str) -> str:
    fitting = [
        (ranked, route[2])
        for route in gateway()
        if (ranked := rank(route, method, path)) is not None
    ]
    return max(fitting)[1]


@pytest.mark.parametrize("folder", API_FUNCTIONS, ids=lambda folder: folder.name)
def test_every_route_reaches_its_function(folder: Path) -> None:
    routes = load_function(folder).api.routes

    for route in routes:
        path = re.sub(r"<\w+>", "x_1", route.path)
        assert routed(route.method, path) == f"{camel(folder.name)}Function", route.path
        assert routed(route.method, f"{path}/") == f"{camel(folder.name)}Function", route.path
    assert routes


def test_no_two_functions_have_the_same_route() -> None:
    routes = [
        (route.method, re.sub(r"<\w+>", "<>", route.path))
        for folder in API_FUNCTIONS
        for route in load_function(folder).api.routes
    ]

    assert len(routes) == len(set(routes))


def test_docs_answers_unknown_paths() -> None:
    assert routed("GET", "/no/such/path") == "DocsFunction"
    assert routed("POST", "/") == "DocsFunction"


def test_a_route_of_another_function_is_found() -> None:
    assert rank(("ANY", "/a/{proxy+}", "F"), "GET", "/a/b/c") == (1, 1, False)
    assert rank(("ANY", "/a/{proxy+}", "F"), "GET", "/a/") == (1, 1, False)
    assert rank(("ANY", "/a/{proxy+}", "F"), "GET", "/a") is None
    assert rank(("ANY", "/a/", "F"), "GET", "/a/") is None
    assert rank(("POST", "/a", "F"), "GET", "/a") is None


def test_every_route_but_the_default_has_throttling_settings_of_its_own() -> None:
    """API Gateway refuses a stage with settings of a route that does not exist."""
    settings = resources("AWS::Serverless::HttpApi")["Api"]["Properties"]["RouteSettings"]

    assert set(settings) == {f"{method} {path}" for method, path, _ in gateway() if path}
    for each in settings.values():
        rate, burst = each["ThrottlingRateLimit"]["Ref"], each["ThrottlingBurstLimit"]["Ref"]
        assert rate.removesuffix("Rate") == burst.removesuffix("Burst")


# They call CloudFormation or CloudWatch while the caller waits.
COSTLY = ("drift", "resources", "diff", "runtime-logs", "metrics")


def test_strangers_and_costly_routes_take_tokens_of_their_own() -> None:
    settings = resources("AWS::Serverless::HttpApi")["Api"]["Properties"]["RouteSettings"]
    limits = {route: each["ThrottlingRateLimit"]["Ref"] for route, each in settings.items()}

    anonymous = {route for route, limit in limits.items() if limit == "AnonymousRate"}
    costly = {route for route, limit in limits.items() if limit == "CostlyRate"}
    assert anonymous == {"ANY /api/v1/auth/{proxy+}", "ANY /.well-known/{proxy+}"}
    assert costly == {
        "ANY /api/v1/templates/{proxy+}",
        *(route for route in limits if any(f"/{each}" in route for each in COSTLY)),
    }
