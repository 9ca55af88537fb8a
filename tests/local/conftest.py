"""One platform for all contract tests, running the small application in app/."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.platform import Platform
from tests.support.local.platform import EVERYTHING, Call, allow, calling, copy_of_app, role


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_app(tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="session")
def platform(root: Path) -> Iterator[Platform]:
    with Platform(root, parameters={"Greeting": "hi"}) as running:
        role(running, EVERYTHING.rpartition("/")[2], allow("*"))
        yield running


@pytest.fixture(scope="session")
def call(platform: Platform) -> Call:
    return calling(platform.url)
