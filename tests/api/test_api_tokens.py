"""Tokens for programs: what they may do, who creates and revokes them, and what nobody gains."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from slipway.access import api_tokens
from slipway.aws import secrets_manager
from slipway.domain import credentials, timestamps
from slipway.domain.api_token import MOST_TOKENS
from slipway.domain.credentials import API_TOKEN, Credential
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.rights import SCOPES
from slipway.settings import limits
from slipway.store import rates, sessions, table
from slipway.store.table import Delete, Update
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.store import between, world

TOKENS, ME, PROJECTS = "/api/v1/auth/tokens", "/api/v1/auth/me", "/api/v1/projects"
DAY = timedelta(days=1)


class Clock:
    """The present of whoever creates or checks a token."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta()
        real = timestamps.now
        monkeypatch.setattr(timestamps, "now", lambda: real() + self.ahead)


def wanted(*scopes: str, **fields: Any) -> dict[str, Any]:
    return {"name": "CI", "kind": "personal", "scopes": [*scopes] or ["read"], **fields}


def create(by: Client, *scopes: str, **fields: Any) -> Client:
    """A caller with a new token."""
    answer = by.post(TOKENS, wanted(*scopes, **fields))
    assert answer.status == 201, answer.json
    return Client(answer.json["token"], answer.json["id"])


def used(client: Client) -> Client:
    """The caller, whose token was used today."""
    assert client.get(ME).status == 200
    return client


def token_id(client: Client) -> str:
    return client.user_id


def revoke(by: Client, client: Client) -> Answer:
    return by.delete(f"{TOKENS}/{token_id(client)}")


def parsed(client: Client) -> Credential:
    found = credentials.parse(client.token or "", API_TOKEN)
    assert found
    return found


def listed(by: Client) -> dict[str, Any]:
    answer = by.get(TOKENS, limit=100)
    assert answer.status == 200, answer.json
    return {each["id"]: each for each in answer.json}


def set_status(ann: Client, status: str) -> None:
    table.write(Update(sessions.account_key(ann.user_id), "SET #status = :it", {"it": status}))


# --- creating ---------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_then_without_what_proves_it(ann: Client) -> None:
    answer = ann.post(TOKENS, wanted("read", "deploy", kind="ci", tiers=["preview"]))

    made = answer.json
    assert answer.status == 201
    assert answer.headers["location"] == f"{TOKENS}/{made['id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert made["scopes"] == ["deploy", "read"]
    assert (made["project_ids"], made["environment_ids"], made["tiers"]) == (
        *(None, None),
        ["preview"],
    )
    assert listed(ann) == {made["id"]: {k: v for k, v in made.items() if k != "token"}}


def test_a_token_calls_the_api_as_its_user(ann: Client, project: ProjectId) -> None:
    program = create(ann, "read")

    assert program.get(ME).json == ann.get(ME).json
    assert [each["id"] for each in program.get(PROJECTS).json] == [str(project)]


