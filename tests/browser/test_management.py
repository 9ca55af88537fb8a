"""Templates, variables, members, tokens and users, by the console alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from local.platform import Platform
from tests.support.administrator import administrator
from tests.support.browsing import accessible, register
from tests.support.http_user import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def press(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def project(page: Any, name: str) -> str:
    """The address of a new project."""
    page.goto("/console")
    if not page.get_by_label("Name").is_visible():
        page.get_by_text("New project").click()
    page.get_by_label("Name").fill(name)
    press(page, "Create project")
    page.get_by_role("heading", name=name).wait_for()
    return str(page.url).partition("?")[0]


def test_a_template_is_written_published_and_used(page: Any) -> None:
    register(page)
    page.get_by_role("link", name="Templates", exact=True).click()
    if not page.get_by_label("Name").is_visible():
        page.get_by_text("New template").click()
    accessible(page)
    page.get_by_label("Name").fill("queue")
    press(page, "Create template")
    page.get_by_role("heading", name="queue").wait_for()
    accessible(page)
    # The first version begins with an example.
    press(page, "Add as a draft")
    page.get_by_role("heading", name="queue 1.0").wait_for()
    accessible(page)
    press(page, "Publish")
    page.get_by_text("Published. Environments can be made from it.").wait_for()
    accessible(page)
    project(page, "with a queue")
    page.get_by_role("link", name="New environment").click()
    page.get_by_role("link", name="queue", exact=True).click()
    page.get_by_label("Name", exact=True).fill("preview-1")
    press(page, "Create environment")

    page.locator("#summary .state", has_text="running").wait_for(timeout=60_000)


def test_variables_and_a_secret_are_set(page: Any) -> None:
    register(page)
    where = project(page, "configured")
    page.get_by_role("link", name="Variables").click()
    page.get_by_label("Set variables").fill("LOG_LEVEL=info\nREGION='eu west'")
    press(page, "Set")
    page.get_by_role("cell", name="eu west").wait_for()
    accessible(page)
    page.goto(f"{where}/new?template=-")
    page.get_by_label("Name", exact=True).fill("preview-1")
    press(page, "Create environment")
    page.locator("#summary .state", has_text="running").wait_for(timeout=60_000)
    page.get_by_role("link", name="Variables and secrets").click()
    page.get_by_role("cell", name="eu west").wait_for()
    page.get_by_label("Name", exact=True).fill("DATABASE_URL")
    page.get_by_label("Value", exact=True).fill("postgres://hunter22")
    press(page, "Set the secret")

    page.get_by_role("cell", name="DATABASE_URL", exact=True).wait_for()
    assert "hunter22" not in page.content()
    accessible(page)


def test_members_settings_and_the_audit_of_a_project(page: Any) -> None:
    register(page)
    where = project(page, "shared")
    page.get_by_role("link", name="Members").click()
    page.get_by_text("Add somebody").click()
    accessible(page)
    page.get_by_label("E-mail").fill("new@example.com")
    press(page, "Add")
    page.get_by_text("/console/register?invitation=").wait_for()
    accessible(page)
    page.get_by_role("link", name="Go on").click()
    page.get_by_role("link", name="new@example.com").click()
    accessible(page)
    press(page, "Revoke the invitation")
    page.get_by_text("Removed.").wait_for()
    page.goto(f"{where}/settings")
    page.get_by_label("Hours to live, at most").fill("soon")
    press(page, "Change")
    page.get_by_role("alert").wait_for()
    accessible(page)
    page.goto(f"{where}/audit")
    page.get_by_role("cell", name="members:change").first.wait_for()
    accessible(page)


def test_a_token_is_made_and_revoked(page: Any) -> None:
    register(page)
    page.get_by_role("link", name="Tokens").click()
    accessible(page)
    page.get_by_label("Name").fill("deploy from CI")
    press(page, "Create token")
    page.locator("pre", has_text=re.compile("slw_")).wait_for()
    accessible(page)
    page.get_by_role("link", name="Go on").click()
    press(page, "Revoke")
    page.get_by_text("You have no tokens.").wait_for()
    page.get_by_role("link", name="Confirmations").click()
    page.get_by_text("Nothing waits for you.").wait_for()
    accessible(page)


def test_an_administrator_sees_users_and_their_quotas(page: Any, platform: Platform) -> None:
    email = register(page)
    press(page, "Sign out")
    root = administrator(platform)
    page.get_by_label("E-mail").fill(root.email)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")
    page.get_by_role("link", name="Users").click()
    accessible(page)
    page.get_by_role("link", name=email, exact=True).click()
    page.get_by_role("cell", name="MaxProjectsPerUser").wait_for()
    accessible(page)
    press(page, "Disable the user")
    page.get_by_role("button", name="Enable the user").wait_for()
    page.get_by_role("link", name="Audit").click()
    page.get_by_role("cell", name="users:change").first.wait_for()
    accessible(page)
