"""A world for each test, and a memory of every execution in all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.workflows.graph import Execution
from tests.support.workflows.world import World

_lived: list[Execution] = []


@pytest.fixture
def world(environ: None) -> Iterator[World]:
    with World() as here:
        yield here
        _lived.extend(here.executions())
        assert here.calls.unused() == []


@pytest.fixture
def lived() -> list[Execution]:
    """Every execution of the tests before this one."""
    return _lived


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use `lived` come after those whose executions they look at."""
    items.sort(key=lambda item: "lived" in getattr(item, "fixturenames", ()))
