"""Fixtures for all tests: the environment of a function, and the table in moto.

A test that does not name a fixture does not pay for it: the tests of the domain start no AWS.
"""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.support.lambda_environment import as_on_lambda
from tests.support.moto_backend import empty, moto
from tests.support.scheduling import ByGroup, groups_in_ids


@pytest.fixture
def environ() -> Iterator[None]:
    with as_on_lambda():
        yield


@pytest.fixture(scope="module")
def _moto() -> Iterator[None]:
    """Started once a module: it takes longer than to empty it."""
    with moto():
        yield


@pytest.fixture
def aws(_moto: None, environ: None) -> None:
    empty()


@pytest.hookimpl(wrapper=True)
def pytest_collection_finish(session: pytest.Session) -> Generator[None, None, None]:
    """Objects that exist by now stay: the garbage collector does not look at them in each test."""
    gc.freeze()
    if not hasattr(session.config, "workerinput"):
        return (yield)
    with groups_in_ids(session):
        return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByGroup:
    return ByGroup(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many crashes were looked at, of the tests that count them."""
    cases = [
        value
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "cases"
    ]
    if cases:
        terminalreporter.write_line(f"{sum(cases)} crashes, each got over.")
