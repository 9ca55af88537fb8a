"""Accept, Accept-Encoding, Content-Type and Content-Encoding: what is sent, and what is taken."""

from __future__ import annotations

import gzip
import json

import pytest

from slipway.domain.ids import DeploymentId
from slipway.http.negotiation import accepts_coding, prefers, weights
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import FORM, Client

ASSET = "/docs/assets/swagger-ui.css"
NDJSON = "application/x-ndjson"

COMPRESSED = {
    "gzip": True,
    "GZIP": True,
    "x-gzip": True,
    "deflate, gzip, br": True,
    "gzip;q=0.001": True,
    "gzip; q=1.000": True,
    "*": True,
    "*;q=0.5": True,
    "identity;q=0, gzip": True,
    "identity;q=0, *": True,
    "identity;q=0.5, gzip;q=0.5": True,
    "gzip;q=0": False,
    "gzip;q=0.000": False,
    "gzip ; Q=0": False,
    "*, gzip;q=0": False,
    "*;q=0": False,
    "identity, gzip;q=0.5": False,
    "identity;q=0": False,
    "br": False,
    "gzipped": False,
    "not-gzip": False,
    "gzip;q=2": False,
    "gzip;q=-1": False,
    "gzip;q=0.0001": False,
    "gzip;q=": False,
    "": False,
}


@pytest.mark.parametrize("header", COMPRESSED, ids=repr)
def test_an_asset_is_compressed_for_callers_who_like_that_best(aws: None, header: str) -> None:
    answer = Client().with_headers(accept_encoding=header).get(ASSET)

    assert answer.status == 200
    assert (answer.headers.get("content-encoding") == "gzip") is COMPRESSED[header]
    assert answer.headers["vary"] == "Accept-Encoding"
    if COMPRESSED[header]:
        assert gzip.decompress(answer.raw) == Client().get(ASSET).raw


def test_without_accept_encoding_nothing_is_compressed() -> None:
    assert not accepts_coding(None, "gzip")


def test_a_header_that_a_proxy_has_folded_is_a_list() -> None:
    assert weights("text/html,application/json;q=0.9, */*;q=0.1") == {
        "text/html": 1,
        "application/json": 0.9,
        "*/*": 0.1,
    }


LINES = {
    NDJSON: True,
    "Application/X-NDJSON": True,
    f"{NDJSON}; charset=utf-8": True,
    f"application/json, {NDJSON}": True,
    f"application/json;q=0.5, {NDJSON};q=0.6": True,
    f"{NDJSON};q=0": False,
    f"application/json, {NDJSON};q=0.5": False,
    f"{NDJSON}s": False,
    "*/*": False,
    "text/plain": False,
    "": False,
}


@pytest.mark.parametrize("header", LINES, ids=repr)
def test_lines_are_for_callers_who_name_them(header: str) -> None:
    assert prefers(header, NDJSON, "application/json") is LINES[header]


def test_the_audit_varies_with_accept(ann: Client) -> None:
    project = ann.post("/api/v1/projects", {"name": "payments"}).headers["location"]
    as_lines = ann.with_headers(accept=NDJSON).get(f"{project}/audit")
    refused = ann.with_headers(accept=f"{NDJSON};q=0").get(f"{project}/audit")

    assert as_lines.headers["content-type"] == NDJSON
    assert refused.headers["content-type"] == "application/json"
    assert as_lines.headers["vary"] == refused.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", ["text/html", "image/png", "application/json;q=0", "nonsense;;"])
def test_json_is_sent_whatever_else_a_caller_accepts(ann: Client, accept: str) -> None:
    picky = ann.with_headers(accept=accept)

    found, missing = picky.get("/api/v1/auth/me"), picky.get("/api/v1/projects/prj_none")

    assert (found.status, found.headers["content-type"]) == (200, "application/json")
    assert_refused(missing, 404, "not_found")


# --- bodies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "media",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/json; charset=us-ascii",
        "application/json; profile=x",
        " application/json ;",
    ],
)
def test_parameters_of_the_content_type_do_not_matter(ann: Client, media: str) -> None:
    body = json.dumps({"name": "payments"})

    assert ann.send("POST", "/api/v1/projects", body, media=media).status == 201


@pytest.mark.parametrize(
    "media",
    [
        "application/json; charset=iso-8859-1",
        "application/json;charset=utf-16",
        "application/json,application/json",
        "text/json",
        "application/jsonp",
        "",
    ],
)
def test_another_type_or_charset_is_refused(ann: Client, media: str) -> None:
    with nothing_changes():
        answer = ann.send("POST", "/api/v1/projects", json.dumps({"name": "x"}), media=media)

    assert_refused(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip", "aws-chunked"])
def test_a_compressed_body_is_refused_with_what_is_accepted(ann: Client, coding: str) -> None:
    with nothing_changes():
        answer = ann.with_headers(content_encoding=coding).send(
            "POST", "/api/v1/projects", gzip.compress(b'{"name": "x"}')
        )

    assert_refused(answer, 415, "unsupported_content_encoding")
    assert answer.headers["accept-encoding"] == "identity"


def test_a_form_in_another_coding_is_refused_too(aws: None) -> None:
    packed = gzip.compress(b"username=ann%40example.com&password=x")
    answer = (
        Client()
        .with_headers(content_encoding="gzip")
        .send("POST", "/api/v1/auth/login", packed, media=FORM)
    )

    assert_refused(answer, 415, "unsupported_content_encoding")


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_a_body_that_is_sent_as_it_is_may_say_so(ann: Client, coding: str) -> None:
    made = ann.with_headers(content_encoding=coding).post("/api/v1/projects", {"name": "x"})

    assert made.status == 201


# --- headers that change nothing ----------------------------------------------------------------

IGNORED = {
    "range": "bytes=0-3",
    "if-range": '"1"',
    "if-modified-since": "Sun, 29 Nov 2099 00:00:00 GMT",
    "if-unmodified-since": "Thu, 01 Jan 1970 00:00:00 GMT",
    "expect": "100-continue",
    "te": "trailers",
    "accept-charset": "utf-16",
    "accept-language": "de",
    "cache-control": "only-if-cached, no-cache",
    "pragma": "no-cache",
    "max-forwards": "0",
    "x-http-method-override": "DELETE",
    "x-method-override": "DELETE",
    "x-original-method": "DELETE",
    "content-md5": "nonsense",
    "digest": "sha-256=nonsense",
    "from": "evil@example.com",
}


@pytest.mark.parametrize("name", IGNORED)
def test_a_header_that_is_ignored_changes_nothing(
    ann: Client, deployment: DeploymentId, name: str
) -> None:
    path = f"/api/v1/deployments/{deployment}"
    plain = ann.get(path)

    with nothing_changes():
        answer = ann.with_headers(**{name: IGNORED[name]}).get(path)

    assert (answer.status, answer.raw, answer.headers) == (200, plain.raw, plain.headers)
