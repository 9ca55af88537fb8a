"""A session that has ended is refused by the next request, on every route."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slipway.access import signing
from slipway.access.principal import Principal
from slipway.http.routes import FORM, Route
from slipway.store import sessions, table
from slipway.store.table import Delete, Update
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client, app, asking
from tests.support.api.people import PASSWORD, Stage, signed_in
from tests.support.api.routes import RESOURCES, filled, ids_of
from tests.support.lambda_environment import as_on_lambda
from tests.support.moto_backend import empty, moto
from tests.support.store import between, world

pytestmark = pytest.mark.no_cover

LOGIN = "/api/v1/auth/login"
LOGOUT = "/api/v1/auth/logout"
EVERYWHERE = "/api/v1/auth/logout-everywhere"
ME = "/api/v1/auth/me"
SIGNED_IN = [
    route for name in RESOURCES for route in app(name).api.routes if route.takes(Principal)
]


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def again(client: Client) -> Client:
    """Another session of the user."""
    answer = Client().post(LOGIN, {"username": "ann@example.com", "password": PASSWORD})
    assert answer.status == 200, answer.json
    return Client(answer.json["access_token"], client.user_id)


def sign_out(ann: Client) -> None:
    assert ann.post(LOGOUT).status == 204


def sign_out_everywhere(ann: Client) -> None:
    assert again(ann).post(EVERYWHERE).status == 204


def disable(ann: Client) -> None:
    change = Update(sessions.account_key(ann.user_id), "SET #status = :it", {"it": "disabled"})
    table.write(change)


def delete(ann: Client) -> None:
    table.write(Delete(sessions.account_key(ann.user_id)))


def change_password(ann: Client) -> None:
    wanted = {"current_password": PASSWORD, "new_password": "correct horse battery"}
    assert again(ann).post("/api/v1/auth/password", wanted).status == 200


ENDINGS: dict[str, tuple[Callable[[Client], None], str]] = {
    "signed out": (sign_out, "session_ended"),
    "signed out everywhere": (sign_out_everywhere, "session_ended"),
    "of a changed password": (change_password, "session_ended"),
    "disabled": (disable, "account_disabled"),
    "deleted": (delete, "unauthenticated"),
}


class Ended:
    """Ann's token of a session that has ended, and the code of the refusal."""

    def __init__(self, stage: Stage, code: str) -> None:
        self.stage = stage
        self.ann = stage.ann
        self.code = code

    def ask(self, route: Route, client: Client | None = None) -> Answer:
        body = None
        if route.method in ("POST", "PUT", "PATCH"):
            body = "a=1" if route.media[0] == FORM else "{}"
        path = filled(route.path, ids_of(self.stage))
        return (client or self.ann).send(route.method, path, body, media=route.media[0])


@pytest.fixture(scope="module", params=ENDINGS)
def ended(request: pytest.FixtureRequest) -> Iterator[Ended]:
    end, code = ENDINGS[request.param]
    with moto(), as_on_lambda():
        empty()
        ann = signed_in("ann@example.com")
        project = world.project(ann.principal)
        environment = world.environment(project, ann.principal)
        world.comes_up(environment)
        deployment = world.deployment(environment, ann.principal)
        answer = ann.with_headers(idempotency_key="k").post("/api/v1/projects", {"name": "once"})
        assert answer.status == 201
        end(ann)
        yield Ended(Stage(ann, project, environment, deployment), code)


@pytest.mark.parametrize("route", SIGNED_IN, ids=name_of)
def test_no_route_serves_an_ended_session(ended: Ended, route: Route) -> None:
    with nothing_changes():
        answer = ended.ask(route)

    assert_refused(answer, 401, ended.code)
    assert answer.headers["www-authenticate"].startswith('Bearer realm="slipway"')


def test_valid_requests_of_an_ended_session_change_nothing(ended: Ended) -> None:
    ids = ids_of(ended.stage)
    requests: list[tuple[str, str, Any]] = [
        ("POST", "/api/v1/projects", {"name": "new"}),
        ("PATCH", "/api/v1/projects/<project_id>", {"name": "new"}),
        ("DELETE", "/api/v1/projects/<project_id>", None),
        ("POST", "/api/v1/templates", {"name": "new"}),
        (
            "POST",
            "/api/v1/environments/projects/<project_id>",
            {"name": "new", "type": "ephemeral"},
        ),
        ("DELETE", "/api/v1/environments/<environment_id>", None),
        ("POST", "/api/v1/deployments/environments/<environment_id>", {"version": "v2"}),
        ("POST", "/api/v1/deployments/<deployment_id>/cancel", None),
    ]
    for method, path, body in requests:
        text = None if body is None else json.dumps(body)
        for client in (ended.ann, ended.ann.with_headers(idempotency_key="new")):
            with nothing_changes():
                answer = client.send(method, filled(path, ids), text)

            assert_refused(answer, 401, ended.code)


