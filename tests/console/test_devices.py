"""Approving a device's sign-in on a page of the console."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api.client import Client
from tests.support.console import Browser, Handlers, elements, texts

START, TOKEN = "/api/v1/auth/device", "/api/v1/auth/device/token"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
PAGE = "/console/device"


@pytest.fixture
def begun(reached: Handlers) -> dict[str, Any]:
    """A device that waits for a person; its address is the browser's."""
    found: dict[str, Any] = Client().form(START, {"client_id": "slipway-cli"}).json
    return found


def asks(begun: dict[str, Any]) -> str:
    """What the device is told: an error, or nothing if it has its tokens."""
    fields = {"grant_type": GRANT, "device_code": begun["device_code"], "client_id": "slipway-cli"}
    answer = Client().form(TOKEN, fields).json
    return str(answer.get("error", "")) if "access_token" not in answer else "tokens"


def test_the_link_of_the_device_shows_who_asks_and_approves_nothing(
    ann: Browser, begun: dict[str, Any]
) -> None:
    page = ann.get(f"{PAGE}?user_code={begun['user_code']}")

    said = texts(page.text)
    assert begun["user_code"] in said and "asks to be signed in as ann@example.com" in said
    assert "another address" not in said
    assert asks(begun) == "authorization_pending"


@pytest.mark.parametrize(("verdict", "told"), [("approve", "tokens"), ("deny", "access_denied")])
def test_a_person_decides(ann: Browser, begun: dict[str, Any], verdict: str, told: str) -> None:
    where = f"{PAGE}?user_code={begun['user_code'].lower().replace('-', '')}"

    done = ann.submit(where, PAGE, {"verdict": verdict})

    assert done.status == 303, texts(done.text)
    assert "go back to it" in texts(ann.get(done.headers["location"]).text) or verdict == "deny"
    assert asks(begun) == told


def test_a_device_at_another_address_is_warned_of(ann: Browser, begun: dict[str, Any]) -> None:
    ann.source = "198.51.100.9"

    page = ann.get(f"{PAGE}?user_code={begun['user_code']}")

    assert "The device is at another address than you are" in texts(page.text)


def test_a_wrong_code_is_told_and_can_be_corrected(ann: Browser) -> None:
    page = ann.get(f"{PAGE}?user_code=BBBB-BBBB")

    assert page.status == 404
    assert "user_code" in [each.get("name") for each in elements(page.text, "input")]
    assert ann.get(PAGE).status == 200


def test_another_site_can_neither_approve_nor_be_led_to_by_a_verdict(
    ann: Browser, begun: dict[str, Any]
) -> None:
    body = f"user_code={begun['user_code']}&verdict=approve"
    answer = ann.send("POST", PAGE, body, {"sec-fetch-site": "cross-site"})

    assert answer.status == 403
    assert "<script" not in texts(ann.get(f"{PAGE}?verdict=<script>").text)
    assert asks(begun) == "authorization_pending"


def test_somebody_who_is_not_signed_in_comes_back_to_the_code(
    stranger: Browser, begun: dict[str, Any]
) -> None:
    away = stranger.get(f"{PAGE}?user_code={begun['user_code']}")

    assert away.status == 303
    assert begun["user_code"] in away.headers["location"]
