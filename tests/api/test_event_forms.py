"""The handlers answer events of API Gateway and of SAM CLI alike, in any case of a header."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.domain.ids import ProjectId
from slipway.http.routes import EtagPredicate, IfMatch, Route
from slipway.settings import settings as slipway_settings
from tests.support.api.client import FORM, JSON, Answer, Client, app, call, event
from tests.support.api.people import PASSWORD, Stage
from tests.support.event_forms import Event, as_sam_sends, recased

FUNCTIONS = (
    *("auth", "people", "projects", "templates", "environments", "inspection", "deployments"),
    *("configuration", "confirmations", "promotions", "runtime", "docs"),
)
# Signing out ends the session in one form, so that the others are refused.
ROUTES = [
    route for name in FUNCTIONS for route in app(name).api.routes if "/logout" not in route.path
]
FORMS: dict[str, Callable[[Event], Event]] = {
    "SAM CLI": as_sam_sends,
    "upper case": lambda request: recased(request, str.upper),
    "mixed case": lambda request: recased(request, str.swapcase),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@pytest.fixture(autouse=True)
def _public_url(monkeypatch: pytest.MonkeyPatch, stage: Stage) -> Iterator[None]:
    """Links come from PublicUrl: SAM CLI's own name is "localhost" without a port."""
    monkeypatch.setenv("PUBLIC_URL", "http://127.0.0.1:3000")
    slipway_settings.cache_clear()
    yield
    slipway_settings.cache_clear()


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def changes_nothing(route: Route, stage: Stage) -> Event:
    """A request that the route reads to the end and that changes nothing.

    Bodies have a field that no model has, If-Match has a tag that matches nothing; a route that
    takes neither is asked for an object that does not exist.
    """
    harmless = route.method == "GET" or route.body or takes_a_tag(route)
    names = {
        "project_id": str(stage.project),
        "environment_id": str(stage.environment),
        "deployment_id": str(stage.deployment),
        "trust_id": stage.trust,
        "name": "swagger-ui.css",
    }
    path = re.sub(r"<(\w+)>", lambda it: names.get(it[1], "1.0") if harmless else "x", route.path)
    headers = {
        "authorization": f"Bearer {stage.ann.token}",
        "if-match": '"999"',
        "idempotency-key": "the same for all",
        "accept-encoding": "gzip",
        "content-type": route.media[0],
    }
    body = None
    if route.method in ("POST", "PUT", "PATCH"):
        body = "no_such_field=1" if route.media[0] == FORM else '{"no_such_field": 1}'
    return event(route.method, path, "", headers, body)


def takes_a_tag(route: Route) -> bool:
    return route.takes(IfMatch) or route.takes(EtagPredicate)


def sent(
    ann: Client,
    form: Callable[[Event], Event],
    method: str,
    path: str,
    body: str | None = None,
    **headers: str,
) -> Answer:
    """Ann's request in this form; `if_match=…` is the header If-Match."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named = {"authorization": f"Bearer {ann.token}", "content-type": JSON} | named
    return call(form(event(method, path, "", named, body)))


# --- every route ----------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_every_route_answers_the_same_in_every_form(stage: Stage, route: Route) -> None:
    request = changes_nothing(route, stage)

    expected = call(request)

    assert {name: call(form(request)) for name, form in FORMS.items()} == dict.fromkeys(
        FORMS, expected
    )
    # It got as far as the request allows: the token, the media type and the tag were read.
    assert expected.status not in (401, 415)
    # There is neither a template nor an environment with an external id.
    nothing = "template" in route.path or "external_id" in route.path
    if takes_a_tag(route) and route.method == "DELETE":
        assert expected.status == (404 if nothing else 412)


@settings(
    max_examples=120,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(route=st.sampled_from(ROUTES), upper=st.integers(0, 2**40 - 1))
def test_any_case_of_any_name_gets_the_same_answer(stage: Stage, route: Route, upper: int) -> None:
    request = changes_nothing(route, stage)

    def any_case(name: str) -> str:
        return "".join(
            char.upper() if upper >> (n + 7 * len(name)) % 40 & 1 else char
            for n, char in enumerate(name)
        )

    assert call(recased(request, any_case)) == call(request)


# --- what each header is for ----------------------------------------------------------------


@every_form
def test_a_project_is_created_and_found_again(ann: Client, form: Callable[[Event], Event]) -> None:
    made = sent(ann, form, "POST", "/api/v1/projects", '{"name": "payments"}')

    assert made.status == 201
    found = sent(ann, form, "GET", made.headers["location"])
    assert found.json == made.json


@every_form
def test_a_form_signs_in_and_links_are_the_same(
    ann: Client, form: Callable[[Event], Event]
) -> None:
    body = f"username=ann%40example.com&password={PASSWORD}"
    for name in ("one", "two"):
        assert ann.post("/api/v1/projects", {"name": name}).status == 201
    token = Client(
        sent(Client(), form, "POST", "/api/v1/auth/login", body, content_type=FORM).json[
            "access_token"
        ]
    )
    page = call(
        form(
            event(
                "GET",
                "/api/v1/projects",
                "limit=1",
                {"authorization": f"Bearer {token.token}", "host": "slipway.example.com"},
            )
        )
    )

    assert page.status == 200
    assert page.headers["link"].startswith("<http://127.0.0.1:3000/api/v1/projects?limit=1&")


@every_form
def test_a_key_is_carried_out_once_in_every_form_of_event(
    ann: Client, form: Callable[[Event], Event]
) -> None:
    path, body = "/api/v1/projects", '{"name": "payments"}'

    first = sent(ann, lambda same: same, "POST", path, body, idempotency_key="k-1")
    again = sent(ann, form, "POST", path, body, idempotency_key="k-1")

    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    assert again.headers["idempotent-replayed"] == "true"


@every_form
def test_a_tag_that_does_not_match_changes_nothing(
    ann: Client, project: ProjectId, form: Callable[[Event], Event]
) -> None:
    path = f"/api/v1/projects/{project}"

    late = sent(ann, form, "PATCH", path, '{"name": "late"}', if_match='"7"')
    in_time = sent(ann, form, "PATCH", path, '{"name": "in time"}', if_match='"1"')

    assert (late.status, in_time.status) == (412, 200)


@every_form
@pytest.mark.parametrize("encoding,packed", [("gzip, br", True), ("identity", False)])
def test_an_asset_is_sent_in_an_encoding_that_the_caller_accepts(
    ann: Client, form: Callable[[Event], Event], encoding: str, packed: bool
) -> None:
    answer = sent(ann, form, "GET", "/docs/assets/swagger-ui.css", accept_encoding=encoding)

    assert answer.status == 200
    assert ("content-encoding" in answer.headers) is packed
    assert (answer.raw[:2] == b"\x1f\x8b") is packed


def test_an_event_without_headers_is_answered() -> None:
    request: Event = event("GET", "/health")
    del request["headers"]

    assert call(request).json == {"status": "ok"}
