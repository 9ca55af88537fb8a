"""/projects/{id}/environments/by-external-id/{x}: for clients that keep no state."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from slipway.domain import ids, timestamps
from slipway.domain.environment import Status
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.services import environments, external_ids, projects
from slipway.store import environment_records, table
from slipway.store.table import Update
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.store import between, world

X = "github:acme:payments:123"


def at(project: ProjectId, external_id: str = X) -> str:
    """The path, with the external id as it is written in the address."""
    return f"/api/v1/projects/{project}/environments/by-external-id/{external_id}"


def put(client: Client, project: ProjectId, written: str = X, /, **fields: Any) -> Answer:
    body = {"name": "pr-123", "type": "ephemeral", **fields}
    return client.send("PUT", at(project, written), json.dumps(body))


def test_the_first_request_creates_the_environment(ann: Client, project: ProjectId) -> None:
    made = put(ann, project, config={"region": "eu"}, ttl_hours=2)

    assert made.status == 201
    assert made.headers["location"] == f"/api/v1/environments/{made.json['id']}"
    assert made.json["external_id"] == X
    assert (made.json["status"], made.json["ttl_hours"]) == ("provisioning", 2)
    assert made.json["config"] == {"region": "eu"}
    assert ann.get(made.headers["location"]).json == made.json


def test_later_requests_find_the_environment(ann: Client, project: ProjectId) -> None:
    made = put(ann, project)

    with nothing_changes():
        found = put(ann, project)

    assert (found.status, found.json) == (200, made.json)
    assert "location" not in found.headers
    assert found.headers["etag"] == made.headers["etag"]


def test_an_environment_created_by_post_is_found_by_its_external_id(
    ann: Client, project: ProjectId
) -> None:
    made = ann.post(
        f"/api/v1/environments/projects/{project}",
        {"name": "pr-123", "type": "ephemeral", "external_id": X},
    )

    found = put(ann, project)

    assert (made.status, found.status) == (201, 200)
    assert found.json == made.json


def test_the_external_id_comes_from_the_path(ann: Client, project: ProjectId) -> None:
    made = put(ann, project, X)

    assert (made.status, made.json["external_id"]) == (201, X)


def test_an_external_id_in_use_is_a_conflict(ann: Client, project: ProjectId) -> None:
    put(ann, project)

    with nothing_changes():
        second = ann.post(
            f"/api/v1/environments/projects/{project}",
            {"name": "x", "type": "ephemeral", "external_id": X},
        )

    assert_refused(second, 409, "external_id_taken")


def test_another_project_may_use_the_same_external_id(ann: Client, project: ProjectId) -> None:
    other = world.project(ann.principal, "other")

    made = [put(ann, project), put(ann, other)]

    assert [each.status for each in made] == [201, 201]


def test_the_name_of_another_environment_is_a_conflict(ann: Client, project: ProjectId) -> None:
    world.environment(project, ann.principal, "pr-123")

    with nothing_changes():
        assert_refused(put(ann, project), 409, "name_taken")


# As git allows them in the names of branches, and as a caller may name things otherwise.
GOOD = {
    "feature/Login": "feature/Login",
    "feature%2FLogin": "feature/Login",
    "a/b/c/d-1.2_3": "a/b/c/d-1.2_3",
    "fix%2312": "fix#12",
    "what%3F": "what?",
    "50%25-off": "50%-off",
    "a%252Fb": "a%2Fb",
    "%D0%B2%D0%B5%D1%82%D0%BA%D0%B0": "ветка",
    "caf%C3%A9/%F0%9F%9A%80": "café/🚀",
    "a%20b": "a b",
    "a+b,c;d=e&f": "a+b,c;d=e&f",
    "(x)%5By%5D%7Bz%7D%7C%5C%5E%60%3C%3E%22": '(x)[y]{z}|\\^`<>"',
    "dependabot/npm_and_yarn/@types/node-20.1.0": "dependabot/npm_and_yarn/@types/node-20.1.0",
    "...": "...",
    "by-external-id/queue/logs": "by-external-id/queue/logs",
    "x" * 255: "x" * 255,
    "%C3%A9" * 255: "é" * 255,
}


@pytest.mark.parametrize("written", GOOD, ids=lambda written: written[:40])
def test_an_external_id_may_be_any_name_of_a_branch(
    ann: Client, project: ProjectId, written: str
) -> None:
    made = put(ann, project, written)
    found = [put(ann, project, written), ann.get(at(project, written))]
    going = ann.delete(at(project, written))

    assert (made.status, made.json["external_id"]) == (201, GOOD[written])
    assert [(each.status, each.json["id"]) for each in found] == [(200, made.json["id"])] * 2
    assert (going.status, going.json["id"]) == (202, made.json["id"])


def test_a_slash_is_the_same_encoded_and_as_it_is(ann: Client, project: ProjectId) -> None:
    made = put(ann, project, "feature%2Flogin%2Fx")

    assert put(ann, project, "feature/login%2fx").json == made.json
    assert ann.get(at(project, "feature/login/x")).json == made.json


@pytest.mark.parametrize(
    "bad",
    [
        "x" * 256,
        "%F0%9F%9A%80" * 251,
        "a%00b",
        "a%0Ab",
        "a%E2%80%8Bb",
        "%FF%FE",
        "%20a",
        "a%20",
        "a//b",
        "%2Fa",
        "a/../b",
        "./a",
        "..",
    ],
)
def test_a_malformed_external_id_is_refused(ann: Client, project: ProjectId, bad: str) -> None:
    with nothing_changes():
        answers = [ann.get(at(project, bad)), ann.delete(at(project, bad))]
        refused = put(ann, project, bad)

    assert_refused(refused, 422, "invalid_request", "external_id")
    for answer in answers:
        assert_refused(answer, 404, "not_found")


@pytest.mark.parametrize("bad", ["", "x" * 256, "a//b", "/a", "a/", ".", "a\n", "a\u200b", " a"])
def test_a_malformed_external_id_in_a_body_is_refused(
    ann: Client, project: ProjectId, bad: str
) -> None:
    body = {"name": "x", "type": "ephemeral", "external_id": bad}
    with nothing_changes():
        answer = ann.post(f"/api/v1/environments/projects/{project}", body)

    assert_refused(answer, 422, "invalid_request", "#/external_id")


def test_the_external_id_of_the_body_must_be_that_of_the_path(
    ann: Client, project: ProjectId
) -> None:
    with nothing_changes():
        other = put(ann, project, "a", external_id="b")

    assert_refused(other, 422, "invalid_request", "#/external_id")
    assert put(ann, project, "a", external_id="a").status == 201


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_other_methods_are_refused_with_those_that_exist(
    ann: Client, project: ProjectId, method: str
) -> None:
    with nothing_changes():
        answer = ann.send(method, at(project, "feature/x"), "{}")

    assert_refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, PUT"


def test_one_of_two_simultaneous_requests_creates_and_the_other_finds(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[Answer] = []
    between.first(monkeypatch, "TransactWriteItems", lambda: first.append(put(ann, project)))

    second = put(ann, project)

    assert (first[0].status, second.status) == (201, 200)
    assert second.json == first[0].json


def test_exactly_one_of_many_simultaneous_requests_creates(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = world.wanted("pr-123", external_id=X)
    results = between.at_once(
        monkeypatch, *[lambda: environments.ensure(project, X, new, ann.principal)] * 6
    )

    assert [isinstance(each, tuple) for each in results] == [True] * 6
    pairs = [each for each in results if isinstance(each, tuple)]
    assert sum(made for _, made in pairs) == 1
    assert len({found.id for found, _ in pairs}) == 1


def test_an_environment_that_is_never_found_is_answered_as_busy(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(ann, project)
    monkeypatch.setattr(external_ids, "record_of", lambda *_: None)

    answer = put(ann, project)

    assert_refused(answer, 429, "busy")
    assert answer.headers["retry-after"] == "1"


def test_an_external_id_is_free_again_after_the_teardown(ann: Client, project: ProjectId) -> None:
    first = put(ann, project)
    environment = ids.parse_environment(first.json["id"])
    world.is_destroyed(environment)

    second = put(ann, project)

    assert second.status == 201
    assert second.json["id"] != first.json["id"]


def test_an_external_id_is_free_again_after_forgetting(ann: Client, project: ProjectId) -> None:
    first = put(ann, project)
    environment: EnvironmentId = ids.parse_environment(first.json["id"])
    world.becomes(environment, "teardown_failed")
    forgotten = ann.delete(f"/api/v1/environments/{environment}", force="true")

    second = put(ann, project)

    assert (forgotten.status, second.status) == (202, 201)


@pytest.mark.parametrize("status", ["expiring", "tearing_down", "teardown_failed"])
def test_an_environment_that_goes_is_a_conflict_that_says_when_to_try_again(
    ann: Client, project: ProjectId, status: Status
) -> None:
    first = put(ann, project)
    environment = ids.parse_environment(first.json["id"])
    world.becomes(environment, status)

    with nothing_changes():
        answer = put(ann, project)
    seen = ann.get(at(project))
    world.is_destroyed(environment)
    second = put(ann, project)

    assert_refused(answer, 409, "environment_going")
    assert answer.json["environment_status"] == status
    assert 10 <= int(answer.headers["retry-after"]) <= 3600
    assert (seen.status, seen.json["status"]) == (200, status)
    assert (second.status, second.json["id"] != first.json["id"]) == (201, True)


def test_an_environment_whose_time_is_up_is_going(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(ann, project, ttl_hours=1)
    monkeypatch.setattr(timestamps, "now", lambda: datetime.now(UTC) + timedelta(hours=2))

    with nothing_changes():
        answer = put(ann, project, ttl_hours=1)

    assert_refused(answer, 409, "environment_going")


def test_a_failed_teardown_says_when_it_is_tried_again(ann: Client, project: ProjectId) -> None:
    environment = ids.parse_environment(put(ann, project).json["id"])
    soon = timestamps.written(datetime.now(UTC) + timedelta(minutes=5))
    world.becomes(environment, "teardown_failed", next_retry_at=soon)

    assert 290 <= int(put(ann, project).headers["retry-after"]) <= 310


# --- what differs -------------------------------------------------------------------------------

DIFFERENT = {
    "name": "another",
    "type": "persistent",
    "tier": "staging",
    "protected": True,
    "ttl_hours": 3,
    "template": "web@1",
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_from_the_environment_is_refused(
    ann: Client, project: ProjectId, name: str
) -> None:
    made = put(ann, project, config={"region": "eu"}, ttl_hours=2)

    with nothing_changes():
        answer = put(ann, project, **{name: DIFFERENT[name]})

    assert_refused(answer, 409, "environment_differs", f"#/{name}")
    assert answer.json["environment_id"] == made.json["id"]


def test_all_that_differs_is_told(ann: Client, project: ProjectId) -> None:
    put(ann, project)

    answer = put(ann, project, name="another", type="persistent", config={"a": 1})

    assert [each["pointer"] for each in answer.json["errors"]] == ["#/name", "#/type"]
    assert answer.json["errors"][0]["detail"] == 'is "pr-123" there'
    assert ann.get(at(project)).json["config"] is None, "nothing is changed by halves"


def test_what_a_body_does_not_say_is_not_compared(ann: Client, project: ProjectId) -> None:
    made = put(
        ann, project, config={"region": "eu"}, ttl_hours=2, on_conflict="supersede", tier="staging"
    )

    with nothing_changes():
        found = [put(ann, project), put(ann, project, tier=None, ttl_hours=None, ttl=2.0)]

    assert (found[0].status, found[0].json) == (200, made.json)
    assert_refused(found[1], 422, "invalid_request", "#/ttl")
    assert put(ann, project, tier=None, ttl_hours=2.0, config={"region": "eu"}).status == 200


# --- what is changed ----------------------------------------------------------------------------

CHANGED: dict[str, Any] = {
    "on_conflict": "supersede",
    "config": {"commit": "abc1234", "nested": {"b": [1, None]}},
    "labels": {"team": "payments"},
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_does_not_touch_what_runs_is_changed(
    ann: Client, project: ProjectId, name: str
) -> None:
    made = put(ann, project, labels={"a": "b"}, config={"region": "eu"})
    put(ann, project)

    changed = put(ann, project, **{name: CHANGED[name]})
    with nothing_changes():
        again = put(ann, project, **{name: CHANGED[name]})

    assert (changed.status, changed.json[name]) == (200, CHANGED[name])
    moved = {name, "version", "updated_at"}
    assert {key for key, value in made.json.items() if changed.json[key] != value} == moved
    assert changed.json["version"] == made.json["version"] + 1
    assert changed.headers["etag"] != made.headers["etag"]
    assert (again.json, ann.get(at(project)).json) == (changed.json, changed.json)


def test_a_body_can_take_away_what_is_there(ann: Client, project: ProjectId) -> None:
    put(ann, project, labels={"a": "b"}, config={"region": "eu"})

    changed = put(ann, project, labels={}, config=None)

    assert (changed.json["labels"], changed.json["config"]) == ({}, None)
    assert put(ann, project, config={}).json["config"] == {}


def test_a_change_by_a_put_is_audited_as_a_change(ann: Client, project: ProjectId) -> None:
    made = put(ann, project)
    put(ann, project, config={"commit": "abc"})

    [entry, *_] = ann.get(f"/api/v1/projects/{project}/audit").json

    assert (entry["action"], entry["target"]["id"]) == ("environments:change", made.json["id"])
    assert entry["after"]["config"] == {"commit": "abc"}


def test_who_may_create_but_not_change_changes_nothing(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    ann.post(
        f"/api/v1/projects/{project}/members", {"email": "bob@example.com", "role": "deployer"}
    )
    made = put(bob, project, config={"commit": "abc"})

    with nothing_changes():
        refused = put(bob, project, config={"commit": "def"})
        found = put(bob, project, config={"commit": "abc"})

    assert (made.status, found.status) == (201, 200)
    assert_refused(refused, 403, "forbidden")
    assert refused.json["required_role"] == "maintainer"


def test_two_changes_at_once_both_see_the_last_one(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(ann, project)
    between.first(monkeypatch, "TransactWriteItems", lambda: put(ann, project, labels={"a": "b"}))

    answer = put(ann, project, config={"commit": "abc"})

    assert (answer.status, answer.json["config"]) == (200, {"commit": "abc"})
    assert answer.json["labels"] == {"a": "b"}


def test_a_changed_configuration_that_is_too_large_is_refused(
    ann: Client, project: ProjectId
) -> None:
    put(ann, project)

    with nothing_changes():
        answer = put(ann, project, config={"x": "y" * 20_000})

    assert_refused(answer, 422, "invalid_request", "#/config")


# --- preconditions ------------------------------------------------------------------------------


def test_if_none_match_with_a_star_only_creates(ann: Client, project: ProjectId) -> None:
    new = ann.with_headers(if_none_match="*")
    made = put(new, project)

    with nothing_changes():
        again = put(new, project)

    assert made.status == 201
    assert_refused(again, 412, "precondition_failed")


@pytest.mark.parametrize("tag", ["*", '"1"'])
def test_if_match_never_creates(ann: Client, project: ProjectId, tag: str) -> None:
    old = ann.with_headers(if_match=tag)
    with nothing_changes():
        answer = put(old, project)
    put(ann, project)

    assert_refused(answer, 412, "precondition_failed")
    assert put(old, project).status == 200


def test_an_outdated_etag_is_refused(ann: Client, project: ProjectId) -> None:
    put(ann, project)
    late = ann.with_headers(if_match='"7", W/"1"')

    with nothing_changes():
        answers = [put(late, project), late.delete(at(project))]

    for answer in answers:
        assert_refused(answer, 412, "precondition_failed")


def test_a_reader_who_has_it_gets_304(ann: Client, project: ProjectId) -> None:
    tag = put(ann, project).headers["etag"]

    assert ann.with_headers(if_none_match=tag).get(at(project)).status == 304


# --- reading and deleting -----------------------------------------------------------------------


def test_an_environment_is_read_and_deleted_by_its_external_id(
    ann: Client, project: ProjectId
) -> None:
    made = put(ann, project, "feature/x")
    by_id = f"/api/v1/environments/{made.json['id']}"

    assert ann.get(at(project, "feature/x")).json == ann.get(by_id).json
    assert ann.send("HEAD", at(project, "feature/x")).status == 200
    gone = [ann.delete(at(project, "feature/x")), ann.delete(at(project, "feature/x"))]

    assert [(each.status, each.json["status"]) for each in gone] == [(202, "tearing_down")] * 2
    world.is_destroyed(ids.parse_environment(made.json["id"]))
    for answer in (ann.get(at(project, "feature/x")), ann.delete(at(project, "feature/x"))):
        assert_refused(answer, 404, "not_found")
    assert ann.get(by_id).json["status"] == "destroyed"


def test_an_environment_without_an_external_id_is_not_found_by_its_name(
    ann: Client, project: ProjectId
) -> None:
    world.environment(project, ann.principal, "pr-123")

    assert_refused(ann.get(at(project, "pr-123")), 404, "not_found")


def test_nothing_is_found_below_an_environment_by_its_external_id(
    ann: Client, project: ProjectId
) -> None:
    put(ann, project, "feature")

    for below in ("logs", "queue", "events"):
        assert_refused(ann.get(at(project, f"feature/{below}")), 404, "not_found")


def test_a_protected_environment_is_deleted_with_its_name(ann: Client, project: ProjectId) -> None:
    put(ann, project, protected=True)

    with nothing_changes():
        refused = ann.delete(at(project))

    assert_refused(refused, 409, "confirmation_required")
    assert ann.with_headers(x_confirm="pr-123").delete(at(project)).status == 202


def test_strangers_learn_nothing_of_external_ids(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    put(ann, project)

    with nothing_changes():
        taken = [bob.get(at(project)), bob.delete(at(project))]
        free = [bob.get(at(project, "free")), bob.delete(at(project, "free"))]

    for answer, other in zip(taken, free, strict=True):
        assert_refused(answer, 404, "not_found")
        assert answer.json == other.json


def test_a_limited_token_learns_nothing_of_what_it_may_not_see(
    ann: Client, project: ProjectId
) -> None:
    live = put(ann, project, "live", type="persistent", config={"a": "secret plan"}).json
    own = put(ann, project, "own", name="own").json
    wanted = {"name": "bot", "kind": "ci", "scopes": ["read", "environments", "destroy"]}
    by_tier = ann.post("/api/v1/auth/tokens", {**wanted, "tiers": ["preview"]}).json["token"]
    by_id = ann.post("/api/v1/auth/tokens", {**wanted, "environment_ids": [own["id"]]}).json[
        "token"
    ]

    taken = put(Client(by_tier), project, "live")
    read = [Client(token).get(at(project, "live")) for token in (by_tier, by_id)]
    gone = [Client(token).delete(at(project, "live")) for token in (by_tier, by_id)]
    put_by_id = put(Client(by_id), project, "live")

    assert_refused(taken, 409, "external_id_taken")
    assert [each.status for each in (*read, *gone)] == [403, 404, 403, 404]
    assert put_by_id.status == 403
    for answer in (taken, *read, *gone, put_by_id):
        assert live["id"] not in answer.text and "secret plan" not in answer.text
    assert Client(by_id).get(at(project, "own")).json["id"] == own["id"]
    assert ann.get(at(project, "live")).json == live


def test_a_guess_that_is_wrong_is_noticed(ann: Client, project: ProjectId) -> None:
    first = put(ann, project)
    assert ann.get(at(project)).json["id"] == first.json["id"]
    # As if another process had served what follows.
    world.is_destroyed(ids.parse_environment(first.json["id"]))
    remembered = dict(external_ids._guesses)
    second = put(ann, project)
    external_ids._guesses.clear()
    external_ids._guesses.update(remembered)

    assert ann.get(at(project)).json == second.json


def test_an_environment_that_was_found_before_is_read_in_one_round_trip(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(ann, project)
    ann.get(at(project))
    asked = between.counted(monkeypatch)

    ann.get(at(project))

    assert asked == ["BatchGetItem"]


def test_a_project_that_is_being_deleted_takes_no_environment(
    ann: Client, project: ProjectId
) -> None:
    world.environment(project, ann.principal)
    projects.remove(project, ann.principal, None, cascade=True)

    with nothing_changes():
        assert_refused(put(ann, project), 409, "project_going")


def test_the_project_of_another_user_is_not_found(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    put(ann, project)

    with nothing_changes():
        assert_refused(put(bob, project), 404, "not_found")
        assert_refused(put(bob, project, "new"), 404, "not_found")


def test_what_is_found_can_be_sent_back(ann: Client, project: ProjectId) -> None:
    made = put(ann, project, ttl_hours=24).json

    with nothing_changes():
        again = put(ann, project, **made)
        other = put(ann, project, **{**made, "status": "running"})

    assert (again.status, again.json) == (200, made)
    assert_refused(other, 422, "invalid_request", "#/status")


def test_what_does_not_exist_yet_has_no_read_only_fields(ann: Client, project: ProjectId) -> None:
    with nothing_changes():
        answer = put(ann, project, id="env_1")

    assert_refused(answer, 422, "invalid_request", "#/id")


def test_what_is_found_with_a_secret_can_be_sent_back(ann: Client, project: ProjectId) -> None:
    made = ids.parse_environment(put(ann, project).json["id"])
    world.comes_up(made)
    world.is_of_a_template(made)
    secret = {"inputs": '{"Size":"large"}', "secret_inputs": ["Password"]}
    table.write(Update(environment_records.key(made), *table.setting(secret)))
    shown = ann.get(f"/api/v1/environments/{made}").json
    assert shown["inputs"] == {"Size": "large", "Password": "****"}

    with nothing_changes():
        answer = put(ann, project, **shown)

    assert (answer.status, answer.json) == (200, shown)
