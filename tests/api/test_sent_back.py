"""What a GET shows can be sent back, and changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from slipway.domain.resent import Resent
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client, app
from tests.support.api.routes import RESOURCES
from tests.support.api.writable import WRITABLE, Object

# A PUT by external id has tests of its own (test_external_ids), and the other is the function of
# PATCH /api/v1/environments/<environment_id> at a second path.
ELSEWHERE = {
    "PUT /api/v1/projects/<project_id>/environments/by-external-id/<external_id>",
    "PATCH /api/v1/projects/<project_id>/environments/<environment_id>",
}

# Variables go back as files and merge patches (test_variables), and no answer has a secret.
ROUTES = {
    f"{route.method} {route.path}": route
    for resource in RESOURCES
    if resource != "configuration"
    for route in app(resource).api.routes
    if route.method in ("PATCH", "PUT") and route.body
}


@pytest.fixture(params=WRITABLE)
def thing(request: pytest.FixtureRequest, ann: Client) -> Object:
    return WRITABLE[request.param][1](ann)


@pytest.fixture
def read_only(request: pytest.FixtureRequest) -> frozenset[str]:
    """The fields that the route of the thing cannot change."""
    route = ROUTES[WRITABLE[request.node.callspec.params["thing"]][0]]
    assert route.body and issubclass(route.body, Resent)
    found: frozenset[str] = route.body.read_only_fields(route.shown)
    return found


def test_every_object_with_a_writable_form_is_tried() -> None:
    assert {route for route, _ in WRITABLE.values()} | ELSEWHERE == set(ROUTES)
    assert all(route.body and issubclass(route.body, Resent) for route in ROUTES.values())


def test_what_is_shown_can_be_sent_back_and_changes_nothing(thing: Object) -> None:
    seen = thing.read()

    with nothing_changes():
        answer = thing.write(seen.json)

    assert (answer.status, answer.json) == (200, seen.json), answer.text
    assert answer.headers["etag"] == seen.headers["etag"] == thing.read().headers["etag"]


def test_it_can_be_sent_back_with_its_etag(thing: Object) -> None:
    seen = thing.read()

    assert thing.write(seen.json, if_match=seen.headers["etag"]).json == seen.json


def as_another_client_writes_it(value: Any) -> Any:
    """The same value: whole numbers as fractions, moments with an offset and microseconds."""
    if isinstance(value, dict):
        return {name: as_another_client_writes_it(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_another_client_writes_it(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and value[:2] == "20" and value.endswith("Z"):
        return datetime.fromisoformat(value).isoformat(timespec="microseconds")
    return value


def test_a_client_may_write_numbers_and_moments_in_its_own_way(thing: Object) -> None:
    seen = thing.read().json

    with nothing_changes():
        answer = thing.write(as_another_client_writes_it(seen))

    assert (answer.status, answer.json) == (200, seen), answer.text


def test_a_client_may_leave_out_what_is_null(thing: Object) -> None:
    seen = thing.read().json

    with nothing_changes():
        answer = thing.write({name: each for name, each in seen.items() if each is not None})

    assert (answer.status, answer.json) == (200, seen), answer.text


def other_than(value: Any) -> Any:
    """Values of the same kind, where there are any, that are not equal to this one."""
    if isinstance(value, bool):
        return [not value, int(value), None]
    if isinstance(value, int | float):
        return [value + 1, True, str(value)]
    if isinstance(value, str):
        later = [value]
        if value[:2] == "20" and value.endswith("Z"):
            later = [(datetime.fromisoformat(value) + timedelta(seconds=1)).isoformat()]
        return [*(each for each in later if each != value), value + "x", "", None]
    if isinstance(value, dict):
        return [{**value, "x": "y"}, {"x": "y"}, []]
    if isinstance(value, list):
        return [[*value, "x"], {"x": "y"}]
    return ["x", 0, False, {"x": 1}]


def test_a_read_only_field_with_another_value_is_refused(
    thing: Object, read_only: frozenset[str]
) -> None:
    seen = thing.read().json
    assert read_only

    with nothing_changes():
        answers = {
            (name, str(other)): thing.write({**seen, name: other})
            for name in sorted(read_only)
            for other in other_than(seen[name])
        }

    for (name, _), answer in answers.items():
        assert_refused(answer, 422, "invalid_request", f"#/{name}")
        assert len(answer.json["errors"]) == 1


def test_every_read_only_field_that_differs_is_named(
    thing: Object, read_only: frozenset[str]
) -> None:
    seen = thing.read().json
    wrong = {**seen, **{name: {"x": "y"} for name in read_only}}

    answer = thing.write(wrong)

    found = {each["pointer"] for each in answer.json["errors"]}
    assert found == {f"#/{name}" for name in read_only}


def test_an_older_copy_is_refused_with_the_fields_that_have_moved_on(ann: Client) -> None:
    project = WRITABLE["a project"][1](ann)
    older = project.read().json
    assert project.write({"description": "newer"}).status == 200

    with nothing_changes():
        answer = project.write(older)

    assert {each["pointer"] for each in answer.json["errors"]} >= {"#/version"}
    assert "read the object again" in answer.json["errors"][0]["detail"]


def test_a_precondition_that_fails_goes_before_a_field_that_differs(ann: Client) -> None:
    project = WRITABLE["a project"][1](ann)

    answer = project.write({**project.read().json, "status": "deleting"}, if_match='"99"')

    assert_refused(answer, 412, "precondition_failed")


def test_a_field_with_another_value_tells_nothing_to_who_may_not_read_it(
    ann: Client, bob: Client
) -> None:
    project = WRITABLE["a project"][1](ann)

    answer = bob.patch(project.path, {"name": "x", "status": "deleting"})

    assert_refused(answer, 404, "not_found")


def test_read_only_fields_alone_are_no_change(ann: Client) -> None:
    environment = WRITABLE["an environment"][1](ann)

    with nothing_changes():
        answer = environment.write({"id": environment.read().json["id"]})

    assert answer.status == 422


def test_what_a_post_makes_has_no_read_only_fields(ann: Client) -> None:
    answer = ann.post("/api/v1/projects", {"name": "new", "status": "active"})

    assert_refused(answer, 422, "invalid_request", "#/status")


def test_a_field_that_has_a_route_of_its_own_names_it(ann: Client) -> None:
    environment = WRITABLE["an environment"][1](ann)

    answer = environment.write({"name": "new", "ttl_hours": 4})

    assert "POST …/extend" in answer.json["errors"][0]["detail"]
