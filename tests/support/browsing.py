"""What the tests of the console in a browser share."""

from __future__ import annotations

import itertools
from typing import Any

PASSWORD = "secret123"
_NUMBERS = itertools.count()
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


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
