"""Idempotency-Key: a repeated request gets the same answer and is carried out once."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from slipway.access import signing
from slipway.aws import dynamodb, template_bodies
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId, UserId
from slipway.services import leases, projects, rollout_queue, rollouts, users
from slipway.store import (
    account_records,
    confirmation_records,
    environment_records,
    project_records,
    table,
    user_records,
)
from slipway.store.table import Put
from tests.support.api import client as lambdas
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.api.people import PASSWORD, password_hash
from tests.support.api.registering import appoint
from tests.support.api.routes import RESOURCES
from tests.support.asking import ask_to_delete
from tests.support.repository import ROOT, load_function
from tests.support.store import between, world
from tests.support.store.cloudformation import CloudFormation

pytestmark = pytest.mark.no_cover


PROJECTS = "/api/v1/projects"
YAML = "application/yaml"
BODY = "Resources: {Jobs: {Type: 'AWS::SQS::Queue'}}"


def once(client: Client, key: str = "k-1") -> Client:
    return client.with_headers(idempotency_key=key)


def marks() -> list[Any]:
    return [item for item in world.everything() if item["sk"]["S"].startswith("DONE#")]


# --- every request that can have a key ------------------------------------------------------


class Stage(NamedTuple):
    """Ann has a running environment, and a deployment that waits in it."""

    ann: Client
    project: ProjectId
    environment: EnvironmentId
    deployment: DeploymentId

    def ask(self, path: str, body: Any = None, query: str = "") -> Callable[[Client], Answer]:
        names = {
            "project_id": str(self.project),
            "environment_id": str(self.environment),
            "deployment_id": str(self.deployment),
            "template": "web",
            "version": "1.0",
            "user_id": newest_user(),
            "number": "1",
        }
        if "<confirmation_id>" in path:
            names["confirmation_id"] = confirmation_in(self.project)
        for name, value in names.items():
            path = path.replace(f"<{name}>", value)
        media = YAML if isinstance(body, str) else "application/json"
        text = body if isinstance(body, str) else json.dumps(body)
        return lambda client: client.send("POST", path, text, media=media, query=query)


@pytest.fixture
def stage(
    ann: Client,
    project: ProjectId,
    environment: EnvironmentId,
    deployment: DeploymentId,
    monkeypatch: pytest.MonkeyPatch,
) -> Stage:
    monkeypatch.setattr("slipway.access.passwords.hash_password", lambda password: "a hash")
    monkeypatch.setattr(template_bodies, "_cloudformation", CloudFormation)
    return Stage(ann, project, environment, deployment)


def newest_user() -> str:
    [user], _ = table.query(account_records.ALL, account_records.LISTED, limit=1, newest_first=True)
    return str(user["id"])


def confirmation_in(project: ProjectId) -> str:
    [item], _ = table.query(f"PROJECT#{project.p}", confirmation_records.PREFIX, limit=1)
    return str(item["id"])


def waits(stage: Stage) -> None:
    ask_to_delete(stage.ann.user_id, stage.environment)


def nothing(stage: Stage) -> None:
    pass


def idle(stage: Stage) -> None:
    change = "SET expiry_mode = :mode, ttl_hours = :longer"
    values = {"mode": "idle", "longer": 48}
    table.write(table.Update(environment_records.key(stage.environment), change, values))


def pinned(stage: Stage) -> None:
    leases.pin(stage.environment, "a demonstration", stage.ann.principal)


def of_a_template(stage: Stage) -> None:
    world.is_of_a_template(stage.environment)


def shipping(stage: Stage) -> None:
    rollouts.acquire_next(stage.environment)
    world.begins(stage.deployment)


def stopping(stage: Stage) -> None:
    shipping(stage)
    rollout_queue.cancel(stage.deployment, stage.ann.principal)


def alone(stage: Stage) -> None:
    rollout_queue.cancel(stage.deployment, stage.ann.principal)


def not_torn_down(stage: Stage) -> None:
    world.becomes(stage.environment, "teardown_failed")


def with_template(stage: Stage) -> None:
    assert stage.ann.post("/api/v1/templates", {"name": "web"}).status == 201


def with_draft(stage: Stage) -> None:
    with_template(stage)
    path = "/api/v1/templates/web/versions"
    assert stage.ann.send("POST", path, BODY, media=YAML).status == 201


def with_version(stage: Stage) -> None:
    with_draft(stage)
    assert stage.ann.post("/api/v1/templates/web/versions/1.0/publish").status == 200


def administers(stage: Stage) -> None:
    appoint(stage.ann.user_id)
    user_records.add("eve@example.com", "a hash")


def has_disabled(stage: Stage) -> None:
    administers(stage)
    users.disable(UserId(newest_user()), stage.ann.principal)


def with_member(stage: Stage) -> None:
    user_records.add("eve@example.com", "a hash")
    wanted = {"email": "eve@example.com", "role": "viewer"}
    assert stage.ann.post(f"{PROJECTS}/{stage.project}/members", wanted).status == 201


def configured(stage: Stage) -> None:
    where = f"/api/v1/environments/{stage.environment}/variables"
    for port in ("80", "8080"):
        assert stage.ann.patch(where, {"PORT": port}).status == 200


def project_configured(stage: Stage) -> None:
    where = f"/api/v1/projects/{stage.project}/variables"
    assert stage.ann.patch(where, {"PORT": "80"}).status == 200


def lived_in(stage: Stage) -> None:
    alone(stage)
    for each in ("v1", "v2"):
        world.goes_live(world.deployment(stage.environment, stage.ann.principal, each))


def promotable(stage: Stage) -> dict[str, Any]:
    """A promotion into another environment, from one in which a version is live."""
    target = world.environment(stage.project, stage.ann.principal, "target")
    world.comes_up(target)
    return {"from": str(stage.environment), "to": [str(target)]}


def is_unproven(stage: Stage) -> None:
    table.write(Put(account_records.registration_key("a secret"), UNPROVEN))


class Keyed(NamedTuple):
    """`body` can be made of the stage. `trips` is how many to DynamoDB it takes with a key: the
    first time, and again."""

    path: str
    body: Any = None
    prepare: Callable[[Stage], None] = nothing
    query: str = ""
    trips: tuple[int, int] = (2, 2)


UNPROVEN = {
    "email": "new@example.com",
    "password_hash": password_hash(),
    "expires_at": "2999-01-01T00:00:00.000Z",
}
MAKE = "/api/v1/environments/projects/<project_id>"
BELOW = "/api/v1/projects/<project_id>/environments"
ONE = "/api/v1/environments/<environment_id>"
SHIP = "/api/v1/deployments/environments/<environment_id>"
CANCEL = "/api/v1/deployments/<deployment_id>/cancel"
VERSION = "/api/v1/templates/<template>/versions"
REGISTER, VERIFY = "/api/v1/auth/register", "/api/v1/auth/verify-email"
NEW = {"email": "new@example.com", "password": "secret123"}
PREVIEW = {"name": "x", "type": "ephemeral", "config": {"colour": "red"}}
MADE_FROM = {**PREVIEW, "template": "web@1.0"}
TRUSTS = "/api/v1/projects/<project_id>/trusts"
TRUST = {"preset": "github", "claims": {"repository_id": "456789"}, "scopes": ["read"]}
REQUESTS = {
    "register": Keyed(REGISTER, NEW),
    "prove an address": Keyed(VERIFY, {"token": "a secret", "password": PASSWORD}, is_unproven),
    "disable": Keyed("/api/v1/users/<user_id>/disable", None, administers),
    "enable": Keyed("/api/v1/users/<user_id>/enable", None, has_disabled),
    "transfer a project": Keyed(
        f"{PROJECTS}/<project_id>/transfer", lambda _: {"user_id": newest_user()}, with_member
    ),
    "create a project": Keyed(PROJECTS, {"name": "x"}),
    "trust a workload": Keyed(TRUSTS, TRUST),
    "create an environment": Keyed(MAKE, PREVIEW, trips=(2, 1)),
    "create one below its project": Keyed(BELOW, PREVIEW, trips=(2, 1)),
    "create one with a name of ours": Keyed(MAKE, {**PREVIEW, "external_id": "1"}, trips=(2, 1)),
    "create one from a template": Keyed(MAKE, MADE_FROM, with_version, trips=(2, 1)),
    "extend": Keyed(f"{ONE}/extend", {"ttl_hours": 48}),
    "extend for no longer": Keyed(f"{ONE}/extend", {"ttl_hours": 1}),
    "touch": Keyed(f"{ONE}/touch", None, idle),
    "pin": Keyed(f"{ONE}/pin", {"reason": "demo"}),
    "pin again": Keyed(f"{ONE}/pin", {"reason": "demo"}, pinned),
    "unpin": Keyed(f"{ONE}/unpin", None, pinned),
    "restore a configuration": Keyed(
        f"{ONE}/configurations/<number>/restore", None, configured, trips=(3, 3)
    ),
    "purge a value": Keyed(
        f"{ONE}/configurations/purge", {"name": "PORT"}, configured, trips=(11, 2)
    ),
    "purge a value of a project": Keyed(
        "/api/v1/projects/<project_id>/configurations/purge",
        {"name": "PORT"},
        project_configured,
        trips=(6, 2),
    ),
    "roll back": Keyed(f"{ONE}/rollback", {"reason": "It is broken"}, lived_in),
    "promote": Keyed("/api/v1/promotions", promotable, lived_in, trips=(2, 1)),
    "retry a teardown": Keyed(f"{ONE}/teardown/retry", None, not_torn_down),
    "update": Keyed(f"{ONE}/update", {"template": "web"}, of_a_template, trips=(2, 1)),
    "change inputs": Keyed(f"{ONE}/update", {"inputs": {}}, of_a_template, trips=(3, 1)),
    "ship": Keyed(SHIP, {"version": "v2"}),
    "ship below an environment": Keyed(f"{ONE}/deployments", {"version": "v2"}),
    "ship below both": Keyed(f"{BELOW}/<environment_id>/deployments", {"version": "v2"}),
    "ship or not": Keyed(SHIP, {"version": "v2", "on_conflict": "reject"}, alone, trips=(3, 2)),
    "ship in order": Keyed(SHIP, {"version": "v2", "sequence": 7}),
    "cancel what waits": Keyed(CANCEL),
    "cancel what runs": Keyed(CANCEL, None, shipping),
    "cancel again": Keyed(CANCEL, None, stopping),
    "approve": Keyed("/api/v1/confirmations/<confirmation_id>/approve", None, waits),
    "reject": Keyed("/api/v1/confirmations/<confirmation_id>/reject", {"reason": "No."}, waits),
    "create a template": Keyed("/api/v1/templates", {"name": "web"}, trips=(2, 1)),
    "add a version": Keyed(VERSION, BODY, with_template, trips=(2, 1)),
    "publish": Keyed(f"{VERSION}/<version>/publish", None, with_draft),
    "publish again": Keyed(f"{VERSION}/<version>/publish", None, with_version),
    "deprecate": Keyed(f"{VERSION}/<version>/deprecate", None, with_version),
}
each_request = pytest.mark.parametrize("name", REQUESTS)


def test_every_route_that_takes_a_key_is_in_the_list_of_requests() -> None:
    routes = {
        route.path
        for resource in RESOURCES
        for route in lambdas.app(resource).api.routes
        if route.replays
    }

    assert {keyed.path for keyed in REQUESTS.values()} == routes


def asked(stage: Stage, name: str) -> Callable[[Client], Answer]:
    keyed = REQUESTS[name]
    keyed.prepare(stage)
    body = keyed.body(stage) if callable(keyed.body) else keyed.body
    return stage.ask(keyed.path, body, keyed.query)


@each_request
def test_a_repeated_request_gets_the_same_answer(stage: Stage, name: str) -> None:
    ask = asked(stage, name)

    first = ask(once(stage.ann))
    with nothing_changes():
        again = ask(once(stage.ann))

    assert first.status < 300
    assert "idempotent-replayed" not in first.headers
    assert (again.status, again.raw) == (first.status, first.raw)
    assert again.headers == first.headers | {"idempotent-replayed": "true"}


@each_request
def test_a_key_costs_no_extra_round_trip(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ask, trips = asked(stage, name), REQUESTS[name].trips
    # The public keys, which a process reads once in five minutes.
    stage.ann.get(PROJECTS)
    made = between.counted(monkeypatch)

    assert ask(once(stage.ann)).status < 300
    first = len(made)
    assert ask(once(stage.ann)).status < 300

    assert (first, len(made) - first) == trips


class Died(BaseException):
    """The process is gone: nothing of it is run any more."""


def lost(ask: Callable[[], Answer]) -> None:
    """A request that is carried out, and nobody is told."""
    real = dynamodb.together

    def dies(*calls: tuple[str, Any]) -> Any:
        answers = real(*calls)
        counts = "{'S': 'ATTEMPTS'}" in str(calls) or "ADD tries" in str(calls)
        if calls[0][0] in ("TransactWriteItems", "UpdateItem") and not counts:
            raise Died
        return answers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamodb, "together", dies)
        with pytest.raises(Died):
            ask()


@each_request
def test_a_lost_answer_is_repeated_without_repeating_the_work(stage: Stage, name: str) -> None:
    ask = asked(stage, name)
    lost(lambda: ask(once(stage.ann)))

    with nothing_changes():
        again = ask(once(stage.ann))
        third = ask(once(stage.ann))

    assert again.status < 300
    assert again.headers["idempotent-replayed"] == "true"
    assert (third.status, third.headers, third.raw) == (again.status, again.headers, again.raw)


@each_request
def test_one_of_many_simultaneous_duplicates_is_carried_out_and_all_are_answered_alike(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ask = asked(stage, name)
    stage.ann.get(PROJECTS)
    # Each function by itself, as on Lambda: one serves one request at a time.
    monkeypatch.setattr(lambdas, "app", lambda name: load_function(ROOT / "functions/api" / name))

    answers = between.at_once(monkeypatch, *[lambda: ask(once(stage.ann))] * 4)

    told = [each for each in answers if isinstance(each, Answer)]
    assert len(told) == 4, answers
    assert [each.status < 300 for each in told] == [True] * 4, [each.text for each in told]
    assert len({each.raw for each in told}) == 1
    assert len({each.headers.get("location") for each in told}) == 1
    assert sum("idempotent-replayed" not in each.headers for each in told) == 1
    assert len(marks()) == 1


@each_request
def test_a_simultaneous_duplicate_is_not_answered_with_a_conflict(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ask, twins = asked(stage, name), list[Answer]()
    writes = "TransactWriteItems" if name not in CHANGES_NOTHING else "UpdateItem"
    between.first(monkeypatch, writes, lambda: twins.append(ask(once(stage.ann))))

    second = ask(once(stage.ann))

    [first] = twins
    assert (second.status, second.raw) == (first.status, first.raw)
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"


CHANGES_NOTHING = {"extend for no longer", "pin again", "cancel again", "publish again"}


@pytest.mark.parametrize("name", sorted(CHANGES_NOTHING))
def test_a_request_without_effect_writes_only_its_idempotency_record(
    stage: Stage, name: str
) -> None:
    ask = asked(stage, name)
    before = world.everything()

    ask(once(stage.ann))

    assert world.everything() != before
    assert [item for item in world.everything() if item not in marks()] == before


@pytest.mark.parametrize("name", sorted(REQUESTS.keys() - CHANGES_NOTHING))
def test_a_request_without_a_key_writes_no_idempotency_record(stage: Stage, name: str) -> None:
    assert asked(stage, name)(stage.ann).status < 300

    assert marks() == []


@each_request
def test_a_key_in_use_refuses_every_other_request(stage: Stage, name: str) -> None:
    ask = asked(stage, name)
    other = stage.ask(REQUESTS[name].path, {"other": "body"}, REQUESTS[name].query)
    elsewhere = stage.ask("/api/v1/projects", {"name": "elsewhere"})
    assert ask(once(stage.ann)).status < 300

    with nothing_changes():
        answers = [other(once(stage.ann))]
        # The keys of anonymous requests belong to an address.
        if REQUESTS[name].path not in (REGISTER, VERIFY, PROJECTS):
            answers.append(elsewhere(once(stage.ann)))

    # Some bodies are refused before anything is looked at.
    assert answers[0].json["code"] in ("idempotency_key_reused", *UNREADABLE), answers[0].text
    for answer in answers[1:]:
        assert_refused(answer, 422, "idempotency_key_reused", "Idempotency-Key")


UNREADABLE = ("invalid_request", "unsupported_media_type")


def test_the_same_request_without_the_key_or_with_another_is_carried_out(
    stage: Stage,
) -> None:
    ask = asked(stage, "ship")

    made = {
        client: ask(each).json["id"]
        for client, each in enumerate([once(stage.ann), once(stage.ann, "k-2"), stage.ann])
    }

    assert len(set(made.values())) == 3


# --- who and what a key belongs to ---------------------------------------------------------


def test_ten_deployments_with_one_key_are_one(ann: Client, environment: EnvironmentId) -> None:
    here = f"/api/v1/deployments/environments/{environment}"

    answers = {once(ann).post(here, {"version": "v1"}).json["id"] for _ in range(10)}

    assert len(answers) == 1
    assert len(ann.get(here).json) == 1


def test_another_request_with_the_same_key_is_refused(
    ann: Client, environment: EnvironmentId
) -> None:
    once(ann).post(PROJECTS, {"name": "x"})

    with nothing_changes():
        body = once(ann).post(PROJECTS, {"name": "y"})
        path = once(ann).post(f"/api/v1/deployments/environments/{environment}", {"version": "v1"})

    assert_refused(body, 422, "idempotency_key_reused", "Idempotency-Key")
    assert_refused(path, 422, "idempotency_key_reused", "Idempotency-Key")


def test_another_key_or_another_caller_is_another_request(ann: Client, bob: Client) -> None:
    first = once(ann).post(PROJECTS, {"name": "x"})

    assert once(ann, "k-2").post(PROJECTS, {"name": "y"}).status == 201
    his = once(bob).post(PROJECTS, {"name": "x"})
    assert (his.status, his.json["id"] == first.json["id"]) == (201, False)


def test_a_refusal_is_not_remembered(ann: Client) -> None:
    project = world.project(ann.principal, "x")
    with nothing_changes():
        refused = once(ann).post(PROJECTS, {"name": "x"})
        bad = once(ann).post(PROJECTS, {"name": ""})
    projects.remove(project, ann.principal, None, cascade=False)

    assert_refused(refused, 409, "name_taken")
    assert_refused(bad, 422, "invalid_request", "#/name")
    assert once(ann).post(PROJECTS, {"name": "x"}).status == 201


def test_keys_of_anonymous_callers_are_kept_by_their_address(
    nobody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.access.passwords.hash_password", lambda password: "a hash")
    new = {"email": "new@example.com", "password": "secret123"}

    first = once(nobody).post("/api/v1/auth/register", new)
    again = once(nobody).post("/api/v1/auth/register", new)
    elsewhere = once(Client(source="198.51.100.9")).post("/api/v1/auth/register", new)

    assert (first.status, again.status, again.raw) == (201, 201, first.raw)
    assert_refused(elsewhere, 409, "email_taken")


def test_a_token_is_never_stored_with_an_answer(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = {"username": "ann@example.com", "password": "secret123"}

    first, second = (once(Client()).form("/api/v1/auth/login", form) for _ in range(2))

    assert first.json["access_token"] != second.json["access_token"]
    assert "access_token" not in json.dumps(world.everything())


def test_no_password_is_stored_with_an_answer(
    nobody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.access.passwords.hash_password", lambda password: "a hash")
    once(nobody).post(
        "/api/v1/auth/register", {"email": "a@example.com", "password": "hunter2-secret"}
    )

    assert "hunter2" not in json.dumps(world.everything())


def test_an_idempotency_record_contains_no_secret(stage: Stage) -> None:
    ask = asked(stage, "register")
    assert ask(once(stage.ann)).status == 201

    [mark] = marks()
    assert "a hash" in json.dumps(world.everything())
    assert "a hash" not in json.dumps(mark)
    assert "secret123" not in json.dumps(mark)


def texts(value: Any) -> Iterator[str]:
    """Every text in what the table holds."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for each in value:
            yield from texts(each)
    else:
        yield str(value)


