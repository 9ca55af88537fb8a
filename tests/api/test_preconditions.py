"""ETag and If-Match: a caller with an outdated version changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from slipway.aws import template_bodies
from slipway.domain import timestamps
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.store import environment_records, table
from slipway.store.table import Update
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.store import world
from tests.support.store.cloudformation import CloudFormation

OTHERS = {
    "an older version": '"1"',
    "a later version": '"99"',
    "a weak tag": 'W/"2"',
    "no quotes": "2",
    "several other tags": '"1", W/"2", "3"',
    "a star among tags": '*, "2"',
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


@pytest.mark.parametrize("tag", ['"2"', "*", ' "2" ', '"1", "2"', ',"x,y" ,W/"9",\t"2",'])
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
    other = f"{BODY}# other"
    replaced = ann.with_headers(if_match=draft).send("PUT", DRAFT, other, media="application/yaml")
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


# --- If-None-Match ------------------------------------------------------------------------------

KNOWN = ['"2"', 'W/"2"', "*", '"1", W/"2"', ' "2" ']


@pytest.mark.parametrize("tag", KNOWN)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_caller_has_is_not_sent_again(
    ann: Client, seen_twice: str, method: str, tag: str
) -> None:
    full = ann.get(seen_twice)
    answer = ann.with_headers(if_none_match=tag).send(method, seen_twice)

    assert (answer.status, answer.raw) == (304, b"")
    assert answer.headers["etag"] == full.headers["etag"] == '"2"'
    assert answer.headers["cache-control"] == full.headers["cache-control"]
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("tag", ['"1"', 'W/"3"', "2", "", '"2" "2"'])
def test_what_the_caller_does_not_have_is_sent(ann: Client, seen_twice: str, tag: str) -> None:
    answer = ann.with_headers(if_none_match=tag).get(seen_twice)

    assert (answer.status, answer.raw) == (200, ann.get(seen_twice).raw)


@pytest.mark.parametrize("path", ["/api/v1/auth/me", "/health"])
def test_every_object_with_an_etag_can_be_asked_for_changes(ann: Client, path: str) -> None:
    tag = ann.get(path).headers["etag"]

    assert ann.with_headers(if_none_match=tag).get(path).status == 304
    assert ann.with_headers(if_none_match='"other"').get(path).status == 200


@pytest.mark.parametrize("tag,status", [('"2"', 200), ("*", 200), ('"1"', 412), ('W/"2"', 412)])
def test_a_read_heeds_if_match(ann: Client, seen_twice: str, tag: str, status: int) -> None:
    answer = ann.with_headers(if_match=tag).get(seen_twice)

    assert answer.status == status
    if status == 412:
        assert_refused(answer, 412, "precondition_failed")


def test_if_match_is_looked_at_before_if_none_match(ann: Client, seen_twice: str) -> None:
    both = ann.with_headers(if_match='"1"', if_none_match='"2"')

    assert both.get(seen_twice).status == 412


def test_nobody_learns_from_an_etag_what_they_may_not_see(bob: Client, seen_twice: str) -> None:
    assert_refused(bob.with_headers(if_none_match="*").get(seen_twice), 404, "not_found")


@pytest.mark.parametrize("tag", ["*", '"2"', 'W/"2"', '"1", "2"'])
def test_a_change_of_what_the_caller_already_knows_can_be_refused(
    ann: Client, seen_twice: str, tag: str
) -> None:
    knowing = ann.with_headers(if_none_match=tag)

    with nothing_changes():
        answers = [knowing.patch(seen_twice, {"name": "late"}), knowing.delete(seen_twice)]

    for answer in answers:
        assert_refused(answer, 412, "precondition_failed")


def test_a_change_of_another_version_is_carried_out(ann: Client, seen_twice: str) -> None:
    assert ann.with_headers(if_none_match='"1"').patch(seen_twice, {"name": "new"}).status == 200


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_failure_stays_a_failure_with_any_precondition(ann: Client, method: str) -> None:
    careful = ann.with_headers(if_match="*", if_none_match="*")

    answer = careful.send(method, "/api/v1/projects/prj_00000000000000000000")

    assert_refused(answer, 404, "not_found")


def test_a_head_has_the_headers_of_a_get(ann: Client, seen_twice: str) -> None:
    full, head = ann.get(seen_twice), ann.send("HEAD", seen_twice)
    missing = ann.send("HEAD", "/api/v1/projects/prj_00000000000000000000")

    assert (head.status, head.raw, missing.status) == (200, b"", 404)
    assert head.headers["content-length"] == str(len(full.raw))
    assert head.headers == {**full.headers, "content-length": str(len(full.raw))}


def test_an_overdue_environment_has_another_etag_until_its_end_is_written(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.environment(project, ann.principal, ttl_hours=0.2)
    path = f"/api/v1/environments/{made}"
    before = ann.get(path)
    later = timestamps.now() + timedelta(hours=2)
    monkeypatch.setattr(timestamps, "now", lambda: later)

    overdue = ann.with_headers(if_none_match=before.headers["etag"]).get(path)
    again = ann.with_headers(if_none_match=overdue.headers["etag"]).get(path)
    outdated = ann.with_headers(if_match=before.headers["etag"]).delete(path)
    current = ann.with_headers(if_match=overdue.headers["etag"]).delete(path)

    assert (overdue.status, overdue.json["status"]) == (200, "expiring")
    assert overdue.json["version"] == before.json["version"]
    assert again.status == 304
    assert_refused(outdated, 412, "precondition_failed")
    assert (current.status, current.json["status"]) == (202, "tearing_down")
    assert len({each.headers["etag"] for each in (before, overdue, current)}) == 3


def test_a_late_step_of_a_teardown_changes_nothing_that_is_shown(
    ann: Client, environment: EnvironmentId
) -> None:
    registers_a_resource(environment)
    for state in ("tearing_down", "teardown_failed"):
        world.becomes(environment, state, failure={"error": "DriverRefused", "reason": "held"})
    before = ann.get(f"/api/v1/environments/{environment}")

    environment_records.deregister(environment, "service")
    environment_records.record_remaining(environment, {"service: Data (AWS::S3::Bucket, x)"})

    after = ann.get(f"/api/v1/environments/{environment}")
    assert before.json["failure"]["remaining_resources"] == ["service"]
    assert (after.raw, after.headers["etag"]) == (before.raw, before.headers["etag"])


def registers_a_resource(environment: EnvironmentId) -> None:
    """The environment has one registered resource."""
    change = Update(
        environment_records.key(environment), "SET resources = :it", {"it": {"service"}}
    )
    table.write(change)
