"""Requests that no route can take: wrong methods, media types, sizes, ids. Nothing changes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from slipway.http.routes import MAX_BODY_BYTES
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import FORM, Client
from tests.support.api.people import Stage
from tests.support.api.registering import appoint
from tests.support.api.routes import PATHS, WITH_BODY, Here, filled, ids_of

pytestmark = pytest.mark.no_cover


@pytest.fixture(scope="module")
def ann(stage: Stage) -> Client:
    return stage.ann


@pytest.fixture(scope="module")
def here(stage: Stage) -> Here:
    return ids_of(stage)


every_path = pytest.mark.parametrize("path", PATHS)
every_body = pytest.mark.parametrize("method,path", WITH_BODY, ids=lambda word: str(word))


# --- methods --------------------------------------------------------------------------------


@every_path
def test_a_wrong_method_is_refused_with_the_methods_that_are_allowed(
    ann: Client, here: Here, path: str
) -> None:
    methods = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"}
    with nothing_changes():
        answers = {
            method: ann.send(method, filled(path, here), "{}") for method in methods - served(path)
        }

    allowed = served(path) | ({"HEAD"} if "GET" in served(path) else set())
    assert answers
    for answer in answers.values():
        assert_refused(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == ", ".join(sorted(allowed))


def served(path: str) -> set[str]:
    """The methods of the path, also those of routes whose parts can be what it says."""
    return {
        method
        for other, methods in PATHS.items()
        if re.fullmatch(re.sub(r"<\w+>", "[^/]+", other), path)
        for method in methods
    }


@pytest.mark.parametrize("path", [path for path in PATHS if path.startswith("/api/")])
def test_a_trailing_slash_makes_no_difference(here: Here, path: str) -> None:
    # Nobody is signed in, so that what takes no body changes nothing either.
    method = min(PATHS[path])

    with nothing_changes():
        plain, slash = (Client().send(method, filled(path, here) + end, "[]") for end in ("", "/"))

    assert (plain.status, plain.headers) == (slash.status, slash.headers)
    assert plain.status not in (404, 405)


# --- media types ----------------------------------------------------------------------------

MEDIA = {
    "text": "text/plain",
    "XML": "application/xml",
    "several parts": "multipart/form-data; boundary=x",
    "nearly JSON": "application/json5",
    "a problem": "application/problem+json",
    "two at once": "application/json, text/plain",
    "anything": "*/*",
    "empty": "",
    "none": None,
    "nonsense": ";;;",
}


# Files and forms are other ways to send variables.
OF_VARIABLES = (
    "/api/v1/environments/<environment_id>/variables",
    "/api/v1/projects/<project_id>/variables",
)
# Their clients send forms alone, and hear what is wrong in OAuth's words.
OF_OAUTH = {
    "/api/v1/auth/device": "invalid_client",
    "/api/v1/auth/device/token": "unsupported_grant_type",
}


@pytest.mark.parametrize("media", MEDIA.values(), ids=MEDIA.keys())
def test_another_media_type_is_refused(ann: Client, here: Here, media: str | None) -> None:
    with nothing_changes():
        answers = [
            ann.send(method, filled(path, here), "{}", media=media) for method, path in WITH_BODY
        ]

    for (_, path), answer in zip(WITH_BODY, answers, strict=True):
        if path in OF_VARIABLES and media == "text/plain":
            assert_refused(answer, 400, "malformed_body")
            continue
        assert_refused(answer, 415, "unsupported_media_type")
        assert (FORM if path in OF_OAUTH else "application/json") in answer.json["detail"]


@every_body
def test_only_signing_in_accepts_a_form(ann: Client, here: Here, method: str, path: str) -> None:
    with nothing_changes():
        sent = "na.me=x" if path in OF_VARIABLES else "name=x"
        answer = ann.send(method, filled(path, here), sent, media=FORM)

    if path in OF_OAUTH:
        assert_refused(answer, 400, OF_OAUTH[path])
    elif path.endswith("/login"):
        assert_refused(answer, 422, "invalid_request", "#/username")
    elif path in OF_VARIABLES:
        # A name has no dots.
        assert_refused(answer, 422, "invalid_request", "#/na.me")
    else:
        assert_refused(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "media", ["application/json; charset=utf-8", "APPLICATION/JSON", " application/json ;x=y"]
)
def test_a_media_type_may_have_parameters_and_any_case(ann: Client, media: str) -> None:
    with nothing_changes():
        answer = ann.send("POST", "/api/v1/projects", "{}", media=media)

    assert_refused(answer, 422, "invalid_request", "#/name")


# --- sizes ----------------------------------------------------------------------------------


@every_body
@pytest.mark.parametrize("media", ["application/json", FORM, "application/octet-stream"])
def test_a_body_that_is_too_large_is_refused_unread(
    ann: Client, here: Here, method: str, path: str, media: str
) -> None:
    most = 2_000_000 if path in OF_VARIABLES else MAX_BODY_BYTES
    body = b'{"name":"' + b"x" * (most - 8)
    with nothing_changes():
        answer = ann.send(method, filled(path, here), body, media=media)

    assert len(body) == most + 1
    assert_refused(answer, 413, "body_too_large")


def test_the_size_of_a_body_is_counted_in_bytes(ann: Client) -> None:
    whole = '{"name":"x","description":"%s"}'
    left = MAX_BODY_BYTES - len(whole % "")

    assert_refused(
        ann.send("POST", "/api/v1/projects", whole % ("ü" * (left // 2 + 1))), 413, "body_too_large"
    )
    assert_refused(
        ann.send("POST", "/api/v1/projects", whole % ("x" * left)),
        422,
        "invalid_request",
        "#/description",
    )


# --- ids ------------------------------------------------------------------------------------

PART = "01kaq3h5x0c2m9f7r4tz"
IDS = {
    "a word": "x",
    "nobody's project": f"prj_{'0' * 20}",
    "nobody's environment": f"env_{'0' * 20}_{'0' * 20}",
    "nobody's deployment": f"dep_{'0' * 20}_{'0' * 20}_{'0' * 20}",
    "a user": f"usr_{PART}",
    "upper case": f"PRJ_{PART.upper()}",
    "a short part": f"prj_{PART[:-1]}",
    "a number": "1",
    "negative": "-1",
    "a UUID": "123e4567-e89b-12d3-a456-426614174000",
    "a key of the table": "PROJECT%23x",
    "SQL": "'%20OR%201=1--",
    "a script": "%3Cscript%3E",
    "a null": f"prj_{PART[:-1]}%00",
    "a line's end": f"prj_{PART}%0a",
    "another script": "%D0%BF%D1%80%D0%BE",
    "dots": "..",
    "dots that are hidden": "%2e%2e",
    "a slash that is hidden": f"prj_{PART}%2f",
    "very long": "prj_" + "0" * 5000,
    "what is not UTF-8": "%ff%fe",
    "braces": "%7B%7D",
    "a backslash": "a%5cb",
}
BY_ID = [path for path in PATHS if "_id>" in path]


def by_id() -> Iterator[tuple[str, str]]:
    for path in BY_ID:
        yield from ((method, path) for method in sorted(PATHS[path]))


BODIES = {
    "/api/v1/projects/<project_id>": '{"name":"x"}',
    "/api/v1/environments/projects/<project_id>": '{"name":"x","type":"persistent"}',
    "/api/v1/projects/<project_id>/environments/by-external-id/<external_id>": (
        '{"name":"x","type":"persistent"}'
    ),
    "/api/v1/projects/<project_id>/environments": '{"name":"x","type":"persistent"}',
    "/api/v1/deployments/environments/<environment_id>": '{"version":"v1"}',
    "/api/v1/environments/<environment_id>/deployments": '{"version":"v1"}',
    "/api/v1/projects/<project_id>/environments/<environment_id>": '{"tier":"staging"}',
    "/api/v1/projects/<project_id>/environments/<environment_id>/deployments": '{"version":"v1"}',
    "/api/v1/environments/<environment_id>/extend": '{"ttl_hours":1}',
    "/api/v1/environments/<environment_id>/pin": '{"reason":"demo"}',
    "/api/v1/environments/<environment_id>/update": '{"inputs":{}}',
    "/api/v1/environments/<environment_id>/rollback": '{"reason":"broken"}',
    "/api/v1/environments/<environment_id>": '{"tier":"staging"}',
    "/api/v1/users/<user_id>": '{"platform_role":"member"}',
    "/api/v1/users/<user_id>/hand-over": '{"user_id":"usr_01kaq3h5x0c2m9f7r4tz"}',
    "/api/v1/projects/<project_id>/members": '{"email":"x@example.com","role":"viewer"}',
    "/api/v1/projects/<project_id>/members/<member_id>": '{"role":"viewer"}',
    "/api/v1/projects/<project_id>/transfer": '{"user_id":"usr_01kaq3h5x0c2m9f7r4tz"}',
    "/api/v1/projects/<project_id>/trusts": (
        '{"preset":"github","claims":{"repository_id":"1"},"scopes":["read"]}'
    ),
    "/api/v1/projects/<project_id>/trusts/<trust_id>": '{"scopes":["read"]}',
    **dict.fromkeys(OF_VARIABLES, '{"A":"1"}'),
    **{
        f"/api/v1/{kind}/secrets/<secret>": '{"value":"x"}'
        for kind in ("environments/<environment_id>", "projects/<project_id>")
    },
    **{
        f"/api/v1/{kind}/configurations/purge": '{"name":"A"}'
        for kind in ("environments/<environment_id>", "projects/<project_id>")
    },
    "/api/v1/projects/<project_id>/pipeline": '{"stages":[]}',
}


@pytest.mark.parametrize("bad", IDS.values(), ids=IDS.keys())
def test_a_malformed_id_is_not_found(ann: Client, here: Here, bad: str) -> None:
    appoint(ann.user_id)

    with nothing_changes():
        answers = {
            f"{method} {path}": ann.send(method, re.sub(r"<\w+>", bad, path), BODIES.get(path))
            for method, path in by_id()
            # Another route has this path.
            if (method, path) != ("GET", f"/api/v1/{bad}")
        }

    assert len(answers) > 8
    for name, answer in answers.items():
        assert answer.status in (404, 405), name
        assert_refused(
            answer, answer.status, {404: "not_found", 405: "method_not_allowed"}[answer.status]
        )


def test_an_id_of_another_kind_is_not_found(ann: Client, here: Here) -> None:
    appoint(ann.user_id)
    cases = [
        (method, filled(path.replace(f"<{name}>", wrong), here), BODIES.get(path))
        for method, path in by_id()
        for name in re.findall(r"<(\w+)>", path)
        for other, wrong in here.items()
        # A caller's own name for an environment may look like anything.
        if other.endswith("_id")
        and other not in (name, "external_id")
        and name not in ("external_id", "secret")
        # A member's id is that of a user, or of an invitation.
        and not {name, other} <= {"member_id", "user_id", "invitation_id"}
        # Two environments are compared.
        and not {name, other} <= {"environment_id", "other_id"}
    ]
    with nothing_changes():
        answers = [ann.send(*case) for case in cases]

    assert len(answers) > 20
    for answer in answers:
        assert_refused(answer, 404, "not_found")


# --- Idempotency-Key ------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256, "a\tb"], ids=repr)
def test_a_malformed_idempotency_key_is_refused(ann: Client, key: str) -> None:
    with nothing_changes():
        answer = ann.with_headers(idempotency_key=key).post("/api/v1/projects", {"name": "x"})

    assert_refused(answer, 422, "invalid_request", "Idempotency-Key")
