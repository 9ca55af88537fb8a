"""A clock for requests that wait."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from slipway.http import waiting


class Clock:
    """A clock that only sleep moves. What is to happen at a moment happens during a sleep."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.pauses: list[float] = []
        self._plans: list[tuple[float, Callable[[], object]]] = []

    @property
    def waited(self) -> float:
        return sum(self.pauses)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        due = [plan for plan in self._plans if plan[0] <= self.now]
        self._plans = [plan for plan in self._plans if plan not in due]
        for _, action in due:
            action()

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        self._plans.append((self.now + seconds, action))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of slipway.http.waiting; a test module imports it to have it."""
    clock = Clock()
    fake = SimpleNamespace(monotonic=clock.monotonic, sleep=clock.sleep)
    monkeypatch.setattr(waiting, "time", fake)
    return clock
