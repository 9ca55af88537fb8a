"""A browser that asks the console, and the handlers of the API behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.api.fixtures import quick_argon2
from tests.support.console import Browser, Handlers, handlers

__all__ = ["quick_argon2"]


@pytest.fixture
def reached(aws: None, quick_argon2: None) -> Iterator[Handlers]:
    with handlers() as found:
        yield found


@pytest.fixture
def stranger(reached: Handlers) -> Browser:
    """Somebody who is not signed in."""
    return Browser()


@pytest.fixture
def ann(reached: Handlers) -> Browser:
    """Somebody who is signed in."""
    browser = Browser()
    assert browser.sign_in("ann@example.com").status == 303
    return browser
