"""No route ignores a query parameter that it does not know."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from slipway.domain.ids import ProjectId
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.api.people import Stage
from tests.support.api.registering import appoint
from tests.support.api.routes import filled, ids_of
from tests.support.repository import ROOT

METHODS = {"get", "post", "put", "patch", "delete"}
# They answer a browser that came from another site: its parameters are not ours to name.
OF_BROWSERS = {"/api/v1/auth/oidc/callback"}


def operations() -> Iterator[tuple[str, str]]:
    for path, found in json.loads((ROOT / "functions/api/docs/openapi.json").read_text())[
        "paths"
    ].items():
        for method in sorted(METHODS & found.keys()):
            if path not in OF_BROWSERS:
                yield method.upper(), path


# Their errors have the form of OAuth 2, which has no field at fault.
OF_OAUTH = {("POST", f"/api/v1/auth/device{below}") for below in ("", "/token")}


@pytest.mark.parametrize("method,path", list(operations()))
def test_an_unknown_parameter_is_refused_by_its_name(stage: Stage, method: str, path: str) -> None:
    appoint(stage.ann.user_id)
    where = filled(path.replace("{", "<").replace("}", ">"), ids_of(stage))

    with nothing_changes():
        answer = stage.ann.send(method, where, query="nonsense=1")

    if (method, path) in OF_OAUTH:
        assert_refused(answer, 400, "malformed_grant")
        assert answer.json["detail"].startswith("?nonsense: is not a parameter here")
        return
    assert_refused(answer, 422, "invalid_request", "?nonsense")


@pytest.mark.parametrize("query", ["a/b=1", "=", "a=1&a=2&b=3", "%ff", "limit=1", "&".join("abc")])
def test_a_route_without_parameters_takes_none(ann: Client, query: str) -> None:
    answer = ann.send("GET", "/api/v1/auth/me", query=query)

    assert answer.status == 422
    assert all(each["pointer"].startswith("?") for each in answer.json["errors"])


@pytest.mark.parametrize("query", ["", "&", "&&"])
def test_an_empty_query_is_none(ann: Client, query: str) -> None:
    assert ann.send("GET", "/api/v1/auth/me", query=query).status == 200


def test_a_stranger_is_told_to_sign_in_first(aws: None) -> None:
    assert_refused(Client().get("/api/v1/auth/me", x="1"), 401, "token_missing")


def test_a_page_for_people_takes_any(aws: None) -> None:
    assert Client().get("/docs", utm_source="mail").status == 200


NUMBERS = ["5_0", "+5", "%205", "5%20", "5.0", "0x5", "%D9%A5", "5e0", "1" * 30, "--5", ""]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_written_in_digits(ann: Client, number: str) -> None:
    answer = ann.send("GET", "/api/v1/projects", query=f"limit={number}")

    assert_refused(answer, 422, "invalid_request", "?limit")


@pytest.mark.parametrize("word", ["t", "y", "TRUE", "True", "%20true", "2", "", "null"])
def test_a_boolean_is_true_or_false(ann: Client, project: ProjectId, word: str) -> None:
    with nothing_changes():
        answer = ann.send("DELETE", f"/api/v1/projects/{project}", query=f"cascade={word}")

    assert_refused(answer, 422, "invalid_request", "?cascade")