@pytest.mark.parametrize("name", ["register", "create a project"])
def test_who_reads_the_table_cannot_test_a_guess_at_a_request(stage: Stage, name: str) -> None:
    """The table has no plain hash of it, and no key for the HMAC."""
    asked(stage, name)(once(stage.ann))
    body = json.dumps(REQUESTS[name].body)
    request = f"POST {REQUESTS[name].path} {body}".encode()

    found = set(texts(world.everything()))

    keys = [b"k-1", *(text.encode() for text in found)]
    guesses = {hashlib.sha256(request).hexdigest()}
    guesses |= {hmac.digest(key, request, "sha256").hex() for key in keys}
    assert found
    assert not guesses & found


def test_a_repeated_request_may_come_with_another_token_of_the_user(
    ann: Client, bob: Client
) -> None:
    another = Client(signing.mint(ann.user_id).access_token, ann.user_id)

    first = once(ann).post(PROJECTS, {"name": "x"})
    again = once(another).post(PROJECTS, {"name": "x"})
    his = once(bob).post(PROJECTS, {"name": "x"})

    assert (again.status, again.raw) == (first.status, first.raw)
    assert again.headers["idempotent-replayed"] == "true"
    assert his.status == 201 and his.raw != first.raw
    assert len({mark["request"]["S"] for mark in marks()}) == 2


