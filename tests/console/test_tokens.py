"""The caller's tokens in the console."""

from __future__ import annotations

import re

from slipway.console.pages import tokens
from slipway.domain import credentials
from slipway.domain.rights import SCOPES
from tests.support.api.client import Client
from tests.support.console import Browser, form, texts

TOKENS = "/console/tokens"
PROJECTS = "/api/v1/projects"


def made(ann: Browser, **fields: object) -> str:
    """The token that the form makes."""
    answer = ann.submit(TOKENS, TOKENS, {"name": "ci", "scopes": ["read", "config"], **fields})
    assert answer.status == 200, texts(answer.text)
    found = re.search(credentials.PATTERN, answer.text)
    assert found and answer.headers["cache-control"] == "no-store"
    return found[0]


def test_a_token_is_shown_once_works_and_is_revoked(ann: Browser) -> None:
    token = made(ann)

    assert Client(token).get(PROJECTS).status == 200
    page = ann.get(TOKENS).text
    assert token not in page and "ci ci config, read nothing" in texts(page)
    [where] = re.findall(r'action="(/console/tokens/tok_[^"]+/revoke)"', page)
    assert ann.submit(TOKENS, where).headers["location"] == f"{TOKENS}?done=revoked"
    assert Client(token).get(PROJECTS).status == 401


def test_a_token_is_limited_to_what_was_ticked(ann: Browser) -> None:
    ann.submit("/console", "/console/projects", {"name": "payments"})
    ann.submit("/console", "/console/projects", {"name": "orders"})
    [project] = re.findall(r'value="(prj_[^"]+)"> orders', ann.get(TOKENS).text)

    token = made(ann, project_ids=[project], tiers=["preview"], expires_in_days="7")

    assert [each["name"] for each in Client(token).get(PROJECTS).json] == ["orders"]
    assert "1 project, preview" in texts(ann.get(TOKENS).text)


def test_a_refusal_keeps_what_was_ticked(ann: Browser) -> None:
    fields = {"name": "ci", "scopes": ["destroy"], "expires_in_days": "1000"}

    answer = ann.submit(TOKENS, TOKENS, fields)

    assert answer.status == 422
    assert 'id="expires_in_days-error"' in answer.text
    assert re.search(r'value="destroy" checked', answer.text)
    assert not re.search(r'value="read" checked', answer.text)


def test_without_a_scope_it_says_so(ann: Browser) -> None:
    sent = form(ann.get(TOKENS).text, TOKENS)

    answer = ann.post(TOKENS, {**sent, "name": "ci", "scopes": []})

    assert answer.status == 422
    assert 'id="scopes-error"' in answer.text


def test_all_tokens_are_revoked_at_once(ann: Browser) -> None:
    known = [made(ann, name=f"token {number}") for number in range(3)]

    assert ann.submit(TOKENS, f"{TOKENS}/revoke-all").status == 303

    assert {Client(each).get(PROJECTS).status for each in known} == {401}
    assert ann.get("/console").status == 200


def test_every_scope_can_be_ticked() -> None:
    assert [scope for scope, _ in tokens._SCOPES] != []
    assert {scope for scope, _ in tokens._SCOPES} == set(SCOPES)
