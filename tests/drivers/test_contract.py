"""The contract that every driver keeps."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from slipway import drivers
from slipway.domain import timestamps
from tests.support.drivers import Subject

VERBS = ("provision", "ship", "restore", "retire")


def test_every_driver_is_tested_here(simulated: Subject, stack: Subject) -> None:
    assert {type(simulated.driver), type(stack.driver)} == set(drivers.DRIVERS.values())


def test_an_environment_comes_up_takes_versions_and_goes(subject: Subject) -> None:
    base_url = subject.go("provision").base_url
    assert base_url and base_url.startswith("https://preview")
    subject.go("ship", version="v1")
    subject.go("ship", version="v2", artifact="s3://builds/v2.zip")
    subject.go("restore", version="v1")
    subject.go("retire")


def test_a_finished_operation_stays_finished_when_it_is_polled_again(subject: Subject) -> None:
    for verb in VERBS:
        since = timestamps.now()
        done = subject.go(verb, since, version="v1")
        assert [subject.ask(verb, since, version="v1") for _ in range(3)] == [done] * 3


def test_several_simultaneous_polls_do_no_more_than_one(subject: Subject) -> None:
    for verb in VERBS:
        since = timestamps.now()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: subject.ask(verb, since, version="v1"), range(4)))  # noqa: B023
        assert subject.go(verb, since, version="v1").done


def test_a_poll_never_waits(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    for verb in VERBS:
        since = timestamps.now()
        with monkeypatch.context() as patch:
            patch.setattr(time, "sleep", _nobody_sleeps)
            started = time.monotonic()
            progress = subject.ask(verb, since, version="slow" if verb == "ship" else "v1")
            assert time.monotonic() - started < 3
        assert progress.done or 1 <= progress.wait_seconds <= 30
        if verb == "provision":
            subject.go(verb, since, version="v1")


def _nobody_sleeps(seconds: float) -> None:
    raise AssertionError(f"A driver slept for {seconds} s")


def test_an_environment_that_was_never_made_can_be_retired(subject: Subject) -> None:
    assert subject.ask("retire").done


def test_there_are_no_lines_before_anything_is_made(subject: Subject) -> None:
    assert subject.driver.lines(subject.operation("ship")) == []
