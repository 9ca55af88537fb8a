"""The headers of every response, CORS, and links that no header of a request can change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from slipway.domain.ids import DeploymentId
from slipway.domain.pictures import MEDIA, POLICY
from slipway.http import headers
from slipway.settings import settings
from slipway.store import sessions, table
from slipway.store.table import Put
from tests.support.api.client import HOST, Answer, Client, call, event
from tests.support.api.people import PASSWORD, Stage
from tests.support.api.registering import (
    INVITATIONS,
    NEW,
    REGISTER,
    administrator,
    quick_passwords,
    with_mail,
)
from tests.support.api.routes import PATHS, filled, ids_of
from tests.support.repository import ROOT, template

PORTAL = "https://portal.example.com"
HTML = "text/html; charset=utf-8"
# Signing out would end the session that all tests share.
ROUTES = sorted(
    (method, path) for path, methods in PATHS.items() for method in methods if "/logout" not in path
)
UNKNOWN = [("GET", "/nothing"), ("POST", "/api/v1/projects/x/y/z"), ("DELETE", "/docs")]
FORGED = {
    "host": "evil.example",
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "gopher",
    "x-forwarded-port": "666",
    "x-forwarded-server": "evil.example",
    "x-original-url": "https://evil.example/x",
    "x-rewrite-url": "/evil.example",
    "forwarded": "for=1.2.3.4;host=evil.example;proto=gopher",
    "referer": "https://evil.example/",
    "origin": "https://evil.example",
}


@pytest.fixture(autouse=True)
def _ann_exists(stage: Stage) -> None:
    """Other tests of this module empty the table, and a user who is gone is refused everything."""
    account = {"id": stage.ann.user_id, "email": "ann@example.com", "status": "active"}
    table.write(Put(sessions.account_key(stage.ann.user_id), account, condition=None))


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch, stage: Stage) -> Iterator[None]:
    """A stack whose CorsOrigins names two origins."""
    monkeypatch.setenv("CORS_ORIGINS", f"http://localhost:5173,{PORTAL}")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch, aws: None) -> Iterator[str]:
    """A stack with a PublicUrl."""
    monkeypatch.setenv("PUBLIC_URL", "http://slipway.example.com:8000")
    settings.cache_clear()
    yield "http://slipway.example.com:8000"
    settings.cache_clear()


def answers(client: Client, stage: Stage, method: str, path: str) -> list[Answer]:
    """An answer with what is there, one to nobody, one to a wrong body, one of a wrong method."""
    where = filled(path, ids_of(stage))
    wrong = "PUT" if method == "GET" else "GET"
    found = [
        client.send(method, where, "no JSON at all", media="text/plain"),
        Client(headers=client.headers).send(method, where, "{"),
        client.send(wrong, where),
        client.send("OPTIONS", where),
    ]
    if method == "GET":
        found += [client.get(where), client.send("HEAD", where), client.get(where, limit="-1")]
    return found


def assert_protected(answer: Answer) -> None:
    sent = answer.headers
    assert sent["x-content-type-options"] == "nosniff"
    assert sent["x-frame-options"] == "DENY"
    assert sent["referrer-policy"] == "no-referrer"
    assert sent["cross-origin-opener-policy"] == "same-origin"
    assert sent["cross-origin-resource-policy"] == "same-origin"
    assert sent["strict-transport-security"] == "max-age=31536000"
    policy = sent["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy and "unsafe" not in policy
    if sent.get("content-type") != HTML:
        is_picture = sent.get("content-type") == MEDIA
        assert policy == (POLICY if is_picture else headers.NOTHING)
    assert "access-control-allow-credentials" not in sent


@pytest.mark.parametrize(("method", "path"), [*ROUTES, *UNKNOWN])
def test_every_response_of_every_route_has_the_security_headers(
    stage: Stage, method: str, path: str
) -> None:
    for answer in answers(stage.ann, stage, method, path):
        assert_protected(answer)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_the_answers_that_are_seen_include_success_and_all_common_refusals(stage: Stage) -> None:
    """Else the test above would prove little."""
    seen = {
        answer.status
        for method, path in [*ROUTES, *UNKNOWN]
        for answer in answers(stage.ann, stage, method, path)
    }

    assert {200, 302, 401, 404, 405, 415, 422} <= seen


def test_a_fault_has_the_security_headers_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("slipway.http.binding.bind", broken)

    answer = stage.ann.get("/api/v1/projects")

    assert answer.status == 500
    assert_protected(answer)


@pytest.mark.parametrize(("method", "path"), [*ROUTES, *UNKNOWN])
def test_nothing_but_documents_and_assets_may_be_stored(
    stage: Stage, method: str, path: str
) -> None:
    for answer in answers(stage.ann, stage, method, path):
        kept = answer.headers["cache-control"]
        if path in ("/openapi.json", "/docs/assets/<name>") and answer.status == 200:
            assert kept.startswith("public, max-age=")
        elif answer.headers.get("content-type") == HTML:
            assert kept == "no-cache"
        else:
            assert kept == "no-store", answer


def test_a_response_with_a_token_is_not_stored(aws: None) -> None:
    who = {"email": "cas@example.com", "password": "correct horse battery"}
    made = Client().post("/api/v1/auth/register", who)
    signed_in = Client().form(
        "/api/v1/auth/login", {"username": who["email"], "password": who["password"]}
    )

    assert (made.status, signed_in.status) == (201, 200)
    assert "access_token" in signed_in.json
    assert signed_in.headers["cache-control"] == made.headers["cache-control"] == "no-store"


def test_https_is_demanded_only_where_the_platform_is_reached_by_https(
    ann: Client, public: str
) -> None:
    assert "strict-transport-security" not in ann.get("/health").headers


# --- CORS -------------------------------------------------------------------------------------


def preflight(client: Client, path: str, origin: str, method: str = "PATCH") -> Answer:
    asked = client.with_headers(
        origin=origin,
        access_control_request_method=method,
        access_control_request_headers="authorization,content-type,if-match",
    )
    return asked.send("OPTIONS", path)


FOREIGN = [
    "https://evil.example",
    "null",
    "",
    "*",
    PORTAL + ".evil.example",
    PORTAL + ":8443",
    PORTAL + "/",
    PORTAL.upper(),
    "http://portal.example.com",
    "https://evil.portal.example.com",
    f"{PORTAL},https://evil.example",
    f"{PORTAL} https://evil.example",
    f"http://localhost:5173,{PORTAL}",
    "http://localhost",
]


@pytest.mark.parametrize(("method", "path"), [*ROUTES, *UNKNOWN])
def test_an_allowed_origin_may_read_every_response(
    stage: Stage, portal: None, method: str, path: str
) -> None:
    for answer in answers(stage.ann.with_headers(origin=PORTAL), stage, method, path):
        assert_protected(answer)
        assert answer.headers["access-control-allow-origin"] == PORTAL
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("path", sorted(PATHS))
def test_an_allowed_origin_may_ask_for_the_methods_of_a_path(
    stage: Stage, portal: None, path: str
) -> None:
    answer = preflight(Client(), filled(path, ids_of(stage)), PORTAL)

    assert (answer.status, answer.raw) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == PORTAL
    methods = set(answer.headers["access-control-allow-methods"].split(", "))
    assert methods >= PATHS[path]
    assert answer.headers["access-control-max-age"] == "7200"
    assert_protected(answer)


@pytest.mark.parametrize("origin", FOREIGN)
def test_another_origin_may_read_nothing_and_ask_for_nothing(
    stage: Stage, portal: None, origin: str
) -> None:
    asked = preflight(stage.ann, "/api/v1/projects", origin, "POST")
    read = stage.ann.with_headers(origin=origin).get("/api/v1/projects")

    assert (asked.status, asked.json["code"]) == (405, "method_not_allowed")
    assert read.status == 200
    for answer in (asked, read):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", [PORTAL, *FOREIGN])
def test_without_cors_origins_no_page_of_another_origin_may_read_anything(
    stage: Stage, origin: str
) -> None:
    asked = preflight(stage.ann, "/api/v1/projects", origin, "POST")
    read = stage.ann.with_headers(origin=origin).get("/api/v1/projects")

    assert (asked.status, read.status) == (405, 200)
    for answer in (asked, read):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert "vary" not in answer.headers


def test_options_without_a_preflight_is_refused_as_any_other_method(
    stage: Stage, portal: None
) -> None:
    answer = stage.ann.with_headers(origin=PORTAL).send("OPTIONS", "/api/v1/projects")

    assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")


def test_a_compressed_asset_varies_with_both_headers(stage: Stage, portal: None) -> None:
    answer = Client().get("/docs/assets/swagger-ui.css")

    assert answer.headers["vary"] == "Accept-Encoding, Origin"


def test_pages_may_read_every_header_that_the_api_documents(stage: Stage) -> None:
    document = json.loads((ROOT / "functions/api/docs/openapi.json").read_text())
    responses = [
        answer
        for operations in document["paths"].values()
        for operation in operations.values()
        if isinstance(operation, dict)
        for answer in operation.get("responses", {}).values()
    ]
    responses += document["components"].get("responses", {}).values()
    documented = {name for answer in responses for name in answer.get("headers", {})}
    of_errors = (ROOT / "layers/core/slipway/errors/__init__.py").read_text()
    documented |= set(re.findall(r'return \{"([A-Z][\w-]+)":', of_errors))

    exposed = set(headers.EXPOSED.split(", "))
    assert {"ETag", "Link", "Location", "Retry-After", "RateLimit", "RateLimit-Policy"} <= exposed
    assert {"ETag", "Link", "Location", "Allow", "Retry-After"} <= documented
    assert documented <= exposed


def test_pages_may_send_every_header_that_the_api_reads() -> None:
    sources = [*(ROOT / "layers/core/slipway").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]
    read = {
        name
        for source in sources
        # The console is no API: it sends to it.
        if "console" not in source.relative_to(ROOT).parts
        for name in re.findall(r'headers"?\]?\.get\(\s*"([a-z-]+)"', source.read_text())
    }

    sendable = {name.strip().lower() for name in headers.ASKABLE.split(",")}
    # Browsers set these themselves.
    assert read - {"origin", "accept", "accept-encoding", "cookie"} <= sendable
    assert {"authorization", "if-match", "idempotency-key", "content-type"} <= read


# --- links ------------------------------------------------------------------------------------


def links(answer: Answer) -> list[str]:
    """All that looks like an address in a response, without namespaces and documentation."""
    text = json.dumps(answer.headers) + answer.text
    return re.findall(r"\w+://[^\s\"'<>;]+", text)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_header_of_a_request_changes_a_link(stage: Stage, method: str, path: str) -> None:
    if method != "GET":
        return
    where = filled(path, ids_of(stage))

    honest = stage.ann.get(where)
    forged = stage.ann.with_headers(**FORGED).get(where)

    assert forged.status == honest.status
    # A picture of what goes on is another one a moment later.
    moving = ("etag",) if path.endswith(".svg") else ()
    kept = [{k: v for k, v in each.headers.items() if k not in moving} for each in (forged, honest)]
    assert kept[0] == kept[1]
    if "content-encoding" in forged.headers or path.endswith("<name>"):
        return
    assert "evil" not in forged.text + json.dumps(forged.headers)
    assert "gopher" not in forged.text + json.dumps(forged.headers)
    assert links(forged) == links(honest)


def test_no_header_changes_the_links_of_what_is_created(
    ann: Client, deployment: DeploymentId
) -> None:
    forged = ann.with_headers(**FORGED)

    made = forged.post("/api/v1/projects", {"name": "links"})
    forged.post("/api/v1/projects", {"name": "more links"})
    page = forged.get("/api/v1/projects", limit=1)
    shown = forged.get(f"/api/v1/deployments/{deployment}")

    assert made.headers["location"] == f"/api/v1/projects/{made.json['id']}"
    assert page.headers["link"].startswith(f"<https://{HOST}/api/v1/projects?")
    assert shown.json["logs_url"].startswith(f"https://{HOST}/api/v1/deployments/")


def test_links_begin_with_the_public_url_where_there_is_one(
    ann: Client, deployment: DeploymentId, public: str
) -> None:
    forged = ann.with_headers(**FORGED)
    forged.post("/api/v1/projects", {"name": "even more links"})

    page = forged.get("/api/v1/projects", limit=1)
    shown = forged.get(f"/api/v1/deployments/{deployment}")

    assert page.headers["link"].startswith(f"<{public}/api/v1/projects?")
    assert shown.json["logs_url"].startswith(f"{public}/api/v1/deployments/")


def test_a_request_without_a_host_header_gets_the_same_links(
    ann: Client, deployment: DeploymentId
) -> None:
    where = f"/api/v1/deployments/{deployment}"
    request = event("GET", where, headers={"authorization": f"Bearer {ann.token}"})
    del request["headers"]["host"], request["headers"]["x-forwarded-proto"]

    assert call(request).json == ann.get(where).json


def test_no_header_changes_the_links_in_mails(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    quick_passwords(monkeypatch)
    mailbox = with_mail(monkeypatch)
    forged = Client().with_headers(**FORGED)

    forged.post(REGISTER, {"email": NEW, "password": PASSWORD})
    proof = mailbox.link
    administrator().with_headers(**FORGED).post(INVITATIONS, {"email": "other@example.com"})

    assert len(mailbox.mails) == 2
    assert proof.startswith(f"https://{HOST}/docs/")
    assert mailbox.link.startswith(f"https://{HOST}/docs/")


def test_swagger_ui_keeps_no_token() -> None:
    script = (ROOT / "functions/api/docs/assets/start-swagger-ui.js").read_text()

    assert "persistAuthorization: false" in script
    assert "Storage" not in script


PATTERNS = {
    "PublicUrl": {
        "": True,
        "https://slipway.example.com": True,
        "http://127.0.0.1:8000": True,
        "https://slipway.example.com/": False,
        "slipway.example.com": False,
        "https://": False,
        "javascript://x": False,
        "https://a b": False,
    },
    "CorsOrigins": {
        "": True,
        PORTAL: True,
        f"{PORTAL},http://localhost:5173": True,
        "*": False,
        "null": False,
        f"{PORTAL}/": False,
        f"{PORTAL},": False,
        f",{PORTAL}": False,
        f"{PORTAL}, http://localhost": False,
        "https://*.example.com": False,
        PORTAL.upper(): False,
    },
}
VALUES = [(name, value) for name, values in PATTERNS.items() for value in values]


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_the_template_takes_only_origins(name: str, value: str) -> None:
    pattern = template()["Parameters"][name]["AllowedPattern"]

    assert bool(re.fullmatch(pattern, value)) is PATTERNS[name][value]