def test_a_stored_answer_is_repeated_to_its_caller_even_without_membership(
    stage: Stage, bob: Client
) -> None:
    ask = asked(stage, "ship")
    first = ask(once(stage.ann))
    table.write(table.Delete(project_records.member(stage.project, stage.ann.user_id)))

    with nothing_changes():
        mine, his = ask(once(stage.ann)), ask(once(bob))
        fresh = ask(once(stage.ann, "k-2"))

    assert (mine.status, mine.raw) == (201, first.raw)
    assert_refused(his, 404, "not_found")
    assert_refused(fresh, 404, "not_found")


@pytest.mark.parametrize(
    "name,operation", [("ship", "TransactWriteItems"), ("pin again", "UpdateItem")]
)
def test_a_table_that_does_not_answer_is_unavailable(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str, operation: str
) -> None:
    ask = asked(stage, name)
    between.fails(monkeypatch, operation, *[between.error("ThrottlingException")] * 9)

    answer = ask(once(stage.ann))

    assert_refused(answer, 503, "store_unavailable")
    assert marks() == []


def test_a_read_ignores_the_key(ann: Client) -> None:
    for _ in range(2):
        answer = once(ann).get(PROJECTS)
        assert (answer.status, "idempotent-replayed" in answer.headers) == (200, False)


