"""One platform for all tests of this folder, and what stands in for AWS elsewhere in the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.prove.sandbox import Sandbox
from local.platform import Platform
from tests.support.machines import Harness, Laptop, Machines
from tests.support.tables import OfTheSandbox, OfTheStore, Table
from tests.support.workflows.world import World


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    with Platform(parameters={"SimulatedSeconds": "0"}) as running:
        yield running


@pytest.fixture(scope="session")
def sandbox(platform: Platform) -> Iterator[Sandbox]:
    with Sandbox(platform.client, patience=20, poll=0.02) as made:
        yield made
    assert made.left == []


@pytest.fixture(params=["harness", "laptop"])
def machines(request: pytest.FixtureRequest) -> Iterator[Machines]:
    """Both interpreters of state machines that Slipway's tests trust."""
    if request.param == "laptop":
        yield Laptop(request.getfixturevalue("sandbox"))
        return
    request.getfixturevalue("environ")
    with World() as world:
        yield Harness(world)


@pytest.fixture(params=["moto", "harness", "laptop"])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    """Every table that Slipway's tests trust."""
    if request.param == "laptop":
        yield OfTheSandbox(request.getfixturevalue("sandbox"))
    elif request.param == "moto":
        request.getfixturevalue("aws")
        yield OfTheStore()
    else:
        request.getfixturevalue("environ")
        with World():
            yield OfTheStore()