def test_a_token_lasts_for_ninety_days_unless_told_otherwise(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    default, short = create(ann), create(ann, expires_in_days=1)

    clock.ahead = DAY - timedelta(seconds=10)
    assert short.get(ME).status == 200
    clock.ahead = DAY + timedelta(seconds=1)
    assert_refused(short.get(ME), 401, "token_expired")
    clock.ahead = 31 * DAY - timedelta(seconds=10)
    assert_refused(short.get(ME), 401, "token_expired")
    clock.ahead = 31 * DAY + timedelta(seconds=1)
    assert_refused(short.get(ME), 401, "token_invalid")
    clock.ahead = 90 * DAY - timedelta(seconds=10)
    assert default.get(ME).status == 200
    clock.ahead = 90 * DAY + timedelta(seconds=1)
    assert_refused(default.get(ME), 401, "token_expired")
    assert listed(ann) == {}


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no scope": ({"scopes": []}, "#/scopes"),
    "an unknown scope": ({"scopes": ["everything"]}, "#/scopes/0"),
    "an unknown kind": ({"kind": "user"}, "#/kind"),
    "an empty name": ({"name": ""}, "#/name"),
    "no project": ({"project_ids": []}, "#/project_ids"),
    "what is no project": ({"project_ids": ["payments"]}, "#/project_ids/0"),
    "what is no environment": ({"environment_ids": ["env_1"]}, "#/environment_ids/0"),
    "an unknown tier": ({"tiers": ["test"]}, "#/tiers/0"),
    "no day": ({"expires_in_days": 0}, "#/expires_in_days"),
    "for ever": ({"expires_in_days": None}, "#/expires_in_days"),
    "a year and a day": ({"expires_in_days": 366}, "#/expires_in_days"),
    "another user": ({"user_id": "usr_01kaq3h5x0c2m9f7r4tz"}, "#/user_id"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_field_is_refused_by_name(ann: Client, name: str) -> None:
    fields, pointer = BAD[name]

    with nothing_changes():
        answer = ann.post(TOKENS, wanted(**fields))

    assert_refused(answer, 422, "invalid_request", pointer)


def test_a_user_has_fifty_tokens_at_most(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    programs = [create(ann, expires_in_days=1) for _ in range(MOST_TOKENS)]

    with nothing_changes():
        answer = ann.post(TOKENS, wanted())

    assert_refused(answer, 409, "too_many_tokens")
    assert answer.json["limit"] == MOST_TOKENS
    assert revoke(ann, programs[0]).status == 204
    assert ann.post(TOKENS, wanted()).status == 201
    # Those that have expired make room, and are deleted.
    clock.ahead = DAY + timedelta(seconds=1)
    assert ann.post(TOKENS, wanted()).status == 201
    assert len([each for each in world.everything() if is_token(each)]) == 2


def is_token(item: Any) -> bool:
    return bool(item["pk"]["S"].startswith("ACCOUNT#") and item["sk"]["S"].startswith("TOKEN#"))


def test_of_many_at_once_no_more_are_created_than_allowed(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(MOST_TOKENS - 2):
        create(ann)

    answers: list[Any] = between.at_once(monkeypatch, *[lambda: ann.post(TOKENS, wanted())] * 4)

    assert sorted(each.status for each in answers)[:2] == [201, 201]
    assert {each.status for each in answers[2:]} <= {201, 409, 429}
    assert len(listed(ann)) == MOST_TOKENS


def test_creating_takes_three_round_trips_and_using_takes_none(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = create(ann, "read", "tokens", "config")
    made = between.counted(monkeypatch)

    create(ann)
    program.get(ME)
    program.get(f"{PROJECTS}/{project}")
    program.patch(f"{PROJECTS}/{project}", {"name": "renamed"})

    assert made == [
        *("BatchGetItem", "Query", "TransactWriteItems"),
        # Along with the first request of the day goes when the token was used.
        *("BatchGetItem + UpdateItem", "BatchGetItem"),
        # A change of a project reads its members, whose lists show it.
        *("Query + BatchGetItem", "TransactWriteItems"),
    ]


# --- what a token may not do ------------------------------------------------------------------

NEEDS: dict[str, tuple[str, str, Any]] = {
    "read": ("GET", PROJECTS, None),
    "config": ("POST", PROJECTS, {"name": "new"}),
    "templates": ("POST", "/api/v1/templates", {"name": "new"}),
    "environments": (
        "POST",
        "/api/v1/environments/projects/{project}",
        {"name": "new", "type": "ephemeral"},
    ),
    "deploy": (
        "POST",
        "/api/v1/deployments/environments/{environment}",
        {"version": "v1"},
    ),
    "tokens": ("POST", TOKENS, wanted("tokens")),
}


@pytest.mark.parametrize("scope", NEEDS)
def test_a_token_needs_the_scope_of_what_it_does(
    ann: Client, project: ProjectId, environment: EnvironmentId, scope: str
) -> None:
    method, path, body = NEEDS[scope]
    path = path.format(project=project, environment=environment)
    text = None if body is None else json.dumps(body)
    without = used(create(ann, *(each for each in SCOPES if each != scope)))
    with_it = create(ann, scope, "read")

    with nothing_changes():
        refused = without.send(method, path, text)
    allowed = with_it.send(method, path, text)

    assert_refused(refused, 403, "forbidden")
    assert refused.json["required_scope"] == scope
    assert allowed.status in (200, 201), allowed.json


@pytest.mark.parametrize(
    "path,body",
    [
        ("/api/v1/auth/logout", None),
        ("/api/v1/auth/logout-everywhere", None),
        ("/api/v1/auth/password", {"current_password": "secret123", "new_password": "a new one"}),
    ],
)
def test_a_token_changes_neither_sessions_nor_the_password(
    ann: Client, path: str, body: Any
) -> None:
    program = used(create(ann, *SCOPES))

    with nothing_changes():
        answer = program.post(path, body)

    assert_refused(answer, 403, "forbidden")
    assert ann.get(ME).status == 200


def test_a_token_is_limited_to_its_projects(ann: Client, project: ProjectId) -> None:
    other = world.project(ann.principal, "other")
    program = create(ann, "read", "config", project_ids=[str(project)])

    assert program.get(f"{PROJECTS}/{project}").status == 200
    assert_refused(program.get(f"{PROJECTS}/{other}"), 404, "not_found")


def test_a_token_may_do_what_its_user_may_at_that_moment(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    program = create(ann, *SCOPES)
    of_bob = create(bob, *SCOPES)

    assert program.get(f"{PROJECTS}/{project}").status == 200
    assert_refused(of_bob.get(f"{PROJECTS}/{project}"), 404, "not_found")
    table.write(Delete(table.Key(f"PROJECT#{project.p}", f"MEMBER#{ann.user_id}")))
    assert_refused(program.get(f"{PROJECTS}/{project}"), 404, "not_found")
    set_status(ann, "disabled")
    assert_refused(program.get(ME), 401, "account_disabled")
    table.write(Delete(sessions.account_key(ann.user_id)))
    assert_refused(program.get(ME), 401, "unauthenticated")


# --- tokens that create tokens ----------------------------------------------------------------


def test_a_token_creates_none_that_is_wider_than_itself(ann: Client, project: ProjectId) -> None:
    limited = {"project_ids": [str(project)], "tiers": ["preview"]}
    parent = used(create(ann, "read", "tokens", kind="ci", **limited))
    inside = {"kind": "ci", "project_ids": [str(project)], "tiers": ["preview"]}
    wider: dict[str, dict[str, Any]] = {
        "scopes": {**inside, "scopes": ["read", "deploy"]},
        "project_ids": {**inside, "project_ids": None},
        "environment_ids": {**inside, "project_ids": ["prj_01kaq3h5x0c2m9f7r4tz"]},
        "tiers": {**inside, "tiers": None},
        "kind": {**inside, "kind": "personal"},
    }

    for name, fields in wider.items():
        with nothing_changes():
            answer = parent.post(TOKENS, wanted(**fields))
        assert_refused(answer, 403, "forbidden")
        assert answer.json["detail"].startswith(
            "project_ids" if name == "environment_ids" else name
        )
    child = create(parent, "read", **{**inside, "kind": "agent"})
    assert child.get(f"{PROJECTS}/{project}").status == 200


def test_a_token_does_not_outlive_the_one_that_created_it(ann: Client) -> None:
    parent = create(ann, "read", "tokens", expires_in_days=3)

    child = create(parent, expires_in_days=365)

    found = listed(ann)
    assert found[token_id(child)]["expires_at"] == found[token_id(parent)]["expires_at"]
    assert found[token_id(child)]["created_with"] == token_id(parent)


def test_revoking_a_token_revokes_those_that_it_created(ann: Client) -> None:
    parent, other = create(ann, "read", "tokens"), create(ann)
    child = create(parent, "read", "tokens")
    grandchild = create(child, "read")

    assert revoke(ann, parent).status == 204

    for each in (parent, child, grandchild):
        assert_refused(each.get(ME), 401, "token_invalid")
    assert other.get(ME).status == 200


def test_a_token_sees_and_revokes_itself_and_what_it_created(ann: Client) -> None:
    parent, other = used(create(ann, "read", "tokens")), create(ann)
    child = create(parent)

    assert set(listed(parent)) == {token_id(parent), token_id(child)}
    with nothing_changes():
        assert_refused(revoke(parent, other), 404, "not_found")
    assert parent.delete(TOKENS).status == 204
    assert set(listed(ann)) == {token_id(other)}


def test_a_token_that_is_revoked_meanwhile_creates_none(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = create(ann, "read", "tokens")
    between.first(monkeypatch, "TransactWriteItems", lambda: revoke(ann, parent))

    answer = parent.post(TOKENS, wanted())

    assert_refused(answer, 401, "token_invalid")
    assert listed(ann) == {}


ENDS: dict[str, Callable[[Client], Any]] = {
    "signed out": lambda ann: ann.post("/api/v1/auth/logout"),
    "signed out everywhere": lambda ann: ann.post("/api/v1/auth/logout-everywhere"),
    "disabled": lambda ann: set_status(ann, "disabled"),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_session_that_ends_meanwhile_creates_none(
    ann: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    between.first(monkeypatch, "TransactWriteItems", lambda: ENDS[name](ann))

    answer = ann.post(TOKENS, wanted())

    assert answer.status == 401, answer.json
    assert not [each for each in world.everything() if is_token(each)]


def test_all_tokens_are_revoked_even_those_that_are_being_created(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = create(ann)
    between.first(monkeypatch, "TransactWriteItems", lambda: ann.delete(TOKENS))

    # It reads again, and is created after the end of all others.
    answer = ann.post(TOKENS, wanted())

    assert answer.status == 201
    assert set(listed(ann)) == {answer.json["id"]}
    assert_refused(before.get(ME), 401, "token_invalid")


# --- revoking ---------------------------------------------------------------------------------


def test_a_revoked_token_is_refused_by_the_next_request(ann: Client) -> None:
    program = create(ann)
    assert program.get(ME).status == 200

    assert revoke(ann, program).status == 204

    assert_refused(program.get(ME), 401, "token_invalid")
    assert_refused(revoke(ann, program), 404, "not_found")
    assert listed(ann) == {}


def test_revoking_all_ends_tokens_and_not_sessions(ann: Client, bob: Client) -> None:
    programs = [create(ann) for _ in range(3)]
    of_bob = create(bob)

    assert ann.delete(TOKENS).status == 204

    for each in programs:
        assert_refused(each.get(ME), 401, "token_invalid")
    assert (ann.get(ME).status, of_bob.get(ME).status) == (200, 200)
    assert ann.delete(TOKENS).status == 204


def test_signing_out_everywhere_ends_sessions_and_not_tokens(ann: Client) -> None:
    program = create(ann)

    assert ann.post("/api/v1/auth/logout-everywhere").status == 204

    assert_refused(ann.get(ME), 401, "session_ended")
    assert program.get(ME).status == 200


def test_tokens_of_a_disabled_user_do_not_come_back(ann: Client, bob: Client) -> None:
    program = create(ann)
    role = Update(sessions.account_key(bob.user_id), "SET platform_role = :it", {"it": "admin"})
    table.write(role)
    for verb in ("disable", "enable"):
        assert bob.post(f"/api/v1/users/{ann.user_id}/{verb}").status == 200

    assert_refused(program.get(ME), 401, "token_invalid")


def test_another_users_token_cannot_be_seen_or_revoked(ann: Client, bob: Client) -> None:
    program = create(ann)
    bob_ = used(create(bob, *SCOPES))
    own_part = token_id(bob_).split("_")[1]
    bent = f"tok_{own_part}_{token_id(program).split('_')[2]}"

    for by in (bob, bob_):
        for id_ in (token_id(program), bent, "tok_1", program.token):
            with nothing_changes():
                assert_refused(by.delete(f"{TOKENS}/{id_}"), 404, "not_found")
        assert token_id(program) not in listed(by)
    assert program.get(ME).status == 200


def test_tokens_are_listed_newest_first_by_pages(ann: Client) -> None:
    made = [token_id(create(ann, name=f"token {n}")) for n in range(5)]

    first = ann.get(TOKENS, limit=2)
    _, _, query = first.headers["link"].partition(">")[0].partition("?")
    second = ann.send("GET", TOKENS, query=query)

    assert [each["id"] for each in first.json + second.json] == made[:0:-1][:4]


def test_when_a_token_was_used_is_noted_once_a_day(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    program = create(ann)
    assert listed(ann)[token_id(program)]["last_used_at"] is None
    made = between.counted(monkeypatch)

    for _ in range(20):
        assert program.get(ME).status == 200
    noted = listed(ann)[token_id(program)]["last_used_at"]
    clock.ahead = DAY
    program.get(ME)

    assert sum("UpdateItem" in each for each in made) == 2
    assert listed(ann)[token_id(program)]["last_used_at"] > noted
    assert not [each for each in made if "," in each]


def test_a_guess_is_not_noted_as_a_use(ann: Client) -> None:
    program = create(ann)
    guess = parsed(program)._replace(secret=credentials.new_secret()).text

    with nothing_changes():
        assert_refused(Client(guess).get(ME), 401, "token_invalid")

    assert listed(ann)[token_id(program)]["last_used_at"] is None


# --- attacks ----------------------------------------------------------------------------------


def forgeries(mine: Credential, another: Credential) -> dict[str, str]:
    """Texts with a right checksum that are no token."""
    return {
        "a guess": mine._replace(secret=credentials.new_secret()).text,
        "another user's part": mine._replace(user_id=another.user_id).text,
        "another token's part": mine._replace(part=another.part).text,
        "another's ids with my secret": another._replace(secret=mine.secret).text,
        "my ids with another's secret": mine._replace(secret=another.secret).text,
        "an unknown user": mine._replace(user_id="usr_01kaq3h5x0c2m9f7r4tz").text,
        "an unknown token": mine._replace(part="01kaq3h5x0c2m9f7r4tz").text,
    }


@pytest.mark.parametrize("name", forgeries(*[Credential("slw", "usr_1", "2", "3")] * 2))
def test_a_forged_token_is_refused(ann: Client, bob: Client, name: str) -> None:
    mine, another = create(ann), create(bob)
    forged = forgeries(parsed(mine), parsed(another))[name]

    with nothing_changes():
        answer = Client(forged).get(ME)

    assert_refused(answer, 401, "token_invalid")
    assert (mine.get(ME).status, another.get(ME).status) == (200, 200)


def test_a_forged_token_does_not_tell_whether_a_user_exists_or_is_disabled(ann: Client) -> None:
    known = parsed(create(ann))._replace(secret=credentials.new_secret())
    unknown = known._replace(user_id="usr_01kaq3h5x0c2m9f7r4tz")

    answers = [Client(each.text).get(ME).text for each in (known, unknown)]
    set_status(ann, "disabled")
    answers.append(Client(known.text).get(ME).text)

    assert len(set(answers)) == 1


def malformed(text: str) -> dict[str, str]:
    body = text[:-7]
    return {
        "cut off": text[:-1],
        "without its checksum": body,
        "without its secret": body[:44],
        "a letter too many": f"{text}0",
        "one letter changed": f"{text[:50]}{'A' if text[50] != 'A' else 'B'}{text[51:]}",
        "two letters swapped": text[:4] + text[4:44][::-1] + text[44:],
        "in upper case": f"slw_{text[4:].upper()}",
        "only the prefix": "slw_",
        "with a dot": f"{text}.a.b",
        "very long": f"slw_{'a' * 10_000}",
        "of letters that are no part of an id": f"slw_{'u' * 40}{text[44:]}",
    }


@pytest.mark.parametrize("name", malformed("slw_" + "a" * 79))
def test_what_cannot_be_a_token_costs_no_call(
    ann: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text = malformed(create(ann).token or "")[name]
    api_tokens.forget()
    made = between.counted(monkeypatch)
    monkeypatch.setattr(secrets_manager, "send", lambda body: made.append("a secret"))

    answer = Client(text).get(ME)

    assert_refused(answer, 401, "token_invalid")
    assert made == []


def test_the_table_has_no_token_and_its_hash_has_a_key(ann: Client) -> None:
    import hashlib
    import hmac

    keyed = ann.with_headers(idempotency_key="once")
    answers = [keyed.post(TOKENS, wanted()).json for _ in range(2)]
    program = Client(answers[0]["token"])
    assert program.with_headers(idempotency_key="k").get(ME).status == 200

    held = json.dumps(world.everything())

    text, secret = program.token or "", parsed(program).secret
    assert answers[0]["id"] != answers[1]["id"]
    assert text not in held and secret not in held
    assert hashlib.sha256(text.encode()).hexdigest() not in held
    assert hmac.digest(b"t" * 64, text.encode(), "sha256").hex() in held


def test_a_token_is_in_no_answer_and_no_log(ann: Client, caplog: pytest.LogCaptureFixture) -> None:
    program = create(ann, "read", "tokens")
    text, secret = program.token or "", parsed(program).secret
    caplog.clear()

    answers = [
        ann.delete(f"{TOKENS}/{text}"),
        ann.get(f"/{text}"),
        ann.get(f"/api/v1/environments/{text}"),
        ann.get(PROJECTS, token=text),
        ann.get(TOKENS, cursor=text),
        ann.post(TOKENS, wanted(**{text: 1})),
        ann.post(TOKENS, wanted(scopes=[text])),
        ann.post("/api/v1/auth/refresh", {"refresh_token": text}),
        ann.form("/api/v1/auth/login", {"username": text, "password": text}),
        program.get(f"/api/v1/auth/me/{text}"),
        program.get("/api/v1/users"),
    ]

    said = str([vars(each) for each in caplog.records])
    assert all(400 <= each.status < 500 for each in answers)
    assert token_id(program).split("_")[2] in said
    assert secret not in said
    assert not [each.text for each in answers if secret in each.text + json.dumps(each.headers)]


def test_a_guess_takes_no_request_from_its_users_minute(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMITS", "100,100,500,200,200,200,200,200,5")
    limits.cache_clear()
    program = create(ann)
    guess = Client(parsed(program)._replace(secret=credentials.new_secret()).text)
    rates.forget()

    for _ in range(20):
        assert_refused(guess.get(ME), 401, "token_invalid")

    assert program.get(ME).status == 200


def test_ten_tokens_of_a_user_share_one_allowance(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = [create(ann) for _ in range(10)]
    monkeypatch.setattr("slipway.store.rates.time.time", lambda: 1_790_000_000.0)
    monkeypatch.setenv("LIMITS", "100,100,500,200,200,200,200,200,10")
    limits.cache_clear()

    served = [each.get(ME).status for each in programs * 4].count(200)

    assert served <= 12
    assert_refused(ann.get(ME), 429, "too_many_requests")


def test_marks_of_two_tokens_of_a_user_are_apart(ann: Client) -> None:
    programs = [create(ann, "config").with_headers(idempotency_key="k") for _ in range(2)]

    answers = [each.post(PROJECTS, {"name": f"p{n}"}) for n, each in enumerate(programs)]
    again = [each.post(PROJECTS, {"name": f"p{n}"}) for n, each in enumerate(programs)]

    assert [each.status for each in answers] == [201, 201]
    assert [each.raw for each in again] == [each.raw for each in answers]


# --- faults -----------------------------------------------------------------------------------


def test_a_secret_that_cannot_be_read_is_503_and_read_again(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = create(ann)
    api_tokens.forget()
    tries: list[bytes] = []

    def unreachable(body: bytes) -> tuple[int, bytes]:
        tries.append(body)
        raise ConnectionError("refused, SecretString")

    with monkeypatch.context() as patch:
        patch.setattr(secrets_manager, "send", unreachable)
        answer = program.get(ME)

    assert_refused(answer, 503, "store_unavailable")
    assert len(tries) == 3
    assert program.get(ME).status == 200


def test_a_rotated_secret_ends_all_tokens_within_minutes(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = create(ann)
    monkeypatch.setattr(secrets_manager, "read", lambda name: "another secret")
    assert program.get(ME).status == 200
    later = time.time() + api_tokens.KEEP_SECRET_SECONDS + 1
    monkeypatch.setattr("slipway.access.api_tokens.time.time", lambda: later)

    assert_refused(program.get(ME), 401, "token_invalid")


@pytest.mark.parametrize("method", ["POST", "DELETE", "DELETE all"])
def test_a_write_that_keeps_failing_is_told_to_come_again(
    ann: Client, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    program = create(ann)
    between.no_sleep(monkeypatch)
    refusals = [between.canceled("TransactionConflict")] * 12
    between.fails(monkeypatch, "TransactWriteItems", *refusals)

    if method == "POST":
        answer = ann.post(TOKENS, wanted())
    else:
        answer = revoke(ann, program) if method == "DELETE" else ann.delete(TOKENS)

    assert_refused(answer, 429, "busy")
    assert program.get(ME).status == 200
