"""Calls to the outside, and what can go wrong with one.

A fault is a function of the call: `perform` makes it, `refusal` is the error by which the caller
would learn of a kind of trouble (the client library's, the state machine's or the driver's own).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

Trouble = Literal["fails", "lost", "throttled"]
Perform = Callable[[], Any]
Refusal = Callable[[Trouble], Exception]
Fault = Callable[[Perform, Refusal], Any]

# Texts of errors: a sentence, JSON, both, cut off, as long as allowed, empty.
CAUSES = [
    "A sentence.",
    'Returned payload: {"errorMessage":"Task timed out after 60.00 seconds"}',
    '{"errorMessage": "cut off in the mid',
    '{"errorMessage": null}',
    '"errorMessage"',
    "\x01" * 32_768,
    "\N{GRINNING FACE}" * 32_768,
    "",
]


def fails(perform: Perform, refusal: Refusal) -> Any:
    """It never happens."""
    raise refusal("fails")


def lost(perform: Perform, refusal: Refusal) -> Any:
    """It happens, but its answer is lost."""
    # An error is an answer like any other.
    with suppress(Exception):
        perform()
    raise refusal("lost")


def throttled(perform: Perform, refusal: Refusal) -> Any:
    """It is turned away."""
    raise refusal("throttled")


def twice(perform: Perform, refusal: Refusal) -> Any:
    """It happens twice; the caller hears of the second."""
    with suppress(Exception):
        perform()
    return perform()


class Died(BaseException):
    """The caller dies, and does nothing more."""


def dies(perform: Perform, refusal: Refusal) -> Any:
    """It happens, and that is the last that its caller did."""
    with suppress(Exception):
        perform()
    raise Died


# Faults of a call that a retry overcomes.
FAULTS: dict[str, Fault] = {"fails": fails, "lost": lost, "throttled": throttled, "twice": twice}
# Faults that a crash harness gives to every call.
CRASHES: dict[str, Fault] = {**FAULTS, "dies": dies}


def raises(error: Exception) -> Fault:
    """It never happens, and the caller sees this very error."""

    def fault(perform: Perform, refusal: Refusal) -> Any:
        raise error

    return fault


def answers(value: Any) -> Fault:
    """It never happens, and the caller is told this."""
    return lambda perform, refusal: value


def preceded_by(action: Callable[[], Any]) -> Fault:
    """Another actor does something just before the call."""

    def fault(perform: Perform, refusal: Refusal) -> Any:
        action()
        return perform()

    return fault


def followed_by(action: Callable[[], Any]) -> Fault:
    """Another actor does something just after the call."""

    def fault(perform: Perform, refusal: Refusal) -> Any:
        answer = perform()
        action()
        return answer

    return fault


@dataclass(frozen=True)
class Call:
    """`n` counts from 0. `name` is who calls and what: `Ship > dynamodb BatchGetItem`."""

    n: int
    name: str


@dataclass
class _Rule:
    where: str | int
    fault: Fault
    times: int | None
    skip: int
    used: bool = False

    def applies(self, call: Call) -> bool:
        """Whether it is to happen to this call, or this attempt at it; counts it if so."""
        if isinstance(self.where, int):
            matches = call.n == self.where
        else:
            matches = fnmatchcase(call.name, self.where)
        if not matches or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.used = True
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class Calls:
    """Every call that was made, in order, and what is to go wrong with which."""

    made: list[Call] = field(default_factory=list)
    _rules: list[_Rule] = field(default_factory=list)

    def when(self, where: str | int, fault: Fault, times: int | None = 1, skip: int = 0) -> None:
        """Do this to the calls of a number, or of a name (with `*`), the first `skip` excepted.

        The client library calls again by itself: those attempts are one call, but each is
        counted by `times`. None is every time.
        """
        self._rules.append(_Rule(where, fault, times, skip))

    def unused(self) -> list[str | int]:
        """Faults that were asked for and did not happen as often: the test is not what it says."""
        return [rule.where for rule in self._rules if rule.times or not rule.used]

    def new(self, name: str) -> Call:
        call = Call(len(self.made), name)
        self.made.append(call)
        return call

    def make(self, call: Call, perform: Perform, refusal: Refusal) -> Any:
        for rule in self._rules:
            if rule.applies(call):
                return rule.fault(perform, refusal)
        return perform()