def test_an_answer_is_not_replayed_to_an_ended_session(ended: Ended) -> None:
    client = ended.ann.with_headers(idempotency_key="k")

    for body in ({"name": "once"}, {"name": "another"}):
        with nothing_changes():
            answer = client.post("/api/v1/projects", body)

        assert_refused(answer, 401, ended.code)
        assert "idempotent-replayed" not in answer.headers


def test_every_route_serves_a_session_that_has_not_ended(stage: Stage) -> None:
    live = Ended(stage, "")
    ends = (LOGOUT, EVERYWHERE)

    for route in SIGNED_IN:
        if route.path not in ends and route.method != "DELETE":
            assert live.ask(route).status != 401, name_of(route)


# --- what ends, and what does not -------------------------------------------------------------


def test_signing_out_ends_one_session(ann: Client) -> None:
    other = again(ann)

    assert ann.post(LOGOUT).status == 204

    assert_refused(ann.get(ME), 401, "session_ended")
    assert_refused(ann.post(LOGOUT), 401, "session_ended")
    assert other.get(ME).status == 200
    assert again(ann).get(ME).status == 200


def test_signing_out_everywhere_ends_every_session_of_the_user_alone(
    ann: Client, bob: Client
) -> None:
    others = [ann, again(ann), again(ann)]

    assert again(ann).post(EVERYWHERE).status == 204

    for each in others:
        assert_refused(each.get(ME), 401, "session_ended")
    assert bob.get(ME).status == 200


def test_a_sign_in_in_the_same_second_works_and_the_old_token_does_not(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr("slipway.access.signing.time.time", lambda: now)
    before = again(ann)
    for _ in range(3):
        assert before.post(EVERYWHERE).status == 204

        after = again(ann)

        assert_refused(before.get(ME), 401, "session_ended")
        assert after.get(ME).status == 200
        before = after


def test_the_end_of_a_session_is_kept_until_its_token_expires(ann: Client) -> None:
    ann.post(LOGOUT)

    [item] = [each for each in world.everything() if each["sk"]["S"].startswith("FAMILY#")]

    assert 890 < int(item["ttl"]["N"]) - time.time() < 910


def test_a_disabled_user_cannot_sign_in_with_the_right_password(ann: Client) -> None:
    disable(ann)

    answer = Client().post(LOGIN, {"username": "ann@example.com", "password": PASSWORD})
    wrong = Client().post(LOGIN, {"username": "ann@example.com", "password": "wrong-guess"})

    assert_refused(answer, 401, "account_disabled")
    assert_refused(wrong, 401, "wrong_credentials")


def test_what_began_before_the_end_may_finish_and_what_begins_later_may_not(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A create that has read nothing of the project checks the session in its transaction too."""

    def meanwhile() -> None:
        by = asking.set("")
        disable(ann)
        asking.reset(by)

    between.first(monkeypatch, "TransactWriteItems", meanwhile)

    answer = ann.post("/api/v1/projects", {"name": "late"})

    assert_refused(answer, 401, "account_disabled")
    names = [item.get("name", {}).get("S") for item in world.everything()]
    assert "late" not in names


def test_checking_the_session_costs_no_round_trip(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann.get(ME)
    made = between.counted(monkeypatch)

    ann.get(ME)
    ann.get("/api/v1/projects")
    # A creation reads the account for its audit entry, which names the caller, and then writes.
    ann.post("/api/v1/projects", {"name": "one"})

    assert len(made) == 4


def test_a_token_of_another_generation_or_of_an_unknown_user_is_refused(ann: Client) -> None:
    future = Client(signing.mint(ann.user_id, 7).access_token, ann.user_id)
    unknown = Client(signing.mint("usr_01kaq3h5x0c2m9f7r4tz").access_token)

    assert_refused(future.get(ME), 401, "session_ended")
    assert_refused(unknown.get(ME), 401, "unauthenticated")


def test_all_routes_are_meant() -> None:
    assert len(SIGNED_IN) > 30
    anonymous = "login|register|jwks"
    assert not [each.path for each in SIGNED_IN if re.search(anonymous, each.path)]
