"""ETag and If-Match: a caller with an outdated version changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slipway.aws import template_bodies
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.store import world
from tests.support.store.cloudformation import CloudFormation

OTHERS = {
    "an older version": '"1"',
    "a later version": '"99"',
    "a weak tag": 'W/"2"',
    "no quotes": "2",
    "several tags": '"2", "3"',
    "a tag that is not ours": '"abc"',
    "empty": "",
    "a number that is too large": '"' + "9" * 400 + '"',
    "digits of another script": '"\u0662"',
    "negative": '"-1"',
}
every_other = pytest.mark.parametrize("tag", OTHERS.values(), ids=OTHERS.keys())


@pytest.fixture
def seen_twice(ann: Client, project: ProjectId) -> str:
    """A project in its version 2."""
    path = f"/api/v1/projects/{project}"
    assert ann.patch(path, {"description": "second"}).headers["etag"] == '"2"'
    return path


@every_other
def test_a_project_is_changed_only_with_its_current_etag(
    ann: Client, seen_twice: str, tag: str
) -> None:
    late = ann.with_headers(if_match=tag)

    with nothing_changes():
        answers = [late.patch(seen_twice, {"name": "late"}), late.delete(seen_twice)]

    for answer in answers:
        assert_refused(answer, 412, "precondition_failed")


@every_other
@pytest.mark.parametrize("force", ["false", "true"])
def test_an_environment_is_deleted_only_with_its_current_etag(
    ann: Client, environment: EnvironmentId, tag: str, force: str
) -> None:
    late = ann.with_headers(if_match=tag)

    with nothing_changes():
        answer = late.delete(f"/api/v1/environments/{environment}", force=force)

    assert_refused(answer, 412, "precondition_failed")


@pytest.mark.parametrize("tag", ['"2"', "*", ' "2" '])
def test_the_current_etag_allows_a_change(ann: Client, seen_twice: str, tag: str) -> None:
    answer = ann.with_headers(if_match=tag).patch(seen_twice, {"name": "third"})

    assert (answer.status, answer.headers["etag"]) == (200, '"3"')


def test_the_current_etag_allows_a_deletion(
    ann: Client, seen_twice: str, environment: EnvironmentId
) -> None:
    path = f"/api/v1/environments/{environment}"
    seen = ann.with_headers(if_match=ann.get(path).headers["etag"])
    assert seen.delete(path).json["status"] == "tearing_down"
    world.is_destroyed(environment)

    assert ann.with_headers(if_match='"2"').delete(seen_twice).status == 204


DRAFT = "/api/v1/templates/web/versions/1.0"
BODY = "Resources: {Jobs: {Type: AWS::SQS::Queue}}"


@pytest.fixture
def draft(ann: Client, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tag of a draft of a template."""
    monkeypatch.setattr(template_bodies, "_cloudformation", CloudFormation)
    assert ann.post("/api/v1/templates", {"name": "web"}).status == 201
    assert ann.send("POST", DRAFT.rpartition("/")[0], BODY, media="application/yaml").status == 201
    return ann.get(DRAFT).headers["etag"]


def changes(who: Client) -> Iterator[Answer]:
    yield who.send("PUT", DRAFT, f"{BODY}# mine", media="application/yaml")
    yield who.post(f"{DRAFT}/publish")
    yield who.post(f"{DRAFT}/deprecate")
    yield who.delete(DRAFT)


@every_other
def test_a_draft_is_changed_only_with_its_current_etag(ann: Client, draft: str, tag: str) -> None:
    with nothing_changes():
        answers = [*changes(ann.with_headers(if_match=tag))]

    for answer in answers:
        assert_refused(answer, 412, "precondition_failed")


def test_the_current_etag_of_a_draft_allows_a_change(ann: Client, draft: str) -> None:
    replaced = ann.with_headers(if_match=draft).send("PUT", DRAFT, BODY, media="application/yaml")
    late = ann.with_headers(if_match=draft)
    for answer in changes(late):
        assert_refused(answer, 412, "precondition_failed")
    seen = ann.with_headers(if_match=f" {replaced.headers['etag']} ")

    published = seen.post(f"{DRAFT}/publish")

    assert (replaced.status, published.status) == (200, 200)
    assert_refused(seen.post(f"{DRAFT}/deprecate"), 412, "precondition_failed")
    seen = ann.with_headers(if_match=published.headers["etag"])
    assert_refused(seen.delete(DRAFT), 409, "version_fixed")
    assert seen.post(f"{DRAFT}/deprecate").status == 200


@pytest.mark.parametrize("tag", ["seen", "*"])
def test_the_current_etag_of_a_draft_allows_a_deletion(ann: Client, draft: str, tag: str) -> None:
    seen = ann.with_headers(if_match=draft if tag == "seen" else tag)

    assert seen.delete(DRAFT).status == 204
    assert_refused(seen.delete(DRAFT), 404, "not_found")


def test_every_object_has_an_etag_that_changes_with_it(
    ann: Client, deployment: DeploymentId
) -> None:
    path = f"/api/v1/deployments/{deployment}"
    before, again = ann.get(path), ann.get(path)
    world.begins(deployment)
    after = ann.get(path)

    assert before.headers["etag"] == again.headers["etag"] != after.headers["etag"]
    assert ann.get("/api/v1/auth/me").headers["etag"].startswith('"')


def test_a_list_has_no_etag(ann: Client, project: ProjectId) -> None:
    assert "etag" not in ann.get("/api/v1/projects").headers


def test_an_unknown_object_is_not_found_with_any_etag(bob: Client, seen_twice: str) -> None:
    assert_refused(bob.with_headers(if_match='"2"').delete(seen_twice), 404, "not_found")
