"""Any input gets a well-formed answer, and never one that says that Slipway failed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.api.client import JSON, PROBLEM, Answer, Client, call, event
from tests.support.api.people import Stage, password_hash
from tests.support.api.routes import MODELS, PATHS, WITH_BODY, Here, filled, ids_of

pytestmark = pytest.mark.no_cover


# One table for all examples of a test: what one left there must not hurt the next either.
quick = settings(
    max_examples=80,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)

# Signing out would end the session that all examples share.
LASTING = sorted(path for path in PATHS if "/logout" not in path)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=80)
    | st.sampled_from(["ephemeral", "persistent", "x", "v1", "\ufdfa" * 63, "a@example.com"])
    | st.sampled_from([1e-200, 5e-324, 1e308, 10**400, 0.002, 24])
)
FIELDS = sorted({name for model in MODELS for name in model.model_fields})
names = st.sampled_from(FIELDS)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(names | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
bodies = st.dictionaries(names, values, max_size=7) | values


def assert_well_formed(answer: Answer) -> None:
    assert 200 <= answer.status < 500, answer
    if answer.status >= 400:
        assert answer.headers["content-type"] == PROBLEM
        assert answer.json["status"] == answer.status
        assert re.fullmatch(r"[a-z_]+", answer.json["code"])
    elif answer.raw and answer.headers["content-type"] == JSON:
        json.loads(answer.raw)


@pytest.fixture(scope="module", autouse=True)
def _quick_passwords() -> Iterator[None]:
    password_hash()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slipway.access.passwords.hash_password", lambda password: "a hash")
        yield


@pytest.fixture(scope="module")
def ann(stage: Stage) -> Client:
    return stage.ann


@pytest.fixture(scope="module")
def here(stage: Stage) -> Here:
    return ids_of(stage)


@quick
@given(body=bodies, which=st.sampled_from(WITH_BODY))
@example({"name": "x", "type": "ephemeral", "ttl_hours": 1e-200}, WITH_BODY[0])
def test_any_json_to_any_route_is_answered(
    ann: Client, here: Here, body: Any, which: tuple[str, str]
) -> None:
    method, path = which
    text = json.dumps(body)

    answer = ann.send(method, filled(path, here), text)

    assert_well_formed(answer)


@quick
@given(body=st.binary(max_size=300), which=st.sampled_from(WITH_BODY), media=st.booleans())
def test_any_bytes_to_any_route_are_answered(
    ann: Client, here: Here, body: bytes, which: tuple[str, str], media: bool
) -> None:
    method, path = which
    kind = "application/json" if media else "application/x-www-form-urlencoded"

    assert_well_formed(ann.send(method, filled(path, here), body, media=kind))


# API Gateway decodes a path before it sends it on, so it may have any character.
anywhere = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
tokens = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80)
methods = st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "X"])


@quick
@given(method=methods, path=anywhere, which=st.sampled_from(LASTING))
def test_any_path_is_answered(ann: Client, here: Here, method: str, path: str, which: str) -> None:
    below = re.sub(r"<\w+>.*", "", which)

    for made in (f"/{path}", below + path, f"{filled(which, here)}/{path}"):
        request = event(method, "/", headers={"authorization": f"Bearer {ann.token}"})
        request["rawPath"] = request["requestContext"]["http"]["path"] = made
        answer = call(request)
        if method != "HEAD":
            assert_well_formed(answer)
        assert answer.status < 500


@quick
@given(
    name=st.sampled_from(
        ["authorization", "if-match", "content-type", "idempotency-key", "host", "accept-encoding"]
    ),
    value=tokens,
    bearer=st.booleans(),
    which=st.sampled_from(LASTING),
)
def test_any_header_is_answered(
    ann: Client, here: Here, name: str, value: str, bearer: bool, which: str
) -> None:
    sent = f"Bearer {value}" if bearer and name == "authorization" else value
    client = ann.with_headers(**{name: sent})

    for method in sorted(PATHS[which]):
        # Nothing that is needed for the next example goes away.
        if method != "DELETE":
            assert_well_formed(client.send(method, filled(which, here), '{"name":"x"}'))


@quick
@given(query=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@example("limit=1&cursor=%00")
@example("cursor=UFJPSkVDVCM")
@example("limit=１")  # noqa: RUF001
def test_any_query_is_answered(ann: Client, here: Here, query: str) -> None:
    for path in ("/api/v1/projects", "/api/v1/deployments/environments/<environment_id>"):
        request = event("GET", filled(path, here), "", {"authorization": f"Bearer {ann.token}"})
        request["rawQueryString"] = query

        assert_well_formed(call(request))


def test_the_properties_are_checked_against_objects_that_exist(ann: Client, here: Here) -> None:
    """Else the properties above would prove little."""
    assert ann.get(f"/api/v1/deployments/{here['deployment_id']}").status == 200
    assert len(WITH_BODY) >= 8
    assert len(PATHS) > 15
