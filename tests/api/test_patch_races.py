"""Two callers change one object: nobody who sent no precondition is told that one failed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest

from tests.support.api.checks import assert_refused
from tests.support.api.client import Answer, Client
from tests.support.api.writable import WRITABLE, Object
from tests.support.store import between

ONE_EACH = [
    "a project",
    "a member",
    "a trust",
    "a user",
    "a template",
    "an environment",
    "a pipeline",
]


def stages(name: str) -> dict[str, Any]:
    """A pipeline of one stage."""
    return {"stages": [{"name": name, "environment_ids": [], "rules": {"min_soak": 0}}]}


# Two changes of each that both callers may make, one after the other.
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a project": ({"description": "one"}, {"labels": {"other": "x"}}),
    "a member": ({"role": "deployer"}, {"overrides": {"staging": "viewer"}}),
    "a trust": ({"name": "one"}, {"scopes": ["read", "deploy"]}),
    "a user": ({"platform_role": "publisher"}, {"platform_role": "admin"}),
    "a template": ({"description": "one"}, {"description": "other"}),
    "an environment": ({"name": "one"}, {"labels": {"other": "x"}}),
    # The whole is written at once.
    "a pipeline": (stages("one"), stages("other")),
}
# Two values of a field, to change it again and again.
VALUES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a project": ({"description": "up"}, {"description": "down"}),
    "a member": ({"role": "maintainer"}, {"role": "viewer"}),
    "a trust": ({"name": "up"}, {"name": "down"}),
    "a user": ({"platform_role": "publisher"}, {"platform_role": "member"}),
    "a template": ({"description": "up"}, {"description": "down"}),
    "an environment": ({"config": {"x": "up"}}, {"config": {"x": "down"}}),
    "a pipeline": (stages("up"), stages("down")),
}


def test_every_object_that_can_be_patched_is_tried() -> None:
    assert {WRITABLE[name][0] for name in ONE_EACH} == {route for route, _ in WRITABLE.values()}
    assert set(CHANGES) == set(VALUES) == set(ONE_EACH)


@pytest.fixture(params=ONE_EACH)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def thing(name: str, ann: Client) -> Object:
    return WRITABLE[name][1](ann)


def writing(thing: Object, body: dict[str, Any]) -> Callable[[], Answer]:
    return lambda: thing.write(body)


def test_both_changes_are_made(name: str, thing: Object, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = CHANGES[name]
    between.first(monkeypatch, "TransactWriteItems", writing(thing, other))

    answer = thing.write(one)

    assert answer.status == 200, answer.text
    shown = thing.read().json
    assert answer.json == shown
    assert {**shown, **other, **one} == shown


def test_changes_at_the_same_time_are_made_or_told_to_come_again(
    name: str, thing: Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = CHANGES[name]
    calls = [writing(thing, body) for body in (one, other) * 3]

    answers = between.at_once(monkeypatch, *calls)

    for answer in answers:
        assert isinstance(answer, Answer), answer
        assert answer.status in (200, 429), answer.text
        assert answer.status == 200 or answer.headers["retry-after"] == "1"
    assert any(isinstance(each, Answer) and each.status == 200 for each in answers)


def test_what_keeps_changing_is_busy(
    name: str, thing: Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = cycle(VALUES[name])

    def again() -> None:
        between.first(monkeypatch, "TransactWriteItems", change)

    def change() -> None:
        assert thing.write(next(values)).status == 200
        again()

    again()
    answer = thing.write(CHANGES[name][1])

    assert_refused(answer, 429, "busy")
    assert answer.headers["retry-after"] == "1"


def test_a_precondition_that_no_longer_holds_is_412(
    name: str, thing: Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = CHANGES[name]
    seen = thing.read().headers["etag"]
    between.first(monkeypatch, "TransactWriteItems", writing(thing, other))

    answer = thing.write(one, if_match=seen)

    assert_refused(answer, 412, "precondition_failed")