# --- what became of it meanwhile ------------------------------------------------------------


def test_a_retried_rejecting_deployment_is_not_refused_by_itself(stage: Stage) -> None:
    ask = asked(stage, "ship or not")
    lost(lambda: ask(once(stage.ann)))

    assert ask(once(stage.ann)).status == 201
    assert_refused(ask(once(stage.ann, "k-2")), 409, "queue_busy")


def test_a_retried_creation_is_not_a_conflict_with_its_own_name(stage: Stage) -> None:
    taken = {
        "register": "email_taken",
        "create a project": "name_taken",
        "create an environment": "name_taken",
    }
    for n, (name, code) in enumerate(taken.items()):
        ask = asked(stage, name)
        lost(lambda ask=ask, n=n: ask(once(stage.ann, f"k-{n}")))  # type: ignore[misc]

        assert ask(once(stage.ann, f"k-{n}")).status == 201
        assert_refused(ask(once(stage.ann, "other")), 409, code)


def test_a_repeated_answer_stays_the_same_after_the_object_changed(stage: Stage) -> None:
    ask = asked(stage, "ship")
    first = ask(once(stage.ann))
    stage.ann.post(f"/api/v1/deployments/{first.json['id']}/cancel")

    again = ask(once(stage.ann))

    assert (again.status, again.raw) == (201, first.raw)
    assert again.json["status"] == "pending"


