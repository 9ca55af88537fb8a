"""Labels of projects, environments and deployments."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.domain.ids import EnvironmentId, ProjectId
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client

LABELS = {"team": "payments", "acme.io/cost-centre": "47 11", "empty": ""}


@pytest.fixture(params=["project", "environment", "deployment"])
def creation(
    request: pytest.FixtureRequest, project: ProjectId, environment: EnvironmentId
) -> tuple[str, dict[str, Any]]:
    """The path that creates an object, and a body without labels."""
    made: dict[str, tuple[str, dict[str, Any]]] = {
        "project": ("/api/v1/projects", {"name": "labelled"}),
        "environment": (
            f"/api/v1/environments/projects/{project}",
            {"name": "labelled", "type": "ephemeral"},
        ),
        "deployment": (f"/api/v1/deployments/environments/{environment}", {"version": "v1"}),
    }
    return made[str(request.param)]


def test_an_object_has_the_labels_with_which_it_was_created(
    ann: Client, creation: tuple[str, dict[str, Any]]
) -> None:
    path, body = creation

    made = ann.post(path, {**body, "labels": LABELS})

    assert (made.status, made.json["labels"]) == (201, LABELS)
    assert ann.get(made.headers["location"]).json["labels"] == LABELS
    [listed] = [each for each in ann.get(path).json if each["id"] == made.json["id"]]
    assert listed["labels"] == LABELS


def test_an_object_without_labels_shows_none(
    ann: Client, creation: tuple[str, dict[str, Any]]
) -> None:
    path, body = creation

    made = ann.post(path, {**body, "labels": {}})

    assert made.json["labels"] == {}
    assert ann.get(made.headers["location"]).json["labels"] == {}


WRONG: dict[str, Any] = {
    "an empty key": {"": "x"},
    "a key in upper case": {"Team": "x"},
    "a key that ends in a dot": {"team.": "x"},
    "a key that is too long": {"k" * 64: "x"},
    "a value that is too long": {"team": "x" * 256},
    "a number": {"team": 1},
    "no value": {"team": None},
    "a value that nobody sees": {"team": "a\u202eb"},
    "a value of two lines": {"team": "a\nb"},
    "too many": {f"key-{n}": "x" for n in range(21)},
    "a list": ["team"],
}


@pytest.mark.parametrize("labels", WRONG.values(), ids=WRONG)
def test_labels_that_break_a_rule_are_refused_with_a_pointer(
    ann: Client, creation: tuple[str, dict[str, Any]], labels: Any
) -> None:
    path, body = creation

    with nothing_changes():
        answer = ann.post(path, {**body, "labels": labels})

    pointer = answer.json["errors"][0]["pointer"]
    assert_refused(answer, 422, "invalid_request", pointer)
    assert pointer.startswith("#/labels")


def test_the_longest_labels_are_allowed(ann: Client, project: ProjectId) -> None:
    longest = {f"{n:02d}{'k' * 61}": "ü" * 255 for n in range(20)}

    answer = ann.patch(f"/api/v1/projects/{project}", {"labels": longest})

    assert (answer.status, answer.json["labels"]) == (200, longest)


def test_a_patch_of_a_projects_labels_keeps_those_that_it_omits(
    ann: Client, project: ProjectId
) -> None:
    path = f"/api/v1/projects/{project}"
    assert ann.patch(path, {"labels": LABELS}).json["labels"] == LABELS

    answer = ann.patch(path, {"labels": {"team": "billing", "empty": None, "unknown": None}})

    assert answer.json["labels"] == {"team": "billing", "acme.io/cost-centre": "47 11"}
    assert ann.get(path).json["labels"] == answer.json["labels"]
    [listed] = ann.get("/api/v1/projects").json
    assert listed["labels"] == answer.json["labels"]
    assert ann.patch(path, {"labels": None}).json["labels"] == {}
    assert ann.get("/api/v1/projects").json[0]["labels"] == {}


def test_a_patch_that_would_leave_too_many_labels_is_refused(
    ann: Client, project: ProjectId
) -> None:
    path = f"/api/v1/projects/{project}"
    ann.patch(path, {"labels": {f"key-{n}": "x" for n in range(20)}})

    with nothing_changes():
        answer = ann.patch(path, {"labels": {"one-more": "x"}})

    assert_refused(answer, 422, "invalid_request", "#/labels")
    exchanged = ann.patch(path, {"labels": {"one-more": "x", "key-0": None}})
    assert len(exchanged.json["labels"]) == 20


def test_a_patch_of_labels_that_changes_nothing_writes_nothing(
    ann: Client, project: ProjectId
) -> None:
    path = f"/api/v1/projects/{project}"
    before = ann.patch(path, {"labels": LABELS})

    with nothing_changes():
        answer = ann.patch(path, {"labels": {"team": "payments", "unknown": None}})

    assert (answer.json, answer.headers["etag"]) == (before.json, before.headers["etag"])
