"""Headers that come twice, folded by a proxy, or from someone who has no say in the matter."""

from __future__ import annotations

import pytest

from slipway.domain.ids import EnvironmentId, ProjectId
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client, call, event


def test_two_tokens_are_none(ann: Client, project: ProjectId) -> None:
    bearer = f"Bearer {ann.token}"

    for twice in (f"{bearer},{bearer}", f"{bearer}, {bearer}"):
        answer = Client().with_headers(authorization=twice).get(f"/api/v1/projects/{project}")
        assert_refused(answer, 401, "token_invalid")


@pytest.mark.parametrize("fold", ['"9","1"', '"9", "1"', '"9" ,\t"1"', ',"9",,"1",'])
def test_folded_tags_are_a_list(ann: Client, project: ProjectId, fold: str) -> None:
    path = f"/api/v1/projects/{project}"

    assert ann.with_headers(if_none_match=fold).get(path).status == 304
    assert ann.with_headers(if_match=fold).patch(path, {"description": "x"}).status == 200


def test_a_folded_type_is_no_type(ann: Client) -> None:
    with nothing_changes():
        answer = ann.send(
            "POST", "/api/v1/projects", '{"name":"x"}', media="application/json, application/json"
        )

    assert_refused(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("key", ["a, a", "a ,b"])
def test_a_folded_key_with_a_space_is_refused(ann: Client, key: str) -> None:
    with nothing_changes():
        answer = ann.with_headers(idempotency_key=key).post("/api/v1/projects", {"name": "x"})

    assert_refused(answer, 422, "invalid_request", "Idempotency-Key")


def test_a_folded_key_is_one_key(ann: Client) -> None:
    twice = ann.with_headers(idempotency_key="a,a")
    first = twice.post("/api/v1/projects", {"name": "x"})
    second = twice.post("/api/v1/projects", {"name": "x"})

    assert (first.status, second.status) == (201, 201)
    assert second.headers["idempotent-replayed"] == "true"


def test_a_folded_name_confirms_nothing(ann: Client, environment: EnvironmentId) -> None:
    path = f"/api/v1/environments/{environment}"
    name = ann.patch(path, {"protected": True}).json["name"]

    with nothing_changes():
        answer = ann.with_headers(x_confirm=f"{name},{name}").delete(path)

    assert_refused(answer, 409, "confirmation_required")


def test_the_order_and_the_case_of_headers_do_not_matter(ann: Client, project: ProjectId) -> None:
    path = f"/api/v1/projects/{project}"
    sent = {"If-None-Match": '"1"', "AUTHORIZATION": f"bEARER {ann.token}"}

    for items in (sent.items(), reversed(sent.items())):
        request = event("GET", path)
        request["headers"] = {**dict(items), **request["headers"]}
        assert call(request).status == 304


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip"])
def test_the_address_of_a_caller_is_what_the_gateway_saw(
    ann: Client, project: ProjectId, name: str
) -> None:
    forged = ann.with_headers(**{name: "198.51.100.66"})
    forged.patch(f"/api/v1/projects/{project}", {"description": "x"})

    [entry, *_] = ann.get(f"/api/v1/projects/{project}/audit").json

    assert entry["address"] == ann.source


@pytest.mark.parametrize("path", ["/api/v1/projects/prj_x", "/nothing", "/api/v1/auth/me?x=1"])
def test_a_problem_names_the_request_as_the_gateway_does(ann: Client, path: str) -> None:
    where, _, query = path.partition("?")
    request = event("GET", where, query, {"authorization": f"Bearer {ann.token}"})
    request["requestContext"]["requestId"] = "Zm9vYmFyYmF6cXV4="

    assert call(request).json["request_id"] == "Zm9vYmFyYmF6cXV4="
