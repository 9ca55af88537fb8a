"""One embedded platform for all end-to-end tests, and people who use it over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.platform import Platform
from tests.support.http_user import Person


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    with Platform(parameters={"SimulatedSeconds": "1"}) as running:
        yield running


@pytest.fixture
def someone(platform: Platform) -> Person:
    """A newly registered user, signed in."""
    return Person(platform.url).sign_in()


@pytest.fixture
def stranger(platform: Platform) -> Person:
    """A user who is not signed in."""
    return Person(platform.url)
