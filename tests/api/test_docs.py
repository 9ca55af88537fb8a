"""The documentation pages, their assets, and the answer for unknown paths."""

from __future__ import annotations

import gzip
import re

import pytest

from slipway import errors
from slipway.http.error_page import codes, render_page, sections
from slipway.http.responses import status_of
from tests.support.api.checks import assert_refused
from tests.support.api.client import Client
from tests.support.errors import EVERY
from tests.support.repository import ROOT

ASSETS = ROOT / "functions/api/docs/assets"
PACKED = ["swagger-ui.css", "swagger-ui-bundle.js", "redoc.standalone.js"]
PLAIN = ["favicon.png", "start-swagger-ui.js", "errors.css"]


@pytest.fixture
def reader(environ: None) -> Client:
    """Somebody who reads; the docs function has no table at all."""
    return Client()


def test_the_health_check_needs_no_table(reader: Client) -> None:
    answer = reader.get("/health")

    assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_the_document_is_served_as_it_was_committed(reader: Client) -> None:
    answer = reader.get("/openapi.json")

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.raw == (ASSETS.parent / "openapi.json").read_bytes()
    assert answer.json["openapi"].startswith("3.1")


def test_the_root_redirects_to_the_documentation(reader: Client) -> None:
    answer = reader.get("/")

    assert (answer.status, answer.headers["location"]) == (302, "/docs")


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/errors", "/docs/"])
def test_a_page_loads_nothing_from_other_hosts(reader: Client, path: str) -> None:
    page = reader.get(path)

    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; connect-src 'self'; ")
    assert "unsafe" not in policy and "*" not in policy and "http" not in policy
    assert not re.search(r"<style|style=|<script(?! src=)|\son\w+=|javascript:", page.text)
    sources = re.findall(r'(?:src|href|spec-url)="([^"]+)"', page.text)
    assert sources
    for source in sources:
        assert source.startswith("/")
        assert reader.get(source.partition("#")[0]).status == 200, source


@pytest.mark.parametrize("name", PACKED)
def test_a_large_asset_is_compressed_for_clients_that_accept_it(reader: Client, name: str) -> None:
    packed = reader.with_headers(accept_encoding="gzip, deflate, br").get(f"/docs/assets/{name}")
    plain = reader.get(f"/docs/assets/{name}")
    other = reader.with_headers(accept_encoding="br").get(f"/docs/assets/{name}")

    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.raw) == plain.raw == other.raw
    assert "content-encoding" not in plain.headers
    assert len(packed.raw) < len(plain.raw)
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("name", PLAIN)
def test_a_small_asset_is_not_compressed(reader: Client, name: str) -> None:
    answer = reader.get(f"/docs/assets/{name}")

    assert answer.raw == (ASSETS / name).read_bytes()
    assert answer.headers["content-type"] in ("image/png", "text/javascript", "text/css")
    assert "max-age" in answer.headers["cache-control"]


NO_ASSETS = [
    "..",
    "../app.py",
    "%2e%2e%2fapp.py",
    "..%2fopenapi.json",
    "....//app.py",
    "..%5capp.py",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "app.py",
    "README.md",
    "swagger-ui.LICENSE",
    "swagger-ui.css.gz",
    "nothing.js",
    "nothing.png",
    ".js",
    "a" * 300 + ".js",
    "%F0%9F%9A%80" * 90 + ".js",
    "x%00.js",
    "%0a.js",
    "con.js",
    "*.js",
    "~.js",
]


@pytest.mark.parametrize("name", NO_ASSETS, ids=lambda name: name[:24])
def test_an_unknown_asset_is_not_found(reader: Client, name: str) -> None:
    assert_refused(reader.get(f"/docs/assets/{name}"), 404, "not_found")


def test_every_error_that_a_caller_can_meet_is_explained(reader: Client) -> None:
    page = reader.get("/docs/errors").text
    met = {
        (kind.code, str(status_of(kind)))
        for kind in EVERY
        if "code" in vars(kind) and (status_of(kind) < 500 or issubclass(kind, errors.Fault))
    }

    explained = re.findall(
        r'<section id="(\w+)">\n<h2>.+ <span class="status">(\d+)</span></h2>\n'
        r"<p><strong>.+</strong></p>\n<p>.+</p>\n<p>What to do: .+</p>",
        page,
    )

    assert set(explained) == met
    assert len(explained) == len(met) > 20


def test_the_page_of_errors_is_rendered_from_its_markdown() -> None:
    markdown = (ROOT / "docs/errors.md").read_text(encoding="utf-8")

    assert (ASSETS.parent / "errors.html").read_text(encoding="utf-8") == render_page(markdown)
    assert set(sections(markdown)[1]) == {kind.code for kind in codes()}


def test_the_page_of_errors_shows_text_and_never_markup() -> None:
    introduction, _ = sections("# Errors\n\nA `<b>` & more\n")

    page = render_page((ROOT / "docs/errors.md").read_text(encoding="utf-8"))

    assert introduction == ["A `<b>` & more"]
    assert "<p>What to do: sign in at <code>POST /api/v1/auth/login</code>" in page
    assert "<code>Authorization: Bearer &lt;access_token&gt;</code>" in page


def test_every_code_in_the_document_links_to_its_explanation(reader: Client) -> None:
    page = reader.get("/docs/errors").text

    types = set(re.findall(r'"type": "/docs/errors#(\w+)"', reader.get("/openapi.json").text))

    assert len(types) > 10
    assert {code for code in types if f'id="{code}"' not in page} == set()


NOWHERE = [
    "/nothing",
    "/api",
    "/api/v1",
    "/api/v1/nothing",
    "/api/v2/projects",
    "/.env",
    "//",
    "/docs/assets",
    "/docs/errors/x",
    "/%00",
    "/%F0%9F%9A%80",
    "/" + "a" * 5000,
    "/a/../health",
]


@pytest.mark.parametrize("path", NOWHERE, ids=lambda path: path[:24])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_path_is_answered_with_a_problem(reader: Client, method: str, path: str) -> None:
    if path == "//" and method == "GET":
        assert reader.get(path).status == 302
        return
    answer = reader.send(method, path)

    if path == "//":
        assert_refused(answer, 405, "method_not_allowed")
    else:
        assert_refused(answer, 404, "not_found")


def test_a_head_request_gets_the_answer_of_get_without_the_body(reader: Client) -> None:
    answer = reader.send("HEAD", "/docs")

    assert (answer.status, answer.raw) == (200, b"")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
