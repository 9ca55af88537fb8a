"""The page behind one-time links: its script, run by Node.js with a page of stubs."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.support.api.client import Client
from tests.support.repository import ROOT

SCRIPT = ROOT / "functions/api/docs/assets/account.js"
PAGE = """
const shown = {heading: "", said: "", hidden: true, sent: null, kept: false};
const heading = {set textContent(text) { shown.heading = text; }};
const output = {set textContent(text) { shown.said = text; }};
let submit = null;
const form = {
  elements: {namedItem: () => ({value: "secret123"})},
  set hidden(value) { shown.hidden = value; },
  addEventListener: (name, listener) => { submit = listener; },
};
globalThis.document = {querySelector: (name) => ({form, output, h1: heading})[name]};
globalThis.location = {hash: process.argv[2], pathname: "/docs/account"};
globalThis.history = {replaceState: () => { shown.kept = true; }};
globalThis.fetch = async (path, request) => {
  shown.sent = {path, method: request.method, body: JSON.parse(request.body)};
  return {ok: process.argv[3] === "ok", json: async () => ({detail: "It has expired."})};
};
"""
END = """
(async () => {
  if (submit) await submit({preventDefault() {}});
  console.log(JSON.stringify(shown));
})();
"""

needs_node = pytest.mark.skipif(not shutil.which("node"), reason="there is no Node.js")


def opened(fragment: str, answer: str = "ok") -> dict[str, Any]:
    """The page's text and request after the form was sent."""
    script = PAGE + SCRIPT.read_text() + END
    ran = subprocess.run(
        ["node", "-", fragment, answer], input=script, capture_output=True, text=True, check=True
    )
    shown: dict[str, Any] = json.loads(ran.stdout)
    return shown


@needs_node
@pytest.mark.parametrize(
    ("fragment", "path", "body"),
    [
        (
            "#invitation=inv_1.abc&email=ann%2Bx%40example.com",
            "register",
            {"email": "ann+x@example.com", "password": "secret123", "invitation": "inv_1.abc"},
        ),
        ("#verify=abc", "verify-email", {"token": "abc", "password": "secret123"}),
        ("#reset=abc", "password-reset/confirm", {"token": "abc", "new_password": "secret123"}),
    ],
)
def test_a_link_is_used_with_the_password(fragment: str, path: str, body: dict[str, str]) -> None:
    shown = opened(fragment)

    assert shown["sent"] == {"path": f"/api/v1/auth/{path}", "method": "POST", "body": body}
    assert (shown["heading"], shown["hidden"]) == ("Done. You can sign in now.", True)
    assert shown["kept"], "the secret stays in the address"


@needs_node
def test_a_refusal_is_shown_and_can_be_corrected() -> None:
    shown = opened("#verify=abc", "refused")

    assert (shown["said"], shown["hidden"]) == ("It has expired.", False)


@needs_node
@pytest.mark.parametrize("fragment", ["", "#", "#x=1"])
def test_an_incomplete_link_sends_nothing(fragment: str) -> None:
    shown = opened(fragment)

    assert shown["sent"] is None
    assert shown["heading"] == "This link is not complete"


def test_the_page_is_served_with_its_script(aws: None) -> None:
    page = Client().get("/docs/account")
    script = Client().get("/docs/assets/account.js")

    assert (page.status, script.status) == (200, 200)
    assert '<script src="/docs/assets/account.js"></script>' in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert script.text == SCRIPT.read_text()
