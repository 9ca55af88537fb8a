"""Behaviour of the gateway and the functions together."""

from __future__ import annotations

import re
import urllib.request

import pytest

from tests.support.http_user import DIRECT, Person

pytestmark = pytest.mark.xdist_group("e2e")


def test_paths_work_with_and_without_the_trailing_slash(someone: Person) -> None:
    project = someone.project()

    with_slash = someone.ask("GET", "/api/v1/projects/")
    without = someone.ask("GET", "/api/v1/projects")
    one = someone.ask("GET", f"/api/v1/projects/{project}/")

    assert with_slash.body == without.body
    assert one.body["id"] == project


def test_every_path_of_the_document_may_have_a_trailing_slash(
    stranger: Person,
) -> None:
    paths = stranger.ask("GET", "/openapi.json").body["paths"]

    for path, operations in paths.items():
        for method in operations:
            plain = re.sub(r"\{\w+\}", "x_1", path)
            there, behind = (stranger.ask(method.upper(), plain + end) for end in ("", "/"))

            assert there.status == behind.status != 405, (method, path)
            # Its own function refuses a stranger, or what is sent; the docs' would not find it.
            assert there.status != 404 and there.headers.get("Allow") is None, (method, path)
    assert len(paths) > 30


def test_a_list_is_complete_right_after_a_create_and_pages_to_its_end(someone: Person) -> None:
    made = [someone.project(f"p{n}") for n in range(5)]

    seen: list[str] = []
    url: str | None = "/api/v1/projects?limit=2"
    while url:
        answer = someone.ask("GET", url)
        seen += [one["id"] for one in answer.body]
        link = answer.headers.get("Link")
        url = link and link.partition(">")[0].removeprefix("<")

    assert seen == made[::-1]


def test_an_unknown_path_and_a_wrong_method_are_problems(stranger: Person) -> None:
    unknown = stranger.ask("GET", "/nothing/here")
    wrong = stranger.ask("PUT", "/api/v1/auth/login")

    assert (unknown.status, unknown.body["code"]) == (404, "not_found")
    assert (wrong.status, wrong.body["code"]) == (405, "method_not_allowed")
    assert wrong.headers["Allow"] == "POST"
    assert wrong.headers["Content-Type"] == "application/problem+json"


def test_a_body_of_any_size_never_gives_a_5xx(stranger: Person) -> None:
    path = "/api/v1/auth/register"

    ours = stranger.ask("POST", path, {"email": "a" * 70_000})
    the_gateways = stranger.ask("POST", path, {"email": "a" * 11_000_000})

    assert (ours.status, ours.body["code"]) == (413, "body_too_large")
    assert the_gateways.status == 413


def test_the_pages_load_nothing_from_elsewhere(stranger: Person) -> None:
    for page in ("/docs", "/redoc"):
        answer = stranger.ask("GET", page)
        text = answer.raw.decode()

        assert answer.status == 200
        assert "default-src 'none'; script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "//" not in text.replace("<!doctype", "")
        for script in [part.partition('"')[0] for part in text.split('src="')[1:]]:
            assert stranger.ask("GET", script).status == 200


def test_assets_are_compressed_for_clients_that_accept_it(stranger: Person) -> None:
    path = "/docs/assets/swagger-ui.css"
    packed = urllib.request.Request(stranger.url + path, headers={"Accept-Encoding": "gzip"})

    with DIRECT.open(packed) as answer:
        length, encoding = len(answer.read()), answer.headers["Content-Encoding"]

    assert encoding == "gzip"
    assert length < len(stranger.ask("GET", path).raw) / 2


def test_the_openapi_document_and_health_are_public(stranger: Person) -> None:
    document = stranger.ask("GET", "/openapi.json").body

    assert document["openapi"] == "3.1.0"
    assert stranger.ask("GET", "/health").body == {"status": "ok"}
    assert stranger.ask("HEAD", "/health").status == 200
