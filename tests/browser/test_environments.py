"""From a template to an environment that runs, by the console alone."""

from __future__ import annotations

from typing import Any

import pytest

from local.platform import Platform
from tests.support.browsing import PASSWORD, accessible, register
from tests.support.http_user import Person, send
from tests.support.repository import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
TEMPLATE = ROOT / "examples/hello-web/template.yaml"
# The console shows a change within two seconds; the machine may be busy with other tests.
SOON = 20_000


@pytest.fixture(scope="module")
def template(platform: Platform) -> str:
    """A template that anyone may use."""
    owner = Person(platform.url).sign_in()
    assert owner.ask("POST", "/api/v1/templates", {"name": "hello-web"}).status == 201
    made = send(owner, "/api/v1/templates/hello-web/versions", TEMPLATE.read_text())
    assert made.status == 201, made.raw
    where = f"/api/v1/templates/hello-web/versions/{made.body['version']}/publish"
    assert owner.ask("POST", where).status == 200
    return "hello-web"


def new_environment(page: Any, template: str, name: str) -> None:
    page.get_by_label("Name").fill(f"project of {name}")
    page.get_by_role("button", name="Create project").click()
    page.get_by_role("link", name="New environment").click()
    page.get_by_role("link", name=template, exact=True).click()
    page.get_by_label("Name", exact=True).fill(name)


def test_an_environment_is_made_deployed_extended_and_destroyed(page: Any, template: str) -> None:
    register(page)
    new_environment(page, template, "preview-1")
    accessible(page)
    page.get_by_label("Greeting").fill("12 !")
    page.get_by_role("button", name="Create environment").click()
    assert "must match" in page.locator("[id='inputs.Greeting-error']").text_content()
    page.get_by_label("Greeting").fill("Good morning")
    page.get_by_role("button", name="Create environment").click()
    page.locator("#summary .state", has_text="running").wait_for(timeout=60_000)
    accessible(page)

    page.get_by_label("Version").fill("v1")
    page.get_by_role("button", name="Deploy").click()
    page.locator("#rollout .state", has_text="succeeded").wait_for(timeout=60_000)
    assert page.locator("#rollout rect.done").count() > 2
    accessible(page)
    page.get_by_role("link", name="preview-1").click()
    page.locator("#summary dd", has_text="v1").first.wait_for()

    page.get_by_text("Keep it longer").click()
    page.get_by_label("Hours from now").fill("99999")
    page.get_by_role("button", name="Extend").click()
    page.get_by_role("alert").wait_for()
    page.get_by_label("Hours from now").fill("48")
    page.get_by_role("button", name="Extend").click()
    page.get_by_text("It lives longer now.").wait_for()

    page.get_by_role("link", name="Resources and drift").click()
    page.get_by_role("cell", name="AWS::DynamoDB::Table").wait_for()
    accessible(page)
    page.get_by_role("link", name="Environment").click()
    page.get_by_text("Destroy it").click()
    page.get_by_role("button", name="Destroy this environment").click()
    page.locator("#summary .state", has_text="destroyed").wait_for(timeout=60_000)
    accessible(page)


def test_what_another_person_does_is_shown_without_a_reload(
    page: Any, platform: Platform, template: str
) -> None:
    email = register(page)
    other = Person(platform.url)
    form = {"username": email, "password": PASSWORD}
    other.token = other.ask("POST", "/api/v1/auth/login", form=form).body["access_token"]
    project = other.project("live")
    page.goto(f"/console/projects/{project}")
    page.get_by_text("There is no environment yet.").wait_for()
    made = other.environment(project, "seen-at-once")
    page.get_by_role("link", name="seen-at-once", exact=True).wait_for(timeout=SOON)
    page.locator(".card .state", has_text="running").wait_for(timeout=SOON)

    page.get_by_role("link", name="seen-at-once", exact=True).click()
    page.locator("#summary .state", has_text="running").wait_for()
    other.deploy(made["id"], "v7")
    page.locator("#activity", has_text="v7").wait_for(timeout=SOON)
    page.locator("#summary", has_text="v7").wait_for(timeout=SOON)


def test_nothing_is_asked_for_while_the_page_is_hidden(
    page: Any, platform: Platform, template: str
) -> None:
    register(page)
    new_environment(page, template, "hidden")
    page.get_by_role("button", name="Create environment").click()
    page.locator("#summary .state", has_text="running").wait_for(timeout=60_000)
    hide = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(hide)
    page.wait_for_timeout(5_000)
    assert asked == []

    page.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
    with page.expect_request("**/summary"):
        page.evaluate(hide)
