"""A route reads its parameters by its function's signature, and its models must be complete."""

from __future__ import annotations

from typing import Any

import pytest

from slipway import errors
from slipway.access.principal import Principal
from slipway.domain.deployment import Deployment
from slipway.domain.environment_requests import CreationMode, NewEnvironment, TeardownRetry
from slipway.domain.fields import ResponseModel
from slipway.domain.paging import Page, Paging
from slipway.http import binding
from slipway.http.openapi import models_of
from slipway.http.routes import EtagPredicate, IfMatch, Route
from tests.support.api.client import app

FUNCTIONS = (
    *("auth", "people", "projects", "templates", "environments", "inspection", "deployments"),
    *("configuration", "confirmations", "promotions", "runtime", "docs"),
)
ROUTES = [route for name in FUNCTIONS for route in app(name).api.routes]
CREATING = [route for route in ROUTES if route.status == 201]


def _event(**more: Any) -> dict[str, Any]:
    return {"headers": {}, "requestContext": {"http": {"sourceIp": "192.0.2.1"}}, **more}


@pytest.mark.parametrize("route", CREATING, ids=lambda route: f"{route.method} {route.path}")
def test_every_model_that_a_route_creates_has_a_location(route: Route) -> None:
    model = models_of(route.returns)[0]

    assert issubclass(model, ResponseModel)
    assert model.location is not ResponseModel.location


def test_a_model_without_a_path_of_its_own_has_no_location() -> None:
    class Unaddressable(ResponseModel):
        pass

    with pytest.raises(NotImplementedError, match="Unaddressable"):
        _ = Unaddressable().location


def test_a_route_reads_its_parameters_from_the_signature() -> None:
    def create(
        project_id: str, wanted: NewEnvironment, mode: CreationMode, principal: Principal
    ) -> tuple[Deployment, bool]:
        raise NotImplementedError

    action = "environments:create"
    route = Route.of("POST", "/projects/<project_id>", create, action=action, status=201, found=200)

    assert (route.body, route.query, route.body_optional) == (NewEnvironment, CreationMode, False)
    assert (route.status, route.found, route.replays) == (201, 200, True)
    assert next(iter(route.parameters)) == "principal", "the token is checked first"


@pytest.mark.parametrize("action", ["", "projects:burn"])
def test_a_route_with_a_caller_has_an_action_of_the_policy(action: str) -> None:
    def list_(principal: Principal) -> None: ...

    with pytest.raises(KeyError):
        Route.of("GET", "/", list_, action=action)


def test_a_body_is_optional_if_its_parameter_can_be_none() -> None:
    def retry(wanted: TeardownRetry | None, if_match: IfMatch | None) -> None: ...

    def discard(seen: EtagPredicate | None) -> None: ...

    retrying = Route.of("POST", "/retry", retry)
    discarding = Route.of("DELETE", "/it", discard)

    assert (retrying.body, retrying.body_optional) == (TeardownRetry, True)
    assert retrying.takes(IfMatch)
    assert (discarding.body, discarding.body_optional) == (None, False)
    assert discarding.takes(EtagPredicate)


@pytest.mark.parametrize(
    "method,option,replays",
    [("POST", True, True), ("POST", False, False), ("PUT", True, False), ("GET", True, False)],
)
def test_only_a_post_is_replayed(method: str, option: bool, replays: bool) -> None:
    def list_(paging: Paging) -> Page[Deployment]:
        raise NotImplementedError

    assert Route.of(method, "/", list_, replays=option).replays is replays


def test_a_caller_without_a_token_is_not_told_what_is_wrong_with_the_rest() -> None:
    def list_(paging: Paging, principal: Principal) -> None: ...

    route = Route.of("GET", "/", list_, action="projects:list")

    with pytest.raises(errors.TokenMissing):
        binding.bind(route, _event(rawQueryString="limit=none"), {})


def test_a_parameter_of_an_unknown_type_is_a_bug_and_not_a_path_name() -> None:
    def get(number: int) -> None: ...

    route = Route.of("GET", "/<number>", get)

    with pytest.raises(TypeError, match="int"):
        binding.bind(route, _event(), {"number": "1"})
