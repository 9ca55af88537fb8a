"""Pictures of the console's pages, for the documentation: docs/images/console-*.png.

    python -m tests.support.screenshots

A platform of its own is started, and walked through in Chromium. Each picture is one small screen.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from local.platform import Platform
from tests.support.administrator import administrator
from tests.support.browsing import chromium, register
from tests.support.http_user import PASSWORD, Person, send
from tests.support.repository import ROOT

IMAGES = ROOT / "docs/images"
MOST_BYTES = 90_000
TEMPLATE = ROOT / "examples/hello-web/template.yaml"
SIZE = {"width": 960, "height": 600}


class Camera:
    """Takes pictures of a page."""

    def __init__(self, page: Any, folder: Path) -> None:
        self.page, self.folder = page, folder

    def shoot(self, name: str, path: str = "") -> None:
        """Open the page at the path, if one is given, and take its picture."""
        if path:
            self.page.goto(path)
        self.page.evaluate("document.activeElement?.blur()")
        target = self.folder / f"console-{name}.png"
        self.page.screenshot(path=target)
        size = target.stat().st_size
        print(f"{target.name}: {size / 1000:.0f} kB")
        if size > MOST_BYTES:
            sys.exit(f"{target.name} has more than {MOST_BYTES} bytes")


def walk(page: Any, platform: Platform, camera: Camera) -> None:
    """From the sign-in to an environment that runs, and the pages beside the way."""
    owner = _published(platform)
    camera.shoot("sign-in", "/console/sign-in")
    register(page)
    camera.shoot("first-project")
    page.get_by_label("Name").fill("payments")
    page.get_by_role("button", name="Create project").click()
    page.get_by_role("link", name="New environment").click()
    camera.shoot("choose-template")
    page.get_by_role("link", name="hello-web", exact=True).click()
    page.get_by_label("Name", exact=True).fill("preview-pr-7")
    page.get_by_label("Greeting").fill("12 !")
    page.get_by_role("button", name="Create environment").click()
    page.get_by_role("alert").wait_for()
    camera.shoot("new-environment")
    page.get_by_label("Greeting").fill("Good morning")
    page.get_by_role("button", name="Create environment").click()
    page.locator("#summary .state", has_text="running").wait_for(timeout=60_000)
    own, project = page.url.partition("?")[0], page.locator(".trail a").nth(1).get_attribute("href")
    page.get_by_label("Version").fill("sha-1234567")
    page.get_by_role("button", name="Deploy").click()
    page.locator("#rollout .state", has_text="succeeded").wait_for(timeout=60_000)
    page.locator("#rollout rect.done").nth(3).wait_for()
    camera.shoot("deployment")
    camera.shoot("environment", own)
    camera.shoot("resources", f"{own}/resources")
    camera.shoot("update", f"{own}/update")
    camera.shoot("events", f"{own}/events")
    camera.shoot("project", project)
    for name in ("members", "audit", "settings"):
        camera.shoot(name, f"{project}/{name}")
    for name in ("templates", "templates/hello-web", "tokens", "confirmations"):
        camera.shoot(name.replace("/", "-"), f"/console/{name}")
    camera.shoot("variables", f"{own}/variables")
    _device(page, owner, camera)
    page.emulate_media(color_scheme="dark")
    camera.shoot("dark", own)
    page.emulate_media(color_scheme="light")
    _users(page, platform, camera)


def _published(platform: Platform) -> Person:
    """Somebody who has published a template."""
    owner = Person(platform.url).sign_in()
    about = {"name": "hello-web", "description": "A small web function with its own endpoint."}
    owner.ask("POST", "/api/v1/templates", about)
    made = send(owner, "/api/v1/templates/hello-web/versions", TEMPLATE.read_text())
    number = made.body["version"]
    owner.ask("POST", f"/api/v1/templates/hello-web/versions/{number}/publish")
    return owner


def _device(page: Any, somebody: Person, camera: Camera) -> None:
    begun = somebody.ask("POST", "/api/v1/auth/device", form={"client_id": "slipway-cli"}).body
    camera.shoot("device", f"/console/device?user_code={begun['user_code']}")


def _users(page: Any, platform: Platform, camera: Camera) -> None:
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("E-mail").fill(administrator(platform).email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Users").click()
    camera.shoot("users")
    page.get_by_role("table").get_by_role("link").first.click()
    camera.shoot("user")


def main() -> None:
    """Take all pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    parameters = {"SimulatedSeconds": "1", "Registration": "open", "MembersMayPublish": "true"}
    with Platform(parameters=parameters) as platform, chromium() as browser:
        context = browser.new_context(
            base_url=platform.url, viewport=SIZE, locale="en-GB", timezone_id="UTC"
        )
        context.set_default_timeout(20_000)
        page = context.new_page()
        walk(page, platform, Camera(page, IMAGES))


if __name__ == "__main__":
    main()