def test_a_retried_cancel_of_a_rollout_that_ended_is_not_a_conflict(stage: Stage) -> None:
    ask = asked(stage, "cancel what runs")
    lost(lambda: ask(once(stage.ann)))
    world.succeeds(stage.deployment)

    again = ask(once(stage.ann))

    assert (again.status, again.json["status"]) == (202, "running")
    assert again.json["cancel_requested_at"]
    assert_refused(ask(stage.ann), 409, "deployment_finished")


def test_a_teardown_is_retried_once(stage: Stage) -> None:
    here = f"/api/v1/environments/{stage.environment}"
    ask = asked(stage, "retry a teardown")
    lost(lambda: ask(once(stage.ann)))
    seen = stage.ann.get(here).json

    again = ask(once(stage.ann))

    assert (again.status, again.json) == (202, seen)
    assert (seen["status"], seen["teardown_attempts"]) == ("tearing_down", 2)


def a_day_passes() -> None:
    """TTL has not deleted the marks yet, as it may take its time to."""
    for item in marks():
        key = table.Key(item["pk"]["S"], item["sk"]["S"])
        assert int(item["ttl"]["N"]) - time.time() == pytest.approx(86_400, abs=60)
        table.write(table.Update(key, "SET #ttl = :past", {"past": int(time.time()) - 1}))


