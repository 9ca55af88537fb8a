"""The console in Debian's Chromium, before the embedded platform."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.platform import Platform
from tests.support import browsing


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    with Platform(parameters={"SimulatedSeconds": "1", "Registration": "open"}) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    with browsing.chromium() as browser:
        yield browser


@pytest.fixture
def errors() -> list[str]:
    """What the page has complained about: scripts that failed, and what the policy has blocked."""
    return []


@pytest.fixture
def page(platform: Platform, chromium: Any, errors: list[str], tmp_path: Path) -> Iterator[Any]:
    """A page of a browser of its own. Nothing may go wrong in it."""
    context = chromium.new_context(base_url=platform.url, locale="en-GB", timezone_id="UTC")
    context.set_default_timeout(15_000)
    opened = context.new_page()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda said: _note(said, errors))
    yield opened
    context.close()
    assert errors == []


def _note(said: Any, errors: list[str]) -> None:
    """Refusals of forms have a status that Chromium notes. Everything else is a fault."""
    if (
        said.type in ("error", "warning")
        and "the server responded with a status of 4" not in said.text
    ):
        errors.append(said.text)
