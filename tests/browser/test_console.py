"""A person who has never seen Slipway, with the console alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.browsing import PASSWORD, accessible, register
from tests.support.http_user import Person

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_somebody_registers_signs_out_and_signs_in(page: Any) -> None:
    email = register(page)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You are signed out.").wait_for()
    accessible(page)
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill("wrong-one-1")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()
    accessible(page)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    page.get_by_role("heading", name="Projects", exact=True).wait_for()
    accessible(page)


def test_a_project_is_made_and_a_refusal_stands_beside_its_field(page: Any) -> None:
    register(page)
    page.get_by_label("Name").fill("payments")
    page.get_by_label("Repository").fill("https://")
    page.get_by_role("button", name="Create project").click()
    error = page.locator("#repo_url-error")
    error.wait_for()

    assert "must be a URL" in error.text_content()
    assert page.get_by_label("Repository").get_attribute("aria-invalid") == "true"
    assert page.locator("[data-focus]").evaluate("node => node === document.activeElement")
    accessible(page)
    page.get_by_label("Repository").fill("https://github.com/acme/payments")
    page.get_by_role("button", name="Create project").click()
    page.get_by_role("heading", name="payments").wait_for()
    accessible(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_contrast_in_both_schemes(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    register(page)

    accessible(page)


def test_a_page_can_be_used_by_keyboard_alone(page: Any) -> None:
    register(page)
    page.keyboard.press("Tab")
    assert page.locator(":focus").text_content() == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("by-keyboard")
    page.keyboard.press("Enter")

    page.get_by_role("heading", name="by-keyboard").wait_for()


def test_pages_work_without_scripts(platform: Any, chromium: Any) -> None:
    context = chromium.new_context(base_url=platform.url, java_script_enabled=False)
    page = context.new_page()
    register(page)
    page.get_by_label("Name").fill("without scripts")
    page.get_by_role("button", name="Create project").click()

    page.get_by_role("heading", name="without scripts").wait_for()
    context.close()


def test_a_device_is_approved(page: Any, platform: Any) -> None:
    device = Person(platform.url)
    asked = {"client_id": "slipway-cli"}
    begun = device.ask("POST", "/api/v1/auth/device", form=asked).body
    register(page)
    page.goto("/console/device")
    page.get_by_label("Code").fill(begun["user_code"].lower())
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("asks to be signed in as").wait_for()
    accessible(page)
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("go back to it").wait_for()

    grant = "urn:ietf:params:oauth:grant-type:device_code"
    form = {"grant_type": grant, "device_code": begun["device_code"], **asked}
    assert device.ask("POST", "/api/v1/auth/device/token", form=form).body["access_token"]
