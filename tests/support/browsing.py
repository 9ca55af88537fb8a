"""What the tests of the console in a browser share."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PASSWORD = "secret123"
NAMES = ("chromium", "chromium-browser", "google-chrome")
_NUMBERS = itertools.count()
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser. Playwright brings none of its own."""
    from playwright.sync_api import sync_playwright

    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        raise FileNotFoundError("There is no Chromium. On Debian or Ubuntu: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def register(page: Any) -> str:
    """Somebody new, who is signed in. Returns the e-mail address."""
    email = f"ann-{next(_NUMBERS)}@example.com"
    page.goto("/console")
    page.get_by_role("link", name="Register").click()
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Register").click()
    page.get_by_role("heading", name="Projects", exact=True).wait_for()
    return email


def accessible(page: Any) -> None:
    """axe-core finds nothing on the page, by WCAG 2.2 AA and its own best practices."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": _TAGS}})
    assert found.violations_count == 0, found.generate_report()
