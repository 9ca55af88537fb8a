"""One platform for all contract tests, running the small application in app/."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.platform import Platform
from tests.local.support import Call, calling, copy_of_app


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_app(tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="session")
def platform(root: Path) -> Iterator[Platform]:
    with Platform(root, parameters={"Greeting": "hi"}) as running:
        yield running


@pytest.fixture(scope="session")
def call(platform: Platform) -> Call:
    return calling(platform.url)
