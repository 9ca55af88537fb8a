"""A fresh platform, on which generated clients and the document's examples are tried."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.platform import Platform


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    with Platform(parameters={"SimulatedSeconds": "1"}) as running:
        yield running