def test_an_idempotency_record_expires_after_a_day(stage: Stage) -> None:
    here = f"/api/v1/deployments/environments/{stage.environment}"
    assert once(stage.ann).post(here, {"version": "v2"}).status == 201
    assert once(stage.ann, "k-2").post(PROJECTS, {"name": "x"}).status == 201
    assert asked(stage, "create an environment")(once(stage.ann, "k-3")).status == 201
    a_day_passes()

    again = once(stage.ann).post(here, {"version": "v3"})
    refused = once(stage.ann, "k-2").post(PROJECTS, {"name": "x"})
    made = asked(stage, "create an environment")(once(stage.ann, "k-3"))

    assert (again.status, again.json["version"]) == (201, "v3")
    assert "idempotent-replayed" not in again.headers
    assert_refused(refused, 409, "name_taken")
    assert_refused(made, 409, "name_taken")


# --- how large an answer can be -------------------------------------------------------------


def test_the_largest_answers_fit_into_an_idempotency_record(stage: Stage) -> None:
    with_template(stage)
    parameters = {
        f"P{n:03}": {"Type": "String", "Default": '"' * 200, "Description": "\u20ac" * 5}
        for n in range(200)
    }
    resources = {"Jobs": {"Type": "AWS::SQS::Queue"}}
    template = json.dumps({"Parameters": parameters, "Resources": resources})
    config = {"numbers": [1e15] * 700, "text": '"' * 1000}
    add = stage.ask(VERSION, template)
    make = stage.ask(MAKE, {**PREVIEW, "config": config})

    for n, ask in enumerate((add, make)):
        first = ask(once(stage.ann, f"k-{n}"))
        again = ask(once(stage.ann, f"k-{n}"))
        assert (first.status, again.status) == (201, 201), first.text
        assert again.raw == first.raw
    assert max(len(json.dumps(mark)) for mark in marks()) > 100_000
